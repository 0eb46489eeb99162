use pc_types::{Timestamp, time};

use crate::Policy;
use crate::position::{Pause, position};
use crate::record::ServerRecord;
use crate::schedule::Stage;

/// A change that lies ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreviewRow {
    /// When.
    pub at: Timestamp,
    /// The stage that begins.
    pub stage: Stage,
}

/// What will happen to a server from `from` on within `days`, if it stays as it is and keeps
/// sending: its stage today first, then each later one.
pub fn preview(
    policy: &Policy,
    record: &ServerRecord,
    pauses: &[Pause],
    from: Timestamp,
    days: u32,
) -> Vec<PreviewRow> {
    let position = position(policy, record, pauses, from);
    let Some(stage) = position.stage else { return Vec::new() };
    let until = time::add_days(from, i64::from(days));
    let later = position
        .stage_dates
        .iter()
        .filter(|date| date.stage.number > stage.number && date.at <= until)
        .map(|date| PreviewRow { at: date.at, stage: date.stage });
    std::iter::once(PreviewRow { at: from, stage }).chain(later).collect()
}
