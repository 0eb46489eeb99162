use pc_types::Timestamp;
use serde::Serialize;

use crate::view::ServerView;

/// A server that owes, under the field names of `Get-OnPremServerReportInfo`, for scripts that read that one.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct MicrosoftRow {
    /// The greeting name, or the address where there is none. Microsoft's is the inner name.
    #[serde(rename = "ServerFQDN")]
    pub server_fqdn: String,
    /// Such as `15.1.2507.16`.
    pub build: Option<String>,
    /// Such as `ExchangeServer2016`.
    pub exchange_server: Option<String>,
    /// When its ladder began.
    pub first_detected_date: Option<Timestamp>,
    /// What to install, in words; Microsoft's is a list of builds.
    pub recommended_build_versions: Option<String>,
    /// When the first throttled stage begins or began.
    pub throttle_enabled_date: Option<Timestamp>,
    /// When the first blocked stage begins or began.
    pub blocking_enabled_date: Option<Timestamp>,
    /// Minutes an hour in the next stage.
    pub next_stage_throttle_rate: Option<u8>,
    /// Minutes an hour in the next stage.
    pub next_stage_block_rate: Option<u8>,
    /// When it begins.
    pub next_stage_start_date: Option<Timestamp>,
}

/// The rows of all servers on the ladder.
pub(super) fn rows(servers: &[ServerView]) -> Vec<MicrosoftRow> {
    servers.iter().filter(|server| server.stage.is_some()).map(row).collect()
}

fn row(server: &ServerView) -> MicrosoftRow {
    let dates = &server.stage_dates;
    let next = dates.iter().find(|date| Some(date.stage) == server.next_stage);
    MicrosoftRow {
        server_fqdn: server.name().to_owned(),
        build: server.build.clone(),
        exchange_server: server.product.as_ref().map(|product| format!("ExchangeServer{product}")),
        first_detected_date: dates.first().map(|date| date.at),
        recommended_build_versions: server.install.clone(),
        throttle_enabled_date: dates.iter().find(|date| date.throttle_minutes > 0).map(|date| date.at),
        blocking_enabled_date: dates.iter().find(|date| date.block_minutes > 0).map(|date| date.at),
        next_stage_throttle_rate: next.map(|date| date.throttle_minutes),
        next_stage_block_rate: next.map(|date| date.block_minutes),
        next_stage_start_date: next.map(|date| date.at),
    }
}
