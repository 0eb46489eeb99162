//! What holds whatever a zone publishes: driven by the fuzz target `spf`, and by the tests over its corpus.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pc_types::dns::{Answer, Kind, Query, Records};

use crate::limits::{SPF_LOOKUP_TERMS_MAX, SPF_MX_HOSTS_MAX, SPF_RECORD_OCTETS_MAX};
use crate::spf::{Answers, Identity, Question, Step, Verdict, evaluate};

/// Questions of one evaluation: RFC 7208 4.6.4, the first record, and each term with all of its exchanges; a `ptr` has
/// no more names.
const QUESTIONS_MAX: usize = 1 + SPF_LOOKUP_TERMS_MAX as usize * (1 + SPF_MX_HOSTS_MAX);
/// Octets of a reason: a term and the names around it, each of which a macro may have made longer than a name is.
const REASON_OCTETS_MAX: usize = 4 * SPF_RECORD_OCTETS_MAX;

/// Evaluates a sender whose zones answer with what `script` holds: two octets of length, then that many octets, for
/// each answer. The first octet of an answer is its kind (`!` fails, `0` finds nothing, else it finds); what follows
/// is the record, or names and addresses in lines.
///
/// # Panics
/// When something does not hold.
pub fn evaluation(script: &[u8]) {
    let (mut zone, mut answers) = (script, Answers::new());
    let question = question(script.len());
    loop {
        let first = evaluate(&question, &answers);
        assert_eq!(first, evaluate(&question, &answers), "the same answers, the same step");
        match first {
            Step::Ask(query) => {
                let answer = answer(next_text(&mut zone), query.kind());
                assert!(answers.insert(query, answer).is_none(), "nothing is asked twice");
                assert!(answers.len() <= QUESTIONS_MAX, "more questions than RFC 7208 allows");
            }
            Step::Done(outcome) => {
                assert!(outcome.reason.len() <= REASON_OCTETS_MAX, "{}", outcome.reason.len());
                if outcome.verdict == Verdict::Pass {
                    check_pass(&question, &answers);
                }
                return;
            }
        }
    }
}

/// A pass comes from a record that was found, and never from a failure of the sender's own name.
fn check_pass(question: &Question, answers: &BTreeMap<Query, Answer>) {
    let own = Query::new(&question.domain, Kind::Txt).and_then(|query| answers.get(&query));
    let Some(Answer::Found(Records::Txt(texts))) = own else { panic!("a pass without a record") };
    let records = texts.iter().filter(|text| {
        let start = text.get(..6).unwrap_or_default();
        start.eq_ignore_ascii_case(b"v=spf1") && matches!(text.get(6), None | Some(b' '))
    });
    assert_eq!(records.count(), 1, "a pass of several records, or of none");
}

/// Both families, both identities, and a local part that is made to break macros.
fn question(seed: usize) -> Question {
    let address: IpAddr = match seed % 2 {
        0 => Ipv4Addr::new(192, 0, 2, 1).into(),
        _ => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
    };
    Question {
        address,
        identity: if seed % 4 < 2 { Identity::MailFrom } else { Identity::Helo },
        domain: "example.net".to_owned(),
        local_part: "a.b-c+d/\"e f\"=%{i}..".to_owned(),
        helo: "[mail].example.net".to_owned(),
    }
}

fn next_text<'a>(script: &mut &'a [u8]) -> &'a [u8] {
    let Some((length, rest)) = script.split_first_chunk::<2>() else { return b"" };
    let (text, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()));
    *script = rest;
    text
}

fn answer(text: &[u8], kind: Kind) -> Answer {
    let content = match text.split_first() {
        None | Some((b'0', _)) => return Answer::NotFound,
        Some((b'!', _)) => return Answer::Temporary("SERVFAIL".to_owned()),
        Some((_, content)) => content,
    };
    let lines = || content.split(|octet| *octet == b'\n');
    let names = || lines().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    let octet = |line: &[u8]| line.first().copied().unwrap_or_default();
    Answer::Found(match kind {
        Kind::A => Records::A(lines().map(|line| Ipv4Addr::new(192, 0, 2, octet(line))).collect()),
        Kind::Aaaa => {
            let address = |line: &[u8]| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, octet(line).into());
            Records::Aaaa(lines().map(address).collect())
        }
        // SPF asks for neither.
        Kind::Caa | Kind::Tlsa => return Answer::NotFound,
        Kind::Mx => Records::Mx(names()),
        Kind::Ptr => Records::Ptr(names()),
        Kind::Txt => Records::Txt(lines().map(<[u8]>::to_vec).collect()),
    })
}
