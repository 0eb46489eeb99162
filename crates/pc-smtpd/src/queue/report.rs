//! Reports to senders.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering};

use pc_queue::dsn::{self, Notification};
use pc_queue::{Entry, Origin, Proof, Report};
use pc_smtp::Envelope;
use pc_telemetry::Event;
use pc_types::Timestamp;

use super::Queue;

/// Mail of our own has no client.
pub(super) const OWN_NETWORK: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
/// The connector of senders whom no entry of the configuration names.
const DEFAULT_CONNECTOR: &str = "default";

const REPORT_MARK: &str = "-r";

/// The message that a report of this id is about; `None` for what is no report.
pub(super) fn reported_message(id: &str) -> Option<&str> {
    let (about, number) = id.rsplit_once(REPORT_MARK)?;
    let is_number = !number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit());
    is_number.then_some(about)
}

/// The numbers of reports. They begin with the microseconds of the start, so that no restart gives one a second
/// time: a report of before may still wait in the spool.
#[derive(Debug)]
pub(super) struct ReportNumbers(AtomicU64);

impl ReportNumbers {
    pub(super) fn new(start: Timestamp) -> Self {
        Self(AtomicU64::new(u64::try_from(start.as_microsecond()).unwrap_or(0)))
    }

    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// A report, and the message it is about.
pub(crate) struct Owed<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) envelope: &'a Envelope,
    pub(crate) report: &'a Report,
    /// The beginning of the message, with its whole header.
    pub(crate) original: &'a [u8],
    /// Octets of the whole message.
    pub(crate) original_octets: u64,
}

impl Queue {
    /// Whether a report about mail with this proof would be sent. Nobody is written to whom only the
    /// message itself names: no backscatter.
    pub(crate) fn reports_to(&self, proof: Proof) -> bool {
        proof != Proof::None && self.settings.reports_via.is_some()
    }

    /// Puts a report on its way, where the sender is proven. Whether the sender is told.
    pub(crate) async fn send_report(&self, owed: Owed<'_>) -> bool {
        let Owed { entry, envelope: original, report, original: head, original_octets } = owed;
        let Some(envelope) = dsn::envelope(original) else { return false };
        let Some(via) = self.settings.reports_via.as_ref().filter(|_| self.reports_to(entry.proof)) else {
            return false;
        };
        let number = self.reports.next();
        let report_id = format!("{}{REPORT_MARK}{number}", entry.id);
        let now = self.clock.now();
        let notification = Notification {
            node_name: &self.settings.node_name,
            id: &report_id,
            now,
            entry,
            envelope: original,
            report,
            original: head,
            original_octets,
        };
        let origin = Origin {
            id: report_id.clone(),
            target: via.clone(),
            received_at: now,
            address: OWN_NETWORK,
            greeting: self.settings.node_name.to_string(),
            connector: DEFAULT_CONNECTOR.to_owned(),
            proof: Proof::None,
            message_id: None,
        };
        let content = pc_store::spool::Content { head: notification.compose(), rest: None };
        match self.commit(Entry::new(origin, &envelope), &envelope, content).await {
            Ok(_) => true,
            Err(error) => {
                Event::SpoolUnreadable { id: &report_id, error: &error.to_string() }.emit();
                false
            }
        }
    }
}
