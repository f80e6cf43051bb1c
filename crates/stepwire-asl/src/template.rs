//! Payload templates: `Parameters`, `ResultSelector`, `ItemSelector`, `Assign`, and in JSONata
//! `Arguments` and `Output`.
//!
//! In JSONPath, members whose name ends in `.$` are computed from a path or an intrinsic function;
//! in JSONata, every string in `{% %}` is. Everything else is kept as it is, and shared.

use std::sync::Arc;

use crate::intrinsic::Intrinsic;
use crate::json::Object;
use crate::jsonata::{self, Expression};
use crate::path::{Path, Root};
use crate::scope::{Failure, Fault, Scope};
use crate::{Entropy, Json};

const SCHEMA: &str = "SCHEMA_VALIDATION_FAILED";

/// A compiled template.
#[derive(Debug, Clone, PartialEq)]
pub struct Template(Node);

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Literal(Json),
    Object(Vec<(Arc<str>, Node)>),
    Array(Vec<Node>),
    Path { path: Path, field: Arc<str> },
    Call(Intrinsic),
    Expression(Expression),
}

/// A template that cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// AWS's code of it.
    pub code: &'static str,
    /// Place of what is wrong, within the template: empty, or `/a[0]/b`. A wrong member of a JSONPath
    /// template is told at the object that has it.
    pub place: String,
    /// What is wrong.
    pub message: String,
}

impl Template {
    /// The template that `value` writes.
    pub fn compile(value: &Json) -> Result<Template, Vec<Error>> {
        let mut errors = Vec::new();
        let node = compile(value, "", &mut errors);
        if errors.is_empty() { Ok(Template(node)) } else { Err(errors) }
    }

    /// The template that `value` writes in JSONata; it stands in the field `field` of its state.
    pub fn jsonata(value: &Json, field: &str) -> Result<Template, Vec<Error>> {
        let mut errors = Vec::new();
        let node = queries(value, field, field.len(), &mut errors);
        if errors.is_empty() { Ok(Template(node)) } else { Err(errors) }
    }

    /// Whether it is one expression, or a literal that is an array.
    pub(crate) fn may_be_array(&self) -> bool {
        match &self.0 {
            Node::Expression(_) | Node::Array(_) | Node::Literal(Json::Array(_)) => true,
            Node::Literal(_) | Node::Object(_) | Node::Path { .. } | Node::Call(_) => false,
        }
    }

    /// What it makes of `scope`.
    pub fn evaluate(&self, scope: &Scope<'_>, entropy: &mut Entropy) -> Result<Json, Fault> {
        self.0.evaluate(scope, entropy)
    }

    /// The array it makes of `scope`.
    pub(crate) fn array(&self, scope: &Scope<'_>, entropy: &mut Entropy) -> Result<Json, Fault> {
        match &self.0 {
            Node::Expression(expression) => expression.array(scope, entropy),
            node => node.evaluate(scope, entropy),
        }
    }
}

/// Compiles `value`, which stands at `field` of its state; its own place begins after `root` bytes.
fn queries(value: &Json, field: &str, root: usize, errors: &mut Vec<Error>) -> Node {
    let literal = |node: &Node| matches!(node, Node::Literal(_));
    match value {
        Json::String(text) => match jsonata::written_in(text) {
            None => Node::Literal(value.clone()),
            Some(source) => match Expression::compile(source, field) {
                Ok(expression) => Node::Expression(expression),
                Err(jsonata::Refused { code, message }) => {
                    errors.push(Error { code, place: field[root..].to_owned(), message });
                    Node::Literal(Json::Null)
                }
            },
        },
        Json::Object(members) => {
            let member = |(name, value): (&Arc<str>, &Json)| {
                (Arc::clone(name), queries(value, &format!("{field}/{name}"), root, errors))
            };
            let nodes: Vec<_> = members.iter().map(member).collect();
            if nodes.iter().all(|(_, node)| literal(node)) {
                return Node::Literal(value.clone());
            }
            Node::Object(nodes)
        }
        Json::Array(items) => {
            let item = |(at, item)| queries(item, &format!("{field}[{at}]"), root, errors);
            let nodes: Vec<_> = items.iter().enumerate().map(item).collect();
            if nodes.iter().all(literal) {
                return Node::Literal(value.clone());
            }
            Node::Array(nodes)
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => Node::Literal(value.clone()),
    }
}

fn compile(value: &Json, place: &str, errors: &mut Vec<Error>) -> Node {
    match value {
        Json::Object(members) => {
            let mut nodes = Vec::with_capacity(members.len());
            for (name, value) in members.iter() {
                if let Some(plain) = name.strip_suffix(".$") {
                    if members.contains_key(plain) {
                        let message = format!("Only one of '{plain}' and '{name}' may be given");
                        errors.push(Error { code: SCHEMA, place: place.to_owned(), message });
                    }
                    nodes.push((Arc::from(plain), computed(name, value, place, errors)));
                } else {
                    let place = format!("{place}/{name}");
                    nodes.push((Arc::clone(name), compile(value, &place, errors)));
                }
            }
            if nodes.iter().all(|(_, node)| matches!(node, Node::Literal(_))) {
                return Node::Literal(value.clone());
            }
            Node::Object(nodes)
        }
        Json::Array(items) => {
            let numbered = items.iter().enumerate();
            let nodes: Vec<_> = numbered
                .map(|(at, item)| compile(item, &format!("{place}[{at}]"), errors))
                .collect();
            if nodes.iter().all(|node| matches!(node, Node::Literal(_))) {
                return Node::Literal(value.clone());
            }
            Node::Array(nodes)
        }
        other => Node::Literal(other.clone()),
    }
}

/// The member `name`, which ends in `.$`.
fn computed(name: &Arc<str>, value: &Json, place: &str, errors: &mut Vec<Error>) -> Node {
    let text = value.as_str().unwrap_or_default();
    if text.starts_with('$') {
        if let Ok(path) = Path::parse(text) {
            return Node::Path { path, field: Arc::clone(name) };
        }
    } else if let Ok(call) = Intrinsic::parse(text) {
        return Node::Call(call);
    }
    let message = format!(
        "The value for the field '{name}' must be a valid JSONPath or a valid intrinsic function call"
    );
    errors.push(Error { code: SCHEMA, place: place.to_owned(), message });
    Node::Literal(Json::Null)
}

impl Node {
    fn evaluate(&self, scope: &Scope<'_>, entropy: &mut Entropy) -> Result<Json, Fault> {
        match self {
            Node::Literal(value) => Ok(value.clone()),
            Node::Call(call) => Ok(call.evaluate(scope, entropy)?),
            Node::Path { path, field } => {
                path.read(scope).map_err(|_| not_found(path, field, scope).into())
            }
            Node::Expression(expression) => expression.evaluate(scope, entropy),
            Node::Array(nodes) => {
                let items: Result<Vec<_>, _> =
                    nodes.iter().map(|node| node.evaluate(scope, entropy)).collect();
                Ok(Json::Array(Arc::new(items?)))
            }
            Node::Object(nodes) => {
                let mut members = Object::with_capacity(nodes.len());
                for (name, node) in nodes {
                    members.insert(Arc::clone(name), node.evaluate(scope, entropy)?);
                }
                Ok(Json::Object(Arc::new(members)))
            }
        }
    }
}

fn not_found(path: &Path, field: &str, scope: &Scope<'_>) -> Failure {
    let input = match path.root() {
        Root::Context => scope.context,
        Root::Input | Root::Variable(_) => scope.input,
    };
    let cause = format!(
        "The JSONPath '{}' specified for the field '{field}' could not be found in the input '{}'",
        path.text(),
        input.to_text()
    );
    Failure::new("States.Runtime", cause)
}
