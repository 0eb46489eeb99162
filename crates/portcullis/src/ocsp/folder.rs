use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use pc_tls::limits::OCSP_RESPONSE_OCTETS_MAX;
use pc_types::hex;

/// The last response for each certificate, in a file named for the certificate's SHA-256. Written beside, synced, and renamed.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// In the data folder of the node.
    pub fn in_data(data: &Path) -> Self {
        Self(data.join("ocsp"))
    }

    fn path(&self, leaf_sha256: &[u8; 32]) -> PathBuf {
        self.0.join(format!("{}.{EXTENSION}", hex(leaf_sha256)))
    }

    /// What was kept. A file that cannot be read is as good as none: the responder is asked.
    pub fn read(&self, leaf_sha256: &[u8; 32]) -> Option<Vec<u8>> {
        let file = File::open(self.path(leaf_sha256)).ok()?;
        let bound = u64::try_from(OCSP_RESPONSE_OCTETS_MAX).ok()?.saturating_add(1);
        let mut octets = Vec::new();
        file.take(bound).read_to_end(&mut octets).ok()?;
        Some(octets)
    }

    pub(super) fn write(&self, leaf_sha256: &[u8; 32], octets: &[u8]) -> io::Result<()> {
        let path = self.path(leaf_sha256);
        let beside = path.with_extension("tmp");
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        if beside.exists() {
            fs::remove_file(&beside)?;
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(octets)?;
        file.sync_all()?;
        fs::rename(&beside, &path)?;
        File::open(&self.0)?.sync_all()
    }

    /// Removes the responses of certificates that are in service no more.
    pub(super) fn keep_only<'a>(&self, leaves: impl Iterator<Item = &'a [u8; 32]>) -> io::Result<()> {
        let kept: Vec<PathBuf> = leaves.map(|leaf| self.path(leaf)).collect();
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == EXTENSION) && !kept.contains(&path) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

const EXTENSION: &str = "der";
