use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Where `cargo xtask test` unpacks Debian packages that cannot be installed beside others.
pub fn unpacked(package: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/debian").join(package)
}

/// First id of the users that only exist inside a private view.
const USER_ID: u32 = 9_801;

/// A shell command in a view of the system of its own: further users, and mounts that nobody else sees.
/// Needs root, as the mail servers do that run there. Every process dies with the returned one.
///
/// # Errors
/// The file system's.
pub fn private_command(folder: &Path, users: &[&str], script: &str) -> io::Result<Command> {
    for (name, fields) in [("passwd", "::/nonexistent:/usr/sbin/nologin"), ("group", ":")] {
        let mut text = fs::read_to_string(Path::new("/etc").join(name))?;
        for (user, id) in users.iter().zip(USER_ID..) {
            let line = if name == "passwd" {
                format!("{user}:x:{id}:{id}{fields}\n")
            } else {
                format!("{user}:x:{id}{fields}\n")
            };
            text.push_str(&line);
        }
        fs::write(folder.join(name), text)?;
    }
    let folder = folder.display();
    let script = format!(
        "set -e; mount --bind {folder}/passwd /etc/passwd; mount --bind {folder}/group /etc/group\n{script}"
    );
    let mut command = Command::new("unshare");
    command.args([
        "--mount",
        "--propagation",
        "private",
        "--pid",
        "--fork",
        "--kill-child",
        "sh",
        "-c",
        &script,
    ]);
    Ok(command)
}

/// A sending Exim: Debian's binary, unpacked. It has no daemon; each submission is tried at once.
pub struct Exim {
    folder: tempfile::TempDir,
}

impl Exim {
    /// Sends everything to `gate` by STARTTLS, greets as mail.example.net and leaves the message's own first
    /// line on top, as an Exchange does.
    ///
    /// # Errors
    /// The file system's.
    pub fn new(gate: std::net::SocketAddr) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("exim").tempdir()?;
        let path = folder.path().display();
        let text = format!(
            "exim_user = Debian-exim\nexim_group = Debian-exim\nexim_path = {}\nspool_directory = {path}/spool\n\
             log_file_path = {path}/%slog\nprimary_hostname = mail.example.net\nqualify_domain = example.net\n\
             keep_environment =\nreceived_header_text =\nbegin routers\ngate:\n  driver = manualroute\n  transport = gate\n  \
             route_list = * {}\n  self = send\nbegin transports\ngate:\n  driver = smtp\n  port = {}\n  hosts_require_tls = *\n  \
             allow_localhost\nbegin retry\n* * F,1h,1h\n",
            Self::program().display(),
            gate.ip(),
            gate.port()
        );
        fs::write(folder.path().join("exim.conf"), text)?;
        fs::create_dir(folder.path().join("spool"))?;
        // Its processes run as another user.
        for path in [folder.path(), &folder.path().join("spool")] {
            std::os::unix::fs::chown(path, Some(USER_ID), Some(USER_ID))?;
        }
        Ok(Self { folder })
    }

    /// Takes a message and tries to deliver it; returns when that is done.
    ///
    /// # Errors
    /// Not root, or Exim did not take it.
    pub fn send(&self, message: &[u8]) -> io::Result<()> {
        let mut child =
            self.command("-odf -i -f a@example.net b@example.org")?.stdin(Stdio::piped()).spawn()?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(message)?;
        }
        ended(child.wait()?, self)
    }

    /// Tries everything that waits.
    ///
    /// # Errors
    /// Not root, or Exim does not run.
    pub fn flush(&self) -> io::Result<()> {
        ended(self.command("-qff")?.status()?, self)
    }

    /// What it wrote down.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("mainlog")).unwrap_or_default()
    }

    fn program() -> PathBuf {
        unpacked("exim4-daemon-light").join("usr/sbin/exim4")
    }

    fn command(&self, arguments: &str) -> io::Result<Command> {
        let folder = self.folder.path();
        let script = format!("{} -C {}/exim.conf {arguments}", Self::program().display(), folder.display());
        private_command(folder, &["Debian-exim"], &script)
    }
}

fn ended(status: std::process::ExitStatus, exim: &Exim) -> io::Result<()> {
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("exim: {status}: {}", exim.log()))) }
}

/// A sending OpenSMTPD: Debian's binaries, unpacked. Stopped when dropped.
pub struct OpenSmtpd {
    folder: tempfile::TempDir,
    child: Child,
}

impl OpenSmtpd {
    /// Takes mail on `port` of loopback and sends everything to `gate` by STARTTLS as mail.example.net.
    ///
    /// # Errors
    /// Not root, or it cannot be started.
    pub fn start(port: u16, gate: std::net::SocketAddr) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("opensmtpd").tempdir()?;
        let text = format!(
            "listen on 127.0.0.1 port {port} hostname mail.example.net\naction \"gate\" relay host \"smtp+tls://{gate}\" \
             tls no-verify helo mail.example.net\nmatch from any for any action \"gate\"\n"
        );
        fs::write(folder.path().join("smtpd.conf"), text)?;
        let program = unpacked("opensmtpd").join("usr");
        let (root, conf) = (program.display(), folder.path().display());
        // Its folders are fixed when it is built.
        let script = format!(
            "for at in /var/spool /run /var/lib /usr/libexec; do mount -t tmpfs -o mode=755 tmpfs $at; done\n\
             mkdir -p /var/lib/opensmtpd/empty; mkdir -m 711 /var/spool/smtpd; cp -r {root}/libexec/opensmtpd /usr/libexec/\n\
             exec {root}/sbin/smtpd -d -v -f {conf}/smtpd.conf"
        );
        let log = fs::File::create(folder.path().join("log"))?;
        let child = private_command(folder.path(), &["opensmtpd", "opensmtpq"], &script)?
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Self { folder, child })
    }

    /// What it wrote down.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for OpenSmtpd {
    fn drop(&mut self) {
        // Nothing is left to tell an error to.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
