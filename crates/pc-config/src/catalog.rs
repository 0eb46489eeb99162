//! `[catalog]`: its values, and how they are written.

use pc_types::HttpsUrl;

use crate::limits;

/// `[catalog]`
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub struct Catalog {
    pub directory: Option<String>,
    pub public_key: Option<String>,
    pub stale_days: u32,
    pub sources: Vec<HttpsUrl>,
    pub update_hours: u32,
    pub ca_file: Option<String>,
    pub private_sources: PrivateSources,
}

/// Whether sources may lie at addresses that the internet does not see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "documented in default.toml")]
pub enum PrivateSources {
    Allow,
    Refuse,
}

impl Default for Catalog {
    fn default() -> Self {
        Self {
            directory: None,
            public_key: None,
            stale_days: limits::CATALOG_STALE_DAYS,
            sources: Vec::new(),
            update_hours: limits::CATALOG_UPDATE_HOURS_DEFAULT,
            ca_file: None,
            private_sources: PrivateSources::Refuse,
        }
    }
}

/// As TOML.
pub(crate) fn to_toml(settings: &Catalog, quoted: fn(&str) -> String) -> String {
    let mut text = "\n[catalog]".to_owned();
    let named = [
        ("directory", &settings.directory),
        ("public_key", &settings.public_key),
        ("ca_file", &settings.ca_file),
    ];
    for (key, value) in named {
        if let Some(value) = value {
            text.push_str(&format!("\n{key} = {}", quoted(value)));
        }
    }
    let sources: Vec<String> = settings.sources.iter().map(|source| quoted(&source.to_string())).collect();
    let private = match settings.private_sources {
        PrivateSources::Allow => "allow",
        PrivateSources::Refuse => "refuse",
    };
    text.push_str(&format!(
        "\nstale_days = {}\nsources = [{}]\nupdate_hours = {}\nprivate_sources = \"{private}\"",
        settings.stale_days,
        sources.join(", "),
        settings.update_hours,
    ));
    text
}
