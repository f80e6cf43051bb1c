//! `SET`, `SELECT`, `FROM`, `WHERE`, and sub-selects.

use std::sync::Arc;

use super::{BEGIN, DEPTH_MAX, Parser, is_reserved, upper};
use crate::rules::sql::lex::Token;
use crate::rules::sql::{Error, Expr, Item, Select, Sub};

/// Most variables of a statement.
const VARIABLES_MAX: usize = 10;
/// Longest name of a variable, without its `@`.
const NAME_MAX: usize = 64;
/// Levels of a topic filter; no topic has more.
pub(super) const LEVELS_MAX: usize = 200;

impl Parser<'_> {
    /// `SET @a = …, @b = …`, when there is one.
    pub(super) fn set(&mut self) -> Result<Vec<(Arc<str>, Expr)>, Error> {
        let mut variables = Vec::new();
        if !self.word("SET") {
            return Ok(variables);
        }
        loop {
            let name = self.variable_to_set()?;
            if variables.len() >= VARIABLES_MAX {
                return Err(self.error(&format!("more than {VARIABLES_MAX} variables")));
            }
            self.at += 1;
            self.expect("=")?;
            let value = self.expr()?;
            self.variables.get_or_insert_default().push(Arc::clone(&name));
            variables.push((name, value));
            if !self.sign(",") {
                break;
            }
        }
        if self.is_word("SET") {
            return Err(self.hinted("a statement has one `SET`", "write SET @a = 1, @b = 2"));
        }
        Ok(variables)
    }

    /// The name that is set next.
    fn variable_to_set(&self) -> Result<Arc<str>, Error> {
        let Token::Word(word) = self.peek() else {
            return Err(self.hinted("expected the name of a variable", "write SET @name = …"));
        };
        let Some(name) = word.strip_prefix('@') else {
            let hint = format!("write SET @{word} = …");
            return Err(self.hinted("the name of a variable begins with `@`", &hint));
        };
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(self.error("a variable's name has letters, digits and `_` behind its `@`"));
        }
        if name.len() > NAME_MAX {
            return Err(
                self.error(&format!("the name of a variable has more than {NAME_MAX} characters"))
            );
        }
        if self.is_variable(word) {
            return Err(self.error(&format!("variable `{word}` is set twice")));
        }
        Ok(word.as_str().into())
    }

    pub(super) fn is_variable(&self, word: &str) -> bool {
        let known = self.variables.as_deref().unwrap_or_default();
        known.iter().any(|name| name.as_ref() == word)
    }

    pub(super) fn select(&mut self) -> Result<Select, Error> {
        if let Some(error) = self.foreign_before_items() {
            return Err(error);
        }
        // `.*` of what is around a sub-select is none of its own.
        let around = self.item_depth.take();
        let selected = match self.value()? {
            Some(value) => Select::Value(Box::new(value)),
            None => self.items()?,
        };
        self.item_depth = around;
        Ok(selected)
    }

    /// What `SELECT VALUE` selects, if it is that.
    fn value(&mut self) -> Result<Option<Expr>, Error> {
        let (begin, signed) =
            ((self.at, self.chained, self.warnings.len()), self.at_signed_value());
        if !signed && !self.at_value_keyword() {
            return Ok(None);
        }
        self.at += 1;
        let value = self.item_value()?;
        let named = self.is_word("AS");
        // `SELECT value -2 AS less` subtracts from a member.
        if signed && (named || self.is_sign(",")) {
            (self.at, self.chained) = (begin.0, begin.1);
            self.warnings.truncate(begin.2);
            return Ok(None);
        }
        if named {
            return Err(self.hinted("`SELECT VALUE` gives its value no name", "leave out `AS`"));
        }
        if self.is_sign(",") {
            let hint = "write SELECT [a, b] or SELECT a, b";
            return Err(self.hinted("`SELECT VALUE` selects one value", hint));
        }
        Ok(Some(value))
    }

    fn items(&mut self) -> Result<Select, Error> {
        let mut items = Vec::new();
        loop {
            // A comma before FROM stands in published examples.
            if !items.is_empty() && (self.is_word("FROM") || self.is_word("WHERE")) {
                self.warn(self.at - 1, "a comma before `FROM`", "leave it out");
                break;
            }
            items.push(self.item()?);
            if !self.sign(",") {
                break;
            }
        }
        Ok(Select::Items(items))
    }

    /// Whether the next word is `VALUE` before a sign that belongs to what is behind it: `VALUE -a`,
    /// where `value - a` and `value-a` subtract.
    fn at_signed_value(&self) -> bool {
        let offset = |by: usize| self.tokens.get(self.at + by).map(|(_, offset)| *offset);
        let (Some(word), Some(sign), Some(next)) = (offset(0), offset(1), offset(2)) else {
            return false;
        };
        let is_sign = matches!(self.ahead(1), Some(Token::Sign("-" | "+")));
        let apart = word + "VALUE".len() < sign && sign + 1 == next;
        self.is_word("VALUE") && is_sign && apart && self.ahead(2) != Some(&Token::End)
    }

    /// Whether the next word is `VALUE` before an expression. Payloads have members of that name:
    /// before anything that cannot begin an expression it is one of those.
    fn at_value_keyword(&self) -> bool {
        let ends = |token: Option<&Token>| match token {
            Some(Token::Word(word)) => is_reserved(word) && !BEGIN.contains(&upper(word).as_str()),
            Some(Token::Sign(sign)) => matches!(*sign, "," | ")"),
            Some(Token::Text(_) | Token::Number(_)) => false,
            Some(Token::Bare(_) | Token::End) | None => true,
        };
        let begins = match self.ahead(1) {
            Some(Token::Sign("*")) => {
                ends(self.ahead(2)) || self.ahead(2) == Some(&Token::Sign("."))
            }
            Some(Token::Sign(sign)) => matches!(*sign, "(" | "[" | "{"),
            token => !ends(token),
        };
        self.is_word("VALUE") && begins
    }

    fn item(&mut self) -> Result<Item, Error> {
        if self.is_sign("*") {
            let alone = match self.ahead(1) {
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
        self.item_depth = Some(self.depth + 1);
        let expr = self.item_value()?;
        self.item_depth = None;
        if self.is_sign(".") {
            return self.members_of(expr);
        }
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

    /// `a.*`, whose `a` has been read.
    fn members_of(&mut self, of: Expr) -> Result<Item, Error> {
        self.at += 1;
        if !of.is_spread() {
            return Err(self.hinted("expected a name", "write a.* for the members of a value"));
        }
        self.at += 1;
        if self.is_word("AS") {
            let name = match self.ahead(1) {
                Some(Token::Word(name)) => name,
                _ => "name",
            };
            let hint = format!("leave out `.*`: write {of} AS {name}");
            return Err(self.hinted("the members that `.*` gives keep their names", &hint));
        }
        Ok(Item::Members(of))
    }

    /// What is selected, before its name.
    fn item_value(&mut self) -> Result<Expr, Error> {
        let place = self.at;
        let expr = self.expr();
        // `SELECT FROM …`
        if let (Err(error), true) = (&expr, self.at == place)
            && (self.is_word("FROM") || self.is_word("WHERE"))
        {
            let hint = "write SELECT * or the names of members".to_owned();
            return Err(Error { hint: Some(hint), ..error.clone() });
        }
        expr
    }

    pub(super) fn alias(&mut self) -> Result<Arc<str>, Error> {
        if self.lacks_name() {
            let behind = match self.at.checked_sub(1).and_then(|at| self.tokens.get(at)) {
                Some((Token::Sign(_), _)) => "the name behind `.` is missing",
                _ => "the name behind `AS` is missing",
            };
            return Err(self.error(behind));
        }
        match self.peek().clone() {
            Token::Text(text) => {
                self.at += 1;
                Ok(text.into())
            }
            Token::Word(text) if !text.starts_with('@') => {
                self.at += 1;
                Ok(text.into())
            }
            Token::Number(_) => {
                let hint = "for a name that begins with a digit, or an index, write get(…, 'name')";
                Err(self.hinted("expected a name", hint))
            }
            Token::Sign("*") => Err(self.hinted("expected a name", "select the object itself")),
            _ => Err(self.error("expected a name")),
        }
    }

    /// Whether a `FROM` that stands where a name must be begins its clause; names may be `from`.
    fn lacks_name(&self) -> bool {
        self.is_word("FROM")
            && match self.ahead(1) {
                Some(Token::Text(_) | Token::Bare(_) | Token::Sign("*")) => true,
                Some(Token::Word(word)) => !is_reserved(word),
                Some(Token::Number(_) | Token::Sign(_) | Token::End) | None => false,
            }
    }

    /// `FROM` and its topic filter. Without it, only Basic Ingest reaches the rule.
    pub(super) fn from(&mut self) -> Result<Option<Arc<str>>, Error> {
        if self.word("FROM") {
            return self.filter().map(Some);
        }
        match self.peek() {
            Token::End => {}
            Token::Word(word) if word.eq_ignore_ascii_case("WHERE") => {}
            Token::Word(word) => return Err(self.unexpected(word)),
            Token::Sign("[") => return Err(self.no_index()),
            _ => return Err(self.error("expected `FROM` and a topic filter")),
        }
        let hint = "add FROM 'topic/filter', unless devices use Basic Ingest";
        self.warn(self.at, "without `FROM` only $aws/rules/… reaches the rule", hint);
        Ok(None)
    }

    /// The topic filter of `FROM`.
    fn filter(&mut self) -> Result<Arc<str>, Error> {
        let hint = "quote it: FROM 'devices/+/data'";
        let text = match self.peek().clone() {
            Token::Text(text) => text,
            Token::Bare(text) => {
                if text.contains(['\'', '"', '(', ')', ',', ';', '*']) {
                    return Err(self.hinted("expected a topic filter", hint));
                }
                self.warn(self.at, "the topic filter has no quotes", hint);
                text
            }
            _ => return Err(self.hinted("expected a topic filter", hint)),
        };
        if let Some(fault) = filter_fault(&text) {
            return Err(self.error(&fault));
        }
        if let Some((fault, hint)) = never(&text) {
            self.warn(self.at, fault, hint);
        }
        self.at += 1;
        Ok(text.into())
    }

    pub(super) fn condition(&mut self) -> Result<Option<Expr>, Error> {
        if self.word("WHERE") {
            let condition = self.expr()?;
            if let Some(error) = self.foreign() {
                return Err(error);
            }
            return Ok(Some(condition));
        }
        Ok(None)
    }

    /// A sub-select without parentheses of its own.
    pub(super) fn bare_sub(&mut self) -> Result<Expr, Error> {
        self.at += 1;
        self.sub().map(|sub| Expr::Sub(Box::new(sub)))
    }

    /// A sub-select, after its `SELECT`.
    pub(super) fn sub(&mut self) -> Result<Sub, Error> {
        self.since_2016(self.at - 1, "sub-selects are")?;
        self.deeper(Self::sub_select)
    }

    fn sub_select(&mut self) -> Result<Sub, Error> {
        let select = self.select()?;
        if !self.word("FROM") {
            return Err(self.foreign_or("expected `FROM`"));
        }
        if matches!(self.peek(), Token::Text(_)) {
            let hint = "write the name of a member, or *";
            return Err(self.hinted("a sub-select goes through an array or an object", hint));
        }
        let from = self.postfix()?;
        let alias = if self.word("AS") { Some(self.alias()?) } else { None };
        Ok(Sub { select, from, alias, filter: self.condition()? })
    }
}

/// The member a value goes to when it is given no name: its last one, or the function's.
pub(in crate::rules::sql) fn last_name(expr: &Expr) -> Arc<str> {
    match expr {
        Expr::Name(name) => Arc::clone(name),
        Expr::Variable(name) => name.trim_start_matches('@').into(),
        Expr::Member(_, names) => names.last().cloned().unwrap_or_default(),
        Expr::Call(function, _) => function.name().into(),
        Expr::Cast(..) => "cast".into(),
        _ => "".into(),
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

/// Why a topic filter takes no message at all, and what to write.
fn never(filter: &str) -> Option<(&'static str, &'static str)> {
    match filter.split('/').collect::<Vec<_>>().as_slice() {
        ["$share", ..] => {
            let hint = "a rule takes each message once: write the filter alone";
            Some(("a rule has no shared subscription, and no topic begins with `$share`", hint))
        }
        ["$aws", "rules", ..] => {
            let hint = "leave out `FROM`, or write that of other messages";
            Some((
                "a message of Basic Ingest goes to the rule that it names, whatever `FROM` says",
                hint,
            ))
        }
        _ => None,
    }
}
