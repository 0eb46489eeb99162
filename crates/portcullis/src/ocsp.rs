//! # Purpose
//! Keeps OCSP responses stapled: asks the responders that our certificates name, staples what is good, keeps it across a restart, and
//! tells of what is not.
//!
//! # Trust
//! `pc_tls::ocsp` judges every answer, also those of the folder. Where a certificate leads is checked like every other address.
//!
//! # Invariants
//! - Nothing is stapled beyond its time, nor after a revocation.
//! - No failure changes what is served, but that a staple ends.

mod folder;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pc_config::{Config, OcspStapling};
use pc_fetch::{Bounds, Fetcher};
use pc_net::{Clock, Stop};
use pc_notice::revoked_notice;
use pc_store::Writer;
use pc_telemetry::{Event, OcspSeen};
use pc_tls::limits::OCSP_RESPONSE_OCTETS_MAX;
use pc_tls::ocsp::{Answer, Inquiry, Offer, Standing, Status, Subject, Taken};
use pc_tls::{CertificateStore, ClientTls, Roots};
use pc_types::{Reach, Timestamp};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::exit::{Failure, chain};
use crate::node;
use crate::node_watch::{self, Looked};
pub use folder::Folder;

/// One question, from the look-up of the responder's name to the last octet of its answer.
const ASK_TIMEOUT: Duration = Duration::from_secs(30);
/// What stands in the way where a chain ends with the certificate itself.
pub const ISSUER_MISSING: &str = "the chain file has no issuer behind the certificate, without which nothing can be asked; append the intermediate certificate";
/// The same where nobody is asked.
pub const IS_OFF: &str = "[tls] ocsp_stapling is \"off\"; set it to \"on\"";
/// The same where nobody can be.
pub const NO_RESPONDER: &str = "it names no responder that can be asked; have it issued without must-staple";

/// Keeps the responses of one store.
pub struct Stapler {
    config: Config,
    certificates: CertificateStore,
    fetcher: Arc<Fetcher>,
    folder: Folder,
    writer: Writer,
    clock: Clock,
    looked: Looked,
    /// Seen up to the last look.
    swaps: watch::Receiver<()>,
    watched: Vec<Watched>,
}

/// A certificate with a responder.
struct Watched {
    subject: Subject,
    inquiry: Inquiry,
    standing: Standing,
    /// A question is under way.
    is_asked: bool,
    /// What is stapled.
    stapled: Option<Vec<u8>>,
}

/// The answer to a question about the certificate with this SHA-256, or why there is none: a stable word, and in words.
type Outcome = ([u8; 32], Result<Vec<u8>, (&'static str, String)>);

impl Stapler {
    /// Staples what was kept and still counts.
    pub fn start(
        config: &Config,
        certificates: &CertificateStore,
        (writer, clock, looked): (&Writer, &Clock, Looked),
    ) -> Result<Self, Failure> {
        let tls = ClientTls::new(Roots::WebPki, None).map_err(|error| Failure::internal(chain(&error)))?;
        let networks = config.tls.ocsp_allow_networks.clone();
        let is_allowed = move |address| networks.iter().any(|network| network.contains(address));
        let fetcher = Fetcher::new(tls, node::resolver(config)?, Reach::Internet)
            .allowing("[tls] ocsp_allow_networks", is_allowed);
        let mut stapler = Self {
            config: config.clone(),
            certificates: certificates.clone(),
            fetcher: Arc::new(fetcher),
            folder: Folder::in_data(Path::new(&config.node.data)),
            writer: writer.clone(),
            clock: clock.clone(),
            looked,
            swaps: certificates.swaps(),
            watched: Vec::new(),
        };
        stapler.look(clock.now());
        Ok(stapler)
    }

    /// Asks whenever it is due, until `stop`.
    pub async fn run(mut self, mut stop: Stop) {
        let mut swaps = self.swaps.clone();
        let mut asking = JoinSet::new();
        loop {
            let now = self.clock.now();
            self.staple(now);
            self.ask(&mut asking, now);
            let next = self.watched.iter().filter_map(|one| one.next(now)).min().unwrap_or(Timestamp::MAX);
            tokio::select! {
                () = stop.stopped() => return,
                () = self.clock.wait_until(next) => {}
                Ok(()) = swaps.changed() => self.look(self.clock.now()),
                Some(joined) = asking.join_next(), if !asking.is_empty() => match joined {
                    Ok(outcome) => self.take(outcome),
                    Err(_) => self.give_up(),
                },
            }
        }
    }

    /// Takes up the certificates that are in service, and lets go of others.
    fn look(&mut self, now: Timestamp) {
        let subjects = self.certificates.ocsp_subjects();
        self.watched.retain(|one| subjects.contains(&one.subject));
        for subject in &subjects {
            if self.watched.iter().all(|one| one.subject != *subject) {
                self.take_up(subject, now);
            }
        }
        for one in &self.watched {
            // A reload in between may have lost it, or brought an old one back.
            self.certificates.staple(&one.subject.leaf_sha256, one.stapled.as_deref());
        }
        self.staple(now);
        if let Err(error) = self.folder.keep_only(subjects.iter().map(|subject| &subject.leaf_sha256)) {
            self.tell_of_folder(&error.to_string());
        }
        self.note_revoked();
    }

    fn take_up(&mut self, subject: &Subject, now: Timestamp) {
        let is_on = self.config.tls.ocsp_stapling == OcspStapling::On;
        let names = subject.names.join(", ");
        let in_the_way = match &subject.offer {
            _ if !is_on => IS_OFF,
            Offer::IssuerMissing => ISSUER_MISSING,
            Offer::Nothing | Offer::Unusable(_) => NO_RESPONDER,
            Offer::Responder(inquiry) => {
                let kept = self.folder.read(&subject.leaf_sha256);
                let standing = kept.map_or_else(
                    || Standing::nothing(now),
                    |octets| Standing::resumed(inquiry, &octets, now),
                );
                if let Some(Answer { status: Status::Revoked { at, reason }, .. }) = standing.answer() {
                    self.tell_revoked(subject, (*at, reason), now);
                }
                let (subject, inquiry) = (subject.clone(), inquiry.as_ref().clone());
                self.watched.push(Watched { subject, inquiry, standing, is_asked: false, stapled: None });
                return;
            }
        };
        if subject.is_must_staple {
            Event::OcspAnswered(OcspSeen::Wanted { names: &names, why: in_the_way }).emit();
        }
    }

    /// Serves what counts at `now`, and nothing else.
    fn staple(&mut self, now: Timestamp) {
        for one in &mut self.watched {
            let wanted = one.standing.staple(now);
            if wanted == one.stapled.as_deref() {
                continue;
            }
            self.certificates.staple(&one.subject.leaf_sha256, wanted);
            one.stapled = wanted.map(<[u8]>::to_vec);
            let names = one.subject.names.join(", ");
            match one.standing.ends_at(now) {
                Some(until) => {
                    let until = format!("{until:.0}");
                    Event::OcspAnswered(OcspSeen::Stapled { names: &names, until: &until }).emit();
                }
                None => {
                    Event::OcspAnswered(OcspSeen::Withdrawn { names: &names }).emit();
                    if one.subject.is_must_staple {
                        let why = "the last response is over or was withdrawn";
                        Event::OcspAnswered(OcspSeen::Wanted { names: &names, why }).emit();
                    }
                }
            }
        }
    }

    fn ask(&mut self, asking: &mut JoinSet<Outcome>, now: Timestamp) {
        for one in self.watched.iter_mut().filter(|one| !one.is_asked && one.standing.is_due(now)) {
            one.is_asked = true;
            let (fetcher, leaf) = (Arc::clone(&self.fetcher), one.subject.leaf_sha256);
            let (responder, request) = (one.inquiry.responder.clone(), one.inquiry.request());
            asking.spawn(async move {
                let bounds = Bounds { octets_max: OCSP_RESPONSE_OCTETS_MAX, time_max: ASK_TIMEOUT };
                let answer = fetcher.ask_ocsp_responder(&responder, request, bounds).await;
                (leaf, answer.map_err(|error| (error.code(), format!("{responder}: {error}"))))
            });
        }
    }

    /// The question came to nothing for a reason of ours; which one it was is not known.
    fn give_up(&mut self) {
        let now = self.clock.now();
        for one in self.watched.iter_mut().filter(|one| one.is_asked) {
            one.is_asked = false;
            one.standing.fail(now);
        }
    }

    fn take(&mut self, (leaf, answer): Outcome) {
        let now = self.clock.now();
        // It may have been replaced meanwhile.
        let Some(one) = self.watched.iter_mut().find(|one| one.subject.leaf_sha256 == leaf) else { return };
        one.is_asked = false;
        let (code, error) = match answer {
            Ok(octets) => match one.standing.take(&one.inquiry, &octets, now) {
                Ok(Taken::Kept(answer)) => {
                    let subject = one.subject.clone();
                    let kept = one.standing.kept().unwrap_or_default();
                    if let Err(error) = self.folder.write(&leaf, kept) {
                        self.tell_of_folder(&error.to_string());
                    }
                    if let Status::Revoked { at, reason } = answer.status {
                        self.tell_revoked(&subject, (at, reason), now);
                    }
                    self.note_revoked();
                    return;
                }
                Ok(Taken::Same) => return,
                Ok(Taken::Unknown) => {
                    let text = "the responder does not know the certificate; ask its authority why";
                    ("unknown", format!("{}: {text}", one.inquiry.responder))
                }
                Err(error) => (error.code(), format!("{}: {error}", one.inquiry.responder)),
            },
            Err((code, error)) => {
                one.standing.fail(now);
                (code, error)
            }
        };
        one.tell_failed((code, &error), now);
    }

    fn tell_revoked(&self, subject: &Subject, (at, reason): (Timestamp, &'static str), now: Timestamp) {
        let names = subject.names.join(", ");
        Event::OcspAnswered(OcspSeen::Revoked { names: &names, since: &format!("{at:.0}"), reason }).emit();
        let certificates = self.certificates.certificates();
        let is_it = |one: &&pc_tls::CertificateSummary| one.leaf_sha256 == subject.leaf_sha256;
        if let Some(certificate) = certificates.iter().find(is_it) {
            let facts = node_watch::facts(&self.config, certificate);
            let keyed = revoked_notice(&facts, at, reason, now);
            node_watch::tell_operator(&self.config, &self.writer, keyed, now);
        }
    }

    /// For pages and the API.
    fn note_revoked(&self) {
        let revoked = self.watched.iter().filter_map(|one| match one.standing.answer()?.status {
            Status::Revoked { at, reason } => {
                let names = one.subject.names.join(", ");
                Some(format!("the certificate for {names} is revoked since {at:.0} ({reason})"))
            }
            Status::Good | Status::Unknown => None,
        });
        self.looked.note_revoked(revoked.collect());
    }

    fn tell_of_folder(&self, error: &str) {
        let meanwhile = "responses are stapled, and asked for anew after a restart";
        let failed = OcspSeen::Failed { names: "", code: "folder", error, meanwhile, next: "" };
        Event::OcspAnswered(failed).emit();
    }
}

impl Watched {
    /// When something is to be done after `now`.
    fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let asks_at = (!self.is_asked).then(|| self.standing.asks_at());
        asks_at.into_iter().chain(self.standing.ends_at(now)).min()
    }

    fn tell_failed(&self, (code, error): (&'static str, &str), now: Timestamp) {
        let names = self.subject.names.join(", ");
        let until = self.standing.ends_at(now);
        let meanwhile = until.map_or_else(
            || "nothing is stapled".to_owned(),
            |until| format!("the last response is stapled until {until:.0}"),
        );
        let next = format!("{:.0}", self.standing.asks_at());
        let failed = OcspSeen::Failed { names: &names, code, error, meanwhile: &meanwhile, next: &next };
        Event::OcspAnswered(failed).emit();
        if self.subject.is_must_staple && until.is_none() {
            Event::OcspAnswered(OcspSeen::Wanted { names: &names, why: error }).emit();
        }
    }
}
