//! # Purpose
//! Takes what owners attest of their servers, and shows it beside what mail shows.
//!
//! # Trust
//! By the web anybody offers; who cannot prove a tenant's key learns nothing, not even which tenants there are. By the socket the
//! operator offers, and is told why a key cannot be read.
//!
//! # Invariants
//! Of a server's record nothing changes but since when it is contradicted: neither standing nor stage looks at that.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::http::StatusCode;
use maud::{Markup, html};
use pc_enforce::limits::{ATTESTATION_BY_HAND_HOURS, ATTESTATION_SKEW_MINUTES};
use pc_enforce::{AttestationKey, AttestationRefusal, Claim, Comparison, Held, ServerRecord, compare};
use pc_net::{Clock, Stop};
use pc_store::{
    AttestationBook, AttestationError, LadderEventRow, ServerBook, StoreError, StoredAttestation, Writer,
};
use pc_telemetry::{Attesting, Event};
use pc_types::{Build, SignedDuration, Timestamp, base64, time};
use serde::Serialize;
use serde_json::{Value, json};

use crate::Judge;
use crate::api::{Context, Problem, audit};
use crate::limits::KEY_FILE_OCTETS_MAX;
use crate::limits::TOKEN_OCTETS;
use crate::login::{PasswordError, random};
use crate::page::minute_of;
use crate::view::ServerView;

/// How often attestations are held against the mail that came meanwhile.
const LOOK: Duration = Duration::from_secs(60);

/// Takes attestations and holds them against what mail shows.
pub struct Attestor {
    /// Of each tenant that has one.
    pub key_files: BTreeMap<String, PathBuf>,
    /// What was taken.
    pub book: Arc<AttestationBook>,
    /// The ladder's records.
    pub servers: Arc<ServerBook>,
    /// For history.
    pub writer: Writer,
    /// Names the update of a build.
    pub judge: Judge,
    /// Where `now` comes from.
    pub clock: Clock,
}

/// How an attestation comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The operator has it in a file.
    ByHand,
    /// Posted from this address.
    Web(IpAddr),
}

/// Why it is not taken.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// The key of its tenant cannot be read.
    #[error("attestation_key_file {0}")]
    Key(String),
    /// The rules say no.
    #[error(transparent)]
    Refused(#[from] AttestationRefusal),
    /// It could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl TakeError {
    fn code(&self) -> &'static str {
        match self {
            Self::Key(_) => "key_unreadable",
            Self::Refused(refusal) => refusal.code(),
            Self::Store(_) => "store",
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Key(_) | Self::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Refused(refusal) => match refusal {
                AttestationRefusal::NoRoom => StatusCode::TOO_MANY_REQUESTS,
                AttestationRefusal::Replayed => StatusCode::CONFLICT,
                AttestationRefusal::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                AttestationRefusal::Unproven => StatusCode::UNAUTHORIZED,
                AttestationRefusal::BadField(_)
                | AttestationRefusal::BadJson
                | AttestationRefusal::Future { .. }
                | AttestationRefusal::Stale { .. } => StatusCode::BAD_REQUEST,
            },
        }
    }
}

impl From<AttestationError> for TakeError {
    fn from(error: AttestationError) -> Self {
        match error {
            AttestationError::Refused(refusal) => Self::Refused(refusal),
            AttestationError::Store(error) => Self::Store(error),
        }
    }
}

impl From<TakeError> for Problem {
    fn from(error: TakeError) -> Self {
        match error {
            TakeError::Store(error) => error.into(),
            error => Self::new(error.status(), error.code(), format!("{error}.")),
        }
    }
}

/// A fresh key as a line for a key file.
pub fn new_attestation_key() -> Result<String, PasswordError> {
    Ok(base64(&random::<TOKEN_OCTETS>()?))
}

/// Reads the key of a tenant.
///
/// # Errors
/// The file cannot be read, or holds no key; with the remedy.
pub async fn attestation_key(path: &Path) -> Result<AttestationKey, String> {
    let named = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let octets = tokio::fs::metadata(path).await.map_err(|error| named(&error))?.len();
    if octets > KEY_FILE_OCTETS_MAX {
        return Err(named(&"is larger than 4 KiB; write one line of `portcullis attest key` into it"));
    }
    let text = tokio::fs::read_to_string(path).await.map_err(|error| named(&error))?;
    AttestationKey::parse(&text).map_err(|error| named(&error))
}

impl Attestor {
    /// Takes one in, or says why not.
    ///
    /// # Errors
    /// See [`TakeError`].
    pub async fn take(&self, body: &[u8], way: Way) -> Result<StoredAttestation, TakeError> {
        let mut named = (String::new(), String::new());
        let taken = self.proven(body, way, &mut named).await;
        let (code, detail) = match &taken {
            Ok(taken) => ("taken", taken.attestation.build.to_string()),
            Err(error) => (error.code(), error.to_string()),
        };
        let address = match way {
            Way::ByHand => None,
            Way::Web(address) => Some(address),
        };
        let (tenant, host) = (named.0.as_str(), named.1.as_str());
        Event::AttestationOffered(Attesting { address, tenant, host, code, detail: &detail }).emit();
        if taken.is_ok() {
            self.look();
        }
        taken
    }

    async fn proven(
        &self,
        body: &[u8],
        way: Way,
        named: &mut (String, String),
    ) -> Result<StoredAttestation, TakeError> {
        let claim = Claim::parse(body)?;
        *named = (claim.tenant().to_owned(), claim.host().to_string());
        let key = match self.key_files.get(claim.tenant()) {
            Some(path) => Some(attestation_key(path).await.map_err(TakeError::Key)?),
            None => {
                // Some other key is read and forgotten: the time of the answer tells nobody which tenants there are.
                if let Some(path) = self.key_files.values().next() {
                    let _ = attestation_key(path).await;
                }
                None
            }
        };
        let attestation = claim.prove(key.as_ref())?;
        let now = self.clock.now();
        let (address, age_max) = match way {
            Way::ByHand => (None, SignedDuration::from_hours(ATTESTATION_BY_HAND_HOURS)),
            Way::Web(address) => (Some(address), SignedDuration::from_mins(ATTESTATION_SKEW_MINUTES)),
        };
        let stored = StoredAttestation { attestation, received_at: now, address };
        let admit = |last: Option<&_>| stored.attestation.admit(last, now, age_max);
        self.book.take(stored.clone(), admit).await?;
        Ok(stored)
    }

    /// The same for the web: status and JSON, without a word about what is the operator's.
    pub async fn answer(&self, body: &[u8], address: IpAddr) -> (u16, String) {
        let (status, answer) = match self.take(body, Way::Web(address)).await {
            Ok(taken) => (StatusCode::OK, view_of(&taken)),
            Err(TakeError::Store(_)) => {
                let text = "It could not be written down; try again later.";
                (StatusCode::SERVICE_UNAVAILABLE, json!({ "error": "failed", "message": text }))
            }
            Err(error) => {
                let refused = match error {
                    // To whoever asks, a tenant without a readable key has none.
                    TakeError::Key(_) => TakeError::Refused(AttestationRefusal::Unproven),
                    error => error,
                };
                (refused.status(), json!({ "error": refused.code(), "message": format!("{refused}.") }))
            }
        };
        (status.as_u16(), format!("{answer}\n"))
    }

    /// Every server that an attestation is about.
    pub(crate) fn comparisons(&self) -> Vec<Comparison> {
        self.compared().1
    }

    fn compared(&self) -> (Vec<ServerRecord>, Vec<Comparison>) {
        let attested: Vec<_> = self.book.all().into_iter().map(|stored| stored.attestation).collect();
        if attested.is_empty() {
            return Default::default();
        }
        let tenants: BTreeSet<&str> = attested.iter().map(|one| one.tenant.as_str()).collect();
        let records = self.servers.select(|record| {
            record.attestation_contradicted_since.is_some()
                || record.tenant.as_deref().is_some_and(|tenant| tenants.contains(tenant))
        });
        let today = time::date_of(self.clock.now());
        let update = |build: Build| {
            let judged = (self.judge)(&build.to_string(), today);
            judged.get("update").and_then(Value::as_str).map(str::to_owned)
        };
        let comparisons = compare(&records, &attested, update);
        (records, comparisons)
    }

    /// Notes of each server whether a contradiction began or ended.
    pub fn look(&self) {
        let now = self.clock.now();
        let (records, comparisons) = self.compared();
        let contradicted = comparisons.into_iter().filter(|one| one.held == Held::Contradicts);
        let contradicted: HashMap<_, _> = contradicted.map(|one| (one.server, one.text)).collect();
        for record in records {
            let text = contradicted.get(&record.id);
            if text.is_some() != record.attestation_contradicted_since.is_some() {
                self.note(&record, text, now);
            }
        }
    }

    fn note(&self, record: &ServerRecord, text: Option<&String>, now: Timestamp) {
        let has_changed = self.servers.change(&record.id, |record| match record {
            Some(record) if record.attestation_contradicted_since.is_some() != text.is_some() => {
                let attestation_contradicted_since = text.map(|_| now);
                (Some(ServerRecord { attestation_contradicted_since, ..record }), true)
            }
            record => (record, false),
        });
        if !has_changed {
            return;
        }
        let (code, detail) = match text {
            Some(text) => ("attestation_contradicted", text.as_str()),
            None => {
                ("attestation_settled", "what is attested and what mail shows contradict each other no more")
            }
        };
        Event::LadderChanged { server: record.id.as_str(), code, detail }.emit();
        let (server_id, code, detail) = (record.id.clone(), code.to_owned(), detail.to_owned());
        self.writer.ladder_event(LadderEventRow { server_id, at: now, code, detail });
    }

    /// Looks again and again until `stop`.
    pub async fn watch(self: Arc<Self>, mut stop: Stop) {
        loop {
            tokio::select! {
                () = stop.stopped() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            let looking = Arc::clone(&self);
            // A panic there costs this look only.
            let _ = tokio::task::spawn_blocking(move || looking.look()).await;
        }
    }

    /// Puts what is attested beside what mail shows.
    pub(crate) fn attach(&self, views: &mut [ServerView]) {
        let mut comparisons: HashMap<String, Comparison> =
            self.comparisons().into_iter().map(|one| (one.server.to_string(), one)).collect();
        for view in views {
            view.attestation = comparisons.remove(&view.id).map(AttestationView::from);
        }
    }
}

/// What the owner of a server attests of it.
#[derive(Clone, Debug, Serialize)]
pub struct AttestationView {
    /// The server's own name for itself.
    pub host: String,
    /// The file version of its setup program.
    pub build: String,
    /// When that was read.
    pub at: Timestamp,
    /// Why it is about this server: `received_line`, `greeting` or `domain`.
    pub fit: &'static str,
    /// `agrees`, `contradicts` or `nothing_shown`.
    pub state: &'static str,
    /// One sentence with what to do.
    pub text: String,
}

impl From<Comparison> for AttestationView {
    fn from(one: Comparison) -> Self {
        Self {
            host: one.attested.host.to_string(),
            build: one.attested.build.to_string(),
            at: one.attested.at,
            fit: one.fit.as_str(),
            state: one.held.as_str(),
            text: one.text,
        }
    }
}

/// As a section of the server's page.
pub(crate) fn section(view: &ServerView) -> Markup {
    html! {
        @if let Some(attested) = &view.attestation {
            h2 { "Attested by its owner" }
            p { (attested.host) " has " (attested.build) ", read there at " (minute_of(attested.at)) " UTC. The attestation " (attested.text) }
            @if let Some(since) = view.attestation_contradicted_since { p { "This stands since " (minute_of(since)) " UTC." } }
            p { small { "An owner's word about his own server is evidence to look at: it releases nothing and holds nothing against anybody." } }
        }
    }
}

fn view_of(stored: &StoredAttestation) -> Value {
    let one = &stored.attestation;
    json!({
        "tenant": one.tenant, "host": one.host, "build": one.build, "at": one.at,
        "received_at": stored.received_at, "address": stored.address,
    })
}

pub(crate) async fn list(context: Context) -> Result<Json<Value>, Problem> {
    let attestor = Arc::clone(&context.admin.attestor);
    let rows = crate::api::aside(move || {
        let comparisons = attestor.comparisons();
        attestor.book.all().iter().map(|stored| row(stored, &comparisons)).collect()
    });
    Ok(Json(rows.await?))
}

fn row(stored: &StoredAttestation, comparisons: &[Comparison]) -> Value {
    let about = comparisons.iter().filter(|one| one.attested == stored.attestation);
    let servers: Vec<Value> = about
        .map(|one| json!({ "id": one.server, "fit": one.fit.as_str(), "state": one.held.as_str(), "text": one.text }))
        .collect();
    let state =
        |word: &str| servers.iter().any(|server| server.get("state").is_some_and(|state| state == word));
    // A contradiction at one server is what has to be looked at.
    let word = ["contradicts", "agrees", "nothing_shown"].into_iter().find(|word| state(word));
    let mut value = view_of(stored);
    if let Some(object) = value.as_object_mut() {
        object.insert("state".to_owned(), json!(word.unwrap_or("fits no known server")));
        object.insert("servers".to_owned(), json!(servers));
    }
    value
}

pub(crate) async fn add(context: Context, body: Bytes) -> Result<Json<Value>, Problem> {
    let permit = context.access.permit()?;
    let taken = context.admin.attestor.take(&body, Way::ByHand).await?;
    let one = &taken.attestation;
    let why = format!("tenant {}, build {}, read at {}", one.tenant, one.build, one.at);
    audit(&context, &permit, "attest", one.host.as_str(), &why).await;
    Ok(Json(row(&taken, &context.admin.attestor.comparisons())))
}
