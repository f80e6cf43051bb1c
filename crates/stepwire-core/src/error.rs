//! A request that cannot be: the caller's error, in AWS's words.

use std::borrow::Cow;
use std::fmt;

use stepwire_asl::Json;

/// The request was refused and nothing changed.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    /// AWS's error name for the operation, such as `ResourceNotFoundException`.
    pub code: Cow<'static, str>,
    /// What is wrong, in words; names in backticks where the sentence is ours.
    pub message: String,
    /// Further members of the error shape (`resourceArn`, `CancellationReasons` …).
    pub members: Vec<(&'static str, Json)>,
}

impl ApiError {
    /// An error of this name and message.
    pub fn new(code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError { code: Cow::Borrowed(code), message: message.into(), members: Vec::new() }
    }

    /// The error with one more member.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: Json) -> ApiError {
        self.members.push((name, value));
        self
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for ApiError {}
