//! # Purpose
//! Connections that a node opens to its own listeners, to look at them as a client does, and how a listener knows them
//! from those of strangers.
//!
//! # Trust
//! A connection is ours when its source address is one that this process bound before it connected. Nobody else can have
//! the same source address and port at the same listener meanwhile.
//!
//! # Invariants
//! An address stands in the list from before the connection exists until the listener is done with it, so that no stranger
//! who gets the port later is taken for us.
//!
//! # See also
//! [`Acceptor`](crate::Acceptor), which has one list for each listener.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use crate::proxy::local_header;

/// Source addresses of our own connections to one listener. Clones share them; the default one knows none.
#[derive(Clone, Debug, Default)]
pub struct OwnPeers(Arc<Mutex<HashSet<SocketAddr>>>);

impl OwnPeers {
    /// Whether a connection from `peer` is one of ours.
    pub fn has(&self, peer: SocketAddr) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&canonical(peer))
    }

    /// While the result lives, `peer` is known; then no more.
    pub(crate) fn until_served(&self, peer: SocketAddr) -> Option<Served> {
        self.has(peer).then(|| Served { peers: self.clone(), peer })
    }

    fn add(&self, peer: SocketAddr) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(canonical(peer));
    }

    pub(crate) fn remove(&self, peer: SocketAddr) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&canonical(peer));
    }
}

/// Forgets a connection of ours when it was served to its end.
pub(crate) struct Served {
    peers: OwnPeers,
    peer: SocketAddr,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.peers.remove(self.peer);
    }
}

/// Opens connections to one of our own listeners.
#[derive(Clone, Debug)]
pub struct OwnConnections {
    address: SocketAddr,
    /// The listener demands a PROXY header from where we come from.
    sends_header: bool,
    peers: OwnPeers,
}

impl OwnConnections {
    pub(crate) fn new(bound: SocketAddr, is_balancer: impl Fn(IpAddr) -> bool, peers: &OwnPeers) -> Self {
        let address = SocketAddr::new(reachable(bound.ip()), bound.port());
        Self { address, sends_header: is_balancer(address.ip().to_canonical()), peers: peers.clone() }
    }

    /// Where it connects to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connects. Where the listener expects a PROXY header from us, one for a health check is sent (its text, 2.2: LOCAL).
    ///
    /// # Errors
    /// The system's.
    pub async fn connect(&self) -> io::Result<TcpStream> {
        let socket = if self.address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // An address of this machine, since the listener has it; so that the source is known before the listener sees it.
        socket.bind(SocketAddr::new(self.address.ip(), 0))?;
        let source = socket.local_addr()?;
        // Forgotten also when nobody waits for us any more.
        let pending = Pending { peers: &self.peers, source, is_connected: false };
        self.peers.add(source);
        let mut stream = socket.connect(self.address).await?;
        stream.set_nodelay(true)?;
        if self.sends_header {
            stream.write_all(&local_header()).await?;
        }
        pending.succeed();
        Ok(stream)
    }
}

/// Forgets a connection of ours that does not come up. What has come up is served, and forgotten then.
struct Pending<'a> {
    peers: &'a OwnPeers,
    source: SocketAddr,
    is_connected: bool,
}

impl Pending<'_> {
    fn succeed(mut self) {
        self.is_connected = true;
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if !self.is_connected {
            self.peers.remove(self.source);
        }
    }
}

/// An address of this machine by which what is bound to `bound` is reached.
fn reachable(bound: IpAddr) -> IpAddr {
    match bound {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        address => address,
    }
}

fn canonical(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::time::Duration;

    use tokio::io::AsyncReadExt;
    use tokio::sync::mpsc;

    use super::*;
    use crate::{AcceptLimits, Acceptor, Refusals, Stopper};

    #[test]
    fn what_listens_everywhere_is_reached_by_loopback_of_its_family() {
        for (bound, want) in [
            ("0.0.0.0:25", "127.0.0.1:25"),
            ("[::]:25", "[::1]:25"),
            ("192.0.2.1:25", "192.0.2.1:25"),
            ("[2001:db8::1]:25", "[2001:db8::1]:25"),
        ] {
            let peers = OwnPeers::default();
            let own = OwnConnections::new(bound.parse().unwrap(), |_| false, &peers);
            assert_eq!(own.address(), want.parse().unwrap());
        }
    }

    /// A listener that says "own" or "stranger" to each connection, and tells of each that is over.
    async fn listener(
        bound: &str,
        is_balancer: bool,
    ) -> (OwnConnections, OwnPeers, Stopper, mpsc::Receiver<()>) {
        let limits =
            AcceptLimits { connections_max: 10, connections_per_address_max: 1, connections_per_minute: 2 };
        let refusals = Refusals { over_limits: b"full", out_of_handles: b"" };
        let acceptor = Acceptor::bind("test", bound.parse().unwrap(), limits, refusals).unwrap();
        let acceptor = acceptor.behind_balancers(move |_| is_balancer);
        let (own, peers) = (acceptor.own_connections().unwrap(), acceptor.own_peers());
        let (stopper, stop) = Stopper::new();
        let (ended, endings) = mpsc::channel(10);
        let known = peers.clone();
        tokio::spawn(acceptor.serve(stop, Duration::from_secs(1), move |mut stream, peer| {
            let (known, ended) = (known.clone(), ended.clone());
            async move {
                let word: &[u8] = if known.has(peer) { b"own" } else { b"stranger" };
                let _ = stream.write_all(word).await;
                let _ = stream.read(&mut [0; 1]).await;
                let _ = ended.send(()).await;
            }
        }));
        (own, peers, stopper, endings)
    }

    async fn heard(stream: &mut TcpStream) -> String {
        let mut octets = [0; 16];
        let count = stream.read(&mut octets).await.unwrap();
        String::from_utf8_lossy(&octets[..count]).into_owned()
    }

    #[tokio::test]
    async fn a_listener_knows_our_connections_and_counts_them_against_no_address() {
        for bound in ["127.0.0.1:0", "0.0.0.0:0"] {
            let (own, _, _stopper, _endings) = listener(bound, false).await;
            let mut open = Vec::new();
            for _ in 0..3 {
                let mut stream = own.connect().await.unwrap();
                assert_eq!(heard(&mut stream).await, "own");
                open.push(stream);
            }
            let mut stranger = TcpStream::connect(own.address()).await.unwrap();
            assert_eq!(heard(&mut stranger).await, "stranger", "ours took no seat of the address");
            let mut second = TcpStream::connect(own.address()).await.unwrap();
            assert_eq!(heard(&mut second).await, "full");
        }
    }

    #[tokio::test]
    async fn where_a_header_is_expected_of_us_one_is_sent() {
        let (own, _, _stopper, _endings) = listener("127.0.0.1:0", true).await;
        assert_eq!(heard(&mut own.connect().await.unwrap()).await, "own");
    }

    #[tokio::test]
    async fn a_connection_is_forgotten_when_it_was_served_and_when_it_never_came_up() {
        let (own, peers, _stopper, mut endings) = listener("127.0.0.1:0", false).await;
        let mut stream = own.connect().await.unwrap();
        heard(&mut stream).await;
        let source = stream.local_addr().unwrap();
        assert!(peers.has(source));
        drop(stream);
        endings.recv().await.unwrap();
        // The handler has ended; its task drops what it held right after.
        while peers.has(source) {
            tokio::task::yield_now().await;
        }
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let peers = OwnPeers::default();
        let own = OwnConnections::new(nobody, |_| false, &peers);
        assert!(own.connect().await.is_err());
        assert!(peers.0.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_connection_that_nobody_waits_for_any_more_is_forgotten() {
        // Its backlog is full with the first, so that the second does not come up.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let _first = TcpStream::connect(address).await.unwrap();
        let peers = OwnPeers::default();
        let own = OwnConnections::new(address, |_| false, &peers);
        {
            let mut connecting = std::pin::pin!(own.connect());
            let waited =
                std::future::poll_fn(|context| std::task::Poll::Ready(connecting.as_mut().poll(context)));
            assert!(waited.await.is_pending());
            assert_eq!(peers.0.lock().unwrap().len(), 1);
        }
        assert!(peers.0.lock().unwrap().is_empty());
    }
}
