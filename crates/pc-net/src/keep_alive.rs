use std::os::fd::AsFd;
use std::time::Duration;

use rustix::net::sockopt::{set_socket_keepalive, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl};

/// When TCP asks a silent peer whether it is still there (RFC 9293 3.8.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// After so long without a segment.
    pub idle: Duration,
    /// Again after so long without an answer.
    pub interval: Duration,
    /// After so many questions without an answer the connection is over.
    pub probes_max: u32,
}

impl KeepAlive {
    /// Sets the options of a socket. Where the system takes one of them not, its own default holds.
    pub fn set(self, socket: &impl AsFd) {
        let _ = set_socket_keepalive(socket, true);
        let _ = set_tcp_keepidle(socket, self.idle);
        let _ = set_tcp_keepintvl(socket, self.interval);
        let _ = set_tcp_keepcnt(socket, self.probes_max);
    }
}

#[cfg(test)]
mod tests {
    use rustix::net::sockopt::{socket_keepalive, tcp_keepcnt, tcp_keepidle, tcp_keepintvl};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn a_socket_gets_all_four_options() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        assert!(!socket_keepalive(&stream).unwrap(), "off by itself");
        let (idle, interval) = (Duration::from_secs(60), Duration::from_secs(15));
        KeepAlive { idle, interval, probes_max: 4 }.set(&stream);
        assert!(socket_keepalive(&stream).unwrap());
        let got = (tcp_keepidle(&stream), tcp_keepintvl(&stream), tcp_keepcnt(&stream));
        assert_eq!((got.0.unwrap(), got.1.unwrap(), got.2.unwrap()), (idle, interval, 4));
    }
}
