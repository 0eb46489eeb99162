//! `[spool]`

use super::{required_upstream, set, size_of, small};
use crate::document::{Diagnostics, Table};
use crate::{Spool, SpoolMode, Upstream, limits};

pub(super) fn spool(
    mut table: Table<'_, '_>,
    settings: &mut Spool,
    upstreams: &[Upstream],
    diagnostics: &mut Diagnostics<'_>,
) {
    let mode = table.parsed("mode", diagnostics, "\"when_down\", \"always\" or \"off\"", |text| match text {
        "always" => Some(SpoolMode::Always),
        "off" => Some(SpoolMode::Off),
        "when_down" => Some(SpoolMode::WhenDown),
        _ => None,
    });
    set(&mut settings.mode, mode);
    let expire = table.number("expire_hours", diagnostics, &limits::SPOOL_EXPIRE_HOURS);
    set(&mut settings.expire_hours, small(expire));
    let delay = table.number("delay_report_hours", diagnostics, &limits::SPOOL_DELAY_REPORT_HOURS);
    set(&mut settings.delay_report_hours, small(delay));
    let parallel = table.number("parallel_max", diagnostics, &limits::UPSTREAM_CONNECTIONS);
    set(&mut settings.parallel_max, size_of(parallel));
    let size = table.number("size_max_megabytes", diagnostics, &limits::SPOOL_MEGABYTES);
    set(&mut settings.size_max_megabytes, size);
    settings.reports_via = table.text("reports_via", diagnostics);
    if let Some(name) = &settings.reports_via {
        required_upstream(&table, "reports_via", name, upstreams, diagnostics);
    }
    table.finish(diagnostics);
}
