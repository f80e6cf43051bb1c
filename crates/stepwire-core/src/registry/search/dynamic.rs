//! Dynamic thing groups: who is a member follows from a query.
//!
//! A change is answered where it is made: only the groups whose query reads what has changed are
//! asked, and only about the thing that has changed. A new or changed query is the exception; it is
//! put to all things, so many at a time, and until that is done the group is BUILDING or REBUILDING.
//!
//! What a query says of `thingGroupNames` is about static groups: membership in dynamic groups does
//! not depend on itself.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::{Json, Timestamp};

use super::Write;
use super::document::Document;
use super::query::{Field, Query, Schema, Values, fold};
use super::request::{NewDynamicGroup, QUERY_VERSION, THINGS, no_index, parsed};
use crate::error::ApiError;
use crate::registry::attributes::AttributePayload;
use crate::registry::error::{invalid, nothing};
use crate::registry::events::Operation;
use crate::registry::groups::{self, GROUPS_OF_THING_MAX, NewGroup, ThingGroup};
use crate::registry::{Registry, Turn};

/// A group whose query has still to be put to things.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Building {
    /// It had members by another query before.
    pub again: bool,
    /// The last thing that has been asked about.
    pub last: Option<Arc<str>>,
}

impl Building {
    /// `status` of DescribeThingGroup.
    pub(in crate::registry) fn word(&self) -> &'static str {
        if self.again { "REBUILDING" } else { "BUILDING" }
    }
}

/// A group's query, understood.
#[derive(Debug)]
pub(super) struct Compiled {
    query: Query,
    reads: Changed,
    created: Timestamp,
}

/// What of a thing has changed, or what a query reads: a set of the constants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Changed(u8);

impl Changed {
    /// The registry's record of it.
    pub(crate) const THING: Changed = Changed(1);
    /// The static groups it is in.
    pub(crate) const GROUPS: Changed = Changed(2);
    /// Whether it is connected, since when, and why not.
    pub(crate) const CONNECTIVITY: Changed = Changed(4);
    /// The groups it is in, static or dynamic. No query reads these.
    pub(crate) const MEMBERS: Changed = Changed(8);
    /// Everything: a new thing.
    pub(crate) const ALL: Changed = Changed(15);

    fn of(query: &Query) -> Changed {
        // What is there at all changes only with the thing.
        let mut reads = Changed::THING;
        query.terms(&mut |term| {
            if term.field == Field::ThingGroupNames {
                reads = reads.and(Changed::GROUPS);
            }
            if term.field.is_connectivity() {
                reads = reads.and(Changed::CONNECTIVITY);
            }
        });
        reads
    }

    /// Whether they have something in common.
    fn touches(self, other: Changed) -> bool {
        self.0 & other.0 != 0
    }

    /// Both.
    #[must_use]
    pub(crate) fn and(self, other: Changed) -> Changed {
        Changed(self.0 | other.0)
    }
}

impl Compiled {
    /// The query of a group that has one. A stored query was understood when it was stored; one
    /// that no longer is has no members.
    pub(super) fn of(group: &ThingGroup) -> Option<Compiled> {
        let query = group.query.as_ref()?;
        let query = Query::parse(&query.text).or_else(|_| Query::parse(" ")).ok()?;
        Some(Compiled { reads: Changed::of(&query), query, created: group.created })
    }
}

/// A thing as dynamic groups see it.
struct Seen<'a> {
    document: &'a Document,
    /// Static groups it is in, folded.
    groups: Vec<Arc<str>>,
}

impl Values for Seen<'_> {
    fn any(&self, field: &Field, is: &mut dyn FnMut(&str) -> bool) -> bool {
        if *field == Field::ThingGroupNames {
            return self.groups.iter().any(|name| is(name));
        }
        self.document.any(field, is)
    }
}

impl Registry {
    pub(super) fn create_dynamic_group(
        &mut self,
        new: &NewDynamicGroup,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        self.check_group_query(&new.query)?;
        let is_new = self.groups.find(&new.name).is_none();
        let group = NewGroup {
            name: &new.name,
            parent: None,
            description: new.description.as_ref(),
            attributes: &new.attributes,
            query: Some(query(&new.query)),
            tags: &new.tags,
        };
        let answer = self.create_group(&group, turn)?;
        if is_new {
            self.build_group(&new.name, false, turn);
        }
        Ok(answer)
    }

    pub(super) fn update_dynamic_group(
        &mut self,
        name: &Arc<str>,
        description: Option<&Arc<str>>,
        attributes: &AttributePayload,
        expected: Option<i64>,
        text: Option<&Arc<str>>,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        let before = self.dynamic_group(name)?.clone();
        let mut group = groups::changed(before.clone(), description, attributes, expected)?;
        if let Some(text) = text {
            self.check_group_query(text)?;
            group.query = Some(query(text));
        }
        let version = group.version;
        let other_query = group.query != before.query;
        self.record_group(group, Operation::Updated, turn);
        if other_query {
            self.build_group(name, true, turn);
        }
        Ok(Json::object([("version", Json::from(version as i64))]))
    }

    pub(super) fn delete_dynamic_group(
        &mut self,
        name: &Arc<str>,
        expected: Option<i64>,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        if self.groups.find(name).is_some() {
            self.dynamic_group(name)?;
            self.delete_group(name, expected, turn)?;
            if self.search.building.contains_key(name) {
                self.record(Write::Building(Arc::clone(name), None), turn);
            }
        }
        Ok(nothing())
    }

    fn dynamic_group(&self, name: &str) -> Result<&ThingGroup, ApiError> {
        let group = self.group(name)?;
        if group.query.is_none() {
            return Err(invalid(format!("the thing group `{name}` is not a dynamic one")));
        }
        Ok(group)
    }

    fn check_group_query(&self, text: &str) -> Result<(), ApiError> {
        if self.search.configuration.things.is_none() {
            return Err(no_index(THINGS));
        }
        self.search.check_indexed(&parsed(Schema::Things, text)?)
    }

    fn build_group(&mut self, name: &Arc<str>, again: bool, turn: &mut Turn<'_>) {
        let building = Building { again, last: None };
        self.record(Write::Building(Arc::clone(name), Some(building)), turn);
    }

    /// Has the query of every dynamic group put to all things again.
    pub(super) fn rebuild_groups(&mut self, turn: &mut Turn<'_>) {
        let dynamic = self.groups.all().filter(|group| group.query.is_some());
        let names: Vec<_> = dynamic.map(|group| Arc::clone(&group.name)).collect();
        for name in &names {
            self.build_group(name, true, turn);
        }
    }

    /// Goes on with the first group that is being built: asks about no more than `most` things.
    /// How many it has asked about.
    pub(super) fn build_groups(&mut self, most: usize, turn: &mut Turn<'_>) -> usize {
        let Some((name, building)) = self.search.building.first_key_value() else { return 0 };
        let (name, mut building) = (Arc::clone(name), building.clone());
        let Some(index) = self.search.index() else { return 0 };
        let things = index.after(building.last.as_ref()).take(most);
        let things: Vec<_> = things.map(|(thing, _)| Arc::clone(thing)).collect();
        for thing in &things {
            self.settle_members(thing, std::slice::from_ref(&name), turn);
        }
        let done = things.len() < most;
        building.last = things.last().cloned().or(building.last);
        self.record(Write::Building(name, (!done).then_some(building)), turn);
        things.len()
    }

    /// Brings a thing's membership in dynamic groups in line with what has changed of it.
    pub(super) fn follow_members(
        &mut self,
        thing: &Arc<str>,
        changed: Changed,
        turn: &mut Turn<'_>,
    ) {
        // Where there is room for one more, a group may have been waiting for it.
        let room = changed.touches(Changed::MEMBERS)
            && self.groups.of(thing).count() + 1 == GROUPS_OF_THING_MAX;
        let asked = self.search.queries.iter();
        let asked = asked.filter(|(_, compiled)| room || changed.touches(compiled.reads));
        let asked: Vec<_> = asked.map(|(name, _)| Arc::clone(name)).collect();
        self.settle_members(thing, &asked, turn);
    }

    /// Puts the thing in those of these groups whose query it matches, and out of the others. Of
    /// more groups than a thing can be in, the older ones have it.
    fn settle_members(&mut self, thing: &Arc<str>, asked: &[Arc<str>], turn: &mut Turn<'_>) {
        let (mut joins, mut leaves) = (Vec::new(), Vec::new());
        {
            let index = self.search.index();
            let Some(document) = index.and_then(|index| index.find(thing)) else { return };
            let fixed = self.groups.of(thing).filter(|group| group.query.is_none());
            let seen = Seen { document, groups: fixed.map(|group| fold(&group.name)).collect() };
            for name in asked {
                let Some(compiled) = self.search.queries.get(name) else { continue };
                let there = self.groups.member_since(name, thing).is_some();
                match (compiled.query.matches(&seen), there) {
                    (true, false) => joins.push((compiled.created, Arc::clone(name))),
                    (false, true) => leaves.push(Arc::clone(name)),
                    (true, true) | (false, false) => {}
                }
            }
        }
        for name in &leaves {
            self.set_membership(thing, name, false, turn);
        }
        joins.sort_unstable();
        for (created, name) in &joins {
            if self.groups.of(thing).count() >= GROUPS_OF_THING_MAX {
                let dynamic = self.groups.of(thing).filter(|group| group.query.is_some());
                let youngest = dynamic.max_by_key(|group| (group.created, &group.name));
                let Some(youngest) =
                    youngest.filter(|it| (it.created, &it.name) > (*created, name))
                else {
                    continue;
                };
                let youngest = Arc::clone(&youngest.name);
                self.set_membership(thing, &youngest, false, turn);
            }
            self.set_membership(thing, name, true, turn);
        }
    }
}

fn query(text: &Arc<str>) -> groups::Query {
    groups::Query { index: THINGS.into(), text: Arc::clone(text), version: QUERY_VERSION.into() }
}
