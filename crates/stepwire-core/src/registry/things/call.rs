//! Requests that change things.

use std::sync::Arc;

use stepwire_asl::Json;

use super::request::TypeChange;
use super::{Attachment, Exclusive, Request, Side, Thing, Write};
use crate::error::ApiError;
use crate::registry::attributes::{ATTRIBUTES_MAX, AttributePayload, Attributes};
use crate::registry::error::{invalid, missing, nothing};
use crate::registry::events::{self, Operation};
use crate::registry::names::thing_arn;
use crate::registry::{Registry, Turn, identifier, types};
use crate::settings::Settings;

/// Most attributes of a thing without a thing type.
const ATTRIBUTES_MAX_WITHOUT_TYPE: usize = 3;

impl Registry {
    pub(in crate::registry) fn call_things(
        &mut self,
        request: &Request,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        match request {
            Request::Create { name, thing_type, attributes } => {
                self.create_thing(name, thing_type.as_ref(), attributes, turn)
            }
            Request::Update { name, thing_type, attributes, expected } => {
                self.update_thing(name, thing_type, attributes, *expected, turn)
            }
            Request::Delete { name, expected } => self.delete_thing(name, *expected, turn),
            Request::Attach { thing, certificate, attach: Some(exclusive) } => {
                self.attach_thing(thing, certificate, *exclusive, turn)
            }
            Request::Attach { thing, certificate, attach: None } => {
                self.detach_thing(thing, certificate, turn)
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
        thing_type: Option<&Arc<str>>,
        attributes: &Attributes,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        let settings = turn.settings;
        if let Some(there) = self.things.find(name) {
            let other_type = there.thing_type.as_ref() != thing_type;
            if other_type || there.attributes != *attributes {
                let what = if other_type { "thing type" } else { "attributes" };
                let why = format!(
                    "Thing {name} already exists in account {} with different {what}",
                    settings.account
                );
                return Err(ApiError::new("ResourceAlreadyExistsException", why)
                    .with("resourceId", Json::String(Arc::clone(&there.id)))
                    .with("resourceArn", thing_arn(settings, name)));
            }
            return Ok(created(there, settings));
        }
        let thing = Thing {
            name: Arc::clone(name),
            id: identifier("thing", name, turn),
            thing_type: thing_type.cloned(),
            attributes: attributes.clone(),
            version: 1,
            created: turn.now,
        };
        check_attributes(&thing)?;
        if let Some(thing_type) = thing_type {
            self.check_type(thing_type, "create new thing with")?;
        }
        let answer = created(&thing, settings);
        self.tell(events::thing(Operation::Created, &thing), turn);
        self.record(Write::Thing(Arc::clone(name), Some(thing.clone())), turn);
        self.set_type_of(&thing, None, thing_type, turn);
        Ok(answer)
    }

    fn update_thing(
        &mut self,
        name: &Arc<str>,
        thing_type: &TypeChange,
        attributes: &AttributePayload,
        expected: Option<i64>,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        let there = self.thing(name)?.clone();
        check_version(&there, expected)?;
        let mut thing = there.clone();
        match thing_type {
            TypeChange::Keep => {}
            TypeChange::Remove => thing.thing_type = None,
            TypeChange::Set(of) => {
                if there.thing_type.as_ref() != Some(of) {
                    self.check_type(of, "update a thing to use")?;
                }
                thing.thing_type = Some(Arc::clone(of));
            }
        }
        thing.attributes = attributes.applied_to(&there.attributes);
        check_attributes(&thing)?;
        thing.version += 1;
        self.tell(events::thing(Operation::Updated, &thing), turn);
        self.record(Write::Thing(Arc::clone(name), Some(thing.clone())), turn);
        self.set_type_of(&thing, there.thing_type.as_ref(), thing.thing_type.as_ref(), turn);
        Ok(nothing())
    }

    /// Refuses a type that cannot be given to things; `what` is what was to be done with it.
    fn check_type(&self, name: &str, what: &str) -> Result<(), ApiError> {
        match self.thing_type(name)?.deprecated {
            None => Ok(()),
            Some(_) => Err(invalid(format!("Can not {what} deprecated thing type: {name}"))),
        }
    }

    /// Records of which type a thing is, and tells what has changed.
    fn set_type_of(
        &mut self,
        thing: &Thing,
        before: Option<&Arc<str>>,
        after: Option<&Arc<str>>,
        turn: &mut Turn<'_>,
    ) {
        if before == after {
            return;
        }
        for (of, there) in [(before, false), (after, true)] {
            let Some(of) = of else { continue };
            self.tell(events::association(there, thing, of), turn);
            let (of, thing) = (Arc::clone(of), Arc::clone(&thing.name));
            self.record(types::Write::Thing { of, thing, there }, turn);
        }
    }

    fn delete_thing(
        &mut self,
        name: &Arc<str>,
        expected: Option<i64>,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        let Some(thing) = self.things.find(name).cloned() else { return Ok(nothing()) };
        check_version(&thing, expected)?;
        if self.things.principals.contains_key(name) {
            let why =
                format!("Cannot delete. Thing {name} is still attached to one or more principals");
            return Err(invalid(why));
        }
        self.leave_all_groups(name, turn);
        self.set_type_of(&thing, thing.thing_type.as_ref(), None, turn);
        self.tell(events::thing(Operation::Deleted, &thing), turn);
        self.record(Write::Thing(Arc::clone(name), None), turn);
        Ok(nothing())
    }

    fn attach_thing(
        &mut self,
        thing: &Arc<str>,
        certificate: &Arc<str>,
        exclusive: Exclusive,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        self.thing(thing)?;
        self.certificate(certificate)?;
        let exclusive = exclusive == Exclusive::Yes;
        let others = self.things.of_certificate(certificate).any(|other| other != thing);
        let taken = self.things.exclusive_of(certificate).is_some_and(|other| other != thing);
        if taken || (exclusive && others) {
            let why = if taken {
                "the principal is attached to another thing exclusively"
            } else {
                "the principal is attached to other things: it cannot belong to one exclusively"
            };
            return Err(invalid(why));
        }
        let there = self.things.attached.get(certificate).and_then(|all| all.get(thing));
        if there.is_none_or(|attachment| attachment.exclusive != exclusive) {
            let attached = Attachment { since: turn.now, exclusive };
            self.record_principal(thing, certificate, Some(attached), turn);
        }
        Ok(nothing())
    }

    fn detach_thing(
        &mut self,
        thing: &Arc<str>,
        certificate: &Arc<str>,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        self.thing(thing)?;
        self.certificate(certificate)?;
        if self.things.is_attached(thing, certificate) {
            self.record_principal(thing, certificate, None, turn);
        }
        Ok(nothing())
    }

    fn record_principal(
        &mut self,
        thing: &Arc<str>,
        certificate: &Arc<str>,
        attached: Option<Attachment>,
        turn: &mut Turn<'_>,
    ) {
        for side in [Side::Thing, Side::Principal] {
            let (thing, certificate) = (Arc::clone(thing), Arc::clone(certificate));
            self.record(Write::Principal { side, thing, certificate, attached }, turn);
        }
    }

    pub(in crate::registry) fn thing(&self, name: &str) -> Result<&Thing, ApiError> {
        self.things.find(name).ok_or_else(|| missing(&format!("Thing {name}")))
    }
}

/// Refuses more attributes than a thing may have.
fn check_attributes(thing: &Thing) -> Result<(), ApiError> {
    let (max, kind) = match thing.thing_type {
        Some(_) => (ATTRIBUTES_MAX, "with"),
        None => (ATTRIBUTES_MAX_WITHOUT_TYPE, "without"),
    };
    if thing.attributes.len() > max {
        return Err(invalid(format!("a thing {kind} a thing type has at most {max} attributes")));
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
