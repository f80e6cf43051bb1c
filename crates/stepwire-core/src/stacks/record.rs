//! What is durable about stacks.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use stepwire_asl::{Json, Timestamp};

use super::kinds::Made;
use super::status::{OnFailure, Policy, Stage, Status, Support};
use crate::executions::derived_uuid;
use crate::read::{Key, Range, Read};
use crate::record::{Corrupt, KeyBuilder, Space, decode, encode};
use crate::settings::Settings;

/// Format of every record here.
const FORMAT: u8 = 1;

/// Which stack: its name and its number, which no other stack has had.
pub type StackKey = (Arc<str>, u64);

/// A stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stack {
    /// Unique number.
    pub number: u64,
    /// `StackName`
    pub name: Arc<str>,
    /// What it is at.
    pub status: Status,
    /// Why, if there is something to say.
    pub reason: Option<Arc<str>>,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last updated, or its update undone.
    pub updated: Option<Timestamp>,
    /// When it was deleted.
    pub deleted: Option<Timestamp>,
    /// What it was last made of.
    pub plan: Plan,
    /// Its outputs, in the template's order.
    pub outputs: Vec<Output>,
    /// The change set that was last executed.
    pub change_set: Option<Arc<str>>,
    /// `StackPolicyBody`, which is stored and shown.
    pub policy: Option<Arc<str>>,
    /// `EnableTerminationProtection`
    pub protected: bool,
    /// Its events have the numbers from the first of these up to the second.
    pub events: (u64, u64),
    /// Time of the latest of them.
    pub latest: Timestamp,
    /// Operations begun so far; see [`Resource::passed`].
    pub operations: u64,
    /// What is being done to it.
    pub work: Option<Work>,
    /// The stack that this one is a resource of, and as which.
    pub parent: Option<(StackKey, Arc<str>)>,
}

/// What a stack is to be, or is, made of.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Number of the stored template; 0: none yet.
    pub template: u64,
    /// `Description` of the template.
    pub description: Option<Arc<str>>,
    /// Parameters in the template's order.
    pub parameters: Vec<Parameter>,
    /// `Capabilities` that were given.
    pub capabilities: Vec<Arc<str>>,
    /// `Tags`
    pub tags: Vec<(Arc<str>, Arc<str>)>,
    /// `NotificationARNs`; stored and shown.
    pub notifications: Vec<Arc<str>>,
    /// `RoleARN`; stored and shown.
    pub role: Option<Arc<str>>,
    /// `RollbackConfiguration`; stored and shown.
    pub rollback_configuration: Option<Json>,
    /// What follows when the stack cannot be created.
    pub on_failure: OnFailure,
    /// `DisableRollback`
    pub disable_rollback: bool,
    /// `TimeoutInMinutes`; stored and shown.
    pub timeout_minutes: Option<i64>,
    /// `RetainExceptOnCreate`
    pub retain_except_on_create: bool,
    /// Names of the exports it uses.
    pub imports: Vec<Arc<str>>,
}

/// What is shown in place of a hidden value.
pub(super) const HIDDEN: &str = "****";
/// Hidden values that are at least this long are not shown within longer texts either.
const WITHIN_MIN: usize = 4;

impl Plan {
    /// The value without what parameters with `NoEcho` have.
    pub(super) fn masked(&self, value: &Json) -> Json {
        let hidden = self.parameters.iter().filter(|parameter| parameter.hidden);
        let hidden = hidden.flat_map(|one| [Some(&one.value), one.resolved.as_ref()]).flatten();
        let mut hidden: Vec<&str> = hidden
            .flat_map(|text| std::iter::once(&**text).chain(text.split(',').map(str::trim)))
            .filter(|text| !text.is_empty())
            .collect();
        hidden.sort_by_key(|text| std::cmp::Reverse(text.len()));
        if hidden.is_empty() { value.clone() } else { without(&hidden, value) }
    }
}

fn without(hidden: &[&str], value: &Json) -> Json {
    match value {
        Json::String(text) if hidden.contains(&&**text) => Json::from(HIDDEN),
        Json::String(text) => {
            let found = |hidden: &&&str| hidden.len() >= WITHIN_MIN && text.contains(**hidden);
            let found: Vec<_> = hidden.iter().filter(found).collect();
            if found.is_empty() {
                return value.clone();
            }
            let mut shown = text.to_string();
            for hidden in found {
                shown = shown.replace(*hidden, HIDDEN);
            }
            Json::from(shown)
        }
        Json::Number(number) if hidden.contains(&&*number.to_string()) => Json::from(HIDDEN),
        Json::Array(items) => Json::array(items.iter().map(|item| without(hidden, item))),
        Json::Object(members) => {
            let members = members.iter();
            Json::object(members.map(|(name, value)| (Arc::clone(name), without(hidden, value))))
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => value.clone(),
    }
}

/// A parameter's value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its name.
    pub key: Arc<str>,
    /// What was given, or its default.
    pub value: Arc<str>,
    /// What that names, for parameters of Parameter Store.
    pub resolved: Option<Arc<str>>,
    /// `NoEcho`
    pub hidden: bool,
}

/// An output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Its name.
    pub key: Arc<str>,
    /// Its value.
    pub value: Arc<str>,
    /// What the template says of it.
    pub description: Option<Arc<str>>,
    /// Under which name other stacks see it.
    pub export: Option<Arc<str>>,
}

/// What is being done to a stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// What.
    pub doing: Doing,
    /// What the stack is to become.
    pub plan: Plan,
    /// `ClientRequestToken`, which its events repeat.
    pub token: Option<Arc<str>>,
    /// The change set that is executed.
    pub change_set: Option<Arc<str>>,
    /// Of a deletion: resources that stay. Of an undoing: resources that are skipped.
    pub skip: Vec<Arc<str>>,
    /// Of a deletion: a resource that cannot be deleted stays.
    pub force: bool,
    /// Why what was begun is undone.
    pub failure: Option<Arc<str>>,
    /// What is waited for.
    pub waiting: Option<Waiting>,
    /// It goes no further until somebody says how: it has failed, and is not undone by itself.
    pub stalled: bool,
}

/// A part of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Doing {
    /// The resources of a new stack are made.
    Create,
    /// The resources of a new stack go again.
    UndoCreate,
    /// Resources are made and changed.
    Update,
    /// What an update no longer needs goes.
    Cleanup,
    /// Changed resources are changed back.
    UndoUpdate,
    /// What an update has made goes again.
    UndoCleanup,
    /// All resources go, and the stack with them.
    Delete,
}

/// A resource that is not done with at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// Which.
    pub logical: Arc<str>,
    /// When it counts as failed.
    pub until: Option<Timestamp>,
    /// For what.
    pub what: Awaited,
    /// What is being done to the resource.
    pub deed: Deed,
}

/// What is done to a resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Deed {
    /// It is made.
    Create(Body),
    /// It is made anew; what it was is kept until the operation is certain.
    Replace(Body),
    /// It is changed to this.
    Change(Body),
    /// It is changed back to this.
    Restore(Body),
    /// It goes.
    Delete,
    /// What it was goes.
    Remove(Body),
}

/// What a resource waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Awaited {
    /// The answer to the request of this number to a custom resource's function.
    Response(u64),
    /// The end of the operation on this stack.
    Stack(StackKey),
    /// Every index of the table of this name to know all its items.
    Indexes(Arc<str>),
}

/// A resource of a stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// Its name in the template.
    pub logical: Arc<str>,
    /// Its place in the order in which the template's resources are made.
    pub position: u32,
    /// What it is at.
    pub status: Status,
    /// Why, if there is something to say.
    pub reason: Option<Arc<str>>,
    /// When that was.
    pub changed: Timestamp,
    /// As it is now.
    pub now: Body,
    /// As it was when the stack was last whole.
    pub before: Before,
    /// What is still to be removed, of its earlier bodies.
    pub leftovers: Vec<Body>,
    /// The operation and the part of it that last came by: see [`Stack::operations`].
    pub passed: (u64, Doing),
    /// Names of resources that must outlive it.
    pub needs: Vec<Arc<str>>,
}

/// A resource when its stack was last whole.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub enum Before {
    /// It was as it is now.
    #[default]
    Same,
    /// It was not there.
    Absent,
    /// It was this.
    Other(Box<Body>),
}

/// What a resource is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Body {
    /// Its type.
    pub kind: Arc<str>,
    /// What is done with resources of that type.
    pub support: Support,
    /// Its properties, all references filled in.
    pub properties: Json,
    /// `Metadata`
    pub metadata: Option<Json>,
    /// What came of making it; `None`: nothing was made.
    pub made: Option<Made>,
    /// The end of the names that were made up for it.
    pub token: Arc<str>,
    /// `DeletionPolicy`
    pub deletion: Policy,
    /// `UpdateReplacePolicy`
    pub replacement: Policy,
}

/// Something that happened to a stack or to a resource of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// The resource's name; the stack's for itself.
    pub logical: Arc<str>,
    /// `PhysicalResourceId`
    pub physical: Option<Arc<str>>,
    /// The resource's type.
    pub kind: Arc<str>,
    /// What it is at since.
    pub status: Status,
    /// Why.
    pub reason: Option<Arc<str>>,
    /// The resource's properties, as JSON text.
    pub properties: Option<Arc<str>>,
    /// `ClientRequestToken` of the operation.
    pub token: Option<Arc<str>>,
}

/// What a stack could become.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChangeSet {
    /// Unique number.
    pub number: u64,
    /// `ChangeSetName`
    pub name: Arc<str>,
    /// The stack it is for.
    pub stack: StackKey,
    /// How it stands.
    pub stage: Stage,
    /// Why, if there is something to say.
    pub reason: Option<Arc<str>>,
    /// `Description`
    pub description: Option<Arc<str>>,
    /// When it was created.
    pub created: Timestamp,
    /// What the stack would be made of.
    pub plan: Plan,
    /// Whether it makes the stack.
    pub creates: bool,
    /// What it would change: `Changes` as the API shows them.
    pub changes: Json,
}

/// A template and all that its meaning depends on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Template {
    /// Its text.
    pub source: Arc<str>,
    /// Values of its parameters.
    pub parameters: BTreeMap<String, String>,
    /// Exports of other stacks that it uses.
    pub imports: BTreeMap<String, Json>,
    /// Values of Parameter Store that it uses.
    pub ssm: BTreeMap<String, Json>,
}

impl Stack {
    /// What it is stored under.
    pub fn key(&self) -> StackKey {
        (Arc::clone(&self.name), self.number)
    }

    /// Its ARN.
    pub fn id(&self, settings: &Settings) -> String {
        stack_id(&self.name, self.number, settings)
    }

    /// Whether the name is its own: a deleted stack has given it up.
    pub fn lives(&self) -> bool {
        self.status != Status::DeleteComplete
    }
}

/// The ARN of a stack.
pub fn stack_id(name: &str, number: u64, settings: &Settings) -> String {
    let uuid = derived_uuid(&settings.secret, "stack", &[number]);
    settings.arn("cloudformation", &format!("stack/{name}/{uuid}"))
}

impl Resource {
    /// Whether there is something that would have to be removed.
    pub fn is_there(&self) -> bool {
        let gone = matches!(self.status, Status::DeleteComplete | Status::DeleteSkipped);
        self.now.made.is_some() && !gone
    }
}

impl ChangeSet {
    /// Its ARN.
    pub fn id(&self, settings: &Settings) -> String {
        let uuid = derived_uuid(&settings.secret, "change set", &[self.number]);
        settings.arn("cloudformation", &format!("changeSet/{}/{uuid}", self.name))
    }
}

/// The counter of stacks, change sets and templates. Names of stacks are not empty, so it comes first.
pub(super) fn counter_key() -> Key {
    KeyBuilder::new(Space::Stack).text("").build()
}

pub(super) fn stack_key((name, number): &StackKey) -> Key {
    KeyBuilder::new(Space::Stack).text(name).number(*number).build()
}

/// All stacks, by name and number; those of a name if one is given.
pub(super) fn stacks(name: &str) -> Range {
    if name.is_empty() {
        let from = [counter_key().as_slice(), &[0]].concat();
        return Range { from, ..Range::prefix(&[Space::Stack as u8]) };
    }
    Range::prefix(&KeyBuilder::new(Space::Stack).text(name).build())
}

pub(super) fn resource_key(stack: u64, logical: &str) -> Key {
    KeyBuilder::new(Space::StackResource).number(stack).text(logical).build()
}

/// The resources of a stack, by name.
pub(super) fn resources(stack: u64) -> Range {
    Range::prefix(&KeyBuilder::new(Space::StackResource).number(stack).build())
}

pub(super) fn event_key(stack: u64, number: u64) -> Key {
    KeyBuilder::new(Space::StackEvent).number(stack).number(number).build()
}

/// The events of a stack, latest first; those before `before`.
pub(super) fn events(stack: u64, before: u64, limit: usize) -> Range {
    let from = KeyBuilder::new(Space::StackEvent).number(stack).build();
    Range { from, to: event_key(stack, before), reverse: true, limit }
}

pub(super) fn change_set_key(stack: u64, number: u64) -> Key {
    KeyBuilder::new(Space::ChangeSet).number(stack).number(number).build()
}

/// The change sets of a stack, in the order in which they were created.
pub(super) fn change_sets(stack: u64) -> Range {
    Range::prefix(&KeyBuilder::new(Space::ChangeSet).number(stack).build())
}

/// All change sets.
pub(super) fn all_change_sets() -> Range {
    Range::prefix(&KeyBuilder::new(Space::ChangeSet).build())
}

pub(super) fn template_key(number: u64) -> Key {
    KeyBuilder::new(Space::StackTemplate).number(number).build()
}

pub(super) fn value<T: Serialize>(record: &T) -> Vec<u8> {
    encode(FORMAT, record)
}

pub(super) fn record<T: DeserializeOwned>(key: &[u8], value: &[u8]) -> Result<T, Corrupt> {
    decode(FORMAT, key, value)
}

/// The record at `key`.
pub(super) fn stored<T: DeserializeOwned>(
    key: &[u8],
    read: &dyn Read,
) -> Result<Option<T>, Corrupt> {
    read.get(key).map(|value| record(key, &value)).transpose()
}

/// The records of `range`.
pub(super) fn all<T: DeserializeOwned>(range: &Range, read: &dyn Read) -> Result<Vec<T>, Corrupt> {
    read.range(range).iter().map(|(key, value)| record(key, value)).collect()
}
