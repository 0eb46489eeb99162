//! What lists and SPF say about this client and sender, and what follows for the transaction.

use pc_auth::dns_list::{Decision, ListMode};
use pc_enforce::{MatchedBy, RecipientRole};
use pc_queue::{Entry, Origin, Proof, relayed};
use pc_smtp::header::Screened;
use pc_smtp::{EnhancedCode, Envelope, ForwardPath, Reply};
use pc_telemetry::Event;

use super::Transaction;
use crate::connection::Peer;
use crate::edge::Edge;
use crate::queue::Owed;
use crate::sender::SpfResult;

impl Transaction {
    /// The refusal of a client that stands on a block list. Contacts stay reachable, so that whoever is
    /// listed by mistake can say so.
    pub(super) async fn listed(&mut self, peer: &Peer, path: &ForwardPath) -> Option<Reply> {
        let reports = peer.lists.as_ref()?.reports().await;
        let decision = pc_auth::dns_list::decide(&reports);
        if !self.is_listing_noted {
            self.is_listing_noted = true;
            self.steps.note("dns_list", pc_auth::dns_list::summary(&reports));
            let (zone, code) = match &decision {
                Decision::Pass => ("", "pass"),
                Decision::Vouched(report) => (report.list.zone.as_str(), "vouched"),
                Decision::Blocked(report) => (report.list.zone.as_str(), mode_code(report.list.mode)),
            };
            Event::SenderListed { trace_id: &self.trace_id, address: peer.address, zone, code }.emit();
        }
        let Decision::Blocked(report) = decision else { return None };
        if self.role(path) == RecipientRole::Contact {
            return None;
        }
        let text = format!("client [{}] is listed by {}", peer.address, report.list.zone);
        let text = if report.text.is_empty() { text } else { format!("{text}: {}", report.text) };
        match report.list.mode {
            ListMode::Defer => Some(Reply::new(450, EnhancedCode(4, 7, 1), text)),
            ListMode::Reject => Some(Reply::new(550, EnhancedCode(5, 7, 1), text)),
            ListMode::Report => None,
        }
    }

    /// What is kept of this transaction beside a spooled message or a report about it.
    pub(super) fn origin(&self, edge: &Edge, peer: &Peer, target: &str) -> Origin {
        Origin {
            id: self.trace_id.clone(),
            target: target.to_owned(),
            received_at: edge.clock.now(),
            address: peer.address,
            greeting: self.greeting.name.text.clone(),
            connector: self.connector.name.clone(),
            proof: self.proof(peer),
            message_id: self.message_id.clone(),
        }
    }

    fn proof(&self, peer: &Peer) -> Proof {
        if peer.matched.by != MatchedBy::Nothing {
            return Proof::Connector;
        }
        if self.spf.as_ref().is_some_and(SpfResult::proves_sender) { Proof::Spf } else { Proof::None }
    }

    /// RFC 3461 5.2.2: whoever hands a message to a server without DSN tells a sender that asked for a report
    /// of success that nobody further on will send one.
    pub(super) async fn report_relayed(
        &mut self,
        edge: &Edge,
        peer: &Peer,
        prefix: &[u8],
        screened: &Screened,
        envelope: &Envelope,
    ) {
        if self.is_dsn_offered || !edge.queue.reports_to(self.proof(peer)) {
            return;
        }
        let Some(report) = relayed(envelope) else { return };
        let target = self.target.as_ref().map_or_else(String::new, |target| target.name.clone());
        let entry = Entry::new(self.origin(edge, peer, &target), envelope);
        let head: Vec<u8> =
            std::iter::once(prefix).chain(screened.pieces(self.message.head())).flatten().copied().collect();
        let octets = screened.octets_after(self.message.octets()) + prefix.len() as u64;
        let owed =
            Owed { entry: &entry, envelope, report: &report, original: &head, original_octets: octets };
        // The message is delivered whether its sender hears of it or not.
        let word = if edge.queue.send_report(owed).await { "sent" } else { "could not be sent" };
        self.steps.note("report", format!("the report of relaying {word}"));
    }

    /// Awaits SPF, so that the header and the spool can tell of it.
    pub(super) async fn await_spf(&mut self) {
        let Some(check) = self.spf_check.take() else { return };
        let result = check.result().await;
        self.steps.note("spf", result.step());
        self.spf = Some(result);
    }
}

fn mode_code(mode: ListMode) -> &'static str {
    match mode {
        ListMode::Defer => "defer",
        ListMode::Reject => "reject",
        ListMode::Report => "report",
    }
}
