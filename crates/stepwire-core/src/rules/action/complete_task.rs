//! `completeTask`, which is ours: a message completes the task that waits for an answer of the
//! device that published it.

use std::sync::Arc;

use super::field::Field;
use super::{Kind, Resolved, document, only};
use crate::answers::Attributes;
use crate::error::ApiError;
use crate::message::Origin;
use crate::params::Params;
use crate::rules::sql::{Facts, Value};

/// `completeTask`
#[derive(Debug, Clone, PartialEq)]
pub struct CompleteTask {
    /// Table of tokens.
    table: Field,
    /// Partition key value.
    operation: Field,
    /// The device that must have answered.
    device: Field,
    attributes: Attributes,
}

pub(super) fn parse(fields: &Params<'_>) -> Result<CompleteTask, ApiError> {
    only(
        fields,
        &[
            "tableName",
            "operationId",
            "deviceId",
            "deviceAttribute",
            "statusAttribute",
            "tokenAttribute",
        ],
    )?;
    let default = Attributes::default();
    let named = |name: &str, default: Arc<str>| -> Result<Arc<str>, ApiError> {
        Ok(fields.optional_text(name)?.map_or(default, Arc::from))
    };
    let field = |name: &'static str, default: &str| {
        Field::parse(fields, name, fields.optional_text(name)?.unwrap_or(default))
    };
    Ok(CompleteTask {
        table: Field::required(fields, "tableName")?,
        operation: field("operationId", "${operationId}")?,
        device: field("deviceId", "${clientid()}")?,
        attributes: Attributes {
            device: named("deviceAttribute", default.device)?,
            status: named("statusAttribute", default.status)?,
            token: named("tokenAttribute", default.token)?,
        },
    })
}

impl Kind for CompleteTask {
    fn name(&self) -> &'static str {
        "CompleteTaskAction"
    }

    fn resource(&self) -> &Field {
        &self.table
    }

    fn resolve(
        &self,
        table: &Arc<str>,
        facts: &Facts<'_>,
        result: &Value,
    ) -> Result<Resolved, String> {
        Ok(Resolved::CompleteTask {
            table: Arc::clone(table),
            operation_id: self.operation.text(facts)?,
            device_id: self.device.text(facts)?,
            attributes: self.attributes.clone(),
            output: document(result)?,
            publisher: match &facts.message.origin {
                Origin::Client(client) => client.thing.clone(),
                Origin::Service | Origin::Caller(_) => None,
            },
        })
    }
}
