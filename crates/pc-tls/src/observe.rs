//! # Purpose
//! Reads any client's hello, says what the standard would do with it, and closes: for ports that exist so that a client too
//! old for every other one is seen.
//!
//! # Trust
//! Anybody may connect. No key is used and no handshake begun; what is read is bounded by [`crate::limits`].
//!
//! # Standards
//! RFC 8446 6.2 (alerts), RFC 5246 E.2 (hellos in the format of SSL 2.0).
//!
//! # Invariants
//! The connection never comes up, whatever is offered.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::certificate::CertificateStore;
use crate::client_hello::{ClientHello, HelloProgress, HelloReader, HelloRefusal, ssl_v2};
use crate::limits::{READ_OCTETS, SSL_V2_OCTETS_MAX};
use crate::refusal::{Refusal, alert_record};
use crate::screen::screen;

/// What came.
#[derive(Debug)]
pub struct Observed {
    /// As far as one was read.
    pub hello: Option<Box<ClientHello>>,
    /// Why it would be refused; `None` for one that fits.
    pub refusal: Option<Refusal>,
}

/// Reads the hello within `deadline`, judges it as a listener with these certificates would, answers an alert, and closes.
pub async fn observe<S>(mut stream: S, certificates: &CertificateStore, deadline: Duration) -> Observed
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut observed = Observed { hello: None, refusal: None };
    let looking = async {
        match read(&mut stream).await {
            Ok(hello) => {
                observed.refusal = judge(&hello, certificates);
                observed.hello = Some(Box::new(hello));
            }
            Err(refusal) => observed.refusal = Some(refusal),
        }
        let _ = stream.write_all(&farewell(&observed)).await;
        let _ = stream.shutdown().await;
    };
    if timeout(deadline, looking).await.is_err() && observed.hello.is_none() {
        observed.refusal = Some(Refusal::Timeout);
    }
    observed
}

fn judge(hello: &ClientHello, certificates: &CertificateStore) -> Option<Refusal> {
    if hello.record_version == ssl_v2::SSL_V2 {
        return Some(Refusal::SslV2);
    }
    screen(hello, &certificates.loaded().key_kinds()).err()
}

async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Result<ClientHello, Refusal> {
    let mut reader = HelloReader::default();
    let mut raw = Vec::new();
    let mut buffer = [0; READ_OCTETS];
    loop {
        let octets = next(stream, &mut buffer).await?;
        if raw.len() <= SSL_V2_OCTETS_MAX {
            raw.extend_from_slice(octets);
        }
        match reader.push(octets) {
            HelloProgress::NeedMore => {}
            HelloProgress::Hello { hello, .. } => return Ok(*hello),
            HelloProgress::Refused(HelloRefusal::SslV2) => return read_ssl_v2(stream, raw).await,
            HelloProgress::Refused(refusal) => return Err(refusal.into()),
        }
    }
}

async fn read_ssl_v2<S: AsyncRead + Unpin>(stream: &mut S, mut raw: Vec<u8>) -> Result<ClientHello, Refusal> {
    let mut buffer = [0; READ_OCTETS];
    loop {
        match ssl_v2::record_octets(&raw) {
            Some(length) if length > SSL_V2_OCTETS_MAX => return Err(Refusal::SslV2),
            Some(length) => {
                if let Some(record) = raw.get(..length) {
                    return ssl_v2::parse(record).map_err(|_| Refusal::SslV2);
                }
            }
            None => {}
        }
        raw.extend_from_slice(next(stream, &mut buffer).await?);
    }
}

/// The next octets; a reset is as much a leaving as an end.
async fn next<'a, S: AsyncRead + Unpin>(stream: &mut S, buffer: &'a mut [u8]) -> Result<&'a [u8], Refusal> {
    let count = stream.read(buffer).await.unwrap_or(0);
    match buffer.get(..count) {
        Some(octets) if !octets.is_empty() => Ok(octets),
        _ => Err(Refusal::Closed),
    }
}

/// What is answered: the alert of the refusal, and `access_denied` to a client that fits, since it did nothing wrong.
fn farewell(observed: &Observed) -> Vec<u8> {
    let version = observed.hello.as_ref().map_or(0, |hello| hello.hello_version);
    match &observed.refusal {
        None => alert_record(version, ACCESS_DENIED).to_vec(),
        // SSL 2.0 has no alerts; its error is a record of three octets (draft-hickman-netscape-ssl 2.8).
        Some(Refusal::SslV2) if version < SSL_V3 => SSL_V2_NO_CIPHER.to_vec(),
        Some(Refusal::SslV2) => alert_record(version, PROTOCOL_VERSION).to_vec(),
        Some(refusal) => {
            refusal.alert().map(|alert| alert_record(version, alert).to_vec()).unwrap_or_default()
        }
    }
}

/// RFC 8446 6.
const ACCESS_DENIED: u8 = 49;
/// RFC 8446 6.
const PROTOCOL_VERSION: u8 = 70;
const SSL_V3: u16 = 0x0300;
/// Length 3, ERROR, NO-CIPHER-ERROR.
const SSL_V2_NO_CIPHER: [u8; 5] = [0x80, 3, 0, 0, 1];

#[cfg(test)]
mod tests;
