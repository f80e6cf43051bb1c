//! Reading what a state is given: paths, templates, the context object.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::leave::{DATA_LIMIT, too_large};
use super::{Decider, runtime};
use crate::definition::{Data, Seconds, State, StateDefinition, Text};
use crate::execution::{Activity, Frame};
use crate::history::{Detail, Trouble};
use crate::jsonata::EVALUATION;
use crate::path::Path;
use crate::scope::{Failure, Fault, Scope, Variables};
use crate::{Entropy, Json, Timestamp};

/// The variables that a branch sees: its own, then those of the branches around it.
struct Visible<'a> {
    frames: &'a BTreeMap<u32, Frame>,
    frame: u32,
}

impl Variables for Visible<'_> {
    fn variable(&self, name: &str) -> Option<&Json> {
        let mut at = self.frames.get(&self.frame)?;
        loop {
            if let Some(value) = at.variables.get(name) {
                return Some(value);
            }
            at = self.frames.get(&at.parent?.0)?;
        }
    }
}

/// What an expression may read beyond the input and the execution.
#[derive(Default, Clone, Copy)]
pub(super) struct About<'a> {
    /// `$states.result`
    pub(super) result: Option<&'a Json>,
    /// `$states.errorOutput`
    pub(super) error_output: Option<&'a Json>,
    /// `$$.Task.Token`
    pub(super) token: Option<&'a str>,
    /// `$$.Map.Item`, when it is not that of an iteration around the state.
    pub(super) item: Option<(u32, &'a Json)>,
    /// `$$.Map.Item.Key`
    pub(super) key: Option<&'a str>,
    /// `$$.Map.Item.Source`
    pub(super) source: Option<&'a str>,
}

impl Decider<'_, '_> {
    pub(super) fn evaluate<T>(
        &mut self,
        frame: u32,
        input: &Json,
        about: About<'_>,
        run: impl FnOnce(&Scope<'_>, &mut Entropy) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let wants = self.definition(frame).is_some_and(|definition| definition.reads_context);
        let given = self.probe.as_ref().and_then(|probe| probe.setup.context.clone());
        let context = match given {
            Some(given) => with_item(given, about.item),
            None if wants => self.context(frame, about),
            None => Json::Null,
        };
        let variables = &Visible { frames: &self.execution.frames, frame };
        let scope = Scope {
            input,
            context: &context,
            variables,
            result: about.result,
            error_output: about.error_output,
            now: self.turn.now,
        };
        let evaluated = run(&scope, self.turn.entropy);
        evaluated.map_err(|fault| self.sized(frame, fault))
    }

    /// Tells who made what no payload can hold.
    fn sized(&self, frame: u32, fault: Fault) -> Fault {
        match self.definition(frame) {
            Some(definition) if fault.failure.error.as_ref() == DATA_LIMIT => {
                too_large(&definition.name).into()
            }
            _ => fault,
        }
    }

    fn context(&self, frame: u32, about: About<'_>) -> Json {
        let arn = &self.execution.execution_arn;
        let parts: Vec<&str> = arn.splitn(8, ':').collect();
        let (head, machine, name) = match parts.as_slice() {
            [head @ .., _, machine, name] if head.len() == 5 => (head.join(":"), *machine, *name),
            _ => (String::new(), "", ""),
        };
        // An Express execution has a unique part behind its name, and no redrives.
        let express = parts.get(5) == Some(&"express");
        let name = name.split_once(':').map_or(name, |(name, _)| name);
        let role_arn = Some(&self.execution.role_arn).filter(|role_arn| !role_arn.is_empty());
        let mut execution = vec![
            ("Id", Json::String(Arc::clone(arn))),
            ("Input", self.execution.input.value().clone()),
            ("StartTime", Json::from(self.execution.started.rfc3339())),
            ("Name", Json::from(name)),
            ("RoleArn", role_arn.map_or(Json::Null, |arn| Json::String(Arc::clone(arn)))),
        ];
        if !express {
            execution.push(("RedriveCount", Json::from(i64::from(self.execution.redrives))));
        }
        let redriven = self.execution.redriven.map(Timestamp::rfc3339);
        execution.extend(redriven.map(|at| ("RedriveTime", Json::from(at))));
        let execution = Json::object(execution);
        let id = format!("{head}:stateMachine:{machine}");
        let machine = [("Id", Json::from(id)), ("Name", Json::from(machine))];
        let mut members = vec![("Execution", execution), ("StateMachine", Json::object(machine))];
        members.extend(self.context_of_state(frame));
        if let Some(token) = about.token {
            members.push(("Task", Json::object([("Token", Json::from(token))])));
        }
        let item = about.item.map(|(index, value)| (index, value.clone()));
        if let Some((index, value)) = item.or_else(|| self.item_of(frame)) {
            let mut item = vec![("Index", Json::from(i64::from(index))), ("Value", value)];
            item.extend(about.key.map(|key| ("Key", Json::from(key))));
            item.extend(about.source.map(|source| ("Source", Json::from(source))));
            let item = Json::object(item);
            members.push(("Map", Json::object([("Item", item)])));
        }
        Json::object(members)
    }

    fn context_of_state(&self, frame: u32) -> Option<(&'static str, Json)> {
        let position = self.position(frame)?;
        let definition = self.machine.state(position.state);
        let mut state = vec![
            ("Name", Json::String(Arc::clone(&definition.name))),
            ("EnteredTime", Json::from(position.entered_at.rfc3339())),
        ];
        if matches!(definition.state, State::Task(_) | State::Parallel { .. } | State::Map(_)) {
            let tried = self.probe.as_ref().map(|probe| probe.setup.retries);
            let retries: u32 = tried.unwrap_or_else(|| position.retries.values().sum());
            state.push(("RetryCount", Json::from(i64::from(retries))));
        }
        Some(("State", Json::object(state)))
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

    /// The state's input after `InputPath`.
    pub(super) fn effective(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        raw: &Json,
    ) -> Result<Json, Fault> {
        let Data::JsonPath(paths) = &definition.data else { return Ok(raw.clone()) };
        match &paths.input {
            Some(path) => self.read(frame, path, raw),
            None => Ok(Json::Object(Arc::default())),
        }
    }

    /// What `path` names in `input`.
    pub(super) fn read(&mut self, frame: u32, path: &Path, input: &Json) -> Result<Json, Fault> {
        if path.is_whole() {
            return Ok(input.clone());
        }
        self.evaluate(frame, input, About::default(), |scope, _| {
            path.read(scope)
                .map_err(|why| runtime(format!("Invalid path '{}' : {why}", path.text())))
        })
    }

    /// The effective input after `Parameters`, or `Arguments`.
    pub(super) fn parameters(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        input: &Json,
        about: About<'_>,
    ) -> Result<Json, Fault> {
        let template = match &definition.data {
            Data::JsonPath(paths) => &paths.parameters,
            Data::Jsonata { arguments, .. } => arguments,
        };
        match template {
            Some(template) => self.evaluate(frame, input, about, |s, e| template.evaluate(s, e)),
            None => Ok(input.clone()),
        }
    }

    /// `value` after `OutputPath`.
    pub(super) fn output(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        value: Json,
    ) -> Result<Json, Fault> {
        let Data::JsonPath(paths) = &definition.data else { return Ok(value) };
        match &paths.output {
            Some(path) => self.read(frame, path, &value),
            None => Ok(Json::Object(Arc::default())),
        }
    }

    /// A text that is written or computed from `input`.
    pub(super) fn words(
        &mut self,
        frame: u32,
        input: &Json,
        text: Option<&Text>,
        field: &str,
    ) -> Result<Option<Arc<str>>, Fault> {
        let value = match text {
            None => return Ok(None),
            Some(Text::Literal(text)) => return Ok(Some(Arc::clone(text))),
            Some(Text::Expression(expression)) => {
                let about = About::default();
                let text = |scope: &Scope<'_>, dice: &mut Entropy| expression.text(scope, dice);
                return self.evaluate(frame, input, about, text).map(Some);
            }
            Some(Text::Call(call)) => {
                let about = About::default();
                self.evaluate(frame, input, about, |scope, dice| Ok(call.evaluate(scope, dice)?))?
            }
            Some(Text::Path(path)) => self.evaluate(frame, input, About::default(), |scope, _| {
                path.read(scope).map_err(|_| {
                    runtime(format!(
                        "The JSONPath '{}' specified for the field '{field}' could not be found in the input '{}'",
                        path.text(),
                        scope.input.to_text()
                    ))
                })
            })?,
        };
        match value {
            Json::String(text) => Ok(Some(text)),
            other => {
                Err(runtime(format!("The value of '{field}' must be a string but was: {other}")))
            }
        }
    }

    /// A whole number that is written or read from `input`, as a number or as text.
    pub(super) fn whole(
        &mut self,
        frame: u32,
        seconds: &Seconds,
        input: &Json,
        field: &str,
    ) -> Result<i64, Fault> {
        let path = match seconds {
            Seconds::Fixed(number) => return Ok(*number),
            Seconds::Expression(expression) => {
                let about = About::default();
                return self.evaluate(frame, input, about, |s, dice| expression.count(s, dice));
            }
            Seconds::Path(path) => path,
        };
        let value = self.read(frame, path, input)?;
        let written = value.as_str().and_then(|text| text.parse().ok());
        value.as_i64().or(written).ok_or_else(|| {
            runtime(format!(
                "The {field} field refers to value {value} which is not a valid integer: {}",
                path.text()
            ))
        })
    }

    /// A number that is written or read from `input`; not negative.
    pub(super) fn number(
        &mut self,
        frame: u32,
        seconds: &Seconds,
        input: &Json,
        field: &str,
    ) -> Result<i64, Fault> {
        let Seconds::Path(path) = seconds else {
            return self.whole(frame, seconds, input, field);
        };
        let waits = field == "SecondsPath";
        let value = self.read(frame, path, input).map_err(|fault| {
            if waits {
                runtime(format!(
                    "The SecondsPath parameter does not reference an input value: {}",
                    path.text()
                ))
            } else {
                fault
            }
        })?;
        let shown = format!("{} == {}", path.text(), value);
        let written = value.as_str().filter(|_| !waits).and_then(|text| text.parse().ok());
        match value.as_i64().or(written) {
            Some(number) if number >= 0 => Ok(number),
            Some(_) if waits => Err(runtime(format!(
                "The SecondsPath parameter references a negative value: {shown}"
            ))),
            None if waits => Err(runtime(format!(
                "The SecondsPath parameter cannot be parsed as a long value: {shown}"
            ))),
            None if field == "MaxConcurrencyPath" => Err(runtime(format!(
                "The {field} field refers to value {value} which is not a valid integer: {}",
                path.text()
            ))),
            _ => Err(runtime(format!(
                "The {field} parameter does not reference a valid integer value: {shown}"
            ))),
        }
    }

    /// What became of the state `frame` is in, in AWS's sentence; tells of an evaluation that failed.
    pub(super) fn told(
        &mut self,
        frame: u32,
        Fault { failure, location, evaluated }: Fault,
    ) -> Trouble {
        let Some(position) = self.position(frame) else { return failure.into() };
        let name = &self.machine.state(position.state).name;
        let trouble = Trouble::from(self.sentence(frame, failure));
        if trouble.error.as_deref() == Some(EVALUATION) {
            let (state, trouble) = (Arc::clone(name), trouble.clone());
            self.record(frame, Detail::EvaluationFailed { state, location, evaluated, trouble });
        }
        trouble
    }

    /// A failure of the state `frame` is in, in AWS's sentence.
    pub(super) fn sentence(&self, frame: u32, failure: Failure) -> Failure {
        let Some(position) = self.position(frame) else { return failure };
        if failure.error.as_ref() == DATA_LIMIT {
            return failure;
        }
        let name = &self.machine.state(position.state).name;
        let cause = format!(
            "An error occurred while executing the state '{name}' (entered at the event id #{}). {}",
            position.entered, failure.cause
        );
        Failure { error: failure.error, cause: cause.into() }
    }
}

/// A context object that the caller gave, and in it the item that is being looked at.
fn with_item(given: Json, item: Option<(u32, &Json)>) -> Json {
    let (Some((index, value)), Some(members)) = (item, given.as_object()) else { return given };
    let item = [("Index", Json::from(i64::from(index))), ("Value", value.clone())];
    let mut members = members.clone();
    members.insert("Map".into(), Json::object([("Item", Json::object(item))]));
    Json::Object(Arc::new(members))
}
