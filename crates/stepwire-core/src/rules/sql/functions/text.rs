//! Text.

use super::{Call, Found};
use crate::rules::sql::value::Value;

/// Longest text a function makes, bytes.
pub(super) const TEXT_MAX: usize = 131_072;
/// What is removed from an end: "tabs and spaces", says AWS's reference.
const BLANKS: [char; 2] = [' ', '\t'];
/// Most blanks that are added.
const BLANKS_MAX: i64 = 1_000;

/// A character of ASCII.
pub(super) fn chr(call: &Call<'_>) -> Found {
    let code = u8::try_from(call.int(0)?).ok()?;
    code.is_ascii().then(|| char::from(code).to_string().into())
}

pub(super) fn length(call: &Call<'_>) -> Found {
    Some((call.text(0)?.chars().count() as i64).into())
}

pub(super) fn numbytes(call: &Call<'_>) -> Found {
    Some((call.text(0)?.len() as i64).into())
}

pub(super) fn lower(call: &Call<'_>) -> Found {
    Some(call.text(0)?.to_lowercase().into())
}

pub(super) fn upper(call: &Call<'_>) -> Found {
    Some(call.text(0)?.to_uppercase().into())
}

pub(super) fn trim(call: &Call<'_>) -> Found {
    // As `String.trim` of Java: control characters count as space, wide spaces do not.
    Some(call.text(0)?.trim_matches(|c| c <= ' ').to_owned().into())
}

pub(super) fn ltrim(call: &Call<'_>) -> Found {
    Some(call.text(0)?.trim_start_matches(BLANKS).to_owned().into())
}

pub(super) fn rtrim(call: &Call<'_>) -> Found {
    Some(call.text(0)?.trim_end_matches(BLANKS).to_owned().into())
}

pub(super) fn lpad(call: &Call<'_>) -> Found {
    bounded(blanks(call)? + &call.text(0)?)
}

pub(super) fn rpad(call: &Call<'_>) -> Found {
    bounded(call.text(0)? + &blanks(call)?)
}

pub(super) fn startswith(call: &Call<'_>) -> Found {
    Some(call.text(0)?.starts_with(&call.text(1)?).into())
}

pub(super) fn endswith(call: &Call<'_>) -> Found {
    Some(call.text(0)?.ends_with(&call.text(1)?).into())
}

pub(super) fn indexof(call: &Call<'_>) -> Found {
    let text = call.text(0)?;
    let at = text.find(&call.text(1)?).map(|at| text[..at].chars().count() as i64);
    Some(at.unwrap_or(-1).into())
}

pub(super) fn replace(call: &Call<'_>) -> Found {
    let (text, part, with) = (call.text(0)?, call.text(1)?, call.text(2)?);
    let count = text.matches(&part).count();
    if text.len() + count.saturating_mul(with.len()) > TEXT_MAX + count * part.len() {
        return None;
    }
    Some(text.replace(&part, &with).into())
}

pub(super) fn substring(call: &Call<'_>) -> Found {
    let whole: Vec<char> = call.text(0)?.chars().collect();
    let place = |at: usize| usize::try_from(call.clamped(at, whole.len() as i64)?).ok();
    let from = place(1)?;
    let to = if call.values.len() > 2 { place(2)? } else { whole.len() };
    Some(whole.get(from..to.max(from))?.iter().collect::<String>().into())
}

/// The text, unless it is too long.
pub(super) fn bounded(text: String) -> Found {
    (text.len() <= TEXT_MAX).then(|| Value::from(text))
}

fn blanks(call: &Call<'_>) -> Option<String> {
    Some(" ".repeat(usize::try_from(call.clamped(1, BLANKS_MAX)?).ok()?))
}
