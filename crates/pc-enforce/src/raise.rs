use pc_exchange::{Entitlement, Judgement};
use pc_types::{Build, Date, Timestamp, time};

use crate::position::is_decayed;
use crate::record::{ServerRecord, Standing};
use crate::{Mode, Policy};

/// A version of the floor that a server will be below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raise {
    /// From when on it holds.
    pub at: Timestamp,
    /// The floor.
    pub floor: String,
    /// Its version.
    pub version: u32,
    /// What the server will lack, one sentence.
    pub text: String,
    /// What to install until then.
    pub install: String,
}

/// The first version within `days` of `from` that reaches a server which owes nothing, if it stays as it is. `judge` says
/// what a build is on a day. A server that owes is on the ladder already; of one that showed no build nothing can be said.
pub fn raise_ahead(
    policy: &Policy,
    record: &ServerRecord,
    judge: impl Fn(Build, Date) -> Judgement,
    entitlement: Entitlement,
    (from, days): (Timestamp, u32),
) -> Option<Raise> {
    if policy.mode == Mode::Off || record.standing != Standing::Met || is_decayed(policy, record, from) {
        return None;
    }
    let build: Build = record.shown.as_ref()?.build.as_deref()?.parse().ok()?;
    let (today, until) = (time::date_of(from), time::add_days(from, i64::from(days)));
    policy.floor.versions().iter().find_map(|version| {
        let effective = version.effective.filter(|effective| *effective > today)?;
        let at = time::start_of(effective);
        if at > until || record.exemption.as_ref().is_some_and(|exemption| at < exemption.until) {
            return None;
        }
        match policy.floor.judge(&judge(build, effective), entitlement, effective).standing {
            Standing::Owing { text, install, .. } => {
                let floor = policy.floor.name().to_owned();
                Some(Raise { at, floor, version: version.version, text, install })
            }
            Standing::Met | Standing::NotExchange | Standing::Unknown { .. } => None,
        }
    })
}
