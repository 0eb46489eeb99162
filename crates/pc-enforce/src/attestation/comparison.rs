//! Attestations beside what mail shows.

use std::collections::BTreeMap;

use pc_exchange::ReceivedLine;
use pc_types::{Build, Domain, ServerId};

use super::Attestation;
use crate::record::{ServerRecord, Shown};

/// How an attestation stands against the last mail of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Mail shows the build, or another number of the same update.
    Agrees,
    /// Mail shows another update.
    Contradicts,
    /// Mail shows no build.
    NothingShown,
}

impl Held {
    /// Stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agrees => "agrees",
            Self::Contradicts => "contradicts",
            Self::NothingShown => "nothing_shown",
        }
    }
}

/// Why an attestation is taken to be about a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FitBy {
    /// The server's greeting has a name of the same domain, and both have only one there.
    Domain,
    /// The server greets by the host's name.
    Greeting,
    /// The host wrote the line that was read.
    ReceivedLine,
}

impl FitBy {
    /// Stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::Greeting => "greeting",
            Self::ReceivedLine => "received_line",
        }
    }
}

/// A server with the attestation about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The server.
    pub server: ServerId,
    /// What is attested.
    pub attested: Attestation,
    /// Why it is about this server.
    pub fit: FitBy,
    /// How it stands.
    pub held: Held,
    /// One sentence with what to do.
    pub text: String,
}

/// Finds the attestation about each server and holds it against the server's last mail. `update` names the update that a build is of:
/// numbers in mail and of files differ by one for some (Exchange 2013 of March 2022 is 33 and stamps 32).
pub fn compare(
    records: &[ServerRecord],
    attested: &[Attestation],
    update: impl Fn(Build) -> Option<String>,
) -> Vec<Comparison> {
    let mut hosts = BTreeMap::new();
    let mut domains = BTreeMap::new();
    for one in attested {
        hosts.insert((one.tenant.as_str(), &one.host), one);
        if let Some(domain) = one.host.registrable() {
            domains.entry((one.tenant.as_str(), domain)).or_insert_with(Vec::new).push(one);
        }
    }
    let domain_of = |record: &'_ ServerRecord| {
        let name = record.greeting_name.as_ref()?.registrable()?;
        Some((record.tenant.clone()?, name.to_owned()))
    };
    let mut servers = BTreeMap::new();
    for place in records.iter().filter_map(domain_of) {
        *servers.entry(place).or_insert(0_usize) += 1;
    }
    let comparison = |record: &ServerRecord| {
        let tenant = record.tenant.as_deref()?;
        let named = |name: Option<&Domain>, fit| Some((*hosts.get(&(tenant, name?))?, fit));
        let written_by = record.shown.as_ref().and_then(written_by);
        let only = || {
            let place = domain_of(record)?;
            let one = match domains.get(&(tenant, place.1.as_str()))?.as_slice() {
                [one] => *one,
                _ => return None,
            };
            (servers.get(&place) == Some(&1)).then_some((one, FitBy::Domain))
        };
        let (one, fit) = named(written_by.as_ref(), FitBy::ReceivedLine)
            .or_else(|| named(record.greeting_name.as_ref(), FitBy::Greeting))
            .or_else(only)?;
        let (held, text) = held(one, record.shown.as_ref(), &update);
        Some(Comparison { server: record.id.clone(), attested: one.clone(), fit, held, text })
    };
    records.iter().filter_map(comparison).collect()
}

fn written_by(shown: &Shown) -> Option<Domain> {
    ReceivedLine::parse(shown.header.as_deref()?).by_domain()
}

fn held(
    one: &Attestation,
    shown: Option<&Shown>,
    update: impl Fn(Build) -> Option<String>,
) -> (Held, String) {
    let build = shown.and_then(|shown| shown.build.as_deref()?.parse::<Build>().ok());
    let (Some(shown), Some(build)) = (shown, build) else {
        let text = format!("attested {}; its last mail showed no build to hold that against", one.build);
        return (Held::NothingShown, text);
    };
    if one.build == build {
        return (Held::Agrees, format!("agrees: attested {build}, and last mail showed the same"));
    }
    let is_same_update = one.build.branch() == build.branch()
        && update(build).is_some_and(|name| update(one.build).as_ref() == Some(&name));
    if is_same_update {
        let text = format!("agrees: attested {}, last mail showed {build} of the same update", one.build);
        return (Held::Agrees, text);
    }
    let remedy = if shown.at < one.at {
        "That mail came before it: send a message through this server. If that shows the old build again, restart the transport \
         services, and see which server wrote the line"
    } else {
        "That mail came after it: see which server wrote the line, since another one may send under this name; mail from the pickup \
         folder and from agents is stamped with the directory's version, which setup renews; then run the script there again"
    };
    (Held::Contradicts, format!("contradicts: attested {}, last mail showed {build}. {remedy}.", one.build))
}
