//! The client test page: what `pc_hello` tells of the asking client, and of others seen at its address.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use hyper::Response;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use pc_hello::page::{self, Other, Page};
use pc_types::Timestamp;

use crate::access::{Client, Record};
use crate::answer::Answer;
use crate::body::ResponseBody;
use crate::edge::Edge;
use crate::limits::{SEEN_CLIENTS_HOURS, SEEN_CLIENTS_MAX};
use crate::response::Hsts;

/// An answer to [`SeenClients::ask`].
pub type Asking = Pin<Box<dyn Future<Output = Vec<Other>> + Send>>;

/// What is known of clients that were refused, or came to a test port.
#[derive(Clone)]
pub struct SeenClients {
    /// Those of an address since a moment, newest first, so many at most.
    pub ask: Arc<dyn Fn(IpAddr, Timestamp, usize) -> Asking + Send + Sync>,
    /// The test ports.
    pub ports: Vec<u16>,
}

/// Answers with HTML or JSON, by Accept.
pub(crate) async fn answer(
    edge: &Edge,
    client: &Client,
    (name, accept): (&str, &[&str]),
    hsts: &Hsts,
    mut record: Record,
) -> Response<ResponseBody> {
    let Some(hello) = &client.hello else { return Answer::new(404, "closed").respond(Some(hsts), record) };
    let now = edge.clock.now();
    let since = pc_types::time::add_hours(now, -SEEN_CLIENTS_HOURS);
    let others = (edge.seen.ask)(client.address, since, SEEN_CLIENTS_MAX).await;
    let page = Page {
        now,
        address: client.address.to_string(),
        offer: &hello.offer,
        negotiated: hello.negotiated.clone(),
        others: &others,
        test_ports: (name, &edge.seen.ports),
    };
    let (content_type, text) = if page::wants_json(accept.iter().copied()) {
        ("application/json", format!("{:#}\n", page.json()))
    } else {
        ("text/html; charset=utf-8", page.html())
    };
    record.answered(200, "client_page");
    let mut response = Response::new(ResponseBody::own(text, record));
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, content_type),
        (CACHE_CONTROL, "no-store"),
        (VARY, "Accept"),
        (CONTENT_SECURITY_POLICY, page::CONTENT_SECURITY_POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ] {
        let name: HeaderName = name;
        headers.insert(name, HeaderValue::from_static(value));
    }
    hsts.say(headers);
    response
}
