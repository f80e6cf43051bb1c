//! Many worlds: over a range of seeds, or one seed with a crash around each of its commits.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::marks::{Marks, Moment};
use crate::world::{Crashes, Outcome, Plan, Watch, World};

/// Every so many seeds, a world is run twice and must be the same both times.
const TWICE_EVERY: u64 = 16;
const THREADS: usize = 2;

/// What many worlds came to.
#[derive(Debug, Default)]
pub struct Totals {
    /// Worlds.
    pub worlds: u64,
    /// Worlds in which something did not hold.
    pub broken: u64,
    /// Crashes.
    pub crashes: u64,
    /// Commits.
    pub commits: u64,
    /// Executions that became durable.
    pub executions: usize,
    /// Simulated milliseconds.
    pub simulated_ms: i64,
    /// Situations reached.
    pub marks: Marks,
}

impl Totals {
    /// Counts one more world.
    pub fn add(&mut self, outcome: &Outcome) {
        self.worlds += 1;
        self.broken += u64::from(!outcome.problems.is_empty());
        self.crashes += outcome.crashes;
        self.commits += outcome.commits;
        self.executions += outcome.executions;
        self.simulated_ms += outcome.lasted_ms;
        self.marks.add(&outcome.marks);
    }
}

/// Runs the worlds of `seeds` and shows each outcome to `report`, as they end.
pub fn seeds(seeds: Range<u64>, plan: &Plan, report: impl FnMut(u64, &Outcome) + Send) -> Totals {
    let next = AtomicU64::new(seeds.start);
    let shared = Mutex::new((Totals::default(), report));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let outcome = world(seed, plan.clone());
                    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
                    let (totals, report) = &mut *shared;
                    report(seed, &outcome);
                    totals.add(&outcome);
                }
            });
        }
    });
    shared.into_inner().unwrap_or_else(PoisonError::into_inner).0
}

fn world(seed: u64, mut plan: Plan) -> Outcome {
    let twice = seed.is_multiple_of(TWICE_EVERY);
    if twice && plan.watch == Watch::Nothing {
        plan.watch = Watch::Fingerprint;
    }
    let mut outcome = World::new(seed, plan.clone()).run();
    if twice && World::new(seed, plan).run().fingerprint != outcome.fingerprint {
        outcome.problems.push("the same seed made two different worlds".to_owned());
    }
    outcome
}

/// Runs the world of `seed` once for each moment of each of its commits, with one crash then and
/// none elsewhere.
pub fn every_crash(seed: u64, plan: &Plan, mut report: impl FnMut(Crashes, &Outcome)) -> Totals {
    let mut totals = Totals::default();
    let world = |crashes| World::new(seed, Plan { crashes, ..plan.clone() }).run();
    let calm = world(Crashes::Never);
    report(Crashes::Never, &calm);
    for commit in 0..calm.commits {
        for moment in Moment::ALL {
            let crashes = Crashes::At(commit, moment);
            let outcome = world(crashes);
            report(crashes, &outcome);
            totals.add(&outcome);
        }
    }
    totals
}
