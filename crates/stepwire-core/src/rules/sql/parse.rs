//! From text to a statement.

use std::sync::Arc;

use stepwire_asl::Json;

use super::functions::{Function, LATER};
use super::lex::{self, Token};
use super::{Error, Expr, Item, Operator, Select, Statement, Sub, Type};

/// Expressions within expressions.
const DEPTH_MAX: usize = 64;
/// Operators and member names that follow each other, in a whole statement.
const CHAIN_MAX: usize = 1_000;
/// Levels of a topic filter; no topic has more.
const LEVELS_MAX: usize = 200;
/// Longest statement, bytes.
const LENGTH_MAX: usize = 262_144;

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<(Token, usize)>,
    at: usize,
    depth: usize,
    chained: usize,
}

/// Words that end an expression, so that they are not taken for names.
const RESERVED: &[&str] = &[
    "SELECT", "FROM", "WHERE", "AS", "AND", "OR", "NOT", "IN", "CASE", "WHEN", "THEN", "ELSE",
    "END", "EXISTS", "SET",
];

/// Those of them that begin an expression.
const BEGIN: &[&str] = &["NOT", "CASE", "EXISTS"];

pub(super) fn statement(text: &str) -> Result<Statement, Error> {
    let mut parser = Parser::new(text)?;
    if parser.word("SET") {
        return Err(parser.error_before("`SET` is not available yet"));
    }
    if !parser.word("SELECT") {
        return Err(parser.error("expected `SELECT`"));
    }
    let select = parser.select()?;
    let from = parser.from()?;
    let filter = parser.condition()?;
    match parser.peek() {
        Token::End => Ok(Statement { from, select, filter }),
        Token::Word(word) => Err(parser.unexpected(word)),
        _ => Err(parser.error("unexpected text after the statement")),
    }
}

pub(super) fn expression(text: &str) -> Result<Expr, Error> {
    let mut parser = Parser::new(text)?;
    let expr = parser.expr()?;
    match parser.peek() {
        Token::End => Ok(expr),
        _ => Err(parser.error("unexpected text after the expression")),
    }
}

/// The keyword that `word` was perhaps meant to be: the same letters, one pair swapped or one off.
fn nearest(word: &str) -> Option<&'static str> {
    let word = upper(word);
    let sorted = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    RESERVED.iter().copied().find(|keyword| sorted(keyword) == sorted(&word))
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Parser<'a>, Error> {
        let mut parser = Parser { text, tokens: Vec::new(), at: 0, depth: 0, chained: 0 };
        if text.len() > LENGTH_MAX {
            return Err(parser.at_offset(0, "the statement is too long"));
        }
        let tokens = lex::tokens(text);
        parser.tokens = tokens.map_err(|fault| parser.at_offset(fault.at, &fault.what))?;
        Ok(parser)
    }

    // ---- errors --------------------------------------------------------------------------------

    fn at_offset(&self, offset: usize, message: &str) -> Error {
        let before = &self.text[..offset];
        let begin = before.rfind('\n').map_or(0, |at| at + 1);
        let line = self.text[begin..].lines().next().unwrap_or_default();
        Error {
            message: message.to_owned(),
            hint: None,
            line: before.matches('\n').count() + 1,
            column: before[begin..].chars().count() + 1,
            text: line.to_owned(),
        }
    }

    fn error(&self, message: &str) -> Error {
        self.at_offset(self.offset(), message)
    }

    /// An error at the token before this one.
    fn error_before(&self, message: &str) -> Error {
        let (_, offset) = self.tokens[self.at.saturating_sub(1)];
        self.at_offset(offset, message)
    }

    fn offset(&self) -> usize {
        self.tokens.get(self.at).map_or(self.text.len(), |(_, offset)| *offset)
    }

    // ---- tokens --------------------------------------------------------------------------------

    fn peek(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |(token, _)| token)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Word(found) if found.eq_ignore_ascii_case(word))
    }

    fn word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Token::Sign(found) if *found == sign)
    }

    fn sign(&mut self, sign: &str) -> bool {
        let found = self.is_sign(sign);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), Error> {
        if self.sign(sign) { Ok(()) } else { Err(self.error(&format!("expected `{sign}`"))) }
    }

    fn name(&mut self) -> Result<Arc<str>, Error> {
        match self.peek().clone() {
            Token::Word(word) if word.starts_with('@') => {
                Err(self.error("variables are not available yet"))
            }
            Token::Word(word) if !is_reserved(&word) => {
                self.at += 1;
                Ok(word.into())
            }
            _ => Err(self.error("expected a name")),
        }
    }

    // ---- clauses -------------------------------------------------------------------------------

    fn select(&mut self) -> Result<Select, Error> {
        if self.at_value_keyword() {
            self.at += 1;
            return Ok(Select::Value(Box::new(self.expr()?)));
        }
        let mut items = Vec::new();
        loop {
            // A comma before FROM stands in published examples.
            if !items.is_empty() && (self.is_word("FROM") || self.is_word("WHERE")) {
                break;
            }
            items.push(self.item()?);
            if !self.sign(",") {
                break;
            }
        }
        Ok(Select::Items(items))
    }

    /// Whether the next word is `VALUE` before an expression. Payloads have members of that name:
    /// before anything that cannot begin an expression it is one of those.
    fn at_value_keyword(&self) -> bool {
        let token = |at: usize| self.tokens.get(self.at + at).map(|(token, _)| token);
        let ends = |token: Option<&Token>| match token {
            Some(Token::Word(word)) => is_reserved(word) && !BEGIN.contains(&upper(word).as_str()),
            Some(Token::Sign(sign)) => matches!(*sign, "," | ")"),
            Some(Token::Text(_) | Token::Number(_)) => false,
            Some(Token::End) | None => true,
        };
        let begins = match token(1) {
            Some(Token::Sign("*")) => ends(token(2)) || token(2) == Some(&Token::Sign(".")),
            Some(Token::Sign(sign)) => matches!(*sign, "(" | "[" | "{"),
            token => !ends(token),
        };
        self.is_word("VALUE") && begins
    }

    fn item(&mut self) -> Result<Item, Error> {
        if self.is_sign("*") {
            let next = self.tokens.get(self.at + 1).map(|(token, _)| token);
            let alone = match next {
                Some(Token::End) | None => true,
                Some(Token::Sign(sign)) => matches!(*sign, "," | ")"),
                Some(Token::Word(word)) => is_reserved(word) && !word.eq_ignore_ascii_case("AS"),
                _ => false,
            };
            if alone {
                self.at += 1;
                return Ok(Item::All);
            }
        }
        let expr = self.expr()?;
        if !self.word("AS") {
            let name = last_name(&expr);
            return Ok(Item::One(expr, vec![name]));
        }
        let mut path = vec![self.alias()?];
        while self.sign(".") {
            if path.len() >= DEPTH_MAX {
                return Err(self.error("the name has too many parts"));
            }
            path.push(self.alias()?);
        }
        Ok(Item::One(expr, path))
    }

    fn alias(&mut self) -> Result<Arc<str>, Error> {
        match self.peek().clone() {
            Token::Text(text) | Token::Word(text) => {
                self.at += 1;
                Ok(text.into())
            }
            _ => Err(self.error("expected a name")),
        }
    }

    /// `FROM` and its topic filter. Before a word that is perhaps a misspelt `FROM`, that is said.
    fn from(&mut self) -> Result<Arc<str>, Error> {
        if self.word("FROM") {
            return self.filter();
        }
        Err(match self.peek() {
            Token::Word(word) if !is_reserved(word) => self.unexpected(word),
            _ => self.error("expected `FROM` and a topic filter"),
        })
    }

    /// The error that a word does not belong here.
    fn unexpected(&self, word: &str) -> Error {
        let mut error = self.error(&format!("unexpected `{word}`"));
        error.hint = nearest(word).map(|near| format!("did you mean `{near}`?"));
        error
    }

    /// The topic filter of `FROM`, quoted.
    fn filter(&mut self) -> Result<Arc<str>, Error> {
        let Token::Text(text) = self.peek().clone() else {
            let mut error = self.error("expected a topic filter");
            error.hint = Some("quote it: FROM 'devices/+/data'".to_owned());
            return Err(error);
        };
        if let Some(fault) = filter_fault(&text) {
            return Err(self.error(&fault));
        }
        self.at += 1;
        Ok(text.into())
    }

    fn condition(&mut self) -> Result<Option<Expr>, Error> {
        if self.word("WHERE") { self.expr().map(Some) } else { Ok(None) }
    }

    /// A sub-select, after its `SELECT`.
    fn sub(&mut self) -> Result<Sub, Error> {
        self.deeper(Self::sub_select)
    }

    fn sub_select(&mut self) -> Result<Sub, Error> {
        let select = self.select()?;
        if !self.word("FROM") {
            return Err(self.error("expected `FROM`"));
        }
        let from = if self.sign("*") { Expr::All } else { self.postfix()? };
        let alias = if self.word("AS") { Some(self.alias()?) } else { None };
        Ok(Sub { select, from, alias, filter: self.condition()? })
    }

    // ---- expressions, loosest first --------------------------------------------------------------

    fn expr(&mut self) -> Result<Expr, Error> {
        self.deeper(Self::or)
    }

    /// Runs `parse` one level deeper.
    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if self.depth >= DEPTH_MAX {
            return Err(self.error("the expression is nested too deeply"));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// Counts one more link of a chain.
    fn chain(&mut self) -> Result<(), Error> {
        self.chained += 1;
        if self.chained > CHAIN_MAX {
            return Err(self.error(&format!("the statement has more than {CHAIN_MAX} operators")));
        }
        Ok(())
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
        let mut left = self.sum()?;
        loop {
            let operators = [
                ("=", Operator::Equal),
                ("<>", Operator::NotEqual),
                ("!=", Operator::NotEqual),
                ("<=", Operator::LessOrEqual),
                (">=", Operator::GreaterOrEqual),
                ("<", Operator::Less),
                (">", Operator::Greater),
            ];
            if let Some((_, operator)) = operators.into_iter().find(|(sign, _)| self.sign(sign)) {
                let right = self.sum()?;
                left = self.binary(left, operator, right)?;
            } else if self.word("IN") {
                let right = self.sum()?;
                left = self.binary(left, Operator::In, right)?;
            } else {
                return Ok(left);
            }
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

    fn postfix(&mut self) -> Result<Expr, Error> {
        let of = self.primary()?;
        let mut names = Vec::new();
        while self.sign(".") {
            self.chain()?;
            names.push(self.alias()?);
        }
        Ok(if names.is_empty() { of } else { Expr::Member(Box::new(of), names) })
    }

    fn primary(&mut self) -> Result<Expr, Error> {
        let token = self.peek().clone();
        match token {
            Token::Text(text) => {
                self.at += 1;
                Ok(Expr::Literal(Json::from(text)))
            }
            Token::Number(number) => {
                self.at += 1;
                Ok(Expr::Literal(Json::Number(number)))
            }
            Token::Sign("(") => {
                self.at += 1;
                let inner = if self.word("SELECT") {
                    Expr::Sub(Box::new(self.sub()?))
                } else {
                    self.expr()?
                };
                self.expect(")")?;
                Ok(inner)
            }
            Token::Sign("[") => {
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
            Token::Sign("{") => {
                self.at += 1;
                self.object()
            }
            Token::Sign("*") => {
                self.at += 1;
                Ok(Expr::All)
            }
            Token::Word(word) => self.worded(&word),
            Token::Sign(_) | Token::End => Err(self.error("expected a value")),
        }
    }

    fn object(&mut self) -> Result<Expr, Error> {
        let mut members = Vec::new();
        while !self.sign("}") {
            if !members.is_empty() {
                self.expect(",")?;
            }
            let Token::Text(name) = self.peek().clone() else {
                return Err(self.error("expected a quoted name"));
            };
            self.at += 1;
            self.expect(":")?;
            members.push((name.into(), self.expr()?));
        }
        Ok(Expr::Object(members))
    }

    fn worded(&mut self, word: &str) -> Result<Expr, Error> {
        match upper(word).as_str() {
            "TRUE" => Ok(self.literal(Json::from(true))),
            "FALSE" => Ok(self.literal(Json::from(false))),
            "NULL" => Ok(self.literal(Json::Null)),
            "CASE" => self.case(),
            "EXISTS" => {
                self.at += 1;
                self.expect("(")?;
                if !self.word("SELECT") {
                    return Err(self.error("expected `SELECT`"));
                }
                let sub = self.sub()?;
                self.expect(")")?;
                Ok(Expr::Exists(Box::new(sub)))
            }
            _ if matches!(self.tokens.get(self.at + 1), Some((Token::Sign("("), _))) => {
                self.call(word)
            }
            _ if is_reserved(word) => Err(self.error("expected a value")),
            _ => self.name().map(Expr::Name),
        }
    }

    fn literal(&mut self, value: Json) -> Expr {
        self.at += 1;
        Expr::Literal(value)
    }

    fn case(&mut self) -> Result<Expr, Error> {
        self.at += 1;
        if self.is_word("WHEN") {
            let mut error = self.error("`CASE` needs a value before `WHEN`");
            error.hint = Some("write `CASE (a > b) WHEN true THEN …`".to_owned());
            return Err(error);
        }
        let value = self.expr()?;
        let mut arms = Vec::new();
        while self.word("WHEN") {
            let when = self.expr()?;
            if !self.word("THEN") {
                return Err(self.error("expected `THEN`"));
            }
            arms.push((when, self.expr()?));
        }
        let otherwise = if self.word("ELSE") { Some(Box::new(self.expr()?)) } else { None };
        if arms.is_empty() || !self.word("END") {
            return Err(self.error("expected `WHEN` or `END`"));
        }
        Ok(Expr::Case(Box::new(value), arms, otherwise))
    }

    fn call(&mut self, name: &str) -> Result<Expr, Error> {
        let lower = name.to_ascii_lowercase();
        if LATER.contains(&lower.as_str()) {
            return Err(self.error(&format!("function `{name}` is not available yet")));
        }
        let place = self.at;
        self.at += 2;
        if lower == "cast" {
            return self.cast();
        }
        let Some(function) = Function::named(&lower) else {
            self.at = place;
            return Err(self.error(&format!("unknown function `{name}`")));
        };
        let mut arguments = Vec::new();
        while !self.sign(")") {
            if !arguments.is_empty() {
                self.expect(",")?;
            }
            let argument =
                if self.word("SELECT") { Expr::Sub(Box::new(self.sub()?)) } else { self.expr()? };
            arguments.push(argument);
        }
        let (least, most) = function.arity();
        if !(least..=most).contains(&arguments.len()) {
            self.at = place;
            let takes =
                if least == most { least.to_string() } else { format!("{least} to {most}") };
            return Err(
                self.error(&format!("`{name}` takes {takes} arguments, not {}", arguments.len()))
            );
        }
        if let Some(fault) = argument_fault(function, &arguments) {
            self.at = place;
            return Err(self.error(&format!("`{name}` {fault}")));
        }
        Ok(Expr::Call(function, arguments))
    }

    fn cast(&mut self) -> Result<Expr, Error> {
        let value = self.expr()?;
        if !self.word("AS") {
            return Err(self.error("expected `AS`"));
        }
        let place = self.at;
        let word = self.name()?.to_ascii_lowercase();
        let to = match word.as_str() {
            "string" | "nvarchar" | "text" | "ntext" | "varchar" => Type::String,
            "int" | "integer" => Type::Int,
            "double" | "decimal" => Type::Decimal,
            "bool" | "boolean" => Type::Boolean,
            _ => {
                self.at = place;
                return Err(self.error(&format!("unknown type `{word}`")));
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

/// What is wrong with a topic filter.
fn filter_fault(filter: &str) -> Option<String> {
    let levels: Vec<&str> = filter.split('/').collect();
    if filter.is_empty() {
        return Some("the topic filter is empty".to_owned());
    }
    if levels.len() > LEVELS_MAX {
        return Some(format!("the topic filter has more than {LEVELS_MAX} levels"));
    }
    let wrong = levels.iter().enumerate().find(|(at, level)| {
        let wild = level.contains(['+', '#']);
        wild && (level.len() > 1 || (**level == "#" && at + 1 < levels.len()))
    });
    wrong.map(|(_, level)| format!("`{level}` is no level of a topic filter"))
}

fn upper(word: &str) -> String {
    word.to_ascii_uppercase()
}

fn is_reserved(word: &str) -> bool {
    RESERVED.iter().any(|reserved| word.eq_ignore_ascii_case(reserved))
}

/// The member a value goes to when it is given no name: its last one, or the function's.
fn last_name(expr: &Expr) -> Arc<str> {
    match expr {
        Expr::Name(name) => Arc::clone(name),
        Expr::Member(_, names) => names.last().cloned().unwrap_or_default(),
        Expr::Call(function, _) => function.name().into(),
        _ => "".into(),
    }
}
