use pc_types::{Domain, Escaped};

use crate::limits::{DIGEST_MESSAGES_MAX, TEXT_OCTETS_MAX};
use crate::notice::Notice;

/// Subject and text of the mail that tells the operator of everything that waits.
pub fn digest(node_name: &Domain, notices: &[&Notice]) -> (String, String) {
    let count = notices.len();
    let (messages, wait) =
        if count == 1 { ("1 message".to_owned(), "waits") } else { (format!("{count} messages"), "wait") };
    let subject = format!("{node_name}: {messages} {wait} for you");
    let mut text = format!(
        "The mail gateway {node_name} has set {messages} aside. Nothing of it is lost and nothing of it is tried again\n\
         until you say so.\n"
    );
    for notice in notices.iter().take(DIGEST_MESSAGES_MAX) {
        let Notice::MessageAside { id, target, reverse_path, reason, at } = notice else { continue };
        text.push_str(&format!(
            "\n{id}   for {}, set aside {at:.0}\n    from <{}>\n    {}\n",
            shown(target),
            shown(reverse_path),
            shown(reason),
        ));
    }
    if count > DIGEST_MESSAGES_MAX {
        text.push_str(&format!("\n... and {} more: portcullis spool list\n", count - DIGEST_MESSAGES_MAX));
    }
    text.push_str(
        "\nWhat to do, on the node or on its page /spool:\n\
         \x20   portcullis spool show ID      what it is and what was tried\n\
         \x20   portcullis spool retry ID     offer it again\n\
         \x20   portcullis spool remove ID    remove it for good\n\
         \nSenders were not told: nothing proves that they are who they say. See \"The spool\" in docs/operations.md.\n",
    );
    (subject, text)
}

/// A peer's text on one line, without anything that a terminal or a reader would act on.
fn shown(text: &str) -> String {
    let mut end = text.len().min(TEXT_OCTETS_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Escaped::new(text.get(..end).unwrap_or_default()).to_string()
}
