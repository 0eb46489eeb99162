use std::borrow::Cow;

use crate::client_hello::{
    KEY_SHARE, SERVER_NAME, SIGNATURE_ALGORITHMS, SUPPORTED_GROUPS, SUPPORTED_VERSIONS,
};
use crate::standard::{TLS12, TLS13};

/// A ClientHello to be written: well formed, so that a server that accepts what it offers answers
/// with a ServerHello.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    pub(crate) hello_version: u16,
    /// Empty leaves the extension out; so with all lists.
    pub(crate) supported_versions: Vec<u16>,
    pub(crate) cipher_suites: Vec<u16>,
    pub(crate) groups: Vec<u16>,
    pub(crate) key_shares: Vec<(u16, Vec<u8>)>,
    pub(crate) signature_algorithms: Vec<u16>,
    pub(crate) server_name: Cow<'static, str>,
    /// 0 is none, 1 is DEFLATE (RFC 3749).
    pub(crate) compression_methods: Vec<u8>,
    /// Further extensions, with their content.
    pub(crate) extensions: Vec<(u16, Vec<u8>)>,
}

impl Probe {
    /// A client of TLS 1.2 with all that the standard accepts.
    pub(crate) fn tls12() -> Self {
        Self {
            hello_version: TLS12,
            supported_versions: Vec::new(),
            cipher_suites: vec![0xc02c, 0xc02b, 0xc030, 0xc02f],
            groups: vec![0x001d, 0x0017],
            key_shares: Vec::new(),
            // ECDSA and RSA with SHA-256, RSA-PSS with SHA-256; ECDSA with SHA-384 for keys on P-384.
            signature_algorithms: vec![0x0403, 0x0503, 0x0401, 0x0804],
            server_name: "self-check.invalid".into(),
            compression_methods: vec![0],
            extensions: Vec::new(),
        }
    }

    /// A client of TLS 1.3 with all that the standard accepts.
    pub(crate) fn tls13() -> Self {
        // Any string of 32 octets is a public key of X25519, RFC 7748 5; this is the base point.
        let mut base_point = vec![0; 32];
        if let Some(first) = base_point.first_mut() {
            *first = 9;
        }
        Self {
            supported_versions: vec![TLS13],
            cipher_suites: vec![0x1302, 0x1301],
            key_shares: vec![(0x001d, base_point)],
            ..Self::tls12()
        }
    }

    /// The hello in one record.
    pub(crate) fn record(&self) -> Vec<u8> {
        let message = self.message();
        let mut record = vec![22, 3, 1];
        record.extend(length16(message.len()));
        record.extend(message);
        record
    }

    /// The hello as a handshake message.
    pub(crate) fn message(&self) -> Vec<u8> {
        let mut body = self.hello_version.to_be_bytes().to_vec();
        // The random need not be random: the handshake never ends.
        body.extend([0x5a; 32]);
        body.push(0);
        body.extend(vector16(&list(&self.cipher_suites)));
        body.extend(vector8(&self.compression_methods));
        let extensions = self.extension_block();
        if !extensions.is_empty() {
            body.extend(vector16(&extensions));
        }
        let mut message = vec![1, 0];
        message.extend(length16(body.len()));
        message.extend(body);
        message
    }

    fn extension_block(&self) -> Vec<u8> {
        let mut block = Vec::new();
        let mut add = |kind: u16, content: Vec<u8>| {
            block.extend(kind.to_be_bytes());
            block.extend(vector16(&content));
        };
        if !self.server_name.is_empty() {
            let mut entry = vec![0];
            entry.extend(vector16(self.server_name.as_bytes()));
            add(SERVER_NAME, vector16(&entry));
        }
        if !self.supported_versions.is_empty() {
            add(SUPPORTED_VERSIONS, vector8(&list(&self.supported_versions)));
        }
        if !self.groups.is_empty() {
            add(SUPPORTED_GROUPS, vector16(&list(&self.groups)));
        }
        if !self.signature_algorithms.is_empty() {
            add(SIGNATURE_ALGORITHMS, vector16(&list(&self.signature_algorithms)));
        }
        if self.supported_versions.contains(&TLS13) {
            let mut shares = Vec::new();
            for (group, key) in &self.key_shares {
                shares.extend(group.to_be_bytes());
                shares.extend(vector16(key));
            }
            add(KEY_SHARE, vector16(&shares));
        }
        for (kind, content) in &self.extensions {
            add(*kind, content.clone());
        }
        block
    }
}

fn list(codes: &[u16]) -> Vec<u8> {
    codes.iter().flat_map(|code| code.to_be_bytes()).collect()
}

fn vector8(content: &[u8]) -> Vec<u8> {
    let mut octets = vec![u8::try_from(content.len()).unwrap_or(u8::MAX)];
    octets.extend(content);
    octets
}

fn vector16(content: &[u8]) -> Vec<u8> {
    let mut octets = length16(content.len()).to_vec();
    octets.extend(content);
    octets
}

fn length16(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}
