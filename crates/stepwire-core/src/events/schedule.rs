//! When schedules are due: `rate(…)`, `cron(…)` and `at(…)`.
//!
//! Source: Amazon EventBridge user guide, "Cron and rate expressions".

use std::collections::BTreeSet;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use stepwire_asl::Timestamp;

/// Latest year of a cron expression.
const YEAR_MAX: i16 = 2199;
/// Days that are looked at for the next time: every leap day of a weekday comes in less.
const DAYS_MAX: usize = 366 * 41;

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// A schedule expression that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// Every so many milliseconds.
    Rate(i64),
    /// At times of the calendar.
    Cron(Box<Cron>),
    /// Once, at this time of a time zone.
    At(DateTime),
}

/// Minutes, hours, days and years on which a schedule is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    minutes: BTreeSet<u32>,
    hours: BTreeSet<u32>,
    days: Days,
    months: BTreeSet<u32>,
    years: BTreeSet<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Days {
    /// Of the month.
    OfMonth(Vec<MonthDay>),
    /// Of the week, Sunday being 1.
    OfWeek(Vec<WeekDay>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MonthDay {
    On(u32),
    /// `L`: the last, or so many days before it.
    Last(u32),
    /// `3W`: the weekday nearest to it, in its month.
    Nearest(u32),
    /// `LW`: the last weekday.
    LastWeekday,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WeekDay {
    On(u32),
    /// `5L`: the last of the month.
    Last(u32),
    /// `3#2`: the second of the month.
    Nth(u32, u32),
}

impl Schedule {
    /// The schedule that a text says; `None` if it says none.
    pub fn parse(text: &str) -> Option<Schedule> {
        let inside = |name: &str| text.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        if let Some(rate) = inside("rate") {
            return parse_rate(rate).map(Schedule::Rate);
        }
        if let Some(cron) = inside("cron") {
            return Cron::parse(cron).map(Box::new).map(Schedule::Cron);
        }
        let at: DateTime = inside("at")?.parse().ok()?;
        (at.subsec_nanosecond() == 0).then_some(Schedule::At(at))
    }

    /// The first time after `after` that it is due, at `zone`'s time of day; rates are counted from
    /// `start`. `None`: never again.
    pub fn next(&self, start: Timestamp, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Schedule::Rate(every) => {
                let passed = after.since_ms(start).div_euclid(*every) + 1;
                Some(start.plus_ms(passed.max(0).checked_mul(*every)?))
            }
            Schedule::At(at) => {
                let at = zone.to_zoned(*at).ok()?.timestamp().as_millisecond();
                (at > after.0).then_some(Timestamp(at))
            }
            Schedule::Cron(cron) => cron.next(after, zone),
        }
    }

    /// Whether it is due only once.
    pub fn is_once(&self) -> bool {
        matches!(self, Schedule::At(_))
    }
}

fn parse_rate(text: &str) -> Option<i64> {
    let (value, unit) = text.split_once(' ')?;
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let value: i64 = value.parse().ok().filter(|value| digits && *value > 0)?;
    let minutes = match unit.trim_start() {
        "minute" | "minutes" => 1,
        "hour" | "hours" => 60,
        "day" | "days" => 1_440,
        _ => return None,
    };
    // One has no plural, and others have no singular.
    (unit.ends_with('s') == (value != 1)).then_some(())?;
    value.checked_mul(minutes * 60_000).filter(|every| *every <= 366 * 86_400_000 * 100)
}

impl Cron {
    fn parse(text: &str) -> Option<Cron> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, month_days, months, week_days, years] = fields[..] else {
            return None;
        };
        let days = match (month_days, week_days) {
            ("?", "?") => return None,
            (days, "?") => Days::OfMonth(
                days.split(',').map(month_days_of).collect::<Option<Vec<_>>>()?.concat(),
            ),
            ("?", days) => Days::OfWeek(
                days.split(',').map(week_days_of).collect::<Option<Vec<_>>>()?.concat(),
            ),
            _ => return None,
        };
        Some(Cron {
            minutes: numbers(minutes, 0, 59, &[])?,
            hours: numbers(hours, 0, 23, &[])?,
            days,
            months: numbers(months, 1, 12, &MONTHS)?,
            years: numbers(years, 1970, YEAR_MAX as u32, &[])?,
        })
    }

    fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let after = jiff::Timestamp::from_millisecond(after.0).ok()?;
        let mut date = zone.to_datetime(after).date();
        for _ in 0..DAYS_MAX {
            if date.year() > YEAR_MAX {
                return None;
            }
            if self.is_due_on(date) {
                let times = self.hours.iter().flat_map(|hour| {
                    self.minutes.iter().map(move |minute| (*hour as i8, *minute as i8))
                });
                for (hour, minute) in times {
                    // A time that the clocks leave out is due when they go on, one that they have
                    // twice is due the first time.
                    let at = zone.to_zoned(date.at(hour, minute, 0, 0)).ok()?.timestamp();
                    if at > after {
                        return Some(Timestamp(at.as_millisecond()));
                    }
                }
            }
            date = self.tomorrow(date)?;
        }
        None
    }

    /// The day after, or the first of the next month or year that counts.
    fn tomorrow(&self, date: Date) -> Option<Date> {
        if !self.years.contains(&u32::try_from(date.year()).ok()?) {
            return Date::new(date.year().checked_add(1)?, 1, 1).ok();
        }
        if self.months.contains(&u32::try_from(date.month()).ok()?) {
            return date.tomorrow().ok();
        }
        date.last_of_month().tomorrow().ok()
    }

    fn is_due_on(&self, date: Date) -> bool {
        let counts = |set: &BTreeSet<u32>, value: i64| {
            u32::try_from(value).is_ok_and(|value| set.contains(&value))
        };
        if !counts(&self.years, i64::from(date.year()))
            || !counts(&self.months, i64::from(date.month()))
        {
            return false;
        }
        match &self.days {
            Days::OfMonth(days) => days.iter().any(|day| day.is(date)),
            Days::OfWeek(days) => days.iter().any(|day| day.is(date)),
        }
    }
}

/// Day of the week, Sunday being 1.
fn weekday(date: Date) -> u32 {
    date.weekday().to_sunday_one_offset() as u32
}

impl MonthDay {
    fn is(self, date: Date) -> bool {
        let (day, last) = (date.day() as u32, date.days_in_month() as u32);
        match self {
            MonthDay::On(on) => day == on,
            MonthDay::Last(before) => last.checked_sub(before) == Some(day),
            MonthDay::Nearest(to) => to <= last && nearest(date, to, last) == day,
            MonthDay::LastWeekday => nearest(date, last, last) == day,
        }
    }
}

/// The weekday of `date`'s month that is nearest to day `to`.
fn nearest(date: Date, to: u32, last: u32) -> u32 {
    let Ok(wanted) = Date::new(date.year(), date.month(), to as i8) else { return 0 };
    match weekday(wanted) {
        7 if to == 1 => 3,
        7 => to - 1,
        1 if to == last => to - 2,
        1 => to + 1,
        _ => to,
    }
}

impl WeekDay {
    fn is(self, date: Date) -> bool {
        let (day, last) = (date.day() as u32, date.days_in_month() as u32);
        match self {
            WeekDay::On(on) => weekday(date) == on,
            WeekDay::Last(on) => weekday(date) == on && day + 7 > last,
            WeekDay::Nth(on, n) => weekday(date) == on && day.div_ceil(7) == n,
        }
    }
}

fn month_days_of(part: &str) -> Option<Vec<MonthDay>> {
    if part == "L" {
        return Some(vec![MonthDay::Last(0)]);
    }
    if part == "LW" {
        return Some(vec![MonthDay::LastWeekday]);
    }
    if let Some(before) = part.strip_prefix("L-") {
        let before = number(before, &[]).filter(|before| *before <= 30)?;
        return Some(vec![MonthDay::Last(before)]);
    }
    if let Some(to) = part.strip_suffix('W') {
        let to = number(to, &[]).filter(|to| (1..=31).contains(to))?;
        return Some(vec![MonthDay::Nearest(to)]);
    }
    Some(range(part, 1, 31, &[])?.into_iter().map(MonthDay::On).collect())
}

fn week_days_of(part: &str) -> Option<Vec<WeekDay>> {
    let day = |text: &str| number(text, &WEEKDAYS).filter(|day| (1..=7).contains(day));
    if part == "L" {
        return Some(vec![WeekDay::On(7)]);
    }
    if let Some(on) = part.strip_suffix('L') {
        return Some(vec![WeekDay::Last(day(on)?)]);
    }
    if let Some((on, n)) = part.split_once('#') {
        let n = number(n, &[]).filter(|n| (1..=5).contains(n))?;
        return Some(vec![WeekDay::Nth(day(on)?, n)]);
    }
    Some(range(part, 1, 7, &WEEKDAYS)?.into_iter().map(WeekDay::On).collect())
}

fn numbers(field: &str, min: u32, max: u32, names: &[&str]) -> Option<BTreeSet<u32>> {
    let parts = field.split(',').map(|part| range(part, min, max, names));
    Some(parts.collect::<Option<Vec<_>>>()?.into_iter().flatten().collect())
}

/// `*`, `3`, `3-5`, `*/2`, `3/2`, `3-9/2`.
fn range(part: &str, min: u32, max: u32, names: &[&str]) -> Option<Vec<u32>> {
    let (span, step) = match part.split_once('/') {
        Some((span, step)) => (span, Some(number(step, &[]).filter(|step| *step > 0)?)),
        None => (part, None),
    };
    let within = |text: &str| number(text, names).filter(|n| (min..=max).contains(n));
    let (first, last) = match span.split_once('-') {
        _ if span == "*" => (min, max),
        Some((first, last)) => (within(first)?, within(last)?),
        None => {
            let first = within(span)?;
            (first, if step.is_some() { max } else { first })
        }
    };
    let step = step.unwrap_or(1) as usize;
    if first <= last {
        return Some((first..=last).step_by(step).collect());
    }
    // `FRI-MON` goes around; years do not.
    (max < 1_970).then(|| (first..=max).chain(min..=last).step_by(step).collect())
}

/// A number, or a name for one, counted from 1.
fn number(text: &str, names: &[&str]) -> Option<u32> {
    if let Some(at) = names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
        return u32::try_from(at + 1).ok();
    }
    let digits = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(text: &str, after: &str, zone: &str) -> Option<String> {
        let schedule = Schedule::parse(text).unwrap_or_else(|| panic!("{text}"));
        let after = Timestamp::parse(after).expect("a time");
        let zone = jiff::tz::TimeZoneDatabase::bundled().get(zone).expect("a zone");
        Some(schedule.next(after, after, &zone)?.rfc3339())
    }

    #[test]
    fn the_next_time_is_as_the_guide_says() {
        for (text, after, expected) in [
            ("rate(1 minute)", "2026-01-01T00:00:30Z", "2026-01-01T00:01:30.000Z"),
            ("rate(5 minutes)", "2026-01-01T00:00:00Z", "2026-01-01T00:05:00.000Z"),
            ("rate(1 day)", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00.000Z"),
            ("cron(0 10 * * ? *)", "2026-01-01T10:00:00Z", "2026-01-02T10:00:00.000Z"),
            ("cron(15 12 * * ? *)", "2026-01-01T10:00:00Z", "2026-01-01T12:15:00.000Z"),
            ("cron(0 18 ? * MON-FRI *)", "2026-01-02T18:00:00Z", "2026-01-05T18:00:00.000Z"),
            ("cron(0 8 1 * ? *)", "2026-01-02T00:00:00Z", "2026-02-01T08:00:00.000Z"),
            ("cron(0/15 * * * ? *)", "2026-01-01T10:16:00Z", "2026-01-01T10:30:00.000Z"),
            ("cron(0/10 * ? * MON-FRI *)", "2026-01-03T10:16:00Z", "2026-01-05T00:00:00.000Z"),
            ("cron(0/5 8-17 ? * MON-FRI *)", "2026-01-05T17:55:00Z", "2026-01-06T08:00:00.000Z"),
            ("cron(0 9 ? * 2#1 *)", "2026-01-06T00:00:00Z", "2026-02-02T09:00:00.000Z"),
            ("cron(0 0 L * ? *)", "2026-02-01T00:00:00Z", "2026-02-28T00:00:00.000Z"),
            ("cron(0 0 L-2 * ? *)", "2026-02-01T00:00:00Z", "2026-02-26T00:00:00.000Z"),
            ("cron(0 0 ? * 6L *)", "2026-01-01T00:00:00Z", "2026-01-30T00:00:00.000Z"),
            ("cron(0 0 3W * ? *)", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00.000Z"),
            ("cron(0 0 1W * ? *)", "2026-07-31T00:00:00Z", "2026-08-03T00:00:00.000Z"),
            ("cron(0 0 LW * ? *)", "2026-01-31T00:00:00Z", "2026-02-27T00:00:00.000Z"),
            ("cron(0 0 29 FEB ? *)", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00.000Z"),
            ("cron(30 1 ? * FRI-MON 2027)", "2026-01-01T00:00:00Z", "2027-01-01T01:30:00.000Z"),
            ("at(2026-05-01T10:00:00)", "2026-01-01T00:00:00Z", "2026-05-01T10:00:00.000Z"),
        ] {
            assert_eq!(next(text, after, "UTC").as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_over_is_never_due() {
        assert_eq!(next("cron(0 0 1 1 ? 2020)", "2026-01-01T00:00:00Z", "UTC"), None);
        assert_eq!(next("cron(0 0 31 2 ? *)", "2026-01-01T00:00:00Z", "UTC"), None);
        assert_eq!(next("at(2025-05-01T10:00:00)", "2026-01-01T00:00:00Z", "UTC"), None);
    }

    #[test]
    fn a_time_zone_changes_its_clocks() {
        let nightly = "cron(30 2 * * ? *)";
        for (after, expected) in [
            ("2026-03-28T12:00:00Z", "2026-03-29T01:30:00.000Z"),
            ("2026-03-29T12:00:00Z", "2026-03-30T00:30:00.000Z"),
            ("2026-10-24T12:00:00Z", "2026-10-25T00:30:00.000Z"),
            ("2026-10-25T12:00:00Z", "2026-10-26T01:30:00.000Z"),
        ] {
            assert_eq!(next(nightly, after, "Europe/Berlin").as_deref(), Some(expected), "{after}");
        }
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for bad in [
            "",
            "rate(1 minutes)",
            "rate(5 minute)",
            "rate(0 minutes)",
            "rate(-1 minutes)",
            "rate(1.5 hours)",
            "rate(5 seconds)",
            "rate (5 minutes)",
            "every 5 minutes",
            "cron(* * * * *)",
            "cron(* * * * * *)",
            "cron(* * ? * ? *)",
            "cron(60 * * * ? *)",
            "cron(0 24 * * ? *)",
            "cron(0 0 32 * ? *)",
            "cron(0 0 ? * 8 *)",
            "cron(0 0 ? * 2#6 *)",
            "cron(0 0 * 13 ? *)",
            "cron(0 0 * * ? 1969)",
            "cron(0/0 * * * ? *)",
            "cron(0 0 ? * MOO *)",
            "at(tomorrow)",
            "cron(0 0 W * ? *)",
        ] {
            assert_eq!(Schedule::parse(bad), None, "{bad}");
        }
    }
}
