//! Certificates by ACME, from the configuration.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pc_acme::{Folder, Obtainer, Proofs, Settings};
use pc_config::{Acme, Config};
use pc_fetch::Fetcher;
use pc_net::Clock;
use pc_renewal::{Asked, Held};
use pc_tls::{CertificateError, CertificateFiles, CertificateStore, CertificateSummary, ClientTls, Roots};
use pc_types::{Reach, Timestamp};

use crate::exit::{Failure, chain};
use crate::node;

/// What serves beside the operator's own files: the issued certificate, and a self-made one for what it leaves out.
/// Nothing where no ACME is configured.
pub fn managed(config: &Config, now: Timestamp) -> Result<Vec<CertificateFiles>, CertificateError> {
    match &config.tls.acme {
        Some(acme) => folder(config).serve(&asked(acme), now),
        None => Ok(Vec::new()),
    }
}

/// What obtains certificates; nothing where no ACME is configured.
pub fn obtainer(
    config: &Config,
    (certificates, proofs, clock): (&CertificateStore, &Proofs, &Clock),
) -> Result<Option<Arc<Obtainer>>, Failure> {
    let Some(acme) = &config.tls.acme else { return Ok(None) };
    let roots = acme.ca_file.as_ref().map_or(Roots::WebPki, |path| Roots::Both(PathBuf::from(path)));
    let tls = ClientTls::new(roots, None)
        .map_err(|error| Failure::configuration(format!("[tls.acme] ca_file: {}", chain(&error))))?;
    let networks = acme.allow_networks.clone();
    let is_allowed = move |address| networks.iter().any(|network| network.contains(address));
    let fetcher = Fetcher::new(tls, node::resolver(config)?, Reach::Internet)
        .allowing("[tls.acme] allow_networks", is_allowed);
    let shared = (certificates, proofs, clock);
    Ok(Some(Obtainer::new(settings(acme), folder(config), fetcher, shared)))
}

/// Where its files lie.
pub fn folder(config: &Config) -> Folder {
    Folder::in_data(Path::new(&config.node.data))
}

/// What is asked of which authority.
pub fn settings(acme: &Acme) -> Settings {
    Settings {
        directory: acme.directory.clone(),
        contact: acme.contact.clone(),
        asked: asked(acme),
        challenge: acme.challenge,
        external_account: acme.eab.as_ref().map(|eab| (eab.key_id.clone(), PathBuf::from(&eab.key_file))),
    }
}

fn asked(acme: &Acme) -> Asked {
    Asked { names: acme.names.clone(), renew_days: acme.renew_days }
}

/// Whether a certificate was issued by ACME.
pub fn is_managed(config: &Config, certificate: &CertificateSummary) -> bool {
    config.tls.acme.is_some() && folder(config).is_issued(&certificate.chain)
}

/// Whether one of those in service was.
pub fn is_served(config: &Config, certificates: &CertificateStore) -> bool {
    certificates.certificates().iter().any(|certificate| is_managed(config, certificate))
}

/// Whether a certificate was issued by ACME and its renewal is not late: then nobody is to be told of its end.
pub fn is_in_time(config: &Config, certificate: &CertificateSummary, now: Timestamp) -> bool {
    let Some(acme) = config.tls.acme.as_ref().filter(|_| is_managed(config, certificate)) else {
        return false;
    };
    let (not_before, not_after) = (certificate.not_before, certificate.not_after);
    let held = Held { names: certificate.names.clone(), not_before, not_after };
    !pc_renewal::is_overdue(&asked(acme), &held, now)
}
