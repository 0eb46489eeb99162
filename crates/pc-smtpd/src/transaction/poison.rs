//! A message over which handling panics costs itself alone: the first time its sender is asked to try again,
//! the second time it is kept for the operator.

use pc_net::Fenced;
use pc_queue::Entry;
use pc_smtp::custody::Custody;
use pc_smtp::{EndAnswer, EnhancedCode, Envelope, Reply};
use pc_telemetry::Event;

use super::{Reading, Transaction};
use crate::connection::Peer;
use crate::edge::Edge;
use crate::suspects::Verdict;

/// Why it is kept; for the operator, before releasing it.
const REASON: &str = "handling it failed twice; it is kept as it came, not judged and not scanned";

impl Transaction {
    /// Takes or refuses the message, whatever becomes of us.
    pub(super) async fn take_or_refuse_fenced(
        &mut self,
        edge: &Edge,
        peer: &Peer,
        envelope: &Envelope,
    ) -> (EndAnswer, Option<Reading>) {
        if let Ok(answer) = Fenced::new(self.take_or_refuse(edge, peer, envelope)).await {
            return answer;
        }
        self.steps.note("fault", "handling the message failed".to_owned());
        Event::MessagePanicked { trace_id: &self.trace_id, address: peer.address }.emit();
        // The server behind may have taken part of it: a connection in doubt is closed.
        self.upstream = None;
        let verdict = edge.suspects.failed(self.message.head(), self.message.octets());
        let answer = match verdict {
            Verdict::Again => None,
            Verdict::SetAside => self.set_aside(edge, peer, envelope).await,
        };
        let again = || {
            let text = "handling this message failed, please try again";
            EndAnswer::Refused(Reply::new(451, EnhancedCode(4, 3, 0), text))
        };
        (answer.unwrap_or_else(again), None)
    }

    /// `None` where it cannot be kept: then its sender keeps it.
    async fn set_aside(&mut self, edge: &Edge, peer: &Peer, envelope: &Envelope) -> Option<EndAnswer> {
        let target = self.target.as_ref().filter(|target| edge.queue.takes(&target.name))?;
        let entry = Entry::new(self.origin(edge, peer, &target.name), envelope);
        let content = self.message.raw_content();
        let committed = match content {
            Ok(content) => edge.queue.commit_aside(entry, envelope, content, REASON).await,
            Err(error) => Err(error),
        };
        match committed {
            Ok(persisted) => {
                self.spooled = Some(REASON.to_owned());
                let text = format!("{} kept for the operator", self.trace_id);
                Some(EndAnswer::Taken { custody: Custody::Persisted(persisted), text })
            }
            Err(error) => {
                Event::SpoolUnreadable { id: &self.trace_id, error: &error.to_string() }.emit();
                None
            }
        }
    }
}
