use std::future::{Ready, ready};
use std::time::Duration;

use pc_http::disclosure::StrictTransportSecurity;
use pc_net::Stopper;
use tokio::io::{DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::access::Record;
use crate::answer::Answer;

fn hsts() -> Hsts {
    Hsts::new(&StrictTransportSecurity { max_age_seconds: 300, include_subdomains: false, preload: false })
}

const GET: &[u8] = b"GET /owa/ HTTP/1.1\r\nHost: mail.example.org\r\n\r\n";

/// A connection on which paths that begin with `/abort` get no answer and all others 404.
fn serve() -> (DuplexStream, Stopper, JoinHandle<()>) {
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
    let answer = move |request: Request<Incoming>| -> Ready<Result<Response<ResponseBody>, Unanswered>> {
        let mut record = Record::new(&answering, &answering_wire, request.method(), request.uri());
        if request.uri().path().starts_with("/abort") {
            record.aborted("test");
            return ready(Err(Unanswered::Closed));
        }
        ready(Ok(Answer::new(404, "test").respond(Some(&hsts()), record)))
    };
    let serving = tokio::spawn(async move {
        converse(far, (&client, wire), answer, |_| Poll::Pending, Some(hsts()), stop).await;
    });
    (near, stopper, serving)
}

/// All that comes until the end, and after how many seconds that was.
async fn rest(stream: &mut DuplexStream) -> (String, u64) {
    let began = Instant::now();
    let mut octets = Vec::new();
    stream.read_to_end(&mut octets).await.unwrap();
    (String::from_utf8(octets).unwrap(), began.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn an_answered_connection_is_closed_after_two_idle_minutes_without_a_word() {
    let (mut client, _stopper, serving) = serve();
    client.write_all(GET).await.unwrap();
    let (answer, seconds) = rest(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.ends_with("nothing here.\n"), "{answer}");
    assert_eq!((answer.matches("HTTP/1.1").count(), seconds), (1, 120));
    drop(client);
    serving.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn requests_after_a_rest_are_answered_in_one_piece_or_in_many() {
    let (mut client, _stopper, _serving) = serve();
    let mut answers = 0;
    for pieces in [&[GET][..], &[&GET[..3], &GET[3..40], &GET[40..]], &[&[GET, GET].concat()]] {
        tokio::time::sleep(10 * REST_AFTER).await;
        for piece in pieces {
            client.write_all(piece).await.unwrap();
            tokio::time::sleep(2 * REST_AFTER).await;
        }
        answers += pieces.concat().len() / GET.len();
    }
    let (all, _) = rest(&mut client).await;
    assert_eq!((all.matches("HTTP/1.1 404 ").count(), answers), (4, 4), "{all}");
}

#[tokio::test(start_paused = true)]
async fn a_resting_connection_ends_with_the_process_and_after_a_violation() {
    let (mut client, stopper, serving) = serve();
    client.write_all(GET).await.unwrap();
    tokio::time::sleep(2 * REST_AFTER).await;
    stopper.stop();
    assert_eq!(rest(&mut client).await.0.matches("HTTP/1.1 404 ").count(), 1);
    serving.await.unwrap();
    let (mut client, _stopper, _serving) = serve();
    client.write_all(GET).await.unwrap();
    tokio::time::sleep(2 * REST_AFTER).await;
    client.write_all(b"GET /owa/ HTTP/1.1\n\n").await.unwrap();
    let (answers, seconds) = rest(&mut client).await;
    assert!(answers.contains("HTTP/1.1 404 ") && answers.contains("HTTP/1.1 400 Bad Request"), "{answers}");
    assert_eq!(seconds, 0);
}

#[tokio::test(start_paused = true)]
async fn an_abort_says_nothing_and_what_was_answered_before_it_stands() {
    let (mut client, _stopper, _serving) = serve();
    client.write_all(b"GET /abort HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(rest(&mut client).await, (String::new(), 0));
    let (mut client, _stopper, _serving) = serve();
    client.write_all(GET).await.unwrap();
    let mut first = [0; 12];
    client.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 404");
    client.write_all(b"GET /abort HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(rest(&mut client).await.0.ends_with("nothing here.\n"));
}

#[tokio::test(start_paused = true)]
async fn a_violation_and_a_slow_head_hear_why_with_hsts_and_once() {
    for (octets, status, after) in [
        (&b"GET /owa/ HTTP/1.1\nHost: x\r\n\r\n"[..], "HTTP/1.1 400 Bad Request", 0),
        (b"GET /owa/ HTT", "HTTP/1.1 408 Request Timeout", 10),
        (b"POST /owa/ HTTP/1.1\r\nContent-Length: 5", "HTTP/1.1 408 Request Timeout", 10),
    ] {
        let (mut client, _stopper, _serving) = serve();
        client.write_all(octets).await.unwrap();
        let (answer, seconds) = rest(&mut client).await;
        assert!(answer.starts_with(status), "{answer}");
        assert!(answer.contains("Strict-Transport-Security: max-age=300\r\n"), "{answer}");
        assert_eq!((answer.matches("HTTP/1.1").count(), seconds), (1, after), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_process_closes_an_idle_connection_at_once() {
    let (mut client, stopper, serving) = serve();
    client.write_all(GET).await.unwrap();
    let mut first = [0; 12];
    client.read_exact(&mut first).await.unwrap();
    stopper.stop();
    assert_eq!(rest(&mut client).await.1, 0);
    serving.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_answer_before_the_end_of_the_body_reaches_a_client_that_still_sends() {
    let (mut client, _stopper, _serving) = serve();
    let head = b"POST /owa/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n";
    client.write_all(head).await.unwrap();
    client.write_all(&[0; 1000]).await.unwrap();
    let answer = timeout(Duration::from_secs(60), rest(&mut client)).await.unwrap().0;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
}
