//! `[[enforcement.rollout]]`

use super::peers::connector_kind;
use crate::RolloutStep;
use crate::document::{Diagnostics, Table};
use crate::limits::PRODUCTS;

pub(super) fn steps(enforcement: &mut Table<'_, '_>, diagnostics: &mut Diagnostics<'_>) -> Vec<RolloutStep> {
    let mut steps = Vec::new();
    for mut entry in enforcement.tables("rollout", "enforcement.rollout", diagnostics) {
        let want = format!("one of {}", PRODUCTS.join(", "));
        let products = entry.list("products", diagnostics, &want, |value| {
            value.as_str().filter(|product| PRODUCTS.contains(product)).map(str::to_owned)
        });
        let want = "\"on_premises\", \"partner\" or \"internet\"";
        let kinds = entry.list("kinds", diagnostics, want, |value| value.as_str().and_then(connector_kind));
        if !entry.has("from") {
            entry.fault("from", diagnostics, "is missing; give the first day");
        }
        let from =
            entry.parsed("from", diagnostics, "a day, such as \"2027-01-12\"", |text| text.parse().ok());
        if let Some(from) = from {
            let (products, kinds) = (products.unwrap_or_default(), kinds.unwrap_or_default());
            steps.push(RolloutStep { products, kinds, from });
        }
        entry.finish(diagnostics);
    }
    steps
}
