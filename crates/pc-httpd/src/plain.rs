//! The listener in plain HTTP: sends browsers to https, proves names to certificate authorities, and forwards nothing.

use std::future::ready;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;

use hyper::body::Incoming;
use hyper::{Request, Response};
use pc_http::host::ServedNames;
use pc_http::path::NormalPath;
use pc_net::Stop;
use pc_telemetry::Event;
use tokio::net::TcpStream;

use crate::access::{Client, Record};
use crate::answer::{Answer, proof};
use crate::body::ResponseBody;
use crate::connection::converse;
use crate::edge::Edge;
use crate::exchange::Unanswered;
use crate::guard::Wire;
use crate::screen::{Verdict, host, host_among, version_of};

/// The port that browsers use for http; Host may name it.
const HTTP_PORT: u16 = 80;

/// RFC 8555 8.3.
const CHALLENGE_PATH: &str = "/.well-known/acme-challenge/";

/// For a token under way the name that it proves, in lower case, and what is to be answered (RFC 8555 8.3).
pub type FindProof = Arc<dyn Fn(&str) -> Option<(String, String)> + Send + Sync>;

/// A listener in plain HTTP.
pub struct PlainListener {
    /// For logs.
    pub name: Arc<str>,
    /// What certificate authorities look for.
    pub find_proof: FindProof,
}

/// Serves one connection to its end.
pub async fn serve_plain(
    edge: Arc<Edge>,
    listener: Arc<PlainListener>,
    stream: TcpStream,
    peer: SocketAddr,
    stop: Stop,
) {
    let Ok(local) = stream.local_addr() else { return };
    let client = Arc::new(Client {
        listener: Arc::clone(&listener.name),
        address: peer.ip().to_canonical(),
        local,
        tls: "",
        ja4: String::new(),
        server_name: None,
        hello: None,
        is_own: false,
    });
    let wire = Arc::new(Wire::default());
    let (answering, answering_wire) = (Arc::clone(&client), Arc::clone(&wire));
    let answer = move |request| {
        let proven = prove(&listener, &answering, &answering_wire, &request);
        ready(proven.map_or_else(|| redirect(&edge, &answering, &answering_wire, &request), Ok))
    };
    // RFC 6797 7.2: HSTS is not said here.
    converse(stream, (&client, wire), answer, |_| Poll::Pending, None, stop).await;
}

/// Answers a certificate authority. What is no token under way, or asked for under another name than the one that it
/// proves, is a request like any other.
fn prove(
    listener: &PlainListener,
    client: &Arc<Client>,
    wire: &Arc<Wire>,
    request: &Request<Incoming>,
) -> Option<Response<ResponseBody>> {
    let uri = request.uri();
    let token = uri.path().strip_prefix(CHALLENGE_PATH)?;
    if request.method() != hyper::Method::GET || uri.query().is_some() {
        return None;
    }
    let (name, text) = (listener.find_proof)(token)?;
    let served = ServedNames::new([(name, 0)]);
    let parts = parts_of(request);
    let version = version_of(request.version());
    let (_, name) = either_port(client, |port| host_among(&served, (client, port), version, &parts)).ok()?;
    Event::AcmeChallengeAnswered { challenge: "http-01", name: &name, address: client.address }.emit();
    let mut record = Record::new(client, wire, request.method(), uri);
    record.http = version.as_str();
    Some(proof(text, record))
}

fn parts_of(request: &Request<Incoming>) -> hyper::http::request::Parts {
    let (mut parts, ()) = Request::new(()).into_parts();
    (parts.uri, parts.headers) = (request.uri().clone(), request.headers().clone());
    parts
}

/// Behind a forwarding of ports Host names the outer one, or this.
fn either_port<T>(client: &Client, host: impl Fn(u16) -> Result<T, Verdict>) -> Result<T, Verdict> {
    match client.local.port() {
        HTTP_PORT => host(HTTP_PORT),
        own => host(own).or_else(|_| host(HTTP_PORT)),
    }
}

fn redirect(
    edge: &Edge,
    client: &Arc<Client>,
    wire: &Arc<Wire>,
    request: &Request<Incoming>,
) -> Result<Response<ResponseBody>, Unanswered> {
    let uri = request.uri();
    let mut record = Record::new(client, wire, request.method(), uri);
    let (parts, version) = (parts_of(request), version_of(request.version()));
    record.http = version.as_str();
    let found = either_port(client, |port| host(edge, (client, port), version, &parts));
    let (site, name) = match found {
        Ok(found) => found,
        Err(Verdict::Answer(answer)) => return Ok(answer.respond(None, record)),
        Err(Verdict::Abort(code)) => {
            record.aborted(code);
            return Err(Unanswered::Closed);
        }
        Err(
            Verdict::Attestation
            | Verdict::ClientPage(_)
            | Verdict::NeedsHttp1(_)
            | Verdict::Policy(_)
            | Verdict::Forward(_),
        ) => {
            return Err(Unanswered::Closed);
        }
    };
    if let Some(site) = edge.sites.get(site) {
        record.site = Arc::clone(&site.name);
    }
    if let Err(fault) = NormalPath::new(uri.path(), uri.query()) {
        return Ok(Answer::closing(400, fault.code()).respond(None, record));
    }
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    // RFC 9110 15.4.9: 308 keeps method and body.
    let location = format!("https://{name}{target}");
    Ok(Answer::redirect(308, "to_https", location).respond(None, record))
}
