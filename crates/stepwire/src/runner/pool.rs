//! Who gets which process, and when another is started.
//!
//! An invocation takes an idle process, or waits for one that is busy or starting. Another is started
//! only while that is worth it: when none is there, or when waiting takes as long as a start would.
//! So sixty invocations at once do not start sixty processes. Of one function there are at most as
//! many as its reserved concurrency, else [`Pools::new`]'s bound; of all together [`PROCESSES_MAX`],
//! and a function that has none goes before one that wants more.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use stepwire_asl::Json;
use stepwire_core::ApiError;
use stepwire_core::functions::FunctionRecord;
use tokio::sync::{Semaphore, oneshot};

use super::process::{Process, Unusable};
use super::{Inner, Run, cores};

/// Processes of all functions together: starting, idle or busy.
const PROCESSES_MAX: usize = 64;
/// Invocations of one function that wait for a process; more are refused.
const WAITING_MAX: usize = 1_000;
/// Processes kept that have nothing to do, of all functions.
const IDLE_MAX: usize = 32;
/// A process that has had nothing to do for so long is ended, if it is not its function's last.
const IDLE_LIFE: Duration = Duration::from_mins(5);
/// The same of a function's last process.
const LAST_IDLE_LIFE: Duration = Duration::from_hours(1);
/// How long it takes until a process that is to be kept ready and could not start is tried again.
const KEPT_PAUSE: Duration = Duration::from_secs(30);
/// How long a start is thought to take before one has been seen.
const START_GUESS: Duration = Duration::from_millis(250);

/// A version of a function: another function of the same name has another number.
type Key = (u64, u64);

fn key(record: &FunctionRecord) -> Key {
    (record.number, record.version)
}

/// The processes of all functions.
pub(super) struct Pools {
    state: Mutex<State>,
    processes_max: usize,
    /// Processes that start at a time.
    starts: Semaphore,
    /// One function after the other is made ready without anybody waiting.
    prewarms: Semaphore,
}

#[derive(Default)]
struct State {
    pools: HashMap<Key, Pool>,
    /// Invocations by number of function, also those that wait.
    running: HashMap<u64, usize>,
    /// Processes of all pools.
    total: usize,
    /// Functions that had no room to start a process.
    starved: VecDeque<Key>,
    /// Functions that are gone.
    gone: HashSet<u64>,
    stopped: bool,
}

struct Pool {
    /// The newest revision that was asked for.
    record: Arc<FunctionRecord>,
    /// Grows when its code changed where it is.
    generation: u64,
    /// Longest idle first.
    idle: Vec<(Process, Instant)>,
    waiting: VecDeque<Waiting>,
    starting: usize,
    busy: usize,
    /// How long its processes took to start, lately.
    start: Duration,
    /// How long its invocations took, lately.
    took: Option<Duration>,
    max: usize,
    /// When a process last could not start.
    failed: Option<Instant>,
    /// Processes that are kept ready, whether there is something to do or not.
    kept: usize,
}

struct Waiting {
    since: Instant,
    given: oneshot::Sender<Result<Process, Unusable>>,
}

impl Pool {
    fn present(&self) -> usize {
        self.starting + self.busy + self.idle.len()
    }

    /// How long an invocation waits before another process is worth starting.
    fn patience(&self) -> Duration {
        self.start.clamp(Duration::from_millis(50), Duration::from_secs(2))
    }

    /// Whether the queue warrants another process.
    fn wants_more(&self) -> bool {
        let Some(first) = self.waiting.front() else { return false };
        let present = self.present();
        if present >= self.max || self.starting >= self.waiting.len() {
            return false;
        }
        if present == 0 {
            return true;
        }
        // At most twice as many at a time: those that are starting may be enough.
        if self.starting >= self.busy.max(1) {
            return false;
        }
        let expected = self.took.map(|took| {
            let turns = self.waiting.len() as f64 / self.busy.max(1) as f64;
            took.mul_f64(turns)
        });
        let patience = self.patience();
        first.since.elapsed() >= patience || expected.is_some_and(|wait| wait > patience)
    }

    fn runs(&self, process: &Process) -> bool {
        process.revision == self.record.revision && process.generation == self.generation
    }

    fn learn(known: &mut Duration, seen: Duration) {
        *known = known.mul_f64(0.7) + seen.mul_f64(0.3);
    }
}

/// An invocation that is counted; dropping it ends that.
pub(super) struct Counted<'a> {
    pools: &'a Pools,
    number: u64,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let mut state = self.pools.state();
        if let Some(running) = state.running.get_mut(&self.number) {
            *running -= 1;
            if *running == 0 {
                state.running.remove(&self.number);
            }
        }
    }
}

/// A process that an invocation has to itself; given back by [`Lease::end`], ended when dropped.
pub(super) struct Lease {
    inner: Arc<Inner>,
    key: Key,
    process: Option<Process>,
}

impl Lease {
    #[expect(clippy::expect_used, reason = "it is taken only by `end`, which takes the lease")]
    pub(super) fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("a lease has its process")
    }

    /// The invocation has ended; whether the process can take another.
    pub(super) fn end(mut self, alive: bool, took: Duration) {
        let process = self.process.take().filter(|_| alive);
        Inner::release(&self.inner, self.key, process, Some(took));
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.process.take().is_some() {
            Inner::release(&self.inner, self.key, None, None);
        }
    }
}

impl Pools {
    pub(super) fn new(processes_max: usize) -> Pools {
        Pools {
            state: Mutex::default(),
            processes_max: processes_max.clamp(1, PROCESSES_MAX),
            starts: Semaphore::new(cores()),
            prewarms: Semaphore::new(1),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an invocation, unless there are too many.
    pub(super) fn admit(
        &self,
        record: &FunctionRecord,
        reserved: Option<u32>,
    ) -> Result<Counted<'_>, ApiError> {
        let mut state = self.state();
        let running = state.running.entry(record.number).or_default();
        if let Some(reserved) = reserved
            && *running >= reserved as usize
        {
            return Err(throttled("ReservedFunctionConcurrentInvocationLimitExceeded"));
        }
        if *running >= WAITING_MAX {
            return Err(throttled("ConcurrentInvocationLimitExceeded"));
        }
        *running += 1;
        Ok(Counted { pools: self, number: record.number })
    }

    /// Ends every process that is not busy, and soon those that are.
    pub(super) fn stop(&self) {
        let mut state = self.state();
        state.stopped = true;
        let pools = std::mem::take(&mut state.pools);
        drop(state);
        drop(pools);
    }

    /// Ends the processes of a function that is gone.
    pub(super) fn forget(&self, function: &str) {
        let mut state = self.state();
        let of: Vec<Key> = state
            .pools
            .iter()
            .filter(|(_, pool)| *pool.record.name == *function)
            .map(|(key, _)| *key)
            .collect();
        for key in of {
            state.remove(key);
        }
    }

    /// Ends processes that have been idle for long, or whose code has changed where it is.
    pub(super) fn tidy(&self) {
        let mut state = self.state();
        let mut ended = Vec::new();
        for pool in state.pools.values_mut() {
            let mut left = pool.present();
            let mut kept = Vec::new();
            for (mut process, since) in pool.idle.drain(..) {
                let life = if left > 1 { IDLE_LIFE } else { LAST_IDLE_LIFE };
                let stays = left <= pool.kept || since.elapsed() < life;
                if stays && process.is_alive() {
                    kept.push((process, since));
                } else {
                    left -= 1;
                    ended.push(process);
                }
            }
            pool.idle = kept;
        }
        state.total -= ended.len();
        state
            .pools
            .retain(|_, pool| pool.present() > 0 || !pool.waiting.is_empty() || pool.kept > 0);
        drop(state);
        drop(ended);
    }

    /// The code of this function has changed where it is: its processes end after what they do.
    pub(super) fn outdated(&self, function: &str) {
        let mut state = self.state();
        let mut ended = Vec::new();
        for pool in state.pools.values_mut().filter(|pool| *pool.record.name == *function) {
            pool.generation += 1;
            ended.append(&mut pool.idle);
        }
        state.total -= ended.len();
        drop(state);
    }

    /// Functions whose code runs where it is.
    pub(super) fn in_folders(&self) -> Vec<Arc<FunctionRecord>> {
        let state = self.state();
        let records = state.pools.values().map(|pool| &pool.record);
        records.filter(|record| record.code.folder.is_some()).map(Arc::clone).collect()
    }
}

impl State {
    /// The pool of this function, which from now on runs this revision if it is newer.
    fn pool(&mut self, record: &Arc<FunctionRecord>, max: usize) -> &mut Pool {
        let key = key(record);
        let pool = self.pools.entry(key).or_insert_with(|| Pool {
            record: Arc::clone(record),
            generation: 0,
            idle: Vec::new(),
            waiting: VecDeque::new(),
            starting: 0,
            busy: 0,
            start: START_GUESS,
            took: None,
            max,
            failed: None,
            kept: 0,
        });
        pool.max = max.max(pool.kept);
        if pool.record.revision < record.revision {
            pool.record = Arc::clone(record);
            self.total -= pool.idle.len();
            pool.idle.clear();
            pool.took = None;
        }
        pool
    }

    /// Forgets a pool. What it has busy or starting finds it gone.
    fn remove(&mut self, key: Key) {
        if let Some(pool) = self.pools.remove(&key) {
            self.total -= pool.present();
            self.gone.insert(key.0);
        }
    }

    /// Makes room for one process more by ending the one that has been idle longest.
    fn make_room(&mut self) -> bool {
        if self.total < PROCESSES_MAX {
            return true;
        }
        let spare = self.pools.iter().filter(|(_, pool)| pool.present() > pool.kept);
        let oldest = spare.filter_map(|(key, pool)| Some((pool.idle.first()?.1, *key)));
        let Some((_, key)) = oldest.min() else { return false };
        let Some(pool) = self.pools.get_mut(&key) else { return false };
        pool.idle.remove(0);
        self.total -= 1;
        true
    }
}

impl Inner {
    fn max(&self, reserved: Option<u32>) -> usize {
        reserved.map_or(self.pools.processes_max, |n| (n as usize).clamp(1, PROCESSES_MAX))
    }

    /// A process for this invocation; waits until there is one. `Err`: the function cannot start.
    pub(super) async fn acquire(
        this: &Arc<Inner>,
        run: &Run,
    ) -> Result<Result<Lease, Unusable>, ApiError> {
        let key = key(&run.record);
        let lease = |process| Lease { inner: Arc::clone(this), key, process: Some(process) };
        let mut given = {
            let mut state = this.pools.state();
            if state.stopped || state.gone.contains(&run.record.number) {
                let message = "the function was deleted, or the node is stopping";
                return Err(ApiError::new("ServiceException", message));
            }
            let pool = state.pool(&run.record, this.max(run.reserved));
            let mut dead = 0;
            let mut found = None;
            // The one used last: the others may then grow old.
            while let Some((mut process, _)) = pool.idle.pop() {
                if process.is_alive() {
                    pool.busy += 1;
                    found = Some(process);
                    break;
                }
                dead += 1;
            }
            state.total -= dead;
            if let Some(process) = found {
                return Ok(Ok(lease(process)));
            }
            let (sender, given) = oneshot::channel();
            if let Some(pool) = state.pools.get_mut(&key) {
                pool.waiting.push_back(Waiting { since: Instant::now(), given: sender });
            }
            Inner::consider(this, &mut state, key);
            given
        };
        loop {
            let patience = {
                let state = this.pools.state();
                state.pools.get(&key).map_or(START_GUESS, Pool::patience)
            };
            match tokio::time::timeout(patience, &mut given).await {
                Ok(Ok(process)) => return Ok(process.map(lease)),
                Ok(Err(_)) => {
                    let message = "the function was changed or deleted, or the node is stopping";
                    return Err(ApiError::new("ServiceException", message));
                }
                Err(_) => Inner::consider(this, &mut this.pools.state(), key),
            }
        }
    }

    /// Starts another process for this function, if its queue warrants that and there is room.
    fn consider(this: &Arc<Inner>, state: &mut State, key: Key) {
        if state.stopped || !state.pools.get(&key).is_some_and(Pool::wants_more) {
            return;
        }
        if !state.make_room() {
            if !state.starved.contains(&key) {
                state.starved.push_back(key);
            }
            return;
        }
        let Some(pool) = state.pools.get_mut(&key) else { return };
        pool.starting += 1;
        state.total += 1;
        let inner = Arc::clone(this);
        tokio::spawn(async move { inner.start(key).await });
    }

    /// Starts a process and gives it to whoever has waited longest.
    async fn start(self: Arc<Inner>, key: Key) {
        let turn = self.pools.starts.acquire().await;
        let record = {
            let mut state = self.pools.state();
            let Some(pool) = state.pools.get_mut(&key) else { return };
            if pool.waiting.iter().all(|waiting| waiting.given.is_closed()) {
                pool.starting -= 1;
                state.total -= 1;
                return;
            }
            Arc::clone(&pool.record)
        };
        let (started, took) = self.timed(&record, key).await;
        drop(turn);
        Inner::started(&self, key, started, took);
    }

    async fn timed(
        &self,
        record: &FunctionRecord,
        key: Key,
    ) -> (Result<Process, Unusable>, Duration) {
        let generation = self.pools.state().pools.get(&key).map_or(0, |pool| pool.generation);
        let began = Instant::now();
        let mut started = self.launch(record).await;
        if let Ok(process) = &mut started {
            process.generation = generation;
        }
        (started, began.elapsed())
    }

    fn started(this: &Arc<Inner>, key: Key, started: Result<Process, Unusable>, took: Duration) {
        let mut state = this.pools.state();
        let Some(pool) = state.pools.get_mut(&key) else { return };
        pool.starting -= 1;
        Pool::learn(&mut pool.start, took);
        match started {
            Ok(process) => {
                // From here on it is like one that comes back.
                pool.busy += 1;
                drop(state);
                Inner::release(this, key, Some(process), None);
            }
            Err(unusable) => {
                pool.failed = Some(Instant::now());
                let waiting = std::mem::take(&mut pool.waiting);
                state.total -= 1;
                for waiting in waiting {
                    let _ = waiting.given.send(Err(unusable.clone()));
                }
                Inner::feed(this, &mut state);
            }
        }
    }

    /// A process comes back, or `None` where it has ended.
    fn release(this: &Arc<Inner>, key: Key, process: Option<Process>, took: Option<Duration>) {
        let mut state = this.pools.state();
        let stopped = state.stopped;
        let is_full = state.total >= PROCESSES_MAX;
        let others_starve = state.starved.iter().any(|starved| *starved != key);
        let Some(pool) = state.pools.get_mut(&key) else { return };
        pool.busy -= 1;
        if let Some(took) = took {
            match &mut pool.took {
                Some(known) => Pool::learn(known, took),
                None => pool.took = Some(took),
            }
        }
        let yields = is_full && others_starve && pool.present() >= 1;
        let mut process = process.filter(|process| !stopped && !yields && pool.runs(process));
        while let Some(ready) = process.take() {
            let Some(waiting) = pool.waiting.pop_front() else {
                pool.idle.push((ready, Instant::now()));
                let spare = |pool: &Pool| pool.idle.len().saturating_sub(pool.kept);
                let idle: usize = state.pools.values().map(spare).sum();
                if idle > IDLE_MAX {
                    state.end_idlest();
                }
                return Inner::feed(this, &mut state);
            };
            match waiting.given.send(Ok(ready)) {
                Ok(()) => {
                    pool.busy += 1;
                    return Inner::consider(this, &mut state, key);
                }
                Err(Ok(back)) => process = Some(back),
                Err(Err(_)) => {}
            }
        }
        state.total -= 1;
        Inner::feed(this, &mut state);
        Inner::consider(this, &mut state, key);
    }

    /// Starts processes for functions that had no room for one.
    fn feed(this: &Arc<Inner>, state: &mut State) {
        while (state.total < PROCESSES_MAX || state.has_idle())
            && let Some(key) = state.starved.pop_front()
        {
            Inner::consider(this, state, key);
        }
    }

    /// Has so many processes of these versions of a function be ready from now on, and of no other
    /// versions of it.
    pub(super) fn provision(
        this: &Arc<Inner>,
        function: &str,
        wanted: Vec<(Arc<FunctionRecord>, usize)>,
    ) {
        let mut state = this.pools.state();
        for pool in state.pools.values_mut().filter(|pool| *pool.record.name == *function) {
            pool.kept = 0;
        }
        for (record, processes) in wanted {
            if state.stopped || state.gone.contains(&record.number) {
                continue;
            }
            let max = this.max(record.reserved).max(processes);
            let pool = state.pool(&record, max);
            pool.kept = processes;
            pool.max = max;
        }
        drop(state);
        Inner::keep_ready(this);
    }

    /// Starts what is missing of processes that are to be kept ready.
    pub(super) fn keep_ready(this: &Arc<Inner>) {
        let mut state = this.pools.state();
        if state.stopped {
            return;
        }
        let mut missing = Vec::new();
        for (key, pool) in &mut state.pools {
            let lacks = pool.kept.saturating_sub(pool.present());
            // What cannot start is not tried again at once.
            let rested = pool.failed.is_none_or(|failed| failed.elapsed() >= KEPT_PAUSE);
            missing.extend(std::iter::repeat_n(*key, if rested { lacks } else { 0 }));
        }
        for key in missing {
            if !state.make_room() {
                return;
            }
            let Some(pool) = state.pools.get_mut(&key) else { continue };
            pool.starting += 1;
            state.total += 1;
            let inner = Arc::clone(this);
            this.runtime.spawn(async move { inner.start_kept(key).await });
        }
    }

    /// Starts a process that is to be kept ready.
    async fn start_kept(self: Arc<Inner>, key: Key) {
        let turn = self.pools.starts.acquire().await;
        let record = self.pools.state().pools.get(&key).map(|pool| Arc::clone(&pool.record));
        let Some(record) = record else { return };
        let (started, took) = self.timed(&record, key).await;
        drop(turn);
        if let Err(unusable) = &started {
            let (name, why) = (&record.name, unusable.message());
            tracing::warn!("a process of `{name}` that is to be kept ready does not start: {why}");
        }
        let started = started.map(|mut process| {
            process.prewarmed();
            process
        });
        Inner::started(&self, key, started, took);
    }

    /// Has one process be ready for whoever comes first, unless there is one.
    pub(super) async fn prewarm(
        this: &Arc<Inner>,
        record: Arc<FunctionRecord>,
    ) -> Result<(), String> {
        let Ok(_one) = this.pools.prewarms.acquire().await else { return Ok(()) };
        let Ok(turn) = this.pools.starts.acquire().await else { return Ok(()) };
        let key = key(&record);
        {
            let mut state = this.pools.state();
            if state.stopped || state.gone.contains(&record.number) {
                return Ok(());
            }
            if state.total >= PROCESSES_MAX / 2 {
                return Err("enough processes are there already".to_owned());
            }
            let pool = state.pool(&record, this.max(record.reserved));
            if pool.present() > 0 || pool.record.revision > record.revision {
                return Ok(());
            }
            pool.starting += 1;
            state.total += 1;
        }
        let (started, took) = this.timed(&record, key).await;
        drop(turn);
        let why = started.as_ref().err().map(Unusable::message);
        let started = started.map(|mut process| {
            process.prewarmed();
            process
        });
        Inner::started(this, key, started, took);
        why.map_or(Ok(()), Err)
    }
}

impl State {
    fn has_idle(&self) -> bool {
        self.pools.values().any(|pool| !pool.idle.is_empty())
    }

    fn end_idlest(&mut self) {
        let spare = self.pools.iter().filter(|(_, pool)| pool.present() > pool.kept);
        let oldest = spare.filter_map(|(key, pool)| Some((pool.idle.first()?.1, *key)));
        if let Some((_, key)) = oldest.min()
            && let Some(pool) = self.pools.get_mut(&key)
        {
            pool.idle.remove(0);
            self.total -= 1;
        }
    }
}

/// What a caller is told who asks for more than may run at a time.
fn throttled(reason: &'static str) -> ApiError {
    let mut error = ApiError::new("TooManyRequestsException", "Rate Exceeded.");
    error.members.push(("Reason", Json::from(reason)));
    error
}
