use std::time::Duration;

use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider};
use rustls::{ServerConfig, SupportedCipherSuite};
use tokio::io::{AsyncReadExt as _, DuplexStream, duplex};

use super::*;
use crate::certificate::{CertificateFiles, CertificateStore, self_made};
use crate::fixture::{Authority, DEADLINE, P256, RSA, now, parameters, valid_between};
use crate::server::ServerTls;

async fn connect(
    client: &ClientTls,
    server: &ServerTls,
    name: &str,
) -> Result<Connected<DuplexStream>, ConnectError> {
    let (near, far) = duplex(64 * 1024);
    let (connected, _accepted) =
        tokio::join!(client.connect(near, name, DEADLINE), server.accept(far, DEADLINE));
    connected
}

fn server_of(files: &CertificateFiles) -> ServerTls {
    let store = CertificateStore::load(std::slice::from_ref(files), now()).unwrap();
    ServerTls::new("upstream", &store).unwrap()
}

fn trusting(authority: &Authority) -> ClientTls {
    ClientTls::new(Roots::CaFile(authority.ca_file()), None).unwrap()
}

#[track_caller]
fn assert_certificate_refused(outcome: Result<Connected<DuplexStream>, ConnectError>, part: &str) {
    let error = outcome.unwrap_err();
    assert_eq!(error.code(), "certificate", "{error}");
    assert!(error.to_string().contains(part), "{error}");
}

#[tokio::test]
async fn a_trusted_server_with_the_right_name_is_accepted() {
    let authority = Authority::new();
    for algorithm in [P256, RSA] {
        let server = server_of(&authority.issue("leaf", algorithm));
        for name in ["mail.example.org", "www.example.net"] {
            let connected = connect(&trusting(&authority), &server, name).await.unwrap();
            assert_eq!((connected.version, connected.suite), ("TLSv1.3", "TLS_AES_256_GCM_SHA384"));
            assert_eq!(connected.handshake, Handshake::Full);
            assert_eq!([connected.leaf_sha256][..], server.certificates().leaf_sha256()[..]);
        }
    }
}

#[tokio::test]
async fn another_name_is_refused() {
    let authority = Authority::new();
    let server = server_of(&authority.issue("leaf", P256));
    for name in ["other.example.org", "192.0.2.1"] {
        assert_certificate_refused(connect(&trusting(&authority), &server, name).await, "not valid for name");
    }
}

#[tokio::test]
async fn an_address_is_verified_as_such() {
    let authority = Authority::new();
    let server = server_of(&authority.issue_with("leaf", P256, parameters(&["192.0.2.1", "2001:db8::1"])));
    for name in ["192.0.2.1", "2001:db8::1"] {
        connect(&trusting(&authority), &server, name).await.unwrap();
    }
}

#[tokio::test]
async fn an_unknown_authority_is_refused() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let server = server_of(&stranger.issue("leaf", P256));
    let client = trusting(&authority);
    assert_eq!(connect(&client, &server, "mail.example.org").await.unwrap_err().code(), "certificate");
    let public = ClientTls::new(Roots::WebPki, None).unwrap();
    assert_certificate_refused(connect(&public, &server, "mail.example.org").await, "UnknownIssuer");
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let authority = Authority::new();
    let files = authority.issue_with("leaf", P256, valid_between((2020, 1, 1), (2020, 3, 1)));
    // A server that never looked at the clock again.
    let then = "2020-02-01T00:00:00Z".parse().unwrap();
    let store = CertificateStore::load(&[files], then).unwrap();
    let server = ServerTls::new("upstream", &store).unwrap();
    assert_certificate_refused(connect(&trusting(&authority), &server, "mail.example.org").await, "expired");
}

#[tokio::test]
async fn a_pin_accepts_its_certificate_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let server = server_of(&self_made(dir.path(), "mail.example.org", now()).unwrap());
    let [leaf] = server.certificates().leaf_sha256().try_into().unwrap();
    let pinned = ClientTls::new(Roots::WebPki, Some(leaf)).unwrap();
    let connected = connect(&pinned, &server, "any.example.net").await.unwrap();
    assert_eq!(connected.leaf_sha256, leaf);

    let authority = Authority::new();
    let trusted = server_of(&authority.issue("leaf", P256));
    let both = ClientTls::new(Roots::CaFile(authority.ca_file()), Some(leaf)).unwrap();
    // Trusted by its chain, and still not the pinned one.
    assert_certificate_refused(connect(&both, &trusted, "mail.example.org").await, "not the pinned one");
}

#[tokio::test]
async fn a_self_made_certificate_can_be_trusted_by_its_file() {
    let dir = tempfile::tempdir().unwrap();
    // Verification of a chain asks the machine's clock.
    let files = self_made(dir.path(), "mail.example.org", now_by_the_clock()).unwrap();
    let store = CertificateStore::load(std::slice::from_ref(&files), now_by_the_clock()).unwrap();
    let server = ServerTls::new("upstream", &store).unwrap();
    let client = ClientTls::new(Roots::CaFile(files.chain), None).unwrap();
    for name in ["mail.example.org", "localhost", "127.0.0.1", "::1"] {
        connect(&client, &server, name).await.unwrap();
    }
}

fn now_by_the_clock() -> pc_types::Timestamp {
    pc_net::Clock::System.now()
}

#[tokio::test]
async fn a_server_without_a_suite_of_the_standard_is_refused() {
    let authority = Authority::new();
    let store = authority.store(&[P256]);
    let foreign: [&[SupportedCipherSuite]; 2] = [
        &[cipher_suite::TLS13_CHACHA20_POLY1305_SHA256],
        &[cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256],
    ];
    for suites in foreign {
        let mut provider = default_provider();
        provider.cipher_suites = suites.to_vec();
        let version = suites[0].version();
        let config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(store.clone()));
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let (near, far) = duplex(64 * 1024);
        let client = trusting(&authority);
        let (connected, accepted) =
            tokio::join!(client.connect(near, "mail.example.org", DEADLINE), acceptor.accept(far));
        assert_eq!(connected.unwrap_err().code(), "handshake");
        assert!(accepted.is_err());
    }
}

#[tokio::test]
async fn sessions_resume_with_the_same_client_only() {
    let authority = Authority::new();
    let server = server_of(&authority.issue("leaf", P256));
    let client = trusting(&authority);
    let mut kinds = Vec::new();
    for client in [&client, &client, &trusting(&authority)] {
        let (near, far) = duplex(64 * 1024);
        let (connected, accepted) =
            tokio::join!(client.connect(near, "mail.example.org", DEADLINE), server.accept(far, DEADLINE));
        let (mut connected, mut accepted) = (connected.unwrap(), accepted.unwrap());
        kinds.push(connected.handshake);
        // Reading to the end takes the tickets in.
        accepted.stream.shutdown().await.unwrap();
        connected.stream.read_to_end(&mut Vec::new()).await.unwrap();
    }
    assert_eq!(kinds, [Handshake::Full, Handshake::Resumed, Handshake::Full]);
}

#[tokio::test]
async fn a_silent_server_runs_into_the_deadline_and_a_leaving_one_is_closed() {
    let authority = Authority::new();
    let client = trusting(&authority);
    let (near, far) = duplex(64 * 1024);
    let outcome = client.connect(near, "mail.example.org", Duration::ZERO).await;
    assert_eq!(outcome.unwrap_err(), ConnectError::Timeout);
    drop(far);
    let (near, far) = duplex(64 * 1024);
    drop(far);
    let outcome = client.connect(near, "mail.example.org", DEADLINE).await;
    assert_eq!(outcome.unwrap_err(), ConnectError::Closed);
}

#[tokio::test]
async fn a_name_that_is_none_is_refused_before_anything_is_sent() {
    let authority = Authority::new();
    let (near, mut far) = duplex(64 * 1024);
    let outcome = trusting(&authority).connect(near, "mail example\r\n", DEADLINE).await;
    assert_eq!(outcome.unwrap_err(), ConnectError::Name("mail example\\x0d\\x0a".to_owned()));
    assert_eq!(far.read(&mut [0]).await.unwrap(), 0);
}

#[test]
fn a_file_without_roots_is_refused_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    for path in [empty, dir.path().join("none.pem")] {
        let error = ClientTls::new(Roots::Both(path.clone()), None).unwrap_err();
        assert!(error.to_string().contains(&*path.to_string_lossy()), "{error}");
    }
}
