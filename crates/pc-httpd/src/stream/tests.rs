use std::future::pending;

use h2::client::{Connection, SendRequest};
use hyper::body::{Body, Bytes};
use pc_http::pace::Lapse;
use pc_net::Stopper;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::access::Record;
use crate::answer::Answer;
use crate::body::{BodyPace, RequestBody};
use crate::guard::Fault;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// SETTINGS without any.
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
const GOAWAY: u8 = 0x7;

struct Served {
    client: DuplexStream,
    stopper: Stopper,
    wire: Arc<Wire>,
    serving: JoinHandle<()>,
}

/// A connection on which `/stall` hands out an answer that nobody takes, `/body` reads one, and all else is 404.
fn serve() -> Served {
    let (near, far) = duplex(64 * 1024);
    let (stopper, stop) = Stopper::new();
    let client = Arc::new(Client {
        listener: Arc::from("https test"),
        address: [192, 0, 2, 7].into(),
        local: ([192, 0, 2, 1], 443).into(),
        tls: "TLSv1.3",
        ja4: String::new(),
        server_name: None,
        hello: None,
        is_own: false,
    });
    let wire = Arc::new(Wire::default());
    let (answering, answering_wire) = (Arc::clone(&client), Arc::clone(&wire));
    let answer = move |request: Request<Incoming>| {
        let record = Record::new(&answering, &answering_wire, request.method(), request.uri());
        let wire = Arc::clone(&answering_wire);
        async move {
            match request.uri().path() {
                "/stall" => {
                    wire.offered(record.number);
                    pending().await
                }
                "/body" => {
                    let activity = Arc::clone(&record.activity);
                    let pace = Some(BodyPace::new());
                    let mut body =
                        RequestBody::Client { incoming: request.into_body(), gate: None, activity, pace };
                    let mut whole = Ok(());
                    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
                        if frame.is_err() {
                            whole = Err(());
                            break;
                        }
                    }
                    let status = if whole.is_ok() { 404 } else { 408 };
                    Ok(Answer::new(status, "test").respond(None, record))
                }
                _ => Ok(Answer::new(404, "test").respond(None, record)),
            }
        }
    };
    let serving_wire = Arc::clone(&wire);
    let serving = tokio::spawn(async move {
        converse_http2(far, (&client, serving_wire), answer, stop).await;
    });
    Served { client: near, stopper, wire, serving }
}

async fn client(stream: DuplexStream) -> (SendRequest<Bytes>, Connection<DuplexStream>) {
    h2::client::handshake(stream).await.unwrap()
}

fn get(path: &str) -> Request<()> {
    Request::get(format!("https://mail.example.org{path}")).body(()).unwrap()
}

/// The kinds of the frames that come until the end, and after how many seconds that was.
async fn frames(stream: &mut DuplexStream) -> (Vec<u8>, u64) {
    let began = Instant::now();
    let mut kinds = Vec::new();
    let mut header = [0; 9];
    while stream.read_exact(&mut header).await.is_ok() {
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
        kinds.push(header[3]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).await.unwrap();
    }
    (kinds, began.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn a_client_without_a_request_is_told_to_go_after_two_minutes() {
    let served = serve();
    let (mut sender, connection) = client(served.client).await;
    let running = tokio::spawn(connection);
    let (response, _) = sender.send_request(get("/owa/"), true).unwrap();
    let began = Instant::now();
    assert_eq!(response.await.unwrap().status(), 404);
    running.await.unwrap().unwrap();
    assert_eq!((began.elapsed().as_secs(), served.wire.fault()), (120, None));
    served.serving.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn pings_do_not_keep_a_client_without_a_request() {
    let served = serve();
    let (_sender, mut connection) = client(served.client).await;
    let mut pings = connection.ping_pong().unwrap();
    let began = Instant::now();
    let running = tokio::spawn(connection);
    while pings.ping(h2::Ping::opaque()).await.is_ok() {
        tokio::time::sleep(std::time::Duration::from_secs(7)).await;
    }
    // Refused or ended by GOAWAY, as the moment has it.
    let _ = running.await.unwrap();
    assert!((120..=127).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    served.serving.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn half_a_preface_and_half_a_header_have_ten_seconds() {
    for octets in [&PREFACE[..7], &[PREFACE, SETTINGS, b"\0\0\x01\x01\x01\0\0\0\x01\x82"].concat()] {
        let mut served = serve();
        served.client.write_all(octets).await.unwrap();
        let (_, seconds) = frames(&mut served.client).await;
        assert_eq!((seconds, served.wire.fault()), (10, Some(Fault::Lapse(Lapse::Head))));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_answers_no_ping_is_gone_after_fifty_seconds() {
    let mut served = serve();
    served.client.write_all(&[PREFACE, SETTINGS].concat()).await.unwrap();
    let (kinds, seconds) = frames(&mut served.client).await;
    assert_eq!((kinds.last(), seconds), (Some(&GOAWAY), 50));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_of_an_answer_is_cut_after_a_minute() {
    let served = serve();
    let (mut sender, connection) = client(served.client).await;
    let running = tokio::spawn(connection);
    let (response, _) = sender.send_request(get("/stall"), true).unwrap();
    let began = Instant::now();
    assert!(response.await.is_err());
    assert_eq!((began.elapsed().as_secs(), served.wire.fault()), (60, Some(Fault::Stalled)));
    let _ = running.await.unwrap();
    served.serving.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_no_room_for_our_own_answer_is_cut_after_a_minute() {
    let served = serve();
    let mut builder = h2::client::Builder::new();
    let (mut sender, connection) =
        builder.initial_window_size(0).handshake::<_, Bytes>(served.client).await.unwrap();
    let running = tokio::spawn(connection);
    let (response, _) = sender.send_request(get("/owa/"), true).unwrap();
    let began = Instant::now();
    let mut body = response.await.unwrap().into_body();
    assert!(!matches!(body.data().await, Some(Ok(_))), "there is no room for it");
    assert_eq!((began.elapsed().as_secs(), served.wire.fault()), (60, Some(Fault::Stalled)));
    let _ = running.await.unwrap();
    served.serving.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_408_and_other_streams_go_on() {
    let served = serve();
    let (mut sender, connection) = client(served.client).await;
    tokio::spawn(connection);
    let request = Request::post("https://mail.example.org/body").body(()).unwrap();
    let (response, mut body) = sender.send_request(request, false).unwrap();
    body.send_data(Bytes::from_static(b"begun"), false).unwrap();
    let began = Instant::now();
    assert_eq!(response.await.unwrap().status(), 408);
    assert_eq!(began.elapsed().as_secs(), 30);
    let (response, _) = sender.send_request(get("/owa/"), true).unwrap();
    assert_eq!(response.await.unwrap().status(), 404);
    assert_eq!(served.wire.fault(), None);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_ends_answers_what_it_has_and_says_goaway() {
    let served = serve();
    let (mut sender, connection) = client(served.client).await;
    let running = tokio::spawn(connection);
    let request = Request::post("https://mail.example.org/body").body(()).unwrap();
    let (response, mut body) = sender.send_request(request, false).unwrap();
    body.send_data(Bytes::from_static(b"begun"), false).unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    served.stopper.stop();
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let refused = match sender.clone().ready().await {
        Ok(mut sender) => sender.send_request(get("/owa/"), true).is_err(),
        Err(_) => true,
    };
    assert!(refused, "no further streams");
    body.send_data(Bytes::new(), true).unwrap();
    assert_eq!(response.await.unwrap().status(), 404);
    running.await.unwrap().unwrap();
    served.serving.await.unwrap();
}
