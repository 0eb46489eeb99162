use std::borrow::Cow;

use pc_smtp::Greeting;
use pc_store::StepRow;
use tokio::time::Instant;

use crate::connection::Peer;
use crate::limits::{RECIPIENT_STEPS_MAX, STEP_OCTETS_MAX, STEPS_MAX};

/// What happens in a transaction, in order, for the trace.
pub(crate) struct Steps {
    opened: Instant,
    rows: Vec<StepRow>,
    recipients: usize,
}

impl Steps {
    /// Begins with what the connection went through before MAIL.
    pub(crate) fn of(peer: &Peer, greeting: &Greeting) -> Self {
        let mut steps = Self { opened: peer.opened, rows: Vec::with_capacity(12), recipients: 0 };
        steps.push(
            "connect",
            0,
            format!("{} to {}, connector {}", peer.address, peer.listener, peer.matched),
        );
        if let (Some((version, suite)), Some(at_ms)) = (peer.tls, peer.secured_ms) {
            steps.push("tls", at_ms, format!("{version} {suite}"));
            if let Some(certificate) = &peer.certificate {
                steps.push("certificate", at_ms, certificate.clone());
            }
        }
        let verb = if greeting.extended { "EHLO" } else { "HELO" };
        let at_ms = peer.greeted.get().map_or_else(|| peer.elapsed_ms(), |(at_ms, _)| *at_ms);
        steps.push("greeting", at_ms, format!("{verb} {}", greeting.name.text));
        steps
    }

    /// Notes that something happened; beyond the limit it is left out.
    pub(crate) fn note(&mut self, step: &'static str, text: String) {
        let at_ms = millis(self.opened);
        self.push(step, at_ms, text);
    }

    /// Notes a recipient; beyond their own limit they are counted, so that room is left for what follows.
    pub(crate) fn recipient(&mut self, forward_path: &str, reply: &str) {
        self.recipients += 1;
        if self.recipients <= RECIPIENT_STEPS_MAX {
            self.note("rcpt", format!("RCPT TO:<{forward_path}>: {reply}"));
        }
    }

    /// All steps, and how many recipients were only counted.
    pub(crate) fn rows(&self) -> Vec<StepRow> {
        let mut rows = self.rows.clone();
        if let Some(more) = self.recipients.checked_sub(RECIPIENT_STEPS_MAX).filter(|more| *more > 0)
            && let Some(last) = rows.iter().rposition(|row| row.step == "rcpt")
        {
            let at_ms = rows.get(last).map_or(0, |row| row.at_ms);
            rows.insert(
                last + 1,
                StepRow { step: "rcpt".into(), at_ms, text: format!("and {more} more recipients") },
            );
        }
        rows
    }

    fn push(&mut self, step: &'static str, at_ms: u64, mut text: String) {
        if self.rows.len() >= STEPS_MAX {
            return;
        }
        text.truncate(text.floor_char_boundary(STEP_OCTETS_MAX));
        self.rows.push(StepRow { step: Cow::Borrowed(step), at_ms, text });
    }
}

/// Milliseconds since `opened`.
pub(crate) fn millis(opened: Instant) -> u64 {
    u64::try_from(opened.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
