//! What pages say that others answer, and the properties of a message.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stepwire_asl::Json;
use stepwire_core::message::Properties;
use stepwire_core::rules::sql::{Answered, Outside, Question, Value};

/// Answers by the text of their question.
#[derive(Debug, Default)]
pub(crate) struct Answers(BTreeMap<String, Json>);

impl Answers {
    /// A line each: a question and after ` → ` its answer as JSON; an object's bytes in base64.
    pub(crate) fn of(block: &str) -> Answers {
        let lines = block.lines().map(|line| {
            let (question, answer) = line.split_once(" → ").unwrap();
            (question.to_owned(), Json::parse(answer).unwrap())
        });
        Answers(lines.collect())
    }
}

impl Outside for Answers {
    fn ask(&self, question: &Question) -> Answered {
        let Some(answer) = self.0.get(&text(question)) else {
            return Answered::Now(Value::Undefined);
        };
        Answered::Now(match question {
            Question::Object { .. } => {
                Value::Bytes(STANDARD.decode(answer.as_str().unwrap()).unwrap().into())
            }
            _ => Value::Json(answer.clone()),
        })
    }
}

/// A question as pages write it.
fn text(question: &Question) -> String {
    let key = |(name, value): &(std::sync::Arc<str>, Json)| format!(" {name}={}", value.to_text());
    match question {
        Question::Object { bucket, key } => format!("object {bucket}/{key}"),
        Question::Item { table, partition, sort } => {
            let sort = sort.as_ref().map(key).unwrap_or_default();
            format!("item {table}{}{sort}", key(partition))
        }
        Question::Registry { api, thing } => format!("{api} {thing}"),
        Question::Shadow { thing, name } => {
            let name = name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
            format!("shadow {thing}{name}")
        }
        Question::Secret { id, kind, key } => {
            let key = key.as_ref().map(|key| format!(" {key}")).unwrap_or_default();
            format!("secret {id} {kind}{key}")
        }
        Question::Prediction { model, record } => format!("model {model} {}", record.to_text()),
        Question::NoRole { function } => format!("no role {function}"),
        Question::Lambda { function, payload } => format!("lambda {function} {payload}"),
    }
}

/// Properties of MQTT 5, a line each: a name and its value; `user` takes `key=value`.
pub(crate) fn properties(block: &str) -> Properties {
    let mut properties = Properties::default();
    for line in block.lines() {
        let (name, value) = line.split_once(' ').unwrap();
        match name {
            "content_type" => properties.content_type = Some(value.into()),
            "response_topic" => properties.response_topic = Some(value.into()),
            "correlation_data" => {
                properties.correlation_data = Some(value.to_owned().into_bytes().into());
            }
            "format_indicator" => properties.payload_is_utf8 = Some(value == "UTF8_DATA"),
            "user" => {
                let (key, value) = value.split_once('=').unwrap();
                properties.user_properties.push((key.into(), value.into()));
            }
            other => panic!("unknown property `{other}`"),
        }
    }
    properties
}
