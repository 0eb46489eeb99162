//! The settings of `[[upstream]]` that say which recipients there are.

use super::small;
use crate::document::{Diagnostics, Table};
use crate::{Recipients, UpstreamTarget, limits};

pub(super) fn recipients(
    entry: &mut Table<'_, '_>,
    target: Option<&UpstreamTarget>,
    diagnostics: &mut Diagnostics<'_>,
) -> Recipients {
    let file = entry.text("recipients_file", diagnostics);
    let want = "one character that may stand in an address, such as \"+\"";
    let subaddress = entry.parsed("recipients_subaddress", diagnostics, want, |text| {
        let mut characters = text.chars();
        let character =
            characters.next().filter(|character| limits::SUBADDRESS_CHARACTERS.contains(*character))?;
        characters.next().is_none().then_some(character)
    });
    let minutes = &limits::RECIPIENTS_CACHE_MINUTES;
    let positive = small(entry.number("recipients_cache_positive_minutes", diagnostics, minutes));
    let negative = small(entry.number("recipients_cache_negative_minutes", diagnostics, minutes));
    for (key, is_set) in [
        ("recipients_cache_positive_minutes", positive.is_some()),
        ("recipients_cache_negative_minutes", negative.is_some()),
    ] {
        if is_set && matches!(target, Some(UpstreamTarget::Maildir { .. })) {
            entry.fault(key, diagnostics, "a Maildir is not asked; list its recipients in recipients_file");
        }
        if is_set && file.is_some() {
            entry.fault(
                key,
                diagnostics,
                "recipients_file decides, so no answer is remembered; use one of the two",
            );
        }
    }
    if subaddress.is_some() && file.is_none() {
        entry.fault("recipients_subaddress", diagnostics, "has no meaning without recipients_file");
    }
    let defaults = Recipients::default();
    Recipients {
        file,
        subaddress,
        cache_positive_minutes: positive.unwrap_or(defaults.cache_positive_minutes),
        cache_negative_minutes: negative.unwrap_or(defaults.cache_negative_minutes),
    }
}
