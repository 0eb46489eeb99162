//! Looks at the servers behind: the health of each protocol, and the certificate that each shows.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;

use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::handshake;
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use pc_http::health::Service;
use pc_http::policy::Directory;
use pc_net::Stop;
use pc_tls::ClientStream;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::behind::{Fault, Host, Site};
use crate::body::RequestBody;
use crate::edge::Edge;
use crate::limits::{HEALTH_CHECK_OCTETS_MAX, HEALTH_CHECK_TIMEOUT};

impl Edge {
    /// Looks at every server at its intervals until `stop`.
    pub async fn watch(self: Arc<Self>, stop: Stop) {
        let mut watching = JoinSet::new();
        for (number, site) in self.sites.iter().enumerate() {
            for host in &site.hosts {
                watching.spawn(watch(
                    Arc::clone(&self),
                    (number, Arc::clone(site)),
                    Arc::clone(host),
                    stop.clone(),
                ));
            }
        }
        while watching.join_next().await.is_some() {}
    }

    /// Looks at every server once; with what failed.
    pub async fn probe(&self) -> Vec<(String, Result<(), String>)> {
        let mut found = Vec::new();
        for (number, site) in self.sites.iter().enumerate() {
            for host in &site.hosts {
                let looked = self.look(number, site, host).await;
                found.push((
                    format!("{} at {}", site.name, host.address),
                    looked.map_err(|fault| fault.to_string()),
                ));
            }
        }
        found
    }

    async fn look(&self, number: usize, site: &Site, host: &Host) -> Result<(), Fault> {
        let looked = self.check(number, site, host).await;
        if let Err(fault) = &looked {
            host.missed(fault, self.clock.now());
            for directory in self.directories_of(number) {
                host.checked(directory, Service::Down, &fault.detail);
            }
        }
        looked
    }

    /// All directories, over as few connections as the server allows; nobody has logged in on them.
    async fn check(&self, number: usize, site: &Site, host: &Host) -> Result<(), Fault> {
        let mut left: VecDeque<Directory> = self.directories_of(number).into();
        let name = site.names.first().map(ToString::to_string).unwrap_or_default();
        while !left.is_empty() {
            let (stream, leaf) = host.connect().await?;
            host.showed(leaf, &self.leaves_of(site));
            let before = left.len();
            let asked = check_by(stream, host, &name, &mut left).await;
            // A server that ends each connection after an answer is asked over the next.
            if left.len() == before {
                asked?;
            }
        }
        Ok(())
    }
}

/// Asks until all are answered or the connection ends.
async fn check_by(
    stream: ClientStream<TcpStream>,
    host: &Host,
    name: &str,
    left: &mut VecDeque<Directory>,
) -> Result<(), Fault> {
    let broken = |error: hyper::Error| Fault { code: "http", detail: error.to_string() };
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let asking = async {
        while let Some(directory) = left.front().copied() {
            sender.ready().await.map_err(broken)?;
            let asked = timeout(HEALTH_CHECK_TIMEOUT, sender.send_request(question(directory, name)));
            let late = |_| Fault { code: "http", detail: "no answer in time".to_owned() };
            let response = asked.await.map_err(late)?.map_err(broken)?;
            left.pop_front();
            match response.status() {
                StatusCode::OK => host.checked(directory, Service::Up, ""),
                status => host.checked(directory, Service::Down, &format!("healthcheck.htm: {status}")),
            }
            drain(response).await.map_err(broken)?;
        }
        Ok(())
    };
    let mut asking = pin!(asking);
    tokio::select! {
        // First what came in: the end of the connection may stand right behind an answer.
        biased;
        asked = &mut asking => asked,
        ended = connection => match ended {
            Ok(()) => asking.await,
            Err(error) => Err(broken(error)),
        },
    }
}

fn question(directory: Directory, name: &str) -> Request<RequestBody> {
    let mut request = Request::new(RequestBody::Empty);
    *request.uri_mut() =
        Uri::try_from(format!("/{}/healthcheck.htm", directory.as_str())).unwrap_or_default();
    if let Ok(name) = HeaderValue::try_from(name) {
        request.headers_mut().insert(HOST, name);
    }
    request
}

/// The body is a line. Of a longer one the rest goes with the connection.
async fn drain(response: Response<Incoming>) -> Result<(), hyper::Error> {
    let mut body = pin!(response.into_body());
    let mut left = HEALTH_CHECK_OCTETS_MAX;
    while let Some(frame) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
        left = left.saturating_sub(frame?.data_ref().map_or(0, |octets| octets.len()));
        if left == 0 {
            return Ok(());
        }
    }
    Ok(())
}

async fn watch(edge: Arc<Edge>, (number, site): (usize, Arc<Site>), host: Arc<Host>, mut stop: Stop) {
    loop {
        tokio::select! {
            () = stop.stopped() => return,
            // What it found is remembered and told.
            _ = edge.look(number, &site, &host) => {}
        }
        tokio::select! {
            () = stop.stopped() => return,
            () = tokio::time::sleep(site.health_check) => {}
        }
    }
}
