//! The catalogue of a running node: taken anew from disk, with every server judged again.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use pc_config::Config;
use pc_enforce::{Effect, Entitlement, Policies, Revised, rejudge};
use pc_exchange::Catalogue;
use pc_net::Clock;
use pc_store::{LadderEventRow, PauseBook, ServerBook, Writer};
use pc_telemetry::Event;

use super::Revisions;
use crate::exit::Failure;

/// What judging needs.
#[derive(Clone)]
pub struct Live {
    pub catalogue: Arc<ArcSwap<Catalogue>>,
    pub policies: Arc<ArcSwap<Policies>>,
    pub servers: Arc<ServerBook>,
    pub pauses: Arc<PauseBook>,
    /// Tenants that are enrolled for extended security updates.
    pub enrolled: BTreeSet<String>,
    pub writer: Writer,
    pub clock: Clock,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rejudged {
    /// Servers that owe, and did not.
    pub owing: usize,
    /// Servers that owe nothing any more.
    pub released: usize,
}

impl Live {
    /// Takes the catalogue that is in use on disk, and judges all servers by it.
    pub fn reload(&self, config: &Config) -> Result<Rejudged, Failure> {
        let in_use = Revisions::of(config).in_use(config)?;
        Ok(self.swap(in_use.catalogue))
    }

    /// Uses another catalogue from here on. Judging by an unchanged one, too, is right: the floor may have
    /// changed.
    pub fn swap(&self, after: Catalogue) -> Rejudged {
        let before = self.catalogue.load_full();
        if before.digest() != after.digest() {
            Event::CatalogueRevised { as_of: &after.as_of().to_string(), digest: after.digest() }.emit();
        }
        self.catalogue.store(Arc::new(after.clone()));
        let policies = self.policies.load_full();
        let now = self.clock.now();
        let mut rejudged = Rejudged::default();
        for id in self.servers.all().into_iter().map(|record| record.id) {
            let catalogues = Revised { before: &before, after: &after };
            let effect = self.servers.change(&id, |record| match record {
                Some(record) => {
                    let tenant = record.tenant.as_deref();
                    let entitlement =
                        Entitlement { esu: tenant.is_some_and(|tenant| self.enrolled.contains(tenant)) };
                    let pauses = self.pauses.of(tenant);
                    let policy = Arc::clone(policies.of(&record));
                    let (record, effect) = rejudge(&policy, record, catalogues, entitlement, &pauses, now);
                    let detail = record.shown.as_ref().map(|shown| {
                        let build = shown.build.as_deref().unwrap_or("not shown");
                        format!("judged anew: {}, build {build}", shown.verdict)
                    });
                    (Some(record), effect.map(|effect| (effect, detail.unwrap_or_default())))
                }
                None => (None, None),
            });
            let Some((effect, detail)) = effect else { continue };
            match effect {
                Effect::Released => rejudged.released += 1,
                _ => rejudged.owing += 1,
            }
            Event::LadderChanged { server: id.as_str(), code: effect.code(), detail: &detail }.emit();
            self.writer.ladder_event(LadderEventRow {
                server_id: id,
                at: now,
                code: effect.code().to_owned(),
                detail,
            });
        }
        rejudged
    }
}
