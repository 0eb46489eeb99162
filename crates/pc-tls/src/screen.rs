use crate::client_hello::{ClientHello, FALLBACK_SCSV};
use crate::refusal::Refusal;
use crate::standard::{KeyKind, TLS12, TLS13, standard};

/// Refuses what the TLS library would refuse too, but says why and with the alert of the RFC. The
/// library answers most old clients with a bare handshake_failure.
pub(crate) fn screen(hello: &ClientHello, keys: &[KeyKind]) -> Result<(), Refusal> {
    let version = hello.common_version().ok_or(Refusal::OldVersion)?;
    // RFC 7507 3. A client older than TLS 1.2 has got protocol_version above, which the RFC allows.
    if version != TLS13 && hello.cipher_suites.contains(&FALLBACK_SCSV) {
        return Err(Refusal::FallbackScsv);
    }
    let served = |key: Option<KeyKind>| key.is_none_or(|kind| keys.contains(&kind));
    let suites = hello.common_suites();
    // The version is settled before the suite, RFC 8446 4.1.1: a suite of TLS 1.2 does not help a
    // client that gets TLS 1.3.
    if !suites.iter().any(|suite| suite.version == version && served(suite.key)) {
        return Err(Refusal::NoCommonSuite);
    }
    let usable = |group: &&crate::standard::Group| version != TLS12 || group.tls12;
    if !standard().groups.iter().filter(usable).any(|group| hello.groups.contains(&group.code)) {
        return Err(Refusal::NoCommonSuite);
    }
    // Without the extension RFC 5246 7.4.1.4.1 means SHA-1, RFC 8446 4.2.3 demands it.
    if hello.signature_algorithms.is_empty() {
        return Err(Refusal::NoCommonSuite);
    }
    Ok(())
}
