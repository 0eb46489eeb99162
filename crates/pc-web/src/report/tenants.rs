use std::collections::BTreeMap;

use maud::{Markup, html};
use pc_enforce::{DEFAULT_TENANT, GrantedPause, quota, runs};
use pc_types::{Timestamp, time};
use serde::Serialize;

use crate::view::ServerView;

/// What a tenant's servers owe, and what it has left of the year's pause days.
#[derive(Clone, Debug, Serialize)]
pub struct TenantView {
    /// Its name; `default` for servers of none.
    pub tenant: String,
    /// Servers seen.
    pub servers: usize,
    /// Those that owe something.
    pub owing: usize,
    /// Those whose state is unknown.
    pub unknown: usize,
    /// Those that owe nothing.
    pub met: usize,
    /// A pause, or a stop for everybody, is in force.
    pub paused: bool,
    /// Pause days of this calendar year that are used or granted.
    pub pause_days_used: u32,
    /// Those that are left.
    pub pause_days_left: u32,
}

/// One row for each tenant that has servers or pauses, by name.
pub(super) fn tenants(servers: &[ServerView], granted: &[GrantedPause], now: Timestamp) -> Vec<TenantView> {
    let year = time::date_of(now).year();
    let mut by_name: BTreeMap<&str, Vec<&ServerView>> = BTreeMap::new();
    for server in servers {
        by_name.entry(server.tenant.as_deref().unwrap_or(DEFAULT_TENANT)).or_default().push(server);
    }
    for pause in granted {
        if let Some(tenant) = &pause.tenant {
            by_name.entry(tenant).or_default();
        }
    }
    let view = |(tenant, servers): (&str, Vec<&ServerView>)| {
        let count = |standing: &str| servers.iter().filter(|server| server.standing == standing).count();
        let own = |pause: &&GrantedPause| pause.tenant.as_deref().is_none_or(|own| own == tenant);
        let quota = quota(granted, tenant, year);
        TenantView {
            tenant: tenant.to_owned(),
            servers: servers.len(),
            owing: count("owing"),
            unknown: count("unknown"),
            met: count("met"),
            paused: granted.iter().filter(own).any(|pause| runs(pause, now)),
            pause_days_used: quota.used_days,
            pause_days_left: quota.left_days,
        }
    };
    by_name.into_iter().map(view).collect()
}

/// Where all servers are those of no tenant, the roll-up says what the summary says.
pub(super) fn is_worth_a_table(tenants: &[TenantView]) -> bool {
    tenants
        .iter()
        .any(|tenant| tenant.tenant != DEFAULT_TENANT || tenant.paused || tenant.pause_days_used > 0)
}

pub(super) fn text(tenants: &[TenantView]) -> String {
    let line = |tenant: &TenantView| {
        let paused = if tenant.paused { ", paused" } else { "" };
        format!(
            "  {:<20} servers {}, owing {}, unknown {}, in order {}; pause days left this year {}{paused}\n",
            pc_types::Escaped::new(&tenant.tenant).to_string(),
            tenant.servers,
            tenant.owing,
            tenant.unknown,
            tenant.met,
            tenant.pause_days_left,
        )
    };
    tenants.iter().map(line).collect()
}

pub(super) fn table(tenants: &[TenantView]) -> Markup {
    html! {
        h2 { "Tenants" }
        table {
            thead { tr {
                @for name in ["Tenant", "Servers", "Owe", "Unknown", "In order", "Pause days left", "Paused"] { th scope="col" { (name) } }
            } }
            tbody {
                @for tenant in tenants {
                    tr {
                        td data-label="Tenant" { (tenant.tenant) }
                        td data-label="Servers" { (tenant.servers) }
                        td data-label="Owe" { (tenant.owing) }
                        td data-label="Unknown" { (tenant.unknown) }
                        td data-label="In order" { (tenant.met) }
                        td data-label="Pause days left" { (tenant.pause_days_left) }
                        td data-label="Paused" { @if tenant.paused { "yes" } @else { "no" } }
                    }
                }
            }
        }
    }
}
