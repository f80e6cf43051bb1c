//! What a world came to.

use std::collections::BTreeSet;
use std::hash::Hasher;

use super::{ORIGIN, Outcome, Watch, World};
use crate::chatter::{self, WRITER};
use crate::operator::{Job, request};
use crate::story;
use stepwire_asl::Json;
use stepwire_core::Service;
use stepwire_core::message::QoS;
use stepwire_core::record::Space;

impl World {
    pub(super) fn finish(mut self) -> Outcome {
        self.compare();
        let audit = self.checks.names.iter().filter(|(name, _)| name.starts_with(story::AUDIT));
        let audit: BTreeSet<_> = audit.map(|(_, id)| *id).collect();
        let ends = self.checks.finish(|id| audit.contains(&id), &mut self.marks);
        self.check_answers();
        self.check_jobs();
        self.check_post();
        self.check_fleet();
        self.check_errands();
        self.check_spreads();
        self.check_flashes();
        self.check_messages();
        self.check_owed();
        if self.shares {
            self.check_shares();
        }
        let wills = self.checks.roll.wills();
        wills.into_iter().for_each(|problem| self.checks.problem(problem));
        self.check_wills(ends.get(WRITER).copied().unwrap_or_default());
        let executions = self.checks.runs.len();
        Outcome {
            problems: self.checks.problems,
            marks: self.marks,
            fingerprint: match self.plan.watch {
                Watch::Nothing => 0,
                Watch::Fingerprint | Watch::Trace => self.hasher.finish(),
            },
            trace: self.trace,
            crashes: self.crashes,
            commits: self.commits,
            executions,
            lasted_ms: self.now.since_ms(ORIGIN),
        }
    }

    /// P1: an acknowledged answer took effect, unless the task had timed out before it came. A
    /// forged one never did.
    fn check_answers(&mut self) {
        let mut problems = Vec::new();
        for (operation, at) in &self.acknowledged {
            let Some((_, run)) = self.checks.run_of_session(operation) else { continue };
            let took = run.ended.as_deref() == Some("ExecutionSucceeded");
            let late = run.ended_at.is_some_and(|end| end <= *at);
            if !took && late {
                self.marks.sometimes("device answered after its time was up");
            }
            if !took && !late {
                problems
                    .push(format!("P1: the answer to {operation} was acknowledged and is lost"));
            }
        }
        let mut timed_out = 0;
        for run in self.checks.runs.values() {
            if run.completions.iter().any(|output| output.contains("forged")) {
                problems.push("P1: a forged answer completed a task".to_owned());
            }
            timed_out += u64::from(run.types.iter().any(|kind| kind == "TaskTimedOut"));
        }
        if timed_out > 0 {
            self.marks.sometimes("silent device timed out");
        }
        problems.into_iter().for_each(|problem| self.checks.problem(problem));
    }

    /// P1: what was acknowledged to the operator is in the history.
    fn check_jobs(&mut self) {
        let mut problems = Vec::new();
        for job in &self.jobs {
            let Some(run) = self.checks.named(job.machine, &job.name) else {
                problems.push(format!("P1: {} was acknowledged and is lost", job.name));
                continue;
            };
            for (_, output) in &job.accepted {
                if !run.completions.iter().any(|done| done == output.as_ref()) {
                    problems.push(format!("P1: the completion of {} is lost", job.name));
                }
            }
        }
        problems.into_iter().for_each(|problem| self.checks.problem(problem));
    }
    /// P1: what workflows sent, and what the bus told of them, is in queues, once.
    fn check_post(&mut self) {
        let mut problems = Vec::new();
        for job in self.jobs.iter().filter(|job| job.machine == story::FORK) {
            let run = self.checks.named(job.machine, &job.name);
            if let Some(ended) = run.and_then(|run| run.ended.as_deref()) {
                problems.extend(self.checks.post.problems(&job.name, ended));
            }
        }
        problems.into_iter().for_each(|problem| self.checks.problem(problem));
    }

    /// P5: each item of a distributed Map was processed by one child, results are in order, and the
    /// counts add up.
    fn check_spreads(&mut self) {
        let spreads = self.jobs.iter().filter(|job| job.machine == story::SPREAD);
        let wrong: Vec<_> = spreads.filter_map(|job| self.check_spread(job).err()).collect();
        wrong.into_iter().for_each(|problem| self.checks.problem(problem));
        let tolerant = |job: &Job| job.machine == story::SPREAD && job.spread.1 > 1;
        if self.jobs.iter().any(tolerant) {
            self.marks.sometimes("map run tolerated failures");
        }
    }

    fn check_spread(&self, job: &Job) -> Result<(), String> {
        let ask = |operation: &str, body: Json| {
            let answer =
                request(Service::States, operation, &body).answer(&self.disk, &self.settings);
            answer.map_err(|error| format!("P5: {operation}: {error}"))
        };
        let list = |answer: &Json, name: &str| -> Vec<Json> {
            answer.member(name).and_then(Json::as_array).unwrap_or_default().to_vec()
        };
        let text = |value: &Json, name: &str| -> String {
            value.member(name).and_then(Json::as_str).unwrap_or_default().to_owned()
        };
        let described = ask("DescribeExecution", Json::object([("executionArn", job.arn())]))?;
        let output = Json::parse(&text(&described, "output")).unwrap_or_default();
        let output = output.as_array().unwrap_or_default();
        let (items, _) = job.spread;
        let failed = if job.redriven { 0 } else { story::SPREAD_FAIL };
        let kept: Vec<_> = output.iter().filter_map(Json::as_i64).collect();
        if !kept.iter().copied().eq(failed..items) || output.len() as i64 != items {
            return Err(format!("P5: {} of {items} items gave {described}", job.name));
        }
        let runs = ask("ListMapRuns", Json::object([("executionArn", job.arn())]))?;
        let [run] = list(&runs, "mapRuns").try_into().map_err(|runs| format!("P5: {runs:?}"))?;
        let by_run = || Json::object([("mapRunArn", Json::from(text(&run, "mapRunArn")))]);
        let counts = ask("DescribeMapRun", by_run())?;
        let counts = counts.member("itemCounts").cloned().unwrap_or_default();
        let count = |name| counts.member(name).and_then(Json::as_i64).unwrap_or(-1);
        let told = ["succeeded", "failed", "pending", "running", "aborted", "total"].map(count);
        if told != [items - failed, failed, 0, 0, 0, items] {
            return Err(format!("P5: {} of {items} items: {counts}", job.name));
        }
        let children = list(&ask("ListExecutions", by_run())?, "executions");
        let inputs = children.iter().map(|child| {
            let arn = Json::object([("executionArn", Json::from(text(child, "executionArn")))]);
            Ok(text(&ask("DescribeExecution", arn)?, "input").parse::<i64>().unwrap_or(-1))
        });
        let mut inputs = inputs.collect::<Result<Vec<_>, String>>()?;
        inputs.sort_unstable();
        if inputs.into_iter().eq(0..items) {
            Ok(())
        } else {
            Err(format!("P5: the children of {} are not one for each item", job.name))
        }
    }

    /// P1: every message acknowledged to the end reached the reader, in order, and those of QoS 2
    /// once. The retained one is the last that was acknowledged, or a later one.
    fn check_messages(&mut self) {
        let mut problems = Vec::new();
        let got = &self.reader.got;
        for &(number, sent) in &self.writer.acknowledged {
            if chatter::is_retained(number) {
                if self.checks.retained < Some(number) {
                    problems.push(format!("P1: retained message {number} is lost"));
                }
                continue;
            }
            let times = got.iter().filter(|taken| **taken == number).count();
            let twice = chatter::qos(number) == QoS::ExactlyOnce && times > 1;
            if times == 0 || twice {
                problems.push(format!("P1: message {number} came {times} times: {got:?}"));
            }
            if sent > 1 {
                self.marks.sometimes(match chatter::qos(number) {
                    QoS::ExactlyOnce => "QoS 2 message sent twice and delivered once",
                    QoS::AtLeastOnce | QoS::AtMostOnce => "QoS 1 message sent twice and delivered",
                });
            }
        }
        if self.writer.released_again > 0 {
            self.marks.sometimes("QoS 2 message released twice");
        }
        for of in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let mut seen = BTreeSet::new();
            let firsts = got.iter().filter(|n| chatter::qos(**n) == of && seen.insert(**n));
            if !firsts.is_sorted() {
                problems.push(format!("P1: {of:?} messages came out of order: {got:?}"));
            }
        }
        if self.writer.acknowledged.len() != usize::from(self.plan.messages) {
            problems.push("P1: not every message was acknowledged".to_owned());
        }
        problems.into_iter().for_each(|problem| self.checks.problem(problem));
    }

    /// P1: rules owe nothing, and what they owed they have given.
    fn check_owed(&mut self) {
        let acknowledged = self.writer.acknowledged.iter().map(|(number, _)| *number);
        let taken = acknowledged.filter(|number| !chatter::is_retained(*number));
        let mut problems = self.checks.owed.problems(taken);
        let left = self.disk.keys().filter(|key| key.first() == Some(&(Space::Errand as u8)));
        let left = left.count();
        if left > 0 {
            problems.push(format!("P1: {left} errands of rules are left"));
        }
        problems.into_iter().for_each(|problem| self.checks.problem(problem));
    }

    /// P1: each message came to one of those who share them, also those that one left behind whose
    /// session was ended; there only what is in flight with QoS 2 may be lost.
    fn check_shares(&mut self) {
        let mut problems = Vec::new();
        for &(number, sent) in &self.writer.acknowledged {
            if chatter::is_retained(number) {
                continue;
            }
            let count = |at: usize| {
                let got = self.sharers[at].got.iter();
                got.filter(|taken| **taken == number).count()
            };
            let [first, second] = [count(0), count(1)];
            let exactly = chatter::qos(number) == QoS::ExactlyOnce;
            let lost = first + second == 0 && !(exactly && self.wiped);
            // The writer may have had to send it again, or its taker was ended.
            let again = !exactly && (self.wiped || sent > 1);
            let both = first > 0 && second > 0 && !again;
            if lost || both || exactly && first + second > 1 {
                problems
                    .push(format!("P1: shared message {number} came {first} and {second} times"));
            }
            if first > 0 && self.sharers[1].got.iter().any(|other| *other != number) {
                self.marks.sometimes("messages shared by two");
            }
        }
        problems.into_iter().for_each(|problem| self.checks.problem(problem));
    }

    /// P4: a will is published for each connection that did not end with a goodbye.
    fn check_wills(&mut self, unclean: usize) {
        let wills = self.reader.wills.len();
        if wills != unclean {
            self.checks.problem(format!(
                "P4: the writer's connection was cut {unclean} times, and {wills} wills came"
            ));
        }
    }
}
