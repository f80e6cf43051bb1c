//! What a task calls.

use std::sync::Arc;

/// A task's `Resource`, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    text: Arc<str>,
    service: Arc<str>,
    api: Arc<str>,
    pattern: Pattern,
}

/// How a task waits for what it calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// For the answer.
    RequestResponse,
    /// For the job's end (`.sync`).
    Sync,
    /// For the job's end, output as JSON (`.sync:2`).
    Sync2,
    /// For whoever has the token (`.waitForTaskToken`).
    WaitForTaskToken,
}

impl Resource {
    /// The resource that an ARN names: an optimised or `aws-sdk` integration
    /// (`arn:aws:states:::service:api`), a function or an activity.
    pub fn parse(text: &str) -> Option<Resource> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let [arn, partition, vendor, _, _, rest] = parts.as_slice() else { return None };
        if *arn != "arn" || !partition.starts_with("aws") || rest.is_empty() {
            return None;
        }
        let made = |service: &str, api: &str, pattern| {
            Some(Resource { text: text.into(), service: service.into(), api: api.into(), pattern })
        };
        match (*vendor, rest.split_once(':')) {
            ("states", Some(("activity", name))) => {
                made("activity", name, Pattern::RequestResponse)
            }
            ("states", _) => {
                let (rest, pattern) = pattern(rest);
                let (service, api) = rest.rsplit_once(':')?;
                made(service, api, pattern)
            }
            ("lambda", _) => made("lambda-function", rest, Pattern::RequestResponse),
            _ => None,
        }
    }

    /// The whole ARN.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The service: `lambda`, `aws-sdk:dynamodb`, `http`; `lambda-function` and `activity` for ARNs
    /// of those.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The operation: `invoke`, `putItem`.
    pub fn api(&self) -> &str {
        &self.api
    }

    /// How the task waits.
    pub fn pattern(&self) -> Pattern {
        self.pattern
    }

    /// The operation as history events show it: with its pattern.
    pub(crate) fn shown(&self) -> String {
        let suffix = match self.pattern {
            Pattern::RequestResponse => "",
            Pattern::Sync => ".sync",
            Pattern::Sync2 => ".sync:2",
            Pattern::WaitForTaskToken => ".waitForTaskToken",
        };
        format!("{}{suffix}", self.api)
    }

    pub(crate) fn is_function(&self) -> bool {
        self.service.as_ref() == "lambda-function"
    }
}

fn pattern(rest: &str) -> (&str, Pattern) {
    for (suffix, pattern) in [
        (".waitForTaskToken", Pattern::WaitForTaskToken),
        (".sync:2", Pattern::Sync2),
        (".sync", Pattern::Sync),
    ] {
        if let Some(plain) = rest.strip_suffix(suffix) {
            return (plain, pattern);
        }
    }
    (rest, Pattern::RequestResponse)
}
