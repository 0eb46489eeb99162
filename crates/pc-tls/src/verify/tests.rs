use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};
use rustls::server::{NoServerSessionStorage, ProducesTickets};

use super::*;
use crate::TlsError;
use crate::certificate::CertificateStore;
use crate::fixture::{Authority, P256, RSA};
use crate::server::ServerTls;
use crate::standard::{PROTOCOL_VERSIONS, provider};

/// The standard's configuration over another provider.
fn config_over(store: &CertificateStore, provider: CryptoProvider) -> ServerConfig {
    let good = server_config(Arc::new(store.clone()), &[], None).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(PROTOCOL_VERSIONS)
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(store.clone()));
    config.ignore_client_order = true;
    config.session_storage = good.session_storage;
    config.ticketer = good.ticketer;
    config
}

#[track_caller]
fn assert_refused(store: &CertificateStore, config: ServerConfig, part: &str) {
    match ServerTls::checked("smtp", store, config) {
        Err(TlsError::Standard { listener, violation }) => {
            assert_eq!(listener, "smtp");
            assert!(violation.contains(part), "{violation}");
        }
        other => panic!("{other:?}"),
    }
}

fn ecdsa_store() -> (Authority, CertificateStore) {
    let authority = Authority::new();
    let store = authority.store(&[P256]);
    (authority, store)
}

#[test]
fn the_standard_passes_with_each_kind_of_certificate_and_with_both() {
    let authority = Authority::new();
    for algorithms in [&[P256][..], &[RSA], &[P256, RSA], &[RSA, P256]] {
        ServerTls::new("smtp", &authority.store(algorithms)).unwrap();
    }
}

#[test]
fn the_unchanged_standard_over_its_own_provider_passes() {
    let (_authority, store) = ecdsa_store();
    let config = config_over(&store, provider());
    ServerTls::checked("smtp", &store, config).unwrap();
}

#[test]
fn a_further_suite_is_found() {
    let (_authority, store) = ecdsa_store();
    for (suite, name) in [
        (cipher_suite::TLS13_CHACHA20_POLY1305_SHA256, "TLS13_CHACHA20"),
        (cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, "ECDSA_WITH_CHACHA20"),
    ] {
        let mut weakened = provider();
        weakened.cipher_suites.push(suite);
        assert_refused(&store, config_over(&store, weakened), name);
    }
}

#[test]
fn the_librarys_defaults_are_found_to_differ() {
    let (_authority, store) = ecdsa_store();
    assert_refused(&store, config_over(&store, aws_lc_rs::default_provider()), "CHACHA20");
}

#[test]
fn a_missing_suite_is_found() {
    let (_authority, store) = ecdsa_store();
    for suite in standard().suites.iter().filter(|suite| suite.key != Some(KeyKind::Rsa)) {
        let lacking = provider_of(|kept| kept != suite, |_| true);
        assert_refused(&store, config_over(&store, lacking), suite.name);
    }
}

#[test]
fn another_order_of_suites_is_found() {
    let (_authority, store) = ecdsa_store();
    let mut turned = provider();
    turned.cipher_suites.reverse();
    assert_refused(&store, config_over(&store, turned), "server's order");
}

#[test]
fn the_clients_order_is_found() {
    let (_authority, store) = ecdsa_store();
    let mut config = config_over(&store, provider());
    config.ignore_client_order = false;
    assert_refused(&store, config, "server's order");
}

#[test]
fn a_missing_or_further_group_is_found() {
    let (_authority, store) = ecdsa_store();
    for group in standard().groups {
        let lacking = provider_of(|_| true, |kept| kept != group);
        assert_refused(&store, config_over(&store, lacking), group.name);
    }
    let mut weakened = provider();
    weakened.kx_groups.push(kx_group::MLKEM768);
    assert_refused(&store, config_over(&store, weakened), "group");
}

#[test]
fn a_missing_version_is_found() {
    let (_authority, store) = ecdsa_store();
    for (version, name) in [(&rustls::version::TLS12, "TLS_AES"), (&rustls::version::TLS13, "TLS_ECDHE")] {
        let config = ServerConfig::builder_with_provider(Arc::new(provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(store.clone()));
        assert_refused(&store, config, name);
    }
}

#[test]
fn early_data_is_found() {
    let (_authority, store) = ecdsa_store();
    let mut config = config_over(&store, provider());
    config.max_early_data_size = 1024;
    assert_refused(&store, config, "early data");
}

#[test]
fn missing_resumption_is_found() {
    #[derive(Debug)]
    struct NoTickets;
    impl ProducesTickets for NoTickets {
        fn enabled(&self) -> bool {
            false
        }
        fn lifetime(&self) -> u32 {
            0
        }
        fn encrypt(&self, _plain: &[u8]) -> Option<Vec<u8>> {
            None
        }
        fn decrypt(&self, _cipher: &[u8]) -> Option<Vec<u8>> {
            None
        }
    }
    let (_authority, store) = ecdsa_store();
    let mut config = config_over(&store, provider());
    config.ticketer = Arc::new(NoTickets);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    assert_refused(&store, config, "not resumed");
}

#[test]
fn probes_that_offer_the_standard_are_answered() {
    // Otherwise their refusal would prove nothing.
    let (_authority, store) = ecdsa_store();
    let config = Arc::new(config_over(&store, provider()));
    let loaded = store.loaded();
    let subject = Subject { config: &config, keys: loaded.key_kinds(), leaves: loaded.leaves() };
    for probe in [Probe::tls12(), Probe::tls13()] {
        assert!(subject.is_refused_by_library(&probe, "nothing").unwrap_err().contains("is accepted"));
        assert!(subject.is_refused(&probe, "nothing").unwrap_err().contains("screening"));
    }
}
