use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pc_telemetry::Event;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::arrivals::Arrivals;
use crate::fence::Fenced;
use crate::limits::{BACKLOG, PROXY_HEADER_TIMEOUT, REFUSAL_TIMEOUT};
use crate::own::{OwnConnections, OwnPeers};
use crate::proxy::{ProxyHeader, ProxySource, read_proxy_header};
use crate::resources::SpareHandle;
use crate::stop::Stop;

/// How many connections a listener takes.
#[derive(Clone, Copy, Debug)]
pub struct AcceptLimits {
    /// Over all addresses.
    pub connections_max: usize,
    /// From one IPv4 address or one IPv6 /64.
    pub connections_per_address_max: usize,
    /// New ones from there in a minute; 0 is no limit.
    pub connections_per_minute: u32,
}

/// What connections hear that are not taken, in the protocol's words.
#[derive(Clone, Copy, Debug)]
pub struct Refusals {
    /// Over the limits.
    pub over_limits: &'static [u8],
    /// The process has no file handle left.
    pub out_of_handles: &'static [u8],
}

/// A bound listener.
pub struct Acceptor {
    name: String,
    listener: TcpListener,
    limits: AcceptLimits,
    refusals: Refusals,
    is_balancer: Box<dyn Fn(IpAddr) -> bool + Send + Sync>,
    own: OwnPeers,
}

impl Acceptor {
    /// Binds `address`.
    ///
    /// # Errors
    /// The system's: address in use, not permitted.
    pub fn bind(
        name: &str,
        address: SocketAddr,
        limits: AcceptLimits,
        refusals: Refusals,
    ) -> std::io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // A restart must not wait for connections in TIME_WAIT.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        Ok(Self {
            name: name.to_owned(),
            listener,
            limits,
            refusals,
            is_balancer: Box::new(|_| false),
            own: OwnPeers::default(),
        })
    }

    /// Demands a PROXY header from addresses of which `is_balancer` is true. From all others none is read, or
    /// anybody could claim to be anybody.
    #[must_use]
    pub fn behind_balancers(mut self, is_balancer: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        self.is_balancer = Box::new(is_balancer);
        self
    }

    /// The bound address, with the port the system chose for port 0.
    ///
    /// # Errors
    /// The system's.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// By which the node connects to this listener itself. To be asked for when balancers are known.
    ///
    /// # Errors
    /// The system's.
    pub fn own_connections(&self) -> std::io::Result<OwnConnections> {
        Ok(OwnConnections::new(self.address()?, &self.is_balancer, &self.own))
    }

    /// By which a handler knows these connections.
    pub fn own_peers(&self) -> OwnPeers {
        self.own.clone()
    }

    /// Accepts until `stop`, then lets the port go at once, waits up to `drain` for open connections, and cuts
    /// the rest. `handler` gets the address that a balancer conveyed, where there is one.
    pub async fn serve<F, Fut>(self, mut stop: Stop, drain: Duration, handler: F)
    where
        F: Fn(TcpStream, SocketAddr) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        if let Ok(address) = self.address() {
            Event::ListenerStarted { listener: &self.name, address: &address.to_string() }.emit();
        }
        let counts = Arc::new(Counts::new(self.limits));
        let handler = Arc::new(handler);
        let mut spare = SpareHandle::take();
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.stopped() => break,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, peer)) => self.admit(stream, peer, &counts, &mut connections, &handler),
                    Err(error) => {
                        self.accept_failed(&error, &mut spare).await;
                    }
                },
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
            }
        }
        // Who comes now must hear that nobody listens and go to another node, instead of waiting in vain.
        drop(self.listener);
        let drained = async { while connections.join_next().await.is_some() {} };
        // Beyond the drain time connections are cut: no 250 was given, so no mail is lost.
        let _ = tokio::time::timeout(drain, drained).await;
    }

    async fn accept_failed(&self, error: &std::io::Error, spare: &mut SpareHandle) {
        Event::ListenerFailed { listener: &self.name, error: &error.to_string() }.emit();
        let told = spare.turn_one_away(&self.listener, error, self.refusals.out_of_handles).await;
        if let Some(peer) = told {
            self.own.remove(peer);
            let address = peer.ip().to_canonical();
            Event::ConnectionRefused { listener: &self.name, address, code: "file_handles" }.emit();
        }
    }

    fn admit<F, Fut>(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        counts: &Arc<Counts>,
        connections: &mut JoinSet<()>,
        handler: &Arc<F>,
    ) where
        F: Fn(TcpStream, SocketAddr) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let own = self.own.until_served(peer);
        let door = Door {
            name: self.name.clone(),
            limits: self.limits,
            refusal: self.refusals.over_limits,
            is_own: own.is_some(),
        };
        let real = peer.ip().to_canonical();
        let seat = match counts.enter(self.limits) {
            Ok(seat) => seat,
            Err(code) => {
                connections.spawn(async move {
                    door.refuse(stream, real, code).await;
                    drop(own);
                });
                return;
            }
        };
        // Small replies must not wait for the peer's acknowledgement.
        let _ = stream.set_nodelay(true);
        let handler = Arc::clone(handler);
        if (self.is_balancer)(real) {
            connections.spawn(async move {
                let _own = own;
                if let Some((stream, source)) = door.conveyed(stream, real).await {
                    let (peer, claim) = match source {
                        ProxySource::Client(client) => (client, Claim::ByAddress),
                        ProxySource::Sender => (peer, Claim::None),
                    };
                    door.serve(stream, peer, (seat, claim), &*handler).await;
                }
            });
        } else {
            connections.spawn(async move {
                // What we look at ourselves by is nobody's share.
                let claim = if own.is_some() { Claim::None } else { Claim::ByAddress };
                door.serve(stream, peer, (seat, claim), &*handler).await;
                drop(own);
            });
        }
    }
}

/// Whether a connection counts against the limit of its address. A balancer's own connections are many and
/// its own; only the limit over all holds for them.
enum Claim {
    ByAddress,
    None,
}

/// What a connection's own task needs of the listener.
struct Door {
    name: String,
    limits: AcceptLimits,
    refusal: &'static [u8],
    /// The node looks at itself, which is no event.
    is_own: bool,
}

impl Door {
    async fn serve<F, Fut>(
        self,
        stream: TcpStream,
        peer: SocketAddr,
        (mut seat, claim): (Seat, Claim),
        handler: &F,
    ) where
        F: Fn(TcpStream, SocketAddr) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let address = peer.ip().to_canonical();
        let claimed = match claim {
            Claim::ByAddress => seat.claim(address, self.limits),
            Claim::None => Ok(()),
        };
        if let Err(code) = claimed {
            drop(seat);
            self.refuse(stream, address, code).await;
            return;
        }
        if !self.is_own {
            Event::ConnectionOpened { listener: &self.name, address }.emit();
        }
        if Fenced::new(handler(stream, peer)).await.is_err() {
            Event::ConnectionPanicked { listener: &self.name, address }.emit();
        }
    }

    /// Reads the header that `real`, a balancer, owes. Without a sound one nothing is said: whoever it is does
    /// not wait for a greeting, and an answer would help it guess.
    async fn conveyed(&self, mut stream: TcpStream, real: IpAddr) -> Option<(TcpStream, ProxySource)> {
        let read = async {
            let mut octets = Vec::new();
            loop {
                match read_proxy_header(&octets).map_err(|fault| fault.code())? {
                    ProxyHeader::Complete(source) => return Ok(source),
                    // Exactly these, since what follows is the client's.
                    ProxyHeader::Incomplete(more) => {
                        let more = u64::try_from(more).unwrap_or(0);
                        match (&mut stream).take(more).read_buf(&mut octets).await {
                            Ok(1..) => {}
                            Ok(0) | Err(_) => return Err("proxy_closed"),
                        }
                    }
                }
            }
        };
        let code = match tokio::time::timeout(PROXY_HEADER_TIMEOUT, read).await {
            Ok(Ok(source)) => return Some((stream, source)),
            Ok(Err(code)) => code,
            Err(_) => "proxy_timeout",
        };
        Event::ConnectionRefused { listener: &self.name, address: real, code }.emit();
        None
    }

    async fn refuse(&self, stream: TcpStream, address: IpAddr, code: &'static str) {
        Event::ConnectionRefused { listener: &self.name, address, code }.emit();
        refuse(stream, self.refusal).await;
    }
}

async fn refuse(mut stream: TcpStream, refusal: &'static [u8]) {
    let write = async {
        let _ = stream.write_all(refusal).await;
        let _ = stream.shutdown().await;
    };
    let _ = tokio::time::timeout(REFUSAL_TIMEOUT, write).await;
}

/// Open connections, over all and by network, and how often new ones come.
struct Counts(Mutex<Open>);

struct Open {
    all: usize,
    by_network: HashMap<IpAddr, usize>,
    arrivals: Arrivals,
}

/// One open connection; dropping it gives the place back.
struct Seat {
    counts: Arc<Counts>,
    network: Option<IpAddr>,
}

impl Counts {
    fn new(limits: AcceptLimits) -> Self {
        let arrivals = Arrivals::new(limits.connections_per_minute);
        Self(Mutex::new(Open { all: 0, by_network: HashMap::new(), arrivals }))
    }

    fn enter(self: &Arc<Self>, limits: AcceptLimits) -> Result<Seat, &'static str> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.all >= limits.connections_max {
            return Err("connections_max");
        }
        open.all += 1;
        Ok(Seat { counts: Arc::clone(self), network: None })
    }
}

impl Seat {
    /// Counts the connection against its address as well, once.
    fn claim(&mut self, address: IpAddr, limits: AcceptLimits) -> Result<(), &'static str> {
        let network = network_of(address);
        let mut open = self.counts.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = open.by_network.get(&network).copied().unwrap_or(0);
        if taken >= limits.connections_per_address_max {
            return Err("connections_per_address_max");
        }
        if !open.arrivals.take(network, Instant::now()) {
            return Err("connections_per_minute");
        }
        open.by_network.insert(network, taken + 1);
        self.network = Some(network);
        Ok(())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.counts.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.all = open.all.saturating_sub(1);
        let Some(network) = self.network else { return };
        if let Some(from_network) = open.by_network.get_mut(&network) {
            *from_network = from_network.saturating_sub(1);
            if *from_network == 0 {
                open.by_network.remove(&network);
            }
        }
    }
}

/// What counts as one client: an IPv4 address, or an IPv6 /64, which one subscriber usually holds.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests;
