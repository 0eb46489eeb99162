//! Messages that wait for the operator, and who is told of them.

use pc_notice::{Addressee, Notice};
use pc_store::{NoticeRow, Repetition, Writer};
use pc_telemetry::Event;
use pc_types::Timestamp;

use super::{Message, Queue};

/// What the ids of our own notices begin with. One that fails is told to nobody, or telling would go round in
/// circles.
pub const NOTICE_MARK: &str = "notice-";

pub(super) fn is_notice(id: &str) -> bool {
    id.starts_with(NOTICE_MARK)
}

impl Queue {
    /// Tells trace, log and operator that a message is tried no more.
    pub(super) fn set_aside(&self, id: &str, target: &str, reverse_path: &str, reason: &str) {
        self.note(id, "aside", reason.to_owned(), Some("aside"));
        Event::SpoolSetAside { id, target, reason }.emit();
        let at = self.clock.now();
        let key = format!("{id} {}", at.as_microsecond());
        tell(&self.writer, (id, target, reverse_path, reason), at, (key, Repetition::EachKey));
    }
}

/// Tells the operator of a message that was set aside and of which no notice was kept: the node died in between, or
/// the outbox could not be written.
pub(super) fn remind(writer: &Writer, id: &str, target: &str, message: &Message, now: Timestamp) {
    if let Some(reason) = &message.progress.aside {
        let key = (id.to_owned(), Repetition::EachSubject);
        tell(writer, (id, target, &message.sender, reason), now, key);
    }
}

fn tell(
    writer: &Writer,
    (id, target, reverse_path, reason): (&str, &str, &str, &str),
    at: Timestamp,
    (key, repetition): (String, Repetition),
) {
    if is_notice(id) {
        return;
    }
    let notice = Notice::MessageAside {
        id: id.to_owned(),
        target: target.to_owned(),
        reverse_path: reverse_path.to_owned(),
        reason: reason.to_owned(),
        at,
    };
    writer.notice(NoticeRow {
        at,
        addressee: Addressee::Operator.to_string(),
        subject: id.to_owned(),
        key,
        facts: notice.to_json(),
        repetition,
    });
}
