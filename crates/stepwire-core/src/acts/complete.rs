//! Answers of devices, and the tasks that they complete.

use std::sync::Arc;

use stepwire_asl::{Stimulus, Timestamp};

use crate::answers::Answer;
use crate::effect::{Effect, Report};
use crate::executions::TaskToken;
use crate::kernel::{Kernel, Step};
use crate::read::Reads;
use crate::tables::{self, Item};
use crate::write::Write;

/// What the status attribute of a token says as long as its task waits.
const ACTIVE: &str = "ACTIVE";
/// A token whose task its answer has completed.
const COMPLETED: &str = "COMPLETED";
/// A token whose task ended without an answer.
const CLOSED: &str = "CLOSED";

impl Kernel {
    /// Reads what completing a task by `answer` will read.
    pub(crate) fn touch_answer(&self, answer: &Answer, reads: &Reads) {
        for (_, token) in self.candidates(answer, reads) {
            self.executions.touch(token.execution, reads);
        }
    }

    /// Rows of the answer's operation and device that say they are active, with their tokens.
    fn candidates(&self, answer: &Answer, reads: &Reads) -> Vec<(Item, TaskToken)> {
        let rows = self.tables.query_partition(&answer.table, &answer.operation, reads);
        let names = &answer.attributes;
        let active = rows.into_iter().flatten().filter(|row| {
            row.string(&names.status) == Some(ACTIVE)
                && row.string(&names.device) == Some(&answer.device)
        });
        active
            .filter_map(|row| {
                let token = TaskToken::open(row.string(&names.token)?, &self.settings.secret)?;
                Some((row, token))
            })
            .collect()
    }

    /// Completes the one task that waits for `answer`; keeps the answer when there is none yet.
    pub(crate) fn complete(
        &mut self,
        now: Timestamp,
        kept: Option<u64>,
        answer: Answer,
        reads: &Reads,
        step: &mut Step,
    ) {
        if answer.publisher.as_ref() != Some(&answer.device) {
            let who = answer.publisher.as_deref().unwrap_or("a connection that is no thing's");
            refuse(&answer, format!("it was published by `{who}`"), step);
            return;
        }
        let mut open = Vec::new();
        for (row, token) in self.candidates(&answer, reads) {
            match self.executions.is_task_open(token, reads) {
                Ok(true) => open.push((row, token)),
                Ok(false) => self.mark(&answer, &row, CLOSED, step),
                Err(corrupt) => self.quarantine(token.execution, &corrupt, step),
            }
        }
        match open.as_slice() {
            [] if kept.is_none() => self.keep_answer(answer, step),
            [] => {}
            [(row, token)] => {
                let output: Arc<str> = answer.output.to_text().into();
                let stimulus = Stimulus::TokenSucceeded { scheduled: token.scheduled, output };
                let taken = self.stimulate(now, token.execution, stimulus, reads, step);
                debug_assert_eq!(taken, Ok(()), "an open task takes its answer");
                self.mark(&answer, row, COMPLETED, step);
                if let Some(number) = kept {
                    self.drop_answer(number, step);
                }
            }
            several => {
                let why = format!("{} tasks wait for this operation of this device", several.len());
                refuse(&answer, why, step);
                if let Some(number) = kept {
                    self.drop_answer(number, step);
                }
            }
        }
    }

    fn mark(&mut self, answer: &Answer, row: &Item, status: &str, step: &mut Step) {
        let mut writes: Vec<tables::Write> = Vec::new();
        self.tables.set_string(&answer.table, row, &answer.attributes.status, status, &mut writes);
        step.writes.extend(writes.into_iter().map(Write::Tables));
    }

    fn keep_answer(&mut self, answer: Answer, step: &mut Step) {
        let number = self.answers.next_number();
        self.answers.apply(number, Some(&answer));
        step.writes.push(Write::Answer(number, Some(answer)));
        if let Some(oldest) = self.answers.surplus() {
            self.drop_answer(oldest, step);
        }
    }

    pub(crate) fn drop_answer(&mut self, number: u64, step: &mut Step) {
        self.answers.apply(number, None);
        step.writes.push(Write::Answer(number, None));
    }
}

/// Says that an answer was not taken.
pub(crate) fn refuse(answer: &Answer, why: impl Into<Arc<str>>, step: &mut Step) {
    step.effects.push(Effect::Report(Report::AnswerRefused {
        rule: Arc::clone(&answer.rule),
        device: Arc::clone(&answer.device),
        operation: Arc::clone(&answer.operation),
        why: why.into(),
    }));
}
