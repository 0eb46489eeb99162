use pc_exchange::{Catalogue, Release};
use pc_types::Build;

use super::{Context, catalogue};
use crate::cli::Catalog;
use crate::exit::{BAD, Failure};
use crate::output::{print, print_json, table};

pub fn run(context: &Context, arguments: &Catalog) -> Result<u8, Failure> {
    let catalogue = catalogue(&context.load()?)?;
    match arguments {
        Catalog::Check => {
            let releases = catalogue.releases().count();
            if context.json {
                print_json(&serde_json::json!({
                    "valid": true,
                    "as_of": catalogue.as_of().to_string(),
                    "digest": catalogue.digest(),
                    "builds": releases,
                    "cves": catalogue.cves_len(),
                }));
            } else {
                print(&format!(
                    "catalogue of {}: {releases} builds, {} CVEs and advisories, checksums right\ndigest {}",
                    catalogue.as_of(),
                    catalogue.cves_len(),
                    catalogue.digest()
                ));
            }
            Ok(0)
        }
        Catalog::Show { build: None } => {
            show(context, catalogue.releases());
            Ok(0)
        }
        Catalog::Show { build: Some(text) } => one(context, &catalogue, text),
    }
}

fn one(context: &Context, catalogue: &Catalogue, text: &str) -> Result<u8, Failure> {
    let build: Build = text.parse().map_err(|error| Failure::usage(format!("{text:?}: {error}")))?;
    match catalogue.release(build) {
        Some(release) => {
            show(context, std::iter::once(release));
            Ok(0)
        }
        None => {
            print(&format!(
                "{build} is no release of the catalogue of {}; `portcullis judge {build}` says what it lies between",
                catalogue.as_of()
            ));
            Ok(BAD)
        }
    }
}

fn show<'a>(context: &Context, releases: impl Iterator<Item = &'a Release>) {
    if context.json {
        let list: Vec<serde_json::Value> = releases
            .map(|release| {
                serde_json::json!({
                    "product": release.product,
                    "update": release.update_level,
                    "build": release.build.to_string(),
                    "released": release.released.to_string(),
                    "kb": release.kb,
                    "security": release.security,
                })
            })
            .collect();
        print_json(&list.into());
        return;
    }
    let rows: Vec<Vec<String>> = releases
        .map(|release| {
            vec![
                release.product.clone(),
                release.update_level.clone(),
                release.build.to_string(),
                release.released.to_string(),
                release.kb.clone().unwrap_or_default(),
                if release.security { "security" } else { "" }.to_owned(),
            ]
        })
        .collect();
    print(&table(&["PRODUCT", "UPDATE", "BUILD", "RELEASED", "KB", ""], &rows));
}
