//! Webhooks against the receiving library of Standard Webhooks.

use std::path::Path;
use std::process::Command;

use pc_testkit::WebhookRequest;

use crate::support::Node;
use crate::webhooks::{INSIDE, Peers, SECRET};

const NEXT_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

/// Whether the library takes it; it also compares the time with its own clock.
fn verified(request: &WebhookRequest, secret: &str, body: &str) -> bool {
    let script = "import sys\nfrom standardwebhooks import Webhook, WebhookVerificationError\n\
                  names = ['webhook-id', 'webhook-timestamp', 'webhook-signature']\n\
                  try:\n    Webhook(sys.argv[1]).verify(sys.argv[2], dict(zip(names, sys.argv[3:])))\n\
                  except WebhookVerificationError:\n    sys.exit(3)\n";
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/python/bin/python3");
    let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let output = Command::new(python)
        .args(["-c", script, secret, body])
        .args(names.map(|name| request.field(name)))
        .output()
        .expect("needs standardwebhooks, which `cargo xtask test` puts into target/python");
    match output.status.code() {
        Some(0) => true,
        Some(3) => false,
        _ => panic!("{output:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_library_of_standard_webhooks_verifies_what_we_sign_with_the_old_and_the_next_secret() {
    let peers = Peers::start(vec![vec![]]).await;
    let node = Node::start(&peers.toml(&peers.webhook(0, "ops", INSIDE)));
    // A secret is replaced while the node runs: both sign.
    for secrets in [vec![SECRET], vec![NEXT_SECRET, SECRET]] {
        std::fs::write(peers.secret_file(), secrets.join("\n")).unwrap();
        let tested = node.json(&["notices", "test-webhook", "ops"]);
        assert_eq!(tested["taken"], true, "{tested}");
        let request = peers.receivers[0].requests().pop().unwrap();
        assert_eq!(request.field("webhook-id"), tested["id"].as_str().unwrap());
        for secret in [SECRET, NEXT_SECRET] {
            assert_eq!(verified(&request, secret, &request.body), secrets.contains(&secret), "{request:?}");
        }
        assert!(!verified(&request, SECRET, &request.body.replace("ops", "opt")));
        let other = WebhookRequest { head: request.head.replace("msg_", "msg_0"), ..request.clone() };
        assert!(!verified(&other, SECRET, &request.body));
    }
    node.terminate();
}
