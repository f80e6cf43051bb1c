//! Filter policies against a model that is as simple as the guide's sentences, and delivery policies.

use stepwire_asl::Json;

use super::filter::{self, Scope};
use super::retry::Policy;

/// The next of a series of numbers that look random.
fn roll(seed: &mut u64, sides: usize) -> usize {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    ((*seed >> 33) as usize) % sides
}

const TEXTS: [&str; 8] = ["", "a", "ab", "abc", "b", "B", "10.0.0.1", "10.0.1.1"];
const KEYS: [&str; 3] = ["k", "l", "m"];

fn leaf(seed: &mut u64) -> Json {
    match roll(seed, 7) {
        0 => Json::Null,
        1 => Json::from(roll(seed, 2) == 0),
        2 | 3 => Json::from(roll(seed, 5) as i64 - 2),
        _ => TEXTS[roll(seed, TEXTS.len())].into(),
    }
}

fn test(seed: &mut u64) -> Json {
    let text = |seed: &mut u64| Json::from(TEXTS[1 + roll(seed, TEXTS.len() - 1)]);
    let one = |name: &'static str, value| Json::object([(name, value)]);
    match roll(seed, 13) {
        0 => one("prefix", text(seed)),
        1 => one("suffix", text(seed)),
        2 => one("equals-ignore-case", text(seed)),
        3 => one("wildcard", ["a*", "*b*", "a*c"][roll(seed, 3)].into()),
        4 => one("exists", Json::from(roll(seed, 2) == 0)),
        5 => {
            let bottom = roll(seed, 3) as i64 - 2;
            let range = [">=".into(), bottom.into(), "<".into(), (bottom + 2).into()];
            one("numeric", Json::array(range))
        }
        6 => one("cidr", "10.0.0.0/24".into()),
        7 => one("anything-but", Json::array([text(seed), Json::from(roll(seed, 3) as i64)])),
        8 => one("anything-but", one("prefix", text(seed))),
        9 => one("anything-but", one("suffix", text(seed))),
        _ => leaf(seed),
    }
}

fn policy(seed: &mut u64, depth: usize) -> Json {
    let mut members = Vec::new();
    for key in KEYS {
        match roll(seed, 5) {
            0 | 1 => {
                let tests = (0..=roll(seed, 2)).map(|_| test(seed)).collect::<Vec<_>>();
                members.push((key, Json::array(tests)));
            }
            2 if depth < 2 => members.push((key, policy(seed, depth + 1))),
            _ => {}
        }
    }
    if depth < 2 && roll(seed, 4) == 0 {
        let choices = [policy(seed, depth + 1), policy(seed, depth + 1)];
        members.push(("$or", Json::array(choices)));
    }
    if members.is_empty() {
        members.push(("k", Json::array([leaf(seed)])));
    }
    Json::object(members)
}

fn message(seed: &mut u64, depth: usize) -> Json {
    let mut members = Vec::new();
    for key in KEYS {
        match roll(seed, 6) {
            0..=2 => members.push((key, leaf(seed))),
            3 if depth < 2 => members.push((key, message(seed, depth + 1))),
            4 => {
                let items = (0..roll(seed, 3)).map(|_| leaf(seed)).collect::<Vec<_>>();
                members.push((key, Json::array(items)));
            }
            _ => {}
        }
    }
    Json::object(members)
}

/// What the guide says of policies, said again without looking at how they are read here. Messages
/// have no lists of objects.
fn model(policy: &Json, message: &Json) -> bool {
    let members = policy.as_object().expect("a policy is an object");
    members.iter().all(|(name, value)| match value {
        Json::Array(choices) if **name == *"$or" => choices.iter().any(|one| model(one, message)),
        Json::Object(_) => model(value, message.member(name).unwrap_or(&Json::Null)),
        Json::Array(tests) => {
            let values: Vec<Json> = match message.member(name) {
                None | Some(Json::Object(_)) => Vec::new(),
                Some(Json::Array(items)) => items.to_vec(),
                Some(one) => vec![one.clone()],
            };
            tests.iter().any(|test| model_test(test, &values))
        }
        _ => unreachable!("no policy"),
    })
}

fn model_test(test: &Json, values: &[Json]) -> bool {
    let Some((name, wanted)) = test.as_object().and_then(|members| members.first()) else {
        return values.iter().any(|value| equal(test, value));
    };
    let any = |holds: &dyn Fn(&str) -> bool| values.iter().filter_map(Json::as_str).any(holds);
    let text = wanted.as_str().unwrap_or_default();
    match &**name {
        "prefix" => any(&|value| value.starts_with(text)),
        "suffix" => any(&|value| value.ends_with(text)),
        "equals-ignore-case" => any(&|value| value.to_lowercase() == text.to_lowercase()),
        "wildcard" => any(&|value| match text {
            "a*" => value.starts_with('a'),
            "*b*" => value.contains('b'),
            _ => value.len() >= 2 && value.starts_with('a') && value.ends_with('c'),
        }),
        "exists" => Some(!values.is_empty()) == wanted.as_bool(),
        "numeric" => {
            let bounds = wanted.as_array().expect("a list");
            let (bottom, top) = (bounds[1].as_f64(), bounds[3].as_f64());
            values.iter().filter_map(number).any(|v| Some(v) >= bottom && Some(v) < top)
        }
        "cidr" => any(&|value| value == "10.0.0.1"),
        "anything-but" => values.iter().any(|value| match wanted {
            Json::Array(not) => !not.iter().any(|not| equal(not, value)),
            not => {
                let (name, not) = not.as_object().and_then(|m| m.first()).expect("an operator");
                let not = not.as_str().unwrap_or_default();
                !value.as_str().is_some_and(|value| match &**name {
                    "prefix" => value.starts_with(not),
                    _ => value.ends_with(not),
                })
            }
        }),
        other => unreachable!("{other}"),
    }
}

fn number(value: &Json) -> Option<f64> {
    match value {
        Json::Number(_) => value.as_f64(),
        _ => None,
    }
}

fn equal(a: &Json, b: &Json) -> bool {
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

#[test]
fn a_policy_lets_through_what_the_model_does() {
    let (mut seed, mut through, mut stopped) = (20_261_129, 0, 0);
    for _ in 0..20_000 {
        let (policy, message) = (policy(&mut seed, 0), message(&mut seed, 0));
        let Ok(read) = filter::parse(&policy.to_text(), Scope::Body) else { continue };
        let (is, expected) = (read.matches(&message), model(&policy, &message));
        assert_eq!(is, expected, "{} on {}", policy.to_text(), message.to_text());
        if is { through += 1 } else { stopped += 1 }
    }
    assert!(through > 1_000 && stopped > 1_000, "{through} through, {stopped} stopped");
}

#[test]
fn combinations_are_products_and_of_alternatives_sums() {
    let of = |n: usize| Json::array((0..n).map(|n| Json::from(n as i64))).to_text();
    let (nine, ten) = (of(9), of(10));
    for (policy, scope, fits) in [
        (format!(r#"{{"a":{ten},"b":{}}}"#, of(15)), Scope::Attributes, true),
        (format!(r#"{{"a":{ten},"b":{}}}"#, of(16)), Scope::Attributes, false),
        (
            format!(r#"{{"a":{ten},"$or":[{{"b":{nine}}},{{"c":{}}}]}}"#, of(6)),
            Scope::Attributes,
            true,
        ),
        (
            format!(r#"{{"a":{ten},"$or":[{{"b":{nine}}},{{"c":{}}}]}}"#, of(7)),
            Scope::Attributes,
            false,
        ),
        (format!(r#"{{"a":{{"b":{}}}}}"#, of(75)), Scope::Body, true),
        (format!(r#"{{"a":{{"b":{}}}}}"#, of(76)), Scope::Body, false),
    ] {
        assert_eq!(filter::parse(&policy, scope).is_ok(), fits, "{policy}");
    }
}

#[test]
fn waits_grow_as_the_delivery_policy_says() {
    let waits = |text: &str| -> Vec<i64> {
        let policy = Policy::parse(&format!(r#"{{"healthyRetryPolicy":{text}}}"#), false);
        let policy = policy.unwrap_or_else(|why| panic!("{text}: {why}"));
        (1..).map_while(|n| policy.wait_ms(n)).map(|ms| ms / 1_000).collect()
    };
    assert_eq!(waits("{}"), [20, 20, 20]);
    let all = r#"{"numRetries":9,"minDelayTarget":1,"maxDelayTarget":13,"numNoDelayRetries":2,
                  "numMinDelayRetries":1,"numMaxDelayRetries":2,"backoffFunction":"GROWTH"}"#;
    for (growth, expected) in [
        ("linear", [0, 0, 1, 1, 5, 9, 13, 13, 13]),
        ("arithmetic", [0, 0, 1, 1, 3, 7, 13, 13, 13]),
        ("geometric", [0, 0, 1, 1, 4, 7, 13, 13, 13]),
        ("exponential", [0, 0, 1, 1, 1, 4, 13, 13, 13]),
    ] {
        assert_eq!(waits(&all.replace("GROWTH", growth)), expected, "{growth}");
    }
    assert_eq!(waits(r#"{"numRetries":0}"#), [0_i64; 0]);
}
