//! # Purpose
//! Posts a document and says what the host answered.
//!
//! # Standards
//! RFC 9110 9.3.3. No redirect is followed (a 3xx is an answer like others), and nothing of the answer is read but its
//! status and Retry-After (RFC 9110 10.2.3).

use std::time::Duration;

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use pc_types::HttpsUrl;
use tokio::time::timeout;

use crate::{FetchError, Fetcher, OWN_NAME, broke};

/// What a host answered to a post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Its status.
    pub status: u16,
    /// The field of this name, as it came.
    pub retry_after: Option<String>,
}

impl Fetcher {
    /// Posts `body`, which is JSON, with further fields.
    ///
    /// # Errors
    /// There was no answer: see [`FetchError`].
    pub async fn post(
        &self,
        url: &HttpsUrl,
        fields: &[(&'static str, String)],
        body: Vec<u8>,
        time_max: Duration,
    ) -> Result<Answered, FetchError> {
        let posting = self.put(url, fields, body);
        timeout(time_max, posting).await.unwrap_or(Err(FetchError::Timeout(time_max)))
    }

    async fn put(
        &self,
        url: &HttpsUrl,
        fields: &[(&'static str, String)],
        body: Vec<u8>,
    ) -> Result<Answered, FetchError> {
        let (mut sender, _driving) = self.open(url).await?;
        let mut request = Request::post(url.target.as_str())
            .header(HOST, url.authority())
            .header(USER_AGENT, OWN_NAME)
            .header(CONTENT_TYPE, "application/json");
        for (name, value) in fields {
            request = request.header(*name, value);
        }
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| FetchError::Connection(error.to_string()))?;
        let response = sender.send_request(request).await.map_err(broke)?;
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|field| field.to_str().ok());
        Ok(Answered { status: response.status().as_u16(), retry_after: retry_after.map(str::to_owned) })
    }
}
