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
//! that has expired reports what it would have blocked; no date turns one off. A pack is read as a whole or refused.

use std::collections::{BTreeMap, BTreeSet};

use pc_config::PatchMode;
use pc_types::Date;
use serde::Deserialize;

use crate::limits::{
    CONDITIONS_MAX, CVES_MAX, NEEDLE_OCTETS_MAX, NEEDLES_MAX, PACK_OCTETS_MAX, PATCHES_MAX,
    RULE_ID_OCTETS_MAX, RULE_TEXT_OCTETS_MAX,
};
use crate::path::NormalPath;

/// A pack of rules.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pack {
    /// Counts up; an older pack is not taken in place of a newer one.
    pub version: u32,
    /// The day of its publication.
    pub published: String,
    /// The last day on which it may be taken into use. One that is in use stays, and that it is over is told.
    pub expires: Option<String>,
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
    pub title: String,
    /// The last day on which it blocks, if it is not for ever.
    pub expires: Option<String>,
    /// What it does where no setting says anything else.
    #[serde(default)]
    pub mode: RuleMode,
    /// What becomes of a hit.
    pub action: Action,
    /// All must hold.
    pub when: Vec<Condition>,
}

/// What a rule is published to do. Whether it runs at all is the operator's word alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleMode {
    /// What it hits is refused or changed.
    #[default]
    Block,
    /// What it hits is told.
    Report,
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
    pub title: String,
    /// The last day on which it changes anything.
    pub expires: Option<String>,
    /// What it does where no setting says anything else.
    #[serde(default)]
    pub mode: RuleMode,
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

/// A rule of either kind, as it is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of Rule and ResponseRule")]
pub struct Listed<'a> {
    pub id: &'a str,
    pub cve: &'a [String],
    pub title: &'a str,
    pub expires: Option<Date>,
    pub mode: RuleMode,
}

/// What the operator says of rules on a site.
#[derive(Clone, Copy, Debug)]
pub struct Wishes<'a> {
    /// Of all rules.
    pub all: PatchMode,
    /// Ids of those that only report, on any site.
    pub report_only: &'a [String],
    /// Of single rules on this site, by id. They outweigh everything else.
    pub rules: &'a BTreeMap<String, PatchMode>,
}

impl Wishes<'_> {
    /// What a rule does on a day.
    pub fn mode(&self, rule: &Listed<'_>, today: Date) -> PatchMode {
        if let Some(mode) = self.rules.get(rule.id) {
            return *mode;
        }
        let only_reports = rule.mode == RuleMode::Report
            || rule.is_expired(today)
            || self.report_only.iter().any(|id| id == rule.id);
        match self.all {
            PatchMode::Block if only_reports => PatchMode::Report,
            mode => mode,
        }
    }
}

impl Listed<'_> {
    /// Whether its last day is over.
    pub fn is_expired(&self, today: Date) -> bool {
        self.expires.is_some_and(|last| last < today)
    }
}

impl Rule {
    /// As it is listed.
    pub fn listed(&self) -> Listed<'_> {
        let Self { id, cve, title, expires, mode, .. } = self;
        Listed { id, cve, title, expires: date(expires.as_deref()), mode: *mode }
    }
}

impl Pack {
    /// Reads a pack.
    ///
    /// # Errors
    /// The first fault, in words.
    pub fn parse(text: &str) -> Result<Self, PackError> {
        let fault = |text: String| Err(PackError(text));
        if text.len() > PACK_OCTETS_MAX {
            return fault(format!("more than {PACK_OCTETS_MAX} octets"));
        }
        let pack: Self = toml::from_str(text).map_err(|error| PackError(error.to_string()))?;
        if pack.published().is_none() {
            return fault("published is no date".to_owned());
        }
        if pack.expires.is_some() && pack.expires().is_none() {
            return fault("expires is no date".to_owned());
        }
        if pack.rule.len() + pack.response.len() > PATCHES_MAX {
            return fault(format!("more than {PATCHES_MAX} rules"));
        }
        let rules = pack.rule.iter().map(|rule| (rule.listed(), &rule.expires, &rule.when));
        let responses = pack.response.iter().map(|rule| (rule.listed(), &rule.expires, &rule.when));
        let mut ids = BTreeSet::new();
        for (rule, expires, when) in rules.chain(responses) {
            if let Some(text) = fault_of(&rule, expires.as_deref(), when) {
                return fault(format!("rule {:?}: {text}", rule.id.chars().take(64).collect::<String>()));
            }
            if !ids.insert(rule.id) {
                return fault(format!("rule {}: the id is taken", rule.id));
            }
        }
        if let Some(rule) = pack.response.iter().find(|rule| !rule.is_sound()) {
            return fault(format!(
                "rule {}: content_type and content_security_policy need 1 to {RULE_TEXT_OCTETS_MAX} printable ASCII characters",
                rule.id
            ));
        }
        Ok(pack)
    }

    /// The day of its publication.
    pub fn published(&self) -> Option<Date> {
        date(Some(&self.published))
    }

    /// The last day on which it may be taken into use.
    pub fn expires(&self) -> Option<Date> {
        date(self.expires.as_deref())
    }

    /// All rules, those of requests first.
    pub fn listed(&self) -> impl Iterator<Item = Listed<'_>> {
        self.rule.iter().map(Rule::listed).chain(self.response.iter().map(ResponseRule::listed))
    }

    /// The rules that a request hits, whatever they do then.
    pub fn hits<'a>(&'a self, seen: &'a Seen<'a>) -> impl Iterator<Item = &'a Rule> {
        self.rule.iter().filter(move |rule| all_hold(&rule.when, seen))
    }

    /// The changes of the response to a request, whether they are made or not.
    pub fn changes<'a>(&'a self, seen: &'a Seen<'a>) -> impl Iterator<Item = &'a ResponseRule> {
        self.response.iter().filter(move |rule| all_hold(&rule.when, seen))
    }
}

impl ResponseRule {
    /// As it is listed.
    pub fn listed(&self) -> Listed<'_> {
        let Self { id, cve, title, expires, mode, .. } = self;
        Listed { id, cve, title, expires: date(expires.as_deref()), mode: *mode }
    }

    /// Whether it is about responses of this type.
    pub fn concerns(&self, content_type: &str) -> bool {
        content_type.to_ascii_lowercase().starts_with(&self.content_type)
    }

    fn is_sound(&self) -> bool {
        [&self.content_type, &self.content_security_policy].into_iter().all(|text| {
            (1..=RULE_TEXT_OCTETS_MAX).contains(&text.len())
                && text.bytes().all(|octet| matches!(octet, b' '..=b'~'))
        })
    }

    /// The Content-Security-Policy of a response, with this rule's directive; `None` where it does not concern it.
    pub fn content_security_policy(&self, content_type: &str, policy: Option<&str>) -> Option<String> {
        if !self.concerns(content_type) {
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

fn date(text: Option<&str>) -> Option<Date> {
    text?.parse().ok()
}

/// What is wrong with a rule of either kind.
fn fault_of(rule: &Listed<'_>, expires: Option<&str>, when: &[Condition]) -> Option<String> {
    let is_id = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-';
    if !(1..=RULE_ID_OCTETS_MAX).contains(&rule.id.len()) || !rule.id.bytes().all(is_id) {
        return Some(format!("the id needs 1 to {RULE_ID_OCTETS_MAX} of a to z, 0 to 9 and -"));
    }
    if rule.cve.len() > CVES_MAX || !rule.cve.iter().all(|cve| is_cve(cve)) {
        return Some(format!("cve needs at most {CVES_MAX} numbers such as CVE-2022-41040"));
    }
    if !(1..=RULE_TEXT_OCTETS_MAX).contains(&rule.title.len()) || rule.title.chars().any(char::is_control) {
        return Some(format!("the title needs 1 to {RULE_TEXT_OCTETS_MAX} octets without line ends"));
    }
    if expires.is_some() && rule.expires.is_none() {
        return Some("expires is no date".to_owned());
    }
    if when.is_empty() || when.len() > CONDITIONS_MAX {
        return Some(format!("needs 1 to {CONDITIONS_MAX} conditions"));
    }
    (!when.iter().all(Condition::is_sound)).then(|| {
        format!(
            "each condition needs one list of 1 to {NEEDLES_MAX} words, not empty, in lower case, of at most \
             {NEEDLE_OCTETS_MAX} octets"
        )
    })
}

fn is_cve(text: &str) -> bool {
    let digits = |text: &str, count: std::ops::RangeInclusive<usize>| {
        count.contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_digit())
    };
    let parts = text.strip_prefix("CVE-").and_then(|rest| rest.split_once('-'));
    parts.is_some_and(|(year, number)| digits(year, 4..=4) && digits(number, 4..=12))
}

fn all_hold(when: &[Condition], seen: &Seen<'_>) -> bool {
    when.iter().all(|condition| match condition.place {
        Place::Cookie => condition.holds(seen.cookie),
        Place::Method => condition.holds(&seen.method.to_ascii_lowercase()),
        Place::Path => condition.holds(seen.path.as_str()),
        Place::PathAndQuery => condition.holds(seen.path.with_query()),
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
            && given.iter().all(|list| list.len() <= NEEDLES_MAX)
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
