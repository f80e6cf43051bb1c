//! Payload templates: `Parameters`, `ResultSelector`, `ItemSelector`, `Assign`.
//!
//! Members whose name ends in `.$` are computed from a path or an intrinsic function; everything
//! else is kept as it is, and shared.

use std::sync::Arc;

use crate::intrinsic::Intrinsic;
use crate::json::Object;
use crate::path::{Path, Root};
use crate::scope::{Failure, Scope};
use crate::{Entropy, Json};

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
}

/// A template that cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Place of the object whose member is wrong, within the template: empty, or `/a[0]/b`.
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

    /// What it makes of `scope`.
    pub fn evaluate(&self, scope: &Scope<'_>, entropy: &mut Entropy) -> Result<Json, Failure> {
        self.0.evaluate(scope, entropy)
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
                        errors.push(Error { place: place.to_owned(), message });
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
    errors.push(Error { place: place.to_owned(), message });
    Node::Literal(Json::Null)
}

impl Node {
    fn evaluate(&self, scope: &Scope<'_>, entropy: &mut Entropy) -> Result<Json, Failure> {
        match self {
            Node::Literal(value) => Ok(value.clone()),
            Node::Call(call) => call.evaluate(scope, entropy),
            Node::Path { path, field } => {
                path.read(scope).map_err(|_| not_found(path, field, scope))
            }
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
