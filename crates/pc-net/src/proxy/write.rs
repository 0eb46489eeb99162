//! The header that we put before a connection to a server behind.

use std::net::{IpAddr, SocketAddr};

use super::SIGNATURE;

/// What the header tells of the client's TLS, section 2.2.5.
#[derive(Clone, Copy, Debug)]
pub struct ProxyTls<'a> {
    /// `TLSv1.3`
    pub version: &'a str,
    /// The suite by OpenSSL's name.
    pub cipher: &'a str,
    /// The host name that the client asked for.
    pub authority: Option<&'a str>,
}

/// A header of version 2: `client` connected to `server`, which is ours.
pub fn proxy_header(client: SocketAddr, server: SocketAddr, tls: Option<ProxyTls<'_>>) -> Vec<u8> {
    let (family, mut rest) = addresses(client, server);
    if let Some(tls) = tls {
        if let Some(name) = tls.authority {
            extension(&mut rest, TYPE_AUTHORITY, name.as_bytes());
        }
        // The client spoke TLS and showed no certificate: nothing was verified.
        let mut content = vec![CLIENT_SSL, 0, 0, 0, 1];
        extension(&mut content, SUBTYPE_SSL_VERSION, tls.version.as_bytes());
        extension(&mut content, SUBTYPE_SSL_CIPHER, tls.cipher.as_bytes());
        extension(&mut rest, TYPE_SSL, &content);
    }
    let mut header = SIGNATURE.to_vec();
    header.extend([0x21, family]);
    header.extend(u16::try_from(rest.len()).unwrap_or(u16::MAX).to_be_bytes());
    header.extend(rest);
    header
}

/// A header of version 2 that conveys nobody: the connection is the sender's own (its text, 2.2: LOCAL).
pub(crate) fn local_header() -> Vec<u8> {
    [&SIGNATURE[..], &[0x20, 0x00, 0, 0]].concat()
}

const TYPE_AUTHORITY: u8 = 0x02;
const TYPE_SSL: u8 = 0x20;
const SUBTYPE_SSL_VERSION: u8 = 0x21;
const SUBTYPE_SSL_CIPHER: u8 = 0x23;
const CLIENT_SSL: u8 = 0x01;

/// Both addresses in one family: a balancer may have conveyed an IPv6 client over IPv4.
fn addresses(client: SocketAddr, server: SocketAddr) -> (u8, Vec<u8>) {
    let (from, to) = (client.ip().to_canonical(), server.ip().to_canonical());
    let (family, mut out) = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => (0x11, [from.octets(), to.octets()].concat()),
        (from, to) => (0x21, [mapped(from), mapped(to)].concat()),
    };
    out.extend(client.port().to_be_bytes());
    out.extend(server.port().to_be_bytes());
    (family, out)
}

fn mapped(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

fn extension(out: &mut Vec<u8>, kind: u8, content: &[u8]) {
    out.push(kind);
    out.extend(u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend(content);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::{ProxyHeader, ProxySource, read_proxy_header};

    #[test]
    fn a_connection_of_our_own_conveys_nobody() {
        assert_eq!(read_proxy_header(&local_header()), Ok(ProxyHeader::Complete(ProxySource::Sender)));
    }

    #[test]
    fn what_is_written_is_read_as_the_client() {
        let tls = ProxyTls {
            version: "TLSv1.3",
            cipher: "TLS_AES_256_GCM_SHA384",
            authority: Some("mail.example.org"),
        };
        for (client, server) in [
            ("192.0.2.1:4711", "192.0.2.2:993"),
            ("[2001:db8::1]:4711", "[2001:db8::2]:993"),
            ("[2001:db8::1]:4711", "192.0.2.2:993"),
        ] {
            let (client, server) = (client.parse().expect("an address"), server.parse().expect("an address"));
            for tls in [None, Some(tls)] {
                let header = proxy_header(client, server, tls);
                assert_eq!(
                    read_proxy_header(&header),
                    Ok(ProxyHeader::Complete(ProxySource::Client(client)))
                );
            }
        }
    }
}
