use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use pc_types::time::{add_days, date_of};
use pc_types::{Date, Domain, Timestamp};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
};

use super::pair::Pair;
use super::{CertificateError, CertificateFiles};
use crate::limits::{SELF_MADE_DAYS, SELF_MADE_RENEWAL_DAYS};

/// A certificate for a quick start, signed by itself: ECDSA P-256, for `name`, `localhost` and the
/// loopback addresses. One that is in `dir` already is used again while it has 30 days left, so that
/// a pin or a browser's exception holds across restarts.
///
/// # Errors
/// `name` is no host name or address, or the folder cannot be written.
pub fn self_made(dir: &Path, name: &str, now: Timestamp) -> Result<CertificateFiles, CertificateError> {
    in_place(dir, name, names_with(name)?, now)
}

/// The same for `names` and nothing else, until an authority has issued a certificate for them.
///
/// # Errors
/// There is no name, or the folder cannot be written.
pub fn self_made_for(
    dir: &Path,
    names: &[Domain],
    now: Timestamp,
) -> Result<CertificateFiles, CertificateError> {
    let first = names.first().ok_or_else(|| not_made("", &"no name"))?;
    in_place(dir, first.as_str(), names.iter().map(|name| name.as_str().to_owned()).collect(), now)
}

fn in_place(
    dir: &Path,
    name: &str,
    names: Vec<String>,
    now: Timestamp,
) -> Result<CertificateFiles, CertificateError> {
    let files = CertificateFiles { chain: dir.join(CHAIN_FILE), key: dir.join(KEY_FILE) };
    if is_usable(&files, &names, now) {
        // An older umask or a copy may have opened the key to others.
        restrict(&files.key)?;
        return Ok(files);
    }
    let (certificate, key) = make(name, names, now)?;
    fs::create_dir_all(dir).map_err(|source| unwritable(dir, source))?;
    // The key first: between the two writes the old certificate does not fit, so that a crash here
    // leads to another making and never to a wrong pair.
    write(dir, &files.key, &key, OWNER_ONLY)?;
    write(dir, &files.chain, &certificate, READABLE)?;
    Ok(files)
}

const CHAIN_FILE: &str = "self-made.pem";
const KEY_FILE: &str = "self-made.key";
const OWNER_ONLY: u32 = 0o600;
const READABLE: u32 = 0o644;
const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

fn names_with(name: &str) -> Result<Vec<String>, CertificateError> {
    let canonical = match name.parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => match name.parse::<Domain>() {
            Ok(domain) => domain.as_str().to_owned(),
            Err(error) => return Err(not_made(name, &error)),
        },
    };
    let mut names = vec![canonical];
    for local in LOCAL_NAMES {
        if !names.iter().any(|name| name == local) {
            names.push(local.to_owned());
        }
    }
    Ok(names)
}

fn is_usable(files: &CertificateFiles, names: &[String], now: Timestamp) -> bool {
    Pair::read(files, now).is_ok_and(|pair| {
        pair.summary.not_after > add_days(now, SELF_MADE_RENEWAL_DAYS)
            && names.iter().all(|name| pair.summary.names.contains(name))
    })
}

fn make(name: &str, names: Vec<String>, now: Timestamp) -> Result<(String, String), CertificateError> {
    let failed = |error: rcgen::Error| not_made(name, &error);
    let mut subject = DistinguishedName::new();
    // RFC 5280 appendix A.1: at most 64 characters.
    subject.push(DnType::CommonName, name.chars().take(64).collect::<String>());
    let mut parameters = CertificateParams::new(names).map_err(failed)?;
    parameters.distinguished_name = subject;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // A day earlier, for peers whose clock is behind.
    let begin = add_days(now, -1);
    let midnight = |date: Date| {
        let [month, day] = [date.month(), date.day()].map(|part| u8::try_from(part).unwrap_or(1));
        rcgen::date_time_ymd(i32::from(date.year()), month, day)
    };
    parameters.not_before = midnight(date_of(begin));
    parameters.not_after = midnight(date_of(add_days(begin, SELF_MADE_DAYS)));
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = parameters.self_signed(&key).map_err(failed)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

/// Writes beside and renames, so that a reader sees the old file or the whole one.
fn write(dir: &Path, path: &Path, text: &str, mode: u32) -> Result<(), CertificateError> {
    let beside: PathBuf = path.with_extension("tmp");
    let written = || -> io::Result<()> {
        if beside.exists() {
            fs::remove_file(&beside)?;
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        fs::File::open(dir)?.sync_all()
    };
    written().map_err(|source| unwritable(path, source))
}

fn restrict(key: &Path) -> Result<(), CertificateError> {
    let mode = fs::metadata(key).map_err(|source| unwritable(key, source))?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(key, Permissions::from_mode(OWNER_ONLY)).map_err(|source| unwritable(key, source))
}

fn not_made(name: &str, reason: &dyn std::fmt::Display) -> CertificateError {
    CertificateError::Make { name: name.to_owned(), reason: reason.to_string() }
}

fn unwritable(path: &Path, source: io::Error) -> CertificateError {
    CertificateError::Write { path: path.to_owned(), source }
}
