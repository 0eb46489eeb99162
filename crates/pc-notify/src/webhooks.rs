//! # Purpose
//! Carries notices to webhooks: one task for each receiver, which tries what is due and notes what was answered.
//!
//! # Trust
//! The receivers are the operator's choice, their names' records whoever writes the zone: `pc-fetch` connects to checked
//! addresses only. Answers are hostile; only their status and Retry-After are read.
//!
//! # Standards
//! Standard Webhooks 1.0, see `pc-notice`.
//!
//! # Invariants
//! A notice is told at least once and always with the same id: its try is noted after the answer. One receiver, however
//! slow, holds up no other and no mail. Within one, tries go one after the other.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pc_enforce::DEFAULT_TENANT;
use pc_fetch::{Answered, FetchError, Fetcher};
use pc_net::{Clock, Stop};
use pc_notice::{
    Addressee, Notice, Tried, TryEnd, WebhookSecrets, WebhookState, after_try, test_body, webhook_body,
    webhook_event, webhook_id,
};
use pc_store::{DisabledWebhook, Store, StoreError, WaitingWebhook, WebhookTry};
use pc_telemetry::Event;
use pc_types::{Domain, HttpsUrl, SignedDuration, Timestamp, sha256, time};
use tokio::sync::watch;

use crate::limits::{LOOK, RETRY, SECRET_FILE_OCTETS_MAX, WAITING_MAX, WEBHOOK_MESSAGE_DAYS};
use crate::notifier::earlier;

/// A `[[notify.webhook]]`.
pub struct WebhookSettings {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub url: HttpsUrl,
    /// Read at each try, so that a secret can be replaced at any time.
    pub secret_file: PathBuf,
    /// Of these types only; of all when empty.
    pub events: Vec<String>,
    /// Of servers of these tenants only; of everything when empty.
    pub tenants: Vec<String>,
    /// For each try.
    pub timeout: Duration,
    /// What connects to it.
    pub fetcher: Fetcher,
}

/// All webhooks of a node.
pub struct Webhooks {
    node_name: Domain,
    receivers: Vec<Arc<WebhookSettings>>,
    store: Store,
    clock: Clock,
    news: watch::Sender<u64>,
}

/// A webhook as listings show it.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct ListedWebhook {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// Notices that wait for it.
    pub waiting: u64,
    /// Since when it is sent nothing, because its receiver said that it is gone.
    pub disabled_at: Option<Timestamp>,
    /// What it said then.
    pub answer: Option<String>,
}

/// What came of trying a webhook by hand.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct WebhookTest {
    /// The id that the receiver saw.
    pub id: String,
    /// Where it went.
    pub url: String,
    /// Whether it was taken.
    pub taken: bool,
    /// What the receiver said, or why it said nothing.
    pub answer: String,
    /// What to do, unless it was taken.
    pub remedy: Option<&'static str>,
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error("{0}")]
    Fetch(#[from] FetchError),
    #[error("{0}")]
    Secret(String),
}

impl Webhooks {
    /// The webhooks of a configuration.
    pub fn new(node_name: Domain, receivers: Vec<WebhookSettings>, store: Store, clock: Clock) -> Self {
        let receivers = receivers.into_iter().map(Arc::new).collect();
        Self { node_name, receivers, store, clock, news: watch::Sender::new(0) }
    }

    /// Those that are told of `notice`, which is about a server of `tenant`.
    pub(crate) fn told(&self, notice: &Notice, tenant: Option<&str>) -> Vec<Addressee> {
        let tenant = tenant.unwrap_or(DEFAULT_TENANT);
        let told = self.receivers.iter().filter(|receiver| {
            let is_event = has(&receiver.events, webhook_event(notice));
            is_event && (receiver.tenants.is_empty() || has(&receiver.tenants, tenant))
        });
        told.map(|receiver| addressee(receiver)).collect()
    }

    /// Takes over what the operator is told of messages and of the catalogue, and wakes those that have something to send.
    /// Only webhooks of no tenant in particular hear of these, which belong to none.
    pub(crate) async fn gather(&self, now: Timestamp) -> Result<(), StoreError> {
        let operator = Addressee::Operator.to_string();
        let since = time::add_days(now, -WEBHOOK_MESSAGE_DAYS);
        let of_all = self.receivers.iter().filter(|receiver| receiver.tenants.is_empty());
        for receiver in of_all {
            let to = addressee(receiver).to_string();
            for (_, kind) in OF_NO_TENANT.iter().filter(|(event, _)| has(&receiver.events, event)) {
                self.store.copy_notices(&operator, &to, kind, since).await?;
            }
        }
        self.news.send_modify(|count| *count = count.wrapping_add(1));
        Ok(())
    }

    /// Sends what is due, each receiver in a task of its own, until `stop`.
    pub async fn run(self: Arc<Self>, stop: Stop) {
        let mut tasks = tokio::task::JoinSet::new();
        for receiver in &self.receivers {
            tasks.spawn(Arc::clone(&self).serve(Arc::clone(receiver), stop.clone()));
        }
        while tasks.join_next().await.is_some() {}
    }

    async fn serve(self: Arc<Self>, receiver: Arc<WebhookSettings>, mut stop: Stop) {
        let mut news = self.news.subscribe();
        let mut rest_until = None;
        while !stop.is_stopped() {
            let looked = tokio::select! {
                // What was under way is sent again after the restart, with the same id.
                () = stop.stopped() => return,
                looked = self.look(&receiver, &mut rest_until) => looked,
            };
            let next = match looked {
                Ok(next) => next.unwrap_or_else(|| self.later(LOOK)),
                Err(error) => {
                    Event::NoticeFailed { error: &error.to_string() }.emit();
                    self.later(RETRY)
                }
            };
            tokio::select! {
                () = stop.stopped() => return,
                Ok(()) = news.changed() => {}
                () = self.clock.wait_until(next) => {}
            }
        }
    }

    /// Tries what is due to a receiver; returns when something else is.
    async fn look(
        &self,
        receiver: &WebhookSettings,
        rest_until: &mut Option<Timestamp>,
    ) -> Result<Option<Timestamp>, StoreError> {
        let to = addressee(receiver).to_string();
        if let Some(disabled) = self.disabled(receiver).await? {
            let why = format!("not sent: the receiver answered {} at {}", disabled.answer, disabled.at);
            self.store.close_webhooks(&to, &why, self.clock.now()).await?;
            return Ok(None);
        }
        if let Some(rest) = rest_until.filter(|rest| self.clock.now() < *rest) {
            return Ok(Some(rest));
        }
        let waiting = self.store.waiting_webhooks(&to, WAITING_MAX).await?;
        let (mut next, mut tried_any) = (None, false);
        for webhook in &waiting {
            // One of a later version waits for that version.
            let Some(notice) = Notice::from_json(&webhook.facts) else { continue };
            if self.clock.now() < webhook.due_at {
                return Ok(earlier(next, Some(webhook.due_at)));
            }
            let tried = self.attempt(receiver, webhook, &notice).await?;
            if tried.state == WebhookState::Gone {
                return Ok(Some(self.clock.now()));
            }
            *rest_until = tried.rest_until;
            if let Some(rest) = tried.rest_until {
                return Ok(Some(rest));
            }
            next = earlier(next, tried.next_at);
            tried_any = true;
        }
        // Those of a later version would be looked at again and again.
        let has_more = tried_any && u32::try_from(waiting.len()).is_ok_and(|count| count >= WAITING_MAX);
        Ok(if has_more { Some(self.clock.now()) } else { next })
    }

    async fn attempt(
        &self,
        receiver: &WebhookSettings,
        webhook: &WaitingWebhook,
        notice: &Notice,
    ) -> Result<Tried, StoreError> {
        let id = webhook_id(&self.node_name, &addressee(receiver).to_string(), &webhook.key);
        let body = webhook_body(&self.node_name, notice, webhook.at);
        let end = match self.send(receiver, &id, body).await {
            Ok(Answered { status, retry_after }) => TryEnd::Answered { status, retry_after },
            Err(error) => TryEnd::Failed(error.to_string()),
        };
        let (now, tries) = (self.clock.now(), webhook.tries.saturating_add(1));
        let tried = after_try(&end, tries, jitter(&id, tries), now);
        let (state, answer) = (tried.state.as_str(), tried.answer.clone());
        if tried.state == WebhookState::Gone {
            let url = receiver.url.to_string();
            let disabled = DisabledWebhook { url, at: now, answer: answer.clone() };
            self.store.set_disabled_webhook(&receiver.name, Some(&disabled)).await?;
        }
        let noted =
            WebhookTry { tries, state: state.to_owned(), answer, tried_at: now, next_at: tried.next_at };
        self.store.webhook_tried(webhook.number, &id, &noted).await?;
        Event::WebhookTried { webhook: &receiver.name, id: &id, code: state, tries, answer: &tried.answer }
            .emit();
        Ok(tried)
    }

    async fn send(&self, receiver: &WebhookSettings, id: &str, body: String) -> Result<Answered, SendError> {
        let secrets = secrets(&receiver.secret_file).await.map_err(SendError::Secret)?;
        let timestamp = self.clock.now().as_second();
        let signature = secrets.signature(id, timestamp, &body);
        let fields = [
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", timestamp.to_string()),
            ("webhook-signature", signature),
        ];
        Ok(receiver.fetcher.post(&receiver.url, &fields, body.into_bytes(), receiver.timeout).await?)
    }

    /// One at another address than the one that said it is gone is asked anew.
    async fn disabled(&self, receiver: &WebhookSettings) -> Result<Option<DisabledWebhook>, StoreError> {
        let disabled = self.store.disabled_webhook(&receiver.name).await?;
        Ok(disabled.filter(|disabled| disabled.url == receiver.url.to_string()))
    }

    /// Tries a webhook by hand; `None` where there is none of this name. One that takes it is enabled again.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn test(&self, name: &str) -> Result<Option<WebhookTest>, StoreError> {
        let Some(receiver) = self.receivers.iter().find(|receiver| receiver.name == name) else {
            return Ok(None);
        };
        let now = self.clock.now();
        let id = webhook_id(&self.node_name, name, &format!("test {}", now.as_microsecond()));
        let sent = self.send(receiver, &id, test_body(&self.node_name, name, now)).await;
        let remedy = remedy(&sent);
        let end = match sent {
            Ok(Answered { status, .. }) => TryEnd::Answered { status, retry_after: None },
            Err(error) => TryEnd::Failed(error.to_string()),
        };
        let tried = after_try(&end, 1, 0, now);
        let taken = tried.state == WebhookState::Delivered;
        if taken && self.disabled(receiver).await?.is_some() {
            self.store.set_disabled_webhook(name, None).await?;
            self.news.send_modify(|count| *count = count.wrapping_add(1));
        }
        Ok(Some(WebhookTest { id, url: receiver.url.to_string(), taken, answer: tried.answer, remedy }))
    }

    /// All of them.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn listed(&self) -> Result<Vec<ListedWebhook>, StoreError> {
        let mut listed = Vec::new();
        for receiver in &self.receivers {
            let disabled = self.disabled(receiver).await?;
            listed.push(ListedWebhook {
                name: receiver.name.clone(),
                url: receiver.url.to_string(),
                waiting: self.store.waiting_count(&addressee(receiver).to_string()).await?,
                disabled_at: disabled.as_ref().map(|disabled| disabled.at),
                answer: disabled.map(|disabled| disabled.answer),
            });
        }
        Ok(listed)
    }

    fn later(&self, span: Duration) -> Timestamp {
        let span = SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
        self.clock.now().saturating_add(span).unwrap_or(Timestamp::MAX)
    }
}

/// What a file of secrets holds.
///
/// # Errors
/// It cannot be read, or it holds none; the text names the file and never a secret.
pub async fn secrets(path: &Path) -> Result<WebhookSecrets, String> {
    let named = |why: &dyn std::fmt::Display| format!("secret_file {}: {why}", path.display());
    let octets = tokio::fs::metadata(path).await.map_err(|error| named(&error))?.len();
    if octets > SECRET_FILE_OCTETS_MAX {
        return Err(named(&"is larger than 16 KiB"));
    }
    let text = tokio::fs::read_to_string(path).await.map_err(|error| named(&error))?;
    WebhookSecrets::parse(&text).map_err(|error| named(&error))
}

fn addressee(receiver: &WebhookSettings) -> Addressee {
    Addressee::Webhook(receiver.name.clone())
}

/// An empty list means all.
fn has(list: &[String], word: &str) -> bool {
    list.is_empty() || list.iter().any(|listed| listed == word)
}

/// Spreads webhooks that failed together, and is the same on each node that looks.
fn jitter(id: &str, tries: u32) -> u16 {
    let digest = sha256(format!("{id} {tries}").as_bytes());
    let [high, low, ..] = digest;
    u16::from_be_bytes([high, low]) % 1_001
}

fn remedy(sent: &Result<Answered, SendError>) -> Option<&'static str> {
    Some(match sent {
        Ok(Answered { status: 200..=299, .. }) => return None,
        Ok(Answered { status: 300..=399, .. }) => {
            "set url to the address behind the redirect, if that is right"
        }
        Ok(Answered { status: 400 | 401 | 403, .. }) => {
            "the receiver refuses the signature: give it a secret of secret_file, and check the clocks of both"
        }
        Ok(Answered { status: 404 | 405, .. }) => {
            "check the path in url: the receiver takes no webhooks there"
        }
        Ok(Answered { status: 410, .. }) => {
            "the receiver wants no more; once it does, this command enables the webhook again"
        }
        Ok(_) => "look into the receiver's own log",
        Err(SendError::Secret(_)) => "write a secret with: echo whsec_$(openssl rand -base64 32)",
        Err(SendError::Fetch(FetchError::Inside(..))) => {
            "if the receiver lies inside on purpose, name its network in allow_networks; else somebody points its name \
             at an address that is none of its own"
        }
        Err(SendError::Fetch(FetchError::Address(..))) => {
            "check the name in url, and [dns]: portcullis doctor"
        }
        Err(SendError::Fetch(FetchError::Tls(_))) => {
            "give the receiver a certificate for the name in url and TLS 1.2 with the suites of portcullis tls standard, \
             or name its issuer in ca_file"
        }
        Err(SendError::Fetch(_)) => {
            "check that the receiver listens there, answers within timeout_seconds, and that this node may connect to it"
        }
    })
}

/// Of notices about messages.
/// Types of webhooks with the kind of notice that they come from.
const OF_NO_TENANT: [(&str, &str); 4] = [
    ("catalogue.refused", "catalogue_refused"),
    ("catalogue.stale", "catalogue_stale"),
    ("message.set_aside", "message_aside"),
    ("node.remark", "node"),
];
