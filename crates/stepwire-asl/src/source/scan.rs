//! One pass over a JSON text, as Jackson's `ReaderBasedJsonParser` makes it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use super::{Fault, Node, decoded, location};
use crate::json::DEPTH_MAX;

const VALUES: &str = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')";
/// Characters of a word that a message names.
const WORD_MAX: usize = 256;

/// The values of `text` in their order; its beginning is the whole.
pub(super) fn nodes(text: &str) -> Result<Vec<Node>, Fault> {
    let mut scanner = Scanner { text, bytes: text.as_bytes(), at: 0, open: vec![], nodes: vec![] };
    scanner.whole()?;
    Ok(scanner.nodes)
}

struct Scanner<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    open: Vec<Open<'t>>,
    nodes: Vec<Node>,
}

/// An object or array that has begun.
struct Open<'t> {
    node: usize,
    kind: Kind,
    count: u32,
    /// Names of an object's members so far, and where they stand.
    names: BTreeMap<Cow<'t, str>, Range<usize>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Object,
    Array,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Object => "Object",
            Kind::Array => "Array",
        }
    }

    fn end(self) -> u8 {
        match self {
            Kind::Object => b'}',
            Kind::Array => b']',
        }
    }
}

type Scanned<T> = Result<T, Fault>;

impl<'t> Scanner<'t> {
    fn whole(&mut self) -> Scanned<()> {
        if self.skip().is_none() {
            return Err(fault("No content to map due to end-of-input", 0..0, self.at));
        }
        self.value(0..0)?;
        while let Some(open) = self.open.last() {
            let (kind, count) = (open.kind, open.count);
            match self.skip() {
                None => return Err(self.unclosed()),
                Some(end @ (b']' | b'}')) => {
                    self.close(end)?;
                    continue;
                }
                Some(b',') if count > 0 => {
                    self.at += 1;
                    if self.skip().is_none() {
                        let within = format!(
                            "Unexpected end-of-input within/between {} entries",
                            kind.name()
                        );
                        return Err(self.at_end(within));
                    }
                }
                Some(_) if count > 0 => {
                    let wanted = format!("was expecting comma to separate {} entries", kind.name());
                    return Err(self.unexpected(&wanted));
                }
                Some(_) => {}
            }
            let key = match kind {
                Kind::Object => self.name()?,
                Kind::Array => 0..0,
            };
            self.value(key)?;
        }
        match self.skip() {
            None => Ok(()),
            Some(_) => Err(self.odd_value()),
        }
    }

    /// The next byte that is no white space, not taken.
    fn skip(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.bytes.get(self.at) {
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }

    /// A member's name and its colon.
    fn name(&mut self) -> Scanned<Range<usize>> {
        if self.bytes[self.at] != b'"' {
            return Err(self.unexpected("was expecting double-quote to start field name"));
        }
        let start = self.at;
        self.string(" in field name", "name")?;
        let range = start..self.at;
        let name = decoded(&self.text[range.clone()]);
        let first = self.open.last_mut().and_then(|open| {
            let first = open.names.get(&name).cloned();
            open.names.insert(name.clone(), range.clone());
            first
        });
        if first.is_some() {
            let message = format!("Duplicate field '{name}'");
            let sentence = Some(format!("`{name}` is given twice"));
            return Err(Fault { sentence, first, ..fault(message, range, self.at) });
        }
        match self.skip() {
            Some(b':') => self.at += 1,
            Some(_) => {
                let wanted = "was expecting a colon to separate field name and value";
                return Err(self.unexpected(wanted));
            }
            None => {
                return Err(self.at_end("Unexpected end-of-input within/between Object entries"));
            }
        }
        match self.skip() {
            Some(_) => Ok(range),
            None => Err(self.at_end("Unexpected end-of-input within/between Object entries")),
        }
    }

    /// The value that begins here; an object or array is only begun.
    fn value(&mut self, key: Range<usize>) -> Scanned<()> {
        let start = self.at;
        let node = self.nodes.len();
        let index = self.open.last_mut().map_or(0, |open| {
            open.count += 1;
            open.count - 1
        });
        self.nodes.push(Node {
            key: narrow(key),
            index,
            value: narrow(start..start),
            after: node as u32 + 1,
        });
        match self.bytes[start] {
            b'{' => return self.begin(node, Kind::Object),
            b'[' => return self.begin(node, Kind::Array),
            b'"' => {
                self.string(": was expecting closing quote for a string value", "string value")?;
            }

            b'-' | b'0'..=b'9' => self.number()?,
            _ => self.word()?,
        }
        self.nodes[node].value = narrow(start..self.at);
        Ok(())
    }

    fn begin(&mut self, node: usize, kind: Kind) -> Scanned<()> {
        if self.open.len() == DEPTH_MAX {
            let depth = DEPTH_MAX + 1;
            let message = format!(
                "Document nesting depth ({depth}) exceeds the maximum allowed ({DEPTH_MAX})"
            );
            return Err(fault(message, self.at..self.at + 1, self.at + 1));
        }
        self.open.push(Open { node, kind, count: 0, names: BTreeMap::new() });
        self.at += 1;
        Ok(())
    }

    fn close(&mut self, end: u8) -> Scanned<()> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        if end != open.kind.end() {
            let start = self.nodes[open.node].value.start as usize;
            let message = format!(
                "Unexpected close marker '{}': expected '{}' (for {} starting at {})",
                end as char,
                open.kind.end() as char,
                open.kind.name(),
                location(self.text, start),
            );
            let sentence = format!("`{}` cannot close this {}", end as char, open.kind.name());
            let found = fault(message, self.at..self.at + 1, self.at + 1);
            let first = Some(start..start + 1);
            return Err(Fault { sentence: Some(sentence), first, ..found });
        }
        self.at += 1;
        self.nodes[open.node].value.end = self.at as u32;
        self.nodes[open.node].after = self.nodes.len() as u32;
        Ok(())
    }

    /// A string; `missing` is said when it does not end, `kind` is what it is.
    fn string(&mut self, missing: &str, kind: &str) -> Scanned<()> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.bytes.get(self.at) {
                None => {
                    let message = format!("Unexpected end-of-input{missing}");
                    return Err(fault(message, start..start + 1, self.at));
                }
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(control @ ..0x20) => {
                    let message = format!(
                        "Illegal unquoted character ((CTRL-CHAR, code {control})): has to be \
                         escaped using backslash to be included in {kind}"
                    );
                    return Err(fault(message, self.at..self.at + 1, self.at + 1));
                }
                Some(_) => self.at += 1,
            }
        }
        self.at += 1;
        Ok(())
    }

    fn escape(&mut self) -> Scanned<()> {
        let start = self.at;
        self.at += 1;
        match self.bytes.get(self.at) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                let unit = self.hex()?;
                match unit {
                    0xD800..=0xDBFF if self.bytes[self.at..].starts_with(b"\\u") => {
                        self.at += 1;
                        if !(0xDC00..=0xDFFF).contains(&self.hex()?) {
                            return Err(lone(unit, start));
                        }
                    }
                    0xD800..=0xDFFF => return Err(lone(unit, start)),
                    _ => {}
                }
            }
            Some(_) => {
                let message = format!("Unrecognized character escape {}", self.shown());
                return Err(fault(message, start..self.at + 1, self.at + 1));
            }
            None => return Err(self.at_end("Unexpected end-of-input in character escape sequence")),
        }
        Ok(())
    }

    /// The four digits behind a `u`.
    fn hex(&mut self) -> Scanned<u32> {
        self.at += 1;
        let mut unit = 0;
        for _ in 0..4 {
            let Some(byte) = self.bytes.get(self.at) else {
                return Err(self.at_end("Unexpected end-of-input in character escape sequence"));
            };
            let Some(digit) = (*byte as char).to_digit(16) else {
                return Err(self.unexpected("expected a hex-digit for character escape sequence"));
            };
            unit = unit * 16 + digit;
            self.at += 1;
        }
        Ok(unit)
    }

    fn number(&mut self) -> Scanned<()> {
        if self.bytes[self.at] == b'-' {
            self.at += 1;
            let why = "expected digit (0-9) to follow minus sign, for valid numeric value";
            self.digit(why)?;
        }
        if self.bytes[self.at] == b'0'
            && self.bytes.get(self.at + 1).is_some_and(u8::is_ascii_digit)
        {
            let message = "Invalid numeric value: Leading zeroes not allowed";
            return Err(fault(message, self.at..self.at + 1, self.at + 1));
        }
        self.digits();
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digit("Decimal point not followed by a digit")?;
            self.digits();
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            self.digit("Exponent indicator not followed by a digit")?;
            self.digits();
        }
        Ok(())
    }

    fn digit(&self, why: &str) -> Scanned<()> {
        match self.bytes.get(self.at) {
            Some(byte) if byte.is_ascii_digit() => Ok(()),
            Some(_) => {
                let message =
                    format!("Unexpected character ({}) in numeric value: {why}", self.shown());
                Err(fault(message, self.here(), self.here().end))
            }
            None => Err(self.at_end(format!("Unexpected end-of-input in numeric value: {why}"))),
        }
    }

    fn digits(&mut self) {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
    }

    /// `true`, `false` or `null`.
    fn word(&mut self) -> Scanned<()> {
        let word = self.word_here();
        if !matches!(word, "true" | "false" | "null") {
            return Err(self.odd_value());
        }
        self.at += word.len();
        Ok(())
    }

    /// Letters, digits, `_` and `$` from here.
    fn word_here(&self) -> &'t str {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'));
        &rest[..end.unwrap_or(rest.len())]
    }

    /// What stands here is no value.
    fn odd_value(&self) -> Fault {
        let word = self.word_here();
        if word.starts_with(|c: char| !c.is_ascii_digit()) {
            let dots = if word.chars().nth(WORD_MAX).is_some() { "..." } else { "" };
            let named: String = word.chars().take(WORD_MAX).collect();
            let message = format!("Unrecognized token '{named}{dots}': was expecting {VALUES}");
            let end = self.at + word.len();
            return fault(message, self.at..end, end);
        }
        match self.bytes[self.at] {
            b'}' => self.unexpected("expected a value"),
            _ => self.unexpected(&format!("expected a valid value {VALUES}")),
        }
    }

    fn unexpected(&self, wanted: &str) -> Fault {
        let message = format!("Unexpected character ({}): {wanted}", self.shown());
        fault(message, self.here(), self.here().end)
    }

    fn unclosed(&self) -> Fault {
        let open = self.open.last();
        let kind = open.map_or(Kind::Object, |open| open.kind);
        let start = open.map_or(0, |open| self.nodes[open.node].value.start as usize);
        let message = format!(
            "Unexpected end-of-input: expected close marker for {} (start marker at {})",
            kind.name(),
            location(self.text, start)
        );
        let sentence = Some(format!("this {} is never closed", kind.name()));
        Fault { sentence, ..fault(message, start..start + 1, self.text.len()) }
    }

    fn at_end(&self, message: impl Into<String>) -> Fault {
        let end = self.text.len();
        fault(message, end..end, end)
    }

    /// The character here.
    fn here(&self) -> Range<usize> {
        let length = self.text[self.at..].chars().next().map_or(0, char::len_utf8);
        self.at..self.at + length
    }

    /// The character here as Jackson shows it.
    fn shown(&self) -> String {
        let c = self.text[self.at..].chars().next().unwrap_or_default();
        let mut units = [0; 2];
        let code = u32::from(c.encode_utf16(&mut units)[0]);
        match code {
            0..32 => format!("(CTRL-CHAR, code {code})"),
            32..=255 => format!("'{c}' (code {code})"),
            _ => format!("'{c}' (code {code} / 0x{code:x})"),
        }
    }
}

fn fault(message: impl Into<String>, at: Range<usize>, reported: usize) -> Fault {
    Fault { message: message.into(), sentence: None, at, reported, first: None }
}

/// Half of a pair: no text in UTF-8 can hold it.
fn lone(unit: u32, start: usize) -> Fault {
    let message = format!("Unpaired UTF-16 surrogate (code {unit:#x}) in character escape");
    fault(message, start..start + 6, start + 6)
}

fn narrow(range: Range<usize>) -> Range<u32> {
    range.start as u32..range.end as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Json;

    fn told(text: &str) -> String {
        nodes(text).err().map_or_else(String::new, |fault| {
            let (line, column) = super::super::Lines::of(text).place(fault.reported);
            format!("{} {line}:{column}", fault.message)
        })
    }

    #[test]
    fn faults_are_told_in_jacksons_words() {
        let values = VALUES;
        let cases = [
            ("{a:1}", "Unexpected character ('a' (code 97)): was expecting double-quote to start field name 1:3".to_owned()),
            (r#"{"a":1,}"#, "Unexpected character ('}' (code 125)): was expecting double-quote to start field name 1:9".to_owned()),
            ("[1,]", format!("Unexpected character (']' (code 93)): expected a valid value {values} 1:5")),
            (r#"{"a" 1}"#, "Unexpected character ('1' (code 49)): was expecting a colon to separate field name and value 1:7".to_owned()),
            ("{\"a\":1\n\"b\":2}", "Unexpected character ('\"' (code 34)): was expecting comma to separate Object entries 2:2".to_owned()),
            (r#"{"a":}"#, "Unexpected character ('}' (code 125)): expected a value 1:7".to_owned()),
            (r#"{"a":1,"a":2}"#, "Duplicate field 'a' 1:11".to_owned()),
            (r#"{"a":"x"#, "Unexpected end-of-input: was expecting closing quote for a string value 1:8".to_owned()),
            (r#"{"a"#, "Unexpected end-of-input in field name 1:4".to_owned()),
            (r#"["\x"]"#, "Unrecognized character escape 'x' (code 120) 1:5".to_owned()),
            ("[\"a\tb\"]", "Illegal unquoted character ((CTRL-CHAR, code 9)): has to be escaped using backslash to be included in string value 1:5".to_owned()),
            ("[01]", "Invalid numeric value: Leading zeroes not allowed 1:3".to_owned()),
            ("[-x]", "Unexpected character ('x' (code 120)) in numeric value: expected digit (0-9) to follow minus sign, for valid numeric value 1:4".to_owned()),
            ("[nul]", format!("Unrecognized token 'nul': was expecting {values} 1:5")),
            ("[True]", format!("Unrecognized token 'True': was expecting {values} 1:6")),
            ("[1] x", format!("Unrecognized token 'x': was expecting {values} 1:6")),
            ("['x']", format!("Unexpected character (''' (code 39)): expected a valid value {values} 1:3")),
            (r#"["\ud800"]"#, "Unpaired UTF-16 surrogate (code 0xd800) in character escape 1:9".to_owned()),
            (r#"["\ud800\u0061"]"#, "Unpaired UTF-16 surrogate (code 0xd800) in character escape 1:9".to_owned()),
            (r#"["\ude00"]"#, "Unpaired UTF-16 surrogate (code 0xde00) in character escape 1:9".to_owned()),
        ];
        for (text, expected) in cases {
            assert_eq!(told(text), expected, "{text}");
        }
        let open = told("{\"a\": [1");
        assert!(open.starts_with("Unexpected end-of-input: expected close marker for Array (start marker at [Source: (String)\"{\"a\": [1\"; line: 1, column: 7])"), "{open}");
        let mixed = told("{\"a\": [1}");
        assert!(
            mixed.starts_with("Unexpected close marker '}': expected ']' (for Array starting at "),
            "{mixed}"
        );
    }

    #[test]
    fn brackets_without_end_are_refused_at_the_limit() {
        for text in ["[".repeat(100_000), "{\"a\":".repeat(100_000)] {
            assert!(told(&text).starts_with("Document nesting depth (128) exceeds"));
        }
        let deepest = format!("{}{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
        assert_eq!(told(&deepest), "");
        assert!(Json::parse(&deepest).is_ok());
    }

    #[test]
    fn ten_megabytes_are_read_in_one_pass() {
        let many = format!("[{}0]", "\"\\u00e9\",{},".repeat(1_000_000));
        assert_eq!(nodes(&many).map(|nodes| nodes.len()), Ok(2_000_002));
        let long = format!("\"{}\"", "x".repeat(10_000_000));
        assert_eq!(nodes(&long).map(|nodes| nodes.len()), Ok(1));
    }

    proptest::proptest! {
        #[test]
        fn whatever_passes_is_json_and_what_is_json_passes(text in r#"[\[\]{}",:0-9eE.\-+ \\utrufalsn\x01é]{0,24}"#) {
            let ours = nodes(&text);
            let theirs = serde_json::from_str::<serde_json::Value>(&text);
            match (&ours, &theirs) {
                (Ok(_), Err(error)) => assert!(error.to_string().contains("out of range"), "{text} {error}"),
                (Err(fault), Ok(_)) => assert!(fault.message.starts_with("Duplicate"), "{text} {fault:?}"),
                _ => {}
            }
        }
    }
}
