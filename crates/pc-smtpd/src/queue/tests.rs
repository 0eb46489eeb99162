use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pc_net::{Clock, ManualClock};
use pc_queue::{Answer, Attempt, Origin, Policy, Proof, Report, ReportAction, ReportedRecipient};
use pc_smtp::{ForwardPath, MailParameters, Mailbox, Recipient, ReversePath};
use pc_store::Store;
use pc_store::faults::Faults;
use pc_store::spool::Spool;

use super::attempt::{Tried, conclude};
use super::report::reported_message;
use super::*;
use crate::recipients::RecipientCacheSettings;
use crate::upstream::{Upstream, UpstreamSettings};

/// A queue of one target, whose mail nobody offers.
async fn queue(folder: &Path, now: &str) -> Arc<Queue> {
    let clock = Clock::Manual(ManualClock::new(now.parse().unwrap()));
    let upstream = Upstream::new(UpstreamSettings {
        name: "exchange".to_owned(),
        hosts: Vec::new(),
        node_name: "edge.example.org".parse().unwrap(),
        source_address: None,
        connect_timeout: Duration::ZERO,
        command_timeout: Duration::ZERO,
        hand_over_timeout: Duration::ZERO,
        health_check: None,
        recipients: RecipientCacheSettings::default(),
        clock: clock.clone(),
    });
    let settings = QueueSettings {
        mode: SpoolMode::Always,
        policy: Policy { expire_hours: 120, delay_report_hours: 4 },
        parallel_max: 1,
        octets_max: u64::MAX,
        reports_via: Some("exchange".to_owned()),
        node_name: "edge.example.org".parse().unwrap(),
    };
    let spool = Spool::open(&folder.join("spool"), Faults::default()).unwrap();
    let (writer, _) = Writer::start(Store::open(&folder.join("store")).await.unwrap());
    Queue::open(spool, settings, &[upstream], clock, writer).await.unwrap()
}

fn envelope() -> Envelope {
    let mailbox = |text: &str| Mailbox::parse(text).unwrap();
    let forward_path = ForwardPath::Mailbox(mailbox("b@example.org"));
    Envelope {
        reverse_path: ReversePath::Mailbox(mailbox("a@example.net")),
        parameters: MailParameters::default(),
        recipients: vec![Recipient { forward_path, notify: None, orcpt: None }],
    }
}

const ID: &str = "0000000000000a-000000";

fn entry() -> Entry {
    let origin = Origin {
        id: ID.to_owned(),
        target: "exchange".to_owned(),
        received_at: "2026-11-02T12:00:00Z".parse().unwrap(),
        address: Ipv4Addr::LOCALHOST.into(),
        greeting: "mail.example.net".to_owned(),
        connector: "partner".to_owned(),
        proof: Proof::Connector,
        message_id: None,
    };
    Entry::new(origin, &envelope())
}

/// Tells the sender of one message of something.
async fn report(queue: &Queue, action: ReportAction) -> bool {
    let recipients = vec![ReportedRecipient { index: 0, action, reply: "4.4.1 away".to_owned() }];
    let owed = Owed {
        entry: &entry(),
        envelope: &envelope(),
        report: &Report { recipients },
        original: b"Subject: x\r\n\r\n",
        original_octets: 14,
    };
    queue.send_report(owed).await
}

#[tokio::test]
async fn a_report_of_after_a_restart_does_not_replace_one_that_still_waits() {
    let folder = tempfile::tempdir().unwrap();
    assert!(report(&*queue(folder.path(), "2026-11-02T16:00:00Z").await, ReportAction::Delayed).await);
    let restarted = queue(folder.path(), "2026-11-07T12:00:00Z").await;
    assert!(report(&restarted, ReportAction::Failed).await);
    let waiting = restarted.list();
    assert_eq!(waiting.len(), 2, "{waiting:?}");
    for listed in waiting {
        assert_eq!(reported_message(&listed.id), Some(ID));
    }
}

#[tokio::test]
async fn an_answer_counts_though_the_spooled_file_cannot_be_read_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let queue = queue(folder.path(), "2026-11-02T16:00:00Z").await;
    let content = Content { head: b"Subject: x\r\n\r\n".to_vec(), rest: None };
    queue.commit(entry(), &envelope(), content).await.unwrap();
    let lane = Arc::clone(queue.lane_of(ID).unwrap());
    let message = lane.lock().take_out(ID).unwrap();
    std::fs::remove_file(folder.path().join("spool/queue").join(ID)).unwrap();
    let tried = Tried {
        attempt: Attempt::Answered(vec![Answer::Delivered { dsn_offered: true }]),
        word: "2.0.0 taken".to_owned(),
        read: Some((entry(), envelope())),
    };
    conclude(&queue, &lane, ID.to_owned(), message, tried).await;
    let left = queue.list();
    assert!(left.is_empty(), "it would be offered a second time: {left:?}");
}
