-- Sign-in of apps: one-time codes, and the browser sessions of the consent page. Both are stored as hashes.
CREATE TABLE oauth_code (
    code_hash {text} PRIMARY KEY,
    app_id {int} NOT NULL REFERENCES app (id),
    actor_id {int} NOT NULL REFERENCES actor (id),
    redirect_uri {text} NOT NULL,
    scopes {text} NOT NULL,
    challenge {text},
    expires_at {int} NOT NULL,
    token_id {int}
) {without_rowid};
CREATE INDEX oauth_code_age ON oauth_code (expires_at);

CREATE TABLE session (
    session_hash {text} PRIMARY KEY,
    actor_id {int} NOT NULL REFERENCES actor (id),
    created_at {int} NOT NULL,
    expires_at {int} NOT NULL
) {without_rowid};
CREATE INDEX session_actor ON session (actor_id);
