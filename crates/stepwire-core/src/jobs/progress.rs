//! What things ask of their executions and say of them.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::data::{Asked, Code, Refused, Request, Update};
use super::record::{self, Execution, ExecutionStatus};
use super::request::Details;
use super::{Jobs, Out, Turn, document, view};
use crate::read::Read;
use crate::record::Corrupt;
use crate::settings::Settings;

const MINUTE_MS: i64 = 60_000;

/// How documents are written: as JSON to MQTT clients, as text to those who ask by HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Text,
}

/// Members of an answer.
type Members = Vec<(&'static str, Json)>;

impl Jobs {
    /// Does what a thing asks. On `Err` nothing has changed.
    pub(crate) fn ask(
        &mut self,
        now: Timestamp,
        request: &Request,
        form: Form,
        read: &dyn Read,
        settings: &Settings,
        out: &mut Out,
    ) -> Result<Members, Refused> {
        let turn = &mut Turn { now, settings, out };
        let thing = &request.thing;
        match &request.asked {
            Asked::Pending => {
                let of = |status: ExecutionStatus| {
                    let pending = self.pending(thing).into_iter();
                    let those = pending.filter(move |execution| execution.status == status);
                    Json::array(those.map(view::pending_summary))
                };
                Ok(vec![
                    ("inProgressJobs", of(ExecutionStatus::InProgress)),
                    ("queuedJobs", of(ExecutionStatus::Queued)),
                ])
            }
            Asked::StartNext { details, step_timeout } => {
                let Some(next) = self.pending(thing).first().map(|next| Execution::clone(next))
                else {
                    return Ok(Vec::new());
                };
                // One that is in progress is told again as it is.
                let next = if next.status == ExecutionStatus::Queued {
                    let step = step_timeout.unwrap_or(-1);
                    self.start(&next, details.clone(), Some(step), turn)?
                } else {
                    next
                };
                Ok(vec![("execution", self.shown(&next, true, form, turn))])
            }
            Asked::Describe { job, number, with_document } => {
                let found = match job {
                    None => self.pending(thing).first().map(|next| Execution::clone(next)),
                    Some(job) => {
                        let found = self.latest_of(job, thing, *number, read)?;
                        let found = found.ok_or_else(none)?;
                        if found.status.is_terminal() {
                            return Err(ended(&found, Code::TerminalStateReached));
                        }
                        Some(found)
                    }
                };
                let shown = |found| ("execution", self.shown(&found, *with_document, form, turn));
                Ok(found.map(shown).into_iter().collect())
            }
            Asked::Update { job, update } => self.update(job, thing, update, form, read, turn),
        }
    }

    /// Reads what answering reads, so that it is fetched.
    pub(crate) fn touch(&self, request: &Request, read: &dyn Read) {
        let of = match &request.asked {
            Asked::Describe { job: Some(job), number, .. } => Some((job, *number)),
            Asked::Update { job, update } => Some((job, update.number)),
            _ => None,
        };
        if let Some((job, number)) = of {
            let _ = self.latest_of(job, &request.thing, number, read);
        }
    }

    /// The execution of this number, or else the one that has not ended, or else the latest.
    fn latest_of(
        &self,
        job: &str,
        thing: &str,
        number: Option<u64>,
        read: &dyn Read,
    ) -> Result<Option<Execution>, Corrupt> {
        let open = self.open.get(thing).and_then(|open| open.get(job));
        match open.filter(|open| number.is_none_or(|number| number == open.number)) {
            Some(open) => Ok(Some((**open).clone())),
            None => record::execution(job, thing, number, read),
        }
    }

    fn shown(
        &self,
        execution: &Execution,
        with_document: bool,
        form: Form,
        turn: &Turn<'_>,
    ) -> Json {
        let document = || self.document_in(&execution.job, form, turn);
        let document = with_document.then(document).flatten();
        view::pending_execution(execution, document, turn.now)
    }

    fn document_in(&self, job: &str, form: Form, turn: &Turn<'_>) -> Option<Json> {
        match form {
            Form::Json => self.document(job, turn.now, turn.settings),
            Form::Text => {
                let job = self.jobs.get(job)?;
                Some(Json::string(document::filled(job, turn.now, turn.settings)))
            }
        }
    }

    fn update(
        &mut self,
        job: &Arc<str>,
        thing: &Arc<str>,
        update: &Update,
        form: Form,
        read: &dyn Read,
        turn: &mut Turn<'_>,
    ) -> Result<Members, Refused> {
        let found = self.latest_of(job, thing, update.number, read)?.ok_or_else(none)?;
        if found.status.is_terminal() {
            return Err(ended(&found, Code::InvalidStateTransition));
        }
        if update.expected.is_some_and(|expected| expected != found.version) {
            let message = format!("The version of the execution is {}.", found.version);
            let state = Some(view::state(&found));
            return Err(Refused { code: Code::VersionMismatch, message, state });
        }
        let after = if update.status == ExecutionStatus::InProgress {
            self.start(&found, update.details.clone(), update.step_timeout, turn)?
        } else {
            let mut work = self.work(job)?;
            self.end(&mut work, &found, update.status, update.details.clone(), turn);
            self.close(work, turn);
            Execution {
                status: update.status,
                details: update.details.clone().unwrap_or_else(|| found.details.clone()),
                version: found.version + 1,
                ..found
            }
        };
        let mut members = Vec::new();
        if update.with_state {
            members.push(("executionState", view::state(&after)));
        }
        if update.with_document {
            members.extend(
                self.document_in(job, form, turn).map(|document| ("jobDocument", document)),
            );
        }
        Ok(members)
    }

    /// An execution is in progress, from now on or still. `step_timeout` in minutes: -1 for none,
    /// `None` leaves the one there is.
    fn start(
        &mut self,
        open: &Execution,
        details: Option<Details>,
        step_timeout: Option<i64>,
        turn: &mut Turn<'_>,
    ) -> Result<Execution, Refused> {
        let mut work = self.work(&open.job)?;
        let timeout = work.job.config.timeout_minutes;
        let mut started = Execution {
            status: ExecutionStatus::InProgress,
            details: details.unwrap_or_else(|| open.details.clone()),
            updated: turn.now,
            version: open.version + 1,
            step_until: match step_timeout {
                None => open.step_until,
                Some(-1) => None,
                Some(minutes) => Some(turn.now.plus_ms(minutes * MINUTE_MS)),
            },
            ..open.clone()
        };
        if open.status == ExecutionStatus::Queued {
            started.started = Some(turn.now);
            started.until = timeout.map(|minutes| turn.now.plus_ms(minutes * MINUTE_MS));
        }
        self.set(&mut work, Some(open.status), started.clone(), turn);
        self.close(work, turn);
        Ok(started)
    }
}

/// The refusal of what is asked of an execution that has ended.
fn ended(execution: &Execution, code: Code) -> Refused {
    let message = format!("The execution has ended: it is {}.", execution.status.word());
    Refused { code, message, state: Some(view::state(execution)) }
}

fn none() -> Refused {
    Refused::new(Code::ResourceNotFound, "The thing has no such execution.")
}
