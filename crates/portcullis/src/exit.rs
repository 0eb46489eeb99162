use std::fmt;

/// The answer is bad: not patched, a check failed.
pub const BAD: u8 = 1;
/// Wrong use of the command line.
pub const USAGE: u8 = 2;
/// Configuration or catalogue.
pub const CONFIGURATION: u8 = 64;
/// Our fault, or the system's.
pub const INTERNAL: u8 = 70;

/// Why a command ends without an answer.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    text: String,
}

impl Failure {
    /// The answer is bad rather than the question.
    pub fn bad(text: impl Into<String>) -> Self {
        Self { code: BAD, text: text.into() }
    }

    pub fn configuration(text: impl Into<String>) -> Self {
        Self { code: CONFIGURATION, text: text.into() }
    }

    pub fn internal(text: impl Into<String>) -> Self {
        Self { code: INTERNAL, text: text.into() }
    }

    pub fn usage(text: impl Into<String>) -> Self {
        Self { code: USAGE, text: text.into() }
    }

    pub fn code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// The chain of causes in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
