//! What has been found, as AWS answers it.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::configuration::{self, Configuration};
use super::document::Connectivity;
use super::request::{Look, Request, THING_GROUPS, THINGS, no_index};
use super::run::{Found, Run};
use super::{Search, query::Schema};
use crate::error::ApiError;
use crate::read::Read;
use crate::registry::Registry;
use crate::registry::attributes::shown;
use crate::registry::error::invalid;
use crate::registry::names::seconds;

/// The answer to a request that reads.
pub(in crate::registry) fn answer(request: &Request, read: &dyn Read) -> Result<Json, ApiError> {
    let configuration = configuration::read_stored(read)?;
    match request {
        Request::Configuration => Ok(configuration.answer()),
        Request::List => Ok(indices(&configuration)),
        Request::Describe(_) | Request::Look(_) | Request::Connectivity(_) => {
            Err(invalid("this request is answered from memory"))
        }
        Request::Configure(_)
        | Request::CreateGroup(_)
        | Request::UpdateGroup { .. }
        | Request::DeleteGroup { .. } => Err(invalid("this request changes something")),
    }
}

fn indices(configuration: &Configuration) -> Json {
    let things = configuration.things.as_ref().map(|_| THINGS);
    let groups = configuration.thing_groups.as_ref().map(|_| THING_GROUPS);
    let names = things.into_iter().chain(groups).map(Json::from);
    Json::object([("indexNames", Json::array(names.collect::<Vec<_>>()))])
}

impl Search {
    /// `DescribeIndex`
    pub(super) fn describe(&self, name: &Arc<str>) -> Result<Json, ApiError> {
        let configuration = &self.configuration;
        let (status, schema) = match name.as_ref() {
            THINGS if configuration.things.is_some() => (self.status(), configuration.schema()),
            THING_GROUPS if configuration.thing_groups.is_some() => ("ACTIVE", "THING_GROUPS"),
            other => return Err(no_index(other)),
        };
        Ok(Json::object([
            ("indexName", Json::String(Arc::clone(name))),
            ("indexStatus", status.into()),
            ("schema", schema.into()),
        ]))
    }
}

impl Registry {
    /// The answer to a search that has ended; `connectivity` tells how a thing's connection stands.
    pub(crate) fn found(&self, run: Run, connectivity: &dyn Fn(&str) -> Connectivity) -> Json {
        let (look, found) = run.into_found();
        match found {
            Found::Tally(tally) => tally.answer(&look.want),
            Found::Page { names, more } => self.page(&look, &names, more, connectivity),
        }
    }

    fn page(
        &self,
        look: &Look,
        names: &[Arc<str>],
        more: bool,
        connectivity: &dyn Fn(&str) -> Connectivity,
    ) -> Json {
        let (list, items): (_, Vec<Json>) = match look.schema {
            Schema::Things => {
                let items = names.iter().filter_map(|name| self.thing_found(name, connectivity));
                ("things", items.collect())
            }
            Schema::ThingGroups => {
                ("thingGroups", names.iter().filter_map(|name| self.group_found(name)).collect())
            }
        };
        let mut members = vec![(list, Json::array(items))];
        let next = names.last().filter(|_| more);
        members.extend(next.map(|name| ("nextToken", Json::String(Arc::clone(name)))));
        Json::object(members)
    }

    fn thing_found(&self, name: &str, connectivity: &dyn Fn(&str) -> Connectivity) -> Option<Json> {
        let thing = self.things.find(name)?;
        let mut members = vec![
            ("thingName", Json::String(Arc::clone(&thing.name))),
            ("thingId", Json::String(Arc::clone(&thing.id))),
        ];
        let kind = thing.thing_type.as_ref();
        members.extend(kind.map(|kind| ("thingTypeName", Json::String(Arc::clone(kind)))));
        let groups: Vec<_> =
            self.groups.of(name).map(|group| Json::String(Arc::clone(&group.name))).collect();
        if !groups.is_empty() {
            members.push(("thingGroupNames", Json::array(groups)));
        }
        members.push(("attributes", shown(&thing.attributes)));
        if self.search.configuration.has_connectivity() {
            members.push(("connectivity", connectivity(name).answer()));
        }
        Some(Json::object(members))
    }

    fn group_found(&self, name: &str) -> Option<Json> {
        let group = self.groups.find(name)?;
        let mut members = vec![
            ("thingGroupName", Json::String(Arc::clone(&group.name))),
            ("thingGroupId", Json::String(Arc::clone(&group.id))),
        ];
        let description = group.description.as_ref();
        members.extend(
            description.map(|text| ("thingGroupDescription", Json::String(Arc::clone(text)))),
        );
        members.push(("attributes", shown(&group.attributes)));
        let above = self.groups.ancestors(name);
        if !above.is_empty() {
            let names = above.iter().map(|above| Json::String(Arc::clone(&above.name)));
            members.push(("parentGroupNames", Json::array(names.collect::<Vec<_>>())));
        }
        Some(Json::object(members))
    }

    /// `GetThingConnectivityData`
    pub(crate) fn connectivity_data(
        &self,
        name: &str,
        connectivity: &Connectivity,
    ) -> Result<Json, ApiError> {
        if !self.search.configuration.has_connectivity() {
            let why = "connectivity is not indexed: set `thingConnectivityIndexingMode` to STATUS \
                       with UpdateIndexingConfiguration";
            return Err(ApiError::new("IndexNotReadyException", why));
        }
        let thing = self.thing(name)?;
        let mut members = vec![
            ("thingName", Json::String(Arc::clone(&thing.name))),
            ("connected", connectivity.connected.into()),
        ];
        let since = connectivity.since_ms.map(|since| seconds(Timestamp(since)));
        members.extend(since.map(|since| ("timestamp", since)));
        let reason = match connectivity {
            Connectivity { connected: true, .. } => "NONE",
            Connectivity { disconnect_reason: Some(reason), .. } => reason,
            Connectivity { .. } => "UNKNOWN",
        };
        members.push(("disconnectReason", reason.into()));
        Ok(Json::object(members))
    }
}

impl Connectivity {
    /// `connectivity` of a thing that was found.
    fn answer(&self) -> Json {
        let mut members = vec![("connected", Json::from(self.connected))];
        members.extend(self.since_ms.map(|since| ("timestamp", Json::from(since))));
        members.extend(self.disconnect_reason.map(|why| ("disconnectReason", Json::from(why))));
        Json::object(members)
    }
}
