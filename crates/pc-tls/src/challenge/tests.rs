use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::io::{AsyncReadExt as _, duplex};
use x509_parser::prelude::FromDer as _;

use super::*;
use crate::fixture::{Authority, DEADLINE, P256, RSA, now};
use crate::standard::{PROTOCOL_VERSIONS, shared_provider};
use crate::{CertificateStore, Refusal, ServerTls, inspect};

/// As an authority looks: it takes any certificate and judges it afterwards.
#[derive(Debug)]
struct TakesAll;

impl ServerCertVerifier for TakesAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::RSA_PSS_SHA256]
    }
}

const DIGEST: [u8; 32] = [7; 32];

fn listener(authority: &Authority, challenges: &Challenges) -> ServerTls {
    let store = authority.store(&[RSA]);
    ServerTls::with_protocols("https", &store, &["http/1.1"]).unwrap().answering(challenges)
}

/// What the listener made of it, and the leaf and protocol that the client saw, or its error; after a handshake nothing
/// may come.
async fn look(
    server: &ServerTls,
    name: &str,
    protocols: &[&str],
) -> (Option<Refusal>, Result<(Vec<u8>, Option<Vec<u8>>), String>) {
    let (near, far) = duplex(64 * 1024);
    let mut config = ClientConfig::builder_with_provider(shared_provider())
        .with_protocol_versions(PROTOCOL_VERSIONS)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TakesAll))
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let client = async {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut stream = connector.connect(name, near).await.map_err(|error| error.to_string())?;
        let connection = stream.get_ref().1;
        let leaf = connection.peer_certificates().unwrap()[0].to_vec();
        let protocol = connection.alpn_protocol().map(<[u8]>::to_vec);
        if protocol.as_deref() == Some(PROTOCOL.as_bytes()) {
            assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0, "nothing is said over it");
        }
        Ok((leaf, protocol))
    };
    let (accepted, seen) = tokio::join!(server.accept(far, DEADLINE), client);
    (accepted.err().map(|(refusal, _)| refusal), seen)
}

#[tokio::test]
async fn an_authority_sees_the_proof_of_a_name_and_the_connection_ends() {
    let (authority, challenges) = (Authority::new(), Challenges::default());
    let server = listener(&authority, &challenges);
    let published = challenges.publish(&"mail.example.org".parse().unwrap(), &DIGEST).unwrap();
    let (refusal, seen) = look(&server, "mail.example.org", &[PROTOCOL]).await;
    assert_eq!(refusal, Some(Refusal::ChallengeAnswered));
    let (leaf, protocol) = seen.unwrap();
    assert_eq!(protocol.as_deref(), Some(PROTOCOL.as_bytes()));
    let (_, parsed) = x509_parser::certificate::X509Certificate::from_der(&leaf).unwrap();
    // RFC 8737 3: the identifier is critical, an OCTET STRING of the digest.
    let extension = parsed.extensions().iter().find(|one| one.oid.to_id_string() == "1.3.6.1.5.5.7.1.31");
    let extension = extension.unwrap();
    assert!(extension.critical);
    assert_eq!(extension.value, [&[4, 32][..], &DIGEST].concat());
    let names = parsed.subject_alternative_name().unwrap().unwrap();
    assert_eq!(names.value.general_names.len(), 1);
    drop(published);
    let (refusal, seen) = look(&server, "mail.example.org", &[PROTOCOL]).await;
    assert_eq!(refusal.unwrap().code(), "handshake");
    assert!(seen.unwrap_err().contains("NoApplicationProtocol"));
}

#[tokio::test]
async fn nobody_else_sees_it() {
    let (authority, challenges) = (Authority::new(), Challenges::default());
    let server = listener(&authority, &challenges);
    let _published = challenges.publish(&"mail.example.org".parse().unwrap(), &DIGEST).unwrap();
    let (_, other_name) = look(&server, "mx.example.org", &[PROTOCOL]).await;
    assert!(other_name.unwrap_err().contains("NoApplicationProtocol"));
    let own = server.certificates().leaf_sha256();
    for protocols in [&["http/1.1"][..], &[PROTOCOL, "http/1.1"], &["http/1.1", PROTOCOL]] {
        let (_, seen) = look(&server, "mail.example.org", protocols).await;
        let (leaf, protocol) = seen.unwrap();
        assert_eq!(protocol.as_deref(), Some(&b"http/1.1"[..]), "{protocols:?}");
        assert_eq!([pc_types::sha256(&leaf)].as_slice(), own, "{protocols:?}");
    }
    // A listener that was not told to answer, such as that of SMTP, knows nothing of it.
    let smtp = ServerTls::new("smtp", &authority.store(&[RSA])).unwrap();
    let (_, seen) = look(&smtp, "mail.example.org", &[PROTOCOL]).await;
    let (leaf, protocol) = seen.unwrap();
    assert_eq!((protocol, vec![pc_types::sha256(&leaf)]), (None, smtp.certificates().leaf_sha256()));
}

#[test]
fn a_request_has_its_names_and_a_key_of_its_own() {
    let names: Vec<Domain> =
        ["mail.example.org", "mx.example.org"].map(|name| name.parse().unwrap()).to_vec();
    let (one, other) = (signing_request(&names).unwrap(), signing_request(&names).unwrap());
    assert_ne!(one.key_pem, other.key_pem);
    assert!(one.key_pem.contains("PRIVATE KEY"));
    for name in ["mail.example.org", "mx.example.org"] {
        assert!(one.der.windows(name.len()).any(|part| part == name.as_bytes()), "{name}");
    }
    assert!(signing_request(&[]).is_err());
}

#[test]
fn a_managed_certificate_never_stands_before_one_of_the_operators() {
    let authority = Authority::new();
    let (own, managed) = (authority.issue("own", RSA), authority.issue("managed", P256));
    let store = CertificateStore::load_with_managed(
        std::slice::from_ref(&own),
        std::slice::from_ref(&managed),
        now(),
    )
    .unwrap();
    let own = inspect(&own, now()).unwrap().leaf_sha256;
    // Both are for this name: the operator's counts, although clients prefer ECDSA.
    assert_eq!(store.leaves_for(["mail.example.org"]), [own]);
    // A listener with both passes its own check by handshakes in memory.
    assert!(ServerTls::new("https", &store).is_ok());
}

#[tokio::test]
async fn a_client_that_can_use_both_is_shown_the_operators() {
    let authority = Authority::new();
    let (own, managed) = (authority.issue("own", RSA), authority.issue("managed", P256));
    let store = CertificateStore::load_with_managed(std::slice::from_ref(&own), &[managed], now()).unwrap();
    let server = ServerTls::with_protocols("https", &store, &["http/1.1"]).unwrap();
    for name in ["mail.example.org", "unknown.example.com"] {
        let (_, seen) = look(&server, name, &["http/1.1"]).await;
        assert_eq!(pc_types::sha256(&seen.unwrap().0), inspect(&own, now()).unwrap().leaf_sha256, "{name}");
    }
}

#[test]
fn a_managed_certificate_that_has_ended_stays_and_keeps_no_new_files_out() {
    use crate::fixture::{parameters, valid_between};
    let authority = Authority::new();
    let own = authority.issue_with("own", RSA, parameters(&["mail.example.org"]));
    let managed = authority.issue_with("managed", P256, valid_between((2026, 11, 1), (2026, 12, 1)));
    let store = CertificateStore::load_with_managed(
        std::slice::from_ref(&own),
        std::slice::from_ref(&managed),
        now(),
    )
    .unwrap();
    let before = store.leaf_sha256();
    authority.issue_with("own", RSA, parameters(&["mail.example.org"]));
    let later = "2027-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(store.reload(later).unwrap(), crate::Reloaded::Swapped);
    let after = store.leaf_sha256();
    assert_ne!(before[0], after[0]);
    assert_eq!(before[1], after[1]);
}

#[test]
fn managed_certificates_are_replaced_as_a_whole_or_not_at_all() {
    let authority = Authority::new();
    let dir = tempfile::tempdir().unwrap();
    let names: Vec<Domain> =
        ["mail.example.org", "mx.example.org"].map(|name| name.parse().unwrap()).to_vec();
    let first = crate::self_made_for(dir.path(), &names, now()).unwrap();
    assert_eq!(inspect(&first, now()).unwrap().names, ["mail.example.org", "mx.example.org"]);
    let store = CertificateStore::load_with_managed(&[], &[first], now()).unwrap();
    store.require(["mx.example.org".to_owned()]).unwrap();
    let before = store.leaf_sha256();
    // It leaves out a name that is served.
    let lacking = authority.issue("lacking", P256);
    assert!(store.set_managed(lacking, now()).is_err());
    assert_eq!(store.leaf_sha256(), before);
    let fit = authority.issue_with(
        "fit",
        P256,
        crate::fixture::parameters(&["mail.example.org", "mx.example.org"]),
    );
    assert_eq!(store.set_managed(fit.clone(), now()).unwrap(), crate::Reloaded::Swapped);
    assert_eq!(store.leaf_sha256(), [inspect(&fit, now()).unwrap().leaf_sha256]);
}
