use pc_exchange::{Catalogue, Entitlement, Form};
use pc_types::{Build, Timestamp, time};

use crate::observe::{Change, Effect, settle};
use crate::position::{Pause, is_decayed};
use crate::record::{ServerRecord, Standing};
use crate::{Mode, Policy};

/// The catalogue that was in use, and the one that is.
#[derive(Clone, Copy, Debug)]
pub struct Revised<'a> {
    /// Before.
    pub before: &'a Catalogue,
    /// From here on.
    pub after: &'a Catalogue,
}

/// Judges anew what a server showed last, after the catalogue or the floor has changed: a fixed build that
/// moved turns a good server into one that owes, and back. Of a server whose last message proved no build
/// nothing is known, so that it stays as it is.
pub fn rejudge(
    policy: &Policy,
    mut record: ServerRecord,
    catalogues: Revised<'_>,
    entitlement: Entitlement,
    pauses: &[Pause],
    now: Timestamp,
) -> (ServerRecord, Option<Effect>) {
    let shown = record.shown.as_ref().and_then(|shown| shown.build.as_deref());
    let Some(build) = shown.and_then(|build| build.parse::<Build>().ok()) else { return (record, None) };
    if policy.mode == Mode::Off || is_decayed(policy, &record, now) {
        return (record, None);
    }
    let date = time::date_of(now);
    // The id stood in a line of the SMTP form: no other one is ever judged.
    let judged = |catalogue: &Catalogue| catalogue.judge_build(build, Form::Smtp, date);
    let judgement = judged(catalogues.after);
    let standing = policy.floor.judge(&judgement, entitlement, date);
    let before = policy.floor.judge(&judged(catalogues.before), entitlement, date);
    // Without the revision it would owe nothing today: it is not made to go on where an earlier cycle was left.
    let change = if before.standing == Standing::Met { Change::Facts } else { Change::Rejudged };
    if let Some(shown) = &mut record.shown {
        judgement.verdict.as_str().clone_into(&mut shown.verdict);
        shown.product.clone_from(&judgement.product);
        shown.update.clone_from(&judgement.update);
    }
    let effect = settle(policy, &mut record, standing, change, pauses, now);
    (record, effect)
}
