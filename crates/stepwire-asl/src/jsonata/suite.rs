//! The JSONata suite, through our engine as definitions use it: rewritten to count, and bounded.
//!
//! The suite is no part of the repository; where it is absent the test says so and passes. Step
//! Functions has no context item, so it is given one here past the check at creation.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "the suite is a file")]
#![expect(clippy::print_stdout, reason = "tells what was compared")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jsonata_core::evaluator::EvaluatorOptions;

use super::engine::Stopped;
use super::library::{self, Program};
use crate::scope::Scope;
use crate::{Entropy, Json, Timestamp};

/// Cases whose outcome is another one here, and why. The test fails when one of them changes.
const OTHERWISE: &[(&str, &str)] = &[
    ("errors/case012", "refused when it is parsed: a number is no function"),
    ("errors/case014", "refused when it is parsed: a number is no function"),
];

/// No Rust string holds it; the cases that have one are left out.
const LONE_SURROGATE: &str = "\\ud800";
const SURROGATES: &[&str] = &["function-encodeUrl/case002", "function-encodeUrlComponent/case002"];

#[test]
fn the_suite_comes_out_as_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/jsonata");
    if !folder.exists() {
        println!("skipped: no suite at {}", folder.display());
        return;
    }
    let read = |name: &str| {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        Json::parse(&text.replace(LONE_SURROGATE, "")).unwrap()
    };
    let (suite, sets) = (read("open.json"), read("datasets.json"));
    let (mut right, mut found) = (0, Vec::new());
    for case in suite.member("cases").unwrap().as_array().unwrap() {
        let id = case.member("id").unwrap().as_str().unwrap();
        if case.member("in_2_0_6") != Some(&Json::Bool(true)) || SURROGATES.contains(&id) {
            continue;
        }
        match judge(case, &sets) {
            Ok(()) => right += 1,
            Err(why) => found.push((id.to_owned(), why)),
        }
    }
    let known: Vec<&str> = OTHERWISE.iter().map(|(id, _)| *id).collect();
    let unknown: Vec<_> = found.iter().filter(|(id, _)| !known.contains(&id.as_str())).collect();
    let mended: Vec<_> =
        known.iter().filter(|known| !found.iter().any(|(id, _)| id == *known)).collect();
    println!("{right} cases come out as they say, {} do not", found.len());
    assert!(unknown.is_empty() && mended.is_empty(), "{unknown:#?}\nnow right: {mended:?}");
}

fn judge(case: &Json, sets: &Json) -> Result<(), String> {
    let member = |name: &str| case.member(name).filter(|value| !value.is_null());
    let source = member("expr").unwrap().as_str().unwrap();
    let data = match member("dataset") {
        Some(name) => sets.member(name.as_str().unwrap()),
        None => case.member("data"),
    };
    let bindings = member("bindings").and_then(Json::as_object);
    let variables: BTreeMap<Arc<str>, Json> = bindings
        .into_iter()
        .flatten()
        .map(|(name, value)| (Arc::clone(name), value.clone()))
        .collect();
    // Step Functions has no $eval.
    let no_function = Json::from("T1006");
    let eval = member("aws").map(|_| &no_function);
    let code = eval
        .or_else(|| member("code"))
        .or_else(|| member("error")?.member("code"))
        .and_then(Json::as_str);
    let outcome = match library::parse(source) {
        Err(refused) => Err(refused.message),
        Ok(ast) => {
            let depth = member("depth").and_then(Json::as_i64).unwrap_or(1_000) as usize;
            let bounds = EvaluatorOptions {
                max_stack_depth: Some(depth.max(100)),
                ..EvaluatorOptions::default()
            };
            let scope = Scope::new(&Json::Null, &Json::Null, &variables, Timestamp(0));
            let made = Program::of(ast, source).run_on(data, bounds, &scope, &mut Entropy::new(1));
            made.map_err(|stopped| match stopped {
                Stopped::Thrown { code, message } => code.unwrap_or(message),
                Stopped::TooLarge => "too large".to_owned(),
            })
        }
    };
    let expected = case.member("result");
    match (outcome, code, expected) {
        (Err(told), Some(code), _) if told == code || is_syntax(code) || is_bound(code, &told) => {
            Ok(())
        }
        (Ok(Some(made)), None, Some(wanted)) if is_close(wanted, &made) => Ok(()),
        (Ok(None), None, None) => Ok(()),
        (outcome, code, _) => Err(format!("{source}: {code:?} {expected:?}, but {outcome:?}")),
    }
}

/// Syntax errors are told without their code, as Step Functions tells them.
fn is_syntax(code: &str) -> bool {
    code.starts_with('S')
}

/// What the suite's own runner bounds is told in Step Functions' sentences.
fn is_bound(code: &str, told: &str) -> bool {
    let bounds = ["Stack overflow error", "Expression evaluation"];
    matches!(code, "U1001" | "D2014") && bounds.iter().any(|bound| told.starts_with(bound))
}

/// Equal, but for the last digits of a sum.
fn is_close(wanted: &Json, made: &Json) -> bool {
    match (wanted, made) {
        (Json::Number(a), Json::Number(b)) => {
            let (a, b) = (a.as_f64(), b.as_f64());
            a == b || (a - b).abs() <= 1e-12 * a.abs()
        }
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| is_close(a, b))
        }
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| is_close(a, b)))
        }
        _ => wanted == made,
    }
}
