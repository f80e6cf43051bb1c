//! What requests say of how a job is carried out.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::{
    AbortCriterion, Behavior, Config, Exponential, Failures, Increase, PER_MINUTE_MAX, Presigned,
    RetryCriterion, Rollout, Schedule, Window,
};
use crate::error::ApiError;
use crate::events::Schedule as Expression;
use crate::jobs::INVALID;
use crate::params::Params;

/// A member that is an object, as parameters of its own; `p` is what it is in.
fn inner<'a>(p: &Params<'a>, name: &str) -> Result<Option<Params<'a>>, ApiError> {
    let Some(value) = p.get(name) else { return Ok(None) };
    if value.as_object().is_none() {
        return Err(p.invalid(name, "it must be an object"));
    }
    Ok(Some(Params::new(value, INVALID)))
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
pub(in crate::jobs) const MEMBERS: [&str; 5] = [
    "presignedUrlConfig",
    "jobExecutionsRolloutConfig",
    "abortConfig",
    "timeoutConfig",
    "jobExecutionsRetryConfig",
];

impl Config {
    /// What the members say; `None` for what none says anything of.
    pub(in crate::jobs) fn parse(p: &Params<'_>) -> Result<Config, ApiError> {
        Ok(Config {
            rollout: rollout(p)?,
            abort: abort(p)?,
            timeout_minutes: timeout(p)?,
            retries: retries(p)?,
            schedule: Schedule::default(),
            presigned: presigned(p)?,
        })
    }
}

fn presigned(p: &Params<'_>) -> Result<Option<Presigned>, ApiError> {
    let Some(p) = inner(p, "presignedUrlConfig")? else { return Ok(None) };
    p.only(&["roleArn", "expiresInSec"])?;
    let role = p.optional_text("roleArn")?;
    let is_role =
        |arn: &str| arn.starts_with("arn:aws:iam:") && arn.contains(":role/") && arn.len() <= 2_048;
    if !role.is_none_or(is_role) {
        return Err(p.invalid("roleArn", "it must be the ARN of a role"));
    }
    let expires_s = optional_integer(&p, "expiresInSec", 60..=3_600)?.unwrap_or(3_600);
    Ok(Some(Presigned { role: role.map(Arc::from), expires_s }))
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
        let p = Params::new(criterion, INVALID);
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
        let p = Params::new(criterion, INVALID);
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
pub(in crate::jobs) fn windows(p: &Params<'_>) -> Result<Vec<Window>, ApiError> {
    let one = |window| {
        let p = Params::new(window, INVALID);
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
pub(in crate::jobs) fn schedule(p: &Params<'_>, continuous: bool) -> Result<Schedule, ApiError> {
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
    if !windows.is_empty() && (!continuous || end.is_some()) {
        let why = "maintenance windows are for CONTINUOUS jobs without an endTime";
        return Err(p.invalid("maintenanceWindows", why));
    }
    // An end without more stops the rollout.
    let behavior = behavior.or_else(|| end.map(|_| Behavior::StopRollout));
    Ok(Schedule { start, end, behavior, windows })
}

/// `2030-01-31T18:30`, with a blank in place of the `T`, with seconds, with `Z`.
fn read_minute(text: &str) -> Option<Timestamp> {
    let text = text.trim_end_matches('Z').replace(' ', "T");
    let text = if text.len() == 16 { format!("{text}:00") } else { text };
    Timestamp::parse(&format!("{text}Z"))
}

#[cfg(test)]
mod unit {
    use super::super::minute;
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let same = ["2030-01-31T18:30", "2030-01-31 18:30", "2030-01-31T18:30:00Z"];
        let read = same.map(|text| read_minute(text).map(minute));
        assert_eq!(read, [(); 3].map(|()| Some("2030-01-31T18:30".to_owned())));
        assert_eq!(read_minute("tomorrow"), None);
    }
}
