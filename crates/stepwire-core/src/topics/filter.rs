//! Filter policies: which messages a subscription wants.
//!
//! What a policy may say is stricter than what an event pattern may; what it means is the same, so a
//! policy that passes here is read as a [`Pattern`].
//!
//! Source: Amazon SNS developer guide, "Amazon SNS message filtering" and "Filter policy constraints".

use std::net::IpAddr;
use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_asl::json::{Number, Object};

use super::Publish;
use crate::events::Pattern;
use crate::queues::{Attribute, AttributeValue};

/// Most bytes of a policy.
const BYTES_MAX: usize = 256 << 10;
/// Most keys at the top of a policy.
const KEYS_MAX: usize = 5;
/// Most combinations of values.
const COMBINATIONS_MAX: u64 = 150;
/// Numbers are smaller than this, and larger than its negative.
const NUMBER_MAX: f64 = 1e9;
/// Deepest nesting of a policy.
const DEPTH_MAX: usize = 32;

/// What a policy looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Attributes,
    Body,
}

/// The pattern that a policy is. The error is what follows `FilterPolicy: ` or stands alone, as AWS
/// words it.
pub(super) fn parse(text: &str, scope: Scope) -> Result<Pattern, String> {
    if text.len() > BYTES_MAX {
        return Err("FilterPolicy: Filter policy is too long".to_owned());
    }
    let json = Json::parse(text).map_err(|_| "FilterPolicy: failed to parse JSON".to_owned())?;
    let Some(members) = json.as_object() else {
        return Err("FilterPolicy: Filter is not an object".to_owned());
    };
    if members.len() > KEYS_MAX {
        return Err("FilterPolicy: Filter policy can not have more than 5 keys".to_owned());
    }
    let combinations = combinations(members, 1, scope)?;
    if combinations > COMBINATIONS_MAX {
        return Err("FilterPolicy: Filter policy is too complex".to_owned());
    }
    Pattern::parse(text).map_err(|why| format!("FilterPolicy: {why}"))
}

/// How many combinations of values an object of a policy has: the product over its keys, each value
/// counted as often as it is deep; of alternatives the sum.
fn combinations(members: &Object, depth: usize, scope: Scope) -> Result<u64, String> {
    let wrong = |why: &str| Err(format!("FilterPolicy: {why}"));
    if members.is_empty() {
        return wrong("Empty objects are not allowed");
    }
    if depth > DEPTH_MAX {
        return wrong("Filter policy is too complex");
    }
    let mut all: u64 = 1;
    for (name, value) in members {
        let of_key = match value {
            Json::Array(choices) if **name == *"$or" && is_or(choices) => {
                let mut sum: u64 = 0;
                for choice in choices.iter().filter_map(Json::as_object) {
                    sum = sum.saturating_add(combinations(choice, depth, scope)?);
                }
                sum
            }
            Json::Array(tests) if tests.is_empty() => {
                return wrong("Empty arrays are not allowed");
            }
            Json::Array(tests) => {
                tests.iter().try_for_each(|test| {
                    check(test).map_err(|why| format!("FilterPolicy: {why}"))
                })?;
                (tests.len() as u64).saturating_mul(depth as u64)
            }
            Json::Object(_) if scope == Scope::Attributes => {
                return Err(
                    "Filter policy scope MessageAttributes does not support nested filter \
                            policy"
                        .to_owned(),
                );
            }
            Json::Object(inner) => combinations(inner, depth + 1, scope)?,
            _ => return wrong(&format!("\"{name}\" must be an object or an array")),
        };
        all = all.saturating_mul(of_key);
    }
    Ok(all)
}

/// Whether a list under `$or` is one of alternatives rather than the values of a key of that name.
fn is_or(choices: &[Json]) -> bool {
    choices.len() >= 2 && choices.iter().all(|choice| choice.as_object().is_some())
}

/// Refuses a test that is none.
fn check(test: &Json) -> Result<(), String> {
    match test {
        Json::Null | Json::Bool(_) | Json::String(_) => Ok(()),
        Json::Number(number) => within(test.as_f64().unwrap_or(f64::INFINITY), &number.to_string()),
        Json::Array(_) => {
            Err("Match value must be String, number, true, false, or null".to_owned())
        }
        Json::Object(members) => {
            let (Some((name, value)), true) = (members.first(), members.len() == 1) else {
                return Err("Only one key allowed in match expression".to_owned());
            };
            operator(name, value)
        }
    }
}

fn within(value: f64, text: &str) -> Result<(), String> {
    if value.abs() < NUMBER_MAX {
        return Ok(());
    }
    let bound = if value > 0.0 { "smaller than 1E9" } else { "greater than -1E9" };
    Err(format!("Match value {text} must be {bound}"))
}

fn operator(name: &str, value: &Json) -> Result<(), String> {
    match name {
        "prefix" | "suffix" | "equals-ignore-case" => text(name, value).map(drop),
        "wildcard" => wildcard(text(name, value)?),
        "exists" => match value {
            Json::Bool(_) => Ok(()),
            _ => Err("exists match pattern must be either true or false.".to_owned()),
        },
        "numeric" => numeric(value.as_array().unwrap_or_default()),
        "cidr" => cidr(text("cidr", value)?),
        "anything-but" => anything_but(value),
        other => Err(format!("Unrecognized match type {other}")),
    }
}

fn text<'a>(name: &str, value: &'a Json) -> Result<&'a str, String> {
    value.as_str().ok_or_else(|| format!("{name} match pattern must be a string"))
}

fn anything_but(value: &Json) -> Result<(), String> {
    match value {
        Json::Array(values) if values.is_empty() => Err("Empty arrays are not allowed".to_owned()),
        Json::Array(values) => values.iter().try_for_each(|value| match value {
            Json::String(_) | Json::Number(_) => check(value),
            _ => Err("Inside anything but list, start|null|boolean is not supported.".to_owned()),
        }),
        Json::String(_) | Json::Number(_) => check(value),
        Json::Object(members) => {
            let (Some((name, value)), true) = (members.first(), members.len() == 1) else {
                return Err("Only one key allowed in match expression".to_owned());
            };
            if !matches!(&**name, "prefix" | "suffix" | "wildcard" | "equals-ignore-case") {
                return Err(format!("Unsupported anything-but pattern: {name}"));
            }
            match value.as_array() {
                Some([]) => Err("Empty arrays are not allowed".to_owned()),
                Some(values) => values.iter().try_for_each(|value| operator(name, value)),
                None => operator(name, value),
            }
        }
        Json::Null | Json::Bool(_) => {
            Err("Value of anything-but must be an array or single string/number value.".to_owned())
        }
    }
}

fn wildcard(pattern: &str) -> Result<(), String> {
    let (mut star, mut chars) = (false, pattern.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '*' if star => {
                return Err(format!("Consecutive wildcard characters at pos {}", at - 1));
            }
            '\\' if !matches!(chars.next(), Some((_, '*' | '\\'))) => {
                return Err(format!("Invalid escape character at pos {at}"));
            }
            _ => {}
        }
        star = c == '*';
    }
    Ok(())
}

fn numeric(parts: &[Json]) -> Result<(), String> {
    let member = |part: &Json| part.as_str().map_or_else(|| part.to_text(), str::to_owned);
    let number = |operator: &str, part: Option<&Json>| {
        let value = part.and_then(|part| match part {
            Json::Number(_) => part.as_f64(),
            _ => None,
        });
        let value = value.ok_or_else(|| format!("Value of {operator} must be numeric"))?;
        within(value, &part.map(Json::to_text).unwrap_or_default())?;
        Ok::<f64, String>(value)
    };
    let Some(first) = parts.first() else {
        return Err("Invalid member in numeric match: ]".to_owned());
    };
    let Some(operator) = first.as_str() else {
        return Err(format!("Invalid member in numeric match: {}", member(first)));
    };
    if !matches!(operator, "<" | "<=" | "=" | ">" | ">=") {
        return Err(format!("Unrecognized numeric range operator: {operator}"));
    }
    let bottom = number(if operator == "=" { "equals" } else { operator }, parts.get(1))?;
    let Some(second) = parts.get(2) else { return Ok(()) };
    if !matches!(operator, ">" | ">=") {
        return Err("Too many elements in numeric expression".to_owned());
    }
    let Some(second) = second.as_str() else {
        return Err(format!("Bad value in numeric range: {}", member(second)));
    };
    if !matches!(second, "<" | "<=") {
        return Err(format!("Bad numeric range operator: {second}"));
    }
    let top = number(second, parts.get(3))?;
    if top <= bottom {
        return Err("Bottom must be less than top".to_owned());
    }
    if parts.len() > 4 {
        return Err("Too many terms in numeric range expression".to_owned());
    }
    Ok(())
}

fn cidr(text: &str) -> Result<(), String> {
    let Some((address, bits)) = text.split_once('/').filter(|(_, bits)| !bits.contains('/')) else {
        return Err("Malformed CIDR, one '/' required".to_owned());
    };
    let Ok(bits) = bits.parse::<i64>() else {
        return Err("Malformed CIDR, mask bits must be an integer".to_owned());
    };
    if bits < 0 {
        return Err("Malformed CIDR, mask bits must not be negative".to_owned());
    }
    match address.parse::<IpAddr>() {
        Err(_) => Err(format!("Nonstandard IP address: {address}")),
        Ok(IpAddr::V4(_)) if bits > 32 => Err("IPv4 mask bits must be < 32".to_owned()),
        Ok(IpAddr::V6(_)) if bits > 128 => Err("IPv6 mask bits must be < 128".to_owned()),
        Ok(_) => Ok(()),
    }
}

/// Whether a policy lets a message through. Of a body that is no JSON object nothing is let through.
pub(super) fn lets_through(
    filter: &Pattern,
    scope: Scope,
    message: &str,
    publish: &Publish,
) -> bool {
    match scope {
        Scope::Body => Json::parse(message)
            .is_ok_and(|message| message.as_object().is_some() && filter.matches(&message)),
        Scope::Attributes => {
            let attributes = publish.attributes.iter();
            let attributes = attributes
                .filter_map(|(name, attribute)| Some((Arc::clone(name), looked_at(attribute)?)));
            let attributes = Json::object(attributes);
            // Without any attribute even `{"exists": false}` does not hold.
            attributes.as_object().is_some_and(|object| !object.is_empty())
                && filter.matches(&attributes)
        }
    }
}

/// An attribute as policies look at it. `None`: they do not look at bytes.
fn looked_at(attribute: &Attribute) -> Option<Json> {
    let AttributeValue::Text(text) = &attribute.value else { return None };
    Some(match &*attribute.kind {
        "String.Array" => Json::parse(text).unwrap_or_else(|_| Json::String(Arc::clone(text))),
        kind if kind == "Number" || kind.starts_with("Number.") => {
            Number::from_text(text).map_or_else(|| Json::String(Arc::clone(text)), Json::Number)
        }
        _ => Json::String(Arc::clone(text)),
    })
}
