use std::collections::BTreeSet;

use pc_enforce::{Mode, Shown, Sighting, Standing, observe};
use pc_net::ManualClock;
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
    let policy = Policy { mode: Mode::Enforce, ..Policy::new("edge.example.org".parse().unwrap()) };
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
            at,
        };
        let standing = Standing::Owing {
            code: "x".into(),
            text: "out of support".into(),
            install: "=Exchange SE".into(),
        };
        let sighting =
            Sighting { id: id.clone(), address, greeting_name: Some(greeting_name.clone()), standing, shown };
        let (mut record, _) = observe(&policy, None, sighting, &[]);
        record.last_seen = "2026-02-05T00:00:00Z".parse().unwrap();
        (Some(record), ())
    });
    let admin = Admin {
        node_name: "edge.example.org".parse().unwrap(),
        clock: Clock::Manual(ManualClock::new("2026-02-05T00:00:00Z".parse().unwrap())),
        servers,
        writer,
        store,
        policy: Arc::new(ArcSwap::from_pointee(policy)),
        pauses: Vec::new(),
        judge: Arc::new(
            |build, _| json!({ "build": build, "missing": [], "cves": [{ "id": "CVE-2021-26855", "kev": true }] }),
        ),
        catalogue_as_of: "2026-10-13".parse().unwrap(),
        metrics: Metrics::detached(),
        ready: Arc::new(|| Ok(())),
    };
    Fixture { _folder: folder, admin: Arc::new(admin), id: id.to_string() }
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
    for (path, want) in
        [("/nowhere", 404), ("/servers/0123456789abcdef", 404), ("/servers/x", 404), ("/trace?ip=x", 400)]
    {
        assert_eq!(fixture.get(path).await.0, want, "{path}");
    }
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
             1 owe updates, 0 unknown, 0 in order, 0 are no on-premises Exchange\n\n\
             mail.example.net  (192.0.2.7, id {id})\n\
             \x20 shows     Exchange 2016, 15.1.2507.31\n\
             \x20 verdict   unsupported: out of support\n\
             \x20 ladder    stage 2, day 35: throttled 5 and blocked 0 minutes an hour from minute {minute}\n\
             \x20 next      stage 3 on 2026-02-10\n\
             \x20 install   =Exchange SE\n"
        )
    );
    let (_, csv) = fixture.get("/api/v1/report?format=csv").await;
    assert!(csv.contains("'=Exchange SE"), "{csv}");
    let (_, html) = fixture.get("/api/v1/report?format=html").await;
    assert!(html.contains("<style>") && !html.contains("href=\"/"), "it stands alone");
    let (_, json) = fixture.get("/api/v1/report").await;
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["owing"], 1);
    assert_eq!(fixture.get("/api/v1/report?format=pdf").await.0, 400);
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
async fn openapi_describes_every_route_and_no_other() {
    let fixture = fixture().await;
    let described = openapi();
    let paths: BTreeSet<&String> = described["paths"].as_object().unwrap().keys().collect();
    assert_eq!(paths.len(), 9);
    for (method, path, ..) in openapi::ROUTES {
        let path = path.replace("{id}", &fixture.id);
        let (status, body) =
            fixture.ask(Access::ReadOnly, &method.to_uppercase(), &path, Some(json!({}))).await;
        assert!(!matches!(status, 404 | 405), "{method} {path}: {status} {body}");
    }
    let source = include_str!("serve.rs");
    assert_eq!(source.matches(".route(\"/api/v1/").count(), paths.len());
}
