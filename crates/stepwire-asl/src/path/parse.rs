//! From text to a path.

use super::filter::{Compare, Operand, Pattern, Test};
use super::{Error, Function, Root, Step};
use crate::Json;

/// Nesting of filters within filters.
const DEPTH_MAX: usize = 16;

pub(super) struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Parser { text: text.trim(), at: 0, depth: 0 }
    }

    /// The whole text as a path.
    pub(super) fn path(mut self) -> Result<(Root, Vec<Step>), Error> {
        let root = self.root()?;
        let steps = self.steps()?;
        if self.at < self.text.len() {
            return Err(self.error("unexpected character"));
        }
        Ok((root, steps))
    }

    fn error(&self, what: &str) -> Error {
        Error { message: format!("Invalid path '{}': {what}", self.text), offset: self.at }
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn blanks(&mut self) {
        let trimmed = self.rest().trim_start().len();
        self.at = self.text.len() - trimmed;
    }

    fn expect(&mut self, token: &str) -> Result<(), Error> {
        self.blanks();
        if self.eat(token) { Ok(()) } else { Err(self.error(&format!("expected `{token}`"))) }
    }

    fn root(&mut self) -> Result<Root, Error> {
        if self.eat("$$") {
            return Ok(Root::Context);
        }
        if !self.eat("$") {
            return Err(self.error("a path begins with `$`"));
        }
        match self.rest().chars().next() {
            Some(c) if c.is_alphanumeric() || c == '_' => {
                let name = self.while_(|c| c.is_alphanumeric() || c == '_');
                Ok(Root::Variable(name.into()))
            }
            _ => Ok(Root::Input),
        }
    }

    fn while_(&mut self, keep: impl Fn(char) -> bool) -> String {
        let rest = self.rest();
        let end = rest.find(|c| !keep(c)).unwrap_or(rest.len());
        let taken = rest[..end].to_owned();
        self.at += end;
        taken
    }

    fn steps(&mut self) -> Result<Vec<Step>, Error> {
        let mut steps = Vec::new();
        loop {
            if self.eat("..") {
                let step =
                    if self.rest().starts_with('[') { self.bracket()? } else { self.dotted()? };
                steps.push(Step::Deep(Box::new(step)));
            } else if self.eat(".") {
                if self.rest().starts_with('[') {
                    steps.push(self.bracket()?);
                } else {
                    steps.push(self.dotted()?);
                }
            } else if self.rest().starts_with('[') {
                steps.push(self.bracket()?);
            } else {
                return Ok(steps);
            }
        }
    }

    fn dotted(&mut self) -> Result<Step, Error> {
        if self.eat("*") {
            return Ok(Step::Every);
        }
        let stop = |c: char| c.is_whitespace() || ".[]()'\"=<>!&|,~".contains(c);
        let name = self.while_(|c| !stop(c));
        if name.is_empty() {
            return Err(self.error("expected a name"));
        }
        if self.eat("()") {
            return self.function(&name).map(Step::Function);
        }
        Ok(Step::Name(name.into()))
    }

    fn function(&self, name: &str) -> Result<Function, Error> {
        Ok(match name {
            "length" | "size" => Function::Length,
            "min" => Function::Min,
            "max" => Function::Max,
            "sum" => Function::Sum,
            "avg" => Function::Avg,
            "keys" => Function::Keys,
            _ => return Err(self.error(&format!("unknown function `{name}`"))),
        })
    }

    fn bracket(&mut self) -> Result<Step, Error> {
        self.expect("[")?;
        self.blanks();
        let step = if self.eat("*") {
            Step::Every
        } else if self.eat("?") {
            self.expect("(")?;
            let test = self.or()?;
            self.expect(")")?;
            Step::Filter(Box::new(test))
        } else if self.rest().starts_with(['\'', '"']) {
            self.names()?
        } else {
            self.indexes()?
        };
        self.expect("]")?;
        Ok(step)
    }

    fn names(&mut self) -> Result<Step, Error> {
        let mut names = vec![self.quoted()?];
        self.blanks();
        while self.eat(",") {
            self.blanks();
            names.push(self.quoted()?);
            self.blanks();
        }
        if let [name] = names.as_slice() {
            return Ok(Step::Name(name.as_str().into()));
        }
        Ok(Step::Names(names.iter().map(|name| name.as_str().into()).collect()))
    }

    fn quoted(&mut self) -> Result<String, Error> {
        let Some(quote) = self.rest().chars().next().filter(|c| matches!(c, '\'' | '"')) else {
            return Err(self.error("expected a quoted name"));
        };
        self.at += 1;
        let mut name = String::new();
        let mut chars = self.rest().char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    Some((_, next)) if next == quote => name.push(quote),
                    Some((_, next)) => name.extend(['\\', next]),
                    None => break,
                },
                c if c == quote => {
                    self.at += at + 1;
                    return Ok(name);
                }
                c => name.push(c),
            }
        }
        Err(self.error("a quote is not closed"))
    }

    fn indexes(&mut self) -> Result<Step, Error> {
        let first = self.integer()?;
        self.blanks();
        if self.eat(":") {
            let to = self.integer()?;
            return Ok(Step::Slice(first, to));
        }
        let mut indexes = vec![first.ok_or_else(|| self.error("expected an index"))?];
        while self.eat(",") {
            let index = self.integer()?;
            indexes.push(index.ok_or_else(|| self.error("expected an index"))?);
            self.blanks();
        }
        if let [index] = indexes.as_slice() {
            return Ok(Step::Index(*index));
        }
        Ok(Step::Indexes(indexes.into()))
    }

    fn integer(&mut self) -> Result<Option<i64>, Error> {
        self.blanks();
        let text = self.while_(|c| c == '-' || c.is_ascii_digit());
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| self.error("not an integer"))
    }

    fn or(&mut self) -> Result<Test, Error> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error("the filter is nested too deeply"));
        }
        let mut tests = vec![self.and()?];
        self.blanks();
        while self.eat("||") {
            tests.push(self.and()?);
            self.blanks();
        }
        self.depth -= 1;
        Ok(if tests.len() == 1 { tests.remove(0) } else { Test::Or(tests) })
    }

    fn and(&mut self) -> Result<Test, Error> {
        let mut tests = vec![self.not()?];
        self.blanks();
        while self.eat("&&") {
            tests.push(self.not()?);
            self.blanks();
        }
        Ok(if tests.len() == 1 { tests.remove(0) } else { Test::And(tests) })
    }

    fn not(&mut self) -> Result<Test, Error> {
        self.blanks();
        if self.eat("!") {
            self.depth += 1;
            if self.depth > DEPTH_MAX {
                return Err(self.error("the filter is nested too deeply"));
            }
            let test = self.not()?;
            self.depth -= 1;
            return Ok(Test::Not(Box::new(test)));
        }
        if self.eat("(") {
            let test = self.or()?;
            self.expect(")")?;
            return Ok(test);
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Test, Error> {
        let left = self.operand()?;
        self.blanks();
        if self.eat("=~") {
            self.blanks();
            return Ok(Test::Matches(left, self.pattern()?));
        }
        let operators = [
            ("===", Compare::Same),
            ("!==", Compare::NotSame),
            ("==", Compare::Equal),
            ("!=", Compare::NotEqual),
            ("<=", Compare::LessOrEqual),
            (">=", Compare::GreaterOrEqual),
            ("<", Compare::Less),
            (">", Compare::Greater),
        ];
        let operator = operators.into_iter().find(|(token, _)| self.eat(token));
        match operator.map(|(_, how)| how).or_else(|| self.named_operator()) {
            Some(how) => Ok(Test::Compare(left, how, self.operand()?)),
            None => Ok(Test::Exists(left)),
        }
    }

    /// An operator that is a word, in capitals or not.
    fn named_operator(&mut self) -> Option<Compare> {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let how = match rest[..end].to_ascii_lowercase().as_str() {
            "in" => Compare::In,
            "nin" => Compare::NotIn,
            "contains" => Compare::Contains,
            "all" => Compare::All,
            "subsetof" => Compare::SubsetOf,
            "anyof" => Compare::AnyOf,
            "noneof" => Compare::NoneOf,
            "size" => Compare::Size,
            "empty" => Compare::Empty,
            _ => return None,
        };
        self.at += end;
        Some(how)
    }

    fn pattern(&mut self) -> Result<Pattern, Error> {
        if !self.eat("/") {
            return Err(self.error("expected a regular expression"));
        }
        let mut source = String::new();
        let mut chars = self.rest().char_indices();
        let end = loop {
            match chars.next() {
                Some((_, '\\')) => {
                    source.push('\\');
                    source.extend(chars.next().map(|(_, c)| c));
                }
                Some((at, '/')) => break at,
                Some((_, c)) => source.push(c),
                None => return Err(self.error("the regular expression is not closed")),
            }
        };
        self.at += end + 1;
        let flags = self.while_(|c| c.is_ascii_lowercase());
        let source = if flags.contains('i') {
            format!("(?i)^(?:{source})$")
        } else {
            format!("^(?:{source})$")
        };
        regex::Regex::new(&source).map(Pattern).map_err(|_| self.error("not a regular expression"))
    }

    fn operand(&mut self) -> Result<Operand, Error> {
        self.blanks();
        if self.eat("@") {
            return Ok(Operand::Item(self.steps()?.into()));
        }
        if self.eat("$") {
            return Ok(Operand::Whole(self.steps()?.into()));
        }
        if self.rest().starts_with(['\'', '"']) {
            return Ok(Operand::Literal(Json::from(self.quoted()?)));
        }
        let text = if self.rest().starts_with('[') {
            let end = self.rest().find(']').ok_or_else(|| self.error("a list is not closed"))?;
            let text = self.rest()[..=end].replace('\'', "\"");
            self.at += end + 1;
            text
        } else {
            self.while_(|c| c.is_alphanumeric() || "+-._".contains(c))
        };
        match Json::parse(&text) {
            Ok(value) => Ok(Operand::Literal(value)),
            // A word without quotes is a text: published definitions write `@.Name == Receipt`.
            Err(_) if text.starts_with(char::is_alphabetic) => {
                Ok(Operand::Literal(Json::from(text)))
            }
            Err(_) => Err(self.error("expected a value")),
        }
    }
}
