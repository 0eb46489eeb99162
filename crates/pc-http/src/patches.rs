//! # Purpose
//! Virtual patches: data that says what known attacks on Exchange look like, and what to do with a request that does.
//!
//! # Trust
//! The pack is signed; who reads it has checked that. A request is looked at in its normal form only.
//!
//! # Standards
//! The shapes are Microsoft's published mitigations and their bypasses, each rule with its CVE.
//!
//! # Invariants
//! No regular expressions: a rule is words that must stand in a place, all of them, in any or in a given order. A rule
//! that has expired does nothing. A pack is read as a whole or refused.

use pc_types::Date;
use serde::Deserialize;

use crate::limits::{CONDITIONS_MAX, NEEDLE_OCTETS_MAX, PATCHES_MAX};
use crate::path::NormalPath;

/// A pack of rules.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pack {
    /// Counts up; an older pack is not taken in place of a newer one.
    pub version: u32,
    /// Of its publication.
    pub published: String,
    /// Looked at in order; the first that hits and blocks ends it.
    #[serde(default)]
    pub rule: Vec<Rule>,
    /// Changes of responses.
    #[serde(default)]
    pub response: Vec<ResponseRule>,
}

/// A shape of requests.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Stable, for events and settings.
    pub id: String,
    /// What it shields against.
    pub cve: Vec<String>,
    /// In words, for the operator.
    pub summary: String,
    /// The last day on which it works, if it is not for ever.
    pub expires: Option<String>,
    /// What becomes of a hit.
    pub action: Action,
    /// All must hold.
    pub when: Vec<Condition>,
}

/// What becomes of a request that a rule hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The connection is closed without a byte.
    Abort,
    /// 403.
    Deny,
}

/// Words that stand in a place. Only one of the lists is given.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// Where to look.
    #[serde(rename = "in")]
    pub place: Place,
    /// All, anywhere.
    #[serde(default)]
    pub all: Vec<String>,
    /// At least one, anywhere.
    #[serde(default)]
    pub any: Vec<String>,
    /// All, each after the one before.
    #[serde(default)]
    pub in_order: Vec<String>,
    /// It begins with one.
    #[serde(default)]
    pub begins: Vec<String>,
    /// It is one.
    #[serde(default)]
    pub is: Vec<String>,
    /// It holds none.
    #[serde(default)]
    pub none: Vec<String>,
}

/// Part of a request, decoded and in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// All Cookie fields.
    Cookie,
    /// As it came.
    Method,
    /// In normal form.
    Path,
    /// The path in normal form, `?`, the query.
    PathAndQuery,
    /// Decoded.
    Query,
}

/// A change of responses to some requests.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResponseRule {
    /// Stable, for events and settings.
    pub id: String,
    /// What it shields against.
    pub cve: Vec<String>,
    /// In words, for the operator.
    pub summary: String,
    /// The last day on which it works.
    pub expires: Option<String>,
    /// Of the request; all must hold.
    pub when: Vec<Condition>,
    /// The response's Content-Type begins with this.
    pub content_type: String,
    /// Added to Content-Security-Policy.
    pub content_security_policy: String,
}

/// A request as rules see it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// As it came.
    pub method: &'a str,
    /// In normal form, with its query.
    pub path: &'a NormalPath,
    /// All Cookie fields, joined, in lower case.
    pub cookie: &'a str,
}

/// The pack is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("virtual patches: {0}")]
pub struct PackError(String);

impl Pack {
    /// Reads a pack.
    ///
    /// # Errors
    /// The first fault, in words.
    pub fn parse(text: &str) -> Result<Self, PackError> {
        let pack: Self = toml::from_str(text).map_err(|error| PackError(error.to_string()))?;
        if pack.rule.len() + pack.response.len() > PATCHES_MAX {
            return Err(PackError(format!("more than {PATCHES_MAX} rules")));
        }
        let rules = pack.rule.iter().map(|rule| (&rule.id, &rule.expires, &rule.when));
        let responses = pack.response.iter().map(|rule| (&rule.id, &rule.expires, &rule.when));
        let mut ids = std::collections::BTreeSet::new();
        for (id, expires, when) in rules.chain(responses) {
            let fault = |text: &str| Err(PackError(format!("rule {id}: {text}")));
            if !ids.insert(id) {
                return fault("the id is taken");
            }
            if expires.as_deref().is_some_and(|date| date.parse::<Date>().is_err()) {
                return fault("expires is no date");
            }
            if when.is_empty() || when.len() > CONDITIONS_MAX {
                return fault("needs 1 to 16 conditions");
            }
            if !when.iter().all(Condition::is_sound) {
                return fault("each condition needs one list of words, not empty and in lower case");
            }
        }
        Ok(pack)
    }

    /// The rules that a request hits on a day.
    pub fn hits<'a>(&'a self, seen: &'a Seen<'a>, today: Date) -> impl Iterator<Item = &'a Rule> {
        self.rule
            .iter()
            .filter(move |rule| works(rule.expires.as_deref(), today) && all_hold(&rule.when, seen))
    }

    /// The changes of the response to a request on a day.
    pub fn changes<'a>(&'a self, seen: &'a Seen<'a>, today: Date) -> impl Iterator<Item = &'a ResponseRule> {
        self.response
            .iter()
            .filter(move |rule| works(rule.expires.as_deref(), today) && all_hold(&rule.when, seen))
    }
}

impl ResponseRule {
    /// The Content-Security-Policy of a response, with this rule's directive; `None` where it does not concern it.
    pub fn content_security_policy(&self, content_type: &str, policy: Option<&str>) -> Option<String> {
        if !content_type.to_ascii_lowercase().starts_with(&self.content_type) {
            return None;
        }
        let directive = &self.content_security_policy;
        Some(
            match policy.map(|policy| policy.trim_end_matches([' ', ';'])).filter(|policy| !policy.is_empty())
            {
                Some(policy) if policy.contains(directive.as_str()) => policy.to_owned(),
                Some(policy) => format!("{policy}; {directive}"),
                None => directive.clone(),
            },
        )
    }
}

fn works(expires: Option<&str>, today: Date) -> bool {
    expires.is_none_or(|date| date.parse::<Date>().is_ok_and(|date| today <= date))
}

fn all_hold(when: &[Condition], seen: &Seen<'_>) -> bool {
    when.iter().all(|condition| match condition.place {
        Place::Cookie => condition.holds(seen.cookie),
        Place::Method => condition.holds(&seen.method.to_ascii_lowercase()),
        Place::Path => condition.holds(seen.path.as_str()),
        Place::PathAndQuery => condition.holds(&format!("{}?{}", seen.path.as_str(), seen.path.query())),
        Place::Query => condition.holds(seen.path.query()),
    })
}

impl Condition {
    fn lists(&self) -> [&Vec<String>; 6] {
        [&self.all, &self.any, &self.in_order, &self.begins, &self.is, &self.none]
    }

    fn is_sound(&self) -> bool {
        let given: Vec<_> = self.lists().into_iter().filter(|list| !list.is_empty()).collect();
        given.len() == 1
            && given.iter().flat_map(|list| list.iter()).all(|word| {
                !word.is_empty()
                    && word.len() <= NEEDLE_OCTETS_MAX
                    && !word.bytes().any(|octet| octet.is_ascii_uppercase())
            })
    }

    fn holds(&self, text: &str) -> bool {
        let in_order = || {
            let mut rest = text;
            self.in_order.iter().all(|word| match rest.split_once(word.as_str()) {
                Some((_, after)) => {
                    rest = after;
                    true
                }
                None => false,
            })
        };
        self.all.iter().all(|word| text.contains(word.as_str()))
            && (self.any.is_empty() || self.any.iter().any(|word| text.contains(word.as_str())))
            && in_order()
            && (self.begins.is_empty() || self.begins.iter().any(|word| text.starts_with(word.as_str())))
            && (self.is.is_empty() || self.is.iter().any(|word| text == word))
            && !self.none.iter().any(|word| text.contains(word.as_str()))
    }
}

#[cfg(test)]
mod tests;
