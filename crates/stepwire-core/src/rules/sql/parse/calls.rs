//! Calls of functions, and `cast`.

use stepwire_asl::diagnostic::nearest;

use super::clauses::LEVELS_MAX;
use super::{Parser, upper};
use crate::rules::sql::functions::Function;
use crate::rules::sql::{Error, Expr, Type, Value, Version};

impl Parser<'_> {
    pub(super) fn call(&mut self, name: &str) -> Result<Expr, Error> {
        let lower = name.to_ascii_lowercase();
        let place = self.at;
        if lower == "cast" {
            self.at += 2;
            return self.cast();
        }
        let Some(function) = Function::named(&lower) else {
            let mut error = self.error(&format!("unknown function `{name}`"));
            let near = nearest(&lower, Function::names().iter().copied().chain(["cast"]));
            error.hint = near.map(super::meant);
            return Err(error);
        };
        if function.since() > Version::V2015 {
            self.since_2016(self.at, &format!("function `{name}` is"))?;
        }
        self.at += 2;
        let mut arguments = Vec::new();
        while !self.sign(")") {
            if !arguments.is_empty() {
                self.expect(",")?;
            }
            let bare = self.is_word("SELECT");
            arguments.push(if bare { self.bare_sub()? } else { self.expr()? });
        }
        self.check_arity(place, name, function, arguments.len());
        if let Some(fault) = function.argument_fault(&arguments) {
            return Err(self.error_at(place, &format!("`{name}` {fault}")));
        }
        if let Some((fault, hint)) = function.role_fault(&arguments)
            && self.no_role.is_none()
        {
            let error = self.error_at(place, &format!("`{name}` {fault}"));
            self.no_role = Some(Error { hint: Some(hint), ..error });
        }
        if let Some(fault) = level_fault(function, &arguments) {
            self.warn(place, &format!("`{name}` {fault}"), "it gives Undefined");
        }
        Ok(Expr::Call(function, arguments))
    }

    /// A wrong number of arguments makes Undefined, as AWS's reference says: that is hardly meant.
    fn check_arity(&mut self, place: usize, name: &str, function: Function, count: usize) {
        if let Some(fault) = function.count_fault(count) {
            self.warn(place, &format!("`{name}` {fault}"), "it gives Undefined");
        }
    }

    fn cast(&mut self) -> Result<Expr, Error> {
        let value = self.expr()?;
        if !self.word("AS") {
            return Err(self.hinted("expected `AS`", "write cast(a AS Decimal)"));
        }
        let place = self.at;
        let word = self.name()?;
        let to = match upper(&word).as_str() {
            "STRING" | "NVARCHAR" | "TEXT" | "NTEXT" | "VARCHAR" => Type::String,
            "INT" | "INTEGER" => Type::Int,
            "DOUBLE" => Type::Decimal,
            "DECIMAL" | "BOOL" | "BOOLEAN" => {
                self.since_2016(place, &format!("type `{word}` is"))?;
                if word.eq_ignore_ascii_case("decimal") { Type::Decimal } else { Type::Boolean }
            }
            _ => {
                let hint = "write String, Int, Decimal or Boolean".to_owned();
                let error = self.error_at(place, &format!("unknown type `{word}`"));
                return Err(Error { hint: Some(hint), ..error });
            }
        };
        self.expect(")")?;
        Ok(Expr::Cast(Box::new(value), to))
    }
}

/// What is wrong with the level that `topic` is asked for.
fn level_fault(function: Function, arguments: &[Expr]) -> Option<&'static str> {
    let (Function::Topic, [Expr::Literal(level)]) = (function, arguments) else { return None };
    let level = Value::from(level.clone()).int().and_then(|level| usize::try_from(level).ok());
    let fits = level.is_some_and(|level| (1..=LEVELS_MAX).contains(&level));
    (!fits).then_some("takes the number of a level, from 1")
}
