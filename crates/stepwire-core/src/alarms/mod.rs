//! Alarms: states that follow from a metric's last periods, and what is done when one changes.
//!
//! An alarm on one metric with a fixed threshold, as in Amazon CloudWatch. It is looked at when a
//! minute ends (ten seconds, if its period is shorter than a minute) in which it may have changed:
//! as long as there is data in its evaluation range. An alarm whose metric is silent costs nothing.
//!
//! Read in this order: [`Alarm`], [`Alarms`], [`evaluate`], [`Request`], [`Write`]; then `call`,
//! `watch`, `told` (what others are told), `view`.

mod call;
pub mod evaluate;
mod record;
mod request;
mod told;
mod view;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

pub use record::{Alarm, Change, Comparison, Condition, HistoryItem, Kind, Missing, State, Write};
pub use request::{Describe, History, PutAlarm, Request};
pub(crate) use told::{event, function_event, notification};
pub use view::answer;
pub(crate) use watch::Turned;

use crate::metrics::MetricId;
use crate::record::{Corrupt, Space};

/// Most history items that are kept of an alarm; the oldest go first.
pub const HISTORY_MAX: u64 = 1_000;

/// The alarms of a shard.
#[derive(Debug, Default)]
pub struct Alarms {
    alarms: BTreeMap<Arc<str>, Arc<Alarm>>,
    /// By metric; derived from `alarms`.
    by_metric: BTreeMap<Arc<MetricId>, BTreeSet<Arc<str>>>,
    /// When alarms are looked at next. Not durable: after a restart each is looked at once.
    due: BTreeMap<Arc<str>, Timestamp>,
    /// The same in order of time.
    in_order: BTreeSet<(Timestamp, Arc<str>)>,
}

impl Alarms {
    /// What recovery reads into memory. Histories stay in the store.
    pub const SPACES: &'static [Space] = &[Space::Alarm];

    /// The only thing that changes what is known of alarms.
    pub fn apply(&mut self, write: &Write) {
        let Write::Alarm(name, alarm) = write else { return };
        if let Some(before) = self.alarms.remove(name)
            && let Some(names) = self.by_metric.get_mut(&before.condition.metric)
        {
            names.remove(name);
            if names.is_empty() {
                self.by_metric.remove(&before.condition.metric);
            }
        }
        match alarm {
            Some(alarm) => {
                let metric = Arc::clone(&alarm.condition.metric);
                self.by_metric.entry(metric).or_default().insert(Arc::clone(name));
                self.alarms.insert(Arc::clone(name), Arc::clone(alarm));
            }
            None => self.look_at(name, None),
        }
    }

    /// Takes in one stored entry of [`Alarms::SPACES`].
    pub fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        let alarm = record::alarm(key, value)?;
        let name = Arc::clone(&alarm.name);
        self.apply(&Write::Alarm(Arc::clone(&name), Some(Arc::new(alarm))));
        self.look_at(&name, Some(Timestamp(0)));
        Ok(())
    }

    /// What is durable of the alarms in memory.
    pub(crate) fn durable(&self) -> &BTreeMap<Arc<str>, Arc<Alarm>> {
        &self.alarms
    }

    /// When an alarm is looked at next.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.in_order.first().map(|(due, _)| *due)
    }

    fn look_at(&mut self, name: &Arc<str>, due: Option<Timestamp>) {
        if let Some(before) = self.due.remove(name) {
            self.in_order.remove(&(before, Arc::clone(name)));
        }
        if let Some(due) = due {
            self.due.insert(Arc::clone(name), due);
            self.in_order.insert((due, Arc::clone(name)));
        }
    }

    fn record(&mut self, write: Write, out: &mut Vec<Write>) {
        self.apply(&write);
        out.push(write);
    }
}

/// A structure without the members that have no value.
fn object<const N: usize>(members: [(&'static str, Option<Json>); N]) -> Json {
    let there = members.into_iter().filter_map(|(name, value)| Some((name, value?)));
    Json::object(there)
}
