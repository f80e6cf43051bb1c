//! Thousands of worlds: every promise holds in each, and together they reach every situation.
//!
//! `SEEDS=2000..4000 cargo test -p stepwire-sim` runs other seeds.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::ops::Range;

use stepwire_sim::{Crashes, Plan, sweep};

/// Seeds that are run on every test.
const SEEDS: Range<u64> = 0..2_000;
/// Fewer than this need not reach every situation.
const ENOUGH: u64 = 1_000;

fn chosen() -> Range<u64> {
    let Ok(text) = std::env::var("SEEDS") else { return SEEDS };
    let (first, end) = text.split_once("..").unwrap();
    first.parse().unwrap()..end.parse().unwrap()
}

#[test]
fn every_promise_holds_in_thousands_of_worlds() {
    let seeds = chosen();
    let enough = seeds.end - seeds.start >= ENOUGH;
    let mut problems = Vec::new();
    let totals = sweep::seeds(seeds, &Plan::default(), |seed, outcome| {
        let told = outcome.problems.iter();
        problems.extend(told.map(|p| format!("seed {seed}: {p} (`./x sim {seed} --trace`)")));
    });
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let missing = totals.marks.missing();
    assert!(missing.is_empty() || !enough, "never reached: {missing:#?}");
}

#[test]
fn a_crash_around_each_single_commit_breaks_no_promise() {
    for seed in 0..3 {
        let mut problems = Vec::new();
        let totals = sweep::every_crash(seed, &Plan::small(), |crashes, outcome| {
            let told = outcome.problems.iter();
            problems.extend(told.map(|problem| match crashes {
                Crashes::At(commit, moment) => {
                    let word = moment.word();
                    format!("{problem} (`./x sim {seed} --crash {word}:{commit} --trace`)")
                }
                Crashes::Never | Crashes::OneIn(_) => problem.clone(),
            }));
        });
        assert!(problems.is_empty(), "seed {seed}: {}", problems.join("\n"));
        assert_eq!(totals.crashes, totals.worlds, "each world crashes once");
        assert!(totals.worlds > 200, "{} worlds", totals.worlds);
    }
}
