use pc_store::TraceRow;
use pc_telemetry::Outcome;

use crate::connection::Peer;
use crate::edge::Edge;
use crate::steps::Steps;

/// A session that greeted and ended without MAIL, or whose MAIL met a limit (the first one stands for all, or those who
/// go on without end would fill the disk). Else nothing was asked of us, but whoever says that it tried is
/// found. Where not even a greeting came there is nothing to tell but the refused handshake, which has its own list.
pub(crate) fn write_silent_session(edge: &Edge, peer: &Peer) {
    if peer.is_own {
        return;
    }
    let Some((_, greeting)) = peer.greeted.get() else { return };
    let (outcome, reverse_path, reply) = match (peer.turned_away.get(), peer.mailed.get()) {
        (Some((reverse_path, reply)), _) => (Outcome::Deferred.code(), reverse_path.clone(), reply.clone()),
        (None, None) => ("no_mail", String::new(), "the session ended without MAIL".to_owned()),
        (None, Some(())) => return,
    };
    let mut steps = Steps::of(peer, greeting);
    steps.note("end", reply.clone());
    edge.writer.trace(TraceRow {
        id: edge.trace_ids.next_id(),
        at: edge.clock.now(),
        connected_at: peer.opened_at,
        listener: peer.listener.clone(),
        connector: peer.connector.name.clone(),
        address: peer.address,
        greeting: greeting.name.text.clone(),
        server_id: edge.servers.id_for(peer.address, greeting.name.domain.as_ref()),
        tls: peer.tls.map(|(version, suite)| format!("{version} {suite}")),
        reverse_path,
        recipients: Vec::new(),
        message_id: None,
        octets: 0,
        verdict: None,
        enforcement: "none".to_owned(),
        outcome: outcome.to_owned(),
        reply,
        upstream: None,
        upstream_reply: None,
        elapsed_ms: 0,
        steps: steps.rows(),
        deliveries: Vec::new(),
    });
}
