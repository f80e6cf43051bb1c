//! Percentages, percentiles, and when a job will be done.

use stepwire_asl::Timestamp;

use crate::words::duration;

/// Ends that the rate is taken from, the newest ones; fewer than `ENDS_MIN` say nothing.
const ENDS_MAX: usize = 50;
const ENDS_MIN: usize = 3;

/// How much `part` is of `whole`; `None` of nothing.
pub(super) fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64 * 100.0)
}

/// A limit: up to two digits after the point, as it was given.
pub(super) fn limit(percent: f64) -> String {
    let text = format!("{percent:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// How far something has come, in tenths that are not rounded up: below a limit it looks below it.
pub(super) fn so_far(percent: f64) -> String {
    limit((percent * 10.0 + 1e-9).floor() / 10.0)
}

/// So many of a hundred are at most this, by nearest rank.
pub(super) fn percentile(values: &[i64], hundredths: usize) -> Option<i64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * hundredths).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// What has to happen until the end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Left {
    /// Devices that have yet to end.
    pub(super) devices: u64,
    /// Those of them that were not told yet.
    pub(super) untold: u64,
    /// How many are told in a minute, at most.
    pub(super) told_per_minute_max: Option<u64>,
}

/// Milliseconds until `left` is done, if executions go on to end as the newest have: `ended`, in any
/// order. Not sooner than all can be told.
pub(super) fn left_ms(left: Left, ended: &[Timestamp], now: Timestamp) -> Option<i64> {
    let mut newest: Vec<Timestamp> = ended.iter().copied().filter(|at| *at <= now).collect();
    newest.sort_unstable();
    newest.drain(..newest.len().saturating_sub(ENDS_MAX));
    if newest.len() < ENDS_MIN || left.devices == 0 {
        return None;
    }
    let span = i128::from(now.since_ms(*newest.first()?).max(1));
    let steps = newest.len() as i128 - 1;
    let by_ends = i128::from(left.devices) * span / steps;
    let rate = left.told_per_minute_max.filter(|rate| *rate > 0);
    let by_telling = rate.map_or(0, |rate| i128::from(left.untold) * 60_000 / i128::from(rate));
    i64::try_from(by_ends.max(by_telling)).ok()
}

/// A duration that is only known roughly: seconds below two minutes, else whole minutes, from two
/// days on hours.
pub(super) fn about(ms: i64) -> String {
    let unit = match ms {
        ..120_000 => 1_000,
        120_000..172_800_000 => 60_000,
        _ => 3_600_000,
    };
    let rounded = (ms.max(1) + unit - 1) / unit * unit;
    if rounded < 60_000 { format!("{} s", rounded / 1_000) } else { duration(rounded) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_not_rounded_up() {
        assert_eq!(percent(15, 668).map(so_far).as_deref(), Some("2.2"));
        assert_eq!(so_far(4.999), "4.9");
        assert_eq!(so_far(5.0), "5");
        assert_eq!(percent(1, 0), None);
        for (limit_, text) in [(5.0, "5"), (10.99, "10.99"), (0.5, "0.5"), (100.0, "100")] {
            assert_eq!(limit(limit_), text);
        }
    }

    #[test]
    fn percentiles_are_values_that_were_there() {
        let values = [40, 10, 30, 20];
        assert_eq!(percentile(&values, 50), Some(20));
        assert_eq!(percentile(&values, 95), Some(40));
        assert_eq!(percentile(&[7], 50), Some(7));
        assert_eq!(percentile(&[], 50), None);
    }

    fn left(devices: u64, untold: u64, told_per_minute_max: Option<u64>) -> Left {
        Left { devices, untold, told_per_minute_max }
    }

    #[test]
    fn what_is_left_takes_as_long_as_what_was_done() {
        let now = Timestamp(100_000);
        let ended = [0, 50_000, 100_000].map(Timestamp);
        assert_eq!(left_ms(left(10, 0, None), &ended, now), Some(500_000));
        assert_eq!(left_ms(left(10, 10, Some(1)), &ended, now), Some(600_000));
        assert_eq!(left_ms(left(u64::MAX, 0, None), &ended, now), None);
    }

    #[test]
    fn too_little_says_nothing_about_the_rest() {
        let now = Timestamp(100_000);
        assert_eq!(left_ms(left(10, 0, None), &[Timestamp(1), Timestamp(2)], now), None);
        let ended = [1, 2, 3].map(Timestamp);
        assert_eq!(left_ms(left(0, 0, None), &ended, now), None);
        assert!(left_ms(left(1, 0, None), &[now, now, now], now).is_some());
    }

    #[test]
    fn only_the_newest_ends_make_the_rate() {
        let now = Timestamp(10_000_000);
        let mut ended = vec![Timestamp(0); 1_000];
        ended.extend((0..50).map(|at| Timestamp(10_000_000 - at * 1_000)));
        assert_eq!(left_ms(left(10, 0, None), &ended, now), Some(10_000));
    }

    #[test]
    fn a_guess_is_told_as_one() {
        let cases = [
            (1, "1 s"),
            (47_300, "48 s"),
            (60_500, "1 min 1 s"),
            (470_000, "8 min"),
            (11_100_000, "3 h 5 min"),
            (176_400_001, "2 d 2 h"),
        ];
        for (ms, text) in cases {
            assert_eq!(about(ms), text);
        }
    }
}
