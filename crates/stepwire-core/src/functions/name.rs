//! How functions are named: by name, ARN or part of one, with a qualifier or without.

use std::sync::Arc;

use crate::error::ApiError;
use crate::params::broken;
use crate::settings::Settings;

/// The qualifier of a function as it is now.
pub(super) const LATEST: &str = "$LATEST";

/// A function as a caller names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionName {
    /// Its name alone.
    pub name: Arc<str>,
    /// Version or alias, when one is named.
    pub qualifier: Option<Arc<str>>,
    /// Its account, when one is named.
    account: Option<Arc<str>>,
    /// Its region, when one is named.
    region: Option<Arc<str>>,
}

impl FunctionName {
    /// The function that `text` names: `NAME`, `ACCOUNT:function:NAME` or
    /// `arn:aws:lambda:REGION:ACCOUNT:function:NAME`, each with or without `:QUALIFIER`.
    ///
    /// Source: AWS Lambda API reference, `FunctionName`.
    pub fn parse(text: &str) -> Result<FunctionName, ApiError> {
        FunctionName::read(text).ok_or_else(|| {
            let constraint = format!("Member must satisfy regular expression pattern: {PATTERN}");
            let message = broken("functionName", Some(text), &constraint);
            ApiError::new("ValidationException", message)
        })
    }

    /// The function of this name, here.
    pub(super) fn of(name: &Arc<str>) -> FunctionName {
        FunctionName { name: Arc::clone(name), qualifier: None, account: None, region: None }
    }

    fn read(text: &str) -> Option<FunctionName> {
        let parts: Vec<&str> = text.split(':').collect();
        let (region, account, rest) = match parts.as_slice() {
            ["arn", partition, "lambda", region, account, "function", rest @ ..]
                if partition.starts_with("aws") =>
            {
                (Some(*region), Some(*account), rest)
            }
            [account, "function", rest @ ..] => (None, Some(*account), rest),
            ["function", rest @ ..] | rest => (None, None, rest),
        };
        let (name, qualifier) = match rest {
            [name] => (*name, None),
            [name, qualifier] => (*name, Some(*qualifier)),
            _ => return None,
        };
        let plain = |text: &str, more: &str, max: usize| {
            let fits = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
            (1..=max).contains(&text.len()) && text.chars().all(fits)
        };
        let known = plain(name, "-_", 64) && qualifier.is_none_or(|q| plain(q, "-_$", 128));
        known.then(|| FunctionName {
            name: name.into(),
            qualifier: qualifier.map(Arc::from),
            account: account.map(Arc::from),
            region: region.map(Arc::from),
        })
    }

    /// The same function under the qualifier that a request names beside its name.
    #[must_use]
    pub fn qualified(self, qualifier: Option<&str>) -> FunctionName {
        let qualifier = qualifier.map(Arc::from).or(self.qualifier);
        FunctionName { qualifier, ..self }
    }

    /// The same under this qualifier, which must be that of the name where that has one.
    pub fn matching(self, qualifier: Option<&str>) -> Result<FunctionName, ApiError> {
        let own = self.qualifier.as_deref();
        if own.is_some_and(|own| qualifier.is_some_and(|qualifier| qualifier != own)) {
            let message = "The derived qualifier from the function name does not match the \
                           specified qualifier.";
            return Err(ApiError::new("InvalidParameterValueException", message));
        }
        Ok(self.qualified(qualifier))
    }

    /// Whether it can be a function of this node.
    pub(super) fn is_here(&self, settings: &Settings) -> bool {
        self.account.as_ref().is_none_or(|account| *account == settings.account)
            && self.region.as_ref().is_none_or(|region| *region == settings.region)
    }

    /// Whether it is the function as it is now.
    pub(super) fn is_latest(&self) -> bool {
        self.qualifier.as_deref().is_none_or(|qualifier| qualifier == LATEST)
    }

    /// The same function without a qualifier.
    #[must_use]
    pub fn unqualified(&self) -> FunctionName {
        FunctionName { qualifier: None, ..self.clone() }
    }

    /// The whole ARN.
    pub fn arn(&self, settings: &Settings) -> String {
        let region = self.region.as_ref().unwrap_or(&settings.region);
        let account = self.account.as_ref().unwrap_or(&settings.account);
        let arn = format!("arn:aws:lambda:{region}:{account}:function:{}", self.name);
        match &self.qualifier {
            Some(qualifier) => format!("{arn}:{qualifier}"),
            None => arn,
        }
    }

    /// The error that it is not here.
    pub fn not_found(&self, settings: &Settings) -> ApiError {
        let message = format!("Function not found: {}", self.arn(settings));
        ApiError::new("ResourceNotFoundException", message)
    }
}

/// What a function's name must look like, as AWS words it.
const PATTERN: &str = "(arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}(-gov)?-[a-z]+-\\d{1}:)?(\\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\\$LATEST|[a-zA-Z0-9-_]+))?";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_has_many_names() {
        let settings = Settings::default();
        let arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
        for (text, whole) in [
            ("f", arn.to_owned()),
            ("000000000000:function:f", arn.to_owned()),
            ("function:f", arn.to_owned()),
            (arn, arn.to_owned()),
            ("f:$LATEST", format!("{arn}:$LATEST")),
            ("arn:aws:lambda:us-east-1:000000000000:function:f:7", format!("{arn}:7")),
        ] {
            let named = FunctionName::read(text).expect(text);
            assert_eq!((&*named.name, named.arn(&settings)), ("f", whole), "{text}");
            assert!(named.is_here(&settings), "{text}");
            assert_eq!(named.is_latest(), !text.ends_with('7'), "{text}");
        }
        for text in ["", "a b", "f:", "a:b:c", "arn:aws:s3:::b", &"x".repeat(65)] {
            assert_eq!(FunctionName::read(text), None, "{text}");
        }
    }

    #[test]
    fn the_functions_of_others_are_not_ours() {
        let settings = Settings::default();
        for text in ["111111111111:function:f", "arn:aws:lambda:eu-west-1:000000000000:function:f"]
        {
            assert!(!FunctionName::read(text).expect(text).is_here(&settings), "{text}");
        }
    }
}
