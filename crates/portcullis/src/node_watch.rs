//! # Purpose
//! Looks after the node itself and tells its operator by log and mail: certificates that end, the TLS standard, and each week what
//! the HTTPS edge refused.
//!
//! # Invariants
//! What was told is known by its key in the outbox, so that a restart tells nothing twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use pc_config::Config;
use pc_hello::product::guess;
use pc_net::{Clock, Stop};
use pc_notice::{
    Addressee, CertificateFacts, Keyed, Notice, SiteWeek, WebWeek, certificate_notice, standard_notice,
    web_week_notice,
};
use pc_store::{NoticeRow, Repetition, Store, StoreError, Writer};
use pc_telemetry::Event;
use pc_tls::{CertificateStore, CertificateSummary};
use pc_types::{Date, SignedDuration, Timestamp, hex, time};

use crate::acme;
use crate::exit::chain;
use crate::own_tls::{self, ListenerReport, OwnListener};

/// Certificates and weeks are looked at so often.
const LOOK_HOURS: i64 = 1;
/// Of a week.
const DAYS: i64 = 7;

/// What came of the last looks at the node itself. Clones share it.
#[derive(Clone, Default)]
pub struct Looked {
    certificates: Arc<ArcSwap<Vec<String>>>,
    reports: Arc<ArcSwap<Vec<ListenerReport>>>,
    revoked: Arc<ArcSwap<Vec<String>>>,
}

impl Looked {
    /// What an operator should look at, one sentence each.
    pub fn remarks(&self) -> pc_web::Remarks {
        let looked = self.clone();
        Arc::new(move || {
            let reports = looked.reports.load();
            let of_listeners = reports.iter().filter_map(ListenerReport::remark);
            let (revoked, ending) = (looked.revoked.load(), looked.certificates.load());
            let of_certificates = revoked.iter().chain(ending.iter()).cloned();
            of_certificates.chain(of_listeners).collect()
        })
    }

    /// Which certificates are revoked, one sentence each.
    pub(crate) fn note_revoked(&self, remarks: Vec<String>) {
        self.revoked.store(Arc::new(remarks));
    }

    /// What is known of each listener.
    pub fn listeners(&self) -> pc_web::Listeners {
        let looked = self.clone();
        Arc::new(move || looked.reports.load().iter().map(ListenerReport::to_json).collect())
    }
}

/// What the watch needs.
pub struct Watch {
    config: Config,
    certificates: CertificateStore,
    store: Store,
    writer: Writer,
    clock: Clock,
    looked: Looked,
    listeners: Vec<OwnListener>,
}

impl Watch {
    pub fn new(
        config: &Config,
        certificates: &CertificateStore,
        (store, writer): (&Store, &Writer),
        (clock, looked): (&Clock, Looked),
        listeners: Vec<OwnListener>,
    ) -> Self {
        Self {
            config: config.clone(),
            certificates: certificates.clone(),
            store: store.clone(),
            writer: writer.clone(),
            clock: clock.clone(),
            looked,
            listeners,
        }
    }

    /// Looks each hour, until `stop`; the listeners are checked at the start and when their certificates are others.
    pub async fn run(self, mut stop: Stop) {
        let (mut checked, mut told) = (Vec::new(), BTreeSet::new());
        loop {
            let now = self.clock.now();
            let remarks = self.certificates_ending(&mut told, now);
            self.looked.certificates.store(Arc::new(remarks));
            let served = self.certificates.leaf_sha256();
            if served != checked {
                tokio::select! {
                    () = stop.stopped() => return,
                    // What could not be looked at is tried again.
                    is_whole = self.standard(now) => checked = if is_whole { served } else { Vec::new() },
                }
            }
            if let Err(error) = self.week(now).await {
                Event::StoreFailed { error: &chain(&error), rows_lost: 0 }.emit();
            }
            let next = now.saturating_add(SignedDuration::from_hours(LOOK_HOURS)).unwrap_or(Timestamp::MAX);
            tokio::select! {
                () = stop.stopped() => return,
                () = self.clock.wait_until(next) => {}
            }
        }
    }

    /// What there is to say of certificates; `told` holds the keys that the log has had.
    fn certificates_ending(&self, told: &mut BTreeSet<String>, now: Timestamp) -> Vec<String> {
        let mut remarks = Vec::new();
        for certificate in self.certificates.certificates() {
            if acme::is_in_time(&self.config, &certificate, now) {
                continue;
            }
            let Some(keyed) = certificate_notice(&facts(&self.config, &certificate), now) else { continue };
            if told.insert(keyed.key.clone()) {
                let days = time::days_between(time::date_of(now), time::date_of(certificate.not_after));
                Event::CertificateEnding { names: &certificate.names.join(", "), days }.emit();
            }
            if let Notice::Node { title, .. } = &keyed.notice {
                remarks.push(title.clone());
            }
            self.tell(keyed, now);
        }
        remarks
    }

    /// Looks at every listener as its clients do; whether all could be looked at.
    async fn standard(&self, now: Timestamp) -> bool {
        let mut reports = Vec::new();
        for listener in &self.listeners {
            let report = own_tls::check_listener(listener, now).await;
            emit(&report);
            reports.push(report);
        }
        let (grade, failed) = own_tls::summary(&reports);
        let remarks: Vec<String> = reports.iter().filter_map(ListenerReport::remark).collect();
        Event::TlsStandardChecked { grade: &grade, failed: &remarks.join("; ") }.emit();
        // That a self-made certificate proves nothing is said at the start and by the doctor as well.
        if !self.config.tls.certificates.is_empty() || acme::is_served(&self.config, &self.certificates) {
            let served: Vec<String> = self.certificates.leaf_sha256().iter().map(|leaf| hex(leaf)).collect();
            if let Some(keyed) = standard_notice(&served.join(" "), &grade, &failed, now) {
                self.tell(keyed, now);
            }
        }
        let is_whole = reports.iter().all(|report| report.outcome.is_ok());
        self.looked.reports.store(Arc::new(reports));
        is_whole
    }

    /// The last whole week from Monday to Sunday, in UTC.
    async fn week(&self, now: Timestamp) -> Result<(), StoreError> {
        if self.config.https.listeners.is_empty() || self.config.notify.operator.is_empty() {
            return Ok(());
        }
        let today = time::date_of(now);
        let since_monday = i64::from(today.weekday().to_monday_zero_offset());
        let day = |days: i64| time::date_of(time::add_days(time::start_of(today), days));
        let (first, last) = (day(-since_monday - DAYS), day(-since_monday - 1));
        let week = WebWeek { first, last, sites: self.sites(first, last).await? };
        if let Some(keyed) = web_week_notice(&week, now) {
            self.tell(keyed, now);
        }
        Ok(())
    }

    async fn sites(&self, first: Date, last: Date) -> Result<BTreeMap<String, SiteWeek>, StoreError> {
        let mut sites: BTreeMap<String, SiteWeek> = BTreeMap::new();
        for row in self.store.tls_summary(first, last).await? {
            let site = row.server_name.as_deref().and_then(|name| self.site_of(name)).unwrap_or_default();
            let week = sites.entry(site).or_default();
            *week.tls.entry(row.refusal).or_default() += row.attempts;
            let product = row.offer.as_ref().and_then(guess).map_or("unknown", |product| product.name);
            *week.products.entry(product.to_owned()).or_default() += row.attempts;
        }
        for row in self.store.web_tally(first, last).await? {
            let week = sites.entry(row.site).or_default();
            let counts = match row.kind.as_str() {
                "refused" => &mut week.refused,
                "rule_acted" => &mut week.acted,
                "rule_reported" => &mut week.reported,
                _ => continue,
            };
            *counts.entry(row.code).or_default() += row.count;
        }
        Ok(sites)
    }

    fn site_of(&self, name: &str) -> Option<String> {
        let sites = &self.config.sites;
        let site = sites.iter().find(|site| site.names.iter().any(|served| served.as_str() == name))?;
        Some(site.name.clone())
    }

    fn tell(&self, keyed: Keyed, now: Timestamp) {
        tell_operator(&self.config, &self.writer, keyed, now);
    }
}

/// For a notice about a certificate.
pub(crate) fn facts(config: &Config, certificate: &CertificateSummary) -> CertificateFacts {
    CertificateFacts {
        sha256: hex(&certificate.leaf_sha256),
        file: certificate.chain.display().to_string(),
        names: certificate.names.clone(),
        not_after: certificate.not_after,
        by_acme: acme::is_managed(config, certificate),
    }
}

/// The outbox keeps one for each key.
pub(crate) fn tell_operator(config: &Config, writer: &Writer, keyed: Keyed, now: Timestamp) {
    if config.notify.operator.is_empty() {
        return;
    }
    writer.notice(NoticeRow {
        at: now,
        addressee: Addressee::Operator.to_string(),
        subject: SUBJECT.to_owned(),
        key: keyed.key,
        facts: keyed.notice.to_json(),
        repetition: Repetition::EachKey,
    });
}

/// What these notices are about, in listings.
const SUBJECT: &str = "node";

fn emit(report: &ListenerReport) {
    let (listener, address) = (report.listener.as_str(), report.address.to_string());
    let address = address.as_str();
    match &report.outcome {
        Ok(checked) => {
            let (grade, failed) = (checked.grade_text(), checked.faults().join("; "));
            Event::ListenerChecked { listener, address, grade: &grade, failed: &failed }.emit();
        }
        Err(error) => Event::ListenerUnchecked { listener, address, error }.emit(),
    }
}
