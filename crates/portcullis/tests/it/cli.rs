use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use pc_testkit::{Behaviour, Receiver};

use crate::support::{CHAIN_2016, Node, binary, message, run, text};

fn json(bytes: &[u8]) -> serde_json::Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn a_build_is_judged_with_the_names_of_the_contract() {
    let output = run(&["judge", "15.1.2507.39", "--now", "2026-11-23T00:00:00Z", "--json"]);
    assert_eq!(output.status.code(), Some(1), "not patched is a bad answer");
    let judgement = json(&output.stdout);
    assert_eq!(judgement["verdict"], "unsupported");
    assert_eq!(judgement["product"], "2016");
    assert_eq!(judgement["build"], "15.1.2507.39");
    for name in ["update", "support", "missing", "cves", "install", "evidence", "ignored"] {
        assert!(judgement.get(name).is_some(), "{name}");
    }
    let cve = &judgement["cves"][0];
    for name in ["id", "class", "cvss", "kev"] {
        assert!(cve.get(name).is_some(), "{name}");
    }
    let newest = run(&["judge", "15.2.2562.56", "--now", "2026-10-20", "--json"]);
    assert_eq!(newest.status.code(), Some(0));
    assert_eq!(json(&newest.stdout)["verdict"], "current");
}

#[test]
fn a_message_is_judged_by_its_first_line_and_by_own_hops_that_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("message.eml");
    fs::write(&file, message(CHAIN_2016).replace("\r\n", "\n")).unwrap();
    let path = file.display().to_string();
    let judgement = json(&run(&["judge", &path, "--json"]).stdout);
    assert_eq!(judgement["build"], "15.1.2507.31");
    assert_eq!(judgement["evidence"]["hop"], 0);
    let saved = format!(
        "Received: from mail.example.net (mail.example.net [192.0.2.7])\n\tby mx.example.org (Postfix) with ESMTPS id 1\n\tfor \
         <b@example.org>; Mon, 2 Nov 2026 10:00:01 +0000\n{}",
        message(CHAIN_2016)
    );
    fs::write(&file, saved).unwrap();
    let unnamed = json(&run(&["judge", &path, "--json"]).stdout);
    assert_eq!(unnamed["verdict"], "not_exchange");
    assert_eq!(unnamed["build"], serde_json::Value::Null);
    let named = json(&run(&["judge", &path, "--json", "--received-by", "mx.example.org"]).stdout);
    assert_eq!(named["build"], "15.1.2507.31");
    assert_eq!(named["evidence"]["hop"], 1);
}

#[test]
fn usage_errors_exit_2_with_the_remedy() {
    for arguments in [
        &["judge", "15.1.2507"][..],
        &["judge", "no-such-file.eml"],
        &["judge", "15.1.2507.39", "--now", "yesterday"],
        &["frobnicate"],
        &["servers", "show", "nonsense"],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(!output.stderr.is_empty());
    }
}

#[test]
fn a_malformed_configuration_shows_every_error_with_its_line_and_exits_64() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portcullis.toml");
    fs::write(
        &file,
        "[node]\nname = \"no name\"\n[smtp]\nrecipients_max = 5\nmesage_size = 3\n[[smtp.listener]]\naddress = \"nowhere\"\n\
         [enforcement]\nmode = \"harsh\"\n",
    )
    .unwrap();
    for command in [&["config", "check"][..], &["serve"]] {
        let output = Command::new(binary()).args(command).arg("--config").arg(&file).output().unwrap();
        assert_eq!(output.status.code(), Some(64));
        let errors = text(&output.stderr);
        for line in ["line 2", "line 4", "line 5", "line 7", "line 9"] {
            assert!(errors.contains(line), "{line} in {errors}");
        }
    }
    let sample = run(&["config", "default"]);
    fs::write(&file, &sample.stdout).unwrap();
    let path = file.display().to_string();
    assert_eq!(run(&["config", "check", "--config", &path]).status.code(), Some(0));
}

#[test]
fn a_broken_catalogue_is_refused_with_the_name_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let shipped = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../catalog");
    for name in pc_exchange::CATALOGUE_FILES {
        fs::copy(shipped.join(name), folder.path().join(name)).unwrap();
    }
    let data = tempfile::tempdir().unwrap();
    let config = data.path().join("portcullis.toml");
    fs::write(
        &config,
        format!(
            "[node]\ndata = \"{0}\"\n[catalog]\ndirectory = \"{1}\"\nstale_days = 3650\n[admin]\naddress = \"127.0.0.1:0\"\n[[smtp.listener]]\naddress \
             = \"127.0.0.1:0\"\ntls = \"starttls\"\n[[upstream]]\nname = \"m\"\ndomains = [\"*\"]\nmaildir = \"{0}/m\"\n",
            data.path().join("data").display(),
            folder.path().display()
        ),
    )
    .unwrap();
    let path = config.display().to_string();
    assert_eq!(run(&["catalog", "check", "--config", &path]).status.code(), Some(0));
    let victim = folder.path().join("exchange-cves.json");
    let mut bytes = fs::read(&victim).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&victim, bytes).unwrap();
    for command in [&["catalog", "check"][..], &["serve"]] {
        let output = run(&[command, &["--config", &path]].concat());
        assert_eq!(output.status.code(), Some(64), "{output:?}");
        assert!(text(&output.stderr).contains("exchange-cves.json"), "{output:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exemptions_go_through_the_socket_and_the_pages_are_read_only() {
    let receiver = Receiver::start(Behaviour::Accept, None).await.unwrap();
    let node = Node::start(&format!(
        "[[upstream]]\nname = \"r\"\ndomains = [\"example.org\"]\naddress = \"{}\"\ntls = \"none\"\n\
         [enforcement]\nopen_sightings = 1\nopen_hours = 0\n",
        receiver.address
    ));
    let mut client = node.client().await;
    client.send("a@example.net", &["b@example.org"], message(CHAIN_2016).as_bytes()).await.unwrap();
    let id = node.json(&["servers", "list"])[0]["id"].as_str().unwrap().to_owned();
    let done = node.command(&["servers", "exempt", &id, "--reason", "migration", "--until", "2099-01-01"]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let shown = node.json(&["servers", "show", &id]);
    assert!(shown.to_string().contains("migration"));
    assert_eq!(node.command(&["servers", "unexempt", &id]).status.code(), Some(0));
    assert_eq!(node.command(&["servers", "show", "0123456789abcdef"]).status.code(), Some(1));

    let write = http(
        &node,
        &format!("DELETE /api/v1/servers/{id} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
    );
    assert!(write.starts_with("HTTP/1.1 403 "), "{write}");
    let foreign = http(&node, "GET /servers HTTP/1.1\r\nHost: evil.example.com\r\nConnection: close\r\n\r\n");
    assert!(foreign.starts_with("HTTP/1.1 421 "), "{foreign}");
    let metrics = http(&node, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(metrics.contains("pc_messages_total{outcome=\"taken\"} 1"), "{metrics}");
    let report = node.command(&["report", "--format", "csv"]);
    assert!(text(&report.stdout).contains("15.1.2507.31"));
    let preview = node.json(&["enforce", "preview", "--days", "100"]);
    assert_eq!(preview.as_array().unwrap().len(), 8, "the stage today and seven ahead");
    assert_eq!(node.command(&["servers", "forget", &id]).status.code(), Some(0));
    assert_eq!(node.json(&["servers", "list"]), serde_json::json!([]));
    assert_eq!(node.command(&["doctor"]).status.code(), Some(0));
}

fn http(node: &Node, request: &str) -> String {
    let mut stream = TcpStream::connect(node.admin).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn the_demo_climbs_the_ladder_releases_and_loses_nothing() {
    let child = Command::new(binary())
        .args(["demo", "--speed", "1000", "--port", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{shown}{}", text(&output.stderr));
    let block = |day: &str| {
        shown.split("\nday ").find(|block| block.trim_start().starts_with(day)).unwrap_or_default()
    };
    for (day, stage) in
        [("0 ", 1), ("30 ", 2), ("40 ", 3), ("50 ", 4), ("60 ", 5), ("70 ", 6), ("80 ", 7), ("90 ", 8)]
    {
        let line = block(day).lines().find(|line| line.contains("ex2013.example.net")).unwrap_or_default();
        assert!(line.contains(&format!("stage {stage}:")), "day {day}: {line}\n{shown}");
    }
    let released = block("73 ")
        .lines()
        .chain(block("72  2").lines())
        .find(|line| line.contains("ex2016.example.net"))
        .unwrap_or_default();
    assert!(released.contains("no stage") && released.contains("15.2.2562.56"), "{shown}");
    for name in ["se.example.net", "cloud.example.net", "relay.example.net"] {
        let lines = shown.lines().filter(|line| line.trim_start().starts_with(name) && line.contains(" | "));
        assert!(
            lines.clone().count() > 5 && lines.clone().all(|line| line.contains("no stage")),
            "{name}\n{shown}"
        );
    }
}
