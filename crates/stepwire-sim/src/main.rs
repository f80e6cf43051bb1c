//! Runs worlds and says what did not hold in them.
//!
//! `cargo sim 0..2000` runs a range of seeds, `cargo sim 17 --trace` tells everything that happens in
//! one world. The exit code is 1 if a promise was broken, or if a long run never reached a situation
//! that it must reach.

use std::io::Write;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use stepwire_sim::marks::{self, Marks};
use stepwire_sim::{Outcome, Plan, World};

const USAGE: &str = "usage: stepwire-sim SEED|FIRST..END [--trace]";
/// Every so many seeds, a world is run twice and must be the same both times.
const TWICE_EVERY: u64 = 16;
/// Runs at least this long must reach every mark.
const LONG: u64 = 500;
const THREADS: usize = 2;

#[derive(Debug, Default)]
struct Totals {
    seeds: u64,
    broken: u64,
    crashes: u64,
    executions: usize,
    simulated_ms: i64,
    marks: Marks,
}

fn main() -> ExitCode {
    let mut out = std::io::stdout();
    let Some((seeds, plan)) = arguments() else {
        let _ = writeln!(out, "{USAGE}");
        return ExitCode::from(2);
    };
    let begun = Instant::now();
    let next = AtomicU64::new(seeds.start);
    let totals = Mutex::new(Totals::default());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| work(&next, seeds.end, &plan, &totals));
        }
    });
    let totals = totals.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let good = summary(&totals, seeds.end - seeds.start, begun.elapsed().as_secs_f64());
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The seeds and the plan that the command line asks for.
fn arguments() -> Option<(Range<u64>, Plan)> {
    let mut seeds = None;
    let mut plan = Plan::default();
    for argument in std::env::args().skip(1) {
        if argument == "--trace" {
            plan.trace = true;
        } else if let Some((first, end)) = argument.split_once("..") {
            seeds = Some(first.parse().ok()?..end.parse().ok()?);
        } else {
            let seed = argument.parse().ok()?;
            seeds = Some(seed..seed + 1);
        }
    }
    let seeds = seeds.filter(|seeds| !seeds.is_empty())?;
    Some((seeds, plan))
}

fn work(next: &AtomicU64, end: u64, plan: &Plan, totals: &Mutex<Totals>) {
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return;
        }
        let mut outcome = World::new(seed, plan.clone()).run();
        if seed % TWICE_EVERY == 0 {
            let again = World::new(seed, plan.clone()).run();
            if again.fingerprint != outcome.fingerprint {
                outcome.problems.push("the same seed made two different worlds".to_owned());
            }
        }
        let mut totals = totals.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        report(seed, &outcome);
        totals.add(&outcome);
    }
}

fn report(seed: u64, outcome: &Outcome) {
    let mut out = std::io::stdout().lock();
    for line in &outcome.trace {
        let _ = writeln!(out, "{line}");
    }
    for problem in &outcome.problems {
        let _ = writeln!(out, "seed {seed}: {problem}");
    }
}

/// Prints what the run came to. Whether all is well.
fn summary(totals: &Totals, asked: u64, seconds: f64) -> bool {
    let mut out = std::io::stdout().lock();
    for (what, times) in totals.marks.counts() {
        let _ = writeln!(out, "{times:>9} {what}");
    }
    let missing = totals.marks.missing();
    let unreached = asked >= LONG && !missing.is_empty();
    for what in missing {
        let _ = writeln!(out, "    never {what}");
    }
    let _ = writeln!(
        out,
        "{} seeds, {} crashes, {} executions, {:.1} simulated hours in {seconds:.1} s; {} of {} marks; \
         {} seeds with problems",
        totals.seeds,
        totals.crashes,
        totals.executions,
        totals.simulated_ms as f64 / 3_600_000.0,
        totals.marks.counts().count(),
        marks::ALL.len(),
        totals.broken,
    );
    totals.broken == 0 && !unreached
}

impl Totals {
    fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.broken += u64::from(!outcome.problems.is_empty());
        self.crashes += outcome.crashes;
        self.executions += outcome.executions;
        self.simulated_ms += outcome.lasted_ms;
        self.marks.add(&outcome.marks);
    }
}
