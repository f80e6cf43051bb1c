//! What happens to stacks, told in order.

use std::sync::Arc;

use stepwire_asl::Timestamp;

use super::kinds::STACK;
use super::{Body, EVENTS_MAX, Event, Stack, Stacks, Status, Write};
use crate::settings::Settings;

/// One turn of work: when it is, and what it records.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pub(super) now: Timestamp,
    pub(super) settings: &'a Settings,
    pub(super) out: &'a mut Vec<Write>,
}

impl Stacks {
    /// A stack is at something else now, and its events say so.
    pub(super) fn moves(
        &mut self,
        turn: &mut Turn<'_>,
        stack: &mut Stack,
        status: Status,
        reason: Option<Arc<str>>,
    ) {
        stack.status = status;
        stack.reason.clone_from(&reason);
        let event = Event {
            at: turn.now,
            logical: Arc::clone(&stack.name),
            physical: Some(stack.id(turn.settings).into()),
            kind: STACK.into(),
            status,
            reason,
            properties: None,
            token: None,
        };
        self.tell(turn, stack, event);
    }

    /// Something happened to a resource that is, was or will be `body`.
    pub(super) fn tell_of(
        &mut self,
        turn: &mut Turn<'_>,
        stack: &mut Stack,
        (logical, body): (&Arc<str>, &Body),
        status: Status,
        reason: Option<Arc<str>>,
    ) {
        let mut properties = stack.plan.masked(&body.properties);
        if let Some(work) = &stack.work {
            properties = work.plan.masked(&properties);
        }
        let event = Event {
            at: turn.now,
            logical: Arc::clone(logical),
            physical: body.made.as_ref().map(|made| made.physical_id.as_str().into()),
            kind: Arc::clone(&body.kind),
            status,
            reason,
            properties: Some(properties.to_text().into()),
            token: None,
        };
        self.tell(turn, stack, event);
    }

    /// Records an event. No two of a stack have the same time: who follows them remembers the latest.
    fn tell(&mut self, turn: &mut Turn<'_>, stack: &mut Stack, mut event: Event) {
        event.at = event.at.max(stack.latest.plus_ms(1));
        event.token = stack.work.as_ref().and_then(|work| work.token.clone());
        stack.latest = event.at;
        let (first, next) = stack.events;
        self.record(Write::Event(stack.number, next, Some(event)), turn.out);
        stack.events.1 = next + 1;
        if next + 1 - first > EVENTS_MAX {
            self.record(Write::Event(stack.number, first, None), turn.out);
            stack.events.0 = first + 1;
        }
    }
}
