//! A power cut in the middle of a commit leaves any of its blocks written and the others not.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use stepwire_store::embedded::Embedded;
use stepwire_store::{Batch, Error, Fence, Store};

/// What a disk writes whole.
const SECTOR: usize = 512;
const COMMITS: u8 = 12;
const TRIALS: u64 = 50;

/// Sizes of values in a commit: smaller than a block, across blocks, many blocks.
const SIZES: [usize; 6] = [40, 700, 0, 9_000, 130, 2_500];

/// A commit whose values no compression makes smaller.
fn batch(number: u8) -> Batch {
    let mut random = Random(u64::from(number) + 1);
    let entries = SIZES.iter().enumerate().map(|(at, size)| {
        let value = (0..*size).map(|_| random.draw().to_le_bytes()[0]).collect();
        (vec![number, u8::try_from(at).unwrap()], Some(value))
    });
    Batch { entries: entries.collect() }
}

/// Xorshift.
struct Random(u64);

impl Random {
    fn draw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// The bytes of the newest journal, without the zeros behind them.
fn journal(folder: &Path) -> (PathBuf, Vec<u8>, u64) {
    let files = fs::read_dir(folder.join("records")).unwrap().map(|entry| entry.unwrap().path());
    let newest = files.filter(|path| path.extension().is_some_and(|end| end == "jnl")).max();
    let path = newest.unwrap();
    let mut bytes = Vec::new();
    File::open(&path).unwrap().read_to_end(&mut bytes).unwrap();
    let length = bytes.len() as u64;
    bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
    (path, bytes, length)
}

/// A data folder with commits, its journal before and after the last of them.
struct Cut {
    folder: tempfile::TempDir,
    path: PathBuf,
    before: (Vec<u8>, u64),
    after: (Vec<u8>, u64),
}

/// `opened_again`: the engine has opened the journal before, and appends to it.
fn cut(opened_again: bool) -> Cut {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Embedded::open(folder.path()).unwrap();
    for number in 0..COMMITS - 1 {
        store.commit(batch(number), Fence(0)).unwrap();
        if opened_again && number == 3 {
            drop(store);
            store = Embedded::open(folder.path()).unwrap();
        }
    }
    let (path, before, before_length) = journal(folder.path());
    store.commit(batch(COMMITS - 1), Fence(0)).unwrap();
    let (_, after, after_length) = journal(folder.path());
    assert!(after.len() > before.len() + 12_000);
    Cut { folder, path, before: (before, before_length), after: (after, after_length) }
}

impl Cut {
    /// Writes a journal of these bytes and this length in place of the real one.
    fn write(&self, bytes: &[u8], length: u64) {
        let mut file = OpenOptions::new().write(true).truncate(true).open(&self.path).unwrap();
        file.write_all(bytes).unwrap();
        file.set_len(length.max(bytes.len() as u64)).unwrap();
    }

    /// The journal when of the last commit only these sectors were written.
    fn torn(&self, mut is_written: impl FnMut(usize) -> bool) -> Vec<u8> {
        let (before, after) = (&self.before.0, &self.after.0);
        let mut torn = after.clone();
        let first = before.len() / SECTOR;
        for sector in first..=after.len() / SECTOR {
            if is_written(sector - first) {
                continue;
            }
            let begin = (sector * SECTOR).min(after.len());
            let end = (begin + SECTOR).min(after.len());
            let old = before.get(begin..).unwrap_or_default();
            let old = old.iter().copied().chain(std::iter::repeat(0));
            torn.splice(begin..end, old.take(end - begin).collect::<Vec<_>>());
        }
        torn
    }
}

/// Opens the folder and counts the commits in it; each must be whole.
fn commits(folder: &Path) -> (u8, u64) {
    let store = Embedded::open(folder).unwrap();
    let found = store.snapshot().range(&[0], &[0xf0], false, usize::MAX).unwrap();
    let numbers: Vec<u8> = found.iter().map(|(key, _)| key[0]).collect();
    let last = numbers.last().map_or(0, |last| last + 1);
    for number in 0..last {
        let entries = batch(number).entries;
        let kept: Vec<_> = found.iter().filter(|(key, _)| key[0] == number).cloned().collect();
        let whole: Vec<_> = entries.into_iter().map(|(key, value)| (key, value.unwrap())).collect();
        assert!(kept == whole, "commit {number} is not whole");
    }
    let dropped = store.dropped_bytes();
    (last, dropped)
}

#[test]
fn a_torn_commit_is_dropped_and_every_earlier_one_is_there() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for opened_again in [false, true] {
        let cut = cut(opened_again);
        let sectors = cut.after.0.len() / SECTOR - cut.before.0.len() / SECTOR + 1;
        let mut dropped = 0;
        for trial in 0..TRIALS {
            // One sector alone is lost first, wherever it is; then any of them.
            let lost = usize::try_from(trial).unwrap();
            let torn = if lost < sectors {
                cut.torn(|sector| sector != lost)
            } else {
                cut.torn(|_| random.draw().is_multiple_of(2))
            };
            let length = if random.draw().is_multiple_of(2) { cut.after.1 } else { cut.before.1 };
            let torn = torn[..torn.len().min(usize::try_from(length).unwrap())].to_vec();
            let whole = torn == cut.after.0;
            cut.write(&torn, length);
            let (found, bytes) = commits(cut.folder.path());
            assert!(found == COMMITS - 1 || whole, "trial {trial}: {found} commits");
            assert!(found >= COMMITS - 1, "trial {trial}: {found} commits");
            dropped += u64::from(bytes > 0);
            // What is written now is found again, behind what was kept.
            let store = Embedded::open(cut.folder.path()).unwrap();
            store.commit(batch(found), Fence(0)).unwrap();
            drop(store);
            assert_eq!(commits(cut.folder.path()), (found + 1, 0), "trial {trial}");
        }
        assert!(dropped > TRIALS / 4, "only {dropped} commits had to be dropped");
    }
}

#[test]
fn damage_before_whole_commits_is_refused_by_place() {
    let cut = cut(false);
    let middle = cut.before.0.len() as u64 / 2;
    let file = OpenOptions::new().write(true).open(&cut.path).unwrap();
    file.write_all_at(&[cut.before.0[usize::try_from(middle).unwrap()] ^ 4], middle).unwrap();
    let refused = Embedded::open(cut.folder.path()).err().unwrap();
    let Error::Damaged { path, offset } = &refused else { panic!("{refused}") };
    assert!(*path == cut.path && *offset <= middle, "{refused}");
    assert_eq!(journal(cut.folder.path()).1.len(), cut.after.0.len(), "nothing was removed");
}
