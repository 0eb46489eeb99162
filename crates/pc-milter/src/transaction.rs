//! What a milter is told about a message, apart from its body.

use std::net::IpAddr;

use crate::limits::SENT_OCTETS_MAX;
use crate::negotiation::{Negotiated, Steps};
use crate::packet::{push_text, write_packet};

/// Everything that a milter is told before the body.
#[derive(Clone, Debug)]
pub struct Transaction {
    /// The name of this node: macro `j`.
    pub node_name: String,
    /// Names the message: macro `i`.
    pub trace_id: String,
    /// Of the connected client.
    pub address: IpAddr,
    /// What the client greeted with.
    pub greeting_name: String,
    /// Version and suite: macros `tls_version` and `cipher`.
    pub tls: Option<(String, String)>,
    /// Without angle brackets, empty for the null sender.
    pub reverse_path: String,
    /// Without angle brackets.
    pub forward_paths: Vec<String>,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Why a message cannot be shown to a milter as it is. Showing it something else would let mail
/// through that nobody scanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unscannable {
    /// A NUL would end the value for the milter, but not for the reader (RFC 5322 2.2 forbids it).
    #[error("the message header has a NUL octet")]
    HeaderNul,
    /// Over `limits::SENT_OCTETS_MAX`.
    #[error("a field of the message header is too large to be scanned")]
    HeaderTooLarge,
}

/// One command with the macros before it, and whether it is answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) octets: Vec<u8>,
    pub(crate) reply: StepReply,
}

/// Whether a milter answers a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepReply {
    Awaited,
    NotGiven,
}

impl Transaction {
    /// A transaction whose header has no fields yet.
    pub fn new(node_name: String, trace_id: String, address: IpAddr, greeting_name: String) -> Self {
        Self {
            node_name,
            trace_id,
            address,
            greeting_name,
            tls: None,
            reverse_path: String::new(),
            forward_paths: Vec::new(),
            fields: Vec::new(),
        }
    }

    /// Adds a field of the message: its name, and its value from after the colon to before the last
    /// CRLF.
    ///
    /// # Errors
    /// See [`Unscannable`].
    pub fn field(&mut self, name: &[u8], value: &[u8]) -> Result<(), Unscannable> {
        if value.contains(&0) || name.contains(&0) {
            return Err(Unscannable::HeaderNul);
        }
        if name.len() + value.len() + 2 > SENT_OCTETS_MAX {
            return Err(Unscannable::HeaderTooLarge);
        }
        self.fields.push((name.to_vec(), value.to_vec()));
        Ok(())
    }

    /// The steps that the milter wants, up to the body.
    pub(crate) fn steps(&self, negotiated: &Negotiated) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut step = |no: Steps, no_reply: Steps, octets: &dyn Fn() -> Vec<u8>| {
            if !negotiated.steps.contains(no) {
                let reply = match negotiated.steps.contains(no_reply) {
                    true => StepReply::NotGiven,
                    false => StepReply::Awaited,
                };
                steps.push(Step { octets: octets(), reply });
            }
        };
        step(Steps::NO_CONNECT, Steps::NO_REPLY_CONNECT, &|| self.connect());
        step(Steps::NO_HELO, Steps::NO_REPLY_HELO, &|| self.helo());
        step(Steps::NO_MAIL, Steps::NO_REPLY_MAIL, &|| {
            let macros = [("i", self.trace_id.as_str()), ("{mail_addr}", self.reverse_path.as_str())];
            path(b'M', &macros, &self.reverse_path)
        });
        for forward_path in &self.forward_paths {
            step(Steps::NO_RCPT, Steps::NO_REPLY_RCPT, &|| {
                path(b'R', &[("{rcpt_addr}", forward_path)], forward_path)
            });
        }
        // SMFIC_DATA came with version 4.
        if negotiated.version >= 4 {
            step(Steps::NO_DATA, Steps::NO_REPLY_DATA, &|| command(b'T', &[("i", &self.trace_id)], &[]));
        }
        let keeps_space = negotiated.steps.contains(Steps::LEADING_SPACE);
        for (name, value) in &self.fields {
            step(Steps::NO_HEADER, Steps::NO_REPLY_HEADER, &|| header(name, value, keeps_space));
        }
        step(Steps::NO_END_OF_HEADER, Steps::NO_REPLY_END_OF_HEADER, &|| command(b'N', &[], &[]));
        steps
    }

    /// The end of the body.
    pub(crate) fn end_of_body(&self) -> Vec<u8> {
        command(b'E', &[("i", &self.trace_id)], &[])
    }

    fn connect(&self) -> Vec<u8> {
        let (family, address) = match self.address {
            IpAddr::V4(address) => (b'4', address.to_string()),
            IpAddr::V6(address) => (b'6', address.to_string()),
        };
        let mut payload = Vec::new();
        // No name was looked up, so it is the address literal, as Sendmail does it.
        let literal = match self.address {
            IpAddr::V4(address) => format!("[{address}]"),
            IpAddr::V6(address) => format!("[IPv6:{address}]"),
        };
        push_text(&mut payload, literal.as_bytes());
        payload.push(family);
        // The client's port says nothing about its message.
        payload.extend_from_slice(&0_u16.to_be_bytes());
        push_text(&mut payload, address.as_bytes());
        let macros = [
            ("j", self.node_name.as_str()),
            ("{daemon_name}", "portcullis"),
            ("{client_addr}", address.as_str()),
            ("_", literal.as_str()),
        ];
        command(b'C', &macros, &payload)
    }

    fn helo(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        push_text(&mut payload, self.greeting_name.as_bytes());
        match &self.tls {
            Some((version, suite)) => {
                command(b'H', &[("{tls_version}", version), ("{cipher}", suite)], &payload)
            }
            None => command(b'H', &[], &payload),
        }
    }
}

/// A command with its macros before it, `SMFIC_MACRO`.
fn command(letter: u8, macros: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    if !macros.is_empty() {
        let mut texts = vec![letter];
        for (name, value) in macros {
            push_text(&mut texts, name.as_bytes());
            push_text(&mut texts, value.as_bytes());
        }
        write_packet(&mut out, b'D', &texts);
    }
    write_packet(&mut out, letter, payload);
    out
}

/// MAIL or RCPT.
fn path(letter: u8, macros: &[(&str, &str)], path: &str) -> Vec<u8> {
    let mut payload = Vec::new();
    push_text(&mut payload, format!("<{path}>").as_bytes());
    command(letter, macros, &payload)
}

fn header(name: &[u8], value: &[u8], keeps_space: bool) -> Vec<u8> {
    let value = match value.strip_prefix(b" ") {
        Some(rest) if !keeps_space => rest,
        _ => value,
    };
    let mut payload = Vec::with_capacity(name.len() + value.len() + 2);
    push_text(&mut payload, name);
    // Within a value, milters are given LF where the message has CRLF, as Sendmail and Postfix do.
    let mut octets = value.iter().copied().peekable();
    while let Some(octet) = octets.next() {
        if !(octet == b'\r' && octets.peek() == Some(&b'\n')) {
            payload.push(octet);
        }
    }
    payload.push(0);
    command(b'L', &[], &payload)
}
