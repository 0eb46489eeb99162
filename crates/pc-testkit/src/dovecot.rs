use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

/// A private Dovecot: Debian's binaries with a folder of its own. One user, `user` with the password
/// `secret word`. Stopped when dropped. Needs root, as Dovecot does.
pub struct Dovecot {
    folder: tempfile::TempDir,
    child: Child,
    ports: DovecotPorts,
}

/// Where a [`Dovecot`] listens: on a loopback address of its own, so that no other program takes a port
/// between its choice and its use.
#[derive(Clone, Copy, Debug)]
pub struct DovecotPorts {
    /// IMAP, STARTTLS.
    pub imap: SocketAddr,
    /// IMAP, TLS from the first octet.
    pub imaps: SocketAddr,
    /// POP3, STLS.
    pub pop3: SocketAddr,
    /// POP3, TLS from the first octet.
    pub pop3s: SocketAddr,
    /// IMAP, TLS from the first octet behind a PROXY header.
    pub imaps_proxied: SocketAddr,
}

impl Dovecot {
    /// Starts it with a certificate, which it shows on all ports.
    ///
    /// # Errors
    /// Not root, or not installed.
    pub fn start(chain: &Path, key: &Path) -> io::Result<Self> {
        let ports = DovecotPorts::of_this_process();
        let folder = tempfile::Builder::new().prefix("dovecot").tempdir()?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("mail"))?;
        let owned = Command::new("chown").arg("-R").arg("nobody:nogroup").arg(path("mail")).status()?;
        if !owned.success() {
            return Err(io::Error::other("chown: needs root"));
        }
        fs::write(path("users"), "user:{PLAIN}secret word:65534:65534::/nonexistent\n")?;
        fs::set_permissions(path("users"), fs::Permissions::from_mode(0o644))?;
        fs::write(path("dovecot.conf"), configuration(folder.path(), ports, chain, key))?;
        let log = fs::File::create(path("start"))?;
        let child = Command::new("/usr/sbin/dovecot")
            .arg("-F")
            .arg("-c")
            .arg(path("dovecot.conf"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Self { folder, child, ports })
    }

    /// Where it listens.
    pub fn ports(&self) -> DovecotPorts {
        self.ports
    }

    /// What it wrote down.
    pub fn log(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        read("start") + &read("log")
    }

    /// The socket where a Postfix may ask for logins.
    pub fn auth_socket(&self) -> PathBuf {
        self.folder.path().join("run/auth-smtp")
    }
}

impl DovecotPorts {
    fn of_this_process() -> Self {
        static STARTED: AtomicU16 = AtomicU16::new(0);
        let [high, middle, low] = match std::process::id().to_be_bytes() {
            [_, rest @ ..] => rest,
        };
        let address = Ipv4Addr::new(127, 64 | (high & 63), middle, low);
        let first = 20_000 + 10 * STARTED.fetch_add(1, Ordering::Relaxed);
        let at = |offset: u16| SocketAddr::from((address, first + offset));
        Self { imap: at(0), imaps: at(1), pop3: at(2), pop3s: at(3), imaps_proxied: at(4) }
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        // The master ends its processes only when it is told to. Nothing is left to tell an error to.
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

fn configuration(folder: &Path, ports: DovecotPorts, chain: &Path, key: &Path) -> String {
    let (folder, chain, key) = (folder.display(), chain.display(), key.display());
    let DovecotPorts { imap, imaps, pop3, pop3s, imaps_proxied } = ports;
    let listener = |name: &str, at: SocketAddr, options: &str| {
        let (address, port) = (at.ip(), at.port());
        format!("  inet_listener {name} {{\n    address = {address}\n    port = {port}\n{options}  }}\n")
    };
    let tls = "    ssl = yes\n";
    let imap = listener("imap", imap, "")
        + &listener("imaps", imaps, tls)
        + &listener("proxied", imaps_proxied, "    ssl = yes\n    haproxy = yes\n");
    let pop3 = listener("pop3", pop3, "") + &listener("pop3s", pop3s, tls);
    format!(
        "base_dir = {folder}/run\nstate_dir = {folder}/state\nlog_path = {folder}/log\nprotocols = imap pop3\n\
         ssl = required\nssl_cert = <{chain}\nssl_key = <{key}\nssl_min_protocol = TLSv1.2\n\
         haproxy_trusted_networks = 127.0.0.0/8\nmail_location = maildir:{folder}/mail\nfirst_valid_uid = 1\n\
         auth_mechanisms = plain login\nauth_failure_delay = 0\nverbose_proctitle = no\n\
         default_internal_user = nobody\ndefault_login_user = nobody\ndefault_internal_group = nogroup\n\
         passdb {{\n  driver = passwd-file\n  args = {folder}/users\n}}\n\
         userdb {{\n  driver = passwd-file\n  args = {folder}/users\n}}\n\
         service anvil {{\n  chroot =\n}}\n\
         service imap-login {{\n  chroot =\n{imap}}}\nservice pop3-login {{\n  chroot =\n{pop3}}}\n\
         service auth {{\n  unix_listener auth-smtp {{\n    mode = 0666\n  }}\n}}\n"
    )
}
