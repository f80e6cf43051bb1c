//! Requests that read groups and their members, answered from committed records.

use std::collections::BTreeSet;
use std::sync::Arc;

use stepwire_asl::Json;

use super::{
    FORMAT, NO_PARENT, Request, ThingGroup, children_of, group_key, groups_of, members_of,
};
use crate::error::ApiError;
use crate::read::Read;
use crate::record::{KeyBuilder, Space, decode};
use crate::registry::attributes;
use crate::registry::error::{internal, invalid, missing};
use crate::registry::listing::{Listed, Page, last_text, names_below, page_of};
use crate::registry::names::{group_arn, seconds};
use crate::registry::search::group_status;
use crate::registry::things::thing_key;
use crate::settings::Settings;

/// Most groups that a request walks through: a page with few that are wanted ends early.
const LOOKED_AT_MAX: usize = 1_000;

/// The answer to a request that reads; AWS's members of the operation's output.
pub(in crate::registry) fn answer(
    request: &Request,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    match request {
        Request::Describe(name) => describe(name, read, settings),
        Request::List { parent, prefix, recursive, page } => {
            let prefix = prefix.as_deref().unwrap_or_default();
            let listed = match parent {
                None if *recursive => all(prefix, page, read, settings),
                None => children(NO_PARENT, prefix, page, read, settings),
                Some(parent) => {
                    group(parent, read)?;
                    if *recursive {
                        below(parent, prefix, page, read, settings)
                    } else {
                        children(parent, prefix, page, read, settings)
                    }
                }
            };
            Ok(page_of("thingGroups", "nextToken", listed))
        }
        Request::ListThings { group: name, recursive, page } => {
            group(name, read)?;
            let listed = if *recursive {
                things_below(name, page, read)
            } else {
                things_in(name, page, read)
            };
            Ok(page_of("things", "nextToken", listed))
        }
        Request::ListOfThing(thing, page) => {
            let listed = of_thing(thing, page, read, settings)?;
            Ok(page_of("thingGroups", "nextToken", listed))
        }
        Request::Create { .. }
        | Request::Update { .. }
        | Request::Delete { .. }
        | Request::Change { .. } => Err(invalid("this request changes something")),
    }
}

/// The stored group; refused if there is none.
pub(in crate::registry) fn group(name: &str, read: &dyn Read) -> Result<ThingGroup, ApiError> {
    stored(name, read)?.ok_or_else(|| missing(&format!("Thing group {name}")))
}

fn stored(name: &str, read: &dyn Read) -> Result<Option<ThingGroup>, ApiError> {
    let key = group_key(name);
    let value = read.get(&key);
    value.map(|value| decode(FORMAT, &key, &value)).transpose().map_err(internal)
}

/// The groups above a group, from the root to its parent.
fn ancestors(of: &ThingGroup, read: &dyn Read) -> Result<Vec<ThingGroup>, ApiError> {
    let mut above = Vec::new();
    let mut parent = of.parent.clone();
    while let Some(name) = parent.take() {
        let there = group(&name, read)?;
        parent.clone_from(&there.parent);
        above.push(there);
    }
    above.reverse();
    Ok(above)
}

fn describe(name: &str, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    let there = group(name, read)?;
    let above = ancestors(&there, read)?;
    let mut metadata = Vec::new();
    if let Some(parent) = &there.parent {
        metadata.push(("parentGroupName", Json::String(Arc::clone(parent))));
        let above = above.iter().map(|group| named(&group.name, settings));
        metadata.push(("rootToParentThingGroups", Json::array(above)));
    }
    metadata.push(("creationDate", seconds(there.created)));
    let mut members = vec![
        ("thingGroupName", Json::String(Arc::clone(&there.name))),
        ("thingGroupId", Json::String(Arc::clone(&there.id))),
        ("thingGroupArn", group_arn(settings, &there.name)),
        ("version", Json::from(there.version as i64)),
        ("thingGroupProperties", properties(&there)),
        ("thingGroupMetadata", Json::object(metadata)),
    ];
    if let Some(query) = there.query {
        members.push(("indexName", Json::String(query.index)));
        members.push(("queryString", Json::String(query.text)));
        members.push(("queryVersion", Json::String(query.version)));
        let status = group_status(&there.name, read).map_err(internal)?;
        members.push(("status", status.into()));
    }
    Ok(Json::object(members))
}

fn properties(there: &ThingGroup) -> Json {
    let mut members = Vec::new();
    if let Some(description) = &there.description {
        members.push(("thingGroupDescription", Json::String(Arc::clone(description))));
    }
    if !there.attributes.is_empty() {
        let attributes = attributes::shown(&there.attributes);
        members.push(("attributePayload", Json::object([("attributes", attributes)])));
    }
    Json::object(members)
}

fn named(name: &str, settings: &Settings) -> Json {
    Json::object([("groupName", Json::from(name)), ("groupArn", group_arn(settings, name))])
}

fn all(prefix: &str, page: &Page, read: &dyn Read, settings: &Settings) -> Listed {
    named_page(&KeyBuilder::new(Space::ThingGroup), prefix, page, read, settings)
}

fn children(
    parent: &str,
    prefix: &str,
    page: &Page,
    read: &dyn Read,
    settings: &Settings,
) -> Listed {
    named_page(&children_of(parent), prefix, page, read, settings)
}

fn named_page(
    base: &KeyBuilder,
    prefix: &str,
    page: &Page,
    read: &dyn Read,
    settings: &Settings,
) -> Listed {
    let after = page.after.as_deref();
    let names = names_below(read, base, prefix, after, page.limit + 1);
    cut(names, page.limit, |name| named(name, settings))
}

/// The first `limit` names as items, and the last of them if there are more.
fn cut(mut names: Vec<Arc<str>>, limit: usize, item: impl Fn(&Arc<str>) -> Json) -> Listed {
    let more = names.len() > limit;
    names.truncate(limit);
    let next = names.last().filter(|_| more).cloned();
    (names.iter().map(item).collect(), next)
}

fn below(
    parent: &Arc<str>,
    prefix: &str,
    page: &Page,
    read: &dyn Read,
    settings: &Settings,
) -> Listed {
    let item = |path: &Arc<str>| named(last_text(path), settings);
    let mut walk = Walk::after(read, parent, page.after.as_deref().unwrap_or_default());
    let mut paths: Vec<Arc<str>> = Vec::new();
    for path in walk.by_ref().take(LOOKED_AT_MAX) {
        if last_text(&path).starts_with(prefix) {
            paths.push(path);
        }
        if paths.len() > page.limit {
            return cut(paths, page.limit, item);
        }
    }
    let end = walk.path();
    let more = walk.next().is_some();
    (paths.iter().map(item).collect(), more.then_some(end))
}

fn things_in(group: &str, page: &Page, read: &dyn Read) -> Listed {
    let after = page.after.as_deref();
    let names = names_below(read, &members_of(group), "", after, page.limit + 1);
    cut(names, page.limit, |name| Json::String(Arc::clone(name)))
}

/// Things of a group, then those of each group below it.
fn things_below(root: &Arc<str>, page: &Page, read: &dyn Read) -> Listed {
    let after = page.after.as_deref().unwrap_or_default();
    let (path, mut last) = after.rsplit_once('/').unwrap_or(("", after));
    let mut walk = Walk::after(read, root, path);
    let mut path = Some(Arc::<str>::from(path));
    let mut found: Vec<Arc<str>> = Vec::new();
    let mut looked_at = 0;
    while let Some(group) = path.filter(|_| found.len() <= page.limit) {
        if looked_at == LOOKED_AT_MAX {
            // The next page begins with this group.
            let items = found.iter().map(|path| last_text(path).into()).collect();
            return (items, Some(format!("{group}/").into()));
        }
        looked_at += 1;
        let base = members_of(if group.is_empty() { root } else { last_text(&group) });
        let after = (!last.is_empty()).then_some(last);
        let things = names_below(read, &base, "", after, page.limit + 1 - found.len());
        found.extend(things.iter().map(|thing| joined(&group, thing)));
        last = "";
        path = walk.next();
    }
    cut(found, page.limit, |path| last_text(path).into())
}

fn joined(path: &str, name: &str) -> Arc<str> {
    if path.is_empty() { name.into() } else { format!("{path}/{name}").into() }
}

/// The groups below a group, as paths of names: each before those below it, in order of names.
struct Walk<'a> {
    read: &'a dyn Read,
    /// The groups on the way, each with the child that was last visited.
    way: Vec<(Arc<str>, Option<Arc<str>>)>,
}

impl<'a> Walk<'a> {
    /// What comes after `path`, which need not be there any more; all, after the empty one.
    fn after(read: &'a dyn Read, root: &Arc<str>, path: &str) -> Walk<'a> {
        let mut way = vec![(Arc::clone(root), None)];
        for name in path.split('/').filter(|name| !name.is_empty()).map(Arc::<str>::from) {
            if let Some((_, visited)) = way.last_mut() {
                *visited = Some(Arc::clone(&name));
            }
            way.push((name, None));
        }
        Walk { read, way }
    }

    /// The way to the group it has come to; empty at the root.
    fn path(&self) -> Arc<str> {
        let names: Vec<&str> = self.way.iter().skip(1).map(|(name, _)| name.as_ref()).collect();
        names.join("/").into()
    }
}

impl Iterator for Walk<'_> {
    type Item = Arc<str>;

    fn next(&mut self) -> Option<Arc<str>> {
        while let Some((group, visited)) = self.way.last_mut() {
            let next = names_below(self.read, &children_of(group), "", visited.as_deref(), 1).pop();
            let Some(child) = next else {
                self.way.pop();
                continue;
            };
            *visited = Some(Arc::clone(&child));
            self.way.push((child, None));
            return Some(self.path());
        }
        None
    }
}

/// The groups a thing is in and all above them, by name.
fn of_thing(
    thing: &str,
    page: &Page,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Listed, ApiError> {
    if read.get(&thing_key(thing)).is_none() {
        return Err(missing(&format!("Thing {thing}")));
    }
    let mut names = BTreeSet::new();
    for name in names_below(read, &groups_of(thing), "", None, usize::MAX) {
        // A group that is gone may not have let go of all its things yet.
        let Some(there) = stored(&name, read)? else { continue };
        names.extend(ancestors(&there, read)?.into_iter().map(|above| above.name));
        names.insert(name);
    }
    let wanted = |name: &Arc<str>| page.after.as_ref().is_none_or(|after| name > after);
    let names = names.into_iter().filter(wanted).take(page.limit + 1).collect();
    Ok(cut(names, page.limit, |name| named(name, settings)))
}
