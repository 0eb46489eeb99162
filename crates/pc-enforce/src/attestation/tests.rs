use std::collections::BTreeMap;

use pc_types::{ServerId, base64};

use super::*;
use crate::{ConnectorKind, ConnectorMatch, Mode, Policy, ServerRecord, Shown, Sighting, Standing, observe};

const NOW: &str = "2026-11-26T12:00:00Z";
const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const OTHER_KEY: &str = "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=";

fn moment(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn key(text: &str) -> AttestationKey {
    AttestationKey::parse(text).unwrap()
}

fn fields() -> BTreeMap<&'static str, String> {
    [
        ("format", FORMAT),
        ("tenant", "example"),
        ("host", "ex01.example.net"),
        ("build", "15.1.2507.39"),
        ("time", NOW),
        ("nonce", "0123456789abcdef0123456789abcdef"),
    ]
    .into_iter()
    .map(|(name, text)| (name, text.to_owned()))
    .collect()
}

/// The body with a signature over what it says.
fn signed(fields: &BTreeMap<&'static str, String>) -> Vec<u8> {
    let text: String = FIELDS.iter().map(|name| format!("{}\n", fields[name])).collect();
    let code = hmac_sha256(&from_base64(KEY).unwrap(), &[text.as_bytes()]);
    let mut fields = fields.clone();
    fields.insert("signature", base64(&code));
    serde_json::to_vec(&fields).unwrap()
}

fn with(name: &'static str, text: &str) -> Vec<u8> {
    let mut fields = fields();
    fields.insert(name, text.to_owned());
    signed(&fields)
}

fn taken(body: &[u8], last: Option<&Attestation>) -> Result<Attestation, AttestationRefusal> {
    let proven = Claim::parse(body)?.prove(Some(&key(KEY)))?;
    proven.admit(last, moment(NOW), SignedDuration::from_mins(ATTESTATION_SKEW_MINUTES))?;
    Ok(proven)
}

fn code(body: &[u8]) -> &'static str {
    taken(body, None).map_or_else(|refusal| refusal.code(), |_| "taken")
}

#[test]
fn what_the_script_makes_is_taken() {
    let attestation = taken(&signed(&fields()), None).unwrap();
    assert_eq!(attestation.host.as_str(), "ex01.example.net");
    assert_eq!(attestation.build, Build::new(15, 1, 2507, 39));
    assert_eq!(code(&with("build", "15.01.2507.039")), "taken", "as Windows writes it");
    assert_eq!(code(&with("tenant", "b\u{fc}cher")), "taken");
}

#[test]
fn a_changed_octet_of_any_field_is_unproven() {
    for (name, text) in [
        ("tenant", "exampl"),
        ("host", "ex02.example.net"),
        ("build", "15.1.2507.55"),
        ("time", "2026-11-26T12:00:01Z"),
        ("nonce", "1123456789abcdef0123456789abcdef"),
    ] {
        let mut body: BTreeMap<String, String> = serde_json::from_slice(&signed(&fields())).unwrap();
        body.insert(name.to_owned(), text.to_owned());
        assert_eq!(code(&serde_json::to_vec(&body).unwrap()), "unproven", "{name}");
    }
}

#[test]
fn a_wrong_key_and_an_unknown_tenant_get_one_answer() {
    let claim = Claim::parse(&signed(&fields())).unwrap();
    let wrong = claim.clone().prove(Some(&key(OTHER_KEY))).unwrap_err();
    let unknown = claim.prove(None).unwrap_err();
    assert_eq!((wrong.code(), wrong.to_string()), (unknown.code(), unknown.to_string()));
    // Not even who guesses the key that stands in is let in.
    let text: String = FIELDS.iter().map(|name| format!("{}\n", fields()[name])).collect();
    let mut guessed = fields();
    guessed.insert("signature", base64(&hmac_sha256(&[0; 32], &[text.as_bytes()])));
    let claim = Claim::parse(&serde_json::to_vec(&guessed).unwrap()).unwrap();
    assert_eq!(claim.prove(None), Err(AttestationRefusal::Unproven));
}

#[test]
fn times_count_ten_minutes_both_ways() {
    for (time, want) in [
        ("2026-11-26T11:50:00Z", "taken"),
        ("2026-11-26T11:49:59Z", "stale"),
        ("2026-11-26T12:10:00Z", "taken"),
        ("2026-11-26T12:10:01Z", "future"),
    ] {
        assert_eq!(code(&with("time", time)), want, "{time}");
    }
    let old = Claim::parse(&with("time", "2026-11-25T12:00:00Z")).unwrap().prove(Some(&key(KEY))).unwrap();
    let by_hand = SignedDuration::from_hours(crate::limits::ATTESTATION_BY_HAND_HOURS);
    assert_eq!(old.admit(None, moment(NOW), by_hand), Ok(()));
}

#[test]
fn nothing_is_taken_twice() {
    let first = taken(&signed(&fields()), None).unwrap();
    let again = |body: &[u8]| taken(body, Some(&first)).map_err(|refusal| refusal.code());
    assert_eq!(again(&signed(&fields())), Err("replayed"));
    let mut other = fields();
    other.insert("time", "2026-11-26T12:01:00Z".to_owned());
    assert_eq!(again(&signed(&other)), Err("replayed"), "the same nonce");
    other.insert("nonce", "f".repeat(32));
    assert!(again(&signed(&other)).is_ok());
    other.insert("time", "2026-11-26T11:59:59Z".to_owned());
    assert_eq!(again(&signed(&other)), Err("replayed"), "before the last");
}

#[test]
fn what_is_not_of_the_form_is_told_by_its_field() {
    for (name, text) in [
        ("format", "portcullis-attestation-v2"),
        ("tenant", ""),
        ("tenant", "a\nb"),
        ("host", "ex 01"),
        ("host", "ex01."),
        ("build", "15.1.2507"),
        ("build", "15.1.2507.39\n"),
        ("time", "2026-11-26 12:00"),
        ("time", "2026-11-26T13:00:00+01:00"),
        ("nonce", "0123"),
        ("nonce", "0123456789ABCDEF0123456789ABCDEF"),
    ] {
        assert_eq!(code(&with(name, text)), "bad_field", "{name} {text:?}");
    }
    let mut body: BTreeMap<String, String> = serde_json::from_slice(&signed(&fields())).unwrap();
    body.insert("signature".to_owned(), "AAAA".to_owned());
    assert_eq!(code(&serde_json::to_vec(&body).unwrap()), "bad_field");
    body.remove("signature");
    assert_eq!(code(&serde_json::to_vec(&body).unwrap()), "bad_json", "a field is missing");
    let text = String::from_utf8(signed(&fields())).unwrap();
    for bad in [
        text.replacen('{', "{\"more\":\"1\",", 1),
        text.replacen('{', "{\"build\":\"15.1.2507.39\",", 1),
        text.replacen("\"15.1.2507.39\"", "15", 1),
        format!("[{text}]"),
        format!("[{}]", FIELDS.map(|name| format!("\"{}\"", fields()[name])).join(",")),
        format!("{text}x"),
        String::new(),
    ] {
        assert_eq!(code(bad.as_bytes()), "bad_json", "{bad}");
    }
    assert_eq!(code(&[b' '; ATTESTATION_OCTETS_MAX + 1]), "too_large");
}

#[test]
fn a_key_is_one_line_of_enough_octets_and_is_not_printed() {
    assert!(AttestationKey::parse(&format!("{KEY}\r\n")).is_ok());
    for text in ["", "AAAA", "not base64", &format!("{KEY}\n{OTHER_KEY}")] {
        assert_eq!(AttestationKey::parse(text), Err(AttestationKeyError), "{text:?}");
    }
    assert_eq!(format!("{:?}", key(KEY)), "AttestationKey(hidden)");
}

#[test]
fn the_script_signs_the_fields_of_this_module_in_this_order() {
    assert!(SCRIPT.is_ascii());
    let line = SCRIPT.lines().find_map(|line| line.strip_prefix("Signed fields: ")).unwrap();
    assert_eq!(line.split(' ').collect::<Vec<_>>(), FIELDS);
    // What is filled in before the signature is what it is over.
    let filled = SCRIPT.lines().filter_map(|line| line.strip_prefix("$fields['")?.split('\'').next());
    let filled: Vec<&str> = filled.collect();
    assert_eq!(filled, [FIELDS.as_slice(), &["signature"]].concat());
    let place = |text: &str| SCRIPT.find(text).unwrap();
    assert!(
        place("$fields['nonce']") < place("$canonical =")
            && place("$canonical =") < place("$fields['signature']")
    );
    assert!(SCRIPT.contains("$canonical = (@($fields.Values) -join \"`n\") + \"`n\""));
    assert!(SCRIPT.contains(&format!("$fields['format'] = '{FORMAT}'")));
}

fn attested(host: &str, build: &str) -> Attestation {
    let mut fields = fields();
    fields.insert("host", host.to_owned());
    fields.insert("build", build.to_owned());
    taken(&signed(&fields), None).unwrap()
}

/// A server of `tenant` whose last mail was written by `writer`.
fn server(number: u8, greeting: &str, writer: &str, (build, at): (Option<&str>, &str)) -> ServerRecord {
    let shown = Shown {
        verdict: "unsupported".into(),
        product: None,
        build: build.map(str::to_owned),
        update: None,
        header: Some(format!(
            "from {greeting} (10.0.0.5) by {writer} (10.0.0.5) with Microsoft SMTP Server id 15.1.2507.31"
        )),
        reason: "test".into(),
        interior: Vec::new(),
        at: moment(at),
    };
    let name: Domain = greeting.parse().unwrap();
    let address = [192, 0, 2, number].into();
    let sighting = Sighting {
        id: ServerId::derive(address, Some(&name)),
        address,
        greeting_name: Some(name),
        tenant: Some("example".into()),
        kind: ConnectorKind::default(),
        connector: ConnectorMatch::none(),
        judged: Standing::Met.into(),
        shown,
    };
    let policy = Policy { mode: Mode::Report, ..Policy::new("edge.example.org".parse().unwrap()) };
    observe(&policy, None, sighting, &[]).0
}

const AFTER: &str = "2026-11-26T13:00:00Z";

fn fits(records: &[ServerRecord], all: &[Attestation]) -> Vec<(usize, String, FitBy, Held)> {
    let place = |comparison: &Comparison| records.iter().position(|record| record.id == comparison.server);
    let found = compare(records, all, |_| None).into_iter();
    found.map(|one| (place(&one).unwrap(), one.attested.host.to_string(), one.fit, one.held)).collect()
}

#[test]
fn an_attestation_is_about_the_server_that_wrote_the_line_or_greets_so_or_is_the_only_one() {
    let shown = (Some("15.1.2507.39"), AFTER);
    let inner = server(1, "mail.example.net", "ex01.corp.local", shown);
    let all = [attested("ex01.corp.local", "15.1.2507.39")];
    assert_eq!(fits(&[inner], &all), [(0, "ex01.corp.local".into(), FitBy::ReceivedLine, Held::Agrees)]);
    let greets = server(1, "ex01.example.net", "other.example.net", shown);
    let all = [attested("ex01.example.net", "15.1.2507.39")];
    assert_eq!(fits(&[greets], &all), [(0, "ex01.example.net".into(), FitBy::Greeting, Held::Agrees)]);
    let only = server(1, "mail.example.net", "x", shown);
    assert_eq!(
        fits(std::slice::from_ref(&only), &all),
        [(0, "ex01.example.net".into(), FitBy::Domain, Held::Agrees)]
    );
    let second = server(2, "mail2.example.net", "y", shown);
    assert_eq!(fits(&[only.clone(), second], &all), [], "which of the two cannot be said");
    let both = [all[0].clone(), attested("ex02.example.net", "15.1.2507.39")];
    assert_eq!(fits(std::slice::from_ref(&only), &both), [], "nor of which host");
    let stranger = ServerRecord { tenant: Some("other".into()), ..only.clone() };
    assert_eq!(
        fits(&[stranger, ServerRecord { tenant: None, ..only }], &all),
        [],
        "a tenant speaks for his own servers only"
    );
}

#[test]
fn a_contradiction_names_both_builds_and_what_to_do() {
    let all = [attested("ex01.example.net", "15.1.2507.55")];
    let said = |build, at| {
        let record = server(1, "ex01.example.net", "ex01.example.net", (build, at));
        let one =
            compare(&[record], &all, |build| (build.revision > 50).then(|| "an update".to_owned())).remove(0);
        (one.held, one.text)
    };
    let (held, text) = said(Some("15.1.2507.39"), AFTER);
    assert_eq!(held, Held::Contradicts);
    assert!(
        text.starts_with(
            "contradicts: attested 15.1.2507.55, last mail showed 15.1.2507.39. That mail came after"
        ),
        "{text}"
    );
    let (held, text) = said(Some("15.1.2507.39"), "2026-11-26T11:00:00Z");
    assert!(held == Held::Contradicts && text.contains("send a message through this server"), "{text}");
    assert_eq!(said(Some("15.1.2507.54"), AFTER).0, Held::Agrees, "another number of the same update");
    assert_eq!(said(Some("15.1.2506.54"), AFTER).0, Held::Contradicts, "another cumulative update");
    assert_eq!(said(None, AFTER).0, Held::NothingShown);
}
