//! Decimals from text and to text, by hand: nothing here costs what an exponent says.

use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, Zero as _};

use super::{PLAIN, POWER_MAX};

/// Digits of a text that are looked at: one more than are kept, and one that stands for the rest.
const DIGITS_READ: usize = 36;

/// Whether text writes a number by the reference's pattern `^-?\d+(\.\d+)?((?i)E-?\d+)?$`.
pub(super) fn is_literal(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let mantissa = mantissa.strip_prefix('-').unwrap_or(mantissa);
    let exponent = exponent.map(|exponent| exponent.strip_prefix('-').unwrap_or(exponent));
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits(whole) && fraction.is_none_or(digits) && exponent.is_none_or(digits)
}

/// The value of a number as JSON writes it, of at most [`DIGITS_READ`] digits; zero when it is too
/// small, `None` when it is too large.
pub(super) fn read(text: &str) -> Option<BigDecimal> {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, "0"),
    };
    let minus = mantissa.starts_with('-');
    let mantissa = mantissa.trim_start_matches('-');
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = || whole.bytes().chain(fraction.bytes());
    let zeros = all().take_while(|digit| *digit == b'0').count();
    let count = whole.len() + fraction.len() - zeros;
    if count == 0 {
        return Some(BigDecimal::zero());
    }
    let small = exponent.starts_with('-');
    let Ok(exponent) = exponent.parse::<i64>() else {
        return small.then(BigDecimal::zero);
    };
    let point = i64::try_from(whole.len()).ok()? - i64::try_from(zeros).ok()?;
    let power = exponent.saturating_add(point) - 1;
    if power > POWER_MAX + 1 {
        return None;
    }
    if power < -POWER_MAX - 1 {
        return Some(BigDecimal::zero());
    }
    let mut digits: Vec<u8> = all().skip(zeros).take(DIGITS_READ).collect();
    let rest = all().skip(zeros + DIGITS_READ).any(|digit| digit != b'0');
    // A last digit of 0 or 5 must not hide that more follows.
    if let (true, Some(last @ (b'0' | b'5'))) = (rest, digits.last_mut()) {
        *last += 1;
    }
    let length = digits.len() as i64;
    let value: u128 = std::str::from_utf8(&digits).ok()?.parse().ok()?;
    let value = BigInt::from(value);
    Some(BigDecimal::new(if minus { -value } else { value }, length - 1 - power))
}

/// A Decimal as JSON writes it.
pub(super) fn written(value: &BigDecimal) -> String {
    let (digits, scale) = value.as_bigint_and_exponent();
    let digits = digits.to_string();
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", digits.as_str()),
    };
    let power = digits.len() as i64 - 1 - scale;
    if digits == "0" {
        return "0.0".to_owned();
    }
    if !PLAIN.contains(&power) {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let plus = if power > 0 { "+" } else { "" };
        return format!("{sign}{first}{point}{rest}E{plus}{power}");
    }
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
    if scale <= 0 {
        return format!("{sign}{digits}{}.0", zeros(-scale));
    }
    let digits = format!("{}{digits}", zeros(-power));
    let at = digits.len() - usize::try_from(scale).unwrap_or(0);
    format!("{sign}{}.{}", &digits[..at], &digits[at..])
}
