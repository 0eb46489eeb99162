use pc_store::TraceRow;

use crate::connection::Peer;
use crate::edge::Edge;
use crate::steps::Steps;

/// A session that greeted and ended without MAIL: nothing was asked of us, but whoever says that it tried is
/// found. Where not even a greeting came there is nothing to tell but the refused handshake, which has its own list.
pub(crate) fn write_silent_session(edge: &Edge, peer: &Peer) {
    let (Some((_, greeting)), None) = (peer.greeted.get(), peer.mailed.get()) else { return };
    let reply = "the session ended without MAIL".to_owned();
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
        reverse_path: String::new(),
        recipients: Vec::new(),
        message_id: None,
        octets: 0,
        verdict: None,
        enforcement: "none".to_owned(),
        outcome: "no_mail".to_owned(),
        reply,
        upstream: None,
        upstream_reply: None,
        elapsed_ms: 0,
        steps: steps.rows(),
        deliveries: Vec::new(),
    });
}
