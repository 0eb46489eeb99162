use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;

fn pair() -> (DuplexStream, Guard<DuplexStream>, Arc<Wire>) {
    let (client, server) = duplex(64 * 1024);
    let wire = Arc::new(Wire::default());
    (client, Guard::new(server, Arc::clone(&wire)), wire)
}

const GET: &[u8] = b"GET /owa/ HTTP/1.1\r\nHost: mail.example.org\r\n\r\n";

async fn elapsed_until_failure(guard: &mut Guard<DuplexStream>) -> Duration {
    let began = Instant::now();
    let mut buffer = [0; 1024];
    while guard.read(&mut buffer).await.is_ok() {}
    began.elapsed()
}

#[tokio::test(start_paused = true)]
async fn octets_pass_unchanged_and_a_violation_passes_nothing_of_its_piece() {
    let (mut client, mut guard, wire) = pair();
    client.write_all(GET).await.unwrap();
    let mut buffer = [0; 1024];
    let count = guard.read(&mut buffer).await.unwrap();
    assert_eq!(&buffer[..count], GET);
    client.write_all(b"GET /owa/ HTTP/1.1\nHost: x\r\n\r\n").await.unwrap();
    assert!(guard.read(&mut buffer).await.is_err());
    assert_eq!(wire.fault(), Some(Fault::Violation(Violation::BareLineFeed)));
    client.write_all(GET).await.unwrap();
    assert!(guard.read(&mut buffer).await.is_err(), "after a fault nothing is read");
}

#[tokio::test(start_paused = true)]
async fn a_head_has_ten_seconds_and_an_idle_connection_two_minutes() {
    let (mut client, mut guard, wire) = pair();
    client.write_all(b"GET /owa/ HT").await.unwrap();
    let elapsed = elapsed_until_failure(&mut guard).await;
    assert_eq!((elapsed.as_secs(), wire.fault()), (10, Some(Fault::Lapse(Lapse::Head))));
    assert_eq!(wire.fault().and_then(Fault::status), Some(408));
    let (mut client, mut guard, wire) = pair();
    client.write_all(GET).await.unwrap();
    let elapsed = elapsed_until_failure(&mut guard).await;
    assert_eq!((elapsed.as_secs(), wire.fault()), (120, Some(Fault::Lapse(Lapse::NextRequest))));
    assert_eq!(wire.fault().and_then(Fault::status), None);
}

#[tokio::test(start_paused = true)]
async fn a_phone_may_be_silent_for_fifty_nine_minutes_while_it_waits() {
    let (mut client, mut guard, wire) = pair();
    client.write_all(GET).await.unwrap();
    let mut buffer = [0; 1024];
    assert!(guard.read(&mut buffer).await.unwrap() > 0);
    wire.begin();
    let silence = tokio::time::timeout(Duration::from_secs(3_540), guard.read(&mut buffer));
    assert!(silence.await.is_err(), "still waiting");
    assert_eq!(wire.fault(), None);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_is_given_up_unless_it_is_a_channel() {
    let body = b"POST /ews/x HTTP/1.1\r\nHost: mail.example.org\r\nContent-Length: 10\r\n\r\nab";
    let (mut client, mut guard, wire) = pair();
    client.write_all(body).await.unwrap();
    wire.begin();
    let elapsed = elapsed_until_failure(&mut guard).await;
    assert_eq!((elapsed.as_secs(), wire.fault()), (30, Some(Fault::Lapse(Lapse::Body))));
    let (mut client, mut guard, wire) = pair();
    client.write_all(body).await.unwrap();
    let mut buffer = [0; 1024];
    assert!(guard.read(&mut buffer).await.unwrap() > 0);
    wire.begin();
    wire.allow_pauses();
    let silence = tokio::time::timeout(Duration::from_secs(3_500), guard.read(&mut buffer));
    assert!(silence.await.is_err(), "still waiting");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_no_answer_is_given_up_after_a_minute() {
    let (client, mut guard, wire) = pair();
    let began = Instant::now();
    let octets = vec![0; 1024 * 1024];
    assert!(guard.write_all(&octets).await.is_err());
    assert_eq!((began.elapsed().as_secs(), wire.fault()), (60, Some(Fault::Stalled)));
    assert!(!wire.is_quiet(), "nothing of ours may stand behind half an answer");
    drop(client);
}
