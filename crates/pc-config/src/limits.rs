//! Bounds of the configuration and of the values in it.

use std::ops::RangeInclusive;

/// RFC 8461 3.2: at most a year of 365.25 days.
pub(crate) const MTA_STS_MAX_AGE_SECONDS: RangeInclusive<u64> = 0..=31_557_600;
/// RFC 8461 3.2 expects weeks or more; a changed policy is fetched long before, by its id.
pub(crate) const MTA_STS_MAX_AGE_SECONDS_DEFAULT: u64 = 1_209_600;
/// Octets of a configuration file.
pub const FILE_OCTETS_MAX: usize = 1024 * 1024;
/// SIZE: below 64 KiB no real mail fits (RFC 5321 4.5.3.1.7); 1 GiB is far beyond Exchange's 150 MB.
pub const MESSAGE_SIZE_BYTES: RangeInclusive<u64> = 65_536..=1_073_741_824;
/// Of `[[admin.user]]`, shown on each page: as long as a local part (RFC 5321 4.5.3.1.1).
pub const USER_NAME_OCTETS_MAX: usize = 64;
/// RFC 5321 4.5.3.1.8: at least 100.
pub const RECIPIENTS: RangeInclusive<u64> = 100..=10_000;
/// A minute or two is what service managers wait for; ten is the longest reply timeout of RFC 5321 4.5.3.2.
pub const DRAIN_SECONDS: RangeInclusive<u64> = 0..=600;
/// Connections at once.
pub const CONNECTIONS: RangeInclusive<u64> = 1..=100_000;
/// Connections to one server behind.
pub const UPSTREAM_CONNECTIONS: RangeInclusive<u64> = 1..=1_000;
/// Hosts of one server behind; each message may try them all until `pc_smtpd::limits::OPEN_TIMEOUT`.
pub const UPSTREAM_HOSTS_MAX: usize = 16;
/// RFC 6335 6.
pub const PORT: RangeInclusive<u64> = 1..=65_535;
/// Of a host, as in an MX record (RFC 5321 5.1): the lowest is asked first.
pub const PRIORITIES: RangeInclusive<u64> = 0..=65_535;
/// Of a host that names none.
pub const PRIORITY: u16 = 10;
/// How often hosts that answer are looked at; 0 for never.
pub const HEALTH_CHECK_SECONDS: RangeInclusive<u64> = 0..=3_600;
/// How long an answer about a recipient is remembered, up to a day.
pub const RECIPIENTS_CACHE_MINUTES: RangeInclusive<u64> = 0..=1_440;
/// What may divide a mailbox from its tag: the characters of an atom (RFC 5322 3.2.3) that no letter or digit is, without
/// quotes and those that mark a route.
pub const SUBADDRESS_CHARACTERS: &str = "#$&*+-/=?^_{|}~";
/// Waiting for the server behind.
pub const TIMEOUT_SECONDS: RangeInclusive<u64> = 1..=600;
/// `[[milter]]` entries; each message goes through all of them.
pub const MILTERS_MAX: usize = 8;
/// In a header field of messages that were not scanned.
pub const MILTER_NAME_OCTETS_MAX: usize = 64;
/// Waiting for one reply of a milter; all together have `pc_smtpd::limits::SCAN_TIMEOUT`.
pub const MILTER_TIMEOUT_SECONDS: RangeInclusive<u64> = 1..=240;
/// Days of grace, decay and trace.
pub const DAYS: RangeInclusive<u64> = 1..=3_650;
/// Size of the database; 0 for no limit.
pub const TRACE_MEGABYTES: RangeInclusive<u64> = 0..=1_048_576;
/// A security update may be owed at once.
pub const GRACE_DAYS: RangeInclusive<u64> = 0..=3_650;
/// `[[floor]]` entries; each judgement may look at all versions of a floor.
pub const FLOOR_VERSIONS_MAX: usize = 64;
/// `[[floor]] version`.
pub const FLOOR_VERSIONS: RangeInclusive<u64> = 1..=1_000_000;
/// `[[floor]] name`: it stands in listings and in the record of each server.
pub const FLOOR_NAME_OCTETS_MAX: usize = 64;
/// Between two probes.
pub const PROBE_MINUTES: RangeInclusive<u64> = 1..=1_440;
/// Mistakes that are told; nobody reads more at once, and a file of 1 MiB can hold very many.
pub const DIAGNOSTICS_MAX: usize = 1_000;
/// What `[telemetry] level` may be. A longer expression would be taken as a filter, and a word with a
/// slip in it as one that hides everything.
pub const LEVELS: &[&str] = &["error", "warn", "info", "debug", "trace"];
/// The link in the ladder's replies; the whole line has 512 octets (RFC 5321 4.5.3.1.5).
pub const LINK_OCTETS_MAX: usize = 120;
/// How long spooled mail is tried; RFC 5321 4.5.4.1 asks for four to five days.
pub const SPOOL_EXPIRE_HOURS: RangeInclusive<u64> = 1..=720;
/// When a sender is told of a delay; 0 for never.
pub const SPOOL_DELAY_REPORT_HOURS: RangeInclusive<u64> = 0..=72;
/// Size of the spool.
pub const SPOOL_MEGABYTES: RangeInclusive<u64> = 1..=10_485_760;
/// `[dns] servers`; resolv.conf(5) takes three.
pub const DNS_SERVERS_MAX: usize = 8;
/// One question to the DNS; resolv.conf(5) allows up to 30.
pub const DNS_TIMEOUT_SECONDS: RangeInclusive<u64> = 1..=30;
/// `[[dns_list]]` entries; each client is looked up in all of them.
pub const DNS_LISTS_MAX: usize = 16;
/// Any rate; 0 for no limit. Above this a limit would mean nothing on any machine.
pub const RATE: RangeInclusive<u64> = 0..=1_000_000_000;
/// New connections of browsers and mail programs from one address in a minute; 0 for no limit.
pub const NEW_CONNECTIONS: RangeInclusive<u64> = 0..=1_000_000;
/// The default for these, as for senders: a company behind one address that needs more raises connections_per_address_max as well.
pub const NEW_CONNECTIONS_PER_MINUTE: u32 = 3_000;
/// 50 a second from one address: more handshakes than any sender that reuses connections needs.
pub const CLIENT_CONNECTIONS_PER_MINUTE: u64 = 3_000;
/// A session ends after some 20 errors; this is for those that come back without end.
pub const CLIENT_ERRORS_PER_HOUR: u64 = 3_000;
/// A mailing list with many stale members stays below; guessing addresses by a dictionary does not.
pub const CLIENT_UNKNOWN_RECIPIENTS_PER_HOUR: u64 = 1_000;
/// Before the greeting; beyond this clients that behave begin to leave.
pub const GREETING_DELAY_SECONDS: RangeInclusive<u64> = 0..=10;
/// Before a reply; a client waits for at least 5 minutes (RFC 5321 4.5.3.2).
pub const TARPIT_SECONDS: RangeInclusive<u64> = 0..=60;
/// Clients whose replies are delayed at once.
pub const TARPIT_CONNECTIONS: usize = 100;
/// Heads of all messages together; one head has up to half a megabyte.
pub const MESSAGE_MEMORY_MEGABYTES: RangeInclusive<u64> = 1..=1_048_576;
/// Room on disk that is left free; 0 for no check.
pub const FREE_SPACE_MEGABYTES: RangeInclusive<u64> = 0..=1_048_576_000;
/// Between two mails to the operator.
pub const INTERVAL_MINUTES: RangeInclusive<u64> = 1..=1_440;
/// Soon enough for mail that waits for days, seldom enough for a bad night.
pub const OPERATOR_INTERVAL_MINUTES: u32 = 15;
/// `[[stream]]`: mail programs keep several connections open all day.
pub const STREAM_CONNECTIONS: usize = 5_000;
/// `[[stream]]`: an office behind one address; Outlook and phones hold up to five connections each.
pub const STREAM_CONNECTIONS_PER_ADDRESS: usize = 200;
/// `[[stream]] idle_timeout_seconds`; nobody waits for a day.
pub const STREAM_IDLE_SECONDS_MAX: u64 = 86_400;
/// `[[stream]] login_failures_per_hour`: a phone with an old password that asks every five minutes fails 12 times an hour; several
/// of them may stand behind one address. Exchange locks an account after 10 or so by the domain's policy.
pub const LOGIN_FAILURES_PER_HOUR: u64 = 120;
/// RFC 6797 6.1.1; 0 ends it. Two years are the most that is in use.
pub const HSTS_MAX_AGE_SECONDS: RangeInclusive<u64> = 0..=63_072_000;
/// What hstspreload.org asks for: a year.
pub const HSTS_PRELOAD_SECONDS_MIN: u64 = 31_536_000;
/// Connecting to a server of a site; a browser gives up after some 30.
pub const SITE_CONNECT_SECONDS: RangeInclusive<u64> = 1..=30;
/// How often the `healthcheck.htm` of each directory is read.
pub const SITE_HEALTH_CHECK_SECONDS: RangeInclusive<u64> = 1..=3_600;
/// A catalogue older than this is told of: Exchange gets updates monthly, so that it misses one.
pub const CATALOG_STALE_DAYS: u32 = 45;
/// `[catalog] sources`: each is fetched in turn.
pub const CATALOG_SOURCES_MAX: usize = 32;
/// Between two looks at the sources; 0 for none but by hand.
pub const CATALOG_UPDATE_HOURS: RangeInclusive<u64> = 0..=720;
/// Once a day: CISA's list changes on working days, MSRC's documents about as often.
pub const CATALOG_UPDATE_HOURS_DEFAULT: u32 = 24;
/// minisign: algorithm, key id and key, 42 octets in base64.
pub const PUBLIC_KEY_OCTETS: usize = 56;
/// Messages without a break that open a row of the ladder.
pub const OPEN_SIGHTINGS: RangeInclusive<u64> = 1..=1_000;
/// Hours that these messages span; a month is more than any update takes.
pub const OPEN_HOURS: RangeInclusive<u64> = 0..=720;
/// Products as the catalogue names them.
pub const PRODUCTS: &[&str] = &["2003", "2007", "2010", "2013", "2016", "2019", "SE"];
/// `[[notify.webhook]]` entries; each has a task of its own.
pub const WEBHOOKS_MAX: usize = 16;
/// `[[notify.webhook]] name`: it stands in the outbox and in listings.
pub const WEBHOOK_NAME_OCTETS_MAX: usize = 64;
/// `[[notify.webhook]] timeout_seconds`; Standard Webhooks 1.0 advises 15 to 30.
pub const WEBHOOK_TIMEOUT_SECONDS: RangeInclusive<u64> = 1..=60;
/// Of one that names none.
pub const WEBHOOK_TIMEOUT_SECONDS_DEFAULT: u64 = 15;
/// `[tls.acme] names`: what Let's Encrypt takes on one certificate.
pub const ACME_NAMES_MAX: usize = 100;
/// `[tls.acme] renew_days`: lifetimes of public certificates are below 398 days.
pub const RENEW_DAYS: RangeInclusive<u64> = 1..=397;
