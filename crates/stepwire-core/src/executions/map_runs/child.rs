//! What results say of a child.

use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_asl::definition::Transformation;

use super::record::Spec;
use crate::executions::record::{self as records, execution_key, history_of};
use crate::executions::run::{execution_arn, machine_arn};
use crate::executions::view::{ending_of, input_of};
use crate::executions::{ExecutionId, ExecutionRecord, Status};
use crate::read::Read;
use crate::record::Corrupt;
use crate::settings::Settings;

/// A child that has ended.
pub(super) struct Child {
    record: ExecutionRecord,
    arn: String,
    machine_arn: String,
    input: Option<String>,
    /// `output`, or `error` and `cause`.
    ending: Vec<(&'static str, Json)>,
}

impl Child {
    /// Reads what [`Child::read`] will want.
    pub(super) fn touch(id: ExecutionId, read: &dyn Read) {
        read.get(&execution_key(id));
        read.range(&history_of(id).limit(1));
        read.range(&history_of(id).reversed().limit(1));
    }

    pub(super) fn succeeded(&self) -> bool {
        self.record.status == Status::Succeeded
    }

    /// The child as it is stored.
    pub(super) fn read(
        id: ExecutionId,
        spec: &Spec,
        read: &dyn Read,
        settings: &Settings,
    ) -> Result<Child, Corrupt> {
        let key = execution_key(id);
        let corrupt = |why: &str| Corrupt { key: key.clone(), why: why.to_owned() };
        let value = read.get(&key).ok_or_else(|| corrupt("a child is not stored"))?;
        let record = records::execution(&key, &value)?;
        let mut events = Vec::new();
        for range in [history_of(id).limit(1), history_of(id).reversed().limit(1)] {
            for (key, value) in read.range(&range) {
                events.extend(records::events(&key, &value)?);
            }
        }
        Ok(Child {
            arn: execution_arn(settings, &spec.name, &record.name),
            machine_arn: machine_arn(settings, &spec.name),
            input: events.first().and_then(input_of),
            ending: events.iter().rev().find(|e| e.id > 0).map(ending_of).unwrap_or_default(),
            record,
        })
    }

    /// What the results say of it: a child that failed is described whole.
    pub(super) fn result(&self, transformation: Transformation) -> Vec<Json> {
        if self.record.status != Status::Succeeded {
            return vec![self.described()];
        }
        let output = || self.ending.iter().find(|(name, _)| *name == "output").map(|(_, v)| v);
        let output = || output().and_then(Json::as_str).and_then(|text| Json::parse(text).ok());
        match transformation {
            Transformation::None => vec![self.described()],
            Transformation::Compact => vec![output().unwrap_or_default()],
            Transformation::Flatten => match output().unwrap_or_default() {
                Json::Array(items) => items.to_vec(),
                other => vec![other],
            },
        }
    }

    /// DescribeExecution's answer as result files hold it.
    fn described(&self) -> Json {
        let included = || Json::object([("Included", Json::from(true))]);
        let member =
            |name: &str| self.ending.iter().find(|(n, _)| *n == name).map(|(_, v)| v.clone());
        let record = &self.record;
        let mut members = vec![("ExecutionArn", Json::from(self.arn.as_str()))];
        members.extend(member("cause").map(|cause| ("Cause", cause)));
        members.extend(member("error").map(|error| ("Error", error)));
        if let Some(input) = &self.input {
            members.extend([("Input", Json::from(input.as_str())), ("InputDetails", included())]);
        }
        members.push(("Name", Json::String(Arc::clone(&record.name))));
        if let Some(output) = member("output") {
            members.extend([("Output", output), ("OutputDetails", included())]);
        }
        let redrivable = record.status != Status::Succeeded;
        members.push(("RedriveCount", Json::from(i64::from(record.redrives()))));
        members.push((
            "RedriveStatus",
            if redrivable { "REDRIVABLE_BY_MAP_RUN" } else { "NOT_REDRIVABLE" }.into(),
        ));
        if !redrivable {
            let reason = "Execution is SUCCEEDED and cannot be redriven";
            members.push(("RedriveStatusReason", reason.into()));
        }
        members.push(("StartDate", Json::from(record.started.rfc3339())));
        members.push(("StateMachineArn", Json::from(self.machine_arn.as_str())));
        members.push(("Status", record.status.word().into()));
        members.extend(record.stopped.map(|at| ("StopDate", Json::from(at.rfc3339()))));
        Json::object(members)
    }
}
