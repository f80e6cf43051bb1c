//! Counts what an expression does, so that every one ends.
//!
//! The library bounds depth and the length of sequences but not steps, and its values may share
//! their parts, so that a small value can stand for an enormous one. A compiled expression is
//! therefore rewritten: whatever can run more than once takes a step first, and what is given to a
//! function or grows a text is weighed. Both are functions whose names no expression can write.

use std::cell::Cell;
use std::rc::Rc;

use jsonata_core::ast::{AstNode, BinaryOp, PathStep, Stage};
use jsonata_core::evaluator::{Evaluator, EvaluatorError};
use jsonata_core::value::JValue;

const STEP: &str = "take a step";
const WEIGH: &str = "weigh";
const WEIGH_WHOLE: &str = "weigh with all its parts";
const WEIGH_PRODUCT: &str = "weigh a product";

/// Steps of one expression. A step is a call, an item, or sixteen parts of a value that is handled.
const STEPS_MAX: u64 = 2_000_000;
/// Bytes of the longest text, and parts of the largest value: what Step Functions has memory for.
pub(super) const PARTS_MAX: u64 = 8 * 873_782;
/// Bytes that a text may grow to on the way to one that is too long.
const PRODUCT_MAX: u64 = 8 * PARTS_MAX;
/// Parts handled in one step.
const PARTS_PER_STEP: u64 = 16;

/// Error codes of our bounds, which no JSONata error has.
pub(super) const OUT_OF_STEPS: &str = "X0001";
pub(super) const OUT_OF_MEMORY: &str = "X0002";

/// Makes the counting functions of `evaluator`, with a full measure of steps.
pub(super) fn register(evaluator: &mut Evaluator) -> Result<(), EvaluatorError> {
    let left = Rc::new(Cell::new(STEPS_MAX));
    let steps = Rc::clone(&left);
    evaluator.register_fn(STEP, move |_: &[JValue]| {
        spend(&steps, 1)?;
        Ok(JValue::Bool(true))
    })?;
    let steps = Rc::clone(&left);
    evaluator.register_fn(WEIGH, move |args: &[JValue]| {
        let value = args.first().unwrap_or(&JValue::Undefined);
        let parts = match value {
            JValue::Array(items) => items.len() as u64,
            JValue::Object(members) => members.len() as u64,
            JValue::String(text) => text.len() as u64,
            _ => 0,
        };
        within(parts, PARTS_MAX)?;
        spend(&steps, 1 + parts / PARTS_PER_STEP)?;
        Ok(value.clone())
    })?;
    let steps = Rc::clone(&left);
    evaluator.register_fn(WEIGH_WHOLE, move |args: &[JValue]| {
        let value = args.first().unwrap_or(&JValue::Undefined);
        let parts = parts(value, PARTS_MAX).ok_or_else(out_of_memory)?;
        spend(&steps, 1 + parts / PARTS_PER_STEP)?;
        Ok(value.clone())
    })?;
    evaluator.register_fn(WEIGH_PRODUCT, move |args: &[JValue]| {
        let length = |at: usize| match args.get(at) {
            Some(JValue::String(text)) => text.len() as u64,
            Some(JValue::Array(items)) => items.len() as u64,
            _ => 0,
        };
        within(length(0).saturating_mul(length(1)), PRODUCT_MAX)?;
        Ok(args.first().cloned().unwrap_or(JValue::Undefined))
    })
}

fn spend(left: &Cell<u64>, steps: u64) -> Result<(), EvaluatorError> {
    let out = || EvaluatorError::EvaluationError(format!("{OUT_OF_STEPS}: too many steps"));
    left.set(left.get().checked_sub(steps).ok_or_else(out)?);
    Ok(())
}

/// Refuses what Step Functions has no memory for.
pub(super) fn within(parts: u64, most: u64) -> Result<(), EvaluatorError> {
    if parts > most { Err(out_of_memory()) } else { Ok(()) }
}

fn out_of_memory() -> EvaluatorError {
    EvaluatorError::EvaluationError(format!("{OUT_OF_MEMORY}: too much memory"))
}

/// Values and bytes of text in `value`, each as often as it stands there; `None` above `most`.
fn parts(value: &JValue, most: u64) -> Option<u64> {
    let mut left = most;
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        left = left.checked_sub(1)?;
        match value {
            JValue::Array(items) => {
                left.checked_sub(items.len() as u64)?;
                open.extend(items.iter());
            }
            JValue::Object(members) => {
                left.checked_sub(members.len() as u64)?;
                open.extend(members.values());
            }
            JValue::String(text) => left = left.checked_sub(text.len() as u64)?,
            _ => {}
        }
    }
    Some(most - left)
}

/// `ast`, counting.
pub(super) fn meter(node: AstNode) -> AstNode {
    let boxed = |node: Box<AstNode>| Box::new(meter(*node));
    let each = |nodes: Vec<AstNode>| nodes.into_iter().map(meter).collect();
    match node {
        AstNode::Path { steps } => {
            let steps = steps.into_iter().enumerate();
            AstNode::Path { steps: steps.map(|(at, step)| one_step(step, at > 0)).collect() }
        }
        AstNode::Binary { op, lhs, rhs } => binary(op, *lhs, *rhs),
        AstNode::Unary { op, operand } => AstNode::Unary { op, operand: boxed(operand) },
        AstNode::Function { name, args, is_builtin } => {
            let args = if is_builtin { arguments(&name, args) } else { each(args) };
            AstNode::Function { name, args, is_builtin }
        }
        AstNode::Call { procedure, args } => {
            AstNode::Call { procedure: boxed(procedure), args: each(args) }
        }
        AstNode::Lambda { params, body, signature, thunk } => {
            AstNode::Lambda { params, body: Box::new(entered(meter(*body))), signature, thunk }
        }
        AstNode::Array(items) => AstNode::Array(each(items)),
        AstNode::ArrayGroup(items) => AstNode::ArrayGroup(each(items)),
        AstNode::Block(items) => AstNode::Block(each(items)),
        AstNode::Object(pairs) => {
            AstNode::Object(pairs.into_iter().map(|(k, v)| (meter(k), meter(v))).collect())
        }
        AstNode::ObjectTransform { input, pattern } => AstNode::ObjectTransform {
            input: boxed(input),
            pattern: pattern
                .into_iter()
                .map(|(k, v)| (counted(meter(k)), counted(meter(v))))
                .collect(),
        },
        AstNode::Conditional { condition, then_branch, else_branch } => AstNode::Conditional {
            condition: boxed(condition),
            then_branch: boxed(then_branch),
            else_branch: else_branch.map(boxed),
        },
        AstNode::FunctionApplication(inner) => AstNode::FunctionApplication(boxed(inner)),
        AstNode::Sort { input, terms } => AstNode::Sort {
            input: boxed(input),
            terms: terms.into_iter().map(|(term, up)| (counted(meter(term)), up)).collect(),
        },
        AstNode::Transform { location, update, delete } => AstNode::Transform {
            location: boxed(location),
            update: boxed(update),
            delete: delete.map(boxed),
        },
        leaf => leaf,
    }
}

/// `repeated`: whether it runs for every item of what came before.
fn one_step(mut step: PathStep, repeated: bool) -> PathStep {
    let filters = step.stages.into_iter().map(|stage| match stage {
        // A number is an index, and told by its kind.
        Stage::Filter(test) if !matches!(*test, AstNode::Number(_)) => {
            Stage::Filter(Box::new(counted(meter(*test))))
        }
        other => other,
    });
    step.stages = filters.collect();
    step.node = match meter(step.node) {
        AstNode::FunctionApplication(inner) if repeated => {
            // A block keeps its kind: what it binds goes on to the steps after it.
            let inner =
                if matches!(*inner, AstNode::Block(_)) { entered(*inner) } else { counted(*inner) };
            AstNode::FunctionApplication(Box::new(inner))
        }
        AstNode::Object(pairs) if repeated => {
            AstNode::Object(pairs.into_iter().map(|(k, v)| (k, counted(v))).collect())
        }
        AstNode::ArrayGroup(items) if repeated => {
            // An array in an array stays one by its kind.
            let item = |item| if matches!(item, AstNode::Array(_)) { item } else { counted(item) };
            AstNode::ArrayGroup(items.into_iter().map(item).collect())
        }
        node => node,
    };
    step
}

fn is_leaf(node: &AstNode) -> bool {
    matches!(
        node,
        AstNode::String(_)
            | AstNode::Name(_)
            | AstNode::Number(_)
            | AstNode::Boolean(_)
            | AstNode::Null
            | AstNode::Undefined
            | AstNode::Placeholder
            | AstNode::Regex { .. }
            | AstNode::Variable(_)
            | AstNode::ParentVariable(_)
            | AstNode::Wildcard
            | AstNode::Descendant
            | AstNode::Parent(_)
    )
}

fn is_scalar(node: &AstNode) -> bool {
    matches!(node, AstNode::String(_) | AstNode::Number(_) | AstNode::Boolean(_) | AstNode::Null)
}

fn call(name: &str, args: Vec<AstNode>) -> AstNode {
    AstNode::Function { name: name.to_owned(), args, is_builtin: true }
}

/// `node`, which takes a step whenever it runs.
fn counted(node: AstNode) -> AstNode {
    if is_leaf(&node) {
        return node;
    }
    let condition = Box::new(call(STEP, Vec::new()));
    AstNode::Conditional { condition, then_branch: Box::new(node), else_branch: None }
}

/// The body of a function, which takes a step when it is entered; no deeper than it was where it
/// decides whether to call itself.
fn entered(body: AstNode) -> AstNode {
    let step = call(STEP, Vec::new());
    match body {
        AstNode::Conditional { condition, then_branch, else_branch } => AstNode::Conditional {
            condition: Box::new(AstNode::Block(vec![step, *condition])),
            then_branch,
            else_branch,
        },
        AstNode::Block(mut items) if !items.is_empty() => {
            items.insert(0, step);
            AstNode::Block(items)
        }
        other => AstNode::Conditional {
            condition: Box::new(step),
            then_branch: Box::new(other),
            else_branch: None,
        },
    }
}

fn weighed(name: &str, node: AstNode) -> AstNode {
    let is_data = !matches!(
        node,
        AstNode::Lambda { .. }
            | AstNode::Regex { .. }
            | AstNode::Placeholder
            | AstNode::Transform { .. }
    );
    if is_data && !is_scalar(&node) { call(name, vec![node]) } else { node }
}

fn binary(op: BinaryOp, lhs: AstNode, rhs: AstNode) -> AstNode {
    let plain = is_scalar(&lhs) || is_scalar(&rhs);
    let whole = |node: AstNode| Box::new(weighed(WEIGH_WHOLE, meter(node)));
    let boxed = |node: AstNode| Box::new(meter(node));
    match op {
        BinaryOp::Concatenate => {
            let text = AstNode::Binary { op, lhs: whole(lhs), rhs: whole(rhs) };
            call(WEIGH, vec![text])
        }
        BinaryOp::Equal | BinaryOp::NotEqual | BinaryOp::In if !plain => {
            AstNode::Binary { op, lhs: whole(lhs), rhs: whole(rhs) }
        }
        _ => AstNode::Binary { op, lhs: boxed(lhs), rhs: boxed(rhs) },
    }
}

/// Which argument of a function is one that it calls.
fn callback(name: &str, count: usize) -> Option<usize> {
    match (name, count) {
        ("map" | "filter" | "reduce" | "single" | "sort", _) | ("sift" | "each", 2..) => Some(1),
        ("sift" | "each", _) => Some(0),
        ("replace", _) => Some(2),
        _ => None,
    }
}

/// The arguments of a call of the function `name`, weighed.
fn arguments(name: &str, args: Vec<AstNode>) -> Vec<AstNode> {
    let callback = callback(name, args.len());
    // What is made of two is weighed before it is made.
    let product = match name {
        "replace" if args.len() > 2 && !matches!(args[2], AstNode::Lambda { .. }) => Some(2),
        "join" if args.len() > 1 => Some(1),
        _ => None,
    };
    let factor = product.and_then(|at| args.get(at)).cloned();
    let how = if matches!(name, "string" | "distinct") { WEIGH_WHOLE } else { WEIGH };
    let weigh = |(at, node): (usize, AstNode)| {
        let node =
            if callback == Some(at) { called(name, node) } else { weighed(how, meter(node)) };
        match &factor {
            Some(factor) if at == 0 => call(WEIGH_PRODUCT, vec![node, meter(factor.clone())]),
            _ => node,
        }
    };
    args.into_iter().enumerate().map(weigh).collect()
}

/// What the function `name` is given to call. `$append` copies what it is given, over and over when
/// `$reduce` calls it, and is weighed inside a function of its own.
fn called(name: &str, node: AstNode) -> AstNode {
    match node {
        AstNode::Variable(function) if name == "reduce" && function == "append" => {
            let params = vec!["a".to_owned(), "b".to_owned()];
            let args = params.iter().map(|name| AstNode::Variable(name.clone())).collect();
            let body = call("append", arguments("append", args));
            AstNode::Lambda { params, body: Box::new(entered(body)), signature: None, thunk: false }
        }
        node => meter(node),
    }
}
