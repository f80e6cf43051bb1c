//! One state tried by itself: what TestState runs, and what it learns on the way.
//!
//! A trial is an execution of the state's own machine by the same decider, watched by a [`Probe`]:
//! it overrides what the caller gives (a context object, a mocked result, retries used) and keeps
//! each value that the state makes between its input and its output.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::decide::Decider;
use super::{Execution, Rejected, Start, Stimulus, Task, Turn};
use crate::definition::SingleState;
use crate::history::{Detail, HistoryEvent, Kind, Payload, Trouble};
use crate::{Json, Timestamp};

/// What is given to a state under test besides its input.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// The whole context object, in place of the execution's.
    pub context: Option<Json>,
    /// Workflow variables: an object.
    pub variables: Json,
    /// What its task, its branches or its iterations come to.
    pub mock: Option<Result<Json, Trouble>>,
    /// Retries that the retrier of its error has used.
    pub retries: u32,
    /// Iterations of a Map that failed.
    pub failures: Option<u32>,
    /// What the item reader of a Map read.
    pub reader_data: Option<Json>,
}

/// A value that a state makes on the way from its input to its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// After `InputPath`.
    AfterInputPath,
    /// After `Parameters`.
    AfterParameters,
    /// After `Arguments`.
    AfterArguments,
    /// After `ItemsPath`.
    AfterItemsPath,
    /// What is read after `ItemsPointer`.
    AfterItemsPointer,
    /// The iterations' inputs.
    AfterItemSelector,
    /// The batches.
    AfterItemBatcher,
    /// `MaxConcurrency`
    MaxConcurrency,
    /// `ToleratedFailureCount`
    ToleratedFailureCount,
    /// `ToleratedFailurePercentage`
    ToleratedFailurePercentage,
    /// The raw result.
    Result,
    /// After `ResultSelector`.
    AfterResultSelector,
    /// After `ResultPath`.
    AfterResultPath,
}

/// What was learned of a state under test.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Inspection {
    /// The values on the way, those that were reached.
    pub stages: BTreeMap<Stage, Json>,
    /// Which of its catchers took its error.
    pub catcher: Option<u32>,
    /// Which of its retriers is for its error.
    pub retrier: Option<u32>,
    /// The delay before the next attempt in milliseconds, if there is to be one.
    pub backoff_ms: Option<i64>,
    /// Workflow variables after the state.
    pub variables: BTreeMap<Arc<str>, Json>,
}

/// How a trial ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The state gave an output.
    Succeeded {
        /// Its output.
        output: Payload,
        /// The state it leads to.
        next: Option<Arc<str>>,
    },
    /// It failed.
    Failed(Trouble),
    /// It failed and would be tried again.
    Retriable(Trouble),
    /// It failed and was caught.
    Caught {
        /// Its error.
        trouble: Trouble,
        /// Its output.
        output: Payload,
        /// Where the catcher leads.
        next: Option<Arc<str>>,
    },
}

/// Watches the decider in a trial.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) setup: Setup,
    pub(super) inspection: Inspection,
    /// The error that a retrier or catcher took.
    pub(super) trouble: Trouble,
}

/// A state under test.
#[derive(Debug)]
pub struct Trial {
    execution: Execution,
    probe: Probe,
    outcome: Option<Outcome>,
}

impl Trial {
    /// Runs `state` until it has ended or waits for the world: for its task, or for time.
    pub fn begin(
        state: &SingleState,
        setup: Setup,
        start: Start,
        turn: &mut Turn<'_>,
    ) -> (Trial, Vec<Task>) {
        let variables = setup.variables.as_object().into_iter().flatten();
        let variables = variables.map(|(name, value)| (Arc::clone(name), value.clone()));
        let variables: BTreeMap<_, _> = variables.collect();
        let inspection = Inspection { variables: variables.clone(), ..Inspection::default() };
        let mut trial = Trial {
            execution: Execution::empty(Arc::clone(&state.machine)),
            probe: Probe { setup, inspection, trouble: Trouble::default() },
            outcome: None,
        };
        let mock = trial.probe.setup.mock.clone().filter(|_| state.kind() == Kind::Task);
        let mut decider = Decider::watched(&mut trial.execution, turn, &mut trial.probe);
        decider.try_state(start, variables, mock);
        let decision = decider.decision;
        trial.learn(&decision.events);
        (trial, decision.tasks)
    }

    /// Gives the state what it waits for, and runs it on.
    pub fn step(&mut self, stimulus: Stimulus, turn: &mut Turn<'_>) -> Result<(), Rejected> {
        let probe = Some(&mut self.probe);
        let decision = self.execution.step_watched(stimulus, turn, probe)?;
        self.learn(&decision.events);
        Ok(())
    }

    /// How it ended, once it has.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// What was learned of it so far.
    pub fn inspection(&self) -> &Inspection {
        &self.probe.inspection
    }

    /// When time alone brings it further.
    pub fn due(&self) -> Option<Timestamp> {
        self.execution.due()
    }

    fn learn(&mut self, events: &[HistoryEvent]) {
        for event in events {
            if self.outcome.is_some() {
                return;
            }
            self.outcome = self.ended_by(&event.detail);
            if let Detail::Exited { assigned, .. } = &event.detail {
                let assigned =
                    assigned.iter().map(|(name, value)| (Arc::clone(name), value.clone()));
                self.probe.inspection.variables.extend(assigned);
            }
        }
    }

    fn ended_by(&self, detail: &Detail) -> Option<Outcome> {
        let trouble = || self.probe.trouble.clone();
        match detail {
            Detail::Exited { output, next, .. } => {
                let next = next.map(|next| Arc::clone(&self.execution.machine.state(next).name));
                let output = output.clone();
                Some(match self.probe.inspection.catcher {
                    Some(_) => Outcome::Caught { trouble: trouble(), output, next },
                    None => Outcome::Succeeded { output, next },
                })
            }
            Detail::RetryScheduled { .. } => Some(Outcome::Retriable(trouble())),
            Detail::ExecutionFailed(trouble) => Some(Outcome::Failed(trouble.clone())),
            _ => None,
        }
    }
}
