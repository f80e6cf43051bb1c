//! Calls of functions, and `cast`.

use stepwire_asl::Json;
use stepwire_asl::diagnostic::nearest;

use super::clauses::LEVELS_MAX;
use super::{Parser, upper};
use crate::rules::sql::functions::{Function, LATER};
use crate::rules::sql::{Error, Expr, Type};

/// Functions since SQL version 2016-03-23.
const SINCE_2016: &[&str] = &[
    "decode",
    "encode",
    "indexof",
    "isundefined",
    "length",
    "numbytes",
    "parse_time",
    "time_to_epoch",
    "transform",
];

impl Parser<'_> {
    pub(super) fn call(&mut self, name: &str) -> Result<Expr, Error> {
        let lower = name.to_ascii_lowercase();
        if LATER.contains(&lower.as_str()) {
            return Err(self.error(&format!("function `{name}` is not available yet")));
        }
        if SINCE_2016.contains(&lower.as_str()) {
            self.since_2016(self.at, &format!("function `{name}` is"))?;
        }
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
        if let Some(fault) = argument_fault(function, &arguments) {
            return Err(self.error_at(place, &format!("`{name}` {fault}")));
        }
        Ok(Expr::Call(function, arguments))
    }

    /// A wrong number of arguments makes Undefined, as AWS's reference says: that is hardly meant.
    fn check_arity(&mut self, place: usize, name: &str, function: Function, count: usize) {
        let (least, most) = function.arity();
        if (least..=most).contains(&count) {
            return;
        }
        let takes = match (least, most) {
            (1, 1) => "1 argument".to_owned(),
            _ if least == most => format!("{least} arguments"),
            _ => format!("{least} to {most} arguments"),
        };
        self.warn(place, &format!("`{name}` takes {takes}, not {count}"), "it gives Undefined");
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

/// What can be told of arguments before there is a message.
fn argument_fault(function: Function, arguments: &[Expr]) -> Option<&'static str> {
    match (function, arguments) {
        (Function::Encode | Function::Decode, [_, codec]) => {
            let base64 = *codec == Expr::Literal(Json::from("base64"));
            (!base64).then_some("with another codec than 'base64' is not available yet")
        }
        (Function::Topic, [Expr::Literal(level)]) => {
            let level = level.as_i64().and_then(|level| usize::try_from(level).ok());
            let fits = level.is_some_and(|level| (1..=LEVELS_MAX).contains(&level));
            (!fits).then_some("takes the number of a level, from 1")
        }
        _ => None,
    }
}
