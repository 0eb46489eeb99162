//! # Purpose
//! The stream between a client and the HTTP parser: passes on only what `pc_http::framing` accepts, and ends connections
//! of clients that are too slow.
//!
//! # Trust
//! Every octet read is the client's.
//!
//! # Invariants
//! After a fault nothing more is read. Writing goes through unchanged.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pc_http::framing::{Framing, Position, Violation};
use pc_http::pace::{Exchange, Lapse, Pace};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::limits::WRITE_TIMEOUT;

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It was too slow.
    Lapse(Lapse),
    /// It takes no answers.
    Stalled,
    /// Its octets have two readings.
    Violation(Violation),
}

impl Fault {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Lapse(lapse) => lapse.code(),
            Self::Stalled => "slow_reader",
            Self::Violation(violation) => violation.code(),
        }
    }

    pub(crate) fn status(self) -> Option<u16> {
        match self {
            Self::Lapse(lapse) => lapse.status(),
            Self::Stalled => None,
            Self::Violation(violation) => Some(violation.status()),
        }
    }
}

/// What the stream and the requests on it know of each other.
#[derive(Debug, Default)]
pub(crate) struct Wire(Mutex<Marks>);

#[derive(Debug, Default)]
struct Marks {
    fault: Option<Fault>,
    exchange: Option<Exchange>,
    /// An answer has begun and has not ended.
    is_answering: bool,
    /// Octets were written and not flushed.
    is_writing: bool,
    position: Option<Position>,
    /// The reader, while it waits for as long as an answer takes.
    waiting: Option<Waker>,
}

impl Wire {
    fn marks(&self) -> MutexGuard<'_, Marks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request has come.
    pub(crate) fn begin(&self) {
        self.marks().exchange = Some(Exchange::Ordinary);
    }

    /// Its body may pause.
    pub(crate) fn allow_pauses(&self) {
        self.marks().exchange = Some(Exchange::Paused);
    }

    /// The header of an answer goes out.
    pub(crate) fn answer(&self) {
        self.marks().is_answering = true;
    }

    /// The request has been answered, or will not be.
    pub(crate) fn end(&self) {
        let mut marks = self.marks();
        (marks.exchange, marks.is_answering) = (None, false);
        // The library does not read again by itself, and the next request has its own patience.
        if let Some(waker) = marks.waiting.take() {
            waker.wake();
        }
    }

    pub(crate) fn fault(&self) -> Option<Fault> {
        self.marks().fault
    }

    /// Whether an answer of ours would stand alone on the wire.
    pub(crate) fn is_quiet(&self) -> bool {
        let marks = self.marks();
        !marks.is_answering && !marks.is_writing
    }

    /// Whether octets of a request are still to come.
    pub(crate) fn is_inside_request(&self) -> bool {
        self.marks().position.is_some_and(|position| position != Position::BetweenRequests)
    }

    fn fail(&self, fault: Fault) -> io::Error {
        self.marks().fault.get_or_insert(fault);
        io::Error::other(fault.code())
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Guard<S> {
    inner: S,
    framing: Framing,
    pace: Pace,
    began: Instant,
    reading: Timer,
    writing: Timer,
    wire: Arc<Wire>,
}

impl<S> Guard<S> {
    pub(crate) fn new(inner: S, wire: Arc<Wire>) -> Self {
        Self {
            inner,
            framing: Framing::default(),
            pace: Pace::default(),
            began: Instant::now(),
            reading: Timer::default(),
            writing: Timer::default(),
            wire,
        }
    }

    pub(crate) fn into_inner(self) -> S {
        self.inner
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Pending until the client has been silent for too long.
    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let exchange = self.wire.marks().exchange.unwrap_or(Exchange::Absent);
        let now = self.now();
        let Some((deadline, lapse)) = self.pace.deadline(self.framing.position(), exchange, now) else {
            self.reading.disarm();
            self.wire.marks().waiting = Some(context.waker().clone());
            return Poll::Pending;
        };
        self.reading.poll_at(self.began + deadline, context).map(|()| self.wire.fail(Fault::Lapse(lapse)))
    }

    /// Pending until the client has taken nothing for too long.
    fn poll_stall(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        self.writing.poll_after(WRITE_TIMEOUT, context).map(|()| self.wire.fail(Fault::Stalled))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(fault) = this.wire.fault() {
            return Poll::Ready(Err(io::Error::other(fault.code())));
        }
        let filled = buffer.filled().len();
        match Pin::new(&mut this.inner).poll_read(context, buffer) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => return this.poll_silence(context).map(Err),
        }
        let octets = buffer.filled().get(filled..).unwrap_or_default();
        if octets.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let (before, count) = (this.framing.position(), octets.len());
        if let Err(violation) = this.framing.read(octets) {
            buffer.set_filled(filled);
            return Poll::Ready(Err(this.wire.fail(Fault::Violation(violation))));
        }
        let after = this.framing.position();
        let now = this.now();
        this.pace.received(count, (before, after), now);
        this.wire.marks().position = Some(after);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.wire.marks().is_writing = true;
        match Pin::new(&mut this.inner).poll_write(context, octets) {
            Poll::Pending => this.poll_stall(context).map(Err),
            written => {
                this.writing.disarm();
                written
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.inner).poll_flush(context) {
            Poll::Pending => this.poll_stall(context).map(Err),
            flushed => {
                this.writing.disarm();
                this.wire.marks().is_writing = false;
                flushed
            }
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.inner).poll_shutdown(context) {
            Poll::Pending => this.poll_stall(context).map(Err),
            shut => shut,
        }
    }
}

/// A deadline that is set only while somebody waits.
#[derive(Debug, Default)]
struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    fn disarm(&mut self) {
        self.0 = None;
    }

    fn poll_at(&mut self, deadline: Instant, context: &mut Context<'_>) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        sleep.as_mut().poll(context)
    }

    /// From the first call after [`Timer::disarm`].
    fn poll_after(&mut self, patience: Duration, context: &mut Context<'_>) -> Poll<()> {
        self.0.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + patience))).as_mut().poll(context)
    }
}

#[cfg(test)]
mod tests;
