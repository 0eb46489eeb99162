use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::{Content, Spool};
use crate::faults::{FaultPlan, Faults};

fn open(folder: &Path) -> Spool {
    Spool::open(folder, Faults::default()).unwrap()
}

fn content(head: &[u8]) -> Content {
    Content { head: head.to_vec(), rest: None }
}

async fn body(spool: &Spool, id: &str) -> Vec<u8> {
    let mut stored = spool.read(id).await.unwrap();
    let mut octets = Vec::new();
    stored.file.read_to_end(&mut octets).unwrap();
    assert_eq!(octets.len() as u64, stored.octets);
    octets
}

#[tokio::test]
async fn a_message_comes_back_as_it_was_committed() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let mut rest = tempfile::tempfile().unwrap();
    rest.write_all(b"not mine\nrest\r\n").unwrap();
    rest.seek(SeekFrom::Start(9)).unwrap();
    let message = Content { head: b"Subject: x\r\n\r\n".to_vec(), rest: Some(rest) };
    spool.commit("1-a", "{\"a\":1}".to_owned(), message).await.unwrap();
    spool.commit("1-b", "{}".to_owned(), content(b"")).await.unwrap();
    let spool = open(folder.path());
    assert_eq!(spool.ids().unwrap(), ["1-a", "1-b"]);
    assert_eq!(spool.read("1-a").await.unwrap().entry, b"{\"a\":1}");
    assert_eq!(body(&spool, "1-a").await, b"Subject: x\r\n\r\nrest\r\n");
    assert_eq!(body(&spool, "1-b").await, b"");
}

#[tokio::test]
async fn a_message_never_takes_the_place_of_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    spool.commit("1", "{}".to_owned(), content(b"first")).await.unwrap();
    let error = spool.commit("1", "{}".to_owned(), content(b"second")).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!(body(&spool, "1").await, b"first");
    assert_eq!(std::fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
}

#[tokio::test]
async fn progress_is_replaced_and_goes_with_the_message() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    spool.commit("1", "{}".to_owned(), content(b"x")).await.unwrap();
    assert!(spool.read("1").await.unwrap().progress.is_none());
    spool.write_progress("1", b"one".to_vec()).await.unwrap();
    spool.write_progress("1", b"two".to_vec()).await.unwrap();
    assert_eq!(spool.read("1").await.unwrap().progress.unwrap(), b"two");
    spool.remove("1").await.unwrap();
    assert!(spool.ids().unwrap().is_empty());
    assert!(!folder.path().join("progress/1").exists());
}

#[tokio::test]
async fn a_file_that_is_not_whole_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    spool.commit("1", "{\"a\":1}".to_owned(), content(b"0123456789")).await.unwrap();
    let path = folder.path().join("queue/1");
    let whole = std::fs::read(&path).unwrap();
    for end in 0..whole.len() {
        std::fs::write(&path, &whole[..end]).unwrap();
        assert!(spool.read("1").await.is_err(), "{end}");
    }
    std::fs::write(&path, [&whole[..], b"x"].concat()).unwrap();
    assert!(spool.read("1").await.is_err());
}

#[tokio::test]
async fn no_id_leads_out_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    for id in ["", "..", "../x", "a/b", "a.b", &"a".repeat(200)] {
        assert!(spool.read(id).await.is_err(), "{id}");
        assert!(spool.remove(id).await.is_err(), "{id}");
        assert!(spool.commit(id, "{}".to_owned(), content(b"")).await.is_err(), "{id}");
    }
}

/// Every step fails once: what was refused is not there, what was taken is.
#[tokio::test]
async fn a_commit_that_fails_at_any_step_leaves_nothing() {
    let mut number = 0;
    loop {
        number += 1;
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), Faults::new(FaultPlan::Fail(number))).unwrap();
        let taken = spool.commit("1", "{}".to_owned(), content(b"x")).await.is_ok();
        let spool = open(folder.path());
        assert_eq!(spool.ids().unwrap().len(), usize::from(taken), "step {number}");
        if taken {
            break;
        }
    }
    assert!(number > 4, "each operation is a step");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_are_all_there() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..200 {
        let spool = spool.clone();
        tasks.spawn(async move {
            spool.commit(&format!("m-{number}"), "{}".to_owned(), content(b"x")).await.unwrap();
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(spool.ids().unwrap().len(), 200);
}
