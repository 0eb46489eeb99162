//! Tests of the whole product: the real binary, or a real node under a clock of the test's, with
//! real peers. Groups named `interop_` and `browser` need programs that `cargo xtask test` installs.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that finds something else than it expects should stop there"
)]

mod attestation;
mod browser;
mod browser_forms;
mod browser_owa;
mod catalogue;
mod certificate_records;
mod cli;
mod connectors;
mod crash;
mod drain;
mod floors;
mod handover;
mod identity;
mod interop_aiosmtpd;
mod interop_attestation;
mod interop_curl;
mod interop_dovecot;
mod interop_exim;
mod interop_http2;
mod interop_milter;
mod interop_minisign;
mod interop_nmap;
mod interop_ntlm;
mod interop_ocsp;
mod interop_opensmtpd;

mod interop_openssl;
mod interop_pebble;
mod interop_postfix;
mod interop_sslscan;
mod interop_sslyze;
mod interop_testssl;
mod interop_tls_check;
mod interop_webhook;
mod listeners;
mod milter;
mod mta_sts;
mod node_watch;
mod notices;
mod own_listeners;
mod pauses;
mod peers;
mod recipients;
mod requiretls;
mod sender;
mod smuggling;
mod spool;
mod stream;
mod support;
mod upstreams;
mod web;
mod web_client_page;
mod web_conformance;
mod web_forward;
mod web_host;
mod web_stream;
mod webhooks;
mod year;
