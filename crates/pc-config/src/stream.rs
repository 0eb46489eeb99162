//! `[[stream]]`: its values, its defaults, its text.

use std::net::SocketAddr;

use crate::render::{host_list, list, quoted};
use crate::{ListenerTls, Network, UpstreamHost};

/// `[[stream]]`
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub struct Stream {
    pub name: String,
    pub protocol: StreamProtocol,
    pub address: SocketAddr,
    pub tls: ListenerTls,
    pub proxy_protocol_from: Vec<Network>,
    pub connections_max: usize,
    pub connections_per_address_max: usize,
    /// From one address; 0 for no limit.
    pub connections_per_minute: u32,
    pub idle_timeout_seconds: u64,
    /// 0 for no limit.
    pub login_failures_per_hour: u64,
    pub upstream: StreamUpstream,
}

/// What a stream's clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub enum StreamProtocol {
    Imap,
    Pop3,
    Submission,
}

/// `[stream.upstream]`
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub struct StreamUpstream {
    pub hosts: Vec<UpstreamHost>,
    pub tls: ListenerTls,
    pub ca_file: Option<String>,
    pub connect_timeout_seconds: u64,
    pub send_proxy: bool,
}

impl StreamProtocol {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::Submission => "submission",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Imap, Self::Pop3, Self::Submission].into_iter().find(|protocol| protocol.word() == text)
    }

    /// RFC 8314 7 for TLS from the first octet, else RFC 9051, 1939 and 6409.
    pub(crate) fn port(self, tls: ListenerTls) -> u16 {
        match (self, tls) {
            (Self::Imap, ListenerTls::Implicit) => 993,
            (Self::Imap, ListenerTls::StartTls) => 143,
            (Self::Pop3, ListenerTls::Implicit) => 995,
            (Self::Pop3, ListenerTls::StartTls) => 110,
            (Self::Submission, ListenerTls::Implicit) => 465,
            (Self::Submission, ListenerTls::StartTls) => 587,
        }
    }

    /// The shortest that the RFC allows: RFC 9051 5.4, RFC 1939 3, RFC 5321 4.5.3.2.7.
    pub(crate) fn idle_timeout_seconds_min(self) -> u64 {
        match self {
            Self::Imap => 1_800,
            Self::Pop3 => 600,
            Self::Submission => 300,
        }
    }

    /// Clients that wait by IDLE begin anew every 29 minutes (RFC 2177); some minutes are for those that are late.
    pub(crate) fn idle_timeout_seconds(self) -> u64 {
        match self {
            Self::Imap => 2_100,
            Self::Pop3 | Self::Submission => 660,
        }
    }
}

pub(crate) fn tls_word(tls: ListenerTls) -> &'static str {
    match tls {
        ListenerTls::Implicit => "implicit",
        ListenerTls::StartTls => "starttls",
    }
}

pub(crate) fn render(stream: &Stream) -> String {
    let networks = stream.proxy_protocol_from.iter().map(|network| format!("\"{network}\""));
    let upstream = &stream.upstream;
    let ca_file =
        upstream.ca_file.as_ref().map_or_else(String::new, |path| format!("\nca_file = {}", quoted(path)));
    format!(
        "\n[[stream]]\nname = {}\nprotocol = \"{}\"\naddress = \"{}\"\ntls = \"{}\"\nproxy_protocol_from = [{}]\n\
         connections_max = {}\nconnections_per_address_max = {}\nconnections_per_minute = {}\nidle_timeout_seconds = {}\n\
         login_failures_per_hour = {}\n\n[stream.upstream]\nhosts = [{}]\ntls = \"{}\"{ca_file}\n\
         connect_timeout_seconds = {}\nsend_proxy = {}",
        quoted(&stream.name),
        stream.protocol.word(),
        stream.address,
        tls_word(stream.tls),
        list(networks),
        stream.connections_max,
        stream.connections_per_address_max,
        stream.connections_per_minute,
        stream.idle_timeout_seconds,
        stream.login_failures_per_hour,
        host_list(&upstream.hosts),
        tls_word(upstream.tls),
        upstream.connect_timeout_seconds,
        upstream.send_proxy,
    )
}
