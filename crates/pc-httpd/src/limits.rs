//! Bounds of the shell of the HTTPS edge; those of the decisions are in `pc_http::limits`.

use std::time::Duration;

/// A handshake with a client, from the first octet of its hello.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// A client that takes no octet for so long is gone.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// What is read after an answer that closes, so that the client gets to read it (RFC 9112 9.6).
pub const LINGER_OCTETS_MAX: usize = 64 * 1024;
/// How long that may take.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(2);
/// A request with `Expect: 100-continue` waits so long for the server's word; curl waits as long before it sends unasked.
pub const EXPECT_PATIENCE: Duration = Duration::from_secs(1);
/// Octets of a response's header, and of what is read ahead from a server.
pub const BEHIND_BUFFER_OCTETS_MAX: usize = 128 * 1024;
/// Fields of a response.
pub const BEHIND_FIELDS_MAX: usize = 100;
/// One `healthcheck.htm`, from the request to the end of its header.
pub const HEALTH_CHECK_TIMEOUT: Duration = Duration::from_secs(10);
/// Octets of its body, which is a status and a name.
pub const HEALTH_CHECK_OCTETS_MAX: usize = 16 * 1024;
/// Clients at the asker's address that its page shows. Behind a shared address there may be many; the newest are his.
pub const SEEN_CLIENTS_MAX: usize = 20;
/// How far the page looks back.
pub const SEEN_CLIENTS_HOURS: i64 = 1;
