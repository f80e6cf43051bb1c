//! The query language of fleet indexing: `thingTypeName:gateway AND connectivity.connected:true`.
//!
//! Words and phrases, `field:value`, wildcards, ranges, comparisons, AND, OR, NOT and `-`, groups
//! and groups of one field. What stands side by side is joined by AND. Values are compared without
//! regard to case, names of fields with regard to it. A word without a field is the name of a thing.
//!
//! Source: AWS IoT developer guide, "Query syntax" and "Example thing queries".
//!
//! Read in this order: [`Query::parse`], [`Node`], [`Term`], [`Query::matches`].

mod field;
mod matches;
mod parser;
mod pattern;
mod scan;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub use field::{Field, Schema};
pub use matches::Values;
pub(super) use matches::number;
pub use pattern::Pattern;

/// Most terms in a query. Source: AWS IoT developer guide, "Query syntax".
pub const TERMS_MAX: usize = 12;
/// Most characters of a query.
pub const LENGTH_MAX: usize = 1_000;
/// Most characters of a query with a wildcard at the beginning of a term.
const LEADING_LENGTH_MAX: usize = 100;
/// Deepest nesting of groups and negations.
const DEPTH_MAX: usize = 20;

/// A query that has been understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    root: Node,
}

/// A part of a query.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// Matches nothing: what a query of blanks means.
    Nothing,
    /// Matches everything: `*`.
    All,
    /// All of these match; at least two.
    And(Vec<Node>),
    /// One of these matches; at least two.
    Or(Vec<Node>),
    /// This does not match.
    Not(Box<Node>),
    /// A field has such a value.
    Term(Term),
}

/// A condition on the values of one field; it holds if it holds for one of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    /// The field.
    pub field: Field,
    /// What its value must be.
    pub test: Test,
}

/// What a value must be. Text is folded: see [`fold`].
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// Anything: the field is there.
    Any,
    /// This text.
    Is(Arc<str>),
    /// Text of this form.
    Like(Pattern),
    /// A number between these.
    Numbers {
        /// From here; `None`: without a lower end.
        from: Option<Bound<f64>>,
        /// To here; `None`: without an upper end.
        to: Option<Bound<f64>>,
    },
    /// Text between these, in the order of its characters.
    Texts {
        /// From here; `None`: without a lower end.
        from: Option<Bound<Arc<str>>>,
        /// To here; `None`: without an upper end.
        to: Option<Bound<Arc<str>>>,
    },
}

/// An end of a range.
#[derive(Debug, Clone, PartialEq)]
pub struct Bound<T> {
    /// Where it is.
    pub at: T,
    /// Whether it belongs to the range.
    pub included: bool,
}

/// A query that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What is wrong.
    pub why: String,
    /// Where, in characters from the beginning, counted from 1; `None`: with the query as a whole.
    pub at: Option<usize>,
    /// What to write instead.
    pub hint: Option<String>,
    /// The query.
    pub text: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unable to parse query, {}", self.why)?;
        if let Some(at) = self.at {
            write!(f, ", at character {at}")?;
        }
        write!(f, ", query string: {}", self.text)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

impl Query {
    /// The query that `text` is, over things. Never panics; its cost and depth are bounded for any text.
    pub fn parse(text: &str) -> Result<Query, Error> {
        Query::over(Schema::Things, text)
    }

    /// The query that `text` is, over what `schema` says.
    pub fn over(schema: Schema, text: &str) -> Result<Query, Error> {
        parser::parse(schema, text).map(|root| Query { root })
    }

    /// What must hold.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// Calls `with` for each term.
    pub fn terms(&self, with: &mut dyn FnMut(&Term)) {
        fn walk(node: &Node, with: &mut dyn FnMut(&Term)) {
            match node {
                Node::Nothing | Node::All => {}
                Node::And(parts) | Node::Or(parts) => parts.iter().for_each(|it| walk(it, with)),
                Node::Not(inner) => walk(inner, with),
                Node::Term(term) => with(term),
            }
        }
        walk(&self.root, with);
    }
}

/// `text` as it is compared: in small letters.
pub fn fold(text: &Arc<str>) -> Arc<str> {
    if text.chars().any(char::is_uppercase) { text.to_lowercase().into() } else { Arc::clone(text) }
}
