//! What is known of the message, and draws.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stepwire_asl::{Entropy, Json};

use super::{Call, Found};
use crate::executions::derived_uuid;
use crate::rules::sql::value::double;

pub(super) fn topic(call: &Call<'_>) -> Found {
    let topic = call.facts.topic();
    if call.values.is_empty() {
        return Some(topic.to_owned().into());
    }
    let at = usize::try_from(call.int(0)?).ok()?.checked_sub(1)?;
    Some(topic.split('/').nth(at)?.to_owned().into())
}

#[expect(clippy::unnecessary_wraps, reason = "as all functions")]
pub(super) fn clientid(call: &Call<'_>) -> Found {
    let client = call.facts.client().map_or("n/a", |client| client.id.as_ref());
    Some(client.to_owned().into())
}

pub(super) fn principal(call: &Call<'_>) -> Found {
    Some(call.facts.message.origin.publisher()?.0.name().as_ref().to_owned().into())
}

pub(super) fn sourceip(call: &Call<'_>) -> Found {
    Some(call.facts.message.origin.publisher()?.1.to_string().into())
}

/// Undefined unless the message came by MQTT.
pub(super) fn traceid(call: &Call<'_>) -> Found {
    let facts = call.facts;
    facts.client()?;
    Some(derived_uuid(&facts.settings.secret, "trace", &[facts.salt]).into())
}

#[expect(clippy::unnecessary_wraps, reason = "as all functions")]
pub(super) fn accountid(call: &Call<'_>) -> Found {
    Some(call.facts.settings.account.to_string().into())
}

#[expect(clippy::unnecessary_wraps, reason = "as all functions")]
pub(super) fn sql_version(call: &Call<'_>) -> Found {
    Some(call.facts.version().name().to_owned().into())
}

/// A property of MQTT 5 by its name in the reference.
pub(super) fn get_mqtt_property(call: &Call<'_>) -> Found {
    let properties = &call.facts.message.properties;
    let text = |text: &Option<Arc<str>>| Some(text.as_deref()?.to_owned());
    let found = match call.value(0)?.json()?.as_str()? {
        "content_type" => text(&properties.content_type),
        "response_topic" => text(&properties.response_topic),
        "correlation_data" => Some(STANDARD.encode(properties.correlation_data.as_ref()?)),
        "format_indicator" => {
            let is_utf8 = properties.payload_is_utf8 == Some(true);
            Some(if is_utf8 { "UTF8_DATA" } else { "UNSPECIFIED_BYTES" }.to_owned())
        }
        _ => None,
    };
    Some(found?.into())
}

/// All values of a user property; without a name all properties, an object each.
pub(super) fn get_user_properties(call: &Call<'_>) -> Found {
    let properties = call.facts.message.properties.user_properties.iter();
    if call.values.is_empty() {
        let all = properties
            .map(|(name, value)| Json::object([(Arc::clone(name), Json::from(value.to_string()))]));
        return Some(Json::array(all).into());
    }
    let wanted = call.text(0)?;
    let values = properties.filter(|(name, _)| **name == *wanted);
    let values: Vec<Json> = values.map(|(_, value)| Json::from(value.to_string())).collect();
    (!values.is_empty()).then(|| Json::array(values).into())
}

#[expect(clippy::unnecessary_wraps, reason = "as all functions")]
pub(super) fn rand(call: &Call<'_>) -> Found {
    let draw = Entropy::new(call.facts.salt ^ drawn(call).rotate_left(32)).next_u64();
    Some(double(Some((draw >> 11) as f64 / (1_u64 << 53) as f64)))
}

#[expect(clippy::unnecessary_wraps, reason = "as all functions")]
pub(super) fn newuuid(call: &Call<'_>) -> Found {
    let facts = call.facts;
    Some(derived_uuid(&facts.settings.secret, "newuuid", &[facts.salt, drawn(call)]).into())
}

/// How many draws this evaluation made before.
fn drawn(call: &Call<'_>) -> u64 {
    call.facts.drawn.replace(call.facts.drawn.get() + 1)
}
