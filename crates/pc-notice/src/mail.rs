use lettre::Address;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart, SinglePart};
use pc_types::{Domain, Timestamp, time};

use crate::language::Language;

/// One mail of ours.
#[derive(Clone, Debug)]
pub struct Mail<'a> {
    /// With the node's name it makes the Message-ID: the same whenever the same is told again.
    pub id: &'a str,
    /// When it is made.
    pub now: Timestamp,
    /// This node.
    pub node_name: &'a Domain,
    /// The address in From.
    pub from: &'a str,
    /// Addresses in To, at least one.
    pub to: &'a [String],
    /// One line.
    pub subject: &'a str,
    /// Lines that end in LF.
    pub text: &'a str,
    /// The same as a document; without one the mail is plain text alone.
    pub html: Option<&'a str>,
    /// What both are written in.
    pub language: Language,
    /// Who reads answers, where it is not the address in From.
    pub reply_to: Option<&'a str>,
}

/// Why there is no mail.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// An address of the configuration is none that a header can hold.
    #[error("{0:?} is no address for a mail")]
    Address(String),
    /// The library found a field missing.
    #[error("the mail could not be composed")]
    Compose(#[from] lettre::error::Error),
}

impl Mail<'_> {
    /// The whole message, with CRLF.
    ///
    /// # Errors
    /// An address that is none.
    pub fn compose(&self) -> Result<Vec<u8>, MailError> {
        let node = self.node_name;
        let mut message = Message::builder()
            .from(Mailbox::new(Some("Portcullis".to_owned()), address(self.from)?))
            .subject(self.subject)
            .raw_header(field("Date", &time::rfc5322(self.now)))
            .message_id(Some(format!("<{}@{node}>", self.id)))
            // Exchange 2007 and later: no receipts, no out-of-office replies.
            .raw_header(field("X-Auto-Response-Suppress", "All"))
            .raw_header(field("Auto-Submitted", "auto-generated"))
            .raw_header(field("Content-Language", self.language.tag()));
        if let Some(reply_to) = self.reply_to {
            message = message.reply_to(Mailbox::new(None, address(reply_to)?));
        }
        for to in self.to {
            message = message.to(Mailbox::new(None, address(to)?));
        }
        let plain = self.text.replace('\n', "\r\n");
        let Some(html) = self.html else {
            return Ok(message.header(ContentType::TEXT_PLAIN).body(plain)?.formatted());
        };
        // RFC 2046 5.1.4: the plainest first. The library's own boundary would be another one each time.
        let parts = MultiPart::alternative()
            .boundary(format!("={}=", self.id))
            .singlepart(SinglePart::plain(plain))
            .singlepart(SinglePart::html(html.replace('\n', "\r\n")));
        Ok(message.multipart(parts)?.formatted())
    }
}

fn field(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

fn address(text: &str) -> Result<Address, MailError> {
    text.parse().map_err(|_| MailError::Address(text.to_owned()))
}
