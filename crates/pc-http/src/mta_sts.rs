//! # Purpose
//! The MTA-STS policy of a mail domain, by which senders know that they must deliver over verified TLS and to whom.
//!
//! # Trust
//! All of it is the operator's. It is shown to anybody, over TLS with a certificate for the policy's host.
//!
//! # Standards
//! RFC 8461 3.1 (record), 3.2 (policy), 3.3 (where it is fetched); RFC 8460 3 for the record of reports.

use pc_config::MtaSts;
use pc_types::{hex, sha256};

/// The only path on the policy's host (RFC 8461 3.3).
pub const PATH: &str = "/.well-known/mta-sts.txt";
/// Digits of an id; RFC 8461 3.1 takes up to 32.
const ID_DIGITS: usize = 16;

/// The policy as it is served (RFC 8461 3.2).
pub fn text(policy: &MtaSts) -> String {
    let mx: String = policy.mx.iter().map(|host| format!("mx: {host}\r\n")).collect();
    format!("version: STSv1\r\nmode: {}\r\n{mx}max_age: {}\r\n", policy.mode.as_str(), policy.max_age_seconds)
}

/// Another one for each other policy, and the same for the same: senders fetch anew when it changes (RFC 8461 3.1).
pub fn id(policy: &MtaSts) -> String {
    hex(&sha256(text(policy).as_bytes())).chars().take(ID_DIGITS).collect()
}

/// The text of the record at `_mta-sts.` and the domain.
pub fn record(policy: &MtaSts) -> String {
    format!("v=STSv1; id={};", id(policy))
}

#[cfg(test)]
mod tests {
    use pc_config::MtaStsMode;

    use super::*;

    #[test]
    fn a_policy_is_lines_of_rfc_8461_and_its_id_follows_its_content() {
        let policy = MtaSts {
            domain: "example.org".parse().unwrap(),
            mode: MtaStsMode::Enforce,
            mx: vec!["mx1.example.org".to_owned(), "*.mx.example.net".to_owned()],
            max_age_seconds: 604_800,
        };
        let served = "version: STSv1\r\nmode: enforce\r\nmx: mx1.example.org\r\nmx: *.mx.example.net\r\nmax_age: 604800\r\n";
        assert_eq!(text(&policy), served);
        assert!(id(&policy).bytes().all(|octet| octet.is_ascii_hexdigit()));
        assert_eq!(id(&policy), id(&policy.clone()));
        let other = MtaSts { mode: MtaStsMode::Testing, ..policy.clone() };
        assert_ne!(record(&policy), record(&other));
        let none = MtaSts { mode: MtaStsMode::None, mx: Vec::new(), ..policy };
        assert_eq!(text(&none), "version: STSv1\r\nmode: none\r\nmax_age: 604800\r\n");
    }
}
