use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn up() -> Health {
    Health::new(at(0))
}

fn until(health: &Health, now: Timestamp) -> Timestamp {
    match health.state(now) {
        HealthState::Down(until) => until,
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_broken_transaction_makes_doubtful_and_a_second_takes_down() {
    let doubtful = up().failed(HealthFault::BrokeOff, "rcpt: reset", "a", at(1));
    assert_eq!((doubtful.state(at(1)), doubtful.since()), (HealthState::Doubtful, at(1)));
    let good = doubtful.clone().answered(at(2));
    assert_eq!((good.state(at(2)), good.since()), (HealthState::Up, at(2)));
    assert_eq!(good.last_fault().unwrap().text, "rcpt: reset");
    assert!(matches!(good.failed(HealthFault::BrokeOff, "", "a", at(3)).state(at(3)), HealthState::Doubtful));
    let down = doubtful.failed(HealthFault::BrokeOff, "", "a", at(2));
    assert!(until(&down, at(2)) >= at(2 + HEALTH_FIRST_SECONDS));
}

#[test]
fn each_failed_look_doubles_the_pause_up_to_the_longest() {
    let (mut health, mut now, mut pauses) = (up(), at(0), Vec::new());
    for _ in 0..12 {
        health = health.failed(HealthFault::Unreachable, "connect: refused", "a", now);
        let next = until(&health, now);
        pauses.push(next.as_second() - now.as_second());
        now = next;
        assert_eq!(health.state(now), HealthState::Due);
    }
    assert_eq!(health.since(), at(0), "down since the first failure");
    assert!((5..=6).contains(&pauses[0]), "{pauses:?}");
    assert!(pauses.iter().all(|pause| *pause <= HEALTH_LONGEST_SECONDS * 6 / 5), "{pauses:?}");
    assert!(*pauses.last().unwrap() >= HEALTH_LONGEST_SECONDS, "{pauses:?}");
    let back = health.answered(now).failed(HealthFault::Unreachable, "", "a", now);
    assert!(until(&back, now).as_second() - now.as_second() <= 6, "an answer starts the count anew");
}

#[test]
fn hosts_that_fail_together_are_not_looked_at_together() {
    let looks: std::collections::BTreeSet<Timestamp> = (0..10)
        .map(|host| {
            let mut health = up();
            let mut now = at(0);
            for _ in 0..6 {
                health = health.failed(HealthFault::Unreachable, "", &format!("host {host}"), now);
                now = until(&health, now);
            }
            now
        })
        .collect();
    assert!(looks.len() > 5, "{looks:?}");
}

#[test]
fn late_faults_of_a_host_that_is_down_do_not_prolong_it() {
    let down = up().failed(HealthFault::Unreachable, "first", "a", at(0));
    let again = down.clone().failed(HealthFault::Unreachable, "second", "a", at(1));
    assert_eq!(until(&again, at(1)), until(&down, at(1)));
    assert_eq!(again.last_fault().unwrap().text, "second");
}

#[test]
fn one_message_tries_a_due_host_while_others_go_elsewhere() {
    let down = up().failed(HealthFault::Unreachable, "", "a", at(0));
    let later = until(&down, at(0));
    let tried = down.tried(later);
    assert!(matches!(tried.state(later), HealthState::Down(_)));
    assert_eq!(tried.clone().answered(later).state(later), HealthState::Up);
    let lease = until(&tried, later);
    assert_eq!(tried.state(lease), HealthState::Due, "a lost message does not keep it away");
    assert_eq!(up().tried(at(9)), up(), "others are not changed by it");
}

#[test]
fn traffic_counts_as_a_look_and_a_pause_ends_with_one() {
    assert_eq!(up().check_at(30), at(30));
    assert_eq!(up().answered(at(20)).check_at(30), at(50));
    let down = up().failed(HealthFault::Unreachable, "", "a", at(20));
    assert_eq!(down.check_at(3_600), until(&down, at(20)));
}
