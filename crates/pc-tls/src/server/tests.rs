use std::io::Write as _;
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12 as V12, TLS13 as V13};
use rustls::{ClientConfig, ClientConnection, HandshakeKind};
use tokio::io::{AsyncReadExt as _, DuplexStream, duplex};

use super::*;
use crate::fixture::{Authority, DEADLINE, P256, RSA, client_config, now};
use crate::standard::{KeyKind, TLS13, provider, provider_of};
use crate::verify::Probe;

const PIPE_OCTETS: usize = 64 * 1024;

fn listener(authority: &Authority) -> ServerTls {
    ServerTls::new("smtp", &authority.store(&[P256])).unwrap()
}

/// Sends raw octets, then gives what came back until the end, and the outcome.
async fn send_raw(server: &ServerTls, octets: &[u8]) -> (Vec<u8>, Refusal, Option<Box<ClientHello>>) {
    let (mut near, far) = duplex(PIPE_OCTETS);
    near.write_all(octets).await.unwrap();
    let (refusal, hello) = server.accept(far, DEADLINE).await.unwrap_err();
    let mut answer = Vec::new();
    near.read_to_end(&mut answer).await.unwrap();
    (answer, refusal, hello)
}

#[track_caller]
fn assert_alert(answer: &[u8], version: [u8; 2], alert: u8) {
    assert_eq!(answer, [21, version[0], version[1], 0, 2, 2, alert]);
}

#[tokio::test]
async fn old_clients_get_protocol_version_in_their_own_version_and_are_reported() {
    let authority = Authority::new();
    let server = listener(&authority);
    for version in [0x0300, 0x0301, 0x0302] {
        let probe = Probe { hello_version: version, ..Probe::tls12() };
        let (answer, refusal, hello) = send_raw(&server, &probe.record()).await;
        assert_alert(&answer, version.to_be_bytes(), 70);
        assert_eq!(refusal, Refusal::OldVersion);
        assert_eq!(hello.unwrap().effective_version(), version);
    }
}

#[tokio::test]
async fn an_old_client_without_signature_algorithms_is_told_its_version_too() {
    // What OpenSSL and Schannel send below TLS 1.2; the library alone would answer handshake_failure.
    let authority = Authority::new();
    let probe = Probe { hello_version: 0x0301, signature_algorithms: Vec::new(), ..Probe::tls12() };
    let (answer, ..) = send_raw(&listener(&authority), &probe.record()).await;
    assert_alert(&answer, [3, 1], 70);
}

#[tokio::test]
async fn a_client_that_fell_back_to_tls_1_2_gets_inappropriate_fallback() {
    let authority = Authority::new();
    let probe = Probe { cipher_suites: vec![0xc02c, 0x5600], ..Probe::tls12() };
    let (answer, refusal, hello) = send_raw(&listener(&authority), &probe.record()).await;
    assert_alert(&answer, [3, 3], 86);
    assert_eq!(refusal, Refusal::FallbackScsv);
    assert!(hello.is_some());
}

#[tokio::test]
async fn a_client_without_a_suite_of_the_standard_gets_handshake_failure() {
    let authority = Authority::new();
    let server = listener(&authority);
    let probes = [
        // RSA key exchange and CBC.
        Probe { cipher_suites: vec![0x009c, 0xc013, 0x002f], ..Probe::tls12() },
        // Only for RSA certificates, of which there is none.
        Probe { cipher_suites: vec![0xc02f, 0xc030], ..Probe::tls12() },
        // TLS 1.3 with ChaCha20 alone is not rescued by a suite of TLS 1.2.
        Probe {
            cipher_suites: vec![0x1303, 0xc02c],
            supported_versions: vec![0x0304, 0x0303],
            ..Probe::tls13()
        },
        Probe { groups: vec![0x0019], ..Probe::tls12() },
        // The hybrid group exists from TLS 1.3 on.
        Probe { groups: vec![0x11ec], ..Probe::tls12() },
        Probe { signature_algorithms: Vec::new(), ..Probe::tls12() },
    ];
    for probe in probes {
        let (answer, refusal, hello) = send_raw(&server, &probe.record()).await;
        assert_alert(&answer, [3, 3], 40);
        assert_eq!(refusal, Refusal::NoCommonSuite);
        assert!(hello.is_some());
    }
}

#[tokio::test]
async fn ssl_2_and_plain_text_are_closed_without_a_word() {
    let authority = Authority::new();
    let server = listener(&authority);
    for (octets, code) in [
        (&b"\x80\x2e\x01\x00\x02"[..], "ssl_v2"),
        (b"GET / HTTP/1.1\r\nHost: mail.example.org\r\n\r\n", "not_tls"),
        (b"EHLO mail.example.org\r\n", "not_tls"),
    ] {
        let (answer, refusal, hello) = send_raw(&server, octets).await;
        assert_eq!((answer.len(), refusal.code(), hello), (0, code, None));
    }
}

#[tokio::test]
async fn malformed_and_oversized_hellos_get_their_alerts() {
    let authority = Authority::new();
    let server = listener(&authority);
    let (answer, refusal, _) = send_raw(&server, &[22, 3, 1, 0, 1, 2]).await;
    assert_alert(&answer, [3, 1], 50);
    assert_eq!(refusal.code(), "malformed");
    let (answer, refusal, _) = send_raw(&server, &[22, 3, 3, 0, 4, 1, 1, 0, 0]).await;
    assert_alert(&answer, [3, 3], 47);
    assert_eq!(refusal, Refusal::TooLarge);
}

#[tokio::test]
async fn a_client_that_leaves_is_closed_not_failed() {
    let authority = Authority::new();
    let server = listener(&authority);
    let record = Probe::tls13().record();
    for octets in [&[][..], &record[..20], &record] {
        let (mut near, far) = duplex(PIPE_OCTETS);
        near.write_all(octets).await.unwrap();
        drop(near);
        let (refusal, hello) = server.accept(far, DEADLINE).await.unwrap_err();
        assert_eq!(refusal, Refusal::Closed);
        assert_eq!(hello.is_some(), octets.len() == record.len());
    }
}

#[tokio::test]
async fn one_deadline_covers_the_hello_and_the_handshake() {
    let authority = Authority::new();
    let server = listener(&authority);
    let record = Probe::tls13().record();
    // The peers stay silent, so that only the deadline can end this.
    for octets in [&[][..], &record[..20], &record] {
        let (mut near, far) = duplex(PIPE_OCTETS);
        near.write_all(octets).await.unwrap();
        let (refusal, hello) = server.accept(far, Duration::ZERO).await.unwrap_err();
        assert_eq!(refusal, Refusal::Timeout);
        assert_eq!(hello.is_some(), octets.len() == record.len());
        drop(near);
    }
}

#[tokio::test]
async fn a_peer_that_does_not_take_its_alert_is_bounded_by_the_deadline() {
    let authority = Authority::new();
    let probe = Probe { hello_version: 0x0301, ..Probe::tls12() };
    let (mut near, far) = duplex(3);
    let stream = tokio::io::join(io::Cursor::new(probe.record()), far);
    let (refusal, hello) = listener(&authority).accept(stream, Duration::ZERO).await.unwrap_err();
    assert_eq!(refusal, Refusal::Timeout);
    assert!(hello.is_some());
    let mut answer = Vec::new();
    near.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, [21, 3, 1]);
}

async fn connect(
    server: &ServerTls,
    config: &Arc<ClientConfig>,
    name: &str,
) -> (Accepted<DuplexStream>, tokio_rustls::client::TlsStream<DuplexStream>) {
    let (near, far) = duplex(PIPE_OCTETS);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
    let (accepted, connected) = tokio::join!(server.accept(far, DEADLINE), connector.connect(name, near));
    (accepted.unwrap(), connected.unwrap())
}

/// Both ways, which also delivers the tickets of TLS 1.3 to the client.
async fn exchange(
    accepted: &mut Accepted<DuplexStream>,
    client: &mut tokio_rustls::client::TlsStream<DuplexStream>,
) {
    let mut four = [0; 4];
    client.write_all(b"ping").await.unwrap();
    client.flush().await.unwrap();
    accepted.stream.read_exact(&mut four).await.unwrap();
    assert_eq!(&four, b"ping");
    accepted.stream.write_all(b"pong").await.unwrap();
    accepted.stream.flush().await.unwrap();
    client.read_exact(&mut four).await.unwrap();
    assert_eq!(&four, b"pong");
}

fn only(code: u16) -> CryptoProvider {
    provider_of(|suite| suite.code == code, |_| true)
}

#[tokio::test]
async fn each_suite_carries_data_and_is_reported_by_its_iana_name() {
    let authority = Authority::new();
    let store = authority.store(&[P256, RSA]);
    let server = ServerTls::new("smtp", &store).unwrap();
    for suite in standard().suites {
        let version = if suite.version == TLS13 { &V13 } else { &V12 };
        let config = client_config(&store, only(suite.code), &[version]);
        let (mut accepted, mut client) = connect(&server, &config, "mail.example.org").await;
        assert_eq!(accepted.suite, suite.name);
        assert_eq!(accepted.version, if suite.version == TLS13 { "TLSv1.3" } else { "TLSv1.2" });
        assert_eq!(accepted.hello.server_name.as_ref().map(|name| name.as_str()), Some("mail.example.org"));
        assert_eq!(accepted.handshake, Handshake::Full);
        exchange(&mut accepted, &mut client).await;
    }
}

#[tokio::test]
async fn a_client_with_suites_for_one_kind_of_key_gets_that_certificate() {
    let authority = Authority::new();
    let store = authority.store(&[P256, RSA]);
    let server = ServerTls::new("smtp", &store).unwrap();
    let [ecdsa, rsa] = store.leaf_sha256().try_into().unwrap();
    let of_key = |key: KeyKind| provider_of(|suite| suite.key.is_none_or(|kind| kind == key), |_| true);
    for versions in [&[&V12][..], &[&V13, &V12]] {
        for (provider, leaf) in
            [(of_key(KeyKind::Ecdsa), ecdsa), (of_key(KeyKind::Rsa), rsa), (provider(), ecdsa)]
        {
            let config = client_config(&store, provider, versions);
            let (_accepted, client) = connect(&server, &config, "mail.example.org").await;
            let shown = client.get_ref().1.peer_certificates().unwrap().first().unwrap();
            assert_eq!(pc_types::sha256(shown), leaf);
        }
    }
}

#[tokio::test]
async fn a_client_that_verifies_rsa_only_gets_the_rsa_certificate() {
    let authority = Authority::new();
    let store = authority.store(&[P256, RSA]);
    let server = ServerTls::new("smtp", &store).unwrap();
    for (template, version) in [(Probe::tls12(), 2), (Probe::tls13(), 3)] {
        // A TLS 1.2 client with RSA schemes alone cannot use an ECDHE-ECDSA suite, though it lists it.
        let probe = Probe { signature_algorithms: vec![0x0804, 0x0401], ..template };
        let config = server_config(Arc::new(server.certificates().clone()), &[], None).unwrap();
        let mut connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        connection.read_tls(&mut probe.record().as_slice()).unwrap();
        connection.process_new_packets().unwrap();
        let suite = connection.negotiated_cipher_suite().unwrap().suite();
        assert_eq!(u16::from(suite), if version == 2 { 0xc030 } else { 0x1302 });
    }
}

#[tokio::test]
async fn the_name_asked_for_chooses_among_certificates() {
    let authority = Authority::new();
    let issue =
        |stem: &str, name: &str| authority.issue_with(stem, P256, crate::fixture::parameters(&[name]));
    let files = [issue("one", "one.example.org"), issue("two", "*.example.net")];
    let store = CertificateStore::load(&files, now()).unwrap();
    let server = ServerTls::new("https", &store).unwrap();
    let [one, two] = store.leaf_sha256().try_into().unwrap();
    for (name, leaf) in [("one.example.org", one), ("www.example.net", two), ("other.example.org", one)] {
        let config = client_config(&store, provider(), &[&V13]);
        let (_accepted, client) = connect(&server, &config, name).await;
        let shown = client.get_ref().1.peer_certificates().unwrap().first().unwrap();
        assert_eq!(pc_types::sha256(shown), leaf, "{name}");
    }
}

#[tokio::test]
async fn sessions_resume_within_a_listener_and_never_across_two() {
    let authority = Authority::new();
    let store = authority.store(&[P256]);
    let (smtp, https) = (ServerTls::new("smtp", &store).unwrap(), ServerTls::new("https", &store).unwrap());
    for versions in [&[&V12], &[&V13]] {
        let config = client_config(&store, provider(), versions);
        for (server, kind) in [
            (&smtp, HandshakeKind::Full),
            (&smtp, HandshakeKind::Resumed),
            (&https, HandshakeKind::Full),
            (&https, HandshakeKind::Resumed),
            (&smtp, HandshakeKind::Full),
        ] {
            let (mut accepted, mut client) = connect(server, &config, "mail.example.org").await;
            exchange(&mut accepted, &mut client).await;
            assert_eq!(client.get_ref().1.handshake_kind(), Some(kind), "{}", server.listener());
            let resumed = kind == HandshakeKind::Resumed;
            assert_eq!(accepted.handshake == Handshake::Resumed, resumed);
        }
    }
}

#[tokio::test]
async fn a_reloaded_certificate_is_shown_to_the_next_client() {
    let authority = Authority::new();
    let store = authority.store(&[P256]);
    let server = ServerTls::new("smtp", &store).unwrap();
    let old = client_config(&store, provider(), &[&V13]);
    let (mut running, mut client) = connect(&server, &old, "mail.example.org").await;
    authority.issue("leaf0", RSA);
    store.reload(now()).unwrap();
    let new = client_config(&store, provider(), &[&V13]);
    connect(&server, &new, "mail.example.org").await;
    exchange(&mut running, &mut client).await;
    server.verify_standard().unwrap();
}

#[tokio::test]
async fn application_protocols_are_agreed_by_the_servers_order() {
    let authority = Authority::new();
    let store = authority.store(&[P256]);
    let server = ServerTls::with_protocols("https", &store, &["h2", "http/1.1"]).unwrap();
    let mut config = client_config(&store, provider(), &[&V13]).as_ref().clone();
    config.alpn_protocols = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
    let (accepted, _client) = connect(&server, &Arc::new(config), "mail.example.org").await;
    assert_eq!(accepted.protocol.as_deref(), Some(&b"h2"[..]));
    let silent = client_config(&store, provider(), &[&V13]);
    let (accepted, _client) = connect(&server, &silent, "mail.example.org").await;
    assert_eq!(accepted.protocol, None);
}

#[tokio::test]
async fn some_names_may_have_other_application_protocols() {
    let authority = Authority::new();
    let store = authority.store(&[P256]);
    let mut config = client_config(&store, provider(), &[&V13]).as_ref().clone();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let config = Arc::new(config);
    for (with_http2, protocol) in [("mail.example.org", &b"h2"[..]), ("other.example.org", b"http/1.1")] {
        let server = ServerTls::with_protocols("https", &store, &["http/1.1"]).unwrap();
        let server = server.with_protocols_for(&["h2", "http/1.1"], move |name| name == with_http2);
        let (accepted, _client) = connect(&server, &config, "mail.example.org").await;
        assert_eq!(accepted.protocol.as_deref(), Some(protocol), "{with_http2}");
    }
}

#[tokio::test]
async fn a_client_that_rejects_the_certificate_is_a_failed_handshake_with_its_hello() {
    let authority = Authority::new();
    let (store, other) = (authority.store(&[P256]), authority.store(&[P256]));
    let server = ServerTls::new("smtp", &store).unwrap();
    let config = client_config(&other, provider(), &[&V12]);
    let (near, far) = duplex(PIPE_OCTETS);
    let name = ServerName::try_from("mail.example.org").unwrap();
    let connector = tokio_rustls::TlsConnector::from(config);
    let (accepted, connected) = tokio::join!(server.accept(far, DEADLINE), connector.connect(name, near));
    assert!(connected.is_err());
    let (refusal, hello) = accepted.unwrap_err();
    assert_eq!(refusal.code(), "handshake");
    assert!(hello.is_some());
}

async fn send_pending(client: &mut ClientConnection, stream: &mut DuplexStream) {
    let mut octets = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut octets).unwrap();
    }
    stream.write_all(&octets).await.unwrap();
}

/// Cuts the records in `octets` into records of `size` octets of fragment.
fn cut_records(octets: &[u8], size: usize) -> Vec<u8> {
    let mut cut = Vec::new();
    for fragment in octets[5..].chunks(size) {
        cut.extend(&octets[..3]);
        cut.extend(u16::try_from(fragment.len()).unwrap().to_be_bytes());
        cut.extend(fragment);
    }
    cut
}

#[tokio::test]
async fn a_hello_in_many_records_and_single_octets_still_shakes_hands() {
    let authority = Authority::new();
    let store = authority.store(&[P256]);
    let server = ServerTls::new("smtp", &store).unwrap();
    for version in [&V12, &V13] {
        let config = client_config(&store, provider(), &[version]);
        let name = ServerName::try_from("mail.example.org").unwrap();
        let mut client = ClientConnection::new(config, name).unwrap();
        let mut hello = Vec::new();
        client.write_tls(&mut hello).unwrap();
        let hello = cut_records(&hello, 33);
        let (mut near, far) = duplex(PIPE_OCTETS);
        let drive = async {
            for octet in hello {
                near.write_all(&[octet]).await.unwrap();
                // Lets the server read the one octet.
                tokio::task::yield_now().await;
            }
            while client.is_handshaking() {
                let mut octets = [0; 4096];
                let count = near.read(&mut octets).await.unwrap();
                let mut unread = &octets[..count];
                assert!(!unread.is_empty(), "the server left");
                while !unread.is_empty() {
                    client.read_tls(&mut unread).unwrap();
                    client.process_new_packets().unwrap();
                }
                send_pending(&mut client, &mut near).await;
            }
            client.writer().write_all(b"done").unwrap();
            send_pending(&mut client, &mut near).await;
            near
        };
        let serve = async {
            let mut accepted = server.accept(far, DEADLINE).await.unwrap();
            let mut four = [0; 4];
            accepted.stream.read_exact(&mut four).await.unwrap();
            assert_eq!(&four, b"done");
        };
        tokio::join!(drive, serve);
    }
}
