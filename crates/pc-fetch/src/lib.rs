//! # Purpose
//! Fetches a document over https, or posts one, or asks an OCSP responder: bounded, from and to an address that was checked,
//! following no redirect to another host.
//!
//! # Trust
//! The address comes from the configuration, its name's records from the DNS: whoever writes the zone must
//! not make us knock at doors inside (SSRF, DNS rebinding). What is fetched is hostile; who reads it checks.
//!
//! # Standards
//! RFC 9110, RFC 9112 (HTTP/1.1), the one TLS standard; plain http to OCSP responders only (`ocsp`). No
//! compression, no cookies, no cache, no HTTP/2.
//!
//! # Invariants
//! The address that is connected to is the one that was checked; there is no second look-up. Every step has
//! a bound in octets and in time.
//!
//! # See also
//! `pc_types::check_address`, the policy; `pc_types::HttpsUrl`.

mod exchange;
pub mod limits;
mod ocsp;
mod post;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Bytes};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{ACCEPT, CONTENT_ENCODING, ETAG, HOST, IF_NONE_MATCH, LOCATION, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use pc_dns::{Answer, Budget, Kind, Query, Records, Resolver};
use pc_tls::{ClientTls, ConnectError};
use pc_types::{Domain, Escaped, HttpsUrl, Inside, Reach, UrlHost, check_address};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub use post::Answered;

/// Fetches documents.
pub struct Fetcher {
    tls: ClientTls,
    resolver: Resolver,
    reach: Reach,
    exception: Exception,
}

/// Addresses that may be connected to although the internet does not see them.
#[derive(Clone)]
struct Exception {
    /// The setting that names them.
    setting: &'static str,
    holds: Arc<dyn Fn(IpAddr) -> bool + Send + Sync>,
}

/// A document as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its octets.
    pub octets: Vec<u8>,
    /// By which its server knows this state of it.
    pub etag: Option<String>,
}

/// How much one document may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Octets of it.
    pub octets_max: usize,
    /// From the first look-up to its last octet, redirects included.
    pub time_max: Duration,
}

/// Why there is no document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The host's name has no address, or nobody could say.
    #[error("{0} has no address: {1}")]
    Address(String, String),
    /// Every address of the host is one that the internet does not see.
    #[error("{0}: {1}; only {2} allows that")]
    Inside(IpAddr, Inside, &'static str),
    /// No connection, or it broke.
    #[error("the connection failed: {0}")]
    Connection(String),
    /// An encoding that was not asked for.
    #[error("the answer is encoded, which was not asked for")]
    Encoded,
    /// A redirect to another host, to something else than https, or one too many.
    #[error("it redirects to {0}, which is not followed; name that address as the source if it is right")]
    Redirect(String),
    /// Not 200.
    #[error("the server answered {0}")]
    Status(u16),
    /// The TLS standard or the certificate.
    #[error("{0}")]
    Tls(ConnectError),
    /// It was not there in time.
    #[error("it did not come within {} seconds", .0.as_secs())]
    Timeout(Duration),
    /// It is larger than it may be.
    #[error("it is larger than {0} octets")]
    TooLarge(usize),
}

impl FetchError {
    /// Stable word.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Address(..) => "address",
            Self::Connection(_) => "connection",
            Self::Encoded => "encoded",
            Self::Inside(..) => "inside",
            Self::Redirect(_) => "redirect",
            Self::Status(_) => "status",
            Self::Timeout(_) => "timeout",
            Self::Tls(_) => "tls",
            Self::TooLarge(_) => "too_large",
        }
    }
}

impl Fetcher {
    /// One that verifies servers with `tls` and asks `resolver` for their addresses.
    pub fn new(tls: ClientTls, resolver: Resolver, reach: Reach) -> Self {
        let exception = Exception { setting: "[catalog] private_sources", holds: Arc::new(|_| false) };
        Self { tls, resolver, reach, exception }
    }

    /// The same, which also connects to addresses inside that `holds` knows; `setting` is where an operator names them.
    #[must_use]
    pub fn allowing(
        self,
        setting: &'static str,
        holds: impl Fn(IpAddr) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { exception: Exception { setting, holds: Arc::new(holds) }, ..self }
    }

    /// Fetches a document.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn get(&self, url: &HttpsUrl, bounds: Bounds) -> Result<Vec<u8>, FetchError> {
        let document = self.get_if_changed(url, bounds, None).await?;
        // RFC 9110 15.4.5: nobody may say so who was not asked.
        document.map(|document| document.octets).ok_or(FetchError::Status(304))
    }

    /// Fetches a document unless it is the one with `etag`, RFC 9110 13.1.2; `None` where it still is.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn get_if_changed(
        &self,
        url: &HttpsUrl,
        bounds: Bounds,
        etag: Option<&str>,
    ) -> Result<Option<Document>, FetchError> {
        let following = self.follow(url, bounds, etag);
        timeout(bounds.time_max, following).await.unwrap_or(Err(FetchError::Timeout(bounds.time_max)))
    }

    async fn follow(
        &self,
        url: &HttpsUrl,
        bounds: Bounds,
        etag: Option<&str>,
    ) -> Result<Option<Document>, FetchError> {
        let mut at = url.clone();
        for _ in 0..=limits::REDIRECTS_MAX {
            match self.ask(&at, bounds, etag).await? {
                Reply::Document(document) => return Ok(Some(document)),
                Reply::Unchanged if etag.is_some() => return Ok(None),
                Reply::Unchanged => return Err(FetchError::Status(304)),
                Reply::Elsewhere(location) => at = redirected(&at, &location)?,
            }
        }
        Err(FetchError::Redirect(at.to_string()))
    }

    async fn ask(&self, url: &HttpsUrl, bounds: Bounds, etag: Option<&str>) -> Result<Reply, FetchError> {
        let (mut sender, _driving) = self.open(url).await?;
        let mut request = Request::get(url.target.as_str());
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let request = request
            .header(HOST, url.authority())
            .header(USER_AGENT, OWN_NAME)
            .header(ACCEPT, "application/json, application/xml;q=0.9, */*;q=0.1")
            .body(Full::default())
            .map_err(|error| FetchError::Connection(error.to_string()))?;
        let response = sender.send_request(request).await.map_err(broke)?;
        read(response, bounds.octets_max).await
    }

    /// A connection to the host of `url`, which has proven itself. It ends with the second value, whatever comes.
    async fn open(&self, url: &HttpsUrl) -> Result<(SendRequest<Full<Bytes>>, Driving), FetchError> {
        let stream = self.connect((&url.host, url.port)).await?;
        let name = name_of(&url.host);
        let connected =
            self.tls.connect(stream, &name, limits::HANDSHAKE_TIMEOUT).await.map_err(FetchError::Tls)?;
        begin(connected.stream).await
    }

    /// A connection to an address of `host` that was checked.
    async fn connect(&self, (host, port): (&UrlHost, u16)) -> Result<TcpStream, FetchError> {
        let addresses = match host {
            UrlHost::Address(address) => vec![*address],
            UrlHost::Name(name) => self.addresses(name).await?,
        };
        let mut failure = None;
        for address in addresses.into_iter().take(limits::ADDRESSES_MAX) {
            if let Err(inside) = check_address(address, self.reach)
                && !(self.exception.holds)(address)
            {
                failure.get_or_insert(FetchError::Inside(address, inside, self.exception.setting));
                continue;
            }
            let connecting = TcpStream::connect(SocketAddr::new(address, port));
            match timeout(limits::CONNECT_TIMEOUT, connecting).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failure = Some(FetchError::Connection(error.to_string())),
                Err(_) => failure = Some(FetchError::Connection(format!("{address} does not answer"))),
            }
        }
        Err(failure.unwrap_or_else(|| FetchError::Address(name_of(host), "none was found".to_owned())))
    }

    async fn addresses(&self, name: &Domain) -> Result<Vec<IpAddr>, FetchError> {
        let budget = Budget::new(2, limits::LOOKUP_TIMEOUT);
        let mut found = Vec::new();
        let mut why = "the name does not exist, or has none".to_owned();
        for kind in [Kind::Aaaa, Kind::A] {
            let Some(query) = Query::new(name.as_str(), kind) else { continue };
            match self.resolver.ask(&budget, &query).await {
                Answer::Found(Records::A(addresses)) => found.extend(addresses.into_iter().map(IpAddr::V4)),
                Answer::Found(Records::Aaaa(addresses)) => {
                    found.extend(addresses.into_iter().map(IpAddr::V6))
                }
                Answer::Found(_) | Answer::NotFound => {}
                Answer::Temporary(reason) => why = reason,
            }
        }
        if found.is_empty() { Err(FetchError::Address(name.to_string(), why)) } else { Ok(found) }
    }
}

fn name_of(host: &UrlHost) -> String {
    match host {
        UrlHost::Address(address) => address.to_string(),
        UrlHost::Name(name) => name.to_string(),
    }
}

/// HTTP over a connection. It ends with the second value.
async fn begin<S>(stream: S) -> Result<(SendRequest<Full<Bytes>>, Driving), FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(limits::HEAD_OCTETS_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(broke)?;
    Ok((sender, Driving(tokio::spawn(connection))))
}

enum Reply {
    Document(Document),
    Elsewhere(String),
    Unchanged,
}

/// What we call ourselves.
const OWN_NAME: &str = concat!("Portcullis/", env!("CARGO_PKG_VERSION"));

fn broke(error: hyper::Error) -> FetchError {
    FetchError::Connection(error.to_string())
}

struct Driving(tokio::task::JoinHandle<Result<(), hyper::Error>>);

impl Drop for Driving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn read(response: Response<hyper::body::Incoming>, octets_max: usize) -> Result<Reply, FetchError> {
    let status = response.status();
    if status == StatusCode::NOT_MODIFIED {
        return Ok(Reply::Unchanged);
    }
    if status.is_redirection() {
        let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        return Ok(Reply::Elsewhere(location.unwrap_or_default().to_owned()));
    }
    if status != StatusCode::OK {
        return Err(FetchError::Status(status.as_u16()));
    }
    if response.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(FetchError::Encoded);
    }
    if usize::try_from(response.body().size_hint().lower()).map_or(true, |least| least > octets_max) {
        return Err(FetchError::TooLarge(octets_max));
    }
    let etag = response.headers().get(ETAG).and_then(|etag| etag.to_str().ok());
    let etag = etag.filter(|etag| etag.len() <= limits::ETAG_OCTETS_MAX).map(str::to_owned);
    match Limited::new(response.into_body(), octets_max).collect().await {
        Ok(body) => Ok(Reply::Document(Document { octets: body.to_bytes().to_vec(), etag })),
        Err(error) if error.is::<LengthLimitError>() => Err(FetchError::TooLarge(octets_max)),
        Err(error) => Err(FetchError::Connection(error.to_string())),
    }
}

/// Where a redirect leads: to the same host and port only.
fn redirected(from: &HttpsUrl, location: &str) -> Result<HttpsUrl, FetchError> {
    let refused = || {
        FetchError::Redirect(
            Escaped::with_octets_max(location, limits::LOCATION_SHOWN_OCTETS_MAX).to_string(),
        )
    };
    let is_path = location.starts_with('/') && !location.starts_with("//");
    let text = if is_path { format!("https://{}{location}", from.authority()) } else { location.to_owned() };
    let to: HttpsUrl = text.parse().map_err(|_| refused())?;
    let is_same_host = to.host == from.host && to.port == from.port;
    if is_same_host { Ok(to) } else { Err(refused()) }
}

#[cfg(test)]
mod tests {
    use pc_dns::ResolverSettings;
    use pc_testkit::{DnsServer, Feed, FeedServer};

    use super::*;

    #[test]
    fn a_redirect_stays_at_its_host_or_is_not_followed() {
        let from: HttpsUrl = "https://feeds.example.org/a".parse().unwrap();
        for (location, want) in [
            ("/b?c", Some("https://feeds.example.org/b?c")),
            ("https://feeds.example.org/b", Some("https://feeds.example.org/b")),
            ("https://FEEDS.example.org:443/b", Some("https://feeds.example.org/b")),
            ("//evil.example/b", None),
            ("https://evil.example/b", None),
            ("https://feeds.example.org:8443/b", None),
            ("http://feeds.example.org/b", None),
            ("https://127.0.0.1/b", None),
            ("b", None),
            ("", None),
        ] {
            let to = redirected(&from, location).ok().map(|url| url.to_string());
            assert_eq!(to.as_deref(), want, "{location}");
        }
    }

    async fn ask(feed: Feed, bounds: Bounds) -> Result<Vec<u8>, FetchError> {
        let (_server, _dns, fetcher, url) = server(feed).await;
        fetcher.get(&url, bounds).await
    }

    async fn server(feed: Feed) -> (FeedServer, DnsServer, Fetcher, HttpsUrl) {
        let folder = tempfile::tempdir().unwrap();
        let now = pc_net::Clock::System.now();
        let files = pc_tls::self_made(folder.path(), "feeds.example.org", now).unwrap();
        let store = pc_tls::CertificateStore::load(std::slice::from_ref(&files), now).unwrap();
        let server = FeedServer::start(pc_tls::ServerTls::new("feeds", &store).unwrap()).await.unwrap();
        server.publish("/x", feed);
        let dns = DnsServer::start("feeds.example.org A 127.0.0.1\n").await.unwrap();
        let settings = ResolverSettings { servers: vec![dns.address], timeout: Duration::from_secs(5) };
        let tls = ClientTls::new(pc_tls::Roots::CaFile(files.chain), None).unwrap();
        let fetcher = Fetcher::new(tls, Resolver::new(&settings).unwrap(), Reach::Anywhere);
        let url = format!("https://feeds.example.org:{}/x", server.address.port());
        (server, dns, fetcher, url.parse().unwrap())
    }

    #[tokio::test]
    async fn a_document_that_did_not_change_is_not_sent_again() {
        let feed = Feed::Tagged(b"one".to_vec(), "\"1\"".to_owned());
        let (server, _dns, fetcher, url) = server(feed).await;
        let bounds = bounds(1000);
        let first = fetcher.get_if_changed(&url, bounds, None).await.unwrap().unwrap();
        assert_eq!((first.octets.as_slice(), first.etag.as_deref()), (b"one".as_slice(), Some("\"1\"")));
        let etag = first.etag.as_deref();
        assert_eq!(fetcher.get_if_changed(&url, bounds, etag).await, Ok(None));
        server.publish("/x", Feed::Tagged(b"two".to_vec(), "\"2\"".to_owned()));
        let second = fetcher.get_if_changed(&url, bounds, etag).await.unwrap().unwrap();
        assert_eq!(second.octets, b"two");
        server.publish("/x", Feed::Status(304));
        assert_eq!(fetcher.get(&url, bounds).await, Err(FetchError::Status(304)), "it was not asked so");
    }

    fn bounds(octets_max: usize) -> Bounds {
        Bounds { octets_max, time_max: Duration::from_secs(60) }
    }

    #[tokio::test]
    async fn a_document_is_taken_up_to_its_bound_and_not_beyond() {
        let document = || Feed::Document(vec![b'x'; 1000]);
        assert_eq!(ask(document(), bounds(1000)).await.map(|octets| octets.len()), Ok(1000));
        assert_eq!(ask(document(), bounds(999)).await, Err(FetchError::TooLarge(999)), "by its length");
        assert_eq!(ask(Feed::Endless, bounds(999)).await, Err(FetchError::TooLarge(999)), "by what came");
        assert_eq!(ask(Feed::Status(404), bounds(999)).await, Err(FetchError::Status(404)));
    }

    #[tokio::test]
    async fn a_server_that_hangs_is_given_up() {
        let time_max = Duration::from_millis(300);
        let answer = ask(Feed::Hang, Bounds { octets_max: 1000, time_max }).await;
        assert_eq!(answer, Err(FetchError::Timeout(time_max)));
    }
}
