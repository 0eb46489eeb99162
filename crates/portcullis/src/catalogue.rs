//! # Purpose
//! The life of the catalogue on disk: every state it had is kept, one is in use, and what was believed on a
//! day can be asked.
//!
//! # Trust
//! The data folder is its owner's. What comes from outside went through `pc-feed`.
//!
//! # Invariants
//! A revision is written whole, synced, and never changed; the pointer to the one in use is replaced in one
//! step. What is refused changes nothing.

pub mod live;
pub mod update;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use pc_config::Config;
use pc_exchange::Catalogue;
use pc_feed::{FileSet, LeftOut, Refusal};
use pc_store::FolderLock;
use pc_types::{Timestamp, hex, sha256, time};
use serde_json::{Value, json};

use crate::exit::{Failure, chain};
use crate::node;

/// The revisions of one data folder.
pub struct Revisions {
    folder: PathBuf,
}

/// The catalogue in use.
pub struct InUse {
    pub files: FileSet,
    pub catalogue: Catalogue,
    /// `None` for the program's own, or that of `[catalog] directory`.
    pub revision: Option<u32>,
    /// When the bundle was made that it came as.
    pub issued: Option<Timestamp>,
    /// No scheduled updates: it was gone back to by hand.
    pub held: bool,
    /// Whether somebody signed it.
    pub signature: Signature,
}

/// Whether somebody signed the catalogue in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signature {
    /// It came as a bundle whose signature was verified when it was taken, by a key that is not `[catalog] public_key` any
    /// more.
    OtherKey { issued: Option<Timestamp> },
    /// The program's own, or the files of `[catalog] directory`.
    Shipped,
    /// It is made of feeds, which bear no signature: they came by https from the sources, or from files by hand.
    Unsigned,
    /// It came as a bundle whose signature `[catalog] public_key` verified. With feeds that were taken since, those are
    /// not covered by it.
    Verified { issued: Option<Timestamp>, with_feeds: bool },
}

impl Signature {
    /// Stable word.
    pub fn code(&self) -> &'static str {
        match self {
            Self::OtherKey { .. } => "other_key",
            Self::Shipped => "shipped",
            Self::Unsigned => "unsigned",
            Self::Verified { with_feeds: true, .. } => "verified_with_feeds",
            Self::Verified { .. } => "verified",
        }
    }

    /// One sentence.
    pub fn text(&self) -> String {
        let of = |issued: &Option<Timestamp>| {
            issued.map_or_else(|| "a bundle".to_owned(), |issued| format!("a bundle of {issued:.0}"))
        };
        match self {
            Self::OtherKey { issued } => format!(
                "{}, verified when it was taken by a key that is not [catalog] public_key any more",
                of(issued)
            ),
            Self::Shipped => "shipped with the program or laid down by hand, no signature".to_owned(),
            Self::Unsigned => "made of feeds, which bear no signature".to_owned(),
            Self::Verified { issued, with_feeds: false } => {
                format!("{}, its signature verified by [catalog] public_key", of(issued))
            }
            Self::Verified { issued, with_feeds: true } => format!(
                "{}, its signature verified by [catalog] public_key, and feeds since, which bear none",
                of(issued)
            ),
        }
    }

    fn of(config: &Config, manifest: &Value) -> Self {
        let issued = manifest.get("issued").and_then(Value::as_str).and_then(|at| at.parse().ok());
        let Some(key) = manifest.get("signed_by").and_then(Value::as_str) else {
            let is_base = manifest.get("action").is_some_and(|action| action == "base");
            return if is_base { Self::Shipped } else { Self::Unsigned };
        };
        if config.catalog.public_key.as_deref() != Some(key) {
            return Self::OtherKey { issued };
        }
        let with_feeds = manifest.get("with_feeds").and_then(Value::as_bool).unwrap_or(false);
        Self::Verified { issued, with_feeds }
    }
}

/// Something to take in.
pub struct Offer {
    /// File or address.
    pub name: String,
    pub octets: Vec<u8>,
    /// What stands beside a bundle.
    pub signature: Option<String>,
}

/// What came of an offer.
pub struct Taken {
    pub name: String,
    pub result: Result<Accepted, Refusal>,
}

/// What was new in one.
#[derive(Default)]
pub struct Accepted {
    pub changes: Vec<String>,
    pub left_out: Vec<LeftOut>,
}

/// What came of all offers together.
pub struct Outcome {
    pub offers: Vec<Taken>,
    /// The revision that was made, if anything was new.
    pub revision: Option<u32>,
    pub after: Catalogue,
}

impl Outcome {
    pub fn is_refused(&self) -> bool {
        self.offers.iter().any(|offer| offer.result.is_err())
    }
}

impl Revisions {
    pub fn of(config: &Config) -> Self {
        Self { folder: Path::new(&config.node.data).join("catalog") }
    }

    /// The catalogue in use: the newest revision, unless the program brings a newer one.
    pub fn in_use(&self, config: &Config) -> Result<InUse, Failure> {
        let base_files = base(config)?;
        let base = base_files.load().map_err(|error| base_fault(config, &chain(&error)))?;
        let own = InUse {
            files: base_files,
            catalogue: base,
            revision: None,
            issued: None,
            held: false,
            signature: Signature::Shipped,
        };
        let Some((revision, held)) = self.current()? else { return Ok(own) };
        let files = self.files(revision)?;
        let catalogue = files.load().map_err(|error| self.damaged(revision, &chain(&error)))?;
        if own.catalogue.as_of() > catalogue.as_of() && !held {
            return Ok(own);
        }
        let manifest = self.manifest(revision)?;
        let issued = manifest.get("issued").and_then(Value::as_str).and_then(|at| at.parse().ok());
        let signature = Signature::of(config, &manifest);
        Ok(InUse { files, catalogue, revision: Some(revision), issued, held, signature })
    }

    /// Takes offers in, in their order, and keeps what comes of them as one revision.
    pub fn import(
        &self,
        config: &Config,
        offers: Vec<Offer>,
        action: &str,
        now: Timestamp,
    ) -> Result<Outcome, Failure> {
        let _lock = self.lock()?;
        let in_use = self.in_use(config)?;
        let (mut files, mut issued) = (in_use.files.clone(), in_use.issued);
        let (mut taken, mut sources, mut told) = (Vec::new(), Vec::new(), Vec::new());
        let parent = in_use.revision.map(|revision| self.manifest(revision)).transpose()?.unwrap_or_default();
        let mut signed_by = parent.get("signed_by").cloned().unwrap_or_default();
        let mut with_feeds = parent.get("with_feeds").and_then(Value::as_bool).unwrap_or(false);
        for offer in offers {
            let result = take(config, &files, &offer, issued, now);
            let result = result.map(|(accepted, new_files, new_issued)| {
                if new_files != files {
                    sources.push(json!({ "name": offer.name, "sha256": hex(&sha256(&offer.octets)) }));
                    told.extend(accepted.changes.iter().cloned());
                    let is_bundle = new_issued.is_some();
                    with_feeds = !is_bundle;
                    if is_bundle {
                        signed_by = json!(config.catalog.public_key);
                    }
                    (files, issued) = (new_files, new_issued.or(issued));
                }
                accepted
            });
            taken.push(Taken { name: offer.name, result });
        }
        if files == in_use.files {
            return Ok(Outcome { offers: taken, revision: None, after: in_use.catalogue });
        }
        let after = files.load().map_err(|error| Failure::internal(chain(&error)))?;
        // What was believed before the first change stays answerable.
        if self.history().is_empty() {
            let manifest = json!({ "action": "base", "from": [], "changes": [] });
            self.write(0, &in_use.files, &in_use.catalogue, manifest, now)?;
            self.note(0, "base", now)?;
        }
        let revision = self.numbers()?.last().map_or(1, |last| last + 1);
        let manifest = json!({
            "action": action, "parent": in_use.revision.unwrap_or(0), "from": sources, "changes": told, "issued": issued,
            "signed_by": signed_by, "with_feeds": with_feeds,
        });
        self.write(revision, &files, &after, manifest, now)?;
        self.point(revision, false)?;
        self.note(revision, action, now)?;
        Ok(Outcome { offers: taken, revision: Some(revision), after })
    }

    /// Goes back to a revision, or to the one before the one in use; scheduled updates stop until the next one
    /// by hand.
    pub fn roll_back(&self, to: Option<u32>, now: Timestamp) -> Result<u32, Failure> {
        let _lock = self.lock()?;
        let numbers = self.numbers()?;
        let to = match (to, self.current()?) {
            (Some(to), _) => to,
            (None, Some((current, _))) => {
                let parent = self.manifest(current)?.get("parent").and_then(Value::as_u64);
                parent.and_then(|parent| u32::try_from(parent).ok()).unwrap_or(0)
            }
            (None, None) => {
                return Err(Failure::usage(
                    "there is no revision to go back from: the program's own catalogue is in use",
                ));
            }
        };
        if !numbers.contains(&to) {
            let known: Vec<String> = numbers.iter().map(ToString::to_string).collect();
            return Err(Failure::usage(format!("there is no revision {to}; there are {}", known.join(", "))));
        }
        self.files(to)?.load().map_err(|error| self.damaged(to, &chain(&error)))?;
        self.point(to, true)?;
        self.note(to, "rollback", now)?;
        Ok(to)
    }

    /// Ends the hold that a rollback began.
    pub fn release(&self) -> Result<(), Failure> {
        let _lock = self.lock()?;
        match self.current()? {
            Some((revision, true)) => self.point(revision, false),
            _ => Ok(()),
        }
    }

    /// The revision in use at the end of a moment's day, if any was kept then.
    pub fn believed(&self, at: Timestamp) -> Result<Option<FileSet>, Failure> {
        let end = time::add_days(time::start_of(time::date_of(at)), 1);
        let mut history = self.history();
        history.retain(|entry| {
            entry
                .get("at")
                .and_then(Value::as_str)
                .and_then(|at| at.parse::<Timestamp>().ok())
                .is_some_and(|at| at < end)
        });
        let revision = history.last().and_then(|entry| entry.get("revision")?.as_u64());
        let first = self.numbers()?.first().copied();
        let revision = revision.and_then(|revision| u32::try_from(revision).ok()).or(first);
        revision.map(|revision| self.files(revision)).transpose()
    }

    /// What became the catalogue in use and when, oldest first.
    pub fn history(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.join(HISTORY)).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// What is noted about a revision.
    pub fn manifest(&self, revision: u32) -> Result<Value, Failure> {
        let text = fs::read(self.of_revision(revision).join(MANIFEST));
        let text = text.map_err(|error| self.damaged(revision, &format!("{MANIFEST}: {error}")))?;
        serde_json::from_slice(&text).map_err(|error| self.damaged(revision, &format!("{MANIFEST}: {error}")))
    }

    fn lock(&self) -> Result<FolderLock, Failure> {
        node::create_folder(&self.folder)?;
        FolderLock::take(&self.folder).map_err(|error| {
            Failure::internal(format!(
                "the catalogue in {} is being changed by another command ({error}); try again in a moment",
                self.folder.display()
            ))
        })
    }

    fn current(&self) -> Result<Option<(u32, bool)>, Failure> {
        let text = match fs::read(self.folder.join(CURRENT)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.fault(&error)),
        };
        let value: Option<Value> = serde_json::from_slice(&text).ok();
        let revision = value.as_ref().and_then(|value| value.get("revision")?.as_u64());
        let held = value.as_ref().and_then(|value| value.get("held")?.as_bool()).unwrap_or(false);
        match revision.and_then(|revision| u32::try_from(revision).ok()) {
            Some(revision) => Ok(Some((revision, held))),
            None => Err(Failure::configuration(format!(
                "{} is damaged; choose a revision: portcullis catalog rollback REVISION",
                self.folder.join(CURRENT).display()
            ))),
        }
    }

    fn numbers(&self) -> Result<Vec<u32>, Failure> {
        let entries = match fs::read_dir(self.folder.join(REVISIONS)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(self.fault(&error)),
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut numbers: Vec<u32> = names.filter_map(|name| name.parse().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn files(&self, revision: u32) -> Result<FileSet, Failure> {
        let folder = self.of_revision(revision);
        let read = |name: &str| {
            let bytes = fs::read(folder.join(name));
            let bytes = bytes.map_err(|error| self.damaged(revision, &format!("{name}: {error}")))?;
            Ok((name.to_owned(), bytes))
        };
        let files: Result<Vec<_>, Failure> = pc_exchange::CATALOGUE_FILES.into_iter().map(read).collect();
        Ok(FileSet::new(files?))
    }

    fn of_revision(&self, revision: u32) -> PathBuf {
        self.folder.join(REVISIONS).join(format!("{revision:06}"))
    }

    fn write(
        &self,
        revision: u32,
        files: &FileSet,
        catalogue: &Catalogue,
        mut manifest: Value,
        now: Timestamp,
    ) -> Result<(), Failure> {
        if let Some(object) = manifest.as_object_mut() {
            object.insert("revision".to_owned(), revision.into());
            object.insert("at".to_owned(), now.to_string().into());
            object.insert("as_of".to_owned(), catalogue.as_of().to_string().into());
            object.insert("digest".to_owned(), catalogue.digest().into());
        }
        let folder = self.folder.join(REVISIONS);
        node::create_folder(&folder)?;
        let unfinished = folder.join(".unfinished");
        let write = || -> io::Result<()> {
            match fs::remove_dir_all(&unfinished) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            fs::create_dir(&unfinished)?;
            for (name, bytes) in files.files() {
                write_synced(&unfinished.join(name), bytes)?;
            }
            write_synced(&unfinished.join(MANIFEST), format!("{manifest:#}\n").as_bytes())?;
            File::open(&unfinished)?.sync_all()?;
            fs::rename(&unfinished, self.of_revision(revision))?;
            File::open(&folder)?.sync_all()
        };
        write().map_err(|error| self.fault(&error))
    }

    fn point(&self, revision: u32, held: bool) -> Result<(), Failure> {
        let (new, path) = (self.folder.join(".current.new"), self.folder.join(CURRENT));
        let text = json!({ "revision": revision, "held": held }).to_string();
        let write = || -> io::Result<()> {
            write_synced(&new, text.as_bytes())?;
            fs::rename(&new, &path)?;
            File::open(&self.folder)?.sync_all()
        };
        write().map_err(|error| self.fault(&error))
    }

    fn note(&self, revision: u32, action: &str, now: Timestamp) -> Result<(), Failure> {
        let line = json!({ "at": now.to_string(), "revision": revision, "action": action });
        let append = || -> io::Result<()> {
            let mut file = File::options().create(true).append(true).open(self.folder.join(HISTORY))?;
            file.write_all(format!("{line}\n").as_bytes())?;
            file.sync_all()
        };
        append().map_err(|error| self.fault(&error))
    }

    fn fault(&self, error: &io::Error) -> Failure {
        Failure::internal(format!("catalogue in {}: {error}", self.folder.display()))
    }

    fn damaged(&self, revision: u32, what: &str) -> Failure {
        Failure::configuration(format!(
            "revision {revision} of the catalogue in {} is damaged ({what}); go back: portcullis catalog rollback \
             REVISION, portcullis catalog history names them",
            self.folder.display()
        ))
    }
}

const REVISIONS: &str = "revisions";
const CURRENT: &str = "current.json";
const HISTORY: &str = "history.jsonl";
const MANIFEST: &str = "manifest.json";

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The program's catalogue, or that of `[catalog] directory`.
fn base(config: &Config) -> Result<FileSet, Failure> {
    let Some(folder) = &config.catalog.directory else { return Ok(FileSet::embedded()) };
    let read = |name: &'static str| {
        let bytes = fs::read(Path::new(folder).join(name));
        let bytes = bytes.map_err(|error| base_fault(config, &format!("{name}: {error}")))?;
        Ok((name.to_owned(), bytes))
    };
    let files: Result<Vec<_>, Failure> = pc_exchange::CATALOGUE_FILES.into_iter().map(read).collect();
    Ok(FileSet::new(files?))
}

fn base_fault(config: &Config, error: &str) -> Failure {
    match &config.catalog.directory {
        Some(folder) => Failure::configuration(format!("catalogue in {folder}: {error}")),
        None => Failure::internal(error.to_owned()),
    }
}

type Step = (Accepted, FileSet, Option<Timestamp>);

fn take(
    config: &Config,
    files: &FileSet,
    offer: &Offer,
    issued: Option<Timestamp>,
    now: Timestamp,
) -> Result<Step, Refusal> {
    if !pc_feed::is_bundle(&offer.octets) {
        let feed = pc_feed::read(&offer.octets).map_err(Refusal::Feed)?;
        let merged = pc_feed::merge(files, &feed, now)?;
        let changes = merged.changes.iter().map(ToString::to_string).collect();
        return Ok((Accepted { changes, left_out: merged.left_out }, merged.files, None));
    }
    let missing = |what: &str| Refusal::Signature(what.to_owned());
    let key = config.catalog.public_key.as_deref();
    let key = key.ok_or_else(|| missing("no [catalog] public_key says whose bundles are taken"))?;
    let signature = offer.signature.as_deref();
    let signature =
        signature.ok_or_else(|| missing("there is none; it belongs beside the bundle, as NAME.minisig"))?;
    let bundle = pc_feed::open_bundle(&offer.octets, signature, key)?;
    let in_use = files.load().map_err(Refusal::Catalogue)?;
    let offered = pc_feed::check_bundle(&bundle, &in_use, issued, now)?;
    let changes = offered.changes_since(&in_use).iter().map(ToString::to_string).collect();
    Ok((Accepted { changes, left_out: Vec::new() }, bundle.files, Some(bundle.issued)))
}
