//! Errands of rules: beginning them, and what comes of them.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::{Kernel, Step};
use crate::acts::Acting;
use crate::effect::{Effect, Report};
use crate::error::ApiError;
use crate::functions::{FunctionName, Invoke, Invoked, InvokedBy};
use crate::input::{Follow, Input};
use crate::read::Reads;
use crate::rules::Run;
use crate::rules::errands::{self, Errand, Evaluation, NotDelivered, Stage};
use crate::rules::sql::Question;
use crate::write::Write;

/// Largest answer of a function to a statement, in bytes.
const ANSWER_BYTES_MAX: usize = 128 << 10;

impl Kernel {
    /// Records an errand, and begins it if it waits for no other.
    pub(crate) fn owe(&mut self, errand: Errand, step: &mut Step) -> Result<(), String> {
        let mut writes = Vec::new();
        let added = self.errands.add(errand, &self.settings.quotas, &mut writes);
        record(writes, step);
        if let Some(number) = added? {
            self.begin_errand(number, step);
        }
        Ok(())
    }

    /// Begins an errand that is the first of its lane, or goes on with it.
    pub(super) fn begin_errand(&mut self, number: u64, step: &mut Step) {
        let mut writes = Vec::new();
        match self.errands.get(number).map(|errand| &errand.stage) {
            Some(Stage::Evaluate { .. }) => {
                step.then.push(Input::Follow(Follow::Evaluate(number)));
            }
            Some(Stage::Deliver { .. }) => {
                let begun = self.errands.begin(number, &mut writes);
                record(writes, step);
                if let Some(delivery) = begun {
                    self.let_leave(number, delivery, step);
                }
            }
            None => {}
        }
    }

    /// Goes on with errands whose time has come.
    pub(super) fn go_on_with_errands(&mut self, now: Timestamp, step: &mut Step) {
        for number in self.errands.overdue(now) {
            self.begin_errand(number, step);
        }
    }

    /// An errand is done with; the next of its lane begins.
    fn close_errand(&mut self, number: u64, step: &mut Step) {
        let mut writes = Vec::new();
        let next = self.errands.close(number, &mut writes);
        record(writes, step);
        if let Some(next) = next {
            self.begin_errand(next, step);
        }
    }

    /// An attempt to deliver has ended.
    pub(super) fn delivered(
        &mut self,
        now: Timestamp,
        number: u64,
        result: Result<(), NotDelivered>,
        step: &mut Step,
    ) {
        let mut writes = Vec::new();
        let again = matches!(&result, Err(NotDelivered { again: true, .. }));
        if again && self.errands.try_again(number, now, &mut writes) {
            return record(writes, step);
        }
        let sharing = self.errands.sharing(number).into_iter();
        let errands: Vec<_> =
            sharing.filter_map(|errand| self.errands.get(errand).map(Arc::clone)).collect();
        match &result {
            Ok(()) => errands.iter().for_each(|errand| Kernel::arrived(errand, step)),
            Err(NotDelivered { why, .. }) => self.give_up(&errands, why, step),
        }
        self.close_errand(number, step);
    }

    /// Reads what an evaluation will want.
    pub(super) fn touch_evaluation(&self, number: u64, reads: &Reads) {
        let Some(errand) = self.errands.get(number) else { return };
        if let Stage::Evaluate { told } = &errand.stage
            && let Some(rule) = self.rules.version(&errand.run)
        {
            let _ = Evaluation { rule, run: errand.run.clone() }.run(told, reads, &self.settings);
        }
    }

    /// A rule looks at a message with what the node knows. What only functions know becomes an errand,
    /// as does what has to wait for earlier messages.
    pub(super) fn look_at(&mut self, evaluation: &Evaluation, reads: &Reads, step: &mut Step) {
        let run = &evaluation.run;
        let evaluated = evaluation.run(&[], reads, &self.settings);
        let decided = evaluated.open.is_empty();
        let waits = self.errands.is_waited_for(&run.rule, &run.message);
        if decided && (evaluated.matched.is_none() || !waits) {
            note(run, evaluated.problems, step);
            let matched = evaluated.matched;
            step.then.extend(
                matched.map(|matched| follow_up(Acting::of(matched, &run.message, run.hops))),
            );
            return;
        }
        let stage = Stage::Evaluate { told: Vec::new() };
        if let Err(why) = self.owe(Errand { run: run.clone(), stage }, step) {
            let why: Arc<str> = why.into();
            let failures = evaluation.rule.all_failed(&why);
            self.failed(run.clone(), &failures, step);
        }
    }

    /// Goes on with the evaluation of the first errand of a lane: asks, or acts on what it came to.
    pub(super) fn evaluate(&mut self, number: u64, reads: &Reads, step: &mut Step) {
        let Some(errand) = self.errands.get(number).map(Arc::clone) else { return };
        let Stage::Evaluate { told } = &errand.stage else { return };
        if self.errands.waits_for_answers(number) {
            return;
        }
        let Some(rule) = self.rules.version(&errand.run) else {
            let why = "the rule that took the message is not valid in this version";
            note(&errand.run, vec![why.to_owned()], step);
            return self.close_errand(number, step);
        };
        let evaluation = Evaluation { rule, run: errand.run.clone() };
        let evaluated = evaluation.run(told, reads, &self.settings);
        if evaluated.open.is_empty() {
            note(&errand.run, evaluated.problems, step);
            let matched = evaluated.matched;
            step.then.extend(matched.map(|matched| {
                follow_up(Acting::of(matched, &errand.run.message, errand.run.hops))
            }));
            return self.close_errand(number, step);
        }
        for question in evaluated.open {
            self.put_question(number, question, step);
        }
    }

    fn put_question(&mut self, errand: u64, question: Question, step: &mut Step) {
        match &question {
            Question::Lambda { function, payload } => {
                let Ok(function) = FunctionName::parse(function) else { return };
                let invoke = Box::new(Invoke::for_answer(function, Arc::clone(payload)));
                let question = self.errands.ask(errand, question);
                let caller = InvokedBy::Rule { errand, question };
                step.effects.push(Effect::Invoke { caller, invoke });
            }
            Question::Prediction { model, record } => {
                let (model, record) = (Arc::clone(model), record.clone());
                let question = self.errands.ask(errand, question);
                step.effects.push(Effect::Predict { errand, question, model, record });
            }
            // The node answers these itself, at once.
            Question::Object { .. }
            | Question::Item { .. }
            | Question::NoRole { .. }
            | Question::Registry { .. }
            | Question::Shadow { .. }
            | Question::Secret { .. } => {}
        }
    }

    /// A function has answered a statement, or has failed to.
    pub(super) fn told(
        &mut self,
        number: u64,
        question: u64,
        result: Result<Invoked, ApiError>,
        step: &mut Step,
    ) {
        let answer = answer_of(result).map_err(|why| format!("aws_lambda: {why}"));
        self.answered(number, question, answer, step);
    }

    /// A model has answered a statement, or has failed to.
    pub(super) fn predicted(
        &mut self,
        number: u64,
        question: u64,
        result: Result<Json, Arc<str>>,
        step: &mut Step,
    ) {
        let answer = result.map_err(|why| why.to_string()).and_then(prediction_of);
        let answer = answer.map_err(|why| format!("machinelearning_predict: {why}"));
        self.answered(number, question, answer, step);
    }

    fn answered(
        &mut self,
        number: u64,
        question: u64,
        answer: Result<Json, String>,
        step: &mut Step,
    ) {
        let (answer, problem) = match answer {
            Ok(answer) => (Some(answer), None),
            Err(why) => (None, Some(why)),
        };
        let mut writes = Vec::new();
        let told = self.errands.tell(number, question, answer, &mut writes);
        record(writes, step);
        let Some(errand) = told else { return };
        note(&errand.run, problem.into_iter().collect(), step);
        if !self.errands.waits_for_answers(number) {
            step.then.push(Input::Follow(Follow::Evaluate(number)));
        }
    }
}

/// What a function said, if that can be the value of an expression.
fn answer_of(result: Result<Invoked, ApiError>) -> Result<Json, String> {
    let invoked = result.map_err(|error| error.to_string())?;
    if invoked.failed {
        return Err(format!("the function failed: {}", invoked.payload));
    }
    if invoked.payload.len() > ANSWER_BYTES_MAX {
        return Err(format!("the answer has more than {ANSWER_BYTES_MAX} bytes"));
    }
    Json::parse(&invoked.payload).map_err(|_| "the answer is not JSON".to_owned())
}

/// What a model said, if that can be the value of an expression.
fn prediction_of(answer: Json) -> Result<Json, String> {
    if answer.to_text().len() > ANSWER_BYTES_MAX {
        return Err(format!("the answer has more than {ANSWER_BYTES_MAX} bytes"));
    }
    let prediction = answer.member("Prediction").filter(|it| it.as_object().is_some());
    prediction.cloned().ok_or_else(|| "the answer has no Prediction".to_owned())
}

fn follow_up(acting: Acting) -> Input {
    Input::Follow(Follow::Act(Box::new(acting)))
}

fn record(writes: Vec<errands::Write>, step: &mut Step) {
    step.writes.extend(writes.into_iter().map(Write::Errand));
}

/// Tells the operator what a statement did not get.
fn note(run: &Run, problems: Vec<String>, step: &mut Step) {
    step.effects.extend(problems.into_iter().map(|why| {
        let (rule, topic) = (Arc::clone(&run.rule), Arc::clone(&run.message.topic));
        Effect::Report(Report::RuleFailed { rule, topic, why: why.into() })
    }));
}
