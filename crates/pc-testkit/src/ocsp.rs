use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A certificate authority with an OCSP responder, both by `openssl`.
pub struct OcspAuthority {
    folder: tempfile::TempDir,
}

/// A key that may answer for certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OcspSigner {
    /// The authority's own.
    Authority,
    /// One that the authority has certified for that.
    Delegated,
    /// One that the authority has certified for something else.
    NotDelegated,
    /// One that another authority has certified for that.
    Stranger,
}

impl OcspSigner {
    fn stem(self) -> &'static str {
        match self {
            Self::Authority => "ca",
            Self::Delegated => "delegated",
            Self::NotDelegated => "not-delegated",
            Self::Stranger => "stranger",
        }
    }
}

/// The responder on a port; it ends when it is dropped.
pub struct OcspResponder {
    child: Child,
}

impl OcspAuthority {
    /// With all signers; `new_key` is how `openssl req` makes keys, such as `rsa:2048`.
    pub fn new(new_key: &str) -> Self {
        let authority = Self { folder: tempfile::tempdir().expect("a folder for the authority") };
        for stem in ["ca", "other"] {
            authority.shell(&format!(
                "openssl req -x509 -newkey {new_key} -nodes -days 30 -subj '/O=Example/CN={stem}' -keyout {stem}.key -out {stem}.pem"
            ));
        }
        for (signer, issuer, usage) in [
            (OcspSigner::Delegated, "ca", "OCSPSigning"),
            (OcspSigner::NotDelegated, "ca", "serverAuth"),
            (OcspSigner::Stranger, "other", "OCSPSigning"),
        ] {
            authority.sign(new_key, signer.stem(), issuer, &format!("extendedKeyUsage={usage}"), "0f");
        }
        fs::write(authority.path("index.txt"), "")
            .expect("the folder of the authority can be read and written");
        authority
    }

    /// A file of its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command in its folder.
    ///
    /// # Panics
    /// When it fails.
    pub fn shell(&self, script: &str) {
        let output = Command::new("sh").args(["-ec", script]).current_dir(self.folder.path()).output();
        let output = output.expect("needs sh and openssl: apt-get install openssl");
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// A chain with its issuer, `STEM.pem`, and a key, `STEM.key`; the serial is in hexadecimal, `more` are further extensions.
    pub fn issue(
        &self,
        new_key: &str,
        stem: &str,
        name: &str,
        serial: &str,
        more: &[&str],
    ) -> (PathBuf, PathBuf) {
        let mut extensions = vec![format!("subjectAltName=DNS:{name}")];
        extensions.extend(more.iter().map(|line| (*line).to_owned()));
        self.sign(new_key, stem, "ca", &extensions.join("\\n"), serial);
        self.shell(&format!("cat ca.pem >> {stem}.pem"));
        (self.path(&format!("{stem}.pem")), self.path(&format!("{stem}.key")))
    }

    fn sign(&self, new_key: &str, stem: &str, issuer: &str, extensions: &str, serial: &str) {
        self.shell(&format!(
            "printf '{extensions}\\n' > {stem}.ext
             openssl req -newkey {new_key} -nodes -subj '/CN={stem}' -keyout {stem}.key -out {stem}.csr
             openssl x509 -req -in {stem}.csr -CA {issuer}.pem -CAkey {issuer}.key -set_serial 0x{serial} -days 20 -extfile {stem}.ext -out {stem}.pem"
        ));
    }

    /// Answers for this serial are that it is good.
    pub fn set_good(&self, serial: &str) {
        self.set(&format!("V\t491231235959Z\t\t{serial}\tunknown\t/CN=leaf\n"));
    }

    /// Answers for this serial are that it was revoked.
    pub fn set_revoked(&self, serial: &str) {
        self.set(&format!("R\t491231235959Z\t261101120000Z,keyCompromise\t{serial}\tunknown\t/CN=leaf\n"));
    }

    fn set(&self, line: &str) {
        fs::write(self.path("index.txt"), line).expect("the folder of the authority can be read and written");
    }

    /// What the responder answers to a request.
    pub fn answer(&self, signer: OcspSigner, request: &[u8], more: &str) -> Vec<u8> {
        fs::write(self.path("request.der"), request)
            .expect("the folder of the authority can be read and written");
        let stem = signer.stem();
        self.shell(&format!(
            "openssl ocsp -index index.txt -CA ca.pem -rsigner {stem}.pem -rkey {stem}.key -reqin request.der -respout \
             response.der {more}"
        ));
        fs::read(self.path("response.der")).expect("the folder of the authority can be read and written")
    }

    /// Answers on a port of loopback, for one hour each time.
    pub fn serve(&self, signer: OcspSigner, port: u16) -> OcspResponder {
        let stem = signer.stem();
        let log = fs::File::create(self.path("responder.log"))
            .expect("the folder of the authority can be read and written");
        let told = log.try_clone().expect("the folder of the authority can be read and written");
        let child = Command::new("openssl")
            .args(["ocsp", "-index", "index.txt", "-CA", "ca.pem", "-nmin", "60", "-ignore_err"])
            .args(["-rsigner", &format!("{stem}.pem"), "-rkey", &format!("{stem}.key")])
            .args(["-port", &port.to_string()])
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(told)
            .spawn()
            .expect("needs openssl: apt-get install openssl");
        OcspResponder { child }
    }

    /// Whether the responder waits for requests. A connection without one would keep it busy.
    pub fn is_serving(&self) -> bool {
        self.log().contains("waiting for OCSP client connections")
    }

    /// How many requests the responder has got since it began.
    pub fn requests(&self) -> usize {
        self.log().matches("Received request").count()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("responder.log")).unwrap_or_default()
    }
}

impl Drop for OcspResponder {
    fn drop(&mut self) {
        // It has nothing to put in order; nothing is left to tell an error to.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
