//! How messages get to those who wait for them: queues hand out what arrives in them.

use std::collections::BTreeSet;
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use crate::asking::{Asker, reply_to};
use crate::error::ApiError;
use crate::input::{Follow, Input};
use crate::kernel::{Kernel, Step};
use crate::queues::{self, Request};
use crate::read::Reads;
use crate::write::Write;

impl Kernel {
    /// Carries out a request on queues. `None`: the caller waits for a message.
    pub(crate) fn call_queues(
        &mut self,
        now: Timestamp,
        asker: Asker,
        request: &Request,
        reads: &Reads,
        step: &mut Step,
    ) -> Option<Result<Json, ApiError>> {
        let mut writes = Vec::new();
        let (queues, settings) = (&mut self.queues, &self.settings);
        let answer = match request {
            Request::ReceiveMessage(receive) => {
                queues.receive(now, asker, receive, reads, settings, &mut writes)
            }
            other => Some(queues.call(now, other, settings, &mut writes)),
        };
        self.queued(now, writes, step);
        answer
    }

    /// Records what changed in queues, and wakes those who wait for a message of one of them.
    pub(crate) fn queued(&mut self, now: Timestamp, writes: Vec<queues::Write>, step: &mut Step) {
        let mut touched = BTreeSet::new();
        for write in writes {
            if let queues::Write::State { queue, state: Some(_), .. } = &write {
                touched.insert(*queue);
            }
            step.writes.push(Write::Queues(write));
        }
        touched.retain(|queue| self.queues.is_wanted(now, *queue));
        step.then.extend(touched.into_iter().map(|queue| Input::Follow(Follow::Receive(queue))));
    }

    /// Gives what has arrived in a queue to one who waits for it, and looks again.
    pub(crate) fn hand_out_messages(
        &mut self,
        now: Timestamp,
        queue: u64,
        reads: &Reads,
        step: &mut Step,
    ) {
        let mut writes = Vec::new();
        let (queues, settings) = (&mut self.queues, &self.settings);
        let handed = queues.hand_out(now, queue, reads, settings, &mut writes);
        self.queued(now, writes, step);
        if let Some((asker, messages)) = handed {
            reply_to(asker, Ok(messages), now, step);
            if self.queues.is_wanted(now, queue) {
                step.then.push(Input::Follow(Follow::Receive(queue)));
            }
        }
    }

    /// Tells those who have waited long enough that nothing came, and gives others what came back.
    pub(crate) fn look_at_waiting(&mut self, now: Timestamp, step: &mut Step) {
        for asker in self.queues.gave_up(now) {
            reply_to(asker, Ok(Json::Object(Arc::default())), now, step);
        }
        let wanted = self.queues.wanted(now).into_iter();
        step.then.extend(wanted.map(|queue| Input::Follow(Follow::Receive(queue))));
    }
}
