use super::*;
use crate::load::{EMBEDDED, SUMS};
use crate::{CatalogueError, CatalogueFault, CatalogueFile, Relation};
use pc_types::{hex, sha256};

/// The embedded files with one changed, its checksum corrected.
fn load_changed(name: &str, change: impl Fn(String) -> String) -> Result<Catalogue, CatalogueError> {
    let original = EMBEDDED.iter().find(|file| file.name == name).unwrap();
    let changed = change(String::from_utf8(original.bytes.to_vec()).unwrap());
    let sums = String::from_utf8(EMBEDDED[0].bytes.to_vec()).unwrap();
    let sums = sums.replace(&hex(&sha256(original.bytes)), &hex(&sha256(changed.as_bytes())));
    let files: Vec<CatalogueFile<'_>> = EMBEDDED
        .iter()
        .map(|file| match file.name {
            SUMS => CatalogueFile { name: SUMS, bytes: sums.as_bytes() },
            other if other == name => CatalogueFile { name, bytes: changed.as_bytes() },
            _ => *file,
        })
        .collect();
    Catalogue::load(&files)
}

fn fault_of(result: Result<Catalogue, CatalogueError>) -> (String, CatalogueFault) {
    let error = result.unwrap_err();
    (error.file, error.fault)
}

#[test]
fn the_embedded_catalogue_holds_what_its_readme_says() {
    let catalogue = catalogue();
    assert_eq!(catalogue.releases().count(), 497);
    assert_eq!(catalogue.cves_len(), 215);
    assert_eq!(catalogue.as_of(), date("2026-10-13"));
    assert_eq!(catalogue.digest(), hex(&sha256(EMBEDDED[0].bytes)));
    let release = catalogue.release(build("15.1.2507.39")).unwrap();
    assert_eq!((release.product.as_str(), release.update_level.as_str()), ("2016", "CU23 Apr24HU"));
    assert!(catalogue.release(build("15.1.2507.38")).is_none());
}

#[test]
fn a_release_known_to_the_month_counts_from_its_first_day() {
    let catalogue = catalogue();
    let release = catalogue.release(build("5.5.2655.37")).unwrap();
    assert_eq!(release.released, date("2001-10-01"));
}

#[test]
fn a_flipped_octet_in_any_file_is_refused_by_name() {
    for place in 1..EMBEDDED.len() {
        let mut bytes = EMBEDDED[place].bytes.to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        let mut files = EMBEDDED;
        let name = files[place].name;
        files[place] = CatalogueFile { name, bytes: &bytes };
        let error = Catalogue::load(&files).unwrap_err();
        assert_eq!((error.file.as_str(), &error.fault), (name, &CatalogueFault::Checksum));
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn a_missing_file_an_extra_file_and_broken_sums_are_refused_by_name() {
    for place in 0..EMBEDDED.len() {
        let mut files = EMBEDDED.to_vec();
        let removed = files.remove(place);
        assert_eq!(fault_of(Catalogue::load(&files)), (removed.name.to_owned(), CatalogueFault::Missing));
    }
    let mut files = EMBEDDED.to_vec();
    files.push(CatalogueFile { name: "notes.txt", bytes: b"" });
    assert_eq!(fault_of(Catalogue::load(&files)), ("notes.txt".to_owned(), CatalogueFault::Unlisted));
    let mut files = EMBEDDED;
    files[0] = CatalogueFile { name: SUMS, bytes: b"\nabc exchange-builds.json" };
    assert_eq!(fault_of(Catalogue::load(&files)), (SUMS.to_owned(), CatalogueFault::Sum(2)));
}

#[test]
fn faults_inside_a_file_are_named() {
    let builds = "exchange-builds.json";
    let cves = "exchange-cves.json";
    let (file, fault) = fault_of(load_changed(builds, |text| text.replacen('{', "[", 1)));
    assert_eq!(file, builds);
    assert!(matches!(fault, CatalogueFault::Json(_)), "{fault}");
    let bad = |text: String| text.replace("\"15.2.2562.56\"", "\"15.2.2562.x\"");
    assert_eq!(
        fault_of(load_changed(builds, bad)),
        (builds.to_owned(), CatalogueFault::Build("15.2.2562.x".to_owned()))
    );
    let twice = |text: String| text.replace("\"15.2.2562.56\"", "\"15.2.2562.53\"");
    assert_eq!(
        fault_of(load_changed(builds, twice)),
        (builds.to_owned(), CatalogueFault::Duplicate(build("15.2.2562.53")))
    );
    let swapped = |text: String| text.replace("\"4.0.837.0\"", "\"4.0.839.0\"");
    assert_eq!(
        fault_of(load_changed(builds, swapped)),
        (builds.to_owned(), CatalogueFault::Unsorted(build("4.0.838.0")))
    );
    let (file, fault) =
        fault_of(load_changed(cves, |text| text.replace("\"15.2.2562.56\"", "\"15.2.2562.99\"")));
    assert_eq!(file, cves);
    assert!(
        matches!(fault, CatalogueFault::DanglingFix { build, .. } if build == "15.2.2562.99".parse().unwrap())
    );
    let day = |text: String| text.replace("\"2026-10-13\"", "\"2026-13-13\"");
    assert_eq!(
        fault_of(load_changed(builds, day)),
        (builds.to_owned(), CatalogueFault::Date("2026-13-13".to_owned()))
    );
}

#[test]
fn an_id_is_read_as_a_lower_bound_inside_its_branch() {
    let catalogue = catalogue();
    let read = |id: &str| {
        let identified = catalogue.identify(build(id), Form::Smtp).unwrap();
        (identified.floor.build.to_string(), identified.relation)
    };
    let expected = |build: &str, relation| (build.to_owned(), relation);
    assert_eq!(read("15.1.2507.39"), expected("15.1.2507.39", Relation::Exact));
    assert_eq!(read("15.1.2507.38"), expected("15.1.2507.37", Relation::Between));
    assert_eq!(read("15.0.1347.0"), expected("15.0.1347.2", Relation::BelowBase));
    assert_eq!(read("15.0.1497.32"), expected("15.0.1497.33", Relation::Alias));
    assert_eq!(read("15.2.2562.99"), expected("15.2.2562.56", Relation::Newer));
    assert_eq!(read("14.3.498.0"), expected("14.3.509.0", Relation::Alias));
    assert_eq!(read("8.1.240.5"), expected("8.1.240.6", Relation::Alias));
    for unknown in ["15.2.9999.1", "15.1.523.12", "14.9.1.1", "9.0.0.1"] {
        assert!(catalogue.identify(build(unknown), Form::Smtp).is_none(), "{unknown}");
    }
}

#[test]
fn a_later_build_of_a_level_never_has_more_open_vulnerabilities() {
    let catalogue = catalogue();
    let day = date("2026-11-23");
    let releases: Vec<_> = catalogue.releases().collect();
    let mut pairs = 0;
    for pair in releases.windows(2) {
        if (&pair[0].product, &pair[0].level) == (&pair[1].product, &pair[1].level) {
            let open = |at: usize| catalogue.assess(pair[at].build, Form::Exact, day).cves();
            let (older, newer) = (open(0), open(1));
            assert!(newer.iter().all(|cve| older.contains(cve)), "{} to {}", pair[0].build, pair[1].build);
            pairs += 1;
        }
    }
    assert!(pairs > 300, "{pairs} pairs");
}

#[test]
fn the_newest_build_of_each_living_level_has_nothing_open() {
    let catalogue = catalogue();
    for newest in ["15.1.2507.77", "15.2.1544.50", "15.2.1748.55", "15.2.2562.56"] {
        let assessment = catalogue.assess(build(newest), Form::Exact, date("2026-10-20"));
        assert_eq!(assessment.cves(), [], "{newest}");
    }
}

#[test]
fn disputed_spellings_and_lower_last_numbers_of_a_rollup_are_read_as_the_release() {
    let catalogue = catalogue();
    for (id, release) in [
        ("14.3.336.0", "14.3.339.0"),
        ("15.1.1415.8", "15.1.1415.10"),
        ("8.3.348.1", "8.3.348.2"),
        ("8.3.379.0", "8.3.379.2"),
        ("14.3.461.0", "14.3.461.1"),
    ] {
        let identified = catalogue.identify(build(id), Form::Smtp).unwrap();
        assert_eq!((identified.floor.build, identified.relation), (build(release), Relation::Alias), "{id}");
    }
    let between = catalogue.identify(build("15.1.2507.36"), Form::Smtp).unwrap();
    assert_eq!(between.floor.build, build("15.1.2507.35"), "from 2013 on the last number counts");
}

#[test]
fn the_ceiling_is_the_newest_release_the_id_does_not_rule_out() {
    let catalogue = catalogue();
    let ceiling = |id: &str, form| catalogue.identify(build(id), form).unwrap().ceiling.build.to_string();
    assert_eq!(ceiling("15.1.2176.2", Form::Smtp), "15.1.2176.12");
    assert_eq!(ceiling("15.1.2176.2", Form::Mapi), "15.1.2176.2");
    assert_eq!(ceiling("15.1.2106.2", Form::Smtp), "15.1.2106.13");
    assert_eq!(ceiling("15.1.2507.6", Form::Smtp), "15.1.2507.6");
    assert_eq!(ceiling("15.0.1497.42", Form::Smtp), "15.0.1497.44");
    assert_eq!(ceiling("15.0.1497.40", Form::Smtp), "15.0.1497.40");
    assert_eq!(ceiling("15.0.1347.0", Form::Mapi), "15.0.1347.5");
    // Exchange 2010: up to rollup 19 the id is the rollup, later it stands for several.
    assert_eq!(ceiling("14.3.319.2", Form::Smtp), "14.3.319.2");
    assert_eq!(ceiling("14.3.498.0", Form::Smtp), "14.3.513.0");
    assert_eq!(ceiling("14.3.498.0", Form::Exact), "14.3.509.0");
}

#[test]
fn support_dates_can_be_looked_up() {
    let catalogue = catalogue();
    let product = catalogue.product("2016").unwrap();
    assert_eq!(product.extended_end, Some(date("2025-10-14")));
    assert_eq!(product.esu_periods.len(), 2);
    assert_eq!(catalogue.products().count(), 9);
    let cu22 = product.levels.iter().find(|level| level.name == "CU22").unwrap();
    assert_eq!(cu22.until, Some(date("2023-01-10")));
    assert!(catalogue.product("2022").is_none());
    assert_eq!(catalogue.releases_len(), 497);
}
