//! Whose debt it is: rows by connecting address and proven name, opened by what is shown again and again.

use std::net::IpAddr;

use pc_testkit::Client;
use serde_json::Value;

use crate::support::{CHAIN_2016, CHAIN_SE, Simulated, message};

/// The ladder's own rule (three messages over six hours) on a clock of the test.
async fn node(folder: &tempfile::TempDir) -> Simulated {
    let rest = format!(
        "[enforcement]\nmode = \"enforce\"\n[[upstream]]\nname = \"maildir\"\ndomains = [\"example.org\"]\nmaildir = \"{}\"\n",
        folder.path().join("maildir").display()
    );
    Simulated::start("2026-11-02T12:00:00Z", &rest).await
}

/// One message of a server that greets as mail.example.net, at this hour of the test.
async fn send(gate: &Simulated, hour: u32, address: &str, chain: &str) {
    gate.clock.set(format!("2026-11-02T{:02}:00:00Z", 12 + hour).parse().unwrap());
    let address: IpAddr = address.parse().unwrap();
    let (mut client, _) = Client::connect_from(address, gate.smtp()).await.unwrap();
    client.command("EHLO mail.example.net").await.unwrap();
    let replies = client.send("a@example.net", &["b@example.org"], message(chain).as_bytes()).await.unwrap();
    assert_eq!(replies.last().unwrap().code, 250, "{replies:?}");
}

/// Standing, stage and reason of the row of an address.
fn row(gate: &Simulated, address: &str) -> (String, Option<u64>, String) {
    let listed = gate.json(&["servers", "list"]);
    let rows = listed.as_array().unwrap();
    let row = rows.iter().find(|row| row["address"] == address).unwrap_or_else(|| panic!("{listed}"));
    let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
    (text("standing"), row["stage"].as_u64(), text("reason"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_old_stamps_do_not_frame_a_third_party() {
    let folder = tempfile::tempdir().unwrap();
    let gate = node(&folder).await;
    for hour in 0..8 {
        send(&gate, hour, "127.0.0.1", CHAIN_SE).await;
        // Somebody else greets with the same name and forges the same host's line.
        send(&gate, hour, "127.0.0.3", CHAIN_2016).await;
    }
    assert_eq!(row(&gate, "127.0.0.1").0, "met");
    let (standing, stage, _) = row(&gate, "127.0.0.3");
    assert_eq!((standing.as_str(), stage), ("owing", Some(1)), "it has framed itself");
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_behind_one_address_are_unknown_and_never_held() {
    let folder = tempfile::tempdir().unwrap();
    let gate = node(&folder).await;
    for hour in 0..10 {
        send(&gate, hour, "127.0.0.1", if hour % 2 == 0 { CHAIN_SE } else { CHAIN_2016 }).await;
    }
    let (standing, stage, reason) = row(&gate, "127.0.0.1");
    assert_eq!((standing.as_str(), stage), ("unknown", None));
    assert!(reason.starts_with("Its messages contradict each other"), "{reason}");
    gate.running.records.as_ref().unwrap().writer.flush().await;
    let listed = gate.json(&["servers", "list"]);
    let events = gate.json(&["servers", "show", listed[0]["id"].as_str().unwrap()]);
    let codes: Vec<&Value> =
        events["events"].as_array().unwrap().iter().map(|event| &event["code"]).collect();
    assert_eq!(codes, ["conflicting", "discovered"]);
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_stale_stamp_in_a_group_defers_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let gate = node(&folder).await;
    for hour in 0..11 {
        send(&gate, hour, "127.0.0.1", if hour == 5 { CHAIN_2016 } else { CHAIN_SE }).await;
    }
    assert_eq!(row(&gate, "127.0.0.1").1, None);
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_server_with_several_addresses_has_a_row_for_each() {
    let folder = tempfile::tempdir().unwrap();
    let gate = node(&folder).await;
    for hour in 0..8 {
        send(&gate, hour, "127.0.0.1", CHAIN_2016).await;
        if hour < 2 {
            send(&gate, hour, "127.0.0.2", CHAIN_2016).await;
        }
    }
    assert_eq!(row(&gate, "127.0.0.1").1, Some(1));
    let (standing, stage, _) = row(&gate, "127.0.0.2");
    assert_eq!((standing.as_str(), stage), ("owing", None), "two messages prove nothing about this address");
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_self_test_answers_with_what_the_message_showed_and_delivers_it_to_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let maildir = folder.path().join("maildir");
    let rest = format!(
        "[enforcement]\nmode = \"enforce\"\nopen_sightings = 1\nopen_hours = 0\nschedule_days = [0, 1]\nthrottle_minutes = [0, 0]\n\
         block_minutes = [0, 60]\nself_test = \"exchange-test@example.org\"\n[[upstream]]\nname = \"maildir\"\n\
         domains = [\"example.org\"]\nmaildir = \"{}\"\n",
        maildir.display()
    );
    let gate = Simulated::start("2026-11-02T12:00:00Z", &rest).await;
    let test = async |chain: &str, to: &[&str]| {
        let (mut client, _) = Client::connect(gate.smtp()).await.unwrap();
        client.command("EHLO mail.example.net").await.unwrap();
        let replies = client.send("a@example.net", to, message(chain).as_bytes()).await.unwrap();
        let last = replies.last().unwrap();
        format!("{} {}", last.code, last.lines.join(" "))
    };
    let test_address = ["Exchange-Test@example.org"];
    let answer = test(CHAIN_2016, &test_address).await;
    assert!(
        answer.starts_with(
            "550 5.7.0 Self-test, nothing was delivered: Exchange 2016 15.1.2507.31 (CU23 Aug23SU) owes: "
        ),
        "{answer}"
    );
    assert!(answer.contains("install: migrate to Exchange Server Subscription Edition"), "{answer}");
    // Blocked for good, it still hears why; and with the first good message the row ends.
    gate.clock.set("2026-11-04T12:00:00Z".parse().unwrap());
    for _ in 0..3 {
        assert!(test(CHAIN_2016, &test_address).await.contains("owes: "));
    }
    let answer = test(CHAIN_SE, &test_address).await;
    assert!(answer.ends_with("owes nothing"), "{answer}");
    assert_eq!(row(&gate, "127.0.0.1").0, "met");
    let (mut client, _) = Client::connect(gate.smtp()).await.unwrap();
    client.command("EHLO mail.example.net").await.unwrap();
    client.command("MAIL FROM:<a@example.net>").await.unwrap();
    for (to, code) in [("b@example.org", 250), ("exchange-test@example.org", 452), ("c@example.org", 250)] {
        assert_eq!(client.command(&format!("RCPT TO:<{to}>")).await.unwrap().code, code, "{to}");
    }
    drop(client);
    assert_eq!(std::fs::read_dir(maildir.join("new")).unwrap().count(), 0);
    gate.finish().await;
}

/// F1: the service that picks up files stamps what the directory holds, which no update moves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_mail_from_the_pickup_folder_of_a_patched_server_is_never_deferred() {
    let folder = tempfile::tempdir().unwrap();
    let gate = blocking_node(&folder).await;
    let by =
        "by mail.example.net with Microsoft SMTP Server id 15.1.2507.17; Mon, 2 Nov 2026 10:00:00 +0000\r\n";
    for day in 0..12 {
        for (hour, from) in ["Pickup", "SmtpServer.Submit"].into_iter().enumerate() {
            let chain = format!("Received: from {from} {by}");
            assert_eq!(sent_on(&gate, day, hour, &chain).await, 250, "day {day}, {from}");
        }
        assert_eq!(sent_on(&gate, day, 9, CHAIN_SE).await, 250);
    }
    assert_eq!(row(&gate, "127.0.0.1"), ("met".into(), None, "owes nothing".into()));
    gate.finish().await;
}

/// F2: all members of a group are patched, and one goes on to stamp an old build.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f2_a_stale_member_of_a_group_defers_no_mail_of_the_group() {
    let folder = tempfile::tempdir().unwrap();
    let gate = blocking_node(&folder).await;
    for day in 0..12 {
        for (hour, chain) in [CHAIN_SE, CHAIN_2016, CHAIN_SE].into_iter().enumerate() {
            assert_eq!(sent_on(&gate, day, hour, chain).await, 250, "day {day}, message {hour}");
        }
    }
    assert_eq!(row(&gate, "127.0.0.1").1, None);
    gate.finish().await;
}

/// F8: an old server behind a newer front is shown wherever the front is, and held to nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f8_an_old_server_behind_a_newer_front_is_shown_as_interior_and_never_judged() {
    let folder = tempfile::tempdir().unwrap();
    let gate = blocking_node(&folder).await;
    let behind = "Received: from client (10.0.0.9) by mbx.example.net (10.0.0.6) with Microsoft SMTP Server id 15.1.2507.39; \
                  Mon, 2 Nov 2026 09:59:00 +0000\r\n";
    for day in 0..12 {
        assert_eq!(sent_on(&gate, day, 0, &format!("{CHAIN_SE}{behind}")).await, 250);
    }
    assert_eq!(row(&gate, "127.0.0.1"), ("met".into(), None, "owes nothing".into()));
    let id = gate.json(&["servers", "list"])[0]["id"].as_str().unwrap().to_owned();
    let shown = gate.command(&["servers", "show", &id]);
    let report = gate.command(&["report"]);
    for output in [shown, report] {
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text
            .lines()
            .find(|line| line.trim_start().starts_with("interior"))
            .unwrap_or_else(|| panic!("{text}"));
        assert!(
            line.contains("15.1.2507.39, not judged: from client") && line.contains("mbx.example.net"),
            "{line}"
        );
    }
    let report = gate.json(&["report"]);
    assert_eq!(report["servers"][0]["interior"][0]["build"], "15.1.2507.39");
    assert_eq!(report["servers"][0]["product"], "SE");
    let socket = gate.folder.path().join("data/admin.sock");
    let (_, page) = pc_web::client::request(&socket, "GET", &format!("/servers/{id}"), None).await.unwrap();
    assert!(String::from_utf8_lossy(&page).contains("Further back"));
    gate.finish().await;
}

/// A node that would block from the second day of a debt on, for the whole hour.
async fn blocking_node(folder: &tempfile::TempDir) -> Simulated {
    let rest = format!(
        "[enforcement]\nmode = \"enforce\"\nschedule_days = [0, 1]\nthrottle_minutes = [0, 0]\nblock_minutes = [0, 60]\n\
         [[upstream]]\nname = \"maildir\"\ndomains = [\"example.org\"]\nmaildir = \"{}\"\n",
        folder.path().join("maildir").display()
    );
    Simulated::start("2026-11-02T12:00:00Z", &rest).await
}

/// What the last command of a message is answered, sent on a day and at an hour of the test.
async fn sent_on(gate: &Simulated, day: u32, hour: usize, chain: &str) -> u16 {
    gate.clock.set(format!("2026-11-{:02}T{:02}:00:00Z", 2 + day, 12 + hour).parse().unwrap());
    let (mut client, _) = Client::connect_from("127.0.0.1".parse().unwrap(), gate.smtp()).await.unwrap();
    client.command("EHLO mail.example.net").await.unwrap();
    let replies = client.send("a@example.net", &["b@example.org"], message(chain).as_bytes()).await.unwrap();
    replies.last().unwrap().code
}
