use super::*;
use crate::tests::store;
use crate::{DeliveryRow, Writer};

fn row(subject: &str, key: &str, repetition: Repetition) -> NoticeRow {
    NoticeRow {
        at: "2026-11-23T10:00:00Z".parse().unwrap(),
        addressee: "operator".into(),
        subject: subject.into(),
        key: key.into(),
        facts: "{}".into(),
        repetition,
    }
}

#[tokio::test]
async fn nobody_is_told_the_same_twice_and_what_was_told_stays_on_record() {
    let (_folder, store) = store().await;
    let (writer, _task) = Writer::start(store.clone());
    let mut written = writer.news();
    writer.notice(row("t1", "aside t1 at ten", Repetition::EachKey));
    writer.notice(row("t1", "aside t1 at ten", Repetition::EachKey));
    writer.notice(row("t1", "aside t1", Repetition::EachSubject));
    writer.notice(row("t2", "aside t2", Repetition::EachSubject));
    writer.flush().await;
    assert!(written.has_changed().unwrap());
    written.mark_unchanged();
    let waiting = store.waiting_notices("operator", 10).await.unwrap();
    let subjects: Vec<&str> = waiting.iter().map(|notice| notice.subject.as_str()).collect();
    assert_eq!(subjects, ["t1", "t2"]);
    assert_eq!(store.last_told("operator").await.unwrap(), None);

    let now = "2026-11-23T10:01:00Z".parse().unwrap();
    store.notices_handed(&[waiting[0].number], "notice-1", now).await.unwrap();
    assert_eq!(store.waiting_notices("operator", 10).await.unwrap().len(), 1);
    assert_eq!(store.last_told("operator").await.unwrap(), Some(now));
    for (code, detail) in [("queued", "for exchange"), ("delivered", "1 of 1 recipients: 250 OK")] {
        writer.delivery(DeliveryRow {
            trace_id: "notice-1".into(),
            at: now,
            code: code.into(),
            detail: detail.into(),
            outcome: None,
        });
    }
    writer.flush().await;
    assert!(!written.has_changed().unwrap(), "deliveries are no notices");
    let told = &store.notices(Some("t1"), 10).await.unwrap()[0];
    assert_eq!(told.mail_id.as_deref(), Some("notice-1"));
    assert_eq!(told.delivery, Some(("delivered".into(), "1 of 1 recipients: 250 OK".into())));
    assert_eq!(store.notices(None, 10).await.unwrap().len(), 2);

    assert_eq!(store.expire_notices("2026-11-23T10:00:00Z".parse().unwrap()).await.unwrap(), 0);
    assert_eq!(store.expire_notices(now).await.unwrap(), 2);
    assert_eq!(store.notices(None, 10).await.unwrap(), []);
}
