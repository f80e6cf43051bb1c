//! Requests tried on the services before there is a stack: what they refuse is known early.
//!
//! What is not known yet is guessed, several times. A service's objection counts if it is the same
//! for each guess, and stays when a guessed value is left out; what a state machine's definition is
//! refused for counts unless it is at a guessed value.

use std::cell::Cell;
use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_cloudformation::{Scope, Value, resolve};

use super::property::{Finding, Shape, Verdict, fill, is_reference};
use super::resource::Resource;
use super::{Ask, Context, Kind, Made};
use crate::events;
use crate::executions;
use crate::request::{Request, Service};

/// A stack that is not there.
pub(super) const NOWHERE: Context<'_> = Context {
    partition: "aws",
    region: "us-east-1",
    account: "000000000000",
    stack_name: "stack",
    stack_id: "arn:aws:cloudformation:us-east-1:000000000000:stack/stack/0",
    logical_id: "Resource",
    token: "000000000000",
};

/// Requests that are tried at most.
const ASKS_MAX: usize = 100;
/// Guessed values that are left out, one after the other, at most.
const OMITTED_MAX: usize = 50;

/// What is known of the rest of a template, and of the node.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// What another resource will be like.
    pub resource: &'a dyn Fn(&str) -> Option<Made>,
    /// Whether tasks may call this AWS service outside.
    pub reachable: &'a dyn Fn(&str) -> bool,
}

impl std::fmt::Debug for Around<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Around")
    }
}

impl Around<'_> {
    /// Nothing is known, and everything reachable.
    pub const NOTHING: Around<'static> = Around { resource: &|_| None, reachable: &|_| true };
}

/// What a service has against a request.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Objection {
    path: Vec<String>,
    message: String,
    /// Whether it does not depend on what was guessed.
    is_certain: bool,
}

/// What the services refuse of the requests that make a resource.
pub(super) fn findings(kind: &Kind, properties: &Json, around: &Around<'_>) -> Vec<Finding> {
    let (properties, _) = kind.read(properties);
    let probe = Probe { kind, properties: &properties, around };
    let found = probe.objections();
    let found = found.into_iter().map(|objection| {
        let path = if objection.path.is_empty() {
            mentioned(&properties, &objection.message)
        } else {
            objection.path
        };
        Finding { path, verdict: Verdict::Refused, message: objection.message }
    });
    found.collect()
}

struct Probe<'a> {
    kind: &'a Kind,
    properties: &'a Json,
    around: &'a Around<'a>,
}

impl Probe<'_> {
    fn objections(&self) -> Vec<Objection> {
        let mut guessed = Vec::new();
        references(self.properties, &mut Vec::new(), &mut guessed);
        let (likely, is_whole) = self.guess(self.properties, Guess::Likely);
        let (other, _) = self.guess(self.properties, Guess::Other);
        let mut found = self.tried(&likely, &other);
        if guessed.is_empty() {
            return found;
        }
        if self.is_machine() && found.is_empty() {
            // A guessed text may be no JSON where a number is.
            let (one, _) = self.guess(self.properties, Guess::One);
            let (two, _) = self.guess(self.properties, Guess::Two);
            found = self.tried(&one, &two);
            found.retain(|objection| objection.is_certain);
        }
        if !is_whole {
            found.retain(|objection| objection.is_certain);
        }
        for guess in [Guess::Other, Guess::Arn, Guess::One] {
            if found.iter().all(|objection| objection.is_certain) {
                return found;
            }
            let (properties, _) = self.guess(self.properties, guess);
            let same = self.tried(&properties, &properties);
            found.retain(|objection| objection.is_certain || same.contains(objection));
        }
        for path in guessed.iter().take(OMITTED_MAX) {
            if found.iter().all(|objection| objection.is_certain) {
                return found;
            }
            let (properties, _) = self.guess(&without(self.properties, path), Guess::Likely);
            if self.tried(&properties, &properties).is_empty() {
                found.retain(|objection| objection.is_certain);
            }
        }
        found
    }

    fn is_machine(&self) -> bool {
        self.kind.name == "AWS::StepFunctions::StateMachine"
    }

    /// The properties with something in place of what is not known yet; whether nothing was left out.
    fn guess(&self, properties: &Json, guess: Guess) -> (Json, bool) {
        let is_whole = Cell::new(true);
        let filled = fill(self.kind.properties, properties, &|name, shape, value| {
            let made = self.guessed(name, shape, value, guess);
            is_whole.set(is_whole.get() && made.is_some());
            made
        });
        (filled, is_whole.get())
    }

    fn guessed(&self, name: &str, shape: Shape, value: &Json, guess: Guess) -> Option<Json> {
        match shape {
            Shape::Integer | Shape::Number => Some(Json::from(1)),
            Shape::Boolean => Some(Json::from(guess != Guess::Other)),
            Shape::List(of) => Some(Json::array([self.guessed(name, *of, value, guess)?])),
            Shape::Object(_) | Shape::Objects(_) | Shape::Map(_) => None,
            // A statement with parts that are not known yet is read when it is whole.
            Shape::Text if name == "Sql" => Some(Json::from("SELECT * FROM 'standin'")),
            Shape::Text | Shape::Any => Some(self.text(name, value, guess)),
            Shape::Document => match self.text(name, value, guess) {
                Json::String(text) => {
                    Json::parse(&text).ok().filter(|json| json.as_object().is_some())
                }
                other => Some(other),
            },
        }
    }

    fn text(&self, name: &str, value: &Json, guess: Guess) -> Json {
        let default = if self.is_machine() { guess.machine_default() } else { guess.default() };
        let is_number = matches!(guess, Guess::One | Guess::Two);
        let whole =
            if is_number && self.is_machine() { default } else { plain(name, guess, default) };
        let value = Value::from_json(value);
        let is_whole = value.as_reference().is_some() || value.as_attribute().is_some();
        let text = if is_whole { whole } else { default };
        resolve(&value, &Guessed { probe: self, guess, text }).unwrap_or_else(|_| Json::from(whole))
    }

    /// What the services have against these properties; `other` is the same with other guesses.
    fn tried(&self, properties: &Json, other: &Json) -> Vec<Objection> {
        let resource = Resource { context: &NOWHERE, properties: properties.clone() };
        let other = Resource { context: &NOWHERE, properties: other.clone() };
        let mut answers = Vec::new();
        let mut found = Vec::new();
        while answers.len() < ASKS_MAX {
            let ask = match (self.kind.create)(&resource, &answers) {
                Ok(asks) => asks.into_iter().nth(answers.len()),
                Err(why) => {
                    found.push(objection(Vec::new(), why));
                    None
                }
            };
            let Some(ask) = ask else { break };
            let reads = ask.operation.starts_with("Get");
            let asked = (self.kind.create)(&other, &answers).ok();
            let asked = asked.and_then(|asks| asks.into_iter().nth(answers.len()));
            let mut guessed = Vec::new();
            if let Some(asked) = &asked {
                differing(&ask.body, &asked.body, &mut guessed);
            }
            match Request::parse(ask.service, ask.operation, &ask.body) {
                None => {
                    let (service, operation) = (ask.service, ask.operation);
                    let why = format!("{service:?} {operation} is not available in stepwire yet");
                    found.push(objection(Vec::new(), why));
                }
                Some(_) if ask.operation == "CreateStateMachine" => {
                    found.extend(self.definition(&ask, asked.as_ref()));
                    if let Some(Err(error)) = Request::parse(ask.service, ask.operation, &ask.body)
                        && error.code != "InvalidDefinition"
                    {
                        found.push(objection(Vec::new(), error.to_string()));
                    }
                }
                Some(Err(error)) if error.code == "SqlParseException" => {
                    let path = ["TopicRulePayload", "Sql"].map(str::to_owned).to_vec();
                    found.push(Objection { is_certain: true, ..objection(path, error.message) });
                }
                // What speaks of a member that is guessed speaks of the guess.
                Some(Err(error)) if guessed.iter().any(|name| says(&error.message, name)) => {}
                Some(Err(error)) => found.push(objection(Vec::new(), error.to_string())),
                Some(Ok(_)) => found.extend(targets(&ask, properties)),
            }
            // What would be read is not known, and so is what comes after it.
            if reads {
                break;
            }
            answers.push(Json::Object(Arc::default()));
        }
        found
    }

    /// What is wrong with the definition of a state machine; `other` has other guesses in it.
    fn definition(&self, ask: &Ask, other: Option<&Ask>) -> Vec<Objection> {
        let definition = |ask: &Ask| ask.body.member("definition")?.as_str().map(str::to_owned);
        let Some(text) = definition(ask) else { return Vec::new() };
        let other = other.and_then(definition).unwrap_or_default();
        let (json, other_json) = (Json::parse(&text).ok(), Json::parse(&other).ok());
        if json.is_none() && text != other {
            return Vec::new();
        }
        let kind = match ask.body.member("type").and_then(Json::as_str) {
            Some("EXPRESS") => executions::Kind::Express,
            _ => executions::Kind::Standard,
        };
        let source = ["Definition", "DefinitionString", "DefinitionS3Location"];
        let source = source.into_iter().find(|name| self.properties.member(name).is_some());
        let found = executions::refusals(&text, kind, self.around.reachable);
        let found = found.into_iter().filter_map(|told| {
            let location = told.location.as_deref().filter(|at| at.starts_with('/'));
            let steps = location.map(steps).unwrap_or_default();
            let at = |json: &Option<Json>| json.as_ref().and_then(|json| nearest(json, &steps));
            let (here, there) = (at(&json), at(&other_json));
            let is_scalar =
                |value: &Json| value.as_object().is_none() && value.as_array().is_none();
            if here != there && here.as_ref().is_some_and(is_scalar) {
                return None;
            }
            let path = source.into_iter().map(str::to_owned).chain(steps).collect();
            let at = location.map(|at| format!(" at {at}")).unwrap_or_default();
            let message = format!("{}{at}", told.message);
            Some(Objection { path, message, is_certain: true })
        });
        found.collect()
    }
}

/// Names of the members that differ.
fn differing(one: &Json, other: &Json, found: &mut Vec<String>) {
    match (one, other) {
        (Json::Object(one), Json::Object(other)) => {
            for (name, value) in one.iter().filter(|(name, value)| other.get(*name) != Some(value))
            {
                found.push(name.to_string());
                differing(value, other.get(name).unwrap_or(&Json::Null), found);
            }
        }
        (Json::Array(one), Json::Array(other)) => {
            one.iter().zip(other.iter()).for_each(|(one, other)| differing(one, other, found));
        }
        _ => {}
    }
}

fn objection(path: Vec<String>, message: String) -> Objection {
    Objection { path, message, is_certain: false }
}

/// Targets of a rule that no node has.
fn targets(ask: &Ask, properties: &Json) -> Vec<Objection> {
    if ask.service != Service::Events || ask.operation != "PutTargets" {
        return Vec::new();
    }
    let arn = |target: &Json| target.member("Arn")?.as_str().map(str::to_owned);
    let items =
        |of: &Json| of.member("Targets").and_then(Json::as_array).unwrap_or_default().to_vec();
    let all = items(properties);
    let asked = items(&ask.body);
    let found = asked.iter().filter_map(arn).filter_map(|given| {
        let error = events::no_target(&given)?;
        let at = all.iter().position(|target| arn(target).as_deref() == Some(&*given));
        let path = ["Targets".to_owned(), at.unwrap_or_default().to_string(), "Arn".to_owned()];
        Some(objection(path.to_vec(), error.to_string()))
    });
    found.collect()
}

/// One way to guess what is not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guess {
    /// What is most likely.
    Likely,
    /// Something else that is likely.
    Other,
    /// An ARN.
    Arn,
    /// A number.
    One,
    /// Another number.
    Two,
}

impl Guess {
    fn default(self) -> &'static str {
        match self {
            Guess::Likely => "standin",
            Guess::Other => "other-standin",
            Guess::Arn => "arn:aws:lambda:us-east-1:000000000000:function:standin",
            Guess::One => "1",
            Guess::Two => "2",
        }
    }

    /// What stands in a state machine's definition: most often something that a task calls.
    fn machine_default(self) -> &'static str {
        match self {
            Guess::Likely => Guess::Arn.default(),
            Guess::Other => "arn:aws:lambda:us-east-1:000000000000:function:other",
            other => other.default(),
        }
    }
}

/// What looks like a value of a member of this name, where the name says what that is.
fn plain(name: &str, guess: Guess, default: &'static str) -> &'static str {
    let is_other = guess == Guess::Other;
    match name {
        "FunctionArn" => "arn:aws:lambda:us-east-1:000000000000:function:function",
        "TargetArn" | "TopicArn" => "arn:aws:sns:us-east-1:000000000000:topic",
        "EventSourceArn" if is_other => "arn:aws:sqs:us-east-1:000000000000:other",
        "EventSourceArn" => "arn:aws:sqs:us-east-1:000000000000:queue",
        "QueueUrl" => "http://127.0.0.1/000000000000/queue",
        "Url" | "ConfirmationUrl" => "https://example.com/",
        "ScheduleExpression" => "rate(5 minutes)",
        "ScheduleExpressionTimezone" => "UTC",
        name if name.ends_with("Arn") && is_other => "arn:aws:iam::000000000000:role/other",
        name if name.ends_with("Arn") => "arn:aws:iam::000000000000:role/role",
        _ => default,
    }
}

/// What references to resources and parameters are guessed to be.
struct Guessed<'a> {
    probe: &'a Probe<'a>,
    guess: Guess,
    /// Where nothing better is known.
    text: &'static str,
}

impl Guessed<'_> {
    fn made(&self, logical_id: &str) -> Option<Made> {
        (self.guess == Guess::Likely).then(|| (self.probe.around.resource)(logical_id)).flatten()
    }
}

impl Scope for Guessed<'_> {
    fn reference(&self, logical_id: &str) -> Option<Json> {
        let made = self.made(logical_id).filter(|made| !made.physical_id.is_empty());
        Some(made.map_or_else(|| Json::from(self.text), |made| Json::from(made.physical_id)))
    }

    fn attribute(&self, logical_id: &str, name: &str) -> Option<Json> {
        let made = self.made(logical_id).and_then(|made| made.attributes.get(name).cloned());
        let made = made.filter(|value| value.as_str() != Some(""));
        Some(made.unwrap_or_else(|| Json::from(self.text)))
    }
}

/// Paths of the references in a value.
fn references(value: &Json, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    if is_reference(value) {
        found.push(path.clone());
        return;
    }
    let members = value.as_object().into_iter().flatten();
    let members = members.map(|(name, value)| (name.to_string(), value));
    let items = value.as_array().unwrap_or_default().iter().enumerate();
    let items = items.map(|(index, value)| (index.to_string(), value));
    for (step, value) in members.chain(items) {
        path.push(step);
        references(value, path, found);
        path.pop();
    }
}

/// The value without the one at `path`.
fn without(value: &Json, path: &[String]) -> Json {
    let Some((step, rest)) = path.split_first() else { return value.clone() };
    let keep = |name: &str, value: &Json| match (name == step, rest.is_empty()) {
        (false, _) => Some(value.clone()),
        (true, false) => Some(without(value, rest)),
        (true, true) => None,
    };
    match value {
        Json::Object(members) => {
            let members = members.iter();
            Json::object(
                members.filter_map(|(name, value)| Some((Arc::clone(name), keep(name, value)?))),
            )
        }
        Json::Array(items) => {
            let items = items.iter().enumerate();
            Json::array(items.filter_map(|(index, value)| keep(&index.to_string(), value)))
        }
        other => other.clone(),
    }
}

/// The steps of a place in a definition: `/States/A~1B/Catch[0]`.
fn steps(location: &str) -> Vec<String> {
    let mut steps = Vec::new();
    for part in location.split('/').skip(1) {
        let (mut name, mut indexes) = (part, Vec::new());
        while let Some((before, index)) =
            name.strip_suffix(']').and_then(|name| name.rsplit_once('['))
            && index.parse::<usize>().is_ok()
        {
            indexes.push(index.to_owned());
            name = before;
        }
        steps.push(name.replace("~1", "/").replace("~0", "~"));
        steps.extend(indexes.into_iter().rev());
    }
    steps
}

/// The value at these steps, or the last before one that is not there.
fn nearest(value: &Json, steps: &[String]) -> Option<Json> {
    let mut here = value;
    for step in steps {
        let next = match here {
            Json::Object(_) => here.member(step),
            Json::Array(items) => step.parse::<usize>().ok().and_then(|index| items.get(index)),
            _ => None,
        };
        let Some(next) = next else { break };
        here = next;
    }
    Some(here.clone())
}

/// The path of the property that a sentence speaks of: by its value, else by its name.
fn mentioned(properties: &Json, message: &str) -> Vec<String> {
    let mut best: Option<(usize, Vec<String>)> = None;
    let mut rest = vec![(Vec::new(), properties)];
    while let Some((path, value)) = rest.pop() {
        let text = value.as_str().filter(|text| text.len() > 3 && message.contains(*text));
        let name = path.last().filter(|name: &&String| name.len() > 2 && says(message, name));
        let weight = match (text, name) {
            (Some(text), name) => 1_000 + text.len() + usize::from(name.is_some()),
            (None, Some(name)) => name.len(),
            (None, None) => 0,
        };
        if weight > best.as_ref().map_or(0, |(weight, _)| *weight) {
            best = Some((weight, path.clone()));
        }
        let with = |step: String| path.iter().cloned().chain([step]).collect::<Vec<_>>();
        let members = value.as_object().into_iter().flatten();
        rest.extend(members.map(|(name, value)| (with(name.to_string()), value)));
        let items = value.as_array().unwrap_or_default().iter().enumerate();
        rest.extend(items.map(|(index, value)| (with(index.to_string()), value)));
    }
    best.map(|(_, path)| path).unwrap_or_default()
}

/// Whether the sentence has the name in it, as a word, its first letter large or small.
fn says(message: &str, name: &str) -> bool {
    let mut words = message.split(|c: char| !c.is_ascii_alphanumeric());
    let same = |word: &str| {
        let mut letters = (word.chars(), name.chars());
        let first = (letters.0.next(), letters.1.next());
        let same = first.0.zip(first.1).is_some_and(|(a, b)| a.eq_ignore_ascii_case(&b));
        same && letters.0.as_str() == letters.1.as_str()
    };
    words.any(same)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::examine;
    use super::*;

    fn refused(kind: &str, properties: &str) -> Vec<String> {
        let properties = Json::parse(properties).unwrap();
        let around = Around { reachable: &|_| false, ..Around::NOTHING };
        let found = examine(kind, &properties, &around).into_iter();
        let found = found.filter(|finding| finding.verdict == Verdict::Refused);
        found.map(|finding| format!("{}: {}", finding.shown_path(), finding.message)).collect()
    }

    const MACHINE: &str = "AWS::StepFunctions::StateMachine";

    #[test]
    fn a_definition_is_read_whatever_else_is_not_known_yet() {
        let told = refused(
            MACHINE,
            r#"{"RoleArn":{"Fn::GetAtt":["Role","Arn"]},"Definition":{"StartAt":"A","States":{"A":{
            "Type":"Task","Resource":"arn:aws:states:::bedrock:invokeModel","End":true}}}}"#,
        );
        let why = "Definition.States.A.Resource: the resource \
                   `arn:aws:states:::bedrock:invokeModel` is not available in stepwire yet at \
                   /States/A/Resource";
        assert_eq!(told, [why]);
        let text = r#"{"RoleArn":{"Ref":"R"},"DefinitionString":{"Fn::Sub":"{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Task\",\"Resource\":\"RESOURCE\",\"End\":true}}}"}}"#;
        let with = |resource: &str| refused(MACHINE, &text.replace("RESOURCE", resource));
        assert_eq!(with("${F.Arn}"), [""; 0]);
        assert_eq!(with("${Parameter}"), [""; 0]);
        let definition = r#"{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Task\",\"Resource\":\"${ActivityArn}\",\"End\":true}}}"#;
        let text = format!(
            r#"{{"RoleArn":{{"Ref":"R"}},"DefinitionString":"{definition}","DefinitionSubstitutions":{{"ActivityArn":{{"Ref":"Activity"}}}}}}"#
        );
        assert_eq!(refused(MACHINE, &text), [""; 0]);
        assert_eq!(with("arn:aws:states:::aws-sdk:rekognition:detectLabels").len(), 1);
    }

    #[test]
    fn what_depends_on_a_guess_is_left_open() {
        let machine = |seconds: &str, resource: &str| {
            let text = format!(
                r#"{{"StartAt":"A","States":{{"A":{{"Type":"Wait","Seconds":{seconds},"Next":"B"}},"B":{{"Type":"Task","Resource":"{resource}","Catch":[{{"ErrorEquals":["States.ALL"],"Next":"Nowhere"}}],"End":true}}}}}}"#
            );
            let text = Json::from(text).to_text();
            refused(
                MACHINE,
                &format!(
                    r#"{{"RoleArn":"arn:aws:iam::1:role/r","DefinitionString":{text},"DefinitionSubstitutions":{{"N":{{"Ref":"N"}},"Of":{{"Ref":"Of"}}}}}}"#
                ),
            )
        };
        let function = "arn:aws:lambda:us-east-1:000000000000:function:f";
        for (seconds, resource) in [("5", "${Of}"), ("${N}", function)] {
            let told = machine(seconds, resource);
            assert!(told.iter().any(|told| told.contains("Nowhere")), "{seconds}: {told:?}");
            assert!(told.iter().all(|told| !told.contains("Seconds")), "{seconds}: {told:?}");
        }
    }

    #[test]
    fn services_object_to_what_is_literal() {
        let rule = r#"{"ScheduleExpression":"rate(1 day)","Targets":[{"Id":"a","Arn":ARN,"RoleArn":{"Ref":"R"}}]}"#;
        let target = |arn: &str| refused("AWS::Events::Rule", &rule.replace("ARN", arn));
        let told = target(r#""arn:aws:ssm:us-east-1::automation-definition/D""#);
        assert!(told[0].starts_with("Targets.0.Arn: "), "{told:?}");
        assert_eq!(target(r#"{"Ref":"Any"}"#), [""; 0]);
        let schedule = r#"{"ScheduleExpression":SCHEDULE,"FlexibleTimeWindow":{"Mode":"OFF"},"Target":{"Arn":{"Fn::GetAtt":["Q","Arn"]},"RoleArn":{"Fn::GetAtt":["R","Arn"]}}}"#;
        let schedule =
            |text: &str| refused("AWS::Scheduler::Schedule", &schedule.replace("SCHEDULE", text));
        let told = schedule(r#""rate(5 minute)""#);
        assert!(told[0].starts_with("ScheduleExpression: "), "{told:?}");
        assert_eq!(schedule(r#"{"Ref":"S"}"#), [""; 0]);
        let attached = r#"{"PolicyName":"p","Principal":{"Ref":"Certificate"}}"#;
        assert_eq!(refused("AWS::IoT::PolicyPrincipalAttachment", attached), [""; 0]);
        let source = r#"{"EventSourceArn":"arn:aws:kinesis:us-east-1:1:stream/s","FunctionName":{"Ref":"F"},"StartingPosition":"LATEST"}"#;
        let told = refused("AWS::Lambda::EventSourceMapping", source);
        assert!(told[0].starts_with("EventSourceArn: "), "{told:?}");
    }
}
