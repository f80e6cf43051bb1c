//! From our values to the library's, and back.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexMap;
use jsonata_core::value::JValue;

use super::engine::Stopped;
use crate::Json;
use crate::json::{DEPTH_MAX, Number, Object};

/// Bytes of text beyond which no payload holds a value. Generous: what is near the limit is
/// measured exactly where it is kept.
const BYTES_MAX: usize = 2 * 262_144;

/// Turns values into the library's, and remembers the numbers that a double does not hold: one that
/// comes back untouched gets its own text again.
#[derive(Default)]
pub(super) struct Converter {
    exact: BTreeMap<u64, Number>,
}

impl Converter {
    /// The library's value of ours.
    pub(super) fn give(&mut self, value: &Json) -> JValue {
        match value {
            Json::Null => JValue::Null,
            Json::Bool(value) => JValue::Bool(*value),
            Json::Number(number) => {
                let double = number.as_f64();
                if number_of(double).is_none_or(|shown| &shown != number) {
                    self.exact.insert(double.to_bits(), number.clone());
                }
                JValue::Number(double)
            }
            Json::String(text) => JValue::String(Rc::from(text.as_ref())),
            Json::Array(items) => JValue::array(items.iter().map(|item| self.give(item)).collect()),
            Json::Object(members) => {
                let members =
                    members.iter().map(|(name, value)| (name.to_string(), self.give(value)));
                JValue::object(members.collect::<IndexMap<_, _>>())
            }
        }
    }

    /// Our value of the library's; `None` for undefined and for functions.
    pub(super) fn take(&self, value: &JValue) -> Result<Option<Json>, Stopped> {
        Taking { exact: &self.exact, left: BYTES_MAX }.value(value, DEPTH_MAX + 2)
    }
}

struct Taking<'a> {
    exact: &'a BTreeMap<u64, Number>,
    left: usize,
}

impl Taking<'_> {
    fn spend(&mut self, bytes: usize) -> Result<(), Stopped> {
        self.left = self.left.checked_sub(bytes).ok_or(Stopped::TooLarge)?;
        Ok(())
    }

    fn value(&mut self, value: &JValue, levels: usize) -> Result<Option<Json>, Stopped> {
        let levels = levels.checked_sub(1).ok_or(Stopped::TooLarge)?;
        self.spend(1)?;
        Ok(Some(match value {
            JValue::Null => Json::Null,
            JValue::Bool(value) => Json::Bool(*value),
            JValue::Number(number) => match self.exact.get(&number.to_bits()) {
                Some(exact) => Json::Number(exact.clone()),
                None => number_of(*number).map_or_else(|| unbounded(*number), Json::Number),
            },
            JValue::String(text) => {
                self.spend(text.len())?;
                Json::from(text.as_ref())
            }
            JValue::Array(items) => {
                let mut taken = Vec::with_capacity(items.len().min(BYTES_MAX));
                for item in items {
                    taken.extend(self.value(item, levels)?);
                }
                Json::Array(Arc::new(taken))
            }
            JValue::Object(members) => {
                let mut taken = Object::with_capacity(members.len());
                for (name, value) in members.iter() {
                    self.spend(name.len())?;
                    if let Some(value) = self.value(value, levels)? {
                        taken.insert(name.as_str().into(), value);
                    }
                }
                Json::Object(Arc::new(taken))
            }
            JValue::Undefined
            | JValue::Lambda(_)
            | JValue::Builtin { .. }
            | JValue::Regex { .. } => return Ok(None),
        }))
    }
}

/// A number as JavaScript writes it; `None` when it is not finite.
fn number_of(value: f64) -> Option<Number> {
    if !value.is_finite() {
        return None;
    }
    let size = value.abs();
    let text = if value == 0.0 {
        "0".to_owned()
    } else if (1e-6..1e21).contains(&size) {
        format!("{value}")
    } else {
        let text = format!("{value:e}");
        if size < 1.0 { text } else { text.replace('e', "e+") }
    };
    Number::from_text(&text)
}

/// A number that JSON cannot write, as Step Functions shows it.
fn unbounded(value: f64) -> Json {
    let name = match value {
        _ if value.is_nan() => "NaN",
        _ if value < 0.0 => "-Infinity",
        _ => "Infinity",
    };
    Json::from(name)
}
