use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use pc_types::time::add_days;
use rcgen::{CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, KeyUsagePurpose};

use super::*;
use crate::fixture::{Authority, ED25519, P256, P384, P521, RSA, now, parameters, valid_between};
use crate::limits::CHAIN_OCTETS_MAX;

fn load(files: &CertificateFiles) -> Result<CertificateStore, CertificateError> {
    CertificateStore::load(std::slice::from_ref(files), now())
}

/// The error names one of the files.
fn assert_names_a_file(error: &CertificateError, files: &CertificateFiles) {
    let text = error.to_string();
    let named = |path: &Path| text.contains(&*path.to_string_lossy());
    assert!(named(&files.chain) || named(&files.key), "{text}");
}

#[test]
fn a_loaded_store_says_what_it_serves() {
    let authority = Authority::new();
    let files = authority.issue_with("leaf", P256, valid_between((2026, 1, 1), (2027, 2, 3)));
    let store = load(&files).unwrap();
    assert_eq!(store.names(), ["mail.example.org"]);
    assert_eq!(store.not_after().to_string(), "2027-02-03T00:00:00Z");
    let [summary] = store.certificates().try_into().unwrap();
    assert_eq!(summary.key, KeyKind::Ecdsa);
    assert_eq!(store.leaf_sha256(), [summary.leaf_sha256]);
    assert!(!store.changed());
}

#[test]
fn each_kind_of_key_of_the_standard_is_taken() {
    let authority = Authority::new();
    for (algorithm, kind) in [(P256, KeyKind::Ecdsa), (P384, KeyKind::Ecdsa), (RSA, KeyKind::Rsa)] {
        let store = load(&authority.issue("leaf", algorithm)).unwrap();
        assert_eq!(store.certificates()[0].key, kind);
    }
}

#[test]
fn keys_outside_the_standard_are_refused() {
    let authority = Authority::new();
    for algorithm in [P521, ED25519] {
        let files = authority.issue("leaf", algorithm);
        let error = load(&files).unwrap_err();
        assert!(matches!(error, CertificateError::KeyUnfit { .. }), "{error}");
        assert_names_a_file(&error, &files);
    }
}

#[test]
fn a_key_of_another_certificate_is_refused_with_both_files() {
    let authority = Authority::new();
    let (one, other) = (authority.issue("one", P256), authority.issue("other", P256));
    let mixed = CertificateFiles { chain: one.chain, key: other.key };
    let error = load(&mixed).unwrap_err();
    assert!(matches!(error, CertificateError::KeyMismatch { .. }), "{error}");
    assert!(error.to_string().contains("one.pem") && error.to_string().contains("other.key"));
}

#[test]
fn the_moment_decides_between_early_valid_and_expired() {
    let authority = Authority::new();
    let files = authority.issue_with("leaf", P256, valid_between((2026, 11, 1), (2026, 12, 1)));
    let at = |moment: &str| CertificateStore::load(std::slice::from_ref(&files), moment.parse().unwrap());
    assert!(at("2026-11-01T00:00:00Z").is_ok());
    assert!(at("2026-12-01T00:00:00Z").is_ok());
    let early = at("2026-10-31T23:59:59Z").unwrap_err();
    assert!(matches!(early, CertificateError::NotYetValid { position: 1, .. }), "{early}");
    let late = at("2026-12-01T00:00:01Z").unwrap_err();
    assert!(matches!(late, CertificateError::Expired { position: 1, .. }), "{late}");
}

#[test]
fn a_certificate_without_names_is_refused() {
    let authority = Authority::new();
    let files = authority.issue_with("leaf", P256, parameters(&[]));
    assert!(matches!(load(&files).unwrap_err(), CertificateError::NoNames { .. }));
}

#[test]
fn files_that_are_missing_empty_or_swapped_are_refused_with_their_name() {
    let authority = Authority::new();
    let good = authority.issue("good", P256);
    let missing = CertificateFiles { chain: good.chain.clone(), key: authority.dir.path().join("none") };
    let swapped = CertificateFiles { chain: good.key.clone(), key: good.chain.clone() };
    let empty = authority.write("empty", "", "");
    let broken = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    let broken = authority.write("broken", broken, "");
    for files in [missing, swapped, empty, broken] {
        let error = load(&files).unwrap_err();
        assert_names_a_file(&error, &files);
    }
    assert!(matches!(CertificateStore::load(&[], now()), Err(CertificateError::NoPairs)));
}

#[test]
fn a_file_over_the_bound_is_not_read_to_its_end() {
    let authority = Authority::new();
    let files = authority.issue("leaf", P256);
    let length = usize::try_from(crate::limits::PEM_OCTETS_MAX).unwrap() + 1;
    fs::write(&files.chain, " ".repeat(length)).unwrap();
    assert!(matches!(load(&files).unwrap_err(), CertificateError::TooLarge { .. }));
}

#[test]
fn a_chain_that_no_handshake_can_carry_is_refused() {
    let authority = Authority::new();
    let with = |octets: usize| {
        let mut leaf = parameters(&["mail.example.org"]);
        leaf.custom_extensions =
            vec![CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 1], vec![0; octets])];
        let files = authority.issue_with("leaf", P256, leaf);
        let chain = fs::read_to_string(&files.chain).unwrap();
        fs::write(&files.chain, format!("{chain}{}", authority.ca_pem())).unwrap();
        files
    };
    assert!(matches!(load(&with(CHAIN_OCTETS_MAX)), Err(CertificateError::TooLarge { .. })));
    // What is let through can be served.
    let large = load(&with(CHAIN_OCTETS_MAX - 1500)).unwrap();
    assert!(crate::ServerTls::new("smtp", &large).is_ok());
}

#[test]
fn a_chain_in_wrong_order_is_refused() {
    let authority = Authority::new();
    let files = authority.issue("leaf", P256);
    let leaf = fs::read_to_string(&files.chain).unwrap();
    fs::write(&files.chain, format!("{leaf}{}", authority.ca_pem())).unwrap();
    assert!(load(&files).is_ok());
    fs::write(&files.chain, format!("{leaf}{leaf}")).unwrap();
    assert!(matches!(load(&files).unwrap_err(), CertificateError::ChainOrder { position: 1, .. }));
}

#[test]
fn a_certificate_for_another_purpose_is_refused() {
    let authority = Authority::new();
    let with = |change: fn(&mut CertificateParams)| {
        let mut parameters = parameters(&["mail.example.org"]);
        change(&mut parameters);
        load(&authority.issue_with("leaf", P256, parameters))
    };
    let client = with(|leaf| leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    assert!(matches!(client, Err(CertificateError::KeyUnfit { .. })));
    let exchange = with(|leaf| leaf.key_usages = vec![KeyUsagePurpose::KeyEncipherment]);
    assert!(matches!(exchange, Err(CertificateError::KeyUnfit { .. })));
    let server = with(|leaf| leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    assert!(server.is_ok());
}

#[test]
fn a_reload_swaps_good_files_in() {
    let authority = Authority::new();
    let files = authority.issue("leaf", P256);
    let store = load(&files).unwrap();
    let before = store.leaf_sha256();
    assert_eq!(store.reload(now()).unwrap(), Reloaded::Unchanged);
    authority.issue("leaf", P384);
    assert!(store.changed());
    assert_eq!(store.reload(now()).unwrap(), Reloaded::Swapped);
    assert_ne!(store.leaf_sha256(), before);
    assert!(!store.changed());
}

#[test]
fn a_reload_of_bad_files_keeps_the_old_certificate() {
    let authority = Authority::new();
    let files = authority.issue("leaf", P256);
    let store = load(&files).unwrap();
    let before = store.leaf_sha256();

    let key = fs::read_to_string(&files.key).unwrap();
    fs::write(&files.key, "half a fi").unwrap();
    assert!(store.changed());
    let error = store.reload(now()).unwrap_err();
    assert!(error.to_string().contains("leaf.key"), "{error}");
    assert_eq!(store.leaf_sha256(), before);
    assert!(!store.changed(), "a bad file is reported once, not at every look");

    fs::remove_file(&files.key).unwrap();
    assert!(store.changed());
    assert!(matches!(store.reload(now()), Err(CertificateError::Read { .. })));

    authority.issue_with("leaf", P256, valid_between((2025, 1, 1), (2025, 12, 1)));
    assert!(matches!(store.reload(now()), Err(CertificateError::Expired { .. })));
    assert_eq!(store.leaf_sha256(), before);

    authority.write("leaf", &fs::read_to_string(&files.chain).unwrap(), &key);
    assert!(matches!(store.reload(now()), Err(CertificateError::Expired { .. })));
    authority.issue("leaf", P256);
    assert_eq!(store.reload(now()).unwrap(), Reloaded::Swapped);
}

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_self_made_certificate_is_for_the_name_and_this_machine() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("tls");
    let files = self_made(&folder, "Mail.Example.ORG", now()).unwrap();
    let store = load(&files).unwrap();
    assert_eq!(store.names(), ["mail.example.org", "localhost", "127.0.0.1", "::1"]);
    assert_eq!(store.certificates()[0].key, KeyKind::Ecdsa);
    assert!(store.not_after() > add_days(now(), 390));
    assert!(store.not_after() < add_days(now(), 398));
    assert_eq!(mode_of(&files.key), 0o600);
    let listed: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(listed.len(), 2, "nothing is left beside: {listed:?}");
}

#[test]
fn a_self_made_certificate_is_used_again_while_it_is_good() {
    let dir = tempfile::tempdir().unwrap();
    let first = load(&self_made(dir.path(), "localhost", now()).unwrap()).unwrap();
    let files = self_made(dir.path(), "127.0.0.1", add_days(now(), 300)).unwrap();
    assert_eq!(load(&files).unwrap().leaf_sha256(), first.leaf_sha256());

    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o644)).unwrap();
    self_made(dir.path(), "localhost", now()).unwrap();
    assert_eq!(mode_of(&files.key), 0o600);

    let late = add_days(now(), 380);
    let renewed = self_made(dir.path(), "localhost", late).unwrap();
    let renewed = CertificateStore::load(&[renewed], late).unwrap();
    assert_ne!(renewed.leaf_sha256(), first.leaf_sha256());

    let named = self_made(dir.path(), "mail.example.org", late).unwrap();
    let named = CertificateStore::load(&[named], late).unwrap();
    assert_ne!(named.leaf_sha256(), renewed.leaf_sha256());
}

#[test]
fn a_self_made_certificate_replaces_a_damaged_one() {
    let dir = tempfile::tempdir().unwrap();
    let files = self_made(dir.path(), "localhost", now()).unwrap();
    fs::write(&files.chain, "").unwrap();
    assert!(load(&self_made(dir.path(), "localhost", now()).unwrap()).is_ok());
}

#[test]
fn a_self_made_certificate_needs_a_name() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["", "a b", "mail..example.org"] {
        let error = self_made(dir.path(), name, now()).unwrap_err();
        assert!(matches!(error, CertificateError::Make { .. }), "{error}");
    }
}

#[test]
fn a_name_that_is_served_must_stay_on_a_certificate() {
    let authority = Authority::new();
    let files = authority.issue_with("leaf", P256, parameters(&["mail.example.org", "eu.example.org"]));
    let store = CertificateStore::load(std::slice::from_ref(&files), now()).unwrap();
    store.require(["mail.example.org".to_owned(), "eu.example.org".to_owned()]).unwrap();
    let missing = store.require(["other.example.org".to_owned()]).unwrap_err();
    assert!(missing.to_string().contains("no certificate is for other.example.org"), "{missing}");
    authority.issue_with("leaf", P256, parameters(&["mail.example.org"]));
    assert!(matches!(store.reload(now()), Err(CertificateError::NameMissing { .. })));
    assert_eq!(store.names(), ["mail.example.org", "eu.example.org"], "the old one stays");
    authority.issue_with("leaf", P256, parameters(&["*.example.org"]));
    assert_eq!(store.reload(now()).unwrap(), Reloaded::Swapped);
    assert_eq!(store.leaves_for(["eu.example.org", "mail.example.org"]), store.leaf_sha256());
    assert_eq!(store.leaves_for(["example.net"]), Vec::<[u8; 32]>::new());
}
