//! How a job is carried out: pace, when it gives up, timeouts, retries, when it begins and ends.

use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use stepwire_asl::{Json, Timestamp};

use super::ExecutionStatus;
use crate::error::ApiError;
use crate::events::Schedule as Expression;
use crate::params::Params;

/// Most things that are told in a minute, whatever is asked for.
const PER_MINUTE_MAX: i64 = 1_000;
const MINUTE_MS: i64 = 60_000;
/// Shortest time from now to a start, and from a start to an end.
const SCHEDULED_MIN_MS: i64 = 30 * MINUTE_MS;
/// Longest time from now to a start.
const SCHEDULED_MAX_MS: i64 = 366 * 24 * 60 * MINUTE_MS;

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
    pub role: Arc<str>,
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

    /// When it opens next after now.
    pub(super) fn next(&self, now: Timestamp) -> Option<Timestamp> {
        Expression::parse(&self.start)?.next(now, now, &TimeZone::UTC)
    }
}

impl Schedule {
    /// The earliest time from `now` on at which things may be told; `None`: never again.
    pub(super) fn open_from(&self, now: Timestamp) -> Option<Timestamp> {
        if self.windows.is_empty() {
            return Some(now);
        }
        self.windows.iter().filter_map(|window| window.open_from(now)).min()
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
            let shown = [
                ("roleArn", Json::string(Arc::clone(role))),
                ("expiresInSec", (*expires_s).into()),
            ];
            members.push(("presignedUrlConfig", Json::object(shown)));
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

/// A member that is an object, as parameters of its own; `p` is what it is in.
fn inner<'a>(p: &Params<'a>, name: &str) -> Result<Option<Params<'a>>, ApiError> {
    let Some(value) = p.get(name) else { return Ok(None) };
    if value.as_object().is_none() {
        return Err(p.invalid(name, "it must be an object"));
    }
    Ok(Some(Params::new(value, super::INVALID)))
}

fn list<'a>(p: &Params<'a>, name: &str) -> Result<&'a [Json], ApiError> {
    let Some(value) = p.get(name) else { return Ok(&[]) };
    value.as_array().ok_or_else(|| p.invalid(name, "it must be a list"))
}

/// An integer that must be there and in `range`.
fn integer(
    p: &Params<'_>,
    name: &str,
    range: std::ops::RangeInclusive<i64>,
) -> Result<i64, ApiError> {
    optional_integer(p, name, range)?.ok_or_else(|| p.broken(name, None, "Member must not be null"))
}

fn optional_integer(
    p: &Params<'_>,
    name: &str,
    range: std::ops::RangeInclusive<i64>,
) -> Result<Option<i64>, ApiError> {
    let Some(value) = p.optional_int(name)? else { return Ok(None) };
    if range.contains(&value) {
        return Ok(Some(value));
    }
    Err(p.invalid(name, &format!("it must be {} to {}", range.start(), range.end())))
}

/// A number that must be there and in `range`.
fn number(
    p: &Params<'_>,
    name: &str,
    range: std::ops::RangeInclusive<f64>,
) -> Result<f64, ApiError> {
    let value = p.get(name).ok_or_else(|| p.broken(name, None, "Member must not be null"))?;
    let wrong = || p.invalid(name, &format!("it must be {} to {}", range.start(), range.end()));
    value.as_f64().filter(|value| range.contains(value)).ok_or_else(wrong)
}

fn failures(p: &Params<'_>, known: &[Failures]) -> Result<Failures, ApiError> {
    let word = p.text("failureType")?;
    let found = known.iter().copied().find(|failures| failures.word() == word);
    found.ok_or_else(|| {
        let words: Vec<&str> = known.iter().map(|failures| failures.word()).collect();
        p.invalid("failureType", &format!("it must be one of {}", words.join(", ")))
    })
}

/// Members that say how a job is carried out, but for its schedule.
pub(super) const MEMBERS: [&str; 5] = [
    "presignedUrlConfig",
    "jobExecutionsRolloutConfig",
    "abortConfig",
    "timeoutConfig",
    "jobExecutionsRetryConfig",
];

impl Config {
    /// What the members say; `None` for what none says anything of.
    pub(super) fn parse(p: &Params<'_>) -> Result<Config, ApiError> {
        Ok(Config {
            rollout: rollout(p)?,
            abort: abort(p)?,
            timeout_minutes: timeout(p)?,
            retries: retries(p)?,
            schedule: Schedule::default(),
            presigned: presigned(p)?,
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
}

fn presigned(p: &Params<'_>) -> Result<Option<Presigned>, ApiError> {
    let Some(p) = inner(p, "presignedUrlConfig")? else { return Ok(None) };
    p.only(&["roleArn", "expiresInSec"])?;
    let role = p.text("roleArn")?;
    if !role.starts_with("arn:aws:iam:") || !role.contains(":role/") || role.len() > 2_048 {
        return Err(p.invalid("roleArn", "it must be the ARN of a role"));
    }
    let expires_s = optional_integer(&p, "expiresInSec", 60..=3_600)?.unwrap_or(3_600);
    Ok(Some(Presigned { role: role.into(), expires_s }))
}

fn rollout(p: &Params<'_>) -> Result<Option<Rollout>, ApiError> {
    let Some(p) = inner(p, "jobExecutionsRolloutConfig")? else { return Ok(None) };
    p.only(&["maximumPerMinute", "exponentialRate"])?;
    let maximum_per_minute = optional_integer(&p, "maximumPerMinute", 1..=PER_MINUTE_MAX)?;
    let exponential = match inner(&p, "exponentialRate")? {
        None => None,
        Some(p) => {
            p.only(&["baseRatePerMinute", "incrementFactor", "rateIncreaseCriteria"])?;
            let missing = || p.broken("rateIncreaseCriteria", None, "Member must not be null");
            let criteria = inner(&p, "rateIncreaseCriteria")?.ok_or_else(missing)?;
            criteria.only(&["numberOfNotifiedThings", "numberOfSucceededThings"])?;
            let each = |name| optional_integer(&criteria, name, 1..=i64::from(i32::MAX));
            let increase = match (each("numberOfNotifiedThings")?, each("numberOfSucceededThings")?)
            {
                (Some(each), None) => Increase::Notified(each),
                (None, Some(each)) => Increase::Succeeded(each),
                _ => {
                    let why =
                        "it must have either numberOfNotifiedThings or numberOfSucceededThings";
                    return Err(p.invalid("rateIncreaseCriteria", why));
                }
            };
            Some(Exponential {
                base_per_minute: integer(&p, "baseRatePerMinute", 1..=PER_MINUTE_MAX)?,
                factor: number(&p, "incrementFactor", 1.1..=5.0)?,
                increase,
            })
        }
    };
    Ok(Some(Rollout { maximum_per_minute, exponential }))
}

fn abort(p: &Params<'_>) -> Result<Vec<AbortCriterion>, ApiError> {
    let Some(p) = inner(p, "abortConfig")? else { return Ok(Vec::new()) };
    p.only(&["criteriaList"])?;
    let criteria = list(&p, "criteriaList")?;
    if criteria.is_empty() {
        return Err(p.invalid("criteriaList", "it must have at least one criterion"));
    }
    let one = |criterion| {
        let p = Params::new(criterion, super::INVALID);
        p.only(&["failureType", "action", "thresholdPercentage", "minNumberOfExecutedThings"])?;
        if p.text("action")? != "CANCEL" {
            return Err(p.invalid("action", "it must be CANCEL"));
        }
        Ok(AbortCriterion {
            failures: failures(&p, &Failures::ALL)?,
            percent: number(&p, "thresholdPercentage", 0.01..=100.0)?,
            executed_min: integer(&p, "minNumberOfExecutedThings", 1..=i64::from(i32::MAX))?,
        })
    };
    criteria.iter().map(one).collect()
}

fn timeout(p: &Params<'_>) -> Result<Option<i64>, ApiError> {
    let Some(p) = inner(p, "timeoutConfig")? else { return Ok(None) };
    p.only(&["inProgressTimeoutInMinutes"])?;
    optional_integer(&p, "inProgressTimeoutInMinutes", 1..=10_080)
}

fn retries(p: &Params<'_>) -> Result<Vec<RetryCriterion>, ApiError> {
    let Some(p) = inner(p, "jobExecutionsRetryConfig")? else { return Ok(Vec::new()) };
    p.only(&["criteriaList"])?;
    let criteria = list(&p, "criteriaList")?;
    let wrong = |why: &str| Err(p.invalid("criteriaList", why));
    if !(1..=2).contains(&criteria.len()) {
        return wrong("it must have one or two criteria");
    }
    let one = |criterion| {
        let p = Params::new(criterion, super::INVALID);
        p.only(&["failureType", "numberOfRetries"])?;
        let known = [Failures::Failed, Failures::TimedOut, Failures::All];
        let retries = integer(&p, "numberOfRetries", 0..=10)?;
        Ok(RetryCriterion { failures: failures(&p, &known)?, retries })
    };
    let criteria: Vec<RetryCriterion> = criteria.iter().map(one).collect::<Result<_, _>>()?;
    if let [first, second] = criteria.as_slice() {
        let all = [first, second].iter().any(|one| one.failures == Failures::All);
        if all || first.failures == second.failures {
            return wrong("ALL stands alone, and each failureType once");
        }
        if first.retries + second.retries > 10 {
            return wrong("a device has at most 10 retries in all");
        }
    }
    Ok(criteria)
}

/// The windows in a member.
pub(super) fn windows(p: &Params<'_>) -> Result<Vec<Window>, ApiError> {
    let one = |window| {
        let p = Params::new(window, super::INVALID);
        p.only(&["startTime", "durationInMinutes"])?;
        let start = p.text("startTime")?;
        if !matches!(Expression::parse(start), Some(Expression::Cron(_))) {
            return Err(p.invalid(
                "startTime",
                "it must be a cron expression such as `cron(0 2 ? * SUN *)`",
            ));
        }
        let minutes = integer(&p, "durationInMinutes", 1..=1_430)?;
        Ok(Window { start: start.into(), minutes })
    };
    list(p, "maintenanceWindows")?.iter().map(one).collect()
}

/// What a request says of when a job begins and ends; what of it is too near or too far is for
/// [`Schedule::check`].
pub(super) fn schedule(p: &Params<'_>, continuous: bool) -> Result<Schedule, ApiError> {
    let Some(p) = inner(p, "schedulingConfig")? else { return Ok(Schedule::default()) };
    p.only(&["startTime", "endTime", "endBehavior", "maintenanceWindows"])?;
    let time = |name: &str| match p.optional_text(name)? {
        None => Ok(None),
        Some(text) => read_minute(text)
            .map(Some)
            .ok_or_else(|| p.invalid(name, "it must be a time in UTC such as 2030-01-31T18:30")),
    };
    let behavior = match p.optional_text("endBehavior")? {
        None => None,
        Some("STOP_ROLLOUT") => Some(Behavior::StopRollout),
        Some("CANCEL") => Some(Behavior::Cancel),
        Some("FORCE_CANCEL") => Some(Behavior::ForceCancel),
        Some(_) => {
            let why = "it must be STOP_ROLLOUT, CANCEL or FORCE_CANCEL";
            return Err(p.invalid("endBehavior", why));
        }
    };
    let (start, end, windows) = (time("startTime")?, time("endTime")?, windows(&p)?);
    if behavior.is_some() && end.is_none() {
        return Err(p.invalid("endBehavior", "it needs an endTime"));
    }
    if !windows.is_empty() && (!continuous || end.is_some()) {
        let why = "maintenance windows are for CONTINUOUS jobs without an endTime";
        return Err(p.invalid("maintenanceWindows", why));
    }
    // An end without more stops the rollout.
    let behavior = behavior.or_else(|| end.map(|_| Behavior::StopRollout));
    Ok(Schedule { start, end, behavior, windows })
}

impl Schedule {
    /// Refuses times that AWS refuses at `now`.
    pub(super) fn check(&self, now: Timestamp) -> Result<(), ApiError> {
        let from_now = |at: Timestamp| at.since_ms(now);
        if self.start.is_some_and(|at| from_now(at) < SCHEDULED_MIN_MS) {
            return Err(super::invalid("startTime must be at least 30 minutes from now"));
        }
        if self.start.is_some_and(|at| from_now(at) > SCHEDULED_MAX_MS) {
            return Err(super::invalid("startTime must be at most one year from now"));
        }
        let begins = self.start.unwrap_or(now);
        if self.end.is_some_and(|at| at.since_ms(begins) < SCHEDULED_MIN_MS) {
            return Err(super::invalid("endTime must be at least 30 minutes after the start"));
        }
        Ok(())
    }
}

/// `2030-01-31T18:30`, with a blank in place of the `T`, with seconds, with `Z`.
fn read_minute(text: &str) -> Option<Timestamp> {
    let text = text.trim_end_matches('Z').replace(' ', "T");
    let text = if text.len() == 16 { format!("{text}:00") } else { text };
    Timestamp::parse(&format!("{text}Z"))
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

    #[test]
    fn times_are_read_as_people_write_them() {
        let same = ["2030-01-31T18:30", "2030-01-31 18:30", "2030-01-31T18:30:00Z"];
        let read = same.map(|text| read_minute(text).map(minute));
        assert_eq!(read, [(); 3].map(|()| Some("2030-01-31T18:30".to_owned())));
        assert_eq!(read_minute("tomorrow"), None);
    }
}
