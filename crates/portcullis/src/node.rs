//! From a configuration to the parts of a node.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use pc_config::{
    BlockReply, Config, Domains, EnforcementMode, SendingSide, SmtpTarget, UpstreamHost, UpstreamTarget,
    UpstreamTls,
};
use pc_dns::{Resolver, ResolverSettings};
use pc_enforce::{DEFAULT_CONNECTOR, Entitlement, Floor, Mode, Policies, Policy, Schedule};
use pc_exchange::{Catalogue, Form};
use pc_net::Clock;
use pc_notify::{Contacts, Notifier, NotifySettings, Webhooks};
use pc_smtpd::queue::{Queue, QueueSettings, SpoolMode};
use pc_smtpd::quota::Quotas;
use pc_smtpd::{
    ConnectorSettings, Delivery, Edge, EdgeSettings, FaultMark, HostSettings, Milter, MilterAddress,
    MilterSettings, OnFailure, PrivateAddresses, RecipientCacheSettings, RecipientFile, SenderChecks,
    SpfChecks, Subaddress, Suspects, Target, Tarpit, TraceIds, Upstream, UpstreamSettings,
    UpstreamTls as Security,
};
use pc_store::faults::Faults;
use pc_store::maildir::Maildir;
use pc_store::spool::Spool;
use pc_store::{AttestationBook, FolderLock, PauseBook, ServerBook, Store, Writer};
use pc_telemetry::Metrics;
use pc_tls::{CertificateFiles, CertificateStore, ClientTls, Roots};
use pc_web::{Access, Admin, Attestor, Logins, User};
use tokio::task::JoinHandle;

use crate::attestation;
use crate::catalogue::live::Live;
use crate::command;
use crate::connector;
use crate::exit::{Failure, chain};
use crate::hooks;
use crate::node_limits::{quota_limits, room};
use crate::node_watch::Looked;
use crate::serve::FAULT_MARK_VARIABLE;

/// A command that has the data folder is done in less than 5 seconds; a node is not.
const LOCK_ATTEMPTS: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// The records of a node: database, writer, servers.
pub struct Records {
    pub store: Store,
    pub writer: Writer,
    pub servers: Arc<ServerBook>,
    pub pauses: Arc<PauseBook>,
    pub attestations: Arc<AttestationBook>,
    writing: JoinHandle<()>,
    _folder: FolderLock,
}

impl Records {
    /// Opens the database of the configuration.
    pub async fn open(config: &Config) -> Result<Self, Failure> {
        let data = Path::new(&config.node.data);
        create_folder(data)?;
        let folder = lock_folder(data).await?;
        let path = config.store.path.as_ref().map_or_else(|| data.join("portcullis.db"), PathBuf::from);
        let fault = |error: pc_store::StoreError| {
            Failure::internal(format!("database {}: {}", path.display(), chain(&error)))
        };
        let store = Store::open(&path).await.map_err(fault)?;
        let (writer, writing) = Writer::start(store.clone());
        let servers = Arc::new(ServerBook::load(&store, writer.clone()).await.map_err(fault)?);
        let pauses = Arc::new(PauseBook::load(&store).await.map_err(fault)?);
        let attestations = Arc::new(AttestationBook::load(&store).await.map_err(fault)?);
        Ok(Self { store, writer, servers, pauses, attestations, writing, _folder: folder })
    }

    /// Writes what waits and closes. Every other holder of the writer must be gone.
    pub async fn close(self) {
        self.writer.flush().await;
        drop((self.writer, self.servers, self.pauses, self.attestations));
        self.writing.abort();
        self.store.close().await;
    }
}

/// Two processes in one data folder would deliver spooled mail twice. A command takes a moment, so it is
/// waited for.
async fn lock_folder(data: &Path) -> Result<FolderLock, Failure> {
    for _ in 0..LOCK_ATTEMPTS {
        match FolderLock::take(data) {
            Ok(lock) => return Ok(lock),
            Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => {
                tokio::time::sleep(LOCK_PAUSE).await;
            }
            Err(error) => return Err(Failure::internal(format!("folder {}: {error}", data.display()))),
        }
    }
    Err(Failure::internal(format!(
        "the data folder {} is in use by another Portcullis process; stop that one, or give this one a folder of \
         its own in [node] data",
        data.display()
    )))
}

/// Records and API of a node that does not run.
pub struct Offline {
    records: Records,
    admin: Arc<Admin>,
}

impl Offline {
    pub async fn open(config: &Config) -> Result<Self, Failure> {
        let catalogue = Arc::new(ArcSwap::from_pointee(command::catalogue(config)?));
        let records = Records::open(config).await?;
        let policies = Arc::new(ArcSwap::from_pointee(policies(config)?));
        let queue = queue(config, &[], Clock::System, Faults::default(), records.writer.clone()).await?;
        let shared = (Clock::System, Metrics::detached());
        let webhooks = hooks::webhooks(config, &records.store, Clock::System)?;
        let logins = Arc::new(Logins::new(Vec::new()));
        let attestor = attestation::attestor(config, &records, &catalogue, Clock::System);
        let parts = (queue, webhooks, attestor);
        let shown = (None, logins, Looked::default());
        let admin = admin(config, &records, (policies, catalogue), parts, shared, shown);
        Ok(Self { records, admin })
    }

    /// Whoever can open the database may change it.
    pub fn router(&self) -> pc_web::Router {
        pc_web::router(Arc::clone(&self.admin), Access::Full)
    }

    pub async fn close(self) {
        drop(self.admin);
        self.records.close().await;
    }
}

/// Where a running node listens for the command line.
pub fn socket_path(data: &Path) -> PathBuf {
    data.join("admin.sock")
}

/// The accounts of the pages.
pub fn users(config: &Config) -> Result<Vec<User>, Failure> {
    let users = config.admin.users.iter().map(|user| {
        if !pc_web::is_password_hash(&user.password_hash) {
            return Err(Failure::configuration(format!(
                "[[admin.user]] {}: password_hash is damaged; `portcullis admin hash-password` makes a new one",
                user.name
            )));
        }
        Ok(User { name: user.name.clone(), password_hash: user.password_hash.clone() })
    });
    users.collect()
}

/// The state of API and pages.
pub fn admin(
    config: &Config,
    records: &Records,
    (policies, catalogue): (Arc<ArcSwap<Policies>>, Arc<ArcSwap<Catalogue>>),
    (queue, webhooks, attestor): (Arc<Queue>, Arc<Webhooks>, Arc<Attestor>),
    (clock, metrics): (Clock, Metrics),
    (web, logins, looked): (Option<Arc<pc_httpd::Edge>>, Arc<Logins>, Looked),
) -> Arc<Admin> {
    let dated = Arc::clone(&catalogue);
    let live = live(config, records, (Arc::clone(&policies), Arc::clone(&catalogue)), clock.clone());
    let (judging, enrolled) = (Arc::clone(&catalogue), live.enrolled.clone());
    let reloaded = config.clone();
    Arc::new(Admin {
        node_name: config.node.name.clone(),
        clock,
        servers: Arc::clone(&records.servers),
        writer: records.writer.clone(),
        store: records.store.clone(),
        policies,
        queue,
        webhooks,
        tenants: config.tenants.iter().map(|tenant| tenant.name.clone()).collect(),
        pauses: Arc::clone(&records.pauses),
        judge: Arc::clone(&attestor.judge),
        attestor,
        raise_ahead: Arc::new(move |policy, record, ahead| {
            let catalogue = judging.load();
            // The id stood in a line of the SMTP form: no other one is ever judged.
            let judge = |build, date| catalogue.judge_build(build, Form::Smtp, date);
            let esu = record.tenant.as_ref().is_some_and(|tenant| enrolled.contains(tenant));
            pc_enforce::raise_ahead(policy, record, judge, Entitlement { esu }, ahead)
        }),
        catalogue_as_of: Arc::new(move || dated.load().as_of()),
        reload_catalogue: Arc::new(move || {
            let rejudged = live.reload(&reloaded).map_err(|failure| failure.to_string())?;
            Ok(serde_json::json!({ "owing": rejudged.owing, "released": rejudged.released }))
        }),
        metrics,
        ready: Arc::new(|| Ok(())),
        remarks: looked.remarks(),
        listeners: looked.listeners(),
        sites: Arc::new(move || {
            let sites = web.as_ref().map(|edge| edge.listed()).unwrap_or_default();
            serde_json::to_value(sites).unwrap_or_default()
        }),
        logins,
    })
}

/// The outbox of the configuration.
pub fn notifier(
    config: &Config,
    store: &Store,
    edge: &Arc<Edge>,
    webhooks: Arc<Webhooks>,
) -> Result<Notifier, Failure> {
    let settings = &config.notify;
    let node_name = config.node.name.clone();
    let from = settings.from.clone().unwrap_or_else(|| format!("postmaster@{node_name}"));
    let tenants = config.tenants.iter().map(|tenant| {
        let contacts = Contacts { contacts: tenant.contacts.clone(), language: tenant.language };
        (tenant.name.clone(), contacts)
    });
    let tells_sending_side = settings.sending_side == SendingSide::On;
    let resolver = tells_sending_side.then(|| resolver(config)).transpose()?;
    let settings = NotifySettings {
        node_name,
        from,
        operator: settings.operator.clone(),
        operator_interval_minutes: settings.operator_interval_minutes,
        via: settings.via.clone(),
        language: settings.language,
        tenants: tenants.collect(),
        connectors: config.connectors.iter().map(connector::contacts).collect(),
        tells_sending_side,
    };
    Ok(Notifier::new(settings, store.clone(), edge, resolver, webhooks))
}

/// What judges all servers anew.
pub fn live(
    config: &Config,
    records: &Records,
    (policies, catalogue): (Arc<ArcSwap<Policies>>, Arc<ArcSwap<Catalogue>>),
    clock: Clock,
) -> Live {
    let (servers, writer) = (Arc::clone(&records.servers), records.writer.clone());
    let pauses = Arc::clone(&records.pauses);
    let enrolled = config.tenants.iter().filter(|tenant| tenant.esu).map(|tenant| tenant.name.clone());
    Live { catalogue, policies, servers, pauses, enrolled: enrolled.collect(), writer, clock }
}

/// The ladder's settings, under each connector.
pub fn policies(config: &Config) -> Result<Policies, Failure> {
    let general = policy(config)?;
    let own = |connector: Option<&pc_config::Connector>| {
        let floor = connector.and_then(|connector| connector.floor.as_deref());
        let floor = floor.map(|name| chosen_floor(config, name)).transpose()?;
        Ok(Policy {
            mode: mode(config.mode_under(connector)),
            floor: floor.unwrap_or_else(|| Arc::clone(&general.floor)),
            ..general.clone()
        })
    };
    let strangers = own(config.default_connector())?;
    let policies = Policies::new(general.clone()).with(DEFAULT_CONNECTOR, strangers);
    let named = config.connectors.iter().filter(|connector| !connector.is_default());
    named.map(|connector| Ok((connector, own(Some(connector))?))).try_fold(
        policies,
        |policies, entry: Result<_, Failure>| {
            let (connector, policy) = entry?;
            Ok(policies.with(&connector.name, policy))
        },
    )
}

fn chosen_floor(config: &Config, name: &str) -> Result<Arc<Floor>, Failure> {
    let floor = config.floor(name);
    floor.map(Arc::new).ok_or_else(|| Failure::configuration(format!("floor: there is no {name}")))
}

/// The ladder's settings for the whole node.
fn policy(config: &Config) -> Result<Policy, Failure> {
    let enforcement = &config.enforcement;
    let schedule =
        Schedule::new(&enforcement.schedule_days, &enforcement.throttle_minutes, &enforcement.block_minutes)
            .map_err(|error| Failure::configuration(format!("[enforcement]: {error}")))?;
    Ok(Policy {
        mode: mode(enforcement.mode),
        rollout: enforcement.rollout.clone(),
        schedule,
        floor: chosen_floor(config, &enforcement.floor)?,
        block_reply: match enforcement.block_reply {
            BlockReply::Permanent => pc_enforce::BlockReply::Permanent,
            BlockReply::Temporary => pc_enforce::BlockReply::Temporary,
        },
        open_sightings: enforcement.open_sightings,
        open_hours: enforcement.open_hours,
        decay_days: enforcement.decay_days,
        probe_interval_minutes: enforcement.probe_interval_minutes,
        node_name: config.node.name.clone(),
        link: enforcement.link.clone(),
    })
}

fn mode(mode: EnforcementMode) -> Mode {
    match mode {
        EnforcementMode::Enforce => Mode::Enforce,
        EnforcementMode::Off => Mode::Off,
        EnforcementMode::Report => Mode::Report,
    }
}

/// The certificates of the configuration and by ACME, or a self-made one in the data folder.
pub fn certificates(config: &Config) -> Result<CertificateStore, Failure> {
    let now = Clock::System.now();
    let fault = |error: pc_tls::CertificateError| Failure::configuration(format!("[tls]: {}", chain(&error)));
    let mut files: Vec<CertificateFiles> = config
        .tls
        .certificates
        .iter()
        .map(|pair| CertificateFiles { chain: PathBuf::from(&pair.chain), key: PathBuf::from(&pair.key) })
        .collect();
    let managed = crate::acme::managed(config, now).map_err(fault)?;
    if files.is_empty() && managed.is_empty() {
        let folder = Path::new(&config.node.data).join("tls");
        create_folder(&folder)?;
        files.push(pc_tls::self_made(&folder, config.node.name.as_str(), now).map_err(fault)?);
    }
    CertificateStore::load_with_managed(&files, &managed, now).map_err(fault)
}

/// The SMTP edge of the configuration.
pub fn edge(
    config: &Config,
    records: &Records,
    (policies, catalogue): (Arc<ArcSwap<Policies>>, Arc<ArcSwap<Catalogue>>),
    clock: Clock,
    (targets, queue): (Vec<Arc<Target>>, Arc<Queue>),
) -> Result<Arc<Edge>, Failure> {
    let spill_folder = Path::new(&config.node.data).join("incoming");
    create_folder(&spill_folder)?;
    let named = config.connectors.iter().filter(|connector| !connector.is_default());
    let connectors = named.map(|entry| Arc::new(connector::settings(config, entry)));
    let strangers = config.default_connector().map(|entry| connector::settings(config, entry));
    let default_connector = strangers.unwrap_or_else(|| ConnectorSettings::named(DEFAULT_CONNECTOR));
    Ok(Arc::new(Edge {
        settings: EdgeSettings {
            node_name: config.node.name.clone(),
            message_octets_max: config.smtp.message_size_max_bytes,
            greeting_delay: Duration::from_secs(config.smtp.greeting_delay_seconds),
            recipients_max: config.smtp.recipients_max,
            spill_folder,
            connectors: connectors.collect(),
            default_connector: Arc::new(default_connector),
            targets,
            self_test: config.enforcement.self_test.clone(),
            milters: config.milters.iter().map(milter).collect(),
            fault_mark: fault_mark(),
        },
        policies,
        catalogue,
        clock,
        servers: Arc::clone(&records.servers),
        pauses: Arc::clone(&records.pauses),
        writer: records.writer.clone(),
        trace_ids: TraceIds::new(Clock::System.now()),
        queue,
        suspects: Suspects::default(),
        sender_checks: sender_checks(config)?,
        quotas: Mutex::new(Quotas::new(quota_limits(&config.smtp.limits))),
        room: room(config),
        tarpit: Tarpit::new(
            Duration::from_secs(config.smtp.limits.tarpit_seconds),
            config.smtp.limits.tarpit_connections_max,
        ),
    }))
}

/// What the owner of a tenant's servers can install.
pub fn entitlement(config: &Config, tenant: Option<&str>) -> Entitlement {
    let tenant = config.tenants.iter().find(|entry| Some(entry.name.as_str()) == tenant);
    Entitlement { esu: tenant.is_some_and(|tenant| tenant.esu) }
}

/// What the tests of failing messages ask for.
fn fault_mark() -> FaultMark {
    match std::env::var(FAULT_MARK_VARIABLE) {
        Ok(mark) => {
            eprintln!("portcullis: {FAULT_MARK_VARIABLE}={mark}: messages that hold it will fail on purpose");
            FaultMark::new(&mark)
        }
        Err(_) => FaultMark::default(),
    }
}

/// Asks the DNS as `[dns]` says.
pub fn resolver(config: &Config) -> Result<Resolver, Failure> {
    let timeout = Duration::from_secs(config.dns.timeout_seconds);
    let settings = ResolverSettings { servers: config.dns.servers.clone(), timeout };
    Resolver::new(&settings)
        .map_err(|error| Failure::configuration(format!("[dns]: the resolver cannot be set up: {error}")))
}

/// What is asked about clients and senders.
fn sender_checks(config: &Config) -> Result<Arc<SenderChecks>, Failure> {
    let dns = &config.dns;
    let resolvers = (resolver(config)?, resolver(config)?);
    let spf = match dns.spf {
        pc_config::SpfChecks::Off => SpfChecks::Off,
        pc_config::SpfChecks::On => SpfChecks::On,
    };
    let private_addresses = match dns.private_addresses {
        pc_config::PrivateAddresses::Ask => PrivateAddresses::Ask,
        pc_config::PrivateAddresses::Skip => PrivateAddresses::Skip,
    };
    SenderChecks::new(resolvers, config.dns_lists.clone(), spf, private_addresses).map_err(Failure::internal)
}

/// Where mail goes.
pub fn targets(config: &Config, clock: &Clock) -> Result<Vec<Arc<Target>>, Failure> {
    config.upstreams.iter().map(|upstream| target(config, upstream, clock.clone()).map(Arc::new)).collect()
}

/// What the spool of the configuration holds.
pub async fn queue(
    config: &Config,
    targets: &[Arc<Target>],
    clock: Clock,
    faults: Faults,
    writer: Writer,
) -> Result<Arc<Queue>, Failure> {
    let folder = Path::new(&config.node.data).join("spool");
    create_folder(&folder)?;
    let fault = |error: std::io::Error| Failure::internal(format!("spool {}: {error}", folder.display()));
    let spool = Spool::open(&folder, faults).map_err(fault)?;
    let settings = QueueSettings {
        mode: match config.spool.mode {
            pc_config::SpoolMode::Always => SpoolMode::Always,
            pc_config::SpoolMode::Off => SpoolMode::Off,
            pc_config::SpoolMode::WhenDown => SpoolMode::WhenDown,
        },
        policy: pc_queue::Policy {
            expire_hours: config.spool.expire_hours,
            delay_report_hours: config.spool.delay_report_hours,
        },
        parallel_max: config.spool.parallel_max,
        octets_max: config.spool.size_max_megabytes.saturating_mul(1_000_000),
        reports_via: config.spool.reports_via.clone(),
        node_name: config.node.name.clone(),
    };
    let upstreams: Vec<Arc<Upstream>> = targets
        .iter()
        .filter_map(|target| match &target.delivery {
            Delivery::Maildir(_) => None,
            Delivery::Smtp(upstream) => Some(Arc::clone(upstream)),
        })
        .collect();
    Queue::open(spool, settings, &upstreams, clock, writer).await.map_err(fault)
}

fn target(config: &Config, upstream: &pc_config::Upstream, clock: Clock) -> Result<Target, Failure> {
    let delivery = match &upstream.target {
        UpstreamTarget::Maildir { path } => {
            let maildir = Maildir::open(Path::new(path)).map_err(|error| {
                Failure::configuration(format!("[[upstream]] {}: Maildir {path}: {error}", upstream.name))
            })?;
            Delivery::Maildir(maildir)
        }
        UpstreamTarget::Smtp(smtp) => Delivery::Smtp(smtp_upstream(config, upstream, smtp, clock)?),
    };
    let domains = match &upstream.domains {
        Domains::All => Vec::new(),
        Domains::Listed(domains) => domains.clone(),
    };
    let recipients = recipients(upstream)?;
    Ok(Target { name: upstream.name.clone(), domains, recipients, delivery })
}

/// Who its recipients are, where a file says so.
pub fn recipients(upstream: &pc_config::Upstream) -> Result<Option<Arc<RecipientFile>>, Failure> {
    let Some(path) = &upstream.recipients.file else { return Ok(None) };
    let subaddress = upstream.recipients.subaddress.map_or(Subaddress::Ignored, Subaddress::Divided);
    let list = RecipientFile::open(Path::new(path), subaddress);
    list.map(Some).map_err(|error| {
        Failure::configuration(format!("[[upstream]] {}: recipients_file {error}", upstream.name))
    })
}

/// A content scanner, not yet connected to.
pub fn milter(milter: &pc_config::Milter) -> Milter {
    Milter::new(MilterSettings {
        name: milter.name.clone(),
        address: match &milter.address {
            pc_config::MilterAddress::Tcp { host, port } => MilterAddress::Tcp(host.clone(), *port),
            pc_config::MilterAddress::Unix { path } => MilterAddress::Unix(PathBuf::from(path)),
        },
        timeout: Duration::from_secs(milter.timeout_seconds),
        on_failure: match milter.on_failure {
            pc_config::MilterFailure::Accept => OnFailure::Accept,
            pc_config::MilterFailure::Defer => OnFailure::Defer,
        },
    })
}

/// A server behind with its hosts, not yet connected to.
pub fn smtp_upstream(
    config: &Config,
    upstream: &pc_config::Upstream,
    target: &SmtpTarget,
    clock: Clock,
) -> Result<Arc<Upstream>, Failure> {
    let hosts = target.hosts.iter().map(|host| smtp_host(upstream, target, host));
    Ok(Upstream::new(UpstreamSettings {
        name: upstream.name.clone(),
        hosts: hosts.collect::<Result<_, _>>()?,
        node_name: config.node.name.clone(),
        source_address: None,
        connect_timeout: Duration::from_secs(target.connect_timeout_seconds),
        command_timeout: Duration::from_secs(target.command_timeout_seconds),
        hand_over_timeout: pc_smtpd::limits::HAND_OVER_TIMEOUT,
        health_check: Some(Duration::from_secs(target.health_check_seconds)).filter(|every| !every.is_zero()),
        recipients: RecipientCacheSettings {
            positive_minutes: upstream.recipients.cache_positive_minutes,
            negative_minutes: upstream.recipients.cache_negative_minutes,
        },
        clock,
    }))
}

fn smtp_host(
    upstream: &pc_config::Upstream,
    target: &SmtpTarget,
    host: &UpstreamHost,
) -> Result<HostSettings, Failure> {
    let client = || {
        let roots = target.ca_file.as_ref().map_or(Roots::WebPki, |path| Roots::CaFile(PathBuf::from(path)));
        ClientTls::new(roots, host.certificate_sha256).map_err(|error| {
            Failure::configuration(format!("[[upstream]] {}: {}", upstream.name, chain(&error)))
        })
    };
    Ok(HostSettings {
        host: host.host.clone(),
        port: host.port,
        priority: host.priority,
        tls_name: host.tls_name.clone(),
        tls: match target.tls {
            UpstreamTls::Implicit => Security::Implicit(client()?),
            UpstreamTls::None => Security::Plain,
            UpstreamTls::StartTls => Security::StartTls(client()?),
        },
        connections_max: target.connections_max,
    })
}

/// Creates a folder that only we read, or makes it so: it holds mail, keys and the socket.
pub fn create_folder(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    let created = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    let closed =
        created.and_then(|()| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)));
    closed.map_err(|error| Failure::configuration(format!("folder {}: {error}", path.display())))
}
