use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pc_telemetry::Event;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::fence::Fenced;
use crate::limits::{ACCEPT_RETRY_PAUSE, BACKLOG, REFUSAL_TIMEOUT};
use crate::stop::Stop;

/// How many connections a listener takes at once.
#[derive(Clone, Copy, Debug)]
pub struct AcceptLimits {
    /// Over all addresses.
    pub connections_max: usize,
    /// From one IPv4 address or one IPv6 /64.
    pub connections_per_address_max: usize,
}

/// A bound listener.
pub struct Acceptor {
    listener: TcpListener,
    door: Door,
}

/// Who may come in.
struct Door {
    name: String,
    limits: AcceptLimits,
    refusal: &'static [u8],
}

impl Acceptor {
    /// Binds `address`. `refusal` is written to connections over the limits, in the protocol's words.
    ///
    /// # Errors
    /// The system's: address in use, not permitted.
    pub fn bind(
        name: &str,
        address: SocketAddr,
        limits: AcceptLimits,
        refusal: &'static [u8],
    ) -> std::io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // A restart must not wait for connections in TIME_WAIT.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(Self { listener: socket.listen(BACKLOG)?, door: Door { name: name.to_owned(), limits, refusal } })
    }

    /// The bound address, with the port the system chose for port 0.
    ///
    /// # Errors
    /// The system's.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Accepts until `stop`, then lets the port go at once, waits up to `drain` for open connections, and cuts
    /// the rest.
    pub async fn serve<F, Fut>(self, mut stop: Stop, drain: Duration, handler: F)
    where
        F: Fn(TcpStream, SocketAddr) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        if let Ok(address) = self.address() {
            Event::ListenerStarted { listener: &self.door.name, address: &address.to_string() }.emit();
        }
        let Self { listener, door } = self;
        let counts = Arc::new(Counts::default());
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.stopped() => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => door.admit(stream, peer, &counts, &mut connections, &handler),
                    Err(error) => {
                        Event::ListenerFailed { listener: &door.name, error: &error.to_string() }.emit();
                        tokio::time::sleep(ACCEPT_RETRY_PAUSE).await;
                    }
                },
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
            }
        }
        // Who comes now must hear that nobody listens and go to another node, instead of waiting in vain.
        drop(listener);
        let drained = async { while connections.join_next().await.is_some() {} };
        // Beyond the drain time connections are cut: no 250 was given, so no mail is lost.
        let _ = tokio::time::timeout(drain, drained).await;
    }
}

impl Door {
    fn admit<F, Fut>(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        counts: &Arc<Counts>,
        connections: &mut JoinSet<()>,
        handler: &F,
    ) where
        F: Fn(TcpStream, SocketAddr) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let address = peer.ip().to_canonical();
        let seat = match counts.take(address, self.limits) {
            Ok(seat) => seat,
            Err(code) => {
                Event::ConnectionRefused { listener: &self.name, address, code }.emit();
                connections.spawn(refuse(stream, self.refusal));
                return;
            }
        };
        Event::ConnectionOpened { listener: &self.name, address }.emit();
        // Small replies must not wait for the peer's acknowledgement.
        let _ = stream.set_nodelay(true);
        let name = self.name.clone();
        let work = Fenced::new(handler(stream, peer));
        connections.spawn(async move {
            let _seat = seat;
            if work.await.is_err() {
                Event::ConnectionPanicked { listener: &name, address }.emit();
            }
        });
    }
}

async fn refuse(mut stream: TcpStream, refusal: &'static [u8]) {
    let write = async {
        let _ = stream.write_all(refusal).await;
        let _ = stream.shutdown().await;
    };
    let _ = tokio::time::timeout(REFUSAL_TIMEOUT, write).await;
}

/// Open connections, over all and by network.
#[derive(Default)]
struct Counts(Mutex<Open>);

#[derive(Default)]
struct Open {
    all: usize,
    by_network: HashMap<IpAddr, usize>,
}

/// One open connection; dropping it gives the place back.
struct Seat {
    counts: Arc<Counts>,
    network: IpAddr,
}

impl Counts {
    fn take(self: &Arc<Self>, address: IpAddr, limits: AcceptLimits) -> Result<Seat, &'static str> {
        let network = network_of(address);
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.all >= limits.connections_max {
            return Err("connections_max");
        }
        let from_network = open.by_network.entry(network).or_default();
        if *from_network >= limits.connections_per_address_max {
            return Err("connections_per_address_max");
        }
        *from_network += 1;
        open.all += 1;
        Ok(Seat { counts: Arc::clone(self), network })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.counts.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.all = open.all.saturating_sub(1);
        if let Some(from_network) = open.by_network.get_mut(&self.network) {
            *from_network = from_network.saturating_sub(1);
            if *from_network == 0 {
                open.by_network.remove(&self.network);
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
