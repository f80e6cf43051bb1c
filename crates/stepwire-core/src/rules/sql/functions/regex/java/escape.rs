//! What a backslash begins.

use super::Translator;

/// A class of characters, as the inside of brackets.
const DIGITS: &str = "0-9";
const WORDS: &str = "A-Za-z0-9_";
const BLANKS: &str = r" \t\n\x0B\f\r";
const WIDE_BLANKS: &str = r" \t\x{A0}\x{1680}\x{180E}\x{2000}-\x{200A}\x{202F}\x{205F}\x{3000}";
const LINES: &str = r"\n\x0B\f\r\x{85}\x{2028}\x{2029}";

/// What an escape stands for where a class may be, too.
pub(super) enum Escaped {
    Char(char),
    /// A class with its brackets.
    Class(String),
}

impl Translator<'_> {
    /// Translates what follows a backslash outside of a class.
    pub(super) fn escape(&mut self) -> Option<()> {
        match self.rest.chars().next()? {
            'A' | 'z' | 'b' | 'B' => {
                let c = self.char()?;
                self.put(&format!(r"\{c}"));
                return Some(());
            }
            'Z' => {
                self.char();
                self.line_end();
                return Some(());
            }
            'R' => {
                self.char();
                self.put(&format!(r"(?:\r\n|[{LINES}])"));
            }
            'Q' => {
                self.char();
                return self.quoted();
            }
            'k' => {
                self.char();
                self.take("<").then_some(())?;
                let name = self.until('>')?.to_owned();
                self.made.goes_back = true;
                self.put(&format!(r"\k<{name}>"));
            }
            '1'..='9' => self.back_reference()?,
            _ => match self.escaped()? {
                Escaped::Char(c) => self.literal(c),
                Escaped::Class(class) => self.put_class(&class),
            },
        }
        self.quantifier()
    }

    /// `\Q…\E`: characters that stand for themselves.
    fn quoted(&mut self) -> Option<()> {
        let (text, rest) = self.rest.split_once(r"\E").unwrap_or((self.rest, ""));
        let text = text.to_owned();
        self.rest = rest;
        text.chars().for_each(|c| self.literal(c));
        if text.is_empty() { Some(()) } else { self.quantifier() }
    }

    /// As many digits as there are groups for; a group that is not there is not found.
    fn back_reference(&mut self) -> Option<()> {
        let mut group = self.char()?.to_digit(10)?;
        while let Some(next) = self.rest.chars().next().and_then(|c| c.to_digit(10)) {
            if group * 10 + next > self.groups {
                break;
            }
            group = group * 10 + next;
            self.char();
        }
        if group > self.groups {
            self.put(r"[^\x{0}-\x{10FFFF}]");
        } else {
            self.made.goes_back = true;
            self.put(&format!(r"(?:\{group})"));
        }
        Some(())
    }

    /// What follows a backslash, where that is a character or a class.
    pub(super) fn escaped(&mut self) -> Option<Escaped> {
        let class = |inside: &str| Some(Escaped::Class(format!("[{inside}]")));
        let other = |inside: &str| Some(Escaped::Class(format!("[^{inside}]")));
        let c = self.char()?;
        let c = match c {
            'd' => return class(DIGITS),
            'D' => return other(DIGITS),
            'w' => return class(WORDS),
            'W' => return other(WORDS),
            's' => return class(BLANKS),
            'S' => return other(BLANKS),
            'h' => return class(WIDE_BLANKS),
            'H' => return other(WIDE_BLANKS),
            'v' => return class(LINES),
            'V' => return other(LINES),
            'p' | 'P' => {
                let name = if self.take("{") {
                    self.until('}')?.to_owned()
                } else {
                    self.char()?.to_string()
                };
                return Some(Escaped::Class(property(&name, c == 'P')?));
            }
            't' => '\t',
            'n' => '\n',
            'r' => '\r',
            'f' => '\u{c}',
            'a' => '\u{7}',
            'e' => '\u{1b}',
            'c' => char::from_u32(u32::from(self.char()?) ^ 64)?,
            '0' => self.octal()?,
            'x' => self.hexadecimal()?,
            'u' => self.utf16()?,
            c if c.is_ascii_alphanumeric() => return None,
            c => c,
        };
        Some(Escaped::Char(c))
    }

    /// One to three digits, at most 377.
    fn octal(&mut self) -> Option<char> {
        let mut value = None;
        for _ in 0..3 {
            let Some(digit) = self.rest.chars().next().and_then(|c| c.to_digit(8)) else { break };
            let next = value.unwrap_or(0) * 8 + digit;
            if next > 0o377 {
                break;
            }
            value = Some(next);
            self.char();
        }
        char::from_u32(value?)
    }

    /// Two digits, or any that are in braces.
    fn hexadecimal(&mut self) -> Option<char> {
        let digits = if self.take("{") { self.until('}')?.to_owned() } else { self.some(2)? };
        char::from_u32(hex(&digits)?)
    }

    /// Four digits; a second four behind the first half of a pair.
    fn utf16(&mut self) -> Option<char> {
        let first = hex(&self.some(4)?)?;
        if !(0xD800..0xDC00).contains(&first) {
            return char::from_u32(first);
        }
        self.take(r"\u").then_some(())?;
        let second = hex(&self.some(4)?)?.checked_sub(0xDC00).filter(|second| *second < 0x400)?;
        char::from_u32(0x10000 + ((first - 0xD800) << 10) + second)
    }

    fn some(&mut self, count: usize) -> Option<String> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken.to_owned())
    }
}

fn hex(digits: &str) -> Option<u32> {
    let fits = digits.bytes().all(|c| c.is_ascii_hexdigit());
    fits.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

/// A property of Unicode, or a class that POSIX names.
fn property(name: &str, not: bool) -> Option<String> {
    let posix = match name {
        "Lower" => "a-z",
        "Upper" => "A-Z",
        "ASCII" => r"\x00-\x7F",
        "Alpha" => "A-Za-z",
        "Digit" => DIGITS,
        "Alnum" => "A-Za-z0-9",
        "Punct" => r"!-/\x3A-@\x5B-`\x7B-\x7E",
        "Graph" => "!-\x7E",
        "Print" => " -\x7E",
        "Blank" => r" \t",
        "Cntrl" => r"\x00-\x1F\x7F",
        "XDigit" => "0-9A-Fa-f",
        "Space" => BLANKS,
        _ => "",
    };
    if !posix.is_empty() {
        return Some(format!("[{}{posix}]", if not { "^" } else { "" }));
    }
    let value = match name.split_once('=') {
        Some(("script" | "sc" | "general_category" | "gc", value)) => value,
        Some(_) => return None,
        None => name,
    };
    let unicode = match value {
        "javaLowerCase" => "Lowercase",
        "javaUpperCase" => "Uppercase",
        "javaAlphabetic" => "Alphabetic",
        "javaDigit" | "javaIsDigit" | "IsDigit" => "Nd",
        "javaLetter" => "L",
        "IsPunctuation" => "P",
        "IsControl" => "Cc",
        "IsAssigned" => return Some(if not { r"\p{Cn}" } else { r"\P{Cn}" }.to_owned()),
        value => value.strip_prefix("Is").unwrap_or(value),
    };
    let fits = unicode.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    fits.then(|| format!(r"\{}{{{unicode}}}", if not { 'P' } else { 'p' }))
}
