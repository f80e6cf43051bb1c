//! Attributes of topics and subscriptions.

use std::sync::Arc;

use stepwire_asl::Json;

use super::record::{Protocol, Redrive, Subscription, Topic};
use super::retry::Policy;
use super::{arn, filter, invalid, view};
use crate::error::ApiError;
use crate::settings::Settings;

/// Whether an attribute is set by itself or with others, which decides how AWS words what is wrong
/// with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    Alone,
    AmongOthers,
}

impl Said {
    fn error(self, why: &str) -> ApiError {
        match self {
            Said::Alone => invalid(why, ""),
            Said::AmongOthers => invalid("Attributes", &format!("Reason: {why}")),
        }
    }
}

/// Attributes of topics that are only shown, with the values that they may have; none: any.
const SHOWN: [(&str, &[&str]); 4] = [
    ("SignatureVersion", &["1", "2"]),
    ("TracingConfig", &["PassThrough", "Active"]),
    ("DisplayName", &[]),
    ("KmsMasterKeyId", &[]),
];
/// Whose deliveries AWS logs.
const LOGGED: [&str; 5] = ["HTTP", "Firehose", "Lambda", "Application", "SQS"];
const LOGGING: [&str; 3] =
    ["SuccessFeedbackRoleArn", "SuccessFeedbackSampleRate", "FailureFeedbackRoleArn"];

/// Refuses an attribute of a topic that there is not, or a value that it cannot have.
pub(super) fn check_topic_attribute(name: &str, value: &str, fifo: bool) -> Result<(), ApiError> {
    let wrong = |why: &str| invalid("Attributes", &format!("Reason: {name}: {why}"));
    let truth = || {
        let known = ["true", "false"].iter().any(|known| value.eq_ignore_ascii_case(known));
        if known { Ok(()) } else { Err(wrong("Invalid value")) }
    };
    match name {
        "FifoTopic" => truth(),
        "ContentBasedDeduplication" | "FifoThroughputScope" if !fifo => {
            Err(invalid(&format!("{name} is only available for FIFO topics"), ""))
        }
        "ContentBasedDeduplication" => truth(),
        "FifoThroughputScope" => match value {
            "Topic" | "MessageGroup" => Ok(()),
            _ => Err(wrong("Invalid value")),
        },
        "Policy" if value.is_empty() => Ok(()),
        "Policy" => match Json::parse(value) {
            Ok(Json::Object(_)) => Ok(()),
            _ => Err(invalid("Policy Error: null", "")),
        },
        "DeliveryPolicy" if value.is_empty() => Ok(()),
        "DeliveryPolicy" => {
            Policy::parse(value, true).map(drop).map_err(|why| invalid("DeliveryPolicy:", &why))
        }
        "ArchivePolicy" | "DataProtectionPolicy" => {
            Err(wrong("archives and data protection are not available in stepwire"))
        }
        "DisplayName" if value.chars().count() > 100 => Err(wrong("Invalid value")),
        _ => {
            let logged = LOGGED.iter().find_map(|of| name.strip_prefix(of));
            if logged.is_some_and(|what| LOGGING.contains(&what)) {
                return Ok(());
            }
            match SHOWN.iter().find(|(known, _)| *known == name) {
                Some((_, values)) if values.is_empty() || value.is_empty() => Ok(()),
                Some((_, values)) if values.contains(&value) => Ok(()),
                Some(_) => Err(wrong("Invalid value")),
                None => Err(invalid("AttributeName", "")),
            }
        }
    }
}

/// Refuses an endpoint that is none of its protocol, or that a topic of this kind cannot have.
pub(super) fn check_endpoint(
    protocol: Protocol,
    endpoint: &str,
    topic: &Topic,
    settings: &Settings,
) -> Result<(), ApiError> {
    match protocol {
        Protocol::Queue => {
            let queue = endpoint.strip_prefix(&settings.arn("sqs", ""));
            if queue.is_none_or(|queue| queue.is_empty() || queue.contains(':')) {
                return Err(invalid("SQS endpoint ARN", ""));
            }
            if !topic.is_fifo() && endpoint.ends_with(".fifo") {
                let why = "Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be \
                           subscribed to standard SNS topics";
                return Err(invalid(why, ""));
            }
        }
        _ if topic.is_fifo() => {
            let why = format!(
                "Invalid parameter: Endpoint Reason: Please use SQS queues: a FIFO topic has no \
                 subscriptions of `{}`",
                protocol.name()
            );
            return Err(invalid(&why, ""));
        }
        Protocol::Function => {
            let function = endpoint.strip_prefix(&settings.arn("lambda", "function:"));
            if function.is_none_or(str::is_empty) {
                return Err(invalid("Lambda endpoint ARN", ""));
            }
        }
        Protocol::Http | Protocol::Https => {
            let rest = endpoint.strip_prefix(&format!("{}://", protocol.name()));
            let fits = rest.is_some_and(|rest| {
                !rest.is_empty() && !rest.starts_with('/') && endpoint.len() <= 2_048
            });
            if !fits || endpoint.chars().any(|c| c.is_whitespace() || c.is_control()) {
                return Err(invalid("Endpoint must match the specified protocol", ""));
            }
        }
    }
    Ok(())
}

impl Subscription {
    /// It with one attribute changed.
    pub(super) fn with(
        &self,
        name: &str,
        value: &Arc<str>,
        said: Said,
        settings: &Settings,
    ) -> Result<Subscription, ApiError> {
        let mut made = self.clone();
        let http = matches!(self.protocol, Protocol::Http | Protocol::Https);
        match name {
            "RawMessageDelivery" => {
                let wrong = || said.error("RawMessageDelivery: Invalid value");
                made.raw = value.to_ascii_lowercase().parse().map_err(|_| wrong())?;
                if made.raw && self.protocol == Protocol::Function {
                    let why = "RawMessageDelivery: Delivery protocol [lambda] does not support \
                               raw message delivery.";
                    return Err(said.error(why));
                }
            }
            "FilterPolicy" if value.is_empty() || is_empty_object(value) => made.filter = None,
            "FilterPolicy" => {
                filter::parse(value, self.scope()).map_err(|why| said.error(&why))?;
                made.filter = Some(Arc::clone(value));
            }
            "FilterPolicyScope" => {
                made.filters_body = match &**value {
                    "MessageBody" => true,
                    "MessageAttributes" => false,
                    other => {
                        let why = format!(
                            "FilterPolicyScope: Invalid value [{other}]. Please use either \
                             MessageBody or MessageAttributes"
                        );
                        return Err(said.error(&why));
                    }
                };
                if let Some(filter) = &made.filter {
                    filter::parse(filter, made.scope()).map_err(|why| said.error(&why))?;
                }
            }
            "RedrivePolicy" if value.is_empty() => made.redrive = None,
            "RedrivePolicy" => {
                let queue = redrive(value, settings).map_err(|why| said.error(&why))?;
                made.redrive = Some(Redrive { queue, text: Arc::clone(value) });
            }
            "DeliveryPolicy" if !http => {
                let why = format!(
                    "DeliveryPolicy: Delivery protocol [{}] does not support delivery policies.",
                    self.protocol.name()
                );
                return Err(said.error(&why));
            }
            "DeliveryPolicy" if value.is_empty() => made.delivery = None,
            "DeliveryPolicy" => {
                Policy::parse(value, false)
                    .map_err(|why| said.error(&format!("DeliveryPolicy: {why}")))?;
                made.delivery = Some(Arc::clone(value));
            }
            "SubscriptionRoleArn" | "ReplayPolicy" => {
                let why = format!("`{name}` is not available in stepwire");
                return Err(said.error(&why));
            }
            _ => {
                return Err(match said {
                    Said::Alone => invalid("AttributeName", ""),
                    Said::AmongOthers => said.error(&format!("Unknown attribute {name}")),
                });
            }
        }
        Ok(made)
    }
}

fn is_empty_object(text: &str) -> bool {
    Json::parse(text).is_ok_and(|json| json.as_object().is_some_and(|members| members.is_empty()))
}

fn redrive(text: &str, settings: &Settings) -> Result<Arc<str>, String> {
    let policy = Json::parse(text).map_err(|_| "RedrivePolicy: failed to parse JSON".to_owned())?;
    let target = policy.member("deadLetterTargetArn").and_then(Json::as_str);
    let name = target.and_then(|arn| arn.strip_prefix(&settings.arn("sqs", "")));
    match (target, name) {
        (Some(arn), Some(name)) if !name.is_empty() && !name.contains(':') => Ok(arn.into()),
        _ => Err("RedrivePolicy: deadLetterTargetArn is an invalid arn".to_owned()),
    }
}

impl Topic {
    /// It with a statement added to its policy.
    pub(super) fn permitting(
        mut self,
        label: &str,
        accounts: &[Arc<str>],
        actions: &[Arc<str>],
        settings: &Settings,
    ) -> Result<Topic, ApiError> {
        let mut statements = self.statements(settings);
        if statements.iter().any(|one| one.member("Sid").and_then(Json::as_str) == Some(label)) {
            return Err(invalid("Statement already exists", ""));
        }
        let accounts = accounts.iter().map(|id| Json::from(format!("arn:aws:iam::{id}:root")));
        let actions = actions.iter().map(|action| Json::from(format!("SNS:{action}")));
        let principal = Json::object([("AWS", one_or_many(accounts.collect()))]);
        statements.push(Json::object([
            ("Sid", Json::from(label)),
            ("Effect", "Allow".into()),
            ("Principal", principal),
            ("Action", one_or_many(actions.collect())),
            ("Resource", arn(&self.name, settings).into()),
        ]));
        self.set_statements(statements, settings);
        Ok(self)
    }

    /// It with a statement of its policy taken away. One that is not there is not an error.
    pub(super) fn without_permission(
        mut self,
        label: &str,
        settings: &Settings,
    ) -> Result<Topic, ApiError> {
        let mut statements = self.statements(settings);
        statements.retain(|one| one.member("Sid").and_then(Json::as_str) != Some(label));
        self.set_statements(statements, settings);
        Ok(self)
    }

    fn policy(&self, settings: &Settings) -> Json {
        let given = self.attributes.iter().find(|(name, _)| **name == *"Policy");
        let given = given.and_then(|(_, text)| Json::parse(text).ok());
        given.or_else(|| Json::parse(&view::policy(self, settings)).ok()).unwrap_or_default()
    }

    fn statements(&self, settings: &Settings) -> Vec<Json> {
        let policy = self.policy(settings);
        match policy.member("Statement") {
            Some(Json::Array(statements)) => statements.to_vec(),
            Some(one) => vec![one.clone()],
            None => Vec::new(),
        }
    }

    fn set_statements(&mut self, statements: Vec<Json>, settings: &Settings) {
        let policy = self.policy(settings);
        let mut members = policy.as_object().cloned().unwrap_or_default();
        members.insert("Statement".into(), Json::array(statements));
        let text = Json::Object(Arc::new(members)).to_text();
        self.attributes.retain(|(name, _)| **name != *"Policy");
        self.attributes.push(("Policy".into(), text.into()));
    }
}

fn one_or_many(mut values: Vec<Json>) -> Json {
    if values.len() == 1 { values.remove(0) } else { Json::array(values) }
}
