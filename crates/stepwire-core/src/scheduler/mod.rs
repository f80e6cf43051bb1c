//! Schedules: Amazon EventBridge Scheduler, whose targets are of this node.
//!
//! Schedules and their groups are in memory whole. When one is due next is durable: what it does is
//! done in the commit that says when it is due again, so that it is neither lost nor done twice, and
//! what was missed while the node was down happens once.
//!
//! Read in this order: [`Scheduler`], [`Request`], [`Record`]; then `fire`, `view`.

mod fire;
mod record;
mod request;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

pub(crate) use fire::Due;
pub use record::{GroupRecord, Record, Target};
pub use request::{Change, Name, Request};
pub use view::answer;

use crate::error::ApiError;
use crate::events::Schedule;
use crate::record::{Corrupt, Entry, Space};
use crate::settings::Settings;

/// The group that is always there.
pub(crate) const DEFAULT: &str = "default";
/// Most schedules (AWS: 1,000,000).
const SCHEDULES_MAX: usize = 100_000;

/// The schedules of a shard.
#[derive(Debug, Default, PartialEq)]
pub struct Scheduler {
    groups: BTreeMap<Arc<str>, Arc<GroupRecord>>,
    /// By group and name.
    schedules: BTreeMap<(Arc<str>, Arc<str>), Arc<Record>>,
    /// When schedules are due, with group and name; derived from `schedules`.
    due: BTreeSet<(Timestamp, Arc<str>, Arc<str>)>,
}

/// One durable change.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// A group as it now is; `None`: there is none of this name.
    Group(Arc<str>, Option<Arc<GroupRecord>>),
    /// A schedule as it now is; `None`: there is none of this name.
    Schedule(Name, Option<Arc<Record>>),
}

impl Write {
    /// The stored form.
    pub fn entry(&self) -> Entry {
        match self {
            Write::Group(name, group) => {
                (record::group_key(name), group.as_deref().map(record::value))
            }
            Write::Schedule(name, schedule) => (
                record::schedule_key(&name.group, &name.name),
                schedule.as_deref().map(record::value),
            ),
        }
    }
}

impl Scheduler {
    /// What recovery reads into memory.
    pub const SPACES: &'static [Space] = &[Space::ScheduleGroup, Space::Schedule];

    /// The only thing that changes schedules.
    pub fn apply(&mut self, write: &Write) {
        match write {
            Write::Group(name, Some(group)) => {
                self.groups.insert(Arc::clone(name), Arc::clone(group));
            }
            Write::Group(name, None) => drop(self.groups.remove(name)),
            Write::Schedule(name, schedule) => {
                let key = (Arc::clone(&name.group), Arc::clone(&name.name));
                let due = |record: &Record| {
                    let next = record.next.filter(|_| record.enabled)?;
                    Some((next, Arc::clone(&record.group), Arc::clone(&record.name)))
                };
                let before = match schedule {
                    Some(schedule) => self.schedules.insert(key, Arc::clone(schedule)),
                    None => self.schedules.remove(&key),
                };
                if let Some(before) = before.as_deref().and_then(due) {
                    self.due.remove(&before);
                }
                self.due.extend(schedule.as_deref().and_then(due));
            }
        }
    }

    /// Takes in one stored entry of [`Scheduler::SPACES`].
    pub fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        let write = if key.first() == Some(&(Space::ScheduleGroup as u8)) {
            let group: GroupRecord = record::record(key, value)?;
            Write::Group(Arc::clone(&group.name), Some(Arc::new(group)))
        } else {
            let schedule: Record = record::record(key, value)?;
            let name =
                Name { group: Arc::clone(&schedule.group), name: Arc::clone(&schedule.name) };
            Write::Schedule(name, Some(Arc::new(schedule)))
        };
        self.apply(&write);
        Ok(())
    }

    fn record(&mut self, write: Write, out: &mut Vec<Write>) {
        self.apply(&write);
        out.push(write);
    }

    /// When the next schedule is due.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, ..)| *at)
    }

    /// Carries out a request that changes something. On `Err` nothing has changed.
    pub(crate) fn call(
        &mut self,
        now: Timestamp,
        request: &Request,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        match request {
            Request::Create(name, change) => {
                if self.schedules.contains_key(&name.key()) {
                    let message = format!("Schedule {} already exists.", name.name);
                    return Err(ApiError::new("ConflictException", message));
                }
                if self.schedules.len() >= SCHEDULES_MAX {
                    let message = format!("there are at most {SCHEDULES_MAX} schedules");
                    return Err(ApiError::new("ServiceQuotaExceededException", message));
                }
                self.put(now, now, name, change, settings, out)
            }
            Request::Update(name, change) => {
                let created = self.find(name)?.created;
                self.put(now, created, name, change, settings, out)
            }
            Request::Delete(name) => {
                self.find(name)?;
                self.record(Write::Schedule(name.clone(), None), out);
                Ok(nothing())
            }
            Request::CreateGroup { name, tags } => {
                if **name == *DEFAULT || self.groups.contains_key(name) {
                    let message = format!("Schedule group {name} already exists.");
                    return Err(ApiError::new("ConflictException", message));
                }
                let group = GroupRecord {
                    name: Arc::clone(name),
                    created: now,
                    modified: now,
                    tags: tags.clone(),
                };
                self.record(Write::Group(Arc::clone(name), Some(Arc::new(group))), out);
                Ok(Json::object([("ScheduleGroupArn", view::group_arn(name, settings).into())]))
            }
            Request::DeleteGroup(name) => {
                if **name == *DEFAULT {
                    return Err(validation("The default schedule group cannot be deleted."));
                }
                self.has_group(name)?;
                let of = self.schedules.keys().filter(|(group, _)| group == name);
                for (group, name) in of.cloned().collect::<Vec<_>>() {
                    self.record(Write::Schedule(Name { group, name }, None), out);
                }
                self.record(Write::Group(Arc::clone(name), None), out);
                Ok(nothing())
            }
            Request::Tag { resource, tags } => self.retag(now, resource, settings, out, |old| {
                old.retain(|(key, _)| !tags.iter().any(|(new, _)| new == key));
                old.extend(tags.iter().cloned());
            }),
            Request::Untag { resource, keys } => self.retag(now, resource, settings, out, |old| {
                old.retain(|(key, _)| !keys.contains(key));
            }),
            Request::Get(_)
            | Request::List { .. }
            | Request::GetGroup(_)
            | Request::ListGroups { .. }
            | Request::ListTags(_) => Err(validation("this request changes nothing")),
        }
    }

    fn find(&self, name: &Name) -> Result<&Arc<Record>, ApiError> {
        self.schedules.get(&name.key()).ok_or_else(|| view::no_schedule(&name.name))
    }

    fn has_group(&self, name: &Arc<str>) -> Result<(), ApiError> {
        let there = **name == *DEFAULT || self.groups.contains_key(name);
        there.then_some(()).ok_or_else(|| view::no_group(name))
    }

    fn put(
        &mut self,
        now: Timestamp,
        created: Timestamp,
        name: &Name,
        change: &Change,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        self.has_group(&name.group)?;
        request::check_target(&change.target, settings)?;
        let mut record = Record {
            group: Arc::clone(&name.group),
            name: Arc::clone(&name.name),
            created,
            modified: now,
            expression: Arc::clone(&change.expression),
            zone: Arc::clone(&change.zone),
            start: change.start,
            end: change.end,
            description: change.description.clone(),
            enabled: change.enabled,
            window_minutes: change.window_minutes,
            target: change.target.clone(),
            deletes: change.deletes,
            since: change.start.unwrap_or(now).max(now),
            planned: None,
            next: None,
        };
        // The first of a rate is at its begin.
        record.plan(now.plus_ms(-1), settings);
        self.record(Write::Schedule(name.clone(), Some(Arc::new(record))), out);
        Ok(Json::object([("ScheduleArn", view::arn(name, settings).into())]))
    }

    fn retag(
        &mut self,
        now: Timestamp,
        arn: &str,
        settings: &Settings,
        out: &mut Vec<Write>,
        change: impl FnOnce(&mut Vec<(Arc<str>, Arc<str>)>),
    ) -> Result<Json, ApiError> {
        let name = view::group_of(arn, settings)?;
        let group = self.groups.get(&name).ok_or_else(|| view::no_group(&name))?;
        let mut group = GroupRecord { modified: now, ..group.as_ref().clone() };
        change(&mut group.tags);
        self.record(Write::Group(name, Some(Arc::new(group))), out);
        Ok(nothing())
    }
}

/// Whether a text is a schedule of this service.
pub(crate) fn is_schedule(text: &str) -> bool {
    Schedule::parse(text).is_some()
}

fn validation(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationException", message.into())
}

fn nothing() -> Json {
    Json::Object(Arc::default())
}
