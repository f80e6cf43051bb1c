//! The transform AWS::Serverless-2016-10-31: what its resources stand for, under the logical ids that
//! AWS's own translation gives them.
//!
//! It runs after everything else is filled in, so that only references to resources are left in what
//! it sees. Delayed deployments (CodeDeploy) are not made: an alias moves at once, which a note says.

mod api;
mod events;
mod function;
mod globals;
mod invoke;
mod policies;
mod pull;
mod push;
mod small;
mod stable;
mod state_machine;

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::diagnostic::Diagnostic;
use crate::expanded::{Artifacts, Expanded, Given, Policy, Resource};
use crate::sub::{self, Part};
use crate::value::{Data, Map, Place, Value};

const PREFIX: &str = "AWS::Serverless::";

/// Replaces the serverless resources by what they stand for; what is wrong with them.
pub(crate) fn transform(
    expanded: &mut Expanded,
    shared: Option<(&Value, &Value)>,
    given: &Given,
) -> Vec<Diagnostic> {
    let mut problems = globals::merge(expanded, shared);
    if !problems.is_empty() {
        return problems;
    }
    let mut sam = Sam {
        given,
        source: std::mem::take(&mut expanded.resources),
        written: std::mem::take(&mut expanded.written),
        out: IndexMap::new(),
        problems: Vec::new(),
        notes: Vec::new(),
        renamed: BTreeMap::new(),
        parts: BTreeMap::new(),
        api: api::Apis::default(),
    };
    // A property that is null is not there; deeper down, null stays.
    for resource in sam.source.values_mut().filter(|one| one.kind.starts_with(PREFIX)) {
        if let Data::Map(members) = &mut resource.properties.data {
            Arc::make_mut(members).retain(|_, value| value.data != Data::Null);
        }
    }
    let names: Vec<String> = sam.source.keys().cloned().collect();
    for name in &names {
        let Some(resource) = sam.source.get(name).cloned() else { continue };
        match resource.kind.strip_prefix(PREFIX) {
            None => {
                // An event may have changed it meanwhile (a bucket's notifications): it comes last.
                sam.out.insert(name.clone(), resource);
            }
            Some("Function") => function::expand(&mut sam, &resource),
            Some("StateMachine") => state_machine::expand(&mut sam, &resource),
            Some("LayerVersion") => small::layer(&mut sam, &resource),
            Some("SimpleTable") => small::table(&mut sam, &resource),
            Some("Api" | "HttpApi") => api::declared(&mut sam, &resource),
            Some("Application") => sam.refuse(
                &resource,
                "nested applications come from the Serverless Application Repository or another \
                 template: write its resources into this one",
            ),
            Some("Connector") => {
                sam.refuse(&resource, "write the permissions as Policies of the function");
            }
            Some(_) => sam.refuse(
                &resource,
                "serverless types known here: Function, StateMachine, LayerVersion, SimpleTable, Api, HttpApi",
            ),
        }
    }
    api::finish(&mut sam);
    // Buckets carry what events added to them.
    for (name, resource) in &sam.source {
        if let Some(own) = sam.out.get_mut(name)
            && own.kind == "AWS::S3::Bucket"
        {
            *own = resource.clone();
        }
    }
    let rewrite = Rewrite { renamed: &sam.renamed, parts: &sam.parts };
    for resource in sam.out.values_mut() {
        resource.properties = rewrite.value(&resource.properties);
        for name in &mut resource.depends_on {
            if let Some(new) = sam.renamed.get(name) {
                name.clone_from(new);
            }
        }
    }
    for output in expanded.outputs.values_mut() {
        output.value = rewrite.value(&output.value);
        output.export = output.export.as_ref().map(|name| rewrite.value(name));
    }
    expanded.resources = sam.out;
    expanded.notes.extend(sam.notes);
    problems.append(&mut sam.problems);
    problems
}

/// What to say of a serverless resource in a template without the transform.
pub(crate) fn needs_transform(resource: &Resource) -> Option<Diagnostic> {
    resource.kind.starts_with(PREFIX).then(|| {
        Diagnostic::new(
            resource.place,
            format!("Template format error: Unrecognized resource types: [{}]", resource.kind),
        )
        .hint("declare `Transform: AWS::Serverless-2016-10-31`")
    })
}

struct Sam<'a> {
    given: &'a Given,
    source: IndexMap<String, Resource>,
    /// Properties as the template writes them, Globals merged.
    written: BTreeMap<String, Value>,
    out: IndexMap<String, Resource>,
    problems: Vec<Diagnostic>,
    notes: Vec<Diagnostic>,
    /// Logical ids that became others.
    renamed: BTreeMap<String, String>,
    /// What `Function.Version` and the like stand for.
    parts: BTreeMap<(String, &'static str), String>,
    api: api::Apis,
}

impl Sam<'_> {
    /// As the translation tells what is wrong with a resource.
    fn wrong(&mut self, origin: &Resource, place: Place, what: &str) {
        self.problems.push(Diagnostic::new(
            if place.is_nowhere() { origin.place } else { place },
            format!("Resource with id [{}] is invalid. {what}", origin.logical_id),
        ));
    }

    fn wrong_event(&mut self, origin: &Resource, event: &str, place: Place, what: &str) {
        self.wrong(origin, place, &format!("Event with id [{event}] is invalid. {what}"));
    }

    fn hint(&mut self, hint: &str) {
        if let Some(last) = self.problems.last_mut() {
            last.hint = Some(hint.to_owned());
        }
    }

    fn refuse(&mut self, resource: &Resource, hint: &str) {
        self.problems.push(
            Diagnostic::new(resource.place, format!("{} is not supported", resource.kind))
                .hint(hint),
        );
    }

    /// Taken without effect.
    fn note(&mut self, place: Place, text: impl Into<String>) {
        self.notes.push(Diagnostic::new(place, text));
    }

    /// Puts the resource that `origin` becomes itself.
    fn put_main(&mut self, origin: &Resource, kind: &str, properties: Value) {
        let resource = Resource {
            kind: kind.to_owned(),
            properties: properties.at(origin.properties.place),
            ..origin.clone()
        };
        self.put(origin, resource);
    }

    /// Puts a resource that is made beside `origin`, with its condition and policies.
    fn put_beside(&mut self, origin: &Resource, logical_id: &str, kind: &str, properties: Value) {
        let resource = beside(origin, logical_id, kind, properties);
        self.put(origin, resource);
    }

    fn put(&mut self, origin: &Resource, resource: Resource) {
        let id = resource.logical_id.clone();
        let taken = (id != origin.logical_id && self.source.contains_key(&id))
            || self.out.get(&id).is_some_and(|other| other.kind != resource.kind);
        if taken {
            let what = format!(
                "Transforming resource with id [{}] attempts to create a new resource [{id}] of type [{}] but it already exists",
                origin.logical_id, resource.kind
            );
            self.problems.push(Diagnostic::new(origin.place, what));
            return;
        }
        self.out.insert(id, resource);
    }

    /// A property as the template writes it, functions and all.
    fn written(&self, origin: &Resource, name: &str) -> Option<&Value> {
        self.written.get(&origin.logical_id)?.member(name)
    }

    /// Refuses properties that the type does not have.
    fn only(&mut self, origin: &Resource, known: &[&str]) {
        for (name, value) in origin.properties.as_map().into_iter().flatten() {
            if !known.contains(&&**name) {
                self.wrong(
                    origin,
                    value.pointer(),
                    &format!("property {name} not defined for resource of type {}", origin.kind),
                );
                if let Some(near) = stepwire_asl::diagnostic::nearest(name, known.iter().copied()) {
                    self.hint(&format!("did you mean `{near}`?"));
                }
            }
        }
    }

    /// ARN of a policy that AWS manages.
    fn managed(&self, name: &str) -> Value {
        Value::string(format!("arn:{}:iam::aws:policy/{name}", self.given.partition))
    }

    /// `arn:PARTITION:SERVICE:REGION:ACCOUNT:`.
    fn arn(&self, service: &str) -> String {
        let given = self.given;
        format!("arn:{}:{service}:{}:{}:", given.partition, given.region, given.account)
    }

    /// Bucket, key and version that a `CodeUri` or the like names.
    fn location(&mut self, origin: &Resource, property: &str, value: &Value) -> Option<Location> {
        if value.as_map().is_some() {
            let member = |name: &str| value.member(name).cloned();
            if let (Some(bucket), Some(key)) = (member("Bucket"), member("Key")) {
                return Some(Location { bucket, key, version: member("Version") });
            }
            self.wrong(
                origin,
                value.pointer(),
                &format!("'{property}' requires Bucket and Key properties to be specified."),
            );
            return None;
        }
        let text = value.text().unwrap_or_default();
        if let Some((bucket, rest)) =
            text.strip_prefix("s3://").and_then(|rest| rest.split_once('/'))
        {
            let (key, query) = rest.split_once('?').unwrap_or((rest, ""));
            let version = query.split('&').find_map(|pair| pair.strip_prefix("versionId="));
            if !bucket.is_empty() && !key.is_empty() {
                return Some(Location {
                    bucket: Value::string(bucket).at(value.place),
                    key: Value::string(key.trim_start_matches('/')).at(value.place),
                    version: version.map(|version| Value::string(version).at(value.place)),
                });
            }
        }
        if self.given.artifacts == Artifacts::Local && !text.contains("://") && !text.is_empty() {
            return Some(Location {
                bucket: Value::string("local").at(value.place),
                key: Value::string(text).at(value.place),
                version: None,
            });
        }
        self.wrong(
            origin,
            value.pointer(),
            &format!(
                "'{property}' is not a valid S3 Uri of the form 's3://bucket/key' with optional versionId query parameter."
            ),
        );
        self.hint(
            "`stepwire deploy`, `sam deploy` and `aws cloudformation package` upload local files",
        );
        None
    }
}

/// A resource beside `origin`, with its condition and policies.
fn beside(origin: &Resource, logical_id: &str, kind: &str, properties: Value) -> Resource {
    Resource {
        logical_id: logical_id.to_owned(),
        kind: kind.to_owned(),
        properties,
        depends_on: Vec::new(),
        metadata: None,
        ..origin.clone()
    }
}

/// A place in S3.
struct Location {
    bucket: Value,
    key: Value,
    version: Option<Value>,
}

impl Location {
    /// As `AWS::Lambda::*` names it.
    fn for_lambda(self) -> Value {
        object([
            ("S3Bucket", Some(self.bucket)),
            ("S3Key", Some(self.key)),
            ("S3ObjectVersion", self.version),
        ])
    }
}

/// An object of the members that are there.
fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    Value::map(members.into_iter().filter_map(|(name, value)| Some((name, value?))))
}

/// The list of `Key` and `Value` that tags given as an object are.
fn tags(first: Option<(&str, &str)>, own: Option<&Value>) -> Value {
    let tag = |key: &str, value: Value| Value::map([("Key", Value::string(key)), ("Value", value)]);
    let first = first.map(|(key, value)| tag(key, Value::string(value)));
    let own = own.and_then(Value::as_map).into_iter().flatten();
    Value::list(first.into_iter().chain(own.map(|(key, value)| tag(key, value.clone()))))
}

/// The trust of a role that a service takes on.
fn trust(service: &str) -> Value {
    Value::map([
        ("Version", Value::string("2012-10-17")),
        (
            "Statement",
            Value::list([Value::map([
                ("Action", Value::list([Value::string("sts:AssumeRole")])),
                ("Effect", Value::string("Allow")),
                ("Principal", Value::map([("Service", Value::list([Value::string(service)]))])),
            ])]),
        ),
    ])
}

/// A policy of a role: one statement that allows an action.
fn allow(name: String, action: &str, resource: Value) -> Value {
    Value::map([
        ("PolicyName", Value::string(name)),
        (
            "PolicyDocument",
            Value::map([(
                "Statement",
                Value::list([Value::map([
                    ("Action", Value::string(action)),
                    ("Effect", Value::string("Allow")),
                    ("Resource", resource),
                ])]),
            )]),
        ),
    ])
}

/// References to what the transform renamed or made.
struct Rewrite<'a> {
    renamed: &'a BTreeMap<String, String>,
    parts: &'a BTreeMap<(String, &'static str), String>,
}

impl Rewrite<'_> {
    /// The new name of `A`, or of the part of it that `A.Part` names, and what follows.
    fn name(&self, name: &str) -> Option<String> {
        if let Some(new) = self.renamed.get(name) {
            return Some(new.clone());
        }
        let (resource, rest) = name.split_once('.')?;
        if let Some(new) = self.renamed.get(resource) {
            return Some(format!("{new}.{rest}"));
        }
        let (part, after) =
            rest.split_once('.').map_or((rest, None), |(part, after)| (part, Some(after)));
        let key = self.parts.keys().find(|(owner, own)| owner == resource && *own == part)?;
        let id = self.parts.get(key)?;
        Some(after.map_or_else(|| id.clone(), |after| format!("{id}.{after}")))
    }

    fn value(&self, value: &Value) -> Value {
        if self.renamed.is_empty() && self.parts.is_empty() {
            return value.clone();
        }
        let placed = |new: Value| Value { place: value.place, key: value.key, ..new };
        if let Some(new) = value.as_reference().and_then(|name| self.name(name)) {
            return placed(Value::reference(&new));
        }
        if let Some((resource, attribute)) = value.as_attribute() {
            let whole = self.name(&format!("{resource}.{attribute}"));
            return match whole.as_deref().map(|whole| whole.split_once('.').unwrap_or((whole, "")))
            {
                Some((resource, "")) => placed(Value::reference(resource)),
                Some((resource, attribute)) => placed(Value::attribute(resource, attribute)),
                None => value.clone(),
            };
        }
        let data = match &value.data {
            Data::List(items) => {
                Data::List(Arc::new(items.iter().map(|i| self.value(i)).collect()))
            }
            Data::Map(members) => {
                let sub = members.get("Fn::Sub").filter(|_| members.len() == 1);
                let members: Map = match sub {
                    Some(argument) => Map::from_iter([("Fn::Sub".into(), self.sub(argument))]),
                    None => members.iter().map(|(n, v)| (n.clone(), self.value(v))).collect(),
                };
                Data::Map(Arc::new(members))
            }
            other => other.clone(),
        };
        Value { data, ..value.clone() }
    }

    fn sub(&self, argument: &Value) -> Value {
        let own = argument.as_list().and_then(|items| items.get(1));
        let text = |text: &Value| -> Value {
            let Some(parts) = text.as_str().and_then(|text| sub::parse(text).ok()) else {
                return text.clone();
            };
            let parts: Vec<Part> = parts
                .into_iter()
                .map(|part| match part {
                    Part::Name(name) if own.is_none_or(|own| own.member(&name).is_none()) => {
                        Part::Name(self.name(&name).unwrap_or(name))
                    }
                    other => other,
                })
                .collect();
            Value { data: Data::String(sub::write(&parts).into()), ..text.clone() }
        };
        match &argument.data {
            Data::List(items) => {
                let items = items.iter().enumerate();
                let items =
                    items.map(|(index, i)| if index == 0 { text(i) } else { self.value(i) });
                Value { data: Data::List(Arc::new(items.collect())), ..argument.clone() }
            }
            _ => text(argument),
        }
    }
}

/// The policies of a resource that the transform makes without a wish of the author.
impl Resource {
    fn without_policies(mut self) -> Resource {
        self.deletion_policy = Policy::Delete;
        self.update_replace_policy = Policy::Delete;
        self
    }
}
