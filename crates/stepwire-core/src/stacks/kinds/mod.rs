//! Resource types of CloudFormation: what each becomes in our own services.
//!
//! Nothing here is done: a type says which requests make, change and remove a resource, one after
//! the other, and what the answers come to. Whoever carries them out asks for the next one with the
//! answers so far: [`create`] until it has none, then [`made`]; [`update`] and [`delete`] likewise.
//! Requests do not depend on anything but the arguments, so they can be asked for again.
//!
//! Read in this order: [`support`], [`examine`], [`create`], [`made`], then one service's file.

#![expect(
    clippy::unnecessary_wraps,
    reason = "members of requests may be absent, and functions in the table of types may fail"
)]

mod cloudwatch;
mod dynamodb;
mod events;
mod iam;
mod inline;
mod iot;
mod lambda;
mod logs;
mod others;
mod own;
mod probe;
mod property;
mod resource;
mod s3;
mod scheduler;
mod secretsmanager;
mod sns;
mod sqs;
mod ssm;
mod states;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::Json;
use stepwire_cloudformation::{Diagnostic, Expanded};

pub(super) use own::{STACK, is_own};
pub use probe::Around;
pub use property::{Finding, Recreation, Verdict};
use property::{Property, Standing};
use resource::Resource;
pub use states::written_as_json;

use crate::request::Service;

/// A request of one of our services.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// Of which.
    pub service: Service,
    /// The operation, as AWS names it.
    pub operation: &'static str,
    /// Its input, as the service's API takes it.
    pub body: Json,
    /// Names of errors that count as done: the answer is then an empty object.
    pub tolerate: &'static [&'static str],
}

/// How to see whether a resource of this name is there already: where the request that makes one
/// answers with one that is there, or changes it, a stack would take it for its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// A request that reads; tolerated errors say that it is not there.
    pub ask: Ask,
    /// What the resource is called.
    pub identifier: String,
    /// The list of the answer that it would be in, and which member is its identifier. `None`: any
    /// answer says that it is there.
    listed: Option<(&'static str, &'static str)>,
}

impl Look {
    /// Whether this answer, which is no tolerated error, says that the resource is there.
    pub(super) fn has_found(&self, answer: &Json) -> bool {
        self.listed.is_none_or(|(list, member)| {
            let found = answer.member(list).and_then(Json::as_array).unwrap_or_default();
            let name =
                |one: &Json| one.member(member).and_then(Json::as_str) == Some(&self.identifier);
            found.iter().any(name)
        })
    }
}

/// Where a resource is.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// `AWS::Partition`
    pub partition: &'a str,
    /// `AWS::Region`
    pub region: &'a str,
    /// `AWS::AccountId`
    pub account: &'a str,
    /// `AWS::StackName`
    pub stack_name: &'a str,
    /// `AWS::StackId`
    pub stack_id: &'a str,
    /// The resource's name in the template.
    pub logical_id: &'a str,
    /// The end of generated names: 12 letters and digits, the same each time for this resource and
    /// another for what replaces it.
    pub token: &'a str,
}

/// What becomes of resources of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// They are made.
    Served,
    /// They are there in the stack alone, for this reason.
    WithoutEffect(&'static str),
    /// A template with one is refused; this is what to do.
    Refused(&'static str),
}

/// A resource that is there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Made {
    /// Its physical id, which is what `Ref` gives.
    pub physical_id: String,
    /// What `Fn::GetAtt` gives.
    pub attributes: BTreeMap<String, Json>,
}

/// What a change of properties asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The property, at the top level.
    pub property: String,
    /// Whether another resource must be made.
    pub recreation: Recreation,
}

/// A resource type.
struct Kind {
    name: &'static str,
    support: Support,
    properties: &'static [Property],
    /// Attributes that `Fn::GetAtt` knows, for placeholders and the table in the documentation.
    attributes: &'static [&'static str],
    /// The requests that make it, as far as these answers tell: one more than there are answers, or
    /// all of them. A longer list begins with the shorter one.
    create: fn(&Resource<'_>, &[Json]) -> Result<Vec<Ask>, String>,
    /// How to see whether it is there already, unless the request that makes it refuses that.
    look: fn(&Resource<'_>) -> Option<Look>,
    /// What the answers come to.
    made: fn(&Resource<'_>, &[Json]) -> Made,
    /// The requests that change it, likewise.
    update: fn(&Update<'_>, &[Json]) -> Result<Vec<Ask>, String>,
    /// What it is after these answers.
    updated: fn(&Update<'_>, &[Json]) -> Made,
    /// The requests that remove it, likewise.
    delete: fn(&Resource<'_>, &Made, &[Json]) -> Vec<Ask>,
    /// Whether a property that changes in place by its table asks for another resource this time.
    replaces: fn(&Change, &Json, &Json) -> bool,
    /// Why CloudFormation would not begin this change, though the service takes each of its requests.
    refuses: fn(&Update<'_>) -> Option<&'static str>,
    /// The table whose indexes must know all its items before a change is over.
    awaits: fn(&Update<'_>) -> Option<String>,
}

/// A change that replaces nothing.
struct Update<'a> {
    old: Resource<'a>,
    new: Resource<'a>,
    made: &'a Made,
}

impl Update<'_> {
    /// Whether the property differs.
    fn changes(&self, property: &str) -> bool {
        self.old.get(property) != self.new.get(property)
    }

    /// Whether one of the properties differs.
    fn changes_any(&self, properties: &[&str]) -> bool {
        properties.iter().any(|property| self.changes(property))
    }
}

impl Kind {
    /// A type of which nothing is made: the row that others are made of.
    const fn new(name: &'static str, properties: &'static [Property]) -> Kind {
        Kind {
            name,
            support: Support::Served,
            properties,
            attributes: &[],
            create: |_, _| Ok(Vec::new()),
            look: |_| None,
            made: |resource, _| resource::made(resource.context.generated_name(128), []),
            update: |_, _| Ok(Vec::new()),
            updated: |update, _| update.made.clone(),
            delete: |_, _, _| Vec::new(),
            replaces: |_, _, _| false,
            refuses: |_| None,
            awaits: |_| None,
        }
    }

    /// A type that is there in the stack alone.
    const fn without_effect(name: &'static str, why: &'static str) -> Kind {
        let mut kind = Kind::new(name, &[]);
        kind.support = Support::WithoutEffect(why);
        kind
    }

    /// A type that is refused.
    const fn refused(name: &'static str, hint: &'static str) -> Kind {
        let mut kind = Kind::new(name, &[]);
        kind.support = Support::Refused(hint);
        kind
    }

    /// The properties as the type wants them, and what becomes of each.
    fn read(&self, properties: &Json) -> (Json, Vec<Finding>) {
        match self.support {
            Support::Served => property::read(self.properties, properties),
            // Names and ARNs are made of them; nothing else is.
            Support::WithoutEffect(_) | Support::Refused(_) => (properties.clone(), Vec::new()),
        }
    }
}

/// Every type, by service.
const KINDS: &[&[Kind]] = &[
    cloudwatch::KINDS,
    dynamodb::KINDS,
    events::KINDS,
    iam::KINDS,
    iot::KINDS,
    lambda::KINDS,
    logs::KINDS,
    s3::KINDS,
    secretsmanager::KINDS,
    scheduler::KINDS,
    sns::KINDS,
    sqs::KINDS,
    ssm::KINDS,
    states::KINDS,
    own::KINDS,
    others::KINDS,
];

fn find(kind: &str) -> Option<&'static Kind> {
    KINDS.iter().flat_map(|kinds| kinds.iter()).find(|known| known.name == kind)
}

/// What becomes of resources of a type.
pub fn support(kind: &str) -> Support {
    const UNKNOWN: &str = "stepwire does not know this type";
    let by_service = || {
        let found = others::REFUSED.iter().find(|(begin, _)| kind.starts_with(begin));
        Support::Refused(found.map_or(UNKNOWN, |(_, hint)| hint))
    };
    let own = || own::support(kind).unwrap_or_else(by_service);
    find(kind).map_or_else(own, |kind| kind.support)
}

/// Every type that is known by name, in the order of their services.
pub fn known() -> impl Iterator<Item = (&'static str, Support)> {
    KINDS.iter().flat_map(|kinds| kinds.iter()).map(|kind| (kind.name, kind.support))
}

/// What a type is made of, for those who write about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Its properties at the top level.
    pub properties: Vec<&'static str>,
    /// Properties at the top level that are without effect.
    pub without_effect: Vec<&'static str>,
    /// Properties at the top level that are refused.
    pub refused: Vec<&'static str>,
    /// What `Fn::GetAtt` gives.
    pub attributes: &'static [&'static str],
}

/// What a type is made of. `None`: it is not known by name.
pub fn describe(kind: &str) -> Option<Description> {
    let kind = find(kind)?;
    let of = |which: fn(Standing) -> bool| {
        let properties = kind.properties.iter().filter(|property| which(property.standing));
        properties.map(|property| property.name).collect()
    };
    Some(Description {
        properties: of(|_| true),
        without_effect: of(|it| matches!(it, Standing::WithoutEffect(_) | Standing::Shown(_))),
        refused: of(|it| matches!(it, Standing::Refused(_))),
        attributes: kind.attributes,
    })
}

/// What becomes of each property of a resource: each at the top level that is acted on, and every
/// one at any level that is without effect or refused. A missing one is refused, too, by the path of
/// what lacks it. Values that stand for what is not known yet (`Ref`, `Fn::…`) are taken as good.
///
/// Where the properties are good, the requests that they come to are tried on the services: what
/// those refuse is found, too, as far as it can be told without what is not known yet.
pub fn examine(kind: &str, properties: &Json, around: &Around<'_>) -> Vec<Finding> {
    if own::is_own(kind) {
        return own::examine(kind, properties);
    }
    let Some(kind) = find(kind) else { return Vec::new() };
    let (_, mut findings) = kind.read(properties);
    if kind.support == Support::Served
        && findings.iter().all(|finding| finding.verdict != Verdict::Refused)
    {
        findings.extend(probe::findings(kind, properties, around));
    }
    findings
}

/// What a resource will be like, for those who refer to it before it is made.
pub fn likely(kind: &str, logical_id: &str, properties: &Json) -> Option<Made> {
    let kind = find(kind).filter(|kind| !matches!(kind.support, Support::Refused(_)))?;
    let context = Context { logical_id, ..probe::NOWHERE };
    Some((kind.made)(&Resource { context: &context, properties: kind.read(properties).0 }, &[]))
}

/// The same of a template's resource.
pub fn likely_of(expanded: &Expanded, logical_id: &str) -> Option<Made> {
    let resource = expanded.resources.get(logical_id)?;
    likely(&resource.kind, logical_id, &resource.properties.to_json())
}

/// The attributes that a template asks for of resources which do not have them.
pub fn lost_attributes(expanded: &Expanded) -> Vec<Diagnostic> {
    let lost = expanded.attributes().into_iter().filter_map(|(resource, attribute, place)| {
        let kind = &expanded.resources.get(&resource)?.kind;
        let known = find(kind).filter(|kind| kind.support == Support::Served)?;
        let made = likely(kind, &resource, &Json::Object(Arc::default()))?;
        let has =
            known.attributes.contains(&&*attribute) || made.attributes.contains_key(&attribute);
        let why = format!(
            "Template error: resource {resource} does not support attribute type {attribute} in \
             Fn::GetAtt"
        );
        (!has).then(|| Diagnostic::new(place, why))
    });
    lost.collect()
}

/// How to see, before [`create`], whether a resource is there already that the template gives a name
/// to. `None`: making it will tell.
pub fn look(kind: &str, context: &Context<'_>, properties: &Json) -> Option<Look> {
    let kind = find(kind).filter(|kind| kind.support == Support::Served)?;
    (kind.look)(&Resource { context, properties: kind.read(properties).0 })
}

/// The next request that makes a resource, after these answers. `None`: there is no other. The
/// error is what is wrong with the properties.
pub fn create(
    kind: &str,
    context: &Context<'_>,
    properties: &Json,
    answers: &[Json],
) -> Result<Option<Ask>, String> {
    let kind = served(kind)?;
    let resource = resource(kind, context, properties)?;
    Ok((kind.create)(&resource, answers)?.into_iter().nth(answers.len()))
}

/// What the answers to the requests of [`create`] come to. With only the first of them: what there
/// is to remove where a later one fails.
pub fn made(kind: &str, context: &Context<'_>, properties: &Json, answers: &[Json]) -> Made {
    find(kind).map_or_else(Made::default, |kind| {
        (kind.made)(&Resource { context, properties: kind.read(properties).0 }, answers)
    })
}

/// The properties at the top level that differ and what each asks for, in order of name. Those
/// without effect are not among them.
pub fn changes(kind: &str, old: &Json, new: &Json) -> Vec<Change> {
    let Some(kind) = find(kind) else { return Vec::new() };
    let (old, new) = (kind.read(old).0, kind.read(new).0);
    let differs = |property: &&Property| {
        matches!(property.standing, Standing::ActedOn | Standing::Shown(_))
            && old.member(property.name) != new.member(property.name)
    };
    let mut changes: Vec<Change> = (kind.properties.iter().filter(differs))
        .map(|property| Change {
            property: property.name.to_owned(),
            recreation: property.recreation,
        })
        .collect();
    for change in &mut changes {
        if (kind.replaces)(change, &old, &new) {
            change.recreation = Recreation::Always;
        }
    }
    changes.sort_by(|a, b| a.property.cmp(&b.property));
    changes
}

/// The properties with these tags besides the resource's own, where resources of the type take tags.
/// Not where other tags ask for another resource: a stack's tags replace nothing.
pub fn tagged(kind: &str, properties: Json, tags: &[(Arc<str>, Arc<str>)]) -> Json {
    let is_tags = |property: &&Property| {
        let is_kept = matches!(property.standing, Standing::ActedOn);
        property.name == "Tags" && is_kept && property.recreation == Recreation::Never
    };
    let known = if kind == STACK { Some(own::STACK_PROPERTIES) } else { None };
    let known = known.or_else(|| find(kind).map(|kind| kind.properties));
    match known.and_then(|known| known.iter().find(is_tags)) {
        Some(property) => property::with_tags(property.shape, properties, tags),
        None => properties,
    }
}

/// Why this change of a resource is not begun, though each of its requests would be taken. What was
/// begun is always undone, so this is not for undoing.
pub fn refuses(
    kind: &str,
    context: &Context<'_>,
    old: &Json,
    new: &Json,
    made: &Made,
) -> Option<&'static str> {
    let kind = find(kind)?;
    let of = |properties| Resource { context, properties: kind.read(properties).0 };
    (kind.refuses)(&Update { old: of(old), new: of(new), made })
}

/// The table whose indexes must know all its items before this change is over. `None`: the change is
/// over with its last request.
pub fn awaits(
    kind: &str,
    context: &Context<'_>,
    old: &Json,
    new: &Json,
    made: &Made,
) -> Option<String> {
    let kind = find(kind)?;
    let of = |properties| Resource { context, properties: kind.read(properties).0 };
    (kind.awaits)(&Update { old: of(old), new: of(new), made })
}

/// The name that a template gives to a resource of a type. `None`: one is made up, or the type's
/// resources have none of their own.
pub fn custom_name<'a>(kind: &str, properties: &'a Json) -> Option<&'a str> {
    let kind = find(kind)?;
    let last = kind.name.rsplit("::").next().unwrap_or_default();
    // `Name`, or `TableName` of a table; `FunctionName` of a version is another resource's.
    let is_own = |property: &&Property| {
        let of = property.name.strip_suffix("Name");
        property.recreation == Recreation::Always && of.is_some_and(|of| last.ends_with(of))
    };
    let property = kind.properties.iter().find(is_own)?;
    properties.member(property.name)?.as_str()
}

/// The next request that changes a resource in place, after these answers. `None`: there is no
/// other. That nothing of [`changes`] asks for another resource is the caller's to see.
pub fn update(
    kind: &str,
    context: &Context<'_>,
    old: &Json,
    new: &Json,
    made: &Made,
    answers: &[Json],
) -> Result<Option<Ask>, String> {
    let kind = served(kind)?;
    let old = Resource { context, properties: kind.read(old).0 };
    let update = Update { old, new: resource(kind, context, new)?, made };
    Ok((kind.update)(&update, answers)?.into_iter().nth(answers.len()))
}

/// What a resource is after the answers to the requests of [`update`].
pub fn updated(
    kind: &str,
    context: &Context<'_>,
    old: &Json,
    new: &Json,
    made: &Made,
    answers: &[Json],
) -> Made {
    let Some(kind) = find(kind) else { return made.clone() };
    let of = |properties| Resource { context, properties: kind.read(properties).0 };
    (kind.updated)(&Update { old: of(old), new: of(new), made }, answers)
}

/// The next request that removes a resource, after these answers. `None`: there is no other. Each
/// counts as done where there is nothing to remove; of what has no physical id, there is nothing.
pub fn delete(
    kind: &str,
    context: &Context<'_>,
    properties: &Json,
    made: &Made,
    answers: &[Json],
) -> Option<Ask> {
    let kind = find(kind).filter(|_| !made.physical_id.is_empty())?;
    let resource = Resource { context, properties: kind.read(properties).0 };
    (kind.delete)(&resource, made, answers).into_iter().nth(answers.len())
}

/// What stands for a resource that is not made, because its type is refused and the caller takes
/// that. Attributes of the type have values that look like what they are.
pub fn placeholder(kind: &str, context: &Context<'_>) -> Made {
    let physical_id = context.generated_name(128);
    let service = kind.split("::").nth(1).unwrap_or_default().to_ascii_lowercase();
    let arn = context.arn(&service, &physical_id);
    let of = |name: &&str| {
        let value = if name.ends_with("Arn") { &arn } else { &physical_id };
        ((*name).to_owned(), Json::from(value.as_str()))
    };
    let known = find(kind).map_or(&[][..], |kind| kind.attributes);
    let attributes = known.iter().chain(&["Arn"]).map(of).collect();
    Made { physical_id, attributes }
}

fn served(kind: &str) -> Result<&'static Kind, String> {
    match support(kind) {
        Support::Served | Support::WithoutEffect(_) => {
            find(kind).ok_or_else(|| format!("Unrecognized resource types: [{kind}]"))
        }
        Support::Refused(hint) => {
            Err(format!("resource type {kind} is not available in stepwire\nhint: {hint}"))
        }
    }
}

fn resource<'a>(
    kind: &Kind,
    context: &'a Context<'a>,
    properties: &Json,
) -> Result<Resource<'a>, String> {
    let (properties, findings) = kind.read(properties);
    match findings.into_iter().find(|finding| finding.verdict == Verdict::Refused) {
        Some(finding) => Err(finding.message),
        None => Ok(Resource { context, properties }),
    }
}
