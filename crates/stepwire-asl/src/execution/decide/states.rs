//! Pass, Choice and Wait.

use super::evaluate::About;
use super::{Decider, runtime};
use crate::definition::{ChoiceRule, Data, State, StateDefinition, StateId, Test, Wait};
use crate::execution::trial::Stage;
use crate::history::{Detail, Payload};
use crate::jsonata::EVALUATION;
use crate::scope::{Failure, Fault};
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
    ) -> Result<(), Fault> {
        let result = match result {
            Some(result) => {
                self.note(Stage::Result, result);
                result.clone()
            }
            None if definition.is_transparent() && self.probe.is_none() => {
                return self.pass_on(frame, definition, raw, effective);
            }
            None if matches!(definition.data, Data::Jsonata { .. }) => {
                return self.pass_on(frame, definition, raw, effective);
            }
            None => {
                let made = self.parameters(frame, definition, &effective, About::default())?;
                self.note(Stage::AfterParameters, &made);
                made
            }
        };
        self.finish(frame, definition, result)
    }

    pub(super) fn choose(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        input: &Json,
    ) -> Result<(), Fault> {
        let State::Choice { rules, default } = &definition.state else { return Ok(()) };
        for rule in rules {
            let about = About::default();
            let applies = match &rule.test {
                Test::Always(applies) => *applies,
                Test::Rule(test) => {
                    self.evaluate(frame, input, about, |scope, _| Ok(test.matches(scope)?))?
                }
                Test::Condition(test) => {
                    self.evaluate(frame, input, about, |scope, dice| test.truth(scope, dice))?
                }
            };
            if applies {
                return self.go(frame, definition, input, rule.next, Some(rule));
            }
        }
        let Some(next) = default else {
            let cause =
                "Failed to transition out of the state. The state does not point to a next state.";
            return Err(runtime(cause));
        };
        self.go(frame, definition, input, *next, None)
    }

    fn go(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        input: &Json,
        next: StateId,
        rule: Option<&ChoiceRule>,
    ) -> Result<(), Fault> {
        let assign = rule.and_then(|rule| rule.assign.as_ref()).or(definition.assign.as_ref());
        let output = rule.and_then(|rule| rule.output.as_ref());
        let assigned = self.assigned(frame, assign, input, About::default())?;
        let Some(raw) = self.position(frame).map(|at| at.input.clone()) else { return Ok(()) };
        let output = self.unchanged(frame, definition, output, raw, input)?;
        self.leave(frame, definition, output, Some(next), assigned)
    }

    pub(super) fn wait(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        wait: &Wait,
        input: &Json,
    ) -> Result<(), Fault> {
        let until = match wait {
            Wait::Seconds(seconds) => {
                let seconds = self.number(frame, seconds, input, "SecondsPath")?;
                let entered = self.position(frame).map_or(self.turn.now, |at| at.entered_at);
                entered.plus_ms(seconds.saturating_mul(1_000))
            }
            Wait::Until(until) => *until,
            Wait::Expression(expression) => {
                let about = About::default();
                let text =
                    self.evaluate(frame, input, about, |s, dice| expression.text(s, dice))?;
                Timestamp::parse(&text).ok_or_else(|| Fault {
                    failure: Failure::new(
                        EVALUATION,
                        format!(
                            "The Timestamp field cannot be parsed as an ISO-8601 extended offset date-time format string: {text}"
                        ),
                    ),
                    location: Some("Timestamp".into()),
                    evaluated: true,
                })?
            }
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
    pub(super) fn waited(&mut self, frame: u32, definition: &StateDefinition) -> Result<(), Fault> {
        let Some(raw) = self.position(frame).map(|at| at.input.clone()) else { return Ok(()) };
        let effective = self.effective(frame, definition, raw.value())?;
        self.pass_on(frame, definition, raw, effective)
    }
}
