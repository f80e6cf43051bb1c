//! Requests that read.

use std::sync::Arc;

use stepwire_asl::Json;

use super::record::{self, Bus, Input, Rule, bus_key, rule_key};
use super::{DEFAULT, Page, Request, RuleName, bus_arn, no_rule, not_found, nothing, rule_arn};
use crate::error::ApiError;
use crate::read::{Range, Read};
use crate::record::{Corrupt, KeyBuilder, Space};
use crate::settings::Settings;

/// The answer to a request that reads.
pub fn answer(request: &Request, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    match request {
        Request::DescribeRule(name) => {
            let rule = rule(name, read)?;
            let account = [("CreatedBy", Json::from(&*settings.account))];
            Ok(Json::object(members(&rule, settings).into_iter().chain(account)))
        }
        Request::ListRules { bus, prefix, page } => {
            let rules = rules(bus, read)?;
            let rules = rules.into_iter().filter(|rule| rule.name.starts_with(&**prefix));
            Ok(paged(
                "Rules",
                page,
                rules,
                |rule| &rule.name,
                |rule| Json::object(members(rule, settings)),
            ))
        }
        Request::ListRuleNamesByTarget { bus, target, page } => {
            let rules = rules(bus, read)?.into_iter();
            let rules = rules.filter(|rule| rule.targets.iter().any(|t| t.arn == *target));
            let name = |rule: &Rule| Json::String(Arc::clone(&rule.name));
            Ok(paged("RuleNames", page, rules, |rule| &rule.name, name))
        }
        Request::ListTargetsByRule { rule: name, page } => {
            let targets = rule(name, read)?.targets.into_iter();
            Ok(paged(
                "Targets",
                page,
                targets,
                |target| &target.id,
                |target| {
                    let text = |text: &Arc<str>| Json::String(Arc::clone(text));
                    let own = [("Id".into(), text(&target.id)), ("Arn".into(), text(&target.arn))];
                    let shown = target.shown.as_object().into_iter().flatten();
                    let shown = shown.map(|(name, value)| (Arc::clone(name), value.clone()));
                    let group = target.group.as_ref().map(|group| {
                        let group = Json::object([("MessageGroupId", text(group))]);
                        ("SqsParameters".into(), group)
                    });
                    let dead = target
                        .dead_letters
                        .as_ref()
                        .map(|arn| ("DeadLetterConfig".into(), Json::object([("Arn", text(arn))])));
                    let input = target.input.as_ref().map(shown_input);
                    let members = own.into_iter().chain(input).chain(group).chain(dead);
                    Json::object::<Arc<str>>(members.chain(shown))
                },
            ))
        }
        Request::ListTagsForResource { resource: arn } => {
            let tags = match resource(arn, settings) {
                Some(Resource::Rule(name)) => rule(&name, read)?.tags,
                Some(Resource::Bus(name)) => found(&name, read)?.tags,
                None => {
                    let message = format!("Parameter {arn} is not valid.");
                    return Err(super::validation(message));
                }
            };
            let tags = tags.into_iter().map(|(key, value)| {
                Json::object([("Key", Json::String(key)), ("Value", Json::String(value))])
            });
            Ok(Json::object([("Tags", Json::array(tags))]))
        }
        Request::DescribeEventBus { name } => Ok(bus(&found(name, read)?, settings)),
        Request::ListEventBuses { prefix, page } => {
            let mut buses = vec![found(DEFAULT, read)?];
            let stored = Range::prefix(&[Space::EventBus as u8]);
            for (key, value) in read.range(&stored) {
                if key != record::counter_key() {
                    buses.push(record::record(&key, &value).map_err(|c| unreadable(&c))?);
                }
            }
            buses.sort_by(|a, b| a.name.cmp(&b.name));
            let buses = buses.into_iter().filter(|bus| bus.name.starts_with(&**prefix));
            Ok(paged("EventBuses", page, buses, |bus| &bus.name, |one| bus(one, settings)))
        }
        Request::TestEventPattern { pattern, event } => {
            Ok(Json::object([("Result", Json::from(pattern.matches(event)))]))
        }
        Request::PutEvents { .. }
        | Request::PutRule(_)
        | Request::DeleteRule(_)
        | Request::EnableRule(_)
        | Request::DisableRule(_)
        | Request::PutTargets { .. }
        | Request::RemoveTargets { .. }
        | Request::TagResource { .. }
        | Request::UntagResource { .. }
        | Request::CreateEventBus { .. }
        | Request::DeleteEventBus { .. } => Ok(nothing()),
    }
}

/// What can carry tags.
pub(super) enum Resource {
    Rule(RuleName),
    Bus(Arc<str>),
}

/// What an ARN names. `None`: nothing that can carry tags.
pub(super) fn resource(arn: &str, settings: &Settings) -> Option<Resource> {
    if let Some(bus) = arn.strip_prefix(&settings.arn("events", "event-bus/")) {
        return Some(Resource::Bus(bus.into()));
    }
    let rule = arn.strip_prefix(&settings.arn("events", "rule/"))?;
    let (bus, name) = rule.split_once('/').unwrap_or((DEFAULT, rule));
    Some(Resource::Rule(RuleName { bus: bus.into(), name: name.into() }))
}

fn shown_input(input: &Input) -> (Arc<str>, Json) {
    let text = |text: &Arc<str>| Json::String(Arc::clone(text));
    match input {
        Input::Text(input) => ("Input".into(), text(input)),
        Input::Path(path) => ("InputPath".into(), text(path)),
        Input::Template { parts, text: template } => {
            let mut members = vec![("InputTemplate", text(template))];
            if !parts.is_empty() {
                let parts = parts.iter().map(|(name, path)| (Arc::clone(name), text(path)));
                members.push(("InputPathsMap", Json::object(parts)));
            }
            ("InputTransformer".into(), Json::object(members))
        }
    }
}

fn rule(name: &RuleName, read: &dyn Read) -> Result<Rule, ApiError> {
    let key = rule_key(&name.bus, &name.name);
    let value = read.get(&key).ok_or_else(|| no_rule(name))?;
    record::record(&key, &value).map_err(|corrupt| unreadable(&corrupt))
}

fn rules(bus: &str, read: &dyn Read) -> Result<Vec<Rule>, ApiError> {
    found(bus, read)?;
    let of_bus = KeyBuilder::new(Space::EventRule).text(bus).build();
    let entries = read.range(&Range::prefix(&of_bus));
    let rule = |(key, value): &(Vec<u8>, Vec<u8>)| {
        record::record(key, value).map_err(|corrupt| unreadable(&corrupt))
    };
    entries.iter().map(rule).collect()
}

fn found(name: &str, read: &dyn Read) -> Result<Bus, ApiError> {
    if name == DEFAULT {
        let created = stepwire_asl::Timestamp(0);
        let tags = Vec::new();
        return Ok(Bus { name: DEFAULT.into(), created, description: None, tags });
    }
    let key = bus_key(name);
    let missing = || not_found(format!("Event bus {name} does not exist."));
    let value = read.get(&key).ok_or_else(missing)?;
    record::record(&key, &value).map_err(|corrupt| unreadable(&corrupt))
}

fn bus(bus: &Bus, settings: &Settings) -> Json {
    let mut members =
        vec![("Name", Json::String(Arc::clone(&bus.name))), ("Arn", bus_arn(&bus.name, settings))];
    let description = bus.description.as_ref();
    members.extend(description.map(|text| ("Description", Json::String(Arc::clone(text)))));
    Json::object(members)
}

fn members(rule: &Rule, settings: &Settings) -> Vec<(&'static str, Json)> {
    let text = |text: &Arc<str>| Json::String(Arc::clone(text));
    let mut members = vec![
        ("Name", text(&rule.name)),
        ("Arn", rule_arn(&rule.bus, &rule.name, settings)),
        ("State", if rule.enabled { "ENABLED" } else { "DISABLED" }.into()),
    ];
    members.extend(rule.pattern.as_ref().map(|given| ("EventPattern", text(given))));
    members.extend(rule.schedule.as_ref().map(|given| ("ScheduleExpression", text(given))));
    members.extend(rule.description.as_ref().map(|given| ("Description", text(given))));
    members.extend(rule.role_arn.as_ref().map(|arn| ("RoleArn", text(arn))));
    members.push(("EventBusName", text(&rule.bus)));
    members
}

/// A part of a list, and where the next begins.
fn paged<T>(
    member: &'static str,
    page: &Page,
    all: impl Iterator<Item = T>,
    name: impl Fn(&T) -> &Arc<str>,
    show: impl Fn(&T) -> Json,
) -> Json {
    let mut rest = all.filter(|one| **name(one) > *page.after);
    let some: Vec<T> = rest.by_ref().take(page.max).collect();
    let mut members = vec![(member, Json::array(some.iter().map(show)))];
    if let (Some(last), Some(_)) = (some.last(), rest.next()) {
        members.push(("NextToken", Json::String(Arc::clone(name(last)))));
    }
    Json::object(members)
}

fn unreadable(corrupt: &Corrupt) -> ApiError {
    ApiError::new("InternalException", corrupt.to_string())
}
