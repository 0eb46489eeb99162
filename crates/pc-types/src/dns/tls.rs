//! Records that concern certificates.

/// One record of RFC 8659 4.1, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaaRecord {
    /// The highest bit of the flags: a tag that is not understood forbids issuance.
    pub is_critical: bool,
    /// The property, such as `issue`, in any case.
    pub tag: String,
    /// Its value; whoever publishes the zone chose it.
    pub value: Vec<u8>,
}

/// One record of RFC 6698 2.1, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsaRecord {
    /// 0 and 1 with a public authority, 2 an authority of one's own, 3 the certificate itself.
    pub usage: u8,
    /// 0 the whole certificate, 1 its key.
    pub selector: u8,
    /// 0 in full, 1 SHA-256, 2 SHA-512.
    pub matching: u8,
    /// What it is compared with.
    pub data: Vec<u8>,
}
