//! What becomes of JSONata expressions that ask for too much, or for what Step Functions refuses.
//!
//! The language itself is tested with its own suite, inside the crate.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use stepwire_asl::jsonata::Expression;
use stepwire_asl::scope::Scope;
use stepwire_asl::{Entropy, Json, Timestamp};

const INPUT: &str =
    r#"{"a":[1,2,3],"big":9007199254740993,"z":0.0,"o":{"k":[5]},"s":"abc","n":null}"#;
const MEMORY: &str = "threw an error during evaluation: Expression evaluation memory limit exceeded: Check for excessive memory usage";
const STEPS: &str =
    "threw an error during evaluation: Expression evaluation timeout: Check for infinite loop";
const DEPTH: &str = "threw an error during evaluation: Stack overflow error: Check for non-terminating recursive function. Consider rewriting as tail-recursive";

/// The value as text, or what AWS's sentence says after the name of the field.
fn outcome(source: &str) -> String {
    let input = Json::parse(INPUT).unwrap();
    let variables: BTreeMap<Arc<str>, Json> = BTreeMap::new();
    let now = Timestamp(1_700_000_000_000);
    let scope = Scope::new(&input, &Json::Null, &variables, now);
    let expression = match Expression::compile(source, "Output/v") {
        Ok(expression) => expression,
        Err(refused) => return format!("{}: {}", refused.code, refused.message),
    };
    match expression.evaluate(&scope, &mut Entropy::new(1)) {
        Ok(value) => value.to_text(),
        Err(fault) => match fault.failure.cause.split_once("the field 'Output/v' ") {
            Some((_, rest)) => rest.to_owned(),
            None => fault.failure.error.to_string(),
        },
    }
}

fn all(cases: &[(&str, &str)]) {
    let wrong: Vec<_> = cases
        .iter()
        .map(|(source, expected)| (source, expected, outcome(source)))
        .filter(|(_, expected, found)| *expected != found)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn expressions_that_never_end_run_out_of_steps() {
    all(&[
        ("($f := function($x){ $f($x+1) }; $f(1))", STEPS),
        ("($a := function($x){ $b($x) }; $b := function($x){ $a($x) }; $a(1))", STEPS),
        ("($y := function($f){ $f($f) }; $y($y))", STEPS),
        ("($x := [1..800000]; $count([1..800000].$x))", STEPS),
        ("($x := [1..800000]; [1..800000].($sum($x)))", STEPS),
        ("($x := [1..800000]; [1..800000].{\"a\": $sum($x)})", STEPS),
        ("($x := [1..800000]; [1..800000][$sum($x) > 0])", STEPS),
        ("[1..800000].[1..800000]", STEPS),
        ("$reduce([1..100000], $append)", STEPS),
        ("$reduce([1..100000], function($a,$b){ $merge([$a, {$string($b): $b}]) }, {})", STEPS),
        ("[1..200000] ~> $sort(function($a,$b){ $a < $b })", STEPS),
    ]);
}

#[test]
fn expressions_that_hold_too_much_run_out_of_memory() {
    let shared = "$x := $reduce([1..60], function($a,$b){ {\"l\":$a,\"r\":$a} }, 1)";
    let nested = "$x := $reduce([1..60], function($a,$b){ [[$a,$a]] }, 1)";
    let double = "$p := function($s,$n){ $n = 0 ? $s : $p($s & $s, $n - 1) }";
    let of = |made: &str, used: &str| format!("({made}; {used})");
    let sources = [
        "[1..873783] ~> $count()".to_owned(),
        "$range(1, 1000000000, 1)".to_owned(),
        "$pad(\"x\", 1000000000)".to_owned(),
        "$replace($pad(\"a\", 100000, \"a\"), /a/, $pad(\"b\", 100000, \"b\"))".to_owned(),
        "$join([1..100000].$string(), $pad(\"b\", 100000, \"b\"))".to_owned(),
        "$formatNumber(1, $pad(\"0\", 1000000, \"0\"))".to_owned(),
        of(double, "$length($p(\"x\", 23))"),
        of(shared, "$string($x)"),
        of(shared, "$x = $x"),
        of(shared, "$count($x.**)"),
        of(shared, "$x ~> |$|{\"z\":1}|"),
        of(shared, "{$x: 1}"),
        of(shared, "$distinct([$x,$x])"),
        of(nested, "$count($x.*)"),
        of(nested, "$x.foo"),
    ];
    let wrong: Vec<_> = sources.iter().filter(|source| outcome(source) != MEMORY).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    all(&[
        ("[1..873782] ~> $count()", "873782"),
        (&of(double, "$length($p(\"x\", 22))"), "4194304"),
        // Small to hold, and larger than any payload once written out.
        (&of(shared, "$x"), "States.DataLimitExceeded"),
    ]);
}

#[test]
fn expressions_that_nest_too_deeply_are_stopped() {
    let sum = |terms: usize| vec!["1"; terms].join("+");
    let recursion =
        |depth: u32| format!("($f := function($x){{ $x = 0 ? 0 : 1 + $f($x-1) }}; $f({depth}))");
    assert_eq!(outcome(&sum(99)), "99");
    assert_eq!(outcome(&sum(200)), DEPTH);
    assert_eq!(outcome(&recursion(30)), "30");
    assert_eq!(outcome(&recursion(1_000_000)), DEPTH);
    for bomb in ["(", "[", "-", "{\"a\":", "$f("] {
        let found = outcome(&bomb.repeat(100_000));
        assert!(found.starts_with("INVALID_JSONATA_EXPRESSION"), "{bomb}: {found}");
    }
}

#[test]
fn no_pattern_takes_longer_than_its_text() {
    all(&[
        ("$contains($pad(\"a\", 50000, \"a\") & \"b\", /^(a|a)*c$/)", "false"),
        ("$contains($pad(\"a\", 50000, \"a\"), /(a+)+$/)", "true"),
    ]);
    assert!(outcome("$contains(\"x\", /(((a{100}){100}){100}){100}/)").starts_with("threw"));
}

#[test]
fn sentences_are_those_of_the_language() {
    let thrown = |rest: &str| format!("threw an error during evaluation. {rest}");
    let cases = [
        ("$sum(\"a\")", "T0412: Argument 1 of function \"sum\" must be an array of \"numbers\""),
        ("$abs(\"a\")", "T0410: Argument 1 of function \"abs\" does not match function signature"),
        ("1 + \"a\"", "T2002: The right side of the \"+\" operator must evaluate to a number"),
        ("$number(\"x\")", "D3030: Unable to cast value to a number: \"x\""),
        ("$eval(\"1+1\")", "T1006: Attempted to invoke a non-function"),
        ("$nothing(1)", "T1006: Attempted to invoke a non-function"),
        ("$error(\"boom\")", "D3137: boom"),
        (
            "$formatNumber(1, \"x\")",
            "D3086: The sub-picture must not contain a passive character that is preceded by an active character and that is followed by another active character",
        ),
    ];
    for (source, rest) in cases {
        assert_eq!(outcome(source), thrown(rest), "{source}");
    }
    all(&[
        ("$states.input.missing", "returned nothing (undefined)."),
        ("function($x){ $x }", "returned nothing (undefined)."),
    ]);
}

#[test]
fn what_has_no_meaning_without_a_context_item_is_refused() {
    let top = |name: &str| {
        format!(
            "UNSUPPORTED_JSONATA_EXPRESSION: Reference to '{name}' at the top level is not supported."
        )
    };
    for (source, name) in [
        ("phone", "phone"),
        ("phone.number", "phone"),
        ("$", "$"),
        ("$$", "$$"),
        ("$states.input.($$.x)", "$$"),
        ("{\"a\": [1, phone]}", "phone"),
        ("$map($states.input.a, function($v){ phone })", "phone"),
    ] {
        assert_eq!(outcome(source), top(name), "{source}");
    }
    for source in ["$states.input.a[$ > 1]", "$states.input.o.(k)", "$states.input.a.{\"v\": $}"] {
        assert!(!outcome(source).contains("UNSUPPORTED"), "{source}");
    }
    all(&[
        ("1 +", "INVALID_JSONATA_EXPRESSION: Unexpected end of expression"),
        ("[1,2)", "INVALID_JSONATA_EXPRESSION: Expected \"]\", got \")\""),
        (
            "{\"a\":}",
            "INVALID_JSONATA_EXPRESSION: The symbol \"}\" cannot be used as a unary operator",
        ),
    ]);
    for later in ["$states.input.x ?: 1", "$states.input.x ?? 1"] {
        assert!(outcome(later).starts_with("INVALID_JSONATA_EXPRESSION"), "{later}");
    }
}

#[test]
fn step_functions_has_functions_of_its_own() {
    all(&[
        ("$partition([1,2,3,4,5], 2)", "[[1,2],[3,4],[5]]"),
        ("$range(0, 10, 5)", "[0,5,10]"),
        ("$range(1, 9, 9)", "1"),
        ("$range(10, 0, -5)", "[10,5,0]"),
        ("$hash(\"abc\", \"SHA-1\")", "\"a9993e364706816aba3e25717850c26c9cd0d89d\""),
        ("$parse('{\"a\":[1,\"x\"]}')", "{\"a\":[1,\"x\"]}"),
        ("$random(7) = $random(7)", "true"),
        ("$random() = $random()", "false"),
        ("$length($uuid())", "36"),
        ("$now()", "\"2023-11-14T22:13:20.000Z\""),
        ("$now(\"[Y0001]-[M01]\")", "\"2023-11\""),
        ("$millis()", "1700000000000"),
    ]);
}

#[test]
fn numbers_that_nobody_touches_keep_their_text() {
    all(&[
        ("$states.input.z", "0.0"),
        ("$states.input.big", "9007199254740993"),
        ("[$states.input.big]", "[9007199254740993]"),
        ("[1/0]", "[\"Infinity\"]"),
        ("0.1 + 0.2", "0.30000000000000004"),
        ("1e21", "1e+21"),
        ("12345678901234567890", "12345678901234567000"),
    ]);
}

/// Pieces of expressions, so that much of what they make is nearly right.
const PIECES: &[&str] = &[
    "$states.input",
    "$states.input.a",
    "$x",
    ".",
    "[",
    "]",
    "(",
    ")",
    "{",
    "}",
    "\"a\"",
    ":",
    ",",
    " ~> ",
    "$map",
    "$reduce",
    "function($v){",
    "$v",
    "$string",
    "$append",
    "$sum",
    "1",
    "[1..9]",
    " & ",
    " + ",
    " = ",
    " in ",
    "^(",
    "$",
    "**",
    "*",
    "%",
    ":=",
    ";",
    "?",
    "/a/",
    "null",
    "|",
    "@$i",
    "#$j",
    "$distinct",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_an_expression_or_is_refused(text in "\\PC{0,40}") {
        let _ = Expression::compile(&text, "Output");
    }

    #[test]
    fn any_expression_comes_to_an_end(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 1..14)
    ) {
        outcome(&pieces.concat());
    }
}
