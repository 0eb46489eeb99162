//! The listener in plain HTTP: sends browsers to https and forwards nothing.

use std::future::ready;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;

use hyper::body::Incoming;
use hyper::{Request, Response};
use pc_http::path::NormalPath;
use pc_net::Stop;
use tokio::net::TcpStream;

use crate::access::{Client, Record};
use crate::answer::Answer;
use crate::body::ResponseBody;
use crate::connection::converse;
use crate::edge::Edge;
use crate::exchange::Unanswered;
use crate::guard::Wire;
use crate::screen::{Verdict, host, version_of};

/// The port that browsers use for http; Host may name it.
const HTTP_PORT: u16 = 80;

/// Serves one connection to its end.
pub async fn serve_plain(
    edge: Arc<Edge>,
    listener: Arc<str>,
    stream: TcpStream,
    peer: SocketAddr,
    stop: Stop,
) {
    let Ok(local) = stream.local_addr() else { return };
    let client = Arc::new(Client {
        listener,
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
    let answer = move |request| ready(redirect(&edge, &answering, &answering_wire, &request));
    // RFC 6797 7.2: HSTS is not said here.
    converse(stream, (&client, wire), answer, |_| Poll::Pending, None, stop).await;
}

fn redirect(
    edge: &Edge,
    client: &Arc<Client>,
    wire: &Arc<Wire>,
    request: &Request<Incoming>,
) -> Result<Response<ResponseBody>, Unanswered> {
    let (method, uri) = (request.method().as_str(), request.uri());
    let mut record = Record::new(client, wire, method, uri.path());
    let (mut parts, ()) = Request::new(()).into_parts();
    (parts.uri, parts.headers) = (uri.clone(), request.headers().clone());
    let version = version_of(request.version());
    let found = match client.local.port() {
        HTTP_PORT => host(edge, (client, HTTP_PORT), version, &parts),
        // Behind a forwarding of ports Host names the outer one, or this.
        own => host(edge, (client, own), version, &parts)
            .or_else(|_| host(edge, (client, HTTP_PORT), version, &parts)),
    };
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
