use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use pc_dns::Resolver;
use pc_enforce::DEFAULT_CONNECTOR;
use pc_net::{Clock, Stop};
use pc_notice::{
    Addressee, Due, Language, Mail, MailError, Notice, Parcel, Sender, Waiting, catalogue_digest, digest,
    due, node_digest, parcels, server_letter, servers_letter,
};
use pc_queue::{Entry, Origin, Proof};
use pc_smtp::{BodyType, Envelope, ForwardPath, MailParameters, Mailbox, Recipient, ReversePath};
use pc_smtpd::queue::{NOTICE_MARK, Queue};
use pc_smtpd::{Delivery, Edge, Target};
use pc_store::spool::Content;
use pc_store::{Store, StoreError, StoredNotice, Writer};
use pc_telemetry::Event;
use pc_types::{Domain, SignedDuration, Timestamp, time};

use crate::limits::{LOOK, RETRY, SURVEY, SURVEY_SPACING, WAITING_MAX};
use crate::survey::Survey;
use crate::webhooks::Webhooks;

/// Mail of our own has no client.
const OWN_NETWORK: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

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
    /// Of mails to the operator and to postmasters.
    pub language: Language,
    /// Organisations with people to tell, by name.
    pub tenants: BTreeMap<String, Contacts>,
    /// Connectors with people to tell, by name.
    pub connectors: BTreeMap<String, ConnectorContacts>,
    /// Whether postmasters of sending domains are told.
    pub tells_sending_side: bool,
}

/// The people of a tenant.
#[derive(Clone, Debug)]
pub struct Contacts {
    /// Their addresses.
    pub contacts: Vec<String>,
    /// What they read.
    pub language: Language,
}

/// The people of a connector.
#[derive(Clone, Debug)]
pub struct ConnectorContacts {
    /// Their addresses.
    pub contacts: Vec<String>,
    /// The tenant whose language they read and whose people need no second mail.
    pub tenant: Option<String>,
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

/// The task that fills and empties the outbox.
pub struct Notifier {
    settings: NotifySettings,
    store: Store,
    writer: Writer,
    queue: Arc<Queue>,
    targets: Vec<Arc<Target>>,
    clock: Clock,
    survey: Survey,
    webhooks: Arc<Webhooks>,
}

/// The words of one mail.
struct Words<'a> {
    subject: &'a str,
    text: &'a str,
    html: Option<&'a str>,
    language: Language,
}

impl NotifySettings {
    /// Whom a connector names beside its tenant, and what they read; `None` for nobody.
    pub(crate) fn contacts_of(&self, connector: &str) -> Option<(Vec<String>, Language)> {
        let named = self.connectors.get(connector)?;
        let tenant = named.tenant.as_ref().and_then(|tenant| self.tenants.get(tenant));
        let is_told = |address: &&String| tenant.is_some_and(|tenant| tenant.contacts.contains(address));
        let contacts: Vec<String> =
            named.contacts.iter().filter(|address| !is_told(address)).cloned().collect();
        let language = tenant.map_or(self.language, |tenant| tenant.language);
        (!contacts.is_empty()).then_some((contacts, language))
    }
}

impl Notifier {
    /// A notifier of these settings for the servers that `edge` knows.
    pub fn new(
        settings: NotifySettings,
        store: Store,
        edge: &Arc<Edge>,
        resolver: Option<Resolver>,
        webhooks: Arc<Webhooks>,
    ) -> Self {
        Self {
            settings,
            store: store.clone(),
            writer: edge.writer.clone(),
            queue: Arc::clone(&edge.queue),
            targets: edge.settings.targets.clone(),
            clock: edge.clock.clone(),
            survey: Survey::new(Arc::clone(edge), store, resolver, Arc::clone(&webhooks)),
            webhooks,
        }
    }

    /// Tells what is due, until `stop`.
    pub async fn run(self, stop: Stop) {
        let webhooks = Arc::clone(&self.webhooks).run(stop.clone());
        tokio::join!(self.tell(stop), webhooks);
    }

    async fn tell(mut self, mut stop: Stop) {
        let mut news = self.writer.news();
        let mut survey_at = self.clock.now();
        let mut not_before = survey_at;
        while !stop.is_stopped() {
            let now = self.clock.now();
            if survey_at <= now {
                not_before = self.later(SURVEY_SPACING);
                survey_at = tokio::select! {
                    () = stop.stopped() => return,
                    surveyed = self.survey.look(&self.settings, now) => match surveyed {
                        Ok(_) => self.later(SURVEY),
                        Err(error) => self.retry(&error.into()),
                    }
                };
            }
            if let Err(error) = self.webhooks.gather(now).await {
                survey_at = survey_at.min(self.retry(&error.into()));
            }
            let next = match self.look().await {
                Ok(next) => next.unwrap_or_else(|| self.later(LOOK)),
                Err(error) => self.retry(&error),
            };
            tokio::select! {
                () = stop.stopped() => return,
                // Something happened on the ladder, or a message was set aside.
                Ok(()) = news.changed() => survey_at = survey_at.min(not_before),
                () = self.clock.wait_until(next.min(survey_at)) => {}
            }
        }
    }

    fn retry(&self, error: &NotifyError) -> Timestamp {
        Event::NoticeFailed { error: &error.to_string() }.emit();
        self.later(RETRY)
    }

    fn later(&self, span: Duration) -> Timestamp {
        let span = SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
        self.clock.now().saturating_add(span).unwrap_or(Timestamp::MAX)
    }

    /// Sends what is due; returns when something else is. What fails for one addressee holds up no other.
    async fn look(&self) -> Result<Option<Timestamp>, NotifyError> {
        let mut next = None;
        for text in self.store.waiting_addressees().await? {
            // One of a later version waits for that version.
            let Ok(addressee) = text.parse::<Addressee>() else { continue };
            if matches!(addressee, Addressee::Webhook(_)) {
                continue;
            }
            let later = match self.look_for(&addressee).await {
                Ok(later) => later,
                Err(error) => Some(self.retry(&error)),
            };
            next = earlier(next, later);
        }
        Ok(next)
    }

    async fn look_for(&self, addressee: &Addressee) -> Result<Option<Timestamp>, NotifyError> {
        let text = addressee.to_string();
        let stored = self.store.waiting_notices(&text, WAITING_MAX).await?;
        let waiting: Vec<Waiting> = stored.iter().filter_map(readable).collect();
        let now = self.clock.now();
        if *addressee == Addressee::Operator {
            return self.look_for_operator(&waiting, now).await;
        }
        let Some((to, language)) = self.mailboxes_of(addressee) else { return Ok(None) };
        let mails = self.store.mails_since(&text, time::add_days(now, -1)).await?;
        let (parcels, later) = parcels(&waiting, addressee, &mails, now);
        for parcel in &parcels {
            self.send_letter(addressee, (&to, language), parcel, now).await?;
        }
        Ok(later)
    }

    async fn look_for_operator(
        &self,
        waiting: &[Waiting],
        now: Timestamp,
    ) -> Result<Option<Timestamp>, NotifyError> {
        if self.settings.operator.is_empty() {
            return Ok(None);
        }
        let operator = Addressee::Operator;
        let last = self.store.last_told(&operator.to_string()).await?;
        let notices = match due(waiting, last, self.settings.operator_interval_minutes, now) {
            Due::Nothing => return Ok(None),
            Due::Later(moment) => return Ok(Some(moment)),
            Due::Now(notices) => notices,
        };
        let (servers, others): (Vec<&Waiting>, Vec<&Waiting>) =
            notices.into_iter().partition(|waiting| waiting.notice.server().is_some());
        let (node, messages): (Vec<&Waiting>, Vec<&Waiting>) =
            others.into_iter().partition(|waiting| matches!(waiting.notice, Notice::Node { .. }));
        let to = (self.settings.operator.as_slice(), self.settings.language);
        let is_aside = |waiting: &&Waiting| matches!(waiting.notice, Notice::MessageAside { .. });
        let (messages, catalogue): (Vec<&Waiting>, Vec<&Waiting>) = messages.into_iter().partition(is_aside);
        if !catalogue.is_empty() {
            let facts: Vec<&Notice> = catalogue.iter().map(|waiting| &waiting.notice).collect();
            let (subject, text) = catalogue_digest(&self.settings.node_name, &facts);
            let words = Words { subject: &subject, text: &text, html: None, language: Language::En };
            self.send(&operator, to.0, &catalogue, &words, now).await?;
        }
        if !messages.is_empty() {
            let facts: Vec<&Notice> = messages.iter().map(|waiting| &waiting.notice).collect();
            let (subject, text) = digest(&self.settings.node_name, &facts);
            let words = Words { subject: &subject, text: &text, html: None, language: Language::En };
            self.send(&operator, to.0, &messages, &words, now).await?;
        }
        if !node.is_empty() {
            let facts: Vec<&Notice> = node.iter().map(|waiting| &waiting.notice).collect();
            let (subject, text) = node_digest(&self.settings.node_name, &facts);
            let words = Words { subject: &subject, text: &text, html: None, language: Language::En };
            self.send(&operator, to.0, &node, &words, now).await?;
        }
        let mut subjects: Vec<&str> =
            servers.iter().filter_map(|waiting| Some(waiting.notice.server()?.id.as_str())).collect();
        subjects.sort_unstable();
        subjects.dedup();
        match subjects.len() {
            0 => {}
            1 => self.send_letter(&operator, to, &Parcel::Server(servers), now).await?,
            _ => self.send_letter(&operator, to, &Parcel::Servers(servers), now).await?,
        }
        Ok(None)
    }

    /// Whom mails to an addressee go to, and in which language; `None` for the operator and whoever gets none.
    fn mailboxes_of(&self, addressee: &Addressee) -> Option<(Vec<String>, Language)> {
        match addressee {
            Addressee::Connector(name) => self.settings.contacts_of(name),
            // Machines get no mail.
            Addressee::Operator | Addressee::Webhook(_) => None,
            Addressee::Postmaster(domain) => {
                let is_told = self.settings.tells_sending_side;
                is_told.then(|| (vec![format!("postmaster@{domain}")], self.settings.language))
            }
            Addressee::Tenant(name) => {
                let tenant = self.settings.tenants.get(name)?;
                (!tenant.contacts.is_empty()).then(|| (tenant.contacts.clone(), tenant.language))
            }
        }
    }

    async fn send_letter(
        &self,
        addressee: &Addressee,
        (to, language): (&[String], Language),
        parcel: &Parcel<'_>,
        now: Timestamp,
    ) -> Result<(), NotifyError> {
        let sender = Sender { node_name: &self.settings.node_name, contact: self.contact() };
        let waiting = parcel.waiting();
        let letter = match parcel {
            Parcel::Server(waiting) => {
                waiting.last().and_then(|last| server_letter(sender, addressee, language, &last.notice))
            }
            Parcel::Servers(waiting) => {
                let notices: Vec<&Notice> = waiting.iter().map(|waiting| &waiting.notice).collect();
                Some(servers_letter(sender, addressee, language, &notices))
            }
        };
        let Some(letter) = letter else { return Ok(()) };
        let (text, html) = (letter.text(), letter.html());
        let words =
            Words { subject: &letter.subject, text: &text, html: Some(&html), language: letter.language };
        self.send(addressee, to, waiting, &words, now).await
    }

    /// Who reads answers: a person who runs this node, if one is named.
    fn contact(&self) -> &str {
        self.settings.operator.first().unwrap_or(&self.settings.from)
    }

    async fn send(
        &self,
        addressee: &Addressee,
        to: &[String],
        waiting: &[&Waiting],
        words: &Words<'_>,
        now: Timestamp,
    ) -> Result<(), NotifyError> {
        let Some(first) = waiting.first() else { return Ok(()) };
        let numbers: Vec<i64> = waiting.iter().map(|waiting| waiting.number).collect();
        // The spool holds each mail once; after a crash the same notices may go there again, in a mail which its
        // readers can know as the same.
        let id = format!("{NOTICE_MARK}{:x}-{}", now.as_microsecond(), first.number);
        let last = numbers.last().copied().unwrap_or_default();
        let message_id = format!("{NOTICE_MARK}{:x}-{}-{last}", first.at.as_microsecond(), first.number);
        let contact = self.contact();
        let mail = Mail {
            id: &message_id,
            now,
            node_name: &self.settings.node_name,
            from: &self.settings.from,
            to,
            subject: words.subject,
            text: words.text,
            html: words.html,
            language: words.language,
            reply_to: (contact != self.settings.from && *addressee != Addressee::Operator).then_some(contact),
        };
        self.hand_over(&id, mail.compose()?, to).await?;
        self.store.notices_handed(&numbers, &id, now).await?;
        Event::NoticeHanded { id: &id, code: addressee.code(), notices: numbers.len() }.emit();
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

pub(crate) fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
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
