use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// What Extended Protection asks of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    /// No other channel binding than ours.
    Allow,
    /// Ours.
    Require,
}

/// What becomes of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Leg {
    Challenge(String),
    Refused(String),
    User(String),
}

/// The server's side of NTLM, by pyspnego in a process of its own. Stopped when dropped.
pub struct Ntlm {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    _folder: tempfile::TempDir,
}

impl Ntlm {
    /// Takes `users` with their passwords, and binds logins to the certificate in a file; `python` is an interpreter that has
    /// pyspnego.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(python: &Path, certificate: &Path, users: &[(&str, &str)]) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("ntlm").tempdir()?;
        let (script, list) = (folder.path().join("ntlm.py"), folder.path().join("users"));
        std::fs::write(&script, include_str!("ntlm.py"))?;
        let lines: String =
            users.iter().map(|(user, password)| format!("EXAMPLE:{user}:{password}\n")).collect();
        std::fs::write(&list, lines)?;
        let mut child = Command::new(python)
            .arg(script)
            .arg(certificate)
            .env("NTLM_USER_FILE", list)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("no pipes"));
        };
        let mut ntlm = Self { child, input, output: BufReader::new(output), _folder: folder };
        match ntlm.line()?.as_str() {
            "ready" => Ok(ntlm),
            other => Err(io::Error::other(format!("pyspnego: {other}"))),
        }
    }

    /// One token of a connection.
    pub(crate) fn step(&mut self, connection: usize, protection: Protection, token: &str) -> io::Result<Leg> {
        let mode = match protection {
            Protection::Allow => "allow",
            Protection::Require => "require",
        };
        writeln!(self.input, "{connection} {mode} {token}")?;
        let line = self.line()?;
        match line.split_once(' ') {
            Some(("challenge", token)) => Ok(Leg::Challenge(token.to_owned())),
            Some(("user", name)) => Ok(Leg::User(name.to_owned())),
            Some(("refused", why)) => Ok(Leg::Refused(why.to_owned())),
            _ => Err(io::Error::other(line)),
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Ntlm {
    fn drop(&mut self) {
        // Nothing is left to tell an error to.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
