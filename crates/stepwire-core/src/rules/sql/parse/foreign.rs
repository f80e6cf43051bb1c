//! What other dialects of SQL have and this one has not: refused by name, with what to write here.

use super::Parser;
use crate::rules::sql::Error;
use crate::rules::sql::lex::Token;

const NO_ORDER: &str = "a rule sees one message at a time; there is nothing to order or to group";
const NO_TABLES: &str =
    "a statement reads one message; write get_dynamodb(…) to read an item of a table";
const NO_RANGE: &str = "write a >= low AND a <= high";
const NO_PATTERN: &str = "write startswith(a, 'x'), indexof(a, 'x') >= 0 or regexp_matches(a, 'x')";
const NO_WRITING: &str = "a rule selects with SELECT, and its actions write";

/// Words behind an expression or a clause.
const WORDS: &[(&str, &str)] = &[
    ("ORDER", NO_ORDER),
    ("GROUP", NO_ORDER),
    ("HAVING", NO_ORDER),
    ("LIMIT", NO_ORDER),
    ("OFFSET", NO_ORDER),
    ("FETCH", NO_ORDER),
    ("JOIN", NO_TABLES),
    ("INNER", NO_TABLES),
    ("OUTER", NO_TABLES),
    ("CROSS", NO_TABLES),
    ("NATURAL", NO_TABLES),
    ("UNION", NO_TABLES),
    ("INTERSECT", NO_TABLES),
    ("EXCEPT", NO_TABLES),
    ("INTO", NO_WRITING),
    ("LIKE", NO_PATTERN),
    ("ILIKE", NO_PATTERN),
    ("RLIKE", NO_PATTERN),
    ("REGEXP", NO_PATTERN),
    ("BETWEEN", NO_RANGE),
    ("IS", "write isNull(a), or isUndefined(a) for what is not there"),
    ("DIV", "write `/`, which cuts off between Ints"),
    ("MOD", "write `%` or mod(a, b)"),
    ("XOR", "write a <> b"),
    ("OVER", NO_ORDER),
];

/// Words that begin a statement elsewhere.
const STATEMENTS: &[(&str, &str)] = &[
    ("INSERT", NO_WRITING),
    ("UPDATE", NO_WRITING),
    ("DELETE", NO_WRITING),
    ("CREATE", NO_WRITING),
    ("DROP", NO_WRITING),
    ("ALTER", NO_WRITING),
    ("MERGE", NO_WRITING),
    ("WITH", "write SET @name = … before SELECT"),
    ("DECLARE", "write SET @name = … before SELECT"),
    ("LET", "write SET @name = … before SELECT"),
];

impl Parser<'_> {
    /// The error that the next word is one of another dialect.
    pub(super) fn foreign(&self) -> Option<Error> {
        let Token::Word(word) = self.peek() else { return None };
        if word.eq_ignore_ascii_case("NOT") {
            return self.foreign_not();
        }
        self.among(WORDS, word)
    }

    /// `NOT IN`, `NOT LIKE`, `NOT BETWEEN` behind an expression.
    fn foreign_not(&self) -> Option<Error> {
        let Some(Token::Word(next)) = self.ahead(1) else { return None };
        let hint = match next.to_ascii_uppercase().as_str() {
            "IN" => "write NOT (a IN list)",
            "LIKE" => "write NOT startswith(a, 'x') or NOT regexp_matches(a, 'x')",
            "BETWEEN" => "write a < low OR a > high",
            _ => return None,
        };
        let message = format!("`NOT {}` is not available", next.to_ascii_uppercase());
        Some(self.hinted(&message, hint))
    }

    /// The error that the next word is one of another dialect; else this message.
    pub(super) fn foreign_or(&self, message: &str) -> Error {
        let Token::Word(word) = self.peek() else { return self.error(message) };
        let foreign = self.foreign().or_else(|| self.among(STATEMENTS, word));
        // A keyword that is not what is expected here would mislead.
        let near = super::nearest_keyword(word).filter(|near| message.contains(near));
        foreign.unwrap_or_else(|| Error { hint: near.map(super::meant), ..self.error(message) })
    }

    /// `DISTINCT`, `ALL`, `TOP` behind `SELECT`, unless they are names of members.
    pub(super) fn foreign_before_items(&self) -> Option<Error> {
        let Token::Word(word) = self.peek() else { return None };
        let before_item = match self.ahead(1) {
            Some(Token::Word(next)) => !super::is_reserved(next),
            Some(Token::Number(_) | Token::Text(_)) => true,
            Some(Token::Sign(sign)) => *sign == "*",
            _ => false,
        };
        let word = word.to_ascii_uppercase();
        let known = ["DISTINCT", "ALL", "TOP"].contains(&word.as_str());
        // `SELECT all * 2` multiplies.
        let times = matches!(self.ahead(1), Some(Token::Sign("*"))) && word != "DISTINCT";
        (known && before_item && !times)
            .then(|| self.hinted(&format!("`{word}` is not available"), NO_ORDER))
    }

    /// The error that there is no `a[0]`.
    pub(super) fn no_index(&self) -> Error {
        self.hinted("there is no index in brackets", "write get(list, 0), counted from 0")
    }

    fn among(&self, words: &[(&str, &str)], word: &str) -> Option<Error> {
        let (name, hint) = words.iter().find(|(name, _)| name.eq_ignore_ascii_case(word))?;
        Some(self.hinted(&format!("`{name}` is not available"), hint))
    }
}
