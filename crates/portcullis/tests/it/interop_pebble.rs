//! Certificates by ACME from Pebble, the authority for tests of Let's Encrypt, to a real node.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use pc_config::Config;
use pc_net::{Clock, ManualClock, Stopper};
use pc_telemetry::Metrics;
use pc_testkit::{DnsServer, Pebble, PebblePlaces, PebbleSettings, WebClient};
use pc_tls::{CertificateSummary, ClientTls, Roots, ServerTls};
use pc_types::{Timestamp, time};
use portcullis::serve::Running;
use serde_json::Value;

use crate::support::{binary, certificate, try_greeted, until};

const NAME: &str = "mail.example.org";
const OTHER_NAME: &str = "mx.example.org";

/// A place where a node and an authority meet, and a folder that outlives both.
struct Place {
    places: PebblePlaces,
    dns: DnsServer,
    folder: tempfile::TempDir,
    clock: ManualClock,
}

/// A node in this process.
struct Node<'a> {
    place: &'a Place,
    running: Running,
    stopper: Stopper,
}

impl Place {
    /// Both names lead to the node.
    async fn new() -> Self {
        let places = PebblePlaces::next();
        let at = places.acme.ip();
        let dns = DnsServer::start(&format!("{NAME} A {at}\n{OTHER_NAME} A {at}\n")).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        // The authority lives in the system's time, and what it issues begins at that moment.
        let clock = ManualClock::new(time::add_hours(Clock::System.now(), 1));
        Self { places, dns, folder, clock }
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn pebble(&self, settings: &PebbleSettings) -> Pebble {
        fs::create_dir_all(self.at("ca")).unwrap();
        let files = certificate(&self.at("ca"), &self.places.acme.ip().to_string());
        let pebble = Pebble::start(self.places, (&files.chain, &files.key), self.dns.address, settings)
            .expect("needs pebble: apt-get install pebble");
        until("the authority", || pebble.is_up());
        pebble
    }

    fn toml(&self, names: &[&str], acme: &str) -> String {
        let names: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
        let folder = self.folder.path().display();
        format!(
            "[node]\nname = \"{OTHER_NAME}\"\ndata = \"{folder}/data\"\n[admin]\naddress = \"127.0.0.1:0\"\n[[smtp.listener]]\naddress = \
             \"127.0.0.1:0\"\ntls = \"starttls\"\n[[upstream]]\nname = \"m\"\ndomains = [\"*\"]\nmaildir = \"{folder}/maildir\"\n\
             [[https.listener]]\naddress = \"{}\"\n[[https.redirect]]\naddress = \"{}\"\n[[site]]\nname = \"exchange\"\nnames = \
             [\"{NAME}\"]\nhosts = [{{ host = \"127.0.0.1\", port = 9 }}]\ntls_name = \"{NAME}\"\n[dns]\nservers = [\"{}\"]\n[tls.acme]\ndirectory = \
             \"{}\"\nterms_agreed = true\nca_file = \"{folder}/ca/self-made.pem\"\nallow_networks = [\"127.0.0.0/8\"]\nnames = [{}]\n{acme}\n",
            self.places.tls,
            self.places.http,
            self.dns.address,
            self.places.directory(),
            names.join(", "),
        )
    }

    async fn start(&self, names: &[&str], acme: &str) -> Node<'_> {
        let text = self.toml(names, acme);
        fs::write(self.at("portcullis.toml"), &text).unwrap();
        let config = Config::parse(&text).unwrap();
        let (stopper, stop) = Stopper::new();
        let clock = Clock::Manual(self.clock.clone());
        let running = Running::start(&config, Metrics::detached(), clock, &stop).await;
        Node { place: self, running: running.unwrap_or_else(|failure| panic!("{failure}")), stopper }
    }

    /// What came of the last tries.
    fn attempts(&self) -> Value {
        let text = fs::read_to_string(self.at("data/acme/attempts.json")).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    fn failures(&self) -> u64 {
        self.attempts()["failures"].as_u64().unwrap_or(0)
    }

    fn command(&self, arguments: &[&str]) -> Output {
        let config = self.at("portcullis.toml");
        let run = || Command::new(binary()).args(arguments).arg("--config").arg(config).output();
        tokio::task::block_in_place(run).unwrap()
    }

    /// Lets the delay after a failure pass.
    fn pass_delay(&self) {
        if let Some(next) = self.attempts()["not_before"].as_str() {
            self.clock.set(next.parse().unwrap());
        }
    }
}

impl Node<'_> {
    /// The issued certificate, if it is in service.
    fn issued(&self) -> Option<CertificateSummary> {
        let certificates = self.running.certificates.certificates();
        certificates.into_iter().find(|one| one.chain.ends_with("acme/certificate.pem"))
    }

    /// A certificate other than `before` is in service, and what came of it is written down.
    fn wait_issued(&self, before: Option<&CertificateSummary>) -> CertificateSummary {
        let known = before.map(|before| before.leaf_sha256);
        let mut issued = None;
        tokio::task::block_in_place(|| {
            until("a certificate", || {
                issued = self.issued().filter(|issued| Some(issued.leaf_sha256) != known);
                issued.is_some()
                    && self.place.failures() == 0
                    && !self.place.attempts()["issued_at"].is_null()
            });
        });
        issued.unwrap()
    }

    fn wait_failures(&self, count: u64) {
        tokio::task::block_in_place(|| until("a failure", || self.place.failures() >= count));
    }

    /// What a client that asks for a name is shown.
    async fn shows(&self, name: &str, leaf: [u8; 32]) -> bool {
        let tls = ClientTls::new(Roots::WebPki, Some(leaf)).unwrap();
        WebClient::connect_in_tls(self.place.places.tls, &tls, name).await.is_ok()
    }

    async fn finish(mut self) {
        self.stopper.stop();
        self.running.finish().await;
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

async fn plain(address: SocketAddr, name: &str, path: &str) -> String {
    let mut client = WebClient::connect(address).await.unwrap();
    let answer = client.ask(&format!("GET {path} HTTP/1.1\r\nHost: {name}\r\n\r\n")).await;
    answer.map_or_else(|error| error.to_string(), |answer| answer.status.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_issued_by_http_01_served_everywhere_and_used_after_a_restart() {
    let place = Place::new().await;
    let pebble = place.pebble(&PebbleSettings::default());
    let node = place.start(&[NAME, OTHER_NAME], "contact = [\"postmaster@example.org\"]").await;
    let issued = node.wait_issued(None);
    let mut names = issued.names.clone();
    names.sort_unstable();
    assert_eq!(names, [NAME, OTHER_NAME]);
    assert!(node.shows(NAME, issued.leaf_sha256).await && node.shows(OTHER_NAME, issued.leaf_sha256).await);
    let tls = ClientTls::new(Roots::WebPki, Some(issued.leaf_sha256)).unwrap();
    try_greeted(node.running.smtp_addresses[0], &tls).await.unwrap();
    for file in ["account.json", "attempts.json", "certificate.pem"] {
        assert_eq!(mode(&place.at("data/acme").join(file)), 0o600, "{file}");
    }
    assert_eq!(mode(&place.at("data/acme")), 0o700);
    // No proof is left to be seen.
    let answer = plain(place.places.http, NAME, "/.well-known/acme-challenge/x").await;
    assert_ne!(answer, "200");
    let shown = place.command(&["tls", "acme", "--json"]);
    assert_eq!(shown.status.code(), Some(0), "{shown:?}");
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!((&shown["account"], &shown["failures"]), (&true.into(), &0.into()), "{shown}");
    node.finish().await;
    // The authority is gone, and nobody asks for it.
    drop(pebble);
    let node = place.start(&[NAME, OTHER_NAME], "").await;
    assert_eq!(node.issued(), Some(issued.clone()));
    assert_eq!(node.running.certificates.certificates().len(), 1, "no self-made one is left");
    assert!(node.shows(NAME, issued.leaf_sha256).await);
    assert_eq!(place.failures(), 0);
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_issued_by_tls_alpn_01_over_refused_nonces_and_renewed_with_another_key() {
    let place = Place::new().await;
    let _pebble = place.pebble(&PebbleSettings { nonces_refused: 15, ..PebbleSettings::default() });
    let node = place.start(&[NAME], "challenge = \"tls-alpn-01\"").await;
    // A nonce that is refused three times in a row is a failure that passes by itself.
    let wait = |before: Option<&CertificateSummary>| {
        let known = before.map(|before| before.leaf_sha256);
        let is_new = || node.issued().is_some_and(|issued| Some(issued.leaf_sha256) != known);
        tokio::task::block_in_place(|| {
            until("a certificate", || {
                if place.failures() > 0 && !is_new() {
                    place.pass_delay();
                }
                is_new() && place.failures() == 0
            });
        });
        node.issued().unwrap()
    };
    let first = wait(None);
    assert!(node.shows(NAME, first.leaf_sha256).await);
    // A third of its lifetime is left.
    let lifetime = first.not_after.duration_since(first.not_before);
    let due: Timestamp = first.not_after.checked_sub(lifetime / 3).unwrap();
    place.clock.set(time::add_hours(due, -1));
    assert_eq!(node.issued(), Some(first.clone()));
    place.clock.set(due);
    let second = wait(Some(&first));
    assert_ne!(second.key_sha256, first.key_sha256, "a key is used for one certificate only");
    assert!(node.shows(NAME, second.leaf_sha256).await);
    assert!(!node.shows(NAME, first.leaf_sha256).await);
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_does_not_lead_here_keeps_the_certificate_in_service_and_says_why() {
    let place = Place::new().await;
    let _pebble = place.pebble(&PebbleSettings::default());
    let node = place.start(&[NAME], "").await;
    let issued = node.wait_issued(None);
    node.finish().await;
    // Nobody listens there.
    place.dns.publish(&format!("{NAME} A {}\nelsewhere.example.org A 127.0.0.3\n", place.places.acme.ip()));
    let node = place.start(&[NAME, "elsewhere.example.org"], "").await;
    node.wait_failures(1);
    assert!(node.shows(NAME, issued.leaf_sha256).await);
    let failure = place.attempts()["last_failure"].clone();
    assert_eq!(failure["code"], "challenge", "{failure}");
    let text = failure["text"].as_str().unwrap();
    for part in ["elsewhere.example.org", "/.well-known/acme-challenge/", "port 80"] {
        assert!(text.contains(part), "{text}");
    }
    let shown = place.command(&["tls", "acme"]);
    assert_eq!(shown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&shown.stdout).contains("must lead to this node"), "{shown:?}");
    let doctor = String::from_utf8(place.command(&["doctor"]).stdout).unwrap();
    let line = doctor.lines().find(|line| line.contains(" acme ")).unwrap();
    assert!(line.contains("elsewhere.example.org"), "{line}");
    // It leads here after all.
    place.dns.publish(&format!("{NAME} A {0}\nelsewhere.example.org A {0}\n", place.places.acme.ip()));
    place.pass_delay();
    let both = node.wait_issued(Some(&issued));
    assert_eq!(both.names.len(), 2);
    assert!(node.shows("elsewhere.example.org", both.leaf_sha256).await);
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_that_forgot_the_account_gets_another_one() {
    // With another contact the account is asked for before the order.
    for contact in ["", "contact = [\"postmaster@example.org\"]"] {
        let place = Place::new().await;
        let pebble = place.pebble(&PebbleSettings::default());
        let node = place.start(&[NAME], "").await;
        let issued = node.wait_issued(None);
        node.finish().await;
        let account = fs::read_to_string(place.at("data/acme/account.json")).unwrap();
        drop(pebble);
        // It keeps nothing over a restart.
        let _pebble = place.pebble(&PebbleSettings::default());
        let node = place.start(&[NAME, OTHER_NAME], contact).await;
        node.wait_issued(Some(&issued));
        assert_ne!(fs::read_to_string(place.at("data/acme/account.json")).unwrap(), account);
        node.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_external_account_is_bound_by_its_key_and_by_no_other() {
    let key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    let place = Place::new().await;
    let external_account = Some(("kid-1".to_owned(), key.to_owned()));
    let _pebble = place.pebble(&PebbleSettings { external_account, ..PebbleSettings::default() });
    let file = place.at("eab");
    let eab = format!("eab_key_id = \"kid-1\"\neab_key_file = \"{}\"", file.display());
    fs::write(&file, key.replacen('z', "a", 1)).unwrap();
    let node = place.start(&[NAME], &eab).await;
    node.wait_failures(1);
    assert!(node.issued().is_none());
    // The node reads the key each time.
    fs::write(&file, format!("{key}\n")).unwrap();
    place.pass_delay();
    node.wait_issued(None);
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_own_certificate_is_shown_for_its_name_beside_one_by_acme() {
    let place = Place::new().await;
    let _pebble = place.pebble(&PebbleSettings::default());
    fs::create_dir(place.at("own")).unwrap();
    let own = certificate(&place.at("own"), NAME);
    let pair = format!(
        "[tls]\ncertificates = [{{ chain = \"{}\", key = \"{}\" }}]\n[tls.acme]",
        own.chain.display(),
        own.key.display()
    );
    let text = place.toml(&[NAME, OTHER_NAME], "").replace("[tls.acme]", &pair);
    let config = Config::parse(&text).unwrap();
    let (stopper, stop) = Stopper::new();
    let clock = Clock::Manual(place.clock.clone());
    let running = Running::start(&config, Metrics::detached(), clock, &stop).await.unwrap();
    let node = Node { place: &place, running, stopper };
    let issued = node.wait_issued(None);
    let own = pc_tls::inspect(&own, place.clock.now()).unwrap().leaf_sha256;
    assert!(node.shows(NAME, own).await, "Exchange holds this one");
    assert!(node.shows(OTHER_NAME, issued.leaf_sha256).await);
    assert!(ServerTls::new("check", &node.running.certificates).is_ok());
    node.finish().await;
}
