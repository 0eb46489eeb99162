//! One client connection: drives the HTTP library, watches the connection behind, and closes well.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use pc_http::disclosure::StrictTransportSecurity;
use pc_http::limits::{FIELDS_MAX, HEADER_OCTETS_MAX, REQUEST_LINE_OCTETS_MAX};
use pc_net::Stop;
use pc_telemetry::Event;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::access::Client;
use crate::answer::last_words;
use crate::body::ResponseBody;
use crate::exchange::Unanswered;
use crate::guard::{Guard, Wire};
use crate::limits::{LINGER_OCTETS_MAX, LINGER_TIMEOUT};

/// Serves requests by `answer` until the client, the connection behind (`poll_behind` is ready), or the process ends.
pub(crate) async fn converse<S, A, F>(
    stream: S,
    (client, wire): (&Client, Arc<Wire>),
    answer: A,
    poll_behind: impl Fn(&mut Context<'_>) -> Poll<()>,
    hsts: Option<StrictTransportSecurity>,
    mut stop: Stop,
) where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Fn(Request<Incoming>) -> F + Unpin,
    F: Future<Output = Result<Response<ResponseBody>, Unanswered>> + Unpin,
{
    let guard = Guard::new(stream, Arc::clone(&wire));
    let mut connection = http1::Builder::new()
        .preserve_header_case(true)
        .max_headers(FIELDS_MAX)
        .max_buf_size(REQUEST_LINE_OCTETS_MAX + HEADER_OCTETS_MAX)
        .serve_connection(TokioIo::new(guard), service_fn(answer));
    let outcome = {
        let mut stopped = pin!(stop.stopped());
        let mut is_ending = false;
        poll_fn(|context| {
            if !is_ending && stopped.as_mut().poll(context).is_ready() {
                is_ending = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
            // The library would say farewell to TLS before the last words are said.
            if let Poll::Ready(outcome) = connection.poll_without_shutdown(context) {
                return Poll::Ready(outcome);
            }
            // After the requests, since one of them may have just opened it.
            if poll_behind(context).is_ready() {
                is_ending = true;
                Pin::new(&mut connection).graceful_shutdown();
                return connection.poll_without_shutdown(context);
            }
            Poll::Pending
        })
        .await
    };
    let stream = connection.into_parts().io.into_inner().into_inner();
    let fault = wire.fault();
    if let Some(fault) = fault {
        let Client { listener, address, ja4, .. } = client;
        Event::WebRejected { listener, address: *address, client: ja4, code: fault.code() }.emit();
    }
    let words = match fault {
        Some(fault) if wire.is_quiet() => fault.status().map(|status| last_words(status, hsts.as_ref())),
        _ => None,
    };
    match (fault, outcome) {
        (Some(_), _) => {
            if let Some(words) = words {
                close(stream, &words, Remainder::ReadAway).await;
            }
        }
        // A request may have been answered before it had been read.
        (None, Ok(())) if wire.is_inside_request() => close(stream, b"", Remainder::ReadAway).await,
        (None, Ok(())) => close(stream, b"", Remainder::None).await,
        // Aborted or broken off: nothing is said.
        (None, Err(_)) => {}
    }
}

/// What may still come from a client that has got its answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Remainder {
    None,
    ReadAway,
}

async fn close<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, words: &[u8], remainder: Remainder) {
    let write = async {
        stream.write_all(words).await?;
        stream.shutdown().await
    };
    if let (Ok(Ok(())), Remainder::ReadAway) = (timeout(LINGER_TIMEOUT, write).await, remainder) {
        linger(stream).await;
    }
}

/// Reads on for a moment: closing with octets unread resets the connection, and the client may then not get to read what
/// was said (RFC 9112 9.6).
async fn linger<S: AsyncRead + Unpin>(mut stream: S) {
    let read = async {
        let mut buffer = [0; 4096];
        let mut left = LINGER_OCTETS_MAX;
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            left = left.saturating_sub(count);
            if left == 0 {
                return;
            }
        }
    };
    let _ = timeout(LINGER_TIMEOUT, read).await;
}

#[cfg(test)]
mod tests;
