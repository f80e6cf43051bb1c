//! IoT SQL on statements and payloads nobody would write: it never panics, and it ends.

use std::sync::Arc;

use proptest::prelude::*;
use stepwire_asl::{Json, Timestamp};
use stepwire_core::Settings;
use stepwire_core::message::{Client, Identity, Message, Origin, Profile, Properties, QoS};
use stepwire_core::rules::sql::{Error, Facts, Statement, Value, Version};

/// Every function, with more arguments than some of them take.
const FUNCTIONS: &[&str] = &[
    "abs",
    "acos",
    "asin",
    "atan",
    "atan2",
    "bitand",
    "bitor",
    "bitxor",
    "bitnot",
    "ceil",
    "chr",
    "clientid",
    "concat",
    "cos",
    "cosh",
    "endswith",
    "exp",
    "floor",
    "get",
    "get_or_default",
    "indexof",
    "isnull",
    "isundefined",
    "length",
    "ln",
    "log",
    "lower",
    "lpad",
    "ltrim",
    "md5",
    "mod",
    "nanvl",
    "newuuid",
    "numbytes",
    "power",
    "principal",
    "rand",
    "regexp_matches",
    "regexp_replace",
    "regexp_substr",
    "remainder",
    "replace",
    "round",
    "rpad",
    "rtrim",
    "sha1",
    "sha224",
    "sha256",
    "sha384",
    "sha512",
    "sign",
    "sin",
    "sinh",
    "sourceip",
    "sql_version",
    "sqrt",
    "startswith",
    "substring",
    "tan",
    "tanh",
    "timestamp",
    "traceid",
    "trim",
    "trunc",
    "upper",
    "accountid",
    "topic",
    "aws_lambda",
    "get_dynamodb",
    "get_mqtt_property",
    "get_thing_shadow",
    "get_user_properties",
    "md2",
    "parse_time",
    "time_to_epoch",
    "transform",
];

fn parse(text: &str) -> Result<Statement, Error> {
    Statement::parse(text, Version::V2016)
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(|double| Json::from_f64(double).unwrap_or_default()),
        ".{0,8}".prop_map(Json::from),
        "-?[0-9]{1,25}(\\.[0-9]{1,5})?".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::array),
            prop::collection::vec(("[a-e]", inner), 0..6).prop_map(Json::object),
        ]
    })
}

fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[a-e]",
        Just("*".to_owned()),
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        (0_i64..=i64::MAX).prop_map(|int| int.to_string()),
        "[0-9]{1,20}\\.[0-9]{1,20}(e-?[0-9]{1,2})?",
        "'[a-z0-9 .%(\\[*]{0,6}'",
    ];
    leaf.prop_recursive(5, 24, 4, |inner| {
        let operators = prop::sample::select(
            &["+", "-", "*", "/", "%", "=", "<>", "<", ">=", " AND ", " OR ", " IN "][..],
        );
        let functions = prop::sample::select(FUNCTIONS);
        let types = prop::sample::select(&["String", "Int", "Decimal", "Bool"][..]);
        prop_oneof![
            (inner.clone(), operators, inner.clone()).prop_map(|(a, o, b)| format!("({a}{o}{b})")),
            (functions, prop::collection::vec(inner.clone(), 0..4))
                .prop_map(|(name, arguments)| format!("{name}({})", arguments.join(","))),
            (inner.clone(), types).prop_map(|(of, to)| format!("cast({of} AS {to})")),
            inner.clone().prop_map(|of| format!("(NOT {of})")),
            inner.clone().prop_map(|of| format!("(- {of})")),
            (inner.clone(), "[a-e]").prop_map(|(of, name)| format!("({of}).{name}")),
            prop::collection::vec(inner.clone(), 0..4).prop_map(|i| format!("[{}]", i.join(","))),
            (inner.clone(), "[a-e]", inner.clone()).prop_map(|(what, from, filter)| format!(
                "(SELECT {what} AS a FROM {from} WHERE {filter})"
            )),
            (inner.clone(), inner.clone(), inner).prop_map(|(of, when, then)| format!(
                "CASE {of} WHEN {when} THEN {then} ELSE 0 END"
            )),
        ]
    })
}

fn message(payload: Vec<u8>) -> Message {
    let client = Client {
        id: "gw-1".into(),
        identity: Identity::Anonymous,
        profile: Profile::Standard,
        thing: None,
        exclusive: false,
        ip: [127, 0, 0, 1].into(),
        session: "s".into(),
    };
    Message {
        topic: "a/b".into(),
        payload: payload.into(),
        qos: QoS::AtMostOnce,
        retain: false,
        properties: Properties::default(),
        origin: Origin::Client(Arc::new(client)),
        at: Timestamp(1_700_000_000_000),
    }
}

/// Evaluates a statement twice: it must do so without a panic, and say the same.
fn evaluate(statement: &Statement, payload: Vec<u8>) -> bool {
    let message = message(payload);
    let json = Json::parse_bytes(&message.payload).ok();
    let settings = Settings::default();
    let run = || statement.run(&Facts::new(&message, json.as_ref(), &settings, 1));
    run() == run()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn any_statement_says_the_same_of_any_json_twice(
        item in expression(),
        filter in expression(),
        payload in json(),
    ) {
        // Those with the wrong number of arguments are refused, about one in seven.
        if let Ok(statement) = parse(&format!("SELECT *, {item} AS z FROM '#' WHERE {filter}")) {
            prop_assert!(evaluate(&statement, payload.to_text().into_bytes()));
        }
        if let Ok(statement) = parse(&format!("SELECT VALUE ({item}) FROM '#'")) {
            prop_assert!(evaluate(&statement, payload.to_text().into_bytes()));
        }
    }

    #[test]
    fn any_bytes_can_be_a_payload(item in expression(), payload in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(statement) = parse(&format!("SELECT *, {item} AS z FROM '#'")) {
            prop_assert!(evaluate(&statement, payload));
        }
    }

    #[test]
    fn any_text_is_a_statement_or_is_refused_with_a_place_in_it(text in "(SELECT |FROM |WHERE |'a'|[a-e(),*.+'\"{}\\[\\]:=<>-]|.){0,40}") {
        if let Err(error) = parse(&text) {
            prop_assert!(error.line <= text.matches('\n').count() + 1);
            prop_assert!(error.column <= error.text.chars().count() + 1, "{error}");
        }
    }
}

#[test]
fn a_deep_or_endless_statement_is_refused() {
    for (before, after) in [
        ("(", ")"),
        ("NOT ", ""),
        ("1+", ""),
        ("a = 1 OR ", ""),
        ("abs(", ")"),
        ("[", "]"),
        ("{'a':", "}"),
        ("(SELECT 1 FROM ", ")"),
        ("CASE 1 WHEN ", " THEN 1 END"),
        ("1 IN ", ""),
    ] {
        let (before_all, after_all) = (before.repeat(10_000), after.repeat(10_000));
        let statement = format!("SELECT {before_all}1{after_all} AS z FROM 'a'");
        let refused = parse(&statement).expect_err(before);
        assert!(
            refused.message.contains("nested too deeply") || refused.message.contains("operators"),
            "{before}: {}",
            refused.message
        );
    }
    let members = format!("SELECT a{} FROM 'a'", ".b".repeat(20_000));
    assert!(parse(&members).is_err());
}

#[test]
fn a_long_chain_that_is_allowed_runs() {
    let sum = parse(&format!("SELECT VALUE 0{} FROM 'a'", " + 1".repeat(900)));
    let sum = sum.expect("a statement");
    let (message, settings) = (message(b"{}".to_vec()), Settings::default());
    let payload = Json::object::<&str>([]);
    let value = sum.run(&Facts::new(&message, Some(&payload), &settings, 1));
    assert_eq!(value.and_then(Value::into_json), Some(Json::from(900)));
}

/// Work and memory are bounded: what would take too much is Undefined.
#[test]
fn a_statement_that_would_multiply_its_payload_gives_up() {
    let payload =
        format!("{{\"list\":[{}0],\"big\":\"{}\"}}", "0,".repeat(30_000), "x".repeat(60_000));
    let statement = "SELECT (SELECT VALUE upper(big) FROM list) AS r FROM 'a'";
    let statement = parse(statement).expect("a statement");
    let message = message(payload.into_bytes());
    let (json, settings) = (Json::parse_bytes(&message.payload).ok(), Settings::default());
    let value = statement.run(&Facts::new(&message, json.as_ref(), &settings, 1));
    let made = value.and_then(Value::into_json).map_or(0, |value| value.to_text().len());
    assert!(made < 64 << 20, "{made} bytes of a payload of {}", message.payload.len());
}
