//! `tls records`: what the DNS should publish for this node, and whether it does.
//!
//! RFC 8461 3.1 (MTA-STS), RFC 8460 3 (reports), RFC 6698, 7671 and 7672 (TLSA). TLSA counts in signed zones only.

use std::time::Duration;

use pc_config::Config;
use pc_dns::{Answer, Budget, Kind, Query, Records, Resolver};
use pc_http::mta_sts;
use pc_rating::Finding;
use pc_tls::{CertificateStore, CertificateSummary, ServedChain};
use pc_types::{hex, sha256};
use serde_json::json;

use super::{Context, tls_dns};
use crate::exit::Failure;
use crate::output::{print, print_json};
use crate::{acme, node};

/// RFC 8460 3: each domain has its own address; this one is the usual.
const REPORT_MAILBOX: &str = "tlsrpt";
/// Between servers.
const SMTP_PORT: u16 = 25;

/// A record that should stand in the DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub name: String,
    pub kind: &'static str,
    pub data: String,
    /// It may say something else and be right.
    pub is_advice: bool,
}

impl Wanted {
    /// A line of a zone file (RFC 1035 5.1).
    pub fn line(&self) -> String {
        let data = if self.kind == "TXT" { format!("\"{}\"", self.data) } else { self.data.clone() };
        format!("{}. IN {} {data}", self.name, self.kind)
    }
}

pub async fn run(context: &Context) -> Result<(), Failure> {
    let config = context.load()?;
    let certificates = node::certificates(&config)?;
    let wanted = wanted(&config, &certificates);
    let resolver = node::resolver(&config)?;
    let budget = Budget::new(u32::try_from(2 * config.https.mta_sts.len()).unwrap_or(u32::MAX), DNS_TIMEOUT);
    let texts = published(&config, &resolver, &budget).await;
    let tlsa = tls_dns::published_tlsa(&config, &certificates, &resolver).await;
    let caa = tls_dns::published_caa(&certificates, &resolver).await;
    if context.json {
        let list = wanted.iter().map(|record| {
            json!({ "name": record.name, "type": record.kind, "data": record.data, "advice": record.is_advice })
        });
        let found = texts.iter().map(|(is_right, text)| {
            let finding = match is_right {
                Some(true) => Finding::Pass,
                Some(false) => Finding::Fail,
                None => Finding::NotTested,
            };
            ("TXT", finding, text.clone())
        });
        let found = found.chain(tlsa.iter().map(|one| ("TLSA", one.finding, one.detail.clone())));
        let found = found
            .chain(caa.iter().map(|(name, one)| ("CAA", one.finding, format!("{name}: {}", one.detail))));
        let by_acme = by_acme(&config, &certificates).map(|text| ("TLSA", Finding::NotApplicable, text));
        let found = found.chain(by_acme).map(
            |(kind, finding, text)| json!({ "published": kind, "finding": finding.word(), "text": text }),
        );
        print_json(&list.chain(found).collect());
        return Ok(());
    }
    let lines: String = wanted.iter().map(|record| format!("{}\n", record.line())).collect();
    let mut found = String::new();
    for (is_right, text) in &texts {
        let word = match is_right {
            Some(true) => "right",
            Some(false) => "wrong",
            None => "not known",
        };
        found.push_str(&format!("  {word:<14}  {text}\n"));
    }
    for one in &tlsa {
        found.push_str(&format!("  {:<14}  {}\n", one.finding.word(), one.detail));
    }
    for (name, one) in &caa {
        found.push_str(&format!("  {:<14}  {name}: {}\n", one.finding.word(), one.detail));
    }
    let by_acme =
        by_acme(&config, &certificates).map(|text| format!("\nNote: {text}.\n")).unwrap_or_default();
    print(&format!(
        "{lines}\nWhat the DNS says:\n{found}{by_acme}\nTLSA counts in zones that are signed (DNSSEC) only; whether they are is not asked. Before a key \
         is changed, publish the record of the next one beside it and wait for two TTLs (RFC 7671 8.1); keep the old one until the new \
         certificate is in use. Where [[https.mta_sts]] names no MX host, those of [node] name are shown."
    ));
    Ok(())
}

/// Above `[dns] timeout_seconds`, which comes first.
const DNS_TIMEOUT: Duration = Duration::from_secs(60);

/// All of them, MTA-STS first.
pub fn wanted(config: &Config, certificates: &CertificateStore) -> Vec<Wanted> {
    let text = |name: String, data: String, is_advice| Wanted { name, kind: "TXT", data, is_advice };
    let mut wanted = Vec::new();
    for policy in &config.https.mta_sts {
        let domain = &policy.domain;
        wanted.push(text(format!("_mta-sts.{domain}"), mta_sts::record(policy), false));
        let reports = format!("v=TLSRPTv1; rua=mailto:{REPORT_MAILBOX}@{domain}");
        wanted.push(text(format!("_smtp._tls.{domain}"), reports, true));
    }
    for host in mx_hosts(config) {
        for certificate in shown(&certificates.certificates(), &host) {
            let Some(data) = tlsa(config, certificates, certificate) else { continue };
            let name = format!("_{SMTP_PORT}._tcp.{host}");
            let record = Wanted { name, kind: "TLSA", data, is_advice: true };
            if !wanted.contains(&record) {
                wanted.push(record);
            }
        }
    }
    wanted
}

/// A record that fits a certificate and stays right as long as can be.
fn tlsa(
    config: &Config,
    certificates: &CertificateStore,
    certificate: &CertificateSummary,
) -> Option<String> {
    if !acme::is_managed(config, certificate) {
        // DANE-EE(3) SPKI(1) SHA2-256(1), which RFC 7672 3.1.1 recommends: neither names nor dates of the certificate count.
        return Some(format!("3 1 1 {}", hex(&certificate.key_sha256)));
    }
    // DANE-TA(2) on the authority that signed it, which stands in the chain (RFC 7672 3.1.2).
    let chains = certificates.chains();
    let is_its = |chain: &&ServedChain| {
        chain.certificates.first().is_some_and(|leaf| sha256(&leaf.certificate) == certificate.leaf_sha256)
    };
    let issuer = chains.iter().find(is_its)?.certificates.get(1)?;
    Some(format!("2 1 1 {}", hex(&sha256(&issuer.key))))
}

/// What to know of TLSA where senders may be shown a certificate by ACME.
pub fn by_acme(config: &Config, certificates: &CertificateStore) -> Option<String> {
    let hosts = mx_hosts(config);
    let all = certificates.certificates();
    let mut of_hosts = hosts.iter().flat_map(|host| shown(&all, host));
    let managed = of_hosts.find(|certificate| acme::is_managed(config, certificate))?;
    Some(format!(
        "the certificate for {} is by ACME and has another key after each renewal, which breaks records of the form 3 1 1; publish 2 1 1 \
         of every certificate that the authority may sign with next (it tells of them beforehand), or name own files in [tls] \
         certificates for the MX host",
        managed.names.join(", ")
    ))
}

/// The hosts of all policies that are named in full; without any, this node.
pub(super) fn mx_hosts(config: &Config) -> Vec<String> {
    let named = config.https.mta_sts.iter().flat_map(|policy| &policy.mx);
    let mut hosts: Vec<String> = named.filter(|host| !host.starts_with("*.")).cloned().collect();
    if hosts.is_empty() {
        hosts.push(config.node.name.to_string());
    }
    hosts.sort();
    hosts.dedup();
    hosts
}

/// The certificates that a client which asks for `host` may be shown: those for it, or all where none is.
fn shown<'a>(certificates: &'a [CertificateSummary], host: &str) -> Vec<&'a CertificateSummary> {
    let named = certificates.iter().filter(|one| one.names.iter().any(|name| is_for(name, host)));
    let named: Vec<&CertificateSummary> = named.collect();
    if named.is_empty() { certificates.iter().collect() } else { named }
}

/// RFC 9525 6.3: a wildcard stands for one label.
pub(super) fn is_for(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(rest) => host.split_once('.').is_some_and(|(_, after)| after.eq_ignore_ascii_case(rest)),
        None => name.eq_ignore_ascii_case(host),
    }
}

/// What the DNS says of the text records, in words with the remedy, each with whether it is as it should be; `None` where
/// nobody could say.
pub async fn published(config: &Config, resolver: &Resolver, budget: &Budget) -> Vec<(Option<bool>, String)> {
    let mut found = Vec::new();
    for policy in &config.https.mta_sts {
        let name = format!("_mta-sts.{}", policy.domain);
        let wanted = mta_sts::record(policy);
        found.push(match texts(resolver, budget, &name).await {
            Err(why) => (None, format!("{name}: {why}")),
            Ok(texts) => {
                let policies: Vec<&String> = texts.iter().filter(|text| text.starts_with("v=STSv1")).collect();
                match policies.as_slice() {
                    [one] if is_same_id(one, &wanted) => (Some(true), format!("{name} names the policy that is served")),
                    [one] => (
                        Some(false),
                        format!(
                            "{name} is {one:?}, so that senders keep an older policy; publish \"{wanted}\" after each change of it"
                        ),
                    ),
                    // RFC 8461 3.1: with none, or several, there is no policy.
                    [] => (Some(false), format!("{name} is missing, so that no sender asks for the policy; publish \"{wanted}\"")),
                    _ => (Some(false), format!("{name} has several records, which counts as none; leave only \"{wanted}\"")),
                }
            }
        });
        let name = format!("_smtp._tls.{}", policy.domain);
        found.push(match texts(resolver, budget, &name).await {
            Err(why) => (None, format!("{name}: {why}")),
            Ok(texts) if texts.iter().any(|text| text.starts_with("v=TLSRPTv1")) => {
                (Some(true), format!("{name} asks for reports"))
            }
            Ok(_) => (
                Some(false),
                format!(
                    "{name} is missing, so that nobody reports failed deliveries; publish \"v=TLSRPTv1; rua=mailto:{REPORT_MAILBOX}@{}\"",
                    policy.domain
                ),
            ),
        });
    }
    found
}

/// Whatever spaces stand around it.
fn is_same_id(published: &str, wanted: &str) -> bool {
    let id = |text: &str| {
        let mut fields = text.split(';').filter_map(|field| field.split_once('='));
        fields.find(|(key, _)| key.trim() == "id").map(|(_, id)| id.trim().to_owned())
    };
    id(published).is_some() && id(published) == id(wanted)
}

async fn texts(resolver: &Resolver, budget: &Budget, name: &str) -> Result<Vec<String>, String> {
    let query = Query::new(name, Kind::Txt).ok_or("the name is too long")?;
    match resolver.ask(budget, &query).await {
        Answer::Found(Records::Txt(texts)) => {
            Ok(texts.iter().map(|octets| String::from_utf8_lossy(octets).into_owned()).collect())
        }
        Answer::Found(_) | Answer::NotFound => Ok(Vec::new()),
        Answer::Temporary(why) => Err(why),
    }
}
