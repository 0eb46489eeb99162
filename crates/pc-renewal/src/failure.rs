use pc_types::{Escaped, SignedDuration, Timestamp, time};

use crate::limits::{
    DELAY_FIRST_RATE_LIMITED, DELAY_FIRST_REFUSED, DELAY_FIRST_TRANSIENT, RETRY_AFTER_MAX, TEXT_OCTETS_MAX,
};

/// How a name is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// RFC 8555 8.3.
    Http01,
    /// RFC 8737.
    TlsAlpn01,
}

impl Challenge {
    /// As the RFCs have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http01 => "http-01",
            Self::TlsAlpn01 => "tls-alpn-01",
        }
    }
}

/// Why there is no certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind.
    pub kind: FailureKind,
    /// For the operator, with the remedy.
    pub text: String,
    /// What the authority asks to wait.
    pub retry_after: Option<SignedDuration>,
}

/// Kinds of failures, by who is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The authority does not take the account, or the key that binds it.
    Account,
    /// It could not prove a name.
    Challenge,
    /// What it issued is not fit to be served.
    Certificate,
    /// It could not be reached.
    Connection,
    /// A file of ours could not be read or written.
    Folder,
    /// It says that we ask too often.
    RateLimited,
    /// It refuses for another reason.
    Refused,
    /// It has a fault of its own, or answers what is no answer.
    Server,
    /// It was not done in time.
    Timeout,
}

impl FailureKind {
    /// Stable word for log and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Certificate => "certificate",
            Self::Challenge => "challenge",
            Self::Connection => "connection",
            Self::Folder => "folder",
            Self::RateLimited => "rate_limited",
            Self::Refused => "refused",
            Self::Server => "server",
            Self::Timeout => "timeout",
        }
    }

    /// By the type of a problem document (RFC 8555 6.7) and the status it came with.
    pub fn of_problem(kind: Option<&str>, status: Option<u16>) -> Self {
        let word = kind.and_then(|kind| kind.strip_prefix("urn:ietf:params:acme:error:"));
        match word {
            Some(
                "accountDoesNotExist"
                | "externalAccountRequired"
                | "invalidContact"
                | "unsupportedContact"
                | "userActionRequired"
                | "badPublicKey"
                | "badSignatureAlgorithm",
            ) => Self::Account,
            Some("caa" | "connection" | "dns" | "incorrectResponse" | "tls") => Self::Challenge,
            Some("rateLimited") => Self::RateLimited,
            Some("badNonce" | "serverInternal") => Self::Server,
            // Said by authorities that have no word for it; RFC 6585 4.
            _ if status == Some(429) => Self::RateLimited,
            _ if status.is_some_and(|status| status >= 500) => Self::Server,
            _ => Self::Refused,
        }
    }

    pub(crate) fn delay_first(self) -> SignedDuration {
        match self {
            Self::Connection | Self::Folder | Self::Server | Self::Timeout => DELAY_FIRST_TRANSIENT,
            Self::RateLimited => DELAY_FIRST_RATE_LIMITED,
            Self::Account | Self::Certificate | Self::Challenge | Self::Refused => DELAY_FIRST_REFUSED,
        }
    }

    /// What can be done about it.
    fn remedy(self) -> &'static str {
        match self {
            Self::Account => {
                "look at contact, eab_key_id and eab_key_file in [tls.acme], and at the account with the authority"
            }
            Self::Certificate => {
                "look at the clock of this node, then ask the authority; the certificate in service stays"
            }
            Self::Challenge => {
                "look at the DNS of the name (A, AAAA, CAA), which must lead here and let this authority issue"
            }
            Self::Connection => {
                "look at directory in [tls.acme], and whether this node may connect there; a private authority needs ca_file and allow_networks"
            }
            Self::Folder => "look at acme in the data folder: space, owner, permissions",
            Self::RateLimited => "it is tried again by itself, and asking sooner does not help",
            Self::Refused => "mend in [tls.acme] or at the authority what this says, then restart",
            Self::Server => "it is asked again later",
            Self::Timeout => "it is asked again later; the authority is slow, or the way to it",
        }
    }
}

impl Failure {
    /// With the remedy of its kind. `text` may hold what the authority said.
    pub fn new(kind: FailureKind, text: &str) -> Self {
        Self { kind, text: format!("{}; {}", shown(text), kind.remedy()), retry_after: None }
    }

    /// A name could not be proven: what the authority saw, where it looked, and what must be open for it.
    pub fn of_challenge(challenge: Challenge, name: &str, said: &str) -> Self {
        let (name, said) = (shown(name), shown(said));
        let where_to = match challenge {
            Challenge::Http01 => format!(
                "the authority looks at http://{name}/.well-known/acme-challenge/...: A and AAAA of the name must lead to this node, port \
                 80 must reach an [[https.redirect]], and CAA must let this authority issue"
            ),
            Challenge::TlsAlpn01 => format!(
                "the authority connects to {name} port 443 with acme-tls/1: A and AAAA of the name must lead to this node, nothing before \
                 its [[https.listener]] may end TLS, and CAA must let this authority issue"
            ),
        };
        let text = format!("{name} was not proven by {}: {said}; {where_to}", challenge.as_str());
        Self { kind: FailureKind::Challenge, text, retry_after: None }
    }

    /// The same, with what the authority asks to wait.
    #[must_use]
    pub fn with_retry_after(self, retry_after: Option<SignedDuration>) -> Self {
        Self { retry_after, ..self }
    }
}

fn shown(text: &str) -> String {
    Escaped::with_octets_max(text, TEXT_OCTETS_MAX).to_string()
}

/// Retry-After (RFC 9110 10.2.3): seconds or a date, at most [`RETRY_AFTER_MAX`]; `None` where it is neither.
pub fn retry_after(field: &str, now: Timestamp) -> Option<SignedDuration> {
    let field = field.trim();
    let delay = if !field.is_empty() && field.bytes().all(|octet| octet.is_ascii_digit()) {
        // More digits than a number holds are more than the bound as well.
        field.parse().map_or(RETRY_AFTER_MAX, SignedDuration::from_secs)
    } else {
        time::from_http_date(field)?.duration_since(now)
    };
    Some(delay.clamp(SignedDuration::ZERO, RETRY_AFTER_MAX))
}
