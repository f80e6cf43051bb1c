//! What is known of a run beside its history: its device, messages, rules, functions.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};
use stepwire_console::pages::execution::{Lane, Output, Span};
use stepwire_console::run::{End, Facts, Run};
use stepwire_console::words::{encoded, segment};
use stepwire_core::executions::ExecutionId;
use stepwire_core::executions::record;
use stepwire_core::message::{Origin, QoS};
use stepwire_core::read::Read as _;
use stepwire_core::{Service, functions};

use super::Found;
use crate::console::visit::Visit;
use crate::flight::{Entry, What};
use crate::node::Node;
use crate::recorded::Recording;
use crate::shard;

/// Latest messages that are looked through.
const MESSAGES_MAX: usize = 1_000;
/// Messages on the timeline.
const SHOWN_MAX: usize = 60;
/// What happened so long before the start belongs to it, milliseconds.
const BEFORE_MS: i64 = 2_000;
/// And so long after the end.
const AFTER_MS: i64 = 2_000;
/// Rules that are asked whether they complete tasks.
const RULES_MAX: i64 = 200;

/// What is known of the device, and of who will end the wait.
pub(super) async fn facts(visit: &Visit, found: &Found, run: &Run) -> Facts {
    let origin = found.record.origin.as_deref();
    let device = origin.and_then(|origin| origin.device()).cloned();
    let mut facts = Facts { device, ..Facts::default() };
    let client = origin.and_then(|origin| origin.client.as_ref().or(origin.thing.as_ref()));
    if let Some(client) = client {
        facts.presence = presence(visit, client).await;
    }
    if run.end != End::None {
        return facts;
    }
    facts.due = due(visit.node(), found.id);
    let waiting = run.open().into_iter().filter_map(|id| run.visits[id].attempts.last());
    let waiting =
        waiting.filter(|attempt| attempt.waits_for_token()).min_by_key(|attempt| attempt.scheduled);
    let Some(attempt) = waiting else { return facts };
    if let Some(table) = attempt.token_table() {
        facts.answer = answering(visit, &table).await;
    }
    let names = names(found);
    let since = run.started.unwrap_or(found.record.started);
    let messages = visit.node().recorded().latest(None, MESSAGES_MAX);
    let sent = messages.iter().map(|recording| &recording.message).find(|message| {
        matches!(message.origin, Origin::Service)
            && message.at >= since
            && !message.topic.starts_with('$')
            && is_about(&message.topic, &names)
    });
    facts.sent = sent.map(|message| (Arc::clone(&message.topic), message.at));
    if facts.sent.is_none() {
        // On a busy node others' messages have pushed it out.
        let entries = names.iter().flat_map(|name| visit.node().flights().of(name));
        let got = entries.filter_map(|entry| match entry.what {
            What::Received { topic, .. } => Some((topic, entry.at)),
            _ => None,
        });
        facts.sent = got.filter(|(topic, at)| *at >= since && !topic.starts_with('$')).last();
    }
    facts
}

async fn presence(visit: &Visit, client: &str) -> Option<(bool, Timestamp)> {
    let asked = visit.ask(Service::IotData, "GetConnection", [("clientId", Json::from(client))]);
    let known = asked.await.ok()?;
    let online = known.member("connected")?.as_bool()?;
    let since = if online { "connectedSince" } else { "disconnectedSince" };
    Some((online, Timestamp(known.member(since)?.as_i64()?)))
}

/// The earliest deadline of an open execution.
fn due(node: &Node, id: ExecutionId) -> Option<Timestamp> {
    let read = node.snapshot();
    let key = record::open_key(id);
    let value = shard::catch(|| read.get(&key)).ok()??;
    record::open(&key, &value).ok()?.due
}

/// The rule that completes tasks whose tokens are in `table`, and its topic.
async fn answering(visit: &Visit, table: &str) -> Option<(Arc<str>, Arc<str>)> {
    let rules =
        visit.ask(Service::Iot, "ListTopicRules", [("maxResults", RULES_MAX.into())]).await.ok()?;
    for rule in rules.member("rules").and_then(Json::as_array).unwrap_or_default() {
        let name = rule.member("ruleName").and_then(Json::as_str).unwrap_or_default();
        let asked = visit.ask(Service::Iot, "GetTopicRule", [("ruleName", Json::from(name))]).await;
        let Ok(told) = asked else { continue };
        let Some(told) = told.member("rule") else { continue };
        let completes = |action: &Json| {
            let table_of =
                action.member("completeTask").and_then(|action| action.member("tableName"));
            table_of.and_then(Json::as_str) == Some(table)
        };
        let actions = told.member("actions").and_then(Json::as_array).unwrap_or_default();
        if actions.iter().any(completes) {
            let topic = rule.member("topicPattern").and_then(Json::as_str).unwrap_or_default();
            return Some((name.into(), topic.into()));
        }
    }
    None
}

/// The names that the device goes by.
fn names(found: &Found) -> Vec<Arc<str>> {
    let origin = found.record.origin.iter();
    origin.flat_map(|origin| origin.devices()).cloned().collect()
}

/// Whether a topic names one of these in one of its levels.
fn is_about(topic: &str, names: &[Arc<str>]) -> bool {
    topic.split('/').any(|level| names.iter().any(|name| **name == *level))
}

/// Presence, messages and rules while the run went on, as far as they are still known; functions.
pub(super) fn spans(
    visit: &Visit,
    found: &Found,
    facts: &Facts,
    run: &Run,
    now: Timestamp,
) -> Vec<Span> {
    let node = visit.node();
    let start = run.started.unwrap_or(found.record.started);
    let end = run.stopped.map_or(now, |stopped| stopped.plus_ms(AFTER_MS));
    let from = start.plus_ms(-BEFORE_MS);
    let names = names(found);
    let mut spans = Vec::new();
    if !names.is_empty() {
        let mut messages = node.recorded().latest(None, MESSAGES_MAX);
        let kept_from = messages.last().map_or(now, |recording| recording.message.at);
        messages.retain(|recording| {
            let message = &recording.message;
            let by =
                matches!(&message.origin, Origin::Client(client) if names.contains(&client.id));
            (message.at >= from && message.at <= end) && (by || is_about(&message.topic, &names))
        });
        messages.truncate(SHOWN_MAX);
        messages.reverse();
        spans.extend(device(facts, start, end, &messages));
        // Of the device itself more is kept than of all together.
        let flights = names.iter().flat_map(|name| node.flights().of(name));
        let flights = flights.filter(|entry| entry.at >= from && entry.at < kept_from.min(end));
        flights.take(SHOWN_MAX).for_each(|entry| flown(&entry, &names, &mut spans));
        messages.iter().for_each(|recording| message(recording, &names, &mut spans));
        spans.extend(begun_by(found, &spans));
    }
    for output in outputs(node, found.id, now) {
        let to = output.at.plus_ms(output.took_ms.ceil() as i64);
        let title = format!(
            "{}, {:.1} ms{}",
            output.function,
            output.took_ms,
            if output.failed { ", failed" } else { "" }
        );
        spans.push(Span {
            lane: Lane::Functions,
            from: output.at,
            to: Some(to.max(output.at.plus_ms(1))),
            class: if output.failed { "err" } else { "ok" },
            label: output.function.clone(),
            title,
            href: Some(format!("/functions/{}", segment(&output.function))),
        });
    }
    spans
}

/// When the device was connected: from what was recorded, and how it is now.
fn device(facts: &Facts, start: Timestamp, end: Timestamp, messages: &[Recording]) -> Vec<Span> {
    let href = facts.device.as_ref().map(|device| format!("/devices/{}", segment(device)));
    let span = |from: Timestamp, to: Option<Timestamp>, online: bool| Span {
        lane: Lane::Device,
        from: from.max(start.plus_ms(-BEFORE_MS)),
        to,
        class: if online { "on" } else { "gap" },
        label: (if online { "connected" } else { "offline" }).to_owned(),
        title: format!(
            "Device {} from {}",
            if online { "connected" } else { "offline" },
            from.rfc3339()
        ),
        href: href.clone(),
    };
    let mut turns: Vec<(Timestamp, bool)> = Vec::new();
    for recording in messages {
        let topic = &recording.message.topic;
        if topic.starts_with("$aws/events/presence/connected/") {
            turns.push((recording.message.at, true));
        } else if topic.starts_with("$aws/events/presence/disconnected/") {
            turns.push((recording.message.at, false));
        }
    }
    if turns.is_empty()
        && let Some((online, since)) = facts.presence
    {
        return if since <= end { vec![span(since, None, online)] } else { Vec::new() };
    }
    let mut spans = Vec::new();
    for (index, (at, online)) in turns.iter().enumerate() {
        let to = turns.get(index + 1).map(|(next, _)| *next);
        spans.push(span(*at, to, *online));
    }
    spans
}

/// A message, and what is known of it.
struct Said<'a> {
    at: Timestamp,
    topic: &'a str,
    bytes: usize,
    qos: QoS,
    from_device: bool,
    rules: &'a [Arc<str>],
}

fn message(recording: &Recording, names: &[Arc<str>], spans: &mut Vec<Span>) {
    let message = &recording.message;
    let from_device = matches!(&message.origin, Origin::Client(_) | Origin::Caller(_));
    let said = Said {
        at: message.at,
        topic: &message.topic,
        bytes: message.payload.len(),
        qos: message.qos,
        from_device,
        rules: &recording.rules,
    };
    said.drawn(names, spans);
}

/// What the flight recorder has kept of the device.
fn flown(entry: &Entry, names: &[Arc<str>], spans: &mut Vec<Span>) {
    let at = entry.at;
    let said = match &entry.what {
        What::Published { message, rules } => {
            let (topic, bytes) = (&*message.topic, message.payload.len());
            Said { at, topic, bytes, qos: message.qos, from_device: true, rules }
        }
        What::Received { topic, payload, qos, .. } => {
            let bytes = payload.len();
            Said { at, topic, bytes, qos: *qos, from_device: false, rules: &[] }
        }
        _ => return,
    };
    said.drawn(names, spans);
}

/// The rule that began the run, unless a message shows it.
fn begun_by(found: &Found, spans: &[Span]) -> Option<Span> {
    let origin = found.record.origin.as_deref()?;
    let is_shown = |span: &Span| span.lane == Lane::Rules && *span.label == *origin.rule;
    (!spans.iter().any(is_shown))
        .then(|| taken_by(&origin.rule, &origin.topic, found.record.started))
}

fn taken_by(rule: &str, topic: &str, at: Timestamp) -> Span {
    Span {
        lane: Lane::Rules,
        from: at,
        to: Some(at),
        class: "rule",
        label: rule.to_owned(),
        title: format!("Rule {rule} took {topic}"),
        href: Some(format!("/rules/{}", segment(rule))),
    }
}

impl Said<'_> {
    fn drawn(&self, names: &[Arc<str>], spans: &mut Vec<Span>) {
        let levels: Vec<&str> = self.topic.split('/').collect();
        let about = levels.iter().position(|level| names.iter().any(|name| **name == **level));
        let label = match about {
            Some(at) if at + 1 < levels.len() => levels[at + 1..].join("/"),
            Some(at) if at > 0 => levels[at - 1].to_owned(),
            _ => self.topic.to_owned(),
        };
        let words =
            if self.from_device { "published by the device" } else { "sent to it, or about it" };
        spans.push(Span {
            lane: Lane::Mqtt,
            from: self.at,
            to: Some(self.at),
            class: if self.from_device { "in" } else { "out" },
            label: format!("{label} · {} B", self.bytes),
            title: format!("{}, {words}, {} bytes, QoS {}", self.topic, self.bytes, self.qos as u8),
            href: Some(format!("/live?filter={}", encoded(self.topic))),
        });
        spans.extend(self.rules.iter().map(|rule| taken_by(rule, self.topic, self.at)));
    }
}

/// What functions wrote for the steps of a run, as far as that is kept.
pub(super) fn outputs(node: &Node, id: ExecutionId, until: Timestamp) -> Vec<Output> {
    let read = node.snapshot();
    let Ok(Ok(ran)) = shard::catch(|| functions::ran(id, &read)) else { return Vec::new() };
    let mut outputs: Vec<Output> = ran
        .into_iter()
        .filter(|(_, ran)| ran.began <= until)
        .map(|(key, ran)| Output {
            scheduled: key.scheduled,
            function: ran.function.to_string(),
            at: ran.began,
            took_ms: ran.took_us as f64 / 1_000.0,
            failed: ran.failed,
            text: ran.log.to_string(),
        })
        .collect();
    outputs.sort_by_key(|output| output.at);
    outputs
}
