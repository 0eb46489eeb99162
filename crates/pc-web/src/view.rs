//! A server as API, report and pages show it.

use pc_enforce::{
    Interior, MatchedBy, Pause, Policies, Position, RunOf, ServerRecord, Standing, Window, position,
    start_minute,
};
use pc_store::PauseBook;
use pc_types::{Date, Timestamp, time};
use serde::Serialize;
use serde_json::Value;

use crate::attestations::AttestationView;
use crate::report::mode_word;

/// One server at a moment.
#[derive(Clone, Debug, Serialize)]
pub struct ServerView {
    /// Its id.
    pub id: String,
    /// How it greets.
    pub greeting_name: Option<String>,
    /// Where it connects from.
    pub address: String,
    /// Such as `2016`.
    pub product: Option<String>,
    /// Such as `15.1.2507.39`.
    pub build: Option<String>,
    /// Update level.
    pub update: Option<String>,
    /// The judge's word for its last message.
    pub verdict: Option<String>,
    /// What that means to the ladder.
    pub standing: &'static str,
    /// Why.
    pub reason: String,
    /// The line that was read.
    pub header: Option<String>,
    /// Why that line was taken, or why none was.
    pub evidence_reason: Option<String>,
    /// What Exchange servers further back stamped, its own or somebody else's: shown, and nobody is held to it.
    pub interior: Vec<Interior>,
    /// The floor it is held to; `None` while none is in force.
    pub floor: Option<String>,
    /// Its version.
    pub floor_version: Option<u32>,
    /// From which day on that holds.
    pub floor_effective: Option<Date>,
    /// What to install, when it owes something.
    pub install: Option<String>,
    /// Vulnerabilities open at its build; empty where nobody looked them up.
    pub open_cves: Vec<String>,
    /// Those of them that are known to be exploited.
    pub exploited_cves: Vec<String>,
    /// The organisation whose connector it came by.
    pub tenant: Option<String>,
    /// What kind of connector that was.
    pub kind: &'static str,
    /// Its name.
    pub connector: String,
    /// What proved it: `address`, `certificate`, `spf` or `nothing`.
    pub connector_by: &'static str,
    /// The range, name or domain that did.
    pub connector_match: Option<String>,
    /// `off`, `report` or `enforce`, as it holds for this server today.
    pub mode: &'static str,
    /// What its owner attests, once that was looked up.
    pub attestation: Option<AttestationView>,
    /// Since when its mail contradicts that.
    pub attestation_contradicted_since: Option<Timestamp>,
    /// Messages without a good one between that have shown what it owes.
    pub sightings: u32,
    /// The ladder begins after so many of them ...
    pub open_sightings: u32,
    /// ... over so many hours.
    pub open_hours: u32,
    /// The stage, from 1.
    pub stage: Option<u8>,
    /// Whole days on the ladder.
    pub day: u32,
    /// Minutes of each hour.
    pub throttle_minutes: u8,
    /// Minutes of each hour.
    pub block_minutes: u8,
    /// `open`, `throttle` or `block`, inside the hour.
    pub window: &'static str,
    /// When that window ends.
    pub window_ends_at: Option<Timestamp>,
    /// The minute of each hour at which its windows begin.
    pub start_minute: u8,
    /// The next harsher stage.
    pub next_stage: Option<u8>,
    /// When it begins.
    pub next_stage_at: Option<Timestamp>,
    /// All stages with their dates.
    pub stage_dates: Vec<StageView>,
    /// The ladder stands still.
    pub paused: bool,
    /// An operator lets it through until then.
    pub exempt_until: Option<Timestamp>,
    /// Why.
    pub exempt_reason: Option<String>,
    /// First connection.
    pub first_seen: Timestamp,
    /// Last connection.
    pub last_seen: Timestamp,
    /// When it was last released.
    pub released_at: Option<Timestamp>,
    /// Transactions, and how many the ladder held or would have held.
    pub transactions: u64,
    /// Deferred in a throttle window.
    pub throttled: u64,
    /// Refused in a block window.
    pub blocked: u64,
    /// Would have been held, in report mode.
    pub would_hold: u64,
}

/// A stage with its date.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct StageView {
    /// From 1.
    pub stage: u8,
    /// When it begins.
    pub at: Timestamp,
    /// Minutes of each hour.
    pub throttle_minutes: u8,
    /// Minutes of each hour.
    pub block_minutes: u8,
}

impl ServerView {
    /// The server at `now`.
    pub fn new(policies: &Policies, record: &ServerRecord, pauses: &[Pause], now: Timestamp) -> Self {
        let policy = policies.of(record);
        let matched = record.connector.as_ref();
        let position = position(policy, record, pauses, now);
        let shown = record.shown.as_ref();
        let (reason, install) = match &record.standing {
            Standing::Met => ("owes nothing".to_owned(), None),
            Standing::NotExchange => (shown.map(|shown| shown.reason.clone()).unwrap_or_default(), None),
            Standing::Owing { text, install, .. } => (text.clone(), Some(install.clone())),
            Standing::Unknown { text, .. } => (text.clone(), None),
        };
        let (window, window_ends_at) = match position.window {
            Window::Block { ends_at } => ("block", Some(ends_at)),
            Window::Open => ("open", None),
            Window::Throttle { ends_at } => ("throttle", Some(ends_at)),
        };
        let exemption = record.exemption.as_ref().filter(|exemption| now < exemption.until);
        let next = position.next_stage();
        let floor = policy.floor.in_force(time::date_of(now));
        Self {
            id: record.id.to_string(),
            greeting_name: record.greeting_name.as_ref().map(ToString::to_string),
            address: record.address.to_string(),
            product: shown.and_then(|shown| shown.product.clone()),
            build: shown.and_then(|shown| shown.build.clone()),
            update: shown.and_then(|shown| shown.update.clone()),
            verdict: shown.map(|shown| shown.verdict.clone()),
            standing: record.standing.as_str(),
            reason,
            header: shown.and_then(|shown| shown.header.clone()),
            evidence_reason: shown.map(|shown| shown.reason.clone()),
            interior: shown.map(|shown| shown.interior.clone()).unwrap_or_default(),
            floor: floor.map(|_| policy.floor.name().to_owned()),
            floor_version: floor.map(|version| version.version),
            floor_effective: floor.and_then(|version| version.effective),
            install,
            open_cves: Vec::new(),
            exploited_cves: Vec::new(),
            tenant: record.tenant.clone(),
            kind: record.kind.as_str(),
            connector: record.connector_name().to_owned(),
            connector_by: matched.map_or(MatchedBy::Nothing, |matched| matched.by).as_str(),
            connector_match: matched.map(|matched| matched.what.clone()).filter(|what| !what.is_empty()),
            mode: mode_word(policy.mode_for(record, now)),
            attestation: None,
            attestation_contradicted_since: record.attestation_contradicted_since,
            sightings: record.run.filter(|run| run.of == RunOf::Owing).map_or(0, |run| run.sightings),
            open_sightings: policy.open_sightings,
            open_hours: policy.open_hours,
            stage: position.stage.map(|stage| stage.number),
            day: position.day,
            throttle_minutes: position.stage.map_or(0, |stage| stage.throttle_minutes),
            block_minutes: position.stage.map_or(0, |stage| stage.block_minutes),
            window,
            window_ends_at,
            start_minute: start_minute(&record.id),
            next_stage: next.map(|next| next.stage.number),
            next_stage_at: next.map(|next| next.at),
            stage_dates: stage_dates(&position),
            paused: position.paused,
            exempt_until: exemption.map(|exemption| exemption.until),
            exempt_reason: exemption.map(|exemption| exemption.reason.clone()),
            first_seen: record.first_seen,
            last_seen: record.last_seen,
            released_at: record.released_at,
            transactions: record.counts.transactions,
            throttled: record.counts.throttled,
            blocked: record.counts.blocked,
            would_hold: record.counts.would_hold,
        }
    }

    /// Which rules it is under, and why.
    pub fn rules(&self) -> String {
        let why = match (self.connector_by, &self.connector_match) {
            ("address", Some(what)) => format!(", by its address in {what}"),
            ("certificate", Some(what)) => format!(", by its certificate for {what}"),
            ("spf", Some(what)) => format!(", by SPF for {what}"),
            _ => String::new(),
        };
        format!("connector {}{why}, mode {}", self.connector, self.mode)
    }

    /// The same with what `judge` says is open at its build.
    #[must_use]
    pub(crate) fn with_cves(mut self, judged: &Value) -> Self {
        let ids = |wanted: &dyn Fn(&Value) -> bool| {
            let cves = judged.get("cves").and_then(Value::as_array).into_iter().flatten();
            let ids = cves.filter(|cve| wanted(cve)).filter_map(|cve| cve.get("id")?.as_str());
            ids.map(str::to_owned).collect()
        };
        self.open_cves = ids(&|_| true);
        self.exploited_cves = ids(&|cve| cve.get("kev").and_then(Value::as_bool) == Some(true));
        self
    }

    /// The greeting name, or the address of a server without one.
    pub fn name(&self) -> &str {
        self.greeting_name.as_deref().unwrap_or(&self.address)
    }

    /// What the stage does to its mail, in a few words.
    pub fn held(&self) -> String {
        match (self.throttle_minutes, self.block_minutes) {
            (0, 0) => "reported only".to_owned(),
            (throttle, 0) => format!("deferred for {throttle} minutes of each hour"),
            (0, block) => format!("blocked for {block} minutes of each hour"),
            (throttle, block) => {
                format!("blocked for {block} and deferred for {throttle} minutes of each hour")
            }
        }
    }

    /// Open vulnerabilities in a few words.
    pub fn vulnerabilities(&self) -> String {
        let open = match self.open_cves.len() {
            1 => "1 vulnerability".to_owned(),
            count => format!("{count} vulnerabilities"),
        };
        if self.exploited_cves.is_empty() {
            return format!("{open}, none known to be exploited");
        }
        format!("{open}, known to be exploited: {}", self.exploited_cves.join(", "))
    }

    /// Product and build in a few words.
    pub fn software(&self) -> String {
        match (&self.product, &self.build) {
            (Some(product), Some(build)) => format!("Exchange {product}, {build}"),
            (Some(product), None) => product.clone(),
            (None, Some(build)) => build.clone(),
            (None, None) => "no Exchange shown".to_owned(),
        }
    }
}

fn stage_dates(position: &Position) -> Vec<StageView> {
    let view = |date: &pc_enforce::StageDate| StageView {
        stage: date.stage.number,
        at: date.at,
        throttle_minutes: date.stage.throttle_minutes,
        block_minutes: date.stage.block_minutes,
    };
    position.stage_dates.iter().map(view).collect()
}

/// All servers, the highest stage first, then what is unknown, then the last seen.
pub fn servers(
    policies: &Policies,
    records: &[ServerRecord],
    pauses: &PauseBook,
    now: Timestamp,
) -> Vec<ServerView> {
    let view =
        |record: &ServerRecord| ServerView::new(policies, record, &pauses.of(record.tenant.as_deref()), now);
    let mut views: Vec<ServerView> = records.iter().map(view).collect();
    let rank = |view: &ServerView| match view.standing {
        "owing" => 0,
        "unknown" => 1,
        "met" => 2,
        _ => 3,
    };
    views.sort_by(|one, other| {
        let severity = (other.stage, other.day).cmp(&(one.stage, one.day));
        severity
            .then(rank(one).cmp(&rank(other)))
            .then(other.last_seen.cmp(&one.last_seen))
            .then(one.id.cmp(&other.id))
    });
    views
}
