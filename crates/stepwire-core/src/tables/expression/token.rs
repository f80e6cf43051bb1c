//! The words of an expression.

/// One word of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// An attribute name, keyword or function name.
    Word(&'a str),
    /// `#name`, with the sign.
    Name(&'a str),
    /// `:value`, with the sign.
    Value(&'a str),
    /// A list index.
    Integer(&'a str),
    /// An operator or bracket, or a character that belongs nowhere.
    Symbol(&'a str),
    /// The end of the expression.
    End,
}

/// A word and where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot<'a> {
    pub(super) token: Token<'a>,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Splits `text` into words; the last one is [`Token::End`].
pub(super) fn split(text: &str) -> Vec<Spot<'_>> {
    let mut spots = Vec::new();
    let mut start = 0;
    while let Some(first) = text[start..].chars().next() {
        if first.is_whitespace() {
            start += first.len_utf8();
            continue;
        }
        let token = token(&text[start..], first);
        let end = start + length(token);
        spots.push(Spot { token, start, end });
        start = end;
    }
    spots.push(Spot { token: Token::End, start, end: start });
    spots
}

fn token(rest: &str, first: char) -> Token<'_> {
    let run = |from: usize| {
        let stop = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
        &rest[..rest[from..].find(stop).map_or(rest.len(), |at| from + at)]
    };
    let is = |symbol: &str| rest.starts_with(symbol);
    match first {
        'a'..='z' | 'A'..='Z' => Token::Word(run(0)),
        '#' if run(1).len() > 1 => Token::Name(run(1)),
        ':' if run(1).len() > 1 => Token::Value(run(1)),
        '0'..='9' => Token::Integer(run(0)),
        '<' | '>' if is("<>") || is("<=") || is(">=") => Token::Symbol(&rest[..2]),
        _ => Token::Symbol(&rest[..first.len_utf8()]),
    }
}

fn length(token: Token<'_>) -> usize {
    match token {
        Token::Word(text)
        | Token::Name(text)
        | Token::Value(text)
        | Token::Integer(text)
        | Token::Symbol(text) => text.len(),
        Token::End => 0,
    }
}
