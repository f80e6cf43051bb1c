//! Looking at alarms when their state may have changed.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::Alarms;
use super::record::{Alarm, Change, Condition, Missing, State, Write};
use super::told::{at_utc, short};
use crate::metrics::series::{Window, json};
use crate::metrics::{MetricId, Metrics, Point};
use crate::read::{Read, Reads};
use crate::record::Corrupt;

/// An alarm that is in another state than before.
#[derive(Debug)]
pub(crate) struct Turned {
    /// As it was.
    pub(crate) before: Arc<Alarm>,
    /// As it is.
    pub(crate) after: Arc<Alarm>,
}

/// A period with what was put into its metric.
type Period = (Timestamp, Option<Point>);

impl Condition {
    fn window(&self, now: Timestamp) -> Window {
        let (to, period_ms) = (self.end(now), self.period_ms());
        let from = to.plus_ms(-(self.range() as i64) * period_ms);
        Window { from, to, period_ms }
    }

    fn periods(
        &self,
        now: Timestamp,
        metrics: &Metrics,
        read: &dyn Read,
    ) -> Result<Vec<Period>, Corrupt> {
        let window = self.window(now);
        let points = match metrics.find(&self.metric) {
            Some(metric) => window.points(metric.number, self.unit, read)?,
            None => std::collections::BTreeMap::new(),
        };
        let begin = |at| window.from.plus_ms(at as i64 * window.period_ms);
        let all = (0..self.range()).map(begin);
        Ok(all.map(|at| (at, points.get(&at).copied())).collect())
    }
}

impl Alarms {
    /// Something was put into a metric, for this time: its alarms are looked at when that is over.
    pub(crate) fn measured(&mut self, now: Timestamp, metric: &Arc<MetricId>, at: Timestamp) {
        let names = self.by_metric.get(metric).into_iter().flatten();
        for name in names.cloned().collect::<Vec<_>>() {
            let Some(alarm) = self.alarms.get(&name) else { continue };
            let due = alarm.condition.next(now.max(at));
            let earlier = self.due.get(&name).is_some_and(|there| *there <= due);
            if !earlier {
                self.look_at(&name, Some(due));
            }
        }
    }

    /// Up to `max` alarms that are to be looked at.
    pub(crate) fn overdue(&self, now: Timestamp, max: usize) -> Vec<Arc<str>> {
        let overdue = self.in_order.iter().take_while(|(due, _)| *due <= now);
        overdue.take(max).map(|(_, name)| Arc::clone(name)).collect()
    }

    /// Reads the data that [`Alarms::watch`] looks at.
    pub(crate) fn prefetch(
        &self,
        now: Timestamp,
        names: &[Arc<str>],
        metrics: &Metrics,
        reads: &Reads,
    ) {
        for alarm in names.iter().filter_map(|name| self.alarms.get(name)) {
            let _ = alarm.condition.periods(now, metrics, reads);
        }
    }

    /// Looks at alarms. What is in another state than before is added to `turned`; data that cannot
    /// be read is told, and the alarm left as it is.
    pub(crate) fn watch(
        &mut self,
        now: Timestamp,
        names: &[Arc<str>],
        metrics: &Metrics,
        reads: &Reads,
        out: &mut Vec<Write>,
        turned: &mut Vec<Turned>,
    ) -> Vec<Corrupt> {
        let mut unreadable = Vec::new();
        for name in names {
            let Some(alarm) = self.alarms.get(name).cloned() else { continue };
            let condition = &alarm.condition;
            let periods = match condition.periods(now, metrics, reads) {
                Ok(periods) => periods,
                Err(corrupt) => {
                    unreadable.push(corrupt);
                    self.look_at(name, None);
                    continue;
                }
            };
            let values: Vec<_> =
                periods.iter().map(|(_, point)| Some(condition.statistic.of((*point)?))).collect();
            if let Some(state) = condition.state(&values).filter(|state| *state != alarm.state) {
                let change = change(now, condition, state, &periods);
                turned.extend(self.turn(now, &alarm, change, out));
            }
            let newest = metrics.find(&condition.metric).map(|metric| metric.newest);
            let next = newest.filter(|newest| *newest >= condition.end(now));
            let data = values.iter().any(Option::is_some).then_some(now);
            let next = data.or(next).map(|at| condition.next(at.max(now)));
            self.look_at(name, next);
        }
        unreadable
    }
}

/// The state with the reasons that AWS gives.
fn change(now: Timestamp, condition: &Condition, state: State, periods: &[Period]) -> Change {
    let value = |period: &Period| Some((period.0, condition.statistic.of(period.1?), period.1?));
    let real = periods.iter().rev().filter_map(value).take(condition.evaluation_periods);
    let real: Vec<(Timestamp, f64, Point)> = real.collect();
    let reason = match (state, real.is_empty()) {
        (State::InsufficientData, _) => insufficient(condition.evaluation_periods),
        (_, true) => treated(condition),
        (State::Ok | State::Alarm, false) => crossed(condition, state, &real),
    };
    let evaluated = real.iter().map(|(at, value, point)| {
        Json::object([
            ("timestamp", Json::from(at_utc(*at))),
            ("sampleCount", json(point.count)),
            ("value", json(*value)),
        ])
    });
    let data = super::object([
        ("version", Some("1.0".into())),
        ("queryDate", Some(at_utc(now).into())),
        ("startDate", real.last().map(|(at, ..)| at_utc(*at).into())),
        ("unit", condition.unit.map(|unit| unit.name().into())),
        ("statistic", Some(condition.statistic.name().into())),
        ("period", Some(condition.period_seconds.into())),
        (
            "recentDatapoints",
            Some(Json::array(real.iter().rev().map(|(_, value, _)| json(*value)))),
        ),
        ("threshold", Some(json(condition.threshold))),
        ("evaluatedDatapoints", Some(Json::array(evaluated))),
    ]);
    // AWS has 4,000 characters for it; many periods do not fit.
    let data = Some(data.to_text()).filter(|data| data.len() <= 4_000);
    Change { state, reason: reason.into(), reason_data: data.map(Arc::from) }
}

fn insufficient(periods: usize) -> String {
    match periods {
        1 => "Insufficient Data: 1 datapoint was unknown.".to_owned(),
        several => format!("Insufficient Data: {several} datapoints were unknown."),
    }
}

fn treated(condition: &Condition) -> String {
    let periods = condition.evaluation_periods;
    let s = if periods == 1 { "" } else { "s" };
    let was = if periods == 1 { "was" } else { "were" };
    let treated = match condition.treats_missing() {
        Missing::NotBreaching => "NonBreaching",
        Missing::Breaching => "Breaching",
        Missing::Missing | Missing::Ignore => "Missing",
    };
    format!(
        "Threshold Crossed: no datapoints were received for {periods} period{s} and {periods} \
         missing datapoint{s} {was} treated as [{treated}]."
    )
}

fn crossed(condition: &Condition, state: State, real: &[(Timestamp, f64, Point)]) -> String {
    let breaches = |value: f64| condition.comparison.breaches(value, condition.threshold);
    let wanted = |value: f64| breaches(value) == (state == State::Alarm);
    let shown: Vec<_> = real.iter().filter(|(_, value, _)| wanted(*value)).collect();
    let list = shown.iter().map(|(at, value, _)| format!("{value:?} ({})", short(*at)));
    let list = list.collect::<Vec<_>>().join(", ");
    let (count, words) = (shown.len(), condition.comparison.words());
    let (threshold, not) = (condition.threshold, if state == State::Ok { "not " } else { "" });
    let (s, was) = if count == 1 { ("", "was") } else { ("s", "were") };
    if condition.evaluation_periods == 1 {
        return format!(
            "Threshold Crossed: {count} datapoint{s} [{list}] {was} {not}{words} the threshold \
             ({threshold:?})."
        );
    }
    let (periods, least) = match state {
        State::Ok => (
            condition.evaluation_periods,
            condition.evaluation_periods - condition.datapoints() + 1,
        ),
        State::Alarm | State::InsufficientData => {
            (condition.evaluation_periods, condition.datapoints())
        }
    };
    let way = if state == State::Ok { "ALARM -> OK" } else { "OK -> ALARM" };
    let minimum = if least == 1 { "datapoint" } else { "datapoints" };
    format!(
        "Threshold Crossed: {count} out of the last {periods} datapoints [{list}] {was} \
         {not}{words} the threshold ({threshold:?}) (minimum {least} {minimum} for {way} \
         transition)."
    )
}
