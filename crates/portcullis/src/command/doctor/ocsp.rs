use std::path::Path;

use pc_config::{Config, OcspStapling};
use pc_net::Clock;
use pc_tls::ocsp::{Answer, Inquiry, Offer, Standing, Status, Subject};
use pc_types::{Escaped, Timestamp};

use super::{Check, Finding};
use crate::node;
use crate::ocsp::{Folder, IS_OFF, ISSUER_MISSING, NO_RESPONDER};

/// What is stapled to each certificate, by what a node has kept.
pub(super) fn check(config: &Config) -> Vec<Check> {
    // Told of above.
    let Ok(certificates) = node::certificates(config) else { return Vec::new() };
    let now = Clock::System.now();
    let folder = Folder::in_data(Path::new(&config.node.data));
    let subjects = certificates.ocsp_subjects();
    // A self-made certificate has nobody who could speak of it.
    let issued = subjects.iter().filter(|subject| !subject.is_self_signed);
    issued.map(|subject| check_one(subject, config.tls.ocsp_stapling, &folder, now)).collect()
}

fn check_one(subject: &Subject, stapling: OcspStapling, folder: &Folder, now: Timestamp) -> Check {
    let (finding, text) = match (&subject.offer, stapling) {
        (_, OcspStapling::Off) if subject.is_must_staple => (Finding::Warning, must(IS_OFF)),
        (_, OcspStapling::Off) => {
            (Finding::Good, "not stapled, as [tls] ocsp_stapling = \"off\" has it".to_owned())
        }
        (Offer::Nothing | Offer::Unusable(_), _) if subject.is_must_staple => {
            (Finding::Warning, must(NO_RESPONDER))
        }
        (Offer::Nothing, _) => (
            Finding::Good,
            "this certificate names no responder: nothing to staple (Let's Encrypt ended OCSP in 2025)"
                .to_owned(),
        ),
        (Offer::Unusable(address), _) => {
            let address = Escaped::new(address);
            (Finding::Good, format!("its responder {address} is neither http nor https: nothing to staple"))
        }
        (Offer::IssuerMissing, _) => (Finding::Warning, format!("not stapled: {ISSUER_MISSING}")),
        (Offer::Responder(inquiry), _) => known(subject, inquiry, folder, now),
    };
    Check::new("ocsp", finding, format!("{}: {text}", subject.names.join(", ")))
}

fn known(subject: &Subject, inquiry: &Inquiry, folder: &Folder, now: Timestamp) -> (Finding, String) {
    let kept = folder.read(&subject.leaf_sha256);
    let standing = kept.map(|octets| Standing::resumed(inquiry, &octets, now));
    match standing.as_ref().and_then(Standing::answer) {
        Some(Answer { status: Status::Good, usable_until, .. }) => {
            (Finding::Good, format!("stapled until {usable_until:.0}"))
        }
        Some(Answer { status: Status::Revoked { at, reason }, .. }) => {
            let text = format!(
                "REVOKED since {at:.0} ({reason}), says {}: clients refuse it, and nothing is stapled; find out why, and have \
                 another one issued with a new key",
                inquiry.responder
            );
            (Finding::Bad, text)
        }
        Some(Answer { status: Status::Unknown, .. }) | None => {
            let why = format!(
                "no response of {} is kept that counts; a running node asks for one at its start and says in its log (OCSP) what is \
                 in the way: the responder must be reachable from here, one inside named in [tls] ocsp_allow_networks",
                inquiry.responder
            );
            let text = if subject.is_must_staple { must(&why) } else { format!("not stapled: {why}") };
            (Finding::Warning, text)
        }
    }
}

fn must(why: &str) -> String {
    format!("it demands a response (must-staple) and none is stapled, so that clients may refuse it: {why}")
}
