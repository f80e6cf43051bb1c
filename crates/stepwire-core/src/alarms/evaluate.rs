//! Which state follows from the data.
//!
//! Source: CloudWatch user guide, "Alarm evaluation" and "Configuring how CloudWatch alarms treat
//! missing data": an evaluation range of five periods for three evaluation periods.

use stepwire_asl::Timestamp;

use super::record::{Condition, Missing, State};
use crate::metrics::floor;

/// Periods looked at beyond the evaluation periods, in case some have no data.
const EXTRA_PERIODS: usize = 2;

impl Condition {
    /// How many of the evaluation periods have to breach the threshold.
    pub fn datapoints(&self) -> usize {
        self.datapoints_to_alarm.unwrap_or(self.evaluation_periods)
    }

    /// What a period without data counts as.
    pub fn treats_missing(&self) -> Missing {
        self.missing.unwrap_or(Missing::Missing)
    }

    /// Length of a period.
    pub fn period_ms(&self) -> i64 {
        self.period_seconds * 1_000
    }

    /// How often the state can change: every minute, or every ten seconds for short periods.
    fn pace_ms(&self) -> i64 {
        if self.period_seconds < 60 { 10_000 } else { 60_000 }
    }

    /// The end of the latest period that is over at `now`.
    pub(super) fn end(&self, now: Timestamp) -> Timestamp {
        floor(now, self.pace_ms())
    }

    /// The first time after `at` when a period ends.
    pub(super) fn next(&self, at: Timestamp) -> Timestamp {
        self.end(at).plus_ms(self.pace_ms())
    }

    /// How many periods are looked at.
    pub(super) fn range(&self) -> usize {
        self.evaluation_periods + EXTRA_PERIODS
    }

    /// The state that follows from the values of the last periods, the latest last; `None`: it stays
    /// as it is.
    pub fn state(&self, values: &[Option<f64>]) -> Option<State> {
        let range = values.iter().rev().take(self.range());
        // how many periods ago, and whether it breaches; the latest first
        let real: Vec<(usize, bool)> = range
            .enumerate()
            .filter_map(|(at, value)| {
                let breaches = self.comparison.breaches((*value)?, self.threshold);
                Some((at + 1, breaches))
            })
            .take(self.evaluation_periods)
            .collect();
        let breaching = real.iter().filter(|(_, breaches)| *breaches).count();
        let filled = self.evaluation_periods - real.len();
        let decided =
            |breaching| Some(if breaching >= self.datapoints() { State::Alarm } else { State::Ok });
        if filled == 0 {
            return decided(breaching);
        }
        match self.treats_missing() {
            Missing::Breaching => decided(breaching + filled),
            Missing::NotBreaching => decided(breaching),
            Missing::Missing | Missing::Ignore if breaching >= self.datapoints() => {
                Some(State::Alarm)
            }
            Missing::Missing | Missing::Ignore if breaching < real.len() => Some(State::Ok),
            Missing::Ignore => None,
            Missing::Missing => match real.last() {
                None => Some(State::InsufficientData),
                // The next value might be good: only what has breached for long enough counts.
                Some((age, _)) => (*age >= self.datapoints()).then_some(State::Alarm),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::alarms::Comparison;
    use crate::metrics::{MetricId, Statistic};

    /// The state for data as the user guide draws it: `0` good, `X` bad, `-` missing, latest last.
    fn state(datapoints: usize, data: &str, missing: Missing) -> Option<State> {
        let (namespace, name) = ("n".into(), "m".into());
        let condition = Condition {
            metric: Arc::new(MetricId { namespace, name, dimensions: Vec::new() }),
            statistic: Statistic::Average,
            unit: None,
            period_seconds: 300,
            evaluation_periods: 3,
            datapoints_to_alarm: Some(datapoints),
            threshold: 0.0,
            comparison: Comparison::Greater,
            missing: Some(missing),
        };
        let value = |drawn| match drawn {
            '0' => Some(0.0),
            'X' => Some(1.0),
            _ => None,
        };
        let values: Vec<_> = data.chars().filter(|drawn| *drawn != ' ').map(value).collect();
        condition.state(&values)
    }

    #[test]
    fn states_are_those_of_the_user_guide() {
        let (ok, alarm, insufficient) =
            (Some(State::Ok), Some(State::Alarm), Some(State::InsufficientData));
        // datapoints to alarm, data, and the states for missing, ignore, breaching, notBreaching
        let rows = [
            (3, "0 - X - X", [ok, ok, ok, ok]),
            (3, "0 - - - -", [ok, ok, ok, ok]),
            (3, "- - - - -", [insufficient, None, alarm, ok]),
            (3, "0 X X - X", [alarm, alarm, alarm, alarm]),
            (3, "- - X - -", [alarm, None, alarm, ok]),
            (2, "0 - X - X", [alarm, alarm, alarm, alarm]),
            (2, "0 0 X 0 X", [alarm, alarm, alarm, alarm]),
            (2, "0 - X - -", [ok, ok, alarm, ok]),
            (2, "- - - - 0", [ok, ok, alarm, ok]),
            (2, "- - - X -", [alarm, None, alarm, ok]),
        ];
        for (datapoints, data, states) in rows {
            let found = Missing::ALL.iter().map(|(_, missing)| state(datapoints, data, *missing));
            assert_eq!(found.collect::<Vec<_>>(), states, "{datapoints} of 3: {data}");
        }
    }

    #[test]
    fn a_single_bad_value_after_silence_is_no_alarm_yet() {
        for data in ["- - - - X", "- - - X -"] {
            assert_eq!(state(3, data, Missing::Missing), None, "{data}");
        }
    }
}
