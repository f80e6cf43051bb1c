//! What expressions may read.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Json;

/// The values an expression is evaluated against.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// What `$` is.
    pub input: &'a Json,
    /// What `$$` is: the context object.
    pub context: &'a Json,
    /// What `$name` is.
    pub variables: &'a dyn Variables,
}

/// Variables visible in a state.
pub trait Variables {
    /// The variable of this name, in the innermost branch that has it.
    fn variable(&self, name: &str) -> Option<&Json>;
}

impl Variables for BTreeMap<Arc<str>, Json> {
    fn variable(&self, name: &str) -> Option<&Json> {
        self.get(name)
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
