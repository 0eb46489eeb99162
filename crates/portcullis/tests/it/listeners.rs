//! One node with every kind of listener that speaks TLS, for scanners.

use std::net::SocketAddr;

use crate::support::{Node, node_with_both_certificates_and};

pub const SUITES: [&str; 6] = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
];

/// A listener of the node.
pub struct Listener {
    /// For messages.
    pub name: String,
    pub address: SocketAddr,
    /// How TLS begins, in the word that all scanners have for it; `None`: at once.
    pub starttls: Option<&'static str>,
}

/// The node, and all its listeners.
pub fn node_with_all_listeners() -> (Node, Vec<Listener>) {
    let streams = [("imap", "imap"), ("pop3", "pop3"), ("submission", "smtp")];
    let mut more =
        "[https]\n[[https.listener]]\naddress = \"127.0.0.1:0\"\n[[site]]\nname = \"exchange\"\nnames = \
                    [\"edge.example.org\"]\naddress = \"127.0.0.1:9\"\nhttp2 = true\n"
            .to_owned();
    for (protocol, _) in streams {
        for tls in ["implicit", "starttls"] {
            // Nobody is behind: scanners do not come so far.
            more.push_str(&format!(
                "[[stream]]\nname = \"{protocol}-{tls}\"\nprotocol = \"{protocol}\"\naddress = \"127.0.0.1:0\"\ntls = \
                 \"{tls}\"\n[stream.upstream]\naddress = \"127.0.0.1:9\"\n"
            ));
        }
    }
    let node = node_with_both_certificates_and(&more);
    let mut listeners = vec![
        Listener { name: "smtp".into(), address: node.smtp, starttls: Some("smtp") },
        Listener { name: "https".into(), address: node.https.unwrap(), starttls: None },
    ];
    for (protocol, word) in streams {
        for (tls, starttls) in [("implicit", None), ("starttls", Some(word))] {
            let name = format!("{protocol}-{tls}");
            listeners.push(Listener { address: node.stream(&name), starttls, name });
        }
    }
    (node, listeners)
}
