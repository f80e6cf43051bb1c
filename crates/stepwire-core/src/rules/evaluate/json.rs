//! An explanation for programs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stepwire_asl::Json;
use stepwire_asl::json::Object;

use super::{Explanation, Planned, Refused};
use crate::rules::sql::{self, Part, Picked, Value};

/// Bytes of a part's value that are told.
const PART_MAX: usize = 1_024;
/// The same of results, and of what actions would do: AWS's longest message.
const RESULT_MAX: usize = 131_072;

impl Explanation {
    /// The explanation as JSON: `matches`, `sentence`, `from`, `set`, `where`, `select`, `actions`,
    /// `errorAction` and `warnings`. Every part has `sql`, `value`, `why` if it needs one, and `parts`. A value has a
    /// `type`, and `json`, or the beginning of its `text` with `"truncated": true`.
    pub fn to_json(&self) -> Json {
        let mut from = vec![
            ("filter", self.filter.clone().map(Json::String).unwrap_or_default()),
            ("topic", (&*self.topic).into()),
            ("matches", self.filter_fault.is_none().into()),
        ];
        from.extend(self.filter_fault.as_ref().map(|why| ("why", why.as_str().into())));
        let mut members = vec![
            ("matches", Json::from(self.matches)),
            ("sentence", self.sentence.as_str().into()),
            ("from", Json::object(from)),
        ];
        if !self.trace.variables.is_empty() {
            members.push(("set", Json::array(self.trace.variables.iter().map(part))));
        }
        members.extend(self.trace.condition.as_ref().map(|condition| ("where", part(condition))));
        let items = Json::array(self.trace.items.iter().map(picked));
        let result = value(&self.trace.result, RESULT_MAX);
        members.extend([
            ("select", Json::object([("items", items), ("result", result)])),
            ("actions", Json::array(self.actions.iter().map(planned))),
            ("errorAction", self.error_action.as_ref().map(planned).unwrap_or_default()),
            ("warnings", Json::array(self.warnings.iter().map(|text| text.as_str().into()))),
        ]);
        Json::object(members)
    }
}

impl Refused {
    /// Where in the statement, as JSON: `line` and `column` from 1, `text` of the line, `message`,
    /// and `hint` if there is one.
    pub fn place_json(&self) -> Option<Json> {
        let sql::Error { message, hint, line, column, text } = self.place.as_deref()?;
        let mut members = vec![
            ("message", Json::from(message.as_str())),
            ("line", (*line as i64).into()),
            ("column", (*column as i64).into()),
            ("text", text.as_str().into()),
        ];
        members.extend(hint.as_ref().map(|hint| ("hint", hint.as_str().into())));
        Some(Json::object(members))
    }
}

fn picked(picked: &Picked) -> Json {
    let mut members = Object::new();
    members.extend(picked.name.as_ref().map(|name| ("name".into(), name.as_str().into())));
    if picked.replaced {
        members.insert("replaced".into(), true.into());
    }
    members.extend(of_part(&picked.part));
    Json::Object(members.into())
}

fn part(part: &Part) -> Json {
    Json::Object(of_part(part).into())
}

fn of_part(of: &Part) -> Object {
    let mut members = Object::new();
    if !of.label.is_empty() {
        members.insert("label".into(), (&*of.label).into());
    }
    members.insert("sql".into(), of.sql.as_str().into());
    match &of.value {
        Some(there) => members.insert("value".into(), value(there, PART_MAX)),
        None => members.insert("needed".into(), false.into()),
    };
    members.extend(of.why.as_ref().map(|why| ("why".into(), why.as_str().into())));
    if !of.parts.is_empty() {
        members.insert("parts".into(), Json::array(of.parts.iter().map(part)));
    }
    members
}

fn value(value: &Value, max: usize) -> Json {
    match value {
        Value::Undefined => Json::object([("type", Json::from("undefined"))]),
        Value::Bytes(bytes) => {
            let (shown, long) = (&bytes[..bytes.len().min(max)], bytes.len() > max);
            let mut members = vec![
                ("type", Json::from("bytes")),
                ("bytes", (bytes.len() as i64).into()),
                ("base64", STANDARD.encode(shown).into()),
            ];
            members.extend(long.then(|| ("truncated", true.into())));
            Json::object(members)
        }
        Value::Json(json) => {
            let kind = ("type", Json::from(type_of(json)));
            bounded(json, max, kind)
        }
    }
}

/// A value, or the beginning of its text if that is long.
fn bounded(json: &Json, max: usize, kind: (&'static str, Json)) -> Json {
    let text = json.to_text();
    if text.len() <= max {
        return Json::object([kind, ("json", json.clone())]);
    }
    Json::object([
        kind,
        ("text", text[..text.floor_char_boundary(max)].into()),
        ("bytes", (text.len() as i64).into()),
        ("truncated", true.into()),
    ])
}

fn type_of(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

fn planned(of: &Planned) -> Json {
    let mut members = vec![("action", Json::from(of.kind.as_str()))];
    match &of.would {
        Ok(fields) => {
            members.push(("would", bounded(fields, RESULT_MAX, ("type", "object".into()))));
        }
        Err(why) => members.push(("fails", why.as_str().into())),
    }
    Json::object(members)
}
