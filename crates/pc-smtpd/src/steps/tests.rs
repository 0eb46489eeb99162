use super::*;

#[tokio::test(start_paused = true)]
async fn many_recipients_and_long_words_stay_bounded_and_leave_room_for_the_end() {
    let mut steps = Steps { opened: Instant::now(), rows: Vec::new(), recipients: 0 };
    tokio::time::advance(std::time::Duration::from_millis(7)).await;
    for number in 0..1_000 {
        steps.recipient(&format!("{number}{}@example.org", "ä".repeat(400)), "250 2.1.5 recipient OK");
    }
    steps.note("reply", "250 2.0.0 taken".to_owned());
    let rows = steps.rows();
    assert_eq!(rows.len(), RECIPIENT_STEPS_MAX + 2);
    assert!(rows.iter().all(|row| row.at_ms == 7 && row.text.len() <= STEP_OCTETS_MAX));
    let more = format!("and {} more recipients", 1_000 - RECIPIENT_STEPS_MAX);
    assert_eq!(rows[RECIPIENT_STEPS_MAX].text, more);
    assert_eq!(rows.last().unwrap().text, "250 2.0.0 taken");
    for _ in 0..1_000 {
        steps.note("mail", String::new());
    }
    assert_eq!(steps.rows().len(), STEPS_MAX + 1);
}
