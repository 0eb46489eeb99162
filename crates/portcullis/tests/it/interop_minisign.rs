//! Bundles of the catalogue, and packs of virtual patches, signed by minisign itself.

use std::fs;
use std::path::Path;
use std::process::Command;

use pc_testkit::{Exchange, WebClient};
use serde_json::Value;

use crate::catalogue::{Bench, REVISED, fixture};
use crate::support::{Node, until};
use crate::web::{Certificates, NAME, Web, get, start_node};

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

const PROGRAM_PACK: &str = include_str!("../../../../patches/exchange.toml");

/// The rules of the program, as a pack of another version with one more rule and lines for it.
fn pack(version: u32, more: &str, lines: &str) -> String {
    format!(
        "{}\n[[rule]]\nid = \"house\"\ncve = [\"CVE-2026-99999\"]\ntitle = \"A rule of the test.\"\naction = \"deny\"\nwhen = [{{ in = \
         \"path\", begins = [\"/owa/house\"] }}]\n{lines}\n",
        PROGRAM_PACK.replacen("version = 1", &format!("version = {version}\n{more}"), 1)
    )
}

/// Keys, a pack, and the lines of `[https]` that name them.
struct Packs {
    folder: tempfile::TempDir,
}

impl Packs {
    fn new() -> Self {
        let packs = Self { folder: tempfile::tempdir().unwrap() };
        for name in ["one", "other"] {
            let at = |end: &str| packs.at(&format!("{name}.{end}"));
            minisign(&["-G", "-W", "-p", &at("pub"), "-s", &at("key")]);
        }
        packs
    }

    fn at(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn sign(&self, key: &str, text: &str) {
        fs::write(self.at("pack.toml"), text).unwrap();
        minisign(&["-S", "-s", &self.at(&format!("{key}.key")), "-m", &self.at("pack.toml")]);
    }

    fn https(&self) -> String {
        let key = fs::read_to_string(self.at("one.pub")).unwrap();
        let key = key.lines().nth(1).unwrap();
        format!("rule_pack = \"{}\"\nrule_pack_public_key = \"{key}\"\n", self.at("pack.toml"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_node_takes_a_newer_signed_pack_and_keeps_what_it_has_when_one_is_refused() {
    let (packs, certificates) = (Packs::new(), Certificates::new());
    packs.sign("one", &pack(2, "", ""));
    let exchange = Exchange::start(certificates.server()).await.unwrap();
    let rest = |site: &str| certificates.toml(&[exchange.address], &packs.https(), site);
    let node = Node::start(&rest(""));
    let address = node.https.unwrap();
    let status = async |target: &str| {
        let mut client = WebClient::connect_in_tls(address, &certificates.client(), NAME).await.unwrap();
        client.ask(&get(target)).await.unwrap().status
    };
    let reload = |says: &str| {
        let before = node.log().matches("reloaded").count();
        let told = Command::new("kill").args(["-HUP", &node.pid().to_string()]).status();
        assert!(told.unwrap().success());
        until("the reload", || node.log().matches("reloaded").count() > before);
        let log = node.log();
        assert!(log.lines().last().is_some_and(|_| log.contains(says)), "{says}: {log}");
    };
    assert_eq!((status("/owa/house").await, status("/owa/x").await), (403, 200), "the pack of the file");
    let listed = node.json(&["rules", "list"]);
    assert_eq!((&listed["version"], listed["refused"].as_array().unwrap().len()), (&2.into(), 0), "{listed}");

    for (key, text, code) in [
        ("other", pack(3, "", ""), "signature"),
        ("one", pack(1, "", ""), "older"),
        ("one", pack(2, "", "mode = \"report\""), "other"),
        ("one", pack(3, "expires = \"2026-01-01\"", ""), "expired"),
        ("one", pack(3, "", "").replace("published = \"2026", "published = \"2926"), "ahead"),
        ("one", pack(3, "", "regex = \"(a*)*$\""), "malformed"),
        ("one", pack(3, "", "").replace("\"house\"", "\"proxyshell\""), "malformed"),
    ] {
        packs.sign(key, &text);
        reload(&format!("code=\"{code}\""));
        assert_eq!(status("/owa/house").await, 403, "the one in use stays: {code}");
        let checked = node.json(&["rules", "check", &packs.at("pack.toml")]);
        assert_eq!(checked["refused"], code, "{checked}");
    }
    let doctor = node.json(&["doctor"]).to_string();
    assert!(doctor.contains("is refused, it stays"), "{doctor}");
    // Changed after it was signed.
    packs.sign("one", &pack(3, "", ""));
    fs::write(packs.at("pack.toml"), pack(4, "", "")).unwrap();
    reload("code=\"signature\"");
    fs::remove_file(packs.at("pack.toml.minisig")).unwrap();
    reload("there is no signature beside it");

    // A newer one is taken, and after a restart no older one takes its place.
    packs.sign("one", &pack(3, "", "mode = \"report\""));
    reload("virtual patches of version 3 (of the file)");
    assert_eq!(status("/owa/house").await, 200, "reported only");
    packs.sign("one", &pack(2, "", ""));
    let folder = node.terminate();
    let node =
        Node::start_in(folder, &rest("[site.rules]\n\"proxynotshell\" = \"report\"\n\"house\" = \"off\"\n"));
    assert!(node.log().contains("older than version 3"), "{}", node.log());
    let listed = node.json(&["rules", "list"]);
    assert_eq!(
        (&listed["version"], &listed["refused"][0]["refused"]),
        (&3.into(), &"older".into()),
        "{listed}"
    );
    let mode = |id: &str| {
        let rules = listed["rules"].as_array().unwrap();
        rules.iter().find(|rule| rule["id"] == id).unwrap()["sites"][0]["mode"].clone()
    };
    assert_eq!([mode("proxynotshell"), mode("house"), mode("proxyshell")], ["report", "off", "block"]);
    // A setting names a rule that a newer pack does not have.
    packs.sign("one", &pack(4, "", "").replace("\"house\"", "\"home\""));
    let checked = node.json(&["rules", "check", &packs.at("pack.toml")]);
    assert_eq!(checked["refused"], "unknown_rule", "{checked}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_expired_reports_and_its_hits_are_counted_like_those_of_a_response() {
    let (packs, certificates) = (Packs::new(), Certificates::new());
    packs.sign("one", &pack(2, "", "expires = \"2026-11-25\""));
    let exchange = Exchange::start(certificates.server()).await.unwrap();
    let https = format!("{}patches_report_only = [\"owa-script-attributes\"]\n", packs.https());
    let node = start_node(&certificates, &[exchange.address], &https, "").await;
    let web = Web::from_parts(exchange, node, certificates);
    assert_eq!(web.get("/owa/house").await.status, 403, "its last day");
    assert_eq!(web.get("/owa/default.aspx").await.values("Content-Security-Policy"), ["default-src 'self'"]);
    assert_eq!(web.get("/ecp/").await.status, 404);
    web.node.clock.set("2026-11-26T12:00:00Z".parse().unwrap());
    assert_eq!(web.get("/owa/house").await.status, 200, "a day later");
    let edge = web.node.running.web.clone().unwrap();
    let mut counted: Vec<(String, &str, String, u64)> =
        edge.take_tally().into_iter().map(|one| (one.site, one.kind.as_str(), one.code, one.count)).collect();
    counted.sort();
    let row = |kind: &'static str, code: &str, count| ("exchange".to_owned(), kind, code.to_owned(), count);
    assert_eq!(
        counted,
        [
            row("refused", "patch", 1),
            row("refused", "path_closed", 1),
            row("rule_acted", "house", 1),
            row("rule_reported", "house", 1),
            row("rule_reported", "owa-script-attributes", 1),
        ]
    );
    assert_eq!(edge.take_tally(), [], "nothing is counted twice");
    web.node.finish().await;
}
