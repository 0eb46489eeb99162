//! # Purpose
//! One request of a client: screened, sent to the server behind, answered.
//!
//! # Trust
//! The request is the client's; its octets have one reading (see `guard`).
//!
//! # Standards
//! RFC 9110 7.6 (forwarding), 10.1.1 (Expect), 15.5.20 (421); RFC 7239 is not used, since IIS knows X-Forwarded-For.
//!
//! # Invariants
//! A failure after the first octet of a request was sent closes the client's connection: whether the server has acted on it
//! nobody knows, and an NTLM handshake would go on elsewhere.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::header::{CONNECTION, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, VIA, WWW_AUTHENTICATE};
use hyper::http::request::Parts;
use hyper::http::uri::PathAndQuery;
use hyper::{Request, Response, Uri, Version};
use pc_config::PatchMode;
use pc_http::fields::{is_from_outside, is_hop_by_hop, via};
use pc_http::http2::{Offers, offers};
use pc_http::pace::idle_timeout;
use pc_http::policy::Directory;
use pc_telemetry::Event;
use tokio::time::Instant;

use crate::access::{Activity, Client, Record};
use crate::answer::{Answer, policy};
use crate::behind::{Driver, Fault, Link};
use crate::body::{BodyPace, Gate, RequestBody, ResponseBody};
use crate::client_page;
use crate::edge::{Edge, Rules};
use crate::guard::{Timer, Wire};
use crate::limits::{EXPECT_PATIENCE, REQUESTS_PER_CONNECTION_MAX};
use crate::links::{Links, NoLink};
use crate::response::{Fitting, ends_connection, fit};
use crate::screen::{Forward, Verdict, screen, version_of};
use crate::tally::TallyKind;

/// There is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unanswered {
    /// The connection is closed without one.
    #[error("closed without an answer")]
    Closed,
    /// HTTP/2: the stream is reset, for the reason that the library finds below.
    #[error("reset without an answer")]
    Reset(#[source] h2::Error),
}

/// A client connection and what is behind it.
pub(crate) struct Conversation {
    pub(crate) edge: Arc<Edge>,
    pub(crate) client: Arc<Client>,
    pub(crate) wire: Arc<Wire>,
    behind: Behind,
    /// From the first request that goes on.
    told: OnceLock<Box<Told>>,
}

/// What servers behind are told of the client with each request.
struct Told {
    /// X-Forwarded-For.
    address: HeaderValue,
    /// X-Forwarded-Port.
    port: HeaderValue,
}

impl Told {
    fn of(client: &Client) -> Self {
        // An address has a text, and it is printable.
        let address = HeaderValue::try_from(client.address.to_string());
        let address = address.unwrap_or(HeaderValue::from_static("unknown"));
        Self { address, port: HeaderValue::from(client.local.port()) }
    }
}

enum Behind {
    /// HTTP/1.
    One(One),
    /// HTTP/2.
    Several(Links),
}

/// The site by number, and the connection to one of its servers.
#[derive(Default)]
struct One {
    link: tokio::sync::Mutex<Option<(usize, Link)>>,
    driver: Mutex<Option<Driver>>,
}

/// The head of an answer from behind, and what belongs to it.
struct Answered {
    parts: hyper::http::response::Parts,
    incoming: Incoming,
    record: Record,
    idle: Duration,
    /// The connection behind ends with it.
    is_last: bool,
}

impl Conversation {
    pub(crate) fn new(edge: Arc<Edge>, client: Arc<Client>, wire: Arc<Wire>) -> Self {
        Self { edge, client, wire, behind: Behind::One(One::default()), told: OnceLock::new() }
    }

    /// The same for HTTP/2.
    pub(crate) fn http2(edge: Arc<Edge>, client: Arc<Client>, wire: Arc<Wire>) -> Self {
        Self { edge, client, wire, behind: Behind::Several(Links::new()), told: OnceLock::new() }
    }

    /// Moves the octets of the connection behind; ready when that has ended.
    pub(crate) fn poll_behind(&self, context: &mut Context<'_>) -> Poll<()> {
        let Behind::One(one) = &self.behind else { return Poll::Pending };
        let mut driver = one.driver.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(running) = driver.as_mut() else { return Poll::Pending };
        let polled = running.as_mut().poll(context);
        if polled.is_ready() {
            *driver = None;
        }
        polled
    }

    /// Answers one request.
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<ResponseBody>, Unanswered> {
        let (parts, body) = request.into_parts();
        let is_http2 = parts.version == Version::HTTP_2;
        let mut record = Record::new(&self.client, &self.wire, &parts.method, &parts.uri);
        record.http = version_of(parts.version).as_str();
        let rules = self.edge.rules.load_full();
        let port = self.client.local.port();
        let asking = (&parts, body.is_end_stream());
        let answered = match screen(&self.edge, &rules, (&self.client, port), asking, &mut record) {
            Verdict::Abort(code) => {
                self.edge.count(&self.client, &record.site, TallyKind::Refused, code);
                record.aborted(code);
                if is_http2 {
                    self.wire.cut();
                }
                Err(Unanswered::Closed)
            }
            Verdict::NeedsHttp1(code) => Err(needs_http1(&mut record, code)),
            Verdict::Answer(answer) => {
                if answer.status >= 400 {
                    self.edge.count(&self.client, &record.site, TallyKind::Refused, answer.code);
                }
                Ok(answer.respond(Some(&rules.hsts), record))
            }
            Verdict::Policy(text) => Ok(policy(&text, &rules.hsts, record)),
            Verdict::Attestation => match &self.edge.attestations {
                Some(attestations) => {
                    let (from, now) = ((self.client.address, body), self.edge.clock.now());
                    Ok(attestations.answer(from, now, &rules.hsts, record).await)
                }
                None => Ok(Answer::new(404, "closed").respond(Some(&rules.hsts), record)),
            },
            Verdict::ClientPage(name) => {
                let accept = parts.headers.get_all(hyper::header::ACCEPT);
                let accept: Vec<&str> = accept.into_iter().filter_map(|value| value.to_str().ok()).collect();
                Ok(client_page::answer(&self.edge, &self.client, (&name, &accept), &rules.hsts, record).await)
            }
            Verdict::Forward(forward) => match &self.behind {
                Behind::One(one) => self.forward(one, *forward, &rules, (parts, body), record).await,
                Behind::Several(links) => {
                    self.forward_stream(links, *forward, &rules, (parts, body), record).await
                }
            },
        };
        if is_http2 { answered.map(|response| self.of_stream(response)) } else { answered }
    }

    /// What closes a connection of HTTP/1 takes no further streams here. A name of another site is no reason: browsers try whether
    /// a connection serves further names (RFC 9113 9.1.2).
    fn of_stream(&self, mut response: Response<ResponseBody>) -> Response<ResponseBody> {
        let closes = response.headers_mut().remove(CONNECTION).is_some();
        let is_misdirected = response.status() == hyper::StatusCode::MISDIRECTED_REQUEST;
        if (closes && !is_misdirected) || self.wire.begun() >= REQUESTS_PER_CONNECTION_MAX {
            self.wire.leave();
        }
        response
    }

    /// Over the one connection behind, which ends with the client's.
    async fn forward(
        &self,
        one: &One,
        forward: Forward,
        rules: &Rules,
        request: (Parts, Incoming),
        mut record: Record,
    ) -> Result<Response<ResponseBody>, Unanswered> {
        let mut slot = one.link.lock().await;
        let link = match &mut *slot {
            // Without SNI a client could name two sites on one connection. Its login is of the first.
            Some((site, _)) if *site != forward.site => {
                return Ok(Answer::closing(421, "other_site").respond(Some(&rules.hsts), record));
            }
            Some((_, link)) => link,
            empty => match self.open(one, &forward).await {
                Ok(link) => &mut empty.insert((forward.site, link)).1,
                Err(answer) => return Ok(answer.respond(Some(&rules.hsts), record)),
            },
        };
        record.host = Arc::clone(&link.host.address);
        if forward.directory == Directory::Rpc {
            self.wire.allow_pauses();
        }
        let answered = match self.exchange(link, &forward, rules, request, record).await {
            Ok(answered) => answered,
            Err((mut record, code)) => {
                record.aborted(code);
                return Err(Unanswered::Closed);
            }
        };
        let Answered { mut parts, incoming, mut record, idle, is_last } = answered;
        if is_last {
            parts.headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        record.answered(parts.status.as_u16(), "forwarded");
        Ok(Response::from_parts(parts, ResponseBody::behind(incoming, idle, record, None)))
    }

    /// Over a connection behind that the stream has to itself. What fails there ends the stream alone.
    async fn forward_stream(
        &self,
        links: &Links,
        forward: Forward,
        rules: &Rules,
        request: (Parts, Incoming),
        mut record: Record,
    ) -> Result<Response<ResponseBody>, Unanswered> {
        let Some(site) = self.edge.sites.get(forward.site) else { return Err(Unanswered::Closed) };
        let mut held = match links.take(site, forward.directory, self.edge.clock.now()).await {
            Ok(held) => held,
            Err(why) => {
                let answer = match why {
                    NoLink::Busy => Answer::new(503, "links_busy"),
                    NoLink::Faults(faults) => refusal(&faults),
                };
                return Ok(answer.respond(Some(&rules.hsts), record));
            }
        };
        record.host = Arc::clone(&held.link.host.address);
        let answered = match self.exchange(&mut held.link, &forward, rules, request, record).await {
            Ok(answered) => answered,
            Err((record, _)) if record.activity.is_slow() => {
                return Ok(Answer::new(408, "slow_body").respond(Some(&rules.hsts), record));
            }
            Err((mut record, code)) => {
                record.aborted(code);
                return Err(Unanswered::Reset(h2::Reason::INTERNAL_ERROR.into()));
            }
        };
        let Answered { mut parts, incoming, mut record, idle, is_last } = answered;
        if !keep_offers(&mut parts) {
            return Err(needs_http1(&mut record, "http1_offers"));
        }
        held.is_last = is_last;
        record.answered(parts.status.as_u16(), "forwarded");
        Ok(Response::from_parts(parts, ResponseBody::behind(incoming, idle, record, Some(held))))
    }

    /// Sends a request over `link`; the head of its answer as the client gets it, or what went wrong.
    async fn exchange(
        &self,
        link: &mut Link,
        forward: &Forward,
        rules: &Rules,
        (parts, body): (Parts, Incoming),
        record: Record,
    ) -> Result<Answered, (Record, &'static str)> {
        let idle = idle_timeout(forward.directory);
        let gate = (forward.expects_continue && !body.is_end_stream()).then(Arc::<Gate>::default);
        let activity = Arc::clone(&record.activity);
        let body = if body.is_end_stream() {
            activity.request_ended();
            RequestBody::Empty
        } else {
            let pace = (parts.version == Version::HTTP_2).then(BodyPace::new);
            RequestBody::Client { incoming: body, gate: gate.clone(), activity: Arc::clone(&activity), pace }
        };
        let mut request = Request::from_parts(self.outgoing(parts, forward, rules), body);
        if let Some(gate) = gate.clone() {
            hyper::ext::on_informational(&mut request, move |response| {
                if response.status() == hyper::StatusCode::CONTINUE {
                    gate.open();
                }
            });
        }
        let response = match send(link, request, &activity, idle, gate.as_deref()).await {
            Ok(response) => response,
            Err(code) => return Err((record, code)),
        };
        let (mut parts, incoming) = response.into_parts();
        // A body that was never asked for may come or not: what follows on the connection has two readings.
        let is_held_back = gate.is_some_and(|gate| !gate.is_open());
        let is_last = is_held_back || ends_connection(&parts);
        let fitting = Fitting {
            asked_for: &forward.name,
            served: &self.edge.served,
            directory: forward.directory,
            fields_kept: &rules.fields_kept,
            changes: &forward.changes,
            hsts: &rules.hsts,
        };
        fit(&mut parts, &fitting);
        let site = rules.sites.get(forward.site);
        if forward.directory == Directory::ActiveSync
            && !site.is_some_and(|site| site.activesync_windows_logins)
        {
            hide_windows_logins(&mut parts);
        }
        self.count_changes(forward, &parts, &record);
        Ok(Answered { parts, incoming, record, idle, is_last })
    }

    /// Pages are many, so that they are counted and not logged one by one.
    fn count_changes(&self, forward: &Forward, parts: &hyper::http::response::Parts, record: &Record) {
        for change in forward.changes.iter().filter(|change| change.concerns(parts)) {
            let (kind, action) = match change.mode {
                PatchMode::Block => (TallyKind::RuleActed, "change"),
                PatchMode::Off | PatchMode::Report => (TallyKind::RuleReported, "report_change"),
            };
            self.edge.count(&self.client, &record.site, kind, &change.rule.id);
            Event::WebPatchChange { site: &record.site, rule: &change.rule.id, action }.emit();
        }
    }

    async fn open(&self, one: &One, forward: &Forward) -> Result<Link, Answer> {
        let unreachable = || Answer::new(503, "behind_unreachable");
        let Some(site) = self.edge.sites.get(forward.site) else { return Err(unreachable()) };
        match site.open(forward.directory, self.edge.clock.now()).await {
            Ok((link, driver)) => {
                *one.driver.lock().unwrap_or_else(PoisonError::into_inner) = Some(driver);
                Ok(link)
            }
            Err(faults) => Err(refusal(&faults)),
        }
    }

    /// The head of the request as the server behind gets it.
    fn outgoing(&self, mut parts: Parts, forward: &Forward, rules: &Rules) -> Parts {
        let Told { address, port } = &**self.told.get_or_init(|| Box::new(Told::of(&self.client)));
        let is_believed =
            rules.forwarded_for_from.iter().any(|network| network.contains(self.client.address));
        let before = if is_believed { forwarded_for(&parts) } else { String::new() };
        let forwarded_for = match before.as_str() {
            "" => address.clone(),
            // It was a value before.
            before => HeaderValue::try_from(format!("{before}{}", self.client.address))
                .unwrap_or_else(|_| address.clone()),
        };
        let gone: Vec<HeaderName> = parts
            .headers
            .keys()
            .filter(|name| is_hop_by_hop(name.as_str(), &forward.named) || is_from_outside(name.as_str()))
            .cloned()
            .collect();
        for name in gone {
            parts.headers.remove(name);
        }
        // A served name is one of a host.
        if let Ok(name) = HeaderValue::from_str(&forward.name) {
            parts.headers.insert(HOST, name);
        }
        parts.headers.insert(VIA, HeaderValue::from_static(via(version_of(parts.version))));
        parts.headers.insert(&X_FORWARDED_FOR, forwarded_for);
        parts.headers.insert(&X_FORWARDED_PROTO, HeaderValue::from_static("https"));
        parts.headers.insert(&X_FORWARDED_PORT, port.clone());
        if parts.version == Version::HTTP_2 {
            join_cookies(&mut parts.headers);
        }
        // An absolute form becomes the origin form; the octets of the path stay as they came.
        let target = parts.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        parts.uri = Uri::from(target);
        parts.version = Version::HTTP_11;
        parts.extensions.remove::<hyper::upgrade::OnUpgrade>();
        parts
    }
}

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");

/// The client asks again in HTTP/1.1.
fn needs_http1(record: &mut Record, code: &'static str) -> Unanswered {
    record.aborted(code);
    Unanswered::Reset(h2::Reason::HTTP_1_1_REQUIRED.into())
}

/// Takes off what cannot work in HTTP/2; whether the answer is good for it.
fn keep_offers(parts: &mut hyper::http::response::Parts) -> bool {
    let values: Vec<HeaderValue> = parts.headers.get_all(WWW_AUTHENTICATE).into_iter().cloned().collect();
    match offers(values.iter().map(HeaderValue::as_bytes)) {
        Offers::Unchanged => true,
        Offers::NeedHttp1 if parts.status == hyper::StatusCode::UNAUTHORIZED => false,
        Offers::NeedHttp1 => {
            parts.headers.remove(WWW_AUTHENTICATE);
            true
        }
        Offers::Only(places) => {
            keep_only(parts, &values, places);
            true
        }
    }
}

/// A phone that can do without hears nothing of them: with a challenge comes the domain and the host.
fn hide_windows_logins(parts: &mut hyper::http::response::Parts) {
    let values: Vec<HeaderValue> = parts.headers.get_all(WWW_AUTHENTICATE).into_iter().cloned().collect();
    if let Offers::Only(places) = offers(values.iter().map(HeaderValue::as_bytes)) {
        keep_only(parts, &values, places);
    }
}

fn keep_only(parts: &mut hyper::http::response::Parts, values: &[HeaderValue], places: Vec<usize>) {
    parts.headers.remove(WWW_AUTHENTICATE);
    for value in places.into_iter().filter_map(|place| values.get(place)) {
        parts.headers.append(WWW_AUTHENTICATE, value.clone());
    }
}

/// RFC 9113 8.2.3: the crumbs of Cookie are one field in HTTP/1.1.
fn join_cookies(headers: &mut HeaderMap) {
    let crumbs: Vec<&[u8]> = headers.get_all(COOKIE).into_iter().map(HeaderValue::as_bytes).collect();
    if crumbs.len() > 1
        && let Ok(whole) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]))
    {
        headers.insert(COOKIE, whole);
    }
}

/// Sends a request; with the code of what went wrong.
async fn send(
    link: &mut Link,
    request: Request<RequestBody>,
    activity: &Activity,
    idle: Duration,
    gate: Option<&Gate>,
) -> Result<Response<Incoming>, &'static str> {
    let Link { sender, silence, .. } = link;
    let asked = async {
        sender.ready().await?;
        sender.send_request(request).await
    };
    match within(asked, activity, (idle, silence), gate).await {
        // Nobody asked for another protocol.
        Some(Ok(response)) if response.status().is_informational() => Err("behind_upgraded"),
        Some(Ok(response)) => Ok(response),
        Some(Err(_)) => Err("behind_broke_off"),
        None => Err("behind_silent"),
    }
}

/// What trusted proxies said of those before them, with a comma behind.
fn forwarded_for(parts: &Parts) -> String {
    let values = parts.headers.get_all("x-forwarded-for").into_iter();
    values.filter_map(|value| value.to_str().ok()).map(|value| format!("{value}, ")).collect()
}

/// A server that cannot prove itself is a matter for the operator; one that is away may come back.
fn refusal(faults: &[Fault]) -> Answer {
    if !faults.is_empty() && faults.iter().all(|fault| fault.code == "tls") {
        Answer::new(502, "behind_unproven")
    } else {
        Answer::new(503, "behind_unreachable")
    }
}

/// Waits for an answer as long as either side sends something. A body that is held back is let go when the server says
/// nothing about it.
async fn within<T>(
    asked: impl Future<Output = T>,
    activity: &Activity,
    (idle, silence): (Duration, &mut Timer),
    gate: Option<&Gate>,
) -> Option<T> {
    let mut asked = pin!(asked);
    let (mut patience, patience_ends) = (Timer::default(), Instant::now() + EXPECT_PATIENCE);
    poll_fn(|context| {
        if let Poll::Ready(answered) = asked.as_mut().poll(context) {
            return Poll::Ready(Some(answered));
        }
        if let Some(gate) = gate
            && !gate.is_open()
            && patience.poll_at(patience_ends, context).is_ready()
        {
            gate.open();
        }
        silence.poll_at(activity.silent_at(idle), context).map(|()| None)
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_exchange_in_which_nothing_happens_ends_and_activity_on_either_side_prolongs_it() {
        let began = Instant::now();
        let activity = Activity::new();
        let idle = Duration::from_secs(300);
        assert_eq!(within(pending::<()>(), &activity, (idle, &mut Timer::default()), None).await, None);
        assert_eq!(began.elapsed().as_secs(), 300);
        let activity = Activity::new();
        let uploading = async {
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_secs(200)).await;
                activity.sent(1);
            }
        };
        assert_eq!(within(uploading, &activity, (idle, &mut Timer::default()), None).await, Some(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_held_back_is_let_go_when_the_server_is_silent_about_it() {
        let (began, activity, gate) = (Instant::now(), Activity::new(), Gate::default());
        let opened = poll_fn(|context| gate.poll_open(context));
        let idle = Duration::from_secs(300);
        assert_eq!(within(opened, &activity, (idle, &mut Timer::default()), Some(&gate)).await, Some(()));
        assert_eq!(began.elapsed(), EXPECT_PATIENCE);
    }

    #[test]
    fn only_servers_that_cannot_prove_themselves_are_502() {
        let fault = |code| Fault { code, detail: String::new() };
        assert_eq!(refusal(&[fault("tls"), fault("tls")]).status, 502);
        assert_eq!(refusal(&[fault("tls"), fault("connect")]).status, 503);
        assert_eq!(refusal(&[]).status, 503);
    }
}

#[cfg(test)]
mod long_lived;
