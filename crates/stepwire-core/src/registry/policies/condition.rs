//! Conditions of a statement.
//!
//! Source: IAM user guide, "Condition operators" and "Multivalued context keys", of which AWS IoT
//! takes what its keys have types for.

use std::net::IpAddr;

use stepwire_asl::diagnostic::nearest;
use stepwire_asl::{Json, Timestamp};

use super::facts::Facts;
use super::malformed::Malformed;
use super::pattern::{Pattern, Wildcards};
use super::variable::Variable;

/// One key under one operator, with the values it is compared to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Condition {
    key: Variable,
    test: Test,
    /// `…NotEquals` and the like: no value may pass the test.
    negated: bool,
    /// `…IfExists`: a key without a value passes.
    if_exists: bool,
    of: Of,
}

/// Which of a key's values the test is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    One,
    All,
    Any,
}

/// What passes; a list is passed by what passes one of its items.
#[derive(Debug, Clone, PartialEq)]
enum Test {
    Text {
        wanted: Vec<Pattern>,
        case: Case,
    },
    Number(Compare, Vec<f64>),
    Date(Compare, Vec<i64>),
    Bool(Vec<bool>),
    Ip(Vec<Network>),
    /// Whether the key must be absent.
    Null(Vec<bool>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Matters,
    Ignored,
    /// It matters, and the value must be an ARN.
    Arn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compare {
    Equals,
    Less,
    LessEquals,
    Greater,
    GreaterEquals,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u32,
}

/// The operators without prefix and suffix.
const OPERATORS: [&str; 26] = [
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    "StringLike",
    "StringNotLike",
    "NumericEquals",
    "NumericNotEquals",
    "NumericLessThan",
    "NumericLessThanEquals",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
    "DateEquals",
    "DateNotEquals",
    "DateLessThan",
    "DateLessThanEquals",
    "DateGreaterThan",
    "DateGreaterThanEquals",
    "Bool",
    "IpAddress",
    "NotIpAddress",
    "ArnEquals",
    "ArnNotEquals",
    "ArnLike",
    "ArnNotLike",
    "Null",
];

/// The conditions of a statement, all of which must hold.
pub(super) fn parse(json: &Json) -> Result<Vec<Condition>, Malformed> {
    let operators =
        json.as_object().ok_or_else(|| Malformed::new("it must be an object of operators"))?;
    let mut conditions = Vec::new();
    for (operator, keys) in operators {
        let at_operator = |fault: Malformed| fault.within(operator);
        let parsed = Operator::parse(operator).map_err(at_operator)?;
        let keys = keys.as_object().ok_or_else(|| {
            at_operator(Malformed::new("it must be an object of keys and values"))
        })?;
        for (key, values) in keys {
            let condition = parsed.condition(key, values);
            conditions.push(condition.map_err(|fault| fault.within(key).within(operator))?);
        }
    }
    Ok(conditions)
}

/// An operator taken apart.
struct Operator<'a> {
    base: &'a str,
    if_exists: bool,
    of: Of,
}

impl<'a> Operator<'a> {
    fn parse(text: &'a str) -> Result<Operator<'a>, Malformed> {
        let (of, rest) = match text.split_once(':') {
            Some(("ForAllValues", rest)) => (Of::All, rest),
            Some(("ForAnyValue", rest)) => (Of::Any, rest),
            _ => (Of::One, text),
        };
        let (base, if_exists) = match rest.strip_suffix("IfExists") {
            Some(base) => (base, true),
            None => (rest, false),
        };
        if OPERATORS.contains(&base) && !(base == "Null" && (if_exists || of != Of::One)) {
            return Ok(Operator { base, if_exists, of });
        }
        let fault = Malformed::new(format!("`{text}` is no operator of conditions"));
        Err(match nearest(base, OPERATORS.iter().copied()).filter(|known| *known != base) {
            Some(known) => fault.hint(format!("did you mean `{known}`?")),
            None => fault,
        })
    }

    fn condition(&self, key: &str, values: &Json) -> Result<Condition, Malformed> {
        let key = Variable::parse(key)?;
        let values = texts(values)?;
        let positive = self.base.replace("Not", "");
        let negated = positive != self.base;
        let test = match positive.as_str() {
            "StringEquals" => text(&values, Wildcards::Literal, Case::Matters)?,
            "StringEqualsIgnoreCase" => text(&values, Wildcards::Literal, Case::Ignored)?,
            "StringLike" => text(&values, Wildcards::Match, Case::Matters)?,
            "ArnEquals" | "ArnLike" => text(&values, Wildcards::Match, Case::Arn)?,
            "Bool" => Test::Bool(each(&values, boolean, "`true` or `false`")?),
            "Null" => Test::Null(each(&values, boolean, "`true` or `false`")?),
            "IpAddress" => Test::Ip(each(&values, network, "an address or a CIDR block")?),
            other => match other.strip_prefix("Numeric") {
                Some(word) => Test::Number(compare(word), each(&values, number, "a number")?),
                None => {
                    let word = other.trim_start_matches("Date");
                    Test::Date(compare(word), each(&values, date, "a date in ISO 8601")?)
                }
            },
        };
        Ok(Condition { key, test, negated, if_exists: self.if_exists, of: self.of })
    }
}

impl Condition {
    /// Whether it holds.
    pub(super) fn holds(&self, facts: &Facts<'_>) -> bool {
        let (mut passed, mut failed) = (0_usize, 0_usize);
        let present = facts.each(&self.key, &mut |value| {
            if self.test.passes(value, facts) == self.negated {
                failed += 1;
            } else {
                passed += 1;
            }
        });
        if let Test::Null(wanted) = &self.test {
            let absent = !present || passed + failed == 0;
            return wanted.contains(&absent);
        }
        match self.of {
            Of::All => failed == 0,
            Of::Any if !present => self.if_exists,
            Of::One if !present => self.if_exists || self.negated,
            // A key with several values: none may be what is not wanted, one must be what is.
            Of::One if self.negated => failed == 0,
            Of::One | Of::Any => passed > 0,
        }
    }

    /// The variables it needs.
    pub(super) fn variables(&self) -> impl Iterator<Item = &Variable> {
        let patterns = match &self.test {
            Test::Text { wanted, .. } => wanted.as_slice(),
            _ => &[],
        };
        std::iter::once(&self.key).chain(patterns.iter().flat_map(Pattern::variables))
    }
}

impl Test {
    fn passes(&self, value: &str, facts: &Facts<'_>) -> bool {
        match self {
            Test::Text { wanted, case: Case::Ignored } => {
                let value = value.to_lowercase();
                wanted.iter().any(|wanted| wanted.filled(facts).to_lowercase() == value)
            }
            Test::Text { wanted, case } => {
                (*case != Case::Arn || value.starts_with("arn:"))
                    && wanted.iter().any(|wanted| wanted.matches(value, facts))
            }
            Test::Number(compare, wanted) => {
                number(value).is_some_and(|value| compare.any(&value, wanted))
            }
            Test::Date(compare, wanted) => {
                date(value).is_some_and(|value| compare.any(&value, wanted))
            }
            Test::Bool(wanted) => boolean(value).is_some_and(|value| wanted.contains(&value)),
            Test::Ip(wanted) => value
                .parse()
                .is_ok_and(|address: IpAddr| wanted.iter().any(|network| network.has(address))),
            Test::Null(_) => true,
        }
    }
}

impl Compare {
    fn any<T: PartialOrd>(self, value: &T, wanted: &[T]) -> bool {
        wanted.iter().any(|wanted| match self {
            Compare::Equals => value == wanted,
            Compare::Less => value < wanted,
            Compare::LessEquals => value <= wanted,
            Compare::Greater => value > wanted,
            Compare::GreaterEquals => value >= wanted,
        })
    }
}

fn compare(word: &str) -> Compare {
    match word {
        "LessThan" => Compare::Less,
        "LessThanEquals" => Compare::LessEquals,
        "GreaterThan" => Compare::Greater,
        "GreaterThanEquals" => Compare::GreaterEquals,
        _ => Compare::Equals,
    }
}

fn text(values: &[String], wildcards: Wildcards, case: Case) -> Result<Test, Malformed> {
    let wanted: Result<_, _> =
        values.iter().map(|value| Pattern::parse(value, wildcards)).collect();
    Ok(Test::Text { wanted: wanted?, case })
}

fn each<T>(
    values: &[String],
    parse: impl Fn(&str) -> Option<T>,
    what: &str,
) -> Result<Vec<T>, Malformed> {
    let parsed = values.iter().map(|value| {
        parse(value).ok_or_else(|| Malformed::new(format!("`{value}` is not {what}")))
    });
    parsed.collect()
}

/// The values of a key: one or a list, as text whatever their type.
fn texts(json: &Json) -> Result<Vec<String>, Malformed> {
    let one = |json: &Json| match json {
        Json::String(text) => Ok(text.to_string()),
        Json::Number(_) | Json::Bool(_) => Ok(json.to_text()),
        Json::Null | Json::Array(_) | Json::Object(_) => {
            Err(Malformed::new("a value must be text, a number or a truth value"))
        }
    };
    match json {
        Json::Array(items) => items
            .iter()
            .enumerate()
            .map(|(at, item)| one(item).map_err(|fault| fault.within(at)))
            .collect(),
        json => Ok(vec![one(json)?]),
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        text if text.eq_ignore_ascii_case("true") => Some(true),
        text if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// Milliseconds of the Unix epoch, from ISO 8601 or whole seconds.
fn date(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<i64>() {
        return seconds.checked_mul(1000);
    }
    let day = format!("{text}T00:00:00Z");
    Timestamp::parse(text).or_else(|| Timestamp::parse(&day)).map(|at| at.0)
}

fn network(text: &str) -> Option<Network> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Some(most), |bits| bits.parse().ok())?;
    (bits <= most).then_some(Network { address, bits })
}

impl Network {
    fn has(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - self.bits).unwrap_or(0);
                u32::from(network) & mask == u32::from(address) & mask
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - self.bits).unwrap_or(0);
                u128::from(network) & mask == u128::from(address) & mask
            }
            _ => false,
        }
    }
}
