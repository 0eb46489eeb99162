//! The senders of the demo: the product's own SMTP client under other names and addresses, each
//! with the queue a mail server has.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use pc_enforce::{Policy, ServerRecord, position};
use pc_net::Clock;
use pc_smtp::header::screen;
use pc_smtp::{EnhancedCode, Envelope, ForwardPath, MailParameters, Mailbox, Recipient, Reply, ReversePath};
use pc_smtpd::{
    Content, Fault, HandOverError, HostSettings, MessageBuffer, Opened, RecipientCacheSettings, Upstream,
    UpstreamSettings, UpstreamTls,
};
use pc_tls::{CertificateStore, ClientTls, Roots};
use pc_types::{Domain, Timestamp, time};

use crate::exit::{Failure, chain};

/// A sending server.
pub struct Sender {
    pub name: Domain,
    pub address: IpAddr,
    pub story: &'static str,
    pub is_patched_on_the_way: bool,
    pub delivered: u64,
    pub bounced: u64,
    chain: fn(&Domain, Timestamp) -> String,
    upstream: Arc<Upstream>,
    queue: VecDeque<String>,
    sent: u64,
}

/// What became of a day's mail.
#[derive(Clone, Copy, Default)]
pub struct Tally {
    delivered: u32,
    deferred: u32,
    bounced: u32,
}

/// The five senders.
pub fn senders(gate: SocketAddr, certificates: &CertificateStore) -> Result<Vec<Sender>, Failure> {
    let pin = certificates.leaf_sha256().first().copied();
    let tls = ClientTls::new(Roots::WebPki, pin).map_err(|error| Failure::internal(chain(&error)))?;
    let sender = |host: u8, name: &str, story, chain| -> Result<Sender, Failure> {
        let name: Domain = name.parse().map_err(|_| Failure::internal("a name of the demo"))?;
        let address = IpAddr::from(Ipv4Addr::new(127, 0, 0, host));
        Ok(Sender {
            upstream: Upstream::new(UpstreamSettings {
                name: name.to_string(),
                hosts: vec![HostSettings {
                    host: gate.ip().to_string(),
                    port: gate.port(),
                    priority: 0,
                    tls_name: "edge.example.org".to_owned(),
                    tls: UpstreamTls::StartTls(tls.clone()),
                    connections_max: 2,
                }],
                node_name: name.clone(),
                source_address: Some(address),
                connect_timeout: Duration::from_secs(10),
                command_timeout: Duration::from_secs(30),
                hand_over_timeout: pc_smtpd::limits::HAND_OVER_TIMEOUT,
                health_check: None,
                recipients: RecipientCacheSettings::default(),
                clock: Clock::System,
            }),
            name,
            address,
            story,
            is_patched_on_the_way: false,
            delivered: 0,
            bounced: 0,
            chain,
            queue: VecDeque::new(),
            sent: 0,
        })
    };
    let mut outdated =
        sender(22, "ex2016.example.net", "Exchange 2016 CU23, August 2023 update", exchange_2016)?;
    outdated.is_patched_on_the_way = true;
    Ok(vec![
        sender(21, "se.example.net", "Exchange SE, newest update", exchange_se)?,
        outdated,
        sender(23, "ex2013.example.net", "Exchange 2013 CU23, out of support", exchange_2013)?,
        sender(24, "cloud.example.net", "looks like Exchange Online", exchange_online)?,
        sender(25, "relay.example.net", "Postfix, an old Exchange behind it", postfix)?,
    ])
}

impl Sender {
    /// From here on the server is a current Exchange SE.
    pub fn patch(&mut self) {
        self.chain = exchange_se;
    }

    /// Messages that wait for a further try.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Queues a new message and tries all that wait, oldest first, as a mail server does.
    pub async fn send(&mut self, now: Timestamp, tally: &mut Tally) -> Result<(), Failure> {
        self.sent += 1;
        let message = format!(
            "{}From: sender@{name}\r\nTo: you@example.org\r\nSubject: message {}\r\nMessage-ID: <{}@{name}>\r\nDate: \
             {}\r\n\r\nHello.\r\n",
            (self.chain)(&self.name, now),
            self.sent,
            self.sent,
            time::rfc5322(now),
            name = self.name,
        );
        self.queue.push_back(message);
        // What is deferred once now would be deferred again a moment later.
        while let Some(message) = self.queue.pop_front() {
            let reply = self.transmit(&message).await?;
            match reply {
                None => {
                    tally.delivered += 1;
                    self.delivered += 1;
                }
                Some(reply) if reply.is_permanent() => {
                    tally.bounced += 1;
                    self.bounced += 1;
                }
                Some(_) => {
                    tally.deferred += 1;
                    self.queue.push_front(message);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// `None` when the gate took the message.
    async fn transmit(&self, message: &str) -> Result<Option<Reply>, Failure> {
        let address =
            |text: String| Mailbox::parse(&text).map_err(|error| Failure::internal(error.to_string()));
        let recipient = Recipient {
            forward_path: ForwardPath::Mailbox(address("you@example.org".to_owned())?),
            notify: None,
            orcpt: None,
        };
        let envelope = Envelope {
            reverse_path: ReversePath::Mailbox(address(format!("sender@{}", self.name))?),
            parameters: MailParameters::default(),
            recipients: Vec::new(),
        };
        let transaction = match self.upstream.open(self.address, &envelope, &recipient).await {
            Opened::Begun(transaction, reply) if reply.is_positive() => transaction,
            Opened::Begun(transaction, reply) => {
                transaction.abandon();
                return Ok(Some(reply));
            }
            Opened::Refused(reply) => return Ok(Some(reply)),
            Opened::Unavailable(fault) => return Ok(Some(unavailable(&fault))),
        };
        let mut buffer = MessageBuffer::new(std::path::Path::new("/nonexistent"));
        buffer.append(message.as_bytes()).map_err(|error| Failure::internal(error.to_string()))?;
        let screened =
            screen(message.as_bytes(), &self.name).map_err(|error| Failure::internal(error.to_string()))?;
        let content = Content::screened(b"", &screened, &mut buffer)
            .map_err(|error| Failure::internal(error.to_string()))?;
        Ok(match transaction.deliver(content).await {
            Ok(_) => None,
            Err(HandOverError::Refused(reply)) => Some(reply),
            Err(HandOverError::Unavailable(fault)) => Some(unavailable(&fault)),
        })
    }

    /// One line of the table.
    pub fn line(
        &self,
        record: Option<&ServerRecord>,
        policy: &Policy,
        now: Timestamp,
        tally: &Tally,
    ) -> String {
        let shown = record.and_then(|record| record.shown.as_ref());
        let verdict = shown.map_or("-", |shown| shown.verdict.as_str());
        let build = shown.and_then(|shown| shown.build.as_deref()).unwrap_or("-");
        let stage = record.and_then(|record| position(policy, record, &[], now).stage);
        let stage = match stage {
            None => "no stage".to_owned(),
            Some(stage) => format!(
                "stage {}: throttle {} block {} min/h",
                stage.number, stage.throttle_minutes, stage.block_minutes
            ),
        };
        format!(
            "{:<20} {:<13} {:<14} {:<37} | taken {:>2}, deferred {:>2}, refused {:>2}, waiting {}",
            self.name.as_str(),
            build,
            verdict,
            stage,
            tally.delivered,
            tally.deferred,
            tally.bounced,
            self.queue.len()
        )
    }
}

fn exchange(name: &Domain, now: Timestamp, smtp: &str, mapi: &str) -> String {
    let date = time::rfc5322(now);
    format!(
        "Received: from {name} (10.0.0.5) by {name} (10.0.0.5) with Microsoft SMTP\r\n Server (version=TLS1_2, \
         cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) id\r\n {smtp}; {date}\r\nReceived: from {name} \
         ([fe80::1]) by {name} ([fe80::1%4]) with\r\n mapi id {mapi}; {date}\r\n"
    )
}

fn exchange_se(name: &Domain, now: Timestamp) -> String {
    exchange(name, now, "15.2.2562.56", "15.02.2562.056")
}

fn exchange_2016(name: &Domain, now: Timestamp) -> String {
    exchange(name, now, "15.1.2507.31", "15.01.2507.031")
}

fn exchange_2013(name: &Domain, now: Timestamp) -> String {
    exchange(name, now, "15.0.1497.48", "15.00.1497.048")
}

fn exchange_online(_: &Domain, now: Timestamp) -> String {
    let date = time::rfc5322(now);
    let host = "DB9PR01MB0001.eurprd01.prod.exchangelabs.com";
    format!(
        "Received: from {host} (2603:10a6:10:2f9::12) by\r\n {host} (2603:10a6:10:2f9::12) with Microsoft SMTP Server\r\n \
         (version=TLS1_3, cipher=TLS_AES_256_GCM_SHA384) id 15.20.9000.12; {date}\r\n"
    )
}

fn postfix(name: &Domain, now: Timestamp) -> String {
    let date = time::rfc5322(now);
    format!(
        "Received: from old.example.net (old.example.net [10.0.0.9])\r\n\tby {name} (Postfix) with ESMTPS id \
         4RHCtq44RPz9vNPQ\r\n\tfor <you@example.org>; {date}\r\nReceived: from old.example.net (10.0.0.9) by \
         old.example.net (10.0.0.9) with\r\n Microsoft SMTP Server id 14.3.123.3; {date}\r\n"
    )
}

fn unavailable(fault: &Fault) -> Reply {
    Reply::new(451, EnhancedCode(4, 4, 2), fault.to_string())
}
