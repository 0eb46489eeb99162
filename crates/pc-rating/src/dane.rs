//! # Purpose
//! Whether the TLSA records of a service fit the certificates that it shows.
//!
//! # Trust
//! Whoever publishes the zone chose the records. Whether their answer was signed is not known here, and so nothing is said of it.
//!
//! # Standards
//! RFC 6698 2.1, RFC 7671 5 and 8.1 (rollover), RFC 7672 3.1.3 (usages 0 and 1 mean nothing for mail).
//!
//! # Invariants
//! A certificate that a client may be shown and no record fits is a failure, whatever fits the others.

use pc_types::dns::TlsaRecord;
use pc_types::{sha256, sha512};

use crate::Finding;

/// One certificate of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainCertificate {
    /// DER.
    pub certificate: Vec<u8>,
    /// Its SubjectPublicKeyInfo, DER.
    pub key: Vec<u8>,
}

/// What is to be said, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaneVerdict {
    /// Not applicable where there is no record that counts.
    pub finding: Finding,
    /// In words.
    pub detail: String,
}

/// Judges the records of `name` (such as `_25._tcp.mx.example.org`) for chains that clients may be shown, the server's own certificate first in
/// each, and each signed by the next.
pub fn judge(name: &str, records: &[TlsaRecord], chains: &[Vec<ChainCertificate>]) -> DaneVerdict {
    let verdict = |finding, detail| DaneVerdict { finding, detail };
    if records.is_empty() {
        return verdict(Finding::NotApplicable, format!("{name} has no TLSA record"));
    }
    let usable: Vec<&TlsaRecord> = records.iter().filter(|record| is_usable(record)).collect();
    if usable.is_empty() {
        let detail = format!(
            "{name} has TLSA records, and none that counts for mail; publish usage 3, selector 1, matching 1"
        );
        return verdict(Finding::Fail, detail);
    }
    let fits = |chain: &[ChainCertificate]| usable.iter().any(|record| fits(record, chain));
    let unfitting = chains.iter().filter(|chain| !fits(chain)).count();
    if unfitting == 0 && !chains.is_empty() {
        let spare =
            usable.iter().filter(|record| !chains.iter().any(|chain| self::fits(record, chain))).count();
        let spare =
            if spare > 0 { format!(", {spare} of them for others, as in a rollover") } else { String::new() };
        return verdict(
            Finding::Pass,
            match usable.len() {
                1 => format!("{name} fits what is served: 1 record"),
                count => format!("{name} fits what is served: {count} records{spare}"),
            },
        );
    }
    // RFC 7672 2.2: a sender that finds a record holds its mail back; other clients do not connect.
    let harmed = match name.starts_with("_25.") {
        true => "senders that go by DANE keep their mail",
        false => "clients that go by DANE do not connect",
    };
    let detail = format!(
        "{name} fits {} of {} certificates in service, so that {harmed}; publish the record of what is served (portcullis tls records \
         prints those of port 25), wait for two TTLs, and only then remove others (RFC 7671 8.1: publish first, change the key then)",
        chains.len().saturating_sub(unfitting),
        chains.len()
    );
    verdict(Finding::Fail, detail)
}

/// RFC 7672 3.1: 2 and 3 with what is defined.
fn is_usable(record: &TlsaRecord) -> bool {
    let octets = match record.matching {
        0 => !record.data.is_empty(),
        1 => record.data.len() == 32,
        2 => record.data.len() == 64,
        _ => false,
    };
    matches!(record.usage, 2 | 3) && matches!(record.selector, 0 | 1) && octets
}

fn fits(record: &TlsaRecord, chain: &[ChainCertificate]) -> bool {
    let chosen = match record.usage {
        // RFC 7671 5.2: an authority that stands in the chain that is shown, and has signed what is below.
        2 => chain.get(1..).unwrap_or_default(),
        3 => chain.get(..1).unwrap_or_default(),
        _ => &[],
    };
    chosen.iter().any(|one| {
        let octets = if record.selector == 0 { &one.certificate } else { &one.key };
        match record.matching {
            0 => record.data == *octets,
            1 => record.data == sha256(octets),
            2 => record.data == sha512(octets),
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(letter: u8) -> Vec<ChainCertificate> {
        let one = |offset: u8| ChainCertificate {
            certificate: vec![letter, offset, 0],
            key: vec![letter, offset, 1],
        };
        vec![one(0), one(1)]
    }

    fn record(usage: u8, selector: u8, matching: u8, octets: &[u8]) -> TlsaRecord {
        let data = match matching {
            1 => sha256(octets).to_vec(),
            2 => sha512(octets).to_vec(),
            _ => octets.to_vec(),
        };
        TlsaRecord { usage, selector, matching, data }
    }

    #[test]
    fn each_usage_selector_and_matching_fits_what_it_names_and_nothing_else() {
        for matching in 0..=4 {
            for usage in 0..=4 {
                for selector in 0..=2 {
                    let place = if usage == 2 { 1 } else { 0 };
                    let octets = [b'a', place, selector];
                    let is_defined = (2..=3).contains(&usage) && selector < 2 && matching < 3;
                    let records = [record(usage, selector, matching, &octets)];
                    let told = judge("x", &records, &[chain(b'a')]);
                    let want = if is_defined { Finding::Pass } else { Finding::Fail };
                    assert_eq!(told.finding, want, "{usage} {selector} {matching}: {}", told.detail);
                    assert_eq!(judge("x", &records, &[chain(b'b')]).finding, Finding::Fail);
                }
            }
        }
    }

    #[test]
    fn every_certificate_in_service_needs_a_record_and_spare_ones_do_no_harm() {
        let (first, second) = (record(3, 1, 1, &[b'a', 0, 1]), record(3, 1, 1, &[b'b', 0, 1]));
        let both = [chain(b'a'), chain(b'b')];
        assert_eq!(judge("x", &[first.clone(), second.clone()], &both).finding, Finding::Pass);
        let one = judge("x", std::slice::from_ref(&first), &both);
        assert_eq!(one.finding, Finding::Fail);
        assert!(one.detail.contains("1 of 2 certificates"), "{}", one.detail);
        let rollover = judge("x", &[first, second], &both[..1]);
        assert_eq!(rollover.finding, Finding::Pass);
        assert!(rollover.detail.contains("1 of them for others"), "{}", rollover.detail);
        assert_eq!(judge("x", &[], &both).finding, Finding::NotApplicable);
        assert_eq!(judge("x", &[record(3, 1, 1, b"x")], &[]).finding, Finding::Fail, "nothing is served");
    }

    #[test]
    fn cut_and_overlong_data_never_fit() {
        let whole = record(3, 1, 1, &[b'a', 0, 1]);
        for length in (0..32).chain([33, 64, 65_000]) {
            let mut cut = whole.clone();
            cut.data.resize(length, 0);
            assert_eq!(judge("x", &[cut], &[chain(b'a')]).finding, Finding::Fail, "{length}");
        }
        let empty = TlsaRecord { usage: 3, selector: 1, matching: 0, data: Vec::new() };
        let nothing = vec![ChainCertificate { certificate: Vec::new(), key: Vec::new() }];
        assert_eq!(judge("x", &[empty], &[nothing]).finding, Finding::Fail);
    }
}
