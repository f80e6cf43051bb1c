//! What AWS services answer: the shapes that a mocked result is checked against.
//!
//! `shapes.txt` is made by `scripts/output_shapes.py` from the public service models. A service is
//! `@NAME`, then an `!OPERATION SHAPE` for each operation, then its shapes, numbered from 0:
//! `{Name! 3,Other 4` a structure (`!`: required), `[LEAST..MOST 3` a list, `< 3` a map,
//! `sLEAST..MOST A|B` a text (`b` a blob, `t` a time, all texts in JSON), `nLEAST..MOST` a number,
//! `?` a truth value, `*` anything.

use stepwire_asl::Json;
use stepwire_asl::definition::{Pattern, Resource};

const TABLE: &str = include_str!("shapes.txt");

/// How strictly a mocked result is checked (`fieldValidationMode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Required members must be there, and those that are there be of their type.
    Strict,
    /// Members that are there must be of their type.
    Present,
    /// Anything goes.
    None,
}

/// The operation whose answer a task's result is, and the members that Step Functions changes.
struct Answer<'a> {
    service: &'a str,
    operation: String,
    /// JSON of any kind, though the service answers text.
    free: &'static [&'static str],
}

/// Refuses a mocked result of `resource` that the service cannot answer; in AWS's words.
pub(crate) fn check(resource: &Resource, result: &Json, mode: Mode) -> Result<(), String> {
    if mode == Mode::None {
        return Ok(());
    }
    let Some(answer) = answer(resource) else { return Ok(()) };
    let Some(model) = Model::of(answer.service) else {
        return Err(format!(
            "the model of `{}` is not known here, so a mocked result cannot be checked; set \
             `fieldValidationMode` to `NONE`",
            answer.service
        ));
    };
    let Some(output) = model.output(&answer.operation) else {
        let (service, operation) = (answer.service, &answer.operation);
        return Err(format!("`{service}` has no operation `{operation}`"));
    };
    let Some(members) = result.as_object() else {
        return Err("Mocked result must be a JSON object.".to_owned());
    };
    let told = |why| format!("Mock result schema validation error: {why}");
    let Output::Shape(shape) = output else { return Ok(()) };
    let members = members.iter().filter(|(name, _)| !answer.free.contains(&name.as_ref()));
    model.structure(shape, &members.collect::<Vec<_>>(), mode).map_err(told)
}

/// `None`: any JSON may come (functions, HTTP, activities, whoever has the token).
fn answer(resource: &Resource) -> Option<Answer<'_>> {
    let (service, api) = (resource.service(), resource.api());
    let made =
        |service, operation: &str, free| Answer { service, operation: pascal(operation), free };
    match (service, resource.pattern()) {
        (_, Pattern::WaitForTaskToken)
        | ("lambda-function" | "activity" | "http" | "apigateway", _) => None,
        ("lambda", _) => Some(made("lambda", api, &["Payload"])),
        ("states", Pattern::Sync | Pattern::Sync2) => {
            Some(made("sfn", "describeExecution", &["Input", "Output"]))
        }
        // The job that other services describe at its end has another shape for each of them.
        (_, Pattern::Sync | Pattern::Sync2) => None,
        ("states", Pattern::RequestResponse) => Some(made("sfn", api, &[])),
        ("events", Pattern::RequestResponse) => Some(made("eventbridge", api, &[])),
        (service, Pattern::RequestResponse) => {
            Some(made(service.strip_prefix("aws-sdk:").unwrap_or(service), api, &[]))
        }
    }
}

fn pascal(api: &str) -> String {
    let mut letters = api.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

/// What an operation answers.
enum Output {
    Nothing,
    /// A structure.
    Shape(&'static str),
}

/// The part of the table that is about one service.
struct Model {
    operations: Vec<&'static str>,
    shapes: Vec<&'static str>,
}

impl Model {
    fn of(service: &str) -> Option<Model> {
        let mut lines = TABLE.lines().skip_while(|line| line.strip_prefix('@') != Some(service));
        lines.next()?;
        let lines: Vec<_> = lines.take_while(|line| !line.starts_with('@')).collect();
        let (operations, shapes) = lines.into_iter().partition(|line| line.starts_with('!'));
        Some(Model { operations, shapes })
    }

    /// What an operation answers; `None`: there is no such operation.
    fn output(&self, operation: &str) -> Option<Output> {
        self.operations.iter().find_map(|line| {
            let mut words = line[1..].split(' ');
            if words.next() != Some(operation) {
                return None;
            }
            let shape = words.next().and_then(|number| self.shape(number));
            Some(shape.map_or(Output::Nothing, Output::Shape))
        })
    }

    fn shape(&self, number: &str) -> Option<&'static str> {
        self.shapes.get(number.parse::<usize>().ok()?).copied()
    }

    fn structure(
        &self,
        shape: &'static str,
        given: &[(&std::sync::Arc<str>, &Json)],
        mode: Mode,
    ) -> Result<(), String> {
        let members = shape[1..].split(',').filter_map(|member| member.split_once(' '));
        let members: Vec<(&str, &str)> = members.collect();
        if mode == Mode::Strict {
            let required = members.iter().filter_map(|(name, _)| name.strip_suffix('!'));
            for name in required {
                if !given.iter().any(|(there, value)| there.as_ref() == name && !value.is_null()) {
                    return Err(format!("Required field '{name}' is missing"));
                }
            }
        }
        for (name, value) in given {
            let of = members.iter().find(|(known, _)| known.trim_end_matches('!') == name.as_ref());
            if let Some((_, number)) = of
                && let Some(shape) = self.shape(number)
            {
                self.value(shape, name, value, mode)?;
            }
        }
        Ok(())
    }

    /// Checks `value`, which stands at the member `name` or in a list or map there.
    fn value(
        &self,
        shape: &'static str,
        name: &str,
        value: &Json,
        mode: Mode,
    ) -> Result<(), String> {
        let (head, rest) = shape.split_once(' ').unwrap_or((shape, ""));
        let must = |what: &str| Err(format!("Field '{name}' must be {what}"));
        match (shape.as_bytes().first(), value) {
            (_, Json::Null) | (Some(b'*') | None, _) | (Some(b'?'), Json::Bool(_)) => Ok(()),
            (Some(b'{'), Json::Object(members)) => {
                self.structure(shape, &members.iter().collect::<Vec<_>>(), mode)
            }
            (Some(b'<'), Json::Object(members)) => {
                let Some(inner) = self.shape(rest) else { return Ok(()) };
                members.values().try_for_each(|value| self.value(inner, name, value, mode))
            }
            (Some(b'{' | b'<'), _) => must("an object"),
            (Some(b'['), Json::Array(items)) => {
                length(&head[1..], name, items.len())?;
                let Some(inner) = self.shape(rest) else { return Ok(()) };
                items.iter().try_for_each(|item| self.value(inner, name, item, mode))
            }
            (Some(b'['), _) => must("an array"),
            (Some(b's' | b'b' | b't'), Json::String(text)) => {
                length(&head[1..], name, text.chars().count())?;
                if rest.is_empty() || rest.split('|').any(|word| word == text.as_ref()) {
                    return Ok(());
                }
                Err(format!("Field '{name}' is not an expected value"))
            }
            (Some(b's' | b'b' | b't'), _) => must("a string"),
            (Some(b'n'), Json::Number(number)) => match outside(&head[1..], number.as_f64()) {
                Some(Outside::Below) => {
                    Err(format!("Field '{name}' is less than the minimum value"))
                }
                Some(Outside::Above) => Err(format!("Field '{name}' exceeds the maximum value")),
                None => Ok(()),
            },
            (Some(b'n'), _) => must("a number"),
            (Some(_), _) => must("a boolean"),
        }
    }
}

enum Outside {
    Below,
    Above,
}

/// Where `number` lies, if not within `LEAST..MOST`.
fn outside(bounds: &str, number: f64) -> Option<Outside> {
    let (least, most) = bounds.split_once("..")?;
    let bound = |text: &str| text.parse::<f64>().ok();
    if bound(least).is_some_and(|least| number < least) {
        return Some(Outside::Below);
    }
    bound(most).is_some_and(|most| number > most).then_some(Outside::Above)
}

fn length(bounds: &str, name: &str, length: usize) -> Result<(), String> {
    match outside(bounds, length as f64) {
        Some(Outside::Below) => Err(format!("Field '{name}' is smaller than the minimum length")),
        Some(Outside::Above) => Err(format!("Field '{name}' exceeds the maximum length")),
        None => Ok(()),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn checked(resource: &str, result: &str, mode: Mode) -> Result<(), String> {
        let resource = Resource::parse(&format!("arn:aws:states:::{resource}")).unwrap();
        check(&resource, &Json::parse(result).unwrap(), mode)
    }

    fn error(resource: &str, result: &str) -> String {
        checked(resource, result, Mode::Strict).unwrap_err()
    }

    #[test]
    fn every_service_of_the_table_can_be_read() {
        for name in TABLE.lines().filter_map(|line| line.strip_prefix('@')) {
            let model = Model::of(name).unwrap();
            for operation in &model.operations {
                let name = operation[1..].split(' ').next().unwrap();
                match model.output(name).unwrap() {
                    Output::Nothing => assert!(!operation.contains(' '), "{operation}"),
                    Output::Shape(shape) => assert!(shape.starts_with('{'), "{operation}"),
                }
            }
        }
    }

    #[test]
    fn required_members_are_asked_for_in_strict_mode_only() {
        let missing =
            "Mock result schema validation error: Required field 'ExecutionArn' is missing";
        assert_eq!(error("states:startExecution", "{}"), missing);
        assert_eq!(checked("states:startExecution", "{}", Mode::Present), Ok(()));
        assert_eq!(checked("states:startExecution", "[]", Mode::None), Ok(()));
    }

    #[test]
    fn types_bounds_and_words_are_those_of_the_service() {
        for (resource, result, why) in [
            (
                "aws-sdk:lambda:getFunction",
                r#"{"Configuration":{"MemorySize":127}}"#,
                "Field 'MemorySize' is less than the minimum value",
            ),
            (
                "aws-sdk:lambda:getFunction",
                r#"{"Configuration":{"MemorySize":10241}}"#,
                "Field 'MemorySize' exceeds the maximum value",
            ),
            (
                "aws-sdk:kms:encrypt",
                r#"{"CiphertextBlob":""}"#,
                "Field 'CiphertextBlob' is smaller than the minimum length",
            ),
            (
                "aws-sdk:s3:getObject",
                r#"{"StorageClass":"Papyrus"}"#,
                "Field 'StorageClass' is not an expected value",
            ),
            (
                "aws-sdk:s3:getObject",
                r#"{"DeleteMarker":"no"}"#,
                "Field 'DeleteMarker' must be a boolean",
            ),
            (
                "events:putEvents",
                r#"{"Entries":[{},{"EventId":[]}]}"#,
                "Field 'EventId' must be a string",
            ),
            ("dynamodb:getItem", r#"{"Item":[]}"#, "Field 'Item' must be an object"),
            ("lambda:invoke", r#"{"StatusCode":"200"}"#, "Field 'StatusCode' must be a number"),
        ] {
            assert_eq!(
                error(resource, result),
                format!("Mock result schema validation error: {why}")
            );
        }
    }

    #[test]
    fn what_no_model_describes_may_be_anything() {
        for (resource, result) in [
            ("lambda:invoke", r#"{"Payload":{"a":[1]}}"#),
            ("sqs:sendMessage.waitForTaskToken", "1"),
            ("http:invoke", "[]"),
            ("events:putEvents", r#"{"random":"json"}"#),
        ] {
            assert_eq!(checked(resource, result, Mode::Strict), Ok(()), "{resource}");
        }
        let unknown = error("aws-sdk:textract:detectDocumentText", "{}");
        assert!(unknown.contains("`textract`") && unknown.contains("`NONE`"), "{unknown}");
    }
}
