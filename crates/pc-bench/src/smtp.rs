//! `bench smtp`: Portcullis against Postfix as before-queue proxy (`smtpd_proxy_filter`), both in
//! front of the same sink, with the same certificate and the same client.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use pc_testkit::{Behaviour, Client, Postfix, Receiver, Smtpd};
use pc_tls::{CertificateFiles, ClientTls, Roots};

use crate::process;
use crate::report::{self, Spread};

/// What is measured.
pub struct Plan {
    octets: &'static [usize],
    connections: &'static [usize],
    messages_per_connection: &'static [usize],
    rounds: usize,
    seconds: f64,
}

impl Plan {
    pub fn full() -> Self {
        Self {
            octets: &[4 * 1024, 100 * 1024],
            connections: &[1, 20, 200],
            messages_per_connection: &[1, 20],
            rounds: 3,
            seconds: 3.0,
        }
    }

    /// To see that the bench itself works.
    pub fn quick() -> Self {
        Self {
            octets: &[4 * 1024],
            connections: &[20],
            messages_per_connection: &[20],
            rounds: 2,
            seconds: 1.0,
        }
    }
}

/// What the senders do.
#[derive(Clone, Copy)]
pub struct Load {
    pub octets: usize,
    pub connections: usize,
    pub messages_per_connection: usize,
}

/// One run against one server.
pub struct Sample {
    pub messages_per_second: f64,
    pub cpu_ms_per_message: f64,
}

/// A server that is measured.
pub struct Peer {
    pub address: SocketAddr,
    pub pid: u32,
}

pub async fn run(plan: Plan) -> anyhow::Result<()> {
    let conditions = report::conditions();
    let folder = tempfile::tempdir()?;
    let sink = Receiver::start(Behaviour::AcceptAndForget, None).await?;
    let certificate = certificate(folder.path(), "localhost")?;
    let tls = ClientTls::new(Roots::CaFile(certificate.chain.clone()), None)?;
    let (portcullis, _child) = portcullis(folder.path(), &certificate, sink.address, "")?;
    let (postfix, _instance) = postfix(&certificate, &[("smtpd_proxy_filter", sink.address.to_string())])?;
    wait_for(portcullis.address).await?;
    wait_for(postfix.address).await?;
    let idle_mib = process::resident_mib(portcullis.pid)?;

    let mut rows = String::new();
    for &octets in plan.octets {
        for &connections in plan.connections {
            for &messages_per_connection in plan.messages_per_connection {
                let shape = Load { octets, connections, messages_per_connection };
                eprintln!(
                    "{octets} octets, {connections} connections, {messages_per_connection} messages each"
                );
                rows.push_str(&measure(&plan, shape, &tls, [&portcullis, &postfix]).await?);
            }
        }
    }
    let busy_mib = process::resident_mib(portcullis.pid)?;
    let body = format!(
        "## SMTP hand-over against Postfix\n\n{conditions}\nPostfix {}, `smtpd_proxy_filter` to the same sink, its logging and ours at \
         their defaults; STARTTLS with TLS 1.3 on every connection, one ECDSA certificate, plain text to the sink on \
         loopback. Client, sink and server share the cores, so messages per second are bound by all three; the \
         comparison is CPU of the server's processes. Each figure is the middle of {} rounds in turns, with lowest and \
         highest. Ours reads the evidence, decides and writes a trace row for every message.\n\n\
         | message | connections | messages each | ours: messages/s | Postfix: messages/s | ours: CPU ms/message | \
         Postfix: CPU ms/message | messages per CPU second, ours over Postfix |\n|--|--|--|--|--|--|--|--|\n{rows}\n\
         Memory of ours: {idle_mib:.1} MiB resident after start, {busy_mib:.1} MiB after the runs. Aims: at least 3 \
         times Postfix in messages per CPU second; idle under 40 MB.",
        postfix_version(),
        plan.rounds,
    );
    report::write("smtp", &body)
}

async fn measure(plan: &Plan, shape: Load, tls: &ClientTls, peers: [&Peer; 2]) -> anyhow::Result<String> {
    let mut samples: [Vec<Sample>; 2] = [Vec::new(), Vec::new()];
    for round in 0..plan.rounds {
        // The one that goes first alternates.
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for index in order {
            let (Some(peer), Some(list)) = (peers.get(index), samples.get_mut(index)) else { continue };
            list.push(sample(plan.seconds, shape, tls, peer).await?);
        }
    }
    let [ours, theirs] = &samples;
    let spread =
        |list: &[Sample], value: fn(&Sample) -> f64| Spread::of(&list.iter().map(value).collect::<Vec<_>>());
    let ratios: Vec<f64> = ours
        .iter()
        .zip(theirs)
        .map(|(ours, theirs)| theirs.cpu_ms_per_message / ours.cpu_ms_per_message)
        .collect();
    Ok(format!(
        "| {} KiB | {} | {} | {} | {} | {} | {} | {} |\n",
        shape.octets / 1024,
        shape.connections,
        shape.messages_per_connection,
        spread(ours, |sample| sample.messages_per_second)?.text(0),
        spread(theirs, |sample| sample.messages_per_second)?.text(0),
        spread(ours, |sample| sample.cpu_ms_per_message)?.text(3),
        spread(theirs, |sample| sample.cpu_ms_per_message)?.text(3),
        Spread::of(&ratios)?.text(1),
    ))
}

/// Loads a server and looks at it for some seconds.
pub async fn sample(seconds: f64, shape: Load, tls: &ClientTls, peer: &Peer) -> anyhow::Result<Sample> {
    let message: Arc<Vec<u8>> = Arc::new(message(shape.octets));
    let stop = Arc::new(AtomicBool::new(false));
    let sent = Arc::new(AtomicU64::new(0));
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..shape.connections {
        let (tls, message, stop, sent) =
            (tls.clone(), Arc::clone(&message), Arc::clone(&stop), Arc::clone(&sent));
        let address = peer.address;
        workers.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                connection(address, &tls, &message, shape.messages_per_connection, &stop, &sent).await?;
            }
            anyhow::Ok(())
        });
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (cpu, count, started) =
        (process::cpu_seconds(peer.pid)?, sent.load(Ordering::Relaxed), Instant::now());
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    let elapsed = started.elapsed().as_secs_f64();
    let cpu = process::cpu_seconds(peer.pid)? - cpu;
    let count = sent.load(Ordering::Relaxed) - count;
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = workers.join_next().await {
        ended??;
    }
    if count == 0 {
        bail!("no message went through in {elapsed} s");
    }
    let count = f64::from(u32::try_from(count)?);
    Ok(Sample { messages_per_second: count / elapsed, cpu_ms_per_message: cpu * 1000.0 / count })
}

async fn connection(
    address: SocketAddr,
    tls: &ClientTls,
    message: &[u8],
    messages: usize,
    stop: &AtomicBool,
    sent: &AtomicU64,
) -> anyhow::Result<()> {
    let mut client = greeted(address, tls.clone()).await?;
    for _ in 0..messages {
        let replies = client.send("sender@example.net", &["recipient@example.org"], message).await?;
        let last = replies.last().context("no reply")?;
        if last.code != 250 {
            bail!("answered {} {}", last.code, last.lines.join(" "));
        }
        sent.fetch_add(1, Ordering::Relaxed);
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    client.command("QUIT").await?;
    Ok(())
}

/// A client that has greeted under TLS.
pub async fn greeted(address: SocketAddr, tls: ClientTls) -> anyhow::Result<Client> {
    let (mut client, _) = Client::connect(address).await?;
    client.command("EHLO bench.example.net").await?;
    let mut client = client.start_tls(&tls, "localhost").await?;
    client.command("EHLO bench.example.net").await?;
    Ok(client)
}

/// Text with a header as Exchange writes it.
fn message(octets: usize) -> Vec<u8> {
    let mut text = "Received: from mbx.example.net (192.0.2.10) by mail.example.net (192.0.2.11)\r\n with Microsoft SMTP \
         Server (version=TLS1_2,\r\n cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) id 15.2.2562.56; Mon, 2 Nov 2026\r\n \
         10:00:00 +0000\r\nFrom: sender@example.net\r\nTo: recipient@example.org\r\nSubject: bench\r\nMessage-ID: \
         <bench@example.net>\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\n\r\n"
        .to_owned();
    while text.len() < octets {
        text.push_str("A line of text such as mail is made of, seventy-two octets long, CRLF.\r\n");
    }
    text.into_bytes()
}

/// One for `name`.
pub fn certificate(folder: &Path, name: &str) -> anyhow::Result<CertificateFiles> {
    let (chain, key) = (folder.join("chain.pem"), folder.join("key.pem"));
    let status = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "30",
        ])
        .args(["-subj", &format!("/CN={name}"), "-addext", &format!("subjectAltName=DNS:{name}")])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&chain)
        .stderr(Stdio::null())
        .status()?;
    if !status.success() {
        bail!("openssl could not make a certificate");
    }
    Ok(CertificateFiles { chain, key })
}

/// Ends the process with the value.
pub struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A node in `folder` in front of `sink`, with more settings.
pub fn portcullis(
    folder: &Path,
    certificate: &CertificateFiles,
    sink: SocketAddr,
    more: &str,
) -> anyhow::Result<(Peer, Running)> {
    let (smtp, admin) = (free_port()?, free_port()?);
    let config = folder.join("portcullis.toml");
    let text = format!(
        "[node]\nname = \"edge.example.org\"\ndata = \"{data}\"\n[tls]\ncertificates = [{{ chain = \"{chain}\", key = \
         \"{key}\" }}]\n[smtp]\nconnections_max = 20000\nconnections_per_address_max = 20000\n\
         [smtp.limits.client]\nconnections_per_minute = 0\n[[smtp.listener]]\naddress = \
         \"127.0.0.1:{smtp}\"\ntls = \"starttls\"\n[[upstream]]\nname = \"sink\"\ndomains = [\"example.org\"]\naddress = \
         \"{sink}\"\ntls = \"none\"\nconnections_max = 300\n[admin]\naddress = \"127.0.0.1:{admin}\"\n{more}",
        data = folder.join("data").display(),
        chain = certificate.chain.display(),
        key = certificate.key.display(),
    );
    fs::write(&config, text)?;
    let log = fs::File::create(folder.join("portcullis.log"))?;
    let child = Command::new(program())
        .args(["serve", "--config"])
        .arg(&config)
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .context("portcullis could not be started; it is built by cargo xtask bench")?;
    let pid = child.id();
    Ok((Peer { address: ([127, 0, 0, 1], smtp).into(), pid }, Running(child)))
}

/// What `cargo xtask bench` has built.
pub fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/release/portcullis")
}

/// A private Postfix with options of its smtpd.
pub fn postfix(
    certificate: &CertificateFiles,
    options: &[(&str, String)],
) -> anyhow::Result<(Peer, Postfix)> {
    let port = free_port()?;
    let settings = [
        ("relay_domains", "example.org".to_owned()),
        ("smtpd_relay_restrictions", "permit_mynetworks, reject".to_owned()),
        ("smtpd_client_connection_count_limit", "0".to_owned()),
        ("smtpd_tls_security_level", "may".to_owned()),
        ("smtpd_tls_cert_file", certificate.chain.display().to_string()),
        ("smtpd_tls_key_file", certificate.key.display().to_string()),
        ("smtpd_tls_protocols", ">=TLSv1.2".to_owned()),
        ("message_size_limit", "52428800".to_owned()),
        // The private instance rewrites nothing and looks nothing up, as ours does not either.
        ("local_recipient_maps", String::new()),
    ];
    let smtpd = Smtpd { port, processes_max: 250, options };
    let instance = Postfix::start(&settings, Some(&smtpd))?;
    let pid = instance.master_pid()?;
    Ok((Peer { address: ([127, 0, 0, 1], port).into(), pid }, instance))
}

fn postfix_version() -> String {
    let output = Command::new("/usr/sbin/postconf").args(["-dh", "mail_version"]).output();
    output.map_or_else(|_| "unknown".to_owned(), |out| String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

/// Of loopback, at this moment.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Returns when a server answers.
pub async fn wait_for(address: SocketAddr) -> anyhow::Result<()> {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(20) {
        if Client::connect(address).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bail!("{address} does not answer")
}
