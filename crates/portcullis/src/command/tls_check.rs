//! `tls check`: another server, or one of ours, against the standard.

use std::io;
use std::time::Duration;

use pc_rating::caa::CaaVerdict;
use pc_rating::{Finding, Rating, Seen};
use pc_stream::Protocol;
use pc_tls::Roots;
use pc_tls::check::{CheckTarget, HttpQuestion};
use tokio::net::TcpStream;

use super::{Context, tls_dns};
use crate::cli::{TlsCheck, TlsWay};
use crate::exit::{BAD, Failure, chain};
use crate::output::{print, print_json, table};

/// RFC 8314 7: TLS from the first octet, and no HTTP.
const MAIL_PORTS: [u16; 3] = [465, 993, 995];
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

pub async fn run(context: &Context, arguments: TlsCheck) -> Result<u8, Failure> {
    let (host, port) = place(&arguments.target).ok_or_else(|| {
        Failure::usage(format!("{}: must be HOST:PORT, such as mail.example.org:443", arguments.target))
    })?;
    let is_for_mail = arguments.starttls.is_some() || MAIL_PORTS.contains(&port);
    let target = CheckTarget {
        server_name: arguments.server_name.unwrap_or_else(|| host.clone()),
        roots: arguments.ca_file.map_or(Roots::WebPki, Roots::Both),
        http: if is_for_mail { HttpQuestion::No } else { HttpQuestion::Ask },
    };
    let way = arguments.starttls.map(protocol);
    let connect = || connect(&host, port, way);
    // Said once here, instead of "not tested" in every line.
    connect().await.map_err(|error| Failure::bad(format!("{}: {error}", arguments.target)))?;
    let checking = pc_tls::check::check(connect, &target);
    let facts = tokio::time::timeout(pc_tls::limits::CHECK_TIMEOUT, checking)
        .await
        .map_err(|_| {
            Failure::bad(format!("{}: the server answers too slowly to be judged", arguments.target))
        })?
        .map_err(|error| Failure::configuration(chain(&error)))?;
    let mut rating = pc_rating::rate(&facts);
    tls_dns::add_caa(&mut rating, caa(context, &target.server_name, &facts).await?);
    if context.json {
        print_json(&json(&arguments.target, &facts, &rating));
    } else {
        print(&text(&arguments.target, &facts, &rating));
    }
    Ok(if rating.meets_standard() { 0 } else { BAD })
}

/// What CAA says of the name, for the issuer of the certificate that was seen.
async fn caa(context: &Context, name: &str, facts: &pc_rating::Facts) -> Result<CaaVerdict, Failure> {
    let Some(certificate) = &facts.certificate else {
        return Ok(CaaVerdict { finding: Finding::NotTested, detail: "no handshake succeeded".to_owned() });
    };
    if name.parse::<std::net::IpAddr>().is_ok() {
        let detail = "an address has no CAA".to_owned();
        return Ok(CaaVerdict { finding: Finding::NotApplicable, detail });
    }
    if certificate.is_self_signed {
        let detail = "no authority has signed the certificate".to_owned();
        return Ok(CaaVerdict { finding: Finding::NotApplicable, detail });
    }
    let resolver = crate::node::resolver(&context.load()?)?;
    Ok(tls_dns::caa(&resolver, name, certificate.issuer.as_deref()).await)
}

async fn connect(host: &str, port: u16, way: Option<Protocol>) -> io::Result<TcpStream> {
    let connecting = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect((host, port)));
    let mut stream = connecting.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
    if let Some(protocol) = way {
        pc_streamd::begin_tls(&mut stream, protocol, "tls-check.invalid").await?;
    }
    Ok(stream)
}

fn protocol(way: TlsWay) -> Protocol {
    match way {
        TlsWay::Imap => Protocol::Imap,
        TlsWay::Pop3 => Protocol::Pop3,
        TlsWay::Smtp => Protocol::Submission,
    }
}

/// `host:port`, `[2001:db8::1]:443`
fn place(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port = port.parse().ok().filter(|port| *port != 0)?;
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

fn grade(rating: &Rating) -> String {
    rating.grade.map_or_else(|| "none, too little was seen".to_owned(), |grade| grade.to_string())
}

fn text(target: &str, facts: &pc_rating::Facts, rating: &Rating) -> String {
    let rows: Vec<Vec<String>> = rating
        .items
        .iter()
        .map(|item| {
            let cells = [item.section, item.finding.word(), item.title, item.detail.as_str()];
            cells.map(str::to_owned).to_vec()
        })
        .collect();
    let score = rating.score.map_or_else(String::new, |score| {
        format!("  (30 % protocol + 30 % key exchange + 40 % cipher: {score})")
    });
    let reasons: String = rating
        .reasons
        .iter()
        .map(|(cap, why)| format!("  at best {cap}: {}\n", pc_types::Escaped::new(why)))
        .collect();
    let verdict =
        match (rating.meets_standard(), rating.items.iter().any(|item| item.finding == Finding::Fail)) {
            (true, _) => "meets the standard",
            (false, true) => "does not meet the standard; see portcullis tls standard",
            (false, false) => "cannot be said to meet the standard: not everything was seen",
        };
    let suites: Vec<String> = facts
        .suites
        .iter()
        .map(|(version, suite)| format!("  {:<8}{:<4}{}\n", version.name(), suite.bits, suite.name))
        .collect();
    format!(
        "{target} {verdict}.\n\ngrade  {}{score}\n{reasons}\nSuites by the server's choice:\n{}\n{}",
        grade(rating),
        suites.concat(),
        table(&["SECTION", "FINDING", "PRACTICE", "DETAIL"], &rows)
    )
}

fn json(target: &str, facts: &pc_rating::Facts, rating: &Rating) -> serde_json::Value {
    let versions = facts.versions.iter().map(|(version, seen)| {
        let seen = match seen {
            Seen::No => "refused",
            Seen::Unknown => "unknown",
            Seen::Yes => "accepted",
        };
        (version.name().to_owned(), seen.into())
    });
    let items = rating.items.iter().map(|item| {
        serde_json::json!({
            "section": item.section,
            "practice": item.title,
            "finding": item.finding.word(),
            "decides": item.weight == pc_rating::Weight::Standard,
            "detail": item.detail,
        })
    });
    let reasons = rating
        .reasons
        .iter()
        .map(|(cap, why)| serde_json::json!({ "at_best": cap.to_string(), "reason": why }));
    serde_json::json!({
        "target": target,
        "meets_standard": rating.meets_standard(),
        "grade": rating.grade.map(|grade| grade.to_string()),
        "score": rating.score.map(pc_rating::Score::total),
        "arithmetic": rating.score.map(|score| score.to_string()),
        "reasons": reasons.collect::<Vec<_>>(),
        "versions": versions.collect::<serde_json::Map<_, _>>(),
        "suites": facts.suites.iter().map(|(version, suite)| serde_json::json!({
            "version": version.name(), "code": format!("{:04x}", suite.code), "name": suite.name, "bits": suite.bits,
        })).collect::<Vec<_>>(),
        "groups": facts.groups,
        "items": items.collect::<Vec<_>>(),
    })
}
