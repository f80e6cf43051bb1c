//! Files that item readers read like objects: what is asked of the rim, and what it answers.
//!
//! A folder that the node's configuration names stands for a bucket of that name where there is
//! none. The kernel reads no files: a slice that lacks bytes asks for them with
//! [`Effect::ReadItems`](crate::Effect::ReadItems) and runs again with the answer. Answers are not
//! durable; after a restart they are asked for again.

use std::sync::Arc;

use bytes::Bytes;
use stepwire_asl::Timestamp;

/// What a slice of reading lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Bytes of a file.
    Read {
        /// The folder's name.
        folder: Arc<str>,
        /// Names of folders and file with slashes between.
        key: Arc<str>,
        /// The first.
        from: u64,
        /// At most so many; none still tells of the file.
        bytes_max: u64,
    },
    /// Files whose keys begin with `prefix` and come after `after`, in order.
    List {
        /// The folder's name.
        folder: Arc<str>,
        /// How their keys begin.
        prefix: Arc<str>,
        /// The key before the first.
        after: Arc<str>,
        /// At most so many.
        files_max: usize,
    },
}

/// What was found; or why it cannot be read.
pub type Answer = Result<Found, Arc<str>>;

/// What the rim found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Bytes of a file: fewer than asked for only at its end.
    Bytes(File, Bytes),
    /// There is no such file.
    Missing,
    /// Files by their keys.
    Files(Vec<(Arc<str>, File)>),
}

/// A file, or an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Bytes.
    pub size: u64,
    /// Another one once its content is another.
    pub etag: Arc<str>,
    /// When it was last changed.
    pub modified: Timestamp,
}
