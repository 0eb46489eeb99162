-- What owners attest of their servers: the last of each host.
CREATE TABLE attestation (
    tenant TEXT NOT NULL,
    host TEXT NOT NULL,
    build TEXT NOT NULL,
    -- By the clock of the host.
    at TEXT NOT NULL,
    received_at TEXT NOT NULL,
    nonce TEXT NOT NULL,
    -- Where it came from; NULL for one that was taken in by hand.
    address TEXT,
    PRIMARY KEY (tenant, host)
) STRICT, WITHOUT ROWID;
