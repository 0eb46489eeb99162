//! # Purpose
//! Whether the CAA records of a name let the authority of its certificate issue it.
//!
//! # Trust
//! Whoever publishes the zone chose the records; they are shown and decide nothing but the finding.
//!
//! # Standards
//! RFC 8659 3 (which records count), 4.2 and 4.3 (issue, issuewild), 4.4 (iodef), 4.5 (critical flag); RFC 8657 (parameters). Of the
//! issuer's name nothing follows but a guess at the authority, and what it guesses wrong about is "not tested" or worse, and never a pass.
//!
//! # Invariants
//! No answer of the DNS is not the answer that there is no record.

use pc_types::dns::CaaRecord;

use crate::Finding;

/// What is to be said, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaaVerdict {
    /// No pass without knowing the authority.
    pub finding: Finding,
    /// In words, with the records and the line to publish where one is missing.
    pub detail: String,
}

/// Names of which CAA is asked, in turn, until one has records: the name itself, then each parent (RFC 8659 3).
pub fn climb(name: &str) -> Vec<&str> {
    let name = name.strip_prefix("*.").unwrap_or(name);
    let mut names = Vec::new();
    let mut rest = Some(name);
    while let Some(name) = rest.filter(|name| !name.is_empty() && names.len() < CLIMB_MAX) {
        names.push(name);
        rest = name.split_once('.').map(|(_, parent)| parent);
    }
    names
}

/// Questions for one name. Certificates are for names of some three to six labels; RFC 1035 allows 127.
pub const CLIMB_MAX: usize = 10;

/// Of a record, in a text.
const SHOWN_OCTETS_MAX: usize = 100;
/// Records that are shown.
const SHOWN_MAX: usize = 10;

/// Organisations that sign, as they call themselves in their certificates, and the domains that they take in CAA, from section 4.2 of
/// their certification practice statements. An authority that is missing here is not known.
const AUTHORITIES: [(&[&str], &[&str]); 14] = [
    (&["Actalis S.p.A.", "Actalis S.p.A./03358520967"], &["actalis.it"]),
    (&["Amazon"], &["amazon.com", "amazontrust.com", "awstrust.com", "amazonaws.com"]),
    (&["Buypass AS-983163327", "Buypass AS"], &["buypass.com", "buypass.no"]),
    (&["D-Trust GmbH"], &["d-trust.net", "dtrust.de", "d-trust.de"]),
    (
        &["DigiCert Inc", "DigiCert, Inc."],
        &["digicert.com", "www.digicert.com", "digicert.ne.jp", "geotrust.com", "rapidssl.com", "thawte.com"],
    ),
    (&["Entrust, Inc.", "Entrust Limited"], &["entrust.net", "affirmtrust.com"]),
    (&["GlobalSign nv-sa"], &["globalsign.com"]),
    (&["GoDaddy.com, Inc.", "Starfield Technologies, Inc."], &["godaddy.com", "starfieldtech.com"]),
    (&["Google Trust Services", "Google Trust Services LLC"], &["pki.goog"]),
    (&["Hellenic Academic and Research Institutions CA"], &["harica.gr"]),
    (&["Let's Encrypt"], &["letsencrypt.org"]),
    (&["Microsoft Corporation"], &["microsoft.com"]),
    (
        &["Sectigo Limited", "Sectigo (Europe) SL", "COMODO CA Limited"],
        &["sectigo.com", "comodo.com", "comodoca.com", "usertrust.com", "trust-provider.com"],
    ),
    (&["SSL Corp", "SSL Corporation"], &["ssl.com"]),
];

/// The domains that the authority of this name takes; `None` where it is not known. A name that only resembles one is another's: a
/// private authority may call itself after anybody.
pub fn domains_of(organisation: &str) -> Option<&'static [&'static str]> {
    let is_of = |names: &[&str]| names.contains(&organisation);
    AUTHORITIES.iter().find(|(names, _)| is_of(names)).map(|(_, domains)| *domains)
}

/// Judges the records found at `at` for a certificate with `name` that `issuer` signed; `None` where neither the name nor a parent has
/// any.
pub fn judge(name: &str, issuer: Option<&str>, found: Option<(&str, &[CaaRecord])>) -> CaaVerdict {
    let domains = issuer.and_then(domains_of);
    let verdict = |finding, detail| CaaVerdict { finding, detail };
    let Some((at, records)) = found.filter(|(_, records)| !records.is_empty()) else {
        let authority = domains.and_then(|domains| domains.first()).copied().unwrap_or("AUTHORITY.EXAMPLE");
        let owner = name.strip_prefix("*.").unwrap_or(name);
        let detail = format!(
            "no CAA record, so that any authority may issue; publish {owner}. IN CAA 0 issue \"{authority}\""
        );
        return verdict(Finding::Fail, detail);
    };
    let shown = shown(at, records);
    // RFC 8659 4.5: who does not understand a critical property issues nothing.
    let known = ["issue", "issuewild", "iodef"];
    let is_known = |record: &CaaRecord| known.iter().any(|tag| record.tag.eq_ignore_ascii_case(tag));
    if records.iter().any(|record| record.is_critical && !is_known(record)) {
        return verdict(Finding::NotTested, format!("a critical property is not known here; {shown}"));
    }
    let of = |tag: &'static str| records.iter().filter(move |record| record.tag.eq_ignore_ascii_case(tag));
    // RFC 8659 4.3: for wildcards issuewild stands above issue, where there is one.
    let is_wild = name.starts_with("*.") && of("issuewild").next().is_some();
    let issuing: Vec<Option<Issue>> =
        of(if is_wild { "issuewild" } else { "issue" }).map(|record| Issue::read(&record.value)).collect();
    if issuing.is_empty() {
        return verdict(
            Finding::Fail,
            format!("no CAA record names an authority, so that any may issue; {shown}"),
        );
    }
    // RFC 8659 4.2: a value that cannot be read names nobody.
    let named: Vec<&Issue> = issuing.iter().flatten().filter(|issue| !issue.domain.is_empty()).collect();
    if named.is_empty() {
        let detail = format!(
            "CAA forbids every authority to issue, so that the next renewal fails: add a record at {at} that names yours; {shown}"
        );
        return verdict(Finding::Fail, detail);
    }
    let Some(domains) = domains else {
        let detail = match issuer {
            Some(issuer) => format!(
                "which domain the issuer, {}, goes by in CAA is not known here; {shown}",
                text(issuer.as_bytes())
            ),
            None => format!(
                "the certificate does not name its issuer, so that its domain in CAA is not known; {shown}"
            ),
        };
        return verdict(Finding::NotTested, detail);
    };
    let tag = if is_wild { "issuewild" } else { "issue" };
    let ours_first = domains.first().copied().unwrap_or_default();
    let ours: Vec<&&Issue> = named.iter().filter(|issue| domains.contains(&issue.domain.as_str())).collect();
    match ours.as_slice() {
        [] => {
            let detail = format!(
                "CAA names none of the domains of the issuer ({}), so that the next renewal fails: add {at}. IN CAA 0 {tag} \
                 \"{ours_first}\"; {shown}",
                domains.join(", ")
            );
            verdict(Finding::Fail, detail)
        }
        all if all.iter().any(|issue| !issue.has_parameters) => {
            verdict(Finding::Pass, format!("the issuer is allowed; {shown}"))
        }
        // RFC 8657: for one account, or by some methods only, which a certificate does not show.
        _ => {
            let detail =
                format!("the issuer is allowed under conditions that a certificate does not show; {shown}");
            verdict(Finding::NotTested, detail)
        }
    }
}

/// An issuer's domain with or without parameters, RFC 8659 4.2.
#[derive(Debug, PartialEq, Eq)]
struct Issue {
    /// In lower case; empty for nobody.
    domain: String,
    has_parameters: bool,
}

impl Issue {
    fn read(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok().filter(|text| text.is_ascii())?;
        let (domain, parameters) = text.split_once(';').unwrap_or((text, ""));
        let domain = domain.trim_matches([' ', '\t']).to_ascii_lowercase();
        let is_label = |label: &str| {
            let mut octets = label.bytes();
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && octets.all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
        };
        let is_sound = domain.is_empty() || domain.split('.').all(is_label);
        is_sound
            .then(|| Self { domain, has_parameters: !parameters.trim_matches([' ', '\t', ';']).is_empty() })
    }
}

fn shown(at: &str, records: &[CaaRecord]) -> String {
    let line = |record: &CaaRecord| {
        let flags = if record.is_critical { 128 } else { 0 };
        format!("{flags} {} \"{}\"", text(record.tag.as_bytes()), text(&record.value))
    };
    let lines: Vec<String> = records.iter().take(SHOWN_MAX).map(line).collect();
    let more = if records.len() > SHOWN_MAX { " and more" } else { "" };
    format!("records at {at}: {}{more}", lines.join(", "))
}

fn text(octets: &[u8]) -> String {
    pc_types::Escaped::with_octets_max(octets, SHOWN_OCTETS_MAX).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(line: &str) -> CaaRecord {
        let mut parts = line.splitn(3, ' ');
        let is_critical = parts.next() == Some("128");
        let tag = parts.next().unwrap_or_default().to_owned();
        CaaRecord { is_critical, tag, value: parts.next().unwrap_or_default().into() }
    }

    fn judged(name: &str, issuer: &str, lines: &[&str]) -> CaaVerdict {
        let records: Vec<CaaRecord> = lines.iter().map(|line| record(line)).collect();
        judge(name, Some(issuer), Some(("example.org", &records)))
    }

    #[test]
    fn records_are_looked_for_at_the_name_and_its_parents() {
        assert_eq!(climb("mail.example.org"), ["mail.example.org", "example.org", "org"]);
        assert_eq!(climb("*.example.org"), ["example.org", "org"], "RFC 8659 3: without the wildcard");
        assert_eq!(climb(&"a.".repeat(100)).len(), CLIMB_MAX);
        assert!(climb("").is_empty());
    }

    #[test]
    fn the_authority_of_the_certificate_is_allowed_forbidden_or_not_known() {
        let encrypt = "Let's Encrypt";
        let table: &[(&str, &str, &[&str], Finding)] = &[
            ("a.example.org", encrypt, &["0 issue letsencrypt.org"], Finding::Pass),
            ("a.example.org", encrypt, &["0 ISSUE  LetsEncrypt.org ; "], Finding::Pass),
            (
                "a.example.org",
                "DigiCert Inc",
                &["0 issue letsencrypt.org", "0 issue digicert.com"],
                Finding::Pass,
            ),
            ("a.example.org", "DigiCert Inc", &["0 issue letsencrypt.org"], Finding::Fail),
            ("a.example.org", encrypt, &["0 issue ;"], Finding::Fail),
            ("a.example.org", "Some Private CA", &["0 issue ;"], Finding::Fail),
            ("a.example.org", "Some Private CA", &["0 issue letsencrypt.org"], Finding::NotTested),
            ("a.example.org", encrypt, &["0 iodef mailto:a@example.org"], Finding::Fail),
            ("a.example.org", encrypt, &["0 issue not_a_domain"], Finding::Fail),
            ("a.example.org", encrypt, &["128 tbs unknown", "0 issue letsencrypt.org"], Finding::NotTested),
            ("a.example.org", encrypt, &["0 tbs unknown", "0 issue letsencrypt.org"], Finding::Pass),
            ("*.example.org", encrypt, &["0 issue letsencrypt.org", "0 issuewild ;"], Finding::Fail),
            ("a.example.org", encrypt, &["0 issue letsencrypt.org", "0 issuewild ;"], Finding::Pass),
            ("*.example.org", encrypt, &["0 issue letsencrypt.org"], Finding::Pass),
            (
                "a.example.org",
                encrypt,
                &["0 issue letsencrypt.org; accounturi=https://acme.example/1; validationmethods=dns-01"],
                Finding::NotTested,
            ),
        ];
        for (name, issuer, lines, want) in table {
            let verdict = judged(name, issuer, lines);
            assert_eq!(verdict.finding, *want, "{name} {issuer} {lines:?}: {}", verdict.detail);
        }
    }

    #[test]
    fn a_missing_record_is_told_with_the_line_to_publish() {
        let verdict = judge("*.example.org", Some("Let's Encrypt"), None);
        assert!(
            verdict.detail.ends_with("publish example.org. IN CAA 0 issue \"letsencrypt.org\""),
            "{}",
            verdict.detail
        );
        assert_eq!(verdict.finding, Finding::Fail);
        assert_eq!(judge("example.org", None, Some(("example.org", &[]))).finding, Finding::Fail);
    }

    #[test]
    fn no_octets_of_a_zone_make_a_pass_for_an_unknown_issuer_or_a_long_text() {
        // A small generator: every pair of octets, repeated, as tag and value.
        for octet in 0..=u8::MAX {
            for length in [0, 1, 2, 255, 65_000] {
                let value = vec![octet; length];
                let tag = String::from_utf8_lossy(&[octet]).into_owned();
                for tag in [tag, "issue".to_owned(), "issuewild".to_owned()] {
                    let hostile = CaaRecord { is_critical: octet % 2 == 0, tag, value: value.clone() };
                    let records = vec![hostile; 20];
                    for issuer in [None, Some("Nobody"), Some("Let's Encrypt")] {
                        let verdict = judge("a.example.org", issuer, Some(("example.org", &records)));
                        assert_ne!(verdict.finding, Finding::Pass);
                        assert!(verdict.detail.len() < 8_000, "{}", verdict.detail.len());
                        assert!(verdict.detail.chars().all(|letter| !letter.is_control()));
                    }
                }
            }
        }
    }
}
