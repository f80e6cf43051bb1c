//! A template as it was read, before anything is filled in.

use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};
use stepwire_asl::diagnostic::nearest;

use crate::diagnostic::Diagnostic;
use crate::expand;
use crate::expanded::{Expanded, Given, iam_name, needed};
use crate::parameter::Parameter;
use crate::source;
use crate::value::{Data, Map, Place, Value};

/// `Transform` of SAM.
pub(crate) const SERVERLESS: &str = "AWS::Serverless-2016-10-31";
/// What its types begin with.
const SERVERLESS_TYPES: &str = "AWS::Serverless::";
/// The function that takes text from elsewhere into a template.
pub(crate) const TRANSFORM: &str = "Fn::Transform";
/// What to do where one is.
pub(crate) const NO_TRANSFORM: &str = "stepwire knows AWS::Serverless-2016-10-31 and \
    AWS::LanguageExtensions; write what the transform would give into the template";
/// `Transform` that brings loops and more functions.
pub(crate) const EXTENSIONS: &str = "AWS::LanguageExtensions";

const SECTIONS: &[&str] = &[
    "AWSTemplateFormatVersion",
    "Conditions",
    "Description",
    "Globals",
    "Hooks",
    "Mappings",
    "Metadata",
    "Outputs",
    "Parameters",
    "Resources",
    "Rules",
    "Transform",
];
pub(crate) const ATTRIBUTES: &[&str] = &[
    "Condition",
    "Connectors",
    "CreationPolicy",
    "DeletionPolicy",
    "DependsOn",
    "Description",
    "IgnoreGlobals",
    "Metadata",
    "Properties",
    "Type",
    "UpdatePolicy",
    "UpdateReplacePolicy",
    "Version",
];
/// CloudFormation's quotas.
const RESOURCES_MAX: usize = 500;
const PARAMETERS_MAX: usize = 200;
const OUTPUTS_MAX: usize = 200;
const MAPPINGS_MAX: usize = 200;
const CONDITIONS_MAX: usize = 1000;
const DESCRIPTION_MAX: usize = 1024;

/// A template's text, read and checked in its outer form.
#[derive(Debug, Clone)]
pub struct Template {
    pub(crate) root: Value,
    pub(crate) parameters: IndexMap<String, Parameter>,
    pub(crate) transforms: Vec<(Arc<str>, Place)>,
}

/// What a caller must say it agrees to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    /// `CAPABILITY_IAM`: IAM resources are made.
    Iam,
    /// `CAPABILITY_NAMED_IAM`: IAM resources with names of the template's choice are made.
    NamedIam,
    /// `CAPABILITY_AUTO_EXPAND`: the template is transformed. Change sets do not need it.
    AutoExpand,
}

impl Capability {
    /// As the API writes it.
    pub fn name(self) -> &'static str {
        match self {
            Capability::Iam => "CAPABILITY_IAM",
            Capability::NamedIam => "CAPABILITY_NAMED_IAM",
            Capability::AutoExpand => "CAPABILITY_AUTO_EXPAND",
        }
    }
}

/// A capability that a template needs, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needed {
    /// Which.
    pub capability: Capability,
    /// GetTemplateSummary's `CapabilitiesReason`.
    pub reason: String,
    /// Logical ids of the resources that need it.
    pub resources: Vec<String>,
}

impl Template {
    /// The template `source` writes, in YAML (with the short forms of functions) or JSON.
    ///
    /// Errors: everything found wrong with its form.
    pub fn parse(source: &str) -> Result<Template, Vec<Diagnostic>> {
        Template::of(source::read(source).map_err(|problem| vec![problem])?)
    }

    /// The template that this value is.
    pub(crate) fn of(root: Value) -> Result<Template, Vec<Diagnostic>> {
        let mut check = Check { problems: Vec::new(), is_serverless: false };
        let Some(sections) = root.as_map() else {
            return Err(vec![
                Diagnostic::new(root.place, "Template format error: unsupported structure.")
                    .hint("a template is an object with a member Resources"),
            ]);
        };
        let transforms = check.transforms(root.member("Transform"));
        check.is_serverless = transforms.iter().any(|(name, _)| &**name == SERVERLESS);
        check.sections(sections, check.is_serverless);
        let mut parameters = IndexMap::new();
        for (name, value) in check.section(&root, "Parameters", PARAMETERS_MAX) {
            check.alphanumeric("Parameter", name, value);
            if let Some(parameter) = Parameter::parse(name, value, &mut check.problems) {
                parameters.insert(name.to_string(), parameter);
            }
        }
        check.mappings(&root);
        check.section(&root, "Conditions", CONDITIONS_MAX);
        check.section(&root, "Rules", CONDITIONS_MAX);
        check.resources(&root);
        for (name, value) in check.section(&root, "Outputs", OUTPUTS_MAX) {
            if !name.starts_with("Fn::") && value.member("Value").is_none() {
                check.wrong(
                    value.pointer(),
                    format!("Template format error: Output {name} must have a Value"),
                );
            }
        }
        let mut problems = check.problems;
        if problems.is_empty() {
            return Ok(Template { root, parameters, transforms });
        }
        problems.sort_by_key(|problem| problem.place);
        Err(problems)
    }

    /// The parameters it declares, in their order.
    pub fn parameters(&self) -> &IndexMap<String, Parameter> {
        &self.parameters
    }

    /// `Description`.
    pub fn description(&self) -> Option<&str> {
        self.root.member("Description")?.as_str()
    }

    /// Names of the transforms it declares, in their order.
    pub fn transforms(&self) -> Vec<Arc<str>> {
        self.transforms.iter().map(|(name, _)| name.clone()).collect()
    }

    /// `Metadata` of the template.
    pub fn metadata(&self) -> Option<&Value> {
        self.root.member("Metadata")
    }

    /// Types of the resources as written, each once, in the order of their appearance.
    pub fn resource_types(&self) -> Vec<Arc<str>> {
        let types = self.resources().filter_map(|(_, value)| value.member("Type")?.text());
        types.collect::<IndexSet<_>>().into_iter().collect()
    }

    /// Capabilities needed, as far as the unexpanded template tells; [`Expanded::capabilities`] is exact.
    pub fn capabilities(&self) -> Vec<Needed> {
        let mut roles = Vec::new();
        let mut named = Vec::new();
        for (name, value) in self.resources() {
            let kind = value.member("Type").and_then(Value::as_str).unwrap_or_default();
            let properties = value.member("Properties");
            let has = |property: &str| properties.is_some_and(|p| p.member(property).is_some());
            let makes_role =
                matches!(kind, "AWS::Serverless::Function" | "AWS::Serverless::StateMachine")
                    && !has("Role");
            match iam_name(kind) {
                Some(property) if has(property) => named.push((name.to_string(), kind.to_owned())),
                Some(_) => roles.push((name.to_string(), kind.to_owned())),
                None if makes_role => roles.push((name.to_string(), "AWS::IAM::Role".to_owned())),
                None => {}
            }
        }
        let mut needed = needed(roles, named);
        if !self.transforms.is_empty() {
            let names: Vec<&str> = self.transforms.iter().map(|(name, _)| &**name).collect();
            needed.push(Needed {
                capability: Capability::AutoExpand,
                reason: format!("The following transform(s) are declared: [{}]", names.join(", ")),
                resources: Vec::new(),
            });
        }
        needed
    }

    /// The whole of it as it was read, functions in their long form.
    pub fn root(&self) -> &Value {
        &self.root
    }

    /// The same template with another content, such as one whose local paths name stored objects.
    #[must_use]
    pub fn with_root(&self, root: Value) -> Template {
        Template { root, ..self.clone() }
    }

    /// Parameters filled in, conditions decided, mappings looked up, loops unrolled, Globals and the
    /// SAM transform applied. What refers to resources is left for [`crate::resolve`].
    ///
    /// Errors: everything found wrong, in the order of the source.
    pub fn expand(&self, given: &Given) -> Result<Expanded, Vec<Diagnostic>> {
        expand::run(self, given)
    }

    /// Names in Parameter Store whose values [`Given::ssm`] should have, with these parameters given.
    pub fn stored_names(&self, given: &Given) -> Vec<String> {
        let mut names = IndexSet::new();
        for (name, parameter) in &self.parameters {
            if let crate::ParameterType::Ssm { .. } = parameter.kind {
                let text = given.parameters.get(name).cloned();
                names.extend(text.or_else(|| parameter.default.as_deref().map(str::to_owned)));
            }
        }
        dynamic_names(&self.root, &mut names);
        names.into_iter().collect()
    }

    /// Where `path` of the resource's properties is written, or the nearest thing around it. Nowhere
    /// for a resource that the template does not write.
    pub fn property_place(&self, logical_id: &str, path: &[&str]) -> Place {
        let Some(resource) = self.root.member("Resources").and_then(|all| all.member(logical_id))
        else {
            return Place::NOWHERE;
        };
        let Some(properties) = resource.member("Properties") else { return resource.pointer() };
        properties.nearest(path).0.pointer()
    }

    /// The same for a resource of what the template comes to; a workflow's definition that SAM made
    /// a text of is where the template writes it.
    pub fn place_of(&self, expanded: &Expanded, logical_id: &str, path: &[&str]) -> Place {
        if let Some(("DefinitionString", rest)) =
            path.split_first().map(|(name, rest)| (*name, rest))
        {
            let written = [&["Definition"], rest].concat();
            let found = || {
                let resource = self.root.member("Resources")?.member(logical_id)?;
                let (value, depth) = resource.member("Properties")?.nearest(&written);
                (depth > 0).then(|| value.pointer())
            };
            if let Some(place) = found() {
                return place;
            }
        }
        expanded.property_place(logical_id, path)
    }

    fn resources(&self) -> impl Iterator<Item = (&Arc<str>, &Value)> {
        let resources = self.root.member("Resources").and_then(Value::as_map);
        resources.into_iter().flatten().filter(|(name, _)| !name.starts_with("Fn::"))
    }
}

/// The names in `{{resolve:ssm:NAME}}`, each with its version where one follows it.
fn dynamic_names(value: &Value, names: &mut IndexSet<String>) {
    match &value.data {
        Data::String(text) => {
            for part in text.split("{{resolve:ssm:").skip(1) {
                let Some((name, _)) = part.split_once("}}") else { continue };
                names.insert(name.to_owned());
            }
        }
        Data::List(items) => items.iter().for_each(|item| dynamic_names(item, names)),
        Data::Map(members) => members.values().for_each(|value| dynamic_names(value, names)),
        Data::Null | Data::Bool(..) | Data::Number(_) => {}
    }
}

struct Check {
    problems: Vec<Diagnostic>,
    is_serverless: bool,
}

/// The null values in what SAM made of a resource.
pub(crate) fn nulls(logical_id: &str, properties: &Value) -> Vec<Diagnostic> {
    let mut check = Check { problems: Vec::new(), is_serverless: true };
    check.nulls(properties, &format!("/Resources/{logical_id}/Properties"));
    check.problems
}

impl Check {
    fn wrong(&mut self, place: Place, message: impl Into<String>) {
        self.problems.push(Diagnostic::new(place, message));
    }

    fn transforms(&mut self, value: Option<&Value>) -> Vec<(Arc<str>, Place)> {
        let Some(value) = value else { return Vec::new() };
        let one = std::slice::from_ref(value);
        let mut transforms = Vec::new();
        for item in value.as_list().unwrap_or(one) {
            let name = item.as_str().or_else(|| item.member("Name")?.as_str());
            match name {
                Some(SERVERLESS | EXTENSIONS) => {
                    transforms.push((name.unwrap_or_default().into(), item.place));
                }
                Some(name) => {
                    let told =
                        Diagnostic::new(item.place, format!("No transform named {name} found."));
                    self.problems
                        .push(told.hint(format!("stepwire knows {SERVERLESS} and {EXTENSIONS}")));
                }
                None => self.wrong(
                    item.place,
                    "Template format error: Transform must be a name or a list of names",
                ),
            }
        }
        transforms
    }

    fn sections(&mut self, sections: &Map, is_serverless: bool) {
        for (name, value) in sections {
            let known = SECTIONS.contains(&&**name);
            if !known || (&**name == "Globals" && !is_serverless) {
                let told = Diagnostic::new(
                    value.pointer(),
                    format!("Invalid template property or properties [{name}]"),
                );
                self.problems.push(match nearest(name, SECTIONS.iter().copied()) {
                    _ if known => told.hint(format!("Globals belong to `Transform: {SERVERLESS}`")),
                    Some(near) => told.hint(format!("did you mean `{near}`?")),
                    None => told,
                });
            }
        }
        if let Some(version) = sections.get("AWSTemplateFormatVersion")
            && version.text().as_deref() != Some("2010-09-09")
        {
            self.wrong(
                version.place,
                "Template format error: AWSTemplateFormatVersion must be 2010-09-09",
            );
        }
        if let Some(text) = sections.get("Description") {
            match text.as_str() {
                Some(described) if described.len() > DESCRIPTION_MAX => self.wrong(
                    text.place,
                    format!("Template format error: 'Description' length is greater than {DESCRIPTION_MAX}."),
                ),
                Some(_) => {}
                None if text.text().is_some() => {}
                None => self.wrong(text.place, "Template format error: Description must be a string"),
            }
        }
        if let Some(hooks) = sections.get("Hooks") {
            let told = Diagnostic::new(hooks.pointer(), "The section Hooks is not supported");
            self.problems.push(told.hint("deploy without it: changes are made at once"));
        }
    }

    /// The members of a section that is an object of objects.
    fn section<'a>(
        &mut self,
        root: &'a Value,
        name: &str,
        max: usize,
    ) -> Vec<(&'a Arc<str>, &'a Value)> {
        let Some(section) = root.member(name) else { return Vec::new() };
        let Some(members) = section.as_map() else {
            self.wrong(
                section.pointer(),
                format!("Template format error: {name} must be an object"),
            );
            return Vec::new();
        };
        if members.len() > max {
            self.wrong(
                section.pointer(),
                format!(
                    "Template format error: Number of {}, {}, is greater than maximum allowed, {max}",
                    name.to_lowercase(),
                    members.len()
                ),
            );
        }
        if name == "Resources" && self.is_serverless {
            // What SAM makes of null is looked at when it has: a definition may have it.
            for (name, resource) in members {
                let kind = resource.member("Type").and_then(Value::as_str).unwrap_or_default();
                for (attribute, value) in resource.as_map().into_iter().flatten() {
                    let is_made =
                        &**attribute == "Properties" && kind.starts_with(SERVERLESS_TYPES);
                    if !is_made {
                        self.member_nulls(attribute, value, &format!("/Resources/{name}"));
                    }
                }
            }
        } else {
            self.nulls(section, &format!("/{name}"));
        }
        members.iter().collect()
    }

    /// CloudFormation takes no null values; but the author of an empty `Properties:` means none, and
    /// what is in Metadata is nobody's concern.
    fn nulls(&mut self, value: &Value, path: &str) {
        match &value.data {
            Data::Null => {
                let told = Diagnostic::new(
                    value.pointer(),
                    format!(
                        "Template format error: [{path}] 'null' values are not allowed in templates"
                    ),
                );
                self.problems.push(told.hint("give a value, or leave the name away"));
            }
            Data::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.nulls(item, &format!("{path}/{index}"));
                }
            }
            Data::Map(members) => {
                for (name, value) in members.iter() {
                    self.member_nulls(name, value, path);
                }
            }
            Data::Bool(..) | Data::Number(_) | Data::String(_) => {}
        }
    }

    fn member_nulls(&mut self, name: &str, value: &Value, path: &str) {
        let may = matches!(name, "Metadata" | "Default" | "Fn::GetAZs")
            || (matches!(name, "Properties" | "Events" | "Description")
                && value.data == Data::Null);
        if !may {
            self.nulls(value, &format!("{path}/{name}"));
        }
    }

    fn alphanumeric(&mut self, what: &str, name: &str, value: &Value) {
        if !name.chars().all(|c| c.is_ascii_alphanumeric()) || name.len() > 255 {
            self.wrong(
                value.pointer(),
                format!("Template format error: {what} name {name} is non alphanumeric."),
            );
        }
    }

    fn mappings(&mut self, root: &Value) {
        for (name, mapping) in self.section(root, "Mappings", MAPPINGS_MAX) {
            if &**name == TRANSFORM {
                self.wrong(mapping.pointer(), "Transform AWS::Include is not supported");
                continue;
            }
            for (_, keys) in mapping.as_map().into_iter().flatten() {
                for (key, value) in keys.as_map().into_iter().flatten() {
                    let is_text = value.text().is_some()
                        || value
                            .as_list()
                            .is_some_and(|items| items.iter().all(|i| i.text().is_some()));
                    if !is_text {
                        self.wrong(
                            value.pointer(),
                            format!(
                                "Template format error: Every Mappings attribute must be a String or a List. ({name}, {key})"
                            ),
                        );
                    }
                }
                if keys.as_map().is_none() {
                    self.wrong(
                        keys.pointer(),
                        format!(
                            "Template format error: Every Mappings member {name} must be a map"
                        ),
                    );
                }
            }
            if mapping.as_map().is_none() {
                self.wrong(
                    mapping.pointer(),
                    format!("Template format error: Every Mappings member {name} must be a map"),
                );
            }
        }
    }

    fn resources(&mut self, root: &Value) {
        let resources = self.section(root, "Resources", RESOURCES_MAX);
        if resources.is_empty() && self.problems.is_empty() {
            self.wrong(
                root.member("Resources").map_or(root.place, Value::pointer),
                "Template format error: At least one Resources member must be defined.",
            );
        }
        for (name, resource) in resources {
            if name.starts_with("Fn::ForEach::") {
                continue;
            }
            if name.starts_with("Fn::") {
                let told = Diagnostic::new(
                    resource.pointer(),
                    format!("{name} is not supported in Resources"),
                );
                self.problems
                    .push(told.hint("write what the transform would give into the template"));
                continue;
            }
            self.alphanumeric("Resource", name, resource);
            self.resource(name, resource);
        }
    }

    pub(crate) fn resource(&mut self, name: &str, resource: &Value) {
        let Some(members) = resource.as_map() else {
            self.wrong(
                resource.pointer(),
                format!(
                    "Template format error: [/Resources/{name}] resource definition is malformed"
                ),
            );
            return;
        };
        // What the transform would give is not known; whoever makes resources refuses it.
        if members.contains_key(TRANSFORM) {
            return;
        }
        if members.get("Type").is_none_or(|kind| kind.as_str().is_none()) {
            self.wrong(
                resource.pointer(),
                format!(
                    "Template format error: [/Resources/{name}] Every Resources object must contain a Type member."
                ),
            );
        }
        // SAM drops what it does not know of a resource, and says so in a note.
        let is_serverless = members
            .get("Type")
            .and_then(Value::as_str)
            .is_some_and(|kind| kind.starts_with("AWS::Serverless::"));
        for (attribute, value) in members {
            if !ATTRIBUTES.contains(&&**attribute) && !is_serverless {
                let told = Diagnostic::new(
                    value.pointer(),
                    format!("Invalid template resource property '{attribute}'"),
                );
                self.problems.push(match nearest(attribute, ATTRIBUTES.iter().copied()) {
                    Some(near) => told.hint(format!("did you mean `{near}`?")),
                    None => told.hint("properties of the resource belong under Properties"),
                });
            }
        }
        if let Some(properties) = members.get("Properties")
            && properties.as_map().is_none()
            && properties.data != Data::Null
        {
            self.wrong(
                properties.pointer(),
                format!("Template format error: [/Resources/{name}/Properties] must be an object"),
            );
        }
    }
}

/// What is wrong with the form of a resource that a loop made.
pub(crate) fn check_resource(name: &str, resource: &Value) -> Vec<Diagnostic> {
    let mut check = Check { problems: Vec::new(), is_serverless: false };
    check.alphanumeric("Resource", name, resource);
    check.resource(name, resource);
    check.problems
}
