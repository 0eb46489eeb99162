use std::fmt;

use serde::Serialize;

/// Why something was decided: a stable code for machines and a sentence for people. The same value
/// feeds the SMTP reply, the log, the trace, the API and the page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// Stable, lower case, words joined by underscores.
    pub code: &'static str,
    /// One plain sentence; may quote peer data, which must be escaped where it is shown.
    pub text: String,
}

impl Reason {
    /// A reason from its two parts.
    pub fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.text, self.code)
    }
}
