use std::collections::VecDeque;

use super::{Expect, Verdict, with_line_end};
use crate::limits::PENDING_MAX;
use crate::verb;

/// A POP3 dialogue in the AUTHORIZATION state, RFC 1939 4.
#[derive(Debug, Default)]
pub(super) struct Pop3 {
    /// Commands without their reply; replies come in their order.
    pending: VecDeque<Kind>,
    sasl: Sasl,
    /// The list that the server is sending, RFC 1939 3.
    listing: Option<Kind>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Capabilities,
    /// Another list.
    List,
    Login,
    Single,
}

/// Where an exchange of AUTH stands, RFC 5034 4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sasl {
    #[default]
    None,
    /// The client's turn.
    Response,
    /// The server's turn.
    Wait,
}

impl Pop3 {
    pub(super) fn client_expects(&self) -> Expect {
        if self.sasl == Sasl::Wait { Expect::Nothing } else { Expect::Line }
    }

    pub(super) fn client_line(&mut self, line: &[u8]) -> Verdict {
        if self.sasl == Sasl::Response {
            self.sasl = Sasl::Wait;
            return Verdict::Pass(with_line_end(line));
        }
        let (word, arguments) = verb(line);
        let kind = match word.as_str() {
            "STLS" if self.pending.is_empty() => {
                return Verdict::Answer("-ERR TLS is active already\r\n".to_owned());
            }
            "STLS" => return Verdict::Close("pipelined"),
            "APOP" | "PASS" => Kind::Login,
            "AUTH" if !arguments.is_empty() => {
                self.sasl = Sasl::Wait;
                Kind::Login
            }
            "CAPA" => Kind::Capabilities,
            // RFC 6856 3.2, and AUTH alone of old servers.
            "AUTH" | "LANG" if arguments.is_empty() => Kind::List,
            _ => Kind::Single,
        };
        if self.pending.len() >= PENDING_MAX {
            return Verdict::Close("pipelined");
        }
        self.pending.push_back(kind);
        Verdict::Pass(with_line_end(line))
    }

    pub(super) fn server_line(&mut self, line: &[u8]) -> Verdict {
        let shown = with_line_end(line);
        if let Some(kind) = self.listing {
            if line == b"." {
                self.listing = None;
            }
            // RFC 2595 4: of no meaning inside TLS.
            let is_offer = kind == Kind::Capabilities && line.eq_ignore_ascii_case(b"STLS");
            return Verdict::Pass(if is_offer { Vec::new() } else { shown });
        }
        let (word, text) = verb(line);
        match word.as_str() {
            "+OK" => match self.answered() {
                Some(Kind::Login) => Verdict::LoggedIn(shown),
                Some(kind @ (Kind::Capabilities | Kind::List)) => {
                    self.listing = Some(kind);
                    Verdict::Pass(shown)
                }
                Some(Kind::Single) => Verdict::Pass(shown),
                None => Verdict::Unclear("reply", shown),
            },
            // Without a command it is the end of the connection.
            "-ERR" => match self.answered() {
                Some(Kind::Login) if !is_of_the_server(text) => Verdict::Failed(shown),
                _ => Verdict::Pass(shown),
            },
            "+" if self.sasl == Sasl::Wait && self.pending.len() == 1 => {
                self.sasl = Sasl::Response;
                Verdict::Pass(shown)
            }
            _ => Verdict::Unclear("reply", shown),
        }
    }

    fn answered(&mut self) -> Option<Kind> {
        let kind = self.pending.pop_front()?;
        if self.pending.is_empty() {
            self.sasl = Sasl::None;
        }
        Some(kind)
    }
}

/// RFC 2449 8.1 and RFC 3206 4: a no that says nothing about the password.
fn is_of_the_server(text: &[u8]) -> bool {
    let upper = text.to_ascii_uppercase();
    [&b"[IN-USE]"[..], b"[SYS/", b"[LOGIN-DELAY]"].iter().any(|code| upper.starts_with(code))
}
