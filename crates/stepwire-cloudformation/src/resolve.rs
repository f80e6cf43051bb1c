//! What functions come to once the resources they refer to exist.

use stepwire_asl::Json;

use crate::expanded::Unknown;
use crate::function::{Evaluator, Found, Names};
use crate::value::{Place, Value};

/// The resources that exist.
pub trait Scope {
    /// What `Ref` of the resource gives.
    fn reference(&self, logical_id: &str) -> Option<Json>;
    /// What `Fn::GetAtt` of the resource gives; `name` may have dots.
    fn attribute(&self, logical_id: &str, name: &str) -> Option<Json>;
}

/// A function cannot be worked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unresolved {
    /// Where the function stands.
    pub place: Place,
    /// Why.
    pub message: String,
}

/// `value` with its functions worked out. Members and items that are `AWS::NoValue` are left out.
///
/// Errors: something refers to a resource or an attribute that `scope` does not have, or a function
/// gets what it cannot take.
pub fn resolve(value: &Value, scope: &dyn Scope) -> Result<Json, Unresolved> {
    let names = Existing(scope);
    let mut evaluator = Evaluator::new(&names);
    let resolved = evaluator.evaluate(value);
    match evaluator.problems.into_iter().next() {
        Some(problem) => Err(Unresolved { place: problem.place, message: problem.message }),
        None => Ok(resolved.map_or(Json::Null, |value| value.to_json())),
    }
}

struct Existing<'a>(&'a dyn Scope);

impl Names for Existing<'_> {
    fn reference(&self, name: &str) -> Found {
        if name == "AWS::NoValue" {
            return Found::Nothing;
        }
        self.0.reference(name).map_or(Found::Missing, |json| Found::Is(Value::from_json(&json)))
    }

    fn attribute(&self, resource: &str, name: &str) -> Found {
        self.0
            .attribute(resource, name)
            .map_or(Found::Missing, |json| Found::Is(Value::from_json(&json)))
    }

    fn condition(&self, _: &str) -> Option<bool> {
        None
    }

    fn mapping(&self, _: &str) -> Option<&Value> {
        None
    }

    fn import(&self, _: &str) -> Option<Value> {
        None
    }

    fn stored(&self, _: &str) -> Option<Value> {
        None
    }

    fn region(&self) -> &'static str {
        ""
    }

    fn is_extended(&self) -> bool {
        true
    }

    fn unknown(&self) -> Unknown {
        Unknown::Refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct One;
    impl Scope for One {
        fn reference(&self, logical_id: &str) -> Option<Json> {
            (logical_id == "Queue").then(|| Json::from("https://queue"))
        }
        fn attribute(&self, logical_id: &str, name: &str) -> Option<Json> {
            (logical_id == "Queue").then(|| Json::from(format!("arn:{name}")))
        }
    }

    fn of(text: &str) -> Result<String, String> {
        let value = Value::from_json(&Json::parse(text).expect("JSON"));
        resolve(&value, &One).map(|json| json.to_text()).map_err(|told| told.message)
    }

    #[test]
    fn functions_take_what_exists() {
        let sub = r#"{"Fn::Sub":["${Queue} ${Queue.A.B} ${x} ${!Literal}",{"x":{"Fn::GetAtt":["Queue","Arn"]}}]}"#;
        assert_eq!(of(sub).as_deref(), Ok(r#""https://queue arn:A.B arn:Arn ${Literal}""#));
        let select = r#"{"Fn::Select":[2,{"Fn::Split":["/",{"Ref":"Queue"}]}]}"#;
        assert_eq!(of(select).as_deref(), Ok(r#""queue""#));
        let none = r#"{"a":{"Ref":"AWS::NoValue"},"b":[{"Ref":"AWS::NoValue"},1.0]}"#;
        assert_eq!(of(none).as_deref(), Ok(r#"{"b":[1.0]}"#));
        let device = r#"{"Ref":"AWS::IoT::Certificate::Id"}"#;
        assert_eq!(of(device).as_deref(), Ok(device));
    }

    #[test]
    fn what_does_not_exist_is_told_by_name() {
        assert!(of(r#"{"Ref":"Nobody"}"#).is_err_and(|told| told.contains("Nobody")));
        assert!(of(r#"{"Fn::GetAtt":["Nobody","Arn"]}"#).is_err_and(|told| told.contains("Arn")));
    }
}
