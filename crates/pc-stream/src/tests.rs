//! Transcripts: `C` and `S` are what client and server say, `c` and `s` what reaches them, `!` what
//! happens. Each runs in whole lines and one octet at a time.

mod behind;
mod plain;
mod relay;
