//! Requests on topic rules, parsed. Source: AWS IoT API reference (service model `iot`).

use std::sync::Arc;

use stepwire_asl::Json;

use super::action::{Action, http};
use super::destinations;
use super::sql::{Error, Statement, Version};
use super::template;
use crate::error::ApiError;
use crate::params::Params;
use crate::registry::tags::{self, Tag, Tags};

/// Most actions of a rule.
const ACTIONS_MAX: usize = 10;
/// Longest payload of a rule, bytes of JSON.
const RULE_BYTES_MAX: usize = 256 << 10;

/// A request on topic rules.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// CreateTopicRule
    Create {
        /// `ruleName`
        name: Arc<str>,
        /// `topicRulePayload`, checked.
        payload: Json,
        /// `tags`
        tags: Tags,
    },
    /// GetTopicRule
    Get(Arc<str>),
    /// ListTopicRules
    List {
        /// Rules whose filter matches this topic.
        topic: Option<Arc<str>>,
        /// Only those disabled, or enabled.
        disabled: Option<bool>,
        /// At most this many.
        limit: usize,
        /// After this name.
        after: Option<Arc<str>>,
    },
    /// ReplaceTopicRule
    Replace {
        /// `ruleName`
        name: Arc<str>,
        /// `topicRulePayload`, checked.
        payload: Json,
    },
    /// On topic rule destinations.
    Destination(destinations::Request),
    /// DeleteTopicRule
    Delete(Arc<str>),
    /// EnableTopicRule, or DisableTopicRule
    Enable {
        /// `ruleName`
        name: Arc<str>,
        /// Enable rather than disable.
        enable: bool,
    },
}

impl Request {
    /// The request that `body` makes of `operation`; `None` for operations we do not serve.
    pub fn parse(operation: &str, body: &Json) -> Option<Result<Request, ApiError>> {
        let params = Params::new(body, "InvalidRequestException");
        Some(match operation {
            "CreateTopicRule" => create(&params),
            "ReplaceTopicRule" => replace(&params),
            "GetTopicRule" => named(&params).map(Request::Get),
            "DeleteTopicRule" => named(&params).map(Request::Delete),
            "EnableTopicRule" => named(&params).map(|name| Request::Enable { name, enable: true }),
            "DisableTopicRule" => {
                named(&params).map(|name| Request::Enable { name, enable: false })
            }
            "ListTopicRules" => list(&params),
            _ => {
                return destinations::Request::parse(operation, body)
                    .map(|parsed| parsed.map(Request::Destination));
            }
        })
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        match self {
            Request::Get(_) | Request::List { .. } => true,
            Request::Destination(request) => request.is_read(),
            Request::Create { .. }
            | Request::Replace { .. }
            | Request::Delete(_)
            | Request::Enable { .. } => false,
        }
    }

    /// What the statement of the rule that it makes does that is perhaps not meant.
    pub(crate) fn doubts(&self) -> Option<(&Arc<str>, Vec<Error>)> {
        let (Request::Create { name, payload, .. } | Request::Replace { name, payload }) = self
        else {
            return None;
        };
        Some((name, statement(payload).ok()?.warnings))
    }

    /// Whether the rule that it makes asks models.
    pub(crate) fn asks_models(&self) -> bool {
        let (Request::Create { payload, .. } | Request::Replace { payload, .. }) = self else {
            return false;
        };
        let Ok(statement) = statement(payload) else { return false };
        let actions = payload.member("actions").map(|actions| template::asks(actions, &statement));
        actions.unwrap_or_default().models || statement.asks().models
    }

    /// The rule whose tags it sets, and to what.
    pub(crate) fn retagged(&self) -> Option<(&Arc<str>, &[Tag])> {
        match self {
            Request::Create { name, tags, .. } => Some((name, tags)),
            Request::Delete(name) => Some((name, &[])),
            Request::Get(_)
            | Request::List { .. }
            | Request::Replace { .. }
            | Request::Destination(_)
            | Request::Enable { .. } => None,
        }
    }

    /// The confirmation URLs of `http` actions in it that are the same for all messages: each gets a
    /// destination. Source: AWS IoT developer guide, "HTTP" action, `confirmationUrl`.
    pub(crate) fn confirmation_urls(&self) -> Vec<Arc<str>> {
        let (Request::Create { payload, .. } | Request::Replace { payload, .. }) = self else {
            return Vec::new();
        };
        let actions = payload.member("actions").and_then(Json::as_array).unwrap_or_default();
        let all = actions.iter().chain(payload.member("errorAction"));
        all.filter_map(http::confirmation_url).collect()
    }

    /// The rule it is about; empty for a list.
    pub(super) fn name(&self) -> &Arc<str> {
        static NONE: std::sync::OnceLock<Arc<str>> = std::sync::OnceLock::new();
        match self {
            Request::Create { name, .. }
            | Request::Get(name)
            | Request::Replace { name, .. }
            | Request::Delete(name)
            | Request::Enable { name, .. } => name,
            Request::List { .. } | Request::Destination(_) => NONE.get_or_init(|| "".into()),
        }
    }
}

fn create(params: &Params<'_>) -> Result<Request, ApiError> {
    params.only(&["ruleName", "topicRulePayload", "tags"])?;
    let (name, payload) = with_payload(params)?;
    Ok(Request::Create { name, payload, tags: tags::in_header(params)? })
}

fn replace(params: &Params<'_>) -> Result<Request, ApiError> {
    params.only(&["ruleName", "topicRulePayload"])?;
    let (name, payload) = with_payload(params)?;
    Ok(Request::Replace { name, payload })
}

fn with_payload(params: &Params<'_>) -> Result<(Arc<str>, Json), ApiError> {
    let payload = params.get("topicRulePayload").cloned();
    let payload = payload.ok_or_else(|| params.invalid("topicRulePayload", "it is missing"))?;
    if payload.to_text().len() > RULE_BYTES_MAX {
        let why = format!("it has more than {RULE_BYTES_MAX} bytes");
        return Err(params.invalid("topicRulePayload", &why));
    }
    compile_new(&payload)?;
    Ok((rule_name(params)?, payload))
}

fn named(params: &Params<'_>) -> Result<Arc<str>, ApiError> {
    params.only(&["ruleName"])?;
    rule_name(params)
}

/// `[a-zA-Z0-9_]{1,128}`
fn rule_name(params: &Params<'_>) -> Result<Arc<str>, ApiError> {
    let name = params.text("ruleName")?;
    if !is_rule_name(name) {
        let why = "it must match [a-zA-Z0-9_]+ and have at most 128 characters";
        return Err(params.invalid("ruleName", why));
    }
    Ok(name.into())
}

fn is_rule_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !text.is_empty() && text.len() <= 128 && text.chars().all(fits)
}

fn list(params: &Params<'_>) -> Result<Request, ApiError> {
    params.only(&["topic", "maxResults", "nextToken", "ruleDisabled"])?;
    let limit = match params.optional_int("maxResults")? {
        None => 100,
        Some(limit @ 1..=10_000) => limit as usize,
        Some(_) => return Err(params.invalid("maxResults", "it must be 1 to 10000")),
    };
    let after = params.optional_text("nextToken")?;
    if after.is_some_and(|after| !is_rule_name(after)) {
        return Err(params.invalid("nextToken", "it is not one that was given out"));
    }
    Ok(Request::List {
        topic: params.optional_text("topic")?.map(Arc::from),
        disabled: params.optional_bool("ruleDisabled")?,
        limit,
        after: after.map(Arc::from),
    })
}

/// The statement of a `topicRulePayload`, in the version of the language that it names.
pub(super) fn statement(payload: &Json) -> Result<Statement, ApiError> {
    let params = Params::new(payload, "InvalidRequestException");
    let version = match params.optional_text("awsIotSqlVersion")? {
        // AWS's default.
        None => Version::V2015,
        Some(name) => Version::named(name)
            .ok_or_else(|| params.invalid("awsIotSqlVersion", &format!("`{name}` is not known")))?,
    };
    let statement = Statement::parse_stored(params.text("sql")?, version).map_err(unparsed)?;
    if statement.asks().items > 1 {
        // AWS takes such a rule, and ends it for every message without an action.
        let why = "get_dynamodb can be called once in a statement\n\
                   hint: put what else is needed into the item, or into another rule";
        return Err(ApiError::new("SqlParseException", why));
    }
    Ok(statement)
}

fn unparsed(error: Error) -> ApiError {
    ApiError::new("SqlParseException", error.to_string())
}

/// The parts of the `topicRulePayload` of a rule that is to be: it is told of a call without the role
/// that it needs, which in a rule that is there already is Undefined.
pub(super) fn compile_new(
    payload: &Json,
) -> Result<(Statement, Vec<Action>, Option<Action>), ApiError> {
    let parts = compile(payload)?;
    let params = Params::new(payload, "InvalidRequestException");
    parts.0.roles().map_err(unparsed)?;
    for member in ["actions", "errorAction"] {
        template::roles(params.get(member)).map_err(|why| params.invalid(member, &why))?;
    }
    Ok(parts)
}

/// The parts of a `topicRulePayload`. Everything that cannot be run is refused here, by name.
pub(super) fn compile(
    payload: &Json,
) -> Result<(Statement, Vec<Action>, Option<Action>), ApiError> {
    let params = Params::new(payload, "InvalidRequestException");
    params.only(&[
        "sql",
        "description",
        "actions",
        "ruleDisabled",
        "awsIotSqlVersion",
        "errorAction",
    ])?;
    params.optional_bool("ruleDisabled")?;
    params.optional_text("description")?;
    let statement = statement(payload)?;
    for member in ["actions", "errorAction"] {
        template::check(params.get(member), &statement)
            .map_err(|why| params.invalid(member, &why))?;
    }
    let actions = params.get("actions").and_then(Json::as_array);
    let actions = actions.ok_or_else(|| params.invalid("actions", "it must be a list"))?;
    if actions.len() > ACTIONS_MAX {
        return Err(params.invalid("actions", &format!("at most {ACTIONS_MAX}")));
    }
    let actions = actions.iter().map(Action::parse).collect::<Result<Vec<_>, _>>()?;
    if params.get("errorAction").is_some_and(|action| !template::asks(action, &statement).is_none())
    {
        let why = "it cannot use functions that ask others, such as `get_dynamodb`, as on AWS, nor \
                   variables that are set by them";
        return Err(params.invalid("errorAction", why));
    }
    let error_action = params.get("errorAction").map(Action::parse).transpose()?;
    if error_action.as_ref().is_some_and(Action::batches) {
        return Err(params.invalid("errorAction", "it cannot have `enableBatching`, as on AWS"));
    }
    Ok((statement, actions, error_action))
}
