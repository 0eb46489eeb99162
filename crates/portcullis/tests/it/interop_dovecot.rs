//! Real mail programs through the gate to a real Dovecot, and to a real Postfix for submission.

use std::net::SocketAddr;
use std::process::{Command, Output};

use pc_testkit::{Dovecot, Postfix, Smtpd};

use crate::support::{Node, certificate, free_port, text, until};

/// The servers behind, and a gate in front with a listener for each protocol and way.
struct Place {
    node: Node,
    dovecot: Dovecot,
    _folder: tempfile::TempDir,
}

impl Place {
    fn start(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = certificate(folder.path(), "mailbox.example.org");
        let dovecot = Dovecot::start(&files.chain, &files.key).unwrap();
        let ports = dovecot.ports();
        let stream = |name: &str, protocol: &str, tls: &str, at: SocketAddr, behind: &str| {
            format!(
                "[[stream]]\nname = \"{name}\"\nprotocol = \"{protocol}\"\naddress = \"127.0.0.1:0\"\ntls = \"{tls}\"\n{more}\
                 [stream.upstream]\naddress = \"{at}\"\ntls_name = \"mailbox.example.org\"\nca_file = \"{}\"\n{behind}\n",
                files.chain.display()
            )
        };
        let maildir = folder.path().join("maildir");
        let rest = [
            format!("[[upstream]]\nname = \"m\"\ndomains = [\"*\"]\nmaildir = \"{}\"\n", maildir.display()),
            stream("imaps", "imap", "implicit", ports.imaps, "tls = \"implicit\""),
            stream("imaps-to-starttls", "imap", "implicit", ports.imap, "tls = \"starttls\""),
            stream("imap", "imap", "starttls", ports.imap, "tls = \"starttls\""),
            stream("imap-to-tls", "imap", "starttls", ports.imaps, "tls = \"implicit\""),
            stream("pop3s", "pop3", "implicit", ports.pop3s, "tls = \"implicit\""),
            stream("pop3", "pop3", "starttls", ports.pop3, "tls = \"starttls\""),
            stream("proxied", "imap", "implicit", ports.imaps_proxied, "send_proxy = true"),
        ];
        let place = Self { node: Node::start(&rest.concat()), dovecot, _folder: folder };
        for port in [ports.imaps, ports.pop3s] {
            until("Dovecot", || std::net::TcpStream::connect(port).is_ok());
        }
        place
    }

    /// curl with the gate's certificate and a user.
    fn curl(&self, scheme: &str, stream: &str, password: &str, more: &[&str]) -> Output {
        let port = self.node.stream(stream).port();
        Command::new("curl")
            .args(["--silent", "--show-error", "--ssl-reqd", "--max-time", "20", "--cacert"])
            .arg(self.node.certificate())
            .args(["--resolve", &format!("edge.example.org:{port}:127.0.0.1")])
            .args(["--user", &format!("user:{password}"), &format!("{scheme}://edge.example.org:{port}/")])
            .args(more)
            .output()
            .expect("needs curl: apt-get install curl")
    }

    fn python(&self, script: &str, stream: &str) -> Output {
        let setup = "import imaplib, poplib, ssl, sys\nport = int(sys.argv[1])\n\
                     tls = ssl.create_default_context(cafile=sys.argv[2])\ntls.check_hostname = False\n";
        Command::new("python3")
            .args(["-c", &format!("{setup}{script}"), &self.node.stream(stream).port().to_string()])
            .arg(self.node.certificate())
            .output()
            .expect("needs python3: apt-get install python3")
    }
}

#[test]
fn curl_reads_a_mailbox_over_imaps_whatever_tls_is_spoken_behind() {
    let place = Place::start("");
    for stream in ["imaps", "imaps-to-starttls"] {
        let listed = place.curl("imaps", stream, "secret word", &[]);
        assert!(listed.status.success(), "{listed:?} {} {}", place.node.log(), place.dovecot.log());
        assert!(text(&listed.stdout).contains("INBOX"), "{listed:?}");
        let refused = place.curl("imaps", stream, "wrong", &[]);
        assert_eq!(refused.status.code(), Some(67), "login denied: {refused:?}");
    }
    until("the login in the log", || place.node.log().contains("login listener=\"imaps\""));
}

#[test]
fn curl_lists_a_mailbox_over_pop3s() {
    let place = Place::start("");
    let listed = place.curl("pop3s", "pop3s", "secret word", &[]);
    assert!(listed.status.success(), "{listed:?} {} {}", place.node.log(), place.dovecot.log());
    let refused = place.curl("pop3s", "pop3s", "wrong", &[]);
    assert_eq!(refused.status.code(), Some(67), "login denied: {refused:?}");
}

#[test]
fn pythons_imaplib_logs_in_behind_starttls_and_appends_and_fetches() {
    let place = Place::start("");
    let script = "
imap = imaplib.IMAP4('127.0.0.1', port)
assert 'LOGINDISABLED' in imap.capabilities, imap.capabilities
try:
    imap.login('user', 'secret word')
    sys.exit('a login in plain text')
except imaplib.IMAP4.error as error:
    assert 'PRIVACYREQUIRED' in str(error), error
imap.starttls(tls)
assert 'STARTTLS' not in imap.capabilities and 'AUTH=PLAIN' in imap.capabilities, imap.capabilities
try:
    imap.login('user', 'wrong')
    sys.exit('a wrong password')
except imaplib.IMAP4.error as error:
    assert 'AUTHENTICATIONFAILED' in str(error), error
imap.authenticate('PLAIN', lambda _: b'\\0user\\0secret word')
body = b'Subject: large\\r\\n\\r\\n' + b'0123456789abcde\\r\\n' * 200000
assert imap.append('INBOX', None, None, body)[0] == 'OK'
imap.select('INBOX')
fetched = imap.fetch('1', '(BODY[])')[1][0][1]
assert fetched == body, (len(fetched), len(body))
imap.logout()
";
    for stream in ["imap", "imap-to-tls"] {
        let output = place.python(script, stream);
        assert!(output.status.success(), "{output:?} {}", place.node.log());
        clear(&place);
    }
    assert!(place.node.log().contains("plain_login"), "{}", place.node.log());
}

/// Removes what the round before left.
fn clear(place: &Place) {
    let script = "
imap = imaplib.IMAP4_SSL('127.0.0.1', port, ssl_context=tls)
imap.login('user', 'secret word')
imap.select('INBOX')
imap.store('1:*', '+FLAGS', '\\\\Deleted')
imap.expunge()
imap.logout()
";
    let output = place.python(script, "imaps");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn pythons_poplib_logs_in_behind_stls() {
    let place = Place::start("");
    let script = "
pop = poplib.POP3('127.0.0.1', port)
assert 'STLS' in pop.capa() and 'USER' not in pop.capa(), pop.capa()
try:
    pop.user('user')
    sys.exit('a login in plain text')
except poplib.error_proto as error:
    assert b'[AUTH]' in error.args[0], error
pop.stls(tls)
assert 'STLS' not in pop.capa(), pop.capa()
pop.user('user')
pop.pass_('secret word')
assert pop.stat() == (0, 0)
pop.quit()
";
    let output = place.python(script, "pop3");
    assert!(output.status.success(), "{output:?} {} {}", place.node.log(), place.dovecot.log());
}

#[test]
fn too_many_failed_logins_send_the_address_away() {
    let place = Place::start("login_failures_per_hour = 3\n");
    for _ in 0..3 {
        place.curl("imaps", "imaps", "wrong", &[]);
    }
    let refused = place.curl("imaps", "imaps", "secret word", &[]);
    assert!(!refused.status.success(), "also with the right password: {refused:?}");
    let told = place.curl("imap", "imap", "secret word", &[]);
    assert!(!told.status.success(), "{told:?}");
    let refused = place.curl("pop3s", "pop3s", "secret word", &[]);
    assert!(!refused.status.success(), "over all streams: {refused:?}");
    assert!(place.node.log().contains("login_failures"), "{}", place.node.log());
}

#[test]
fn dovecot_sees_the_client_that_a_balancer_names() {
    let place = Place::start("proxy_protocol_from = [\"127.0.0.1\"]\n");
    let script = "
import socket, struct
raw = socket.create_connection(('127.0.0.1', port))
raw.sendall(b'\\r\\n\\r\\n\\0\\r\\nQUIT\\n\\x21\\x11' + struct.pack('>H4s4sHH', 12, bytes([192, 0, 2, 77]), bytes([192, 0, 2, 1]), 4711, 993))
secure = tls.wrap_socket(raw, server_hostname='edge.example.org')
assert secure.recv(4096).startswith(b'* OK')
secure.sendall(b'a LOGIN user \"secret word\"\\r\\n')
assert b'a OK' in secure.recv(4096)
secure.sendall(b'b LOGOUT\\r\\n')
secure.recv(4096)
";
    let output = place.python(script, "proxied");
    assert!(output.status.success(), "{output:?} {} {}", place.node.log(), place.dovecot.log());
    until("the client's address in Dovecot's log", || place.dovecot.log().contains("rip=192.0.2.77"));
    assert!(place.node.log().contains("192.0.2.77"), "{}", place.node.log());
}

/// A Postfix for submission that asks a Dovecot about logins, and trusts loopback as many do.
struct Submission {
    node: Node,
    postfix: Postfix,
    _dovecot: Dovecot,
    _folder: tempfile::TempDir,
}

impl Submission {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = certificate(folder.path(), "mailbox.example.org");
        let dovecot = Dovecot::start(&files.chain, &files.key).unwrap();
        let ports = dovecot.ports();
        until("Dovecot", || std::net::TcpStream::connect(ports.imaps).is_ok());
        let settings = [
            ("default_transport", "discard:".to_owned()),
            ("smtpd_tls_security_level", "encrypt".to_owned()),
            ("smtpd_tls_auth_only", "yes".to_owned()),
            ("smtpd_tls_cert_file", files.chain.display().to_string()),
            ("smtpd_tls_key_file", files.key.display().to_string()),
            ("smtpd_sasl_auth_enable", "yes".to_owned()),
            ("smtpd_sasl_type", "dovecot".to_owned()),
            ("smtpd_sasl_path", dovecot.auth_socket().display().to_string()),
        ];
        let port = free_port();
        let smtpd = Smtpd { port, processes_max: 5, options: &[] };
        let postfix = Postfix::start(&settings, Some(&smtpd)).unwrap();
        let stream = |name: &str, tls: &str| {
            format!(
                "[[stream]]\nname = \"{name}\"\nprotocol = \"submission\"\naddress = \"127.0.0.1:0\"\ntls = \"{tls}\"\n\
                 [stream.upstream]\naddress = \"127.0.0.1:{port}\"\ntls = \"starttls\"\ntls_name = \"mailbox.example.org\"\n\
                 ca_file = \"{}\"\n",
                files.chain.display()
            )
        };
        let maildir = folder.path().join("maildir");
        let rest = [
            format!("[[upstream]]\nname = \"m\"\ndomains = [\"*\"]\nmaildir = \"{}\"\n", maildir.display()),
            stream("submissions", "implicit"),
            stream("submission", "starttls"),
        ];
        Self { node: Node::start(&rest.concat()), postfix, _dovecot: dovecot, _folder: folder }
    }

    fn sent(&self, count: usize) {
        until("the message in Postfix's log", || self.postfix.log().matches("status=sent").count() >= count);
        let as_user = "sasl_method=PLAIN, sasl_username=user";
        assert_eq!(self.postfix.log().matches(as_user).count(), count, "{}", self.postfix.log());
    }

    fn swaks(&self, stream: &str, more: &[&str]) -> (bool, String) {
        let output = Command::new("swaks")
            .args(["--server", &self.node.stream(stream).to_string(), "--helo", "client.example.net"])
            .args(["--from", "user@example.org", "--to", "b@example.net"])
            .args(more)
            .output()
            .expect("needs swaks: apt-get install swaks libnet-ssleay-perl");
        (output.status.success(), text(&output.stdout) + &text(&output.stderr))
    }
}

const LOGIN: [&str; 6] = ["--auth", "PLAIN", "--auth-user", "user", "--auth-password", "secret word"];

#[test]
fn swaks_submits_behind_starttls_and_inside_tls() {
    let place = Submission::start();
    for (stream, tls, count) in [("submission", "--tls", 1), ("submissions", "--tls-on-connect", 2)] {
        let (is_sent, shown) = place.swaks(stream, &[&[tls], &LOGIN[..]].concat());
        assert!(is_sent, "{shown} {} {}", place.node.log(), place.postfix.log());
        place.sent(count);
    }
}

#[test]
fn a_postfix_that_trusts_the_gates_address_is_no_open_relay_behind_it() {
    let place = Submission::start();
    for (stream, tls) in [("submission", "--tls"), ("submissions", "--tls-on-connect")] {
        let (is_sent, shown) = place.swaks(stream, &[tls]);
        assert!(!is_sent && shown.contains("530 5.7.0 Authentication required"), "{shown}");
    }
    let (is_sent, shown) = place.swaks("submission", &[]);
    assert!(!is_sent && shown.contains("530 5.7.0 Must issue a STARTTLS command first"), "{shown}");
    assert_eq!(place.postfix.log().matches("status=sent").count(), 0, "{}", place.postfix.log());
}

#[test]
fn pythons_smtplib_and_curl_submit() {
    let place = Submission::start();
    let script = "
import smtplib, ssl, sys
tls = ssl.create_default_context(cafile=sys.argv[2])
tls.check_hostname = False
smtp = smtplib.SMTP('127.0.0.1', int(sys.argv[1]))
smtp.ehlo()
assert not smtp.has_extn('auth'), smtp.esmtp_features
smtp.starttls(context=tls)
smtp.ehlo()
assert smtp.has_extn('auth') and not smtp.has_extn('starttls'), smtp.esmtp_features
try:
    smtp.login('user', 'wrong')
    sys.exit('a wrong password')
except smtplib.SMTPAuthenticationError as error:
    assert error.smtp_code == 535, error
smtp.login('user', 'secret word')
smtp.sendmail('user@example.org', ['b@example.net'], 'Subject: x\\r\\n\\r\\n' + 'line\\r\\n' * 100000)
smtp.quit()
";
    let output = Command::new("python3")
        .args(["-c", script, &place.node.stream("submission").port().to_string()])
        .arg(place.node.certificate())
        .output()
        .expect("needs python3: apt-get install python3");
    assert!(output.status.success(), "{output:?} {} {}", place.node.log(), place.postfix.log());
    place.sent(1);
    let message = place.node.folder.path().join("message.eml");
    std::fs::write(&message, "Subject: x\r\n\r\nbody\r\n").unwrap();
    let port = place.node.stream("submissions").port();
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "20", "--cacert"])
        .arg(place.node.certificate())
        .args(["--resolve", &format!("edge.example.org:{port}:127.0.0.1"), "--user", "user:secret word"])
        .args(["--mail-from", "user@example.org", "--mail-rcpt", "b@example.net", "--upload-file"])
        .arg(&message)
        .arg(format!("smtps://edge.example.org:{port}/client.example.net"))
        .output()
        .expect("needs curl: apt-get install curl");
    assert!(output.status.success(), "{output:?} {} {}", place.node.log(), place.postfix.log());
    place.sent(2);
}
