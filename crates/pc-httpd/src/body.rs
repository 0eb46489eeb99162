//! Bodies in both directions: passed on frame by frame, counted, and never collected.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::time::{Sleep, sleep_until};

use crate::access::{Activity, Record};

/// Why a body ends before its time.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyFault {
    /// Neither side sent anything for too long.
    #[error("the exchange was silent for too long")]
    Idle,
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
    Client { incoming: Incoming, gate: Option<Arc<Gate>>, activity: Arc<Activity> },
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let Self::Client { incoming, gate, activity } = self.get_mut() else { return Poll::Ready(None) };
        if gate.as_ref().is_some_and(|gate| gate.poll_open(context).is_pending()) {
            return Poll::Pending;
        }
        poll_data(incoming, context, |octets| activity.sent(octets))
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
    Behind { incoming: Incoming, idle: Duration, timer: Option<Pin<Box<Sleep>>> },
    Own(Bytes),
}

impl ResponseBody {
    /// A text of ours.
    pub(crate) fn own(text: String, record: Record) -> Self {
        Self { content: Content::Own(text.into()), record }
    }

    /// A server's, in which nothing may happen for no longer than `idle`.
    pub(crate) fn behind(incoming: Incoming, idle: Duration, record: Record) -> Self {
        Self { content: Content::Behind { incoming, idle, timer: None }, record }
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
        let (incoming, idle, timer) = match content {
            Content::Own(octets) if octets.is_empty() => return Poll::Ready(None),
            Content::Own(octets) => {
                record.activity.received(octets.len());
                return Poll::Ready(Some(Ok(Frame::data(std::mem::take(octets)))));
            }
            Content::Behind { incoming, idle, timer } => (incoming, *idle, timer),
        };
        match poll_data(incoming, context, |octets| record.activity.received(octets)) {
            Poll::Pending => {}
            Poll::Ready(frame) => {
                *timer = None;
                if let Some(Err(_)) = &frame {
                    record.broke_off("behind_broke_off");
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
    count: impl Fn(usize),
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
