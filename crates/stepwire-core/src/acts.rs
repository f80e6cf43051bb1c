//! What rules do: their actions, and the answers that complete tasks.

use std::sync::Arc;

use stepwire_asl::{Json, Stimulus, Timestamp};

use crate::answers::Answer;
use crate::effect::{Effect, Report};
use crate::executions::machines::MachineArn;
use crate::executions::{Begin, TaskToken};
use crate::functions::{self, FunctionName};
use crate::input::{Follow, HOPS_MAX, Input};
use crate::kernel::{Kernel, Step};
use crate::message::{Message, Properties};
use crate::read::Reads;
use crate::request::{Publish, Request, Service};
use crate::rules::jobs::{Job, Place, Stage};
use crate::rules::{Outcome, Resolved};
use crate::tables::{self, Item};
use crate::write::Write;

/// What the status attribute of a token says as long as its task waits.
const ACTIVE: &str = "ACTIVE";
/// A token whose task its answer has completed.
const COMPLETED: &str = "COMPLETED";
/// A token whose task ended without an answer.
const CLOSED: &str = "CLOSED";

impl Kernel {
    /// Carries out one action of a rule that matched `message`; if it fails, the rule's error action.
    pub(crate) fn act(&mut self, outcome: Outcome, message: &Message, hops: u8, step: &mut Step) {
        let Outcome { rule, kind, place, action } = outcome;
        if let Err(why) = self.carry_out(&rule, place, action, message, hops, step) {
            self.failed(&rule, kind, why, message, hops, step);
        }
    }

    /// An action of a rule has failed: that is reported, and the rule's error action carried out.
    pub(crate) fn failed(
        &mut self,
        rule: &Arc<str>,
        kind: &str,
        why: String,
        message: &Message,
        hops: u8,
        step: &mut Step,
    ) {
        let action = self.rules.on_error(rule, kind, &why, message, &self.settings);
        step.effects.push(report(rule, message, why));
        if let Some(action) = action
            && let Err(why) = self.carry_out(rule, Place::Error, action, message, hops, step)
        {
            step.effects.push(report(rule, message, format!("its error action: {why}")));
        }
    }

    /// What a job was for has failed for good.
    pub(crate) fn give_up(&mut self, job: &Job, why: &str, step: &mut Step) {
        let Stage::Deliver { place, delivery, .. } = &job.stage;
        let (rule, message) = (&job.rule, &job.message);
        match place {
            Place::Error => {
                step.effects.push(report(rule, message, format!("its error action: {why}")));
            }
            Place::Statement | Place::Action(_) => {
                self.failed(rule, delivery.kind(), why.to_owned(), message, job.hops, step);
            }
        }
    }

    fn carry_out(
        &mut self,
        rule: &Arc<str>,
        place: Place,
        action: Resolved,
        message: &Message,
        hops: u8,
        step: &mut Step,
    ) -> Result<(), String> {
        match action {
            Resolved::StepFunctions { state_machine_name, execution_name_prefix, input } => {
                self.begin(message.at, &state_machine_name, &execution_name_prefix, &input, step)
            }
            Resolved::Republish { topic, qos, payload } => {
                let again = Publish::to(&topic, payload, qos, false, Properties::default());
                again.map_err(|error| error.message).and_then(|again| {
                    again.within(&self.settings.mqtt).map_err(|error| error.message)?;
                    if hops >= HOPS_MAX {
                        return Err(format!("republish loop: {HOPS_MAX} rules in a row"));
                    }
                    self.publish(again.message(message.at), hops + 1, step);
                    Ok(())
                })
            }
            Resolved::DynamoDbV2 { table, item } => store(rule, &table, item, message, hops, step),
            Resolved::CompleteTask {
                table,
                operation_id,
                device_id,
                attributes,
                output,
                publisher,
            } => {
                let answer = Answer {
                    rule: Arc::clone(rule),
                    table,
                    operation: operation_id,
                    device: device_id,
                    publisher,
                    attributes,
                    output,
                    at: message.at,
                };
                step.then.push(Input::Follow(Follow::Complete(None, answer)));
                Ok(())
            }
            Resolved::Lambda { function_arn, payload } => {
                let function = FunctionName::parse(&function_arn).map_err(|error| error.message)?;
                let request = functions::Request::Enqueue { function, payload };
                let mut writes = Vec::new();
                let (functions, settings) = (&mut self.functions, &self.settings);
                let queued = functions.call(message.at, &request, settings, &mut writes);
                step.writes.extend(writes.into_iter().map(Write::Functions));
                queued.map(drop).map_err(|error| error.message)
            }
            Resolved::Deliver(delivery) => self.owe(rule, place, delivery, message, hops, step),
            Resolved::Failed { why } => Err(why),
        }
    }

    /// Starts an execution under a name that no other start has.
    fn begin(
        &mut self,
        now: Timestamp,
        machine: &str,
        prefix: &str,
        input: &Json,
        step: &mut Step,
    ) -> Result<(), String> {
        let arn = MachineArn::of(&machine.into());
        let target = self.executions.target(&arn, &self.settings).map_err(|e| e.message)?;
        let name = format!("{prefix}{}", self.executions.made_up_name(&self.settings)).into();
        let input = input.to_text();
        let max = self.settings.quotas.payload_bytes();
        if input.len() > max {
            return Err(format!("the input has {} bytes, at most {max}", input.len()));
        }
        let input = input.into();
        let begin =
            Begin { target, name, input, trace_header: None, parent: None, test_case: None };
        let refused = || format!("the definition of `{machine}` is not valid in this version");
        let (id, ran) = self.executions.begin(now, begin, &self.settings).ok_or_else(refused)?;
        self.ask(now, id, ran, step);
        Ok(())
    }

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

fn report(rule: &Arc<str>, message: &Message, why: String) -> Effect {
    let (rule, topic) = (Arc::clone(rule), Arc::clone(&message.topic));
    Effect::Report(Report::RuleFailed { rule, topic, why: why.into() })
}

/// Has the result of a rule stored as an item.
fn store(
    rule: &Arc<str>,
    table: &str,
    item: Json,
    message: &Message,
    hops: u8,
    step: &mut Step,
) -> Result<(), String> {
    let body = Json::object([("TableName", Json::from(table)), ("Item", item)]);
    let request = Request::parse(Service::DynamoDb, "PutItem", &body);
    let request = request.ok_or("tables are not available")?.map_err(|e| e.message)?;
    step.then.push(Input::Follow(Follow::Store {
        rule: Arc::clone(rule),
        message: Box::new(message.clone()),
        hops,
        request,
    }));
    Ok(())
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
