//! # Purpose
//! One request of a caller's own making, and what the server answered, whole.
//!
//! # Trust
//! For protocols over HTTP whose library brings no connections of its own. The address is one that the server behind it
//! may have named: it is checked like every other.
//!
//! # Standards
//! RFC 9110. No redirect is followed: a 3xx is an answer like others.

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Bytes};
use hyper::header::{CONTENT_ENCODING, HOST, HeaderValue, USER_AGENT};
use hyper::{Request, Response, Uri};
use pc_types::HttpsUrl;
use tokio::time::timeout;

use crate::{Bounds, FetchError, Fetcher, OWN_NAME, broke};

impl Fetcher {
    /// Sends a request to where its URI leads, with Host and User-Agent of ours, over a connection of its own.
    ///
    /// # Errors
    /// There was no answer, or it is over a bound: see [`FetchError`].
    pub async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        bounds: Bounds,
    ) -> Result<Response<Bytes>, FetchError> {
        let exchanging = self.send(request, bounds.octets_max);
        timeout(bounds.time_max, exchanging).await.unwrap_or(Err(FetchError::Timeout(bounds.time_max)))
    }

    async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
        octets_max: usize,
    ) -> Result<Response<Bytes>, FetchError> {
        let shown = request.uri().to_string();
        let url: HttpsUrl =
            shown.parse().map_err(|error| FetchError::Address(shown, format!("the address {error}")))?;
        let unsent = |error: &dyn std::fmt::Display| FetchError::Connection(error.to_string());
        *request.uri_mut() = url.target.parse::<Uri>().map_err(|error| unsent(&error))?;
        let host = HeaderValue::try_from(url.authority()).map_err(|error| unsent(&error))?;
        request.headers_mut().insert(HOST, host);
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(OWN_NAME));
        let (mut sender, _driving) = self.open(&url).await?;
        let (parts, body) = sender.send_request(request).await.map_err(broke)?.into_parts();
        if parts.headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            return Err(FetchError::Encoded);
        }
        if usize::try_from(body.size_hint().lower()).map_or(true, |least| least > octets_max) {
            return Err(FetchError::TooLarge(octets_max));
        }
        match Limited::new(body, octets_max).collect().await {
            Ok(body) => Ok(Response::from_parts(parts, body.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => Err(FetchError::TooLarge(octets_max)),
            Err(error) => Err(FetchError::Connection(error.to_string())),
        }
    }
}
