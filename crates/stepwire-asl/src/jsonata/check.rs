//! What Step Functions refuses of an expression when a definition is made.

use jsonata_core::ast::{AstNode, BinaryOp, PathStep, Stage};
use jsonata_core::value::with_stack;

use super::{Given, Refused};

/// Refuses an expression that reads a context item, which there is none of, or that is written in a
/// later JSONata.
pub(super) fn check(ast: &AstNode, given: Given) -> Result<(), Refused> {
    Check { given }.walk(ast, true)
}

fn unsupported(message: String) -> Refused {
    Refused { code: "UNSUPPORTED_JSONATA_EXPRESSION", message }
}

fn no_context_item(name: &str) -> Refused {
    unsupported(format!("Reference to '{name}' at the top level is not supported."))
}

struct Check {
    given: Given,
}

impl Check {
    fn all<'a>(
        &self,
        nodes: impl IntoIterator<Item = &'a AstNode>,
        top: bool,
    ) -> Result<(), Refused> {
        nodes.into_iter().try_for_each(|node| self.walk(node, top))
    }

    /// `top`: whether what a name is read from is the missing context item.
    fn walk(&self, node: &AstNode, top: bool) -> Result<(), Refused> {
        with_stack(|| self.one(node, top))
    }

    fn one(&self, node: &AstNode, top: bool) -> Result<(), Refused> {
        match node {
            AstNode::Name(name) if top => Err(no_context_item(name)),
            AstNode::Variable(name) if top && name.is_empty() => Err(no_context_item("$")),
            AstNode::ParentVariable(_) => {
                Err(unsupported("Reference to '$$' is not supported.".to_owned()))
            }
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
            AstNode::Path { steps } => self.path(steps, top),
            AstNode::Binary { op, .. } if matches!(op, BinaryOp::Coalesce | BinaryOp::Default) => {
                // Neither is a token of 2.0.6: what follows `?` is read as an operand.
                let symbol = if *op == BinaryOp::Coalesce { "?" } else { ":" };
                Err(Refused {
                    code: "INVALID_JSONATA_EXPRESSION",
                    message: format!("The symbol \"{symbol}\" cannot be used as a unary operator"),
                })
            }
            AstNode::Binary { lhs, rhs, .. } => self.all([lhs.as_ref(), rhs.as_ref()], top),
            AstNode::Unary { operand, .. } => self.walk(operand, top),
            AstNode::Function { name, args, is_builtin } => {
                if top && !*is_builtin {
                    return Err(no_context_item(name));
                }
                self.all(args, top)
            }
            AstNode::Call { procedure, args } => {
                self.walk(procedure, top)?;
                self.all(args, top)
            }
            AstNode::Lambda { body, .. } => self.walk(body, top),
            AstNode::Array(items) | AstNode::ArrayGroup(items) | AstNode::Block(items) => {
                self.all(items, top)
            }
            AstNode::Object(pairs) => pairs.iter().try_for_each(|(k, v)| self.all([k, v], top)),
            AstNode::ObjectTransform { input, pattern } => {
                self.walk(input, top)?;
                pattern.iter().try_for_each(|(key, value)| self.all([key, value], false))
            }
            AstNode::Conditional { condition, then_branch, else_branch } => {
                self.all([condition.as_ref(), then_branch.as_ref()], top)?;
                else_branch.as_deref().map_or(Ok(()), |branch| self.walk(branch, top))
            }
            AstNode::FunctionApplication(inner) => self.walk(inner, top),
            AstNode::Sort { input, terms } => {
                self.walk(input, top)?;
                self.all(terms.iter().map(|(term, _)| term), false)
            }
            AstNode::Transform { location, update, delete } => {
                self.all([location.as_ref(), update.as_ref()], false)?;
                delete.as_deref().map_or(Ok(()), |fields| self.walk(fields, false))
            }
        }
    }

    /// The first step reads what the path reads; everything after it reads what the step before gave.
    fn path(&self, steps: &[PathStep], top: bool) -> Result<(), Refused> {
        if let [states, member, ..] = steps
            && matches!(&states.node, AstNode::Variable(name) if name == "states")
            && let AstNode::Name(member) = &member.node
        {
            let missing = match member.as_str() {
                "result" => !self.given.result,
                "errorOutput" => !self.given.error_output,
                _ => false,
            };
            if missing {
                return Err(unsupported(format!("Field '$states.{member}' does not exist.")));
            }
        }
        for (number, step) in steps.iter().enumerate() {
            self.walk(&step.node, top && number == 0)?;
            for stage in &step.stages {
                if let Stage::Filter(test) = stage {
                    self.walk(test, false)?;
                }
            }
        }
        Ok(())
    }
}
