//! What schedules do when they are due.

use std::sync::Arc;

use jiff::tz::{TimeZone, TimeZoneDatabase};
use stepwire_asl::{Json, Timestamp};

use super::{Name, Record, Scheduler, Write, view};
use crate::events::{self, Schedule};
use crate::executions::derived_uuid;
use crate::settings::Settings;

/// Most schedules that one tick has act; the others follow in the next.
const FIRED_MAX: usize = 256;

/// What a schedule that is due does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Due {
    /// ARN of the schedule.
    pub(crate) schedule_arn: Arc<str>,
    /// Identifies what is done.
    pub(crate) execution: Arc<str>,
    /// Where what goes.
    pub(crate) delivery: events::Delivery,
}

impl Record {
    /// When it is due after `after`.
    pub(super) fn plan(&mut self, after: Timestamp, settings: &Settings) {
        let schedule = Schedule::parse(&self.expression);
        let zone = TimeZoneDatabase::bundled().get(&self.zone).unwrap_or(TimeZone::UTC);
        let begin = self.start.map_or(after, |start| after.max(start.plus_ms(-1)));
        let planned = schedule.and_then(|schedule| match schedule {
            // What is to happen once happens then, wherever its dates are.
            Schedule::At(_) => schedule.next(self.since, after, &zone),
            _ => schedule.next(self.since, begin, &zone),
        });
        self.planned = planned.filter(|at| self.end.is_none_or(|end| *at <= end));
        self.next = self.planned.map(|at| at.plus_ms(self.delay_ms(at, settings)));
    }

    /// How far into its window it is due: another each time, the same after a crash.
    fn delay_ms(&self, at: Timestamp, settings: &Settings) -> i64 {
        let window_ms = i64::from(self.window_minutes) * 60_000;
        if window_ms == 0 {
            return 0;
        }
        let name = format!("{}/{}", self.group, self.name);
        let parts: Vec<u64> = name.bytes().map(u64::from).chain([at.0 as u64]).collect();
        let id = derived_uuid(&settings.secret, "window", &parts);
        let digits = u64::from_str_radix(id.get(..8).unwrap_or_default(), 16).unwrap_or_default();
        (digits % (window_ms as u64 + 1)) as i64
    }
}

impl Scheduler {
    /// Has schedules act that are due. What was missed is made up for once.
    pub(crate) fn fire(
        &mut self,
        now: Timestamp,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Vec<Due> {
        let due = self.due.iter().take_while(|(at, ..)| *at <= now).take(FIRED_MAX);
        let mut fired = Vec::new();
        for (_, group, name) in due.cloned().collect::<Vec<_>>() {
            let key = (Arc::clone(&group), Arc::clone(&name));
            let Some(schedule) = self.schedules.get(&key) else { continue };
            let mut record = schedule.as_ref().clone();
            let name = Name { group, name };
            fired.push(record.due(&name, now, settings));
            record.plan(now, settings);
            let is_over = record.next.is_none();
            let after = (!(is_over && record.deletes)).then(|| Arc::new(record));
            self.record(Write::Schedule(name, after), out);
        }
        fired
    }
}

impl Record {
    fn due(&self, name: &Name, now: Timestamp, settings: &Settings) -> Due {
        let at = self.planned.unwrap_or(now);
        let arn: Arc<str> = view::arn(name, settings).into();
        let parts: Vec<u64> = arn.bytes().map(u64::from).chain([at.0 as u64]).collect();
        let execution: Arc<str> = derived_uuid(&settings.secret, "schedule", &parts).into();
        let body = match &self.target.input {
            Some(input) => filled(input, &arn, &execution, at),
            None => standard(&arn, &execution, at, settings),
        };
        let event = self.target.event.as_ref().map(|(detail_type, source)| {
            Box::new(events::Entry {
                bus: events::DEFAULT.into(),
                source: Arc::clone(source),
                detail_type: Arc::clone(detail_type),
                detail: Json::parse(&body).unwrap_or_default(),
                resources: Vec::new(),
                time: Some(now),
            })
        });
        let target = events::Target {
            id: Arc::clone(&self.name),
            arn: Arc::clone(&self.target.arn),
            input: None,
            group: self.target.group.clone(),
            dead_letters: self.target.dead_letters.clone(),
            shown: Json::Null,
        };
        let (rule_arn, rule) = (Arc::clone(&arn), Arc::clone(&self.name));
        let delivery = events::Delivery { target, rule_arn, rule, body, event };
        Due { schedule_arn: arn, execution, delivery }
    }
}

/// The input with what it asks for in its place. Source: EventBridge Scheduler user guide, "Adding
/// context attributes".
fn filled(input: &str, arn: &str, execution: &str, at: Timestamp) -> Arc<str> {
    let at = at.rfc3339();
    let parts = [
        ("<aws.scheduler.schedule-arn>", arn),
        ("<aws.scheduler.scheduled-time>", at.as_str()),
        ("<aws.scheduler.execution-id>", execution),
        ("<aws.scheduler.attempt-number>", "1"),
    ];
    let filled = parts.iter().fold(input.to_owned(), |text, (name, is)| text.replace(name, is));
    filled.into()
}

/// What a target is given that nothing was said for.
fn standard(arn: &Arc<str>, execution: &str, at: Timestamp, settings: &Settings) -> Arc<str> {
    Json::object([
        ("version", Json::from("0")),
        ("id", execution.into()),
        ("detail-type", "Scheduled Event".into()),
        ("source", "aws.scheduler".into()),
        ("account", Json::String(Arc::clone(&settings.account))),
        ("time", at.rfc3339().into()),
        ("region", Json::String(Arc::clone(&settings.region))),
        ("resources", Json::array([Json::String(Arc::clone(arn))])),
        ("detail", "{}".into()),
    ])
    .to_text()
    .into()
}
