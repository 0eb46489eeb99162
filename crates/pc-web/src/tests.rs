mod forms;

use std::collections::BTreeSet;

use pc_enforce::{Mode, Policy, ServerRecord, Shown, Sighting, Standing, observe};
use pc_net::ManualClock;
use pc_smtpd::queue::{QueueSettings, SpoolMode};
use pc_store::faults::Faults;
use pc_store::spool::Spool;
use pc_types::{ServerId, Timestamp};
use serde_json::json;

use super::*;
use crate::client::request_in_process;

struct Fixture {
    _folder: tempfile::TempDir,
    admin: Arc<Admin>,
    id: String,
}

/// One server that owes since the first of January and names itself hostilely, looked at on 5 February.
async fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("db")).await.unwrap();
    let (writer, _) = Writer::start(store.clone());
    let servers = Arc::new(ServerBook::load(&store, writer.clone()).await.unwrap());
    let policy = Policy {
        mode: Mode::Enforce,
        open_sightings: 1,
        open_hours: 0,
        ..Policy::new("edge.example.org".parse().unwrap())
    };
    let address = "192.0.2.7".parse().unwrap();
    let greeting_name: Domain = "mail.example.net".parse().unwrap();
    let id = ServerId::derive(address, Some(&greeting_name));
    let at: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    servers.change(&id, |_| {
        let shown = Shown {
            verdict: "unsupported".into(),
            product: Some("2016".into()),
            build: Some("15.1.2507.31".into()),
            update: Some("CU23 Aug23SU".into()),
            header: Some("from <script>alert(1)</script> by \"x\"".into()),
            reason: "test".into(),
            interior: Vec::new(),
            at,
        };
        let standing = Standing::Owing {
            code: "x".into(),
            text: "out of support".into(),
            install: "=Exchange SE".into(),
        };
        let sighting = Sighting {
            id: id.clone(),
            address,
            greeting_name: Some(greeting_name.clone()),
            tenant: None,
            kind: pc_enforce::ConnectorKind::default(),
            connector: pc_enforce::ConnectorMatch::none(),
            judged: standing.into(),
            shown,
        };
        let (mut record, _) = observe(&policy, None, sighting, &[]);
        record.last_seen = "2026-02-05T00:00:00Z".parse().unwrap();
        (Some(record), ())
    });
    let judge: Judge = Arc::new(
        |build, _| json!({ "build": build, "missing": [], "cves": [{ "id": "CVE-2021-26855", "kev": true }] }),
    );
    let clock = Clock::Manual(ManualClock::new("2026-02-05T00:00:00Z".parse().unwrap()));
    let attestor = Attestor {
        key_files: std::collections::BTreeMap::new(),
        book: Arc::new(pc_store::AttestationBook::load(&store).await.unwrap()),
        servers: Arc::clone(&servers),
        writer: writer.clone(),
        judge: Arc::clone(&judge),
        clock: clock.clone(),
    };
    let admin = Admin {
        node_name: "edge.example.org".parse().unwrap(),
        clock,
        attestor: Arc::new(attestor),
        servers,
        writer: writer.clone(),
        store: store.clone(),
        policies: Arc::new(ArcSwap::from_pointee(policy.into())),
        queue: empty_queue(folder.path(), writer).await,
        webhooks: Arc::new(Webhooks::new(
            "edge.example.org".parse().unwrap(),
            Vec::new(),
            store.clone(),
            Clock::System,
        )),
        tenants: vec!["example".into()],
        pauses: Arc::new(PauseBook::load(&store).await.unwrap()),
        judge,
        raise_ahead: Arc::new(|policy, record, (from, days)| {
            let at = "2026-03-01T00:00:00Z".parse().unwrap();
            let is_near = at <= pc_types::time::add_days(from, i64::from(days));
            let floor = policy.floor.name().to_owned();
            (is_near && record.standing.as_str() == "owing").then(|| pc_enforce::Raise {
                at,
                floor,
                version: 2,
                text: "is below".into(),
                install: "<SE>".into(),
            })
        }),
        catalogue_as_of: Arc::new(|| "2026-10-13".parse().unwrap()),
        reload_catalogue: Arc::new(|| Ok(json!({ "owing": 0 }))),
        metrics: Metrics::detached(),
        ready: Arc::new(|| Ok(())),
        remarks: Arc::new(|| vec!["a remark".to_owned()]),
        listeners: Arc::new(|| {
            json!([
                { "listener": "smtp 192.0.2.1:25", "address": "192.0.2.1:25", "server_name": "edge.example.org",
                  "grade": "T", "arithmetic": "30 + 30 + 36 = 96", "failed": ["a trusted issuer (<self>)"], "not_tested": [] },
                { "listener": "imap", "address": "192.0.2.1:143", "error": "nobody answers" },
            ])
        }),
        sites: Arc::new(|| json!([])),
        logins: Arc::new(Logins::new(Vec::new())),
    };
    Fixture { _folder: folder, admin: Arc::new(admin), id: id.to_string() }
}

async fn empty_queue(folder: &std::path::Path, writer: Writer) -> Arc<Queue> {
    let spool = Spool::open(&folder.join("spool"), Faults::default()).unwrap();
    let settings = QueueSettings {
        mode: SpoolMode::WhenDown,
        policy: pc_queue::Policy { expire_hours: 1, delay_report_hours: 0 },
        parallel_max: 1,
        octets_max: 1,
        reports_via: None,
        node_name: "edge.example.org".parse().unwrap(),
    };
    Queue::open(spool, settings, &[], Clock::System, writer).await.unwrap()
}

/// A transaction whose peer writes what it likes.
fn transaction(id: &str) -> pc_store::TraceRow {
    let at: Timestamp = "2026-02-05T10:00:00Z".parse().unwrap();
    let address = "192.0.2.7".parse().unwrap();
    let hostile = "<script>alert(3)</script>";
    let step = |step: &'static str, at_ms, text: &str| pc_store::StepRow {
        step: step.into(),
        at_ms,
        text: text.into(),
    };
    pc_store::TraceRow {
        id: id.into(),
        at,
        connected_at: at,
        listener: "smtp 192.0.2.1:25".into(),
        connector: "partner".into(),
        address,
        greeting: hostile.into(),
        server_id: ServerId::derive(address, None),
        tls: Some("TLSv1.3 AES".into()),
        reverse_path: "a@example.net".into(),
        recipients: vec![pc_store::RecipientRow {
            forward_path: "b@example.org".into(),
            reply: "250 OK".into(),
        }],
        message_id: Some(hostile.into()),
        octets: 12,
        verdict: Some("current".into()),
        enforcement: "pass".into(),
        outcome: "taken".into(),
        reply: "250 2.0.0 OK".into(),
        upstream: Some("exchange".into()),
        upstream_reply: Some("queued as 1".into()),
        elapsed_ms: 30,
        steps: vec![
            step("connect", 0, hostile),
            step("mail", 20, "MAIL"),
            step("data", 30, "begins"),
            step("end_of_data", 45, "12 octets"),
            step("reply", 50, "250"),
        ],
        deliveries: Vec::new(),
    }
}

impl Fixture {
    async fn ask(&self, access: Access, method: &str, path: &str, body: Option<Value>) -> (u16, String) {
        let router = router(Arc::clone(&self.admin), access);
        let (status, bytes) = request_in_process(router, method, path, body).await.unwrap();
        (status, String::from_utf8(bytes).unwrap())
    }

    async fn get(&self, path: &str) -> (u16, String) {
        self.ask(Access::ReadOnly, "GET", path, None).await
    }
}

#[tokio::test]
async fn every_page_and_route_answers_and_escapes() {
    let fixture = fixture().await;
    let server = format!("/servers/{}", fixture.id);
    for path in [
        "/",
        "/servers",
        &server,
        "/trace",
        "/spool",
        "/notices",
        "/pauses",
        "/audit",
        "/tls",
        "/style.css",
        "/metrics",
        "/healthz",
        "/readyz",
        "/api/openapi.json",
    ] {
        let (status, body) = fixture.get(path).await;
        assert_eq!(status, 200, "{path}: {body}");
        assert!(!body.contains("<script"), "{path}");
    }
    let (_, page) = fixture.get(&server).await;
    assert!(page.contains("&lt;script&gt;alert(1)"), "{page}");
    for text in [
        "<svg",
        "Stage 2, day 35",
        "Stage 3 begins on 2026-02-10",
        "CVE-2021-26855",
        "exploited",
        "Exchange SE",
    ] {
        assert!(page.contains(text), "{text}");
    }
    for (path, want) in [
        ("/nowhere", 404),
        ("/servers/0123456789abcdef", 404),
        ("/servers/x", 404),
        ("/trace?ip=x", 400),
        ("/servers?skip=x", 400),
    ] {
        assert_eq!(fixture.get(path).await.0, want, "{path}");
    }
}

#[tokio::test]
async fn the_list_of_servers_is_searched_and_turned() {
    let fixture = fixture().await;
    let link = format!("href=\"/servers/{}\"", fixture.id);
    for (query, fits) in [
        ("", true),
        ("?q=MAIL.example&standing=owing", true),
        ("?q=192.0.2.7&standing=", true),
        ("?q=2507.31", true),
        ("?q=mail.example.org", false),
        ("?q=&standing=met", false),
        ("?skip=1", false),
        ("?skip=18446744073709551615", false),
    ] {
        let (status, page) = fixture.get(&format!("/servers{query}")).await;
        assert_eq!((status, page.contains(&link)), (200, fits), "{query}");
    }
    let record = fixture.admin.servers.all().remove(0);
    for number in 0..200 {
        let id = ServerId::derive(std::net::IpAddr::from([198, 51, 100, number]), None);
        fixture.admin.servers.change(&id, |_| (Some(ServerRecord { id: id.clone(), ..record.clone() }), ()));
    }
    let (_, first) = fixture.get("/servers?q=example").await;
    assert!(
        first.contains("1 to 200 of 201.")
            && first.contains("href=\"/servers?q=example&amp;standing=&amp;skip=200\""),
        "{first}"
    );
    let (_, second) = fixture.get("/servers?q=example&standing=&skip=200").await;
    assert!(second.contains("201 to 201 of 201.") && second.contains("Those before"), "{second}");
}

#[tokio::test]
async fn writes_need_the_permit_and_are_written_down() {
    let fixture = fixture().await;
    let path = format!("/api/v1/servers/{}/exemption", fixture.id);
    let input = json!({ "reason": "migration", "owner": "mail team", "until": "2026-03-01T00:00:00Z" });
    for (method, path) in
        [("PUT", path.as_str()), ("DELETE", &path), ("DELETE", &path.replace("/exemption", ""))]
    {
        let (status, body) = fixture.ask(Access::ReadOnly, method, path, Some(input.clone())).await;
        assert_eq!(status, 403, "{body}");
        assert!(body.contains("command line"), "{body}");
    }
    let (status, body) = fixture.ask(Access::Full, "PUT", &path, Some(input)).await;
    assert_eq!(status, 200, "{body}");
    assert!(fixture.get("/api/v1/servers").await.1.contains("2026-03-01T00:00:00Z"));
    assert!(
        fixture
            .get("/api/v1/audit")
            .await
            .1
            .contains("until 2026-03-01T00:00:00Z, owner mail team: migration")
    );
    for wrong in [
        json!({}),
        json!({ "reason": "", "owner": "x", "until": "2026-03-01T00:00:00Z" }),
        json!({ "reason": "x", "owner": "x", "until": "2026-01-01T00:00:00Z" }),
    ] {
        assert_eq!(fixture.ask(Access::Full, "PUT", &path, Some(wrong)).await.0, 400);
    }
    assert_eq!(fixture.ask(Access::Full, "DELETE", &path, None).await.0, 200);
    assert!(!fixture.get("/api/v1/servers").await.1.contains("2026-03-01"));
    assert_eq!(fixture.ask(Access::Full, "DELETE", &path.replace("/exemption", ""), None).await.0, 200);
    assert_eq!(fixture.get("/api/v1/servers").await.1, "[]");
    assert_eq!(fixture.ask(Access::Full, "DELETE", &path, None).await.0, 404);
}

#[tokio::test]
async fn the_report_comes_in_four_forms() {
    let fixture = fixture().await;
    let (_, text) = fixture.get("/api/v1/report?format=text").await;
    let id = &fixture.id;
    let minute = pc_enforce::start_minute(&id.parse().unwrap());
    assert_eq!(
        text,
        format!(
            "Out-of-date server report of edge.example.org at 2026-02-05 00:00 UTC, mode enforce, catalogue of 2026-10-13\n\
             floor current version 1: in support, with every security update older than 30 days\n\
             1 owe updates, 0 unknown, 0 in order, 0 are no on-premises Exchange\n\n\
             mail.example.net  (192.0.2.7, id {id})\n\
             \x20 shows     Exchange 2016, 15.1.2507.31\n\
             \x20 verdict   unsupported: out of support\n\
             \x20 rules     connector default, mode enforce\n\
             \x20 ladder    stage 2, day 35: throttled 5 and blocked 0 minutes an hour from minute {minute}\n\
             \x20 next      stage 3 on 2026-02-10\n\
             \x20 install   =Exchange SE\n\
             \x20 open      1 vulnerability, known to be exploited: CVE-2021-26855\n"
        )
    );
    let (_, csv) = fixture.get("/api/v1/report?format=csv").await;
    assert!(csv.contains("'=Exchange SE"), "{csv}");
    let cells: Vec<usize> = csv.split_terminator("\r\n").map(|row| row.split(',').count()).collect();
    assert_eq!(cells, [25, 25], "{csv}");
    let (_, html) = fixture.get("/api/v1/report?format=html").await;
    assert!(html.contains("<style>") && !html.contains("href=\"/"), "it stands alone");
    assert!(html.contains("Install: =Exchange SE"), "{html}");
    let (_, json) = fixture.get("/api/v1/report").await;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["owing"], 1);
    assert_eq!(json["by_verdict"], json!({ "unsupported": 1 }));
    assert_eq!(json["by_stage"], json!({ "2": 1 }));
    assert_eq!(fixture.get("/api/v1/report?format=pdf").await.0, 400);
}

/// What a mail server on Windows Server 2008 R2 offers as it came: TLS 1.0.
fn hello_of_2008_r2(address: &str, listener: &str, refusal: &str) -> pc_store::TlsClientRow {
    let offer = pc_hello::Offer {
        record_version: 0x0301,
        hello_version: 0x0301,
        suites: vec![0x002f, 0x0035, 0x0005, 0x000a, 0xc013, 0xc014, 0xc009, 0xc00a],
        ja4: format!("t10i{refusal}"),
        ..pc_hello::Offer::default()
    };
    let at = "2026-02-04T00:00:00Z".parse().unwrap();
    pc_store::TlsClientRow::new(listener, address.parse().unwrap(), refusal, Some(offer), at)
}

#[tokio::test]
async fn servers_that_fail_the_handshake_are_reported_as_what_their_hello_shows_and_no_more() {
    let fixture = fixture().await;
    let (_, text) = fixture.get("/api/v1/report?format=text").await;
    assert!(!text.contains("no TLS that is spoken here"), "{text}");
    for row in [
        hello_of_2008_r2("198.51.100.1", "smtp 0.0.0.0:25", "old_version"),
        hello_of_2008_r2("198.51.100.1", "smtp 0.0.0.0:25", "no_common_suite"),
        hello_of_2008_r2("198.51.100.2", "smtp 0.0.0.0:25", "old_version"),
        // Not too old, not whole, or not mail.
        hello_of_2008_r2("198.51.100.3", "smtp 0.0.0.0:25", "handshake"),
        hello_of_2008_r2("198.51.100.4", "smtp 0.0.0.0:25", "timeout"),
        hello_of_2008_r2("198.51.100.5", "https [::]:443", "old_version"),
    ] {
        fixture.admin.writer.tls_client(row);
    }
    let (_, json) = fixture.get("/api/v1/report").await;
    let report: Value = serde_json::from_str(&json).unwrap();
    let hellos = &report["hellos"];
    assert_eq!(hellos["addresses"], 2, "{json}");
    let row = hellos["rows"].as_array().unwrap().iter().find(|row| row["address"] == "198.51.100.2").unwrap();
    let shows = "Windows Vista, 7, Server 2008 or 2008 R2 (Schannel), with Outlook 2010 and all that uses it; cannot speak TLS 1.2";
    assert_eq!((row["shows"].as_str(), row["guess"].as_str()), (Some(shows), Some("schannel_7_tls10")));
    assert!(row.get("build").is_none() && row.get("stage").is_none(), "{row}");
    assert_eq!(
        (&report["owing"], report["servers"].as_array().unwrap().len()),
        (&json!(1), 1),
        "no server is made of it"
    );
    let (_, csv) = fixture.get("/api/v1/report?format=csv").await;
    let rows: Vec<&str> =
        csv.split_terminator("\r\n").filter(|row| row.contains("too_old_for_tls")).collect();
    assert_eq!(rows.len(), 2, "{csv}");
    assert!(rows.iter().all(|row| row.contains(",not_judged,too_old_for_tls,,,")), "{rows:?}");
    let (_, text) = fixture.get("/api/v1/report?format=text").await;
    assert!(text.contains("2 addresses offer no TLS that is spoken here"), "{text}");
    let (_, html) = fixture.get("/api/v1/report?format=html").await;
    assert!(html.contains("Too old for the TLS standard") && html.contains(shows), "{html}");
}

#[tokio::test]
async fn previews_and_status_speak_of_the_same_server() {
    let fixture = fixture().await;
    let (_, preview) = fixture.get("/api/v1/preview?days=10").await;
    let rows: Value = serde_json::from_str(&preview).unwrap();
    let stages: Vec<u64> =
        rows.as_array().unwrap().iter().map(|row| row["stage"].as_u64().unwrap()).collect();
    assert_eq!(stages, [2, 3]);
    let (_, status) = fixture.get("/api/v1/status").await;
    assert_eq!(serde_json::from_str::<Value>(&status).unwrap()["servers"]["owing"], 1);
}

#[tokio::test]
async fn remarks_stand_beside_readiness_and_do_not_end_it() {
    let fixture = fixture().await;
    assert_eq!(fixture.get("/readyz").await, (200, "ready\nremark: a remark\n".to_owned()));
    let (_, status) = fixture.get("/api/v1/status").await;
    assert_eq!(serde_json::from_str::<Value>(&status).unwrap()["remarks"], json!(["a remark"]));
    assert!(fixture.get("/tls").await.1.contains("To be looked at: </strong>a remark"));
}

#[tokio::test]
async fn what_the_node_saw_of_its_listeners_is_shown_and_what_it_could_not_see_is_not_known() {
    let fixture = fixture().await;
    let (_, status) = fixture.get("/api/v1/status").await;
    assert_eq!(serde_json::from_str::<Value>(&status).unwrap()["listeners"][0]["grade"], "T");
    let (_, page) = fixture.get("/tls").await;
    for words in [
        "30 + 30 + 36 = 96",
        "a trusted issuer (&lt;self&gt;)",
        "not known",
        "could not be checked: nobody answers",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
}

#[tokio::test]
async fn openapi_describes_every_route_and_no_other() {
    let fixture = fixture().await;
    fixture.admin.writer.trace(transaction(&fixture.id));
    let described = openapi();
    let paths: BTreeSet<&String> = described["paths"].as_object().unwrap().keys().collect();
    assert_eq!(paths.len(), 30);
    for (method, path, ..) in openapi::ROUTES {
        let path = path.replace("{id}", &fixture.id);
        let (status, body) =
            fixture.ask(Access::ReadOnly, &method.to_uppercase(), &path, Some(json!({}))).await;
        let is_routed = status != 405 && !body.contains("no_route");
        assert!(is_routed, "{method} {path}: {status} {body}");
    }
    let mut routed = BTreeSet::new();
    for line in include_str!("serve.rs").lines().filter(|line| line.contains(".route(\"/api/v1/")) {
        let path = line.split('"').nth(1).unwrap();
        for method in ["get", "post", "put", "patch", "delete"] {
            let handlers =
                ["api", "attestations", "notices", "pauses", "spool", "tls_clients", "trace", "web_tally"]
                    .map(|module| format!("{method}({module}::"));
            if handlers.iter().any(|handler| line.contains(handler)) {
                routed.insert((method, path));
            }
        }
    }
    let in_document: BTreeSet<(&str, &str)> =
        openapi::ROUTES.iter().map(|(method, path, ..)| (*method, *path)).collect();
    assert_eq!(routed, in_document);
}

#[tokio::test]
async fn wrong_fields_paths_and_methods_of_the_api_are_answered_in_json() {
    let fixture = fixture().await;
    let requests = [
        ("GET", "/api/v1/preview?now=yesterday", 400, "bad_request"),
        ("GET", "/api/v1/preview?days=-1", 400, "bad_request"),
        ("GET", "/api/v1/trace?limit=all", 400, "bad_request"),
        ("GET", "/api/v1/trace?ip=192.0.2", 400, "bad_request"),
        ("GET", "/api/v1/servers/0123456789abcdef", 404, "unknown_server"),
        ("DELETE", "/api/v1/servers/0123456789abcdef", 404, "unknown_server"),
        ("GET", "/api/v1/nothing", 404, "no_route"),
        ("POST", "/api/v1/servers", 405, "wrong_method"),
    ];
    for (method, path, want, code) in requests {
        let (status, body) = fixture.ask(Access::Full, method, path, None).await;
        let body: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{path}: {body}"));
        assert_eq!((status, body["error"].as_str()), (want, Some(code)), "{path}");
        assert!(!body["message"].as_str().unwrap().is_empty());
    }
    let (status, page) = fixture.get("/trace?limit=all").await;
    assert_eq!(status, 400);
    assert!(page.contains("<nav"), "people get a page: {page}");
}

#[tokio::test]
async fn every_answer_carries_the_headers_also_refusals() {
    use tower_service::Service as _;
    let fixture = fixture().await;
    for (host, path, want) in [
        ("localhost:8080", "/", 200),
        ("EDGE.example.org", "/servers", 200),
        ("localhost", "/api/v1/status", 200),
        ("localhost", "/nowhere", 404),
        ("localhost", "/api/v1/report?format=html", 200),
        ("evil.example.com", "/", 421),
    ] {
        let mut router = router(Arc::clone(&fixture.admin), Access::ReadOnly);
        let request = axum::http::Request::builder().uri(path).header("host", host);
        let answer = router.call(request.body(axum::body::Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status().as_u16(), want, "{host}{path}");
        let header =
            |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap()).unwrap_or("");
        let policy = header("content-security-policy");
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert!(!policy.contains("script-src"), "{policy}");
        assert_eq!(policy.contains("unsafe-inline"), path.contains("format=html"), "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(header("cache-control"), "no-store");
    }
    let mut router = router(Arc::clone(&fixture.admin), Access::ReadOnly);
    let nameless = axum::http::Request::builder().uri("/").body(axum::body::Body::empty()).unwrap();
    assert_eq!(router.call(nameless).await.unwrap().status().as_u16(), 421);
}

#[tokio::test]
async fn the_socket_is_the_owners_alone_and_replaces_a_stale_one() {
    use std::os::unix::fs::PermissionsExt as _;
    let fixture = fixture().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.sock");
    let nobody = client::request(&path, "GET", "/healthz", None).await;
    assert!(matches!(nobody, Err(client::ClientError::NotRunning)));
    // What a crash leaves: the file is there, nobody listens.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let nobody = client::request(&path, "GET", "/healthz", None).await;
    assert!(matches!(nobody, Err(client::ClientError::NotRunning)));

    let (stopper, stop) = pc_net::Stopper::new();
    let router = router(Arc::clone(&fixture.admin), Access::Full);
    let serving = tokio::spawn({
        let (path, router) = (path.clone(), router.clone());
        let stop = stop.clone();
        async move { serve_unix(&path, router, stop).await }
    });
    while std::os::unix::net::UnixStream::connect(&path).is_err() {
        tokio::task::yield_now().await;
    }
    let second = serve_unix(&path, router, stop).await;
    assert_eq!(second.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let exemption = format!("/api/v1/servers/{}/exemption", fixture.id);
    let hostile = "</td><script>alert(2)</script>\"'";
    let input = json!({ "reason": hostile, "owner": "mail team", "until": "2026-03-01T00:00:00Z" });
    let (status, _) = client::request(&path, "PUT", &exemption, Some(input)).await.unwrap();
    assert_eq!(status, 200);
    let server = format!("/servers/{}", fixture.id);
    for path in [server.as_str(), "/servers", "/", "/api/v1/report?format=html"] {
        assert!(!fixture.get(path).await.1.contains("<script"), "{path}");
    }
    assert!(fixture.get(&server).await.1.contains("&lt;script&gt;alert(2)"));
    stopper.stop();
    serving.await.unwrap().unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn pages_of_an_empty_node_say_what_to_do() {
    let fixture = fixture().await;
    let path = format!("/api/v1/servers/{}", fixture.id);
    assert_eq!(fixture.ask(Access::Full, "DELETE", &path, None).await.0, 200);
    for (path, remedy) in [
        ("/", "Point one here"),
        ("/servers", "Point one here"),
        ("/trace", "refused TLS clients"),
        ("/spool", "No mail waits."),
        ("/notices", "Nobody had to be told anything."),
        ("/tls", "portcullis tls standard"),
        ("/nowhere", "href=\"/servers\""),
    ] {
        let (_, page) = fixture.get(path).await;
        assert!(page.contains(remedy), "{path}: {page}");
    }
}

#[tokio::test]
async fn a_servers_page_says_what_holds_in_words() {
    let fixture = fixture().await;
    let path = format!("/servers/{}", fixture.id);
    let minute = u32::from(pc_enforce::start_minute(&fixture.id.parse().unwrap()));
    let window = format!("Every hour deferred from minute {minute} until minute {}.", (minute + 5) % 60);
    for text in [
        "Stage 2, day 35: its mail is deferred for 5 minutes of each hour. Stage 3 begins on 2026-02-10.",
        &window,
        "Why this line: test",
        "What follows: out of support",
        "KEV: exploited",
    ] {
        let (_, page) = fixture.get(&path).await;
        assert!(page.contains(text), "{text}: {page}");
    }
    assert!(fixture.get("/").await.1.contains("stage 2</span> 1"), "the overview counts by stage");
}

#[tokio::test]
async fn a_transaction_is_searched_for_and_shown_as_a_timeline() {
    let fixture = fixture().await;
    for number in 0..3 {
        fixture.admin.writer.trace(transaction(&format!("t{number}")));
    }
    let ids = |page: &Value| -> Vec<String> {
        page["rows"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    };
    let search = async |query: &str| -> Value {
        let (status, body) = fixture.get(&format!("/api/v1/trace?{query}")).await;
        assert_eq!(status, 200, "{query}: {body}");
        serde_json::from_str(&body).unwrap()
    };
    let first = search("from=%40EXAMPLE.net&to=example.org&outcome=taken&limit=2").await;
    assert_eq!(ids(&first), ["t2", "t1"]);
    assert_eq!(first["next"], first["rows"][1]["cursor"]);
    assert!(first["rows"][0].get("steps").is_none(), "listings are short");
    let next = first["next"].as_str().unwrap();
    let second = search(&format!("from=example.net&limit=2&cursor={next}")).await;
    assert_eq!((ids(&second), &second["next"]), (vec!["t0".to_owned()], &Value::Null));
    for (query, found) in [
        ("until=2026-02-05", 3),
        ("until=2026-02-04", 0),
        ("since=2026-02-06", 0),
        ("since=2026-02-05T10:00:00Z&until=2026-02-05T10:00:01Z", 3),
        ("from=&outcome=&cursor=", 3),
        ("id=t1", 1),
        ("outcome=refused", 0),
    ] {
        assert_eq!(ids(&search(query).await).len(), found, "{query}");
    }
    for wrong in ["outcome=lost", "cursor=x", "until=never"] {
        assert_eq!(fixture.get(&format!("/api/v1/trace?{wrong}")).await.0, 400, "{wrong}");
    }
    let (_, page) = fixture.get("/trace?from=example.net&limit=2").await;
    let older = format!("/trace?from=example.net&amp;limit=2&amp;cursor={next}");
    assert!(page.contains("href=\"/trace/t2\"") && page.contains(&older), "{page}");
    let (_, page) = fixture.get("/trace/t1").await;
    for text in [
        "judging and hand-over 5 ms",
        "envelope 10 ms",
        "<svg",
        "partner",
        "queued as 1",
        "&lt;script&gt;alert(3)",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert!(!page.contains("<script"), "{page}");
    let (_, shown) = fixture.get("/api/v1/trace/t1").await;
    assert_eq!(serde_json::from_str::<Value>(&shown).unwrap()["steps"][1]["at_ms"], 20);
    for path in ["/trace/t9", "/api/v1/trace/t9"] {
        let (status, body) = fixture.get(path).await;
        assert!(status == 404 && body.contains("trace_days"), "{body}");
    }
}

#[tokio::test]
async fn the_report_rolls_up_tenants_and_speaks_microsofts_field_names() {
    let fixture = fixture().await;
    let now = fixture.admin.clock.now();
    let request = pc_enforce::PauseRequest {
        tenant: "example".into(),
        days: 10,
        from: None,
        reason: "r".into(),
        owner: "o".into(),
    };
    let granted =
        fixture.admin.pauses.change(|all, number| pc_enforce::grant(all, request, number, now)).await;
    granted.unwrap();
    let (_, report) = fixture.get("/api/v1/report").await;
    let report: Value = serde_json::from_str(&report).unwrap();
    let tenants: Vec<(&str, u64, u64, bool)> = report["tenants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tenant| {
            let number = |key: &str| tenant[key].as_u64().unwrap();
            let name = tenant["tenant"].as_str().unwrap();
            (name, number("owing"), number("pause_days_left"), tenant["paused"].as_bool().unwrap())
        })
        .collect();
    assert_eq!(tenants, [("default", 1, 90, false), ("example", 0, 80, true)]);
    let row = &report["microsoft"][0];
    assert_eq!(
        (&row["Build"], &row["ExchangeServer"]),
        (&json!("15.1.2507.31"), &json!("ExchangeServer2016"))
    );
    assert_eq!(row["FirstDetectedDate"], "2026-01-01T00:00:00Z");
    assert_eq!(row["ThrottleEnabledDate"], "2026-01-31T00:00:00Z");
    assert_eq!(row["BlockingEnabledDate"], "2026-03-02T00:00:00Z");
    assert_eq!((&row["NextStageThrottleRate"], &row["NextStageBlockRate"]), (&json!(10), &json!(0)));
    let (_, html) = fixture.get("/api/v1/report?format=html").await;
    assert!(html.contains("Tenants") && html.contains("Pause days left"), "{html}");
}
