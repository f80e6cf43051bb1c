//! What Step Functions refuses of an expression when a definition is made.

use jsonata_core::ast::{AstNode, BinaryOp, PathStep, Stage};

use super::Refused;

/// Refuses an expression that reads a context item, which there is none of, or that is written in a
/// later JSONata.
pub(super) fn check(ast: &AstNode) -> Result<(), Refused> {
    walk(ast, true)
}

fn unsupported(name: &str) -> Refused {
    Refused {
        code: "UNSUPPORTED_JSONATA_EXPRESSION",
        message: format!("Reference to '{name}' at the top level is not supported."),
    }
}

fn all<'a>(nodes: impl IntoIterator<Item = &'a AstNode>, top: bool) -> Result<(), Refused> {
    nodes.into_iter().try_for_each(|node| walk(node, top))
}

/// `top`: whether what a name is read from is the missing context item.
fn walk(node: &AstNode, top: bool) -> Result<(), Refused> {
    match node {
        AstNode::Name(name) if top => Err(unsupported(name)),
        AstNode::Variable(name) if top && name.is_empty() => Err(unsupported("$")),
        AstNode::ParentVariable(_) => Err(unsupported("$$")),
        AstNode::String(_)
        | AstNode::Name(_)
        | AstNode::Number(_)
        | AstNode::Boolean(_)
        | AstNode::Null
        | AstNode::Undefined
        | AstNode::Placeholder
        | AstNode::Regex { .. }
        | AstNode::Variable(_)
        | AstNode::Wildcard
        | AstNode::Descendant
        | AstNode::Parent(_) => Ok(()),
        AstNode::Path { steps } => path(steps, top),
        AstNode::Binary { op, .. } if matches!(op, BinaryOp::Coalesce | BinaryOp::Default) => {
            // Neither is a token of 2.0.6: what follows `?` is read as an operand.
            let symbol = if *op == BinaryOp::Coalesce { "?" } else { ":" };
            Err(Refused {
                code: "INVALID_JSONATA_EXPRESSION",
                message: format!("The symbol \"{symbol}\" cannot be used as a unary operator"),
            })
        }
        AstNode::Binary { lhs, rhs, .. } => all([lhs.as_ref(), rhs.as_ref()], top),
        AstNode::Unary { operand, .. } => walk(operand, top),
        AstNode::Function { name, args, is_builtin } => {
            if top && !*is_builtin {
                return Err(unsupported(name));
            }
            all(args, top)
        }
        AstNode::Call { procedure, args } => {
            walk(procedure, top)?;
            all(args, top)
        }
        AstNode::Lambda { body, .. } => walk(body, top),
        AstNode::Array(items) | AstNode::ArrayGroup(items) | AstNode::Block(items) => {
            all(items, top)
        }
        AstNode::Object(pairs) => pairs.iter().try_for_each(|(k, v)| all([k, v], top)),
        AstNode::ObjectTransform { input, pattern } => {
            walk(input, top)?;
            pattern.iter().try_for_each(|(key, value)| all([key, value], false))
        }
        AstNode::Conditional { condition, then_branch, else_branch } => {
            all([condition.as_ref(), then_branch.as_ref()], top)?;
            else_branch.as_deref().map_or(Ok(()), |branch| walk(branch, top))
        }
        AstNode::FunctionApplication(inner) => walk(inner, top),
        AstNode::Sort { input, terms } => {
            walk(input, top)?;
            all(terms.iter().map(|(term, _)| term), false)
        }
        AstNode::Transform { location, update, delete } => {
            all([location.as_ref(), update.as_ref()], false)?;
            delete.as_deref().map_or(Ok(()), |fields| walk(fields, false))
        }
    }
}

/// The first step reads what the path reads; everything after it reads what the step before gave.
fn path(steps: &[PathStep], top: bool) -> Result<(), Refused> {
    for (number, step) in steps.iter().enumerate() {
        walk(&step.node, top && number == 0)?;
        for stage in &step.stages {
            if let Stage::Filter(test) = stage {
                walk(test, false)?;
            }
        }
    }
    Ok(())
}
