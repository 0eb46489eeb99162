//! The port that takes any hello: it is written down, answered with its alert, and closed.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use pc_telemetry::Event;
use pc_tls::observe::observe;
use pc_tls::{CertificateStore, ClientHello, Refusal};
use tokio::net::TcpStream;

use crate::limits::HANDSHAKE_TIMEOUT;

/// Told of every client that said something; without a refusal it would have been let in.
pub type OnObserved = Arc<dyn Fn(IpAddr, Option<&Refusal>, Option<&ClientHello>) + Send + Sync>;

/// A listener for clients that no other one takes.
pub struct ClientTestListener {
    /// For logs.
    pub name: Arc<str>,
    /// A client is judged as if it were shown these.
    pub certificates: CertificateStore,
    /// For the list of refused clients.
    pub on_observed: OnObserved,
}

/// Serves one connection to its end, which comes soon.
pub async fn serve_client_test(listener: Arc<ClientTestListener>, stream: TcpStream, peer: SocketAddr) {
    let address = peer.ip().to_canonical();
    let observed = observe(stream, &listener.certificates, HANDSHAKE_TIMEOUT).await;
    let hello = observed.hello.as_deref();
    let ja4 = hello.map_or_else(String::new, ClientHello::ja4);
    let code = observed.refusal.as_ref().map_or(pc_hello::page::FITS, Refusal::code);
    Event::ClientTested { listener: &listener.name, address, code, client: &ja4 }.emit();
    if !matches!(observed.refusal, Some(Refusal::Closed)) {
        (listener.on_observed)(address, observed.refusal.as_ref(), hello);
    }
}
