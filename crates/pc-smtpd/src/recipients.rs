//! # Purpose
//! Says which recipients there are before the server behind is asked: by a list in a file, or by what that
//! server has said lately.
//!
//! # Trust
//! The file is the operator's, but may be caught half written. Addresses are peer data: whoever guesses
//! them must not fill the memory, nor push out what others have been told.
//!
//! # Standards
//! RFC 5321 3.3 and 4.5.1 (postmaster always), 2.4 (only the server knows what a local part means: letters
//! of both cases are one here, by choice), RFC 3463 3.2, RFC 5233 (subaddresses).
//!
//! # Invariants
//! A list is swapped as a whole or not at all. None that is empty, damaged, gone or suspiciously short takes
//! the place of one that works: a 550 to a good recipient loses mail, a 250 to a bad one costs a question.
//!
//! # See also
//! `Upstream`, which keeps the [`RecipientCache`] and puts every answer to RCPT into it.

mod cache;
mod file;
mod list;

use pc_smtp::{EnhancedCode, ForwardPath, Mailbox, Reply};
use pc_types::sha256;

pub use cache::RecipientCacheSettings;
pub(crate) use cache::{Known, RecipientCache};
pub use file::{RecipientFile, RecipientFileError, RecipientsReload};
pub use list::{RecipientList, RecipientListFault, Subaddress};

/// An address as it is compared and remembered: a digest, so that long ones cost no more than short ones.
pub(crate) type Key = [u8; 32];

/// The address in the form in which two that reach one mailbox are the same: the domain as A-labels in small letters, the
/// local part without quotes and with its ASCII letters small.
pub(crate) fn plain_form(mailbox: &Mailbox) -> Option<(String, String)> {
    let domain = mailbox.domain_name()?.as_str().to_ascii_lowercase();
    Some((unquoted(mailbox.local_part()).to_ascii_lowercase(), domain))
}

/// The key of an address; none for postmaster without a domain and for address literals.
pub(crate) fn key(path: &ForwardPath) -> Option<Key> {
    let ForwardPath::Mailbox(mailbox) = path else { return None };
    let (local, domain) = plain_form(mailbox)?;
    Some(sha256(format!("{local}@{domain}").as_bytes()))
}

/// RFC 5321 4.1.2: a quoted string and its content are the same local part.
fn unquoted(local: &str) -> String {
    let Some(inner) = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return local.to_owned();
    };
    let mut out = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        out.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    out
}

/// The answer to a recipient that does not exist, in words that tell no more than that.
pub(crate) fn unknown() -> Reply {
    Reply::new(550, EnhancedCode(5, 1, 1), "there is no such recipient here, please check the address")
}

/// The answer to one of whom nobody can say while the server behind is away.
pub(crate) fn undecided() -> Reply {
    let text =
        "the mail server behind is not available to say whether this recipient exists, please try again";
    Reply::new(450, EnhancedCode(4, 3, 0), text)
}

/// Whether a reply to RCPT says that there is no such mailbox, and not that it is full, closed or not for this sender.
/// 5.1.10 is what Exchange says (RFC 7505 gave it another meaning).
pub(crate) fn denies_existence(reply: &Reply) -> bool {
    reply.code == 550 && matches!(reply.enhanced, Some(EnhancedCode(_, 1, 1 | 10)))
}

/// Whether it may say so: a bare 550, of which we make 5.0.0, says no more. It counts against the client who asked, and is
/// not remembered: servers answer it to RCPT for a sender that they do not like, and others would be turned away for that.
pub(crate) fn may_deny_existence(reply: &Reply) -> bool {
    let is_bare = matches!(reply.enhanced, None | Some(EnhancedCode(_, 0, 0)));
    denies_existence(reply) || (reply.code == 550 && is_bare)
}

#[cfg(test)]
mod tests;
