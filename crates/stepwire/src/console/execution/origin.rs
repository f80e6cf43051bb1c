//! The runs of the same device before and after one.

use stepwire_console::pages::execution::path_of;
use stepwire_core::executions::record;
use stepwire_core::executions::{ExecutionId, ExecutionRecord};
use stepwire_core::read::{Range, Read as _};

use super::Found;
use crate::node::Node;
use crate::shard;

/// Runs of the same workflow that are looked at in each direction.
const LOOKED_AT_MAX: usize = 1_000;

/// The pages of the previous and the next run of the same device, in the same workflow.
pub(super) fn neighbours(
    node: &Node,
    found: &Found,
    workflow: &str,
) -> (Option<String>, Option<String>) {
    let Some(device) = found.record.origin.as_ref().and_then(|origin| origin.device()) else {
        return (None, None);
    };
    if found.id.map_run().is_some() {
        return (None, None);
    }
    let ExecutionId { machine, number } = found.id;
    let all = record::executions_of(machine);
    let this = record::execution_key(found.id);
    let after = record::executions_from(machine, number + 1).limit(LOOKED_AT_MAX);
    let before = Range { from: all.from, to: this, ..record::executions_of(machine) };
    let before = before.reversed().limit(LOOKED_AT_MAX);
    let of_device = |record: &ExecutionRecord| {
        record.origin.as_ref().and_then(|origin| origin.device()) == Some(device)
    };
    let first = |range: &Range| {
        let read = node.snapshot();
        let entries = shard::catch(|| read.range(range)).ok()?;
        let mut records =
            entries.iter().filter_map(|(key, value)| record::execution(key, value).ok());
        let record = records.find(|record| of_device(record))?;
        path_of(&node.settings().arn("states", &format!("execution:{workflow}:{}", record.name)))
    };
    (first(&before), first(&after))
}
