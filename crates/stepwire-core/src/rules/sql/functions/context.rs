//! What is known of the message, and draws.

use stepwire_asl::Entropy;

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

pub(super) fn traceid(call: &Call<'_>) -> Found {
    call.facts.message.origin.publisher()?;
    let facts = call.facts;
    Some(derived_uuid(&facts.settings.secret, "trace", &[facts.salt]).into())
}

pub(super) fn accountid(call: &Call<'_>) -> Found {
    Some(call.facts.settings.account.to_string().into())
}

#[expect(clippy::unnecessary_wraps, reason = "as all functions")]
pub(super) fn sql_version(_: &Call<'_>) -> Found {
    Some("2016-03-23".to_owned().into())
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
