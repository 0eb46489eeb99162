use pc_queue::{Answer, Attempt};
use pc_smtp::{Command, Envelope};

use super::of_attempt;

fn three() -> Envelope {
    let Ok(Command::Mail(reverse_path, parameters)) = Command::parse(b"MAIL FROM:<a@example.net>") else {
        panic!()
    };
    let recipients = ["b", "c", "d"].iter().map(|name| {
        match Command::parse(format!("RCPT TO:<{name}@example.org>").as_bytes()) {
            Ok(Command::Rcpt(recipient)) => recipient,
            other => panic!("{other:?}"),
        }
    });
    Envelope { reverse_path, parameters, recipients: recipients.collect() }
}

#[test]
fn every_recipient_that_was_not_taken_is_named_with_its_reply() {
    let envelope = three();
    let answers = vec![
        Answer::Refused("550 5.1.1 no such user".into()),
        Answer::Delivered { dsn_offered: true },
        Answer::Deferred("451 4.3.0 later".into()),
    ];
    let (code, detail) =
        of_attempt(&Attempt::Answered(answers), "250 2.0.0 queued", Some(&envelope), &[0, 1, 2]);
    assert_eq!(code, "deferred");
    assert_eq!(
        detail,
        "1 of 3 recipients: 250 2.0.0 queued; b@example.org: 550 5.1.1 no such user; d@example.org: 451 4.3.0 later"
    );
}

#[test]
fn the_places_of_a_second_attempt_are_those_of_the_whole_message() {
    let envelope = three();
    let answers = Attempt::Answered(vec![Answer::Refused("550 5.7.1 no".into())]);
    assert_eq!(
        of_attempt(&answers, "", Some(&envelope), &[2]),
        ("refused", "d@example.org: 550 5.7.1 no".to_owned())
    );
}
