//! Raw requests through the edge to Exchange: our answers are the page `docs/http-conformance.md`, and Exchange sees nothing of
//! what is refused. `UPDATE_EXPECT=1` writes the page.

mod vectors;

use std::fmt::Write as _;
use std::path::PathBuf;

use vectors::{Group, Vector, Want};

use crate::web::{NAME, Web};

const INTRODUCTION: &str = "\
# How the HTTPS edge answers

Made by a test that sends each request, octet for octet, through the running edge to a test double of Exchange; `UPDATE_EXPECT=1 cargo
nextest run -p portcullis web_conformance` writes this page anew. All of them come by TLS for a served name. `{usual}`
is `Host: mail.example.org\\r\\nConnection: close\\r\\n`. \"Exchange\" is how many requests the server behind got: none of what is refused. A fault in a body that arrives after its head
was passed on ends both connections instead.

Refused means an answer that closes the connection, or no octet at all where there is nobody to answer for (Host). What RFC 9112
lets a recipient tolerate is not tolerated: bare LF, leading empty lines, extensions and trailers of chunks, Transfer-Encoding beside
Content-Length. Paths that lead nowhere open are 404.
";

/// All statuses of what came back, and whether there was anything.
fn answer(octets: &str) -> String {
    let heads = octets.split("HTTP/1.").skip(1);
    let statuses: Vec<&str> = heads.filter_map(|rest| rest.get(2..5)).collect();
    if statuses.is_empty() {
        assert!(octets.is_empty(), "an answer without a status: {octets:?}");
        return "closed, no octet".to_owned();
    }
    statuses.join(", ")
}

/// The octets in one line of a table.
fn shown(octets: &[u8]) -> String {
    const SHOWN_MAX: usize = 120;
    let usual = format!("Host: {NAME}\\r\\nConnection: close\\r\\n");
    let whole = octets
        .escape_ascii()
        .to_string()
        .replace("\\'", "'")
        .replace("\\\"", "\"")
        .replace(&usual, "{usual}");
    let mut shown: String = whole.chars().take(SHOWN_MAX).collect();
    if shown.len() < whole.len() {
        shown.push('…');
    }
    shown.replace('|', "\\|")
}

async fn ask(web: &Web, vector: &Vector) -> (String, usize) {
    let before = web.exchange.requests().len();
    let mut client = web.client().await;
    // The edge may have closed already.
    let _ = client.write(&vector.octets).await;
    let answer = answer(&String::from_utf8_lossy(&client.rest().await));
    (answer, web.exchange.requests().len() - before)
}

/// Adds to the page, and to `faults` what is not as it has to be.
async fn section(web: &Web, page: &mut String, faults: &mut Vec<String>, group: Group) {
    let _ = write!(
        page,
        "\n## {}\n\n| Request | Clause | Octets | Answer | Exchange |\n|--|--|--|--|--|\n",
        group.title
    );
    for vector in &group.vectors {
        let (answer, reached) = ask(web, vector).await;
        let (want, is_answered) = match vector.want {
            Want::Forward(count) => (count, true),
            Want::Refuse => (0, false),
        };
        if reached != want || answer.ends_with("200") != is_answered {
            faults.push(format!("{}: answered {answer}, Exchange saw {reached}", vector.what));
        }
        let octets = shown(&vector.octets);
        let _ = writeln!(page, "| {} | {} | `{octets}` | {answer} | {reached} |", vector.what, vector.clause);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_raw_request_is_answered_as_the_page_says_and_exchange_sees_none_of_the_refused() {
    let web = Web::start().await;
    let (mut page, mut faults) = (INTRODUCTION.to_owned(), Vec::new());
    for group in [vectors::library(), vectors::compliance(), vectors::smuggling(), vectors::malformed()] {
        section(&web, &mut page, &mut faults, group).await;
    }
    web.node.finish().await;
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/http-conformance.md");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let present = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(present == page, "docs/http-conformance.md is out of date: run this test with UPDATE_EXPECT=1");
}

#[test]
fn there_are_the_48_requests_of_the_library_and_no_vector_twice() {
    assert_eq!(vectors::library().vectors.len(), 48);
    let groups = [vectors::library(), vectors::compliance(), vectors::smuggling(), vectors::malformed()];
    let mut names: Vec<String> =
        groups.into_iter().flat_map(|group| group.vectors).map(|vector| vector.what).collect();
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}
