//! What the ladder says to the transaction, and what the transaction shows the ladder.

use pc_dkim::Finding;
use pc_dkim::limits::MESSAGE_OCTETS_MAX;
use pc_enforce::limits::{INTERIOR_LINES_MAX, INTERIOR_OCTETS_MAX};
use pc_enforce::{
    AcceptedRecipients, Action, Decision, Hold, HoldKind, Interior, MatchedBy, RecipientRole, ServerRecord,
    Shown, Sighting,
};
use pc_exchange::{Connection, Ignored, Verdict};
use pc_smtp::header::Screened;
use pc_smtp::{Envelope, ForwardPath, ReversePath};
use pc_store::{LadderEventRow, SightingRow};
use pc_telemetry::Event;
use pc_types::{Domain, Escaped, time};

use super::Transaction;
use crate::connection::Peer;
use crate::edge::Edge;
use crate::sender::SpfResult;

/// What a message showed, ready for ladder, header and trace.
pub(super) struct Reading {
    pub(super) sighting: Sighting,
    pub(super) verdict: Verdict,
    pub(super) build: Option<String>,
}

impl Transaction {
    /// Whether a connector is for the domain of its sender, should that be proven.
    pub(super) fn may_be_matched(&self, edge: &Edge) -> bool {
        let ReversePath::Mailbox(sender) = &self.reverse_path else { return false };
        let domain = sender.domain_name().filter(|_| self.spf_check.is_some());
        domain.is_some_and(|domain| edge.settings.match_domain(domain, MatchedBy::Spf).is_some())
    }

    /// Goes under the rules for the domain of its sender, if that is proven.
    pub(super) fn match_domain(&mut self, edge: &Edge) {
        let domain = self.spf.as_ref().and_then(SpfResult::proven_domain);
        let matched = domain.and_then(|domain| edge.settings.match_domain(&domain, MatchedBy::Spf));
        if let Some((connector, matched)) = matched {
            self.steps.note("connector", matched.to_string());
            (self.connector, self.matched) = (connector, matched);
        }
    }

    /// Goes under the rules for a domain that has signed the message, where nothing else is known of the sender. What its
    /// recipients were answered stands; the end of data is answered by these rules.
    pub(super) async fn match_signer(&mut self, edge: &Edge, peer: &Peer, envelope: &Envelope) {
        if !edge.settings.knows_domains() {
            return;
        }
        let Some(verifier) = edge.sender_checks.signatures_of(peer.address, &self.matched) else { return };
        let head = self.message.head();
        let end = head.windows(4).position(|octets| octets == b"\r\n\r\n").map_or(head.len(), |at| at + 4);
        let header = head.get(..end).unwrap_or(head).to_vec();
        // Anybody may bring a signed message again. A server is under the rules of a domain only when it goes by a name in it,
        // which it also has a row for: what it shows under these rules changes nothing under its other names.
        let greeting = self.greeting.name.domain.clone();
        let is_wanted = |domain: &Domain| {
            let greets_within = greeting.as_ref().is_some_and(|name| name.is_within(domain.as_str()));
            greets_within && edge.settings.match_domain(domain, MatchedBy::Dkim).is_some()
        };
        let message = &mut self.message;
        let finding =
            verifier.verify(&header, is_wanted, async move || message.whole(MESSAGE_OCTETS_MAX).await);
        let matched = match finding.await {
            Finding::Unsigned => return,
            Finding::Unproven(why) => {
                self.steps.note("dkim", format!("proves nothing: {}", Escaped::new(&why)));
                return;
            }
            Finding::Proven { domain, selector } => {
                self.steps.note("dkim", format!("{domain}, selector {}", Escaped::new(&selector)));
                edge.settings.match_domain(&domain, MatchedBy::Dkim)
            }
        };
        let Some((connector, matched)) = matched else { return };
        self.steps.note("connector", matched.to_string());
        (self.connector, self.matched) = (connector, matched);
        self.accepted = AcceptedRecipients::default();
        for recipient in &envelope.recipients {
            match self.role(&recipient.forward_path) {
                RecipientRole::Contact | RecipientRole::OutOfScope => self.accepted.spared = true,
                RecipientRole::Other => self.accepted.held = true,
            }
        }
        self.decide_by_signer(edge);
    }

    /// The header is here already: a held transaction is one whose header may still release it.
    fn decide_by_signer(&mut self, edge: &Edge) {
        let now = edge.clock.now();
        let policy = edge.policy_for(&self.connector);
        let tenant = self.connector.tenant.as_deref();
        let pauses = edge.pauses.of(tenant);
        let unknown = Decision { action: Action::Pass, position: None };
        self.decision = edge.servers.change(&self.server_id, |record| {
            let Some(mut record) = record else { return (None, unknown) };
            self.put_under_connector(&mut record);
            let Decision { action, position } = pc_enforce::decide(&policy, Some(&record), &pauses, now);
            let action = match action {
                Action::Hold(hold) | Action::Probe(hold) => {
                    record.last_probe_at = Some(now);
                    Action::Probe(hold)
                }
                Action::WouldHold(hold) => {
                    record.counts.would_hold += 1;
                    Action::WouldHold(hold)
                }
                Action::Pass => Action::Pass,
            };
            (Some(record), Decision { action, position })
        });
        self.steps.note("ladder", format!("by its signature: {}", self.decision.code()));
        self.report_decision();
    }

    /// Asks the ladder and notes that the server is there.
    pub(super) fn decide(&mut self, edge: &Edge, peer: &Peer) {
        self.is_decided = true;
        let now = edge.clock.now();
        let policy = edge.policy_for(&self.connector);
        let tenant = self.connector.tenant.as_deref();
        let pauses = edge.pauses.of(tenant);
        // A server without a record gets one with its first message, not for a bare MAIL.
        let unknown = Decision { action: Action::Pass, position: None };
        self.decision = edge.servers.change(&self.server_id, |record| {
            let Some(record) = record else { return (None, unknown) };
            let mut record = pc_enforce::seen(&policy, Some(record), &self.server_id, peer.address, now);
            // Whom it signs for is known again at the end of data.
            let is_signer = record.connector.as_ref().is_some_and(|known| known.by == MatchedBy::Dkim);
            if !(is_signer && self.matched.by == MatchedBy::Nothing) {
                self.put_under_connector(&mut record);
            }
            // By the rules that hold until a signature is known.
            let asked = ServerRecord { kind: self.connector.kind, ..record.clone() };
            let decision = pc_enforce::decide(&policy, Some(&asked), &pauses, now);
            match &decision.action {
                Action::Hold(hold) => record = held(record, hold),
                Action::Pass => {}
                Action::Probe(_) => record.last_probe_at = Some(now),
                Action::WouldHold(_) => record.counts.would_hold += 1,
            }
            (Some(record), decision)
        });
        self.steps.note("ladder", format!("at MAIL: {}", self.decision.code()));
        self.report_decision();
    }

    fn put_under_connector(&self, record: &mut ServerRecord) {
        record.tenant.clone_from(&self.connector.tenant);
        record.kind = self.connector.kind;
        record.connector = Some(self.matched.clone());
    }

    /// What a recipient is to the ladder.
    pub(super) fn role(&self, path: &ForwardPath) -> RecipientRole {
        if path.is_postmaster() || path.is_abuse() {
            RecipientRole::Contact
        } else if self.connector.covers(path) {
            RecipientRole::Other
        } else {
            RecipientRole::OutOfScope
        }
    }

    /// Reads what the Received lines prove about the server that is connected.
    pub(super) fn read_evidence(&self, edge: &Edge, peer: &Peer, screened: &Screened) -> Reading {
        let now = edge.clock.now();
        let date = time::date_of(now);
        let lines: Vec<&str> = screened.received().iter().map(String::as_str).collect();
        let connection = Connection {
            greeting_name: self.greeting.name.domain.as_ref(),
            configured_names: &self.connector.received_names,
        };
        let evidence = pc_exchange::evidence(&lines, &connection);
        let judgement = edge.catalogue.load().judge(&evidence, date);
        let policy = edge.policy_for(&self.connector);
        let judged = policy.floor.judge(&judgement, self.connector.entitlement, date);
        let build = judgement.build.map(|build| build.to_string());
        let (header, reason) = match &judgement.evidence {
            Some(evidence) => (Some(Escaped::new(&evidence.header).to_string()), evidence.reason.to_string()),
            None => (None, judgement.reasons.first().map(ToString::to_string).unwrap_or_default()),
        };
        let shown = Shown {
            verdict: judgement.verdict.as_str().to_owned(),
            product: judgement.product.clone(),
            build: build.clone(),
            update: judgement.update.clone(),
            header,
            reason,
            interior: interior(&judgement.ignored),
            at: now,
        };
        let sighting = Sighting {
            id: self.server_id.clone(),
            address: peer.address,
            greeting_name: self.greeting.name.domain.clone(),
            tenant: self.connector.tenant.clone(),
            kind: self.connector.kind,
            connector: self.matched.clone(),
            judged,
            shown,
        };
        Reading { sighting, verdict: judgement.verdict, build }
    }

    /// Tells the ladder, and the store what is new.
    pub(super) fn observe(&self, edge: &Edge, reading: &Reading) {
        let policy = edge.policy_for(&self.connector);
        let at = reading.sighting.shown.at;
        let pauses = edge.pauses.of(self.connector.tenant.as_deref());
        let (effects, changed) = edge.servers.change(&self.server_id, |record| {
            let before = record.as_ref().and_then(|record| record.shown.clone());
            let (record, effects) = pc_enforce::observe(&policy, record, reading.sighting.clone(), &pauses);
            let shown = &reading.sighting.shown;
            let same = before.is_some_and(|before| {
                before.verdict == shown.verdict
                    && before.build == shown.build
                    && before.reason == shown.reason
            });
            (Some(record), (effects, !same))
        });
        let shown = &reading.sighting.shown;
        if changed {
            edge.writer.sighting(SightingRow {
                server_id: self.server_id.clone(),
                at,
                trace_id: self.trace_id.clone(),
                verdict: shown.verdict.clone(),
                build: shown.build.clone(),
                header: shown.header.clone(),
                reason: shown.reason.clone(),
            });
        }
        for effect in effects {
            let detail =
                format!("{}, build {}", shown.verdict, shown.build.as_deref().unwrap_or("not shown"));
            Event::LadderChanged { server: self.server_id.as_str(), code: effect.code(), detail: &detail }
                .emit();
            edge.writer.ladder_event(LadderEventRow {
                server_id: self.server_id.clone(),
                at,
                code: effect.code().to_owned(),
                detail,
            });
        }
    }

    fn report_decision(&self) {
        let (Action::Hold(hold) | Action::Probe(hold) | Action::WouldHold(hold)) = &self.decision.action
        else {
            return;
        };
        Event::EnforcementReplied {
            trace_id: &self.trace_id,
            server: self.server_id.as_str(),
            code: self.decision.code(),
            reply: &hold.text,
        }
        .emit();
    }
}

/// What Exchange servers further back stamped: to be shown, since an old one may hide behind a newer front.
fn interior(ignored: &[Ignored]) -> Vec<Interior> {
    let lines = ignored.iter().filter_map(|line| {
        let header = Escaped::with_octets_max(&line.header, INTERIOR_OCTETS_MAX).to_string();
        Some(Interior { build: line.interior?.to_string(), header })
    });
    lines.take(INTERIOR_LINES_MAX).collect()
}

/// Counts a transaction that the ladder holds.
pub(super) fn held(mut record: ServerRecord, hold: &Hold) -> ServerRecord {
    match hold.kind {
        HoldKind::Block => record.counts.blocked += 1,
        HoldKind::Throttle => record.counts.throttled += 1,
    }
    record
}
