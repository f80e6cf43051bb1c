//! Filters of paths: `[?(@.n > 1 && @.s =~ /x.*/)]`.

use super::{Step, select, walk};
use crate::Json;
use crate::json::Number;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    Or(Vec<Test>),
    And(Vec<Test>),
    Not(Box<Test>),
    Exists(Operand),
    Compare(Operand, Compare, Operand),
    Matches(Operand, Pattern),
}

#[derive(Debug, Clone)]
pub(super) struct Pattern(pub(super) regex::Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compare {
    Equal,
    NotEqual,
    /// `===`: equal and of one type.
    Same,
    NotSame,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
    Contains,
    All,
    SubsetOf,
    AnyOf,
    NoneOf,
    Size,
    Empty,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    /// `@…`
    Item(Box<[Step]>),
    /// `$…`
    Whole(Box<[Step]>),
    Literal(Json),
}

impl Test {
    pub(super) fn holds(&self, whole: &Json, item: &Json, visits: &mut usize) -> bool {
        match self {
            Test::Or(tests) => tests.iter().any(|test| test.holds(whole, item, visits)),
            Test::And(tests) => tests.iter().all(|test| test.holds(whole, item, visits)),
            Test::Not(test) => !test.holds(whole, item, visits),
            Test::Exists(operand) => operand.value(whole, item, visits).is_some(),
            Test::Compare(left, how, right) => {
                let left = left.value(whole, item, visits);
                how.holds(left.as_ref(), right.value(whole, item, visits).as_ref())
            }
            Test::Matches(operand, pattern) => {
                let value = operand.value(whole, item, visits);
                value.as_ref().and_then(Json::as_str).is_some_and(|text| pattern.0.is_match(text))
            }
        }
    }
}

impl Compare {
    fn holds(self, left: Option<&Json>, right: Option<&Json>) -> bool {
        use std::cmp::Ordering::{Equal, Greater, Less};
        let order = || match (left?, right?) {
            (Json::Number(a), Json::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()),
            (Json::String(a), Json::String(b)) => Some(a.cmp(b)),
            _ => None,
        };
        match self {
            Compare::Equal => equal(left, right),
            Compare::NotEqual => !equal(left, right),
            Compare::Same => left == right,
            Compare::NotSame => left != right,
            Compare::Less => order() == Some(Less),
            Compare::LessOrEqual => matches!(order(), Some(Less | Equal)),
            Compare::Greater => order() == Some(Greater),
            Compare::GreaterOrEqual => matches!(order(), Some(Greater | Equal)),
            Compare::In | Compare::NotIn => {
                let within = match (left, right.and_then(Json::as_array)) {
                    (Some(left), Some(items)) => items.contains(left),
                    _ => false,
                };
                within == (self == Compare::In)
            }
            Compare::Contains => match (left, right) {
                (Some(Json::String(left)), Some(Json::String(right))) => left.contains(&**right),
                (Some(Json::Array(items)), Some(right)) => items.contains(right),
                _ => false,
            },
            Compare::All => lists(left, right)
                .is_some_and(|(left, right)| right.iter().all(|item| left.contains(item))),
            Compare::SubsetOf => lists(left, right)
                .is_some_and(|(left, right)| left.iter().all(|item| right.contains(item))),
            Compare::AnyOf => lists(left, right)
                .is_some_and(|(left, right)| left.iter().any(|item| right.contains(item))),
            Compare::NoneOf => lists(left, right)
                .is_some_and(|(left, right)| !left.iter().any(|item| right.contains(item))),
            Compare::Size => size(left)
                .is_some_and(|size| right.and_then(Json::as_i64) == i64::try_from(size).ok()),
            Compare::Empty => {
                size(left).is_some_and(|size| right.and_then(Json::as_bool) == Some(size == 0))
            }
        }
    }
}

/// As Jayway compares: a number and a text are equal when the text writes the number.
fn equal(left: Option<&Json>, right: Option<&Json>) -> bool {
    match (left, right) {
        (Some(Json::Number(number)), Some(Json::String(text)))
        | (Some(Json::String(text)), Some(Json::Number(number))) => {
            Number::from_text(text).is_some_and(|written| written == *number)
        }
        (left, right) => left == right,
    }
}

fn lists<'a>(left: Option<&'a Json>, right: Option<&'a Json>) -> Option<(&'a [Json], &'a [Json])> {
    Some((left?.as_array()?, right?.as_array()?))
}

/// Items of an array, characters of a text.
fn size(value: Option<&Json>) -> Option<usize> {
    match value? {
        Json::Array(items) => Some(items.len()),
        Json::String(text) => Some(text.chars().count()),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => None,
    }
}

impl Operand {
    fn value(&self, whole: &Json, item: &Json, visits: &mut usize) -> Option<Json> {
        let (from, steps) = match self {
            Operand::Literal(value) => return Some(value.clone()),
            Operand::Item(steps) => (item, steps),
            Operand::Whole(steps) => (whole, steps),
        };
        if !steps.iter().all(Step::is_definite) {
            return Some(select(whole, from, steps, visits));
        }
        let mut found = Vec::new();
        let (plain, function) = match steps.split_last() {
            Some((Step::Function(function), before)) => (before, Some(*function)),
            _ => (&steps[..], None),
        };
        walk(whole, from, plain, &mut found, visits);
        let value = found.pop()?;
        match function {
            Some(function) => function.of(&value),
            None => Some(value),
        }
    }
}
