//! DynamoDB numbers: exact decimals of up to 38 significant digits.

use std::cmp::Ordering;
use std::fmt::{self, Write as _};

use super::key::{Reader, Unreadable};

/// Significant digits a number may have.
const DIGITS_MAX: u32 = 38;
/// Power of ten of the leading digit: the largest, and the smallest, that a number may have.
const MAGNITUDE_MAX: i64 = 125;
const MAGNITUDE_MIN: i64 = -130;

/// An exact decimal number, normalised: equal numbers are equal values.
///
/// Magnitude 1E-130 to 9.9…E+125 (38 digits), positive, negative or zero.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Number {
    negative: bool,
    /// The significant digits as an integer; the last one is not zero. Zero for the number zero.
    digits: u128,
    /// Power of ten of the last digit. Zero for the number zero.
    exponent: i16,
}

/// Why a text, or a result of arithmetic, is not a number DynamoDB can hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// Not written as a number.
    #[error("The parameter cannot be converted to a numeric value{}", of(.0))]
    NotANumber(String),
    /// More significant digits than fit.
    #[error("Attempting to store more than 38 significant digits in a Number")]
    TooPrecise,
    /// Too far from zero.
    #[error(
        "Number overflow. Attempting to store a number with magnitude larger than supported range"
    )]
    Overflow,
    /// Too close to zero.
    #[error(
        "Number underflow. Attempting to store a number with magnitude smaller than supported range"
    )]
    Underflow,
}

fn of(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

impl Number {
    /// Zero.
    pub const ZERO: Number = Number { negative: false, digits: 0, exponent: 0 };

    /// The number that `text` writes: sign, digits with or without a point, exponent.
    pub fn parse(text: &str) -> Result<Number, NumberError> {
        let not_a_number = || NumberError::NotANumber(text.to_owned());
        let (negative, unsigned) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, power) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, power)) => (mantissa, exponent(power).ok_or_else(not_a_number)?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = whole.bytes().chain(fraction.bytes());
        if whole.len() + fraction.len() == 0 || !digits.clone().all(|b| b.is_ascii_digit()) {
            return Err(not_a_number());
        }
        let power = power.saturating_sub(fraction.len() as i64);
        significant(digits.map(|b| b - b'0'), whole.len() + fraction.len())?
            .map_or(Ok(Number::ZERO), |(digits, dropped)| {
                Number::checked(negative, digits, power.saturating_add(dropped))
            })
    }

    /// `±digits × 10^exponent`, normalised, if it can be held.
    fn checked(negative: bool, digits: u128, exponent: i64) -> Result<Number, NumberError> {
        let (mut digits, mut exponent) = (digits, exponent);
        if digits == 0 {
            return Ok(Number::ZERO);
        }
        while digits.is_multiple_of(10) {
            digits /= 10;
            exponent = exponent.saturating_add(1);
        }
        let length = digits.ilog10() + 1;
        let magnitude = exponent.saturating_add(i64::from(length) - 1);
        if length > DIGITS_MAX {
            return Err(NumberError::TooPrecise);
        }
        if magnitude > MAGNITUDE_MAX {
            return Err(NumberError::Overflow);
        }
        if magnitude < MAGNITUDE_MIN {
            return Err(NumberError::Underflow);
        }
        Ok(Number { negative, digits, exponent: exponent as i16 })
    }

    /// How many significant digits it has; none for zero.
    pub fn significant_digits(&self) -> u32 {
        if self.digits == 0 { 0 } else { self.digits.ilog10() + 1 }
    }

    /// Whether it is below zero.
    pub fn is_negative(&self) -> bool {
        self.negative
    }

    /// Its whole part, unless it is below zero or beyond all integers.
    pub(crate) fn whole(&self) -> Option<i64> {
        let power = 10_u128.checked_pow(u32::from(self.exponent.unsigned_abs()));
        let whole = match power {
            _ if self.negative => return None,
            _ if self.digits == 0 => 0,
            Some(power) if self.exponent >= 0 => self.digits.checked_mul(power)?,
            None if self.exponent >= 0 => return None,
            Some(power) => self.digits / power,
            None => 0,
        };
        i64::try_from(whole).ok()
    }

    /// Power of ten of the leading digit.
    fn magnitude(&self) -> i64 {
        i64::from(self.exponent) + i64::from(self.significant_digits()) - 1
    }

    /// The exact sum. One of too many digits is said to overflow, as AWS says it.
    pub fn plus(&self, other: &Number) -> Result<Number, NumberError> {
        if self.digits == 0 {
            return Ok(*other);
        }
        if other.digits == 0 {
            return Ok(*self);
        }
        let (high, low) =
            if self.exponent >= other.exponent { (self, other) } else { (other, self) };
        // What does not fit here has more than 38 digits: the last one of `low` stays.
        let shift = (i32::from(high.exponent) - i32::from(low.exponent)).unsigned_abs();
        let scaled = 10_u128.checked_pow(shift).and_then(|by| high.digits.checked_mul(by));
        let scaled = scaled.ok_or(NumberError::Overflow)?;
        let exponent = i64::from(low.exponent);
        if high.negative == low.negative {
            let sum = scaled.checked_add(low.digits).ok_or(NumberError::Overflow)?;
            Number::checked(high.negative, sum, exponent)
        } else {
            let negative = if scaled >= low.digits { high.negative } else { low.negative };
            Number::checked(negative, scaled.abs_diff(low.digits), exponent)
        }
        .map_err(|error| match error {
            NumberError::TooPrecise => NumberError::Overflow,
            error => error,
        })
    }

    /// The exact difference; errors as [`Number::plus`].
    pub fn minus(&self, other: &Number) -> Result<Number, NumberError> {
        self.plus(&Number { negative: !other.negative && other.digits != 0, ..*other })
    }

    /// Appends bytes that order as numbers do, none a prefix of another's.
    ///
    /// A class byte (negative, zero, positive), the magnitude, then the digits in pairs from 1 to
    /// 100 and a zero; negative numbers have all bytes after the class inverted.
    pub(crate) fn write_key(&self, out: &mut Vec<u8>) {
        if self.digits == 0 {
            out.push(ZERO);
            return;
        }
        out.push(if self.negative { NEGATIVE } else { POSITIVE });
        let invert = if self.negative { u8::MAX } else { 0 };
        out.push((self.magnitude() - MAGNITUDE_MIN) as u8 ^ invert);
        let length = self.significant_digits();
        let mut rest = if length % 2 == 1 { self.digits * 10 } else { self.digits };
        let start = out.len();
        while rest > 0 {
            out.push((rest % 100 + 1) as u8 ^ invert);
            rest /= 100;
        }
        out[start..].reverse();
        out.push(invert);
    }

    /// The number whose bytes come next.
    pub(crate) fn read_key(reader: &mut Reader<'_>) -> Result<Number, Unreadable> {
        let (negative, invert) = match reader.byte()? {
            ZERO => return Ok(Number::ZERO),
            NEGATIVE => (true, u8::MAX),
            POSITIVE => (false, 0),
            _ => return Err(Unreadable("not a number")),
        };
        let magnitude = i64::from(reader.byte()? ^ invert) + MAGNITUDE_MIN;
        let (mut digits, mut count) = (0_u128, 0_i64);
        loop {
            match reader.byte()? ^ invert {
                0 => break,
                pair @ 1..=100 if count < i64::from(DIGITS_MAX) => {
                    digits = digits * 100 + u128::from(pair - 1);
                    count += 2;
                }
                _ => return Err(Unreadable("not a number's digit")),
            }
        }
        Number::checked(negative, digits, magnitude + 1 - count)
            .map_err(|_| Unreadable("not a number DynamoDB can hold"))
    }
}

const NEGATIVE: u8 = 0x7F;
const ZERO: u8 = 0x80;
const POSITIVE: u8 = 0x81;

/// A written exponent; one too large for any number becomes very large.
fn exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let far = if text.starts_with('-') { i64::MIN / 2 } else { i64::MAX / 2 };
    Some(text.parse().unwrap_or(far).clamp(i64::MIN / 2, i64::MAX / 2))
}

/// The digits from the first to the last that is not zero as an integer, and how many zeros follow.
fn significant(
    digits: impl Iterator<Item = u8> + Clone,
    length: usize,
) -> Result<Option<(u128, i64)>, NumberError> {
    let mut places = digits.clone().enumerate().filter(|(_, digit)| *digit != 0).map(|(at, _)| at);
    let Some(first) = places.next() else { return Ok(None) };
    let last = places.last().unwrap_or(first);
    if last - first >= DIGITS_MAX as usize {
        return Err(NumberError::TooPrecise);
    }
    let kept = digits.skip(first).take(last - first + 1);
    let value = kept.fold(0_u128, |value, digit| value * 10 + u128::from(digit));
    Ok(Some((value, (length - last - 1) as i64)))
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |number: &Number| match number {
            Number { digits: 0, .. } => 0,
            Number { negative: true, .. } => -1,
            Number { negative: false, .. } => 1,
        };
        let by_sign = sign(self).cmp(&sign(other));
        if by_sign.is_ne() || self.digits == 0 {
            return by_sign;
        }
        let magnitudes = self.magnitude().cmp(&other.magnitude());
        let size = magnitudes.then_with(|| self.aligned().cmp(&other.aligned()));
        if self.negative { size.reverse() } else { size }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Number {
    /// The digits with zeros appended to make 38.
    fn aligned(&self) -> u128 {
        self.digits * 10_u128.pow(DIGITS_MAX - self.significant_digits())
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        let digits = u128::from(value.unsigned_abs());
        Number::checked(value < 0, digits, 0).unwrap_or(Number::ZERO)
    }
}

impl fmt::Display for Number {
    /// Plain decimal notation, without exponent, leading or trailing zeros.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negative {
            f.write_char('-')?;
        }
        let digits = self.digits.to_string();
        let Ok(places) = usize::try_from(-self.exponent) else {
            return write!(f, "{digits}{:0<1$}", "", usize::from(self.exponent.unsigned_abs()));
        };
        match digits.len().checked_sub(places) {
            _ if places == 0 => f.write_str(&digits),
            None | Some(0) => write!(f, "0.{digits:0>places$}"),
            Some(whole) => write!(f, "{}.{}", &digits[..whole], &digits[whole..]),
        }
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
