//! What is left of map runs goes with the execution that began them.

use super::record;
use crate::executions::ExecutionId;
use crate::executions::record::{self as records, execution_key, history_of, name_key};
use crate::read::{Key, Read};
use crate::record::Corrupt;

/// Most children that one slice removes.
const CHILDREN_MAX: usize = 16;
/// Most chunks of items, or of a child's history, that one slice removes.
const CHUNKS_MAX: usize = 64;

/// Where the next slice of what is left of the map runs of an execution is; empty: nothing is left.
///
/// Children go first and the run's own records last, so that a half removed run is found again.
pub(crate) fn remains(parent: ExecutionId, read: &dyn Read) -> Result<Vec<Key>, Corrupt> {
    let first = read.range(&record::of_execution(parent).limit(1));
    let Some((of, _)) = first.into_iter().next() else { return Ok(Vec::new()) };
    let Some(number) = record::number_of(&of) else { return Ok(vec![of]) };
    let Some(run) = record::stored(number, read)? else { return Ok(vec![of]) };
    let mut keys = Vec::new();
    for (key, value) in read.range(&records::executions_of(number).limit(CHILDREN_MAX)) {
        let id = records::id_of(&key)?;
        let chunks = read.range(&history_of(id).limit(CHUNKS_MAX));
        let more = chunks.len() == CHUNKS_MAX;
        keys.extend(chunks.into_iter().map(|(chunk, _)| chunk));
        if more {
            return Ok(keys);
        }
        let child = records::execution(&key, &value)?;
        keys.extend([name_key(&run.spec.name, &child.name), execution_key(id)]);
    }
    if keys.is_empty() {
        let items = read.range(&record::items_of(number).limit(CHUNKS_MAX));
        keys.extend(items.into_iter().map(|(chunk, _)| chunk));
    }
    if keys.is_empty() {
        let name = record::name_key(&run.spec.name, &run.spec.uuid);
        keys.extend([record::ended_key(number), name, of]);
    }
    Ok(keys)
}
