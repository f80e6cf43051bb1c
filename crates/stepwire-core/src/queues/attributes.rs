//! Attributes of queues: as text outside, typed inside.

use std::sync::Arc;

use stepwire_asl::Json;

use super::record::{Attributes, Queue, Redrive};
use super::request::{Pairs, no_fifo};
use crate::error::ApiError;
use crate::settings::Settings;

/// Accepted and shown again; nothing here looks at them.
const SHOWN: [&str; 5] = [
    "KmsDataKeyReusePeriodSeconds",
    "KmsMasterKeyId",
    "Policy",
    "RedriveAllowPolicy",
    "SqsManagedSseEnabled",
];

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
        }
    }
}

impl Attributes {
    /// These with what `given` changes.
    pub(super) fn with(&self, given: &Pairs, settings: &Settings) -> Result<Attributes, ApiError> {
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
                "RedrivePolicy" => {
                    made.redrive = Some(redrive(value, settings).ok_or_else(|| wrong(name))?);
                }
                "FifoQueue"
                | "ContentBasedDeduplication"
                | "DeduplicationScope"
                | "FifoThroughputLimit" => return Err(no_fifo()),
                known if SHOWN.contains(&known) => {
                    made.shown.retain(|(shown, _)| shown != name);
                    if !value.is_empty() {
                        made.shown.push((Arc::clone(name), Arc::clone(value)));
                        made.shown.sort();
                    }
                }
                _ => {
                    let message = format!("Unknown Attribute {name}.");
                    return Err(ApiError::new("InvalidAttributeName", message));
                }
            }
        }
        Ok(made)
    }

    /// The first attribute of `given` that is another here.
    pub(super) fn differs<'a>(
        &self,
        given: &'a Pairs,
        settings: &Settings,
    ) -> Result<Option<&'a Arc<str>>, ApiError> {
        for pair in given {
            if self.with(&vec![pair.clone()], settings)? != *self {
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

fn redrive(text: &Arc<str>, settings: &Settings) -> Option<Redrive> {
    let policy = Json::parse(text).ok()?;
    let arn = policy.member("deadLetterTargetArn")?.as_str()?;
    let receives = policy.member("maxReceiveCount")?;
    let receives = receives.as_i64().or_else(|| receives.as_str()?.parse().ok())?;
    let receives_max = u32::try_from(receives).ok().filter(|count| (1..=1_000).contains(count))?;
    let target = super::name_of_arn(arn, settings)?.into();
    Some(Redrive { target, receives_max, text: Arc::clone(text) })
}

impl Queue {
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
        let text = |(name, text): &(Arc<str>, Arc<str>)| {
            (Arc::clone(name), Json::String(Arc::clone(text)))
        };
        shown.extend(own.shown.iter().map(text));
        shown
    }
}
