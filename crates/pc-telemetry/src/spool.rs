//! Events of the spool.

use metrics::counter;
use pc_types::Escaped;
use tracing::{error, info};

use crate::Event;

impl Event<'_> {
    pub(crate) fn emit_spool(self) {
        match self {
            Self::SpoolAttempted { id, target, code, detail } => {
                info!(id, target, code, detail = %Escaped::new(detail), "spooled message offered");
                counter!("pc_spool_attempts_total", "code" => code).increment(1);
            }
            Self::SpoolSetAside { id, target, reason } => {
                error!(
                    id,
                    target,
                    reason = %Escaped::new(reason),
                    "spooled message set aside; see portcullis spool show, then release or remove it"
                );
                counter!("pc_spool_set_aside_total").increment(1);
            }
            Self::SpoolTaken { id, target, octets } => {
                info!(id, target, octets, "message spooled");
                counter!("pc_spool_taken_total").increment(1);
            }
            Self::SpoolTargetMissing { target, messages } => {
                error!(target, messages, "spooled mail for an upstream that the configuration does not name");
            }
            Self::SpoolUnreadable { id, error } => {
                error!(id, error, "a file of the spool could not be read or written");
                counter!("pc_spool_failures_total").increment(1);
            }
            _ => {}
        }
    }
}
