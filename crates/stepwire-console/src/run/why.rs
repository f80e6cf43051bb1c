//! Why an execution stands as it does, in one sentence.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::{Attempt, End, Run, Visit, VisitId};
use crate::words::{Status, duration};

/// What is known beside the history, of an execution on a node.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The device that it is about.
    pub device: Option<Arc<str>>,
    /// Whether that device is connected, and since when it is or is not.
    pub presence: Option<(bool, Timestamp)>,
    /// The earliest deadline of the execution.
    pub due: Option<Timestamp>,
    /// The rule that completes the task, and the topic that it listens to.
    pub answer: Option<(Arc<str>, Arc<str>)>,
    /// The latest message to the device since the wait began or shortly before: topic and time.
    pub sent: Option<(Arc<str>, Timestamp)>,
    /// Items of its map runs that did not succeed.
    pub failed_items: u64,
}

/// One sentence, and until when it holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Why {
    /// How the execution stands.
    pub status: Status,
    /// The sentence.
    pub parts: Vec<Part>,
    /// What ends the wait if nothing else does.
    pub deadline: Option<Deadline>,
    /// The visit that it is about.
    pub visit: Option<VisitId>,
}

/// A piece of a sentence.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// Words.
    Text(String),
    /// Words that matter.
    Strong(String),
    /// A topic, an error, a name without a page.
    Code(String),
    /// A device.
    Device(Arc<str>),
    /// A rule.
    Rule(Arc<str>),
    /// A table.
    Table(String),
    /// A function.
    Function(String),
    /// A state of the run.
    State(Arc<str>),
    /// An execution, by ARN.
    Execution(String),
    /// A map run, by ARN.
    MapRun(Arc<str>),
    /// `3.2 s ago`.
    Ago(Timestamp),
    /// `in 3.2 s`.
    In(Timestamp),
}

/// When something will happen by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadline {
    /// What: `heartbeat`, `timeout`, `next try`, `goes on`.
    pub label: &'static str,
    /// When.
    pub at: Timestamp,
    /// When that began to run.
    pub since: Timestamp,
}

impl Run {
    /// Why the execution stands as it does.
    pub fn why(&self, facts: &Facts) -> Why {
        let status = self.status();
        let mut why = Why { status, parts: Vec::new(), deadline: None, visit: None };
        match self.end {
            End::None => self.why_open(facts, &mut why),
            End::Failed | End::TimedOut => self.why_failed(facts, &mut why),
            End::Stopped => self.why_stopped(&mut why),
            End::Succeeded => self.why_succeeded(facts, &mut why),
        }
        why
    }

    fn why_open(&self, facts: &Facts, why: &mut Why) {
        let open = self.open();
        let first = open.iter().min_by_key(|id| super::urgency(self.status_of(**id))).copied();
        let Some(id) = first else {
            why.strong("Running.");
            return;
        };
        why.visit = Some(id);
        let visit = &self.visits[id];
        let attempt = visit.attempts.last();
        let due = facts.due.filter(|_| open.len() == 1);
        match attempt {
            Some(attempt) if attempt.is_failed() => self.why_retry(id, attempt, due, why),
            Some(attempt) => Run::why_at_work(visit, attempt, facts, due, why),
            None if &*visit.kind == "Wait" => self.why_time(id, due, why),
            None => {
                why.strong("Running ");
                why.parts.push(Part::State(Arc::clone(&visit.name)));
            }
        }
        if open.len() > 1 {
            why.text(&format!("; {} more states are open", open.len() - 1));
        }
        why.text(".");
    }

    fn why_at_work(
        visit: &Visit,
        attempt: &Attempt,
        facts: &Facts,
        due: Option<Timestamp>,
        why: &mut Why,
    ) {
        let state = Part::State(Arc::clone(&visit.name));
        let since = attempt.started_at.or(attempt.scheduled_at);
        if let Some(map_run) = &attempt.map_run {
            why.strong("Waiting for the children");
            why.parts.extend([Part::Text(" of ".into()), Part::MapRun(Arc::clone(map_run))]);
        } else if attempt.waits_for_token() {
            Run::why_token(visit, attempt, facts, why);
        } else if attempt.is_activity() {
            let name = attempt.resource.rsplit(':').next().unwrap_or_default().to_owned();
            match &attempt.worker {
                None if attempt.started_at.is_none() => {
                    why.strong("Waiting for a worker");
                    why.parts.extend([Part::Text(" of activity ".into()), Part::Code(name)]);
                    why.text(" to take it");
                }
                worker => {
                    why.strong("A worker is at it");
                    let worker = worker.as_deref().map(|w| format!(" ({w})")).unwrap_or_default();
                    why.parts
                        .extend([Part::Text(format!("{worker}, activity ")), Part::Code(name)]);
                }
            }
        } else if let (true, Some(_)) = (attempt.waits_for_child(), attempt.submitted_at) {
            match attempt.child() {
                Some(child) => {
                    why.strong("Waiting for execution ");
                    why.parts.push(Part::Execution(child));
                    why.text(" to end");
                }
                None => {
                    why.strong("Waiting for the end");
                    why.parts.extend([Part::Text(" of ".into()), Part::Code(attempt.call())]);
                }
            }
        } else if let Some(function) = attempt.function() {
            why.strong("Running function ");
            why.parts.push(Part::Function(function));
        } else {
            why.strong("Running ");
            why.parts.extend([Part::Code(attempt.call())]);
        }
        why.parts.extend([Part::Text(" in ".into()), state]);
        if let Some(since) = since {
            why.parts.extend([Part::Text(", begun ".into()), Part::Ago(since)]);
        }
        why.deadline = attempt.deadline(due);
    }

    fn why_token(visit: &Visit, attempt: &Attempt, facts: &Facts, why: &mut Why) {
        match &facts.device {
            Some(device) => {
                why.strong("Waiting for ");
                why.parts.push(Part::Device(Arc::clone(device)));
                why.strong(" to answer");
            }
            None => why.strong("Waiting for the task token to come back"),
        }
        let told = why.parts.len();
        let sent = facts.sent.as_ref().filter(|(_, at)| {
            // What was sent long before the wait has nothing to do with it.
            visit.entered_at.is_none_or(|entered| entered.since_ms(*at) < 60_000)
        });
        if let Some((topic, at)) = sent {
            why.text(" the message sent on ");
            why.parts.extend([
                Part::Code(topic.to_string()),
                Part::Text(" ".into()),
                Part::Ago(*at),
            ]);
        }
        if let Some((false, since)) = facts.presence {
            why.parts.extend([Part::Text("; the device went offline ".into()), Part::Ago(since)]);
        }
        if let Some((rule, topic)) = &facts.answer {
            why.text("; the answer is expected on ");
            why.parts.extend([Part::Code(topic.to_string()), Part::Text(" (rule ".into())]);
            why.parts.extend([Part::Rule(Arc::clone(rule)), Part::Text(")".into())]);
        }
        if let Some(table) = attempt.token_table() {
            why.parts.extend([Part::Text("; the token is in table ".into()), Part::Table(table)]);
        }
        if why.parts.len() > told {
            // What follows names the state.
            why.text(". It waits");
        }
    }

    fn why_retry(&self, id: VisitId, attempt: &Attempt, due: Option<Timestamp>, why: &mut Why) {
        let visit = &self.visits[id];
        why.strong("Waiting to try ");
        why.parts.push(Part::State(Arc::clone(&visit.name)));
        why.strong(" again");
        let failed = visit.attempts.iter().filter(|attempt| attempt.is_failed()).count();
        why.text(&format!(": attempt {failed} failed with "));
        why.parts.push(Part::Code(error_of(attempt)));
        if let Some(cause) = cause_of(attempt) {
            why.text(&format!(" ({cause})"));
        }
        let at = due.or_else(|| self.retry_at(id));
        if let (Some(at), Some(since)) = (at, attempt.ended_at) {
            why.deadline = Some(Deadline { label: "next try", at, since });
        }
    }

    fn why_time(&self, id: VisitId, due: Option<Timestamp>, why: &mut Why) {
        let visit = &self.visits[id];
        why.strong("Waiting for a time");
        why.parts.extend([Part::Text(" in ".into()), Part::State(Arc::clone(&visit.name))]);
        let at = due.or_else(|| self.wait_until(id));
        if let (Some(at), Some(since)) = (at, visit.entered_at) {
            why.text(&format!(
                ", until {}",
                at.rfc3339().get(..19).unwrap_or_default().replace('T', " ")
            ));
            why.deadline = Some(Deadline { label: "goes on", at, since });
        }
    }

    fn why_failed(&self, facts: &Facts, why: &mut Why) {
        let culprit = self.culprit;
        why.visit = culprit;
        let trouble =
            culprit.map(|id| self.trouble_of(id)).filter(|trouble| trouble.error.is_some());
        let trouble = trouble.unwrap_or_else(|| self.trouble.clone());
        if self.end == End::TimedOut {
            why.strong("Ran out of time");
            if let Some(id) = culprit.or_else(|| self.visits.len().checked_sub(1)) {
                why.visit = Some(id);
                why.parts.extend([
                    Part::Text(" in ".into()),
                    Part::State(Arc::clone(&self.visits[id].name)),
                ]);
            }
            why.text(": the workflow's TimeoutSeconds passed.");
            return;
        }
        why.strong("Failed");
        if let Some(id) = culprit {
            why.parts.extend([
                Part::Text(" in ".into()),
                Part::State(Arc::clone(&self.visits[id].name)),
            ]);
            for (container, frame) in self.way_to(id).iter().rev() {
                let (name, frame) = (&self.visits[*container].name, &self.frames[*frame]);
                let what = if frame.iteration {
                    format!(" (item {} of {name})", frame.index)
                } else {
                    format!(" (branch {} of {name})", frame.index + 1)
                };
                why.text(&what);
            }
        }
        why.text(": ");
        why.parts.push(Part::Code(trouble.error.as_deref().unwrap_or("no error name").to_owned()));
        if let Some(cause) = trouble.cause.as_deref().and_then(plain_cause) {
            why.text(&format!(", {cause}"));
        }
        if let Some(attempt) = culprit.and_then(|id| self.visits[id].attempts.last())
            && attempt.waits_for_token()
            && matches!(
                trouble.error.as_deref(),
                Some("States.Timeout" | "States.HeartbeatTimeout")
            )
        {
            why.text(", ");
            match &facts.device {
                Some(device) => why.parts.push(Part::Device(Arc::clone(device))),
                None => why.text("nobody"),
            }
            why.text(if facts.device.is_some() { " did not answer" } else { " answered" });
            if let Some(seconds) = attempt.heartbeat_s.or(attempt.timeout_s) {
                let limit = if attempt.heartbeat_s.is_some() { "heartbeat" } else { "timeout" };
                why.text(&format!(" within the {limit} of {}", duration(seconds * 1_000)));
            }
        }
        let tries = culprit.map_or(0, |id| self.visits[id].attempts.len());
        if tries > 1 {
            why.text(&format!(", after {tries} attempts"));
        }
        why.end();
    }

    fn why_stopped(&self, why: &mut Why) {
        why.strong("Stopped");
        if let Some(visit) = self.visits.iter().rev().find(|visit| visit.end == End::Stopped) {
            why.parts.extend([Part::Text(" in ".into()), Part::State(Arc::clone(&visit.name))]);
        }
        if let Some(error) = &self.trouble.error {
            why.parts.extend([Part::Text(": ".into()), Part::Code(error.to_string())]);
        }
        if let Some(cause) = self.trouble.cause.as_deref().and_then(plain_cause) {
            why.text(&format!(", {cause}"));
        }
        why.end();
    }

    fn why_succeeded(&self, facts: &Facts, why: &mut Why) {
        why.strong("Succeeded");
        if let (Some(started), Some(stopped)) = (self.started, self.stopped) {
            why.text(&format!(" in {}", duration(stopped.since_ms(started))));
        }
        let with =
            |status| (0..self.visits.len()).filter(|id| self.status_of(*id) == status).count();
        for (number, one, many) in [
            (with(Status::Retried), "state needed a retry", "states needed a retry"),
            (with(Status::Caught), "failure was caught", "failures were caught"),
        ] {
            match number {
                0 => {}
                1 => why.text(&format!("; 1 {one}")),
                number => why.text(&format!("; {number} {many}")),
            }
        }
        match facts.failed_items {
            0 => {}
            1 => why.text("; 1 item failed, which its Map tolerates"),
            number => why.text(&format!("; {number} items failed, which its Map tolerates")),
        }
        why.text(".");
    }

    /// When a Wait ends, as far as its definition and input tell.
    fn wait_until(&self, id: VisitId) -> Option<Timestamp> {
        let (state, visit) = (self.state_of(id)?, &self.visits[id]);
        let entered = visit.entered_at?;
        if let Some(seconds) = state.member("Seconds").and_then(Json::as_f64) {
            return Some(entered.plus_ms((seconds.clamp(0.0, 1e11) * 1_000.0) as i64));
        }
        if let Some(timestamp) = state.member("Timestamp").and_then(Json::as_str) {
            return Timestamp::parse(timestamp);
        }
        let input = visit.input.as_ref()?.value();
        let at = |name: &str| {
            let path = state.member(name)?.as_str()?.strip_prefix("$.")?;
            path.split('.').try_fold(input.clone(), |value, name| value.member(name).cloned())
        };
        match at("SecondsPath") {
            Some(seconds) => {
                Some(entered.plus_ms((seconds.as_f64()?.clamp(0.0, 1e11) * 1_000.0) as i64))
            }
            None => Timestamp::parse(at("TimestampPath")?.as_str()?),
        }
    }

    /// When the next attempt begins, as far as the retrier tells: without jitter.
    fn retry_at(&self, id: VisitId) -> Option<Timestamp> {
        let visit = &self.visits[id];
        let last = visit.attempts.last()?;
        let error = error_of(last);
        let matches =
            |name: &str| name == error || name == "States.ALL" || name == "States.TaskFailed";
        let rules = self.state_of(id)?.member("Retry")?.as_array()?;
        let names = |rule: &Json| -> bool {
            let list = rule.member("ErrorEquals").and_then(Json::as_array).unwrap_or_default();
            list.iter().filter_map(Json::as_str).any(matches)
        };
        let rule = rules.iter().find(|rule| names(rule))?;
        let number =
            |name: &str, default: f64| rule.member(name).and_then(Json::as_f64).unwrap_or(default);
        if rule.member("JitterStrategy").and_then(Json::as_str) == Some("FULL") {
            return None;
        }
        let earlier =
            visit.attempts.iter().filter(|attempt| attempt.is_failed()).count().saturating_sub(1);
        let wait = number("IntervalSeconds", 1.0)
            * number("BackoffRate", 2.0).powi(earlier.min(64) as i32);
        let wait = wait.min(number("MaxDelaySeconds", f64::INFINITY)).min(1e9);
        Some(last.ended_at?.plus_ms((wait * 1_000.0) as i64))
    }
}

impl Attempt {
    /// What ends it if nothing else does. `due` is what the node knows: it has heard heartbeats.
    pub fn deadline(&self, due: Option<Timestamp>) -> Option<Deadline> {
        let began = self.scheduled_at?;
        let at = |seconds: Option<i64>| Some(began.plus_ms(seconds?.saturating_mul(1_000)));
        // "Never" is written as a very large number of seconds.
        let near = |at: &Timestamp| at.since_ms(began) < 1_000 * 86_400 * 366;
        let timeout = at(self.timeout_s).filter(near);
        let beat = at(self.heartbeat_s).filter(near);
        let (label, at) = match (beat, timeout) {
            (Some(beat), Some(timeout)) if timeout <= beat => ("timeout", timeout),
            (Some(beat), timeout) => match due {
                Some(due) if due > beat && timeout.is_some_and(|timeout| due >= timeout) => {
                    ("timeout", due)
                }
                Some(due) if due > beat => ("heartbeat", due),
                _ => ("heartbeat", beat),
            },
            (None, Some(timeout)) => ("timeout", timeout),
            (None, None) => return None,
        };
        let since = match (label, self.heartbeat_s) {
            ("heartbeat", Some(seconds)) => at.plus_ms(-seconds.saturating_mul(1_000)),
            _ => began,
        };
        Some(Deadline { label, at, since })
    }

    /// The table that its token was written to.
    pub fn token_table(&self) -> Option<String> {
        if !self.service.ends_with("dynamodb") {
            return None;
        }
        Some(self.parameters.as_ref()?.value().member("TableName")?.as_str()?.to_owned())
    }
}

impl Why {
    fn text(&mut self, text: &str) {
        self.parts.push(Part::Text(text.to_owned()));
    }

    fn strong(&mut self, text: &str) {
        self.parts.push(Part::Strong(text.to_owned()));
    }

    /// A full stop, if there is none yet.
    fn end(&mut self) {
        let ends = matches!(self.parts.last(), Some(Part::Text(text)) if text.ends_with(['.', '!', '?', '…']));
        if !ends {
            self.text(".");
        }
    }

    /// The sentence as plain text.
    pub fn plain(&self, now: Option<Timestamp>) -> String {
        let name_of = |arn: &str| arn.rsplit(':').next().unwrap_or(arn).to_owned();
        let parts = self.parts.iter().map(|part| match part {
            Part::Text(text)
            | Part::Strong(text)
            | Part::Code(text)
            | Part::Table(text)
            | Part::Function(text) => text.clone(),
            Part::Device(name) | Part::Rule(name) | Part::State(name) => name.to_string(),
            Part::Execution(arn) => name_of(arn),
            Part::MapRun(arn) => name_of(arn),
            Part::Ago(at) => match now {
                Some(now) => format!("{} ago", duration(now.since_ms(*at))),
                None => at.rfc3339(),
            },
            Part::In(at) => match now {
                Some(now) => format!("in {}", duration(at.since_ms(now))),
                None => at.rfc3339(),
            },
        });
        parts.collect()
    }
}

/// The name of an attempt's error.
pub(crate) fn error_of(attempt: &Attempt) -> String {
    match (&attempt.trouble.error, attempt.end) {
        (Some(error), _) => error.to_string(),
        (None, End::TimedOut) => "States.Timeout".to_owned(),
        (None, _) => "an error without a name".to_owned(),
    }
}

/// Its cause in few words.
pub(crate) fn cause_of(attempt: &Attempt) -> Option<String> {
    plain_cause(attempt.trouble.cause.as_deref()?)
}

/// A cause as a person would say it: functions tell theirs as JSON.
pub(crate) fn plain_cause(cause: &str) -> Option<String> {
    const MAX: usize = 240;
    let told = Json::parse(cause).ok().and_then(|json| {
        let names = ["errorMessage", "message", "Message", "Cause", "cause", "Error"];
        let found = names.iter().find_map(|name| json.member(name).and_then(Json::as_str));
        found.map(str::to_owned)
    });
    let text = told.unwrap_or_else(|| cause.to_owned());
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        return None;
    }
    match line.char_indices().nth(MAX) {
        Some((at, _)) => Some(format!("{}…", &line[..at])),
        None => Some(line),
    }
}
