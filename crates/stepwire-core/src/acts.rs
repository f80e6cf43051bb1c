//! What rules do: their actions, and the answers that complete tasks.

use std::sync::Arc;

use stepwire_asl::{Stimulus, Timestamp};

use crate::answers::Answer;
use crate::effect::{Effect, Report};
use crate::executions::{Begin, TaskToken};
use crate::input::{Follow, HOPS_MAX, Input};
use crate::kernel::{Kernel, Step};
use crate::message::Message;
use crate::read::Reads;
use crate::rules::{Outcome, Resolved};
use crate::tables::Item;
use crate::write::Write;

/// A token row that its answer has been found for.
const COMPLETED: &str = "COMPLETED";
/// A token row whose task ended without it.
const CLOSED: &str = "CLOSED";

impl Kernel {
    /// Carries out one action of a rule that matched `message`.
    pub(crate) fn act(&mut self, outcome: Outcome, message: &Message, hops: u8, step: &mut Step) {
        let now = message.at;
        let rule = outcome.rule;
        let fail = |why: String, step: &mut Step| {
            let topic = Arc::clone(&message.topic);
            let (rule, why) = (Arc::clone(&rule), why.into());
            step.effects.push(Effect::Report(Report::RuleFailed { rule, topic, why }));
        };
        match outcome.action {
            _ => {}
        }
    }
}
