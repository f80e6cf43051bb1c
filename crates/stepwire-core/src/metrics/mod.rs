//! Metrics: the part of Amazon CloudWatch that rules, workflows and people put numbers into and read.
//!
//! Which metrics there are is in memory; their data points live in the store alone. What is put is
//! added to the point of its minute, and with a storage resolution of one second also to that of its
//! second. Points go when they are older than their [`Grain`] is kept, a metric with its last one.
//!
//! Read in this order: [`MetricId`], [`Point`], [`Metrics`], [`Request`], [`Write`]; then `put`,
//! `series` (points as the values of periods), `view`, `tidy`.

pub(crate) mod members;
mod put;
mod record;
mod request;
pub(crate) mod series;
mod tidy;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stepwire_asl::Timestamp;

pub use members::older_code;
pub use put::Sample;
pub(crate) use record::floor;
pub use record::{Grain, MetricId, MetricRecord, Place, Point, Unit, Write};
pub(crate) use request::period;
pub use request::{DataQuery, Request, Statistics};
pub use series::Statistic;
pub use view::{Recent, answer, recent};
pub(crate) use view::{internal, listed, shown};

use crate::record::{Corrupt, Space};

/// The metrics of a shard.
#[derive(Debug, Default, PartialEq)]
pub struct Metrics {
    metrics: BTreeMap<Arc<MetricId>, Arc<MetricRecord>>,
    /// The oldest points of each metric; derived from `metrics`.
    oldest: BTreeSet<(Grain, Timestamp, u64)>,
    /// By number; derived from `metrics`.
    by_number: BTreeMap<u64, Arc<MetricId>>,
    /// Larger than the number of every metric there was.
    next: u64,
}

impl Metrics {
    /// What recovery reads into memory. Points stay in the store.
    pub const SPACES: &'static [Space] = &[Space::Metric];

    /// The only thing that changes what is known of metrics.
    pub fn apply(&mut self, write: &Write) {
        match write {
            Write::Next(next) => self.next = *next,
            Write::Metric(id, record) => {
                if let Some(before) = self.metrics.remove(id) {
                    for (grain, at) in before.oldest() {
                        self.oldest.remove(&(grain, at, before.number));
                    }
                    self.by_number.remove(&before.number);
                }
                if let Some(record) = record {
                    let oldest = record.oldest();
                    self.oldest.extend(oldest.map(|(grain, at)| (grain, at, record.number)));
                    self.by_number.insert(record.number, Arc::clone(id));
                    self.metrics.insert(Arc::clone(id), Arc::clone(record));
                }
            }
            Write::Point(..) => {}
        }
    }

    /// Takes in one stored entry of [`Metrics::SPACES`].
    pub fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        self.apply(&Write::load(key, value)?);
        Ok(())
    }

    /// The metric, if anything was ever put into it that is still kept.
    pub(crate) fn find(&self, id: &MetricId) -> Option<&Arc<MetricRecord>> {
        self.metrics.get(id)
    }

    fn record(&mut self, write: Write, out: &mut Vec<Write>) {
        self.apply(&write);
        out.push(write);
    }
}
