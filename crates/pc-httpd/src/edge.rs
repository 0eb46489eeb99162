use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
pub use pc_config::PatchMode as PatchPolicy;
use pc_config::{MtaSts, Network};
use pc_http::host::ServedNames;
use pc_http::mta_sts;
use pc_http::patches::{Listed, Pack, Wishes};
use pc_http::policy::{Directory, PathPolicy};
use pc_net::Clock;
use pc_tls::CertificateStore;
use pc_types::{Date, Domain};

use crate::access::Client;
use crate::attestation::{Attestations, TakeAttestation};
use crate::behind::{HostSettings, ListedSite, Site};
use crate::client_page::SeenClients;
use crate::guard::Wire;
use crate::response::Hsts;
use crate::tally::{Tallied, Tally, TallyKind};

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
    pub hsts: Hsts,
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
    /// What single rules do, by their ids.
    pub rules: BTreeMap<String, PatchPolicy>,
    /// HTTP/2 is offered to clients that name the site in TLS.
    pub http2: bool,
    /// Offers of logins by NTLM and Negotiate stay in answers of ActiveSync.
    pub activesync_windows_logins: bool,
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
    #[error("{place} names {id:?}, which is no rule; rules are {known}")]
    UnknownPatch {
        /// The setting.
        place: String,
        /// What was named.
        id: String,
        /// All ids.
        known: String,
    },
}

/// The HTTPS edge of one node, wired by `main`.
pub struct Edge {
    pub(crate) served: ServedNames,
    /// MTA-STS, numbered behind the sites.
    policies: Vec<Arc<str>>,
    pub(crate) sites: Vec<Arc<Site>>,
    pub(crate) rules: ArcSwap<Rules>,
    pub(crate) certificates: CertificateStore,
    pub(crate) clock: Clock,
    pub(crate) seen: SeenClients,
    pub(crate) tally: Tally,
    /// `None` where nobody may attest anything.
    pub(crate) attestations: Option<Attestations>,
}

impl Edge {
    /// An edge that serves nothing yet.
    ///
    /// # Errors
    /// Rules and sites do not fit, or a name has no certificate.
    pub fn new(
        (sites, policies): (Vec<SiteSettings>, &[MtaSts]),
        rules: Rules,
        certificates: CertificateStore,
        (clock, seen, attest): (Clock, SeenClients, Option<TakeAttestation>),
    ) -> Result<Arc<Self>, RulesError> {
        let names = sites.iter().enumerate();
        let names = names
            .flat_map(|(number, site)| site.names.iter().map(move |name| (name.as_str().to_owned(), number)));
        let hosts = policies.iter().zip(sites.len()..).map(|(policy, number)| (policy.host(), number));
        let names: Vec<(String, usize)> = names.chain(hosts).collect();
        let policies = policies.iter().map(|policy| Arc::from(mta_sts::text(policy))).collect();
        certificates
            .require(names.iter().map(|(name, _)| name.clone()))
            .map_err(|error| RulesError::NoCertificate(error.to_string()))?;
        rules.check(sites.iter().map(|site| site.name.as_str()))?;
        let sites = sites.into_iter().map(|site| Arc::new(Site::new(site))).collect();
        let served = ServedNames::new(names);
        let (rules, tally) = (ArcSwap::from_pointee(rules), Tally::default());
        let attestations = attest.map(Attestations::new);
        Ok(Arc::new(Self { served, policies, sites, rules, certificates, clock, seen, tally, attestations }))
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

    /// The MTA-STS policy that a served name is for, by the number of the name.
    pub(crate) fn policy(&self, number: usize) -> Option<Arc<str>> {
        self.policies.get(number.checked_sub(self.sites.len())?).cloned()
    }

    /// The rules in force.
    pub fn rules(&self) -> Arc<Rules> {
        self.rules.load_full()
    }

    /// What was refused since the last call, or would have been.
    pub fn take_tally(&self) -> Vec<Tallied> {
        self.tally.take()
    }

    /// Counts what a client met.
    pub(crate) fn count(&self, client: &Client, site: &Arc<str>, kind: TallyKind, code: &str) {
        if !client.is_own {
            self.tally.count(site, kind, code);
        }
    }

    /// Counts what the guard cut a connection for. Who is merely idle does no wrong.
    pub(crate) fn count_fault(&self, client: &Client, wire: &Wire) {
        let Some(fault) = wire.fault().filter(|fault| !fault.is_idleness()) else { return };
        let name = client.server_name.as_deref().unwrap_or_default();
        let site = self.served.site(name).and_then(|site| self.sites.get(site));
        let site = site.map_or_else(|| Arc::from(""), |site| Arc::clone(&site.name));
        self.count(client, &site, TallyKind::Refused, fault.code());
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
        match self.unknown_rule() {
            Some(unknown) => Err(unknown),
            None => Ok(()),
        }
    }

    /// What a rule does on a site on a day; `None` where there is no such site.
    pub fn mode(&self, site: &str, rule: &Listed<'_>, today: Date) -> Option<PatchPolicy> {
        let site = self.sites.iter().find(|one| one.name == site)?;
        Some(self.wishes(site).mode(rule, today))
    }

    pub(crate) fn wishes<'a>(&'a self, site: &'a SiteRules) -> Wishes<'a> {
        Wishes { all: site.patches, report_only: &self.report_only, rules: &site.rules }
    }

    /// The first setting that names a rule which is not in the pack.
    pub fn unknown_rule(&self) -> Option<RulesError> {
        let ids: Vec<&str> = self.pack.listed().map(|rule| rule.id).collect();
        let global = self.report_only.iter().map(|id| ("patches_report_only".to_owned(), id));
        let named = self
            .sites
            .iter()
            .flat_map(|site| site.rules.keys().map(|id| (format!("[site.rules] of {}", site.name), id)));
        let (place, id) = global.chain(named).find(|(_, id)| !ids.contains(&id.as_str()))?;
        Some(RulesError::UnknownPatch { place, id: id.clone(), known: ids.join(", ") })
    }
}
