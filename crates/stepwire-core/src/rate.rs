//! Rates: so many a second on average, and so many at once.

use stepwire_asl::Timestamp;

/// So many units a second on average, and so many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Units a second; 0 for no bound.
    pub per_s: u64,
    /// Units at once, after a time without any.
    pub at_once: u64,
}

impl Rate {
    /// A rate that nothing exceeds.
    pub const UNBOUNDED: Rate = Rate { per_s: 0, at_once: 0 };

    /// `per_s` units a second, `at_once` of them at once.
    pub const fn new(per_s: u64, at_once: u64) -> Rate {
        Rate { per_s, at_once }
    }

    /// Whether it bounds anything.
    pub fn is_bounded(self) -> bool {
        self.per_s > 0
    }

    /// What a bucket holds when it is full, in thousandths. At least one unit fits.
    fn capacity(self) -> i64 {
        i64::try_from(self.at_once.max(1)).unwrap_or(i64::MAX).saturating_mul(UNIT)
    }

    /// What flows in within `ms`, in thousandths.
    fn inflow(self, ms: i64) -> i64 {
        i64::try_from(self.per_s).unwrap_or(i64::MAX).saturating_mul(ms.max(0))
    }
}

/// Thousandths of a unit: what flows in within a millisecond is a whole number of them.
const UNIT: i64 = 1_000;

/// How much of a [`Rate`] is left. The rate is an argument, so that a bucket is two words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Thousandths of a unit; below zero when more was charged than was there.
    level: i64,
    at: Timestamp,
}

impl Bucket {
    /// A full bucket.
    pub fn full(rate: Rate, now: Timestamp) -> Bucket {
        Bucket { level: rate.capacity(), at: now }
    }

    /// Whether `units` are there.
    pub fn has(&mut self, units: u64, rate: Rate, now: Timestamp) -> bool {
        if !rate.is_bounded() {
            return true;
        }
        self.fill(rate, now);
        self.level >= thousandths(units)
    }

    /// Takes `units` if they are there; whether they were.
    pub fn take(&mut self, units: u64, rate: Rate, now: Timestamp) -> bool {
        let is_there = self.has(units, rate, now);
        if is_there && rate.is_bounded() {
            self.level -= thousandths(units);
        }
        is_there
    }

    /// Takes `units` whether they are there or not; how much is missing now, in whole units.
    pub fn charge(&mut self, units: u64, rate: Rate, now: Timestamp) -> u64 {
        if !rate.is_bounded() {
            return 0;
        }
        self.fill(rate, now);
        self.level = self.level.saturating_sub(thousandths(units));
        let missing = self.level.min(0).unsigned_abs();
        missing.div_ceil(UNIT.unsigned_abs())
    }

    /// Milliseconds until nothing is missing; 0 when nothing is.
    pub fn wait_ms(&self, rate: Rate) -> u64 {
        if !rate.is_bounded() {
            return 0;
        }
        self.level.min(0).unsigned_abs().div_ceil(rate.per_s)
    }

    /// When it is full again: from then on it need not be remembered.
    pub fn full_at(&self, rate: Rate) -> Timestamp {
        if !rate.is_bounded() {
            return self.at;
        }
        let lacking = rate.capacity().saturating_sub(self.level).max(0).unsigned_abs();
        let wait_ms = i64::try_from(lacking.div_ceil(rate.per_s)).unwrap_or(i64::MAX);
        Timestamp(self.at.0.saturating_add(wait_ms))
    }

    fn fill(&mut self, rate: Rate, now: Timestamp) {
        let inflow = rate.inflow(now.since_ms(self.at));
        self.level = self.level.saturating_add(inflow).min(rate.capacity());
        self.at = self.at.max(now);
    }
}

fn thousandths(units: u64) -> i64 {
    i64::try_from(units).unwrap_or(i64::MAX).saturating_mul(UNIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate::new(10, 3);

    #[test]
    fn so_many_are_taken_at_once_and_then_as_many_as_flow_in() {
        let mut bucket = Bucket::full(RATE, Timestamp(0));
        let taken = (0..10).filter(|_| bucket.take(1, RATE, Timestamp(0))).count();
        assert_eq!(taken, 3);
        assert!(!bucket.take(1, RATE, Timestamp(99)));
        assert!(bucket.take(1, RATE, Timestamp(100)));
        let taken = (0..1_000).filter(|ms| bucket.take(1, RATE, Timestamp(100 + ms))).count();
        assert_eq!(taken, 9, "ten a second, whatever the steps");
    }

    #[test]
    fn what_is_missing_is_waited_for() {
        let mut bucket = Bucket::full(RATE, Timestamp(0));
        assert_eq!(bucket.charge(3, RATE, Timestamp(0)), 0);
        assert_eq!(bucket.wait_ms(RATE), 0);
        assert_eq!(bucket.charge(5, RATE, Timestamp(0)), 5);
        assert_eq!(bucket.wait_ms(RATE), 500);
        assert_eq!(bucket.full_at(RATE), Timestamp(800));
    }

    #[test]
    fn a_bucket_holds_no_more_than_is_allowed_at_once() {
        let mut bucket = Bucket::full(RATE, Timestamp(0));
        let taken = (0..10).filter(|_| bucket.take(1, RATE, Timestamp(3_600_000))).count();
        assert_eq!(taken, 3);
    }

    #[test]
    fn no_rate_is_no_bound_and_no_number_is_too_large() {
        let mut bucket = Bucket::full(Rate::UNBOUNDED, Timestamp(0));
        assert!(bucket.take(u64::MAX, Rate::UNBOUNDED, Timestamp(0)));
        let huge = Rate::new(u64::MAX, u64::MAX);
        let mut bucket = Bucket::full(huge, Timestamp(i64::MIN));
        assert!(bucket.take(u64::MAX, huge, Timestamp(i64::MAX)));
        assert!(bucket.charge(u64::MAX, RATE, Timestamp(i64::MAX)) > 0);
    }
}
