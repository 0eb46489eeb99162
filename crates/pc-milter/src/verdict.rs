//! What a conversation comes to.

use pc_smtp::{EnhancedCode, Reply};
use pc_types::Escaped;

use crate::field::{FieldChange, FieldText};
use crate::limits::REASON_OCTETS_MAX;

/// The word of a milter about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not now; in the milter's words, if it gave some.
    Defer(Option<Reply>),
    /// It should vanish.
    Discard,
    /// It may go on with these changes.
    Pass(Modifications),
    /// It should be set aside.
    Quarantine {
        /// Escaped and bounded.
        reason: String,
    },
    /// Never; in the milter's words, if it gave some.
    Refuse(Option<Reply>),
}

/// Changes to the header of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Modifications {
    /// Fields that go before the message, in order.
    pub added: Vec<FieldText>,
    /// Changes of its own fields, in the order in which they were asked for.
    pub changed: Vec<FieldChange>,
}

impl Verdict {
    /// A quarantine with a reason as it came.
    pub(crate) fn quarantine(reason: &[u8]) -> Self {
        Self::Quarantine { reason: Escaped::with_octets_max(reason, REASON_OCTETS_MAX).to_string() }
    }

    /// Stable, for logs and metric labels.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Defer(_) => "defer",
            Self::Discard => "discard",
            Self::Pass(_) => "pass",
            Self::Quarantine { .. } => "quarantine",
            Self::Refuse(_) => "refuse",
        }
    }

    /// The changes of a message that may go on, or the reply to one that may not. No mail vanishes:
    /// where the milter would drop a message silently or set it aside, the sender is told.
    ///
    /// # Errors
    /// The reply to give.
    pub fn into_modifications(self) -> Result<Modifications, Reply> {
        match self {
            Self::Pass(modifications) => Ok(modifications),
            Self::Defer(Some(reply)) | Self::Refuse(Some(reply)) => Err(reply),
            Self::Defer(None) => {
                let text = "the content scanner asks to try again later";
                Err(Reply::new(451, EnhancedCode(4, 7, 1), text))
            }
            Self::Discard => {
                let text = "the message was refused: the content scanner would discard it";
                Err(Reply::new(550, EnhancedCode(5, 7, 1), text))
            }
            Self::Quarantine { reason } => {
                let text =
                    format!("the message was refused: the content scanner would quarantine it: {reason}");
                Err(Reply::new(550, EnhancedCode(5, 7, 1), text))
            }
            Self::Refuse(None) => {
                let text = "the message was refused by the content scanner";
                Err(Reply::new(550, EnhancedCode(5, 7, 1), text))
            }
        }
    }
}
