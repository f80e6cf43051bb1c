//! The context object that a TestState request gives.

use stepwire_asl::definition::Pattern;
use stepwire_asl::{Json, SingleState};

use super::request::invalid;
use crate::error::ApiError;

/// What a member of the context object holds.
enum Holds {
    Text,
    Number,
    Anything,
    Members(&'static [(&'static str, Holds)]),
}

const CONTEXT: &[(&str, Holds)] = &[
    (
        "Execution",
        Holds::Members(&[
            ("Id", Holds::Text),
            ("Input", Holds::Anything),
            ("Name", Holds::Text),
            ("RoleArn", Holds::Text),
            ("StartTime", Holds::Text),
            ("RedriveCount", Holds::Number),
            ("RedriveTime", Holds::Text),
        ]),
    ),
    (
        "State",
        Holds::Members(&[
            ("EnteredTime", Holds::Text),
            ("Name", Holds::Text),
            ("RetryCount", Holds::Number),
        ]),
    ),
    ("StateMachine", Holds::Members(&[("Id", Holds::Text), ("Name", Holds::Text)])),
    ("Task", Holds::Members(&[("Token", Holds::Text)])),
    (
        "Map",
        Holds::Members(&[(
            "Item",
            Holds::Members(&[
                ("Index", Holds::Number),
                ("Value", Holds::Anything),
                ("Key", Holds::Text),
                ("Source", Holds::Text),
            ]),
        )]),
    ),
];

/// The context object that `text` writes, if `state` can have it.
pub(super) fn parse(text: &str, state: &SingleState) -> Result<Json, ApiError> {
    let refuse = |why: String| invalid(format!("Invalid Context object provided: {why}"));
    let context = Json::parse(text).map_err(|error| refuse(error.to_string()))?;
    check(&context, "", CONTEXT).map_err(refuse)?;
    let waits = state.resource().is_some_and(|r| r.pattern() != Pattern::RequestResponse);
    if context.member("Task").is_some() && !waits {
        let why = "Context object contains 'Task' when state is not a Task state with a '.sync' or \
                   '.waitForTaskToken' service integration pattern";
        return Err(refuse(why.to_owned()));
    }
    Ok(context)
}

/// Checks the members of the object at `place`, of which the context object's own is empty.
fn check(value: &Json, place: &str, known: &[(&str, Holds)]) -> Result<(), String> {
    let Some(members) = value.as_object() else {
        let what = if place.is_empty() { "Context object" } else { place };
        return Err(format!("{what} must be an object"));
    };
    for (name, value) in members {
        let Some((_, holds)) = known.iter().find(|(known, _)| *known == name.as_ref()) else {
            return Err(format!("Field '{name}' is not allowed"));
        };
        let place = if place.is_empty() { name.to_string() } else { format!("{place}.{name}") };
        match (holds, value) {
            (Holds::Anything, _)
            | (Holds::Text, Json::String(_))
            | (Holds::Number, Json::Number(_)) => {}
            (Holds::Text, _) => return Err(format!("{place} must be a string")),
            (Holds::Number, _) => return Err(format!("{place} must be a number")),
            (Holds::Members(inner), value) => check(value, &place, inner)?,
        }
    }
    Ok(())
}
