use super::*;
use crate::tests::store;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn one(tenant: &str, host: &str, when: &str) -> StoredAttestation {
    StoredAttestation {
        attestation: Attestation {
            tenant: tenant.into(),
            host: host.parse().unwrap(),
            build: "15.1.2507.39".parse().unwrap(),
            at: at(when),
            nonce: "0".repeat(32),
        },
        received_at: at(when),
        address: Some("192.0.2.7".parse().unwrap()),
    }
}

/// Admits it where the last of its host is the one that is meant.
fn is(last: Option<&Attestation>, want: Option<&Attestation>) -> Result<(), AttestationRefusal> {
    if last == want { Ok(()) } else { Err(AttestationRefusal::Replayed) }
}

#[tokio::test]
async fn the_last_of_each_host_is_kept_and_survives_a_restart() {
    let (folder, store) = store().await;
    let book = AttestationBook::load(&store).await.unwrap();
    let first = one("example", "ex01.example.net", "2026-11-26T12:00:00Z");
    book.take(first.clone(), |last| is(last, None)).await.unwrap();
    let other = one("other", "ex01.example.net", "2026-11-26T12:00:00Z");
    book.take(other.clone(), |last| is(last, None)).await.unwrap();
    let second =
        StoredAttestation { address: None, ..one("example", "ex01.example.net", "2026-11-26T13:00:00Z") };
    book.take(second.clone(), |last| is(last, Some(&first.attestation))).await.unwrap();
    let refused = book.take(first, |_| Err(AttestationRefusal::Replayed)).await.unwrap_err();
    assert!(matches!(refused, AttestationError::Refused(AttestationRefusal::Replayed)));
    assert_eq!(book.all(), [second, other]);
    let before = book.all();
    drop(book);
    store.close().await;
    let store = Store::open(&folder.path().join("portcullis.db")).await.unwrap();
    assert_eq!(AttestationBook::load(&store).await.unwrap().all(), before);
}

#[tokio::test]
async fn a_tenant_fills_its_own_room_only_and_what_may_still_be_replayed_stays() {
    let (_folder, store) = store().await;
    let book = AttestationBook::load(&store).await.unwrap();
    let full = (0..ATTESTED_HOSTS_MAX)
        .map(|number| placed(one("example", &format!("ex{number}.example.net"), "2026-11-26T12:00:00Z")));
    *book.lock() = Arc::new(full.collect());
    let more = one("example", "more.example.net", "2026-11-28T12:00:00Z");
    let refused = book.take(more, |_| Ok(())).await.unwrap_err();
    assert!(matches!(refused, AttestationError::Refused(AttestationRefusal::NoRoom)), "{refused:?}");
    book.take(one("other", "more.example.net", "2026-11-28T12:00:00Z"), |_| Ok(())).await.unwrap();
    book.take(one("example", "ex5.example.net", "2026-11-28T12:00:00Z"), |_| Ok(())).await.unwrap();
    book.take(one("example", "more.example.net", "2026-11-28T12:00:01Z"), |_| Ok(())).await.unwrap();
    assert_eq!(book.all().len(), ATTESTED_HOSTS_MAX + 1, "the oldest gave way");
}
