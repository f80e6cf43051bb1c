//! Fields of actions that may hold substitution templates.

use std::sync::Arc;

use super::super::sql::Facts;
use super::super::template::Template;
use crate::error::ApiError;
use crate::params::Params;

/// A member of an action: text, perhaps with expressions in it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    name: &'static str,
    source: Arc<str>,
    /// None in plain text, which is the same for all messages.
    template: Option<Template>,
}

impl Field {
    /// A member that must be there.
    pub(super) fn required(fields: &Params<'_>, name: &'static str) -> Result<Field, ApiError> {
        match fields.text(name)? {
            "" => Err(fields.invalid(name, "it must not be empty")),
            text => Field::parse(fields, name, text),
        }
    }

    /// A member that may be there; an empty one is not.
    pub(super) fn optional(
        fields: &Params<'_>,
        name: &'static str,
    ) -> Result<Option<Field>, ApiError> {
        let text = fields.optional_text(name)?.filter(|text| !text.is_empty());
        text.map(|text| Field::parse(fields, name, text)).transpose()
    }

    /// What `text` writes in member `name`.
    pub(super) fn parse(
        fields: &Params<'_>,
        name: &'static str,
        text: &str,
    ) -> Result<Field, ApiError> {
        let template = text.contains("${").then(|| Template::parse(text)).transpose();
        let template = template.map_err(|why| fields.invalid(name, &why))?;
        Ok(Field { name, source: text.into(), template })
    }

    /// As it was written.
    pub(super) fn source(&self) -> Arc<str> {
        Arc::clone(&self.source)
    }

    /// The text, if it is the same for all messages.
    pub(super) fn plain(&self) -> Option<&str> {
        self.template.is_none().then_some(&*self.source)
    }

    /// What is in front of the first expression.
    pub(super) fn beginning(&self) -> &str {
        self.source.split("${").next().unwrap_or_default()
    }

    /// The text for a message; else which expression has no value.
    pub(super) fn text(&self, facts: &Facts<'_>) -> Result<Arc<str>, String> {
        match &self.template {
            None => Ok(self.source()),
            Some(template) => {
                template.text(facts).map(Arc::from).map_err(|why| format!("`{}`: {why}", self.name))
            }
        }
    }
}

/// The text for a message of a field that may be there.
pub(super) fn text_or(
    field: Option<&Field>,
    facts: &Facts<'_>,
    otherwise: &str,
) -> Result<Arc<str>, String> {
    field.map_or_else(|| Ok(otherwise.into()), |field| field.text(facts))
}
