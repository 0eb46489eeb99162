use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use pc_dns::{Resolver, ResolverSettings};
use pc_testkit::{DnsServer, Feed, FeedServer};
use pc_tls::{ClientTls, Roots, ServerTls, self_made_for};
use pc_types::Reach;

use super::*;

fn names(names: &[&str]) -> Vec<Domain> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn now() -> Timestamp {
    Clock::System.now()
}

/// Chain and key of a certificate for `list`.
fn made(list: &[&str]) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let files = self_made_for(folder.path(), &names(list), now()).unwrap();
    (fs::read_to_string(files.chain).unwrap(), fs::read_to_string(files.key).unwrap())
}

fn asked() -> Asked {
    Asked { names: names(&["mail.example.org"]), renew_days: None }
}

/// What a node with this folder starts with.
fn started(folder: &Folder) -> CertificateStore {
    let managed = folder.serve(&asked(), now()).unwrap();
    CertificateStore::load_with_managed(&[], &managed, now()).unwrap()
}

fn take_in(folder: &Folder, store: &CertificateStore, pem: &str) -> Result<(), String> {
    folder.take_in(pem, &asked(), store, now()).map_err(|failure| failure.text)
}

#[test]
fn what_an_authority_issues_is_taken_only_when_it_fits_and_the_one_before_stays() {
    let data = tempfile::tempdir().unwrap();
    let (chain, key) = made(&["mail.example.org"]);
    let folder = Folder::in_data(data.path());
    let store = started(&folder);
    take_in(&folder, &store, &format!("{key}\n{chain}")).unwrap();
    let served = store.leaf_sha256();
    let held = folder.held(now()).unwrap();
    let file = data.path().join("acme/certificate.pem");
    let kept = fs::read(&file).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let (other_chain, other_key) = made(&["mail.example.org"]);
    let (foreign_chain, foreign_key) = made(&["mx.example.org"]);
    let huge = format!("{key}\n{}", chain.repeat(2000));
    for (pem, want) in [
        (format!("{key}\n{other_chain}"), "does not belong to the certificate"),
        // A key that the authority sends along is not used.
        (format!("{key}\n{other_key}\n{other_chain}"), "does not belong to the certificate"),
        (format!("{foreign_key}\n{foreign_chain}"), "is for other names: mx.example.org"),
        (format!("{key}\n"), "no CERTIFICATE section"),
        (format!("{key}\n<html>busy</html>"), "no CERTIFICATE section"),
        (
            format!("{key}\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            "cannot be parsed",
        ),
        (format!("{key}\n{chain}\n{foreign_chain}"), "was not issued by the one after it"),
        (huge, "too large"),
    ] {
        let refused = take_in(&folder, &store, &pem).unwrap_err();
        assert!(refused.contains(want), "{want}: {refused}");
        assert_eq!(fs::read(&file).unwrap(), kept, "{want}");
        assert_eq!(store.leaf_sha256(), served, "{want}");
    }
    assert_eq!(folder.held(now()), Some(held));
}

#[test]
fn what_passes_every_look_at_it_and_cannot_go_into_service_is_not_kept() {
    let data = tempfile::tempdir().unwrap();
    let folder = Folder::in_data(data.path());
    let (chain, key) = made(&["mail.example.org", "mx.example.org"]);
    let store = started(&folder);
    take_in(&folder, &store, &format!("{key}\n{chain}")).unwrap();
    store.require(["mx.example.org".to_owned()]).unwrap();
    let before = (folder.held(now()), store.leaf_sha256());
    let (chain, key) = made(&["mail.example.org"]);
    let refused = take_in(&folder, &store, &format!("{key}\n{chain}")).unwrap_err();
    assert!(refused.contains("no certificate is for mx.example.org"), "{refused}");
    assert_eq!((folder.held(now()), store.leaf_sha256()), before);
    // The next start serves it, too.
    assert_eq!(started(&folder).leaf_sha256(), before.1);
}

#[test]
fn what_ends_sooner_than_the_one_that_is_held_is_not_taken() {
    let data = tempfile::tempdir().unwrap();
    let folder = Folder::in_data(data.path());
    let store = started(&folder);
    let later = now().checked_add(pc_types::SignedDuration::from_hours(48)).unwrap();
    let files = tempfile::tempdir().unwrap();
    let files = self_made_for(files.path(), &names(&["mail.example.org"]), later).map(|files| {
        format!("{}\n{}", fs::read_to_string(files.key).unwrap(), fs::read_to_string(files.chain).unwrap())
    });
    let take = |pem: &str| folder.take_in(pem, &asked(), &store, later).map_err(|failure| failure.text);
    take(&files.unwrap()).unwrap();
    let before = (fs::read(data.path().join("acme/certificate.pem")).unwrap(), store.leaf_sha256());
    let (chain, key) = made(&["mail.example.org"]);
    let refused = take(&format!("{key}\n{chain}")).unwrap_err();
    assert!(refused.contains("sooner than the one that is held"), "{refused}");
    assert_eq!((fs::read(data.path().join("acme/certificate.pem")).unwrap(), store.leaf_sha256()), before);
}

/// An obtainer whose authority shows `feed` as its directory, and the certificate that serves meanwhile.
struct Bench {
    obtainer: Arc<Obtainer>,
    store: CertificateStore,
    folder: tempfile::TempDir,
    _parts: (FeedServer, DnsServer),
}

async fn bench(feed: Feed) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let files = pc_tls::self_made(folder.path(), "ca.example.org", now()).unwrap();
    let own = CertificateStore::load(std::slice::from_ref(&files), now()).unwrap();
    let server = FeedServer::start(ServerTls::new("ca", &own).unwrap()).await.unwrap();
    server.publish("/dir", feed);
    let dns = DnsServer::start("ca.example.org A 127.0.0.1\n").await.unwrap();
    let resolver = ResolverSettings { servers: vec![dns.address], timeout: Duration::from_secs(5) };
    let tls = ClientTls::new(Roots::CaFile(files.chain), None).unwrap();
    let fetcher = Fetcher::new(tls, Resolver::new(&resolver).unwrap(), Reach::Anywhere);
    let settings = Settings {
        directory: format!("https://ca.example.org:{}/dir", server.address.port()).parse().unwrap(),
        contact: Vec::new(),
        asked: Asked { names: names(&["mail.example.org"]), renew_days: None },
        challenge: Challenge::Http01,
        external_account: None,
    };
    let kept = Folder::in_data(folder.path());
    let managed = kept.serve(&settings.asked, now()).unwrap();
    let store = CertificateStore::load_with_managed(&[], &managed, now()).unwrap();
    let obtainer = Obtainer::new(settings, kept, fetcher, (&store, &Proofs::default(), &Clock::System));
    Bench { obtainer, store, folder, _parts: (server, dns) }
}

#[tokio::test]
async fn an_authority_that_answers_nonsense_is_a_failure_and_changes_nothing() {
    let directory = |nonce: &str| {
        let text = format!(
            "{{\"newNonce\":\"{nonce}\",\"newAccount\":\"https://ca.example.org/a\",\"newOrder\":\"https://ca.example.org/o\"}}"
        );
        Feed::Document(text.into_bytes())
    };
    for (feed, kind, want) in [
        (Feed::Endless, FailureKind::Connection, "larger than 262144 octets"),
        (Feed::Document(b"<html></html>".to_vec()), FailureKind::Server, "is no JSON"),
        // The library would panic over it.
        (directory("not an address"), FailureKind::Server, "no https address for newNonce"),
        (directory("http://ca.example.org/n"), FailureKind::Server, "no https address for newNonce"),
        (directory("https://127.0.0.1:1/n"), FailureKind::Connection, "refused"),
        (Feed::Redirect("https://elsewhere.example.org/".to_owned()), FailureKind::Server, ""),
        (Feed::Status(503), FailureKind::Server, ""),
    ] {
        let bench = bench(feed).await;
        let before = bench.store.leaf_sha256();
        let failure = bench.obtainer.attempt().await.unwrap_err();
        assert_eq!(failure.kind, kind, "{failure:?}");
        assert!(failure.text.contains(want), "{want}: {failure:?}");
        let folder = &bench.obtainer.folder;
        let attempts = bench.obtainer.note(Err(failure), folder.attempts(&bench.obtainer.settings)).await;
        assert_eq!(attempts.failures, 1);
        assert_eq!(folder.attempts(&bench.obtainer.settings), attempts, "it is written down");
        assert_eq!(bench.store.leaf_sha256(), before);
    }
}

/// Writes a fit certificate for `list` as one that was brought back from elsewhere.
fn bring_back(bench: &Bench, list: &[&str]) -> [u8; 32] {
    let (chain, key) = made(list);
    let file = bench.folder.path().join("acme/certificate.pem");
    fs::write(&file, format!("{key}\n{chain}")).unwrap();
    bench.obtainer.folder.look(now()).unwrap().leaf_sha256
}

#[tokio::test]
async fn a_certificate_that_is_held_and_not_served_is_put_in_service() {
    let bench = bench(Feed::Status(503)).await;
    let leaf = bring_back(&bench, &["mail.example.org"]);
    let attempts = bench.obtainer.folder.attempts(&bench.obtainer.settings);
    let step = async |attempts: &Attempts| {
        let kept = bench.obtainer.kept(now()).await;
        bench.obtainer.step(kept.as_ref(), attempts, now())
    };
    assert_eq!(step(&attempts).await, Step::Serve);
    let attempts = bench.obtainer.serve(attempts).await;
    assert_eq!(bench.store.leaf_sha256(), [leaf]);
    assert_eq!(attempts.failures, 0);
    assert!(matches!(step(&attempts).await, Step::Wait(_)));
}

#[tokio::test]
async fn one_that_cannot_be_put_in_service_is_tried_again_after_a_delay() {
    let bench = bench(Feed::Status(503)).await;
    let store = &bench.store;
    store.require(["mail.example.org".to_owned()]).unwrap();
    let before = store.leaf_sha256();
    bring_back(&bench, &["mx.example.org"]);
    let kept = bench.obtainer.kept(now()).await;
    let attempts = bench.obtainer.serve(bench.obtainer.folder.attempts(&bench.obtainer.settings)).await;
    assert_eq!((attempts.failures, store.leaf_sha256()), (1, before));
    let text = &attempts.last_failure.as_ref().unwrap().text;
    assert!(text.contains("no certificate is for mail.example.org"), "{text}");
    assert!(matches!(bench.obtainer.step(kept.as_ref(), &attempts, now()), Step::Wait(_)));
}

#[test]
fn a_certificate_that_cannot_be_served_counts_as_none_and_keeps_no_node_from_starting() {
    let data = tempfile::tempdir().unwrap();
    let folder = Folder::in_data(data.path());
    started(&folder);
    let (chain, key) = made(&["mail.example.org"]);
    for pem in [String::new(), "half a fi".to_owned(), key.clone(), format!("{key}\n{}", chain.repeat(200))] {
        fs::write(data.path().join("acme/certificate.pem"), pem).unwrap();
        let store = started(&folder);
        assert!(ServerTls::new("smtp", &store).is_ok());
        assert_eq!(store.names(), ["mail.example.org"]);
        assert_eq!(folder.held(now()), None);
        assert!(folder.fault(now()).is_some());
    }
}

#[test]
fn a_file_that_no_account_can_have_written_is_none_and_none_like_it_is_kept() {
    let data = tempfile::tempdir().unwrap();
    let folder = Folder::in_data(data.path());
    let long = "x".repeat(usize::try_from(limits::FILE_OCTETS_MAX).unwrap() + 1);
    let refused = folder.keep_account(&long).unwrap_err();
    assert_eq!(refused.kind, FailureKind::Server, "{refused:?}");
    assert_eq!(folder.account().unwrap(), None);
    folder.keep_account(&long[1..]).unwrap();
    assert!(folder.account().unwrap().is_some());
    for octets in [long.as_bytes(), b"\xff\xfe"] {
        fs::write(data.path().join("acme/account.json"), octets).unwrap();
        assert_eq!(folder.account().unwrap(), None);
    }
}

#[tokio::test]
async fn a_panic_over_an_answer_is_a_failure_like_others() {
    let failure = guarded(async { panic!("not an address") }).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Server, "{failure:?}");
}

#[tokio::test(start_paused = true)]
async fn a_try_that_does_not_end_is_given_up_and_its_task_ends() {
    let (held, released) = tokio::sync::oneshot::channel::<()>();
    let begun = tokio::time::Instant::now();
    let stuck = async move {
        let _held = held;
        std::future::pending().await
    };
    let failure = guarded(stuck).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Timeout, "{failure:?}");
    assert!(begun.elapsed() >= limits::ATTEMPT_TIMEOUT);
    assert!(released.await.is_err(), "what it held is dropped");
}

#[test]
fn a_proof_can_be_found_while_it_is_shown_and_by_its_token_alone() {
    let proofs = Proofs::default();
    let name: Domain = "mail.example.org".parse().unwrap();
    let shown = proofs.show_http(&name, "abc-DEF_1", "abc-DEF_1.thumb").unwrap();
    assert_eq!(proofs.find("abc-DEF_1"), Some(("mail.example.org".to_owned(), "abc-DEF_1.thumb".to_owned())));
    assert_eq!(proofs.find("abc"), None);
    drop(shown);
    assert_eq!(proofs.find("abc-DEF_1"), None);
    for token in ["", "a/b", "..", "a b", "a\n", "a%41", &"x".repeat(300)] {
        assert!(proofs.show_http(&name, token, "t").is_none(), "{token:?}");
    }
}
