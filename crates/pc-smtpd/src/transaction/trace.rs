//! The transaction's row in the trace.

use pc_store::TraceRow;

use super::{Reading, Transaction};
use crate::connection::Peer;
use crate::edge::Edge;

impl Transaction {
    /// Queues it for the store.
    pub(super) fn write_trace(
        &self,
        edge: &Edge,
        peer: &Peer,
        outcome: &str,
        reply: &str,
        reading: Option<&Reading>,
    ) {
        edge.writer.trace(TraceRow {
            id: self.trace_id.clone(),
            at: self.at,
            connected_at: peer.opened_at,
            listener: peer.listener.clone(),
            connector: self.connector.name.clone(),
            address: peer.address,
            greeting: self.greeting.name.text.clone(),
            server_id: self.server_id.clone(),
            tls: peer.tls.map(|(version, suite)| format!("{version} {suite}")),
            reverse_path: self.reverse_path.to_string(),
            recipients: self.recipients.clone(),
            message_id: self.message_id.clone(),
            octets: self.message.octets(),
            verdict: reading.map(|reading| reading.verdict.as_str().to_owned()),
            enforcement: self.decision.code().to_owned(),
            outcome: outcome.to_owned(),
            reply: reply.to_owned(),
            upstream: self.target.as_ref().map(|target| target.name.clone()),
            upstream_reply: self.upstream_reply.clone(),
            elapsed_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            steps: self.steps.rows(),
            deliveries: Vec::new(),
        });
    }
}
