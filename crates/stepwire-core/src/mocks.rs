//! Mocked service integrations: the `MockConfigFile.json` of Step Functions Local.
//!
//! ```json
//! {
//!   "StateMachines": {"orders": {"TestCases": {"Happy": {"Charge": "charged"}}}},
//!   "MockedResponses": {"charged": {"0": {"Throw": {"Error": "Busy", "Cause": "try again"}},
//!                                   "1-2": {"Return": {"paid": true}}}}
//! }
//! ```
//! A start of `…:stateMachine:orders#Happy` runs test case `Happy`: its Task state `Charge` never
//! touches its service, and its first attempt, counted from 0 over retries and visits, throws.

use std::collections::BTreeMap;
use std::sync::Arc;

use stepwire_asl::json::Object;
use stepwire_asl::{Failure, Json};

/// Every test case of every state machine; nothing where no file is configured.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mocks {
    machines: BTreeMap<Arc<str>, BTreeMap<Arc<str>, TestCase>>,
}

/// The responses of one test case, by state.
type TestCase = BTreeMap<Arc<str>, Arc<Responses>>;

/// What a mocked state answers at its attempts.
#[derive(Debug, PartialEq)]
struct Responses {
    /// Name in the file.
    name: Arc<str>,
    /// First and last attempt of each response, in order of the first.
    ranges: Vec<(u32, u32, Response)>,
}

#[derive(Debug, PartialEq)]
enum Response {
    Return(Json),
    Throw { error: Arc<str>, cause: Arc<str> },
}

/// The file is not a mock configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why} at {place}")]
pub struct Error {
    /// JSON pointer, or line and column where it is not JSON.
    pub place: String,
    /// What is wrong.
    pub why: String,
}

impl Mocks {
    /// The configuration that `text` writes.
    pub fn parse(text: &str) -> Result<Mocks, Error> {
        let json = Json::parse(text).map_err(|error| Error {
            place: format!("line {} column {}", error.line, error.column),
            why: error.message,
        })?;
        let top = members(&json, "", &["StateMachines", "MockedResponses"])?;
        let responses = match top.get("MockedResponses") {
            None => BTreeMap::new(),
            Some(all) => named(all, "/MockedResponses", |name, value, place| {
                responses(name, value, place).map(Arc::new)
            })?,
        };
        let machines = match top.get("StateMachines") {
            None => return Err(error("", "`StateMachines` is missing")),
            Some(all) => named(all, "/StateMachines", |_, machine, place| {
                let members = members(machine, place, &["TestCases"])?;
                let cases = members.get("TestCases");
                let cases = cases.ok_or_else(|| error(place, "`TestCases` is missing"))?;
                named(cases, &format!("{place}/TestCases"), |_, case, place| {
                    named(case, place, |_, response, place| {
                        let name = response.as_str().ok_or_else(|| {
                            error(place, "expected the name of a mocked response")
                        })?;
                        let known = responses.get(name).map(Arc::clone);
                        known.ok_or_else(|| {
                            error(place, format!("`MockedResponses` has no `{name}`"))
                        })
                    })
                })
            })?,
        };
        Ok(Mocks { machines })
    }

    /// Whether the state machine of this name has this test case.
    pub fn has(&self, machine: &str, case: &str) -> bool {
        self.case(machine, case).is_some()
    }

    fn case(&self, machine: &str, case: &str) -> Option<&TestCase> {
        self.machines.get(machine)?.get(case)
    }

    /// What attempt `attempt` of a task of `state` answers in a test case; `None` when the case does
    /// not mock that state. An attempt beyond those in the file fails, and so does every task of a
    /// test case that the file no longer has: neither may touch a service.
    pub(crate) fn answer(
        &self,
        machine: &str,
        case: &str,
        state: &str,
        attempt: u32,
    ) -> Option<Result<Json, Failure>> {
        let Some(found) = self.case(machine, case) else {
            let cause = format!("the mock configuration has no test case `{case}` of `{machine}`");
            return Some(Err(Failure::new("States.Runtime", cause)));
        };
        Some(found.get(state)?.at(state, attempt))
    }
}

impl Responses {
    fn at(&self, state: &str, attempt: u32) -> Result<Json, Failure> {
        let found = self.ranges.iter().find(|(first, last, _)| (*first..=*last).contains(&attempt));
        match found {
            Some((_, _, Response::Return(value))) => Ok(value.clone()),
            Some((_, _, Response::Throw { error, cause })) => {
                Err(Failure { error: Arc::clone(error), cause: Arc::clone(cause) })
            }
            None => {
                let name = &self.name;
                let cause =
                    format!("mocked response `{name}` has none for attempt {attempt} of `{state}`");
                Err(Failure::new("States.Runtime", cause))
            }
        }
    }
}

fn responses(name: &Arc<str>, value: &Json, place: &str) -> Result<Responses, Error> {
    let mut ranges = Vec::new();
    for (attempts, response) in object(value, place)? {
        let place = format!("{place}/{}", escape(attempts));
        let (first, last) = range(attempts)
            .ok_or_else(|| error(&place, "expected an attempt such as `0`, or some: `1-3`"))?;
        ranges.push((first, last, one(response, &place)?));
    }
    if ranges.is_empty() {
        return Err(error(place, "at least one response is needed"));
    }
    ranges.sort_by_key(|(first, _, _)| *first);
    if let Some(pair) = ranges.windows(2).find(|pair| pair[1].0 <= pair[0].1) {
        return Err(error(place, format!("attempt {} has two responses", pair[1].0)));
    }
    Ok(Responses { name: Arc::clone(name), ranges })
}

fn range(text: &str) -> Option<(u32, u32)> {
    let number = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
    };
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(text)?, number(text)?),
    };
    (first <= last).then_some((first, last))
}

fn one(value: &Json, place: &str) -> Result<Response, Error> {
    let found = members(value, place, &["Return", "Throw"])?;
    match (found.get("Return"), found.get("Throw")) {
        (Some(value), None) => Ok(Response::Return(value.clone())),
        (None, Some(thrown)) => {
            let place = format!("{place}/Throw");
            let members = members(thrown, &place, &["Error", "Cause"])?;
            let text = |name: &str| match members.get(name) {
                Some(Json::String(text)) => Ok(Some(Arc::clone(text))),
                Some(_) => Err(error(&place, format!("`{name}` must be a string"))),
                None => Ok(None),
            };
            let cause = text("Cause")?.unwrap_or_default();
            let named = text("Error")?.ok_or_else(|| error(&place, "`Error` is missing"))?;
            Ok(Response::Throw { error: named, cause })
        }
        _ => Err(error(place, "expected one of `Return` and `Throw`")),
    }
}

/// The members of an object, each made of its name, value and place.
fn named<T>(
    value: &Json,
    place: &str,
    make: impl Fn(&Arc<str>, &Json, &str) -> Result<T, Error>,
) -> Result<BTreeMap<Arc<str>, T>, Error> {
    let made = object(value, place)?.iter().map(|(name, value)| {
        let made = make(name, value, &format!("{place}/{}", escape(name)))?;
        Ok((Arc::clone(name), made))
    });
    made.collect()
}

/// The members of an object that has no others than `known`.
fn members<'a>(value: &'a Json, place: &str, known: &[&str]) -> Result<&'a Object, Error> {
    let members = object(value, place)?;
    match members.keys().find(|name| !known.contains(&name.as_ref())) {
        Some(name) => Err(error(place, format!("`{name}` is not one of {}", known.join(", ")))),
        None => Ok(members),
    }
}

fn object<'a>(value: &'a Json, place: &str) -> Result<&'a Object, Error> {
    value.as_object().ok_or_else(|| error(place, "expected an object"))
}

fn error(place: &str, why: impl Into<String>) -> Error {
    let place = if place.is_empty() { "/" } else { place };
    Error { place: place.to_owned(), why: why.into() }
}

/// A name as a part of a JSON pointer.
fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const FILE: &str = r#"{
        "StateMachines": {"m": {"TestCases": {"Happy": {"Call": "answers"}}}},
        "MockedResponses": {"answers": {
            "0": {"Throw": {"Error": "Busy", "Cause": "later"}},
            "1-2": {"Return": {"ok": true}}
        }}
    }"#;

    #[test]
    fn attempts_find_their_response() {
        let mocks = Mocks::parse(FILE).unwrap();
        let at = |attempt| mocks.answer("m", "Happy", "Call", attempt).unwrap();
        assert_eq!(at(0), Err(Failure::new("Busy", "later")));
        for attempt in [1, 2] {
            assert_eq!(at(attempt).unwrap().to_text(), r#"{"ok":true}"#);
        }
        let beyond = at(3).unwrap_err();
        assert_eq!(beyond.error.as_ref(), "States.Runtime");
        assert!(beyond.cause.contains("attempt 3"), "{}", beyond.cause);
    }

    #[test]
    fn other_states_are_not_mocked_but_an_unknown_case_fails_every_task() {
        let mocks = Mocks::parse(FILE).unwrap();
        assert_eq!(mocks.answer("m", "Happy", "Other", 0), None);
        assert!(mocks.answer("m", "Sad", "Other", 0).unwrap().is_err());
        assert!(mocks.has("m", "Happy") && !mocks.has("m", "Sad") && !mocks.has("n", "Happy"));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let with = |responses: &str| {
            let text = format!(
                r#"{{"StateMachines":{{"m":{{"TestCases":{{"c":{{"S":"r"}}}}}}}},"MockedResponses":{{"r":{responses}}}}}"#
            );
            Mocks::parse(&text).unwrap_err().to_string()
        };
        for (responses, told) in [
            ("{}", "at least one response is needed at /MockedResponses/r"),
            (
                r#"{"x":{"Return":1}}"#,
                "expected an attempt such as `0`, or some: `1-3` at /MockedResponses/r/x",
            ),
            (
                r#"{"2-1":{"Return":1}}"#,
                "expected an attempt such as `0`, or some: `1-3` at /MockedResponses/r/2-1",
            ),
            (r#"{"0":{}}"#, "expected one of `Return` and `Throw` at /MockedResponses/r/0"),
            (
                r#"{"0":{"Throw":{"Error":"e","Cause":1}}}"#,
                "`Cause` must be a string at /MockedResponses/r/0/Throw",
            ),
            (r#"{"0":{"Throw":{}}}"#, "`Error` is missing at /MockedResponses/r/0/Throw"),
            (
                r#"{"0":{"Return":1,"x":1}}"#,
                "`x` is not one of Return, Throw at /MockedResponses/r/0",
            ),
            (
                r#"{"0-3":{"Return":1},"2":{"Return":1}}"#,
                "attempt 2 has two responses at /MockedResponses/r",
            ),
        ] {
            assert_eq!(with(responses), told);
        }
        let parse = |text| Mocks::parse(text).unwrap_err().to_string();
        assert!(parse("{").ends_with("at line 1 column 1"), "{}", parse("{"));
        assert_eq!(parse("{}"), "`StateMachines` is missing at /");
        let unknown = r#"{"StateMachines":{"m":{"TestCases":{"c":{"S":"r"}}}}}"#;
        assert_eq!(
            parse(unknown),
            "`MockedResponses` has no `r` at /StateMachines/m/TestCases/c/S"
        );
    }
}
