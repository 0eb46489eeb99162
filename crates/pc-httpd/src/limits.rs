//! Bounds of the shell of the HTTPS edge; those of the decisions are in `pc_http::limits`.

use std::time::Duration;

use pc_net::KeepAlive;

/// A handshake with a client, from the first octet of its hello.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// For the sockets of servers behind. One that vanishes without a word, or a firewall between that forgets, is noticed two minutes
/// later and not when a Ping of ActiveSync would have ended.
pub const SERVER_KEEP_ALIVE: KeepAlive =
    KeepAlive { idle: Duration::from_secs(60), interval: Duration::from_secs(15), probes_max: 4 };
/// The same for clients. A phone's radio wakes for each question, so that they are rarer; Microsoft tells firewalls to bear 15 to 30
/// minutes of silence, and mobile networks forget after five and more.
pub const CLIENT_KEEP_ALIVE: KeepAlive =
    KeepAlive { idle: Duration::from_secs(270), interval: Duration::from_secs(15), probes_max: 4 };
/// A client that takes no octet for so long is gone.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// What is read after an answer that closes, so that the client gets to read it (RFC 9112 9.6).
pub const LINGER_OCTETS_MAX: usize = 64 * 1024;
/// How long that may take.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(2);
/// A connection of HTTP/1 on which nothing happens for so long gives its buffers back. What a page loads comes closer together.
pub const REST_AFTER: Duration = Duration::from_millis(100);
/// Octets of a request that are read before there are buffers for it.
pub const AHEAD_OCTETS: usize = 1_024;
/// A request with `Expect: 100-continue` waits so long for the server's word; curl waits as long before it sends unasked.
pub const EXPECT_PATIENCE: Duration = Duration::from_secs(1);
/// Octets of a response's header, and of what is read ahead from a server.
pub const BEHIND_BUFFER_OCTETS_MAX: usize = 128 * 1024;
/// One `healthcheck.htm`, from the request to the end of its header.
pub const HEALTH_CHECK_TIMEOUT: Duration = Duration::from_secs(10);
/// Octets of its body, which is a status and a name.
pub const HEALTH_CHECK_OCTETS_MAX: usize = 16 * 1024;
/// Clients at the asker's address that its page shows. Behind a shared address there may be many; the newest are his.
pub const SEEN_CLIENTS_MAX: usize = 20;
/// How far the page looks back.
pub const SEEN_CLIENTS_HOURS: i64 = 1;

/// Streams of an HTTP/2 connection at once; RFC 9113 6.5.2 advises no fewer than 100, and Rapid Reset fed on many.
pub const STREAMS_MAX: u32 = 100;
/// Connections to servers behind one HTTP/2 connection; further streams wait. A browser opens six in HTTP/1.1, and each OWA window
/// keeps one for its notifications.
pub const LINKS_MAX: usize = 16;
/// How long a stream waits for one of them before it is told to come again.
pub const LINK_PATIENCE: Duration = Duration::from_secs(30);
/// A connection behind that no stream has used for so long is closed. IIS closes after 120 s, and a request must not meet that.
pub const LINK_IDLE: Duration = Duration::from_secs(60);
/// Requests of an HTTP/2 connection, after which it is told to go (GOAWAY): what a connection costs over its life stays bounded.
/// nginx has the same number.
pub const REQUESTS_PER_CONNECTION_MAX: u64 = 1_000;
/// Octets of a header list as HTTP/2 counts them, 32 more for each field (RFC 9113 6.5.2).
pub const HEADER_LIST_OCTETS_MAX: u32 = 8_192 + 65_536 + 32 * 104;
/// Streams that were reset before they were looked at (CVE-2023-44487); h2's own number.
pub const PENDING_RESETS_MAX: usize = 20;
/// Streams that a client made us reset (CVE-2025-8671). The library's number, 1024, is more than a connection's requests.
pub const OWN_RESETS_MAX: usize = 20;
/// Octets of a body that a client may send on one stream before the server behind has taken them.
pub const STREAM_WINDOW_OCTETS: u32 = 256 * 1024;
/// The same over all streams.
pub const CONNECTION_WINDOW_OCTETS: u32 = 1024 * 1024;
/// Octets of an answer that wait for the client on one stream.
pub const STREAM_SEND_OCTETS_MAX: usize = 64 * 1024;
/// A PING goes to a silent client so often: TCP alone notices a lost phone after minutes.
pub const PING_INTERVAL: Duration = Duration::from_secs(30);
/// How long its answer may take.
pub const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Octets of compressed header state (RFC 7541 4.2); the default of every peer.
pub const HEADER_TABLE_OCTETS: u32 = 4_096;
/// Octets of an attestation: `pc_enforce` takes no more.
pub const ATTESTATION_OCTETS_MAX: usize = 4_096;
/// How long its body may take.
pub const ATTESTATION_TIMEOUT: Duration = Duration::from_secs(10);
