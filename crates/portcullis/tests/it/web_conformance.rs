//! Raw requests through the edge to Exchange: our answers are the page `docs/http-conformance.md`, and Exchange sees nothing of
//! what is refused. `UPDATE_EXPECT=1` writes the page.

mod frames;
mod http2;
mod vectors;

use std::fmt::Write as _;
use std::path::PathBuf;

use frames::{PREFACE, SETTINGS, Sent, frame};
use pc_testkit::WebClient;
use pc_tls::ClientTls;
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

In HTTP/2 the preface and an empty SETTINGS stand before the frames, and GET is `:method: GET; :scheme: https; :authority:
mail.example.org; :path: /owa/x`. An answer is a status, a stream's end or the connection's, whichever comes first. \"begun\" is a
request whose head may have gone on before its body was at fault; Exchange sees it break off.
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

async fn ask_http2(web: &Web, tls: &ClientTls, vector: &http2::Vector) -> (String, usize) {
    let before = web.exchange.requests().len();
    let mut client = WebClient::connect_in_tls(web.https(), tls, NAME).await.unwrap();
    let greeting = [PREFACE, &frame(SETTINGS, 0, 0, b"", "").octets].concat();
    let frames = vector.sent.iter().flat_map(|sent| sent.octets.iter().copied()).collect::<Vec<u8>>();
    let octets = [if vector.is_greeted { &greeting[..] } else { b"" }, &frames.repeat(vector.times)].concat();
    // The edge may have closed already.
    let _ = client.write(&octets).await;
    let answer = frames::answer(&mut client, vector.watches_streams).await;
    (answer, web.exchange.requests().len() - before)
}

/// The frames in one line of a table.
fn shown_frames(vector: &http2::Vector) -> String {
    const SHOWN_MAX: usize = 160;
    let usual = format!(":scheme: https; :authority: {NAME}; :path: /owa/x");
    let whole = vector.sent.iter().map(|Sent { shown, .. }| shown.as_str()).collect::<Vec<_>>().join(", ");
    let whole = ["GET", "POST"].iter().fold(whole, |whole, method| {
        let long = format!(":method: {method}; {usual}");
        [")", ";"]
            .iter()
            .fold(whole, |whole, end| whole.replace(&format!("{long}{end}"), &format!("{method}{end}")))
    });
    let whole = if vector.times > 1 { format!("{} x {whole}", vector.times) } else { whole };
    let mut shown: String = whole.chars().take(SHOWN_MAX).collect();
    if shown.len() < whole.len() {
        shown.push('…');
    }
    shown.replace('|', "\\|")
}

async fn section_of_http2(web: &Web, page: &mut String, faults: &mut Vec<String>, group: http2::Group) {
    let tls = web.tls.with_protocols(&["h2"]);
    let _ = write!(
        page,
        "\n## {}\n\n| What | Clause | Frames | Answer | Exchange |\n|--|--|--|--|--|\n",
        group.title
    );
    for vector in &group.vectors {
        let (answer, reached) = ask_http2(web, &tls, vector).await;
        let is_as_wanted = match vector.want {
            http2::Want::BreakOff => !answer.ends_with("200"),
            http2::Want::Forward => answer == "200" && reached == 1,
            http2::Want::Refuse => !answer.ends_with("200") && reached == 0,
        };
        if !is_as_wanted {
            faults.push(format!("{}: answered {answer}, Exchange saw {reached}", vector.what));
        }
        let reached = match vector.want {
            http2::Want::BreakOff => "begun",
            http2::Want::Forward => "1",
            http2::Want::Refuse => "0",
        };
        let frames = shown_frames(vector);
        let _ = writeln!(page, "| {} | {} | `{frames}` | {answer} | {reached} |", vector.what, vector.clause);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_raw_request_is_answered_as_the_page_says_and_exchange_sees_none_of_the_refused() {
    let web = Web::start_with("", "http2 = true").await;
    let (mut page, mut faults) = (INTRODUCTION.to_owned(), Vec::new());
    for group in [vectors::library(), vectors::compliance(), vectors::smuggling(), vectors::malformed()] {
        section(&web, &mut page, &mut faults, group).await;
    }
    for group in
        [http2::served(), http2::tolerated(), http2::requests(), http2::connections(), http2::floods()]
    {
        section_of_http2(&web, &mut page, &mut faults, group).await;
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
    let groups =
        [http2::served(), http2::tolerated(), http2::requests(), http2::connections(), http2::floods()];
    let vectors = groups
        .into_iter()
        .flat_map(|group| group.vectors.into_iter().map(move |vector| (group.title, vector)));
    names.extend(vectors.map(|(title, vector)| format!("{title}: {}", vector.what)));
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}
