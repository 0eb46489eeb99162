//! The practices, section by section. What only the owner of the server can know is not tested.

use crate::{Facts, Finding, HSTS_SECONDS_MIN, Item, Key, Seen, Service, SuiteKind, Trust, Version, Weight};

/// The six suites of the one standard.
const STANDARD_SUITES: [u16; 6] = [0x1302, 0x1301, 0xc02c, 0xc02b, 0xc030, 0xc02f];

pub(crate) fn checklist(facts: &Facts) -> Vec<Item> {
    let mut items = certificate(facts);
    items.extend(configuration(facts));
    items.extend(known_problems(facts));
    items.extend(performance(facts));
    items.extend(http(facts));
    items.push(untested("6.2", "DNSSEC and DANE", Weight::Advice, "not looked up"));
    items
}

fn certificate(facts: &Facts) -> Vec<Item> {
    const KEY: (&str, &str) = ("1.1", "2048-bit RSA or 256-bit ECDSA keys");
    const NAMES: (&str, &str) = ("1.3", "the host name is covered");
    const ISSUER: (&str, &str) = ("1.4", "a trusted issuer");
    const SIGNATURE: (&str, &str) = ("1.5", "strong signatures");
    const CHAIN: (&str, &str) = ("2.1", "a complete chain");
    let protect = untested("1.2", "protected keys", Weight::Advice, "only the owner can tell");
    let Some(certificate) = &facts.certificate else {
        let missing = |(section, title)| untested(section, title, Weight::Standard, "no handshake succeeded");
        let [key, names, issuer, signature, chain] = [KEY, NAMES, ISSUER, SIGNATURE, CHAIN].map(missing);
        return vec![key, protect, names, issuer, signature, chain];
    };
    let (is_strong, key) = match certificate.key {
        Key::Ec(bits) => (bits >= 256, format!("EC {bits} bits")),
        Key::Rsa(bits) => (bits >= 2048, format!("RSA {bits} bits")),
    };
    let (names, issuer) = match &certificate.trust {
        Trust::Trusted => ((Seen::Yes, certificate.summary.clone()), (Seen::Yes, "trusted".to_owned())),
        Trust::WrongName(why) => ((Seen::No, why.clone()), (Seen::Yes, "trusted for other names".to_owned())),
        Trust::Untrusted(why) => ((Seen::Unknown, certificate.summary.clone()), (Seen::No, why.clone())),
    };
    let chain = issuer.clone();
    let signature = if certificate.has_weak_signature { "MD5 or SHA-1" } else { "SHA-256 or better" };
    vec![
        item(KEY, Weight::Standard, seen(is_strong), key),
        protect,
        item(NAMES, Weight::Standard, names.0, names.1),
        item(ISSUER, Weight::Standard, issuer.0, issuer.1),
        item(SIGNATURE, Weight::Standard, seen(!certificate.has_weak_signature), signature.to_owned()),
        item(CHAIN, Weight::Standard, chain.0, chain.1),
    ]
}

fn configuration(facts: &Facts) -> Vec<Item> {
    let named = |seen: Seen| {
        let names =
            facts.versions.iter().filter(|(_, found)| *found == seen).map(|(version, _)| version.name());
        names.collect::<Vec<_>>().join(", ")
    };
    let old = facts.versions.iter().filter(|(version, _)| *version < Version::Tls12);
    let has_old = old.clone().any(|(_, found)| *found == Seen::Yes);
    let is_unsure = facts.versions.iter().any(|(_, found)| *found == Seen::Unknown);
    let has_new =
        facts.versions.iter().any(|(version, found)| *version >= Version::Tls12 && *found == Seen::Yes);
    let (versions, text) = match (has_old, is_unsure) {
        (true, _) => (Seen::No, named(Seen::Yes)),
        (false, true) => (Seen::Unknown, format!("no clear answer for {}", named(Seen::Unknown))),
        (false, false) if !has_new => (Seen::No, "none".to_owned()),
        (false, false) => (Seen::Yes, named(Seen::Yes)),
    };
    let foreign: Vec<&str> = facts
        .suites
        .iter()
        .filter(|(_, suite)| !STANDARD_SUITES.contains(&suite.code))
        .map(|(_, suite)| suite.name)
        .collect();
    let suites = match (foreign.is_empty(), facts.suites_complete && !facts.suites.is_empty()) {
        (false, _) => (Seen::No, format!("outside the standard: {}", foreign.join(", "))),
        (true, true) => (Seen::Yes, format!("{} suites, all of the standard", facts.suites.len())),
        (true, false) => (Seen::Unknown, "not all could be asked for".to_owned()),
    };
    let is_static =
        |kind: SuiteKind| matches!(kind, SuiteKind::StaticAead | SuiteKind::StaticCbc | SuiteKind::Weak);
    let forward =
        match facts.suites.iter().any(|(_, suite)| is_static(suite.kind) || suite.name.starts_with("RSA_")) {
            true => Seen::No,
            false if facts.suites_complete && !facts.suites.is_empty() => Seen::Yes,
            false => Seen::Unknown,
        };
    let groups = facts.groups.join(", ");
    let exchange = if facts.groups.is_empty() { Seen::Unknown } else { Seen::Yes };
    vec![
        item(("2.2", "TLS 1.2 and 1.3 only"), Weight::Standard, versions, text),
        item(("2.3", "secure suites"), Weight::Standard, suites.0, suites.1),
        item(("2.4", "the server chooses the suite"), Weight::Standard, facts.server_order, String::new()),
        item(("2.5", "forward secrecy with every suite"), Weight::Standard, forward, String::new()),
        item(("2.6", "strong key exchange"), Weight::Advice, exchange, groups),
    ]
}

fn known_problems(facts: &Facts) -> Vec<Item> {
    let fallback = match facts.fallback_protection {
        Seen::No => "TLS_FALLBACK_SCSV is ignored",
        _ => "",
    };
    vec![
        item(("2.7", "no TLS compression"), Weight::Standard, not(facts.compression), String::new()),
        item(
            ("2.7", "no fallback to older versions"),
            Weight::Standard,
            facts.fallback_protection,
            fallback.to_owned(),
        ),
        match facts.versions.contains(&(Version::Tls12, Seen::Yes)) {
            true => item(
                ("2.7", "secure renegotiation or none"),
                Weight::Standard,
                facts.secure_renegotiation,
                String::new(),
            ),
            false => Item {
                finding: Finding::NotApplicable,
                ..untested("2.7", "secure renegotiation or none", Weight::Standard, "TLS 1.3 has none")
            },
        },
        untested("2.7", "Heartbleed, ROBOT and their kin", Weight::Advice, "a check must not attack"),
    ]
}

fn performance(facts: &Facts) -> Vec<Item> {
    let key = facts.certificate.as_ref().map(|certificate| certificate.key);
    let (measure, text) = match key {
        Some(Key::Rsa(bits)) => (seen(bits <= 2048), format!("RSA {bits} bits")),
        Some(Key::Ec(bits)) => (seen(bits <= 256), format!("EC {bits} bits")),
        None => (Seen::Unknown, String::new()),
    };
    let stapling = match (&facts.certificate, facts.ocsp_stapled) {
        (Some(certificate), Seen::No) if !certificate.has_ocsp_address => Item {
            finding: Finding::NotApplicable,
            ..untested("3.5", "OCSP stapling", Weight::Advice, "the issuer offers no OCSP")
        },
        (None, _) => untested("3.5", "OCSP stapling", Weight::Advice, "no handshake succeeded"),
        (_, stapled) => item(("3.5", "OCSP stapling"), Weight::Advice, stapled, String::new()),
    };
    vec![
        item(("3.1", "not too much security"), Weight::Advice, measure, text),
        item(("3.2", "session resumption"), Weight::Advice, facts.resumption, String::new()),
        stapling,
        item(
            ("3.6", "fast primitives"),
            Weight::Advice,
            key.map_or(Seen::Unknown, |key| seen(matches!(key, Key::Ec(_)))),
            "AES-GCM with ECDSA".to_owned(),
        ),
    ]
}

fn http(facts: &Facts) -> Vec<Item> {
    const HSTS: (&str, &str) = ("4.6", "HSTS for 180 days or more");
    let hsts = match facts.service {
        Service::Https { hsts_seconds: Some(seconds) } => item(
            HSTS,
            Weight::Standard,
            seen(seconds >= HSTS_SECONDS_MIN),
            format!("max-age={seconds}, {} days", seconds / 86_400),
        ),
        Service::Https { hsts_seconds: None } => {
            item(HSTS, Weight::Standard, Seen::No, "no Strict-Transport-Security".to_owned())
        }
        Service::Mail => Item {
            finding: Finding::NotApplicable,
            ..untested(HSTS.0, HSTS.1, Weight::Standard, "no HTTP on this port")
        },
        Service::Unknown => untested(HSTS.0, HSTS.1, Weight::Standard, "it did not answer HTTP"),
    };
    let pages = "4.1-4.5, 4.7-4.9";
    let rest =
        untested(pages, "pages, cookies, content policies", Weight::Advice, "this check reads no pages");
    match facts.service {
        Service::Mail => vec![hsts, Item { finding: Finding::NotApplicable, ..rest }],
        Service::Https { .. } | Service::Unknown => vec![hsts, rest],
    }
}

/// By section of the practices.
pub(crate) fn remedy(section: &str) -> &'static str {
    match section {
        "1.1" | "3.1" => "have a certificate issued for an ECDSA key on P-256 or an RSA key of 2048 bits",
        "1.3" => "have a certificate issued that has the name which clients connect to",
        "1.4" => "take a certificate of an authority that clients trust, and renew it before it ends",
        "1.5" => "have the certificate issued again with SHA-256",
        "2.1" => {
            "where issuers are missing from the chain file, put their certificates behind the server's own"
        }
        "3.2" => "switch session tickets or a session cache on",
        "3.5" => "have the server fetch and staple the OCSP response of its certificate",
        "3.6" => "have a certificate issued for an ECDSA key",
        "4.6" => {
            "send Strict-Transport-Security with max-age of 15552000 or more on every answer; here that is hsts_max_age_seconds"
        }
        _ => "see portcullis tls standard for what should be offered",
    }
}

fn item((section, title): (&'static str, &'static str), weight: Weight, found: Seen, detail: String) -> Item {
    let finding = match found {
        Seen::No => Finding::Fail,
        Seen::Unknown => Finding::NotTested,
        Seen::Yes => Finding::Pass,
    };
    Item { section, title, weight, finding, detail }
}

fn untested(section: &'static str, title: &'static str, weight: Weight, detail: &str) -> Item {
    Item { section, title, weight, finding: Finding::NotTested, detail: detail.to_owned() }
}

fn seen(is_so: bool) -> Seen {
    if is_so { Seen::Yes } else { Seen::No }
}

fn not(found: Seen) -> Seen {
    match found {
        Seen::No => Seen::Yes,
        Seen::Unknown => Seen::Unknown,
        Seen::Yes => Seen::No,
    }
}
