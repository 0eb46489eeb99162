use std::net::IpAddr;

use pc_smtp::client::Capabilities;
use pc_smtp::{Command, Envelope};
use pc_types::Timestamp;
use serde::{Deserialize, Serialize};

/// What is kept of a message beside its octets; written once, with them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The trace id of the transaction that brought it.
    pub id: String,
    /// Where it goes.
    pub target: String,
    /// When it was taken.
    pub received_at: Timestamp,
    /// Who brought it.
    pub address: IpAddr,
    /// Under which name.
    pub greeting: String,
    /// Under which connector.
    pub connector: String,
    /// What proves the sender.
    #[serde(default)]
    pub proof: Proof,
    /// From the header.
    pub message_id: Option<String>,
    /// The MAIL command, as it is sent to a server that offers every extension.
    mail: String,
    /// The RCPT commands, the same.
    recipients: Vec<String>,
}

/// What proves that the sender of MAIL is who it says: only then is it written to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// The operator named the client's network.
    Connector,
    /// Nothing does.
    #[default]
    None,
    /// SPF passed for the domain of MAIL.
    Spf,
}

/// Why an entry cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// It is not the JSON that was written.
    #[error("the entry is not readable")]
    Json(#[from] serde_json::Error),
    /// A command in it is none.
    #[error("the entry holds a command that cannot be read: {0}")]
    Command(String),
}

/// Every parameter is kept; what the server behind does not offer is left out when it is asked.
const EVERYTHING: Capabilities = Capabilities {
    chunking: true,
    dsn: true,
    eight_bit_mime: true,
    pipelining: true,
    requiretls: true,
    size: true,
    smtputf8: true,
    starttls: true,
};

/// Where a message came from and where it goes.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are those of Entry")]
pub struct Origin {
    pub id: String,
    pub target: String,
    pub received_at: Timestamp,
    pub address: IpAddr,
    pub greeting: String,
    pub connector: String,
    pub proof: Proof,
    pub message_id: Option<String>,
}

impl Entry {
    /// An entry for a message of `envelope`.
    pub fn new(origin: Origin, envelope: &Envelope) -> Self {
        let Origin { id, target, received_at, address, greeting, connector, proof, message_id } = origin;
        let mail =
            format!("MAIL FROM:<{}>{}", envelope.reverse_path, envelope.parameters.render(&EVERYTHING));
        let recipients = envelope.recipients.iter().map(|recipient| {
            format!("RCPT TO:<{}>{}", recipient.forward_path, recipient.render_parameters(&EVERYTHING))
        });
        let recipients = recipients.collect();
        Self { id, target, received_at, address, greeting, connector, proof, message_id, mail, recipients }
    }

    /// The envelope it was made of.
    ///
    /// # Errors
    /// When a command in it cannot be read.
    pub fn envelope(&self) -> Result<Envelope, EntryError> {
        let fault = |line: &str| EntryError::Command(pc_types::Escaped::new(line).to_string());
        let Ok(Command::Mail(reverse_path, parameters)) = Command::parse(self.mail.as_bytes()) else {
            return Err(fault(&self.mail));
        };
        let recipients = self.recipients.iter().map(|line| match Command::parse(line.as_bytes()) {
            Ok(Command::Rcpt(recipient)) => Ok(recipient),
            _ => Err(fault(line)),
        });
        Ok(Envelope { reverse_path, parameters, recipients: recipients.collect::<Result<_, _>>()? })
    }

    /// How many recipients it has.
    pub fn recipients(&self) -> usize {
        self.recipients.len()
    }

    /// One line of JSON.
    ///
    /// # Errors
    /// Never for an entry that [`Entry::new`] made.
    pub fn to_line(&self) -> Result<String, EntryError> {
        Ok(serde_json::to_string(self)?)
    }

    /// Reads [`Entry::to_line`].
    ///
    /// # Errors
    /// When the line is not what was written.
    pub fn from_line(line: &[u8]) -> Result<Self, EntryError> {
        let entry: Self = serde_json::from_slice(line)?;
        entry.envelope()?;
        Ok(entry)
    }
}
