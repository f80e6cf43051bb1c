//! Evaluations that ask: what they come to with what is known.

use std::sync::Arc;

use stepwire_asl::Json;

use super::Told;
use super::known::Known;
use crate::read::Reads;
use crate::rules::sql::{Facts, Question};
use crate::rules::{Matched, Rule, Run};
use crate::settings::Settings;

/// A rule's run on a message, which asks others.
#[derive(Debug)]
pub struct Evaluation {
    pub(crate) rule: Arc<Rule>,
    pub(crate) run: Run,
}

/// What an evaluation came to.
#[derive(Debug)]
pub(crate) struct Evaluated {
    /// What to do, if nothing is open; `None` when the statement says no.
    pub(crate) matched: Option<Matched>,
    /// What has to be asked first.
    pub(crate) open: Vec<Question>,
    /// Why answers were Undefined.
    pub(crate) problems: Vec<String>,
}

impl Evaluation {
    /// What it comes to, with what `reads` holds and what functions have told.
    pub(crate) fn run(&self, told: &[Told], reads: &Reads, settings: &Settings) -> Evaluated {
        let message = &self.run.message;
        let payload = Json::parse_bytes(&message.payload).ok();
        let known = Known::new(reads, settings, told);
        let (matched, open) = {
            let facts = Facts::new(message, payload.as_ref(), settings, self.run.salt);
            let facts = facts.asking(&known);
            (self.rule.run(&facts), facts.open())
        };
        Evaluated { matched, open, problems: known.into_problems() }
    }
}
