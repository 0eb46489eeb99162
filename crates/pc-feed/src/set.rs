//! The files of a catalogue, together.

use std::collections::BTreeMap;

use pc_exchange::{CATALOGUE_FILES, Catalogue, CatalogueError, CatalogueFile};
use pc_types::{hex, sha256};

/// The name of the file of checksums.
pub const SUMS: &str = "SHA256SUMS";
/// The builds.
pub(crate) const BUILDS: &str = "exchange-builds.json";
/// The vulnerabilities.
pub(crate) const CVES: &str = "exchange-cves.json";

/// The files that make one state of the catalogue, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSet {
    files: BTreeMap<String, Vec<u8>>,
}

impl FileSet {
    /// Files by name; others than those of a catalogue are left out.
    pub fn new(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let files = files.into_iter().filter(|(name, _)| CATALOGUE_FILES.contains(&name.as_str()));
        Self { files: files.collect() }
    }

    /// The files of the catalogue this program was built with.
    pub fn embedded() -> Self {
        Self::new(pc_exchange::embedded_files().map(|file| (file.name.to_owned(), file.bytes.to_vec())))
    }

    /// Reads them, checksums first.
    ///
    /// # Errors
    /// The first file at fault.
    pub fn load(&self) -> Result<Catalogue, CatalogueError> {
        let files: Vec<CatalogueFile<'_>> =
            self.files.iter().map(|(name, bytes)| CatalogueFile { name, bytes }).collect();
        Catalogue::load(&files)
    }

    /// All of them, by name.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
    }

    pub(crate) fn get(&self, name: &str) -> &[u8] {
        self.files.get(name).map_or(&[], Vec::as_slice)
    }

    /// The same with other content in some files, and the checksums that belong to it.
    pub(crate) fn with(&self, changed: [(&str, Vec<u8>); 2]) -> Self {
        let mut files = self.files.clone();
        for (name, bytes) in changed {
            files.insert(name.to_owned(), bytes);
        }
        let sums: String = files
            .iter()
            .filter(|(name, _)| *name != SUMS)
            .map(|(name, bytes)| format!("{}  {name}\n", hex(&sha256(bytes))))
            .collect();
        files.insert(SUMS.to_owned(), sums.into_bytes());
        Self { files }
    }
}
