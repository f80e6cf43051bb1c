//! `stepFunctions`: a message starts an execution.

use std::sync::Arc;

use super::field::{Field, text_or};
use super::{Kind, Resolved, document, only};
use crate::error::ApiError;
use crate::executions::is_name_prefix;
use crate::params::Params;
use crate::rules::sql::{Facts, Value};

/// `stepFunctions`
#[derive(Debug, Clone, PartialEq)]
pub struct StepFunctions {
    machine: Field,
    /// In front of the execution's name, which ends with a UUID.
    prefix: Option<Field>,
}

/// What a prefix must be like.
const PREFIX: &str = "with a UUID behind it, it is no name of an execution";

pub(super) fn parse(fields: &Params<'_>) -> Result<StepFunctions, ApiError> {
    only(fields, &["stateMachineName", "executionNamePrefix"])?;
    let name = "executionNamePrefix";
    let prefix = Field::optional(fields, name)?;
    let plain = prefix.as_ref().and_then(Field::plain);
    if plain.is_some_and(|prefix| !is_name_prefix(prefix)) {
        return Err(fields.invalid(name, PREFIX));
    }
    Ok(StepFunctions { machine: Field::required(fields, "stateMachineName")?, prefix })
}

impl Kind for StepFunctions {
    fn name(&self) -> &'static str {
        "StepFunctionsAction"
    }

    fn resource(&self) -> &Field {
        &self.machine
    }

    fn resolve(
        &self,
        machine: &Arc<str>,
        facts: &Facts<'_>,
        result: &Value,
    ) -> Result<Resolved, String> {
        let prefix = text_or(self.prefix.as_ref(), facts, "")?;
        if !is_name_prefix(&prefix) {
            return Err(format!("`executionNamePrefix` is `{prefix}`: {PREFIX}"));
        }
        Ok(Resolved::StepFunctions {
            state_machine_name: Arc::clone(machine),
            execution_name_prefix: prefix,
            input: document(result)?,
        })
    }
}
