use pc_types::Domain;

use crate::envelope::{BodyType, MailParameters, Notify, Ret};
use crate::limits::{ENVID_OCTETS_MAX, ORCPT_OCTETS_MAX, PARAMETERS_MAX};
use crate::octets::{split_once, strip_prefix_ignore_case, trim_spaces};
use crate::path::{ForwardPath, Mailbox, PathError, ReversePath, bracketed};

/// A command line, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// RFC 3030 2: size of the chunk in octets, and whether it is the last.
    Bdat {
        /// Octets that follow the command line.
        octets: u64,
        /// `LAST` was given.
        last: bool,
    },
    /// RFC 5321 4.1.1.4.
    Data,
    /// RFC 5321 4.1.1.1: the name as written and, when it is a domain name, as such.
    Ehlo(GreetingName),
    /// RFC 5321 4.1.1.1.
    Helo(GreetingName),
    /// RFC 5321 4.1.1.8.
    Help,
    /// RFC 5321 4.1.1.2.
    Mail(ReversePath, MailParameters),
    /// RFC 5321 4.1.1.9.
    Noop,
    /// RFC 5321 4.1.1.10.
    Quit,
    /// RFC 5321 4.1.1.3.
    Rcpt(crate::Recipient),
    /// RFC 5321 4.1.1.5.
    Rset,
    /// RFC 3207 4.
    Starttls,
    /// Known words that are not offered: AUTH, ETRN, EXPN, TURN, ...
    Unimplemented,
    /// RFC 5321 4.1.1.6.
    Vrfy,
}

/// The argument of EHLO or HELO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GreetingName {
    /// As written; printable ASCII.
    pub text: String,
    /// The same as a domain name, when it is one and not an address literal.
    pub domain: Option<Domain>,
}

/// Why a line is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// The argument is missing or malformed.
    #[error("syntax error in the argument")]
    Argument,
    /// BDAT without a readable size.
    #[error("syntax error in BDAT")]
    ChunkSize,
    /// A request line of another protocol.
    #[error("this is a mail server")]
    OtherProtocol,
    /// A parameter that is known has a bad value.
    #[error("bad value of a parameter")]
    ParameterValue,
    /// The path is malformed.
    #[error("{0}")]
    Path(PathError),
    /// A parameter that no offered extension defines (RFC 5321 4.1.1.11: 555).
    #[error("parameter not recognised")]
    UnknownParameter,
    /// The first word is no command.
    #[error("command not recognised")]
    UnknownCommand,
}

impl Command {
    /// Reads one line without its CRLF.
    ///
    /// # Errors
    /// See [`SyntaxError`].
    pub fn parse(line: &[u8]) -> Result<Self, SyntaxError> {
        let line = line.trim_ascii_end();
        let (word, rest) = split_once(line, b' ').unwrap_or((line, b""));
        let argument = trim_spaces(rest);
        match word.to_ascii_uppercase().as_slice() {
            b"EHLO" => greeting_name(argument).map(Self::Ehlo),
            b"HELO" => greeting_name(argument).map(Self::Helo),
            b"MAIL" => mail(argument),
            b"RCPT" => rcpt(argument),
            b"BDAT" => bdat(argument),
            b"DATA" => bare(argument, Self::Data),
            b"RSET" => bare(argument, Self::Rset),
            b"QUIT" => bare(argument, Self::Quit),
            b"STARTTLS" => bare(argument, Self::Starttls),
            b"NOOP" => Ok(Self::Noop),
            b"HELP" => Ok(Self::Help),
            b"VRFY" => Ok(Self::Vrfy),
            b"AUTH" | b"ETRN" | b"EXPN" | b"TURN" | b"ATRN" | b"SEND" | b"SOML" | b"SAML" | b"XCLIENT"
            | b"XFORWARD" | b"XEXCH50" | b"X-EXPS" | b"X-ANONYMOUSTLS" => Ok(Self::Unimplemented),
            // Browsers and cross-protocol attacks; nothing after this line is worth reading.
            b"GET" | b"POST" | b"HEAD" | b"PUT" | b"CONNECT" | b"OPTIONS" => Err(SyntaxError::OtherProtocol),
            _ => Err(SyntaxError::UnknownCommand),
        }
    }
}

fn bare(argument: &[u8], command: Command) -> Result<Command, SyntaxError> {
    if argument.is_empty() { Ok(command) } else { Err(SyntaxError::Argument) }
}

fn greeting_name(argument: &[u8]) -> Result<GreetingName, SyntaxError> {
    let text = std::str::from_utf8(argument).map_err(|_| SyntaxError::Argument)?;
    let printable = text.bytes().all(|octet| matches!(octet, b'!'..=b'~'));
    // RFC 5321 4.5.3.1.2: a domain has at most 255 octets.
    if text.is_empty() || text.len() > 255 || !printable {
        return Err(SyntaxError::Argument);
    }
    Ok(GreetingName { domain: text.parse().ok(), text: text.to_owned() })
}

fn mail(argument: &[u8]) -> Result<Command, SyntaxError> {
    let rest = strip_prefix_ignore_case(argument, "FROM:").ok_or(SyntaxError::Argument)?;
    let (path, rest) = bracketed(trim_spaces(rest)).map_err(SyntaxError::Path)?;
    let mut parameters = MailParameters::default();
    for (name, value) in parameter_list(rest)? {
        mail_parameter(&mut parameters, &name, value)?;
    }
    if path.is_empty() {
        return Ok(Command::Mail(ReversePath::Null, parameters));
    }
    let mailbox = mailbox(path)?;
    if !path.is_ascii() && !parameters.smtputf8 {
        return Err(SyntaxError::Path(PathError::NotAscii));
    }
    Ok(Command::Mail(ReversePath::Mailbox(mailbox), parameters))
}

fn mail_parameter(
    parameters: &mut MailParameters,
    name: &str,
    value: Option<&str>,
) -> Result<(), SyntaxError> {
    match (name, value) {
        ("SIZE", Some(value)) if parameters.size_octets.is_none() => {
            parameters.size_octets = Some(decimal(value)?);
        }
        ("BODY", Some(value)) if parameters.body.is_none() => {
            parameters.body = Some(match value.to_ascii_uppercase().as_str() {
                "7BIT" => BodyType::SevenBit,
                "8BITMIME" => BodyType::EightBitMime,
                _ => return Err(SyntaxError::ParameterValue),
            });
        }
        ("SMTPUTF8", None) => parameters.smtputf8 = true,
        ("REQUIRETLS", None) => parameters.requiretls = true,
        ("RET", Some(value)) if parameters.ret.is_none() => {
            parameters.ret = Some(match value.to_ascii_uppercase().as_str() {
                "FULL" => Ret::Full,
                "HDRS" => Ret::Headers,
                _ => return Err(SyntaxError::ParameterValue),
            });
        }
        ("ENVID", Some(value)) if parameters.envid.is_none() => {
            if value.len() > ENVID_OCTETS_MAX || !is_xtext(value) {
                return Err(SyntaxError::ParameterValue);
            }
            parameters.envid = Some(value.to_owned());
        }
        ("SIZE" | "BODY" | "RET" | "ENVID" | "SMTPUTF8" | "REQUIRETLS", _) => {
            return Err(SyntaxError::ParameterValue);
        }
        _ => return Err(SyntaxError::UnknownParameter),
    }
    Ok(())
}

fn rcpt(argument: &[u8]) -> Result<Command, SyntaxError> {
    let rest = strip_prefix_ignore_case(argument, "TO:").ok_or(SyntaxError::Argument)?;
    let (path, rest) = bracketed(trim_spaces(rest)).map_err(SyntaxError::Path)?;
    let forward_path = if path.eq_ignore_ascii_case("postmaster") {
        ForwardPath::Postmaster
    } else {
        ForwardPath::Mailbox(mailbox(path)?)
    };
    let mut recipient = crate::Recipient { forward_path, notify: None, orcpt: None };
    for (name, value) in parameter_list(rest)? {
        match (name.as_str(), value) {
            ("NOTIFY", Some(value)) if recipient.notify.is_none() => recipient.notify = Some(notify(value)?),
            ("ORCPT", Some(value)) if recipient.orcpt.is_none() => {
                let (kind, address) = value.split_once(';').ok_or(SyntaxError::ParameterValue)?;
                let sound = !kind.is_empty()
                    && value.len() <= ORCPT_OCTETS_MAX
                    && kind.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
                    && (is_xtext(address) || kind.eq_ignore_ascii_case("utf-8"));
                if !sound {
                    return Err(SyntaxError::ParameterValue);
                }
                recipient.orcpt = Some(value.to_owned());
            }
            ("NOTIFY" | "ORCPT", _) => return Err(SyntaxError::ParameterValue),
            _ => return Err(SyntaxError::UnknownParameter),
        }
    }
    Ok(Command::Rcpt(recipient))
}

fn notify(value: &str) -> Result<Notify, SyntaxError> {
    if value.eq_ignore_ascii_case("NEVER") {
        return Ok(Notify::Never);
    }
    let (mut delay, mut failure, mut success) = (false, false, false);
    for word in value.split(',') {
        let flag = match word.to_ascii_uppercase().as_str() {
            "DELAY" => &mut delay,
            "FAILURE" => &mut failure,
            "SUCCESS" => &mut success,
            _ => return Err(SyntaxError::ParameterValue),
        };
        if std::mem::replace(flag, true) {
            return Err(SyntaxError::ParameterValue);
        }
    }
    Ok(Notify::On { delay, failure, success })
}

fn bdat(argument: &[u8]) -> Result<Command, SyntaxError> {
    let (size, rest) = split_once(argument, b' ').unwrap_or((argument, b""));
    let size = std::str::from_utf8(size).map_err(|_| SyntaxError::ChunkSize)?;
    let octets = decimal(size).map_err(|_| SyntaxError::ChunkSize)?;
    match trim_spaces(rest) {
        b"" => Ok(Command::Bdat { octets, last: false }),
        word if word.eq_ignore_ascii_case(b"LAST") => Ok(Command::Bdat { octets, last: true }),
        _ => Err(SyntaxError::ChunkSize),
    }
}

fn mailbox(path: &str) -> Result<Mailbox, SyntaxError> {
    Mailbox::parse(path).map_err(SyntaxError::Path)
}

/// RFC 5321 4.1.2, Mail-parameters: `keyword` or `keyword=value`, divided by spaces.
fn parameter_list(rest: &[u8]) -> Result<Vec<(String, Option<&str>)>, SyntaxError> {
    let text = std::str::from_utf8(rest).map_err(|_| SyntaxError::ParameterValue)?;
    let mut list = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        if list.len() == PARAMETERS_MAX {
            return Err(SyntaxError::UnknownParameter);
        }
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
        if value.is_some_and(|value| value.is_empty() || value.contains(|c: char| c.is_control())) {
            return Err(SyntaxError::ParameterValue);
        }
        list.push((name.to_ascii_uppercase(), value));
    }
    Ok(list)
}

/// RFC 3030 and RFC 1870 give sizes as 1 to 20 digits.
fn decimal(text: &str) -> Result<u64, SyntaxError> {
    let digits_only = !text.is_empty() && text.len() <= 20 && text.bytes().all(|o| o.is_ascii_digit());
    if !digits_only {
        return Err(SyntaxError::ParameterValue);
    }
    text.parse().map_err(|_| SyntaxError::ParameterValue)
}

/// RFC 3461 4: printable ASCII except `=`, with `+` only before two upper-case hex digits.
fn is_xtext(text: &str) -> bool {
    let mut rest = text.as_bytes();
    while let Some((&octet, tail)) = rest.split_first() {
        rest = match octet {
            b'+' => match tail.split_at_checked(2) {
                Some((pair, tail)) if pair.iter().all(|o| matches!(o, b'0'..=b'9' | b'A'..=b'F')) => tail,
                _ => return false,
            },
            b'!'..=b'~' if octet != b'=' => tail,
            _ => return false,
        };
    }
    true
}

#[cfg(test)]
mod tests;
