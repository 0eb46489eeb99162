//! Every bound of this crate, with its source.

use std::time::Duration;

use pc_types::SignedDuration;

/// One deadline for reading the ClientHello and for the handshake. Ten seconds let a satellite link
/// with a lost packet through and starve a peer that sends one octet at a time.
pub const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);

/// A ClientHello message, its four octets of header included. RFC 8446 4 would allow 16 MiB; hellos
/// with post-quantum key shares and tickets stay below 4 KiB.
pub const HELLO_OCTETS_MAX: usize = 16 * 1024;

/// A hello in the format of SSL 2.0 with its header. The real ones have some hundred octets, the longest challenge
/// included.
pub const SSL_V2_OCTETS_MAX: usize = 4096;

/// Plain text of one record, RFC 8446 5.1.
pub const RECORD_OCTETS_MAX: usize = 1 << 14;

/// Records one ClientHello may be spread over. Fragmenting stacks use two to five; more only makes
/// us work.
pub const HELLO_RECORDS_MAX: usize = 32;

/// Extensions in one ClientHello. Browsers send about twenty, scanners up to sixty.
pub const EXTENSIONS_MAX: usize = 128;

/// Octets asked from the socket at once while the ClientHello is read.
pub(crate) const READ_OCTETS: usize = 4096;

/// Sessions kept per listener for TLS 1.2 clients that resume by session id instead of by ticket.
/// The library's default of 256 is turned over within a second on a busy port.
pub const SESSIONS_MAX: usize = 8192;

/// Size of a PEM file: a chain of ten certificates needs about 20 KiB.
pub const PEM_OCTETS_MAX: u64 = 1024 * 1024;

/// Certificates in one chain file; public chains have two to four.
pub const CHAIN_CERTIFICATES_MAX: usize = 10;

/// DER octets of all certificates of a chain. The library takes handshake messages of up to 0xffff octets, and other stacks not
/// much more; a quarter of that is left for what stands between the certificates and for a response of OCSP. Public chains
/// have 3 to 6 KiB.
pub const CHAIN_OCTETS_MAX: usize = 48 * 1024;

/// Certificate pairs of one store.
pub const PAIRS_MAX: usize = 64;

/// SSL Labs guide 1.6, 1.1, and the CA/Browser Forum's baseline requirements 6.1.5.
pub const RSA_BITS_MIN: usize = 2048;

/// Lifetime of a self-made certificate. Apple's platforms refuse over 825 days for private roots and
/// over 398 for public ones.
pub const SELF_MADE_DAYS: i64 = 397;

/// A self-made certificate that ends sooner than this is made again at start.
pub const SELF_MADE_RENEWAL_DAYS: i64 = 30;

/// Code points in one probe of the self-check: 8 KiB, so that a hello fits in one record.
pub(crate) const PROBE_CODES_MAX: usize = 4096;

/// Connections of one check of a server: enough for all suites of four versions one by one, and few beside what a browser
/// opens for one page.
pub const CHECK_CONNECTIONS_MAX: usize = 120;

/// One of them.
pub const CHECK_CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);

/// All of them.
pub const CHECK_TIMEOUT: Duration = Duration::from_secs(180);

/// Octets read of an answer to a hello, and of the head of an HTTP response.
pub(crate) const CHECK_ANSWER_OCTETS_MAX: usize = 32 * 1024;

/// Waiting for tickets, which come right behind a handshake.
pub(crate) const CHECK_TICKET_TIMEOUT: Duration = Duration::from_secs(1);

/// Waiting for a port that may not speak HTTP.
pub(crate) const CHECK_READ_TIMEOUT: Duration = Duration::from_secs(3);

/// An OCSP response. Real ones have some hundred octets, with the certificate of a delegated responder two to four thousand.
pub const OCSP_RESPONSE_OCTETS_MAX: usize = 64 * 1024;

/// What of it is stapled. With the longest chain it still fits into one handshake message, and into what every client takes.
pub(crate) const OCSP_STAPLE_OCTETS_MAX: usize = 8 * 1024;

/// Certificates in one; a delegated responder shows its own, some show the chain as well.
pub(crate) const OCSP_CERTIFICATES_MAX: usize = 10;

/// Certificates that one speaks of. RFC 5019 2.2.1 wants one; some speak of a few.
pub(crate) const OCSP_SINGLE_RESPONSES_MAX: usize = 64;

/// How far ahead of ours the clock of a responder may be, as usual where signed times are compared (RFC 5019 4).
pub(crate) const OCSP_CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// How long an answer without nextUpdate counts. RFC 6960 4.2.2.1: newer information is available at any time, so that clients
/// do not take an old one.
pub(crate) const OCSP_LIFETIME_UNSTATED: SignedDuration = SignedDuration::from_hours(24);

/// The longest time between two questions. The CA/Browser Forum's baseline requirements 4.9.10 let answers last ten days at most;
/// those of private authorities may last a year, in which a revocation must be seen.
pub(crate) const OCSP_ASK_AGAIN_MAX: SignedDuration = SignedDuration::from_hours(5 * 24);

/// The shortest, for responders whose answers are nearly over when they come.
pub(crate) const OCSP_ASK_AGAIN_MIN: SignedDuration = SignedDuration::from_mins(1);

/// After the first failure; twice as long after each further one.
pub(crate) const OCSP_RETRY_FIRST: SignedDuration = SignedDuration::from_mins(1);

/// Up to this.
pub(crate) const OCSP_RETRY_MAX: SignedDuration = SignedDuration::from_hours(1);
