//! Where a judged message goes: to the server behind, into a Maildir, or into the spool.

use pc_queue::Entry;
use pc_smtp::custody::{Accepted, Custody};
use pc_smtp::header::Screened;
use pc_smtp::{EndAnswer, EnhancedCode, Envelope, Reply};
use pc_telemetry::Event;

use super::Transaction;
use super::seat::Lost;
use crate::connection::Peer;
use crate::edge::{Delivery, Edge};
use crate::upstream::{Content, HandOverError, UpstreamTransaction};

impl Transaction {
    /// Passes custody on; the answer says to whom.
    pub(super) async fn hand_over(
        &mut self,
        edge: &Edge,
        peer: &Peer,
        prefix: &[u8],
        screened: &Screened,
        envelope: &Envelope,
    ) -> EndAnswer {
        let Some(target) = self.target.clone() else {
            return EndAnswer::Refused(crate::upstream::unavailable());
        };
        match &target.delivery {
            Delivery::Maildir(maildir) => {
                let (maildir, name) = (maildir.clone(), self.trace_id.clone());
                match self.write_to_maildir(&maildir, &name, prefix, screened) {
                    Ok(persisted) => {
                        let text = format!("{} kept", self.trace_id);
                        EndAnswer::Taken { custody: Custody::Persisted(persisted), text }
                    }
                    Err(error) => {
                        let error = error.to_string();
                        let (upstream, host) = (&target.name, "");
                        Event::UpstreamFailed { upstream, host, code: "maildir", error: &error }.emit();
                        let text = "the message could not be written, please try again";
                        EndAnswer::Refused(Reply::new(451, EnhancedCode(4, 3, 0), text))
                    }
                }
            }
            // A server that knows fewer recipients than we accepted must not get the message: its 250
            // would speak for all of them.
            Delivery::Smtp(_) if self.spooled.is_some() => {
                self.spool(edge, peer, prefix, screened, envelope).await
            }
            Delivery::Smtp(upstream) => match self.upstream_for_all(upstream, peer).await {
                Ok(transaction) => {
                    let recipients = envelope.recipients.len();
                    match transaction.filter(|transaction| transaction.recipients() == recipients) {
                        Some(transaction) => {
                            self.deliver_or_spool(edge, peer, transaction, (prefix, screened), envelope).await
                        }
                        None => EndAnswer::Refused(crate::upstream::unavailable()),
                    }
                }
                Err(lost) => {
                    if let Lost::Fault(fault) = &lost {
                        edge.queue.target_failed(upstream.name(), fault);
                    }
                    self.spooled = Some(lost.reason());
                    self.spool(edge, peer, prefix, screened, envelope).await
                }
            },
        }
    }

    async fn deliver_or_spool(
        &mut self,
        edge: &Edge,
        peer: &Peer,
        upstream: Box<UpstreamTransaction>,
        (prefix, screened): (&[u8], &Screened),
        envelope: &Envelope,
    ) -> EndAnswer {
        match self.deliver(upstream, prefix, screened).await {
            Ok((accepted, word)) => {
                self.note_upstream(word.clone());
                self.report_relayed(edge, peer, prefix, screened, envelope).await;
                EndAnswer::Taken {
                    custody: Custody::Accepted(accepted),
                    text: format!("{} taken by the server behind: {word}", self.trace_id),
                }
            }
            Err(HandOverError::Refused(reply)) => {
                self.note_upstream(reply.summary());
                EndAnswer::Refused(reply)
            }
            Err(HandOverError::Unavailable(fault)) => {
                if let Some(target) = &self.target {
                    edge.queue.target_failed(&target.name, &fault);
                }
                self.spooled = Some(fault.to_string());
                self.spool(edge, peer, prefix, screened, envelope).await
            }
        }
    }

    async fn deliver(
        &mut self,
        upstream: Box<UpstreamTransaction>,
        prefix: &[u8],
        screened: &Screened,
    ) -> Result<(Accepted, String), HandOverError> {
        self.steps.note("host", upstream.host());
        self.is_dsn_offered = upstream.offers_dsn();
        match Content::screened(prefix, screened, &mut self.message) {
            Ok(content) => upstream.deliver(content).await,
            Err(error) => {
                upstream.abandon();
                let error = error.to_string();
                Event::UpstreamFailed { upstream: "", host: "", code: "temporary_file", error: &error }
                    .emit();
                Err(HandOverError::Refused(crate::upstream::unavailable()))
            }
        }
    }

    /// The server behind cannot take the message at this moment: the spool does.
    async fn spool(
        &mut self,
        edge: &Edge,
        peer: &Peer,
        prefix: &[u8],
        screened: &Screened,
        envelope: &Envelope,
    ) -> EndAnswer {
        let Some(target) = self.target.as_ref().filter(|target| edge.queue.takes(&target.name)) else {
            return EndAnswer::Refused(crate::upstream::unavailable());
        };
        let origin = self.origin(edge, peer, &target.name);
        let committed = match self.message.spool_content(prefix, screened) {
            Ok(content) => edge.queue.commit(Entry::new(origin, envelope), envelope, content).await,
            Err(error) => Err(error),
        };
        let why = self.spooled.clone().unwrap_or_default();
        self.steps.note("spool", why);
        match committed {
            Ok(persisted) => EndAnswer::Taken {
                custody: Custody::Persisted(persisted),
                text: format!("{} queued for the server behind", self.trace_id),
            },
            Err(error) => {
                Event::SpoolUnreadable { id: &self.trace_id, error: &error.to_string() }.emit();
                let text = "the message could not be kept, please try again";
                EndAnswer::Refused(Reply::new(452, EnhancedCode(4, 3, 1), text))
            }
        }
    }

    /// Syncing blocks; the runtime moves other work away from this thread meanwhile.
    fn write_to_maildir(
        &mut self,
        maildir: &pc_store::maildir::Maildir,
        name: &str,
        prefix: &[u8],
        screened: &Screened,
    ) -> std::io::Result<pc_smtp::custody::Persisted> {
        let head = self.message.head().to_vec();
        let pieces: Vec<&[u8]> = std::iter::once(prefix).chain(screened.pieces(&head)).collect();
        let rest = self.message.rest()?.map(|file| file as &mut dyn std::io::Read);
        tokio::task::block_in_place(|| maildir.deliver(name, &pieces, rest))
    }
}
