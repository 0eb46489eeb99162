use std::net::Ipv4Addr;

use pc_net::ManualClock;
use pc_smtp::{ForwardPath, MailParameters, Mailbox, ReversePath};
use pc_testkit::{Scripted, Step, Trouble};

use super::*;

/// Long enough for a loopback that is busy, short enough to wait for.
const PATIENCE: Duration = Duration::from_secs(2);

fn settings(hosts: &[(&Scripted, u16)], clock: &ManualClock) -> UpstreamSettings {
    let hosts = hosts.iter().map(|(server, priority)| HostSettings {
        host: server.address.ip().to_string(),
        port: server.address.port(),
        priority: *priority,
        tls_name: String::new(),
        tls: UpstreamTls::Plain,
        connections_max: 4,
    });
    UpstreamSettings {
        name: "exchange".to_owned(),
        hosts: hosts.collect(),
        node_name: "edge.example.org".parse().unwrap(),
        source_address: None,
        connect_timeout: PATIENCE,
        command_timeout: PATIENCE,
        hand_over_timeout: PATIENCE,
        health_check: None,
        recipients: RecipientCacheSettings::default(),
        clock: Clock::Manual(clock.clone()),
    }
}

fn clock() -> ManualClock {
    ManualClock::new("2026-11-02T12:00:00Z".parse().unwrap())
}

fn envelope() -> Envelope {
    let mailbox = |text: &str| Mailbox::parse(text).unwrap();
    Envelope {
        reverse_path: ReversePath::Mailbox(mailbox("a@example.net")),
        parameters: MailParameters::default(),
        recipients: vec![Recipient {
            forward_path: ForwardPath::Mailbox(mailbox("b@example.org")),
            notify: None,
            orcpt: None,
        }],
    }
}

/// Sends one message; the word of the server, or the code of the fault.
async fn send(upstream: &Arc<Upstream>) -> Result<String, String> {
    let envelope = envelope();
    let opened = upstream.open(Ipv4Addr::LOCALHOST.into(), &envelope, &envelope.recipients[0]).await;
    let transaction = match opened {
        Opened::Begun(transaction, reply) if reply.is_positive() => transaction,
        Opened::Begun(_, reply) | Opened::Refused(reply) => return Err(reply.summary()),
        Opened::Unavailable(fault) => return Err(fault.code.to_owned()),
    };
    let mut file = tempfile::tempfile().unwrap();
    match transaction.deliver(Content::spooled(0, &mut file)).await {
        Ok((_, word)) => Ok(word),
        Err(HandOverError::Refused(reply)) => Err(reply.summary()),
        Err(HandOverError::Unavailable(fault)) => Err(fault.code.to_owned()),
    }
}

fn states(upstream: &Upstream) -> Vec<&'static str> {
    upstream.hosts().iter().map(|host| host.state).collect()
}

const STEPS: [Step; 6] = [Step::Greeting, Step::Ehlo, Step::Mail, Step::Rcpt, Step::Data, Step::EndOfData];

/// All troubles at all steps but STARTTLS, each at the same time as the others.
async fn for_each_trouble<F: Future<Output = ()> + Send + 'static>(check: fn(Step, Trouble) -> F) {
    let mut checks = JoinSet::new();
    for trouble in [Trouble::Hang, Trouble::Reset, Trouble::Reply("421 4.3.2 closing")] {
        for step in STEPS {
            checks.spawn(check(step, trouble));
        }
    }
    while let Some(checked) = checks.join_next().await {
        checked.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_hangs_or_closes_costs_its_patience_and_the_step_is_named() {
    for_each_trouble(only_host).await;
}

async fn only_host(step: Step, trouble: Trouble) {
    let code = match step {
        Step::Greeting => "greeting",
        Step::Ehlo => "ehlo",
        Step::StartTls => "starttls",
        Step::Mail => "mail",
        Step::Rcpt => "rcpt",
        Step::Data => "data",
        Step::EndOfData => "end_of_data",
    };
    let server = Scripted::start(Some((step, trouble))).await.unwrap();
    let upstream = Upstream::new(settings(&[(&server, 1)], &clock()));
    assert_eq!(send(&upstream).await, Err(code.to_owned()), "{step:?} {trouble:?}");
    let want = if matches!(step, Step::Greeting | Step::Ehlo) { "down" } else { "doubtful" };
    assert_eq!(states(&upstream), [want], "{step:?} {trouble:?}");
    server.behave(None);
    assert_eq!(send(&upstream).await, Ok("2.0.0 taken".to_owned()), "the only host is asked all the same");
    assert_eq!((server.count(), states(&upstream)), (1, vec!["up"]));
}

#[tokio::test]
async fn the_next_host_takes_over_until_the_first_recipient_is_answered_and_not_after() {
    for_each_trouble(first_of_two_hosts).await;
}

async fn first_of_two_hosts(step: Step, trouble: Trouble) {
    let first = Scripted::start(Some((step, trouble))).await.unwrap();
    let second = Scripted::start(None).await.unwrap();
    let upstream = Upstream::new(settings(&[(&second, 20), (&first, 10)], &clock()));
    let sent = send(&upstream).await;
    let takes_over = !matches!(step, Step::Data | Step::EndOfData);
    assert_eq!(sent.is_ok(), takes_over, "{step:?} {trouble:?}: {sent:?}");
    let counts = (first.connections(), first.count(), second.count());
    assert_eq!(counts, (1, 0, usize::from(takes_over)), "{step:?} {trouble:?}");
}

#[tokio::test]
async fn a_no_is_an_answer_and_not_offered_elsewhere() {
    for (step, reply) in [
        (Step::Mail, "550 5.7.1 not you"),
        (Step::Mail, "451 4.3.0 not at present"),
        (Step::Rcpt, "550 5.1.1 nobody here"),
        (Step::Rcpt, "450 4.2.1 not at present"),
    ] {
        let first = Scripted::start(Some((step, Trouble::Reply(reply)))).await.unwrap();
        let second = Scripted::start(None).await.unwrap();
        let upstream = Upstream::new(settings(&[(&first, 10), (&second, 20)], &clock()));
        assert_eq!(send(&upstream).await, Err(reply.to_owned()));
        assert_eq!((second.connections(), states(&upstream)), (0, vec!["up", "up"]));
    }
}

#[tokio::test]
async fn a_greeting_that_turns_us_away_is_a_fault_of_that_host() {
    let first =
        Scripted::start(Some((Step::Greeting, Trouble::Reply("554 5.3.2 no service")))).await.unwrap();
    let second = Scripted::start(None).await.unwrap();
    let upstream = Upstream::new(settings(&[(&first, 10), (&second, 20)], &clock()));
    assert_eq!(send(&upstream).await, Ok("2.0.0 taken".to_owned()));
    let hosts = upstream.hosts();
    assert_eq!((hosts[0].state, hosts[1].state), ("down", "up"));
    assert_eq!(hosts[0].last_fault.as_deref(), Some("greeting: 554 5.3.2 no service"));
    assert!(hosts[0].down_until.is_some());
}

#[tokio::test]
async fn a_host_that_is_down_is_left_alone_until_its_pause_ends_and_then_tried_by_one_message() {
    let (first, second) = (
        Scripted::start(Some((Step::Greeting, Trouble::Reset))).await.unwrap(),
        Scripted::start(None).await.unwrap(),
    );
    let clock = clock();
    let upstream = Upstream::new(settings(&[(&first, 10), (&second, 20)], &clock));
    for _ in 0..3 {
        send(&upstream).await.unwrap();
    }
    assert_eq!((first.connections(), second.count()), (1, 3));
    clock.set(upstream.hosts()[0].down_until.unwrap());
    assert_eq!(states(&upstream), ["due", "up"]);
    for _ in 0..2 {
        send(&upstream).await.unwrap();
    }
    assert_eq!((first.connections(), second.count()), (2, 5), "tried once, and the pause is longer");
    first.behave(None);
    clock.set(upstream.hosts()[0].down_until.unwrap());
    send(&upstream).await.unwrap();
    assert_eq!((first.count(), states(&upstream)), (1, vec!["up", "up"]));
}

#[tokio::test]
async fn looks_find_out_that_a_host_is_back_and_that_another_is_gone() {
    let (first, second) = (
        Scripted::start(Some((Step::Greeting, Trouble::Reset))).await.unwrap(),
        Scripted::start(None).await.unwrap(),
    );
    let clock = clock();
    let with_looks = UpstreamSettings {
        health_check: Some(Duration::from_secs(30)),
        ..settings(&[(&first, 10), (&second, 20)], &clock)
    };
    let upstream = Upstream::new(with_looks);
    let (stopper, stop) = pc_net::Stopper::new();
    let watching = tokio::spawn(Arc::clone(&upstream).watch(stop));
    send(&upstream).await.unwrap();
    let until = upstream.hosts()[0].down_until.unwrap();
    first.behave(None);
    let mut returned = upstream.returned();
    clock.set(until);
    returned.changed().await.unwrap();
    assert_eq!((states(&upstream), first.connections()), (vec!["up", "up"], 2));
    send(&upstream).await.unwrap();
    assert_eq!((first.count(), second.count()), (1, 1));
    // Nobody sends mail, and still it is seen.
    first.behave(Some((Step::Ehlo, Trouble::Reset)));
    clock.set("2026-11-02T12:10:00Z".parse().unwrap());
    first.wait_for_connections(4).await;
    stopper.stop();
    watching.await.unwrap();
}

#[tokio::test]
async fn equal_hosts_share_the_mail_and_a_reserve_gets_none() {
    let servers = [
        Scripted::start(None).await.unwrap(),
        Scripted::start(None).await.unwrap(),
        Scripted::start(None).await.unwrap(),
    ];
    let upstream =
        Upstream::new(settings(&[(&servers[0], 10), (&servers[1], 10), (&servers[2], 20)], &clock()));
    for _ in 0..10 {
        send(&upstream).await.unwrap();
    }
    assert_eq!(servers.each_ref().map(Scripted::count), [5, 5, 0]);
    assert_eq!(
        servers.each_ref().map(Scripted::connections),
        [1, 1, 0],
        "each keeps its own idle connection"
    );
    // With one of them busy, the other gets the next.
    let envelope = envelope();
    let Opened::Begun(held, _) =
        upstream.open(Ipv4Addr::LOCALHOST.into(), &envelope, &envelope.recipients[0]).await
    else {
        panic!()
    };
    let busy = held.host();
    for _ in 0..4 {
        send(&upstream).await.unwrap();
    }
    let counts: Vec<(bool, usize)> =
        servers.iter().map(|server| (server.address.to_string() == busy, server.count())).collect();
    assert!(counts.contains(&(true, 5)) && counts.contains(&(false, 9)), "{counts:?}");
}

#[tokio::test]
async fn faults_of_several_hosts_are_the_servers_only_where_all_of_them_are() {
    let mut faults = vec![Fault::new("connect", "refused"), Fault::new("greeting", "closed")];
    let all = Fault::of_all(faults.clone());
    assert!(all.is_of_server());
    assert_eq!(all.to_string(), "connect: connect: refused; greeting: closed");
    faults.push(Fault::new("rcpt", "closed"));
    assert!(!Fault::of_all(faults).is_of_server(), "one of them could be spoken to");
    assert_eq!(Fault::of_all(vec![Fault::new("tls", "unknown issuer")]).to_string(), "tls: unknown issuer");
}
