//! A shard's records in the store: its number comes first in every key.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use stepwire_core::Read;
use stepwire_core::read::{Key, Range};
use stepwire_store::{Snapshot, Store};

/// The number of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard(pub u16);

impl Shard {
    /// The stored key of the shard's `key`.
    pub fn key(self, key: &[u8]) -> Vec<u8> {
        [self.0.to_be_bytes().as_slice(), key].concat()
    }
}

/// What a shard had stored at one moment.
pub struct ShardRead {
    snapshot: Box<dyn Snapshot>,
    shard: Shard,
}

impl ShardRead {
    /// What `shard` has stored now.
    pub fn new(store: &dyn Store, shard: Shard) -> ShardRead {
        ShardRead { snapshot: store.snapshot(), shard }
    }
}

impl Read for ShardRead {
    /// Unwinds with the store's error if the disk cannot be read: see [`catch`].
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.snapshot.get(&self.shard.key(key)).unwrap_or_else(give_up)
    }

    /// Unwinds with the store's error if the disk cannot be read: see [`catch`].
    fn range(&self, range: &Range) -> Vec<(Key, Vec<u8>)> {
        let (from, to) = (self.shard.key(&range.from), self.shard.key(&range.to));
        let run = self.snapshot.range(&from, &to, range.reverse, range.limit);
        let mut entries = run.unwrap_or_else(give_up);
        entries.iter_mut().for_each(|(key, _)| drop(key.drain(..2)));
        entries
    }
}

/// Code that reads has no way to say that it cannot, and nothing can be decided then.
fn give_up<T>(error: stepwire_store::Error) -> T {
    resume_unwind(Box::new(error))
}

/// Runs `work`, which reads a [`ShardRead`]. The error is the store's, when it cannot be read.
pub fn catch<T>(work: impl FnOnce() -> T) -> Result<T, stepwire_store::Error> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| match payload.downcast() {
        Ok(error) => *error,
        Err(bug) => resume_unwind(bug),
    })
}
