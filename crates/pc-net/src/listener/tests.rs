use tokio::io::AsyncReadExt;

use super::*;
use crate::Stopper;

fn limits(connections_max: usize, connections_per_address_max: usize) -> AcceptLimits {
    AcceptLimits { connections_max, connections_per_address_max, connections_per_minute: 0 }
}

fn take(counts: &Arc<Counts>, address: IpAddr, limits: AcceptLimits) -> Result<Seat, &'static str> {
    let mut seat = counts.enter(limits)?;
    seat.claim(address, limits)?;
    Ok(seat)
}

#[test]
fn seats_are_counted_by_address_and_given_back() {
    let counts = Arc::new(Counts::new(limits(2, 1)));
    let first: IpAddr = "192.0.2.1".parse().unwrap();
    let second: IpAddr = "192.0.2.2".parse().unwrap();
    let seat = take(&counts, first, limits(2, 1)).ok().unwrap();
    assert_eq!(take(&counts, first, limits(2, 1)).err(), Some("connections_per_address_max"));
    let other = take(&counts, second, limits(2, 1)).ok().unwrap();
    assert_eq!(take(&counts, second, limits(2, 5)).err(), Some("connections_max"));
    drop((seat, other));
    assert!(take(&counts, first, limits(1, 1)).is_ok());
    assert!(counts.0.lock().unwrap().by_network.is_empty(), "no address is kept after its last connection");
}

#[test]
fn who_opens_too_many_in_a_minute_is_turned_away_and_another_is_not() {
    let limits = AcceptLimits { connections_per_minute: 2, ..limits(10, 10) };
    let counts = Arc::new(Counts::new(limits));
    let (first, second): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
    for _ in 0..2 {
        drop(take(&counts, first, limits).ok().unwrap());
    }
    assert_eq!(take(&counts, first, limits).err(), Some("connections_per_minute"));
    assert!(take(&counts, second, limits).is_ok());
    assert_eq!(counts.0.lock().unwrap().all, 0, "who was turned away holds no place");
}

fn refusals(over_limits: &'static [u8]) -> Refusals {
    Refusals { over_limits, out_of_handles: b"421 full\r\n" }
}

#[test]
fn an_ipv6_subscriber_is_one_network() {
    let network = network_of("2001:db8:0:1:aaaa::1".parse().unwrap());
    assert_eq!(network, network_of("2001:db8:0:1:bbbb::2".parse().unwrap()));
    assert_ne!(network, network_of("2001:db8:0:2:aaaa::1".parse().unwrap()));
}

#[tokio::test]
async fn a_panic_in_one_connection_costs_that_connection_only() {
    let acceptor =
        Acceptor::bind("test", "127.0.0.1:0".parse().unwrap(), limits(10, 10), refusals(b"421\r\n")).unwrap();
    let address = acceptor.address().unwrap();
    let (stopper, stop) = Stopper::new();
    let server = tokio::spawn(acceptor.serve(stop, Duration::from_secs(5), |mut stream, _| async move {
        let mut octet = [0];
        stream.read_exact(&mut octet).await.unwrap();
        assert_ne!(octet, *b"x", "the poison octet");
        stream.write_all(b"fine").await.unwrap();
    }));
    for (sent, want) in [(b"x", &b""[..]), (b"y", b"fine"), (b"x", b""), (b"y", b"fine")] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(sent).await.unwrap();
        let mut got = Vec::new();
        let _ = stream.read_to_end(&mut got).await;
        assert_eq!(got, want);
    }
    stopper.stop();
    server.await.unwrap();
}

#[tokio::test]
async fn connections_over_the_limit_hear_the_refusal() {
    let acceptor =
        Acceptor::bind("test", "127.0.0.1:0".parse().unwrap(), limits(1, 1), refusals(b"421 busy\r\n"))
            .unwrap();
    let address = acceptor.address().unwrap();
    let (stopper, stop) = Stopper::new();
    let server = tokio::spawn(acceptor.serve(stop, Duration::ZERO, |mut stream, _| async move {
        let _ = stream.write_all(b"220\r\n").await;
        let _ = stream.read_u8().await;
    }));
    let mut first = TcpStream::connect(address).await.unwrap();
    let mut greeting = [0; 5];
    first.read_exact(&mut greeting).await.unwrap();
    let mut second = TcpStream::connect(address).await.unwrap();
    let mut got = Vec::new();
    second.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"421 busy\r\n");
    stopper.stop();
    server.await.unwrap();
}

/// A listener whose balancer is `balancer`; it answers with the address it was told.
async fn behind(balancer: &str, limits: AcceptLimits) -> (SocketAddr, Stopper) {
    let balancer: IpAddr = balancer.parse().unwrap();
    let acceptor =
        Acceptor::bind("test", "127.0.0.1:0".parse().unwrap(), limits, refusals(b"421 busy\r\n")).unwrap();
    let acceptor = acceptor.behind_balancers(move |address| address == balancer);
    let address = acceptor.address().unwrap();
    let (stopper, stop) = Stopper::new();
    tokio::spawn(acceptor.serve(stop, Duration::ZERO, |mut stream, peer: SocketAddr| async move {
        let _ = stream.write_all(format!("220 {}\r\n", peer.ip()).as_bytes()).await;
        let mut line = [0; 6];
        let _ = stream.read_exact(&mut line).await;
        let _ = stream.write_all(&line).await;
    }));
    (address, stopper)
}

async fn all_of(mut stream: TcpStream) -> String {
    let mut got = Vec::new();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut got).await;
    String::from_utf8(got).unwrap()
}

fn header_for(client: [u8; 4]) -> Vec<u8> {
    let rest = [&client[..], &[192, 0, 2, 1, 0x30, 0x39, 0, 25]].concat();
    [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..], &rest].concat()
}

#[tokio::test]
async fn a_balancer_conveys_the_address_and_nothing_of_the_client_is_lost() {
    let (address, _stopper) = behind("127.0.0.1", limits(9, 9)).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let octets = [&header_for([192, 0, 2, 7])[..], b"QUIT\r\n"].concat();
    stream.write_all(&octets).await.unwrap();
    assert_eq!(all_of(stream).await, "220 192.0.2.7\r\nQUIT\r\n");
}

#[tokio::test]
async fn a_balancer_without_a_header_gets_no_greeting() {
    let (address, _stopper) = behind("127.0.0.1", limits(9, 9)).await;
    for octets in [&b"EHLO a.example.net\r\n"[..], b"PROXY TCP4 192.0.2.7 192.0.2.1 1 25\r\n", b"\r\n\r\n\0x"]
    {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(octets).await.unwrap();
        assert_eq!(all_of(stream).await, "", "{octets:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_balancer_that_stays_silent_is_closed_in_time() {
    let (address, _stopper) = behind("127.0.0.1", limits(9, 9)).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"\r\n\r\n").await.unwrap();
    assert_eq!(all_of(stream).await, "");
}

#[tokio::test]
async fn others_cannot_claim_an_address() {
    let (address, _stopper) = behind("192.0.2.99", limits(9, 9)).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&header_for([192, 0, 2, 7])).await.unwrap();
    assert_eq!(all_of(stream).await, "220 127.0.0.1\r\n\r\n\r\n\0\r");
}

#[tokio::test]
async fn the_limit_by_address_is_that_of_the_conveyed_address() {
    let (address, _stopper) = behind("127.0.0.1", limits(9, 1)).await;
    let mut held = Vec::new();
    for (client, want) in [(7, "220"), (8, "220"), (7, "421")] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&header_for([192, 0, 2, client])).await.unwrap();
        let mut code = [0; 3];
        stream.read_exact(&mut code).await.unwrap();
        assert_eq!(code, want.as_bytes(), "{client}");
        held.push(stream);
    }
    // Health checks of the balancer itself do not count.
    for _ in 0..3 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0").await.unwrap();
        let mut code = [0; 13];
        stream.read_exact(&mut code).await.unwrap();
        assert_eq!(&code, b"220 127.0.0.1");
        held.push(stream);
    }
}
