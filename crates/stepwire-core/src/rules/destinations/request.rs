//! Requests on topic rule destinations, parsed. Source: AWS IoT API reference (service model `iot`).

use std::sync::Arc;

use stepwire_asl::Json;

use super::address::Address;
use super::record::Status;
use crate::error::ApiError;
use crate::params::Params;

/// A request on destinations.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// CreateTopicRuleDestination
    Create {
        /// `httpUrlConfiguration.confirmationUrl`, checked.
        url: Arc<str>,
    },
    /// GetTopicRuleDestination
    Get(Arc<str>),
    /// ListTopicRuleDestinations
    List {
        /// At most this many.
        limit: usize,
        /// After this id.
        after: Option<Arc<str>>,
    },
    /// UpdateTopicRuleDestination
    Update {
        /// `arn`
        arn: Arc<str>,
        /// `status`
        status: Status,
    },
    /// DeleteTopicRuleDestination
    Delete(Arc<str>),
    /// ConfirmTopicRuleDestination
    Confirm {
        /// `confirmationToken`
        token: Arc<str>,
        /// What its status is then: the API leaves it `DISABLED`, `enableUrl` makes it `ENABLED`.
        enable: bool,
    },
}

impl Request {
    /// The request that `body` makes of `operation`; `None` for operations we do not serve.
    pub fn parse(operation: &str, body: &Json) -> Option<Result<Request, ApiError>> {
        let params = Params::new(body, "InvalidRequestException");
        Some(match operation {
            "CreateTopicRuleDestination" => create(&params),
            "GetTopicRuleDestination" => arn(&params, &["arn"]).map(Request::Get),
            "DeleteTopicRuleDestination" => arn(&params, &["arn"]).map(Request::Delete),
            "ListTopicRuleDestinations" => list(&params),
            "UpdateTopicRuleDestination" => update(&params),
            "ConfirmTopicRuleDestination" => confirm(&params),
            _ => return None,
        })
    }

    /// What a visit of `enableUrl` asks for.
    pub fn visit(token: &str) -> Request {
        Request::Confirm { token: token.into(), enable: true }
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        matches!(self, Request::Get(_) | Request::List { .. })
    }
}

fn create(params: &Params<'_>) -> Result<Request, ApiError> {
    params.only(&["destinationConfiguration"])?;
    let missing = || params.broken("destinationConfiguration", None, "Member must not be null");
    let configuration = params.get("destinationConfiguration").ok_or_else(missing)?;
    let configuration = Params::new(configuration, "InvalidRequestException");
    for other in ["vpcConfiguration", "influxDBConfiguration"] {
        if configuration.get(other).is_some() {
            let why = "destinations of this kind are not available in stepwire; there are HTTP \
                       destinations, `httpUrlConfiguration`";
            return Err(configuration.invalid(other, why));
        }
    }
    configuration.only(&["httpUrlConfiguration"])?;
    let missing =
        || params.broken("destinationConfiguration", None, "httpUrlConfiguration must not be null");
    let http = configuration.get("httpUrlConfiguration").ok_or_else(missing)?;
    let http = Params::new(http, "InvalidRequestException");
    http.only(&["confirmationUrl"])?;
    let url = http.text("confirmationUrl")?;
    Address::parse(url).map_err(|why| http.invalid("confirmationUrl", why))?;
    Ok(Request::Create { url: url.into() })
}

fn arn(params: &Params<'_>, known: &[&str]) -> Result<Arc<str>, ApiError> {
    params.only(known)?;
    params.text("arn").map(Arc::from)
}

fn list(params: &Params<'_>) -> Result<Request, ApiError> {
    params.only(&["maxResults", "nextToken"])?;
    let limit = match params.optional_int("maxResults")? {
        None => 100,
        Some(limit @ 1..=1_000) => limit as usize,
        Some(_) => return Err(params.invalid("maxResults", "it must be 1 to 1000")),
    };
    Ok(Request::List { limit, after: params.optional_text("nextToken")?.map(Arc::from) })
}

fn update(params: &Params<'_>) -> Result<Request, ApiError> {
    let arn = arn(params, &["arn", "status"])?;
    let status = match params.text("status")? {
        "IN_PROGRESS" => Status::InProgress,
        "ENABLED" => Status::Enabled,
        "DISABLED" => Status::Disabled,
        other @ ("ERROR" | "DELETING") => {
            let why = format!("`{other}` cannot be set; IN_PROGRESS, ENABLED and DISABLED can");
            return Err(params.invalid("status", &why));
        }
        other => {
            let constraint = "Member must satisfy enum value set: [ENABLED, IN_PROGRESS, DISABLED, \
                              ERROR, DELETING]";
            return Err(params.broken("status", Some(other), constraint));
        }
    };
    Ok(Request::Update { arn, status })
}

fn confirm(params: &Params<'_>) -> Result<Request, ApiError> {
    params.only(&["confirmationToken"])?;
    Ok(Request::Confirm { token: params.text("confirmationToken")?.into(), enable: false })
}
