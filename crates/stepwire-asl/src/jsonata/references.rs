//! The workflow variables that an expression reads.

use std::collections::BTreeSet;
use std::sync::Arc;

use jsonata_core::ast::{AstNode, BinaryOp, PathStep, Stage};

/// Functions of JSONata 2.0.6 and those that Step Functions adds, and `$states`.
const BUILT_IN: &[&str] = &[
    "abs",
    "append",
    "assert",
    "average",
    "base64decode",
    "base64encode",
    "boolean",
    "ceil",
    "clone",
    "contains",
    "count",
    "decodeUrl",
    "decodeUrlComponent",
    "distinct",
    "each",
    "encodeUrl",
    "encodeUrlComponent",
    "error",
    "eval",
    "exists",
    "filter",
    "floor",
    "formatBase",
    "formatInteger",
    "formatNumber",
    "fromMillis",
    "hash",
    "join",
    "keys",
    "length",
    "lookup",
    "lowercase",
    "map",
    "match",
    "max",
    "merge",
    "millis",
    "min",
    "not",
    "now",
    "number",
    "pad",
    "parse",
    "parseInteger",
    "partition",
    "power",
    "random",
    "range",
    "reduce",
    "replace",
    "reverse",
    "round",
    "shuffle",
    "sift",
    "single",
    "sort",
    "split",
    "spread",
    "sqrt",
    "states",
    "string",
    "substring",
    "substringAfter",
    "substringBefore",
    "sum",
    "toMillis",
    "trim",
    "type",
    "uppercase",
    "uuid",
    "zip",
];

/// Adds to `found` what `node` reads and neither binds nor finds built in.
pub(super) fn collect(node: &AstNode, found: &mut BTreeSet<Arc<str>>) {
    Walk { found, bound: Vec::new() }.node(node);
}

struct Walk<'a> {
    found: &'a mut BTreeSet<Arc<str>>,
    /// Names bound so far, the innermost last.
    bound: Vec<String>,
}

impl Walk<'_> {
    fn read(&mut self, name: &str) {
        let own = name.is_empty() || BUILT_IN.contains(&name);
        if !own && !self.bound.iter().any(|bound| bound == name) {
            self.found.insert(name.into());
        }
    }

    fn all<'n>(&mut self, nodes: impl IntoIterator<Item = &'n AstNode>) {
        nodes.into_iter().for_each(|node| self.node(node));
    }

    /// What `inner` binds is bound only there.
    fn within(&mut self, inner: impl FnOnce(&mut Self)) {
        let before = self.bound.len();
        inner(self);
        self.bound.truncate(before);
    }

    fn node(&mut self, node: &AstNode) {
        match node {
            AstNode::String(_)
            | AstNode::Name(_)
            | AstNode::Number(_)
            | AstNode::Boolean(_)
            | AstNode::Null
            | AstNode::Undefined
            | AstNode::Placeholder
            | AstNode::Regex { .. }
            | AstNode::ParentVariable(_)
            | AstNode::Wildcard
            | AstNode::Descendant
            | AstNode::Parent(_) => {}
            AstNode::Variable(name) => self.read(name),
            AstNode::Path { steps } => self.within(|walk| walk.path(steps)),
            AstNode::Binary { op: BinaryOp::ColonEqual, lhs, rhs } => {
                if let AstNode::Variable(name) = lhs.as_ref() {
                    // A function may call itself; any other value is made before its name is bound.
                    if matches!(rhs.as_ref(), AstNode::Lambda { .. }) {
                        self.bound.push(name.clone());
                    }
                    self.node(rhs);
                    self.bound.push(name.clone());
                }
            }
            AstNode::Binary { lhs, rhs, .. } => self.all([lhs.as_ref(), rhs.as_ref()]),
            AstNode::Unary { operand, .. } => self.node(operand),
            AstNode::Function { name, args, is_builtin } => {
                if *is_builtin {
                    self.read(name);
                }
                self.all(args);
            }
            AstNode::Call { procedure, args } => {
                self.node(procedure);
                self.all(args);
            }
            AstNode::Lambda { params, body, .. } => self.within(|walk| {
                let plain = params.iter().map(|name| name.trim_start_matches('$').to_owned());
                walk.bound.extend(plain);
                walk.node(body);
            }),
            AstNode::Block(items) => self.within(|walk| walk.all(items)),
            AstNode::Array(items) | AstNode::ArrayGroup(items) => self.all(items),
            AstNode::Object(pairs) => pairs.iter().for_each(|(key, value)| self.all([key, value])),
            AstNode::ObjectTransform { input, pattern } => {
                self.node(input);
                pattern.iter().for_each(|(key, value)| self.all([key, value]));
            }
            AstNode::Conditional { condition, then_branch, else_branch } => {
                self.all([condition.as_ref(), then_branch.as_ref()]);
                self.all(else_branch.as_deref());
            }
            AstNode::FunctionApplication(inner) => self.node(inner),
            AstNode::Sort { input, terms } => {
                self.node(input);
                self.all(terms.iter().map(|(term, _)| term));
            }
            AstNode::Transform { location, update, delete } => {
                self.all([location.as_ref(), update.as_ref()]);
                self.all(delete.as_deref());
            }
        }
    }

    fn path(&mut self, steps: &[PathStep]) {
        for step in steps {
            self.node(&step.node);
            self.bound.extend(step.focus.iter().chain(&step.index_var).cloned());
            for stage in &step.stages {
                match stage {
                    Stage::Filter(test) => self.node(test),
                    Stage::Index(name) => self.bound.push(name.clone()),
                    Stage::KeepArray => {}
                }
            }
        }
    }
}
