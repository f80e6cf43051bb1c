//! What Step Functions adds to JSONata, and what must not look at the world.

use std::cell::RefCell;
use std::rc::Rc;

use jsonata_core::evaluator::{Evaluator, EvaluatorError};
use jsonata_core::value::JValue;

use super::meter;
use crate::intrinsic;
use crate::{Entropy, Json, Timestamp};

type Made = Result<JValue, EvaluatorError>;

/// The dice of one evaluation, which its functions share.
pub(super) type Dice = Rc<RefCell<Entropy>>;

/// Adds Step Functions' functions to an evaluator, and those that would read a clock or draw at
/// random of their own accord.
pub(super) fn register(
    evaluator: &mut Evaluator,
    dice: &Dice,
    now: Timestamp,
) -> Result<(), EvaluatorError> {
    evaluator.register_fn("partition", partition)?;
    evaluator.register_fn("range", range)?;
    evaluator.register_fn("hash", hash)?;
    evaluator.register_fn("parse", parse)?;
    let own = Rc::clone(dice);
    evaluator.register_fn("uuid", move |args: &[JValue]| {
        arity("uuid", args, 0, 0)?;
        Ok(JValue::string(intrinsic::uuid(&mut own.borrow_mut())))
    })?;
    let own = Rc::clone(dice);
    evaluator.register_fn_override("random", move |args: &[JValue]| {
        arity("random", args, 0, 1)?;
        Ok(JValue::Number(match args.first() {
            None => own.borrow_mut().next_f64(),
            Some(seed) => {
                let seed = seed.as_f64().ok_or_else(|| mismatch("random", 1))?;
                Entropy::new(seed.to_bits()).next_f64()
            }
        }))
    })?;
    let own = Rc::clone(dice);
    evaluator.register_fn_override("shuffle", move |args: &[JValue]| {
        arity("shuffle", args, 1, 1)?;
        let JValue::Array(items) = &args[0] else { return Ok(args[0].clone()) };
        let mut items = items.clone().into_vec();
        for last in (1..items.len()).rev() {
            let other = (own.borrow_mut().next_f64() * (last + 1) as f64) as usize;
            items.swap(last, other.min(last));
        }
        Ok(JValue::array(items))
    })?;
    evaluator
        .register_fn_override("millis", move |_: &[JValue]| Ok(JValue::Number(now.0 as f64)))?;
    evaluator.register_fn_override("pad", pad)?;
    evaluator.register_fn_override("eval", |_: &[JValue]| {
        Err(EvaluatorError::TypeError("T1006: Attempted to invoke a non-function".to_owned()))
    })?;
    Ok(())
}

/// `$pad(text, width, character)`, refusing what would not fit in memory.
fn pad(args: &[JValue]) -> Made {
    arity("pad", args, 2, 3)?;
    let text = match &args[0] {
        JValue::Undefined => return Ok(JValue::Undefined),
        other => other.as_str().ok_or_else(|| mismatch("pad", 1))?,
    };
    let width = number("pad", args, 1)?;
    let with = match args.get(2) {
        None | Some(JValue::Undefined) => " ",
        Some(with) => with.as_str().ok_or_else(|| mismatch("pad", 3))?,
    };
    let with = if with.is_empty() { " " } else { with };
    let missing = (width.abs() as usize).saturating_sub(text.chars().count());
    meter::within((missing as u64).saturating_mul(with.len() as u64), meter::PARTS_MAX)?;
    let padding: String = with.chars().cycle().take(missing).collect();
    Ok(JValue::string(if width < 0.0 { padding + text } else { text.to_owned() + &padding }))
}

fn arity(name: &str, args: &[JValue], least: usize, most: usize) -> Result<(), EvaluatorError> {
    if args.len() < least {
        return Err(mismatch(name, args.len() + 1));
    }
    if args.len() > most { Err(mismatch(name, most + 1)) } else { Ok(()) }
}

fn mismatch(name: &str, argument: usize) -> EvaluatorError {
    EvaluatorError::TypeError(format!(
        "T0410: Argument {argument} of function \"{name}\" does not match function signature"
    ))
}

fn number(name: &str, args: &[JValue], at: usize) -> Result<f64, EvaluatorError> {
    args.get(at).and_then(JValue::as_f64).ok_or_else(|| mismatch(name, at + 1))
}

/// `$partition(array, size)`: the array in pieces of `size` items.
fn partition(args: &[JValue]) -> Made {
    arity("partition", args, 2, 2)?;
    let size = number("partition", args, 1)?;
    let items = match &args[0] {
        JValue::Undefined => return Ok(JValue::Undefined),
        JValue::Array(items) => items.as_slice(),
        other => std::slice::from_ref(other),
    };
    if size < 1.0 || size.fract() != 0.0 {
        return Err(mismatch("partition", 2));
    }
    let pieces = items.chunks(size as usize).map(|piece| JValue::array(piece.to_vec()));
    Ok(JValue::array(pieces.collect()))
}

/// `$range(first, last, step)`: numbers from `first` by `step` as far as `last`.
fn range(args: &[JValue]) -> Made {
    arity("range", args, 3, 3)?;
    let (first, last, step) =
        (number("range", args, 0)?, number("range", args, 1)?, number("range", args, 2)?);
    if step == 0.0 || !(first.is_finite() && last.is_finite() && step.is_finite()) {
        return Err(mismatch("range", 3));
    }
    let steps = ((last - first) / step).floor();
    if steps < 0.0 {
        return Ok(JValue::sequence(Vec::new()));
    }
    meter::within(8 * (steps as u64 + 1), meter::PARTS_MAX)?;
    let numbers = (0..=steps as usize).map(|at| JValue::Number(first + at as f64 * step));
    Ok(JValue::sequence(numbers.collect()))
}

/// `$hash(text, algorithm)`: the digest in hexadecimal.
fn hash(args: &[JValue]) -> Made {
    arity("hash", args, 1, 2)?;
    let text = args[0].as_str().ok_or_else(|| mismatch("hash", 1))?;
    let algorithm = match args.get(1) {
        None => "SHA-256",
        Some(name) => name.as_str().ok_or_else(|| mismatch("hash", 2))?,
    };
    let digest = intrinsic::hash(&Json::from(text), algorithm);
    let digest = digest.map_err(|_| mismatch("hash", 2))?;
    Ok(digest.as_str().map_or(JValue::Undefined, JValue::from))
}

/// `$parse(text)`: the value that JSON text writes.
fn parse(args: &[JValue]) -> Made {
    arity("parse", args, 1, 1)?;
    let text = match &args[0] {
        JValue::Undefined => return Ok(JValue::Undefined),
        other => other.as_str().ok_or_else(|| mismatch("parse", 1))?,
    };
    let value = Json::parse(text).map_err(|error| {
        EvaluatorError::EvaluationError(format!("D3001: The text is not JSON: {}", error.message))
    })?;
    Ok(super::convert::Converter::default().give(&value))
}
