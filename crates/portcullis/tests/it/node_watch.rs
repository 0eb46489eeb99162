//! What the operator is told of the node itself, under a clock of the test's.

use std::time::Duration;

use pc_store::{StoredNotice, TlsClientRow};
use pc_testkit::Exchange;

use crate::support::Simulated;
use crate::web::{Certificates, Web, start_node};

/// The notices of a node, once there is one whose key begins so.
async fn notice(node: &Simulated, begins: &str) -> StoredNotice {
    let records = node.running.records.as_ref().unwrap();
    let looking = async {
        loop {
            records.writer.flush().await;
            let notices = records.store.notices(Some("node"), 100).await.unwrap();
            if let Some(found) = notices.into_iter().find(|notice| notice.facts.contains(begins)) {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), looking).await.unwrap_or_else(|_| panic!("no {begins}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_monday_the_operator_is_told_of_the_week_and_before_the_end_of_a_certificate_at_its_marks() {
    let certificates = Certificates::new();
    let exchange = Exchange::start(certificates.server()).await.unwrap();
    let operator = "[notify]\noperator = [\"ops@example.org\"]";
    // A Thursday.
    let node = start_node(&certificates, &[exchange.address], "", operator).await;
    let web = Web::from_parts(exchange, node, certificates);
    assert_eq!(web.get("/ecp/").await.status, 404);
    let edge = web.node.running.web.clone().unwrap();
    let clock = pc_net::Clock::Manual(web.node.clock.clone());
    {
        let records = web.node.running.records.as_ref().unwrap();
        portcullis::web_edge::write_tally(&edge, &records.store, &clock).await;
        let address = "192.0.2.7".parse().unwrap();
        records.writer.tls_client(TlsClientRow::new("https", address, "old_version", None, clock.now()));
        records.writer.flush().await;
    }
    // The listeners were checked, and a private certificate is told of once.
    let standard = notice(&web.node, "\"topic\":\"standard\"").await;
    assert!(standard.facts.contains("grade"), "{}", standard.facts);
    let status = web.node.json(&["tls", "standard"]);
    assert!(status["checked"].to_string().contains("grade"), "{status}");
    web.node.clock.set("2026-11-30T00:30:00Z".parse().unwrap());
    let week = notice(&web.node, "\"topic\":\"web_week\"").await.facts;
    for words in ["2026-11-23 to 2026-11-29", "1 connections that TLS refused", "old_version", "path_closed"]
    {
        assert!(week.contains(words), "{words}: {week}");
    }
    let ends = web.node.running.certificates.not_after();
    web.node.clock.set(pc_types::time::add_days(ends, -13));
    let ending = notice(&web.node, "\"topic\":\"certificate\"").await;
    assert!(ending.facts.contains("ends in 13 days"), "{}", ending.facts);
    let records = web.node.running.records.as_ref().unwrap();
    let all = records.store.notices(Some("node"), 100).await.unwrap();
    let count = |topic: &str| all.iter().filter(|notice| notice.facts.contains(topic)).count();
    assert_eq!((count("\"web_week\""), count("\"standard\"")), (1, 1), "each once");
    drop(edge);
    web.node.finish().await;
}
