//! From a parsed request to what becomes of it. All decisions are `pc_http`'s; here its questions are put.

use std::sync::Arc;

use hyper::header::{AUTHORIZATION, CONNECTION, COOKIE, EXPECT, HOST, HeaderMap};
use hyper::http::request::Parts;
use pc_config::PatchMode;
use pc_http::Version;
use pc_http::fields::named_by_connection;
use pc_http::framing::Violation;
use pc_http::host::{HostClaim, HostDecision, ServedNames, decide as decide_host};
use pc_http::http2::{Head, check, needs_http1};
use pc_http::mta_sts;
use pc_http::patches::{Action, Seen};
use pc_http::path::NormalPath;
use pc_http::policy::{Directory, PathDecision, decide as decide_path};
use pc_telemetry::Event;
use pc_types::{Date, time};

use crate::access::{Client, Record};
use crate::answer::Answer;
use crate::attestation;
use crate::edge::{Edge, Rules, SiteRules};
use crate::response::Change;
use crate::tally::TallyKind;

/// What becomes of a request.
pub(crate) enum Verdict {
    /// Close without an octet.
    Abort(&'static str),
    /// We answer ourselves.
    Answer(Answer),
    /// A policy of MTA-STS.
    Policy(Arc<str>),
    /// What somebody attests.
    Attestation,
    /// The client test page, by the name it is asked for.
    ClientPage(String),
    /// The client has to ask again in HTTP/1.1, with the reason for the log.
    NeedsHttp1(&'static str),
    /// It goes to Exchange.
    Forward(Box<Forward>),
}

/// A request that was let through.
pub(crate) struct Forward {
    /// By number.
    pub(crate) site: usize,
    /// The name it was asked for by.
    pub(crate) name: String,
    pub(crate) directory: Directory,
    /// Fields that end here because Connection names them.
    pub(crate) named: Vec<String>,
    /// Changes of its response.
    pub(crate) changes: Vec<Change>,
    /// The client waits for 100 before its body.
    pub(crate) expects_continue: bool,
}

/// `port` is the one that the client reached; `is_whole`: no body follows.
pub(crate) fn screen(
    edge: &Edge,
    rules: &Rules,
    (client, port): (&Client, u16),
    (parts, is_whole): (&Parts, bool),
    record: &mut Record,
) -> Verdict {
    let version = version_of(parts.version);
    if version == Version::Http2
        && let Err(violation) = check_http2(parts, is_whole)
    {
        return Verdict::Answer(Answer::closing(violation.status(), violation.code()));
    }
    let (site, name) = match host(edge, (client, port), version, parts) {
        Ok(found) => found,
        Err(verdict) => return verdict,
    };
    if let Some(found) = edge.sites.get(site) {
        record.site = found.name.clone();
    }
    if let Some(policy) = edge.policy(site) {
        return match (parts.uri.path(), parts.method.as_str()) {
            (mta_sts::PATH, "GET" | "HEAD") => Verdict::Policy(policy),
            (mta_sts::PATH, _) => Verdict::Answer(Answer::new(405, "method")),
            _ => Verdict::Answer(Answer::new(404, "path_closed")),
        };
    }
    let named = match named_by_connection(values(&parts.headers, &CONNECTION)) {
        Ok(named) => named,
        Err(fault) => return Verdict::Answer(Answer::closing(400, fault.code())),
    };
    let expects_continue = match values(&parts.headers, &EXPECT).collect::<Vec<_>>().as_slice() {
        [] => false,
        [value] if value.eq_ignore_ascii_case(b"100-continue") => version != Version::Http10,
        // RFC 9110 10.1.1.
        _ => return Verdict::Answer(Answer::closing(417, "expectation")),
    };
    let raw = parts.uri.path();
    let path = match NormalPath::new(raw, parts.uri.query()) {
        Ok(path) => path,
        Err(fault) => return Verdict::Answer(Answer::closing(400, fault.code())),
    };
    let Some(site_rules) = rules.sites.get(site) else { return Verdict::Abort("no_rules") };
    let cookie = cookies(&parts.headers);
    let seen = Seen { method: parts.method.as_str(), path: &path, cookie: &cookie };
    let today = time::date_of(edge.clock.now());
    if let Some(verdict) = patches(edge, (rules, site_rules), &seen, (client, record), today) {
        return verdict;
    }
    if path.as_str() == pc_hello::page::PATH && raw == pc_hello::page::PATH {
        return match parts.method.as_str() {
            "GET" | "HEAD" => Verdict::ClientPage(name),
            _ => Verdict::Answer(Answer::new(405, "method")),
        };
    }
    if path.as_str() == attestation::PATH && raw == attestation::PATH && edge.attestations.is_some() {
        return match parts.method.as_str() {
            "POST" => Verdict::Attestation,
            _ => Verdict::Answer(Answer::new(405, "method")),
        };
    }
    match decide_path(&site_rules.policy, &path, raw, parts.method.as_str(), client.address) {
        PathDecision::Closed(code) => Verdict::Answer(Answer::new(404, code)),
        PathDecision::MethodNotAllowed => Verdict::Answer(Answer::new(405, "method")),
        PathDecision::ToOwa => Verdict::Answer(Answer::redirect(302, "to_owa", "/owa/".to_owned())),
        PathDecision::Forward(directory) => {
            record.directory = directory.as_str();
            if version == Version::Http2
                && let Some(code) = needs_http1(directory, values(&parts.headers, &AUTHORIZATION))
            {
                return Verdict::NeedsHttp1(code);
            }
            let changes = changes(rules, site_rules, &seen, today);
            Verdict::Forward(Box::new(Forward { site, name, directory, named, changes, expects_continue }))
        }
    }
}

/// What the guard checks on the octets of HTTP/1.
fn check_http2(parts: &Parts, is_whole: bool) -> Result<(), Violation> {
    let fields: Vec<(&str, &[u8])> =
        parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    check(&Head {
        method: parts.method.as_str(),
        scheme: parts.uri.scheme_str(),
        target: parts.uri.path_and_query().map_or("", |target| target.as_str()),
        fields: &fields,
        is_whole,
    })
}

/// The site that a request is for, by number, and the name it is asked for by.
pub(crate) fn host(
    edge: &Edge,
    (client, port): (&Client, u16),
    version: Version,
    parts: &Parts,
) -> Result<(usize, String), Verdict> {
    host_among(&edge.served, (client, port), version, parts)
}

/// The same among other names.
pub(crate) fn host_among(
    served: &ServedNames,
    (client, port): (&Client, u16),
    version: Version,
    parts: &Parts,
) -> Result<(usize, String), Verdict> {
    let fields: Vec<&[u8]> = values(&parts.headers, &HOST).collect();
    let claim = HostClaim {
        version,
        fields: &fields,
        authority: parts.uri.authority().map(hyper::http::uri::Authority::as_str),
        server_name: client.server_name.as_deref(),
        port,
    };
    match decide_host(&claim, served) {
        HostDecision::Abort(fault) => Err(Verdict::Abort(fault.code())),
        HostDecision::BadRequest(fault) => Err(Verdict::Answer(Answer::closing(400, fault.code()))),
        HostDecision::Misdirected => Err(Verdict::Answer(Answer::closing(421, "host_misdirected"))),
        HostDecision::Site(site, name) => Ok((site, name)),
    }
}

pub(crate) fn version_of(version: hyper::Version) -> Version {
    match version {
        hyper::Version::HTTP_2 => Version::Http2,
        hyper::Version::HTTP_11 => Version::Http11,
        _ => Version::Http10,
    }
}

/// Reports every hit; the first that blocks decides.
fn patches(
    edge: &Edge,
    (rules, site): (&Rules, &SiteRules),
    seen: &Seen<'_>,
    (client, record): (&Client, &Record),
    today: Date,
) -> Option<Verdict> {
    let wishes = rules.wishes(site);
    let mut verdict = None;
    for rule in rules.pack.hits(seen) {
        let mode = wishes.mode(&rule.listed(), today);
        let (kind, action) = match (mode, rule.action) {
            (PatchMode::Off, _) => continue,
            (PatchMode::Report, _) => (TallyKind::RuleReported, "report"),
            (PatchMode::Block, Action::Abort) => (TallyKind::RuleActed, "abort"),
            (PatchMode::Block, Action::Deny) => (TallyKind::RuleActed, "deny"),
        };
        edge.count(client, &record.site, kind, &rule.id);
        Event::WebPatchHit {
            site: &record.site,
            rule: &rule.id,
            action,
            address: client.address,
            method: record.method(),
            path: record.path(),
        }
        .emit();
        if mode == PatchMode::Block && verdict.is_none() {
            verdict = Some(match rule.action {
                Action::Abort => Verdict::Abort("patch"),
                Action::Deny => Verdict::Answer(Answer::closing(403, "patch")),
            });
        }
    }
    verdict
}

/// What is to be changed in the response, or would be.
fn changes(rules: &Rules, site: &SiteRules, seen: &Seen<'_>, today: Date) -> Vec<Change> {
    let wishes = rules.wishes(site);
    let changes = rules.pack.changes(seen).filter_map(|rule| {
        let mode = wishes.mode(&rule.listed(), today);
        (mode != PatchMode::Off).then(|| Change { rule: rule.clone(), mode })
    });
    changes.collect()
}

fn values<'a>(
    headers: &'a HeaderMap,
    name: &hyper::header::HeaderName,
) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    headers.get_all(name).into_iter().map(hyper::header::HeaderValue::as_bytes)
}

/// All Cookie fields as one, in lower case.
fn cookies(headers: &HeaderMap) -> String {
    let cookies: Vec<String> =
        values(headers, &COOKIE).map(|value| String::from_utf8_lossy(value).to_lowercase()).collect();
    cookies.join("; ")
}
