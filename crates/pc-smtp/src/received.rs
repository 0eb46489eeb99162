use std::net::IpAddr;

use pc_types::{Domain, Timestamp, time};

/// The transfer protocol as RFC 3848 and RFC 6531 4.3 name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// EHLO was used.
    pub extended: bool,
    /// TLS was in use.
    pub tls: bool,
    /// MAIL carried SMTPUTF8.
    pub utf8: bool,
}

impl Protocol {
    fn word(self) -> &'static str {
        match (self.extended, self.tls, self.utf8) {
            (_, false, true) => "UTF8SMTP",
            (_, true, true) => "UTF8SMTPS",
            (true, true, false) => "ESMTPS",
            (true, false, false) => "ESMTP",
            (false, _, false) => "SMTP",
        }
    }
}

/// What our own trace field says, RFC 5321 4.4.
#[derive(Clone, Debug)]
pub struct Received<'a> {
    /// The greeting name as written.
    pub greeting_name: &'a str,
    /// The connecting address.
    pub address: IpAddr,
    /// This node.
    pub node_name: &'a Domain,
    /// How it came.
    pub protocol: Protocol,
    /// Version and suite, such as `TLSv1.3` and `TLS_AES_256_GCM_SHA384`.
    pub tls: Option<(&'a str, &'a str)>,
    /// Names the transaction in log, trace and header.
    pub trace_id: &'a str,
    /// When the data ended.
    pub now: Timestamp,
}

impl Received<'_> {
    /// The folded field with its final CRLF. The TLS facts stand in a comment, as RFC 8314 4.3 shows.
    pub fn field(&self) -> String {
        let address = match self.address.to_canonical() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("IPv6:{address}"),
        };
        let tls = match self.tls {
            Some((version, suite)) => format!("\r\n\t(version={version} cipher={suite})"),
            None => String::new(),
        };
        format!(
            "Received: from {} ([{address}])\r\n\tby {} (Portcullis) with {}{tls}\r\n\tid {}; {}\r\n",
            safe_greeting(self.greeting_name),
            self.node_name,
            self.protocol.word(),
            self.trace_id,
            time::rfc5322(self.now),
        )
    }
}

/// Only what a domain or an address literal is made of; anything else could open a comment or a
/// clause of its own.
fn safe_greeting(name: &str) -> String {
    let allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    let name: String = name.chars().filter(allowed).collect();
    if name.is_empty() { "unknown".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received<'a>(greeting_name: &'a str, node_name: &'a Domain) -> Received<'a> {
        Received {
            greeting_name,
            address: "2001:db8::7".parse().unwrap(),
            node_name,
            protocol: Protocol { extended: true, tls: true, utf8: false },
            tls: Some(("TLSv1.3", "TLS_AES_256_GCM_SHA384")),
            trace_id: "0000017f",
            now: "2026-11-23T16:25:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn the_field_names_peer_node_protocol_and_tls() {
        let node = "edge.example.org".parse().unwrap();
        assert_eq!(
            received("mail.example.net", &node).field(),
            "Received: from mail.example.net ([IPv6:2001:db8::7])\r\n\tby edge.example.org (Portcullis) with ESMTPS\
             \r\n\t(version=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384)\r\n\tid 0000017f; Mon, 23 Nov 2026 16:25:00 +0000\r\n"
        );
    }

    #[test]
    fn a_greeting_name_cannot_open_a_clause_of_its_own() {
        let node = "edge.example.org".parse().unwrap();
        let field = received("x)by(evil", &node).field();
        assert!(field.starts_with("Received: from xbyevil ("));
    }
}
