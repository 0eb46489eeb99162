use std::fmt::Write as _;
use std::sync::LazyLock;

use pc_exchange::{Catalogue, Form};
use pc_types::Date;

use super::*;

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::embedded().unwrap());

const ENROLLED: Entitlement = Entitlement { esu: true };
const NONE: Entitlement = Entitlement { esu: false };

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

fn preset(name: &str) -> Floor {
    Floor::preset(name, 30).unwrap()
}

fn judged(floor: &Floor, build: &str, entitlement: Entitlement, date: &str) -> Judged {
    judged_as(floor, build.parse().unwrap(), Form::Exact, entitlement, day(date))
}

fn judged_as(floor: &Floor, build: Build, form: Form, entitlement: Entitlement, date: Date) -> Judged {
    floor.judge(&CATALOGUE.judge_build(build, form, date), entitlement, date)
}

fn standing(floor: &Floor, build: &str, entitlement: Entitlement, date: &str) -> Standing {
    judged(floor, build, entitlement, date).standing
}

fn install(standing: Standing) -> String {
    match standing {
        Standing::Owing { install, .. } => install,
        other => panic!("{other:?}"),
    }
}

fn builds(
    name: &str,
    versions: &[(u32, Option<&str>, &[&str])],
    esu_only: EsuOnly,
) -> Result<Floor, FloorError> {
    let version = |(version, effective, builds): &(u32, Option<&str>, &[&str])| FloorVersion {
        version: *version,
        announced: None,
        effective: effective.map(day),
        demand: Demand {
            wanted: Wanted::Builds(builds.iter().map(|build| build.parse().unwrap()).collect()),
            esu_only,
        },
    };
    Floor::new(name, versions.iter().map(version).collect())
}

/// All builds of the catalogue under a preset; neighbours of one branch with one outcome share a line.
fn table(name: &str, date: &str) -> String {
    let floor = preset(name);
    let mut lines: Vec<(Build, Build, usize, String)> = Vec::new();
    for release in CATALOGUE.releases() {
        let outcome = |entitlement| match judged_as(
            &floor,
            release.build,
            Form::Exact,
            entitlement,
            day(date),
        )
        .standing
        {
            Standing::Owing { code, install, .. } => format!("owing {code}; {install}"),
            other => other.as_str().to_owned(),
        };
        let (without, with) = (outcome(NONE), outcome(ENROLLED));
        let text = if with == without { without } else { format!("{without}\n    enrolled: {with}") };
        let text = format!("{} {}: {text}", release.product, release.level);
        match lines.last_mut() {
            Some((_, last, count, before)) if *before == text => {
                *last = release.build;
                *count += 1;
            }
            _ => lines.push((release.build, release.build, 1, text)),
        }
    }
    let mut table = format!("{name} on {date}\n");
    for (first, last, count, text) in lines {
        writeln!(table, "{first} to {last} ({count}) {text}").unwrap();
    }
    table
}

fn check(name: &str, date: &str, file: &str, expected: &str) {
    let table = table(name, date);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(file);
        std::fs::write(path, &table).unwrap();
        return;
    }
    for (number, (line, want)) in table.lines().zip(expected.lines()).enumerate() {
        assert_eq!(line, want, "{file} line {}", number + 1);
    }
    assert_eq!(table.lines().count(), expected.lines().count(), "{file}");
}

macro_rules! golden {
    ($test:ident, $preset:literal, $date:literal, $file:literal) => {
        #[test]
        fn $test() {
            check($preset, $date, $file, include_str!(concat!("../../fixtures/", $file)));
        }
    };
}

golden!(all_builds_under_current, "current", "2026-10-20", "floor-current.txt");
golden!(all_builds_under_kev, "kev", "2026-10-20", "floor-kev.txt");
golden!(all_builds_under_microsoft_2024_05, "microsoft-2024-05", "2024-05-28", "floor-microsoft-2024-05.txt");
golden!(all_builds_under_microsoft_2026_09, "microsoft-2026-09", "2026-10-20", "floor-microsoft-2026-09.txt");

fn rank(standing: &Standing) -> u8 {
    match standing {
        Standing::Met | Standing::NotExchange => 0,
        Standing::Unknown { .. } => 1,
        Standing::Owing { .. } => 2,
    }
}

#[test]
fn a_later_build_of_a_branch_never_owes_more() {
    let own = [
        builds("esu", &[(1, None, &["15.1.2507.77", "15.2.1748.55", "15.2.2562.56"])], EsuOnly::Owed)
            .unwrap(),
        builds("esu", &[(1, None, &["15.1.2507.77", "15.2.1748.55", "15.2.2562.56"])], EsuOnly::NotOwed)
            .unwrap(),
        builds("gaps", &[(1, None, &["15.0.1497.48", "15.1.2375.37", "15.2.1258.23"])], EsuOnly::Owed)
            .unwrap(),
    ];
    let sparing = ["current", "kev"].map(|name| {
        let mut version = preset_version(name, 30).unwrap();
        version.demand.esu_only = EsuOnly::NotOwed;
        Floor::new("sparing", vec![version]).unwrap()
    });
    for floor in PRESETS.into_iter().map(preset).chain(own).chain(sparing) {
        for date in
            ["2016-03-01", "2021-03-20", "2024-05-28", "2025-11-20", "2026-04-20", "2026-10-20", "2026-12-01"]
        {
            for entitlement in [NONE, ENROLLED] {
                for form in [Form::Exact, Form::Smtp, Form::Mapi] {
                    let mut before: Option<(Build, u8)> = None;
                    for release in CATALOGUE.releases().filter(|release| release.released <= day(date)) {
                        let judged = judged_as(&floor, release.build, form, entitlement, day(date));
                        let owes = rank(&judged.standing);
                        if let Some((build, earlier)) = before
                            && build.branch() == release.build.branch()
                        {
                            assert!(
                                owes <= earlier,
                                "{} owes more than {build} under {} on {date}, {form:?}, {entitlement:?}: {:?}",
                                release.build,
                                floor.name(),
                                judged.standing
                            );
                        }
                        before = Some((release.build, owes));
                    }
                }
            }
        }
    }
}

#[test]
fn enrolment_never_makes_a_server_owe_more_under_a_table_or_kev() {
    for name in ["kev", "microsoft-2024-05", "microsoft-2026-09"] {
        for release in CATALOGUE.releases() {
            let outcome = |entitlement| {
                rank(
                    &judged_as(&preset(name), release.build, Form::Exact, entitlement, day("2026-10-20"))
                        .standing,
                )
            };
            assert!(outcome(ENROLLED) <= outcome(NONE), "{} under {name}", release.build);
        }
    }
}

#[test]
fn the_last_public_update_meets_the_floor_of_september_2026_and_the_one_before_does_not() {
    let floor = preset("microsoft-2026-09");
    for (good, bad, update) in [
        ("15.1.2507.61", "15.1.2507.59", "CU23 Oct25SU (15.1.2507.61, KB5066369)"),
        ("15.2.1748.39", "15.2.1748.37", "CU15 Oct25SU (15.2.1748.39, KB5066367)"),
        ("15.2.1544.36", "15.2.1544.34", "CU14 Oct25SU (15.2.1544.36, KB5066368)"),
    ] {
        assert_eq!(standing(&floor, good, NONE, "2026-10-20"), Standing::Met);
        let owing = install(standing(&floor, bad, NONE, "2026-10-20"));
        assert!(owing.ends_with(update), "{owing}");
        assert_eq!(standing(&floor, bad, NONE, "2026-09-12"), Standing::Met, "not in force yet");
    }
    assert_eq!(
        standing(&floor, "15.2.2562.17", NONE, "2026-10-20"),
        Standing::Met,
        "SE is newer than the table"
    );
    let older = install(standing(&floor, "15.2.1258.39", NONE, "2026-10-20"));
    assert_eq!(older, "Exchange Server 2019 CU15, then CU15 Oct25SU (15.2.1748.39, KB5066367)");
    let gone = install(standing(&floor, "15.0.1497.48", NONE, "2026-10-20"));
    assert!(gone.starts_with("migrate to Exchange Server Subscription Edition"), "{gone}");
}

#[test]
fn numbers_are_compared_inside_one_cumulative_update_only() {
    // 2019 CU12 stands at 1118, so that its revisions say nothing against those of CU13 at 1258.
    let floor = preset("microsoft-2024-05");
    assert_eq!(standing(&floor, "15.2.1118.36", NONE, "2024-05-28"), Standing::Met);
    assert!(matches!(standing(&floor, "15.2.1258.16", NONE, "2024-05-28"), Standing::Owing { .. }));
    // A cumulative update made after the table carries what the table asks for.
    assert_eq!(standing(&floor, "15.2.1544.4", NONE, "2024-05-28"), Standing::Met);
    // The high revision of the March 2021 special on an old one does not.
    assert!(matches!(standing(&floor, "15.2.330.11", NONE, "2024-05-28"), Standing::Owing { .. }));
}

#[test]
fn an_id_that_stands_for_a_listed_build_meets_it() {
    let floor = builds("march", &[(1, None, &["15.0.1497.33"])], EsuOnly::Owed).unwrap();
    assert_eq!(
        standing(&floor, "15.0.1497.32", NONE, "2022-04-01"),
        Standing::Met,
        "headers show .32 for .33"
    );
    assert!(matches!(standing(&floor, "15.0.1497.28", NONE, "2022-04-01"), Standing::Owing { .. }));
    // Before May 2021 the id of the SMTP line stays at the cumulative update.
    let floor = builds("hidden", &[(1, None, &["15.0.1497.15"])], EsuOnly::Owed).unwrap();
    let hidden = judged_as(&floor, "15.0.1497.2".parse().unwrap(), Form::Smtp, NONE, day("2021-05-01"));
    assert_eq!(hidden.standing, Standing::Met);
    let exact = judged_as(&floor, "15.0.1497.2".parse().unwrap(), Form::Exact, NONE, day("2021-05-01"));
    assert!(matches!(exact.standing, Standing::Owing { .. }));
}

#[test]
fn a_branch_between_the_listed_ones_is_unknown_and_not_guessed() {
    let floor = builds("gap", &[(1, None, &["15.2.1118.36", "15.2.1544.36"])], EsuOnly::Owed).unwrap();
    let Standing::Unknown { code, .. } = standing(&floor, "15.2.1258.28", NONE, "2025-11-01") else {
        panic!("guessed");
    };
    assert_eq!(code, "not_in_floor");
}

#[test]
fn where_only_an_extended_update_helps_the_owner_is_told_to_migrate_or_enrol() {
    let asks: &[&str] = &["15.1.2507.69", "15.2.1748.46"];
    let counts = builds("house", &[(1, None, asks)], EsuOnly::Owed).unwrap();
    let told = install(standing(&counts, "15.1.2507.61", NONE, "2026-10-20"));
    assert!(told.starts_with("migrate to Exchange Server Subscription Edition"), "{told}");
    assert!(told.contains("or enrol in extended security updates"), "{told}");
    let told = install(standing(&counts, "15.1.2507.61", ENROLLED, "2026-10-20"));
    assert!(told.starts_with("Exchange Server 2016 CU23 Jun26SU (15.1.2507.69"), "{told}");
    let spares = builds("house", &[(1, None, asks)], EsuOnly::NotOwed).unwrap();
    assert_eq!(standing(&spares, "15.1.2507.61", NONE, "2026-10-20"), Standing::Met);
    assert!(
        matches!(standing(&spares, "15.1.2507.58", NONE, "2026-10-20"), Standing::Owing { .. }),
        "a public update is missing as well"
    );
    let told = install(standing(&counts, "15.1.2507.61", NONE, "2026-11-20"));
    assert!(!told.contains("or enrol"), "the last period is over: {told}");
}

#[test]
fn an_enrolled_owner_is_held_to_the_extended_updates_and_others_to_migration() {
    let floor = preset("current");
    let told = install(standing(&floor, "15.1.2507.61", NONE, "2026-10-20"));
    assert!(told.starts_with("migrate to"), "{told}");
    let told = install(standing(&floor, "15.1.2507.61", ENROLLED, "2026-10-20"));
    assert!(told.starts_with("Exchange Server 2016 CU23 Oct26SU"), "{told}");
    assert_eq!(standing(&floor, "15.1.2507.77", ENROLLED, "2026-10-20"), Standing::Met);
    assert_eq!(
        standing(&floor, "15.1.2507.61", ENROLLED, "2025-11-20"),
        Standing::Met,
        "none has come out yet"
    );
    assert!(matches!(standing(&floor, "15.1.2507.77", ENROLLED, "2026-12-01"), Standing::Owing { .. }));
}

#[test]
fn an_exploited_vulnerability_is_owed_and_a_product_that_is_no_longer_assessed_is_unknown() {
    let floor = preset("kev");
    let Standing::Owing { code, text, install } = standing(&floor, "15.2.2562.37", NONE, "2026-10-20") else {
        panic!("CVE-2026-42897 is open");
    };
    assert_eq!(code, "exploited_vulnerability_open");
    assert!(text.contains("CVE-2026-42897"), "{text}");
    assert!(install.contains("Oct26SU"), "{install}");
    assert_eq!(standing(&floor, "15.2.2562.43", NONE, "2026-10-20"), Standing::Met);
    let public = self::install(standing(&floor, "15.1.2507.61", NONE, "2026-10-20"));
    assert!(public.contains("or enrol"), "fixed by an extended update only: {public}");
    assert!(matches!(
        standing(&floor, "15.0.1497.48", NONE, "2026-10-20"),
        Standing::Unknown { .. } | Standing::Owing { .. }
    ));
}

#[test]
fn the_version_in_force_is_the_last_whose_day_has_come() {
    let floor = builds(
        "house",
        &[(2, Some("2027-01-12"), &["15.1.2507.61"]), (1, None, &["15.1.2507.31"])],
        EsuOnly::Owed,
    )
    .unwrap();
    let number = |date| floor.in_force(day(date)).map(|version| version.version);
    assert_eq!((number("2027-01-11"), number("2027-01-12")), (Some(1), Some(2)));
    assert_eq!(floor.next(day("2026-12-01")).map(|version| version.version), Some(2));
    let raised = judged(&floor, "15.1.2507.44", NONE, "2027-02-01");
    assert_eq!(raised.meets_earlier, Some(1));
    assert_eq!(judged(&floor, "15.1.2507.27", NONE, "2027-02-01").meets_earlier, None);
}

#[test]
fn versions_that_contradict_each_other_are_refused() {
    let one = |versions: &[(u32, Option<&str>, &[&str])]| builds("x", versions, EsuOnly::Owed).unwrap_err();
    let asks: &[&str] = &["15.1.2507.31"];
    assert_eq!(one(&[]), FloorError::Empty);
    assert_eq!(one(&[(1, None, &[])]), FloorError::Empty);
    assert_eq!(one(&[(1, None, asks), (1, Some("2027-01-01"), asks)]), FloorError::Twice(1));
    assert_eq!(one(&[(1, Some("2027-01-01"), asks), (2, Some("2026-01-01"), asks)]), FloorError::Order(2));
    assert_eq!(one(&[(1, Some("2027-01-01"), asks), (2, None, asks)]), FloorError::Order(2));
    let two: (Build, Build) = ("15.1.2507.31".parse().unwrap(), "15.1.2507.39".parse().unwrap());
    assert_eq!(one(&[(1, None, &["15.1.2507.31", "15.1.2507.39"])]), FloorError::Branch(two.0, two.1));
}
