//! What holds for every build on every day, and for any octets.

use super::*;
use crate::limits::RECEIVED_OCTETS_MAX;
use crate::{
    Connection, Owed, ReceivedLine, SupportPhase, Verdict, evidence, evidence_of_message, invariants,
};
use pc_types::time::{add_days, date_of, start_of};

/// Days from 2007, when the oldest product with dates had ended, to 2027.
fn days(step: i64) -> Vec<Date> {
    let first = start_of(date("2007-01-01"));
    (0..7400).step_by(usize::try_from(step).unwrap()).map(|day| date_of(add_days(first, day))).collect()
}

fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Current => 0,
        Verdict::Behind => 1,
        Verdict::Vulnerable => 2,
        Verdict::Unsupported => 3,
        Verdict::NotExchange | Verdict::Unknown => panic!("{verdict} of a released build"),
    }
}

#[test]
fn no_verdict_improves_by_waiting() {
    let catalogue = catalogue();
    for form in [Form::Exact, Form::Mapi, Form::Smtp] {
        for release in catalogue.releases() {
            let mut worst = 0;
            for day in days(23) {
                let assessment = catalogue.assess(release.build, form, day);
                let is_esu = assessment.support_phase() == SupportPhase::ExtendedSecurityUpdates;
                let now = rank(assessment.state());
                assert!(
                    now >= worst || is_esu,
                    "{} {form:?} on {day}: {}",
                    release.build,
                    assessment.state()
                );
                worst = now;
            }
        }
    }
}

#[test]
fn what_is_owed_stays_owed() {
    let catalogue = catalogue();
    for release in catalogue.releases().filter(|release| release.build.major >= 8) {
        let mut is_owing = false;
        for day in days(31).into_iter().filter(|day| *day >= release.released) {
            let assessment = catalogue.assess(release.build, Form::Smtp, day);
            let owes = matches!(assessment.owed(30, day), Owed::Update { .. });
            assert!(owes || !is_owing, "{} owes nothing any more on {day}", release.build);
            is_owing = owes;
        }
    }
}

#[test]
fn a_lower_bound_is_never_judged_harder_than_the_exact_build() {
    let catalogue = catalogue();
    for release in catalogue.releases() {
        for day in days(61) {
            let exact = catalogue.assess(release.build, Form::Exact, day);
            for form in [Form::Mapi, Form::Smtp] {
                let bound = catalogue.assess(release.build, form, day);
                assert!(rank(bound.state()) <= rank(exact.state()), "{} {form:?} {day}", release.build);
                assert!(bound.cves_len() <= exact.cves_len());
                let hidden: usize = bound.not_visible().iter().map(|update| update.cves.len()).sum();
                assert_eq!(bound.cves_len() + hidden, exact.cves_len(), "{} {form:?} {day}", release.build);
            }
        }
    }
}

#[test]
fn nothing_that_is_out_later_is_ever_named() {
    let catalogue = catalogue();
    for release in catalogue.releases() {
        for day in days(97) {
            let assessment = catalogue.assess(release.build, Form::Smtp, day);
            assert!(assessment.missing().iter().all(|update| update.released <= day));
            assert!(assessment.not_visible().iter().all(|update| update.released <= day));
        }
    }
}

#[test]
fn the_newest_updates_of_supported_levels_are_current() {
    for id in ["15.1.2507.77", "15.2.1544.50", "15.2.1748.55", "15.2.2562.56"] {
        let assessment = assess(id, Form::Exact, "2026-10-31");
        assert_eq!((assessment.state(), assessment.cves_len()), (Verdict::Current, 0), "{id}");
    }
}

/// A generator with a fixed seed (xorshift64), so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }
}

const PIECES: &[&str] = &[
    "from ",
    "by ",
    "with ",
    "id ",
    "via ",
    "for ",
    "Received: ",
    "mapi ",
    "Microsoft SMTP Server ",
    "ESMTP ",
    "ex1.example.org ",
    "Pickup ",
    "[192.0.2.1] ",
    "15.1.2507.39 ",
    "15.02.2562.056",
    "15.20.1.1",
    "(",
    ")",
    "\"",
    "\\",
    ";",
    " ",
    "\r\n\t",
    "Internet Mail Service (5.5.2653.19) ",
    "Frontend Transport",
    "\u{fc}",
    "\u{0}",
    "ShadowRedundancy ",
    "prod.outlook.com ",
    "(TLS) ",
    "Mon, 2 Nov 2026 10:00:00 +0000",
];

#[test]
fn any_order_of_pieces_and_any_octets_keep_the_invariants() {
    let greeting = domain("mail.example.org");
    let connection = Connection { greeting_name: Some(&greeting), configured_names: &[] };
    for seed in 1..=4000 {
        let mut random = Random(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let mut octets = Vec::new();
        for _ in 0..random.below(24) {
            octets.extend_from_slice(PIECES[random.below(PIECES.len())].as_bytes());
        }
        for _ in 0..random.below(3) {
            let place = random.below(octets.len() + 1);
            octets.insert(place, u8::try_from(random.below(256)).unwrap());
        }
        octets.truncate(RECEIVED_OCTETS_MAX);
        invariants::received(&octets);
        let text = String::from_utf8_lossy(&octets);
        let lines = [&*text, &*text];
        if let Some(judged) = evidence(&lines, &connection).judged {
            let by_host = ReceivedLine::parse(&text).by_domain().unwrap();
            assert!(by_host.same_registrable(&greeting), "seed {seed}: {}", judged.header);
        }
        let _ = evidence_of_message(&lines, std::slice::from_ref(&greeting));
    }
}
