//! The event of an attestation.

use std::net::IpAddr;

use metrics::counter;
use pc_types::Escaped;
use tracing::{error, info};

/// Somebody offered an attestation; `code` is `taken`, or why it was not.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields are named for what they hold")]
pub struct Attesting<'a> {
    pub address: Option<IpAddr>,
    pub tenant: &'a str,
    pub host: &'a str,
    pub code: &'static str,
    pub detail: &'a str,
}

impl Attesting<'_> {
    pub(crate) fn emit(self) {
        let Self { address, tenant, host, code, detail } = self;
        let address = address.map_or_else(|| "by hand".to_owned(), |address| address.to_string());
        let (tenant, host, detail) = (Escaped::new(tenant), Escaped::new(host), Escaped::new(detail));
        match code {
            "key_unreadable" | "store" => {
                error!(address, %tenant, %host, code, %detail, "attestation could not be taken");
            }
            _ => info!(address, %tenant, %host, code, %detail, "attestation offered"),
        }
        counter!("pc_attestations_total", "code" => code).increment(1);
    }
}
