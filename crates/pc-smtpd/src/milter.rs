//! # Purpose
//! Asks content scanners about each message, between the end of data and hand-over: one connection
//! and one conversation per message and milter, so that nothing said about one message can be taken
//! for a word about another.
//!
//! # Trust
//! A milter is the operator's and local; `pc-milter` bounds and checks its octets all the same. What
//! is bounded here is its time: each reply, all of a message's scanning, and how many messages
//! one milter has at once.
//!
//! # Standards
//! See `pc-milter`. The whole conversation happens at the end of data: nothing of a message is passed
//! on before, and half a conversation would hold a connection for a client that never ends.
//!
//! # Invariants
//! Fails deferred: without a verdict the message gets 451, unless the operator chose `accept` for
//! that milter, which is told in an event and in the message. Being busy is no failure of the
//! milter, nor is a disk or a lack of file handles of ours, and a client could bring them about: they defer
//! always. A milter is given the fields
//! and the body that the server behind gets; what cannot be given so is refused. Every milter is told of the same
//! message; changes are made when all of them have let it pass.
//!
//! # See also
//! `transaction`, which calls [`Scan::run`]; `limits::SCAN_TIMEOUT`.

use std::future::poll_fn;
use std::io::Read;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use pc_milter::limits::BODY_CHUNK_OCTETS_MAX;
use pc_milter::{
    BodyChunk, Conversation, Effect, Input, Modifications, Transaction as Told, Unscannable, Verdict,
};
use pc_smtp::header::{Field, Screened};
use pc_smtp::{EnhancedCode, Envelope, Reply};
use pc_telemetry::Event;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

use crate::connection::Peer;
use crate::edge::Edge;
use crate::limits::{
    MILTER_CONNECT_TIMEOUT, MILTER_CONVERSATIONS_MAX, MILTER_SEAT_TIMEOUT, READ_OCTETS, SCAN_TIMEOUT,
};
use crate::message::MessageBuffer;

/// Where and how to reach a milter.
#[derive(Clone, Debug)]
pub struct MilterSettings {
    /// For logs, and for the field of messages that were not scanned.
    pub name: String,
    /// Where it listens.
    pub address: MilterAddress,
    /// For one reply; progress begins it anew.
    pub timeout: Duration,
    /// What becomes of mail without a verdict.
    pub on_failure: OnFailure,
}

/// Where a milter listens.
#[derive(Clone, Debug)]
pub enum MilterAddress {
    /// Host name or address literal, and port.
    Tcp(String, u16),
    /// A socket's path.
    Unix(PathBuf),
}

/// What becomes of mail that a milter gives no verdict on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// It goes on unscanned, with a field that says so.
    Accept,
    /// 451.
    Defer,
}

impl OnFailure {
    fn code(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Defer => "defer",
        }
    }
}

/// A milter with its seats.
#[derive(Debug)]
pub struct Milter {
    settings: MilterSettings,
    seats: Semaphore,
}

/// A message on its way to the milters.
pub(crate) struct Scan<'a> {
    pub(crate) trace_id: &'a str,
    pub(crate) peer: &'a Peer,
    pub(crate) greeting_name: &'a str,
    pub(crate) envelope: &'a Envelope,
}

/// Why there is no verdict.
#[derive(Debug)]
struct Failure {
    code: &'static str,
    detail: String,
}

impl Failure {
    fn new(code: &'static str, detail: impl ToString) -> Self {
        Self { code, detail: detail.to_string() }
    }

    /// Whether it is none of the milter's: it may have been asked by too many at once, or not at all.
    fn is_ours(&self) -> bool {
        [BUSY, EXHAUSTED, TEMPORARY_FILE].contains(&self.code)
    }
}

impl Scan<'_> {
    /// Asks all milters. Returns the fields to put before the message; changes of its own fields are
    /// made in `screened`.
    ///
    /// # Errors
    /// The reply to give to a message that may not go on.
    pub(crate) async fn run(
        &self,
        edge: &Edge,
        screened: &mut Screened,
        message: &mut MessageBuffer,
    ) -> Result<Vec<u8>, Reply> {
        if edge.settings.milters.is_empty() {
            return Ok(Vec::new());
        }
        let told = self.told(edge, screened, message.head()).map_err(unscannable_reply)?;
        let deadline = Instant::now() + SCAN_TIMEOUT;
        let mut fields = Vec::new();
        let mut passed = Vec::new();
        for milter in &edge.settings.milters {
            match milter.ask(&told, screened, message, deadline).await {
                Ok(verdict) => passed.push(self.answered(milter, verdict)?),
                Err(failure) => fields.extend(self.failed(milter, &failure)?),
            }
        }
        let head = message.head();
        let own: Vec<Field<'_>> = screened.fields(head).collect();
        for modifications in passed {
            fields.extend(apply(modifications, &own, screened));
        }
        Ok(fields)
    }

    fn told(&self, edge: &Edge, screened: &Screened, head: &[u8]) -> Result<Told, Unscannable> {
        let node_name = edge.settings.node_name.to_string();
        let mut told =
            Told::new(node_name, self.trace_id.to_owned(), self.peer.address, self.greeting_name.to_owned());
        told.tls = self.peer.tls.map(|(version, suite)| (version.to_owned(), suite.to_owned()));
        told.reverse_path = self.envelope.reverse_path.to_string();
        told.forward_paths =
            self.envelope.recipients.iter().map(|recipient| recipient.forward_path.to_string()).collect();
        for field in screened.fields(head) {
            told.field(field.name, field.value)?;
        }
        Ok(told)
    }

    fn answered(&self, milter: &Milter, verdict: Verdict) -> Result<Modifications, Reply> {
        let code = verdict.code();
        let answer = verdict.into_modifications();
        let reply = answer.as_ref().err().map_or_else(String::new, Reply::summary);
        let (trace_id, milter) = (self.trace_id, milter.settings.name.as_str());
        Event::MilterAnswered { trace_id, milter, code, reply: &reply }.emit();
        answer
    }

    /// The field of a message that goes on unscanned, or the reply to one that does not.
    fn failed(&self, milter: &Milter, failure: &Failure) -> Result<Vec<u8>, Reply> {
        let settings = &milter.settings;
        // A client that sends enough at once must not get its mail past the scanner.
        let action = if failure.is_ours() { OnFailure::Defer } else { settings.on_failure };
        Event::MilterFailed {
            trace_id: self.trace_id,
            milter: &settings.name,
            code: failure.code,
            action: action.code(),
            error: &failure.detail,
        }
        .emit();
        match action {
            OnFailure::Accept => {
                Ok(format!("X-Portcullis-Scan: skipped; milter={}\r\n", settings.name).into_bytes())
            }
            OnFailure::Defer => {
                let text = "the content scanner is not available, please try again";
                Err(Reply::new(451, EnhancedCode(4, 7, 1), text))
            }
        }
    }
}

impl Milter {
    /// A milter, not yet connected to.
    pub fn new(settings: MilterSettings) -> Self {
        Self { settings, seats: Semaphore::new(MILTER_CONVERSATIONS_MAX) }
    }

    /// Has it look at a small message: whether it would give verdicts now. Returns the verdict.
    ///
    /// # Errors
    /// One sentence with what went wrong.
    pub async fn probe(&self, node_name: &str) -> Result<&'static str, String> {
        let address = std::net::Ipv4Addr::LOCALHOST.into();
        let mut told = Told::new(node_name.to_owned(), "doctor".to_owned(), address, node_name.to_owned());
        told.forward_paths.push(format!("postmaster@{node_name}"));
        let body = Body { head: b"Only a test.\r\n", rest: None, buffer: Vec::new() };
        match timeout(SCAN_TIMEOUT, self.talk(&told, body)).await {
            Ok(Ok(verdict)) => Ok(verdict.code()),
            Ok(Err(failure)) => Err(format!("{}: {}", failure.code, failure.detail)),
            Err(_) => Err("timeout: no verdict".to_owned()),
        }
    }

    async fn ask(
        &self,
        told: &Told,
        screened: &Screened,
        message: &mut MessageBuffer,
        deadline: Instant,
    ) -> Result<Verdict, Failure> {
        let seat_deadline = deadline.min(Instant::now() + MILTER_SEAT_TIMEOUT);
        let Ok(Ok(_seat)) = timeout_at(seat_deadline, self.seats.acquire()).await else {
            return Err(Failure::new(BUSY, "all conversations with it are in use"));
        };
        let body = Body::new(screened, message)?;
        match timeout_at(deadline, self.talk(told, body)).await {
            Ok(verdict) => verdict,
            Err(_) => Err(Failure::new("timeout", "no verdict in the time that a message has")),
        }
    }

    async fn talk(&self, told: &Told, body: Body<'_>) -> Result<Verdict, Failure> {
        let patience = self.settings.timeout;
        match &self.settings.address {
            MilterAddress::Tcp(host, port) => {
                let stream = connected(patience, TcpStream::connect((host.as_str(), *port))).await?;
                // Packets are small and wait for replies.
                let _ = stream.set_nodelay(true);
                converse(stream, told.clone(), body, patience).await
            }
            MilterAddress::Unix(path) => {
                let stream = connected(patience, UnixStream::connect(path)).await?;
                converse(stream, told.clone(), body, patience).await
            }
        }
    }
}

async fn connected<S>(
    patience: Duration,
    connecting: impl Future<Output = std::io::Result<S>>,
) -> Result<S, Failure> {
    match timeout(patience.min(MILTER_CONNECT_TIMEOUT), connecting).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) if pc_net::has_run_out(&error) => Err(Failure::new(EXHAUSTED, error)),
        Ok(Err(error)) => Err(Failure::new("connect", error)),
        Err(_) => Err(Failure::new("connect", "no answer in time")),
    }
}

/// One conversation over a connection of its own.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    told: Told,
    mut body: Body<'_>,
    patience: Duration,
) -> Result<Verdict, Failure> {
    let (mut conversation, mut effects) = Conversation::open(told);
    let mut buffer = vec![0; READ_OCTETS];
    let mut reply_deadline = Instant::now() + patience;
    loop {
        let mut wants_body = false;
        // The end comes last. What is sent before it is a farewell that changes nothing.
        let end = match effects.pop() {
            Some(Effect::End(end)) => Some(end),
            other => {
                effects.extend(other);
                None
            }
        };
        for effect in effects {
            match effect {
                Effect::Send(octets) => {
                    let sent = send(&mut stream, &octets, patience).await;
                    if end.is_none() {
                        sent?;
                    }
                    reply_deadline = Instant::now() + patience;
                }
                Effect::Progress => reply_deadline = Instant::now() + patience,
                Effect::WantBody => wants_body = true,
                Effect::End(_) => {}
            }
        }
        if let Some(end) = end {
            return end.map_err(|fault| Failure::new(fault.code(), fault));
        }
        let input = if wants_body {
            match unasked(&mut stream, &mut buffer).await {
                Some(read) => Input::Octets(read?),
                None => body.next_chunk()?.map_or(Input::EndOfBody, Input::Body),
            }
        } else {
            match timeout_at(reply_deadline, stream.read(&mut buffer)).await {
                Ok(Ok(0)) => return Err(closed()),
                Ok(Ok(count)) => Input::Octets(buffer.get(..count).unwrap_or_default()),
                Ok(Err(error)) => return Err(Failure::new("read", error)),
                Err(_) => return Err(Failure::new("timeout", "no reply in time")),
            }
        };
        (conversation, effects) = conversation.handle(input);
    }
}

async fn send<S: AsyncWrite + Unpin>(
    stream: &mut S,
    octets: &[u8],
    patience: Duration,
) -> Result<(), Failure> {
    let write = async {
        stream.write_all(octets).await?;
        stream.flush().await
    };
    match timeout(patience, write).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Failure::new("write", error)),
        Err(_) => Err(Failure::new("timeout", "it did not read in time")),
    }
}

/// What the milter said while nothing was asked; one poll, without waiting.
async fn unasked<'b, S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &'b mut [u8],
) -> Option<Result<&'b [u8], Failure>> {
    let mut into = ReadBuf::new(buffer);
    let polled = poll_fn(|context| {
        Poll::Ready(match Pin::new(&mut *stream).poll_read(context, &mut into) {
            Poll::Ready(read) => Some(read),
            Poll::Pending => None,
        })
    })
    .await?;
    let count = into.filled().len();
    Some(match polled {
        Ok(()) if count == 0 => Err(closed()),
        Ok(()) => Ok(buffer.get(..count).unwrap_or_default()),
        Err(error) => Err(Failure::new("read", error)),
    })
}

fn closed() -> Failure {
    Failure::new("closed", "it closed the connection without a verdict")
}

/// The body of a message, chunk by chunk.
struct Body<'a> {
    head: &'a [u8],
    rest: Option<&'a mut std::fs::File>,
    buffer: Vec<u8>,
}

impl<'a> Body<'a> {
    fn new(screened: &Screened, message: &'a mut MessageBuffer) -> Result<Self, Failure> {
        let (head, rest) = message.parts().map_err(local)?;
        Ok(Self { head: screened.body(head), rest, buffer: Vec::new() })
    }

    fn next_chunk(&mut self) -> Result<Option<BodyChunk<'_>>, Failure> {
        if !self.head.is_empty() {
            let length = self.head.len().min(BODY_CHUNK_OCTETS_MAX);
            let (chunk, rest) = self.head.split_at_checked(length).unwrap_or_default();
            self.head = rest;
            return Ok(BodyChunk::divide(chunk).next());
        }
        let Some(rest) = &mut self.rest else { return Ok(None) };
        self.buffer.resize(BODY_CHUNK_OCTETS_MAX, 0);
        let count = rest.read(&mut self.buffer).map_err(local)?;
        Ok(BodyChunk::divide(self.buffer.get(..count).unwrap_or_default()).next())
    }
}

fn local(error: std::io::Error) -> Failure {
    Failure::new(TEMPORARY_FILE, error)
}

/// Makes the changes of one milter; returns the fields that go before the message.
fn apply(modifications: Modifications, own: &[Field<'_>], screened: &mut Screened) -> Vec<u8> {
    let mut before = Vec::new();
    for field in modifications.added {
        before.extend_from_slice(field.octets());
    }
    for change in modifications.changed {
        let replacement = change.replacement.map(|field| field.octets().to_vec());
        let nth = change.index.saturating_sub(1);
        match own.iter().filter(|field| field.is(&change.name)).nth(nth) {
            Some(field) => screened.change(field, replacement),
            // libmilter: a field beyond the last is added.
            None => before.extend(replacement.unwrap_or_default()),
        }
    }
    before
}

fn unscannable_reply(unscannable: Unscannable) -> Reply {
    let text = unscannable.to_string();
    match unscannable {
        Unscannable::HeaderNul => Reply::new(550, EnhancedCode(5, 6, 0), text),
        Unscannable::HeaderTooLarge => Reply::new(552, EnhancedCode(5, 3, 4), text),
    }
}

const BUSY: &str = "busy";
const EXHAUSTED: &str = "exhausted";
const TEMPORARY_FILE: &str = "temporary_file";

#[cfg(test)]
mod tests;
