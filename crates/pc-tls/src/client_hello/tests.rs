use std::fs;
use std::path::Path;

use super::*;
use crate::limits::{HELLO_RECORDS_MAX, RECORD_OCTETS_MAX};
use crate::verify::Probe;

fn read_whole(raw: &[u8]) -> HelloProgress {
    HelloReader::default().push(raw)
}

fn hello_of(raw: &[u8]) -> ClientHello {
    match read_whole(raw) {
        HelloProgress::Hello { hello, .. } => *hello,
        other => panic!("{other:?}"),
    }
}

fn refusal_of(raw: &[u8]) -> HelloRefusal {
    match read_whole(raw) {
        HelloProgress::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

/// Pushes pieces of `size` until the outcome is settled.
fn read_in_pieces(raw: &[u8], size: usize) -> HelloProgress {
    let mut reader = HelloReader::default();
    for piece in raw.chunks(size) {
        match reader.push(piece) {
            HelloProgress::NeedMore => {}
            settled => return settled,
        }
    }
    HelloProgress::NeedMore
}

/// The outcome without the octets read, which depend on how much came at once.
fn outcome(progress: HelloProgress) -> Result<Option<ClientHello>, HelloRefusal> {
    match progress {
        HelloProgress::Hello { hello, .. } => Ok(Some(*hello)),
        HelloProgress::NeedMore => Ok(None),
        HelloProgress::Refused(refusal) => Err(refusal),
    }
}

fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/client_hello");
    let mut seeds: Vec<(String, Vec<u8>)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
        .collect();
    seeds.sort();
    assert!(seeds.len() >= 14, "the corpus is missing");
    seeds
}

fn seed(name: &str) -> Vec<u8> {
    corpus().into_iter().find(|(stem, _)| stem == name).unwrap().1
}

fn records_of(message: &[u8], size: usize) -> Vec<u8> {
    let mut raw = Vec::new();
    for fragment in message.chunks(size) {
        raw.extend([22, 3, 1]);
        raw.extend(u16::try_from(fragment.len()).unwrap().to_be_bytes());
        raw.extend(fragment);
    }
    raw
}

/// The worked example of the JA4 specification.
fn ja4_example() -> ClientHello {
    ClientHello {
        hello_version: 0x0303,
        supported_versions: vec![0x0304, 0x0303],
        cipher_suites: vec![
            0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c,
            0x009d, 0x002f, 0x0035,
        ],
        extensions: vec![
            0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012, 0x002b,
            0xff01, 0x000b, 0x000a, 0x0015,
        ],
        signature_algorithms: vec![0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601],
        protocols: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        ..ClientHello::default()
    }
}

#[test]
fn ja4_reproduces_the_vector_of_its_specification() {
    assert_eq!(ja4_example().ja4(), "t13d1516h2_8daaf6152771_e5627efa2ab1");
}

#[test]
fn ja4_does_not_see_grease_in_any_list() {
    let mut hello = ja4_example();
    hello.cipher_suites.insert(0, 0x0a0a);
    hello.extensions.insert(0, 0x1a1a);
    hello.extensions.push(0xfafa);
    hello.supported_versions.insert(0, 0xdada);
    hello.signature_algorithms.insert(3, 0x2a2a);
    assert!(hello.has_grease());
    assert!(!ja4_example().has_grease());
    assert_eq!(hello.ja4(), ja4_example().ja4());
}

#[test]
fn ja4_without_signature_algorithms_has_no_trailing_underscore() {
    let hello = ClientHello { signature_algorithms: Vec::new(), ..ja4_example() };
    assert_eq!(hello.ja4(), "t13d1516h2_8daaf6152771_6d807ffa2a79");
}

#[test]
fn ja4_of_a_bare_old_hello_has_zero_hashes() {
    let hello = ClientHello { hello_version: 0x0300, ..ClientHello::default() };
    assert_eq!(hello.ja4(), "ts3i000000_000000000000_000000000000");
}

#[test]
fn ja4_takes_the_ends_of_the_first_protocol_or_of_its_hexadecimal_form() {
    let cases: [(&[u8], &str); 8] = [
        (b"http/1.1", "h1"),
        (b"h", "hh"),
        (b"", "00"),
        (b"\xab", "ab"),
        (b"\xab\xcd", "ad"),
        (b"0\xab", "3b"),
        (b"01\xab\xcd", "3d"),
        (b"0\xab\xcd1", "01"),
    ];
    for (protocol, ends) in cases {
        let hello = ClientHello { protocols: vec![protocol.to_vec()], ..ja4_example() };
        assert_eq!(hello.ja4().get(8..10), Some(ends), "{protocol:?}");
    }
}

#[test]
fn captured_clients_are_read_as_what_they_are() {
    let expected = [
        ("openssl3-tls10", 0x0301, 0x0301, None),
        ("openssl3-tls11", 0x0301, 0x0302, Some("mail.example.org")),
        ("openssl3-tls12", 0x0301, 0x0303, Some("mail.example.org")),
        ("openssl3-tls13", 0x0301, 0x0304, Some("mail.example.org")),
        ("openssl3-tls13-four-records", 0x0301, 0x0304, Some("mail.example.org")),
        ("chromium", 0x0301, 0x0304, Some("www.example.org")),
        ("nmap-ssl-probe", 0x0300, 0x0303, None),
    ];
    for (name, record_version, version, server_name) in expected {
        let hello = hello_of(&seed(name));
        assert_eq!(hello.record_version, record_version, "{name}");
        assert_eq!(hello.effective_version(), version, "{name}");
        assert_eq!(hello.server_name.as_ref().map(Domain::as_str), server_name, "{name}");
    }
}

#[test]
fn a_browser_shows_grease_a_hybrid_group_and_its_protocols() {
    let hello = hello_of(&seed("chromium"));
    assert!(hello.has_grease());
    assert!(hello.groups.contains(&0x11ec) && hello.key_shares.contains(&0x11ec));
    assert_eq!(hello.protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    assert_eq!(hello.common_suites().len(), 6);
    assert!(hello.ja4().starts_with("t13d1517h2_8daaf6152771_"), "{}", hello.ja4());
}

#[test]
fn records_do_not_change_what_a_hello_says() {
    assert_eq!(hello_of(&seed("openssl3-tls13-four-records")), hello_of(&seed("openssl3-tls13")));
}

#[test]
fn what_is_no_tls_is_told_apart() {
    assert_eq!(refusal_of(&seed("ssl2")), HelloRefusal::SslV2);
    assert_eq!(refusal_of(&seed("plain-http")), HelloRefusal::NotTls);
    assert_eq!(refusal_of(&seed("plain-smtp")), HelloRefusal::NotTls);
    assert_eq!(refusal_of(b"\x16\x04\x01"), HelloRefusal::NotTls);
    assert_eq!(refusal_of(b"\x80\x2e\x02"), HelloRefusal::NotTls);
    assert_eq!(refusal_of(b"\x16\x02\x00\x00\x01"), HelloRefusal::NotTls);
    assert_eq!(refusal_of(b"G"), HelloRefusal::NotTls);
    assert!(matches!(refusal_of(&seed("alert-first")), HelloRefusal::Malformed(_)));
}

#[test]
fn any_cutting_into_pieces_gives_the_same_outcome() {
    for (name, raw) in corpus() {
        let whole = outcome(read_whole(&raw));
        for size in 1..=raw.len().min(70) {
            assert_eq!(outcome(read_in_pieces(&raw, size)), whole, "{name} in pieces of {size}");
        }
    }
}

#[test]
fn every_octet_read_is_given_back_for_the_replay() {
    let mut raw = seed("openssl3-tls13-four-records");
    raw.extend(b"more");
    let HelloProgress::Hello { raw: replayed, .. } = read_whole(&raw) else { panic!("no hello") };
    assert_eq!(replayed, raw);
}

#[test]
fn a_hello_that_is_cut_short_waits_for_more() {
    for (name, raw) in corpus() {
        if outcome(read_whole(&raw)).is_err() {
            continue;
        }
        for length in 0..raw.len() {
            assert_eq!(read_whole(&raw[..length]), HelloProgress::NeedMore, "{name} cut at {length}");
        }
    }
}

#[test]
fn a_message_that_is_cut_short_is_refused() {
    for probe in [Probe::tls12(), Probe::tls13()] {
        let message = probe.message();
        assert!(parse(&message).is_ok());
        for length in 0..message.len() {
            assert!(parse(&message[..length]).is_err(), "cut at {length}");
        }
    }
}

#[test]
fn flipped_octets_never_panic_and_never_depend_on_the_cutting() {
    for (name, raw) in corpus() {
        for position in 0..raw.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut raw = raw.clone();
                raw[position] ^= flip;
                let whole = outcome(read_whole(&raw));
                if let Ok(Some(hello)) = &whole {
                    assert_eq!(hello.ja4().len(), 36);
                }
                assert_eq!(outcome(read_in_pieces(&raw, 7)), whole, "{name} at {position} by {flip:#x}");
            }
        }
    }
}

#[test]
fn arbitrary_extension_content_never_panics() {
    // A linear congruential generator: the same octets in every run.
    let mut state: u32 = 1;
    let mut next = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    for round in 0..4000_u16 {
        let kinds = [SERVER_NAME, SUPPORTED_GROUPS, EC_POINT_FORMATS, ALPN, KEY_SHARE, round];
        let kind = kinds[usize::from(round) % kinds.len()];
        // Small lengths are likely, so that nested lengths often fit.
        let content: Vec<u8> = (0..next() % 12).map(|_| next() % 9).collect();
        let probe = Probe {
            supported_versions: Vec::new(),
            groups: Vec::new(),
            server_name: "".into(),
            extensions: vec![(kind, content)],
            ..Probe::tls12()
        };
        let raw = probe.record();
        let whole = outcome(read_whole(&raw));
        assert_eq!(outcome(read_in_pieces(&raw, 3)), whole);
    }
}

#[test]
fn an_empty_record_is_refused() {
    assert_eq!(refusal_of(&seed("empty-record")), HelloRefusal::Malformed("empty record"));
    let mut raw = vec![22, 3, 1, 0, 1, 1];
    raw.extend([22, 3, 1, 0, 0]);
    assert_eq!(refusal_of(&raw), HelloRefusal::Malformed("empty record"));
}

#[test]
fn a_hello_may_fill_all_records_allowed_and_no_more() {
    let message = Probe::tls13().message();
    let size = message.len().div_ceil(HELLO_RECORDS_MAX);
    let allowed = records_of(&message, size);
    assert!(matches!(read_whole(&allowed), HelloProgress::Hello { .. }));
    assert_eq!(refusal_of(&records_of(&message, 1)), HelloRefusal::TooLarge);
}

#[test]
fn a_record_over_the_bound_is_refused_by_its_header() {
    let [high, low] = u16::try_from(RECORD_OCTETS_MAX + 1).unwrap().to_be_bytes();
    assert_eq!(refusal_of(&[22, 3, 1, high, low]), HelloRefusal::TooLarge);
}

#[test]
fn a_hello_over_the_bound_is_refused_by_its_header() {
    // 16381 octets of body make 16385 of message.
    assert_eq!(refusal_of(&[22, 3, 1, 0, 4, 1, 0, 0x3f, 0xfd]), HelloRefusal::TooLarge);
    assert_eq!(read_whole(&[22, 3, 1, 0, 4, 1, 0, 0x3f, 0xfc]), HelloProgress::NeedMore);
    assert_eq!(parse(&vec![1; HELLO_OCTETS_MAX + 1]), Err(HelloRefusal::TooLarge));
}

#[test]
fn too_many_extensions_are_refused() {
    let extensions = |count: u16| (1000..1000 + count).map(|kind| (kind, Vec::new())).collect();
    let own = u16::try_from(hello_of(&Probe::tls12().record()).extensions.len()).unwrap();
    let max = u16::try_from(EXTENSIONS_MAX).unwrap() - own;
    let probe = Probe { extensions: extensions(max), ..Probe::tls12() };
    assert_eq!(hello_of(&probe.record()).extensions.len(), EXTENSIONS_MAX);
    let probe = Probe { extensions: extensions(max + 1), ..Probe::tls12() };
    assert_eq!(refusal_of(&probe.record()), HelloRefusal::TooLarge);
}

#[test]
fn an_extension_that_comes_twice_is_refused() {
    let probe = Probe { extensions: vec![(23, Vec::new()), (23, Vec::new())], ..Probe::tls12() };
    assert_eq!(refusal_of(&probe.record()), HelloRefusal::Malformed("an extension comes twice"));
}

#[test]
fn octets_after_the_hello_in_its_record_are_refused() {
    let mut message = Probe::tls12().message();
    message.push(0);
    let refusal = refusal_of(&records_of(&message, message.len()));
    assert_eq!(refusal, HelloRefusal::Malformed("octets follow the hello in its record"));
}

#[test]
fn a_hello_interrupted_by_another_record_is_refused() {
    let mut raw = vec![22, 3, 1, 0, 1, 1];
    raw.extend([20, 3, 1, 0, 1, 1]);
    assert!(matches!(refusal_of(&raw), HelloRefusal::Malformed(_)));
}

#[test]
fn another_handshake_message_is_refused_at_once() {
    assert_eq!(refusal_of(&[22, 3, 1, 0, 1, 2]), HelloRefusal::Malformed("not a ClientHello"));
}

#[test]
fn the_effective_version_is_the_highest_offered() {
    let version = |hello_version, supported_versions: &[u16]| {
        let supported_versions = supported_versions.to_vec();
        ClientHello { hello_version, supported_versions, ..ClientHello::default() }.effective_version()
    };
    assert_eq!(version(0x0301, &[]), 0x0301);
    assert_eq!(version(0x0303, &[]), 0x0303);
    assert_eq!(version(0x0304, &[]), 0x0303);
    assert_eq!(version(0x0303, &[0x0302, 0x0304, 0x0303]), 0x0304);
    assert_eq!(version(0x0303, &[0xfafa, 0x0302]), 0x0302);
    assert_eq!(version(0x0303, &[0x7f1c]), 0);
}

#[test]
fn common_suites_belong_to_a_version_that_is_offered() {
    let hello = |hello_version, supported_versions: &[u16]| ClientHello {
        hello_version,
        supported_versions: supported_versions.to_vec(),
        cipher_suites: vec![0x1301, 0xc02f, 0x009c],
        ..ClientHello::default()
    };
    let codes = |hello: ClientHello| -> Vec<u16> {
        hello.common_suites().into_iter().map(|suite| suite.code).collect()
    };
    assert_eq!(codes(hello(0x0303, &[0x0304, 0x0303])), [0x1301, 0xc02f]);
    assert_eq!(codes(hello(0x0303, &[])), [0xc02f]);
    assert_eq!(codes(hello(0x0302, &[])), [0_u16; 0]);
}
