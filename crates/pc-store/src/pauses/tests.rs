use pc_enforce::{PauseRequest, end, grant, stop};
use pc_types::Timestamp;

use super::*;
use crate::tests::store;

#[tokio::test]
async fn pauses_hold_for_their_tenant_stops_for_all_and_both_survive_a_restart() {
    let (folder, store) = store().await;
    let book = PauseBook::load(&store).await.unwrap();
    let now: Timestamp = "2026-03-23T10:00:00Z".parse().unwrap();
    assert!(book.of(Some("example")).is_empty() && book.of(None).is_empty());
    let request = |days| PauseRequest {
        tenant: "example".into(),
        days,
        from: None,
        reason: "migration".into(),
        owner: "cli".into(),
    };
    let first = book.change(|all, number| grant(all, request(10), number, now)).await.unwrap();
    let refused = book.change(|all, number| grant(all, request(90), number, now)).await.unwrap_err();
    assert!(matches!(refused, PauseChangeError::Refused(PauseRefusal::Budget { .. })), "{refused:?}");
    assert_eq!(
        (book.of(Some("example")).len(), book.of(Some("other")).len(), book.of(None).len()),
        (1, 0, 0)
    );
    book.change(|_, number| Ok(stop("fault".into(), "cli".into(), number, now))).await.unwrap();
    assert_eq!(
        (book.of(Some("example")).len(), book.of(Some("other")).len(), book.of(None).len()),
        (2, 1, 1)
    );
    book.change(|all, _| end(all, first.number, now)).await.unwrap();
    let before = book.all();
    assert_eq!(before.iter().map(|pause| pause.number).collect::<Vec<_>>(), [1, 2]);
    drop(book);
    store.close().await;
    let store = Store::open(&folder.path().join("portcullis.db")).await.unwrap();
    assert_eq!(PauseBook::load(&store).await.unwrap().all(), before);
}
