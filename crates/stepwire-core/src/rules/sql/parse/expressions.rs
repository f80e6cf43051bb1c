//! Expressions, loosest first.

use std::sync::Arc;

use stepwire_asl::Json;

use super::{Parser, is_reserved, upper};
use crate::rules::sql::lex::Token;
use crate::rules::sql::{Error, Expr, Operator};

impl Parser<'_> {
    pub(super) fn expr(&mut self) -> Result<Expr, Error> {
        self.deeper(Self::or)
    }

    fn binary(&mut self, left: Expr, operator: Operator, right: Expr) -> Result<Expr, Error> {
        self.chain()?;
        Ok(Expr::Binary(Box::new(left), operator, Box::new(right)))
    }

    fn or(&mut self) -> Result<Expr, Error> {
        let mut left = self.and()?;
        while self.word("OR") {
            let right = self.and()?;
            left = self.binary(left, Operator::Or, right)?;
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expr, Error> {
        let mut left = self.not()?;
        while self.word("AND") {
            let right = self.not()?;
            left = self.binary(left, Operator::And, right)?;
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expr, Error> {
        if self.word("NOT") {
            return Ok(Expr::Not(Box::new(self.deeper(Self::not)?)));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Expr, Error> {
        const OPERATORS: [(&str, Operator); 7] = [
            ("=", Operator::Equal),
            ("<>", Operator::NotEqual),
            ("!=", Operator::NotEqual),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ];
        let mut left = self.sum()?;
        loop {
            if self.is_sign("!=") {
                self.warn(self.at, "`!=` is not in AWS's reference", "write `<>`");
            }
            if let Some((_, operator)) = OPERATORS.into_iter().find(|(sign, _)| self.sign(sign)) {
                let right = self.sum()?;
                left = self.binary(left, operator, right)?;
            } else if self.word("IN") {
                let right = self.set_of_in()?;
                left = self.binary(left, Operator::In, right)?;
            } else {
                return Ok(left);
            }
        }
    }

    /// What `IN` looks into: an array.
    fn set_of_in(&mut self) -> Result<Expr, Error> {
        let place = self.at;
        let opened = self.is_sign("(");
        let set = self.sum();
        // `IN (1, 2)` stops at its comma.
        match set {
            Err(error) if opened && self.is_sign(",") && error.message == "expected `)`" => {
                let hint = "write IN [1, 2]".to_owned();
                let message = "`IN` looks into an array";
                Err(Error { hint: Some(hint), ..self.error_at(place, message) })
            }
            Ok(Expr::Literal(value)) if value.as_array().is_none() => {
                let hint = format!("write IN [{}]", Expr::Literal(value));
                let message = "`IN` looks into an array";
                Err(Error { hint: Some(hint), ..self.error_at(place, message) })
            }
            set => set,
        }
    }

    fn sum(&mut self) -> Result<Expr, Error> {
        let mut left = self.product()?;
        loop {
            let operator = if self.sign("+") {
                Operator::Plus
            } else if self.sign("-") {
                Operator::Minus
            } else {
                return Ok(left);
            };
            let right = self.product()?;
            left = self.binary(left, operator, right)?;
        }
    }

    fn product(&mut self) -> Result<Expr, Error> {
        let mut left = self.unary()?;
        loop {
            let operator = if self.sign("*") {
                Operator::Times
            } else if self.sign("/") {
                Operator::Divide
            } else if self.sign("%") {
                Operator::Modulo
            } else {
                return Ok(left);
            };
            let right = self.unary()?;
            left = self.binary(left, operator, right)?;
        }
    }

    fn unary(&mut self) -> Result<Expr, Error> {
        let mut minus = false;
        while self.is_sign("-") || self.is_sign("+") {
            minus ^= self.is_sign("-");
            self.at += 1;
        }
        let expr = self.postfix()?;
        Ok(if minus { Expr::Negative(Box::new(expr)) } else { expr })
    }

    pub(super) fn postfix(&mut self) -> Result<Expr, Error> {
        let of = self.primary()?;
        let mut names = Vec::new();
        while self.is_sign(".") {
            // `SELECT a.*`
            if self.item_depth == Some(self.depth) && self.ahead(1) == Some(&Token::Sign("*")) {
                break;
            }
            self.at += 1;
            self.chain()?;
            names.push(self.alias()?);
        }
        if self.is_sign("[") {
            return Err(self.no_index());
        }
        Ok(if names.is_empty() { of } else { Expr::Member(Box::new(of), names) })
    }

    fn primary(&mut self) -> Result<Expr, Error> {
        match self.peek().clone() {
            Token::Text(text) => Ok(self.literal(Json::from(text))),
            Token::Number(number) => Ok(self.literal(Json::Number(number))),
            Token::Sign("(") => {
                self.at += 1;
                let inner = if self.is_word("SELECT") { self.bare_sub()? } else { self.expr()? };
                self.expect(")")?;
                Ok(inner)
            }
            Token::Sign("[") => self.array(),
            Token::Sign("{") => self.object(),
            Token::Sign("*") => {
                self.at += 1;
                Ok(Expr::All)
            }
            Token::Word(word) => self.worded(&word),
            Token::Sign(_) | Token::Bare(_) | Token::End => Err(self.error("expected a value")),
        }
    }

    fn array(&mut self) -> Result<Expr, Error> {
        self.since_2016(self.at, "literals of arrays are")?;
        self.at += 1;
        let mut items = Vec::new();
        while !self.sign("]") {
            if !items.is_empty() {
                self.expect(",")?;
            }
            items.push(self.expr()?);
        }
        Ok(Expr::Array(items))
    }

    fn object(&mut self) -> Result<Expr, Error> {
        self.since_2016(self.at, "literals of objects are")?;
        self.at += 1;
        let mut members: Vec<(Arc<str>, Expr)> = Vec::new();
        while !self.sign("}") {
            if !members.is_empty() {
                self.expect(",")?;
            }
            let name = match self.peek().clone() {
                Token::Text(name) => name,
                Token::Word(word) => {
                    return Err(
                        self.hinted("expected a quoted name", &format!("write {{'{word}': …}}"))
                    );
                }
                _ => return Err(self.error("expected a quoted name")),
            };
            self.at += 1;
            self.expect(":")?;
            members.push((name.into(), self.expr()?));
        }
        Ok(Expr::Object(members))
    }

    fn worded(&mut self, word: &str) -> Result<Expr, Error> {
        let called = matches!(self.ahead(1), Some(Token::Sign("(")));
        match upper(word).as_str() {
            "TRUE" if !called => Ok(self.literal(Json::from(true))),
            "FALSE" if !called => Ok(self.literal(Json::from(false))),
            "NULL" if !called => Ok(self.literal(Json::Null)),
            "CASE" => self.case(),
            "EXISTS" => self.exists(),
            _ if word.starts_with('@') => self.variable(word),
            _ if called && !is_reserved(word) => self.call(word),
            _ if is_reserved(word) => Err(self.error("expected a value")),
            _ => self.name().map(Expr::Name),
        }
    }

    fn variable(&mut self, word: &str) -> Result<Expr, Error> {
        if self.variables.is_some() && !self.is_variable(word) {
            let hint = format!("write SET {word} = … before SELECT");
            return Err(self.hinted(&format!("variable `{word}` is not set"), &hint));
        }
        self.at += 1;
        Ok(Expr::Variable(word.into()))
    }

    fn literal(&mut self, value: Json) -> Expr {
        self.at += 1;
        Expr::Literal(value)
    }

    fn exists(&mut self) -> Result<Expr, Error> {
        self.at += 1;
        self.expect("(")?;
        if !self.word("SELECT") {
            let hint = "write EXISTS (SELECT * FROM list WHERE …), or isUndefined(a)";
            return Err(self.hinted("expected `SELECT`", hint));
        }
        let sub = self.sub()?;
        self.expect(")")?;
        Ok(Expr::Exists(Box::new(sub)))
    }

    fn case(&mut self) -> Result<Expr, Error> {
        self.at += 1;
        if self.is_word("WHEN") {
            let hint = "write `CASE (a > b) WHEN true THEN …`";
            return Err(self.hinted("`CASE` needs a value before `WHEN`", hint));
        }
        let value = self.expr()?;
        let mut arms = Vec::new();
        while self.word("WHEN") {
            let when = self.expr()?;
            if !self.word("THEN") {
                return Err(self.foreign_or("expected `THEN`"));
            }
            arms.push((when, self.expr()?));
        }
        let otherwise = if self.word("ELSE") { Some(Box::new(self.expr()?)) } else { None };
        if arms.is_empty() || !self.word("END") {
            return Err(self.foreign_or("expected `WHEN` or `END`"));
        }
        Ok(Expr::Case(Box::new(value), arms, otherwise))
    }
}
