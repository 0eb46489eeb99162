mod hand_over;
mod ladder;
mod poison;
mod seat;
mod self_test;
mod sender;
mod trace;

use std::sync::Arc;
use std::time::Duration;

use pc_enforce::{
    AcceptedRecipients, Action, ConnectorMatch, Decision, Hold, RecipientRole, ReversePathKind,
};
use pc_smtp::header::{HeaderFault, screen};
use pc_smtp::{
    EndAnswer, EnhancedCode, Envelope, ForwardPath, Greeting, Protocol, Received, Recipient, Reply,
    ReversePath,
};
use pc_store::RecipientRow;
use pc_telemetry::{Event, Outcome};
use pc_types::{Escaped, ServerId, Timestamp};
use tokio::time::Instant;

use crate::connection::Peer;
use crate::connector::ConnectorSettings;
use crate::edge::{Delivery, Edge, Target};
use crate::message::MessageBuffer;
use crate::milter::Scan;
use crate::sender::{SpfCheck, SpfResult};
use crate::steps::Steps;
use crate::transaction::ladder::{Reading, held};
use crate::transaction::seat::Lost;
use crate::upstream::{Opened, Upstream, UpstreamTransaction};

/// One transaction: from MAIL to the answer to its data, or to its early end.
pub(crate) struct Transaction {
    trace_id: String,
    started: Instant,
    at: Timestamp,
    greeting: Greeting,
    server_id: ServerId,
    reverse_path: ReversePath,
    envelope: Envelope,
    decision: Decision,
    /// The ladder was asked.
    is_decided: bool,
    /// Under whose rules it is, and why: those of its connection, until its sender's domain is proven.
    connector: Arc<ConnectorSettings>,
    matched: ConnectorMatch,
    target: Option<Arc<Target>>,
    upstream: Option<Box<UpstreamTransaction>>,
    /// Recipients that the server behind took.
    taken: Vec<Recipient>,
    /// When it was asked for one last.
    asked_at: Instant,
    /// Its connection was given back meanwhile.
    has_given_back: bool,
    message: MessageBuffer,
    /// The server behind failed us: the answer to every further recipient. Beginning anew would
    /// leave out the recipients that were taken before.
    failure: Option<Reply>,
    /// The message goes into the spool, and why.
    spooled: Option<String>,
    /// The disk failed while the message came in.
    is_message_lost: bool,
    /// Its one recipient is the self-test address.
    is_self_test: bool,
    /// For whom it was accepted.
    accepted: AcceptedRecipients,
    recipients: Vec<RecipientRow>,
    message_id: Option<String>,
    /// What the server behind answered to the message.
    upstream_reply: Option<String>,
    /// SPF under way, then its result.
    spf_check: Option<SpfCheck>,
    spf: Option<SpfResult>,
    /// The server behind that took the message sends reports itself.
    is_dsn_offered: bool,
    /// What the lists say stands in the steps.
    is_listing_noted: bool,
    steps: Steps,
}

impl Transaction {
    /// Begins with MAIL: asks the ladder and notes that the server is there.
    pub(crate) fn begin(
        edge: &Edge,
        peer: &Peer,
        greeting: &Greeting,
        envelope: Envelope,
    ) -> (Box<Self>, Reply) {
        let now = edge.clock.now();
        let server_id = edge.servers.id_for(peer.address, greeting.name.domain.as_ref());
        let reply = Reply::new(250, EnhancedCode(2, 1, 0), "sender OK");
        let mut steps = Steps::of(peer, greeting);
        steps.note("mail", format!("MAIL FROM:<{}>: {}", envelope.reverse_path, reply.summary()));
        let checks = &edge.sender_checks;
        let spf_check = checks.begin_spf(peer.address, &peer.matched, greeting, &envelope.reverse_path);
        let mut transaction = Self {
            trace_id: edge.trace_ids.next_id(),
            started: Instant::now(),
            at: now,
            greeting: greeting.clone(),
            server_id,
            reverse_path: envelope.reverse_path.clone(),
            envelope,
            decision: Decision { action: Action::Pass, position: None },
            is_decided: false,
            connector: Arc::clone(&peer.connector),
            matched: peer.matched.clone(),
            target: None,
            upstream: None,
            taken: Vec::new(),
            asked_at: Instant::now(),
            has_given_back: false,
            message: MessageBuffer::within(&edge.settings.spill_folder, edge.room.memory()),
            failure: None,
            spooled: None,
            is_message_lost: false,
            is_self_test: false,
            accepted: AcceptedRecipients::default(),
            recipients: Vec::new(),
            message_id: None,
            upstream_reply: None,
            spf_check,
            spf: None,
            is_dsn_offered: true,
            is_listing_noted: false,
            steps,
        };
        if !transaction.may_be_matched(edge) {
            transaction.decide(edge, peer);
        }
        (Box::new(transaction), reply)
    }

    /// How long the transaction has lasted.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Answers a recipient: the ladder first, then who takes mail for it, in its own words.
    pub(crate) async fn recipient(&mut self, edge: &Edge, peer: &Peer, recipient: Recipient) -> Reply {
        let reply = self.recipient_reply(edge, peer, &recipient).await;
        if reply.is_positive() && !self.is_self_test {
            match self.role(&recipient.forward_path) {
                RecipientRole::Contact | RecipientRole::OutOfScope => self.accepted.spared = true,
                RecipientRole::Other => self.accepted.held = true,
            }
        }
        let forward_path = recipient.forward_path.to_string();
        self.steps.recipient(&forward_path, &reply.summary());
        self.recipients.push(RecipientRow { forward_path, reply: reply.summary() });
        reply
    }

    /// Notes a recipient that was refused before anybody was asked.
    pub(crate) fn recipient_refused(&mut self, recipient: &Recipient, reply: &Reply) {
        let forward_path = recipient.forward_path.to_string();
        self.steps.recipient(&forward_path, &reply.summary());
        self.recipients.push(RecipientRow { forward_path, reply: reply.summary() });
    }

    async fn recipient_reply(&mut self, edge: &Edge, peer: &Peer, recipient: &Recipient) -> Reply {
        if !self.is_decided {
            self.await_spf().await;
            self.match_domain(edge);
            self.decide(edge, peer);
        }
        // Who is held must be able to see why, so that this comes before the ladder.
        if let Some(reply) = self.self_test_reply(edge, &recipient.forward_path) {
            return reply;
        }
        let role = self.role(&recipient.forward_path);
        if let Some(hold) = self.decision.reply_to(self.reverse_path_kind(), role) {
            return hold_reply(hold);
        }
        if let Some(reply) = self.listed(peer, &recipient.forward_path).await {
            return reply;
        }
        let Some(target) = edge.target_for(&recipient.forward_path) else {
            return Reply::new(
                550,
                EnhancedCode(5, 7, 1),
                "relaying denied: no mail is taken for this domain",
            );
        };
        if matches!(&recipient.forward_path, ForwardPath::Mailbox(mailbox) if mailbox.is_routed()) {
            let text = "relaying denied: routes in the local part are not taken";
            return Reply::new(550, EnhancedCode(5, 7, 1), text);
        }
        if self.target.as_ref().is_some_and(|earlier| !Arc::ptr_eq(earlier, &target)) {
            // Each transaction has one final answer, so it has one place to go.
            return Reply::new(452, EnhancedCode(4, 5, 3), "this recipient goes elsewhere, send it apart");
        }
        if let Some(code) = target.knows_no(&recipient.forward_path) {
            let address = peer.address;
            Event::RecipientUnknown { trace_id: &self.trace_id, address, upstream: &target.name, code }
                .emit();
            return crate::recipients::unknown();
        }
        let reply = match &target.delivery {
            Delivery::Maildir(_) => Reply::new(250, EnhancedCode(2, 1, 5), "recipient OK"),
            Delivery::Smtp(upstream) => self.ask_upstream(edge, upstream, peer, recipient).await,
        };
        // A refusal of the sender is no word about the recipient.
        if !self.has_failed() && crate::recipients::may_deny_existence(&reply) {
            let address = peer.address;
            Event::RecipientUnknown {
                trace_id: &self.trace_id,
                address,
                upstream: &target.name,
                code: "server",
            }
            .emit();
        }
        self.target = Some(target);
        reply
    }

    async fn ask_upstream(
        &mut self,
        edge: &Edge,
        upstream: &Arc<Upstream>,
        peer: &Peer,
        recipient: &Recipient,
    ) -> Reply {
        if let Some(failure) = &self.failure {
            return failure.clone();
        }
        if self.spooled.is_none() && self.upstream.is_none() && edge.queue.takes_at_once(upstream.name()) {
            self.spooled = Some("the server behind is not asked at present".to_owned());
        }
        if self.spooled.is_some() {
            return spooled_recipient(edge, upstream, recipient);
        }
        let answered = match self.upstream_for_all(upstream, peer).await {
            Err(lost) => Err(lost),
            Ok(None) => {
                let network = pc_net::network_of(peer.address);
                match upstream.open(network, &self.envelope, recipient).await {
                    Opened::Begun(transaction, reply) => Ok((transaction, reply)),
                    Opened::Refused(reply) => {
                        self.failure = Some(reply.clone());
                        return reply;
                    }
                    Opened::Unavailable(fault) => Err(Lost::Fault(fault)),
                }
            }
            Ok(Some(transaction)) => transaction.recipient(recipient).await.map_err(Lost::Fault),
        };
        self.asked_at = Instant::now();
        match answered {
            // Without a recipient there is nothing to hold a connection for.
            Ok((transaction, reply)) if transaction.recipients() == 0 => {
                transaction.abandon();
                reply
            }
            Ok((transaction, reply)) => {
                self.upstream = Some(transaction);
                if reply.is_positive() {
                    self.taken.push(recipient.clone());
                }
                reply
            }
            Err(lost) => {
                if let Lost::Fault(fault) = &lost {
                    edge.queue.target_failed(upstream.name(), fault);
                }
                if edge.queue.takes(upstream.name()) {
                    self.spooled = Some(lost.reason());
                    return spooled_recipient(edge, upstream, recipient);
                }
                let reply = crate::upstream::unavailable();
                self.failure = Some(reply.clone());
                reply
            }
        }
    }

    /// Whether the server behind refused the sender, or failed us: what is answered since is no word about recipients.
    pub(crate) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Whether octets of the message are held.
    pub(crate) fn holds_octets(&self) -> bool {
        self.message.octets() > 0
    }

    /// Takes message octets.
    pub(crate) fn body(&mut self, octets: &[u8]) {
        if self.message.octets() == 0 {
            self.steps.note("data", "the message begins".to_owned());
        }
        if !self.is_message_lost && self.message.append(octets).is_err() {
            self.is_message_lost = true;
        }
    }

    /// The message is complete.
    pub(crate) async fn end(mut self: Box<Self>, edge: &Edge, peer: &Peer, envelope: Envelope) -> EndAnswer {
        self.steps.note("end_of_data", format!("{} octets", self.message.octets()));
        let (answer, reading) = self.take_or_refuse_fenced(edge, peer, &envelope).await;
        let reply = match &answer {
            EndAnswer::Refused(reply) => reply.summary(),
            EndAnswer::Taken { text, .. } => format!("250 2.0.0 {text}"),
        };
        let outcome = match &answer {
            EndAnswer::Refused(reply) if reply.is_permanent() => Outcome::Refused,
            EndAnswer::Refused(_) => Outcome::Deferred,
            EndAnswer::Taken { .. } => Outcome::Taken,
        };
        self.steps.note("reply", reply.clone());
        // What is spooled is not with the server behind yet.
        let is_waiting = outcome == Outcome::Taken && self.spooled.is_some();
        let word = if is_waiting { "waiting" } else { outcome.code() };
        self.write_trace(edge, peer, word, &reply, reading.as_ref());
        Event::MessageEnded {
            trace_id: &self.trace_id,
            address: peer.address,
            outcome,
            octets: self.message.octets(),
            recipients: envelope.recipients.len(),
            reverse_path: &self.reverse_path.to_string(),
            reply: &reply,
            elapsed: self.started.elapsed(),
        }
        .emit();
        answer
    }

    async fn take_or_refuse(
        &mut self,
        edge: &Edge,
        peer: &Peer,
        envelope: &Envelope,
    ) -> (EndAnswer, Option<Reading>) {
        if self.is_message_lost {
            let reply =
                Reply::new(452, EnhancedCode(4, 3, 1), "no room to take the message, please try again");
            return (EndAnswer::Refused(reply), None);
        }
        edge.settings.fault_mark.strike(self.message.head());
        let mut screened = match screen(self.message.head(), &edge.settings.node_name) {
            Ok(screened) => screened,
            Err(fault) => return (EndAnswer::Refused(header_reply(fault)), None),
        };
        self.message_id = screened.message_id().map(|id| Escaped::new(id).to_string());
        self.match_signer(edge, peer, envelope).await;
        let reading = self.read_evidence(edge, peer, &screened);
        self.observe(edge, &reading);
        let shown = &reading.sighting.shown;
        let build = shown.build.as_deref().unwrap_or("no build");
        self.steps.note("evidence", format!("{}, {build}: {}", shown.verdict, shown.reason));
        if self.is_self_test {
            let sighting = &reading.sighting;
            let text = pc_enforce::self_test(&sighting.shown, &sighting.judged.standing);
            return (EndAnswer::Refused(Reply::new(550, EnhancedCode(5, 7, 0), text)), Some(reading));
        }
        let standing = &reading.sighting.judged.standing;
        if let Some(hold) =
            pc_enforce::after_headers(&self.decision, standing, self.reverse_path_kind(), self.accepted)
        {
            edge.servers.change(&self.server_id, |record| (record.map(|record| held(record, &hold)), ()));
            self.steps.note("ladder", format!("after the header: {}", hold.text));
            return (EndAnswer::Refused(hold_reply(hold)), Some(reading));
        }
        self.await_spf().await;
        let mut prefix = self.prefix(edge, peer, envelope, &reading);
        let greeting_name = &self.greeting.name.text;
        let scan = Scan { trace_id: &self.trace_id, peer, greeting_name, envelope };
        match scan.run(edge, &mut screened, &mut self.message).await {
            Ok(fields) => prefix.extend(fields),
            Err(reply) => {
                self.steps.note("milter", reply.summary());
                return (EndAnswer::Refused(reply), Some(reading));
            }
        }
        if let Some(target) = &self.target {
            self.steps.note("hand_over", format!("to {}", target.name));
        }
        let answer = self.hand_over(edge, peer, &prefix, &screened, envelope).await;
        (answer, Some(reading))
    }

    /// The fields that go before the message.
    fn prefix(&self, edge: &Edge, peer: &Peer, envelope: &Envelope, reading: &Reading) -> Vec<u8> {
        let received = Received {
            greeting_name: &self.greeting.name.text,
            address: peer.address,
            node_name: &edge.settings.node_name,
            protocol: Protocol {
                extended: self.greeting.extended,
                tls: peer.tls.is_some(),
                utf8: envelope.parameters.smtputf8,
            },
            tls: peer.tls,
            trace_id: &self.trace_id,
            now: edge.clock.now(),
        };
        let stage = self.decision.position.as_ref().and_then(|position| position.stage);
        let results = self.spf.as_ref().map(|spf| spf.field(&edge.settings.node_name));
        format!(
            "{}{}X-Portcullis-Enforcement: {}; verdict={}; build={}; stage={}; server={}\r\nX-Portcullis-Trace-Id: {}\r\n",
            received.field(),
            results.unwrap_or_default(),
            self.decision.code(),
            reading.verdict.as_str(),
            reading.build.as_deref().unwrap_or("none"),
            stage.map_or_else(|| "none".to_owned(), |stage| stage.number.to_string()),
            self.server_id,
            self.trace_id,
        )
        .into_bytes()
    }

    /// What the server behind said to the message.
    fn note_upstream(&mut self, word: String) {
        self.steps.note("upstream", word.clone());
        self.upstream_reply = Some(word);
    }

    /// The transaction ends without a message.
    pub(crate) fn abandon(mut self: Box<Self>, edge: &Edge, peer: &Peer, why: &str) {
        if let Some(upstream) = self.upstream.take() {
            upstream.abandon();
        }
        let held = self.recipients.last().map(|recipient| recipient.reply.clone());
        let reply = held.unwrap_or_else(|| why.to_owned());
        let outcome = match reply.as_bytes().first() {
            Some(b'4') => Outcome::Deferred.code(),
            Some(b'5') => Outcome::Refused.code(),
            _ => "abandoned",
        };
        self.steps.note("end", why.to_owned());
        self.write_trace(edge, peer, outcome, &reply, None);
    }

    fn reverse_path_kind(&self) -> ReversePathKind {
        match self.reverse_path {
            ReversePath::Mailbox(_) => ReversePathKind::Mailbox,
            ReversePath::Null => ReversePathKind::Null,
        }
    }
}

/// Nobody can say whether the mailbox exists; the message waits until somebody can.
/// A list has spoken before; what the server behind said lately speaks where that is remembered.
fn spooled_recipient(edge: &Edge, upstream: &Upstream, recipient: &Recipient) -> Reply {
    let is_listed =
        edge.target_for(&recipient.forward_path).is_some_and(|target| target.recipients.is_some());
    if !is_listed
        && !edge.queue.takes_always()
        && let Some(undecided) = upstream.answers_while_away(&recipient.forward_path)
    {
        return undecided;
    }
    Reply::new(250, EnhancedCode(2, 1, 5), "recipient OK, the message will be queued")
}

fn hold_reply(hold: Hold) -> Reply {
    let class = if hold.code == 550 { 5 } else { 4 };
    Reply::new(hold.code, EnhancedCode(class, 7, 230), hold.text)
}

fn header_reply(fault: HeaderFault) -> Reply {
    let text = fault.to_string();
    match fault {
        HeaderFault::TooLarge => Reply::new(552, EnhancedCode(5, 3, 4), text),
        HeaderFault::TooManyHops | HeaderFault::Loop => Reply::new(554, EnhancedCode(5, 4, 6), text),
    }
}
