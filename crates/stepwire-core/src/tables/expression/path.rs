//! Document paths, and what they select.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::parser::Parser;
use super::{Kind, Placeholders};
use crate::error::ApiError;
use crate::tables::value::{Attributes, Value};

/// Where in an item a value is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Path {
    /// The attribute.
    pub(crate) root: Arc<str>,
    /// The way down from there.
    pub(crate) rest: Vec<Element>,
}

/// One step down.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Element {
    /// Into a map.
    Member(Arc<str>),
    /// Into a list.
    Index(usize),
}

impl Path {
    /// The value there.
    pub(crate) fn read<'a>(&self, attributes: &'a Attributes) -> Option<&'a Value> {
        let root = attributes.get(&self.root)?;
        self.rest.iter().try_fold(root, |value, element| match (element, value) {
            (Element::Member(name), Value::M(members)) => members.get(name),
            (Element::Index(index), Value::L(items)) => items.get(*index),
            _ => None,
        })
    }
}

impl fmt::Display for Path {
    /// As in DynamoDB's messages: `[a, b, [0]]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}", self.root)?;
        for element in &self.rest {
            match element {
                Element::Member(name) => write!(f, ", {name}")?,
                Element::Index(index) => write!(f, ", [{index}]")?,
            }
        }
        f.write_str("]")
    }
}

/// A part of every item, as a set of paths of which none leads through another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Projection(BTreeMap<Arc<str>, Node>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Whole,
    Members(BTreeMap<Arc<str>, Node>),
    Elements(BTreeMap<usize, Node>),
}

impl Projection {
    /// What `text`, a projection expression, selects.
    pub(crate) fn parse(text: &str, placeholders: &mut Placeholders) -> Result<Self, ApiError> {
        let mut parser = Parser::new(Kind::Projection, text, placeholders)?;
        let mut paths = vec![parser.path()?];
        while parser.symbol(",") {
            paths.push(parser.path()?);
        }
        parser.end()?;
        Projection::of(Kind::Projection, paths.iter())
    }

    /// What `paths` select, unless one leads through another.
    pub(crate) fn of<'a>(
        kind: Kind,
        paths: impl Iterator<Item = &'a Path> + Clone,
    ) -> Result<Self, ApiError> {
        let mut projection = Projection::default();
        for (count, path) in paths.clone().enumerate() {
            if !projection.insert(path) {
                return Err(clash(kind, paths.take(count), path));
            }
        }
        Ok(projection)
    }

    /// Adds a path; `false` if it leads through another.
    fn insert(&mut self, path: &Path) -> bool {
        let below = path.rest.iter();
        match self.0.get_mut(&path.root) {
            Some(node) => node.insert(below),
            None => self.0.insert(Arc::clone(&path.root), Node::chain(below)).is_none(),
        }
    }

    /// The attributes that it selects, or parts of.
    pub(crate) fn roots(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.keys()
    }

    /// Those that it selects parts of.
    pub(crate) fn nested_roots(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.iter().filter(|(_, node)| **node != Node::Whole).map(|(name, _)| name)
    }

    /// The selected part of `attributes`.
    pub(crate) fn select(&self, attributes: &Attributes) -> Attributes {
        let selected = self.0.iter().filter_map(|(name, node)| {
            Some((Arc::clone(name), node.select(attributes.get(name)?)?))
        });
        selected.collect()
    }
}

impl Node {
    fn chain<'a>(mut below: impl Iterator<Item = &'a Element>) -> Node {
        match below.next() {
            None => Node::Whole,
            Some(Element::Member(name)) => {
                Node::Members([(Arc::clone(name), Node::chain(below))].into())
            }
            Some(Element::Index(index)) => Node::Elements([(*index, Node::chain(below))].into()),
        }
    }

    fn insert<'a>(&mut self, mut below: impl Iterator<Item = &'a Element>) -> bool {
        match (self, below.next()) {
            (Node::Members(members), Some(Element::Member(name))) => match members.get_mut(name) {
                Some(node) => node.insert(below),
                None => members.insert(Arc::clone(name), Node::chain(below)).is_none(),
            },
            (Node::Elements(elements), Some(Element::Index(index))) => {
                match elements.get_mut(index) {
                    Some(node) => node.insert(below),
                    None => elements.insert(*index, Node::chain(below)).is_none(),
                }
            }
            _ => false,
        }
    }

    fn select(&self, value: &Value) -> Option<Value> {
        match (self, value) {
            (Node::Whole, value) => Some(value.clone()),
            (Node::Members(nodes), Value::M(members)) => {
                let selected: Attributes = nodes
                    .iter()
                    .filter_map(|(name, node)| {
                        Some((Arc::clone(name), node.select(members.get(name)?)?))
                    })
                    .collect();
                (!selected.is_empty()).then(|| Value::M(Arc::new(selected)))
            }
            (Node::Elements(nodes), Value::L(items)) => {
                let selected: Vec<Value> = nodes
                    .iter()
                    .filter_map(|(index, node)| node.select(items.get(*index)?))
                    .collect();
                (!selected.is_empty()).then(|| Value::L(Arc::new(selected)))
            }
            _ => None,
        }
    }
}

/// The error that `path` and one of those before it exclude each other.
fn clash<'a>(kind: Kind, before: impl Iterator<Item = &'a Path>, path: &Path) -> ApiError {
    for other in before.filter(|other| other.root == path.root) {
        let split = other.rest.iter().zip(&path.rest).find(|(one, two)| one != two);
        let relation = match split {
            None => "overlap",
            Some(
                (Element::Member(_), Element::Index(_)) | (Element::Index(_), Element::Member(_)),
            ) => "conflict",
            Some(_) => continue,
        };
        return kind.invalid(format!(
            "Two document paths {relation} with each other; must remove or rewrite one of these \
             paths; path one: {other}, path two: {path}"
        ));
    }
    kind.invalid(format!("The document path {path} is used twice"))
}
