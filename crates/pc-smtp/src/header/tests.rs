use super::*;

fn node() -> Domain {
    "edge.example.org".parse().unwrap()
}

fn passed_on(message: &[u8]) -> Vec<u8> {
    let screened = screen(message, &node()).unwrap();
    let out: Vec<u8> = screened.pieces(message).flatten().copied().collect();
    assert_eq!(out.len() as u64, screened.octets_after(message.len() as u64));
    out
}

#[test]
fn a_message_without_forged_fields_passes_unchanged() {
    let message = b"Received: from a by b\r\n\twith c; date\r\nSubject: x\r\n\r\nbody\r\n.\r\n";
    assert_eq!(passed_on(message), message);
    for odd in [&b""[..], b"\r\nbody", b"Subject: x", b"Subject: x\r\n"] {
        assert_eq!(passed_on(odd), odd);
    }
}

#[test]
fn a_missing_empty_line_is_put_before_the_body() {
    assert_eq!(passed_on(b"no header at all\r\n"), b"\r\nno header at all\r\n");
    assert_eq!(
        passed_on(b"Subject: x\r\nbody: \xff\r\nbo dy: z\r\n"),
        b"Subject: x\r\nbody: \xff\r\n\r\nbo dy: z\r\n"
    );
    for odd in [&b": y\r\n"[..], b" folded first\r\n\r\n"] {
        assert_eq!(passed_on(odd), [b"\r\n", odd].concat());
    }
}

#[test]
fn fields_that_only_we_write_are_taken_out_wherever_they_stand() {
    let message = b"X-Portcullis-Score: 0\r\nFrom: a\r\nx-portcullis-trace-id:\r\n\tforged\r\nTo: b\r\n\r\nX-Portcullis-Score: body\r\n";
    assert_eq!(passed_on(message), b"From: a\r\nTo: b\r\n\r\nX-Portcullis-Score: body\r\n");
}

#[test]
fn authentication_results_of_our_name_are_taken_out_and_others_stay() {
    let message = b"Authentication-Results: edge.example.org; spf=pass\r\nAuthentication-Results: \"EDGE.example.org\" 1; dkim=pass\r\nAuthentication-Results: (x) edge.example.org; spf=pass\r\nAuthentication-Results: edge.example.org(x); dkim=pass\r\nAuthentication-Results: \"edge\\.example.org\"; dkim=pass\r\nAuthentication-Results: edge.example.org.; dkim=pass\r\nAuthentication-Results: mx.example.net; spf=fail\r\n\r\n";
    assert_eq!(passed_on(message), b"Authentication-Results: mx.example.net; spf=fail\r\n\r\n");
}

#[test]
fn received_values_are_unfolded_newest_first() {
    let message =
        b"Received: from a by b\r\n\twith c\r\nReceived: second\r\nMessage-ID:\r\n <1@example.org>\r\n\r\n";
    let screened = screen(message, &node()).unwrap();
    assert_eq!(screened.received(), ["from a by b\twith c", "second"]);
    assert_eq!(screened.message_id(), Some("<1@example.org>"));
}

#[test]
fn loops_are_found_by_hops_and_by_own_lines() {
    let hops = "Received: from a by other.example.net; date\r\n".repeat(101);
    assert_eq!(screen(hops.as_bytes(), &node()).unwrap_err(), HeaderFault::TooManyHops);
    let hundred = "Received: from a by other.example.net; date\r\n".repeat(100);
    assert!(screen(hundred.as_bytes(), &node()).is_ok());
    let own = "Received: from a\r\n by Edge.Example.org (Portcullis) with ESMTP; date\r\n".repeat(4);
    assert_eq!(screen(own.as_bytes(), &node()).unwrap_err(), HeaderFault::Loop);
}

#[test]
fn huge_headers_are_refused() {
    let fields = "X: y\r\n".repeat(HEADER_FIELDS_MAX + 1);
    assert_eq!(screen(fields.as_bytes(), &node()).unwrap_err(), HeaderFault::TooLarge);
    let long = format!("X: {}\r\n\r\n", "y".repeat(HEADER_OCTETS_MAX));
    assert_eq!(screen(long.as_bytes(), &node()).unwrap_err(), HeaderFault::TooLarge);
}

#[test]
fn a_scanner_sees_the_fields_and_the_body_that_go_on() {
    let seen = |message: &[u8]| {
        let screened = screen(message, &node()).unwrap();
        let names = screened.fields(message).map(|field| String::from_utf8(field.name.to_vec()).unwrap());
        (names.collect::<Vec<_>>().join(" "), screened.body(message).to_vec())
    };
    let forged = b"X-Portcullis-A: 1\r\nFrom: a\r\nX-Portcullis-B: 2\r\nTo: b\r\n\r\n\r\nbody: x\r\n";
    assert_eq!(seen(forged), ("From To".to_owned(), b"\r\nbody: x\r\n".to_vec()));
    assert_eq!(seen(b"From: a\r\nno field\r\n"), ("From".to_owned(), b"no field\r\n".to_vec()));
    assert_eq!(seen(b"no field\r\n"), (String::new(), b"no field\r\n".to_vec()));
    assert_eq!(seen(b"From: a\r\n"), ("From".to_owned(), Vec::new()));
}

#[test]
fn fields_are_taken_out_and_replaced_one_by_one_and_nothing_else_moves() {
    let message = b"A: 1\r\nB: 2\r\n\tfolded\r\nX-Portcullis-A: 1\r\nC: 3\r\nB: 4\r\n\r\nB: body\r\n";
    let changed = |changes: &[(usize, Option<&str>)]| {
        let mut screened = screen(message, &node()).unwrap();
        for (index, replacement) in changes {
            // Counted in the message as it came, whatever was changed before.
            let before = screen(message, &node()).unwrap();
            let field = before.fields(message).nth(*index).unwrap();
            screened.change(&field, replacement.map(|text| text.as_bytes().to_vec()));
        }
        let out: Vec<u8> = screened.pieces(message).flatten().copied().collect();
        assert_eq!(out.len() as u64, screened.octets_after(message.len() as u64));
        String::from_utf8(out).unwrap()
    };
    let body = "\r\nB: body\r\n";
    assert_eq!(changed(&[(0, None)]), format!("B: 2\r\n\tfolded\r\nC: 3\r\nB: 4\r\n{body}"));
    assert_eq!(changed(&[(1, None), (3, None)]), format!("A: 1\r\nC: 3\r\n{body}"));
    assert_eq!(changed(&[(3, None), (1, None), (0, None), (2, None)]), body);
    let long = "B: a longer value than before\r\n";
    assert_eq!(changed(&[(1, Some(long))]), format!("A: 1\r\n{long}C: 3\r\nB: 4\r\n{body}"));
    assert_eq!(
        changed(&[(0, Some(long)), (0, None)]),
        changed(&[(0, Some(long))]),
        "the first change stands"
    );
}
