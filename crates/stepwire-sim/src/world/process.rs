//! The process in its world: it decides, commits, acts, dies and comes back.

use std::sync::Arc;

use stepwire_asl::{Failure, Json};
use stepwire_core::effect::Report;
use stepwire_core::executions::map_runs::files::Found;
use stepwire_core::functions::{Invoked, InvokedBy};
use stepwire_core::record::Space;
use stepwire_core::{Effect, Input};

use super::{Crashes, Event, Way, World};
use crate::marks::Moment;
use crate::server::Server;

impl World {
    pub(super) fn restart(&mut self) {
        match Server::recover(self.settings.clone(), self.now, &self.disk) {
            Ok(server) => {
                let after = self.disk.range(vec![Space::MapRun as u8]..).next();
                if after.is_some_and(|(key, _)| key[0] == Space::MapRun as u8) {
                    self.marks.sometimes("map run went on after a crash");
                }
                self.server = Some(server);
            }
            Err(corrupt) => {
                self.checks.problem(format!("the process does not come back: {corrupt}"));
            }
        }
        self.after_deciding();
    }

    pub(super) fn input(&mut self, input: Input) {
        let Some(server) = &mut self.server else { return };
        if server.take(self.now, input, &self.disk) {
            self.marks.sometimes("batch decided while another is committed");
        }
        self.after_deciding();
    }

    fn after_deciding(&mut self) {
        let Some(server) = &mut self.server else { return };
        let due = server.due();
        if server.begin_commit() {
            let takes = self.dice.between(1, 6);
            self.at(takes, Event::Committed(self.life));
        }
        if let Some(due) = due
            && self.ticking.is_none_or(|set| due < set)
        {
            self.ticking = Some(due);
            let wait = due.since_ms(self.now).max(0);
            self.at(wait, Event::Tick(self.life));
        }
    }

    pub(super) fn committed(&mut self) {
        let number = self.commits;
        self.commits += 1;
        self.commits_of_life += 1;
        let Some(server) = &mut self.server else { return };
        if self.plan.crashes.hit(number, Moment::BeforeCommit, &mut self.dice) {
            if let Some(batch) = server.committing() {
                self.marks.crash(Moment::BeforeCommit, &batch.writes);
            }
            if server.is_ahead() {
                self.marks.sometimes("two batches lost in one crash");
            }
            return self.crash();
        }
        let batch = server.end_commit(&mut self.disk);
        if let Some(since) = self.down_since.take() {
            self.checks.was_down(self.now.since_ms(since));
        }
        self.checks.durable(&batch.writes, &mut self.marks);
        if self.plan.crashes.hit(number, Moment::AfterCommit, &mut self.dice) {
            self.marks.crash(Moment::AfterCommit, &batch.writes);
            self.compare();
            return self.crash();
        }
        self.look_back();
        let cut = self.plan.crashes.hit(number, Moment::BetweenEffects, &mut self.dice);
        let leave = if cut { batch.effects.len() / 2 } else { batch.effects.len() };
        for effect in batch.effects.into_iter().take(leave) {
            self.leaves(effect);
        }
        if cut {
            self.marks.crash(Moment::BetweenEffects, &batch.writes);
            return self.crash();
        }
        self.after_deciding();
    }

    /// Now and then memory is compared with what is stored, or emptied as far as it may be.
    fn look_back(&mut self) {
        if self.dice.one_in(12) {
            self.compare();
        }
        if self.dice.one_in(6)
            && let Some(server) = &mut self.server
        {
            self.marks.sometimes("execution read back from its history");
            server.forget_hot();
        }
    }

    /// Memory must equal what is stored and what is on its way there.
    pub(super) fn compare(&mut self) {
        let Some(server) = &self.server else { return };
        if let Err(difference) = server.check(&self.disk) {
            self.checks.problem(format!("memory and disk differ: {difference}"));
        }
    }

    fn crash(&mut self) {
        self.note(|| "CRASH".to_owned());
        if self.life > 0 && self.commits_of_life == 1 {
            self.marks.sometimes("crash during recovery");
        }
        self.crashes += 1;
        self.life += 1;
        self.commits_of_life = 0;
        self.down_since = self.down_since.or(Some(self.now));
        self.server = None;
        self.ticking = None;
        self.checks.owed.crashed();
        for (_, caller) in std::mem::take(&mut self.callers) {
            self.unknown(caller);
        }
        let died = self.life - 1;
        let cut = self.connections.iter().filter(|(_, wire)| wire.life == died);
        for connection in cut.map(|(connection, _)| *connection).collect::<Vec<_>>() {
            let notices = self.dice.between(0, 60);
            self.at(notices, Event::Lost(connection));
        }
        let down = if self.dice.one_in(10) {
            self.dice.between(1_000, 15_000)
        } else {
            self.dice.between(1, 400)
        };
        self.at(down, Event::Restart);
    }

    fn leaves(&mut self, effect: Effect) {
        self.note(|| format!("  out {effect:?}"));
        self.checks.leaves(&effect, &mut self.marks);
        match effect {
            Effect::Send { connection, packet } => {
                self.check_sent(connection, &packet);
                let at = self.arrival(connection, Way::ToClient);
                self.at(at, Event::Delivered(connection, Box::new(packet)));
            }
            Effect::Close { connection, .. } => {
                let at = self.arrival(connection, Way::ToClient);
                self.at(at, Event::Lost(connection));
                self.at(at, Event::Gone(connection));
            }
            Effect::Reply { reply, answer } => self.replied(reply, answer),
            Effect::HttpInvoke { execution, scheduled, .. }
            | Effect::AwsCall { execution, scheduled, .. } => {
                let result = if self.dice.one_in(10) {
                    self.marks.sometimes("profile service failed and was retried");
                    let error = "States.Http.StatusCode.503".into();
                    Err(Failure { error, cause: "try again".into() })
                } else {
                    let body = Json::object([("desiredTemperature", Json::from(21))]);
                    Ok(Json::object([
                        ("ResponseBody", body),
                        ("StatusCode", 200.into()),
                        ("StatusText", "OK".into()),
                        ("Headers", Json::Object(Arc::default())),
                    ]))
                };
                let takes = self.dice.between(5, 50);
                let returned = Input::TaskReturned { execution, scheduled, result };
                self.at(takes, Event::Returned(self.life, Box::new(returned)));
            }
            Effect::Invoke { caller, invoke } => {
                let failed = self.dice.one_in(10);
                let of_rule = matches!(caller, InvokedBy::Rule { .. });
                let payload = if failed && of_rule {
                    r#"{"errorType":"Flaky","errorMessage":"no answer"}"#.into()
                } else if failed {
                    self.marks.sometimes("function failed and was tried again");
                    r#"{"errorType":"Flaky","errorMessage":"try again"}"#.into()
                } else {
                    invoke.payload
                };
                let result = Ok(Invoked {
                    status: 200,
                    payload,
                    failed,
                    log: None,
                    version: "$LATEST".into(),
                });
                let request_id = "00000000-0000-4000-8000-000000000000".into();
                let takes = self.dice.between(1, 30);
                let returned = Input::FunctionReturned { caller, request_id, result };
                self.at(takes, Event::Returned(self.life, Box::new(returned)));
            }
            Effect::Confirm(confirmation) => self.challenged(*confirmation),
            Effect::Deliver { errand, .. } => {
                let (takes, result) = self.served();
                let returned = Input::Delivered { errand, result };
                self.at(takes, Event::Returned(self.life, Box::new(returned)));
            }
            Effect::Notify { notification, .. } => {
                let (takes, result) = self.served();
                let returned = Input::Notified { notification, result };
                self.at(takes, Event::Returned(self.life, Box::new(returned)));
            }
            Effect::Continue { map_run } => {
                let takes = self.dice.between(0, 5);
                self.at(takes, Event::MapRun(self.life, map_run));
            }
            Effect::ContinueStack { stack } => {
                let takes = self.dice.between(0, 5);
                self.at(takes, Event::Returned(self.life, Box::new(Input::Stack(stack))));
            }
            Effect::ContinueIndexing => {
                let takes = self.dice.between(0, 5);
                self.at(takes, Event::Returned(self.life, Box::new(Input::Indexing)));
            }
            Effect::ReadItems { map_run, ask } => {
                let answer = Ok(Found::Missing);
                let read = Input::ItemsRead { map_run, ask, answer };
                let takes = self.dice.between(1, 30);
                self.at(takes, Event::Returned(self.life, Box::new(read)));
            }
            Effect::Predict { .. } => self.checks.problem("a rule asks a model, and there is none"),
            // Nobody watches.
            Effect::Seen(_) | Effect::Heard(_) | Effect::Acted(_) => {}
            Effect::Report(report) => self.reported(report),
        }
    }

    fn reported(&mut self, report: Report) {
        match report {
            Report::AnswerRefused { why, .. } if why.starts_with("it was published by") => {
                self.marks.sometimes("forged answer refused");
            }
            Report::InvocationFailed { .. } => self.marks.sometimes("function given up"),
            Report::AnswerRefused { .. }
            | Report::Refused { .. }
            | Report::CutOff(_)
            | Report::RuleFailed { .. }
            | Report::RuleNotFound { .. }
            | Report::RuleDoubted { .. }
            | Report::BatchFailed { .. }
            | Report::Undelivered { .. } => {}
            Report::Unreadable { why } => self.checks.problem(format!("unreadable: {why}")),
        }
    }
}

impl Crashes {
    /// Whether the process dies at this moment of this commit.
    fn hit(self, commit: u64, moment: Moment, dice: &mut crate::dice::Dice) -> bool {
        match self {
            Crashes::Never => false,
            Crashes::OneIn(chances) => dice.one_in(chances),
            Crashes::At(chosen, at) => chosen == commit && at == moment,
        }
    }
}
