//! The text of a definition, with the place of everything in it.
//!
//! A [`Source`] is read in one pass without recursion, so that no text, however deeply nested, can
//! exhaust the stack. What is wrong with it is told in the words of Jackson, the parser behind Step
//! Functions.

mod scan;

use std::borrow::Cow;
use std::ops::Range;

/// Text that is JSON, with the place of every value in it.
#[derive(Debug)]
pub struct Source<'t> {
    text: &'t str,
    /// In the order of the text; the first is the whole.
    nodes: Vec<Node>,
}

/// A value of the text.
#[derive(Debug)]
struct Node {
    parent: u32,
    /// Its name with the quotes; empty for items of arrays and the whole.
    key: Range<u32>,
    /// Its number among the values of its parent.
    index: u32,
    value: Range<u32>,
}

/// Why a text is not JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Jackson's sentence, without its place.
    pub message: String,
    /// What is wrong, as bytes of the text.
    pub at: Range<usize>,
    /// Where Jackson says that it is: mostly the byte behind.
    reported: usize,
    /// A member that is given twice: where it is given first.
    pub first: Option<Range<usize>>,
}

impl<'t> Source<'t> {
    /// The text, read.
    pub fn read(text: &'t str) -> Result<Source<'t>, Fault> {
        scan::nodes(text).map(|nodes| Source { text, nodes })
    }

    /// The bytes of the value at a JSON pointer such as `/States/A/Retry[0]`.
    pub fn value(&self, pointer: &str) -> Option<Range<usize>> {
        self.find(pointer).map(|at| widen(&self.nodes[at].value))
    }

    /// The bytes of the name of the member at a JSON pointer, with its quotes. An item of an array
    /// has none.
    pub fn key(&self, pointer: &str) -> Option<Range<usize>> {
        let node = &self.nodes[self.find(pointer)?];
        (!node.key.is_empty()).then(|| widen(&node.key))
    }

    fn find(&self, pointer: &str) -> Option<usize> {
        let segments = pointer.split('/').filter(|segment| !segment.is_empty());
        segments.map(unescape).try_fold(0, |parent, segment| {
            self.member(parent, &segment).or_else(|| self.item(parent, &segment))
        })
    }

    fn member(&self, parent: usize, name: &str) -> Option<usize> {
        self.child(parent, |node| !node.key.is_empty() && self.name(node) == name)
    }

    /// What `Name[0]` or `Name[0][1]` names.
    fn item(&self, parent: usize, segment: &str) -> Option<usize> {
        let (name, number) = segment.strip_suffix(']')?.rsplit_once('[')?;
        let list = self.member(parent, name).or_else(|| self.item(parent, name))?;
        let number: u32 = number.parse().ok()?;
        self.child(list, |node| node.index == number)
    }

    fn child(&self, parent: usize, is_it: impl Fn(&Node) -> bool) -> Option<usize> {
        let end = self.nodes[parent].value.end;
        let inside = self.nodes.iter().enumerate().skip(parent + 1);
        let mut inside = inside.take_while(|(_, node)| node.value.start < end);
        let found = inside.find(|(_, node)| node.parent as usize == parent && is_it(node));
        found.map(|(at, _)| at)
    }

    fn name(&self, node: &Node) -> Cow<'t, str> {
        decoded(&self.text[widen(&node.key)])
    }
}

impl Fault {
    /// Jackson's location: the beginning of the text, line and column.
    pub fn location(&self, text: &str) -> String {
        location(text, self.reported)
    }
}

/// Line and column of a byte, from 1; columns count UTF-16 units, as Java does.
pub fn line_and_column(text: &str, byte: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(byte)];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
    (line, before[line_start..].encode_utf16().count() + 1)
}

fn location(text: &str, byte: usize) -> String {
    /// Characters of the text that a location quotes.
    const QUOTED_MAX: usize = 500;
    let cut = text.char_indices().nth(QUOTED_MAX).map_or(text.len(), |(at, _)| at);
    let (quoted, rest) = text.split_at(cut);
    let truncated = match rest.chars().count() {
        0 => String::new(),
        more => format!("[truncated {more} chars]"),
    };
    let (line, column) = line_and_column(text, byte);
    format!("[Source: (String)\"{quoted}\"{truncated}; line: {line}, column: {column}]")
}

/// The string that a JSON literal writes.
fn decoded(literal: &str) -> Cow<'_, str> {
    if literal.contains('\\') {
        return Cow::Owned(serde_json::from_str(literal).unwrap_or_default());
    }
    Cow::Borrowed(literal.trim_matches('"'))
}

/// A segment of a JSON pointer as a name.
fn unescape(segment: &str) -> String {
    segment.replace("~1", "/").replace("~0", "~")
}

fn widen(range: &Range<u32>) -> Range<usize> {
    range.start as usize..range.end as usize
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn every_value_and_name_is_found_by_its_pointer() {
        let text = r#"{"a": [1, {"b/c": [[true]]}], "x[0]": "y", "\u0064": 2}"#;
        let source = Source::read(text).unwrap();
        let value = |pointer| source.value(pointer).map(|range| &text[range]);
        assert_eq!(value("/"), Some(text));
        assert_eq!(value("/a[0]"), Some("1"));
        assert_eq!(value("/a[1]/b~1c[0][0]"), Some("true"));
        assert_eq!(value("/x[0]"), Some(r#""y""#));
        assert_eq!(value("/d"), Some("2"));
        assert_eq!(value("/a[2]"), None);
        assert_eq!(source.key("/a[1]/b~1c").map(|range| &text[range]), Some(r#""b/c""#));
        assert_eq!(source.key("/a[1]"), None);
    }

    #[test]
    fn columns_count_as_java_does() {
        assert_eq!(line_and_column("{\n \"\u{1F600}\" x", 9), (2, 6));
    }

    #[test]
    fn a_long_text_is_quoted_by_its_beginning() {
        let text = format!("{}x", " ".repeat(600));
        let fault = Source::read(&text).unwrap_err();
        assert!(fault.location(&text).ends_with("\"[truncated 101 chars]; line: 1, column: 602]"));
    }
}
