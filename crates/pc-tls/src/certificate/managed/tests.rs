use std::{fs, io};

use super::*;
use crate::fixture::{Authority, P256, RSA, now, parameters, valid_between};

/// A store with one pair of the operator and one managed pair.
fn store(authority: &Authority) -> (CertificateStore, CertificateFiles, CertificateFiles) {
    let own = authority.issue_with("own", RSA, valid_between((2026, 11, 1), (2026, 12, 1)));
    let managed = authority.issue_with("managed", P256, parameters(&["mx.example.org"]));
    let one = std::slice::from_ref;
    let store = CertificateStore::load_with_managed(one(&own), one(&managed), now()).unwrap();
    (store, own, managed)
}

fn leaf(files: &CertificateFiles) -> [u8; 32] {
    super::super::inspect(files, now()).unwrap().leaf_sha256
}

#[test]
fn what_is_not_fit_is_not_kept_and_changes_nothing() {
    let authority = Authority::new();
    let (store, _, _) = store(&authority);
    store.require(["mx.example.org".to_owned()]).unwrap();
    let before = store.leaf_sha256();
    let one = authority.issue("one", P256);
    let mixed = CertificateFiles { chain: authority.issue("other", P256).chain, key: one.key };
    let lacking = authority.issue_with("lacking", P256, parameters(&["eu.example.org"]));
    let ended = authority.issue_with("ended", P256, valid_between((2026, 1, 1), (2026, 2, 1)));
    for files in [mixed, lacking, ended] {
        let taken = store.adopt(&files, now(), || panic!("{files:?} is kept"));
        assert!(taken.is_err(), "{files:?}");
        assert_eq!(store.leaf_sha256(), before);
        assert!(!store.changed());
    }
}

#[test]
fn what_cannot_be_kept_is_not_served() {
    let authority = Authority::new();
    let (store, _, managed) = store(&authority);
    let before = store.leaf_sha256();
    let fresh = authority.issue_with("fresh", P256, parameters(&["mx.example.org"]));
    let full = || {
        let source = io::Error::from(io::ErrorKind::StorageFull);
        Err(CertificateError::Write { path: managed.chain.clone(), source })
    };
    assert!(matches!(store.adopt(&fresh, now(), full), Err(CertificateError::Write { .. })));
    assert_eq!(store.leaf_sha256(), before);
    assert_eq!(store.reload(now()).unwrap(), Reloaded::Unchanged);
}

#[test]
fn what_is_kept_is_served_from_there_and_reloaded_from_there() {
    let authority = Authority::new();
    let (store, _, managed) = store(&authority);
    let fresh = authority.issue_with("fresh", P256, parameters(&["mx.example.org"]));
    let leaf_of_fresh = leaf(&fresh);
    let kept = CertificateFiles { chain: authority.dir.path().join("kept.pem"), key: managed.key.clone() };
    let keep = || {
        fs::rename(&fresh.chain, &kept.chain).unwrap();
        fs::rename(&fresh.key, &kept.key).unwrap();
        Ok(kept.clone())
    };
    assert_eq!(store.adopt(&fresh, now(), keep).unwrap(), Reloaded::Swapped);
    let served = store.certificates().pop().unwrap();
    assert_eq!((served.leaf_sha256, &served.chain), (leaf_of_fresh, &kept.chain));
    assert!(!store.changed());
    assert_eq!(store.reload(now()).unwrap(), Reloaded::Unchanged);
    let next = authority.issue_with("next", P256, parameters(&["mx.example.org"]));
    fs::copy(&next.chain, &kept.chain).unwrap();
    fs::copy(&next.key, &kept.key).unwrap();
    assert!(store.changed());
    assert_eq!(store.reload(now()).unwrap(), Reloaded::Swapped);
    assert_eq!(store.leaf_sha256().pop(), Some(leaf(&next)));
}

#[test]
fn files_of_the_operator_that_are_bad_at_the_moment_keep_no_managed_pair_out() {
    let authority = Authority::new();
    let (store, own, _) = store(&authority);
    let before = store.leaf_sha256();
    fs::write(&own.key, "half a fi").unwrap();
    let fresh = authority.issue_with("fresh", P256, parameters(&["mx.example.org"]));
    // The operator's own one has ended, too.
    let later = "2026-12-24T00:00:00Z".parse().unwrap();
    assert_eq!(store.set_managed(fresh.clone(), later).unwrap(), Reloaded::Swapped);
    assert_eq!(store.leaf_sha256(), [before[0], leaf(&fresh)]);
    assert!(store.changed(), "that the operator's file was written is still to be told");
    assert!(store.reload(now()).is_err());
}

#[test]
fn a_managed_pair_that_cannot_be_read_is_no_success() {
    let authority = Authority::new();
    let (store, _, managed) = store(&authority);
    fs::write(&managed.chain, "half a fi").unwrap();
    assert!(store.set_managed(managed, now()).is_err());
}
