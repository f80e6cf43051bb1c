//! Workers: they ask for tasks of an activity, do them, and sometimes vanish.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One worker.
#[derive(Debug, Default)]
pub struct Worker {
    /// How often it has vanished: what an earlier one was told it does not know.
    pub life: u64,
    /// Empty answers in a row.
    pub idle: u32,
}

/// What became of each task that workers were given.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Tokens of tasks that a worker heard of.
    heard: BTreeSet<Arc<str>>,
    /// The answers that were accepted, by token.
    pub outputs: BTreeMap<Arc<str>, Arc<str>>,
}

impl Ledger {
    /// A worker hears of a task; what does not hold if it is not the first.
    pub fn given(&mut self, token: &Arc<str>) -> Option<String> {
        (!self.heard.insert(Arc::clone(token)))
            .then(|| "P3: a task was handed out twice".to_owned())
    }

    /// An answer to a task was accepted; what does not hold if it is not the first.
    pub fn accepted(&mut self, token: &Arc<str>, output: &Arc<str>) -> Option<String> {
        let before = self.outputs.insert(Arc::clone(token), Arc::clone(output));
        before.map(|_| "P3: a task was answered twice".to_owned())
    }
}
