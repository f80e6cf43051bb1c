//! Leaving a state: from its result to its output, and on to the next.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::evaluate::About;
use super::{Decider, kind_of};
use crate::definition::{Data, Next, StateDefinition, StateId};
use crate::execution::trial::Stage;
use crate::history::{Detail, Payload};
use crate::json::{DEPTH_MAX, Json};
use crate::scope::{Failure, Fault};
use crate::template::Template;

/// Error name of what no payload can hold.
pub(super) const DATA_LIMIT: &str = "States.DataLimitExceeded";

/// Variables that a state assigns.
type Assigned = BTreeMap<Arc<str>, Json>;

impl Decider<'_, '_> {
    /// From a state's result to its output: `ResultSelector`, `ResultPath`, `OutputPath`.
    pub(super) fn finish(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        result: Json,
    ) -> Result<(), Fault> {
        let Some(raw) = self.position(frame).map(|at| at.input.value().clone()) else {
            return Ok(());
        };
        let paths = match &definition.data {
            Data::JsonPath(paths) => paths,
            Data::Jsonata { output, .. } => {
                let about = About { result: Some(&result), ..About::default() };
                let made = self.made(frame, output.as_ref(), &raw, about)?;
                let output = Payload::Value(made.unwrap_or_else(|| result.clone()));
                return self.exit(frame, definition, output, &raw, about);
            }
        };
        let result = match &paths.result_selector {
            Some(template) => {
                self.evaluate(frame, &result, About::default(), |s, e| template.evaluate(s, e))?
            }
            None => result,
        };
        self.note(Stage::AfterResultSelector, &result);
        let merged = match &paths.result {
            None => raw,
            Some(path) => path.write(&raw, result.clone()).map_err(mismatch)?,
        };
        self.note(Stage::AfterResultPath, &merged);
        let output = self.output(frame, definition, merged)?;
        self.exit(frame, definition, Payload::Value(output), &result, About::default())
    }

    /// Leaves a state that has no result: its input, after `OutputPath` or as `Output` says.
    pub(super) fn pass_on(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        raw: Payload,
        effective: Json,
    ) -> Result<(), Fault> {
        let about = About::default();
        let output = self.unchanged(frame, definition, None, raw, &effective)?;
        self.exit(frame, definition, output, &effective, about)
    }

    /// The output of a state that has no result; `output` goes before its own `Output`.
    pub(super) fn unchanged(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        output: Option<&Template>,
        raw: Payload,
        effective: &Json,
    ) -> Result<Payload, Fault> {
        let own = match &definition.data {
            Data::Jsonata { output: own, .. } => output.or(own.as_ref()),
            // A state that changes nothing hands its input on as the caller wrote it.
            Data::JsonPath(_) if definition.is_transparent() => return Ok(raw),
            Data::JsonPath(_) => {
                return self.output(frame, definition, effective.clone()).map(Payload::Value);
            }
        };
        Ok(self.made(frame, own, raw.value(), About::default())?.map_or(raw, Payload::Value))
    }

    /// What `template` makes of `input`, when there is one.
    fn made(
        &mut self,
        frame: u32,
        template: Option<&Template>,
        input: &Json,
        about: About<'_>,
    ) -> Result<Option<Json>, Fault> {
        let made = |template: &Template| {
            self.evaluate(frame, input, about, |s, e| template.evaluate(s, e))
        };
        template.map(made).transpose()
    }

    /// Leaves a state for the one its definition names, or ends its branch.
    pub(super) fn exit(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        output: Payload,
        input: &Json,
        about: About<'_>,
    ) -> Result<(), Fault> {
        let next = match definition.next {
            Next::State(next) => Some(next),
            Next::End | Next::Chosen => None,
        };
        let assigned = self.assigned(frame, definition.assign.as_ref(), input, about)?;
        self.leave(frame, definition, output, next, assigned)
    }

    pub(super) fn assigned(
        &mut self,
        frame: u32,
        assign: Option<&Template>,
        input: &Json,
        about: About<'_>,
    ) -> Result<Assigned, Fault> {
        let Some(values) = self.made(frame, assign, input, about)? else {
            return Ok(Assigned::new());
        };
        self.check_size(frame, &values)?;
        let members = values.as_object().into_iter().flatten();
        Ok(members.map(|(name, value)| (Arc::clone(name), value.clone())).collect())
    }

    /// Refuses what the state that `frame` is in made, when no history could keep it.
    pub(super) fn check_size(&self, frame: u32, made: &Json) -> Result<(), Fault> {
        let Some(position) = self.position(frame) else { return Ok(()) };
        // What came in has been measured already.
        if position.input.value().same(made) {
            return Ok(());
        }
        let name = &self.machine.state(position.state).name;
        let most = self.turn.limits.payload_bytes_max;
        unfit(name, made, most).map_or(Ok(()), |failure| Err(failure.into()))
    }

    pub(super) fn leave(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        output: Payload,
        next: Option<StateId>,
        assigned: Assigned,
    ) -> Result<(), Fault> {
        self.check_size(frame, output.value())?;
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
            // A trial ends with its state.
            (Some(_), _) if self.probe.is_some() => {}
            (Some(next), _) => self.work.push_back((frame, next, output)),
            (None, None) => self.record(0, Detail::ExecutionSucceeded(output)),
            (None, Some((parent, index))) => self.branch_ended(parent, index),
        }
        Ok(())
    }
}

pub(super) fn mismatch(error: crate::path::Error) -> Failure {
    Failure::new("States.ResultPathMatchFailure", error.message)
}

/// The state or task `who` made more than a payload holds.
pub(super) fn too_large(who: &str) -> Failure {
    let cause = format!(
        "The state/task '{who}' returned a result with a size exceeding the maximum number of bytes service limit."
    );
    Failure::new(DATA_LIMIT, cause)
}

/// Why a history cannot keep what the state or task `who` made, with texts of at most `most` bytes.
pub(super) fn unfit(who: &str, made: &Json, most: usize) -> Option<Failure> {
    if surely_fits(made, most, DEPTH_MAX).is_some() {
        return None;
    }
    if exceeds(made, most) {
        return Some(too_large(who));
    }
    (!made.is_within(DEPTH_MAX)).then(|| {
        let cause = format!(
            "The state/task '{who}' returned a result that is nested more than {DEPTH_MAX} levels deep."
        );
        Failure::new("States.Runtime", cause)
    })
}

/// What is left of `bytes` after the longest text that `value` may have, within `levels` levels.
///
/// One short walk that settles all but the largest values.
fn surely_fits(value: &Json, bytes: usize, levels: usize) -> Option<usize> {
    match value {
        Json::Null | Json::Bool(_) => bytes.checked_sub(6),
        Json::Number(number) => bytes.checked_sub(number.text_len() + 1),
        Json::String(text) => bytes.checked_sub(6 * text.len() + 3),
        Json::Array(items) => {
            let (bytes, levels) = (bytes.checked_sub(3)?, levels.checked_sub(1)?);
            items.iter().try_fold(bytes, |bytes, item| surely_fits(item, bytes, levels))
        }
        Json::Object(members) => {
            let (bytes, levels) = (bytes.checked_sub(3)?, levels.checked_sub(1)?);
            members.iter().try_fold(bytes, |bytes, (name, value)| {
                surely_fits(value, bytes.checked_sub(6 * name.len() + 3)?, levels)
            })
        }
    }
}

/// Whether the compact text of `value` has more than `most` bytes. Stops counting there.
fn exceeds(value: &Json, most: usize) -> bool {
    fn after(value: &Json, left: usize) -> Option<usize> {
        match value {
            Json::Null | Json::Bool(true) => left.checked_sub(4),
            Json::Bool(false) => left.checked_sub(5),
            Json::Number(number) => left.checked_sub(number.text_len()),
            Json::String(text) => quoted(text, left),
            Json::Array(items) => {
                let left = left.checked_sub(2 + items.len().saturating_sub(1))?;
                items.iter().try_fold(left, |left, item| after(item, left))
            }
            Json::Object(members) => {
                let left = left.checked_sub(2 + members.len().saturating_sub(1))?;
                members.iter().try_fold(left, |left, (name, value)| {
                    after(value, quoted(name, left)?.checked_sub(1)?)
                })
            }
        }
    }
    fn quoted(text: &str, left: usize) -> Option<usize> {
        let extra: usize = text
            .bytes()
            .map(|byte| match byte {
                b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 1,
                0..0x20 => 5,
                _ => 0,
            })
            .sum();
        left.checked_sub(text.len() + extra + 2)
    }
    after(value, most).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAYLOAD_MAX: usize = 1_000;

    #[test]
    fn a_payload_is_measured_as_it_is_written() {
        let longest = |rest: &str| {
            let empty = format!("{{\"a\":\"\",\"b\":{rest}}}").len();
            format!("{{\"a\":\"{}\",\"b\":{rest}}}", "x".repeat(PAYLOAD_MAX - empty))
        };
        for rest in ["null", "[1,2.50,-7,true,false]", "\"\\u0001\\n\\\"é\"", "{\"c\":{},\"d\":[]}"]
        {
            let fits = longest(rest);
            assert_eq!(fits.len(), PAYLOAD_MAX);
            let value = Json::parse(&fits).expect("JSON");
            assert_eq!(value.to_text(), fits);
            assert!(!exceeds(&value, PAYLOAD_MAX), "{rest}");
            let over = Json::parse(&fits.replacen('x', "xx", 1)).expect("JSON");
            assert!(exceeds(&over, PAYLOAD_MAX), "{rest}");
        }
    }

    #[test]
    fn the_short_walk_never_lets_through_what_the_exact_one_refuses() {
        for text in ["{\"a\":[null,true,false,-1,2.5,\"\\u0001\\n\"]}", "[[],{},[{}]]", "\"\""] {
            let value = Json::parse(text).expect("JSON");
            for bytes in 0..200 {
                let fits = text.len() <= bytes;
                assert!(fits || surely_fits(&value, bytes, 9).is_none(), "{text} in {bytes}");
            }
            assert!(surely_fits(&value, 200, 3).is_some(), "{text}");
        }
        let nested = Json::parse("[[1]]").expect("JSON");
        assert!(surely_fits(&nested, 200, 1).is_none() && surely_fits(&nested, 200, 2).is_some());
    }
}
