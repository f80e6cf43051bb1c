//! Stacks as AWS CloudFormation has them: templates made real, resource by resource.
//!
//! The kernel itself makes, changes, undoes and removes the resources of a stack. What is being done
//! is part of the stack's record ([`Work`]), so it goes on after a crash from where it was. One
//! resource at a time: its requests go through the same door as those of rules and tasks, and they,
//! the resource's record and its events are one commit. The next resource is an input of its own,
//! asked for by [`Effect::ContinueStack`](crate::Effect::ContinueStack).
//!
//! Stacks, resources and change sets are in memory whole; templates and events are in the store.
//!
//! Read in this order: [`Stack`], [`Work`], [`Resource`], [`Request`], `run`, `chore`, then [`kinds`].

mod call;
mod change_set;
mod chore;
mod custom;
mod events;
pub mod kinds;
mod make;
mod plan;
mod record;
mod request;
mod run;
mod secret_references;
mod status;
mod undo;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};
use stepwire_cloudformation::Expanded;

pub(crate) use chore::Chore;
pub use custom::RESPONSE_PATH;
pub use record::{
    Awaited, Before, Body, ChangeSet, Deed, Doing, Event, Output, Parameter, Plan, Resource, Stack,
    StackKey, Template, Waiting, Work, stack_id,
};
pub use request::{ChangeSetName, CreateChangeSet, Execute, Request, Source, Wanted};
pub use status::{OnFailure, Policy, Stage, Status, Support};
pub use view::answer;

use crate::error::ApiError;
use crate::read::Read;
use crate::record::{Corrupt, Entry, Space};
use crate::settings::Settings;

/// Most stacks. Source: CloudFormation quotas.
const STACKS_MAX: usize = 2_000;
/// Most deleted stacks that are remembered.
const DELETED_MAX: usize = 100;
/// Most events of a stack that are kept; the oldest go first.
const EVENTS_MAX: u64 = 4_000;
/// Most change sets of a stack. Source: CloudFormation quotas.
const CHANGE_SETS_MAX: usize = 1_000;

/// The stacks of a shard.
#[derive(Debug, Default)]
pub struct Stacks {
    stacks: BTreeMap<StackKey, Arc<Stack>>,
    /// By stack and name.
    resources: BTreeMap<(u64, Arc<str>), Arc<Resource>>,
    /// By stack and number.
    change_sets: BTreeMap<(u64, u64), Arc<ChangeSet>>,
    /// Larger than every number of a stack, a change set or a template.
    next: u64,
    /// What templates come to that are being made real, by number: made again when it is not here.
    expanded: BTreeMap<u64, Arc<Expanded>>,
}

impl PartialEq for Stacks {
    fn eq(&self, other: &Self) -> bool {
        self.stacks == other.stacks
            && self.resources == other.resources
            && self.change_sets == other.change_sets
            && self.next == other.next
    }
}

/// One durable change.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Numbers go on here.
    Next(u64),
    /// A stack as it now is; `None` once it is forgotten.
    Stack(StackKey, Option<Arc<Stack>>),
    /// A resource of a stack as it now is; `None`: there is none of this name.
    Resource(u64, Arc<str>, Option<Arc<Resource>>),
    /// A change set of a stack as it now is; `None` once it is gone.
    ChangeSet(u64, u64, Option<Arc<ChangeSet>>),
    /// An event of a stack; `None` once it is forgotten.
    Event(u64, u64, Option<Event>),
    /// A template; `None` once nothing needs it.
    Template(u64, Option<Arc<Template>>),
}

impl Write {
    /// The stored form.
    pub fn entry(&self) -> Entry {
        match self {
            Write::Next(next) => (record::counter_key(), Some(record::value(next))),
            Write::Stack(key, stack) => {
                (record::stack_key(key), stack.as_deref().map(record::value))
            }
            Write::Resource(stack, logical, resource) => {
                let key = record::resource_key(*stack, logical);
                (key, resource.as_deref().map(record::value))
            }
            Write::ChangeSet(stack, number, change_set) => {
                let key = record::change_set_key(*stack, *number);
                (key, change_set.as_deref().map(record::value))
            }
            Write::Event(stack, number, event) => {
                (record::event_key(*stack, *number), event.as_ref().map(record::value))
            }
            Write::Template(number, template) => {
                (record::template_key(*number), template.as_deref().map(record::value))
            }
        }
    }
}

impl Stacks {
    /// What recovery reads into memory.
    pub const SPACES: &'static [Space] = &[Space::Stack, Space::StackResource, Space::ChangeSet];

    /// The only thing that changes stacks.
    pub fn apply(&mut self, write: &Write) {
        match write {
            Write::Next(next) => self.next = *next,
            Write::Stack(key, Some(stack)) => {
                self.stacks.insert(key.clone(), Arc::clone(stack));
            }
            Write::Stack(key, None) => drop(self.stacks.remove(key)),
            Write::Resource(stack, logical, resource) => {
                let key = (*stack, Arc::clone(logical));
                match resource {
                    Some(resource) => drop(self.resources.insert(key, Arc::clone(resource))),
                    None => drop(self.resources.remove(&key)),
                }
            }
            Write::ChangeSet(stack, number, change_set) => {
                let key = (*stack, *number);
                match change_set {
                    Some(change_set) => drop(self.change_sets.insert(key, Arc::clone(change_set))),
                    None => drop(self.change_sets.remove(&key)),
                }
            }
            Write::Template(number, None) => drop(self.expanded.remove(number)),
            Write::Event(..) | Write::Template(_, Some(_)) => {}
        }
    }

    /// Takes in one stored entry of [`Stacks::SPACES`].
    pub fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        let number = |at: usize| {
            let bytes = key.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
            let wrong = || Corrupt { key: key.to_vec(), why: "not a stack's key".to_owned() };
            bytes.map(u64::from_be_bytes).ok_or_else(wrong)
        };
        let write = if key == record::counter_key() {
            Write::Next(record::record(key, value)?)
        } else if key.first() == Some(&(Space::Stack as u8)) {
            let stack: Stack = record::record(key, value)?;
            Write::Stack(stack.key(), Some(Arc::new(stack)))
        } else if key.first() == Some(&(Space::StackResource as u8)) {
            let resource: Resource = record::record(key, value)?;
            Write::Resource(number(1)?, Arc::clone(&resource.logical), Some(Arc::new(resource)))
        } else {
            let change_set: ChangeSet = record::record(key, value)?;
            Write::ChangeSet(number(1)?, number(9)?, Some(Arc::new(change_set)))
        };
        self.apply(&write);
        Ok(())
    }

    fn record(&mut self, write: Write, out: &mut Vec<Write>) {
        self.apply(&write);
        out.push(write);
    }

    /// A number that nothing else has.
    fn number(&mut self, out: &mut Vec<Write>) -> u64 {
        let number = self.next.max(1);
        self.record(Write::Next(number + 1), out);
        number
    }

    fn keep(&mut self, stack: Stack, out: &mut Vec<Write>) {
        self.record(Write::Stack(stack.key(), Some(Arc::new(stack))), out);
    }

    fn keep_resource(&mut self, stack: u64, resource: Resource, out: &mut Vec<Write>) {
        let logical = Arc::clone(&resource.logical);
        self.record(Write::Resource(stack, logical, Some(Arc::new(resource))), out);
    }

    /// The stack of this name that has not been deleted.
    fn named(&self, name: &str) -> Option<&Arc<Stack>> {
        let name: Arc<str> = name.into();
        let stacks = self.stacks.range((Arc::clone(&name), 0)..=(name, u64::MAX));
        stacks.map(|(_, stack)| stack).find(|stack| stack.lives())
    }

    /// The stack that a request names, or gives by ARN.
    fn find(&self, stack: &str, settings: &Settings) -> Option<&Arc<Stack>> {
        let Some(name) = name_in_id(stack) else { return self.named(stack) };
        let name: Arc<str> = name.into();
        let stacks = self.stacks.range((Arc::clone(&name), 0)..=(name, u64::MAX));
        stacks.map(|(_, stack)| stack).find(|found| found.id(settings) == stack)
    }

    /// The resources of a stack, by name.
    fn resources_of(&self, stack: u64) -> impl Iterator<Item = &Arc<Resource>> {
        let all = self.resources.range((stack, Arc::from(""))..);
        all.take_while(move |((of, _), _)| *of == stack).map(|(_, resource)| resource)
    }

    fn resource(&self, stack: u64, logical: &str) -> Option<&Arc<Resource>> {
        self.resources.get(&(stack, logical.into()))
    }

    /// The change sets of a stack, in the order in which they were created.
    fn change_sets_of(&self, stack: u64) -> impl Iterator<Item = &Arc<ChangeSet>> {
        self.change_sets.range((stack, 0)..=(stack, u64::MAX)).map(|(_, change_set)| change_set)
    }

    /// Every export: its name, the stack that has it, its value.
    fn exports(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<Stack>, &Arc<str>)> {
        let lives = self.stacks.values().filter(|stack| stack.lives());
        lives.flat_map(|stack| {
            let exported = stack.outputs.iter();
            exported.filter_map(move |out| Some((out.export.as_ref()?, stack, &out.value)))
        })
    }

    /// Stacks that use this export.
    fn importers(&self, export: &str) -> impl Iterator<Item = &Arc<Stack>> {
        let lives = self.stacks.values().filter(|stack| stack.lives());
        lives.filter(move |stack| imports(stack).any(|import| **import == *export))
    }

    /// Stacks with work to go on with, after a restart.
    pub(crate) fn at_work(&self) -> Vec<StackKey> {
        let busy = self.stacks.values().filter(|stack| stack.work.is_some());
        busy.map(|stack| stack.key()).collect()
    }

    /// When the next resource has waited long enough.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        let waits = self.stacks.values().filter_map(|stack| stack.work.as_ref()?.waiting.as_ref());
        waits.filter_map(|waiting| waiting.until).min()
    }

    /// Stacks whose resource has waited long enough.
    pub(crate) fn overdue(&self, now: Timestamp) -> Vec<StackKey> {
        let stacks = self.stacks.values().filter(|stack| {
            let waiting = stack.work.as_ref().and_then(|work| work.waiting.as_ref());
            waiting.and_then(|waiting| waiting.until).is_some_and(|until| until <= now)
        });
        stacks.map(|stack| stack.key()).collect()
    }

    /// Names in a stack's records what a request needs, so that it is fetched.
    pub(crate) fn prefetch(&self, request: &Request, read: &dyn Read, settings: &Settings) {
        plan::prefetch(self, request, read, settings);
    }
}

/// Exports that a stack uses, or will when its work is done.
fn imports(stack: &Stack) -> impl Iterator<Item = &Arc<str>> {
    let coming = stack.work.iter().flat_map(|work| &work.plan.imports);
    stack.plan.imports.iter().chain(coming)
}

/// The stack's name, if this is a stack's ARN.
fn name_in_id(id: &str) -> Option<&str> {
    let resource = id.strip_prefix("arn:").and_then(|_| id.splitn(6, ':').nth(5))?;
    resource.strip_prefix("stack/")?.split('/').next()
}

fn validation(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationError", message)
}

fn no_stack(stack: &str) -> ApiError {
    validation(format!("Stack with id {stack} does not exist"))
}

fn unreadable(corrupt: &Corrupt) -> ApiError {
    ApiError::new("InternalFailure", corrupt.to_string())
}

fn nothing() -> Json {
    Json::Object(Arc::default())
}
