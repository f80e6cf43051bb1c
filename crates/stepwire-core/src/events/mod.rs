//! Event buses and schedules: Amazon EventBridge as far as it takes events and gives them to targets
//! of this node.
//!
//! Buses and rules are in memory whole. An event is not kept: what matches it is delivered in the
//! commit that takes it. When a rule's schedule is due next is durable: what was missed while the
//! node was down happens once.
//!
//! Read in this order: [`Events`], [`Request`], [`Pattern`], [`Event`]; then `input`, [`Schedule`],
//! `view`.

mod input;
mod pattern;
mod record;
mod request;
mod schedule;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

pub use pattern::{Invalid, Pattern};
pub use record::{Bus, Input, Rule, Tags, Target};
pub use request::{Entry, Page, PutRule, Request, RuleName};
pub use schedule::{Cron, Schedule};
pub use view::answer;

use crate::error::ApiError;
use crate::executions::derived_uuid;
use crate::record::{Corrupt, Entry as Stored, Space};
use crate::settings::Settings;
use input::Facts;

/// The bus that is always there.
pub const DEFAULT: &str = "default";
/// Most targets of a rule.
const TARGETS_MAX: usize = 5;
/// Most schedules that one tick has deliver; the others follow in the next.
const FIRED_MAX: usize = 256;
/// Schedules of rules know no other time zone.
const UTC: jiff::tz::TimeZone = jiff::tz::TimeZone::UTC;

/// The buses of a shard and their rules.
#[derive(Debug, Default, PartialEq)]
pub struct Events {
    buses: BTreeMap<Arc<str>, Arc<Bus>>,
    /// By bus and name.
    rules: BTreeMap<(Arc<str>, Arc<str>), Ready>,
    /// When schedules are due, with bus and rule; derived from `rules`.
    due: BTreeSet<(Timestamp, Arc<str>, Arc<str>)>,
    /// Larger than every number of an event.
    next: u64,
}

/// A rule with its pattern read.
#[derive(Debug, PartialEq)]
struct Ready {
    rule: Arc<Rule>,
    /// `None`: it has a schedule alone.
    pattern: Option<Pattern>,
    schedule: Option<Schedule>,
}

/// One durable change.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Numbers of events go on here.
    Next(u64),
    /// A bus as it now is; `None`: there is none of this name.
    Bus(Arc<str>, Option<Arc<Bus>>),
    /// A rule of a bus as it now is; `None`: there is none of this name.
    Rule(RuleName, Option<Arc<Rule>>),
}

/// What has to be brought somewhere because an event matched.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Where to.
    pub target: Target,
    /// ARN of the rule.
    pub rule_arn: Arc<str>,
    /// Name of the rule.
    pub rule: Arc<str>,
    /// What.
    pub body: Arc<str>,
    /// The event, for another bus. `None`: it has been on another already.
    pub event: Option<Box<Entry>>,
}

/// An event on its bus.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its id, a UUID.
    pub id: Arc<str>,
    entry: Entry,
    at: Timestamp,
}

impl Write {
    /// The stored form.
    pub fn entry(&self) -> Stored {
        match self {
            Write::Next(next) => (record::counter_key(), Some(record::value(next))),
            Write::Bus(name, bus) => (record::bus_key(name), bus.as_deref().map(record::value)),
            Write::Rule(name, rule) => {
                (record::rule_key(&name.bus, &name.name), rule.as_deref().map(record::value))
            }
        }
    }
}

impl Events {
    /// What recovery reads into memory.
    pub const SPACES: &'static [Space] = &[Space::EventBus, Space::EventRule];

    /// The only thing that changes buses and rules.
    pub fn apply(&mut self, write: &Write) {
        match write {
            Write::Next(next) => self.next = *next,
            Write::Bus(name, Some(bus)) => {
                self.buses.insert(Arc::clone(name), Arc::clone(bus));
            }
            Write::Bus(name, None) => drop(self.buses.remove(name)),
            Write::Rule(name, rule) => {
                let key = (Arc::clone(&name.bus), Arc::clone(&name.name));
                let before = self.rules.remove(&key);
                let due = |rule: &Rule| {
                    let next = rule.next.filter(|_| rule.enabled)?;
                    Some((next, Arc::clone(&rule.bus), Arc::clone(&rule.name)))
                };
                if let Some(due) = before.and_then(|ready| due(&ready.rule)) {
                    self.due.remove(&due);
                }
                let Some(rule) = rule else { return };
                self.due.extend(due(rule));
                let pattern = rule.pattern.as_ref();
                let pattern = pattern.and_then(|pattern| Pattern::parse(pattern).ok());
                let schedule = rule.schedule.as_ref();
                let schedule = schedule.and_then(|schedule| Schedule::parse(schedule));
                self.rules.insert(key, Ready { rule: Arc::clone(rule), pattern, schedule });
            }
        }
    }

    /// Takes in one stored entry of [`Events::SPACES`].
    pub fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        let write = if key == record::counter_key() {
            Write::Next(record::record(key, value)?)
        } else if key.first() == Some(&(Space::EventBus as u8)) {
            let bus: Bus = record::record(key, value)?;
            Write::Bus(Arc::clone(&bus.name), Some(Arc::new(bus)))
        } else {
            let rule: Rule = record::record(key, value)?;
            let name = RuleName { bus: Arc::clone(&rule.bus), name: Arc::clone(&rule.name) };
            Write::Rule(name, Some(Arc::new(rule)))
        };
        self.apply(&write);
        Ok(())
    }

    fn record(&mut self, write: Write, out: &mut Vec<Write>) {
        self.apply(&write);
        out.push(write);
    }

    /// Whether a rule of this bus looks at events.
    pub(crate) fn listens(&self, bus: &str) -> bool {
        self.of_bus(bus).any(|ready| ready.rule.enabled)
    }

    fn of_bus(&self, bus: &str) -> impl Iterator<Item = &Ready> {
        let first = (Arc::from(bus), Arc::from(""));
        let rules = self.rules.range(first..);
        let bus: Arc<str> = bus.into();
        rules.take_while(move |((of, _), _)| *of == bus).map(|(_, ready)| ready)
    }

    /// Carries out a request that changes something. On `Err` nothing has changed.
    pub(crate) fn call(
        &mut self,
        now: Timestamp,
        request: &Request,
        settings: &Settings,
        out: &mut Vec<Write>,
        deliveries: &mut Vec<Delivery>,
    ) -> Result<Json, ApiError> {
        match request {
            Request::PutEvents { entries } => {
                Ok(self.put_events(now, entries, settings, out, deliveries))
            }
            Request::PutRule(put) => self.put_rule(now, put, settings, out),
            Request::DeleteRule(name) => {
                let targets = self.rules.get(&(Arc::clone(&name.bus), Arc::clone(&name.name)));
                if targets.is_some_and(|ready| !ready.rule.targets.is_empty()) {
                    return Err(validation("Rule can't be deleted since it has targets."));
                }
                self.record(Write::Rule(name.clone(), None), out);
                Ok(nothing())
            }
            Request::EnableRule(name) => {
                let key = (Arc::clone(&name.bus), Arc::clone(&name.name));
                let schedule = self.rules.get(&key).and_then(|ready| ready.schedule.clone());
                self.change(name, out, |rule| {
                    if !rule.enabled {
                        (rule.enabled, rule.since) = (true, now);
                        rule.next = schedule.and_then(|schedule| schedule.next(now, now, &UTC));
                    }
                })
            }
            Request::DisableRule(name) => self.change(name, out, |rule| rule.enabled = false),
            Request::PutTargets { rule, targets } => self.put_targets(rule, targets, settings, out),
            Request::RemoveTargets { rule, ids } => {
                self.change(rule, out, |rule| rule.targets.retain(|t| !ids.contains(&t.id)))?;
                Ok(no_failures())
            }
            Request::TagResource { resource, tags } => self.tag(resource, settings, out, |old| {
                old.retain(|(key, _)| !tags.iter().any(|(new, _)| new == key));
                old.extend(tags.iter().cloned());
            }),
            Request::UntagResource { resource, keys } => {
                self.tag(resource, settings, out, |old| old.retain(|(key, _)| !keys.contains(key)))
            }
            Request::CreateEventBus { name, description, tags } => {
                if **name == *DEFAULT || self.buses.contains_key(name) {
                    let message = format!("Event bus {name} already exists.");
                    return Err(ApiError::new("ResourceAlreadyExistsException", message));
                }
                let (created, description) = (now, description.clone());
                let bus = Bus { name: Arc::clone(name), created, description, tags: tags.clone() };
                self.record(Write::Bus(Arc::clone(name), Some(Arc::new(bus))), out);
                Ok(Json::object([("EventBusArn", bus_arn(name, settings))]))
            }
            Request::DeleteEventBus { name } => {
                if **name == *DEFAULT {
                    return Err(validation("Cannot delete event bus default."));
                }
                if self.of_bus(name).next().is_some() {
                    return Err(validation(format!(
                        "Cannot delete event bus {name} since it has rules."
                    )));
                }
                self.record(Write::Bus(Arc::clone(name), None), out);
                Ok(nothing())
            }
            Request::DescribeRule(_)
            | Request::ListRules { .. }
            | Request::ListRuleNamesByTarget { .. }
            | Request::ListTargetsByRule { .. }
            | Request::DescribeEventBus { .. }
            | Request::ListEventBuses { .. }
            | Request::ListTagsForResource { .. }
            | Request::TestEventPattern { .. } => Err(validation("this request changes nothing")),
        }
    }

    fn put_events(
        &mut self,
        now: Timestamp,
        entries: &[Result<Entry, ApiError>],
        settings: &Settings,
        out: &mut Vec<Write>,
        deliveries: &mut Vec<Delivery>,
    ) -> Json {
        let mut failed = 0;
        let mut answers = Vec::new();
        for entry in entries {
            answers.push(match entry {
                Ok(entry) => {
                    let id = self.put(now, entry.clone(), settings, out, deliveries);
                    Json::object([("EventId", Json::String(id))])
                }
                Err(error) => {
                    failed += 1;
                    Json::object([
                        ("ErrorCode", Json::from(&*error.code)),
                        ("ErrorMessage", Json::from(error.message.as_str())),
                    ])
                }
            });
        }
        Json::object([("Entries", Json::array(answers)), ("FailedEntryCount", failed.into())])
    }

    /// Puts an event on its bus: its id, and what its bus's rules have delivered.
    pub(crate) fn put(
        &mut self,
        now: Timestamp,
        entry: Entry,
        settings: &Settings,
        out: &mut Vec<Write>,
        deliveries: &mut Vec<Delivery>,
    ) -> Arc<str> {
        let number = self.next;
        self.record(Write::Next(number + 1), out);
        let id: Arc<str> = derived_uuid(&settings.secret, "event", &[number]).into();
        let event = Event { id: Arc::clone(&id), entry, at: now };
        self.route(&event, true, settings, deliveries);
        id
    }

    /// Puts an event that came from another bus on its bus; from there it goes to no other.
    pub(crate) fn forward(
        &mut self,
        now: Timestamp,
        entry: Entry,
        settings: &Settings,
        out: &mut Vec<Write>,
        deliveries: &mut Vec<Delivery>,
    ) -> Result<(), ApiError> {
        if *entry.bus != *DEFAULT && !self.buses.contains_key(&entry.bus) {
            return Err(not_found(format!("Event bus {} does not exist.", entry.bus)));
        }
        let number = self.next;
        self.record(Write::Next(number + 1), out);
        let id = derived_uuid(&settings.secret, "event", &[number]).into();
        self.route(&Event { id, entry, at: now }, false, settings, deliveries);
        Ok(())
    }

    fn route(
        &self,
        event: &Event,
        first: bool,
        settings: &Settings,
        deliveries: &mut Vec<Delivery>,
    ) {
        let json = event.json(settings);
        for ready in self.of_bus(&event.entry.bus) {
            let matches = ready.pattern.as_ref().is_some_and(|pattern| pattern.matches(&json));
            if ready.rule.enabled && matches {
                let entry = first.then_some(&event.entry);
                deliveries.extend(ready.rule.deliveries(event.at, &json, entry, settings));
            }
        }
    }

    /// When the next schedule is due.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, ..)| *at)
    }

    /// Has rules whose schedules are due deliver. What was missed is made up for once.
    pub(crate) fn fire(
        &mut self,
        now: Timestamp,
        settings: &Settings,
        out: &mut Vec<Write>,
        deliveries: &mut Vec<Delivery>,
    ) {
        let due = self.due.iter().take_while(|(at, ..)| *at <= now).take(FIRED_MAX);
        for (at, bus, name) in due.cloned().collect::<Vec<_>>() {
            let Some(ready) = self.rules.get(&(Arc::clone(&bus), Arc::clone(&name))) else {
                continue;
            };
            let mut rule = ready.rule.as_ref().clone();
            let schedule = ready.schedule.clone();
            rule.next = schedule.and_then(|schedule| schedule.next(rule.since, now, &UTC));
            let number = self.next;
            self.record(Write::Next(number + 1), out);
            let entry = Entry {
                bus: Arc::clone(&bus),
                source: "aws.events".into(),
                detail_type: "Scheduled Event".into(),
                detail: nothing(),
                resources: vec![
                    rule_arn(&bus, &name, settings).as_str().unwrap_or_default().into(),
                ],
                time: Some(at),
            };
            let id = derived_uuid(&settings.secret, "event", &[number]).into();
            let event = Event { id, entry, at: now };
            let json = event.json(settings);
            deliveries.extend(rule.deliveries(now, &json, Some(&event.entry), settings));
            self.record(Write::Rule(RuleName { bus, name }, Some(Arc::new(rule))), out);
        }
    }

    fn tag(
        &mut self,
        resource: &str,
        settings: &Settings,
        out: &mut Vec<Write>,
        change: impl FnOnce(&mut Tags),
    ) -> Result<Json, ApiError> {
        match view::resource(resource, settings) {
            Some(view::Resource::Rule(name)) => {
                self.change(&name, out, |rule| change(&mut rule.tags))
            }
            Some(view::Resource::Bus(name)) => {
                let bus = self.buses.get(&name);
                let missing = || not_found(format!("Event bus {name} does not exist."));
                let mut bus = bus.ok_or_else(missing)?.as_ref().clone();
                change(&mut bus.tags);
                self.record(Write::Bus(name, Some(Arc::new(bus))), out);
                Ok(nothing())
            }
            None => Err(validation(format!("Parameter {resource} is not valid."))),
        }
    }

    fn put_rule(
        &mut self,
        now: Timestamp,
        put: &PutRule,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let RuleName { bus, name } = &put.name;
        if **bus != *DEFAULT && !self.buses.contains_key(bus) {
            return Err(not_found(format!("Event bus {bus} does not exist.")));
        }
        let before = self.rules.get(&(Arc::clone(bus), Arc::clone(name)));
        if put.schedule.is_some() && **bus != *DEFAULT {
            return Err(validation(
                "ScheduleExpression is supported only on the default event bus.",
            ));
        }
        let before = before.map(|ready| &ready.rule);
        // A rule that stays as it is goes on counting.
        let same = before.filter(|before| before.schedule == put.schedule && before.enabled);
        let since = same.map_or(now, |before| before.since);
        let schedule = put.schedule.as_ref().and_then(|text| Schedule::parse(text));
        let next = match same {
            Some(same) => same.next,
            None => schedule.and_then(|schedule| schedule.next(since, now, &UTC)),
        };
        let rule = Rule {
            bus: Arc::clone(bus),
            name: Arc::clone(name),
            pattern: put.pattern.clone(),
            description: put.description.clone(),
            role_arn: put.role_arn.clone(),
            enabled: put.enabled,
            targets: before.map(|rule| rule.targets.clone()).unwrap_or_default(),
            schedule: put.schedule.clone(),
            since,
            next,
            tags: before.map_or_else(|| put.tags.clone(), |rule| rule.tags.clone()),
        };
        self.record(Write::Rule(put.name.clone(), Some(Arc::new(rule))), out);
        Ok(Json::object([("RuleArn", rule_arn(bus, name, settings))]))
    }

    fn put_targets(
        &mut self,
        name: &RuleName,
        targets: &[Target],
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        for target in targets {
            target.check(settings)?;
        }
        let RuleName { bus, name: rule } = name;
        let there = self.rules.get(&(Arc::clone(bus), Arc::clone(rule)));
        let there = there.map(|ready| ready.rule.targets.iter()).into_iter().flatten();
        let kept = there.filter(|old| !targets.iter().any(|new| new.id == old.id)).count();
        if kept + targets.len() > TARGETS_MAX {
            let message = "The requested resource exceeds the maximum number allowed.";
            return Err(ApiError::new("LimitExceededException", message));
        }
        self.change(name, out, |rule| {
            rule.targets.retain(|old| !targets.iter().any(|new| new.id == old.id));
            rule.targets.extend(targets.iter().cloned());
            rule.targets.sort_by(|a, b| a.id.cmp(&b.id));
        })?;
        Ok(no_failures())
    }

    fn change(
        &mut self,
        name: &RuleName,
        out: &mut Vec<Write>,
        change: impl FnOnce(&mut Rule),
    ) -> Result<Json, ApiError> {
        let ready = self.rules.get(&(Arc::clone(&name.bus), Arc::clone(&name.name)));
        let mut rule = ready.ok_or_else(|| no_rule(name))?.rule.as_ref().clone();
        change(&mut rule);
        self.record(Write::Rule(name.clone(), Some(Arc::new(rule))), out);
        Ok(nothing())
    }
}

impl Rule {
    /// What its targets get of an event; `entry` if other buses may get it too.
    fn deliveries(
        &self,
        now: Timestamp,
        event: &Json,
        entry: Option<&Entry>,
        settings: &Settings,
    ) -> Vec<Delivery> {
        let arn = rule_arn(&self.bus, &self.name, settings);
        let arn: Arc<str> = arn.as_str().unwrap_or_default().into();
        let facts = Facts { event, rule_arn: &arn, rule: &self.name, at: now };
        let delivery = |target: &Target| Delivery {
            body: Input::of(target.input.as_ref(), &facts),
            target: target.clone(),
            rule_arn: Arc::clone(&arn),
            rule: Arc::clone(&self.name),
            event: entry.cloned().map(Box::new),
        };
        self.targets.iter().map(delivery).collect()
    }
}

/// How ARNs of targets begin: service, resource.
const KINDS: [(&str, &str, Kind); 6] = [
    ("sqs", "", Kind::Queue),
    ("sns", "", Kind::Topic),
    ("lambda", "function:", Kind::Function),
    ("states", "stateMachine:", Kind::StateMachine),
    ("logs", "log-group:", Kind::LogGroup),
    ("events", "event-bus/", Kind::Bus),
];

/// Why no node takes this ARN as a target, whatever its region and account.
pub(crate) fn no_target(arn: &str) -> Option<ApiError> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let named = match parts.as_slice() {
        ["arn", _, service, _, _, resource] => KINDS.iter().any(|(own, prefix, _)| {
            own == service && resource.strip_prefix(prefix).is_some_and(|name| !name.is_empty())
        }),
        _ => false,
    };
    (!named).then(|| not_a_target(arn))
}

fn not_a_target(arn: &str) -> ApiError {
    validation(format!(
        "target `{arn}`: only queues, topics, functions, state machines, log groups and event \
         buses of this node can be targets in stepwire"
    ))
}

/// What a target is, by its ARN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Queue,
    Topic,
    Function,
    StateMachine,
    LogGroup,
    Bus,
}

impl Kind {
    /// What an ARN of this node names. `None`: nothing that can be a target.
    pub(crate) fn of(arn: &str, settings: &Settings) -> Option<Kind> {
        let found = KINDS.into_iter().find(|(service, prefix, _)| {
            let rest = arn.strip_prefix(&settings.arn(service, prefix));
            rest.is_some_and(|rest| !rest.is_empty())
        });
        found.map(|(.., kind)| kind)
    }
}

impl Target {
    /// Refuses what cannot be a target here.
    fn check(&self, settings: &Settings) -> Result<(), ApiError> {
        let Some(kind) = Kind::of(&self.arn, settings) else {
            return Err(not_a_target(&self.arn));
        };
        let fifo = self.arn.ends_with(".fifo");
        if fifo && kind == Kind::Topic {
            return Err(validation(format!("FIFO topic {} cannot be a target.", self.arn)));
        }
        if fifo && self.group.is_none() {
            let message = "Parameter(s) MessageGroupId must be specified for target: ";
            return Err(validation(format!("{message}{}.", self.id)));
        }
        if self.group.is_some() && kind != Kind::Queue {
            let message = format!(
                "Parameter(s) SqsParameters are only valid for targets of Amazon SQS: {}.",
                self.id
            );
            return Err(validation(message));
        }
        if let Some(queue) = &self.dead_letters {
            let name = queue.strip_prefix(&settings.arn("sqs", ""));
            if name.is_none_or(str::is_empty) || queue.ends_with(".fifo") {
                let message = format!(
                    "Parameter {queue} is not valid. Reason: Provided Arn is not in \
                                       correct format or not of a standard queue of this node."
                );
                return Err(validation(message));
            }
        }
        Ok(())
    }
}

impl Event {
    /// The event as patterns look at it and targets get it.
    fn json(&self, settings: &Settings) -> Json {
        let entry = &self.entry;
        let at = entry.time.unwrap_or(self.at);
        let seconds = Timestamp(at.0.div_euclid(1_000) * 1_000).rfc3339();
        let resources = entry.resources.iter().map(|resource| Json::String(Arc::clone(resource)));
        Json::object([
            ("version", Json::from("0")),
            ("id", Json::String(Arc::clone(&self.id))),
            ("detail-type", Json::String(Arc::clone(&entry.detail_type))),
            ("source", Json::String(Arc::clone(&entry.source))),
            ("account", Json::from(&*settings.account)),
            ("time", seconds.replace(".000Z", "Z").into()),
            ("region", Json::from(&*settings.region)),
            ("resources", Json::array(resources)),
            ("detail", entry.detail.clone()),
        ])
    }
}

fn no_rule(name: &RuleName) -> ApiError {
    let RuleName { bus, name } = name;
    not_found(format!("Rule {name} does not exist on EventBus {bus}."))
}

fn not_found(message: impl Into<String>) -> ApiError {
    ApiError::new("ResourceNotFoundException", message)
}

fn validation(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationException", message)
}

fn nothing() -> Json {
    Json::Object(Arc::default())
}

fn no_failures() -> Json {
    Json::object([("FailedEntryCount", Json::from(0)), ("FailedEntries", Json::array([]))])
}

fn bus_arn(name: &str, settings: &Settings) -> Json {
    settings.arn("events", &format!("event-bus/{name}")).into()
}

/// Rules of the default bus do not name it.
fn rule_arn(bus: &str, name: &str, settings: &Settings) -> Json {
    let place = if bus == DEFAULT { name.to_owned() } else { format!("{bus}/{name}") };
    settings.arn("events", &format!("rule/{place}")).into()
}
