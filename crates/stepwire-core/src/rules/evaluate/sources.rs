//! Who answers what a tested statement asks.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use stepwire_asl::Json;

use crate::rules::sql::{Answered, Outside, Question, Value};

/// Who answers what a tested statement asks. Nothing is changed, and no function is called.
#[derive(Debug, Default)]
pub struct Sources {
    /// Answers that are given: by function of the statement, then by the table, thing, object
    /// (`bucket/key`) or function that it asks. Others are Undefined.
    pub answers: Json,
}

/// Answers one evaluation.
struct Answering<'a> {
    sources: &'a Sources,
    notes: RefCell<BTreeSet<String>>,
}

impl Sources {
    /// What `evaluate` comes to, and what could not be answered.
    pub(super) fn answer<T>(&self, evaluate: impl Fn(&dyn Outside) -> T) -> (T, Vec<String>) {
        let answering = Answering { sources: self, notes: RefCell::default() };
        let evaluated = evaluate(&answering);
        (evaluated, answering.notes.into_inner().into_iter().collect())
    }
}

impl Outside for Answering<'_> {
    fn ask(&self, question: &Question) -> Answered {
        let (function, whom) = asked(question);
        let given = self.sources.answers.member(function).and_then(|of| of.member(&whom));
        if let Some(answer) = given {
            return Answered::Now(Value::Json(answer.clone()));
        }
        let note =
            format!("{function} of `{whom}` is Undefined: nobody is asked when a rule is tested");
        self.notes.borrow_mut().insert(note);
        Answered::Now(Value::Undefined)
    }
}

/// The function of a statement, and whom it asks.
fn asked(question: &Question) -> (&'static str, Arc<str>) {
    match question {
        Question::Object { bucket, key } => ("decode", format!("{bucket}/{key}").into()),
        Question::Item { table, .. } => ("get_dynamodb", Arc::clone(table)),
        Question::Registry { thing, .. } => ("get_registry_data", Arc::clone(thing)),
        Question::Shadow { thing, .. } => ("get_thing_shadow", Arc::clone(thing)),
        Question::Lambda { function, .. } => ("aws_lambda", Arc::clone(function)),
    }
}
