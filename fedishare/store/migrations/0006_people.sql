-- What people note about each other, whom they recommend, and the domains that they do not want to see.
CREATE TABLE account_note (
    actor_id {int} NOT NULL REFERENCES actor (id),
    target_id {int} NOT NULL REFERENCES actor (id),
    comment {text} NOT NULL,
    PRIMARY KEY (actor_id, target_id)
) {without_rowid};

CREATE TABLE endorsement (
    actor_id {int} NOT NULL REFERENCES actor (id),
    target_id {int} NOT NULL REFERENCES actor (id),
    id {int} NOT NULL,
    PRIMARY KEY (actor_id, target_id)
) {without_rowid};

CREATE TABLE domain_block (
    actor_id {int} NOT NULL REFERENCES actor (id),
    domain {text} NOT NULL,
    id {int} NOT NULL,
    PRIMARY KEY (actor_id, domain)
) {without_rowid};

-- Who is not to be suggested to somebody any more.
CREATE TABLE dismissed_suggestion (
    actor_id {int} NOT NULL REFERENCES actor (id),
    target_id {int} NOT NULL REFERENCES actor (id),
    PRIMARY KEY (actor_id, target_id)
) {without_rowid};

-- Who wants to be found in the directory and in suggestions; kept beside the profile, which no query looks into.
ALTER TABLE actor ADD COLUMN discoverable {int} NOT NULL DEFAULT 0;
UPDATE actor SET discoverable = 1 WHERE profile LIKE '%"discoverable":true%';
CREATE INDEX actor_discoverable ON actor (id) WHERE discoverable = 1;
CREATE INDEX mute_end ON mute (expires_at) WHERE expires_at IS NOT NULL;

-- One-time links with which somebody chooses a new password; by the SHA-256 of what the link holds.
CREATE TABLE reset_link (
    token_hash {text} PRIMARY KEY,
    actor_id {int} NOT NULL REFERENCES actor (id),
    expires_at {int} NOT NULL
) {without_rowid};
CREATE INDEX reset_link_actor ON reset_link (actor_id);

-- Archives of one's own account. state: 0 being made, 1 ready, 2 failed. file: its name in the folder of media.
CREATE TABLE archive (
    id {id},
    actor_id {int} NOT NULL REFERENCES actor (id),
    state {int} NOT NULL DEFAULT 0,
    file {text},
    bytes {int} NOT NULL DEFAULT 0,
    created_at {int} NOT NULL,
    finished_at {int},
    expires_at {int}
);
CREATE INDEX archive_actor ON archive (actor_id, id);
CREATE INDEX archive_end ON archive (expires_at) WHERE expires_at IS NOT NULL;

-- Tables that somebody brought along from elsewhere; what is in them waits as jobs.
CREATE TABLE import (
    id {id},
    actor_id {int} NOT NULL REFERENCES actor (id),
    kind {text} NOT NULL,
    total {int} NOT NULL,
    done {int} NOT NULL DEFAULT 0,
    failed {int} NOT NULL DEFAULT 0,
    created_at {int} NOT NULL
);
CREATE INDEX import_actor ON import (actor_id, id);
