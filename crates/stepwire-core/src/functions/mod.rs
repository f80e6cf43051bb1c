//! Functions as AWS Lambda has them: what is durable about them, and invocations that nobody waits for.
//!
//! The kernel knows which functions there are; the shell runs them. An invocation that a caller or
//! a task waits for is an effect alone. One that nobody waits for (`Event`, a rule's action) is
//! recorded first and tried again until it succeeded or was tried [`ATTEMPTS_MAX`] times.
//!
//! Read in this order: [`FunctionRecord`], [`Request`], [`Invocation`], [`Invoked`].

mod asynchronous;
mod call;
mod further;
mod invoked;
mod more;
mod name;
mod provisioned;
mod record;
mod request;
mod source;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stepwire_asl::Timestamp;

pub(crate) use asynchronous::Ended;
pub use invoked::{Invoked, InvokedBy, Told};
pub use name::FunctionName;
pub use provisioned::{ProvisionedRecord, provisioned};
pub use record::{
    AliasRecord, AsyncConfig, CodeRecord, FunctionRecord, Invocation, LayerRecord, LayerUse,
    Logging, RanKey, RanRecord, Runtime, SourceRecord, SystemLevel, Write, code, log_events,
    plain_log,
};
pub(crate) use request::function;
pub use request::{
    AliasChange, Code, Configuration, Create, InvocationType, Invoke, Permission, Request,
    SourceChange,
};
pub(crate) use source::Batch;
pub use view::{Found, all, answer, find, named, ran};

use crate::error::ApiError;
use crate::executions::ExecutionId;
use crate::record::{Corrupt, Space};
use crate::settings::Settings;

/// How often an invocation that nobody waits for is tried, unless it is configured.
pub const ATTEMPTS_MAX: u8 = 3;
/// Most invocations by tasks of which is kept what they came to.
const RAN_MAX: usize = 20_000;
/// Most invocations that nobody waits for at a time; more are refused.
const PENDING_MAX: usize = 10_000;
/// Most bytes that their payloads may have together.
const PENDING_BYTES_MAX: usize = 64 << 20;

/// Everything a shard knows about functions, except their code.
#[derive(Debug, Default)]
pub struct Functions {
    by_name: BTreeMap<Arc<str>, Arc<FunctionRecord>>,
    /// Larger than every number a function or its code has had while it was here.
    next: u64,
    pending: BTreeMap<u64, Invocation>,
    /// Of all payloads in `pending`.
    pending_bytes: usize,
    next_invocation: u64,
    /// By function and number.
    versions: BTreeMap<(Arc<str>, u64), Arc<FunctionRecord>>,
    /// By function and name.
    aliases: BTreeMap<(Arc<str>, Arc<str>), Arc<AliasRecord>>,
    layers: BTreeMap<(Arc<str>, u64), Arc<LayerRecord>>,
    /// How many versions layers have had.
    layer_versions: BTreeMap<Arc<str>, u64>,
    pub(crate) sources: BTreeMap<u64, Arc<SourceRecord>>,
    /// By function and qualifier.
    provisioned: BTreeMap<(Arc<str>, Arc<str>), Arc<ProvisionedRecord>>,
    /// What event source mappings are about. Not durable.
    sourcing: source::Sources,
    /// What is kept of invocations by tasks, by number: oldest first.
    ran: BTreeMap<u64, RanKey>,
    /// `due` of every pending invocation that has one; derived from `pending`.
    deadlines: BTreeSet<(Timestamp, u64)>,
}

impl PartialEq for Functions {
    fn eq(&self, other: &Self) -> bool {
        self.by_name == other.by_name
            && self.pending == other.pending
            && self.deadlines == other.deadlines
            && self.versions == other.versions
            && self.aliases == other.aliases
            && self.layers == other.layers
            && self.layer_versions == other.layer_versions
            && self.sources == other.sources
            && self.provisioned == other.provisioned
            && self.ran == other.ran
    }
}

impl Functions {
    /// What recovery reads into memory. Code stays in the store.
    pub const SPACES: &'static [Space] = &[
        Space::Function,
        Space::Invocation,
        Space::InvocationOf,
        Space::FunctionVersion,
        Space::FunctionAlias,
        Space::Layer,
        Space::EventSource,
        Space::ProvisionedConcurrency,
    ];

    /// The only thing that changes functions and pending invocations.
    pub fn apply(&mut self, write: &Write) {
        match write {
            Write::Function(name, Some(record)) => {
                self.next = self.next.max(record.number + 1).max(record.code.number + 1);
                self.by_name.insert(Arc::clone(name), Arc::clone(record));
            }
            Write::Function(name, None) => drop(self.by_name.remove(name)),
            Write::Code { number, .. } => self.next = self.next.max(number + 1),
            Write::Version(name, version, record) => {
                set(&mut self.versions, (Arc::clone(name), *version), record.as_ref());
            }
            Write::Alias(function, name, alias) => {
                set(&mut self.aliases, (Arc::clone(function), Arc::clone(name)), alias.as_ref());
            }
            Write::Layer(name, version, layer) => {
                if let Some(layer) = layer {
                    self.next = self.next.max(layer.code.number + 1);
                }
                set(&mut self.layers, (Arc::clone(name), *version), layer.as_ref());
            }
            Write::LayerVersions(name, versions) => {
                self.layer_versions.insert(Arc::clone(name), *versions);
            }
            Write::Source(number, source) => {
                self.next = self.next.max(number + 1);
                set(&mut self.sources, *number, source.as_ref());
            }
            Write::Provisioned(function, qualifier, record) => {
                let key = (Arc::clone(function), Arc::clone(qualifier));
                set(&mut self.provisioned, key, record.as_ref());
            }
            Write::Ran(key, ran) => match ran {
                Some(_) => drop(self.ran.insert(key.number, *key)),
                None => drop(self.ran.remove(&key.number)),
            },
            Write::Invocation(number, invocation) => {
                self.next_invocation = self.next_invocation.max(number + 1);
                let before = match invocation {
                    Some(invocation) => self.pending.insert(*number, invocation.clone()),
                    None => self.pending.remove(number),
                };
                if let Some(before) = before {
                    self.pending_bytes -= before.payload.len();
                    before.due.map(|due| self.deadlines.remove(&(due, *number)));
                }
                if let Some(invocation) = invocation {
                    self.pending_bytes += invocation.payload.len();
                    invocation.due.map(|due| self.deadlines.insert((due, *number)));
                }
            }
        }
    }

    /// Takes in one stored entry of [`Functions::SPACES`].
    pub fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        self.apply(&Write::load(key, value)?);
        Ok(())
    }

    /// The function that `name` names, or AWS's error that it is not here.
    pub(crate) fn find(
        &self,
        name: &FunctionName,
        settings: &Settings,
    ) -> Result<&Arc<FunctionRecord>, ApiError> {
        let found = self.by_name.get(&name.name).filter(|_| name.is_here(settings));
        found.ok_or_else(|| name.not_found(settings))
    }

    /// The version that `name` names, or AWS's error that it is not here.
    pub(crate) fn find_version(
        &self,
        name: &FunctionName,
        settings: &Settings,
    ) -> Result<Arc<FunctionRecord>, ApiError> {
        let latest = self.find(name, settings)?;
        let Some(qualifier) = name.qualifier.as_ref().filter(|_| !name.is_latest()) else {
            return Ok(Arc::clone(latest));
        };
        let alias = self.aliases.get(&(Arc::clone(&name.name), Arc::clone(qualifier)));
        let version = alias.map(|alias| alias.version).or_else(|| qualifier.parse().ok());
        let version = version.ok_or_else(|| name.not_found(settings))?;
        if version == 0 {
            return Ok(Arc::clone(latest));
        }
        let found = self.versions.get(&(Arc::clone(&name.name), version));
        found.map(Arc::clone).ok_or_else(|| name.not_found(settings))
    }

    /// Whether anything needs the archive of this number.
    fn is_used(&self, code: u64) -> bool {
        let functions = self.by_name.values().chain(self.versions.values());
        functions.flat_map(|record| record.archives()).any(|number| number == code)
            || self.layers.values().any(|layer| layer.code.number == code)
    }

    /// Keeps what an invocation by a task came to, and lets go of the oldest.
    pub(crate) fn keep(
        &mut self,
        execution: ExecutionId,
        scheduled: u64,
        ran: RanRecord,
        writes: &mut Vec<Write>,
    ) {
        let number = self.ran.last_key_value().map_or(1, |(number, _)| number + 1);
        let key = RanKey { execution, scheduled, number };
        let log = ran.shortened();
        self.record(Write::Ran(key, Some(Arc::new(RanRecord { log, ..ran }))), writes);
        while self.ran.len() > RAN_MAX
            && let Some((_, oldest)) = self.ran.first_key_value()
        {
            let oldest = *oldest;
            self.record(Write::Ran(oldest, None), writes);
        }
    }

    /// When the next pending invocation is to be tried again, or an event source to be looked at.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        let attempts = self.deadlines.first().map(|(due, _)| *due);
        attempts.into_iter().chain(self.sources_due()).min()
    }

    /// Invocations whose next attempt is due.
    pub(crate) fn overdue(&self, now: Timestamp) -> Vec<u64> {
        let due = self.deadlines.iter().take_while(|(due, _)| *due <= now);
        due.map(|(_, number)| *number).collect()
    }

    /// Invocations whose attempt was under way when the node ended.
    pub(crate) fn interrupted(&self) -> Vec<u64> {
        let running = self.pending.iter().filter(|(_, invocation)| invocation.due.is_none());
        running.map(|(number, _)| *number).collect()
    }
}

fn set<K: Ord, V: Clone>(map: &mut BTreeMap<K, V>, key: K, value: Option<&V>) {
    match value {
        Some(value) => drop(map.insert(key, value.clone())),
        None => drop(map.remove(&key)),
    }
}
