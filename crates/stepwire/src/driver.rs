//! The driver: one loop around the kernel, and the order of its lines is the durability contract.
//!
//! Two threads. The first takes every input that is queued and lets the kernel decide, one after
//! the other ([`Pipeline`]). The second makes a whole batch durable with one commit and only then
//! carries out its effects. While one batch is being committed the next is being decided. A batch
//! that has nothing to store is carried out by the first thread, once those before it are.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use stepwire_asl::Timestamp;
use stepwire_core::mqtt::Packet;
use stepwire_core::pipeline::{Batch, Pipeline};
use stepwire_core::{Corrupt, Effect, Input, Settings, Write, broker};
use stepwire_store::{Fence, Seq, Store};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use crate::clock::Clock;
use crate::shard::{self, Shard, ShardRead};

/// Inputs that may be queued before senders have to wait.
const QUEUE_MAX: usize = 4_096;
/// Bytes of payloads that are sent at once without taking room.
const SMALL_BYTES: usize = 32 << 10;
/// KiB of larger ones that may be queued, decided and not yet durable.
const LARGE_KIB_MAX: usize = 64 << 10;
/// A batch is handed over once it asks for this many effects: a message can go to every device.
const BATCH_EFFECTS_MAX: usize = 65_536;
/// Most inputs decided in one batch.
const BATCH_INPUTS_MAX: usize = 1_024;
/// A batch is handed over once its records reach this many bytes.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// Carries out what a kernel asks for. Called in order, and only for what is durable.
pub trait Rim: Send + 'static {
    /// Touches the world, at the latest by [`Rim::end_of_batch`]. What comes of it later is sent to
    /// `inputs`.
    fn carry_out(&mut self, effect: Effect, inputs: &Inputs);

    /// Every effect of a batch has been given.
    fn end_of_batch(&mut self);

    /// A commit has ended, which took so long.
    fn committed(&mut self, _took: Duration) {}

    /// Looks at what the commit at `position` has just made durable.
    fn observe(&mut self, position: Seq, writes: &[Write]);

    /// The store failed: nothing more will be acknowledged. The process should end.
    fn failed(&mut self, error: stepwire_store::Error);
}

/// Something for the deciding thread.
#[expect(clippy::large_enum_variant, reason = "nearly every message is an input")]
enum Message {
    Input(Input),
    /// What happened on a device's connection, one after the other.
    Device(Vec<broker::Input>, Room),
    /// A commit has ended; what is queued is looked at anyway, this wakes an idle thread.
    Wake,
    Stop,
}

/// Sends inputs to a kernel. Cheap to clone.
#[derive(Clone)]
pub struct Inputs {
    queue: mpsc::Sender<Message>,
    /// For what is large, in KiB.
    room: Arc<Semaphore>,
}

impl Inputs {
    /// Queues an input; waits while the queue is full. `false`: the driver has stopped.
    pub fn send(&self, input: Input) -> impl Future<Output = bool> + Send + use<'_> {
        self.queue(Message::Input(input))
    }

    /// Inputs that are queued, and at most.
    pub(crate) fn queued(&self) -> (usize, usize) {
        let most = self.queue.max_capacity();
        (most - self.queue.capacity(), most)
    }

    /// Queues what happened on a device's connection, as one: [`Inputs::send`]. Large messages
    /// have to wait until earlier ones are decided and durable.
    pub fn send_of_device(
        &self,
        inputs: Vec<broker::Input>,
    ) -> impl Future<Output = bool> + Send + use<'_> {
        let large = large_kib(&inputs);
        let sent = if large == 0 {
            Ok(self.queue(Message::Device(inputs, None)))
        } else {
            Err(Box::pin(self.send_large(inputs, large)))
        };
        async move {
            match sent {
                Ok(sent) => sent.await,
                Err(waiting) => waiting.await,
            }
        }
    }

    async fn send_large(&self, inputs: Vec<broker::Input>, kib: u32) -> bool {
        let room = Arc::clone(&self.room).acquire_many_owned(kib).await;
        self.queue(Message::Device(inputs, room.ok())).await
    }

    /// What waits is boxed: almost nobody has to, and everybody would keep room for it.
    fn queue(&self, message: Message) -> impl Future<Output = bool> + Send + use<'_> {
        let sent = match self.queue.try_send(message) {
            Ok(()) => Ok(true),
            Err(TrySendError::Closed(_)) => Ok(false),
            Err(TrySendError::Full(message)) => Err(Box::pin(self.queue.send(message))),
        };
        async move {
            match sent {
                Ok(sent) => sent,
                Err(waiting) => waiting.await.is_ok(),
            }
        }
    }
}

/// Room that a large message takes until it is durable.
type Room = Option<OwnedSemaphorePermit>;

/// KiB of payloads, if they are more than a little.
fn large_kib(inputs: &[broker::Input]) -> u32 {
    let payload = |input: &broker::Input| match input {
        broker::Input::Packet { packet: Packet::Publish(publish), .. } => publish.payload.len(),
        _ => 0,
    };
    let bytes: usize = inputs.iter().map(payload).sum();
    if bytes <= SMALL_BYTES { 0 } else { (bytes >> 10).min(LARGE_KIB_MAX) as u32 }
}

/// The driver cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] stepwire_store::Error),
    /// What it holds cannot be understood.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

/// A running driver.
pub struct Driver {
    inputs: Inputs,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Driver {
    /// Recovers the shard that `store` holds and starts its two threads and its clock.
    ///
    /// Must be called within a tokio runtime, which runs the clock.
    pub fn start(
        store: Arc<dyn Store>,
        shard: Shard,
        settings: Settings,
        clock: Clock,
        rim: impl Rim,
    ) -> Result<Driver, Error> {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let (due, due_changes) = watch::channel(None);
        let base = ShardRead::new(store.as_ref(), shard);
        let pipeline = shard::catch(|| Pipeline::recover(settings, clock.now(), &base))??;
        let (batches, to_commit) = std::sync::mpsc::sync_channel(1);
        let (done, committed) = std::sync::mpsc::channel();
        let room = Arc::new(Semaphore::new(LARGE_KIB_MAX));
        let inputs = Inputs { queue: sender.clone(), room };
        let world = World { rim: Arc::new(Mutex::new(rim)), inputs: inputs.clone() };
        let committer = Committer { store: Arc::clone(&store), shard, world: world.clone(), done };
        let clock_of_decider = clock.clone();
        let decider = Decider {
            pipeline,
            store,
            shard,
            clock: clock_of_decider,
            batches,
            committed,
            world,
            due,
            base,
            taken: Vec::new(),
            committing: Vec::new(),
        };
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            thread::Builder::new()
                .name(name.to_owned())
                .spawn(run)
                .expect("a thread can be started")
        };
        let threads = vec![
            spawn("commit", Box::new(move || committer.run(&to_commit))),
            spawn("decide", Box::new(move || decider.run_to_end(receiver))),
        ];
        tokio::spawn(tick(due_changes, clock, sender));
        Ok(Driver { inputs, threads })
    }

    /// Where to send inputs.
    pub fn inputs(&self) -> Inputs {
        self.inputs.clone()
    }

    /// Stops after everything queued so far is decided and durable.
    pub fn stop(self) {
        let _ = self.inputs.queue.blocking_send(Message::Stop);
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

/// The rim as both threads touch it, one at a time: who holds it acts for a whole batch, so that
/// effects are carried out in the order of the batches.
struct World<R> {
    rim: Arc<Mutex<R>>,
    inputs: Inputs,
}

impl<R: Rim> World<R> {
    fn clone(&self) -> World<R> {
        World { rim: Arc::clone(&self.rim), inputs: self.inputs.clone() }
    }

    fn rim(&self) -> MutexGuard<'_, R> {
        self.rim.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn carry_out(&self, effects: Vec<Effect>, rim: &mut R) {
        for effect in effects {
            rim.carry_out(effect, &self.inputs);
        }
        rim.end_of_batch();
    }
}

/// The deciding thread: owns the kernel.
struct Decider<R> {
    pipeline: Pipeline,
    store: Arc<dyn Store>,
    shard: Shard,
    clock: Clock,
    batches: std::sync::mpsc::SyncSender<Result<Batch, stepwire_store::Error>>,
    committed: std::sync::mpsc::Receiver<Vec<Write>>,
    world: World<R>,
    due: watch::Sender<Option<Timestamp>>,
    /// What was durable when the last commit ended.
    base: ShardRead,
    /// Of large messages in the batch that is being decided.
    taken: Vec<OwnedSemaphorePermit>,
    /// Of those in the batch that is being committed.
    committing: Vec<OwnedSemaphorePermit>,
}

impl<R: Rim> Decider<R> {
    /// Runs until it is asked to stop, or the store cannot be read.
    fn run_to_end(self, queue: mpsc::Receiver<Message>) {
        let batches = self.batches.clone();
        if let Err(error) = shard::catch(|| self.run(queue)) {
            // The committer is gone after a failed commit, which has been told already.
            let _ = batches.send(Err(error));
        }
    }

    fn run(mut self, mut queue: mpsc::Receiver<Message>) {
        self.tell_due();
        let mut stopping = false;
        loop {
            if self.pipeline.is_committing()
                && let Ok(writes) = self.committed.try_recv()
            {
                self.commit_ended(writes);
            }
            if let Some(batch) = self.pipeline.hand_over() {
                self.pass_on(batch);
            }
            if stopping && !self.pipeline.is_committing() {
                return;
            }
            if !self.has_room() || stopping {
                // A full batch waits for the commit in flight rather than grow without bound.
                match self.committed.recv() {
                    Ok(writes) => self.commit_ended(writes),
                    Err(_) => return,
                }
                continue;
            }
            let Some(message) = queue.blocking_recv() else { return };
            stopping |= self.take(message);
            while self.has_room()
                && let Ok(message) = queue.try_recv()
            {
                stopping |= self.take(message);
            }
        }
    }

    /// Has a batch committed, unless it holds nothing to commit: no commit is in flight, so what it
    /// rests on is durable.
    fn pass_on(&mut self, batch: Batch) {
        if batch.changes.is_empty() {
            self.world.carry_out(batch.effects, &mut self.world.rim());
            self.pipeline.commit_ended();
            self.taken.clear();
        } else {
            std::mem::swap(&mut self.taken, &mut self.committing);
            // The committer takes it at once; it is gone only after a failed commit.
            let _ = self.batches.send(Ok(batch));
        }
    }

    fn has_room(&self) -> bool {
        let batch = self.pipeline.current();
        batch.inputs() < BATCH_INPUTS_MAX
            && batch.bytes() < BATCH_BYTES_MAX
            && batch.effects.len() < BATCH_EFFECTS_MAX
    }

    /// What the commit held was allocated by this thread, and freeing it is cheapest here.
    fn commit_ended(&mut self, writes: Vec<Write>) {
        drop(writes);
        self.pipeline.commit_ended();
        self.committing.clear();
        self.base = ShardRead::new(self.store.as_ref(), self.shard);
    }

    /// Whether the message asks to stop.
    fn take(&mut self, message: Message) -> bool {
        match message {
            Message::Input(input) => {
                self.pipeline.take(self.clock.now(), input, &self.base);
                self.tell_due();
                false
            }
            Message::Device(inputs, room) => {
                self.taken.extend(room);
                let now = self.clock.now();
                for input in inputs {
                    self.pipeline.take(now, Input::Device(input), &self.base);
                }
                self.tell_due();
                false
            }
            Message::Wake => false,
            Message::Stop => true,
        }
    }

    fn tell_due(&self) {
        let due = self.pipeline.due();
        self.due.send_if_modified(|last| std::mem::replace(last, due) != due);
    }
}

/// The committing thread: makes batches durable, then carries out their effects.
struct Committer<R> {
    store: Arc<dyn Store>,
    shard: Shard,
    world: World<R>,
    /// Gives back what a durable batch held.
    done: std::sync::mpsc::Sender<Vec<Write>>,
}

impl<R: Rim> Committer<R> {
    fn run(self, batches: &std::sync::mpsc::Receiver<Result<Batch, stepwire_store::Error>>) {
        while let Ok(decided) = batches.recv() {
            let began = Instant::now();
            let (batch, position) = match decided.and_then(|batch| self.commit(batch)) {
                Ok(committed) => committed,
                Err(error) => return self.world.rim().failed(error),
            };
            let took = began.elapsed();
            drop(batch.changes);
            // Taken before the decider may go on: no later effect overtakes these.
            let mut rim = self.world.rim();
            rim.committed(took);
            rim.observe(position, &batch.writes);
            if self.done.send(batch.writes).is_err() {
                return;
            }
            // A full queue needs no waking.
            let _ = self.world.inputs.queue.try_send(Message::Wake);
            self.world.carry_out(batch.effects, &mut rim);
        }
    }

    fn commit(&self, batch: Batch) -> Result<(Batch, Seq), stepwire_store::Error> {
        let entries = batch.changes.entries();
        let entries = entries.map(|(key, value)| (self.shard.key(key), value.clone()));
        let changes = stepwire_store::Batch { entries: entries.collect() };
        let position = self.store.commit(changes, Fence(0))?;
        Ok((batch, position))
    }
}

/// Sends [`Input::Tick`] whenever the kernel's next deadline is reached.
async fn tick(
    mut due: watch::Receiver<Option<Timestamp>>,
    clock: Clock,
    inputs: mpsc::Sender<Message>,
) {
    loop {
        let next = *due.borrow_and_update();
        let Some(next) = next else {
            if due.changed().await.is_err() {
                return;
            }
            continue;
        };
        let wait = next.since_ms(clock.now());
        if wait > 0 {
            // Long waits are cut so that a changed clock is noticed.
            let pause = std::time::Duration::from_millis(wait.clamp(1, 60_000) as u64);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                changed = due.changed() => if changed.is_err() { return },
            }
            continue;
        }
        if inputs.send(Message::Input(Input::Tick)).await.is_err() {
            return;
        }
        // The tick moves the deadline once it is decided; until then do not send another.
        let decided = tokio::time::timeout(std::time::Duration::from_millis(100), due.changed());
        if matches!(decided.await, Ok(Err(_))) {
            return;
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;
