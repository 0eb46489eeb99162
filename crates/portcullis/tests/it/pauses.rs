//! Pauses of a tenant and the stop for everybody, from the command line to the answer at RCPT.

use std::net::IpAddr;
use std::path::Path;

use pc_testkit::Client;

use crate::support::{CHAIN_2016, Simulated, message};

const START: &str = "2026-11-02T12:00:00Z";

/// A ladder that blocks from its second day on, a tenant whose servers are 127.0.0.1, and a Maildir.
async fn node(folder: &Path) -> Simulated {
    let rest = format!(
        "[enforcement]\nopen_sightings = 1\nopen_hours = 0\nmode = \"enforce\"\nschedule_days = [0, 1]\nthrottle_minutes = [0, 0]\nblock_minutes = [0, 60]\n\
         probe_interval_minutes = 1440\n[[tenant]]\nname = \"example\"\n[[connector]]\nname = \"own\"\ntenant = \"example\"\n\
         addresses = [\"127.0.0.1\"]\n[[connector]]\nname = \"default\"\nenforcement = \"enforce\"\n[[upstream]]\nname = \"maildir\"\ndomains = [\"example.org\"]\nmaildir = \"{}\"\n",
        folder.join("maildir").display()
    );
    Simulated::start(START, &rest).await
}

/// What a recipient is answered that a server from `address` names.
async fn rcpt(gate: &Simulated, address: &str) -> u16 {
    let address: IpAddr = address.parse().unwrap();
    let (mut client, _) = Client::connect_from(address, gate.smtp()).await.unwrap();
    client.command("EHLO mail.example.net").await.unwrap();
    client.command("MAIL FROM:<a@example.net>").await.unwrap();
    client.command("RCPT TO:<b@example.org>").await.unwrap().code
}

/// Both servers owe since the first day, and each has used up its probe.
async fn blocked() -> (tempfile::TempDir, Simulated) {
    let folder = tempfile::tempdir().unwrap();
    let gate = node(folder.path()).await;
    for address in ["127.0.0.1", "127.0.0.2"] {
        let (mut client, _) = Client::connect_from(address.parse().unwrap(), gate.smtp()).await.unwrap();
        client.command("EHLO mail.example.net").await.unwrap();
        let message = message(CHAIN_2016);
        let replies = client.send("a@example.net", &["b@example.org"], message.as_bytes()).await.unwrap();
        assert_eq!(replies.last().unwrap().code, 250, "{replies:?}");
    }
    gate.clock.set("2026-11-04T12:00:00Z".parse().unwrap());
    for address in ["127.0.0.1", "127.0.0.2"] {
        assert_eq!(rcpt(&gate, address).await, 250, "the probe");
        assert_eq!(rcpt(&gate, address).await, 550);
    }
    (folder, gate)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_lets_the_servers_of_its_tenant_through_and_stops_their_clock() {
    let (_folder, gate) = blocked().await;
    let pause = gate.json(&["pause", "add", "--tenant", "example", "--days", "30", "--reason", "migration"]);
    assert_eq!((pause["number"].as_i64(), pause["state"].as_str()), (Some(1), Some("running")), "{pause}");
    assert_eq!(rcpt(&gate, "127.0.0.1").await, 250);
    assert_eq!(rcpt(&gate, "127.0.0.2").await, 550, "no server of the tenant");
    let listed = gate.json(&["servers", "list"]);
    let days: Vec<_> =
        listed.as_array().unwrap().iter().map(|server| server["day"].as_u64().unwrap()).collect();
    assert_eq!(days, [2, 2]);
    let quota = gate.json(&["pause", "quota"]);
    assert_eq!(quota[1]["left_days"], 60, "{quota}");
    let refused = gate.command(&["pause", "add", "--tenant", "example", "--days", "91", "--reason", "more"]);
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && words.contains("days must be from 1 to 90"), "{words}");
    let unknown = gate.command(&["pause", "add", "--tenant", "exmple", "--days", "1", "--reason", "x"]);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("there is no [[tenant]] named"), "{unknown:?}");
    // The clock stands still meanwhile, and goes on from where it stood.
    gate.clock.set("2026-11-14T12:00:00Z".parse().unwrap());
    assert_eq!(rcpt(&gate, "127.0.0.1").await, 250);
    gate.json(&["pause", "end", "1"]);
    assert_eq!(rcpt(&gate, "127.0.0.1").await, 250, "the probe of the day");
    assert_eq!(rcpt(&gate, "127.0.0.1").await, 550);
    let listed = gate.json(&["servers", "list"]);
    let mut days: Vec<_> =
        listed.as_array().unwrap().iter().map(|server| server["day"].as_u64().unwrap()).collect();
    days.sort_unstable();
    assert_eq!(days, [2, 12], "{listed}");
    assert_eq!(gate.json(&["pause", "quota"])[1]["used_days"], 10);
    assert_eq!(gate.json(&["pause", "list"])[0]["state"], "ended");
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_lets_everybody_through_until_it_is_ended() {
    let (_folder, gate) = blocked().await;
    gate.json(&["enforce", "stop", "--reason", "a fault of ours"]);
    for address in ["127.0.0.1", "127.0.0.2"] {
        assert_eq!(rcpt(&gate, address).await, 250);
        assert_eq!(rcpt(&gate, address).await, 250);
    }
    gate.json(&["enforce", "resume"]);
    for address in ["127.0.0.1", "127.0.0.2"] {
        assert_eq!(rcpt(&gate, address).await, 550);
    }
    let none = gate.command(&["enforce", "resume"]);
    assert!(String::from_utf8_lossy(&none.stdout).contains("no stop to end"), "{none:?}");
    let records = gate.running.records.as_ref().unwrap();
    let audit = records.store.audit(10).await.unwrap();
    let actions: Vec<&str> = audit.iter().rev().map(|row| row.action.as_str()).collect();
    assert_eq!(actions, ["stop", "end_pause"]);
    gate.finish().await;
}
