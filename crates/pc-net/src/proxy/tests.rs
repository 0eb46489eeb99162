use super::*;

/// A header with this command, family and rest.
fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[command, family], &length, rest].concat()
}

fn ipv4(extensions: &[u8]) -> Vec<u8> {
    let addresses = [192, 0, 2, 7, 192, 0, 2, 1, 0x30, 0x39, 0, 25];
    header(0x21, 0x11, &[&addresses[..], extensions].concat())
}

fn client(text: &str) -> Result<ProxyHeader, ProxyFault> {
    Ok(ProxyHeader::Complete(ProxySource::Client(text.parse().unwrap())))
}

const SENDER: Result<ProxyHeader, ProxyFault> = Ok(ProxyHeader::Complete(ProxySource::Sender));

#[test]
fn the_conveyed_address_is_read() {
    assert_eq!(read_proxy_header(&ipv4(b"")), client("192.0.2.7:12345"));
    let source: Ipv6Addr = "2001:db8::7".parse().unwrap();
    let rest = [&source.octets()[..], &[0; 16], &[0x30, 0x39, 0, 25]].concat();
    assert_eq!(read_proxy_header(&header(0x21, 0x21, &rest)), client("[2001:db8::7]:12345"));
}

#[test]
fn a_mapped_address_is_the_ipv4_address_it_means() {
    let source: Ipv6Addr = "::ffff:192.0.2.7".parse().unwrap();
    let rest = [&source.octets()[..], &[0; 16], &[0x30, 0x39, 0, 25]].concat();
    assert_eq!(read_proxy_header(&header(0x21, 0x21, &rest)), client("192.0.2.7:12345"));
}

#[test]
fn health_checks_and_unnamed_clients_have_the_real_address() {
    assert_eq!(read_proxy_header(&header(0x20, 0x00, b"")), SENDER);
    assert_eq!(read_proxy_header(&header(0x20, 0xFF, b"anything")), SENDER);
    assert_eq!(read_proxy_header(&header(0x21, 0x00, b"")), SENDER);
}

#[test]
fn extensions_are_skipped_and_octets_behind_the_header_are_not_looked_at() {
    let mut octets = ipv4(&[&b"\x02\x00\x10mail.example.org"[..], b"\x04\x00\x00"].concat());
    octets.extend_from_slice(b"EHLO mail.example.net\r\n");
    assert_eq!(read_proxy_header(&octets), client("192.0.2.7:12345"));
}

#[test]
fn a_checksum_is_checked_where_it_stands() {
    // The check value of CRC-32C for the digits 1 to 9.
    assert_eq!(crc32c_without(b"123456789", 100), 0xE306_9283);
    let mut octets = ipv4(b"\x04\x00\x01x\x03\x00\x04\0\0\0\0");
    let at = octets.len() - 4;
    let sum = crc32c_without(&octets, at);
    octets.splice(at.., sum.to_be_bytes());
    assert_eq!(read_proxy_header(&octets), client("192.0.2.7:12345"));
    octets[18] ^= 1;
    assert_eq!(read_proxy_header(&octets), Err(ProxyFault::Checksum));
}

#[test]
fn what_is_no_header_is_refused_with_its_first_octets() {
    for (octets, fault) in [
        (&b"EHLO mail.example.net\r\n"[..], ProxyFault::Missing),
        (b"E", ProxyFault::Missing),
        // Version 1.
        (b"PROXY TCP4 192.0.2.7 192.0.2.1 12345 25\r\n", ProxyFault::Missing),
        (b"\x16\x03\x01", ProxyFault::Missing),
        (b"\r\n\r\n\0\r\nQUIT\n\x11\x11\0\0", ProxyFault::Malformed),
        (b"\r\n\r\n\0\r\nQUIT\n\x22\x11\0\0", ProxyFault::Malformed),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x04abcd", ProxyFault::Malformed),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\0", ProxyFault::Family),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x31\0\0", ProxyFault::Family),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff", ProxyFault::TooLong),
    ] {
        assert_eq!(read_proxy_header(octets), Err(fault), "{octets:?}");
    }
    for extensions in [&b"\x04"[..], b"\x04\x00", b"\x04\x00\x02x", b"\x03\x00\x02xx"] {
        assert_eq!(read_proxy_header(&ipv4(extensions)), Err(ProxyFault::Malformed), "{extensions:?}");
    }
    let nobody = header(0x21, 0x11, &[0; 12]);
    assert_eq!(read_proxy_header(&nobody), Err(ProxyFault::Family));
}

#[test]
fn no_header_is_longer_than_the_limit() {
    let padding = |octets: usize| {
        let length = u16::try_from(octets).unwrap().to_be_bytes();
        [&[0x04], &length[..], &vec![b'x'; octets]].concat()
    };
    let most = PROXY_REST_OCTETS_MAX - 12 - 3;
    assert_eq!(read_proxy_header(&ipv4(&padding(most))), client("192.0.2.7:12345"));
    assert_eq!(read_proxy_header(&ipv4(&padding(most + 1))), Err(ProxyFault::TooLong));
}

/// xorshift64*, so that a failure can be seen again.
struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn octet(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }
}

#[test]
fn any_octets_have_one_meaning_however_they_are_cut() {
    let mut seeded = Seeded(0x5eed_0042);
    for _ in 0..5_000 {
        let mut octets = match seeded.next() % 3 {
            0 => (0..seeded.next() % 64).map(|_| seeded.octet()).collect(),
            1 => ipv4(b"\x04\x00\x01x\x03\x00\x04\0\0\0\0"),
            _ => {
                let rest: Vec<u8> = (0..seeded.next() % 80).map(|_| seeded.octet() % 5).collect();
                header(0x20 + seeded.octet() % 3, [0x11, 0x21, 0x00][usize::from(seeded.octet() % 3)], &rest)
            }
        };
        for _ in 0..seeded.next() % 3 {
            if !octets.is_empty() {
                let at = usize::try_from(seeded.next()).unwrap() % octets.len();
                octets[at] = seeded.octet();
            }
        }
        proxy_invariants(&octets);
    }
}

#[test]
fn the_corpus_keeps_the_invariants() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/proxy");
    let mut replayed = 0;
    for entry in std::fs::read_dir(corpus).unwrap() {
        proxy_invariants(&std::fs::read(entry.unwrap().path()).unwrap());
        replayed += 1;
    }
    assert!(replayed >= 6, "the corpus is gone");
}
