-- Moderation and the instance's own texts: what moderators decided, who may sign up, rules, announcements, emoji.

-- sensitized: everything that the account attaches counts as sensitive. limited: it is, or is again after a suspension.
ALTER TABLE actor ADD COLUMN sensitized {int} NOT NULL DEFAULT 0;
ALTER TABLE actor ADD COLUMN limited {int} NOT NULL DEFAULT 0;

-- disabled: may not sign in. email_hash: of the address without dots and +tags (the canonical one). reason, locale,
-- app_id: what came with the sign-up.
ALTER TABLE credential ADD COLUMN disabled {int} NOT NULL DEFAULT 0;
ALTER TABLE credential ADD COLUMN email_hash {text};
ALTER TABLE credential ADD COLUMN reason {text};
ALTER TABLE credential ADD COLUMN locale {text};
ALTER TABLE credential ADD COLUMN app_id {int};

-- From where somebody signed up and in; for moderators, forgotten after a while.
CREATE TABLE sign_in (
    actor_id {int} NOT NULL REFERENCES actor (id) ON DELETE CASCADE,
    address {text} NOT NULL,
    used_at {int} NOT NULL,
    PRIMARY KEY (actor_id, address)
) {without_rowid};
CREATE INDEX sign_in_age ON sign_in (used_at);

ALTER TABLE report ADD COLUMN category {text} NOT NULL DEFAULT 'other';
ALTER TABLE report ADD COLUMN rule_ids {text} NOT NULL DEFAULT '[]';
ALTER TABLE report ADD COLUMN forwarded {int} NOT NULL DEFAULT 0;
ALTER TABLE report ADD COLUMN assigned_id {int};
ALTER TABLE report ADD COLUMN resolved_by {int};
ALTER TABLE report ADD COLUMN updated_at {int} NOT NULL DEFAULT 0;
CREATE INDEX report_target ON report (target_id, id);

CREATE TABLE email_domain_block (
    id {id},
    domain {text} NOT NULL UNIQUE,
    with_approval {int} NOT NULL DEFAULT 0,
    created_at {int} NOT NULL
);

-- Addresses that may not come back, as hashes. actor_id: whose it was, when a suspension made the entry.
CREATE TABLE canonical_email_block (
    id {id},
    hash {text} NOT NULL UNIQUE,
    actor_id {int} REFERENCES actor (id) ON DELETE CASCADE,
    created_at {int} NOT NULL
);

-- severity: sign_up_requires_approval, sign_up_block, no_access.
CREATE TABLE ip_block (
    id {id},
    network {text} NOT NULL UNIQUE,
    severity {text} NOT NULL,
    comment {text} NOT NULL DEFAULT '',
    created_at {int} NOT NULL,
    expires_at {int}
);

-- translations: JSON, {"de": {"text": "…", "hint": "…"}}. Removed rules stay for the reports that name them.
CREATE TABLE instance_rule (
    id {id},
    text {text} NOT NULL,
    hint {text} NOT NULL DEFAULT '',
    translations {text} NOT NULL DEFAULT '{}',
    created_at {int} NOT NULL,
    removed_at {int}
);

CREATE TABLE announcement (
    id {id},
    text {text} NOT NULL,
    starts_at {int},
    ends_at {int},
    all_day {int} NOT NULL DEFAULT 0,
    published_at {int} NOT NULL,
    updated_at {int} NOT NULL
);
CREATE TABLE announcement_read (
    announcement_id {int} NOT NULL REFERENCES announcement (id) ON DELETE CASCADE,
    actor_id {int} NOT NULL REFERENCES actor (id) ON DELETE CASCADE,
    PRIMARY KEY (announcement_id, actor_id)
) {without_rowid};
CREATE TABLE announcement_reaction (
    announcement_id {int} NOT NULL REFERENCES announcement (id) ON DELETE CASCADE,
    actor_id {int} NOT NULL REFERENCES actor (id) ON DELETE CASCADE,
    name {text} NOT NULL,
    id {int} NOT NULL,
    PRIMARY KEY (announcement_id, actor_id, name)
) {without_rowid};

-- Our own emoji. file, still: names in the folder of media; still is a picture that does not move.
CREATE TABLE custom_emoji (
    code {text} PRIMARY KEY,
    file {text} NOT NULL,
    still {text} NOT NULL,
    category {text},
    visible {int} NOT NULL DEFAULT 1,
    updated_at {int} NOT NULL
) {without_rowid};

-- What moderators said about something that is in use a lot. kind: tag, link, publisher, status.
CREATE TABLE trend_review (
    kind {text} NOT NULL,
    key {text} NOT NULL,
    allowed {int} NOT NULL,
    reviewed_at {int} NOT NULL,
    PRIMARY KEY (kind, key)
) {without_rowid};

-- What moderators set for a hashtag. usable 0: new posts carry it as plain text. listable 0: not suggested, not found.
CREATE TABLE tag_setting (
    tag {text} PRIMARY KEY,
    usable {int} NOT NULL DEFAULT 1,
    listable {int} NOT NULL DEFAULT 1
) {without_rowid};

-- On which days (since 1970) somebody was here: for weekly numbers, forgotten after a year.
CREATE TABLE active_day (
    day {int} NOT NULL,
    actor_id {int} NOT NULL REFERENCES actor (id) ON DELETE CASCADE,
    PRIMARY KEY (day, actor_id)
) {without_rowid};
