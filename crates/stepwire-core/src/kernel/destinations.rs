//! Topic rule destinations: their requests and challenges, and what may leave for them.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::{Kernel, Step};
use crate::effect::Effect;
use crate::error::ApiError;
use crate::input::Input;
use crate::rules::destinations::{Out, Request};
use crate::rules::errands::{Delivery, NotDelivered};
use crate::write::Write;

impl Kernel {
    pub(super) fn call_destinations(
        &mut self,
        now: Timestamp,
        request: &Request,
        step: &mut Step,
    ) -> Result<Json, ApiError> {
        let mut out = Out::default();
        let answer = self.destinations.call(now, request, &self.settings, &mut out)?;
        absorb(out, step);
        Ok(answer)
    }

    /// Has the destinations created that a rule names, unless they are there.
    pub(super) fn want_destinations(&mut self, now: Timestamp, urls: &[Arc<str>], step: &mut Step) {
        let mut out = Out::default();
        for url in urls {
            self.destinations.want(now, url, &self.settings, &mut out);
        }
        absorb(out, step);
    }

    pub(super) fn confirmation_sent(
        &mut self,
        now: Timestamp,
        destination: &str,
        challenge: u32,
        result: Result<(), NotDelivered>,
        step: &mut Step,
    ) {
        let mut out = Out::default();
        self.destinations.sent(now, destination, challenge, result, &mut out);
        absorb(out, step);
    }

    pub(super) fn go_on_with_destinations(&mut self, now: Timestamp, step: &mut Step) {
        let mut out = Out::default();
        self.destinations.tick(now, &self.settings, &mut out);
        absorb(out, step);
    }

    /// Lets a delivery leave if its destination is enabled now; else it has failed.
    pub(super) fn let_leave(&self, errand: u64, delivery: Delivery, step: &mut Step) {
        let Delivery::Http(http) = &delivery;
        match self.destinations.admit(&http.confirmation, &http.url) {
            Ok(()) => step.effects.push(Effect::Deliver { errand, delivery: Box::new(delivery) }),
            Err(why) => {
                let result = Err(NotDelivered { why: why.into(), again: false });
                step.then.push(Input::Delivered { errand, result });
            }
        }
    }
}

/// Takes over what the destinations decided.
fn absorb(out: Out, step: &mut Step) {
    step.writes.extend(out.writes.into_iter().map(Write::Destinations));
    step.effects.extend(out.requests.into_iter().map(Effect::confirm));
}
