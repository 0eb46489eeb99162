use crate::client_hello::HelloRefusal;

/// Why a connection did not come up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The client was a certificate authority that looked for the proof of a name (RFC 8737), and has got it. There is
    /// nothing to be said over such a connection.
    #[error("the connection was for the proof of a name only")]
    ChallengeAnswered,
    /// The client went away before the handshake ended.
    #[error("the client closed the connection during the handshake")]
    Closed,
    /// The client says that it fell back from a newer version, and it need not have (RFC 7507).
    #[error("the client fell back to an older version although a newer one would have worked")]
    FallbackScsv,
    /// The handshake failed after the hello was found good. The library has sent its own alert.
    #[error("the handshake failed: {0}")]
    Handshake(String),
    /// The octets break the format of a ClientHello.
    #[error("the ClientHello is malformed: {0}")]
    Malformed(&'static str),
    /// No suite, group or signature scheme of the standard is offered that fits a certificate.
    #[error("the client offers no suite of the standard")]
    NoCommonSuite,
    /// Something else than TLS was sent.
    #[error("the client does not speak TLS")]
    NotTls,
    /// The client offers nothing newer than TLS 1.1.
    #[error("the client offers no version from TLS 1.2 on")]
    OldVersion,
    /// A ClientHello in the format of SSL 2.0.
    #[error("the client sends an SSL 2.0 hello")]
    SslV2,
    /// The deadline passed.
    #[error("the handshake took too long")]
    Timeout,
    /// The ClientHello is over a bound of [`crate::limits`].
    #[error("the ClientHello is too large")]
    TooLarge,
}

impl Refusal {
    /// A stable name for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ChallengeAnswered => "challenge_answered",
            Self::Closed => "closed",
            Self::FallbackScsv => "fallback_scsv",
            Self::Handshake(_) => "handshake",
            Self::Malformed(_) => "malformed",
            Self::NoCommonSuite => "no_common_suite",
            Self::NotTls => "not_tls",
            Self::OldVersion => "old_version",
            Self::SslV2 => "ssl_v2",
            Self::Timeout => "timeout",
            Self::TooLarge => "too_large",
        }
    }

    /// The description of the fatal alert that we send, RFC 8446 6. `None` where the peer could not
    /// read one, is gone, or has got one from the library.
    pub fn alert(&self) -> Option<u8> {
        match self {
            Self::NoCommonSuite => Some(40),
            Self::TooLarge => Some(47),
            Self::Malformed(_) => Some(50),
            Self::OldVersion => Some(70),
            // RFC 7507 3.
            Self::FallbackScsv => Some(86),
            Self::ChallengeAnswered
            | Self::Closed
            | Self::Handshake(_)
            | Self::NotTls
            | Self::SslV2
            | Self::Timeout => None,
        }
    }
}

impl From<HelloRefusal> for Refusal {
    fn from(refusal: HelloRefusal) -> Self {
        match refusal {
            HelloRefusal::Malformed(what) => Self::Malformed(what),
            HelloRefusal::NotTls => Self::NotTls,
            HelloRefusal::SslV2 => Self::SslV2,
            HelloRefusal::TooLarge => Self::TooLarge,
        }
    }
}

/// A fatal alert in a record of the version that the client named, within SSL 3.0 and TLS 1.2: old
/// clients drop records of a version they do not know, and RFC 8446 5.1 freezes the field at 0x0303.
pub(crate) fn alert_record(hello_version: u16, description: u8) -> [u8; 7] {
    let [major, minor] = hello_version.clamp(0x0300, 0x0303).to_be_bytes();
    [ALERT, major, minor, 0, 2, FATAL, description]
}

/// RFC 8446 5.1.
const ALERT: u8 = 21;
/// RFC 8446 6.
const FATAL: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_that_the_peer_can_read_has_the_alert_of_its_rfc() {
        let alerts = [
            (Refusal::OldVersion, Some(70)),
            (Refusal::FallbackScsv, Some(86)),
            (Refusal::NoCommonSuite, Some(40)),
            (Refusal::Malformed("x"), Some(50)),
            (Refusal::TooLarge, Some(47)),
            (Refusal::SslV2, None),
            (Refusal::NotTls, None),
            (Refusal::Timeout, None),
            (Refusal::Closed, None),
            (Refusal::Handshake(String::new()), None),
        ];
        for (refusal, alert) in alerts {
            assert_eq!(refusal.alert(), alert, "{}", refusal.code());
        }
    }

    #[test]
    fn an_alert_travels_in_a_record_of_the_clients_version_up_to_tls_1_2() {
        assert_eq!(alert_record(0x0301, 70), [21, 3, 1, 0, 2, 2, 70]);
        assert_eq!(alert_record(0x0304, 40), [21, 3, 3, 0, 2, 2, 40]);
        assert_eq!(alert_record(0x0002, 70), [21, 3, 0, 0, 2, 2, 70]);
    }
}
