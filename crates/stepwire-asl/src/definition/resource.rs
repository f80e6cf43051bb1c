//! What a task calls.

use std::sync::Arc;

/// The service of a function's own ARN.
const FUNCTION: &str = "lambda-function";
/// The service of an activity's ARN.
const ACTIVITY: &str = "activity";

/// A task's `Resource`, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    text: Arc<str>,
    service: Arc<str>,
    api: Arc<str>,
    /// The operation with its pattern; the whole ARN of a function or activity.
    shown: Arc<str>,
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
            let shown = match (service, pattern) {
                (FUNCTION | ACTIVITY, _) => text.to_owned(),
                (_, Pattern::RequestResponse) => api.to_owned(),
                (_, Pattern::Sync) => format!("{api}.sync"),
                (_, Pattern::Sync2) => format!("{api}.sync:2"),
                (_, Pattern::WaitForTaskToken) => format!("{api}.waitForTaskToken"),
            };
            let (text, service, api) = (text.into(), service.into(), api.into());
            Some(Resource { text, service, api, shown: shown.into(), pattern })
        };
        match (*vendor, rest.split_once(':')) {
            ("states", Some(("activity", name))) => made(ACTIVITY, name, Pattern::RequestResponse),
            ("states", _) => {
                let (rest, pattern) = pattern(rest);
                let (service, api) = rest.rsplit_once(':')?;
                made(service, api, pattern)
            }
            ("lambda", _) if is_function(rest) => made(FUNCTION, rest, Pattern::RequestResponse),
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

    /// Resource type and operation as history events show them.
    pub(crate) fn shown(&self) -> (Arc<str>, Arc<str>) {
        (Arc::clone(&self.service), Arc::clone(&self.shown))
    }

    /// Whether it is the ARN of an activity: a worker asks for the task.
    pub fn is_activity(&self) -> bool {
        self.service.as_ref() == ACTIVITY
    }

    /// Who answers, as a message about the answer names them.
    pub(crate) fn answerer(&self) -> &str {
        if self.is_function() || self.is_activity() { &self.text } else { &self.service }
    }

    /// Whether it is the ARN of a function: such tasks have event types of their own.
    pub fn is_function(&self) -> bool {
        self.service.as_ref() == FUNCTION
    }
}

/// Whether `rest` of an ARN is `function:NAME` or `function:NAME:VERSION_OR_ALIAS`.
fn is_function(rest: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || "-_$.".contains(c))
    };
    let parts: Vec<&str> = rest.split(':').collect();
    matches!(parts.as_slice(), ["function", named @ ..] if matches!(named.len(), 1 | 2) && named.iter().all(|part| plain(part)))
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
