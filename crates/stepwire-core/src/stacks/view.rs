//! Requests that read, and how stacks are shown.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};
use stepwire_cloudformation::Template as Parsed;

use super::change_set::no_change_set;
use super::plan::{self, sentences};
use super::record;
use super::status::{OnFailure, Status};
use super::{
    ChangeSet, ChangeSetName, Event, Output, Parameter, Plan, Request, Resource, Source, Stack,
    imports, name_in_id, no_stack, nothing, stack_id, unreadable, validation,
};
use crate::error::ApiError;
use crate::read::Read;
use crate::record::Corrupt;
use crate::settings::Settings;

/// Most entries of a page.
const PAGE_MAX: usize = 100;
/// Most changes of a change set on a page.
const CHANGES_MAX: usize = 500;

/// The answer to a request that reads.
pub fn answer(request: &Request, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    match request {
        Request::DescribeStacks { stack, after } => {
            describe_stacks(stack.as_deref(), after, read, settings)
        }
        Request::ListStacks { statuses, after } => list_stacks(statuses, after, read, settings),
        Request::DescribeStackEvents { stack, after } => events(stack, after, read, settings),
        Request::DescribeStackResource { stack, logical } => {
            let stack = find(stack, read, settings)?;
            let name = &stack.name;
            let found = resources(&stack, read)?.into_iter().find(|one| one.logical == *logical);
            let missing =
                || validation(format!("Resource {logical} does not exist for stack {name}"));
            let shown = resource(&stack, &found.ok_or_else(missing)?, Shown::Detail, settings);
            Ok(Json::object([("StackResourceDetail", shown)]))
        }
        Request::DescribeStackResources { stack, logical, physical } => describe_resources(
            stack.as_deref(),
            logical.as_deref(),
            physical.as_deref(),
            read,
            settings,
        ),
        Request::ListStackResources { stack, after } => {
            let stack = find(stack, read, settings)?;
            let all = resources(&stack, read)?;
            let shown = all.iter().map(|one| resource(&stack, one, Shown::Summary, settings));
            Ok(page("StackResourceSummaries", shown.collect(), after, PAGE_MAX))
        }
        Request::GetTemplate { stack, change_set, processed } => {
            get_template(stack.as_deref(), change_set.as_ref(), *processed, read, settings)
        }
        Request::GetTemplateSummary { stack, source } => {
            summary(stack.as_deref(), source.as_ref(), read, settings)
        }
        Request::ValidateTemplate { source } => validate(source, read),
        Request::DescribeChangeSet { name, after } => {
            let (stack, change_set) = find_change_set(name, read, settings)?;
            Ok(describe_change_set(&stack, &change_set, after, settings))
        }
        Request::DescribeChangeSetHooks(name) => {
            let (stack, change_set) = find_change_set(name, read, settings)?;
            Ok(Json::object([
                ("ChangeSetId", Json::from(change_set.id(settings))),
                ("ChangeSetName", text(&change_set.name)),
                ("Hooks", Json::array([])),
                ("Status", "PLANNED".into()),
                ("StackId", stack.id(settings).into()),
                ("StackName", text(&stack.name)),
            ]))
        }
        Request::ListChangeSets { stack } => list_change_sets(stack, read, settings),
        Request::ListExports { after } => list_exports(after, read, settings),
        Request::ListImports { export } => list_imports(export, read),
        Request::GetStackPolicy { stack } => {
            let stack = find(stack, read, settings)?;
            let policy = stack.policy.iter().map(|policy| ("StackPolicyBody", text(policy)));
            Ok(Json::object(policy))
        }
        Request::CreateStack { .. }
        | Request::UpdateStack { .. }
        | Request::DeleteStack { .. }
        | Request::CreateChangeSet(_)
        | Request::ExecuteChangeSet(_)
        | Request::DeleteChangeSet(_)
        | Request::ContinueUpdateRollback { .. }
        | Request::RollbackStack { .. }
        | Request::CancelUpdateStack { .. }
        | Request::SetStackPolicy { .. }
        | Request::UpdateTerminationProtection { .. }
        | Request::Respond { .. } => Ok(nothing()),
    }
}

fn text(text: &Arc<str>) -> Json {
    Json::String(Arc::clone(text))
}

fn time(at: Timestamp) -> Json {
    let seconds = at.0.div_euclid(1_000);
    let text = format!("{seconds}.{:03}", at.0.rem_euclid(1_000));
    Json::parse(&text).unwrap_or_default()
}

fn tags(plan: &Plan) -> Json {
    let tag = |(key, value): &(Arc<str>, Arc<str>)| {
        Json::object([("Key", text(key)), ("Value", text(value))])
    };
    Json::array(plan.tags.iter().map(tag))
}

fn texts(texts: &[Arc<str>]) -> Json {
    Json::array(texts.iter().map(text))
}

/// Some entries of a list after those that `after` says were seen, and how to go on.
fn page(member: &'static str, all: Vec<Json>, after: &str, max: usize) -> Json {
    let seen: usize = after.parse().unwrap_or_default();
    let more = all.len() > seen.saturating_add(max);
    let some = Json::array(all.into_iter().skip(seen).take(max));
    let next = more.then(|| ("NextToken", Json::from((seen + max).to_string())));
    Json::object([(member, some)].into_iter().chain(next))
}

fn all_stacks(name: &str, read: &dyn Read) -> Result<Vec<Stack>, ApiError> {
    record::all(&record::stacks(name), read).map_err(|corrupt| unreadable(&corrupt))
}

/// The stack that a request names, or gives by ARN: then also a deleted one.
fn find(stack: &str, read: &dyn Read, settings: &Settings) -> Result<Stack, ApiError> {
    let (name, by_id) = match name_in_id(stack) {
        Some(name) => (name, true),
        None => (stack, false),
    };
    let fits = |found: &Stack| if by_id { found.id(settings) == stack } else { found.lives() };
    let found =
        if name.is_empty() || name.contains('\0') { Vec::new() } else { all_stacks(name, read)? };
    found.into_iter().find(fits).ok_or_else(|| no_stack(stack))
}

/// The resources of a stack, in the order in which they are made.
fn resources(stack: &Stack, read: &dyn Read) -> Result<Vec<Resource>, ApiError> {
    let all = record::all(&record::resources(stack.number), read);
    let mut all: Vec<Resource> = all.map_err(|corrupt: Corrupt| unreadable(&corrupt))?;
    all.sort_by_key(|resource| resource.position);
    Ok(all)
}

fn describe_stacks(
    stack: Option<&str>,
    after: &str,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    let mut stacks = match stack.filter(|stack| !stack.is_empty()) {
        Some(stack) => vec![find(stack, read, settings)?],
        None => all_stacks("", read)?.into_iter().filter(Stack::lives).collect(),
    };
    stacks.sort_by_key(|stack| std::cmp::Reverse(stack.created));
    let shown = stacks.iter().map(|stack| shown_stack(stack, read, settings)).collect();
    Ok(page("Stacks", shown, after, PAGE_MAX))
}

fn shown_stack(stack: &Stack, read: &dyn Read, settings: &Settings) -> Json {
    let plan = &stack.plan;
    let mut members =
        vec![("StackId", Json::from(stack.id(settings))), ("StackName", text(&stack.name))];
    members.extend(stack.change_set.as_ref().map(|id| ("ChangeSetId", text(id))));
    members.extend(plan.description.as_ref().map(|description| ("Description", text(description))));
    if !plan.parameters.is_empty() {
        members.push(("Parameters", Json::array(plan.parameters.iter().map(parameter))));
    }
    members.push(("CreationTime", time(stack.created)));
    members.extend(stack.deleted.map(|at| ("DeletionTime", time(at))));
    members.extend(stack.updated.map(|at| ("LastUpdatedTime", time(at))));
    members.extend([
        ("RollbackConfiguration", plan.rollback_configuration.clone().unwrap_or_else(nothing)),
        ("StackStatus", stack.status.name().into()),
    ]);
    members.extend(stack.reason.as_ref().map(|reason| ("StackStatusReason", text(reason))));
    members.extend([
        ("DisableRollback", Json::from(plan.disable_rollback)),
        ("NotificationARNs", texts(&plan.notifications)),
    ]);
    members.extend(plan.timeout_minutes.map(|minutes| ("TimeoutInMinutes", Json::from(minutes))));
    if !plan.capabilities.is_empty() {
        members.push(("Capabilities", texts(&plan.capabilities)));
    }
    if !stack.outputs.is_empty() {
        members.push(("Outputs", Json::array(stack.outputs.iter().map(output))));
    }
    members.extend(plan.role.as_ref().map(|role| ("RoleARN", text(role))));
    members.extend([("Tags", tags(plan)), ("EnableTerminationProtection", stack.protected.into())]);
    members.extend(family(stack, read, settings));
    members.push(("DriftInformation", not_checked("StackDriftStatus")));
    Json::object(members)
}

/// The stacks that a stack is in.
fn family(
    stack: &Stack,
    read: &dyn Read,
    settings: &Settings,
) -> impl Iterator<Item = (&'static str, Json)> {
    let id = |key: &super::StackKey| Json::from(stack_id(&key.0, key.1, settings));
    let mut parent = stack.parent.as_ref().map(|(parent, _)| parent.clone());
    let first = parent.as_ref().map(|parent| ("ParentId", id(parent)));
    let mut root = None;
    while let Some(key) = parent {
        root = Some(("RootId", id(&key)));
        let above: Option<Stack> = record::stored(&record::stack_key(&key), read).ok().flatten();
        parent = above.and_then(|above| above.parent).map(|(parent, _)| parent);
    }
    first.into_iter().chain(root)
}

fn not_checked(member: &'static str) -> Json {
    Json::object([(member, Json::from("NOT_CHECKED"))])
}

fn parameter(parameter: &Parameter) -> Json {
    let shown = |value| if parameter.hidden { Json::from(record::HIDDEN) } else { text(value) };
    let value = shown(&parameter.value);
    let mut members = vec![("ParameterKey", text(&parameter.key)), ("ParameterValue", value)];
    members.extend(parameter.resolved.as_ref().map(|value| ("ResolvedValue", shown(value))));
    Json::object(members)
}

fn output(output: &Output) -> Json {
    let mut members = vec![("OutputKey", text(&output.key)), ("OutputValue", text(&output.value))];
    members.extend(output.description.as_ref().map(|words| ("Description", text(words))));
    members.extend(output.export.as_ref().map(|name| ("ExportName", text(name))));
    Json::object(members)
}

fn list_stacks(
    statuses: &[Arc<str>],
    after: &str,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    let mut stacks = all_stacks("", read)?;
    stacks.retain(|stack| {
        statuses.is_empty() || statuses.iter().any(|status| **status == *stack.status.name())
    });
    stacks.sort_by_key(|stack| std::cmp::Reverse(stack.created));
    let shown = stacks.iter().map(|stack| {
        let mut members =
            vec![("StackId", Json::from(stack.id(settings))), ("StackName", text(&stack.name))];
        let description = stack.plan.description.as_ref();
        members.extend(description.map(|words| ("TemplateDescription", text(words))));
        members.push(("CreationTime", time(stack.created)));
        members.extend(stack.updated.map(|at| ("LastUpdatedTime", time(at))));
        members.extend(stack.deleted.map(|at| ("DeletionTime", time(at))));
        members.push(("StackStatus", stack.status.name().into()));
        members.extend(stack.reason.as_ref().map(|reason| ("StackStatusReason", text(reason))));
        members.extend(family(stack, read, settings));
        members.push(("DriftInformation", not_checked("StackDriftStatus")));
        Json::object(members)
    });
    Ok(page("StackSummaries", shown.collect(), after, PAGE_MAX))
}

fn events(
    stack: &str,
    after: &str,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    let stack = find(stack, read, settings)?;
    let before = if after.is_empty() { u64::MAX } else { after.parse().unwrap_or_default() };
    let mut entries = read.range(&record::events(stack.number, before, PAGE_MAX + 1));
    let more = entries.len() > PAGE_MAX;
    entries.truncate(PAGE_MAX);
    let mut shown = Vec::new();
    let mut last = 0;
    for (key, value) in &entries {
        let event: Event = record::record(key, value).map_err(|corrupt| unreadable(&corrupt))?;
        let number = key.get(9..17).and_then(|bytes| bytes.try_into().ok());
        last = number.map(u64::from_be_bytes).unwrap_or_default();
        shown.push(shown_event(&stack, last, &event, settings));
    }
    let next = more.then(|| ("NextToken", Json::from(last.to_string())));
    Ok(Json::object([("StackEvents", Json::array(shown))].into_iter().chain(next)))
}

fn shown_event(stack: &Stack, number: u64, event: &Event, settings: &Settings) -> Json {
    let id = crate::executions::derived_uuid(
        &settings.secret,
        "event of a stack",
        &[stack.number, number],
    );
    let mut members = vec![
        ("StackId", Json::from(stack.id(settings))),
        ("EventId", id.into()),
        ("StackName", text(&stack.name)),
        ("LogicalResourceId", text(&event.logical)),
        ("PhysicalResourceId", event.physical.as_ref().map_or_else(|| "".into(), text)),
        ("ResourceType", text(&event.kind)),
        ("Timestamp", time(event.at)),
        ("ResourceStatus", event.status.name().into()),
    ];
    members.extend(event.reason.as_ref().map(|reason| ("ResourceStatusReason", text(reason))));
    members.extend(event.properties.as_ref().map(|json| ("ResourceProperties", text(json))));
    members.extend(event.token.as_ref().map(|token| ("ClientRequestToken", text(token))));
    Json::object(members)
}

/// In which of its forms a resource is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Detail,
    Described,
    Summary,
}

fn resource(stack: &Stack, one: &Resource, shown: Shown, settings: &Settings) -> Json {
    let mut members = Vec::new();
    if shown != Shown::Summary {
        members.extend([
            ("StackName", text(&stack.name)),
            ("StackId", Json::from(stack.id(settings))),
        ]);
    }
    members.push(("LogicalResourceId", text(&one.logical)));
    let physical = one.now.made.as_ref().map(|made| Json::from(made.physical_id.as_str()));
    members.extend(physical.map(|physical| ("PhysicalResourceId", physical)));
    let at = match shown {
        Shown::Described => "Timestamp",
        Shown::Detail | Shown::Summary => "LastUpdatedTimestamp",
    };
    members.extend([
        ("ResourceType", text(&one.now.kind)),
        (at, time(one.changed)),
        ("ResourceStatus", one.status.name().into()),
    ]);
    members.extend(one.reason.as_ref().map(|reason| ("ResourceStatusReason", text(reason))));
    if shown == Shown::Detail {
        let metadata = one.now.metadata.as_ref();
        members.extend(metadata.map(|json| ("Metadata", Json::from(json.to_text()))));
    }
    members.push(("DriftInformation", not_checked("StackResourceDriftStatus")));
    Json::object(members)
}

fn describe_resources(
    stack: Option<&str>,
    logical: Option<&str>,
    physical: Option<&str>,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    let has = |one: &Resource, physical: &str| {
        one.is_there() && one.now.made.as_ref().is_some_and(|made| made.physical_id == physical)
    };
    let mut found = None;
    if let Some(stack) = stack {
        found = Some(find(stack, read, settings)?);
    } else if let Some(physical) = physical {
        for stack in all_stacks("", read)?.into_iter().filter(Stack::lives) {
            if resources(&stack, read)?.iter().any(|one| has(one, physical)) {
                found = Some(stack);
                break;
            }
        }
    }
    let missing = || {
        let physical = physical.unwrap_or_default();
        validation(format!("Stack for {physical} does not exist"))
    };
    let stack = found.ok_or_else(missing)?;
    let all = resources(&stack, read)?;
    let all = all.iter().filter(|one| logical.is_none_or(|logical| *one.logical == *logical));
    let shown = all.map(|one| resource(&stack, one, Shown::Described, settings));
    Ok(Json::object([("StackResources", Json::array(shown))]))
}

fn get_template(
    stack: Option<&str>,
    change_set: Option<&Arc<str>>,
    processed: bool,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    let (stack, plan) = match change_set {
        Some(name) => {
            let name = ChangeSetName { change_set: Arc::clone(name), stack: stack.map(Arc::from) };
            let (stack, change_set) = find_change_set(&name, read, settings)?;
            (stack, change_set.plan)
        }
        None => {
            let stack = find(stack.unwrap_or_default(), read, settings)?;
            let plan = stack.plan.clone();
            (stack, plan)
        }
    };
    let stages = ("StagesAvailable", Json::array(["Original".into(), "Processed".into()]));
    if plan.template == 0 {
        return Ok(Json::object([("TemplateBody", Json::from("{}")), stages]));
    }
    let template = plan::stored(plan.template, read)?;
    let body = if processed {
        let source = Parsed::parse(&template.source);
        let source = source.map_err(|wrong| validation(sentences(&wrong)))?;
        if source.transforms().is_empty() {
            // Nothing is processed where nothing transforms.
            Json::from(source.root().to_json().to_text())
        } else {
            let (name, number) = (&stack.name, stack.number);
            let expanded = plan::expand(&template, name, number, &plan, settings);
            Json::from(plan.masked(&expanded.map_err(validation)?.to_json()).to_text())
        }
    } else {
        text(&template.source)
    };
    Ok(Json::object([("TemplateBody", body), stages]))
}

fn parsed(source: &Source, read: &dyn Read) -> Result<Parsed, ApiError> {
    let text = plan::text(source, None, read)?;
    Parsed::parse(&text).map_err(|wrong| validation(sentences(&wrong)))
}

/// What a template says of its parameters and of what it asks of its caller.
fn about(parsed: &Parsed, with_types: bool) -> Vec<(&'static str, Json)> {
    let parameters = parsed.parameters().iter().map(|(name, parameter)| {
        let mut members = vec![("ParameterKey", Json::from(name.as_str()))];
        let default = parameter.default.as_ref();
        members.extend(default.map(|default| ("DefaultValue", text(default))));
        if with_types {
            members.push(("ParameterType", parameter.kind.name().into()));
        }
        members.push(("NoEcho", parameter.no_echo.into()));
        let words = parameter.description.as_ref();
        members.extend(words.map(|words| ("Description", text(words))));
        if with_types {
            let allowed = &parameter.allowed_values;
            let constraints = if allowed.is_empty() {
                nothing()
            } else {
                Json::object([("AllowedValues", texts(allowed))])
            };
            members.push(("ParameterConstraints", constraints));
        }
        Json::object(members)
    });
    let mut members = vec![("Parameters", Json::array(parameters))];
    members.extend(parsed.description().map(|words| ("Description", Json::from(words))));
    let needed = parsed.capabilities();
    if !needed.is_empty() {
        let names = needed.iter().map(|needed| Json::from(needed.capability.name()));
        let reasons: Vec<_> = needed.iter().map(|needed| needed.reason.as_str()).collect();
        members.push(("Capabilities", Json::array(names)));
        members.push(("CapabilitiesReason", reasons.join(" ").into()));
    }
    let transforms = parsed.transforms();
    if !transforms.is_empty() {
        members.push(("DeclaredTransforms", texts(&transforms)));
    }
    members
}

fn validate(source: &Source, read: &dyn Read) -> Result<Json, ApiError> {
    Ok(Json::object(about(&parsed(source, read)?, false)))
}

fn summary(
    stack: Option<&str>,
    source: Option<&Source>,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    let parsed = match (stack, source) {
        (Some(stack), _) => {
            let stack = find(stack, read, settings)?;
            if stack.plan.template == 0 {
                let message = "GetTemplateSummary cannot be called on REVIEW_IN_PROGRESS stacks.";
                return Err(validation(message));
            }
            let template = plan::stored(stack.plan.template, read)?;
            parsed(&Source::Body(template.source), read)?
        }
        (None, Some(source)) => parsed(source, read)?,
        (None, None) => return Err(validation("a template must be specified")),
    };
    let mut members = about(&parsed, true);
    members.push(("ResourceTypes", texts(&parsed.resource_types())));
    members.push(("Version", "2010-09-09".into()));
    let metadata = parsed.metadata().map(|metadata| metadata.to_json().to_text());
    members.extend(metadata.map(|metadata| ("Metadata", Json::from(metadata))));
    members.push(("ResourceIdentifierSummaries", Json::array([])));
    Ok(Json::object(members))
}

/// The change set that a request names, and its stack.
fn find_change_set(
    name: &ChangeSetName,
    read: &dyn Read,
    settings: &Settings,
) -> Result<(Stack, ChangeSet), ApiError> {
    let missing = || no_change_set(&name.change_set);
    let by_id = name.change_set.starts_with("arn:");
    let range = match (&name.stack, by_id) {
        (_, true) => record::all_change_sets(),
        (Some(stack), false) => {
            let found = find(stack, read, settings).map_err(|error| {
                if stack.starts_with("arn:") {
                    error
                } else {
                    validation(format!("Stack [{stack}] does not exist"))
                }
            })?;
            record::change_sets(found.number)
        }
        (None, false) => return Err(missing()),
    };
    let all = record::all(&range, read).map_err(|corrupt| unreadable(&corrupt))?;
    let mut found = all.into_iter().filter(|one: &ChangeSet| {
        if by_id { one.id(settings) == *name.change_set } else { one.name == name.change_set }
    });
    let change_set = found.next().ok_or_else(missing)?;
    let stack = record::stored(&record::stack_key(&change_set.stack), read);
    let stack = stack.map_err(|corrupt| unreadable(&corrupt))?;
    Ok((stack.ok_or_else(missing)?, change_set))
}

/// What DescribeChangeSet and ListChangeSets show.
fn change_set_summary(
    stack: &Stack,
    change_set: &ChangeSet,
    settings: &Settings,
) -> Vec<(&'static str, Json)> {
    let mut members = vec![
        ("ChangeSetName", text(&change_set.name)),
        ("ChangeSetId", Json::from(change_set.id(settings))),
        ("StackId", stack.id(settings).into()),
        ("StackName", text(&stack.name)),
    ];
    let words = change_set.description.as_ref();
    members.extend(words.map(|words| ("Description", text(words))));
    members.extend([
        ("CreationTime", time(change_set.created)),
        ("ExecutionStatus", change_set.stage.execution().into()),
        ("Status", change_set.stage.status().into()),
    ]);
    members.extend(change_set.reason.as_ref().map(|reason| ("StatusReason", text(reason))));
    members.push(("IncludeNestedStacks", false.into()));
    members
}

fn describe_change_set(
    stack: &Stack,
    change_set: &ChangeSet,
    after: &str,
    settings: &Settings,
) -> Json {
    let plan = &change_set.plan;
    let mut members = change_set_summary(stack, change_set, settings);
    if !plan.parameters.is_empty() {
        members.push(("Parameters", Json::array(plan.parameters.iter().map(parameter))));
    }
    members.extend([
        ("NotificationARNs", texts(&plan.notifications)),
        ("RollbackConfiguration", plan.rollback_configuration.clone().unwrap_or_else(nothing)),
        ("Capabilities", texts(&plan.capabilities)),
        ("Tags", tags(plan)),
    ]);
    if change_set.creates {
        let on_failure = match plan.on_failure {
            OnFailure::Rollback => "ROLLBACK",
            OnFailure::Delete => "DELETE",
            OnFailure::DoNothing => "DO_NOTHING",
        };
        members.push(("OnStackFailure", on_failure.into()));
    }
    let changes = change_set.changes.as_array().unwrap_or_default().to_vec();
    let changes = page("Changes", changes, after, CHANGES_MAX);
    let changes = changes.as_object().cloned().unwrap_or_default();
    let head: Vec<(Arc<str>, Json)> =
        members.into_iter().map(|(name, value)| (name.into(), value)).collect();
    Json::object(head.into_iter().chain(changes))
}

fn list_change_sets(stack: &str, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    let stack = find(stack, read, settings)?;
    let all = record::all(&record::change_sets(stack.number), read);
    let all: Vec<ChangeSet> = all.map_err(|corrupt| unreadable(&corrupt))?;
    let shown = all.iter().map(|one| Json::object(change_set_summary(&stack, one, settings)));
    Ok(Json::object([("Summaries", Json::array(shown))]))
}

fn list_exports(after: &str, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    let mut exports = Vec::new();
    for stack in all_stacks("", read)?.iter().filter(|stack| stack.lives()) {
        for output in &stack.outputs {
            let Some(name) = &output.export else { continue };
            let shown = Json::object([
                ("ExportingStackId", Json::from(stack.id(settings))),
                ("Name", text(name)),
                ("Value", text(&output.value)),
            ]);
            exports.push((Arc::clone(name), shown));
        }
    }
    exports.sort_by(|a, b| a.0.cmp(&b.0));
    let shown = exports.into_iter().map(|(_, shown)| shown).collect();
    Ok(page("Exports", shown, after, PAGE_MAX))
}

fn list_imports(export: &Arc<str>, read: &dyn Read) -> Result<Json, ApiError> {
    let stacks = all_stacks("", read)?;
    let lives = stacks.iter().filter(|stack| stack.status != Status::DeleteComplete);
    let using = lives.filter(|stack| imports(stack).any(|import| import == export));
    let using: Vec<_> = using.map(|stack| text(&stack.name)).collect();
    if using.is_empty() {
        return Err(validation(format!("Export '{export}' is not imported by any stack.")));
    }
    Ok(Json::object([("Imports", Json::array(using))]))
}
