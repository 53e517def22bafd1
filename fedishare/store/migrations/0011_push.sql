-- Push subscriptions of apps.

-- One for each token. sealed: the token itself, encrypted with the instance's key, because apps find the account by it.
-- alerts: the kinds of notifications that are wanted, between spaces.
CREATE TABLE push_subscription (
    id {id},
    token_id {int} NOT NULL UNIQUE REFERENCES token (id) ON DELETE CASCADE,
    actor_id {int} NOT NULL REFERENCES actor (id) ON DELETE CASCADE,
    endpoint {text} NOT NULL,
    p256dh {blob} NOT NULL,
    auth {blob} NOT NULL,
    standard {int} NOT NULL,
    alerts {text} NOT NULL,
    policy {text} NOT NULL,
    sealed {blob} NOT NULL,
    created_at {int} NOT NULL
);
CREATE INDEX push_subscription_actor ON push_subscription (actor_id);
