-- The first schema. Times are milliseconds since 1970, ids are time-ordered 64-bit integers,
-- long IRIs are indexed by a 64-bit hash (iri_hash), JSON columns are text that no query looks into.

-- Who acts. Local actors have domain NULL; the instance actor is the local actor named "instance.actor".
CREATE TABLE actor (
    id {id},
    iri {text} NOT NULL,
    iri_hash {int} NOT NULL,
    name {text} NOT NULL,
    name_key {text} NOT NULL,
    domain {text},
    host {text},
    kind {text} NOT NULL,
    state {int} NOT NULL DEFAULT 0,
    profile {text} NOT NULL,
    inbox {text} NOT NULL,
    outbox {text},
    followers {text},
    following {text},
    shared_inbox {text},
    url {text} NOT NULL,
    created_at {int} NOT NULL,
    fetched_at {int} NOT NULL,
    followers_count {int} NOT NULL DEFAULT 0,
    following_count {int} NOT NULL DEFAULT 0,
    posts_count {int} NOT NULL DEFAULT 0,
    last_post_at {int},
    rev {int} NOT NULL DEFAULT 0
);
CREATE INDEX actor_iri ON actor (iri_hash);
CREATE UNIQUE INDEX actor_name ON actor (name_key, coalesce(domain, ''));
CREATE INDEX actor_host ON actor (host) WHERE host IS NOT NULL;

-- Public keys as listed by the owner's own document.
CREATE TABLE actor_key (
    actor_id {int} NOT NULL REFERENCES actor (id),
    key_id {text} NOT NULL,
    key_hash {int} NOT NULL,
    kind {text} NOT NULL,
    material {text} NOT NULL,
    fetched_at {int} NOT NULL,
    PRIMARY KEY (actor_id, key_id)
) {without_rowid};
CREATE INDEX actor_key_id ON actor_key (key_hash);

-- Private keys and sign-in of local actors.
CREATE TABLE credential (
    actor_id {int} PRIMARY KEY REFERENCES actor (id),
    email {text},
    password_hash {text},
    role {text} NOT NULL DEFAULT 'member',
    rsa_private {text} NOT NULL,
    ed25519_private {text} NOT NULL,
    settings {text} NOT NULL DEFAULT '{}',
    approved {int} NOT NULL DEFAULT 1,
    confirmed_at {int},
    last_seen_at {int}
);
CREATE UNIQUE INDEX credential_email ON credential (lower(email)) WHERE email IS NOT NULL;

CREATE TABLE app (
    id {id},
    client_id {text} NOT NULL UNIQUE,
    secret_hash {text} NOT NULL,
    name {text} NOT NULL,
    website {text},
    redirect_uris {text} NOT NULL,
    scopes {text} NOT NULL,
    created_at {int} NOT NULL
);

-- Bearer tokens, by the SHA-256 of the token.
CREATE TABLE token (
    id {id},
    token_hash {text} NOT NULL UNIQUE,
    actor_id {int} REFERENCES actor (id),
    app_id {int} REFERENCES app (id),
    name {text} NOT NULL DEFAULT '',
    scopes {text} NOT NULL,
    created_at {int} NOT NULL,
    expires_at {int},
    revoked_at {int},
    last_used_at {int}
);
CREATE INDEX token_actor ON token (actor_id);

-- Posts and boosts (boost_of_id set). extra: mentions, hashtags, emojis, attachments, poll, as JSON for rendering.
CREATE TABLE post (
    id {id},
    iri {text} NOT NULL,
    iri_hash {int} NOT NULL,
    url {text} NOT NULL,
    author_id {int} NOT NULL REFERENCES actor (id),
    local {int} NOT NULL,
    kind {text} NOT NULL,
    visibility {int} NOT NULL,
    reach {text} NOT NULL,
    html {text} NOT NULL,
    source {text} NOT NULL DEFAULT '',
    summary {text} NOT NULL DEFAULT '',
    title {text} NOT NULL DEFAULT '',
    sensitive {int} NOT NULL DEFAULT 0,
    language {text},
    extra {text} NOT NULL DEFAULT '{}',
    published {int} NOT NULL,
    created_at {int} NOT NULL,
    edited_at {int},
    in_reply_to_id {int},
    in_reply_to_iri {text},
    in_reply_to_account_id {int},
    boost_of_id {int} REFERENCES post (id) ON DELETE CASCADE,
    thread_id {int},
    context_iri {text},
    app_name {text},
    replies_count {int} NOT NULL DEFAULT 0,
    boosts_count {int} NOT NULL DEFAULT 0,
    favourites_count {int} NOT NULL DEFAULT 0,
    rev {int} NOT NULL DEFAULT 0
);
CREATE INDEX post_iri ON post (iri_hash);
CREATE INDEX post_author ON post (author_id, id);
CREATE INDEX post_reply ON post (in_reply_to_id, id) WHERE in_reply_to_id IS NOT NULL;
CREATE INDEX post_thread ON post (thread_id, id) WHERE thread_id IS NOT NULL;
CREATE UNIQUE INDEX post_boost ON post (boost_of_id, author_id) WHERE boost_of_id IS NOT NULL;
CREATE INDEX post_origin ON post (local, id) WHERE visibility = 0 AND boost_of_id IS NULL AND in_reply_to_id IS NULL;
CREATE INDEX post_public ON post (id) WHERE visibility = 0 AND boost_of_id IS NULL AND in_reply_to_id IS NULL;
-- Replies that came before their parent, by the parent's hash, to be joined when it arrives.
CREATE TABLE waiting_reply (
    parent_hash {int} NOT NULL,
    post_id {int} NOT NULL REFERENCES post (id) ON DELETE CASCADE,
    PRIMARY KEY (parent_hash, post_id)
) {without_rowid};

CREATE TABLE post_edit (
    post_id {int} NOT NULL REFERENCES post (id) ON DELETE CASCADE,
    edited_at {int} NOT NULL,
    html {text} NOT NULL,
    source {text} NOT NULL,
    summary {text} NOT NULL,
    sensitive {int} NOT NULL,
    extra {text} NOT NULL,
    PRIMARY KEY (post_id, edited_at)
) {without_rowid};

-- What remains of deleted posts, for ever; per author, so that nobody buries what another one owns. seen_by: JSON list of actor ids that a direct or private post named.
CREATE TABLE tombstone (
    iri_hash {int} NOT NULL,
    iri {text} NOT NULL,
    author_iri {text} NOT NULL,
    post_id {int},
    visibility {int} NOT NULL,
    reach {text} NOT NULL,
    seen_by {text} NOT NULL DEFAULT '[]',
    deleted_at {int} NOT NULL,
    PRIMARY KEY (iri_hash, iri, author_iri)
) {without_rowid};

CREATE TABLE mention (
    post_id {int} NOT NULL REFERENCES post (id) ON DELETE CASCADE,
    actor_id {int} NOT NULL REFERENCES actor (id),
    silent {int} NOT NULL DEFAULT 0,
    PRIMARY KEY (post_id, actor_id)
) {without_rowid};
CREATE INDEX mention_actor ON mention (actor_id, post_id);

CREATE TABLE post_tag (
    tag {text} NOT NULL,
    post_id {int} NOT NULL REFERENCES post (id) ON DELETE CASCADE,
    PRIMARY KEY (tag, post_id)
) {without_rowid};
CREATE INDEX post_tag_post ON post_tag (post_id);

CREATE TABLE follow (
    id {id},
    follower_id {int} NOT NULL REFERENCES actor (id),
    followee_id {int} NOT NULL REFERENCES actor (id),
    state {int} NOT NULL,
    iri {text} NOT NULL,
    iri_hash {int} NOT NULL,
    created_at {int} NOT NULL,
    show_boosts {int} NOT NULL DEFAULT 1,
    notify {int} NOT NULL DEFAULT 0,
    follower_local {int} NOT NULL,
    UNIQUE (follower_id, followee_id)
);
CREATE INDEX follow_followee ON follow (followee_id, state, id);
CREATE INDEX follow_follower ON follow (follower_id, state, id);
CREATE INDEX follow_iri ON follow (iri_hash);

CREATE TABLE block (
    actor_id {int} NOT NULL REFERENCES actor (id),
    target_id {int} NOT NULL REFERENCES actor (id),
    id {int} NOT NULL,
    iri {text},
    created_at {int} NOT NULL,
    PRIMARY KEY (actor_id, target_id)
) {without_rowid};
CREATE INDEX block_target ON block (target_id, actor_id);

CREATE TABLE mute (
    actor_id {int} NOT NULL REFERENCES actor (id),
    target_id {int} NOT NULL REFERENCES actor (id),
    id {int} NOT NULL,
    notifications {int} NOT NULL DEFAULT 1,
    expires_at {int},
    PRIMARY KEY (actor_id, target_id)
) {without_rowid};

-- kind: 1 favourite, 2 bookmark, 3 pin, 4 muted thread.
CREATE TABLE interaction (
    post_id {int} NOT NULL REFERENCES post (id) ON DELETE CASCADE,
    actor_id {int} NOT NULL REFERENCES actor (id),
    kind {int} NOT NULL,
    id {int} NOT NULL,
    iri {text},
    PRIMARY KEY (post_id, actor_id, kind)
) {without_rowid};
CREATE INDEX interaction_actor ON interaction (actor_id, kind, id);

CREATE TABLE vote (
    post_id {int} NOT NULL REFERENCES post (id) ON DELETE CASCADE,
    actor_id {int} NOT NULL REFERENCES actor (id),
    choice {int} NOT NULL,
    id {int} NOT NULL,
    PRIMARY KEY (post_id, actor_id, choice)
) {without_rowid};

-- Home timelines, written when a post arrives. No reference to post: entries of deleted posts are left out when read
-- and removed through the author's followers, which saves an index on the busiest table.
CREATE TABLE home_entry (
    owner_id {int} NOT NULL,
    post_id {int} NOT NULL,
    PRIMARY KEY (owner_id, post_id)
) {without_rowid};

CREATE TABLE notification (
    id {id},
    owner_id {int} NOT NULL REFERENCES actor (id),
    kind {text} NOT NULL,
    from_id {int} NOT NULL REFERENCES actor (id),
    post_id {int} REFERENCES post (id) ON DELETE CASCADE,
    created_at {int} NOT NULL
);
CREATE UNIQUE INDEX notification_once ON notification (owner_id, kind, from_id, coalesce(post_id, 0));
CREATE INDEX notification_owner ON notification (owner_id, id);
CREATE INDEX notification_post ON notification (post_id) WHERE post_id IS NOT NULL;

-- Inbound activities, for dedupe on (actor, iri) and for the record under which rule each came in.
CREATE TABLE inbound (
    id {id},
    iri_hash {int} NOT NULL,
    actor_hash {int} NOT NULL,
    type {text} NOT NULL,
    domain {text} NOT NULL,
    rule {text} NOT NULL,
    revision {int} NOT NULL
);
CREATE UNIQUE INDEX inbound_once ON inbound (iri_hash, actor_hash);

-- Outgoing activity documents, stored once for all their deliveries.
CREATE TABLE document (
    id {id},
    iri {text} NOT NULL,
    actor_id {int} NOT NULL,
    post_id {int},
    body {text} NOT NULL,
    facts {text} NOT NULL,
    created_at {int} NOT NULL
);
CREATE INDEX document_post ON document (post_id) WHERE post_id IS NOT NULL;
CREATE INDEX document_iri ON document (iri);

-- All work. state: 0 queued, 1 running, 2 held, 3 done, 4 dead, 5 cancelled.
-- One running job per lane (of its kind), oldest first; host (destination) is limited to a number in flight.
-- rule: the guard's rule that allowed, withheld or holds it.
CREATE TABLE job (
    id {id},
    kind {text} NOT NULL,
    lane {text} NOT NULL,
    host {text},
    state {int} NOT NULL DEFAULT 0,
    payload {text} NOT NULL,
    document_id {int},
    run_at {int} NOT NULL,
    attempts {int} NOT NULL DEFAULT 0,
    lease_until {int},
    dedup {text},
    created_at {int} NOT NULL,
    finished_at {int},
    status {int},
    rule {text},
    revision {int},
    last_error {text}
);
CREATE INDEX job_due ON job (kind, run_at, id) WHERE state = 0;
CREATE INDEX job_queue ON job (kind, host, run_at, id) WHERE state = 0 AND host IS NOT NULL;
CREATE INDEX job_lane ON job (kind, lane, id) WHERE state < 3;
CREATE INDEX job_lease ON job (lease_until) WHERE state = 1;
CREATE INDEX job_held ON job (host) WHERE state = 2;
CREATE INDEX job_document ON job (document_id) WHERE document_id IS NOT NULL;
CREATE UNIQUE INDEX job_dedup ON job (dedup) WHERE dedup IS NOT NULL AND state < 3;
CREATE INDEX job_finished ON job (finished_at) WHERE state >= 3;

-- How destination hosts are doing (circuit, signature scheme that worked).
CREATE TABLE peer (
    host {text} PRIMARY KEY,
    failures {int} NOT NULL DEFAULT 0,
    retry_at {int},
    last_error {text},
    signature_scheme {text},
    scheme_until {int},
    heard_at {int},
    sent_at {int}
) {without_rowid};

CREATE TABLE partner (
    domain {text} PRIMARY KEY,
    state {text} NOT NULL,
    terms {text} NOT NULL,
    owner {text} NOT NULL DEFAULT '',
    reason {text} NOT NULL DEFAULT '',
    ticket {text} NOT NULL DEFAULT '',
    expires_at {int},
    review_at {int},
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL
) {without_rowid};

-- The guard's decisions, counted by hour, so that a flood cannot fill the disk.
CREATE TABLE decision (
    hour {int} NOT NULL,
    question {text} NOT NULL,
    domain {text} NOT NULL,
    verdict {text} NOT NULL,
    rule {text} NOT NULL,
    reason {text} NOT NULL,
    revision {int} NOT NULL,
    times {int} NOT NULL,
    last_at {int} NOT NULL,
    PRIMARY KEY (hour, question, domain, verdict, rule)
) {without_rowid};

-- Who changed what: partners, terms, accounts, tokens, holds. Never changed, never deleted by the program.
CREATE TABLE audit (
    id {id},
    at {int} NOT NULL,
    actor {text} NOT NULL,
    action {text} NOT NULL,
    subject {text} NOT NULL,
    detail {text} NOT NULL
);

CREATE TABLE report (
    id {id},
    reporter_iri {text} NOT NULL,
    iri {text},
    target_id {int} REFERENCES actor (id),
    post_ids {text} NOT NULL DEFAULT '[]',
    comment {text} NOT NULL,
    created_at {int} NOT NULL,
    resolved_at {int}
);
CREATE UNIQUE INDEX report_iri ON report (iri) WHERE iri IS NOT NULL;

-- Inbound activities that wait for a person's decision.
CREATE TABLE hold (
    id {id},
    domain {text} NOT NULL,
    rule {text} NOT NULL,
    body {text} NOT NULL,
    created_at {int} NOT NULL
);

CREATE TABLE idempotency (
    actor_id {int} NOT NULL,
    key_hash {int} NOT NULL,
    post_id {int} NOT NULL,
    created_at {int} NOT NULL,
    PRIMARY KEY (actor_id, key_hash)
) {without_rowid};
CREATE INDEX idempotency_age ON idempotency (created_at);

CREATE TABLE setting (
    key {text} PRIMARY KEY,
    value {text} NOT NULL
) {without_rowid};
-- The policy's revision grows with each change of partners, so that running servers notice.
INSERT INTO setting (key, value) VALUES ('policy_revision', '1');
