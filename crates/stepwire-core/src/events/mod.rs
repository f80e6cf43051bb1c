//! Event buses: the part of Amazon EventBridge that takes events and gives them to queues and topics.
//!
//! Buses and rules are in memory whole. An event is not kept: what matches it is delivered in the
//! commit that takes it.
//!
//! Read in this order: [`Events`], [`Request`], [`Pattern`], [`Event`]; then `view`.

mod pattern;
mod record;
mod request;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

pub use pattern::{Invalid, Pattern};
pub use record::{Bus, Rule, Target};
pub use request::{Entry, Page, PutRule, Request, RuleName};
pub use view::answer;

use crate::error::ApiError;
use crate::executions::derived_uuid;
use crate::record::{Corrupt, Entry as Stored, Space};
use crate::settings::Settings;

/// The bus that is always there.
pub const DEFAULT: &str = "default";
/// Most targets of a rule.
const TARGETS_MAX: usize = 5;

/// The buses of a shard and their rules.
#[derive(Debug, Default, PartialEq)]
pub struct Events {
    buses: BTreeMap<Arc<str>, Arc<Bus>>,
    /// By bus and name.
    rules: BTreeMap<(Arc<str>, Arc<str>), Ready>,
    /// Larger than every number of an event.
    next: u64,
}

/// A rule with its pattern read.
#[derive(Debug, PartialEq)]
struct Ready {
    rule: Arc<Rule>,
    pattern: Pattern,
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Where to: the ARN of a queue or topic.
    pub target: Arc<str>,
    /// What.
    pub body: Arc<str>,
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
                let pattern = rule.as_ref().and_then(|rule| Pattern::parse(&rule.pattern).ok());
                match (rule, pattern) {
                    (Some(rule), Some(pattern)) => {
                        self.rules.insert(key, Ready { rule: Arc::clone(rule), pattern });
                    }
                    _ => drop(self.rules.remove(&key)),
                }
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
            Request::PutRule(put) => self.put_rule(put, settings, out),
            Request::DeleteRule(name) => {
                let targets = self.rules.get(&(Arc::clone(&name.bus), Arc::clone(&name.name)));
                if targets.is_some_and(|ready| !ready.rule.targets.is_empty()) {
                    return Err(validation("Rule can't be deleted since it has targets."));
                }
                self.record(Write::Rule(name.clone(), None), out);
                Ok(nothing())
            }
            Request::EnableRule(name) => self.change(name, out, |rule| rule.enabled = true),
            Request::DisableRule(name) => self.change(name, out, |rule| rule.enabled = false),
            Request::PutTargets { rule, targets } => self.put_targets(rule, targets, settings, out),
            Request::RemoveTargets { rule, ids } => {
                self.change(rule, out, |rule| rule.targets.retain(|t| !ids.contains(&t.id)))?;
                Ok(no_failures())
            }
            Request::CreateEventBus { name, description } => {
                if **name == *DEFAULT || self.buses.contains_key(name) {
                    let message = format!("Event bus {name} already exists.");
                    return Err(ApiError::new("ResourceAlreadyExistsException", message));
                }
                let (created, description) = (now, description.clone());
                let bus = Bus { name: Arc::clone(name), created, description };
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
        let json = event.json(settings);
        let text: Arc<str> = json.to_text().into();
        for ready in self.of_bus(&event.entry.bus) {
            if ready.rule.enabled && ready.pattern.matches(&json) {
                deliveries.extend(ready.rule.targets.iter().map(|target| Delivery {
                    target: Arc::clone(&target.arn),
                    body: Arc::clone(target.input.as_ref().unwrap_or(&text)),
                }));
            }
        }
        id
    }

    fn put_rule(
        &mut self,
        put: &PutRule,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let RuleName { bus, name } = &put.name;
        if **bus != *DEFAULT && !self.buses.contains_key(bus) {
            return Err(not_found(format!("Event bus {bus} does not exist.")));
        }
        let before = self.rules.get(&(Arc::clone(bus), Arc::clone(name)));
        let rule = Rule {
            bus: Arc::clone(bus),
            name: Arc::clone(name),
            pattern: Arc::clone(&put.pattern),
            description: put.description.clone(),
            role_arn: put.role_arn.clone(),
            enabled: put.enabled,
            targets: before.map(|ready| ready.rule.targets.clone()).unwrap_or_default(),
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
        let (queues, topics) = (settings.arn("sqs", ""), settings.arn("sns", ""));
        for target in targets {
            if !target.arn.starts_with(&queues) && !target.arn.starts_with(&topics) {
                let message = format!(
                    "target `{}`: only queues and topics of this node can be targets in stepwire yet",
                    target.arn
                );
                return Err(validation(message));
            }
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
