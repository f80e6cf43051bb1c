//! A template with everything filled in, so that only references to resources are left open.

use std::collections::BTreeMap;

use crate::diagnostic::Diagnostic;
use crate::expanded::{Absent, Expanded, Given, Output, Policy, Resource, Unknown};
use crate::function::Evaluator;
use crate::known::{Known, conditions, fill, members};
use crate::link::link;
use crate::loops;
use crate::sam;
use crate::template::{
    ATTRIBUTES, EXTENSIONS, NO_TRANSFORM, SERVERLESS, TRANSFORM, Template, check_resource, nulls,
};
use crate::value::{Data, Value};

/// Bytes that the properties of all resources may come to.
const BYTES_MAX: usize = 32 << 20;

pub(crate) fn run(template: &Template, given: &Given) -> Result<Expanded, Vec<Diagnostic>> {
    let mut expanded = Expanded::default();
    let parameters = fill(template, given, &mut expanded)?;
    let has = |name: &str| template.transforms.iter().any(|(own, _)| &**own == name);
    let mut known = Known {
        given,
        parameters,
        conditions: BTreeMap::new(),
        mappings: template.root.member("Mappings"),
        is_extended: has(EXTENSIONS),
    };
    let root = unrolled(template, &known)?;
    known.conditions = conditions(&root, &known, &mut expanded.notes)?;

    let mut evaluator = Evaluator::new(&known);
    rules(&root, &mut evaluator);
    for (name, value) in members(&root, "Resources") {
        resource(name, value, &mut evaluator, &mut expanded);
    }
    for (name, value) in members(&root, "Outputs") {
        output(name, value, &mut evaluator, &mut expanded);
    }
    let globals = root.member("Globals").and_then(|globals| evaluator.evaluate(globals));
    expanded.imported = std::mem::take(&mut evaluator.imported);
    expanded.notes.append(&mut evaluator.notes);
    let mut problems = evaluator.problems;
    if problems.is_empty() {
        if has(SERVERLESS) {
            let globals = globals.as_ref().zip(root.member("Globals"));
            problems.extend(sam::transform(&mut expanded, globals, given));
            expanded.written.clear();
            let made = expanded.resources.values();
            problems.extend(made.flat_map(|one| nulls(&one.logical_id, &one.properties)));
        } else {
            problems.extend(expanded.resources.values().filter_map(sam::needs_transform));
        }
        let size: usize = expanded.resources.values().map(|one| one.properties.size()).sum();
        if size > BYTES_MAX {
            problems.push(Diagnostic::new(
                root.place,
                "Template format error: resources come to more than 32 MB",
            ));
        }
    }
    if problems.is_empty() {
        problems.extend(link(&mut expanded, &root));
    }
    if problems.is_empty() {
        return Ok(expanded);
    }
    problems.sort_by_key(|problem| problem.place);
    problems.dedup();
    Err(problems)
}

/// The template with its loops unrolled.
fn unrolled(template: &Template, known: &Known<'_>) -> Result<Value, Vec<Diagnostic>> {
    let sections = ["Conditions", "Resources", "Outputs"];
    let root = &template.root;
    let first = sections.iter().find_map(|name| loops::has_loop(root.member(name)?));
    let Some(place) = first else { return Ok(root.clone()) };
    if !known.is_extended {
        return Err(vec![
            Diagnostic::new(
                place,
                "Template format error: Fn::ForEach needs AWS::LanguageExtensions",
            )
            .hint("declare `Transform: AWS::LanguageExtensions`"),
        ]);
    }
    let mut evaluator = Evaluator::new(known);
    let mut members = root.as_map().cloned().unwrap_or_default();
    for name in sections {
        if let Some(section) = members.get_mut(name) {
            *section = loops::unroll(section, &mut evaluator);
        }
    }
    let mut problems = evaluator.problems;
    let resources = members.get("Resources").and_then(Value::as_map);
    if resources.is_some_and(|all| all.len() > 500) {
        problems.push(Diagnostic::new(
            place,
            "Template format error: Number of resources is greater than maximum allowed, 500",
        ));
    }
    for (name, resource) in resources.into_iter().flatten() {
        problems.extend(check_resource(name, resource));
    }
    let root = Value { data: Data::Map(members.into()), ..root.clone() };
    if problems.is_empty() { Ok(root) } else { Err(problems) }
}

/// The rules' assertions, each of which must hold.
fn rules(root: &Value, evaluator: &mut Evaluator<'_>) {
    for (name, rule) in members(root, "Rules") {
        let applies =
            rule.member("RuleCondition").is_none_or(|condition| evaluator.decide(condition));
        let assertions = rule.member("Assertions").and_then(Value::as_list).unwrap_or_default();
        for assertion in assertions.iter().filter(|_| applies) {
            let (noted, wrong) = (evaluator.notes.len(), evaluator.problems.len());
            let holds = assertion.member("Assert").is_some_and(|assert| evaluator.decide(assert));
            // One about what is not known yet says nothing yet.
            let is_told = evaluator.problems.len() > wrong;
            if !holds && !is_told && evaluator.notes.len() == noted {
                let why = assertion.member("AssertDescription").and_then(Value::text);
                let why = why.unwrap_or_else(|| "an assertion does not hold".into());
                evaluator.problems.push(Diagnostic::new(
                    assertion.place,
                    format!("Template error: Rule {name}: {why}"),
                ));
            }
        }
    }
}

fn resource(name: &str, value: &Value, evaluator: &mut Evaluator<'_>, expanded: &mut Expanded) {
    let text = |member: &str| value.member(member).and_then(Value::as_str);
    let condition = value.member("Condition");
    if let Some(at) = condition {
        let named = at.text().unwrap_or_default();
        match evaluator_condition(evaluator, &named) {
            Some(true) => {}
            Some(false) => {
                let kind = text("Type").unwrap_or_default().to_owned();
                let absent = Absent { kind, condition: named.to_string(), place: value.pointer() };
                expanded.absent.insert(name.to_owned(), absent);
                return;
            }
            None => {
                evaluator.problems.push(Diagnostic::new(
                    at.pointer(),
                    format!("Template format error: Unresolved condition dependency {named} in the Resources block of the template"),
                ));
                return;
            }
        }
    }
    if let Some(at) = value.member(TRANSFORM) {
        let named = at.member("Name").and_then(Value::as_str).unwrap_or(TRANSFORM);
        if evaluator.names().unknown() == Unknown::Refused {
            evaluator.problems.push(
                Diagnostic::new(
                    at.pointer(),
                    format!("Transform {named} of {name} is not supported"),
                )
                .hint(NO_TRANSFORM),
            );
            return;
        }
        let kind = text("Type").map_or_else(|| named.to_owned(), str::to_owned);
        let resource = Resource {
            logical_id: name.to_owned(),
            kind: format!("{TRANSFORM}::{kind}"),
            properties: Value::map::<&str>([]),
            place: at.pointer(),
            ..Resource::default()
        };
        expanded.resources.insert(name.to_owned(), resource);
        return;
    }
    let kind = text("Type").unwrap_or_default();
    let properties = match value.member("Properties") {
        Some(properties) if properties.as_map().is_some() => {
            if properties.as_function().is_some() {
                evaluator.problems.push(Diagnostic::new(
                    properties.pointer(),
                    format!("Template format error: [/Resources/{name}/Properties] must be an object, not a function"),
                ));
                return;
            }
            evaluator.evaluate(properties).unwrap_or_default()
        }
        Some(other) => Value::map::<&str>([]).at(other.pointer()),
        None => Value::map::<&str>([]).at(value.pointer()),
    };
    let mut policy = |member: &str| {
        let Some(at) = value.member(member) else { return Policy::Delete };
        let named = evaluator.evaluate(at).unwrap_or_default();
        if named.is_open() && evaluator.names().unknown() == Unknown::Open {
            return Policy::Delete;
        }
        let named = named.text().unwrap_or_default();
        Policy::parse(&named).unwrap_or_else(|| {
            evaluator.problems.push(
                Diagnostic::new(
                    at.pointer(),
                    format!(
                        "Template format error: Unrecognized {member} {named} for resource {name}"
                    ),
                )
                .hint("it is Delete, Retain, RetainExceptOnCreate or Snapshot"),
            );
            Policy::Delete
        })
    };
    let deletion_policy = policy("DeletionPolicy");
    let update_replace_policy = policy("UpdateReplacePolicy");
    for ignored in ["CreationPolicy", "UpdatePolicy"] {
        if let Some(at) = value.member(ignored) {
            expanded.notes.push(Diagnostic::new(
                at.pointer(),
                format!("{ignored} of {name} is without effect: nothing is waited for and updates are made at once"),
            ));
        }
    }
    for (attribute, at) in value.as_map().into_iter().flatten() {
        if !ATTRIBUTES.contains(&&**attribute) {
            expanded.notes.push(Diagnostic::new(
                at.pointer(),
                format!("{attribute} of {name} is without effect: SAM drops it"),
            ));
        }
    }
    if let Some(at) = value.member("Connectors") {
        evaluator.problems.push(
            Diagnostic::new(at.pointer(), format!("Connectors of {name} are not supported"))
                .hint("write the permissions as Policies of the function"),
        );
    }
    let mut depends_on = Vec::new();
    let mut depend = |at: &Value, evaluator: &mut Evaluator<'_>| match at.text() {
        Some(other) => depends_on.push(other.to_string()),
        None => evaluator.problems.push(Diagnostic::new(
            at.place,
            "Template format error: DependsOn must be a string or list of strings.",
        )),
    };
    if let Some(at) = value.member("DependsOn") {
        let one = std::slice::from_ref(at);
        at.as_list().unwrap_or(one).iter().for_each(|item| depend(item, evaluator));
    }
    let ignored = value.member("IgnoreGlobals").cloned();
    if kind.starts_with("AWS::Serverless::") {
        let written = value.member("Properties").filter(|own| own.as_map().is_some());
        let written = written.cloned().unwrap_or_else(|| Value::map::<&str>([]));
        expanded.written.insert(name.to_owned(), written);
    }
    let mut metadata = value.member("Metadata").cloned();
    if let Some(ignored) = ignored {
        // Kept beside the resource until Globals are merged.
        expanded.ignore_globals.insert(name.to_owned(), ignored);
    }
    if metadata.as_ref().is_some_and(|metadata| metadata.data == Data::Null) {
        metadata = None;
    }
    expanded.resources.insert(
        name.to_owned(),
        Resource {
            logical_id: name.to_owned(),
            kind: kind.to_owned(),
            properties,
            depends_on,
            deletion_policy,
            update_replace_policy,
            metadata,
            condition: condition.and_then(Value::text).map(|text| text.to_string()),
            place: value.pointer(),
        },
    );
}

fn evaluator_condition(evaluator: &Evaluator<'_>, name: &str) -> Option<bool> {
    evaluator.names().condition(name)
}

fn output(name: &str, value: &Value, evaluator: &mut Evaluator<'_>, expanded: &mut Expanded) {
    if let Some(at) = value.member("Condition") {
        let named = at.text().unwrap_or_default();
        match evaluator_condition(evaluator, &named) {
            Some(true) => {}
            Some(false) => return,
            None => {
                evaluator.problems.push(Diagnostic::new(
                    at.pointer(),
                    format!("Template format error: Unresolved condition dependency {named} in the Outputs block of the template"),
                ));
                return;
            }
        }
    }
    let Some(result) = value.member("Value").and_then(|at| evaluator.evaluate(at)) else { return };
    let description = value.member("Description").and_then(|at| evaluator.evaluate(at));
    let export = value.member("Export").and_then(|at| match at.member("Name") {
        Some(name) => evaluator.evaluate(name),
        None => {
            evaluator.problems.push(Diagnostic::new(
                at.pointer(),
                format!("Template format error: Output {name} is malformed: Export takes a Name"),
            ));
            None
        }
    });
    if !result.is_open() && result.text().is_none() {
        evaluator.problems.push(Diagnostic::new(
            result.pointer(),
            format!("Template format error: The Value field of every Outputs member must evaluate to a String. ({name} is {})", result.kind()),
        ));
    }
    expanded.outputs.insert(
        name.to_owned(),
        Output {
            name: name.to_owned(),
            value: result,
            description: description.and_then(|text| text.text()).map(|text| text.to_string()),
            export,
            place: value.pointer(),
        },
    );
}
