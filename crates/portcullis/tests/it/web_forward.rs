//! What goes on to Exchange and what comes back.

use crate::web::{NAME, Web, get};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_client_says_of_its_way_is_removed_and_ours_is_added() {
    let web = Web::start().await;
    let request = format!(
        "POST /EWS/echo HTTP/1.1\r\nHost: {NAME}\r\nX-Forwarded-For: 192.0.2.66\r\nX-Original-URL: /ecp/\r\nForwarded: \
         for=x\r\nVia: 1.1 x\r\nX_Evil: y\r\nConnection: keep-alive, X-Private\r\nX-Private: z\r\nUpgrade: websocket\r\nTE: \
         trailers\r\nX-AnchorMailbox: a@example.org\r\nClient-Request-Id: 5\r\nContent-Length: 3\r\n\r\nabc"
    );
    let echo = web.ask(&request).await.text();
    let lower = echo.to_lowercase();
    assert!(echo.starts_with("POST /EWS/echo\n"), "the path as it came: {echo}");
    for present in ["X-AnchorMailbox: a@example.org", "Client-Request-Id: 5", "body of 3 octets"] {
        assert!(echo.contains(present), "{present} in {echo}");
    }
    for added in [
        "x-forwarded-for: 127.0.0.1\n",
        "x-forwarded-proto: https\n",
        "via: 1.1 gateway\n",
        "x-forwarded-port: ",
    ] {
        assert!(lower.contains(added), "{added} in {echo}");
    }
    for absent in ["192.0.2.66", "/ecp/", "for=x", "1.1 x", "Evil", "Private", "pgrade", "trailers"] {
        assert!(!echo.contains(absent), "{absent} in {echo}");
    }
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_is_believed_names_those_before_it() {
    let web = Web::start_with("forwarded_for_from = [\"127.0.0.0/8\"]", "").await;
    let request = format!("GET /owa/x HTTP/1.1\r\nHost: {NAME}\r\nX-Forwarded-For: 192.0.2.66\r\n\r\n");
    let echo = web.ask(&request).await.text();
    assert!(echo.to_lowercase().contains("x-forwarded-for: 192.0.2.66, 127.0.0.1"), "{echo}");
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connection_may_not_take_a_field_that_others_judge_by() {
    let web = Web::start().await;
    for name in ["Host", "Authorization", "Cookie", "X-Forwarded-For"] {
        let request = format!("GET /owa/x HTTP/1.1\r\nHost: {NAME}\r\nConnection: close, {name}\r\n\r\n");
        assert_eq!(web.ask(&request).await.status, 400, "{name}");
    }
    assert!(web.exchange.requests().is_empty());
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_names_a_version_or_an_inner_server() {
    let web = Web::start().await;
    let response = web.get("/owa/leaky").await;
    for (name, _) in pc_http::disclosure::DISCLOSING {
        assert_eq!(response.values(name), Vec::<&str>::new(), "{name}");
    }
    assert_eq!(response.values("X-ServerApplication").len(), 1, "MAPI clients read it");
    assert_eq!(response.values("Set-Cookie").len(), 2, "cookies pass as they are");
    assert!(response.values("Set-Cookie")[0].starts_with("X-BackEndCookie=S-1-5=u56Lnp2ejJqB;"));
    let moved = web.get("/owa/redirect").await;
    assert_eq!(moved.values("Location"), [format!("https://{NAME}/owa/auth/logon.aspx?a=b")]);
    let moved = web.get("/owa/elsewhere").await;
    assert_eq!(moved.values("Location"), [format!("https://{NAME}/owa/")]);
    assert_eq!(moved.values("Content-Location"), [format!("https://{NAME}/owa")]);
    let asked = web.get("/ews/unauthorised").await;
    assert_eq!(
        asked.values("WWW-Authenticate"),
        ["Negotiate".to_owned(), "NTLM".to_owned(), format!("Basic realm=\"{NAME}\"")]
    );
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_can_let_a_field_through() {
    let web = Web::start_with("response_fields_kept = [\"X-OWA-Version\"]", "").await;
    let response = web.get("/owa/leaky").await;
    assert_eq!(response.values("X-OWA-Version"), ["15.2.2562.17"]);
    assert_eq!(response.values("Server"), Vec::<&str>::new());
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hsts_is_said_exactly_once_whoever_answers() {
    let web = Web::start().await;
    let hsts = "max-age=31536000";
    for target in ["/owa/hsts", "/owa/x", "/ews/x", "/nothing", "/"] {
        let response = web.get(target).await;
        assert_eq!(response.values("Strict-Transport-Security"), [hsts], "{target}: {}", response.status);
    }
    let refused = web.raw("GET /owa/ HTTP/1.1\r\nHost: x y\r\n\r\n").await;
    assert_eq!(refused.to_lowercase().matches("strict-transport-security").count(), 1, "{refused}");
    let refused = web.raw("GET /owa/ HTTP/1.1\nHost: x\r\n\r\n").await;
    assert_eq!(refused.matches("Strict-Transport-Security: max-age=31536000").count(), 1, "{refused}");
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn safe_fields_stand_on_owa_only() {
    let web = Web::start().await;
    let page = web.get("/owa/").await;
    assert_eq!(page.values("X-Content-Type-Options"), ["nosniff"]);
    assert_eq!(page.values("X-Frame-Options"), ["SAMEORIGIN"]);
    assert_eq!(page.values("Content-Security-Policy"), ["frame-ancestors 'self'; script-src-attr 'none'"]);
    let sign_in = web.get("/owa/auth/logon.aspx").await;
    assert_eq!(
        sign_in.values("Content-Security-Policy"),
        ["frame-ancestors 'self'"],
        "its button has onclick"
    );
    let other = web.get("/ews/x").await;
    assert_eq!(other.values("X-Content-Type-Options"), Vec::<&str>::new());
    assert_eq!(other.values("Content-Security-Policy"), Vec::<&str>::new());
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn phones_are_offered_no_windows_login_where_there_is_another() {
    let offers = async |web: &Web, target: &str| {
        let request = format!("POST {target} HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 0\r\n\r\n");
        let answer = web.ask(&request).await;
        assert_eq!(answer.status, 401, "{target}");
        answer.values("WWW-Authenticate").into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let (phone, other) = ("/Microsoft-Server-ActiveSync/unauthorised", "/ews/unauthorised");
    let basic = format!("Basic realm=\"{NAME}\"");
    let all = ["Negotiate", "NTLM", &basic];
    let web = Web::start().await;
    assert_eq!(offers(&web, phone).await, [basic.as_str()]);
    assert_eq!(offers(&web, other).await, all);
    assert_eq!(offers(&web, "/Microsoft-Server-ActiveSync/login").await, ["NTLM"], "the only one stays");
    web.node.finish().await;
    let web = Web::start_with("", "activesync_windows_logins = true").await;
    assert_eq!(offers(&web, phone).await, all);
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_open_is_not_there() {
    let web = Web::start().await;
    assert_eq!(web.get("/").await.values("Location"), ["/owa/"]);
    for target in [
        "/ecp/",
        "/PowerShell/",
        "/api/v2.0/me",
        "/aspnet_client/",
        "/owa/healthcheck.htm",
        "/EWS/mrsproxy.svc",
        "/%6fwa/x",
        "/owa/../ecp/",
        "/owa/..%2fpowershell",
        "//owa/x",
    ] {
        assert!(matches!(web.get(target).await.status, 404 | 400), "{target}");
    }
    for (method, target) in [
        ("PUT", "/owa/x"),
        ("TRACE", "/owa/x"),
        ("GET", "/Microsoft-Server-ActiveSync"),
        ("RPC_IN_DATA", "/owa/x"),
    ] {
        let request = format!("{method} {target} HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(web.ask(&request).await.status, 405, "{method} {target}");
    }
    assert!(
        web.raw(&format!("CONNECT {NAME}:443 HTTP/1.1\r\nHost: {NAME}\r\n\r\n"))
            .await
            .starts_with("HTTP/1.1 400")
    );
    assert!(
        web.raw(&format!("OPTIONS * HTTP/1.1\r\nHost: {NAME}\r\n\r\n")).await.starts_with("HTTP/1.1 400")
    );
    assert!(web.exchange.requests().is_empty());
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn networks_of_the_operator_reach_what_others_do_not() {
    let site = "exceptions = [{ directories = [\"ecp\"], networks = [\"127.0.0.0/8\"] }]\ninternal = [\"127.0.0.0/8\"]";
    let web = Web::start_with("", site).await;
    assert_eq!(web.get("/ecp/x").await.status, 200);
    assert!(web.get("/owa/healthcheck.htm").await.text().starts_with("200 OK"));
    assert_eq!(web.get("/powershell/").await.status, 404);
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn known_attacks_are_cut_before_exchange() {
    let web = Web::start().await;
    for (target, cookie) in [
        (
            "/autodiscover/autodiscover.json?@example.net/powershell/&Email=autodiscover/autodiscover.json%3f@example.net",
            "",
        ),
        ("/owa/a@example.net/%70owershell", ""),
        ("/ecp/y.js", "X-BEResource=localhost~1942062522/ecp/x?a=b~1942062522"),
        ("/ecp/x", "SecurityToken=x"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {NAME}\r\nCookie: {cookie}\r\n\r\n");
        assert_eq!(web.raw(&request).await, "", "{target}");
    }
    assert!(web.exchange.requests().is_empty());
    assert_eq!(web.get("/autodiscover/autodiscover.json/v1.0/a@example.org?Protocol=EWS").await.status, 200);
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_patch_that_only_reports_lets_the_request_through() {
    let attack = "/autodiscover/autodiscover.json?x=powershell";
    for (https, site) in [
        ("patches = \"report\"", ""),
        ("", "patches = \"report\""),
        ("patches_report_only = [\"proxynotshell\"]", ""),
        ("patches = \"block\"", "patches = \"off\""),
    ] {
        let web = Web::start_with(https, site).await;
        assert_eq!(web.get(attack).await.status, 200, "{https} {site}");
        web.node.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_patch_adds_its_directive_when_it_blocks() {
    for (https, policy) in [
        ("", "default-src 'self'; script-src-attr 'none'"),
        ("patches_report_only = [\"owa-script-attributes\"]", "default-src 'self'"),
        ("patches = \"report\"", "default-src 'self'"),
    ] {
        let web = Web::start_with(https, "").await;
        let page = web.get("/owa/default.aspx").await;
        assert_eq!(page.values("Content-Security-Policy"), [policy], "{https}");
        web.node.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_in_http_1_0_reaches_every_client_whole() {
    let web = Web::start().await;
    let response = web.get("/owa/old").await;
    assert_eq!((response.version.as_str(), response.text().as_str()), ("HTTP/1.1", "until the end"));
    assert_eq!(response.values("Connection"), ["close"], "both connections end together");
    let response = web.ask(&format!("GET /owa/old HTTP/1.0\r\nHost: {NAME}\r\n\r\n")).await;
    assert_eq!(response.text(), "until the end");
    let head = web.ask(&format!("HEAD /owa/x HTTP/1.1\r\nHost: {NAME}\r\n\r\n")).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_one_connection_go_over_one_connection_and_both_end_together() {
    let web = Web::start().await;
    let mut client = web.client().await;
    for _ in 0..3 {
        assert_eq!(client.ask(&get("/owa/x")).await.unwrap().status, 200);
    }
    let connections: Vec<usize> = web.exchange.requests().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [1, 1, 1]);
    drop(client);
    web.exchange.wait_for_closed(1).await;
    let mut client = web.client().await;
    assert_eq!(client.ask(&get("/owa/last")).await.unwrap().text(), "last");
    assert_eq!(client.rest().await, b"", "the connection behind has ended, and with it this one");
    // Behind ends: a request that gets no answer is not sent again, and the client's connection ends.
    let mut client = web.client().await;
    client.write(get("/owa/drop").as_bytes()).await.unwrap();
    assert_eq!(client.rest().await, b"");
    assert_eq!(web.exchange.requests().len(), 5);
    let mut client = web.client().await;
    client.write(get("/owa/break").as_bytes()).await.unwrap();
    let rest = String::from_utf8(client.rest().await).unwrap();
    assert!(rest.ends_with("ten octets"), "{rest}");
    let mut client = web.client().await;
    client.write(get("/owa/upgrade").as_bytes()).await.unwrap();
    assert_eq!(client.rest().await, b"", "no protocol is switched");
    web.node.finish().await;
}
