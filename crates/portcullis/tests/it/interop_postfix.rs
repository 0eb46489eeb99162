//! A real Postfix sends through the gate to a real Postfix that receives; swaks too.

use std::path::Path;
use std::process::Command;

use pc_testkit::{Client, Postfix, Smtpd};

use crate::support::{CHAIN_2016, OPEN_AT_ONCE, Simulated, certificate, free_port, message, text, until};

/// A receiving Postfix that delivers into a Maildir, with a certificate for `receiver.example.org`.
struct Receiving {
    _postfix: Postfix,
    port: u16,
    folder: tempfile::TempDir,
    certificate: pc_tls::CertificateFiles,
}

impl Receiving {
    fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("receiving").tempdir().unwrap();
        let certificate = certificate(folder.path(), "receiver.example.org");
        let mail = folder.path().join("mail");
        std::fs::create_dir(&mail).unwrap();
        for path in [folder.path(), &mail] {
            assert!(Command::new("chown").arg("nobody:nogroup").arg(path).status().unwrap().success());
        }
        let id = |flag: &str| {
            text(&Command::new("id").args([flag, "nobody"]).output().unwrap().stdout).trim().to_owned()
        };
        let settings = [
            ("virtual_mailbox_domains", "example.org".to_owned()),
            ("virtual_mailbox_base", mail.display().to_string()),
            ("virtual_mailbox_maps", "static:box/".to_owned()),
            ("virtual_uid_maps", format!("static:{}", id("-u"))),
            ("virtual_gid_maps", format!("static:{}", id("-g"))),
            ("virtual_transport", "virtual".to_owned()),
            ("smtpd_tls_security_level", "encrypt".to_owned()),
            ("smtpd_tls_cert_file", certificate.chain.display().to_string()),
            ("smtpd_tls_key_file", certificate.key.display().to_string()),
        ];
        let port = free_port();
        let smtpd = Smtpd { port, processes_max: 5, options: &[] };
        let postfix = Postfix::start(&settings, Some(&smtpd)).unwrap();
        Self { _postfix: postfix, port, folder, certificate }
    }

    fn upstream_toml(&self) -> String {
        format!(
            "[[upstream]]\nname = \"receiver\"\ndomains = [\"example.org\"]\naddress = \"127.0.0.1:{}\"\ntls = \"starttls\"\n\
             tls_name = \"receiver.example.org\"\nca_file = \"{}\"\n",
            self.port,
            self.certificate.chain.display()
        )
    }

    /// Waits until `count` messages lie in the mailbox, and returns them.
    fn messages(&self, count: usize) -> Vec<String> {
        let new = self.folder.path().join("mail/box/new");
        let list = |folder: &Path| -> Vec<String> {
            let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
            entries.map(|entry| text(&std::fs::read(entry.unwrap().path()).unwrap())).collect()
        };
        let mut messages = Vec::new();
        until("mail in the mailbox", || {
            messages = list(&new);
            messages.len() >= count
        });
        messages
    }
}

/// A sending Postfix that greets as mail.example.net and, like an Exchange, leaves the message's own
/// first line on top.
fn sending(gate: std::net::SocketAddr) -> (Postfix, u16, tempfile::NamedTempFile) {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    let mut checks = tempfile::NamedTempFile::new().unwrap();
    writeln!(checks, "/^Received: .*by mail.example.net \\(Postfix\\)/ IGNORE").unwrap();
    std::fs::set_permissions(checks.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let settings = [
        ("relayhost", format!("[127.0.0.1]:{}", gate.port())),
        ("myhostname", "mail.example.net".to_owned()),
        ("smtp_header_checks", format!("regexp:{}", checks.path().display())),
        ("smtp_tls_security_level", "encrypt".to_owned()),
        ("smtp_tls_mandatory_protocols", ">=TLSv1.2".to_owned()),
        ("smtp_tls_loglevel", "1".to_owned()),
        ("relay_domains", "example.org".to_owned()),
        // Deferred mail waits for the test's flush.
        ("minimal_backoff_time", "3600s".to_owned()),
        ("maximal_backoff_time", "7200s".to_owned()),
    ];
    let port = free_port();
    let smtpd = Smtpd { port, processes_max: 5, options: &[] };
    (Postfix::start(&settings, Some(&smtpd)).unwrap(), port, checks)
}

async fn submit(port: u16, chain: &str) {
    let (mut client, _) = Client::connect(([127, 0, 0, 1], port).into()).await.unwrap();
    client.command("EHLO inside.example.net").await.unwrap();
    let replies = client.send("a@example.net", &["b@example.org"], message(chain).as_bytes()).await.unwrap();
    assert_eq!(replies.last().unwrap().code, 250, "{replies:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postfix_relays_a_2016_chain_over_starttls_to_a_real_server() {
    let receiving = Receiving::start();
    let gate = Simulated::start("2026-11-02T12:00:00Z", &receiving.upstream_toml()).await;
    let (postfix, port, _checks) = sending(gate.smtp());
    submit(port, CHAIN_2016).await;
    let got = receiving.messages(1).remove(0).replace('\n', "\r\n").replace("\r\r\n", "\r\n");
    assert!(got.contains("by edge.example.org (Portcullis) with ESMTPS"), "{got}");
    assert!(got.contains("X-Portcullis-Enforcement: pass; verdict=unsupported; build=15.1.2507.31"), "{got}");
    assert!(
        got.contains("with ESMTPS id") || got.contains("using TLSv1.3"),
        "TLS behind the gate as well: {got}"
    );
    assert!(postfix.log().contains("TLSv1.3 with cipher TLS_AES_256_GCM_SHA384"), "{}", postfix.log());
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_held_in_a_window_waits_at_postfix_and_goes_through_when_it_ends() {
    let receiving = Receiving::start();
    let start = "2026-11-02T12:00:00Z";
    let rest = format!(
        "{}[enforcement]\nopen_sightings = 1\nopen_hours = 0\nmode = \"enforce\"\nprobe_interval_minutes = 600\n",
        receiving.upstream_toml()
    );
    let gate = Simulated::start(start, &rest).await;
    let (postfix, port, _checks) = sending(gate.smtp());
    submit(port, CHAIN_2016).await;
    receiving.messages(1);

    // Day 29 keeps the row alive; day 45 is stage 3: ten minutes an hour.
    let day = |days: i64| pc_types::time::add_days(start.parse().unwrap(), days);
    gate.clock.set(day(29));
    submit(port, CHAIN_2016).await;
    receiving.messages(2);
    let records = gate.running.records.as_ref().unwrap().servers.all();
    let minute = i64::from(pc_enforce::start_minute(&records[0].id));
    let inside = |minutes: i64| day(45).checked_add(pc_types::SignedDuration::from_mins(minutes)).unwrap();
    gate.clock.set(inside(minute + 1));
    // The first transaction inside a window is let through to its headers, and held after them.
    for _ in 0..2 {
        submit(port, CHAIN_2016).await;
    }
    until("two deferred messages", || postfix.queue().unwrap().matches("4.7.230").count() == 2);
    let queue = postfix.queue().unwrap();
    assert!(queue.contains("450 4.7.230 Connecting Exchange server version is out-of-date"), "{queue}");
    assert!(queue.contains("throttled for 10 mins/hr."), "{queue}");
    assert_eq!(receiving.messages(2).len(), 2, "nothing of it went through");

    gate.clock.set(inside(minute + 10));
    postfix.flush().unwrap();
    assert_eq!(receiving.messages(4).len(), 4);
    until("an empty queue", || postfix.queue().unwrap().is_empty());
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swaks_delivers_over_starttls_and_hears_the_block() {
    let receiving = Receiving::start();
    let start = "2026-11-02T12:00:00Z";
    let rest = format!(
        "{}[enforcement]\nopen_sightings = 1\nopen_hours = 0\nmode = \"enforce\"\nschedule_days = [0, 1]\nthrottle_minutes = [0, 0]\nblock_minutes = [0, 60]\n",
        receiving.upstream_toml()
    );
    let gate = Simulated::start(start, &rest).await;
    let file = gate.folder.path().join("message.eml");
    std::fs::write(&file, message(CHAIN_2016)).unwrap();
    let swaks = |to: &str| {
        let output = Command::new("swaks")
            .args([
                "--server",
                &gate.smtp().to_string(),
                "--tls",
                "--helo",
                "mail.example.net",
                "--from",
                "a@example.net",
            ])
            .args(["--to", to, "--data", &format!("@{}", file.display())])
            .output()
            .expect("needs swaks: apt-get install swaks libnet-ssleay-perl");
        (output.status.success(), text(&output.stdout))
    };
    let (taken, shown) = swaks("b@example.org");
    assert!(taken, "{shown}");
    assert!(receiving.messages(1)[0].contains("build=15.1.2507.31"));
    gate.clock.set(pc_types::time::add_days(start.parse().unwrap(), 1));
    let (taken, shown) = swaks("b@example.org");
    assert!(!taken && shown.contains("550 5.7.230 "), "held after its headers: {shown}");
    let (taken, shown) = swaks("b@example.org");
    assert!(!taken && shown.contains("blocked for 60 mins/hr."), "held at RCPT: {shown}");
    let (taken, shown) = swaks("postmaster@example.org");
    assert!(taken, "postmaster is reached: {shown}");
    receiving.messages(2);
    gate.finish().await;
}

/// What Python's email package reads in a notice.
const READ_NOTICE: &str = "
import email, email.policy, json, sys
message = email.message_from_binary_file(sys.stdin.buffer, policy=email.policy.default)
plain, html = list(message.iter_parts())
print(json.dumps({
    'type': message.get_content_type(), 'subject': message['Subject'], 'defects': len(message.defects),
    'auto': message['Auto-Submitted'], 'suppress': message['X-Auto-Response-Suppress'],
    'language': message['Content-Language'], 'return_path': message['Return-Path'], 'to': message['To'],
    'parts': [plain.get_content_type(), html.get_content_type()],
    'plain': plain.get_content(), 'html': html.get_content(),
}))
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notices_reach_a_real_server_and_are_read_back_by_another_library() {
    use std::io::Write;
    let receiving = Receiving::start();
    let toml = format!(
        "{}{OPEN_AT_ONCE}[[tenant]]\nname = \"example\"\ncontacts = [\"admin@example.org\"]\nlanguage = \"fr\"\n[[connector]]\n\
         name = \"partner\"\ntenant = \"example\"\naddresses = [\"127.0.0.0/8\"]\n",
        receiving.upstream_toml()
    );
    let gate = Simulated::start("2026-11-02T12:00:00Z", &toml).await;
    let mut client = gate.client().await;
    client.send("a@example.net", &["b@example.org"], message(CHAIN_2016).as_bytes()).await.unwrap();
    receiving.messages(1);
    let is_told = || gate.json(&["notices", "list"])[0]["kind"] == "server_owing";
    gate.clock.set("2026-11-02T12:01:00Z".parse().unwrap());
    until("the notice in the outbox", is_told);
    gate.clock.set("2026-11-02T12:02:00Z".parse().unwrap());
    let messages = receiving.messages(2);
    let notice = messages.iter().find(|message| message.contains("To: admin@example.org")).unwrap();
    let mut python = Command::new("python3")
        .args(["-c", READ_NOTICE])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("needs python3: apt-get install python3");
    python.stdin.take().unwrap().write_all(notice.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    let read: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(read["type"], "multipart/alternative", "{read}");
    assert_eq!(read["parts"], serde_json::json!(["text/plain", "text/html"]));
    assert_eq!(read["subject"], "mail.example.net : ce serveur de messagerie n'est pas à jour");
    assert_eq!((&read["auto"], &read["suppress"]), (&"auto-generated".into(), &"All".into()));
    assert_eq!((&read["language"], &read["return_path"]), (&"fr".into(), &"<>".into()));
    assert_eq!((&read["defects"], &read["to"]), (&0.into(), &"admin@example.org".into()));
    let (plain, html) = (read["plain"].as_str().unwrap(), read["html"].as_str().unwrap());
    assert!(plain.contains("Rien n'est encore retenu : edge.example.org ne fait qu'observer."), "{plain}");
    assert!(html.contains("<html lang=\"fr\">") && html.contains("15.1.2507.31"), "{html}");
    gate.finish().await;
}
