//! Requests that change thing groups.

use std::sync::Arc;

use stepwire_asl::Json;

use super::members::SWEPT_MAX;
use super::request::Request;
use super::{CHILDREN_MAX, DEPTH_MAX, NO_PARENT, ThingGroup, Write};
use crate::error::ApiError;
use crate::registry::attributes::{ATTRIBUTES_MAX, AttributePayload, Attributes};
use crate::registry::error::{invalid, missing, nothing};
use crate::registry::events::{self, Operation};
use crate::registry::names::group_arn;
use crate::registry::policies::Target;
use crate::registry::{Registry, Turn, identifier, tags};

/// What a new group is to be.
pub(in crate::registry) struct NewGroup<'a> {
    pub(in crate::registry) name: &'a Arc<str>,
    pub(in crate::registry) parent: Option<&'a Arc<str>>,
    pub(in crate::registry) description: Option<&'a Arc<str>>,
    pub(in crate::registry) attributes: &'a Attributes,
    pub(in crate::registry) query: Option<super::Query>,
    pub(in crate::registry) tags: &'a tags::Tags,
}

impl Registry {
    /// Carries out a request that changes groups or their members. On `Err` nothing has changed.
    pub(in crate::registry) fn call_groups(
        &mut self,
        request: &Request,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        match request {
            Request::Create { name, parent, description, attributes, tags } => {
                let new = NewGroup {
                    name,
                    parent: parent.as_ref(),
                    description: description.as_ref(),
                    attributes,
                    query: None,
                    tags,
                };
                self.create_group(&new, turn)
            }
            Request::Update { name, description, attributes, expected } => {
                let group = self.static_group(name)?.clone();
                let group = changed(group, description.as_ref(), attributes, *expected)?;
                let version = group.version;
                self.record_group(group, Operation::Updated, turn);
                Ok(Json::object([("version", Json::from(version as i64))]))
            }
            Request::Delete { name, expected } => {
                if self.groups.find(name).is_some() {
                    self.static_group(name)?;
                    self.delete_group(name, *expected, turn)?;
                }
                Ok(nothing())
            }
            Request::Change { thing, remove, add, override_dynamic } => {
                self.change_groups_of(thing, remove, add, *override_dynamic, turn)
            }
            Request::Describe(_)
            | Request::List { .. }
            | Request::ListThings { .. }
            | Request::ListOfThing(..) => Err(invalid("this request only reads")),
        }
    }

    /// Creates a group, static or dynamic. Creating the same once more changes nothing.
    pub(in crate::registry) fn create_group(
        &mut self,
        new: &NewGroup<'_>,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        if let Some(there) = self.groups.find(new.name) {
            return if is_same(there, new) {
                Ok(created(there, turn))
            } else {
                Err(other(there, turn))
            };
        }
        if new.attributes.len() > ATTRIBUTES_MAX {
            return Err(invalid(format!("a thing group has at most {ATTRIBUTES_MAX} attributes")));
        }
        if let Some(parent) = new.parent {
            self.check_parent(parent)?;
        }
        let group = ThingGroup {
            name: Arc::clone(new.name),
            id: identifier("thing group", new.name, turn),
            parent: new.parent.cloned(),
            description: new.description.cloned(),
            attributes: new.attributes.clone(),
            version: 1,
            created: turn.now,
            query: new.query.clone(),
        };
        // Members of an earlier group of this name are not the new one's.
        self.empty_group(new.name, usize::MAX, turn);
        let answer = created(&group, turn);
        self.record_group(group, Operation::Created, turn);
        self.set_child(new.parent, new.name, true, turn);
        self.tag_new(&format!("thinggroup/{}", new.name), new.tags, turn);
        Ok(answer)
    }

    fn check_parent(&self, parent: &str) -> Result<(), ApiError> {
        let group = self.group(parent)?;
        if group.query.is_some() {
            return Err(invalid(format!("the dynamic thing group `{parent}` has no children")));
        }
        if self.groups.ancestors(parent).len() + 2 > DEPTH_MAX {
            let why = format!("a hierarchy of thing groups has at most {DEPTH_MAX} levels");
            return Err(invalid(why));
        }
        if self.groups.children(parent) >= CHILDREN_MAX {
            let why =
                format!("the thing group `{parent}` has {CHILDREN_MAX} children, no more fit");
            return Err(invalid(why));
        }
        Ok(())
    }

    /// Deletes a group without children, static or dynamic. Its members leave it, its policies are
    /// detached.
    pub(in crate::registry) fn delete_group(
        &mut self,
        name: &Arc<str>,
        expected: Option<i64>,
        turn: &mut Turn<'_>,
    ) -> Result<(), ApiError> {
        let group = self.group(name)?.clone();
        check_version(&group, expected)?;
        if self.groups.children(name) > 0 {
            return Err(invalid(format!(
                "Cannot delete thing group : {name} when there are still child groups attached to it"
            )));
        }
        self.detach_policies(&Target::Group(Arc::clone(name)), turn);
        self.untag_gone(&format!("thinggroup/{name}"), turn);
        self.set_child(group.parent.as_ref(), name, false, turn);
        self.tell_group(Operation::Deleted, &group, turn);
        self.record(Write::Group(Arc::clone(name), None), turn);
        self.empty_group(name, SWEPT_MAX, turn);
        Ok(())
    }

    fn set_child(
        &mut self,
        parent: Option<&Arc<str>>,
        child: &Arc<str>,
        there: bool,
        turn: &mut Turn<'_>,
    ) {
        let above = parent.and_then(|parent| self.groups.find(parent));
        if let (Some(above), Some(below)) = (above, self.groups.find(child)) {
            self.tell(events::hierarchy(there, above, below), turn);
        }
        let parent = parent.cloned().unwrap_or_else(|| NO_PARENT.into());
        self.record(Write::Child { parent, child: Arc::clone(child), there }, turn);
    }

    /// Records a group as it now is, and tells so.
    pub(in crate::registry) fn record_group(
        &mut self,
        group: ThingGroup,
        operation: Operation,
        turn: &mut Turn<'_>,
    ) {
        self.tell_group(operation, &group, turn);
        self.record(Write::Group(Arc::clone(&group.name), Some(group)), turn);
    }

    fn tell_group(&self, operation: Operation, group: &ThingGroup, turn: &mut Turn<'_>) {
        // The parent is asked, not the group: a new one is not recorded yet.
        let mut above = Vec::new();
        if let Some(parent) = group.parent.as_ref().and_then(|parent| self.groups.find(parent)) {
            above = self.groups.ancestors(&parent.name);
            above.push(parent);
        }
        self.tell(events::thing_group(operation, group, &above, turn.settings), turn);
    }

    /// The group of this name; refused if there is none.
    pub(in crate::registry) fn group(&self, name: &str) -> Result<&ThingGroup, ApiError> {
        self.groups.find(name).ok_or_else(|| missing(&format!("Thing group {name}")))
    }

    fn static_group(&self, name: &str) -> Result<&ThingGroup, ApiError> {
        let group = self.group(name)?;
        if group.query.is_some() {
            return Err(invalid(format!("the thing group `{name}` is a dynamic one")));
        }
        Ok(group)
    }
}

/// A group with other properties, one version further.
pub(in crate::registry) fn changed(
    mut group: ThingGroup,
    description: Option<&Arc<str>>,
    attributes: &AttributePayload,
    expected: Option<i64>,
) -> Result<ThingGroup, ApiError> {
    check_version(&group, expected)?;
    if let Some(description) = description {
        group.description = Some(Arc::clone(description));
    }
    group.attributes = attributes.applied_to(&group.attributes);
    if group.attributes.len() > ATTRIBUTES_MAX {
        return Err(invalid(format!("a thing group has at most {ATTRIBUTES_MAX} attributes")));
    }
    group.version += 1;
    Ok(group)
}

fn check_version(group: &ThingGroup, expected: Option<i64>) -> Result<(), ApiError> {
    match expected {
        Some(expected) if expected != group.version as i64 => {
            let why = format!("expected version {expected}, the thing group has {}", group.version);
            Err(ApiError::new("VersionConflictException", why))
        }
        _ => Ok(()),
    }
}

fn is_same(there: &ThingGroup, new: &NewGroup<'_>) -> bool {
    there.parent.as_ref() == new.parent
        && there.description.as_ref() == new.description
        && there.attributes == *new.attributes
        && there.query == new.query
}

fn other(there: &ThingGroup, turn: &Turn<'_>) -> ApiError {
    let why = format!(
        "Thing Group {} already exists in current account with different properties",
        there.name
    );
    ApiError::new("ResourceAlreadyExistsException", why)
        .with("resourceId", Json::String(Arc::clone(&there.id)))
        .with("resourceArn", group_arn(turn.settings, &there.name))
}

fn created(group: &ThingGroup, turn: &Turn<'_>) -> Json {
    let mut members = vec![
        ("thingGroupName", Json::String(Arc::clone(&group.name))),
        ("thingGroupArn", group_arn(turn.settings, &group.name)),
        ("thingGroupId", Json::String(Arc::clone(&group.id))),
    ];
    if let Some(query) = &group.query {
        members.push(("indexName", Json::String(Arc::clone(&query.index))));
        members.push(("queryString", Json::String(Arc::clone(&query.text))));
        members.push(("queryVersion", Json::String(Arc::clone(&query.version))));
    }
    Json::object(members)
}
