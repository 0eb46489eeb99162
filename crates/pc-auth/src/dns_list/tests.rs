use super::*;

fn list(kind: ListKind, mode: ListMode) -> List {
    let answers = vec![Ipv4Addr::new(127, 0, 0, 2)..=Ipv4Addr::new(127, 0, 0, 11)];
    List { zone: "zen.example.org".to_owned(), kind, mode, answers }
}

fn block() -> List {
    list(ListKind::Block, ListMode::Reject)
}

fn found(addresses: &[[u8; 4]]) -> Answer {
    Answer::Found(Records::A(addresses.iter().copied().map(Ipv4Addr::from).collect()))
}

fn report(list: List, finding: Finding) -> Report {
    Report { list, finding, text: String::new() }
}

#[test]
fn addresses_are_asked_for_backwards() {
    let query = block().query("192.0.2.99".parse().unwrap(), Kind::A).unwrap();
    assert_eq!(query.name(), "99.2.0.192.zen.example.org");
    // RFC 5782 2.4 shows this form.
    let query = block().query("2001:db8:1:2:3:4:567:89ab".parse().unwrap(), Kind::A).unwrap();
    assert_eq!(
        query.name(),
        "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.zen.example.org"
    );
}

#[test]
fn only_the_configured_answers_list_a_client() {
    let judge = |answer| block().judge(&answer);
    assert_eq!(judge(found(&[[127, 0, 0, 2]])), Finding::Listed(Ipv4Addr::new(127, 0, 0, 2)));
    assert_eq!(
        judge(found(&[[127, 0, 1, 1], [127, 0, 0, 11]])),
        Finding::Listed(Ipv4Addr::new(127, 0, 0, 11))
    );
    assert_eq!(judge(found(&[[127, 0, 0, 12]])), Finding::NotListed);
    assert_eq!(judge(Answer::NotFound), Finding::NotListed);
}

#[test]
fn an_answer_outside_of_127_lists_nobody_whatever_is_configured() {
    // A zone that was sold answers every question with the address of its web page.
    let everything = Ipv4Addr::UNSPECIFIED..=Ipv4Addr::BROADCAST;
    let list = List { answers: vec![everything], ..block() };
    assert_eq!(list.judge(&found(&[[192, 0, 2, 1]])), Finding::NotListed);
    let refused = Finding::Refused(Ipv4Addr::new(127, 255, 255, 254));
    assert_eq!(list.judge(&found(&[[127, 255, 255, 254]])), refused);
}

#[test]
fn a_failure_is_neither_listed_nor_not_listed() {
    let unknown = block().judge(&Answer::Temporary("no answer in time".to_owned()));
    assert_eq!(unknown, Finding::Unknown("no answer in time".to_owned()));
    assert_eq!(decide(&[report(block(), unknown.clone())]), Decision::Pass);
    // Nor does an allow list vouch by being away.
    let allow = list(ListKind::Allow, ListMode::Report);
    let listed = report(block(), Finding::Listed(Ipv4Addr::new(127, 0, 0, 2)));
    let reports = [report(allow, unknown), listed.clone()];
    assert_eq!(decide(&reports), Decision::Blocked(&listed));
}

#[test]
fn an_allow_list_outweighs_every_block_list() {
    let answer = Finding::Listed(Ipv4Addr::new(127, 0, 0, 2));
    let reports =
        [report(block(), answer.clone()), report(list(ListKind::Allow, ListMode::Report), answer.clone())];
    assert_eq!(decide(&reports), Decision::Vouched(&reports[1]));
    assert_eq!(decide(&[]), Decision::Pass);
}

#[test]
fn the_strictest_block_list_speaks() {
    let answer = Finding::Listed(Ipv4Addr::new(127, 0, 0, 2));
    let modes = [ListMode::Report, ListMode::Reject, ListMode::Defer, ListMode::Reject];
    let reports = modes.map(|mode| report(list(ListKind::Block, mode), answer.clone()));
    assert_eq!(decide(&reports), Decision::Blocked(&reports[1]));
}

#[test]
fn a_lists_text_cannot_break_a_reply() {
    let answer = Answer::Found(Records::Txt(vec![b"see\r\n250 ok \xc3\xa9".to_vec()]));
    assert_eq!(text(&answer), "see\\x0d\\x0a250 ok \\xc3\\xa9");
    let long = Answer::Found(Records::Txt(vec![vec![b'a'; 400]]));
    assert!(text(&long).is_ascii() && text(&long).len() < 170);
}

#[test]
fn a_summary_begins_with_the_lists_that_name_the_client() {
    let answer = Finding::Listed(Ipv4Addr::new(127, 0, 0, 2));
    let other = List { zone: "other.example.org".to_owned(), ..block() };
    let reports = [report(other, Finding::NotListed), report(block(), answer)];
    assert_eq!(summary(&reports), "zen.example.org: listed (127.0.0.2); other.example.org: not listed");
}
