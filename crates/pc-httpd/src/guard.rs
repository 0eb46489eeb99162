//! # Purpose
//! The stream between a client and the HTTP parser: passes on only what `pc_http::framing` accepts, or for HTTP/2
//! `pc_http::frames`, and ends connections of clients that are too slow.
//!
//! # Trust
//! Every octet read is the client's.
//!
//! # Invariants
//! After a fault nothing more is read. Writing goes through unchanged.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use pc_http::frames::{Flood, Frames};
use pc_http::framing::{Framing, Position, Violation};
use pc_http::pace::{Exchange, Lapse, Pace};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::limits::{AHEAD_OCTETS, WRITE_TIMEOUT};

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Its frames cost too much.
    Flood(Flood),
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
            Self::Flood(flood) => flood.code(),
            Self::Lapse(lapse) => lapse.code(),
            Self::Stalled => "slow_reader",
            Self::Violation(violation) => violation.code(),
        }
    }

    /// Nothing was under way, and nothing came.
    pub(crate) fn is_idleness(self) -> bool {
        matches!(self, Self::Lapse(Lapse::NextRequest))
    }

    pub(crate) fn status(self) -> Option<u16> {
        match self {
            Self::Lapse(lapse) => lapse.status(),
            Self::Flood(_) | Self::Stalled => None,
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
    /// Requests that have come and not ended; in HTTP/1 one at most.
    open: usize,
    /// All that have come.
    begun: u64,
    /// The body of the one there is may pause.
    is_paused: bool,
    /// An answer has begun and has not ended.
    is_answering: bool,
    /// Octets were written and not flushed.
    is_writing: bool,
    position: Option<Position>,
    /// The reader, while it waits for as long as an answer takes.
    waiting: Option<Waker>,
    /// HTTP/2: no further requests are taken.
    is_leaving: bool,
    /// HTTP/2: the connection ends without another octet.
    is_cut: bool,
    /// HTTP/2: who drives the connection.
    driver: Option<Waker>,
    /// HTTP/2: since when parts of answers, by the number of their request, wait for the client to take them.
    untaken: BTreeMap<u64, Instant>,
}

impl Marks {
    fn exchange(&self) -> Exchange {
        match self.open {
            0 => Exchange::Absent,
            _ if self.is_paused => Exchange::Paused,
            _ => Exchange::Ordinary,
        }
    }

    fn wake_driver(&mut self) {
        if let Some(waker) = self.driver.take() {
            waker.wake();
        }
    }
}

impl Wire {
    fn marks(&self) -> MutexGuard<'_, Marks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request has come; with its number.
    pub(crate) fn begin(&self) -> u64 {
        let mut marks = self.marks();
        marks.open += 1;
        marks.begun += 1;
        marks.begun
    }

    /// Its body may pause.
    pub(crate) fn allow_pauses(&self) {
        self.marks().is_paused = true;
    }

    /// The header of an answer goes out.
    pub(crate) fn answer(&self) {
        self.marks().is_answering = true;
    }

    /// The request has been answered, or will not be.
    pub(crate) fn end(&self, number: u64) {
        let mut marks = self.marks();
        marks.open = marks.open.saturating_sub(1);
        marks.untaken.remove(&number);
        if marks.open == 0 {
            (marks.is_paused, marks.is_answering) = (false, false);
        }
        // The library does not read again by itself, and the next request has its own patience.
        if let Some(waker) = marks.waiting.take() {
            waker.wake();
        }
        marks.wake_driver();
    }

    /// How many requests are under way.
    pub(crate) fn open(&self) -> usize {
        self.marks().open
    }

    /// How many have come.
    pub(crate) fn begun(&self) -> u64 {
        self.marks().begun
    }

    /// No further requests are taken.
    pub(crate) fn leave(&self) {
        let mut marks = self.marks();
        if !marks.is_leaving {
            marks.is_leaving = true;
            marks.wake_driver();
        }
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.marks().is_leaving
    }

    /// The connection ends without another octet.
    pub(crate) fn cut(&self) {
        let mut marks = self.marks();
        marks.is_cut = true;
        marks.wake_driver();
    }

    /// Whether it has been cut; from here on `context` is woken when something changes.
    pub(crate) fn is_cut(&self, context: &Context<'_>) -> bool {
        let mut marks = self.marks();
        marks.driver = Some(context.waker().clone());
        marks.is_cut
    }

    /// A part of an answer was given to the library.
    pub(crate) fn offered(&self, number: u64) {
        self.marks().untaken.insert(number, Instant::now());
    }

    /// The library asks for the next: the part has gone out.
    pub(crate) fn taken(&self, number: u64) {
        self.marks().untaken.remove(&number);
    }

    /// Since when the client has taken nothing of some answer.
    pub(crate) fn untaken_since(&self) -> Option<Instant> {
        self.marks().untaken.values().min().copied()
    }

    pub(crate) fn stalled(&self) -> io::Error {
        self.fail(Fault::Stalled)
    }

    pub(crate) fn fault(&self) -> Option<Fault> {
        self.marks().fault
    }

    /// Whether an answer of ours would stand alone on the wire.
    pub(crate) fn is_quiet(&self) -> bool {
        let marks = self.marks();
        !marks.is_answering && !marks.is_writing
    }

    /// How many requests have come, if none is under way and all answers have gone out.
    pub(crate) fn silent_after(&self) -> Option<u64> {
        let marks = self.marks();
        let is_between = marks.position.is_none_or(|position| position == Position::BetweenRequests);
        let is_silent = is_between && marks.open == 0 && !marks.is_writing && marks.fault.is_none();
        is_silent.then_some(marks.begun)
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

/// What the octets are read as.
#[derive(Debug)]
enum Octets {
    Http1(Framing),
    Http2(Box<Frames>),
}

impl Octets {
    fn position(&self) -> Position {
        match self {
            Self::Http1(framing) => framing.position(),
            Self::Http2(frames) => frames.position(),
        }
    }

    /// Reads; whether anything of a request was among it.
    fn read(&mut self, octets: &[u8], now: Duration) -> Result<bool, Fault> {
        match self {
            Self::Http1(framing) => {
                framing.read(octets).map_err(Fault::Violation)?;
                Ok(true)
            }
            Self::Http2(frames) => {
                let before = (frames.heads(), frames.position());
                frames.read(octets, now).map_err(Fault::Flood)?;
                // Who only sends PING is idle.
                Ok(before != (frames.heads(), Position::BetweenRequests)
                    || frames.position() != Position::BetweenRequests)
            }
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Guard<S> {
    inner: S,
    /// Accepted octets that the parser has not had.
    ahead: Vec<u8>,
    octets: Octets,
    pace: Pace,
    began: Instant,
    reading: Timer,
    writing: Timer,
    wire: Arc<Wire>,
}

impl<S> Guard<S> {
    /// For HTTP/1.
    pub(crate) fn new(inner: S, wire: Arc<Wire>) -> Self {
        Self::reading(inner, wire, Octets::Http1(Framing::default()))
    }

    /// For HTTP/2.
    pub(crate) fn http2(inner: S, wire: Arc<Wire>) -> Self {
        Self::reading(inner, wire, Octets::Http2(Box::default()))
    }

    fn reading(inner: S, wire: Arc<Wire>, octets: Octets) -> Self {
        Self {
            inner,
            ahead: Vec::new(),
            octets,
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

    /// What a parser was given and has not read, for the next one.
    pub(crate) fn give_back(&mut self, octets: &[u8]) {
        self.ahead.splice(..0, octets.iter().copied());
    }

    /// Pending until the client has been silent for too long.
    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let exchange = self.wire.marks().exchange();
        let now = self.now();
        let Some((deadline, lapse)) = self.pace.deadline(self.octets.position(), exchange, now) else {
            self.wire.marks().waiting = Some(context.waker().clone());
            return Poll::Pending;
        };
        match (self.reading.poll_at(self.began + deadline, context), &self.octets, lapse) {
            (Poll::Pending, ..) => Poll::Pending,
            // It is told that it may go (GOAWAY).
            (Poll::Ready(()), Octets::Http2(_), Lapse::NextRequest) => {
                self.wire.leave();
                Poll::Pending
            }
            (Poll::Ready(()), ..) => Poll::Ready(self.wire.fail(Fault::Lapse(lapse))),
        }
    }

    /// Pending until the client has taken nothing for too long.
    fn poll_stall(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        self.writing.poll_after(WRITE_TIMEOUT, context).map(|()| self.wire.fail(Fault::Stalled))
    }
}

impl<S: AsyncRead + Unpin> Guard<S> {
    /// Waits for octets, which the parser then reads; whether there are any before the end.
    pub(crate) fn poll_octets(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.ahead.is_empty() {
            let mut octets = [0; AHEAD_OCTETS];
            let mut buffer = ReadBuf::new(&mut octets);
            ready!(Pin::new(&mut *self).poll_read(context, &mut buffer))?;
            self.ahead = buffer.filled().to_vec();
        }
        Poll::Ready(Ok(!self.ahead.is_empty()))
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
        if !this.ahead.is_empty() {
            let count = this.ahead.len().min(buffer.remaining());
            buffer.put_slice(this.ahead.get(..count).unwrap_or_default());
            this.ahead.drain(..count);
            if this.ahead.is_empty() {
                this.ahead = Vec::new();
            }
            return Poll::Ready(Ok(()));
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
        let (before, count, now) = (this.octets.position(), octets.len(), this.now());
        let is_of_request = match this.octets.read(octets, now) {
            Ok(is_of_request) => is_of_request,
            Err(fault) => {
                buffer.set_filled(filled);
                return Poll::Ready(Err(this.wire.fail(fault)));
            }
        };
        let after = this.octets.position();
        if is_of_request {
            this.pace.received(count, (before, after), now);
        }
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

/// A deadline that matters only while somebody waits.
#[derive(Debug, Default)]
pub(crate) struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    pub(crate) fn disarm(&mut self) {
        self.0 = None;
    }

    /// A deadline that only moves on costs nothing until an earlier one has passed: one timer serves many requests.
    pub(crate) fn poll_at(&mut self, deadline: Instant, context: &mut Context<'_>) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(sleep.as_mut().poll(context));
            if sleep.deadline() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }

    /// From the first call after [`Timer::disarm`].
    pub(crate) fn poll_after(&mut self, patience: Duration, context: &mut Context<'_>) -> Poll<()> {
        self.0.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + patience))).as_mut().poll(context)
    }
}

#[cfg(test)]
mod tests;
