//! Step Functions as its own tasks see it: members in PascalCase, times as the SDKs give them.

use std::sync::Arc;

use stepwire_asl::json::Object;
use stepwire_asl::{Json, Timestamp};

use super::names::{camel, pascal};

/// Members whose keys are data.
const MAPS: [&str; 2] = ["assignedVariables", "variableReferences"];
/// Members that are JSON in text: a task may give them as JSON.
const TEXTS: [&str; 2] = ["Input", "Output"];

/// A request's body from a task's parameters: names as on the wire, null members left out.
pub(super) fn body(parameters: &Json) -> Json {
    let Some(members) = parameters.as_object() else { return parameters.clone() };
    let members = members.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| {
        let written = TEXTS.contains(&name.as_ref()) && value.as_str().is_none();
        let value = if written { Json::from(value.to_text()) } else { in_camel(value) };
        (Arc::from(camel(name)), value)
    });
    Json::Object(Arc::new(members.collect::<Object>()))
}

fn in_camel(value: &Json) -> Json {
    super::names::rename(value, &camel)
}

/// An answer as SDK v2 gives it: times as RFC 3339.
pub(super) fn v2(answer: &Json) -> Json {
    renamed(answer, &|at| Json::from(at.rfc3339()))
}

/// An answer as SDK v1 gives it: members in order of name, times in milliseconds.
pub(crate) fn v1(answer: &Json) -> Json {
    let mut named = renamed(answer, &|at| Json::from(at.0));
    if let Json::Object(members) = &mut named {
        Arc::make_mut(members).sort_keys();
    }
    named
}

fn renamed(value: &Json, time: &dyn Fn(Timestamp) -> Json) -> Json {
    match value {
        Json::Object(members) => {
            let members = members.iter().map(|(name, value)| {
                let is_time = name.ends_with("Date") || name.as_ref() == "timestamp";
                let value = match value.as_f64().filter(|_| is_time) {
                    Some(seconds) => time(Timestamp((seconds * 1_000.0).round() as i64)),
                    None if MAPS.contains(&name.as_ref()) => value.clone(),
                    None => renamed(value, time),
                };
                (Arc::from(pascal(name)), value)
            });
            Json::Object(Arc::new(members.collect::<Object>()))
        }
        Json::Array(items) => Json::array(items.iter().map(|item| renamed(item, time))),
        other => other.clone(),
    }
}

/// The name of the SDKs' exception for an error of the service.
pub(super) fn exception(code: &str) -> String {
    if code.ends_with("Exception") { code.to_owned() } else { format!("{code}Exception") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text).expect("JSON")
    }

    #[test]
    fn input_that_is_not_text_is_written_as_text_and_null_is_left_out() {
        let parameters = json(r#"{"StateMachineArn":"a","Input":{"Key":[1]},"Name":null}"#);
        let body = body(&parameters).to_text();
        assert_eq!(body, r#"{"stateMachineArn":"a","input":"{\"Key\":[1]}"}"#);
    }

    #[test]
    fn the_two_versions_give_times_differently() {
        let answer = json(r#"{"startDate":1.5,"executionArn":"a"}"#);
        assert_eq!(v1(&answer).to_text(), r#"{"ExecutionArn":"a","StartDate":1500}"#);
        let second = r#"{"StartDate":"1970-01-01T00:00:01.500Z","ExecutionArn":"a"}"#;
        assert_eq!(v2(&answer).to_text(), second);
    }
}
