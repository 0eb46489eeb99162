use tokio::io::AsyncReadExt;

use super::*;
use crate::Stopper;

fn limits(connections_max: usize, connections_per_address_max: usize) -> AcceptLimits {
    AcceptLimits { connections_max, connections_per_address_max }
}

#[test]
fn seats_are_counted_by_address_and_given_back() {
    let counts = Arc::new(Counts::default());
    let first: IpAddr = "192.0.2.1".parse().unwrap();
    let second: IpAddr = "192.0.2.2".parse().unwrap();
    let seat = counts.take(first, limits(2, 1)).ok().unwrap();
    assert_eq!(counts.take(first, limits(2, 1)).err(), Some("connections_per_address_max"));
    let other = counts.take(second, limits(2, 1)).ok().unwrap();
    assert_eq!(counts.take(second, limits(2, 5)).err(), Some("connections_max"));
    drop((seat, other));
    assert!(counts.take(first, limits(1, 1)).is_ok());
    assert!(counts.0.lock().unwrap().by_network.is_empty(), "no address is kept after its last connection");
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
        Acceptor::bind("test", "127.0.0.1:0".parse().unwrap(), limits(10, 10), b"421\r\n").unwrap();
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
        Acceptor::bind("test", "127.0.0.1:0".parse().unwrap(), limits(1, 1), b"421 busy\r\n").unwrap();
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
