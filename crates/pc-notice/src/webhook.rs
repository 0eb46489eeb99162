//! # Purpose
//! What is told to machines: the body of a webhook, its id and its signature.
//!
//! # Trust
//! The receiver is chosen by the operator, and knows by the signature that it was us. Facts hold peer data; JSON's own
//! escaping keeps it apart.
//!
//! # Standards
//! Standard Webhooks 1.0: `webhook-id`, `webhook-timestamp`, `webhook-signature` with symmetric secrets (`v1`). Not here:
//! `v1a` (Ed25519).
//!
//! # Invariants
//! The same notice gives the same id and the same octets at every try. No secret is ever printed.

use std::fmt;

use pc_types::{Domain, Timestamp, base64, from_base64, hex, hmac_sha256, sha256};
use serde_json::{Map, Value, json};

use crate::limits::{SECRET_OCTETS, SECRETS_MAX};
use crate::notice::{Acts, Lack, Notice, ServerFacts};

/// What the type of a webhook can be, but for [`TEST_EVENT`].
pub const WEBHOOK_EVENTS: &[&str] = &[
    "catalogue.refused",
    "catalogue.stale",
    "message.set_aside",
    "node.remark",
    "server.floor_ahead",
    "server.owing",
    "server.released",
    "server.stage_ahead",
    "server.stage_begun",
];

/// The type of one that an operator sends to try a receiver.
pub const TEST_EVENT: &str = "webhook.test";

/// The type of a notice.
pub fn webhook_event(notice: &Notice) -> &'static str {
    match notice {
        Notice::CatalogueRefused { .. } => "catalogue.refused",
        Notice::CatalogueStale { .. } => "catalogue.stale",
        Notice::FloorAhead { .. } => "server.floor_ahead",
        Notice::MessageAside { .. } => "message.set_aside",
        Notice::Node { .. } => "node.remark",
        Notice::ServerOwing { .. } => "server.owing",
        Notice::ServerReleased { .. } => "server.released",
        Notice::StageAhead { .. } => "server.stage_ahead",
        Notice::StageBegun { .. } => "server.stage_begun",
    }
}

/// Names a webhook at its receiver: the same at every try, and after a crash.
pub fn webhook_id(node_name: &Domain, addressee: &str, key: &str) -> String {
    let digest = sha256(format!("{node_name}|{addressee}|{key}").as_bytes());
    let mut digits = hex(&digest);
    digits.truncate(ID_DIGITS);
    format!("msg_{digits}")
}

/// The body of a notice that was made at `at`.
pub fn webhook_body(node_name: &Domain, notice: &Notice, at: Timestamp) -> String {
    let (mut data, more) = match notice {
        Notice::CatalogueRefused { source, code, error, at } => {
            let refused = json!({ "source": source, "code": code, "error": error, "refused_at": at });
            (Map::new(), vec![("catalogue", refused)])
        }
        Notice::CatalogueStale { as_of, days, at: _ } => {
            (Map::new(), vec![("catalogue", json!({ "as_of": as_of, "days": days }))])
        }
        Notice::MessageAside { id, target, reverse_path, reason, at } => {
            let message = json!({
                "id": id, "target": target, "reverse_path": reverse_path, "reason": reason, "set_aside_at": at,
            });
            (Map::new(), vec![("message", message)])
        }
        Notice::Node { topic, title, text, at: _ } => {
            (Map::new(), vec![("remark", json!({ "topic": topic, "title": title, "text": text }))])
        }
        Notice::FloorAhead { server, floor, version, at, lack } => {
            let floor = json!({ "name": floor, "version": version, "effective_at": at });
            (server_data(server), vec![("floor", floor), ("lack", lack_data(lack))])
        }
        Notice::ServerReleased { server, at } => (server_data(server), vec![("released_at", json!(at))]),
        Notice::StageAhead { server, stage } => (server_data(server), vec![("next_stage", json!(stage))]),
        Notice::ServerOwing { server } | Notice::StageBegun { server } => (server_data(server), Vec::new()),
    };
    data.insert("node".to_owned(), json!(node_name.as_str()));
    data.extend(more.into_iter().map(|(name, value)| (name.to_owned(), value)));
    json!({ "type": webhook_event(notice), "timestamp": at, "data": data }).to_string()
}

/// The body that tries a receiver.
pub fn test_body(node_name: &Domain, webhook: &str, now: Timestamp) -> String {
    let data = json!({ "node": node_name.as_str(), "webhook": webhook });
    json!({ "type": TEST_EVENT, "timestamp": now, "data": data }).to_string()
}

fn server_data(server: &ServerFacts) -> Map<String, Value> {
    let data = json!({
        "server": {
            "id": server.id, "address": server.address, "greeting_name": server.greeting_name,
            "tenant": server.tenant, "product": server.product, "build": server.build, "update": server.update,
        },
        "evidence": { "header": server.header, "shown_at": server.shown_at },
        "floor": server.floor.as_ref().map(|floor| json!({ "name": floor.name, "version": floor.version, "effective": floor.effective })),
        "lack": server.lack.as_ref().map(lack_data),
        "enforcement": match server.acts { Acts::Enforce => "enforce", Acts::Report => "report" },
        "stage": server.stage,
        "stages": server.stages,
        "ahead": server.ahead,
        "paused_until": server.paused_until,
        "exempt_until": server.exempt_until,
    });
    match data {
        Value::Object(data) => data,
        _ => Map::new(),
    }
}

fn lack_data(lack: &Lack) -> Value {
    json!({ "code": lack.code, "updates": knowledge_base_articles(&lack.install), "text": lack.text, "install": lack.install })
}

/// `KB` with the digits behind it, wherever a text names one; each once.
fn knowledge_base_articles(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for rest in text.split("KB").skip(1) {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let article = format!("KB{digits}");
        if !digits.is_empty() && !found.contains(&article) {
            found.push(article);
        }
    }
    found
}

/// The secrets that a receiver and we share; several while one takes the place of another.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecrets(Vec<Vec<u8>>);

/// Why a text holds no secrets. It never says them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookSecretError {
    /// Nothing but blank lines and remarks.
    #[error("holds no secret; write one a line, as whsec_ and 24 to 64 octets in base64")]
    Empty,
    /// Not `whsec_` and base64, or too short or long.
    #[error("line {0} is no secret: whsec_ and 24 to 64 octets in base64 (Standard Webhooks 1.0)")]
    Line(usize),
    /// More than are of use.
    #[error("holds more than 4 secrets; remove those that no receiver uses any more")]
    TooMany,
}

impl WebhookSecrets {
    /// Reads one secret a line; lines that begin with `#` are remarks.
    ///
    /// # Errors
    /// See [`WebhookSecretError`].
    pub fn parse(text: &str) -> Result<Self, WebhookSecretError> {
        let mut secrets = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let secret = line.strip_prefix("whsec_").and_then(from_base64);
            let secret = secret.filter(|secret| SECRET_OCTETS.contains(&secret.len()));
            secrets.push(secret.ok_or(WebhookSecretError::Line(index + 1))?);
        }
        match secrets.len() {
            0 => Err(WebhookSecretError::Empty),
            1..=SECRETS_MAX => Ok(Self(secrets)),
            _ => Err(WebhookSecretError::TooMany),
        }
    }

    /// The field `webhook-signature`: a code for each secret, in the order of the file.
    pub fn signature(&self, id: &str, timestamp: i64, body: &str) -> String {
        let seconds = timestamp.to_string();
        let codes = self.0.iter().map(|secret| {
            let parts = [id.as_bytes(), b".", seconds.as_bytes(), b".", body.as_bytes()];
            format!("v1,{}", base64(&hmac_sha256(secret, &parts)))
        });
        codes.collect::<Vec<_>>().join(" ")
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Debug for WebhookSecrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "WebhookSecrets({} hidden)", self.0.len())
    }
}

/// 128 bits: no two of any number of notices share an id.
const ID_DIGITS: usize = 32;

#[cfg(test)]
mod tests;
