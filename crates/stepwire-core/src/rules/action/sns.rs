//! `sns`: a message is published on a topic of Amazon SNS.

use std::sync::Arc;

use stepwire_asl::Json;

use super::field::Field;
use super::{Kind, Resolved, only, text};
use crate::error::ApiError;
use crate::params::Params;
use crate::request::Service;
use crate::rules::sql::{Facts, Value};

/// `sns`
#[derive(Debug, Clone, PartialEq)]
pub struct Sns {
    target: Field,
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// The result is the message.
    Raw,
    /// The result has a message for each protocol, and `default`.
    Json,
}

const FIFO: &str = "FIFO topics cannot be targets of rules, as on AWS";

pub(super) fn parse(fields: &Params<'_>) -> Result<Sns, ApiError> {
    only(fields, &["targetArn", "messageFormat"])?;
    let format = match fields.optional_text("messageFormat")? {
        None | Some("RAW") => Format::Raw,
        Some("JSON") => Format::Json,
        Some(other) => {
            let why = format!("`{other}` is neither RAW nor JSON");
            return Err(fields.invalid("messageFormat", &why));
        }
    };
    let target = Field::required(fields, "targetArn")?;
    if target.source().ends_with(".fifo") {
        return Err(fields.invalid("targetArn", FIFO));
    }
    Ok(Sns { target, format })
}

impl Kind for Sns {
    fn name(&self) -> &'static str {
        "SnsAction"
    }

    fn resource(&self) -> &Field {
        &self.target
    }

    fn resolve(
        &self,
        target: &Arc<str>,
        _: &Facts<'_>,
        result: &Value,
    ) -> Result<Resolved, String> {
        if target.ends_with(".fifo") {
            return Err(FIFO.to_owned());
        }
        let mut body = vec![
            ("TargetArn", Json::String(Arc::clone(target))),
            ("Message", Json::String(text(result)?)),
        ];
        if self.format == Format::Json {
            body.push(("MessageStructure", "json".into()));
        }
        let body = Json::object(body);
        Ok(Resolved::Request { service: Service::Sns, operation: "Publish", body })
    }
}
