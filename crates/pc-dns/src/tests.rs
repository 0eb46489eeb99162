use std::time::Duration;

use pc_auth::spf::{Identity, Question, Verdict};
use pc_testkit::{DnsBehaviour, DnsServer, NEGATIVE_TTL};

use pc_types::dns::TlsaRecord;

use super::*;

const ZONE: &str = "
    mail.example.org 120 A 192.0.2.1
    mail.example.org 30 A 192.0.2.2
    mail.example.org AAAA 2001:db8::1
    alias.example.org CNAME mail.example.org
    example.org MX 20 mx2.example.org
    example.org MX 10 mx1.example.org
    1.2.0.192.in-addr.arpa PTR Mail.Example.org
    example.org TXT v=spf1 ip4:192.0.2.0/24 include:other.example.net -all
    other.example.net TXT v=spf1 a:mail.example.org -all
    broken.example.org SERVFAIL -
    slow.example.org HANG -
";

async fn server() -> DnsServer {
    DnsServer::start(ZONE).await.unwrap()
}

fn resolver_with(server: &DnsServer, timeout: Duration) -> Resolver {
    Resolver::new(&ResolverSettings { servers: vec![server.address], timeout }).unwrap()
}

fn resolver(server: &DnsServer) -> Resolver {
    resolver_with(server, Duration::from_secs(10))
}

fn budget() -> Budget {
    Budget::new(100, Duration::from_secs(60))
}

fn query(name: &str, kind: Kind) -> Query {
    Query::new(name, kind).unwrap()
}

async fn ask(resolver: &Resolver, name: &str, kind: Kind) -> Answer {
    resolver.ask(&budget(), &query(name, kind)).await
}

fn addresses(list: &[[u8; 4]]) -> Answer {
    Answer::Found(Records::A(list.iter().copied().map(Into::into).collect()))
}

#[tokio::test]
async fn records_of_each_kind_are_found_also_through_an_alias() {
    let server = server().await;
    let resolver = resolver(&server);
    let both = addresses(&[[192, 0, 2, 1], [192, 0, 2, 2]]);
    assert_eq!(ask(&resolver, "mail.example.org", Kind::A).await, both);
    assert_eq!(ask(&resolver, "ALIAS.example.org.", Kind::A).await, both);
    let v6 = Records::Aaaa(vec!["2001:db8::1".parse().unwrap()]);
    assert_eq!(ask(&resolver, "mail.example.org", Kind::Aaaa).await, Answer::Found(v6));
    let mx = Records::Mx(vec!["mx1.example.org".to_owned(), "mx2.example.org".to_owned()]);
    assert_eq!(ask(&resolver, "example.org", Kind::Mx).await, Answer::Found(mx));
    let ptr = Records::Ptr(vec!["mail.example.org".to_owned()]);
    assert_eq!(ask(&resolver, "1.2.0.192.in-addr.arpa", Kind::Ptr).await, Answer::Found(ptr));
}

#[tokio::test]
async fn absence_is_said_for_a_missing_name_and_for_a_missing_kind() {
    let server = server().await;
    let resolver = resolver(&server);
    assert_eq!(ask(&resolver, "nothing.example.org", Kind::A).await, Answer::NotFound);
    assert_eq!(ask(&resolver, "mail.example.org", Kind::Txt).await, Answer::NotFound);
}

#[tokio::test]
async fn failures_are_never_absence_and_are_not_remembered() {
    let server = server().await;
    let resolver = resolver_with(&server, Duration::from_millis(400));
    for behaviour in
        [DnsBehaviour::ServerFailure, DnsBehaviour::Refuse, DnsBehaviour::WrongId, DnsBehaviour::Hang]
    {
        server.behave(behaviour);
        let answer = ask(&resolver, "nothing.example.org", Kind::A).await;
        assert!(matches!(answer, Answer::Temporary(_)), "{behaviour:?}: {answer:?}");
    }
    assert!(matches!(ask(&resolver, "broken.example.org", Kind::A).await, Answer::Temporary(_)));
    assert_eq!(resolver.cached(), 0);
    server.behave(DnsBehaviour::Answer);
    assert!(matches!(ask(&resolver, "broken.example.org", Kind::A).await, Answer::Temporary(_)));
    assert_eq!(ask(&resolver, "nothing.example.org", Kind::A).await, Answer::NotFound);
}

#[tokio::test]
async fn a_silent_server_is_passed_over() {
    let (silent, good) = (server().await, server().await);
    silent.behave(DnsBehaviour::Hang);
    let settings =
        ResolverSettings { servers: vec![silent.address, good.address], timeout: Duration::from_secs(2) };
    let resolver = Resolver::new(&settings).unwrap();
    for name in ["mail.example.org", "alias.example.org"] {
        assert!(matches!(ask(&resolver, name, Kind::A).await, Answer::Found(_)), "{name}");
    }
}

#[tokio::test]
async fn a_truncated_answer_is_asked_for_again_by_tcp() {
    let server = server().await;
    server.behave(DnsBehaviour::Truncate);
    let both = addresses(&[[192, 0, 2, 1], [192, 0, 2, 2]]);
    assert_eq!(ask(&resolver(&server), "mail.example.org", Kind::A).await, both);
    let long = "v=spf1 ".to_owned() + &"ip4:192.0.2.1 ".repeat(300);
    server.publish(&format!("long.example.org TXT {}", long.trim()));
    let answer = ask(&resolver(&server), "long.example.org", Kind::Txt).await;
    assert_eq!(answer, Answer::Found(Records::Txt(vec![long.trim().as_bytes().to_vec()])));
}

#[tokio::test]
async fn an_answer_is_kept_for_its_shortest_ttl_and_no_longer() {
    let server = server().await;
    let resolver = resolver(&server);
    ask(&resolver, "mail.example.org", Kind::A).await;
    ask(&resolver, "nothing.example.org", Kind::A).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(28)).await;
    ask(&resolver, "MAIL.example.org", Kind::A).await;
    assert_eq!(server.count_of("mail.example.org"), 1);
    tokio::time::advance(Duration::from_secs(3)).await;
    tokio::time::resume();
    ask(&resolver, "mail.example.org", Kind::A).await;
    assert_eq!(server.count_of("mail.example.org"), 2);
    ask(&resolver, "nothing.example.org", Kind::A).await;
    assert_eq!(server.count_of("nothing.example.org"), 1);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(u64::from(NEGATIVE_TTL))).await;
    tokio::time::resume();
    ask(&resolver, "nothing.example.org", Kind::A).await;
    assert_eq!(server.count_of("nothing.example.org"), 2);
}

#[tokio::test]
async fn a_ttl_of_a_week_is_cut_to_an_hour() {
    let server = DnsServer::start("mail.example.org 604800 A 192.0.2.1").await.unwrap();
    let resolver = resolver(&server);
    ask(&resolver, "mail.example.org", Kind::A).await;
    tokio::time::pause();
    tokio::time::advance(limits::CACHE_FOUND_MAX).await;
    tokio::time::resume();
    ask(&resolver, "mail.example.org", Kind::A).await;
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn the_same_question_is_under_way_once() {
    let server = server().await;
    server.behave(DnsBehaviour::Truncate);
    let resolver = resolver(&server);
    let (name, all) = (query("mail.example.org", Kind::A), budget());
    let (first, second, third) =
        tokio::join!(resolver.ask(&all, &name), resolver.ask(&all, &name), resolver.ask(&all, &name));
    assert_eq!((&first, &second), (&second, &third));
    // Once by UDP, truncated, and once by TCP.
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn who_began_a_question_may_give_up_without_harm_to_others() {
    let server = server().await;
    let resolver = std::sync::Arc::new(resolver(&server));
    let name = query("slow.example.org", Kind::A);
    let impatient = Budget::new(1, Duration::from_millis(50));
    let other = tokio::spawn({
        let (resolver, name) = (std::sync::Arc::clone(&resolver), name.clone());
        async move { ask(&resolver, name.name(), name.kind()).await }
    });
    assert!(matches!(resolver.ask(&impatient, &name).await, Answer::Temporary(_)));
    server.publish("slow.example.org A 192.0.2.9");
    assert_eq!(other.await.unwrap(), addresses(&[[192, 0, 2, 9]]));
}

#[tokio::test]
async fn a_budget_ends_by_questions_and_by_time() {
    let server = server().await;
    let resolver = resolver(&server);
    let two = Budget::new(2, Duration::from_secs(60));
    let name = query("mail.example.org", Kind::A);
    assert!(matches!(resolver.ask(&two, &name).await, Answer::Found(_)));
    assert!(matches!(resolver.ask(&two, &name).await, Answer::Found(_)));
    assert!(matches!(resolver.ask(&two, &name).await, Answer::Temporary(_)));
    let over = Budget::new(9, Duration::ZERO);
    let fresh = query("nothing.example.org", Kind::A);
    assert!(matches!(resolver.ask(&over, &fresh).await, Answer::Temporary(_)));
}

#[tokio::test]
async fn an_spf_policy_is_followed_through_the_dns() {
    let server = server().await;
    let resolver = resolver(&server);
    let question = |address: &str| Question {
        address: address.parse().unwrap(),
        identity: Identity::MailFrom,
        domain: "example.org".to_owned(),
        local_part: "a".to_owned(),
        helo: "mail.example.org".to_owned(),
    };
    let outcome = evaluate_spf(&resolver, &budget(), &question("2001:db8::1")).await;
    assert_eq!(outcome.verdict, Verdict::Pass, "{}", outcome.reason);
    let outcome = evaluate_spf(&resolver, &budget(), &question("198.51.100.1")).await;
    assert_eq!(outcome.verdict, Verdict::Fail, "{}", outcome.reason);
    let poor = Budget::new(1, Duration::from_secs(60));
    let outcome = evaluate_spf(&resolver, &poor, &question("2001:db8::1")).await;
    assert_eq!(outcome.verdict, Verdict::TempError, "{}", outcome.reason);
}

#[test]
fn the_cache_makes_room_by_forgetting_what_ends_soonest() {
    let cache = cache::Cache::default();
    for index in 0..=limits::CACHE_ENTRIES_MAX {
        let time = Duration::from_secs(60 + index as u64);
        cache.keep(&query(&format!("h{index}.example.org"), Kind::A), &Answer::NotFound, time);
    }
    assert!(cache.len() <= limits::CACHE_ENTRIES_MAX / 4 * 3 + 1);
    assert_eq!(cache.find(&query("h0.example.org", Kind::A)), None);
    let last = query(&format!("h{}.example.org", limits::CACHE_ENTRIES_MAX), Kind::A);
    assert_eq!(cache.find(&last), Some(Answer::NotFound));
    let large = Answer::Found(Records::Txt(vec![vec![0; limits::CACHE_ANSWER_OCTETS_MAX]]));
    cache.keep(&query("large.example.org", Kind::Txt), &large, Duration::from_secs(60));
    assert_eq!(cache.find(&query("large.example.org", Kind::Txt)), None);
}

#[test]
fn the_systems_servers_are_those_of_its_file() {
    let text = "# nameserver 198.51.100.1\nsearch example.org\nnameserver 192.0.2.53 # first\n nameserver\t2001:db8::53\n\
                nameserver fe80::1%eth0\nnameserver\noptions edns0\n";
    let servers = resolver::servers_in(text);
    assert_eq!(servers, ["192.0.2.53:53".parse().unwrap(), "[2001:db8::53]:53".parse().unwrap()]);
}

#[tokio::test]
async fn records_of_certificates_are_read_as_they_came_and_through_an_alias() {
    let hash = "ab".repeat(32);
    let zone = format!(
        "example.org CAA 128 issue letsencrypt.org; accounturi=https://acme.example/1\nexample.org CAA 0 iodef mailto:a@example.org\n\
         alias.example.org CNAME example.org\n_25._tcp.mx.example.org TLSA 3 1 1 {hash}\nodd.example.org TLSA 7 9 200 00\n\
         mx.example.org A 192.0.2.1\n"
    );
    let server = DnsServer::start(&zone).await.unwrap();
    let resolver = resolver(&server);
    for name in ["example.org", "alias.example.org"] {
        let Answer::Found(Records::Caa(records)) = ask(&resolver, name, Kind::Caa).await else {
            panic!("{name}")
        };
        assert_eq!((records[0].is_critical, records[0].tag.as_str()), (true, "issue"), "{name}");
        assert_eq!(records[0].value, b"letsencrypt.org; accounturi=https://acme.example/1");
        assert_eq!(records.len(), 2);
    }
    assert_eq!(ask(&resolver, "mx.example.org", Kind::Caa).await, Answer::NotFound);
    let tlsa = |usage, selector, matching, data| {
        Answer::Found(Records::Tlsa(vec![TlsaRecord { usage, selector, matching, data }]))
    };
    assert_eq!(ask(&resolver, "_25._tcp.mx.example.org", Kind::Tlsa).await, tlsa(3, 1, 1, vec![0xab; 32]));
    assert_eq!(ask(&resolver, "odd.example.org", Kind::Tlsa).await, tlsa(7, 9, 200, vec![0]));
}

#[tokio::test]
async fn broken_records_of_certificates_are_no_answer_and_never_absence() {
    let huge = "00".repeat(20_000);
    let zone = format!(
        "cut.example.org RAWCAA 00\nlong.example.org RAWCAA 00ff61\nempty.example.org RAWCAA 0000\nshort.example.org RAWTLSA 03\n\
         loop.example.org CNAME other.example.org\nother.example.org CNAME loop.example.org\nhuge.example.org RAWTLSA 030101{huge}\n"
    );
    let server = DnsServer::start(&zone).await.unwrap();
    let resolver = resolver(&server);
    for (name, kind) in
        [("cut.example.org", Kind::Caa), ("long.example.org", Kind::Caa), ("short.example.org", Kind::Tlsa)]
    {
        let answer = ask(&resolver, name, kind).await;
        assert!(matches!(answer, Answer::Temporary(_)), "{name}: {answer:?}");
    }
    let looped = ask(&resolver, "loop.example.org", Kind::Caa).await;
    assert!(!matches!(looped, Answer::Found(_)), "{looped:?}");
    let answer = ask(&resolver, "huge.example.org", Kind::Tlsa).await;
    assert_ne!(answer, Answer::NotFound, "it is there, and may be too large to be read");
}
