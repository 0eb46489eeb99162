//! Events of the node's look at its own certificates and TLS.

use metrics::{counter, gauge};
use pc_types::Escaped;
use tracing::{info, warn};

use crate::Event;

impl Event<'_> {
    pub(crate) fn emit_standard(self) {
        match self {
            Self::CertificateEnding { names, days } => {
                warn!(
                    names,
                    days,
                    "certificate ends soon or has ended: put renewed files in its place, or see portcullis tls acme where it comes by ACME"
                );
                counter!("pc_certificate_ending_total").increment(1);
            }
            Self::ListenerChecked { listener, address, grade, failed: "" } => {
                info!(listener, address, grade, "listener meets the TLS standard");
                counter!("pc_listener_checks_total", "code" => "met").increment(1);
            }
            Self::ListenerChecked { listener, address, grade, failed } => {
                let failed = Escaped::new(failed);
                warn!(listener, address, grade, %failed, "listener is not seen to meet the TLS standard: see portcullis doctor");
                counter!("pc_listener_checks_total", "code" => "failed").increment(1);
            }
            Self::ListenerUnchecked { listener, address, error } => {
                let error = Escaped::new(error);
                warn!(listener, address, %error, "listener could not be checked; it is tried again within the hour");
                counter!("pc_listener_checks_total", "code" => "unchecked").increment(1);
            }
            Self::TlsStandardChecked { grade, failed: "" } => {
                info!(grade, "listeners meet the TLS standard");
                gauge!("pc_tls_standard_met").set(1.0);
            }
            Self::TlsStandardChecked { grade, failed } => {
                warn!(grade, failed = %Escaped::new(failed), "listeners are not all seen to meet the TLS standard: see portcullis doctor");
                gauge!("pc_tls_standard_met").set(0.0);
            }
            _ => {}
        }
    }
}
