//! A store that fails on command, for tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::{Batch, Error, Fence, Seq, Snapshot, Store};

/// How a commit fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Nothing of the batch is kept.
    Lost,
    /// The batch is kept, but the caller is not told.
    Kept,
}

/// Wraps a store; the commit that is chosen fails, and so does every later one.
pub struct Faulty {
    inner: Arc<dyn Store>,
    /// Commits until the one that fails; `u64::MAX` for never.
    countdown: AtomicU64,
    keeps: AtomicBool,
    poisoned: AtomicBool,
}

impl Faulty {
    /// A store that does not fail yet.
    pub fn new(inner: Arc<dyn Store>) -> Faulty {
        Faulty {
            inner,
            countdown: AtomicU64::new(u64::MAX),
            keeps: AtomicBool::new(false),
            poisoned: AtomicBool::new(false),
        }
    }

    /// Lets the commit after `commits` more fail.
    pub fn fail_after(&self, commits: u64, failure: Failure) {
        self.keeps.store(failure == Failure::Kept, Ordering::SeqCst);
        self.countdown.store(commits, Ordering::SeqCst);
    }

    /// What is kept: the store to start again with.
    pub fn inner(&self) -> Arc<dyn Store> {
        Arc::clone(&self.inner)
    }
}

impl Store for Faulty {
    fn snapshot(&self) -> Box<dyn Snapshot> {
        self.inner.snapshot()
    }

    fn position(&self) -> Seq {
        self.inner.position()
    }

    fn commit(&self, batch: Batch, fence: Fence) -> Result<Seq, Error> {
        if self.poisoned.load(Ordering::SeqCst) {
            return Err(Error::Poisoned);
        }
        let left = self.countdown.load(Ordering::SeqCst);
        if left == 0 {
            self.poisoned.store(true, Ordering::SeqCst);
            if self.keeps.load(Ordering::SeqCst) {
                self.inner.commit(batch, fence)?;
            }
            return Err(Error::Engine("the disk failed, as the test asked".to_owned()));
        }
        if left < u64::MAX {
            self.countdown.store(left - 1, Ordering::SeqCst);
        }
        self.inner.commit(batch, fence)
    }
}
