//! What a template comes to: resources and outputs, with only references to resources left open.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::{IndexMap, IndexSet};
use stepwire_asl::Json;
use stepwire_asl::diagnostic::nearest;

use crate::diagnostic::Diagnostic;
use crate::function::{Evaluator, Found, Names};
use crate::loops;
use crate::order::{self, Reference};
use crate::sam;
use crate::template::{
    ATTRIBUTES, Capability, EXTENSIONS, Needed, SERVERLESS, Template, check_resource,
};
use crate::value::{Data, Map, Place, Value};

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

/// What is known before resources exist.
struct Known<'a> {
    given: &'a Given,
    parameters: BTreeMap<String, Value>,
    conditions: BTreeMap<String, bool>,
    mappings: Option<&'a Value>,
    is_extended: bool,
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
}

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
    known.conditions = conditions(&root, &known)?;

    let mut evaluator = Evaluator::new(&known);
    rules(&root, &mut evaluator);
    let mut absent = BTreeMap::new();
    for (name, value) in members(&root, "Resources") {
        resource(name, value, &mut evaluator, &mut expanded, &mut absent);
    }
    for (name, value) in members(&root, "Outputs") {
        output(name, value, &mut evaluator, &mut expanded);
    }
    let globals = root.member("Globals").and_then(|globals| evaluator.evaluate(globals));
    expanded.imported = std::mem::take(&mut evaluator.imported);
    let mut problems = evaluator.problems;
    if problems.is_empty() {
        if has(SERVERLESS) {
            let globals = globals.as_ref().zip(root.member("Globals"));
            problems.extend(sam::transform(&mut expanded, globals, given));
            expanded.written.clear();
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
        problems.extend(link(&mut expanded, &absent, &root));
    }
    if problems.is_empty() {
        return Ok(expanded);
    }
    problems.sort_by_key(|problem| problem.place);
    problems.dedup();
    Err(problems)
}

fn members<'a>(
    root: &'a Value,
    section: &str,
) -> impl Iterator<Item = (&'a std::sync::Arc<str>, &'a Value)> {
    root.member(section).and_then(Value::as_map).into_iter().flatten()
}

/// The values of the parameters.
fn fill(
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
        problems.push(
            Diagnostic::new(
                place,
                format!("Parameters: [{}] must have values", missing.join(", ")),
            )
            .hint("give a value, or a Default in the template"),
        );
    }
    if problems.is_empty() { Ok(values) } else { Err(problems) }
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

/// Which conditions hold.
fn conditions(root: &Value, known: &Known<'_>) -> Result<BTreeMap<String, bool>, Vec<Diagnostic>> {
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

/// The rules' assertions, each of which must hold.
fn rules(root: &Value, evaluator: &mut Evaluator<'_>) {
    for (name, rule) in members(root, "Rules") {
        let applies =
            rule.member("RuleCondition").is_none_or(|condition| evaluator.decide(condition));
        let assertions = rule.member("Assertions").and_then(Value::as_list).unwrap_or_default();
        for assertion in assertions.iter().filter(|_| applies) {
            let holds = assertion.member("Assert").is_some_and(|assert| evaluator.decide(assert));
            if !holds {
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

fn resource(
    name: &str,
    value: &Value,
    evaluator: &mut Evaluator<'_>,
    expanded: &mut Expanded,
    absent: &mut BTreeMap<String, String>,
) {
    let text = |member: &str| value.member(member).and_then(Value::as_str);
    let condition = value.member("Condition");
    if let Some(at) = condition {
        let named = at.text().unwrap_or_default();
        match evaluator_condition(evaluator, &named) {
            Some(true) => {}
            Some(false) => {
                absent.insert(name.to_owned(), named.to_string());
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
        let named = evaluator.evaluate(at).as_ref().and_then(Value::text).unwrap_or_default();
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

/// What needs what; the order; what does not exist.
fn link(
    expanded: &mut Expanded,
    absent: &BTreeMap<String, String>,
    root: &Value,
) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let names: IndexSet<String> = expanded.resources.keys().cloned().collect();
    let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut lost: Vec<Reference> = Vec::new();
    for resource in expanded.resources.values_mut() {
        let mut needed = BTreeSet::new();
        for name in &resource.depends_on {
            if names.contains(name) {
                needed.insert(name.clone());
            } else if !absent.contains_key(name) {
                let place = root
                    .member("Resources")
                    .and_then(|all| all.member(&resource.logical_id)?.member("DependsOn"))
                    .map_or(resource.place, |at| at.place);
                lost.push(Reference { resource: name.clone(), attribute: None, place });
            }
        }
        for reference in order::references(&resource.properties) {
            if names.contains(&reference.resource) {
                needed.insert(reference.resource);
            } else {
                let place =
                    if reference.place.is_nowhere() { resource.place } else { reference.place };
                lost.push(Reference { place, ..reference });
            }
        }
        resource.depends_on = needed.iter().cloned().collect();
        needs.insert(resource.logical_id.clone(), needed);
    }
    problems.extend(unresolved(&lost, "Resources", &names, absent));
    let lost: Vec<Reference> = expanded
        .outputs
        .values()
        .flat_map(|output| {
            let mut all = order::references(&output.value);
            all.extend(output.export.iter().flat_map(order::references));
            all
        })
        .filter(|reference| !names.contains(&reference.resource))
        .collect();
    problems.extend(unresolved(&lost, "Outputs", &names, absent));
    match order::sorted(&names, &needs) {
        Ok(order) => expanded.order = order,
        Err(circle) => {
            let place = circle
                .first()
                .and_then(|name| expanded.resources.get(name))
                .map_or(Place::NOWHERE, |resource| resource.place);
            problems.push(
                Diagnostic::new(
                    place,
                    format!("Circular dependency between resources: [{}]", circle.join(", ")),
                )
                .hint("one of them must do without a reference or DependsOn to the others"),
            );
        }
    }
    problems
}

/// One finding for all that does not exist in a section, as CloudFormation tells it.
fn unresolved(
    lost: &[Reference],
    section: &str,
    names: &IndexSet<String>,
    absent: &BTreeMap<String, String>,
) -> Option<Diagnostic> {
    let first = lost.iter().min_by_key(|reference| reference.place)?;
    let distinct: IndexSet<&str> = lost.iter().map(|reference| &*reference.resource).collect();
    let distinct: Vec<&str> = distinct.into_iter().collect();
    let mut hints: Vec<String> = Vec::new();
    for name in distinct.iter().take(5) {
        if let Some(condition) = absent.get(*name) {
            hints
                .push(format!("{name} is not made, since its condition {condition} does not hold"));
        } else if let Some(near) = nearest(name, names.iter().map(String::as_str)) {
            hints.push(format!("for {name}, did you mean `{near}`?"));
        }
    }
    let others: IndexSet<u32> = lost
        .iter()
        .map(|other| other.place.line)
        .filter(|line| *line != first.place.line && *line > 0)
        .collect();
    if !others.is_empty() {
        let lines: Vec<String> = others.iter().take(10).map(u32::to_string).collect();
        hints.push(format!("also in line {}", lines.join(", ")));
    }
    let told = Diagnostic::new(
        first.place,
        format!(
            "Template format error: Unresolved resource dependencies [{}] in the {section} block of the template",
            distinct.join(", ")
        ),
    );
    Some(if hints.is_empty() { told } else { told.hint(hints.join("; ")) })
}
