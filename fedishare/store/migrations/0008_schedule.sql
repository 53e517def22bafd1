-- Posts for later, and previews of links.

-- draft: the post as it is to be, as JSON. poll_seconds: how long its poll lasts from then on. failed: why it could not
-- be published; then it stays until its author does something about it. key_hash: of the app's Idempotency-Key.
CREATE TABLE scheduled (
    id {id},
    owner_id {int} NOT NULL REFERENCES actor (id),
    at {int} NOT NULL,
    draft {text} NOT NULL,
    poll_seconds {int} NOT NULL DEFAULT 0,
    idempotency {text},
    key_hash {int},
    failed {text},
    created_at {int} NOT NULL
);
CREATE INDEX scheduled_owner ON scheduled (owner_id, id);
CREATE INDEX scheduled_day ON scheduled (owner_id, at);
CREATE INDEX scheduled_key ON scheduled (owner_id, key_hash) WHERE key_hash IS NOT NULL;

-- Uploads that wait for a scheduled post: nobody else gets them, and they are not swept up.
CREATE TABLE scheduled_media (
    media_id {int} PRIMARY KEY REFERENCES media (id) ON DELETE CASCADE,
    scheduled_id {int} NOT NULL REFERENCES scheduled (id) ON DELETE CASCADE
);
CREATE INDEX scheduled_media_of ON scheduled_media (scheduled_id);

-- What a page said of itself when it was read, never changed afterwards: a newer reading is another row.
-- found 0: it could not be had, and is not asked for again for a while. image: the name of a file of ours.
CREATE TABLE card (
    id {id},
    url {text} NOT NULL,
    url_hash {int} NOT NULL,
    found {int} NOT NULL,
    facts {text} NOT NULL DEFAULT '{}',
    image {text},
    fetched_at {int} NOT NULL
);
CREATE INDEX card_url ON card (url_hash, id);
CREATE INDEX card_image ON card (image) WHERE image IS NOT NULL;
CREATE INDEX card_age ON card (fetched_at);

-- The card that is shown with a post.
CREATE TABLE post_card (
    post_id {int} PRIMARY KEY REFERENCES post (id) ON DELETE CASCADE,
    card_id {int} NOT NULL REFERENCES card (id) ON DELETE CASCADE
);
CREATE INDEX post_card_card ON post_card (card_id, post_id);
