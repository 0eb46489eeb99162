//! # Purpose
//! Which directories of Exchange are open, to whom, and for which methods. Deny by default.
//!
//! # Trust
//! The path is the client's; only its normal form is looked at, and a path whose first segment reads differently
//! as it came is refused, since IIS routes by that.
//!
//! # Standards
//! The virtual directories of Exchange 2016 to SE. Methods: RFC 9110 9, and `RPC_IN_DATA` and `RPC_OUT_DATA` of RPC over
//! HTTP (MS-RPCH). What needs HTTP/1.1 is `http2`'s matter.

use pc_config::Network;

use crate::path::{NormalPath, raw_directory};

pub use pc_config::{DEFAULT_OPEN, DIRECTORIES, Directory};

/// What a client may do in a directory.
fn allows(directory: Directory, method: &str) -> bool {
    match directory {
        Directory::ActiveSync => matches!(method, "OPTIONS" | "POST"),
        Directory::Oab => matches!(method, "GET" | "HEAD"),
        Directory::Rpc => matches!(method, "RPC_IN_DATA" | "RPC_OUT_DATA" | "GET" | "POST"),
        _ => matches!(method, "GET" | "HEAD" | "OPTIONS" | "POST"),
    }
}

/// What is open on a site.
#[derive(Clone, Debug, Default)]
pub struct PathPolicy {
    /// To everybody.
    pub open: Vec<Directory>,
    /// To some networks only: directories of `open` need no entry. An empty list of networks is nobody.
    pub exceptions: Vec<(Directory, Vec<Network>)>,
    /// Who may reach what is closed inside open directories: `healthcheck.htm` and `mrsproxy.svc`.
    pub internal: Vec<Network>,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathDecision {
    /// 404, as if nothing were there. With the reason, for the log.
    Closed(&'static str),
    /// To Exchange.
    Forward(Directory),
    /// 405.
    MethodNotAllowed,
    /// `/`: 302 to `/owa/`.
    ToOwa,
}

/// Decides by path, method and client.
pub fn decide(
    policy: &PathPolicy,
    path: &NormalPath,
    raw: &str,
    method: &str,
    client: std::net::IpAddr,
) -> PathDecision {
    if path.as_str() == "/" && policy.open.contains(&Directory::Owa) {
        return if matches!(method, "GET" | "HEAD") {
            PathDecision::ToOwa
        } else {
            PathDecision::MethodNotAllowed
        };
    }
    let Some(directory) = Directory::parse(path.directory()) else {
        return PathDecision::Closed("path_no_directory");
    };
    if !raw_directory(raw).eq_ignore_ascii_case(directory.as_str()) {
        return PathDecision::Closed("path_two_readings");
    }
    let in_exception = policy
        .exceptions
        .iter()
        .any(|(one, networks)| *one == directory && networks.iter().any(|network| network.contains(client)));
    if !policy.open.contains(&directory) && !in_exception {
        return PathDecision::Closed("path_closed");
    }
    let is_internal = policy.internal.iter().any(|network| network.contains(client));
    if !is_internal && is_for_operators(path) {
        return PathDecision::Closed("path_internal");
    }
    // Every directory has one, whatever its own methods are.
    let is_health_check = path.as_str().ends_with("/healthcheck.htm") && matches!(method, "GET" | "HEAD");
    if !is_health_check && !allows(directory, method) {
        return PathDecision::MethodNotAllowed;
    }
    PathDecision::Forward(directory)
}

/// `healthcheck.htm` prints the server's name; `mrsproxy.svc` moves mailboxes; the others are diagnostics.
fn is_for_operators(path: &NormalPath) -> bool {
    let path = path.as_str();
    path.ends_with("/healthcheck.htm")
        || path.starts_with("/ews/mrsproxy.svc")
        || path.starts_with("/owa/auth/frowny.aspx")
        || path.starts_with("/owa/auth/trace.aspx")
        || path.starts_with("/ecp/auth/trace.aspx")
}

#[cfg(test)]
mod tests;
