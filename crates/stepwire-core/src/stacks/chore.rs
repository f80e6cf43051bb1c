//! What is done to one resource of a stack: its requests, one after the other, and what its service answers.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::events::Turn;
use super::kinds::{self, Ask};
use super::run::{NO_UPDATES, Where};
use super::status::Support;
use super::{Deed, StackKey, Stacks, custom, nothing, secret_references};
use crate::asking::Asker;
use crate::effect::Effect;
use crate::functions::Functions;
use crate::input::{Follow, Input};
use crate::kernel::{Kernel, Step};
use crate::read::{Read, Reads};
use crate::request::Request;
use crate::settings::Settings;
use crate::write::Write as Record;

/// What is being done to a resource: a chain of follow-up inputs, one request each.
#[derive(Debug)]
pub struct Chore {
    stack: StackKey,
    logical: Arc<str>,
    deed: Deed,
    /// Of its requests so far.
    answers: Vec<Json>,
    /// The next one, and the errors that count as done.
    request: Option<(Request, &'static [&'static str])>,
    /// The next one before the secrets that it refers to are looked up.
    refers: Option<Ask>,
    /// Whether it is known that what is to be made is not there already.
    looked: Looked,
}

/// Whether a chore has seen that what it is to make is not there already.
#[derive(Debug)]
enum Looked {
    NotYet,
    /// The request on its way asks.
    Looking(Box<kinds::Look>),
    Done,
}

impl Chore {
    /// What it asks for next.
    pub(crate) fn request(&self) -> Option<&Request> {
        self.request.as_ref().map(|(request, _)| request)
    }

    /// Makes a request of what is asked; whether there is one: not if its refusal counts as done.
    fn prepare(&mut self, ask: Ask) -> Result<bool, String> {
        let Ask { service, operation, body, tolerate } = ask;
        match Request::parse(service, operation, &body) {
            Some(Ok(request)) => {
                self.request = Some((request, tolerate));
                Ok(true)
            }
            Some(Err(error)) if tolerate.contains(&&*error.code) => {
                self.answers.push(nothing());
                Ok(false)
            }
            Some(Err(error)) => Err(format!("{operation}: {error}")),
            None => Err(format!("{operation} is not available in stepwire")),
        }
    }

    /// Reads the secrets that it refers to, so that they are fetched.
    pub(crate) fn prefetch_secrets(&self, read: &dyn Read, settings: &Settings) {
        if let Some(ask) = &self.refers {
            let _ = secret_references::resolved(&ask.body, read, settings);
        }
    }
}

impl Kernel {
    /// A slice of the work on a stack.
    pub(crate) fn go_on_with_stack(
        &mut self,
        now: Timestamp,
        key: &StackKey,
        reads: &Reads,
        step: &mut Step,
    ) {
        let mut out = Vec::new();
        let mut turn = Turn { now, settings: &self.settings, out: &mut out };
        let chore = self.stacks.next(&mut turn, key, reads);
        step.writes.extend(out.into_iter().map(Record::Stacks));
        match chore {
            Some((logical, deed)) => {
                let (stack, answers) = (key.clone(), Vec::new());
                let looked = Looked::NotYet;
                let (request, refers) = (None, None);
                let chore = Chore { stack, logical, deed, answers, request, refers, looked };
                self.go_on_with_chore(now, Box::new(chore), step);
            }
            None => self.wake(key, step),
        }
    }

    /// Has the work on a stack go on in a turn of its own, or on the one that waits for it.
    fn wake(&self, key: &StackKey, step: &mut Step) {
        if let Some(stack) = self.stacks.to_wake(key) {
            step.effects.push(Effect::ContinueStack { stack });
        }
    }

    /// Has a stack's work go on, after a request.
    pub(super) fn start(&self, key: &StackKey, step: &mut Step) {
        self.wake(key, step);
    }

    /// Makes a chore's next request, or ends the chore.
    fn go_on_with_chore(&mut self, now: Timestamp, mut chore: Box<Chore>, step: &mut Step) {
        if matches!(chore.looked, Looked::NotYet) {
            chore.looked = Looked::Done;
            if let Some(look) = self.stacks.look(&chore, &self.settings) {
                let kinds::Ask { service, operation, body, tolerate } = look.ask.clone();
                // A name that cannot be is refused by the request that makes the resource.
                if let Some(Ok(request)) = Request::parse(service, operation, &body) {
                    chore.looked = Looked::Looking(Box::new(look));
                    chore.request = Some((request, tolerate));
                    step.then.push(Input::Follow(Follow::StackChore(chore)));
                    return;
                }
            }
        }
        loop {
            match self.stacks.request(&chore, &self.functions, &self.settings) {
                Ok(None) => return self.end_chore(now, *chore, Ok(()), step),
                Err(why) => return self.end_chore(now, *chore, Err(why), step),
                Ok(Some(Asked::Request(request))) => {
                    chore.request = Some((request, &[]));
                    step.then.push(Input::Follow(Follow::StackChore(chore)));
                    return;
                }
                Ok(Some(Asked::Ask(ask))) if secret_references::is_in(&ask.body) => {
                    chore.refers = Some(ask);
                    step.then.push(Input::Follow(Follow::StackChore(chore)));
                    return;
                }
                Ok(Some(Asked::Ask(ask))) => match chore.prepare(ask) {
                    Ok(true) => {
                        step.then.push(Input::Follow(Follow::StackChore(chore)));
                        return;
                    }
                    Ok(false) => {}
                    Err(why) => return self.end_chore(now, *chore, Err(why), step),
                },
            }
        }
    }

    /// Carries out a request of a chore.
    pub(crate) fn do_chore(
        &mut self,
        now: Timestamp,
        mut chore: Box<Chore>,
        reads: &Reads,
        step: &mut Step,
    ) {
        if let Some(ask) = chore.refers.take() {
            let body = secret_references::resolved(&ask.body, reads, &self.settings);
            let prepared = body.and_then(|body| chore.prepare(Ask { body, ..ask }));
            return match prepared {
                Ok(true) => step.then.push(Input::Follow(Follow::StackChore(chore))),
                Ok(false) => self.go_on_with_chore(now, chore, step),
                Err(why) => self.end_chore(now, *chore, Err(why), step),
            };
        }
        let Some((request, tolerate)) = chore.request.take() else { return };
        if let Looked::Looking(look) = std::mem::replace(&mut chore.looked, Looked::Done) {
            let found = self.call(now, Asker::Stack, &request, reads, step);
            if let Some(Ok(answer)) = found
                && look.has_found(&answer)
            {
                let why = Stacks::is_taken(&chore, &look.identifier);
                return self.end_chore(now, *chore, Err(why), step);
            }
            return self.go_on_with_chore(now, chore, step);
        }
        let answer = match self.call(now, Asker::Stack, &request, reads, step) {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(error)) if tolerate.contains(&&*error.code) => Ok(nothing()),
            // A stack within a stack may be as it is wanted already.
            Some(Err(error)) if error.message == NO_UPDATES => Ok(nothing()),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("the service does not answer at once".to_owned()),
        };
        match answer {
            Ok(answer) => {
                chore.answers.push(answer);
                self.go_on_with_chore(now, chore, step);
            }
            Err(why) => self.end_chore(now, *chore, Err(why), step),
        }
    }

    fn end_chore(
        &mut self,
        now: Timestamp,
        chore: Chore,
        result: Result<(), String>,
        step: &mut Step,
    ) {
        let mut out = Vec::new();
        let mut turn = Turn { now, settings: &self.settings, out: &mut out };
        let Chore { stack: key, logical, deed, answers, .. } = chore;
        self.stacks.ended(&mut turn, &key, logical, deed, &answers, result);
        step.writes.extend(out.into_iter().map(Record::Stacks));
        self.wake(&key, step);
    }

    /// Resources that have waited long enough fail; tables whose indexes are all there are done with.
    pub(crate) fn give_up_resources(&mut self, now: Timestamp, step: &mut Step) {
        for key in self.stacks.overdue(now) {
            let result = match self.stacks.awaited_table(&key) {
                None => Err(custom::NO_ANSWER.to_owned().into()),
                Some(table) if self.is_indexing(&table) => continue,
                Some(_) => Ok(nothing()),
            };
            self.resource_told(now, &key, result, step);
        }
    }

    /// Whether an index of a table does not know all its items yet.
    fn is_indexing(&self, table: &str) -> bool {
        let table = self.tables.table(table);
        table.is_some_and(|table| table.indexes.iter().any(|index| !index.is_active()))
    }

    /// What a resource waits for has come.
    pub(super) fn resource_told(
        &mut self,
        now: Timestamp,
        key: &StackKey,
        result: Result<Json, custom::Failed>,
        step: &mut Step,
    ) {
        let mut out = Vec::new();
        let mut turn = Turn { now, settings: &self.settings, out: &mut out };
        self.stacks.told(&mut turn, key, result);
        step.writes.extend(out.into_iter().map(Record::Stacks));
        self.wake(key, step);
    }
}

/// What a chore asks for.
pub(super) enum Asked {
    Ask(Ask),
    Request(Request),
}

impl Stacks {
    /// How to see whether what a chore is to make is there already.
    fn look(&self, chore: &Chore, settings: &Settings) -> Option<kinds::Look> {
        let (Deed::Create(body) | Deed::Replace(body)) = &chore.deed else { return None };
        if body.support != Support::Served || kinds::is_own(&body.kind) {
            return None;
        }
        let place = Where::of(self.stacks.get(&chore.stack)?, &chore.logical, settings);
        kinds::look(&body.kind, &place.context(&body.token, settings), &body.properties)
    }

    /// What is said of a resource whose name is taken.
    fn is_taken(chore: &Chore, identifier: &str) -> String {
        let kind = match &chore.deed {
            Deed::Create(body) | Deed::Replace(body) => &*body.kind,
            _ => "",
        };
        format!("Resource of type '{kind}' with identifier '{identifier}' already exists.")
    }

    /// The next request of a chore; `None`: there is no other.
    fn request(
        &self,
        chore: &Chore,
        functions: &Functions,
        settings: &Settings,
    ) -> Result<Option<Asked>, String> {
        let gone = || "the stack is gone".to_owned();
        let stack = self.stacks.get(&chore.stack).ok_or_else(gone)?;
        let resource = self.resource(stack.number, &chore.logical).ok_or_else(gone)?;
        let answers = chore.answers.as_slice();
        let (body, is_own) = match &chore.deed {
            Deed::Create(body) | Deed::Replace(body) | Deed::Remove(body) => {
                (body, kinds::is_own(&body.kind))
            }
            Deed::Change(_) | Deed::Restore(_) | Deed::Delete => {
                (&resource.now, kinds::is_own(&resource.now.kind))
            }
        };
        if body.support == Support::Placeholder {
            return Ok(None);
        }
        if is_own {
            let asked =
                custom::request(stack, resource, &chore.deed, answers, functions, settings)?;
            return Ok(asked.map(Asked::Request));
        }
        let place = Where::of(stack, &chore.logical, settings);
        let context = place.context(&body.token, settings);
        let asked = match &chore.deed {
            Deed::Create(body) | Deed::Replace(body) => {
                kinds::create(&body.kind, &context, &body.properties, answers)?
            }
            Deed::Change(to) | Deed::Restore(to) => {
                let made = body.made.as_ref().ok_or("it has not been made")?;
                let (from, to) = (&body.properties, &to.properties);
                let refusal = matches!(chore.deed, Deed::Change(_))
                    .then(|| kinds::refuses(&body.kind, &context, from, to, made));
                if let Some(why) = refusal.flatten() {
                    return Err(why.to_owned());
                }
                kinds::update(&body.kind, &context, from, to, made, answers)?
            }
            Deed::Delete | Deed::Remove(_) => match &body.made {
                Some(made) => kinds::delete(&body.kind, &context, &body.properties, made, answers),
                None => None,
            },
        };
        Ok(asked.map(Asked::Ask))
    }
}
