//! Numbers.

use super::{Call, Found};
use crate::rules::sql::value::double;

/// Most places behind the point.
const PLACES_MAX: i64 = 34;

pub(super) fn abs(call: &Call<'_>) -> Found {
    Some(call.number(0)?.abs().into())
}

pub(super) fn sign(call: &Call<'_>) -> Found {
    Some(call.number(0)?.sign().into())
}

pub(super) fn ceil(call: &Call<'_>) -> Found {
    Some(call.number(0)?.ceil().into())
}

pub(super) fn floor(call: &Call<'_>) -> Found {
    Some(call.number(0)?.floor().into())
}

/// Of two nearest the one away from zero.
pub(super) fn round(call: &Call<'_>) -> Found {
    Some(call.number(0)?.round().into())
}

/// The second argument must be a number as it is: text is none here.
pub(super) fn trunc(call: &Call<'_>) -> Found {
    call.value(1)?.json()?.as_f64()?;
    let places = u32::try_from(call.clamped(1, PLACES_MAX)?).ok()?;
    let cut = call.number(0)?.with_places(places);
    Some(cut.as_whole().unwrap_or(cut).into())
}

pub(super) fn remainder(call: &Call<'_>) -> Found {
    Some(call.number(0)?.modulo(&call.number(1)?)?.into())
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
    Some((bits(call, 0)? & bits(call, 1)?).into())
}

pub(super) fn bitor(call: &Call<'_>) -> Found {
    Some((bits(call, 0)? | bits(call, 1)?).into())
}

pub(super) fn bitxor(call: &Call<'_>) -> Found {
    Some((bits(call, 0)? ^ bits(call, 1)?).into())
}

pub(super) fn bitnot(call: &Call<'_>) -> Found {
    Some((!bits(call, 0)?).into())
}

/// An integer of 64 bits; what is none is rounded down, text, too.
fn bits(call: &Call<'_>, at: usize) -> Option<i64> {
    call.number(at)?.floor().as_i64()
}

fn math(call: &Call<'_>, result: fn(f64) -> f64) -> Found {
    Some(double(Some(result(call.double(0)?))))
}
