//! Filters of paths: `[?(@.n > 1 && @.s =~ /x.*/)]`.

use super::{Step, select, walk};
use crate::Json;

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
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
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
            Compare::Equal => left == right,
            Compare::NotEqual => left != right,
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
        }
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
