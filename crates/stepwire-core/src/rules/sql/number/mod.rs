//! Numbers: Ints and Decimals, both of 34 significant digits (ADR 0012).
//!
//! Source: AWS IoT SQL reference, "Data types".

mod text;

use std::cmp::Ordering;
use std::num::NonZeroU64;

use bigdecimal::num_bigint::Sign;
use bigdecimal::{BigDecimal, RoundingMode, Zero as _};
use stepwire_asl::Json;
use stepwire_asl::json;

use text::{is_literal, read, written};

/// Significant digits of a number.
const DIGITS: NonZeroU64 = NonZeroU64::MIN.saturating_add(33);
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
        let value = is_literal(text).then(|| read(text))??;
        if text.contains(['.', 'e', 'E']) { Number::decimal(value) } else { Number::whole(value) }
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
                Sign::Minus => -1,
                Sign::NoSign => 0,
                Sign::Plus => 1,
            },
        }
    }

    /// Its opposite, of the same type.
    #[must_use]
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
    #[must_use]
    pub fn abs(&self) -> Number {
        if self.sign() < 0 { self.negated() } else { self.clone() }
    }

    /// The nearest Int at or below; a Decimal where an Int has not so many digits.
    #[must_use]
    pub fn floor(&self) -> Number {
        self.to_whole(RoundingMode::Floor)
    }

    /// The nearest Int at or above; a Decimal where an Int has not so many digits.
    #[must_use]
    pub fn ceil(&self) -> Number {
        self.to_whole(RoundingMode::Ceiling)
    }

    /// The nearest Int, of two the one away from zero.
    #[must_use]
    pub fn round(&self) -> Number {
        self.to_whole(RoundingMode::HalfUp)
    }

    /// The Int without the fraction.
    #[must_use]
    pub fn truncated(&self) -> Number {
        self.to_whole(RoundingMode::Down)
    }

    fn to_whole(&self, mode: RoundingMode) -> Number {
        let Repr::Decimal(value) = &self.0 else { return self.clone() };
        Number::whole(places(value, 0, mode)).unwrap_or_else(|| self.clone())
    }

    /// With at most `count` places behind the point, the others cut off; of the same type.
    #[must_use]
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

#[cfg(test)]
mod tests;
