//! What our own listeners offer, against the checklist and grades of SSL Labs: by handshakes in memory where no node runs, else over
//! connections to each listener as a client makes them.

use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use pc_config::Config;
use pc_net::OwnConnections;
use pc_rating::{Finding, Grade, Item, Rating, Weight};
use pc_stream::Protocol;
use pc_tls::check::{CheckTarget, HttpQuestion};
use pc_tls::{CertificateStore, Roots, ServerTls};
use pc_types::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::exit::{Failure, chain};

/// What came of a check.
pub struct Checked {
    /// `None` where too little was seen.
    pub grade: Option<Grade>,
    /// How it comes about.
    pub arithmetic: Option<String>,
    /// Items that were not met, in words with the remedy.
    pub failed: Vec<String>,
    /// Items that decide and were not seen.
    pub unseen: Vec<String>,
}

/// Of a connection in memory: more than a flight of a handshake.
const MEMORY_OCTETS: usize = 64 * 1024;
/// One listener: some hundred handshakes over loopback take a few seconds; a busy node may take longer.
const LISTENER_TIMEOUT: Duration = Duration::from_secs(120);
/// What the check greets with (RFC 2606 2).
const CHECK_NAME: &str = "tls-check.invalid";

/// One listener of this node, and how TLS begins on it.
pub struct OwnListener {
    /// As in the log.
    pub name: String,
    pub connections: OwnConnections,
    /// Spoken before TLS; `None` where TLS comes first.
    pub before_tls: Option<Protocol>,
    /// What its certificate should be for.
    pub server_name: String,
    pub http: HttpQuestion,
}

/// What is known of one listener.
pub struct ListenerReport {
    pub listener: String,
    pub address: SocketAddr,
    pub server_name: String,
    pub at: Timestamp,
    /// Or why it could not be checked.
    pub outcome: Result<Checked, String>,
}

impl Checked {
    fn of(rating: &Rating) -> Self {
        let of_standard = |finding: Finding| {
            let is_so = move |item: &&Item| item.weight == Weight::Standard && item.finding == finding;
            rating.items.iter().filter(is_so)
        };
        let failed = of_standard(Finding::Fail)
            .map(|item| match item.detail.as_str() {
                "" => format!("{}: {}", item.title, item.remedy()),
                detail => format!("{} ({detail}): {}", item.title, item.remedy()),
            })
            .collect();
        let unseen = of_standard(Finding::NotTested).map(|item| item.title.to_owned()).collect();
        let arithmetic = rating.score.map(|score| score.to_string());
        Self { grade: rating.grade, arithmetic, failed, unseen }
    }

    /// Whether all that the standard asks for was seen to be met.
    pub fn is_good(&self) -> bool {
        self.grade.is_some() && self.failed.is_empty() && self.unseen.is_empty()
    }

    /// The letter, or `none`.
    pub fn letter(&self) -> String {
        self.grade.map_or_else(|| "none".to_owned(), |grade| grade.to_string())
    }

    /// The letter with its arithmetic.
    pub fn grade_text(&self) -> String {
        let arithmetic = self.arithmetic.as_ref().map_or_else(String::new, |text| format!(" ({text})"));
        format!("{}{arithmetic}", self.letter())
    }

    /// What is amiss, in words; nothing where it is good.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.failed.clone();
        if !self.unseen.is_empty() {
            faults.push(format!("not tested: {}", self.unseen.join(", ")));
        }
        faults
    }
}

impl ListenerReport {
    /// One sentence where something is amiss.
    pub fn remark(&self) -> Option<String> {
        match &self.outcome {
            Ok(checked) if checked.is_good() => None,
            Ok(checked) => Some(format!(
                "TLS of {}: grade {}, {}",
                self.listener,
                checked.grade_text(),
                checked.faults().join("; ")
            )),
            Err(why) => Some(format!("TLS of {} could not be checked: {why}", self.listener)),
        }
    }

    /// For the API.
    pub fn to_json(&self) -> Value {
        let checked = self.outcome.as_ref().ok();
        json!({
            "listener": self.listener,
            "address": self.address,
            "server_name": self.server_name,
            "checked_at": self.at,
            "meets_standard": checked.is_some_and(Checked::is_good),
            "grade": checked.and_then(|checked| checked.grade).map(|grade| grade.to_string()),
            "arithmetic": checked.and_then(|checked| checked.arithmetic.clone()),
            "failed": checked.map(|checked| &checked.failed),
            "not_tested": checked.map(|checked| &checked.unseen),
            "error": self.outcome.as_ref().err(),
        })
    }
}

/// Checks a listener over connections of its own, as a client comes.
pub async fn check_listener(listener: &OwnListener, at: Timestamp) -> ListenerReport {
    let checking = tokio::time::timeout(LISTENER_TIMEOUT, over_connections(listener));
    let outcome = checking
        .await
        .unwrap_or_else(|_| Err(format!("it was not done within {} seconds", LISTENER_TIMEOUT.as_secs())));
    ListenerReport {
        listener: listener.name.clone(),
        address: listener.connections.address(),
        server_name: listener.server_name.clone(),
        at,
        outcome,
    }
}

async fn over_connections(listener: &OwnListener) -> Result<Checked, String> {
    // Said once here, instead of "not tested" for every item.
    connect(listener).await.map_err(|error| error.to_string())?;
    let target =
        CheckTarget { server_name: listener.server_name.clone(), roots: Roots::WebPki, http: listener.http };
    let checked = checked(|| connect(listener), &target).await?;
    if checked.grade.is_none() {
        return Err("no handshake came to its end, so that nothing can be said".to_owned());
    }
    Ok(checked)
}

async fn connect(listener: &OwnListener) -> io::Result<TcpStream> {
    let mut stream = listener.connections.connect().await?;
    if let Some(protocol) = listener.before_tls {
        pc_streamd::begin_tls(&mut stream, protocol, CHECK_NAME).await?;
    }
    Ok(stream)
}

async fn checked<S, C, F>(connect: C, target: &CheckTarget) -> Result<Checked, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    C: Fn() -> F,
    F: Future<Output = io::Result<S>>,
{
    let facts = pc_tls::check::check(connect, target).await.map_err(|error| chain(&error))?;
    Ok(Checked::of(&pc_rating::rate(&facts)))
}

/// The name that mail listeners are looked at by. Senders connect to the name of the node; mail programs use whatever name the
/// certificate has.
pub fn mail_name(config: &Config, store: &CertificateStore, way: MailName) -> String {
    let node = config.node.name.as_str();
    if way == MailName::OfNode || !store.leaves_for([node]).is_empty() {
        return node.to_owned();
    }
    store.names().into_iter().find(|name| !name.starts_with("*.")).unwrap_or_else(|| node.to_owned())
}

/// Which name clients use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailName {
    /// One of the certificates, if the node's own is on none.
    OfCertificate,
    /// The node's.
    OfNode,
}

/// What all reports mean together: the worst grade, and what is amiss by listener.
pub fn summary(reports: &[ListenerReport]) -> (String, Vec<String>) {
    let checked = || reports.iter().filter_map(|report| report.outcome.as_ref().ok());
    let worst = checked().filter_map(|checked| checked.grade).max();
    let grade = worst.map_or_else(|| "none".to_owned(), |grade| grade.to_string());
    // The same certificate fails on all of them in the same way.
    let mut all: BTreeSet<&String> = checked().flat_map(|checked| &checked.failed).collect();
    let mut failed = Vec::new();
    while let Some(item) = all.pop_first() {
        let has_it = |report: &&ListenerReport| {
            report.outcome.as_ref().is_ok_and(|checked| checked.failed.contains(item))
        };
        let names: Vec<&str> = reports.iter().filter(has_it).map(|report| report.listener.as_str()).collect();
        failed.push(format!("{item} [{}]", names.join(", ")));
    }
    (grade, failed)
}

/// Without a running node: all listeners have the same standard and certificates, so that one check in memory is for all.
pub async fn check(store: &CertificateStore) -> Result<Checked, Failure> {
    let tls = ServerTls::new("check", store).map_err(|error| Failure::internal(chain(&error)))?;
    let target = CheckTarget {
        server_name: store.names().into_iter().next().unwrap_or_default(),
        roots: Roots::WebPki,
        http: HttpQuestion::No,
    };
    let connect = || {
        let (ours, theirs) = tokio::io::duplex(MEMORY_OCTETS);
        let tls = tls.clone();
        tokio::spawn(async move {
            // Held until the check is done with it: tickets come behind the handshake.
            if let Ok(mut accepted) = tls.accept(theirs, pc_tls::limits::HANDSHAKE_DEADLINE).await {
                let _ = tokio::io::AsyncReadExt::read(&mut accepted.stream, &mut [0; 1]).await;
            }
        });
        std::future::ready(Ok(ours))
    };
    checked(connect, &target).await.map_err(Failure::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(listener: &str, grade: Option<Grade>, failed: &[&str]) -> ListenerReport {
        let outcome = grade.map(|grade| Checked {
            grade: Some(grade),
            arithmetic: Some("30 + 30 + 36 = 96".to_owned()),
            failed: failed.iter().map(|item| (*item).to_owned()).collect(),
            unseen: Vec::new(),
        });
        ListenerReport {
            listener: listener.to_owned(),
            address: "127.0.0.1:25".parse().unwrap(),
            server_name: "edge.example.org".to_owned(),
            at: Timestamp::UNIX_EPOCH,
            outcome: outcome.ok_or_else(|| "nobody answers".to_owned()),
        }
    }

    #[test]
    fn the_worst_grade_stands_for_all_and_an_item_is_told_once_with_its_listeners() {
        let reports = [
            report("smtp", Some(Grade::T), &["issuer"]),
            report("https", Some(Grade::T), &["hsts", "issuer"]),
            report("imap", Some(Grade::A), &[]),
            report("pop3", None, &[]),
        ];
        let (grade, failed) = summary(&reports);
        assert_eq!(
            (grade.as_str(), failed),
            ("T", vec!["hsts [https]".into(), "issuer [smtp, https]".into()])
        );
        assert_eq!(reports[2].remark(), None);
        assert_eq!(reports[3].remark().as_deref(), Some("TLS of pop3 could not be checked: nobody answers"));
        assert_eq!(summary(&reports[3..]), ("none".to_owned(), Vec::new()));
    }

    #[tokio::test]
    async fn a_listener_that_takes_no_connection_is_not_known_and_not_good() {
        let limits = pc_net::AcceptLimits {
            connections_max: 1,
            connections_per_address_max: 1,
            connections_per_minute: 1,
        };
        let refusals = pc_net::Refusals { over_limits: b"", out_of_handles: b"" };
        let bound = "127.0.0.1:0".parse().unwrap();
        let acceptor = pc_net::Acceptor::bind("smtp", bound, limits, refusals).unwrap();
        let listener = OwnListener {
            name: "smtp".to_owned(),
            connections: acceptor.own_connections().unwrap(),
            before_tls: Some(Protocol::Submission),
            server_name: "edge.example.org".to_owned(),
            http: HttpQuestion::No,
        };
        drop(acceptor);
        let report = check_listener(&listener, Timestamp::UNIX_EPOCH).await;
        let remark = report.remark().unwrap();
        assert!(remark.starts_with("TLS of smtp could not be checked: "), "{remark}");
        assert_eq!(
            (&report.to_json()["grade"], &report.to_json()["meets_standard"]),
            (&Value::Null, &false.into())
        );
    }

    #[test]
    fn what_was_not_seen_is_not_good() {
        let mut one = report("smtp", Some(Grade::A), &[]);
        if let Ok(checked) = &mut one.outcome {
            checked.unseen.push("HSTS".to_owned());
        }
        assert!(one.remark().unwrap().ends_with("not tested: HSTS"));
        assert_eq!(one.to_json()["meets_standard"], false);
        assert_eq!(report("smtp", None, &[]).to_json()["error"], "nobody answers");
    }
}
