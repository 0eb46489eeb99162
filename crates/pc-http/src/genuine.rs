//! Requests that clients of Exchange really send pass all decisions, with the policy of a new site and a permitted network.

use std::net::IpAddr;

use crate::framing::{Framing, is_target};
use crate::patches::{Pack, Seen};
use crate::path::NormalPath;
use crate::policy::{DEFAULT_OPEN, Directory, PathDecision, PathPolicy, decide};
use pc_config::Network;

const REQUESTS: &str = include_str!("genuine/requests.txt");
const SHIPPED: &str = include_str!("../../../patches/exchange.toml");

fn requests() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = REQUESTS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once(' ').unwrap())
}

fn path_of(target: &'static str) -> (&'static str, NormalPath) {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    (path, NormalPath::new(path, query).unwrap_or_else(|fault| panic!("{target}: {fault:?}")))
}

#[test]
fn there_are_five_hundred_and_none_twice() {
    let all: std::collections::BTreeSet<_> = requests().collect();
    assert_eq!(all.len(), requests().count());
    assert!(all.len() >= 500, "{}", all.len());
}

#[test]
fn each_has_one_reading_hits_no_patch_and_is_forwarded() {
    let network = Network { address: "192.0.2.0".parse().unwrap(), prefix: 24 };
    let closed = [Directory::Ecp, Directory::PowerShell, Directory::Rest];
    let policy = PathPolicy {
        open: DEFAULT_OPEN.to_vec(),
        exceptions: closed.map(|directory| (directory, vec![network])).to_vec(),
        internal: vec![network],
    };
    let pack = Pack::parse(SHIPPED).unwrap();
    let client: IpAddr = "192.0.2.7".parse().unwrap();
    for (method, target) in requests() {
        assert!(is_target(target.as_bytes()), "{target}");
        let octets = format!("{method} {target} HTTP/1.1\r\nHost: mail.example.org\r\n\r\n");
        assert_eq!(Framing::default().read(octets.as_bytes()), Ok(()), "{method} {target}");
        let (raw, path) = path_of(target);
        let seen = Seen { method, path: &path, cookie: "x-backendcookie=s-1-5=u56lnp2ejjqb; clientid=ab" };
        let hits: Vec<&str> = pack.hits(&seen).map(|rule| rule.id.as_str()).collect();
        assert_eq!(hits, Vec::<&str>::new(), "{method} {target}");
        let decision = decide(&policy, &path, raw, method, client);
        let is_passed = matches!(decision, PathDecision::Forward(_) | PathDecision::ToOwa);
        assert!(is_passed, "{method} {target}: {decision:?}");
    }
}

#[test]
fn strangers_reach_what_a_new_site_has_open_and_nothing_else() {
    let policy = PathPolicy { open: DEFAULT_OPEN.to_vec(), ..PathPolicy::default() };
    let client: IpAddr = "2001:db8::1".parse().unwrap();
    for (method, target) in requests() {
        let (raw, path) = path_of(target);
        let is_passed = matches!(
            decide(&policy, &path, raw, method, client),
            PathDecision::Forward(_) | PathDecision::ToOwa
        );
        let is_closed = ["/ecp", "/powershell", "/api/"].iter().any(|start| path.as_str().starts_with(start))
            || path.as_str().ends_with("/healthcheck.htm")
            || path.as_str().ends_with("/mrsproxy.svc");
        assert_eq!(is_passed, !is_closed, "{method} {target}");
    }
}
