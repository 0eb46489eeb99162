//! One client connection: drives the HTTP library, watches the connection behind, and closes well.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use pc_http::limits::{HEADER_OCTETS_MAX, REQUEST_LINE_OCTETS_MAX};
use pc_net::Stop;
use pc_telemetry::Event;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::access::Client;
use crate::answer::last_words;
use crate::body::ResponseBody;
use crate::exchange::Unanswered;
use crate::guard::{Guard, Timer, Wire};
use crate::limits::{LINGER_OCTETS_MAX, LINGER_TIMEOUT, REST_AFTER};
use crate::response::Hsts;

/// Serves requests by `answer` until the client, the connection behind (`poll_behind` is ready), or the process ends.
pub(crate) async fn converse<S, A, F>(
    stream: S,
    (client, wire): (&Client, Arc<Wire>),
    answer: A,
    poll_behind: impl Fn(&mut Context<'_>) -> Poll<()>,
    hsts: Option<Hsts>,
    mut stop: Stop,
) where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Fn(Request<Incoming>) -> F + Unpin,
    F: Future<Output = Result<Response<ResponseBody>, Unanswered>> + Unpin,
{
    let mut guard = Guard::new(stream, Arc::clone(&wire));
    let mut service = service_fn(answer);
    let outcome = {
        let mut stopped = pin!(stop.stopped());
        loop {
            match poll_fn(|context| poll_rest(&mut guard, stopped.as_mut(), &poll_behind, context)).await {
                Ok(Rest::Octets) => {}
                Ok(Rest::End) => break Ok(()),
                Err(error) => break Err(error),
            }
            // In its own room, which a connection that rests does not hold. The library's own limit of fields is 100, as is
            // the guard's; said here it would cost a buffer for each request.
            let mut connection = Box::new(
                http1::Builder::new()
                    .preserve_header_case(true)
                    .max_buf_size(REQUEST_LINE_OCTETS_MAX + HEADER_OCTETS_MAX)
                    .serve_connection(TokioIo::new(guard), service),
            );
            let (mut is_ending, mut silence) = (false, Silence::default());
            let outcome = poll_fn(|context| {
                if !is_ending && stopped.as_mut().poll(context).is_ready() {
                    is_ending = true;
                    Pin::new(&mut *connection).graceful_shutdown();
                }
                // The library would say farewell to TLS before the last words are said.
                if let Poll::Ready(outcome) = connection.poll_without_shutdown(context) {
                    return Poll::Ready(Some(outcome));
                }
                // After the requests, since one of them may have just opened it.
                if poll_behind(context).is_ready() {
                    is_ending = true;
                    Pin::new(&mut *connection).graceful_shutdown();
                    return connection.poll_without_shutdown(context).map(Some);
                }
                if !is_ending && silence.poll(&wire, context).is_ready() {
                    return Poll::Ready(None);
                }
                Poll::Pending
            })
            .await;
            let parts = connection.into_parts();
            (guard, service) = (parts.io.into_inner(), parts.service);
            match outcome {
                Some(outcome) => break outcome.map_err(io::Error::other),
                None => guard.give_back(&parts.read_buf),
            }
        }
    };
    let stream = guard.into_inner();
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
                Box::pin(close(stream, &words, Remainder::ReadAway)).await;
            }
        }
        // A request may have been answered before it had been read.
        (None, Ok(())) if wire.is_inside_request() => {
            Box::pin(close(stream, b"", Remainder::ReadAway)).await;
        }
        (None, Ok(())) => Box::pin(close(stream, b"", Remainder::None)).await,
        // Aborted or broken off: nothing is said.
        (None, Err(_)) => {}
    }
}

/// What ends the rest between two requests.
enum Rest {
    /// The client, the connection behind or the process has ended.
    End,
    /// A request has begun.
    Octets,
}

/// Waits for a request without the parser, whose buffers are most of what an idle connection would hold.
fn poll_rest<S: AsyncRead + Unpin>(
    guard: &mut Guard<S>,
    stopped: Pin<&mut impl Future<Output = ()>>,
    poll_behind: impl Fn(&mut Context<'_>) -> Poll<()>,
    context: &mut Context<'_>,
) -> Poll<io::Result<Rest>> {
    if stopped.poll(context).is_ready() {
        return Poll::Ready(Ok(Rest::End));
    }
    if let Poll::Ready(read) = guard.poll_octets(context) {
        return Poll::Ready(read.map(|has_some| if has_some { Rest::Octets } else { Rest::End }));
    }
    poll_behind(context).map(|()| Ok(Rest::End))
}

/// Finds out that nothing happens any more, at the cost of one timer for many requests.
#[derive(Default)]
struct Silence {
    timer: Timer,
    /// How many requests had come when the timer was set.
    begun: Option<u64>,
}

impl Silence {
    /// Ready when no request has come for a while and none is under way.
    fn poll(&mut self, wire: &Wire, context: &mut Context<'_>) -> Poll<()> {
        // Under a request the timer may run out; then it is looked at when that has ended.
        let Some(begun) = wire.silent_after() else { return Poll::Pending };
        let mut since = *self.begun.get_or_insert(begun);
        while self.timer.poll_after(REST_AFTER, context).is_ready() {
            if since == begun {
                return Poll::Ready(());
            }
            since = *self.begun.insert(begun);
            self.timer.disarm();
        }
        Poll::Pending
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
