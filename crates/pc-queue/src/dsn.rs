//! Delivery status notifications.
//!
//! # Standards
//! RFC 6522 (the container), RFC 3464 (the status part), RFC 6533 (addresses that are not ASCII),
//! RFC 3834 5 (Auto-Submitted). Original-Recipient and Original-Envelope-Id come from ORCPT and ENVID
//! (RFC 3461 6.3). RFC 8689 5 (messages that require TLS).
//!
//! # Invariants
//! No text from outside adds a line or a part: each value is put on one line without control
//! characters, and the boundary is made of the node's own id. Lines stay below 998 octets.

use pc_smtp::{Envelope, ForwardPath, Recipient, Ret, ReversePath};
use pc_types::{Domain, Timestamp, time};

use crate::Entry;
use crate::limits::{REPLY_OCTETS_MAX, REPORT_HEADER_OCTETS_MAX};
use crate::progress::{Report, ReportAction, ReportedRecipient};

/// What a notification is made of.
#[derive(Clone, Copy, Debug)]
pub struct Notification<'a> {
    /// This node.
    pub node_name: &'a Domain,
    /// The notification's own id, of letters, digits and `-`.
    pub id: &'a str,
    /// When it is made.
    pub now: Timestamp,
    /// The message's entry.
    pub entry: &'a Entry,
    /// Its envelope.
    pub envelope: &'a Envelope,
    /// What is to be said.
    pub report: &'a Report,
    /// The beginning of the message, with its whole header.
    pub original: &'a [u8],
    /// Octets of the whole message.
    pub original_octets: u64,
}

/// The envelope of the notification: from nobody to the sender. `None` when there is no sender.
pub fn envelope(original: &Envelope) -> Option<Envelope> {
    let ReversePath::Mailbox(mailbox) = &original.reverse_path else { return None };
    let recipient =
        Recipient { forward_path: ForwardPath::Mailbox(mailbox.clone()), notify: None, orcpt: None };
    let parameters = pc_smtp::MailParameters {
        smtputf8: original.parameters.smtputf8,
        body: Some(pc_smtp::BodyType::EightBitMime),
        // RFC 8689 5: the report asks for TLS as well, where the way offers it.
        requiretls: original.parameters.requiretls,
        ..pc_smtp::MailParameters::default()
    };
    Some(Envelope { reverse_path: ReversePath::Null, parameters, recipients: vec![recipient] })
}

impl Notification<'_> {
    /// The whole message, with CRLF.
    pub fn compose(&self) -> Vec<u8> {
        let boundary = format!("=_{}", self.id);
        let utf8 = self.envelope.parameters.smtputf8;
        let returned = self.returned();
        let is_whole = returned.len() as u64 == self.original_octets;
        let (status_type, returned_type) = match (utf8, is_whole) {
            (true, true) => ("message/global-delivery-status", "message/global"),
            (true, false) => ("message/global-delivery-status", "message/global-headers"),
            (false, true) => ("message/delivery-status", "message/rfc822"),
            (false, false) => ("message/delivery-status", "text/rfc822-headers"),
        };
        let mut out = self.header(&boundary);
        out.push_str(&format!("--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"));
        out.push_str(&self.text());
        out.push_str(&format!("\r\n--{boundary}\r\nContent-Type: {status_type}\r\n\r\n"));
        out.push_str(&self.status());
        out.push_str(&format!(
            "\r\n--{boundary}\r\nContent-Type: {returned_type}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        ));
        let mut out = out.into_bytes();
        out.extend_from_slice(returned);
        out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        out
    }

    /// RFC 3461 4.3: the whole message where a failure is told and the sender asked for it, else its
    /// header. RFC 8689 5: of a message that requires TLS never more than that.
    fn returned(&self) -> &[u8] {
        let parameters = &self.envelope.parameters;
        let asked = parameters.ret == Some(Ret::Full)
            && !parameters.requiretls
            && self.worst() == ReportAction::Failed;
        let is_here = self.original.len() as u64 == self.original_octets;
        if asked && is_here { self.original } else { original_header(self.original) }
    }

    fn header(&self, boundary: &str) -> String {
        let node = self.node_name;
        let subject = match self.worst() {
            ReportAction::Delayed => "Delayed: your message has not been delivered yet",
            ReportAction::Failed => "Failed: your message could not be delivered",
            ReportAction::Relayed => "Relayed: your message was passed on",
        };
        format!(
            "From: Mail Delivery System <postmaster@{node}>\r\nTo: <{}>\r\nSubject: {subject}\r\nDate: {}\r\nMessage-ID: \
             <{}@{node}>\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; \
             report-type=delivery-status;\r\n\tboundary=\"{boundary}\"\r\n\r\n",
            line(&self.envelope.reverse_path.to_string()),
            time::rfc5322(self.now),
            self.id,
        )
    }

    fn worst(&self) -> ReportAction {
        let actions = self.report.recipients.iter().map(|recipient| recipient.action);
        let rank = |action: &ReportAction| match action {
            ReportAction::Failed => 0,
            ReportAction::Delayed => 1,
            ReportAction::Relayed => 2,
        };
        actions.min_by_key(rank).unwrap_or(ReportAction::Failed)
    }

    fn text(&self) -> String {
        let mut out = format!(
            "This is the mail gateway {}.\r\n\r\nIt took your message of {}.\r\n",
            self.node_name,
            time::rfc5322(self.entry.received_at)
        );
        for recipient in &self.report.recipients {
            let says = match recipient.action {
                ReportAction::Delayed => {
                    "not delivered yet; delivery is still being tried, you need not send it again"
                }
                ReportAction::Failed => "not delivered, and it will not be tried again",
                ReportAction::Relayed => "passed on to a mail server that sends no delivery reports",
            };
            let address = self.address(recipient).map(|path| line(&path.forward_path.to_string()));
            out.push_str(&format!(
                "\r\n<{}>: {says}\r\n    {}\r\n",
                address.unwrap_or_default(),
                line(&recipient.reply)
            ));
        }
        out.push_str(&format!(
            "\r\nThe message is known here as {}; name it when you ask postmaster@{} about it.\r\n",
            self.entry.id, self.node_name
        ));
        out
    }

    fn address(&self, recipient: &ReportedRecipient) -> Option<&Recipient> {
        self.envelope.recipients.get(recipient.index)
    }

    fn status(&self) -> String {
        let mut out = format!("Reporting-MTA: dns; {}\r\n", self.node_name);
        if let Some(envid) = &self.envelope.parameters.envid {
            out.push_str(&format!("Original-Envelope-Id: {}\r\n", line(&from_xtext(envid))));
        }
        out.push_str(&format!("Arrival-Date: {}\r\n", time::rfc5322(self.entry.received_at)));
        for recipient in &self.report.recipients {
            let Some(address) = self.address(recipient) else { continue };
            let text = line(&address.forward_path.to_string());
            let kind = if text.is_ascii() { "rfc822" } else { "utf-8" };
            out.push_str("\r\n");
            if let Some((kind, value)) = address.orcpt.as_deref().and_then(|orcpt| orcpt.split_once(';')) {
                out.push_str(&format!(
                    "Original-Recipient: {}; {}\r\n",
                    line(kind),
                    line(&from_xtext(value))
                ));
            }
            let (action, class) = match recipient.action {
                ReportAction::Delayed => ("delayed", '4'),
                ReportAction::Failed => ("failed", '5'),
                ReportAction::Relayed => ("relayed", '2'),
            };
            out.push_str(&format!(
                "Final-Recipient: {kind}; {text}\r\nAction: {action}\r\nStatus: {}\r\nDiagnostic-Code: smtp; {}\r\n",
                status_code(&recipient.reply, class),
                line(&recipient.reply)
            ));
        }
        out
    }
}

/// The enhanced code in a reply when its class fits the action, else the class alone; RFC 3464 2.3.4.
/// An expired message keeps its 4.4.7 (RFC 3463 3.5).
fn status_code(reply: &str, class: char) -> String {
    let is_code = |word: &&str| {
        let parts: Vec<&str> = word.split('.').collect();
        parts.len() == 3
            && parts
                .iter()
                .all(|part| (1..=3).contains(&part.len()) && part.bytes().all(|octet| octet.is_ascii_digit()))
    };
    let found = reply.split_ascii_whitespace().take(2).find(is_code);
    match found {
        Some(code) if code.starts_with(class) || code == "4.4.7" => code.to_owned(),
        _ => format!("{class}.0.0"),
    }
}

/// The header of the original message, at most [`REPORT_HEADER_OCTETS_MAX`], ended on a line.
fn original_header(original: &[u8]) -> &[u8] {
    let mut end = 0;
    for field in pc_smtp::header::fields(original) {
        if field.end() > REPORT_HEADER_OCTETS_MAX {
            break;
        }
        end = field.end();
    }
    original.get(..end).unwrap_or_default()
}

/// One line without control characters, cut well below the limit of RFC 5322 2.1.1.
fn line(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        if out.len() + character.len_utf8() > REPLY_OCTETS_MAX {
            break;
        }
        out.push(if character.is_control() { '?' } else { character });
    }
    out
}

/// RFC 3461 4: `+XX` is an octet. What does not decode to text stays as it is.
fn from_xtext(text: &str) -> String {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digits = (*first == b'+').then(|| tail.split_at_checked(2)).flatten();
        let octet = digits.and_then(|(digits, _)| std::str::from_utf8(digits).ok());
        match (octet.and_then(|digits| u8::from_str_radix(digits, 16).ok()), digits) {
            (Some(octet), Some((_, after))) => {
                out.push(octet);
                rest = after;
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}
