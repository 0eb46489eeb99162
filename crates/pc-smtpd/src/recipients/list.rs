use std::collections::HashSet;

use pc_smtp::{ForwardPath, Mailbox};
use pc_types::{Domain, sha256};

use super::{Key, plain_form};
use crate::limits::{RECIPIENT_LIST_LINES_MAX, RECIPIENT_LIST_OCTETS_MAX};

/// The recipients of an upstream. Plain and hashed lines are kept alike, so that neither a core dump nor a copy of the
/// process tells more than the file does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientList {
    keys: HashSet<Key>,
}

/// What divides a mailbox from its tag, if anything does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subaddress {
    /// `user+tag` is `user` where this is `+`.
    Divided(char),
    /// A tag is part of the mailbox.
    Ignored,
}

/// Why a text is no list. Lines are numbered and not quoted: a log is no place for addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecipientListFault {
    /// Nobody would be a recipient.
    #[error(
        "it lists no recipient; a list that is empty on purpose has a line such as postmaster@example.org"
    )]
    Empty,
    /// A line is nothing known.
    #[error(
        "line {0} is no address, no @domain, and no sha256: with 64 hexadecimal digits; comments begin with #"
    )]
    Line(usize),
    /// Over [`RECIPIENT_LIST_OCTETS_MAX`] or [`RECIPIENT_LIST_LINES_MAX`].
    #[error(
        "it is too large: at most {RECIPIENT_LIST_LINES_MAX} lines and {RECIPIENT_LIST_OCTETS_MAX} bytes"
    )]
    TooLarge,
}

impl RecipientList {
    /// Reads a whole file.
    ///
    /// # Errors
    /// See [`RecipientListFault`]; the first one.
    pub fn parse(text: &str) -> Result<Self, RecipientListFault> {
        if text.len() > RECIPIENT_LIST_OCTETS_MAX {
            return Err(RecipientListFault::TooLarge);
        }
        let mut keys = HashSet::new();
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            if index >= RECIPIENT_LIST_LINES_MAX {
                return Err(RecipientListFault::TooLarge);
            }
            let line = line.trim();
            // Only at the beginning, since # may stand in an address (RFC 5322 3.2.3).
            if !line.is_empty() && !line.starts_with('#') {
                keys.insert(entry(line).ok_or(RecipientListFault::Line(index + 1))?);
            }
        }
        if keys.is_empty() { Err(RecipientListFault::Empty) } else { Ok(Self { keys }) }
    }

    /// How many lines it has.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// A list has at least one line.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether there is such a recipient: its address stands there, or without its tag, or its domain does. Postmaster
    /// always is (RFC 5321 4.5.1).
    pub fn has(&self, path: &ForwardPath, subaddress: Subaddress) -> bool {
        let ForwardPath::Mailbox(mailbox) = path else { return true };
        if path.is_postmaster() {
            return true;
        }
        let Some((local, domain)) = plain_form(mailbox) else { return false };
        let stands = |local: &str| self.keys.contains(&sha256(format!("{local}@{domain}").as_bytes()));
        let untagged = match subaddress {
            Subaddress::Divided(divider) => local.split_once(divider).map(|(user, _)| user),
            Subaddress::Ignored => None,
        };
        // An empty user would be the line of the whole domain.
        stands(&local) || untagged.filter(|user| !user.is_empty()).is_some_and(stands) || stands("")
    }
}

fn entry(line: &str) -> Option<Key> {
    if let Some(digits) = line.strip_prefix("sha256:") {
        return key_of(digits);
    }
    if let Some(domain) = line.strip_prefix('@') {
        let domain: Domain = domain.parse().ok()?;
        return Some(sha256(format!("@{}", domain.as_str().to_ascii_lowercase()).as_bytes()));
    }
    // `""@domain` would come out as the line of the whole domain.
    let (local, domain) = plain_form(&Mailbox::parse(line).ok()?).filter(|(local, _)| !local.is_empty())?;
    Some(sha256(format!("{local}@{domain}").as_bytes()))
}

fn key_of(digits: &str) -> Option<Key> {
    let digits = digits.as_bytes();
    let mut key = [0; 32];
    if digits.len() != 2 * key.len() {
        return None;
    }
    for (octet, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        // from_str_radix takes a sign as well.
        let pair =
            std::str::from_utf8(pair).ok().filter(|pair| pair.bytes().all(|it| it.is_ascii_hexdigit()))?;
        *octet = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(key)
}
