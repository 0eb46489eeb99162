//! Floors, over the command line and at a node whose floor is raised.

use std::fs;

use pc_testkit::{Behaviour, Receiver};

use crate::support::{CHAIN_2016, Simulated, message, run, text};

fn json(arguments: &[&str]) -> serde_json::Value {
    serde_json::from_slice(&run(&[arguments, &["--json"]].concat()).stdout).unwrap()
}

#[test]
fn a_build_is_judged_against_a_floor_and_the_exit_code_says_whether_it_is_met() {
    let judge = |build: &str, floor: &str, more: &[&str]| {
        let arguments = ["judge", build, "--floor", floor, "--now", "2026-10-20"];
        run(&[&arguments[..], more].concat()).status.code()
    };
    assert_eq!(judge("15.1.2507.61", "microsoft-2026-09", &[]), Some(0));
    assert_eq!(judge("15.1.2507.59", "microsoft-2026-09", &[]), Some(1));
    assert_eq!(judge("15.1.2507.61", "current", &[]), Some(1), "out of support");
    assert_eq!(judge("15.1.2507.77", "current", &["--esu"]), Some(0));
    assert_eq!(judge("15.2.2562.43", "kev", &[]), Some(0));
    assert_eq!(judge("15.2.2562.37", "kev", &[]), Some(1));
    assert_eq!(judge("15.2.2562.37", "strict", &[]), Some(2), "no such floor");
    let judged = json(&["judge", "15.1.2507.59", "--floor", "microsoft-2026-09", "--now", "2026-10-20"]);
    assert_eq!(judged["floor"]["version"], 1);
    assert_eq!(judged["floor"]["effective"], "2026-09-13");
    assert_eq!(judged["floor"]["standing"], "owing");
    assert_eq!(judged["floor"]["install"], "Exchange Server 2016 CU23 Oct25SU (15.1.2507.61, KB5066369)");
}

#[test]
fn floors_are_listed_and_named_with_the_days_from_which_they_hold() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portcullis.toml");
    let floors = "[[floor]]\nname = \"house\"\npreset = \"microsoft-2024-05\"\n[[floor]]\nname = \"house\"\nversion = 2\nannounced = \
                  \"2026-11-01\"\neffective = \"2199-01-12\"\nbuilds = [\"15.1.2507.61\"]\n";
    let data = folder.path().join("data").display().to_string();
    let sample = text(&run(&["config", "default"]).stdout)
        .replace("floor = \"current\"", "floor = \"house\"")
        .replace("./portcullis-data", &data);
    fs::write(&path, sample + floors).unwrap();
    let config = path.display().to_string();
    let listed = json(&["enforce", "floors", "--now", "2026-12-01", "--config", &config]);
    let rows = listed.as_array().unwrap();
    let row =
        |version: u64| rows.iter().find(|row| row["floor"] == "house" && row["version"] == version).unwrap();
    assert_eq!((&row(1)["state"], &row(2)["state"]), (&"in_force".into(), &"ahead".into()));
    assert_eq!(row(2)["effective"], "2199-01-12");
    let shown = text(&run(&["enforce", "floors", "--config", &config]).stdout);
    for name in ["current", "kev", "microsoft-2024-05", "microsoft-2026-09", "house"] {
        assert!(shown.lines().any(|line| line.starts_with(name)), "{shown}");
    }
    let preview = text(&run(&["enforce", "preview", "--now", "2026-12-01", "--config", &config]).stdout);
    assert!(
        preview.contains("Floor house version 1") && preview.contains("version 2 holds from 2199-01-12"),
        "{preview}"
    );
    let report = json(&["report", "--config", &config]);
    assert_eq!(
        (&report["floor"]["name"], &report["floor"]["next_effective"]),
        (&"house".into(), &"2199-01-12".into())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_raise_begins_a_new_cycle_at_the_first_stage() {
    let receiver = Receiver::start(Behaviour::Accept, None).await.unwrap();
    let node = Simulated::start(
        "2026-12-01T00:00:00Z",
        &format!(
            "[[upstream]]\nname = \"r\"\ndomains = [\"example.org\"]\naddress = \"{}\"\ntls = \"none\"\n[enforcement]\nopen_sightings = 1\nopen_hours = 0\nfloor = \
             \"house\"\n[[floor]]\nname = \"house\"\npreset = \"microsoft-2024-05\"\n[[floor]]\nname = \"house\"\nversion = \
             2\neffective = \"2026-12-20\"\npreset = \"microsoft-2026-09\"\n",
            receiver.address
        ),
    )
    .await;
    let body = message(CHAIN_2016);
    let mut client = node.client().await;
    client.send("a@example.net", &["b@example.org"], body.as_bytes()).await.unwrap();
    let record = || node.running.records.as_ref().unwrap().servers.all().remove(0);
    assert_eq!((record().standing.as_str(), record().cycle), ("met", None), "August 2023 is enough");
    // What comes is told ahead: in the table, in JSON and on the page.
    let ahead = |days: &str| node.json(&["enforce", "preview", "--now", "2026-12-01", "--days", days]);
    assert_eq!(ahead("18"), serde_json::json!([]));
    let row = &ahead("30")[0];
    assert_eq!((&row["what"], &row["at"]), (&"raise".into(), &"2026-12-20T00:00:00Z".into()), "{row}");
    assert_eq!((&row["floor"], &row["version"], &row["stage"]), (&"house".into(), &2.into(), &1.into()));
    assert!(row["install"].as_str().unwrap().contains("15.1.2507.61"), "{row}");
    let table = text(&node.command(&["enforce", "preview", "--now", "2026-12-01"]).stdout);
    assert!(
        table.contains("Servers that owe nothing today, and will once a version of their floor holds:"),
        "{table}"
    );
    let socket = node.folder.path().join("data/admin.sock");
    let (_, page) = pc_web::client::request(&socket, "GET", "/", None).await.unwrap();
    assert!(text(&page).contains("Raises of the floor ahead"), "{}", text(&page));
    node.clock.set("2026-12-21T00:00:00Z".parse().unwrap());
    let mut client = node.client().await;
    client.send("a@example.net", &["b@example.org"], body.as_bytes()).await.unwrap();
    let raised = record();
    assert_eq!(raised.standing.as_str(), "owing");
    let position = pc_enforce::position(
        node.running.policies.load().general(),
        &raised,
        &[],
        "2026-12-21T00:00:00Z".parse().unwrap(),
    );
    assert_eq!((position.stage.unwrap().number, position.day), (1, 0));
    drop(client);
    node.finish().await;
}
