use pc_enforce::{Mode, Pause, Policy, ServerRecord};

use super::*;
use crate::ladder::ladder_notices;
use crate::ladder::tests::owing;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// What is told of the server at `now`, the last of it.
fn notice(mode: Mode, record: &ServerRecord, pauses: &[Pause], now: &str) -> Notice {
    let policy = Policy { mode, ..Policy::new("edge.example.org".parse().unwrap()) };
    ladder_notices(&policy, record, pauses, at(now)).pop().unwrap().notice
}

fn heard(record: ServerRecord, now: &str) -> ServerRecord {
    ServerRecord { last_seen: at(now), ..record }
}

/// All letters in one language, one after the other.
fn letters(language: Language) -> String {
    let opened = "2026-01-01T00:00:00Z";
    let record = |now| heard(owing(opened), now);
    let pause = Pause { from: at("2026-02-05T00:00:00Z"), until: at("2026-02-15T00:00:00Z") };
    let tenant = Addressee::Tenant("example".into());
    let connector = Addressee::Connector("partner".into());
    let postmaster = Addressee::Postmaster("example.net".parse().unwrap());
    let first = notice(Mode::Report, &record(opened), &[], opened);
    let now = "2026-01-24T00:00:00Z";
    let ahead = Policy { mode: Mode::Enforce, ..Policy::new("edge.example.org".parse().unwrap()) };
    let ahead = ladder_notices(&ahead, &record(now), &[], at(now)).remove(0).notice;
    let now = "2026-02-06T00:00:00Z";
    let paused = notice(Mode::Enforce, &record(now), &[pause], now);
    let now = "2026-04-02T00:00:00Z";
    let last = notice(Mode::Enforce, &record(now), &[], now);
    let released_at = at("2026-04-03T10:00:00Z");
    let good = Notice::ServerReleased {
        server: Box::new(ServerFacts { lack: None, ..last.server().unwrap().clone() }),
        at: released_at,
    };
    let node = "edge.example.org".parse().unwrap();
    let sender = Sender { node_name: &node, contact: "operator@example.org" };
    let floor = Notice::FloorAhead {
        server: Box::new(ServerFacts { stage: None, ahead: Vec::new(), ..first.server().unwrap().clone() }),
        floor: "own".into(),
        version: 2,
        at: at("2026-06-05T00:00:00Z"),
        lack: Lack {
            code: "product_unsupported".into(),
            text: "Exchange Server 2016 is out of support".into(),
            install: "Exchange Server SE RTM".into(),
        },
    };
    let all = [
        (&first, &tenant),
        (&first, &connector),
        (&ahead, &postmaster),
        (&paused, &tenant),
        (&last, &postmaster),
        (&good, &tenant),
        (&floor, &Addressee::Operator),
    ];
    let mut text = String::new();
    for (notice, addressee) in all {
        let letter = server_letter(sender, addressee, language, notice).unwrap();
        text.push_str(&format!(
            "=== {} to {addressee}\n{}\n\n{}",
            notice.code(),
            letter.subject,
            letter.text()
        ));
    }
    let many = servers_letter(sender, &tenant, language, &[&first, &last]);
    text.push_str(&format!("=== servers\n{}\n\n{}", many.subject, many.text()));
    text
}

#[test]
fn letters_in_every_language_are_as_reviewed() {
    for (language, golden) in [
        (Language::En, include_str!("golden/en.txt")),
        (Language::Fr, include_str!("golden/fr.txt")),
        (Language::De, include_str!("golden/de.txt")),
        (Language::Es, include_str!("golden/es.txt")),
        (Language::It, include_str!("golden/it.txt")),
    ] {
        let letters = letters(language);
        assert!(letters == golden, "<<<{}\n{letters}>>>", language.tag());
    }
}

#[test]
fn what_a_peer_wrote_is_shown_and_does_nothing() {
    let mut record = heard(owing("2026-01-01T00:00:00Z"), "2026-01-01T00:00:00Z");
    if let Some(shown) = &mut record.shown {
        shown.header = Some("from <script>alert('1')</script> & \"x\" {node}".into());
        shown.build = Some("{server}<b>".into());
    }
    let notice = notice(Mode::Enforce, &record, &[], "2026-01-01T00:00:00Z");
    let node = "edge.example.org".parse().unwrap();
    let sender = Sender { node_name: &node, contact: "operator@example.org" };
    let letter = server_letter(sender, &Addressee::Operator, Language::En, &notice).unwrap();
    let html = letter.html();
    assert!(
        html.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &quot;x&quot; {node}"),
        "{html}"
    );
    assert!(!html.contains("<script") && !html.contains("<b>"), "{html}");
    assert!(letter.text().contains("Build: {server}<b> (Exchange Server 2016 CU23 Aug23SUv2)"));
}
