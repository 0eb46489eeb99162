//! # Purpose
//! How the command line asks the API: over the Unix socket of the running server, or in the process
//! itself when none runs.

use std::path::Path;

use axum::body::Body;
use axum::http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;
use tower_service::Service;

use crate::limits::ANSWER_OCTETS_MAX;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The request cannot be written.
    #[error("the request is malformed")]
    Request(#[source] axum::http::Error),
    /// No server listens on the socket.
    #[error("no server is running")]
    NotRunning,
    /// The connection broke, or the answer is no HTTP.
    #[error("the connection to the server broke")]
    Connection(#[source] hyper::Error),
    /// The answer ends early or has no end.
    #[error("the answer could not be read")]
    Answer(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Asks the server behind `socket`; returns status and body.
///
/// # Errors
/// See [`ClientError`].
pub async fn request(
    socket: &Path,
    method: &str,
    path_and_query: &str,
    body: Option<Value>,
) -> Result<(u16, Vec<u8>), ClientError> {
    let stream = UnixStream::connect(socket).await.map_err(|_| ClientError::NotRunning)?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(ClientError::Connection)?;
    let driving = tokio::spawn(connection);
    let request = build(method, path_and_query, body, |bytes| Full::new(Bytes::from(bytes)))?;
    let response = sender.send_request(request).await.map_err(ClientError::Connection)?;
    let answer = read(response).await;
    driving.abort();
    answer
}

/// Asks a router of this process.
///
/// # Errors
/// See [`ClientError`].
pub async fn request_in_process(
    mut router: axum::Router,
    method: &str,
    path_and_query: &str,
    body: Option<Value>,
) -> Result<(u16, Vec<u8>), ClientError> {
    let request = build(method, path_and_query, body, Body::from)?;
    match router.call(request).await {
        Ok(response) => read(response).await,
        Err(never) => match never {},
    }
}

fn build<B>(
    method: &str,
    path_and_query: &str,
    body: Option<Value>,
    wrap: impl Fn(Vec<u8>) -> B,
) -> Result<Request<B>, ClientError> {
    let bytes = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
    Request::builder()
        .method(method)
        .uri(path_and_query)
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(wrap(bytes))
        .map_err(ClientError::Request)
}

async fn read<B>(response: Response<B>) -> Result<(u16, Vec<u8>), ClientError>
where
    B: hyper::body::Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), ANSWER_OCTETS_MAX);
    let collected = body.collect().await.map_err(ClientError::Answer)?;
    Ok((status, collected.to_bytes().to_vec()))
}
