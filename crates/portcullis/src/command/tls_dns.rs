//! What the DNS says of certificates: CAA of the names they are for (RFC 8659), TLSA of the services that show them (RFC 6698).

use std::time::Duration;

use pc_config::Config;
use pc_dns::{Answer, Budget, Kind, Query, Records, Resolver};
use pc_rating::caa::{self, CLIMB_MAX, CaaVerdict};
use pc_rating::dane::{self, DaneVerdict};
use pc_rating::{Finding, Item, Rating, Weight};
use pc_tls::{CertificateStore, ServedChain};

use super::tls_records::{is_for, mx_hosts};

/// One name or service, all questions about it together.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Names of which CAA is asked. Certificates have a handful; a hundred more would say the same.
const NAMES_MAX: usize = 20;

/// Asks for the CAA records that count for `name` and judges them for a certificate that `issuer` signed.
pub async fn caa(resolver: &Resolver, name: &str, issuer: Option<&str>) -> CaaVerdict {
    let budget = Budget::new(u32::try_from(CLIMB_MAX).unwrap_or(u32::MAX), TIMEOUT);
    for at in caa::climb(name) {
        let Some(query) = Query::new(at, Kind::Caa) else { continue };
        match resolver.ask(&budget, &query).await {
            Answer::Found(Records::Caa(records)) => return caa::judge(name, issuer, Some((at, &records))),
            Answer::Found(_) | Answer::NotFound => {}
            // RFC 8659 3: an authority that gets no answer must not take it for absence either.
            Answer::Temporary(why) => {
                let detail = format!("the DNS gave no answer for CAA of {at}: {why}");
                return CaaVerdict { finding: Finding::NotTested, detail };
            }
        }
    }
    caa::judge(name, issuer, None)
}

/// Asks for the TLSA records of a service and judges them for the chains that it shows.
pub async fn tlsa(resolver: &Resolver, name: &str, chains: &[&ServedChain]) -> DaneVerdict {
    let budget = Budget::new(1, TIMEOUT);
    let not_tested = |detail| DaneVerdict { finding: Finding::NotTested, detail };
    let Some(query) = Query::new(name, Kind::Tlsa) else {
        return not_tested(format!("{name} is too long for the DNS"));
    };
    let records = match resolver.ask(&budget, &query).await {
        Answer::Found(Records::Tlsa(records)) => records,
        Answer::Found(_) | Answer::NotFound => Vec::new(),
        Answer::Temporary(why) => {
            return not_tested(format!("the DNS gave no answer for TLSA of {name}: {why}"));
        }
    };
    let chains: Vec<_> = chains.iter().map(|chain| chain.certificates.clone()).collect();
    dane::judge(name, &records, &chains)
}

/// The services of a node that TLSA records may stand for, each with the chains that its clients may be shown.
fn services<'a>(config: &Config, chains: &'a [ServedChain]) -> Vec<(String, Vec<&'a ServedChain>)> {
    let mail = mx_hosts(config).into_iter().map(|host| (25, host));
    let web = config.sites.iter().flat_map(|site| &site.names).map(|name| (443, name.to_string()));
    let web = web.filter(|_| !config.https.listeners.is_empty());
    let shown = |host: &str| {
        let named = chains.iter().filter(|chain| chain.names.iter().any(|name| is_for(name, host)));
        let named: Vec<&ServedChain> = named.collect();
        if named.is_empty() { chains.iter().collect() } else { named }
    };
    mail.chain(web).map(|(port, host)| (format!("_{port}._tcp.{host}"), shown(&host))).collect()
}

/// What the DNS publishes of DANE for this node.
pub async fn published_tlsa(
    config: &Config,
    certificates: &CertificateStore,
    resolver: &Resolver,
) -> Vec<DaneVerdict> {
    let chains = certificates.chains();
    let mut verdicts = Vec::new();
    for (name, shown) in services(config, &chains).into_iter().take(NAMES_MAX) {
        verdicts.push(tlsa(resolver, &name, &shown).await);
    }
    verdicts
}

/// What CAA says of the names of this node's certificates, each with its name. Nothing for those that no authority signed.
pub async fn published_caa(
    certificates: &CertificateStore,
    resolver: &Resolver,
) -> Vec<(String, CaaVerdict)> {
    let mut verdicts: Vec<(String, CaaVerdict)> = Vec::new();
    for chain in certificates.chains().iter().filter(|chain| !chain.is_self_signed) {
        let hosts = chain.names.iter().filter(|name| name.parse::<std::net::IpAddr>().is_err());
        for name in hosts {
            if verdicts.len() >= NAMES_MAX {
                return verdicts;
            }
            let verdict = caa(resolver, name, chain.issuer.as_deref()).await;
            if !verdicts.contains(&(name.clone(), verdict.clone())) {
                verdicts.push((name.clone(), verdict));
            }
        }
    }
    verdicts
}

/// Puts what CAA says behind the item about the issuer.
pub fn add_caa(rating: &mut Rating, verdict: CaaVerdict) {
    let item = Item {
        section: "1.4",
        title: "CAA lets the issuer issue",
        weight: Weight::Advice,
        finding: verdict.finding,
        detail: verdict.detail,
    };
    let place = rating.items.iter().rposition(|item| item.section == "1.4").map_or(0, |place| place + 1);
    rating.items.insert(place, item);
}
