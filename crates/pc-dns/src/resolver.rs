use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts, ServerOrderingStrategy,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use pc_types::dns::{Answer, CaaRecord, Kind, Query, Records, TlsaRecord};
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::{timeout, timeout_at};

use crate::Budget;
use crate::cache::Cache;
use crate::limits::{
    CACHE_FOUND_MAX, CACHE_NOT_FOUND_MAX, CACHE_NOT_FOUND_WITHOUT_SOA, QUERIES_MAX, RECORDS_MAX, SERVERS_MAX,
};

/// Who is asked, and how patiently.
#[derive(Clone, Debug)]
pub struct ResolverSettings {
    /// None: those of the system, `/etc/resolv.conf`.
    pub servers: Vec<SocketAddr>,
    /// For one question, all servers and repetitions together.
    pub timeout: Duration,
}

/// Asks the DNS. See the crate's documentation.
pub struct Resolver {
    inner: TokioResolver,
    timeout: Duration,
    cache: Cache,
    /// Questions under way.
    asked: Mutex<HashMap<Query, Arc<OnceCell<Answer>>>>,
    seats: Semaphore,
}

impl Resolver {
    /// A resolver that has not asked anything yet.
    ///
    /// # Errors
    /// One sentence, when it cannot be set up.
    pub fn new(settings: &ResolverSettings) -> Result<Self, String> {
        let servers = if settings.servers.is_empty() { system_servers() } else { settings.servers.clone() };
        let servers = servers.into_iter().take(SERVERS_MAX).map(name_server).collect();
        let config = ResolverConfig::from_name_servers(servers);
        let mut options = ResolverOpts::default();
        // Two tries within the time of the question.
        options.timeout = settings.timeout / 2;
        options.attempts = 2;
        options.edns0 = true;
        // Its own cache knows no octets, and a failure of ours must not be in any.
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        options.num_concurrent_reqs = 1;
        options.server_ordering_strategy = ServerOrderingStrategy::QueryStatistics;
        options.case_randomization = true;
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let inner = builder.with_options(options).build().map_err(|error| error.to_string())?;
        Ok(Self {
            inner,
            timeout: settings.timeout,
            cache: Cache::default(),
            asked: Mutex::default(),
            seats: Semaphore::new(QUERIES_MAX),
        })
    }

    /// Answers one question within `budget`.
    pub async fn ask(&self, budget: &Budget, query: &Query) -> Answer {
        let over = || Answer::Temporary("the time for all questions is over".to_owned());
        if budget.is_over() {
            return over();
        }
        if !budget.spend() {
            return Answer::Temporary("more questions than one message may ask".to_owned());
        }
        if let Some(answer) = self.cache.find(query) {
            return answer;
        }
        timeout_at(budget.deadline(), self.ask_once(query)).await.unwrap_or_else(|_| over())
    }

    /// Joins whoever asks the same. When the one who began gives up, another goes on.
    async fn ask_once(&self, query: &Query) -> Answer {
        let cell = {
            let mut asked = self.asked();
            if asked.len() > QUERIES_MAX {
                // Left by those whose time ran out.
                asked.retain(|_, cell| Arc::strong_count(cell) > 1);
            }
            Arc::clone(asked.entry(query.clone()).or_default())
        };
        let answer = cell.get_or_init(|| self.ask_servers(query)).await.clone();
        let mut asked = self.asked();
        if asked.get(query).is_some_and(|current| Arc::ptr_eq(current, &cell)) {
            asked.remove(query);
        }
        answer
    }

    async fn ask_servers(&self, query: &Query) -> Answer {
        let Some(name) = name(query) else { return Answer::NotFound };
        let kind = match query.kind() {
            Kind::A => RecordType::A,
            Kind::Aaaa => RecordType::AAAA,
            Kind::Caa => RecordType::CAA,
            Kind::Mx => RecordType::MX,
            Kind::Ptr => RecordType::PTR,
            Kind::Tlsa => RecordType::TLSA,
            Kind::Txt => RecordType::TXT,
        };
        let lookup = async {
            let _seat = self.seats.acquire().await;
            self.inner.lookup(name, kind).await
        };
        let (answer, time) = match timeout(self.timeout, lookup).await {
            Err(_) => (Answer::Temporary("no answer in time".to_owned()), Duration::ZERO),
            Ok(Ok(lookup)) => found(query.kind(), &lookup),
            Ok(Err(error)) => failed(&error),
        };
        self.cache.keep(query, &answer, time);
        answer
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<Query, Arc<OnceCell<Answer>>>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn cached(&self) -> usize {
        self.cache.len()
    }
}

/// As the C library does: without a file, or with none in it, the server on this machine.
fn system_servers() -> Vec<SocketAddr> {
    let listed = servers_in(&std::fs::read_to_string(RESOLV_CONF).unwrap_or_default());
    if listed.is_empty() { vec![SocketAddr::from(([127, 0, 0, 1], 53))] } else { listed }
}

/// resolv.conf(5): lines of `nameserver ADDRESS`. An address with a zone (`fe80::1%eth0`) is left out.
pub(crate) fn servers_in(text: &str) -> Vec<SocketAddr> {
    let addresses = text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        words.next().filter(|word| *word == "nameserver")?;
        words.next()?.parse::<IpAddr>().ok()
    });
    addresses.map(|address| SocketAddr::new(address, 53)).collect()
}

const RESOLV_CONF: &str = "/etc/resolv.conf";

fn name_server(address: SocketAddr) -> NameServerConfig {
    let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    for connection in &mut connections {
        connection.port = address.port();
    }
    NameServerConfig::new(address.ip(), true, connections)
}

/// Label by label: what a peer's name holds must not be read as an escape.
fn name(query: &Query) -> Option<Name> {
    let mut name = Name::from_labels(query.name().split('.').map(str::as_bytes)).ok()?;
    name.set_fqdn(true);
    Some(name)
}

fn found(kind: Kind, lookup: &Lookup) -> (Answer, Duration) {
    let data: Vec<&RData> = lookup.answers().iter().map(|record| &record.data).take(RECORDS_MAX).collect();
    let ttl = lookup.answers().iter().map(|record| record.ttl).min().unwrap_or(0);
    let records = match kind {
        Kind::A => Records::A(
            data.iter()
                .filter_map(|data| match data {
                    RData::A(address) => Some(address.0),
                    _ => None,
                })
                .collect(),
        ),
        Kind::Aaaa => Records::Aaaa(
            data.iter()
                .filter_map(|data| match data {
                    RData::AAAA(address) => Some(address.0),
                    _ => None,
                })
                .collect(),
        ),
        Kind::Caa => Records::Caa(
            data.iter()
                .filter_map(|data| match data {
                    RData::CAA(caa) => Some(CaaRecord {
                        is_critical: caa.issuer_critical,
                        tag: caa.tag.clone(),
                        value: caa.value.clone(),
                    }),
                    _ => None,
                })
                .collect(),
        ),
        Kind::Tlsa => Records::Tlsa(
            data.iter()
                .filter_map(|data| match data {
                    RData::TLSA(tlsa) => Some(TlsaRecord {
                        usage: tlsa.cert_usage.into(),
                        selector: tlsa.selector.into(),
                        matching: tlsa.matching.into(),
                        data: tlsa.cert_data.clone(),
                    }),
                    _ => None,
                })
                .collect(),
        ),
        Kind::Mx => {
            let mut list: Vec<(u16, String)> = data
                .iter()
                .filter_map(|data| match data {
                    RData::MX(mx) => Some((mx.preference, text(&mx.exchange))),
                    _ => None,
                })
                .collect();
            list.sort();
            Records::Mx(list.into_iter().map(|(_, name)| name).collect())
        }
        Kind::Ptr => Records::Ptr(
            data.iter()
                .filter_map(|data| match data {
                    RData::PTR(name) => Some(text(&name.0)),
                    _ => None,
                })
                .collect(),
        ),
        Kind::Txt => Records::Txt(
            data.iter()
                .filter_map(|data| match data {
                    RData::TXT(txt) => Some(txt.txt_data.concat()),
                    _ => None,
                })
                .collect(),
        ),
    };
    let time = Duration::from_secs(u64::from(ttl));
    if is_empty(&records) {
        return (Answer::NotFound, time.min(CACHE_NOT_FOUND_MAX));
    }
    (Answer::Found(records), time.min(CACHE_FOUND_MAX))
}

fn is_empty(records: &Records) -> bool {
    match records {
        Records::A(list) => list.is_empty(),
        Records::Aaaa(list) => list.is_empty(),
        Records::Caa(list) => list.is_empty(),
        Records::Tlsa(list) => list.is_empty(),
        Records::Mx(list) | Records::Ptr(list) => list.is_empty(),
        Records::Txt(list) => list.is_empty(),
    }
}

/// A name as text. A dot inside a label is written as an escape, which no name of ours matches.
fn text(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

fn failed(error: &NetError) -> (Answer, Duration) {
    if let NetError::Dns(DnsError::NoRecordsFound(none)) = error
        && matches!(none.response_code, ResponseCode::NoError | ResponseCode::NXDomain)
    {
        // RFC 2308 2.2: name servers without an SOA are a referral, which is no answer from a server that
        // was asked to resolve.
        if none.soa.is_none() && none.ns.is_some() {
            return (Answer::Temporary("the server refers to others".to_owned()), Duration::ZERO);
        }
        let seconds = none.negative_ttl.map(|ttl| Duration::from_secs(u64::from(ttl)));
        let time = seconds.unwrap_or(CACHE_NOT_FOUND_WITHOUT_SOA).min(CACHE_NOT_FOUND_MAX);
        return (Answer::NotFound, time);
    }
    let why = match error {
        NetError::Dns(DnsError::ResponseCode(code)) => format!("the server answers {code}"),
        NetError::Dns(DnsError::NoRecordsFound(none)) => format!("the server answers {}", none.response_code),
        NetError::Timeout => "no answer in time".to_owned(),
        _ => format!("no answer: {error}"),
    };
    (Answer::Temporary(why), Duration::ZERO)
}
