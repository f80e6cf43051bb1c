//! What every engine must do, and what the embedded one must survive.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use stepwire_store::embedded::Embedded;
use stepwire_store::faulty::{Failure, Faulty};
use stepwire_store::memory::Memory;
use stepwire_store::{Batch, Error, Fence, Seq, Store};

fn engines() -> Vec<(tempfile::TempDir, Box<dyn Store>)> {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let embedded = Embedded::open(&a.path().join("data")).unwrap();
    vec![(a, Box::new(embedded)), (b, Box::new(Memory::new()))]
}

fn put(key: &str, value: &str) -> (Vec<u8>, Option<Vec<u8>>) {
    (key.into(), Some(value.into()))
}

fn commit(store: &dyn Store, entries: Vec<(Vec<u8>, Option<Vec<u8>>)>) -> Seq {
    store.commit(Batch { entries }, Fence(0)).unwrap()
}

fn range(store: &dyn Store, from: &str, to: &str, reverse: bool, limit: usize) -> Vec<String> {
    let run = store.snapshot().range(from.as_bytes(), to.as_bytes(), reverse, limit).unwrap();
    run.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect()
}

#[test]
fn the_last_change_of_a_key_in_a_batch_counts() {
    for (_folder, store) in engines() {
        commit(store.as_ref(), vec![put("a", "1"), put("a", "2"), ("b".into(), None)]);
        assert_eq!(store.snapshot().get(b"a").unwrap().as_deref(), Some(b"2".as_slice()));
        commit(store.as_ref(), vec![put("b", "1"), ("b".into(), None)]);
        assert_eq!(store.snapshot().get(b"b").unwrap(), None);
    }
}

#[test]
fn ranges_run_both_ways_and_stop_at_their_limit() {
    for (_folder, store) in engines() {
        commit(store.as_ref(), "acebd".chars().map(|c| put(&c.to_string(), "x")).collect());
        commit(store.as_ref(), vec![("c".into(), None)]);
        let store = store.as_ref();
        assert_eq!(range(store, "a", "e", false, 9), ["a", "b", "d"]);
        assert_eq!(range(store, "a", "e", true, 2), ["d", "b"]);
        assert!(range(store, "d", "a", false, 9).is_empty());
        assert!(range(store, "a", "a", false, 9).is_empty());
    }
}

#[test]
fn a_snapshot_does_not_see_later_commits() {
    for (_folder, store) in engines() {
        commit(store.as_ref(), vec![put("a", "old"), put("gone", "x")]);
        let before = store.snapshot();
        commit(store.as_ref(), vec![put("a", "new"), put("b", "new"), ("gone".into(), None)]);
        commit(store.as_ref(), vec![put("a", "newer")]);
        assert_eq!(before.get(b"a").unwrap().as_deref(), Some(b"old".as_slice()));
        assert_eq!(before.range(b"a", b"z", false, 9).unwrap().len(), 2);
        assert_eq!(store.snapshot().get(b"a").unwrap().as_deref(), Some(b"newer".as_slice()));
    }
}

#[test]
fn commits_are_numbered_one_after_the_other() {
    for (_folder, store) in engines() {
        assert_eq!(store.position(), Seq(0));
        assert_eq!(commit(store.as_ref(), vec![put("a", "1")]), Seq(1));
        assert_eq!(commit(store.as_ref(), vec![put("a", "1")]), Seq(2));
        assert_eq!(store.position(), Seq(2));
    }
}

#[test]
fn commits_are_numbered_on_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path()).unwrap();
    commit(&store, vec![put("a", "1")]);
    commit(&store, vec![put("b", "1")]);
    assert_eq!(commit(&store, Vec::new()), Seq(3));
    drop(store);
    let store = Embedded::open(folder.path()).unwrap();
    assert_eq!(store.position(), Seq(3));
    assert_eq!(commit(&store, vec![put("a", "2")]), Seq(4));
}

#[test]
fn an_older_fence_is_refused_and_changes_nothing() {
    for (_folder, store) in engines() {
        store.commit(Batch { entries: vec![put("a", "1")] }, Fence(3)).unwrap();
        let refused = store.commit(Batch { entries: vec![put("a", "2")] }, Fence(2));
        assert!(matches!(refused, Err(Error::Fenced { current: Fence(3), .. })));
        assert_eq!(store.snapshot().get(b"a").unwrap().as_deref(), Some(b"1".as_slice()));
    }
}

#[test]
fn a_fence_holds_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path()).unwrap();
    store.commit(Batch::default(), Fence(7)).unwrap();
    drop(store);
    let store = Embedded::open(folder.path()).unwrap();
    let refused = store.commit(Batch { entries: vec![put("a", "2")] }, Fence(6));
    assert!(matches!(refused, Err(Error::Fenced { .. })));
}

#[test]
fn nothing_is_written_after_a_failed_commit() {
    for failure in [Failure::Lost, Failure::Kept] {
        let store = Faulty::new(Arc::new(Memory::new()));
        store.fail_after(1, failure);
        commit(&store, vec![put("a", "1")]);
        assert!(store.commit(Batch { entries: vec![put("b", "1")] }, Fence(0)).is_err());
        let later = store.commit(Batch { entries: vec![put("c", "1")] }, Fence(0));
        assert!(matches!(later, Err(Error::Poisoned)));
        let kept = range(store.inner().as_ref(), "a", "z", false, 9);
        assert_eq!(kept.len(), if failure == Failure::Kept { 2 } else { 1 });
    }
}

#[test]
fn a_second_process_cannot_open_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let _open = Embedded::open(folder.path()).unwrap();
    assert!(matches!(Embedded::open(folder.path()), Err(Error::Locked { .. })));
}

#[test]
fn a_newer_format_is_refused_by_number() {
    let folder = tempfile::tempdir().unwrap();
    drop(Embedded::open(folder.path()).unwrap());
    std::fs::write(folder.path().join("FORMAT"), "stepwire data format 9\n").unwrap();
    let refused = Embedded::open(folder.path()).err().unwrap();
    assert!(matches!(refused, Error::NewerFormat { found: 9, .. }), "{refused}");
    std::fs::write(folder.path().join("FORMAT"), "something else").unwrap();
    assert!(matches!(Embedded::open(folder.path()), Err(Error::NotOurs { .. })));
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let refused = Embedded::open(&file.join("data")).err().unwrap();
    assert!(refused.to_string().contains("file"), "{refused}");
}

/// Run by the test below in a process of its own: commits for ever and says each number once it is
/// durable.
#[test]
fn child_that_commits_until_it_is_killed() {
    let Ok(folder) = std::env::var("STEPWIRE_STORE_CHILD") else { return };
    let store = Embedded::open(Path::new(&folder)).unwrap();
    let begin = store.snapshot().range(b"a", b"z", true, 1).unwrap();
    let begin = begin.first().map_or(0, |(key, _)| number(key) + 1);
    for number in begin.. {
        let key = |kind: &str| format!("{kind}{number:09}");
        let large = "x".repeat(1_000 + number as usize % 3_000);
        let batch = [put(&key("b"), &large), put(&key("m"), &large), put("twin", &key(""))];
        commit(&store, batch.to_vec());
        println!("acknowledged {number}");
    }
}

fn number(key: &[u8]) -> u64 {
    String::from_utf8_lossy(&key[1..]).parse().unwrap_or(0)
}

#[test]
fn what_was_acknowledged_before_a_kill_is_there_and_batches_are_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for round in 0..8 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_commits_until_it_is_killed", "--nocapture"])
            .env("STEPWIRE_STORE_CHILD", folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let killed = child.id();
        let mut killer = None;
        for line in lines.map_while(Result::ok) {
            if let Some(number) = line.rsplit_once("acknowledged ") {
                acknowledged = number.1.parse().unwrap_or(acknowledged);
                // Its time begins with its first commit: on a busy machine a process may take long to begin.
                killer.get_or_insert_with(|| {
                    std::thread::spawn(move || {
                        std::thread::sleep(Duration::from_millis(100 + round * 37));
                        let _ = Command::new("kill").args(["-9", &killed.to_string()]).status();
                    })
                });
            }
        }
        child.wait().unwrap();
        killer.expect("the child committed nothing").join().unwrap();
        let store = Embedded::open(folder.path()).unwrap();
        let count = |kind: &str| range(&store, kind, &format!("{kind}~"), false, usize::MAX).len();
        assert!(count("b") as u64 > acknowledged, "{} of {acknowledged}", count("b"));
        assert_eq!(count("b"), count("m"), "half a batch");
    }
    assert!(acknowledged > 20, "the child hardly ran: {acknowledged}");
}
