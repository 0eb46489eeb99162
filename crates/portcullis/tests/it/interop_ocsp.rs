//! OCSP responses by `openssl ocsp`, fetched by a node and shown to `openssl s_client`.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use pc_net::Clock;
use pc_testkit::{OcspAuthority, OcspResponder, OcspSigner};
use pc_types::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::support::{Node, Simulated, free_port, run, text, until};

const KEY: &str = "ec -pkeyopt ec_paramgen_curve:P-256";
const SERIAL: &str = "1234";
const ALLOWED: &str = "ocsp_allow_networks = [\"127.0.0.1\"]\n";
const STAPLED: &str = "OCSP Response Status: successful (0x0)";
const NOT_STAPLED: &str = "OCSP response: no response sent";

/// An authority, and where its responder is.
struct Bench {
    authority: OcspAuthority,
    port: u16,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { authority: OcspAuthority::new(KEY), port: free_port() };
        bench.authority.set_good(SERIAL);
        bench
    }

    fn responder(&self) -> OcspResponder {
        let responder = self.authority.serve(OcspSigner::Delegated, self.port);
        until("the responder", || self.authority.is_serving());
        responder
    }

    /// A certificate that names the responder, in a configuration with an SMTP and, where `web` says so, an HTTPS listener.
    fn toml(&self, tls: &str, extensions: &[&str], web: &str) -> String {
        let address = format!("authorityInfoAccess=OCSP;URI:http://127.0.0.1:{}/", self.port);
        let extensions: Vec<&str> = extensions.iter().copied().chain([address.as_str()]).collect();
        self.toml_without_responder(tls, &extensions, web)
    }

    fn toml_without_responder(&self, tls: &str, extensions: &[&str], web: &str) -> String {
        let (chain, key) = self.authority.issue(KEY, "leaf", "edge.example.org", SERIAL, extensions);
        let maildir = self.authority.path("maildir");
        format!(
            "[tls]\ncertificates = [{{ chain = \"{}\", key = \"{}\" }}]\n{tls}[[upstream]]\nname = \"m\"\ndomains = \
             [\"example.org\"]\nmaildir = \"{}\"\n{web}",
            chain.display(),
            key.display(),
            maildir.display()
        )
    }

    fn requests(&self) -> usize {
        self.authority.requests()
    }
}

const WEB: &str = "[https]\n[[https.listener]]\naddress = \"127.0.0.1:0\"\n[[site]]\nname = \"exchange\"\nnames = \
    [\"edge.example.org\"]\naddress = \"127.0.0.1:9\"\n";

/// What `openssl s_client -status` shows.
fn shown(address: SocketAddr, arguments: &[&str]) -> String {
    let output = Command::new("openssl")
        .args(["s_client", "-status", "-connect", &address.to_string(), "-servername", "edge.example.org"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("needs openssl: apt-get install openssl");
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn by_mail(address: SocketAddr) -> String {
    shown(address, &["-starttls", "smtp"])
}

fn stapling_item(address: SocketAddr) -> Value {
    let output = run(&["tls", "check", &address.to_string(), "--starttls", "smtp", "--json"]);
    let checked: Value = serde_json::from_slice(&output.stdout).unwrap();
    let items = checked["items"].as_array().unwrap();
    items
        .iter()
        .find(|item| item["practice"] == "OCSP stapling")
        .unwrap_or_else(|| panic!("{checked}"))
        .clone()
}

fn line(doctor: &Value) -> (String, String) {
    let lines = doctor.as_array().unwrap();
    let line = lines.iter().find(|line| line["check"] == "ocsp").unwrap_or_else(|| panic!("{doctor}"));
    (line["finding"].as_str().unwrap().to_owned(), line["text"].as_str().unwrap().to_owned())
}

fn after(moment: Timestamp, minutes: i64) -> Timestamp {
    moment.saturating_add(SignedDuration::from_mins(minutes)).unwrap()
}

#[test]
fn a_good_response_is_stapled_on_every_listener_and_at_once_after_a_restart() {
    let bench = Bench::new();
    let responder = bench.responder();
    let config = bench.toml(ALLOWED, &[], WEB);
    let node = Node::start(&config);
    until("the staple", || by_mail(node.smtp).contains(STAPLED));
    for version in ["-tls1_2", "-tls1_3"] {
        for shown in
            [shown(node.smtp, &["-starttls", "smtp", version]), shown(node.https.unwrap(), &[version])]
        {
            assert!(shown.contains(STAPLED) && shown.contains("Cert Status: good"), "{version}: {shown}");
        }
    }
    assert_eq!(stapling_item(node.smtp)["finding"], "pass");
    let (finding, told) = line(&node.json(&["doctor"]));
    assert_eq!(finding, "good", "{told}");
    assert!(told.starts_with("edge.example.org: stapled until "), "{told}");
    let kept = std::fs::read_dir(node.folder.path().join("data/ocsp")).unwrap().next().unwrap().unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&kept.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);

    let asked = bench.requests();
    let folder = node.terminate();
    let node = Node::start_in(folder, &config);
    let first = by_mail(node.smtp);
    assert!(first.contains(STAPLED), "{first}");
    assert_eq!(bench.requests(), asked, "half of its time is not over");
    drop((node, responder));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_responder_a_response_is_stapled_to_its_end_and_not_longer() {
    let bench = Bench::new();
    let responder = bench.responder();
    let start = Clock::System.now();
    let node = Simulated::start(&start.to_string(), &bench.toml(ALLOWED, &[], "")).await;
    until("the staple", || by_mail(node.smtp()).contains(STAPLED));
    drop(responder);
    node.clock.set(after(start, 59));
    assert!(by_mail(node.smtp()).contains(STAPLED));
    node.clock.set(after(start, 61));
    until("the end of the staple", || by_mail(node.smtp()).contains(NOT_STAPLED));
    let _responder = bench.responder();
    // Answers of the responder are of the system's time, and over by that of the node: nothing may be stapled of them.
    node.clock.set(after(start, 200));
    assert!(by_mail(node.smtp()).contains(NOT_STAPLED));
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_ends_the_staple_and_is_told_in_pages_doctor_and_a_notice() {
    let bench = Bench::new();
    let responder = bench.responder();
    let start = Clock::System.now();
    let config = bench.toml(ALLOWED, &[], "[notify]\noperator = [\"ops@example.org\"]\n");
    let node = Simulated::start(&start.to_string(), &config).await;
    until("the staple", || by_mail(node.smtp()).contains(STAPLED));
    drop(responder);
    bench.authority.set_revoked(SERIAL);
    let _responder = bench.responder();
    node.clock.set(after(start, 31));
    until("the end of the staple", || by_mail(node.smtp()).contains(NOT_STAPLED));
    let (finding, told) = line(&node.json(&["doctor"]));
    assert_eq!(finding, "bad", "{told}");
    assert!(told.contains("REVOKED since 2026-11-01T12:00:00Z (keyCompromise)"), "{told}");
    let records = node.running.records.as_ref().unwrap();
    let looking = async {
        loop {
            records.writer.flush().await;
            let notices = records.store.notices(Some("node"), 100).await.unwrap();
            if let Some(found) = notices.into_iter().find(|notice| notice.facts.contains("is revoked")) {
                return found.facts;
            }
            tokio::task::yield_now().await;
        }
    };
    let notice = tokio::time::timeout(Duration::from_secs(60), looking).await.unwrap();
    assert!(notice.contains("keyCompromise") && notice.contains("with a new key"), "{notice}");
    node.finish().await;
}

#[test]
fn a_responder_inside_is_asked_only_where_the_operator_allows_it_and_must_staple_is_told_of() {
    let bench = Bench::new();
    let _responder = bench.responder();
    let node = Node::start(&bench.toml("", &["tlsfeature=status_request"], ""));
    let allows = "only [tls] ocsp_allow_networks allows that";
    until("the refusal", || node.log().contains(allows));
    until("the warning", || node.log().contains("must-staple"));
    assert!(by_mail(node.smtp).contains(NOT_STAPLED));
    let item = stapling_item(node.smtp);
    assert_eq!(item["finding"], "fail", "{item}");
    let (finding, told) = line(&node.json(&["doctor"]));
    assert_eq!(finding, "warn", "{told}");
    assert!(told.contains("must-staple") && told.contains("ocsp_allow_networks"), "{told}");
    assert_eq!(bench.requests(), 0);
}

#[test]
fn a_certificate_without_a_responder_has_nothing_to_staple_and_that_is_no_fault() {
    let bench = Bench::new();
    let node = Node::start(&bench.toml_without_responder("", &[], ""));
    let item = stapling_item(node.smtp);
    assert_eq!(item["finding"], "not applicable", "{item}");
    let (finding, told) = line(&node.json(&["doctor"]));
    assert_eq!((finding.as_str(), told.contains("names no responder")), ("good", true), "{told}");
    assert!(!node.log().contains("OCSP"), "{}", node.log());
}

#[test]
fn stapling_that_is_off_asks_nobody() {
    let bench = Bench::new();
    let _responder = bench.responder();
    let node = Node::start(&bench.toml(&format!("ocsp_stapling = \"off\"\n{ALLOWED}"), &[], ""));
    assert!(by_mail(node.smtp).contains(NOT_STAPLED));
    let told = text(&node.command(&["doctor"]).stdout);
    assert!(told.contains("not stapled, as [tls] ocsp_stapling = \"off\" has it"), "{told}");
    assert_eq!(bench.requests(), 0);
}
