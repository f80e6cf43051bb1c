//! Removing points that have been kept long enough, a slice at a time.

use std::sync::Arc;

use stepwire_asl::Timestamp;

use super::Metrics;
use super::record::{self, Grain, MetricRecord, Place, Write};
use crate::read::{Range, Read, Reads};

/// Most metrics that one step looks at.
const METRICS_MAX: usize = 32;
/// Most points of a metric that one step removes.
const POINTS_MAX: usize = 256;
/// Points are kept this part longer, so that a metric is looked at now and then, not every minute.
const SLACK: i64 = 16;

/// The points of a metric that are to go.
struct Stale {
    metric: Arc<MetricRecord>,
    grain: Grain,
    /// Those before this.
    before: Timestamp,
}

impl Stale {
    fn expired(&self) -> Range {
        let Stale { metric, grain, before } = self;
        record::points(metric.number, *grain, Timestamp(0), *before).limit(POINTS_MAX)
    }

    /// The oldest point that stays.
    fn next(&self) -> Range {
        let Stale { metric, grain, before } = self;
        record::points(metric.number, *grain, *before, Timestamp(i64::MAX)).limit(1)
    }
}

fn kept_longest_ms(grain: Grain, retention_seconds: u64) -> i64 {
    let kept = grain.kept_ms(retention_seconds);
    kept.saturating_add(kept / SLACK)
}

impl Metrics {
    /// When there is something to remove.
    pub(crate) fn due(&self, retention_seconds: u64) -> Option<Timestamp> {
        let first = |grain| {
            let mut all = self.oldest.range((grain, Timestamp(i64::MIN), 0)..);
            let (of, at, _) = all.next()?;
            (*of == grain).then(|| at.plus_ms(kept_longest_ms(grain, retention_seconds)))
        };
        [Grain::Second, Grain::Minute].into_iter().filter_map(first).min()
    }

    fn stale(&self, now: Timestamp, retention_seconds: u64) -> Vec<Stale> {
        let of = |grain: Grain| {
            let all = self.oldest.range((grain, Timestamp(i64::MIN), 0)..);
            let longest = kept_longest_ms(grain, retention_seconds);
            let due = all.take_while(move |(of, at, _)| *of == grain && at.plus_ms(longest) <= now);
            due.filter_map(move |(_, _, number)| {
                let metric = Arc::clone(self.metrics.get(self.by_number.get(number)?)?);
                let before = now.0.saturating_sub(grain.kept_ms(retention_seconds));
                Some(Stale { metric, grain, before: Timestamp(before) })
            })
        };
        of(Grain::Second).chain(of(Grain::Minute)).take(METRICS_MAX).collect()
    }

    /// Reads what [`Metrics::tidy`] removes.
    pub(crate) fn prefetch_tidy(&self, now: Timestamp, retention_seconds: u64, reads: &Reads) {
        for stale in self.stale(now, retention_seconds) {
            let _ = (reads.range(&stale.expired()), reads.range(&stale.next()));
        }
    }

    /// Removes a slice of the points that have been kept long enough, and metrics without any.
    pub(crate) fn tidy(
        &mut self,
        now: Timestamp,
        retention_seconds: u64,
        reads: &Reads,
        out: &mut Vec<Write>,
    ) {
        for stale in self.stale(now, retention_seconds) {
            let expired = reads.range(&stale.expired());
            let places = expired.iter().filter_map(|(key, _)| Place::read(key));
            let last = places.clone().next_back();
            for place in places {
                self.record(Write::Point(place, None), out);
            }
            let next = if expired.len() == POINTS_MAX {
                last.map(|place| place.at)
            } else {
                let next = reads.range(&stale.next());
                next.first().and_then(|(key, _)| Place::read(key)).map(|place| place.at)
            };
            self.shorten(&stale, next, out);
        }
    }

    /// Notes from when on a metric has points; without any it is gone.
    fn shorten(&mut self, stale: &Stale, oldest: Option<Timestamp>, out: &mut Vec<Write>) {
        // Seconds and minutes of the same metric may both be stale.
        let Some(metric) = self.find(&stale.metric.id).cloned() else { return };
        let record = match (stale.grain, oldest) {
            (Grain::Second, oldest) => {
                Some(MetricRecord { oldest_second: oldest, ..metric.as_ref().clone() })
            }
            (Grain::Minute, Some(oldest)) => {
                Some(MetricRecord { oldest, ..metric.as_ref().clone() })
            }
            (Grain::Minute, None) => None,
        };
        self.record(Write::Metric(Arc::clone(&metric.id), record.map(Arc::new)), out);
    }
}
