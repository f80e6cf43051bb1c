//! A template as it was read, before anything is filled in.

use std::sync::Arc;

use indexmap::IndexMap;

use crate::diagnostic::Diagnostic;
use crate::expand::{Expanded, Given};
use crate::parameter::Parameter;
use crate::source;
use crate::value::{Place, Value};

/// A template's text, read and checked in its outer form.
#[derive(Debug, Clone)]
pub struct Template {
    pub(crate) root: Value,
    pub(crate) parameters: IndexMap<String, Parameter>,
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
        let root = source::read(source)?;
        Ok(Template { root, parameters: IndexMap::new() })
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
        Vec::new()
    }

    /// `Metadata` of the template.
    pub fn metadata(&self) -> Option<&Value> {
        self.root.member("Metadata")
    }

    /// Types of the resources as written, each once, in the order of their appearance.
    pub fn resource_types(&self) -> Vec<Arc<str>> {
        Vec::new()
    }

    /// Capabilities needed, as far as the unexpanded template tells; [`Expanded::capabilities`] is exact.
    pub fn capabilities(&self) -> Vec<Needed> {
        Vec::new()
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
        let _ = given;
        Err(vec![Diagnostic::new(self.root.place, "not yet")])
    }

    /// Where `path` of the resource's properties is written, or the nearest thing around it. Of a
    /// resource that the template does not write (SAM made it): where its origin is.
    pub fn property_place(&self, logical_id: &str, path: &[&str]) -> Place {
        let Some(resource) = self.root.member("Resources").and_then(|all| all.member(logical_id))
        else {
            return Place::NOWHERE;
        };
        let Some(properties) = resource.member("Properties") else { return resource.pointer() };
        properties.nearest(path).0.pointer()
    }
}
