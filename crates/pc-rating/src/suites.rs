/// A cipher suite that may be found somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownSuite {
    /// As on the wire.
    pub code: u16,
    /// Name in the IANA registry, without `TLS_`.
    pub name: &'static str,
    /// Strength of the cipher.
    pub bits: u32,
    /// What else is to be said of it.
    pub kind: SuiteKind,
}

/// What makes a suite good or bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuiteKind {
    /// Nobody proves who they are.
    Anonymous,
    /// CBC with a key that is agreed anew.
    Cbc,
    /// Blocks of 64 bits (SWEET32).
    Block64,
    /// Authenticated encryption with a key that is agreed anew.
    ForwardAead,
    /// RC4 (RFC 7465).
    Rc4,
    /// RSA key transport: no forward secrecy.
    StaticAead,
    /// The same with CBC.
    StaticCbc,
    /// No encryption, or one that was weakened for export.
    Weak,
}

const fn suite(code: u16, name: &'static str, bits: u32, kind: SuiteKind) -> KnownSuite {
    KnownSuite { code, name, bits, kind }
}

/// Those of TLS 1.2 and before, and of TLS 1.3, that servers are asked for.
pub const KNOWN_SUITES: &[KnownSuite] = &[
    suite(0x1302, "AES_256_GCM_SHA384", 256, SuiteKind::ForwardAead),
    suite(0x1301, "AES_128_GCM_SHA256", 128, SuiteKind::ForwardAead),
    suite(0x1303, "CHACHA20_POLY1305_SHA256", 256, SuiteKind::ForwardAead),
    suite(0x1304, "AES_128_CCM_SHA256", 128, SuiteKind::ForwardAead),
    suite(0x1305, "AES_128_CCM_8_SHA256", 128, SuiteKind::ForwardAead),
    suite(0xc02c, "ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", 256, SuiteKind::ForwardAead),
    suite(0xc02b, "ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", 128, SuiteKind::ForwardAead),
    suite(0xc030, "ECDHE_RSA_WITH_AES_256_GCM_SHA384", 256, SuiteKind::ForwardAead),
    suite(0xc02f, "ECDHE_RSA_WITH_AES_128_GCM_SHA256", 128, SuiteKind::ForwardAead),
    suite(0xcca9, "ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", 256, SuiteKind::ForwardAead),
    suite(0xcca8, "ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", 256, SuiteKind::ForwardAead),
    suite(0xccaa, "DHE_RSA_WITH_CHACHA20_POLY1305_SHA256", 256, SuiteKind::ForwardAead),
    suite(0xc0ad, "ECDHE_ECDSA_WITH_AES_256_CCM", 256, SuiteKind::ForwardAead),
    suite(0xc0ac, "ECDHE_ECDSA_WITH_AES_128_CCM", 128, SuiteKind::ForwardAead),
    suite(0xc09f, "DHE_RSA_WITH_AES_256_CCM", 256, SuiteKind::ForwardAead),
    suite(0xc09e, "DHE_RSA_WITH_AES_128_CCM", 128, SuiteKind::ForwardAead),
    suite(0x009f, "DHE_RSA_WITH_AES_256_GCM_SHA384", 256, SuiteKind::ForwardAead),
    suite(0x009e, "DHE_RSA_WITH_AES_128_GCM_SHA256", 128, SuiteKind::ForwardAead),
    suite(0xc024, "ECDHE_ECDSA_WITH_AES_256_CBC_SHA384", 256, SuiteKind::Cbc),
    suite(0xc023, "ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", 128, SuiteKind::Cbc),
    suite(0xc028, "ECDHE_RSA_WITH_AES_256_CBC_SHA384", 256, SuiteKind::Cbc),
    suite(0xc027, "ECDHE_RSA_WITH_AES_128_CBC_SHA256", 128, SuiteKind::Cbc),
    suite(0xc00a, "ECDHE_ECDSA_WITH_AES_256_CBC_SHA", 256, SuiteKind::Cbc),
    suite(0xc009, "ECDHE_ECDSA_WITH_AES_128_CBC_SHA", 128, SuiteKind::Cbc),
    suite(0xc014, "ECDHE_RSA_WITH_AES_256_CBC_SHA", 256, SuiteKind::Cbc),
    suite(0xc013, "ECDHE_RSA_WITH_AES_128_CBC_SHA", 128, SuiteKind::Cbc),
    suite(0x006b, "DHE_RSA_WITH_AES_256_CBC_SHA256", 256, SuiteKind::Cbc),
    suite(0x0067, "DHE_RSA_WITH_AES_128_CBC_SHA256", 128, SuiteKind::Cbc),
    suite(0x0039, "DHE_RSA_WITH_AES_256_CBC_SHA", 256, SuiteKind::Cbc),
    suite(0x0033, "DHE_RSA_WITH_AES_128_CBC_SHA", 128, SuiteKind::Cbc),
    suite(0x009d, "RSA_WITH_AES_256_GCM_SHA384", 256, SuiteKind::StaticAead),
    suite(0x009c, "RSA_WITH_AES_128_GCM_SHA256", 128, SuiteKind::StaticAead),
    suite(0xc09d, "RSA_WITH_AES_256_CCM", 256, SuiteKind::StaticAead),
    suite(0xc09c, "RSA_WITH_AES_128_CCM", 128, SuiteKind::StaticAead),
    suite(0x003d, "RSA_WITH_AES_256_CBC_SHA256", 256, SuiteKind::StaticCbc),
    suite(0x003c, "RSA_WITH_AES_128_CBC_SHA256", 128, SuiteKind::StaticCbc),
    suite(0x0035, "RSA_WITH_AES_256_CBC_SHA", 256, SuiteKind::StaticCbc),
    suite(0x002f, "RSA_WITH_AES_128_CBC_SHA", 128, SuiteKind::StaticCbc),
    suite(0x0084, "RSA_WITH_CAMELLIA_256_CBC_SHA", 256, SuiteKind::StaticCbc),
    suite(0x0041, "RSA_WITH_CAMELLIA_128_CBC_SHA", 128, SuiteKind::StaticCbc),
    suite(0xc008, "ECDHE_ECDSA_WITH_3DES_EDE_CBC_SHA", 112, SuiteKind::Block64),
    suite(0xc012, "ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", 112, SuiteKind::Block64),
    suite(0x0016, "DHE_RSA_WITH_3DES_EDE_CBC_SHA", 112, SuiteKind::Block64),
    suite(0x000a, "RSA_WITH_3DES_EDE_CBC_SHA", 112, SuiteKind::Block64),
    suite(0xc011, "ECDHE_RSA_WITH_RC4_128_SHA", 128, SuiteKind::Rc4),
    suite(0xc007, "ECDHE_ECDSA_WITH_RC4_128_SHA", 128, SuiteKind::Rc4),
    suite(0x0005, "RSA_WITH_RC4_128_SHA", 128, SuiteKind::Rc4),
    suite(0x0004, "RSA_WITH_RC4_128_MD5", 128, SuiteKind::Rc4),
    suite(0x006c, "DH_anon_WITH_AES_128_CBC_SHA256", 128, SuiteKind::Anonymous),
    suite(0x0034, "DH_anon_WITH_AES_128_CBC_SHA", 128, SuiteKind::Anonymous),
    suite(0xc018, "ECDH_anon_WITH_AES_128_CBC_SHA", 128, SuiteKind::Anonymous),
    suite(0x0009, "RSA_WITH_DES_CBC_SHA", 56, SuiteKind::Weak),
    suite(0x0008, "RSA_EXPORT_WITH_DES40_CBC_SHA", 40, SuiteKind::Weak),
    suite(0x0006, "RSA_EXPORT_WITH_RC2_CBC_40_MD5", 40, SuiteKind::Weak),
    suite(0x0003, "RSA_EXPORT_WITH_RC4_40_MD5", 40, SuiteKind::Weak),
    suite(0x003b, "RSA_WITH_NULL_SHA256", 0, SuiteKind::Weak),
    suite(0x0002, "RSA_WITH_NULL_SHA", 0, SuiteKind::Weak),
    suite(0x0001, "RSA_WITH_NULL_MD5", 0, SuiteKind::Weak),
];
