//! From text to words, quoted texts, numbers and signs.

use stepwire_asl::json::Number;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Word(String),
    Text(String),
    Number(Number),
    Sign(&'static str),
    End,
}

/// What makes no sense, and at which byte.
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) what: String,
}

const SIGNS: &[&str] = &[
    "<>", "!=", "<=", ">=", "<", ">", "=", "+", "-", "*", "/", "%", "(", ")", "[", "]", "{", "}",
    ",", ".", ":",
];

/// The parts of `text` with the bytes they begin at; the last is [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, usize)>, Fault> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        if c.is_whitespace() {
            at += c.len_utf8();
        } else if c == '\'' || c == '"' {
            let (text, length) = quoted(rest)
                .ok_or_else(|| Fault { at, what: "a string is not closed".to_owned() })?;
            tokens.push((Token::Text(text), at));
            at += length;
        } else if c.is_ascii_digit() {
            let end = number_end(rest);
            let number = Number::from_text(&rest[..end]);
            let number = number.filter(|number| number.as_f64().is_finite());
            let number =
                number.ok_or_else(|| Fault { at, what: "the number is too large".to_owned() })?;
            tokens.push((Token::Number(number), at));
            at += end;
        } else if c.is_alphabetic() || c == '_' || c == '@' || c == '$' {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || "_@$".contains(c)));
            let end = end.unwrap_or(rest.len());
            tokens.push((Token::Word(rest[..end].to_owned()), at));
            at += end;
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            tokens.push((Token::Sign(sign), at));
            at += sign.len();
        } else {
            return Err(Fault { at, what: format!("unexpected `{c}`") });
        }
    }
    tokens.push((Token::End, text.len()));
    Ok(tokens)
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
