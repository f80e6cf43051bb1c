//! Event patterns: what an event must look like for a rule to match.
//!
//! Source: Amazon EventBridge user guide, "Comparison operators for use in event patterns".

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use stepwire_asl::Json;

/// Deepest nesting of a pattern.
const DEPTH_MAX: usize = 32;
/// Most conditions of a pattern.
const LEAVES_MAX: usize = 1_000;

/// A pattern that was read: everything in it must hold.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Pattern {
    fields: Vec<(Arc<str>, Field)>,
    /// Of each of these one must match.
    choices: Vec<Vec<Pattern>>,
}

#[derive(Debug, Clone, PartialEq)]
enum Field {
    Inside(Pattern),
    /// One of these must hold.
    OneOf(Vec<Test>),
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    Is(Json),
    Prefix(Text),
    Suffix(Text),
    IgnoringCase(Arc<str>),
    Wildcard(Arc<str>),
    Numeric(Vec<(Compare, f64)>),
    Exists(bool),
    Cidr(IpAddr, u32),
    AnythingBut(Vec<Test>),
}

#[derive(Debug, Clone, PartialEq)]
struct Text {
    text: Arc<str>,
    ignoring_case: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Compare {
    Less,
    AtMost,
    Equal,
    AtLeast,
    More,
}

/// Why a text is no pattern, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(pub String);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Pattern {
    /// The pattern that JSON text says.
    pub fn parse(text: &str) -> Result<Pattern, Invalid> {
        let json = Json::parse(text).map_err(|error| Invalid(error.to_string()))?;
        let mut leaves = 0;
        Pattern::read(&json, 0, &mut leaves)
    }

    fn read(json: &Json, depth: usize, leaves: &mut usize) -> Result<Pattern, Invalid> {
        let wrong = |why: &str| Err(Invalid(why.to_owned()));
        let Some(members) = json.as_object() else {
            return wrong("Filter is not an object");
        };
        if members.is_empty() {
            return wrong("Empty objects are not allowed");
        }
        if depth > DEPTH_MAX {
            return wrong("the pattern is nested too deeply");
        }
        let mut pattern = Pattern::default();
        for (name, value) in members {
            match value {
                Json::Array(choices)
                    if **name == *"$or"
                        && choices.len() >= 2
                        && choices.iter().all(|choice| choice.as_object().is_some()) =>
                {
                    let choices = choices.iter().map(|one| Pattern::read(one, depth + 1, leaves));
                    pattern.choices.push(choices.collect::<Result<_, _>>()?);
                }
                Json::Object(_) => {
                    let inside = Pattern::read(value, depth + 1, leaves)?;
                    pattern.fields.push((Arc::clone(name), Field::Inside(inside)));
                }
                Json::Array(tests) if tests.is_empty() => {
                    return wrong("Empty arrays are not allowed");
                }
                Json::Array(tests) => {
                    *leaves += tests.len();
                    if *leaves > LEAVES_MAX {
                        return wrong("the pattern has too many conditions");
                    }
                    let tests = tests.iter().map(Test::read).collect::<Result<_, _>>()?;
                    pattern.fields.push((Arc::clone(name), Field::OneOf(tests)));
                }
                _ => {
                    return Err(Invalid(format!("\"{name}\" must be an object or an array")));
                }
            }
        }
        Ok(pattern)
    }

    /// Whether an event is as the pattern says. Of a list of objects one must have all of it.
    pub fn matches(&self, event: &Json) -> bool {
        if let Json::Array(items) = event {
            let objects =
                || items.iter().filter(|item| matches!(item, Json::Object(_) | Json::Array(_)));
            return match objects().next() {
                Some(_) => objects().any(|item| self.matches(item)),
                None => self.matches(&Json::Null),
            };
        }
        let field = |(name, field): &(Arc<str>, Field)| {
            let found = event.member(name);
            match field {
                Field::Inside(pattern) => pattern.matches(found.unwrap_or(&Json::Null)),
                Field::OneOf(tests) => {
                    let mut values = Vec::new();
                    found.into_iter().for_each(|value| leaves(value, &mut values));
                    tests.iter().any(|test| test.holds(&values))
                }
            }
        };
        self.fields.iter().all(field)
            && self.choices.iter().all(|one_of| one_of.iter().any(|one| one.matches(event)))
    }
}

/// The values of a field, those of lists in it too. An object is none: only what is in it can be.
fn leaves<'a>(value: &'a Json, out: &mut Vec<&'a Json>) {
    match value {
        Json::Array(items) => items.iter().for_each(|item| leaves(item, out)),
        Json::Object(_) => {}
        other => out.push(other),
    }
}

impl Test {
    fn read(json: &Json) -> Result<Test, Invalid> {
        let members = match json {
            Json::Object(members) => members,
            Json::Array(_) => {
                return Err(Invalid(
                    "Match value must be String, number, true, false, or null".to_owned(),
                ));
            }
            plain => return Ok(Test::Is(plain.clone())),
        };
        let mut members = members.iter();
        let (Some((name, value)), None) = (members.next(), members.next()) else {
            return Err(Invalid("Only one key allowed in match expression".to_owned()));
        };
        let wrong = || Invalid(format!("the value of \"{name}\" is not valid"));
        let text = || value.as_str().map(Arc::<str>::from).ok_or_else(wrong);
        Ok(match &**name {
            "prefix" => Test::Prefix(Text::read(value).ok_or_else(wrong)?),
            "suffix" => Test::Suffix(Text::read(value).ok_or_else(wrong)?),
            "equals-ignore-case" => Test::IgnoringCase(text()?),
            "wildcard" => Test::Wildcard(
                text().and_then(
                    |text| {
                        if text.contains("**") { Err(wrong()) } else { Ok(text) }
                    },
                )?,
            ),
            "exists" => Test::Exists(value.as_bool().ok_or_else(wrong)?),
            "numeric" => Test::Numeric(numeric(value).ok_or_else(wrong)?),
            "cidr" => {
                let (address, bits) = cidr(value).ok_or_else(wrong)?;
                Test::Cidr(address, bits)
            }
            "anything-but" => Test::AnythingBut(match value {
                Json::Array(values) if !values.is_empty() => {
                    values.iter().cloned().map(Test::Is).collect()
                }
                Json::Array(_) | Json::Null => return Err(wrong()),
                Json::Object(inner) => anything_but(inner).ok_or_else(wrong)??,
                plain => vec![Test::Is(plain.clone())],
            }),
            _ => return Err(Invalid(format!("Unrecognized match type {name}"))),
        })
    }

    /// Whether it holds for one of `values`, which are those of a field.
    fn holds(&self, values: &[&Json]) -> bool {
        match self {
            Test::Exists(wanted) => values.is_empty() != *wanted,
            // Of a list, one that is none of those is enough.
            Test::AnythingBut(not) => {
                values.iter().any(|value| !not.iter().any(|test| test.holds_for(value)))
            }
            test => values.iter().any(|value| test.holds_for(value)),
        }
    }

    fn holds_for(&self, value: &Json) -> bool {
        let text = value.as_str();
        match self {
            Test::Is(wanted) => match (wanted.as_f64(), value.as_f64()) {
                (Some(wanted), Some(value)) => wanted == value,
                _ => wanted == value,
            },
            Test::Prefix(prefix) => text.is_some_and(|text| prefix.begins(text)),
            Test::Suffix(suffix) => text.is_some_and(|text| suffix.ends(text)),
            Test::IgnoringCase(wanted) => {
                text.is_some_and(|text| text.to_lowercase() == wanted.to_lowercase())
            }
            Test::Wildcard(pattern) => text.is_some_and(|text| wildcard(pattern, text)),
            Test::Numeric(tests) => value.as_f64().is_some_and(|value| {
                tests.iter().all(|(compare, than)| compare.holds(value, *than))
            }),
            Test::Cidr(network, bits) => text
                .and_then(|text| text.parse::<IpAddr>().ok())
                .is_some_and(|address| in_network(address, *network, *bits)),
            // These are about the field, not about one value of it.
            Test::Exists(_) | Test::AnythingBut(_) => false,
        }
    }
}

impl Text {
    fn read(json: &Json) -> Option<Text> {
        let folded = json.member("equals-ignore-case");
        let text = folded.unwrap_or(json).as_str()?;
        Some(Text { text: text.into(), ignoring_case: folded.is_some() })
    }

    fn begins(&self, text: &str) -> bool {
        if self.ignoring_case {
            text.to_lowercase().starts_with(&self.text.to_lowercase())
        } else {
            text.starts_with(&*self.text)
        }
    }

    fn ends(&self, text: &str) -> bool {
        if self.ignoring_case {
            text.to_lowercase().ends_with(&self.text.to_lowercase())
        } else {
            text.ends_with(&*self.text)
        }
    }
}

impl Compare {
    fn holds(self, value: f64, than: f64) -> bool {
        match self {
            Compare::Less => value < than,
            Compare::AtMost => value <= than,
            Compare::Equal => value == than,
            Compare::AtLeast => value >= than,
            Compare::More => value > than,
        }
    }
}

/// `{"prefix": …}` and others of text within `anything-but`, with one value or several.
fn anything_but(inner: &stepwire_asl::json::Object) -> Option<Result<Vec<Test>, Invalid>> {
    let (name, value) = inner.first().filter(|_| inner.len() == 1)?;
    if !matches!(&**name, "prefix" | "suffix" | "equals-ignore-case" | "wildcard") {
        return None;
    }
    let values = value.as_array().map_or_else(|| vec![value.clone()], <[Json]>::to_vec);
    let test = |value| Test::read(&Json::object([(Arc::clone(name), value)]));
    Some(values.into_iter().map(test).collect())
}

fn numeric(value: &Json) -> Option<Vec<(Compare, f64)>> {
    let parts = value.as_array()?;
    let test = |pair: &[Json]| {
        let compare = match pair[0].as_str()? {
            "<" => Compare::Less,
            "<=" => Compare::AtMost,
            "=" => Compare::Equal,
            ">=" => Compare::AtLeast,
            ">" => Compare::More,
            _ => return None,
        };
        Some((compare, pair[1].as_f64()?))
    };
    let fits = matches!(parts.len(), 2 | 4);
    fits.then(|| parts.chunks(2).map(test).collect())?
}

fn cidr(value: &Json) -> Option<(IpAddr, u32)> {
    let (address, bits) = value.as_str()?.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let bits = bits.parse().ok()?;
    (bits <= if address.is_ipv4() { 32 } else { 128 }).then_some((address, bits))
}

fn in_network(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let v4 = |address: Ipv4Addr| u128::from(address.to_bits()) << 96;
    let v6 = |address: Ipv6Addr| address.to_bits();
    let (a, b) = match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (v4(a), v4(b)),
        (IpAddr::V6(a), IpAddr::V6(b)) => (v6(a), v6(b)),
        _ => return false,
    };
    bits == 0 || (a ^ b) >> (128 - bits) == 0
}

/// Whether a text is as a pattern with `*` says; `\*` is a star. Takes time for neither more than
/// their product.
fn wildcard(pattern: &str, text: &str) -> bool {
    let mut parts = vec![String::new()];
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' => parts.push(String::new()),
            '\\' => parts.last_mut().into_iter().for_each(|part| part.extend(chars.next())),
            c => parts.last_mut().into_iter().for_each(|part| part.push(c)),
        }
    }
    let (Some((first, middle)), true) = (parts.split_first(), parts.len() > 1) else {
        return parts.first().is_some_and(|whole| whole == text);
    };
    let Some((last, middle)) = middle.split_last() else { return false };
    let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
    for part in middle {
        match rest.find(part.as_str()) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Patterns, and events with whether they match.
    const CASES: &[(&str, &[(&str, bool)])] = &[
        (
            r#"{"a":["x",3,null,true]}"#,
            &[
                (r#"{"a":"x"}"#, true),
                (r#"{"a":3.0}"#, true),
                (r#"{"a":null}"#, true),
                (r#"{"a":true}"#, true),
                (r#"{"a":"3"}"#, false),
                (r#"{"a":["y","x"]}"#, true),
                (r#"{"b":"x"}"#, false),
            ],
        ),
        (
            r#"{"a":{"b":["x"]},"c":["y"]}"#,
            &[
                (r#"{"a":{"b":"x"},"c":"y"}"#, true),
                (r#"{"a":{"b":"x"},"c":"z"}"#, false),
                (r#"{"a":[{"b":"w"},{"b":"x"}],"c":"y"}"#, true),
                (r#"{"a":"x","c":"y"}"#, false),
            ],
        ),
        (
            r#"{"a":[{"prefix":"ab"},{"suffix":{"equals-ignore-case":".PNG"}}]}"#,
            &[(r#"{"a":"abc"}"#, true), (r#"{"a":"x.png"}"#, true), (r#"{"a":"ABC"}"#, false)],
        ),
        (
            r#"{"a":[{"anything-but":["x",1]}]}"#,
            &[
                (r#"{"a":"y"}"#, true),
                (r#"{"a":"x"}"#, false),
                (r#"{"a":1}"#, false),
                (r#"{"a":{"b":1}}"#, false),
                (r#"{"a":[]}"#, false),
                (r#"{"a":[{"b":1},"y"]}"#, true),
                ("{}", false),
            ],
        ),
        (
            r#"{"a":[{"anything-but":{"prefix":["x","y"]}}]}"#,
            &[(r#"{"a":"xa"}"#, false), (r#"{"a":"ya"}"#, false), (r#"{"a":"za"}"#, true)],
        ),
        (
            r#"{"a":[{"numeric":[">",0,"<=",5]}]}"#,
            &[(r#"{"a":5}"#, true), (r#"{"a":0}"#, false), (r#"{"a":"3"}"#, false)],
        ),
        (
            r#"{"a":{"b":[{"exists":false}]}}"#,
            &[("{}", true), (r#"{"a":{}}"#, true), (r#"{"a":{"b":null}}"#, false)],
        ),
        (
            r#"{"a":[{"exists":true}]}"#,
            &[
                (r#"{"a":0}"#, true),
                (r#"{"a":null}"#, true),
                (r#"{"a":[[1]]}"#, true),
                (r#"{"a":[]}"#, false),
                (r#"{"a":{}}"#, false),
                (r#"{"a":{"b":1}}"#, false),
                ("{}", false),
            ],
        ),
        (
            r#"{"a":[{"exists":false}]}"#,
            &[("{}", true), (r#"{"a":{"b":1}}"#, true), (r#"{"a":null}"#, false)],
        ),
        (
            r#"{"a":[{"wildcard":"dir/*.png"},{"wildcard":"a*b*c"}]}"#,
            &[
                (r#"{"a":"dir/x.png"}"#, true),
                (r#"{"a":"aXbYc"}"#, true),
                (r#"{"a":"ac"}"#, false),
                (r#"{"a":"dir/x.gif"}"#, false),
            ],
        ),
        (
            r#"{"a":[{"cidr":"10.0.0.0/24"}]}"#,
            &[
                (r#"{"a":"10.0.0.255"}"#, true),
                (r#"{"a":"10.0.1.0"}"#, false),
                (r#"{"a":"text"}"#, false),
            ],
        ),
        (
            r#"{"$or":[{"a":["x"]},{"b":["y"]}]}"#,
            &[(r#"{"a":"x"}"#, true), (r#"{"b":"y"}"#, true), (r#"{"a":"y"}"#, false)],
        ),
    ];

    #[test]
    fn events_match_as_the_guide_says() {
        for (text, events) in CASES {
            let pattern = Pattern::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
            for (event, matches) in *events {
                let event_json = Json::parse(event).expect("an event is JSON");
                assert_eq!(pattern.matches(&event_json), *matches, "{text} on {event}");
            }
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for bad in [
            "x",
            "[]",
            "{}",
            r#"{"a":"x"}"#,
            r#"{"a":[]}"#,
            r#"{"a":[{"nope":1}]}"#,
            r#"{"a":[{"prefix":1}]}"#,
            r#"{"a":[{"numeric":[">"]}]}"#,
            r#"{"a":[{"cidr":"10.0.0.0/33"}]}"#,
            r#"{"a":[["x"]]}"#,
        ] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }
}
