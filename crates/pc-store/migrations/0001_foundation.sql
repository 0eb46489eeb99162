-- Times are RFC 3339 in UTC with six fraction digits, so that text order is time order.

-- One row per sending server; `record` is the ladder's record as JSON, the other columns repeat what
-- listings filter and sort by.
CREATE TABLE server (
    id TEXT PRIMARY KEY,
    record TEXT NOT NULL,
    first_seen TEXT NOT NULL,
    last_seen TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX server_last_seen ON server (last_seen);

-- What a server's lines showed, one row for each change.
CREATE TABLE sighting (
    server_id TEXT NOT NULL,
    at TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    verdict TEXT NOT NULL,
    build TEXT,
    header TEXT,
    reason TEXT NOT NULL,
    PRIMARY KEY (server_id, at)
) STRICT, WITHOUT ROWID;

-- What happened to a server in the ladder.
CREATE TABLE ladder_event (
    server_id TEXT NOT NULL,
    at TEXT NOT NULL,
    code TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
CREATE INDEX ladder_event_server ON ladder_event (server_id, at);

-- One row per transaction.
CREATE TABLE trace (
    id TEXT PRIMARY KEY,
    at TEXT NOT NULL,
    address TEXT NOT NULL,
    greeting TEXT NOT NULL,
    server_id TEXT NOT NULL,
    tls TEXT,
    reverse_path TEXT NOT NULL,
    message_id TEXT,
    octets INTEGER NOT NULL,
    verdict TEXT,
    enforcement TEXT NOT NULL,
    outcome TEXT NOT NULL,
    reply TEXT NOT NULL,
    upstream TEXT,
    elapsed_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX trace_at ON trace (at);
CREATE INDEX trace_address ON trace (address, at);
CREATE INDEX trace_reverse_path ON trace (reverse_path, at);
CREATE INDEX trace_message_id ON trace (message_id);
CREATE INDEX trace_server ON trace (server_id, at);

CREATE TABLE trace_recipient (
    trace_id TEXT NOT NULL,
    forward_path TEXT NOT NULL,
    reply TEXT NOT NULL,
    at TEXT NOT NULL
) STRICT;
CREATE INDEX trace_recipient_trace ON trace_recipient (trace_id);
CREATE INDEX trace_recipient_forward_path ON trace_recipient (forward_path, at);

-- Clients that the TLS standard refused, one row per address, refusal and fingerprint.
CREATE TABLE tls_client (
    address TEXT NOT NULL,
    refusal TEXT NOT NULL,
    ja4 TEXT NOT NULL,
    listener TEXT NOT NULL,
    version TEXT NOT NULL,
    server_name TEXT,
    suites TEXT NOT NULL,
    first_seen TEXT NOT NULL,
    last_seen TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (address, refusal, ja4)
) STRICT, WITHOUT ROWID;

-- Who changed what, and why.
CREATE TABLE audit (
    at TEXT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE INDEX audit_at ON audit (at);
