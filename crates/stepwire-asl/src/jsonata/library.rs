//! The crate `jsonata-core` as our [`Engine`].

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexMap;
use jsonata_core::ast::AstNode;
use jsonata_core::evaluator::{Context, Evaluator, EvaluatorError, EvaluatorOptions};
use jsonata_core::parser;
use jsonata_core::value::JValue;

use super::Refused;
use super::check;
use super::convert::Converter;
use super::engine::{Engine, Stopped};
use super::functions;
use super::references;
use crate::scope::Scope;
use crate::{Entropy, Json};

/// Items of a sequence, as measured of Step Functions.
const ITEMS_MAX: usize = 873_782;
/// Levels of evaluation within one another.
const DEPTH_MAX: usize = 100;

/// A parsed expression. Its values are the library's own and never leave a run.
pub(super) struct Program {
    ast: AstNode,
    /// Names of the variables it may read.
    variables: BTreeSet<String>,
}

impl Engine for Program {
    fn compile(source: &str) -> Result<Program, Refused> {
        let ast = parser::parse(source).map_err(|error| Refused {
            code: "INVALID_JSONATA_EXPRESSION",
            message: without_code(&error.to_string()).1.to_owned(),
        })?;
        check::check(&ast)?;
        let variables = names_after_dollar(source);
        Ok(Program { ast, variables })
    }

    fn reads(&self) -> BTreeSet<Arc<str>> {
        let mut found = BTreeSet::new();
        references::collect(&self.ast, &mut found);
        found
    }

    fn run(&self, scope: &Scope<'_>, dice: &mut Entropy) -> Result<Option<Json>, Stopped> {
        let mut converter = Converter::default();
        let mut context = Context::new();
        for name in &self.variables {
            let value = match name.as_str() {
                "states" => Some(states(scope, &mut converter)),
                name => scope.variables.variable(name).map(|value| converter.give(value)),
            };
            if let Some(value) = value {
                context.bind(name.clone(), value);
            }
        }
        let options = EvaluatorOptions {
            max_stack_depth: Some(DEPTH_MAX),
            max_sequence_length: Some(ITEMS_MAX),
            ..EvaluatorOptions::default()
        };
        let mut evaluator = Evaluator::with_options(context, options);
        let own = Rc::new(RefCell::new(dice.clone()));
        functions::register(&mut evaluator, &own, scope.now).map_err(stopped)?;
        let made = evaluator.evaluate(&self.ast, &JValue::Undefined);
        dice.clone_from(&own.borrow());
        converter.take(&made.map_err(stopped)?)
    }
}

/// `$states`
fn states(scope: &Scope<'_>, converter: &mut Converter) -> JValue {
    let members = [
        ("input", Some(scope.input)),
        ("result", scope.result),
        ("errorOutput", scope.error_output),
        ("context", Some(scope.context)),
    ];
    let given = members.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let given = given.map(|(name, value)| (name.to_owned(), converter.give(value)));
    JValue::object(given.collect::<IndexMap<_, _>>())
}

/// Refuses a sequence that Step Functions has no memory for.
pub(super) fn check_items(count: usize) -> Result<(), EvaluatorError> {
    let too_many = || EvaluatorError::EvaluationError("D2015: too many items".to_owned());
    if count > ITEMS_MAX { Err(too_many()) } else { Ok(()) }
}

/// Every name that follows a `$` in `source`: no fewer than the variables it reads.
fn names_after_dollar(source: &str) -> BTreeSet<String> {
    let name = |rest: &str| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        rest[..end].to_owned()
    };
    source.split('$').skip(1).map(name).filter(|name| !name.is_empty()).collect()
}

fn stopped(error: EvaluatorError) -> Stopped {
    match without_code(error.message()) {
        (Some("D2014" | "D2015"), _) => Stopped::memory(),
        (Some("D1011" | "U1001"), _) => Stopped::depth(),
        (Some("D1012" | "U1003"), _) => Stopped::steps(),
        (code, message) => {
            Stopped::Thrown { code: code.map(str::to_owned), message: message.to_owned() }
        }
    }
}

/// A message and the code in front of it.
fn without_code(message: &str) -> (Option<&str>, &str) {
    let code = |code: &str| {
        code.len() == 5 && code.is_ascii() && code[1..].bytes().all(|byte| byte.is_ascii_digit())
    };
    match message.split_once(": ") {
        Some((first, rest)) if code(first) => (Some(first), rest),
        _ => (None, message),
    }
}
