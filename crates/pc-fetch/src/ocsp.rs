//! # Purpose
//! Asks an OCSP responder, over plain http where its address says so.
//!
//! # Trust
//! The address is one that a certificate names; it is checked like every other. Whoever sits in between can keep an answer back
//! and send an old one again, and not make one: answers are signed, and the caller checks that.
//!
//! # Standards
//! RFC 6960 A.1 (POST). No redirect is followed: a 3xx is no answer.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use pc_types::{Escaped, HttpsUrl, ResponderScheme, ResponderUrl};
use tokio::time::timeout;

use crate::{Bounds, FetchError, Fetcher, OWN_NAME, Reply, begin, broke, limits, read};

impl Fetcher {
    /// Posts a request to a responder; its answer, unread.
    ///
    /// # Errors
    /// There was none, or it is over a bound: see [`FetchError`].
    pub async fn ask_ocsp_responder(
        &self,
        url: &ResponderUrl,
        request: Vec<u8>,
        bounds: Bounds,
    ) -> Result<Vec<u8>, FetchError> {
        let asking = self.ask_ocsp(url, request, bounds.octets_max);
        timeout(bounds.time_max, asking).await.unwrap_or(Err(FetchError::Timeout(bounds.time_max)))
    }

    async fn ask_ocsp(
        &self,
        url: &ResponderUrl,
        request: Vec<u8>,
        octets_max: usize,
    ) -> Result<Vec<u8>, FetchError> {
        let (host, port, target) = (url.host.clone(), url.port, url.target.clone());
        let (mut sender, _driving) = match url.scheme {
            ResponderScheme::Http => begin(self.connect((&host, port)).await?).await?,
            ResponderScheme::Https => self.open(&HttpsUrl { host, port, target }).await?,
        };
        let request = Request::post(url.target.as_str())
            .header(HOST, url.authority())
            .header(USER_AGENT, OWN_NAME)
            .header(CONTENT_TYPE, "application/ocsp-request")
            .body(Full::new(Bytes::from(request)))
            .map_err(|error| FetchError::Connection(error.to_string()))?;
        let response = sender.send_request(request).await.map_err(broke)?;
        match read(response, octets_max).await? {
            Reply::Document(document) => Ok(document.octets),
            Reply::Elsewhere(location) => {
                let shown = Escaped::with_octets_max(&location, limits::LOCATION_SHOWN_OCTETS_MAX);
                Err(FetchError::Redirect(shown.to_string()))
            }
            Reply::Unchanged => Err(FetchError::Status(StatusCode::NOT_MODIFIED.as_u16())),
        }
    }
}
