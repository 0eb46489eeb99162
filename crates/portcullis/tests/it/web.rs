//! The HTTPS edge in this process, an Exchange of the testkit behind it, and clients before it.

use std::net::SocketAddr;

use pc_testkit::{Exchange, WebClient, WebResponse};
use pc_tls::{CertificateFiles, CertificateStore, ClientTls, Roots, ServerTls};

use crate::support::{Simulated, certificate};

pub const NAME: &str = "mail.example.org";
pub const OTHER_NAME: &str = "autodiscover.example.org";

/// A node with one site, and what belongs to it.
pub struct Web {
    pub exchange: Exchange,
    pub node: Simulated,
    pub tls: ClientTls,
    folder: tempfile::TempDir,
}

/// Certificates for both names, and a file with both as roots.
pub struct Certificates {
    pub main: CertificateFiles,
    pub other: CertificateFiles,
    pub roots: std::path::PathBuf,
    pub folder: tempfile::TempDir,
}

impl Certificates {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let make = |part: &str, name: &str| {
            let part = folder.path().join(part);
            std::fs::create_dir(&part).unwrap();
            certificate(&part, name)
        };
        let (main, other) = (make("main", NAME), make("other", OTHER_NAME));
        let roots = folder.path().join("roots.pem");
        let texts = [&main, &other].map(|files| std::fs::read_to_string(&files.chain).unwrap());
        std::fs::write(&roots, texts.concat()).unwrap();
        Self { main, other, roots, folder }
    }

    pub fn client(&self) -> ClientTls {
        ClientTls::new(Roots::CaFile(self.roots.clone()), None).unwrap()
    }

    pub fn server(&self) -> ServerTls {
        server_tls(&self.main)
    }

    /// The sections of a node with listeners on ports of the system's choice, in front of `hosts`.
    pub fn toml(&self, hosts: &[SocketAddr], https: &str, site: &str) -> String {
        let maildir = self.folder.path().join("maildir");
        let mail =
            format!("[[upstream]]\nname = \"m\"\ndomains = [\"*\"]\nmaildir = \"{}\"\n", maildir.display());
        format!("{mail}{}", self.toml_of_web(hosts, https, site))
    }

    /// The same without mail.
    pub fn toml_of_web(&self, hosts: &[SocketAddr], https: &str, site: &str) -> String {
        let pair = |files: &CertificateFiles| {
            format!("{{ chain = \"{}\", key = \"{}\" }}", files.chain.display(), files.key.display())
        };
        let hosts: Vec<String> =
            hosts.iter().map(|host| format!("{{ host = \"127.0.0.1\", port = {} }}", host.port())).collect();
        format!(
            "[tls]\ncertificates = [{}, {}]\n[https]\n{https}\n\
             [[https.listener]]\naddress = \"127.0.0.1:0\"\nproxy_protocol_from = [\"127.0.0.9\"]\n[[https.redirect]]\naddress = \
             \"127.0.0.1:0\"\n[[site]]\nname = \"exchange\"\nnames = [\"{NAME}\", \"{OTHER_NAME}\"]\nhosts = [{}]\ntls_name = \
             \"{NAME}\"\nca_file = \"{}\"\nhealth_check_seconds = 1\n{site}\n",
            pair(&self.main),
            pair(&self.other),
            hosts.join(", "),
            self.roots.display(),
        )
    }
}

pub fn server_tls(files: &CertificateFiles) -> ServerTls {
    let now = pc_net::Clock::System.now();
    let store = CertificateStore::load(std::slice::from_ref(files), now).unwrap();
    ServerTls::new("exchange", &store).unwrap()
}

impl Web {
    pub async fn start() -> Self {
        Self::start_with("", "").await
    }

    /// With lines of `[https]` and of its `[[site]]`.
    pub async fn start_with(https: &str, site: &str) -> Self {
        let certificates = Certificates::new();
        let exchange = Exchange::start(certificates.server()).await.unwrap();
        let node = start_node(&certificates, &[exchange.address], https, site).await;
        Self::from_parts(exchange, node, certificates)
    }

    pub fn from_parts(exchange: Exchange, node: Simulated, certificates: Certificates) -> Self {
        Self { exchange, node, tls: certificates.client(), folder: certificates.folder }
    }

    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub fn https(&self) -> SocketAddr {
        self.node.running.web_addresses.https[0]
    }

    pub fn http(&self) -> SocketAddr {
        self.node.running.web_addresses.redirect[0]
    }

    pub async fn client(&self) -> WebClient {
        WebClient::connect_in_tls(self.https(), &self.tls, NAME).await.unwrap()
    }

    /// A request over a connection of its own.
    pub async fn ask(&self, request: &str) -> WebResponse {
        self.client().await.ask(request).await.unwrap()
    }

    pub async fn get(&self, target: &str) -> WebResponse {
        self.ask(&get(target)).await
    }

    /// All octets that come back for octets sent, until the end of the connection.
    pub async fn raw(&self, octets: &str) -> String {
        let mut client = self.client().await;
        // The edge may have closed already.
        let _ = client.write(octets.as_bytes()).await;
        String::from_utf8(client.rest().await).unwrap()
    }
}

pub async fn start_node(
    certificates: &Certificates,
    hosts: &[SocketAddr],
    https: &str,
    site: &str,
) -> Simulated {
    Simulated::start("2026-11-25T12:00:00Z", &certificates.toml(hosts, https, site)).await
}

pub fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: {NAME}\r\n\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_serves_the_web_without_mail() {
    let certificates = Certificates::new();
    let exchange = Exchange::start(certificates.server()).await.unwrap();
    let text = certificates.toml_of_web(&[exchange.address], "", "");
    let node = Simulated::start_without_mail("2026-11-25T12:00:00Z", &text).await;
    assert!(node.running.smtp_addresses.is_empty());
    let web = Web::from_parts(exchange, node, certificates);
    assert_eq!(web.get("/owa/").await.status, 200);
    let checked = web.node.command(&["config", "check"]);
    assert_eq!(crate::support::text(&checked.stdout), "valid: 1 HTTPS listener, 1 site\n");
    let shown = web.node.json(&["servers", "list"]);
    assert_eq!(shown, serde_json::json!([]));
    web.node.finish().await;
}
