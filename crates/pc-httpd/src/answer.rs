//! Answers of our own: short, plain, and without a word about who gives them.

use hyper::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER};
use hyper::{Response, StatusCode};

use crate::access::Record;
use crate::body::ResponseBody;
use crate::response::Hsts;

/// An answer of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Stable word for log and metrics.
    pub(crate) code: &'static str,
    pub(crate) location: Option<String>,
    pub(crate) ending: Ending,
}

/// Whether the connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Close,
    KeepAlive,
}

impl Answer {
    pub(crate) fn new(status: u16, code: &'static str) -> Self {
        Self { status, code, location: None, ending: Ending::KeepAlive }
    }

    pub(crate) fn closing(status: u16, code: &'static str) -> Self {
        Self { ending: Ending::Close, ..Self::new(status, code) }
    }

    pub(crate) fn redirect(status: u16, code: &'static str, location: String) -> Self {
        Self { location: Some(location), ..Self::new(status, code) }
    }

    pub(crate) fn respond(self, hsts: Option<&Hsts>, mut record: Record) -> Response<ResponseBody> {
        record.answered(self.status, self.code);
        let mut response = Response::new(ResponseBody::own(text(self.status), record));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // What the client gave is in it only by a name that is served.
        if let Some(location) = self.location.and_then(|location| HeaderValue::try_from(location).ok()) {
            headers.insert(LOCATION, location);
        }
        if self.status == 503 {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("30"));
        }
        if let Some(hsts) = hsts {
            hsts.say(headers);
        }
        if self.ending == Ending::Close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// RFC 8461 3.2: plain text; senders keep it themselves, for max_age.
pub(crate) fn policy(text: &str, hsts: &Hsts, mut record: Record) -> Response<ResponseBody> {
    record.answered(200, "mta_sts");
    let mut response = Response::new(ResponseBody::own(text.to_owned(), record));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    hsts.say(headers);
    response
}

/// RFC 8555 8.3: the proof of a name.
pub(crate) fn proof(text: String, mut record: Record) -> Response<ResponseBody> {
    record.answered(200, "acme_challenge");
    let mut response = Response::new(ResponseBody::own(text, record));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The same as octets, for a request that never became one.
pub(crate) fn last_words(status: u16, hsts: Option<&Hsts>) -> Vec<u8> {
    let hsts =
        hsts.map_or_else(String::new, |hsts| format!("Strict-Transport-Security: {}\r\n", hsts.as_str()));
    let text = text(status);
    let reason =
        StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
    format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n{hsts}Connection: \
         close\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    )
    .into_bytes()
}

fn text(status: u16) -> String {
    let words = match status {
        400 => "The request is malformed.",
        403 => "The request is not allowed.",
        404 => "There is nothing here.",
        405 => "This cannot be done here.",
        408 => "The request took too long.",
        414 | 431 => "The request is too long.",
        417 => "The request expects what cannot be done.",
        421 => "This connection is for another site.",
        502 => "The mail server could not prove who it is. Please tell your administrator.",
        503 => "The mail server cannot be reached at present. Please try again in a few minutes.",
        505 => "This version of HTTP is not spoken here.",
        _ => return String::new(),
    };
    format!("{words}\n")
}
