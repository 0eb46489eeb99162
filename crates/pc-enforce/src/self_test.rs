use crate::limits::REPLY_TEXT_OCTETS_MAX;
use crate::record::{Shown, Standing};

/// What a message to the self-test address is answered: what it showed, what that means, what to install. One line of printable
/// ASCII, cut to fit a reply.
pub fn self_test(shown: &Shown, standing: &Standing) -> String {
    let mut software = match (&shown.product, &shown.build) {
        (Some(product), Some(build)) => format!("Exchange {product} {build}"),
        (None, Some(build)) => format!("build {build}"),
        _ => "no Exchange build was read".to_owned(),
    };
    if let Some(update) = &shown.update {
        software.push_str(&format!(" ({update})"));
    }
    let (word, text) = match standing {
        Standing::Met => ("owes nothing", String::new()),
        Standing::NotExchange => ("is not judged", format!(": {}", shown.reason)),
        Standing::Owing { text, install, .. } => ("owes", format!(": {text}; install: {install}")),
        Standing::Unknown { text, .. } => ("is unknown", format!(": {text}")),
    };
    let line = format!("Self-test, nothing was delivered: {software} {word}{text}");
    let printable =
        line.chars().map(|character| if (' '..='~').contains(&character) { character } else { '?' });
    printable.take(REPLY_TEXT_OCTETS_MAX).collect()
}
