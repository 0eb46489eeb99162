use super::*;
use crate::ladder::tests::{self as ladder};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

/// The vector that the specification's own libraries test.
#[test]
fn the_signature_is_that_of_the_published_vector() {
    let secrets = WebhookSecrets::parse(SECRET).unwrap();
    let signature =
        secrets.signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
    assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[test]
fn while_a_secret_rotates_both_sign() {
    let both = WebhookSecrets::parse(&format!("# the next one\n{OTHER}\n\n{SECRET}\n")).unwrap();
    let alone = |text| WebhookSecrets::parse(text).unwrap().signature("msg_1", 1, "{}");
    assert_eq!(both.signature("msg_1", 1, "{}"), format!("{} {}", alone(OTHER), alone(SECRET)));
    assert_eq!(both.count(), 2);
}

#[test]
fn what_is_no_secret_is_refused_and_never_said() {
    for (text, want) in [
        ("", WebhookSecretError::Empty),
        ("# only a remark\n", WebhookSecretError::Empty),
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", WebhookSecretError::Line(1)),
        ("\nwhsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2La", WebhookSecretError::Line(2)),
        ("whsec_not base64 at all, whatever it is", WebhookSecretError::Line(1)),
        ("whpk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", WebhookSecretError::Line(1)),
    ] {
        assert_eq!(WebhookSecrets::parse(text), Err(want), "{text}");
    }
    let long = format!("whsec_{}", base64(&[7; 65]));
    assert_eq!(WebhookSecrets::parse(&long), Err(WebhookSecretError::Line(1)));
    let many = format!("{SECRET}\n").repeat(5);
    assert_eq!(WebhookSecrets::parse(&many), Err(WebhookSecretError::TooMany));
    assert_eq!(format!("{:?}", WebhookSecrets::parse(SECRET)), "Ok(WebhookSecrets(1 hidden))");
}

#[test]
fn an_id_names_node_addressee_and_notice_and_nothing_else() {
    let node: Domain = "edge.example.org".parse().unwrap();
    let id = webhook_id(&node, "webhook ops", "key");
    assert_eq!(id, webhook_id(&node, "webhook ops", "key"));
    assert_eq!(id.len(), 4 + 32);
    assert_ne!(id, webhook_id(&node, "webhook ops", "key 2"));
    assert_ne!(id, webhook_id(&node, "webhook soc", "key"));
    assert_ne!(id, webhook_id(&"edge2.example.org".parse().unwrap(), "webhook ops", "key"));
}

#[test]
fn a_body_holds_the_facts_in_fields_and_is_the_same_each_time() {
    let node: Domain = "edge.example.org".parse().unwrap();
    let notice = ladder::stage_begun();
    let at = "2026-11-23T10:00:00Z".parse().unwrap();
    let body = webhook_body(&node, &notice, at);
    assert_eq!(body, webhook_body(&node, &Notice::from_json(&notice.to_json()).unwrap(), at));
    let value: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(value["type"], "server.stage_begun");
    assert_eq!(value["timestamp"], "2026-11-23T10:00:00Z");
    let data = &value["data"];
    assert_eq!(data["node"], "edge.example.org");
    assert_eq!(data["floor"]["name"], "current");
    assert!(data["server"]["id"].is_string() && data["lack"]["code"].is_string(), "{body}");
    assert!(data["stage"]["number"].is_number() && data["stage"]["at"].is_string(), "{body}");
}

#[test]
fn every_notice_has_a_type_that_can_be_asked_for() {
    let notice = ladder::stage_begun();
    assert!(WEBHOOK_EVENTS.contains(&webhook_event(&notice)));
    assert!(!WEBHOOK_EVENTS.contains(&TEST_EVENT));
}

#[test]
fn updates_are_named_by_their_articles_each_once() {
    for (text, want) in [
        ("install KB5066366 and KB5071876, not KB5066366", vec!["KB5066366", "KB5071876"]),
        ("migrate to Exchange SE", vec![]),
        ("KB", vec![]),
    ] {
        assert_eq!(knowledge_base_articles(text), want, "{text}");
    }
}
