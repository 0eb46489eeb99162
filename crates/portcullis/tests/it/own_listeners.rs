//! A node looks at each of its own listeners as clients do, and none of that is told as a client's doing.

use serde_json::Value;

use crate::listeners::node_with_all_listeners;
use crate::support::{Node, node_with_both_certificates_and, until};

/// What the node says of its listeners, once it has looked at `count` of them.
fn looked_at(node: &Node, count: usize) -> Vec<Value> {
    let mut reports = Vec::new();
    until("a look at all listeners", || {
        let lines = node.json(&["doctor"]);
        let lines = lines.as_array().unwrap().iter().filter(|line| line["check"] == "tls").cloned();
        reports = lines.collect();
        reports.len() == count
    });
    reports
}

fn line<'a>(reports: &'a [Value], listener: &str) -> &'a str {
    let texts = reports.iter().map(|report| report["text"].as_str().unwrap());
    let mut texts = texts.filter(|text| text.starts_with(listener));
    texts.next().unwrap_or_else(|| panic!("{listener}: {reports:#?}"))
}

#[test]
fn every_kind_of_listener_is_looked_at_over_its_own_connections_and_a_self_made_certificate_is_a_t() {
    let (node, listeners) = node_with_all_listeners();
    let reports = looked_at(&node, listeners.len());
    for listener in &listeners {
        let name = if ["smtp", "https"].contains(&listener.name.as_str()) {
            format!("{} {}", listener.name, "127.0.0.1:0")
        } else {
            listener.name.clone()
        };
        let told = line(&reports, &name);
        assert!(told.contains("grade T; a trusted issuer ("), "{told}");
        assert!(told.contains("take a certificate of an authority that clients trust"), "{told}");
        for met in ["HSTS", "TLS 1.2 and 1.3 only", "secure suites", "the server chooses", "fallback"] {
            assert!(!told.contains(met), "{met}: {told}");
        }
    }
    let log = node.log();
    assert_eq!(
        log.matches("listener is not seen to meet the TLS standard").count(),
        listeners.len(),
        "{log}"
    );
    for foreign in
        [" TLS client refused", " request listener", " mail program's connection ended", " limit reached"]
    {
        assert!(!log.contains(foreign), "{foreign}: {log}");
    }
    assert_eq!(node.json(&["tls", "clients"]), Value::Array(Vec::new()));
    assert_eq!(node.json(&["trace"])["rows"].as_array().map_or(0, Vec::len), 0);
}

#[test]
fn behind_a_balancer_on_loopback_with_a_greeting_delay_and_one_connection_per_address_it_still_looks() {
    let node = node_with_both_certificates_and(
        "[smtp]\nconnections_per_address_max = 1\ngreeting_delay_seconds = 10\n[smtp.limits.client]\nerrors_per_hour = 1\n\
         connections_per_minute = 1\n[[smtp.listener]]\naddress = \"127.0.0.1:0\"\ntls = \"implicit\"\nproxy_protocol_from = \
         [\"127.0.0.0/8\"]\n[[stream]]\nname = \"imap\"\nprotocol = \"imap\"\naddress = \"0.0.0.0:0\"\ntls = \"starttls\"\n\
         proxy_protocol_from = [\"127.0.0.1\"]\nconnections_per_address_max = 1\n[stream.upstream]\naddress = \
         \"127.0.0.1:9\"\n[https]\n[[https.listener]]\naddress = \"[::]:0\"\nproxy_protocol_from = [\"::1\"]\n[[site]]\nname \
         = \"exchange\"\nnames = [\"edge.example.org\"]\naddress = \"127.0.0.1:9\"\n",
    );
    let reports = looked_at(&node, 4);
    for report in &reports {
        let told = report["text"].as_str().unwrap();
        assert!(told.contains("grade T; a trusted issuer ("), "{told}");
        assert!(!told.contains("HSTS"), "{told}");
    }
    let log = node.log();
    assert!(!log.contains("limit reached"), "{log}");
}

#[test]
fn hsts_that_is_too_short_is_found_on_our_own_listener() {
    let node = node_with_both_certificates_and(
        "[https]\nhsts_max_age_seconds = 300\n[[https.listener]]\naddress = \"127.0.0.1:0\"\n[[site]]\nname = \"exchange\"\n\
         names = [\"edge.example.org\"]\naddress = \"127.0.0.1:9\"\n",
    );
    let reports = looked_at(&node, 2);
    let https = line(&reports, "https 127.0.0.1:0");
    assert!(
        https.contains("HSTS for 180 days or more (max-age=300, 0 days): send Strict-Transport-Security"),
        "{https}"
    );
    assert!(!line(&reports, "smtp 127.0.0.1:0").contains("HSTS"));
}
