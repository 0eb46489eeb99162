//! What holds whatever a source sends: driven by the fuzz target `feed`, and by the tests over the fixtures.

use std::sync::LazyLock;

use pc_exchange::Catalogue;
use pc_types::{Date, Timestamp};

use crate::{FileSet, is_bundle, merge, open_bundle, read};

static SHIPPED: LazyLock<(FileSet, Catalogue)> = LazyLock::new(|| {
    let files = FileSet::embedded();
    let catalogue = files.load().expect("the tests of pc-exchange load it");
    (files, catalogue)
});

/// A key that signs nothing here.
const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

/// Reads a document and takes it in.
///
/// # Panics
/// When something does not hold.
pub fn document(octets: &[u8]) {
    if is_bundle(octets) {
        let text = String::from_utf8_lossy(octets);
        assert!(open_bundle(octets, &text, KEY).is_err(), "a bundle is taken without its signature");
    }
    let Ok(feed) = read(octets) else { return };
    let (files, before) = &*SHIPPED;
    // After every date of the feeds that are kept here.
    let now: Timestamp = pc_types::time::start_of(Date::constant(2027, 1, 1));
    let Ok(merged) = merge(files, &feed, now) else { return };
    let after = merged.files.load().expect("what was merged can be loaded");
    assert!(after.as_of() >= before.as_of(), "the catalogue became older");
    assert!(after.releases_len() >= before.releases_len(), "a build is gone");
    assert!(after.cves_len() >= before.cves_len(), "a vulnerability is gone");
    // What is told beside the changes are dates and notes, which judge nobody.
    let counts = |catalogue: &Catalogue| (catalogue.releases_len(), catalogue.cves_len());
    assert!(!merged.changes.is_empty() || counts(&after) == counts(before), "something came without a word");
}
