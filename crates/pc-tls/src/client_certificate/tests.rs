use std::path::PathBuf;

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose};
use tokio::io::duplex;

use super::*;
use crate::certificate::CertificateFiles;
use crate::client::ClientTls;
use crate::fixture::{Authority as Issuer, DEADLINE, P256, RSA, parameters, valid_between};
use crate::server::ServerTls;
use crate::stream::Handshake;

fn name(text: &str) -> Domain {
    text.parse().unwrap()
}

fn purposes(purposes: Vec<ExtendedKeyUsagePurpose>) -> CertificateParams {
    let mut parameters = parameters(&["mail.example.net", "*.out.example.net"]);
    parameters.extended_key_usages = purposes;
    parameters
}

/// What a server that trusts `trusted` learns of a client that shows `own`, and how the handshake was made.
async fn judged(issuer: &Issuer, trusted: PathBuf, own: Option<&CertificateFiles>) -> ClientCertificate {
    let clients = ClientCertificates::new(&Roots::CaFile(trusted)).unwrap();
    let server = ServerTls::asking("smtp", &issuer.store(&[P256]), clients).unwrap();
    let roots = Roots::CaFile(issuer.ca_file());
    let client = match own {
        Some(own) => ClientTls::showing(&roots, own).unwrap(),
        None => ClientTls::new(roots, None).unwrap(),
    };
    connect(&server, &client).await.0
}

async fn connect(server: &ServerTls, client: &ClientTls) -> (ClientCertificate, Handshake) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (near, far) = duplex(64 * 1024);
    let (accepted, connected) =
        tokio::join!(server.accept(far, DEADLINE), client.connect(near, "mail.example.org", DEADLINE));
    let (mut accepted, mut connected) = (accepted.unwrap(), connected.unwrap());
    // Tickets come with the first octets.
    accepted.stream.write_all(b"x").await.unwrap();
    accepted.stream.flush().await.unwrap();
    assert_eq!(connected.stream.read_u8().await.unwrap(), b'x');
    (accepted.client, accepted.handshake)
}

#[tokio::test]
async fn a_certificate_under_a_trusted_root_proves_its_names_and_no_others() {
    let issuer = Issuer::new();
    for purpose in [ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth] {
        let own = issuer.issue_with("own", P256, purposes(vec![purpose]));
        let client = judged(&issuer, issuer.ca_file(), Some(&own)).await;
        assert_eq!(client.code(), "verified", "{client:?}");
        for proven in ["mail.example.net", "MAIL.example.net", "gate.out.example.net"] {
            assert!(client.proves(&name(proven)), "{proven}");
        }
        // RFC 9525 6.3: a wildcard stands for one whole label; and the subject's common name is no name.
        for other in ["example.net", "out.example.net", "a.b.out.example.net", "mail.example.org", "leaf"] {
            assert!(!client.proves(&name(other)), "{other}");
        }
    }
}

#[tokio::test]
async fn a_client_without_a_certificate_is_connected_and_proves_nothing() {
    let issuer = Issuer::new();
    let client = judged(&issuer, issuer.ca_file(), None).await;
    assert_eq!(client, ClientCertificate::None);
    assert!(!client.proves(&name("mail.example.net")));
}

#[tokio::test]
async fn what_cannot_be_verified_is_connected_and_proves_nothing() {
    let (issuer, stranger) = (Issuer::new(), Issuer::new());
    let mut expired = valid_between((2020, 1, 1), (2021, 1, 1));
    expired.subject_alt_names = parameters(&["mail.example.net"]).subject_alt_names;
    let cases = [
        ("issued by a stranger", stranger.issue("own", P256)),
        ("expired", issuer.issue_with("expired", RSA, expired)),
        ("for code", issuer.issue_with("code", P256, purposes(vec![ExtendedKeyUsagePurpose::CodeSigning]))),
    ];
    for (what, own) in cases {
        let client = judged(&issuer, issuer.ca_file(), Some(&own)).await;
        assert!(
            matches!(&client, ClientCertificate::Unverified { reason } if !reason.is_empty()),
            "{what}: {client:?}"
        );
        assert!(!client.proves(&name("mail.example.net")), "{what}");
    }
}

#[tokio::test]
async fn what_was_proven_holds_in_a_resumed_session() {
    let issuer = Issuer::new();
    let own = issuer.issue_with("own", P256, purposes(vec![ExtendedKeyUsagePurpose::ClientAuth]));
    let clients = ClientCertificates::new(&Roots::CaFile(issuer.ca_file())).unwrap();
    let server = ServerTls::asking("smtp", &issuer.store(&[P256]), clients).unwrap();
    let client = ClientTls::showing(&Roots::CaFile(issuer.ca_file()), &own).unwrap();
    let (first, handshake) = connect(&server, &client).await;
    assert_eq!(handshake, Handshake::Full);
    let (second, handshake) = connect(&server, &client).await;
    assert_eq!(handshake, Handshake::Resumed);
    assert_eq!(first, second);
    assert!(second.proves(&name("mail.example.net")));
}

#[tokio::test]
async fn a_listener_that_does_not_ask_learns_nothing() {
    let issuer = Issuer::new();
    let own = issuer.issue_with("own", P256, purposes(vec![ExtendedKeyUsagePurpose::ClientAuth]));
    let server = ServerTls::new("smtp", &issuer.store(&[P256])).unwrap();
    let client = ClientTls::showing(&Roots::CaFile(issuer.ca_file()), &own).unwrap();
    assert_eq!(connect(&server, &client).await.0, ClientCertificate::None);
}
