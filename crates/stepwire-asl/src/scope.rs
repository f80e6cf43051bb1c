//! What expressions may read.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{Json, Timestamp};

/// The values an expression is evaluated against.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// What `$` is; in JSONata `$states.input`.
    pub input: &'a Json,
    /// What `$$` is: the context object; in JSONata `$states.context`.
    pub context: &'a Json,
    /// What `$name` is.
    pub variables: &'a dyn Variables,
    /// `$states.result`, where a state has one.
    pub result: Option<&'a Json>,
    /// `$states.errorOutput`, in a catcher.
    pub error_output: Option<&'a Json>,
    /// What `$now()` and `$millis()` say.
    pub now: Timestamp,
}

impl<'a> Scope<'a> {
    /// The scope of a state that has no result yet.
    pub fn new(
        input: &'a Json,
        context: &'a Json,
        variables: &'a dyn Variables,
        now: Timestamp,
    ) -> Scope<'a> {
        Scope { input, context, variables, result: None, error_output: None, now }
    }
}

/// Variables visible in a state.
pub trait Variables {
    /// The variable of this name, in the innermost branch that has it.
    fn variable(&self, name: &str) -> Option<&Json>;
}

/// A failure, and the field of the state it was found in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What the state reports.
    pub failure: Failure,
    /// As `EvaluationFailed` tells it: `Output/x`, `Choices[0]/Condition`.
    pub location: Option<Arc<str>>,
    /// Whether the field was evaluated, and what it gave cannot be used.
    pub evaluated: bool,
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Fault { failure, location: None, evaluated: false }
    }
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
