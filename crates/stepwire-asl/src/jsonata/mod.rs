//! JSONata as Step Functions speaks it: the language of 2.0.6 without a context item, with six
//! functions more and `$eval` less, bounded.
//!
//! Read in this order: [`Expression`], what the rest of the crate uses; [`check`], what is refused
//! when a definition is made; [`engine`], the trait behind which a library evaluates;
//! [`functions`], what AWS adds; [`meter`], how every expression comes to an end.

mod check;
mod convert;
mod engine;
mod functions;
mod library;
mod meter;
mod plain;
mod reads;
mod references;
mod sentence;
#[cfg(test)]
mod suite;

use std::collections::BTreeSet;
use std::sync::Arc;

use self::engine::{Engine, Stopped};
use self::library::Program;
use self::plain::Plain;
use crate::scope::{Failure, Fault, Scope};
use crate::{Entropy, Json};

/// Error name of an expression that could not be evaluated.
pub const EVALUATION: &str = "States.QueryEvaluationError";

/// A compiled expression of a definition. Cheap to clone, shared by all executions.
#[derive(Clone)]
pub struct Expression {
    text: Arc<str>,
    field: Arc<str>,
    how: How,
}

/// How an expression is evaluated.
#[derive(Clone)]
enum How {
    /// It names a value, and is read where that stands, if it can be.
    Plain(Arc<(Plain, Program)>),
    Program(Arc<Program>),
}

/// What of `$states` there is where an expression stands, beside the input and the context.
#[derive(Debug, Clone, Copy, Default)]
pub struct Given {
    /// `$states.result`
    pub result: bool,
    /// `$states.errorOutput`
    pub error_output: bool,
}

/// An expression that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// AWS's code of it.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
}

/// The expression between `{%` and `%}`, when `text` is one.
pub fn written_in(text: &str) -> Option<&str> {
    Some(text.strip_prefix("{%")?.strip_suffix("%}")?.trim())
}

/// Whether `text` opens an expression without closing it, or closes one without opening it.
///
/// Source: developer guide, "Transforming data with JSONata": such texts are a validation error.
pub(crate) fn is_half_written(text: &str) -> bool {
    text.starts_with("{%") != text.ends_with("%}") || text == "{%}"
}

/// What is said of one.
pub(crate) const HALF_WRITTEN: &str = "A JSONata expression must begin with '{%' and end with '%}'";

/// Names of the workflow variables that the expression `source` reads; none if it is not one.
pub(crate) fn variables_of(source: &str) -> BTreeSet<Arc<str>> {
    library::variables_of(source)
}

/// Whether `$states.context` may be read by what is written in `text`.
pub(crate) fn names_context(text: &str) -> bool {
    let plain = [".input", ".result", ".errorOutput"];
    text.split("$states").skip(1).any(|rest| !plain.iter().any(|name| rest.starts_with(name)))
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{{% {} %}}", self.text)
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.field == other.field
    }
}

impl Expression {
    /// Compiles `source`, which stands in the field `field` of its state and is given what `given`
    /// says.
    pub fn compile(source: &str, field: &str, given: Given) -> Result<Expression, Refused> {
        let program = Program::compile(source, given)?;
        let how = match Plain::parse(source) {
            Some(plain) => How::Plain(Arc::new((plain, program))),
            None => How::Program(Arc::new(program)),
        };
        Ok(Expression { text: source.into(), field: field.into(), how })
    }

    /// What it makes of `scope`.
    ///
    /// Errors: `States.QueryEvaluationError` in AWS's sentences; `States.DataLimitExceeded` without a
    /// cause when no payload could hold the value.
    pub fn evaluate(&self, scope: &Scope<'_>, dice: &mut Entropy) -> Result<Json, Fault> {
        let program = match &self.how {
            How::Plain(both) => match both.0.read(scope) {
                Some(value) => return Ok(value.clone()),
                None => &both.1,
            },
            How::Program(program) => program,
        };
        match program.run(scope, dice) {
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err(self.fault("returned nothing (undefined).")),
            Err(Stopped::Thrown { code: Some(code), message }) => {
                let what = format!("threw an error during evaluation. {code}: {message}");
                Err(self.fault(&what))
            }
            Err(Stopped::Thrown { code: None, message }) => {
                Err(self.fault(&format!("threw an error during evaluation: {message}")))
            }
            Err(Stopped::TooLarge) => Err(Failure::new("States.DataLimitExceeded", "").into()),
        }
    }

    /// The text it makes of `scope`.
    pub(crate) fn text(&self, scope: &Scope<'_>, dice: &mut Entropy) -> Result<Arc<str>, Fault> {
        match self.evaluate(scope, dice)? {
            Json::String(text) => Ok(text),
            other => Err(self.unexpected("string", &other)),
        }
    }

    /// The truth value it makes of `scope`.
    pub(crate) fn truth(&self, scope: &Scope<'_>, dice: &mut Entropy) -> Result<bool, Fault> {
        let value = self.evaluate(scope, dice)?;
        value.as_bool().ok_or_else(|| self.unexpected("boolean", &value))
    }

    /// The array it makes of `scope`.
    pub(crate) fn array(&self, scope: &Scope<'_>, dice: &mut Entropy) -> Result<Json, Fault> {
        let value = self.evaluate(scope, dice)?;
        if value.as_array().is_some() { Ok(value) } else { Err(self.unexpected("array", &value)) }
    }

    /// The whole number, not negative, that it makes of `scope`.
    pub(crate) fn count(&self, scope: &Scope<'_>, dice: &mut Entropy) -> Result<i64, Fault> {
        let value = self.evaluate(scope, dice)?;
        if value.as_f64().is_none() {
            return Err(self.unexpected("number", &value));
        }
        value.as_i64().filter(|number| *number >= 0).ok_or_else(|| {
            let field = self.field.rsplit('/').next().unwrap_or_default();
            let cause =
                format!("The {field} field cannot be parsed as a non-negative integer: {value}");
            let location = Some(Arc::clone(&self.field));
            Fault { failure: Failure::new(EVALUATION, cause), location, evaluated: true }
        })
    }

    fn unexpected(&self, wanted: &str, value: &Json) -> Fault {
        let found = match value {
            Json::Null => "null",
            Json::Bool(_) => "boolean",
            Json::Number(_) => "number",
            Json::String(_) => "string",
            Json::Array(_) => "array",
            Json::Object(_) => "object",
        };
        self.fault(&format!(
            "returned an unexpected result type. Expected '{wanted}', but was '{found}' for value: {value}"
        ))
    }

    fn fault(&self, what: &str) -> Fault {
        let cause = format!(
            "The JSONata expression '{}' specified for the field '{}' {what}",
            self.text, self.field
        );
        let location = Some(Arc::clone(&self.field));
        Fault { failure: Failure::new(EVALUATION, cause), location, evaluated: false }
    }
}
