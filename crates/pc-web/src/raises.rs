//! Servers that a coming version of their floor will reach.

use std::sync::Arc;

use maud::{Markup, html};
use pc_enforce::{Policy, Raise, ServerRecord};
use pc_types::Timestamp;
use serde::Serialize;

use crate::Admin;
use crate::page::day_of;

/// The raise that reaches a server within some days of a moment.
pub type RaiseAhead = Arc<dyn Fn(&Policy, &ServerRecord, (Timestamp, u32)) -> Option<Raise> + Send + Sync>;

/// One server with its raise, as API and page show it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RaiseView {
    pub(crate) at: Timestamp,
    pub(crate) id: String,
    pub(crate) greeting_name: Option<String>,
    /// Tells it from a stage that begins.
    pub(crate) what: &'static str,
    /// The ladder begins at the first stage.
    pub(crate) stage: u8,
    pub(crate) throttle_minutes: u8,
    pub(crate) block_minutes: u8,
    pub(crate) build: Option<String>,
    pub(crate) floor: String,
    pub(crate) version: u32,
    pub(crate) reason: String,
    pub(crate) install: String,
}

/// All servers that a raise reaches within `days` of `from`, the next one first.
pub(crate) fn raises(admin: &Admin, from: Timestamp, days: u32) -> Vec<RaiseView> {
    let policies = admin.policies.load_full();
    let records = admin.servers.all();
    let view = |record: &ServerRecord| {
        let policy = policies.of(record);
        let raise = (admin.raise_ahead)(policy, record, (from, days))?;
        let first = policy.schedule.stages().first();
        Some(RaiseView {
            at: raise.at,
            id: record.id.to_string(),
            greeting_name: record.greeting_name.as_ref().map(ToString::to_string),
            what: "raise",
            stage: first.map_or(1, |stage| stage.number),
            throttle_minutes: first.map_or(0, |stage| stage.throttle_minutes),
            block_minutes: first.map_or(0, |stage| stage.block_minutes),
            build: record.shown.as_ref().and_then(|shown| shown.build.clone()),
            floor: raise.floor,
            version: raise.version,
            reason: raise.text,
            install: raise.install,
        })
    };
    let mut views: Vec<RaiseView> = records.iter().filter_map(view).collect();
    views.sort_by(|one, other| (one.at, &one.id).cmp(&(other.at, &other.id)));
    views
}

/// As a section of a page; nothing where no raise is near.
pub(crate) fn section(views: &[RaiseView]) -> Markup {
    html! {
        @if !views.is_empty() {
            h2 { "Raises of the floor ahead" }
            p { "These servers owe nothing today, and will once the version holds. They begin at the first stage then." }
            table {
                thead { tr { @for name in ["When", "Server", "Shows", "Floor", "Install until then"] { th scope="col" { (name) } } } }
                tbody {
                    @for view in views {
                        tr {
                            td.tight data-label="When" { (day_of(view.at)) }
                            td data-label="Server" { a href=(format!("/servers/{}", view.id)) { (view.greeting_name.as_deref().unwrap_or(&view.id)) } }
                            td data-label="Shows" { (view.build.as_deref().unwrap_or_default()) }
                            td data-label="Floor" { (view.floor) " version " (view.version) }
                            td data-label="Install until then" { (view.install) }
                        }
                    }
                }
            }
        }
    }
}
