//! The line of the access log, written when an exchange ends, whichever way it does.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use hyper::{Method, Uri};
use pc_hello::Offer;
use pc_hello::page::Negotiated;
use pc_telemetry::{Event, WebRequest};
use tokio::time::Instant;

use crate::guard::Wire;

/// Who is connected, and how.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) listener: Arc<str>,
    pub(crate) address: IpAddr,
    pub(crate) local: SocketAddr,
    /// Version; empty for plain text.
    pub(crate) tls: &'static str,
    pub(crate) ja4: String,
    /// What TLS was opened for, in lower case.
    pub(crate) server_name: Option<String>,
    /// What it offered and got; `None` for plain text.
    pub(crate) hello: Option<Box<Hello>>,
    /// The node looks at its own listener: nothing of it is counted or logged.
    pub(crate) is_own: bool,
}

/// What the client test page tells of a client.
#[derive(Debug)]
pub(crate) struct Hello {
    pub(crate) offer: Offer,
    pub(crate) negotiated: Negotiated,
}

/// Octets that passed, and when the last did.
#[derive(Debug)]
pub(crate) struct Activity {
    began: Instant,
    /// Milliseconds since then.
    last: AtomicU64,
    octets_in: AtomicU64,
    octets_out: AtomicU64,
    /// All of the request has gone on.
    is_request_whole: AtomicBool,
    /// The client sent its body too slowly.
    is_slow: AtomicBool,
}

impl Activity {
    pub(crate) fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            began: Instant::now(),
            last: zero(),
            octets_in: zero(),
            octets_out: zero(),
            is_request_whole: AtomicBool::new(false),
            is_slow: AtomicBool::new(false),
        }
    }

    pub(crate) fn request_ended(&self) {
        self.is_request_whole.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_request_whole(&self) -> bool {
        self.is_request_whole.load(Ordering::Relaxed)
    }

    pub(crate) fn was_slow(&self) {
        self.is_slow.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_slow(&self) -> bool {
        self.is_slow.load(Ordering::Relaxed)
    }

    fn touch(&self) {
        self.last
            .store(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Octets of the client's went on.
    pub(crate) fn sent(&self, octets: usize) {
        self.octets_in.fetch_add(octets as u64, Ordering::Relaxed);
        self.touch();
    }

    /// Octets came from behind.
    pub(crate) fn received(&self, octets: usize) {
        self.octets_out.fetch_add(octets as u64, Ordering::Relaxed);
        self.touch();
    }

    /// When the exchange has been silent for so long.
    pub(crate) fn silent_at(&self, limit: Duration) -> Instant {
        self.began + Duration::from_millis(self.last.load(Ordering::Relaxed)) + limit
    }
}

/// The name of no site, and of no server.
static NOBODY: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from(""));

/// One exchange. Dropping it writes the line and frees the connection for the next request.
#[derive(Debug)]
pub(crate) struct Record {
    client: Arc<Client>,
    pub(crate) wire: Arc<Wire>,
    /// Of the request on its connection, from 1.
    pub(crate) number: u64,
    pub(crate) activity: Arc<Activity>,
    /// Version of the request.
    pub(crate) http: &'static str,
    pub(crate) site: Arc<str>,
    pub(crate) host: Arc<str>,
    method: Method,
    uri: Uri,
    pub(crate) directory: &'static str,
    status: u16,
    code: &'static str,
    answered: Option<Duration>,
}

impl Record {
    pub(crate) fn new(client: &Arc<Client>, wire: &Arc<Wire>, method: &Method, uri: &Uri) -> Self {
        Self {
            number: wire.begin(),
            client: Arc::clone(client),
            wire: Arc::clone(wire),
            activity: Arc::new(Activity::new()),
            http: "",
            site: Arc::clone(&NOBODY),
            host: Arc::clone(&NOBODY),
            method: method.clone(),
            uri: uri.clone(),
            directory: "none",
            status: 0,
            code: "cut",
            answered: None,
        }
    }

    /// The header of the answer goes out.
    pub(crate) fn answered(&mut self, status: u16, code: &'static str) {
        (self.status, self.code) = (status, code);
        self.answered = Some(self.activity.began.elapsed());
        self.wire.answer();
    }

    /// There will be no answer.
    pub(crate) fn aborted(&mut self, code: &'static str) {
        (self.status, self.code) = (0, code);
    }

    /// The answer does not come to its end.
    pub(crate) fn broke_off(&mut self, code: &'static str) {
        self.code = code;
    }

    pub(crate) fn method(&self) -> &str {
        self.method.as_str()
    }

    pub(crate) fn path(&self) -> &str {
        self.uri.path()
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.wire.end(self.number);
        if self.client.is_own {
            return;
        }
        let elapsed = self.activity.began.elapsed();
        Event::WebRequestEnded(WebRequest {
            listener: &self.client.listener,
            address: self.client.address,
            local: self.client.local,
            tls: self.client.tls,
            client: &self.client.ja4,
            http: self.http,
            site: &self.site,
            host: &self.host,
            method: self.method(),
            path: self.path(),
            directory: self.directory,
            status: self.status,
            code: self.code,
            octets_in: self.activity.octets_in.load(Ordering::Relaxed),
            octets_out: self.activity.octets_out.load(Ordering::Relaxed),
            answered: self.answered.unwrap_or(elapsed),
            elapsed,
        })
        .emit();
    }
}
