use std::borrow::Cow;
use std::net::IpAddr;

use pc_types::{ServerId, Timestamp};
use serde::{Deserialize, Serialize};

/// One transaction, from MAIL to its end, or a session that greeted and ended without one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TraceRow {
    /// Names the transaction everywhere.
    pub id: String,
    /// When MAIL came, or when the session without one ended.
    pub at: Timestamp,
    /// When the connection was opened.
    pub connected_at: Timestamp,
    /// Where it was taken.
    pub listener: String,
    /// Whose rules applied.
    pub connector: String,
    /// The connecting address.
    pub address: IpAddr,
    /// The greeting name as written.
    pub greeting: String,
    /// The sending server.
    pub server_id: ServerId,
    /// Version and suite.
    pub tls: Option<String>,
    /// Empty for the null path; the domain in lower case.
    pub reverse_path: String,
    /// The recipients and what they were answered.
    pub recipients: Vec<RecipientRow>,
    /// From the header.
    pub message_id: Option<String>,
    /// Of the message as it came.
    pub octets: u64,
    /// What the evidence showed.
    pub verdict: Option<String>,
    /// What the ladder said.
    pub enforcement: String,
    /// `taken`, `deferred`, `refused`, `abandoned`, or `no_mail` for a session without MAIL; for a message that
    /// was spooled `waiting`, then `taken`, `undelivered`, `aside` or `removed`.
    pub outcome: String,
    /// The last reply.
    pub reply: String,
    /// Where it went.
    pub upstream: Option<String>,
    /// What it answered to the message.
    pub upstream_reply: Option<String>,
    /// From MAIL to the last reply, in milliseconds.
    pub elapsed_ms: u64,
    /// What happened in order; listings leave it empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepRow>,
    /// What happened to it after that, if it was spooled; listings leave it empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deliveries: Vec<DeliveryRow>,
}

/// Something that happened to a spooled message.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeliveryRow {
    /// The transaction that brought the message.
    #[serde(skip)]
    pub trace_id: String,
    /// When it happened.
    pub at: Timestamp,
    /// Stable word: `queued`, `delivered`, `deferred`, `refused`, `unreachable`, `failed`, `reported`,
    /// `report`, `held`, `released`, `aside`, `removed`, `ended`.
    pub code: Cow<'static, str>,
    /// What was said, in words.
    pub detail: String,
    /// The [`TraceRow::outcome`] from then on, if it changes.
    #[serde(skip)]
    pub outcome: Option<Cow<'static, str>>,
}

/// Something that happened in a transaction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRow {
    /// Stable word, such as `mail`.
    pub step: Cow<'static, str>,
    /// Since the connection was opened.
    pub at_ms: u64,
    /// What was said, in words.
    pub text: String,
}

/// One recipient of a transaction.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RecipientRow {
    /// As written, but the domain in lower case.
    pub forward_path: String,
    /// What RCPT was answered.
    pub reply: String,
}

/// What a server's lines showed, kept when it differs from the time before.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SightingRow {
    /// The server.
    pub server_id: ServerId,
    /// When.
    pub at: Timestamp,
    /// In which transaction.
    pub trace_id: String,
    /// The judge's verdict.
    pub verdict: String,
    /// The build, if one was read.
    pub build: Option<String>,
    /// The line, escaped.
    pub header: Option<String>,
    /// Why.
    pub reason: String,
}

/// Something that happened to a server in the ladder.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LadderEventRow {
    /// The server.
    pub server_id: ServerId,
    /// When.
    pub at: Timestamp,
    /// Stable word.
    pub code: String,
    /// One sentence.
    pub detail: String,
}

/// What somebody is to be told.
#[derive(Clone, Debug, PartialEq)]
pub struct NoticeRow {
    /// Since when.
    pub at: Timestamp,
    /// Who.
    pub addressee: String,
    /// The message or server that it is about.
    pub subject: String,
    /// What makes it the same as another one.
    pub key: String,
    /// JSON.
    pub facts: String,
    /// When it is told again.
    pub repetition: Repetition,
}

/// When a notice is not written because there is one already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repetition {
    /// Its addressee has one with its key.
    EachKey,
    /// That, or there is one about its subject.
    EachSubject,
}

/// A change somebody made.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AuditRow {
    /// When.
    pub at: Timestamp,
    /// Who: `command line`, or the name of who is signed in.
    pub actor: String,
    /// What: `exempt`, `unexempt`, `forget`.
    pub action: String,
    /// Whom.
    pub subject: String,
    /// Why.
    pub reason: String,
}
