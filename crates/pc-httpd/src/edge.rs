use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use pc_config::Network;
pub use pc_config::PatchMode as PatchPolicy;
use pc_http::disclosure::StrictTransportSecurity;
use pc_http::host::ServedNames;
use pc_http::patches::Pack;
use pc_http::policy::{Directory, PathPolicy};
use pc_net::Clock;
use pc_tls::CertificateStore;
use pc_types::Domain;

use crate::attestation::{Attestations, TakeAttestation};
use crate::behind::{HostSettings, ListedSite, Site};
use crate::client_page::SeenClients;

/// A site, fixed until a restart.
pub struct SiteSettings {
    /// For logs and the API.
    pub name: String,
    /// Host names that it answers to.
    pub names: Vec<Domain>,
    /// The servers behind.
    pub hosts: Vec<HostSettings>,
    /// For connecting to one of them.
    pub connect_timeout: Duration,
    /// How often each of them is looked at.
    pub health_check: Duration,
}

/// What can be swapped at reload.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Said on every answer by TLS.
    pub hsts: StrictTransportSecurity,
    /// Fields of responses that are let through although they tell of servers; in lower case.
    pub fields_kept: Vec<String>,
    /// Proxies whose X-Forwarded-For is carried on.
    pub forwarded_for_from: Vec<Network>,
    /// Virtual patches.
    pub pack: Pack,
    /// Ids of those that only report.
    pub report_only: Vec<String>,
    /// In the order of the sites.
    pub sites: Vec<SiteRules>,
}

/// The same for one site.
#[derive(Clone, Debug)]
pub struct SiteRules {
    /// Of the site, so that rules never come to another one.
    pub name: String,
    /// What is open.
    pub policy: PathPolicy,
    /// What virtual patches do.
    pub patches: PatchPolicy,
    /// HTTP/2 is offered to clients that name the site in TLS.
    pub http2: bool,
}

/// Why the edge cannot be set up, or new rules are not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// A client that asks for the name would be shown a certificate for another one.
    #[error("[tls]: {0}")]
    NoCertificate(String),
    /// Sites came, went, or changed places.
    #[error("the sites are others or stand in another order; that needs a restart")]
    OtherSites,
    /// There is no rule with this id.
    #[error("patches_report_only names {id:?}, which is no rule; rules are {known}")]
    UnknownPatch {
        /// What was named.
        id: String,
        /// All ids.
        known: String,
    },
}

/// The HTTPS edge of one node, wired by `main`.
pub struct Edge {
    pub(crate) served: ServedNames,
    pub(crate) sites: Vec<Arc<Site>>,
    pub(crate) rules: ArcSwap<Rules>,
    pub(crate) certificates: CertificateStore,
    pub(crate) clock: Clock,
    pub(crate) seen: SeenClients,
    /// `None` where nobody may attest anything.
    pub(crate) attestations: Option<Attestations>,
}

impl Edge {
    /// An edge that serves nothing yet.
    ///
    /// # Errors
    /// Rules and sites do not fit, or a name has no certificate.
    pub fn new(
        sites: Vec<SiteSettings>,
        rules: Rules,
        certificates: CertificateStore,
        (clock, seen, attest): (Clock, SeenClients, Option<TakeAttestation>),
    ) -> Result<Arc<Self>, RulesError> {
        let names = sites.iter().enumerate();
        let names: Vec<(String, usize)> = names
            .flat_map(|(number, site)| site.names.iter().map(move |name| (name.as_str().to_owned(), number)))
            .collect();
        certificates
            .require(names.iter().map(|(name, _)| name.clone()))
            .map_err(|error| RulesError::NoCertificate(error.to_string()))?;
        rules.check(sites.iter().map(|site| site.name.as_str()))?;
        let sites = sites.into_iter().map(|site| Arc::new(Site::new(site))).collect();
        let served = ServedNames::new(names);
        let (rules, attestations) = (ArcSwap::from_pointee(rules), attest.map(Attestations::new));
        Ok(Arc::new(Self { served, sites, rules, certificates, clock, seen, attestations }))
    }

    /// Swaps the rules for requests that begin from here on.
    ///
    /// # Errors
    /// They do not fit; the old ones stay.
    pub fn reload(&self, rules: Rules) -> Result<(), RulesError> {
        rules.check(self.sites.iter().map(|site| &*site.name))?;
        self.rules.store(Arc::new(rules));
        Ok(())
    }

    /// What is known of the servers behind.
    pub fn listed(&self) -> Vec<ListedSite> {
        self.sites.iter().map(|site| site.listed()).collect()
    }

    /// SHA-256 of the leaves that clients of a site may be shown.
    pub(crate) fn leaves_of(&self, site: &Site) -> Vec<[u8; 32]> {
        self.certificates.leaves_for(site.names.iter().map(Domain::as_str))
    }

    /// Whether clients that name a server in TLS are offered HTTP/2.
    pub(crate) fn speaks_http2(&self, server_name: &str) -> bool {
        let site = self.served.site(server_name);
        let rules = self.rules.load();
        site.and_then(|site| rules.sites.get(site)).is_some_and(|rules| rules.http2)
    }

    /// The directories whose health matters on a site: all that are open to somebody.
    pub(crate) fn directories_of(&self, number: usize) -> Vec<Directory> {
        let rules = self.rules.load();
        let Some(SiteRules { policy, .. }) = rules.sites.get(number) else { return Vec::new() };
        let exceptions = policy.exceptions.iter().map(|(directory, _)| *directory);
        // Remote PowerShell has no health check without a login.
        let all = policy.open.iter().copied().chain(exceptions);
        let mut directories: Vec<Directory> = all.filter(|one| *one != Directory::PowerShell).collect();
        directories.sort_unstable();
        directories.dedup();
        directories
    }
}

impl Rules {
    fn check<'a>(&self, sites: impl Iterator<Item = &'a str>) -> Result<(), RulesError> {
        if !self.sites.iter().map(|site| site.name.as_str()).eq(sites) {
            return Err(RulesError::OtherSites);
        }
        let requests = self.pack.rule.iter().map(|rule| rule.id.as_str());
        let ids: Vec<&str> = requests.chain(self.pack.response.iter().map(|rule| rule.id.as_str())).collect();
        match self.report_only.iter().find(|id| !ids.contains(&id.as_str())) {
            Some(id) => Err(RulesError::UnknownPatch { id: id.clone(), known: ids.join(", ") }),
            None => Ok(()),
        }
    }
}
