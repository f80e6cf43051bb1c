//! How much happens: what the counters came to each second of the last hour.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::node::Node;

/// Seconds that are kept, besides the one that goes on.
const SECONDS: usize = 3_600;

/// What has happened since the start of the node, or in some time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Messages that devices have published.
    pub(crate) received: u64,
    /// Messages sent to devices.
    pub(crate) sent: u64,
    /// Executions that have begun.
    pub(crate) started: u64,
    /// Executions that have ended.
    pub(crate) ended: u64,
    /// Commits.
    pub(crate) commits: u64,
}

/// The last hour, second by second.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<Hour>);

#[derive(Debug, Default)]
struct Hour {
    last: Totals,
    /// What happened in each second, oldest first.
    seconds: VecDeque<Totals>,
}

impl Rates {
    /// Takes in what everything has come to once more, a second after the last time.
    fn take(&self, now: Totals) {
        let mut hour = self.hour();
        let of_second = now.since(hour.last);
        hour.last = now;
        hour.seconds.push_back(of_second);
        if hour.seconds.len() > SECONDS {
            hour.seconds.pop_front();
        }
    }

    /// Of the last `seconds`, what happened in one on average; fewer just after the start.
    pub(crate) fn per_second(&self, seconds: usize, of: fn(&Totals) -> u64) -> f64 {
        let hour = self.hour();
        let seconds = seconds.min(hour.seconds.len());
        let sum: u64 = hour.seconds.iter().rev().take(seconds).map(of).sum();
        sum as f64 / seconds.max(1) as f64
    }

    /// What happened in each of the last `steps` steps of `seconds`, oldest first.
    pub(crate) fn steps(&self, steps: usize, seconds: usize, of: fn(&Totals) -> u64) -> Vec<u64> {
        let hour = self.hour();
        let newest: Vec<u64> = hour.seconds.iter().rev().take(steps * seconds).map(of).collect();
        let mut sums: Vec<u64> = newest.chunks(seconds).map(|chunk| chunk.iter().sum()).collect();
        sums.resize(steps, 0);
        sums.reverse();
        sums
    }

    fn hour(&self) -> MutexGuard<'_, Hour> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Totals {
    fn since(self, earlier: Totals) -> Totals {
        Totals {
            received: self.received.saturating_sub(earlier.received),
            sent: self.sent.saturating_sub(earlier.sent),
            started: self.started.saturating_sub(earlier.started),
            ended: self.ended.saturating_sub(earlier.ended),
            commits: self.commits.saturating_sub(earlier.commits),
        }
    }
}

/// Reads the counters once a second until the node stops.
pub(crate) async fn watch(node: Node) {
    let stopping = node.stopping();
    tokio::pin!(stopping);
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    second.tick().await;
    loop {
        tokio::select! {
            () = &mut stopping => return,
            _ = second.tick() => node.rates().take(node.totals()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(received: u64) -> Totals {
        Totals { received, ..Totals::default() }
    }

    #[test]
    fn rates_are_what_came_in_between() {
        let rates = Rates::default();
        [10, 10, 40].into_iter().for_each(|total| rates.take(received(total)));
        let of = |totals: &Totals| totals.received;
        assert_eq!(rates.per_second(2, of), 15.0);
        assert_eq!(rates.per_second(60, of), 40.0 / 3.0);
        assert_eq!(rates.steps(3, 2, of), [0, 10, 30]);
    }

    #[test]
    fn an_hour_is_kept() {
        let rates = Rates::default();
        (1..=4_000).for_each(|total| rates.take(received(total)));
        assert_eq!(rates.hour().seconds.len(), SECONDS);
        assert_eq!(rates.steps(60, 60, |totals| totals.received), vec![60; 60]);
    }
}
