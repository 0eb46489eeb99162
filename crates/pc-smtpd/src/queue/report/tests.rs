use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pc_net::{Clock, ManualClock};
use pc_queue::{Policy, ReportAction, ReportedRecipient};
use pc_smtp::{ForwardPath, MailParameters, Mailbox, Recipient, ReversePath};
use pc_store::faults::Faults;
use pc_store::spool::Spool;
use pc_store::{Store, Writer};

use super::*;
use crate::queue::{QueueSettings, SpoolMode};
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

/// Tells the sender of one message of something.
async fn report(queue: &Queue, action: ReportAction) -> bool {
    let mailbox = |text: &str| Mailbox::parse(text).unwrap();
    let forward_path = ForwardPath::Mailbox(mailbox("b@example.org"));
    let envelope = Envelope {
        reverse_path: ReversePath::Mailbox(mailbox("a@example.net")),
        parameters: MailParameters::default(),
        recipients: vec![Recipient { forward_path, notify: None, orcpt: None }],
    };
    let origin = Origin {
        id: "0000000000000a-000000".to_owned(),
        target: "exchange".to_owned(),
        received_at: "2026-11-02T12:00:00Z".parse().unwrap(),
        address: Ipv4Addr::LOCALHOST.into(),
        greeting: "mail.example.net".to_owned(),
        connector: "partner".to_owned(),
        proof: Proof::Connector,
        message_id: None,
    };
    let recipients = vec![ReportedRecipient { index: 0, action, reply: "4.4.1 away".to_owned() }];
    let owed = Owed {
        entry: &Entry::new(origin, &envelope),
        envelope: &envelope,
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
        assert_eq!(reported_message(&listed.id), Some("0000000000000a-000000"));
    }
}
