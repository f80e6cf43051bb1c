//! `Retry` and `Catch`.

use std::sync::Arc;

use super::fields::Node;
use super::schema;
use super::state::OneState;
use crate::Json;
use crate::definition::{Catcher, QueryLanguage, Retrier};
use crate::diagnostic::Topic;

const RETRIER: &[&str] = &[
    "Comment",
    "ErrorEquals",
    "IntervalSeconds",
    "MaxAttempts",
    "BackoffRate",
    "MaxDelaySeconds",
    "JitterStrategy",
];
const CATCHER: &[&str] = &["Comment", "ErrorEquals", "Next", "ResultPath", "Output", "Assign"];
/// A year and a day: the longest interval and delay.
const DELAY_MAX_S: i64 = 31_622_400;

impl OneState<'_> {
    pub(super) fn retry(&mut self) -> Vec<Retrier> {
        let items = self.parser.array(self.node, "Retry").unwrap_or_default();
        items
            .iter()
            .enumerate()
            .filter_map(|(at, item)| self.retrier(item, at, items.len()))
            .collect()
    }

    fn retrier(&mut self, item: &Json, number: usize, count: usize) -> Option<Retrier> {
        let at = format!("{}/Retry[{number}]", self.node.at);
        let node = self.entry(item, &at, RETRIER)?;
        self.parser.required(node, &["ErrorEquals"]);
        let errors = self.errors(node, number + 1 == count);
        let parser = &mut *self.parser;
        let interval_s = parser.integer(node, "IntervalSeconds", 1, DELAY_MAX_S - 1).unwrap_or(1);
        let attempts_max = parser.integer(node, "MaxAttempts", 0, super::NUMBER_MAX).unwrap_or(3);
        let delay_max_s = parser.integer(node, "MaxDelaySeconds", 1, DELAY_MAX_S - 1);
        if delay_max_s.is_some_and(|most| most <= interval_s) {
            let why = "MaxDelaySeconds must be greater than IntervalSeconds";
            parser.fail(why, format!("{at}/MaxDelaySeconds"));
        }
        let backoff = node.members.get("BackoffRate").map_or(Some(2.0), Json::as_f64);
        let backoff = backoff.filter(|rate| rate.is_finite() && *rate >= 1.0);
        if backoff.is_none() {
            parser.fail("Minimum value is 1.0", format!("{at}/BackoffRate"));
        }
        let full_jitter = match parser.text(node, "JitterStrategy") {
            None | Some("NONE") => false,
            Some("FULL") => true,
            Some(_) => {
                parser.fail("Value is not one of [FULL, NONE]", format!("{at}/JitterStrategy"));
                false
            }
        };
        Some(Retrier {
            errors,
            interval_s: interval_s as f64,
            attempts_max: u32::try_from(attempts_max).unwrap_or(u32::MAX),
            backoff: backoff.unwrap_or(2.0),
            delay_max_s: delay_max_s.unwrap_or(DELAY_MAX_S) as f64,
            full_jitter,
        })
    }

    pub(super) fn catch(&mut self) -> Vec<Catcher> {
        let items = self.parser.array(self.node, "Catch").unwrap_or_default();
        items
            .iter()
            .enumerate()
            .filter_map(|(at, item)| self.catcher(item, at, items.len()))
            .collect()
    }

    fn catcher(&mut self, item: &Json, number: usize, count: usize) -> Option<Catcher> {
        let at = format!("{}/Catch[{number}]", self.node.at);
        let node = self.entry(item, &at, CATCHER)?;
        self.parser.required(node, &["ErrorEquals", "Next"]);
        let errors = self.errors(node, number + 1 == count);
        let next = self.next_of(node, "Next");
        let result_path = self.parser.result_path(node);
        let output = match self.parser.language {
            QueryLanguage::JsonPath => None,
            QueryLanguage::Jsonata => self.parser.template(node, "Output"),
        };
        let assign = self.parser.assign(node);
        Some(Catcher { errors, next: next?, result_path, output, assign })
    }

    fn entry<'a>(&mut self, item: &'a Json, at: &'a str, known: &[&str]) -> Option<Node<'a>> {
        let Some(members) = item.as_object() else {
            self.parser.fail("Expected value of type Object", at);
            return None;
        };
        let node = Node { members, at };
        self.parser.only(node, known);
        self.parser.text(node, "Comment");
        Some(node)
    }

    fn errors(&mut self, node: Node<'_>, last: bool) -> Vec<Arc<str>> {
        let Some(items) = self.parser.array(node, "ErrorEquals") else { return Vec::new() };
        let at = format!("{}/ErrorEquals", node.at);
        if items.is_empty() {
            self.parser.fail("Value cannot be empty", &at);
        }
        let mut errors = Vec::with_capacity(items.len());
        for (number, item) in items.iter().enumerate() {
            let at = format!("{at}[{number}]");
            match item.as_str() {
                Some("States.ALL") if items.len() > 1 || !last => {
                    let message = "States.ALL must appear alone and at end of list";
                    let finding = schema(message, &at).about(Topic::ErrorNames);
                    self.parser.errors.push(finding);
                }
                Some(name) => errors.push(name.into()),
                None => self.parser.fail("Expected value of type String", at),
            }
        }
        errors
    }
}
