//! Counts what an expression does, so that every one ends.
//!
//! The library bounds depth and the length of sequences but not steps, and its values may share
//! their parts, so that a small value can stand for an enormous one. A compiled expression is
//! therefore rewritten: whatever can run more than once takes a step first, what is given to a
//! function or grows a text is weighed, and what goes into another value is gathered, which costs
//! more. All three are functions whose names no expression can write.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use jsonata_core::ast::{AstNode, BinaryOp, PathStep, Stage};
use jsonata_core::evaluator::{Evaluator, EvaluatorError};
use jsonata_core::value::{JValue, with_stack};

use super::functions;

const STEP: &str = "take a step";
const WEIGH: &str = "weigh";
const GATHER: &str = "gather";
const WEIGH_WHOLE: &str = "weigh with all its parts";
const WEIGH_PRODUCT: &str = "weigh a product";
const WEIGH_SQUARE: &str = "weigh against itself";
const DISTINCT: &str = "distinct values";

/// Steps of one expression. A step is a call, an item, or some parts of a value that is handled.
const STEPS_MAX: u64 = 1_000_000;
/// Bytes of the longest text, and parts of the largest value: what Step Functions has memory for.
pub(super) const PARTS_MAX: u64 = ITEM * 873_782;
/// Bytes that a text may grow to on the way to one that is too long.
const PRODUCT_MAX: u64 = 8 * PARTS_MAX;
/// Parts looked at in one step.
const LOOKED_AT: u64 = 64;
/// Parts copied in one step. With the steps it bounds what an expression can hold at once.
const COPIED: u64 = 8;
/// Bytes that an item of an array counts for.
const ITEM: u64 = 8;

/// Error codes of our bounds, which no JSONata error has.
pub(super) const OUT_OF_STEPS: &str = "X0001";
pub(super) const OUT_OF_MEMORY: &str = "X0002";

/// The function that was called last, which an error is about.
pub(super) type Called = Rc<RefCell<Rc<str>>>;

/// Makes the counting functions of `evaluator`, with a full measure of steps.
pub(super) fn register(evaluator: &mut Evaluator, called: &Called) -> Result<(), EvaluatorError> {
    let left = Rc::new(Cell::new(STEPS_MAX));
    let steps = Rc::clone(&left);
    evaluator.register_fn(STEP, move |_: &[JValue]| {
        spend(&steps, 1)?;
        Ok(JValue::Bool(true))
    })?;
    let steps = Rc::clone(&left);
    let names = Rc::clone(called);
    evaluator.register_fn(WEIGH, move |args: &[JValue]| {
        note(args, &names);
        shallow(args, &steps, LOOKED_AT)
    })?;
    let steps = Rc::clone(&left);
    let names = Rc::clone(called);
    evaluator.register_fn(GATHER, move |args: &[JValue]| {
        note(args, &names);
        let value = args.first().unwrap_or(&JValue::Undefined);
        let items = items_within(value).ok_or_else(out_of_memory)?;
        spend(&steps, items / COPIED)?;
        shallow(args, &steps, COPIED)
    })?;
    evaluator.register_fn(DISTINCT, |args: &[JValue]| Ok(functions::distinct(args)))?;
    let steps = Rc::clone(&left);
    let names = Rc::clone(called);
    evaluator.register_fn(WEIGH_WHOLE, move |args: &[JValue]| {
        note(args, &names);
        let value = args.first().unwrap_or(&JValue::Undefined);
        let parts = parts(value, PARTS_MAX).ok_or_else(out_of_memory)?;
        spend(&steps, 1 + parts / LOOKED_AT)?;
        Ok(value.clone())
    })?;
    let steps = Rc::clone(&left);
    evaluator.register_fn(WEIGH_SQUARE, move |args: &[JValue]| {
        let value = args.first().unwrap_or(&JValue::Undefined);
        let count = value.as_array().map_or(1, Vec::len) as u64;
        spend(&steps, count.saturating_mul(count) / LOOKED_AT)?;
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

/// Remembers the function that an argument is for.
fn note(args: &[JValue], called: &Called) {
    if let Some(JValue::String(name)) = args.get(1) {
        *called.borrow_mut() = Rc::clone(name);
    }
}

/// The value given, when it is not too large; its own parts are handled `rate` in a step.
fn shallow(args: &[JValue], left: &Cell<u64>, rate: u64) -> Result<JValue, EvaluatorError> {
    let value = args.first().unwrap_or(&JValue::Undefined);
    let (parts, bytes) = match value {
        JValue::Array(items) => (items.len() as u64, ITEM * items.len() as u64),
        JValue::Object(members) => (members.len() as u64, ITEM * members.len() as u64),
        // A text is shared, whatever holds it.
        JValue::String(text) => (text.len() as u64 * rate / LOOKED_AT, text.len() as u64),
        _ => (0, 0),
    };
    within(bytes, PARTS_MAX)?;
    spend(left, 1 + parts / rate)?;
    Ok(value.clone())
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

/// Items of the arrays that stand in arrays of `value`, which every step over it visits; `None` for
/// more than there is memory for.
fn items_within(value: &JValue) -> Option<u64> {
    let mut left = PARTS_MAX / ITEM;
    let mut open: Vec<&JValue> = match value {
        JValue::Array(items) => {
            items.iter().filter(|item| matches!(item, JValue::Array(_))).collect()
        }
        _ => Vec::new(),
    };
    while let Some(value) = open.pop() {
        if let JValue::Array(items) = value {
            left = left.checked_sub(1 + items.len() as u64)?;
            open.extend(items.iter().filter(|item| matches!(item, JValue::Array(_))));
        }
    }
    Some(PARTS_MAX / ITEM - left)
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

/// `node`, counting.
pub(super) fn meter(node: AstNode) -> AstNode {
    with_stack(|| rewritten(node))
}

fn rewritten(node: AstNode) -> AstNode {
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
            function(name, args, is_builtin)
        }
        AstNode::Call { procedure, args } => {
            AstNode::Call { procedure: Box::new(told(*procedure)), args: each(args) }
        }
        AstNode::Lambda { params, body, signature, thunk } => {
            let body = Box::new(entered(given(meter(*body))));
            AstNode::Lambda { params, body, signature, thunk }
        }
        AstNode::Array(items) => AstNode::Array(items.into_iter().map(item).collect()),
        AstNode::ArrayGroup(items) => AstNode::ArrayGroup(items.into_iter().map(item).collect()),
        AstNode::Block(items) => AstNode::Block(each(items)),
        AstNode::Object(pairs) => {
            AstNode::Object(pairs.into_iter().map(|(k, v)| (told(k), gathered(meter(v)))).collect())
        }
        AstNode::ObjectTransform { input, pattern } => AstNode::ObjectTransform {
            input: boxed(input),
            pattern: pattern.into_iter().map(|(k, v)| (told(k), gathered(meter(v)))).collect(),
        },
        AstNode::Conditional { condition, then_branch, else_branch } => AstNode::Conditional {
            condition: boxed(condition),
            then_branch: boxed(then_branch),
            else_branch: else_branch.map(boxed),
        },
        AstNode::FunctionApplication(inner) => AstNode::FunctionApplication(boxed(inner)),
        AstNode::Sort { input, terms } => AstNode::Sort {
            input: boxed(input),
            terms: terms.into_iter().map(|(term, up)| (weighed(WEIGH, meter(term)), up)).collect(),
        },
        AstNode::Transform { location, update, delete } => AstNode::Transform {
            // Everything in the value is compared with everything that is located.
            location: Box::new(AstNode::Block(vec![
                weighed(WEIGH_WHOLE, AstNode::Variable(String::new())),
                call(WEIGH_SQUARE, vec![meter(*location)]),
            ])),
            update: boxed(update),
            delete: delete.map(boxed),
        },
        AstNode::Variable(name) if name == "distinct" => AstNode::Variable(DISTINCT.to_owned()),
        AstNode::Descendant => {
            let here = AstNode::Variable(String::new());
            AstNode::Block(vec![call(WEIGH_WHOLE, vec![here]), AstNode::Descendant])
        }
        leaf => leaf,
    }
}

/// `repeated`: whether it runs for every item of what came before.
fn one_step(mut step: PathStep, repeated: bool) -> PathStep {
    let filters = step.stages.into_iter().map(|stage| match stage {
        // A number is an index, and told by its kind.
        Stage::Filter(test) if !matches!(*test, AstNode::Number(_)) => {
            Stage::Filter(Box::new(weighed(WEIGH, meter(*test))))
        }
        other => other,
    });
    step.stages = filters.collect();
    let descends = matches!(step.node, AstNode::Descendant);
    step.node = match meter(step.node) {
        AstNode::FunctionApplication(inner) if repeated => {
            // A block keeps its kind: what it binds goes on to the steps after it.
            let inner = match *inner {
                AstNode::Block(_) => entered(given(*inner)),
                inner => gathered(inner),
            };
            AstNode::FunctionApplication(Box::new(inner))
        }
        AstNode::Block(items) if descends && repeated => {
            AstNode::FunctionApplication(Box::new(AstNode::Block(items)))
        }
        node @ (AstNode::Variable(_) | AstNode::Function { .. } | AstNode::Call { .. })
            if repeated && !step.is_tuple =>
        {
            gathered(node)
        }
        node => node,
    };
    step
}

fn is_scalar(node: &AstNode) -> bool {
    matches!(node, AstNode::String(_) | AstNode::Number(_) | AstNode::Boolean(_) | AstNode::Null)
}

fn call(name: &str, args: Vec<AstNode>) -> AstNode {
    AstNode::Function { name: name.to_owned(), args, is_builtin: true }
}

/// `node`, whose value an error may quote.
fn told(node: AstNode) -> AstNode {
    weighed(WEIGH_WHOLE, meter(node))
}

/// An item of an array constructor. An array in an array stays one by its kind.
fn item(node: AstNode) -> AstNode {
    match meter(node) {
        node @ (AstNode::Array(_) | AstNode::ArrayGroup(_)) => node,
        node => gathered(node),
    }
}

/// `node`, whose value goes into another one.
fn gathered(node: AstNode) -> AstNode {
    weighed(GATHER, node)
}

/// `node`, which is what a function or a step gives: what it only names is gathered.
fn given(node: AstNode) -> AstNode {
    match node {
        AstNode::Conditional { condition, then_branch, else_branch } => AstNode::Conditional {
            condition,
            then_branch: Box::new(given(*then_branch)),
            else_branch: else_branch.map(|branch| Box::new(given(*branch))),
        },
        AstNode::Block(mut items) => {
            if let Some(last) = items.pop() {
                items.push(given(last));
            }
            AstNode::Block(items)
        }
        AstNode::Variable(_) => gathered(node),
        other => other,
    }
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

/// The call of the function `name`, or of what stands for it here.
fn function(name: String, mut args: Vec<AstNode>, is_builtin: bool) -> AstNode {
    match name.as_str() {
        "distinct" if is_builtin && args.len() <= 1 => call(DISTINCT, args),
        // The time is that of the turn, however it is written.
        "now" if is_builtin && !args.is_empty() => {
            args.insert(0, call("millis", Vec::new()));
            call("fromMillis", args)
        }
        _ => AstNode::Function { name, args, is_builtin },
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
    // What is made of two, or takes the square of one, is weighed before it is made.
    let (one, other) = match name {
        "replace" => (0, 2),
        "join" => (0, 1),
        "formatNumber" | "formatInteger" | "parseInteger" | "fromMillis" | "toMillis" => (1, 1),
        _ => (usize::MAX, usize::MAX),
    };
    let is_data = |node: &&AstNode| !matches!(node, AstNode::Lambda { .. } | AstNode::Placeholder);
    let factor = args.get(other).filter(is_data).cloned();
    let how = match name {
        "string" | "distinct" => WEIGH_WHOLE,
        "append" | "reverse" | "sort" | "shuffle" | "zip" | "merge" | "spread" => GATHER,
        _ => WEIGH,
    };
    let weigh = |(at, node): (usize, AstNode)| {
        let node = match node {
            node if callback == Some(at) => called(name, node),
            AstNode::Lambda { .. } | AstNode::Regex { .. } | AstNode::Placeholder => meter(node),
            node => call(how, vec![meter(node), AstNode::String(name.to_owned())]),
        };
        match &factor {
            Some(factor) if at == one => call(WEIGH_PRODUCT, vec![node, meter(factor.clone())]),
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
