//! Errands, which start chores and wait for them, and the workers that do the chores.

use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_core::{ApiError, Input, ReplyId};

use super::{Caller, Event, World};
use crate::operator::{errand, poll, stop_errand, success};
use crate::story;

/// A worker that was told this often that there is nothing to do looks no more.
const IDLE_MAX: u32 = 3;

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
