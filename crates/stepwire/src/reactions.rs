//! How soon after their start executions have asked a device: from what becomes durable.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use stepwire_asl::Timestamp;
use stepwire_asl::history::Detail;
use stepwire_core::Write;
use stepwire_core::executions::{self, ExecutionId};

/// Executions that have begun and are remembered until they ask a device.
const BEGUN_MAX: usize = 10_000;
/// The latest of which percentiles are told.
const LATEST: usize = 1_000;

/// How soon the latest executions have asked a device.
#[derive(Debug, Default)]
pub(crate) struct Reactions(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    begun: HashMap<ExecutionId, Timestamp>,
    /// Those in `begun`, and some that no longer are, oldest first.
    order: VecDeque<ExecutionId>,
    /// Milliseconds, oldest first.
    latest: VecDeque<i64>,
}

impl Reactions {
    /// Takes in what has become durable at `at`.
    pub(crate) fn writes(&self, writes: &[Write], at: Timestamp) {
        let mut state = None;
        for write in writes {
            let Write::Executions(executions::Write::History(id, events)) = write else { continue };
            let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let state = state.get_or_insert_with(lock);
            for event in events.iter() {
                match &event.detail {
                    Detail::ExecutionStarted { .. } => state.begin(*id, event.at),
                    Detail::Scheduled { resource_type, resource, .. }
                        if asks_device(resource_type, resource) =>
                    {
                        state.asked(*id, at);
                    }
                    detail if detail.is_terminal() => {
                        state.begun.remove(id);
                    }
                    _ => {}
                }
            }
        }
    }

    /// All but a hundredth of the latest took no longer; milliseconds. `None`: none has asked one.
    pub(crate) fn p99_ms(&self) -> Option<i64> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut latest: Vec<i64> = state.latest.iter().copied().collect();
        drop(state);
        latest.sort_unstable();
        latest.get((latest.len() * 99).div_ceil(100).checked_sub(1)?).copied()
    }
}

impl State {
    fn begin(&mut self, id: ExecutionId, at: Timestamp) {
        self.begun.insert(id, at);
        self.order.push_back(id);
        if self.order.len() > BEGUN_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.begun.remove(&oldest);
        }
    }

    fn asked(&mut self, id: ExecutionId, at: Timestamp) {
        let Some(begun) = self.begun.remove(&id) else { return };
        self.latest.push_back(at.since_ms(begun).max(0));
        if self.latest.len() > LATEST {
            self.latest.pop_front();
        }
    }
}

/// Whether a task publishes a message, or waits for whoever has its token.
fn asks_device(resource_type: &str, resource: &str) -> bool {
    let publishes = resource_type.ends_with("iotdataplane") && resource.starts_with("publish");
    publishes
        || resource.ends_with(".waitForTaskToken")
        || resource_type.starts_with("stepwire:mqtt")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> ExecutionId {
        ExecutionId { machine: 1, number }
    }

    #[test]
    fn the_first_question_counts() {
        let reactions = Reactions::default();
        assert_eq!(reactions.p99_ms(), None);
        let mut state = reactions.0.lock().unwrap_or_else(PoisonError::into_inner);
        for number in 1..=100 {
            state.begin(id(number), Timestamp(0));
            state.asked(id(number), Timestamp(number as i64));
            state.asked(id(number), Timestamp(9_999));
        }
        drop(state);
        assert_eq!(reactions.p99_ms(), Some(99));
    }

    #[test]
    fn those_that_never_ask_are_forgotten() {
        let mut state = State::default();
        (0..20_000).for_each(|number| state.begin(id(number), Timestamp(0)));
        assert_eq!((state.begun.len(), state.order.len()), (BEGUN_MAX, BEGUN_MAX));
        state.asked(id(1), Timestamp(5));
        assert!(state.latest.is_empty());
    }

    #[test]
    fn tasks_that_ask_a_device_are_known() {
        assert!(asks_device("aws-sdk:iotdataplane", "publish"));
        assert!(asks_device("lambda", "invoke.waitForTaskToken"));
        assert!(!asks_device("lambda", "invoke"));
        assert!(!asks_device("aws-sdk:iotdataplane", "getThingShadow"));
    }
}
