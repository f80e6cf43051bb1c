//! Bytes that order as key attributes do.
//!
//! Strings and binaries have each zero byte followed by 0xFF and end in two zero bytes, so that a
//! longer one sorts behind its prefix and none is a prefix of another's. Numbers:
//! [`Number::write_key`].

use std::sync::Arc;

use super::number::Number;
use super::value::Value;

const END: u8 = 0;
const ESCAPED: u8 = 0xFF;

/// Appends bytes that order as the key attribute's values do. Only strings, numbers and binaries
/// can be keys; of any other value nothing is appended.
pub(crate) fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::S(text) => write_bytes(text.as_bytes(), out),
        Value::B(bytes) => write_bytes(bytes, out),
        Value::N(number) => number.write_key(out),
        _ => debug_assert!(false, "not a key value"),
    }
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_prefix(bytes, out);
    out.extend_from_slice(&[END, END]);
}

/// Appends what the bytes of every string or binary that begins with `bytes` begin with.
pub(crate) fn write_prefix(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len() + 2);
    for &byte in bytes {
        out.push(byte);
        if byte == 0 {
            out.push(ESCAPED);
        }
    }
}

/// Stored bytes that do not say what they should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unreadable(pub(crate) &'static str);

/// Reads bytes from the front.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Reader(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many bytes are left.
    pub(crate) fn rest(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Unreadable> {
        let (&first, rest) = self.0.split_first().ok_or(Unreadable("cut off"))?;
        self.0 = rest;
        Ok(first)
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Unreadable> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Unreadable("cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    /// The bytes of a key string or binary.
    pub(crate) fn key_bytes(&mut self) -> Result<Vec<u8>, Unreadable> {
        let mut bytes = Vec::new();
        loop {
            match self.byte()? {
                0 => match self.byte()? {
                    END => return Ok(bytes),
                    ESCAPED => bytes.push(0),
                    _ => return Err(Unreadable("not a key's end")),
                },
                byte => bytes.push(byte),
            }
        }
    }

    /// A key string.
    pub(crate) fn key_text(&mut self) -> Result<Arc<str>, Unreadable> {
        let text = String::from_utf8(self.key_bytes()?);
        text.map(Arc::from).map_err(|_| Unreadable("not UTF-8"))
    }

    /// A key number.
    pub(crate) fn key_number(&mut self) -> Result<Number, Unreadable> {
        Number::read_key(self)
    }
}
