//! # Purpose
//! Asks the DNS who a client proves to be: DNS lists from its connection on, SPF from MAIL on. What
//! comes of it is awaited where it is needed, so that the asking takes no time of its own.
//!
//! # Trust
//! The client chooses its address, its name and its sender; the answers are a stranger's.
//!
//! # Standards
//! RFC 7208 2.3 and 2.4 (identities), RFC 8601 (the field), RFC 5782.
//!
//! # Invariants
//! Nothing here refuses mail because the DNS fails, and nothing proves a sender because it does. A
//! client that a connector names is not asked about: the operator has vouched for it, and it may pass
//! on other people's mail, which their SPF does not know of.
//!
//! # See also
//! `pc_auth`, which decides; `pc_dns`, which asks.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use pc_auth::dns_list::{self, Finding, List, Report};
use pc_auth::spf::{Identity, Outcome, Question, Verdict};
use pc_dns::{Budget, Kind, Resolver};
use pc_enforce::{ConnectorMatch, MatchedBy};
use pc_smtp::{Greeting, ReversePath};
use pc_telemetry::Event;
use pc_types::{Domain, Escaped};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::limits::{LISTS_TIMEOUT, SPF_QUESTIONS_MAX, SPF_TIMEOUT};

/// Whether clients are asked about whose addresses the internet does not see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrivateAddresses {
    /// They are.
    Ask,
    /// They are not.
    Skip,
}

/// Whether SPF is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpfChecks {
    /// It is not.
    Off,
    /// It is.
    On,
}

/// What is asked about clients and senders.
pub struct SenderChecks {
    /// Not the one for senders: a client chooses the zones that SPF asks, and if they are silent they must not take the
    /// lists their turn.
    list_resolver: Arc<Resolver>,
    spf_resolver: Arc<Resolver>,
    signatures: pc_dkim::Verifier,
    lists: Arc<[List]>,
    spf: SpfChecks,
    private_addresses: PrivateAddresses,
    /// Zones of lists that refuse to answer us, each told once.
    refusing: Mutex<HashSet<String>>,
}

/// Lists that are being asked about a client.
pub(crate) struct ListReports {
    reports: watch::Receiver<Option<Arc<[Report]>>>,
    task: JoinHandle<()>,
}

/// SPF that is being asked about a sender.
pub(crate) struct SpfCheck {
    question: Question,
    task: JoinHandle<Outcome>,
}

/// What SPF said about a sender.
#[derive(Clone, Debug)]
pub(crate) struct SpfResult {
    pub(crate) outcome: Outcome,
    pub(crate) question: Question,
}

impl SenderChecks {
    /// Asks about clients through the first resolver, about senders through the other.
    ///
    /// # Errors
    /// Signatures could not be verified.
    pub fn new(
        (list_resolver, spf_resolver): (Resolver, Resolver),
        lists: Vec<List>,
        spf: SpfChecks,
        private_addresses: PrivateAddresses,
    ) -> Result<Arc<Self>, String> {
        let refusing = Mutex::default();
        let spf_resolver = Arc::new(spf_resolver);
        Ok(Arc::new(Self {
            list_resolver: Arc::new(list_resolver),
            signatures: pc_dkim::Verifier::new(Arc::clone(&spf_resolver))?,
            spf_resolver,
            lists: lists.into(),
            spf,
            private_addresses,
            refusing,
        }))
    }

    /// What verifies signatures, for a client that is asked about.
    pub(crate) fn signatures_of(
        &self,
        address: IpAddr,
        matched: &ConnectorMatch,
    ) -> Option<&pc_dkim::Verifier> {
        self.asks_about(address, matched).then_some(&self.signatures)
    }

    /// Whether anything is asked about this client.
    fn asks_about(&self, address: IpAddr, matched: &ConnectorMatch) -> bool {
        let is_asked = self.private_addresses == PrivateAddresses::Ask || !pc_auth::is_private(address);
        is_asked && matched.by == MatchedBy::Nothing
    }

    /// Begins to ask all lists at once; `None` where none is asked.
    pub(crate) fn begin_lists(
        self: &Arc<Self>,
        address: IpAddr,
        matched: &ConnectorMatch,
    ) -> Option<ListReports> {
        if self.lists.is_empty() || !self.asks_about(address, matched) {
            return None;
        }
        let (sender, reports) = watch::channel(None);
        let checks = Arc::clone(self);
        let task = tokio::spawn(async move {
            let found = checks.ask_lists(address).await;
            // Nobody may wait for it any more.
            let _ = sender.send(Some(found.into()));
        });
        Some(ListReports { reports, task })
    }

    async fn ask_lists(self: &Arc<Self>, address: IpAddr) -> Vec<Report> {
        // Each list is asked for its answer and, where it names the client, for its text.
        let questions = u32::try_from(self.lists.len() * 2).unwrap_or(u32::MAX);
        let budget = Arc::new(Budget::new(questions, LISTS_TIMEOUT));
        let mut asking = JoinSet::new();
        for (index, list) in self.lists.iter().cloned().enumerate() {
            let (resolver, budget) = (Arc::clone(&self.list_resolver), Arc::clone(&budget));
            asking.spawn(async move { (index, ask_list(&resolver, &budget, list, address).await) });
        }
        // A list whose asking panicked is missing here, which is the same as unknown.
        let mut reports: Vec<(usize, Report)> = Vec::new();
        while let Some(ended) = asking.join_next().await {
            reports.extend(ended);
        }
        // The order of the configuration, which decides among equals.
        reports.sort_by_key(|(index, _)| *index);
        let reports: Vec<Report> = reports.into_iter().map(|(_, report)| report).collect();
        for report in &reports {
            self.tell(address, report);
        }
        reports
    }

    fn tell(&self, address: IpAddr, report: &Report) {
        let zone = &report.list.zone;
        if let Finding::Refused(answer) = &report.finding {
            let mut refusing = self.refusing.lock().unwrap_or_else(PoisonError::into_inner);
            if refusing.insert(zone.clone()) {
                Event::DnsListRefused { zone, answer: &answer.to_string() }.emit();
            }
        }
        let detail = report.finding.to_string();
        Event::DnsListAnswered { address, zone, code: report.finding.code(), detail: &detail }.emit();
    }

    /// Begins to ask the sender's policy; `None` where it is not asked.
    pub(crate) fn begin_spf(
        &self,
        address: IpAddr,
        matched: &ConnectorMatch,
        greeting: &Greeting,
        reverse_path: &ReversePath,
    ) -> Option<SpfCheck> {
        if self.spf == SpfChecks::Off || !self.asks_about(address, matched) {
            return None;
        }
        let question = question(address, greeting, reverse_path);
        let (resolver, asked) = (Arc::clone(&self.spf_resolver), question.clone());
        let task = tokio::spawn(async move {
            let budget = Budget::new(SPF_QUESTIONS_MAX, SPF_TIMEOUT);
            pc_dns::evaluate_spf(&resolver, &budget, &asked).await
        });
        Some(SpfCheck { question, task })
    }
}

async fn ask_list(resolver: &Resolver, budget: &Budget, list: List, address: IpAddr) -> Report {
    let finding = match list.query(address, Kind::A) {
        Some(query) => list.judge(&resolver.ask(budget, &query).await),
        None => Finding::Unknown("the name of its zone is too long".to_owned()),
    };
    let query = list.query(address, Kind::Txt).filter(|_| matches!(finding, Finding::Listed(_)));
    let text = match query {
        Some(query) => dns_list::text(&resolver.ask(budget, &query).await),
        None => String::new(),
    };
    Report { list, finding, text }
}

/// RFC 7208 2.4: without a sender, the name of EHLO is asked about, as its postmaster.
fn question(address: IpAddr, greeting: &Greeting, reverse_path: &ReversePath) -> Question {
    let name = greeting.name.domain.as_ref().map_or(greeting.name.text.as_str(), Domain::as_str);
    let (identity, domain, local_part) = match reverse_path {
        ReversePath::Mailbox(mailbox) => {
            let domain = mailbox.domain_name().map_or("", Domain::as_str);
            (Identity::MailFrom, domain, mailbox.local_part())
        }
        ReversePath::Null => (Identity::Helo, name, "postmaster"),
    };
    Question {
        address,
        identity,
        domain: domain.to_owned(),
        local_part: local_part.to_owned(),
        helo: name.to_owned(),
    }
}

impl ListReports {
    /// What the lists said; waits for the rest of their time.
    pub(crate) async fn reports(&self) -> Arc<[Report]> {
        let mut reports = self.reports.clone();
        match reports.wait_for(Option::is_some).await {
            Ok(found) => found.clone().unwrap_or_default(),
            // It panicked: nothing is known.
            Err(_) => Arc::default(),
        }
    }
}

impl Drop for ListReports {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl SpfCheck {
    /// The result; waits for the rest of its time.
    pub(crate) async fn result(mut self) -> SpfResult {
        let outcome = (&mut self.task).await.unwrap_or_else(|_| Outcome {
            verdict: Verdict::TempError,
            reason: "a fault of ours".to_owned(),
        });
        let question = self.question.clone();
        Event::SpfEvaluated {
            address: question.address,
            domain: &question.domain,
            code: outcome.verdict.as_str(),
        }
        .emit();
        SpfResult { outcome, question }
    }
}

impl Drop for SpfCheck {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl SpfResult {
    /// Whether the sender of MAIL is proven. A pass for EHLO proves a host, not a sender.
    pub(crate) fn proves_sender(&self) -> bool {
        self.outcome.verdict == Verdict::Pass && self.question.identity == Identity::MailFrom
    }

    /// The domain of the sender of MAIL, where it is proven.
    pub(crate) fn proven_domain(&self) -> Option<Domain> {
        self.question.domain.parse().ok().filter(|_| self.proves_sender())
    }

    /// For the trace.
    pub(crate) fn step(&self) -> String {
        let Outcome { verdict, reason } = &self.outcome;
        format!("{} for {}: {}", verdict.as_str(), Escaped::new(&self.question.domain), Escaped::new(reason))
    }

    /// The field, RFC 8601 2.2 and 2.7.2. Domains only: a local part would need quoting and tells the
    /// reader nothing that SPF looked at.
    pub(crate) fn field(&self, node_name: &Domain) -> String {
        let property = match self.question.identity {
            Identity::Helo => "smtp.helo",
            Identity::MailFrom => "smtp.mailfrom",
        };
        let domain: String = self.question.domain.chars().filter(|letter| is_plain(*letter)).collect();
        let verdict = self.outcome.verdict.as_str();
        if domain.is_empty() {
            return format!("Authentication-Results: {node_name}; spf={verdict}\r\n");
        }
        format!("Authentication-Results: {node_name};\r\n\tspf={verdict} {property}={domain}\r\n")
    }
}

fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_')
}
