//! Choice rules in JSONPath.

use std::cmp::Ordering;

use crate::json::Object;
use crate::path::Path;
use crate::scope::{Failure, Scope};
use crate::{Json, Timestamp};

/// Rules within rules.
const DEPTH_MAX: usize = 32;

/// A compiled rule, without its `Next`.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// All hold.
    And(Vec<Rule>),
    /// At least one holds.
    Or(Vec<Rule>),
    /// The rule does not hold.
    Not(Box<Rule>),
    /// A value compared.
    Compare(Box<Comparison>),
}

/// One comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    variable: Path,
    operator: Operator,
    against: Against,
}

#[derive(Debug, Clone, PartialEq)]
enum Against {
    Value(Json),
    Path(Path),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Order(Type, Test),
    Matches,
    IsPresent,
    IsNull,
    IsNumeric,
    IsString,
    IsBoolean,
    IsTimestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    String,
    Numeric,
    Timestamp,
    Boolean,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Test {
    Equals,
    LessThan,
    LessThanEquals,
    GreaterThan,
    GreaterThanEquals,
}

impl Rule {
    /// The rule that `value` writes, as it stands in `Choices` with its `Next`; `place` is where.
    pub fn compile(value: &Json, place: &str) -> Result<Rule, Vec<Error>> {
        compile(value, place, 0)
    }

    /// Whether it holds.
    pub fn matches(&self, scope: &Scope<'_>) -> Result<bool, Failure> {
        match self {
            Rule::And(rules) => {
                for rule in rules {
                    if !rule.matches(scope)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Rule::Or(rules) => {
                for rule in rules {
                    if rule.matches(scope)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Rule::Not(rule) => Ok(!rule.matches(scope)?),
            Rule::Compare(comparison) => comparison.holds(scope),
        }
    }
}

/// A rule that cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Where it stands.
    pub place: String,
    /// What is wrong.
    pub message: String,
}

fn fail<T>(place: impl Into<String>, message: impl Into<String>) -> Result<T, Vec<Error>> {
    Err(vec![Error { place: place.into(), message: message.into() }])
}

fn compile(value: &Json, place: &str, depth: usize) -> Result<Rule, Vec<Error>> {
    let Some(members) = value.as_object() else {
        return fail(place, "Expected value of type Object");
    };
    if depth > DEPTH_MAX {
        return fail(place, format!("Rules are nested more than {DEPTH_MAX} deep"));
    }
    // Only a rule of `Choices` itself says where to go.
    let around: &[&str] = if depth == 0 { &["Next", "Comment", "Assign"] } else { &["Comment"] };
    let own = members.iter().filter(|(name, _)| !around.contains(&name.as_ref()));
    let own: Vec<(&str, &Json)> = own.map(|(name, value)| (name.as_ref(), value)).collect();
    if let Some((name, _)) = own.iter().find(|(name, _)| !is_known(name)) {
        return match *name {
            "Condition" | "Output" => fail(
                place,
                format!(
                    "The QueryLanguage is set to 'JSONPath', but field '{name}' is only supported for the 'JSONata' QueryLanguage"
                ),
            ),
            _ => fail(place, format!("Field '{name}' is not supported")),
        };
    }
    match own.as_slice() {
        [(name @ ("And" | "Or"), inner)] => {
            let Some(items) = inner.as_array() else {
                return fail(format!("{place}/{name}"), "Expected value of type Array");
            };
            if items.is_empty() {
                return fail(format!("{place}/{name}"), "Value cannot be empty");
            }
            let numbered = items.iter().enumerate();
            let rules = numbered
                .map(|(at, item)| compile(item, &format!("{place}/{name}[{at}]"), depth + 1));
            let rules = rules.collect::<Result<Vec<_>, _>>()?;
            Ok(if *name == "And" { Rule::And(rules) } else { Rule::Or(rules) })
        }
        [("Not", inner)] => {
            Ok(Rule::Not(Box::new(compile(inner, &format!("{place}/Not"), depth + 1)?)))
        }
        _ => comparison(members, &own, place),
    }
}

fn is_known(name: &str) -> bool {
    matches!(name, "And" | "Or" | "Not" | "Variable") || operator(name).is_some()
}

fn comparison(members: &Object, own: &[(&str, &Json)], place: &str) -> Result<Rule, Vec<Error>> {
    let Some(variable) = members.get("Variable") else {
        return fail(place, "These fields are required: [Variable]");
    };
    let Some(Ok(variable)) = variable.as_str().map(Path::parse) else {
        return fail(format!("{place}/Variable"), "Value is not a Reference Path");
    };
    let [(name, value)] =
        own.iter().filter(|(name, _)| *name != "Variable").collect::<Vec<_>>()[..]
    else {
        return fail(place, "There should be exactly one comparison operator");
    };
    let Some((operator, by_path)) = operator(name) else {
        return fail(place, format!("Field '{name}' is not supported beside 'Variable'"));
    };
    let at = format!("{place}/{name}");
    let against = if by_path {
        match value.as_str().map(Path::parse) {
            Some(Ok(path)) => Against::Path(path),
            _ => return fail(at, "Value is not a Reference Path"),
        }
    } else if operator.takes(value) {
        Against::Value((*value).clone())
    } else if operator.wants() == "Timestamp" && value.as_str().is_some() {
        return fail(at, "String does not match RFC3339 timestamp");
    } else {
        return fail(at, format!("Expected value of type {}", operator.wants()));
    };
    Ok(Rule::Compare(Box::new(Comparison { variable, operator, against })))
}

/// The operator of this name, and whether it compares against a path.
fn operator(name: &str) -> Option<(Operator, bool)> {
    let plain = match name {
        "StringMatches" => Operator::Matches,
        "IsPresent" => Operator::IsPresent,
        "IsNull" => Operator::IsNull,
        "IsNumeric" => Operator::IsNumeric,
        "IsString" => Operator::IsString,
        "IsBoolean" => Operator::IsBoolean,
        "IsTimestamp" => Operator::IsTimestamp,
        _ => {
            let (stem, by_path) = match name.strip_suffix("Path") {
                Some(stem) => (stem, true),
                None => (name, false),
            };
            let kinds = [
                ("String", Type::String),
                ("Numeric", Type::Numeric),
                ("Timestamp", Type::Timestamp),
                ("Boolean", Type::Boolean),
            ];
            let (kind, test) = kinds
                .into_iter()
                .find_map(|(prefix, kind)| Some((kind, stem.strip_prefix(prefix)?)))?;
            let test = match test {
                "Equals" => Test::Equals,
                _ if kind == Type::Boolean => return None,
                "LessThan" => Test::LessThan,
                "LessThanEquals" => Test::LessThanEquals,
                "GreaterThan" => Test::GreaterThan,
                "GreaterThanEquals" => Test::GreaterThanEquals,
                _ => return None,
            };
            return Some((Operator::Order(kind, test), by_path));
        }
    };
    Some((plain, false))
}

impl Operator {
    fn takes(self, value: &Json) -> bool {
        match self {
            Operator::Order(Type::String, _) | Operator::Matches => value.as_str().is_some(),
            Operator::Order(Type::Numeric, _) => matches!(value, Json::Number(_)),
            Operator::Order(Type::Timestamp, _) => value.as_str().is_some_and(is_timestamp),
            Operator::Order(Type::Boolean, _)
            | Operator::IsPresent
            | Operator::IsNull
            | Operator::IsNumeric
            | Operator::IsString
            | Operator::IsBoolean
            | Operator::IsTimestamp => value.as_bool().is_some(),
        }
    }

    fn wants(self) -> &'static str {
        match self {
            Operator::Order(Type::String, _) | Operator::Matches => "String",
            Operator::Order(Type::Numeric, _) => "Number",
            Operator::Order(Type::Timestamp, _) => "Timestamp",
            _ => "Boolean",
        }
    }
}

impl Comparison {
    fn holds(&self, scope: &Scope<'_>) -> Result<bool, Failure> {
        let value = self.variable.read(scope);
        let wanted = match &self.against {
            Against::Value(value) => value.clone(),
            Against::Path(path) => path.read(scope).map_err(|_| invalid(path))?,
        };
        if self.operator == Operator::IsPresent {
            return Ok(wanted.as_bool() == Some(value.is_ok()));
        }
        let value = value.map_err(|_| invalid(&self.variable))?;
        let is = |found: bool| wanted.as_bool() == Some(found);
        Ok(match self.operator {
            Operator::Order(kind, test) => {
                order(kind, &value, &wanted).is_some_and(|o| test.holds(o))
            }
            Operator::Matches => match (value.as_str(), wanted.as_str()) {
                (Some(text), Some(pattern)) => glob(pattern, text),
                _ => false,
            },
            Operator::IsPresent => false,
            Operator::IsNull => is(value.is_null()),
            Operator::IsNumeric => is(matches!(value, Json::Number(_))),
            Operator::IsString => is(value.as_str().is_some()),
            Operator::IsBoolean => is(value.as_bool().is_some()),
            Operator::IsTimestamp => is(value.as_str().is_some_and(is_timestamp)),
        })
    }
}

fn invalid(path: &Path) -> Failure {
    let cause = format!(
        "Invalid path '{}': The choice state's condition path references an invalid value.",
        path.text()
    );
    Failure::new("States.Runtime", cause)
}

fn is_timestamp(text: &str) -> bool {
    Timestamp::parse(text).is_some()
}

/// How two values of one type order; `None` for unlike types.
fn order(kind: Type, left: &Json, right: &Json) -> Option<Ordering> {
    match kind {
        Type::String => Some(left.as_str()?.cmp(right.as_str()?)),
        Type::Boolean => Some(left.as_bool()?.cmp(&right.as_bool()?)),
        Type::Timestamp => {
            let instant = |value: &Json| value.as_str()?.parse::<jiff::Timestamp>().ok();
            Some(instant(left)?.cmp(&instant(right)?))
        }
        Type::Numeric => match (left, right) {
            (Json::Number(a), Json::Number(b)) => match (a.as_i64(), b.as_i64()) {
                (Some(a), Some(b)) => Some(a.cmp(&b)),
                _ => a.as_f64().partial_cmp(&b.as_f64()),
            },
            _ => None,
        },
    }
}

impl Test {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Test::Equals => order == Ordering::Equal,
            Test::LessThan => order == Ordering::Less,
            Test::LessThanEquals => order != Ordering::Greater,
            Test::GreaterThan => order == Ordering::Greater,
            Test::GreaterThanEquals => order != Ordering::Less,
        }
    }
}

/// Whether `text` matches `pattern`, in which `*` stands for any run and `\` quotes what follows.
/// Takes time in proportion to the product of the lengths at the most.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts: Vec<Option<char>> = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => parts.push(Some(chars.next().unwrap_or('\\'))),
            '*' => parts.push(None),
            c => parts.push(Some(c)),
        }
    }
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match parts.get(p) {
            Some(Some(c)) if *c == text[t] => (p, t) = (p + 1, t + 1),
            Some(None) => {
                star = Some((p, t));
                p += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    parts[p..].iter().all(Option::is_none)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::Timestamp;

    fn holds(rule: &str, input: &str) -> bool {
        let rule = Rule::compile(&Json::parse(rule).expect("JSON"), "").expect("a rule");
        let input = Json::parse(input).expect("JSON");
        let variables = BTreeMap::new();
        let scope = Scope::new(&input, &Json::Null, &variables, Timestamp(0));
        rule.matches(&scope).unwrap_or(false)
    }

    #[test]
    fn unlike_types_never_match() {
        assert!(!holds(r#"{"Variable":"$.a","NumericEquals":1}"#, r#"{"a":"1"}"#));
        assert!(!holds(r#"{"Variable":"$.a","StringLessThan":"b"}"#, r#"{"a":1}"#));
        assert!(holds(r#"{"Variable":"$.a","IsBoolean":false}"#, r#"{"a":"x"}"#));
    }

    #[test]
    fn numbers_and_timestamps_compare_by_value() {
        assert!(holds(r#"{"Variable":"$.a","NumericEquals":1}"#, r#"{"a":1.0}"#));
        assert!(holds(r#"{"Variable":"$.a","NumericGreaterThanPath":"$.b"}"#, r#"{"a":2,"b":1}"#));
        let rule = r#"{"Variable":"$.t","TimestampLessThan":"2026-01-01T00:00:00Z"}"#;
        assert!(holds(rule, r#"{"t":"2025-12-31T23:59:59.5+00:00"}"#));
        assert!(!holds(rule, r#"{"t":"2025-12-31"}"#));
    }

    #[test]
    fn globs_take_stars_and_escapes() {
        assert!(glob("foo*.log", "foo-23.log") && glob("*", "") && glob(r"a\*b", "a*b"));
        assert!(!glob(r"a\*b", "axb") && !glob("a*b", "a"));
        let long = "a".repeat(20_000);
        assert!(!glob("*a*a*a*b", &long));
    }

    #[test]
    fn rules_combine() {
        let rule = r#"{"And":[{"Variable":"$.r","IsPresent":true},
            {"Not":{"Variable":"$.r.s","StringMatches":"F*"}}]}"#;
        assert!(holds(rule, r#"{"r":{"s":"SUCCESS"}}"#));
        assert!(!holds(rule, r#"{"r":{"s":"FAIL"}}"#) && !holds(rule, "{}"));
    }
}
