//! XML as AWS's older protocols write it.

use quick_xml::Reader;
use quick_xml::events::Event;
use stepwire_asl::Json;

/// Deepest nesting that is read.
const DEPTH_MAX: usize = 16;

/// How lists are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lists {
    /// The element once for every entry, as S3 does.
    Flat,
    /// One element, with an element of this name for every entry, as the query protocol does.
    Inside(&'static str),
}

/// An element that was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    /// Its name, without a namespace.
    pub(super) name: String,
    /// Its text.
    pub(super) text: String,
    /// The elements in it.
    pub(super) children: Vec<Element>,
}

impl Element {
    /// The document's root. The error says what is wrong with it.
    pub(super) fn parse(bytes: &[u8]) -> Result<Element, String> {
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        let mut reader = Reader::from_str(text);
        let mut open = vec![Element::default()];
        let wrong = |error: quick_xml::Error| error.to_string();
        loop {
            match reader.read_event().map_err(wrong)? {
                Event::Start(start) => {
                    if open.len() > DEPTH_MAX {
                        return Err("it is nested too deeply".to_owned());
                    }
                    open.push(Element::named(start.local_name().as_ref()));
                }
                Event::Empty(empty) => {
                    let element = Element::named(empty.local_name().as_ref());
                    open.last_mut().ok_or("no root")?.children.push(element);
                }
                Event::End(_) => {
                    let done = open.pop().ok_or("no root")?;
                    open.last_mut().ok_or("no root")?.children.push(done);
                }
                Event::Text(found) => {
                    open.last_mut().ok_or("no root")?.text.push_str(&found);
                }
                Event::CData(found) => {
                    open.last_mut().ok_or("no root")?.text.push_str(&found);
                }
                Event::GeneralRef(name) => {
                    let character = name.resolve_char_ref().map_err(wrong)?;
                    let known = quick_xml::escape::resolve_predefined_entity(&name);
                    let into = &mut open.last_mut().ok_or("no root")?.text;
                    match (character, known) {
                        (Some(character), _) => into.push(character),
                        (None, Some(known)) => into.push_str(known),
                        (None, None) => return Err(format!("`&{};` is not known", &*name)),
                    }
                }
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
                Event::DocType(_) => return Err("document types are not read".to_owned()),
                Event::Eof => break,
            }
        }
        let document = open.pop().filter(|_| open.is_empty()).ok_or("an element does not end")?;
        document.children.into_iter().next().ok_or_else(|| "it has no root".to_owned())
    }

    fn named(name: &str) -> Element {
        Element { name: name.to_owned(), ..Element::default() }
    }

    /// The text of the first element of this name in it.
    pub(super) fn text_of(&self, name: &str) -> Option<&str> {
        self.children.iter().find(|child| child.name == name).map(|child| &*child.text)
    }
}

/// Writes a value as an element.
pub(super) fn write(name: &str, value: &Json, lists: Lists, out: &mut String) {
    match (value, lists) {
        (Json::Array(items), Lists::Flat) => {
            items.iter().for_each(|item| write(name, item, lists, out));
        }
        (Json::Array(items), Lists::Inside(entry)) => {
            out.extend(["<", name, ">"]);
            items.iter().for_each(|item| write(entry, item, lists, out));
            out.extend(["</", name, ">"]);
        }
        (Json::Object(members), _) => {
            out.extend(["<", name, ">"]);
            members.iter().for_each(|(name, value)| write(name, value, lists, out));
            out.extend(["</", name, ">"]);
        }
        (Json::Null, _) => out.extend(["<", name, "/>"]),
        (Json::String(text), _) => {
            out.extend(["<", name, ">", &escaped(text), "</", name, ">"]);
        }
        (plain, _) => out.extend(["<", name, ">", &plain.to_text(), "</", name, ">"]),
    }
}

/// Text as it stands in XML. Characters that XML cannot hold are left out.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' => out.push(character),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {}
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let value = Json::object([("Key", Json::array(["a<&>\"\r".into(), "b".into()]))]);
        let mut out = String::new();
        write("Root", &value, Lists::Flat, &mut out);
        let root = Element::parse(out.as_bytes()).expect("it is XML");
        let keys: Vec<_> = root.children.iter().map(|child| &*child.text).collect();
        assert_eq!((root.name.as_str(), keys), ("Root", vec!["a<&>\"\r", "b"]));
    }

    #[test]
    fn what_is_no_document_is_refused() {
        for bad in ["", "<a>", "<a><b></a>", "<a>&x;</a>", "<!DOCTYPE a><a/>", "text"] {
            assert!(Element::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
