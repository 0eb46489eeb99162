//! Servers that cannot finish a handshake under the TLS standard: what their hello shows, and never more.

use std::collections::BTreeMap;
use std::net::IpAddr;

use maud::{Markup, html};
use pc_hello::{names, verdict};
use pc_store::TlsClientRow;
use pc_types::{Escaped, Timestamp};
use serde::Serialize;

use crate::limits::REPORT_HELLOS;
use crate::page::day_of;

/// An address from which a hello came that does not fit the standard.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HelloView {
    /// Where it connects from.
    pub address: String,
    /// Which product it may be, and what it cannot do. A guess by the order of its offer; no Exchange and no build.
    pub shows: String,
    /// Stable word of the guess.
    pub guess: Option<&'static str>,
    /// The newest version that it offers.
    pub speaks: String,
    /// Why it was refused: `no_common_suite`, `old_version` or `ssl_v2`.
    pub refusal: String,
    /// What its owner can do.
    pub remedy: String,
    /// First time.
    pub first_seen: Timestamp,
    /// Last time.
    pub last_seen: Timestamp,
    /// Connections.
    pub count: u64,
}

/// How many show what, and the last seen of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Hellos {
    /// Addresses.
    pub addresses: usize,
    /// Addresses by what they show.
    pub by_product: BTreeMap<String, usize>,
    /// The last seen ones.
    pub rows: Vec<HelloView>,
}

const UNKNOWN: &str = "A client of unknown make";

impl Hellos {
    /// Of the clients that mail listeners refused, last seen first: those that are too old, one row for each address.
    /// Who broke off, spoke no TLS or did not trust a certificate is none of them.
    pub fn new(refused: &[TlsClientRow]) -> Self {
        let is_too_old = |row: &&TlsClientRow| {
            row.listener.starts_with("smtp ")
                && matches!(row.refusal.as_str(), "no_common_suite" | "old_version" | "ssl_v2")
        };
        let mut by_address: BTreeMap<IpAddr, Vec<&TlsClientRow>> = BTreeMap::new();
        for row in refused.iter().filter(is_too_old) {
            by_address.entry(row.address).or_default().push(row);
        }
        let mut rows: Vec<HelloView> = by_address.values().filter_map(|rows| view(rows)).collect();
        rows.sort_by(|one, other| {
            other.last_seen.cmp(&one.last_seen).then_with(|| one.address.cmp(&other.address))
        });
        let mut hellos = Self { addresses: rows.len(), ..Self::default() };
        for row in &rows {
            *hellos.by_product.entry(row.shows.clone()).or_insert(0) += 1;
        }
        rows.truncate(REPORT_HELLOS);
        hellos.rows = rows;
        hellos
    }

    pub(super) fn summary(&self) -> String {
        format!(
            "{} addresses offer no TLS that is spoken here. What they are is guessed from their hello; no build is known of \
             them, and they are not on the ladder.",
            self.addresses
        )
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!("\n{}\n", self.summary());
        for (shows, count) in &self.by_product {
            text.push_str(&format!("  {count:<5}{}\n", Escaped::with_octets_max(shows, 400)));
        }
        for row in &self.rows {
            let seen = format!("{} connections, last on {}", row.count, day_of(row.last_seen));
            text.push_str(&format!("\n{}  ({seen})\n", row.address));
            text.push_str(&format!("  {:<10}{}\n", "shows", Escaped::with_octets_max(&row.shows, 400)));
            text.push_str(&format!("  {:<10}{}\n", "remedy", row.remedy));
        }
        text
    }

    pub(super) fn table(&self) -> Markup {
        html! {
            h2 { "Too old for the TLS standard" }
            p { (self.summary()) }
            table {
                thead { tr { @for name in ["Address", "Shows", "Connections", "Last seen", "Remedy"] { th scope="col" { (name) } } } }
                tbody {
                    @for row in &self.rows {
                        tr {
                            td.tight data-label="Address" { (row.address) }
                            td data-label="Shows" { (row.shows) }
                            td data-label="Connections" { (row.count) }
                            td.tight data-label="Last seen" { (day_of(row.last_seen)) }
                            td data-label="Remedy" { (row.remedy) }
                        }
                    }
                }
            }
        }
    }
}

/// One address; what it showed last stands for it.
fn view(rows: &[&TlsClientRow]) -> Option<HelloView> {
    let last = rows.iter().max_by_key(|row| row.last_seen)?;
    let verdict = verdict(last.offer.as_ref(), Some(&last.refusal));
    let speaks = match &last.offer {
        Some(offer) => names::version(offer.newest_version()),
        None => last.version.clone(),
    };
    let product = verdict.guess.map_or(UNKNOWN, |product| product.name);
    let cannot = match last.refusal.as_str() {
        "no_common_suite" => "has no suite of the standard",
        _ => "cannot speak TLS 1.2",
    };
    Some(HelloView {
        address: last.address.to_string(),
        shows: format!("{product}; {cannot}"),
        guess: verdict.guess.map(|product| product.code),
        speaks,
        refusal: last.refusal.clone(),
        remedy: verdict.remedy,
        first_seen: rows.iter().map(|row| row.first_seen).min().unwrap_or(last.first_seen),
        last_seen: last.last_seen,
        count: rows.iter().map(|row| row.count).sum(),
    })
}
