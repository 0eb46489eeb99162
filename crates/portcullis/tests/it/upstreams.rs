//! A server behind that is several hosts.

use std::net::SocketAddr;

use pc_testkit::{Behaviour, Receiver, Scripted, Step, Trouble};

use crate::support::{CHAIN_SE, Node, Simulated, free_port, message, receiver_tls};

/// Two hosts in plain text, the first with the better priority, and the spool in `mode`.
fn pair(first: SocketAddr, second: SocketAddr, mode: &str) -> String {
    format!(
        "[spool]\nmode = \"{mode}\"\n[[upstream]]\nname = \"exchange\"\ndomains = [\"example.org\"]\ntls = \"none\"\n\
         command_timeout_seconds = 2\nhosts = [{{ host = \"127.0.0.1\", port = {}, priority = 20 }}, {{ host = \
         \"127.0.0.1\", port = {}, priority = 10 }}]\n",
        second.port(),
        first.port()
    )
}

async fn send(node: &Node) -> Vec<u16> {
    let mut client = node.client().await;
    let replies =
        client.send("a@example.net", &["b@example.org"], message(CHAIN_SE).as_bytes()).await.unwrap();
    replies.iter().map(|reply| reply.code).collect()
}

/// The hosts of the only target, as `portcullis spool list` shows them.
fn hosts(node: &Node) -> Vec<serde_json::Value> {
    node.json(&["spool", "list"])["targets"][0]["hosts"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_first_host_does_before_its_first_answer_the_second_takes_the_message_once() {
    for (step, trouble) in [
        (Step::Greeting, Trouble::Hang),
        (Step::Ehlo, Trouble::Reply("421 4.3.2 closing")),
        (Step::Mail, Trouble::Reset),
        (Step::Rcpt, Trouble::Reset),
    ] {
        let first = Scripted::start(Some((step, trouble))).await.unwrap();
        let second = Receiver::start(Behaviour::Accept, None).await.unwrap();
        let node = Node::start(&pair(first.address, second.address, "when_down"));
        assert_eq!(send(&node).await, [250, 250, 354, 250], "{step:?}");
        assert_eq!((first.count(), second.count()), (0, 1), "{step:?}");
        let list = node.json(&["spool", "list"]);
        assert_eq!(list["messages"].as_array().unwrap().len(), 0, "nothing is left to send again: {list}");
        assert_eq!(list["targets"][0]["state"], "open");
        let trace = String::from_utf8(node.command(&["trace", "--id", "<1@example.net>"]).stdout).unwrap();
        assert!(trace.contains(&second.address.to_string()), "the trace names the host: {trace}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_refuses_connections_is_shown_with_its_fault_and_since_when() {
    let second = Receiver::start(Behaviour::Accept, None).await.unwrap();
    let nobody: SocketAddr = ([127, 0, 0, 1], free_port()).into();
    let node = Node::start(&pair(nobody, second.address, "when_down"));
    for _ in 0..2 {
        assert_eq!(send(&node).await, [250, 250, 354, 250]);
    }
    assert_eq!(second.count(), 2);
    let hosts = hosts(&node);
    assert_eq!((&hosts[0]["state"], &hosts[1]["state"]), (&"up".into(), &"down".into()), "{hosts:?}");
    assert_eq!(hosts[1]["address"], nobody.to_string());
    assert!(hosts[1]["last_fault"].as_str().unwrap().starts_with("connect: "), "{hosts:?}");
    assert!(hosts[1]["since"].is_string() && hosts[1]["last_fault_at"].is_string(), "{hosts:?}");
    let shown = String::from_utf8(node.command(&["spool", "list"]).stdout).unwrap();
    assert!(shown.contains("LAST FAULT") && shown.contains(&nobody.to_string()), "{shown}");
    let doctor = node.json(&["doctor"]);
    let lines: Vec<&serde_json::Value> =
        doctor.as_array().unwrap().iter().filter(|check| check["check"] == "server behind").collect();
    let findings: Vec<&str> = lines.iter().map(|check| check["finding"].as_str().unwrap()).collect();
    assert_eq!(findings, ["good", "warn"], "{lines:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_with_another_certificate_gets_no_mail_and_the_right_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let (tls, files) = receiver_tls(folder.path(), "receiver.example.org");
    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    let (other_tls, _) = receiver_tls(&other, "receiver.example.org");
    let impostor = Receiver::start(Behaviour::Accept, Some(other_tls)).await.unwrap();
    let right = Receiver::start(Behaviour::Accept, Some(tls)).await.unwrap();
    let node = Node::start(&format!(
        "[[upstream]]\nname = \"exchange\"\ndomains = [\"example.org\"]\nca_file = \"{}\"\ntls_name = \
         \"receiver.example.org\"\nhosts = [{{ host = \"127.0.0.1\", port = {}, priority = 1 }}, {{ host = \"127.0.0.1\", \
         port = {} }}]\n",
        files.chain.display(),
        impostor.address.port(),
        right.address.port()
    ));
    assert_eq!(send(&node).await, [250, 250, 354, 250]);
    assert_eq!((impostor.connections(), impostor.count(), right.count()), (1, 0, 1));
    let fault = hosts(&node)[0]["last_fault"].as_str().unwrap().to_owned();
    assert!(fault.starts_with("tls: the server's certificate is not accepted"), "{fault}");
    let (_, log) = node.kill();
    assert!(
        log.lines().any(|line| line.contains("ERROR") && line.contains("could not prove itself")),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_hangs_at_starttls_is_passed_over_and_gets_nothing_in_plain_text() {
    let folder = tempfile::tempdir().unwrap();
    let (tls, files) = receiver_tls(folder.path(), "receiver.example.org");
    let hanging = Scripted::start(Some((Step::StartTls, Trouble::Hang))).await.unwrap();
    let right = Receiver::start(Behaviour::Accept, Some(tls)).await.unwrap();
    let node = Node::start(&format!(
        "[[upstream]]\nname = \"exchange\"\ndomains = [\"example.org\"]\ncommand_timeout_seconds = 2\nhosts = [{{ host = \
         \"127.0.0.1\", port = {}, priority = 1 }}, {{ host = \"127.0.0.1\", port = {}, tls_name = \"receiver.example.org\", \
         certificate_sha256 = \"{}\" }}]\n",
        hanging.address.port(),
        right.address.port(),
        leaf_sha256(&files)
    ));
    assert_eq!(send(&node).await, [250, 250, 354, 250]);
    assert_eq!((hanging.count(), right.count()), (0, 1));
    assert!(hosts(&node)[0]["last_fault"].as_str().unwrap().starts_with("starttls: no reply in time"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_all_hosts_away_mail_is_spooled_or_left_with_its_sender() {
    for (mode, want) in [("when_down", vec![250, 250, 354, 250]), ("off", vec![250, 451])] {
        let away = Scripted::start(Some((Step::Greeting, Trouble::Reset))).await.unwrap();
        let other = Scripted::start(Some((Step::Ehlo, Trouble::Reset))).await.unwrap();
        let node = Node::start(&pair(away.address, other.address, mode));
        assert_eq!(send(&node).await, want, "{mode}");
        assert_eq!((away.count(), other.count()), (0, 0));
        assert_eq!(
            node.json(&["spool", "list"])["messages"].as_array().unwrap().len(),
            usize::from(mode != "off")
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spooled_mail_goes_as_soon_as_a_look_finds_a_host_back() {
    let (first, second) = (
        Scripted::start(Some((Step::Greeting, Trouble::Reset))).await.unwrap(),
        Scripted::start(Some((Step::Greeting, Trouble::Reset))).await.unwrap(),
    );
    let toml = pair(first.address, second.address, "when_down");
    let gate = Simulated::start("2026-11-02T12:00:00Z", &toml).await;
    let queue = &gate.running.queue;
    let mut client = gate.client().await;
    let replies =
        client.send("a@example.net", &["b@example.org"], message(CHAIN_SE).as_bytes()).await.unwrap();
    assert_eq!(replies.last().unwrap().code, 250, "{replies:?}");
    assert_eq!(queue.targets()[0].state, "shut");
    second.behave(None);
    // The reserve is listed first, and its pause ends by itself.
    let pauses: Vec<_> = queue.targets()[0].hosts.iter().filter_map(|host| host.down_until).collect();
    gate.clock.set(*pauses.iter().max().unwrap());
    queue.wait_for(|queue| queue.list().is_empty()).await;
    assert_eq!((first.count(), second.count()), (0, 1));
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_host_is_used_again_after_a_look_at_it() {
    let first = Scripted::start(Some((Step::Greeting, Trouble::Reset))).await.unwrap();
    let second = Receiver::start(Behaviour::Accept, None).await.unwrap();
    let gate =
        Simulated::start("2026-11-02T12:00:00Z", &pair(first.address, second.address, "when_down")).await;
    let queue = &gate.running.queue;
    let mut client = gate.client().await;
    for _ in 0..2 {
        let replies =
            client.send("a@example.net", &["b@example.org"], message(CHAIN_SE).as_bytes()).await.unwrap();
        assert_eq!(replies.last().unwrap().code, 250, "{replies:?}");
    }
    assert_eq!((first.connections(), second.count()), (1, 2));
    first.behave(None);
    let until = queue.targets()[0].hosts.iter().find_map(|host| host.down_until).unwrap();
    gate.clock.set(until);
    // Its return wakes the spool's lane, which wakes whoever waits here.
    queue.wait_for(|queue| queue.targets()[0].hosts.iter().all(|host| host.state == "up")).await;
    let replies =
        client.send("a@example.net", &["b@example.org"], message(CHAIN_SE).as_bytes()).await.unwrap();
    assert_eq!(replies.last().unwrap().code, 250, "{replies:?}");
    assert_eq!((first.count(), second.count()), (1, 2));
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_hosts_take_turns() {
    let first = Receiver::start(Behaviour::Accept, None).await.unwrap();
    let second = Receiver::start(Behaviour::Accept, None).await.unwrap();
    let equal = pair(first.address, second.address, "off").replace("priority = 20", "priority = 10");
    let node = Node::start(&equal);
    for _ in 0..6 {
        assert_eq!(send(&node).await, [250, 250, 354, 250]);
    }
    assert_eq!((first.count(), second.count()), (3, 3));
    assert_eq!((first.connections(), second.connections()), (1, 1), "each keeps its own idle connection");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_real_binary_answers_in_time_when_its_only_server_hangs_at_any_step() {
    let mut toml = "[spool]\nmode = \"off\"\n".to_owned();
    let mut servers = Vec::new();
    for (name, step, want) in [
        ("greeting", Step::Greeting, vec![250, 451]),
        ("ehlo", Step::Ehlo, vec![250, 451]),
        ("mail", Step::Mail, vec![250, 451]),
        ("rcpt", Step::Rcpt, vec![250, 451]),
        ("data", Step::Data, vec![250, 250, 354, 451]),
    ] {
        let server = Scripted::start(Some((step, Trouble::Hang))).await.unwrap();
        toml.push_str(&format!(
            "[[upstream]]\nname = \"{name}\"\ndomains = [\"{name}.example.org\"]\ntls = \"none\"\naddress = \
             \"{}\"\ncommand_timeout_seconds = 2\n",
            server.address
        ));
        servers.push((name, server, want));
    }
    let node = std::sync::Arc::new(Node::start(&toml));
    let mut checks = tokio::task::JoinSet::new();
    for (name, server, want) in servers {
        let node = std::sync::Arc::clone(&node);
        checks.spawn(async move {
            let mut client = node.client().await;
            let (to, mail) = (format!("b@{name}.example.org"), message(CHAIN_SE));
            let mut codes = async || -> Vec<u16> {
                let replies = client.send("a@example.net", &[&to], mail.as_bytes()).await.unwrap();
                replies.iter().map(|reply| reply.code).collect()
            };
            assert_eq!(codes().await, want, "{name}");
            server.behave(None);
            assert_eq!(codes().await, [250, 250, 354, 250], "{name}");
            assert_eq!(server.count(), 1, "{name}");
        });
    }
    while let Some(checked) = checks.join_next().await {
        checked.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mixture_of_answers_delivers_to_some_keeps_some_and_is_done_with_the_others() {
    let receiver = Receiver::start(Behaviour::Accept, None).await.unwrap();
    let toml = format!(
        "[spool]\nmode = \"always\"\n[[upstream]]\nname = \"exchange\"\ndomains = [\"example.org\"]\ntls = \"none\"\n\
         address = \"{}\"\n",
        receiver.address
    );
    let gate = Simulated::start("2026-11-02T12:00:00Z", &toml).await;
    let queue = &gate.running.queue;
    let mut client = gate.client().await;
    let to = ["later@example.org", "b@example.org", "unknown@example.org"];
    let replies = client.send("a@example.net", &to, message(CHAIN_SE).as_bytes()).await.unwrap();
    assert_eq!(replies.last().unwrap().code, 250, "{replies:?}");
    let attempts =
        |count| move |queue: &pc_smtpd::queue::Queue| queue.list().iter().any(|it| it.attempts == count);
    queue.wait_for(attempts(1)).await;
    let waiting = queue.list().remove(0);
    assert_eq!((waiting.state, waiting.recipients, waiting.recipients_pending), ("waiting", 3, 1));
    gate.clock.set(waiting.next_attempt_at.unwrap());
    queue.wait_for(attempts(2)).await;
    assert_eq!(receiver.count(), 1, "whoever has the message does not get it again");
    assert_eq!(receiver.deliveries()[0].envelope.recipients[0].forward_path.to_string(), "b@example.org");
    gate.finish().await;
}

fn leaf_sha256(files: &pc_tls::CertificateFiles) -> String {
    let store =
        pc_tls::CertificateStore::load(std::slice::from_ref(files), pc_net::Clock::System.now()).unwrap();
    pc_types::hex(&store.leaf_sha256()[0])
}
