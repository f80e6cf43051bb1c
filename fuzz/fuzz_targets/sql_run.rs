//! A statement, and a message that it is evaluated on.
//!
//! The first line is the topic, the second the statement, the rest the payload; after a record
//! separator (0x1E) comes the object that `decode` reads its descriptors from. Whatever they are, the
//! evaluation ends, says the same twice, and makes no more than it may.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use stepwire_asl::{Json, Timestamp};
use stepwire_core::Settings;
use stepwire_core::message::Message;
use stepwire_core::rules::sql::{Answered, Facts, Outside, Question, Statement, Value, Version};

/// More than any evaluation may make, in bytes of text.
const TEXT_BYTES_MAX: usize = 64 << 20;

/// Answers what can be asked.
struct World {
    object: Bytes,
}

impl Outside for World {
    fn ask(&self, question: &Question) -> Answered {
        match question {
            Question::Object { .. } => Answered::Now(Value::Bytes(self.object.clone())),
            Question::Registry { .. } => {
                Answered::Now(Value::Json(Json::object([("thingName", Json::from("sensor-1"))])))
            }
            Question::Item { .. }
            | Question::Shadow { .. }
            | Question::Secret { .. }
            | Question::NoRole { .. } => Answered::Now(Value::Undefined),
            Question::Lambda { .. } | Question::Prediction { .. } => Answered::Later,
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.splitn(3, |byte| *byte == b'\n');
    let (Some(topic), Some(sql), Some(rest)) = (lines.next(), lines.next(), lines.next()) else {
        return;
    };
    let (Ok(topic), Ok(sql)) = (std::str::from_utf8(topic), std::str::from_utf8(sql)) else {
        return;
    };
    let mut parts = rest.splitn(2, |byte| *byte == 0x1E);
    let payload = Bytes::copy_from_slice(parts.next().unwrap_or_default());
    let world = World { object: Bytes::copy_from_slice(parts.next().unwrap_or_default()) };
    let message = Message::service(topic, payload, Timestamp(1_600_000_000_000));
    let json = Json::parse_bytes(&message.payload).ok();
    let settings = Settings::default();
    for version in [Version::V2015, Version::V2016, Version::Beta] {
        let Ok(statement) = Statement::parse(sql, version) else { continue };
        let run = || {
            let facts = Facts::new(&message, json.as_ref(), &settings, 1).asking(&world);
            (statement.run(&facts), facts.open())
        };
        let (value, open) = run();
        if let Some(text) = value.clone().and_then(Value::into_json).map(|json| json.to_text()) {
            assert!(text.len() <= TEXT_BYTES_MAX, "{} bytes", text.len());
        }
        assert_eq!(run(), (value, open));
    }
});
