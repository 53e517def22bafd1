-- Pictures, sounds and films that people uploaded. post_id NULL: not (or no longer) part of a post; swept up after a day.
-- kind: image, gifv, video, audio. state: 0 ready, 1 being made, 2 cannot be made. facts: sizes, length, focus, as JSON.
CREATE TABLE media (
    id {id},
    owner_id {int} NOT NULL REFERENCES actor (id),
    post_id {int} REFERENCES post (id) ON DELETE SET NULL,
    kind {text} NOT NULL,
    state {int} NOT NULL DEFAULT 0,
    file {text},
    media_type {text} NOT NULL DEFAULT '',
    preview {text},
    blurhash {text},
    description {text},
    facts {text} NOT NULL DEFAULT '{}',
    kept_until {int} NOT NULL,
    created_at {int} NOT NULL
);
CREATE INDEX media_post ON media (post_id, id) WHERE post_id IS NOT NULL;
CREATE INDEX media_unused ON media (kept_until) WHERE post_id IS NULL;
CREATE INDEX media_owner ON media (owner_id, id);

-- Our own files by name: which upload, or whose profile, each belongs to.
CREATE TABLE media_file (
    name {text} PRIMARY KEY,
    media_id {int} REFERENCES media (id) ON DELETE CASCADE,
    actor_id {int} REFERENCES actor (id),
    media_type {text} NOT NULL,
    bytes {int} NOT NULL
) {without_rowid};
CREATE INDEX media_file_media ON media_file (media_id) WHERE media_id IS NOT NULL;
CREATE INDEX media_file_actor ON media_file (actor_id) WHERE actor_id IS NOT NULL;

-- Files that no row needs any more, until they are off the disk.
CREATE TABLE media_trash (
    name {text} PRIMARY KEY,
    at {int} NOT NULL
) {without_rowid};
