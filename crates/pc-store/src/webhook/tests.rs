use super::*;
use crate::tests::store;
use crate::{NoticeRow, Repetition};

const OPS: &str = "webhook ops";

fn at(text: &str) -> Timestamp {
    format!("2026-11-23T{text}Z").parse().unwrap()
}

fn row(addressee: &str, key: &str, moment: &str) -> NoticeRow {
    NoticeRow {
        at: at(moment),
        addressee: addressee.into(),
        subject: "t1".into(),
        key: key.into(),
        facts: r#"{"kind":"message_aside"}"#.into(),
        repetition: Repetition::EachKey,
    }
}

fn tried(state: &str, next_at: Option<&str>) -> WebhookTry {
    WebhookTry {
        tries: 1,
        state: state.into(),
        answer: "500".into(),
        tried_at: at("10:01:00"),
        next_at: next_at.map(at),
    }
}

#[tokio::test]
async fn what_was_never_tried_is_due_at_once_and_what_failed_waits_for_its_time() {
    let (_folder, store) = store().await;
    let rows = [row(OPS, "a", "10:00:00"), row(OPS, "b", "10:00:30"), row("webhook soc", "a", "10:00:00")];
    store.write_notices(&rows).await.unwrap();
    let waiting = store.waiting_webhooks(OPS, 10).await.unwrap();
    assert_eq!(waiting.iter().map(|w| (w.key.as_str(), w.tries)).collect::<Vec<_>>(), [("a", 0), ("b", 0)]);
    assert_eq!(waiting[0].due_at, at("10:00:00"));

    store.webhook_tried(waiting[0].number, "msg_1", &tried("retrying", Some("10:06:00"))).await.unwrap();
    let waiting = store.waiting_webhooks(OPS, 10).await.unwrap();
    assert_eq!(waiting.iter().map(|w| w.key.as_str()).collect::<Vec<_>>(), ["b", "a"], "due first");
    assert_eq!((waiting[1].tries, waiting[1].due_at), (1, at("10:06:00")));

    store.webhook_tried(waiting[1].number, "msg_1", &tried("delivered", None)).await.unwrap();
    assert_eq!(store.waiting_count(OPS).await.unwrap(), 1);
    assert_eq!(store.waiting_count("webhook soc").await.unwrap(), 1, "each has its own");
    let listed = store.notices(None, 10).await.unwrap();
    let told = listed.iter().find(|notice| notice.number == waiting[1].number).unwrap();
    assert_eq!(told.mail_id.as_deref(), Some("msg_1"));
    assert_eq!(told.tries, Some(tried("delivered", None)));
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_told_nothing_more_and_its_ledger_says_so() {
    let (_folder, store) = store().await;
    assert_eq!(store.disabled_webhook("ops").await.unwrap(), None);
    let gone = DisabledWebhook {
        url: "https://hooks.example.org/".into(),
        at: at("10:01:00"),
        answer: "410".into(),
    };
    store.set_disabled_webhook("ops", Some(&gone)).await.unwrap();
    assert_eq!(store.disabled_webhook("ops").await.unwrap(), Some(gone));
    store.write_notices(&[row(OPS, "a", "10:02:00")]).await.unwrap();
    assert_eq!(store.close_webhooks(OPS, "not sent", at("10:03:00")).await.unwrap(), 1);
    assert_eq!(store.waiting_webhooks(OPS, 10).await.unwrap(), []);
    let listed = store.notices(None, 10).await.unwrap();
    assert_eq!(listed[0].tries.as_ref().unwrap().state, "disabled");
    store.set_disabled_webhook("ops", None).await.unwrap();
    assert_eq!(store.disabled_webhook("ops").await.unwrap(), None);
}

#[tokio::test]
async fn what_the_operator_is_told_of_messages_is_copied_once() {
    let (_folder, store) = store().await;
    let rows = [row("operator", "new", "10:00:00"), row("operator", "old", "08:00:00")];
    store.write_notices(&rows).await.unwrap();
    let copy = || store.copy_notices("operator", OPS, "message_aside", at("09:00:00"));
    assert_eq!(copy().await.unwrap(), 1);
    assert_eq!(copy().await.unwrap(), 0);
    assert_eq!(store.waiting_webhooks(OPS, 10).await.unwrap()[0].key, "new");
}

#[tokio::test]
async fn tries_go_with_their_notices() {
    let (_folder, store) = store().await;
    store.write_notices(&[row(OPS, "a", "10:00:00")]).await.unwrap();
    let number = store.waiting_webhooks(OPS, 10).await.unwrap()[0].number;
    store.webhook_tried(number, "msg_1", &tried("delivered", None)).await.unwrap();
    assert_eq!(store.trim_webhooks("webhook ").await.unwrap(), 0, "far from the bound");
    assert_eq!(store.expire_notices(at("11:00:00")).await.unwrap(), 1);
    let left: i64 =
        sqlx::query_scalar("SELECT count(*) FROM webhook_try").fetch_one(&store.pool).await.unwrap();
    assert_eq!(left, 0);
}
