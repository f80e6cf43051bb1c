//! `lambda`: a message invokes a function, which nobody waits for.

use std::sync::Arc;

use stepwire_asl::Json;

use super::field::Field;
use super::{Action, INVALID, Kind, Resolved, complete_task, document, only};
use crate::error::ApiError;
use crate::params::Params;
use crate::rules::sql::{Facts, Value};

/// How tools that know AWS's actions alone write `completeTask`.
const COMPLETE_TASK: &str = "stepwire:completeTask?";

/// `lambda`
#[derive(Debug, Clone, PartialEq)]
pub struct Lambda {
    function: Field,
}

pub(super) fn parse(fields: &Params<'_>) -> Result<Action, ApiError> {
    only(fields, &["functionArn"])?;
    match fields.text("functionArn")?.strip_prefix(COMPLETE_TASK) {
        Some(query) => {
            let members = members(query);
            complete_task::parse(&Params::new(&members, INVALID)).map(Action::CompleteTask)
        }
        None => Ok(Action::Lambda(Lambda { function: Field::required(fields, "functionArn")? })),
    }
}

/// The members in `a=b&c=d`.
fn members(query: &str) -> Json {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    Json::object(pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name.to_owned(), Json::from(value))
    }))
}

impl Kind for Lambda {
    fn name(&self) -> &'static str {
        "LambdaAction"
    }

    fn resource(&self) -> &Field {
        &self.function
    }

    fn resolve(
        &self,
        function: &Arc<str>,
        _: &Facts<'_>,
        result: &Value,
    ) -> Result<Resolved, String> {
        let payload = document(result)?.to_text().into();
        Ok(Resolved::Lambda { function_arn: Arc::clone(function), payload })
    }
}
