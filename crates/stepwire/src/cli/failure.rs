//! How a verb fails: one clear line, a hint, an exit code.

use std::fmt;

use crate::node_error::NodeError;

/// Exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The work failed.
    Failed = 1,
    /// The command line asks for something that cannot be.
    Usage = 2,
    /// What was asked for is not there.
    NotFound = 3,
    /// The node refused the request.
    Rejected = 4,
    /// No node answers.
    NoServer = 5,
    /// Ctrl-C.
    Interrupted = 130,
}

/// A verb did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What the process exits with.
    pub exit: Exit,
    message: String,
    hint: Option<String>,
}

impl Failure {
    /// Fails with `message`: a lower-case fragment, names in backticks.
    pub fn new(exit: Exit, message: impl Into<String>) -> Failure {
        Failure { exit, message: message.into(), hint: None }
    }

    /// What went wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The failure in other words.
    #[must_use]
    pub fn saying(self, message: impl Into<String>) -> Failure {
        Failure { message: message.into(), ..self }
    }

    /// The failure with what to do about it.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Failure {
        Failure { hint: Some(hint.into()), ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Failure {
        let exit = match error {
            NodeError::Refused(_)
            | NodeError::MockConfig { .. }
            | NodeError::ItemsFolder { .. } => Exit::Usage,
            _ => Exit::Failed,
        };
        Failure { exit, message: error.to_string(), hint: error.hint() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_and_a_hint() {
        let failure = Failure::new(Exit::Failed, "the disk is full").hint("free some space");
        assert_eq!(failure.to_string(), "error: the disk is full\nhint: free some space");
    }
}
