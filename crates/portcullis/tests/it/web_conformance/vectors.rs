//! Raw requests, each with the clause that it touches.

use Want::{Forward, Refuse};

use self::vector as v;

use crate::web::{NAME, OTHER_NAME};

/// What has to become of a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Exchange gets so many requests.
    Forward(usize),
    /// Exchange gets nothing.
    Refuse,
}

pub struct Vector {
    pub what: String,
    pub clause: &'static str,
    pub want: Want,
    pub octets: Vec<u8>,
}

pub struct Group {
    pub title: &'static str,
    pub vectors: Vec<Vector>,
}

fn vector(what: &str, clause: &'static str, want: Want, octets: impl Into<Vec<u8>>) -> Vector {
    Vector { what: what.to_owned(), clause, want, octets: octets.into() }
}

/// With Host and an end, so that each answer is the last.
fn get(fields: &str) -> String {
    format!("GET /owa/x HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n{fields}\r\n")
}

fn post(fields: &str, body: &str) -> String {
    format!("POST /owa/x HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n{fields}\r\n{body}")
}

fn chunked(body: &str) -> String {
    post("Transfer-Encoding: chunked\r\n", body)
}

fn target(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n")
}

fn host(lines: &str) -> String {
    format!("GET /owa/x HTTP/1.1\r\n{lines}Connection: close\r\n\r\n")
}

/// The next request that a smuggler hides.
fn hidden() -> String {
    format!("GET /owa/hidden HTTP/1.1\r\nHost: {NAME}\r\n\r\n")
}

/// What a stock hyper 1 server lets through or refuses, 48 requests.
pub fn library() -> Group {
    let many: String = (0..101).map(|number| format!("X-{number}: a\r\n")).collect();
    Group {
        title: "What the HTTP library alone accepts, and what it refuses",
        vectors: vec![
            v("An ordinary GET", "RFC 9112 3", Forward(1), get("")),
            v("POST with Content-Length", "RFC 9112 6.2", Forward(1), post("Content-Length: 5\r\n", "hello")),
            v("POST in chunks", "RFC 9112 7.1", Forward(1), chunked("5\r\nhello\r\n0\r\n\r\n")),
            v(
                "HTTP/1.0 with Host",
                "RFC 9112 3.2",
                Forward(1),
                format!("GET /owa/x HTTP/1.0\r\nHost: {NAME}\r\n\r\n"),
            ),
            v(
                "Absolute form, same host",
                "RFC 9112 3.2.2",
                Forward(1),
                target(&format!("https://{NAME}/owa/x")),
            ),
            v("No Host", "RFC 9112 3.2", Refuse, host("")),
            v("Empty Host", "RFC 9112 3.2", Refuse, host("Host:\r\n")),
            v("Host twice", "RFC 9112 3.2", Refuse, host(&format!("Host: {NAME}\r\nHost: {NAME}\r\n"))),
            v("Host that is none", "RFC 9112 3.2", Refuse, host("Host: a b\r\n")),
            v(
                "Absolute form, other host",
                "RFC 9112 3.2.2",
                Refuse,
                target(&format!("https://{OTHER_NAME}/owa/x")),
            ),
            v(
                "Bare LF after the request line",
                "RFC 9112 2.2",
                Refuse,
                get("").replacen("1.1\r\n", "1.1\n", 1),
            ),
            v("Bare LF after a field", "RFC 9112 2.2", Refuse, get("X: a\n")),
            v(
                "Bare LF at the end of the head",
                "RFC 9112 2.2",
                Refuse,
                get("").replace("\r\n\r\n", "\r\n\n"),
            ),
            v("Bare LF everywhere", "RFC 9112 2.2", Refuse, get("").replace("\r\n", "\n")),
            v("CRLF before the request", "RFC 9112 2.2", Refuse, format!("\r\n{}", get(""))),
            v("Content-Length 001", "RFC 9110 8.6", Refuse, post("Content-Length: 001\r\n", "a")),
            v(
                "Content-Length twice, equal",
                "RFC 9112 6.3",
                Refuse,
                post("Content-Length: 1\r\nContent-Length: 1\r\n", "a"),
            ),
            v(
                "Content-Length and Transfer-Encoding",
                "RFC 9112 6.3",
                Refuse,
                post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
            ),
            v(
                "Transfer-Encoding chunked, chunked",
                "RFC 9112 6.1",
                Refuse,
                post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"),
            ),
            v(
                "Transfer-Encoding gzip, chunked",
                "RFC 9112 6.1",
                Refuse,
                post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
            ),
            v(
                "Transfer-Encoding twice",
                "RFC 9112 6.1",
                Refuse,
                post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
            ),
            v(
                "Transfer-Encoding twice, the second unknown",
                "RFC 9112 6.1",
                Refuse,
                post("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", "0\r\n\r\n"),
            ),
            v("Space after a chunk's size", "RFC 9112 7.1", Refuse, chunked("1 \r\na\r\n0\r\n\r\n")),
            v("Chunk extension", "RFC 9112 7.1.1", Refuse, chunked("1;x=y\r\na\r\n0\r\n\r\n")),
            v("GET with a body", "RFC 9110 9.3.1", Refuse, get("Content-Length: 1\r\n") + "a"),
            v("Fragment in the target", "RFC 9112 3.2.1", Refuse, target("/owa/x#y")),
            v("Non-ASCII in the path", "RFC 3986 2.1", Refuse, target("/owa/\u{e4}")),
            v("Backslash in the path", "RFC 3986 3.3", Refuse, target("/owa\\x")),
            v("Dot segments inside the directory", "RFC 3986 5.2.4", Forward(1), target("/owa/a/../x")),
            v("Dot segments out of the directory", "RFC 3986 5.2.4", Refuse, target("/owa/../ecp/x")),
            v("Bare CR in a value", "RFC 9112 2.2", Refuse, get("X: a\rb\r\n")),
            v("NUL in a value", "RFC 9110 5.5", Refuse, get("X: a\0b\r\n")),
            v("A folded field", "RFC 9112 5.2", Refuse, get("X: a\r\n b\r\n")),
            v("Space before the colon", "RFC 9112 5.1", Refuse, get("X : a\r\n")),
            v("Space before the first field", "RFC 9112 2.2", Refuse, host(&format!(" Host: {NAME}\r\n"))),
            v("Two spaces in the request line", "RFC 9112 3", Refuse, get("").replacen("GET ", "GET  ", 1)),
            v("HTTP/1.2", "RFC 9110 2.5", Refuse, get("").replacen("/1.1", "/1.2", 1)),
            v("HTTP/0.9", "RFC 1945 4.1", Refuse, "GET /owa/x\r\n"),
            v(
                "Content-Length twice, different",
                "RFC 9112 6.3",
                Refuse,
                post("Content-Length: 1\r\nContent-Length: 2\r\n", "ab"),
            ),
            v("Content-Length as a list", "RFC 9112 6.3", Refuse, post("Content-Length: 1, 1\r\n", "a")),
            v("Content-Length +1", "RFC 9110 8.6", Refuse, post("Content-Length: +1\r\n", "a")),
            v(
                "Transfer-Encoding unknown",
                "RFC 9112 6.1",
                Refuse,
                post("Transfer-Encoding: x\r\n", "0\r\n\r\n"),
            ),
            v(
                "Transfer-Encoding chunked not last",
                "RFC 9112 6.1",
                Refuse,
                post("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"),
            ),
            v(
                "Transfer-Encoding chunked;x=1",
                "RFC 9112 7",
                Refuse,
                post("Transfer-Encoding: chunked;x=1\r\n", "0\r\n\r\n"),
            ),
            v(
                "Transfer-Encoding in HTTP/1.0",
                "RFC 9112 6.1",
                Refuse,
                chunked("0\r\n\r\n").replacen("/1.1", "/1.0", 1),
            ),
            v("101 more fields", "RFC 6585 5", Refuse, get(&many)),
            v("LF in a chunk extension", "RFC 9112 7.1.1", Refuse, chunked("1;a\nb\r\na\r\n0\r\n\r\n")),
            v("Chunk size 0x1", "RFC 9112 7.1", Refuse, chunked("0x1\r\na\r\n0\r\n\r\n")),
        ],
    }
}

pub fn compliance() -> Group {
    let ask = |method: &str| format!("{method} /owa/x HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n");
    Group {
        title: "Compliance",
        vectors: vec![
            v("HEAD", "RFC 9110 9.3.2", Forward(1), ask("HEAD")),
            v(
                "OPTIONS of a directory",
                "RFC 9110 9.3.7",
                Forward(1),
                ask("OPTIONS").replace("/owa/x", "/microsoft-server-activesync/x"),
            ),
            v("OPTIONS *", "RFC 9112 3.2.4", Refuse, ask("OPTIONS").replace("/owa/x", "*")),
            v("TRACE", "RFC 9110 9.3.8", Refuse, ask("TRACE")),
            v(
                "CONNECT with an authority",
                "RFC 9112 3.2.3",
                Refuse,
                format!("CONNECT {NAME}:443 HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n"),
            ),
            v("CONNECT with a path", "RFC 9112 3.2.3", Refuse, ask("CONNECT")),
            v("An unknown method", "RFC 9110 9.1", Refuse, ask("FROB")),
            v("A method in lower case", "RFC 9110 9.1", Refuse, ask("get")),
            v("Authority form with GET", "RFC 9112 3.2.3", Refuse, target(&format!("{NAME}:443"))),
            v(
                "Absolute form for another scheme",
                "RFC 9112 3.2.2",
                Forward(1),
                target(&format!("http://{NAME}/owa/x")),
            ),
            v(
                "Absolute form with userinfo",
                "RFC 9110 4.2.4",
                Refuse,
                target(&format!("https://a@{NAME}/owa/x")),
            ),
            v(
                "Absolute form without Host",
                "RFC 9112 3.2.2",
                Refuse,
                format!("GET https://{NAME}/owa/x HTTP/1.1\r\nConnection: close\r\n\r\n"),
            ),
            v(
                "Host in capitals",
                "RFC 9110 4.2.3",
                Forward(1),
                host(&format!("Host: {}\r\n", NAME.to_uppercase())),
            ),
            v("Host with port 443", "RFC 9110 7.2", Forward(1), host(&format!("Host: {NAME}:443\r\n"))),
            v("Host with another port", "RFC 9110 7.4", Refuse, host(&format!("Host: {NAME}:80\r\n"))),
            v(
                "Host with no digits after the colon",
                "RFC 3986 3.2.3",
                Refuse,
                host(&format!("Host: {NAME}:x\r\n")),
            ),
            v("Host with a path", "RFC 9112 3.2", Refuse, host(&format!("Host: {NAME}/x\r\n"))),
            v("Host with userinfo", "RFC 9110 4.2.4", Refuse, host(&format!("Host: a@{NAME}\r\n"))),
            v("Host as a list", "RFC 9112 3.2", Refuse, host(&format!("Host: {NAME}, {NAME}\r\n"))),
            v("Host is an address", "RFC 9110 7.2", Refuse, host("Host: 127.0.0.1\r\n")),
            v("Host is not served", "RFC 9110 7.4", Refuse, host("Host: other.example.org\r\n")),
            v(
                "Host of another connection's name",
                "RFC 9110 15.5.20",
                Refuse,
                host(&format!("Host: {OTHER_NAME}\r\n")),
            ),
            v("HTTP/1.0 without Host", "RFC 9112 3.2", Refuse, "GET /owa/x HTTP/1.0\r\n\r\n"),
            v(
                "Two requests in one write",
                "RFC 9112 9.3.2",
                Forward(2),
                format!("GET /owa/1 HTTP/1.1\r\nHost: {NAME}\r\n\r\n{}", get("")),
            ),
            v("A request after Connection: close", "RFC 9112 9.6", Forward(1), get("") + &hidden()),
            v(
                "Connection names close in capitals",
                "RFC 9110 7.6.1",
                Forward(1),
                get("").replace("close", "CLOSE"),
            ),
            v(
                "Expect: 100-continue",
                "RFC 9110 10.1.1",
                Forward(1),
                post("Expect: 100-continue\r\nContent-Length: 1\r\n", "a").replace("/owa/x", "/ews/expect"),
            ),
            v("Expect something else", "RFC 9110 10.1.1", Refuse, get("Expect: 200-ok\r\n")),
            v("Upgrade is not forwarded", "RFC 9110 7.8", Forward(1), get("Upgrade: websocket\r\n")),
            v(
                "Upgrade to h2c is not forwarded",
                "RFC 9113 3.1",
                Forward(1),
                get("Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"),
            ),
            v(
                "The preface of HTTP/2 without ALPN",
                "RFC 9113 3.4",
                Refuse,
                "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            ),
            v("Empty value of a field", "RFC 9110 5.5", Forward(1), get("X:\r\n")),
            v("Spaces around a value", "RFC 9112 5.1", Forward(1), get("X: \t a \t\r\n")),
            v("High octets in a value", "RFC 9110 5.5", Forward(1), get("X: \u{e4}\r\n")),
            v("Content-Length 0 with GET", "RFC 9110 8.6", Forward(1), get("Content-Length: 0\r\n")),
            v("POST without a body", "RFC 9112 6.3", Forward(1), post("", "")),
            v(
                "Chunk size in capitals and with zeros",
                "RFC 9112 7.1",
                Forward(1),
                chunked("0A\r\n0123456789\r\n0\r\n\r\n"),
            ),
            v(
                "Transfer-Encoding in capitals",
                "RFC 9112 7",
                Forward(1),
                post("Transfer-Encoding: CHUNKED\r\n", "1\r\na\r\n0\r\n\r\n"),
            ),
            v(
                "The name of a field in odd case",
                "RFC 9110 5.1",
                Forward(1),
                post("cOnTeNt-LeNgTh: 1\r\n", "a"),
            ),
            v("Query with a question mark", "RFC 3986 3.4", Forward(1), target("/owa/x?a=b?c")),
            v("Escaped slash in the path", "RFC 3986 2.2", Forward(1), target("/owa/a%2fb")),
        ],
    }
}

pub fn smuggling() -> Group {
    let te = |line: &str| post(&format!("{line}\r\n"), "0\r\n\r\n") + &hidden();
    let both = |te: &str| post(&format!("Content-Length: 4\r\n{te}\r\n"), "0\r\n\r\n") + &hidden();
    let length = |value: &str| post(&format!("Content-Length: {value}\r\n"), "a") + &hidden();
    Group {
        title: "Smuggling",
        vectors: vec![
            v(
                "Content-Length before Transfer-Encoding",
                "RFC 9112 6.3",
                Refuse,
                both("Transfer-Encoding: chunked"),
            ),
            v(
                "Transfer-Encoding before Content-Length",
                "RFC 9112 6.3",
                Refuse,
                post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "0\r\n\r\n") + &hidden(),
            ),
            v(
                "Both, in HTTP/1.0",
                "RFC 9112 6.1",
                Refuse,
                both("Transfer-Encoding: chunked").replacen("/1.1", "/1.0", 1),
            ),
            v("Both, the encoding unknown", "RFC 9112 6.1", Refuse, both("Transfer-Encoding: xchunked")),
            v("Both, a space before the colon", "RFC 9112 5.1", Refuse, both("Transfer-Encoding : chunked")),
            v("Both, a tab before the value", "RFC 9112 6.3", Refuse, both("Transfer-Encoding:\tchunked")),
            v(
                "Both, a vertical tab before the value",
                "RFC 9110 5.5",
                Refuse,
                both("Transfer-Encoding: \u{b}chunked"),
            ),
            v(
                "Both, the encoding on a folded line",
                "RFC 9112 5.2",
                Refuse,
                both("Transfer-Encoding:\r\n chunked"),
            ),
            v(
                "Both, the encoding hidden behind bare LF",
                "RFC 9112 2.2",
                Refuse,
                both("X: a\nTransfer-Encoding: chunked"),
            ),
            v(
                "Both, the encoding hidden behind bare CR",
                "RFC 9112 2.2",
                Refuse,
                both("X: a\rTransfer-Encoding: chunked"),
            ),
            v(
                "Both, an underscore for the hyphen",
                "RFC 9110 5.1",
                Forward(1),
                post("Content-Length: 1\r\nTransfer_Encoding: chunked\r\n", "a"),
            ),
            v("Both, NUL in the name", "RFC 9110 5.1", Refuse, both("Transfer\0-Encoding: chunked")),
            v("Encoding in quotes", "RFC 9112 6.1", Refuse, te("Transfer-Encoding: \"chunked\"")),
            v("Encoding with a parameter", "RFC 9112 7", Refuse, te("Transfer-Encoding: chunked; q=1")),
            v("Encoding identity", "RFC 9112 6.1", Refuse, te("Transfer-Encoding: identity")),
            v(
                "Encoding identity, chunked",
                "RFC 9112 6.1",
                Refuse,
                te("Transfer-Encoding: identity, chunked"),
            ),
            v("Encoding with a comma before", "RFC 9110 5.6.1", Refuse, te("Transfer-Encoding: , chunked")),
            v("Encoding with a comma behind", "RFC 9110 5.6.1", Refuse, te("Transfer-Encoding: chunked,")),
            v("Encoding empty", "RFC 9112 6.1", Refuse, te("Transfer-Encoding:")),
            v("Encoding with a high octet", "RFC 9112 6.1", Refuse, te("Transfer-Encoding: chunked\u{a0}")),
            v(
                "Encoding with GET",
                "RFC 9110 9.3.1",
                Refuse,
                get("Transfer-Encoding: chunked\r\n") + "0\r\n\r\n" + &hidden(),
            ),
            v("Content-Length -1", "RFC 9110 8.6", Refuse, length("-1")),
            v("Content-Length 0x1", "RFC 9110 8.6", Refuse, length("0x1")),
            v("Content-Length 1e0", "RFC 9110 8.6", Refuse, length("1e0")),
            v("Content-Length 1 1", "RFC 9110 8.6", Refuse, length("1 1")),
            v("Content-Length empty", "RFC 9110 8.6", Refuse, length("")),
            v("Content-Length 1,", "RFC 9110 8.6", Refuse, length("1,")),
            v("Content-Length in full-width digits", "RFC 9110 8.6", Refuse, length("\u{ff11}")),
            v("Content-Length over 64 bits", "RFC 9110 8.6", Refuse, length("18446744073709551617")),
            v("Content-Length 00", "RFC 9110 8.6", Refuse, length("00")),
            v("Content-Length in quotes", "RFC 9110 8.6", Refuse, length("\"1\"")),
            v(
                "Content-Length 0 with POST, then octets",
                "RFC 9112 6.3",
                Refuse,
                post("Content-Length: 0\r\n", "") + "GARBAGE\r\n\r\n",
            ),
            v(
                "HEAD with a body",
                "RFC 9110 9.3.2",
                Refuse,
                get("Content-Length: 1\r\n").replacen("GET", "HEAD", 1) + "a",
            ),
            v(
                "Connection names Content-Length",
                "RFC 9110 7.6.1",
                Refuse,
                post("Content-Length: 1\r\nConnection: Content-Length\r\n", "a"),
            ),
            v("Connection names Host", "RFC 9110 7.6.1", Refuse, get("Connection: Host\r\n")),
            v(
                "Connection names Authorization",
                "RFC 9110 7.6.1",
                Refuse,
                get("Connection: authorization\r\n"),
            ),
            v("Connection names Cookie", "RFC 9110 7.6.1", Refuse, get("Connection: Cookie\r\n")),
            v(
                "Connection names X-Forwarded-For",
                "RFC 9110 7.6.1",
                Refuse,
                get("Connection: x-forwarded-for\r\n"),
            ),
            v("Chunk size with a sign", "RFC 9112 7.1", Refuse, chunked("+1\r\na\r\n0\r\n\r\n")),
            v("Chunk size with a space before", "RFC 9112 7.1", Refuse, chunked(" 1\r\na\r\n0\r\n\r\n")),
            v("Chunk size with a tab behind", "RFC 9112 7.1", Refuse, chunked("1\t\r\na\r\n0\r\n\r\n")),
            v("Chunk size empty", "RFC 9112 7.1", Refuse, chunked("\r\na\r\n0\r\n\r\n")),
            v("Chunk size with an underscore", "RFC 9112 7.1", Refuse, chunked("1_0\r\na\r\n0\r\n\r\n")),
            v(
                "Chunk size over 64 bits",
                "RFC 9112 7.1",
                Refuse,
                chunked("10000000000000001\r\na\r\n0\r\n\r\n"),
            ),
            v("Chunk longer than its size", "RFC 9112 7.1", Refuse, chunked("1\r\nab\r\n0\r\n\r\n")),
            v("Bare LF after a chunk's size", "RFC 9112 7.1", Refuse, chunked("1\na\r\n0\r\n\r\n")),
            v("Bare LF after a chunk's data", "RFC 9112 7.1", Refuse, chunked("1\r\na\n0\r\n\r\n")),
            v("Bare CR after a chunk's size", "RFC 9112 7.1", Refuse, chunked("1\ra\r\n0\r\n\r\n")),
            v(
                "Bare semicolon after a chunk's size",
                "RFC 9112 7.1.1",
                Refuse,
                chunked("1;\r\na\r\n0\r\n\r\n"),
            ),
            v("CR in a chunk extension", "RFC 9112 7.1.1", Refuse, chunked("1;a\rb\r\na\r\n0\r\n\r\n")),
            v("Bare LF ends the chunks", "RFC 9112 7.1", Refuse, chunked("0\r\n\n")),
            v("Trailer field", "RFC 9112 7.1.2", Refuse, chunked("0\r\nX: a\r\n\r\n")),
            v("Trailer Content-Length", "RFC 9110 6.5.1", Refuse, chunked("0\r\nContent-Length: 5\r\n\r\n")),
            v("A request hidden in a chunk is a body", "RFC 9112 7.1", Forward(1), {
                let hidden = hidden();
                chunked(&format!("{:x}\r\n{hidden}\r\n0\r\n\r\n", hidden.len()))
            }),
        ],
    }
}

pub fn malformed() -> Group {
    let field = |line: &str| get(&format!("{line}\r\n"));
    let line = |line: &str| format!("{line}\r\nHost: {NAME}\r\nConnection: close\r\n\r\n");
    Group {
        title: "Malformed",
        vectors: vec![
            v("Octets that are no HTTP", "RFC 9112 3", Refuse, "\u{1}\u{2}\u{3}\r\n\r\n"),
            v("A hello of TLS inside TLS", "RFC 9112 3", Refuse, [22, 3, 1, 0, 5, 1, 0, 0, 1, 3, 13, 10]),
            v("SMTP", "RFC 9112 3", Refuse, "EHLO mail.example.org\r\n"),
            v("An empty line alone", "RFC 9112 2.2", Refuse, "\r\n\r\n"),
            v("A method with a forbidden octet", "RFC 9110 9.1", Refuse, line("G(T /owa/x HTTP/1.1")),
            v("No method", "RFC 9112 3", Refuse, line(" /owa/x HTTP/1.1")),
            v("A tab for the space", "RFC 9112 3", Refuse, line("GET\t/owa/x HTTP/1.1")),
            v("A space at the end of the line", "RFC 9112 3", Refuse, line("GET /owa/x HTTP/1.1 ")),
            v("A space in the target", "RFC 9112 3.2", Refuse, line("GET /owa/x y HTTP/1.1")),
            v("A target that is no path", "RFC 9112 3.2", Refuse, target("owa/x")),
            v("NUL in the target", "RFC 3986 2.1", Refuse, target("/owa/\0x")),
            v("DEL in the target", "RFC 3986 2.1", Refuse, target("/owa/\u{7f}x")),
            v("Escaped NUL in the path", "RFC 3986 7.3", Refuse, target("/owa/%00x")),
            v("Escaped line end in the path", "RFC 3986 7.3", Refuse, target("/owa/%0d%0ax")),
            v("A percent sign without digits", "RFC 3986 2.1", Refuse, target("/owa/%zz")),
            v("A percent sign at the end", "RFC 3986 2.1", Refuse, target("/owa/%")),
            v("Overlong UTF-8 in the path", "RFC 3629 3", Refuse, target("/owa/%c0%af..")),
            v("Escaped three times", "RFC 3986 2.4", Refuse, target("/owa/%25252e")),
            v("Escaped dots out of the root", "RFC 3986 5.2.4", Refuse, target("/owa/%2e%2e/%2e%2e/x")),
            v("Version in lower case", "RFC 9112 2.3", Refuse, line("GET /owa/x http/1.1")),
            v("HTTP/2.0 in the line", "RFC 9112 2.3", Refuse, line("GET /owa/x HTTP/2.0")),
            v("HTTP/1.10", "RFC 9112 2.3", Refuse, line("GET /owa/x HTTP/1.10")),
            v("HTTP/01.1", "RFC 9112 2.3", Refuse, line("GET /owa/x HTTP/01.1")),
            v("HTTP/1", "RFC 9112 2.3", Refuse, line("GET /owa/x HTTP/1")),
            v("HTTPS/1.1", "RFC 9112 2.3", Refuse, line("GET /owa/x HTTPS/1.1")),
            v("A field without a colon", "RFC 9112 5", Refuse, field("X")),
            v("A field without a name", "RFC 9112 5", Refuse, field(": a")),
            v("A name with a space", "RFC 9110 5.1", Refuse, field("X Y: a")),
            v("A name with a high octet", "RFC 9110 5.1", Refuse, field("X\u{e4}: a")),
            v("A name with a parenthesis", "RFC 9110 5.1", Refuse, field("X(: a")),
            v("A control octet in a value", "RFC 9110 5.5", Refuse, field("X: a\u{1}b")),
            v("DEL in a value", "RFC 9110 5.5", Refuse, field("X: a\u{7f}b")),
            v("Escape of a terminal in a value", "RFC 9110 5.5", Refuse, field("X: \u{1b}[31m")),
            v(
                "A request line of 9 KiB",
                "RFC 9112 3",
                Refuse,
                target(&format!("/owa/{}", "a".repeat(9 * 1024))),
            ),
            v("A field of 70 KiB", "RFC 6585 5", Refuse, field(&format!("X: {}", "a".repeat(70 * 1024)))),
            v("A name of 70 KiB", "RFC 6585 5", Refuse, field(&format!("{}: a", "a".repeat(70 * 1024)))),
        ],
    }
}
