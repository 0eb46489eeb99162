-- What a refused client offered, as JSON; empty where no hello could be read.
ALTER TABLE tls_client ADD COLUMN offer TEXT NOT NULL DEFAULT '';
CREATE INDEX tls_client_last_seen ON tls_client (last_seen);

-- How often each came by day, for summaries. `server_name` is empty for clients that asked for none.
CREATE TABLE tls_client_day (
    day TEXT NOT NULL,
    server_name TEXT NOT NULL,
    address TEXT NOT NULL,
    refusal TEXT NOT NULL,
    ja4 TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (day, server_name, address, refusal, ja4)
) STRICT, WITHOUT ROWID;
