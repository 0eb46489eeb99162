use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A private Postfix: Debian's binaries with a folder of its own for configuration, queue and log.
/// Needs root, as Postfix does. Stopped when dropped.
pub struct Postfix {
    folder: tempfile::TempDir,
}

/// A listening smtpd of a [`Postfix`].
pub struct Smtpd<'a> {
    /// On loopback.
    pub port: u16,
    /// Processes at once.
    pub processes_max: u16,
    /// `-o name=value`, without white space.
    pub options: &'a [(&'a str, String)],
}

impl Postfix {
    /// Starts it with settings of `main.cf` over defaults that deliver nothing by themselves.
    ///
    /// # Errors
    /// Not root, not installed, or a setting that Postfix refuses.
    pub fn start(settings: &[(&str, String)], smtpd: Option<&Smtpd<'_>>) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("postfix").tempdir()?;
        // Its processes run as another user.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let postfix = Self { folder };
        for name in ["etc", "queue", "data"] {
            fs::create_dir(postfix.path(name))?;
        }
        run("chown", &["postfix", &postfix.path("data").display().to_string()])?;
        fs::write(postfix.path("etc/main.cf"), postfix.main_cf(settings))?;
        fs::write(postfix.path("etc/master.cf"), master_cf(smtpd))?;
        postfix.control(&["start"])?;
        Ok(postfix)
    }

    /// The queue as `postqueue -j` prints it: a JSON object a line, empty when nothing waits.
    ///
    /// # Errors
    /// postqueue's.
    pub fn queue(&self) -> io::Result<String> {
        let output = self.tool("postqueue").arg("-j").output()?;
        check("postqueue", &output)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Tries all deferred mail at once.
    ///
    /// # Errors
    /// postqueue's.
    pub fn flush(&self) -> io::Result<()> {
        let output = self.tool("postqueue").arg("-f").output()?;
        check("postqueue", &output)
    }

    /// The log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Process id of the master.
    ///
    /// # Errors
    /// The file system's.
    pub fn master_pid(&self) -> io::Result<u32> {
        let text = fs::read_to_string(self.path("queue/pid/master.pid"))?;
        text.trim().parse().map_err(io::Error::other)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(format!("/usr/sbin/{name}"));
        command.args(["-c", &self.path("etc").display().to_string()]);
        command
    }

    fn control(&self, arguments: &[&str]) -> io::Result<()> {
        // The master inherits standard error and would keep a pipe open: it writes to its log.
        let status =
            self.tool("postfix").args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        if status.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!("postfix {arguments:?}: {}", self.log())))
        }
    }

    fn main_cf(&self, settings: &[(&str, String)]) -> String {
        let folder = self.folder.path().display();
        let mut text = format!(
            "compatibility_level = 3.6\nqueue_directory = {folder}/queue\ndata_directory = {folder}/data\n\
             command_directory = /usr/sbin\ndaemon_directory = /usr/lib/postfix/sbin\nmail_owner = postfix\n\
             setgid_group = postdrop\nmaillog_file = {folder}/log\nmaillog_file_prefixes = {folder}\n\
             inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmynetworks = 127.0.0.0/8\nmydestination =\n\
             myhostname = relay.example.net\nmyorigin = example.net\nsmtp_dns_support_level = disabled\n\
             local_transport = error:nothing is local\nshlib_directory = /usr/lib/postfix\n\
             smtpd_peername_lookup = no\nbiff = no\nalias_maps =\nalias_database =\n"
        );
        for (name, value) in settings {
            text.push_str(&format!("{name} = {value}\n"));
        }
        text
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        // Nothing is left to tell the error to.
        let _ = self.control(&["abort"]);
    }
}

fn master_cf(smtpd: Option<&Smtpd<'_>>) -> String {
    let mut text = String::new();
    if let Some(smtpd) = smtpd {
        text.push_str(&format!("127.0.0.1:{} inet n - n - {} smtpd\n", smtpd.port, smtpd.processes_max));
        for (name, value) in smtpd.options {
            text.push_str(&format!("  -o {name}={value}\n"));
        }
    }
    text.push_str(
        "pickup unix n - n 1 1 pickup\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\n\
         tlsmgr unix - - n 1000? 1 tlsmgr\nrewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\n\
         defer unix - - n - 0 bounce\ntrace unix - - n - 0 bounce\nverify unix - - n - 1 verify\n\
         flush unix n - n 1000? 0 flush\nproxymap unix - - n - - proxymap\nsmtp unix - - n - - smtp\n\
         relay unix - - n - - smtp\nshowq unix n - n - - showq\nerror unix - - n - - error\nretry unix - - n - - error\n\
         discard unix - - n - - discard\nanvil unix - - n - 1 anvil\nscache unix - - n - 1 scache\n\
         virtual unix - n n - - virtual\npostlog unix-dgram n - n - 1 postlogd\n",
    );
    text
}

fn run(program: &str, arguments: &[&str]) -> io::Result<()> {
    check(program, &Command::new(program).args(arguments).output()?)
}

fn check(program: &str, output: &Output) -> io::Result<()> {
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("{program}: {}", String::from_utf8_lossy(&output.stderr))))
}
