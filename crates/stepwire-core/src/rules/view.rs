//! Requests on topic rules that only read, answered from committed records.

use std::sync::Arc;

use stepwire_asl::Json;

use super::{Request, RuleRecord, destinations, rule_key, stored};
use crate::error::ApiError;
use crate::read::{Key, Range, Read};
use crate::record::{Corrupt, KeyBuilder, Space};
use crate::settings::Settings;

/// The answer to a request that reads; AWS's members of the operation's output.
pub fn answer(request: &Request, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    match request {
        Request::Get(name) => get(name, read, settings),
        Request::List { topic, disabled, limit, after } => {
            let wanted = |rule: &RuleRecord| {
                disabled.is_none_or(|disabled| rule.disabled == disabled)
                    && topic.as_ref().is_none_or(|topic| listens_to(rule, topic))
            };
            let mut rules = page(after.as_deref(), limit + 1, wanted, read)?;
            let next = (rules.len() > *limit).then(|| Arc::clone(&rules[limit - 1].name));
            rules.truncate(*limit);
            let items = rules.iter().map(|rule| summary(rule, settings));
            let mut members = vec![("rules", Json::array(items))];
            members.extend(next.map(|next| ("nextToken", Json::String(next))));
            Ok(Json::object(members))
        }
        Request::Destination(request) => destinations::answer(request, read, settings),
        _ => Err(ApiError::new("InvalidRequestException", "this request changes something")),
    }
}

/// Records read at a time.
const CHUNK: usize = 500;

/// The first rules after a name that are wanted, at most so many. Reads no others again.
fn page(
    after: Option<&str>,
    limit: usize,
    wanted: impl Fn(&RuleRecord) -> bool,
    read: &dyn Read,
) -> Result<Vec<RuleRecord>, ApiError> {
    let mut range = Range::prefix(&KeyBuilder::new(Space::Rule).build()).limit(CHUNK);
    if let Some(after) = after {
        range.from = following(rule_key(after));
    }
    let mut found = Vec::new();
    while found.len() < limit {
        let entries = read.range(&range);
        for (key, value) in &entries {
            let rule = stored(key, value).map_err(internal)?;
            if wanted(&rule) && found.len() < limit {
                found.push(rule);
            }
        }
        match entries.into_iter().next_back() {
            Some((key, _)) => range.from = following(key),
            None => break,
        }
    }
    Ok(found)
}

/// The key that follows directly.
fn following(mut key: Key) -> Key {
    key.push(0);
    key
}

fn get(name: &str, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    let key = rule_key(name);
    let missing = || {
        let why = format!("rule `{name}` does not exist, or access to it is denied");
        ApiError::new("UnauthorizedException", why)
    };
    let value = read.get(&key).ok_or_else(missing)?;
    let rule = stored(&key, &value).map_err(internal)?;
    let of = |member: &str| rule.payload.member(member).cloned();
    let mut members = vec![
        ("ruleName", Json::String(Arc::clone(&rule.name))),
        ("sql", of("sql").unwrap_or_default()),
        ("description", of("description").unwrap_or_else(|| "".into())),
        ("createdAt", Json::from_f64(rule.created.seconds()).unwrap_or_default()),
        ("actions", of("actions").unwrap_or_default()),
        ("ruleDisabled", rule.disabled.into()),
        ("awsIotSqlVersion", of("awsIotSqlVersion").unwrap_or_else(|| "2015-10-08".into())),
    ];
    members.extend(of("errorAction").map(|action| ("errorAction", action)));
    Ok(Json::object([
        ("ruleArn", settings.arn("iot", &format!("rule/{name}")).into()),
        ("rule", Json::object(members)),
    ]))
}

fn summary(rule: &RuleRecord, settings: &Settings) -> Json {
    let mut members = vec![
        ("ruleArn", settings.arn("iot", &format!("rule/{}", rule.name)).into()),
        ("ruleName", Json::String(Arc::clone(&rule.name))),
    ];
    members.extend(filter_of(rule).map(|filter| ("topicPattern", Json::String(filter))));
    members.push(("createdAt", Json::from_f64(rule.created.seconds()).unwrap_or_default()));
    members.push(("ruleDisabled", rule.disabled.into()));
    Json::object(members)
}

fn filter_of(rule: &RuleRecord) -> Option<Arc<str>> {
    super::request::statement(&rule.payload).ok()?.from
}

fn listens_to(rule: &RuleRecord, topic: &str) -> bool {
    super::request::statement(&rule.payload).is_ok_and(|statement| statement.listens_to(topic))
}

fn internal(corrupt: Corrupt) -> ApiError {
    ApiError::new("InternalException", corrupt.to_string())
}
