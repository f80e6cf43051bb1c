//! Requests that change logs, and what executions log.

use std::sync::Arc;

use stepwire_asl::json::Object;
use stepwire_asl::{Json, Timestamp};

use super::batch::Cut;
use super::record::Place;
use super::{EventRecord, GroupRecord, Logs, Request, StreamRecord, Write};
use crate::error::ApiError;

/// What an execution has logged, in order.
#[derive(Debug)]
pub struct Logged {
    /// Name of the log group.
    pub group: Arc<str>,
    /// Name of the state machine.
    pub machine: Arc<str>,
    /// A number that state machines and hours share with no other.
    pub mark: u64,
    /// Times and messages.
    pub events: Vec<(Timestamp, Arc<str>)>,
}

/// Who a stream is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Maker {
    Caller,
    /// Executions or rules; it goes with its last event.
    Node,
}

impl Logs {
    /// Carries out a request that changes something. On `Err` nothing has changed.
    pub(crate) fn call(
        &mut self,
        now: Timestamp,
        request: &Request,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        match request {
            Request::CreateGroup(name, tags) => self.create_group(now, name, tags, out)?,
            Request::DeleteGroup(name) => self.delete_group(name, out)?,
            Request::CreateStream(group, stream) => {
                let group = self.group(group)?;
                if self.by_name.contains_key(&(group.number, Arc::clone(stream))) {
                    let message = "The specified log stream already exists";
                    return Err(ApiError::new("ResourceAlreadyExistsException", message));
                }
                self.create_stream(now, &group, stream, Maker::Caller, out);
            }
            Request::DeleteStream(group, stream) => {
                let group = self.group(group)?;
                let number = self.stream(&group, stream)?;
                self.retire(group.number, number, out);
            }
            Request::Put { group, stream, events } => {
                let group = self.group(group)?;
                let stream = self.stream(&group, stream)?;
                // What the node itself logs is taken whatever its time: only batches are cut.
                let cut = Cut::of(events, now, group.retention_days)?;
                let taken = events.get(cut.taken()).unwrap_or_default();
                self.append(now, group.number, stream, taken, out);
                let token = self.streams.get(&(group.number, stream)).map_or(0, |s| s.next);
                let token = ("nextSequenceToken", Json::from(format!("{token:056}")));
                let rejected = cut.rejected().map(|told| ("rejectedLogEventsInfo", told));
                return Ok(Json::object([token].into_iter().chain(rejected)));
            }
            Request::Retention(group, days) => {
                let group = self.group(group)?;
                self.set_group(
                    GroupRecord { retention_days: *days, ..group.as_ref().clone() },
                    out,
                );
            }
            Request::Tag(group, tags) => {
                let mut group = self.group(group)?.as_ref().clone();
                group.tags.retain(|(key, _)| !tags.iter().any(|(new, _)| new == key));
                group.tags.extend(tags.iter().cloned());
                self.set_group(group, out);
            }
            Request::Untag(group, keys) => {
                let mut group = self.group(group)?.as_ref().clone();
                group.tags.retain(|(key, _)| !keys.contains(key));
                self.set_group(group, out);
            }
            Request::PutFilter { group, name, pattern, purpose } => {
                self.put_filter(now, group, name, pattern, purpose, out)?;
            }
            Request::DeleteFilter(group, family, name) => {
                self.delete_filter(group, *family, name, out)?;
            }
            Request::DescribeFilters { .. }
            | Request::DescribeGroups { .. }
            | Request::DescribeStreams { .. }
            | Request::Get { .. }
            | Request::Filter { .. }
            | Request::TestPattern(..)
            | Request::ListTags(_) => {
                return Err(ApiError::new(super::request::INVALID, "this request only reads"));
            }
        }
        Ok(Json::Object(Arc::new(Object::new())))
    }

    /// Takes what an execution logs. What goes to a group that is no longer there is lost, as on AWS.
    pub(crate) fn log(&mut self, logged: &Logged, out: &mut Vec<Write>) {
        let Ok(group) = self.group(&logged.group) else { return };
        let Some((first, _)) = logged.events.first() else { return };
        let now = logged.events.last().map_or(*first, |(last, _)| *last);
        // A stream takes what a state machine logs in an hour.
        let (machine, mark) = (&logged.machine, logged.mark as u32);
        let name = format!("states/{machine}/{}/{mark:08x}", hour(*first)).into();
        let stream = self.own_stream(now, &group, &name, out);
        self.append(now, group.number, stream, &logged.events, out);
    }

    /// Takes what a rule logs, events in order of time.
    pub(crate) fn log_of_rule(
        &mut self,
        now: Timestamp,
        group: &str,
        rule: &str,
        events: &[(Timestamp, Arc<str>)],
        out: &mut Vec<Write>,
    ) -> Result<(), ApiError> {
        let group = self.group(group)?;
        // A stream takes what a rule logs in an hour.
        let name = format!("rules/{rule}/{}", hour(now)).into();
        let stream = self.own_stream(now, &group, &name, out);
        self.append(now, group.number, stream, events, out);
        Ok(())
    }

    /// Takes what an invocation of a function wrote. The group is made if there is none.
    pub(crate) fn log_of_function(
        &mut self,
        now: Timestamp,
        group: &Arc<str>,
        stream: &Arc<str>,
        events: &[(Timestamp, Arc<str>)],
        out: &mut Vec<Write>,
    ) {
        if !self.has(group) && self.create_group(now, group, &[], out).is_err() {
            return;
        }
        let Ok(group) = self.group(group) else { return };
        let stream = self.own_stream(now, &group, stream, out);
        self.append(now, group.number, stream, events, out);
    }

    /// The stream of this name, which is made if there is none.
    fn own_stream(
        &mut self,
        now: Timestamp,
        group: &Arc<GroupRecord>,
        name: &Arc<str>,
        out: &mut Vec<Write>,
    ) -> u64 {
        match self.by_name.get(&(group.number, Arc::clone(name))) {
            Some(stream) => *stream,
            None => self.create_stream(now, group, name, Maker::Node, out),
        }
    }

    fn create_group(
        &mut self,
        now: Timestamp,
        name: &Arc<str>,
        tags: &[(Arc<str>, Arc<str>)],
        out: &mut Vec<Write>,
    ) -> Result<(), ApiError> {
        if self.has(name) {
            let message = "The specified log group already exists";
            return Err(ApiError::new("ResourceAlreadyExistsException", message));
        }
        let used = self.groups.values().map(|group| group.number);
        let retired = self.retired.iter().map(|(group, _)| *group);
        let number = used.chain(retired).max().unwrap_or(0) + 1;
        let record = GroupRecord {
            number,
            name: Arc::clone(name),
            created: now,
            retention_days: None,
            tags: tags.to_vec(),
            next_stream: 1,
        };
        self.set_group(record, out);
        Ok(())
    }

    fn set_group(&mut self, record: GroupRecord, out: &mut Vec<Write>) {
        self.record(Write::Group(Arc::clone(&record.name), Some(Arc::new(record))), out);
    }

    fn delete_group(&mut self, name: &Arc<str>, out: &mut Vec<Write>) -> Result<(), ApiError> {
        let number = self.group(name)?.number;
        let streams = self.streams.range((number, 0)..=(number, u64::MAX));
        for stream in streams.map(|((_, stream), _)| *stream).collect::<Vec<_>>() {
            self.retire(number, stream, out);
        }
        self.drop_filters(number, out);
        self.record(Write::Group(Arc::clone(name), None), out);
        Ok(())
    }

    /// Removes a stream; its events go later.
    pub(super) fn retire(&mut self, group: u64, stream: u64, out: &mut Vec<Write>) {
        self.record(Write::Stream(group, stream, None), out);
        self.record(Write::Retired(group, stream, true), out);
    }

    fn create_stream(
        &mut self,
        now: Timestamp,
        group: &Arc<GroupRecord>,
        name: &Arc<str>,
        maker: Maker,
        out: &mut Vec<Write>,
    ) -> u64 {
        let number = group.next_stream;
        self.set_group(GroupRecord { next_stream: number + 1, ..group.as_ref().clone() }, out);
        let record = StreamRecord {
            name: Arc::clone(name),
            created: now,
            first: None,
            last: None,
            ingested: None,
            next: 0,
            bytes: 0,
            own: maker == Maker::Node,
        };
        self.record(Write::Stream(group.number, number, Some(Arc::new(record))), out);
        number
    }

    fn append(
        &mut self,
        now: Timestamp,
        group: u64,
        stream: u64,
        events: &[(Timestamp, Arc<str>)],
        out: &mut Vec<Write>,
    ) {
        let Some(record) = self.streams.get(&(group, stream)) else { return };
        let mut record = record.as_ref().clone();
        let mut heard = Vec::with_capacity(events.len());
        for (at, message) in events {
            let place = Place { group, stream, at: *at, number: record.next };
            record.next += 1;
            record.bytes += message.len() as u64;
            record.first = Some(record.first.map_or(*at, |first| first.min(*at)));
            record.last = Some(record.last.map_or(*at, |last| last.max(*at)));
            record.ingested = Some(now);
            let event = EventRecord { ingested: now, message: Arc::clone(message) };
            self.record(Write::Event(place, Some(event)), out);
            heard.push((place, Arc::clone(message)));
        }
        self.hear(group, &record.name, &heard);
        self.record(Write::Stream(group, stream, Some(Arc::new(record))), out);
    }

    pub(super) fn group(&self, name: &str) -> Result<Arc<GroupRecord>, ApiError> {
        self.groups.get(name).cloned().ok_or_else(no_group)
    }

    fn stream(&self, group: &GroupRecord, name: &Arc<str>) -> Result<u64, ApiError> {
        let stream = self.by_name.get(&(group.number, Arc::clone(name))).copied();
        stream.ok_or_else(no_stream)
    }
}

/// `2026-11-29-17-00`
fn hour(at: Timestamp) -> String {
    let at = at.rfc3339();
    format!("{}-00", at.get(..13).unwrap_or_default().replace('T', "-"))
}

pub(super) fn no_group() -> ApiError {
    ApiError::new("ResourceNotFoundException", "The specified log group does not exist.")
}

pub(super) fn no_stream() -> ApiError {
    ApiError::new("ResourceNotFoundException", "The specified log stream does not exist.")
}
