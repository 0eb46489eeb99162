//! Named bounds of this crate. What is over one is refused, never cut.

/// Octets of one document. A month of MSRC with all products has some 20 MB as XML, CISA's list 1.5 MB.
pub const FEED_OCTETS_MAX: usize = 64 * 1024 * 1024;
/// Depth of XML elements; a CVRF document has seven. JSON is held to 128 by its reader.
pub const XML_DEPTH_MAX: usize = 32;
/// Elements under one child of the document: a vulnerability with all products of a month has some 20,000.
pub const XML_ELEMENTS_MAX: usize = 200_000;
/// Octets of text of one element; a note in a CVRF document has up to 100 kB.
pub const XML_TEXT_OCTETS_MAX: usize = 1024 * 1024;
/// Vulnerabilities of one document; June 2026 had 1,279, CISA's list some 1,600.
pub const VULNERABILITIES_MAX: usize = 20_000;
/// Fixes of one vulnerability that name an Exchange server: one for each level in support, and old ones.
pub const FIXES_MAX: usize = 100;
/// Octets of a name, a title, a score's vector.
pub const TEXT_OCTETS_MAX: usize = 500;
/// How far a fixed build may stand above the newest one known of its level: each update of 2016 CU23 moved the
/// revision by 1 to 11, and nobody is held to a number out of thin air.
pub const REVISION_STEP_MAX: u16 = 100;
/// How far ahead of the clock a document may be dated, for a clock that is behind.
pub const DAYS_AHEAD_MAX: i64 = 2;
/// Share of the known exploited vulnerabilities, in percent, that a list must still hold: single ones are taken
/// off it, many at once mean half a file.
pub const KEV_KEPT_PERCENT_MIN: usize = 80;
/// Octets of a signature file: four lines.
pub const SIGNATURE_OCTETS_MAX: usize = 4096;
