//! `[tls.acme]`

use std::collections::BTreeSet;
use std::net::IpAddr;

use pc_renewal::Challenge;
use pc_types::{Domain, HttpsUrl};

use super::webhook::check_host;
use super::{notify, required, small};
use crate::document::{Diagnostics, Table};
use crate::{Acme, ExternalAccount, Https, Network, limits};

pub(super) fn acme(tls: &mut Table<'_, '_>, diagnostics: &mut Diagnostics<'_>) -> Option<Acme> {
    let mut table = tls.table("acme", diagnostics)?;
    table.section = "[tls.acme]".to_owned();
    let directory = directory(&mut table, diagnostics);
    let networks = table
        .list("allow_networks", diagnostics, "an address or a network, such as \"192.0.2.0/24\"", |value| {
            value.as_str().and_then(Network::parse)
        })
        .unwrap_or_default();
    if let Some(directory) = &directory {
        check_host(&table, ("directory", directory), ("the authority", &networks), diagnostics);
    }
    if table.truth("terms_agreed", diagnostics) != Some(true) {
        let message = "must be true: read the terms of service of the authority (its directory names them as termsOfService), and \
                       agree by terms_agreed = true";
        table.fault("terms_agreed", diagnostics, message);
    }
    let contact = notify::addresses(&mut table, "contact", diagnostics).unwrap_or_default();
    let names = names(&mut table, diagnostics);
    let challenge = table.parsed("challenge", diagnostics, "\"http-01\" or \"tls-alpn-01\"", |text| {
        [Challenge::Http01, Challenge::TlsAlpn01].into_iter().find(|known| known.as_str() == text)
    });
    let renew_days = table.number("renew_days", diagnostics, &limits::RENEW_DAYS);
    let eab = external_account(&mut table, diagnostics);
    let ca_file = table.text("ca_file", diagnostics);
    table.finish(diagnostics);
    Some(Acme {
        directory: directory?,
        contact,
        names,
        challenge: challenge.unwrap_or(Challenge::Http01),
        renew_days: small(renew_days),
        eab,
        ca_file,
        allow_networks: networks,
    })
}

/// Where an authority looks, there must be a listener.
pub(super) fn check_listeners(at: usize, acme: &Acme, https: &Https, diagnostics: &mut Diagnostics<'_>) {
    let message = match acme.challenge {
        Challenge::Http01 if https.redirects.is_empty() => {
            "needs an [[https.redirect]]: the authority looks at port 80 of each name"
        }
        Challenge::TlsAlpn01 if https.listeners.is_empty() => {
            "needs an [[https.listener]]: the authority looks at port 443 of each name"
        }
        Challenge::Http01 | Challenge::TlsAlpn01 => return,
    };
    diagnostics.add(at, format!("[tls.acme] challenge: \"{}\" {message}", acme.challenge.as_str()));
}

fn directory(table: &mut Table<'_, '_>, diagnostics: &mut Diagnostics<'_>) -> Option<HttpsUrl> {
    if !table.has("directory") {
        table.fault("directory", diagnostics, "is missing");
    }
    let want = "an https address, such as \"https://acme-v02.api.letsencrypt.org/directory\"";
    table.parsed("directory", diagnostics, want, |text| text.parse().ok())
}

fn names(table: &mut Table<'_, '_>, diagnostics: &mut Diagnostics<'_>) -> Vec<Domain> {
    let Some(texts) = table.list("names", diagnostics, "a host name", |value| value.as_str()) else {
        if !table.has("names") {
            table.fault("names", diagnostics, "is missing: name the hosts that lead here, each in full");
        }
        return Vec::new();
    };
    if texts.is_empty() || texts.len() > limits::ACME_NAMES_MAX {
        let message = format!("must hold 1 to {} host names", limits::ACME_NAMES_MAX);
        table.fault("names", diagnostics, &message);
    }
    let mut seen = BTreeSet::new();
    let mut names = Vec::new();
    for text in texts {
        match host_name(text) {
            Ok(name) if seen.insert(name.clone()) => names.push(name),
            Ok(name) => table.fault("names", diagnostics, &format!("{name} stands there twice")),
            Err(why) => table.fault("names", diagnostics, &format!("{text:?} {why}")),
        }
    }
    names
}

fn host_name(text: &str) -> Result<Domain, &'static str> {
    if text.contains('*') {
        return Err(
            "is a wildcard, which only DNS-01 can prove, and that is not spoken here; name each host, or obtain the certificate \
             elsewhere and name its files in certificates",
        );
    }
    if text.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        return Err("is an address; only host names are proven here");
    }
    text.parse().map_err(|_| "is no host name")
}

fn external_account(table: &mut Table<'_, '_>, diagnostics: &mut Diagnostics<'_>) -> Option<ExternalAccount> {
    if !table.has("eab_key_id") && !table.has("eab_key_file") {
        return None;
    }
    let key_id = required(table, "eab_key_id", diagnostics);
    let key_file = required(table, "eab_key_file", diagnostics);
    Some(ExternalAccount { key_id: key_id?, key_file: key_file? })
}
