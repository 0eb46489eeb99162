-- Pauses of the ladder, and stops (without a tenant). Kept for good: they are what a year's budget is counted by.
CREATE TABLE pause (
    number INTEGER PRIMARY KEY,
    pause TEXT NOT NULL
) STRICT;
