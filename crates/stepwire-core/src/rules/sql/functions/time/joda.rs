//! Writing a time by a pattern. Source: Joda-Time, `DateTimeFormat`.

use std::fmt::Write as _;

use jiff::civil::{DateTime, Weekday};
use jiff::tz::Offset;

use super::Moment;
use super::zone::{self, Zone};

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// From Monday.
pub(super) const DAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// The time as the pattern writes it; `None` when that is no pattern.
pub(super) fn format(pattern: &str, at: &Moment, zone: &Zone) -> Option<String> {
    let mut made = String::new();
    let mut rest = pattern;
    let mut quoted = false;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '\'' if rest.starts_with("''") => {
                made.push('\'');
                2
            }
            '\'' => {
                quoted = !quoted;
                1
            }
            c if quoted || !c.is_ascii_alphabetic() => {
                made.push(c);
                c.len_utf8()
            }
            c => {
                let count = rest.bytes().take_while(|byte| *byte == c as u8).count();
                component(&mut made, c, count, at, zone)?;
                count
            }
        };
        rest = &rest[length..];
    }
    Some(made)
}

/// Writes what a letter, `count` times, stands for.
fn component(
    made: &mut String,
    letter: char,
    count: usize,
    at: &Moment,
    zone: &Zone,
) -> Option<()> {
    let year = i64::from(at.civil.year());
    let hour = i64::from(at.civil.hour());
    let week = at.civil.date().iso_week_date();
    let mut number = |value: i64| padded(made, value, count);
    match letter {
        'C' => number(year.abs() / 100),
        'Y' | 'y' if count == 2 => number(year.abs() % 100),
        'y' => number(year),
        'Y' => number(year.abs()),
        'x' if count == 2 => number(i64::from(week.year()).abs() % 100),
        'x' => number(i64::from(week.year())),
        'w' => number(i64::from(week.week())),
        'e' => number(i64::from(at.civil.weekday().to_monday_one_offset())),
        'D' => number(i64::from(at.civil.day_of_year())),
        'M' if count < 3 => number(i64::from(at.civil.month())),
        'd' => number(i64::from(at.civil.day())),
        'K' => number(hour % 12),
        'h' => number((hour + 11) % 12 + 1),
        'H' => number(hour),
        'k' => number((hour + 23) % 24 + 1),
        'm' => number(i64::from(at.civil.minute())),
        's' => number(i64::from(at.civil.second())),
        'S' => fraction(made, &at.civil, count),
        'G' => made.push_str(if year > 0 { "AD" } else { "BC" }),
        'a' => made.push_str(if hour < 12 { "AM" } else { "PM" }),
        'M' => made.push_str(name(month(&at.civil), count)),
        'E' => made.push_str(name(day(at.civil.weekday()), count)),
        'z' | 'Z' => made.push_str(&zone_text(letter, count, at, zone)),
        _ => return None,
    }
    Some(())
}

fn padded(made: &mut String, value: i64, digits: usize) {
    let sign = if value < 0 { "-" } else { "" };
    let _ = write!(made, "{sign}{:0digits$}", value.abs());
}

/// That many digits behind the second; a time has three of its own.
fn fraction(made: &mut String, at: &DateTime, digits: usize) {
    let millis = format!("{:03}", at.millisecond());
    made.extend(millis.chars().chain(std::iter::repeat('0')).take(digits));
}

fn month(at: &DateTime) -> &'static str {
    usize::try_from(at.month() - 1).ok().and_then(|at| MONTHS.get(at)).copied().unwrap_or_default()
}

fn day(day: Weekday) -> &'static str {
    let at = usize::try_from(day.to_monday_zero_offset()).ok();
    at.and_then(|at| DAYS.get(at)).copied().unwrap_or_default()
}

/// In full from four letters on, else its first three.
fn name(full: &'static str, count: usize) -> &'static str {
    if count >= 4 { full } else { &full[..3] }
}

fn zone_text(letter: char, count: usize, at: &Moment, zone: &Zone) -> String {
    let (abbreviation, offset) = (at.abbreviation.as_str(), at.offset);
    match (letter, count) {
        ('z', 4..) => zone.long(abbreviation, offset),
        ('z', _) => zone.short(abbreviation, offset),
        (_, 1) => zone::text(minutes(offset), ""),
        (_, 2) => zone::text(minutes(offset), ":"),
        _ => zone.id.clone(),
    }
}

/// The offset without its seconds.
fn minutes(offset: Offset) -> Offset {
    Offset::from_seconds(offset.seconds() / 60 * 60).unwrap_or(offset)
}
