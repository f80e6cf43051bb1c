//! The overview.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use stepwire_asl::{Json, Timestamp};
use stepwire_console::Page;
use stepwire_console::link::link;
use stepwire_console::pages::overview::{Attention, First, Redrive, View, Waiting};
use stepwire_console::pages::{self, Problem};
use stepwire_console::words::{Status, count};
use stepwire_core::read::{Range, Read};
use stepwire_core::record::Space;
use stepwire_core::{Service, executions};

use super::Done;
use super::live::{Interest, Topic};
use super::rules::counted;
use super::visit::{Form, Visit};
use crate::config::DATA_FOLDER;
use crate::lately::{Group, Run, Waits, attention};
use crate::node::Node;
use crate::node_file::reachable;
use crate::shard;
use crate::warnings::Line;

/// Seconds in the chart of messages.
const SECONDS: usize = 120;
const HOUR_MS: i64 = 3_600_000;
/// Minutes in the chart of executions.
const MINUTES: usize = 60;
/// Groups of failures that are listed.
const GROUPS_MAX: usize = 12;
/// Executions that are listed of those that wait for a device.
const LONGEST_MAX: usize = 8;
/// Executions that one form redrives.
const REDRIVEN_MAX: usize = 1_000;
/// Of them at a time.
const AT_ONCE: usize = 64;
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
/// Kinds of warnings about messages of the node's own.
const UNDELIVERED: [&str; 1] = ["undelivered"];

pub(super) fn interest() -> Interest {
    let every = Some(Duration::from_secs(1));
    Interest { every, ..Interest::in_topics([Topic::Devices, Topic::Executions], 1_000) }
}

pub(super) async fn page(visit: &Visit) -> Result<Page, Problem> {
    let node = visit.node();
    let things = counted_of(node, Space::Thing, THINGS_MAX);
    let is_new = things == 0 && counted_of(node, Space::MachineName, 1) == 0;
    let recent = node.recent();
    let failed = attention(&recent.runs, visit.now(), HOUR_MS);
    let mut attention: Vec<Attention> = failed.iter().take(GROUPS_MAX).map(failure).collect();
    attention.extend(alarms(visit).await);
    attention.extend(stacks(visit).await);
    attention.extend(warned(node, visit.now()));
    attention.extend(quiet_rules(visit).await);
    let view = View {
        online: node.connected() as u64,
        things: things as u64,
        running: recent.open,
        waiting: waiting(&recent.runs).count() as u64,
        failed: failed.iter().map(|group| group.count).sum(),
        per_second: node.rates().per_second(5, |totals| totals.received),
        asked_ms: node.reactions().p99_ms(),
        attention,
        longest: longest(&recent.runs),
        minutes: node
            .lately()
            .minutes(MINUTES, visit.now())
            .iter()
            .map(|minute| (minute.started.into(), minute.failed.into()))
            .collect(),
        failures: by_state(&failed),
        done: visit.query("done"),
        messages: node.rates().steps(SECONDS, 1, |totals| totals.received),
        first: is_new.then(|| first(node)),
        now: visit.now(),
    };
    Ok(pages::overview::page(&view))
}

/// Those that wait for a device, and since when.
fn waiting(runs: &[Arc<Run>]) -> impl Iterator<Item = (Timestamp, &Run)> {
    let waits = runs.iter().filter(|run| run.waits() == Waits::Device);
    waits.filter_map(|run| Some((run.since()?, &**run)))
}

fn longest(runs: &[Arc<Run>]) -> Vec<Waiting> {
    let mut longest: Vec<_> = waiting(runs).collect();
    longest.sort_by_key(|(since, run)| (*since, run.id));
    let some = longest.into_iter().take(LONGEST_MAX);
    let listed = some.map(|(since, run)| Waiting {
        device: run.device().map(ToString::to_string),
        workflow: run.workflow.to_string(),
        name: run.name.to_string(),
        state: run.state().map(ToString::to_string).unwrap_or_default(),
        since,
    });
    listed.collect()
}

/// Executions that failed alike.
fn failure(group: &Group) -> Attention {
    let state = group.state.as_deref().unwrap_or_default();
    let error = group.error.as_deref().unwrap_or_default();
    let timed_out = group.status == executions::Status::TimedOut;
    let what = match (error, timed_out) {
        ("", true) => "timed out",
        ("", false) => "failed",
        (error, _) => error,
    };
    let place = if state.is_empty() { String::new() } else { format!(" in {state}") };
    let query = [
        ("workflow", &*group.workflow),
        ("status", if timed_out { "timed-out" } else { "failed" }),
        ("since", "1h"),
        ("q", if error.is_empty() { state } else { error }),
    ];
    Attention {
        status: if timed_out { Status::TimedOut } else { Status::Failed },
        title: format!("{} × {what}{place}", group.count),
        detail: format!("{}, last {}", group.workflow, group.example.name),
        at: Some(group.last),
        href: Some((link("/executions", &query), "open")),
        redrive: Some(Redrive {
            workflow: group.workflow.to_string(),
            state: state.to_owned(),
            error: error.to_owned(),
            status: group.status.word().to_owned(),
            count: group.count,
        }),
    }
}

/// Failures by workflow and state, most first.
fn by_state(groups: &[Group]) -> Vec<(String, String, u64)> {
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for group in groups {
        let state = group.state.as_deref().unwrap_or_default();
        *counts.entry((&group.workflow, state)).or_default() += group.count;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| Reverse(*count));
    counts
        .into_iter()
        .map(|((workflow, state), count)| (workflow.to_owned(), state.to_owned(), count))
        .collect()
}

/// Redrives the executions that failed alike in the last hour.
pub(super) async fn redrive(visit: &Visit, form: &Form) -> Result<Done, Problem> {
    let node = visit.node();
    let recent = node.recent();
    let alike = |run: &&Arc<Run>| {
        *run.workflow == *form.field("workflow")
            && run.state().map(|state| &**state).unwrap_or_default() == form.field("state")
            && run.error.as_deref().unwrap_or_default() == form.field("error")
            && run.status.word() == form.field("status")
            && run.stopped.is_some_and(|at| visit.now().since_ms(at) <= HOUR_MS)
    };
    let arns = recent.runs.iter().filter(alike).take(REDRIVEN_MAX).map(|run| {
        node.settings().arn("states", &format!("execution:{}:{}", run.workflow, run.name))
    });
    let ask = |arn: String| {
        visit.ask(Service::States, "RedriveExecution", [("executionArn", Json::from(arn))])
    };
    let asked: Vec<_> = arns.map(ask).collect();
    let ends: Vec<_> = stream::iter(asked).buffer_unordered(AT_ONCE).collect().await;
    let refused: Vec<_> = ends.iter().filter_map(|end| end.as_ref().err()).collect();
    let redriven = ends.len() - refused.len();
    let done = match refused.first() {
        Some(first) => {
            let (refused, why) = (refused.len(), &first.message);
            format!("{redriven} redriven, {refused} refused: {why}")
        }
        None if redriven == 1 => "1 execution redriven.".to_owned(),
        None => format!("{redriven} executions redriven."),
    };
    Ok(Done::At(link("/", &[("done", &done)])))
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
            title: match lines.len() {
                1 => format!("{title}: 1 warning in the last hour"),
                many => format!("{title}: {many} warnings in the last hour"),
            },
            detail: last.text.to_string(),
            at: Some(last.at),
            href: Some(("/system".to_owned(), "all")),
            redrive: None,
        })
    };
    let failed = |kind: &str| RULES_FAILED.contains(&kind);
    let away = |kind: &str| TURNED_AWAY.contains(&kind);
    let undelivered = |kind: &str| UNDELIVERED.contains(&kind);
    let others = |kind: &str| !failed(kind) && !away(kind) && !undelivered(kind);
    let all = [
        of("Rules failed", Status::Failed, &failed),
        of("Devices refused", Status::Caught, &away),
        of("Messages that reached nobody", Status::Caught, &undelivered),
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
    // What was taken may have been pushed out by other messages since.
    let has_acted = |name: &str| {
        let (_, succeeded, failed) = visit.node().counters().rule(name);
        succeeded + failed > 0
    };
    let is_quiet = |name: &&str| !counts.contains_key(*name) && !has_acted(name);
    let quiet: Vec<&str> = names.filter(is_quiet).collect();
    let latest = kept.first()?.id;
    (!quiet.is_empty()).then(|| Attention {
        status: Status::Caught,
        title: format!(
            "{} took none of the latest {} messages",
            match quiet.as_slice() {
                [_] => "1 rule".to_owned(),
                many => format!("{} rules", many.len()),
            },
            count(kept.len() as u64)
        ),
        detail: quiet.join(", "),
        at: None,
        href: Some((format!("/rules?recorded={latest}"), "why")),
        redrive: None,
    })
}
