//! What a state machine logs of its executions, and where.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::Json;

use crate::error::ApiError;

/// `loggingConfiguration`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Logging {
    /// Which events.
    pub level: Level,
    /// `includeExecutionData`: with inputs and outputs.
    pub with_data: bool,
    /// ARNs of log groups, each with `:*` at its end; at most one. `None`: not given.
    pub destinations: Option<Vec<Arc<str>>>,
}

/// Which events of an execution are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Level {
    /// None.
    #[default]
    Off,
    /// Every one.
    All,
    /// Those that tell of trouble.
    Error,
    /// Those that end an execution otherwise than by success.
    Fatal,
}

impl Level {
    fn of(word: &str) -> Level {
        match word {
            "ALL" => Level::All,
            "ERROR" => Level::Error,
            "FATAL" => Level::Fatal,
            _ => Level::Off,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Level::Off => "OFF",
            Level::All => "ALL",
            Level::Error => "ERROR",
            Level::Fatal => "FATAL",
        }
    }

    /// Whether events of this AWS type are logged. Source: Step Functions Developer Guide, "Log
    /// levels for Step Functions execution events".
    pub fn logs(self, kind: &str) -> bool {
        let trouble = ["Failed", "Aborted", "TimedOut"].iter().any(|end| kind.ends_with(end));
        match self {
            Level::Off => false,
            Level::All => true,
            Level::Error => trouble || kind == "FailStateEntered",
            Level::Fatal => trouble && kind.starts_with("Execution"),
        }
    }
}

impl Logging {
    /// The configuration that a request gives, its shape having been checked.
    pub(super) fn parse(given: &Json) -> Result<Logging, ApiError> {
        let group = |destination: &Json| {
            let arn = destination.member("cloudWatchLogsLogGroup")?.member("logGroupArn")?;
            Some(Arc::from(arn.as_str()?))
        };
        let destinations = given.member("destinations").and_then(Json::as_array);
        let destinations = destinations.map(|list| list.iter().map(group).collect::<Vec<_>>());
        let level = given.member("level").and_then(Json::as_str).map_or(Level::Off, Level::of);
        let count = destinations.as_ref().map_or(0, Vec::len);
        if count > 1 || (count == 0 && level != Level::Off) {
            return Err(invalid("Must specify exactly one Log Destination."));
        }
        let destinations = destinations.map(|list| list.into_iter().collect::<Option<Vec<_>>>());
        if destinations == Some(None) {
            return Err(invalid("Must specify exactly one Log Destination."));
        }
        Ok(Logging {
            level,
            with_data: given.member("includeExecutionData").and_then(Json::as_bool) == Some(true),
            destinations: destinations.flatten(),
        })
    }

    /// The name of the log group that events go to; `None` if the ARN is not that of a log group.
    pub fn group(&self) -> Option<&str> {
        let arn = self.destinations.as_ref()?.first()?;
        let (head, name) = arn.split_once(":log-group:")?;
        head.starts_with("arn:aws").then_some(())?;
        name.strip_suffix(":*").filter(|name| !name.is_empty())
    }

    /// Refuses a destination that is not there, as `exists` says of log group names.
    pub(crate) fn check(&self, exists: impl Fn(&str) -> bool) -> Result<(), ApiError> {
        let given = self.destinations.as_ref().is_some_and(|list| !list.is_empty());
        if given && !self.group().is_some_and(exists) {
            return Err(invalid("Log Destination not found."));
        }
        Ok(())
    }

    /// As DescribeStateMachine shows it.
    pub(super) fn shown(&self) -> Json {
        let mut members = vec![
            ("level", self.level.word().into()),
            ("includeExecutionData", self.with_data.into()),
        ];
        members.extend(self.destinations.as_ref().map(|list| {
            let group = |arn: &Arc<str>| {
                let group = Json::object([("logGroupArn", Json::String(Arc::clone(arn)))]);
                Json::object([("cloudWatchLogsLogGroup", group)])
            };
            ("destinations", Json::array(list.iter().map(group)))
        }));
        Json::object(members)
    }
}

fn invalid(why: &str) -> ApiError {
    ApiError::new("InvalidLoggingConfiguration", format!("Invalid Logging Configuration: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_logs_what_the_developer_guide_says() {
        let logged = |level: Level| {
            let kinds = [
                "ExecutionStarted",
                "PassStateEntered",
                "FailStateEntered",
                "TaskFailed",
                "MapIterationAborted",
                "LambdaFunctionTimedOut",
                "ExecutionFailed",
                "ExecutionSucceeded",
            ];
            kinds.iter().filter(|kind| level.logs(kind)).count()
        };
        assert_eq!([Level::Off, Level::All, Level::Error, Level::Fatal].map(logged), [0, 8, 5, 1]);
    }
}
