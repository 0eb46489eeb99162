//! Events of the web edge.

use std::cell::RefCell;
use std::collections::BTreeMap;

use metrics::{Counter, Histogram, counter, histogram};
use pc_types::Escaped;
use tracing::{debug, error, info, warn};

use crate::Event;

impl Event<'_> {
    pub(crate) fn emit_web(self) {
        match self {
            Self::WebBindingSeen { site, host, code, ours, theirs } => {
                counter!("pc_web_channel_bindings_total", "code" => code).increment(1);
                if code == "match" {
                    info!(
                        site,
                        host, code, theirs, "certificate of the server behind is the one that clients see"
                    );
                } else {
                    warn!(
                        site,
                        host,
                        code,
                        ours,
                        theirs,
                        "certificate of the server behind differs from the one that clients see; Windows logins fail under \
                         Extended Protection until both are the same"
                    );
                }
            }
            Self::WebPatchHit { site, rule, action, address, method, path } => {
                let (method, path) = (Escaped::new(method), Escaped::new(path));
                warn!(site, rule, action, %address, %method, %path, "virtual patch");
                counter!("pc_web_patch_hits_total", "action" => action).increment(1);
            }
            Self::WebPatchChange { site, rule, action } => {
                debug!(site, rule, action, "virtual patch of a response");
                counter!("pc_web_patch_hits_total", "action" => action).increment(1);
            }
            Self::WebRuleExpired { rule, expires } => {
                warn!(
                    rule,
                    expires,
                    "virtual patch has expired and only reports: install a newer pack, or set it to block in [site.rules]"
                );
            }
            Self::WebRulePackLoaded { version, published, rules } => {
                info!(version, published, rules, "pack of virtual patches in use");
                counter!("pc_web_rule_packs_total", "outcome" => "taken").increment(1);
            }
            Self::WebRulePackRefused { source, code, error } => {
                error!(source, code, error, "pack of virtual patches refused, the one in use stays");
                counter!("pc_web_rule_packs_total", "outcome" => code).increment(1);
            }
            Self::WebRejected { listener, address, client, code } => {
                info!(listener, %address, client, code, "connection closed");
                counter!("pc_web_rejections_total", "code" => code).increment(1);
            }
            Self::WebRequestEnded(request) => request.emit(),
            Self::WebServerChanged { site, host, directory, code, error } => {
                let error = Escaped::new(error);
                warn!(site, host, directory, code, %error, "protocol of a server behind changed");
                counter!("pc_web_server_changes_total", "directory" => directory, "code" => code)
                    .increment(1);
            }
            // Whoever answers there is not the server that was configured: that is for a human.
            Self::WebServerFailed { site, host, code: code @ "tls", error } => {
                let error = Escaped::new(error);
                error!(site, host, code, %error, "server behind could not prove itself; it gets no requests");
                counter!("pc_web_server_failures_total", "code" => code).increment(1);
            }
            Self::WebServerFailed { site, host, code, error } => {
                warn!(site, host, code, error = %Escaped::new(error), "server behind failed");
                counter!("pc_web_server_failures_total", "code" => code).increment(1);
            }
            _ => {}
        }
    }
}

/// A line of the access log. Empty text stands for what is not known.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields are named for what they hold")]
pub struct WebRequest<'a> {
    pub listener: &'a str,
    pub address: std::net::IpAddr,
    pub local: std::net::SocketAddr,
    pub tls: &'static str,
    /// JA4.
    pub client: &'a str,
    /// `1.0`, `1.1` or `2`.
    pub http: &'static str,
    pub site: &'a str,
    pub host: &'a str,
    pub method: &'a str,
    /// Without its query, which may hold secrets.
    pub path: &'a str,
    pub directory: &'static str,
    /// 0 where the connection was closed without an answer.
    pub status: u16,
    /// `forwarded`, or why it was not.
    pub code: &'static str,
    pub octets_in: u64,
    pub octets_out: u64,
    /// Until the header of the answer.
    pub answered: std::time::Duration,
    pub elapsed: std::time::Duration,
}

impl WebRequest<'_> {
    fn emit(&self) {
        let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        info!(
            listener = self.listener,
            address = %self.address,
            local = %self.local,
            tls = self.tls,
            client = self.client,
            http = self.http,
            site = self.site,
            host = self.host,
            method = %Escaped::new(self.method),
            path = %Escaped::new(self.path),
            directory = self.directory,
            status = self.status,
            code = self.code,
            octets_in = self.octets_in,
            octets_out = self.octets_out,
            answered_ms = millis(self.answered),
            elapsed_ms = millis(self.elapsed),
            "request"
        );
        let class = match self.status {
            0 => "none",
            100..=199 => "1xx",
            200..=299 => "2xx",
            300..=399 => "3xx",
            400..=499 => "4xx",
            _ => "5xx",
        };
        METERS.with_borrow_mut(|meters| {
            meters.octets_in.increment(self.octets_in);
            meters.octets_out.increment(self.octets_out);
            meters.requests((self.directory, class, self.code)).increment(1);
            meters.answers(self.directory).record(self.answered.as_secs_f64());
        });
    }
}

thread_local! {
    /// Of this thread: the registry is asked for each once, and not with each request.
    static METERS: RefCell<Meters> = RefCell::new(Meters {
        octets_in: counter!("pc_web_octets_total", "direction" => "in"),
        octets_out: counter!("pc_web_octets_total", "direction" => "out"),
        requests: BTreeMap::new(),
        answers: BTreeMap::new(),
    });
}

/// The metrics of requests. All labels are words of ours, so that there are not many.
struct Meters {
    octets_in: Counter,
    octets_out: Counter,
    /// By directory, class of status, code.
    requests: BTreeMap<(&'static str, &'static str, &'static str), Counter>,
    /// By directory.
    answers: BTreeMap<&'static str, Histogram>,
}

impl Meters {
    fn requests(&mut self, labels: (&'static str, &'static str, &'static str)) -> &Counter {
        let (directory, class, code) = labels;
        self.requests.entry(labels).or_insert_with(
            || counter!("pc_web_requests_total", "directory" => directory, "class" => class, "code" => code),
        )
    }

    fn answers(&mut self, directory: &'static str) -> &Histogram {
        self.answers
            .entry(directory)
            .or_insert_with(|| histogram!("pc_web_answer_seconds", "directory" => directory))
    }
}

/// Names and help texts of the counters.
pub(crate) const COUNTERS: [(&str, &str); 9] = [
    ("pc_attestations_total", "Attestations offered, by what came of them"),
    ("pc_web_channel_bindings_total", "Certificates of servers behind seen to match ours or not, by code"),
    ("pc_web_octets_total", "Octets of bodies, by direction"),
    ("pc_web_patch_hits_total", "Requests that a virtual patch knows, by action"),
    ("pc_web_rejections_total", "Client connections closed for what was sent on them, by code"),
    ("pc_web_requests_total", "Requests by directory, class of status, and what became of them"),
    ("pc_web_rule_packs_total", "Packs of virtual patches offered, by taken or why they were refused"),
    ("pc_web_server_changes_total", "Changes of the health of protocols behind, by what they became"),
    ("pc_web_server_failures_total", "Failures of servers behind the web edge, by code"),
];
