use super::*;

/// The same in one piece and octet by octet.
fn read(text: &str) -> Result<bool, Violation> {
    let mut whole = Framing::default();
    let result = whole.read(text.as_bytes()).map(|()| whole.position() == Position::BetweenRequests);
    let mut single = Framing::default();
    let by_octet = text.bytes().try_for_each(|octet| single.read(&[octet]));
    let by_octet = by_octet.map(|()| single.position() == Position::BetweenRequests);
    assert_eq!(result, by_octet, "{text:?} by octets");
    result
}

fn get(fields: &str) -> String {
    format!("GET /owa/ HTTP/1.1\r\nHost: mail.example.org\r\n{fields}\r\n")
}

#[test]
fn requests_with_every_kind_of_body_follow_each_other() {
    let text = [
        get(""),
        get("Content-Length: 0\r\n"),
        "POST /ews/exchange.asmx HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello".into(),
        "RPC_IN_DATA /rpc/rpcproxy.dll?a:593 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".into(),
        "POST /mapi/emsmdb HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n".into(),
        "GET / HTTP/1.0\r\n\r\n".into(),
    ]
    .concat();
    assert_eq!(read(&text), Ok(true));
    assert_eq!(read(&get("")[..20]), Ok(false));
}

#[test]
fn what_two_parsers_could_read_in_two_ways_is_refused() {
    let chunked =
        |body: &str| format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    let cases = [
        ("\r\nGET / HTTP/1.1\r\n".to_owned(), Violation::RequestLine),
        ("GET / HTTP/1.1\nHost: x\r\n".into(), Violation::BareLineFeed),
        ("GET / HTTP/1.1\r\nHost: x\n\r\n".into(), Violation::BareLineFeed),
        ("GET /\rx HTTP/1.1\r\n".into(), Violation::BareCarriageReturn),
        ("GET  / HTTP/1.1\r\n".into(), Violation::RequestLine),
        ("GET / HTTP/1.1 \r\n".into(), Violation::RequestLine),
        ("GET\t/ HTTP/1.1\r\n".into(), Violation::RequestLine),
        ("GET /\r\n".into(), Violation::RequestLine),
        ("G@T / HTTP/1.1\r\n".into(), Violation::RequestLine),
        ("GET /a#b HTTP/1.1\r\n".into(), Violation::RequestLine),
        ("GET /a\\b HTTP/1.1\r\n".into(), Violation::RequestLine),
        ("GET /\u{e4} HTTP/1.1\r\n".into(), Violation::RequestLine),
        ("GET / HTTP/1.2\r\n".into(), Violation::Version),
        ("GET / HTTP/2.0\r\n".into(), Violation::Version),
        ("GET / http/1.1\r\n".into(), Violation::RequestLine),
        (get("X : y\r\n"), Violation::Field),
        (get("X\r\n"), Violation::Field),
        (get(": y\r\n"), Violation::Field),
        (get("X: a\0b\r\n"), Violation::Field),
        (get("X: a\r\n b\r\n"), Violation::FoldedField),
        (get("Content-Length: 01\r\n"), Violation::ContentLength),
        (get("Content-Length: +1\r\n"), Violation::ContentLength),
        (get("Content-Length: 0x1\r\n"), Violation::ContentLength),
        (get("Content-Length: 1, 1\r\n"), Violation::ContentLength),
        (get("Content-Length:\r\n"), Violation::ContentLength),
        (get("Content-Length: 1\r\nContent-Length: 1\r\n"), Violation::ContentLength),
        (get("Content-Length: 9999999999999999\r\n"), Violation::ContentLength),
        (get("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"), Violation::TransferEncoding),
        (get("Transfer-Encoding: gzip, chunked\r\n"), Violation::TransferEncoding),
        (get("Transfer-Encoding: chunked, chunked\r\n"), Violation::TransferEncoding),
        (get("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), Violation::TransferEncoding),
        (get("Transfer-Encoding: chunked;x=1\r\n"), Violation::TransferEncoding),
        (get("Transfer-Encoding: identity\r\n"), Violation::TransferEncoding),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".into(), Violation::TransferEncoding),
        ("GET /<a> HTTP/1.1\r\n".into(), Violation::RequestLine),
        ("GET /a`b HTTP/1.1\r\n".into(), Violation::RequestLine),
        (get("Content-Length: 1\r\n"), Violation::BodyOfGet),
        (get("Transfer-Encoding: chunked\r\n"), Violation::BodyOfGet),
        ("HEAD / HTTP/1.1\r\nContent-Length: 5\r\n\r\n".into(), Violation::BodyOfGet),
        (chunked("5;a=b\r\nhello\r\n"), Violation::ChunkSize),
        (chunked("5 \r\nhello\r\n"), Violation::ChunkSize),
        (chunked("0x5\r\nhello\r\n"), Violation::ChunkSize),
        (chunked("-5\r\nhello\r\n"), Violation::ChunkSize),
        (chunked("\r\n"), Violation::ChunkSize),
        (chunked("000000005\r\nhello\r\n"), Violation::ChunkSize),
        (chunked("5\nhello\r\n"), Violation::BareLineFeed),
        (chunked("5\r\nhello\n"), Violation::BareLineFeed),
        (chunked("5\r\nhelloX\r\n"), Violation::ChunkEnd),
        (chunked("0\r\nX: y\r\n\r\n"), Violation::Trailer),
    ];
    for (text, violation) in cases {
        assert_eq!(read(&text), Err(violation), "{text:?}");
    }
}

#[test]
fn lines_and_headers_are_bounded() {
    let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(REQUEST_LINE_OCTETS_MAX));
    assert_eq!(read(&long), Err(Violation::RequestLineTooLong));
    assert_eq!(read(&get(&"X: y\r\n".repeat(FIELDS_MAX))), Err(Violation::HeaderTooLarge));
    assert_eq!(read(&get(&"X: y\r\n".repeat(FIELDS_MAX - 1))), Ok(true));
    let ticket = format!("Authorization: Negotiate {}\r\n", "A".repeat(60_000));
    assert_eq!(read(&get(&ticket)), Ok(true), "a Kerberos ticket of many groups");
    assert_eq!(
        read(&get(&format!("X: {}\r\n", "A".repeat(HEADER_OCTETS_MAX)))),
        Err(Violation::HeaderTooLarge)
    );
}
