//! The doctor's look at the certificate by ACME.

use pc_config::Config;
use pc_net::Clock;

use super::{Check, Finding};
use crate::acme;

/// The certificate that the node obtains by itself, and what keeps it from that.
pub(super) fn check(config: &Config) -> Option<Check> {
    let settings = acme::settings(config.tls.acme.as_ref()?);
    let now = Clock::System.now();
    let status = acme::folder(config).status(&settings, now);
    let failure = status.attempts.last_failure.map(|last| format!("; the last try failed: {}", last.text));
    let failure = failure.unwrap_or_default();
    Some(match (status.held, failure.is_empty()) {
        (Some(held), true) => {
            let next = pc_renewal::renews_at(&settings.asked, &held);
            if pc_renewal::is_overdue(&settings.asked, &held, now) {
                let text = format!(
                    "until {:.0}, renewal was due on {next:.0} and has not been tried: run portcullis serve; a running node asks at once",
                    held.not_after
                );
                return Some(Check::new("acme", Finding::Bad, text));
            }
            Check::new(
                "acme",
                Finding::Good,
                format!("until {:.0}, renewed from {next:.0} on", held.not_after),
            )
        }
        (Some(held), false) => {
            let is_late = pc_renewal::is_overdue(&settings.asked, &held, now);
            let finding = if is_late { Finding::Bad } else { Finding::Warning };
            Check::new("acme", finding, format!("until {:.0}{failure}", held.not_after))
        }
        (None, is_quiet) => {
            let there = match (status.fault, is_quiet) {
                (Some(fault), _) => format!("the one that was issued is not used: {fault}"),
                (None, true) => "none issued yet; portcullis serve asks for one when it runs".to_owned(),
                (None, false) => "none issued yet".to_owned(),
            };
            let finding = if is_quiet { Finding::Warning } else { Finding::Bad };
            Check::new("acme", finding, format!("{there}{failure}"))
        }
    })
}
