//! # Purpose
//! The server side of an SMTP session as a chain of states. [`Session::handle`] takes an input and
//! returns the next session with effects for the shell; the shell answers the effects that ask.
//!
//! # Trust
//! The client is hostile: it may send anything, in any order, in any pieces.
//!
//! # Standards
//! RFC 5321 3 and 4.1.4 (order of commands), RFC 3207 4.2 (state dies at STARTTLS), RFC 2920,
//! RFC 3030 2 (a refused chunk is read before it is answered).
//!
//! # Invariants
//! One state is one variant, named for what it waits for. A transaction lives inside the variants
//! that have one and dies with them. While an answer of the shell is awaited, octets are kept and
//! not read. After STARTTLS nothing of the plain text survives.
//!
//! # See also
//! `pc-smtpd`, the shell.

mod state;

use std::time::Duration;

use pc_types::Domain;

use crate::command::GreetingName;
use crate::custody::Custody;
use crate::envelope::{Envelope, Recipient};
use crate::limits;
use crate::reply::{EnhancedCode, Reply};
use state::State;

/// What this listener offers to this peer.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Greets with this name.
    pub node_name: Domain,
    /// SIZE, in octets.
    pub message_octets_max: u64,
    /// At least [`limits::RECIPIENTS_MIN`].
    pub recipients_max: usize,
    /// Whether TLS is demanded.
    pub tls_policy: TlsPolicy,
}

/// What the connector says about TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsPolicy {
    /// STARTTLS is offered.
    Offered,
    /// Mail is taken over TLS only.
    Required,
}

/// What comes into a session.
#[derive(Debug)]
pub enum Input<'a> {
    /// The shell's answer to [`Effect::CheckMail`] or [`Effect::CheckRecipient`].
    Answer(Reply),
    /// Octets from the peer, after TLS where TLS is up.
    Bytes(&'a [u8]),
    /// The shell's answer to [`Effect::EndOfMessage`].
    End(EndAnswer),
    /// The server is about to stop.
    Shutdown,
    /// The time of [`Session::patience`] went by.
    Timeout,
    /// The handshake asked for by [`Effect::StartTls`] is done.
    TlsUp,
}

/// What became of a message.
#[derive(Debug)]
pub enum EndAnswer {
    /// It was not taken.
    Refused(Reply),
    /// Somebody holds it; `text` follows `250 2.0.0`.
    Taken {
        /// The proof.
        custody: Custody,
        /// Text of the reply.
        text: String,
    },
}

/// What the shell must do, in order.
#[derive(Debug)]
pub enum Effect {
    /// The transaction is gone: drop whatever was opened for it.
    Abandon,
    /// Message octets without transparency dots.
    Body(Vec<u8>),
    /// Answer whether this sender may start a transaction.
    CheckMail(Greeting, Envelope),
    /// Answer whether this recipient is taken.
    CheckRecipient(Recipient),
    /// Flush and close the connection; a transaction that was open is gone.
    Close,
    /// The message is complete: take custody or refuse.
    EndOfMessage(Envelope),
    /// Count and log.
    Rejected(Rejection),
    /// Write.
    Reply(Reply),
    /// Flush, then shake hands; octets read before belong to nobody.
    StartTls,
}

/// What was wrong with the peer's doing, for events and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// CR or LF alone in a message or command.
    BareLineEnd,
    /// BDAT beyond its limits.
    ChunkLimit,
    /// Octets after DATA and before 354.
    ImproperPipelining,
    /// A line over the limit.
    LineTooLong,
    /// Octets after STARTTLS in plain text.
    PlaintextAfterStarttls,
    /// Order of commands.
    Sequence,
    /// No command, or a malformed one.
    Syntax,
    /// Nothing came for too long.
    Timeout,
    /// MAIL without TLS where TLS is demanded.
    TlsRequired,
    /// Too many errors, idle commands or refused recipients.
    TooMany,
    /// Over the size limit.
    TooLarge,
}

impl Rejection {
    /// Stable, for logs and metric labels.
    pub fn code(self) -> &'static str {
        match self {
            Self::BareLineEnd => "bare_line_end",
            Self::ChunkLimit => "chunk_limit",
            Self::ImproperPipelining => "improper_pipelining",
            Self::LineTooLong => "line_too_long",
            Self::PlaintextAfterStarttls => "plaintext_after_starttls",
            Self::Sequence => "sequence",
            Self::Syntax => "syntax",
            Self::Timeout => "timeout",
            Self::TlsRequired => "tls_required",
            Self::TooMany => "too_many",
            Self::TooLarge => "too_large",
        }
    }
}

/// The greeting that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// As the client wrote it.
    pub name: GreetingName,
    /// EHLO rather than HELO.
    pub extended: bool,
}

/// A session. See the module documentation.
#[derive(Debug)]
pub struct Session {
    common: Common,
    state: State,
}

/// What outlives the single state.
#[derive(Debug)]
struct Common {
    offer: Offer,
    tls: bool,
    input: Vec<u8>,
    errors: u32,
    idle_commands: u32,
    refused_recipients: u32,
    effects: Vec<Effect>,
}

impl Session {
    /// Opens a session in plain text; the effects hold the 220 greeting.
    pub fn open(offer: Offer) -> (Self, Vec<Effect>) {
        Self::start(offer, false)
    }

    /// Opens a session on a listener with implicit TLS, RFC 8314 3.3, after the handshake.
    pub fn open_in_tls(offer: Offer) -> (Self, Vec<Effect>) {
        Self::start(offer, true)
    }

    fn start(offer: Offer, tls: bool) -> (Self, Vec<Effect>) {
        let greeting = Reply::plain(220, format!("{} ESMTP Portcullis", offer.node_name));
        let common = Common {
            offer,
            tls,
            input: Vec::new(),
            errors: 0,
            idle_commands: 0,
            refused_recipients: 0,
            effects: Vec::new(),
        };
        (Self { common, state: State::AwaitEhlo }, vec![Effect::Reply(greeting)])
    }

    /// Takes one input and returns the next session and what is to be done, in order.
    pub fn handle(self, input: Input<'_>) -> (Self, Vec<Effect>) {
        let Self { mut common, state } = self;
        let state = match input {
            Input::Answer(reply) => state.answered(reply, &mut common),
            Input::Bytes(octets) => state.octets(octets, &mut common),
            Input::End(answer) => state.ended(answer, &mut common),
            Input::Shutdown => state.shutdown(&mut common),
            Input::Timeout => state.timed_out(&mut common),
            Input::TlsUp => state.tls_up(&mut common),
        };
        let state = state.advance(&mut common);
        let effects = std::mem::take(&mut common.effects);
        (Self { common, state }, effects)
    }

    /// Whether the shell should read from the peer.
    pub fn wants_bytes(&self) -> bool {
        let awaiting = matches!(
            self.state,
            State::AwaitMailAnswer { .. }
                | State::AwaitRecipientAnswer { .. }
                | State::AwaitEndAnswer { .. }
                | State::AwaitTls
                | State::Closed
        );
        !awaiting && self.common.input.len() < limits::PIPELINE_OCTETS_MAX
    }

    /// Whether the session is over.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Whether a transaction is under way, which a shutdown lets finish.
    pub fn in_transaction(&self) -> bool {
        !matches!(self.state, State::AwaitEhlo | State::AwaitMail { .. } | State::AwaitTls | State::Closed)
    }

    /// How the peer greeted, while it may begin a transaction.
    pub fn greeting(&self) -> Option<&Greeting> {
        match &self.state {
            State::AwaitMail { greeting } => Some(greeting),
            _ => None,
        }
    }

    /// How long the peer may be silent in this state.
    pub fn patience(&self) -> Duration {
        Duration::from_secs(match self.state {
            State::ReceivingData { .. } | State::ReceivingChunk { .. } | State::DiscardingChunk { .. } => {
                limits::DATA_BLOCK_TIMEOUT_SECONDS
            }
            _ => limits::COMMAND_TIMEOUT_SECONDS,
        })
    }
}

impl Common {
    fn reply(&mut self, code: u16, enhanced: EnhancedCode, text: &'static str) {
        self.effects.push(Effect::Reply(Reply::new(code, enhanced, text)));
    }

    /// Answers a refusal and closes the session when there were too many.
    fn error(&mut self, state: State, rejection: Rejection, reply: Reply) -> State {
        self.effects.push(Effect::Rejected(rejection));
        self.errors += 1;
        if self.errors > limits::ERRORS_MAX {
            self.effects.push(Effect::Reply(too_many("too many errors")));
            return self.close(Rejection::TooMany);
        }
        self.effects.push(Effect::Reply(reply));
        state
    }

    /// Answers and closes at once.
    fn fatal(&mut self, rejection: Rejection, reply: Reply) -> State {
        self.effects.push(Effect::Reply(reply));
        self.close(rejection)
    }

    fn close(&mut self, rejection: Rejection) -> State {
        self.effects.push(Effect::Rejected(rejection));
        self.quit()
    }

    fn quit(&mut self) -> State {
        self.input.clear();
        self.effects.push(Effect::Close);
        State::Closed
    }
}

fn too_many(text: &'static str) -> Reply {
    Reply::new(421, EnhancedCode(4, 7, 0), text)
}

#[cfg(test)]
mod tests;
