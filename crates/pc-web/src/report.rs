//! # Purpose
//! The out-of-date server report: one value, four renderings.
//!
//! # Trust
//! Names and header lines are peer data: escaped for terminals and HTML, and made harmless for
//! spreadsheets.
//!
//! # Standards
//! RFC 4180.

mod hellos;
mod microsoft;
mod tenants;

use std::collections::BTreeMap;

use maud::{DOCTYPE, html};
use pc_enforce::{Floor, FloorVersion, Mode, Policies, ServerRecord};
use pc_store::{PauseBook, TlsClientRow};
use pc_types::{Date, Escaped, Timestamp, time};
use serde::Serialize;
use serde_json::Value;

use crate::page::{day_of, minute_of};
use crate::view::{ServerView, servers};
pub use hellos::{HelloView, Hellos};
pub use microsoft::MicrosoftRow;
pub use tenants::TenantView;

/// What the report says.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The node.
    pub node: String,
    /// When it was made.
    pub at: Timestamp,
    /// `off`, `report` or `enforce`.
    pub mode: &'static str,
    /// Date of the catalogue's facts.
    pub catalogue_as_of: String,
    /// What servers are held to, with the day of a raise ahead.
    pub floor: FloorView,
    /// Servers that owe something.
    pub owing: usize,
    /// Servers whose state is unknown.
    pub unknown: usize,
    /// Servers that owe nothing.
    pub met: usize,
    /// Senders that are no on-premises Exchange.
    pub not_exchange: usize,
    /// How many servers show each verdict.
    pub by_verdict: BTreeMap<String, usize>,
    /// How many servers stand in each stage; those without one are not counted.
    pub by_stage: BTreeMap<u8, usize>,
    /// One row for each tenant that has servers or pauses.
    pub tenants: Vec<TenantView>,
    /// All of them, the most severe first.
    pub servers: Vec<ServerView>,
    /// Servers that cannot finish a handshake under the TLS standard.
    pub hellos: Hellos,
    /// Those on the ladder, under the field names of Microsoft's own report.
    pub microsoft: Vec<MicrosoftRow>,
}

/// A floor on a day.
#[derive(Clone, Debug, Serialize)]
pub struct FloorView {
    /// Its name.
    pub name: String,
    /// The version in force.
    pub version: Option<u32>,
    /// From which day on it holds; `None` for always.
    pub effective: Option<Date>,
    /// What it asks.
    pub asks: Option<String>,
    /// The version ahead.
    pub next_version: Option<u32>,
    /// When that one was made known.
    pub next_announced: Option<Date>,
    /// From which day on that one holds.
    pub next_effective: Option<Date>,
    /// What that one asks.
    pub next_asks: Option<String>,
}

impl FloorView {
    fn new(floor: &Floor, date: Date) -> Self {
        let (held, next) = (floor.in_force(date), floor.next(date));
        Self {
            name: floor.name().to_owned(),
            version: held.map(|version| version.version),
            effective: held.and_then(|version| version.effective),
            asks: held.map(FloorVersion::text),
            next_version: next.map(|version| version.version),
            next_announced: next.and_then(|version| version.announced),
            next_effective: next.and_then(|version| version.effective),
            next_asks: next.map(FloorVersion::text),
        }
    }

    /// In one line.
    fn text(&self) -> String {
        let mut text = format!("floor {}", self.name);
        match (self.version, &self.asks) {
            (Some(version), Some(asks)) => {
                let since = self.effective.map_or_else(String::new, |from| format!(" since {from}"));
                text.push_str(&format!(" version {version}{since}: {asks}"));
            }
            _ => text.push_str(": nothing is asked yet"),
        }
        if let (Some(version), Some(from), Some(asks)) =
            (self.next_version, self.next_effective, &self.next_asks)
        {
            text.push_str(&format!("; version {version} holds from {from}: {asks}"));
        }
        text
    }
}

/// `off`, `report` or `enforce`.
pub(crate) fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "enforce",
        Mode::Off => "off",
        Mode::Report => "report",
    }
}

const COLUMNS: [&str; 25] = [
    "id",
    "server",
    "address",
    "product",
    "build",
    "update",
    "verdict",
    "standing",
    "stage",
    "day",
    "throttle_minutes",
    "block_minutes",
    "next_stage_at",
    "last_seen",
    "install",
    "reason",
    "exempt_until",
    "floor",
    "floor_version",
    "floor_effective",
    "connector",
    "connector_by",
    "mode",
    "open_cves",
    "exploited_cves",
];

impl Report {
    /// The report over `records` at `now`.
    pub fn new(
        policies: &Policies,
        records: &[ServerRecord],
        pauses: &PauseBook,
        catalogue_as_of: Date,
        now: Timestamp,
    ) -> Self {
        let (policy, servers) = (policies.general(), servers(policies, records, pauses, now));
        let count = |standing: &str| servers.iter().filter(|server| server.standing == standing).count();
        let mut by_verdict = BTreeMap::new();
        let mut by_stage = BTreeMap::new();
        for server in &servers {
            let verdict = server.verdict.as_deref().unwrap_or("unknown");
            *by_verdict.entry(verdict.to_owned()).or_insert(0) += 1;
            if let Some(stage) = server.stage {
                *by_stage.entry(stage).or_insert(0) += 1;
            }
        }
        Self {
            node: policy.node_name.to_string(),
            at: now,
            mode: mode_word(policy.mode),
            catalogue_as_of: catalogue_as_of.to_string(),
            floor: FloorView::new(&policy.floor, time::date_of(now)),
            owing: count("owing"),
            unknown: count("unknown"),
            met: count("met"),
            not_exchange: count("not_exchange"),
            by_verdict,
            by_stage,
            tenants: tenants::tenants(&servers, &pauses.all(), now),
            microsoft: microsoft::rows(&servers),
            servers,
            hellos: Hellos::default(),
        }
    }

    /// With the clients that mail listeners refused.
    #[must_use]
    pub fn with_refused(self, refused: &[TlsClientRow]) -> Self {
        Self { hellos: Hellos::new(refused), ..self }
    }

    /// For a terminal.
    pub fn text(&self) -> String {
        let mut text = format!(
            "Out-of-date server report of {} at {} UTC, mode {}, catalogue of {}\n{}\n{}\n",
            self.node,
            minute_of(self.at),
            self.mode,
            self.catalogue_as_of,
            self.floor.text(),
            self.summary(),
        );
        if tenants::is_worth_a_table(&self.tenants) {
            text.push_str(&tenants::text(&self.tenants));
        }
        for server in &self.servers {
            let name = Escaped::new(server.name()).to_string();
            text.push_str(&format!(
                "\n{name}  ({}, id {})\n  {:<10}{}\n",
                server.address,
                server.id,
                "shows",
                server.software()
            ));
            let verdict = server.verdict.as_deref().unwrap_or("nothing yet");
            text.push_str(&format!(
                "  {:<10}{verdict}: {}\n",
                "verdict",
                Escaped::with_octets_max(&server.reason, 400)
            ));
            for line in &server.interior {
                let header = Escaped::with_octets_max(&line.header, 120);
                text.push_str(&format!("  {:<10}{}, not judged: {header}\n", "interior", line.build));
            }
            text.push_str(&format!("  {:<10}{}\n", "rules", Escaped::new(&server.rules())));
            if let Some(stage) = server.stage {
                text.push_str(&format!(
                    "  {:<10}stage {stage}, day {}: throttled {} and blocked {} minutes an hour from minute {}\n",
                    "ladder", server.day, server.throttle_minutes, server.block_minutes, server.start_minute
                ));
            }
            if let (Some(next), Some(at)) = (server.next_stage, server.next_stage_at) {
                text.push_str(&format!("  {:<10}stage {next} on {}\n", "next", day_of(at)));
            }
            if let Some(install) = &server.install {
                text.push_str(&format!("  {:<10}{}\n", "install", Escaped::with_octets_max(install, 400)));
            }
            if !server.open_cves.is_empty() {
                text.push_str(&format!("  {:<10}{}\n", "open", server.vulnerabilities()));
            }
            if let Some(attested) = &server.attestation {
                text.push_str(&format!(
                    "  {:<10}{}\n",
                    "attested",
                    Escaped::with_octets_max(&attested.text, 400)
                ));
            }
            if let Some(until) = server.exempt_until {
                text.push_str(&format!("  {:<10}until {}\n", "exempt", minute_of(until)));
            }
        }
        if self.hellos.addresses > 0 {
            text.push_str(&self.hellos.text());
        }
        text
    }

    fn summary(&self) -> String {
        if self.servers.is_empty() {
            return "No server has sent mail yet.".to_owned();
        }
        format!(
            "{} owe updates, {} unknown, {} in order, {} are no on-premises Exchange",
            self.owing, self.unknown, self.met, self.not_exchange
        )
    }

    /// The same with the vulnerabilities open at each build, which `judge` looks up.
    #[must_use]
    pub fn with_cves(mut self, judge: impl Fn(&str) -> Value) -> Self {
        let mut known: BTreeMap<String, Value> = BTreeMap::new();
        let servers = std::mem::take(&mut self.servers).into_iter().map(|server| {
            let Some(build) = server.build.clone() else { return server };
            let judged = known.entry(build).or_insert_with_key(|build| judge(build));
            server.with_cves(judged)
        });
        self.servers = servers.collect();
        self
    }

    /// For a spreadsheet.
    pub fn csv(&self) -> String {
        let mut text = COLUMNS.join(",") + "\r\n";
        for server in &self.servers {
            let optional = |value: &Option<String>| value.clone().unwrap_or_default();
            let cells = [
                server.id.clone(),
                server.name().to_owned(),
                server.address.clone(),
                optional(&server.product),
                optional(&server.build),
                optional(&server.update),
                optional(&server.verdict),
                server.standing.to_owned(),
                server.stage.map(|stage| stage.to_string()).unwrap_or_default(),
                server.day.to_string(),
                server.throttle_minutes.to_string(),
                server.block_minutes.to_string(),
                server.next_stage_at.map(|at| at.to_string()).unwrap_or_default(),
                server.last_seen.to_string(),
                optional(&server.install),
                server.reason.clone(),
                server.exempt_until.map(|until| until.to_string()).unwrap_or_default(),
                optional(&server.floor),
                server.floor_version.map(|version| version.to_string()).unwrap_or_default(),
                server.floor_effective.map(|from| from.to_string()).unwrap_or_default(),
                server.connector.clone(),
                server.connector_by.to_owned(),
                server.mode.to_owned(),
                server.open_cves.len().to_string(),
                server.exploited_cves.join(" "),
            ];
            let cells: Vec<String> = cells.iter().map(|cell| csv_cell(cell)).collect();
            text.push_str(&cells.join(","));
            text.push_str("\r\n");
        }
        for hello in &self.hellos.rows {
            text.push_str(&hello_cells(hello));
        }
        text
    }

    /// A page that needs nothing beside itself.
    pub fn html(&self) -> String {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { "Out-of-date servers, " (self.node) }
                    style { (maud::PreEscaped(crate::page::STYLE)) }
                }
                body {
                    main {
                        h1 { "Out-of-date server report" }
                        p { (self.node) ", " (minute_of(self.at)) " UTC, mode " (self.mode) ", catalogue of " (self.catalogue_as_of) }
                        p { (self.floor.text()) }
                        p { (self.summary()) }
                        @if !self.servers.is_empty() {
                            (crate::page::server_table(&self.servers, crate::page::Links::None))
                        }
                        @if self.hellos.addresses > 0 {
                            (self.hellos.table())
                        }
                        @if tenants::is_worth_a_table(&self.tenants) {
                            (tenants::table(&self.tenants))
                        }
                        @if self.owing > 0 {
                            h2 { "What they owe" }
                            dl.owed {
                                @for server in &self.servers {
                                    @if let Some(install) = &server.install {
                                        dt { (server.name()) }
                                        dd {
                                            (server.reason) br; "Install: " (install)
                                            @if !server.open_cves.is_empty() { br; "Open: " (server.vulnerabilities()) }
                                            @if let Some(header) = &server.header { pre { (header) } }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        .into_string()
    }
}

/// A row of the same columns: neither product nor build, and no place on the ladder.
fn hello_cells(hello: &HelloView) -> String {
    let cells = COLUMNS.map(|column| match column {
        "server" | "address" => hello.address.clone(),
        "verdict" => "not_judged".to_owned(),
        "standing" => "too_old_for_tls".to_owned(),
        "last_seen" => hello.last_seen.to_string(),
        "install" => hello.remedy.clone(),
        "reason" => hello.shows.clone(),
        _ => String::new(),
    });
    cells.map(|cell| csv_cell(&cell)).join(",") + "\r\n"
}

/// RFC 4180 2.6, 2.7; a leading character that a spreadsheet takes for a formula is made text.
fn csv_cell(cell: &str) -> String {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let guarded = if is_formula { format!("'{cell}") } else { cell.to_owned() };
    if guarded.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", guarded.replace('"', "\"\""))
    } else {
        guarded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_cannot_be_formulas_or_break_the_row() {
        assert_eq!(csv_cell("=HYPERLINK(\"x\")"), "\"'=HYPERLINK(\"\"x\"\")\"");
        assert_eq!(csv_cell("-1"), "'-1");
        assert_eq!(csv_cell("a,b\n"), "\"a,b\n\"");
        assert_eq!(csv_cell("plain"), "plain");
    }
}
