//! Where owners of servers post what they attest: the body is read here, and judged by whoever wired the edge.

use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::body::{Body, Incoming};
use hyper::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};
use pc_http::allowance::Allowance;
use pc_net::network_of;
use pc_types::Timestamp;
use tokio::time::timeout;

use crate::access::Record;
use crate::answer::Ending;
use crate::body::ResponseBody;
use crate::limits::{ATTESTATION_OCTETS_MAX, ATTESTATION_TIMEOUT};
use crate::response::Hsts;

/// Where on every site.
pub(crate) const PATH: &str = "/.well-known/portcullis/attestation";

/// Status and JSON of an answer.
pub type Attested = Pin<Box<dyn Future<Output = (u16, String)> + Send>>;

/// Takes a body that came from an address.
pub type TakeAttestation = Arc<dyn Fn(Vec<u8>, IpAddr) -> Attested + Send + Sync>;

/// Who takes attestations, and how many come.
pub(crate) struct Attestations {
    take: TakeAttestation,
    allowance: Mutex<Allowance>,
}

impl Attestations {
    pub(crate) fn new(take: TakeAttestation) -> Self {
        Self { take, allowance: Mutex::default() }
    }

    /// Answers with JSON.
    pub(crate) async fn answer(
        &self,
        (address, body): (IpAddr, Incoming),
        now: Timestamp,
        hsts: &Hsts,
        record: Record,
    ) -> Response<ResponseBody> {
        let may =
            self.allowance.lock().unwrap_or_else(PoisonError::into_inner).take(network_of(address), now);
        // What is left of a body has to be read by nobody: those answers close.
        let (status, code, text, ending) = if may {
            match timeout(ATTESTATION_TIMEOUT, read(body, &record)).await {
                Ok(Ok(octets)) => {
                    let (status, text) = (self.take)(octets, address).await;
                    (status, "attestation", text, Ending::KeepAlive)
                }
                Ok(Err(refused)) => refused,
                Err(_) => problem(408, "slow_body", "The body took too long; try again."),
            }
        } else {
            problem(429, "too_many", "Too many attestations came from this address; try again in a minute.")
        };
        respond((status, code, text, ending), hsts, record)
    }
}

type Words = (u16, &'static str, String, Ending);

fn problem(status: u16, code: &'static str, message: &str) -> Words {
    // Our own words, without quotes and control characters.
    (status, code, format!("{{\"error\":\"{code}\",\"message\":\"{message}\"}}\n"), Ending::Close)
}

async fn read(mut incoming: Incoming, record: &Record) -> Result<Vec<u8>, Words> {
    let mut octets = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut incoming).poll_frame(context)).await {
        let frame = frame.map_err(|_| problem(400, "broke_off", "The body broke off; try again."))?;
        let Ok(data) = frame.into_data() else { continue };
        record.activity.sent(data.len());
        if octets.len() + data.len() > ATTESTATION_OCTETS_MAX {
            let text =
                "The body has more than 4096 octets; use the script that `portcullis attest script` prints.";
            return Err(problem(413, "too_large", text));
        }
        octets.extend_from_slice(&data);
    }
    record.activity.request_ended();
    Ok(octets)
}

fn respond((status, code, text, ending): Words, hsts: &Hsts, mut record: Record) -> Response<ResponseBody> {
    record.answered(status, code);
    let mut response = Response::new(ResponseBody::own(text, record));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if matches!(status, 429 | 503) {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("60"));
    }
    hsts.say(headers);
    if ending == Ending::Close {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
