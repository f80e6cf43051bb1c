//! Topic rules: all of them, and what each makes of a message.

use std::collections::HashMap;
use std::sync::Arc;

use stepwire_asl::json::Object;
use stepwire_asl::{Json, Timestamp};
use stepwire_console::Page;
use stepwire_console::pages::rules::{Counts, Message, Rule, SinceStart, Verdict, View};
use stepwire_console::pages::{self, Problem};
use stepwire_console::payload::Form as Shown;
use stepwire_core::Service;
use stepwire_core::rules::evaluate::{Sources, Tested};

use super::live::{Interest, Topic};
use super::messages::beginning;
use super::visit::{Visit, problem};
use crate::node::Node;
use crate::recorded::Recording;
use crate::shard;

/// Members of a rule that make its payload.
const PAYLOAD: [&str; 6] =
    ["sql", "description", "actions", "errorAction", "ruleDisabled", "awsIotSqlVersion"];
/// Rules on a page.
const LISTED: usize = 100;

pub(super) fn interest() -> Interest {
    Interest::in_topics([Topic::Rules, Topic::Messages], 1_000)
}

pub(super) async fn page(visit: &Visit) -> Result<Page, Problem> {
    let node = visit.node();
    let query = visit.query("q").unwrap_or_default();
    let message = match visit.query("recorded").and_then(|id| id.parse().ok()) {
        Some(id) => Some(recorded(node, id)?),
        None => None,
    };
    let kept = node.recorded().latest(None, usize::MAX);
    let counted = counted(&kept);
    let (names, next) = names(visit, &query).await?;
    let mut rules = Vec::new();
    for (name, topic) in names {
        let stored = visit.ask(Service::Iot, "GetTopicRule", [("ruleName", name.as_str().into())]);
        // It may have gone since it was listed.
        let Ok(stored) = stored.await else { continue };
        let rule = stored.member("rule").cloned().unwrap_or_default();
        let verdict = message.as_ref().map(|message| verdict(node, &name, &rule, message));
        rules.push(Rule {
            topic,
            actions: kinds(&rule),
            disabled: rule.member("ruleDisabled").and_then(Json::as_bool).unwrap_or(false),
            counts: counts(node, &name, &counted),
            verdict,
            name,
        });
    }
    let message = message.map(|it| Message {
        id: it.id,
        at: it.message.at,
        topic: it.message.topic.to_string(),
        text: beginning(&it.message, Shown::Auto),
    });
    let view = View { rules, query, next, message, kept: kept.len(), now: visit.now() };
    Ok(pages::rules::page(&view))
}

/// What a rule has done.
pub(super) fn counts(node: &Node, name: &str, of_kept: &HashMap<Arc<str>, Counts>) -> Counts {
    let (heard, succeeded, failed) = node.counters().rule(name);
    let since_start = SinceStart { heard, succeeded, failed };
    Counts { since_start, ..of_kept.get(name).copied().unwrap_or_default() }
}

/// A message that is kept.
pub(super) fn recorded(node: &Node, id: u64) -> Result<Recording, Problem> {
    node.recorded().get(id).ok_or_else(|| {
        Problem::not_found(format!("message {id} is no longer kept"))
            .hint("the latest ones are on the page Live")
    })
}

/// What each rule took of the messages that are kept, latest first.
pub(super) fn counted(kept: &[Recording]) -> HashMap<Arc<str>, Counts> {
    let mut counts: HashMap<Arc<str>, Counts> = HashMap::new();
    for recording in kept {
        for rule in &recording.rules {
            let of = counts.entry(Arc::clone(rule)).or_default();
            of.matched += 1;
            let at = recording.message.at;
            of.last = Some(of.last.unwrap_or(Timestamp(i64::MIN)).max(at));
        }
    }
    counts
}

/// Names and topics of the rules of this page, and after which name the next one begins.
async fn names(
    visit: &Visit,
    query: &str,
) -> Result<(Vec<(String, Option<String>)>, Option<String>), Problem> {
    let mut found = Vec::new();
    let mut after = visit.query("after");
    loop {
        let mut members = vec![("maxResults", Json::from(1_000))];
        members.extend(after.take().map(|after| ("nextToken", after.into())));
        let list = visit.ask(Service::Iot, "ListTopicRules", members).await.map_err(problem)?;
        for rule in list.member("rules").and_then(Json::as_array).unwrap_or_default() {
            let text = |name: &str| rule.member(name).and_then(Json::as_str);
            let (name, topic) = (text("ruleName").unwrap_or_default(), text("topicPattern"));
            if !name.contains(query) && !topic.is_some_and(|topic| topic.contains(query)) {
                continue;
            }
            if found.len() == LISTED {
                let last = found.last().map(|(name, _): &(String, _)| name.clone());
                return Ok((found, last));
            }
            found.push((name.to_owned(), topic.map(str::to_owned)));
        }
        after = list.member("nextToken").and_then(Json::as_str).map(str::to_owned);
        if after.is_none() {
            return Ok((found, None));
        }
    }
}

/// Kinds of a rule's actions, in order.
pub(super) fn kinds(rule: &Json) -> Vec<String> {
    let actions = rule.member("actions").and_then(Json::as_array).unwrap_or_default();
    actions.iter().filter_map(|action| Some(kind(action)?.0)).collect()
}

/// An action's kind and its fields.
pub(super) fn kind(action: &Json) -> Option<(String, Json)> {
    let (kind, fields) = action.as_object()?.iter().find(|(_, fields)| !fields.is_null())?;
    Some((kind.to_string(), fields.clone()))
}

/// The `topicRulePayload` of a stored rule.
pub(super) fn payload(rule: &Json) -> Json {
    let mut payload = Object::new();
    for name in PAYLOAD {
        payload.extend(rule.member(name).map(|value| (name.into(), value.clone())));
    }
    Json::Object(payload.into())
}

fn verdict(node: &Node, name: &str, rule: &Json, recording: &Recording) -> Verdict {
    let tested = match Tested::new(Some(name.into()), &payload(rule)) {
        Ok(tested) => tested,
        Err(refused) => return Verdict { matches: false, sentence: refused.error.message },
    };
    let stored = node.snapshot();
    let explained = shard::catch(|| {
        let sources = Sources { answers: Json::Null, node: Some(&stored) };
        tested.explain(&recording.message, node.settings(), &sources)
    });
    match explained {
        Ok(explained) => Verdict { matches: explained.matches, sentence: explained.sentence },
        Err(error) => Verdict { matches: false, sentence: error.to_string() },
    }
}
