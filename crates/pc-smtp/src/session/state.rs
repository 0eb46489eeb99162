//! The states and their transitions. Each function consumes the state it is called on.

use super::{Common, Effect, EndAnswer, Greeting, Rejection, TlsPolicy, too_many};
use crate::chunk::ChunkReceiver;
use crate::command::{Command, GreetingName, SyntaxError};
use crate::data::{DataFault, DataReceiver};
use crate::envelope::{Envelope, MailParameters, Recipient};
use crate::limits;
use crate::path::ReversePath;
use crate::reply::{EnhancedCode, Reply};

#[derive(Debug)]
pub(super) enum State {
    /// EHLO or HELO comes first.
    AwaitEhlo,
    /// Between transactions.
    AwaitMail { greeting: Greeting },
    /// The shell looks at the sender.
    AwaitMailAnswer { greeting: Greeting, envelope: Envelope },
    /// RCPT, DATA or BDAT.
    AwaitRecipient { greeting: Greeting, envelope: Envelope },
    /// The shell looks at a recipient.
    AwaitRecipientAnswer { greeting: Greeting, envelope: Envelope, recipient: Recipient },
    /// After 354.
    ReceivingData { greeting: Greeting, envelope: Envelope, receiver: DataReceiver },
    /// A chunk was taken that was not the last.
    AwaitChunk { greeting: Greeting, envelope: Envelope, receiver: ChunkReceiver },
    /// Inside a chunk.
    ReceivingChunk { greeting: Greeting, envelope: Envelope, receiver: ChunkReceiver, left: u64, last: bool },
    /// Inside a chunk that is refused: its octets are thrown away, then the reply is sent.
    DiscardingChunk { greeting: Option<Greeting>, left: u64, rejection: Rejection, reply: Reply },
    /// The shell takes custody of the message or refuses it.
    AwaitEndAnswer { greeting: Greeting },
    /// The shell shakes hands.
    AwaitTls,
    /// Nothing more is read or written.
    Closed,
}

impl State {
    /// Octets came from the peer. Message data are read in place while nothing is buffered.
    pub(super) fn octets(self, octets: &[u8], common: &mut Common) -> Self {
        let (state, rest) = match self {
            Self::Closed | Self::AwaitTls => return self,
            state if common.input.is_empty() => state.body(octets, common),
            state => (state, octets),
        };
        if !matches!(state, Self::Closed) {
            common.input.extend_from_slice(rest);
        }
        state
    }

    /// Reads on from the buffer as far as the state allows.
    pub(super) fn advance(mut self, common: &mut Common) -> Self {
        loop {
            self = match self {
                Self::ReceivingData { .. } | Self::ReceivingChunk { .. } | Self::DiscardingChunk { .. } => {
                    if common.input.is_empty() && !self.is_chunk_complete() {
                        return self;
                    }
                    let input = std::mem::take(&mut common.input);
                    let (state, rest) = self.body(&input, common);
                    if !matches!(state, Self::Closed) {
                        common.input.extend_from_slice(rest);
                    }
                    state
                }
                Self::AwaitEhlo
                | Self::AwaitMail { .. }
                | Self::AwaitRecipient { .. }
                | Self::AwaitChunk { .. } => match next_line(common) {
                    Line::Complete(line) => self.line(&line, common),
                    Line::Incomplete => return self,
                    Line::Refused(rejection, text) => {
                        let reply = Reply::new(500, EnhancedCode(5, 5, 2), text);
                        common.fatal(rejection, reply)
                    }
                },
                _ => return self,
            };
        }
    }

    fn is_chunk_complete(&self) -> bool {
        matches!(self, Self::ReceivingChunk { left: 0, .. } | Self::DiscardingChunk { left: 0, .. })
    }

    /// Reads message octets; returns what does not belong to the message.
    fn body<'a>(self, octets: &'a [u8], common: &mut Common) -> (Self, &'a [u8]) {
        match self {
            Self::ReceivingData { greeting, envelope, mut receiver } => {
                let mut out = Vec::with_capacity(octets.len());
                let progress = receiver.push(octets, &mut out);
                push_body(out, common);
                let rest = octets.get(progress.consumed..).unwrap_or_default();
                if progress.ended {
                    (end_of_message(greeting, envelope, receiver.fault(), common), rest)
                } else if receiver.consumed() > common.offer.message_octets_max + limits::DISCARD_OCTETS_MAX {
                    (common.fatal(Rejection::TooLarge, too_large(common.offer.message_octets_max)), b"")
                } else {
                    (Self::ReceivingData { greeting, envelope, receiver }, rest)
                }
            }
            Self::ReceivingChunk { greeting, envelope, mut receiver, left, last } => {
                let (chunk, rest) = split_chunk(octets, left);
                let mut out = Vec::with_capacity(chunk.len());
                receiver.push(chunk, &mut out);
                push_body(out, common);
                let left = left.saturating_sub(chunk.len() as u64);
                let state = Self::ReceivingChunk { greeting, envelope, receiver, left, last };
                (if left == 0 { state.chunk_ended(common) } else { state }, rest)
            }
            Self::DiscardingChunk { greeting, left, rejection, reply } => {
                let (chunk, rest) = split_chunk(octets, left);
                let left = left.saturating_sub(chunk.len() as u64);
                if left > 0 {
                    return (Self::DiscardingChunk { greeting, left, rejection, reply }, rest);
                }
                let next = match greeting {
                    Some(greeting) => Self::AwaitMail { greeting },
                    None => Self::AwaitEhlo,
                };
                (common.error(next, rejection, reply), rest)
            }
            state => (state, octets),
        }
    }

    fn chunk_ended(self, common: &mut Common) -> Self {
        let Self::ReceivingChunk { greeting, envelope, mut receiver, last, .. } = self else { return self };
        if last {
            receiver.finish();
        }
        // RFC 3030 2: a chunk that is refused ends the transaction, further chunks get 503.
        if last || receiver.fault().is_some() {
            return end_of_message(greeting, envelope, receiver.fault(), common);
        }
        common.reply(250, EnhancedCode(2, 0, 0), "chunk taken");
        Self::AwaitChunk { greeting, envelope, receiver }
    }

    fn line(self, line: &[u8], common: &mut Common) -> Self {
        let command = match Command::parse(line) {
            Ok(command) => command,
            Err(error) => return self.malformed(error, common),
        };
        match command {
            Command::Quit => {
                common.reply(221, EnhancedCode(2, 0, 0), "closing connection");
                common.quit()
            }
            Command::Noop => self.idle(250, EnhancedCode(2, 0, 0), "OK", common),
            Command::Help => self.idle(214, EnhancedCode(2, 0, 0), "see RFC 5321", common),
            Command::Vrfy => {
                let text = "cannot verify, but will take mail for it and try";
                self.idle(252, EnhancedCode(2, 5, 0), text, common)
            }
            Command::Unimplemented => {
                let reply = Reply::new(502, EnhancedCode(5, 5, 1), "command not implemented");
                common.error(self, Rejection::Syntax, reply)
            }
            Command::Rset => self.rset(common),
            Command::Ehlo(name) => self.greeted(name, Extended::Yes, common),
            Command::Helo(name) => self.greeted(name, Extended::No, common),
            Command::Starttls => self.starttls(common),
            // Its octets follow whatever the state, and must not be read as commands.
            Command::Bdat { octets, last } => self.bdat(octets, last, common),
            _ if common.offer.tls_policy == TlsPolicy::Required && !common.tls => {
                let reply = Reply::new(530, EnhancedCode(5, 7, 0), "Must issue a STARTTLS command first");
                common.error(self, Rejection::TlsRequired, reply)
            }
            Command::Mail(reverse_path, parameters) => self.mail(reverse_path, parameters, common),
            Command::Rcpt(recipient) => self.rcpt(recipient, common),
            Command::Data => self.data(common),
        }
    }

    fn malformed(self, error: SyntaxError, common: &mut Common) -> Self {
        let text = error.to_string();
        let (code, enhanced) = match error {
            SyntaxError::Argument => (501, EnhancedCode(5, 5, 4)),
            SyntaxError::ParameterValue => (501, EnhancedCode(5, 5, 4)),
            SyntaxError::Path(crate::PathError::NotAscii) => (553, EnhancedCode(5, 6, 7)),
            SyntaxError::Path(_) => (501, EnhancedCode(5, 1, 7)),
            SyntaxError::UnknownParameter => (555, EnhancedCode(5, 5, 4)),
            SyntaxError::UnknownCommand => (500, EnhancedCode(5, 5, 1)),
            SyntaxError::ChunkSize => {
                // How many octets follow is unknown, so none of them may be read as commands.
                return common.fatal(Rejection::Syntax, Reply::new(501, EnhancedCode(5, 5, 4), text));
            }
            SyntaxError::OtherProtocol => {
                return common.fatal(Rejection::Syntax, Reply::new(500, EnhancedCode(5, 5, 1), text));
            }
        };
        common.error(self, Rejection::Syntax, Reply::new(code, enhanced, text))
    }

    fn idle(self, code: u16, enhanced: EnhancedCode, text: &'static str, common: &mut Common) -> Self {
        common.idle_commands += 1;
        if common.idle_commands > limits::IDLE_COMMANDS_MAX {
            return common.fatal(Rejection::TooMany, too_many("too many commands without mail"));
        }
        common.reply(code, enhanced, text);
        self
    }

    fn rset(self, common: &mut Common) -> Self {
        let state = self.without_transaction(common);
        state.idle(250, EnhancedCode(2, 0, 0), "OK", common)
    }

    /// Drops the transaction, if there is one.
    fn without_transaction(self, common: &mut Common) -> Self {
        match self {
            Self::AwaitRecipient { greeting, .. } | Self::AwaitChunk { greeting, .. } => {
                common.effects.push(Effect::Abandon);
                Self::AwaitMail { greeting }
            }
            state => state,
        }
    }

    fn greeted(self, name: GreetingName, extended: Extended, common: &mut Common) -> Self {
        // RFC 5321 4.1.4: a further EHLO clears the transaction.
        drop(self.without_transaction(common));
        common.idle_commands += 1;
        if common.idle_commands > limits::IDLE_COMMANDS_MAX {
            return common.fatal(Rejection::TooMany, too_many("too many commands without mail"));
        }
        let extended = matches!(extended, Extended::Yes);
        let reply =
            if extended { ehlo_reply(common) } else { Reply::plain(250, common.offer.node_name.to_string()) };
        common.effects.push(Effect::Reply(reply));
        Self::AwaitMail { greeting: Greeting { name, extended } }
    }

    fn starttls(self, common: &mut Common) -> Self {
        if common.tls {
            let reply = Reply::new(503, EnhancedCode(5, 5, 1), "TLS is already in use");
            return common.error(self, Rejection::Sequence, reply);
        }
        drop(self.without_transaction(common));
        // RFC 3207 4.2 and the STARTTLS injections of 2011 and 2021: what came along is thrown away.
        if !common.input.is_empty() {
            common.input.clear();
            common.effects.push(Effect::Rejected(Rejection::PlaintextAfterStarttls));
        }
        common.reply(220, EnhancedCode(2, 0, 0), "ready to start TLS");
        common.effects.push(Effect::StartTls);
        Self::AwaitTls
    }

    /// RFC 3207 4.2: the client must greet again.
    pub(super) fn tls_up(self, common: &mut Common) -> Self {
        match self {
            Self::AwaitTls => {
                common.tls = true;
                Self::AwaitEhlo
            }
            state => state,
        }
    }

    fn mail(self, reverse_path: ReversePath, parameters: MailParameters, common: &mut Common) -> Self {
        let greeting = match self {
            Self::AwaitMail { greeting } => greeting,
            Self::AwaitEhlo => return self.out_of_order("send EHLO first", common),
            state => return state.out_of_order("a transaction is already under way", common),
        };
        if parameters.requiretls && !common.tls {
            // RFC 8689 2: only over TLS. X.7.10 of the registry (RFC 5248) is "encryption needed".
            let reply = Reply::new(530, EnhancedCode(5, 7, 10), "REQUIRETLS needs TLS, issue STARTTLS first");
            return common.error(Self::AwaitMail { greeting }, Rejection::TlsRequired, reply);
        }
        if parameters.size_octets.is_some_and(|octets| octets > common.offer.message_octets_max) {
            let reply = too_large(common.offer.message_octets_max);
            return common.error(Self::AwaitMail { greeting }, Rejection::TooLarge, reply);
        }
        let envelope = Envelope { reverse_path, parameters, recipients: Vec::new() };
        common.effects.push(Effect::CheckMail(greeting.clone(), envelope.clone()));
        Self::AwaitMailAnswer { greeting, envelope }
    }

    fn rcpt(self, recipient: Recipient, common: &mut Common) -> Self {
        match self {
            Self::AwaitRecipient { greeting, envelope } => {
                if envelope.recipients.len() >= common.offer.recipients_max {
                    // RFC 5321 4.5.3.1.10
                    let reply =
                        Reply::new(452, EnhancedCode(4, 5, 3), "too many recipients, send the rest apart");
                    common.effects.push(Effect::Reply(reply));
                    return Self::AwaitRecipient { greeting, envelope }.recipient_refused(common);
                }
                common.effects.push(Effect::CheckRecipient(recipient.clone()));
                Self::AwaitRecipientAnswer { greeting, envelope, recipient }
            }
            state => state.out_of_order("send MAIL first", common),
        }
    }

    pub(super) fn answered(self, reply: Reply, common: &mut Common) -> Self {
        let positive = reply.is_positive();
        match self {
            Self::AwaitMailAnswer { greeting, envelope } => {
                common.effects.push(Effect::Reply(reply));
                if positive {
                    Self::AwaitRecipient { greeting, envelope }
                } else {
                    common.effects.push(Effect::Abandon);
                    Self::AwaitMail { greeting }
                }
            }
            Self::AwaitRecipientAnswer { greeting, mut envelope, recipient } => {
                common.effects.push(Effect::Reply(reply));
                if positive {
                    envelope.recipients.push(recipient);
                    return Self::AwaitRecipient { greeting, envelope };
                }
                Self::AwaitRecipient { greeting, envelope }.recipient_refused(common)
            }
            state => state,
        }
    }

    fn recipient_refused(self, common: &mut Common) -> Self {
        common.refused_recipients += 1;
        if common.refused_recipients > limits::REFUSED_RECIPIENTS_MAX {
            return common.fatal(Rejection::TooMany, too_many("too many refused recipients"));
        }
        self
    }

    fn data(self, common: &mut Common) -> Self {
        match self {
            Self::AwaitRecipient { envelope, greeting } if envelope.recipients.is_empty() => {
                Self::AwaitRecipient { envelope, greeting }.out_of_order("no valid recipients", common)
            }
            // RFC 2920 3.1: DATA is the last command of a group. Octets behind it would be data to us
            // and commands to a peer whose DATA was refused.
            Self::AwaitRecipient { .. } if !common.input.is_empty() => {
                let reply = Reply::new(503, EnhancedCode(5, 5, 0), "data was sent before 354");
                common.fatal(Rejection::ImproperPipelining, reply)
            }
            Self::AwaitRecipient { greeting, envelope } => {
                let go = Reply::plain(354, "end data with <CR><LF>.<CR><LF>");
                common.effects.push(Effect::Reply(go));
                let receiver = DataReceiver::new(common.offer.message_octets_max);
                Self::ReceivingData { greeting, envelope, receiver }
            }
            // RFC 3030 2: DATA and BDAT cannot be mixed.
            state => state.out_of_order("send MAIL and RCPT first", common),
        }
    }

    fn bdat(self, octets: u64, last: bool, common: &mut Common) -> Self {
        if octets > common.offer.message_octets_max + limits::DISCARD_OCTETS_MAX {
            return common.fatal(Rejection::TooLarge, too_large(common.offer.message_octets_max));
        }
        let (greeting, envelope, mut receiver) = match self {
            Self::AwaitRecipient { greeting, envelope } if !envelope.recipients.is_empty() => {
                (greeting, envelope, ChunkReceiver::new(common.offer.message_octets_max))
            }
            Self::AwaitChunk { greeting, envelope, receiver } => (greeting, envelope, receiver),
            state => return state.discard(octets, common),
        };
        receiver.announce(octets);
        if receiver.chunks() > limits::CHUNKS_MAX {
            return common.fatal(Rejection::ChunkLimit, too_many("too many chunks"));
        }
        if receiver.fault().is_some() {
            common.effects.push(Effect::Abandon);
            let reply = too_large(common.offer.message_octets_max);
            let rejection = Rejection::TooLarge;
            return Self::DiscardingChunk { greeting: Some(greeting), left: octets, rejection, reply };
        }
        Self::ReceivingChunk { greeting, envelope, receiver, left: octets, last }
    }

    /// A chunk that comes out of order: throw its octets away, then say so.
    fn discard(self, left: u64, common: &mut Common) -> Self {
        let (rejection, reply) = if common.offer.tls_policy == TlsPolicy::Required && !common.tls {
            let reply = Reply::new(530, EnhancedCode(5, 7, 0), "Must issue a STARTTLS command first");
            (Rejection::TlsRequired, reply)
        } else {
            let reply = Reply::new(503, EnhancedCode(5, 5, 1), "send MAIL and RCPT first");
            (Rejection::Sequence, reply)
        };
        let greeting = match self.without_transaction(common) {
            Self::AwaitMail { greeting } => Some(greeting),
            _ => None,
        };
        Self::DiscardingChunk { greeting, left, rejection, reply }
    }

    pub(super) fn ended(self, answer: EndAnswer, common: &mut Common) -> Self {
        let Self::AwaitEndAnswer { greeting } = self else { return self };
        let reply = match answer {
            EndAnswer::Refused(reply) => reply,
            EndAnswer::Taken { custody: _, text } => Reply::new(250, EnhancedCode(2, 0, 0), text),
        };
        common.effects.push(Effect::Reply(reply));
        Self::AwaitMail { greeting }
    }

    fn out_of_order(self, text: &'static str, common: &mut Common) -> Self {
        let reply = Reply::new(503, EnhancedCode(5, 5, 1), text);
        common.error(self, Rejection::Sequence, reply)
    }

    pub(super) fn shutdown(self, common: &mut Common) -> Self {
        match self {
            // A transaction under way may finish within the drain time.
            Self::AwaitEhlo | Self::AwaitMail { .. } => {
                common.reply(421, EnhancedCode(4, 3, 2), "shutting down, please come back");
                common.quit()
            }
            state => state,
        }
    }

    pub(super) fn timed_out(self, common: &mut Common) -> Self {
        // RFC 5321 4.5.3.2
        let reply = Reply::new(421, EnhancedCode(4, 4, 2), "nothing came for too long");
        common.fatal(Rejection::Timeout, reply)
    }
}

enum Extended {
    Yes,
    No,
}

enum Line {
    Complete(Vec<u8>),
    Incomplete,
    Refused(Rejection, &'static str),
}

/// Takes one line out of the buffer. Only CRLF ends it: a line that ends otherwise may be a command
/// to one reader and text to another.
fn next_line(common: &mut Common) -> Line {
    let Some(end) = memchr::memchr(b'\n', &common.input) else {
        if common.input.len() >= limits::COMMAND_LINE_OCTETS_MAX {
            return Line::Refused(Rejection::LineTooLong, "line too long");
        }
        return Line::Incomplete;
    };
    if end >= limits::COMMAND_LINE_OCTETS_MAX {
        return Line::Refused(Rejection::LineTooLong, "line too long");
    }
    let line: Vec<u8> = common.input.drain(..=end).collect();
    match line.strip_suffix(b"\r\n") {
        Some(line) if !line.contains(&b'\r') => Line::Complete(line.to_vec()),
        _ => Line::Refused(Rejection::BareLineEnd, "CR and LF must come together"),
    }
}

fn split_chunk(octets: &[u8], left: u64) -> (&[u8], &[u8]) {
    let length = usize::try_from(left).unwrap_or(usize::MAX).min(octets.len());
    octets.split_at_checked(length).unwrap_or((octets, b""))
}

fn push_body(out: Vec<u8>, common: &mut Common) {
    if !out.is_empty() {
        common.effects.push(Effect::Body(out));
    }
}

fn end_of_message(
    greeting: Greeting,
    envelope: Envelope,
    fault: Option<DataFault>,
    common: &mut Common,
) -> State {
    match fault {
        None => {
            common.effects.push(Effect::EndOfMessage(envelope));
            State::AwaitEndAnswer { greeting }
        }
        // What follows may be commands that the sender meant as data: nothing of it is read.
        Some(DataFault::BareLineEnd) => {
            let text = "bare CR or LF in the message, see RFC 5321 2.3.8";
            common.fatal(Rejection::BareLineEnd, Reply::new(550, EnhancedCode(5, 5, 2), text))
        }
        Some(DataFault::TooLarge) => {
            common.effects.push(Effect::Abandon);
            let reply = too_large(common.offer.message_octets_max);
            common.error(State::AwaitMail { greeting }, Rejection::TooLarge, reply)
        }
    }
}

fn too_large(octets_max: u64) -> Reply {
    Reply::new(552, EnhancedCode(5, 3, 4), format!("message over the limit of {octets_max} octets"))
}

fn ehlo_reply(common: &Common) -> Reply {
    let mut lines = vec![
        common.offer.node_name.to_string().into(),
        "PIPELINING".into(),
        format!("SIZE {}", common.offer.message_octets_max).into(),
        "8BITMIME".into(),
        "SMTPUTF8".into(),
        "ENHANCEDSTATUSCODES".into(),
        "CHUNKING".into(),
        "DSN".into(),
    ];
    // RFC 8689 2: offered where it holds.
    lines.push(if common.tls { "REQUIRETLS" } else { "STARTTLS" }.into());
    Reply { code: 250, enhanced: None, lines }
}
