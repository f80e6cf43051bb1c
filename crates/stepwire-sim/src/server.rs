//! The process in the simulated world: the driver's loop, with a disk that takes its time.
//!
//! As the real driver: inputs are decided as they come, one batch is being committed while the next
//! is being decided, and nothing leaves before the commit that covers it has ended.

use std::collections::BTreeMap;
use std::mem;

use stepwire_asl::Timestamp;
use stepwire_core::overlay::{Changes, Layered};
use stepwire_core::{Corrupt, Effect, Input, Kernel, Read, Settings, Step, Write};

/// What a disk keeps.
pub type Disk = BTreeMap<Vec<u8>, Vec<u8>>;

/// Decided together, durable together.
#[derive(Debug, Default)]
pub struct Batch {
    changes: Changes,
    /// In the order they were decided.
    pub writes: Vec<Write>,
    /// To be carried out once the writes are durable.
    pub effects: Vec<Effect>,
    inputs: usize,
}

/// A running process.
#[derive(Debug)]
pub struct Server {
    /// The kernel under test.
    pub kernel: Kernel,
    current: Batch,
    in_flight: Option<Batch>,
}

impl Server {
    /// A process that has read `disk` and decided what recovery asks for.
    pub fn recover(settings: Settings, now: Timestamp, disk: &Disk) -> Result<Server, Corrupt> {
        let (kernel, first) = Kernel::recover(settings, now, disk)?;
        let mut server = Server { kernel, current: Batch::default(), in_flight: None };
        server.decide(disk, |kernel, changes, base| kernel.settle(now, first, changes, base));
        Ok(server)
    }

    /// Decides `input`. Whether a commit was in flight meanwhile.
    pub fn take(&mut self, now: Timestamp, input: Input, disk: &Disk) -> bool {
        self.decide(disk, |kernel, changes, base| kernel.turn(now, input, changes, base));
        self.in_flight.is_some()
    }

    fn decide(
        &mut self,
        disk: &Disk,
        step: impl FnOnce(&mut Kernel, &mut Changes, &dyn Read) -> Step,
    ) {
        let changes = &mut self.current.changes;
        let step = match &self.in_flight {
            Some(batch) => {
                let base = Layered { changes: &batch.changes, base: disk };
                step(&mut self.kernel, changes, &base)
            }
            None => step(&mut self.kernel, changes, disk),
        };
        self.current.writes.extend(step.writes);
        self.current.effects.extend(step.effects);
        self.current.inputs += 1;
    }

    /// Starts a commit, when something is decided and none is in flight.
    pub fn begin_commit(&mut self) -> bool {
        if self.in_flight.is_some() || self.current.inputs == 0 {
            return false;
        }
        self.in_flight = Some(mem::take(&mut self.current));
        true
    }

    /// The commit in flight has reached the disk.
    pub fn end_commit(&mut self, disk: &mut Disk) -> Batch {
        let batch = self.in_flight.take().unwrap_or_default();
        for (key, value) in batch.changes.entries() {
            match value {
                Some(value) => disk.insert(key.clone(), value.clone()),
                None => disk.remove(key),
            };
        }
        batch
    }

    /// Whether everything decided is on the disk.
    pub fn is_settled(&self) -> bool {
        self.in_flight.is_none() && self.current.inputs == 0
    }
}
