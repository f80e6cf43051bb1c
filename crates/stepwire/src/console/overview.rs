//! The overview.

use std::time::Duration;

use stepwire_asl::{Json, Timestamp};
use stepwire_console::Page;
use stepwire_console::pages::overview::{Attention, First, View};
use stepwire_console::pages::{self, Problem};
use stepwire_console::words::Status;
use stepwire_core::Service;
use stepwire_core::read::{Range, Read};
use stepwire_core::record::Space;

use super::live::{Interest, Topic};
use super::rules::counted;
use super::visit::Visit;
use crate::config::DATA_FOLDER;
use crate::node::Node;
use crate::node_file::reachable;
use crate::shard;
use crate::warnings::Line;

/// Seconds in the chart of messages.
const SECONDS: usize = 120;
const HOUR_MS: i64 = 3_600_000;
/// Things that are counted.
const THINGS_MAX: usize = 100_000;
/// Rules up to which it is told which have taken nothing: of more, most are quiet.
const RULES_MAX: i64 = 50;
/// Messages from which on it is told.
const MESSAGES_MIN: usize = 200;
/// Kinds of warnings that concern devices.
const TURNED_AWAY: [&str; 4] = ["refused", "turned away", "slowed", "answer refused"];
/// Kinds of warnings about rules.
const RULES_FAILED: [&str; 2] = ["rule failed", "rule not found"];

pub(super) fn interest() -> Interest {
    let every = Some(Duration::from_secs(1));
    Interest { every, ..Interest::in_topics([Topic::Devices, Topic::Executions], 1_000) }
}

pub(super) async fn page(visit: &Visit) -> Result<Page, Problem> {
    let node = visit.node();
    let things = counted_of(node, Space::Thing, THINGS_MAX);
    let is_new = things == 0 && counted_of(node, Space::MachineName, 1) == 0;
    let mut attention = alarms(visit).await;
    attention.extend(stacks(visit).await);
    attention.extend(warned(node, visit.now()));
    attention.extend(quiet_rules(visit).await);
    let view = View {
        online: node.connected() as u64,
        things: things as u64,
        per_second: node.rates().per_second(5, |totals| totals.received),
        asked_ms: node.reactions().p99_ms(),
        attention,
        messages: node.rates().steps(SECONDS, 1, |totals| totals.received),
        first: is_new.then(|| first(node)),
        now: visit.now(),
        ..View::default()
    };
    Ok(pages::overview::page(&view))
}

fn counted_of(node: &Node, space: Space, most: usize) -> usize {
    let all = Range::prefix(&[space as u8]).limit(most);
    let read = node.snapshot();
    shard::catch(|| read.range(&all).len()).unwrap_or(0)
}

fn first(node: &Node) -> First {
    let folder = node.folder();
    let mqtts = reachable(node.addresses().mqtts);
    let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    First {
        data: (folder != std::path::Path::new(DATA_FOLDER)).then(|| whole.display().to_string()),
        ca: whole.join("ca.pem").display().to_string(),
        mqtts: (mqtts.ip().to_string(), mqtts.port()),
    }
}

async fn alarms(visit: &Visit) -> Vec<Attention> {
    let members = [("StateValue", Json::from("ALARM")), ("MaxRecords", 20.into())];
    let found = visit.ask(Service::CloudWatch, "DescribeAlarms", members).await.unwrap_or_default();
    let alarms = found.member("MetricAlarms").and_then(Json::as_array).unwrap_or_default();
    let each = alarms.iter().map(|alarm| {
        let text = |name: &str| alarm.member(name).and_then(Json::as_str).unwrap_or_default();
        Attention {
            status: Status::Failed,
            title: format!("Alarm {}", text("AlarmName")),
            detail: text("StateReason").to_owned(),
            at: None,
            href: None,
            redrive: None,
        }
    });
    each.collect()
}

async fn stacks(visit: &Visit) -> Vec<Attention> {
    let failed = [
        "CREATE_FAILED",
        "ROLLBACK_COMPLETE",
        "ROLLBACK_FAILED",
        "DELETE_FAILED",
        "UPDATE_ROLLBACK_FAILED",
    ];
    let members = [("StackStatusFilter", Json::array(failed.map(Json::from)))];
    let found = visit.ask(Service::CloudFormation, "ListStacks", members).await.unwrap_or_default();
    let stacks = found.member("StackSummaries").and_then(Json::as_array).unwrap_or_default();
    let each = stacks.iter().map(|stack| {
        let text = |name: &str| stack.member(name).and_then(Json::as_str).unwrap_or_default();
        Attention {
            status: Status::Failed,
            title: format!("Stack {}: {}", text("StackName"), text("StackStatus")),
            detail: text("StackStatusReason").to_owned(),
            at: None,
            href: None,
            redrive: None,
        }
    });
    each.collect()
}

/// What was warned of in the last hour, one entry for devices and one for rules.
fn warned(node: &Node, now: Timestamp) -> Vec<Attention> {
    let recent = node.warnings().recent();
    let lately: Vec<&Line> = recent.iter().filter(|it| now.since_ms(it.at) <= HOUR_MS).collect();
    let of = |title: &str, status, is_one: &dyn Fn(&str) -> bool| {
        let lines: Vec<_> = lately.iter().filter(|line| is_one(line.kind)).collect();
        let last = lines.first()?;
        Some(Attention {
            status,
            title: format!("{title}: {} warnings in the last hour", lines.len()),
            detail: last.text.to_string(),
            at: Some(last.at),
            href: Some(("/system".to_owned(), "all")),
            redrive: None,
        })
    };
    let failed = |kind: &str| RULES_FAILED.contains(&kind);
    let others = |kind: &str| !RULES_FAILED.contains(&kind) && !TURNED_AWAY.contains(&kind);
    let away = |kind: &str| TURNED_AWAY.contains(&kind);
    let all = [
        of("Rules failed", Status::Failed, &failed),
        of("Devices refused", Status::Caught, &away),
        of("Other trouble", Status::Caught, &others),
    ];
    all.into_iter().flatten().collect()
}

/// Rules that have taken none of the messages that are kept, if there are few rules.
async fn quiet_rules(visit: &Visit) -> Option<Attention> {
    let kept = visit.node().recorded().latest(None, usize::MAX);
    if kept.len() < MESSAGES_MIN {
        return None;
    }
    let counts = counted(&kept);
    let members = [("maxResults", Json::from(RULES_MAX)), ("ruleDisabled", false.into())];
    let found = visit.ask(Service::Iot, "ListTopicRules", members).await.ok()?;
    if found.member("nextToken").is_some() {
        return None;
    }
    let rules = found.member("rules").and_then(Json::as_array)?;
    let names = rules.iter().filter_map(|rule| rule.member("ruleName")?.as_str());
    let quiet: Vec<&str> = names.filter(|name| !counts.contains_key(*name)).collect();
    let latest = kept.first()?.id;
    (!quiet.is_empty()).then(|| Attention {
        status: Status::None,
        title: format!("{} rules took none of the latest {} messages", quiet.len(), kept.len()),
        detail: quiet.join(", "),
        at: None,
        href: Some((format!("/rules?recorded={latest}"), "why")),
        redrive: None,
    })
}
