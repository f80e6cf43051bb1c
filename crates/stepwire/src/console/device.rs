//! One device: what is recorded of it, and what the registry says.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stepwire_asl::json::Object;
use stepwire_asl::{Json, Timestamp};
use stepwire_console::Page;
use stepwire_console::json::indented;
use stepwire_console::pages::Problem;
use stepwire_console::pages::device::{
    Certificate, Event, Jobs, Kept, Messages, Publish, Shadow, Start, Tab, View, What as Shown,
};
use stepwire_console::pages::{device as drawn, devices};
use stepwire_console::payload::WHOLE_MAX;
use stepwire_console::timeline::{End, Item, Lane, Look, Timeline};
use stepwire_console::words::{bytes, encoded, segment};
use stepwire_core::broker::{DisconnectReason, SessionRecord};
use stepwire_core::message::QoS;
use stepwire_core::mqtt::Version;
use stepwire_core::{ApiError, Service};

use super::Done;
use super::devices::{Known, attributes, presence, thing, unreadable};
use super::executions::{link, row, workflows};
use super::jobs;
use super::live::{Interest, Topic};
use super::policy_question;
use super::visit::{Form, Visit};
use super::workflows::read;
use crate::flight::{Entry, What};
use crate::lately::{Run, input_text, newest_of_device};
use crate::shard;

/// Entries that the time line shows, and executions.
const ENTRIES_MAX: usize = 80;
const RUNS_MAX: usize = 12;
/// Executions that the tab lists.
const LISTED_MAX: usize = 100;
/// Certificates that are described.
const CERTIFICATES_MAX: usize = 4;
/// Longest input that a form is filled with.
const INPUT_MAX: usize = 256 << 10;

pub(super) fn interest(visit: &Visit, name: &str) -> Interest {
    let speakers = visit.node().flights().speakers();
    let client = speakers.get(name).map(|client| Topic::Device(Arc::clone(client)));
    let mut topics = vec![Topic::Device(name.into())];
    topics.extend(client);
    Interest::in_topics(topics, 50)
}

/// An error of an API as a page says it.
pub(super) fn refused(error: ApiError) -> Problem {
    match &*error.code {
        "ResourceNotFoundException" | "StateMachineDoesNotExist" | "ExecutionDoesNotExist" => {
            Problem::not_found(error.message)
        }
        _ => Problem::refused(error.message),
    }
}

pub(super) async fn page(visit: &Visit, name: &str) -> Result<Page, Problem> {
    let known = Known::of(visit);
    let client = known.client(name).to_owned();
    let read = visit.node().snapshot();
    let stored = shard::catch(|| (thing(name, &read), known.session(name)));
    let (thing, session) = stored.map_err(|error| unreadable(&error))?;
    let entries = visit.node().flights().of(&client);
    if thing.is_none() && session.is_none() && entries.is_empty() {
        let hint = "names are case-sensitive; a client that was away for long is forgotten";
        return Err(Problem::not_found(format!("there is no device `{name}`")).hint(hint));
    }
    let facts = if thing.is_some() { Facts::of(visit, name).await } else { Facts::default() };
    let recent = visit.node().recent();
    let tab = visit.query("tab");
    let most = match tab.as_deref() {
        Some("executions" | "start") => LISTED_MAX,
        _ => RUNS_MAX,
    };
    let names = [name, &client];
    let runs = shard::catch(|| newest_of_device(&names, most, &recent, &read));
    let runs = runs.map_err(|error| unreadable(&error))?;
    let tab = match tab.as_deref() {
        None | Some("messages") => Tab::Messages(messages(visit, &entries)?),
        Some("shadow") => Tab::Shadow(shadow(visit, name).await?),
        Some("executions") => Tab::Executions(runs.iter().map(|run| row(run)).collect()),
        Some("jobs") if thing.is_some() => Tab::Jobs(jobs_of(visit, name).await?),
        Some("jobs") => Tab::Jobs(Jobs::default()),
        Some("policy") => {
            Tab::Policy(policy_question::tab(visit, &client, thing.as_ref(), &facts).await)
        }
        Some("publish") => Tab::Publish(publish_form(visit, name, &entries)),
        Some("start") => Tab::Start(start_form(visit, name, &client, &runs, session.as_ref())?),
        Some(other) => return Err(Problem::not_found(format!("there is no tab `{other}`"))),
    };
    let limits = visit.node().flights().limits();
    let online = session.as_ref().filter(|record| record.connected);
    Ok(drawn::page(&View {
        now: visit.now(),
        address: link(visit, &[("done", None)]),
        name: name.to_owned(),
        is_thing: thing.is_some(),
        client: (client != name).then(|| client.clone()),
        presence: presence(session.as_ref()),
        ip: online.map(|record| record.client.ip.to_string()),
        protocol: online.map(|record| match record.version {
            Version::V31 => "MQTT 3.1",
            Version::V311 => "MQTT 3.1.1",
            Version::V5 => "MQTT 5.0",
        }),
        thing_type: thing.as_ref().and_then(|thing| Some(thing.thing_type.as_ref()?.to_string())),
        attributes: thing.as_ref().map(attributes).unwrap_or_default(),
        groups: facts.groups,
        certificates: facts.certificates,
        policies: facts.policies.into_iter().map(|(name, _)| name).collect(),
        latest: runs.first().map(|run| row(run)),
        timeline: timeline(name, &entries, &runs, session.as_ref(), visit.now()),
        kept: Kept { of_device: limits.of_device_max, bytes: limits.bytes_max },
        tab,
    }))
}

/// The jobs of a thing.
async fn jobs_of(visit: &Visit, name: &str) -> Result<Jobs, Problem> {
    let (settings, thing) = (visit.node().settings().clone(), name.to_owned());
    let found = read(visit.node(), move |read| jobs::of_thing(&thing, &settings, read)).await;
    found.map_err(refused)
}

/// What the registry says of a thing.
#[derive(Default)]
pub(super) struct Facts {
    groups: Vec<String>,
    pub(super) certificates: Vec<Certificate>,
    /// ARNs of its certificates.
    pub(super) principals: Vec<String>,
    /// Policies that count, and their documents.
    pub(super) policies: Vec<(String, String)>,
}

impl Facts {
    async fn of(visit: &Visit, name: &str) -> Facts {
        let named = || [("thingName", Json::from(name))];
        let mut facts = Facts::default();
        let list = |answer: Result<Json, ApiError>, member: &str| match answer {
            Ok(answer) => {
                answer.member(member).and_then(Json::as_array).unwrap_or_default().to_vec()
            }
            Err(_) => Vec::new(),
        };
        let groups = visit.ask(Service::Iot, "ListThingGroupsForThing", named()).await;
        let groups = list(groups, "thingGroups");
        let text = |json: &Json, member: &str| Some(json.member(member)?.as_str()?.to_owned());
        facts.groups = groups.iter().filter_map(|group| text(group, "groupName")).collect();
        let principals = visit.ask(Service::Iot, "ListThingPrincipals", named()).await;
        let principals = list(principals, "principals");
        facts.principals =
            principals.iter().filter_map(|arn| Some(arn.as_str()?.to_owned())).collect();
        for arn in facts.principals.iter().take(CERTIFICATES_MAX) {
            let Some((_, id)) = arn.split_once(":cert/") else { continue };
            let asked = [("certificateId", Json::from(id))];
            let answer = visit.ask(Service::Iot, "DescribeCertificate", asked).await;
            let Ok(answer) = answer else { continue };
            let Some(described) = answer.member("certificateDescription") else { continue };
            let until = described.member("validity").and_then(|it| it.member("notAfter"));
            facts.certificates.push(Certificate {
                id: id.to_owned(),
                status: text(described, "status").unwrap_or_default(),
                expires: until.and_then(Json::as_f64).map(|at| Timestamp((at * 1_000.0) as i64)),
            });
            let asked = [("principal", Json::from(arn.as_str())), ("thingName", name.into())];
            let policies = visit.ask(Service::Iot, "GetEffectivePolicies", asked).await;
            for policy in list(policies, "effectivePolicies") {
                let named = (text(&policy, "policyName"), text(&policy, "policyDocument"));
                if let (Some(name), Some(document)) = named
                    && !facts.policies.iter().any(|(known, _)| *known == name)
                {
                    facts.policies.push((name, document));
                }
            }
        }
        facts
    }
}

fn messages(visit: &Visit, entries: &[Entry]) -> Result<Messages, Problem> {
    let only = visit.query("only");
    if let Some(word) = &only
        && !drawn::ONLY.iter().any(|(known, _)| known == word)
    {
        return Err(Problem::not_found(format!("there is no choice `{word}`")));
    }
    let wanted = |entry: &&Entry| match (only.as_deref(), &entry.what) {
        (None, _)
        | (Some("from"), What::Published { .. })
        | (Some("to"), What::Received { .. })
        | (Some("refused"), What::Refused { .. } | What::CutOff { .. })
        | (Some("presence"), What::Connected { .. } | What::Disconnected { .. }) => true,
        (Some(_), _) => false,
    };
    let events = entries.iter().rev().filter(wanted).map(event).collect();
    Ok(Messages { events, only })
}

fn event(entry: &Entry) -> Event {
    let message =
        |from: bool, topic: &str, payload: &[u8], qos: QoS, retain: bool| Shown::Message {
            from,
            topic: topic.to_owned(),
            payload: payload.get(..=WHOLE_MAX).unwrap_or(payload).to_vec(),
            size: payload.len(),
            qos: qos as u8,
            retain,
            rules: Vec::new(),
        };
    let what = match &entry.what {
        What::Connected { ip, .. } => Shown::Connected(ip.to_string()),
        What::Disconnected { reason } => {
            Shown::Disconnected(reason.map(|reason| reason.name().to_owned()))
        }
        What::Published { message: it, rules: taken } => {
            let mut sent = message(true, &it.topic, &it.payload, it.qos, it.retain);
            if let Shown::Message { rules, .. } = &mut sent {
                rules.extend(taken.iter().map(std::string::ToString::to_string));
            }
            sent
        }
        What::Received { topic, payload, qos, retain } => {
            message(false, topic, payload, *qos, *retain)
        }
        What::Refused { action, resource, why } => Shown::Refused {
            action: (*action).to_owned(),
            resource: resource.to_string(),
            why: why.to_string(),
        },
        What::CutOff { cause } => Shown::CutOff((*cause).to_owned()),
    };
    Event { number: entry.number, at: entry.at, what }
}

/// What happened, on one clock.
fn timeline(
    name: &str,
    entries: &[Entry],
    runs: &[Arc<Run>],
    session: Option<&SessionRecord>,
    now: Timestamp,
) -> Timeline {
    let entries = entries.get(entries.len().saturating_sub(ENTRIES_MAX)..).unwrap_or_default();
    let first = entries.first().map(|entry| entry.at);
    let runs: Vec<&Arc<Run>> = runs.iter().take(RUNS_MAX).rev().collect();
    let since = first.or_else(|| runs.first().map(|run| run.started));
    let is_open = runs.iter().any(|run| run.stopped.is_none());
    let is_online = session.is_some_and(|record| record.connected);
    let (mut messages, mut rules) = (Vec::new(), Vec::new());
    for entry in entries {
        let instant = |look, label: &str, title: String| Item {
            from: entry.at,
            end: End::Instant,
            look,
            label: label.to_owned(),
            title,
            href: None,
        };
        match &entry.what {
            What::Published { message, rules: taken } => {
                let title =
                    format!("sent {} ({})", message.topic, bytes(message.payload.len() as u64));
                messages.push(instant(Look::Out, &of_device(&message.topic, name), title));
                if let Some(rule) = taken.first() {
                    let names: Vec<&str> = taken.iter().map(|rule| &**rule).collect();
                    let title = format!("rule {} took {}", names.join(", "), message.topic);
                    let mut item = instant(Look::Rule, &names.join(", "), title);
                    item.href = Some(format!("/rules/{}", segment(rule)));
                    rules.push(item);
                }
            }
            What::Received { topic, payload, .. } => {
                let title = format!("got {topic} ({})", bytes(payload.len() as u64));
                messages.push(instant(Look::In, &of_device(topic, name), title));
            }
            What::Refused { action, resource, why } => {
                let title = format!("refused {action} {resource}: {why}");
                messages.push(instant(Look::Bad, "refused", title));
            }
            What::CutOff { cause } => {
                messages.push(instant(Look::Bad, "cut off", format!("cut off: {cause}")));
            }
            What::Connected { .. } | What::Disconnected { .. } => {}
        }
    }
    rules.extend(runs.iter().filter_map(|run| begun_by(run, entries)));
    rules.sort_by_key(|item| item.from);
    let runs = runs.into_iter().map(|run| {
        let row = row(run);
        let state = row.state.as_ref().map(|state| format!(" · {state}")).unwrap_or_default();
        let href = Some(row.href());
        Item {
            from: run.started,
            end: run.stopped.map_or(End::Open, End::At),
            look: Look::Status(row.status),
            label: format!("{}{state}", row.workflow),
            title: format!("{} {}: {}{state}", row.workflow, row.name, row.status.word()),
            href,
        }
    });
    let lanes = vec![
        Lane { name: "Presence", items: connections(entries, session, since) },
        Lane { name: "Messages", items: messages },
        Lane { name: "Rules", items: rules },
        Lane { name: "Executions", items: runs.collect() },
    ];
    let now = (is_open || is_online).then_some(now);
    Timeline { label: format!("What happened to {name} lately"), lanes, now }
}

/// A topic as it is written where there is little room: what stands before the device's own name is the
/// same on most of them.
fn of_device(topic: &str, name: &str) -> String {
    match topic.split_once(&format!("/{name}/")) {
        Some((_, rest)) => format!("…/{rest}"),
        None => topic.to_owned(),
    }
}

/// The rule that began an execution, unless it took a message of the device: that is an entry.
fn begun_by(run: &Run, entries: &[Entry]) -> Option<Item> {
    let origin = run.origin.as_deref()?;
    let is_entry = entries.iter().any(|entry| match &entry.what {
        What::Published { message, rules } => {
            message.topic == origin.topic && rules.contains(&origin.rule)
        }
        _ => false,
    });
    (!is_entry).then(|| Item {
        from: run.started,
        end: End::Instant,
        look: Look::Rule,
        label: origin.rule.to_string(),
        title: format!("rule {} took {}", origin.rule, origin.topic),
        href: Some(format!("/rules/{}", segment(&origin.rule))),
    })
}

/// The connections of a device: from what was recorded, and from what is stored of the newest.
fn connections(
    entries: &[Entry],
    session: Option<&SessionRecord>,
    since: Option<Timestamp>,
) -> Vec<Item> {
    let bar = |from, end, title: String| Item {
        from,
        end,
        look: Look::Online,
        label: "connected".to_owned(),
        title,
        href: None,
    };
    let (mut items, mut open) = (Vec::new(), None);
    for entry in entries {
        match &entry.what {
            What::Connected { ip, .. } => open = Some((entry.at, format!("connected from {ip}"))),
            What::Disconnected { reason } => {
                // Its beginning may have been pushed out.
                let from = since.unwrap_or(entry.at);
                let (from, title) = open.take().unwrap_or_else(|| (from, "connected".to_owned()));
                let why = reason.map_or("UNKNOWN", DisconnectReason::name);
                let title = format!("{title}; ended: {}", devices::plain(why));
                items.push(bar(from, End::At(entry.at), title));
            }
            _ => {}
        }
    }
    let record = session.filter(|record| record.connected);
    if let Some(record) = record {
        let (from, title) = open.unwrap_or_else(|| {
            let from = since.map_or(record.since, |since| since.max(record.since));
            (from, format!("connected from {}", record.client.ip))
        });
        items.push(bar(from, End::Open, title));
    }
    items
}

async fn shadow(visit: &Visit, name: &str) -> Result<Shadow, Problem> {
    let wanted = visit.query("shadow");
    let asked = [("thingName", Json::from(name)), ("pageSize", 100.into())];
    let names = visit.ask(Service::IotData, "ListNamedShadowsForThing", asked).await;
    let names = names.map_err(refused)?;
    let names = names.member("results").and_then(Json::as_array).unwrap_or_default();
    let names = names.iter().filter_map(|name| Some(name.as_str()?.to_owned())).collect();
    let mut asked = vec![("thingName", Json::from(name))];
    asked.extend(wanted.clone().map(|shadow| ("shadowName", Json::from(shadow))));
    let document = match visit.ask(Service::IotData, "GetThingShadow", asked).await {
        Ok(document) => Some(document),
        Err(error) if &*error.code == "ResourceNotFoundException" => None,
        Err(error) => return Err(refused(error)),
    };
    Ok(Shadow { names, name: wanted, document })
}

fn publish_form(visit: &Visit, name: &str, entries: &[Entry]) -> Publish {
    let done = visit.query("done").is_some();
    let last = entries.iter().rev().find_map(|entry| match &entry.what {
        What::Received { topic, payload, .. } => Some((topic.to_string(), payload.clone())),
        _ => None,
    });
    let (topic, payload) = last.unwrap_or_else(|| (format!("devices/{name}/command"), "{}".into()));
    let payload = std::str::from_utf8(&payload).unwrap_or("{}").to_owned();
    Publish { topic: visit.query("topic").unwrap_or(topic), payload, done }
}

fn start_form(
    visit: &Visit,
    name: &str,
    client: &str,
    runs: &[Arc<Run>],
    session: Option<&SessionRecord>,
) -> Result<Start, Problem> {
    let workflows = workflows(visit.node());
    let chosen = visit.query("workflow").filter(|name| workflows.contains(name));
    let newest = runs.first().map(|run| run.workflow.to_string());
    let workflow = chosen.or(newest).or_else(|| workflows.first().cloned());
    let last = runs.iter().find(|run| Some(&*run.workflow) == workflow.as_deref());
    let read = visit.node().snapshot();
    let last = shard::catch(|| last.and_then(|run| input_text(run.id, &read)));
    let last = last.map_err(|error| unreadable(&error))?.filter(|text| text.len() <= INPUT_MAX);
    let (input, from) = match last {
        Some(text) => {
            let laid_out = Json::parse(&text).ok().map(|json| indented(&json));
            (laid_out.unwrap_or(text), "the input of its last execution of this workflow")
        }
        None => (
            indented(&connected(name, client, session, visit.now())),
            "the event that is published when it connects; a rule may make something else of it",
        ),
    };
    Ok(Start { workflows, workflow, input, from })
}

/// The event of presence that the device's next connection would be told by.
fn connected(name: &str, client: &str, session: Option<&SessionRecord>, now: Timestamp) -> Json {
    let address = session.map_or_else(|| "127.0.0.1".to_owned(), |it| it.client.ip.to_string());
    let mut members = vec![
        ("clientId", Json::from(client)),
        ("timestamp", now.0.into()),
        ("eventType", "connected".into()),
        ("ipAddress", address.into()),
        ("versionNumber", (session.map_or(0, |record| record.next_version) as i64).into()),
    ];
    if name != client {
        members.push(("thingName", name.into()));
    }
    Json::object(members)
}

/// Publishes what a form says.
pub(super) async fn publish(visit: &Visit, form: &Form) -> Result<Done, Problem> {
    let topic = form.field("topic");
    let qos = i64::from(form.field("qos") == "1");
    let asked = [
        ("topic", Json::from(topic)),
        ("payload", STANDARD.encode(form.field("payload")).into()),
        ("qos", qos.into()),
        ("retain", (form.field("retain") == "1").into()),
    ];
    visit.ask(Service::IotData, "Publish", asked).await.map_err(refused)?;
    let device = segment(form.field("device"));
    Ok(Done::At(format!("/devices/{device}?tab=publish&done=1&topic={}", encoded(topic))))
}

/// Starts what a form says.
pub(super) async fn start(visit: &Visit, form: &Form) -> Result<Done, Problem> {
    let workflow = form.field("workflow");
    let arn = visit.node().settings().arn("states", &format!("stateMachine:{workflow}"));
    let asked = [("stateMachineArn", Json::from(arn)), ("input", form.field("input").into())];
    let answer = visit.ask(Service::States, "StartExecution", asked).await.map_err(refused)?;
    let arn = answer.member("executionArn").and_then(Json::as_str).unwrap_or_default();
    let name = arn.rsplit(':').next().unwrap_or_default();
    Ok(Done::At(format!("/executions/{}/{}", segment(workflow), segment(name))))
}

/// Sets what a form desires.
pub(super) async fn desire(visit: &Visit, form: &Form) -> Result<Done, Problem> {
    let object = |text: &str| match Json::parse(text) {
        Ok(json) if json.as_object().is_some() => Ok(json),
        Ok(_) => Err("it must be a JSON object".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    let desired = object(form.field("desired"));
    let desired = desired.map_err(|why| Problem::refused(format!("what is desired: {why}")))?;
    let before = object(form.field("before")).unwrap_or_else(|_| Json::Object(Arc::default()));
    let change = Json::object([("state", Json::object([("desired", changes(&before, desired))]))]);
    let mut asked = vec![
        ("thingName", Json::from(form.field("thing"))),
        ("payload", STANDARD.encode(change.to_text()).into()),
    ];
    let shadow = form.field("shadow");
    if !shadow.is_empty() {
        asked.push(("shadowName", shadow.into()));
    }
    visit.ask(Service::IotData, "UpdateThingShadow", asked).await.map_err(refused)?;
    Ok(Done::At(form.back().to_owned()))
}

/// What makes `before` into `after` where members are merged: those that are gone are null.
fn changes(before: &Json, after: Json) -> Json {
    let (Some(old), Some(new)) = (before.as_object(), after.as_object()) else { return after };
    let mut changed = Object::new();
    for (name, value) in new {
        let value = match old.get(name) {
            Some(old) => changes(old, value.clone()),
            None => value.clone(),
        };
        changed.insert(Arc::clone(name), value);
    }
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        changed.insert(Arc::clone(name), Json::Null);
    }
    Json::Object(Arc::new(changed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_of_a_device_is_written_without_what_all_of_them_have() {
        for (topic, written) in [
            ("$aws/things/gw-1/jobs/start-next", "…/jobs/start-next"),
            ("devices/gw-1/config_req", "…/config_req"),
            ("devices/gw-10/config_req", "devices/gw-10/config_req"),
            ("presence/gw-1", "presence/gw-1"),
        ] {
            assert_eq!(of_device(topic, "gw-1"), written);
        }
    }

    #[test]
    fn what_is_taken_away_is_set_to_null() {
        let json = |text: &str| Json::parse(text).unwrap_or_default();
        for (before, after, change) in [
            (r#"{"a":1}"#, r#"{"b":2}"#, r#"{"b":2,"a":null}"#),
            (r#"{"a":{"b":1,"c":2}}"#, r#"{"a":{"c":3}}"#, r#"{"a":{"c":3,"b":null}}"#),
            (r#"{"a":{"b":1}}"#, r#"{"a":5}"#, r#"{"a":5}"#),
            ("{}", r#"{"a":[]}"#, r#"{"a":[]}"#),
        ] {
            assert_eq!(changes(&json(before), json(after)).to_text(), change);
        }
    }
}
