//! Reading the members of a request body.

use stepwire_asl::Json;

use crate::error::ApiError;

/// A request's members, and the error name of the service for a bad one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Params<'a> {
    body: &'a Json,
    code: &'static str,
}

impl<'a> Params<'a> {
    /// The members of `body`; what is wrong with them is reported under `code`.
    pub(crate) fn new(body: &'a Json, code: &'static str) -> Params<'a> {
        Params { body, code }
    }

    /// Refuses, by name, any member that is not in `known`: nothing is skipped silently.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), ApiError> {
        let Some(members) = self.body.as_object() else {
            return Err(ApiError::new(self.code, "the request body must be a JSON object"));
        };
        match members.keys().find(|name| !known.contains(&name.as_ref())) {
            Some(name) => {
                Err(ApiError::new(self.code, format!("parameter `{name}` is not supported")))
            }
            None => Ok(()),
        }
    }

    /// The member, unless absent or null.
    pub(crate) fn get(&self, name: &str) -> Option<&'a Json> {
        self.body.member(name).filter(|value| !value.is_null())
    }

    /// The text of a required member.
    pub(crate) fn text(&self, name: &str) -> Result<&'a str, ApiError> {
        self.optional_text(name)?.ok_or_else(|| self.broken(name, None, "Member must not be null"))
    }

    /// The text of a member that may be absent.
    pub(crate) fn optional_text(&self, name: &str) -> Result<Option<&'a str>, ApiError> {
        self.typed(name, "a string", Json::as_str)
    }

    /// The truth value of a member that may be absent.
    pub(crate) fn optional_bool(&self, name: &str) -> Result<Option<bool>, ApiError> {
        self.typed(name, "true or false", Json::as_bool)
    }

    /// The integer of a member that may be absent.
    pub(crate) fn optional_int(&self, name: &str) -> Result<Option<i64>, ApiError> {
        self.typed(name, "an integer", Json::as_i64)
    }

    /// The error that member `name` is wrong.
    pub(crate) fn invalid(&self, name: &str, why: &str) -> ApiError {
        ApiError::new(self.code, format!("value at `{name}` is not valid: {why}"))
    }

    /// The text of a member that may be absent, of at most `max` characters.
    pub(crate) fn optional_text_within(
        &self,
        name: &str,
        max: usize,
    ) -> Result<Option<&'a str>, ApiError> {
        let text = self.optional_text(name)?;
        match text.filter(|text| text.chars().count() > max) {
            None => Ok(text),
            Some(long) => {
                let constraint = format!("Member must have length less than or equal to {max}");
                Err(self.broken(name, Some(long), &constraint))
            }
        }
    }

    /// The error that member `name` breaks a constraint of the service's model, as AWS words it.
    pub(crate) fn broken(&self, name: &str, value: Option<&str>, constraint: &str) -> ApiError {
        ApiError::new(self.code, broken(name, value, constraint))
    }

    fn typed<T>(
        &self,
        name: &str,
        what: &str,
        convert: impl Fn(&'a Json) -> Option<T>,
    ) -> Result<Option<T>, ApiError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match convert(value) {
            Some(typed) => Ok(Some(typed)),
            None => Err(self.invalid(name, &format!("it must be {what}"))),
        }
    }
}

/// Longest value that a message repeats, bytes.
pub(crate) const SHOWN_MAX: usize = 4_096;

/// AWS's sentence about a value that breaks a constraint of a service's model.
pub(crate) fn broken(name: &str, value: Option<&str>, constraint: &str) -> String {
    let value = match value {
        None => " null".to_owned(),
        Some(value) if value.len() > SHOWN_MAX => String::new(),
        Some(value) => format!(" '{value}'"),
    };
    format!(
        "1 validation error detected: Value{value} at '{name}' failed to satisfy constraint: \
         {constraint}"
    )
}
