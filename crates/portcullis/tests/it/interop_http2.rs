//! HTTP/2 at the edge with real clients: curl, nghttp2's h2load, and Python's h2 for frames that no client may send.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pc_testkit::{Exchange, WebClient};
use serde_json::{Value, json};

use crate::support::Node;
use crate::web::{Certificates, NAME, OTHER_NAME, Web, get, start_node};

const HTTP2: &str = "http2 = true";
/// RFC 9113 7.
const PROTOCOL_ERROR: u64 = 0x1;
const HTTP_1_1_REQUIRED: u64 = 0xd;

struct Edge {
    web: Web,
    roots: PathBuf,
}

impl Edge {
    async fn start() -> Self {
        Self::start_with("", HTTP2).await
    }

    async fn start_with(https: &str, site: &str) -> Self {
        let certificates = Certificates::new();
        let exchange = Exchange::start(certificates.server()).await.unwrap();
        let node = start_node(&certificates, &[exchange.address], https, site).await;
        let roots = certificates.roots.clone();
        Self { web: Web::from_parts(exchange, node, certificates), roots }
    }

    /// The client in Python.
    fn client(&self) -> Command {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new(folder.join("../../target/python/bin/python"));
        command
            .arg(folder.join("tests/it/interop_http2/client.py"))
            .arg(self.web.https().port().to_string())
            .arg(&self.roots)
            .arg(NAME)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        command
    }

    /// What becomes of each case.
    async fn ask(&self, cases: &[Value]) -> Vec<Value> {
        let mut command = self.client();
        let input: String = cases.iter().map(|case| format!("{case}\n")).collect();
        let running = move || {
            let mut child =
                command.spawn().expect("needs h2, which `cargo xtask test` puts into target/python");
            child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
            child.wait_with_output().unwrap()
        };
        let output = tokio::task::spawn_blocking(running).await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let outcomes: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(outcomes.len(), cases.len(), "{text}");
        outcomes
    }

    async fn ask_one(&self, case: Value) -> Value {
        self.ask(&[case]).await.remove(0)
    }
}

fn field<'a>(outcome: &'a Value, name: &str) -> Vec<&'a str> {
    let fields = outcome["fields"].as_array().unwrap().iter();
    fields.filter(|field| field[0] == name).map(|field| field[1].as_str().unwrap()).collect()
}

/// The four pseudo-fields with some replaced or left out.
fn pseudo(changes: &[(&str, Option<&str>)]) -> Vec<Value> {
    let usual = [(":method", "GET"), (":scheme", "https"), (":authority", NAME), (":path", "/owa/x")];
    usual
        .iter()
        .filter_map(|(name, value)| {
            let change = changes.iter().find(|(changed, _)| changed == name);
            Some(json!([name, change.map_or(Some(*value), |(_, value)| *value)?]))
        })
        .collect()
}

fn raw(changes: &[(&str, Option<&str>)], more: &[(&str, &str)]) -> Value {
    let mut fields = pseudo(changes);
    fields.extend(more.iter().map(|(name, value)| json!([name, value])));
    json!({ "raw": fields })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_2_is_offered_for_sites_that_want_it_and_never_without_a_name() {
    let edge = Edge::start().await;
    let both = ["h2", "http/1.1"];
    let cases = [
        json!({ "alpn": both }),
        json!({ "alpn": ["http/1.1"] }),
        json!({ "alpn": ["http/1.1", "h2"] }),
        json!({ "alpn": both, "server_name": OTHER_NAME }),
    ];
    let agreed: Vec<Value> =
        edge.ask(&cases).await.iter().map(|outcome| outcome["protocol"].clone()).collect();
    assert_eq!(agreed, ["h2", "http/1.1", "h2", "h2"]);
    edge.web.node.finish().await;
    let edge = Edge::start_with("", "").await;
    let outcome = edge.ask_one(json!({ "alpn": both })).await;
    assert_eq!(outcome["protocol"], "http/1.1", "off by default");
    edge.web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_goes_on_in_http_1_1_and_its_answer_is_scrubbed_as_ever() {
    let edge = Edge::start().await;
    let crumbs =
        [("cookie", "a=b"), ("x-forwarded-for", "192.0.2.66"), ("cookie", "c=d"), ("te", "trailers")];
    let outcomes = edge
        .ask(&[
            raw(&[], &crumbs),
            json!({ "path": "/owa/leaky" }),
            json!({ "path": "/owa/" }),
            json!({ "method": "POST", "path": "/ews/x", "body": "abcde", "trailers": [["x-evil", "y"]] }),
            json!({ "method": "POST", "path": "/ews/x", "body": "abc", "fields": [["content-length", "3"]] }),
            json!({ "path": "/owa/redirect" }),
            json!({ "path": "/" }),
            json!({ "path": "/ecp/" }),
            json!({ "method": "HEAD" }),
        ])
        .await;
    let echo = outcomes[0]["body"].as_str().unwrap();
    let lower = echo.to_lowercase();
    assert!(echo.starts_with("GET /owa/x\n"), "{echo}");
    for present in [
        "host: mail.example.org\n",
        "cookie: a=b; c=d\n",
        "via: 2.0 gateway\n",
        "x-forwarded-for: 127.0.0.1\n",
    ] {
        assert!(lower.contains(present), "{present} in {echo}");
    }
    assert_eq!(lower.matches("cookie:").count(), 1, "RFC 9113 8.2.3: {echo}");
    assert!(!lower.contains("192.0.2.66") && !lower.contains("te:"), "{echo}");
    for (name, _) in pc_http::disclosure::DISCLOSING {
        assert_eq!(field(&outcomes[1], name), Vec::<&str>::new(), "{name}");
    }
    assert_eq!(field(&outcomes[1], "set-cookie").len(), 2);
    for outcome in &outcomes {
        assert_eq!(field(outcome, "strict-transport-security"), ["max-age=31536000"], "{outcome}");
        assert_eq!(field(outcome, "connection"), Vec::<&str>::new(), "{outcome}");
    }
    assert_eq!(field(&outcomes[2], "x-frame-options"), ["SAMEORIGIN"]);
    assert!(outcomes[3]["body"].as_str().unwrap().ends_with("body of 5 octets\n"), "{}", outcomes[3]);
    assert!(!outcomes[3]["body"].as_str().unwrap().contains("evil"), "{}", outcomes[3]);
    assert!(outcomes[4]["body"].as_str().unwrap().contains("ontent-length: 3\n"), "{}", outcomes[4]);
    assert_eq!(field(&outcomes[5], "location"), [format!("https://{NAME}/owa/auth/logon.aspx?a=b")]);
    assert_eq!((&outcomes[6]["status"], &outcomes[7]["status"]), (&json!(302), &json!(404)));
    assert_eq!((&outcomes[8]["status"], &outcomes[8]["body"]), (&json!(200), &json!("")));
    edge.web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_malformed_reaches_nobody() {
    let edge = Edge::start().await;
    // RFC 9113 8.1.1: the library resets the stream, or ends the connection where the state of headers is lost.
    for (what, case) in [
        ("Connection", raw(&[], &[("connection", "close")])),
        ("Keep-Alive", raw(&[], &[("keep-alive", "timeout=5")])),
        ("Proxy-Connection", raw(&[], &[("proxy-connection", "close")])),
        ("Transfer-Encoding", raw(&[], &[("transfer-encoding", "chunked")])),
        ("Upgrade", raw(&[], &[("upgrade", "websocket")])),
        ("TE other than trailers", raw(&[], &[("te", "gzip")])),
        ("no :method", raw(&[(":method", None)], &[])),
        ("no :scheme", raw(&[(":scheme", None)], &[])),
        ("no :path", raw(&[(":path", None)], &[])),
        (":path twice", raw(&[], &[(":path", "/ecp/")])),
        (":authority twice", raw(&[], &[(":authority", OTHER_NAME)])),
        (
            "a pseudo-field after others",
            json!({ "raw": [[":method", "GET"], ["a", "b"], [":path", "/owa/x"]] }),
        ),
        (":status in a request", raw(&[], &[(":status", "200")])),
        ("an unknown pseudo-field", raw(&[], &[(":evil", "x")])),
        ("an upper-case name", raw(&[], &[("X-Evil", "x")])),
        ("LF in a value", raw(&[], &[("x", "a\nb")])),
        ("CR in a value", raw(&[], &[("x", "a\rb: c")])),
        ("NUL in a value", raw(&[], &[("x", "a\0b")])),
        ("a colon in a name", raw(&[], &[("x:y", "a")])),
        ("a space in a name", raw(&[], &[("x y", "a")])),
        ("extended CONNECT", raw(&[(":method", Some("CONNECT"))], &[(":protocol", "websocket")])),
        (
            "a body longer than its length",
            json!({ "method": "POST", "path": "/ews/x", "body": "abcde", "fields": [["content-length", "3"]] }),
        ),
        (
            "a body shorter than its length",
            json!({ "method": "POST", "path": "/ews/x", "body": "a", "fields": [["content-length", "3"]] }),
        ),
    ] {
        let outcome = edge.ask_one(case).await;
        let is_refused = outcome["reset"] == PROTOCOL_ERROR
            || outcome["goaway"].as_u64().is_some_and(|code| code != 0)
            || outcome["status"] == 400;
        assert!(is_refused, "{what}: {outcome}");
    }
    // Answered by ourselves.
    for (what, status, case) in [
        ("CONNECT", 400, raw(&[(":method", Some("CONNECT")), (":scheme", None), (":path", None)], &[])),
        ("OPTIONS *", 400, raw(&[(":method", Some("OPTIONS")), (":path", Some("*"))], &[])),
        (":scheme http", 400, raw(&[(":scheme", Some("http"))], &[])),
        ("Host differs", 400, raw(&[], &[("host", OTHER_NAME)])),
        ("Host twice", 400, raw(&[], &[("host", NAME), ("host", NAME)])),
        ("userinfo", 400, raw(&[(":authority", Some("a@mail.example.org"))], &[])),
        (
            "Content-Length twice",
            400,
            json!({ "method": "POST", "path": "/ews/x", "body": "abc", "fields": [["content-length", "3"], ["content-length", "3"]] }),
        ),
        ("a body of GET", 400, json!({ "body": "abc" })),
        ("space around a value", 400, raw(&[], &[("x", " y ")])),
        ("a backslash", 400, json!({ "path": "/owa\\x" })),
        ("a long path", 414, json!({ "path": format!("/owa/{}", "a".repeat(9_000)) })),
        ("too many fields", 431, raw(&[], &[("x", "y"); 101])),
        ("another site's name", 421, raw(&[(":authority", Some(OTHER_NAME))], &[])),
        ("a method", 405, json!({ "method": "TRACE" })),
    ] {
        let outcome = edge.ask_one(case).await;
        assert_eq!(outcome["status"], status, "{what}: {outcome}");
    }
    let again =
        edge.ask_one(json!({ "raw": pseudo(&[(":authority", Some(OTHER_NAME))]), "again": true })).await;
    assert_eq!(again["again"], 200, "a wrong guess at a name leaves the connection: {again}");
    let left = edge.ask_one(json!({ "path": "/owa\\x", "to_the_end": true })).await;
    assert_eq!(
        (&left["goaway"], &left["eof"]),
        (&json!(0), &json!(true)),
        "a malformed request ends it: {left}"
    );
    let seen = edge.web.exchange.requests();
    let bodies = seen.iter().filter(|request| request.method == "POST").count();
    assert!(
        bodies <= 2 && seen.len() - bodies == 1,
        "only the sound one, and bodies that broke off: {seen:?}"
    );
    edge.web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_names_no_served_host_or_attacks_is_cut_without_an_octet() {
    let edge = Edge::start().await;
    for case in [
        raw(&[(":authority", Some("127.0.0.1"))], &[]),
        raw(&[(":authority", Some("other.example.org"))], &[]),
        raw(&[(":authority", None)], &[("host", NAME)]),
        raw(&[(":authority", None)], &[]),
        json!({ "path": "/autodiscover/autodiscover.json?x=powershell" }),
        json!({ "path": "/owa/x", "fields": [["cookie", "a=b"], ["cookie", "X-BEResource=localhost~1942062522/ecp/x?a=b~1942062522"]] }),
    ] {
        let outcome = edge.ask_one(case.clone()).await;
        let said = (&outcome["status"], &outcome["reset"], &outcome["goaway"], &outcome["eof"]);
        assert_eq!(said, (&Value::Null, &Value::Null, &Value::Null, &json!(true)), "{case}");
    }
    assert!(edge.web.exchange.requests().is_empty());
    edge.web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_of_connections_and_their_protocols_are_sent_back_to_http_1_1() {
    let edge = Edge::start_with(
        "",
        &format!(
            "{HTTP2}\nexceptions = [{{ directories = [\"powershell\"], networks = [\"127.0.0.0/8\"] }}]"
        ),
    )
    .await;
    for case in [
        json!({ "path": "/ews/login", "fields": [["authorization", "NTLM TlRMTVNTUAAB"]] }),
        json!({ "path": "/ews/login", "fields": [["authorization", "negotiate YII="]] }),
        json!({ "path": "/ews/login", "fields": [["authorization", "Basic eA=="], ["authorization", "NTLM TlRMTVNTUAAB"]] }),
        json!({ "method": "POST", "path": "/mapi/emsmdb", "body": "" }),
        json!({ "method": "RPC_OUT_DATA", "path": "/rpc/rpcproxy.dll?ex01:6001" }),
        json!({ "path": "/powershell/" }),
    ] {
        let outcome = edge.ask_one(case.clone()).await;
        assert_eq!(
            (&outcome["reset"], &outcome["status"]),
            (&json!(HTTP_1_1_REQUIRED), &Value::Null),
            "{case}"
        );
    }
    assert!(edge.web.exchange.requests().is_empty(), "no octet of them goes on");
    let offered = edge.ask_one(json!({ "path": "/ews/unauthorised" })).await;
    assert_eq!(offered["status"], 401);
    assert_eq!(field(&offered, "www-authenticate"), [format!("Basic realm=\"{NAME}\"")]);
    let only =
        edge.ask_one(json!({ "method": "POST", "path": "/ews/login", "body": "", "again": true })).await;
    assert_eq!(
        (&only["reset"], &only["again"]),
        (&json!(HTTP_1_1_REQUIRED), &json!(200)),
        "the others go on: {only}"
    );
    // The same site in HTTP/1.1.
    let mut client = edge.web.client().await;
    let mut log_in = async |token: &str| {
        let request = format!(
            "POST /ews/login HTTP/1.1\r\nHost: {NAME}\r\nAuthorization: NTLM {token}\r\nContent-Length: 0\r\n\r\n"
        );
        client.ask(&request).await.unwrap()
    };
    let challenge = log_in("TlRMTVNTUAAB").await;
    let challenge = challenge.values("WWW-Authenticate")[0].strip_prefix("NTLM ").unwrap().to_owned();
    assert_eq!(log_in(&format!("TlRMTVNTUAAD.user.{challenge}")).await.text(), "user");
    edge.web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_end_the_connection_and_reach_exchange_hardly() {
    let edge = Edge::start().await;
    for (kind, most) in [
        ("ping", 3_000),
        ("settings", 3_000),
        ("priority", 3_000),
        ("unknown", 3_000),
        ("empty_data", 3_000),
        ("continuation", 3_000),
        ("rapid_reset", 3_000),
        ("made_you_reset", 3_000),
    ] {
        let outcome = edge.ask_one(json!({ "flood": kind, "most": 100_000 })).await;
        assert!(outcome["sent"].as_u64().unwrap() < most, "{kind}: {outcome}");
        assert_eq!(outcome["eof"], true, "{kind}: {outcome}");
    }
    let reached = edge.web.exchange.requests().len();
    // 100 resets by the client and 20 of ours are allowed, and each may have come so far.
    assert!(reached <= 120, "{reached} requests of floods reached Exchange");
    let outcome = edge.ask_one(json!({})).await;
    assert_eq!(outcome["status"], 200, "others are served");
    edge.web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_one_client_share_its_connections_and_those_of_two_share_none() {
    let edge = Edge::start().await;
    let (first, second) =
        (json!({ "parallel": 60, "mark": "first" }), json!({ "parallel": 60, "mark": "second" }));
    let (first, second) = (std::slice::from_ref(&first), std::slice::from_ref(&second));
    let (first, second) = tokio::join!(edge.ask(first), edge.ask(second));
    for (outcome, mark) in [(&first[0], "first"), (&second[0], "second")] {
        for answer in outcome["answers"].as_array().unwrap() {
            let want = format!("GET /owa/{mark}-{}\n", answer[0]);
            assert_eq!(answer[1], 200);
            assert!(answer[2].as_str().unwrap().starts_with(&want), "{want}: {answer}");
        }
    }
    let requests = edge.web.exchange.requests();
    let of = |mark: &str| -> std::collections::BTreeSet<usize> {
        let mine = requests.iter().filter(|request| request.target.contains(mark));
        mine.map(|request| request.connection).collect()
    };
    assert!(of("first").is_disjoint(&of("second")), "a connection behind served two clients");
    for mark in ["first", "second"] {
        assert!(of(mark).len() <= 16, "{}", of(mark).len());
    }
    // SETTINGS_MAX_CONCURRENT_STREAMS.
    assert_eq!(first[0]["settings"]["3"], 100);
    edge.web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_one_after_another_need_one_connection_behind_and_a_client_leaves_after_a_thousand() {
    let edge = Edge::start().await;
    let outcome = edge.ask_one(json!({ "series": 1_100 })).await;
    assert_eq!(
        (&outcome["answered"], &outcome["goaway"], &outcome["eof"]),
        (&json!(1_000), &json!(0), &json!(true))
    );
    let connections: std::collections::BTreeSet<usize> =
        edge.web.exchange.requests().iter().map(|request| request.connection).collect();
    assert_eq!(connections.len(), 1);
    edge.web.exchange.wait_for_closed(1).await;
    edge.web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_waits_for_the_window_of_its_client_and_what_breaks_off_behind_ends_its_stream_alone() {
    let edge = Edge::start().await;
    let outcome = edge.ask_one(json!({ "windowless": true })).await;
    assert_eq!(outcome["first"], 10);
    assert!(outcome["whole"].as_u64().unwrap() > 100, "{outcome}");
    for path in ["/owa/drop", "/owa/break", "/owa/upgrade"] {
        let outcome = edge.ask_one(json!({ "path": path, "again": true })).await;
        assert_eq!((&outcome["reset"], &outcome["again"]), (&json!(2), &json!(200)), "{path}: {outcome}");
    }
    for path in ["/owa/last", "/owa/old"] {
        let outcome = edge.ask_one(json!({ "path": path, "again": true })).await;
        assert_eq!((&outcome["status"], &outcome["again"]), (&json!(200), &json!(200)), "{path}: {outcome}");
    }
    edge.web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_piece_of_an_answer_reaches_the_client_before_the_next_is_sent() {
    let edge = Edge::start().await;
    let feed = edge.web.exchange.feed();
    let mut child = edge.client().spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    writeln!(input, "{}", json!({ "streamed": "/Microsoft-Server-ActiveSync?Cmd=Ping" })).unwrap();
    let mut next = move || {
        tokio::task::block_in_place(|| {
            serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap()
        })
    };
    for text in ["first", "second", "third"] {
        feed.send(text.as_bytes().to_vec()).unwrap();
        assert_eq!(next()["piece"], text);
    }
    drop(feed);
    let whole = next();
    assert_eq!((&whole["status"], &whole["body"]), (&json!(200), &json!("firstsecondthird")));
    drop(input);
    child.wait().unwrap();
    edge.web.node.finish().await;
}

/// Runs a client in a process of its own; what it printed.
async fn run(mut command: Command) -> String {
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn curl(edge: &Edge, target: &str) -> Command {
    let port = edge.web.https().port();
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--show-error", "--include", "--max-time", "60", "--http2", "--cacert"])
        .arg(&edge.roots)
        .args(["--resolve", &format!("{NAME}:{port}:127.0.0.1")])
        .arg(format!("https://{NAME}:{port}{target}"));
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_speaks_http_2_uploads_and_falls_back_for_ntlm() {
    let edge = Edge::start().await;
    let shown = run(curl(&edge, "/owa/x")).await;
    assert!(shown.starts_with("HTTP/2 200"), "{shown}");
    let upload = edge.web.folder().join("upload");
    std::fs::write(&upload, vec![b'x'; 5 * 1024 * 1024]).unwrap();
    let mut command = curl(&edge, "/ews/x");
    command.arg("--data-binary").arg(format!("@{}", upload.display()));
    let shown = run(command).await;
    assert!(shown.contains("HTTP/2 200") && shown.contains("body of 5242880 octets"), "{shown}");
    let mut command = curl(&edge, "/ews/expect");
    command.args(["--header", "Expect: 100-continue", "--data", "hello"]);
    assert!(run(command).await.ends_with('5'));
    let mut command = curl(&edge, "/ews/unauthorised");
    command.args(["--ntlm", "--user", "a:b"]);
    let shown = run(command).await;
    assert!(shown.contains("HTTP/1.1 401"), "curl asks again in HTTP/1.1: {shown}");
    edge.web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h2load_gets_every_answer_of_many_streams() {
    let edge = Edge::start().await;
    let mut command = Command::new("h2load");
    let target = format!("https://{NAME}:{}/owa/x", edge.web.https().port());
    command.args(["--requests=1000", "--clients=4", "--max-concurrent-streams=20", "--connect-to"]);
    command.arg(format!("127.0.0.1:{}", edge.web.https().port())).arg(target);
    let shown = run(command).await;
    assert!(shown.contains("1000 succeeded, 0 failed, 0 errored, 0 timeout"), "{shown}");
    assert!(shown.contains("Application protocol: h2"), "{shown}");
    edge.web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_in_http_2_never_see_those_of_http_1_1_who_are_logged_in() {
    let edge = Edge::start().await;
    let mut client: WebClient = edge.web.client().await;
    let post = |fields: &str| {
        format!("POST /ews/login HTTP/1.1\r\nHost: {NAME}\r\n{fields}Content-Length: 0\r\n\r\n")
    };
    let challenge = client.ask(&post("Authorization: NTLM TlRMTVNTUAAB\r\n")).await.unwrap();
    let challenge = challenge.values("WWW-Authenticate")[0].strip_prefix("NTLM ").unwrap().to_owned();
    let token = post(&format!("Authorization: NTLM TlRMTVNTUAAD.alice.{challenge}\r\n"));
    assert_eq!(client.ask(&token).await.unwrap().text(), "alice");
    let anonymous = json!({ "method": "POST", "path": "/ews/login", "body": "" });
    for outcome in edge.ask(&vec![anonymous; 50]).await {
        assert_eq!(outcome["reset"], HTTP_1_1_REQUIRED, "nobody is logged in here: {outcome}");
        assert_eq!(client.ask(&post("")).await.unwrap().text(), "alice");
    }
    assert!(
        edge.web.exchange.requests().iter().all(|request| request.user.is_none() || request.connection == 1)
    );
    assert_eq!(client.ask(&get("/owa/x")).await.unwrap().status, 200);
    edge.web.node.finish().await;
}

/// Clients of both versions, and who is logged in on those of HTTP/1.1.
struct Crowd<'a> {
    edge: &'a Edge,
    /// With a challenge that is not answered yet, and the user.
    one: Vec<(WebClient, Option<String>, Option<String>)>,
    /// The process that has the connections of HTTP/2.
    input: std::process::ChildStdin,
    output: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Crowd<'_> {
    /// One step of a client in HTTP/1.1: a leg of a login, a request, or leaving.
    async fn step_one(&mut self, number: usize, action: u64, step: usize) {
        let (client, challenge, user) = &mut self.one[number];
        let post = |fields: &str| {
            format!(
                "POST /ews/login HTTP/1.1\r\nHost: {NAME}\r\nX-Client: one-{number}\r\n{fields}Content-Length: 0\r\n\r\n"
            )
        };
        match (action, challenge.take()) {
            (0, _) => {
                let answer = client.ask(&post("Authorization: NTLM TlRMTVNTUAAB\r\n")).await.unwrap();
                let offer = answer.values("WWW-Authenticate")[0].strip_prefix("NTLM ").unwrap().to_owned();
                (*challenge, *user) = (Some(offer), None);
            }
            (1, None) if step.is_multiple_of(16) => {
                *client = self.edge.web.client().await;
                *user = None;
            }
            (_, Some(offer)) => {
                let name = format!("user{number}-{step}");
                let token = format!("Authorization: NTLM TlRMTVNTUAAD.{name}.{offer}\r\n");
                let answer = client.ask(&post(&token)).await.unwrap();
                assert_eq!((answer.status, answer.text()), (200, name.clone()), "step {step}");
                *user = Some(name);
            }
            (_, None) => {
                let answer = client.ask(&post("")).await.unwrap();
                let seen = (answer.status == 200).then(|| answer.text());
                assert_eq!(&seen, user, "step {step}, client {number}");
            }
        }
    }

    /// Streams at once of a client in HTTP/2: pages of its own, and requests that only a login would answer. Not waited for.
    fn begin_two(&mut self, number: usize, action: u64, step: usize) {
        let mark = format!("two-{number}");
        let ask = |path: &str, more: &[[&str; 2]]| {
            let fields = [&[["x-client", mark.as_str()]], more].concat();
            json!({ "method": "POST", "path": path, "fields": fields })
        };
        let requests = [
            ask(&format!("/owa/{step}"), &[]),
            ask("/ews/login", &[]),
            ask("/ews/login", &[["authorization", "NTLM TlRMTVNTUAAB"]]),
        ];
        // A request that only a login would answer costs its connection behind, and so time.
        let count = if action == 0 { requests.len() } else { 1 };
        let case = match step % 64 {
            7 => json!({ "session": mark, "leave": true }),
            _ => json!({ "session": mark, "requests": requests[..count] }),
        };
        writeln!(self.input, "{case}").unwrap();
    }

    fn end_two(&mut self, number: usize, step: usize) {
        let line = tokio::task::block_in_place(|| self.output.next().unwrap().unwrap());
        let outcome: Value = serde_json::from_str(&line).unwrap();
        for (place, answer) in outcome["answers"].as_array().unwrap().iter().enumerate() {
            if place == 0 {
                let body = answer["body"].as_str().unwrap_or_default().to_lowercase();
                let is_own = body.starts_with(&format!("post /owa/{step}\n"))
                    && body.contains(&format!("x-client: two-{number}\n"));
                assert!(is_own, "step {step}: {answer}");
            } else {
                let got = (&answer["reset"], &answer["status"]);
                assert_eq!(got, (&json!(HTTP_1_1_REQUIRED), &Value::Null), "step {step}: {answer}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_both_versions_in_ten_thousand_interleavings_never_see_each_other() {
    let edge = Edge::start().await;
    let mut child = edge.client().spawn().unwrap();
    let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()).lines());
    let mut one = Vec::new();
    for _ in 0..3 {
        one.push((edge.web.client().await, None, None));
    }
    let mut crowd = Crowd { edge: &edge, one, input, output };
    let mut state = 20_261_126_u64;
    for step in 0..5_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (first, second) = ((state >> 33) as usize % 3, (state >> 40) as usize % 3);
        // Both at the same time: an exchange in each version.
        crowd.begin_two(second, (state >> 45) % 16, step);
        crowd.step_one(first, (state >> 50) % 3, step).await;
        crowd.end_two(second, step);
    }
    drop(crowd);
    child.wait().unwrap();
    let mut clients = std::collections::BTreeMap::new();
    for request in edge.web.exchange.requests() {
        let client = request.values("X-Client")[0].to_owned();
        assert!(client.starts_with("one") || request.user.is_none(), "{request:?}");
        assert_eq!(
            clients.entry(request.connection).or_insert(client.clone()),
            &client,
            "one connection, one client"
        );
    }
    assert!(clients.len() > 100, "{} connections: clients came and went", clients.len());
    edge.web.node.finish().await;
}

/// The one real wait of all tests; nextest begins it first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ping_of_a_minute_is_answered_in_both_versions() {
    let edge = Edge::start().await;
    let target = "/Microsoft-Server-ActiveSync/held?Cmd=Ping";
    let mut phone = edge.web.client().await;
    let request = format!("POST {target} HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 0\r\n\r\n");
    let case = json!({ "method": "POST", "path": target, "body": "" });
    let (one, two) = tokio::join!(phone.ask(&request), edge.ask_one(case));
    assert_eq!(one.unwrap().text(), "nothing came");
    assert_eq!((&two["status"], &two["body"]), (&json!(200), &json!("nothing came")));
    edge.web.node.finish().await;
}

/// The kernel's timers of a node's own sockets with this port on either side: 2 is keep-alive.
fn timers(port: u16, is_local: bool) -> Vec<String> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let established = rows.filter(|row| row[3] == "01");
    let place = if is_local { 1 } else { 2 };
    let wanted = format!(":{port:04X}");
    established.filter(|row| row[place].ends_with(&wanted)).map(|row| row[5][..2].to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tcp_asks_silent_peers_on_both_sides_whether_they_are_there() {
    let edge = Edge::start().await;
    let mut client = edge.web.client().await;
    client.write(get("/Microsoft-Server-ActiveSync/x").replace("GET", "OPTIONS").as_bytes()).await.unwrap();
    assert_eq!(client.response("OPTIONS").await.unwrap().status, 200);
    let (https, behind) = (edge.web.https().port(), edge.web.exchange.address.port());
    crate::support::until("the timers", || {
        let (near, far) = (timers(https, true), timers(behind, false));
        !near.is_empty() && !far.is_empty() && near.iter().chain(&far).all(|timer| timer == "02")
    });
    edge.web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_access_log_has_the_version_of_each_request() {
    let certificates = Certificates::new();
    let exchange = Exchange::start(certificates.server()).await.unwrap();
    let node = Node::start(&certificates.toml(&[exchange.address], "", HTTP2));
    let port = node.https.unwrap().port();
    for version in ["--http1.0", "--http1.1", "--http2"] {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--max-time", "60", version, "--cacert"]);
        command.arg(&certificates.roots).args(["--resolve", &format!("{NAME}:{port}:127.0.0.1")]);
        command.arg(format!("https://{NAME}:{port}/owa/{version}"));
        assert!(run(command).await.starts_with("GET /owa/--http"), "{version}");
    }
    for (version, shown) in [("--http1.0", "1.0"), ("--http1.1", "1.1"), ("--http2", "2")] {
        let wanted = format!("http=\"{shown}\"");
        let has = |line: &str| line.contains(&format!("path=/owa/{version} ")) && line.contains(&wanted);
        crate::support::until(version, || node.log().lines().any(has));
    }
}
