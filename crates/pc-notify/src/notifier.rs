use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use pc_net::{Clock, Stop};
use pc_notice::{Addressee, Due, Mail, MailError, Notice, Waiting, digest, due};
use pc_queue::{Entry, Origin, Proof};
use pc_smtp::{BodyType, Envelope, ForwardPath, MailParameters, Mailbox, Recipient, ReversePath};
use pc_smtpd::queue::{NOTICE_MARK, Queue};
use pc_smtpd::{Delivery, Target};
use pc_store::spool::Content;
use pc_store::{Store, StoreError, StoredNotice, Writer};
use pc_telemetry::Event;
use pc_types::{Domain, SignedDuration, Timestamp};

use crate::limits::{LOOK, RETRY, WAITING_MAX};

/// Mail of our own has no client.
const OWN_NETWORK: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
/// The connector of senders whom no entry of the configuration names.
const DEFAULT_CONNECTOR: &str = "default";

/// `[notify]`, as the outbox needs it.
#[derive(Clone, Debug)]
pub struct NotifySettings {
    /// This node.
    pub node_name: Domain,
    /// The address in From.
    pub from: String,
    /// Who is told what an operator must know; nobody when empty.
    pub operator: Vec<String>,
    /// Between two mails to the operator.
    pub operator_interval_minutes: u32,
    /// The target that takes our mail, where it is not the one of the addressee's domain.
    pub via: Option<String>,
}

/// Why a mail is not on its way.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// The mail could not be made.
    #[error("the mail could not be made: {0}")]
    Compose(#[from] MailError),
    /// The spool or Maildir did not take it.
    #[error("the mail could not be kept: {0}")]
    Keep(#[from] io::Error),
    /// The outbox could not be read or written.
    #[error("the outbox could not be read or written: {0}")]
    Store(#[from] StoreError),
    /// Nobody takes mail for it.
    #[error("no [[upstream]] takes mail for {0}; set [notify] via to one that does")]
    Way(String),
}

/// The task that empties the outbox.
pub struct Notifier {
    settings: NotifySettings,
    store: Store,
    writer: Writer,
    queue: Arc<Queue>,
    targets: Vec<Arc<Target>>,
    clock: Clock,
}

impl Notifier {
    /// A notifier of these settings.
    pub fn new(
        settings: NotifySettings,
        (store, writer): (Store, Writer),
        (targets, queue): (Vec<Arc<Target>>, Arc<Queue>),
        clock: Clock,
    ) -> Self {
        Self { settings, store, writer, queue, targets, clock }
    }

    /// Tells what is due, until `stop`.
    pub async fn run(self, mut stop: Stop) {
        let mut written = self.writer.notices_written();
        while !stop.is_stopped() {
            written.mark_unchanged();
            let next = match self.look().await {
                Ok(next) => next.unwrap_or_else(|| self.later(LOOK)),
                Err(error) => {
                    Event::NoticeFailed { error: &error.to_string() }.emit();
                    self.later(RETRY)
                }
            };
            tokio::select! {
                () = stop.stopped() => return,
                Ok(()) = written.changed() => {}
                () = self.clock.wait_until(next) => {}
            }
        }
    }

    fn later(&self, span: Duration) -> Timestamp {
        let span = SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
        self.clock.now().saturating_add(span).unwrap_or(Timestamp::MAX)
    }

    /// Sends what is due; returns when something else is.
    async fn look(&self) -> Result<Option<Timestamp>, NotifyError> {
        if self.settings.operator.is_empty() {
            return Ok(None);
        }
        let stored = self.store.waiting_notices(WAITING_MAX).await?;
        let waiting: Vec<Waiting> = stored.iter().filter_map(readable).collect();
        let last = self.store.last_told(&Addressee::Operator.to_string()).await?;
        let now = self.clock.now();
        match due(&waiting, last, self.settings.operator_interval_minutes, now) {
            Due::Nothing => Ok(None),
            Due::Later(moment) => Ok(Some(moment)),
            Due::Now(notices) => {
                self.tell_operator(&notices, now).await?;
                Ok(None)
            }
        }
    }

    async fn tell_operator(&self, notices: &[&Waiting], now: Timestamp) -> Result<(), NotifyError> {
        let facts: Vec<&Notice> = notices.iter().map(|waiting| &waiting.notice).collect();
        let (subject, text) = digest(&self.settings.node_name, &facts);
        let numbers: Vec<i64> = notices.iter().map(|waiting| waiting.number).collect();
        let first = numbers.first().copied().unwrap_or_default();
        let id = format!("{NOTICE_MARK}{:x}-{first}", now.as_microsecond());
        let mail = Mail {
            id: &id,
            now,
            node_name: &self.settings.node_name,
            from: &self.settings.from,
            to: &self.settings.operator,
            subject: &subject,
            text: &text,
        };
        self.hand_over(&id, mail.compose()?, &self.settings.operator).await?;
        self.store.notices_handed(&numbers, &id, now).await?;
        Event::NoticeHanded { id: &id, code: "operator", notices: numbers.len() }.emit();
        Ok(())
    }

    /// Puts a mail on its way to all of `to`.
    async fn hand_over(&self, id: &str, octets: Vec<u8>, to: &[String]) -> Result<(), NotifyError> {
        let mut recipients = Vec::new();
        for address in to {
            let mailbox = Mailbox::parse(address).map_err(|_| MailError::Address(address.clone()))?;
            recipients.push(ForwardPath::Mailbox(mailbox));
        }
        let Some(first) = recipients.first() else { return Ok(()) };
        let target = self.way_to(first).ok_or_else(|| NotifyError::Way(first.to_string()))?;
        match &target.delivery {
            Delivery::Maildir(maildir) => {
                // Syncing blocks; the runtime moves other work away from this thread meanwhile.
                tokio::task::block_in_place(|| maildir.deliver(id, &[&octets], None))?;
            }
            Delivery::Smtp(_) => {
                let envelope = envelope(recipients);
                let origin = Origin {
                    id: id.to_owned(),
                    target: target.name.clone(),
                    received_at: self.clock.now(),
                    address: OWN_NETWORK,
                    greeting: self.settings.node_name.to_string(),
                    connector: DEFAULT_CONNECTOR.to_owned(),
                    proof: Proof::None,
                    message_id: None,
                };
                let content = Content { head: octets, rest: None };
                self.queue.commit(Entry::new(origin, &envelope), &envelope, content).await?;
            }
        }
        Ok(())
    }

    fn way_to(&self, path: &ForwardPath) -> Option<&Arc<Target>> {
        match &self.settings.via {
            Some(via) => self.targets.iter().find(|target| target.name == *via),
            None => pc_smtpd::target_for(&self.targets, path),
        }
    }
}

fn envelope(recipients: Vec<ForwardPath>) -> Envelope {
    let recipients =
        recipients.into_iter().map(|forward_path| Recipient { forward_path, notify: None, orcpt: None });
    Envelope {
        reverse_path: ReversePath::Null,
        parameters: MailParameters { body: Some(BodyType::EightBitMime), ..MailParameters::default() },
        recipients: recipients.collect(),
    }
}

/// A notice of a later version waits for that version.
fn readable(stored: &StoredNotice) -> Option<Waiting> {
    Some(Waiting {
        number: stored.number,
        at: stored.at,
        addressee: stored.addressee.parse().ok()?,
        notice: Notice::from_json(&stored.facts)?,
    })
}
