//! What was read, and which time that is.

use std::collections::BTreeMap;

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{Span, ToSpan};

use crate::rules::sql::functions::time::millis_of;

/// What a number or a name in a text says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Field {
    Era,
    Year,
    YearOfEra,
    WeekYear,
    /// Two digits of a year, of one of an era, of one of weeks.
    YearOfCentury,
    YearOfEraOfCentury,
    WeekYearOfCentury,
    Quarter,
    Month,
    Day,
    DayOfYear,
    Week,
    WeekOfMonth,
    /// From Monday, 1.
    DayOfWeek,
    /// From Sunday, 1.
    DayOfLocalWeek,
    DayOfWeekInMonth,
    ModifiedJulianDay,
    AmPm,
    HourOfHalf,
    ClockHourOfHalf,
    ClockHour,
    Hour,
    Minute,
    Second,
    /// Nanoseconds that the digits behind a second write.
    Fraction,
    Nano,
    MilliOfDay,
    NanoOfDay,
}

impl Field {
    pub(super) fn of_century(self) -> Field {
        match self {
            Field::YearOfEra => Field::YearOfEraOfCentury,
            Field::WeekYear => Field::WeekYearOfCentury,
            _ => Field::YearOfCentury,
        }
    }

    /// The field that a value is kept under, and that value.
    fn kept(self, value: i64) -> (Field, i64) {
        match self {
            Field::YearOfCentury => (Field::Year, value + 2000),
            Field::YearOfEraOfCentury => (Field::YearOfEra, value + 2000),
            Field::WeekYearOfCentury => (Field::WeekYear, value + 2000),
            Field::Fraction => (Field::Nano, value),
            Field::ClockHour => (Field::Hour, if value == 24 { 0 } else { value }),
            Field::ClockHourOfHalf => (Field::HourOfHalf, if value == 12 { 0 } else { value }),
            Field::DayOfLocalWeek => (Field::DayOfWeek, (value + 5) % 7 + 1),
            other => (other, value),
        }
    }

    /// The values that it can have.
    fn range(self) -> std::ops::RangeInclusive<i64> {
        match self {
            Field::Era | Field::AmPm => 0..=1,
            Field::Year | Field::WeekYear => -9_999..=9_999,
            Field::YearOfEra => 1..=9_999,
            Field::YearOfCentury | Field::YearOfEraOfCentury | Field::WeekYearOfCentury => 0..=99,
            Field::Quarter => 1..=4,
            Field::Month => 1..=12,
            Field::Day => 1..=31,
            Field::DayOfYear => 1..=366,
            Field::Week => 1..=53,
            Field::WeekOfMonth => 0..=6,
            Field::DayOfWeek | Field::DayOfLocalWeek | Field::DayOfWeekInMonth => 1..=7,
            Field::ModifiedJulianDay => -4_000_000..=4_000_000,
            Field::HourOfHalf => 0..=11,
            Field::ClockHourOfHalf => 0..=12,
            Field::ClockHour | Field::Hour => 0..=24,
            Field::Minute | Field::Second => 0..=59,
            Field::Fraction | Field::Nano => 0..=999_999_999,
            Field::MilliOfDay => 0..=86_399_999,
            Field::NanoOfDay => 0..=86_399_999_999_999,
        }
    }
}

/// What was read.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields {
    values: BTreeMap<Field, i64>,
    offset: Option<Offset>,
    zone: Option<TimeZone>,
}

impl Fields {
    /// Notes a value; false when it contradicts what was read before, or cannot be.
    pub(super) fn set(&mut self, field: Field, value: i64) -> bool {
        if !field.range().contains(&value) {
            return false;
        }
        let (field, value) = field.kept(value);
        *self.values.entry(field).or_insert(value) == value
    }

    pub(super) fn set_offset(&mut self, seconds: i32) -> bool {
        let Ok(offset) = Offset::from_seconds(seconds) else { return false };
        *self.offset.get_or_insert(offset) == offset
    }

    pub(super) fn set_zone(&mut self, zone: TimeZone) -> bool {
        *self.zone.get_or_insert_with(|| zone.clone()) == zone
    }

    fn of(&self, field: Field) -> Option<i64> {
        self.values.get(&field).copied()
    }

    /// Milliseconds since 1970. A date alone is its midnight; what names no zone is UTC.
    pub(super) fn millis(&self) -> Option<i64> {
        let (time, days) = self.time()?;
        let date = self.date()?;
        if !self.agrees(date) {
            return None;
        }
        let at = DateTime::from_parts(date, time).checked_add(days).ok()?;
        let offset = match (self.offset, &self.zone) {
            (Some(offset), _) => offset,
            // Where clocks are put forward or back, what they showed before counts.
            (None, Some(zone)) => match zone.to_ambiguous_timestamp(at).offset() {
                AmbiguousOffset::Unambiguous { offset } => offset,
                AmbiguousOffset::Gap { before, .. } | AmbiguousOffset::Fold { before, .. } => {
                    before
                }
            },
            (None, None) => Offset::UTC,
        };
        millis_of(at, offset)
    }

    fn year(&self) -> Option<i64> {
        if let Some(year) = self.of(Field::Year) {
            return Some(year);
        }
        let year = self.of(Field::YearOfEra)?;
        Some(if self.of(Field::Era) == Some(0) { 1 - year } else { year })
    }

    fn date(&self) -> Option<Date> {
        if let Some(day) = self.of(Field::ModifiedJulianDay) {
            let epoch = Date::constant(1858, 11, 17);
            return epoch.checked_add(Span::new().try_days(day).ok()?).ok();
        }
        let year = || i16::try_from(self.year()?).ok();
        if let (Some(month), Some(day)) = (self.of(Field::Month), self.of(Field::Day)) {
            let first = Date::new(year()?, i8::try_from(month).ok()?, 1).ok()?;
            // The last day of a month stands for those that it lacks.
            let day = i8::try_from(day).ok()?.min(first.days_in_month());
            return Date::new(first.year(), first.month(), day).ok();
        }
        if let Some(day) = self.of(Field::DayOfYear) {
            let first = Date::new(year()?, 1, 1).ok()?;
            let date = first.checked_add(Span::new().try_days(day - 1).ok()?).ok()?;
            return (date.year() == first.year()).then_some(date);
        }
        let (week, day) = (self.of(Field::Week)?, self.of(Field::DayOfWeek)?);
        let year = i16::try_from(self.of(Field::WeekYear)?).ok()?;
        let days = (week - 1) * 7 + day % 7;
        first_of_weeks(year)?.checked_add(Span::new().try_days(days).ok()?).ok()
    }

    /// The time of day, and the days that are to be added for `24:00`.
    fn time(&self) -> Option<(Time, Span)> {
        let none = 0.days();
        let nanos = self.of(Field::NanoOfDay);
        if let Some(nanos) = nanos.or_else(|| Some(self.of(Field::MilliOfDay)? * 1_000_000)) {
            return Some((Time::midnight().checked_add(nanos.nanoseconds()).ok()?, none));
        }
        let half = match (self.of(Field::HourOfHalf), self.of(Field::AmPm)) {
            (Some(hour), Some(half)) => Some(half * 12 + hour),
            (Some(_), None) if self.of(Field::Hour).is_none() => return None,
            _ => None,
        };
        let hour = match (self.of(Field::Hour), half) {
            (Some(hour), Some(half)) if hour != half => return None,
            (hour, half) => hour.or(half),
        };
        let rest = [Field::Minute, Field::Second, Field::Nano].map(|field| self.of(field));
        // A part that is missing must not have smaller ones behind it.
        let parts = [hour, rest[0], rest[1], rest[2]];
        if parts.windows(2).any(|pair| pair[0].is_none() && pair[1].is_some()) {
            return None;
        }
        let [hour, minute, second, nano] = parts.map(|part| part.unwrap_or(0));
        if hour == 24 {
            let exact = minute == 0 && second == 0 && nano == 0;
            return exact.then(|| (Time::midnight(), 1.days()));
        }
        let small = |part: i64| i8::try_from(part).ok();
        let nano = i32::try_from(nano).ok()?;
        Some((Time::new(small(hour)?, small(minute)?, small(second)?, nano).ok()?, none))
    }

    /// Whether what was read besides says the same.
    fn agrees(&self, date: Date) -> bool {
        let is = |field, value: i64| self.of(field).is_none_or(|read| read == value);
        let (month, day) = (i64::from(date.month()), i64::from(date.day()));
        let by_month = self.of(Field::Month).is_some() && self.of(Field::Day).is_some();
        is(Field::DayOfWeek, i64::from(date.weekday().to_monday_one_offset()))
            && is(Field::Quarter, (month - 1) / 3 + 1)
            && is(Field::Month, month)
            && (by_month || is(Field::Day, day))
            && is(Field::DayOfYear, i64::from(date.day_of_year()))
            && is(Field::DayOfWeekInMonth, (day - 1) % 7 + 1)
            && is(Field::WeekOfMonth, week_of(date, date.first_of_month()))
            && self.year().is_none_or(|year| year == i64::from(date.year()))
    }
}

/// The Sunday that begins the week of a first of January: weeks as they are counted in English.
fn first_of_weeks(year: i16) -> Option<Date> {
    week_start(Date::new(year, 1, 1).ok()?)
}

fn week_start(date: Date) -> Option<Date> {
    let back = date.weekday().since(Weekday::Sunday);
    date.checked_sub(i64::from(back).days()).ok()
}

/// The number of a day's week, counted from the week of `first`.
fn week_of(date: Date, first: Date) -> i64 {
    let before = i64::from(first.weekday().since(Weekday::Sunday));
    (i64::from(date.day()) - 1 + before) / 7 + 1
}
