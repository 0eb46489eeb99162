//! Bodies in both directions: passed on frame by frame, counted, and never collected.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use pc_http::framing::Position;
use pc_http::pace::{Exchange, Pace};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::access::{Activity, Record};
use crate::guard::Timer;
use crate::links::Held;

/// Why a body ends before its time.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyFault {
    /// Neither side sent anything for too long.
    #[error("the exchange was silent for too long")]
    Idle,
    /// The client sends too slowly.
    #[error("the client was too slow")]
    Slow,
    /// The connection it comes by failed.
    #[error("the other side broke off")]
    BrokeOff(#[source] hyper::Error),
}

/// Holds a body back until the server has said 100.
#[derive(Debug, Default)]
pub(crate) struct Gate(Mutex<GateState>);

#[derive(Debug, Default)]
struct GateState {
    is_open: bool,
    waiting: Option<Waker>,
}

impl Gate {
    pub(crate) fn open(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_open = true;
        if let Some(waker) = state.waiting.take() {
            waker.wake();
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_open
    }

    pub(crate) fn poll_open(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_open {
            return Poll::Ready(());
        }
        state.waiting = Some(context.waker().clone());
        Poll::Pending
    }
}

/// A body on its way to a server.
#[derive(Debug)]
pub(crate) enum RequestBody {
    /// There is none.
    Empty,
    /// The client's.
    Client { incoming: Incoming, gate: Option<Arc<Gate>>, activity: Arc<Activity>, pace: Option<BodyPace> },
}

/// The patience with one body of HTTP/2; in HTTP/1 the guard has it.
#[derive(Debug)]
pub(crate) struct BodyPace {
    pace: Pace,
    began: Instant,
    timer: Timer,
}

impl BodyPace {
    pub(crate) fn new() -> Self {
        Self { pace: Pace::default(), began: Instant::now(), timer: Timer::default() }
    }

    fn received(&mut self, octets: usize) {
        self.timer.disarm();
        self.pace.received(octets, (Position::Body, Position::Body), self.began.elapsed());
    }

    /// Pending until the client has been silent for too long.
    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let now = self.began.elapsed();
        match self.pace.deadline(Position::Body, Exchange::Ordinary, now) {
            Some((deadline, _)) => self.timer.poll_at(self.began + deadline, context),
            None => Poll::Pending,
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let Self::Client { incoming, gate, activity, pace } = self.get_mut() else {
            return Poll::Ready(None);
        };
        if gate.as_ref().is_some_and(|gate| gate.poll_open(context).is_pending()) {
            return Poll::Pending;
        }
        let polled = poll_data(incoming, context, |octets| {
            activity.sent(octets);
            if let Some(pace) = pace {
                pace.received(octets);
            }
        });
        match &polled {
            Poll::Pending => {
                let lapsed = pace.as_mut().is_some_and(|pace| pace.poll_silence(context).is_ready());
                if lapsed {
                    activity.was_slow();
                    return Poll::Ready(Some(Err(BodyFault::Slow)));
                }
            }
            Poll::Ready(None) => activity.request_ended(),
            Poll::Ready(Some(Ok(_))) if incoming.is_end_stream() => activity.request_ended(),
            Poll::Ready(Some(_)) => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Client { incoming, .. } => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Client { incoming, .. } => incoming.size_hint(),
        }
    }
}

/// A body on its way to a client, and the record of its exchange, which ends with it.
#[derive(Debug)]
pub(crate) struct ResponseBody {
    content: Content,
    record: Record,
}

#[derive(Debug)]
enum Content {
    Behind { incoming: Incoming, idle: Duration, timer: Option<Pin<Box<Sleep>>>, held: Option<Held> },
    Own(Bytes),
}

impl ResponseBody {
    /// A text of ours.
    pub(crate) fn own(text: String, record: Record) -> Self {
        Self { content: Content::Own(text.into()), record }
    }

    /// A server's, in which nothing may happen for no longer than `idle`. With its end the connection behind that is `held`
    /// is free for the next stream.
    pub(crate) fn behind(incoming: Incoming, idle: Duration, record: Record, held: Option<Held>) -> Self {
        let mut held = held;
        if incoming.is_end_stream()
            && let Some(held) = held.take()
        {
            held.release(&record.activity);
        }
        Self { content: Content::Behind { incoming, idle, timer: None, held }, record }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let Self { content, record } = self.get_mut();
        record.wire.taken(record.number);
        let (incoming, idle, timer, held) = match content {
            Content::Own(octets) if octets.is_empty() => return Poll::Ready(None),
            Content::Own(octets) => {
                record.activity.received(octets.len());
                // A client of HTTP/2 may leave no room for it for ever.
                record.wire.offered(record.number);
                return Poll::Ready(Some(Ok(Frame::data(std::mem::take(octets)))));
            }
            Content::Behind { incoming, idle, timer, held } => (incoming, *idle, timer, held),
        };
        match poll_data(incoming, context, |octets| record.activity.received(octets)) {
            Poll::Pending => {}
            Poll::Ready(frame) => {
                *timer = None;
                match &frame {
                    Some(Err(_)) => record.broke_off("behind_broke_off"),
                    Some(Ok(_)) if held.is_some() => record.wire.offered(record.number),
                    _ => {}
                }
                if (frame.is_none() || incoming.is_end_stream())
                    && let Some(held) = held.take()
                {
                    held.release(&record.activity);
                }
                return Poll::Ready(frame);
            }
        }
        loop {
            // An upload beside the answer is activity as well.
            let silent_at = record.activity.silent_at(idle);
            let sleep = timer.get_or_insert_with(|| Box::pin(sleep_until(silent_at)));
            if sleep.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            if sleep.deadline() >= silent_at {
                record.broke_off("behind_silent");
                return Poll::Ready(Some(Err(BodyFault::Idle)));
            }
            sleep.as_mut().reset(silent_at);
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Behind { incoming, .. } => incoming.is_end_stream(),
            Content::Own(octets) => octets.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Behind { incoming, .. } => incoming.size_hint(),
            Content::Own(octets) => SizeHint::with_exact(octets.len() as u64),
        }
    }
}

/// The next data frame. Trailers are left out: nobody needs them in front of Exchange.
fn poll_data(
    incoming: &mut Incoming,
    context: &mut Context<'_>,
    mut count: impl FnMut(usize),
) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
    loop {
        match Pin::new(&mut *incoming).poll_frame(context) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(BodyFault::BrokeOff(error)))),
            Poll::Ready(Some(Ok(frame))) => {
                if let Ok(octets) = frame.into_data() {
                    count(octets.len());
                    return Poll::Ready(Some(Ok(Frame::data(octets))));
                }
            }
        }
    }
}
