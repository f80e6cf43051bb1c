//! State machines: their revisions, versions, aliases and tags.
//!
//! Changing a state machine makes a revision; what ran before runs on with its own. Versions and
//! aliases are names for revisions that executions can be started by.
//!
//! Read in this order: [`Machines`], [`Request`], [`Write`]; then `call` (what requests change).

mod alias;
mod arn;
mod call;
mod logging;
mod record;
mod request;
mod tag;
mod version;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use stepwire_asl::StateMachine;

pub use arn::{MachineArn, Qualifier};
pub use logging::{Level, Logging};
pub use record::{AliasRecord, Publish, Route, VersionRecord, Write};
pub(super) use request::tags;
pub use request::{CreateStateMachine, Request, UpdateStateMachine};
pub use tag::Tags;
pub(super) use tag::within;
pub(super) use view::answer;
pub use view::by_name;

use super::record::MachineRecord;

/// A revision of a state machine, ready to run.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) record: Arc<MachineRecord>,
    /// `None`: this version of stepwire does not accept the stored definition.
    pub(crate) compiled: Option<Arc<StateMachine>>,
}

/// The state machines of a shard.
#[derive(Debug, Default)]
pub(super) struct Machines {
    current: BTreeMap<u64, Machine>,
    /// The last state machine of each name, deleted or not.
    by_name: BTreeMap<Arc<str>, u64>,
    /// Those that are not current, by machine and number.
    revisions: BTreeMap<(u64, u64), Machine>,
    versions: BTreeMap<(u64, u64), VersionRecord>,
    aliases: BTreeMap<(u64, Arc<str>), AliasRecord>,
    /// How many are not deleted; derived from `current`.
    live: u64,
    /// Larger than every number in use.
    pub(super) next: u64,
}

/// What a start comes to: which revision runs, and by which names it was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) machine: u64,
    pub(crate) revision: u64,
    pub(crate) version: Option<u64>,
    pub(crate) alias: Option<Arc<str>>,
}

impl Target {
    /// The current revision.
    pub(crate) fn current(record: &MachineRecord) -> Target {
        Target { machine: record.number, revision: record.revision, version: None, alias: None }
    }
}

impl Machines {
    /// Takes in a state machine as it now is.
    pub(super) fn apply_current(&mut self, record: &Arc<MachineRecord>) {
        let number = record.number;
        self.next = self.next.max(number + 1);
        let before = self.current.get(&number);
        self.live -= u64::from(before.is_some_and(|machine| !machine.record.deleted));
        self.live += u64::from(!record.deleted);
        let known = before.filter(|machine| machine.record.definition == record.definition);
        let compiled = known.and_then(|machine| machine.compiled.clone());
        let machine = Machine::new(record, compiled);
        self.current.insert(number, machine);
        let last = self.by_name.entry(Arc::clone(&record.name)).or_insert(number);
        *last = number.max(*last);
    }

    /// Takes in a change of anything else.
    pub(super) fn apply(&mut self, write: &Write) {
        match write {
            Write::Revision(machine, revision, Some(record)) => {
                let at = (*machine, *revision);
                self.revisions.insert(at, Machine::new(record, None));
            }
            Write::Revision(machine, revision, None) => {
                self.revisions.remove(&(*machine, *revision));
            }
            Write::Version(machine, number, Some(record)) => {
                self.versions.insert((*machine, *number), record.clone());
            }
            Write::Version(machine, number, None) => {
                self.versions.remove(&(*machine, *number));
            }
            Write::Alias(machine, name, Some(record)) => {
                self.aliases.insert((*machine, Arc::clone(name)), record.clone());
            }
            Write::Alias(machine, name, None) => {
                self.aliases.remove(&(*machine, Arc::clone(name)));
            }
            Write::Name(..) => {}
            Write::Gone(number) => {
                let Some(gone) = self.current.remove(number) else { return };
                self.live -= u64::from(!gone.record.deleted);
                if self.by_name.get(&gone.record.name) == Some(number) {
                    self.by_name.remove(&gone.record.name);
                }
            }
        }
    }

    /// The state machine of this name, unless it is deleted.
    pub(super) fn named(&self, name: &str) -> Option<&Machine> {
        self.last_named(name).filter(|machine| !machine.record.deleted)
    }

    /// The last state machine of this name, deleted or not.
    pub(super) fn last_named(&self, name: &str) -> Option<&Machine> {
        self.current.get(self.by_name.get(name)?)
    }

    /// The current revision.
    pub(super) fn current(&self, number: u64) -> Option<&Machine> {
        self.current.get(&number)
    }

    /// One revision.
    pub(super) fn revision(&self, number: u64, revision: u64) -> Option<&Machine> {
        let current = self.current.get(&number).filter(|m| m.record.revision == revision);
        current.or_else(|| self.revisions.get(&(number, revision)))
    }

    /// Those that are not deleted and whose stored definition this stepwire does not accept.
    pub(super) fn refused(&self) -> impl Iterator<Item = &Arc<str>> {
        let refused = |machine: &&Machine| machine.compiled.is_none() && !machine.record.deleted;
        self.current.values().filter(refused).map(|machine| &machine.record.name)
    }

    /// Numbers of all of which something is left.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> + '_ {
        self.current.keys().copied()
    }

    /// Whether it is the same as what is stored.
    pub(super) fn same(&self, stored: &Machines) -> bool {
        let records = |of: &BTreeMap<u64, Machine>| {
            of.values().map(|machine| Arc::clone(&machine.record)).collect::<Vec<_>>()
        };
        let revisions = |of: &Machines| of.revisions.keys().copied().collect::<Vec<_>>();
        records(&self.current) == records(&stored.current)
            && self.by_name == stored.by_name
            && revisions(self) == revisions(stored)
            && self.versions == stored.versions
            && self.aliases == stored.aliases
            && self.live == stored.live
    }

    fn versions_of(&self, machine: u64) -> impl DoubleEndedIterator<Item = (u64, &VersionRecord)> {
        let all = self.versions.range((machine, 0)..=(machine, u64::MAX));
        all.map(|((_, number), record)| (*number, record))
    }

    fn aliases_of(&self, machine: u64) -> impl Iterator<Item = (&Arc<str>, &AliasRecord)> {
        let from = self.aliases.range((machine, Arc::from(""))..);
        from.take_while(move |((of, _), _)| *of == machine).map(|((_, name), alias)| (name, alias))
    }
}

impl Machine {
    fn new(record: &Arc<MachineRecord>, compiled: Option<Arc<StateMachine>>) -> Machine {
        let parsed = || StateMachine::parse(&record.definition).ok().map(Arc::new);
        Machine { record: Arc::clone(record), compiled: compiled.or_else(parsed) }
    }
}
