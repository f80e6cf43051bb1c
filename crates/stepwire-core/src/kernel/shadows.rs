//! Shadows: requests of callers, and of devices by MQTT.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::{Kernel, Step};
use crate::error::ApiError;
use crate::message::Message;
use crate::read::Reads;
use crate::shadows::{
    Name, Operation, Refused, Request, RequestTopic, Shadow, Update, client_token, find, live,
    named,
};
use crate::write::Write;
use crate::{shadows, shadows::STATE_BYTES_MAX};

/// Longest payload of a request by MQTT that is looked at: a state, and what may stand around it.
const PAYLOAD_BYTES_MAX: usize = 4 * STATE_BYTES_MAX;

impl Kernel {
    pub(super) fn touch_shadow_asked(message: &Message, reads: &Reads) {
        if let Some(Ok(name)) = RequestTopic::of(&message.topic).map(|asked| Name::asked(&asked)) {
            let _ = find(&name, reads);
        }
    }

    pub(super) fn touch_shadows(request: &Request, reads: &Reads) {
        match request {
            Request::Get(name) | Request::Update(name, _) | Request::Delete(name) => {
                let _ = find(name, reads);
            }
            Request::List { thing, after, max } => {
                let _ = named(thing, after.as_deref(), *max, reads);
            }
        }
    }

    pub(super) fn call_shadows(
        &mut self,
        now: Timestamp,
        request: &Request,
        reads: &Reads,
        step: &mut Step,
    ) -> Result<Json, ApiError> {
        match request {
            Request::Get(name) => shadow(name, reads).map(|shadow| shadow.document(now, None)),
            Request::Update(name, payload) => {
                self.update_shadow(now, name, payload, 0, reads, step)
            }
            Request::Delete(name) => self.delete_shadow(now, name, None, 0, reads, step),
            Request::List { thing, after, max } => {
                read(named(thing, after.as_deref(), *max, reads)).map(|(names, more)| {
                    let next = names.last().filter(|_| more).cloned();
                    let mut answer = vec![
                        ("results", Json::array(names.into_iter().map(Json::String))),
                        ("timestamp", now.0.div_euclid(1_000).into()),
                    ];
                    answer.extend(next.map(|next| ("nextToken", Json::String(next))));
                    Json::object(answer)
                })
            }
        }
        .map_err(Refused::into_error)
    }

    /// Does what a message on a topic of shadows asks for, and tells its sender.
    pub(super) fn shadow_asked(
        &mut self,
        now: Timestamp,
        message: &Message,
        hops: u8,
        reads: &Reads,
        step: &mut Step,
    ) {
        let Some(asked) = RequestTopic::of(&message.topic) else { return };
        let token = client_token(&message.payload);
        let done = match Name::asked(&asked).map_err(Refused::bad) {
            _ if message.payload.len() > PAYLOAD_BYTES_MAX => {
                let message = "The payload exceeds the maximum size allowed".to_owned();
                Err(Refused { code: 413, message })
            }
            Err(refused) => Err(refused),
            Ok(name) => match asked.operation {
                Operation::Get => {
                    shadow(&name, reads).map(|shadow| shadow.document(now, token.as_ref()))
                }
                Operation::Update => {
                    self.update_shadow(now, &name, &message.payload, hops, reads, step)
                }
                Operation::Delete => {
                    self.delete_shadow(now, &name, token.as_ref(), hops, reads, step)
                }
            },
        };
        // An update and a deletion tell all who want to know, whoever asked.
        match done {
            Ok(answer) if asked.operation == Operation::Get => {
                self.tell_of_shadow(now, &message.topic, "accepted", &answer, hops, step);
            }
            Ok(_) => {}
            Err(Refused { code, message: why }) => {
                let members = [
                    ("code", Json::from(i64::from(code))),
                    ("message", why.into()),
                    ("timestamp", now.0.div_euclid(1_000).into()),
                ];
                let token = token.map(|token| ("clientToken", Json::String(token)));
                let answer = Json::object(members.into_iter().chain(token));
                self.tell_of_shadow(now, &message.topic, "rejected", &answer, hops, step);
            }
        }
    }

    fn update_shadow(
        &mut self,
        now: Timestamp,
        name: &Name,
        payload: &[u8],
        hops: u8,
        reads: &Reads,
        step: &mut Step,
    ) -> Result<Json, Refused> {
        let old = read(find(name, reads))?;
        let updated = Update::parse(payload)?.apply(now, name, old.as_ref())?;
        let thing = Arc::clone(&name.thing);
        let write = shadows::Write { thing, shadow: updated.shadow.into() };
        step.writes.push(Write::Shadow(write));
        let topic = topic(name, "update");
        self.tell_of_shadow(now, &topic, "accepted", &updated.accepted, hops, step);
        self.tell_of_shadow(now, &topic, "documents", &updated.documents, hops, step);
        if let Some(delta) = &updated.delta {
            self.tell_of_shadow(now, &topic, "delta", delta, hops, step);
        }
        Ok(updated.accepted)
    }

    fn delete_shadow(
        &mut self,
        now: Timestamp,
        name: &Name,
        token: Option<&Arc<str>>,
        hops: u8,
        reads: &Reads,
        step: &mut Step,
    ) -> Result<Json, Refused> {
        let old = shadow(name, reads)?;
        let answer = old.farewell(now, token);
        let gone = Shadow { desired: None, reported: None, at: now, deleted: true, ..old };
        let thing = Arc::clone(&name.thing);
        step.writes.push(Write::Shadow(shadows::Write { thing, shadow: gone.into() }));
        self.tell_of_shadow(now, &topic(name, "delete"), "accepted", &answer, hops, step);
        Ok(answer)
    }

    /// Publishes what the service says of a shadow. Who does not subscribe to it now never hears it.
    fn tell_of_shadow(
        &mut self,
        now: Timestamp,
        topic: &str,
        what: &str,
        said: &Json,
        hops: u8,
        step: &mut Step,
    ) {
        let message = Message::service(format!("{topic}/{what}"), said.to_text(), now);
        self.publish_now(message, hops, step);
    }
}

fn topic(name: &Name, operation: &str) -> String {
    let thing = &name.thing;
    match &name.shadow {
        Some(shadow) => format!("$aws/things/{thing}/shadow/name/{shadow}/{operation}"),
        None => format!("$aws/things/{thing}/shadow/{operation}"),
    }
}

fn shadow(name: &Name, reads: &Reads) -> Result<Shadow, Refused> {
    read(live(name, reads))?.ok_or_else(|| Refused::none(name))
}

/// A record that cannot be read is the service's failure, not the caller's.
fn read<T>(found: Result<T, crate::record::Corrupt>) -> Result<T, Refused> {
    found.map_err(|corrupt| Refused { code: 500, message: corrupt.to_string() })
}
