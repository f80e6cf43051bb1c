//! Jobs: requests of callers, and of devices by MQTT; what time and the registry do to them.

use std::sync::Arc;

use bytes::Bytes;
use stepwire_asl::{Json, Timestamp};

use super::{Kernel, Step};
use crate::broker;
use crate::effect::{Effect, Report};
use crate::error::ApiError;
use crate::executions::derived_uuid;
use crate::input::{Follow, Input};
use crate::jobs::data::{self, Refused};
use crate::jobs::{self, Form, Jobs, RequestTopic};
use crate::message::{Message, Origin, Properties, QoS};
use crate::read::Reads;
use crate::registry::{self, groups, things};
use crate::write::Write;

/// Longest payload of a request by MQTT that is looked at.
const PAYLOAD_BYTES_MAX: usize = 64 << 10;

impl Kernel {
    pub(super) fn touch_job_asked(&self, message: &Message, reads: &Reads) {
        if let Some(topic) = RequestTopic::of(&message.topic)
            && let Ok(request) = data::Request::of_message(&topic, &payload(message))
        {
            self.jobs.touch(&request, reads);
        }
    }

    pub(super) fn call_jobs(
        &mut self,
        now: Timestamp,
        request: &jobs::Request,
        reads: &Reads,
        step: &mut Step,
    ) -> Result<Json, ApiError> {
        let mut out = jobs::Out::default();
        let (registry, settings) = (&self.registry, &self.settings);
        let answer = self.jobs.call(now, request, registry, reads, settings, &mut out)?;
        if let Some((resource, tags)) = request.tagged() {
            let mut out = registry::Out::default();
            self.registry.tag_other(now, &resource, tags, &self.settings, &mut out);
            self.registered(now, out, step);
        }
        self.jobs_changed(now, out, 0, step);
        // Who may be told at once is told in this commit.
        self.go_on_with_jobs(now, step);
        Ok(answer)
    }

    pub(super) fn call_jobs_data(
        &mut self,
        now: Timestamp,
        request: &data::Request,
        reads: &Reads,
        step: &mut Step,
    ) -> Result<Json, ApiError> {
        let mut out = jobs::Out::default();
        let answer = self.jobs.ask(now, request, Form::Text, reads, &self.settings, &mut out);
        let answer = answer.map_err(Refused::into_error)?;
        self.jobs_changed(now, out, 0, step);
        Ok(Json::object(answer))
    }

    /// Does what a message on a topic of jobs asks for, and tells its sender alone.
    pub(super) fn job_asked(
        &mut self,
        now: Timestamp,
        message: &Message,
        hops: u8,
        reads: &Reads,
        step: &mut Step,
    ) {
        let Some(topic) = RequestTopic::of(&message.topic) else { return };
        let body = payload(message);
        let token = body.as_ref().ok().and_then(|body| body.member("clientToken")).cloned();
        let mut out = jobs::Out::default();
        let answer = data::Request::of_message(&topic, &body).and_then(|request| {
            self.jobs.ask(now, &request, Form::Json, reads, &self.settings, &mut out)
        });
        let (what, mut members) = match answer {
            Ok(members) => ("accepted", members),
            Err(Refused { code, message, state }) => {
                let mut members = vec![("code", code.word().into()), ("message", message.into())];
                members.extend(state.map(|state| ("executionState", state)));
                ("rejected", members)
            }
        };
        members.push(("timestamp", now.0.div_euclid(1_000).into()));
        members.extend(token.map(|token| ("clientToken", token)));
        if let Origin::Client(client) = &message.origin {
            let reply = Message {
                topic: format!("{}/{what}", message.topic).into(),
                payload: Bytes::from(Json::object(members).to_text()),
                qos: message.qos.min(QoS::AtLeastOnce),
                retain: false,
                properties: Properties::default(),
                origin: Origin::Service,
                at: now,
            };
            let mut out = broker::Out::default();
            let authorize = self.registry.at(now);
            self.broker.reply(client, reply, &authorize, &self.settings, &mut out);
            self.absorb(hops, out, step);
        }
        self.jobs_changed(now, out, hops, step);
    }

    /// Does what jobs want done now.
    pub(super) fn go_on_with_jobs(&mut self, now: Timestamp, step: &mut Step) {
        let mut out = jobs::Out::default();
        self.jobs.time_out(now, &self.settings, &mut out);
        self.jobs_changed(now, out, 0, step);
        let overdue = self.jobs.overdue(now).into_iter();
        step.then.extend(overdue.map(|job| Input::Follow(Follow::Job(now, job))));
    }

    /// A slice of what a job wants done.
    pub(super) fn go_on_with_job(
        &mut self,
        now: Timestamp,
        id: &str,
        reads: &Reads,
        step: &mut Step,
    ) {
        let mut out = jobs::Out::default();
        let (registry, settings) = (&self.registry, &self.settings);
        match self.jobs.go_on(now, id, registry, reads, settings, &mut out) {
            Ok(gone) => {
                if gone {
                    let mut out = registry::Out::default();
                    let resource = format!("job/{id}");
                    self.registry.tag_other(now, &resource, &[], &self.settings, &mut out);
                    self.registered(now, out, step);
                }
                self.jobs_changed(now, out, 0, step);
            }
            Err(corrupt) => {
                let why = corrupt.to_string().into();
                step.effects.push(Effect::Report(Report::Unreadable { why }));
            }
        }
    }

    /// A thing that has become a target of a job is told.
    pub(super) fn tell_joined(
        &mut self,
        now: Timestamp,
        of: (&Arc<str>, &Arc<str>),
        reads: &Reads,
        step: &mut Step,
    ) {
        let mut out = jobs::Out::default();
        let (registry, settings) = (&self.registry, &self.settings);
        match self.jobs.tell_joined(now, of, registry, reads, settings, &mut out) {
            Ok(()) => self.jobs_changed(now, out, 0, step),
            Err(corrupt) => {
                let why = corrupt.to_string().into();
                step.effects.push(Effect::Report(Report::Unreadable { why }));
            }
        }
    }

    /// Who does which jobs follows what the registry has recorded.
    pub(super) fn jobs_follow(
        &mut self,
        now: Timestamp,
        writes: &[registry::Write],
        step: &mut Step,
    ) {
        if !self.jobs.are_any() {
            return;
        }
        let mut out = jobs::Out::default();
        for write in writes {
            match write {
                registry::Write::Groups(groups::Write::Member { group, thing, since }) => {
                    let mut above: Vec<Arc<str>> = vec![Arc::clone(group)];
                    let ancestors = self.registry.groups.ancestors(group);
                    above.extend(ancestors.iter().map(|group| Arc::clone(&group.name)));
                    let change = jobs::Membership { thing, groups: &above, there: since.is_some() };
                    let (registry, settings) = (&self.registry, &self.settings);
                    self.jobs.membership_changed(now, &change, registry, settings, &mut out);
                }
                registry::Write::Things(things::Write::Thing(thing, None)) => {
                    self.jobs.thing_gone(now, thing, &self.settings, &mut out);
                }
                _ => {}
            }
        }
        self.jobs_changed(now, out, 0, step);
    }

    /// Records what has become of jobs, and tells those whom it concerns.
    fn jobs_changed(&mut self, now: Timestamp, mut out: jobs::Out, hops: u8, step: &mut Step) {
        let joined = out.joined.drain(..);
        step.then
            .extend(joined.map(|(job, thing)| Input::Follow(Follow::JobJoined { job, thing })));
        let told = self.jobs.tell(now, &self.settings, &mut out);
        step.writes.extend(out.writes.into_iter().map(Write::Jobs));
        for jobs::Told { topic, payload } in told {
            self.publish_now(Message::service(topic, payload.to_text(), now), hops, step);
        }
        for jobs::Event { family, topic, members } in out.events {
            if !self.registry.publishes(family) {
                continue;
            }
            self.salt = self.salt.wrapping_add(1);
            let parts: Vec<u64> =
                topic.bytes().map(u64::from).chain([now.0 as u64, self.salt]).collect();
            let id = derived_uuid(&self.settings.secret, "job event", &parts);
            let filled = members.into_iter().map(|(name, value)| match name {
                "eventId" => (name, Json::from(&*id)),
                "timestamp" => (name, now.0.div_euclid(1_000).into()),
                _ => (name, value),
            });
            let payload = Json::object(filled).to_text();
            let message = Message::service(format!("$aws/events/{topic}"), payload, now);
            self.publish(message, hops, step);
        }
    }

    /// Whether a job or a template of this name is there to have tags.
    pub(super) fn has_tagged_job(&self, resource: &str) -> bool {
        match resource.split_once('/') {
            Some(("job", id)) => self.jobs.has(id),
            Some(("jobtemplate", id)) => self.jobs.has_template(id),
            _ => true,
        }
    }

    pub(super) fn touch_jobs(request: &jobs::Request, reads: &Reads) {
        Jobs::prefetch(request, reads);
    }
}

fn payload(message: &Message) -> Result<Json, data::NotJson> {
    if message.payload.len() > PAYLOAD_BYTES_MAX {
        return Err(data::NotJson::from("it is too long"));
    }
    if message.payload.is_empty() {
        return Ok(Json::Object(Arc::default()));
    }
    Json::parse_bytes(&message.payload).map_err(|error| data::NotJson::from(&*error.to_string()))
}
