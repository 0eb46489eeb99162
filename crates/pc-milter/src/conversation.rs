//! One message on one connection to a milter, as states. Everything is told at the end of data, when
//! the whole message is there: nothing of it was passed on before, so nothing is gained by asking
//! earlier, and one recipient that a milter refuses is the message refused.

use std::collections::VecDeque;

use crate::field::{FieldChange, FieldText, LeadingSpace, check_name};
use crate::limits::{BODY_CHUNK_OCTETS_MAX, FIELDS_OCTETS_MAX, MODIFICATIONS_MAX};
use crate::negotiation::{Actions, Negotiated, Steps};
use crate::packet::{PacketReader, write_packet};
use crate::transaction::{Step, StepReply, Transaction};
use crate::{Fault, Modifications, Response, Verdict};

/// A conversation under way.
#[derive(Debug)]
pub struct Conversation {
    reader: PacketReader,
    state: State,
}

/// What happens to a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// The answer to [`Effect::WantBody`]: the next octets of the body.
    Body(BodyChunk<'a>),
    /// The answer to [`Effect::WantBody`]: there are no more.
    EndOfBody,
    /// Octets of the milter.
    Octets(&'a [u8]),
}

/// As much of a body as one packet holds, and at least one octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyChunk<'a>(&'a [u8]);

impl<'a> BodyChunk<'a> {
    /// Divides octets into chunks.
    pub fn divide(octets: &'a [u8]) -> impl Iterator<Item = Self> {
        octets.chunks(BODY_CHUNK_OCTETS_MAX).map(Self)
    }
}

/// What the shell does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The conversation is over; the connection is closed after what is still to be sent.
    End(Result<Verdict, Fault>),
    /// The milter is at work: its time begins anew.
    Progress,
    /// Send these octets.
    Send(Vec<u8>),
    /// Bring the next octets of the body. Without it, the milter's octets are awaited.
    WantBody,
}

#[derive(Debug)]
enum State {
    AwaitBody(AwaitBody),
    AwaitOffer(AwaitOffer),
    AwaitReply(AwaitReply),
    AwaitVerdict(AwaitVerdict),
    Over,
}

/// The answer to our offer is awaited.
#[derive(Debug)]
struct AwaitOffer {
    transaction: Transaction,
}

/// What all later states know.
#[derive(Debug)]
struct Told {
    transaction: Transaction,
    negotiated: Negotiated,
    /// What is still to be told before the body.
    steps: VecDeque<Step>,
}

/// The reply to a step is awaited.
#[derive(Debug)]
struct AwaitReply {
    told: Told,
    to: Awaited,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    Body,
    Step,
}

/// The next part of the body is awaited.
#[derive(Debug)]
struct AwaitBody {
    told: Told,
}

/// Everything is told.
#[derive(Debug)]
struct AwaitVerdict {
    negotiated: Negotiated,
    modifications: Modifications,
    octets: usize,
    quarantine: Option<Vec<u8>>,
}

impl Conversation {
    /// Begins with our offer.
    pub fn open(transaction: Transaction) -> (Self, Vec<Effect>) {
        let mut out = Vec::new();
        write_packet(&mut out, b'O', &Negotiated::offer());
        let state = State::AwaitOffer(AwaitOffer { transaction });
        (Self { reader: PacketReader::default(), state }, vec![Effect::Send(out)])
    }

    /// Takes an input.
    #[must_use]
    pub fn handle(mut self, input: Input<'_>) -> (Self, Vec<Effect>) {
        let mut effects = Vec::new();
        let handled = match input {
            // Nobody asked for a body elsewhere: it is dropped and the state stays.
            Input::Body(chunk) => Ok(match self.state {
                State::AwaitBody(state) => state.body(chunk, &mut effects),
                other => other,
            }),
            Input::EndOfBody => Ok(match self.state {
                State::AwaitBody(state) => state.told.end(Vec::new(), &mut effects),
                other => other,
            }),
            Input::Octets(octets) => {
                self.reader.push(octets);
                self.state.octets(&mut self.reader, &mut effects)
            }
        };
        self.state = handled.unwrap_or_else(|fault| {
            effects.push(Effect::End(Err(fault)));
            State::Over
        });
        (self, effects)
    }
}

impl State {
    fn octets(mut self, reader: &mut PacketReader, effects: &mut Vec<Effect>) -> Result<Self, Fault> {
        loop {
            if matches!(self, Self::Over) {
                return Ok(self);
            }
            if matches!(self, Self::AwaitBody(_)) {
                // With the next question asked, it would be taken for the answer to it.
                return if reader.is_empty() { Ok(self) } else { Err(Fault::Unasked) };
            }
            let Some(packet) = reader.next_packet()? else { return Ok(self) };
            self = match self {
                Self::AwaitOffer(state) if packet.letter == b'O' => {
                    state.offer(Negotiated::from_payload(&packet.payload)?, effects)
                }
                Self::AwaitReply(state) => state.reply(Response::from_packet(&packet)?, effects)?,
                Self::AwaitVerdict(state) => state.response(Response::from_packet(&packet)?, effects)?,
                Self::AwaitOffer(_) | Self::AwaitBody(_) | Self::Over => return Err(Fault::Malformed),
            };
            if matches!(self, Self::AwaitReply(_) | Self::AwaitVerdict(_))
                && effects.iter().any(|effect| matches!(effect, Effect::Send(_)))
                && !reader.is_empty()
            {
                return Err(Fault::Unasked);
            }
        }
    }
}

impl AwaitOffer {
    fn offer(self, negotiated: Negotiated, effects: &mut Vec<Effect>) -> State {
        let steps = self.transaction.steps(&negotiated).into();
        Told { transaction: self.transaction, negotiated, steps }.go_on(effects)
    }
}

impl Told {
    /// Tells as much as can be told without waiting.
    fn go_on(mut self, effects: &mut Vec<Effect>) -> State {
        let mut out = Vec::new();
        while let Some(step) = self.steps.pop_front() {
            out.extend(step.octets);
            if step.reply == StepReply::Awaited {
                effects.push(Effect::Send(out));
                return State::AwaitReply(AwaitReply { told: self, to: Awaited::Step });
            }
        }
        if self.negotiated.steps.contains(Steps::NO_BODY) {
            return self.end(out, effects);
        }
        if !out.is_empty() {
            effects.push(Effect::Send(out));
        }
        effects.push(Effect::WantBody);
        State::AwaitBody(AwaitBody { told: self })
    }

    /// Tells that the body has ended; `out` goes before.
    fn end(self, mut out: Vec<u8>, effects: &mut Vec<Effect>) -> State {
        out.extend(self.transaction.end_of_body());
        effects.push(Effect::Send(out));
        State::AwaitVerdict(AwaitVerdict {
            negotiated: self.negotiated,
            modifications: Modifications::default(),
            octets: 0,
            quarantine: None,
        })
    }
}

impl AwaitBody {
    fn body(self, chunk: BodyChunk<'_>, effects: &mut Vec<Effect>) -> State {
        let mut out = Vec::with_capacity(chunk.0.len() + 5);
        write_packet(&mut out, b'B', chunk.0);
        effects.push(Effect::Send(out));
        if self.told.negotiated.steps.contains(Steps::NO_REPLY_BODY) {
            effects.push(Effect::WantBody);
            State::AwaitBody(self)
        } else {
            State::AwaitReply(AwaitReply { told: self.told, to: Awaited::Body })
        }
    }
}

impl AwaitReply {
    fn reply(self, response: Response, effects: &mut Vec<Effect>) -> Result<State, Fault> {
        match response {
            Response::Accept => Ok(over(Verdict::Pass(Modifications::default()), effects)),
            Response::Continue if self.to == Awaited::Body => {
                effects.push(Effect::WantBody);
                Ok(State::AwaitBody(AwaitBody { told: self.told }))
            }
            Response::Continue => Ok(self.told.go_on(effects)),
            Response::Progress => {
                effects.push(Effect::Progress);
                Ok(State::AwaitReply(self))
            }
            Response::Skip
                if self.to == Awaited::Body && self.told.negotiated.steps.contains(Steps::SKIP) =>
            {
                Ok(self.told.end(Vec::new(), effects))
            }
            other => refusal(other).map(|verdict| over(verdict, effects)),
        }
    }
}

impl AwaitVerdict {
    fn response(mut self, response: Response, effects: &mut Vec<Effect>) -> Result<State, Fault> {
        match response {
            Response::Accept | Response::Continue => {
                let verdict = match self.quarantine {
                    Some(reason) => Verdict::quarantine(&reason),
                    None => Verdict::Pass(self.modifications),
                };
                return Ok(over(verdict, effects));
            }
            Response::AddHeader { name, value } => {
                let field = self.field(Actions::ADD_FIELDS, &name, &value)?;
                self.modifications.added.push(field);
            }
            Response::InsertHeader { index, name, value } => {
                let field = self.field(Actions::ADD_FIELDS, &name, &value)?;
                // All additions go above the message, where index 0 is the first.
                let added = &mut self.modifications.added;
                let index = usize::try_from(index).unwrap_or(usize::MAX).min(added.len());
                added.insert(index, field);
            }
            Response::ChangeHeader { index, name, value } => self.change(index, &name, &value)?,
            Response::Quarantine { reason } => {
                self.check(Actions::QUARANTINE)?;
                self.quarantine = Some(reason);
            }
            Response::Progress => effects.push(Effect::Progress),
            other => return refusal(other).map(|verdict| over(verdict, effects)),
        }
        Ok(State::AwaitVerdict(self))
    }

    fn change(&mut self, index: u32, name: &[u8], value: &[u8]) -> Result<(), Fault> {
        let replacement = if value.is_empty() {
            self.check(Actions::CHANGE_FIELDS)?;
            check_name(name)?;
            self.count(name.len())?;
            None
        } else {
            Some(self.field(Actions::CHANGE_FIELDS, name, value)?)
        };
        let name = String::from_utf8_lossy(name).into_owned();
        // libmilter counts from 1; some milters send 0 for the first.
        let index = usize::try_from(index).unwrap_or(usize::MAX).max(1);
        self.modifications.changed.push(FieldChange { name, index, replacement });
        Ok(())
    }

    fn check(&self, action: Actions) -> Result<(), Fault> {
        if self.negotiated.actions.contains(action) { Ok(()) } else { Err(Fault::NotNegotiated) }
    }

    fn field(&mut self, action: Actions, name: &[u8], value: &[u8]) -> Result<FieldText, Fault> {
        self.check(action)?;
        let space = match self.negotiated.steps.contains(Steps::LEADING_SPACE) {
            true => LeadingSpace::Included,
            false => LeadingSpace::Added,
        };
        let field = FieldText::new(name, value, space)?;
        self.count(field.octets().len())?;
        Ok(field)
    }

    fn count(&mut self, octets: usize) -> Result<(), Fault> {
        self.octets += octets;
        let modifications = self.modifications.added.len() + self.modifications.changed.len();
        if modifications >= MODIFICATIONS_MAX || self.octets > FIELDS_OCTETS_MAX {
            return Err(Fault::TooLarge);
        }
        Ok(())
    }
}

/// What a response means that ends the message at any step.
fn refusal(response: Response) -> Result<Verdict, Fault> {
    match response {
        Response::Discard => Ok(Verdict::Discard),
        Response::GiveUp => Err(Fault::GaveUp),
        Response::Reject => Ok(Verdict::Refuse(None)),
        Response::ReplyCode(reply) if reply.is_permanent() => Ok(Verdict::Refuse(Some(reply))),
        Response::ReplyCode(reply) => Ok(Verdict::Defer(Some(reply))),
        Response::TemporaryFailure => Ok(Verdict::Defer(None)),
        Response::AddHeader { .. }
        | Response::ChangeHeader { .. }
        | Response::InsertHeader { .. }
        | Response::NotOffered
        | Response::Quarantine { .. } => Err(Fault::NotNegotiated),
        Response::Accept | Response::Continue | Response::Progress | Response::Skip => Err(Fault::Malformed),
    }
}

/// The message has its verdict: `SMFIC_QUIT`.
fn over(verdict: Verdict, effects: &mut Vec<Effect>) -> State {
    let mut out = Vec::new();
    write_packet(&mut out, b'Q', &[]);
    effects.push(Effect::Send(out));
    effects.push(Effect::End(Ok(verdict)));
    State::Over
}
