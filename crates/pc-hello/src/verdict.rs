//! Whether a client fits the standard, why not, and what its owner can do.

use serde::Serialize;

use crate::names::SuiteClass;
use crate::product::{Product, guess};
use crate::{Offer, SSL_V2, TLS12, TLS13, names};

/// How a client fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// By TLS 1.3.
    Good,
    /// By TLS 1.2 only.
    Dated,
    /// It is refused.
    Refused,
    /// No hello could be read.
    Unknown,
}

/// What is to be said to a client's owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// In one word.
    pub fit: Fit,
    /// In one sentence.
    pub summary: String,
    /// Why, in full sentences.
    pub reasons: Vec<String>,
    /// What to do; empty where nothing is to be done.
    pub remedy: String,
    /// What else is noticed.
    pub remarks: Vec<String>,
    /// Which product it may be.
    pub guess: Option<Product>,
}

/// The verdict on what was offered. `refusal` is the word under which it was refused, or would have been (see
/// `pc_tls::Refusal::code`); `None` where it was let in.
pub fn verdict(offer: Option<&Offer>, refusal: Option<&str>) -> Verdict {
    let Some(offer) = offer else { return unread(refusal) };
    let guess = guess(offer);
    let (fit, summary, reasons) = match refusal {
        None if offer.newest_version() >= TLS13 => {
            (Fit::Good, "This client is up to date: it speaks TLS 1.3.".to_owned(), Vec::new())
        }
        None => (
            Fit::Dated,
            "This client works, by TLS 1.2. It does not offer TLS 1.3, which has been the standard since 2018.".to_owned(),
            Vec::new(),
        ),
        Some(code) => {
            (Fit::Refused, "This client cannot connect: it does not fit the TLS standard.".to_owned(), reasons(offer, code))
        }
    };
    Verdict { fit, summary, reasons, remedy: remedy(fit, offer, guess), remarks: remarks(offer), guess }
}

fn unread(refusal: Option<&str>) -> Verdict {
    let (reason, remedy) = match refusal {
        Some("not_tls") => (
            "It sent something else than TLS, such as plain HTTP or SMTP.",
            "Turn on TLS (SSL) in the program, or use the port that begins without.",
        ),
        Some("timeout") => (
            "It sent no whole hello in ten seconds.",
            "Try again by a better line; something between may hold packets back.",
        ),
        Some("too_large") => (
            "Its hello is larger than any client's should be.",
            "Use an ordinary client; this may be a scanner.",
        ),
        Some("ssl_v2") => (
            "It speaks SSL 2.0, which was broken in 1995 and is forbidden since 2011 (RFC 6176).",
            "Update the program or its system.",
        ),
        _ => (
            "Its hello breaks the format.",
            "Use an ordinary client; something between may damage what it sends.",
        ),
    };
    Verdict {
        fit: Fit::Unknown,
        summary: "Nothing could be read of what this client offers.".to_owned(),
        reasons: vec![reason.to_owned()],
        remedy: remedy.to_owned(),
        remarks: Vec::new(),
        guess: None,
    }
}

fn reasons(offer: &Offer, refusal: &str) -> Vec<String> {
    let mut reasons = Vec::new();
    let newest = names::version(offer.newest_version());
    match refusal {
        "old_version" | "ssl_v2" => {
            reasons.push(format!("It offers {newest} at most; TLS 1.2 and 1.3 are spoken here (RFC 8996)."));
        }
        "fallback_scsv" => reasons.push(format!(
            "It says that it fell back to {newest} after a failure, although it can do better (RFC 7507). A try that broke off before may be why."
        )),
        "no_common_suite" => reasons.extend(missing(offer)),
        "handshake" => reasons.push(
            "Its hello fits, and the handshake failed after that: most often since it does not trust the certificate.".to_owned(),
        ),
        "timeout" => reasons.push("The handshake did not end in time.".to_owned()),
        _ => reasons.push("Its hello breaks the format, or a bound of it.".to_owned()),
    }
    reasons
}

/// What a client with a good version lacks.
fn missing(offer: &Offer) -> Vec<String> {
    let mut reasons = Vec::new();
    let suites = offer.standard_suites();
    let is_tls13 = offer.versions.contains(&TLS13);
    let has = |wanted: [u16; 2]| suites.iter().any(|suite| wanted.contains(suite));
    let has_suite = if is_tls13 { has(TLS13_SUITES) } else { has(ECDSA_SUITES) || has(RSA_SUITES) };
    if !has_suite {
        reasons.push("None of its suites is one of the standard: AES-GCM with forward secrecy.".to_owned());
    }
    if !offer.groups.iter().any(|group| crate::STANDARD_GROUPS.contains(group)) {
        reasons.push(
            "It offers no group for the key exchange that is spoken here, such as x25519 or secp256r1."
                .to_owned(),
        );
    }
    if offer.signature_algorithms.is_empty() {
        reasons.push(
            "It names no signature algorithms, so that it means SHA-1 (RFC 5246 7.4.1.4.1).".to_owned(),
        );
    }
    if !reasons.is_empty() {
        return reasons;
    }
    // All that is left is the certificate, whose kind of key a suite of TLS 1.2 names.
    reasons.push(match (has(ECDSA_SUITES), has(RSA_SUITES)) {
        (true, false) => {
            "It has AES-GCM with forward secrecy only for ECDSA certificates, and the certificate here is an RSA one."
        }
        (false, true) => {
            "It has AES-GCM with forward secrecy only for RSA certificates, and the certificate here is an ECDSA one."
        }
        _ => "No suite, group and certificate go together.",
    }
    .to_owned());
    reasons
}

const TLS13_SUITES: [u16; 2] = [0x1302, 0x1301];
const ECDSA_SUITES: [u16; 2] = [0xc02c, 0xc02b];
const RSA_SUITES: [u16; 2] = [0xc030, 0xc02f];

fn remedy(fit: Fit, offer: &Offer, guess: Option<Product>) -> String {
    match (fit, guess.map(|product| product.remedy).filter(|remedy| !remedy.is_empty())) {
        (Fit::Good, _) => String::new(),
        (_, Some(remedy)) => remedy.to_owned(),
        (Fit::Dated, None) => "Nothing needs to be done now. Update the program and its system when you can.".to_owned(),
        (_, None) if offer.newest_version() < TLS12 => {
            "Update the program and its system, or turn on TLS 1.2 in it. No setting here lets older versions in.".to_owned()
        }
        (_, None) => {
            "Update the program and its system, or allow it the suites of TLS 1.3 or of ECDHE with AES-GCM. No setting here lets others in."
                .to_owned()
        }
    }
}

fn remarks(offer: &Offer) -> Vec<String> {
    let mut remarks = Vec::new();
    let classes: Vec<SuiteClass> = offer.suites.iter().map(|suite| SuiteClass::of(*suite)).collect();
    let count = |wanted: SuiteClass| classes.iter().filter(|class| **class == wanted).count();
    match count(SuiteClass::Broken) {
        0 => {}
        broken => remarks.push(format!("{broken} of its suites are broken; they are never used here.")),
    }
    match count(SuiteClass::Block64) {
        0 => {}
        weak => remarks.push(format!("{weak} of its suites have 64-bit blocks; they are never used here.")),
    }
    if offer.record_version == SSL_V2 {
        remarks.push("Its hello has the format of SSL 2.0.".to_owned());
    }
    if offer.compression {
        remarks.push("It offers compression, which leaks secrets (CRIME); it is never used here.".to_owned());
    }
    let old = offer.versions.iter().filter(|version| (0x0300..TLS12).contains(*version)).count();
    if old > 0 {
        remarks.push("It would also take a version before TLS 1.2.".to_owned());
    }
    if offer.server_name.is_none() {
        remarks.push("It does not say which name it asks for (SNI), so that it may be shown another site's certificate.".to_owned());
    }
    let sha1 = |scheme: &u16| matches!(scheme, 0x0101 | 0x0201..=0x0203);
    if !offer.signature_algorithms.is_empty() && offer.signature_algorithms.iter().all(sha1) {
        remarks.push("It verifies signatures by SHA-1 or MD5 only.".to_owned());
    }
    remarks
}
