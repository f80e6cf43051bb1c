//! Runs worlds and says what did not hold in them.
//!
//! `./x sim 0..2000` runs a range of seeds, `./x sim 17 --trace` tells everything that happens in
//! one world. `--crash before:12` runs a small world with one crash, before its commit 12 (`after`
//! and `between` its effects are the other moments). The exit code is 1 if a promise was broken, or
//! if a long run never reached a situation that it must reach.

use std::io::Write;
use std::ops::Range;
use std::process::ExitCode;
use std::time::Instant;

use stepwire_sim::marks::{self, Moment};
use stepwire_sim::sweep::{self, Totals};
use stepwire_sim::{Crashes, Outcome, Plan, Watch};

const USAGE: &str = "usage: stepwire-sim SEED|FIRST..END [--crash MOMENT:COMMIT] [--trace]";
/// Runs at least this long must reach every mark.
const LONG: u64 = 1_000;

fn main() -> ExitCode {
    let mut out = std::io::stdout();
    let Some((seeds, plan)) = arguments() else {
        let _ = writeln!(out, "{USAGE}");
        return ExitCode::from(2);
    };
    let begun = Instant::now();
    let asked = seeds.end - seeds.start;
    let totals = sweep::seeds(seeds, &plan, report);
    let good = summary(&totals, asked, begun.elapsed().as_secs_f64());
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The seeds and the plan that the command line asks for.
fn arguments() -> Option<(Range<u64>, Plan)> {
    let mut seeds = None;
    let mut plan = Plan::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--crash" {
            plan = Plan { crashes: crash(&arguments.next()?)?, watch: plan.watch, ..Plan::small() };
        } else if argument == "--trace" {
            plan.watch = Watch::Trace;
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

/// The crash that `text`, such as `before:12`, names.
fn crash(text: &str) -> Option<Crashes> {
    let (word, commit) = text.split_once(':')?;
    let moment = Moment::ALL.into_iter().find(|moment| moment.word() == word)?;
    Some(Crashes::At(commit.parse().ok()?, moment))
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
        "{} seeds, {} commits, {} crashes, {} executions, {:.1} simulated hours in {seconds:.1} s; {} of {} marks; \
         {} seeds with problems",
        totals.worlds,
        totals.commits,
        totals.crashes,
        totals.executions,
        totals.simulated_ms as f64 / 3_600_000.0,
        totals.marks.counts().count(),
        marks::ALL.len(),
        totals.broken,
    );
    totals.broken == 0 && !unreached
}
