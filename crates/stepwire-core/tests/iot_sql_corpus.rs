//! Every case of the IoT SQL corpus that nobody disputes, to the letter where it gives the text.
//!
//! The corpus is no part of this repository: without it nothing is checked here, and that is said.
//! Cases whose documentation contradicts itself are listed with what we make of them; our choices
//! are explained in COMPAT.md. Then only what the documentation accepts is accepted, too.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests, which read cases")]
#![expect(clippy::print_stdout, reason = "the disputed cases are listed")]

mod iot_sql_case;

use std::fmt::Write as _;
use std::path::Path;

use iot_sql_case::Outcome;
use stepwire_asl::Json;

const CORPUS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus/iot-sql/open.jsonl");

/// Whether two values are the same; numbers within a tolerance.
fn same(a: &Json, b: &Json, tolerance: f64) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => {
            let (a, b) = (a.as_f64(), b.as_f64());
            a == b || (a - b).abs() <= tolerance.max(1e-15 * a.abs().max(b.abs()))
        }
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same(a, b, tolerance))
        }
        (Json::Object(a), Json::Object(b)) => {
            let there = |name: &str, value: &Json| {
                b.get(name).is_some_and(|other| same(value, other, tolerance))
            };
            a.len() == b.len() && a.iter().all(|(name, value)| there(name, value))
        }
        _ => a == b,
    }
}

fn is_right(case: &Json, outcome: &Outcome) -> bool {
    let tolerance = case.member("tolerance").and_then(Json::as_f64).unwrap_or(0.0);
    let exact = case.member("exactText").and_then(Json::as_str);
    let kind = case.member("kind").and_then(Json::as_str).unwrap();
    let is_output = |expected: &Json| match outcome {
        Outcome::Output(value, text) => {
            same(value, expected, tolerance) && exact.is_none_or(|exact| text == exact)
        }
        _ => false,
    };
    let expected = case.member("expected").unwrap();
    let as_expected = match kind {
        "no-match" => *outcome == Outcome::NoMatch,
        "error" => matches!(outcome, Outcome::Refused(_)),
        _ => is_output(expected),
    };
    let accepted = case.member("accept").and_then(Json::as_array).unwrap_or_default();
    as_expected
        || accepted.iter().any(|other| match other.as_str() {
            Some("no-match") => *outcome == Outcome::NoMatch,
            Some("SqlParseException" | "<action error>") => {
                matches!(outcome, Outcome::Refused(_))
            }
            Some("accepted") => !matches!(outcome, Outcome::Refused(_)),
            _ => match other.member("__value__") {
                Some(value) => is_output(value),
                None if kind == "output" && other.as_object().is_none() => {
                    is_output(&Json::object([("r", other.clone())]))
                }
                None => is_output(other),
            },
        })
}

#[test]
fn every_case_that_nobody_disputes_is_right() {
    if !Path::new(CORPUS).exists() {
        println!("no corpus at {CORPUS}: nothing is checked");
        return;
    }
    let text = std::fs::read_to_string(CORPUS).unwrap();
    let (mut wrong, mut count) = (String::new(), 0);
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let case = Json::parse(line).unwrap();
        let outcome = iot_sql_case::run(&case);
        let show = |member: &str| case.member(member).map(Json::to_text).unwrap_or_default();
        if case.member("disputed").is_some() {
            println!("disputed {} {}: {outcome:?}", show("id"), show("sql"));
        }
        count += 1;
        if !is_right(&case, &outcome) {
            let (id, sql, expected) = (show("id"), show("sql"), show("expected"));
            let _ = writeln!(wrong, "{id} {sql}\n  wanted {expected}\n  found  {outcome:?}");
        }
    }
    assert!(count > 0, "no case in {CORPUS}");
    let wrong_count = wrong.lines().count() / 3;
    assert!(wrong.is_empty(), "{wrong_count} of {count} are wrong:\n{wrong}");
}
