//! # Purpose
//! The library's requests over the project's own connections, and its answers before the library sees them.
//!
//! # Invariants
//! An answer reaches the library only within [`crate::limits`], with a Retry-After that it can count with, and a directory
//! only with addresses that can be asked.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::header::{HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use pc_fetch::{Bounds, FetchError, Fetcher};
use pc_net::Clock;
use pc_renewal::retry_after;
use pc_types::{HttpsUrl, SignedDuration};

use crate::limits::{ANSWER_OCTETS_MAX, REQUEST_TIMEOUT, RETRY_AFTER_SHOWN_MAX};

/// What the last answer asked to wait. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Asking(Arc<Mutex<Option<SignedDuration>>>);

impl Asking {
    pub(crate) fn to_wait(&self) -> Option<SignedDuration> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, wait: Option<SignedDuration>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = wait;
    }
}

/// For one try.
pub(crate) struct Transport {
    pub(crate) fetcher: Arc<Fetcher>,
    pub(crate) directory: String,
    pub(crate) asking: Asking,
    pub(crate) clock: Clock,
}

/// An answer that the library must not see.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransportError {
    #[error("the directory of the authority {0}")]
    Directory(&'static str),
    #[error("{0}")]
    Fetch(FetchError),
}

impl HttpClient for Transport {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let (fetcher, directory) = (Arc::clone(&self.fetcher), self.directory.clone());
        let (asking, clock) = (self.asking.clone(), self.clock.clone());
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let is_directory = parts.method == Method::GET && parts.uri == directory.as_str();
            let body = match body.collect().await {
                Ok(body) => body.to_bytes(),
                Err(never) => match never {},
            };
            let bounds = Bounds { octets_max: ANSWER_OCTETS_MAX, time_max: REQUEST_TIMEOUT };
            let answered = fetcher.exchange(Request::from_parts(parts, Full::new(body)), bounds).await;
            let mut response = answered.map_err(|error| refused(TransportError::Fetch(error)))?;
            let field = response.headers().get(RETRY_AFTER).and_then(|field| field.to_str().ok());
            let wait = field.and_then(|field| retry_after(field, clock.now()));
            asking.set(wait);
            show_wait(&mut response, wait);
            if is_directory && response.status().is_success() {
                check_directory(response.body()).map_err(refused)?;
            }
            Ok(BytesResponse::from(response.map(Full::new)))
        })
    }
}

fn refused(error: TransportError) -> Error {
    Error::Other(Box::new(error))
}

/// The library adds the field to the time without a bound and panics beyond its range.
fn show_wait(response: &mut Response<Bytes>, wait: Option<SignedDuration>) {
    response.headers_mut().remove(RETRY_AFTER);
    if let Some(wait) = wait {
        let seconds = u64::try_from(wait.as_secs()).unwrap_or(0).min(RETRY_AFTER_SHOWN_MAX.as_secs());
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
}

/// RFC 8555 7.1.1: the addresses that are needed, each of them https.
fn check_directory(octets: &[u8]) -> Result<(), TransportError> {
    let read: serde_json::Value =
        serde_json::from_slice(octets).map_err(|_| TransportError::Directory("is no JSON"))?;
    for (key, fault) in [
        ("newNonce", "names no https address for newNonce"),
        ("newAccount", "names no https address for newAccount"),
        ("newOrder", "names no https address for newOrder"),
    ] {
        let address = read.get(key).and_then(serde_json::Value::as_str);
        let is_address = address.is_some_and(|address| address.parse::<HttpsUrl>().is_ok());
        if !is_address {
            return Err(TransportError::Directory(fault));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_https_addresses_for_what_is_needed() {
        let with = |nonce: &str| {
            format!(
                "{{\"newNonce\":{nonce},\"newAccount\":\"https://ca.example.org/a\",\"newOrder\":\"https://ca.example.org/o\"}}"
            )
        };
        assert!(check_directory(with("\"https://ca.example.org/n\"").as_bytes()).is_ok());
        for bad in ["\"http://ca.example.org/n\"", "\"not an address\"", "\"\"", "1", "null", "\"https://\""]
        {
            assert!(check_directory(with(bad).as_bytes()).is_err(), "{bad}");
        }
        for bad in ["", "{}", "[]", "<html></html>"] {
            assert!(check_directory(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_library_sees_a_wait_that_it_can_count_with_or_none() {
        let shown = |wait: Option<i64>| {
            let mut response = Response::new(Bytes::new());
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("18446744073709551615"));
            show_wait(&mut response, wait.map(SignedDuration::from_secs));
            response.headers().get(RETRY_AFTER).map(|field| field.to_str().unwrap().to_owned())
        };
        assert_eq!(shown(Some(3)).as_deref(), Some("3"));
        assert_eq!(shown(Some(i64::MAX)), Some(RETRY_AFTER_SHOWN_MAX.as_secs().to_string()));
        assert_eq!(shown(Some(-1)).as_deref(), Some("0"));
        assert_eq!(shown(None), None);
    }
}
