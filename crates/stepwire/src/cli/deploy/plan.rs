//! What would become of each resource.

use std::collections::BTreeMap;
use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_asl::json::Object;
use stepwire_cloudformation::{
    Absent, Diagnostic, Expanded, Given, Place, Resource, Template, Unknown, Value,
};
use stepwire_core::stacks::kinds::{self, Around, Support, Verdict};

use super::Read;
use super::config::Settings;
use super::source::Source;
use super::store::{self, DEPTH_MAX, Stored};
use crate::build::artifact::{Artifact, Content};
use crate::config::Config;
use crate::node_file::NodeFile;

/// What a template comes to here.
#[derive(Debug)]
pub(super) struct Plan {
    /// In the order of the source.
    pub(super) resources: Vec<Planned>,
    /// Resources that are not made, with the condition that does not hold.
    pub(super) absent: Vec<(String, Absent)>,
    /// What else the author should know.
    pub(super) notes: Vec<Diagnostic>,
    /// What it names on this machine and cannot be stored.
    pub(super) faults: Vec<Diagnostic>,
    /// The templates that it names on this machine.
    pub(super) nested: Vec<Nested>,
}

/// A template that another one names.
#[derive(Debug)]
pub(super) struct Nested {
    /// The stack that it is of, in the other one.
    pub(super) logical_id: String,
    /// Its file.
    pub(super) source: Source,
    /// What it comes to; what is wrong with it.
    pub(super) plan: Result<Plan, Vec<Diagnostic>>,
}

/// A resource.
#[derive(Debug)]
pub(super) struct Planned {
    /// Its name in the template.
    pub(super) logical_id: String,
    /// Its type.
    pub(super) kind: String,
    /// What becomes of it.
    pub(super) verdict: Becomes,
    /// Where it stands.
    pub(super) place: Place,
    /// What of its properties is worth telling.
    pub(super) findings: Vec<Found>,
}

/// What becomes of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Becomes {
    /// It is made.
    Served,
    /// It is in the stack alone, for this reason.
    WithoutEffect(&'static str),
    /// The same, because the caller allows it to be missing.
    Placeholder,
    /// It is refused; what to do.
    Refused(&'static str),
}

/// A property without effect, or refused.
#[derive(Debug)]
pub(super) struct Found {
    /// Names and numbers with dots between.
    pub(super) path: String,
    /// Whether the resource cannot be made with it.
    pub(super) refused: bool,
    /// Why.
    pub(super) why: String,
    /// Where it stands.
    pub(super) place: Place,
    /// The file that it stands in, where that is not the template.
    pub(super) file: Option<Arc<Source>>,
}

/// For whom a plan is made.
#[derive(Debug, Clone, Copy)]
pub(super) struct For<'a> {
    /// Types of which placeholders may be made.
    pub(super) allowed: &'a [String],
    /// The node; of none nothing is known, and its tasks reach nothing outside.
    pub(super) node: Option<&'a NodeFile>,
}

impl Plan {
    /// The plan for what was read, as if everything were stored. Values that only the node has are
    /// taken as good.
    ///
    /// Errors: what is wrong with the template before its resources are looked at.
    pub(super) fn of(read: &Read, of: For<'_>, depth: usize) -> Result<Plan, Vec<Diagnostic>> {
        let stored = Stored::nowhere(&read.template, &read.artifacts);
        let template = read.template.with_root(stored.root);
        let expanded = template.expand(&given(&template, &read.settings, of.node))?;
        let lost = kinds::lost_attributes(&expanded);
        if !lost.is_empty() {
            return Err(lost);
        }
        let resources = expanded.resources.values();
        let resources = resources.map(|resource| planned(read, &expanded, resource, of));
        let mut plan = Plan {
            resources: resources.collect(),
            absent: expanded.absent.clone().into_iter().collect(),
            notes: expanded.notes.clone(),
            faults: store::faults(&read.artifacts),
            nested: Vec::new(),
        };
        let stacks = read.artifacts.iter().filter(|one| one.content == Content::Template);
        for stack in stacks.filter(|one| one.fault.is_none()) {
            let Some(resource) = expanded.resources.get(&stack.logical_id) else { continue };
            if depth >= DEPTH_MAX {
                let why = format!("templates name templates more than {DEPTH_MAX} deep");
                plan.faults.push(Diagnostic::new(stack.place, why));
                continue;
            }
            let settings = Settings {
                stack_name: read.settings.stack_name.clone(),
                parameters: texts(&resource.properties),
            };
            let unread =
                |why: &dyn std::fmt::Display| Diagnostic::new(stack.place, why.to_string());
            match Source::find(&stack.path) {
                Ok(source) => {
                    let read = Read::parse(source, settings);
                    let (source, plan_of) = match read {
                        Ok(read) => {
                            let plan = Plan::nested(&read, &resource.properties, of, depth);
                            (read.source, plan)
                        }
                        Err((source, wrong)) => (source, Err(wrong)),
                    };
                    let logical_id = stack.logical_id.clone();
                    plan.nested.push(Nested { logical_id, source, plan: plan_of });
                }
                Err(failure) => plan.faults.push(unread(&failure)),
            }
        }
        Ok(plan)
    }

    /// The plan for a template that a stack names, whose parameters must be its own.
    fn nested(
        read: &Read,
        properties: &Value,
        of: For<'_>,
        depth: usize,
    ) -> Result<Plan, Vec<Diagnostic>> {
        let declared = read.template.parameters();
        let given = properties.member("Parameters").and_then(Value::as_map).into_iter().flatten();
        let unknown = given.filter(|(name, _)| !declared.contains_key(&***name));
        let unknown: Vec<_> = unknown
            .map(|(name, _)| {
                let why = format!("Parameters: [{name}] do not exist in the template");
                Diagnostic::new(Place::NOWHERE, why)
            })
            .collect();
        if unknown.is_empty() { Plan::of(read, of, depth + 1) } else { Err(unknown) }
    }

    /// How many resources and properties are refused, and what else stands against it.
    pub(super) fn refused(&self) -> usize {
        let of = |planned: &Planned| {
            let own = usize::from(matches!(planned.verdict, Becomes::Refused(_)));
            own + planned.findings.iter().filter(|found| found.refused).count()
        };
        let nested = self.nested.iter().map(|nested| match &nested.plan {
            Ok(plan) => plan.refused(),
            Err(wrong) => wrong.len(),
        });
        self.resources.iter().map(of).chain(nested).sum::<usize>() + self.faults.len()
    }

    /// How many resources and properties are accepted without effect.
    pub(super) fn without_effect(&self) -> usize {
        let of = |planned: &Planned| {
            let own = matches!(planned.verdict, Becomes::WithoutEffect(_) | Becomes::Placeholder);
            usize::from(own) + planned.findings.iter().filter(|found| !found.refused).count()
        };
        let nested = self.nested.iter().filter_map(|nested| nested.plan.as_ref().ok());
        self.resources.iter().map(of).chain(nested.map(Plan::without_effect)).sum()
    }
}

/// The last part of the id of a stack that is not made.
const NO_STACK: &str = "00000000-0000-4000-8000-000000000000";

fn given(template: &Template, settings: &Settings, node: Option<&NodeFile>) -> Given {
    let name = &settings.stack_name;
    let declared = template.parameters();
    let (region, account) = match node {
        Some(node) => (node.region.clone(), node.account.clone()),
        None => {
            let Config { region, account, .. } = Config::default();
            (region, account)
        }
    };
    let parameters = settings.parameters.iter().filter(|(name, _)| declared.contains_key(*name));
    Given {
        parameters: parameters.map(|(name, value)| (name.clone(), value.clone())).collect(),
        partition: "aws".to_owned(),
        stack_name: name.clone(),
        stack_id: format!("arn:aws:cloudformation:{region}:{account}:stack/{name}/{NO_STACK}"),
        region,
        account,
        url_suffix: "amazonaws.com".to_owned(),
        unknown: Unknown::Open,
        ..Given::default()
    }
}

/// The parameters that a stack gives to its template, as far as they are known.
fn texts(properties: &Value) -> BTreeMap<String, String> {
    let given = properties.member("Parameters").and_then(Value::as_map).into_iter().flatten();
    let known = given.filter_map(|(name, value)| {
        let text = match value.as_list() {
            Some(items) => {
                let items: Option<Vec<_>> = items.iter().map(Value::text).collect();
                items?.join(",")
            }
            None => value.text()?.to_string(),
        };
        Some((name.to_string(), text))
    });
    known.collect()
}

/// A workflow's definition on this machine.
struct Definition {
    source: Arc<Source>,
    /// As it is read; what is wrong with it.
    read: Result<Value, Diagnostic>,
}

impl Definition {
    /// The one that a resource names.
    fn of(read: &Read, logical_id: &str) -> Option<Definition> {
        let is_it = |one: &&Artifact| {
            let machine = one.kind.ends_with("::StateMachine");
            one.logical_id == *logical_id && machine && one.fault.is_none()
        };
        let artifact = read.artifacts.iter().find(is_it)?;
        let source = Source::find(&artifact.path).ok()?;
        let read = stepwire_cloudformation::read(&without_substitutions(&source.text));
        Some(Definition { source: Arc::new(source), read })
    }

    /// The properties with the definition in place of where it is.
    fn within(&self, properties: &Json) -> Option<Json> {
        let mut members = Object::clone(properties.as_object()?);
        members.shift_remove("DefinitionS3Location");
        let text = kinds::written_as_json(&self.source.text).ok()?;
        members.insert("DefinitionString".into(), Json::from(text));
        Some(Json::Object(Arc::new(members)))
    }

    /// Where a step of the path stands in it.
    fn place(&self, path: &[&str]) -> Place {
        let value = self.read.as_ref().ok();
        value.map_or(Place::NOWHERE, |value| value.nearest(path).0.pointer())
    }
}

/// The text with something plain for each `${NAME}`, which may stand where a number would, and
/// everything where it was: in JSON outside of texts a number, in YAML a word.
fn without_substitutions(text: &str) -> String {
    let is_json = text.trim_start_matches('\u{feff}').trim_start().starts_with('{');
    let mut made = String::with_capacity(text.len());
    let (mut is_text, mut rest) = (false, text);
    while let Some(c) = rest.chars().next() {
        let name = rest.strip_prefix("${").and_then(|after| Some(after.split_once('}')?.0));
        let taken = match name.filter(|_| !is_text) {
            Some(name) if is_json => {
                made.push('0');
                made.extend(std::iter::repeat_n(' ', name.chars().count() + 2));
                name.len() + 3
            }
            Some(name) => {
                made.extend(["__", name, "_"]);
                name.len() + 3
            }
            None if is_json && is_text && c == '\\' => {
                let two: String = rest.chars().take(2).collect();
                made.push_str(&two);
                two.len()
            }
            None => {
                is_text ^= is_json && c == '"';
                made.push(c);
                c.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
    made
}

fn planned(read: &Read, expanded: &Expanded, resource: &Resource, of: For<'_>) -> Planned {
    let verdict = becomes(&resource.kind, of.allowed);
    let id = &resource.logical_id;
    let definition = Definition::of(read, id);
    let findings = if verdict == Becomes::Served {
        let properties = resource.properties.to_json();
        let within = definition.as_ref().and_then(|definition| definition.within(&properties));
        let around = Around {
            resource: &|logical| kinds::likely_of(expanded, logical),
            reachable: &|name| {
                of.node.is_some_and(|node| node.outside.iter().any(|own| *own == *name))
            },
        };
        kinds::examine(&resource.kind, &within.unwrap_or(properties), &around)
    } else {
        Vec::new()
    };
    let unread = definition.as_ref().and_then(|definition| {
        let wrong = definition.read.as_ref().err()?;
        Some(Found {
            path: "DefinitionUri".to_owned(),
            refused: true,
            why: wrong.message.clone(),
            place: wrong.place,
            file: Some(Arc::clone(&definition.source)),
        })
    });
    let found = findings.iter().filter_map(|finding| {
        let (refused, why) = match finding.verdict {
            Verdict::ActedOn => return None,
            Verdict::WithoutEffect(why) => (false, why.to_owned()),
            Verdict::Refused => (true, finding.message.clone()),
        };
        let path: Vec<&str> = finding.path.iter().map(String::as_str).collect();
        let in_file = definition.as_ref().filter(|_| path.first() == Some(&"DefinitionString"));
        let place = match in_file {
            Some(definition) => definition.place(path.get(1..).unwrap_or_default()),
            None => read.template.place_of(expanded, id, &path),
        };
        let file = in_file.map(|definition| Arc::clone(&definition.source));
        // As the template calls it, which names a file or has the definition within.
        let mut path = finding.shown_path();
        if let Some(rest) = path.strip_prefix("DefinitionString")
            && let Some(written) = read.written(id)
        {
            path = format!("{written}{rest}");
        }
        Some(Found { path, refused, why, place, file })
    });
    Planned {
        findings: unread.into_iter().chain(found).collect(),
        logical_id: resource.logical_id.clone(),
        kind: resource.kind.clone(),
        verdict,
        place: resource.place,
    }
}

fn becomes(kind: &str, allowed: &[String]) -> Becomes {
    match kinds::support(kind) {
        Support::Served => Becomes::Served,
        Support::WithoutEffect(why) => Becomes::WithoutEffect(why),
        Support::Refused(_) if allowed.iter().any(|allowed| allows(allowed, kind)) => {
            Becomes::Placeholder
        }
        Support::Refused(hint) => Becomes::Refused(hint),
    }
}

/// Whether `--allow-missing` with this value speaks of the type.
fn allows(allowed: &str, kind: &str) -> bool {
    match allowed.strip_suffix('*') {
        Some(beginning) => kind.starts_with(beginning),
        None => allowed == kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_will_be_put_in_leaves_all_else_in_its_place() {
        for (text, read) in [
            (
                r#"{"a": ${Ä b}, "c": "${d} \" ${e}", "f":${g}}"#,
                r#"{"a": 0     , "c": "${d} \" ${e}", "f":0   }"#,
            ),
            ("a: {b: ${c}, d: '${e}'}", "a: {b: __c_, d: '__e_'}"),
            ("{ ${", "{ ${"),
        ] {
            assert_eq!(without_substitutions(text), read);
        }
    }

    #[test]
    fn missing_types_are_allowed_by_name_by_beginning_or_all() {
        let kind = "AWS::Timestream::Table";
        for allowed in ["*", kind, "AWS::Timestream::*"] {
            assert_eq!(becomes(kind, &[allowed.to_owned()]), Becomes::Placeholder, "{allowed}");
        }
        assert!(matches!(becomes(kind, &["AWS::Glue::Job".to_owned()]), Becomes::Refused(_)));
        assert_eq!(becomes("AWS::SQS::Queue", &["*".to_owned()]), Becomes::Served);
    }
}
