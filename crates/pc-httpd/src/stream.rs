//! One client connection in HTTP/2: drives the library, runs its streams, and sees to an end.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use pc_net::Stop;
use pc_telemetry::Event;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

use crate::access::Client;
use crate::body::ResponseBody;
use crate::exchange::Unanswered;
use crate::guard::{Guard, Timer, Wire};
use crate::limits::{
    CONNECTION_WINDOW_OCTETS, HEADER_LIST_OCTETS_MAX, HEADER_TABLE_OCTETS, LINGER_TIMEOUT, OWN_RESETS_MAX,
    PENDING_RESETS_MAX, PING_INTERVAL, PING_TIMEOUT, STREAM_SEND_OCTETS_MAX, STREAM_WINDOW_OCTETS,
    STREAMS_MAX, WRITE_TIMEOUT,
};

/// The streams of one connection; they end with it.
#[derive(Clone, Default)]
struct Streams(Arc<Mutex<JoinSet<()>>>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while streams.try_join_next().is_some() {}
        streams.spawn(stream);
    }
}

impl Streams {
    fn abort(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}

fn builder(streams: &Streams) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(streams.clone());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_LIST_OCTETS_MAX)
        .header_table_size(HEADER_TABLE_OCTETS)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(OWN_RESETS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_OCTETS)
        .initial_connection_window_size(CONNECTION_WINDOW_OCTETS)
        .max_send_buf_size(STREAM_SEND_OCTETS_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// Serves streams by `answer` until the client or the process ends. What they hold ends with it.
pub(crate) async fn converse_http2<S, A, F>(
    stream: S,
    (client, wire): (&Client, Arc<Wire>),
    answer: A,
    mut stop: Stop,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Fn(Request<Incoming>) -> F,
    F: Future<Output = Result<Response<ResponseBody>, Unanswered>> + Send + 'static,
{
    let streams = Streams::default();
    let guard = Guard::http2(stream, Arc::clone(&wire));
    let mut connection = builder(&streams).serve_connection(TokioIo::new(guard), service_fn(answer));
    {
        let mut stopped = pin!(stop.stopped());
        let (mut is_stopped, mut is_leaving) = (false, false);
        let (mut stall, mut farewell) = (Timer::default(), Timer::default());
        poll_fn(|context| {
            if !is_stopped && stopped.as_mut().poll(context).is_ready() {
                is_stopped = true;
                wire.leave();
            }
            loop {
                // Before the library writes what it would say of it.
                if wire.is_cut(context) {
                    return Poll::Ready(());
                }
                let was_leaving = is_leaving;
                if wire.is_leaving() && !is_leaving {
                    is_leaving = true;
                    Pin::new(&mut connection).graceful_shutdown();
                }
                // How it ends is known by the guard, or does not matter.
                if Pin::new(&mut connection).poll(context).is_ready() {
                    return Poll::Ready(());
                }
                if was_leaving == is_leaving && wire.is_leaving() == is_leaving {
                    break;
                }
            }
            match wire.untaken_since() {
                Some(since) if stall.poll_at(since + WRITE_TIMEOUT, context).is_ready() => {
                    let _ = wire.stalled();
                    return Poll::Ready(());
                }
                Some(_) => {}
                None => stall.disarm(),
            }
            // A client that does not answer the last PING is not waited for.
            if is_leaving && wire.open() == 0 {
                return farewell.poll_after(LINGER_TIMEOUT, context);
            }
            farewell.disarm();
            Poll::Pending
        })
        .await;
    }
    drop(connection);
    streams.abort();
    if let Some(fault) = wire.fault() {
        let Client { listener, address, ja4, .. } = client;
        Event::WebRejected { listener, address: *address, client: ja4, code: fault.code() }.emit();
    }
}

#[cfg(test)]
mod tests;
