-- What a transaction's row tells of its connection and of the server behind, and the columns and indices that make
-- every search walk an index in the order of its answer. Paths hold their domain in lower case (RFC 5321 2.4), the
-- local part as written.

ALTER TABLE trace ADD COLUMN reverse_path_domain TEXT NOT NULL DEFAULT '';
ALTER TABLE trace ADD COLUMN connected_at TEXT NOT NULL DEFAULT '';
ALTER TABLE trace ADD COLUMN listener TEXT NOT NULL DEFAULT '';
ALTER TABLE trace ADD COLUMN connector TEXT NOT NULL DEFAULT '';
ALTER TABLE trace ADD COLUMN upstream_reply TEXT;

-- The domain is what follows the last '@': rtrim takes everything that is no '@' off the end.
UPDATE trace SET
    connected_at = at,
    reverse_path_domain = CASE WHEN instr(reverse_path, '@') = 0 THEN ''
        ELSE lower(substr(reverse_path, length(rtrim(reverse_path, replace(reverse_path, '@', ''))) + 1)) END,
    reverse_path = CASE WHEN instr(reverse_path, '@') = 0 THEN reverse_path
        ELSE rtrim(reverse_path, replace(reverse_path, '@', ''))
            || lower(substr(reverse_path, length(rtrim(reverse_path, replace(reverse_path, '@', ''))) + 1)) END;

ALTER TABLE trace_recipient ADD COLUMN forward_path_domain TEXT NOT NULL DEFAULT '';
UPDATE trace_recipient SET
    forward_path_domain = CASE WHEN instr(forward_path, '@') = 0 THEN ''
        ELSE lower(substr(forward_path, length(rtrim(forward_path, replace(forward_path, '@', ''))) + 1)) END,
    forward_path = CASE WHEN instr(forward_path, '@') = 0 THEN forward_path
        ELSE rtrim(forward_path, replace(forward_path, '@', ''))
            || lower(substr(forward_path, length(rtrim(forward_path, replace(forward_path, '@', ''))) + 1)) END;

-- The steps of a transaction as a JSON array, read for one transaction at a time and kept apart so that rows stay short.
CREATE TABLE trace_steps (
    trace_id TEXT PRIMARY KEY,
    steps TEXT NOT NULL
) STRICT;

-- Indices of `trace` end in its primary key, so (column, at) gives the order (at, id) as well.
CREATE INDEX trace_reverse_path_domain ON trace (reverse_path_domain, at);
CREATE INDEX trace_outcome ON trace (outcome, at);
DROP INDEX trace_message_id;
CREATE INDEX trace_message_id ON trace (message_id, at);
DROP INDEX trace_recipient_forward_path;
CREATE INDEX trace_recipient_forward_path ON trace_recipient (forward_path, at, trace_id);
CREATE INDEX trace_recipient_domain ON trace_recipient (forward_path_domain, at, trace_id);
