-- The tries of a notice that goes to a webhook. One without a row was not tried yet and is due at once, so that nothing can
-- be lost between writing the notice and writing its next try.
CREATE TABLE webhook_try (
    -- Of the notice.
    number INTEGER PRIMARY KEY,
    tries INTEGER NOT NULL,
    -- retrying, delivered, given_up, gone or disabled.
    state TEXT NOT NULL,
    -- What its receiver said last, or why it said nothing.
    answer TEXT NOT NULL,
    tried_at TEXT NOT NULL,
    -- While another try is to come.
    next_at TEXT
) STRICT;
-- Webhooks whose receivers said that they are gone, by the address that said it.
CREATE TABLE webhook_disabled (
    name TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    at TEXT NOT NULL,
    answer TEXT NOT NULL
) STRICT;
