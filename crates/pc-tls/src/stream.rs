//! # Purpose
//! Encrypted streams as types of ours, so that no other crate names the TLS library.
//!
//! # Trust
//! Plain text read from them is peer data.
//!
//! # Standards
//! RFC 8446 6.1: `poll_shutdown` sends close_notify; an end without one is reported as
//! `UnexpectedEof`, so that truncation is seen.
//!
//! # Invariants
//! The octets read while peeking at the hello reach the TLS library unchanged and once.
//!
//! # See also
//! `server`, `client`.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Whether keys were agreed anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// With certificate and key exchange.
    Full,
    /// From a ticket or session of an earlier connection to the same listener.
    Resumed,
}

impl Handshake {
    pub(crate) fn of(connection: &rustls::CommonState) -> Self {
        match connection.handshake_kind() {
            Some(rustls::HandshakeKind::Resumed) => Self::Resumed,
            _ => Self::Full,
        }
    }
}

/// The server's side of an encrypted connection over `S`.
#[derive(Debug)]
pub struct ServerStream<S>(pub(crate) tokio_rustls::server::TlsStream<Replayed<S>>);

impl<S> ServerStream<S> {
    /// The stream below.
    pub fn transport(&self) -> &S {
        &self.0.get_ref().0.inner
    }
}

/// The client's side of an encrypted connection over `S`.
#[derive(Debug)]
pub struct ClientStream<S>(pub(crate) tokio_rustls::client::TlsStream<S>);

impl<S> ClientStream<S> {
    /// The stream below.
    pub fn transport(&self) -> &S {
        self.0.get_ref().0
    }
}

/// Gives octets that were read ahead, then those of the stream.
#[derive(Debug)]
pub(crate) struct Replayed<S> {
    ahead: io::Cursor<Vec<u8>>,
    pub(crate) inner: S,
}

impl<S> Replayed<S> {
    pub(crate) fn new(ahead: Vec<u8>, inner: S) -> Self {
        Self { ahead: io::Cursor::new(ahead), inner }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Replayed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.get_ref().is_empty() {
            return Pin::new(&mut self.inner).poll_read(context, buffer);
        }
        // A cursor over octets in memory is always ready and never fails.
        let outcome = Pin::new(&mut self.ahead).poll_read(context, buffer);
        if self.ahead.position() >= u64::try_from(self.ahead.get_ref().len()).unwrap_or(u64::MAX) {
            self.ahead = io::Cursor::default();
        }
        outcome
    }
}

/// Hands writing through to one field.
macro_rules! write_through {
    ($stream:ident, $field:tt) => {
        impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for $stream<S> {
            fn poll_write(
                mut self: Pin<&mut Self>,
                context: &mut Context<'_>,
                octets: &[u8],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.$field).poll_write(context, octets)
            }

            fn poll_write_vectored(
                mut self: Pin<&mut Self>,
                context: &mut Context<'_>,
                slices: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.$field).poll_write_vectored(context, slices)
            }

            fn is_write_vectored(&self) -> bool {
                self.$field.is_write_vectored()
            }

            fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut self.$field).poll_flush(context)
            }

            fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut self.$field).poll_shutdown(context)
            }
        }
    };
}

write_through!(Replayed, inner);
write_through!(ServerStream, 0);
write_through!(ClientStream, 0);

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for ServerStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for ClientStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}
