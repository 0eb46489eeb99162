use std::fs;
use std::io::Cursor;

use super::*;

pub(crate) async fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("portcullis.db")).await.unwrap();
    (folder, store)
}

pub(crate) fn trace_row(id: &str, at: &str) -> TraceRow {
    let address = "192.0.2.7".parse().unwrap();
    TraceRow {
        id: id.into(),
        at: at.parse().unwrap(),
        connected_at: at.parse().unwrap(),
        listener: "smtp 127.0.0.1:25".into(),
        connector: "default".into(),
        address,
        greeting: "mail.example.net".into(),
        server_id: pc_types::ServerId::derive(address, None),
        tls: Some("TLSv1.3".into()),
        reverse_path: "a@example.net".into(),
        recipients: vec![RecipientRow { forward_path: "b@example.org".into(), reply: "250 OK".into() }],
        message_id: Some("<1@example.net>".into()),
        octets: 12,
        verdict: Some("current".into()),
        enforcement: "pass".into(),
        outcome: "taken".into(),
        reply: "250 2.0.0 OK".into(),
        upstream: Some("exchange".into()),
        upstream_reply: Some("2.6.0 queued".into()),
        elapsed_ms: 3,
        steps: Vec::new(),
        deliveries: Vec::new(),
    }
}

fn old_client(address: &str, name: Option<&str>, refusal: &str, at: &str) -> TlsClientRow {
    let offer = pc_hello::Offer {
        hello_version: 0x0302,
        suites: vec![0xc013],
        server_name: name.map(str::to_owned),
        ja4: "t11".into(),
        ..pc_hello::Offer::default()
    };
    TlsClientRow::new("smtp", address.parse().unwrap(), refusal, Some(offer), at.parse().unwrap())
}

#[tokio::test]
async fn refused_clients_are_added_up() {
    let (_folder, store) = store().await;
    let (writer, _task) = Writer::start(store.clone());
    for minute in ["10:00", "10:05"] {
        writer.tls_client(old_client("192.0.2.9", None, "old_version", &format!("2026-11-23T{minute}:00Z")));
    }
    writer.flush().await;
    let all = TlsClientQuery { rows_max: 10, ..TlsClientQuery::default() };
    let clients = store.tls_clients(&all).await.unwrap();
    assert_eq!(clients.len(), 1);
    assert_eq!((clients[0].count, clients[0].version.as_str()), (2, "TLSv1.1"));
    assert_eq!(clients[0].offer.as_ref().unwrap().suites, [0xc013]);
    assert_eq!(clients[0].first_seen.to_string(), "2026-11-23T10:00:00Z");
    assert_eq!(clients[0].last_seen.to_string(), "2026-11-23T10:05:00Z");
}

#[tokio::test]
async fn refused_clients_are_searched_summed_up_by_name_and_forgotten() {
    let (_folder, store) = store().await;
    let (writer, _task) = Writer::start(store.clone());
    for (address, name, refusal, at) in [
        ("192.0.2.1", Some("mail.example.org"), "old_version", "2026-11-01T10:00:00Z"),
        ("192.0.2.1", Some("mail.example.org"), "old_version", "2026-11-23T10:00:00Z"),
        ("192.0.2.2", Some("mail.example.org"), "old_version", "2026-11-24T10:00:00Z"),
        ("192.0.2.2", None, "no_common_suite", "2026-11-24T11:00:00Z"),
        ("192.0.2.3", None, "fits", "2026-11-24T12:00:00Z"),
    ] {
        writer.tls_client(old_client(address, name, refusal, at));
    }
    writer.flush().await;
    let found = async |query: TlsClientQuery| {
        let rows = store.tls_clients(&TlsClientQuery { rows_max: 10, ..query }).await.unwrap();
        rows.iter().map(|row| row.address.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(found(TlsClientQuery::default()).await, ["192.0.2.2", "192.0.2.2", "192.0.2.1"]);
    let name = Some("mail.example.org".to_owned());
    assert_eq!(
        found(TlsClientQuery { server_name: name, ..TlsClientQuery::default() }).await,
        ["192.0.2.2", "192.0.2.1"]
    );
    assert_eq!(
        found(TlsClientQuery { with_fitting: true, ..TlsClientQuery::default() }).await[0],
        "192.0.2.3"
    );
    let since = Some("2026-11-24T00:00:00Z".parse().unwrap());
    assert_eq!(found(TlsClientQuery { since, ..TlsClientQuery::default() }).await.len(), 2);
    let summary =
        store.tls_summary("2026-11-20".parse().unwrap(), "2027-01-01".parse().unwrap()).await.unwrap();
    let summary: Vec<_> =
        summary.iter().map(|row| (row.server_name.as_deref(), row.clients, row.attempts)).collect();
    assert_eq!(summary, [(Some("mail.example.org"), 2, 2), (None, 1, 1)]);
    assert_eq!(store.expire_tls_clients("2026-11-24T00:00:00Z".parse().unwrap()).await.unwrap(), 3);
    assert_eq!(found(TlsClientQuery::default()).await, ["192.0.2.2", "192.0.2.2"]);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portcullis.db");
    fs::write(&path, "this is no database, and long enough to be looked at as one").unwrap();
    assert!(Store::open(&path).await.is_err());
    assert!(fs::read_to_string(&path).unwrap().starts_with("this is no database"));
}

#[test]
fn a_message_in_a_maildir_is_whole_and_a_failed_one_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let maildir = maildir::Maildir::open(folder.path()).unwrap();
    let mut rest = Cursor::new(b"body\r\n".to_vec());
    maildir.deliver("m1", &[b"Subject: x\r\n", b"\r\n"], Some(&mut rest)).unwrap();
    let written = fs::read(folder.path().join("new/m1")).unwrap();
    assert_eq!(written, b"Subject: x\r\n\r\nbody\r\n");

    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the disk failed"))
        }
    }
    assert!(maildir.deliver("m2", &[b"x"], Some(&mut Broken)).is_err());
    assert!(!folder.path().join("new/m2").exists());
    assert!(!folder.path().join("tmp/m2").exists());
}

#[tokio::test]
async fn invented_greeting_names_share_a_row_and_silent_servers_are_forgotten() {
    let (_folder, store) = store().await;
    let (writer, _task) = Writer::start(store.clone());
    let book = ServerBook::load(&store, writer.clone()).await.unwrap();
    let policy = pc_enforce::Policy::new("edge.example.org".parse().unwrap());
    let at: pc_types::Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
    for number in 0..100u16 {
        let address = std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number).into();
        let name: pc_types::Domain = format!("mail.example{number}.org").parse().unwrap();
        let id = book.id_for(address, Some(&name));
        book.change(&id, |record| (Some(pc_enforce::seen(&policy, record, &id, address, at)), ()));
    }
    assert_eq!(book.all().len(), limits::SERVERS_PER_NETWORK_MAX + 1);
    let first = "mail.example0.org".parse().unwrap();
    let address = "2001:db8::".parse().unwrap();
    assert_eq!(book.id_for(address, Some(&first)), pc_types::ServerId::derive(address, Some(&first)));
    writer.flush().await;
    assert_eq!(book.forget_silent(at), 0);
    assert_eq!(book.forget_silent(pc_types::time::add_days(at, 1)), limits::SERVERS_PER_NETWORK_MAX + 1);
    writer.flush().await;
    assert_eq!(store.servers().await.unwrap(), vec![]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_the_trace_is_not_lost_to_somebody_who_writes_meanwhile() {
    let (_folder, store) = store().await;
    let expiry = store.clone();
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let other = tokio::spawn(async move {
        let mut number = 0_i64;
        while stopped.try_recv() == Err(tokio::sync::oneshot::error::TryRecvError::Empty) {
            number += 1;
            sqlx::query("INSERT INTO pause (number, pause) VALUES (?, '')")
                .bind(number)
                .execute(&expiry.pool)
                .await
                .unwrap();
        }
    });
    for number in 0..100 {
        let rows = [trace_row(&format!("t{number:03}"), "2026-11-02T12:00:00Z")];
        store.write_trace_rows(&rows).await.unwrap();
    }
    stop.send(()).unwrap();
    other.await.unwrap();
}
