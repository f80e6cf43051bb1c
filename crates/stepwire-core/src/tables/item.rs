//! Items, and how they are stored.
//!
//! A stored item is a format byte, its size as DynamoDB counts it, the number of attributes, then
//! name and value of each; a value is a type byte and its content. Lengths are variable-size
//! integers, numbers are as in keys.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::key::{Reader, Unreadable};
use super::number::Number;
use super::value::{self, Attributes, NESTING_MAX, Type, Value};
use crate::record::Corrupt;

const FORMAT: u8 = 1;

/// An item of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    attributes: Attributes,
    /// Derived from `attributes`.
    size: usize,
}

impl Item {
    /// The item of these attributes.
    pub fn new(attributes: Attributes) -> Item {
        let size = value::size(&attributes);
        Item { attributes, size }
    }

    /// Its attributes.
    pub fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// The attribute of this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.attributes.get(name)
    }

    /// The text of attribute `name`, when it is a string.
    pub fn string(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Value::S(text)) => Some(text),
            _ => None,
        }
    }

    /// Its bytes as the item size limit counts them.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The stored form.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.size + 4 * self.attributes.len() + 8);
        out.push(FORMAT);
        write_length(self.size, &mut out);
        write_attributes(&self.attributes, &mut out);
        out
    }

    /// The item stored at `key` as `bytes`.
    pub(crate) fn decode(key: &[u8], bytes: &[u8]) -> Result<Item, Corrupt> {
        decode(bytes).map_err(|Unreadable(why)| Corrupt { key: key.to_vec(), why: why.to_owned() })
    }
}

/// The size of the item stored as `bytes`, without reading all of it.
pub(crate) fn stored_size(bytes: &[u8]) -> Option<usize> {
    let mut reader = Reader::new(bytes);
    (reader.byte().ok()? == FORMAT).then(|| read_length(&mut reader).ok())?
}

fn decode(bytes: &[u8]) -> Result<Item, Unreadable> {
    let mut reader = Reader::new(bytes);
    if reader.byte()? != FORMAT {
        return Err(Unreadable("an item in a format of another stepwire"));
    }
    let size = read_length(&mut reader)?;
    let attributes = read_attributes(&mut reader, 0)?;
    if !reader.is_empty() {
        return Err(Unreadable("bytes after an item"));
    }
    Ok(Item { attributes, size })
}

fn write_attributes(attributes: &Attributes, out: &mut Vec<u8>) {
    write_length(attributes.len(), out);
    for (name, value) in attributes {
        write_bytes(name.as_bytes(), out);
        write_value(value, out);
    }
}

fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Bool(true) => return out.push(TRUE),
        value => out.push(tag(value.kind())),
    }
    match value {
        Value::S(text) => write_bytes(text.as_bytes(), out),
        Value::N(number) => number.write_key(out),
        Value::B(bytes) => write_bytes(bytes, out),
        Value::Bool(_) | Value::Null => {}
        Value::M(members) => write_attributes(members, out),
        Value::L(items) => {
            write_length(items.len(), out);
            items.iter().for_each(|item| write_value(item, out));
        }
        Value::Ss(texts) => {
            write_length(texts.len(), out);
            texts.iter().for_each(|text| write_bytes(text.as_bytes(), out));
        }
        Value::Ns(numbers) => {
            write_length(numbers.len(), out);
            numbers.iter().for_each(|number| number.write_key(out));
        }
        Value::Bs(all) => {
            write_length(all.len(), out);
            all.iter().for_each(|bytes| write_bytes(bytes, out));
        }
    }
}

/// `true`; every other tag is its type's, `false` that of truth values. Never renumber.
const TRUE: u8 = 10;

fn tag(kind: Type) -> u8 {
    match kind {
        Type::S => 0,
        Type::N => 1,
        Type::B => 2,
        Type::Bool => 3,
        Type::Null => 4,
        Type::M => 5,
        Type::L => 6,
        Type::Ss => 7,
        Type::Ns => 8,
        Type::Bs => 9,
    }
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_length(bytes.len(), out);
    out.extend_from_slice(bytes);
}

fn write_length(length: usize, out: &mut Vec<u8>) {
    let mut rest = length;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn read_length(reader: &mut Reader<'_>) -> Result<usize, Unreadable> {
    let mut length = 0;
    for shift in [0, 7, 14, 21, 28] {
        let byte = reader.byte()?;
        length |= usize::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Ok(length);
        }
    }
    Err(Unreadable("a length beyond all items"))
}

fn read_text(reader: &mut Reader<'_>) -> Result<Arc<str>, Unreadable> {
    let length = read_length(reader)?;
    let text = std::str::from_utf8(reader.take(length)?);
    text.map(Arc::from).map_err(|_| Unreadable("not UTF-8"))
}

fn read_binary(reader: &mut Reader<'_>) -> Result<Arc<[u8]>, Unreadable> {
    let length = read_length(reader)?;
    Ok(reader.take(length)?.into())
}

fn read_attributes(reader: &mut Reader<'_>, depth: usize) -> Result<Attributes, Unreadable> {
    let count = read_length(reader)?;
    (0..count).map(|_| Ok((read_text(reader)?, read_value(reader, depth)?))).collect()
}

fn read_value(reader: &mut Reader<'_>, depth: usize) -> Result<Value, Unreadable> {
    if depth > NESTING_MAX {
        return Err(Unreadable("an item nested too deeply"));
    }
    Ok(match reader.byte()? {
        0 => Value::S(read_text(reader)?),
        1 => Value::N(reader.key_number()?),
        2 => Value::B(read_binary(reader)?),
        3 => Value::Bool(false),
        TRUE => Value::Bool(true),
        4 => Value::Null,
        5 => Value::M(Arc::new(read_attributes(reader, depth + 1)?)),
        6 => {
            let count = read_length(reader)?;
            let items: Result<_, _> = (0..count).map(|_| read_value(reader, depth + 1)).collect();
            Value::L(Arc::new(items?))
        }
        7 => Value::Ss(read_set(reader, read_text)?),
        8 => Value::Ns(read_set::<Number>(reader, Reader::key_number)?),
        9 => Value::Bs(read_set(reader, read_binary)?),
        _ => return Err(Unreadable("an unknown type of value")),
    })
}

fn read_set<'a, T: Ord>(
    reader: &mut Reader<'a>,
    element: impl Fn(&mut Reader<'a>) -> Result<T, Unreadable>,
) -> Result<Arc<BTreeSet<T>>, Unreadable> {
    let count = read_length(reader)?;
    Ok(Arc::new((0..count).map(|_| element(reader)).collect::<Result<_, _>>()?))
}
