//! A slow client must not hold a connection to the server behind: there are few of them, and many slow clients. When
//! nothing was asked over it for a while it is given back, and the recipients are asked anew when there is something to
//! say.

use std::sync::Arc;
use std::time::Duration;

use pc_smtp::Reply;

use super::Transaction;
use crate::connection::Peer;
use crate::limits::SEAT_IDLE_MAX;
use crate::upstream::{Fault, Opened, Upstream, UpstreamTransaction};

/// Why a transaction could not be taken up again.
pub(super) enum Lost {
    /// The server does not take what it took before.
    Changed(Reply),
    /// It could not be reached, or broke off.
    Fault(Fault),
}

impl Lost {
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Changed(reply) => {
                format!("asked again, the server behind changed its mind: {}", reply.summary())
            }
            Self::Fault(fault) => fault.to_string(),
        }
    }
}

impl Transaction {
    /// How long the connection to the server behind may stay unused; `None` while none is held.
    pub(crate) fn seat_left(&self) -> Option<Duration> {
        self.upstream.as_ref().map(|_| SEAT_IDLE_MAX.saturating_sub(self.asked_at.elapsed()))
    }

    /// Gives the connection to the server behind back.
    pub(crate) fn give_seat_back(&mut self) {
        if let Some(upstream) = self.upstream.take() {
            upstream.abandon();
            self.has_given_back = true;
            self.steps.note("upstream", "connection given back while the client is slow".to_owned());
        }
    }

    /// The transaction with the server behind, for all recipients that it took. Taken up again if it was given back.
    pub(super) async fn upstream_for_all(
        &mut self,
        upstream: &Arc<Upstream>,
        peer: &Peer,
    ) -> Result<Option<Box<UpstreamTransaction>>, Lost> {
        if !self.has_given_back || self.upstream.is_some() {
            return Ok(self.upstream.take());
        }
        let network = pc_net::network_of(peer.address);
        let mut resumed: Option<Box<UpstreamTransaction>> = None;
        for recipient in &self.taken {
            let answered = match resumed.take() {
                Some(transaction) => transaction.recipient(recipient).await,
                None => match upstream.open(network, &self.envelope, recipient).await {
                    Opened::Begun(transaction, reply) => Ok((transaction, reply)),
                    Opened::Refused(reply) => return Err(Lost::Changed(reply)),
                    Opened::Unavailable(fault) => Err(fault),
                },
            };
            let (transaction, reply) = answered.map_err(Lost::Fault)?;
            if !reply.is_positive() {
                transaction.abandon();
                return Err(Lost::Changed(reply));
            }
            resumed = Some(transaction);
        }
        self.has_given_back = false;
        Ok(resumed)
    }
}
