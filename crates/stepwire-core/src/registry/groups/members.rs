//! Who is in which group.

use std::collections::BTreeSet;
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::{GROUPS_OF_THING_MAX, ThingGroup, Write};
use crate::error::ApiError;
use crate::registry::error::{invalid, nothing};
use crate::registry::events;
use crate::registry::{Out, Registry, Turn};
use crate::settings::Settings;

/// Most things that leave a group that is gone in one step.
pub(super) const SWEPT_MAX: usize = 1_000;

impl Registry {
    /// Takes a thing out of static groups and puts it in others.
    pub(super) fn change_groups_of(
        &mut self,
        thing: &Arc<str>,
        remove: &BTreeSet<Arc<str>>,
        add: &BTreeSet<Arc<str>>,
        override_dynamic: bool,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        self.thing(thing)?;
        for name in remove.iter().chain(add) {
            if self.group(name)?.query.is_some() {
                let why =
                    format!("things join and leave the dynamic thing group `{name}` by its query");
                return Err(invalid(why));
            }
        }
        let stays = |group: &&ThingGroup| !remove.contains(&group.name);
        let kept: Vec<_> = self.groups.of(thing).filter(stays).collect();
        let new: Vec<_> = add.iter().filter_map(|name| self.groups.find(name)).collect();
        self.check_hierarchies(thing, &kept, &new)?;
        let left = too_many(thing, &kept, &new, override_dynamic)?;
        for group in remove.iter().chain(&left) {
            self.set_membership(thing, group, false, turn);
        }
        for group in add {
            self.set_membership(thing, group, true, turn);
        }
        Ok(nothing())
    }

    /// Refuses a second group of one hierarchy.
    fn check_hierarchies(
        &self,
        thing: &str,
        kept: &[&ThingGroup],
        new: &[&ThingGroup],
    ) -> Result<(), ApiError> {
        let mut seen: Vec<&ThingGroup> = kept.to_vec();
        for group in new {
            let root = &self.groups.root(group).name;
            let same = seen
                .iter()
                .find(|other| other.name != group.name && self.groups.root(other).name == *root);
            if let Some(other) = same {
                return Err(invalid(format!(
                    "the thing `{thing}` cannot be in the groups `{}` and `{}` of one hierarchy",
                    other.name, group.name
                )));
            }
            seen.push(group);
        }
        Ok(())
    }

    /// Puts a thing in a group, static or dynamic, or takes it out, and tells so; nothing happens
    /// if it is so already. Whether it may be is the caller's to know.
    pub(in crate::registry) fn set_membership(
        &mut self,
        thing: &Arc<str>,
        group: &Arc<str>,
        there: bool,
        turn: &mut Turn<'_>,
    ) {
        let since = self.groups.member_since(group, thing);
        if since.is_some() == there {
            return;
        }
        if let (Some(of), Some(record)) = (self.groups.find(group), self.things.find(thing)) {
            let since = since.unwrap_or(turn.now);
            self.tell(events::membership(there, of, record, since, turn.settings), turn);
        }
        self.record_membership(thing, group, there, turn);
    }

    /// Takes a thing that is about to go out of all its groups.
    pub(in crate::registry) fn leave_all_groups(&mut self, thing: &Arc<str>, turn: &mut Turn<'_>) {
        let groups: Vec<_> = self.groups.of(thing).map(|group| Arc::clone(&group.name)).collect();
        for group in &groups {
            self.set_membership(thing, group, false, turn);
        }
    }

    /// Takes things out of groups that are gone: at most so many that no step takes long.
    pub(crate) fn sweep_groups(&mut self, now: Timestamp, settings: &Settings, out: &mut Out) {
        let turn = &mut Turn { now, settings, out };
        if let Some(group) = self.groups.gone.first().cloned() {
            self.empty_group(&group, SWEPT_MAX, turn);
        }
    }

    /// Takes `most` things out of a group that is gone. Its end has told of theirs.
    pub(super) fn empty_group(&mut self, group: &Arc<str>, most: usize, turn: &mut Turn<'_>) {
        let things: Vec<_> = self.groups.members(group).take(most).cloned().collect();
        for thing in &things {
            self.record_membership(thing, group, false, turn);
        }
    }

    fn record_membership(
        &mut self,
        thing: &Arc<str>,
        group: &Arc<str>,
        there: bool,
        turn: &mut Turn<'_>,
    ) {
        let (thing, group) = (Arc::clone(thing), Arc::clone(group));
        let of = Write::Of { thing: Arc::clone(&thing), group: Arc::clone(&group), there };
        let since = there.then_some(turn.now);
        self.record(Write::Member { group, thing, since }, turn);
        self.record(of, turn);
    }
}

/// The dynamic groups that a thing must leave to be in the `new` groups, too: the youngest.
fn too_many(
    thing: &str,
    kept: &[&ThingGroup],
    new: &[&ThingGroup],
    override_dynamic: bool,
) -> Result<Vec<Arc<str>>, ApiError> {
    let names: BTreeSet<_> = kept.iter().chain(new).map(|group| &group.name).collect();
    let beyond = names.len().saturating_sub(GROUPS_OF_THING_MAX);
    let mut dynamic: Vec<_> = kept.iter().filter(|group| group.query.is_some()).collect();
    if beyond > 0 && !(override_dynamic && dynamic.len() >= beyond) {
        let why = format!("the thing `{thing}` would be in more than {GROUPS_OF_THING_MAX} groups");
        return Err(invalid(why));
    }
    dynamic.sort_by_key(|group| std::cmp::Reverse((group.created, &group.name)));
    Ok(dynamic.into_iter().take(beyond).map(|group| Arc::clone(&group.name)).collect())
}
