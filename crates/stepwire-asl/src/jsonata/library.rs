//! The crate `jsonata-core` as our [`Engine`].

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexMap;
use jsonata_core::ast::AstNode;
use jsonata_core::evaluator::{Context, Evaluator, EvaluatorError, EvaluatorOptions};
use jsonata_core::parser;
use jsonata_core::value::JValue;

use super::check;
use super::convert::Converter;
use super::engine::{Engine, Stopped};
use super::functions;
use super::meter;
use super::reads::{Reads, reads};
use super::sentence;
use super::{Given, Refused, references};
use crate::scope::Scope;
use crate::{Entropy, Json};

/// Items of a sequence, as measured of Step Functions.
const ITEMS_MAX: usize = 873_782;
/// Levels of evaluation within one another, as measured of Step Functions.
const DEPTH_MAX: usize = 100;
/// The last resort, for what the library does between two of the steps we count.
const MILLISECONDS_MAX: u64 = 5_000;

/// A parsed expression. Its values are the library's own and never leave a run.
pub(super) struct Program {
    ast: AstNode,
    /// The variables it may read, and what of them.
    reads: BTreeMap<String, Reads>,
}

impl Engine for Program {
    fn compile(source: &str, given: Given) -> Result<Program, Refused> {
        let ast = parse(source)?;
        check::check(&ast, given)?;
        Ok(Program::of(ast, source))
    }

    fn run(&self, scope: &Scope<'_>, dice: &mut Entropy) -> Result<Option<Json>, Stopped> {
        let bounds = EvaluatorOptions {
            max_stack_depth: Some(DEPTH_MAX),
            max_sequence_length: Some(ITEMS_MAX),
            timeout_ms: Some(MILLISECONDS_MAX),
            cancel: None,
        };
        self.run_on(None, bounds, scope, dice)
    }
}

/// Names of the workflow variables that `source` reads; none if it is no expression.
pub(super) fn variables_of(source: &str) -> BTreeSet<Arc<str>> {
    let mut found = BTreeSet::new();
    if let Ok(ast) = parse(source) {
        references::collect(&ast, &mut found);
    }
    found
}

impl Program {
    pub(super) fn of(ast: AstNode, source: &str) -> Program {
        Program { ast: meter::meter(ast), reads: reads(source) }
    }

    /// What it makes of `scope` with `data` as its context item.
    pub(super) fn run_on(
        &self,
        data: Option<&Json>,
        bounds: EvaluatorOptions,
        scope: &Scope<'_>,
        dice: &mut Entropy,
    ) -> Result<Option<Json>, Stopped> {
        let mut converter = Converter::default();
        let data = data.map_or(JValue::Undefined, |data| converter.give(data));
        let mut context = Context::new();
        for (name, reads) in &self.reads {
            let value = match name.as_str() {
                "states" => Some(states(scope, &mut converter, reads)),
                name => {
                    let value = scope.variables.variable(name);
                    value.map(|value| converter.give_part(value, reads))
                }
            };
            if let Some(value) = value {
                context.bind(name.clone(), value);
            }
        }
        let mut evaluator = Evaluator::with_options(context, bounds);
        let own = Rc::new(RefCell::new(dice.clone()));
        functions::register(&mut evaluator, &own, scope.now).map_err(stopped)?;
        let notes = meter::Notes::default();
        meter::register(&mut evaluator, &notes).map_err(stopped)?;
        let made = evaluator.evaluate(&self.ast, &data);
        dice.clone_from(&own.borrow());
        match made.map_err(stopped) {
            Ok(value) => converter.take(&value),
            Err(Stopped::Thrown { code: Some(code), message }) => {
                let notes = notes.borrow();
                let side = |at: usize| notes.sides[at].to_json_string().unwrap_or_default();
                let message = match code.as_str() {
                    "T2009" => sentence::unlike(&side(0), &side(1), &notes.name),
                    _ => sentence::thrown(&code, &message, &notes.name),
                };
                Err(Stopped::Thrown { code: Some(code), message })
            }
            Err(stopped) => Err(stopped),
        }
    }
}

pub(super) fn parse(source: &str) -> Result<AstNode, Refused> {
    parser::parse(source).map_err(|error| Refused {
        code: "INVALID_JSONATA_EXPRESSION",
        message: sentence::syntax(without_code(&error.to_string()).1),
    })
}

/// `$states`, as far as `reads` says.
fn states(scope: &Scope<'_>, converter: &mut Converter, reads: &Reads) -> JValue {
    let members = [
        ("input", Some(scope.input)),
        ("result", scope.result),
        ("errorOutput", scope.error_output),
        ("context", Some(scope.context)),
    ];
    let everything = Reads { whole: true, ..Reads::default() };
    let given = members.into_iter().filter_map(|(name, value)| {
        let reads = if reads.whole { Some(&everything) } else { reads.members.get(name) };
        Some((name.to_owned(), converter.give_part(value?, reads?)))
    });
    JValue::object(given.collect::<IndexMap<_, _>>())
}

fn stopped(error: EvaluatorError) -> Stopped {
    match without_code(error.message()) {
        (Some("D2014" | "D2015" | meter::OUT_OF_MEMORY), _) => Stopped::memory(),
        (Some("D1011" | "U1001"), _) => Stopped::depth(),
        (Some("D1012" | meter::OUT_OF_STEPS), _) => Stopped::steps(),
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
    // Some messages say where they come from first.
    let after = message.split_once(": ").map(|(_, rest)| rest);
    let candidates = [Some(message), after].into_iter().flatten();
    let coded = candidates.filter_map(|text| text.split_once(": ")).find(|(first, _)| code(first));
    coded.map_or((None, message), |(code, rest)| (Some(code), rest))
}
