//! Deciding what happens next: makes events, applies each, asks for tasks.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::{
    Activity, Branches, Decision, Execution, OpenTask, Position, Rejected, Start, Status, Stimulus,
    Task, Turn,
};
use crate::definition::{
    Catcher, Next, Pattern, Resource, Seconds, State, StateDefinition, StateId, StateMachine, Text,
    Wait, matches_error,
};
use crate::history::{Detail, EventId, HistoryEvent, Kind, Payload, Trouble};
use crate::scope::{Failure, Scope, Variables};
use crate::{Json, Timestamp};

/// A history ends here, whatever the machine would still do.
const EVENTS_MAX: u64 = 25_000;
/// Most bytes of any payload.
const PAYLOAD_MAX: usize = 262_144;
/// Iterations of a Map at a time when its definition sets no limit.
const ITERATIONS_MAX: u32 = 40;
/// Longest wait: what Step Functions accepts (24,855 days).
const WAIT_MAX_S: i64 = 2_147_483_647;

impl Execution {
    /// A new execution, run until it waits or ends.
    pub fn start(
        machine: Arc<StateMachine>,
        start: Start,
        turn: &mut Turn<'_>,
    ) -> (Execution, Decision) {
        let mut execution = Execution::empty(Arc::clone(&machine));
        let input = Payload::from_text(start.input);
        let mut decider = Decider::new(&mut execution, turn);
        decider.record(
            0,
            Detail::ExecutionStarted {
                input: input.clone(),
                execution_arn: start.execution_arn,
                role_arn: start.role_arn,
            },
        );
        decider.work.push_back((0, machine.start, input));
        decider.run();
        let decision = decider.decision;
        (execution, decision)
    }

    /// Gives the execution a stimulus and runs it on as far as it can. On `Err` nothing has changed.
    pub fn step(&mut self, stimulus: Stimulus, turn: &mut Turn<'_>) -> Result<Decision, Rejected> {
        if self.status != Status::Running {
            return Err(Rejected::ExecutionEnded);
        }
        let frame = match &stimulus {
            Stimulus::TaskReturned { scheduled, .. }
            | Stimulus::TokenSucceeded { scheduled, .. }
            | Stimulus::TokenFailed { scheduled, .. }
            | Stimulus::Heartbeat { scheduled } => {
                *self.tasks.get(scheduled).ok_or(Rejected::TaskNotOpen)?
            }
            Stimulus::Timer | Stimulus::Stop { .. } => 0,
        };
        let mut decider = Decider::new(self, turn);
        match stimulus {
            Stimulus::TaskReturned { result, .. } => decider.returned(frame, result),
            Stimulus::TokenSucceeded { output, .. } => {
                decider.task_succeeded(frame, Payload::from_text(output));
            }
            Stimulus::TokenFailed { error, cause, .. } => {
                decider.task_failed(frame, Trouble { error, cause });
            }
            Stimulus::Heartbeat { .. } => decider.record(frame, Detail::Heartbeat),
            Stimulus::Timer => decider.timers(),
            Stimulus::Stop { error, cause } => {
                decider.record(0, Detail::ExecutionAborted(Trouble { error, cause }));
            }
        }
        decider.run();
        Ok(decider.decision)
    }
}

struct Decider<'e, 't> {
    execution: &'e mut Execution,
    machine: Arc<StateMachine>,
    turn: &'e mut Turn<'t>,
    decision: Decision,
    /// States to enter: branch, state, input.
    work: VecDeque<(u32, StateId, Payload)>,
}

impl<'e, 't> Decider<'e, 't> {
    fn new(execution: &'e mut Execution, turn: &'e mut Turn<'t>) -> Self {
        let machine = Arc::clone(&execution.machine);
        Decider { execution, machine, turn, decision: Decision::default(), work: VecDeque::new() }
    }

    /// The single way anything changes: make an event, fold it in, remember it for the caller.
    fn record(&mut self, frame: u32, detail: Detail) {
        if self.execution.status != Status::Running {
            return;
        }
        let terminal = matches!(
            detail,
            Detail::ExecutionSucceeded(_)
                | Detail::ExecutionFailed(_)
                | Detail::ExecutionTimedOut(_)
                | Detail::ExecutionAborted(_)
        );
        let id = if detail.is_private() { 0 } else { self.execution.last_id + 1 };
        let detail = if id >= EVENTS_MAX && !terminal { too_many_events() } else { detail };
        let previous = match detail {
            Detail::BranchStarted { .. } => 0,
            // The end of a Map follows from the end of its last iteration.
            Detail::MapSucceeded => self.execution.last_id,
            _ => self.execution.frames.get(&frame).map_or(0, |frame| frame.last),
        };
        let event = HistoryEvent {
            seq: self.execution.last_seq + 1,
            id,
            previous,
            at: self.turn.now.max(self.execution.last_at),
            frame,
            detail,
        };
        let applied = self.execution.apply(&event);
        debug_assert_eq!(applied, Ok(()), "an event we made fits");
        self.decision.events.push(event);
    }

    fn run(&mut self) {
        while let Some((frame, state, input)) = self.work.pop_front() {
            if self.execution.status != Status::Running
                || !self.execution.frames.contains_key(&frame)
            {
                continue;
            }
            let definition = self.machine.state(state);
            let (kind, name) = (kind_of(&definition.state), Arc::clone(&definition.name));
            self.record(frame, Detail::Entered { kind, state, name, input });
            self.perform(frame);
        }
        if self.execution.status != Status::Running {
            self.decision.tasks.clear();
        }
    }

    fn position(&self, frame: u32) -> Option<&Position> {
        self.execution.frames.get(&frame)?.at.as_ref()
    }

    fn definition(&self, frame: u32) -> Option<&StateDefinition> {
        Some(self.machine.state(self.position(frame)?.state))
    }

    /// Does what the state that `frame` is in does; after a failure, what its retriers say.
    fn perform(&mut self, frame: u32) {
        let machine = Arc::clone(&self.machine);
        let Some(position) = self.position(frame) else { return };
        let definition = machine.state(position.state);
        if let Err(failure) = self.attempt(frame, definition) {
            let failure = self.told(frame, failure);
            self.failed(frame, &failure, false);
        }
    }

    fn attempt(&mut self, frame: u32, definition: &StateDefinition) -> Result<(), Failure> {
        let raw = self.position(frame).map(|at| at.input.clone());
        let Some(raw) = raw else { return Ok(()) };
        let effective = self.effective(frame, definition, raw.value())?;
        match &definition.state {
            State::Pass { result } => {
                let output = match (result, &definition.parameters) {
                    (Some(result), _) => result.clone(),
                    (None, Some(_)) => self.parameters(frame, definition, &effective, None)?,
                    (None, None) => effective,
                };
                // A state that changes nothing hands its input on as the caller wrote it.
                let untouched = definition.is_transparent() && result.is_none();
                if untouched {
                    let value = raw.value().clone();
                    self.exit(frame, definition, Ok(raw), &value)
                } else {
                    self.finish(frame, definition, output)
                }
            }
            State::Succeed => {
                let output = self.output(frame, definition, effective.clone())?;
                self.exit(frame, definition, Ok(Payload::Value(output)), &effective)
            }
            State::Fail { error, cause } => {
                let error = self.text(frame, &effective, error.as_ref(), "ErrorPath")?;
                let cause = self.text(frame, &effective, cause.as_ref(), "CausePath")?;
                self.fail_branch(frame, Trouble { error, cause });
                Ok(())
            }
            State::Choice { .. } => self.choose(frame, definition, &effective),
            State::Wait(wait) => self.wait(frame, definition, wait, &effective),
            State::Task { .. } => self.schedule(frame, definition, &effective),
            State::Parallel { branches } => {
                let input = self.parameters(frame, definition, &effective, None)?;
                self.record(frame, Detail::ParallelStarted(branches.len() as u32));
                for (index, start) in branches.iter().enumerate() {
                    let child = self.begin(frame, index as u32);
                    self.work.push_back((child, *start, Payload::Value(input.clone())));
                }
                Ok(())
            }
            State::Map(_) => self.map(frame, definition, &effective),
        }
    }

    // ---- evaluating ----------------------------------------------------------------------------

    fn evaluate<T>(
        &mut self,
        frame: u32,
        input: &Json,
        token: Option<&str>,
        item: Option<(u32, &Json)>,
        run: impl FnOnce(&Scope<'_>, &mut crate::Entropy) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let wants = self.definition(frame).is_some_and(|definition| definition.reads_context);
        let context = if wants { self.context(frame, token, item) } else { Json::Null };
        let mut chain = Vec::new();
        let mut next = Some(frame);
        while let Some(frame) = next.and_then(|frame| self.execution.frames.get(&frame)) {
            chain.push(&frame.variables);
            next = frame.parent.map(|(parent, _)| parent);
        }
        let entropy = &mut *self.turn.entropy;
        let mut run = Some(run);
        let mut result = None;
        with_variables(&chain, None, &mut |variables| {
            if let Some(run) = run.take() {
                result = Some(run(&Scope { input, context: &context, variables }, entropy));
            }
        });
        result.unwrap_or_else(|| Err(runtime("no scope")))
    }

    fn context(&self, frame: u32, token: Option<&str>, item: Option<(u32, &Json)>) -> Json {
        let text = |text: &str| Json::from(text);
        let arn = &self.execution.execution_arn;
        let parts: Vec<&str> = arn.splitn(8, ':').collect();
        let (head, machine, name) = match parts.as_slice() {
            [head @ .., _, machine, name] if head.len() == 5 => (head.join(":"), *machine, *name),
            _ => (String::new(), "", ""),
        };
        let execution = Json::object([
            ("Id", Json::String(Arc::clone(arn))),
            ("Input", self.execution.input.value().clone()),
            ("StartTime", Json::from(self.execution.started.rfc3339())),
            ("Name", text(name)),
            ("RoleArn", Json::String(Arc::clone(&self.execution.role_arn))),
            ("RedriveCount", Json::from(0)),
        ]);
        let id = format!("{head}:stateMachine:{machine}");
        let mut members = vec![
            ("Execution", execution),
            ("StateMachine", Json::object([("Id", Json::from(id)), ("Name", text(machine))])),
        ];
        if let Some(position) = self.position(frame) {
            let definition = self.machine.state(position.state);
            let mut state = vec![
                ("Name", Json::String(Arc::clone(&definition.name))),
                ("EnteredTime", Json::from(position.entered_at.rfc3339())),
            ];
            if matches!(
                definition.state,
                State::Task { .. } | State::Parallel { .. } | State::Map(_)
            ) {
                let retries: u32 = position.retries.values().sum();
                state.push(("RetryCount", Json::from(i64::from(retries))));
            }
            members.push(("State", Json::object(state)));
        }
        if let Some(token) = token {
            members.push(("Task", Json::object([("Token", text(token))])));
        }
        let item =
            item.map(|(index, value)| (index, value.clone())).or_else(|| self.item_of(frame));
        if let Some((index, value)) = item {
            let item = Json::object([("Index", Json::from(i64::from(index))), ("Value", value)]);
            members.push(("Map", Json::object([("Item", item)])));
        }
        Json::object(members)
    }

    /// The Map item that the innermost iteration around `frame` is about.
    fn item_of(&self, frame: u32) -> Option<(u32, Json)> {
        let mut at = self.execution.frames.get(&frame)?;
        loop {
            let (parent, index) = at.parent?;
            at = self.execution.frames.get(&parent)?;
            if let Activity::Branches(branches) = &at.at.as_ref()?.activity
                && let Some(items) = branches.items.as_array()
            {
                return Some((index, items.get(index as usize)?.clone()));
            }
        }
    }

    fn effective(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        raw: &Json,
    ) -> Result<Json, Failure> {
        let Some(path) = &definition.input_path else { return Ok(Json::Object(Arc::default())) };
        self.read(frame, path, raw)
    }

    fn read(
        &mut self,
        frame: u32,
        path: &crate::path::Path,
        input: &Json,
    ) -> Result<Json, Failure> {
        self.evaluate(frame, input, None, None, |scope, _| {
            path.read(scope)
                .map_err(|why| runtime(format!("Invalid path '{}' : {why}", path.text())))
        })
    }

    fn parameters(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        input: &Json,
        token: Option<&str>,
    ) -> Result<Json, Failure> {
        match &definition.parameters {
            Some(template) => {
                self.evaluate(frame, input, token, None, |s, e| template.evaluate(s, e))
            }
            None => Ok(input.clone()),
        }
    }

    fn output(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        value: Json,
    ) -> Result<Json, Failure> {
        match &definition.output_path {
            Some(path) => self.read(frame, path, &value),
            None => Ok(Json::Object(Arc::default())),
        }
    }

    fn text(
        &mut self,
        frame: u32,
        input: &Json,
        text: Option<&Text>,
        field: &str,
    ) -> Result<Option<Arc<str>>, Failure> {
        let value = match text {
            None => return Ok(None),
            Some(Text::Literal(text)) => return Ok(Some(Arc::clone(text))),
            Some(Text::Call(call)) => {
                self.evaluate(frame, input, None, None, |scope, entropy| call.evaluate(scope, entropy))?
            }
            Some(Text::Path(path)) => self.evaluate(frame, input, None, None, |scope, _| {
                path.read(scope).map_err(|_| runtime(format!(
                    "The JSONPath '{}' specified for the field '{field}' could not be found in the input '{}'",
                    path.text(),
                    scope.input.to_text()
                )))
            })?,
        };
        match value {
            Json::String(text) => Ok(Some(text)),
            other => {
                Err(runtime(format!("The value of '{field}' must be a string but was: {other}")))
            }
        }
    }

    /// A number that is written or read from `input`.
    fn number(
        &mut self,
        frame: u32,
        seconds: &Seconds,
        input: &Json,
        field: &str,
    ) -> Result<i64, Failure> {
        let path = match seconds {
            Seconds::Fixed(number) => return Ok(*number),
            Seconds::Path(path) => path,
        };
        let value = if field == "SecondsPath" {
            let none = format!(
                "The SecondsPath parameter does not reference an input value: {}",
                path.text()
            );
            self.read(frame, path, input).map_err(|_| runtime(none))?
        } else {
            self.read(frame, path, input)?
        };
        let shown = format!("{} == {}", path.text(), value);
        let written = value.as_str().and_then(|text| text.parse().ok());
        let counted =
            if field == "SecondsPath" { value.as_i64() } else { value.as_i64().or(written) };
        match (counted, field) {
            (Some(number), _) if number >= 0 => Ok(number),
            (Some(_), "SecondsPath") => Err(runtime(format!(
                "The SecondsPath parameter references a negative value: {shown}"
            ))),
            (None, "SecondsPath") => Err(runtime(format!(
                "The SecondsPath parameter cannot be parsed as a long value: {shown}"
            ))),
            (None, "MaxConcurrencyPath") => Err(runtime(format!(
                "The {field} field refers to value {value} which is not a valid integer: {}",
                path.text()
            ))),
            _ => Err(runtime(format!(
                "The {field} parameter does not reference a valid integer value: {shown}"
            ))),
        }
    }

    /// AWS's sentence around a failure of evaluation.
    fn told(&self, frame: u32, failure: Failure) -> Failure {
        let Some(position) = self.position(frame) else { return failure };
        if failure.error.as_ref() == "States.DataLimitExceeded" {
            return failure;
        }
        let name = &self.machine.state(position.state).name;
        let cause = format!(
            "An error occurred while executing the state '{name}' (entered at the event id #{}). {}",
            position.entered, failure.cause
        );
        Failure { error: failure.error, cause: cause.into() }
    }

    // ---- leaving a state -----------------------------------------------------------------------

    /// From a state's result to its output.
    fn finish(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        result: Json,
    ) -> Result<(), Failure> {
        let Some(raw) = self.position(frame).map(|at| at.input.value().clone()) else {
            return Ok(());
        };
        let result = match &definition.result_selector {
            Some(template) => {
                self.evaluate(frame, &result, None, None, |s, e| template.evaluate(s, e))?
            }
            None => result,
        };
        let merged = match &definition.result_path {
            None => raw,
            Some(path) if path.is_root() => result.clone(),
            Some(path) => path
                .write(&raw, result.clone())
                .map_err(|error| Failure::new("States.ResultPathMatchFailure", error.message))?,
        };
        let output = self.output(frame, definition, merged)?;
        self.exit(frame, definition, Ok(Payload::Value(output)), &result)
    }

    /// Leaves a state for the one its definition names, or ends its branch.
    fn exit(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        output: Result<Payload, Failure>,
        result: &Json,
    ) -> Result<(), Failure> {
        let next = match definition.next {
            Next::State(next) => Some(next),
            Next::End => None,
        };
        let assigned = self.assigned(frame, definition.assign.as_ref(), result)?;
        self.leave(frame, definition, output?, next, assigned)
    }

    fn assigned(
        &mut self,
        frame: u32,
        assign: Option<&crate::template::Template>,
        result: &Json,
    ) -> Result<BTreeMap<Arc<str>, Json>, Failure> {
        let Some(template) = assign else { return Ok(BTreeMap::new()) };
        let values = self.evaluate(frame, result, None, None, |s, e| template.evaluate(s, e))?;
        let members = values.as_object().into_iter().flatten();
        Ok(members.map(|(name, value)| (Arc::clone(name), value.clone())).collect())
    }

    fn leave(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        output: Payload,
        next: Option<StateId>,
        assigned: BTreeMap<Arc<str>, Json>,
    ) -> Result<(), Failure> {
        if exceeds(output.value()) {
            return Err(too_large(&definition.name));
        }
        let parent = self.execution.frames.get(&frame).and_then(|frame| frame.parent);
        self.record(
            frame,
            Detail::Exited {
                kind: kind_of(&definition.state),
                name: Arc::clone(&definition.name),
                output: output.clone(),
                next,
                assigned,
            },
        );
        match (next, parent) {
            (Some(next), _) => self.work.push_back((frame, next, output)),
            (None, None) => self.record(0, Detail::ExecutionSucceeded(output)),
            (None, Some((parent, index))) => self.branch_ended(parent, index),
        }
        Ok(())
    }

    // ---- branches ------------------------------------------------------------------------------

    fn begin(&mut self, parent: u32, index: u32) -> u32 {
        let child = self.execution.next_frame;
        self.record(child, Detail::BranchStarted { parent, index });
        child
    }

    fn branches(&self, frame: u32) -> Option<&Branches> {
        match &self.position(frame)?.activity {
            Activity::Branches(branches) => Some(branches),
            _ => None,
        }
    }

    fn branch_ended(&mut self, frame: u32, index: u32) {
        let machine = Arc::clone(&self.machine);
        let Some(position) = self.position(frame) else { return };
        let definition = machine.state(position.state);
        let is_map = matches!(definition.state, State::Map(_));
        if is_map {
            let name = Arc::clone(&definition.name);
            self.record(frame, Detail::IterationSucceeded { name, index });
        }
        let Some(branches) = self.branches(frame) else { return };
        if branches.results.len() as u32 == branches.total {
            let results = Json::array(branches.results.values().cloned());
            self.record(
                frame,
                if is_map { Detail::MapSucceeded } else { Detail::ParallelSucceeded },
            );
            if let Err(failure) = self.finish(frame, definition, results) {
                let failure = self.told(frame, failure);
                self.failed(frame, &failure, false);
            }
        } else if is_map && let Err(failure) = self.iterate(frame, definition) {
            let failure = self.told(frame, failure);
            self.failed(frame, &failure, false);
        }
    }

    fn map(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        input: &Json,
    ) -> Result<(), Failure> {
        let State::Map(map) = &definition.state else { return Ok(()) };
        let items = match &map.items {
            Some(path) => self.read(frame, path, input)?,
            None => input.clone(),
        };
        let Some(count) = items.as_array().map(<[Json]>::len) else {
            return Err(runtime(format!("Map state input must be an array but was: {items}")));
        };
        let concurrency = match &map.concurrency {
            Some(seconds) => self.number(frame, seconds, input, "MaxConcurrencyPath")?,
            None => 0,
        };
        let concurrency = u32::try_from(concurrency).unwrap_or(u32::MAX);
        self.record(frame, Detail::MapStarted { items: Payload::Value(items), concurrency });
        if count == 0 {
            self.record(frame, Detail::MapSucceeded);
            return self.finish(frame, definition, Json::array([]));
        }
        self.iterate(frame, definition)
    }

    /// Begins as many iterations as may run.
    fn iterate(&mut self, frame: u32, definition: &StateDefinition) -> Result<(), Failure> {
        let State::Map(map) = &definition.state else { return Ok(()) };
        loop {
            let Some(branches) = self.branches(frame) else { return Ok(()) };
            let limit =
                if branches.concurrency == 0 { ITERATIONS_MAX } else { branches.concurrency };
            if branches.begun == branches.total || branches.running.len() as u32 >= limit {
                return Ok(());
            }
            let index = branches.begun;
            let item = branches.items.as_array().and_then(|items| items.get(index as usize));
            let item = item.cloned().unwrap_or_default();
            let input = match &map.selector {
                None => item,
                Some(template) => {
                    let raw =
                        self.position(frame).map(|at| at.input.value().clone()).unwrap_or_default();
                    let effective = self.effective(frame, definition, &raw)?;
                    self.evaluate(frame, &effective, None, Some((index, &item)), |s, e| {
                        template.evaluate(s, e)
                    })?
                }
            };
            let child = self.begin(frame, index);
            let name = Arc::clone(&definition.name);
            self.record(child, Detail::IterationStarted { name, index });
            self.work.push_back((child, map.start, Payload::Value(input)));
        }
    }

    // ---- failing -------------------------------------------------------------------------------

    /// A state failed: it is retried, caught, or fails its branch.
    fn failed(&mut self, frame: u32, failure: &Failure, heartbeat: bool) {
        let trouble = Trouble {
            error: Some(Arc::clone(&failure.error)),
            cause: (!failure.cause.is_empty()).then(|| Arc::clone(&failure.cause)),
        };
        self.troubled(frame, trouble, heartbeat);
    }

    fn troubled(&mut self, frame: u32, trouble: Trouble, heartbeat: bool) {
        let machine = Arc::clone(&self.machine);
        let Some(position) = self.position(frame) else { return };
        let definition = machine.state(position.state);
        let error = trouble.error.clone().unwrap_or_default();
        let retrier = definition
            .retry
            .iter()
            .enumerate()
            .find(|(_, retrier)| matches_error(&retrier.errors, &error, heartbeat));
        if let Some((number, retrier)) = retrier {
            let used = position.retries.get(&(number as u32)).copied().unwrap_or(0);
            if used < retrier.attempts_max {
                let roll = self.turn.entropy.next_f64();
                let due = self.turn.now.plus_ms(retrier.delay_ms(used, roll));
                self.record(frame, Detail::RetryScheduled { retrier: number as u32, due });
                return;
            }
        }
        self.close_branches(frame, definition, &trouble);
        let catcher = definition.catch.iter().find(|c| matches_error(&c.errors, &error, heartbeat));
        match catcher {
            Some(catcher) => {
                if let Err(failure) = self.caught(frame, definition, catcher, &trouble) {
                    let Failure { error, cause } = self.told(frame, failure);
                    self.fail_branch(frame, Trouble { error: Some(error), cause: Some(cause) });
                }
            }
            None => self.fail_branch(frame, trouble),
        }
    }

    fn close_branches(&mut self, frame: u32, definition: &StateDefinition, trouble: &Trouble) {
        if self.branches(frame).is_none() {
            return;
        }
        match definition.state {
            State::Map(_) => self.record(frame, Detail::MapFailed(trouble.clone())),
            _ => self.record(frame, Detail::ParallelFailed(trouble.clone())),
        }
    }

    fn caught(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        catcher: &Catcher,
        trouble: &Trouble,
    ) -> Result<(), Failure> {
        let text = |text: &Option<Arc<str>>| text.clone().map_or(Json::Null, Json::String);
        let output =
            Json::object([("Error", text(&trouble.error)), ("Cause", text(&trouble.cause))]);
        let assigned = self.assigned(frame, catcher.assign.as_ref(), &output)?;
        let raw = self.position(frame).map(|at| at.input.value().clone()).unwrap_or_default();
        let merged = match &catcher.result_path {
            None => raw,
            Some(path) => path
                .write(&raw, output)
                .map_err(|error| Failure::new("States.ResultPathMatchFailure", error.message))?,
        };
        self.leave(frame, definition, Payload::Value(merged), Some(catcher.next), assigned)
    }

    /// A branch fails: the state around it does, or the execution.
    fn fail_branch(&mut self, frame: u32, trouble: Trouble) {
        let Some(branch) = self.execution.frames.get(&frame) else { return };
        let Some((parent, index)) = branch.parent else {
            self.record(0, Detail::ExecutionFailed(trouble));
            return;
        };
        let machine = Arc::clone(&self.machine);
        let owner = self.position(parent).map(|at| machine.state(at.state));
        let Some(definition) = owner else { return };
        if matches!(definition.state, State::Map(_)) {
            let name = Arc::clone(&definition.name);
            self.record(frame, Detail::IterationFailed { name, index });
        }
        self.troubled(parent, trouble, false);
    }

    // ---- states --------------------------------------------------------------------------------

    fn choose(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        input: &Json,
    ) -> Result<(), Failure> {
        let State::Choice { rules, default } = &definition.state else { return Ok(()) };
        for rule in rules {
            if self.evaluate(frame, input, None, None, |scope, _| rule.rule.matches(scope))? {
                let assign = rule.assign.as_ref().or(definition.assign.as_ref());
                return self.go(frame, definition, input, rule.next, assign);
            }
        }
        if let Some(next) = default {
            self.go(frame, definition, input, *next, definition.assign.as_ref())
        } else {
            let cause = "No choice rule matched and no Default is defined";
            Err(Failure::new("States.NoChoiceMatched", cause))
        }
    }

    fn go(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        input: &Json,
        next: StateId,
        assign: Option<&crate::template::Template>,
    ) -> Result<(), Failure> {
        let assigned = self.assigned(frame, assign, input)?;
        let raw = self.position(frame).map(|at| at.input.clone());
        let output = match raw {
            Some(raw) if definition.is_transparent() => raw,
            _ => Payload::Value(self.output(frame, definition, input.clone())?),
        };
        self.leave(frame, definition, output, Some(next), assigned)
    }

    fn wait(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        wait: &Wait,
        input: &Json,
    ) -> Result<(), Failure> {
        let until = match wait {
            Wait::Seconds(seconds) => {
                let seconds = self.number(frame, seconds, input, "SecondsPath")?;
                if seconds > WAIT_MAX_S {
                    return Err(runtime("Wait state delay is too long."));
                }
                let entered = self.position(frame).map_or(self.turn.now, |at| at.entered_at);
                entered.plus_ms(seconds.saturating_mul(1_000))
            }
            Wait::Timestamp(text) => Timestamp::parse(text).ok_or_else(|| {
                runtime(format!("The Timestamp field cannot be parsed as an ISO-8601 extended offset date-time format string: {text}"))
            })?,
            Wait::TimestampPath(path) => {
                let value = self.read(frame, path, input)?;
                let time = value.as_str().and_then(Timestamp::parse);
                let shown = value.as_str().map_or_else(|| value.to_text(), str::to_owned);
                time.ok_or_else(|| runtime(format!("The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time format string: {} == {shown}", path.text())))?
            }
        };
        if until.since_ms(self.turn.now) > WAIT_MAX_S * 1_000 {
            return Err(runtime("Wait state delay is too long."));
        }
        if until > self.turn.now {
            self.record(frame, Detail::WaitUntil(until));
            return Ok(());
        }
        self.waited(frame, definition)
    }

    fn waited(&mut self, frame: u32, definition: &StateDefinition) -> Result<(), Failure> {
        let Some(raw) = self.position(frame).map(|at| at.input.clone()) else { return Ok(()) };
        if definition.is_transparent() {
            let value = raw.value().clone();
            return self.exit(frame, definition, Ok(raw), &value);
        }
        let effective = self.effective(frame, definition, raw.value())?;
        let output = self.output(frame, definition, effective.clone())?;
        self.exit(frame, definition, Ok(Payload::Value(output)), &effective)
    }

    fn schedule(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        input: &Json,
    ) -> Result<(), Failure> {
        let State::Task { resource, timeout, heartbeat } = &definition.state else { return Ok(()) };
        let scheduled: EventId = self.execution.last_id + 1;
        let waits = resource.pattern() == Pattern::WaitForTaskToken;
        let token = waits.then(|| (self.turn.token)(scheduled));
        let parameters = self.parameters(frame, definition, input, token.as_deref())?;
        if exceeds(&parameters) {
            return Err(too_large(&definition.name));
        }
        let read = |decider: &mut Self, seconds: &Option<Seconds>, field| {
            seconds.as_ref().map(|seconds| decider.number(frame, seconds, input, field)).transpose()
        };
        let timeout_s = read(self, timeout, "TimeoutSecondsPath")?;
        let heartbeat_s = read(self, heartbeat, "HeartbeatSecondsPath")?;
        let (resource_type, shown) = shown(resource);
        self.record(
            frame,
            Detail::Scheduled {
                resource_type: Arc::clone(&resource_type),
                resource: Arc::clone(&shown),
                region: self.region(),
                parameters: Payload::Value(parameters.clone()),
                timeout_s,
                heartbeat_s,
            },
        );
        let function = resource.is_function();
        self.record(frame, Detail::Started { function, resource_type, resource: shown });
        self.decision.tasks.push(Task {
            scheduled,
            resource: Arc::clone(resource),
            parameters,
            timeout_ms: timeout_s.map(|seconds| seconds * 1_000),
            state: Arc::clone(&definition.name),
        });
        Ok(())
    }

    fn region(&self) -> Arc<str> {
        self.execution.execution_arn.split(':').nth(3).unwrap_or_default().into()
    }

    // ---- tasks and timers ----------------------------------------------------------------------

    fn returned(&mut self, frame: u32, result: Result<Json, Failure>) {
        let Some(resource) = self.resource(frame) else { return };
        match result {
            Ok(output) if resource.pattern() == Pattern::WaitForTaskToken => {
                let (resource_type, shown) = shown(&resource);
                self.record(
                    frame,
                    Detail::Submitted {
                        resource_type,
                        resource: shown,
                        output: Payload::Value(output),
                    },
                );
            }
            Ok(output) => self.task_succeeded(frame, Payload::Value(output)),
            Err(Failure { error, cause }) => {
                self.task_failed(frame, Trouble { error: Some(error), cause: Some(cause) });
            }
        }
    }

    fn resource(&self, frame: u32) -> Option<Arc<Resource>> {
        match &self.definition(frame)?.state {
            State::Task { resource, .. } => Some(Arc::clone(resource)),
            _ => None,
        }
    }

    fn task_succeeded(&mut self, frame: u32, output: Payload) {
        let machine = Arc::clone(&self.machine);
        let (Some(resource), Some(position)) = (self.resource(frame), self.position(frame)) else {
            return;
        };
        let definition = machine.state(position.state);
        if exceeds(output.value()) {
            let Failure { error, cause } = too_large(&definition.name);
            return self.task_failed(frame, Trouble { error: Some(error), cause: Some(cause) });
        }
        let (resource_type, shown) = shown(&resource);
        let function = resource.is_function();
        let result = output.value().clone();
        self.record(
            frame,
            Detail::TaskSucceeded { function, resource_type, resource: shown, output },
        );
        if let Err(failure) = self.finish(frame, definition, result) {
            let failure = self.told(frame, failure);
            self.failed(frame, &failure, false);
        }
    }

    fn task_failed(&mut self, frame: u32, trouble: Trouble) {
        self.task_ended(frame, trouble, false, false);
    }

    fn task_ended(&mut self, frame: u32, trouble: Trouble, timed_out: bool, heartbeat: bool) {
        let Some(resource) = self.resource(frame) else { return };
        let (resource_type, shown) = shown(&resource);
        self.record(
            frame,
            Detail::TaskEnded {
                function: resource.is_function(),
                timed_out,
                heartbeat,
                resource_type,
                resource: shown,
                trouble: trouble.clone(),
            },
        );
        self.troubled(frame, trouble, heartbeat);
    }

    /// Fires everything that is due, earliest first.
    fn timers(&mut self) {
        while let Some((due, frame)) = self.execution.deadlines.first().copied() {
            if due > self.turn.now || self.machine_timed_out(due) {
                break;
            }
            let before = self.execution.last_seq;
            self.fire(frame, due);
            self.run();
            if self.execution.last_seq == before {
                break;
            }
        }
        if self.machine_timed_out(self.turn.now) {
            let error = Some("States.Timeout".into());
            self.record(0, Detail::ExecutionTimedOut(Trouble { error, cause: None }));
        }
    }

    fn machine_timed_out(&self, at: Timestamp) -> bool {
        let deadline = self.execution.machine_deadline();
        deadline.is_some_and(|deadline| deadline <= at && deadline <= self.turn.now)
    }

    fn fire(&mut self, frame: u32, due: Timestamp) {
        let machine = Arc::clone(&self.machine);
        let Some(position) = self.position(frame) else { return };
        let definition = machine.state(position.state);
        match &position.activity {
            Activity::Waiting { .. } => {
                if let Err(failure) = self.waited(frame, definition) {
                    let failure = self.told(frame, failure);
                    self.failed(frame, &failure, false);
                }
            }
            Activity::Retrying { .. } => {
                self.record(frame, Detail::RetryDue);
                self.perform(frame);
            }
            Activity::Task(OpenTask { timeout_at, .. }) => {
                let heartbeat = *timeout_at != Some(due);
                let trouble = Trouble { error: Some("States.Timeout".into()), cause: None };
                self.task_ended(frame, trouble, true, heartbeat);
            }
            Activity::Deciding | Activity::Branches(_) => {}
        }
    }
}

fn with_variables<'a>(
    chain: &[&'a BTreeMap<Arc<str>, Json>],
    parent: Option<&Variables<'_>>,
    run: &mut dyn FnMut(&Variables<'_>),
) {
    match chain.split_last() {
        Some((frame, rest)) => {
            let variables = Variables { frame, parent };
            if rest.is_empty() {
                run(&variables);
            } else {
                with_variables(rest, Some(&variables), run);
            }
        }
        None => run(&Variables { frame: &BTreeMap::new(), parent }),
    }
}

fn kind_of(state: &State) -> Kind {
    match state {
        State::Pass { .. } => Kind::Pass,
        State::Task { .. } => Kind::Task,
        State::Choice { .. } => Kind::Choice,
        State::Wait(_) => Kind::Wait,
        State::Succeed => Kind::Succeed,
        State::Fail { .. } => Kind::Fail,
        State::Parallel { .. } => Kind::Parallel,
        State::Map(_) => Kind::Map,
    }
}

/// Resource type and operation as history shows them.
fn shown(resource: &Resource) -> (Arc<str>, Arc<str>) {
    if resource.is_function() {
        return ("lambda-function".into(), resource.text().into());
    }
    (resource.service().into(), resource.shown().into())
}

fn runtime(cause: impl Into<Arc<str>>) -> Failure {
    Failure::new("States.Runtime", cause)
}

fn too_large(state: &str) -> Failure {
    let cause = format!(
        "The state/task '{state}' returned a result with a size exceeding the maximum number of bytes service limit."
    );
    Failure::new("States.DataLimitExceeded", cause)
}

fn too_many_events() -> Detail {
    Detail::ExecutionFailed(Trouble {
        error: Some("States.Runtime".into()),
        cause: Some(
            format!("The execution reached the maximum number of history events ({EVENTS_MAX}).")
                .into(),
        ),
    })
}

/// Whether the compact text of `value` is longer than a payload may be. Stops counting there.
fn exceeds(value: &Json) -> bool {
    fn size(value: &Json, left: usize) -> Option<usize> {
        match value {
            Json::Null | Json::Bool(_) => left.checked_sub(4),
            Json::Number(_) => left.checked_sub(1),
            Json::String(text) => left.checked_sub(text.len() + 2),
            Json::Array(items) => items
                .iter()
                .try_fold(left.checked_sub(2)?, |left, item| size(item, left.checked_sub(1)?)),
            Json::Object(members) => {
                members.iter().try_fold(left.checked_sub(2)?, |left, (k, v)| {
                    size(v, left.checked_sub(k.len() + 4)?)
                })
            }
        }
    }
    // The bound is generous by what separators and numbers cost; near it the text decides.
    size(value, PAYLOAD_MAX / 2).is_none() && value.to_text().len() > PAYLOAD_MAX
}
