//! # Purpose
//! Proves by handshakes in memory that a listener offers the standard and nothing else, before it
//! may run. A changed default of the TLS library or a slip in our own code then stops the start
//! instead of weakening a port.
//!
//! # Trust
//! Nothing from outside but the certificates, which were checked before.
//!
//! # Standards
//! The whole code space is probed: every cipher suite number of two octets that is not ours, in TLS
//! 1.2 and in TLS 1.3, and every group number that is not ours, must be refused.
//!
//! # Invariants
//! What must be refused is refused twice: by our own reading of the hello and by the TLS library.
//!
//! # See also
//! `standard` for the table, `probe` for the hellos.

mod pinned;
mod probe;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub(crate) use pinned::Pinned;
pub(crate) use probe::Probe;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, ServerConfig, ServerConnection};

use crate::certificate::{Candidate, Loaded};
use crate::client_hello::{HelloProgress, HelloReader};
use crate::limits::PROBE_CODES_MAX;
use crate::screen::screen;
use crate::server::server_config;
use crate::standard::{Group, KeyKind, Suite, TLS12, TLS13, Version, provider_of, standard};

/// Proves certificates that are to replace those in service.
pub(crate) fn verify_candidate(loaded: &Arc<Loaded>) -> Result<(), String> {
    let config = server_config(Arc::new(Candidate(Arc::clone(loaded))), &[], None);
    let config = config.map_err(|error| error.to_string())?;
    verify_standard(&Arc::new(config), loaded)
}

/// The first difference between what `config` offers and the standard.
pub(crate) fn verify_standard(config: &Arc<ServerConfig>, loaded: &Loaded) -> Result<(), String> {
    let subject = Subject { config, keys: loaded.key_kinds(), leaves: loaded.leaves() };
    if config.max_early_data_size != 0 || config.send_half_rtt_data {
        // RFC 8446 8: early data can be replayed.
        return Err("early data is on".to_owned());
    }
    subject.every_suite_works()?;
    subject.the_server_chooses()?;
    subject.every_group_works()?;
    subject.sessions_resume()?;
    subject.old_versions_are_refused()?;
    subject.other_suites_are_refused()?;
    subject.other_groups_are_refused()?;
    subject.sha1_signatures_are_refused()
}

struct Subject<'a> {
    config: &'a Arc<ServerConfig>,
    keys: Vec<KeyKind>,
    leaves: Vec<[u8; 32]>,
}

impl Subject<'_> {
    fn served(&self, suite: &Suite) -> bool {
        suite.key.is_none_or(|kind| self.keys.contains(&kind))
    }

    fn every_suite_works(&self) -> Result<(), String> {
        for suite in standard().suites.iter().filter(|suite| self.served(suite)) {
            let client = self.client(|offered| offered == suite, |_| true, suite.version)?;
            let outcome = self.shake_hands(&client).map_err(|error| format!("{}: {error}", suite.name))?;
            expect(suite.name, "suite", outcome.suite, suite.code)?;
            expect(suite.name, "version", outcome.version, suite.version)?;
        }
        Ok(())
    }

    /// A client that names a version's suites in reverse must still get the first of ours.
    fn the_server_chooses(&self) -> Result<(), String> {
        for version in standard().versions {
            for kind in &self.keys {
                let fits = |suite: &&Suite| {
                    suite.version == version.code && suite.key.is_none_or(|needed| needed == *kind)
                };
                let Some(first) = standard().suites.iter().find(fits) else { continue };
                let mut provider = provider_of(|suite| fits(&suite), |_| true);
                provider.cipher_suites.reverse();
                let client = self.client_with(provider, version.code)?;
                let outcome = self.shake_hands(&client)?;
                expect(version.name, "suite by server's order", outcome.suite, first.code)?;
            }
        }
        Ok(())
    }

    fn every_group_works(&self) -> Result<(), String> {
        for version in standard().versions {
            for group in groups_of(version) {
                let client = self.client(|_| true, |offered| offered == group, version.code)?;
                let outcome =
                    self.shake_hands(&client).map_err(|error| format!("{}: {error}", group.name))?;
                expect(version.name, "group", outcome.group, group.code)?;
            }
        }
        Ok(())
    }

    fn sessions_resume(&self) -> Result<(), String> {
        for version in standard().versions {
            let client = self.client(|_| true, |_| true, version.code)?;
            self.shake_hands(&client)?;
            if self.shake_hands(&client)?.kind != Some(HandshakeKind::Resumed) {
                return Err(format!("{}: sessions are not resumed", version.name));
            }
        }
        Ok(())
    }

    fn old_versions_are_refused(&self) -> Result<(), String> {
        for version in [0x0002, 0x0300, 0x0301, 0x0302] {
            let by_hello = Probe { hello_version: version, ..Probe::tls12() };
            let by_extension = Probe { supported_versions: vec![version], ..Probe::tls13() };
            for probe in [by_hello, by_extension] {
                self.is_refused(&probe, &format!("version {version:#06x}"))?;
            }
        }
        Ok(())
    }

    fn other_suites_are_refused(&self) -> Result<(), String> {
        for (version, template) in [(TLS12, Probe::tls12()), (TLS13, Probe::tls13())] {
            let ours = |code: &u16| {
                let mut suites = standard().suites.iter();
                suites.any(|suite| suite.code == *code && suite.version == version && self.served(suite))
            };
            for codes in other_codes(ours) {
                let probe = Probe { cipher_suites: codes, ..template.clone() };
                self.is_refused(&probe, "a cipher suite")?;
            }
        }
        Ok(())
    }

    fn other_groups_are_refused(&self) -> Result<(), String> {
        for (version, template) in standard().versions.iter().zip([Probe::tls13(), Probe::tls12()]) {
            let ours = |code: &u16| groups_of(version).any(|group| group.code == *code);
            for codes in other_codes(ours) {
                let probe = Probe { groups: codes, key_shares: Vec::new(), ..template.clone() };
                self.is_refused(&probe, "a key exchange group")?;
            }
        }
        Ok(())
    }

    /// RFC 9155: no MD5, SHA-1 or SHA-224 signature. Only the library judges these.
    fn sha1_signatures_are_refused(&self) -> Result<(), String> {
        const BROKEN: [u16; 9] = [0x0101, 0x0102, 0x0103, 0x0201, 0x0202, 0x0203, 0x0301, 0x0302, 0x0303];
        for template in [Probe::tls12(), Probe::tls13()] {
            let probe = Probe { signature_algorithms: BROKEN.to_vec(), ..template };
            self.is_refused_by_library(&probe, "a broken signature scheme")?;
        }
        Ok(())
    }

    fn client(
        &self,
        suite_wanted: impl Fn(&Suite) -> bool,
        group_wanted: impl Fn(&Group) -> bool,
        version: u16,
    ) -> Result<Arc<ClientConfig>, String> {
        let of_version = |suite: &Suite| suite.version == version && suite_wanted(suite);
        self.client_with(provider_of(of_version, group_wanted), version)
    }

    fn client_with(
        &self,
        provider: rustls::crypto::CryptoProvider,
        version: u16,
    ) -> Result<Arc<ClientConfig>, String> {
        let versions: &[&rustls::SupportedProtocolVersion] =
            if version == TLS13 { &[&rustls::version::TLS13] } else { &[&rustls::version::TLS12] };
        let verifier = Pinned::new(self.leaves.clone(), &provider);
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Arc::new(config))
    }

    fn shake_hands(&self, client: &Arc<ClientConfig>) -> Result<Outcome, String> {
        // The name is on no certificate, so that all of them are candidates.
        let name = ServerName::try_from("self-check.invalid").map_err(|error| error.to_string())?;
        let mut client =
            ClientConnection::new(Arc::clone(client), name).map_err(|error| error.to_string())?;
        let mut server = ServerConnection::new(Arc::clone(self.config)).map_err(|error| error.to_string())?;
        converse(&mut client, &mut server)?;
        if client.is_handshaking() || server.is_handshaking() {
            return Err("the handshake does not end".to_owned());
        }
        Ok(Outcome {
            version: client.protocol_version().map(u16::from),
            suite: client.negotiated_cipher_suite().map(|suite| suite.suite().into()),
            group: client.negotiated_key_exchange_group().map(|group| group.name().into()),
            kind: client.handshake_kind(),
        })
    }

    fn is_refused(&self, probe: &Probe, what: &str) -> Result<(), String> {
        let hello = match HelloReader::default().push(&probe.record()) {
            HelloProgress::Hello { hello, .. } => hello,
            HelloProgress::NeedMore | HelloProgress::Refused(_) => {
                return Err(format!("the probe for {what} cannot be read"));
            }
        };
        if screen(&hello, &self.keys).is_ok() {
            return Err(format!("{what} outside the standard passes the screening of hellos"));
        }
        self.is_refused_by_library(probe, what)
    }

    fn is_refused_by_library(&self, probe: &Probe, what: &str) -> Result<(), String> {
        let mut server = ServerConnection::new(Arc::clone(self.config)).map_err(|error| error.to_string())?;
        let record = probe.record();
        let mut octets = record.as_slice();
        while !octets.is_empty() {
            let read = server.read_tls(&mut octets).map_err(|error| error.to_string())?;
            if read == 0 || server.process_new_packets().is_err() {
                return Ok(());
            }
        }
        let suite = server.negotiated_cipher_suite().map(|suite| suite.suite());
        Err(format!("{what} outside the standard is accepted (answer: {suite:?})"))
    }
}

struct Outcome {
    version: Option<u16>,
    suite: Option<u16>,
    group: Option<u16>,
    kind: Option<HandshakeKind>,
}

fn groups_of(version: &Version) -> impl Iterator<Item = &'static Group> {
    let tls12 = version.code == TLS12;
    standard().groups.iter().filter(move |group| !tls12 || group.tls12)
}

fn expect(name: &str, what: &str, found: Option<u16>, wanted: u16) -> Result<(), String> {
    if found == Some(wanted) {
        return Ok(());
    }
    let found = found.map_or("none".to_owned(), |code| format!("{code:#06x}"));
    Err(format!("{name}: {what} is {found} instead of {wanted:#06x}"))
}

/// All numbers of two octets but ours, in portions that fit in one hello.
fn other_codes(ours: impl Fn(&u16) -> bool) -> Vec<Vec<u16>> {
    let others: Vec<u16> = (0..=u16::MAX).filter(|code| !ours(code)).collect();
    others.chunks(PROBE_CODES_MAX).map(<[u16]>::to_vec).collect()
}

/// Carries octets both ways until both sides are silent.
fn converse(client: &mut ClientConnection, server: &mut ServerConnection) -> Result<(), String> {
    // A handshake with a retry and tickets takes four rounds.
    for _ in 0..ROUNDS_MAX {
        let mut octets = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut octets).map_err(|error| error.to_string())?;
        }
        let mut silent = octets.is_empty();
        let mut unread = octets.as_slice();
        while !unread.is_empty() {
            server.read_tls(&mut unread).map_err(|error| error.to_string())?;
            server.process_new_packets().map_err(|error| format!("the server refuses: {error}"))?;
        }
        let mut octets = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut octets).map_err(|error| error.to_string())?;
        }
        silent &= octets.is_empty();
        let mut unread = octets.as_slice();
        while !unread.is_empty() {
            client.read_tls(&mut unread).map_err(|error| error.to_string())?;
            client.process_new_packets().map_err(|error| format!("the client refuses: {error}"))?;
        }
        if silent {
            return Ok(());
        }
    }
    Err("the handshake does not end".to_owned())
}

const ROUNDS_MAX: usize = 16;
