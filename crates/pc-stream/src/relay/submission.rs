use std::collections::VecDeque;

use super::{Expect, Verdict, with_line_end};
use crate::limits::{PENDING_MAX, REPLY_LINES_MAX};
use crate::verb;

/// A submission before AUTH, RFC 6409 and RFC 4954.
#[derive(Debug, Default)]
pub(super) struct Submission {
    /// Commands without their reply; replies come in their order.
    pending: VecDeque<Kind>,
    sasl: Sasl,
    /// Lines of the reply that the server is sending.
    reply: Vec<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Auth,
    Ehlo,
    Other,
}

/// Where an exchange of AUTH stands, RFC 4954 4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sasl {
    #[default]
    None,
    /// The client's turn.
    Response,
    /// The server's turn.
    Wait,
}

impl Submission {
    pub(super) fn client_expects(&self) -> Expect {
        if self.sasl == Sasl::Wait { Expect::Nothing } else { Expect::Line }
    }

    pub(super) fn client_line(&mut self, line: &[u8]) -> Verdict {
        if self.sasl == Sasl::Response {
            self.sasl = Sasl::Wait;
            return Verdict::Pass(with_line_end(line));
        }
        let (word, _) = verb(line);
        let kind = match word.as_str() {
            "AUTH" => {
                self.sasl = Sasl::Wait;
                Kind::Auth
            }
            "EHLO" | "HELO" => Kind::Ehlo,
            "NOOP" | "QUIT" | "RSET" | "HELP" => Kind::Other,
            "STARTTLS" => return self.answer("503 5.5.1 TLS is active already\r\n"),
            // RFC 4954 6. Also what this node does not know: the server behind may trust its address.
            _ => return self.answer("530 5.7.0 Authentication required\r\n"),
        };
        if self.pending.len() >= PENDING_MAX {
            return Verdict::Close("pipelined");
        }
        self.pending.push_back(kind);
        Verdict::Pass(with_line_end(line))
    }

    /// A reply of ours must not overtake one of the server's.
    fn answer(&self, text: &str) -> Verdict {
        if self.pending.is_empty() { Verdict::Answer(text.to_owned()) } else { Verdict::Close("pipelined") }
    }

    pub(super) fn server_line(&mut self, line: Vec<u8>) -> Verdict {
        let code = line.get(..3).and_then(|code| std::str::from_utf8(code).ok()?.parse::<u16>().ok());
        let is_last = match line.get(3) {
            Some(b'-') => false,
            Some(b' ') | None => true,
            Some(_) => return Verdict::Unclear("reply", Vec::new()),
        };
        let Some(code) = code.filter(|_| self.reply.len() < REPLY_LINES_MAX) else {
            return Verdict::Unclear("reply", Vec::new());
        };
        self.reply.push(line);
        if !is_last {
            return Verdict::Pass(Vec::new());
        }
        let reply = std::mem::take(&mut self.reply);
        // RFC 4954 4: a challenge is no end of AUTH.
        if code == 334 && self.pending.front() == Some(&Kind::Auth) {
            self.sasl = Sasl::Response;
            return Verdict::Pass(joined(&reply));
        }
        let kind = self.pending.pop_front();
        if kind == Some(Kind::Auth) {
            self.sasl = Sasl::None;
        }
        match (kind, code) {
            (Some(Kind::Auth), 235) => Verdict::LoggedIn(joined(&reply)),
            // RFC 4954 6: of all codes this one is about the password.
            (Some(Kind::Auth), 535) => Verdict::Failed(joined(&reply)),
            (Some(Kind::Ehlo), 250) => Verdict::Pass(joined(&without_starttls(reply))),
            _ => Verdict::Pass(joined(&reply)),
        }
    }
}

/// RFC 3207 4.2: not offered inside TLS.
fn without_starttls(mut reply: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    reply.retain(|line| !line.get(4..).is_some_and(|word| word.eq_ignore_ascii_case(b"STARTTLS")));
    if let Some(separator) = reply.last_mut().and_then(|last| last.get_mut(3)) {
        *separator = b' ';
    }
    reply
}

fn joined(lines: &[Vec<u8>]) -> Vec<u8> {
    lines.iter().flat_map(|line| with_line_end(line)).collect()
}
