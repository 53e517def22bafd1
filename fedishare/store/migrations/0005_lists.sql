-- Lists of people, hashtags that people follow and those that they show on their profiles, and where they were reading.
-- A follow's languages: NULL for all, else codes with commas between. at_home 0: the followee is in an exclusive list of
-- the follower, so its posts stay out of the home timeline. A fact of the follow, because fan-out reads the follow anyway.
ALTER TABLE follow ADD COLUMN languages {text};
ALTER TABLE follow ADD COLUMN at_home {int} NOT NULL DEFAULT 1;

-- replies_policy: followed, list or none.
CREATE TABLE list (
    id {id},
    owner_id {int} NOT NULL REFERENCES actor (id),
    title {text} NOT NULL,
    replies_policy {text} NOT NULL,
    exclusive {int} NOT NULL DEFAULT 0
);
CREATE INDEX list_owner ON list (owner_id, id);

-- Who is in a list goes with the follow that it stands on; follow_id is NULL for oneself.
CREATE TABLE list_member (
    list_id {int} NOT NULL REFERENCES list (id) ON DELETE CASCADE,
    member_id {int} NOT NULL REFERENCES actor (id),
    follow_id {int} REFERENCES follow (id) ON DELETE CASCADE,
    id {int} NOT NULL,
    PRIMARY KEY (list_id, member_id)
) {without_rowid};
CREATE INDEX list_member_follow ON list_member (follow_id) WHERE follow_id IS NOT NULL;

-- Who wants to be told of each post: few, and asked about at every post.
CREATE INDEX follow_bell ON follow (followee_id) WHERE notify = 1;

CREATE TABLE tag_follow (
    tag {text} NOT NULL,
    owner_id {int} NOT NULL REFERENCES actor (id),
    id {int} NOT NULL,
    PRIMARY KEY (tag, owner_id)
) {without_rowid};
CREATE INDEX tag_follow_owner ON tag_follow (owner_id, id);

CREATE TABLE tag_feature (
    owner_id {int} NOT NULL REFERENCES actor (id),
    tag {text} NOT NULL,
    id {int} NOT NULL,
    PRIMARY KEY (owner_id, tag)
) {without_rowid};

-- How far somebody has read a timeline, for all of their apps.
CREATE TABLE marker (
    owner_id {int} NOT NULL REFERENCES actor (id),
    timeline {text} NOT NULL,
    last_read_id {int} NOT NULL,
    version {int} NOT NULL,
    updated_at {int} NOT NULL,
    PRIMARY KEY (owner_id, timeline)
) {without_rowid};
