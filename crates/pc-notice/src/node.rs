//! What the operator is told of the node itself: certificates that end, a standard that is not met, a week of refusals.

use std::collections::BTreeMap;

use pc_types::{Date, Domain, Escaped, Timestamp, time};

use crate::ladder::Keyed;
use crate::limits::{CERTIFICATE_DAYS, WEEK_LINES_MAX};
use crate::notice::{NodeTopic, Notice};

/// A certificate in service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Tells it from its successor.
    pub sha256: String,
    /// Where it lies.
    pub file: String,
    /// What it is for.
    pub names: Vec<String>,
    /// When it, or an issuer of its chain, ends.
    pub not_after: Timestamp,
    /// Whether the node obtains it by itself.
    pub by_acme: bool,
}

/// What is to be told of a certificate's end: at each of [`CERTIFICATE_DAYS`] once, the nearest one only after a pause.
pub fn certificate_notice(facts: &CertificateFacts, now: Timestamp) -> Option<Keyed> {
    let left = time::days_between(time::date_of(now), time::date_of(facts.not_after));
    let mark = CERTIFICATE_DAYS.into_iter().filter(|mark| left <= *mark).min()?;
    let names = facts.names.join(", ");
    let (names, file) = (Escaped::new(&names), Escaped::new(&facts.file));
    let title = if facts.not_after <= now {
        format!("the certificate for {names} has ended")
    } else {
        match left {
            ..=0 => format!("the certificate for {names} ends today"),
            1 => format!("the certificate for {names} ends in 1 day"),
            left => format!("the certificate for {names} ends in {left} days"),
        }
    };
    let remedy = if facts.by_acme {
        "its renewal by ACME is late; `portcullis tls acme` says why. It is tried again by itself."
    } else {
        "have it renewed and put the new files in its place; they are taken within a minute, or at SIGHUP."
    };
    let text = format!(
        "The certificate for {names} in {file}\nends at {:.0}. From then on clients and senders refuse it.\n\nWhat to do: {remedy}\nExchange \
         behind an [[https.listener]] needs the very same certificate.\n",
        facts.not_after
    );
    let key = format!("certificate {} {mark}", facts.sha256);
    Some(Keyed { key, notice: Notice::Node { topic: NodeTopic::Certificate, title, text, at: now } })
}

/// What is to be told of a certificate that its responder says is revoked: once for each revocation.
pub fn revoked_notice(facts: &CertificateFacts, since: Timestamp, reason: &str, now: Timestamp) -> Keyed {
    let names = facts.names.join(", ");
    let (names, file) = (Escaped::new(&names), Escaped::new(&facts.file));
    let remedy = if facts.by_acme {
        "find out why. To have the node ask for another one, remove certificate.pem in the folder acme of its data, and \
                  start it anew."
    } else {
        "find out why, have another one issued with a new key, and put the files in its place; they are taken within a \
                  minute, or at SIGHUP."
    };
    let title = format!("the certificate for {names} is revoked");
    let text = format!(
        "The certificate for {names} in {file}\nwas revoked at {since:.0} ({reason}), says the OCSP responder of its authority. It goes \
         on to be shown, without an OCSP response;\nclients and senders that ask for themselves refuse it.\n\nWhat to do: {remedy}\n"
    );
    let key = format!("revoked {} {since:.0}", facts.sha256);
    Keyed { key, notice: Notice::Node { topic: NodeTopic::Certificate, title, text, at: now } }
}

/// What is to be told when a check of our own listeners failed; `failed` are its items in words. Told once for the same certificates
/// and items.
pub fn standard_notice(certificates: &str, grade: &str, failed: &[String], now: Timestamp) -> Option<Keyed> {
    if failed.is_empty() {
        return None;
    }
    let list: String = failed.iter().map(|item| format!("    {}\n", Escaped::new(item))).collect();
    let title = format!("TLS is not what SSL Labs' practices ask for (grade {grade})");
    let text = format!(
        "The listeners of this node were checked against the practices of SSL Labs. Grade {grade}; failed:\n\n{list}\nWhat to do: \
         `portcullis doctor` says it again after a change; most of it lies in the certificates of [tls].\n"
    );
    let key = format!("standard {certificates} {}", failed.join("; "));
    Some(Keyed { key, notice: Notice::Node { topic: NodeTopic::Standard, title, text, at: now } })
}

/// A week of the web edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebWeek {
    /// Its first day.
    pub first: Date,
    /// Its last day.
    pub last: Date,
    /// By name of the site; the empty one is for what named none.
    pub sites: BTreeMap<String, SiteWeek>,
}

/// The same of one site, each by its word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SiteWeek {
    /// Connections that TLS refused or would have refused, by why.
    pub tls: BTreeMap<String, u64>,
    /// The same by what the client may be.
    pub products: BTreeMap<String, u64>,
    /// Requests that were refused, by why.
    pub refused: BTreeMap<String, u64>,
    /// Virtual patches that acted.
    pub acted: BTreeMap<String, u64>,
    /// Virtual patches that only report.
    pub reported: BTreeMap<String, u64>,
}

/// The summary of a week; nothing where nothing happened.
pub fn web_week_notice(week: &WebWeek, now: Timestamp) -> Option<Keyed> {
    let sites: Vec<(&String, &SiteWeek)> =
        week.sites.iter().filter(|(_, site)| **site != SiteWeek::default()).collect();
    if sites.is_empty() {
        return None;
    }
    let WebWeek { first, last, .. } = week;
    let mut text = format!("What the HTTPS edge refused from {first} to {last}, or would have refused.\n");
    for (name, site) in sites {
        let name = if name.is_empty() { "mail and other names" } else { name };
        text.push_str(&format!("\n{}\n", Escaped::new(name)));
        for (words, counts) in [
            ("connections that TLS refused, or would have at a test port", &site.tls),
            ("  by what these clients may be (a guess)", &site.products),
            ("requests refused", &site.refused),
            ("hits of virtual patches that blocked or changed something", &site.acted),
            ("hits of virtual patches that only report", &site.reported),
        ] {
            text.push_str(&counted(words, counts));
        }
    }
    text.push_str(
        "\nMore: portcullis tls clients --summary, portcullis rules list, or the page /tls. Clients that would be refused are counted where \
         an [[https.client_test]] takes them.\n",
    );
    let title = format!("refused by the HTTPS edge, {first} to {last}");
    let key = format!("web_week {first}");
    Some(Keyed { key, notice: Notice::Node { topic: NodeTopic::WebWeek, title, text, at: now } })
}

fn counted(words: &str, counts: &BTreeMap<String, u64>) -> String {
    let total: u64 = counts.values().sum();
    if total == 0 {
        return String::new();
    }
    let mut sorted: Vec<(&String, &u64)> = counts.iter().collect();
    sorted.sort_by_key(|(word, count)| (std::cmp::Reverse(**count), *word));
    let lines = sorted.iter().take(WEEK_LINES_MAX);
    let mut text = format!("    {total} {words}\n");
    text.extend(lines.map(|(word, count)| format!("        {count:>8}  {}\n", Escaped::new(word))));
    if sorted.len() > WEEK_LINES_MAX {
        text.push_str(&format!("        and {} more kinds\n", sorted.len() - WEEK_LINES_MAX));
    }
    text
}

/// Subject and text of the mail that tells the operator of all that waits about the node.
pub fn node_digest(node_name: &Domain, notices: &[&Notice]) -> (String, String) {
    let parts: Vec<(&str, &str)> = notices
        .iter()
        .filter_map(|notice| match notice {
            Notice::Node { title, text, .. } => Some((title.as_str(), text.as_str())),
            _ => None,
        })
        .collect();
    match parts.as_slice() {
        [(title, text)] => (format!("{node_name}: {title}"), (*text).to_owned()),
        _ => {
            let texts: Vec<&str> = parts.iter().map(|(_, text)| *text).collect();
            (format!("{node_name}: {} matters of the node", parts.len()), texts.join("\n----\n\n"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> CertificateFacts {
        CertificateFacts {
            sha256: "ab".to_owned(),
            file: "/etc/tls/chain.pem".to_owned(),
            names: vec!["mail.example.org".to_owned()],
            not_after: "2026-12-31T12:00:00Z".parse().unwrap(),
            by_acme: false,
        }
    }

    #[test]
    fn a_certificate_is_told_of_at_each_mark_once_and_the_nearest_after_a_pause() {
        let facts = facts();
        let key = |now: &str| certificate_notice(&facts, now.parse().unwrap()).map(|keyed| keyed.key);
        let mark = |days: i64| Some(format!("certificate ab {days}"));
        for (now, due) in [
            ("2026-11-30T23:59:00Z", None),
            ("2026-12-01T00:00:00Z", mark(30)),
            ("2026-12-16T23:00:00Z", mark(30)),
            ("2026-12-17T00:00:00Z", mark(14)),
            ("2026-12-24T00:00:00Z", mark(7)),
            ("2026-12-30T00:00:00Z", mark(1)),
            ("2027-02-01T00:00:00Z", mark(1)),
        ] {
            assert_eq!(key(now), due, "{now}");
        }
    }

    #[test]
    fn a_revocation_is_told_once_with_what_to_do() {
        let facts = facts();
        let since = "2026-11-01T12:00:00Z".parse().unwrap();
        let at = |now: &str| revoked_notice(&facts, since, "keyCompromise", now.parse().unwrap());
        let (first, again) = (at("2026-11-02T00:00:00Z"), at("2026-11-09T00:00:00Z"));
        assert_eq!((first.key.as_str(), &first.key), ("revoked ab 2026-11-01T12:00:00Z", &again.key));
        let (subject, text) = node_digest(&"edge.example.org".parse().unwrap(), &[&first.notice]);
        assert_eq!(subject, "edge.example.org: the certificate for mail.example.org is revoked");
        assert!(text.contains("(keyCompromise)") && text.contains("with a new key"), "{text}");
    }

    #[test]
    fn a_week_without_a_refusal_is_not_told_of_and_the_most_frequent_comes_first() {
        let mut week = WebWeek {
            first: "2026-11-16".parse().unwrap(),
            last: "2026-11-22".parse().unwrap(),
            sites: BTreeMap::from([("exchange".to_owned(), SiteWeek::default())]),
        };
        let now: Timestamp = "2026-11-23T00:00:00Z".parse().unwrap();
        assert_eq!(web_week_notice(&week, now), None);
        let site = week.sites.get_mut("exchange").unwrap();
        site.tls = BTreeMap::from([("old_version".to_owned(), 3), ("ssl_v2".to_owned(), 9)]);
        site.reported = BTreeMap::from([("proxyshell".to_owned(), 2)]);
        let keyed = web_week_notice(&week, now).unwrap();
        assert_eq!(keyed.key, "web_week 2026-11-16");
        let (subject, text) = node_digest(&"edge.example.org".parse().unwrap(), &[&keyed.notice]);
        assert_eq!(subject, "edge.example.org: refused by the HTTPS edge, 2026-11-16 to 2026-11-22");
        let at = |words: &str| text.find(words).unwrap_or_else(|| panic!("{words}: {text}"));
        assert!(
            at("12 connections that TLS refused") < at("9  ssl_v2") && at("ssl_v2") < at("3  old_version")
        );
        assert!(
            text.contains("2 hits of virtual patches that only report") && !text.contains("requests refused")
        );
        assert_eq!(Notice::from_json(&keyed.notice.to_json()), Some(keyed.notice));
    }
}
