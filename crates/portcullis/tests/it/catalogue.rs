//! The life of the catalogue with the real binary: import, revisions, going back, fetching, judging anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use pc_testkit::{Behaviour, DnsServer, Feed, FeedServer, Receiver};
use serde_json::Value;

use crate::support::{Node, Simulated, binary, message, receiver_tls, text, until, upstream_toml};

pub const REVISED: &str = "CVE-2026-45583-revised.json";

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../pc-feed/fixtures").join(name)
}

/// A folder with a configuration, a data folder, and a catalogue in which CVE-2026-45583 is fixed by the update
/// of June 2026, as was believed until that record was revised.
pub struct Bench {
    pub folder: tempfile::TempDir,
}

impl Bench {
    pub fn new(rest: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        june_catalogue(&folder.path().join("base"));
        let bench = Self { folder };
        bench.configure(rest);
        bench
    }

    /// `rest` begins in the section [catalog].
    pub fn configure(&self, rest: &str) {
        let path = self.folder.path().display();
        let text = format!(
            "[node]\ndata = \"{path}/data\"\n[admin]\naddress = \"127.0.0.1:0\"\n[[smtp.listener]]\naddress = \
             \"127.0.0.1:0\"\n[[upstream]]\nname = \"m\"\ndomains = [\"*\"]\nmaildir = \"{path}/m\"\n[catalog]\ndirectory = \
             \"{path}/base\"\nstale_days = 3650\n{rest}"
        );
        fs::write(self.config(), text).unwrap();
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("portcullis.toml")
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        Command::new(binary()).args(arguments).arg("--config").arg(self.config()).output().unwrap()
    }

    pub fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {output:?}"))
    }

    pub fn import(&self, path: &Path) -> (Option<i32>, Value) {
        let path = path.display().to_string();
        let output = self.run(&["catalog", "import", &path, "--json"]);
        let value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        (output.status.code(), value)
    }

    /// Whether the build of June 2026 is held to be open to CVE-2026-45583.
    pub fn is_open(&self) -> bool {
        let judged = self.json(&["judge", "15.2.2562.43", "--now", "2026-10-20"]);
        judged["cves"].as_array().unwrap().iter().any(|cve| cve["id"] == "CVE-2026-45583")
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

/// The shipped catalogue as it was before the record was revised.
fn june_catalogue(folder: &Path) {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../catalog");
    fs::create_dir_all(folder).unwrap();
    let mut sums = String::new();
    for name in pc_exchange::CATALOGUE_FILES.into_iter().filter(|name| *name != "SHA256SUMS") {
        let mut bytes = fs::read(shipped.join(name)).unwrap();
        if name == "exchange-cves.json" {
            let mut cves: Value = serde_json::from_slice(&bytes).unwrap();
            for cve in cves["cves"].as_array_mut().unwrap() {
                if cve["id"] == "CVE-2026-45583" {
                    for fix in cve["fixes"].as_array_mut().unwrap() {
                        fix["build"] = fix["earliest_fix"]["build"].clone();
                        fix["update"] = "Jun26SU".into();
                        fix["release_date"] = "2026-06-09".into();
                        fix.as_object_mut().unwrap().remove("earliest_fix");
                    }
                }
            }
            bytes = cves.to_string().into_bytes();
        }
        sums.push_str(&format!("{}  {name}\n", pc_types::hex(&pc_types::sha256(&bytes))));
        fs::write(folder.join(name), bytes).unwrap();
    }
    fs::write(folder.join("SHA256SUMS"), sums).unwrap();
}

#[test]
fn a_revised_fix_is_taken_kept_gone_back_from_and_what_was_believed_stays_answerable() {
    let bench = Bench::new("");
    assert!(!bench.is_open());
    let (code, done) = bench.import(&fixture(REVISED));
    assert_eq!((code, &done["revision"]), (Some(0), &1.into()), "{done}");
    assert!(done["offers"][0]["changes"].to_string().contains("15.2.2562.45, was 15.2.2562.43"), "{done}");
    assert!(bench.is_open());
    let (_, again) = bench.import(&fixture(REVISED));
    assert_eq!(again["revision"], Value::Null, "nothing new");

    let folder = bench.folder.path().join("data/catalog/revisions/000001");
    let manifest: Value = serde_json::from_slice(&fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["parent"], 0);
    assert!(manifest["from"][0]["name"].as_str().unwrap().ends_with(REVISED));
    assert_eq!(
        manifest["from"][0]["sha256"],
        pc_types::hex(&pc_types::sha256(&fs::read(fixture(REVISED)).unwrap()))
    );
    assert_eq!(manifest["changes"].as_array().unwrap().len(), 4);

    // Revision 0 is what was in use before, and answers for the days before the first change.
    let history = bench.json(&["catalog", "history"]);
    let actions: Vec<&str> =
        history.as_array().unwrap().iter().map(|row| row["entry"]["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["base", "import"]);
    assert_eq!(bench.run(&["catalog", "show", "--as-of", "2026-01-01"]).status.code(), Some(0));

    let back = bench.run(&["catalog", "rollback"]);
    assert_eq!(back.status.code(), Some(0), "{back:?}");
    assert!(!bench.is_open());
    let check = bench.json(&["catalog", "check"]);
    assert_eq!((&check["revision"], &check["held"]), (&0.into(), &true.into()));
    assert_eq!(bench.run(&["catalog", "rollback", "1"]).status.code(), Some(0));
    assert!(bench.is_open());
    assert_eq!(bench.run(&["catalog", "rollback", "7"]).status.code(), Some(2));
}

#[test]
fn what_was_believed_on_a_day_is_the_revision_of_that_day() {
    let bench = Bench::new("");
    bench.import(&fixture(REVISED));
    let new = "15.2.2562.60";
    let record = fs::read_to_string(fixture(REVISED))
        .unwrap()
        .replace("CVE-2026-45583", "CVE-2026-80001")
        .replace("2026-09-24", "2026-11-10")
        .replace("2026-06-09", "2026-11-10")
        .replace("15.02.2562.045", "15.02.2562.060");
    let (_, done) = bench.import(&bench.write("november.json", &record));
    assert_eq!(done["revision"], 2, "{done}");
    // The first two entries are made to be of the day before.
    let path = bench.folder.path().join("data/catalog/history.jsonl");
    let lines = fs::read_to_string(&path).unwrap();
    let today = lines.get(7..17).unwrap().to_owned();
    let (mut first, mut all) = (String::new(), String::new());
    for (number, line) in lines.lines().enumerate() {
        let line = if number < 2 { line.replace(&today, "2026-01-02") } else { line.to_owned() };
        first.push_str(&line);
        all.push_str(&format!("{line}\n"));
    }
    fs::write(&path, all).unwrap();
    let known =
        |arguments: &[&str]| bench.run(&[&["catalog", "show", new], arguments].concat()).status.code();
    assert_eq!(known(&[]), Some(0));
    assert_eq!(known(&["--as-of", "2026-01-03"]), Some(1), "not known on that day");
    assert_eq!(known(&["--as-of", "2099-01-01"]), Some(0));
}

#[test]
fn what_is_refused_changes_nothing_and_says_why() {
    let bench = Bench::new("");
    let before = bench.json(&["catalog", "check"])["digest"].clone();
    let bomb = "<!DOCTYPE x [<!ENTITY a \"a\">]><cvrf:cvrfdoc xmlns:cvrf=\"x\"><cvrf:DocumentTitle>&a;</cvrf:DocumentTitle></cvrf:cvrfdoc>";
    let kev = fs::read_to_string(fixture("kev-2026-08-07.json")).unwrap();
    for (name, text, code) in [
        ("bomb.xml", bomb.to_owned(), "malformed"),
        ("page.html", "<html></html>".to_owned(), "malformed"),
        ("cut.json", kev[..kev.len() / 2].to_owned(), "malformed"),
        ("count.json", kev.replace("\"count\": 20", "\"count\": 21"), "malformed"),
        ("older.json", kev.replace("2026-08-07T", "2026-08-01T"), "older"),
        ("ahead.json", kev.replace("2026-08-07T", "2099-08-01T"), "ahead"),
    ] {
        let (exit, done) = bench.import(&bench.write(name, &text));
        assert_eq!(
            (exit, &done["offers"][0]["refused"], &done["revision"]),
            (Some(1), &code.into(), &Value::Null),
            "{name}: {done}"
        );
    }
    assert_eq!(bench.json(&["catalog", "check"])["digest"], before);
    let missing = bench.run(&["catalog", "import", "no-such-file"]);
    assert_eq!(missing.status.code(), Some(2));
}

#[test]
fn a_damaged_revision_is_refused_by_name_and_going_back_mends_it() {
    let bench = Bench::new("");
    bench.import(&fixture(REVISED));
    let victim = bench.folder.path().join("data/catalog/revisions/000001/exchange-cves.json");
    fs::write(&victim, "{}").unwrap();
    let output = bench.run(&["catalog", "check"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(
        text(&output.stderr).contains("revision 1") && text(&output.stderr).contains("rollback"),
        "{output:?}"
    );
    assert_eq!(bench.run(&["catalog", "rollback", "0"]).status.code(), Some(0));
    assert_eq!(bench.run(&["catalog", "check"]).status.code(), Some(0));
}

#[test]
fn a_stale_catalogue_is_a_bad_answer() {
    let bench = Bench::new("");
    bench.configure("");
    let config = fs::read_to_string(bench.config()).unwrap().replace("stale_days = 3650", "stale_days = 45");
    fs::write(bench.config(), config).unwrap();
    assert_eq!(bench.run(&["catalog", "check", "--now", "2026-11-27"]).status.code(), Some(0), "45 days");
    let stale = bench.run(&["catalog", "check", "--now", "2026-11-28"]);
    assert_eq!(stale.status.code(), Some(1));
    assert!(text(&stale.stdout).contains("STALE: 46 days old"), "{stale:?}");
}

const CHAIN_JUNE: &str = "Received: from mail.example.net (10.0.0.5) by mail.example.net (10.0.0.5) with\r\n Microsoft \
    SMTP Server (version=TLS1_2,\r\n cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) id 15.2.2562.43; Mon, 2 Nov\r\n 2026 \
    10:00:00 +0000\r\n";

/// June to July 2026: a server with the June update meets a floor that asks for it, until the record is revised.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_node_judges_all_servers_anew_when_a_fixed_build_moves() {
    let receiver = Receiver::start(Behaviour::Accept, None).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    june_catalogue(&folder.path().join("base"));
    // The vulnerability counts as exploited, so that the floor asks for its fix and for nothing else.
    let kev = fs::read_to_string(fixture("kev-2026-08-07.json"))
        .unwrap()
        .replace("CVE-2021-26857", "CVE-2026-45583")
        .replace("2026-08-07T", "2026-08-20T");
    fs::write(folder.path().join("kev.json"), kev).unwrap();
    let base = folder.path().join("base").display().to_string();
    let node = Node::start_in(
        folder,
        &format!(
            "[[upstream]]\nname = \"r\"\ndomains = [\"example.org\"]\naddress = \"{}\"\ntls = \"none\"\n[enforcement]\nopen_sightings = 1\nopen_hours = 0\nfloor = \
             \"kev\"\n[catalog]\ndirectory = \"{base}\"\nstale_days = 3650\n",
            receiver.address
        ),
    );
    let import = |path: &Path| node.json(&["catalog", "import", &path.display().to_string()]);
    let done = import(&node.folder.path().join("kev.json"));
    assert_eq!(done["revision"], 1, "{done}");
    let mut client = node.client().await;
    client.send("a@example.net", &["b@example.org"], message(CHAIN_JUNE).as_bytes()).await.unwrap();
    let server = || node.json(&["servers", "list"])[0].clone();
    assert_eq!((&server()["standing"], &server()["stage"]), (&"met".into(), &Value::Null), "{}", server());
    let done = import(&fixture(REVISED));
    assert_eq!(done["rejudged"]["owing"], 1, "{done}");
    let owing = server();
    assert_eq!((&owing["standing"], &owing["stage"]), (&"owing".into(), &1.into()), "{owing}");
    assert!(owing["reason"].as_str().unwrap().contains("CVE-2026-45583"), "{owing}");
    let events = node.json(&["servers", "show", owing["id"].as_str().unwrap()])["events"].to_string();
    assert!(events.contains("raised") && events.contains("judged anew"), "{events}");
    let back = node.json(&["catalog", "rollback"]);
    assert_eq!(back["rejudged"]["released"], 1, "{back}");
    assert_eq!(server()["standing"], "met");
}

/// A feed server with a name in a zone of ours, and the configuration that fetches from it.
struct Mirror {
    feeds: FeedServer,
    _dns: DnsServer,
    bench: Bench,
    settings: String,
}

impl Mirror {
    async fn start(private: &str) -> Self {
        let bench = Bench::new("");
        let (tls, files) = receiver_tls(bench.folder.path(), "feeds.example.org");
        let feeds = FeedServer::start(tls).await.unwrap();
        let dns = DnsServer::start("feeds.example.org A 127.0.0.1\n").await.unwrap();
        let settings = format!(
            "ca_file = \"{}\"\nprivate_sources = \"{private}\"\n[dns]\nservers = [\"{}\"]\n",
            files.chain.display(),
            dns.address
        );
        Self { feeds, _dns: dns, bench, settings }
    }

    /// Configures one source and fetches it.
    fn update(&self, path: &str) -> Output {
        self.update_from(&format!("https://feeds.example.org:{}{path}", self.feeds.address.port()))
    }

    fn update_from(&self, source: &str) -> Output {
        self.bench.configure(&format!("sources = [\"{source}\"]\n{}", self.settings));
        self.bench.run(&["catalog", "update"])
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sources_are_fetched_and_taken_and_bad_servers_change_nothing() {
    let mirror = Mirror::start("allow").await;
    let record = fs::read(fixture(REVISED)).unwrap();
    mirror.feeds.publish("/record.json", Feed::Document(record));
    mirror.feeds.publish("/moved", Feed::Redirect("/record.json".to_owned()));
    mirror.feeds.publish("/away", Feed::Redirect("https://elsewhere.example.net/record.json".to_owned()));
    mirror.feeds.publish("/inside", Feed::Redirect("http://169.254.169.254/latest/meta-data/".to_owned()));
    mirror.feeds.publish("/round", Feed::Redirect("/round".to_owned()));
    mirror.feeds.publish("/gone", Feed::Status(500));
    mirror.feeds.publish("/endless", Feed::Endless);
    mirror.feeds.publish("/page", Feed::Document(b"<html></html>".to_vec()));
    for (path, want) in [
        ("/away", "which is not followed"),
        ("/inside", "which is not followed"),
        ("/round", "which is not followed"),
        ("/gone", "answered 500"),
        ("/none", "answered 404"),
        ("/endless", "larger than"),
        ("/page", "none of CVRF"),
    ] {
        let output = mirror.update(path);
        assert_eq!(output.status.code(), Some(1), "{path}: {output:?}");
        assert!(text(&output.stdout).contains(want), "{path}: {output:?}");
        assert!(!mirror.bench.is_open(), "{path}");
    }
    let output = mirror.update("/moved");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(mirror.bench.is_open());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sources_inside_are_refused_and_nobody_connects_to_them() {
    let mirror = Mirror::start("refuse").await;
    mirror.feeds.publish("/record.json", Feed::Document(fs::read(fixture(REVISED)).unwrap()));
    let named = mirror.update("/record.json");
    let port = mirror.feeds.address.port();
    let literal = mirror.update_from(&format!("https://127.0.0.1:{port}/record.json"));
    let mapped = mirror.update_from(&format!("https://[::ffff:127.0.0.1]:{port}/record.json"));
    for output in [named, literal, mapped] {
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stdout).contains("a loopback address"), "{output:?}");
    }
    assert_eq!(mirror.feeds.asked(), Vec::<String>::new());
    assert!(!mirror.bench.is_open());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_another_certificate_is_refused() {
    let mirror = Mirror::start("allow").await;
    let settings: Vec<&str> = mirror.settings.lines().filter(|line| !line.starts_with("ca_file")).collect();
    let source = format!("https://feeds.example.org:{}/x", mirror.feeds.address.port());
    mirror.bench.configure(&format!("sources = [\"{source}\"]\n{}\n", settings.join("\n")));
    let output = mirror.bench.run(&["catalog", "update"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("certificate is not accepted"), "{output:?}");
    assert_eq!(mirror.feeds.asked(), Vec::<String>::new());
}

#[test]
fn a_node_tells_the_age_of_its_catalogue_and_that_it_is_stale() {
    let folder = tempfile::tempdir().unwrap();
    june_catalogue(&folder.path().join("base"));
    let (base, maildir) = (folder.path().join("base"), folder.path().join("m"));
    let node = Node::start_in(
        folder,
        &format!(
            "[[upstream]]\nname = \"m\"\ndomains = [\"*\"]\nmaildir = \"{}\"\n[catalog]\ndirectory = \"{}\"\nstale_days = 1\n",
            maildir.display(),
            base.display()
        ),
    );
    let log = || fs::read_to_string(node.folder.path().join("log")).unwrap();
    until("the word of a stale catalogue", || log().contains("catalogue is stale"));
    let doctor = node.command(&["doctor"]);
    assert!(text(&doctor.stdout).contains("stale, a monthly update is missing"), "{doctor:?}");
}

/// What the scheduled updates have made of the sources at last: the revision in use.
async fn until_revision(gate: &Simulated, wanted: Option<u64>) {
    let path = gate.folder.path().join("data/catalog/current.json");
    let revision = || {
        let text = fs::read(&path).ok()?;
        serde_json::from_slice::<Value>(&text).ok()?["revision"].as_u64()
    };
    let looking = async {
        while revision() != wanted {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), looking).await;
    assert!(waited.is_ok(), "{wanted:?}, not {:?}", revision());
}

/// Waits until the outbox holds `count` notices.
async fn until_told(gate: &Simulated, count: usize) {
    let store = &gate.running.records.as_ref().unwrap().store;
    let looking = async {
        while store.notices(None, 10).await.unwrap().len() < count {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(60), looking).await.is_ok(), "{count} notices");
}

async fn until_asked(feeds: &FeedServer, path: &str, count: usize) {
    let looking = async {
        while feeds.asked().iter().filter(|asked| *asked == path).count() < count {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), looking).await;
    assert!(waited.is_ok(), "{path}: {:?}", feeds.asked());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scheduled_updates_keep_what_is_known_tell_the_operator_and_try_again() {
    let mirror = Mirror::start("allow").await;
    let feeds = &mirror.feeds;
    let kev = fs::read_to_string(fixture("kev-2026-08-07.json"))
        .unwrap()
        .replace("CVE-2021-26857", "CVE-2026-45583")
        .replace("2026-08-07T", "2026-08-20T");
    feeds.publish("/kev", Feed::Tagged(kev.into_bytes(), "\"kev\"".to_owned()));
    feeds.publish("/record", Feed::Document(b"<html>moved</html>".to_vec()));
    let folder = mirror.bench.folder.path();
    let (tls, files) = receiver_tls(&folder.join("receiver"), "receiver.example.org");
    let receiver = Receiver::start(Behaviour::Accept, Some(tls)).await.unwrap();
    let port = feeds.address.port();
    let rest = format!(
        "{}[enforcement]\nopen_sightings = 1\nopen_hours = 0\nfloor = \"kev\"\n[notify]\noperator = [\"operator@example.org\"]\n\
         [catalog]\ndirectory = \"{}/base\"\nstale_days = 3650\nupdate_hours = 6\n\
         sources = [\"https://feeds.example.org:{port}/kev\", \"https://feeds.example.org:{port}/record\"]\n{}",
        upstream_toml(&receiver, &files),
        folder.display(),
        mirror.settings
    );
    let gate = Simulated::start("2026-11-02T12:00:00Z", &rest).await;
    // A minute after the start: one source is taken, the other one changes nothing.
    gate.clock.set("2026-11-02T12:01:00Z".parse().unwrap());
    until_revision(&gate, Some(1)).await;
    until_told(&gate, 1).await;
    let mut client = gate.client().await;
    client.send("a@example.net", &["b@example.org"], message(CHAIN_JUNE).as_bytes()).await.unwrap();
    let server = || gate.json(&["servers", "list"])[0].clone();
    assert_eq!(server()["standing"], "met", "{}", server());
    gate.clock.set("2026-11-02T12:30:00Z".parse().unwrap());
    receiver.wait_for(2).await;
    let told = receiver
        .deliveries()
        .into_iter()
        .map(|mail| text(&mail.message))
        .find(|mail| mail.contains("catalogue"));
    let told = told.unwrap().replace("=\r\n", "");
    assert!(told.contains("Subject: edge.example.org: the catalogue is not up to date\r\n"), "{told}");
    assert!(told.contains(&format!("https://feeds.example.org:{port}/record")), "{told}");
    assert!(told.contains("none of CVRF"), "{told}");
    // An hour after the failure it is tried again; what is the same is not sent again.
    let record = fs::read(fixture(REVISED)).unwrap();
    feeds.publish("/record", Feed::Tagged(record, "\"record\"".to_owned()));
    gate.clock.set("2026-11-02T13:02:00Z".parse().unwrap());
    until_revision(&gate, Some(2)).await;
    assert_eq!(feeds.spared(), ["/kev"]);
    let rejudged = async {
        while server()["standing"] != "owing" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), rejudged).await.unwrap();
    // All is well: six hours until the next look, which finds nothing new.
    gate.clock.set("2026-11-02T18:00:00Z".parse().unwrap());
    gate.clock.set("2026-11-02T19:03:00Z".parse().unwrap());
    until_asked(feeds, "/record", 3).await;
    gate.finish().await;
    assert_eq!(feeds.spared(), ["/kev", "/kev", "/record"]);
    assert_eq!(feeds.asked().len(), 6, "no look in between: {:?}", feeds.asked());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_is_told_weekly_that_the_catalogue_is_stale() {
    let folder = tempfile::tempdir().unwrap();
    june_catalogue(&folder.path().join("base"));
    let (tls, files) = receiver_tls(&folder.path().join("receiver"), "receiver.example.org");
    let receiver = Receiver::start(Behaviour::Accept, Some(tls)).await.unwrap();
    let rest = format!(
        "{}[notify]\noperator = [\"operator@example.org\"]\n[catalog]\ndirectory = \"{}/base\"\nstale_days = 45\n",
        upstream_toml(&receiver, &files),
        folder.path().display()
    );
    // 45 days after the newest fact, which is of 13 October.
    let gate = Simulated::start("2026-11-27T12:00:00Z", &rest).await;
    for (moment, count) in
        [("2026-11-28T12:00:00Z", 1), ("2026-11-29T12:00:00Z", 1), ("2026-12-05T12:00:00Z", 2)]
    {
        gate.clock.set(moment.parse().unwrap());
        until_told(&gate, count).await;
    }
    gate.clock.set("2026-12-05T13:00:00Z".parse().unwrap());
    receiver.wait_for(1).await;
    let mail = text(&receiver.deliveries()[0].message);
    assert!(mail.contains("46 days old"), "{mail}");
    gate.finish().await;
}

#[test]
fn the_state_of_the_signature_is_told_with_the_catalogue() {
    let bench = Bench::new("");
    let signature = || bench.json(&["catalog", "check"])["signature"].clone();
    assert_eq!(signature(), "shipped");
    bench.import(&fixture(REVISED));
    assert_eq!(signature(), "unsigned");
    let shown = text(&bench.run(&["catalog", "show"]).stdout);
    assert!(shown.contains("revision 1; signature: made of feeds, which bear no signature"), "{shown}");
    bench.run(&["catalog", "rollback", "0"]);
    assert_eq!(signature(), "shipped");
}
