//! # Purpose
//! Obtains certificates by ACME and keeps them fresh: account, orders, proofs of names, and the files that hold what
//! came of it.
//!
//! # Trust
//! The authority is trusted to issue and with nothing else. Its answers are bounded; where its addresses lead is checked
//! like every other; a certificate it issues must fit our key and names before a listener sees it. The library that
//! speaks the protocol panics over some answers: each try is a task of its own, and a panic is a failure like others.
//!
//! # Standards
//! RFC 8555 (ACME) with HTTP-01 (8.3) and external accounts (7.3.4), RFC 8737 (TLS-ALPN-01). Not done: DNS-01 and with it
//! wildcards, revocation, key change, renewal information (RFC 9773), alternate chains.
//!
//! # Invariants
//! - No failure changes what is served.
//! - A proof can be seen only while its order is under way.
//! - Key and chain lie in one file, written beside and renamed: a crash leaves a pair that fits.
//!
//! # See also
//! `pc-renewal`, which decides; `pc_tls::Challenges`; `pc_fetch`.

mod account;
mod folder;
pub mod limits;
mod order;
mod proofs;
mod transport;

use std::path::PathBuf;
use std::sync::Arc;

pub use folder::{Folder, Status};
use pc_fetch::Fetcher;
use pc_net::{Clock, Stop};
use pc_renewal::{Asked, Attempts, Challenge, Failure, FailureKind, Held, Step};
use pc_telemetry::Event;
use pc_tls::CertificateStore;
use pc_types::{Domain, HttpsUrl, Timestamp};
pub use proofs::Proofs;

/// What is asked of which authority.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The authority's directory.
    pub directory: HttpsUrl,
    /// Mail addresses that it may write to.
    pub contact: Vec<String>,
    /// Names and when to renew.
    pub asked: Asked,
    /// How names are proven.
    pub challenge: Challenge,
    /// Id and file of the key that binds the account to one outside ACME.
    pub external_account: Option<(String, PathBuf)>,
}

impl Settings {
    /// On the certificate.
    pub fn names(&self) -> &[Domain] {
        &self.asked.names
    }
}

/// Obtains certificates for one store.
pub struct Obtainer {
    settings: Settings,
    folder: Folder,
    fetcher: Arc<Fetcher>,
    certificates: CertificateStore,
    proofs: Proofs,
    clock: Clock,
}

impl Obtainer {
    /// One that has asked for nothing yet.
    pub fn new(
        settings: Settings,
        folder: Folder,
        fetcher: Fetcher,
        (certificates, proofs, clock): (&CertificateStore, &Proofs, &Clock),
    ) -> Arc<Self> {
        Arc::new(Self {
            settings,
            folder,
            fetcher: Arc::new(fetcher),
            certificates: certificates.clone(),
            proofs: proofs.clone(),
            clock: clock.clone(),
        })
    }

    /// Asks whenever it is due, until `stop`.
    pub async fn run(self: Arc<Self>, mut stop: Stop) {
        let mut attempts = self.folder.attempts(&self.settings);
        loop {
            let now = self.clock.now();
            let held = self.folder.held(now);
            match pc_renewal::next(&self.settings.asked, held.as_ref(), &attempts, now) {
                Step::Wait(until) => tokio::select! {
                    () = stop.stopped() => return,
                    () = self.clock.wait_until(until) => {}
                },
                Step::Issue(_) => tokio::select! {
                    // An order that is left alone ends by itself.
                    () = stop.stopped() => return,
                    outcome = self.attempt() => attempts = self.note(outcome, attempts),
                },
            }
        }
    }

    async fn attempt(self: &Arc<Self>) -> Result<(), Failure> {
        let working = Arc::clone(self);
        let mut task = Aborted(tokio::spawn(working.obtain()));
        match tokio::time::timeout(limits::ATTEMPT_TIMEOUT, &mut task.0).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => {
                Err(Failure::new(FailureKind::Server, "the authority's answers could not be worked with"))
            }
            Err(_) => Err(Failure::new(FailureKind::Timeout, "the authority took too long")),
        }
    }

    /// From the account to a certificate in service.
    async fn obtain(self: Arc<Self>) -> Result<(), Failure> {
        let pem = order::order(&self).await?;
        // Handshakes in memory and writing to disk would hold a worker.
        let taking = tokio::task::spawn_blocking(move || {
            self.folder.take_in(&pem, self.settings.names(), &self.certificates, self.clock.now())
        });
        let broken = |_| Failure::new(FailureKind::Certificate, "what was issued could not be worked with");
        taking.await.map_err(broken)?
    }

    fn note(&self, outcome: Result<(), Failure>, attempts: Attempts) -> Attempts {
        let now = self.clock.now();
        let held = self.folder.held(now);
        let attempts = match &outcome {
            Ok(()) => attempts.issued(now),
            Err(failure) => attempts.failed(failure, held.as_ref(), now),
        };
        if let Err(error) = self.folder.keep_attempts(&attempts) {
            Event::AcmeFailed { code: FailureKind::Folder.code(), error: &error.text, next: "" }.emit();
        }
        match outcome {
            Ok(()) => self.tell_issued(held.as_ref()),
            Err(failure) => {
                let next = attempts.not_before.map_or_else(String::new, |next| format!("{next:.0}"));
                Event::AcmeFailed { code: failure.kind.code(), error: &failure.text, next: &next }.emit();
            }
        }
        attempts
    }

    fn tell_issued(&self, held: Option<&Held>) {
        let Some(held) = held else { return };
        let (names, not_after) = (held.names.join(", "), format!("{:.0}", held.not_after));
        let next: Timestamp = pc_renewal::renews_at(&self.settings.asked, held);
        Event::AcmeIssued { names: &names, not_after: &not_after, next: &format!("{next:.0}") }.emit();
    }
}

/// A task that ends with this value.
struct Aborted<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for Aborted<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests;
