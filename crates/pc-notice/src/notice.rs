use std::fmt;
use std::str::FromStr;

use pc_types::Timestamp;
use serde::{Deserialize, Serialize};

/// What is told; kept as JSON in the outbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Notice {
    /// A spooled message is tried no more and waits for the operator.
    MessageAside {
        /// Its trace id.
        id: String,
        /// Where it goes.
        target: String,
        /// Empty for the null path.
        reverse_path: String,
        /// Why it waits.
        reason: String,
        /// When it was set aside.
        at: Timestamp,
    },
}

impl Notice {
    /// As it is kept in the outbox.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("plain fields without maps")
    }

    /// Reads [`Notice::to_json`]; `None` for what a later version wrote.
    pub fn from_json(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Stable word, for logs, metrics and listings.
    pub fn code(&self) -> &'static str {
        match self {
            Self::MessageAside { .. } => "message_aside",
        }
    }
}

/// Who is told. The text form is what the outbox keeps.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Addressee {
    /// Whom `[notify]` names, when the mail is made.
    Operator,
}

impl fmt::Display for Addressee {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator => formatter.write_str("operator"),
        }
    }
}

/// The outbox holds an addressee that this version does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no addressee of a notice")]
pub struct AddresseeError(String);

impl FromStr for Addressee {
    type Err = AddresseeError;

    fn from_str(text: &str) -> Result<Self, AddresseeError> {
        match text {
            "operator" => Ok(Self::Operator),
            _ => Err(AddresseeError(text.to_owned())),
        }
    }
}
