use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The file version of an Exchange server: major, minor, build, revision. For Exchange 2013 and
/// later the first three parts name the cumulative update.
///
/// Both spellings in use parse to the same value: `15.1.2507.39` (SMTP) and `15.01.2507.039`
/// (mapi); `Display` writes the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Build {
    /// 15 for Exchange 2013 and later.
    pub major: u16,
    /// 0 = 2013, 1 = 2016, 2 = 2019 and SE under major 15.
    pub minor: u16,
    /// The number Microsoft calls build; with `major` and `minor` it names the cumulative update.
    pub build: u16,
    /// Moves with security updates.
    pub revision: u16,
}

impl Build {
    /// A build from its four parts.
    pub const fn new(major: u16, minor: u16, build: u16, revision: u16) -> Self {
        Self { major, minor, build, revision }
    }

    /// The first three parts: two builds with the same branch differ only in installed updates.
    pub const fn branch(self) -> (u16, u16, u16) {
        (self.major, self.minor, self.build)
    }
}

/// Why a text is no build number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// Not four parts divided by dots.
    #[error("a build has four numbers divided by dots, such as 15.1.2507.39")]
    PartCount,
    /// A part is empty, longer than five digits, not decimal, or above 65535.
    #[error("each part of a build is a number from 0 to 65535")]
    Part,
}

impl FromStr for Build {
    type Err = BuildError;

    fn from_str(text: &str) -> Result<Self, BuildError> {
        let mut parts = text.split('.');
        let mut next = || parts.next().ok_or(BuildError::PartCount).and_then(part);
        let build = Self::new(next()?, next()?, next()?, next()?);
        if parts.next().is_some() { Err(BuildError::PartCount) } else { Ok(build) }
    }
}

fn part(text: &str) -> Result<u16, BuildError> {
    let digits_only = text.bytes().all(|byte| byte.is_ascii_digit());
    if text.is_empty() || text.len() > PART_DIGITS_MAX || !digits_only {
        return Err(BuildError::Part);
    }
    text.parse().map_err(|_| BuildError::Part)
}

/// 65535 has five digits; the mapi form pads to four at most.
const PART_DIGITS_MAX: usize = 5;

impl fmt::Display for Build {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}.{}", self.major, self.minor, self.build, self.revision)
    }
}

impl Serialize for Build {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Build {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smtp_and_mapi_spellings_are_one_build() {
        let smtp: Build = "15.1.2507.39".parse().unwrap();
        let mapi: Build = "15.01.2507.039".parse().unwrap();
        assert_eq!(smtp, mapi);
        assert_eq!(mapi.to_string(), "15.1.2507.39");
    }

    #[test]
    fn builds_order_by_their_parts_and_not_as_text() {
        let older: Build = "15.1.2507.9".parse().unwrap();
        let newer: Build = "15.1.2507.39".parse().unwrap();
        assert!(older < newer);
    }

    #[test]
    fn anything_but_four_numbers_is_refused() {
        for text in ["", "15", "15.1.2507", "15.1.2507.39.1", "15.1.2507.x", "15.1..39", "15.1.2507.+9"] {
            assert!(text.parse::<Build>().is_err(), "{text}");
        }
        assert_eq!("15.1.2507.65536".parse::<Build>(), Err(BuildError::Part));
        assert_eq!("15.1.2507.000039".parse::<Build>(), Err(BuildError::Part));
    }
}
