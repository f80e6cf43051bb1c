//! The latest invocations of each function, for those who look at it. Kept in memory alone.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use stepwire_asl::Timestamp;
use stepwire_core::functions::InvokedBy;

/// Invocations of one function that are kept.
const KEPT: usize = 50;
/// Bytes of a text that are kept: of a longer one the beginning.
const TEXT_MAX: usize = 32 << 10;
/// Bytes of all texts that are kept.
const BYTES_MAX: usize = 32 << 20;

/// An invocation that has ended.
#[derive(Debug)]
pub(crate) struct Invocation {
    /// Identifies it.
    pub(crate) request_id: Arc<str>,
    /// The version that ran.
    pub(crate) version: Arc<str>,
    /// When it began.
    pub(crate) at: Timestamp,
    /// How long it took.
    pub(crate) took: Duration,
    /// How long its process took to be ready, if it was made for it.
    pub(crate) init: Option<Duration>,
    /// Whether the function failed.
    pub(crate) failed: bool,
    /// Who asked for it; none: a caller of the API.
    pub(crate) by: Option<InvokedBy>,
    /// What it was given, bounded.
    pub(crate) input: Arc<str>,
    /// What it returned, or its error, bounded.
    pub(crate) result: Arc<str>,
    /// What it wrote, bounded.
    pub(crate) log: Arc<str>,
    /// The step that asked for it, once somebody has looked for it.
    pub(crate) step: OnceLock<Step>,
}

/// The step that asked for an invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// ARN of the execution.
    pub(crate) execution: Arc<str>,
    /// The state, and which of its attempts from 0; none for executions without a history.
    pub(crate) state: Option<(String, i64)>,
}

/// The latest invocations of each function.
#[derive(Debug, Default)]
pub(crate) struct Invocations(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    bytes: usize,
    functions: HashMap<Arc<str>, OfFunction>,
}

#[derive(Debug, Default)]
struct OfFunction {
    ran: u64,
    failed: u64,
    bytes: usize,
    /// Oldest first.
    latest: VecDeque<Arc<Invocation>>,
}

/// What is kept of one function.
#[derive(Debug, Clone, Default)]
pub(crate) struct Latest {
    /// Invocations since the start of the node.
    pub(crate) ran: u64,
    /// Those that failed.
    pub(crate) failed: u64,
    /// The latest, latest first.
    pub(crate) invocations: Vec<Arc<Invocation>>,
}

impl Invocation {
    fn bytes(&self) -> usize {
        self.input.len() + self.result.len() + self.log.len() + size_of::<Invocation>()
    }
}

impl Invocations {
    /// Keeps one more.
    pub(crate) fn add(&self, function: &Arc<str>, invocation: Invocation) {
        let mut state = self.state();
        let state = &mut *state;
        let of = state.functions.entry(Arc::clone(function)).or_default();
        of.ran += 1;
        of.failed += u64::from(invocation.failed);
        of.bytes += invocation.bytes();
        state.bytes += invocation.bytes();
        of.latest.push_back(Arc::new(invocation));
        if of.latest.len() > KEPT {
            state.bytes -= of.drop_oldest();
        }
        while state.bytes > BYTES_MAX {
            let Some(largest) = state.functions.values_mut().max_by_key(|of| of.bytes) else {
                break;
            };
            state.bytes -= largest.drop_oldest();
        }
    }

    /// What is kept of a function.
    pub(crate) fn of(&self, function: &str) -> Latest {
        let state = self.state();
        let Some(of) = state.functions.get(function) else { return Latest::default() };
        let invocations = of.latest.iter().rev().cloned().collect();
        Latest { ran: of.ran, failed: of.failed, invocations }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OfFunction {
    /// How many bytes are free then.
    fn drop_oldest(&mut self) -> usize {
        let bytes = self.latest.pop_front().map_or(0, |oldest| oldest.bytes());
        self.bytes -= bytes;
        bytes
    }
}

/// The beginning of a long text, and that it is one.
pub(crate) fn beginning(text: &Arc<str>) -> Arc<str> {
    if text.len() <= TEXT_MAX {
        return Arc::clone(text);
    }
    let shown = &text[..text.floor_char_boundary(TEXT_MAX)];
    format!("{shown}\n[stepwire: the first {} of {} bytes]", shown.len(), text.len()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invocation(log: &str, failed: bool) -> Invocation {
        Invocation {
            request_id: "i".into(),
            version: "1".into(),
            at: Timestamp(1),
            took: Duration::from_millis(1),
            init: None,
            failed,
            by: None,
            input: "{}".into(),
            result: "null".into(),
            log: log.into(),
            step: OnceLock::new(),
        }
    }

    #[test]
    fn the_latest_of_each_function_are_kept_and_all_are_counted() {
        let invocations = Invocations::default();
        for at in 0..60 {
            invocations.add(&"busy".into(), invocation(&at.to_string(), at % 2 == 0));
        }
        invocations.add(&"quiet".into(), invocation("q", false));
        let busy = invocations.of("busy");
        assert_eq!((busy.ran, busy.failed, busy.invocations.len()), (60, 30, KEPT));
        assert_eq!(&*busy.invocations[0].log, "59");
        assert_eq!(invocations.of("quiet").invocations.len(), 1);
        assert_eq!(invocations.of("none").ran, 0);
    }

    #[test]
    fn bytes_are_bounded_where_most_are() {
        let invocations = Invocations::default();
        let long = "x".repeat(1 << 20);
        invocations.add(&"quiet".into(), invocation("q", false));
        (0..40).for_each(|_| invocations.add(&"busy".into(), invocation(&long, false)));
        let state = invocations.state();
        assert!(state.bytes <= BYTES_MAX);
        assert_eq!(state.bytes, state.functions.values().map(|of| of.bytes).sum::<usize>());
        drop(state);
        assert_eq!(invocations.of("quiet").invocations.len(), 1);
    }

    #[test]
    fn a_long_text_says_that_it_is_not_whole() {
        let long: Arc<str> = "é".repeat(TEXT_MAX).into();
        let cut = beginning(&long);
        assert!(cut.len() < TEXT_MAX + 100 && cut.ends_with("bytes]"));
        assert_eq!(&*beginning(&"short".into()), "short");
    }
}
