//! `AWS::Serverless::StateMachine`.

use std::fmt::Write as _;
use std::sync::Arc;

use super::events::Event;
use super::function::Target;
use super::{Sam, api, object, policies, push, stable, tags, trust};
use crate::expanded::{Policy, Resource};
use crate::value::{Data, Map, Value};

const PROPERTIES: &[&str] = &[
    "AutoPublishAlias",
    "Definition",
    "DefinitionSubstitutions",
    "DefinitionUri",
    "DeploymentPreference",
    "Events",
    "Logging",
    "Name",
    "PermissionsBoundary",
    "Policies",
    "PropagateTags",
    "Role",
    "RolePath",
    "Tags",
    "Tracing",
    "Type",
    "UseAliasAsEventTarget",
];

pub(super) fn expand(sam: &mut Sam<'_>, origin: &Resource) {
    sam.only(origin, PROPERTIES);
    let id = &*origin.logical_id;
    let get = |name: &str| origin.properties.member(name);
    let mut substitutions =
        get("DefinitionSubstitutions").and_then(Value::as_map).cloned().unwrap_or_default();
    let mut string = None;
    let mut location = None;
    match (get("Definition"), get("DefinitionUri")) {
        (Some(definition), None) => {
            let mut filled = Substituting { count: 0, found: Map::new() };
            let definition = filled.value(definition);
            for (name, value) in filled.found {
                substitutions.insert(name, value);
            }
            string = Some(lines(&definition));
        }
        (None, Some(uri)) => {
            let Some(found) = sam.location(origin, "DefinitionUri", uri) else { return };
            let found = object([
                ("Bucket", Some(found.bucket)),
                ("Key", Some(found.key)),
                ("Version", found.version),
            ]);
            location = Some(Value { key: uri.key, place: uri.place, ..found });
        }
        (Some(definition), Some(_)) => {
            sam.wrong(
                origin,
                definition.pointer(),
                "Specify either 'Definition' or 'DefinitionUri' property and not both.",
            );
            return;
        }
        (None, None) => {
            sam.wrong(
                origin,
                origin.place,
                "Either 'Definition' or 'DefinitionUri' property must be specified.",
            );
            return;
        }
    }
    let role = match (get("Role"), get("Policies")) {
        (Some(_), Some(policies)) => {
            sam.wrong(
                origin,
                policies.pointer(),
                "Specify either 'Role' or 'Policies' (but not both at the same time) or neither of them",
            );
            return;
        }
        (Some(role), None) => role.clone(),
        (None, _) => Value::attribute(&format!("{id}Role"), "Arn"),
    };
    let machine_tags = tags(Some(("stateMachine:createdBy", "SAM")), get("Tags"));
    let substitutions = (!substitutions.is_empty()).then(|| Value {
        data: Data::Map(Arc::new(substitutions)),
        ..get("DefinitionSubstitutions").cloned().unwrap_or_default()
    });
    let properties = object([
        ("DefinitionSubstitutions", substitutions),
        ("DefinitionString", string),
        ("DefinitionS3Location", location),
        ("RoleArn", Some(role)),
        ("StateMachineName", get("Name").cloned()),
        ("StateMachineType", get("Type").cloned()),
        ("LoggingConfiguration", get("Logging").cloned()),
        ("TracingConfiguration", get("Tracing").cloned()),
        ("Tags", Some(machine_tags.clone())),
    ]);
    sam.put_main(origin, "AWS::StepFunctions::StateMachine", properties);

    if get("Role").is_none() {
        let mut managed = Vec::new();
        let mut documents = Vec::new();
        policies::add(sam, origin, get("Policies"), &mut managed, &mut documents);
        let traced = get("Tracing").and_then(|tracing| tracing.member("Enabled"));
        if traced.and_then(Value::as_bool) == Some(true) {
            let traces = sam.managed("AWSXrayWriteOnlyAccess");
            if !managed.contains(&traces) {
                managed.push(traces);
            }
        }
        let documents = (!documents.is_empty()).then(|| Value::list(documents));
        let properties = object([
            ("AssumeRolePolicyDocument", Some(trust("states.amazonaws.com"))),
            ("ManagedPolicyArns", Some(Value::list(managed))),
            ("Policies", documents),
            ("Path", get("RolePath").cloned()),
            ("PermissionsBoundary", get("PermissionsBoundary").cloned()),
            ("Tags", Some(machine_tags)),
        ]);
        sam.put_beside(origin, &format!("{id}Role"), "AWS::IAM::Role", properties);
    }
    let alias = publish(sam, origin);
    events(sam, origin, alias);
}

/// A version and an alias, when one is wanted; the alias's logical id.
fn publish(sam: &mut Sam<'_>, origin: &Resource) -> Option<String> {
    let id = &*origin.logical_id;
    let get = |name: &str| origin.properties.member(name);
    let preference = get("DeploymentPreference");
    let Some(alias) = get("AutoPublishAlias") else {
        for (name, value) in [
            (
                "UseAliasAsEventTarget",
                get("UseAliasAsEventTarget").filter(|v| v.as_bool() == Some(true)),
            ),
            ("DeploymentPreference", preference),
        ] {
            if let Some(value) = value {
                let what =
                    format!("'{name}' requires 'AutoPublishAlias' property to be specified.");
                sam.wrong(origin, value.pointer(), &what);
            }
        }
        return None;
    };
    let version_id = format!("{id}Version");
    let properties = Value::map([
        ("StateMachineArn", Value::reference(id)),
        ("StateMachineRevisionId", Value::attribute(id, "StateMachineRevisionId")),
    ]);
    let mut version =
        super::beside(origin, &version_id, "AWS::StepFunctions::StateMachineVersion", properties);
    for policy in [&mut version.deletion_policy, &mut version.update_replace_policy] {
        if *policy == Policy::Delete {
            *policy = Policy::Retain;
        }
    }
    sam.put(origin, version);
    let mut preference = match preference {
        Some(own) => own.as_map().cloned().unwrap_or_default(),
        None => Map::from_iter([("Type".into(), Value::string("ALL_AT_ONCE"))]),
    };
    preference.insert("StateMachineVersionArn".into(), Value::reference(&version_id));
    let name = alias.text().unwrap_or_default();
    let letters: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let alias_id = format!("{id}Alias{letters}");
    let properties = Value::map([
        ("Name", alias.clone()),
        ("DeploymentPreference", Value::new(Data::Map(Arc::new(preference)), alias.place)),
    ]);
    sam.put_beside(origin, &alias_id, "AWS::StepFunctions::StateMachineAlias", properties);
    sam.parts.insert((id.to_owned(), "Alias"), alias_id.clone());
    sam.parts.insert((id.to_owned(), "Version"), version_id);
    Some(alias_id)
}

fn events(sam: &mut Sam<'_>, origin: &Resource, alias: Option<String>) {
    let get = |name: &str| origin.properties.member(name);
    let Some(events) = get("Events") else { return };
    let by_alias = get("UseAliasAsEventTarget").and_then(Value::as_bool) == Some(true);
    let id = alias.filter(|_| by_alias).unwrap_or_else(|| origin.logical_id.clone());
    let target = Target { name: Value::reference(&id), arn: Value::reference(&id), logical_id: id };
    let none = Value::map::<&str>([]);
    for event in Event::all(sam, origin, events, &none) {
        match event.kind {
            "Schedule" | "CloudWatchEvent" | "EventBridgeRule" => {
                push::starts(sam, &event, &target, get("PermissionsBoundary"));
            }
            "ScheduleV2" => push::scheduler(sam, &event, &target),
            "Api" => api::start_event(sam, &event, &target),
            _ => event.refuse(
                sam,
                "events of a state machine: Schedule, ScheduleV2, EventBridgeRule, CloudWatchEvent, Api",
            ),
        }
    }
}

/// The functions in a definition become substitutions, in the order of sorted names.
struct Substituting {
    count: usize,
    found: Map,
}

impl Substituting {
    fn value(&mut self, value: &Value) -> Value {
        let data = match &value.data {
            Data::List(items) => {
                Data::List(Arc::new(items.iter().map(|item| self.member(item)).collect()))
            }
            Data::Map(members) => {
                let mut names: Vec<_> = members.keys().cloned().collect();
                names.sort();
                let members = names.into_iter().filter_map(|name| {
                    let member = self.member(members.get(&name)?);
                    Some((name, member))
                });
                Data::Map(Arc::new(members.collect()))
            }
            other => other.clone(),
        };
        Value { data, ..value.clone() }
    }

    fn member(&mut self, value: &Value) -> Value {
        if value.as_function().is_none() {
            return self.value(value);
        }
        self.count += 1;
        let name = format!("definition_substitution_{}", self.count);
        let text = Value::string(format!("${{{name}}}"));
        self.found.insert(name.into(), value.clone());
        text
    }
}

/// The definition as JSON, indented by four blanks.
fn lines(definition: &Value) -> Value {
    let mut text = String::new();
    write(definition, 0, &mut text);
    Value::string(text).at(definition.place)
}

fn write(value: &Value, level: usize, out: &mut String) {
    let line = |level: usize, out: &mut String| {
        out.push('\n');
        for _ in 0..level {
            out.push_str("    ");
        }
    };
    match &value.data {
        Data::Null => out.push_str("null"),
        Data::Bool(value, _) => out.push_str(if *value { "true" } else { "false" }),
        Data::Number(number) => {
            let _ = write!(out, "{number}");
        }
        Data::String(text) => stable::string(text, out),
        Data::List(items) if items.is_empty() => out.push_str("[]"),
        Data::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                line(level + 1, out);
                write(item, level + 1, out);
            }
            line(level, out);
            out.push(']');
        }
        Data::Map(members) if members.is_empty() => out.push_str("{}"),
        Data::Map(members) => {
            out.push('{');
            let mut names: Vec<_> = members.keys().collect();
            names.sort();
            for (index, name) in names.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                line(level + 1, out);
                stable::string(name, out);
                out.push_str(": ");
                if let Some(value) = members.get(name) {
                    write(value, level + 1, out);
                }
            }
            line(level, out);
            out.push('}');
        }
    }
}
