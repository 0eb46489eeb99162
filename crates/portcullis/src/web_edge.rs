//! The HTTPS edge of a node: from the configuration to listeners.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pc_acme::Proofs;
use pc_config::{Config, Site, UpstreamHost, WebListener as ListenerSettings};
use pc_hello::page::{FITS, Other};
use pc_http::disclosure::StrictTransportSecurity;
use pc_http::patches::Pack;
use pc_http::policy::PathPolicy;
use pc_httpd::{
    Asking, ClientTestListener, Edge, HostSettings, Hsts, PROTOCOLS, PlainListener, Rules, SeenClients,
    SiteRules, SiteSettings, TakeAttestation, WebListener,
};
use pc_net::{AcceptLimits, Acceptor, Clock, Refusals, Stop};
use pc_store::{Store, TlsClientQuery, TlsClientRow, WebTallyRow, Writer};
use pc_telemetry::Event;
use pc_tls::check::HttpQuestion;
use pc_tls::{CertificateStore, ClientHello, ClientTls, Refusal, Roots, ServerTls};
use pc_types::{Timestamp, time};
use tokio::task::JoinSet;

use crate::exit::{Failure, chain};
use crate::own_tls::{MailName, OwnListener, mail_name};
use crate::rule_pack;

/// Where the edge listens.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    pub https: Vec<SocketAddr>,
    pub redirect: Vec<SocketAddr>,
    pub client_test: Vec<SocketAddr>,
}

/// The edge of the configuration with virtual patches; `None` where it has no listener. Without `store` its page knows no other
/// clients, and without `attest` nobody may attest anything.
pub fn edge(
    config: &Config,
    pack: Pack,
    certificates: &CertificateStore,
    clock: Clock,
    (store, attest): (Option<(Store, Writer)>, Option<TakeAttestation>),
) -> Result<Option<Arc<Edge>>, Failure> {
    // A node for mail alone may have a redirect, where authorities look for proofs of its names.
    if config.https.listeners.is_empty() && config.https.redirects.is_empty() {
        return Ok(None);
    }
    let sites = config.sites.iter().map(site).collect::<Result<_, _>>()?;
    let edge = Edge::new(
        (sites, config.https.mta_sts.as_slice()),
        rules(config, pack),
        certificates.clone(),
        (clock, seen_clients(config, store), attest),
    );
    edge.map(Some).map_err(|error| Failure::configuration(format!("[https]: {}", chain(&error))))
}

/// What the client test page shows beside the client that asks.
fn seen_clients(config: &Config, store: Option<(Store, Writer)>) -> SeenClients {
    let ports = config.https.client_tests.iter().map(|settings| settings.address.port()).collect();
    let ask = move |address: IpAddr, since: Timestamp, rows_max: usize| -> Asking {
        let records = store.clone();
        Box::pin(async move {
            let Some((store, writer)) = records else { return Vec::new() };
            // Who comes from the test port at once shall see himself.
            writer.flush().await;
            let rows_max = u32::try_from(rows_max).unwrap_or(u32::MAX);
            let query = TlsClientQuery {
                address: Some(address),
                since: Some(since),
                with_fitting: true,
                rows_max,
                ..TlsClientQuery::default()
            };
            match store.tls_clients(&query).await {
                Ok(rows) => rows.into_iter().map(other).collect(),
                Err(error) => {
                    Event::StoreFailed { error: &chain(&error), rows_lost: 0 }.emit();
                    Vec::new()
                }
            }
        })
    };
    SeenClients { ask: Arc::new(ask), ports }
}

fn other(row: TlsClientRow) -> Other {
    Other { seen_at: row.last_seen, count: row.count, refusal: row.refusal, offer: row.offer }
}

/// What can be swapped at reload.
pub fn rules(config: &Config, pack: Pack) -> Rules {
    let https = &config.https;
    let sites = config.sites.iter().map(|site| SiteRules {
        name: site.name.clone(),
        policy: PathPolicy {
            open: site.open.clone(),
            exceptions: site
                .exceptions
                .iter()
                .flat_map(|exception| {
                    exception.directories.iter().map(|directory| (*directory, exception.networks.clone()))
                })
                .collect(),
            internal: site.internal.clone(),
        },
        patches: site.patches.unwrap_or(https.patches),
        rules: site.rules.clone(),
        http2: site.http2,
        activesync_windows_logins: site.activesync_windows_logins,
    });
    Rules {
        hsts: Hsts::new(&StrictTransportSecurity {
            max_age_seconds: https.hsts_max_age_seconds,
            include_subdomains: https.hsts_include_subdomains,
            preload: https.hsts_preload,
        }),
        fields_kept: https.response_fields_kept.clone(),
        forwarded_for_from: https.forwarded_for_from.clone(),
        pack,
        report_only: https.patches_report_only.clone(),
        sites: sites.collect(),
    }
}

fn site(site: &Site) -> Result<SiteSettings, Failure> {
    Ok(SiteSettings {
        name: site.name.clone(),
        names: site.names.clone(),
        hosts: site.hosts.iter().map(|one| host(site, one)).collect::<Result<_, _>>()?,
        connect_timeout: Duration::from_secs(site.connect_timeout_seconds),
        health_check: Duration::from_secs(site.health_check_seconds),
    })
}

fn host(site: &Site, host: &UpstreamHost) -> Result<HostSettings, Failure> {
    let roots = site.ca_file.as_ref().map_or(Roots::WebPki, |path| Roots::CaFile(PathBuf::from(path)));
    let tls = ClientTls::new(roots, host.certificate_sha256)
        .map_err(|error| Failure::configuration(format!("[[site]] {}: {}", site.name, chain(&error))))?;
    Ok(HostSettings {
        host: host.host.clone(),
        port: host.port,
        priority: host.priority,
        tls_name: host.tls_name.clone(),
        tls,
    })
}

/// Opens all listeners of the edge.
pub fn start(
    config: &Config,
    (certificates, writer, clock, proofs): (&CertificateStore, &Writer, &Clock, &Proofs),
    edge: &Arc<Edge>,
    stop: &Stop,
    (tasks, own): (&mut JoinSet<()>, &mut Vec<OwnListener>),
) -> Result<Addresses, Failure> {
    let drain = Duration::from_secs(config.https.drain_seconds);
    let mut addresses = Addresses::default();
    for settings in &config.https.listeners {
        let name = format!("https {}", settings.address);
        // Shakes hands with itself, and fails when what it offers is not the standard.
        let tls = ServerTls::with_protocols(&name, certificates, PROTOCOLS)
            .map_err(|error| Failure::internal(chain(&error)))?
            .answering(&proofs.challenges);
        let acceptor = acceptor(config, "listener", &name, settings)?;
        addresses.https.push(acceptor.address().map_err(|error| Failure::internal(error.to_string()))?);
        let (writer, clock, listener_name) = (writer.clone(), clock.clone(), name.clone());
        let on_refusal = move |address: IpAddr, refusal: &Refusal, hello: Option<&ClientHello>| {
            let offer = hello.map(ClientHello::offer);
            writer.tls_client(TlsClientRow::new(&listener_name, address, refusal.code(), offer, clock.now()));
        };
        let on_refusal = Arc::new(on_refusal);
        own.push(OwnListener {
            name: name.clone(),
            connections: acceptor.own_connections().map_err(|error| Failure::internal(error.to_string()))?,
            before_tls: None,
            server_name: served_name(config, certificates),
            http: HttpQuestion::Ask,
        });
        let listener = Arc::new(WebListener::new(&name, edge, tls, on_refusal).knowing(acceptor.own_peers()));
        let (edge, handler_stop) = (Arc::clone(edge), stop.clone());
        tasks.spawn(acceptor.serve(stop.clone(), drain, move |stream, peer| {
            pc_httpd::serve(Arc::clone(&edge), Arc::clone(&listener), stream, peer, handler_stop.clone())
        }));
    }
    for settings in &config.https.redirects {
        let name = format!("http {}", settings.address);
        let acceptor = acceptor(config, "redirect", &name, settings)?;
        addresses.redirect.push(acceptor.address().map_err(|error| Failure::internal(error.to_string()))?);
        let proofs = proofs.clone();
        let find_proof = Arc::new(move |token: &str| proofs.find(token));
        let listener = Arc::new(PlainListener { name: name.into(), find_proof });
        let (edge, handler_stop) = (Arc::clone(edge), stop.clone());
        tasks.spawn(acceptor.serve(stop.clone(), drain, move |stream, peer| {
            pc_httpd::serve_plain(
                Arc::clone(&edge),
                Arc::clone(&listener),
                stream,
                peer,
                handler_stop.clone(),
            )
        }));
    }
    for settings in &config.https.client_tests {
        let name: Arc<str> = format!("client_test {}", settings.address).into();
        let acceptor = acceptor(config, "client_test", &name, settings)?;
        addresses.client_test.push(acceptor.address().map_err(|error| Failure::internal(error.to_string()))?);
        let (writer, clock, listener_name) = (writer.clone(), clock.clone(), Arc::clone(&name));
        let on_observed = move |address: IpAddr, refusal: Option<&Refusal>, hello: Option<&ClientHello>| {
            let word = refusal.map_or(FITS, Refusal::code);
            let offer = hello.map(ClientHello::offer);
            writer.tls_client(TlsClientRow::new(&listener_name, address, word, offer, clock.now()));
        };
        let (certificates, on_observed) = (certificates.clone(), Arc::new(on_observed));
        let listener = Arc::new(ClientTestListener { name, certificates, on_observed });
        tasks.spawn(acceptor.serve(stop.clone(), drain, move |stream, peer| {
            pc_httpd::serve_client_test(Arc::clone(&listener), stream, peer)
        }));
    }
    tasks.spawn(Arc::clone(edge).watch(stop.clone()));
    tasks.spawn(watch_rules(Arc::clone(edge), clock.clone(), stop.clone()));
    Ok(addresses)
}

/// A name that the edge serves, by which it is looked at.
fn served_name(config: &Config, certificates: &CertificateStore) -> String {
    let of_sites = config.sites.iter().flat_map(|site| &site.names).map(ToString::to_string).next();
    of_sites
        .or_else(|| config.https.mta_sts.first().map(pc_config::MtaSts::host))
        .unwrap_or_else(|| mail_name(config, certificates, MailName::OfCertificate))
}

/// How often rules past their last day are told of.
const EXPIRED_LOOK: Duration = Duration::from_secs(24 * 60 * 60);

/// Tells daily which rules only report because they have expired.
async fn watch_rules(edge: Arc<Edge>, clock: Clock, mut stop: Stop) {
    loop {
        rule_pack::tell_expired(&edge.rules().pack, time::date_of(clock.now()));
        tokio::select! {
            () = stop.stopped() => return,
            () = tokio::time::sleep(EXPIRED_LOOK) => {}
        }
    }
}

/// How often counts go to the database.
const TALLY_EVERY: Duration = Duration::from_secs(60);

/// Keeps what the edge counts, until `stop`; what requests that are still under way then bring is not counted.
pub async fn keep_tally(edge: Arc<Edge>, store: Store, clock: Clock, mut stop: Stop) {
    loop {
        let is_last = tokio::select! {
            () = stop.stopped() => true,
            () = tokio::time::sleep(TALLY_EVERY) => false,
        };
        write_tally(&edge, &store, &clock).await;
        if is_last {
            return;
        }
    }
}

/// Counts that cannot be written are told of and lost; refusing goes on without them.
pub async fn write_tally(edge: &Edge, store: &Store, clock: &Clock) {
    let rows: Vec<WebTallyRow> = edge
        .take_tally()
        .into_iter()
        .map(|one| WebTallyRow {
            site: one.site,
            kind: one.kind.as_str().to_owned(),
            code: one.code,
            count: one.count,
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    if let Err(error) = store.add_web_tally(time::date_of(clock.now()), &rows).await {
        Event::StoreFailed { error: &chain(&error), rows_lost: rows.len() as u64 }.emit();
    }
}

fn acceptor(
    config: &Config,
    section: &str,
    name: &str,
    settings: &ListenerSettings,
) -> Result<Acceptor, Failure> {
    let limits = AcceptLimits {
        connections_max: config.https.connections_max,
        connections_per_address_max: config.https.connections_per_address_max,
        connections_per_minute: config.https.connections_per_minute,
    };
    // There are no words for a client that has not begun to speak TLS.
    let refusals = Refusals { over_limits: b"", out_of_handles: b"" };
    let acceptor = Acceptor::bind(name, settings.address, limits, refusals).map_err(|error| {
        Failure::configuration(format!("[[https.{section}]] address {}: {error}", settings.address))
    })?;
    let balancers = settings.proxy_protocol_from.clone();
    Ok(acceptor.behind_balancers(move |address| balancers.iter().any(|network| network.contains(address))))
}
