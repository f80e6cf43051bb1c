//! Group commit with one batch ahead: what is decided, what is being committed, what is durable.
//!
//! While one batch is on its way to the disk the next is being decided, on top of what the first
//! will have stored. The driver and the simulator run this same code, so the order in which effects
//! are released is tested where crashes are cheap.

use std::mem;
use std::sync::Arc;

use stepwire_asl::Timestamp;

use crate::effect::Effect;
use crate::input::Input;
use crate::kernel::{Kernel, Step};
use crate::overlay::{Changes, Layered};
use crate::read::Read;
use crate::record::Corrupt;
use crate::settings::Settings;
use crate::write::Write;

/// Decided together, durable together.
#[derive(Debug, Default)]
pub struct Batch {
    /// What has to be stored: the last change of every key.
    pub changes: Arc<Changes>,
    /// The same in the order it was decided.
    pub writes: Vec<Write>,
    /// To be carried out, in order, once the changes are durable and not before.
    pub effects: Vec<Effect>,
    inputs: usize,
}

impl Batch {
    /// Inputs it decided.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Bytes of its records.
    pub fn bytes(&self) -> usize {
        self.changes.bytes()
    }
}

/// A kernel, the batch it is deciding, and the one that is being committed.
#[derive(Debug)]
pub struct Pipeline {
    kernel: Kernel,
    current: Batch,
    /// Handed over, not durable yet.
    in_flight: Option<Arc<Changes>>,
}

impl Pipeline {
    /// The shard that `base` holds, with what recovery asks for decided in the first batch.
    pub fn recover(
        settings: Settings,
        now: Timestamp,
        base: &dyn Read,
    ) -> Result<Pipeline, Corrupt> {
        let (kernel, first) = Kernel::recover(settings, now, base)?;
        let mut pipeline = Pipeline { kernel, current: Batch::default(), in_flight: None };
        pipeline.decide(base, |kernel, changes, base| kernel.settle(now, first, changes, base));
        Ok(pipeline)
    }

    /// Decides `input`. `base` holds every commit that has ended, and may hold the one in flight.
    pub fn take(&mut self, now: Timestamp, input: Input, base: &dyn Read) {
        self.decide(base, |kernel, changes, base| kernel.turn(now, input, changes, base));
    }

    fn decide(
        &mut self,
        base: &dyn Read,
        step: impl FnOnce(&mut Kernel, &mut Changes, &dyn Read) -> Step,
    ) {
        let changes = Arc::make_mut(&mut self.current.changes);
        let step = match &self.in_flight {
            Some(pending) => step(&mut self.kernel, changes, &Layered { changes: pending, base }),
            None => step(&mut self.kernel, changes, base),
        };
        self.current.writes.extend(step.writes);
        self.current.effects.extend(step.effects);
        self.current.inputs += 1;
    }

    /// What is decided and not handed over.
    pub fn current(&self) -> &Batch {
        &self.current
    }

    /// The batch to commit now, if something is decided and no commit is in flight.
    pub fn hand_over(&mut self) -> Option<Batch> {
        if self.in_flight.is_some() || self.current.inputs == 0 {
            return None;
        }
        let batch = mem::take(&mut self.current);
        self.in_flight = Some(Arc::clone(&batch.changes));
        Some(batch)
    }

    /// The commit in flight is durable, and every later `base` holds it.
    pub fn commit_ended(&mut self) {
        self.in_flight = None;
    }

    /// Whether a commit is in flight.
    pub fn is_committing(&self) -> bool {
        self.in_flight.is_some()
    }

    /// When the next [`Input::Tick`] is wanted.
    pub fn due(&self) -> Option<Timestamp> {
        self.kernel.due()
    }

    /// [`Kernel::check`] over everything that is decided. For tests.
    pub fn check(&self, base: &dyn Read) -> Result<(), String> {
        let nothing = Changes::default();
        let pending = self.in_flight.as_deref().unwrap_or(&nothing);
        let base = Layered { changes: pending, base };
        self.kernel.check(&Layered { changes: &self.current.changes, base: &base })
    }

    /// [`Kernel::forget_hot`]. For tests.
    pub fn forget_hot(&mut self) {
        self.kernel.forget_hot();
    }
}
