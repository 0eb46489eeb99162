//! What happened to a spooled message, in words for the trace and the log.

use pc_queue::{Answer, Attempt, Next, Progress, RecipientState};
use pc_smtp::Envelope;

/// What came of an attempt at the `pending` recipients: a stable word, and what was said.
pub(super) fn of_attempt(
    attempt: &Attempt,
    word: &str,
    envelope: Option<&Envelope>,
    pending: &[usize],
) -> (&'static str, String) {
    let answers = match attempt {
        Attempt::Answered(answers) => answers,
        Attempt::Failed(why) => return ("failed", why.clone()),
        Attempt::Unreachable(why) => return ("unreachable", why.clone()),
    };
    let mut taken = 0;
    let mut code = "delivered";
    let mut others = Vec::new();
    for (answer, index) in answers.iter().zip(pending) {
        let path = envelope.and_then(|envelope| envelope.recipients.get(*index));
        let path =
            path.map_or_else(|| "a recipient".to_owned(), |recipient| recipient.forward_path.to_string());
        match answer {
            Answer::Delivered { .. } => taken += 1,
            Answer::Deferred(reply) => {
                // What waits says more about the message than what ended.
                code = "deferred";
                others.push(format!("{path}: {reply}"));
            }
            Answer::Refused(reply) => {
                code = if code == "deferred" { code } else { "refused" };
                others.push(format!("{path}: {reply}"));
            }
        }
    }
    if taken > 0 {
        others.insert(0, format!("{taken} of {} recipients: {word}", answers.len()));
    }
    (code, others.join("; "))
}

/// What the transaction shows from now on, if that changes.
pub(super) fn outcome(next: &Next, progress: &Progress) -> Option<&'static str> {
    let all_delivered = progress.recipients.iter().all(|state| *state == RecipientState::Delivered);
    match next {
        // Setting it aside says so itself.
        Next::Aside(_) | Next::Wait => None,
        Next::Finished if progress.untold().is_some() => None,
        Next::Finished if all_delivered => Some("taken"),
        Next::Finished => Some("undelivered"),
    }
}

#[cfg(test)]
mod tests;
