//! Shared immutable JSON values that keep the text of their numbers.
//!
//! A [`Json`] is cheap to clone (one reference count) and cheap to change in one place: a changed
//! copy shares everything it did not touch. Numbers keep what the writer wrote (`0.0` stays `0.0`,
//! integers beyond 2^53 survive), as Step Functions does. Parsing and printing are serde_json's.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::value::RawValue;

/// Arrays and objects within one another that [`Json::parse`] takes; serde_json's own limit.
pub const DEPTH_MAX: usize = 127;

/// The members of an object, in the order they were written.
pub type Object = IndexMap<Arc<str>, Json>;

/// A JSON value: an immutable tree whose parts are shared.
#[derive(Clone, Default, PartialEq)]
pub enum Json {
    /// `null`
    #[default]
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number with its text.
    Number(Number),
    /// A string.
    String(Arc<str>),
    /// An array.
    Array(Arc<Vec<Json>>),
    /// An object.
    Object(Arc<Object>),
}

/// A JSON number; prints exactly as it was written.
#[derive(Clone)]
pub struct Number(Repr);

#[derive(Clone)]
enum Repr {
    /// An integer whose text is its canonical decimal form.
    Int(i64),
    /// Anything else, as written.
    Text(Arc<str>),
}

impl Number {
    /// The number written as `text`, which must be a JSON number literal.
    pub fn from_text(text: &str) -> Option<Number> {
        let fits = text.len() <= 18 && text != "-0" && !text.contains(['.', 'e', 'E']);
        if fits {
            return text.parse().ok().map(|int| Number(Repr::Int(int)));
        }
        let raw: &RawValue = serde_json::from_str(text).ok()?;
        let written = raw.get();
        written
            .starts_with(|c: char| c == '-' || c.is_ascii_digit())
            .then(|| Number(Repr::Text(written.into())))
    }

    /// The integer, when the text is that of one and it fits.
    pub fn as_i64(&self) -> Option<i64> {
        match &self.0 {
            Repr::Int(int) => Some(*int),
            Repr::Text(text) => text.parse().ok(),
        }
    }

    /// The nearest double; infinite when out of range.
    pub fn as_f64(&self) -> f64 {
        match &self.0 {
            Repr::Int(int) => *int as f64,
            Repr::Text(text) => text.parse().unwrap_or(f64::NAN),
        }
    }

    /// Bytes of its text.
    pub fn text_len(&self) -> usize {
        match &self.0 {
            Repr::Int(int) => {
                let digits = int.unsigned_abs().checked_ilog10().map_or(1, |log| log as usize + 1);
                digits + usize::from(*int < 0)
            }
            Repr::Text(text) => text.len(),
        }
    }

    /// Whether the text has no fraction and no exponent.
    pub fn is_integer(&self) -> bool {
        match &self.0 {
            Repr::Int(_) => true,
            Repr::Text(text) => !text.contains(['.', 'e', 'E']),
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Repr::Int(a), Repr::Int(b)) => a == b,
            (Repr::Text(a), Repr::Text(b)) if a == b => true,
            _ => match (self.as_i64(), other.as_i64()) {
                (Some(a), Some(b)) => a == b,
                _ => self.as_f64() == other.as_f64(),
            },
        }
    }
}

impl From<i64> for Number {
    fn from(int: i64) -> Self {
        Number(Repr::Int(int))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Int(int) => write!(f, "{int}"),
            Repr::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at line {line} column {column}")]
pub struct ParseError {
    /// What is wrong.
    pub message: String,
    /// Line of the fault, from 1.
    pub line: usize,
    /// Column of the fault, from 1.
    pub column: usize,
}

impl From<serde_json::Error> for ParseError {
    fn from(error: serde_json::Error) -> Self {
        let text = error.to_string();
        let message = text.split(" at line ").next().unwrap_or(&text).to_owned();
        ParseError { message, line: error.line(), column: error.column() }
    }
}

impl Json {
    /// The value `text` writes. Refuses nesting deeper than [`DEPTH_MAX`].
    pub fn parse(text: &str) -> Result<Json, ParseError> {
        if numbers_need_their_text(text) {
            let raw: &RawValue = serde_json::from_str(text)?;
            exact(raw, 0)
        } else {
            Ok(serde_json::from_str(text)?)
        }
    }

    /// As [`Json::parse`], from bytes that must be UTF-8.
    pub fn parse_bytes(bytes: &[u8]) -> Result<Json, ParseError> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Json::parse(text),
            Err(_) => Err(ParseError { message: "not UTF-8".to_owned(), line: 1, column: 1 }),
        }
    }

    /// A string value.
    pub fn string(text: impl Into<Arc<str>>) -> Json {
        Json::String(text.into())
    }

    /// An array value.
    pub fn array(items: impl IntoIterator<Item = Json>) -> Json {
        Json::Array(Arc::new(items.into_iter().collect()))
    }

    /// An object value of these members, in this order; a later name replaces an earlier one.
    pub fn object<K: Into<Arc<str>>>(members: impl IntoIterator<Item = (K, Json)>) -> Json {
        Json::Object(Arc::new(members.into_iter().map(|(k, v)| (k.into(), v)).collect()))
    }

    /// The number nearest to `value`; whole values print without a fraction. `None` if not finite.
    pub fn from_f64(value: f64) -> Option<Json> {
        if !value.is_finite() {
            return None;
        }
        if value.fract() == 0.0 && value.abs() < 9e15 {
            return Some(Json::from(value as i64));
        }
        Number::from_text(&serde_json::Number::from_f64(value)?.to_string()).map(Json::Number)
    }

    /// The member `name`, when this is an object that has one.
    pub fn member(&self, name: &str) -> Option<&Json> {
        match self {
            Json::Object(members) => members.get(name),
            _ => None,
        }
    }

    /// The string, when this is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Json::String(text) => Some(text),
            _ => None,
        }
    }

    /// The integer, when this is a number written as one that fits.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Json::Number(number) => number.as_i64(),
            _ => None,
        }
    }

    /// The number as a double, when this is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Json::Number(number) => Some(number.as_f64()),
            _ => None,
        }
    }

    /// The truth value, when this is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Json::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The items, when this is an array.
    pub fn as_array(&self) -> Option<&[Json]> {
        match self {
            Json::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The members, when this is an object.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Json::Object(members) => Some(members),
            _ => None,
        }
    }

    /// Whether this is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Json::Null)
    }

    /// Whether both are the very same shared value (no comparison of contents).
    pub fn same(&self, other: &Json) -> bool {
        match (self, other) {
            (Json::String(a), Json::String(b)) => Arc::ptr_eq(a, b),
            (Json::Array(a), Json::Array(b)) => Arc::ptr_eq(a, b),
            (Json::Object(a), Json::Object(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// Whether arrays and objects stand at most `levels` deep in one another.
    pub fn is_within(&self, levels: usize) -> bool {
        match self {
            Json::Array(items) => levels > 0 && items.iter().all(|item| item.is_within(levels - 1)),
            Json::Object(members) => {
                levels > 0 && members.values().all(|value| value.is_within(levels - 1))
            }
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => true,
        }
    }

    /// The value as compact JSON text.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Json::Bool(value)
    }
}

impl From<i64> for Json {
    fn from(value: i64) -> Self {
        Json::Number(value.into())
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Json::String(text.into())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Json::String(text.into())
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether some number in `text` would not survive as an `i64`: it has a fraction, an exponent,
/// many digits, or is a negative zero. Cheap, and may say yes too often.
fn numbers_need_their_text(text: &str) -> bool {
    let (mut in_string, mut escaped, mut digits, mut previous) = (false, false, 0_u32, b' ');
    for &byte in text.as_bytes() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'.' | b'E' => return true,
            b'e' if digits > 0 => return true,
            b'0' if previous == b'-' => return true,
            b'0'..=b'9' => digits += 1,
            _ => digits = 0,
        }
        if digits > 18 {
            return true;
        }
        previous = byte;
    }
    false
}

/// The value of `raw` with every number's text kept.
fn exact(raw: &RawValue, depth: usize) -> Result<Json, ParseError> {
    let text = raw.get();
    if depth == DEPTH_MAX && text.starts_with(['{', '[']) {
        return Err(ParseError { message: "recursion limit exceeded".into(), line: 1, column: 1 });
    }
    Ok(match text.as_bytes().first() {
        Some(b'{') => {
            let members: RawMembers<'_> = serde_json::from_str(text)?;
            let mut object = Object::with_capacity(members.0.len());
            for (name, value) in members.0 {
                object.insert(name.into(), exact(value, depth + 1)?);
            }
            Json::Object(Arc::new(object))
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text)?;
            let items: Result<Vec<_>, _> = items.iter().map(|v| exact(v, depth + 1)).collect();
            Json::Array(Arc::new(items?))
        }
        Some(b'-' | b'0'..=b'9') => {
            Json::Number(Number::from_text(text).ok_or_else(|| ParseError {
                message: "invalid number".into(),
                line: 1,
                column: 1,
            })?)
        }
        _ => serde_json::from_str(text)?,
    })
}

/// The members of an object, unparsed and in order.
struct RawMembers<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for RawMembers<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = RawMembers<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(RawMembers(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

impl Serialize for Json {
    /// A tree in readable formats; its compact text, as one string, in binary ones.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return serializer.serialize_str(&self.to_text());
        }
        match self {
            Json::Null => serializer.serialize_unit(),
            Json::Bool(value) => serializer.serialize_bool(*value),
            Json::Number(Number(Repr::Int(int))) => serializer.serialize_i64(*int),
            Json::Number(Number(Repr::Text(text))) => RawValue::from_string(text.to_string())
                .map_err(serde::ser::Error::custom)?
                .serialize(serializer),
            Json::String(text) => serializer.serialize_str(text),
            Json::Array(items) => serializer.collect_seq(items.iter()),
            Json::Object(members) => serializer.collect_map(members.iter()),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    /// From readable formats a tree (numbers as the format gives them: use [`Json::parse`] to keep
    /// their text); from binary ones, the text that [`Json::serialize`] wrote.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return deserializer.deserialize_any(Tree);
        }
        let text = <Cow<'de, str>>::deserialize(deserializer)?;
        Json::parse(&text).map_err(de::Error::custom)
    }
}

struct Tree;

impl<'de> Visitor<'de> for Tree {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::from(value))
    }
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Json, E> {
        match i64::try_from(value) {
            Ok(int) => Ok(Json::from(int)),
            Err(_) => Ok(Json::Number(Number(Repr::Text(value.to_string().into())))),
        }
    }
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Json, E> {
        let number = serde_json::Number::from_f64(value).ok_or_else(|| E::custom("not finite"))?;
        Ok(Json::Number(Number(Repr::Text(number.to_string().into()))))
    }
    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::from(text))
    }
    fn visit_string<E>(self, text: String) -> Result<Json, E> {
        Ok(Json::from(text))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Json::Array(Arc::new(items)))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members = Object::new();
        while let Some((name, value)) = map.next_entry::<String, Json>()? {
            members.insert(name.into(), value);
        }
        Ok(Json::Object(Arc::new(members)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(text: &str) {
        assert_eq!(Json::parse(text).map(|v| v.to_text()).as_deref(), Ok(text));
    }

    #[test]
    fn numbers_keep_their_text() {
        round_trip("[0.0,1.10,-0,1E5,1e-7,12345678901234567890123,9007199254740993,-5]");
        round_trip(r#"{"a":{"b":[1,2.50,{"c":"0.0 \"e\" 1."}]},"ü":null}"#);
    }

    #[test]
    fn numbers_compare_by_value() {
        assert_eq!(Json::parse("1.0"), Json::parse("1"));
        assert_ne!(Json::parse("9007199254740993"), Json::parse("9007199254740992"));
    }

    #[test]
    fn nesting_is_limited_whatever_the_numbers() {
        let nested = |levels: usize, leaf: &str| {
            format!("{}{leaf}{}", "[".repeat(levels), "]".repeat(levels))
        };
        for leaf in ["1", "1.5", ""] {
            let deepest = Json::parse(&nested(DEPTH_MAX, leaf)).expect("JSON");
            assert!(deepest.is_within(DEPTH_MAX) && !deepest.is_within(DEPTH_MAX - 1));
            assert!(Json::parse(&nested(DEPTH_MAX + 1, leaf)).is_err());
        }
    }

    #[test]
    fn errors_tell_the_place() {
        let error = Json::parse("{\n  \"a\": tru }").expect_err("not JSON");
        assert_eq!((error.line, error.column > 1), (2, true));
        assert!(Json::parse("").is_err() && Json::parse("1 2").is_err());
    }
}
