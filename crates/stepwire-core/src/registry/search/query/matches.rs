//! Whether a query matches.

use super::{Bound, Field, Node, Query, Term, Test};

/// What a query is asked about: the values of its fields, folded as [`fold`](super::fold) does.
pub trait Values {
    /// Whether `is` holds for one of the values of `field`.
    fn any(&self, field: &Field, is: &mut dyn FnMut(&str) -> bool) -> bool;
}

impl Query {
    /// Whether what has these values is looked for.
    pub fn matches(&self, values: &dyn Values) -> bool {
        matches(&self.root, values)
    }
}

fn matches(node: &Node, values: &dyn Values) -> bool {
    match node {
        Node::Nothing => false,
        Node::All => true,
        Node::And(parts) => parts.iter().all(|part| matches(part, values)),
        Node::Or(parts) => parts.iter().any(|part| matches(part, values)),
        Node::Not(inner) => !matches(inner, values),
        Node::Term(term) => values.any(&term.field, &mut |value| term.holds(value)),
    }
}

impl Term {
    /// Whether it holds for this value, which is folded.
    pub fn holds(&self, value: &str) -> bool {
        if self.field.has_words() {
            return self.holds_for_words(value);
        }
        self.test.holds(value)
    }

    /// A word is one of the value's words, a phrase a run of them.
    fn holds_for_words(&self, value: &str) -> bool {
        match &self.test {
            Test::Is(phrase) if phrase.contains(' ') => {
                let words: Vec<&str> = value.split_whitespace().collect();
                let wanted: Vec<&str> = phrase.split(' ').collect();
                words.windows(wanted.len()).any(|run| run == wanted)
            }
            test => value.split_whitespace().any(|word| test.holds(word)),
        }
    }
}

impl Test {
    /// Whether it holds for this value, which is folded.
    pub fn holds(&self, value: &str) -> bool {
        match self {
            Test::Any => true,
            Test::Is(text) => text.as_ref() == value,
            Test::Like(pattern) => pattern.matches(value),
            Test::Numbers { from, to } => {
                let Some(value) = number(value) else { return false };
                above(from.as_ref(), |at| value > *at, |at| value >= *at)
                    && above(to.as_ref(), |at| value < *at, |at| value <= *at)
            }
            Test::Texts { from, to } => {
                above(from.as_ref(), |at| value > at.as_ref(), |at| value >= at.as_ref())
                    && above(to.as_ref(), |at| value < at.as_ref(), |at| value <= at.as_ref())
            }
        }
    }
}

fn above<T>(
    bound: Option<&Bound<T>>,
    beyond: impl Fn(&T) -> bool,
    reaches: impl Fn(&T) -> bool,
) -> bool {
    bound.is_none_or(|bound| if bound.included { reaches(&bound.at) } else { beyond(&bound.at) })
}

/// The number that `text` is; words such as `inf` are none.
pub(in crate::registry::search) fn number(text: &str) -> Option<f64> {
    let begins = text.as_bytes().first().copied()?;
    if !(begins.is_ascii_digit() || matches!(begins, b'-' | b'+' | b'.')) {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}
