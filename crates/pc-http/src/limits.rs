//! Bounds of the HTTPS edge.

use std::time::Duration;

/// Octets of a request line. Exchange's EWS takes 2,048 of query, OWA 500 of path; 8,000 is what RFC 9112 3 asks of
/// all recipients.
pub const REQUEST_LINE_OCTETS_MAX: usize = 8_192;
/// Octets of a header section; Kerberos tickets of users in many groups reach tens of KiB.
pub const HEADER_OCTETS_MAX: usize = 65_536;
/// Fields of a header section.
pub const FIELDS_MAX: usize = 100;
/// Octets of a chunk's size in hexadecimal: 16^8 octets, 4 GiB.
pub const CHUNK_SIZE_DIGITS_MAX: usize = 8;
/// Digits of Content-Length: below 10^15.
pub const CONTENT_LENGTH_DIGITS_MAX: usize = 15;
/// Rounds of percent-decoding until a path must be stable; ProxyNotShell was hidden behind one more than was looked at.
pub const DECODING_ROUNDS_MAX: usize = 2;
/// Octets of a pack of virtual patches; the one of the program has 3 KiB.
pub const PACK_OCTETS_MAX: usize = 1024 * 1024;
/// Octets of a rule's id.
pub const RULE_ID_OCTETS_MAX: usize = 64;
/// Octets of a rule's title, and of what it adds to a response.
pub const RULE_TEXT_OCTETS_MAX: usize = 400;
/// Vulnerabilities that one rule shields against.
pub const CVES_MAX: usize = 32;
/// Words of one condition. Each is looked for in each request, so that a pack cannot make them dear.
pub const NEEDLES_MAX: usize = 64;
/// Rules of a pack of virtual patches.
pub const PATCHES_MAX: usize = 1_000;
/// Conditions of one rule.
pub const CONDITIONS_MAX: usize = 16;
/// Octets of what a condition looks for.
pub const NEEDLE_OCTETS_MAX: usize = 256;

/// From the first octet of a request to the end of its header. Slowloris lives on longer ones.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two requests, and before the first. IIS closes after 120 s itself.
pub const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(120);
/// Time that a client may let us wait inside a body, all pauses together, before its rate counts.
pub const BODY_PATIENCE: Duration = Duration::from_secs(30);
/// Octets of a body a second after that. Apache's mod_reqtimeout asks for 500; GPRS phones still come with less.
pub const BODY_OCTETS_PER_SECOND_MIN: u64 = 240;

/// CONTINUATION frames of one header in HTTP/2; the longest header fills four frames of the size that every peer takes.
pub const CONTINUATIONS_MAX: usize = 16;
/// Frames of HTTP/2 at once that move nothing (PING, SETTINGS, PRIORITY, empty DATA). Browsers send some ten at the beginning.
pub const CONTROL_FRAMES_MAX: u32 = 100;
/// How many more each second; an answer to each of our own PINGs is among them.
pub const CONTROL_FRAMES_A_SECOND: u32 = 10;
/// RST_STREAM frames at once. Who leaves a page resets what it still loads: tens.
pub const RESETS_MAX: u32 = 100;
/// How many more each second.
pub const RESETS_A_SECOND: u32 = 1;
/// Attestations of one IPv4 address or IPv6 /64 in a minute: all servers of a large site behind one address, each by its task at
/// the same minute.
pub const ALLOWANCE_PER_MINUTE: u32 = 60;
/// Clients that are counted at once, about 60 octets each.
pub const ALLOWANCE_CLIENTS_MAX: usize = 4_096;
