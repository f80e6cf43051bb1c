//! Numbers.

use super::{Call, Found};
use crate::rules::sql::value::{Value, double};

pub(super) fn abs(call: &Call<'_>) -> Found {
    match int_or_double(call.values)? {
        (Some(int), _) => Some(int.checked_abs()?.into()),
        (None, value) => Some(double(Some(value.abs()))),
    }
}

pub(super) fn sign(call: &Call<'_>) -> Found {
    let value = call.double(0)?;
    Some(Value::from(if value > 0.0 { 1 } else { i64::from(value < 0.0).wrapping_neg() }))
}

pub(super) fn ceil(call: &Call<'_>) -> Found {
    math(call, f64::ceil)
}

pub(super) fn floor(call: &Call<'_>) -> Found {
    math(call, f64::floor)
}

pub(super) fn round(call: &Call<'_>) -> Found {
    math(call, f64::round)
}

pub(super) fn trunc(call: &Call<'_>) -> Found {
    let places = call.int(1)?.clamp(0, 34);
    let scale = 10_f64.powi(i32::try_from(places).ok()?);
    Some(double(Some((call.double(0)? * scale).trunc() / scale)))
}

pub(super) fn remainder(call: &Call<'_>) -> Found {
    match (call.int(0)?, call.int(1)?, int_or_double(call.values)?) {
        (a, b, (Some(_), _)) => Some(a.checked_rem(b)?.into()),
        _ => Some(double(Some(call.double(0)? % call.double(1)?))),
    }
}

pub(super) fn acos(call: &Call<'_>) -> Found {
    math(call, f64::acos)
}

pub(super) fn asin(call: &Call<'_>) -> Found {
    math(call, f64::asin)
}

pub(super) fn atan(call: &Call<'_>) -> Found {
    math(call, f64::atan)
}

pub(super) fn atan2(call: &Call<'_>) -> Found {
    Some(double(Some(call.double(0)?.atan2(call.double(1)?))))
}

pub(super) fn cos(call: &Call<'_>) -> Found {
    math(call, f64::cos)
}

pub(super) fn cosh(call: &Call<'_>) -> Found {
    math(call, f64::cosh)
}

pub(super) fn sin(call: &Call<'_>) -> Found {
    math(call, f64::sin)
}

pub(super) fn sinh(call: &Call<'_>) -> Found {
    math(call, f64::sinh)
}

pub(super) fn tan(call: &Call<'_>) -> Found {
    math(call, f64::tan)
}

pub(super) fn tanh(call: &Call<'_>) -> Found {
    math(call, f64::tanh)
}

pub(super) fn exp(call: &Call<'_>) -> Found {
    math(call, f64::exp)
}

pub(super) fn ln(call: &Call<'_>) -> Found {
    math(call, f64::ln)
}

pub(super) fn log(call: &Call<'_>) -> Found {
    math(call, f64::log10)
}

pub(super) fn sqrt(call: &Call<'_>) -> Found {
    math(call, f64::sqrt)
}

pub(super) fn power(call: &Call<'_>) -> Found {
    Some(double(Some(call.double(0)?.powf(call.double(1)?))))
}

pub(super) fn bitand(call: &Call<'_>) -> Found {
    Some((call.int(0)? & call.int(1)?).into())
}

pub(super) fn bitor(call: &Call<'_>) -> Found {
    Some((call.int(0)? | call.int(1)?).into())
}

pub(super) fn bitxor(call: &Call<'_>) -> Found {
    Some((call.int(0)? ^ call.int(1)?).into())
}

pub(super) fn bitnot(call: &Call<'_>) -> Found {
    Some((!call.int(0)?).into())
}

fn math(call: &Call<'_>, result: fn(f64) -> f64) -> Found {
    Some(double(Some(result(call.double(0)?))))
}

/// The first value as an integer where it is one, and as a double; all must be numbers.
fn int_or_double(values: &[Value]) -> Option<(Option<i64>, f64)> {
    let numbers: Option<Vec<_>> = values.iter().map(Value::number).collect();
    let numbers = numbers?;
    let first = numbers.first()?;
    let ints = numbers.iter().all(|number| number.as_i64().is_some());
    Some((first.as_i64().filter(|_| ints), first.as_f64()))
}
