//! Points as the values of periods.

use std::collections::BTreeMap;

use stepwire_asl::{Json, Timestamp};

use super::record::{self, Grain, MetricId, MetricRecord, Point, Unit};
use crate::read::{Range, Read};
use crate::record::Corrupt;

/// What is made of the values in a period.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[expect(missing_docs, reason = "as in the API")]
pub enum Statistic {
    SampleCount,
    Average,
    Sum,
    Minimum,
    Maximum,
}

impl Statistic {
    /// Every statistic by its name.
    pub const ALL: &'static [(&'static str, Statistic)] = &[
        ("SampleCount", Statistic::SampleCount),
        ("Average", Statistic::Average),
        ("Sum", Statistic::Sum),
        ("Minimum", Statistic::Minimum),
        ("Maximum", Statistic::Maximum),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Statistic::ALL.iter().find(|(_, it)| *it == self).map_or("", |(name, _)| name)
    }

    /// Its value for what was put in.
    pub fn of(self, point: Point) -> f64 {
        match self {
            Statistic::SampleCount => point.count,
            Statistic::Average => point.sum / point.count,
            Statistic::Sum => point.sum,
            Statistic::Minimum => point.minimum,
            Statistic::Maximum => point.maximum,
        }
    }
}

/// A number as JSON.
pub(crate) fn json(value: f64) -> Json {
    Json::from_f64(value).unwrap_or_default()
}

/// A stretch of time in periods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// Begin of the first period.
    pub(crate) from: Timestamp,
    /// End, exclusive.
    pub(crate) to: Timestamp,
    /// Length of a period.
    pub(crate) period_ms: i64,
}

impl Window {
    /// The points that make up its periods.
    pub(crate) fn grain(&self) -> Grain {
        if self.period_ms % Grain::Minute.ms() == 0 { Grain::Minute } else { Grain::Second }
    }

    fn range(&self, metric: u64) -> Range {
        record::points(metric, self.grain(), self.from, self.to)
    }

    /// The begin of the period that `at` is in.
    fn period(&self, at: Timestamp) -> Timestamp {
        let since = at.since_ms(self.from);
        self.from.plus_ms(since - since.rem_euclid(self.period_ms))
    }

    /// What was put into a metric, by unit and period; of one unit if it is named.
    pub(crate) fn by_unit(
        &self,
        metric: u64,
        unit: Option<Unit>,
        read: &dyn Read,
    ) -> Result<BTreeMap<(Timestamp, Unit), Point>, Corrupt> {
        let mut all = BTreeMap::new();
        for (key, value) in read.range(&self.range(metric)) {
            let (place, point) = record::point(&key, &value)?;
            if unit.is_none_or(|unit| unit == place.unit) {
                let sum = all.entry((self.period(place.at), place.unit));
                sum.and_modify(|sum: &mut Point| *sum = sum.and(point)).or_insert(point);
            }
        }
        Ok(all)
    }

    /// What was put into a metric, by period; of one unit if it is named, else of all.
    pub(crate) fn points(
        &self,
        metric: u64,
        unit: Option<Unit>,
        read: &dyn Read,
    ) -> Result<BTreeMap<Timestamp, Point>, Corrupt> {
        let mut all = BTreeMap::new();
        for ((at, _), point) in self.by_unit(metric, unit, read)? {
            let sum = all.entry(at);
            sum.and_modify(|sum: &mut Point| *sum = sum.and(point)).or_insert(point);
        }
        Ok(all)
    }
}

/// The stored metric.
pub(crate) fn stored(id: &MetricId, read: &dyn Read) -> Result<Option<MetricRecord>, Corrupt> {
    let key = record::metric_key(id);
    read.get(&key).map(|value| record::metric(&key, &value)).transpose()
}
