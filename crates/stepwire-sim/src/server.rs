//! The process in the simulated world: the driver's loop, with a disk that takes its time.
//!
//! The batching is the driver's own ([`Pipeline`]); what is simulated is the disk. A batch reaches
//! it whole or not at all, and what was not handed over, or had not arrived, is gone after a crash.

use std::collections::BTreeMap;

use stepwire_asl::Timestamp;
use stepwire_core::pipeline::{Batch, Pipeline};
use stepwire_core::{Corrupt, Input, Settings};

/// What a disk keeps.
pub type Disk = BTreeMap<Vec<u8>, Vec<u8>>;

/// A running process.
#[derive(Debug)]
pub struct Server {
    pipeline: Pipeline,
    committing: Option<Batch>,
}

impl Server {
    /// A process that has read `disk` and decided what recovery asks for.
    pub fn recover(settings: Settings, now: Timestamp, disk: &Disk) -> Result<Server, Corrupt> {
        Ok(Server { pipeline: Pipeline::recover(settings, now, disk)?, committing: None })
    }

    /// Decides `input`. Whether a commit was in flight meanwhile.
    pub fn take(&mut self, now: Timestamp, input: Input, disk: &Disk) -> bool {
        self.pipeline.take(now, input, disk);
        self.pipeline.is_committing()
    }

    /// Starts a commit, when something is decided and none is in flight.
    pub fn begin_commit(&mut self) -> bool {
        let Some(batch) = self.pipeline.hand_over() else { return false };
        self.committing = Some(batch);
        true
    }

    /// The batch that is being committed.
    pub fn committing(&self) -> Option<&Batch> {
        self.committing.as_ref()
    }

    /// Whether more is decided than what is being committed.
    pub fn is_ahead(&self) -> bool {
        self.pipeline.current().inputs() > 0
    }

    /// The commit in flight has reached the disk.
    pub fn end_commit(&mut self, disk: &mut Disk) -> Batch {
        let batch = self.committing.take().unwrap_or_default();
        for (key, value) in batch.changes.entries() {
            match value {
                Some(value) => disk.insert(key.clone(), value.clone()),
                None => disk.remove(key),
            };
        }
        self.pipeline.commit_ended();
        batch
    }

    /// When the kernel wants its next tick.
    pub fn due(&self) -> Option<Timestamp> {
        self.pipeline.due()
    }

    /// Compares memory with what is stored and what is on its way there.
    pub fn check(&self, disk: &Disk) -> Result<(), String> {
        self.pipeline.check(disk)
    }

    /// Drops every execution from memory.
    pub fn forget_hot(&mut self) {
        self.pipeline.forget_hot();
    }
}
