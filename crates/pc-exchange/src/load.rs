//! Reading the catalogue files: checksums first, then JSON, then the references between them.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use pc_types::{Build, Date, hex, sha256};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::catalogue::{Catalogue, Cve, Fix, Level, Listed, Period, Product, Release};
use crate::limits::CATALOGUE_OCTETS_MAX;

/// One file of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct CatalogueFile<'a> {
    /// Its name without a folder.
    pub name: &'a str,
    /// Its content.
    pub bytes: &'a [u8],
}

/// Why a catalogue was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("catalogue file {file}: {fault}")]
pub struct CatalogueError {
    /// The file at fault.
    pub file: String,
    /// What is wrong with it.
    pub fault: CatalogueFault,
}

/// What is wrong with a catalogue file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueFault {
    /// A build is not four numbers.
    #[error("{0:?} is no build")]
    Build(String),
    /// The content is not the one SHA256SUMS names.
    #[error("its SHA-256 is not the one in SHA256SUMS")]
    Checksum,
    /// A fix names a build that the list of builds does not have.
    #[error("{cve} names the fixed build {build}, which is not in exchange-builds.json")]
    DanglingFix {
        /// The vulnerability.
        cve: String,
        /// The build without an entry.
        build: Build,
    },
    /// A date is not written YYYY-MM-DD or YYYY-MM.
    #[error("{0:?} is no date")]
    Date(String),
    /// A build is listed twice.
    #[error("the build {0} is listed twice")]
    Duplicate(Build),
    /// Not the expected JSON.
    #[error("{0}")]
    Json(String),
    /// Named in SHA256SUMS, or needed, but not there.
    #[error("it is missing")]
    Missing,
    /// A line of SHA256SUMS is not a digest and a name.
    #[error("line {0} is not a SHA-256 and a file name")]
    Sum(usize),
    /// Larger than any catalogue file can be.
    #[error("it is larger than {CATALOGUE_OCTETS_MAX} octets")]
    TooLarge,
    /// There, but without an entry in SHA256SUMS.
    #[error("SHA256SUMS does not name it")]
    Unlisted,
    /// The builds are not in ascending order.
    #[error("the build {0} stands behind a higher one")]
    Unsorted(Build),
}

/// Names of the files that make a catalogue.
pub const CATALOGUE_FILES: [&str; 5] = [SUMS, BUILDS, LIFECYCLE, CVES, OBSERVATIONS];

pub(crate) const SUMS: &str = "SHA256SUMS";
const BUILDS: &str = "exchange-builds.json";
const LIFECYCLE: &str = "exchange-lifecycle.json";
const CVES: &str = "exchange-cves.json";
/// Checked but not read: the evidence behind the aliases and the rules for ids.
const OBSERVATIONS: &str = "exchange-header-observations.json";

impl Catalogue {
    /// The catalogue this program was built with.
    ///
    /// # Errors
    /// None that the tests of this crate would have let pass.
    pub fn embedded() -> Result<Self, CatalogueError> {
        Self::load(&EMBEDDED)
    }

    /// A catalogue from its files, `SHA256SUMS` among them.
    ///
    /// # Errors
    /// The first file at fault, and what is wrong with it.
    pub fn load(files: &[CatalogueFile<'_>]) -> Result<Self, CatalogueError> {
        let digest = check_sums(files)?;
        let builds: BuildsFile = json(files, BUILDS)?;
        let lifecycle: LifecycleFile = json(files, LIFECYCLE)?;
        let cves: CvesFile = json(files, CVES)?;
        let as_of = date(BUILDS, &builds.as_of)?;
        let releases = releases(builds.builds)?;
        let products = lifecycle.products.into_iter().map(product).collect::<Result<Vec<_>, _>>()?;
        let known: BTreeSet<Build> = releases.iter().map(|listed| listed.release.build).collect();
        let cves = cves.cves.into_iter().map(|raw| cve(raw, &known)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self::assemble(as_of, digest, products, cves, releases))
    }
}

pub(crate) static EMBEDDED: [CatalogueFile<'static>; 5] = [
    CatalogueFile { name: SUMS, bytes: include_bytes!("../../../catalog/SHA256SUMS") },
    CatalogueFile { name: BUILDS, bytes: include_bytes!("../../../catalog/exchange-builds.json") },
    CatalogueFile { name: LIFECYCLE, bytes: include_bytes!("../../../catalog/exchange-lifecycle.json") },
    CatalogueFile { name: CVES, bytes: include_bytes!("../../../catalog/exchange-cves.json") },
    CatalogueFile {
        name: OBSERVATIONS,
        bytes: include_bytes!("../../../catalog/exchange-header-observations.json"),
    },
];

/// The files of the catalogue this program was built with.
pub fn embedded_files() -> impl Iterator<Item = CatalogueFile<'static>> {
    EMBEDDED.into_iter()
}

fn fault(file: &str, fault: CatalogueFault) -> CatalogueError {
    CatalogueError { file: file.to_owned(), fault }
}

fn find<'a>(files: &[CatalogueFile<'a>], name: &str) -> Result<&'a [u8], CatalogueError> {
    let file = files.iter().find(|file| file.name == name);
    let bytes = file.map(|file| file.bytes).ok_or_else(|| fault(name, CatalogueFault::Missing))?;
    if bytes.len() > CATALOGUE_OCTETS_MAX {
        return Err(fault(name, CatalogueFault::TooLarge));
    }
    Ok(bytes)
}

/// Compares every file with its sum and returns the digest of the sums.
fn check_sums(files: &[CatalogueFile<'_>]) -> Result<String, CatalogueError> {
    let sums = find(files, SUMS)?;
    let text = std::str::from_utf8(sums).map_err(|_| fault(SUMS, CatalogueFault::Sum(1)))?;
    let mut listed = BTreeSet::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let malformed = || fault(SUMS, CatalogueFault::Sum(number + 1));
        let (sum, name) = line.split_once(char::is_whitespace).ok_or_else(malformed)?;
        let name = name.trim_start().trim_start_matches('*').trim_end();
        if sum.len() != SUM_DIGITS || name.is_empty() {
            return Err(malformed());
        }
        if !hex(&sha256(find(files, name)?)).eq_ignore_ascii_case(sum) {
            return Err(fault(name, CatalogueFault::Checksum));
        }
        listed.insert(name);
    }
    let unlisted = files.iter().find(|file| file.name != SUMS && !listed.contains(file.name));
    match unlisted {
        Some(file) => Err(fault(file.name, CatalogueFault::Unlisted)),
        None => Ok(hex(&sha256(sums))),
    }
}

const SUM_DIGITS: usize = 64;

fn json<T: DeserializeOwned>(files: &[CatalogueFile<'_>], name: &str) -> Result<T, CatalogueError> {
    serde_json::from_slice(find(files, name)?)
        .map_err(|error| fault(name, CatalogueFault::Json(error.to_string())))
}

/// A month stands for its first day, the earliest the update can have been there.
fn date(file: &str, text: &str) -> Result<Date, CatalogueError> {
    let full = if text.len() == "YYYY-MM".len() { format!("{text}-01") } else { text.to_owned() };
    full.parse().map_err(|_| fault(file, CatalogueFault::Date(text.to_owned())))
}

fn date_if_any(file: &str, text: Option<&String>) -> Result<Option<Date>, CatalogueError> {
    text.map(|text| date(file, text)).transpose()
}

fn build(file: &str, text: &str) -> Result<Build, CatalogueError> {
    text.parse().map_err(|_| fault(file, CatalogueFault::Build(text.to_owned())))
}

/// Releases in the order of their builds, which the file must have.
fn releases(raw: Vec<RawRelease>) -> Result<Vec<Listed>, CatalogueError> {
    let mut found: Vec<Listed> = Vec::with_capacity(raw.len());
    for raw in raw {
        let next = listed(raw)?;
        let build = next.release.build;
        match found.last().map(|last| last.release.build.cmp(&build)) {
            Some(Ordering::Equal) => return Err(fault(BUILDS, CatalogueFault::Duplicate(build))),
            Some(Ordering::Greater) => return Err(fault(BUILDS, CatalogueFault::Unsorted(build))),
            Some(Ordering::Less) | None => found.push(next),
        }
    }
    Ok(found)
}

fn listed(raw: RawRelease) -> Result<Listed, CatalogueError> {
    let is_alias_of = |form: &str| raw.header_aliases.iter().any(|alias| alias.form == form);
    let is_shown_by_smtp = raw.seen_in_headers.smtp > 0 || is_alias_of("smtp");
    let is_shown_by_mapi = raw.seen_in_headers.mapi > 0 || is_alias_of("mapi");
    let spellings = raw.header_aliases.iter().map(|alias| &alias.build).chain(&raw.alt_builds);
    let aliases = spellings.map(|text| build(BUILDS, text)).collect::<Result<Vec<_>, _>>()?;
    let release = Release {
        build: build(BUILDS, &raw.build_str)?,
        released: date(BUILDS, &raw.release_date)?,
        product: raw.product,
        product_name: raw.product_name,
        level: raw.base_level,
        update: raw.update,
        update_level: raw.update_level,
        kb: raw.kb,
        security: raw.security,
    };
    Ok(Listed { release, aliases, is_shown_by_smtp, is_shown_by_mapi })
}

fn product(raw: RawProduct) -> Result<Product, CatalogueError> {
    let level = |raw: RawLevel| -> Result<Level, CatalogueError> {
        Ok(Level { until: date_if_any(LIFECYCLE, raw.su_supported_until.as_ref())?, name: raw.level })
    };
    let period = |raw: RawWindow| -> Result<Period, CatalogueError> {
        Ok(Period { start: date(LIFECYCLE, &raw.start)?, end: date(LIFECYCLE, &raw.end)?, name: raw.name })
    };
    let (esu_levels, esu_periods) =
        raw.esu.map_or_else(Default::default, |esu| (esu.eligible_levels, esu.windows));
    Ok(Product {
        released: date(LIFECYCLE, &raw.released)?,
        mainstream_end: date_if_any(LIFECYCLE, raw.mainstream_end.as_ref())?,
        extended_end: date_if_any(LIFECYCLE, raw.extended_end.as_ref())?,
        min_support_until: date_if_any(LIFECYCLE, raw.min_support_until.as_ref())?,
        name: raw.name,
        product: raw.product,
        levels: raw.cu_levels.into_iter().map(level).collect::<Result<_, _>>()?,
        esu_levels,
        esu_periods: esu_periods.into_iter().map(period).collect::<Result<_, _>>()?,
    })
}

fn cve(raw: RawCve, known: &BTreeSet<Build>) -> Result<Cve, CatalogueError> {
    let mut fixes = Vec::with_capacity(raw.fixes.len());
    for fix in raw.fixes {
        let (text, released) =
            fix.earliest_fix.map_or((fix.build, fix.release_date), |first| (first.build, first.release_date));
        let fixed = build(CVES, &text)?;
        if !known.contains(&fixed) {
            return Err(fault(CVES, CatalogueFault::DanglingFix { cve: raw.id, build: fixed }));
        }
        let released = date(CVES, &released)?;
        fixes.push(Fix { product: fix.product, level: fix.base_level, build: fixed, released });
    }
    Ok(Cve {
        fixed_on: date_if_any(CVES, raw.fix_date.as_ref())?,
        revised: date_if_any(CVES, raw.last_revised.as_ref())?,
        id: raw.id,
        class: raw.class,
        cvss: raw.cvss.and_then(|cvss| cvss.base),
        kev: raw.kev.in_kev,
        settled_by_build: raw.fix_by_build,
        extra_action: raw.extra_action,
        fixes,
    })
}

#[derive(Deserialize)]
struct BuildsFile {
    as_of: String,
    builds: Vec<RawRelease>,
}

#[derive(Deserialize)]
struct RawRelease {
    product: String,
    product_name: String,
    update_level: String,
    base_level: String,
    update: Option<String>,
    build_str: String,
    release_date: String,
    kb: Option<String>,
    security: bool,
    seen_in_headers: RawSeen,
    #[serde(default)]
    header_aliases: Vec<RawAlias>,
    #[serde(default)]
    alt_builds: Vec<String>,
}

#[derive(Deserialize)]
struct RawSeen {
    smtp: u32,
    mapi: u32,
}

#[derive(Deserialize)]
struct RawAlias {
    form: String,
    build: String,
}

#[derive(Deserialize)]
struct LifecycleFile {
    products: Vec<RawProduct>,
}

#[derive(Deserialize)]
struct RawProduct {
    product: String,
    name: String,
    released: String,
    mainstream_end: Option<String>,
    extended_end: Option<String>,
    min_support_until: Option<String>,
    #[serde(default)]
    cu_levels: Vec<RawLevel>,
    esu: Option<RawEsu>,
}

#[derive(Deserialize)]
struct RawLevel {
    level: String,
    su_supported_until: Option<String>,
}

#[derive(Deserialize)]
struct RawEsu {
    eligible_levels: Vec<String>,
    windows: Vec<RawWindow>,
}

#[derive(Deserialize)]
struct RawWindow {
    name: String,
    start: String,
    end: String,
}

#[derive(Deserialize)]
struct CvesFile {
    cves: Vec<RawCve>,
}

#[derive(Deserialize)]
struct RawCve {
    id: String,
    class: Option<String>,
    cvss: Option<RawCvss>,
    kev: RawKev,
    fix_date: Option<String>,
    last_revised: Option<String>,
    fix_by_build: bool,
    extra_action: Option<String>,
    fixes: Vec<RawFix>,
}

#[derive(Deserialize)]
struct RawCvss {
    base: Option<f64>,
}

#[derive(Deserialize)]
struct RawKev {
    in_kev: Option<bool>,
}

#[derive(Deserialize)]
struct RawFix {
    product: String,
    base_level: String,
    build: String,
    release_date: String,
    earliest_fix: Option<RawFirstFix>,
}

#[derive(Deserialize)]
struct RawFirstFix {
    build: String,
    release_date: String,
}
