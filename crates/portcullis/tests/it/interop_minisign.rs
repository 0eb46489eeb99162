//! Bundles of the catalogue signed by minisign itself.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::catalogue::{Bench, REVISED, fixture};

fn minisign(arguments: &[&str]) {
    let done =
        Command::new("minisign").args(arguments).output().expect("needs minisign: apt-get install minisign");
    assert!(done.status.success(), "{done:?}");
}

#[test]
fn a_signed_bundle_is_taken_and_any_other_refused() {
    let bench = Bench::new("");
    let at = |name: &str| bench.folder.path().join(name).display().to_string();
    for name in ["one", "other"] {
        minisign(&["-G", "-W", "-p", &at(&format!("{name}.pub")), "-s", &at(&format!("{name}.key"))]);
    }
    let key = fs::read_to_string(at("one.pub")).unwrap().lines().nth(1).unwrap().to_owned();
    // A second folder makes the bundle, from a catalogue that knows more.
    let maker = Bench::new("");
    maker.import(&fixture(REVISED));
    let bundle = at("bundle.json");
    assert_eq!(maker.run(&["catalog", "export", &bundle]).status.code(), Some(0));
    let refused = || bench.import(Path::new(&bundle)).1["offers"][0]["refused"].clone();
    assert_eq!(refused(), "signature", "no key is configured");
    bench.configure(&format!("public_key = \"{key}\"\n"));
    assert_eq!(refused(), "signature", "not signed");
    minisign(&["-S", "-s", &at("other.key"), "-m", &bundle]);
    assert_eq!(refused(), "signature", "signed by somebody else");
    assert!(!bench.is_open());
    minisign(&["-S", "-s", &at("one.key"), "-m", &bundle]);
    let (code, done) = bench.import(Path::new(&bundle));
    assert_eq!((code, &done["revision"]), (Some(0), &1.into()), "{done}");
    assert!(bench.is_open());
    let signature = || bench.json(&["catalog", "check"])["signature"].clone();
    assert_eq!(signature(), "verified");
    let shown = String::from_utf8(bench.run(&["catalog", "show"]).stdout).unwrap();
    assert!(shown.contains("its signature verified by [catalog] public_key"), "{shown}");
    let other = fs::read_to_string(at("other.pub")).unwrap().lines().nth(1).unwrap().to_owned();
    bench.configure(&format!("public_key = \"{other}\"\n"));
    assert_eq!(signature(), "other_key");
    bench.configure(&format!("public_key = \"{key}\"\n"));
    // One made before it does not take its place.
    let old: Value = serde_json::from_slice(&fs::read(&bundle).unwrap()).unwrap();
    let mut old = old;
    old["issued"] = "2026-01-01T00:00:00Z".into();
    fs::write(&bundle, old.to_string()).unwrap();
    assert_eq!(refused(), "signature", "changed after it was signed");
    minisign(&["-S", "-s", &at("one.key"), "-m", &bundle]);
    assert_eq!(refused(), "older");
    assert!(bench.is_open());
}
