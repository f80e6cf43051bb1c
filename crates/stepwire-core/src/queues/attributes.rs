//! Attributes of queues: as text outside, typed inside.

use std::sync::Arc;

use stepwire_asl::Json;

use super::Queues;
use super::record::{Allowed, Attributes, Queue, Redrive};
use super::request::Pairs;
use crate::error::ApiError;
use crate::settings::Settings;

/// Accepted and shown again; nothing here looks at them.
const SHOWN: [&str; 3] = ["KmsDataKeyReusePeriodSeconds", "KmsMasterKeyId", "SqsManagedSseEnabled"];

impl Default for Attributes {
    /// Source: Amazon SQS API reference, CreateQueue.
    fn default() -> Self {
        Attributes {
            visibility_s: 30,
            bytes_max: 1 << 20,
            retention_s: 345_600,
            delay_s: 0,
            wait_s: 0,
            redrive: None,
            shown: vec![("SqsManagedSseEnabled".into(), "true".into())],
            by_content: false,
            by_group: false,
            allows: None,
        }
    }
}

impl Attributes {
    /// These with what `given` changes.
    pub(super) fn with(
        &self,
        given: &Pairs,
        fifo: bool,
        settings: &Settings,
    ) -> Result<Attributes, ApiError> {
        let mut made = self.clone();
        for (name, value) in given {
            let integer = |min: i64, max: i64| {
                let value = value.parse::<i64>().ok().filter(|value| (min..=max).contains(value));
                value.ok_or_else(|| wrong(name))
            };
            match &**name {
                "VisibilityTimeout" => made.visibility_s = integer(0, 43_200)?,
                "MaximumMessageSize" => made.bytes_max = integer(1_024, 1 << 20)?,
                "MessageRetentionPeriod" => made.retention_s = integer(60, 1_209_600)?,
                "DelaySeconds" => made.delay_s = integer(0, 900)?,
                "ReceiveMessageWaitTimeSeconds" => made.wait_s = integer(0, 20)?,
                "RedrivePolicy" if value.is_empty() => made.redrive = None,
                "RedrivePolicy" => made.redrive = Some(redrive(value, settings)?),
                "RedriveAllowPolicy" if value.is_empty() => made.allows = None,
                "RedriveAllowPolicy" => made.allows = Some(allowed(value)?),
                "FifoQueue" if fifo && value.eq_ignore_ascii_case("true") => {}
                "ContentBasedDeduplication" if fifo => made.by_content = truth(name, value)?,
                "DeduplicationScope" if fifo => {
                    made.by_group = match &**value {
                        "queue" => false,
                        "messageGroup" => true,
                        _ => return Err(wrong(name)),
                    };
                }
                "FifoThroughputLimit" if fifo => match &**value {
                    "perQueue" | "perMessageGroupId" => made.show(name, value),
                    _ => return Err(wrong(name)),
                },
                "Policy" if value.is_empty() => made.show(name, value),
                "Policy" => match Json::parse(value) {
                    Ok(Json::Object(_)) => made.show(name, value),
                    _ => return Err(wrong(name)),
                },
                "SqsManagedSseEnabled" => {
                    truth(name, value)?;
                    made.show(name, value);
                }
                known if SHOWN.contains(&known) => made.show(name, value),
                _ => {
                    let message = format!("Unknown Attribute {name}.");
                    return Err(ApiError::new("InvalidAttributeName", message));
                }
            }
        }
        let limit = made.shown.iter().find(|(name, _)| **name == *"FifoThroughputLimit");
        if let Some((name, value)) = limit
            && **value == *"perMessageGroupId"
            && !made.by_group
        {
            // Groups are as many as there is throughput for.
            return Err(wrong(name));
        }
        Ok(made)
    }

    fn show(&mut self, name: &Arc<str>, value: &Arc<str>) {
        self.shown.retain(|(shown, _)| shown != name);
        if !value.is_empty() {
            self.shown.push((Arc::clone(name), Arc::clone(value)));
            self.shown.sort();
        }
    }

    /// The first attribute of `given` that is another here.
    pub(super) fn differs<'a>(
        &self,
        given: &'a Pairs,
        fifo: bool,
        settings: &Settings,
    ) -> Result<Option<&'a Arc<str>>, ApiError> {
        for pair in given {
            if self.with(&vec![pair.clone()], fifo, settings)? != *self {
                return Ok(Some(&pair.0));
            }
        }
        Ok(None)
    }
}

fn wrong(name: &str) -> ApiError {
    let message = format!("Invalid value for the parameter {name}.");
    ApiError::new("InvalidAttributeValue", message)
}

fn truth(name: &str, value: &str) -> Result<bool, ApiError> {
    value.to_ascii_lowercase().parse().map_err(|_| wrong(name))
}

fn bad(name: &str, text: &str, why: &str) -> ApiError {
    let message = format!("Value {text} for parameter {name} is invalid. Reason: {why}");
    ApiError::new("InvalidParameterValue", message)
}

fn redrive(text: &Arc<str>, settings: &Settings) -> Result<Redrive, ApiError> {
    let bad = |why: &str| bad("RedrivePolicy", text, why);
    let policy = Json::parse(text).ok().filter(|policy| policy.as_object().is_some());
    let policy = policy.ok_or_else(|| bad("Redrive policy is not a valid JSON map."))?;
    let (Some(arn), Some(receives)) =
        (policy.member("deadLetterTargetArn"), policy.member("maxReceiveCount"))
    else {
        let why = "Redrive policy does not contain mandatory attribute: ";
        let name = if policy.member("maxReceiveCount").is_none() {
            "maxReceiveCount."
        } else {
            "deadLetterTargetArn."
        };
        return Err(bad(&format!("{why}{name}")));
    };
    let count = receives.as_i64().or_else(|| receives.as_str()?.parse().ok());
    let count = count.and_then(|count| u32::try_from(count).ok());
    let receives_max = count.filter(|count| (1..=1_000).contains(count)).ok_or_else(|| {
        let shown = receives.as_str().map_or_else(|| receives.to_text(), str::to_owned);
        bad(&format!(
            "Invalid value for maxReceiveCount: {shown}, valid values are from 1 to 1000 both \
             inclusive."
        ))
    })?;
    let target = arn.as_str().and_then(|arn| super::name_of_arn(arn, settings));
    let target = target.ok_or_else(|| bad("Invalid value for deadLetterTargetArn."))?.into();
    Ok(Redrive { target, receives_max, text: Arc::clone(text) })
}

fn allowed(text: &Arc<str>) -> Result<Allowed, ApiError> {
    let bad = |why: &str| bad("RedriveAllowPolicy", text, why);
    let policy = Json::parse(text).ok().filter(|policy| policy.as_object().is_some());
    let policy = policy.ok_or_else(|| bad("Redrive allow policy is not a valid JSON map."))?;
    let sources = policy.member("sourceQueueArns").and_then(Json::as_array);
    let sources = match policy.member("redrivePermission").and_then(Json::as_str) {
        Some("allowAll") if sources.is_none() => None,
        Some("denyAll") if sources.is_none() => Some(Vec::new()),
        Some("byQueue") => {
            let arns = sources.unwrap_or_default().iter().filter_map(Json::as_str);
            let arns: Vec<Arc<str>> = arns.map(Arc::from).collect();
            if !(1..=10).contains(&arns.len()) {
                return Err(bad("sourceQueueArns must contain 1 to 10 ARNs."));
            }
            Some(arns)
        }
        _ => return Err(bad("redrivePermission must be allowAll, denyAll or byQueue.")),
    };
    Ok(Allowed { sources, text: Arc::clone(text) })
}

impl Queues {
    /// Refuses a redrive policy whose queue is not there, of another kind, or does not allow it.
    pub(super) fn check_redrive(
        &self,
        name: &str,
        attributes: &Attributes,
        settings: &Settings,
    ) -> Result<(), ApiError> {
        let Some(redrive) = &attributes.redrive else { return Ok(()) };
        let bad = |why: &str| bad("RedrivePolicy", &redrive.text, why);
        let target = self.find(&redrive.target);
        let target = target.map_err(|_| bad("Dead letter target does not exist."))?;
        if target.is_fifo() != name.strip_suffix(".fifo").is_some() {
            return Err(bad("Dead-letter queue must be same type of queue as the source."));
        }
        let allows = target.attributes.allows.as_ref().and_then(|allows| allows.sources.as_ref());
        let own = super::arn(name, settings);
        if allows.is_some_and(|sources| !sources.iter().any(|source| **source == *own)) {
            return Err(bad("Queue does not have permission to use the dead letter target."));
        }
        Ok(())
    }
}

impl Queue {
    /// Its attributes with a statement added to its policy.
    pub(super) fn permitting(
        &self,
        label: &str,
        accounts: &[Arc<str>],
        actions: &[Arc<str>],
        settings: &Settings,
    ) -> Result<Attributes, ApiError> {
        let mut statements = self.statements();
        if statements.iter().any(|one| is_labelled(one, label)) {
            let why = "Already exists.";
            return Err(bad("Label", label, why));
        }
        let accounts = accounts.iter().map(|id| Json::from(format!("arn:aws:iam::{id}:root")));
        let actions = actions.iter().map(|action| Json::from(format!("SQS:{action}")));
        statements.push(Json::object([
            ("Sid", Json::from(label)),
            ("Effect", "Allow".into()),
            ("Principal", Json::object([("AWS", Json::array(accounts))])),
            ("Action", Json::array(actions)),
            ("Resource", super::arn(&self.name, settings).into()),
        ]));
        Ok(self.with_statements(statements))
    }

    /// Its attributes without a statement of its policy.
    pub(super) fn without_permission(&self, label: &str) -> Result<Attributes, ApiError> {
        let mut statements = self.statements();
        let before = statements.len();
        statements.retain(|one| !is_labelled(one, label));
        if statements.len() == before {
            return Err(bad("Label", label, "can't find label on existing policy."));
        }
        Ok(self.with_statements(statements))
    }

    fn statements(&self) -> Vec<Json> {
        let policy = self.attributes.shown.iter().find(|(name, _)| **name == *"Policy");
        let policy = policy.and_then(|(_, text)| Json::parse(text).ok());
        match policy.as_ref().and_then(|policy| policy.member("Statement")) {
            Some(Json::Array(statements)) => statements.to_vec(),
            Some(one) => vec![one.clone()],
            None => Vec::new(),
        }
    }

    fn with_statements(&self, statements: Vec<Json>) -> Attributes {
        let mut attributes = self.attributes.clone();
        let policy = Json::object([
            ("Version", Json::from("2008-10-17")),
            ("Id", "__default_policy_ID".into()),
            ("Statement", Json::array(statements)),
        ]);
        attributes.show(&"Policy".into(), &policy.to_text().into());
        attributes
    }

    /// Attributes that its record holds, by name.
    pub(super) fn shown(&self, settings: &Settings) -> Vec<(Arc<str>, Json)> {
        let own = &self.attributes;
        let number = |number: i64| Json::from(number.to_string());
        let mut shown = vec![
            ("QueueArn".into(), Json::from(super::arn(&self.name, settings))),
            ("CreatedTimestamp".into(), number(self.created.0.div_euclid(1_000))),
            ("LastModifiedTimestamp".into(), number(self.modified.0.div_euclid(1_000))),
            ("VisibilityTimeout".into(), number(own.visibility_s)),
            ("MaximumMessageSize".into(), number(own.bytes_max)),
            ("MessageRetentionPeriod".into(), number(own.retention_s)),
            ("DelaySeconds".into(), number(own.delay_s)),
            ("ReceiveMessageWaitTimeSeconds".into(), number(own.wait_s)),
        ];
        let redrive = own.redrive.as_ref();
        shown.extend(
            redrive
                .map(|redrive| ("RedrivePolicy".into(), Json::String(Arc::clone(&redrive.text)))),
        );
        if let Some(allows) = &own.allows {
            shown.push(("RedriveAllowPolicy".into(), Json::String(Arc::clone(&allows.text))));
        }
        if self.is_fifo() {
            let scope = if own.by_group { "messageGroup" } else { "queue" };
            let content = if own.by_content { "true" } else { "false" };
            shown.extend([
                ("FifoQueue".into(), Json::from("true")),
                ("ContentBasedDeduplication".into(), content.into()),
                ("DeduplicationScope".into(), scope.into()),
            ]);
            if !own.shown.iter().any(|(name, _)| **name == *"FifoThroughputLimit") {
                shown.push(("FifoThroughputLimit".into(), "perQueue".into()));
            }
        }
        let text = |(name, text): &(Arc<str>, Arc<str>)| {
            (Arc::clone(name), Json::String(Arc::clone(text)))
        };
        shown.extend(own.shown.iter().map(text));
        shown
    }
}

fn is_labelled(statement: &Json, label: &str) -> bool {
    statement.member("Sid").and_then(Json::as_str) == Some(label)
}
