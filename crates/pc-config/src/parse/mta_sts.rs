//! `[[https.mta_sts]]`

use std::collections::BTreeSet;

use pc_types::Domain;

use crate::document::{Diagnostics, Table};
use crate::{MtaSts, MtaStsMode, limits};

pub(super) fn policies(table: &mut Table<'_, '_>, diagnostics: &mut Diagnostics<'_>) -> Vec<MtaSts> {
    let (mut policies, mut domains) = (Vec::new(), BTreeSet::new());
    for mut entry in table.tables("mta_sts", "https.mta_sts", diagnostics) {
        for key in ["domain", "mode"] {
            if !entry.has(key) {
                entry.fault(key, diagnostics, "is missing");
            }
        }
        let want = "a mail domain, such as \"example.org\"";
        let domain = entry.parsed("domain", diagnostics, want, |text| {
            // The name of the host has to be one as well.
            let domain: Domain = text.parse().ok()?;
            format!("mta-sts.{domain}").parse::<Domain>().ok().map(|_| domain)
        });
        let want = "\"testing\", \"enforce\" or \"none\"";
        let mode = entry.parsed("mode", diagnostics, want, MtaStsMode::parse);
        let want = "a host name of an MX record, or \"*.\" and a domain";
        let mx = entry.list("mx", diagnostics, want, |value| host_pattern(value.as_str()?));
        let max_age = entry.number("max_age_seconds", diagnostics, &limits::MTA_STS_MAX_AGE_SECONDS);
        let mx = mx.unwrap_or_default();
        // RFC 8461 3.2: only "none" goes without.
        if mx.is_empty() && mode.is_some_and(|mode| mode != MtaStsMode::None) {
            entry.fault("mx", diagnostics, "needs the host names of the MX records");
        }
        if let Some(domain) = &domain
            && !domains.insert(domain.clone())
        {
            entry.fault("domain", diagnostics, "has a policy already");
        }
        if let (Some(domain), Some(mode)) = (domain, mode) {
            let max_age_seconds = max_age.unwrap_or(limits::MTA_STS_MAX_AGE_SECONDS_DEFAULT);
            policies.push(MtaSts { domain, mode, mx, max_age_seconds });
        }
        entry.finish(diagnostics);
    }
    policies
}

fn host_pattern(text: &str) -> Option<String> {
    let (star, name) = match text.strip_prefix("*.") {
        Some(rest) => ("*.", rest),
        None => ("", text),
    };
    let name: Domain = name.parse().ok()?;
    Some(format!("{star}{name}"))
}
