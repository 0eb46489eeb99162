use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use pc_enforce::{Policies, Policy, ServerRecord};
use pc_exchange::Catalogue;
use pc_net::Clock;
use pc_smtp::{ForwardPath, Mailbox};
use pc_store::maildir::Maildir;
use pc_store::{PauseBook, ServerBook, Writer};
use pc_types::{Domain, Timestamp};

use crate::connector::ConnectorSettings;
use crate::milter::Milter;
use crate::queue::Queue;
use crate::quota::Quotas;
use crate::recipients::{Known, RecipientFile};
use crate::room::Room;
use crate::sender::SenderChecks;
use crate::suspects::{FaultMark, Suspects};
use crate::tarpit::Tarpit;
use crate::upstream::Upstream;

/// What the SMTP edge of one node needs, wired by `main`.
pub struct Edge {
    /// Fixed until a restart.
    pub settings: EdgeSettings,
    /// Swapped at reload.
    pub policies: Arc<ArcSwap<Policies>>,
    /// Swapped at reload.
    pub catalogue: Arc<ArcSwap<Catalogue>>,
    /// Where `now` comes from.
    pub clock: Clock,
    /// The ladder's records.
    pub servers: Arc<ServerBook>,
    /// When the ladder stands still, and for whom.
    pub pauses: Arc<PauseBook>,
    /// The way into the database.
    pub writer: Writer,
    /// Names transactions.
    pub trace_ids: TraceIds,
    /// Mail that the server behind cannot take at once.
    pub queue: Arc<Queue>,
    /// Messages over which handling failed.
    pub suspects: Suspects,
    /// What is asked about clients and senders.
    pub sender_checks: Arc<SenderChecks>,
    /// What everybody has done of late.
    pub quotas: Mutex<Quotas>,
    /// For further messages.
    pub room: Room,
    /// For clients over their limits.
    pub tarpit: Tarpit,
}

/// Settings of the SMTP edge.
pub struct EdgeSettings {
    /// In greeting, trace field and replies.
    pub node_name: Domain,
    /// SIZE.
    pub message_octets_max: u64,
    /// How long a client must wait for its greeting; zero for no check.
    pub greeting_delay: Duration,
    /// Per transaction.
    pub recipients_max: usize,
    /// Where messages spill to; on the same disk as nothing else that matters.
    pub spill_folder: PathBuf,
    /// Rules for named senders.
    pub connectors: Vec<Arc<ConnectorSettings>>,
    /// Rules for everybody else.
    pub default_connector: Arc<ConnectorSettings>,
    /// Where mail goes, by domain; the first that takes the domain wins.
    pub targets: Vec<Arc<Target>>,
    /// Mail to this address is answered with what it showed.
    pub self_test: Option<String>,
    /// Content scanners, in the order in which they are asked.
    pub milters: Vec<Milter>,
    /// For tests.
    pub fault_mark: FaultMark,
}

/// Where the mail of some domains goes.
pub struct Target {
    /// For logs and the trace.
    pub name: String,
    /// Domains it takes; empty for all.
    pub domains: Vec<Domain>,
    /// Its recipients, where a file lists them.
    pub recipients: Option<Arc<RecipientFile>>,
    /// How it takes mail.
    pub delivery: Delivery,
}

impl Target {
    /// What is known against a recipient before anybody is asked: the code says from where.
    pub(crate) fn knows_no(&self, path: &ForwardPath) -> Option<&'static str> {
        match (&self.recipients, &self.delivery) {
            (Some(list), _) => (!list.has(path)).then_some("list"),
            // RFC 5321 4.5.1: whatever was said before, postmaster is asked for.
            (None, Delivery::Smtp(upstream)) if !path.is_postmaster() => {
                (upstream.remembered(path) == Some(Known::IsUnknown)).then_some("remembered")
            }
            (None, _) => None,
        }
    }
}

/// How a target takes mail.
pub enum Delivery {
    /// Into a Maildir.
    Maildir(Maildir),
    /// By SMTP.
    Smtp(Arc<Upstream>),
}

impl Edge {
    /// The policy as it applies under `connector`.
    pub(crate) fn policy_for(&self, connector: &ConnectorSettings) -> Arc<Policy> {
        Arc::clone(self.policies.load().under(&connector.name))
    }

    /// The rules that a server came by last.
    pub fn connector_of(&self, record: &ServerRecord) -> &Arc<ConnectorSettings> {
        let name = record.connector_name();
        let mut connectors = self.settings.connectors.iter();
        connectors.find(|connector| connector.name == name).unwrap_or(&self.settings.default_connector)
    }

    /// Who takes mail for `path`; `None` means that we do not relay for it.
    pub(crate) fn target_for(&self, path: &ForwardPath) -> Option<Arc<Target>> {
        target_for(&self.settings.targets, path).cloned()
    }
}

/// Which of `targets` takes mail for `path`: the one that lists its domain, else the first that takes any.
pub fn target_for<'a>(targets: &'a [Arc<Target>], path: &ForwardPath) -> Option<&'a Arc<Target>> {
    let domain = match path {
        // RFC 5321 4.5.1: postmaster without a domain is ours.
        ForwardPath::Postmaster => return targets.first(),
        ForwardPath::Mailbox(mailbox) => Mailbox::domain_name(mailbox),
    };
    let exact = targets.iter().find(|target| domain.is_some_and(|domain| target.domains.contains(domain)));
    exact.or_else(|| targets.iter().find(|target| target.domains.is_empty()))
}

/// Names that no two transactions of a node share: the microseconds of the node's start, which no
/// restart repeats, and a count.
#[derive(Debug)]
pub struct TraceIds {
    start: i64,
    count: AtomicU64,
}

impl TraceIds {
    /// Begins to count at `start`, the system's time and not the ladder's.
    pub fn new(start: Timestamp) -> Self {
        Self { start: start.as_microsecond(), count: AtomicU64::new(0) }
    }

    pub(crate) fn next_id(&self) -> String {
        format!("{:014x}-{:06x}", self.start, self.count.fetch_add(1, Ordering::Relaxed))
    }
}
