//! How long commits take.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Commits that percentiles are told of.
const LATEST: usize = 1_000;

/// How long the latest commits took, and how many there were.
#[derive(Debug, Default)]
pub(crate) struct Commits(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    count: u64,
    /// Oldest first.
    latest: VecDeque<Duration>,
}

/// How long commits took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// Commits since the start of the node.
    pub(crate) count: u64,
    /// The latest of them, of which the rest is told.
    pub(crate) of: usize,
    /// Half of them took no longer.
    pub(crate) p50: Duration,
    /// All but a hundredth took no longer.
    pub(crate) p99: Duration,
    /// None took longer.
    pub(crate) most: Duration,
}

impl Commits {
    /// One more.
    pub(crate) fn add(&self, took: Duration) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.count += 1;
        state.latest.push_back(took);
        if state.latest.len() > LATEST {
            state.latest.pop_front();
        }
    }

    /// How many there were since the start of the node.
    pub(crate) fn count(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).count
    }

    /// How long they took.
    pub(crate) fn report(&self) -> Report {
        let (count, mut latest) = {
            let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            (state.count, state.latest.iter().copied().collect::<Vec<_>>())
        };
        latest.sort_unstable();
        let of_hundred = |part: usize| {
            let rank = (latest.len() * part).div_ceil(100);
            latest.get(rank.saturating_sub(1)).copied().unwrap_or_default()
        };
        let (p50, p99, most) = (of_hundred(50), of_hundred(99), of_hundred(100));
        Report { count, of: latest.len(), p50, p99, most }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_latest() {
        let commits = Commits::default();
        assert_eq!(commits.report(), Report::default());
        (0..500).for_each(|_| commits.add(Duration::from_secs(9)));
        (1..=1_000).for_each(|ms| commits.add(Duration::from_millis(ms)));
        let report = commits.report();
        assert_eq!((report.count, report.of), (1_500, 1_000));
        let ms = [report.p50, report.p99, report.most].map(|took| took.as_millis());
        assert_eq!(ms, [500, 990, 1_000]);
    }
}
