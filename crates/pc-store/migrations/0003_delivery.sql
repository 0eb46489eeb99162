-- What happened to a spooled message after its sender was answered, in the order of the rows. `outcome` is what its
-- transaction shows from then on; a report about the message leaves it as it is.
CREATE TABLE delivery (
    trace_id TEXT NOT NULL,
    at TEXT NOT NULL,
    code TEXT NOT NULL,
    detail TEXT NOT NULL,
    outcome TEXT
) STRICT;
CREATE INDEX delivery_trace ON delivery (trace_id);
