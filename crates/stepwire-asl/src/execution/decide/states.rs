//! Pass, Choice and Wait.

use super::evaluate::About;
use super::{Decider, runtime};
use crate::definition::{State, StateDefinition, StateId, Wait};
use crate::history::{Detail, Payload};
use crate::scope::Failure;
use crate::template::Template;
use crate::{Json, Timestamp};

/// Longest wait: what Step Functions accepts (24,855 days).
const WAIT_MAX_S: i64 = 2_147_483_647;

impl Decider<'_, '_> {
    pub(super) fn pass(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        result: Option<&Json>,
        raw: Payload,
        effective: Json,
    ) -> Result<(), Failure> {
        let result = match result {
            Some(result) => result.clone(),
            None if definition.is_transparent() => {
                // A state that changes nothing hands its input on as the caller wrote it.
                return self.exit(frame, definition, raw, &effective);
            }
            None => self.parameters(frame, definition, &effective, About::default())?,
        };
        self.finish(frame, definition, result)
    }

    pub(super) fn choose(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        input: &Json,
    ) -> Result<(), Failure> {
        let State::Choice { rules, default } = &definition.state else { return Ok(()) };
        for rule in rules {
            let about = About::default();
            if self.evaluate(frame, input, about, |scope, _| rule.rule.matches(scope))? {
                let assign = rule.assign.as_ref().or(definition.assign.as_ref());
                return self.go(frame, definition, input, rule.next, assign);
            }
        }
        let Some(next) = default else {
            let cause =
                "Failed to transition out of the state. The state does not point to a next state.";
            return Err(runtime(cause));
        };
        self.go(frame, definition, input, *next, definition.assign.as_ref())
    }

    fn go(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        input: &Json,
        next: StateId,
        assign: Option<&Template>,
    ) -> Result<(), Failure> {
        let assigned = self.assigned(frame, assign, input)?;
        let raw = self.position(frame).map(|at| at.input.clone());
        let output = match raw {
            Some(raw) if definition.is_transparent() => raw,
            _ => Payload::Value(self.output(frame, definition, input.clone())?),
        };
        self.leave(frame, definition, output, Some(next), assigned)
    }

    pub(super) fn wait(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        wait: &Wait,
        input: &Json,
    ) -> Result<(), Failure> {
        let until = match wait {
            Wait::Seconds(seconds) => {
                let seconds = self.number(frame, seconds, input, "SecondsPath")?;
                let entered = self.position(frame).map_or(self.turn.now, |at| at.entered_at);
                entered.plus_ms(seconds.saturating_mul(1_000))
            }
            Wait::Until(until) => *until,
            Wait::TimestampPath(path) => {
                let value = self.read(frame, path, input)?;
                let shown = value.as_str().map_or_else(|| value.to_text(), str::to_owned);
                value.as_str().and_then(Timestamp::parse).ok_or_else(|| {
                    runtime(format!(
                        "The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time format string: {} == {shown}",
                        path.text()
                    ))
                })?
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

    /// A Wait state's time has come.
    pub(super) fn waited(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
    ) -> Result<(), Failure> {
        let Some(raw) = self.position(frame).map(|at| at.input.clone()) else { return Ok(()) };
        if definition.is_transparent() {
            let value = raw.value().clone();
            return self.exit(frame, definition, raw, &value);
        }
        let effective = self.effective(frame, definition, raw.value())?;
        let output = self.output(frame, definition, effective.clone())?;
        self.exit(frame, definition, Payload::Value(output), &effective)
    }
}
