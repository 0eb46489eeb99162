-- How often the web edge refused something, or would have, by day. `site` is empty where no served host was named.
CREATE TABLE web_tally (
    day TEXT NOT NULL,
    site TEXT NOT NULL,
    kind TEXT NOT NULL,
    code TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (day, site, kind, code)
) STRICT, WITHOUT ROWID;
