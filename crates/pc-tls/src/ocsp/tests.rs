use pc_net::Clock;
use pc_testkit::{OcspAuthority, OcspSigner};
use pc_types::{SignedDuration, Timestamp};

use super::*;
use crate::certificate::{CertificateFiles, CertificateStore};

const EC: &str = "ec -pkeyopt ec_paramgen_curve:P-256";
const EC_384: &str = "ec -pkeyopt ec_paramgen_curve:P-384";
const RSA: &str = "rsa:2048";
const AIA: &str = "authorityInfoAccess=OCSP;URI:http://ocsp.example.org/a";
const SERIAL: &str = "1234";

impl Inquiry {
    fn judge(&self, octets: &[u8], now: Timestamp) -> Result<Answer, OcspError> {
        response::judge(self, octets, now).map(|read| read.answer)
    }
}

fn now() -> Timestamp {
    Clock::System.now()
}

fn after(minutes: i64) -> Timestamp {
    now().saturating_add(SignedDuration::from_mins(minutes)).unwrap()
}

fn subject(authority: &OcspAuthority, key: &str, more: &[&str]) -> Subject {
    let (chain, key) = authority.issue(key, "leaf", "mail.example.org", SERIAL, more);
    let store = CertificateStore::load(&[CertificateFiles { chain, key }], now()).unwrap();
    store.ocsp_subjects().remove(0)
}

fn inquiry(authority: &OcspAuthority, key: &str) -> Inquiry {
    match subject(authority, key, &[AIA]).offer {
        Offer::Responder(inquiry) => *inquiry,
        other => panic!("{other:?}"),
    }
}

fn set_up() -> (OcspAuthority, Inquiry) {
    let authority = OcspAuthority::new(EC);
    let inquiry = inquiry(&authority, EC);
    authority.set_good(SERIAL);
    (authority, inquiry)
}

#[test]
fn a_good_answer_of_the_issuer_or_its_delegate_is_taken_with_each_kind_of_key() {
    for key in [EC, EC_384, RSA] {
        let authority = OcspAuthority::new(key);
        let inquiry = inquiry(&authority, key);
        authority.set_good(SERIAL);
        for signer in [OcspSigner::Authority, OcspSigner::Delegated] {
            for more in ["-nmin 60", "-nmin 60 -resp_key_id", "-nmin 60 -rmd sha384", "-nmin 60 -rmd sha512"]
            {
                let answer = inquiry.judge(&authority.answer(signer, &inquiry.request(), more), now());
                let answer = answer.unwrap_or_else(|error| panic!("{key} {signer:?} {more}: {error}"));
                assert_eq!(answer.status, Status::Good);
                assert_eq!(answer.usable_until.duration_since(answer.this_update).as_mins(), 60);
            }
        }
    }
}

#[test]
fn an_answer_counts_from_its_beginning_with_tolerance_to_its_end_without() {
    let (authority, inquiry) = set_up();
    let octets = authority.answer(OcspSigner::Authority, &inquiry.request(), "-nmin 60");
    let answer = inquiry.judge(&octets, now()).unwrap();
    let code = |now: Timestamp| inquiry.judge(&octets, now).map_err(OcspError::code).err();
    let seconds =
        |from: Timestamp, seconds: i64| from.saturating_add(SignedDuration::from_secs(seconds)).unwrap();
    assert_eq!(code(seconds(answer.this_update, -300)), None);
    assert_eq!(code(seconds(answer.this_update, -301)), Some("not_yet"));
    assert_eq!(code(seconds(answer.usable_until, -1)), None);
    assert_eq!(code(answer.usable_until), Some("expired"));
    let unstated = authority.answer(OcspSigner::Authority, &inquiry.request(), "");
    let answer = inquiry.judge(&unstated, now()).unwrap();
    assert_eq!(answer.usable_until.duration_since(answer.this_update).as_hours(), 24);
}

#[test]
fn an_answer_of_a_delegate_counts_no_longer_than_its_certificate() {
    let (authority, inquiry) = set_up();
    let octets = authority.answer(OcspSigner::Delegated, &inquiry.request(), "-ndays 200");
    let until = inquiry.judge(&octets, now()).unwrap().usable_until;
    assert!(until < after(21 * 24 * 60), "{until}");
    assert_eq!(
        inquiry.judge(&octets, after(21 * 24 * 60)),
        Err(OcspError::Responder("has a certificate that is not valid at this time"))
    );
}

#[test]
fn revoked_and_unknown_are_told_apart() {
    let (authority, inquiry) = set_up();
    let ask =
        || inquiry.judge(&authority.answer(OcspSigner::Authority, &inquiry.request(), "-nmin 60"), now());
    authority.set_revoked(SERIAL);
    let at = "2026-11-01T12:00:00Z".parse().unwrap();
    assert_eq!(ask().unwrap().status, Status::Revoked { at, reason: "keyCompromise" });
    authority.set_good("5678");
    assert_eq!(ask().unwrap().status, Status::Unknown);
}

#[test]
fn an_answer_of_anybody_else_is_not_believed() {
    let (authority, inquiry) = set_up();
    let ask = |signer, more: &str| {
        inquiry.judge(&authority.answer(signer, &inquiry.request(), more), now()).unwrap_err().to_string()
    };
    for more in ["-nmin 60", "-nmin 60 -resp_key_id"] {
        let stranger = ask(OcspSigner::Stranger, more);
        assert!(stranger.contains("did not certify"), "{stranger}");
        let unfit = ask(OcspSigner::NotDelegated, more);
        assert!(unfit.contains("id-kp-OCSPSigning"), "{unfit}");
    }
    let alone = ask(OcspSigner::Delegated, "-nmin 60 -resp_no_certs");
    assert!(alone.contains("neither the issuer"), "{alone}");
    let weak = ask(OcspSigner::Authority, "-nmin 60 -rmd sha1");
    assert!(weak.contains("signature"), "{weak}");
}

#[test]
fn an_answer_about_another_certificate_or_of_another_issuer_is_not_ours() {
    let (authority, inquiry) = set_up();
    let mut other = inquiry.clone();
    other.id.serial = vec![0x56, 0x78];
    let octets = authority.answer(OcspSigner::Authority, &other.request(), "-nmin 60");
    assert_eq!(inquiry.judge(&octets, now()), Err(OcspError::NotOurs));
    let (elsewhere, _) = set_up();
    // The same names and serial, another key.
    let theirs = self::inquiry(&elsewhere, EC);
    elsewhere.set_good(SERIAL);
    let octets = elsewhere.answer(OcspSigner::Authority, &theirs.request(), "-nmin 60");
    assert_eq!(inquiry.judge(&octets, now()), Err(OcspError::Signature));
}

#[test]
fn what_is_garbled_cut_or_longer_is_no_answer_and_never_good() {
    let (authority, inquiry) = set_up();
    let now = now();
    let octets = authority.answer(OcspSigner::Delegated, &inquiry.request(), "-nmin 60");
    assert!(inquiry.judge(&octets, now).is_ok());
    for length in 0..octets.len() {
        assert!(inquiry.judge(&octets[..length], now).is_err(), "cut to {length}");
    }
    for index in 0..octets.len() {
        let mut other = octets.clone();
        other[index] ^= 1;
        // The signature of the delegate's certificate and of the answer cover all that decides; whatever else changes, what is
        // taken says the same.
        if let Ok(answer) = inquiry.judge(&other, now) {
            assert_eq!(answer.status, Status::Good, "octet {index}");
        }
    }
    let longer = [octets.as_slice(), &[0]].concat();
    assert_eq!(inquiry.judge(&longer, now), Err(OcspError::Malformed));
    let huge = vec![0x30; crate::limits::OCSP_RESPONSE_OCTETS_MAX + 1];
    assert_eq!(inquiry.judge(&huge, now), Err(OcspError::TooLarge));
    assert_eq!(inquiry.judge(&[0x30, 3, 0x0a, 1, 3], now), Err(OcspError::Refused("tryLater")));
    assert_eq!(inquiry.judge(&[0x30, 3, 0x0a, 1, 6], now), Err(OcspError::Refused("unauthorized")));
    assert_eq!(inquiry.judge(b"<html>", now), Err(OcspError::Malformed));
}

#[test]
fn a_certificate_says_whom_to_ask_and_whether_clients_want_a_staple() {
    let authority = OcspAuthority::new(EC);
    let nothing = subject(&authority, EC, &[]);
    assert_eq!((nothing.offer, nothing.is_must_staple), (Offer::Nothing, false));
    let must = subject(&authority, EC, &[AIA, "tlsfeature=status_request"]);
    assert!(must.is_must_staple && matches!(must.offer, Offer::Responder(_)));
    let two = ["authorityInfoAccess=OCSP;URI:ldap://a.example.org/,OCSP;URI:http://b.example.org/"];
    match subject(&authority, EC, &two).offer {
        Offer::Responder(inquiry) => assert_eq!(inquiry.responder.to_string(), "http://b.example.org/"),
        other => panic!("{other:?}"),
    }
    let directory = ["authorityInfoAccess=OCSP;URI:ldap://a.example.org/"];
    assert_eq!(
        subject(&authority, EC, &directory).offer,
        Offer::Unusable("ldap://a.example.org/".to_owned())
    );
    let (chain, key) = authority.issue(EC, "alone", "mail.example.org", "77", &[AIA]);
    authority.shell("openssl x509 -in alone.pem -out leaf-only.pem && mv leaf-only.pem alone.pem");
    let store = CertificateStore::load(&[CertificateFiles { chain, key }], now()).unwrap();
    assert_eq!(store.ocsp_subjects()[0].offer, Offer::IssuerMissing);
}

#[test]
fn a_responder_is_asked_at_half_time_and_after_failures_with_growing_delays() {
    let (authority, inquiry) = set_up();
    let begin = now();
    let mut standing = Standing::nothing(begin);
    assert!(standing.is_due(begin));
    for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
        standing.fail(begin);
        assert_eq!(standing.asks_at().duration_since(begin).as_mins(), minutes);
    }
    let octets = authority.answer(OcspSigner::Authority, &inquiry.request(), "-nmin 60 -resp_no_certs");
    let Ok(Taken::Kept(answer)) = standing.take(&inquiry, &octets, now()) else { panic!() };
    assert_eq!(standing.asks_at().duration_since(answer.this_update).as_mins(), 30);
    assert_eq!(standing.staple(now()), Some(octets.as_slice()));
    assert_eq!(standing.ends_at(now()), Some(answer.usable_until));
    standing.fail(now());
    assert!(standing.staple(after(59)).is_some(), "a failure leaves the last good one");
    assert_eq!((standing.staple(answer.usable_until), standing.ends_at(answer.usable_until)), (None, None));

    let late = after(45);
    let resumed = Standing::resumed(&inquiry, &octets, late);
    assert!(resumed.staple(late).is_some() && resumed.is_due(late), "stapled at once, and asked for anew");
    assert!(!Standing::resumed(&inquiry, &octets, now()).is_due(now()));
    let over = after(61);
    assert_eq!(Standing::resumed(&inquiry, &octets, over).staple(over), None);

    let yearly = authority.answer(OcspSigner::Authority, &inquiry.request(), "-ndays 365");
    let Ok(Taken::Kept(answer)) = standing.take(&inquiry, &yearly, now()) else { panic!() };
    assert_eq!(standing.asks_at().duration_since(answer.this_update).as_hours(), 5 * 24);
}

#[test]
fn an_answer_that_is_nearly_over_when_it_comes_is_not_asked_for_without_end() {
    let (authority, inquiry) = set_up();
    let octets = authority.answer(OcspSigner::Authority, &inquiry.request(), "-nmin 60");
    let late = after(59);
    let mut standing = Standing::nothing(late);
    standing.take(&inquiry, &octets, late).unwrap();
    assert_eq!(standing.asks_at().duration_since(late).as_secs(), 60);
}

#[test]
fn a_revocation_ends_the_staple_and_an_older_good_answer_does_not_bring_it_back() {
    let (authority, inquiry) = set_up();
    let good = authority.answer(OcspSigner::Authority, &inquiry.request(), "-nmin 60");
    let mut standing = Standing::nothing(now());
    let Ok(Taken::Kept(first)) = standing.take(&inquiry, &good, now()) else { panic!() };
    // An answer of the next second, as openssl takes the time of its clock.
    pass(first.this_update);
    authority.set_revoked(SERIAL);
    let revoked = authority.answer(OcspSigner::Authority, &inquiry.request(), "-nmin 60");
    standing.take(&inquiry, &revoked, now()).unwrap();
    assert_eq!(standing.staple(now()), None);
    assert_eq!(standing.take(&inquiry, &good, now()), Err(OcspError::Older(first.this_update)));
    assert_eq!(standing.staple(now()), None);
    assert_eq!(Standing::resumed(&inquiry, &revoked, now()).staple(now()), None);
}

#[test]
fn a_responder_that_does_not_know_the_certificate_changes_nothing() {
    let (authority, inquiry) = set_up();
    let good = authority.answer(OcspSigner::Authority, &inquiry.request(), "-nmin 60 -resp_no_certs");
    let mut standing = Standing::nothing(now());
    standing.take(&inquiry, &good, now()).unwrap();
    authority.set_good("5678");
    let unknown = authority.answer(OcspSigner::Authority, &inquiry.request(), "-nmin 60");
    assert_eq!(standing.take(&inquiry, &unknown, now()), Ok(Taken::Unknown));
    assert_eq!(standing.staple(now()), Some(good.as_slice()));
    assert_eq!(Standing::resumed(&inquiry, &unknown, now()).staple(now()), None);
}

#[test]
fn a_reload_keeps_what_is_stapled_to_the_same_certificate() {
    let authority = OcspAuthority::new(EC);
    let (chain, key) = authority.issue(EC, "leaf", "mail.example.org", SERIAL, &[AIA]);
    let files = [CertificateFiles { chain, key }];
    let store = CertificateStore::load(&files, now()).unwrap();
    let mut swaps = store.swaps();
    let leaf = store.leaf_sha256()[0];
    let stapled = |store: &CertificateStore| store.loaded().stapled(&leaf);
    store.staple(&leaf, Some(b"response"));
    assert_eq!(stapled(&store), Some(b"response".to_vec()));
    assert!(!swaps.has_changed().unwrap());
    // The chain has one certificate less, the leaf is the same.
    authority.shell("openssl x509 -in leaf.pem -out one.pem && mv one.pem leaf.pem");
    assert_eq!(store.reload(now()).unwrap(), crate::Reloaded::Swapped);
    assert!(swaps.has_changed().unwrap());
    swaps.mark_unchanged();
    assert_eq!(stapled(&store), Some(b"response".to_vec()));
    store.staple(&leaf, None);
    assert_eq!(stapled(&store), None);
    authority.issue(EC, "leaf", "mail.example.org", "99", &[AIA]);
    store.staple(&leaf, Some(b"response"));
    assert_eq!(store.reload(now()).unwrap(), crate::Reloaded::Swapped);
    assert_eq!(
        store.loaded().stapled(&store.leaf_sha256()[0]),
        None,
        "another certificate, another response"
    );
}

/// Until the clock shows another second.
fn pass(moment: Timestamp) {
    let next = moment.saturating_add(SignedDuration::from_secs(1)).unwrap();
    while now() < next {
        std::thread::yield_now();
    }
}

/// A response with more behind what is signed, in the place of certificates.
fn padded(octets: &[u8], more: usize) -> Vec<u8> {
    let enter = |octets: &[u8], tag| der::Reader::over(octets).unwrap().take(tag).unwrap().to_vec();
    let response = enter(octets, der::SEQUENCE);
    let mut parts = der::Reader::over(&response).unwrap();
    let status = parts.next().unwrap().raw.to_vec();
    let bytes = enter(parts.take(der::context(0)).unwrap(), der::SEQUENCE);
    let mut parts = der::Reader::over(&bytes).unwrap();
    let kind = parts.next().unwrap().raw.to_vec();
    let mut basic = enter(parts.take(der::OCTET_STRING).unwrap(), der::SEQUENCE);
    let padding = tlv(der::SEQUENCE, &tlv(der::OCTET_STRING, &vec![7; more]));
    basic.extend(tlv(der::context(0), &padding));
    let basic = tlv(der::OCTET_STRING, &tlv(der::SEQUENCE, &basic));
    let bytes = tlv(der::SEQUENCE, &[kind, basic].concat());
    tlv(der::SEQUENCE, &[status, tlv(der::context(0), &bytes)].concat())
}

#[test]
fn what_was_not_signed_is_neither_stapled_nor_kept() {
    let (authority, inquiry) = set_up();
    let octets = authority.answer(OcspSigner::Authority, &inquiry.request(), "-nmin 60 -resp_no_certs");
    for more in [0, 20, 20_000, 60_000] {
        let mut standing = Standing::nothing(now());
        let padded = padded(&octets, more);
        assert!(padded.len() > octets.len() + more);
        assert!(matches!(standing.take(&inquiry, &padded, now()), Ok(Taken::Kept(_))));
        assert_eq!(standing.staple(now()), Some(octets.as_slice()), "{more}");
        assert_eq!(standing.kept(), Some(octets.as_slice()), "{more}");
    }
}

#[test]
fn the_same_answer_again_is_nothing_new_and_asked_for_less_and_less() {
    let (authority, inquiry) = set_up();
    let octets = authority.answer(OcspSigner::Authority, &inquiry.request(), "-ndays 365");
    let mut standing = Standing::nothing(now());
    let Ok(Taken::Kept(_)) = standing.take(&inquiry, &octets, now()) else { panic!() };
    let late = after(10 * 24 * 60);
    for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert_eq!(standing.take(&inquiry, &octets, late), Ok(Taken::Same));
        assert_eq!(standing.asks_at().duration_since(late).as_mins(), minutes);
    }
    assert!(standing.staple(late).is_some());
}

#[test]
fn a_clock_that_was_ahead_and_is_set_back_puts_no_question_off_for_years() {
    let (authority, inquiry) = set_up();
    let octets = authority.answer(OcspSigner::Authority, &inquiry.request(), "-nmin 60");
    let mut standing = Standing::nothing(now());
    standing.take(&inquiry, &octets, now()).unwrap();
    let ahead = after(10 * 365 * 24 * 60);
    assert_eq!(standing.take(&inquiry, &octets, ahead).map_err(OcspError::code), Err("expired"));
    assert!(standing.is_due(now()));
}
