-- Filters, conversations, and what people accept notifications about.

-- What a person does not want to read. context: bits (1 home, 2 notifications, 4 public, 8 thread, 16 account);
-- action: 0 warn, 1 hide, 2 blur.
CREATE TABLE filter (
    id {id},
    owner_id {int} NOT NULL REFERENCES actor (id),
    title {text} NOT NULL,
    context {int} NOT NULL,
    action {int} NOT NULL,
    expires_at {int}
);
CREATE INDEX filter_owner ON filter (owner_id, id);
CREATE TABLE filter_keyword (
    id {id},
    filter_id {int} NOT NULL REFERENCES filter (id) ON DELETE CASCADE,
    keyword {text} NOT NULL,
    whole_word {int} NOT NULL
);
CREATE INDEX filter_keyword_filter ON filter_keyword (filter_id, id);
CREATE TABLE filter_status (
    id {id},
    filter_id {int} NOT NULL REFERENCES filter (id) ON DELETE CASCADE,
    post_id {int} NOT NULL REFERENCES post (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX filter_status_once ON filter_status (filter_id, post_id);
CREATE INDEX filter_status_post ON filter_status (post_id);
-- One row for each person that has filters: it changes with them, so that what is kept of them is known to be right.
CREATE TABLE filter_revision (
    owner_id {int} PRIMARY KEY REFERENCES actor (id),
    rev {int} NOT NULL
) {without_rowid};

-- group_key: what belongs together. filtered: kept apart until its owner accepts the sender. about_id: of a report.
ALTER TABLE notification ADD COLUMN group_key {text};
ALTER TABLE notification ADD COLUMN filtered {int} NOT NULL DEFAULT 0;
ALTER TABLE notification ADD COLUMN about_id {int};
DROP INDEX notification_once;
CREATE UNIQUE INDEX notification_once
    ON notification (owner_id, kind, from_id, coalesce(post_id, 0), coalesce(about_id, 0));
CREATE INDEX notification_group ON notification (owner_id, group_key, id) WHERE group_key IS NOT NULL;
CREATE INDEX notification_filtered ON notification (owner_id, from_id, id) WHERE filtered = 1;
UPDATE notification SET group_key = kind || '-' || post_id || '-' || (created_at / 43200000 * 12)
    WHERE kind IN ('favourite', 'reblog') AND post_id IS NOT NULL;
UPDATE notification SET group_key = kind || '-' || (created_at / 43200000 * 12) WHERE kind = 'follow';

-- 0 accept, 1 filter, 2 drop.
CREATE TABLE notification_policy (
    owner_id {int} PRIMARY KEY REFERENCES actor (id),
    not_following {int} NOT NULL,
    not_followers {int} NOT NULL,
    new_accounts {int} NOT NULL,
    private_mentions {int} NOT NULL,
    limited_accounts {int} NOT NULL
) {without_rowid};
CREATE TABLE notification_permission (
    owner_id {int} NOT NULL REFERENCES actor (id),
    from_id {int} NOT NULL REFERENCES actor (id),
    PRIMARY KEY (owner_id, from_id)
) {without_rowid};
CREATE TABLE notification_request (
    id {id},
    owner_id {int} NOT NULL REFERENCES actor (id),
    from_id {int} NOT NULL REFERENCES actor (id),
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL
);
CREATE UNIQUE INDEX notification_request_once ON notification_request (owner_id, from_id);
CREATE INDEX notification_request_owner ON notification_request (owner_id, id);

-- Direct posts of one thread among the same people, once for each local person. people: the others' ids, sorted.
CREATE TABLE conversation (
    id {id},
    owner_id {int} NOT NULL REFERENCES actor (id),
    thread_id {int} NOT NULL,
    people {text} NOT NULL,
    last_post_id {int} NOT NULL,
    unread {int} NOT NULL
);
CREATE UNIQUE INDEX conversation_once ON conversation (owner_id, thread_id, people);
CREATE INDEX conversation_last ON conversation (owner_id, last_post_id);
CREATE INDEX conversation_thread ON conversation (thread_id);
CREATE TABLE conversation_post (
    owner_id {int} NOT NULL,
    post_id {int} NOT NULL REFERENCES post (id) ON DELETE CASCADE,
    conversation_id {int} NOT NULL REFERENCES conversation (id) ON DELETE CASCADE,
    PRIMARY KEY (owner_id, post_id)
) {without_rowid};
CREATE INDEX conversation_post_post ON conversation_post (post_id);
CREATE INDEX conversation_post_conversation ON conversation_post (conversation_id, post_id);
