use pc_types::{Domain, SignedDuration, Timestamp};

use crate::limits::{
    DELAY_FIRST_REFUSED, DELAY_MAX, ISSUE_INTERVAL_MIN, ISSUED_LEFT_MIN, RETRY_AFTER_MAX, TEXT_OCTETS_MAX,
};
use crate::{
    Asked, Attempts, Challenge, Failure, FailureKind, Held, Service, Step, Why, is_overdue, judge_issued,
    renews_at, retry_after,
};

/// For a certificate that is served.
fn next(asked: &Asked, held: Option<&Held>, attempts: &Attempts, now: Timestamp) -> Step {
    crate::next(asked, held.map(|held| (held, Service::In)), attempts, now)
}

const DIRECTORY: &str = "https://ca.example.org/directory";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

fn names(names: &[&str]) -> Vec<Domain> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn asked(renew_days: Option<u32>) -> Asked {
    Asked { names: names(&["mail.example.org"]), renew_days }
}

fn none() -> Attempts {
    Attempts::none(DIRECTORY, &asked(None).names)
}

fn held(lifetime: SignedDuration) -> Held {
    let not_before = at("2026-11-01T00:00:00Z");
    let not_after = not_before.checked_add(lifetime).unwrap();
    Held { names: vec!["mail.example.org".to_owned()], not_before, not_after }
}

#[test]
fn a_certificate_that_is_missing_is_asked_for_at_once() {
    assert_eq!(next(&asked(None), None, &none(), at("2026-11-01T00:00:00Z")), Step::Issue(Why::Missing));
}

#[test]
fn one_is_renewed_when_a_third_of_its_lifetime_is_left() {
    let held = held(days(90));
    assert_eq!(renews_at(&asked(None), &held), at("2026-12-31T00:00:00Z"));
    let step = |now: &str| next(&asked(None), Some(&held), &none(), at(now));
    assert_eq!(step("2026-12-30T23:59:59Z"), Step::Wait(at("2026-12-31T00:00:00Z")));
    assert_eq!(step("2026-12-31T00:00:00Z"), Step::Issue(Why::Due));
}

#[test]
fn a_certificate_of_six_days_is_renewed_two_days_before_its_end_and_the_operator_hears_half_a_day_later() {
    let held = held(days(6));
    assert_eq!(renews_at(&asked(None), &held), at("2026-11-05T00:00:00Z"));
    assert!(!is_overdue(&asked(None), &held, at("2026-11-05T11:59:59Z")));
    assert!(is_overdue(&asked(None), &held, at("2026-11-05T12:00:00Z")));
}

#[test]
fn days_of_the_operator_count_up_to_half_of_the_lifetime() {
    assert_eq!(renews_at(&asked(Some(10)), &held(days(90))), at("2027-01-20T00:00:00Z"));
    assert_eq!(renews_at(&asked(Some(30)), &held(days(6))), at("2026-11-04T00:00:00Z"));
}

#[test]
fn a_name_that_was_added_is_asked_for_although_the_end_is_far() {
    let asked = Asked { names: names(&["mail.example.org", "mx.example.org"]), renew_days: None };
    let step = next(&asked, Some(&held(days(90))), &none(), at("2026-11-02T00:00:00Z"));
    assert_eq!(step, Step::Issue(Why::Names));
}

#[test]
fn a_certificate_that_is_due_as_soon_as_it_comes_is_not_asked_for_in_a_loop() {
    let now = at("2026-11-05T12:00:00Z");
    let attempts = none().issued(now);
    let again = now.checked_add(ISSUE_INTERVAL_MIN).unwrap();
    assert_eq!(next(&asked(None), Some(&held(days(6))), &attempts, now), Step::Wait(again));
    assert_eq!(next(&asked(None), Some(&held(days(6))), &attempts, again), Step::Issue(Why::Due));
    // Nor is one that ended at once, or cannot be used.
    assert_eq!(next(&asked(None), None, &attempts, now), Step::Wait(again));
    assert_eq!(next(&asked(None), None, &attempts, again), Step::Issue(Why::Missing));
}

#[test]
fn a_certificate_that_ends_at_once_or_before_the_one_that_is_held_is_refused() {
    let now = at("2026-11-01T00:00:00Z");
    let judge =
        |fresh: SignedDuration, before: Option<&Held>| judge_issued(&asked(None), &held(fresh), before, now);
    for short in [SignedDuration::from_secs(1), ISSUED_LEFT_MIN - SignedDuration::from_secs(1)] {
        let why = judge(short, None).unwrap_err();
        assert!(why.contains("ends at 2026-11-01T0"), "{why}");
    }
    for lived in [ISSUED_LEFT_MIN, days(1), days(6), days(90)] {
        assert_eq!(judge(lived, None), Ok(()), "{lived:?}");
        assert_eq!(judge(lived, Some(&held(lived))), Ok(()), "{lived:?}");
        let why = judge(lived, Some(&held(lived + SignedDuration::from_secs(1)))).unwrap_err();
        assert!(why.contains("sooner than the one that is held"), "{why}");
    }
    // The one that is held leaves out a name, so that it has to go.
    let other = Held { names: vec!["mx.example.org".to_owned()], ..held(days(90)) };
    assert_eq!(judge(days(6), Some(&other)), Ok(()));
    let why = judge_issued(&asked(None), &other, None, now).unwrap_err();
    assert!(why.contains("for other names: mx.example.org"), "{why}");
}

#[test]
fn a_failure_is_kept_in_a_file_and_counts_for_the_same_names_only() {
    let now = at("2026-11-01T00:00:00Z");
    let failed = none().failed(&Failure::new(FailureKind::Refused, "no"), None, now);
    let read = |directory, list: &[&str]| Attempts::read(&failed.to_text(), directory, &names(list));
    assert_eq!(read(DIRECTORY, &["mail.example.org"]), failed);
    assert_eq!(read(DIRECTORY, &["mx.example.org"]).failures, 0);
    assert_eq!(read("https://other.example.org/", &["mail.example.org"]).failures, 0);
    assert_eq!(Attempts::read("{", DIRECTORY, &asked(None).names), none());
    let first = now.checked_add(DELAY_FIRST_REFUSED).unwrap();
    assert_eq!(next(&asked(None), None, &failed, now), Step::Wait(first));
}

#[test]
fn a_delay_from_a_clock_that_ran_ahead_does_not_hold_for_years() {
    let failed = none().failed(&Failure::new(FailureKind::Refused, "no"), None, at("2036-01-01T00:00:00Z"));
    assert_eq!(next(&asked(None), None, &failed, at("2026-01-01T00:00:00Z")), Step::Issue(Why::Missing));
}

#[test]
fn a_certificate_that_is_held_and_not_served_is_put_in_service_before_another_is_asked_for() {
    let held = held(days(90));
    let step = |attempts: &Attempts, now: &str| {
        crate::next(&asked(None), Some((&held, Service::Out)), attempts, at(now))
    };
    assert_eq!(step(&none(), "2026-11-02T00:00:00Z"), Step::Serve);
    assert_eq!(step(&none(), "2026-12-31T00:00:00Z"), Step::Issue(Why::Due), "it ends");
    let failure = Failure::new(FailureKind::Certificate, "no");
    let failed = none().failed(&failure, Some(&held), at("2026-11-02T00:00:00Z"));
    assert_eq!(step(&failed, "2026-11-02T00:14:59Z"), Step::Wait(at("2026-11-02T00:15:00Z")));
    assert_eq!(step(&failed, "2026-11-02T00:15:00Z"), Step::Serve);
    assert_eq!(failed.served(), none());
    let limited = Failure::new(FailureKind::RateLimited, "no");
    let limited = none().failed(&limited, Some(&held), at("2026-11-02T00:00:00Z"));
    assert_eq!(limited.clone().served(), limited, "the authority's limit is kept");
}

#[test]
fn retry_after_is_seconds_or_a_date_and_bounded() {
    let now = at("2026-11-01T00:00:00Z");
    let seconds = |text| retry_after(text, now).map(|delay| delay.as_secs());
    assert_eq!(seconds("120"), Some(120));
    assert_eq!(seconds(" 0 "), Some(0));
    assert_eq!(seconds("Sun, 01 Nov 2026 00:01:00 GMT"), Some(60));
    assert_eq!(seconds("Sat, 31 Oct 2026 00:00:00 GMT"), Some(0));
    for long in ["99999999999", "99999999999999999999999999", "Sun, 01 Nov 2099 00:01:00 GMT"] {
        assert_eq!(retry_after(long, now), Some(RETRY_AFTER_MAX), "{long}");
    }
    for nonsense in ["", "soon", "-1", "1.5", "1 2"] {
        assert_eq!(seconds(nonsense), None, "{nonsense}");
    }
}

#[test]
fn problems_are_told_apart_by_their_type_before_their_status() {
    let of = |word: &str, status| {
        FailureKind::of_problem(Some(&format!("urn:ietf:params:acme:error:{word}")), Some(status))
    };
    assert_eq!(of("rateLimited", 429), FailureKind::RateLimited);
    assert_eq!(of("externalAccountRequired", 403), FailureKind::Account);
    assert_eq!(of("badNonce", 400), FailureKind::Server);
    assert_eq!(of("caa", 403), FailureKind::Challenge);
    assert_eq!(of("rejectedIdentifier", 400), FailureKind::Refused);
    assert_eq!(FailureKind::of_problem(None, Some(429)), FailureKind::RateLimited);
    assert_eq!(FailureKind::of_problem(None, Some(503)), FailureKind::Server);
    assert_eq!(FailureKind::of_problem(Some("about:blank"), None), FailureKind::Refused);
}

#[test]
fn what_an_authority_says_is_escaped_and_cut_and_the_remedy_stays() {
    let hostile = format!("\u{1b}[2J\n{}", "x".repeat(5000));
    let failure = Failure::of_challenge(Challenge::Http01, "mail.example.org", &hostile);
    assert!(!failure.text.contains(['\u{1b}', '\n']), "{}", failure.text);
    assert!(failure.text.len() < TEXT_OCTETS_MAX + 500);
    assert!(failure.text.contains("http://mail.example.org/.well-known/acme-challenge/"), "{}", failure.text);
    assert!(failure.text.contains("port 80"), "{}", failure.text);
}

/// xorshift64*, so that a failure can be seen again.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % bound
    }

    fn seconds(&mut self, bound: u64) -> SignedDuration {
        SignedDuration::from_secs(i64::try_from(self.below(bound)).unwrap())
    }
}

const KINDS: [FailureKind; 9] = [
    FailureKind::Account,
    FailureKind::Certificate,
    FailureKind::Challenge,
    FailureKind::Connection,
    FailureKind::Folder,
    FailureKind::RateLimited,
    FailureKind::Refused,
    FailureKind::Server,
    FailureKind::Timeout,
];

#[test]
fn whatever_fails_nothing_is_asked_early_and_everything_is_asked_again() {
    for seed in 1..500 {
        let mut random = Seeded(seed);
        let mut now = at("2026-11-01T00:00:00Z");
        let mut attempts = none();
        let certificate = (random.below(2) == 0).then(|| held(random.seconds(400 * 86_400)));
        for _ in 0..40 {
            let kind = KINDS[usize::try_from(random.below(9)).unwrap()];
            let asks_to_wait = (random.below(3) == 0).then(|| random.seconds(30 * 86_400));
            let failure = Failure::new(kind, "no").with_retry_after(asks_to_wait);
            attempts = attempts.failed(&failure, certificate.as_ref(), now);
            let delay = attempts.not_before.unwrap().duration_since(now);
            assert!(delay >= kind.delay_first(), "seed {seed}: {kind:?} {delay:?}");
            assert!(delay <= DELAY_MAX.max(RETRY_AFTER_MAX), "seed {seed}: {kind:?} {delay:?}");
            let bounded = asks_to_wait.map(|wait| wait.min(RETRY_AFTER_MAX));
            assert!(bounded.is_none_or(|wait| delay >= wait), "seed {seed}: Retry-After was not kept");
            // What is written down and read again says the same.
            let read = Attempts::read(&attempts.to_text(), DIRECTORY, &asked(None).names);
            assert_eq!(read, attempts, "seed {seed}");
            match next(&asked(None), certificate.as_ref(), &attempts, now) {
                step @ (Step::Issue(_) | Step::Serve) => panic!("seed {seed}: {step:?} at once"),
                Step::Wait(until) => {
                    assert!(until > now, "seed {seed}");
                    let step = next(&asked(None), certificate.as_ref(), &attempts, until);
                    assert!(matches!(step, Step::Issue(_)), "seed {seed}: {step:?}");
                    now = until;
                }
            }
        }
    }
}

#[test]
fn delays_without_a_certificate_that_ends_never_shrink_for_the_same_fault() {
    for kind in KINDS {
        let (now, mut attempts, mut last) = (at("2026-11-01T00:00:00Z"), none(), SignedDuration::ZERO);
        for _ in 0..30 {
            attempts = attempts.failed(&Failure::new(kind, "no"), None, now);
            let delay = attempts.not_before.unwrap().duration_since(now);
            assert!(delay >= last && delay <= DELAY_MAX, "{kind:?}");
            last = delay;
        }
        assert_eq!(last, DELAY_MAX, "{kind:?}");
        assert_eq!(attempts.clone().issued(now).failures, 0);
    }
}
