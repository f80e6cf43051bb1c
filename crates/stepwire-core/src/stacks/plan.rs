//! From what a caller wants to what a stack is to be made of.

use std::collections::BTreeMap;
use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_cloudformation::{
    Capability, Diagnostic, Expanded, Given, ParameterType, Place, Template as Source,
};

use super::kinds::{self, Around, Verdict};
use super::status::{OnFailure, Support};
use super::{
    Parameter, Plan, Request, Stack, Stacks, Template, Wanted, no_stack, record, request,
    unreadable, validation,
};
use crate::error::ApiError;
use crate::objects;
use crate::read::Read;
use crate::request::{Request as Service, Service as Hosted};
use crate::settings::Settings;

/// Largest template in an object, bytes.
const OBJECT_MAX: u64 = 1 << 20;
/// Most resources of a stack. Source: CloudFormation quotas.
const RESOURCES_MAX: usize = 500;
/// Most outputs of a stack.
const OUTPUTS_MAX: usize = 200;
/// Where a dynamic reference to Parameter Store begins.
const DYNAMIC: &str = "{{resolve:ssm:";
/// The tag that names types of which placeholders may be made: separated by commas, or `*`.
pub(super) const ALLOW_MISSING: &str = "stepwire:allow-missing";

/// What a stack is to be made of, ready to be stored.
#[derive(Debug)]
pub(super) struct Prepared {
    /// All but the number of the template.
    pub(super) plan: Plan,
    /// The template, to be stored.
    pub(super) template: Template,
    /// What it comes to.
    pub(super) expanded: Arc<Expanded>,
}

/// Why a stack cannot become what is wanted.
#[derive(Debug)]
pub(super) enum Refused {
    /// The request is refused.
    Request(ApiError),
    /// The template is. A change set says so; other requests are refused.
    Template(Box<Parameters>, String),
}

/// What is known of a refused template: its parameters, and the text to be stored.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    pub(super) plan: Plan,
    pub(super) source: Arc<str>,
}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        Refused::Request(error)
    }
}

impl Refused {
    /// As the error of a request.
    pub(super) fn into_error(self) -> ApiError {
        match self {
            Refused::Request(error) => error,
            Refused::Template(_, why) => validation(why),
        }
    }
}

/// For whom a plan is made.
#[derive(Debug, Clone, Copy)]
pub(super) struct For<'a> {
    pub(super) name: &'a str,
    pub(super) number: u64,
    /// The stack as it is, if it is there.
    pub(super) stack: Option<&'a Stack>,
    /// Whether transforms are agreed to by asking for a change set.
    pub(super) is_change_set: bool,
}

/// The text of a template.
pub(super) fn text(
    source: &request::Source,
    stack: Option<&Stack>,
    read: &dyn Read,
) -> Result<Arc<str>, ApiError> {
    match source {
        request::Source::Body(body) => Ok(Arc::clone(body)),
        request::Source::Object { bucket, key } => {
            let bytes = objects::bytes(bucket, key, OBJECT_MAX, read).map_err(|why| {
                validation(format!("S3 error: {why}\nhint: `{key}` in bucket `{bucket}`"))
            })?;
            let text = String::from_utf8(bytes)
                .map_err(|_| validation("Template format error: the template is not UTF-8"))?;
            Ok(text.into())
        }
        request::Source::Previous => {
            let number = stack.map(|stack| stack.plan.template).filter(|number| *number > 0);
            let missing = || validation("Cannot find previous template: the stack has none");
            Ok(stored(number.ok_or_else(missing)?, read)?.source)
        }
    }
}

/// The stored template of this number.
pub(super) fn stored(number: u64, read: &dyn Read) -> Result<Template, ApiError> {
    let found = record::stored(&record::template_key(number), read);
    let found: Option<Template> = found.map_err(|corrupt| unreadable(&corrupt))?;
    found.ok_or_else(|| ApiError::new("InternalFailure", "the template is not stored"))
}

/// What a stored template comes to.
pub(super) fn expand(
    template: &Template,
    name: &str,
    number: u64,
    plan: &Plan,
    settings: &Settings,
) -> Result<Expanded, String> {
    let source = Source::parse(&template.source).map_err(|wrong| sentences(&wrong))?;
    let given = given(template, name, number, plan, settings);
    source.expand(&given).map_err(|wrong| sentences(&wrong))
}

fn given(template: &Template, name: &str, number: u64, plan: &Plan, settings: &Settings) -> Given {
    Given {
        artifacts: stepwire_cloudformation::Artifacts::Refused,
        parameters: template.parameters.clone(),
        region: settings.region.to_string(),
        account: settings.account.to_string(),
        partition: "aws".to_owned(),
        stack_name: name.to_owned(),
        stack_id: super::stack_id(name, number, settings),
        url_suffix: "amazonaws.com".to_owned(),
        notification_arns: plan.notifications.iter().map(ToString::to_string).collect(),
        imports: template.imports.clone(),
        ssm: template.ssm.clone(),
        unknown: stepwire_cloudformation::Unknown::Refused,
    }
}

/// What is wrong, each with its place and what to do.
pub(super) fn sentences(wrong: &[Diagnostic]) -> String {
    let sentence = |one: &Diagnostic| {
        let hint = one.hint.as_ref().map(|hint| format!(" (hint: {hint})"));
        format!("{}{}{}", one.message, at(one.place), hint.unwrap_or_default())
    };
    wrong.iter().map(sentence).collect::<Vec<_>>().join("; ")
}

fn at(place: Place) -> String {
    if place.is_nowhere() {
        String::new()
    } else {
        format!(" (line {}, column {})", place.line, place.column)
    }
}

/// Reads what making a plan reads, so that it is fetched.
pub(super) fn prefetch(stacks: &Stacks, request: &Request, read: &dyn Read, settings: &Settings) {
    if let Some((stack, wanted)) = request.wanted() {
        let stack = stacks.find(stack, settings).map(AsRef::as_ref);
        if let Ok(text) = text(&wanted.source, stack, read) {
            prefetch_ssm(&text, wanted, stack, read, settings);
        }
    }
}

/// Reads the values of Parameter Store that the template may use.
pub(super) fn prefetch_ssm(
    text: &str,
    wanted: &Wanted,
    stack: Option<&Stack>,
    read: &dyn Read,
    settings: &Settings,
) {
    if !text.contains("AWS::SSM::Parameter::Value") && !text.contains(DYNAMIC) {
        return;
    }
    if let Ok(source) = Source::parse(text) {
        let values = values(&source, wanted, stack).unwrap_or_default();
        let _ = ssm(&source, text, &values, read, settings);
    }
}

/// Makes a plan of what is wanted. Nothing is stored.
pub(super) fn prepare(
    stacks: &Stacks,
    of: For<'_>,
    wanted: &Wanted,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Prepared, Refused> {
    if matches!(wanted.source, request::Source::Previous) && of.stack.is_none() {
        return Err(no_stack(of.name).into());
    }
    let text = text(&wanted.source, of.stack, read)?;
    let source = Source::parse(&text).map_err(|wrong| validation(sentences(&wrong)))?;
    let values = values(&source, wanted, of.stack)?;
    let mut plan = base(wanted, of.stack);
    plan.description = source.description().map(Arc::from);
    let known =
        |plan: &Plan| Box::new(Parameters { plan: plan.clone(), source: Arc::clone(&text) });
    let mut template = Template {
        source: Arc::clone(&text),
        parameters: values.clone(),
        imports: exports(stacks, of.number),
        ssm: ssm(&source, &text, &values, read, settings),
    };
    let given = given(&template, of.name, of.number, &plan, settings);
    let transformed = !source.transforms().is_empty();
    let expanded = source.expand(&given).map_err(|wrong| {
        let why = sentences(&wrong);
        if transformed {
            Refused::Template(known(&plan), why)
        } else {
            Refused::Request(validation(why))
        }
    })?;
    template.imports.retain(|name, _| expanded.imported.contains(name));
    plan.imports = expanded.imported.iter().map(|name| Arc::from(name.as_str())).collect();
    plan.parameters = shown_parameters(&source, &expanded);
    agreed(&expanded, &source, &plan, of.is_change_set)?;
    if let Some(why) = attributes(&expanded) {
        return Err(if transformed {
            Refused::Template(known(&plan), why)
        } else {
            Refused::Request(validation(why))
        });
    }
    let others = of.stack.map(|stack| other_types(stacks, stack, &expanded)).unwrap_or_default();
    if !others.is_empty() {
        let why = format!(
            "Update of resource type is not permitted. The new template modifies resource type of \
             the following resources: [{}]",
            others.join(", ")
        );
        return Err(Refused::Template(known(&plan), why));
    }
    let mut wrong = bounds(&expanded);
    wrong.extend(types(&source, &expanded, wanted, &plan, settings));
    if !wrong.is_empty() {
        return Err(Refused::Template(known(&plan), wrong.join("; ")));
    }
    Ok(Prepared { plan, template, expanded: Arc::new(expanded) })
}

/// Resources that a stack has, as something else than what they are to be.
fn other_types<'a>(stacks: &Stacks, stack: &Stack, expanded: &'a Expanded) -> Vec<&'a str> {
    let differs = |logical: &str, kind: &str| {
        let there = stacks.resource(stack.number, logical);
        there.is_some_and(|there| there.is_there() && *there.now.kind != *kind)
    };
    let wanted = expanded.resources.iter();
    let others = wanted.filter(|(logical, resource)| differs(logical, &resource.kind));
    others.map(|(logical, _)| logical.as_str()).collect()
}

/// What the request says of the stack, and what it leaves as it is.
fn base(wanted: &Wanted, stack: Option<&Stack>) -> Plan {
    let before = stack.map(|stack| &stack.plan);
    let or = |before: Option<Arc<str>>, given: &Option<Arc<str>>| given.clone().or(before);
    let on_failure = match (wanted.disable_rollback, wanted.on_failure) {
        (true, _) => OnFailure::DoNothing,
        (false, given) => given.unwrap_or_default(),
    };
    Plan {
        capabilities: wanted.capabilities.clone(),
        tags: match (&wanted.tags, before) {
            (Some(tags), _) => tags.clone(),
            (None, Some(before)) => before.tags.clone(),
            (None, None) => Vec::new(),
        },
        notifications: match (&wanted.notifications, before) {
            (Some(notifications), _) => notifications.clone(),
            (None, Some(before)) => before.notifications.clone(),
            (None, None) => Vec::new(),
        },
        role: or(before.and_then(|before| before.role.clone()), &wanted.role),
        rollback_configuration: wanted
            .rollback_configuration
            .clone()
            .or_else(|| before.and_then(|before| before.rollback_configuration.clone())),
        on_failure,
        disable_rollback: on_failure == OnFailure::DoNothing,
        timeout_minutes: wanted
            .timeout_minutes
            .or_else(|| before.and_then(|before| before.timeout_minutes)),
        retain_except_on_create: wanted.retain_except_on_create,
        ..Plan::default()
    }
}

/// The values of the parameters that have been given one, now or before.
fn values(
    source: &Source,
    wanted: &Wanted,
    stack: Option<&Stack>,
) -> Result<BTreeMap<String, String>, ApiError> {
    let declared = source.parameters();
    let unknown = wanted.parameters.iter().filter(|(key, _)| !declared.contains_key(&**key));
    let unknown: Vec<_> = unknown.map(|(key, _)| &**key).collect();
    if !unknown.is_empty() {
        let unknown = unknown.join(", ");
        return Err(validation(format!("Parameters: [{unknown}] do not exist in the template")));
    }
    let mut values = BTreeMap::new();
    for (key, value) in &wanted.parameters {
        let value = match value {
            Some(value) => Arc::clone(value),
            None => {
                let before = stack.map(|stack| &stack.plan.parameters).into_iter().flatten();
                let mut before =
                    before.filter(|before| before.key == *key).map(|before| &before.value);
                let missing = || {
                    validation(format!(
                        "Invalid input for parameter key {key}. Cannot specify usePreviousValue as \
                         true for a parameter key not in the previous template"
                    ))
                };
                Arc::clone(before.next_back().ok_or_else(missing)?)
            }
        };
        values.insert(key.to_string(), value.to_string());
    }
    let missing = declared
        .iter()
        .filter(|(name, parameter)| parameter.default.is_none() && !values.contains_key(&***name));
    let missing: Vec<_> = missing.map(|(name, _)| name.as_str()).collect();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        return Err(validation(format!("Parameters: [{missing}] must have values")));
    }
    Ok(values)
}

/// The exports of all stacks but the one of this number.
fn exports(stacks: &Stacks, number: u64) -> BTreeMap<String, Json> {
    let others = stacks.exports().filter(|(_, stack, _)| stack.number != number);
    others.map(|(name, _, value)| (name.to_string(), Json::String(Arc::clone(value)))).collect()
}

/// The values of Parameter Store that the template uses.
fn ssm(
    source: &Source,
    text: &str,
    values: &BTreeMap<String, String>,
    read: &dyn Read,
    settings: &Settings,
) -> BTreeMap<String, Json> {
    let mut names = Vec::new();
    for (name, parameter) in source.parameters() {
        if matches!(parameter.kind, ParameterType::Ssm { .. }) {
            let given = values.get(name.as_str()).map(String::as_str);
            names.extend(given.or(parameter.default.as_deref()).map(str::to_owned));
        }
    }
    // Names may be made of parameters.
    let known = |name: &str| match name {
        "AWS::Region" => Some(settings.region.to_string()),
        "AWS::AccountId" => Some(settings.account.to_string()),
        _ => {
            let default = || source.parameters().get(name)?.default.as_deref().map(str::to_owned);
            values.get(name).cloned().or_else(default)
        }
    };
    for rest in text.split(DYNAMIC).skip(1) {
        let Some((name, _)) = rest.split_once("}}") else { continue };
        let mut made = String::new();
        let mut rest = name;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((inner, behind)) = after.split_once('}') else { break };
            made.push_str(before);
            made.push_str(&known(inner).unwrap_or_default());
            rest = behind;
        }
        made.push_str(rest);
        names.push(made);
    }
    let found = names.into_iter().filter_map(|name| {
        let value = ssm_value(&name, read, settings)?;
        Some((name, value))
    });
    found.collect()
}

/// The value of a parameter in Parameter Store, as it is.
fn ssm_value(name: &str, read: &dyn Read, settings: &Settings) -> Option<Json> {
    let asked = Json::object([("Name", Json::from(name))]);
    let request = Service::parse(Hosted::Ssm, "GetParameter", &asked)?.ok()?;
    let answer = request.answer(read, settings).ok()?;
    answer.member("Parameter")?.member("Value").cloned()
}

fn shown_parameters(source: &Source, expanded: &Expanded) -> Vec<Parameter> {
    let shown = source.parameters().iter().filter_map(|(name, parameter)| {
        let name = name.as_str();
        let resolved = expanded.resolved_parameters.get(name);
        Some(Parameter {
            key: name.into(),
            value: expanded.parameters.get(name)?.as_str().into(),
            resolved: resolved.map(|value| value.as_str().into()),
            hidden: parameter.no_echo,
        })
    });
    shown.collect()
}

/// Refuses what the caller has not agreed to.
fn agreed(
    expanded: &Expanded,
    source: &Source,
    plan: &Plan,
    is_change_set: bool,
) -> Result<(), ApiError> {
    let has = |name: &str| plan.capabilities.iter().any(|given| **given == *name);
    let transformed = !source.transforms().is_empty();
    if transformed && !is_change_set && !has(Capability::AutoExpand.name()) {
        return Err(insufficient(Capability::AutoExpand));
    }
    for needed in expanded.capabilities() {
        let given = match needed.capability {
            Capability::Iam => has("CAPABILITY_IAM") || has("CAPABILITY_NAMED_IAM"),
            Capability::NamedIam => has("CAPABILITY_NAMED_IAM"),
            Capability::AutoExpand => is_change_set || has("CAPABILITY_AUTO_EXPAND"),
        };
        if !given {
            return Err(insufficient(needed.capability));
        }
    }
    Ok(())
}

fn insufficient(capability: Capability) -> ApiError {
    let message = format!("Requires capabilities : [{}]", capability.name());
    ApiError::new("InsufficientCapabilitiesException", message)
}

fn bounds(expanded: &Expanded) -> Vec<String> {
    let mut wrong = Vec::new();
    let (resources, outputs) = (expanded.resources.len(), expanded.outputs.len());
    if resources == 0 {
        wrong.push("Template format error: At least one Resources member must be defined.".into());
    }
    if resources > RESOURCES_MAX {
        wrong.push(format!(
            "Template format error: Number of resources, {resources}, is greater than maximum \
             allowed, {RESOURCES_MAX}"
        ));
    }
    if outputs > OUTPUTS_MAX {
        wrong.push(format!(
            "Template format error: Number of outputs, {outputs}, is greater than maximum allowed, \
             {OUTPUTS_MAX}"
        ));
    }
    wrong
}

/// What `Fn::GetAtt` asks of resources that do not have it.
fn attributes(expanded: &Expanded) -> Option<String> {
    let lost = kinds::lost_attributes(expanded);
    (!lost.is_empty()).then(|| sentences(&lost))
}

/// Types and properties that cannot be, by name and line.
fn types(
    source: &Source,
    expanded: &Expanded,
    wanted: &Wanted,
    plan: &Plan,
    settings: &Settings,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let around = Around {
        resource: &|logical| kinds::likely_of(expanded, logical),
        reachable: &|name| settings.outside.contains(name),
    };
    for (logical, resource) in &expanded.resources {
        let kind = resource.kind.as_str();
        let line = at(resource.place);
        if let Some(types) = &wanted.types
            && !types.iter().any(|allowed| allows(allowed, kind))
        {
            wrong.push(format!("Resource type {kind} is not allowed by parameter ResourceTypes"));
        }
        match support(kind, plan) {
            Ok(Support::Served | Support::WithoutEffect) => {
                let properties = resource.properties.to_json();
                let findings = kinds::examine(kind, &properties, &around).into_iter();
                for finding in findings.filter(|finding| finding.verdict == Verdict::Refused) {
                    let path: Vec<_> = finding.path.iter().map(String::as_str).collect();
                    let place = at(source.place_of(expanded, logical, &path));
                    wrong.push(format!("{logical} ({kind}): {}{place}", finding.message));
                }
            }
            Ok(Support::Placeholder) => {}
            Err(hint) => {
                let allow = format!("the tag {ALLOW_MISSING}={kind} makes a placeholder");
                wrong.push(format!(
                    "{logical}: resource type {kind} is not available in stepwire{line} (hint: \
                     {hint}; {allow})"
                ));
            }
        }
    }
    wrong
}

/// Whether a word of `ResourceTypes`, or of the tag, covers a type.
fn allows(allowed: &str, kind: &str) -> bool {
    match allowed.strip_suffix('*') {
        Some(prefix) => kind.starts_with(prefix),
        None => allowed == kind,
    }
}

/// What is done with resources of a type in a stack of this plan; the error is what to do instead.
pub(super) fn support(kind: &str, plan: &Plan) -> Result<Support, &'static str> {
    let found = match kinds::support(kind) {
        kinds::Support::Served => Ok(Support::Served),
        kinds::Support::WithoutEffect(_) => Ok(Support::WithoutEffect),
        kinds::Support::Refused(hint) => Err(hint),
    };
    let allowed = plan.tags.iter().filter(|(key, _)| **key == *ALLOW_MISSING);
    let mut allowed = allowed.flat_map(|(_, types)| types.split(',').map(str::trim));
    match found {
        Err(_) if allowed.any(|allowed| allows(allowed, kind)) => Ok(Support::Placeholder),
        other => other,
    }
}
