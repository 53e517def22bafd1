-- Quotes: what they show, and the consent of those who are quoted.

-- interaction_policy: one byte each for quote, reply, like and boost (low to high); in each, the low half says whose is
-- approved by itself, the high half whose the author decides about: 1 public, 2 followers, 4 following, 8 others.
-- The default is that of a post that states nothing: quotes by nobody, the rest by everybody who sees it.
ALTER TABLE post ADD COLUMN interaction_policy {int} NOT NULL DEFAULT 16843008;
ALTER TABLE post ADD COLUMN quoting {int} NOT NULL DEFAULT 0;
ALTER TABLE post ADD COLUMN quotes_count {int} NOT NULL DEFAULT 0;

-- state: 0 pending, 1 accepted, 2 rejected, 3 revoked, 4 the quoted post is deleted. quoted_id is NULL while the quoted
-- post is not here. legacy: said in a way that knows no consent.
CREATE TABLE quote (
    post_id {int} PRIMARY KEY REFERENCES post (id) ON DELETE CASCADE,
    quoter_id {int} NOT NULL REFERENCES actor (id),
    quoted_id {int},
    quoted_iri {text} NOT NULL,
    quoted_hash {int} NOT NULL,
    quoted_author_id {int} REFERENCES actor (id),
    state {int} NOT NULL,
    legacy {int} NOT NULL DEFAULT 0,
    request_iri {text},
    approval_iri {text},
    approval_hash {int},
    checked_at {int}
);
CREATE INDEX quote_quoted ON quote (quoted_id, post_id) WHERE quoted_id IS NOT NULL;
CREATE INDEX quote_waiting ON quote (quoted_hash) WHERE quoted_id IS NULL;
CREATE INDEX quote_approval ON quote (approval_hash) WHERE approval_hash IS NOT NULL;
CREATE INDEX quote_pair ON quote (quoted_author_id, quoter_id) WHERE quoted_author_id IS NOT NULL;
CREATE INDEX quote_checked ON quote (checked_at) WHERE checked_at IS NOT NULL;

-- The authorizations that we gave, were asked for (state 0) or took back (state 3); for each quoting post at most one.
CREATE TABLE quote_stamp (
    id {id},
    post_id {int} NOT NULL REFERENCES post (id) ON DELETE CASCADE,
    quoter_id {int} NOT NULL REFERENCES actor (id),
    quoting_iri {text} NOT NULL,
    quoting_hash {int} NOT NULL,
    request_iri {text},
    state {int} NOT NULL
);
CREATE UNIQUE INDEX quote_stamp_once ON quote_stamp (post_id, quoting_hash, quoting_iri);
CREATE INDEX quote_stamp_quoter ON quote_stamp (quoter_id);

-- Our answers to posts whose authors decide about answers: until then (approval_iri NULL) only that author sees them.
CREATE TABLE reply_approval (
    post_id {int} PRIMARY KEY REFERENCES post (id) ON DELETE CASCADE,
    visibility {int} NOT NULL,
    approval_iri {text}
);
