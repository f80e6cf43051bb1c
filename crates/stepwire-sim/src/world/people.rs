//! What the people who call the API do.

use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_core::{ApiError, Input, ReplyId, Request, Service};

use super::{Caller, Event, Revocation, Talker, World, members};
use crate::operator::{Intent, request, success};
use crate::story;

impl World {
    pub(super) fn call(&mut self, caller: Caller, request: Request) {
        self.next_reply += 1;
        let reply = ReplyId(self.next_reply);
        if self.server.is_none() {
            return self.unknown(caller);
        }
        self.callers.insert(reply, caller);
        self.input(Input::Call { reply, request });
    }

    pub(super) fn deploy(&mut self) {
        match self.deployment.last().cloned() {
            Some(request) => self.call(Caller::Deployer, request),
            None => {
                for device in 0..self.devices.len() {
                    let after = self.dice.between(0, 3_000);
                    self.at(after, Event::Connect(device));
                }
                for job in 0..self.jobs.len() {
                    let after = self.dice.between(0, 8_000);
                    self.at(after, Event::Operate(job));
                }
                if self.dice.one_in(2) {
                    let after = self.dice.between(500, 8_000);
                    self.at(after, Event::Revoke);
                }
                let after = self.dice.between(0, 2_000);
                self.at(after, Event::Keep);
                for errand in 0..self.errands.len() {
                    let after = self.dice.between(0, 8_000);
                    self.at(after, Event::Errand(errand));
                }
                for _ in 0..self.errands.len() {
                    let after = self.dice.between(0, 8_000);
                    self.at(after, Event::Flash);
                }
                for worker in 0..self.workers.len() {
                    let after = self.dice.between(0, 4_000);
                    self.at(after, Event::LookForWork(worker, 0));
                }
                if self.plan.messages > 0 {
                    self.at(0, Event::Dial(Talker::Reader));
                    if self.shares {
                        self.at(0, Event::Dial(Talker::Sharer(0)));
                        self.at(0, Event::Dial(Talker::Sharer(1)));
                    }
                }
            }
        }
    }

    pub(super) fn operate(&mut self, number: usize) {
        let job = &mut self.jobs[number];
        if job.done {
            return;
        }
        if !job.started {
            let start = job.start();
            if job.uncertain {
                self.marks.sometimes("start repeated after an unknown outcome");
            }
            return self.call(Caller::Start(number), start);
        }
        if job.look(&self.disk, &self.settings) && job.tokens.len() > 1 {
            self.marks.sometimes("retried task got a new token");
        }
        let job = &self.jobs[number];
        let ended = self.checks.named(job.machine, &job.name);
        let ended = ended.is_some_and(|run| run.ended.is_some());
        match self.jobs[number].next() {
            Some((token, output)) => {
                let request = success(&token, &output);
                self.call(Caller::Completion(number, token, output), request);
            }
            None if ended && self.jobs[number].wants_redrive() => {
                let redrive = self.jobs[number].redrive();
                self.call(Caller::Redrive(number), redrive);
            }
            None if ended => self.jobs[number].done = true,
            None => self.at(200, Event::Operate(number)),
        }
    }

    /// The process died before it answered.
    pub(super) fn unknown(&mut self, caller: Caller) {
        let pause = self.dice.between(50, 600);
        match caller {
            Caller::Deployer => self.at(pause, Event::Deploy),
            Caller::Revoker => self.at(pause, Event::Revoke),
            Caller::Visitor(token) => self.at(pause, Event::Visit(token)),
            Caller::Setter(destination, status) => {
                self.at(pause, Event::Set(destination, status));
            }
            Caller::Keeper => self.at(pause, Event::Keep),
            Caller::Errand(number) => self.at(pause, Event::Errand(number)),
            Caller::Flash => self.at(pause, Event::Flash),
            Caller::Stopper(number) => self.at(pause, Event::StopErrand(number)),
            Caller::Worker(worker, life) => self.at(pause, Event::LookForWork(worker, life)),
            Caller::Work(worker, life, token, output) => {
                self.at(pause, Event::Work(worker, life, token, output));
            }
            Caller::Start(job) => {
                self.jobs[job].uncertain = true;
                self.at(pause, Event::Operate(job));
            }
            Caller::Redrive(job) => self.at(pause, Event::Operate(job)),
            Caller::Completion(job, token, output) => {
                // It may have been taken: asking again must not be refused as something else.
                self.jobs[job].accepted.retain(|(t, o)| (t, o) != (&token, &output));
                self.at(pause, Event::Operate(job));
            }
        }
    }

    pub(super) fn replied(&mut self, reply: ReplyId, answer: Result<Json, ApiError>) {
        let Some(caller) = self.callers.remove(&reply) else {
            return self.checks.problem("P1: a reply nobody waits for");
        };
        match caller {
            Caller::Deployer => {
                let there = [
                    "ResourceAlreadyExistsException",
                    "ResourceInUseException",
                    "ResourceConflictException",
                ];
                if let Err(error) = &answer
                    && !there.contains(&error.code.as_ref())
                {
                    self.checks.problem(format!("the story cannot be deployed: {error}"));
                }
                self.deployment.pop();
                self.at(1, Event::Deploy);
            }
            Caller::Start(job) => {
                match answer {
                    Ok(_) => self.jobs[job].started = true,
                    // It ran to its end before the start was repeated.
                    Err(error) if error.code == "ExecutionAlreadyExists" => {
                        self.jobs[job].started = true;
                    }
                    Err(error) => self.checks.problem(format!("P1: start refused: {error}")),
                }
                self.at(100, Event::Operate(job));
            }
            Caller::Redrive(job) => {
                match answer {
                    Ok(_) => {
                        self.jobs[job].redriven = true;
                        self.marks.sometimes("map run redriven");
                    }
                    // Children of the failed run are still being stopped.
                    Err(error) if error.code == "ExecutionNotRedrivable" => {}
                    Err(error) => self.checks.problem(format!("P1: redrive refused: {error}")),
                }
                self.at(100, Event::Operate(job));
            }
            Caller::Completion(job, token, output) => self.completed(job, token, output, answer),
            Caller::Visitor(token) => self.visited(&token, answer),
            Caller::Setter(destination, status) => self.status_set(destination, status, answer),
            Caller::Keeper => self.kept(answer),
            Caller::Errand(number) => self.errand_sent(number, answer),
            Caller::Flash => self.flash_started(answer),
            Caller::Stopper(_) => {
                if let Err(error) = answer {
                    self.checks.problem(format!("P1: stop refused: {error}"));
                }
            }
            Caller::Worker(worker, life) => self.work_came(worker, life, answer),
            Caller::Work(worker, life, token, output) => {
                self.worked(worker, life, (&token, &output), answer);
            }
            Caller::Revoker => match answer {
                Ok(_) => {
                    self.revocation = Revocation::Done;
                    self.check_ended("the revocation");
                }
                Err(error) => self.checks.problem(format!("the policy cannot be taken: {error}")),
            },
        }
    }

    /// Takes the policy of the first device away.
    pub(super) fn revoke(&mut self) {
        self.revocation = Revocation::Asked;
        let body = members(&self.devices).first().map(|first| story::revocation(*first));
        let body = body.unwrap_or_default();
        self.call(Caller::Revoker, request(Service::Iot, "DetachPolicy", &body));
    }

    fn completed(
        &mut self,
        number: usize,
        token: Arc<str>,
        output: Arc<str>,
        answer: Result<Json, ApiError>,
    ) {
        let job = &mut self.jobs[number];
        let late = output.contains("\"late\"");
        let replay = output.contains("\"replay\"");
        match answer {
            Ok(_) if late || replay => {
                let what = format!("P3: {output} of {} was accepted", job.name);
                self.checks.problem(what);
                job.done = true;
            }
            Ok(_) => {
                job.accepted.push((token, output));
                job.done = job.intent != Intent::Replay;
                self.at(150, Event::Operate(number));
            }
            Err(error) if error.code == "TaskTimedOut" => {
                if late {
                    self.marks.sometimes("late answer refused");
                }
                if replay {
                    self.marks.sometimes("replayed completion refused");
                }
                job.done = true;
            }
            Err(error) => self.checks.problem(format!("P3: completion refused oddly: {error}")),
        }
    }
}
