//! The list of devices: things of the registry by name, or by a query of fleet indexing; clients
//! that are no things.

use std::collections::HashMap;
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};
use stepwire_console::Page;
use stepwire_console::pages::Problem;
use stepwire_console::pages::devices as drawn;
use stepwire_console::pages::devices::{Presence, Row, View};
use stepwire_console::pages::executions::Choice;
use stepwire_core::broker::{DisconnectReason, SessionRecord, stored_session};
use stepwire_core::read::Range;
use stepwire_core::record::Space;
use stepwire_core::registry::things::{self, Thing};
use stepwire_core::{Read, Service};

use super::executions::{link, row as run_row};
use super::live::{Interest, Topic};
use super::visit::Visit;
use crate::flight::{Entry, What};
use crate::lately::newest_of_device;
use crate::shard::{self, ShardRead};

/// Rows of a page.
const ROWS: usize = 50;
/// Things that one look goes through.
const LOOKED_MAX: usize = 2_000;
/// Things that are read at a time.
const SLICE: usize = 256;

/// Which devices are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Things,
    Online,
    Offline,
    Never,
    Clients,
}

impl Kind {
    const ALL: [(Kind, Option<&'static str>, &'static str); 5] = [
        (Kind::Things, None, "All things"),
        (Kind::Online, Some("online"), "Online"),
        (Kind::Offline, Some("offline"), "Offline"),
        (Kind::Never, Some("never"), "Never seen"),
        (Kind::Clients, Some("clients"), "Not in the registry"),
    ];

    fn of(visit: &Visit) -> Result<Kind, Problem> {
        let status = visit.query("status");
        let found = Kind::ALL.iter().find(|(_, word, _)| *word == status.as_deref());
        found.map(|(kind, ..)| *kind).ok_or_else(|| {
            let what = format!("there is no status `{}`", status.unwrap_or_default());
            Problem::refused(what).hint("it is one of online, offline, never, clients")
        })
    }

    fn fits(self, presence: &Presence) -> bool {
        match self {
            Kind::Things | Kind::Clients => true,
            Kind::Online => matches!(presence, Presence::Online { .. }),
            Kind::Offline => matches!(presence, Presence::Away { .. }),
            Kind::Never => matches!(presence, Presence::Never),
        }
    }

    /// As a query of fleet indexing adds it.
    fn query(self) -> Option<&'static str> {
        match self {
            Kind::Things | Kind::Clients | Kind::Never => None,
            Kind::Online => Some("connectivity.connected:true"),
            Kind::Offline => Some("connectivity.connected:false"),
        }
    }
}

pub(super) fn interest() -> Interest {
    Interest::in_topics([Topic::Devices, Topic::Executions], 1_000)
}

/// What one look came to.
#[derive(Default)]
struct Look {
    names: Vec<(Arc<str>, Option<Thing>)>,
    /// More may come after this name.
    next: Option<String>,
    /// It has come to this name, and not further.
    searched_to: Option<String>,
    trouble: Option<(String, Option<String>)>,
}

pub(super) async fn page(visit: &Visit) -> Result<Page, Problem> {
    let kind = Kind::of(visit)?;
    let text = visit.query("q");
    let is_query = kind != Kind::Clients && text.as_deref().is_some_and(is_query);
    let known = Known::of(visit);
    let look = match &text {
        Some(text) if is_query => query(visit, kind, text).await,
        text => {
            let text = text.as_ref().map(|text| text.to_lowercase());
            let looked = shard::catch(|| known.look(visit, kind, text.as_deref()));
            looked.map_err(|error| unreadable(&error))?
        }
    };
    let rows = shard::catch(|| known.rows(visit, &look.names));
    let page = |after: Option<&str>| link(visit, &[("after", after)]);
    let choices = Kind::ALL.map(|(of, word, name)| Choice {
        name,
        href: link(visit, &[("status", word), ("after", None)]),
        count: None,
        chosen: of == kind,
    });
    Ok(drawn::page(&View {
        now: visit.now(),
        text,
        status: visit.query("status"),
        choices: choices.into(),
        rows: rows.map_err(|error| unreadable(&error))?,
        next: look.next.as_deref().map(|name| page(Some(name))),
        first: visit.query("after").map(|_| page(None)),
        searched_to: look.searched_to,
        is_query,
        trouble: look.trouble,
        clients: visit.node().connected() as u64,
    }))
}

/// The store failed while a page was made.
pub(super) fn unreadable(error: &stepwire_store::Error) -> Problem {
    Problem { status: 500, what: format!("the store cannot be read: {error}"), hint: None }
}

/// Whether a text is in the language of fleet indexing rather than a part of a name.
fn is_query(text: &str) -> bool {
    text.contains(':') || text.contains('*') || text.contains(" AND ") || text.contains(" OR ")
}

/// Asks the index.
async fn query(visit: &Visit, kind: Kind, text: &str) -> Look {
    let all = match kind.query() {
        Some(more) => format!("({text}) AND {more}"),
        None => text.to_owned(),
    };
    let mut members =
        vec![("queryString", Json::from(all)), ("maxResults", Json::from(ROWS as i64))];
    members.extend(visit.query("after").map(|after| ("nextToken", Json::from(after))));
    let answer = match visit.ask(Service::Iot, "SearchIndex", members).await {
        Ok(answer) => answer,
        Err(error) => {
            let off = &*error.code == "ResourceNotFoundException"
                || &*error.code == "IndexNotReadyException";
            let hint = if off {
                "Fleet indexing is off until it is switched on: aws iot update-indexing-configuration \
                 --thing-indexing-configuration thingIndexingMode=REGISTRY,thingConnectivityIndexingMode=STATUS"
            } else {
                "A query is such as thingName:gw-* or attributes.fw:1.2.1 AND connectivity.connected:true"
            };
            let trouble = Some((error.message, Some(hint.to_owned())));
            return Look { trouble, ..Look::default() };
        }
    };
    let found = answer.member("things").and_then(Json::as_array).unwrap_or_default();
    let names = found.iter().filter_map(|thing| thing.member("thingName")?.as_str());
    let read = visit.node().snapshot();
    let names = names.map(|name| (name.into(), shard::catch(|| thing(name, &read)).ok().flatten()));
    Look {
        names: names.collect(),
        next: answer.member("nextToken").and_then(Json::as_str).map(str::to_owned),
        ..Look::default()
    }
}

/// A stored thing.
pub(super) fn thing(name: &str, read: &dyn Read) -> Option<Thing> {
    if name.contains('\0') {
        return None;
    }
    let key = things::thing_key(name);
    things::stored(&key, &read.get(&key)?).ok()
}

/// What is known where a look begins.
pub(super) struct Known {
    read: ShardRead,
    /// Clients by the thing that they speak for under another name.
    speakers: HashMap<Arc<str>, Arc<str>>,
}

impl Known {
    pub(super) fn of(visit: &Visit) -> Known {
        Known { read: visit.node().snapshot(), speakers: visit.node().flights().speakers() }
    }

    /// The client that a thing speaks by.
    pub(super) fn client<'a>(&'a self, name: &'a str) -> &'a str {
        self.speakers.get(name).map_or(name, |client| client)
    }

    /// What is stored of the client that a device speaks by.
    pub(super) fn session(&self, name: &str) -> Option<SessionRecord> {
        stored_session(self.client(name), &self.read).ok().flatten()
    }

    fn look(&self, visit: &Visit, kind: Kind, text: Option<&str>) -> Look {
        let after = visit.query("after");
        if kind == Kind::Clients {
            return self.clients(visit, after.as_deref(), text);
        }
        let mut range = Range::prefix(&[Space::Thing as u8]).limit(SLICE);
        if let Some(after) = after.as_deref().filter(|after| !after.contains('\0')) {
            range.from = [things::thing_key(after).as_slice(), &[0]].concat();
        }
        let mut look = Look::default();
        let mut looked = 0;
        let mut last: Option<Arc<str>> = None;
        loop {
            let entries = self.read.range(&range);
            for (key, value) in &entries {
                let Ok(thing) = things::stored(key, value) else { continue };
                if look.names.len() == ROWS || looked == LOOKED_MAX {
                    look.next = last.as_deref().map(str::to_owned);
                    look.searched_to = look.next.clone().filter(|_| look.names.len() < ROWS);
                    return look;
                }
                looked += 1;
                last = Some(Arc::clone(&thing.name));
                let fits = text.is_none_or(|text| has_text(&thing, text))
                    && (kind == Kind::Things
                        || kind.fits(&presence(self.session(&thing.name).as_ref())));
                if fits {
                    look.names.push((Arc::clone(&thing.name), Some(thing)));
                }
            }
            match entries.last() {
                Some((key, _)) if entries.len() == SLICE => {
                    range.from = [key.as_slice(), &[0]].concat();
                }
                _ => return look,
            }
        }
    }

    /// Clients that are connected and are no things.
    fn clients(&self, visit: &Visit, after: Option<&str>, text: Option<&str>) -> Look {
        let things: HashMap<_, _> = self.speakers.iter().map(|(thing, of)| (of, thing)).collect();
        let mut look = Look::default();
        for client in visit.node().clients() {
            if after.is_some_and(|after| &*client <= after)
                || text.is_some_and(|text| !client.to_lowercase().contains(text))
                || things.contains_key(&client)
                || thing(&client, &self.read).is_some()
            {
                continue;
            }
            if look.names.len() == ROWS {
                look.next = look.names.last().map(|(name, _)| name.to_string());
                break;
            }
            look.names.push((client, None));
        }
        look
    }

    fn rows(&self, visit: &Visit, names: &[(Arc<str>, Option<Thing>)]) -> Vec<Row> {
        let recent = visit.node().recent();
        let row = |(name, thing): &(Arc<str>, Option<Thing>)| {
            let goes_by = [&**name, self.client(name)];
            let run = newest_of_device(&goes_by, 1, &recent, &self.read).pop();
            Row {
                name: name.to_string(),
                presence: presence(self.session(name).as_ref()),
                thing_type: thing.as_ref().and_then(|of| Some(of.thing_type.as_ref()?.to_string())),
                attributes: thing.as_ref().map(attributes).unwrap_or_default(),
                message: visit.node().flights().last_message(self.client(name)).and_then(message),
                run: run.map(|run| {
                    let row = run_row(&run);
                    drawn::Run {
                        href: row.href(),
                        status: row.status,
                        workflow: row.workflow,
                        state: row.state,
                    }
                }),
            }
        };
        names.iter().map(row).collect()
    }
}

/// When a message was, whether it came from the device, and its topic.
fn message(entry: Entry) -> Option<(Timestamp, bool, String)> {
    match entry.what {
        What::Published { message, .. } => Some((entry.at, true, message.topic.to_string())),
        What::Received { topic, .. } => Some((entry.at, false, topic.to_string())),
        _ => None,
    }
}

/// The attributes of a thing.
pub(super) fn attributes(thing: &Thing) -> Vec<(String, String)> {
    let attributes = thing.attributes.iter();
    attributes.map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

fn has_text(thing: &Thing, text: &str) -> bool {
    let holds = |part: &str| part.to_lowercase().contains(text);
    holds(&thing.name)
        || thing.thing_type.as_deref().is_some_and(holds)
        || thing.attributes.iter().any(|(name, value)| holds(name) || holds(value))
}

/// How a client stands.
pub(super) fn presence(record: Option<&SessionRecord>) -> Presence {
    match record {
        None => Presence::Never,
        Some(record) if record.connected => Presence::Online { since: record.since },
        Some(record) => Presence::Away {
            since: record.since,
            reason: record.disconnect_reason.map(DisconnectReason::name).map(str::to_owned),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_told_from_names() {
        for (text, query) in [
            ("gw-00", false),
            ("gw-*", true),
            ("attributes.fw:1.2.1", true),
            ("a AND b", true),
            ("android", false),
        ] {
            assert_eq!(is_query(text), query, "{text}");
        }
    }
}
