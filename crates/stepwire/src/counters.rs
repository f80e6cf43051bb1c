//! What a node has done since it started, as numbers for Prometheus.

use std::time::Duration;

use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use stepwire_asl::HistoryEvent;
use stepwire_asl::history::Detail;
use stepwire_core::effect::Report;
use stepwire_core::mqtt::Packet;
use stepwire_core::{Effect, Write, executions, rules};

use crate::rule_counters::RuleCounters;

/// One label.
type Label = [(&'static str, &'static str); 1];

/// Counters of a node. Counting costs an addition.
#[derive(Debug)]
pub struct Counters {
    registry: Registry,
    sent: Counter,
    started: Counter,
    ended: Family<Label, Counter>,
    rule_failures: Counter,
    undelivered: Counter,
    refusals: Family<Label, Counter>,
    rules_not_found: Counter,
    rules: RuleCounters,
    commits: Histogram,
}

impl Default for Counters {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("stepwire");
        let counters = Counters {
            sent: Counter::default(),
            started: Counter::default(),
            ended: Family::default(),
            rule_failures: Counter::default(),
            undelivered: Counter::default(),
            refusals: Family::default(),
            rules_not_found: Counter::default(),
            rules: RuleCounters::default(),
            commits: Histogram::new(exponential_buckets(0.000_25, 2.0, 14)),
            registry: Registry::default(),
        };
        let all = [
            ("mqtt_messages_sent", "Messages that were sent to devices", &counters.sent),
            ("executions_started", "Executions that have begun", &counters.started),
            ("rule_failures", "Actions of rules that failed", &counters.rule_failures),
            (
                "rules_not_found",
                "Messages of Basic Ingest for rules that do not run (AWS: RuleNotFound)",
                &counters.rules_not_found,
            ),
            (
                "undelivered_messages",
                "Messages of topics, event buses and alarms that could not be delivered",
                &counters.undelivered,
            ),
        ];
        for (name, help, counter) in all {
            registry.register(name, help, counter.clone());
        }
        let help = "Executions that have ended, by status";
        registry.register("executions_ended", help, counters.ended.clone());
        let help = "What devices were refused, by action";
        registry.register("device_refusals", help, counters.refusals.clone());
        let help = "Seconds that commits took until they were durable";
        registry.register("commit_seconds", help, counters.commits.clone());
        Counters { registry, ..counters }
    }
}

impl Counters {
    /// Counts what leaves.
    pub(crate) fn effect(&self, effect: &Effect) {
        match effect {
            Effect::Send { packet: Packet::Publish(_), .. } => {
                self.sent.inc();
            }
            Effect::Report(Report::RuleFailed { .. }) => {
                self.rule_failures.inc();
            }
            Effect::Report(Report::RuleNotFound { .. }) => {
                self.rules_not_found.inc();
            }
            Effect::Heard(heard) => self.rules.heard(heard),
            Effect::Acted(acted) => self.rules.acted(acted),
            Effect::Report(Report::Undelivered { .. }) => {
                self.undelivered.inc();
            }
            Effect::Report(Report::Refused { action, .. }) => {
                self.refusals.get_or_create(&[("action", *action)]).inc();
            }
            _ => {}
        }
    }

    /// Counts what has become durable.
    pub(crate) fn writes(&self, writes: &[Write]) {
        for write in writes {
            match write {
                Write::Executions(executions::Write::History(_, events)) => {
                    events.iter().for_each(|event| self.event(event));
                }
                Write::Rules(rules::Write::Rule(name, None)) => self.rules.forget(name),
                _ => {}
            }
        }
    }

    fn event(&self, event: &HistoryEvent) {
        let status = match &event.detail {
            Detail::ExecutionStarted { .. } => {
                self.started.inc();
                return;
            }
            Detail::ExecutionSucceeded(_) => "SUCCEEDED",
            Detail::ExecutionFailed(_) => "FAILED",
            Detail::ExecutionTimedOut(_) => "TIMED_OUT",
            Detail::ExecutionAborted(_) => "ABORTED",
            _ => return,
        };
        self.ended.get_or_create(&[("status", status)]).inc();
    }

    /// Counts a commit.
    pub(crate) fn committed(&self, took: Duration) {
        self.commits.observe(took.as_secs_f64());
    }

    /// Messages sent to devices; executions that have begun; those that have ended.
    pub(crate) fn totals(&self) -> (u64, u64, u64) {
        let ended = |status| Some(self.ended.get(&[("status", status)])?.get());
        let ended = ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"].into_iter().filter_map(ended);
        (self.sent.get(), self.started.get(), ended.sum())
    }

    /// What a rule has done: messages on its topics, actions that succeeded and that failed.
    pub(crate) fn rule(&self, name: &str) -> (u64, u64, u64) {
        self.rules.sums(name)
    }

    /// All of them as text.
    pub(crate) fn write(&self, out: &mut String) -> std::fmt::Result {
        encode_registry(out, &self.registry)?;
        let mut rules = Registry::with_prefix("stepwire");
        self.rules.register(&mut rules);
        encode_registry(out, &rules)
    }
}
