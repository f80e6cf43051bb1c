//! Points in time.

mod java;
mod joda;
mod zone;

use jiff::Timestamp;

use super::{Call, Found};
use zone::Zone;

/// Longest pattern, bytes.
const PATTERN_MAX: usize = 1_024;

#[expect(clippy::unnecessary_wraps, reason = "as all functions")]
pub(super) fn timestamp(call: &Call<'_>) -> Found {
    Some(call.facts.message.at.0.into())
}

/// A point in time, written by a pattern of Joda-Time; the zone is UTC unless given.
pub(super) fn parse_time(call: &Call<'_>) -> Found {
    let pattern = call.text(0)?;
    let at = Timestamp::from_millisecond(call.int(1)?).ok()?;
    let zone = match call.values.get(2) {
        Some(_) => Zone::of_joda(&call.text(2)?)?,
        None => Zone::utc(),
    };
    if pattern.is_empty() || pattern.len() > PATTERN_MAX {
        return None;
    }
    Some(joda::format(&pattern, &at.to_zoned(zone.zone.clone()), &zone)?.into())
}

/// The milliseconds since 1970 of a time that is written by a pattern of the JDK.
pub(super) fn time_to_epoch(call: &Call<'_>) -> Found {
    let (text, pattern) = (call.text(0)?, call.text(1)?);
    if pattern.len() > PATTERN_MAX {
        return None;
    }
    Some(java::Pattern::parse(&pattern)?.millis(&text)?.into())
}
