//! # Purpose
//! The client test page, as HTML and as JSON.
//!
//! # Trust
//! Everything on it comes from the asker, or from others at his address; all text is escaped here.
//!
//! # Standards
//! HTML without scripts, readable on a phone, on paper, and in light and dark.
//!
//! # Invariants
//! Nothing of the node's inside is shown: no listener, no address but the asker's, no version of ours.

use std::fmt::Write as _;

use pc_types::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::names::SuiteClass;
use crate::{Fit, Offer, Verdict, names, verdict};

/// Where the page is, on every site.
pub const PATH: &str = "/.well-known/portcullis/client";

/// The policy that the page is sent with (CSP): a style, and nothing else.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What the page tells.
#[derive(Clone, Debug)]
pub struct Page<'a> {
    /// When it was asked for.
    pub now: Timestamp,
    /// The asker's address.
    pub address: String,
    /// What the asking client offered.
    pub offer: &'a Offer,
    /// What came of it.
    pub negotiated: Negotiated,
    /// Clients at this address that were refused or came to the test port, newest first.
    pub others: &'a [Other],
    /// The name that the page was asked for by, and the ports that take any hello.
    pub test_ports: (&'a str, &'a [u16]),
}

/// How the connection that asks came up.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Negotiated {
    /// `TLSv1.3`
    pub version: String,
    /// The name of the suite.
    pub suite: String,
    /// The group of the key exchange.
    pub group: Option<String>,
    /// The application protocol.
    pub protocol: Option<String>,
    /// Whether keys were taken from an earlier connection.
    pub resumed: bool,
}

/// Another client at the asker's address.
#[derive(Clone, Debug)]
pub struct Other {
    /// When it came last.
    pub seen_at: Timestamp,
    /// How often it did.
    pub count: u64,
    /// The word it was refused under; `fits` for one that would have been let in.
    pub refusal: String,
    /// What it offered, where that could be read.
    pub offer: Option<Offer>,
}

/// The word for a client on the test port that would have been let in.
pub const FITS: &str = "fits";

impl Other {
    fn verdict(&self) -> Verdict {
        verdict(self.offer.as_ref(), (self.refusal != FITS).then_some(self.refusal.as_str()))
    }
}

impl Page<'_> {
    /// For programs.
    pub fn json(&self) -> Value {
        let others: Vec<Value> = self
            .others
            .iter()
            .map(|other| {
                json!({
                    "seen_at": other.seen_at,
                    "count": other.count,
                    "refusal": (other.refusal != FITS).then_some(&other.refusal),
                    "offered": other.offer.as_ref().map(offered),
                    "verdict": other.verdict(),
                })
            })
            .collect();
        json!({
            "now": self.now,
            "address": self.address,
            "verdict": verdict(Some(self.offer), None),
            "negotiated": self.negotiated,
            "offered": offered(self.offer),
            "others_at_this_address": others,
            "test_ports": self.test_ports.1,
        })
    }

    /// For people.
    pub fn html(&self) -> String {
        let verdict = verdict(Some(self.offer), None);
        let mut page = String::with_capacity(16 * 1024);
        let _ = write!(
            page,
            "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, \
             initial-scale=1\"><meta name=\"robots\" content=\"noindex\"><title>Your client's TLS</title><link rel=\"icon\" \
             href=\"data:,\"><style>{STYLE}</style></head><body><main><h1>Your client's TLS</h1>"
        );
        judged(&mut page, &verdict, "h2");
        self.connection(&mut page);
        suites(&mut page, self.offer);
        details(&mut page, self.offer);
        self.others_at_address(&mut page);
        self.test_port(&mut page);
        let _ = write!(
            page,
            "<footer>Times are UTC. The same as data: ask for this page with <code>Accept: application/json</code>.</footer>\
             </main></body></html>"
        );
        page
    }

    fn connection(&self, page: &mut String) {
        page.push_str("<h2>This connection</h2><dl>");
        let negotiated = &self.negotiated;
        let none = || "none".to_owned();
        for (name, value) in [
            ("Version", negotiated.version.clone()),
            ("Suite", negotiated.suite.clone()),
            ("Key exchange", negotiated.group.clone().unwrap_or_else(none)),
            ("Protocol (ALPN)", negotiated.protocol.clone().unwrap_or_else(none)),
            (
                "Keys",
                if negotiated.resumed { "from an earlier connection" } else { "agreed anew" }.to_owned(),
            ),
            ("Name asked for (SNI)", self.offer.server_name.clone().unwrap_or_else(none)),
            ("Your address", self.address.clone()),
            ("Fingerprint (JA4)", self.offer.ja4.clone()),
        ] {
            fact(page, name, &value);
        }
        page.push_str("</dl>");
    }

    fn others_at_address(&self, page: &mut String) {
        if self.others.is_empty() {
            return;
        }
        let _ = write!(
            page,
            "<h2>Others at your address, last hour</h2><p>From {} these came to the test port or were refused. Behind a shared \
             address they may be other people's.</p>",
            escaped(&self.address)
        );
        for other in self.others {
            let times =
                if other.count == 1 { String::new() } else { format!(", {} times in all", other.count) };
            let _ = write!(page, "<section><h3>{}{times}</h3>", minute_of(other.seen_at));
            judged(page, &other.verdict(), "p");
            if let Some(offer) = &other.offer {
                page.push_str("<dl>");
                fact(page, "Offers at most", &names::version(offer.newest_version()));
                fact(page, "Name asked for (SNI)", offer.server_name.as_deref().unwrap_or("none"));
                fact(page, "Fingerprint (JA4)", &offer.ja4);
                fact(page, "Suites", &listed(&offer.suites, names::suite));
                page.push_str("</dl>");
            }
            page.push_str("</section>");
        }
    }

    fn test_port(&self, page: &mut String) {
        let (name, ports) = self.test_ports;
        let Some(port) = ports.first() else { return };
        let _ = write!(
            page,
            "<h2>A client that cannot open this page</h2><p>Let it connect to <code>https://{}:{port}/</code>. That port takes any hello, \
             writes it down, and closes; the client will show an error. Then load this page again from the same address.</p>",
            escaped(name)
        );
    }
}

fn judged(page: &mut String, verdict: &Verdict, heading: &str) {
    let class = match verdict.fit {
        Fit::Good => "good",
        Fit::Dated => "dated",
        Fit::Refused | Fit::Unknown => "bad",
    };
    let _ = write!(
        page,
        "<div class=\"verdict {class}\"><{heading} class=\"summary\">{}</{heading}>",
        escaped(&verdict.summary)
    );
    for reason in &verdict.reasons {
        let _ = write!(page, "<p>{}</p>", escaped(reason));
    }
    if !verdict.remedy.is_empty() {
        let _ = write!(page, "<p><strong>What to do:</strong> {}</p>", escaped(&verdict.remedy));
    }
    if let Some(guess) = verdict.guess {
        let _ = write!(
            page,
            "<p><small>A guess, by the order of its offers: {}. Source: {}.</small></p>",
            escaped(guess.name),
            escaped(guess.source)
        );
    }
    for remark in &verdict.remarks {
        let _ = write!(page, "<p><small>{}</small></p>", escaped(remark));
    }
    page.push_str("</div>");
}

fn suites(page: &mut String, offer: &Offer) {
    let fitting = offer.standard_suites().len();
    let _ = write!(
        page,
        "<h2>Suites it offers</h2><p>In its order. {fitting} of the {} that are spoken here are among them.</p><table><thead><tr>\
         <th scope=\"col\">Code</th><th scope=\"col\">Suite</th><th scope=\"col\">Is</th></tr></thead><tbody>",
        crate::STANDARD_SUITES.len()
    );
    for suite in &offer.suites {
        let class = SuiteClass::of(*suite);
        let _ = write!(
            page,
            "<tr class=\"{}\"><td><code>{suite:04x}</code></td><td>{}</td><td>{}</td></tr>",
            class.code(),
            names::suite(*suite),
            class.words()
        );
    }
    page.push_str("</tbody></table>");
}

fn details(page: &mut String, offer: &Offer) {
    page.push_str("<h2>What else it offers</h2><dl>");
    let yes = |truth: bool| if truth { "yes" } else { "no" };
    let protocols = if offer.protocols.is_empty() { "none".to_owned() } else { offer.protocols.join(", ") };
    for (name, value) in [
        ("Versions", listed(&offer.offered_versions(), names::version)),
        ("Groups", listed(&offer.groups, names::group)),
        ("Key shares", listed(&offer.key_shares, names::group)),
        ("Signature algorithms", listed(&offer.signature_algorithms, names::signature_algorithm)),
        ("Protocols (ALPN)", protocols),
        ("Extensions", listed(&offer.extensions, names::extension)),
        ("GREASE (RFC 8701)", yes(offer.has_grease()).to_owned()),
        ("Compression", yes(offer.compression).to_owned()),
    ] {
        fact(page, name, &value);
    }
    page.push_str("</dl>");
}

fn fact(page: &mut String, name: &str, value: &str) {
    let _ = write!(page, "<dt>{name}</dt><dd>{}</dd>", escaped(value));
}

fn listed(codes: &[u16], name: impl Fn(u16) -> String) -> String {
    let names: Vec<String> = codes.iter().map(|code| name(*code)).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// An offer with names beside the numbers.
pub fn offered(offer: &Offer) -> Value {
    let named = |codes: &[u16], name: &dyn Fn(u16) -> String| -> Vec<Value> {
        codes.iter().map(|code| json!({ "code": format!("{code:04x}"), "name": name(*code) })).collect()
    };
    let suites: Vec<Value> = offer
        .suites
        .iter()
        .map(|code| {
            json!({ "code": format!("{code:04x}"), "name": names::suite(*code), "class": SuiteClass::of(*code).code() })
        })
        .collect();
    json!({
        "versions": named(&offer.offered_versions(), &names::version),
        "suites": suites,
        "groups": named(&offer.groups, &names::group),
        "key_shares": named(&offer.key_shares, &names::group),
        "signature_algorithms": named(&offer.signature_algorithms, &names::signature_algorithm),
        "protocols": offer.protocols,
        "extensions": named(&offer.extensions, &names::extension),
        "server_name": offer.server_name,
        "ja4": offer.ja4,
        "grease": offer.has_grease(),
        "compression": offer.compression,
        "ssl_v2_format": offer.record_version == crate::SSL_V2,
    })
}

/// Text for HTML, attribute values included.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// `2026-11-23 16:25`
fn minute_of(at: Timestamp) -> String {
    at.to_string().chars().take(16).map(|character| if character == 'T' { ' ' } else { character }).collect()
}

/// Whether JSON is wanted rather than HTML, from the values of Accept (RFC 9110 12.5.1). Without a preference it is HTML.
pub fn wants_json<'a>(accept: impl Iterator<Item = &'a str>) -> bool {
    let (mut html, mut json) = (0, 0);
    for range in accept.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default().to_ascii_lowercase();
        let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let thousandths = quality.map_or(1000, thousandths);
        match media.as_str() {
            "text/html" | "application/xhtml+xml" => html = html.max(thousandths),
            "application/json" => json = json.max(thousandths),
            _ => {}
        }
    }
    json > html
}

/// A quality value, `0.5`, in thousandths; what is none counts as not acceptable.
fn thousandths(text: &str) -> u32 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    match (whole, digits.parse::<u32>()) {
        ("0", Ok(digits)) => digits,
        ("1", Ok(0)) => 1000,
        _ => 0,
    }
}

const STYLE: &str = include_str!("page.css");
