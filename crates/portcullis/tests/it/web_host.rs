//! Which requests are for somebody: Host, the name of the handshake, the plain port.

use pc_testkit::{Exchange, WebClient};

use crate::web::{Certificates, NAME, OTHER_NAME, Web, get, start_node};

/// Nothing but health checks has reached Exchange.
fn untouched(web: &Web) -> bool {
    web.exchange.requests().is_empty()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_for_a_served_name_is_answered_by_exchange() {
    let web = Web::start().await;
    for host in [NAME, "MAIL.Example.ORG", "mail.example.org:443", "mail.example.org."] {
        let response = web.ask(&format!("GET /owa/x HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert_eq!(response.status, 200, "{host}");
        assert!(response.text().contains(&format!("Host: {NAME}\n")), "{}", response.text());
    }
    let response = web.ask(&format!("GET https://{NAME}/owa/x HTTP/1.1\r\nHost: {NAME}\r\n\r\n")).await;
    assert!(
        response.text().starts_with("GET /owa/x\n"),
        "absolute form becomes origin form: {}",
        response.text()
    );
    let response = web.ask(&format!("GET /owa/x HTTP/1.0\r\nHost: {NAME}\r\n\r\n")).await;
    assert_eq!(response.status, 200, "HTTP/1.0 with Host");
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_for_nobody_is_cut_without_an_octet_and_without_exchange() {
    let web = Web::start().await;
    for (request, why) in [
        ("GET /owa/ HTTP/1.0\r\n\r\n".to_owned(), "HTTP/1.0 without Host"),
        ("GET / HTTP/1.0\r\n\r\n".into(), "the probe of http-internal-ip-disclosure"),
        ("GET /owa/ HTTP/1.1\r\n\r\n".into(), "HTTP/1.1 without Host"),
        ("GET /owa/ HTTP/1.1\r\nHost:\r\n\r\n".into(), "empty"),
        ("GET /owa/ HTTP/1.0\r\nHost:\r\n\r\n".into(), "empty in HTTP/1.0"),
        ("GET /owa/ HTTP/1.1\r\nHost: other.example.org\r\n\r\n".into(), "unknown"),
        ("GET /owa/ HTTP/1.0\r\nHost: other.example.org\r\n\r\n".into(), "unknown in HTTP/1.0"),
        ("GET /owa/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".into(), "an address"),
        ("GET /owa/ HTTP/1.1\r\nHost: [::1]\r\n\r\n".into(), "an IPv6 address"),
        (format!("GET /owa/ HTTP/1.1\r\nHost: {NAME}:80\r\n\r\n"), "another port"),
        (format!("GET https://{NAME}/owa/ HTTP/1.1\r\n\r\n"), "absolute form without Host"),
    ] {
        assert_eq!(web.raw(&request).await, "", "{why}");
    }
    assert!(untouched(&web));
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_or_doubled_host_is_answered_400_and_the_connection_closed() {
    let web = Web::start().await;
    for host in ["a@mail.example.org", "mail.example.org/", "mail.example.org,x", "mail.example.org:x", "a b"]
    {
        let answer = web.raw(&format!("GET /owa/ HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert!(
            answer.starts_with("HTTP/1.1 400 ") && answer.to_lowercase().contains("connection: close"),
            "{host}: {answer}"
        );
    }
    let twice = format!("GET /owa/ HTTP/1.1\r\nHost: {NAME}\r\nHost: {NAME}\r\n\r\n");
    assert!(web.raw(&twice).await.starts_with("HTTP/1.1 400 "));
    let conflict = format!("GET https://{OTHER_NAME}/owa/ HTTP/1.1\r\nHost: {NAME}\r\n\r\n");
    assert!(web.raw(&conflict).await.starts_with("HTTP/1.1 400 "));
    assert!(untouched(&web));
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_other_than_the_name_of_the_handshake_is_misdirected() {
    let web = Web::start().await;
    let answer = web.raw(&format!("GET /owa/ HTTP/1.1\r\nHost: {OTHER_NAME}\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 421 "), "{answer}");
    assert!(untouched(&web));
    let mut client = WebClient::connect_in_tls(web.https(), &web.tls, OTHER_NAME).await.unwrap();
    let response = client.ask(&format!("GET /owa/x HTTP/1.1\r\nHost: {OTHER_NAME}\r\n\r\n")).await.unwrap();
    assert_eq!(response.status, 200);
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_plain_port_sends_served_names_to_https_and_cuts_the_others() {
    let web = Web::start().await;
    let ask = async |request: String| {
        let mut client = WebClient::connect(web.http()).await.unwrap();
        client.write(request.as_bytes()).await.unwrap();
        client.response("GET").await
    };
    for (method, host) in [("GET", NAME.to_owned()), ("POST", format!("{NAME}:80"))] {
        let response = ask(format!("{method} /owa/?a=b HTTP/1.1\r\nHost: {host}\r\n\r\n")).await.unwrap();
        assert_eq!(response.status, 308);
        assert_eq!(response.values("Location"), [format!("https://{NAME}/owa/?a=b")]);
        assert_eq!(response.values("Strict-Transport-Security"), Vec::<&str>::new(), "RFC 6797 7.2");
    }
    for request in [
        "GET /owa/ HTTP/1.0\r\n\r\n",
        "GET /owa/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "GET /owa/ HTTP/1.1\r\n\r\n",
        "GET /owa/ HTTP/1.1\r\nHost: other.example.org\r\n\r\n",
    ] {
        assert!(ask(request.to_owned()).await.is_err(), "{request}");
    }
    assert!(untouched(&web));
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_speaks_plain_http_to_the_https_port_hears_nothing() {
    let web = Web::start().await;
    let mut client = WebClient::connect(web.https()).await.unwrap();
    client.write(get("/owa/").as_bytes()).await.unwrap();
    assert_eq!(client.rest().await, b"");
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_balancer_conveys_the_clients_address_and_nobody_else_may() {
    let web = Web::start().await;
    // PROXY v2: TCP over IPv4, from 192.0.2.7:1000 to 192.0.2.1:443.
    let header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\xc0\x00\x02\x01\x03\xe8\x01\xbb";
    let through = async |source: [u8; 4], header: &[u8]| {
        WebClient::connect_through((source.into(), header), web.https(), &web.tls, NAME).await
    };
    let mut client = through([127, 0, 0, 9], header).await.unwrap();
    let echo = client.ask(&get("/owa/x")).await.unwrap().text().to_lowercase();
    assert!(echo.contains("x-forwarded-for: 192.0.2.7\n"), "{echo}");
    assert!(through([127, 0, 0, 9], b"").await.is_err(), "a balancer owes the header");
    assert!(through([127, 0, 0, 1], header).await.is_err(), "octets that are no TLS");
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_without_sni_is_served_by_its_host() {
    let web = Web::start().await;
    // RFC 6066 3: an address is not sent as a name.
    let mut client = WebClient::connect_in_tls(web.https(), &web.tls, "127.0.0.1").await.unwrap();
    assert_eq!(client.ask(&get("/owa/x")).await.unwrap().status, 200);
    web.node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_has_begun_with_one_site_is_for_no_other() {
    let certificates = Certificates::new();
    let exchange = Exchange::start(certificates.server()).await.unwrap();
    let second = format!(
        "[[site]]\nname = \"second\"\nnames = [\"localhost\"]\naddress = \"{}\"\ntls_name = \"{NAME}\"\nca_file = \"{}\"\n",
        exchange.address,
        certificates.roots.display()
    );
    let node = start_node(&certificates, &[exchange.address], "", &second).await;
    let address = node.running.web_addresses.https[0];
    // Without SNI, so that only Host says which site is meant.
    let connect =
        async || WebClient::connect_in_tls(address, &certificates.client(), "127.0.0.1").await.unwrap();
    let other = "GET /owa/x HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut client = connect().await;
    assert_eq!(client.ask(&get("/owa/x")).await.unwrap().status, 200);
    let answer = client.ask(other).await.unwrap();
    assert_eq!((answer.status, answer.values("Connection")), (421, vec!["close"]));
    assert_eq!(connect().await.ask(other).await.unwrap().status, 200, "on a connection of its own");
    assert_eq!(exchange.requests().len(), 2);
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_for_an_authority_is_answered_under_its_own_name_and_all_else_as_ever() {
    let certificates = Certificates::new();
    let exchange = Exchange::start(certificates.server()).await.unwrap();
    let rest = certificates.toml(&[exchange.address], "", "");
    let config = pc_config::Config::parse(&format!("[[smtp.listener]]\naddress = \"127.0.0.1:0\"\n{rest}"));
    let config = config.unwrap();
    let clock = pc_net::Clock::System;
    let store = portcullis::node::certificates(&config).unwrap();
    let pack = portcullis::rule_pack::look(&config, clock.now()).unwrap().pack;
    let edge = portcullis::web_edge::edge(&config, pack, &store, clock, (None, None)).unwrap().unwrap();
    // A host for mail alone, which is no site.
    let find_proof = |token: &str| {
        (token == "tok-EN_1").then(|| ("mx.example.org".to_owned(), "tok-EN_1.thumbprint".to_owned()))
    };
    let listener =
        pc_httpd::PlainListener { name: "http".into(), find_proof: std::sync::Arc::new(find_proof) };
    let listener = std::sync::Arc::new(listener);
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let (_stopper, stop) = pc_net::Stopper::new();
    tokio::spawn(async move {
        while let Ok((stream, peer)) = socket.accept().await {
            let (edge, listener, stop) = (edge.clone(), listener.clone(), stop.clone());
            tokio::spawn(pc_httpd::serve_plain(edge, listener, stream, peer, stop));
        }
    });
    let ask = async |method: &str, host: &str, target: &str| {
        let mut client = WebClient::connect(address).await.unwrap();
        let request = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        client.ask(&request).await.ok().map(|response| (response.status, response.text().to_owned()))
    };
    let path = "/.well-known/acme-challenge/tok-EN_1";
    let own_port = format!("mx.example.org:{}", address.port());
    for host in ["mx.example.org", "MX.example.org", "mx.example.org:80", &own_port] {
        let answered = ask("GET", host, path).await;
        assert_eq!(answered, Some((200, "tok-EN_1.thumbprint".to_owned())), "{host}");
    }
    // Cut, as every name that is not served.
    assert_eq!(ask("GET", "mx.example.org", "/.well-known/acme-challenge/other").await, None);
    assert_eq!(ask("GET", "mx.example.org", &format!("{path}/")).await, None);
    assert_eq!(ask("GET", "mx.example.org", &format!("{path}?x")).await, None);
    assert_eq!(ask("POST", "mx.example.org", path).await, None);
    assert_eq!(ask("GET", "mx.example.org", "/").await, None);
    assert_eq!(ask("GET", "elsewhere.example.org", path).await, None);
    // A name that is served goes to https with whatever it asks for.
    assert_eq!(ask("GET", NAME, path).await.map(|(status, _)| status), Some(308));
    assert_eq!(ask("GET", NAME, "/owa/").await.map(|(status, _)| status), Some(308));
}
