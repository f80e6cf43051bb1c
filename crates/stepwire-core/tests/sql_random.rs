//! IoT SQL on statements and payloads nobody would write: it never panics, it ends, and what it
//! takes is bounded.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::select;
use stepwire_asl::{Json, Timestamp};
use stepwire_core::Settings;
use stepwire_core::message::{Client, Identity, Message, Origin, Profile, Properties, QoS};
use stepwire_core::rules::sql::{
    Answered, Expression, Facts, Outside, Question, Statement, Value, Version, functions,
};

/// Memory that no evaluation may need beyond its payload, in bytes.
const BYTES_MAX: u64 = 256 << 20;
/// Time that none may take, also in a build for tests on a busy machine.
const TIME_MAX: Duration = Duration::from_mins(1);

const VERSIONS: [Version; 3] = [Version::V2015, Version::V2016, Version::Beta];

/// JSON text: deep, with numbers of any size, texts of any kind.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|int| int.to_string()),
        any::<f64>().prop_map(|double| Json::from_f64(double).unwrap_or_default().to_text()),
        "-?[1-9][0-9]{0,45}(\\.[0-9]{1,45})?([eE][+-]?[0-9]{1,4})?",
        ".{0,8}".prop_map(|text| Json::from(text).to_text()),
        "[0-9a-z ]{0,3}".prop_map(|text| Json::from(text.repeat(500)).to_text()),
        "-?[0-9]{1,25}(\\.[0-9]{1,5})?".prop_map(|text| Json::from(text).to_text()),
    ];
    let grown = leaf.prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6)
                .prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(("[a-e]", inner), 0..6).prop_map(|members| {
                let members = members.iter().map(|(name, value)| format!("\"{name}\":{value}"));
                format!("{{{}}}", members.collect::<Vec<_>>().join(","))
            }),
        ]
    });
    (grown, 0..60_usize).prop_map(|(value, depth)| {
        format!("{}{value}{}", "{\"a\":[".repeat(depth), "]}".repeat(depth))
    })
}

/// A call of a function of the crate's own table, mostly with as many arguments as it takes.
fn call(inner: impl Strategy<Value = String> + Clone + 'static) -> impl Strategy<Value = String> {
    let all: Vec<(&'static str, usize, usize)> = functions().collect();
    assert!(all.len() > 60, "the table has {}", all.len());
    (select(all), prop::collection::vec(inner, 8), any::<prop::sample::Index>(), 0..20_u8).prop_map(
        |((name, least, most), arguments, spread, odd)| {
            let most = most.min(least + 3);
            let count = least + spread.index(most - least + 1);
            let count = if odd == 0 { count + 1 } else { count };
            format!("{name}({})", arguments[..count.min(arguments.len())].join(", "))
        },
    )
}

/// Calls whose arguments must be of a kind that chance does not find.
fn prepared(
    inner: impl Strategy<Value = String> + Clone + 'static,
) -> impl Strategy<Value = String> {
    let codecs = select(&["base64", "hex", "zip", "gzip"][..]);
    let patterns = select(&["^a.*$", "(a|b)+", "[0-9]{2,3}", "(((", "\\\\d", "a{1000}"][..]);
    let formats = select(&["yyyy-MM-dd", "HH:mm:ss.SSS", "EEE, d MMM", "x", "''"][..]);
    let zones = select(&["UTC", "America/New_York", "+01:00", "no/where"][..]);
    let levels = 0..200_i64;
    prop_oneof![
        (inner.clone(), codecs.clone()).prop_map(|(of, codec)| format!("encode({of}, '{codec}')")),
        (inner.clone(), codecs).prop_map(|(of, codec)| format!("decode({of}, '{codec}')")),
        inner.clone().prop_map(|of| format!("decode({of}, 'proto', 'b', 'k', 'f', 'M').a")),
        Just("encode(*, 'base64')".to_owned()),
        (inner.clone(), patterns.clone())
            .prop_map(|(of, p)| format!("regexp_matches({of}, '{p}')")),
        (inner.clone(), patterns.clone()).prop_map(|(of, p)| format!("regexp_substr({of}, '{p}')")),
        (inner.clone(), patterns, inner.clone())
            .prop_map(|(of, p, by)| format!("regexp_replace({of}, '{p}', {by})")),
        (formats, inner.clone(), zones)
            .prop_map(|(f, of, z)| format!("parse_time('{f}', {of}, '{z}')")),
        levels.clone().prop_map(|level| format!("topic({level})")),
        (inner.clone(), levels.clone()).prop_map(|(of, n)| format!("lpad({of}, {n})")),
        (inner.clone(), levels.clone()).prop_map(|(of, n)| format!("get({of}, {n})")),
        (inner.clone(), levels).prop_map(|(of, n)| format!("substring({of}, {n}, {n} + 3)")),
        inner.clone().prop_map(|of| format!("transform('enrichArray', {of}, {of})")),
        inner.clone().prop_map(|of| format!(
            "aws_lambda('arn:aws:lambda:us-east-1:000000000000:function:f', {of})"
        )),
        inner.clone().prop_map(|of| format!(
            "get_registry_data('DescribeThing', {of}, 'arn:aws:iam::1:role/r')"
        )),
        inner.clone().prop_map(|of| format!(
            "get_secret({of}, 'SecretString', 'k', 'arn:aws:iam::1:role/r')"
        )),
        inner.prop_map(|of| format!("get_dynamodb('t', 'k', {of}, 'arn:aws:iam::1:role/r').a")),
    ]
}

fn select_items(
    inner: impl Strategy<Value = String> + Clone + 'static,
) -> impl Strategy<Value = String> {
    let item = prop_oneof![
        1 => Just("*".to_owned()),
        1 => inner.clone().prop_map(|of| format!("({of}).*")),
        1 => "[a-e](\\.[a-e]){0,2}\\.\\*",
        2 => inner.clone(),
        3 => (inner.clone(), "[a-e](\\.[a-e]){0,2}").prop_map(|(of, to)| format!("{of} AS {to}")),
    ];
    prop_oneof![
        4 => prop::collection::vec(item, 1..4).prop_map(|items| items.join(", ")),
        1 => inner.prop_map(|of| format!("VALUE {of}")),
    ]
}

fn sub_select(
    inner: impl Strategy<Value = String> + Clone + 'static,
) -> impl Strategy<Value = String> {
    let from = prop_oneof![
        Just("*".to_owned()),
        "[a-e](\\.[a-e]){0,2}",
        ("[a-e]", "[a-e]").prop_map(|(of, alias)| format!("{of} AS {alias}")),
    ];
    let filter = prop::option::of(inner.clone());
    (select_items(inner), from, filter).prop_map(|(items, from, filter)| {
        let filter = filter.map(|filter| format!(" WHERE {filter}")).unwrap_or_default();
        format!("(SELECT {items} FROM {from}{filter})")
    })
}

fn expression() -> impl Strategy<Value = String> + Clone {
    let leaf = prop_oneof![
        4 => "[a-e](\\.[a-e]){0,3}",
        1 => "@[a-c](\\.[a-e])?",
        1 => Just("*".to_owned()),
        1 => select(&["null", "true", "false", "undefined", "''", "\"\""][..]).prop_map(str::to_owned),
        2 => (0_i64..=i64::MAX).prop_map(|int| int.to_string()),
        2 => "[0-9]{1,45}(\\.[0-9]{1,45})?([eE]-?[0-9]{1,4})?",
        3 => "'[a-z0-9 .%(\\[*]{0,6}'",
        1 => "\"[a-z0-9 .%(é]{0,6}\"",
    ];
    leaf.prop_recursive(5, 32, 5, |inner| {
        let operators = select(
            &[
                "+", "-", "*", "/", "%", "=", "<>", "<", ">=", ">", "<=", " AND ", " OR ", " IN ",
            ][..],
        );
        let types = select(&["String", "Int", "Decimal", "Bool", "Boolean", "Float"][..]);
        let whens = prop::collection::vec((inner.clone(), inner.clone()), 1..4);
        let entries = prop::collection::vec(("[a-e]", inner.clone()), 0..4);
        prop_oneof![
            3 => (inner.clone(), operators, inner.clone())
                .prop_map(|(a, o, b)| format!("({a}{o}{b})")),
            4 => call(inner.clone()),
            4 => prepared(inner.clone()),
            1 => (inner.clone(), types).prop_map(|(of, to)| format!("cast({of} AS {to})")),
            1 => inner.clone().prop_map(|of| format!("(NOT {of})")),
            1 => inner.clone().prop_map(|of| format!("(- {of})")),
            1 => (inner.clone(), "[a-e]").prop_map(|(of, name)| format!("({of}).{name}")),
            1 => prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[{}]", items.join(","))),
            1 => entries.prop_map(|members| {
                let members = members.iter().map(|(name, value)| format!("'{name}': {value}"));
                format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
            }),
            2 => sub_select(inner.clone()),
            1 => sub_select(inner.clone()).prop_map(|sub| format!("EXISTS {sub}")),
            1 => (inner.clone(), prop::collection::vec(inner.clone(), 1..4))
                .prop_map(|(of, list)| format!("{of} IN [{}]", list.join(", "))),
            1 => (inner.clone(), whens, prop::option::of(inner)).prop_map(|(of, whens, otherwise)| {
                let whens = whens.iter().map(|(when, then)| format!("WHEN {when} THEN {then}"));
                let otherwise = otherwise.map(|of| format!(" ELSE {of}")).unwrap_or_default();
                format!("CASE {of} {}{otherwise} END", whens.collect::<Vec<_>>().join(" "))
            }),
        ]
    })
}

fn statement() -> impl Strategy<Value = String> {
    let variables = prop::collection::vec(expression(), 0..3);
    let from = select(&["#", "a/+", "a/b", "+/#"][..]);
    let filter = prop::option::of(expression());
    (variables, select_items(expression()), from, filter).prop_map(
        |(variables, items, from, filter)| {
            let names = ["@a", "@b", "@c"];
            let variables =
                names.iter().zip(variables).map(|(name, value)| format!("{name} = {value}"));
            let variables = variables.collect::<Vec<_>>().join(", ");
            let set = if variables.is_empty() { variables } else { format!("SET {variables} ") };
            let filter = filter.map(|filter| format!(" WHERE {filter}")).unwrap_or_default();
            format!("{set}SELECT {items} FROM '{from}'{filter}")
        },
    )
}

/// Answers some questions with the question, some with nothing, some later.
struct World;

impl Outside for World {
    fn ask(&self, question: &Question) -> Answered {
        match question {
            Question::Object { .. } => {
                Answered::Now(Value::Bytes(Bytes::from_static(b"\n\x05\n\x01f\x22\0")))
            }
            Question::Registry { .. } | Question::Item { .. } => {
                Answered::Now(Value::Json(Json::from(format!("{question:?}"))))
            }
            Question::Shadow { .. } | Question::Secret { .. } | Question::NoRole { .. } => {
                Answered::Now(Value::Undefined)
            }
            Question::Lambda { .. } | Question::Prediction { .. } => Answered::Later,
        }
    }
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
        properties: Properties {
            user_properties: vec![("a".into(), "b".into()), ("a".into(), "c".into())],
            ..Properties::default()
        },
        origin: Origin::Client(Arc::new(client)),
        at: Timestamp(1_700_000_000_000),
    }
}

/// Evaluates a statement twice: it must do so without a panic, within its bounds, and say the same.
#[expect(clippy::disallowed_methods, reason = "how long an evaluation takes")]
fn evaluate(statement: &Statement, payload: &[u8]) -> Option<Value> {
    let message = message(payload.to_vec());
    let json = Json::parse_bytes(&message.payload).ok();
    let settings = Settings::default();
    let run = || {
        let facts = Facts::new(&message, json.as_ref(), &settings, 1).asking(&World);
        let value = statement.run(&facts);
        (value, facts.open())
    };
    let began = Instant::now();
    let mut first = None;
    let taken = allocation_counter::measure(|| first = Some(run()));
    assert!(began.elapsed() < TIME_MAX, "it took {:?}", began.elapsed());
    assert!(taken.bytes_max <= BYTES_MAX, "it took {} bytes", taken.bytes_max);
    let first = first.expect("it has run");
    assert_eq!(run(), first);
    first.0
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3_000) })]

    #[test]
    fn any_statement_says_the_same_of_any_json_twice(
        sql in statement(),
        payload in json(),
        version in select(&VERSIONS[..]),
    ) {
        // those with what its version has not, or with a wrong number of arguments, are refused
        if let Ok(statement) = Statement::parse(&sql, version) {
            evaluate(&statement, payload.as_bytes());
        }
    }

    #[test]
    fn any_bytes_can_be_a_payload(
        item in expression(),
        payload in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        if let Ok(statement) = Statement::parse(&format!("SELECT *, {item} AS z FROM '#'"), Version::V2016) {
            evaluate(&statement, &payload);
        }
    }

    #[test]
    fn any_text_is_a_statement_or_is_refused_with_a_place_in_it(
        text in "(SELECT |SET @|FROM |WHERE |'a'|[a-e(),*.+'\"{}\\[\\]:=<>@-]|.){0,40}",
        version in select(&VERSIONS[..]),
    ) {
        if let Err(error) = Statement::parse(&text, version) {
            prop_assert!(error.line <= text.matches('\n').count() + 1);
            prop_assert!(error.column <= error.text.chars().count() + 1, "{error}");
        }
    }
}

/// The generator is worth something only if most of what it makes is understood.
#[test]
fn most_statements_made_are_statements() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let made = (0..500).map(|_| statement().new_tree(&mut runner).expect("a value").current());
    let (good, bad): (Vec<_>, Vec<_>) =
        made.partition(|sql| Statement::parse(sql, Version::Beta).is_ok());
    let refused = bad.iter().take(5).filter_map(|sql| Statement::parse(sql, Version::Beta).err());
    let refused: Vec<String> = refused.map(|error| error.to_string()).collect();
    assert!(good.len() > 150, "{} of 500; {}", good.len(), refused.join("\n"));
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
        ("(SELECT VALUE (", ") FROM a)"),
        ("EXISTS (SELECT 1 FROM a WHERE ", ")"),
        ("CASE 1 WHEN ", " THEN 1 END"),
        ("[1] IN ", ""),
    ] {
        let (before_all, after_all) = (before.repeat(10_000), after.repeat(10_000));
        let statement = format!("SELECT {before_all}1{after_all} AS z FROM 'a'");
        let refused = Statement::parse(&statement, Version::V2016).expect_err(before);
        assert!(
            ["nested too deeply", "operators", "too long"]
                .iter()
                .any(|why| refused.message.contains(why)),
            "{before}: {}",
            refused.message
        );
        let expression = format!("{before_all}1{after_all}");
        assert!(Expression::parse(&expression, Version::default()).is_err(), "{before}");
    }
    let members = format!("SELECT a{} FROM 'a'", ".b".repeat(20_000));
    assert!(Statement::parse(&members, Version::V2016).is_err());
}

#[test]
fn a_long_chain_that_is_allowed_runs() {
    let sum = format!("SELECT VALUE 0{} FROM 'a'", " + 1".repeat(900));
    let sum = Statement::parse(&sum, Version::V2016).expect("a statement");
    let value = evaluate(&sum, b"{}");
    assert_eq!(value.and_then(Value::into_json), Some(Json::from(900)));
}

/// Otherwise a pattern of one character finds as many as a payload has, for each row of a list.
#[test]
fn the_matches_of_a_pattern_are_paid_for() {
    let sql = "SELECT VALUE (SELECT VALUE regexp_replace(big, 'x', 'y') FROM list) FROM 'a'";
    let statement = Statement::parse(sql, Version::V2016).expect("a statement");
    for (rows, done) in [(1, true), (40, false)] {
        let list = vec!["0"; rows].join(",");
        let payload = format!("{{\"list\":[{list}],\"big\":\"{}\"}}", "x".repeat(60_000));
        let value = evaluate(&statement, payload.as_bytes());
        assert_eq!(value != Some(Value::Undefined), done, "{rows} rows");
    }
}

/// A large pattern is looked at for each byte of the text.
#[test]
fn a_search_is_paid_for_by_the_size_of_its_pattern() {
    let payload = |rows: usize| {
        let (list, big) = (vec!["0"; rows].join(","), "abbab".repeat(12_000));
        format!("{{\"list\":[{list}],\"big\":\"{big}\"}}")
    };
    for (pattern, rows, done) in [
        ("a[ab]*c", 4, true),
        ("a[ab]*c", 40, false),
        ("[ab]*a[ab]{400}[^ab]", 1, true),
        ("[ab]*a[ab]{400}[^ab]", 20, false),
    ] {
        let sql = format!(
            "SELECT VALUE (SELECT VALUE regexp_matches(big, '{pattern}') FROM list) FROM 'a'"
        );
        let statement = Statement::parse(&sql, Version::V2016).expect("a statement");
        let value = evaluate(&statement, payload(rows).as_bytes());
        assert_eq!(value != Some(Value::Undefined), done, "{pattern} {rows}");
    }
}

/// Work and memory are bounded: what would take too much is Undefined.
#[test]
fn a_statement_that_would_multiply_its_payload_gives_up() {
    let payload = format!(
        "{{\"list\":[{}0],\"big\":\"{}\",\"n\":1e999,\"o\":{{\"a\":1,\"b\":2}}}}",
        "0,".repeat(30_000),
        "x".repeat(60_000)
    );
    let many = |of: &str, times: usize| vec![of; times].join(", ");
    let statements = [
        "SELECT (SELECT VALUE upper(big) FROM list) AS r FROM 'a'".to_owned(),
        "SELECT (SELECT VALUE big FROM list) AS r FROM 'a'".to_owned(),
        "SELECT (SELECT VALUE (SELECT VALUE (SELECT * FROM list) FROM list) FROM list) AS r FROM 'a'"
            .to_owned(),
        "SELECT (SELECT * FROM list WHERE EXISTS (SELECT * FROM list WHERE big = upper(big))) AS r FROM 'a'"
            .to_owned(),
        "SET @a = concat(big, big), @b = concat(@a, @a), @c = concat(@b, @b), @d = concat(@c, @c) \
         SELECT @d AS r, @c AS s FROM 'a'"
            .to_owned(),
        "SELECT encode(encode(encode(encode(*, 'base64'), 'base64'), 'base64'), 'base64') AS r FROM 'a'"
            .to_owned(),
        format!("SELECT [{}] AS r FROM 'a'", many("[*, *, *, *]", 200)),
        format!("SELECT concat({}) AS r FROM 'a'", many("big", 90)),
        "SELECT (SELECT VALUE regexp_replace(big, 'x', big) FROM list) AS r FROM 'a'".to_owned(),
        "SELECT (SELECT VALUE regexp_replace(big, '((((x))))', '') FROM list) AS r FROM 'a'".to_owned(),
        "SELECT (SELECT VALUE replace(big, 'x', big) FROM list) AS r FROM 'a'".to_owned(),
        "SELECT (SELECT VALUE lpad(big, 100000) FROM list) AS r FROM 'a'".to_owned(),
        "SELECT power(n, n) AS a, exp(n) AS b, n * n * n AS c, cast(n AS String) AS d FROM 'a'".to_owned(),
        "SELECT (SELECT VALUE sha512(big) FROM list) AS r FROM 'a'".to_owned(),
        "SELECT transform('enrichArray', o, list) AS r FROM 'a'".to_owned(),
    ];
    for sql in statements {
        // not each is a statement of this version: what is refused takes nothing
        let Ok(statement) = Statement::parse(&sql, Version::Beta) else { continue };
        let value = evaluate(&statement, payload.as_bytes());
        let made = value.and_then(Value::into_json).map_or(0, |value| value.to_text().len());
        assert!(made < 64 << 20, "{made} bytes of a payload of {}: {sql}", payload.len());
    }
}
