//! Ordered bytes and atomic batches.
//!
//! A [`Store`] keeps keys in bytewise order and changes only by [`Store::commit`]: a batch is there
//! whole or not at all, and on stable storage when the call returns. It knows no business rule.
//!
//! Read in this order: [`Store`], [`Snapshot`], [`embedded`], [`memory`], [`faulty`].

pub mod embedded;
mod error;
pub mod faulty;
mod journal;
pub mod memory;

pub use error::Error;

/// A key; keys order bytewise.
pub type Key = Vec<u8>;

/// Changes that are made together: each key and its new value, or `None` to remove it. When a key
/// stands more than once the last one counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// The changes in order.
    pub entries: Vec<(Key, Option<Vec<u8>>)>,
}

/// Who may write: a commit with an older fence than the store has seen is refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fence(pub u64);

/// The position of a commit among all that the store has made durable, also before it was opened;
/// grows by one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seq(pub u64);

/// What a store held at one moment. Later commits do not show in it. Drop it soon: it keeps old
/// values from being cleaned up.
pub trait Snapshot: Send + Sync {
    /// The value at `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;

    /// Entries with `from <= key < to`, in order or from the end, at most `limit`.
    fn range(
        &self,
        from: &[u8],
        to: &[u8],
        reverse: bool,
        limit: usize,
    ) -> Result<Vec<(Key, Vec<u8>)>, Error>;
}

/// Durable, ordered bytes.
pub trait Store: Send + Sync {
    /// What is committed now.
    fn snapshot(&self) -> Box<dyn Snapshot>;

    /// Where the last commit is; `Seq(0)` before the first.
    fn position(&self) -> Seq;

    /// Makes the whole batch durable, or nothing of it.
    ///
    /// After any error but [`Error::Fenced`] it is not known whether the batch will be there after
    /// a restart, and every later commit fails with [`Error::Poisoned`]: the process must stop.
    fn commit(&self, batch: Batch, fence: Fence) -> Result<Seq, Error>;
}
