//! What a statement is evaluated against, and what it has used of what it may.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

use stepwire_asl::Json;

use super::functions::Patterns;
use super::outside::{Answered, Nobody, Outside, Question};
use super::{Value, Version};
use crate::message::{Client, Message, Origin};
use crate::rules::Ingest;
use crate::settings::Settings;

/// Steps an evaluation may take; beyond that everything is Undefined.
const STEPS_MAX: u32 = 500_000;
/// Bytes of text that are read, compared or copied in a step.
const BYTES_PER_STEP: usize = 64;
/// Steps of asking others something.
const STEPS_OF_QUESTION: u32 = 100;

/// What a statement is evaluated against.
pub struct Facts<'a> {
    /// The message.
    pub message: &'a Message,
    /// Its payload, when that is JSON.
    pub payload: Option<&'a Json>,
    /// Region, account, secret.
    pub settings: &'a Settings,
    /// Distinguishes the random values of one evaluation from those of another.
    pub salt: u64,
    /// Whom functions ask.
    pub outside: &'a dyn Outside,
    /// The version of the statement that is evaluated.
    version: Cell<Version>,
    /// The values of its variables.
    variables: RefCell<BTreeMap<Arc<str>, Value>>,
    /// Answers so far: each question is asked once.
    answers: RefCell<BTreeMap<Question, Answered>>,
    pub(super) steps: Cell<u32>,
    pub(super) drawn: Cell<u64>,
    /// Patterns that were compiled.
    pub(super) patterns: RefCell<Patterns>,
}

impl<'a> Facts<'a> {
    /// The facts of one message, with nobody to ask.
    pub fn new(
        message: &'a Message,
        payload: Option<&'a Json>,
        settings: &'a Settings,
        salt: u64,
    ) -> Facts<'a> {
        Facts {
            message,
            payload,
            settings,
            salt,
            outside: &Nobody,
            version: Cell::default(),
            variables: RefCell::default(),
            answers: RefCell::default(),
            steps: Cell::new(0),
            drawn: Cell::new(0),
            patterns: RefCell::default(),
        }
    }

    /// The same, with somebody to ask.
    #[must_use]
    pub fn asking(mut self, outside: &'a dyn Outside) -> Facts<'a> {
        self.outside = outside;
        self
    }

    /// The questions that were answered [`Answered::Later`]: unless there are none, what has been
    /// evaluated means nothing, and must be evaluated again with their answers.
    pub fn open(&self) -> Vec<Question> {
        let answers = self.answers.borrow();
        let open = answers.iter().filter(|(_, answer)| **answer == Answered::Later);
        open.map(|(question, _)| question.clone()).collect()
    }

    /// The answer to a question; Undefined as long as it is not known.
    pub fn ask(&self, question: &Question) -> Value {
        if !self.spend(STEPS_OF_QUESTION) {
            return Value::Undefined;
        }
        let known = self.answers.borrow().get(question).cloned();
        let answer = known.unwrap_or_else(|| {
            let answer = self.outside.ask(question);
            self.answers.borrow_mut().insert(question.clone(), answer.clone());
            answer
        });
        match answer {
            Answered::Now(value) => value,
            Answered::Later => Value::Undefined,
        }
    }

    /// The version of the statement that is evaluated.
    pub fn version(&self) -> Version {
        self.version.get()
    }

    /// Begins the evaluation of a statement of this version, which has no variables yet.
    pub(super) fn begin(&self, version: Version) {
        self.version.set(version);
        self.variables.borrow_mut().clear();
    }

    pub(super) fn set(&self, name: &Arc<str>, value: Value) {
        self.variables.borrow_mut().insert(Arc::clone(name), value);
    }

    pub(super) fn variable(&self, name: &str) -> Value {
        self.variables.borrow().get(name).cloned().unwrap_or(Value::Undefined)
    }

    /// Takes steps from what this evaluation may use; false once all are gone.
    pub(super) fn spend(&self, steps: u32) -> bool {
        let spent = self.steps.get().saturating_add(steps);
        self.steps.set(spent);
        spent <= STEPS_MAX
    }

    /// Whether all steps are gone, so that what has been evaluated is Undefined for that alone.
    pub fn is_spent(&self) -> bool {
        self.steps.get() > STEPS_MAX
    }

    /// Client id of who published it; `N/A` when that was no client.
    pub fn client_id(&self) -> &str {
        self.client().map_or("N/A", |client| client.id.as_ref())
    }

    /// The client that published it.
    pub(super) fn client(&self) -> Option<&Client> {
        match &self.message.origin {
            Origin::Client(client) => Some(client),
            Origin::Service | Origin::Caller(_) => None,
        }
    }

    /// The topic as `topic()` counts it: without a Basic Ingest prefix.
    pub(super) fn topic(&self) -> &str {
        let topic = self.message.topic.as_ref();
        Ingest::of(topic).map_or(topic, |ingest| ingest.topic)
    }
}

/// The steps that reading, comparing or copying all of a value takes.
pub(super) fn weight(value: &Value) -> u32 {
    match value {
        Value::Undefined => 0,
        Value::Json(json) => weight_of(json),
        Value::Bytes(bytes) => steps_of(bytes.len()),
    }
}

fn weight_of(json: &Json) -> u32 {
    match json {
        Json::Null | Json::Bool(_) => 1,
        Json::Number(number) => steps_of(number.text_len()),
        Json::String(text) => steps_of(text.len()),
        Json::Array(items) => items.iter().map(weight_of).fold(1, u32::saturating_add),
        Json::Object(members) => {
            let members = members
                .iter()
                .map(|(name, value)| steps_of(name.len()).saturating_add(weight_of(value)));
            members.fold(1, u32::saturating_add)
        }
    }
}

fn steps_of(bytes: usize) -> u32 {
    u32::try_from(bytes / BYTES_PER_STEP + 1).unwrap_or(u32::MAX)
}
