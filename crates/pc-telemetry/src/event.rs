use std::net::IpAddr;
use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use pc_types::Escaped;
use tracing::{debug, error, info, warn};

use crate::acme;
use crate::attestation::Attesting;
use crate::ocsp::{self, OcspSeen};
use crate::web::{self, WebRequest};

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 250: the server behind or the disk holds it.
    Taken,
    /// 4xx: the sender keeps it.
    Deferred,
    /// 5xx.
    Refused,
}

impl Outcome {
    /// Stable, for logs, labels and the trace.
    pub fn code(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Deferred => "deferred",
            Self::Refused => "refused",
        }
    }
}

/// Something worth knowing. Fields named `code` hold stable words of our own.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields are named for what they hold, the variants say what happened")]
pub enum Event<'a> {
    /// An attestation was offered.
    AttestationOffered(Attesting<'a>),
    /// How old the catalogue's facts are.
    CatalogueAged { as_of: &'a str, days: i64 },
    /// Something offered to the catalogue was refused, what is in use stays.
    CatalogueRefused { source: &'a str, code: &'static str, error: &'a str },
    /// Another state of the catalogue is in use.
    CatalogueRevised { as_of: &'a str, digest: &'a str },
    /// The catalogue's facts are older than the operator wants.
    CatalogueStale { as_of: &'a str, days: i64 },
    /// A certificate authority looked for the proof of a name, and got it.
    AcmeChallengeAnswered { challenge: &'static str, name: &'a str, address: IpAddr },
    /// No certificate came by ACME; the one in service stays.
    AcmeFailed { code: &'static str, error: &'a str, next: &'a str },
    /// A certificate came by ACME and is in service.
    AcmeIssued { names: &'a str, not_after: &'a str, next: &'a str },
    /// A certificate in service ends soon.
    CertificateEnding { names: &'a str, days: i64 },
    /// What the listeners offer was checked against the practices of SSL Labs; `failed` is empty when nothing was amiss.
    TlsStandardChecked { grade: &'a str, failed: &'a str },
    /// New certificate files are in use.
    CertificateReloaded { not_after: &'a str },
    /// New certificate files were refused, the old ones stay.
    CertificateRefused { error: &'a str },
    /// A connection was taken by a listener.
    ConnectionOpened { listener: &'a str, address: IpAddr },
    /// A connection was cut by a panic of ours; others go on.
    ConnectionPanicked { listener: &'a str, address: IpAddr },
    /// Handling a message panicked; only this message is concerned.
    MessagePanicked { trace_id: &'a str, address: IpAddr },
    /// A connection was turned away at the limits.
    ConnectionRefused { listener: &'a str, address: IpAddr, code: &'static str },
    /// A DNS list was asked about a client.
    DnsListAnswered { address: IpAddr, zone: &'a str, code: &'static str, detail: &'a str },
    /// A DNS list refuses to answer us; told once for each.
    DnsListRefused { zone: &'a str, answer: &'a str },
    /// What all lists together mean for a transaction.
    SenderListed { trace_id: &'a str, address: IpAddr, zone: &'a str, code: &'static str },
    /// SPF gave its result.
    SpfEvaluated { address: IpAddr, domain: &'a str, code: &'static str },
    /// A transaction got the ladder's reply, or would have in report mode.
    EnforcementReplied { trace_id: &'a str, server: &'a str, code: &'static str, reply: &'a str },
    /// Something happened to a server's row in the ladder.
    LadderChanged { server: &'a str, code: &'static str, detail: &'a str },
    /// A login of a mail program ended: `ok`, `failed`, or `unknown` where the server cannot be followed.
    LoginSeen { listener: &'a str, address: IpAddr, protocol: &'static str, code: &'static str },
    /// A listener was looked at as clients see it; `failed` is empty where it meets the standard.
    ListenerChecked { listener: &'a str, address: &'a str, grade: &'a str, failed: &'a str },
    /// A listener could not be looked at, so that nothing is known of it.
    ListenerUnchecked { listener: &'a str, address: &'a str, error: &'a str },
    /// Accepting failed (EMFILE and its kin); tried again after a pause.
    ListenerFailed { listener: &'a str, error: &'a str },
    /// A listener takes connections.
    ListenerStarted { listener: &'a str, address: &'a str },
    /// A client used up what it, or its connector, or everybody may do in a time.
    LimitReached { address: IpAddr, scope: &'static str, code: &'static str, wait: Duration },
    /// A message ended.
    MessageEnded {
        trace_id: &'a str,
        address: IpAddr,
        outcome: Outcome,
        octets: u64,
        recipients: usize,
        reverse_path: &'a str,
        reply: &'a str,
        elapsed: Duration,
    },
    /// A content scanner gave its verdict; `reply` is empty where the message may go on.
    MilterAnswered { trace_id: &'a str, milter: &'a str, code: &'static str, reply: &'a str },
    /// A content scanner gave no verdict; `action` is what became of the message.
    MilterFailed {
        trace_id: &'a str,
        milter: &'a str,
        code: &'static str,
        action: &'static str,
        error: &'a str,
    },
    /// Notices could not be told; they stay in the outbox.
    NoticeFailed { error: &'a str },
    /// What an OCSP responder said of a certificate in service, or that it said nothing.
    OcspAnswered(OcspSeen<'a>),
    /// A mail with notices is on its way; `code` says to whom.
    NoticeHanded { id: &'a str, code: &'static str, notices: usize },
    /// A webhook was tried; `code` is where it stands.
    WebhookTried { webhook: &'a str, id: &'a str, code: &'static str, tries: u32, answer: &'a str },
    /// A list of recipients was changed and is in use.
    RecipientsReloaded { upstream: &'a str, lines: usize },
    /// A changed list of recipients was refused, the old one stays.
    RecipientsRefused { upstream: &'a str, error: &'a str },
    /// A recipient was refused because there is none such; `code` says who said so.
    RecipientUnknown { trace_id: &'a str, address: IpAddr, upstream: &'a str, code: &'static str },
    /// A message was not begun for want of disk or memory.
    RoomShort { address: IpAddr, code: &'static str },
    /// A peer broke the protocol.
    SmtpRejected { address: IpAddr, code: &'static str },
    /// A spooled message was offered to its target.
    SpoolAttempted { id: &'a str, target: &'a str, code: &'static str, detail: &'a str },
    /// A spooled message waits for the operator.
    SpoolSetAside { id: &'a str, target: &'a str, reason: &'a str },
    /// A message was taken into the spool.
    SpoolTaken { id: &'a str, target: &'a str, octets: u64 },
    /// Spooled mail has a target that the configuration does not name.
    SpoolTargetMissing { target: &'a str, messages: usize },
    /// A file of the spool could not be read or written.
    SpoolUnreadable { id: &'a str, error: &'a str },
    /// A connection of a mail program ended.
    StreamEnded {
        listener: &'a str,
        address: IpAddr,
        protocol: &'static str,
        host: &'a str,
        code: &'static str,
        octets_in: u64,
        octets_out: u64,
        elapsed: Duration,
    },
    /// A mail program, or somebody in its place, was refused something.
    StreamRejected { listener: &'a str, address: IpAddr, protocol: &'static str, code: &'static str },
    /// The store could not write; the rows are kept in memory or counted as lost.
    StoreFailed { error: &'a str, rows_lost: u64 },
    /// Old transactions were deleted.
    TraceExpired { by_age: u64, by_size: u64, octets_used: u64 },
    /// A client came to a port that takes any hello; `fits` is one that the standard would let in.
    ClientTested { listener: &'a str, address: IpAddr, code: &'static str, client: &'a str },
    /// A handshake came to its end.
    TlsEstablished { listener: &'a str, version: &'static str, suite: &'static str },
    /// A client was refused by the one standard.
    TlsRefused { listener: &'a str, address: IpAddr, code: &'static str, client: &'a str },
    /// The server behind failed us; `host` is empty where it was none of its hosts.
    UpstreamFailed { upstream: &'a str, host: &'a str, code: &'static str, error: &'a str },
    /// A transaction was begun by another host than the first that was asked.
    UpstreamFailedOver { upstream: &'a str, host: &'a str, error: &'a str },
    /// A host of the server behind is up, doubtful or down from here on.
    UpstreamHostChanged { upstream: &'a str, host: &'a str, code: &'static str, error: &'a str },
    /// A server behind the web edge showed a certificate that is ours or is not; told when it changes.
    WebBindingSeen { site: &'a str, host: &'a str, code: &'static str, ours: &'a str, theirs: &'a str },
    /// A request is one that a virtual patch knows.
    WebPatchHit {
        site: &'a str,
        rule: &'a str,
        action: &'static str,
        address: IpAddr,
        method: &'a str,
        path: &'a str,
    },
    /// A virtual patch changed a response, or would have.
    WebPatchChange { site: &'a str, rule: &'a str, action: &'static str },
    /// A rule of the pack in use is past its last day; it reports and does not block.
    WebRuleExpired { rule: &'a str, expires: &'a str },
    /// Another pack of rules is in use.
    WebRulePackLoaded { version: u32, published: &'a str, rules: usize },
    /// A pack of rules was refused; the one in use stays.
    WebRulePackRefused { source: &'a str, code: &'static str, error: &'a str },
    /// A client connection of the web edge was closed for what was sent on it, or was not.
    WebRejected { listener: &'a str, address: IpAddr, client: &'a str, code: &'static str },
    /// A request came to its end.
    WebRequestEnded(WebRequest<'a>),
    /// A protocol of a server behind the web edge is up or down from here on.
    WebServerChanged {
        site: &'a str,
        host: &'a str,
        directory: &'static str,
        code: &'static str,
        error: &'a str,
    },
    /// A server behind the web edge failed us.
    WebServerFailed { site: &'a str, host: &'a str, code: &'static str, error: &'a str },
}

impl Event<'_> {
    /// Writes the log line and moves the metric.
    pub fn emit(self) {
        match self {
            Self::AcmeChallengeAnswered { .. } | Self::AcmeFailed { .. } | Self::AcmeIssued { .. } => {
                self.emit_acme();
            }
            Self::AttestationOffered(attesting) => attesting.emit(),
            Self::CatalogueAged { .. }
            | Self::CatalogueRefused { .. }
            | Self::CatalogueRevised { .. }
            | Self::CatalogueStale { .. } => self.emit_catalogue(),
            Self::CertificateEnding { .. }
            | Self::ListenerChecked { .. }
            | Self::ListenerUnchecked { .. }
            | Self::TlsStandardChecked { .. } => self.emit_standard(),
            Self::CertificateReloaded { .. }
            | Self::CertificateRefused { .. }
            | Self::ListenerFailed { .. }
            | Self::ListenerStarted { .. }
            | Self::NoticeFailed { .. }
            | Self::NoticeHanded { .. }
            | Self::RecipientsRefused { .. }
            | Self::RecipientsReloaded { .. }
            | Self::StoreFailed { .. }
            | Self::TraceExpired { .. }
            | Self::WebhookTried { .. } => self.emit_node(),
            Self::ConnectionOpened { .. }
            | Self::ConnectionPanicked { .. }
            | Self::MessagePanicked { .. }
            | Self::ClientTested { .. }
            | Self::ConnectionRefused { .. }
            | Self::LimitReached { .. }
            | Self::TlsEstablished { .. }
            | Self::TlsRefused { .. } => self.emit_connection(),
            Self::EnforcementReplied { .. }
            | Self::LadderChanged { .. }
            | Self::MessageEnded { .. }
            | Self::MilterAnswered { .. }
            | Self::MilterFailed { .. }
            | Self::RecipientUnknown { .. }
            | Self::RoomShort { .. }
            | Self::SmtpRejected { .. } => self.emit_mail(),
            Self::OcspAnswered(seen) => seen.emit(),
            Self::LoginSeen { .. } | Self::StreamEnded { .. } | Self::StreamRejected { .. } => {
                self.emit_stream()
            }
            Self::UpstreamFailed { .. }
            | Self::UpstreamFailedOver { .. }
            | Self::UpstreamHostChanged { .. } => self.emit_upstream(),
            Self::DnsListAnswered { .. }
            | Self::DnsListRefused { .. }
            | Self::SenderListed { .. }
            | Self::SpfEvaluated { .. } => self.emit_sender(),
            Self::SpoolAttempted { .. }
            | Self::SpoolSetAside { .. }
            | Self::SpoolTaken { .. }
            | Self::SpoolTargetMissing { .. }
            | Self::SpoolUnreadable { .. } => self.emit_spool(),
            Self::WebBindingSeen { .. }
            | Self::WebPatchChange { .. }
            | Self::WebPatchHit { .. }
            | Self::WebRuleExpired { .. }
            | Self::WebRulePackLoaded { .. }
            | Self::WebRulePackRefused { .. }
            | Self::WebRejected { .. }
            | Self::WebRequestEnded(_)
            | Self::WebServerChanged { .. }
            | Self::WebServerFailed { .. } => self.emit_web(),
        }
    }

    fn emit_catalogue(self) {
        match self {
            Self::CatalogueAged { as_of, days } => {
                debug!(as_of, days, "age of the catalogue");
                // A gauge holds fractions; days are few.
                gauge!("pc_catalogue_age_days").set(f64::from(i32::try_from(days).unwrap_or(i32::MAX)));
            }
            Self::CatalogueRefused { source, code, error } => {
                error!(source, code, error, "catalogue: refused, what is in use stays");
                counter!("pc_catalogue_refusals_total", "code" => code).increment(1);
            }
            Self::CatalogueRevised { as_of, digest } => {
                info!(as_of, digest, "catalogue revised, all servers judged anew");
                counter!("pc_catalogue_revisions_total").increment(1);
            }
            Self::CatalogueStale { as_of, days } => {
                warn!(
                    as_of,
                    days, "catalogue is stale: import or fetch a newer one, or install a newer version"
                );
                counter!("pc_catalogue_stale_total").increment(1);
            }
            _ => {}
        }
    }

    fn emit_node(self) {
        match self {
            Self::CertificateReloaded { not_after } => {
                info!(not_after, "certificate reloaded");
                counter!("pc_certificate_reloads_total", "outcome" => "taken").increment(1);
            }
            Self::CertificateRefused { error } => {
                error!(error, "new certificate refused, the running one stays");
                counter!("pc_certificate_reloads_total", "outcome" => "refused").increment(1);
            }
            Self::ListenerFailed { listener, error } => {
                error!(listener, error, "accept failed, trying again");
                counter!("pc_listener_failures_total").increment(1);
            }
            Self::ListenerStarted { listener, address } => info!(listener, address, "listening"),
            Self::NoticeFailed { error } => {
                error!(error = %Escaped::new(error), "notices could not be told, trying again");
                counter!("pc_notice_failures_total").increment(1);
            }
            Self::NoticeHanded { id, code, notices } => {
                info!(id, code, notices, "notices are on their way");
                counter!("pc_notice_mails_total", "code" => code).increment(1);
            }
            Self::RecipientsRefused { upstream, error } => {
                error!(upstream, error, "list of recipients refused, the one in use stays");
                counter!("pc_recipient_list_reloads_total", "outcome" => "refused").increment(1);
            }
            Self::RecipientsReloaded { upstream, lines } => {
                info!(upstream, lines, "list of recipients reloaded");
                counter!("pc_recipient_list_reloads_total", "outcome" => "taken").increment(1);
            }
            Self::StoreFailed { error, rows_lost } => {
                error!(error, rows_lost, "store could not write");
                counter!("pc_store_failures_total").increment(1);
                counter!("pc_store_rows_lost_total").increment(rows_lost);
            }
            Self::TraceExpired { by_age, by_size, octets_used } => {
                info!(by_age, by_size, octets_used, "old transactions deleted");
                counter!("pc_trace_expired_total", "cause" => "age").increment(by_age);
                counter!("pc_trace_expired_total", "cause" => "size").increment(by_size);
            }
            Self::WebhookTried { webhook, id, code, tries, answer } => {
                let answer = Escaped::new(answer);
                match code {
                    "delivered" => info!(webhook, id, code, tries, %answer, "webhook delivered"),
                    "retrying" => warn!(webhook, id, code, tries, %answer, "webhook failed, trying again"),
                    _ => {
                        error!(webhook, id, code, tries, %answer, "webhook is tried no more; see portcullis notices")
                    }
                }
                counter!("pc_webhook_tries_total", "code" => code).increment(1);
            }
            _ => {}
        }
    }

    fn emit_connection(self) {
        match self {
            Self::ConnectionOpened { listener, address } => {
                tracing::debug!(listener, %address, "connection");
                counter!("pc_connections_total").increment(1);
            }
            Self::ConnectionPanicked { listener, address } => {
                error!(listener, %address, "a connection was lost to a fault of ours; please report it");
                counter!("pc_connections_panicked_total").increment(1);
            }
            Self::MessagePanicked { trace_id, address } => {
                error!(trace_id, %address, "handling a message failed by a fault of ours; please report it");
                counter!("pc_messages_panicked_total").increment(1);
            }
            Self::ConnectionRefused { listener, address, code } => {
                warn!(listener, %address, code, "connection refused");
                counter!("pc_connections_refused_total", "code" => code).increment(1);
            }
            Self::LimitReached { address, scope, code, wait } => {
                warn!(%address, scope, code, wait_seconds = wait.as_secs(), "limit reached");
                counter!("pc_limits_reached_total", "scope" => scope, "code" => code).increment(1);
            }
            Self::TlsEstablished { listener, version, suite } => {
                tracing::debug!(listener, version, suite, "TLS established");
                counter!("pc_tls_handshakes_total", "version" => version, "suite" => suite).increment(1);
            }
            Self::ClientTested { listener, address, code, client } => {
                info!(listener, %address, code, client = %Escaped::new(client), "TLS client tested");
                counter!("pc_tls_client_tests_total", "code" => code).increment(1);
            }
            Self::TlsRefused { listener, address, code, client } => {
                warn!(listener, %address, code, client = %Escaped::new(client), "TLS client refused");
                counter!("pc_tls_refused_total", "code" => code).increment(1);
            }
            _ => {}
        }
    }

    fn emit_mail(self) {
        match self {
            Self::EnforcementReplied { trace_id, server, code, reply } => {
                warn!(trace_id, server, code, reply = %Escaped::new(reply), "enforcement");
                counter!("pc_enforcement_decisions_total", "code" => code).increment(1);
            }
            Self::LadderChanged { server, code, detail } => {
                info!(server, code, detail = %Escaped::new(detail), "ladder changed");
                counter!("pc_ladder_changes_total", "code" => code).increment(1);
            }
            Self::MessageEnded {
                trace_id,
                address,
                outcome,
                octets,
                recipients,
                reverse_path,
                reply,
                elapsed,
            } => {
                info!(
                    trace_id,
                    %address,
                    outcome = outcome.code(),
                    octets,
                    recipients,
                    reverse_path = %Escaped::new(reverse_path),
                    reply = %Escaped::new(reply),
                    elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
                    "message"
                );
                counter!("pc_messages_total", "outcome" => outcome.code()).increment(1);
                counter!("pc_message_octets_total").increment(octets);
                histogram!("pc_message_seconds").record(elapsed.as_secs_f64());
            }
            Self::MilterAnswered { trace_id, milter, code, reply } => {
                info!(trace_id, milter, code, reply = %Escaped::new(reply), "content scanner");
                counter!("pc_milter_verdicts_total", "code" => code).increment(1);
            }
            Self::MilterFailed { trace_id, milter, code, action, error } => {
                let error = Escaped::new(error);
                warn!(trace_id, milter, code, action, %error, "content scanner gave no verdict");
                counter!("pc_milter_failures_total", "code" => code, "action" => action).increment(1);
            }
            Self::RecipientUnknown { trace_id, address, upstream, code } => {
                info!(trace_id, %address, upstream, code, "unknown recipient");
                counter!("pc_recipients_unknown_total", "code" => code).increment(1);
            }
            Self::RoomShort { address, code } => {
                warn!(%address, code, "no room for a message");
                counter!("pc_room_short_total", "code" => code).increment(1);
            }
            Self::SmtpRejected { address, code } => {
                info!(%address, code, "protocol fault");
                counter!("pc_smtp_rejections_total", "code" => code).increment(1);
            }
            _ => {}
        }
    }
}

impl Event<'_> {
    fn emit_upstream(self) {
        match self {
            // Whoever answers there is not the server that was configured: that is for a human.
            Self::UpstreamFailed { upstream, host, code: code @ "tls", error } => {
                let error = Escaped::new(error);
                error!(upstream, host, code, %error, "server behind could not prove itself; it gets no mail");
                counter!("pc_upstream_failures_total", "code" => code).increment(1);
            }
            Self::UpstreamFailed { upstream, host, code, error } => {
                warn!(upstream, host, code, error = %Escaped::new(error), "server behind failed");
                counter!("pc_upstream_failures_total", "code" => code).increment(1);
            }
            Self::UpstreamFailedOver { upstream, host, error } => {
                info!(upstream, host, error = %Escaped::new(error), "another host of the server behind took over");
                counter!("pc_upstream_failovers_total").increment(1);
            }
            Self::UpstreamHostChanged { upstream, host, code, error } => {
                warn!(upstream, host, code, error = %Escaped::new(error), "host of the server behind changed");
                counter!("pc_upstream_host_changes_total", "code" => code).increment(1);
            }
            _ => {}
        }
    }

    fn emit_sender(self) {
        match self {
            Self::DnsListAnswered { address, zone, code, detail } => {
                tracing::debug!(%address, zone, code, detail, "DNS list");
                counter!("pc_dns_list_answers_total", "code" => code).increment(1);
            }
            Self::DnsListRefused { zone, answer } => {
                error!(
                    zone,
                    answer,
                    "a DNS list refuses to answer and counts as silent; use a resolver of your own, or register with the \
                     list's operator"
                );
            }
            Self::SenderListed { trace_id, address, zone, code } => {
                if code != "pass" {
                    info!(trace_id, %address, zone, code, "DNS lists");
                }
                counter!("pc_dns_list_decisions_total", "code" => code).increment(1);
            }
            Self::SpfEvaluated { address, domain, code } => {
                tracing::debug!(%address, domain = %Escaped::new(domain), code, "SPF");
                counter!("pc_spf_results_total", "code" => code).increment(1);
            }
            _ => {}
        }
    }
}

/// Help texts of the metrics; the list is also their documentation.
pub(crate) fn describe() {
    for (name, text) in [
        ("pc_catalogue_refusals_total", "Feeds and bundles that were refused, by code"),
        ("pc_catalogue_revisions_total", "States of the catalogue taken into use"),
        ("pc_catalogue_stale_total", "Looks that found the catalogue older than it may be"),
        ("pc_certificate_reloads_total", "Certificate reloads by outcome"),
        ("pc_connections_panicked_total", "Connections lost to a fault of ours"),
        ("pc_connections_refused_total", "Connections turned away at the limits, by code"),
        ("pc_connections_total", "Connections taken"),
        ("pc_dns_list_answers_total", "Answers of DNS lists, by code"),
        (
            "pc_dns_list_decisions_total",
            "Transactions of clients that were looked up in DNS lists, by what followed",
        ),
        ("pc_enforcement_decisions_total", "Transactions the ladder spoke to, by code"),
        ("pc_ladder_changes_total", "Changes of servers' rows in the ladder, by code"),
        ("pc_limits_reached_total", "Refusals at [smtp.limits], by scope and code"),
        ("pc_listener_checks_total", "Looks at our own listeners, by what came of them"),
        ("pc_listener_failures_total", "Failed accepts"),
        ("pc_message_octets_total", "Octets of messages that ended"),
        ("pc_messages_total", "Messages by outcome"),
        ("pc_milter_failures_total", "Messages without a verdict of a content scanner, by code and action"),
        ("pc_milter_verdicts_total", "Verdicts of content scanners, by code"),
        ("pc_notice_failures_total", "Attempts at telling notices that failed"),
        ("pc_notice_mails_total", "Mails with notices, by whom they are for"),
        ("pc_webhook_tries_total", "Tries of webhooks, by what came of them"),
        ("pc_recipient_list_reloads_total", "Reloads of lists of recipients by outcome"),
        ("pc_recipients_unknown_total", "Recipients refused as unknown, by who said so"),
        ("pc_room_short_total", "Messages not begun for want of room, by code"),
        ("pc_smtp_rejections_total", "Protocol faults of peers, by code"),
        ("pc_spool_attempts_total", "Attempts at spooled messages, by code"),
        ("pc_spool_failures_total", "Files of the spool that could not be read or written"),
        ("pc_spool_set_aside_total", "Spooled messages set aside for the operator"),
        ("pc_spool_taken_total", "Messages taken into the spool"),
        ("pc_spf_results_total", "SPF evaluations, by result"),
        ("pc_store_failures_total", "Failed writes of the store"),
        ("pc_store_rows_lost_total", "Trace rows that were not kept"),
        ("pc_stream_connections_total", "Connections of mail programs, by how they ended"),
        ("pc_stream_logins_total", "Logins of mail programs, by what came of them"),
        ("pc_stream_octets_total", "Octets of mail programs and their servers"),
        ("pc_stream_rejections_total", "What mail programs were refused, by code"),
        ("pc_tls_handshakes_total", "Handshakes by version and suite"),
        ("pc_tls_refused_total", "Clients refused by the TLS standard, by code"),
        ("pc_upstream_failovers_total", "Transactions begun by another host than the first that was asked"),
        ("pc_upstream_failures_total", "Failures of servers behind, by code"),
        ("pc_upstream_host_changes_total", "Changes of the health of hosts behind, by what they became"),
    ]
    .into_iter()
    .chain(acme::COUNTERS)
    .chain(ocsp::COUNTERS)
    .chain(web::COUNTERS)
    {
        describe_counter!(name, text);
    }
    describe_histogram!(
        "pc_web_answer_seconds",
        "Seconds from the header of a request to that of its answer"
    );
    describe_gauge!("pc_acme_failing", "1 while the last try to obtain a certificate by ACME failed");
    describe_gauge!("pc_catalogue_age_days", "Days since the day up to which the catalogue's facts reach");
    describe_histogram!("pc_message_seconds", "Seconds from MAIL to the final reply");
}
