use super::*;

/// Answers from lines `NAME TYPE VALUE`; `NAME TYPE !` is a failure of the DNS. What is not written
/// there does not exist.
fn zone(text: &str) -> Answers {
    let mut answers = Answers::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut words = line.splitn(3, ' ');
        let (name, kind, value) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        let (kind, fresh) = match kind {
            "A" => (Kind::A, Records::A(value.parse().into_iter().collect())),
            "AAAA" => (Kind::Aaaa, Records::Aaaa(value.parse().into_iter().collect())),
            "MX" => (Kind::Mx, Records::Mx(vec![value.to_owned()])),
            "PTR" => (Kind::Ptr, Records::Ptr(vec![value.to_owned()])),
            _ => (Kind::Txt, Records::Txt(vec![value.as_bytes().to_vec()])),
        };
        let query = Query::new(name, kind).unwrap();
        if value == "!" {
            answers.insert(query, Answer::Temporary("SERVFAIL".to_owned()));
            continue;
        }
        match (answers.get_mut(&query), fresh) {
            (Some(Answer::Found(Records::A(all))), Records::A(more)) => all.extend(more),
            (Some(Answer::Found(Records::Aaaa(all))), Records::Aaaa(more)) => all.extend(more),
            (
                Some(Answer::Found(Records::Mx(all) | Records::Ptr(all))),
                Records::Mx(more) | Records::Ptr(more),
            ) => {
                all.extend(more);
            }
            (Some(Answer::Found(Records::Txt(all))), Records::Txt(more)) => all.extend(more),
            (_, fresh) => drop(answers.insert(query, Answer::Found(fresh))),
        }
    }
    answers
}

fn question(address: &str) -> Question {
    Question {
        address: address.parse().unwrap(),
        identity: Identity::MailFrom,
        domain: "example.net".to_owned(),
        local_part: "strong-bad".to_owned(),
        helo: "mail.example.net".to_owned(),
    }
}

/// Runs to the end; also says what was asked, in order.
fn run(question: &Question, zone: &Answers) -> (Outcome, Vec<String>) {
    let mut known = Answers::new();
    let mut asked = Vec::new();
    loop {
        match evaluate(question, &known) {
            Step::Done(outcome) => return (outcome, asked),
            Step::Ask(query) => {
                asked.push(query.name().to_owned());
                let answer = zone.get(&query).cloned().unwrap_or(Answer::NotFound);
                assert_eq!(known.insert(query, answer), None, "nothing is asked twice");
            }
        }
    }
}

/// What example.net says about `address` when these lines are all there is.
#[track_caller]
fn check(address: &str, lines: &str, expected: Verdict) -> String {
    let (outcome, _) = run(&question(address), &zone(lines));
    assert_eq!(outcome.verdict, expected, "{}", outcome.reason);
    outcome.reason
}

#[test]
fn each_qualifier_has_its_result() {
    for (record, expected) in [
        ("v=spf1 +all", Verdict::Pass),
        ("v=spf1 all", Verdict::Pass),
        ("v=spf1 -all", Verdict::Fail),
        ("v=spf1 ~ALL", Verdict::SoftFail),
        ("V=SPF1 ?all", Verdict::Neutral),
        ("v=spf1", Verdict::Neutral),
        ("v=spf1 ip4:198.51.100.1 -all", Verdict::Fail),
    ] {
        check("192.0.2.1", &format!("example.net TXT {record}"), expected);
    }
}

#[test]
fn a_domain_without_a_record_has_no_policy() {
    check("192.0.2.1", "", Verdict::None);
    check("192.0.2.1", "example.net TXT v=spf10 -all", Verdict::None);
    check("192.0.2.1", "example.net TXT verification=abc", Verdict::None);
    let single = Question { domain: "localhost".to_owned(), ..question("192.0.2.1") };
    let (outcome, asked) = run(&single, &Answers::new());
    assert_eq!((outcome.verdict, asked.len()), (Verdict::None, 0));
}

#[test]
fn two_records_and_broken_terms_are_permanent_errors_even_behind_a_match() {
    check("192.0.2.1", "example.net TXT v=spf1 +all\nexample.net TXT v=spf1 -all", Verdict::PermError);
    for term in [
        "ipv4:192.0.2.1",
        "ip4:192.0.2",
        "ip4:192.0.2.1/33",
        "ip4:192.0.2.1/01",
        "ip6:192.0.2.1",
        "ip4",
        "a:",
        "include",
        "include:",
        "exists",
        "all:x.example.net",
        "a:example",
        "a:%{x}.example.net",
        "a:%{i.example.net",
        "a:%.example.net",
        "a/33",
        "mx//129",
        "ptr/24",
        "a:1.2.3.4",
        "redirect=",
        "redirect=a.example.net redirect=b.example.net",
        "exp=a.example.net exp=a.example.net",
        "a:%{d0}.example.net",
        "-",
        "a=%{bad}",
    ] {
        check("192.0.2.1", &format!("example.net TXT v=spf1 ip4:192.0.2.1 {term}"), Verdict::PermError);
    }
}

#[test]
fn networks_match_in_their_own_family_only() {
    check("192.0.2.77", "example.net TXT v=spf1 ip4:192.0.2.0/24 -all", Verdict::Pass);
    check("192.0.3.77", "example.net TXT v=spf1 ip4:192.0.2.0/24 -all", Verdict::Fail);
    check("2001:db8::1", "example.net TXT v=spf1 ip6:2001:db8::/32 -all", Verdict::Pass);
    check("2001:db8::1", "example.net TXT v=spf1 ip4:0.0.0.0/0 -all", Verdict::Fail);
    check("192.0.2.1", "example.net TXT v=spf1 ip6:::/0 -all", Verdict::Fail);
}

#[test]
fn addresses_and_exchanges_of_a_domain_match_with_their_prefixes() {
    let a = "example.net TXT v=spf1 a/24 a:www.example.net//64 -all\nexample.net A 192.0.2.1\nwww.example.net AAAA 2001:db8::1";
    check("192.0.2.200", a, Verdict::Pass);
    check("2001:db8::ffff", a, Verdict::Pass);
    check("2001:db8:1::1", a, Verdict::Fail);
    let mx = "example.net TXT v=spf1 mx -all\nexample.net MX mx1.example.net\nexample.net MX mx2.example.net\n\
              mx1.example.net A 192.0.2.1\nmx2.example.net A 192.0.2.2";
    check("192.0.2.2", mx, Verdict::Pass);
    check("192.0.2.3", mx, Verdict::Fail);
}

#[test]
fn include_takes_a_pass_and_nothing_else() {
    let with = |inner: &str| {
        format!(
            "example.net TXT v=spf1 include:other.example.org ip4:192.0.2.0/24 -all\nother.example.org TXT {inner}"
        )
    };
    assert!(check("192.0.2.1", &with("v=spf1 +all"), Verdict::Pass).contains("include:other.example.org"));
    check("192.0.2.1", &with("v=spf1 -all"), Verdict::Pass);
    check("198.51.100.1", &with("v=spf1 ~all"), Verdict::Fail);
    check("192.0.2.1", &with("v=spf1 nonsense"), Verdict::PermError);
    check("192.0.2.1", &with("no record"), Verdict::PermError);
    check("192.0.2.1", &with("!"), Verdict::TempError);
}

#[test]
fn redirect_speaks_only_where_nothing_matched_and_must_lead_somewhere() {
    let record = "example.net TXT v=spf1 redirect=_spf.example.org ip4:198.51.100.1\n";
    check("192.0.2.1", &format!("{record}_spf.example.org TXT v=spf1 ip4:192.0.2.1 -all"), Verdict::Pass);
    check("198.51.100.1", &format!("{record}_spf.example.org TXT v=spf1 -all"), Verdict::Pass);
    check("192.0.2.1", record, Verdict::PermError);
    check("192.0.2.1", "example.net TXT v=spf1 ?all redirect=_spf.example.org", Verdict::Neutral);
}

#[test]
fn the_eleventh_term_that_asks_is_a_permanent_error() {
    let record = |count: usize| {
        let terms: Vec<String> = (0..count).map(|index| format!("a:h{index}.example.net")).collect();
        let hosts: Vec<String> =
            (0..count).map(|index| format!("h{index}.example.net A 198.51.100.1")).collect();
        format!("example.net TXT v=spf1 {} -all\n{}", terms.join(" "), hosts.join("\n"))
    };
    check("192.0.2.1", &record(10), Verdict::Fail);
    assert!(check("192.0.2.1", &record(11), Verdict::PermError).contains("more than 10"));
}

#[test]
fn a_record_that_includes_itself_ends() {
    let (outcome, asked) =
        run(&question("192.0.2.1"), &zone("example.net TXT v=spf1 include:example.net -all"));
    assert_eq!((outcome.verdict, asked.len()), (Verdict::PermError, 1));
}

#[test]
fn the_third_name_that_does_not_exist_is_a_permanent_error() {
    let two = "example.net TXT v=spf1 a:x.example.net mx:y.example.net -all";
    check("192.0.2.1", two, Verdict::Fail);
    let three = "example.net TXT v=spf1 a:x.example.net mx:y.example.net exists:z.example.net -all";
    check("192.0.2.1", three, Verdict::PermError);
}

#[test]
fn an_mx_with_eleven_exchanges_is_a_permanent_error() {
    let hosts: Vec<String> = (0..11).map(|index| format!("example.net MX mx{index}.example.net")).collect();
    let lines = format!("example.net TXT v=spf1 mx -all\n{}", hosts.join("\n"));
    assert!(check("192.0.2.1", &lines, Verdict::PermError).contains("exchanges"));
}

#[test]
fn a_failure_of_the_dns_is_a_temporary_error_and_never_absence() {
    check("192.0.2.1", "example.net TXT !", Verdict::TempError);
    check("192.0.2.1", "example.net TXT v=spf1 a -all\nexample.net A !", Verdict::TempError);
    // What stands before it has spoken already.
    check("192.0.2.1", "example.net TXT v=spf1 ip4:192.0.2.1 a -all\nexample.net A !", Verdict::Pass);
}

#[test]
fn ptr_needs_a_name_that_leads_back() {
    let record = "example.net TXT v=spf1 ptr -all\n1.2.0.192.in-addr.arpa PTR mail.example.net\n";
    check("192.0.2.1", &format!("{record}mail.example.net A 192.0.2.1"), Verdict::Pass);
    check("192.0.2.1", &format!("{record}mail.example.net A 198.51.100.1"), Verdict::Fail);
    check("192.0.2.1", &format!("{record}mail.example.net A !"), Verdict::Fail);
    let foreign = "example.net TXT v=spf1 ptr -all\n1.2.0.192.in-addr.arpa PTR mail.notexample.net\nmail.notexample.net A 192.0.2.1";
    check("192.0.2.1", foreign, Verdict::Fail);
}

#[test]
fn macros_expand_as_the_examples_of_rfc_7208_7_4() {
    let cases = [
        ("%{ir}.%{v}._spf.%{d2}.example", "3.2.0.192.in-addr._spf.example.net.example"),
        ("%{lr-}.lp._spf.%{d2}.example", "bad.strong.lp._spf.example.net.example"),
        (
            "%{lr-}.lp.%{ir}.%{v}._spf.%{d2}.example",
            "bad.strong.lp.3.2.0.192.in-addr._spf.example.net.example",
        ),
        ("%{d2}.trusted-domains.example.org", "example.net.trusted-domains.example.org"),
        ("%{l1-}.%{o}.%{h}.example.org", "bad.example.net.mail.example.net.example.org"),
        ("%{S}.example.org", "strong-bad%40example.net.example.org"),
        ("%{p}.%{dr}.%{d1}.x%_%%%-.example.org", "unknown.net.example.net.x %%20.example.org"),
    ];
    for (spec, expected) in cases {
        let lines = format!("example.net TXT v=spf1 exists:{spec} -all");
        let (_, asked) = run(&question("192.0.2.3"), &zone(&lines));
        assert_eq!(asked.last().unwrap(), expected, "{spec}");
    }
    let lines = "example.net TXT v=spf1 exists:%{ir}.%{v}._spf.%{d2}.example -all";
    let (_, asked) = run(&question("2001:db8::cb01"), &zone(lines));
    let nibbles = "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2";
    assert_eq!(asked.last().unwrap(), &format!("{nibbles}.ip6._spf.example.net.example"));
}

#[test]
fn a_name_that_grows_too_long_loses_labels_from_the_left() {
    let long = Question { local_part: ["abcdefgh"; 40].join("."), ..question("192.0.2.1") };
    let (outcome, asked) = run(&long, &zone("example.net TXT v=spf1 exists:%{l}.example.org -all"));
    assert_eq!(outcome.verdict, Verdict::Fail);
    let name = asked.last().unwrap();
    assert!(name.starts_with("abcdefgh.") && name.ends_with("abcdefgh.example.org"), "{name}");
    assert_eq!(name.len(), 26 * 9 + "example.org".len());
}

#[test]
fn no_text_makes_it_panic_or_ask_without_end() {
    // A small generator; the seed is fixed so that a failure can be replayed.
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let words = [
        "v=spf1",
        " ",
        "a",
        "mx",
        "ptr",
        "ip4:",
        "ip6:",
        "include:",
        "exists:",
        "redirect=",
        "%{",
        "}",
        "%",
        "/",
        "//",
        ":",
        "192.0.2.1",
        "2001:db8::1",
        "example.net",
        "x.example.org",
        "d2r-",
        "-all",
        "~",
        "\u{7f}",
        "0",
        "64",
        ".",
    ];
    for _ in 0..3_000 {
        let mut text = "v=spf1 ".to_owned();
        for _ in 0..12 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(words[usize::try_from(seed >> 33).unwrap() % words.len()]);
        }
        let mut zone = Answers::new();
        let query = Query::new("example.net", Kind::Txt).unwrap();
        zone.insert(query, Answer::Found(Records::Txt(vec![text.clone().into_bytes()])));
        let (_, asked) = run(&question("192.0.2.1"), &zone);
        assert!(asked.len() <= 12, "{text}");
    }
}

#[test]
fn of_a_huge_answer_only_what_decides_is_kept_and_the_verdict_stays() {
    let texts = |record: &str, count: usize| {
        let others = std::iter::repeat_n(vec![b'x'; 600], 50);
        others.chain(std::iter::repeat_n(record.as_bytes().to_vec(), count)).collect::<Vec<_>>()
    };
    let long = format!("v=spf1 {}-all", "ip4:192.0.2.1 ".repeat(4_000));
    for (record, count, verdict) in [
        ("v=spf1 -all", 0, Verdict::None),
        ("v=spf1 -all", 1, Verdict::Fail),
        ("v=spf1 -all", 40, Verdict::PermError),
        (&long, 1, Verdict::PermError),
    ] {
        let whole = Answer::Found(Records::Txt(texts(record, count)));
        let Answer::Found(Records::Txt(kept)) = relevant(whole.clone()) else { panic!() };
        assert!(kept.iter().map(Vec::len).sum::<usize>() <= 2 * (SPF_RECORD_OCTETS_MAX + 1));
        for answer in [whole, Answer::Found(Records::Txt(kept))] {
            let zone = Answers::from([(Query::new("example.net", Kind::Txt).unwrap(), answer)]);
            assert_eq!(run(&question("192.0.2.9"), &zone).0.verdict, verdict, "{count} of {record:.20}");
        }
    }
}

#[test]
fn the_corpus_of_the_fuzz_target_keeps_the_invariants() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/spf");
    let mut replayed = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let script = std::fs::read(entry.unwrap().path()).unwrap();
        for end in 0..=script.len().min(512) {
            crate::invariants::evaluation(&script[..end]);
        }
        crate::invariants::evaluation(&script);
        replayed += 1;
    }
    assert!(replayed >= 20, "the corpus is gone");
}
