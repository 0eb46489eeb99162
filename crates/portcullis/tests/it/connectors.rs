//! Whom a server sends for: by its certificate, its address, the proven domain of its senders; and whose rules it is under.

use std::net::IpAddr;

use pc_testkit::{Client, DnsServer};
use pc_tls::{CertificateFiles, ClientTls, Roots};
use serde_json::Value;

use crate::support::{CHAIN_2016, CHAIN_SE, Simulated, certificate, chain_file, client_tls, message};

const START: &str = "2026-11-02T12:00:00Z";
/// The ladder blocks from its second day on; one message opens a row, and lets nobody through to its headers again.
const LADDER: &str = "[enforcement]\nmode = \"enforce\"\nopen_sightings = 1\nopen_hours = 0\nschedule_days = [0, 1]\n\
                      throttle_minutes = [0, 0]\nblock_minutes = [0, 60]\nprobe_interval_minutes = 1440\n";
const ZONE: &str = "example.com TXT v=spf1 ip4:127.0.0.2 -all";

struct Setup {
    gate: Simulated,
    dns: DnsServer,
    folder: tempfile::TempDir,
    /// For mail.example.net, trusted.
    own: CertificateFiles,
}

/// A node that knows servers by certificate, range and domain, each under a connector of that name.
async fn setup(more: &str) -> Setup {
    let folder = tempfile::tempdir().unwrap();
    let own = certificate(folder.path(), "mail.example.net");
    let dns = DnsServer::start(ZONE).await.unwrap();
    let rest = format!(
        "[smtp]\nclient_ca_file = \"{}\"\n{LADDER}[dns]\nservers = [\"{}\"]\nprivate_addresses = \"ask\"\n\
         [[upstream]]\nname = \"maildir\"\ndomains = [\"example.org\", \"other.example.org\"]\nmaildir = \"{}\"\n\
         [[connector]]\nname = \"by-certificate\"\ncertificate = [\"mail.example.net\"]\n\
         [[connector]]\nname = \"by-range\"\naddresses = [\"127.0.0.1\"]\n\
         [[connector]]\nname = \"by-domain\"\ndomain = [\"example.com\"]\n{more}",
        own.chain.display(),
        dns.address,
        folder.path().join("maildir").display()
    );
    let gate = Simulated::start(START, &rest).await;
    Setup { gate, dns, folder, own }
}

impl Setup {
    async fn client(&self, address: &str, own: Option<&CertificateFiles>) -> Client {
        let address: IpAddr = address.parse().unwrap();
        let (mut client, _) = Client::connect_from(address, self.gate.smtp()).await.unwrap();
        client.command("EHLO mail.example.net").await.unwrap();
        let Some(own) = own else { return client };
        let root = chain_file(self.gate.folder.path());
        let tls = ClientTls::showing(&Roots::CaFile(root), own).unwrap();
        let mut client = client.start_tls(&tls, "edge.example.org").await.unwrap();
        client.command("EHLO mail.example.net").await.unwrap();
        client
    }

    /// Connector and what proved it, of the newest message, as the row of its server shows it.
    async fn matched(&self, client: &mut Client, from: &str) -> (String, String, Value) {
        self.matched_by(client, from, &message(CHAIN_2016)).await
    }

    async fn matched_by(&self, client: &mut Client, from: &str, text: &str) -> (String, String, Value) {
        let replies = client.send(from, &["b@example.org"], text.as_bytes()).await.unwrap();
        assert_eq!(replies.last().unwrap().code, 250, "{replies:?}");
        self.gate.running.records.as_ref().unwrap().writer.flush().await;
        let trace = self.gate.json(&["trace", "--to", "example.org"]);
        let path = format!("/api/v1/trace/{}", trace[0]["id"].as_str().unwrap());
        let row: Value = serde_json::from_slice(&ask(&self.gate, "GET", &path).await).unwrap();
        let shown = self.gate.json(&["servers", "show", row["server_id"].as_str().unwrap()]);
        let server = &shown["server"];
        assert_eq!(row["connector"], server["connector"], "trace and server say the same");
        let text = |key: &str| server[key].as_str().unwrap_or_default().to_owned();
        (text("connector"), text("connector_by"), row["steps"].clone())
    }
}

async fn ask(gate: &Simulated, method: &str, path: &str) -> Vec<u8> {
    let socket = gate.folder.path().join("data/admin.sock");
    let (status, body) = pc_web::client::request(&socket, method, path, None).await.unwrap();
    assert_eq!(status, 200, "{path}");
    body
}

fn step(steps: &Value, kind: &str) -> String {
    let step = steps.as_array().unwrap().iter().find(|step| step["step"] == kind);
    step.map(|step| step["text"].as_str().unwrap().to_owned()).unwrap_or_default()
}

async fn rcpt(client: &mut Client, from: &str, to: &str) -> u16 {
    assert_eq!(client.command(&format!("MAIL FROM:<{from}>")).await.unwrap().code, 250);
    let code = client.command(&format!("RCPT TO:<{to}>")).await.unwrap().code;
    client.command("RSET").await.unwrap();
    code
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_goes_before_a_range_and_a_range_before_a_domain() {
    let setup = setup("").await;
    let mut named = setup.client("127.0.0.1", Some(&setup.own)).await;
    let (connector, by, steps) = setup.matched(&mut named, "a@example.com").await;
    assert_eq!((connector.as_str(), by.as_str()), ("by-certificate", "certificate"));
    assert_eq!(
        step(&steps, "certificate"),
        "connector by-certificate, by its certificate for mail.example.net"
    );
    let mut near = setup.client("127.0.0.1", None).await;
    let (connector, by, steps) = setup.matched(&mut near, "a@example.com").await;
    assert_eq!((connector.as_str(), by.as_str()), ("by-range", "address"));
    assert!(
        step(&steps, "connect").ends_with("connector by-range, by its address in 127.0.0.1/32"),
        "{steps}"
    );
    let mut sender = setup.client("127.0.0.2", None).await;
    let (connector, by, steps) = setup.matched(&mut sender, "a@example.com").await;
    assert_eq!((connector.as_str(), by.as_str()), ("by-domain", "spf"));
    assert_eq!(step(&steps, "connector"), "by-domain, by SPF for example.com");
    setup.gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_alone_matches_nothing() {
    let setup = setup("").await;
    // The greeting is mail.example.net in all of these.
    let mut forger = setup.client("127.0.0.3", None).await;
    let (connector, by, _) = setup.matched(&mut forger, "a@example.com").await;
    assert_eq!((connector.as_str(), by.as_str()), ("default", "nothing"), "SPF fails for this address");
    let other = certificate(&setup.folder.path().join("other"), "mail.example.net");
    let mut stranger = setup.client("127.0.0.3", Some(&other)).await;
    let (connector, _, steps) = setup.matched(&mut stranger, "a@example.net").await;
    assert_eq!(connector, "default");
    assert!(step(&steps, "certificate").starts_with("proves nothing: "), "{steps}");
    setup.gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_reported_and_those_whom_a_connector_names_are_held() {
    let setup = setup("").await;
    let senders = [
        ("127.0.0.1", true, "a@example.net", 550),
        ("127.0.0.2", false, "a@example.com", 550),
        ("127.0.0.3", false, "a@example.com", 250),
    ];
    for (address, shows, from, _) in senders {
        let mut client = setup.client(address, shows.then_some(&setup.own)).await;
        setup.matched(&mut client, from).await;
    }
    setup.gate.clock.set("2026-11-04T12:00:00Z".parse().unwrap());
    for (address, shows, from, code) in senders {
        let mut client = setup.client(address, shows.then_some(&setup.own)).await;
        assert_eq!(rcpt(&mut client, from, "b@example.org").await, 250, "the probe of {address}");
        assert_eq!(rcpt(&mut client, from, "b@example.org").await, code, "{address}");
        assert_eq!(rcpt(&mut client, from, "postmaster@example.org").await, 250, "{address}");
    }
    // From where SPF does not pass the same sender is a stranger, who is not held.
    let mut client = setup.client("127.0.0.2", None).await;
    assert_eq!(rcpt(&mut client, "a@example.net", "b@example.org").await, 250);
    setup.gate.finish().await;
}

/// Signed by example.net; lines above it are not.
fn signed(chain: &str) -> String {
    format!("{chain}{}", include_str!("../../../pc-dkim/fixtures/rsa-relaxed.eml"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_brings_a_stranger_under_the_rules_of_its_domain_at_the_end_of_data() {
    let setup = setup("[[connector]]\nname = \"by-signature\"\ndomain = [\"example.net\"]\n").await;
    setup.dns.publish(include_str!("../../../pc-dkim/fixtures/zone.txt"));
    let mut client = setup.client("127.0.0.5", None).await;
    let (connector, by, steps) = setup.matched_by(&mut client, "a@example.com", &signed(CHAIN_2016)).await;
    assert_eq!((connector.as_str(), by.as_str()), ("by-signature", "dkim"));
    assert_eq!(step(&steps, "dkim"), "example.net, selector rsa");
    assert_eq!(step(&steps, "connector"), "by-signature, by the DKIM signature of example.net");
    setup.gate.clock.set("2026-11-04T12:00:00Z".parse().unwrap());
    let mut last = async |text: String, recipients: &[&str]| {
        let replies = client.send("a@example.com", recipients, text.as_bytes()).await.unwrap();
        let last = replies.last().unwrap();
        (last.code, format!("{last:?}"))
    };
    let (code, text) = last(signed(CHAIN_2016), &["b@example.org"]).await;
    assert_eq!(code, 550);
    assert!(text.contains("5.7.230") && text.contains("blocked"), "{text}");
    let both = ["postmaster@example.org", "b@example.org"];
    assert_eq!(last(signed(CHAIN_2016), &both).await.0, 450, "one of them must be reached");
    assert_eq!(last(signed(CHAIN_2016), &both[..1]).await.0, 250);
    let altered = signed(CHAIN_2016).replace("Hello", "Hallo");
    assert_eq!(
        last(altered, &["b@example.org"]).await.0,
        250,
        "what is not proven is under the default rules"
    );
    assert_eq!(last(signed(CHAIN_2016), &["b@example.org"]).await.0, 550);
    assert_eq!(last(signed(CHAIN_SE), &["b@example.org"]).await.0, 250, "a good message ends it");
    assert_eq!(last(signed(CHAIN_SE), &["b@example.org"]).await.0, 250);
    // Whoever brings a signed message again under a name of his own stays under the rules for strangers.
    client.command("EHLO mail.example.com").await.unwrap();
    let (connector, by, _) = setup.matched_by(&mut client, "a@example.com", &signed(CHAIN_2016)).await;
    assert_eq!((connector.as_str(), by.as_str()), ("default", "nothing"));
    setup.gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scope_leaves_other_recipients_alone() {
    let more = "[[connector]]\nname = \"scoped\"\naddresses = [\"127.0.0.4\"]\nscope = [\"example.org\"]\n";
    let setup = setup(more).await;
    let mut client = setup.client("127.0.0.4", None).await;
    setup.matched(&mut client, "a@example.net").await;
    setup.gate.clock.set("2026-11-04T12:00:00Z".parse().unwrap());
    assert_eq!(rcpt(&mut client, "a@example.net", "b@example.org").await, 250, "the probe");
    assert_eq!(rcpt(&mut client, "a@example.net", "b@example.org").await, 550);
    assert_eq!(rcpt(&mut client, "a@example.net", "b@other.example.org").await, 250);
    setup.gate.finish().await;
}

/// The old server's build is at the floor of May 2024, and below the one of today.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_connector_has_its_floor_and_mode_also_when_servers_are_judged_anew() {
    let more = "[[connector]]\nname = \"patient\"\naddresses = [\"127.0.0.4\"]\nfloor = \"microsoft-2024-05\"\n\
                [[connector]]\nname = \"unwatched\"\naddresses = [\"127.0.0.5\"]\nenforcement = \"off\"\n";
    let setup = setup(more).await;
    for address in ["127.0.0.1", "127.0.0.4", "127.0.0.5"] {
        let mut client = setup.client(address, None).await;
        setup.matched(&mut client, "a@example.net").await;
    }
    let row = |address: &str| {
        let listed = setup.gate.json(&["servers", "list"]);
        let row = listed.as_array().unwrap().iter().find(|row| row["address"] == address).cloned().unwrap();
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        (text("standing"), row["stage"].as_u64(), text("floor"), text("mode"))
    };
    let as_expected = || {
        assert_eq!(row("127.0.0.1"), ("owing".into(), Some(1), "current".into(), "enforce".into()));
        assert_eq!(row("127.0.0.4"), ("met".into(), None, "microsoft-2024-05".into(), "enforce".into()));
        assert_eq!(row("127.0.0.5"), ("owing".into(), None, "current".into(), "off".into()));
    };
    as_expected();
    ask(&setup.gate, "POST", "/api/v1/catalog/reload").await;
    as_expected();
    setup.gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_without_a_certificate_are_served_where_one_is_asked_for() {
    let setup = setup("").await;
    let tls = client_tls(setup.gate.folder.path());
    let (client, _) = Client::connect_from("127.0.0.1".parse().unwrap(), setup.gate.smtp()).await.unwrap();
    let mut client = client.start_tls(&tls, "edge.example.org").await.unwrap();
    client.command("EHLO mail.example.net").await.unwrap();
    let (connector, _, steps) = setup.matched(&mut client, "a@example.net").await;
    assert_eq!((connector.as_str(), step(&steps, "certificate").as_str()), ("by-range", ""));
    setup.gate.finish().await;
}
