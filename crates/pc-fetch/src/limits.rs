//! Named bounds of this crate.

use std::time::Duration;

/// Redirects at one host.
pub const REDIRECTS_MAX: usize = 3;
/// Addresses of one host that are tried.
pub const ADDRESSES_MAX: usize = 8;
/// Both questions to the DNS.
pub const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);
/// For each address.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For TLS.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Status line and fields of an answer; hyper takes 8192 at the least.
pub const HEAD_OCTETS_MAX: usize = 64 * 1024;
/// Of a redirect, in an error.
pub const LOCATION_SHOWN_OCTETS_MAX: usize = 200;
/// Octets of an entity tag that is kept; a longer one is as good as none.
pub const ETAG_OCTETS_MAX: usize = 256;
