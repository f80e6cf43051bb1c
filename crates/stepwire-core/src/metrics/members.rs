//! Reading the members of CloudWatch's requests.
//!
//! The query protocol and the templates of rules write numbers, truth values and times as text, so
//! each is taken both ways.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::record::{MetricId, Unit};
use crate::error::ApiError;
use crate::params::broken;

/// A value is refused.
pub(crate) const INVALID: &str = "InvalidParameterValueException";
/// Something that must be there is not.
pub(crate) const MISSING: &str = "MissingRequiredParameterException";
/// Members that do not go together.
pub(crate) const COMBINATION: &str = "InvalidParameterCombinationException";
/// A constraint of the service's model is broken.
pub(crate) const VALIDATION: &str = "ValidationError";

/// Most dimensions of a metric.
const DIMENSIONS_MAX: usize = 30;
/// Longest name and longest value of a dimension, characters.
const DIMENSION_CHARS_MAX: (usize, usize) = (255, 1_024);

/// Names and values.
pub(crate) type Pairs = Vec<(Arc<str>, Arc<str>)>;

/// A structure of a request, and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Members<'a> {
    body: &'a Json,
    path: String,
}

impl<'a> Members<'a> {
    /// The members of a request's body. Refuses, by name, any that is not in `known`.
    pub(crate) fn of(body: &'a Json, known: &[&str]) -> Result<Members<'a>, ApiError> {
        Members { body, path: String::new() }.only(known)
    }

    fn only(self, known: &[&str]) -> Result<Members<'a>, ApiError> {
        let place = self.path.strip_suffix('.').unwrap_or("the request");
        let Some(members) = self.body.as_object() else {
            let why = format!("{place} must be a structure");
            return Err(ApiError::new("SerializationException", why));
        };
        match members.iter().find(|(name, value)| !value.is_null() && !known.contains(&&***name)) {
            None => Ok(self),
            Some((name, _)) => {
                let why = format!("parameter `{}{name}` is not available in stepwire", self.path);
                Err(ApiError::new(VALIDATION, why))
            }
        }
    }

    /// The name of a member with where it stands.
    pub(crate) fn place(&self, name: &str) -> String {
        format!("{}{name}", self.path)
    }

    /// The member, unless absent or null.
    pub(crate) fn get(&self, name: &str) -> Option<&'a Json> {
        self.body.member(name).filter(|value| !value.is_null())
    }

    /// That member `name` must be there.
    pub(crate) fn missing(&self, name: &str) -> ApiError {
        let why = format!("The parameter {} is required.", self.place(name));
        ApiError::new(MISSING, why)
    }

    /// That member `name` is wrong, and why.
    pub(crate) fn invalid(&self, name: &str, why: &str) -> ApiError {
        let shown = self.get(name).map(shown).unwrap_or_default();
        let place = self.place(name);
        let why = format!("The value {shown} for parameter {place} is invalid. {why}");
        ApiError::new(INVALID, why.trim_end())
    }

    /// That member `name` breaks a constraint of the model.
    fn breaks(&self, name: &str, value: &str, constraint: &str) -> ApiError {
        let path = self.place(name);
        let camel = path.split('.').map(|part| {
            let mut chars = part.chars();
            let first = chars.next().map(|first| first.to_ascii_lowercase());
            first.into_iter().chain(chars).collect::<String>()
        });
        let camel = camel.collect::<Vec<_>>().join(".");
        ApiError::new(VALIDATION, broken(&camel, Some(value), constraint))
    }

    /// The text of a member that may be absent, of `min` to `max` characters without control ones.
    pub(crate) fn optional_text(
        &self,
        name: &str,
        min: usize,
        max: usize,
    ) -> Result<Option<&'a str>, ApiError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let text = value.as_str().ok_or_else(|| self.mistyped(name, "a string"))?;
        let length = text.chars().count();
        if length < min {
            let constraint = format!("Member must have length greater than or equal to {min}");
            return Err(self.breaks(name, text, &constraint));
        }
        if length > max {
            let constraint = format!("Member must have length less than or equal to {max}");
            return Err(self.breaks(name, text, &constraint));
        }
        Ok(Some(text))
    }

    /// The text of a member that must be there.
    pub(crate) fn text(&self, name: &str, min: usize, max: usize) -> Result<&'a str, ApiError> {
        self.optional_text(name, min, max)?.ok_or_else(|| self.missing(name))
    }

    /// The text of a member that names something: no control characters.
    pub(crate) fn optional_name(
        &self,
        name: &str,
        max: usize,
    ) -> Result<Option<Arc<str>>, ApiError> {
        match self.optional_text(name, 1, max)? {
            Some(text) if text.chars().any(char::is_control) => {
                Err(self.invalid(name, "It has control characters."))
            }
            text => Ok(text.map(Arc::from)),
        }
    }

    /// The same of a member that must be there.
    pub(crate) fn name(&self, name: &str, max: usize) -> Result<Arc<str>, ApiError> {
        self.optional_name(name, max)?.ok_or_else(|| self.missing(name))
    }

    /// A finite number within what CloudWatch holds: its magnitude is at most 2^360.
    pub(crate) fn optional_number(&self, name: &str) -> Result<Option<f64>, ApiError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = number(value).ok_or_else(|| self.mistyped(name, "a number"))?;
        if number.is_finite() && number.abs() <= 360_f64.exp2() {
            Ok(Some(number))
        } else {
            Err(self.invalid(name, ""))
        }
    }

    /// The same of a member that must be there.
    pub(crate) fn number(&self, name: &str) -> Result<f64, ApiError> {
        self.optional_number(name)?.ok_or_else(|| self.missing(name))
    }

    /// An integer of `min` to `max`.
    pub(crate) fn optional_whole(
        &self,
        name: &str,
        min: i64,
        max: i64,
    ) -> Result<Option<i64>, ApiError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let whole = value.as_i64().or_else(|| value.as_str()?.parse().ok());
        let whole = whole.ok_or_else(|| self.mistyped(name, "an integer"))?;
        let constraint = if whole < min {
            format!("Member must have value greater than or equal to {min}")
        } else if whole > max {
            format!("Member must have value less than or equal to {max}")
        } else {
            return Ok(Some(whole));
        };
        Err(self.breaks(name, &shown(value), &constraint))
    }

    /// A truth value.
    pub(crate) fn optional_truth(&self, name: &str) -> Result<Option<bool>, ApiError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let truth = value.as_bool().or_else(|| value.as_str()?.parse().ok());
        truth.map(Some).ok_or_else(|| self.mistyped(name, "true or false"))
    }

    /// A time: seconds since 1970, or ISO 8601.
    pub(crate) fn optional_time(&self, name: &str) -> Result<Option<Timestamp>, ApiError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let written = value.as_str().and_then(Timestamp::parse);
        let seconds = number(value).filter(|seconds| seconds.is_finite());
        let time = written.or_else(|| seconds.map(|s| Timestamp((s * 1_000.0).round() as i64)));
        time.map(Some).ok_or_else(|| self.mistyped(name, "a time"))
    }

    /// The same of a member that must be there.
    pub(crate) fn time(&self, name: &str) -> Result<Timestamp, ApiError> {
        self.optional_time(name)?.ok_or_else(|| self.missing(name))
    }

    /// One of some words.
    pub(crate) fn optional_word<T: Copy>(
        &self,
        name: &str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, ApiError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let text = value.as_str().ok_or_else(|| self.mistyped(name, "a string"))?;
        if let Some((_, word)) = words.iter().find(|(word, _)| *word == text) {
            return Ok(Some(*word));
        }
        let all = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        let constraint = format!("Member must satisfy enum value set: [{all}]");
        Err(self.breaks(name, text, &constraint))
    }

    /// `Unit`.
    pub(crate) fn unit(&self) -> Result<Option<Unit>, ApiError> {
        let Some(value) = self.get("Unit") else { return Ok(None) };
        let unit = value.as_str().and_then(Unit::named);
        unit.map(Some).ok_or_else(|| self.invalid("Unit", "It is no unit of CloudWatch."))
    }

    /// The items of a list, none if it is absent; at most `max`.
    pub(crate) fn list(&self, name: &str, max: usize) -> Result<&'a [Json], ApiError> {
        let items = match self.get(name) {
            None => return Ok(&[]),
            // an empty list of the query protocol
            Some(Json::String(text)) if text.is_empty() => return Ok(&[]),
            Some(value) => value.as_array().ok_or_else(|| self.mistyped(name, "a list"))?,
        };
        if items.len() > max {
            let place = self.place(name);
            let why = format!("The collection {place} must not have a size greater than {max}.");
            return Err(ApiError::new(INVALID, why));
        }
        Ok(items)
    }

    /// The structures of a list. Refuses, by name, members that are not in `known`.
    pub(crate) fn structures(
        &self,
        name: &str,
        max: usize,
        known: &[&str],
    ) -> Result<Vec<Members<'a>>, ApiError> {
        let items = self.list(name, max)?.iter().enumerate();
        let members = items.map(|(at, body)| {
            let path = format!("{}.member.{}.", self.place(name), at + 1);
            Members { body, path }.only(known)
        });
        members.collect()
    }

    /// The structure that a member is.
    pub(crate) fn structure(
        &self,
        name: &str,
        known: &[&str],
    ) -> Result<Option<Members<'a>>, ApiError> {
        let Some(body) = self.get(name) else { return Ok(None) };
        Members { body, path: format!("{}.", self.place(name)) }.only(known).map(Some)
    }

    /// The texts of a list.
    pub(crate) fn texts(&self, name: &str, max: usize) -> Result<Vec<Arc<str>>, ApiError> {
        let items = self.list(name, max)?.iter();
        let text = |item: &Json| item.as_str().map(Arc::from);
        items
            .map(|item| text(item).ok_or_else(|| self.mistyped(name, "a list of strings")))
            .collect()
    }

    /// The numbers of a list.
    pub(crate) fn numbers(&self, name: &str, max: usize) -> Result<Vec<f64>, ApiError> {
        let items = self.list(name, max)?.iter().map(|item| match number(item) {
            Some(number) if number.is_finite() && number.abs() <= 360_f64.exp2() => Ok(number),
            _ => {
                let (shown, place) = (shown(item), self.place(name));
                let why = format!("The value {shown} for parameter {place} is invalid.");
                Err(ApiError::new(INVALID, why))
            }
        });
        items.collect()
    }

    /// `Dimensions`, in order of name.
    pub(crate) fn dimensions(&self) -> Result<Pairs, ApiError> {
        let given = self.structures("Dimensions", DIMENSIONS_MAX, &["Name", "Value"])?;
        let (name_max, value_max) = DIMENSION_CHARS_MAX;
        let pair =
            |one: &Members<'a>| Ok((one.name("Name", name_max)?, one.name("Value", value_max)?));
        let mut all = given.iter().map(pair).collect::<Result<Vec<_>, ApiError>>()?;
        all.sort();
        if let Some([(name, _), _]) = all.array_windows().find(|[a, b]| a.0 == b.0) {
            let why = format!("No dimension may be given twice: {name}.");
            return Err(ApiError::new(INVALID, why));
        }
        Ok(all)
    }

    /// `Namespace`.
    pub(crate) fn namespace(&self) -> Result<Option<Arc<str>>, ApiError> {
        let namespace = self.optional_name("Namespace", 255)?;
        if namespace.as_ref().is_some_and(|namespace| namespace.starts_with(':')) {
            return Err(self.invalid("Namespace", "It begins with a colon."));
        }
        Ok(namespace)
    }

    /// `Namespace`, `MetricName` and `Dimensions`.
    pub(crate) fn metric(&self) -> Result<Arc<MetricId>, ApiError> {
        Ok(Arc::new(MetricId {
            namespace: self.namespace()?.ok_or_else(|| self.missing("Namespace"))?,
            name: self.name("MetricName", 255)?,
            dimensions: self.dimensions()?,
        }))
    }

    fn mistyped(&self, name: &str, wanted: &str) -> ApiError {
        let why = format!("`{}` must be {wanted}", self.place(name));
        ApiError::new("SerializationException", why)
    }
}

fn number(value: &Json) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

fn shown(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_text(), str::to_owned)
}

/// What the query protocol calls an error that is named `code` elsewhere.
///
/// Source: the service model of CloudWatch, `error.code` of its exceptions.
pub fn older_code(code: &str) -> &str {
    match code {
        "InvalidParameterValueException" => "InvalidParameterValue",
        "MissingRequiredParameterException" => "MissingParameter",
        "InvalidParameterCombinationException" => "InvalidParameterCombination",
        "InternalServiceFault" => "InternalServiceError",
        "LimitExceededFault" => "LimitExceeded",
        "InvalidFormatFault" => "InvalidFormat",
        other => other,
    }
}
