//! Expressions: which attributes, under which condition, changed how.
//!
//! Placeholders (`#name`, `:value`) are resolved while parsing, so a parsed expression stands for
//! itself. Amazon DynamoDB Developer Guide, "Using expressions in DynamoDB".

mod condition;
mod key;
mod parser;
mod path;
mod placeholders;
mod reserved;
mod token;
mod update;

pub(crate) use condition::{Comparator, Condition, Operand, order};
pub(crate) use key::{KeyCondition, SortCondition};
pub(crate) use path::{Element, Path, Projection};
pub(crate) use placeholders::Placeholders;
pub(crate) use update::{Action, Amount, Source, Update};

use super::validation;
use crate::error::ApiError;

/// Which parameter an expression is; decides what it may contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Condition,
    Filter,
    KeyCondition,
    Projection,
    Update,
}

impl Kind {
    /// The parameter's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Condition => "ConditionExpression",
            Kind::Filter => "FilterExpression",
            Kind::KeyCondition => "KeyConditionExpression",
            Kind::Projection => "ProjectionExpression",
            Kind::Update => "UpdateExpression",
        }
    }

    /// The error that such an expression is not valid.
    pub(crate) fn invalid(self, why: impl std::fmt::Display) -> ApiError {
        validation(format!("Invalid {}: {why}", self.name()))
    }
}
