//! # Purpose
//! Which domain has signed a message, of those that somebody wants to know about.
//!
//! # Trust
//! The message is a stranger's, and so is the zone that publishes the key. A signature proves that the domain let the
//! message go out once; it does not prove who brings it now.
//!
//! # Standards
//! RFC 6376; RFC 8301 (no SHA-1, no short keys); RFC 8463 (Ed25519). Not here: signing, ARC, third-party signatures (RFC 6541).
//!
//! # Invariants
//! A signature counts only when it covers the whole body (the library reads none with `l=`) and the From field, and its key
//! is not in test mode. What could not be looked up proves nothing. The library never asks the DNS itself.
//!
//! # See also
//! `pc-dns`, which fetches the keys; `mail-auth`, which only this crate names.

mod keys;
pub mod limits;

use std::sync::Arc;

use mail_auth::common::crypto::Algorithm;
use mail_auth::common::verify::VerifySignature;
use mail_auth::dkim::Signature;
use mail_auth::{AuthenticatedMessage, DkimResult, MessageAuthenticator, Parameters};
use pc_dns::{Budget, Resolver};
use pc_types::Domain;
use tokio::sync::Semaphore;

use keys::{Keys, NoRecords};
use limits::{PARALLEL_MAX, SIGNATURES_MAX, TIMEOUT, VERIFIED_MAX};

/// What the signatures of a message prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// No signature of a domain that is wanted.
    Unsigned,
    /// There is one, which proves nothing. Why.
    Unproven(String),
    /// The domain, by a signature under this selector.
    Proven {
        /// `d=`
        domain: Domain,
        /// `s=`
        selector: String,
    },
}

/// Verifies signatures, a few messages at a time.
pub struct Verifier {
    resolver: Arc<Resolver>,
    seats: Semaphore,
    /// Only its code is used: see [`keys`].
    library: Arc<MessageAuthenticator>,
}

impl Verifier {
    /// Fetches keys through `resolver`.
    ///
    /// # Errors
    /// The library could not be set up.
    pub fn new(resolver: Arc<Resolver>) -> Result<Self, String> {
        let library = MessageAuthenticator::new_quad9().map_err(|error| error.to_string())?;
        Ok(Self { resolver, seats: Semaphore::new(PARALLEL_MAX), library: Arc::new(library) })
    }

    /// The first domain that `is_wanted` and has signed. `header` is the header section of the message with the empty
    /// line behind it; `whole` gives all octets and is asked only when there is something to verify.
    pub async fn verify(
        &self,
        header: &[u8],
        is_wanted: impl Fn(&Domain) -> bool,
        whole: impl AsyncFnOnce() -> Option<Vec<u8>>,
    ) -> Finding {
        let found = signatures(header, is_wanted);
        let candidates = match found {
            Ok(candidates) if candidates.is_empty() => return Finding::Unsigned,
            Ok(candidates) => candidates,
            Err(why) => return Finding::Unproven(why),
        };
        let budget = Budget::new(u32::try_from(VERIFIED_MAX).unwrap_or(1), TIMEOUT);
        let keys =
            Keys::fetch(&self.resolver, &budget, candidates.iter().map(|one| one.key_name.as_str())).await;
        if let Some(why) = keys.none_usable() {
            return Finding::Unproven(why);
        }
        let Ok(_seat) = self.seats.acquire().await else { return Finding::Unsigned };
        let Some(message) = whole().await else {
            return Finding::Unproven(
                "the message is too large to be verified, or cannot be read".to_owned(),
            );
        };
        let library = Arc::clone(&self.library);
        // A panic of the library costs this proof only.
        let work = tokio::task::spawn_blocking(move || verified(&library, &message, &candidates, &keys));
        work.await.unwrap_or_else(|_| Finding::Unproven("a fault of ours".to_owned()))
    }
}

/// A signature that may prove something.
struct Candidate {
    domain: Domain,
    selector: String,
    key_name: String,
}

/// What the header holds for domains that are wanted.
fn signatures(header: &[u8], is_wanted: impl Fn(&Domain) -> bool) -> Result<Vec<Candidate>, String> {
    let Some(message) = AuthenticatedMessage::parse(header) else { return Ok(Vec::new()) };
    let wanted = message.dkim_headers.iter().filter_map(|field| {
        let domain: Domain = field.header.d.parse().ok()?;
        is_wanted(&domain).then_some((domain, &field.header))
    });
    let wanted: Vec<(Domain, &Signature)> = wanted.collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    if message.dkim_headers.len() + message.errors.len() > SIGNATURES_MAX {
        return Err(format!("more than {SIGNATURES_MAX} signatures"));
    }
    let mut why = String::new();
    let mut candidates = Vec::new();
    for (domain, signature) in wanted {
        match weakness(signature) {
            Some(weakness) => why = format!("{domain}: {weakness}"),
            None => candidates.push(Candidate {
                domain,
                selector: signature.s.clone(),
                key_name: signature.domain_key(),
            }),
        }
    }
    candidates.truncate(VERIFIED_MAX);
    if candidates.is_empty() { Err(why) } else { Ok(candidates) }
}

/// Why a signature proves nothing, however well it verifies.
fn weakness(signature: &Signature) -> Option<&'static str> {
    let signs_from = signature.h.iter().any(|name| name.eq_ignore_ascii_case("from"));
    match signature.a {
        // RFC 8301 3.1.
        Algorithm::RsaSha1 => Some("the signature rests on SHA-1"),
        // RFC 6376 5.4.
        _ if !signs_from => Some("the signature does not cover the From field"),
        _ => None,
    }
}

fn verified(
    library: &MessageAuthenticator,
    message: &[u8],
    candidates: &[Candidate],
    keys: &Keys,
) -> Finding {
    let Some(mut message) = AuthenticatedMessage::parse(message) else { return Finding::Unsigned };
    // Whoever is not wanted is not looked at; nor are requests for reports and signers for others, which ask more.
    let is_candidate = |signature: &Signature| {
        candidates.iter().any(|one| one.key_name == signature.domain_key()) && weakness(signature).is_none()
    };
    message.dkim_headers.retain(|field| is_candidate(&field.header));
    message.errors.clear();
    for field in &mut message.dkim_headers {
        (field.header.r, field.header.atps) = (false, None);
    }
    let parameters = Parameters {
        params: &message,
        cache_txt: Some(keys),
        cache_mx: Some(&NoRecords),
        cache_ptr: Some(&NoRecords),
        cache_ipv4: Some(&NoRecords),
        cache_ipv6: Some(&NoRecords),
    };
    // Every record is answered from `keys`, so that it never waits.
    let outputs = tokio::runtime::Handle::current().block_on(library.verify_dkim(parameters));
    let mut why = "no signature could be read".to_owned();
    for output in &outputs {
        let Some(signature) = output.signature() else { continue };
        match output.result() {
            DkimResult::Pass => {
                let proven = candidates.iter().find(|one| one.key_name == signature.domain_key());
                if let Some(Candidate { domain, selector, .. }) = proven {
                    return Finding::Proven { domain: domain.clone(), selector: selector.clone() };
                }
            }
            DkimResult::Fail(error)
            | DkimResult::Neutral(error)
            | DkimResult::PermError(error)
            | DkimResult::TempError(error) => why = format!("{}: {error}", signature.d),
            DkimResult::None => {}
        }
    }
    Finding::Unproven(why)
}

#[cfg(test)]
mod tests;
