//! Attributes of things and groups, and tests of what requests say about them.

use std::collections::BTreeMap;
use std::sync::Arc;

use stepwire_asl::Json;

use crate::error::ApiError;
use crate::params::Params;

/// Values by name.
pub type Attributes = BTreeMap<Arc<str>, Arc<str>>;

/// Most attributes of a group, and of a thing with a thing type.
pub(super) const ATTRIBUTES_MAX: usize = 50;
/// Longest description, characters.
const DESCRIPTION_MAX: usize = 2_028;

/// `attributePayload` of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttributePayload {
    /// `attributes`; an empty value removes one.
    pub attributes: Option<Attributes>,
    /// `merge`: keep the others.
    pub merge: bool,
}

impl AttributePayload {
    /// What `attributePayload` of `p` says.
    pub(super) fn parse(p: &Params<'_>) -> Result<AttributePayload, ApiError> {
        let Some(payload) = p.get("attributePayload") else {
            return Ok(AttributePayload::default());
        };
        let inner = Params::new(payload, "InvalidRequestException");
        inner.only(&["attributes", "merge"])?;
        let merge = inner.optional_bool("merge")?.unwrap_or(false);
        let Some(given) = inner.get("attributes") else {
            return Ok(AttributePayload { attributes: None, merge });
        };
        let given = given.as_object();
        let given = given.ok_or_else(|| p.invalid("attributes", "it must be a map of text"))?;
        let mut attributes = Attributes::new();
        for (name, value) in given {
            attributes.insert(attribute_name(p, name)?, attribute_value(p, name, value)?);
        }
        Ok(AttributePayload { attributes: Some(attributes), merge })
    }

    /// The attributes of something new, none of them empty.
    pub(super) fn of_new(p: &Params<'_>) -> Result<Attributes, ApiError> {
        let attributes = AttributePayload::parse(p)?.attributes.unwrap_or_default();
        match attributes.iter().find(|(_, value)| value.is_empty()) {
            Some((name, _)) => Err(p.invalid("attributes", &format!("`{name}` is empty"))),
            None => Ok(attributes),
        }
    }

    /// What `there` becomes; the same without `attributes`.
    pub(super) fn applied_to(&self, there: &Attributes) -> Attributes {
        let Some(given) = &self.attributes else { return there.clone() };
        let mut attributes = if self.merge { there.clone() } else { Attributes::new() };
        for (name, value) in given {
            if value.is_empty() {
                attributes.remove(name);
            } else {
                attributes.insert(Arc::clone(name), Arc::clone(value));
            }
        }
        attributes
    }
}

/// `[a-zA-Z0-9_.,@/:#-]{1,128}`
pub(super) fn attribute_name(p: &Params<'_>, name: &str) -> Result<Arc<str>, ApiError> {
    if name.is_empty() || name.len() > 128 || !name.chars().all(fits_name) {
        return Err(p.invalid("attributes", &format!("`{name}` is not an attribute's name")));
    }
    Ok(name.into())
}

/// `[a-zA-Z0-9_.,@/:#=\[\]-]{0,800}`
fn attribute_value(p: &Params<'_>, name: &str, value: &Json) -> Result<Arc<str>, ApiError> {
    let fits = |c: char| fits_name(c) || "=[]".contains(c);
    let value = value.as_str().filter(|value| value.len() <= 800 && value.chars().all(fits));
    value.map(Arc::from).ok_or_else(|| {
        let why = "must match [a-zA-Z0-9_.,@/:#=\\[\\]-]* and have at most 800 characters";
        p.invalid("attributes", &format!("the value of `{name}` {why}"))
    })
}

fn fits_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_.,@/:#-".contains(c)
}

/// `[\p{Graph}\x20]{0,2028}`: a description of a type or group.
pub(super) fn description(p: &Params<'_>, member: &str) -> Result<Option<Arc<str>>, ApiError> {
    let Some(text) = p.optional_text_within(member, DESCRIPTION_MAX)? else { return Ok(None) };
    if text.chars().all(|c| matches!(c, ' '..='~')) {
        return Ok(Some(text.into()));
    }
    let constraint = "Member must satisfy regular expression pattern: [\\p{Graph}\\x20]*";
    Err(p.broken(member, Some(text), constraint))
}

/// As answers and events show them.
pub(super) fn shown(attributes: &Attributes) -> Json {
    let members = attributes.iter();
    Json::object(members.map(|(name, value)| (Arc::clone(name), Json::String(Arc::clone(value)))))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn payload(body: &str) -> Result<AttributePayload, ApiError> {
        let body = Json::parse(body).unwrap();
        AttributePayload::parse(&Params::new(&body, "InvalidRequestException"))
    }

    fn applied(body: &str) -> String {
        let there = [("a", "1"), ("b", "2")].map(|(n, v)| (n.into(), v.into()));
        shown(&payload(body).unwrap().applied_to(&there.into())).to_text()
    }

    #[test]
    fn attributes_replace_or_join_those_there_are() {
        for (body, expected) in [
            (r"{}", r#"{"a":"1","b":"2"}"#),
            (r#"{"attributePayload":{}}"#, r#"{"a":"1","b":"2"}"#),
            (r#"{"attributePayload":{"attributes":{}}}"#, r"{}"),
            (r#"{"attributePayload":{"attributes":{"b":"3"}}}"#, r#"{"b":"3"}"#),
            (
                r#"{"attributePayload":{"attributes":{"a":"","c":"3"},"merge":true}}"#,
                r#"{"b":"2","c":"3"}"#,
            ),
        ] {
            assert_eq!(applied(body), expected, "{body}");
        }
    }

    #[test]
    fn names_and_values_outside_their_patterns_are_refused_by_name() {
        for (attributes, why) in [
            (r#"{"a b":"1"}"#, "`a b` is not an attribute's name"),
            (r#"{"":"1"}"#, "`` is not an attribute's name"),
            (r#"{"a":"1 2"}"#, "the value of `a` must match"),
            (r#"{"a":1}"#, "the value of `a` must match"),
        ] {
            let body = format!(r#"{{"attributePayload":{{"attributes":{attributes}}}}}"#);
            let error = payload(&body).unwrap_err();
            assert!(error.message.contains(why), "{attributes}: {}", error.message);
        }
    }
}
