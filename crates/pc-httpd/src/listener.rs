use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use pc_hello::page::Negotiated;
use pc_net::{OwnPeers, Stop};
use pc_telemetry::Event;
use pc_tls::{Accepted, ClientHello, Handshake, Refusal, ServerStream, ServerTls};
use tokio::net::TcpStream;

use crate::access::{Client, Hello};
use crate::connection::converse;
use crate::edge::Edge;
use crate::exchange::Conversation;
use crate::guard::Wire;
use crate::limits::{CLIENT_KEEP_ALIVE, HANDSHAKE_TIMEOUT};
use crate::stream::converse_http2;

/// What ALPN offers, the preferred one first.
pub const PROTOCOLS: &[&str] = &["http/1.1", "http/1.0"];
/// The same for the names of sites with HTTP/2. Who names none gets none of it: his site is not known.
const PROTOCOLS_OF_HTTP2: &[&str] = &["h2", "http/1.1", "http/1.0"];

/// Told of every client that the TLS standard refuses.
pub type OnRefusal = Arc<dyn Fn(IpAddr, &Refusal, Option<&ClientHello>) + Send + Sync>;

/// A listener of the HTTPS edge.
pub struct WebListener {
    /// For logs.
    pub name: Arc<str>,
    /// Its own sessions and tickets.
    tls: ServerTls,
    /// For the list of refused clients.
    pub on_refusal: OnRefusal,
    own: OwnPeers,
}

impl WebListener {
    /// `tls` is made with [`PROTOCOLS`].
    pub fn new(name: &str, edge: &Arc<Edge>, tls: ServerTls, on_refusal: OnRefusal) -> Self {
        let edge = Arc::clone(edge);
        let tls = tls.with_protocols_for(PROTOCOLS_OF_HTTP2, move |name| edge.speaks_http2(name));
        Self { name: name.into(), tls, on_refusal, own: OwnPeers::default() }
    }

    /// By which the node looks at itself.
    #[must_use]
    pub fn knowing(self, own: OwnPeers) -> Self {
        Self { own, ..self }
    }
}

/// A connection inside TLS.
struct Opened {
    stream: Box<ServerStream<TcpStream>>,
    client: Arc<Client>,
    is_http2: bool,
}

/// Shakes hands. What comes of it is told here, and what does not.
async fn open(listener: &WebListener, stream: TcpStream, peer: SocketAddr) -> Option<Opened> {
    let address = peer.ip().to_canonical();
    let Ok(local) = stream.local_addr() else { return None };
    CLIENT_KEEP_ALIVE.set(&stream);
    let is_own = listener.own.has(peer);
    let accepted = match listener.tls.accept(stream, HANDSHAKE_TIMEOUT).await {
        Ok(accepted) => accepted,
        Err(_) if is_own => return None,
        Err((Refusal::ChallengeAnswered, hello)) => {
            let name = hello.and_then(|hello| hello.server_name).map(|name| name.to_string());
            let name = name.unwrap_or_default();
            Event::AcmeChallengeAnswered { challenge: "tls-alpn-01", name: &name, address }.emit();
            return None;
        }
        Err((refusal, hello)) => {
            let ja4 = hello.as_ref().map_or_else(String::new, |hello| hello.ja4());
            let (listener_name, code) = (&*listener.name, refusal.code());
            Event::TlsRefused { listener: listener_name, address, code, client: &ja4 }.emit();
            // Who only looks whether the port is open does no wrong.
            if !matches!(refusal, Refusal::Closed) {
                (listener.on_refusal)(address, &refusal, hello.as_deref());
            }
            return None;
        }
    };
    let (version, suite) = (accepted.version, accepted.suite);
    if !is_own {
        Event::TlsEstablished { listener: &listener.name, version, suite }.emit();
    }
    let client = Arc::new(Client {
        listener: Arc::clone(&listener.name),
        address,
        local,
        tls: version,
        ja4: accepted.hello.ja4(),
        server_name: accepted.hello.server_name.as_ref().map(ToString::to_string),
        hello: Some(Box::new(hello(&accepted))),
        is_own,
    });
    let is_http2 = accepted.protocol.as_deref() == Some(b"h2");
    Some(Opened { stream: Box::new(accepted.stream), client, is_http2 })
}

/// Serves one connection to its end.
pub async fn serve(
    edge: Arc<Edge>,
    listener: Arc<WebListener>,
    stream: TcpStream,
    peer: SocketAddr,
    stop: Stop,
) {
    // Apart, or every connection would hold the room of its beginning to its end.
    let Some(opened) = Box::pin(open(&listener, stream, peer)).await else { return };
    let Opened { stream, client, is_http2 } = opened;
    let wire = Arc::new(Wire::default());
    let counting = Arc::clone(&edge);
    if is_http2 {
        let conversation = Arc::new(Conversation::http2(edge, Arc::clone(&client), Arc::clone(&wire)));
        let answer = move |request| {
            let conversation = Arc::clone(&conversation);
            async move { conversation.answer(request).await }
        };
        Box::pin(converse_http2(stream, (&client, Arc::clone(&wire)), answer, stop)).await;
        counting.count_fault(&client, &wire);
        return;
    }
    let hsts = edge.rules.load().hsts.clone();
    let conversation = Arc::new(Conversation::new(edge, Arc::clone(&client), Arc::clone(&wire)));
    let answering = Arc::clone(&conversation);
    let answer = move |request| {
        let conversation = Arc::clone(&answering);
        Box::pin(async move { conversation.answer(request).await })
    };
    let poll_behind = |context: &mut std::task::Context<'_>| conversation.poll_behind(context);
    converse(stream, (&client, Arc::clone(&wire)), answer, poll_behind, Some(hsts), stop).await;
    counting.count_fault(&client, &wire);
}

fn hello<S>(accepted: &Accepted<S>) -> Hello {
    let protocol = accepted.protocol.as_deref().map(pc_hello::protocol_text);
    let negotiated = Negotiated {
        version: accepted.version.to_owned(),
        suite: accepted.suite.to_owned(),
        group: accepted.group.map(str::to_owned),
        protocol,
        resumed: accepted.handshake == Handshake::Resumed,
    };
    Hello { offer: accepted.hello.offer(), negotiated }
}
