mod acme;
mod ocsp;

use std::fs;
use std::net::{Ipv4Addr, TcpListener, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use pc_auth::dns_list::{Finding as Listing, List};
use pc_config::{Config, MilterFailure, SpoolMode, UpstreamTarget};
use pc_dns::{Budget, Kind, Resolver};
use pc_net::Clock;
use pc_rating::Finding as Found;
use pc_types::time;

use super::{Context, catalogue, tls_dns, tls_records};
use crate::exit::{BAD, Failure};
use crate::node;
use crate::output::{print, print_json};
use crate::own_tls;
use crate::rule_pack;
use crate::web_edge;

/// Days before the end of a certificate at which it is worth a warning.
const CERTIFICATE_DAYS_LEFT_MIN: i64 = 21;
/// Room for the spool of a bad day.
const DISK_FREE_MIN_MIB: u64 = 1_024;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Finding {
    Bad,
    Good,
    Warning,
}

struct Check {
    what: String,
    finding: Finding,
    text: String,
}

impl Check {
    fn new(what: &str, finding: Finding, text: impl Into<String>) -> Self {
        Self { what: what.to_owned(), finding, text: text.into() }
    }
}

pub async fn run(context: &Context) -> Result<u8, Failure> {
    let config = context.load()?;
    let mut checks = vec![Check::new("configuration", Finding::Good, "valid")];
    checks.push(check_clock());
    checks.push(check_catalogue(&config));
    checks.push(check_certificate(&config));
    checks.extend(acme::check(&config));
    checks.extend(ocsp::check(&config));
    checks.extend(check_tls(context, &config).await);
    checks.push(check_name(&config));
    checks.extend(check_ports(&config));
    checks.push(check_disk(&config));
    checks.extend(check_upstreams(&config).await);
    checks.extend(check_streams(&config).await);
    checks.extend(check_sites(&config).await);
    checks.extend(check_rules(&config));
    checks.extend(check_records(&config).await);
    checks.extend(check_certificate_records(&config).await);
    checks.extend(check_recipients(&config));
    checks.extend(check_milters(&config).await);
    checks.extend(check_lists(&config).await);
    checks.extend(check_webhooks(&config).await);
    if context.json {
        let list = checks.iter().map(|check| {
            serde_json::json!({ "check": check.what, "finding": word(check.finding), "text": check.text })
        });
        print_json(&list.collect());
    } else {
        let lines: Vec<String> = checks
            .iter()
            .map(|check| format!("{:<5} {:<14} {}\n", word(check.finding), check.what, check.text))
            .collect();
        print(&lines.concat());
    }
    let is_bad = checks.iter().any(|check| check.finding == Finding::Bad);
    Ok(if is_bad { BAD } else { 0 })
}

fn word(finding: Finding) -> &'static str {
    match finding {
        Finding::Bad => "bad",
        Finding::Good => "good",
        Finding::Warning => "warn",
    }
}

fn check_clock() -> Check {
    let now = Clock::System.now();
    let build_floor = pc_exchange::Catalogue::embedded().map(|catalogue| catalogue.as_of());
    match build_floor {
        Ok(floor) if time::date_of(now) < floor => Check::new(
            "clock",
            Finding::Bad,
            format!("{now} lies before the catalogue's date {floor}; set the clock, for example with chrony"),
        ),
        _ => Check::new("clock", Finding::Good, now.to_string()),
    }
}

fn check_catalogue(config: &Config) -> Check {
    match catalogue(config) {
        Err(failure) => Check::new("catalogue", Finding::Bad, failure.to_string()),
        Ok(catalogue) => {
            let age = time::days_between(catalogue.as_of(), time::date_of(Clock::System.now()));
            let (finding, remedy) = if age > i64::from(config.catalog.stale_days) {
                let remedy = "; stale, a monthly update is missing: portcullis catalog update, or import, or a newer version \
                              of Portcullis";
                (Finding::Warning, remedy)
            } else {
                (Finding::Good, "")
            };
            Check::new("catalogue", finding, format!("of {}, {age} days old{remedy}", catalogue.as_of()))
        }
    }
}

fn check_certificate(config: &Config) -> Check {
    match node::certificates(config) {
        Err(failure) => Check::new("certificate", Finding::Bad, failure.to_string()),
        Ok(store) => {
            let today = time::date_of(Clock::System.now());
            let left = time::days_between(today, time::date_of(store.not_after()));
            let names = store.names().join(", ");
            let has_own = !config.tls.certificates.is_empty();
            if !has_own && !crate::acme::is_served(config, &store) {
                let remedy = match config.tls.acme {
                    Some(_) => "no certificate has come by ACME yet, see acme below",
                    None => "name your files in [tls] certificates",
                };
                let text = format!("self-made for {names}; senders cannot verify it: {remedy}");
                return Check::new("certificate", Finding::Warning, text);
            }
            // One by ACME may be of a few days; whether its renewal is late is told below.
            let own = store.certificates().into_iter().filter(|one| !crate::acme::is_managed(config, one));
            let ends = own.map(|one| time::days_between(today, time::date_of(one.not_after))).min();
            let is_short = has_own && ends.is_some_and(|days| days < CERTIFICATE_DAYS_LEFT_MIN);
            let finding = if is_short { Finding::Warning } else { Finding::Good };
            Check::new("certificate", finding, format!("for {names}, {left} days left"))
        }
    }
}

/// What every listener offers, against the checklist and grades of SSL Labs: what the running node saw of each, or, where none
/// runs, what they would offer, since all have the same standard and certificates.
async fn check_tls(context: &Context, config: &Config) -> Vec<Check> {
    if is_running(config) {
        return check_listeners(context).await;
    }
    let checked = match node::certificates(config) {
        Ok(store) => own_tls::check(&store).await,
        Err(failure) => Err(failure),
    };
    vec![match checked {
        Err(failure) => Check::new("tls", Finding::Bad, failure.to_string()),
        Ok(checked) if checked.is_good() => Check::new(
            "tls",
            Finding::Good,
            format!("meets the standard, grade {} before HSTS", checked.grade_text()),
        ),
        // A private certificate is no fault of the protocol; nothing else may differ, since the listener has proven it.
        Ok(checked) => {
            let text = format!("grade {}: {}", checked.grade_text(), checked.faults().join(", "));
            Check::new("tls", Finding::Warning, text)
        }
    }]
}

/// What the running node saw of its listeners.
async fn check_listeners(context: &Context) -> Vec<Check> {
    let status = match super::servers::ask(context, "GET", "/api/v1/status", None).await {
        Ok(status) => status,
        Err(failure) => return vec![Check::new("tls", Finding::Warning, failure.to_string())],
    };
    let reports: Vec<&serde_json::Value> =
        status.get("listeners").and_then(serde_json::Value::as_array).into_iter().flatten().collect();
    if reports.is_empty() {
        let text =
            "the node has not looked at all of its listeners yet, for up to two minutes each; ask again then";
        return vec![Check::new("tls", Finding::Warning, text)];
    }
    let check = |report: &serde_json::Value| {
        let text = |field: &str| {
            report.get(field).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
        };
        let list = |field: &str| {
            let items = report.get(field).and_then(serde_json::Value::as_array).into_iter().flatten();
            items.filter_map(serde_json::Value::as_str).map(str::to_owned).collect::<Vec<_>>()
        };
        let (listener, grade) = (text("listener"), text("grade"));
        if let Some(error) = report.get("error").and_then(serde_json::Value::as_str) {
            let text = format!("{listener} could not be checked: {error}; it is tried again within the hour");
            return Check::new("tls", Finding::Warning, text);
        }
        if report.get("meets_standard") == Some(&true.into()) {
            let text = format!("{listener} meets the standard, grade {grade} ({})", text("arithmetic"));
            return Check::new("tls", Finding::Good, text);
        }
        let unseen = list("not_tested").into_iter().map(|item| format!("not tested: {item}"));
        let faults: Vec<String> = list("failed").into_iter().chain(unseen).collect();
        Check::new("tls", Finding::Warning, format!("{listener}: grade {grade}; {}", faults.join("; ")))
    };
    reports.into_iter().map(check).collect()
}

fn check_name(config: &Config) -> Check {
    let name = config.node.name.as_str();
    match (name, 25).to_socket_addrs() {
        Ok(addresses) if addresses.len() > 0 => Check::new("name", Finding::Good, format!("{name} resolves")),
        _ => Check::new(
            "name",
            Finding::Warning,
            format!("{name} does not resolve here; [node] name should be the host name in your MX record"),
        ),
    }
}

fn check_ports(config: &Config) -> Vec<Check> {
    let listeners = config.smtp.listeners.iter().map(|listener| listener.address);
    let listeners = listeners.chain(config.streams.iter().map(|stream| stream.address));
    let https = &config.https;
    let web = https.listeners.iter().chain(&https.redirects).chain(&https.client_tests);
    let web = web.map(|listener| listener.address);
    let is_running = is_running(config);
    listeners
        .chain(web)
        .chain([config.admin.address])
        .map(|address| match TcpListener::bind(address) {
            Ok(_) if is_running => Check::new(
                "port",
                Finding::Warning,
                format!("{address} is free although the server runs: restart it"),
            ),
            Ok(_) => Check::new("port", Finding::Good, format!("{address} is free")),
            Err(_) if is_running => {
                Check::new("port", Finding::Good, format!("{address} is in use, the server runs"))
            }
            Err(error) => Check::new(
                "port",
                Finding::Bad,
                format!("{address}: {error}; stop what uses it, or choose another"),
            ),
        })
        .collect()
}

fn is_running(config: &Config) -> bool {
    std::os::unix::net::UnixStream::connect(node::socket_path(Path::new(&config.node.data))).is_ok()
}

fn check_disk(config: &Config) -> Check {
    let data = Path::new(&config.node.data);
    if let Err(failure) = node::create_folder(data) {
        return Check::new("disk", Finding::Bad, failure.to_string());
    }
    let probe = data.join("doctor.tmp");
    if let Err(error) = fs::write(&probe, "x").and_then(|()| fs::remove_file(&probe)) {
        return Check::new("disk", Finding::Bad, format!("{} cannot be written: {error}", data.display()));
    }
    match free_mib(data) {
        Some(free) if free < DISK_FREE_MIN_MIB => {
            Check::new("disk", Finding::Warning, format!("{free} MiB free at {}; make room", data.display()))
        }
        Some(free) => Check::new("disk", Finding::Good, format!("{free} MiB free at {}", data.display())),
        None => Check::new("disk", Finding::Warning, "free space could not be read"),
    }
}

/// Asks df, since the standard library cannot and unsafe code may not.
fn free_mib(folder: &Path) -> Option<u64> {
    let output = std::process::Command::new("df").args(["-Pm", "--"]).arg(folder).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().nth(1)?.split_ascii_whitespace().nth(3)?.parse().ok()
}

async fn check_upstreams(config: &Config) -> Vec<Check> {
    let mut checks = Vec::new();
    for upstream in &config.upstreams {
        let UpstreamTarget::Smtp(target) = &upstream.target else {
            checks.push(Check::new("server behind", Finding::Good, format!("{}: a Maildir", upstream.name)));
            continue;
        };
        let looks = match node::smtp_upstream(config, upstream, target, Clock::System) {
            Ok(server) => server.probe().await,
            Err(failure) => {
                checks.push(Check::new("server behind", Finding::Bad, failure.to_string()));
                continue;
            }
        };
        let answering = looks.iter().filter(|(_, looked)| looked.is_ok()).count();
        for (address, looked) in looks {
            let name = &upstream.name;
            checks.push(match looked {
                Ok(()) => Check::new("server behind", Finding::Good, format!("{name} at {address} answers")),
                Err(fault) if answering > 0 => {
                    let text = format!("{name} at {address}: {fault}; the other hosts take its mail");
                    Check::new("server behind", Finding::Warning, text)
                }
                Err(fault) => {
                    let meanwhile = match config.spool.mode {
                        SpoolMode::Off => "mail is deferred with 451",
                        SpoolMode::Always | SpoolMode::WhenDown => "mail is spooled",
                    };
                    let text = format!("{name} at {address}: {fault}; until it answers, {meanwhile}");
                    Check::new("server behind", Finding::Bad, text)
                }
            });
        }
    }
    checks
}

async fn check_streams(config: &Config) -> Vec<Check> {
    let mut checks = Vec::new();
    for stream in &config.streams {
        let looks = match crate::stream::server(config, stream, Clock::System) {
            Ok(server) => server.probe().await,
            Err(failure) => {
                checks.push(Check::new("server behind", Finding::Bad, failure.to_string()));
                continue;
            }
        };
        checks.extend(looks.into_iter().map(|(address, looked)| match looked {
            Ok(()) => {
                Check::new("server behind", Finding::Good, format!("{} at {address} answers", stream.name))
            }
            Err(fault) => {
                let text = format!("{} at {address}: {fault}; its mail programs are sent away", stream.name);
                Check::new("server behind", Finding::Bad, text)
            }
        }));
    }
    checks
}

/// Each server of each site is connected to, and its certificate is compared with ours.
async fn check_sites(config: &Config) -> Vec<Check> {
    let edge = node::certificates(config).and_then(|certificates| {
        let pack = rule_pack::look(config, Clock::System.now())?.pack;
        web_edge::edge(config, pack, &certificates, Clock::System, (None, None))
    });
    let edge = match edge {
        Ok(Some(edge)) => edge,
        Ok(None) => return Vec::new(),
        Err(failure) => return vec![Check::new("site", Finding::Bad, failure.to_string())],
    };
    let mut checks = Vec::new();
    for (server, looked) in edge.probe().await {
        checks.push(match looked {
            Ok(()) => Check::new("site", Finding::Good, format!("{server} answers")),
            Err(fault) => Check::new("site", Finding::Bad, format!("{server}: {fault}; it gets no requests")),
        });
    }
    for (site, host) in edge.listed().iter().flat_map(|site| site.hosts.iter().map(move |host| (site, host)))
    {
        let place = format!("{} at {}", site.site, host.address);
        match host.channel_binding {
            Some("match") => {
                checks.push(Check::new(
                    "site",
                    Finding::Good,
                    format!("{place} has the certificate that clients see"),
                ));
            }
            Some(_) => {
                let text = format!(
                    "{place} has another certificate than clients see; give Exchange the very same, or Windows logins fail \
                     under Extended Protection"
                );
                checks.push(Check::new("site", Finding::Warning, text));
            }
            None => {}
        }
        let down = host.directories.iter().filter(|(_, state)| *state == "down").map(|(name, _)| *name);
        let down: Vec<&str> = down.collect();
        if !down.is_empty() && host.last_fault.is_none() {
            let text = format!("{place}: healthcheck.htm is not 200 in {}", down.join(", "));
            checks.push(Check::new("site", Finding::Warning, text));
        }
    }
    checks
}

/// The virtual patches that a node would use, and what it would refuse.
fn check_rules(config: &Config) -> Vec<Check> {
    if config.https.listeners.is_empty() {
        return Vec::new();
    }
    let now = Clock::System.now();
    let found = match rule_pack::look(config, now) {
        Ok(found) => found,
        Err(failure) => return vec![Check::new("rules", Finding::Bad, failure.to_string())],
    };
    let today = time::date_of(now);
    let finding = if found.refused.is_empty() { Finding::Good } else { Finding::Bad };
    let mut checks = vec![Check::new("rules", finding, found.told())];
    if let Some(last) = found.pack.expires().filter(|last| *last < today) {
        let text = format!("the last day of the pack was {last}; it stays in use: install a newer one");
        checks.push(Check::new("rules", Finding::Warning, text));
    }
    let expired = found.pack.listed().filter(|rule| rule.is_expired(today)).map(|rule| rule.id);
    let expired: Vec<&str> = expired.collect();
    if !expired.is_empty() {
        let text = format!(
            "expired, so that they only report: {}; install a newer pack, or set them to \"block\" in [site.rules]",
            expired.join(", ")
        );
        checks.push(Check::new("rules", Finding::Warning, text));
    }
    checks
}

/// What the DNS publishes of MTA-STS, and what it should of DANE.
async fn check_records(config: &Config) -> Vec<Check> {
    let policies = config.https.mta_sts.len();
    if policies == 0 {
        return Vec::new();
    }
    let (resolver, certificates) = match (node::resolver(config), node::certificates(config)) {
        (Ok(resolver), Ok(certificates)) => (resolver, certificates),
        (Err(failure), _) | (_, Err(failure)) => {
            return vec![Check::new("records", Finding::Bad, failure.to_string())];
        }
    };
    let budget = Budget::new(u32::try_from(2 * policies).unwrap_or(u32::MAX), DNS_TIMEOUT);
    let mut checks = Vec::new();
    for (is_right, text) in tls_records::published(config, &resolver, &budget).await {
        let finding = if is_right == Some(true) { Finding::Good } else { Finding::Warning };
        checks.push(Check::new("records", finding, text));
    }
    let wanted = tls_records::wanted(config, &certificates);
    let tlsa = wanted.iter().filter(|record| record.kind == "TLSA");
    checks.extend(tlsa.map(|record| {
        let text = format!("for DANE in a signed zone: {}", record.line());
        Check::new("records", Finding::Good, text)
    }));
    checks
}

/// CAA of our names and TLSA of our services, compared with the certificates. A self-made one is for trying out.
async fn check_certificate_records(config: &Config) -> Vec<Check> {
    let (Ok(resolver), Ok(certificates)) = (node::resolver(config), node::certificates(config)) else {
        // Both were told of above.
        return Vec::new();
    };
    if config.tls.certificates.is_empty() && !crate::acme::is_served(config, &certificates) {
        return Vec::new();
    }
    let check = |what: &str, finding: Found, text: String| {
        let finding = match finding {
            Found::NotApplicable | Found::Pass => Finding::Good,
            Found::Fail | Found::NotTested => Finding::Warning,
        };
        Check::new(what, finding, text)
    };
    let tlsa = tls_dns::published_tlsa(config, &certificates, &resolver).await;
    let mut checks: Vec<Check> = tlsa.into_iter().map(|one| check("TLSA", one.finding, one.detail)).collect();
    let caa = tls_dns::published_caa(&certificates, &resolver).await;
    checks.extend(
        caa.into_iter().map(|(name, one)| check("CAA", one.finding, format!("{name}: {}", one.detail))),
    );
    let by_acme = tls_records::by_acme(config, &certificates);
    checks.extend(by_acme.map(|text| Check::new("TLSA", Finding::Good, text)));
    checks
}

fn check_recipients(config: &Config) -> Vec<Check> {
    let lists =
        config.upstreams.iter().filter_map(|upstream| match node::recipients(upstream).transpose()? {
            Ok(list) => {
                let text = format!("{}: {} lines in the list", upstream.name, list.lines());
                Some(Check::new("recipients", Finding::Good, text))
            }
            Err(failure) => Some(Check::new("recipients", Finding::Bad, failure.to_string())),
        });
    lists.collect()
}

/// Nothing is sent: `portcullis notices test-webhook` does.
async fn check_webhooks(config: &Config) -> Vec<Check> {
    let mut checks = Vec::new();
    for webhook in &config.notify.webhooks {
        let name = &webhook.name;
        checks.push(match pc_notify::secrets(Path::new(&webhook.secret_file)).await {
            Ok(secrets) => {
                let text = format!(
                    "{name}: {} in the file; portcullis notices test-webhook {name} tries it",
                    match secrets.count() {
                        1 => "1 secret".to_owned(),
                        count => format!("{count} secrets"),
                    }
                );
                Check::new("webhook", Finding::Good, text)
            }
            Err(error) => Check::new("webhook", Finding::Bad, format!("{name}: {error}")),
        });
    }
    checks
}

async fn check_milters(config: &Config) -> Vec<Check> {
    let mut checks = Vec::new();
    for milter in &config.milters {
        let name = &milter.name;
        checks.push(match node::milter(milter).probe(config.node.name.as_str()).await {
            Ok(verdict) => {
                let text = format!("{name} answers; its verdict on a small test message: {verdict}");
                Check::new("milter", Finding::Good, text)
            }
            Err(error) => {
                let meanwhile = match milter.on_failure {
                    MilterFailure::Accept => "mail goes on unscanned",
                    MilterFailure::Defer => "mail is deferred with 451",
                };
                Check::new("milter", Finding::Bad, format!("{name}: {error}; until it answers, {meanwhile}"))
            }
        });
    }
    checks
}

/// RFC 5782 5: every list names 127.0.0.2 and none names 127.0.0.1, so that it can be tried.
async fn check_lists(config: &Config) -> Vec<Check> {
    if config.dns_lists.is_empty() {
        return Vec::new();
    }
    let resolver = match node::resolver(config) {
        Ok(resolver) => resolver,
        Err(failure) => return vec![Check::new("DNS list", Finding::Bad, failure.to_string())],
    };
    let mut checks = Vec::new();
    for list in &config.dns_lists {
        let listed = try_list(&resolver, list, Ipv4Addr::new(127, 0, 0, 2)).await;
        let unlisted = try_list(&resolver, list, Ipv4Addr::LOCALHOST).await;
        let (finding, text) = match (listed, unlisted) {
            (_, Listing::Listed(_)) => (Finding::Bad, "names even 127.0.0.1; remove it".to_owned()),
            (Listing::Listed(_), Listing::NotListed) => (Finding::Good, "answers".to_owned()),
            (Listing::NotListed, _) => {
                let text = "does not name its test entry 127.0.0.2 with one of [[dns_list]] answers; look its answers up";
                (Finding::Warning, text.to_owned())
            }
            (Listing::Refused(_), _) | (_, Listing::Refused(_)) => {
                let text = "refuses to answer this resolver; use one of your own in [dns] servers, or register with it";
                (Finding::Bad, text.to_owned())
            }
            (unknown, _) => (Finding::Bad, format!("{unknown}; meanwhile it blocks nobody")),
        };
        checks.push(Check::new("DNS list", finding, format!("{}: {text}", list.zone)));
    }
    checks
}

async fn try_list(resolver: &Resolver, list: &List, address: Ipv4Addr) -> Listing {
    let budget = Budget::new(1, DNS_TIMEOUT);
    match list.query(address.into(), Kind::A) {
        Some(query) => list.judge(&resolver.ask(&budget, &query).await),
        None => Listing::Unknown("its name is too long".to_owned()),
    }
}

/// Above `[dns] timeout_seconds`, which comes first.
const DNS_TIMEOUT: Duration = Duration::from_secs(60);
