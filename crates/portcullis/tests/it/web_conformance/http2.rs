//! Connections in HTTP/2, each with the clause that it touches.

use super::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING, PREFACE, PRIORITY,
    PUSH_PROMISE, RST_STREAM, SETTINGS, Sent, WINDOW_UPDATE, WITH_PRIORITY, block, frame, headers, octets,
};
use crate::web::{NAME, OTHER_NAME};

/// What has to become of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Exchange may have got the head; it gets no whole request, and the client no answer of its.
    BreakOff,
    /// Exchange gets one request, and the client its answer.
    Forward,
    /// Exchange gets nothing.
    Refuse,
}

pub struct Vector {
    pub what: String,
    pub clause: &'static str,
    pub want: Want,
    /// The preface and SETTINGS stand before.
    pub is_greeted: bool,
    pub sent: Vec<Sent>,
    /// So many times.
    pub times: usize,
    /// The end of any stream is an answer; else the connection's alone.
    pub watches_streams: bool,
}

pub struct Group {
    pub title: &'static str,
    pub vectors: Vec<Vector>,
}

const WHOLE: u8 = END_STREAM | END_HEADERS;

fn v(what: &str, clause: &'static str, want: Want, sent: Vec<Sent>) -> Vector {
    Vector { what: what.to_owned(), clause, want, is_greeted: true, sent, times: 1, watches_streams: true }
}

fn usual(method: &'static str) -> Vec<(&'static str, &'static str)> {
    vec![(":method", method), (":scheme", "https"), (":authority", NAME), (":path", "/owa/x")]
}

fn get(stream: u32) -> Sent {
    headers(WHOLE, stream, &usual("GET"))
}

/// GET with further fields.
fn with(fields: &[(&'static str, &'static str)]) -> Vec<Sent> {
    vec![headers(WHOLE, 1, &[&usual("GET"), fields].concat())]
}

/// GET with one of the pseudo-fields replaced.
fn instead(name: &'static str, value: &'static str) -> Vec<Sent> {
    let fields: Vec<_> = usual("GET")
        .into_iter()
        .map(|(one, before)| (one, if one == name { value } else { before }))
        .collect();
    vec![headers(WHOLE, 1, &fields)]
}

/// GET without one of the pseudo-fields, and with further fields.
fn without(name: &str, fields: &[(&'static str, &'static str)]) -> Vec<Sent> {
    let left: Vec<_> = usual("GET").into_iter().filter(|(one, _)| *one != name).collect();
    vec![headers(WHOLE, 1, &[&left, fields].concat())]
}

/// The head of a POST, whose body follows.
fn post(stream: u32, fields: &[(&'static str, &'static str)]) -> Sent {
    headers(END_HEADERS, stream, &[&usual("POST"), fields].concat())
}

fn data(flags: u8, stream: u32, body: &[u8]) -> Sent {
    frame(DATA, flags, stream, body, &String::from_utf8_lossy(body))
}

fn setting(name: u8, value: u32) -> Sent {
    let payload = [&[0, name][..], &value.to_be_bytes()].concat();
    frame(SETTINGS, 0, 0, &payload, &format!("0x{name:x} = {value}"))
}

fn window_update(stream: u32, increment: u32) -> Sent {
    frame(WINDOW_UPDATE, 0, stream, &increment.to_be_bytes(), &increment.to_string())
}

fn ping(stream: u32, payload: &[u8]) -> Sent {
    frame(PING, 0, stream, payload, "")
}

/// What is served.
pub fn served() -> Group {
    use Want::Forward;
    let whole = block(&usual("GET"));
    let (first, rest) = whole.split_at(20);
    let (second, third) = rest.split_at(20);
    let padded = [&[3][..], &whole, &[0; 3]].concat();
    let priority = [&[0, 0, 0, 0, 15][..], &whole].concat();
    Group {
        title: "HTTP/2: what is served",
        vectors: vec![
            v("A GET", "RFC 9113 8.1", Forward, vec![get(1)]),
            v(
                "A POST with its body",
                "RFC 9113 8.1",
                Forward,
                vec![post(1, &[("content-length", "5")]), data(END_STREAM, 1, b"hello")],
            ),
            v(
                "A body without a length",
                "RFC 9113 8.1",
                Forward,
                vec![post(1, &[]), data(0, 1, b"hel"), data(END_STREAM, 1, b"lo")],
            ),
            v(
                "Trailers, which end here",
                "RFC 9113 8.1",
                Forward,
                vec![post(1, &[]), data(0, 1, b"hello"), headers(WHOLE, 1, &[("x-checksum", "1")])],
            ),
            v(
                "A header in three frames",
                "RFC 9113 6.10",
                Forward,
                vec![
                    frame(HEADERS, END_STREAM, 1, first, "begin"),
                    frame(CONTINUATION, 0, 1, second, "middle"),
                    frame(CONTINUATION, END_HEADERS, 1, third, "end"),
                ],
            ),
            v(
                "Padding",
                "RFC 9113 6.2",
                Forward,
                vec![frame(HEADERS, WHOLE | PADDED, 1, &padded, "GET, 3 octets of padding")],
            ),
            v(
                "Priority in HEADERS",
                "RFC 9113 6.2",
                Forward,
                vec![frame(HEADERS, WHOLE | WITH_PRIORITY, 1, &priority, "GET")],
            ),
            v(
                "PRIORITY",
                "RFC 9113 6.3",
                Forward,
                vec![frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 15], "on 3"), get(1)],
            ),
            v(
                "A frame of an unknown type",
                "RFC 9113 5.5",
                Forward,
                vec![frame(0xfa, 0xff, 1, b"x", "x"), get(1)],
            ),
            v("An unknown setting", "RFC 9113 6.5.2", Forward, vec![setting(0xfa, 7), get(1)]),
            v(
                "The reserved bit",
                "RFC 9113 4.1",
                Forward,
                vec![frame(HEADERS, WHOLE, 0x8000_0001, &whole, "GET, reserved bit set")],
            ),
            v("PING", "RFC 9113 6.7", Forward, vec![ping(0, b"12345678"), get(1)]),
            v(
                "GOAWAY after a request",
                "RFC 9113 6.8",
                Forward,
                vec![get(1), frame(GOAWAY, 0, 0, &[0; 8], "NO_ERROR")],
            ),
            v("TE: trailers", "RFC 9113 8.2.2", Forward, with(&[("te", "trailers")])),
            v(
                "Crumbs of Cookie, which become one field",
                "RFC 9113 8.2.3",
                Forward,
                with(&[("cookie", "a=b"), ("cookie", "c=d")]),
            ),
            v("Host that is :authority", "RFC 9113 8.3.1", Forward, with(&[("host", NAME)])),
            v("A setting that forbids pushes", "RFC 9113 6.5.2", Forward, vec![setting(2, 0), get(1)]),
        ],
    }
}

/// What the library takes although it is malformed; what is wrong with it ends there, and Exchange gets a plain request.
pub fn tolerated() -> Group {
    use Want::Forward;
    Group {
        title: "HTTP/2: malformed, and served without what is wrong",
        vectors: vec![
            v(":path with a fragment, which is cut", "RFC 9113 8.3.1", Forward, instead(":path", "/owa/x#y")),
            v(
                "Pseudo-fields in trailers, which end here",
                "RFC 9113 8.1",
                Forward,
                vec![post(1, &[]), headers(WHOLE, 1, &[(":path", "/owa/y")])],
            ),
            Vector {
                is_greeted: false,
                ..v(
                    "No SETTINGS after the preface",
                    "RFC 9113 3.4",
                    Forward,
                    vec![octets(PREFACE), ping(0, b"12345678"), get(1)],
                )
            },
        ],
    }
}

/// Requests that are malformed or for somebody else.
pub fn requests() -> Group {
    use Want::{BreakOff, Refuse};
    let mut vectors = Vec::new();
    for (what, name) in [("No :method", ":method"), ("No :scheme", ":scheme"), ("No :path", ":path")] {
        vectors.push(v(what, "RFC 9113 8.3.1", Refuse, without(name, &[])));
    }
    for (what, clause, name, value) in [
        ("An empty :path", "RFC 9113 8.3.1", ":path", ""),
        (":path without a slash", "RFC 9113 8.3.1", ":path", "owa/x"),
        (":path with a space", "RFC 9113 8.3.1", ":path", "/owa/x y"),
        (":path with a backslash", "RFC 3986 3.3", ":path", "/owa\\x"),
        (":scheme http", "RFC 9113 8.3.1", ":scheme", "http"),
        (":authority of another site's certificate", "RFC 9110 7.4", ":authority", OTHER_NAME),
        (":authority that is not served", "RFC 9110 7.4", ":authority", "other.example.org"),
        (":authority that is an address", "RFC 9110 7.4", ":authority", "192.0.2.1"),
        (":authority with a user", "RFC 9113 8.3.1", ":authority", "a@mail.example.org"),
        ("An empty :authority", "RFC 9113 8.3.1", ":authority", ""),
        ("A method that is none", "RFC 9110 9.1", ":method", "G T"),
        ("TRACE", "RFC 9110 9.3.8", ":method", "TRACE"),
    ] {
        vectors.push(v(what, clause, Refuse, instead(name, value)));
    }
    for (what, clause, fields) in [
        (":path twice", "RFC 9113 8.3", &[(":path", "/ecp/")][..]),
        (":authority twice", "RFC 9113 8.3", &[(":authority", OTHER_NAME)]),
        ("A pseudo-field after a field", "RFC 9113 8.3", &[("a", "b"), (":path", "/owa/y")]),
        (":status in a request", "RFC 9113 8.3", &[(":status", "200")]),
        ("An unknown pseudo-field", "RFC 9113 8.3", &[(":x", "y")]),
        ("An upper-case name", "RFC 9113 8.2.1", &[("X-Y", "z")]),
        ("A name with a space", "RFC 9113 8.2.1", &[("x y", "z")]),
        ("A name with a colon", "RFC 9113 8.2.1", &[("x:y", "z")]),
        ("A name of no octet", "RFC 9113 8.2.1", &[("", "z")]),
        ("NUL in a name", "RFC 9113 8.2.1", &[("x\0", "z")]),
        ("LF in a value", "RFC 9113 8.2.1", &[("x", "a\nb: c")]),
        ("CR in a value", "RFC 9113 8.2.1", &[("x", "a\rb: c")]),
        ("NUL in a value", "RFC 9113 8.2.1", &[("x", "a\0b")]),
        ("A space before a value", "RFC 9113 8.2.1", &[("x", " y")]),
        ("A tab after a value", "RFC 9113 8.2.1", &[("x", "y\t")]),
        ("Connection", "RFC 9113 8.2.2", &[("connection", "close")]),
        ("Keep-Alive", "RFC 9113 8.2.2", &[("keep-alive", "timeout=5")]),
        ("Proxy-Connection", "RFC 9113 8.2.2", &[("proxy-connection", "close")]),
        ("Transfer-Encoding", "RFC 9113 8.2.2", &[("transfer-encoding", "chunked")]),
        ("Upgrade", "RFC 9113 8.2.2", &[("upgrade", "websocket")]),
        ("TE other than trailers", "RFC 9113 8.2.2", &[("te", "gzip")]),
        ("Host that is not :authority", "RFC 9113 8.3.1", &[("host", OTHER_NAME)]),
        ("Host twice", "RFC 9112 3.2", &[("host", NAME), ("host", NAME)]),
        ("A length and no body", "RFC 9113 8.1.1", &[("content-length", "5")]),
        ("Content-Length +1", "RFC 9110 8.6", &[("content-length", "+1")]),
        ("Content-Length that is none", "RFC 9110 8.6", &[("content-length", "x")]),
    ] {
        vectors.push(v(what, clause, Refuse, with(fields)));
    }
    vectors.push(v(
        "No :authority, with Host",
        "RFC 9113 8.3.1",
        Refuse,
        without(":authority", &[("host", NAME)]),
    ));
    vectors.push(v("No :authority, no Host", "RFC 9113 8.3.1", Refuse, without(":authority", &[])));
    let connect = |fields: &[(&'static str, &'static str)]| vec![headers(END_HEADERS, 1, fields)];
    vectors.extend([
        v(
            "CONNECT",
            "RFC 9113 8.5",
            Refuse,
            connect(&[(":method", "CONNECT"), (":authority", "mail.example.org:25")]),
        ),
        v(
            "Extended CONNECT, which was not offered",
            "RFC 8441 3",
            Refuse,
            connect(&[&[(":protocol", "websocket")][..], &usual("CONNECT")].concat()),
        ),
        v("OPTIONS *", "RFC 9110 9.3.7", Refuse, {
            let mut fields = usual("OPTIONS");
            fields[3].1 = "*";
            vec![headers(WHOLE, 1, &fields)]
        }),
        v(
            "Trailers that end nothing",
            "RFC 9113 8.1",
            BreakOff,
            vec![post(1, &[]), headers(END_HEADERS, 1, &[("x", "y")])],
        ),
        v(
            "A body longer than its length",
            "RFC 9113 8.1.1",
            BreakOff,
            vec![post(1, &[("content-length", "3")]), data(END_STREAM, 1, b"hello")],
        ),
        v(
            "A body shorter than its length",
            "RFC 9113 8.1.1",
            BreakOff,
            vec![post(1, &[("content-length", "9")]), data(END_STREAM, 1, b"hello")],
        ),
        v(
            "Content-Length twice",
            "RFC 9110 8.6",
            Refuse,
            vec![post(1, &[("content-length", "5"), ("content-length", "5")]), data(END_STREAM, 1, b"hello")],
        ),
        v(
            "A body of GET",
            "RFC 9110 9.3.1",
            Refuse,
            vec![headers(END_HEADERS, 1, &usual("GET")), data(END_STREAM, 1, b"hello")],
        ),
        v("NTLM", "RFC 9113 7", Refuse, with(&[("authorization", "NTLM TlRMTVNTUAAB")])),
        v("More than 100 fields", "RFC 6585 5", Refuse, with(&[("x", "y"); 101])),
        v("A :path of 9,000 octets", "RFC 9110 15.5.15", Refuse, {
            let path = format!("/owa/{}", "a".repeat(9_000));
            let mut fields: Vec<(&str, &str)> = usual("GET");
            fields[3].1 = &path;
            vec![Sent {
                shown: "HEADERS(1, END_STREAM, END_HEADERS, :path of 9,005 octets)".to_owned(),
                ..headers(WHOLE, 1, &fields)
            }]
        }),
        v("A header of 78,000 octets", "RFC 9113 6.5.2", Refuse, large_header()),
    ]);
    Group { title: "HTTP/2: malformed requests", vectors }
}

/// In frames of the usual size.
fn large_header() -> Vec<Sent> {
    let value = "a".repeat(39_000);
    let mut fields: Vec<(&str, &str)> = usual("GET");
    fields.extend([("x", value.as_str()), ("y", &value)]);
    let block = block(&fields);
    let parts: Vec<&[u8]> = block.chunks(16_384).collect();
    let last = parts.len() - 1;
    let parts = parts.iter().enumerate().map(|(place, part)| {
        let kind = if place == 0 { HEADERS } else { CONTINUATION };
        let flags = if place == 0 { END_STREAM } else { 0 } | if place == last { END_HEADERS } else { 0 };
        frame(kind, flags, 1, part, &format!("{} octets", part.len()))
    });
    parts.collect()
}

/// Frames that break the rules of the connection.
pub fn connections() -> Group {
    use Want::{BreakOff, Refuse};
    let whole = block(&usual("GET"));
    let mut vectors = vec![Vector {
        is_greeted: false,
        ..v(
            "A request in HTTP/1.1",
            "RFC 9113 3.4",
            Refuse,
            vec![octets(b"GET /owa/x HTTP/1.1\r\nHost: mail.example.org\r\n\r\n")],
        )
    }];
    for (what, clause, sent) in [
        ("HEADERS on stream 0", "RFC 9113 6.2", frame(HEADERS, WHOLE, 0, &whole, "GET")),
        ("HEADERS on a stream of the server's", "RFC 9113 5.1.1", get(2)),
        ("DATA on stream 0", "RFC 9113 6.1", data(0, 0, b"x")),
        ("DATA on an idle stream", "RFC 9113 5.1", data(0, 1, b"x")),
        ("RST_STREAM on an idle stream", "RFC 9113 6.4", frame(RST_STREAM, 0, 1, &[0, 0, 0, 8], "CANCEL")),
        ("RST_STREAM on stream 0", "RFC 9113 6.4", frame(RST_STREAM, 0, 0, &[0, 0, 0, 8], "CANCEL")),
        ("RST_STREAM of 3 octets", "RFC 9113 6.4", frame(RST_STREAM, 0, 1, &[0, 0, 8], "3 octets")),
        ("WINDOW_UPDATE on an idle stream", "RFC 9113 5.1", window_update(1, 1)),
        ("WINDOW_UPDATE by 0", "RFC 9113 6.9", window_update(0, 0)),
        ("WINDOW_UPDATE of 3 octets", "RFC 9113 6.9", frame(WINDOW_UPDATE, 0, 0, &[0, 0, 1], "3 octets")),
        ("A window beyond 2^31-1", "RFC 9113 6.9.1", window_update(0, 0x7fff_ffff)),
        ("PRIORITY on stream 0", "RFC 9113 6.3", frame(PRIORITY, 0, 0, &[0, 0, 0, 3, 15], "on 3")),
        ("SETTINGS on a stream", "RFC 9113 6.5", frame(SETTINGS, 0, 1, b"", "")),
        ("SETTINGS of 5 octets", "RFC 9113 6.5", frame(SETTINGS, 0, 0, &[0; 5], "5 octets")),
        (
            "An acknowledgement with settings",
            "RFC 9113 6.5",
            frame(SETTINGS, ACK, 0, &[0, 3, 0, 0, 0, 1], "0x3 = 1"),
        ),
        ("ENABLE_PUSH 2", "RFC 9113 6.5.2", setting(2, 2)),
        ("INITIAL_WINDOW_SIZE beyond 2^31-1", "RFC 9113 6.5.2", setting(4, 0x8000_0000)),
        ("MAX_FRAME_SIZE below 16,384", "RFC 9113 6.5.2", setting(5, 16_383)),
        (
            "PUSH_PROMISE of a client",
            "RFC 9113 8.4",
            frame(PUSH_PROMISE, END_HEADERS, 1, &[&[0, 0, 0, 2][..], &whole].concat(), "2, GET"),
        ),
        ("PING of 7 octets", "RFC 9113 6.7", ping(0, b"1234567")),
        ("PING on a stream", "RFC 9113 6.7", ping(1, b"12345678")),
        ("GOAWAY on a stream", "RFC 9113 6.8", frame(GOAWAY, 0, 1, &[0; 8], "NO_ERROR")),
        ("CONTINUATION without HEADERS", "RFC 9113 6.10", frame(CONTINUATION, END_HEADERS, 1, &whole, "GET")),
        (
            "Padding longer than its frame",
            "RFC 9113 6.2",
            frame(HEADERS, WHOLE | PADDED, 1, &[200, 0x82], "200 octets of padding in 2"),
        ),
        ("A frame of 16,385 octets", "RFC 9113 4.2", frame(0xfa, 0, 0, &[0; 16_385], "16,385 octets")),
        (
            "A field that is in no table",
            "RFC 7541 2.3.3",
            frame(HEADERS, WHOLE, 1, &[0xff, 0x80, 0x01], "index 255"),
        ),
        ("Field 0", "RFC 7541 6.1", frame(HEADERS, WHOLE, 1, &[0x80], "index 0")),
        (
            "A table larger than allowed",
            "RFC 7541 6.3",
            frame(HEADERS, WHOLE, 1, &[&[0x3f, 0xe2, 0x1f][..], &whole].concat(), "table of 4,097, GET"),
        ),
        (
            "A value that breaks off",
            "RFC 7541 5.2",
            frame(HEADERS, WHOLE, 1, &[0x04, 0x7f, b'/'], "half a field"),
        ),
    ] {
        vectors.push(v(what, clause, Refuse, vec![sent, get(3)]));
    }
    vectors.extend([
        v(
            "PRIORITY of 4 octets",
            "RFC 9113 6.3",
            Refuse,
            vec![frame(PRIORITY, 0, 1, &[0; 4], "4 octets"), get(1)],
        ),
        v(
            "A stream that depends on itself",
            "RFC 9113 5.3.1",
            Refuse,
            vec![frame(
                HEADERS,
                WHOLE | WITH_PRIORITY,
                1,
                &[&[0, 0, 0, 1, 15][..], &whole].concat(),
                "on 1, GET",
            )],
        ),
        v(
            "A header with a PING inside",
            "RFC 9113 6.10",
            Refuse,
            vec![frame(HEADERS, END_STREAM, 1, &whole, "GET"), ping(0, b"12345678")],
        ),
        v(
            "A header that goes on in another stream",
            "RFC 9113 6.10",
            Refuse,
            vec![frame(HEADERS, END_STREAM, 1, &whole, "GET"), frame(CONTINUATION, END_HEADERS, 3, b"", "")],
        ),
        v(
            "WINDOW_UPDATE of a stream by 0",
            "RFC 9113 6.9",
            BreakOff,
            vec![post(1, &[]), window_update(1, 0)],
        ),
        v(
            "A stream's window beyond 2^31-1",
            "RFC 9113 6.9.1",
            BreakOff,
            vec![post(1, &[]), window_update(1, 0x7fff_ffff)],
        ),
        v("A stream's number below the last", "RFC 9113 5.1.1", BreakOff, vec![post(5, &[]), get(3)]),
        v(
            "DATA with padding longer than its frame",
            "RFC 9113 6.1",
            BreakOff,
            vec![post(1, &[]), frame(DATA, PADDED, 1, &[9, 0], "9 octets of padding in 2")],
        ),
        v(
            "DATA after the end of a stream",
            "RFC 9113 5.1",
            BreakOff,
            vec![post(1, &[]), data(END_STREAM, 1, b"a"), data(0, 1, b"b")],
        ),
    ]);
    Group { title: "HTTP/2: frames", vectors }
}

/// The same again and again.
pub fn floods() -> Group {
    use Want::{BreakOff, Refuse};
    let many = |what: &str, clause, want, sent: Vec<Sent>, times| Vector {
        times,
        watches_streams: false,
        ..v(what, clause, want, sent)
    };
    Group {
        title: "HTTP/2: floods",
        vectors: vec![
            many("PING", "CVE-2019-9512", Refuse, vec![ping(0, b"12345678")], 500),
            many("SETTINGS", "CVE-2019-9515", Refuse, vec![frame(SETTINGS, 0, 0, b"", "")], 500),
            many(
                "PRIORITY",
                "CVE-2019-9513",
                Refuse,
                vec![frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 15], "on 3")],
                500,
            ),
            many("Frames of an unknown type", "RFC 9113 10.5", Refuse, vec![frame(0xfa, 0, 0, b"", "")], 500),
            many("CONTINUATION", "CVE-2024-27316", Refuse, continuations(), 1),
            many("Empty DATA", "CVE-2019-9518", BreakOff, empty_data(), 1),
            many("Streams that are opened and reset", "CVE-2023-44487", BreakOff, resets(), 1),
            many("Streams that make us reset them", "CVE-2025-8671", BreakOff, made_resets(), 1),
        ],
    }
}

fn continuations() -> Vec<Sent> {
    let begin = frame(HEADERS, END_STREAM, 1, &block(&usual("GET")), "GET");
    std::iter::once(begin).chain((0..100).map(|_| frame(CONTINUATION, 0, 1, b"", ""))).collect()
}

fn empty_data() -> Vec<Sent> {
    std::iter::once(post(1, &[])).chain((0..500).map(|_| data(0, 1, b""))).collect()
}

fn resets() -> Vec<Sent> {
    let pair =
        |number: u32| [get(2 * number + 1), frame(RST_STREAM, 0, 2 * number + 1, &[0, 0, 0, 8], "CANCEL")];
    (0..200).flat_map(pair).collect()
}

fn made_resets() -> Vec<Sent> {
    let pair = |number: u32| [post(2 * number + 3, &[]), window_update(2 * number + 3, 0x7fff_ffff)];
    (0..60).flat_map(pair).collect()
}
