//! The members of a request, by what they are.

use std::sync::Arc;

use stepwire_asl::Json;

use super::address::object;
use super::{ChangeSetName, Pairs, Source, Values, Wanted};
use crate::error::ApiError;
use crate::params::Params;
use crate::stacks::status::OnFailure;
use crate::stacks::validation;

/// Longest template in a request, bytes.
const BODY_MAX: usize = 51_200;
/// Most tags of a stack.
const TAGS_MAX: usize = 50;
/// Most parameters of a request.
const PARAMETERS_MAX: usize = 200;

/// Members as a form or as JSON has them: numbers and truth values may be text, and an empty list too.
#[derive(Clone, Copy)]
pub(super) struct Members<'a>(pub(super) Params<'a>);

impl Members<'_> {
    pub(super) fn only(self, known: &[&str]) -> Result<(), ApiError> {
        self.0.only(known)
    }

    pub(super) fn text(self, name: &str) -> Result<Option<Arc<str>>, ApiError> {
        Ok(self.0.optional_text(name)?.map(Arc::from))
    }

    pub(super) fn required(self, name: &str) -> Result<Arc<str>, ApiError> {
        let text = self.text(name)?.filter(|text| !text.is_empty());
        let missing = || {
            let at = name[..1].to_lowercase() + &name[1..];
            self.0.broken(&at, None, "Member must not be null")
        };
        text.ok_or_else(missing)
    }

    pub(super) fn truth(self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Json::Bool(truth)) => Ok(Some(*truth)),
            Some(value) => match value.as_str() {
                Some("true") => Ok(Some(true)),
                Some("false") => Ok(Some(false)),
                _ => Err(self.0.invalid(name, "it must be true or false")),
            },
        }
    }

    pub(super) fn list(self, name: &str) -> Result<Option<Vec<Json>>, ApiError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Json::Array(items)) => Ok(Some(items.to_vec())),
            Some(value) if value.as_str() == Some("") => Ok(Some(Vec::new())),
            Some(_) => Err(self.0.invalid(name, "it must be a list")),
        }
    }

    pub(super) fn texts(self, name: &str) -> Result<Option<Vec<Arc<str>>>, ApiError> {
        let Some(items) = self.list(name)? else { return Ok(None) };
        let text = |item: &Json| item.as_str().map(Arc::from);
        let texts = items.iter().map(text).collect::<Option<Vec<_>>>();
        texts.map(Some).ok_or_else(|| self.0.invalid(name, "it must be a list of strings"))
    }

    pub(super) fn after(self) -> Result<Arc<str>, ApiError> {
        Ok(self.text("NextToken")?.unwrap_or_default())
    }

    /// The client's token.
    pub(super) fn token(self) -> Result<Option<Arc<str>>, ApiError> {
        let token = self.text("ClientRequestToken")?;
        let fits = |token: &Arc<str>| {
            (1..=128).contains(&token.len())
                && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        match token.filter(|token| !fits(token)) {
            Some(token) => Err(self.0.broken(
                "clientRequestToken",
                Some(&token),
                "Member must satisfy regular expression pattern: [a-zA-Z0-9][-a-zA-Z0-9]*",
            )),
            None => self.text("ClientRequestToken"),
        }
    }

    /// Where the template is.
    pub(super) fn source(self, may_be_previous: bool) -> Result<Source, ApiError> {
        let (body, url) = (self.text("TemplateBody")?, self.text("TemplateURL")?);
        let previous = may_be_previous && self.truth("UsePreviousTemplate")? == Some(true);
        match (body, url, previous) {
            (Some(body), None, false) => {
                if body.len() > BODY_MAX {
                    let constraint =
                        format!("Member must have length less than or equal to {BODY_MAX}");
                    return Err(self.0.broken("templateBody", Some(&body), &constraint));
                }
                Ok(Source::Body(body))
            }
            (None, Some(url), false) => object(&url),
            (None, None, true) => Ok(Source::Previous),
            (None, None, false) => {
                Err(validation("Either Template URL or Template Body must be specified."))
            }
            _ => Err(validation(
                "Only one of Template URL, Template Body or Use Previous Template may be specified.",
            )),
        }
    }

    pub(super) fn wanted(self, may_be_previous: bool) -> Result<Wanted, ApiError> {
        for name in ["StackPolicyURL", "StackPolicyDuringUpdateURL"] {
            if self.0.get(name).is_some() {
                return Err(not_served(name, "give the policy itself"));
            }
        }
        let config = self.0.get("DeploymentConfig");
        let config = config.map(|config| Members(Params::new(config, "ValidationError")));
        let config = match config {
            Some(config) => {
                config.only(&["Mode", "DisableRollback"])?;
                config.truth("DisableRollback")?
            }
            None => None,
        };
        let on_failure = match self.text("OnFailure")?.or(self.text("OnStackFailure")?).as_deref() {
            None => None,
            Some("ROLLBACK") => Some(OnFailure::Rollback),
            Some("DELETE") => Some(OnFailure::Delete),
            Some("DO_NOTHING") => Some(OnFailure::DoNothing),
            Some(other) => {
                let words = "Member must satisfy enum value set: [DO_NOTHING, ROLLBACK, DELETE]";
                return Err(self.0.broken("onFailure", Some(other), words));
            }
        };
        let disable_rollback = self.truth("DisableRollback")?;
        if disable_rollback.is_some() && on_failure.is_some() {
            let message = "You can specify either DisableRollback or OnFailure, but not both.";
            return Err(validation(message));
        }
        let timeout_minutes = match self.0.get("TimeoutInMinutes") {
            None => None,
            Some(value) => {
                let minutes = value.as_i64().or_else(|| value.as_str()?.parse().ok());
                let minutes = minutes.filter(|minutes| *minutes >= 1);
                let wrong = || self.0.invalid("TimeoutInMinutes", "it must be a positive integer");
                Some(minutes.ok_or_else(wrong)?)
            }
        };
        Ok(Wanted {
            source: self.source(may_be_previous)?,
            parameters: self.parameters()?,
            capabilities: self.capabilities()?,
            tags: self.tags()?,
            notifications: self.texts("NotificationARNs")?,
            role: self.text("RoleARN")?,
            rollback_configuration: self.0.get("RollbackConfiguration").cloned(),
            on_failure,
            disable_rollback: disable_rollback.or(config).unwrap_or_default(),
            timeout_minutes,
            retain_except_on_create: self.truth("RetainExceptOnCreate")?.unwrap_or_default(),
            types: self.texts("ResourceTypes")?,
            policy: self.text("StackPolicyBody")?,
            token: self.token()?,
        })
    }

    pub(super) fn parameters(self) -> Result<Values, ApiError> {
        let given = self.list("Parameters")?.unwrap_or_default();
        if given.len() > PARAMETERS_MAX {
            let constraint =
                format!("Member must have length less than or equal to {PARAMETERS_MAX}");
            return Err(self.0.broken("parameters", None, &constraint));
        }
        let mut parameters = Values::new();
        for parameter in &given {
            let members = Members(Params::new(parameter, "ValidationError"));
            members.only(&[
                "ParameterKey",
                "ParameterValue",
                "UsePreviousValue",
                "ResolvedValue",
            ])?;
            let key = members.required("ParameterKey")?;
            if parameters.iter().any(|(other, _)| *other == key) {
                return Err(validation(format!("Duplicate parameter key: {key}")));
            }
            let value = members.text("ParameterValue")?;
            let previous = members.truth("UsePreviousValue")?.unwrap_or_default();
            if previous && value.is_some() {
                let message = format!(
                    "Invalid input for parameter key {key}. Cannot specify usePreviousValue as true \
                     and non empty value for a parameter"
                );
                return Err(validation(message));
            }
            let value = (!previous).then(|| value.unwrap_or_default());
            parameters.push((key, value));
        }
        Ok(parameters)
    }

    pub(super) fn capabilities(self) -> Result<Vec<Arc<str>>, ApiError> {
        const KNOWN: [&str; 3] =
            ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"];
        let given = self.texts("Capabilities")?.unwrap_or_default();
        match given.iter().find(|given| !KNOWN.contains(&&***given)) {
            Some(unknown) => Err(self.0.broken(
                "capabilities",
                Some(&format!("[{unknown}]")),
                "Member must satisfy constraint: [Member must satisfy enum value set: \
                 [CAPABILITY_IAM, CAPABILITY_NAMED_IAM, CAPABILITY_AUTO_EXPAND]]",
            )),
            None => Ok(given),
        }
    }

    pub(super) fn tags(self) -> Result<Option<Pairs>, ApiError> {
        let Some(given) = self.list("Tags")? else { return Ok(None) };
        if given.len() > TAGS_MAX {
            let constraint = format!("Member must have length less than or equal to {TAGS_MAX}");
            return Err(self.0.broken("tags", None, &constraint));
        }
        let mut tags = Pairs::new();
        for tag in &given {
            let members = Members(Params::new(tag, "ValidationError"));
            members.only(&["Key", "Value"])?;
            let (key, value) = (members.required("Key")?, members.text("Value")?);
            if tags.iter().any(|(other, _)| *other == key) {
                return Err(validation(format!("Duplicate tag keys found: {key}")));
            }
            tags.push((key, value.unwrap_or_default()));
        }
        Ok(Some(tags))
    }
}

pub(super) fn change_set_name(members: Members<'_>) -> Result<ChangeSetName, ApiError> {
    let change_set = members.required("ChangeSetName")?;
    let stack = members.text("StackName")?;
    if stack.is_none() && !change_set.starts_with("arn:") {
        return Err(validation(
            "StackName must be specified if ChangeSetName is not specified as an ARN.",
        ));
    }
    Ok(ChangeSetName { change_set, stack })
}

pub(super) fn not_served(name: &str, hint: &str) -> ApiError {
    validation(format!("`{name}` is not available in stepwire: {hint}"))
}
