//! Events of OCSP responses for our own certificates.

use metrics::counter;
use pc_types::Escaped;
use tracing::{error, info, warn};

/// What a responder was asked and said. Names are those of the certificate.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields are named for what they hold, the variants say what happened")]
pub enum OcspSeen<'a> {
    /// No answer that counts; `meanwhile` says what is stapled.
    Failed { names: &'a str, code: &'static str, error: &'a str, meanwhile: &'a str, next: &'a str },
    /// Its responder has revoked it.
    Revoked { names: &'a str, since: &'a str, reason: &'static str },
    /// A good answer is stapled.
    Stapled { names: &'a str, until: &'a str },
    /// Nothing is stapled although clients demand it of this certificate.
    Wanted { names: &'a str, why: &'a str },
    /// What was stapled is over, with no newer one.
    Withdrawn { names: &'a str },
}

/// Described at the start.
pub(crate) const COUNTERS: [(&str, &str); 1] =
    [("pc_ocsp_answers_total", "What came of asking OCSP responders about our certificates, by code")];

impl OcspSeen<'_> {
    pub(crate) fn emit(self) {
        let code = match self {
            Self::Failed { names, code, error, meanwhile, next } => {
                let error = Escaped::new(error);
                warn!(names, code, %error, meanwhile, next, "no OCSP response for a certificate");
                code
            }
            Self::Revoked { names, since, reason } => {
                error!(
                    names,
                    since,
                    reason,
                    "certificate is revoked: clients will refuse it, nothing is stapled; have another one issued, with a new key"
                );
                "revoked"
            }
            Self::Stapled { names, until } => {
                info!(names, until, "OCSP response stapled");
                "good"
            }
            Self::Wanted { names, why } => {
                warn!(
                    names,
                    why = %Escaped::new(why),
                    "certificate demands an OCSP response (must-staple) and none is stapled: clients may refuse it; see \
                     portcullis doctor"
                );
                "wanted"
            }
            Self::Withdrawn { names } => {
                warn!(names, "OCSP response is over and was not renewed: nothing is stapled");
                "withdrawn"
            }
        };
        counter!("pc_ocsp_answers_total", "code" => code).increment(1);
    }
}
