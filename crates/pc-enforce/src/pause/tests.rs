use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn request(days: u32, from: Option<&str>) -> PauseRequest {
    PauseRequest {
        tenant: "example".into(),
        days,
        from: from.map(at),
        reason: "migration".into(),
        owner: "operator".into(),
    }
}

/// Grants in order; panics where one is refused.
fn granted(requests: &[(u32, &str)]) -> Vec<GrantedPause> {
    let mut granted = Vec::new();
    for (number, (days, from)) in (1..).zip(requests) {
        let pause = grant(&granted, request(*days, Some(from)), number, at("2026-01-01T00:00:00Z")).unwrap();
        granted.push(pause);
    }
    granted
}

#[test]
fn the_days_of_a_calendar_year_are_counted_in_that_year() {
    let mut all = granted(&[(60, "2026-02-01T00:00:00Z")]);
    assert_eq!(quota(&all, "example", 2026), Quota { year: 2026, used_days: 60, left_days: 30 });
    assert_eq!(quota(&all, "other", 2026).left_days, 90);
    let now = at("2026-12-01T00:00:00Z");
    let over = grant(&all, request(61, Some("2026-12-02T00:00:00Z")), 2, now);
    assert!(over.is_ok(), "thirty days in December, the rest in January: {over:?}");
    all.push(over.unwrap());
    assert_eq!(quota(&all, "example", 2026).left_days, 0);
    assert_eq!(quota(&all, "example", 2027).left_days, 59);
    let refused = grant(&all, request(1, Some("2026-12-01T00:00:00Z")), 3, now).unwrap_err();
    assert_eq!(refused, PauseRefusal::Budget { tenant: "example".into(), year: 2026, left: 0 });
    let text = refused.to_string();
    assert_eq!(text, "example has 0 of 90 days left in 2026; ask for fewer days");
    let next = grant(&all, request(60, Some("2027-02-15T00:00:00Z")), 3, now).unwrap_err();
    assert_eq!(next, PauseRefusal::Budget { tenant: "example".into(), year: 2027, left: 59 });
}

#[test]
fn asking_again_while_one_runs_makes_it_longer() {
    let mut all = granted(&[(10, "2026-03-01T00:00:00Z")]);
    let now = at("2026-03-05T12:00:00Z");
    let longer = grant(&all, request(5, None), 2, now).unwrap();
    assert_eq!((longer.from, longer.until), (at("2026-03-11T00:00:00Z"), Some(at("2026-03-16T00:00:00Z"))));
    assert_eq!(grant(&all, request(1, Some("2026-03-06T00:00:00Z")), 3, now), Err(PauseRefusal::Overlap(1)));
    all.push(longer);
    assert_eq!(
        grant(&all, request(5, None), 3, at("2026-03-20T00:00:00Z")).unwrap().from,
        at("2026-03-20T00:00:00Z")
    );
}

#[test]
fn ending_early_gives_back_what_was_not_begun() {
    let all = granted(&[(30, "2026-03-01T00:00:00Z")]);
    let ended = end(&all, 1, at("2026-03-05T12:00:00Z")).unwrap();
    assert_eq!(ended.until, Some(at("2026-03-05T12:00:00Z")));
    let all = [ended];
    assert_eq!(quota(&all, "example", 2026).used_days, 5, "begun days are whole days");
    assert_eq!(end(&all, 1, at("2026-03-06T00:00:00Z")), Err(PauseRefusal::Ended(1)));
    assert_eq!(end(&all, 7, at("2026-03-06T00:00:00Z")), Err(PauseRefusal::Unknown(7)));
    let ahead = granted(&[(30, "2026-05-01T00:00:00Z")]);
    let never = end(&ahead, 1, at("2026-03-01T00:00:00Z")).unwrap();
    assert_eq!(quota(std::slice::from_ref(&never), "example", 2026).used_days, 0);
    assert_eq!(never.until, Some(never.from), "it stops nothing");
}

#[test]
fn the_clock_is_not_turned_back_and_days_are_days() {
    let now = at("2026-03-01T00:00:00Z");
    assert_eq!(grant(&[], request(0, None), 1, now), Err(PauseRefusal::Days));
    assert_eq!(grant(&[], request(91, None), 1, now), Err(PauseRefusal::Days));
    assert_eq!(grant(&[], request(1, Some("2026-02-28T23:59:59Z")), 1, now), Err(PauseRefusal::From));
    assert_eq!(grant(&[], request(1, Some("2028-03-02T00:00:00Z")), 1, now), Err(PauseRefusal::From));
}

#[test]
fn a_stop_holds_for_everybody_and_costs_nobody() {
    let now = at("2026-03-01T00:00:00Z");
    let mut all = granted(&[(10, "2026-03-01T00:00:00Z")]);
    all.push(stop("a fault of ours".into(), "operator".into(), 2, now));
    assert_eq!(pauses_of(&all, Some("example")).len(), 2);
    assert_eq!(pauses_of(&all, None).len(), 1);
    assert_eq!(quota(&all, DEFAULT_TENANT, 2026).used_days, 0);
    assert!(runs(&all[1], at("2030-01-01T00:00:00Z")));
    let ended = end(&all, 2, at("2026-03-02T00:00:00Z")).unwrap();
    assert!(!runs(&ended, at("2026-03-02T00:00:00Z")));
}

/// Requests and endings of a few years at random, from a seed of its own.
#[test]
fn whatever_is_asked_a_year_never_has_more_than_its_budget() {
    for seed in 1..200_u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut next = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let mut all: Vec<GrantedPause> = Vec::new();
        let mut now = at("2026-01-01T00:00:00Z");
        for number in 1..80 {
            now = time::add_days(now, i64::try_from(next(20)).unwrap());
            let days = u32::try_from(next(95)).unwrap();
            let from = (next(2) == 0).then(|| time::add_days(now, i64::try_from(next(200)).unwrap()));
            let request = PauseRequest { from, ..request(days, None) };
            if let Ok(pause) = grant(&all, request, number, now) {
                all.push(pause);
            }
            if let (0, Some(last)) = (next(3), all.last().map(|pause| pause.number))
                && let Ok(ended) = end(&all, last, now)
            {
                all.pop();
                all.push(ended);
            }
        }
        for year in 2026..2033 {
            let begin: Timestamp = at(&format!("{year}-01-01T00:00:00Z"));
            let after: Timestamp = at(&format!("{}-01-01T00:00:00Z", year + 1));
            let paused: i64 = all
                .iter()
                .map(|pause| {
                    let until = pause.until.unwrap().min(after).as_second();
                    (until - pause.from.max(begin).as_second()).max(0)
                })
                .sum();
            assert!(paused <= 90 * 86_400, "seed {seed}, {year}: {paused}");
            assert!(quota(&all, "example", year).used_days <= 90, "seed {seed}");
        }
    }
}
