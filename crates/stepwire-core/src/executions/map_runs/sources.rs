//! Where item readers read: objects of the store, or files that the rim has read for them.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use stepwire_asl::Failure;
use stepwire_asl::history::Trouble;

use super::files::{Answer, Ask, File, Found};
use crate::objects::{self, Object};
use crate::read::Read;
use crate::record::Corrupt;

/// Why a slice of reading gives nothing.
#[derive(Debug)]
pub(super) enum Stop {
    /// What is to be read cannot be.
    Failed(Trouble),
    /// The rim has to read this first.
    Asks(Ask),
    /// The store is damaged.
    Corrupt(Corrupt),
}

impl From<Corrupt> for Stop {
    fn from(corrupt: Corrupt) -> Stop {
        Stop::Corrupt(corrupt)
    }
}

impl Stop {
    pub(super) fn failed(cause: impl Into<Arc<str>>) -> Stop {
        Stop::Failed(Failure::new("States.ItemReaderFailed", cause).into())
    }
}

/// Objects and files.
pub(super) struct Sources<'a> {
    pub(super) read: &'a dyn Read,
    /// Names of folders.
    pub(super) folders: &'a BTreeSet<Arc<str>>,
    /// What the rim has answered for this slice.
    pub(super) answers: &'a [(Ask, Answer)],
}

impl Sources<'_> {
    /// The object or file of this name, and those bytes of `range` that it has.
    pub(super) fn find(
        &self,
        bucket: &Arc<str>,
        key: &Arc<str>,
        range: Range<u64>,
    ) -> Result<(File, Bytes), Stop> {
        let missing = || {
            let cause = format!("The object {key} of the bucket {bucket} does not exist.");
            Stop::failed(cause)
        };
        if self.is_folder(bucket) {
            let (folder, key) = (Arc::clone(bucket), Arc::clone(key));
            let bytes_max = range.end - range.start;
            let ask = Ask::Read { folder, key, from: range.start, bytes_max };
            return match self.answer(ask)? {
                Found::Bytes(file, bytes) => Ok((file, bytes)),
                Found::Missing | Found::Files(_) => Err(missing()),
            };
        }
        let object = objects::find(bucket, key, self.read)?.ok_or_else(missing)?;
        // What is missing is asked for all at once.
        let parts: Vec<_> = object.slices(range).map(|slice| slice.read(self.read)).collect();
        let mut bytes = Vec::new();
        for part in parts {
            bytes.extend_from_slice(&part?);
        }
        Ok((file_of(&object), bytes.into()))
    }

    /// Names after `after` that begin with `prefix`, in order.
    pub(super) fn list(
        &self,
        bucket: &Arc<str>,
        prefix: &str,
        after: &Arc<str>,
        most: usize,
    ) -> Result<Vec<(Arc<str>, File)>, Stop> {
        if self.is_folder(bucket) {
            let (folder, after) = (Arc::clone(bucket), Arc::clone(after));
            let ask = Ask::List { folder, prefix: prefix.into(), after, files_max: most };
            return match self.answer(ask)? {
                Found::Files(files) => Ok(files),
                Found::Missing | Found::Bytes(..) => Ok(Vec::new()),
            };
        }
        let objects = objects::objects(bucket, prefix, after, most, self.read)?;
        Ok(objects.into_iter().map(|(key, object)| (key, file_of(&object))).collect())
    }

    /// A bucket hides a folder of its name.
    fn is_folder(&self, bucket: &str) -> bool {
        self.folders.contains(bucket) && !objects::has_bucket(bucket, self.read)
    }

    fn answer(&self, ask: Ask) -> Result<Found, Stop> {
        match self.answers.iter().find(|(asked, _)| *asked == ask) {
            Some((_, Ok(found))) => Ok(found.clone()),
            Some((_, Err(why))) => Err(Stop::failed(Arc::clone(why))),
            None => Err(Stop::Asks(ask)),
        }
    }
}

fn file_of(object: &Object) -> File {
    File { size: object.size(), etag: Arc::clone(&object.etag), modified: object.modified }
}
