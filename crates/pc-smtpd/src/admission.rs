//! Applies the limits of the edge to a peer: counts, and finds the words when there is no room.

use std::sync::PoisonError;
use std::time::Duration;

use pc_enforce::MatchedBy;
use pc_smtp::{EnhancedCode, Rejection, Reply};
use pc_telemetry::Event;

use crate::connection::Peer;
use crate::connector::Counting;
use crate::edge::Edge;
use crate::quota::{Doer, Exceeded, Measure, Quotas};

/// Whether a connection is greeted. Who made too many errors of late is not; they cost less here.
pub(crate) fn connection(edge: &Edge, peer: &Peer) -> Result<(), Reply> {
    let room = counted(edge, peer, |quotas, doer| {
        quotas.room(doer, Measure::Errors, edge.clock.now())?;
        quotas.take(doer, Measure::Connections, edge.clock.now())
    });
    room.map_err(|text| Reply::new(421, EnhancedCode(4, 7, 0), text))
}

/// Counts commands that were answered; whether further ones are read.
pub(crate) fn commands(edge: &Edge, peer: &Peer, answered: u64) -> Result<(), Reply> {
    let room = counted(edge, peer, |quotas, doer| {
        quotas.room(doer, Measure::Commands, edge.clock.now())?;
        quotas.charge(doer, Measure::Commands, answered, edge.clock.now());
        Ok(())
    });
    room.map_err(|text| Reply::new(421, EnhancedCode(4, 7, 0), text))
}

/// Whether a transaction may begin.
pub(crate) fn mail(edge: &Edge, peer: &Peer) -> Result<(), Reply> {
    if let Some(shortage) = edge.room.shortage() {
        Event::RoomShort { address: peer.address, code: shortage.code() }.emit();
        let text = "not enough room to take mail at present, please come back later";
        return Err(Reply::new(452, EnhancedCode(4, 3, 1), text));
    }
    let room = counted(edge, peer, |quotas, doer| {
        quotas.room(doer, Measure::UnknownRecipients, edge.clock.now())?;
        quotas.room(doer, Measure::Octets, edge.clock.now())?;
        quotas.take(doer, Measure::Messages, edge.clock.now())
    });
    room.map_err(|text| Reply::new(450, EnhancedCode(4, 7, 1), text))
}

/// Whether a recipient is looked at.
pub(crate) fn recipient(edge: &Edge, peer: &Peer) -> Result<(), Reply> {
    let room = counted(edge, peer, |quotas, doer| {
        quotas.room(doer, Measure::UnknownRecipients, edge.clock.now())?;
        quotas.take(doer, Measure::Recipients, edge.clock.now())
    });
    room.map_err(|text| Reply::new(452, EnhancedCode(4, 5, 3), text))
}

/// Counts a recipient that nobody knows, or may not: whoever guesses addresses learns from a bare 550 as well.
pub(crate) fn recipient_answered(edge: &Edge, peer: &Peer, reply: &Reply) {
    if crate::recipients::may_deny_existence(reply) {
        count(edge, peer, Measure::UnknownRecipients, 1);
    }
}

/// Counts octets of a message, also of one that does not come to its end.
pub(crate) fn octets(edge: &Edge, peer: &Peer, octets: usize) {
    count(edge, peer, Measure::Octets, octets as u64);
}

/// Counts a fault of the client's. Falling silent is none, nor is having no TLS.
pub(crate) fn rejected(edge: &Edge, peer: &Peer, rejection: Rejection) {
    if !matches!(rejection, Rejection::Timeout | Rejection::TlsRequired) {
        count(edge, peer, Measure::Errors, 1);
    }
}

/// Counts a refused handshake.
pub(crate) fn handshake_refused(edge: &Edge, peer: &Peer) {
    count(edge, peer, Measure::Errors, 1);
}

/// Whether replies to this client are delayed.
pub(crate) fn is_tarpitted(edge: &Edge, peer: &Peer) -> bool {
    if !edge.tarpit.is_open() || is_exempt(peer) {
        return false;
    }
    let now = edge.clock.now();
    let quotas = edge.quotas.lock().unwrap_or_else(PoisonError::into_inner);
    let measures = [Measure::Errors, Measure::UnknownRecipients];
    measures.into_iter().any(|measure| quotas.room(doer(peer), measure, now).is_err())
}

/// How long this client must wait for its greeting. Who the operator named is not tried.
pub(crate) fn greeting_delay(edge: &Edge, peer: &Peer) -> Duration {
    let is_tried = peer.matched.by == MatchedBy::Nothing && !peer.is_own;
    if is_tried { edge.settings.greeting_delay } else { Duration::ZERO }
}

/// Counts a client that spoke before its greeting, and says what it hears.
pub(crate) fn early_talker(edge: &Edge, peer: &Peer) -> Reply {
    count(edge, peer, Measure::Errors, 1);
    Event::SmtpRejected { address: peer.address, code: "early_talker" }.emit();
    Reply::new(554, EnhancedCode(5, 5, 1), "you spoke before the greeting; wait for it, then try again")
}

/// What a client hears that should be delayed and cannot be.
pub(crate) fn tarpit_full(peer: &Peer) -> Reply {
    Event::SmtpRejected { address: peer.address, code: "tarpit_full" }.emit();
    Reply::new(421, EnhancedCode(4, 7, 0), "too many errors or unknown recipients from your address")
}

fn is_exempt(peer: &Peer) -> bool {
    peer.is_own || peer.connector.counting == Counting::Exempt
}

fn doer(peer: &Peer) -> Doer<'_> {
    Doer {
        network: pc_net::network_of(peer.address),
        connector: &peer.connector.name,
        tenant: peer.connector.tenant.as_deref(),
    }
}

fn count(edge: &Edge, peer: &Peer, measure: Measure, units: u64) {
    let _ = counted(edge, peer, |quotas, doer| {
        quotas.charge(doer, measure, units, edge.clock.now());
        Ok(())
    });
}

fn counted(
    edge: &Edge,
    peer: &Peer,
    step: impl FnOnce(&mut Quotas, Doer<'_>) -> Result<(), Exceeded>,
) -> Result<(), String> {
    if is_exempt(peer) {
        return Ok(());
    }
    // The counts are sound after every step of theirs.
    let stepped = step(&mut edge.quotas.lock().unwrap_or_else(PoisonError::into_inner), doer(peer));
    stepped.map_err(|exceeded| {
        let (scope, code) = (exceeded.scope.code(), exceeded.measure.code());
        Event::LimitReached { address: peer.address, scope, code, wait: exceeded.wait }.emit();
        exceeded.text()
    })
}
