use tokio::io::duplex;

use super::*;
use crate::fixture::{self, Authority};

const DEADLINE: Duration = Duration::from_secs(10);

fn store() -> CertificateStore {
    let authority = Authority::new();
    CertificateStore::load(&[authority.issue("a", fixture::P256)], fixture::now()).unwrap()
}

/// Sends octets, `step` at a time; what was observed and what came back.
async fn observed(octets: &[u8], step: usize) -> (Observed, Vec<u8>) {
    let (mut client, server) = duplex(64);
    let store = store();
    let sending = async move {
        for part in octets.chunks(step) {
            if client.write_all(part).await.is_err() {
                break;
            }
        }
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer).await;
        answer
    };
    tokio::join!(observe(server, &store, DEADLINE), sending)
}

fn seed(name: &str) -> Vec<u8> {
    let path = format!("{}/corpus/client_hello/{name}.bin", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

#[tokio::test]
async fn a_client_that_fits_is_seen_and_sent_away_without_a_handshake() {
    for name in ["openssl3-tls13", "chromium", "curl"] {
        let (observed, answer) = observed(&seed(name), 7).await;
        assert_eq!(observed.refusal, None, "{name}");
        assert!(observed.hello.unwrap().has_standard_suite());
        assert_eq!(answer, [21, 3, 3, 0, 2, 2, 49], "{name}");
    }
}

#[tokio::test]
async fn an_old_client_is_seen_and_gets_protocol_version() {
    let (observed, answer) = observed(&seed("openssl3-tls10"), 4096).await;
    assert_eq!(observed.refusal, Some(Refusal::OldVersion));
    assert_eq!(observed.hello.unwrap().effective_version(), 0x0301);
    assert_eq!(answer, [21, 3, 1, 0, 2, 2, 70]);
}

#[tokio::test]
async fn a_hello_in_the_format_of_ssl_2_is_read() {
    for step in [1, 4096] {
        let (observed, answer) = observed(&seed("ssl2"), step).await;
        assert_eq!(observed.refusal, Some(Refusal::SslV2));
        let hello = observed.hello.unwrap();
        assert_eq!((hello.record_version, hello.hello_version), (0x0002, 0x0301));
        assert_eq!(hello.cipher_suites, [0x002f, 0x000a]);
        assert_eq!(answer, [21, 3, 1, 0, 2, 2, 70], "it understands TLS");
    }
    let mut pure = seed("ssl2");
    (pure[3], pure[4]) = (0, 2);
    assert_eq!(observed(&pure, 4096).await.1, SSL_V2_NO_CIPHER);
}

#[tokio::test]
async fn a_silent_client_and_one_that_is_no_client_are_not_waited_for() {
    let (_client, server) = duplex(64);
    let silent = observe(server, &store(), Duration::ZERO).await;
    assert_eq!(silent.refusal, Some(Refusal::Timeout));
    let (web, answer) = observed(b"GET / HTTP/1.1\r\n\r\n", 4096).await;
    assert_eq!((web.refusal, answer), (Some(Refusal::NotTls), Vec::new()));
    let huge = [&[0xff, 0xff, 1, 0, 2][..], &[0; 40_000]].concat();
    assert_eq!(observed(&huge, 4096).await.0.refusal, Some(Refusal::SslV2));
}

#[test]
fn no_octets_of_ssl_2_panic_and_a_cut_one_is_refused() {
    let whole = seed("ssl2");
    for end in 0..whole.len() {
        assert!(ssl_v2::parse(&whole[..end]).is_err(), "{end}");
    }
    for place in 0..whole.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut octets = whole.clone();
            octets[place] = value;
            let _ = ssl_v2::parse(&octets);
        }
    }
}
