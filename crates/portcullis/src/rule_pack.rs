//! # Purpose
//! The virtual patches in use: those of the program, or a newer signed pack.
//!
//! # Trust
//! A pack comes from whoever holds the secret key to `[https] rule_pack_public_key`; nothing of one is read before its signature
//! was found right. The data folder is its owner's, and what is kept there is verified all the same.
//!
//! # Invariants
//! No version takes the place of a newer one, also not after a restart: the pack that was taken last is kept in the data folder
//! and is the one in use until a newer one is taken. What is refused changes nothing.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use pc_config::Config;
use pc_http::limits::PACK_OCTETS_MAX;
use pc_http::patches::{Pack, PackError};
use pc_httpd::{Rules, RulesError};
use pc_telemetry::Event;
use pc_types::{Date, Timestamp, time};
use serde_json::{Value, json};

use crate::exit::Failure;
use crate::node;
use crate::web_edge;

/// The virtual patches of this version.
const PROGRAM: &str = include_str!("../../../patches/exchange.toml");
/// What is kept: pack and signature in one file, so that neither is ever there without the other.
const KEPT: &str = "rule-pack.json";
/// Pack, signature, and what JSON makes of them.
const KEPT_OCTETS_MAX: usize = 2 * PACK_OCTETS_MAX + 64 * 1024;

/// Why a pack is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackRefusal {
    #[error("it is dated {0}, which lies ahead; look at the clock")]
    Ahead(Date),
    #[error("its last day was {0}; install a newer one")]
    Expired(Date),
    #[error("it cannot be kept in the data folder: {0}")]
    Keep(String),
    #[error("{0}")]
    Malformed(PackError),
    #[error("it is version {offered}, older than version {in_use}, which is in use")]
    Older { in_use: u32, offered: u32 },
    #[error("it is another version {0} than the one in use; a changed pack needs a higher version")]
    Other(u32),
    #[error("{0}")]
    Signature(String),
    #[error("{0}; change the setting first, or ask for a pack that has the rule")]
    UnknownRule(RulesError),
    #[error("{0}")]
    Unreadable(String),
}

impl PackRefusal {
    /// Stable word.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Ahead(_) => "ahead",
            Self::Expired(_) => "expired",
            Self::Keep(_) => "not_kept",
            Self::Malformed(_) => "malformed",
            Self::Older { .. } => "older",
            Self::Other(_) => "other",
            Self::Signature(_) => "signature",
            Self::UnknownRule(_) => "unknown_rule",
            Self::Unreadable(_) => "unreadable",
        }
    }
}

/// Octets of a pack and its signature.
#[derive(Clone, PartialEq, Eq)]
struct Signed {
    text: String,
    signature: String,
}

/// What is to be used, and what was refused on the way there.
pub struct Found {
    pub pack: Pack,
    /// Where it comes from, in words.
    pub origin: &'static str,
    /// File and reason.
    pub refused: Vec<(String, PackRefusal)>,
    /// It is not yet kept.
    offered: Option<Signed>,
}

/// Whether a pack that is taken is kept, so that no older one takes its place again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keeping {
    Keep,
    Leave,
}

/// What the configuration asks for, as a node would take it; nothing is changed.
pub fn look(config: &Config, now: Timestamp) -> Result<Found, Failure> {
    find(config, now, Keeping::Leave)
}

/// The same for a node, which keeps what it takes; the log is told.
pub fn take(config: &Config, now: Timestamp) -> Result<Found, Failure> {
    let found = find(config, now, Keeping::Keep)?;
    for (source, refusal) in &found.refused {
        Event::WebRulePackRefused { source, code: refusal.code(), error: &refusal.to_string() }.emit();
    }
    let Pack { version, published, .. } = &found.pack;
    Event::WebRulePackLoaded { version: *version, published, rules: found.pack.listed().count() }.emit();
    Ok(found)
}

/// Tells the log which rules are past their last day.
pub fn tell_expired(pack: &Pack, today: Date) {
    for rule in pack.listed().filter(|rule| rule.is_expired(today)) {
        let expires = rule.expires.map(|day| day.to_string()).unwrap_or_default();
        Event::WebRuleExpired { rule: rule.id, expires: &expires }.emit();
    }
}

impl Found {
    /// In words, for the operator.
    pub fn told(&self) -> String {
        let refused: String =
            self.refused.iter().map(|(file, why)| format!("; {file} is refused, it stays: {why}")).collect();
        format!("virtual patches of version {} ({}){refused}", self.pack.version, self.origin)
    }
}

fn find(config: &Config, now: Timestamp, keeping: Keeping) -> Result<Found, Failure> {
    let pack = Pack::parse(PROGRAM).map_err(|error| Failure::internal(error.to_string()))?;
    let mut found = Found { pack, origin: "of the program", refused: Vec::new(), offered: None };
    let https = &config.https;
    let (Some(path), Some(key)) = (&https.rule_pack, &https.rule_pack_public_key) else { return Ok(found) };
    let kept_path = Path::new(&config.node.data).join(KEPT);
    let mut kept = None;
    match read_kept(&kept_path).and_then(|signed| signed.map(|signed| open(signed, key)).transpose()) {
        Err(refusal) => found.refused.push((kept_path.display().to_string(), refusal)),
        // A newer version of the program may bring more than the pack that was taken before.
        Ok(Some((signed, pack))) if pack.version > found.pack.version => {
            (found.pack, found.origin, kept) = (pack, "kept from before", Some(signed));
        }
        Ok(_) => {}
    }
    match offer(config, Path::new(path), key, (&found.pack, kept.as_ref()), now) {
        Err(refusal) => found.refused.push((path.clone(), refusal)),
        Ok(None) => found.origin = "of the file",
        Ok(Some((signed, pack))) => {
            if keeping == Keeping::Keep
                && let Err(error) = keep(config, &kept_path, &signed)
            {
                found.refused.push((path.clone(), PackRefusal::Keep(error)));
                return Ok(found);
            }
            (found.pack, found.origin, found.offered) = (pack, "of the file", Some(signed));
        }
    }
    Ok(found)
}

/// Reads and verifies what the configuration names; `None` when it is what is in use.
fn offer(
    config: &Config,
    path: &Path,
    key: &str,
    (in_use, kept): (&Pack, Option<&Signed>),
    now: Timestamp,
) -> Result<Option<(Signed, Pack)>, PackRefusal> {
    let (signed, pack) = open(read_signed(path)?, key)?;
    if kept == Some(&signed) {
        return Ok(None);
    }
    let today = time::date_of(now);
    if pack.version < in_use.version {
        return Err(PackRefusal::Older { in_use: in_use.version, offered: pack.version });
    }
    if pack.version == in_use.version {
        // Signed anew, or the very pack of the program.
        return if pack == *in_use { Ok(None) } else { Err(PackRefusal::Other(pack.version)) };
    }
    check_dates(&pack, today)?;
    let rules = web_edge::rules(config, pack);
    if let Some(unknown) = rules.unknown_rule() {
        return Err(PackRefusal::UnknownRule(unknown));
    }
    let Rules { pack, .. } = rules;
    Ok(Some((signed, pack)))
}

/// Whether a pack may be taken into use on a day.
pub fn check_dates(pack: &Pack, today: Date) -> Result<(), PackRefusal> {
    let ahead = time::date_of(time::add_days(time::start_of(today), pc_feed::limits::DAYS_AHEAD_MAX));
    if let Some(published) = pack.published().filter(|day| *day > ahead) {
        return Err(PackRefusal::Ahead(published));
    }
    match pack.expires().filter(|last| *last < today) {
        Some(last) => Err(PackRefusal::Expired(last)),
        None => Ok(()),
    }
}

/// A pack from a file that is not in use, with its signature where a key is known.
pub fn read(path: &Path, key: Option<&str>) -> Result<Pack, PackRefusal> {
    match key {
        Some(key) => Ok(open(read_signed(path)?, key)?.1),
        None => Pack::parse(&read_bounded(path, PACK_OCTETS_MAX)?).map_err(PackRefusal::Malformed),
    }
}

fn open(signed: Signed, key: &str) -> Result<(Signed, Pack), PackRefusal> {
    pc_feed::check_signature(signed.text.as_bytes(), &signed.signature, key)
        .map_err(|refusal| PackRefusal::Signature(refusal.to_string()))?;
    let pack = Pack::parse(&signed.text).map_err(PackRefusal::Malformed)?;
    Ok((signed, pack))
}

fn read_signed(path: &Path) -> Result<Signed, PackRefusal> {
    let text = read_bounded(path, PACK_OCTETS_MAX)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".minisig");
    let signature = read_bounded(&PathBuf::from(beside), pc_feed::limits::SIGNATURE_OCTETS_MAX);
    let signature = signature.map_err(|refusal| {
        PackRefusal::Signature(format!("there is no signature beside it, as NAME.minisig: {refusal}"))
    })?;
    Ok(Signed { text, signature })
}

fn read_bounded(path: &Path, octets_max: usize) -> Result<String, PackRefusal> {
    let fault = |error: io::Error| PackRefusal::Unreadable(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(fault)?;
    let (mut text, limit) = (String::new(), u64::try_from(octets_max).unwrap_or(u64::MAX));
    let read = file.take(limit.saturating_add(1)).read_to_string(&mut text).map_err(fault)?;
    if read > octets_max {
        return Err(PackRefusal::Unreadable(format!("{} has more than {octets_max} octets", path.display())));
    }
    Ok(text)
}

fn read_kept(path: &Path) -> Result<Option<Signed>, PackRefusal> {
    if !path.exists() {
        return Ok(None);
    }
    let text = read_bounded(path, KEPT_OCTETS_MAX)?;
    let damaged = || PackRefusal::Unreadable("it is damaged".to_owned());
    let value: Value = serde_json::from_str(&text).map_err(|_| damaged())?;
    let part = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned).ok_or_else(damaged);
    Ok(Some(Signed { text: part("pack")?, signature: part("signature")? }))
}

fn keep(config: &Config, path: &Path, signed: &Signed) -> Result<(), String> {
    let folder = Path::new(&config.node.data);
    node::create_folder(folder).map_err(|failure| failure.to_string())?;
    let text = json!({ "pack": signed.text, "signature": signed.signature }).to_string();
    let new = folder.join(".rule-pack.new");
    let write = || -> io::Result<()> {
        let mut file = File::create(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(|error| error.to_string())
}
