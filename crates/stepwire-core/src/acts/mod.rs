//! What rules do: their actions, one after the other, and the error action for those that fail.
//!
//! A run of a rule on a message is a chain of follow-up inputs of the same commit. Each of them carries
//! out actions until one has asked a service: what the next one reads is read after that.

mod complete;

use std::collections::VecDeque;
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

pub(crate) use complete::refuse;

use crate::answers::Answer;
use crate::asking::Asker;
use crate::effect::{Acted, Effect, Report};
use crate::error::ApiError;
use crate::executions::machines::MachineArn;
use crate::executions::{Begin, Origin};
use crate::functions::FunctionName;
use crate::input::{Follow, HOPS_MAX, Input};
use crate::kernel::{Kernel, Step};
use crate::message::{self, Message, Properties, QoS};
use crate::read::Reads;
use crate::request::{Publish, Request, Service};
use crate::rules::errands::{Errand, Place, Stage};
use crate::rules::{Failure, Matched, Outcome, Resolved, Run};
use crate::write::Write;

/// Most messages that rules republish because of one input. Rules that multiply messages in a loop
/// would never let a turn end.
const REPUBLISHED_MAX: usize = 1_000;
/// Rules in a row, beyond those of a loop, whose error actions republish.
const ERROR_HOPS: u8 = 2;

/// What the operator reads in front of the failure of an error action, which has none of its own.
const ERROR_ACTION: &str = "its error action failed too: ";

/// What is left to do of a rule's run on a message.
#[derive(Debug)]
pub struct Acting {
    run: Run,
    part: Part,
    left: VecDeque<Deed>,
    failures: Vec<Failure>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Actions,
    ErrorAction,
}

/// An action, ready to be carried out.
#[derive(Debug)]
struct Deed {
    place: Place,
    kind: &'static str,
    resource: Arc<str>,
    what: What,
}

/// How far an action is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    /// It has come to its end.
    Whole,
    /// The rest is an errand.
    Owed,
}

#[derive(Debug)]
enum What {
    /// Ask a service, which reads.
    Ask(Box<Request>),
    /// Anything else.
    Do(Resolved),
}

impl Acting {
    /// What follows from what a rule made of `message`.
    pub(crate) fn of(matched: Matched, message: &Arc<Message>, hops: u8) -> Acting {
        let Matched { rule, payload, salt, outcomes } = matched;
        let run = Run { rule, payload, message: Arc::clone(message), hops, salt };
        Acting::new(run, Part::Actions, outcomes)
    }

    fn new(run: Run, part: Part, outcomes: impl IntoIterator<Item = Outcome>) -> Acting {
        let left = outcomes.into_iter().map(Deed::of).collect();
        Acting { run, part, left, failures: Vec::new() }
    }

    /// The request of the next action that makes one.
    pub(crate) fn request(&self) -> Option<&Request> {
        self.left.iter().find_map(|deed| match &deed.what {
            What::Ask(request) => Some(request.as_ref()),
            What::Do(_) => None,
        })
    }
}

impl Deed {
    fn of(outcome: Outcome) -> Deed {
        let Outcome { place, kind, resource, action } = outcome;
        let asked = match &action {
            Resolved::Request { service, operation, body } => {
                Some(Request::parse(*service, operation, body))
            }
            Resolved::Object { bucket, key, acl, bytes } => {
                let text = |text: &Arc<str>| Json::String(Arc::clone(text));
                let mut body = vec![("Bucket", text(bucket)), ("Key", text(key))];
                body.extend(acl.as_ref().map(|acl| ("ACL", text(acl))));
                let put = Request::parse(Service::S3, "PutObject", &Json::object(body));
                Some(put.map(|put| put.map(|put| with_bytes(put, bytes))))
            }
            Resolved::StepFunctions { .. }
            | Resolved::Republish { .. }
            | Resolved::Log { .. }
            | Resolved::CompleteTask { .. }
            | Resolved::Lambda { .. }
            | Resolved::Deliver(_)
            | Resolved::Failed { .. } => None,
        };
        let failed = |why: String| What::Do(Resolved::Failed { why });
        let what = match asked {
            None => What::Do(action),
            Some(Some(Ok(request))) => What::Ask(Box::new(request)),
            Some(Some(Err(error))) => failed(error.to_string()),
            Some(None) => failed("the service does not have this operation".to_owned()),
        };
        Deed { place, kind, resource, what }
    }
}

fn with_bytes(request: Request, bytes: &bytes::Bytes) -> Request {
    match request {
        Request::Objects(put) => Request::Objects(put.with_body(bytes.clone())),
        other => other,
    }
}

impl Kernel {
    /// Carries out actions until one has asked a service, and leaves the rest to follow.
    pub(crate) fn act(
        &mut self,
        now: Timestamp,
        mut acting: Box<Acting>,
        reads: &Reads,
        step: &mut Step,
    ) {
        while let Some(Deed { place, kind, resource, what }) = acting.left.pop_front() {
            let asks = matches!(what, What::Ask(_));
            let done = match what {
                What::Ask(request) => self.ask_service(now, &request, reads, step),
                What::Do(action) => self.carry_out(now, &acting.run, place, action, step),
            };
            let on_error = acting.part == Part::ErrorAction;
            match done {
                Ok(Done::Whole) => count(&acting.run, kind, on_error, true, step),
                // It is counted when it has arrived or is given up.
                Ok(Done::Owed) => {}
                Err(why) => {
                    acting.failures.push(Failure { action: kind, resource, why: why.into() });
                }
            }
            if asks && acting.request().is_some() {
                step.then.push(Input::Follow(Follow::Act(acting)));
                return;
            }
        }
        let Acting { run, part, failures, .. } = *acting;
        match part {
            Part::Actions => self.failed(run, &failures, step),
            Part::ErrorAction => report(&run, ERROR_ACTION, &failures, step),
        }
    }

    /// Actions of a rule have failed, if `failures` says so: that is reported, and the rule's error
    /// action follows, once for all of them.
    pub(crate) fn failed(&mut self, run: Run, failures: &[Failure], step: &mut Step) {
        if failures.is_empty() {
            return;
        }
        report(&run, "", failures, step);
        let outcome = self.rules.on_error(&run, failures, &self.settings);
        step.then.extend(outcome.map(|outcome| error_action(run, outcome)));
    }

    /// What errands were for has failed for good: one, or those that share a request.
    pub(crate) fn give_up(&mut self, errands: &[Arc<Errand>], why: &str, step: &mut Step) {
        let Some(last) = errands.last() else { return };
        let Stage::Deliver { place, delivery, .. } = &last.stage else { return };
        let (action, resource) = (delivery.kind(), delivery.resource());
        let failures = [Failure { action, resource, why: why.into() }];
        let prefix = if *place == Place::Error { ERROR_ACTION } else { "" };
        errands.iter().for_each(|errand| report(&errand.run, prefix, &failures, step));
        let outcome = match (place, delivery.batch()) {
            (Place::Error, _) => None,
            (_, None) => self.rules.on_error(&last.run, &failures, &self.settings),
            (_, Some(batch)) => {
                let runs: Vec<&Run> = errands.iter().map(|errand| &errand.run).collect();
                let [failure] = &failures;
                self.rules.on_batch_error(&runs, batch, failure, &self.settings)
            }
        };
        step.then.extend(outcome.map(|outcome| error_action(last.run.clone(), outcome)));
    }

    /// What an errand was for has arrived.
    pub(crate) fn arrived(errand: &Errand, step: &mut Step) {
        if let Stage::Deliver { place, delivery, .. } = &errand.stage {
            count(&errand.run, delivery.kind(), *place == Place::Error, true, step);
        }
    }

    fn ask_service(
        &mut self,
        now: Timestamp,
        request: &Request,
        reads: &Reads,
        step: &mut Step,
    ) -> Result<Done, String> {
        let answer = self.call(now, Asker::Rule, request, reads, step);
        answer.transpose().map(|_| Done::Whole).map_err(|error| error.to_string())
    }

    fn carry_out(
        &mut self,
        now: Timestamp,
        run: &Run,
        place: Place,
        action: Resolved,
        step: &mut Step,
    ) -> Result<Done, String> {
        let done = match action {
            Resolved::Deliver(delivery) => {
                self.owe(Errand::delivering(run.clone(), place, delivery), step)?;
                return Ok(Done::Owed);
            }
            Resolved::StepFunctions { state_machine_name, execution_name_prefix, input } => {
                let machine = MachineArn::of(&state_machine_name);
                let origin = Some(Arc::new(self.origin_of(run)));
                self.begin(now, &machine, &execution_name_prefix, &input, origin, step)
            }
            Resolved::Republish { topic, qos, payload, properties } => {
                self.republish(run, place, &topic, payload, (qos, *properties), step)
            }
            Resolved::Log { events, .. } if events.is_empty() => Ok(()),
            Resolved::Log { group, events } => {
                let mut writes = Vec::new();
                let logged = self.logs.log_of_rule(now, &group, &run.rule, &events, &mut writes);
                step.writes.extend(writes.into_iter().map(Write::Logs));
                logged.map_err(|error| error.to_string())
            }
            Resolved::CompleteTask {
                table,
                operation_id,
                device_id,
                attributes,
                output,
                publisher,
            } => {
                let answer = Answer {
                    rule: Arc::clone(&run.rule),
                    table,
                    operation: operation_id,
                    device: device_id,
                    publisher,
                    attributes,
                    output,
                    at: run.message.at,
                };
                step.then.push(Input::Follow(Follow::Complete(None, answer)));
                Ok(())
            }
            Resolved::Lambda { function_arn, payload } => {
                let function = FunctionName::parse(&function_arn).map_err(|error| error.message)?;
                let mut writes = Vec::new();
                let (functions, settings) = (&mut self.functions, &self.settings);
                let queued = functions.enqueue(now, &function, payload, settings, &mut writes);
                step.writes.extend(writes.into_iter().map(Write::Functions));
                queued.map_err(|error| error.to_string())
            }
            Resolved::Failed { why } => Err(why),
            Resolved::Request { .. } | Resolved::Object { .. } => {
                Err("a request was not made".to_owned())
            }
        };
        done.map(|()| Done::Whole)
    }

    fn republish(
        &mut self,
        run: &Run,
        place: Place,
        topic: &Arc<str>,
        payload: bytes::Bytes,
        (qos, properties): (QoS, Properties),
        step: &mut Step,
    ) -> Result<(), String> {
        // Whoever is to hear of a loop is heard: error actions go a little further.
        let (hops_max, republished_max) = match place {
            Place::Error => (HOPS_MAX + ERROR_HOPS, 2 * REPUBLISHED_MAX),
            Place::Statement | Place::Action(_) => (HOPS_MAX, REPUBLISHED_MAX),
        };
        if run.hops >= hops_max {
            return Err(format!("RepublishLoop: a republish loop: {hops_max} rules in a row"));
        }
        if self.republished >= republished_max {
            let why = "messages were republished because of one";
            return Err(format!("RepublishLoop: a republish loop: {republished_max} {why}"));
        }
        let message = |error: ApiError| error.to_string();
        let again = if topic.starts_with('$') {
            // Which of these may be is decided by the action.
            let whole = topic.strip_prefix('$').unwrap_or(topic);
            let checked = Publish::to(whole, payload, qos, false, properties).map_err(message)?;
            Publish { topic: Arc::clone(topic), ..checked }
        } else {
            Publish::to(topic, payload, qos, false, properties).map_err(message)?
        };
        again.within(&self.settings.mqtt).map_err(message)?;
        self.republished += 1;
        self.publish(again.message(run.message.at), run.hops + 1, step);
        Ok(())
    }

    /// What an execution that a rule starts will be known to come from.
    fn origin_of(&self, run: &Run) -> Origin {
        let message = &run.message;
        let (client, thing) = match &message.origin {
            message::Origin::Client(client) => (Some(Arc::clone(&client.id)), client.thing.clone()),
            message::Origin::Caller(_) => (None, None),
            message::Origin::Service => {
                let client = message.told_client();
                let record = client.and_then(|client| self.broker.record_of(client));
                let thing = record.and_then(|record| record.client.thing.clone());
                let of_topic = || message.told_thing().map(Arc::from);
                (client.map(Arc::from), thing.or_else(of_topic))
            }
        };
        let (rule, topic) = (Arc::clone(&run.rule), Arc::clone(&message.topic));
        Origin { rule, topic, client, thing }
    }

    /// Starts an execution of a state machine, version or alias, under a name that no other start has.
    pub(crate) fn begin(
        &mut self,
        now: Timestamp,
        machine: &MachineArn,
        prefix: &str,
        input: &Json,
        origin: Option<Arc<Origin>>,
        step: &mut Step,
    ) -> Result<(), String> {
        let target = self.executions.target(machine, &self.settings).map_err(|e| e.to_string())?;
        let name = format!("{prefix}{}", self.executions.made_up_name(&self.settings)).into();
        let input = input.to_text();
        let max = self.settings.quotas.payload_bytes();
        if input.len() > max {
            return Err(format!("the input has {} bytes, at most {max}", input.len()));
        }
        let input = input.into();
        let (trace_header, parent, test_case) = (None, None, None);
        let begin = Begin { target, name, input, trace_header, parent, test_case, origin };
        let refused = || {
            let machine = machine.text(&self.settings);
            format!("the definition of `{machine}` is not valid in this version")
        };
        let begun = self.executions.begin(now, begin, &self.settings);
        let (id, ran) = begun.ok_or_else(refused)?;
        self.ask(now, id, ran, step);
        Ok(())
    }
}

fn error_action(run: Run, outcome: Outcome) -> Input {
    Input::Follow(Follow::Act(Box::new(Acting::new(run, Part::ErrorAction, [outcome]))))
}

/// Has an action counted that has come to its end.
fn count(run: &Run, action: &'static str, on_error: bool, succeeded: bool, step: &mut Step) {
    let rule = Arc::clone(&run.rule);
    step.effects.push(Effect::Acted(Acted { rule, action, on_error, succeeded }));
}

/// Tells the operator of each failure.
fn report(run: &Run, prefix: &str, failures: &[Failure], step: &mut Step) {
    for failure in failures {
        count(run, failure.action, prefix == ERROR_ACTION, false, step);
    }
    step.effects.extend(failures.iter().map(|failure| {
        let Failure { action, resource, why } = failure;
        Effect::Report(Report::RuleFailed {
            rule: Arc::clone(&run.rule),
            topic: Arc::clone(&run.message.topic),
            why: format!("{prefix}{action} on `{resource}`: {why}").into(),
        })
    }));
}
