-- What people are to be told. A row stays as the record of it; what became of its mail stands in `delivery`, under the
-- mail's id.
CREATE TABLE notice (
    number INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    addressee TEXT NOT NULL,
    -- The message or server that it is about.
    subject TEXT NOT NULL,
    -- Nobody is told the same twice.
    key TEXT NOT NULL,
    -- JSON.
    facts TEXT NOT NULL,
    -- The mail that says it, once the spool or a Maildir holds that.
    mail_id TEXT,
    handed_at TEXT,
    UNIQUE (addressee, key)
) STRICT;
CREATE INDEX notice_waiting ON notice (number) WHERE mail_id IS NULL;
CREATE INDEX notice_handed ON notice (addressee, handed_at) WHERE mail_id IS NOT NULL;
CREATE INDEX notice_subject ON notice (subject);
CREATE INDEX notice_at ON notice (at);
