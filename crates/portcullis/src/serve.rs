//! `serve`: all listeners of the configuration, reload on SIGHUP, drain on SIGINT and SIGTERM.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use pc_config::{Config, ListenerTls, LogFormat};
use pc_enforce::Policies;
use pc_exchange::Catalogue;
use pc_net::{AcceptLimits, Acceptor, Clock, Refusals, Stop, Stopper};
use pc_smtpd::queue::Queue;
use pc_smtpd::{Delivery, Edge, Listener, RecipientFile, RecipientFileError, RecipientsReload};
use pc_store::ServerBook;
use pc_store::faults::{FaultPlan, Faults};
use pc_telemetry::{Event, Metrics};
use pc_tls::check::HttpQuestion;
use pc_tls::{CertificateStore, Reloaded, ServerTls};
use pc_types::{SignedDuration, Timestamp, time};
use pc_web::{Access, Attestor, Logins};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use crate::acme;
use crate::attestation;
use crate::catalogue::live::Live;
use crate::catalogue::update;
use crate::command::{self, Context};
use crate::connector;
use crate::exit::{Failure, chain};
use crate::hooks;
use crate::node::{self, Records};
use crate::node_watch::{Looked, Watch};
use crate::ocsp::Stapler;
use crate::output::print;
use crate::own_tls::{MailName, OwnListener, mail_name};
use crate::rule_pack;
use crate::stream;
use crate::web_edge;

/// Said to connections over the limits.
pub const SMTP_REFUSAL: &[u8] = b"421 4.7.0 too many connections, please come back later\r\n";
/// Said to connections that find no file handle left.
pub const SMTP_EXHAUSTED: &[u8] =
    b"421 4.3.2 no connection can be taken at present, please come back later\r\n";
/// How often certificate files are looked at.
const CERTIFICATE_POLL: Duration = Duration::from_secs(60);
/// Makes handling of messages that hold it panic, for tests.
pub const FAULT_MARK_VARIABLE: &str = "PORTCULLIS_TEST_MESSAGE_FAULT";
/// How often lists of recipients are looked at; a change is taken when it stood still from one look to the next.
const RECIPIENTS_POLL: Duration = Duration::from_secs(30);
/// Breaks the spool's disk at a step, for tests.
pub const FAULT_VARIABLE: &str = "PORTCULLIS_TEST_SPOOL_FAULT";
/// How often old transactions are deleted: at 1,000 a second some 100 MB come in between.
const EXPIRY: Duration = Duration::from_secs(60);
/// How many of these rounds pass until servers are looked through; that holds their records for a moment.
const SILENT_ROUNDS: u32 = 60;

/// Who was told what, and when, is asked in the year after.
const NOTICE_DAYS: i64 = 400;
/// Refused TLS clients: a quarter's worth, so that one that comes once a month is seen.
const TLS_CLIENT_DAYS: i64 = 100;

pub async fn run(context: &Context) -> Result<u8, Failure> {
    let config = context.load()?;
    let format = match config.telemetry.log {
        LogFormat::Json => pc_telemetry::LogFormat::Json,
        LogFormat::Text => pc_telemetry::LogFormat::Text,
    };
    pc_telemetry::start_logging(format, &config.telemetry.level)
        .map_err(|error| Failure::configuration(format!("[telemetry]: {error}")))?;
    let metrics = Metrics::install().map_err(|error| Failure::internal(error.to_string()))?;
    check_file_handles(&config);
    let (stopper, stop) = Stopper::new();
    let mut running = Running::start(&config, metrics, Clock::System, &stop).await?;
    print(&greeting(&config, context.config.is_none(), &running));
    let reason = wait(context, &running).await?;
    eprintln!("portcullis: {reason}, letting open transactions finish");
    stopper.stop();
    running.finish().await;
    Ok(0)
}

/// A node at work.
pub struct Running {
    pub admin_address: std::net::SocketAddr,
    pub smtp_addresses: Vec<std::net::SocketAddr>,
    pub streams: Vec<stream::Started>,
    pub web_addresses: web_edge::Addresses,
    pub attestor: Arc<Attestor>,
    /// Where there is an [[https.listener]] or an [[https.redirect]].
    pub web: Option<Arc<pc_httpd::Edge>>,
    pub certificates: CertificateStore,
    pub policies: Arc<ArcSwap<Policies>>,
    pub catalogue: Arc<ArcSwap<Catalogue>>,
    live: Option<Live>,
    logins: Arc<Logins>,
    pub records: Option<Records>,
    pub queue: Arc<Queue>,
    /// Each with the name of its upstream.
    pub recipients: Vec<(String, Arc<RecipientFile>)>,
    tasks: JoinSet<()>,
}

impl Running {
    /// Opens everything in order; an error closes what was opened.
    pub async fn start(
        config: &Config,
        metrics: Metrics,
        clock: Clock,
        stop: &Stop,
    ) -> Result<Self, Failure> {
        let catalogue = Arc::new(ArcSwap::from_pointee(command::catalogue(config)?));
        let policies = Arc::new(ArcSwap::from_pointee(node::policies(config)?));
        let records = Records::open(config).await?;
        let certificates = node::certificates(config)?;
        let rules = (Arc::clone(&policies), Arc::clone(&catalogue));
        let targets = node::targets(config, &clock)?;
        let queue =
            node::queue(config, &targets, clock.clone(), planned_faults()?, records.writer.clone()).await?;
        let edge = node::edge(config, &records, rules, clock.clone(), (targets, Arc::clone(&queue)))?;
        hooks::check_secrets(config).await?;
        attestation::check_keys(config).await?;
        let attestor = attestation::attestor(config, &records, &catalogue, clock.clone());
        let webhooks = hooks::webhooks(config, &records.store, clock.clone())?;
        let notifier = node::notifier(config, &records.store, &edge, Arc::clone(&webhooks))?;
        let shared = (clock.clone(), metrics.clone());
        let rules = (Arc::clone(&policies), Arc::clone(&catalogue));
        let web = {
            let seen = (records.store.clone(), records.writer.clone());
            let pack = rule_pack::take(config, clock.now())?.pack;
            let told = (Some(seen), attestation::taking(&attestor));
            web_edge::edge(config, pack, &certificates, clock.clone(), told)?
        };
        let logins = Arc::new(Logins::new(node::users(config)?));
        let looked = Looked::default();
        let parts = (Arc::clone(&queue), webhooks, Arc::clone(&attestor));
        let shown = (web.clone(), Arc::clone(&logins), looked.clone());
        let admin = node::admin(config, &records, rules, parts, shared, shown);

        let mut tasks = JoinSet::new();
        for target in &edge.settings.targets {
            if let Delivery::Smtp(upstream) = &target.delivery {
                tasks.spawn(Arc::clone(upstream).watch(stop.clone()));
            }
        }
        tasks.spawn(sum_up(metrics, clock.clone(), stop.clone()));
        tasks.spawn(Arc::clone(&queue).run(stop.clone()));
        tasks.spawn(notifier.run(stop.clone()));
        tasks.spawn(Arc::clone(&attestor).watch(stop.clone()));
        // What was kept is stapled before the first listener takes a connection.
        let kept = (&records.writer, &clock, looked.clone());
        tasks.spawn(Stapler::start(config, &certificates, kept)?.run(stop.clone()));
        let mut own = Vec::new();
        let smtp_addresses = start_smtp(config, &certificates, &edge, stop, (&mut tasks, &mut own))?;
        let parts = (&certificates, &records.writer);
        let streams = stream::start(config, parts, &clock, stop, (&mut tasks, &mut own))?;
        let mut web_addresses = web_edge::Addresses::default();
        let proofs = pc_acme::Proofs::default();
        if let Some(web) = &web {
            let shared = (&certificates, &records.writer, &clock, &proofs);
            web_addresses = web_edge::start(config, shared, web, stop, (&mut tasks, &mut own))?;
            let store = records.store.clone();
            tasks.spawn(web_edge::keep_tally(Arc::clone(web), store, clock.clone(), stop.clone()));
        }
        if let Some(obtainer) = acme::obtainer(config, (&certificates, &proofs, &clock))? {
            tasks.spawn(obtainer.run(stop.clone()));
        }
        let listener = TcpListener::bind(config.admin.address).await.map_err(|error| {
            Failure::configuration(format!("[admin] address {}: {error}", config.admin.address))
        })?;
        let admin_address = listener.local_addr().map_err(|error| Failure::internal(error.to_string()))?;
        let pages = pc_web::router(Arc::clone(&admin), Access::ReadOnly);
        tasks.spawn(pc_web::serve_tcp(listener, pages, stop.clone()));
        let socket = node::socket_path(Path::new(&config.node.data));
        let api = pc_web::router(admin, Access::Full);
        let socket_stop = stop.clone();
        tasks.spawn(async move {
            if let Err(error) = pc_web::serve_unix(&socket, api, socket_stop).await {
                let error = format!("{}: {error}", socket.display());
                Event::ListenerFailed { listener: "admin socket", error: &error }.emit();
            }
        });
        let kept = (&records.store, &records.writer);
        // Every listener takes connections by now; nobody waits for what comes of it.
        tasks.spawn(Watch::new(config, &certificates, kept, (&clock, looked), own).run(stop.clone()));
        tasks.spawn(watch_certificates(certificates.clone(), stop.clone()));
        let listed = edge.settings.targets.iter();
        let recipients: Vec<(String, Arc<RecipientFile>)> = listed
            .filter_map(|target| Some((target.name.clone(), Arc::clone(target.recipients.as_ref()?))))
            .collect();
        tasks.spawn(watch_recipients(recipients.clone(), stop.clone()));
        let (store, servers) = (records.store.clone(), Arc::clone(&records.servers));
        let keeping = Keeping {
            trace_days: config.store.trace_days,
            trace_octets_max: config.store.trace_max_megabytes.saturating_mul(1024 * 1024),
            decay_days: config.enforcement.decay_days,
        };
        let live =
            node::live(config, &records, (Arc::clone(&policies), Arc::clone(&catalogue)), clock.clone());
        tasks.spawn(update::keep_updated(config.clone(), live.clone(), store.clone(), stop.clone()));
        tasks.spawn(update::watch_age(config.clone(), live.clone(), store.clone(), stop.clone()));
        tasks.spawn(expire(store, servers, clock, keeping, stop.clone()));
        Ok(Self {
            admin_address,
            smtp_addresses,
            streams,
            web_addresses,
            attestor,
            web,
            certificates,
            policies,
            catalogue,
            live: Some(live),
            logins,
            records: Some(records),
            queue,
            recipients,
            tasks,
        })
    }

    /// Waits for all tasks, which end by `stop`, then closes the records.
    pub async fn finish(&mut self) {
        while self.tasks.join_next().await.is_some() {}
        self.live = None;
        if let Some(records) = self.records.take() {
            records.close().await;
        }
    }
}

/// The histograms hold no more than what comes in this time.
const SUMMED_UP_AFTER: SignedDuration = SignedDuration::from_secs(5);

async fn sum_up(metrics: Metrics, clock: Clock, mut stop: Stop) {
    loop {
        metrics.sum_up();
        let next = clock.now().saturating_add(SUMMED_UP_AFTER).unwrap_or(Timestamp::MAX);
        tokio::select! {
            () = stop.stopped() => return,
            () = clock.wait_until(next) => {}
        }
    }
}

/// Raises the limit of open files, and says so when it may still be too low: each connection needs one, its message
/// and the one behind as many again; each mail program's needs a second one.
fn check_file_handles(config: &Config) {
    let mail_programs: usize = config.streams.iter().map(|stream| stream.connections_max).sum();
    // A client and the server behind it.
    let web = if config.https.listeners.is_empty() { 0 } else { config.https.connections_max };
    let pairs = mail_programs.saturating_add(web).saturating_mul(2);
    let wanted = config.smtp.connections_max.saturating_mul(3).saturating_add(pairs);
    let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
    match pc_net::raise_file_handles() {
        Ok(Some(limit)) if limit < wanted => eprintln!(
            "portcullis: {limit} open files are allowed, but connections_max may need {wanted}; raise LimitNOFILE of the \
             service, or lower connections_max"
        ),
        Ok(_) => {}
        Err(error) => eprintln!("portcullis: the limit of open files stays as it is: {error}"),
    }
}

/// What the crash tests ask for.
fn planned_faults() -> Result<Faults, Failure> {
    let Ok(text) = std::env::var(FAULT_VARIABLE) else { return Ok(Faults::default()) };
    let plan = FaultPlan::parse(&text)
        .ok_or_else(|| Failure::configuration(format!("{FAULT_VARIABLE} is for tests: fail:N or kill:N")))?;
    eprintln!("portcullis: {FAULT_VARIABLE}={text}: the spool will be broken on purpose");
    Ok(Faults::new(plan))
}

fn start_smtp(
    config: &Config,
    certificates: &CertificateStore,
    edge: &Arc<Edge>,
    stop: &Stop,
    (tasks, own): (&mut JoinSet<()>, &mut Vec<OwnListener>),
) -> Result<Vec<std::net::SocketAddr>, Failure> {
    let limits = AcceptLimits {
        connections_max: config.smtp.connections_max,
        connections_per_address_max: config.smtp.connections_per_address_max,
        // [smtp.limits] counts them, with words for who is over.
        connections_per_minute: 0,
    };
    let drain = Duration::from_secs(config.smtp.drain_seconds);
    let refusals = Refusals { over_limits: SMTP_REFUSAL, out_of_handles: SMTP_EXHAUSTED };
    let mut addresses = Vec::new();
    let clients = connector::client_certificates(config)?;
    for settings in &config.smtp.listeners {
        let name = format!("smtp {}", settings.address);
        // Shakes hands with itself, and fails when what it offers is not the standard.
        let tls = match &clients {
            Some(clients) => ServerTls::asking(&name, certificates, clients.clone()),
            None => ServerTls::new(&name, certificates),
        };
        let tls = tls.map_err(|error| Failure::internal(chain(&error)))?;
        let acceptor = Acceptor::bind(&name, settings.address, limits, refusals).map_err(|error| {
            Failure::configuration(format!("[[smtp.listener]] address {}: {error}", settings.address))
        })?;
        let balancers = settings.proxy_protocol_from.clone();
        let acceptor = acceptor
            .behind_balancers(move |address| balancers.iter().any(|network| network.contains(address)));
        addresses.push(acceptor.address().map_err(|error| Failure::internal(error.to_string()))?);
        let mode = match settings.tls {
            ListenerTls::Implicit => pc_smtpd::ListenerTls::Implicit,
            ListenerTls::StartTls => pc_smtpd::ListenerTls::StartTls,
        };
        own.push(OwnListener {
            name: name.clone(),
            connections: acceptor.own_connections().map_err(|error| Failure::internal(error.to_string()))?,
            before_tls: (settings.tls == ListenerTls::StartTls).then_some(pc_stream::Protocol::Submission),
            server_name: mail_name(config, certificates, MailName::OfNode),
            http: HttpQuestion::No,
        });
        let listener = Arc::new(Listener { name, mode, tls, own: acceptor.own_peers() });
        let (edge, handler_stop) = (Arc::clone(edge), stop.clone());
        let accepting = acceptor.serve(stop.clone(), drain, move |stream, peer| {
            pc_smtpd::serve(Arc::clone(&edge), Arc::clone(&listener), stream, peer, handler_stop.clone())
        });
        tasks.spawn(accepting);
    }
    Ok(addresses)
}

/// Returns why the node ends.
async fn wait(context: &Context, running: &Running) -> Result<&'static str, Failure> {
    let listen = |kind| signal(kind).map_err(|error| Failure::internal(format!("signals: {error}")));
    let (mut interrupt, mut terminate, mut hangup) =
        (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?, listen(SignalKind::hangup())?);
    loop {
        tokio::select! {
            _ = interrupt.recv() => return Ok("interrupted"),
            _ = terminate.recv() => return Ok("told to end"),
            _ = hangup.recv() => eprintln!("portcullis: {}", reload(context, running)),
        }
    }
}

/// SIGHUP: what can be swapped is swapped as a whole, or not at all; the text says which.
fn reload(context: &Context, running: &Running) -> String {
    let loaded = context.load().and_then(|config| {
        let policies = node::policies(&config)?;
        let catalogue = command::catalogue(&config)?;
        let users = node::users(&config)?;
        let patches = running.web.as_ref().map(|edge| reload_web(&config, edge)).transpose()?;
        Ok((policies, catalogue, users, patches))
    });
    let settings = match loaded {
        Ok((policies, catalogue, users, patches)) => {
            running.logins.set_users(users);
            running.policies.store(Arc::new(policies));
            // The floor may be another as well, so that all servers are judged anew in any case.
            let rejudged = running.live.as_ref().map(|live| live.swap(catalogue)).unwrap_or_default();
            let web = patches.map_or_else(String::new, |patches| {
                format!(", and the rules of [https] and [[site]] (not listeners, names and servers), with {patches},")
            });
            format!(
                "[enforcement], modes and floors of every [[connector]], [catalog] and [[admin.user]]{web} reloaded, {} servers owe that did not, {} owe nothing any more; other sections \
                 need a restart",
                rejudged.owing, rejudged.released
            )
        }
        Err(failure) => format!("settings not reloaded, the old ones stay: {failure}"),
    };
    let mut parts = vec![settings, reload_certificates(&running.certificates)];
    parts.extend(running.recipients.iter().map(|(name, list)| told_recipients(name, list.reload())));
    parts.join("; ")
}

/// Takes rules and virtual patches of the configuration; returns what became of the patches.
fn reload_web(config: &Config, edge: &pc_httpd::Edge) -> Result<String, Failure> {
    let found = rule_pack::take(config, Clock::System.now())?;
    let told = found.told();
    edge.reload(web_edge::rules(config, found.pack))
        .map_err(|error| Failure::configuration(format!("[https]: {}", chain(&error))))?;
    rule_pack::tell_expired(&edge.rules().pack, time::date_of(Clock::System.now()));
    Ok(told)
}

/// What came of a list of recipients, also to the log.
fn told_recipients(upstream: &str, reloaded: Result<RecipientsReload, RecipientFileError>) -> String {
    match reloaded {
        Ok(RecipientsReload::Swapped(lines)) => {
            Event::RecipientsReloaded { upstream, lines }.emit();
            format!("{lines} recipients of {upstream} reloaded")
        }
        Ok(RecipientsReload::Unchanged) => format!("recipients of {upstream} unchanged"),
        Err(error) => {
            let error = error.to_string();
            Event::RecipientsRefused { upstream, error: &error }.emit();
            format!("recipients of {upstream} not reloaded, the old ones stay: {error}")
        }
    }
}

fn reload_certificates(certificates: &CertificateStore) -> String {
    match certificates.reload(Clock::System.now()) {
        Ok(Reloaded::Swapped) => {
            Event::CertificateReloaded { not_after: &certificates.not_after().to_string() }.emit();
            "certificates reloaded".to_owned()
        }
        Ok(Reloaded::Unchanged) => "certificates unchanged".to_owned(),
        Err(error) => {
            let error = chain(&error);
            Event::CertificateRefused { error: &error }.emit();
            format!("certificates not reloaded, the old ones stay: {error}")
        }
    }
}

async fn watch_certificates(certificates: CertificateStore, mut stop: Stop) {
    loop {
        tokio::select! {
            () = stop.stopped() => return,
            () = tokio::time::sleep(CERTIFICATE_POLL) => {}
        }
        let looked = certificates.clone();
        let reloading = tokio::task::spawn_blocking(move || {
            if looked.changed() {
                reload_certificates(&looked);
            }
        });
        // A panic there costs this look only.
        let _ = reloading.await;
    }
}

async fn watch_recipients(lists: Vec<(String, Arc<RecipientFile>)>, mut stop: Stop) {
    while !lists.is_empty() {
        tokio::select! {
            () = stop.stopped() => return,
            () = tokio::time::sleep(RECIPIENTS_POLL) => {}
        }
        let lists = lists.clone();
        let looking = tokio::task::spawn_blocking(move || {
            for (name, list) in &lists {
                told_recipients(name, list.look());
            }
        });
        // A panic there costs this look only.
        let _ = looking.await;
    }
}

/// What is kept, and how much.
struct Keeping {
    trace_days: u32,
    /// 0 for no limit.
    trace_octets_max: u64,
    decay_days: u32,
}

/// Deletes old trace rows, and servers that were silent for so long that they start anew anyway.
async fn expire(
    store: pc_store::Store,
    servers: Arc<ServerBook>,
    clock: Clock,
    keeping: Keeping,
    mut stop: Stop,
) {
    for round in 0u32.. {
        let now = clock.now();
        if round % SILENT_ROUNDS == 0 {
            if let Err(error) = store.trim_webhooks(pc_notify::WEBHOOK_MARK).await {
                Event::StoreFailed { error: &chain(&error), rows_lost: 0 }.emit();
            }
            servers.forget_silent(time::add_days(now, -i64::from(keeping.decay_days)));
        }
        expire_notices(&store, time::add_days(now, -NOTICE_DAYS)).await;
        if let Err(error) = store.expire_tls_clients(time::add_days(now, -TLS_CLIENT_DAYS)).await {
            Event::StoreFailed { error: &chain(&error), rows_lost: 0 }.emit();
        }
        let counted_until = time::date_of(time::add_days(now, -TLS_CLIENT_DAYS));
        if let Err(error) = store.expire_web_tally(counted_until).await {
            Event::StoreFailed { error: &chain(&error), rows_lost: 0 }.emit();
        }
        let limits = pc_store::TraceLimits {
            not_before: time::add_days(now, -i64::from(keeping.trace_days)),
            octets_max: keeping.trace_octets_max,
        };
        tokio::select! {
            () = stop.stopped() => return,
            () = expire_trace(&store, limits) => {}
        }
        tokio::select! {
            () = stop.stopped() => return,
            () = tokio::time::sleep(EXPIRY) => {}
        }
    }
}

async fn expire_notices(store: &pc_store::Store, before: Timestamp) {
    if let Err(error) = store.expire_notices(before).await {
        Event::StoreFailed { error: &chain(&error), rows_lost: 0 }.emit();
    }
}

async fn expire_trace(store: &pc_store::Store, limits: pc_store::TraceLimits) {
    match store.expire_trace(limits).await {
        Ok(expired) if expired == pc_store::Expired::default() => {}
        Ok(pc_store::Expired { by_age, by_size }) => {
            let octets_used = store.octets_used().await.unwrap_or(0);
            Event::TraceExpired { by_age, by_size, octets_used }.emit();
        }
        Err(error) => Event::StoreFailed { error: &chain(&error), rows_lost: 0 }.emit(),
    }
}

fn greeting(config: &Config, is_quick_start: bool, running: &Running) -> String {
    let addresses: Vec<String> = running.smtp_addresses.iter().map(ToString::to_string).collect();
    let targets: Vec<&str> = config.upstreams.iter().map(|upstream| upstream.name.as_str()).collect();
    let streams: Vec<String> = running
        .streams
        .iter()
        .map(|stream| format!("  {:<6} {} ({})\n", stream.protocol, stream.address, stream.name))
        .collect();
    let web: String = running
        .web_addresses
        .https
        .iter()
        .map(|address| format!("  web    https://{address}/\n"))
        .chain(running.web_addresses.redirect.iter().map(|address| format!("  web    http://{address}/\n")))
        .chain(
            running
                .web_addresses
                .client_test
                .iter()
                .map(|address| format!("  tests  {address} (any TLS hello)\n")),
        )
        .collect();
    let mail = match addresses.is_empty() {
        true => "  mail   none is taken: there is no [[smtp.listener]]\n".to_owned(),
        false => format!("  mail   {} to {}\n", addresses.join(", "), targets.join(", ")),
    };
    let mut text = format!(
        "Portcullis {} is up as {}, catalogue of {}.\n{mail}{}{web}  pages  http://{}/\n",
        env!("CARGO_PKG_VERSION"),
        config.node.name,
        running.catalogue.load().as_of(),
        streams.concat(),
        running.admin_address,
    );
    if is_quick_start {
        let first = running.smtp_addresses.first().map(ToString::to_string).unwrap_or_default();
        text.push_str(&format!(
            "  data   {data}, mail goes to {data}/maildir/new\n\nThis is the quick start: loopback only, a self-made \
             certificate, ladder in report mode. Try\n  swaks --server {first} --tls --to you@example.org --ehlo \
             mail.example.net\n  portcullis servers list\n  portcullis demo\nFor real use: portcullis config default > \
             portcullis.toml, then portcullis serve --config portcullis.toml\n",
            data = config.node.data,
        ));
    }
    text
}
