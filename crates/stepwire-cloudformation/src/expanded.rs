//! What a template comes to, and what is given to it.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::{IndexMap, IndexSet};
use stepwire_asl::Json;

use crate::diagnostic::Diagnostic;
use crate::order;
use crate::template::{Capability, Needed};
use crate::value::{Map, Place, Value};

/// What local files and folders that a template names (`CodeUri: src/`) become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Artifacts {
    /// They are refused: the template was not packaged.
    #[default]
    Refused,
    /// They stand as objects of a bucket named `local`, for looking at a template before its
    /// functions are built.
    Local,
}

/// What becomes of what only the node or the caller knows, where it is not given: parameters without
/// a value, exports of other stacks, Parameter Store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unknown {
    /// It is refused.
    #[default]
    Refused,
    /// References to it stay, as those to resources do, and a comparison with it does not hold: for
    /// looking at a template beforehand. Notes tell what was not known.
    Open,
}

/// What is given to a template.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Given {
    /// Values of parameters.
    pub parameters: BTreeMap<String, String>,
    /// `AWS::Region`.
    pub region: String,
    /// `AWS::AccountId`.
    pub account: String,
    /// `AWS::Partition`, such as `aws`.
    pub partition: String,
    /// `AWS::StackName`.
    pub stack_name: String,
    /// `AWS::StackId`.
    pub stack_id: String,
    /// `AWS::URLSuffix`, such as `amazonaws.com`.
    pub url_suffix: String,
    /// `AWS::NotificationARNs`.
    pub notification_arns: Vec<String>,
    /// Exports of other stacks.
    pub imports: BTreeMap<String, Json>,
    /// Values in Parameter Store, by name: of parameters of type `AWS::SSM::Parameter::Value<…>` and
    /// of `{{resolve:ssm:…}}`.
    pub ssm: BTreeMap<String, Json>,
    /// What is made of local files and folders.
    pub artifacts: Artifacts,
    /// What is made of values that are not given.
    pub unknown: Unknown,
}

/// A template with everything filled in but references to resources.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Expanded {
    /// By logical id, in the order of the source; what SAM makes follows its origin.
    pub resources: IndexMap<String, Resource>,
    /// Resources of the source that are not made, since their condition does not hold.
    pub absent: IndexMap<String, Absent>,
    /// The outputs whose condition holds.
    pub outputs: IndexMap<String, Output>,
    /// An order in which the resources can be made: each after all it depends on.
    pub order: Vec<String>,
    /// Parameters with the values they have here, for `DescribeStacks`; of SSM types the names given.
    pub parameters: BTreeMap<String, String>,
    /// What SSM parameters came to.
    pub resolved_parameters: BTreeMap<String, String>,
    /// Taken without effect, and what else the author should know.
    pub notes: Vec<Diagnostic>,
    /// Exports of other stacks that it uses.
    pub imported: BTreeSet<String>,
    /// Parameters that have no value, with [`Unknown::Open`].
    pub without_value: BTreeSet<String>,
    /// `IgnoreGlobals` of the resources that have it.
    pub(crate) ignore_globals: BTreeMap<String, Value>,
    /// Properties as the template writes them, functions and all: what ids are made of.
    pub(crate) written: BTreeMap<String, Value>,
}

/// What becomes of a resource that is no longer wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// It is deleted.
    #[default]
    Delete,
    /// It is kept.
    Retain,
    /// It is kept, unless it was made by the operation that failed.
    RetainExceptOnCreate,
    /// A copy of its content is kept.
    Snapshot,
}

impl Policy {
    /// As templates write it.
    pub fn name(self) -> &'static str {
        match self {
            Policy::Delete => "Delete",
            Policy::Retain => "Retain",
            Policy::RetainExceptOnCreate => "RetainExceptOnCreate",
            Policy::Snapshot => "Snapshot",
        }
    }
}

/// A resource of a stack.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resource {
    /// Its name in the template.
    pub logical_id: String,
    /// Its type, such as `AWS::IoT::Thing`.
    pub kind: String,
    /// Its properties, an object, with references to other resources in it.
    pub properties: Value,
    /// Logical ids of all it needs: by `DependsOn` and by reference; sorted.
    pub depends_on: Vec<String>,
    /// `DeletionPolicy`.
    pub deletion_policy: Policy,
    /// `UpdateReplacePolicy`.
    pub update_replace_policy: Policy,
    /// `Metadata`.
    pub metadata: Option<Value>,
    /// Name of the condition that let it be.
    pub condition: Option<String>,
    /// Where its name stands in the source; of what SAM made where its origin's stands.
    pub place: Place,
}

/// A resource whose condition does not hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Absent {
    /// Its type.
    pub kind: String,
    /// The condition.
    pub condition: String,
    /// Where its name stands.
    pub place: Place,
}

/// An output of a stack.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Output {
    /// Its name.
    pub name: String,
    /// Its value, with references to resources in it.
    pub value: Value,
    /// `Description`.
    pub description: Option<String>,
    /// The name it is exported under, with references in it.
    pub export: Option<Value>,
    /// Where its name stands.
    pub place: Place,
}

impl Expanded {
    /// The template as GetTemplate shows it at stage `Processed`.
    pub fn to_json(&self) -> Json {
        let resources = self.resources.values().map(|one| (&*one.logical_id, one.to_json()));
        let mut sections = vec![("Resources", Json::object(resources))];
        if !self.outputs.is_empty() {
            let outputs = self.outputs.values().map(|one| (&*one.name, one.to_json()));
            sections.push(("Outputs", Json::object(outputs)));
        }
        Json::object(sections)
    }

    /// Capabilities that making this needs.
    pub fn capabilities(&self) -> Vec<Needed> {
        let mut plain = Vec::new();
        let mut named = Vec::new();
        for resource in self.resources.values() {
            let Some(name) = iam_name(&resource.kind) else { continue };
            let one = (resource.logical_id.clone(), resource.kind.clone());
            if resource.properties.member(name).is_some() {
                named.push(one);
            } else {
                plain.push(one);
            }
        }
        needed(plain, named)
    }

    /// What `Fn::GetAtt` asks for: resource, attribute, place.
    pub fn attributes(&self) -> Vec<(String, String, Place)> {
        let properties = self.resources.values().map(|one| (&one.properties, one.place));
        let outputs = self.outputs.values().flat_map(|one| {
            let export = one.export.iter().map(move |name| (name, one.place));
            std::iter::once((&one.value, one.place)).chain(export)
        });
        let mut found = Vec::new();
        for (value, around) in properties.chain(outputs) {
            for reference in order::references(value) {
                let Some(attribute) = reference.attribute else { continue };
                let nowhere = reference.place.is_nowhere();
                let place = if nowhere { around } else { reference.place };
                found.push((reference.resource, attribute, place));
            }
        }
        found
    }

    /// Where `path` of the resource's properties is written, or the nearest thing around it: the
    /// resource's own place when SAM made the property.
    pub fn property_place(&self, logical_id: &str, path: &[&str]) -> Place {
        let Some(resource) = self.resources.get(logical_id) else { return Place::NOWHERE };
        let place = resource.properties.nearest(path).0.pointer();
        if place.is_nowhere() { resource.place } else { place }
    }
}

impl Resource {
    /// As a template writes it; [`Resource::from_json`] reads it.
    pub fn to_json(&self) -> Json {
        let mut members = vec![("Type", Json::from(self.kind.as_str()))];
        let is_empty = self.properties.as_map().is_none_or(Map::is_empty);
        if !is_empty {
            members.push(("Properties", self.properties.to_json()));
        }
        let referred = self.referred();
        let beyond = self.depends_on.iter().filter(|name| !referred.contains(*name));
        let beyond: Vec<Json> = beyond.map(|name| Json::from(name.as_str())).collect();
        if !beyond.is_empty() {
            members.push(("DependsOn", Json::array(beyond)));
        }
        for (name, policy) in [
            ("DeletionPolicy", self.deletion_policy),
            ("UpdateReplacePolicy", self.update_replace_policy),
        ] {
            if policy != Policy::Delete {
                members.push((name, Json::from(policy.name())));
            }
        }
        if let Some(metadata) = &self.metadata {
            members.push(("Metadata", metadata.to_json()));
        }
        if let Some(condition) = &self.condition {
            members.push(("Condition", Json::from(condition.as_str())));
        }
        Json::object(members)
    }

    /// The resource that [`Resource::to_json`] wrote; it stands nowhere.
    pub fn from_json(logical_id: &str, json: &Json) -> Resource {
        let text = |name: &str| json.member(name).and_then(Json::as_str).unwrap_or_default();
        let names = json.member("DependsOn").and_then(Json::as_array).unwrap_or_default();
        let empty = || Value::map::<&str>([]);
        let mut resource = Resource {
            logical_id: logical_id.to_owned(),
            kind: text("Type").to_owned(),
            properties: json.member("Properties").map_or_else(empty, Value::from_json),
            depends_on: names.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
            deletion_policy: Policy::parse(text("DeletionPolicy")).unwrap_or_default(),
            update_replace_policy: Policy::parse(text("UpdateReplacePolicy")).unwrap_or_default(),
            metadata: json.member("Metadata").map(Value::from_json),
            condition: json.member("Condition").and_then(Json::as_str).map(str::to_owned),
            place: Place::NOWHERE,
        };
        let mut needed = resource.referred();
        needed.extend(std::mem::take(&mut resource.depends_on));
        resource.depends_on = needed.into_iter().collect();
        resource
    }

    /// The resources that its properties refer to.
    fn referred(&self) -> BTreeSet<String> {
        let references = order::references(&self.properties);
        references.into_iter().map(|reference| reference.resource).collect()
    }
}

impl Output {
    fn to_json(&self) -> Json {
        let mut members = vec![("Value", self.value.to_json())];
        if let Some(text) = &self.description {
            members.push(("Description", Json::from(text.as_str())));
        }
        if let Some(name) = &self.export {
            members.push(("Export", Json::object([("Name", name.to_json())])));
        }
        Json::object(members)
    }
}

impl Policy {
    /// The policy of this name.
    pub fn parse(name: &str) -> Option<Policy> {
        [Policy::Delete, Policy::Retain, Policy::RetainExceptOnCreate, Policy::Snapshot]
            .into_iter()
            .find(|policy| policy.name() == name)
    }
}

/// The property that names a resource of IAM; `None` of other types.
pub(crate) fn iam_name(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "AWS::IAM::Role" => "RoleName",
        "AWS::IAM::ManagedPolicy" => "ManagedPolicyName",
        "AWS::IAM::InstanceProfile" => "InstanceProfileName",
        "AWS::IAM::Group" => "GroupName",
        "AWS::IAM::User" => "UserName",
        // The names of these are no matter of capabilities.
        "AWS::IAM::Policy"
        | "AWS::IAM::AccessKey"
        | "AWS::IAM::UserToGroupAddition"
        | "AWS::IAM::RolePolicy"
        | "AWS::IAM::UserPolicy"
        | "AWS::IAM::GroupPolicy" => "",
        _ => return None,
    })
}

/// The capability for these resources of IAM, by logical id and type.
pub(crate) fn needed(plain: Vec<(String, String)>, named: Vec<(String, String)>) -> Vec<Needed> {
    let (capability, which) = match (plain.is_empty(), named.is_empty()) {
        (true, true) => return Vec::new(),
        (_, false) => (Capability::NamedIam, "require the capability"),
        (false, true) => (Capability::Iam, "require capabilities"),
    };
    let all: Vec<(String, String)> = named.into_iter().chain(plain).collect();
    let kinds: IndexSet<&str> = all.iter().map(|(_, kind)| &**kind).collect();
    let kinds: Vec<&str> = kinds.into_iter().collect();
    let reason = format!("The following resource(s) {which}: [{}]", kinds.join(", "));
    vec![Needed {
        capability,
        reason: reason.replace("require the capability", "require capabilities"),
        resources: all.into_iter().map(|(name, _)| name).collect(),
    }]
}
