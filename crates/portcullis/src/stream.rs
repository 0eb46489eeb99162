//! From `[[stream]]` to listeners for mail programs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pc_config::{Config, ListenerTls, StreamProtocol};
use pc_net::{AcceptLimits, Acceptor, Clock, Refusals, Stop};
use pc_store::Writer;
use pc_stream::{LoginFailures, Protocol};
use pc_streamd::{HostSettings, Listener, Server, ServerSettings, Shared};
use pc_tls::check::HttpQuestion;
use pc_tls::{CertificateStore, ClientTls, Roots, ServerTls};
use tokio::task::JoinSet;

use crate::exit::{Failure, chain};
use crate::own_tls::{MailName, OwnListener, mail_name};

/// A listener that takes connections.
pub struct Started {
    /// Of `[[stream]]`.
    pub name: String,
    /// As it is written there.
    pub protocol: &'static str,
    /// With the port that the system chose for port 0.
    pub address: SocketAddr,
}

/// Starts all of them.
pub fn start(
    config: &Config,
    (certificates, writer): (&CertificateStore, &Writer),
    clock: &Clock,
    stop: &Stop,
    (tasks, own): (&mut JoinSet<()>, &mut Vec<OwnListener>),
) -> Result<Vec<Started>, Failure> {
    let shared = Arc::new(Shared {
        clock: clock.clone(),
        writer: writer.clone(),
        failures: Mutex::new(LoginFailures::default()),
    });
    let drain = Duration::from_secs(config.smtp.drain_seconds);
    let mut started = Vec::new();
    for settings in &config.streams {
        let limits = AcceptLimits {
            connections_max: settings.connections_max,
            connections_per_address_max: settings.connections_per_address_max,
            connections_per_minute: settings.connections_per_minute,
        };
        let name = settings.name.clone();
        // Shakes hands with itself, and fails when what it offers is not the standard.
        let tls = ServerTls::new(&name, certificates).map_err(|error| Failure::internal(chain(&error)))?;
        let acceptor =
            Acceptor::bind(&name, settings.address, limits, refusals(settings.protocol, settings.tls))
                .map_err(|error| {
                    Failure::configuration(format!(
                        "[[stream]] {name}: address {}: {error}",
                        settings.address
                    ))
                })?;
        let balancers = settings.proxy_protocol_from.clone();
        let acceptor = acceptor
            .behind_balancers(move |address| balancers.iter().any(|network| network.contains(address)));
        let address = acceptor.address().map_err(|error| Failure::internal(error.to_string()))?;
        started.push(Started { name: name.clone(), protocol: settings.protocol.word(), address });
        own.push(OwnListener {
            name: name.clone(),
            connections: acceptor.own_connections().map_err(|error| Failure::internal(error.to_string()))?,
            before_tls: (settings.tls == ListenerTls::StartTls).then(|| protocol(settings.protocol)),
            server_name: mail_name(config, certificates, MailName::OfCertificate),
            http: HttpQuestion::No,
        });
        let listener = Arc::new(Listener {
            name,
            protocol: protocol(settings.protocol),
            mode: mode(settings.tls),
            tls,
            server: server(config, settings, clock.clone())?,
            node_name: config.node.name.to_string(),
            idle_timeout: Duration::from_secs(settings.idle_timeout_seconds),
            login_failures_per_hour: settings.login_failures_per_hour,
            shared: Arc::clone(&shared),
            own: acceptor.own_peers(),
        });
        let handler_stop = stop.clone();
        let accepting = acceptor.serve(stop.clone(), drain, move |stream, peer| {
            pc_streamd::serve(Arc::clone(&listener), stream, peer, handler_stop.clone())
        });
        tasks.spawn(accepting);
    }
    Ok(started)
}

/// The server behind a stream, not yet connected to.
pub fn server(config: &Config, stream: &pc_config::Stream, clock: Clock) -> Result<Server, Failure> {
    let upstream = &stream.upstream;
    let host = |host: &pc_config::UpstreamHost| {
        let roots =
            upstream.ca_file.as_ref().map_or(Roots::WebPki, |path| Roots::CaFile(PathBuf::from(path)));
        let tls = ClientTls::new(roots, host.certificate_sha256).map_err(|error| {
            Failure::configuration(format!("[[stream]] {}: [stream.upstream] {}", stream.name, chain(&error)))
        })?;
        Ok(HostSettings {
            host: host.host.clone(),
            port: host.port,
            priority: host.priority,
            tls_name: host.tls_name.clone(),
            tls,
        })
    };
    Ok(Server::new(ServerSettings {
        name: stream.name.clone(),
        protocol: protocol(stream.protocol),
        hosts: upstream.hosts.iter().map(host).collect::<Result<_, Failure>>()?,
        tls: mode(upstream.tls),
        connect_timeout: Duration::from_secs(upstream.connect_timeout_seconds),
        send_proxy: upstream.send_proxy,
        node_name: config.node.name.to_string(),
        clock,
    }))
}

fn protocol(protocol: StreamProtocol) -> Protocol {
    match protocol {
        StreamProtocol::Imap => Protocol::Imap,
        StreamProtocol::Pop3 => Protocol::Pop3,
        StreamProtocol::Submission => Protocol::Submission,
    }
}

fn mode(tls: ListenerTls) -> pc_streamd::ListenerTls {
    match tls {
        ListenerTls::Implicit => pc_streamd::ListenerTls::Implicit,
        ListenerTls::StartTls => pc_streamd::ListenerTls::StartTls,
    }
}

/// Said to connections that are not taken. Where TLS comes first, plain text would only confuse.
fn refusals(protocol: StreamProtocol, tls: ListenerTls) -> Refusals {
    let words: &[u8] = match (tls, protocol) {
        (ListenerTls::Implicit, _) => b"",
        (ListenerTls::StartTls, StreamProtocol::Imap) => {
            b"* BYE [UNAVAILABLE] too many connections, please come back later\r\n"
        }
        (ListenerTls::StartTls, StreamProtocol::Pop3) => {
            b"-ERR [SYS/TEMP] too many connections, please come back later\r\n"
        }
        (ListenerTls::StartTls, StreamProtocol::Submission) => {
            b"421 4.7.0 too many connections, please come back later\r\n"
        }
    };
    Refusals { over_limits: words, out_of_handles: words }
}
