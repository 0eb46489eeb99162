//! Messages in `fixtures` were signed by dkimpy 1.1.8 with keys that were thrown away.

use std::time::Duration;

use pc_dns::ResolverSettings;
use pc_testkit::DnsServer;

use super::*;

const ZONE: &str = include_str!("../fixtures/zone.txt");

async fn verifier() -> (DnsServer, Verifier) {
    let server = DnsServer::start(ZONE).await.unwrap();
    let settings = ResolverSettings { servers: vec![server.address], timeout: Duration::from_secs(10) };
    let verifier = Verifier::new(Arc::new(Resolver::new(&settings).unwrap())).unwrap();
    (server, verifier)
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/fixtures/{name}.eml", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn header(message: &[u8]) -> &[u8] {
    let end = message.windows(4).position(|octets| octets == b"\r\n\r\n").unwrap() + 4;
    &message[..end]
}

async fn verify(verifier: &Verifier, message: Vec<u8>) -> Finding {
    let header = header(&message).to_vec();
    verifier.verify(&header, |domain| domain.as_str() == "example.net", async || Some(message)).await
}

fn replaced(message: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(message.to_vec()).unwrap();
    assert!(text.contains(from), "{text}");
    text.replacen(from, to, 1).into_bytes()
}

fn proven(selector: &str) -> Finding {
    Finding::Proven { domain: "example.net".parse().unwrap(), selector: selector.to_owned() }
}

#[tokio::test]
async fn a_signature_of_the_domain_proves_it() {
    let (_server, verifier) = verifier().await;
    for (name, selector) in [("rsa-relaxed", "rsa"), ("rsa-simple", "rsa"), ("ed25519", "ed")] {
        assert_eq!(verify(&verifier, fixture(name)).await, proven(selector), "{name}");
    }
    // Relaxed allows for blanks that ways add or take, and for empty lines at the end.
    let other = replaced(&fixture("rsa-relaxed"), "two  blanks \r\n\r\n\r\n", "two\tblanks\r\n");
    assert_eq!(verify(&verifier, other).await, proven("rsa"));
}

#[tokio::test]
async fn what_was_changed_or_is_weak_or_cannot_be_looked_up_proves_nothing() {
    let (_server, verifier) = verifier().await;
    let good = fixture("rsa-relaxed");
    for (message, why) in [
        (replaced(&good, "Hello", "Hallo"), "body hash"),
        (replaced(&good, "Subject: signed", "Subject: sold"), "verification"),
        (replaced(&good, "From: a@", "From: b@"), "verification"),
        (replaced(&good, "s=rsa", "s=ed"), "Incompatible"),
        (fixture("sha1"), "SHA-1"),
        (fixture("test-mode"), "test mode"),
        (fixture("revoked"), "evoked"),
        (fixture("no-key"), "there is no key"),
        (fixture("down"), "could not be fetched"),
        (replaced(&good, "h=from :", "h=date :"), "From field"),
        ([b"DKIM-Signature: v=1; broken\r\n".repeat(10), good.clone()].concat(), "more than 10 signatures"),
    ] {
        let found = verify(&verifier, message).await;
        assert!(matches!(&found, Finding::Unproven(said) if said.contains(why)), "{why}: {found:?}");
    }
}

#[tokio::test]
async fn a_signature_that_leaves_the_end_of_the_body_open_is_none() {
    let (_server, verifier) = verifier().await;
    let message = fixture("length");
    assert!(String::from_utf8_lossy(&message).contains("; l="));
    assert_eq!(verify(&verifier, message).await, Finding::Unsigned);
}

#[tokio::test]
async fn only_domains_that_are_wanted_are_looked_at_and_asked_about() {
    let (server, verifier) = verifier().await;
    let message = fixture("rsa-relaxed");
    let never = async || unreachable!("the message is not needed");
    let other = |domain: &Domain| domain.as_str() == "example.com";
    assert_eq!(verifier.verify(header(&message), other, never).await, Finding::Unsigned);
    let plain = b"From: a@example.net\r\n\r\n";
    assert_eq!(verifier.verify(plain, |_| true, never).await, Finding::Unsigned);
    assert_eq!(server.count(), 0);
    let gone = verifier.verify(header(&message), |_| true, async || None).await;
    assert!(matches!(gone, Finding::Unproven(why) if why.contains("too large")));
}

#[tokio::test]
async fn reports_that_a_signer_asks_for_lead_to_no_question() {
    let (server, verifier) = verifier().await;
    let message = replaced(&fixture("rsa-relaxed"), "v=1;", "v=1; r=y; atps=example.net; atpsh=none;");
    assert!(matches!(verify(&verifier, message).await, Finding::Unproven(_)));
    assert_eq!(server.count(), server.count_of("rsa._domainkey.example.net"));
}
