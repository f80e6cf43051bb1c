//! Resources that take their time: those that a function makes, and stacks within stacks.
//!
//! What is asked for them is asked like anything else; then the stack's work waits. A function answers
//! by a request to the address it was given, a stack by coming to rest.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::kinds::{Context, Made, Recreation, STACK};
use super::status::{OnFailure, Status};
use super::{
    Awaited, Body, Deed, Request, Resource, Stack, StackKey, Stacks, Waiting, Wanted, request,
    stack_id,
};
use crate::executions::derived_uuid;
use crate::functions::{self, FunctionName, Functions, Runtime};
use crate::request::Request as Service;
use crate::settings::Settings;

/// Why a resource that waited for its function has failed.
pub(super) const NO_ANSWER: &str = "CloudFormation did not receive a response from your Custom Resource. Please check your logs. \
     If you are using the Python cfn-response module, you may need to update your Lambda function \
     code so that CloudFormation can attach the updated version.";
/// How long a function may take to answer, unless the template says; seconds.
const TIMEOUT_S: i64 = 3_600;
/// Where answers of functions go; the token follows.
pub const RESPONSE_PATH: &str = "/-/cloudformation/response/";

fn is_nested(kind: &str) -> bool {
    kind == STACK
}

/// What a change of such a resource asks for: functions say later whether it is another one.
pub(super) fn recreation(now: &Body, wanted: &Body) -> Option<Recreation> {
    (now.properties != wanted.properties).then_some(Recreation::Never)
}

/// What the resource is about to become, and what it is.
fn bodies<'a>(resource: &'a Resource, deed: &'a Deed) -> (&'a Body, Option<&'a Made>) {
    match deed {
        Deed::Create(body) | Deed::Replace(body) => (body, None),
        Deed::Change(to) | Deed::Restore(to) => (to, resource.now.made.as_ref()),
        Deed::Delete => (&resource.now, resource.now.made.as_ref()),
        Deed::Remove(body) => (body, body.made.as_ref()),
    }
}

/// What is asked to do this to a resource; `None`: it has been asked.
pub(super) fn request(
    stack: &Stack,
    resource: &Resource,
    deed: &Deed,
    answers: &[Json],
    functions: &Functions,
    settings: &Settings,
) -> Result<Option<Service>, String> {
    if !answers.is_empty() {
        return Ok(None);
    }
    let (body, made) = bodies(resource, deed);
    let goes = matches!(deed, Deed::Delete | Deed::Remove(_));
    if goes && made.is_none() {
        return Ok(None);
    }
    if is_nested(&body.kind) {
        return nested(stack, resource, deed).map(|request| Some(Service::Stacks(request)));
    }
    let token = body.properties.member("ServiceToken").and_then(Json::as_str);
    let token = token.ok_or("ServiceToken: a custom resource needs one, the ARN of a function")?;
    if !token.starts_with("arn:") || token.split(':').nth(2) != Some("lambda") {
        return Err(format!("ServiceToken `{token}`: only functions make custom resources here"));
    }
    let function = FunctionName::parse(token).map_err(|error| error.message)?;
    let is_node = functions.find(&function, settings).map_err(|error| error.to_string())?.kind()
        == Runtime::Node;
    let kind = match deed {
        Deed::Create(_) | Deed::Replace(_) => "Create",
        Deed::Change(_) | Deed::Restore(_) => "Update",
        Deed::Delete | Deed::Remove(_) => "Delete",
    };
    let answer = response_token(stack, stack.events.1, settings);
    // Node programs know only HTTPS to answer by; where theirs goes is seen to when they start.
    let host = if is_node {
        format!(
            "https://cloudformation-custom-resource-response-{}.s3.amazonaws.com",
            settings.region
        )
    } else {
        settings.url.to_string()
    };
    let mut members = vec![
        ("RequestType", Json::from(kind)),
        ("ResponseURL", format!("{host}{RESPONSE_PATH}{answer}").into()),
        ("StackId", stack.id(settings).into()),
        (
            "RequestId",
            derived_uuid(&settings.secret, "request", &[stack.number, stack.events.1]).into(),
        ),
        ("ResourceType", Json::String(Arc::clone(&body.kind))),
        ("LogicalResourceId", Json::String(Arc::clone(&resource.logical))),
        ("ServiceToken", token.into()),
        ("ResourceProperties", as_text(&body.properties)),
    ];
    if let Some(made) = made {
        members.push(("PhysicalResourceId", made.physical_id.as_str().into()));
    }
    if kind == "Update" {
        members.push(("OldResourceProperties", as_text(&resource.now.properties)));
    }
    let payload = Json::object(members).to_text().into();
    Ok(Some(Service::Functions(functions::Request::Enqueue {
        function,
        payload,
        request_id: None,
    })))
}

/// Functions get every number and truth value as text.
fn as_text(value: &Json) -> Json {
    match value {
        Json::Object(members) => {
            Json::object(members.iter().map(|(name, value)| (Arc::clone(name), as_text(value))))
        }
        Json::Array(items) => Json::array(items.iter().map(as_text)),
        Json::Number(_) | Json::Bool(_) => Json::from(value.to_text()),
        Json::String(_) | Json::Null => value.clone(),
    }
}

fn response_token(stack: &Stack, number: u64, settings: &Settings) -> String {
    derived_uuid(&settings.secret, "custom resource", &[stack.number, number])
}

/// What is asked of a stack that is a resource of another.
fn nested(stack: &Stack, resource: &Resource, deed: &Deed) -> Result<Request, String> {
    let (body, made) = bodies(resource, deed);
    let id = || made.map(|made| Arc::from(made.physical_id.as_str())).unwrap_or_default();
    if matches!(deed, Deed::Delete | Deed::Remove(_)) {
        return Ok(Request::DeleteStack {
            stack: id(),
            retain: Vec::new(),
            force: false,
            token: None,
        });
    }
    let text = |name: &str| body.properties.member(name).and_then(Json::as_str);
    let url = text("TemplateURL").ok_or("TemplateURL: a stack within a stack needs one")?;
    let source = request::object(url).map_err(|error| error.message)?;
    let members = |name: &str| body.properties.member(name).cloned().unwrap_or_default();
    let value = |value: &Json| -> Arc<str> {
        match value {
            Json::Array(items) => {
                let items = items.iter().map(plain).collect::<Vec<_>>();
                items.join(",").into()
            }
            other => plain(other).into(),
        }
    };
    let parameters = members("Parameters");
    let parameters = parameters.as_object().into_iter().flatten();
    let parameters = parameters.map(|(key, given)| (Arc::clone(key), Some(value(given))));
    let tags = members("Tags");
    let tags = tags.as_array().unwrap_or_default().iter();
    let tags = tags.map(|tag| {
        let text = |name| tag.member(name).map(&value).unwrap_or_default();
        (text("Key"), text("Value"))
    });
    // Tags of the outer stack are the inner one's too.
    let own: Vec<(Arc<str>, Arc<str>)> = tags.collect();
    let outer = &stack.work.as_ref().map_or(&stack.plan, |work| &work.plan).tags;
    let outer = outer.iter().filter(|(key, _)| !own.iter().any(|(other, _)| other == key));
    let tags = own.iter().chain(outer).cloned().collect();
    let capabilities = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"];
    let wanted = Box::new(Wanted {
        source,
        parameters: parameters.collect(),
        capabilities: capabilities.map(Arc::from).to_vec(),
        tags: Some(tags),
        notifications: None,
        role: None,
        rollback_configuration: None,
        on_failure: Some(OnFailure::Rollback),
        disable_rollback: false,
        timeout_minutes: None,
        retain_except_on_create: false,
        types: None,
        policy: None,
        token: None,
    });
    if matches!(deed, Deed::Change(_) | Deed::Restore(_)) {
        return Ok(Request::UpdateStack { stack: id(), wanted });
    }
    let short = |text: &str, max: usize| text.chars().take(max).collect::<String>();
    let (outer, own) = (short(&stack.name, 60), short(&resource.logical, 50));
    let name = format!("{outer}-{own}-{}", body.token);
    let parent = Some((stack.key(), Arc::clone(&resource.logical)));
    Ok(Request::CreateStack { stack: name.into(), wanted, protected: false, parent })
}

fn plain(value: &Json) -> String {
    match value {
        Json::String(text) => text.to_string(),
        other => other.to_text(),
    }
}

/// What a resource waits for after what was answered; `None`: it is done with.
pub(super) fn waiting(
    now: Timestamp,
    stacks: &Stacks,
    stack: &Stack,
    resource: &Resource,
    deed: &Deed,
    answers: &[Json],
    settings: &Settings,
) -> Option<Waiting> {
    let (body, made) = bodies(resource, deed);
    let answer = answers.first()?;
    let logical = Arc::clone(&resource.logical);
    if is_nested(&body.kind) {
        let given = answer.member("StackId").and_then(Json::as_str);
        let deletes = matches!(deed, Deed::Delete | Deed::Remove(_));
        let there = made.map(|made| made.physical_id.as_str()).filter(|_| deletes);
        let child = stacks.find(given.or(there)?, settings)?.key();
        return Some(Waiting {
            logical,
            until: None,
            what: Awaited::Stack(child),
            deed: deed.clone(),
        });
    }
    let timeout = body.properties.member("ServiceTimeout");
    let timeout =
        timeout.and_then(|seconds| seconds.as_i64().or_else(|| seconds.as_str()?.parse().ok()));
    let timeout_s =
        timeout.filter(|seconds| (1..=TIMEOUT_S).contains(seconds)).unwrap_or(TIMEOUT_S);
    Some(Waiting {
        logical,
        until: Some(now.plus_ms(timeout_s * 1_000)),
        what: Awaited::Response(stack.events.1),
        deed: deed.clone(),
    })
}

/// A resource that waited could not be made, changed or removed.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) why: String,
    /// What the function calls what it may have made all the same.
    physical_id: Option<String>,
}

impl From<String> for Failed {
    fn from(why: String) -> Failed {
        Failed { why, physical_id: None }
    }
}

impl Failed {
    /// What there may be of a resource of which a function was asked: what it said, else a name for
    /// what nobody has named.
    pub(super) fn there(&self, context: &Context<'_>) -> String {
        self.physical_id.clone().unwrap_or_else(|| context.generated_name(128))
    }
}

/// What came of what was asked of a stack within a stack; `None`: it is still at work.
pub(super) fn came_of(
    stacks: &Stacks,
    child: &StackKey,
    deed: &Deed,
    settings: &Settings,
) -> Option<Result<Json, String>> {
    let id = stack_id(&child.0, child.1, settings);
    let Some(stack) = stacks.stacks.get(child) else { return Some(Ok(super::nothing())) };
    if stack.work.as_ref().is_some_and(|work| !work.stalled) {
        return None;
    }
    let done = match deed {
        Deed::Create(_) | Deed::Replace(_) => stack.status == Status::CreateComplete,
        Deed::Change(_) | Deed::Restore(_) => stack.status == Status::UpdateComplete,
        Deed::Delete | Deed::Remove(_) => stack.status == Status::DeleteComplete,
    };
    if done {
        let outputs = stack.outputs.iter();
        let data = outputs.map(|output| {
            (format!("Outputs.{}", output.key), Json::String(Arc::clone(&output.value)))
        });
        let data = Json::object(data.collect::<Vec<_>>());
        return Some(Ok(Json::object([("PhysicalResourceId", Json::from(id)), ("Data", data)])));
    }
    let verb = match deed {
        Deed::Create(_) | Deed::Replace(_) => "created",
        Deed::Change(_) | Deed::Restore(_) => "updated",
        Deed::Delete | Deed::Remove(_) => "deleted",
    };
    let failure = stack.work.as_ref().and_then(|work| work.failure.clone());
    let failed = stacks.resources_of(child.1).find_map(|one| {
        let failed = matches!(
            one.status,
            Status::CreateFailed | Status::UpdateFailed | Status::DeleteFailed
        );
        one.reason.clone().filter(|_| failed)
    });
    let why = failure.or(failed).or_else(|| stack.reason.clone()).unwrap_or_default();
    Some(Err(format!("Embedded stack {id} was not successfully {verb}: {why}")))
}

/// A function's answer, as a result.
pub(super) fn answered(answer: &Json) -> Result<Json, Failed> {
    match answer.member("Status").and_then(Json::as_str) {
        Some("SUCCESS") => Ok(answer.clone()),
        Some("FAILED") => {
            let text = |name| answer.member(name).and_then(Json::as_str);
            let reason = text("Reason").unwrap_or_default();
            let why = format!(
                "Received response status [FAILED] from custom resource. Message returned: {reason}"
            );
            let physical_id = text("PhysicalResourceId").filter(|id| !id.is_empty());
            Err(Failed { why, physical_id: physical_id.map(str::to_owned) })
        }
        _ => {
            let why = "Invalid response from custom resource: Status must be SUCCESS or FAILED";
            Err(why.to_owned().into())
        }
    }
}

/// What a resource is after what it waited for.
pub(super) fn made(
    resource: &Resource,
    deed: &Deed,
    result: Result<Json, String>,
    physical: Option<String>,
) -> (Option<Made>, Result<(), String>) {
    let (body, before) = bodies(resource, deed);
    let deletes = matches!(deed, Deed::Delete | Deed::Remove(_));
    let answer = match result {
        Ok(answer) => answer,
        Err(why) => {
            let made = physical
                .filter(|_| !deletes && before.is_none())
                .map(|physical_id| Made { physical_id, ..Made::default() });
            return (made.or_else(|| before.cloned()), Err(why));
        }
    };
    if deletes {
        return (None, Ok(()));
    }
    let given = answer.member("PhysicalResourceId").and_then(Json::as_str);
    let given = given.filter(|given| !given.is_empty());
    if given.is_none() && is_nested(&body.kind) {
        // Nothing had to be updated.
        return (before.cloned(), Ok(()));
    }
    let before = before.map(|before| before.physical_id.as_str());
    let Some(physical_id) = given.or(before) else {
        let why = "Invalid PhysicalResourceId: the custom resource's answer has none";
        return (None, Err(why.to_owned()));
    };
    let mut made = Made { physical_id: physical_id.to_owned(), ..Made::default() };
    for (name, value) in answer.member("Data").and_then(Json::as_object).into_iter().flatten() {
        made.attributes.insert(name.to_string(), value.clone());
    }
    (Some(made), Ok(()))
}

/// Whether a function has made another resource when it was asked to change one.
pub(super) fn has_replaced(resource: &Resource, deed: &Deed, made: Option<&Made>) -> bool {
    let before = resource.now.made.as_ref();
    matches!(deed, Deed::Change(_))
        && made.zip(before).is_some_and(|(made, before)| made.physical_id != before.physical_id)
}

impl Stacks {
    /// The stack with a resource that waits for an answer with this token.
    pub(super) fn awaits(&self, token: &str, settings: &Settings) -> Option<StackKey> {
        let found = self.stacks.values().find(|stack| {
            let waiting = stack.work.as_ref().and_then(|work| work.waiting.as_ref());
            let number = waiting.and_then(|waiting| match waiting.what {
                Awaited::Response(number) => Some(number),
                Awaited::Stack(_) | Awaited::Indexes(_) => None,
            });
            number.is_some_and(|number| response_token(stack, number, settings) == token)
        });
        found.map(|stack| stack.key())
    }
}
