//! The work on a stack: one resource a turn, until all is done.

use std::sync::Arc;

use stepwire_asl::Json;

use super::events::Turn;
use super::kinds::{self, Context, Made};
use super::make::earlier;
use super::status::{OnFailure, Stage, Status, Support};
use super::{
    Awaited, Before, Body, Deed, Doing, Resource, Stack, StackKey, Stacks, Waiting, Work, Write,
    custom, nothing, plan,
};
use crate::read::{Read, Reads};
use crate::settings::Settings;

/// What is said of an update that changes nothing.
pub(super) const NO_UPDATES: &str = "No updates are to be performed.";

/// What comes next in a stack's work.
#[derive(Debug)]
pub(super) enum Next {
    /// This is done to a resource.
    Do(Arc<str>, Deed),
    /// There is more to look at.
    Again,
    /// This part of the work is done.
    Done,
    /// A resource could not be made or changed.
    Failed,
}

/// A resource's place among all others, for its type.
pub(super) struct Where {
    id: String,
    name: Arc<str>,
    logical: Arc<str>,
}

impl Where {
    pub(super) fn of(stack: &Stack, logical: &Arc<str>, settings: &Settings) -> Where {
        let (id, name) = (stack.id(settings), Arc::clone(&stack.name));
        Where { id, name, logical: Arc::clone(logical) }
    }

    pub(super) fn context<'a>(&'a self, token: &'a str, settings: &'a Settings) -> Context<'a> {
        Context {
            partition: "aws",
            region: &settings.region,
            account: &settings.account,
            stack_name: &self.name,
            stack_id: &self.id,
            logical_id: &self.logical,
            token,
        }
    }
}

impl Stacks {
    /// The table whose indexes a stack's work waits for.
    pub(super) fn awaited_table(&self, key: &StackKey) -> Option<Arc<str>> {
        match &self.stacks.get(key)?.work.as_ref()?.waiting.as_ref()?.what {
            Awaited::Indexes(table) => Some(Arc::clone(table)),
            Awaited::Response(_) | Awaited::Stack(_) => None,
        }
    }

    /// The stack whose work goes on now: this one, or the one that waits for it.
    pub(super) fn to_wake(&self, key: &StackKey) -> Option<StackKey> {
        let stack = self.stacks.get(key)?;
        match &stack.work {
            Some(work) if !work.stalled => {
                let goes_on = match work.waiting.as_ref().map(|waiting| &waiting.what) {
                    None => true,
                    // A stack may refuse at once to be what is wanted of it.
                    Some(Awaited::Stack(child)) => self.rests_already(child),
                    Some(Awaited::Response(_) | Awaited::Indexes(_)) => false,
                };
                goes_on.then(|| key.clone())
            }
            _ => {
                let (parent, _) = stack.parent.as_ref()?;
                let work = self.stacks.get(parent)?.work.as_ref()?;
                let waits = work.waiting.as_ref()?.what == Awaited::Stack(key.clone());
                waits.then(|| parent.clone())
            }
        }
    }

    /// Whether nobody is at work on a stack.
    fn rests_already(&self, key: &StackKey) -> bool {
        let work = self.stacks.get(key).and_then(|stack| stack.work.as_ref());
        work.is_none_or(|work| work.stalled)
    }

    /// Reads what the next slice of work reads, so that it is fetched.
    pub(crate) fn prefetch_work(&self, key: &StackKey, read: &dyn Read) {
        if let Some(number) = self.expands(key) {
            let _ = plan::stored(number, read);
        }
    }

    /// The template that the next slice of work looks at, unless it is here.
    fn expands(&self, key: &StackKey) -> Option<u64> {
        let work = self.stacks.get(key)?.work.as_ref()?;
        let needed = matches!(work.doing, Doing::Create | Doing::Update);
        let number = Some(work.plan.template).filter(|_| needed)?;
        (!self.expanded.contains_key(&number)).then_some(number)
    }

    /// Goes on with the work on a stack: what is to be done to a resource now, if that is asked for.
    pub(super) fn next(
        &mut self,
        turn: &mut Turn<'_>,
        key: &StackKey,
        reads: &Reads,
    ) -> Option<(Arc<str>, Deed)> {
        let mut stack = Stack::clone(self.stacks.get(key)?);
        let work = stack.work.clone().filter(|work| !work.stalled)?;
        if let Some(waiting) = &work.waiting {
            if let Awaited::Stack(child) = &waiting.what
                && let Some(result) = custom::came_of(self, child, &waiting.deed, turn.settings)
            {
                self.told(turn, key, result.map_err(custom::Failed::from));
            }
            return None;
        }
        if let Some(number) = self.expands(key) {
            let expanded = plan::stored(number, reads).map_err(|error| error.to_string());
            let expanded = expanded.and_then(|template| {
                plan::expand(&template, &stack.name, stack.number, &work.plan, turn.settings)
            });
            match expanded {
                Ok(expanded) => drop(self.expanded.insert(number, Arc::new(expanded))),
                Err(why) => {
                    self.fails(turn, &mut stack, None, &why);
                    self.keep(stack, turn.out);
                    return None;
                }
            }
        }
        let expanded = self.expanded.get(&work.plan.template).cloned();
        let next = match (work.doing, &expanded) {
            (Doing::Create | Doing::Update, Some(expanded)) => {
                self.advance(turn, &mut stack, &work, expanded)
            }
            (Doing::Create | Doing::Update, None) => Next::Done,
            (Doing::UndoUpdate, _) => self.change_back(turn, &mut stack, &work),
            (Doing::Cleanup | Doing::UndoCleanup, _) => self.clean_up(turn, &mut stack, &work),
            (Doing::UndoCreate | Doing::Delete, _) => self.take_down(turn, &mut stack, &work),
        };
        let deed = match next {
            Next::Do(logical, deed) => Some((logical, deed)),
            Next::Again => None,
            Next::Failed => {
                self.fails(turn, &mut stack, None, "");
                None
            }
            Next::Done => {
                self.part_done(turn, &mut stack, work, expanded.as_deref());
                None
            }
        };
        self.keep(stack, turn.out);
        deed
    }

    /// What came of what was done to a resource.
    pub(super) fn ended(
        &mut self,
        turn: &mut Turn<'_>,
        key: &StackKey,
        logical: Arc<str>,
        deed: Deed,
        answers: &[Json],
        result: Result<(), String>,
    ) {
        let Some(stack) = self.stacks.get(key) else { return };
        let mut stack = Stack::clone(stack);
        let Some(resource) = self.resource(stack.number, &logical) else { return };
        let mut resource = Resource::clone(resource);
        let (kind, support) = match &deed {
            Deed::Create(body) | Deed::Replace(body) | Deed::Remove(body) => {
                (&body.kind, body.support)
            }
            Deed::Change(_) | Deed::Restore(_) | Deed::Delete => {
                (&resource.now.kind, resource.now.support)
            }
        };
        if kinds::is_own(kind) && support == Support::Served {
            let settings = turn.settings;
            let waiting = result.is_ok().then(|| {
                custom::waiting(turn.now, self, &stack, &resource, &deed, answers, settings)
            });
            if let Some(Some(waiting)) = waiting {
                if let Some(work) = &mut stack.work {
                    work.waiting = Some(waiting);
                }
            } else {
                let result = result.map(|()| nothing());
                let (made, result) = custom::made(&resource, &deed, result, None);
                self.settle(turn, &mut stack, &mut resource, deed, made, result);
            }
            self.keep(stack, turn.out);
            return;
        }
        let place = Where::of(&stack, &logical, turn.settings);
        let result = result.map_err(|why| must_be_renamed(&resource, &deed, why));
        // Whose first request is refused is as it was.
        let is_untouched = result.is_err() && answers.is_empty();
        let made = (!is_untouched)
            .then(|| made(&place, &resource, &deed, answers, turn.settings))
            .flatten();
        let table = result.is_ok().then(|| awaits(&place, &resource, &deed, turn.settings));
        match table.flatten() {
            Some(table) => self.awaits_indexes(turn, &mut stack, resource, deed, table),
            None => self.settle(turn, &mut stack, &mut resource, deed, made, result),
        }
        self.keep(stack, turn.out);
    }

    /// A table has been changed, and gets an index: the work goes on once that can be used.
    fn awaits_indexes(
        &mut self,
        turn: &mut Turn<'_>,
        stack: &mut Stack,
        mut resource: Resource,
        deed: Deed,
        table: String,
    ) {
        let logical = Arc::clone(&resource.logical);
        if let Deed::Change(to) = &deed {
            // An update that is cancelled meanwhile undoes it.
            resource.before = earlier(&resource);
            resource.now = changed(&resource.now, to.clone(), None);
            self.keep_resource(stack.number, resource, turn.out);
        }
        if let Some(work) = &mut stack.work {
            // Every tick looks, as every tick takes more items into the index.
            let (until, what) = (Some(turn.now), Awaited::Indexes(table.into()));
            work.waiting = Some(Waiting { logical, until, what, deed });
        }
    }

    /// What a resource has waited for has come.
    pub(super) fn told(
        &mut self,
        turn: &mut Turn<'_>,
        key: &StackKey,
        result: Result<Json, custom::Failed>,
    ) {
        let Some(stack) = self.stacks.get(key) else { return };
        let mut stack = Stack::clone(stack);
        let Some(waiting) = stack.work.as_mut().and_then(|work| work.waiting.take()) else {
            return;
        };
        let Waiting { logical, deed, what, .. } = waiting;
        let resource = self.resource(stack.number, &logical);
        if let Some(mut resource) = resource.map(|resource| Resource::clone(resource)) {
            if let Awaited::Indexes(_) = &what {
                let result = result.map(drop).map_err(|failed| failed.why);
                self.settle(turn, &mut stack, &mut resource, deed, None, result);
                self.keep(stack, turn.out);
                return;
            }
            let physical = match &what {
                Awaited::Stack((name, number)) => {
                    Some(super::stack_id(name, *number, turn.settings))
                }
                // A function that failed may have made something: the rollback has it deleted.
                Awaited::Response(_) => result.as_ref().err().map(|failed| {
                    let place = Where::of(&stack, &logical, turn.settings);
                    let token = match &deed {
                        Deed::Create(body) | Deed::Replace(body) => &body.token,
                        _ => &resource.now.token,
                    };
                    failed.there(&place.context(token, turn.settings))
                }),
                Awaited::Indexes(_) => None,
            };
            let result = result.map_err(|failed| failed.why);
            let (made, result) = custom::made(&resource, &deed, result, physical);
            let deed = match deed {
                Deed::Change(to)
                    if custom::has_replaced(
                        &resource,
                        &Deed::Change(to.clone()),
                        made.as_ref(),
                    ) =>
                {
                    let token = stack.events.1.to_string().into();
                    Deed::Replace(Body { token, ..to })
                }
                deed => deed,
            };
            self.settle(turn, &mut stack, &mut resource, deed, made, result);
        }
        self.keep(stack, turn.out);
    }

    /// Records what a resource is after what was done to it, and what follows for the stack.
    fn settle(
        &mut self,
        turn: &mut Turn<'_>,
        stack: &mut Stack,
        resource: &mut Resource,
        deed: Deed,
        made: Option<Made>,
        result: Result<(), String>,
    ) {
        let doing = stack.work.as_ref().map_or(Doing::Delete, |work| work.doing);
        let failed = result.as_ref().err().map(|why| Arc::<str>::from(why.as_str()));
        let logical = Arc::clone(&resource.logical);
        let is_done = failed.is_none();
        let (status, told) = match deed {
            Deed::Create(body) => {
                resource.now = Body { made, ..body };
                let status = if is_done { Status::CreateComplete } else { Status::CreateFailed };
                (status, resource.now.clone())
            }
            Deed::Replace(body) => {
                let new = Body { made, ..body };
                let told = new.clone();
                if new.made.is_some() {
                    let old = std::mem::replace(&mut resource.now, new);
                    match resource.before {
                        Before::Same => resource.before = Before::Other(Box::new(old)),
                        Before::Other(ref before) if before.token == old.token => {}
                        Before::Other(_) | Before::Absent => resource.leftovers.push(old),
                    }
                }
                (if is_done { Status::UpdateComplete } else { Status::UpdateFailed }, told)
            }
            Deed::Change(to) => {
                resource.before = earlier(resource);
                let is_changed = is_done || made.is_some();
                let told = changed(&resource.now, to, made);
                if is_changed {
                    resource.now = told.clone();
                }
                (if is_done { Status::UpdateComplete } else { Status::UpdateFailed }, told)
            }
            Deed::Restore(to) => {
                if is_done {
                    resource.now = to;
                    resource.before = Before::Same;
                }
                let status = if is_done { Status::UpdateComplete } else { Status::UpdateFailed };
                (status, resource.now.clone())
            }
            Deed::Delete => {
                let status = if is_done { Status::DeleteComplete } else { Status::DeleteFailed };
                (status, resource.now.clone())
            }
            Deed::Remove(body) => {
                self.removed(turn, stack, resource, &body, failed);
                return;
            }
        };
        if is_done && matches!(status, Status::CreateComplete | Status::UpdateComplete) {
            self.initiated(turn, stack, (&logical, &told), status);
        }
        let reason = failed.clone().or_else(|| remark(&told, status));
        self.tell_of(turn, stack, (&logical, &told), status, reason.clone());
        (resource.status, resource.reason, resource.changed) = (status, reason, turn.now);
        if is_done || matches!(doing, Doing::Delete | Doing::UndoCreate) {
            resource.passed = (stack.operations, doing);
        }
        let cleaned = matches!(doing, Doing::Cleanup | Doing::UndoCleanup);
        if cleaned && (status == Status::DeleteComplete || failed.is_some()) {
            // What cannot be removed is left alone: the events tell of it.
            self.record(Write::Resource(stack.number, logical, None), turn.out);
            return;
        }
        self.keep_resource(stack.number, resource.clone(), turn.out);
        if failed.is_some() && matches!(doing, Doing::Create | Doing::Update | Doing::UndoUpdate) {
            self.fails(turn, stack, Some(&logical), "");
        }
    }

    /// A resource that has just been made has a physical id.
    fn initiated(
        &mut self,
        turn: &mut Turn<'_>,
        stack: &mut Stack,
        of: (&Arc<str>, &Body),
        status: Status,
    ) {
        if status == Status::CreateComplete {
            let reason = Some("Resource creation Initiated".into());
            self.tell_of(turn, stack, of, Status::CreateInProgress, reason);
        }
    }

    /// A part of the work has failed, because of this resource or for this reason.
    pub(super) fn fails(
        &mut self,
        turn: &mut Turn<'_>,
        stack: &mut Stack,
        logical: Option<&str>,
        why: &str,
    ) {
        let Some(mut work) = stack.work.take() else { return };
        let failed: Vec<_> = match logical {
            Some(logical) => vec![logical.to_owned()],
            None if why.is_empty() => self
                .resources_of(stack.number)
                .filter(|one| matches!(one.status, Status::CreateFailed | Status::UpdateFailed))
                .map(|one| one.logical.to_string())
                .collect(),
            None => Vec::new(),
        };
        let verb = if work.doing == Doing::Create { "create" } else { "update" };
        let why = if failed.is_empty() {
            why.to_owned()
        } else {
            format!("The following resource(s) failed to {verb}: [{}]. ", failed.join(", "))
        };
        work.failure = Some(why.as_str().into());
        if matches!(work.doing, Doing::Create | Doing::Update) && work.change_set.is_some() {
            self.executed(turn, stack, Stage::NotExecuted);
        }
        let because = why.trim_end_matches([' ', '.']);
        let undoes = format!("{because}. Rollback requested by user.");
        let plain: Option<Arc<str>> = Some(why.as_str().into());
        let (doing, stalled, status, reason): (_, _, _, Option<Arc<str>>) = match work.doing {
            Doing::Create => match work.plan.on_failure {
                OnFailure::DoNothing => (Doing::Create, true, Status::CreateFailed, plain),
                OnFailure::Rollback => {
                    (Doing::UndoCreate, false, Status::RollbackInProgress, Some(undoes.into()))
                }
                OnFailure::Delete => {
                    let reason = format!("{because}. Delete requested by user.");
                    (Doing::Delete, false, Status::DeleteInProgress, Some(reason.into()))
                }
            },
            Doing::Update if work.plan.disable_rollback => {
                (Doing::Update, true, Status::UpdateFailed, plain)
            }
            Doing::Update => (Doing::UndoUpdate, false, Status::UpdateRollbackInProgress, plain),
            Doing::UndoUpdate => (Doing::UndoUpdate, true, Status::UpdateRollbackFailed, plain),
            doing @ (Doing::Cleanup | Doing::UndoCleanup | Doing::UndoCreate | Doing::Delete) => {
                (doing, false, stack.status, None)
            }
        };
        let told = doing != work.doing || stalled;
        (work.doing, work.stalled, work.waiting) = (doing, stalled, None);
        stack.work = Some(work);
        if told {
            self.moves(turn, stack, status, reason);
        }
    }

    /// A part of the work is done: what comes after it.
    fn part_done(
        &mut self,
        turn: &mut Turn<'_>,
        stack: &mut Stack,
        mut work: Work,
        expanded: Option<&stepwire_cloudformation::Expanded>,
    ) {
        match work.doing {
            Doing::Create | Doing::Update => {
                let Some(expanded) = expanded else { return };
                match self.outputs(stack, expanded) {
                    Err(why) => self.fails(turn, stack, None, &why),
                    Ok(outputs) => {
                        stack.outputs = outputs;
                        self.takes_over(turn, stack, work);
                    }
                }
            }
            Doing::UndoUpdate => {
                work.doing = Doing::UndoCleanup;
                stack.work = Some(work);
                let status = Status::UpdateRollbackCompleteCleanupInProgress;
                self.moves(turn, stack, status, None);
            }
            Doing::Cleanup => self.rests(turn, stack, Status::UpdateComplete, None),
            Doing::UndoCleanup => {
                // The stack that this one is in tells why.
                let reason = work.failure.clone().filter(|_| stack.parent.is_some());
                stack.work = Some(work);
                self.rests(turn, stack, Status::UpdateRollbackComplete, reason);
            }
            Doing::UndoCreate => {
                let failed = self.not_deleted(stack.number);
                // The stack that this one is in tells why.
                let why = work.failure.clone().filter(|_| stack.parent.is_some());
                let (status, reason) = if failed.is_empty() {
                    (Status::RollbackComplete, why)
                } else {
                    (Status::RollbackFailed, Some(not_deleted(&failed)))
                };
                self.expanded.remove(&stack.plan.template);
                stack.work = Some(work);
                self.rests(turn, stack, status, reason);
            }
            Doing::Delete => {
                let failed = self.not_deleted(stack.number);
                if failed.is_empty() {
                    self.deleted(turn, stack, work);
                } else {
                    let reason = Some(not_deleted(&failed));
                    self.rests(turn, stack, Status::DeleteFailed, reason);
                }
            }
        }
    }

    /// All resources are as the plan wants them: it is the stack's now.
    fn takes_over(&mut self, turn: &mut Turn<'_>, stack: &mut Stack, mut work: Work) {
        let before = std::mem::replace(&mut stack.plan, work.plan.clone());
        if let Some(change_set) = &work.change_set {
            stack.change_set = Some(Arc::clone(change_set));
            self.executed(turn, stack, Stage::Executed);
        }
        self.expanded.remove(&stack.plan.template);
        if work.doing == Doing::Create {
            self.rests(turn, stack, Status::CreateComplete, None);
            return;
        }
        self.forget_template(before.template, turn);
        work.doing = Doing::Cleanup;
        stack.work = Some(work);
        self.moves(turn, stack, Status::UpdateCompleteCleanupInProgress, None);
    }

    /// There is no more work on a stack.
    fn rests(
        &mut self,
        turn: &mut Turn<'_>,
        stack: &mut Stack,
        status: Status,
        reason: Option<Arc<str>>,
    ) {
        self.moves(turn, stack, status, reason);
        if status == Status::UpdateComplete || status == Status::UpdateRollbackComplete {
            stack.updated = Some(turn.now);
        }
        if let Some(work) = stack.work.take()
            && work.plan.template != stack.plan.template
        {
            self.forget_template(work.plan.template, turn);
        }
    }

    /// Resources that are still there though they should not be.
    fn not_deleted(&self, stack: u64) -> Vec<Arc<str>> {
        let left = self.resources_of(stack).filter(|one| one.is_there());
        left.map(|one| Arc::clone(&one.logical)).collect()
    }

    /// A template that nothing needs any more goes.
    pub(super) fn forget_template(&mut self, number: u64, turn: &mut Turn<'_>) {
        if number > 0 {
            self.record(Write::Template(number, None), turn.out);
        }
    }
}

fn not_deleted(failed: &[Arc<str>]) -> Arc<str> {
    format!("The following resource(s) failed to delete: [{}]. ", failed.join(", ")).into()
}

/// What the answers to a chore's requests come to.
fn made(
    place: &Where,
    resource: &Resource,
    deed: &Deed,
    answers: &[Json],
    settings: &Settings,
) -> Option<Made> {
    let context = |body: &Body| -> Made {
        let context = place.context(&body.token, settings);
        match body.support {
            Support::Placeholder => kinds::placeholder(&body.kind, &context),
            Support::Served | Support::WithoutEffect => {
                kinds::made(&body.kind, &context, &body.properties, answers)
            }
        }
    };
    match deed {
        Deed::Create(body) | Deed::Replace(body) => {
            let nothing_done = answers.is_empty() && asks(body, place, settings);
            (!nothing_done).then(|| context(body))
        }
        Deed::Change(to) => {
            let now = &resource.now;
            let made = now.made.as_ref()?;
            if now.support == Support::Placeholder {
                return Some(made.clone());
            }
            let context = place.context(&now.token, settings);
            let (from, to) = (&now.properties, &to.properties);
            Some(kinds::updated(&now.kind, &context, from, to, made, answers))
        }
        Deed::Restore(_) | Deed::Delete | Deed::Remove(_) => None,
    }
}

/// A body that has been changed to another, in place.
fn changed(now: &Body, to: Body, made: Option<Made>) -> Body {
    let made = made.or_else(|| now.made.clone());
    Body { made, token: Arc::clone(&now.token), ..to }
}

/// The table whose indexes a change that was asked for waits for.
fn awaits(place: &Where, resource: &Resource, deed: &Deed, settings: &Settings) -> Option<String> {
    let (Deed::Change(to) | Deed::Restore(to)) = deed else { return None };
    let now = &resource.now;
    let made = now.made.as_ref().filter(|_| now.support == Support::Served)?;
    let context = place.context(&now.token, settings);
    kinds::awaits(&now.kind, &context, &now.properties, &to.properties, made)
}

/// Why a resource was not made anew, where it would have had the name that it has already.
fn must_be_renamed(resource: &Resource, deed: &Deed, why: String) -> String {
    let Deed::Replace(body) = deed else { return why };
    let name = kinds::custom_name(&body.kind, &body.properties);
    let before = kinds::custom_name(&resource.now.kind, &resource.now.properties);
    match name.filter(|_| name == before && why.to_ascii_lowercase().contains("already exist")) {
        None => why,
        Some(name) => format!(
            "CloudFormation cannot update a stack when a custom-named resource requires replacing. \
             Rename {name} and update the stack again."
        ),
    }
}

/// Whether anything at all has to be asked to make a resource.
fn asks(body: &Body, place: &Where, settings: &Settings) -> bool {
    if body.support == Support::Placeholder {
        return false;
    }
    let context = place.context(&body.token, settings);
    let first = kinds::create(&body.kind, &context, &body.properties, &[]);
    !matches!(first, Ok(None))
}

/// What there is to say of a resource that is made without being there.
fn remark(body: &Body, status: Status) -> Option<Arc<str>> {
    if !matches!(status, Status::CreateComplete | Status::UpdateComplete) {
        return None;
    }
    match body.support {
        Support::Served => None,
        Support::WithoutEffect => {
            let why = match kinds::support(&body.kind) {
                kinds::Support::WithoutEffect(why) => why,
                _ => "nothing is made of it",
            };
            Some(format!("stepwire: {} is accepted without effect: {why}", body.kind).into())
        }
        Support::Placeholder => Some(
            format!("stepwire: {} is not implemented; created as placeholder", body.kind).into(),
        ),
    }
}
