-- The trace in segments of time. An index that begins with the segment is written at its end only, however many rows
-- lie before: the cost of a row does not grow with the table. A search walks the segments from the newest on.

-- A transaction is in the last segment that begins at or before it; the lowest begins at '', before all times.
CREATE TABLE trace_segment (
    number INTEGER PRIMARY KEY,
    at_from TEXT NOT NULL,
    row_count INTEGER NOT NULL
) STRICT;
CREATE INDEX trace_segment_at_from ON trace_segment (at_from);
INSERT INTO trace_segment (number, at_from, row_count) SELECT 1, '', count(*) FROM trace;

ALTER TABLE trace ADD COLUMN segment INTEGER NOT NULL DEFAULT 1;
ALTER TABLE trace_recipient ADD COLUMN segment INTEGER NOT NULL DEFAULT 1;

DROP INDEX trace_address;
DROP INDEX trace_reverse_path;
DROP INDEX trace_reverse_path_domain;
DROP INDEX trace_message_id;
DROP INDEX trace_server;
DROP INDEX trace_outcome;
DROP INDEX trace_recipient_forward_path;
DROP INDEX trace_recipient_domain;
CREATE INDEX trace_address ON trace (segment, address, at);
CREATE INDEX trace_reverse_path ON trace (segment, reverse_path, at);
CREATE INDEX trace_reverse_path_domain ON trace (segment, reverse_path_domain, at);
CREATE INDEX trace_message_id ON trace (segment, message_id, at);
CREATE INDEX trace_server ON trace (segment, server_id, at);
CREATE INDEX trace_outcome ON trace (segment, outcome, at);
CREATE INDEX trace_recipient_forward_path ON trace_recipient (segment, forward_path, at, trace_id);
CREATE INDEX trace_recipient_domain ON trace_recipient (segment, forward_path_domain, at, trace_id);
