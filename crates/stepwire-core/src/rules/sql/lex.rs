//! From text to words, quoted texts, numbers and signs.

use stepwire_asl::json::Number;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Word(String),
    Text(String),
    Number(Number),
    Sign(&'static str),
    /// A topic filter without quotes.
    Bare(String),
    End,
}

/// What makes no sense, and at which byte.
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) what: String,
    pub(super) hint: Option<&'static str>,
}

impl Fault {
    fn new(at: usize, what: impl Into<String>) -> Fault {
        Fault { at, what: what.into(), hint: None }
    }
}

const SIGNS: &[&str] = &[
    "<>", "!=", "<=", ">=", "<", ">", "=", "+", "-", "*", "/", "%", "(", ")", "[", "]", "{", "}",
    ",", ".", ":",
];

/// Signs of other languages, and what to write here.
const FOREIGN: &[(&str, &str, &str)] = &[
    ("--", "comments are not available", "leave it out"),
    ("/*", "comments are not available", "leave it out"),
    ("//", "comments are not available", "leave it out"),
    ("#", "unexpected `#`", "comments are not available; a topic filter stands in quotes"),
    ("==", "unexpected `==`", "write `=`"),
    ("<=>", "unexpected `<=>`", "write `=`"),
    ("&&", "unexpected `&&`", "write `AND`"),
    ("||", "unexpected `||`", "write `OR`, or `+` between texts"),
    ("!", "unexpected `!`", "write `NOT`"),
    (";", "unexpected `;`", "a statement ends without it"),
    (
        "`",
        "unexpected '`'",
        "a name stands without quotes; for one that is no word write get(*, 'name')",
    ),
];

/// The parts of `text` with the bytes they begin at; the last is [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, usize)>, Fault> {
    let mut tokens = Vec::new();
    let (mut at, mut open) = (0, 0_i32);
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        if c.is_whitespace() {
            at += c.len_utf8();
        } else if c == '\'' || c == '"' {
            let (text, length) =
                quoted(rest).ok_or_else(|| Fault::new(at, "a string is not closed"))?;
            tokens.push((Token::Text(text), at));
            at += length;
        } else if c.is_ascii_digit() {
            let end = number_end(rest);
            let number = number(&rest[..end]);
            let number = number.ok_or_else(|| Fault::new(at, "the number is too large"))?;
            tokens.push((Token::Number(number), at));
            at += end;
        } else if c.is_alphabetic() || c == '_' || c == '@' || c == '$' {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || "_@$".contains(c)));
            let end = end.unwrap_or(rest.len());
            let from = open == 0 && rest[..end].eq_ignore_ascii_case("FROM") && !named(&tokens);
            tokens.push((Token::Word(rest[..end].to_owned()), at));
            at += end;
            if from && let Some((filter, begin)) = bare_filter(text, at) {
                at = begin + filter.len();
                tokens.push((Token::Bare(filter.to_owned()), begin));
            }
        } else if let Some((_, what, hint)) = foreign(rest) {
            return Err(Fault { hint: Some(hint), ..Fault::new(at, *what) });
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            match *sign {
                "(" | "[" | "{" => open += 1,
                ")" | "]" | "}" => open -= 1,
                _ => {}
            }
            tokens.push((Token::Sign(sign), at));
            at += sign.len();
        } else {
            return Err(Fault::new(at, format!("unexpected `{c}`")));
        }
    }
    tokens.push((Token::End, text.len()));
    Ok(tokens)
}

/// Whether the next word is a name, whatever it says: behind a point or `AS`.
fn named(tokens: &[(Token, usize)]) -> bool {
    tokens.last().is_some_and(|(token, _)| match token {
        Token::Sign(sign) => *sign == ".",
        Token::Word(word) => word.eq_ignore_ascii_case("AS"),
        Token::Text(_) | Token::Number(_) | Token::Bare(_) | Token::End => false,
    })
}

fn foreign(rest: &str) -> Option<&'static (&'static str, &'static str, &'static str)> {
    // A minus before a negative number is two signs; `!=` is one of ours.
    let is = |sign: &str| rest.starts_with(sign) && !(sign == "!" && rest.starts_with("!="));
    let comment = |sign: &str| sign != "--" || !rest[2..].starts_with(|c: char| c.is_ascii_digit());
    FOREIGN.iter().find(|(sign, ..)| is(sign) && comment(sign))
}

/// The topic filter behind a `FROM`, when it has no quotes, and where it begins.
fn bare_filter(text: &str, after: usize) -> Option<(&str, usize)> {
    let rest = text[after..].trim_start();
    let begin = text.len() - rest.len();
    // Only what is a filter is looked through: a text may be full of `FROM`.
    if begin == after || rest.is_empty() || rest.starts_with(['\'', '"']) {
        return None;
    }
    let filter = rest.split(char::is_whitespace).next()?;
    let keyword = filter.eq_ignore_ascii_case("WHERE") || filter.eq_ignore_ascii_case("SELECT");
    (!keyword).then_some((filter, begin))
}

/// The number that a literal writes, when there is such a number. `007` is 7.
fn number(text: &str) -> Option<Number> {
    let digits = text.trim_start_matches('0');
    let digits = if digits.starts_with(|c: char| c.is_ascii_digit()) {
        Number::from_text(digits)
    } else {
        Number::from_text(&format!("0{digits}"))
    };
    digits.filter(|number| super::Number::of(number).is_some())
}

/// The text in quotes at the beginning of `rest`, and how many bytes it takes. A doubled quote or
/// one after a backslash stands for itself.
fn quoted(rest: &str) -> Option<(String, usize)> {
    let quote = rest.chars().next()?;
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next()? {
                (_, 'n') => text.push('\n'),
                (_, 't') => text.push('\t'),
                (_, c) if c == quote || c == '\\' => text.push(c),
                (_, c) => text.extend(['\\', c]),
            },
            c if c == quote => {
                if chars.peek().is_some_and(|(_, next)| *next == quote) {
                    chars.next();
                    text.push(quote);
                } else {
                    return Some((text, at + 1));
                }
            }
            c => text.push(c),
        }
    }
    None
}

fn number_end(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let digits = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    let mut end = digits(0);
    if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
        end = digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'-' | b'+')));
        if bytes.get(end + 1 + sign).is_some_and(u8::is_ascii_digit) {
            end = digits(end + 1 + sign);
        }
    }
    end
}
