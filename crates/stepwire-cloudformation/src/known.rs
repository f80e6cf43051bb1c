//! What is known before resources exist: parameters, conditions, mappings, and what stands elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use indexmap::IndexSet;
use stepwire_asl::diagnostic::nearest;

use crate::diagnostic::Diagnostic;
use crate::expanded::{Expanded, Given, Unknown};
use crate::function::{Evaluator, Found, Names};
use crate::order;
use crate::template::Template;
use crate::value::{Data, Place, Value};

/// What is known before resources exist.
pub(crate) struct Known<'a> {
    pub(crate) given: &'a Given,
    pub(crate) parameters: BTreeMap<String, Value>,
    pub(crate) conditions: BTreeMap<String, bool>,
    pub(crate) mappings: Option<&'a Value>,
    pub(crate) is_extended: bool,
}

impl Names for Known<'_> {
    fn reference(&self, name: &str) -> Found {
        if let Some(value) = self.parameters.get(name) {
            return Found::Is(value.clone());
        }
        let given = self.given;
        let text = match name {
            "AWS::NoValue" => return Found::Nothing,
            "AWS::NotificationARNs" => {
                let arns = given.notification_arns.iter().map(|arn| Value::string(arn.as_str()));
                return Found::Is(Value::list(arns));
            }
            "AWS::Region" => &given.region,
            "AWS::AccountId" => &given.account,
            "AWS::Partition" => &given.partition,
            "AWS::StackName" => &given.stack_name,
            "AWS::StackId" => &given.stack_id,
            "AWS::URLSuffix" => &given.url_suffix,
            _ if name.starts_with("AWS::") => return Found::Missing,
            _ => return Found::Later,
        };
        Found::Is(Value::string(text.as_str()))
    }

    fn attribute(&self, _: &str, _: &str) -> Found {
        Found::Later
    }

    fn condition(&self, name: &str) -> Option<bool> {
        self.conditions.get(name).copied()
    }

    fn mapping(&self, name: &str) -> Option<&Value> {
        self.mappings?.member(name)
    }

    fn import(&self, name: &str) -> Option<Value> {
        self.given.imports.get(name).map(Value::from_json)
    }

    fn stored(&self, name: &str) -> Option<Value> {
        self.given.ssm.get(name).map(Value::from_json)
    }

    fn region(&self) -> &str {
        &self.given.region
    }

    fn is_extended(&self) -> bool {
        self.is_extended
    }

    fn unknown(&self) -> Unknown {
        self.given.unknown
    }
}

/// The members of a section of the template.
pub(crate) fn members<'a>(
    root: &'a Value,
    section: &str,
) -> impl Iterator<Item = (&'a Arc<str>, &'a Value)> {
    root.member(section).and_then(Value::as_map).into_iter().flatten()
}

/// The values of the parameters.
pub(crate) fn fill(
    template: &Template,
    given: &Given,
    expanded: &mut Expanded,
) -> Result<BTreeMap<String, Value>, Vec<Diagnostic>> {
    let mut problems = Vec::new();
    let unknown: Vec<&str> = given
        .parameters
        .keys()
        .filter(|name| !template.parameters.contains_key(*name))
        .map(String::as_str)
        .collect();
    if !unknown.is_empty() {
        let told = Diagnostic::new(
            Place::NOWHERE,
            format!("Parameters: [{}] do not exist in the template", unknown.join(", ")),
        );
        let near = unknown
            .first()
            .and_then(|name| nearest(name, template.parameters.keys().map(String::as_str)));
        problems.push(match near {
            Some(near) => told.hint(format!("did you mean `{near}`?")),
            None => told,
        });
    }
    let mut values = BTreeMap::new();
    let mut missing = Vec::new();
    for (name, parameter) in &template.parameters {
        let text = given.parameters.get(name).map(String::as_str).or(parameter.default.as_deref());
        let Some(text) = text else {
            missing.push(name.as_str());
            continue;
        };
        match parameter.take(name, text, given) {
            // What Parameter Store has is the node's to say.
            Err(_) if given.unknown == Unknown::Open && parameter.is_stored() => missing.push(name),
            Ok(value) => {
                if let crate::ParameterType::Ssm { .. } = parameter.kind {
                    let resolved = match value.as_list() {
                        Some(items) => {
                            let texts: Vec<_> = items.iter().filter_map(Value::text).collect();
                            texts.join(",")
                        }
                        None => value.text().unwrap_or_default().to_string(),
                    };
                    expanded.resolved_parameters.insert(name.clone(), resolved);
                }
                expanded.parameters.insert(name.clone(), text.to_owned());
                values.insert(name.clone(), value.at(parameter.place));
            }
            Err(message) => {
                let told = Diagnostic::new(parameter.place, message);
                let allowed: Vec<&str> =
                    parameter.allowed_values.iter().take(20).map(|value| &**value).collect();
                problems.push(if allowed.is_empty() {
                    told
                } else {
                    told.hint(format!("it takes {}", allowed.join(", ")))
                });
            }
        }
    }
    if !missing.is_empty() {
        let place = missing
            .first()
            .and_then(|name| template.parameters.get(*name))
            .map_or(Place::NOWHERE, |parameter| parameter.place);
        let names = missing.join(", ");
        match given.unknown {
            Unknown::Refused => problems.push(
                Diagnostic::new(place, format!("Parameters: [{names}] must have values"))
                    .hint("give a value, or a Default in the template"),
            ),
            Unknown::Open => {
                let why = format!(
                    "Parameters: [{names}] have no values here: what is made of them is taken as good"
                );
                expanded.notes.push(Diagnostic::new(place, why));
                expanded.without_value = missing.into_iter().map(str::to_owned).collect();
            }
        }
    }
    if problems.is_empty() { Ok(values) } else { Err(problems) }
}

/// Which conditions hold.
pub(crate) fn conditions(
    root: &Value,
    known: &Known<'_>,
    notes: &mut Vec<Diagnostic>,
) -> Result<BTreeMap<String, bool>, Vec<Diagnostic>> {
    let declared: IndexSet<String> =
        members(root, "Conditions").map(|(name, _)| name.to_string()).collect();
    let mut needs = BTreeMap::new();
    for (name, value) in members(root, "Conditions") {
        let mut named = BTreeSet::new();
        condition_names(value, &mut named);
        needs.insert(name.to_string(), named);
    }
    let order = order::sorted(&declared, &needs).map_err(|circle| {
        let place = circle
            .first()
            .and_then(|name| root.member("Conditions")?.member(name))
            .map_or(root.place, Value::pointer);
        vec![Diagnostic::new(
            place,
            format!(
                "Template format error: Circular dependency between conditions: [{}]",
                circle.join(", ")
            ),
        )]
    })?;
    let mut stage = Known {
        given: known.given,
        parameters: known.parameters.clone(),
        conditions: BTreeMap::new(),
        mappings: known.mappings,
        is_extended: known.is_extended,
    };
    let mut problems = Vec::new();
    for name in order {
        let Some(value) = root.member("Conditions").and_then(|all| all.member(&name)) else {
            continue;
        };
        let mut evaluator = Evaluator::new(&stage);
        let holds = evaluator.decide(value);
        problems.append(&mut evaluator.problems);
        if !evaluator.notes.is_empty() {
            let holds = if holds { "taken to hold" } else { "taken not to hold" };
            let why = format!("Condition {name} compares what is not known here: {holds}");
            notes.push(Diagnostic::new(value.pointer(), why));
        }
        stage.conditions.insert(name, holds);
    }
    if problems.is_empty() { Ok(stage.conditions) } else { Err(problems) }
}

/// The conditions that an expression names.
fn condition_names(value: &Value, names: &mut BTreeSet<String>) {
    match &value.data {
        Data::List(items) => items.iter().for_each(|item| condition_names(item, names)),
        Data::Map(members) => {
            for (name, value) in members.iter() {
                match (&**name, value.as_str()) {
                    ("Condition", Some(condition)) => {
                        names.insert(condition.to_owned());
                    }
                    ("Fn::If", _) => {
                        let first = value.as_list().and_then(|items| items.first()?.as_str());
                        names.extend(first.map(str::to_owned));
                        condition_names(value, names);
                    }
                    _ => condition_names(value, names),
                }
            }
        }
        Data::Null | Data::Bool(..) | Data::Number(_) | Data::String(_) => {}
    }
}
