//! # Purpose
//! The sentences of notices, in each language. A key stands for one sentence; words in braces are filled in.
//!
//! # Trust
//! The sentences are ours. What is filled in comes escaped, and is not searched for braces again.
//!
//! # Standards
//! RFC 3282 (Content-Language), BCP 47 tags.
//!
//! # Invariants
//! Every language has every key, with the same words in braces.
//!
//! # See also
//! `letter`, which puts the sentences together.

mod de;
mod en;
mod es;
mod fr;
mod it;

use std::str::FromStr;

/// A language that notices are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    En,
    /// French.
    Fr,
    /// German.
    De,
    /// Spanish.
    Es,
    /// Italian.
    It,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::En, Self::Fr, Self::De, Self::Es, Self::It];

    /// Its tag, as in `lang` and Content-Language.
    pub fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Fr => "fr",
            Self::De => "de",
            Self::Es => "es",
            Self::It => "it",
        }
    }

    pub(crate) fn text(self, key: Key) -> &'static str {
        match self {
            Self::En => en::text(key),
            Self::Fr => fr::text(key),
            Self::De => de::text(key),
            Self::Es => es::text(key),
            Self::It => it::text(key),
        }
    }

    pub(crate) fn fill(self, key: Key, words: &[(&str, &str)]) -> String {
        fill(self.text(key), words)
    }
}

/// Not a language of notices.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is none of \"en\", \"fr\", \"de\", \"es\", \"it\"")]
pub struct LanguageError(String);

impl FromStr for Language {
    type Err = LanguageError;

    fn from_str(text: &str) -> Result<Self, LanguageError> {
        let known = Self::ALL.into_iter().find(|language| language.tag() == text);
        known.ok_or_else(|| LanguageError(text.to_owned()))
    }
}

/// Puts words into braces, once from left to right: what is filled in is never read as a brace.
fn fill(template: &str, words: &[(&str, &str)]) -> String {
    let mut text = String::with_capacity(template.len() + 64);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let Some((name, behind)) = after.split_once('}') else {
            text.push('{');
            rest = after;
            continue;
        };
        let word = words.iter().find(|(known, _)| *known == name);
        text.push_str(word.map_or("", |(_, word)| word));
        rest = behind;
    }
    text.push_str(rest);
    text
}

macro_rules! keys {
    ($($key:ident),+ $(,)?) => {
        /// A sentence.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Key { $($key),+ }

        #[cfg(test)]
        impl Key {
            pub(crate) const ALL: &[Self] = &[$(Self::$key),+];
        }
    };
}

keys! {
    DigestIntro,
    DigestMore,
    DigestSubject,
    EvidenceBuild,
    EvidenceLine,
    EvidenceServer,
    ExemptUntil,
    FloorIntro,
    FloorSubject,
    HeadEvidence,
    HeadInstall,
    HeadLack,
    HeadNext,
    HeadNextReport,
    HeadPause,
    HeadStage,
    HeadTest,
    HeadWhy,
    LackExploited,
    LackFloor,
    LackSecurity,
    LackSupport,
    LackUpdate,
    LackVersion,
    LackVersionSince,
    OwingIntro,
    OwingSubject,
    PauseHow,
    PauseHowTenant,
    PausedOpen,
    PausedUntil,
    ReleasedIntro,
    ReleasedSubject,
    ReleasedThanks,
    ReportOnly,
    StageAheadIntro,
    StageAheadSubject,
    StageBegunIntro,
    StageBegunSubject,
    StageNext,
    StageNow,
    TestHow,
    TestJudge,
    WhyConnector,
    WhyOperator,
    WhyPostmaster,
    WhyTenant,
    WindowAll,
    WindowBlock,
    WindowBoth,
    WindowNone,
    WindowThrottle,
}

#[cfg(test)]
mod tests;
