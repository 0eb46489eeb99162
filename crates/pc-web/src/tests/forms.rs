//! Who may send which form.

use axum::body::Body;
use axum::http::Request;
use axum::http::header::{COOKIE, LOCATION, SET_COOKIE};
use http_body_util::BodyExt;
use tower_service::Service;

use super::*;

const PASSWORD: &str = "correct horse battery";

struct Answer {
    status: u16,
    location: String,
    cookie: String,
    body: String,
}

impl Fixture {
    fn set_auditor(&self) {
        let password_hash = hash_password(PASSWORD).unwrap();
        self.admin.logins.set_users(vec![User { name: "auditor".into(), password_hash }]);
    }

    async fn visit(&self, method: &str, path: &str, headers: &[(&str, &str)], form: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
        if method == "POST" {
            request = request.header("content-type", "application/x-www-form-urlencoded");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(form.to_owned())).unwrap();
        let response = router(Arc::clone(&self.admin), Access::ReadOnly).call(request).await.unwrap();
        let header = |name| response.headers().get(&name).map(|value| value.to_str().unwrap().to_owned());
        let (status, location) = (response.status().as_u16(), header(LOCATION).unwrap_or_default());
        let cookie = header(SET_COOKIE).unwrap_or_default();
        let body = response.into_body().collect().await.unwrap().to_bytes().to_vec();
        Answer { status, location, cookie, body: String::from_utf8(body).unwrap() }
    }

    /// The cookie of a session, and the token of its forms.
    async fn sign_in(&self) -> (String, String) {
        let form = format!("name=auditor&password={}", PASSWORD.replace(' ', "+"));
        let answer = self.visit("POST", "/login", &[], &form).await;
        assert_eq!((answer.status, answer.location.as_str()), (303, "/"), "{}", answer.body);
        let (cookie, rest) = answer.cookie.split_once(';').unwrap();
        assert!(rest.contains("HttpOnly") && rest.contains("SameSite=Strict"), "{rest}");
        let page = self.visit("GET", "/pauses", &[(COOKIE.as_str(), cookie)], "").await.body;
        let token = page.split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap();
        (cookie.to_owned(), token.to_owned())
    }
}

#[tokio::test]
async fn with_accounts_nothing_is_shown_to_who_is_not_signed_in() {
    let fixture = fixture().await;
    fixture.set_auditor();
    for path in ["/", "/servers", "/trace?from=a%40b", "/pauses", "/nowhere"] {
        let answer = fixture.visit("GET", path, &[], "").await;
        assert_eq!(answer.status, 303, "{path}");
        assert!(
            answer.location.starts_with("/login?next=%2F") && answer.body.is_empty(),
            "{}",
            answer.location
        );
    }
    let answer = fixture.visit("GET", "/api/v1/servers", &[], "").await;
    assert_eq!(answer.status, 401);
    assert!(answer.body.contains("command line"), "{}", answer.body);
    for path in ["/login", "/style.css", "/healthz", "/readyz", "/metrics"] {
        assert_eq!(fixture.visit("GET", path, &[], "").await.status, 200, "{path}");
    }
    let (cookie, _) = fixture.sign_in().await;
    for path in ["/", "/servers", "/api/v1/servers"] {
        assert_eq!(fixture.visit("GET", path, &[("cookie", &cookie)], "").await.status, 200, "{path}");
    }
    let (status, _) = fixture.ask(Access::Full, "GET", "/api/v1/servers", None).await;
    assert_eq!(status, 200, "the command line needs no account");
}

#[tokio::test]
async fn a_form_needs_session_token_and_own_origin_and_is_written_down_by_name() {
    let fixture = fixture().await;
    fixture.set_auditor();
    let (cookie, token) = fixture.sign_in().await;
    let (_, other_token) = fixture.sign_in().await;
    let path = format!("/servers/{}/exempt", fixture.id);
    let fields = "reason=moves&until=2026-03-01";
    let good = format!("token={token}&{fields}");
    let signed = ("cookie", cookie.as_str());
    for (headers, form, wanted) in [
        (vec![], good.clone(), 303),
        (vec![("cookie", "portcullis_session=guessed")], good.clone(), 303),
        (vec![signed], fields.to_owned(), 403),
        (vec![signed], format!("token={other_token}&{fields}"), 403),
        (vec![signed, ("sec-fetch-site", "cross-site")], good.clone(), 403),
        (vec![signed, ("sec-fetch-site", "same-site")], good.clone(), 403),
        (vec![signed], format!("token={token}&reason=&until=2026-03-01"), 400),
        (vec![signed], format!("token={token}&reason=x&until=tomorrow"), 400),
        (vec![signed], format!("token={token}&reason=x&until=2026-02-03"), 400),
        (vec![signed], format!("token={token}&reason={}&until=2026-03-01", "x".repeat(100_000)), 413),
    ] {
        let answer = fixture.visit("POST", &path, &headers, &form).await;
        assert_eq!(answer.status, wanted, "{headers:?} {}", answer.body);
    }
    assert!(!fixture.ask(Access::Full, "GET", "/api/v1/audit", None).await.1.contains("exempt"));
    let answer = fixture.visit("POST", &path, &[signed, ("sec-fetch-site", "same-origin")], &good).await;
    assert_eq!((answer.status, answer.location), (303, format!("/servers/{}", fixture.id)));
    let (_, audit) = fixture.ask(Access::Full, "GET", "/api/v1/audit", None).await;
    let audit: Value = serde_json::from_str(&audit).unwrap();
    assert_eq!((&audit[0]["actor"], &audit[0]["action"]), (&json!("auditor"), &json!("exempt")));
    let page = fixture.visit("GET", "/audit", &[signed], "").await.body;
    assert!(page.contains("auditor") && page.contains("owner auditor: moves"), "{page}");
    assert_eq!(audit[0]["reason"], "until 2026-03-02T00:00:00Z, owner auditor: moves");
    let answer = fixture.visit("POST", "/logout", &[signed], &format!("token={token}")).await;
    assert!(answer.cookie.contains("Max-Age=0"), "{}", answer.cookie);
    assert_eq!(fixture.visit("POST", &path, &[signed], &good).await.location, "/login");
}

#[tokio::test]
async fn a_pause_that_is_not_granted_comes_back_with_what_was_typed() {
    let fixture = fixture().await;
    fixture.set_auditor();
    let (cookie, token) = fixture.sign_in().await;
    let signed = [("cookie", cookie.as_str())];
    for (fields, wanted, status) in [
        ("tenant=example&days=91&reason=why", "days must be from 1 to 90", 409),
        ("tenant=example&days=many&reason=why", "is no number of days", 400),
        ("tenant=example&days=1&from=2026-13-01&reason=why", "is no date", 400),
        ("tenant=nobody&days=1&reason=why", "there is no [[tenant]]", 400),
    ] {
        let answer = fixture.visit("POST", "/pauses", &signed, &format!("token={token}&{fields}")).await;
        assert_eq!(answer.status, status, "{fields}");
        assert!(answer.body.contains(wanted) && answer.body.contains("value=\"why\""), "{}", answer.body);
    }
    let form = format!("token={token}&tenant=example&days=2&from=2026-02-05&reason=today");
    assert_eq!(fixture.visit("POST", "/pauses", &signed, &form).await.location, "/pauses");
    let page = fixture.visit("GET", "/pauses", &signed, "").await.body;
    assert!(page.contains("88 of 90 days left") && page.contains("running"), "{page}");
}

#[tokio::test]
async fn without_accounts_pages_are_read_by_everybody_and_no_form_is_taken() {
    let fixture = fixture().await;
    let page = fixture.visit("GET", "/pauses", &[], "").await;
    assert_eq!(page.status, 200);
    assert!(!page.body.contains("<form"), "{}", page.body);
    let answer = fixture.visit("POST", "/stop", &[], "stop_reason=x").await;
    assert_eq!((answer.status, answer.location.as_str()), (303, "/login"));
    let login = fixture.visit("GET", "/login", &[], "").await;
    assert!(login.status == 404 && login.body.contains("hash-password"), "{}", login.body);
}
