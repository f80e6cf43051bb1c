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
    /// JSON pointer of the place, within the template.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
}

impl Template {
    /// The template that `value` writes.
    pub fn compile(value: &Json) -> Result<Template, Vec<Error>> {
        let mut errors = Vec::new();
        let node = compile(value, &mut String::new(), &mut errors);
        if errors.is_empty() { Ok(Template(node)) } else { Err(errors) }
    }

    /// What it makes of `scope`.
    pub fn evaluate(&self, scope: &Scope<'_>, entropy: &mut Entropy) -> Result<Json, Failure> {
        self.0.evaluate(scope, entropy)
    }
}

fn compile(value: &Json, pointer: &mut String, errors: &mut Vec<Error>) -> Node {
    let mut within =
        |name: &str,
         errors: &mut Vec<Error>,
         run: &mut dyn FnMut(&mut String, &mut Vec<Error>) -> Node| {
            let length = pointer.len();
            pointer.push('/');
            pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
            let node = run(pointer, errors);
            pointer.truncate(length);
            node
        };
    match value {
        Json::Object(members) => {
            let nodes: Vec<_> = members
                .iter()
                .map(|(name, value)| {
                    if let Some(plain) = name.strip_suffix(".$") {
                        let mut run = |pointer: &mut String, errors: &mut Vec<Error>| {
                            computed(name, value, pointer, errors)
                        };
                        (Arc::from(plain), within(name, errors, &mut run))
                    } else {
                        let mut run = |pointer: &mut String, errors: &mut Vec<Error>| {
                            compile(value, pointer, errors)
                        };
                        (Arc::clone(name), within(name, errors, &mut run))
                    }
                })
                .collect();
            if nodes.iter().all(|(_, node)| matches!(node, Node::Literal(_))) {
                return Node::Literal(value.clone());
            }
            Node::Object(nodes)
        }
        Json::Array(items) => {
            let nodes: Vec<_> = items
                .iter()
                .enumerate()
                .map(|(at, item)| {
                    let mut run = |pointer: &mut String, errors: &mut Vec<Error>| {
                        compile(item, pointer, errors)
                    };
                    within(&at.to_string(), errors, &mut run)
                })
                .collect();
            if nodes.iter().all(|node| matches!(node, Node::Literal(_))) {
                return Node::Literal(value.clone());
            }
            Node::Array(nodes)
        }
        other => Node::Literal(other.clone()),
    }
}

fn computed(name: &Arc<str>, value: &Json, pointer: &str, errors: &mut Vec<Error>) -> Node {
    let mut refuse = |message: String| {
        errors.push(Error { pointer: pointer.to_owned(), message });
        Node::Literal(Json::Null)
    };
    let Some(text) = value.as_str() else {
        return refuse(format!(
            "The value for the field '{name}' must be a valid JSONPath or a valid intrinsic function call"
        ));
    };
    let wrong = || {
        format!(
            "The value for the field '{name}' must be a valid JSONPath or a valid intrinsic function call"
        )
    };
    if text.starts_with('$') {
        match Path::parse(text) {
            Ok(path) => Node::Path { path, field: Arc::clone(name) },
            Err(_) => refuse(wrong()),
        }
    } else {
        match Intrinsic::parse(text) {
            Ok(call) => Node::Call(call),
            Err(_) => refuse(wrong()),
        }
    }
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
    Failure::new("States.ParameterPathFailure", cause)
}
