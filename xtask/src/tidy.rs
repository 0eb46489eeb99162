//! `cargo xtask tidy`: the house rules that a machine can check.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::shell;

/// Layers from the bottom. A crate depends on its own layer and those below.
const LAYERS: &[&str] = &["pure", "io", "bin", "dev"];

/// External crates that pure crates may name: none of them does I/O or knows the time.
const PURE_DEPENDENCIES: &[&str] = &[
    "idna",
    "jiff",
    "lettre",
    "mail-parser",
    "memchr",
    "minisign-verify",
    "psl",
    "quick-xml",
    "serde",
    "serde_json",
    "sha2",
    "thiserror",
    "toml",
];

/// External crates that more than one crate may name, and why.
const SHARED_DEPENDENCIES: &[(&str, &str)] = &[
    ("anyhow", "errors of the binary and of tools"),
    ("arc-swap", "swapping a whole value at reload"),
    ("http-body-util", "bodies, wherever HTTP is spoken"),
    ("hyper", "HTTP: the API's socket, the web edge, and fetching"),
    ("hyper-util", "hyper over tokio"),
    ("memchr", "searching octets"),
    ("serde", "derive on plain records"),
    ("serde_json", "JSON at the rims"),
    ("tempfile", "tests, and nameless files of the message buffer"),
    ("thiserror", "error enums"),
    ("tokio", "the runtime of every shell"),
    ("toml", "text that people write: configuration and rule packs"),
];

/// Words that must not stand in the source of a pure crate.
const PURE_BANNED: &[&str] = &[
    "std::fs",
    "std::process",
    "std::env::",
    "TcpStream",
    "UdpSocket",
    "SystemTime",
    "Instant::now",
    "tokio::",
    "rand::",
    "thread::",
];

/// Words that must not stand anywhere, with where they may.
const BANNED: &[(&str, &[&str], &str)] = &[
    (
        "danger_synced_to_disk",
        &["crates/pc-smtp/src/custody.rs", "crates/pc-store/src/maildir.rs", "crates/pc-store/src/spool.rs"],
        "mints Persisted",
    ),
    ("#[ignore", &[], "a test that does not run proves nothing"),
    ("#[allow(", &[], "use #[expect(..., reason = ...)]"),
    ("#![allow(", &[], "use #![expect(..., reason = ...)]"),
    ("FIXME", &[], "mend it, or file an issue and write TODO(#issue)"),
    ("SystemTime::now", &["crates/pc-net/src/clock.rs"], "time comes from pc_net::Clock"),
    ("rustls::", &["crates/pc-tls/"], "pc-tls is the only crate that names rustls"),
];

/// Lines of a source file without tests.
const FILE_LINES_MAX: usize = 600;

pub fn run() -> anyhow::Result<()> {
    let mut faults = Vec::new();
    let packages = packages()?;
    check_layers(&packages, &mut faults);
    check_dependencies(&packages, &mut faults);
    for package in &packages {
        for file in sources(&package.folder)? {
            check_file(package, &file, &mut faults)?;
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    for fault in &faults {
        eprintln!("tidy: {fault}");
    }
    bail!("{} faults", faults.len())
}

struct Package {
    name: String,
    layer: String,
    folder: PathBuf,
    /// Names of normal dependencies, then of the others.
    dependencies: Vec<String>,
    dev_dependencies: Vec<String>,
}

fn packages() -> anyhow::Result<Vec<Package>> {
    let text = shell::output("cargo", &["metadata", "--no-deps", "--format-version", "1", "--locked"])?;
    let metadata: Value = serde_json::from_str(&text)?;
    let list = metadata.get("packages").and_then(Value::as_array).context("cargo metadata has packages")?;
    list.iter().map(package).collect()
}

fn package(value: &Value) -> anyhow::Result<Package> {
    let text =
        |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned).context("metadata is complete");
    let manifest = PathBuf::from(text("manifest_path")?);
    let layer = value.pointer("/metadata/portcullis/layer").and_then(Value::as_str).unwrap_or("missing");
    let mut dependencies = Vec::new();
    let mut dev_dependencies = Vec::new();
    for dependency in value.get("dependencies").and_then(Value::as_array).into_iter().flatten() {
        let Some(name) = dependency.get("name").and_then(Value::as_str) else { continue };
        let list = if dependency.get("kind").is_some_and(Value::is_null) {
            &mut dependencies
        } else {
            &mut dev_dependencies
        };
        list.push(name.to_owned());
    }
    Ok(Package {
        name: text("name")?,
        layer: layer.to_owned(),
        folder: manifest.parent().context("a manifest has a folder")?.to_owned(),
        dependencies,
        dev_dependencies,
    })
}

fn check_layers(packages: &[Package], faults: &mut Vec<String>) {
    let rank = |layer: &str| LAYERS.iter().position(|known| *known == layer);
    let by_name: BTreeMap<&str, &Package> =
        packages.iter().map(|package| (package.name.as_str(), package)).collect();
    for package in packages {
        let Some(own) = rank(&package.layer) else {
            faults.push(format!("{}: layer {:?} is none of {LAYERS:?}", package.name, package.layer));
            continue;
        };
        let folder = package.folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if folder != package.name {
            faults.push(format!("{}: lies in a folder named {folder}", package.name));
        }
        for dependency in &package.dependencies {
            match by_name.get(dependency.as_str()) {
                Some(below) if rank(&below.layer) > Some(own) => {
                    faults.push(format!(
                        "{} ({}) depends on {dependency} ({})",
                        package.name, package.layer, below.layer
                    ));
                }
                None if package.layer == "pure" && !PURE_DEPENDENCIES.contains(&dependency.as_str()) => {
                    faults.push(format!("{} is pure and names {dependency}", package.name));
                }
                _ => {}
            }
        }
    }
}

fn check_dependencies(packages: &[Package], faults: &mut Vec<String>) {
    let mut users: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages.iter().filter(|package| package.layer != "dev") {
        for dependency in &package.dependencies {
            if packages.iter().all(|own| own.name != *dependency) {
                users.entry(dependency).or_default().push(&package.name);
            }
        }
        for dependency in &package.dev_dependencies {
            if dependency == "rustls" {
                faults.push(format!("{} names rustls in its tests", package.name));
            }
        }
    }
    for (dependency, users) in users {
        let shared = SHARED_DEPENDENCIES.iter().any(|(name, _)| *name == dependency);
        if users.len() > 1 && !shared {
            faults.push(format!("{dependency} is named by {}; one crate should own it", users.join(", ")));
        }
    }
}

fn sources(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.join("src"), folder.join("tests")];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn check_file(package: &Package, path: &Path, faults: &mut Vec<String>) -> anyhow::Result<()> {
    let text = fs::read_to_string(path)?;
    let shown = path.strip_prefix(shell::root()).unwrap_or(path).display().to_string();
    let is_test = shown.contains("/tests/") || shown.ends_with("/tests.rs");
    let is_tidy = shown.starts_with("xtask/");
    let code = if is_test { "" } else { text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default() };
    let lines = code.lines().count();
    if lines > FILE_LINES_MAX {
        faults.push(format!("{shown}: {lines} lines without tests, at most {FILE_LINES_MAX}"));
    }
    if package.layer == "pure" {
        for word in PURE_BANNED.iter().filter(|word| code.contains(**word)) {
            faults.push(format!("{shown}: {word} in a pure crate"));
        }
    }
    for (word, places, why) in BANNED.iter().filter(|_| !is_tidy) {
        if text.contains(word) && places.iter().all(|place| !shown.starts_with(place)) {
            faults.push(format!("{shown}: {word} ({why})"));
        }
    }
    Ok(())
}
