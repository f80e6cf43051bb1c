//! Explaining rules on statements and payloads nobody would write: it never panics, agrees with what
//! runs, and its SQL is the statement's.

use proptest::prelude::*;
use stepwire_asl::{Json, Timestamp};
use stepwire_core::Settings;
use stepwire_core::rules::evaluate::{Sample, Sources, Tested};
use stepwire_core::rules::sql::{Facts, Statement, Version};

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        (-3_i64..4).prop_map(Json::from),
        any::<f64>().prop_map(|double| Json::from_f64(double).unwrap_or_default()),
        "true|FALSE|[a-c]{0,3}|é{0,3}|-?[0-9]{1,3}".prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Json::array),
            prop::collection::vec(("[a-e]", inner), 0..5).prop_map(Json::object),
        ]
    })
}

/// An expression, with parentheses in few places only.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        4 => "[a-e](\\.[a-e]){0,2}",
        1 => Just("*".to_owned()),
        1 => Just("value".to_owned()),
        1 => prop::sample::select(&["null", "true", "false", "rand() > 0.5", "newuuid()"][..])
            .prop_map(str::to_owned),
        2 => (0_i64..5).prop_map(|int| int.to_string()),
        1 => "[0-9]{1,3}\\.[0-9]{1,3}",
        2 => "'([a-c]|''|\\\\\\\\|é|\\\\n){0,3}'",
    ];
    leaf.prop_recursive(5, 24, 4, |inner| {
        let operators = prop::sample::select(
            &[" + ", " - ", " * ", " / ", " % ", " = ", " <> ", " < ", " >= ", " AND ", " OR ", " IN "][..],
        );
        let functions = prop::sample::select(
            &["abs", "upper", "length", "concat", "topic", "isnull", "nanvl", "regexp_matches"][..],
        );
        let types = prop::sample::select(&["String", "Int", "Decimal", "Boolean"][..]);
        prop_oneof![
            4 => (inner.clone(), operators, inner.clone()).prop_map(|(a, o, b)| format!("{a}{o}{b}")),
            2 => inner.clone().prop_map(|of| format!("({of})")),
            1 => (functions, prop::collection::vec(inner.clone(), 0..3))
                .prop_map(|(name, arguments)| format!("{name}({})", arguments.join(","))),
            1 => (inner.clone(), types).prop_map(|(of, to)| format!("cast({of} AS {to})")),
            1 => inner.clone().prop_map(|of| format!("NOT {of}")),
            1 => inner.clone().prop_map(|of| format!("-{of}")),
            1 => (inner.clone(), "[a-e]|'x y'").prop_map(|(of, name)| format!("({of}).{name}")),
            1 => prop::collection::vec(inner.clone(), 0..3).prop_map(|i| format!("[{}]", i.join(","))),
            1 => inner.clone().prop_map(|of| format!("{{'k': {of}, \"l m\": 1}}")),
            1 => (inner.clone(), "[a-e]|\\*|\\[1, 2\\]", inner.clone()).prop_map(|(what, from, filter)| {
                format!("(SELECT {what} AS a.b, * FROM {from} AS r WHERE {filter})")
            }),
            1 => (inner.clone(), "[a-e]").prop_map(|(filter, from)| {
                format!("EXISTS(SELECT VALUE ({filter}) FROM {from} WHERE {filter})")
            }),
            1 => (inner.clone(), inner.clone(), inner).prop_map(|(of, when, then)| format!(
                "CASE {of} WHEN {when} THEN {then} WHEN 1 THEN {of} ELSE 0 END"
            )),
        ]
    })
}

fn statement() -> impl Strategy<Value = String> {
    let select = prop_oneof![
        (expression(), expression()).prop_map(|(a, b)| format!("SELECT {a} AS a.b, {b}, *")),
        expression().prop_map(|of| format!("SELECT VALUE ({of})")),
        expression().prop_map(|of| format!("SELECT {of}")),
    ];
    let filters = prop::sample::select(&["a/b", "a/+", "#", "b/#", "a/b/c"][..]);
    (select, filters, prop::option::of(expression())).prop_map(|(select, from, filter)| {
        let filter = filter.map(|filter| format!(" WHERE {filter}")).unwrap_or_default();
        format!("{select} FROM '{from}'{filter}")
    })
}

/// Whether the rule matches when it runs, and that being explained says the same.
fn agrees(text: &str, payload: Vec<u8>) -> Result<(), TestCaseError> {
    let Ok(statement) = Statement::parse(text, Version::V2016) else { return Ok(()) };
    let settings = Settings::default();
    let message = Sample::new("a/b", payload).message(Timestamp(7), &settings);
    let message = message.expect("a message");
    let json = Json::parse_bytes(&message.payload).ok();
    let run = statement.run(&Facts::new(&message, json.as_ref(), &settings, 7));
    let tested = Tested::of_statement(text, None).expect("a statement");
    let explanation = tested.explain(&message, &settings, &Sources::default());
    let taken = matches!(explanation.filter.as_deref(), Some("a/b" | "a/+" | "#"));
    prop_assert_eq!(explanation.trace.holds, run.is_some());
    prop_assert_eq!(explanation.matches, taken && run.is_some());
    if let Some(result) = run {
        prop_assert_eq!(&explanation.trace.result, &result);
    }
    if let Some(condition) = &explanation.trace.condition {
        prop_assert_eq!(condition.is_true(), explanation.trace.holds);
    }
    prop_assert!(!explanation.to_string().is_empty());
    prop_assert!(Json::parse(&explanation.to_json().to_text()).is_ok());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn what_is_explained_is_what_happens(text in statement(), payload in json()) {
        agrees(&text, payload.to_text().into_bytes())?;
    }

    #[test]
    fn any_bytes_are_explained(text in statement(), payload in prop::collection::vec(any::<u8>(), 0..40)) {
        agrees(&text, payload)?;
    }

    #[test]
    fn a_statement_as_text_is_the_same_statement(text in statement()) {
        if let Ok(mut statement) = Statement::parse(&text, Version::V2016) {
            statement.warnings.clear();
            let shown = statement.to_string();
            let again = Statement::parse(&shown, Version::V2016);
            let again = again.map(|mut again| {
                again.warnings.clear();
                again
            });
            prop_assert_eq!(again, Ok(statement), "{}\n{}", text, shown);
        }
    }
}

/// Time and size are bounded: what is too much is left out.
#[test]
fn a_statement_of_many_parts_on_a_large_payload_is_explained_in_part() {
    let payload = format!("{{\"a\":\"{}\",\"l\":[{}1]}}", "x".repeat(60_000), "1,".repeat(20_000));
    let text = format!(
        "SELECT (SELECT VALUE upper(a) FROM l) AS r FROM 'a' WHERE {}a = 'y'",
        "a <> 'x' AND EXISTS(SELECT * FROM l WHERE a = 1) AND ".repeat(200)
    );
    let settings = Settings::default();
    let message = Sample::new("a", payload).message(Timestamp(0), &settings).expect("a message");
    let tested = Tested::of_statement(&text, None).expect("a rule");
    let explanation = tested.explain(&message, &settings, &Sources::default());
    assert!(explanation.trace.shortened);
    assert!(explanation.to_string().len() < 500_000);
    assert!(explanation.to_json().to_text().len() < 2_000_000);
}
