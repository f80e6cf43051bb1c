//! Points in time.

mod java;
mod joda;
mod zone;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, ToSpan, Unit};

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
    let at = call.int(1)?;
    let zone = match call.values.get(2) {
        Some(_) => Zone::of_joda(&call.text(2)?)?,
        None => Zone::utc(),
    };
    if pattern.is_empty() || pattern.len() > PATTERN_MAX {
        return None;
    }
    let at = Moment::of(at, &zone.zone)?;
    Some(joda::format(&pattern, &at, &zone)?.into())
}

/// The milliseconds since 1970 of a time that is written by a pattern of the JDK.
pub(super) fn time_to_epoch(call: &Call<'_>) -> Found {
    let (text, pattern) = (call.text(0)?, call.text(1)?);
    if pattern.len() > PATTERN_MAX {
        return None;
    }
    Some(java::Pattern::parse(&pattern)?.millis(&text)?.into())
}

/// What clocks and calendars of a zone show.
struct Moment {
    civil: DateTime,
    /// What people there call the time.
    abbreviation: String,
    offset: Offset,
}

const EPOCH: Date = Date::constant(1970, 1, 1);
const DAY_MS: i64 = 86_400_000;

impl Moment {
    /// The moment so many milliseconds after 1970, if its year has four digits.
    fn of(millis: i64, zone: &TimeZone) -> Option<Moment> {
        // A `Timestamp` ends a day before its calendar does; what holds there holds to the end.
        let (first, last) = (Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
        let near = Timestamp::from_second(millis.div_euclid(1_000).clamp(first, last)).ok()?;
        let info = zone.to_offset_info(near);
        let (abbreviation, offset) = (info.abbreviation().to_owned(), info.offset());
        let local = millis.checked_add(i64::from(offset.seconds()) * 1_000)?;
        let days = jiff::Span::new().try_days(local.div_euclid(DAY_MS)).ok()?;
        let time = Time::midnight().checked_add(local.rem_euclid(DAY_MS).milliseconds()).ok()?;
        let civil = EPOCH.checked_add(days).ok()?.to_datetime(time);
        Some(Moment { civil, abbreviation, offset })
    }
}

/// The milliseconds after 1970 when clocks with this offset show `civil`.
fn millis_of(civil: DateTime, offset: Offset) -> Option<i64> {
    let days = i64::from(civil.date().since((Unit::Day, EPOCH)).ok()?.get_days());
    let time = civil.time();
    let seconds =
        i64::from(time.hour()) * 3_600 + i64::from(time.minute()) * 60 + i64::from(time.second())
            - i64::from(offset.seconds());
    Some(days * DAY_MS + seconds * 1_000 + i64::from(time.millisecond()))
}
