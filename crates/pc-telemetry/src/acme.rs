//! Events of certificates by ACME.

use metrics::{counter, gauge};
use pc_types::Escaped;
use tracing::{info, warn};

use crate::Event;

/// Described at the start.
pub(crate) const COUNTERS: [(&str, &str); 3] = [
    ("pc_acme_challenges_total", "Proofs of names that certificate authorities got, by challenge"),
    ("pc_acme_failures_total", "Tries to obtain a certificate by ACME that failed, by code"),
    ("pc_acme_issued_total", "Certificates obtained by ACME"),
];

impl Event<'_> {
    pub(crate) fn emit_acme(self) {
        match self {
            Self::AcmeChallengeAnswered { challenge, name, address } => {
                info!(challenge, name = %Escaped::new(name), %address, "a certificate authority looked for the proof of a name");
                counter!("pc_acme_challenges_total", "challenge" => challenge).increment(1);
            }
            Self::AcmeFailed { code, error, next } => {
                // The text is escaped where the authority's words come in.
                warn!(
                    code,
                    error, next, "no certificate by ACME, the one in service stays: see portcullis tls acme"
                );
                counter!("pc_acme_failures_total", "code" => code).increment(1);
                gauge!("pc_acme_failing").set(1.0);
            }
            Self::AcmeIssued { names, not_after, next } => {
                info!(names, not_after, next, "certificate by ACME in service");
                counter!("pc_acme_issued_total").increment(1);
                gauge!("pc_acme_failing").set(0.0);
            }
            _ => {}
        }
    }
}
