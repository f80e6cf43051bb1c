//! What expressions may read.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Json;

/// The values an expression is evaluated against.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// What `$` is.
    pub input: &'a Json,
    /// What `$$` is: the context object.
    pub context: &'a Json,
    /// What `$name` is.
    pub variables: &'a Variables<'a>,
}

/// Variables visible in a state: the innermost frame first, then those around it.
#[derive(Debug, Clone, Copy)]
pub struct Variables<'a> {
    /// Variables of this frame.
    pub frame: &'a BTreeMap<Arc<str>, Json>,
    /// The frame around it.
    pub parent: Option<&'a Variables<'a>>,
}

impl Variables<'_> {
    /// The variable, in the innermost frame that has it.
    pub fn get(&self, name: &str) -> Option<&Json> {
        match (self.frame.get(name), self.parent) {
            (Some(value), _) => Some(value),
            (None, Some(parent)) => parent.get(name),
            (None, None) => None,
        }
    }
}

/// Why an evaluation failed: the error name and cause that the state reports.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Failure {
    /// Error name, such as `States.ParameterPathFailure`.
    pub error: Arc<str>,
    /// AWS's sentence.
    pub cause: Arc<str>,
}

impl Failure {
    /// A failure of this name and cause.
    pub fn new(error: &str, cause: impl Into<Arc<str>>) -> Failure {
        Failure { error: error.into(), cause: cause.into() }
    }
}
