//! Delivery policies: how often an HTTP endpoint is tried, and when.
//!
//! Source: Amazon SNS developer guide, "Amazon SNS message delivery retries" and "Creating an HTTP/S
//! delivery policy".

use serde::{Deserialize, Serialize};
use stepwire_asl::Json;

/// Most seconds that retries may take together.
const TOTAL_S_MAX: i64 = 3_600;

/// `healthyRetryPolicy`: immediate attempts, some at the shortest wait, some in between, some at the
/// longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// `numRetries`
    pub retries: u32,
    /// `minDelayTarget`, seconds.
    pub min_s: u32,
    /// `maxDelayTarget`, seconds.
    pub max_s: u32,
    /// `numNoDelayRetries`
    pub immediate: u32,
    /// `numMinDelayRetries`
    pub shortest: u32,
    /// `numMaxDelayRetries`
    pub longest: u32,
    /// `backoffFunction`
    pub growth: Growth,
}

/// How waits grow from the shortest to the longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Growth {
    /// In equal steps.
    Linear,
    /// In steps that become longer.
    Arithmetic,
    /// By the same factor.
    Geometric,
    /// By the same factor, with steps that become longer.
    Exponential,
}

impl Default for Policy {
    /// Three retries, 20 s apart.
    fn default() -> Self {
        Policy {
            retries: 3,
            min_s: 20,
            max_s: 20,
            immediate: 0,
            shortest: 0,
            longest: 0,
            growth: Growth::Linear,
        }
    }
}

impl Policy {
    /// The policy of a `DeliveryPolicy` of a subscription, or of one of a topic. The error is what
    /// AWS says of it.
    pub(super) fn parse(text: &str, of_topic: bool) -> Result<Policy, String> {
        let json = Json::parse(text).map_err(|_| "failed to parse JSON".to_owned())?;
        let members = json.as_object().ok_or("must be a JSON object")?;
        let (scope, known) = if of_topic {
            if let Some(other) = members.keys().find(|name| ***name != *"http") {
                return Err(format!("Unexpected JSON member: {other}"));
            }
            (members.get("http"), TOPIC)
        } else {
            (Some(&json), SUBSCRIPTION)
        };
        let Some(scope) = scope else { return Ok(Policy::default()) };
        let members = scope.as_object().ok_or("http must be a JSON object")?;
        if let Some(other) = members.keys().find(|name| !known.contains(&&***name)) {
            return Err(match &**other {
                "throttlePolicy"
                | "defaultThrottlePolicy"
                | "sicklyRetryPolicy"
                | "defaultSicklyRetryPolicy" => {
                    format!("{other} is not available in stepwire")
                }
                other => format!("Unexpected JSON member: {other}"),
            });
        }
        let name = if of_topic { "defaultHealthyRetryPolicy" } else { "healthyRetryPolicy" };
        match members.get(name) {
            None | Some(Json::Null) => Ok(Policy::default()),
            Some(policy) => Policy::read(policy),
        }
    }

    fn read(json: &Json) -> Result<Policy, String> {
        let members = json.as_object().ok_or("healthyRetryPolicy must be a JSON object")?;
        let known = [
            "minDelayTarget",
            "maxDelayTarget",
            "numRetries",
            "numNoDelayRetries",
            "numMinDelayRetries",
            "numMaxDelayRetries",
            "backoffFunction",
        ];
        if let Some(other) = members.keys().find(|name| !known.contains(&&***name)) {
            return Err(format!("Unexpected JSON member: {other}"));
        }
        let default = Policy::default();
        let number = |name: &str, default: u32, min: i64, max: i64| {
            let Some(value) = members.get(name).filter(|value| !value.is_null()) else {
                return Ok(default);
            };
            let value = value.as_i64().filter(|value| (min..=max).contains(value));
            let value = value.and_then(|value| u32::try_from(value).ok());
            value.ok_or_else(|| format!("{name} must be between {min} and {max}"))
        };
        let growth = match members.get("backoffFunction").and_then(Json::as_str) {
            None | Some("linear") => Growth::Linear,
            Some("arithmetic") => Growth::Arithmetic,
            Some("geometric") => Growth::Geometric,
            Some("exponential") => Growth::Exponential,
            Some(other) => return Err(format!("backoffFunction {other} is not supported")),
        };
        let policy = Policy {
            retries: number("numRetries", default.retries, 0, 100)?,
            min_s: number("minDelayTarget", default.min_s, 1, 3_600)?,
            max_s: number("maxDelayTarget", default.max_s, 1, 3_600)?,
            immediate: number("numNoDelayRetries", 0, 0, 100)?,
            shortest: number("numMinDelayRetries", 0, 0, 100)?,
            longest: number("numMaxDelayRetries", 0, 0, 100)?,
            growth,
        };
        if policy.max_s < policy.min_s {
            return Err("maxDelayTarget must be greater than or equal to minDelayTarget".to_owned());
        }
        if policy.immediate + policy.shortest + policy.longest > policy.retries {
            return Err(
                "numRetries must be greater than or equal to the sum of numNoDelayRetries, \
                        numMinDelayRetries and numMaxDelayRetries"
                    .to_owned(),
            );
        }
        let total: i64 = (1..=policy.retries).filter_map(|n| policy.wait_ms(n)).sum();
        if total > TOTAL_S_MAX * 1_000 {
            return Err("the total retry time must be at most 3600 seconds".to_owned());
        }
        Ok(policy)
    }

    /// As the API shows it.
    pub(super) fn shown(&self) -> Json {
        let growth = match self.growth {
            Growth::Linear => "linear",
            Growth::Arithmetic => "arithmetic",
            Growth::Geometric => "geometric",
            Growth::Exponential => "exponential",
        };
        let number = |number: u32| Json::from(i64::from(number));
        Json::object([
            ("minDelayTarget", number(self.min_s)),
            ("maxDelayTarget", number(self.max_s)),
            ("numRetries", number(self.retries)),
            ("numMaxDelayRetries", number(self.longest)),
            ("numNoDelayRetries", number(self.immediate)),
            ("numMinDelayRetries", number(self.shortest)),
            ("backoffFunction", growth.into()),
        ])
    }

    /// The wait before retry `n`, counted from 1, in milliseconds. `None`: there is none any more.
    pub fn wait_ms(&self, n: u32) -> Option<i64> {
        if n == 0 || n > self.retries {
            return None;
        }
        let between = self.retries - self.immediate - self.shortest - self.longest;
        let (min, max) = (i64::from(self.min_s) * 1_000, i64::from(self.max_s) * 1_000);
        let n = n - self.immediate.min(n);
        if n == 0 {
            return Some(0);
        }
        let n = n - self.shortest.min(n);
        if n == 0 {
            return Some(min);
        }
        if n > between {
            return Some(max);
        }
        Some(min + self.grown(max - min, n, between))
    }

    /// What of `whole` is added to the shortest wait in step `n` of `steps`, in whole milliseconds.
    fn grown(&self, whole: i64, n: u32, steps: u32) -> i64 {
        if steps <= 1 {
            return 0;
        }
        let (n, steps) = (i64::from(n - 1), i64::from(steps - 1));
        match self.growth {
            Growth::Linear => whole * n / steps,
            Growth::Arithmetic => whole * (n * (n + 1) / 2) / (steps * (steps + 1) / 2),
            // Two to the power of the step, and four, as parts of the last.
            Growth::Geometric => power(whole, n, steps, 1),
            Growth::Exponential => power(whole, n, steps, 2),
        }
    }
}

fn power(whole: i64, n: i64, steps: i64, factor: i64) -> i64 {
    if n == 0 {
        return 0;
    }
    let shift = ((steps - n) * factor).min(40);
    whole >> shift
}

/// The content type that a delivery policy asks for.
pub(super) fn content_type(text: &str) -> Option<String> {
    let json = Json::parse(text).ok()?;
    let policy = json
        .member("requestPolicy")
        .or_else(|| json.member("http").and_then(|http| http.member("defaultRequestPolicy")));
    Some(policy?.member("headerContentType")?.as_str()?.to_owned())
}

const SUBSCRIPTION: &[&str] = &["healthyRetryPolicy", "requestPolicy"];
const TOPIC: &[&str] =
    &["defaultHealthyRetryPolicy", "disableSubscriptionOverrides", "defaultRequestPolicy"];
