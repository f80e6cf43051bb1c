//! How a job is carried out: pace, when it gives up, timeouts, retries, when it begins and ends.

mod parse;

use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use stepwire_asl::{Json, Timestamp};

pub(super) use parse::{MEMBERS, schedule, windows};

use super::ExecutionStatus;
use crate::error::ApiError;
use crate::events::Schedule as Expression;

/// Most things that are told in a minute, whatever is asked for.
const PER_MINUTE_MAX: i64 = 1_000;
const MINUTE_MS: i64 = 60_000;
/// Shortest time from now to a start, and from a start to an end.
const SCHEDULED_MIN_MS: i64 = 30 * MINUTE_MS;
/// Longest time from now to a start.
const SCHEDULED_MAX_MS: i64 = 366 * 24 * 60 * MINUTE_MS;

/// Longest time from now to an end.
const ENDED_MAX_MS: i64 = 2 * SCHEDULED_MAX_MS;
/// Most maintenance windows to come that are told.
const WINDOWS_TOLD_MAX: usize = 7;

/// How a job is carried out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// `jobExecutionsRolloutConfig`
    pub rollout: Option<Rollout>,
    /// `abortConfig`
    pub abort: Vec<AbortCriterion>,
    /// `timeoutConfig`: minutes that an execution may be in progress.
    pub timeout_minutes: Option<i64>,
    /// `jobExecutionsRetryConfig`
    pub retries: Vec<RetryCriterion>,
    /// `schedulingConfig`
    pub schedule: Schedule,
    /// `presignedUrlConfig`
    pub presigned: Option<Presigned>,
}

/// How addresses of objects in documents are made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presigned {
    /// `roleArn`
    pub role: Option<Arc<str>>,
    /// `expiresInSec`: how long they are good.
    pub expires_s: i64,
}

/// How fast things are told.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    /// `maximumPerMinute`
    pub maximum_per_minute: Option<i64>,
    /// `exponentialRate`
    pub exponential: Option<Exponential>,
}

/// A pace that grows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Exponential {
    /// `baseRatePerMinute`
    pub base_per_minute: i64,
    /// `incrementFactor`
    pub factor: f64,
    /// `rateIncreaseCriteria`
    pub increase: Increase,
}

/// After how many things the pace grows, again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Increase {
    /// `numberOfNotifiedThings`
    Notified(i64),
    /// `numberOfSucceededThings`
    Succeeded(i64),
}

impl Rollout {
    /// Things that may be told in a minute once so many have been told and have succeeded.
    pub fn per_minute(&self, notified: u64, succeeded: u64) -> f64 {
        let most = self.maximum_per_minute.unwrap_or(PER_MINUTE_MAX).min(PER_MINUTE_MAX) as f64;
        let Some(Exponential { base_per_minute, factor, increase }) = self.exponential else {
            return most;
        };
        let (count, each) = match increase {
            Increase::Notified(each) => (notified, each),
            Increase::Succeeded(each) => (succeeded, each),
        };
        let times = count / each.max(1) as u64;
        // More steps than this reach the most from any base.
        let times = times.min(128) as i32;
        (base_per_minute as f64 * factor.powi(times)).min(most)
    }
}

/// Which ends are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "AWS's own words")]
pub enum Failures {
    Failed,
    Rejected,
    TimedOut,
    All,
}

impl Failures {
    const ALL: [Failures; 4] =
        [Failures::Failed, Failures::Rejected, Failures::TimedOut, Failures::All];

    /// AWS's word.
    pub fn word(self) -> &'static str {
        match self {
            Failures::Failed => "FAILED",
            Failures::Rejected => "REJECTED",
            Failures::TimedOut => "TIMED_OUT",
            Failures::All => "ALL",
        }
    }
}

/// When a job gives up by itself.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AbortCriterion {
    /// `failureType`
    pub failures: Failures,
    /// `thresholdPercentage`
    pub percent: f64,
    /// `minNumberOfExecutedThings`
    pub executed_min: i64,
}

/// How often executions are tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryCriterion {
    /// `failureType`; never `REJECTED`.
    pub failures: Failures,
    /// `numberOfRetries`
    pub retries: i64,
}

/// When a job begins and ends.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// `startTime`
    pub start: Option<Timestamp>,
    /// `endTime`
    pub end: Option<Timestamp>,
    /// `endBehavior`
    pub behavior: Option<Behavior>,
    /// `maintenanceWindows`
    pub windows: Vec<Window>,
}

/// What becomes of a job at its end time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "AWS's own words")]
pub enum Behavior {
    StopRollout,
    Cancel,
    ForceCancel,
}

impl Behavior {
    /// AWS's word.
    pub fn word(self) -> &'static str {
        match self {
            Behavior::StopRollout => "STOP_ROLLOUT",
            Behavior::Cancel => "CANCEL",
            Behavior::ForceCancel => "FORCE_CANCEL",
        }
    }
}

/// When things may be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// `startTime`: `cron(…)`, in UTC.
    pub start: Arc<str>,
    /// `durationInMinutes`
    pub minutes: i64,
}

impl Window {
    /// When it is next open: now, if it is.
    fn open_from(&self, now: Timestamp) -> Option<Timestamp> {
        let begun = now.plus_ms(-self.minutes * MINUTE_MS);
        let start = Expression::parse(&self.start)?.next(begun, begun, &TimeZone::UTC)?;
        Some(start.max(now))
    }
}

impl Schedule {
    /// When the next windows open after `now`, in order.
    pub(super) fn openings(&self, now: Timestamp) -> Vec<Timestamp> {
        let mut openings = Vec::new();
        for window in &self.windows {
            let Some(expression) = Expression::parse(&window.start) else { continue };
            let next = |at: &Timestamp| expression.next(*at, *at, &TimeZone::UTC);
            openings.extend(std::iter::successors(next(&now), next).take(WINDOWS_TOLD_MAX));
        }
        openings.sort_unstable();
        openings.truncate(WINDOWS_TOLD_MAX);
        openings
    }

    /// The earliest time from `now` on at which things may be told; `None`: never again.
    pub(super) fn open_from(&self, now: Timestamp) -> Option<Timestamp> {
        if self.windows.is_empty() {
            return Some(now);
        }
        self.windows.iter().filter_map(|window| window.open_from(now)).min()
    }

    /// Refuses times that AWS refuses at `now`.
    pub(super) fn check(&self, now: Timestamp) -> Result<(), ApiError> {
        let from_now = |at: Timestamp| at.since_ms(now);
        if self.start.is_some_and(|at| from_now(at) < SCHEDULED_MIN_MS) {
            return Err(super::invalid("startTime must be at least 30 minutes from now"));
        }
        if self.start.is_some_and(|at| from_now(at) > SCHEDULED_MAX_MS) {
            return Err(super::invalid("startTime must be at most one year from now"));
        }
        if self.end.is_some_and(|at| from_now(at) > ENDED_MAX_MS) {
            return Err(super::invalid("endTime must be at most two years from now"));
        }
        let begins = self.start.unwrap_or(now);
        if self.end.is_some_and(|at| at.since_ms(begins) < SCHEDULED_MIN_MS) {
            return Err(super::invalid("endTime must be at least 30 minutes after the start"));
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        *self == Schedule::default()
    }
}

impl Config {
    /// Whether an execution that ended so is tried again, after so many attempts and those of them
    /// that timed out.
    pub(super) fn tries_again(&self, ended: ExecutionStatus, attempts: u32, timeouts: u32) -> bool {
        self.retries.iter().any(|criterion| {
            let used = match (criterion.failures, ended) {
                (Failures::All, ExecutionStatus::Failed | ExecutionStatus::TimedOut) => attempts,
                (Failures::Failed, ExecutionStatus::Failed) => attempts - timeouts,
                (Failures::TimedOut, ExecutionStatus::TimedOut) => timeouts,
                _ => return false,
            };
            i64::from(used) < criterion.retries
        })
    }

    /// The same with what `other` says in place of what this one says.
    pub(super) fn overridden(&self, other: &Config) -> Config {
        let or = |own: &Schedule, other: &Schedule| {
            if other.is_empty() { own.clone() } else { other.clone() }
        };
        Config {
            rollout: other.rollout.or(self.rollout),
            abort: if other.abort.is_empty() { self.abort.clone() } else { other.abort.clone() },
            timeout_minutes: other.timeout_minutes.or(self.timeout_minutes),
            retries: if other.retries.is_empty() {
                self.retries.clone()
            } else {
                other.retries.clone()
            },
            schedule: or(&self.schedule, &other.schedule),
            presigned: other.presigned.clone().or_else(|| self.presigned.clone()),
        }
    }

    /// The members of AWS's shapes of it, but for the schedule.
    pub(super) fn shown(&self) -> Vec<(&'static str, Json)> {
        let mut members = Vec::new();
        if let Some(rollout) = &self.rollout {
            let most = rollout.maximum_per_minute.map(|most| ("maximumPerMinute", most.into()));
            let exponential = rollout.exponential.map(|rate| ("exponentialRate", rate.shown()));
            let shown = Json::object(most.into_iter().chain(exponential));
            members.push(("jobExecutionsRolloutConfig", shown));
        }
        if !self.abort.is_empty() {
            let criteria = self.abort.iter().map(|criterion| {
                Json::object([
                    ("failureType", Json::from(criterion.failures.word())),
                    ("action", "CANCEL".into()),
                    ("thresholdPercentage", Json::from_f64(criterion.percent).unwrap_or_default()),
                    ("minNumberOfExecutedThings", criterion.executed_min.into()),
                ])
            });
            let shown = Json::object([("criteriaList", Json::array(criteria))]);
            members.push(("abortConfig", shown));
        }
        if let Some(Presigned { role, expires_s }) = &self.presigned {
            let role = role.as_ref().map(|role| ("roleArn", Json::string(Arc::clone(role))));
            let expires = ("expiresInSec", (*expires_s).into());
            let shown = Json::object(role.into_iter().chain([expires]));
            members.push(("presignedUrlConfig", shown));
        }
        if let Some(minutes) = self.timeout_minutes {
            let shown = Json::object([("inProgressTimeoutInMinutes", Json::from(minutes))]);
            members.push(("timeoutConfig", shown));
        }
        if !self.retries.is_empty() {
            let criteria = self.retries.iter().map(|criterion| {
                Json::object([
                    ("failureType", Json::from(criterion.failures.word())),
                    ("numberOfRetries", criterion.retries.into()),
                ])
            });
            let shown = Json::object([("criteriaList", Json::array(criteria))]);
            members.push(("jobExecutionsRetryConfig", shown));
        }
        members
    }

    /// `schedulingConfig`, if there is one.
    pub(super) fn schedule_shown(&self) -> Option<Json> {
        let Schedule { start, end, behavior, .. } = &self.schedule;
        let time = |at: &Timestamp| Json::from(minute(*at));
        let members = [
            start.as_ref().map(|at| ("startTime", time(at))),
            end.as_ref().map(|at| ("endTime", time(at))),
            behavior.map(|behavior| ("endBehavior", Json::from(behavior.word()))),
            self.windows_shown().map(|windows| ("maintenanceWindows", windows)),
        ];
        (!self.schedule.is_empty()).then(|| Json::object(members.into_iter().flatten()))
    }

    /// `maintenanceWindows`, if there are some.
    pub(super) fn windows_shown(&self) -> Option<Json> {
        let windows = self.schedule.windows.iter().map(|window| {
            Json::object([
                ("startTime", Json::string(Arc::clone(&window.start))),
                ("durationInMinutes", window.minutes.into()),
            ])
        });
        (!self.schedule.windows.is_empty()).then(|| Json::array(windows))
    }
}

impl Exponential {
    fn shown(self) -> Json {
        let increase = match self.increase {
            Increase::Notified(each) => ("numberOfNotifiedThings", each),
            Increase::Succeeded(each) => ("numberOfSucceededThings", each),
        };
        Json::object([
            ("baseRatePerMinute", Json::from(self.base_per_minute)),
            ("incrementFactor", Json::from_f64(self.factor).unwrap_or_default()),
            ("rateIncreaseCriteria", Json::object([(increase.0, Json::from(increase.1))])),
        ])
    }
}

/// A time as the service writes it: to the minute.
pub(super) fn minute(at: Timestamp) -> String {
    let text = at.rfc3339();
    text.get(..16).unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn a_pace_grows_with_those_that_were_told() {
        let increase = Increase::Notified(1_000);
        let rate = Exponential { base_per_minute: 50, factor: 2.0, increase };
        let rollout = Rollout { maximum_per_minute: Some(300), exponential: Some(rate) };
        let paces = [0, 999, 1_000, 2_500, 3_000].map(|told| rollout.per_minute(told, 0));
        assert_eq!(paces, [50.0, 50.0, 100.0, 200.0, 300.0]);
        let plain = Rollout { maximum_per_minute: None, exponential: None };
        assert_eq!(plain.per_minute(7, 7), 1_000.0);
    }

    #[test]
    fn a_window_is_open_for_as_long_as_it_lasts() {
        let window = Window { start: "cron(0 2 * * ? *)".into(), minutes: 60 };
        let schedule = Schedule { windows: vec![window], ..Schedule::default() };
        let at = |text| Timestamp::parse(text).unwrap_or(Timestamp(0));
        let opens = |text| schedule.open_from(at(text)).map(Timestamp::rfc3339).unwrap_or_default();
        assert_eq!(opens("2030-01-01T01:00:00Z").get(..16), Some("2030-01-01T02:00"));
        assert_eq!(opens("2030-01-01T02:30:00Z").get(..16), Some("2030-01-01T02:30"));
        assert_eq!(opens("2030-01-01T03:00:01Z").get(..16), Some("2030-01-02T02:00"));
    }
}
