//! Reading a text part by part.

use jiff::tz::{Offset, TimeZone};

use super::fields::{Field, Fields};
use super::{Form, Full, Needed, Number, Part, Sign};
use crate::rules::sql::functions::time::zone;

/// Reads the parts one behind the other; what is left of the text.
pub(super) fn all<'t>(parts: &[Part], text: &'t str, fields: &mut Fields) -> Option<&'t str> {
    parts.iter().try_fold(text, |rest, part| one(part, rest, fields))
}

fn one<'t>(part: &Part, text: &'t str, fields: &mut Fields) -> Option<&'t str> {
    match part {
        Part::Literal(literal) => text.strip_prefix(literal.as_str()),
        Part::Number(number) => read_number(*number, text, fields),
        Part::Text(field, names) => {
            let found = names.iter().filter(|(name, _)| text.starts_with(name));
            let (name, value) = found.max_by_key(|(name, _)| name.len())?;
            fields.set(*field, *value).then(|| &text[name.len()..])
        }
        Part::Offset(form, none) => {
            let (seconds, rest) = match text.strip_prefix(none) {
                Some(rest) => (0, rest),
                None => offset(*form, text)?,
            };
            fields.set_offset(seconds).then_some(rest)
        }
        Part::LocalizedOffset(full) => {
            let rest = text.strip_prefix("GMT")?;
            let (seconds, rest) = localized(*full, rest).unwrap_or((0, rest));
            fields.set_offset(seconds).then_some(rest)
        }
        Part::ZoneId => {
            let (zone, rest) = prefixed(text).or_else(|| {
                let (length, zone) = zone::region(text)?;
                Some((zone, &text[length..]))
            })?;
            fields.set_zone(zone).then_some(rest)
        }
        Part::ZoneName => {
            let (zone, rest) = zone_name(text)?;
            fields.set_zone(zone).then_some(rest)
        }
        Part::Optional(parts) => {
            let mut inner = fields.clone();
            match all(parts, text, &mut inner) {
                Some(rest) => {
                    *fields = inner;
                    Some(rest)
                }
                None => Some(text),
            }
        }
        Part::Padded(width, part) => {
            let field = text.get(..*width)?;
            let left = one(part, field.trim_start_matches(' '), fields)?;
            left.is_empty().then(|| &text[*width..])
        }
    }
}

fn read_number<'t>(number: Number, text: &'t str, fields: &mut Fields) -> Option<&'t str> {
    let (fewest, most) = number.width;
    let (sign, digits) = match text.chars().next()? {
        '-' if number.sign != Sign::None => (Some('-'), &text[1..]),
        '+' if number.sign == Sign::WhenLonger => (Some('+'), &text[1..]),
        _ => (None, text),
    };
    let there = digits.bytes().take(most + number.reserved).take_while(u8::is_ascii_digit).count();
    let length = there.saturating_sub(number.reserved).max(fewest);
    if length > there {
        return None;
    }
    if number.sign == Sign::WhenLonger {
        let longer = length > fewest;
        let fits = match sign {
            Some('+') => longer,
            None => !longer,
            Some(_) => true,
        };
        if !fits {
            return None;
        }
    }
    let mut value: i64 = digits[..length].parse().ok()?;
    if sign == Some('-') {
        value = if value == 0 { return None } else { -value };
    }
    if number.field == Field::Fraction {
        value *= 10_i64.pow(9 - u32::try_from(length).ok()?);
    }
    fields.set(number.field, value).then(|| &digits[length..])
}

/// `+hh`, and minutes and seconds as the form has them.
fn offset(form: Form, text: &str) -> Option<(i32, &str)> {
    let (sign, rest) = signed(text)?;
    let (hours, rest) = two(rest)?;
    let (minutes, rest) = more(form.minutes, form.colon, rest)?;
    let (seconds, rest) = more(form.seconds, form.colon, rest)?;
    Some((total(sign, hours, minutes, seconds)?, rest))
}

/// An offset behind `GMT`: hours of one or two digits, or all in full.
fn localized(full: Full, text: &str) -> Option<(i32, &str)> {
    let (sign, rest) = signed(text)?;
    let (hours, rest) = match (two(rest), full) {
        (Some(two), _) => two,
        (None, Full::No) => (i32::try_from(rest.chars().next()?.to_digit(10)?).ok()?, &rest[1..]),
        (None, Full::Yes) => return None,
    };
    let needed = if full == Full::Yes { Needed::Must } else { Needed::May };
    let (minutes, rest) = more(needed, true, rest)?;
    let (seconds, rest) = more(Needed::May, true, rest)?;
    Some((total(sign, hours, minutes, seconds)?, rest))
}

fn signed(text: &str) -> Option<(i32, &str)> {
    if let Some(rest) = text.strip_prefix('+') {
        return Some((1, rest));
    }
    Some((-1, text.strip_prefix('-')?))
}

fn two(text: &str) -> Option<(i32, &str)> {
    let (digits, rest) = text.split_at_checked(2)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(())?;
    Some((digits.parse().ok()?, rest))
}

/// Two digits more, zero when they may be missing and are.
fn more(needed: Needed, colon: bool, text: &str) -> Option<(i32, &str)> {
    let found = if colon { text.strip_prefix(':').and_then(two) } else { two(text) };
    match (needed, found) {
        (Needed::Must, found) => found,
        (Needed::May, Some(found)) => Some(found),
        (Needed::May, None) | (Needed::Never, _) => Some((0, text)),
    }
}

fn total(sign: i32, hours: i32, minutes: i32, seconds: i32) -> Option<i32> {
    let total = hours * 3_600 + minutes * 60 + seconds;
    (minutes < 60 && seconds < 60 && total <= 18 * 3_600).then_some(sign * total)
}

/// A zone by its offset, which may stand behind `UTC`, `GMT` or `UT`.
fn prefixed(text: &str) -> Option<(TimeZone, &str)> {
    let form = Form { minutes: Needed::Must, seconds: Needed::May, colon: true };
    let fixed = |seconds| Some(TimeZone::fixed(Offset::from_seconds(seconds).ok()?));
    if text.starts_with(['+', '-']) {
        let (seconds, rest) = offset(form, text)?;
        return Some((fixed(seconds)?, rest));
    }
    let rest = ["UTC", "GMT", "UT"].iter().find_map(|prefix| text.strip_prefix(prefix))?;
    match offset(form, rest) {
        Some((seconds, rest)) => Some((fixed(seconds)?, rest)),
        // `GMT0` is a region.
        None if rest.starts_with('0') => None,
        None => Some((TimeZone::UTC, rest)),
    }
}

/// A zone by what people call its time, by its id or its offset.
fn zone_name(text: &str) -> Option<(TimeZone, &str)> {
    let named = zone::named(text).into_iter().chain(zone::region(text));
    let longest = named.max_by_key(|(length, _)| *length);
    let offset = prefixed(text);
    match (longest, offset) {
        (Some((length, _)), Some((zone, rest))) if text.len() - rest.len() >= length => {
            Some((zone, rest))
        }
        (Some((length, zone)), _) => Some((zone, &text[length..])),
        (None, offset) => offset.or_else(|| Some((TimeZone::UTC, text.strip_prefix('Z')?))),
    }
}
