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

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::header::{CONNECTION, HOST, HeaderName, HeaderValue, VIA};
use hyper::http::request::Parts;
use hyper::http::uri::PathAndQuery;
use hyper::{Request, Response, Uri, Version};
use pc_http::fields::{PSEUDONYM, is_from_outside, is_hop_by_hop};
use pc_http::pace::idle_timeout;
use pc_http::policy::Directory;
use tokio::time::{Instant, sleep_until};

use crate::access::{Activity, Client, Record};
use crate::answer::Answer;
use crate::behind::{Driver, Fault, Link};
use crate::body::{Gate, RequestBody, ResponseBody};
use crate::client_page;
use crate::edge::{Edge, Rules};
use crate::guard::Wire;
use crate::limits::EXPECT_PATIENCE;
use crate::response::{Fitting, ends_connection, fit};
use crate::screen::{Forward, Verdict, screen};

/// The connection is closed without an answer.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("closed without an answer")]
pub(crate) struct Aborted;

/// A client connection and the one behind it.
pub(crate) struct Conversation {
    pub(crate) edge: Arc<Edge>,
    pub(crate) client: Arc<Client>,
    pub(crate) wire: Arc<Wire>,
    /// The site by number, and the connection to one of its servers.
    link: tokio::sync::Mutex<Option<(usize, Link)>>,
    driver: Mutex<Option<Driver>>,
}

impl Conversation {
    pub(crate) fn new(edge: Arc<Edge>, client: Arc<Client>, wire: Arc<Wire>) -> Self {
        Self { edge, client, wire, link: tokio::sync::Mutex::new(None), driver: Mutex::new(None) }
    }

    /// Moves the octets of the connection behind; ready when that has ended.
    pub(crate) fn poll_behind(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(running) = driver.as_mut() else { return Poll::Pending };
        let polled = running.as_mut().poll(context);
        if polled.is_ready() {
            *driver = None;
        }
        polled
    }

    /// Answers one request.
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Result<Response<ResponseBody>, Aborted> {
        let (parts, body) = request.into_parts();
        let mut record = Record::new(&self.client, &self.wire, parts.method.as_str(), parts.uri.path());
        let rules = self.edge.rules.load_full();
        let port = self.client.local.port();
        match screen(&self.edge, &rules, (&self.client, port), &parts, &mut record) {
            Verdict::Abort(code) => {
                record.aborted(code);
                Err(Aborted)
            }
            Verdict::Answer(answer) => Ok(answer.respond(Some(&rules.hsts), record)),
            Verdict::ClientPage(name) => {
                let accept = parts.headers.get_all(hyper::header::ACCEPT);
                let accept: Vec<&str> = accept.into_iter().filter_map(|value| value.to_str().ok()).collect();
                Ok(client_page::answer(&self.edge, &self.client, (&name, &accept), &rules.hsts, record).await)
            }
            Verdict::Forward(forward) => self.forward(*forward, &rules, parts, body, record).await,
        }
    }

    async fn forward(
        &self,
        forward: Forward,
        rules: &Rules,
        parts: Parts,
        body: Incoming,
        mut record: Record,
    ) -> Result<Response<ResponseBody>, Aborted> {
        let mut slot = self.link.lock().await;
        let link = match &mut *slot {
            // Without SNI a client could name two sites on one connection. Its login is of the first.
            Some((site, _)) if *site != forward.site => {
                return Ok(Answer::closing(421, "other_site").respond(Some(&rules.hsts), record));
            }
            Some((_, link)) => link,
            empty => match self.open(&forward).await {
                Ok(link) => &mut empty.insert((forward.site, link)).1,
                Err(answer) => return Ok(answer.respond(Some(&rules.hsts), record)),
            },
        };
        record.host = Arc::clone(&link.host.address);
        if forward.directory == Directory::Rpc {
            self.wire.allow_pauses();
        }
        let idle = idle_timeout(forward.directory);
        let gate = (forward.expects_continue && !body.is_end_stream()).then(Arc::<Gate>::default);
        let body = if body.is_end_stream() {
            RequestBody::Empty
        } else {
            RequestBody::Client { incoming: body, gate: gate.clone(), activity: Arc::clone(&record.activity) }
        };
        let mut request = Request::from_parts(self.outgoing(parts, &forward, rules), body);
        if let Some(gate) = gate.clone() {
            hyper::ext::on_informational(&mut request, move |response| {
                if response.status() == hyper::StatusCode::CONTINUE {
                    gate.open();
                }
            });
        }
        let activity = Arc::clone(&record.activity);
        let response = match send(link, request, &activity, idle, gate.as_deref()).await {
            Ok(response) => response,
            Err(code) => {
                record.aborted(code);
                return Err(Aborted);
            }
        };
        let (mut parts, incoming) = response.into_parts();
        // A body that was never asked for may come or not: what follows on the connection has two readings.
        let is_held_back = gate.is_some_and(|gate| !gate.is_open());
        let closes = is_held_back || ends_connection(&parts);
        let fitting = Fitting {
            asked_for: &forward.name,
            served: &self.edge.served,
            directory: forward.directory,
            fields_kept: &rules.fields_kept,
            changes: &forward.changes,
            hsts: &rules.hsts,
        };
        fit(&mut parts, &fitting);
        if closes {
            parts.headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        record.answered(parts.status.as_u16(), "forwarded");
        Ok(Response::from_parts(parts, ResponseBody::behind(incoming, idle, record)))
    }

    async fn open(&self, forward: &Forward) -> Result<Link, Answer> {
        let unreachable = || Answer::new(503, "behind_unreachable");
        let Some(site) = self.edge.sites.get(forward.site) else { return Err(unreachable()) };
        match site.open(forward.directory, self.edge.clock.now()).await {
            Ok((link, driver)) => {
                *self.driver.lock().unwrap_or_else(PoisonError::into_inner) = Some(driver);
                Ok(link)
            }
            Err(faults) => Err(refusal(&faults)),
        }
    }

    /// The head of the request as the server behind gets it.
    fn outgoing(&self, mut parts: Parts, forward: &Forward, rules: &Rules) -> Parts {
        let received = if parts.version == Version::HTTP_10 { "1.0" } else { "1.1" };
        let is_believed =
            rules.forwarded_for_from.iter().any(|network| network.contains(self.client.address));
        let before = if is_believed { forwarded_for(&parts) } else { String::new() };
        let gone: Vec<HeaderName> = parts
            .headers
            .keys()
            .filter(|name| is_hop_by_hop(name.as_str(), &forward.named) || is_from_outside(name.as_str()))
            .cloned()
            .collect();
        for name in gone {
            parts.headers.remove(name);
        }
        let port = self.client.local.port();
        for (name, value) in [
            (HOST, forward.name.clone()),
            (VIA, format!("{received} {PSEUDONYM}")),
            (HeaderName::from_static("x-forwarded-for"), format!("{before}{}", self.client.address)),
            (HeaderName::from_static("x-forwarded-proto"), "https".to_owned()),
            (HeaderName::from_static("x-forwarded-port"), port.to_string()),
        ] {
            if let Ok(value) = HeaderValue::try_from(value) {
                parts.headers.insert(name, value);
            }
        }
        // An absolute form becomes the origin form; the octets of the path stay as they came.
        let target = parts.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        parts.uri = Uri::from(target);
        parts.version = Version::HTTP_11;
        parts.extensions.remove::<hyper::upgrade::OnUpgrade>();
        parts
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
    let asked = async {
        link.sender.ready().await?;
        link.sender.send_request(request).await
    };
    match within(asked, activity, idle, gate).await {
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
    idle: Duration,
    gate: Option<&Gate>,
) -> Option<T> {
    let mut asked = pin!(asked);
    let patience_ends = Instant::now() + EXPECT_PATIENCE;
    loop {
        let silent_at = activity.silent_at(idle);
        tokio::select! {
            answered = &mut asked => return Some(answered),
            () = sleep_until(patience_ends), if gate.is_some_and(|gate| !gate.is_open()) => {
                if let Some(gate) = gate {
                    gate.open();
                }
            }
            () = sleep_until(silent_at) => {
                if activity.silent_at(idle) <= Instant::now() {
                    return None;
                }
            }
        }
    }
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
        assert_eq!(within(pending::<()>(), &activity, idle, None).await, None);
        assert_eq!(began.elapsed().as_secs(), 300);
        let activity = Activity::new();
        let uploading = async {
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_secs(200)).await;
                activity.sent(1);
            }
        };
        assert_eq!(within(uploading, &activity, idle, None).await, Some(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_held_back_is_let_go_when_the_server_is_silent_about_it() {
        let (began, activity, gate) = (Instant::now(), Activity::new(), Gate::default());
        let opened = std::future::poll_fn(|context| gate.poll_open(context));
        let idle = Duration::from_secs(300);
        assert_eq!(within(opened, &activity, idle, Some(&gate)).await, Some(()));
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
