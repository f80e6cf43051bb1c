//! The transform AWS::Serverless-2016-10-31.

use crate::diagnostic::Diagnostic;
use crate::expand::{Expanded, Given, Resource};
use crate::value::Value;

/// Replaces the serverless resources by what they stand for; what is wrong with them.
pub(crate) fn transform(
    expanded: &mut Expanded,
    globals: Option<&Value>,
    given: &Given,
) -> Vec<Diagnostic> {
    let _ = (expanded, globals, given);
    Vec::new()
}

/// What to say of a serverless resource in a template without the transform.
pub(crate) fn needs_transform(resource: &Resource) -> Option<Diagnostic> {
    resource.kind.starts_with("AWS::Serverless::").then(|| {
        Diagnostic::new(
            resource.place,
            format!("Template format error: Unrecognized resource types: [{}]", resource.kind),
        )
        .hint("declare `Transform: AWS::Serverless-2016-10-31`")
    })
}
