//! What a template comes to: resources and outputs, with only references to resources left open.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use stepwire_asl::Json;

use crate::diagnostic::Diagnostic;
use crate::template::Needed;
use crate::value::{Place, Value};

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
}

/// A template with everything filled in but references to resources.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Expanded {
    /// By logical id, in the order of the source; what SAM makes follows its origin.
    pub resources: IndexMap<String, Resource>,
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
        Json::Null
    }

    /// Capabilities that making this needs.
    pub fn capabilities(&self) -> Vec<Needed> {
        Vec::new()
    }

    /// Where `path` of the resource's properties is written, or the nearest thing around it: the
    /// resource's own place when SAM made the property.
    pub fn property_place(&self, logical_id: &str, path: &[&str]) -> Place {
        let Some(resource) = self.resources.get(logical_id) else { return Place::NOWHERE };
        let place = resource.properties.nearest(path).0.pointer();
        if place.is_nowhere() { resource.place } else { place }
    }
}
