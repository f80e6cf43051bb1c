//! Requests that change things.

use std::collections::BTreeMap;
use std::sync::Arc;

use stepwire_asl::Json;

use super::{Request, Side, Thing, Write};
use crate::error::ApiError;
use crate::executions::derived_uuid;
use crate::registry::error::{invalid, missing, nothing};
use crate::registry::names::thing_arn;
use crate::registry::{Registry, Turn};
use crate::settings::Settings;

/// Attributes of a thing without a thing type.
const ATTRIBUTES_MAX: usize = 50;

impl Registry {
    pub(in crate::registry) fn call_things(
        &mut self,
        request: &Request,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        match request {
            Request::Create { name, attributes } => self.create_thing(name, attributes, turn),
            Request::Update { name, attributes, merge, expected } => {
                let mut thing = self.thing(name)?.clone();
                check_version(&thing, *expected)?;
                if !merge {
                    thing.attributes.clear();
                }
                change_attributes(&mut thing.attributes, attributes)?;
                thing.version += 1;
                self.record(Write::Thing(Arc::clone(name), Some(thing)), turn);
                Ok(nothing())
            }
            Request::Delete { name, expected } => self.delete_thing(name, *expected, turn),
            Request::Attach { thing, certificate, attach } => {
                self.attach_thing(thing, certificate, *attach, turn)
            }
            Request::Describe(_)
            | Request::List { .. }
            | Request::ListPrincipals(..)
            | Request::ListOfPrincipal(..) => Err(invalid("this request only reads")),
        }
    }

    fn create_thing(
        &mut self,
        name: &Arc<str>,
        attributes: &BTreeMap<Arc<str>, Arc<str>>,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        let settings = turn.settings;
        if let Some(there) = self.things.find(name) {
            if there.attributes != *attributes {
                let why = format!(
                    "Thing {name} already exists in account {} with different attributes",
                    settings.account
                );
                return Err(ApiError::new("ResourceAlreadyExistsException", why)
                    .with("resourceId", Json::String(Arc::clone(&there.id)))
                    .with("resourceArn", thing_arn(settings, name)));
            }
            return Ok(created(there, settings));
        }
        let parts: Vec<u64> = name.bytes().map(u64::from).chain([turn.now.0 as u64]).collect();
        let thing = Thing {
            name: Arc::clone(name),
            id: derived_uuid(&settings.secret, "thing", &parts).into(),
            attributes: attributes.clone(),
            version: 1,
            created: turn.now,
        };
        let answer = created(&thing, settings);
        self.record(Write::Thing(Arc::clone(name), Some(thing)), turn);
        Ok(answer)
    }

    fn delete_thing(
        &mut self,
        name: &Arc<str>,
        expected: Option<i64>,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        let Some(thing) = self.things.find(name) else { return Ok(nothing()) };
        check_version(thing, expected)?;
        if self.things.principals.contains_key(name) {
            let why = format!("principals are attached to the thing `{name}`");
            return Err(invalid(why));
        }
        self.record(Write::Thing(Arc::clone(name), None), turn);
        Ok(nothing())
    }

    fn attach_thing(
        &mut self,
        thing: &Arc<str>,
        certificate: &Arc<str>,
        attach: bool,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        self.thing(thing)?;
        self.certificate(certificate)?;
        if self.things.is_attached(thing, certificate) != attach {
            for side in [Side::Thing, Side::Principal] {
                let (thing, certificate) = (Arc::clone(thing), Arc::clone(certificate));
                let since = attach.then_some(turn.now);
                self.record(Write::Principal { side, thing, certificate, since }, turn);
            }
        }
        Ok(nothing())
    }

    pub(in crate::registry) fn thing(&self, name: &str) -> Result<&Thing, ApiError> {
        self.things.find(name).ok_or_else(|| missing(&format!("Thing {name}")))
    }
}

/// Sets attributes, and removes those given as empty.
fn change_attributes(
    attributes: &mut BTreeMap<Arc<str>, Arc<str>>,
    changes: &BTreeMap<Arc<str>, Arc<str>>,
) -> Result<(), ApiError> {
    for (name, value) in changes {
        if value.is_empty() {
            attributes.remove(name);
        } else {
            attributes.insert(Arc::clone(name), Arc::clone(value));
        }
    }
    if attributes.len() > ATTRIBUTES_MAX {
        return Err(invalid(format!("a thing has at most {ATTRIBUTES_MAX} attributes")));
    }
    Ok(())
}

fn check_version(thing: &Thing, expected: Option<i64>) -> Result<(), ApiError> {
    match expected {
        Some(expected) if expected != thing.version as i64 => {
            let why = format!("expected version {expected}, the thing has {}", thing.version);
            Err(ApiError::new("VersionConflictException", why))
        }
        _ => Ok(()),
    }
}

fn created(thing: &Thing, settings: &Settings) -> Json {
    Json::object([
        ("thingName", Json::String(Arc::clone(&thing.name))),
        ("thingArn", thing_arn(settings, &thing.name)),
        ("thingId", Json::String(Arc::clone(&thing.id))),
    ])
}
