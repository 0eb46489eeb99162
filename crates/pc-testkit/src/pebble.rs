use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

/// A private Pebble, the ACME authority for tests: Debian's binary with a folder of its own. Stopped when dropped.
pub struct Pebble {
    folder: tempfile::TempDir,
    child: Child,
    places: PebblePlaces,
}

/// Where a [`Pebble`] listens and looks: on a loopback address of its own, so that no other program takes a port between
/// its choice and its use.
#[derive(Clone, Copy, Debug)]
pub struct PebblePlaces {
    /// Its directory.
    pub acme: SocketAddr,
    /// Where it looks for proofs by HTTP-01.
    pub http: SocketAddr,
    /// Where it looks for proofs by TLS-ALPN-01.
    pub tls: SocketAddr,
}

/// How a [`Pebble`] behaves.
#[derive(Clone, Debug, Default)]
pub struct PebbleSettings {
    /// Of a hundred good nonces so many are refused.
    pub nonces_refused: u8,
    /// Id and key of the only external account, in base64url; with one every account needs it.
    pub external_account: Option<(String, String)>,
}

impl PebblePlaces {
    /// A place that no other of this process has.
    pub fn next() -> Self {
        static STARTED: AtomicU16 = AtomicU16::new(0);
        let [high, middle, low] = match std::process::id().to_be_bytes() {
            [_, rest @ ..] => rest,
        };
        let address = Ipv4Addr::new(127, 128 | (high & 63), middle, low);
        let first = 14_000 + 10 * STARTED.fetch_add(1, Ordering::Relaxed);
        let at = |offset: u16| SocketAddr::from((address, first + offset));
        Self { acme: at(0), http: at(1), tls: at(2) }
    }

    /// The address of its directory.
    pub fn directory(&self) -> String {
        format!("https://{}/dir", self.acme)
    }
}

impl Pebble {
    /// Starts it with a certificate for its own port; it asks `dns` for names.
    ///
    /// # Errors
    /// Not installed.
    pub fn start(
        places: PebblePlaces,
        (chain, key): (&Path, &Path),
        dns: SocketAddr,
        settings: &PebbleSettings,
    ) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("pebble").tempdir()?;
        let management = SocketAddr::from((places.acme.ip(), places.acme.port() + 3));
        let keys = settings.external_account.as_ref().map_or_else(String::new, |(id, key)| {
            format!(", \"externalAccountBindingRequired\": true, \"externalAccountMACKeys\": {{\"{id}\": \"{key}\"}}")
        });
        let config = format!(
            "{{\"pebble\": {{\"listenAddress\": \"{}\", \"managementListenAddress\": \"{management}\", \"certificate\": \"{}\", \
             \"privateKey\": \"{}\", \"httpPort\": {}, \"tlsPort\": {}, \"ocspResponderURL\": \"\"{keys}}}}}",
            places.acme,
            chain.display(),
            key.display(),
            places.http.port(),
            places.tls.port(),
        );
        fs::write(folder.path().join("pebble.json"), config)?;
        let log = fs::File::create(folder.path().join("log"))?;
        let child = Command::new("pebble")
            .arg("-config")
            .arg(folder.path().join("pebble.json"))
            .args(["-dnsserver", &dns.to_string(), "-strict"])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_WFE_NONCEREJECT", settings.nonces_refused.to_string())
            // Each order proves its names anew.
            .env("PEBBLE_AUTHZREUSE", "0")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Self { folder, child, places })
    }

    /// Whether it listens.
    pub fn is_up(&self) -> bool {
        std::net::TcpStream::connect(self.places.acme).is_ok()
    }

    /// What it wrote down.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        // It has nothing to put in order; nothing is left to tell an error to.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
