//! What is measured: Portcullis and Debian's nginx and HAProxy, each on two threads in front of the same origin, each as an
//! administrator of Exchange would set it up.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use pc_tls::CertificateFiles;

use crate::smtp::{free_port, program};

/// The name that clients ask for.
pub const NAME: &str = "mail.example.org";

/// Programs that must be there, with their Debian packages.
const NEEDED: [(&str, &str); 3] =
    [("nginx", "nginx-light"), ("haproxy", "haproxy"), ("h2load", "nghttp2-client")];

/// In the order of the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Portcullis,
    Nginx,
    Haproxy,
}

pub const KINDS: [Kind; 3] = [Kind::Portcullis, Kind::Nginx, Kind::Haproxy];

/// What all of them are started with.
pub struct Common<'a> {
    pub folder: &'a Path,
    pub certificate: &'a CertificateFiles,
    pub origin: SocketAddr,
    pub connections_max: usize,
}

/// One that runs; ended with the value.
pub struct Peer {
    pub pid: u32,
    /// One connection behind for each client connection, nobody else's.
    pub own: SocketAddr,
    /// Connections behind are shared between clients where the peer can do that; for ours the same as `own`.
    pub shared: SocketAddr,
    child: Child,
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Not killed, since nginx has to end its workers itself.
        let asked = Command::new("kill").args(["-TERM", &self.pid.to_string()]).status();
        if !asked.is_ok_and(|status| status.success()) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// Says what to install where something is missing.
pub fn require() -> anyhow::Result<()> {
    let missing: Vec<(&str, &str)> =
        NEEDED.iter().copied().filter(|(program, _)| path(program).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let (programs, packages): (Vec<&str>, Vec<&str>) = missing.into_iter().unzip();
    bail!("needs {}: apt-get install {}", programs.join(", "), packages.join(" "))
}

/// `nginx 1.22.1, HAProxy 2.6.12`
pub fn versions() -> String {
    let said = |program: &str| {
        let output = Command::new(path(program).unwrap_or_default()).arg("-v").output();
        let output = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
        let text = String::from_utf8_lossy(&output).into_owned();
        let version = text
            .split([' ', '/', '-', '\n'])
            .find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
        version.unwrap_or("of unknown version").to_owned()
    };
    format!("nginx {}, HAProxy {}", said("nginx"), said("haproxy"))
}

/// Where a program of [`NEEDED`] is.
pub fn path(program: &str) -> Option<PathBuf> {
    let search = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&search).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// Starts one and waits until it takes connections.
pub async fn start(kind: Kind, common: &Common<'_>) -> anyhow::Result<Peer> {
    let (own, other) = (free_port()?, free_port()?);
    let folder = tempfile::Builder::new().prefix("peer").tempdir_in(common.folder)?.keep();
    let (command, shared) = match kind {
        Kind::Portcullis => (portcullis(&folder, common, own)?, own),
        Kind::Nginx => (nginx(&folder, common, own, other)?, other),
        Kind::Haproxy => (haproxy(&folder, common, own, other)?, other),
    };
    let child = spawn(command, &folder)?;
    let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let peer = Peer { pid: child.id(), own: address(own), shared: address(shared), child };
    let started = Instant::now();
    while tokio::net::TcpStream::connect(peer.shared).await.is_err() {
        if started.elapsed() > Duration::from_secs(20) {
            let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
            bail!("{kind:?} does not answer:\n{log}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(peer)
}

/// Its log goes to a file, as that of the others does.
fn spawn(mut command: Command, folder: &Path) -> anyhow::Result<Child> {
    let log = fs::File::create(folder.join("log"))?;
    let name = command.get_program().to_owned();
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("{} could not be started", name.display()))
}

fn portcullis(folder: &Path, common: &Common<'_>, port: u16) -> anyhow::Result<Command> {
    let Common { certificate, origin, connections_max, .. } = common;
    let (chain, key) = (certificate.chain.display(), certificate.key.display());
    let (data, mail) = (folder.join("data"), folder.join("mail"));
    let text = format!(
        "[node]\nname = \"{NAME}\"\ndata = \"{data}\"\n[tls]\ncertificates = [{{ chain = \"{chain}\", key = \"{key}\" \
         }}]\n[[smtp.listener]]\naddress = \"127.0.0.1:{smtp}\"\n[[upstream]]\nname = \"mail\"\ndomains = \
         [\"*\"]\nmaildir = \"{mail}\"\n[https]\nconnections_max = {connections_max}\nconnections_per_address_max = \
         {connections_max}\nconnections_per_minute = 0\ndrain_seconds = 0\n[[https.listener]]\naddress = \"127.0.0.1:{port}\"\n[[site]]\nname = \
         \"exchange\"\nnames = [\"{NAME}\"]\nhosts = [{{ host = \"127.0.0.1\", port = {origin} }}]\ntls_name = \
         \"{NAME}\"\nca_file = \"{chain}\"\nhealth_check_seconds = 3600\nhttp2 = true\n[admin]\naddress = \
         \"127.0.0.1:{admin}\"\n",
        data = data.display(),
        mail = mail.display(),
        smtp = free_port()?,
        origin = origin.port(),
        admin = free_port()?,
    );
    let config = folder.join("portcullis.toml");
    fs::write(&config, text)?;
    let mut command = Command::new(program());
    // As many threads as the others, whatever the machine has.
    command.env("TOKIO_WORKER_THREADS", "2").args(["serve", "--config"]).arg(config);
    Ok(command)
}

const CIPHERS_TLS12: &str = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:\
                             ECDHE-RSA-AES128-GCM-SHA256";
const CIPHERS_TLS13: &str = "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256";

fn nginx(folder: &Path, common: &Common<'_>, own: u16, shared: u16) -> anyhow::Result<Command> {
    let Common { certificate, origin, connections_max, .. } = common;
    let (chain, key, folder_shown) =
        (certificate.chain.display(), certificate.key.display(), folder.display());
    let server = |port: u16, upstream: &str| {
        format!(
            "server {{ listen 127.0.0.1:{port} ssl http2; server_name {NAME};\n\
             location = / {{ return 302 /owa/; }}\n\
             location /owa/ {{ proxy_pass https://{upstream}; }} }}\n"
        )
    };
    let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("{name}_temp_path {folder_shown}/{name};\n"))
        .collect();
    let text = format!(
        "daemon off; user root; worker_processes 2; pid {folder_shown}/pid; error_log {folder_shown}/error;\n\
         events {{ worker_connections {connections_max}; }}\nhttp {{\n{paths}access_log {folder_shown}/access;\n\
         ssl_certificate {chain}; ssl_certificate_key {key}; ssl_protocols TLSv1.2 TLSv1.3;\n\
         ssl_ciphers {CIPHERS_TLS12}; ssl_conf_command Ciphersuites {CIPHERS_TLS13}; ssl_prefer_server_ciphers on;\n\
         ssl_ecdh_curve X25519:prime256v1:secp384r1; ssl_session_tickets on;\n\
         keepalive_timeout 120s; client_header_timeout 120s; keepalive_requests 100000; tcp_nodelay on;\n\
         upstream own {{ server {origin}; }}\nupstream shared {{ server {origin}; keepalive 64; keepalive_requests \
         100000; }}\n\
         proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_set_header Host $host;\n\
         proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto https;\n\
         proxy_buffering off; proxy_request_buffering off; proxy_buffer_size 64k; proxy_buffers 4 64k;\n\
         proxy_busy_buffers_size 64k; proxy_read_timeout 3600s;\n\
         proxy_ssl_verify on; proxy_ssl_trusted_certificate {chain}; proxy_ssl_server_name on; proxy_ssl_name {NAME};\n\
         proxy_ssl_protocols TLSv1.2 TLSv1.3; proxy_hide_header X-Powered-By;\n\
         add_header Strict-Transport-Security max-age=31536000 always; server_tokens off;\n{}{}}}\n",
        server(own, "own"),
        server(shared, "shared"),
    );
    let config = folder.join("nginx.conf");
    fs::write(&config, text)?;
    let mut command = Command::new(path("nginx").context("no nginx")?);
    command.arg("-c").arg(config).arg("-e").arg(folder.join("error"));
    Ok(command)
}

fn haproxy(folder: &Path, common: &Common<'_>, own: u16, shared: u16) -> anyhow::Result<Command> {
    let Common { certificate, origin, connections_max, .. } = common;
    let pair = folder.join("pair.pem");
    let texts = [&certificate.chain, &certificate.key].map(fs::read);
    let [chain, key] = texts;
    fs::write(&pair, [chain?, key?].concat())?;
    let roots = certificate.chain.display();
    let pair = pair.display();
    let door = |name: &str, port: u16, reuse: &str| {
        format!(
            "frontend {name}\n bind 127.0.0.1:{port} ssl crt {pair} alpn h2,http/1.1 curves X25519:P-256:P-384\n \
             maxconn {connections_max}\n http-request redirect location /owa/ code 302 if {{ path / }}\n http-request set-header \
             X-Forwarded-Proto https\n option forwardfor\n http-response del-header Server\n http-response del-header \
             X-Powered-By\n http-response set-header Strict-Transport-Security max-age=31536000\n default_backend \
             {name}_servers\nbackend {name}_servers\n http-reuse {reuse}\n server exchange {origin} ssl verify required \
             ca-file {roots} sni str({NAME}) verifyhost {NAME}\n"
        )
    };
    let text = format!(
        "global\n nbthread 2\n maxconn {connections_max}\n no strict-limits\n log stdout format raw local0\n \
         ssl-default-bind-options ssl-min-ver TLSv1.2\n ssl-default-bind-ciphers {CIPHERS_TLS12}\n \
         ssl-default-bind-ciphersuites {CIPHERS_TLS13}\n ssl-default-server-options ssl-min-ver TLSv1.2\n\
         defaults\n mode http\n log global\n option httplog\n option http-keep-alive\n option prefer-last-server\n timeout \
         connect 5s\n timeout client 300s\n timeout server 3600s\n timeout http-request 120s\n timeout http-keep-alive 120s\n{}{}",
        door("own", own, "never"),
        door("shared", shared, "always"),
    );
    let config = folder.join("haproxy.cfg");
    fs::write(&config, text)?;
    let mut command = Command::new(path("haproxy").context("no haproxy")?);
    command.arg("-db").arg("-f").arg(config);
    Ok(command)
}
