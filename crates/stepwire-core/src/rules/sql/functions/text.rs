//! Text.

use super::{Call, Found};
use crate::rules::sql::value::Value;

/// Longest text a function makes, bytes.
const TEXT_MAX: usize = 131_072;

pub(super) fn chr(call: &Call<'_>) -> Found {
    let code = u32::try_from(call.int(0)?).ok()?;
    Some(char::from_u32(code)?.to_string().into())
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
    Some(call.text(0)?.trim().to_owned().into())
}

pub(super) fn ltrim(call: &Call<'_>) -> Found {
    Some(call.text(0)?.trim_start().to_owned().into())
}

pub(super) fn rtrim(call: &Call<'_>) -> Found {
    Some(call.text(0)?.trim_end().to_owned().into())
}

pub(super) fn lpad(call: &Call<'_>) -> Found {
    Some((blanks(call.int(1)?) + &call.text(0)?).into())
}

pub(super) fn rpad(call: &Call<'_>) -> Found {
    Some((call.text(0)? + &blanks(call.int(1)?)).into())
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
    bounded(call.text(0)?.replace(&call.text(1)?, &call.text(2)?))
}

pub(super) fn substring(call: &Call<'_>) -> Found {
    let whole: Vec<char> = call.text(0)?.chars().collect();
    let place = |at: i64| usize::try_from(at).unwrap_or(0).min(whole.len());
    let from = place(call.int(1)?);
    let to = if call.values.len() > 2 { place(call.int(2)?) } else { whole.len() };
    Some(whole.get(from..to.max(from))?.iter().collect::<String>().into())
}

/// The text, unless it is too long.
pub(super) fn bounded(text: String) -> Found {
    (text.len() <= TEXT_MAX).then(|| Value::from(text))
}

/// At most a thousand; for a negative count none.
fn blanks(count: i64) -> String {
    " ".repeat(usize::try_from(count.clamp(0, 1_000)).unwrap_or(0))
}
