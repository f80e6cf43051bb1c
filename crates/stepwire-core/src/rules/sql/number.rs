//! Numbers: Ints and Decimals, both of 34 significant digits (ADR 0012).
//!
//! Source: AWS IoT SQL reference, "Data types".

use std::cmp::Ordering;
use std::num::NonZeroU64;

use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, RoundingMode, Zero as _};
use stepwire_asl::Json;
use stepwire_asl::json;

/// Significant digits of a number.
const DIGITS: NonZeroU64 = NonZeroU64::MIN.saturating_add(33);
/// Digits of a text that are looked at: one more than are kept, and one that stands for the rest.
const DIGITS_READ: usize = 36;
/// A first digit stands for at most this power of ten, and at least for the same negative one.
const POWER_MAX: i64 = 999;
/// Powers of ten at which numbers are written without an exponent: of 1E-6, as 0.000001.
const PLAIN: std::ops::Range<i64> = -6..34;

/// A number of IoT SQL.
#[derive(Debug, Clone)]
pub struct Number(Repr);

#[derive(Debug, Clone)]
enum Repr {
    /// An Int of 64 bits.
    Int(i64),
    /// An Int beyond them; its scale is 0.
    Large(BigDecimal),
    /// Anything else, without zeros at the end.
    Decimal(BigDecimal),
}

impl Number {
    /// The number that JSON writes: an Int unless it has a fraction or an exponent. Digits beyond
    /// the 34th are rounded; `None` above 9.99…E999.
    pub fn of(number: &json::Number) -> Option<Number> {
        if let Some(int) = number.as_i64() {
            return Some(int.into());
        }
        let value = read(&number.to_string())?;
        if number.is_integer() { Number::whole(value) } else { Number::decimal(value) }
    }

    /// The number that text writes, by the reference's pattern `^-?\d+(\.\d+)?((?i)E-?\d+)?$`.
    pub fn written(text: &str) -> Option<Number> {
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        let mantissa = mantissa.strip_prefix('-').unwrap_or(mantissa);
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (mantissa, None),
        };
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let exponent_fits = exponent.is_none_or(|e| digits(e.strip_prefix('-').unwrap_or(e)));
        if !digits(whole) || !fraction.is_none_or(digits) || !exponent_fits {
            return None;
        }
        let value = read(text)?;
        if fraction.is_none() && exponent.is_none() {
            Number::whole(value)
        } else {
            Number::decimal(value)
        }
    }

    /// A double as a Decimal; `None` unless finite.
    pub fn from_f64(value: f64) -> Option<Number> {
        let written = Json::from_f64(value)?;
        let Json::Number(number) = &written else { return None };
        Number::decimal(read(&number.to_string())?)
    }

    /// A Decimal of this value; `None` when it is too large, zero when it is too small.
    fn decimal(value: BigDecimal) -> Option<Number> {
        let value = rounded(value);
        if value.is_zero() || power(&value) < -POWER_MAX {
            return Some(Number(Repr::Decimal(BigDecimal::zero())));
        }
        (power(&value) <= POWER_MAX).then(|| Number(Repr::Decimal(value.normalized())))
    }

    /// An Int of this whole value; a Decimal when an Int has not so many digits.
    fn whole(value: BigDecimal) -> Option<Number> {
        if power(&value) >= DIGITS.get() as i64 {
            return Number::decimal(value);
        }
        let value = value.with_scale(0);
        let (digits, _) = value.as_bigint_and_exponent();
        Some(match i64::try_from(digits) {
            Ok(int) => int.into(),
            Err(_) => Number(Repr::Large(value)),
        })
    }

    /// Whether it is an Int.
    pub fn is_int(&self) -> bool {
        !matches!(self.0, Repr::Decimal(_))
    }

    /// The integer, when it is an Int of 64 bits.
    pub fn as_i64(&self) -> Option<i64> {
        match self.0 {
            Repr::Int(int) => Some(int),
            Repr::Large(_) | Repr::Decimal(_) => None,
        }
    }

    /// The nearest double; infinite when out of range.
    pub fn as_f64(&self) -> f64 {
        match &self.0 {
            Repr::Int(int) => *int as f64,
            Repr::Large(value) | Repr::Decimal(value) => {
                let (digits, scale) = value.as_bigint_and_exponent();
                format!("{digits}e{}", -scale).parse().unwrap_or(f64::NAN)
            }
        }
    }

    fn exact(&self) -> BigDecimal {
        match &self.0 {
            Repr::Int(int) => BigDecimal::from(*int),
            Repr::Large(value) | Repr::Decimal(value) => value.clone(),
        }
    }

    /// The same number as a Decimal.
    #[must_use]
    pub fn to_decimal(&self) -> Number {
        Number(Repr::Decimal(self.exact().normalized()))
    }

    /// -1, 0 or 1.
    pub fn sign(&self) -> i64 {
        match self.0 {
            Repr::Int(int) => int.signum(),
            Repr::Large(ref value) | Repr::Decimal(ref value) => match value.sign() {
                bigdecimal::num_bigint::Sign::Minus => -1,
                bigdecimal::num_bigint::Sign::NoSign => 0,
                bigdecimal::num_bigint::Sign::Plus => 1,
            },
        }
    }

    /// Its opposite, of the same type.
    pub fn negated(&self) -> Number {
        match &self.0 {
            Repr::Int(int) => match int.checked_neg() {
                Some(int) => int.into(),
                None => Number(Repr::Large(-self.exact())),
            },
            Repr::Large(value) => {
                Number::whole(-value).unwrap_or_else(|| Number(Repr::Large(-value)))
            }
            Repr::Decimal(value) => Number(Repr::Decimal(-value)),
        }
    }

    /// Its distance from zero, of the same type.
    pub fn abs(&self) -> Number {
        if self.sign() < 0 { self.negated() } else { self.clone() }
    }

    /// The nearest Int at or below; a Decimal where an Int has not so many digits.
    pub fn floor(&self) -> Number {
        self.to_whole(RoundingMode::Floor)
    }

    /// The nearest Int at or above; a Decimal where an Int has not so many digits.
    pub fn ceil(&self) -> Number {
        self.to_whole(RoundingMode::Ceiling)
    }

    /// The nearest Int, of two the one away from zero.
    pub fn round(&self) -> Number {
        self.to_whole(RoundingMode::HalfUp)
    }

    /// The Int without the fraction.
    pub fn truncated(&self) -> Number {
        self.to_whole(RoundingMode::Down)
    }

    fn to_whole(&self, mode: RoundingMode) -> Number {
        let Repr::Decimal(value) = &self.0 else { return self.clone() };
        Number::whole(places(value, 0, mode)).unwrap_or_else(|| self.clone())
    }

    /// With at most `count` places behind the point, the others cut off; of the same type.
    pub fn with_places(&self, count: u32) -> Number {
        let Repr::Decimal(value) = &self.0 else { return self.clone() };
        Number(Repr::Decimal(places(value, i64::from(count), RoundingMode::Down).normalized()))
    }

    /// The sum: of Ints an Int; `None` when it is too large.
    pub fn plus(&self, other: &Number) -> Option<Number> {
        if let (Repr::Int(a), Repr::Int(b)) = (&self.0, &other.0)
            && let Some(sum) = a.checked_add(*b)
        {
            return Some(sum.into());
        }
        let (a, b) = (self.exact(), other.exact());
        // What is below the last digit that is kept changes nothing, and costs a thousand digits.
        let apart = power(&a) - power(&b);
        if apart.abs() > 3 * DIGITS.get() as i64 && !a.is_zero() && !b.is_zero() {
            return self.typed(other, if apart > 0 { a } else { b });
        }
        self.typed(other, a + b)
    }

    /// The difference: of Ints an Int; `None` when it is too large.
    pub fn minus(&self, other: &Number) -> Option<Number> {
        self.plus(&other.negated())
    }

    /// The product: of Ints an Int; `None` when it is too large.
    pub fn times(&self, other: &Number) -> Option<Number> {
        if let (Repr::Int(a), Repr::Int(b)) = (&self.0, &other.0)
            && let Some(product) = a.checked_mul(*b)
        {
            return Some(product.into());
        }
        self.typed(other, self.exact() * other.exact())
    }

    /// The quotient: of Ints an Int, cut off; `None` by zero or when it is too large.
    pub fn divided_by(&self, other: &Number) -> Option<Number> {
        if other.sign() == 0 {
            return None;
        }
        if let (Repr::Int(a), Repr::Int(b)) = (&self.0, &other.0)
            && let Some(quotient) = a.checked_div(*b)
        {
            return Some(quotient.into());
        }
        if self.is_int() && other.is_int() {
            let whole = |number: &Number| number.exact().with_scale(0).into_bigint_and_exponent().0;
            return Number::whole(BigDecimal::from(whole(self) / whole(other)));
        }
        Number::decimal(self.exact() / other.exact())
    }

    /// What division leaves, with the sign of the dividend: of Ints an Int; `None` by zero.
    pub fn modulo(&self, other: &Number) -> Option<Number> {
        if other.sign() == 0 {
            return None;
        }
        if let (Repr::Int(a), Repr::Int(b)) = (&self.0, &other.0)
            && let Some(rest) = a.checked_rem(*b)
        {
            return Some(rest.into());
        }
        self.typed(other, self.exact() % other.exact())
    }

    /// An Int if both are, else a Decimal.
    fn typed(&self, other: &Number, value: BigDecimal) -> Option<Number> {
        if self.is_int() && other.is_int() { Number::whole(value) } else { Number::decimal(value) }
    }

    /// How many digits an operation with another number may have to look at.
    pub(super) fn digits_with(&self, other: &Number) -> u32 {
        if let (Repr::Int(_), Repr::Int(_)) = (&self.0, &other.0) {
            return 1;
        }
        let apart = power(&self.exact()).abs_diff(power(&other.exact()));
        u32::try_from(apart).unwrap_or(u32::MAX).saturating_add(4 * DIGITS.get() as u32)
    }

    /// As text. A whole Decimal has `.0` at the end, so that it stays one; the very large and the
    /// very small have an exponent.
    pub fn text(&self) -> String {
        match &self.0 {
            Repr::Int(int) => int.to_string(),
            Repr::Large(value) => value.as_bigint_and_exponent().0.to_string(),
            Repr::Decimal(value) => written(value),
        }
    }

    /// As JSON; a whole Decimal stays one.
    pub fn to_json(&self) -> Json {
        if let Repr::Int(int) = self.0 {
            return int.into();
        }
        json::Number::from_text(&self.text()).map_or(Json::Null, Json::Number)
    }

    /// As an Int, when it is a whole Decimal that one can be.
    pub(super) fn as_whole(&self) -> Option<Number> {
        let Repr::Decimal(value) = &self.0 else { return None };
        let fits = value.is_zero() || (value.is_integer() && PLAIN.contains(&power(value)));
        fits.then(|| Number::whole(value.clone())).flatten()
    }
}

impl From<i64> for Number {
    fn from(int: i64) -> Self {
        Number(Repr::Int(int))
    }
}

impl From<Number> for Json {
    fn from(number: Number) -> Self {
        number.to_json()
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    /// By value: an Int can equal a Decimal.
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Repr::Int(a), Repr::Int(b)) => a.cmp(b),
            _ => {
                let (a, b) = (self.exact(), other.exact());
                let signs = self.sign().cmp(&other.sign());
                if signs.is_ne() || self.sign() == 0 {
                    return signs;
                }
                // Numbers of unlike magnitude need no common scale.
                match power(&a).cmp(&power(&b)) {
                    Ordering::Equal => a.cmp(&b),
                    order if self.sign() > 0 => order,
                    order => order.reverse(),
                }
            }
        }
    }
}

/// The power of ten that the first digit stands for.
fn power(value: &BigDecimal) -> i64 {
    (value.digits() as i64) - 1 - value.fractional_digit_count()
}

fn rounded(value: BigDecimal) -> BigDecimal {
    if value.digits() <= DIGITS.get() {
        return value;
    }
    value.with_precision_round(DIGITS, RoundingMode::HalfEven)
}

/// At most `count` places behind the point. A value that has fewer is left as it is.
fn places(value: &BigDecimal, count: i64, mode: RoundingMode) -> BigDecimal {
    if value.fractional_digit_count() <= count {
        return value.clone();
    }
    value.with_scale_round(count, mode)
}

/// The value of a number as JSON writes it, of at most [`DIGITS_READ`] digits; zero when it is too
/// small, `None` when it is too large.
fn read(text: &str) -> Option<BigDecimal> {
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
fn written(value: &BigDecimal) -> String {
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::of(&json::Number::from_text(text).unwrap()).unwrap()
    }

    #[test]
    fn numbers_are_written_so_that_they_read_the_same() {
        for (text, expected) in [
            ("0", "0"),
            ("-0", "0"),
            ("5", "5"),
            ("5.0", "5.0"),
            ("5e0", "5.0"),
            ("-12.50", "-12.5"),
            ("0.1", "0.1"),
            ("0.000001", "0.000001"),
            ("0.0000001", "1E-7"),
            ("1e33", "1000000000000000000000000000000000.0"),
            ("1e34", "1E+34"),
            ("12e40", "1.2E+41"),
            ("-5E-12", "-5E-12"),
            ("9223372036854775807", "9223372036854775807"),
            ("9223372036854775808", "9223372036854775808"),
            ("1234567890123456789012345678901234", "1234567890123456789012345678901234"),
            ("12345678901234567890123456789012345", "1.234567890123456789012345678901234E+34"),
            ("1e999", "1E+999"),
            ("9.99e999", "9.99E+999"),
            ("1e-999", "1E-999"),
            ("1e-1000", "0.0"),
            ("1e-99999999999999999999999", "0.0"),
            ("0e99999999999999999999999", "0.0"),
        ] {
            assert_eq!(number(text).text(), expected, "{text}");
            assert_eq!(number(expected).text(), expected);
        }
    }

    #[test]
    fn the_thirty_fourth_digit_is_rounded_half_to_even() {
        let kept = "1.23456789012345678901234567890123";
        for (behind, last) in [
            ("45", "4"),
            ("450000000000000000000000", "4"),
            ("450000000000000000000001", "5"),
            ("35", "4"),
            ("349999999999999999999999", "3"),
            ("46", "5"),
        ] {
            assert_eq!(number(&format!("{kept}{behind}")).text(), format!("{kept}{last}"));
        }
    }

    #[test]
    fn what_is_too_large_is_no_number() {
        for text in ["1e1000", "1e9999999999", "-1e99999999999999999999999", "10e999"] {
            assert!(Number::of(&json::Number::from_text(text).unwrap()).is_none(), "{text}");
        }
        assert!(number("1e600").times(&number("1e600")).is_none());
        assert!(number("9e999").plus(&number("9e999")).is_none());
        assert!(number("1e-600").times(&number("1e-600")).unwrap().sign() == 0);
    }

    #[test]
    fn ints_stay_ints_and_decimals_are_exact() {
        let text = |value: Option<Number>| value.unwrap().text();
        assert_eq!(text(number("0.1").plus(&number("0.2"))), "0.3");
        assert_eq!(text(number("7").divided_by(&number("2"))), "3");
        assert_eq!(text(number("-7").divided_by(&number("2"))), "-3");
        assert_eq!(text(number("7.0").divided_by(&number("2"))), "3.5");
        assert_eq!(text(number("1.0").divided_by(&number("3"))), format!("0.{}", "3".repeat(34)));
        assert_eq!(text(number("-7").modulo(&number("4"))), "-3");
        assert_eq!(text(number("8.5").modulo(&number("3"))), "2.5");
        assert_eq!(text(number("9223372036854775807").plus(&number("1"))), "9223372036854775808");
        assert_eq!(
            text(number("-9223372036854775808").minus(&number("1"))),
            "-9223372036854775809"
        );
        let large = number("9223372036854775808");
        assert_eq!(text(large.minus(&number("1"))), "9223372036854775807");
        assert_eq!(large.minus(&number("1")).unwrap().as_i64(), Some(i64::MAX));
        assert_eq!(text(large.times(&large)), "8.507059173023461586584365185794205E+37");
        assert_eq!(text(number("-9223372036854775808").divided_by(&number("-1"))), large.text());
        assert_eq!(text(number("1e999").plus(&number("1e-999"))), "1E+999");
        assert!(number("1").divided_by(&number("0.0")).is_none());
    }

    #[test]
    fn wholes_are_found_on_either_side() {
        for (text, floor, ceil, round, cut) in [
            ("1.5", "1", "2", "2", "1"),
            ("-1.5", "-2", "-1", "-2", "-1"),
            ("1.2", "1", "2", "1", "1"),
            ("-0.4", "-1", "0", "0", "0"),
            ("3.0", "3", "3", "3", "3"),
            ("7", "7", "7", "7", "7"),
            ("1e3", "1000", "1000", "1000", "1000"),
            ("1e-900", "0", "1", "0", "0"),
        ] {
            let number = number(text);
            let found = [number.floor(), number.ceil(), number.round(), number.truncated()];
            assert_eq!(found.map(|number| number.text()), [floor, ceil, round, cut], "{text}");
        }
        assert_eq!(number("2.888").with_places(2).text(), "2.88");
        assert_eq!(number("-2.888").with_places(0).text(), "-2.0");
    }

    #[test]
    fn order_is_by_value() {
        assert_eq!(number("1"), number("1.0"));
        assert_eq!(number("1e2"), number("100"));
        assert!(number("-1e999") < number("-1e-999"));
        assert!(number("1e-999") < number("1e999"));
        assert!(number("0.30000000000000000000000000000001") > number("0.3"));
        assert!(number("9007199254740993") > number("9007199254740992"));
        assert_eq!(number("0.0").cmp(&number("0")), Ordering::Equal);
    }

    #[test]
    fn text_writes_a_number_by_the_pattern_of_the_reference() {
        for (text, expected) in
            [("0", "0"), ("-1.2", "-1.2"), ("5E-12", "5E-12"), ("007", "7"), ("5e3", "5000.0")]
        {
            assert_eq!(Number::written(text).unwrap().text(), expected);
        }
        for text in ["", "-", ".5", "5.", " 5", "5 ", "+5", "1e", "1e+5", "1.e5", "0x1", "NaN", "١"]
        {
            assert!(Number::written(text).is_none(), "{text}");
        }
    }
}
