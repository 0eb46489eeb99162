//! # Purpose
//! Looks through the server book for what should have been told by now, and puts it into the outbox.
//!
//! # Trust
//! Greeting names are peers' words. Nobody outside is written to on such a word alone: see [`Survey::postmaster`].
//!
//! # Standards
//! RFC 5321 4.5.1 and RFC 2142 5: postmaster is a domain's own contact for mail.
//!
//! # Invariants
//! A notice is in the database before it counts as written; the outbox keeps one for each addressee and key.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use pc_dns::{Answer, Budget, Kind, Query, Records, Resolver};
use pc_enforce::{DEFAULT_TENANT, ServerRecord, Standing};
use pc_exchange::Form;
use pc_notice::{Addressee, Keyed, floor_notice, ladder_notices, may_have_ladder_notices};
use pc_smtpd::Edge;
use pc_store::{NoticeRow, Repetition, Store, StoreError};
use pc_types::{Domain, ServerId, Timestamp, time};

use crate::limits::{LOOKUP_TIMEOUT, LOOKUPS_PER_SURVEY_MAX, UNPROVEN_DAYS};
use crate::notifier::NotifySettings;
use crate::webhooks::Webhooks;

/// What a survey remembers between two looks.
pub(crate) struct Survey {
    edge: Arc<Edge>,
    store: Store,
    /// Asked whether a greeting name leads to its address; without one nobody outside is written to.
    resolver: Option<Resolver>,
    webhooks: Arc<Webhooks>,
    /// Addressee and key of what was due at the last look and is in the outbox.
    written: HashSet<(Addressee, String)>,
    /// Servers whose greeting name did not lead to their address, and when that was asked.
    unproven: HashMap<ServerId, Timestamp>,
}

impl Survey {
    pub(crate) fn new(
        edge: Arc<Edge>,
        store: Store,
        resolver: Option<Resolver>,
        webhooks: Arc<Webhooks>,
    ) -> Self {
        Self { edge, store, resolver, webhooks, written: HashSet::new(), unproven: HashMap::new() }
    }

    /// Writes what is due at `now`; returns how much that was.
    pub(crate) async fn look(
        &mut self,
        settings: &NotifySettings,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        self.unproven.retain(|_, asked| now < time::add_days(*asked, UNPROVEN_DAYS));
        let (mut rows, mut due, mut lookups) = (Vec::new(), HashSet::new(), 0);
        for (record, notices) in self.due(now) {
            for keyed in notices {
                let mut addressees = told(settings, &record);
                addressees.extend(self.webhooks.told(&keyed.notice, record.tenant.as_deref()));
                if let Some(domain) = self.postmaster(settings, &record, &keyed, now, &mut lookups).await {
                    addressees.push(Addressee::Postmaster(domain));
                }
                for addressee in addressees {
                    let entry = (addressee, keyed.key.clone());
                    if !self.written.contains(&entry) {
                        rows.push(row(&entry, &record, &keyed, now));
                    }
                    due.insert(entry);
                }
            }
        }
        self.store.write_notices(&rows).await?;
        self.written = due;
        Ok(rows.len())
    }

    /// All servers of which something is to be told, with what.
    fn due(&self, now: Timestamp) -> Vec<(ServerRecord, Vec<Keyed>)> {
        let edge = &self.edge;
        let (policies, today) = (edge.policies.load_full(), time::date_of(now));
        let is_raise_near = policies.all().any(|policy| policy.floor.next(today).is_some());
        let records = edge.servers.select(|record| {
            may_have_ladder_notices(record, now) || (is_raise_near && record.standing == Standing::Met)
        });
        let catalogue = edge.catalogue.load_full();
        let with_notices = records.into_iter().map(|record| {
            let (connector, policy) = (edge.connector_of(&record), policies.of(&record));
            let pauses = edge.pauses.of(record.tenant.as_deref());
            let mut notices = ladder_notices(policy, &record, &pauses, now);
            // The id stood in a line of the SMTP form: no other one is ever judged.
            let judge = |build, date| catalogue.judge_build(build, Form::Smtp, date);
            notices.extend(floor_notice(policy, &record, judge, connector.entitlement, now));
            (record, notices)
        });
        with_notices.filter(|(_, notices)| !notices.is_empty()).collect()
    }

    /// The domain whose postmaster is told of a server. The greeting name is what a peer says of itself, so that a
    /// stranger's address could be made to get our mail: the name must lead to the address that the server connects
    /// from, which only the owner of the domain can bring about.
    async fn postmaster(
        &mut self,
        settings: &NotifySettings,
        record: &ServerRecord,
        keyed: &Keyed,
        now: Timestamp,
        lookups: &mut usize,
    ) -> Option<Domain> {
        let name = record.greeting_name.as_ref().filter(|_| settings.tells_sending_side)?;
        let domain: Domain = name.registrable()?.parse().ok()?;
        if self.written.contains(&(Addressee::Postmaster(domain.clone()), keyed.key.clone())) {
            return Some(domain);
        }
        if self.unproven.contains_key(&record.id) || *lookups >= LOOKUPS_PER_SURVEY_MAX {
            return None;
        }
        *lookups += 1;
        if leads_to(self.resolver.as_ref()?, name, record.address).await {
            return Some(domain);
        }
        self.unproven.insert(record.id.clone(), now);
        None
    }
}

/// All people who are told of a server but the postmaster.
fn told(settings: &NotifySettings, record: &ServerRecord) -> Vec<Addressee> {
    let mut addressees = Vec::new();
    if !settings.operator.is_empty() {
        addressees.push(Addressee::Operator);
    }
    let tenant = record.tenant.as_deref().unwrap_or(DEFAULT_TENANT);
    if settings.tenants.get(tenant).is_some_and(|tenant| !tenant.contacts.is_empty()) {
        addressees.push(Addressee::Tenant(tenant.to_owned()));
    }
    let connector = record.connector_name();
    if settings.contacts_of(connector).is_some() {
        addressees.push(Addressee::Connector(connector.to_owned()));
    }
    addressees
}

fn row(
    (addressee, key): &(Addressee, String),
    record: &ServerRecord,
    keyed: &Keyed,
    now: Timestamp,
) -> NoticeRow {
    NoticeRow {
        at: now,
        addressee: addressee.to_string(),
        subject: record.id.to_string(),
        key: key.clone(),
        facts: keyed.notice.to_json(),
        repetition: Repetition::EachKey,
    }
}

async fn leads_to(resolver: &Resolver, name: &Domain, address: IpAddr) -> bool {
    let address = address.to_canonical();
    let kind = if address.is_ipv4() { Kind::A } else { Kind::Aaaa };
    let Some(query) = Query::new(name.as_str(), kind) else { return false };
    match resolver.ask(&Budget::new(1, LOOKUP_TIMEOUT), &query).await {
        Answer::Found(Records::A(found)) => found.into_iter().any(|found| IpAddr::V4(found) == address),
        Answer::Found(Records::Aaaa(found)) => found.into_iter().any(|found| IpAddr::V6(found) == address),
        // Unknown is never good: it is asked again on another day.
        Answer::Found(_) | Answer::NotFound | Answer::Temporary(_) => false,
    }
}
