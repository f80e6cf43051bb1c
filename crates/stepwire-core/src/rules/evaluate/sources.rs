//! Who answers what a tested statement asks.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use stepwire_asl::Json;

use crate::read::Read;
use crate::rules::errands::{Known, NO_ROLE};
use crate::rules::sql::{Answered, Outside, Question, Value};
use crate::settings::Settings;

/// Who answers what a tested statement asks. Nothing is changed, and no function is called.
#[derive(Default)]
pub struct Sources<'a> {
    /// Answers that are given: by function of the statement, then by the table, thing, object
    /// (`bucket/key`), secret, function or model that it asks.
    pub answers: Json,
    /// What a node has stored: its tables, registry, shadows and objects answer the rest. Without it
    /// the rest is Undefined, and so is what functions are asked.
    pub node: Option<&'a dyn Read>,
}

/// Answers one evaluation.
struct Answering<'a> {
    answers: &'a Json,
    node: Option<Known<'a>>,
    notes: RefCell<BTreeSet<String>>,
}

impl Sources<'_> {
    /// What `evaluate` comes to, and what could not be answered.
    pub(super) fn answer<T>(
        &self,
        settings: &Settings,
        evaluate: impl Fn(&dyn Outside) -> T,
    ) -> (T, Vec<String>) {
        let node = self.node.map(|read| Known::new(read, settings, &[]));
        let answering = Answering { answers: &self.answers, node, notes: RefCell::default() };
        let evaluated = evaluate(&answering);
        let mut notes = answering.notes.into_inner();
        notes.extend(answering.node.into_iter().flat_map(Known::into_problems));
        (evaluated, notes.into_iter().collect())
    }
}

impl Outside for Answering<'_> {
    fn ask(&self, question: &Question) -> Answered {
        if let Question::NoRole { function } = question {
            self.notes.borrow_mut().insert(format!("{function}: {NO_ROLE}"));
            return Answered::Now(Value::Undefined);
        }
        let (function, whom) = asked(question);
        let given = self.answers.member(function).and_then(|of| of.member(&whom));
        if let Some(answer) = given {
            return Answered::Now(Value::Json(answer.clone()));
        }
        let calls = matches!(question, Question::Lambda { .. } | Question::Prediction { .. });
        if let Some(node) = self.node.as_ref().filter(|_| !calls) {
            return node.ask(question);
        }
        let nobody = match question {
            Question::Lambda { .. } => "no function is called",
            Question::Prediction { .. } => "no model is asked",
            _ => "nobody is asked",
        };
        let note = format!("{function} of `{whom}` is Undefined: {nobody} when a rule is tested");
        self.notes.borrow_mut().insert(note);
        Answered::Now(Value::Undefined)
    }
}

/// The function of a statement, and whom it asks.
fn asked(question: &Question) -> (&str, Arc<str>) {
    match question {
        Question::NoRole { function } => (&**function, Arc::default()),
        Question::Object { bucket, key } => ("decode", format!("{bucket}/{key}").into()),
        Question::Item { table, .. } => ("get_dynamodb", Arc::clone(table)),
        Question::Registry { thing, .. } => ("get_registry_data", Arc::clone(thing)),
        Question::Shadow { thing, .. } => ("get_thing_shadow", Arc::clone(thing)),
        Question::Prediction { model, .. } => ("machinelearning_predict", Arc::clone(model)),
        Question::Secret { id, .. } => ("get_secret", Arc::clone(id)),
        Question::Lambda { function, .. } => ("aws_lambda", Arc::clone(function)),
    }
}
