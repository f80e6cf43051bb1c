//! Requests that change thing types.

use std::collections::BTreeSet;
use std::sync::Arc;

use stepwire_asl::Json;

use super::request::{Properties, Request};
use super::{ThingType, Write};
use crate::error::ApiError;
use crate::registry::error::{invalid, missing, nothing};
use crate::registry::events::{self, Operation};
use crate::registry::names::type_arn;
use crate::registry::{Registry, Turn, identifier, tags};

/// How long a type must have been deprecated before it can be deleted.
const DELETABLE_AFTER_MS: i64 = 5 * 60 * 1_000;

impl Registry {
    /// Carries out a request that changes thing types. On `Err` nothing has changed.
    pub(in crate::registry) fn call_types(
        &mut self,
        request: &Request,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        match request {
            Request::Create { name, properties, tags } => {
                self.create_type(name, properties, tags, turn)
            }
            Request::Update { name, properties } => self.update_type(name, properties, turn),
            Request::Deprecate { name, undo } => self.deprecate_type(name, *undo, turn),
            Request::Delete(name) => self.delete_type(name, turn),
            Request::Describe(_) | Request::List { .. } => Err(invalid("this request only reads")),
        }
    }

    fn create_type(
        &mut self,
        name: &Arc<str>,
        properties: &Properties,
        tags: &tags::Tags,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        if let Some(there) = self.types.find(name) {
            if !is_same(there, properties) {
                let why = format!("Thing type {name} already exists with different properties");
                return Err(ApiError::new("ResourceAlreadyExistsException", why)
                    .with("resourceId", Json::String(Arc::clone(&there.id)))
                    .with("resourceArn", type_arn(turn.settings, name)));
            }
            return Ok(created(there, turn));
        }
        let record = ThingType {
            name: Arc::clone(name),
            id: identifier("thing type", name, turn),
            description: properties.description.clone(),
            searchable: properties.searchable.clone().unwrap_or_default(),
            deprecated: None,
            created: turn.now,
        };
        let answer = created(&record, turn);
        self.record_type(record, Operation::Created, turn);
        self.tag_new(&format!("thingtype/{name}"), tags, turn);
        Ok(answer)
    }

    fn update_type(
        &mut self,
        name: &Arc<str>,
        properties: &Properties,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        let mut record = self.thing_type(name)?.clone();
        if let Some(description) = &properties.description {
            record.description = Some(Arc::clone(description));
        }
        if let Some(searchable) = &properties.searchable {
            record.searchable.clone_from(searchable);
        }
        self.record_type(record, Operation::Updated, turn);
        Ok(nothing())
    }

    fn deprecate_type(
        &mut self,
        name: &Arc<str>,
        undo: bool,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        let mut record = self.thing_type(name)?.clone();
        if record.deprecated.is_none() == undo {
            return Ok(nothing());
        }
        record.deprecated = (!undo).then_some(turn.now);
        self.record_type(record, Operation::Updated, turn);
        Ok(nothing())
    }

    fn delete_type(&mut self, name: &Arc<str>, turn: &mut Turn<'_>) -> Result<Json, ApiError> {
        let record = self.thing_type(name)?.clone();
        let refuse = |why: &str| Err(invalid(format!("Cannot delete thing type : {name}. {why}")));
        let Some(deprecated) = record.deprecated else {
            return refuse("It has not been deprecated");
        };
        if self.types.is_used(name) {
            return refuse("Things are still associated with it");
        }
        if turn.now < deprecated.plus_ms(DELETABLE_AFTER_MS) {
            return refuse("Please wait for 5 minutes after deprecation and then retry");
        }
        self.untag_gone(&format!("thingtype/{name}"), turn);
        self.tell(events::thing_type(Operation::Deleted, &record), turn);
        self.record(Write::Type(Arc::clone(name), None), turn);
        Ok(nothing())
    }

    /// The type of this name; refused if there is none.
    pub(in crate::registry) fn thing_type(&self, name: &str) -> Result<&ThingType, ApiError> {
        self.types.find(name).ok_or_else(|| missing(&format!("Thing type {name}")))
    }

    fn record_type(&mut self, record: ThingType, operation: Operation, turn: &mut Turn<'_>) {
        self.tell(events::thing_type(operation, &record), turn);
        self.record(Write::Type(Arc::clone(&record.name), Some(record)), turn);
    }
}

/// Whether a type was created with these properties; the order of attributes does not matter.
fn is_same(there: &ThingType, properties: &Properties) -> bool {
    let wanted: BTreeSet<_> = properties.searchable.iter().flatten().collect();
    let given = |text: &Option<Arc<str>>| text.clone().unwrap_or_default();
    given(&there.description) == given(&properties.description)
        && there.searchable.iter().collect::<BTreeSet<_>>() == wanted
}

fn created(record: &ThingType, turn: &Turn<'_>) -> Json {
    Json::object([
        ("thingTypeName", Json::String(Arc::clone(&record.name))),
        ("thingTypeArn", type_arn(turn.settings, &record.name)),
        ("thingTypeId", Json::String(Arc::clone(&record.id))),
    ])
}
