//! Transcripts: `C` and `S` are what client and server say, `c` and `s` what reaches them, `!` what
//! happens. Each runs in whole lines and one octet at a time.

#![expect(clippy::unwrap_used, reason = "a test that finds something else than it expects should stop there")]

mod behind;
mod plain;
mod relay;
