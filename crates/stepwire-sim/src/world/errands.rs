//! Errands, which start chores and wait for them, and the workers that do the chores.

use std::collections::BTreeMap;
use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_core::read::{Range, Read};
use stepwire_core::record::{KeyBuilder, Space};
use stepwire_core::{ApiError, Input, ReplyId};

use super::{Caller, Event, World};
use crate::operator::{errand, flash, left, logged, poll, stop_errand, success};
use crate::story;

/// A worker that was told this often that there is nothing to do looks no more.
const IDLE_MAX: u32 = 3;
/// Events of an Express execution of the story.
const FLASH_EVENTS: usize = 9;

impl World {
    /// Starts an errand, or asks again for what nobody knows the end of.
    pub(super) fn send_errand(&mut self, number: usize) {
        self.call(Caller::Errand(number), errand(&errand_name(number)));
    }

    pub(super) fn errand_sent(&mut self, number: usize, answer: Result<Json, ApiError>) {
        if let Err(error) = answer
            && error.code != "ExecutionAlreadyExists"
        {
            self.checks.problem(format!("P1: errand refused: {error}"));
        }
        self.errands[number] = true;
        if self.dice.one_in(4) {
            let after = self.dice.between(1, 6_000);
            self.at(after, Event::StopErrand(number));
        }
    }

    pub(super) fn stop_errand(&mut self, number: usize) {
        self.call(Caller::Stopper(number), stop_errand(&errand_name(number)));
    }

    /// A worker asks for a task.
    pub(super) fn look_for_work(&mut self, worker: usize, life: u64) {
        if self.workers[worker].life == life {
            self.call(Caller::Worker(worker, life), poll(worker));
        }
    }

    /// A worker vanishes, with what it was about to do; another takes its place.
    pub(super) fn vanish(&mut self, worker: usize, life: u64) {
        if self.workers[worker].life != life {
            return;
        }
        self.workers[worker].life += 1;
        let waits = |(_, caller): &(&ReplyId, &Caller)| **caller == Caller::Worker(worker, life);
        if let Some(reply) = self.callers.iter().find(waits).map(|(reply, _)| *reply) {
            self.marks.sometimes("worker vanished while it waited for a task");
            self.input(Input::Gone(reply));
        } else {
            self.marks.sometimes("worker vanished with a task");
        }
        let after = self.dice.between(10, 500);
        self.at(after, Event::LookForWork(worker, life + 1));
    }

    /// What a worker was told, if it is still there.
    pub(super) fn work_came(&mut self, worker: usize, life: u64, answer: Result<Json, ApiError>) {
        let task = match answer {
            Ok(task) => task,
            Err(error) => return self.checks.problem(format!("P1: worker refused: {error}")),
        };
        let vanished = self.workers[worker].life != life;
        if vanished || task.member("taskToken").is_some() && self.dice.one_in(12) {
            if task.member("taskToken").is_some() {
                self.marks.sometimes("task came to a worker that had vanished");
            }
            self.input(Input::Unheard(task));
            return self.vanish(worker, life);
        }
        let Some(Json::String(token)) = task.member("taskToken") else {
            self.workers[worker].idle += 1;
            if self.workers[worker].idle < IDLE_MAX {
                self.at(1, Event::LookForWork(worker, life));
            }
            return;
        };
        self.workers[worker].idle = 0;
        let problem = self.ledger.given(token);
        problem.into_iter().for_each(|problem| self.checks.problem(problem));
        // Some take longer than their heartbeat allows.
        let takes = self.dice.between(1, 2_400);
        let output = format!("{{\"by\":\"worker-{worker}\",\"task\":{}}}", self.order);
        self.at(takes, Event::Work(worker, life, Arc::clone(token), output.into()));
        if self.dice.one_in(5) {
            let after = self.dice.between(1, 2_400);
            self.at(after, Event::Vanish(worker, life));
        }
    }

    /// A worker has done its task.
    pub(super) fn work(&mut self, worker: usize, life: u64, token: Arc<str>, output: Arc<str>) {
        if self.workers[worker].life == life {
            let request = success(&token, &output);
            self.call(Caller::Work(worker, life, token, output), request);
        }
    }

    pub(super) fn worked(
        &mut self,
        worker: usize,
        life: u64,
        (token, output): (&Arc<str>, &Arc<str>),
        answer: Result<Json, ApiError>,
    ) {
        match answer {
            Ok(_) => {
                self.marks.sometimes("worker did a task");
                let problem = self.ledger.accepted(token, output);
                problem.into_iter().for_each(|problem| self.checks.problem(problem));
            }
            Err(error) if error.code == "TaskTimedOut" => {
                self.marks.sometimes("worker was too late");
            }
            Err(error) => self.checks.problem(format!("P1: work refused oddly: {error}")),
        }
        let after = self.dice.between(1, 100);
        self.at(after, Event::LookForWork(worker, life));
    }

    /// Starts an Express execution; some callers wait for its end.
    pub(super) fn start_flash(&mut self) {
        let waits = self.dice.one_in(2);
        self.call(Caller::Flash, flash(waits));
    }

    pub(super) fn flash_started(&mut self, answer: Result<Json, ApiError>) {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return self.checks.problem(format!("P1: Express refused: {error}")),
        };
        let text = |name| answer.member(name).and_then(Json::as_str);
        match text("status") {
            Some("SUCCEEDED") => self.marks.sometimes("Express execution waited for"),
            Some(other) => self.checks.problem(format!("P1: an Express execution {other}")),
            None => {}
        }
        let arn: Arc<str> = text("executionArn").unwrap_or_default().into();
        if self.flashes.contains(&arn) {
            self.checks.problem(format!("P3: two executions have the ARN {arn}"));
        }
        self.flashes.push(arn);
    }

    /// P1: every Express execution that was acknowledged did its work, and nothing of it is left.
    pub(super) fn check_flashes(&mut self) {
        let left = left(story::FLASHES, &self.disk, &self.settings);
        let lost: Vec<_> = self.flashes.iter().filter(|arn| !left.contains(arn)).collect();
        let mut problems: Vec<_> =
            lost.iter().map(|arn| format!("P1: {arn} was acknowledged and is lost")).collect();
        problems.extend(self.check_log());
        let machine = self.checks.express;
        for space in [Space::Execution, Space::Open, Space::History] {
            let prefix = machine.map(|machine| KeyBuilder::new(space).number(machine).build());
            let kept =
                prefix.map_or(0, |prefix| Read::range(&self.disk, &Range::prefix(&prefix)).len());
            if kept > 0 {
                problems.push(format!("P3: {kept} records of Express executions are left"));
            }
        }
        problems.into_iter().for_each(|problem| self.checks.problem(problem));
    }

    /// P1: the log has each event of each Express execution once, in order.
    fn check_log(&mut self) -> Option<String> {
        let mut ids: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (arn, id) in logged(&self.disk, &self.settings) {
            ids.entry(arn).or_default().push(id);
        }
        let whole = (1..=FLASH_EVENTS).map(|id| id.to_string()).collect::<Vec<_>>();
        let torn = self.flashes.iter().find(|arn| ids.get(arn.as_ref()) != Some(&whole));
        torn.map(|arn| format!("P1: the log of {arn} has {:?}", ids.get(arn.as_ref())))
    }

    /// P1: every errand that was acknowledged is there, and what workers were told is done is in
    /// the history of its chore.
    pub(super) fn check_errands(&mut self) {
        let mut problems = Vec::new();
        for (number, _) in self.errands.iter().enumerate().filter(|(_, sent)| **sent) {
            if self.checks.named(story::ERRAND, &errand_name(number)).is_none() {
                problems.push(format!("P1: errand {number} was acknowledged and is lost"));
            }
        }
        let done: Vec<_> = self.checks.runs.values().flat_map(|run| &run.completions).collect();
        for output in self.ledger.outputs.values() {
            if !done.iter().any(|done| done.as_str() == output.as_ref()) {
                problems.push(format!("P1: work was acknowledged and is lost: {output}"));
            }
        }
        problems.into_iter().for_each(|problem| self.checks.problem(problem));
    }
}

fn errand_name(number: usize) -> String {
    format!("errand-{number}")
}
