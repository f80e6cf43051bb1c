//! Messages: bodies, attributes, and the sums that tell whether they arrived whole.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use stepwire_asl::Json;

use super::invalid;
use super::record::{Attribute, AttributeValue, Message};
use crate::error::ApiError;
use crate::hex::hex;

/// Most attributes of a message.
const ATTRIBUTES_MAX: usize = 10;

/// The attributes that a request gives, in order of name.
pub(crate) fn attributes(given: Option<&Json>) -> Result<Vec<(Arc<str>, Attribute)>, ApiError> {
    let attributes = attributes_of_any_number(given)?;
    if attributes.len() > ATTRIBUTES_MAX {
        let message = format!(
            "Number of message attributes [{}] exceeds the allowed maximum [{ATTRIBUTES_MAX}].",
            attributes.len()
        );
        return Err(ApiError::new("InvalidParameterValue", message));
    }
    Ok(attributes)
}

/// The same for messages that are for queues only perhaps.
pub(crate) fn attributes_of_any_number(
    given: Option<&Json>,
) -> Result<Vec<(Arc<str>, Attribute)>, ApiError> {
    let given = given.and_then(Json::as_object).into_iter().flatten();
    let mut attributes = Vec::new();
    for (name, value) in given {
        attributes.push((Arc::clone(name), attribute(name, value)?));
    }
    attributes.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(attributes)
}

fn attribute(name: &str, given: &Json) -> Result<Attribute, ApiError> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    let lower = name.to_ascii_lowercase();
    let reserved = lower.starts_with("aws.") || lower.starts_with("amazon.");
    let dots = name.starts_with('.') || name.ends_with('.') || name.contains("..");
    if name.is_empty() || name.len() > 256 || !name.bytes().all(known) || reserved || dots {
        let message = format!("The message attribute name '{name}' is invalid.");
        return Err(ApiError::new("InvalidParameterValue", message));
    }
    let text = |member: &str| given.member(member).and_then(Json::as_str);
    let kind = text("DataType").filter(|kind| !kind.is_empty()).ok_or_else(|| {
        let message = format!(
            "The message attribute '{name}' must contain non-empty message attribute type."
        );
        ApiError::new("InvalidParameterValue", message)
    })?;
    let empty = || {
        let message = format!(
            "The message attribute '{name}' must contain non-empty message attribute value for \
             message attribute type '{kind}'."
        );
        ApiError::new("InvalidParameterValue", message)
    };
    let value = match kind.split('.').next() {
        Some("String" | "Number") => {
            let value = text("StringValue").filter(|value| !value.is_empty()).ok_or_else(empty)?;
            if kind.starts_with("Number") && value.parse::<f64>().is_err() {
                let message =
                    format!("Can't cast the value of message attribute '{name}' to a number.");
                return Err(ApiError::new("InvalidParameterValue", message));
            }
            AttributeValue::Text(value.into())
        }
        Some("Binary") => {
            let value = text("BinaryValue").filter(|value| !value.is_empty()).ok_or_else(empty)?;
            let bytes = STANDARD.decode(value);
            AttributeValue::Binary(bytes.map_err(|_| invalid("BinaryValue", "it must be base64"))?)
        }
        _ => {
            let message = format!(
                "The message attribute '{name}' has an invalid message attribute type, the set of \
                 supported type prefixes is Binary, Number, and String."
            );
            return Err(ApiError::new("InvalidParameterValue", message));
        }
    };
    Ok(Attribute { kind: kind.into(), value })
}

impl Attribute {
    /// As requests give it and answers show it.
    pub(crate) fn shown(&self) -> Json {
        let value = match &self.value {
            AttributeValue::Text(text) => ("StringValue", Json::String(Arc::clone(text))),
            AttributeValue::Binary(bytes) => ("BinaryValue", STANDARD.encode(bytes).into()),
        };
        Json::object([value, ("DataType", Json::String(Arc::clone(&self.kind)))])
    }

    fn bytes(&self) -> &[u8] {
        match &self.value {
            AttributeValue::Text(text) => text.as_bytes(),
            AttributeValue::Binary(bytes) => bytes,
        }
    }
}

/// The bytes that an attribute counts with its name.
pub(crate) fn bytes_of((name, attribute): &(Arc<str>, Attribute)) -> usize {
    name.len() + attribute.kind.len() + attribute.bytes().len()
}

impl Message {
    /// Bytes of body and attributes, as the limit counts them.
    pub(super) fn size(&self) -> usize {
        self.body.len() + self.attributes.iter().map(bytes_of).sum::<usize>()
    }
}

/// The MD5 of a body, in hex.
pub(super) fn md5_of_body(body: &str) -> String {
    hex(&Md5::digest(body.as_bytes()))
}

/// The MD5 of attributes, in hex. `None`: there are none.
///
/// Source: Amazon SQS developer guide, "Calculating the MD5 message digest for message attributes".
pub(super) fn md5_of_attributes<'a>(
    attributes: impl Iterator<Item = &'a (Arc<str>, Attribute)>,
) -> Option<String> {
    let mut sum = Md5::new();
    let mut some = false;
    for (name, attribute) in attributes {
        some = true;
        let kind = match attribute.value {
            AttributeValue::Text(_) => 1_u8,
            AttributeValue::Binary(_) => 2,
        };
        for part in [name.as_bytes(), attribute.kind.as_bytes()] {
            sum.update((part.len() as u32).to_be_bytes());
            sum.update(part);
        }
        sum.update([kind]);
        sum.update((attribute.bytes().len() as u32).to_be_bytes());
        sum.update(attribute.bytes());
    }
    some.then(|| hex(&sum.finalize()))
}
