//! Which events of a batch are taken.
//!
//! Source: CloudWatch Logs API reference, "PutLogEvents" and "RejectedLogEventsInfo".

use std::ops::Range;
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::days_ms;
use super::request::INVALID;
use crate::error::ApiError;

/// How far ahead an event may be.
const AHEAD_MS: i64 = 2 * 3_600 * 1_000;
/// How old an event may be, however long its group keeps it.
const AGE_MAX_DAYS: u32 = 14;
/// How far apart the events of a batch may be.
const SPAN_DAYS: u32 = 1;

/// Where a batch in order of time is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    /// Before here events are too old to be taken by any group.
    old: usize,
    /// Before here they are older than the group keeps them.
    expired: usize,
    /// From here on they are too far ahead.
    new: usize,
    /// How many there are.
    all: usize,
}

impl Cut {
    /// The cut of `events` that come in at `now`, to a group that keeps them for so many days.
    pub(super) fn of(
        events: &[(Timestamp, Arc<str>)],
        now: Timestamp,
        kept_days: Option<u32>,
    ) -> Result<Cut, ApiError> {
        let older = |days| {
            let than = now.plus_ms(-days_ms(days));
            events.partition_point(|(at, _)| *at < than)
        };
        let old = older(AGE_MAX_DAYS);
        let expired = kept_days.map_or(old, older).max(old);
        let ahead = now.plus_ms(AHEAD_MS);
        let new = events.partition_point(|(at, _)| *at <= ahead);
        let cut = Cut { old, expired, new, all: events.len() };
        let taken = events.get(cut.taken()).unwrap_or_default();
        let ends = taken.first().zip(taken.last());
        if ends.is_some_and(|((first, _), (last, _))| last.since_ms(*first) > days_ms(SPAN_DAYS)) {
            let message = "The batch of log events in a single PutLogEvents request cannot span \
                           more than 24 hours.";
            return Err(ApiError::new(INVALID, message));
        }
        Ok(cut)
    }

    /// The events that are taken.
    pub(super) fn taken(self) -> Range<usize> {
        self.expired..self.new
    }

    /// `rejectedLogEventsInfo`; `None` if all are taken. An event is told once, by what excludes it
    /// from any group first.
    pub(super) fn rejected(self) -> Option<Json> {
        let index = |name, at: usize| (name, Json::from(at as i64));
        let members = [
            (self.new < self.all).then(|| index("tooNewLogEventStartIndex", self.new)),
            (self.old > 0).then(|| index("tooOldLogEventEndIndex", self.old)),
            (self.expired > self.old).then(|| index("expiredLogEventEndIndex", self.expired)),
        ];
        members.iter().any(Option::is_some).then(|| Json::object(members.into_iter().flatten()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);
    const HOUR_MS: i64 = 3_600 * 1_000;
    const DAY_MS: i64 = 24 * HOUR_MS;

    /// Times of a batch, days that the group keeps, and what is taken and told.
    type Case = (&'static [i64], Option<u32>, Range<usize>, Option<&'static str>);

    fn cut(after_ms: &[i64], kept_days: Option<u32>) -> Result<Cut, ApiError> {
        let event = |ms: &i64| (NOW.plus_ms(*ms), Arc::from("x"));
        let events: Vec<(Timestamp, Arc<str>)> = after_ms.iter().map(event).collect();
        Cut::of(&events, NOW, kept_days)
    }

    #[test]
    fn a_batch_is_cut_at_both_ends() {
        let cases: [Case; 7] = [
            (&[], None, 0..0, None),
            (&[-HOUR_MS, 0, 2 * HOUR_MS], None, 0..3, None),
            (&[-14 * DAY_MS, -14 * DAY_MS], None, 0..2, None),
            (
                &[-14 * DAY_MS - 1, 0, 2 * HOUR_MS + 1],
                None,
                1..2,
                Some(r#"{"tooNewLogEventStartIndex":2,"tooOldLogEventEndIndex":1}"#),
            ),
            (
                &[-20 * DAY_MS, -5 * DAY_MS, 0],
                Some(3),
                2..3,
                Some(r#"{"tooOldLogEventEndIndex":1,"expiredLogEventEndIndex":2}"#),
            ),
            (&[-20 * DAY_MS, 0], Some(30), 1..2, Some(r#"{"tooOldLogEventEndIndex":1}"#)),
            (&[3 * HOUR_MS], None, 0..0, Some(r#"{"tooNewLogEventStartIndex":0}"#)),
        ];
        for (events, kept_days, taken, rejected) in cases {
            let cut = cut(events, kept_days).expect("it spans no more than a day");
            assert_eq!(cut.taken(), taken, "{events:?}");
            let told = cut.rejected().map(|told| told.to_text());
            assert_eq!(told.as_deref(), rejected, "{events:?}");
        }
    }

    #[test]
    fn what_is_taken_of_a_batch_spans_at_most_a_day() {
        assert!(cut(&[-DAY_MS, 0], None).is_ok());
        assert_eq!(cut(&[-DAY_MS - 1, 0], None).map_err(|error| error.code), Err(INVALID.into()));
        assert!(cut(&[-DAY_MS - 1, 0], Some(1)).is_ok(), "the first is not taken");
    }
}
