//! What the members of a request may be, and AWS's sentences about one that is not.
//!
//! Two kinds of refusal, as on AWS: what cannot be read as the member's type is a
//! `SerializationException`; what can be read and breaks constraints is a `ValidationException` that
//! lists all of them.

use stepwire_asl::Json;

use crate::error::ApiError;
use crate::params::SHOWN_MAX;

/// What a value may be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// A string of this many characters; within the pattern, if there is one.
    Text(usize, usize, Option<&'static Pattern>),
    /// One of these words.
    Word(&'static [&'static str]),
    /// An integer in this range, bounds included.
    Whole(i64, i64),
    /// A number in this range, bounds included.
    Real(f64, f64),
    /// True or false.
    Truth,
    /// A list of this many items.
    List(&'static Shape, usize, usize),
    /// Keys of the caller's choice, each with a value of this shape.
    Map(&'static Shape),
    /// A structure: its name in the service's model, and its members.
    Structure(&'static str, &'static [Member]),
}

/// A member of a structure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member {
    /// Its name on the wire.
    pub(crate) name: &'static str,
    /// Whether it must be there.
    pub(crate) required: bool,
    /// What it may be.
    pub(crate) shape: Shape,
}

/// A pattern of a model: its text, as the sentence shows it, and what it accepts.
#[derive(Debug)]
pub(crate) struct Pattern {
    /// The regular expression.
    pub(crate) text: &'static str,
    /// Whether a value is within it.
    pub(crate) accepts: fn(&str) -> bool,
}

/// A member that must be there.
pub(crate) const fn required(name: &'static str, shape: Shape) -> Member {
    Member { name, required: true, shape }
}

/// A member that may be absent.
pub(crate) const fn optional(name: &'static str, shape: Shape) -> Member {
    Member { name, required: false, shape }
}

/// Refuses a body that is not what an operation takes.
pub(crate) fn check(body: &Json, members: &[Member]) -> Result<(), ApiError> {
    let mut broken = Vec::new();
    structure(body, members, "", &mut broken)?;
    if broken.is_empty() {
        return Ok(());
    }
    let (count, s) = (broken.len(), if broken.len() == 1 { "" } else { "s" });
    let list = broken.join("; ");
    let message = format!("{count} validation error{s} detected: {list}");
    Err(ApiError::new("ValidationException", message))
}

fn structure(
    value: &Json,
    members: &[Member],
    path: &str,
    broken: &mut Vec<String>,
) -> Result<(), ApiError> {
    let Some(given) = value.as_object() else { return Err(mistyped(value, "a structure")) };
    if let Some(unknown) = given.keys().find(|name| !members.iter().any(|m| m.name == &***name)) {
        let known: Vec<_> = members.iter().map(|member| member.name).collect();
        let known = known.join(", ");
        let message =
            format!("Unknown parameter in input: \"{path}{unknown}\", must be one of: {known}");
        return Err(ApiError::new("ValidationException", message));
    }
    for member in members {
        let path = format!("{path}{}", member.name);
        match given.get(member.name).filter(|value| !value.is_null()) {
            Some(value) => within(value, member.shape, &path, broken)?,
            None if member.required => {
                broken.push(sentence(None, &path, "Member must not be null"));
            }
            None => {}
        }
    }
    Ok(())
}

fn within(
    value: &Json,
    shape: Shape,
    path: &str,
    broken: &mut Vec<String>,
) -> Result<(), ApiError> {
    let mut breaks = |constraint: String| {
        broken.push(sentence(Some(&shown(value, shape)), path, &constraint));
    };
    match shape {
        Shape::Text(min, max, pattern) => {
            let text = value.as_str().ok_or_else(|| mistyped(value, "a String"))?;
            if let Some(bound) = length(text.chars().count(), min, max) {
                breaks(bound);
            }
            if let Some(pattern) = pattern.filter(|pattern| !(pattern.accepts)(text)) {
                let pattern = pattern.text;
                breaks(format!("Member must satisfy regular expression pattern: {pattern}"));
            }
        }
        Shape::Word(words) => {
            let word = value.as_str().ok_or_else(|| mistyped(value, "a String"))?;
            if !words.contains(&word) {
                let words = words.join(", ");
                breaks(format!("Member must satisfy enum value set: [{words}]"));
            }
        }
        Shape::Whole(min, max) => {
            let number = value.as_i64().ok_or_else(|| mistyped(value, "an Integer"))?;
            if number < min {
                breaks(format!("Member must have value greater than or equal to {min}"));
            }
            if number > max {
                breaks(format!("Member must have value less than or equal to {max}"));
            }
        }
        Shape::Real(min, max) => {
            let number = value.as_f64().ok_or_else(|| mistyped(value, "a Float"))?;
            if number < min {
                breaks(format!("Member must have value greater than or equal to {min}"));
            }
            if number > max {
                breaks(format!("Member must have value less than or equal to {max}"));
            }
        }
        Shape::Truth => {
            value.as_bool().ok_or_else(|| mistyped(value, "a Boolean"))?;
        }
        Shape::List(item, min, max) => {
            let items = value.as_array().ok_or_else(|| mistyped(value, "a list"))?;
            if let Some(bound) = length(items.len(), min, max) {
                breaks(bound);
            }
            for (at, value) in items.iter().enumerate() {
                within(value, *item, &format!("{path}.{}.member", at + 1), broken)?;
            }
        }
        Shape::Map(shape) => {
            let entries = value.as_object().ok_or_else(|| mistyped(value, "a structure"))?;
            for (key, value) in entries {
                within(value, *shape, &format!("{path}.{key}.member"), broken)?;
            }
        }
        Shape::Structure(_, members) => structure(value, members, &format!("{path}."), broken)?,
    }
    Ok(())
}

/// The bound that a length breaks.
fn length(length: usize, min: usize, max: usize) -> Option<String> {
    if length < min {
        Some(format!("Member must have length greater than or equal to {min}"))
    } else if length > max {
        Some(format!("Member must have length less than or equal to {max}"))
    } else {
        None
    }
}

/// AWS's sentence about one value that breaks one constraint.
fn sentence(value: Option<&str>, path: &str, constraint: &str) -> String {
    let value = match value {
        None => " null".to_owned(),
        Some(value) if value.len() > SHOWN_MAX => String::new(),
        Some(value) => format!(" '{value}'"),
    };
    format!("Value{value} at '{path}' failed to satisfy constraint: {constraint}")
}

/// A value as Java prints it.
fn shown(value: &Json, shape: Shape) -> String {
    match (value, shape) {
        (Json::String(text), _) => text.to_string(),
        (Json::Array(items), Shape::List(item, ..)) => {
            let items: Vec<_> = items.iter().map(|value| shown(value, *item)).collect();
            format!("[{}]", items.join(", "))
        }
        (Json::Object(given), Shape::Structure(name, members)) => {
            let parts = members.iter().filter_map(|member| {
                let value = given.get(member.name)?;
                Some(format!("{}={}", member.name, shown(value, member.shape)))
            });
            format!("{name}({})", parts.collect::<Vec<_>>().join(", "))
        }
        (other, _) => other.to_text(),
    }
}

/// A value that cannot be read as what its member is.
fn mistyped(value: &Json, wanted: &str) -> ApiError {
    let message = match (value, wanted) {
        (_, "a list") => "Expected list or null".to_owned(),
        (_, "a structure") => "Expected structure or null".to_owned(),
        (Json::Object(_), _) => "Start of structure or map found where not expected.".to_owned(),
        (Json::Array(_), _) => "Start of list found where not expected.".to_owned(),
        (Json::Bool(true), _) => format!("TRUE_VALUE can not be converted to {wanted}"),
        (Json::Bool(false), _) => format!("FALSE_VALUE can not be converted to {wanted}"),
        (Json::Number(_), _) => format!("NUMBER_VALUE can not be converted to {wanted}"),
        (Json::String(_), _) => format!("STRING_VALUE can not be converted to {wanted}"),
        (Json::Null, _) => format!("NULL_VALUE can not be converted to {wanted}"),
    };
    ApiError::new("SerializationException", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTE: Shape = Shape::Structure(
        "Route",
        &[required("arn", Shape::Text(1, 9, None)), required("weight", Shape::Whole(0, 100))],
    );
    const MEMBERS: &[Member] = &[
        required("name", Shape::Text(1, 3, None)),
        optional("level", Shape::Word(&["ON", "OFF"])),
        optional("routes", Shape::List(&ROUTE, 1, 1)),
    ];

    fn refused(body: &str) -> (String, String) {
        let body = Json::parse(body).expect("JSON");
        let error = check(&body, MEMBERS).expect_err("it breaks a constraint");
        (error.code.into_owned(), error.message)
    }

    #[test]
    fn every_broken_constraint_is_listed_in_the_order_of_the_model() {
        let (code, message) = refused(r#"{"level":"UP","name":"long"}"#);
        assert_eq!(code, "ValidationException");
        assert_eq!(
            message,
            "2 validation errors detected: Value 'long' at 'name' failed to satisfy constraint: \
             Member must have length less than or equal to 3; Value 'UP' at 'level' failed to \
             satisfy constraint: Member must satisfy enum value set: [ON, OFF]"
        );
    }

    #[test]
    fn values_in_lists_are_shown_and_placed_as_java_does() {
        let routes = r#"{"name":"n","routes":[{"arn":"a","weight":1},{"arn":"b","weight":101}]}"#;
        assert_eq!(
            refused(routes).1,
            "2 validation errors detected: Value '[Route(arn=a, weight=1), Route(arn=b, \
             weight=101)]' at 'routes' failed to satisfy constraint: Member must have length less \
             than or equal to 1; Value '101' at 'routes.2.member.weight' failed to satisfy \
             constraint: Member must have value less than or equal to 100"
        );
    }

    #[test]
    fn a_missing_member_is_null() {
        assert_eq!(
            refused("{}").1,
            "1 validation error detected: Value null at 'name' failed to satisfy constraint: \
             Member must not be null"
        );
    }

    #[test]
    fn what_cannot_be_read_is_a_serialization_exception() {
        for (body, message) in [
            (r#"{"name":1}"#, "NUMBER_VALUE can not be converted to a String"),
            (r#"{"name":{}}"#, "Start of structure or map found where not expected."),
            (r#"{"name":"n","routes":{}}"#, "Expected list or null"),
            (
                r#"{"name":"n","routes":[{"arn":"a","weight":"1"}]}"#,
                "STRING_VALUE can not be converted to an Integer",
            ),
        ] {
            assert_eq!(refused(body), ("SerializationException".into(), message.into()), "{body}");
        }
    }

    #[test]
    fn an_unknown_member_is_named_with_those_there_are() {
        assert_eq!(
            refused(r#"{"name":"n","nmae":"x"}"#).1,
            "Unknown parameter in input: \"nmae\", must be one of: name, level, routes"
        );
    }
}
