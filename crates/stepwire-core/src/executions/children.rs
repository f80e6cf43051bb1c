//! Executions that another one started and waits for (`states:startExecution.sync`).
//!
//! A child begins in the commit in which its task is submitted, and its end reaches the parent in
//! the commit in which it ends: no crash can come between. While it runs, [`OpenRecord::parent`]
//! says who waits; once nobody does it is stopped, unless somebody has answered for it.
//!
//! [`OpenRecord::parent`]: super::OpenRecord::parent

use std::sync::Arc;

use stepwire_asl::definition::Pattern;
use stepwire_asl::json::Object;
use stepwire_asl::{Execution, Failure, Json};

use super::record::{self, Write};
use super::run::Ran;
use super::view::describe_execution;
use super::{ExecutionId, ExecutionName, Executions, OpenRecord, Parent, TaskToken};
use crate::integrations;
use crate::read::{Read, Reads};
use crate::record::Corrupt;
use crate::settings::Settings;

impl Executions {
    /// Children of `id` whose task is no longer open: it timed out, was aborted, or `id` ended.
    pub(super) fn orphans(&self, id: ExecutionId, execution: &Execution) -> Vec<ExecutionId> {
        let waits = |parent: &Parent| match *parent {
            Parent::Task { scheduled, .. } => execution.is_open(scheduled),
        };
        let task = |scheduled| Parent::Task { execution: id, scheduled };
        let first = ExecutionId { machine: 0, number: 0 };
        let last = ExecutionId { machine: u64::MAX, number: u64::MAX };
        let children = self.children.range((task(0), first)..=(task(u64::MAX), last));
        children.filter(|(parent, _)| !waits(parent)).map(|(_, child)| *child).collect()
    }

    /// Somebody with the token has answered in place of the child: it runs on by itself.
    pub(super) fn release(&mut self, token: TaskToken, ran: &mut Ran) {
        let parent = Parent::Task { execution: token.execution, scheduled: token.scheduled };
        let first = ExecutionId { machine: 0, number: 0 };
        let children = self.children.range((parent, first)..);
        let children = children.take_while(|(of, _)| *of == parent).map(|(_, child)| *child);
        for child in children.collect::<Vec<_>>() {
            ran.orphans.retain(|orphan| *orphan != child);
            if let Some(open) = self.open.get(&child).copied() {
                self.record(Write::Open(child, Some(OpenRecord { parent: None, ..open })), ran);
            }
        }
    }
}

impl Executions {
    /// Reads what [`Executions::outcome`] and telling the parent will want.
    pub(crate) fn touch_ended(
        &self,
        child: ExecutionId,
        parent: Parent,
        read: &dyn Read,
        settings: &Settings,
    ) {
        let Parent::Task { execution, .. } = parent;
        self.touch(execution, read);
        // Reading it is the way to find what reading it needs.
        let _ = description(child, read, settings);
    }

    /// What an ended child comes to for the task that waits for it; `None` if it no longer does.
    pub(crate) fn outcome(
        &mut self,
        child: ExecutionId,
        parent: Parent,
        reads: &Reads,
        settings: &Settings,
    ) -> Result<Option<Result<Json, Failure>>, Corrupt> {
        let Parent::Task { execution, scheduled } = parent;
        let task = self.open_task(TaskToken { execution, scheduled }, reads)?;
        let Some(task) = task else { return Ok(None) };
        let described = description(child, reads, settings)?;
        let succeeded = described.member("Status").and_then(Json::as_str) == Some("SUCCEEDED");
        Ok(Some(if !succeeded {
            let cause = described.to_text().into();
            Err(Failure { error: "States.TaskFailed".into(), cause })
        } else if task.resource.pattern() == Pattern::Sync2 {
            Ok(with_payloads_as_json(&described))
        } else {
            Ok(described)
        }))
    }
}

/// DescribeExecution's answer as SDK v1 gives it to workflows: members in PascalCase and in order
/// of name, times in milliseconds.
fn description(id: ExecutionId, read: &dyn Read, settings: &Settings) -> Result<Json, Corrupt> {
    let corrupt = |key: Vec<u8>| Corrupt { key, why: "a child is not stored".to_owned() };
    let keys = (record::machine_key(id.machine), record::execution_key(id));
    let machine = read.get(&keys.0).ok_or_else(|| corrupt(keys.0.clone()))?;
    let child = read.get(&keys.1).ok_or_else(|| corrupt(keys.1.clone()))?;
    let name = ExecutionName {
        machine: record::machine(&keys.0, &machine)?.name,
        name: record::execution(&keys.1, &child)?.name,
    };
    let described = describe_execution(&name, true, read, settings);
    let described = described.map_err(|error| Corrupt { key: keys.1, why: error.message })?;
    Ok(integrations::v1(&described))
}

/// `Input` and `Output` as values rather than as text (`.sync:2`).
fn with_payloads_as_json(described: &Json) -> Json {
    let members = described.as_object().into_iter().flatten().map(|(name, value)| {
        let parsed = match (name.as_ref(), value) {
            ("Input" | "Output", Json::String(text)) => Json::parse(text).ok(),
            _ => None,
        };
        (Arc::clone(name), parsed.unwrap_or_else(|| value.clone()))
    });
    Json::Object(Arc::new(members.collect::<Object>()))
}
