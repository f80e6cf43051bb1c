//! What item readers make of bytes: items, as many as a run of bytes holds whole.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::Json;

/// Where in a JSON array a run of bytes begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Place {
    /// Before it.
    #[default]
    Start,
    /// After its opening bracket.
    Opened,
    /// After an item.
    AfterItem,
    /// After a comma.
    AfterComma,
    /// After it.
    Closed,
}

/// Items found and the bytes they took; or why there can be none.
pub(super) type Found = Result<(Vec<Json>, usize), String>;

/// A sentence for data in which there is nothing to iterate over.
pub(super) const NOT_ITERABLE: &str = "Attempting to map over non-iterable node.";

/// The items of a JSON array that `bytes` hold whole. `last`: nothing comes after them.
pub(super) fn json(bytes: &[u8], last: bool, place: &mut Place, most: usize) -> Found {
    let mut items = Vec::new();
    let mut at = 0;
    while items.len() < most {
        at += bytes[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let Some(&byte) = bytes.get(at) else {
            let ended = matches!(place, Place::Closed);
            return if last && !ended {
                Err(invalid("it ends within its array"))
            } else {
                Ok((items, at))
            };
        };
        match (*place, byte) {
            (Place::Start, b'[') => (*place, at) = (Place::Opened, at + 1),
            (Place::Start, _) => return Err(NOT_ITERABLE.to_owned()),
            (Place::Opened | Place::AfterItem, b']') => (*place, at) = (Place::Closed, at + 1),
            (Place::AfterItem, b',') => (*place, at) = (Place::AfterComma, at + 1),
            (Place::AfterItem, _) => return Err(invalid("a comma is missing")),
            (Place::Closed, _) => return Err(invalid("something follows its array")),
            (Place::Opened | Place::AfterComma, _) => {
                let Some(length) = value_length(&bytes[at..], last) else { return Ok((items, at)) };
                items.push(parse(&bytes[at..at + length])?);
                (*place, at) = (Place::AfterItem, at + length);
            }
        }
    }
    Ok((items, at))
}

/// Bytes of the JSON value that `bytes` begin with; `None`: it goes on beyond them.
fn value_length(bytes: &[u8], last: bool) -> Option<usize> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (at, byte) in bytes.iter().enumerate() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    in_string = false;
                    if depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' if depth <= 1 => return Some(if depth == 1 { at + 1 } else { at }),
            b']' | b'}' => depth -= 1,
            b',' if depth == 0 => return Some(at),
            byte if depth == 0 && byte.is_ascii_whitespace() => return Some(at),
            _ => {}
        }
    }
    last.then_some(bytes.len())
}

/// The lines that `bytes` hold whole, one item each.
pub(super) fn json_lines(bytes: &[u8], last: bool, most: usize) -> Found {
    let mut items = Vec::new();
    let mut at = 0;
    while items.len() < most && at < bytes.len() {
        let end = bytes[at..].iter().position(|byte| *byte == b'\n').map(|length| at + length);
        let Some(end) = end.or_else(|| last.then_some(bytes.len())) else { break };
        let line = bytes[at..end].trim_ascii();
        if !line.is_empty() {
            items.push(parse(line)?);
        }
        at = (end + 1).min(bytes.len());
    }
    Ok((items, at))
}

/// The rows that `bytes` hold whole; the first of all names the columns unless `headers` do.
pub(super) fn csv(
    bytes: &[u8],
    last: bool,
    delimiter: char,
    headers: &mut Option<Vec<Arc<str>>>,
    most: usize,
) -> Found {
    let mut builder = csv::ReaderBuilder::new();
    builder.has_headers(false).flexible(true).delimiter(delimiter as u8);
    let mut reader = builder.from_reader(bytes);
    let mut row = csv::ByteRecord::new();
    let mut items = Vec::new();
    let mut at = 0;
    while items.len() < most {
        match reader.read_byte_record(&mut row) {
            Ok(true) => {}
            Ok(false) => {
                at = if last { bytes.len() } else { at };
                break;
            }
            Err(error) => return Err(format!("The CSV file cannot be read: {error}")),
        }
        let end = reader.position().byte() as usize;
        if end >= bytes.len() && !last {
            break;
        }
        at = end;
        let field = |field: &[u8]| Arc::<str>::from(String::from_utf8_lossy(field));
        match headers {
            None => *headers = Some(distinct(row.iter().map(field).collect())?),
            Some(headers) => {
                let cell = |column: usize| row.get(column).map_or_else(|| "".into(), field);
                let cells = headers.iter().enumerate();
                let cells =
                    cells.map(|(column, name)| (Arc::clone(name), Json::String(cell(column))));
                items.push(Json::object(cells));
            }
        }
    }
    Ok((items, at))
}

/// Column names, unless two are the same.
pub(super) fn distinct(headers: Vec<Arc<str>>) -> Result<Vec<Arc<str>>, String> {
    let names: BTreeSet<_> = headers.iter().collect();
    if names.len() < headers.len() {
        return Err("CSV headers cannot contain duplicates.".to_owned());
    }
    Ok(headers)
}

/// What is iterated over in a JSON document: all of it, or what a pointer names.
pub(super) fn document(bytes: &[u8], pointer: Option<&str>) -> Result<Vec<Json>, String> {
    let mut value = &parse(bytes)?;
    let parts = pointer.unwrap_or_default().split('/').skip(1);
    for part in parts.map(|part| part.replace("~1", "/").replace("~0", "~")) {
        let index = part.parse::<usize>().ok();
        let item = index.and_then(|index| value.as_array()?.get(index));
        let Some(found) = value.member(&part).or(item) else {
            return Err(format!("ItemsPointer {} names nothing.", pointer.unwrap_or_default()));
        };
        value = found;
    }
    match value {
        Json::Array(_) | Json::Object(_) => Ok(super::of_input(value)),
        _ => Err(NOT_ITERABLE.to_owned()),
    }
}

fn parse(bytes: &[u8]) -> Result<Json, String> {
    Json::parse_bytes(bytes).map_err(|error| invalid(&error.to_string()))
}

fn invalid(why: &str) -> String {
    format!("The file is not valid JSON: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Items of `text`, given in pieces of this size.
    fn read(text: &str, size: usize, mut found: impl FnMut(&[u8], bool) -> Found) -> Vec<Json> {
        let (mut items, mut at, mut wanted) = (Vec::new(), 0, size);
        loop {
            let end = (at + wanted).min(text.len());
            let last = end == text.len();
            let (some, taken) = found(&text.as_bytes()[at..end], last).expect("readable");
            items.extend(some);
            at += taken;
            wanted = if taken == 0 { wanted + size } else { size };
            if last && at == text.len() {
                return items;
            }
        }
    }

    #[test]
    fn an_array_is_the_same_however_it_is_cut() {
        let text = r#" [ {"a":"]},\""}, [1,[2]] ,"x", 3.50,true ] "#;
        for size in 1..text.len() {
            let mut place = Place::default();
            let items = read(text, size, |bytes, last| json(bytes, last, &mut place, 9));
            assert_eq!(Json::array(items).to_text(), r#"[{"a":"]},\""},[1,[2]],"x",3.50,true]"#);
        }
    }

    #[test]
    fn rows_are_the_same_however_they_are_cut() {
        let text = "a,b\n1,\"x\ny\"\n2\n3,4,5\n";
        for size in 1..text.len() {
            let mut headers = None;
            let items = read(text, size, |bytes, last| csv(bytes, last, ',', &mut headers, 9));
            let rows = r#"[{"a":"1","b":"x\ny"},{"a":"2","b":""},{"a":"3","b":"4"}]"#;
            assert_eq!(Json::array(items).to_text(), rows, "{size}");
        }
    }

    #[test]
    fn lines_are_items_and_empty_ones_are_not() {
        let text = "{\"a\":1}\n\n[2]\r\n3";
        for size in 1..text.len() {
            let items = read(text, size, |bytes, last| json_lines(bytes, last, 9));
            assert_eq!(Json::array(items).to_text(), r#"[{"a":1},[2],3]"#);
        }
    }

    #[test]
    fn a_pointer_leads_into_a_document() {
        let items = document(br#"{"a/b":{"c":[[1],[2,3]]}}"#, Some("/a~1b/c/1"));
        assert_eq!(items.map(|items| Json::array(items).to_text()), Ok("[2,3]".to_owned()));
        assert_eq!(document(b"1", None), Err(NOT_ITERABLE.to_owned()));
    }
}
