//! What both sides agree on before anything else: `SMFIC_OPTNEG`.

use crate::Fault;
use crate::limits::{VERSION_MAX, VERSION_MIN};

/// Changes that a milter may ask for, `SMFIF_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actions(u32);

impl Actions {
    /// `SMFIF_ADDHDRS`: add header fields.
    pub const ADD_FIELDS: Self = Self(0x01);
    /// `SMFIF_CHGHDRS`: change or take out header fields.
    pub const CHANGE_FIELDS: Self = Self(0x10);
    /// `SMFIF_QUARANTINE`.
    pub const QUARANTINE: Self = Self(0x20);
    /// All that we offer.
    pub const OFFERED: Self = Self(0x31);

    /// Whether all of `other` is among them.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Steps that a milter does not want, replies that it does not give, and how it wants things,
/// `SMFIP_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps(u32);

impl Steps {
    /// `SMFIP_NOCONNECT`
    pub const NO_CONNECT: Self = Self(0x01);
    /// `SMFIP_NOHELO`
    pub const NO_HELO: Self = Self(0x02);
    /// `SMFIP_NOMAIL`
    pub const NO_MAIL: Self = Self(0x04);
    /// `SMFIP_NORCPT`
    pub const NO_RCPT: Self = Self(0x08);
    /// `SMFIP_NOBODY`
    pub const NO_BODY: Self = Self(0x10);
    /// `SMFIP_NOHDRS`
    pub const NO_HEADER: Self = Self(0x20);
    /// `SMFIP_NOEOH`
    pub const NO_END_OF_HEADER: Self = Self(0x40);
    /// `SMFIP_NR_HDR`
    pub const NO_REPLY_HEADER: Self = Self(0x80);
    /// `SMFIP_NODATA`
    pub const NO_DATA: Self = Self(0x200);
    /// `SMFIP_SKIP`: the milter may end the body before its end.
    pub const SKIP: Self = Self(0x400);
    /// `SMFIP_NR_CONN`
    pub const NO_REPLY_CONNECT: Self = Self(0x1000);
    /// `SMFIP_NR_HELO`
    pub const NO_REPLY_HELO: Self = Self(0x2000);
    /// `SMFIP_NR_MAIL`
    pub const NO_REPLY_MAIL: Self = Self(0x4000);
    /// `SMFIP_NR_RCPT`
    pub const NO_REPLY_RCPT: Self = Self(0x8000);
    /// `SMFIP_NR_DATA`
    pub const NO_REPLY_DATA: Self = Self(0x1_0000);
    /// `SMFIP_NR_EOH`
    pub const NO_REPLY_END_OF_HEADER: Self = Self(0x4_0000);
    /// `SMFIP_NR_BODY`
    pub const NO_REPLY_BODY: Self = Self(0x8_0000);
    /// `SMFIP_HDR_LEADSPC`: values keep the space after the colon, in both directions.
    pub const LEADING_SPACE: Self = Self(0x10_0000);
    /// All that we offer, with `SMFIP_NOUNKNOWN` and `SMFIP_NR_UNKN`, which cost nothing as unknown
    /// commands are never passed on. Not `SMFIP_RCPT_REJ`: refused recipients are not passed on.
    pub const OFFERED: Self = Self(0x1f_f7ff);

    /// Nothing.
    pub const NONE: Self = Self(0);

    /// Whether all of `other` is among them.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// What a version knows of it, as Sendmail's releases brought it.
    fn known_to(version: u32) -> u32 {
        match version {
            2 => 0x7f,
            3 => 0x1ff,
            4 | 5 => 0x3ff,
            _ => Self::OFFERED.0,
        }
    }
}

/// What was agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// From `limits::VERSION_MIN` to `limits::VERSION_MAX`.
    pub version: u32,
    /// What the milter may ask for.
    pub actions: Actions,
    /// What it wants left out.
    pub steps: Steps,
}

impl Negotiated {
    /// The payload of our offer.
    pub(crate) fn offer() -> Vec<u8> {
        [VERSION_MAX, Actions::OFFERED.0, Steps::OFFERED.0].into_iter().flat_map(u32::to_be_bytes).collect()
    }

    /// Reads the answer to our offer.
    ///
    /// # Errors
    /// A version that we do not speak, or steps that we did not offer and would get wrong.
    pub(crate) fn from_payload(payload: &[u8]) -> Result<Self, Fault> {
        let (words, rest) = payload.as_chunks::<4>();
        let ([version, actions, steps], true) = (words, rest.is_empty()) else {
            return Err(Fault::Malformed);
        };
        let [version, actions, steps] = [version, actions, steps].map(|word| u32::from_be_bytes(*word));
        if !(VERSION_MIN..=VERSION_MAX).contains(&version) || steps & !Steps::known_to(version) != 0 {
            return Err(Fault::Negotiation);
        }
        // Rspamd 3.4 answers with every action it knows, offered or not. What we did not offer is not
        // granted, and a fault when it is used.
        let actions = Actions(actions & Actions::OFFERED.0);
        Ok(Self { version, actions, steps: Steps(steps) })
    }
}
