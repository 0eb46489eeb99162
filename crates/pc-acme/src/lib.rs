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
use pc_renewal::{Asked, Attempts, Challenge, Failure, FailureKind, Held, Service, Step};
use pc_telemetry::Event;
use pc_tls::{CertificateStore, CertificateSummary};
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
        self.tell_fault().await;
        loop {
            let now = self.clock.now();
            let kept = self.kept(now).await;
            match self.step(kept.as_ref(), &attempts, now) {
                Step::Wait(until) => tokio::select! {
                    () = stop.stopped() => return,
                    () = self.clock.wait_until(until) => {}
                },
                Step::Issue(_) => tokio::select! {
                    // An order that is left alone ends by itself.
                    () = stop.stopped() => return,
                    outcome = self.attempt() => attempts = self.note(outcome, attempts).await,
                },
                Step::Serve => attempts = self.serve(attempts).await,
            }
        }
    }

    /// The certificate in the folder, if it is fit to be served. It is proven by handshakes, which would hold a worker.
    async fn kept(self: &Arc<Self>, now: Timestamp) -> Option<CertificateSummary> {
        let working = Arc::clone(self);
        let looking = tokio::task::spawn_blocking(move || working.folder.look(now).ok());
        looking.await.ok().flatten()
    }

    fn step(&self, kept: Option<&CertificateSummary>, attempts: &Attempts, now: Timestamp) -> Step {
        let served = self.certificates.leaf_sha256();
        let service = match kept {
            Some(kept) if !served.contains(&kept.leaf_sha256) => Service::Out,
            _ => Service::In,
        };
        let held = kept.map(folder::held_of);
        pc_renewal::next(&self.settings.asked, held.as_ref().map(|held| (held, service)), attempts, now)
    }

    /// Puts the certificate of the folder in service, which was not done when it came there: its files were brought back,
    /// or the clock was wrong at the start.
    async fn serve(self: &Arc<Self>, attempts: Attempts) -> Attempts {
        let (working, now) = (Arc::clone(self), self.clock.now());
        let putting =
            tokio::task::spawn_blocking(move || working.folder.put_in_service(&working.certificates, now));
        match putting.await.unwrap_or_else(|_| Err(unworkable())) {
            Ok(()) => {
                Event::CertificateReloaded { not_after: &self.certificates.not_after().to_string() }.emit();
                let attempts = attempts.served();
                self.keep(&attempts);
                attempts
            }
            Err(failure) => self.note(Err(failure), attempts).await,
        }
    }

    async fn attempt(self: &Arc<Self>) -> Result<(), Failure> {
        guarded(Arc::clone(self).obtain()).await
    }

    /// From the account to a certificate in service.
    async fn obtain(self: Arc<Self>) -> Result<(), Failure> {
        let pem = order::order(&self).await?;
        // Handshakes in memory and writing to disk would hold a worker.
        let taking = tokio::task::spawn_blocking(move || {
            self.folder.take_in(&pem, &self.settings.asked, &self.certificates, self.clock.now())
        });
        taking.await.unwrap_or_else(|_| Err(unworkable()))
    }

    async fn note(self: &Arc<Self>, outcome: Result<(), Failure>, attempts: Attempts) -> Attempts {
        let now = self.clock.now();
        let held = self.kept(now).await.as_ref().map(folder::held_of);
        let attempts = match &outcome {
            Ok(()) => attempts.issued(now),
            Err(failure) => attempts.failed(failure, held.as_ref(), now),
        };
        self.keep(&attempts);
        match outcome {
            Ok(()) => self.tell_issued(held.as_ref()),
            Err(failure) => {
                let next = attempts.not_before.map_or_else(String::new, |next| format!("{next:.0}"));
                Event::AcmeFailed { code: failure.kind.code(), error: &failure.text, next: &next }.emit();
            }
        }
        attempts
    }

    fn keep(&self, attempts: &Attempts) {
        if let Err(error) = self.folder.keep_attempts(attempts) {
            Event::AcmeFailed { code: FailureKind::Folder.code(), error: &error.text, next: "" }.emit();
        }
    }

    /// A certificate that lies in the folder and cannot be served counts as none, which must not go unseen.
    async fn tell_fault(self: &Arc<Self>) {
        let (working, now) = (Arc::clone(self), self.clock.now());
        let looking = tokio::task::spawn_blocking(move || working.folder.fault(now));
        if let Ok(Some(fault)) = looking.await {
            let failure =
                Failure::new(FailureKind::Certificate, &format!("what was issued is not used: {fault}"));
            Event::AcmeFailed { code: failure.kind.code(), error: &failure.text, next: "" }.emit();
        }
    }

    fn tell_issued(&self, held: Option<&Held>) {
        let Some(held) = held else { return };
        let (names, not_after) = (held.names.join(", "), format!("{:.0}", held.not_after));
        let next: Timestamp = pc_renewal::renews_at(&self.settings.asked, held);
        Event::AcmeIssued { names: &names, not_after: &not_after, next: &format!("{next:.0}") }.emit();
    }
}

/// A try as a task of its own, which may panic, within [`limits::ATTEMPT_TIMEOUT`].
async fn guarded(attempt: impl Future<Output = Result<(), Failure>> + Send + 'static) -> Result<(), Failure> {
    let mut task = Aborted(tokio::spawn(attempt));
    match tokio::time::timeout(limits::ATTEMPT_TIMEOUT, &mut task.0).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => {
            Err(Failure::new(FailureKind::Server, "the authority's answers could not be worked with"))
        }
        Err(_) => Err(Failure::new(FailureKind::Timeout, "the authority took too long")),
    }
}

/// The check of a certificate panicked.
fn unworkable() -> Failure {
    Failure::new(FailureKind::Certificate, "what was issued could not be worked with")
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
