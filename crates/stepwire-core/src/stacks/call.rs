//! Requests that change something: each begins, ends or turns the work on a stack.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::change_set::not_updatable;
use super::events::Turn;
use super::plan::{For, Prepared, Refused, prepare};
use super::run::NO_UPDATES;
use super::status::{OnFailure, Stage, Status};
use super::{
    Doing, Execute, Plan, Request, STACKS_MAX, Stack, StackKey, Stacks, Wanted, Work, Write,
    custom, no_stack, nothing, validation,
};
use crate::error::ApiError;
use crate::kernel::{Kernel, Step};
use crate::read::Reads;
use crate::settings::Settings;
use crate::write::Write as Record;

/// Why an operation that somebody asked for has begun.
const USER: &str = "User Initiated";

impl Stack {
    /// A stack of which there is nothing yet.
    pub(super) fn new(name: Arc<str>, number: u64, now: Timestamp) -> Stack {
        Stack {
            number,
            name,
            status: Status::ReviewInProgress,
            reason: None,
            created: now,
            updated: None,
            deleted: None,
            plan: Plan::default(),
            outputs: Vec::new(),
            change_set: None,
            policy: None,
            protected: false,
            events: (0, 0),
            latest: Timestamp(0),
            operations: 0,
            work: None,
            parent: None,
        }
    }

    /// Whether somebody is at work on it.
    fn is_busy(&self) -> bool {
        self.work.as_ref().is_some_and(|work| !work.stalled)
    }
}

impl Work {
    fn new(doing: Doing, plan: Plan, token: Option<Arc<str>>) -> Work {
        Work {
            doing,
            plan,
            token,
            change_set: None,
            skip: Vec::new(),
            force: false,
            failure: None,
            waiting: None,
            stalled: false,
        }
    }
}

impl Kernel {
    /// Carries out a request on stacks that changes something.
    pub(crate) fn call_stacks(
        &mut self,
        now: Timestamp,
        request: &Request,
        reads: &Reads,
        step: &mut Step,
    ) -> Result<Json, ApiError> {
        if let Request::Respond { token, answer } = request {
            let key = self.stacks.awaits(token, &self.settings);
            let key = key.ok_or_else(|| validation("nobody waits for this answer"))?;
            self.resource_told(now, &key, custom::answered(answer), step);
            return Ok(nothing());
        }
        let mut out = Vec::new();
        let mut turn = Turn { now, settings: &self.settings, out: &mut out };
        let (answer, begun) = self.stacks.call(&mut turn, request, reads)?;
        step.writes.extend(out.into_iter().map(Record::Stacks));
        if let Some(key) = begun {
            self.start(&key, step);
        }
        Ok(answer)
    }
}

/// An answer, and the stack whose work goes on.
type Called = Result<(Json, Option<StackKey>), ApiError>;

impl Stacks {
    /// Carries out a request that changes something. On `Err` nothing has changed.
    fn call(&mut self, turn: &mut Turn<'_>, request: &Request, reads: &Reads) -> Called {
        match request {
            Request::CreateStack { stack, wanted, protected, parent } => {
                self.create(turn, (stack, parent.as_ref()), wanted, *protected, reads)
            }
            Request::UpdateStack { stack, wanted } => self.update(turn, stack, wanted, reads),
            Request::DeleteStack { stack, retain, force, token } => {
                self.delete(turn, stack, retain, *force, token.as_ref())
            }
            Request::CreateChangeSet(create) => {
                Ok((self.create_change_set(turn, create, reads)?, None))
            }
            Request::ExecuteChangeSet(execute) => self.execute(turn, execute),
            Request::DeleteChangeSet(name) => Ok((self.delete_change_set(turn, name)?, None)),
            Request::ContinueUpdateRollback { stack, skip, token } => {
                let status = [Status::UpdateRollbackFailed];
                let why = "is not in UPDATE_ROLLBACK_FAILED state and can not be rolled back.";
                self.undo(turn, stack, &status, why, skip, token.as_ref())
                    .map(|(_, key)| (nothing(), key))
            }
            Request::RollbackStack { stack, token } => {
                let status = [Status::CreateFailed, Status::UpdateFailed];
                let why = "is not in a failed state and can not be rolled back.";
                self.undo(turn, stack, &status, why, &[], token.as_ref())
            }
            Request::CancelUpdateStack { stack, .. } => self.cancel(turn, stack),
            Request::SetStackPolicy { stack, policy } => {
                let mut stack = self.live(stack, turn.settings)?;
                stack.policy = Some(Arc::clone(policy));
                self.keep(stack, turn.out);
                Ok((nothing(), None))
            }
            Request::UpdateTerminationProtection { stack, protected } => {
                let mut stack = self.live(stack, turn.settings)?;
                stack.protected = *protected;
                let answer = id_of(&stack, turn.settings);
                self.keep(stack, turn.out);
                Ok((answer, None))
            }
            Request::Respond { .. }
            | Request::DescribeStacks { .. }
            | Request::ListStacks { .. }
            | Request::DescribeStackEvents { .. }
            | Request::DescribeStackResource { .. }
            | Request::DescribeStackResources { .. }
            | Request::ListStackResources { .. }
            | Request::GetTemplate { .. }
            | Request::GetTemplateSummary { .. }
            | Request::ValidateTemplate { .. }
            | Request::DescribeChangeSet { .. }
            | Request::DescribeChangeSetHooks(_)
            | Request::ListChangeSets { .. }
            | Request::ListExports { .. }
            | Request::ListImports { .. }
            | Request::GetStackPolicy { .. } => Err(validation("this request only reads")),
        }
    }

    /// The stack of this name or ARN, which has not been deleted.
    fn live(&self, stack: &str, settings: &Settings) -> Result<Stack, ApiError> {
        let found = self.find(stack, settings).filter(|stack| stack.lives());
        Ok(Stack::clone(found.ok_or_else(|| no_stack(stack))?))
    }

    /// Refuses one stack too many.
    pub(super) fn has_room(&self) -> Result<(), ApiError> {
        if self.stacks.values().filter(|stack| stack.lives()).count() < STACKS_MAX {
            return Ok(());
        }
        let message = format!("Limit for stack has been exceeded ({STACKS_MAX})");
        Err(ApiError::new("LimitExceededException", message))
    }

    /// Stores what a stack is to be made of.
    fn store(&mut self, turn: &mut Turn<'_>, prepared: Prepared) -> Plan {
        let Prepared { mut plan, template, expanded } = prepared;
        plan.template = self.number(turn.out);
        self.record(Write::Template(plan.template, Some(Arc::new(template))), turn.out);
        self.expanded.insert(plan.template, expanded);
        plan
    }

    fn create(
        &mut self,
        turn: &mut Turn<'_>,
        (name, parent): (&Arc<str>, Option<&(StackKey, Arc<str>)>),
        wanted: &Wanted,
        protected: bool,
        reads: &Reads,
    ) -> Called {
        if let Some(stack) = self.named(name) {
            let work = stack.work.as_ref();
            let same = work.and_then(|work| work.token.as_ref()).filter(|_| wanted.token.is_some());
            if same.is_some_and(|token| Some(token) == wanted.token.as_ref()) {
                return Ok((id_of(stack, turn.settings), None));
            }
            let message = format!("Stack [{name}] already exists");
            return Err(ApiError::new("AlreadyExistsException", message));
        }
        self.has_room()?;
        let of = For { name, number: self.next.max(1), stack: None, is_change_set: false };
        let prepared =
            prepare(self, of, wanted, reads, turn.settings).map_err(Refused::into_error)?;
        let number = self.number(turn.out);
        let mut stack = Stack::new(Arc::clone(name), number, turn.now);
        (stack.policy, stack.protected) = (wanted.policy.clone(), protected);
        stack.parent = parent.cloned();
        let plan = self.store(turn, prepared);
        self.begin_create(turn, &mut stack, plan, wanted.token.clone(), None);
        let (answer, key) = (id_of(&stack, turn.settings), stack.key());
        self.keep(stack, turn.out);
        Ok((answer, Some(key)))
    }

    fn begin_create(
        &mut self,
        turn: &mut Turn<'_>,
        stack: &mut Stack,
        plan: Plan,
        token: Option<Arc<str>>,
        change_set: Option<Arc<str>>,
    ) {
        stack.plan = plan.clone();
        stack.operations += 1;
        stack.work = Some(Work { change_set, ..Work::new(Doing::Create, plan, token) });
        self.moves(turn, stack, Status::CreateInProgress, Some(USER.into()));
    }

    fn begin_update(
        &mut self,
        turn: &mut Turn<'_>,
        stack: &mut Stack,
        plan: Plan,
        token: Option<Arc<str>>,
        change_set: Option<Arc<str>>,
    ) {
        if let Some(stalled) = stack.work.take()
            && stalled.plan.template != stack.plan.template
        {
            self.forget_template(stalled.plan.template, turn);
        }
        stack.operations += 1;
        stack.work = Some(Work { change_set, ..Work::new(Doing::Update, plan, token) });
        self.moves(turn, stack, Status::UpdateInProgress, Some(USER.into()));
    }

    fn update(
        &mut self,
        turn: &mut Turn<'_>,
        stack: &Arc<str>,
        wanted: &Wanted,
        reads: &Reads,
    ) -> Called {
        let missing = || {
            if stack.starts_with("arn:") {
                no_stack(stack)
            } else {
                validation(format!("Stack [{stack}] does not exist"))
            }
        };
        let found = self.find(stack, turn.settings).filter(|stack| stack.lives());
        let mut stack = Stack::clone(found.ok_or_else(missing)?);
        let token = stack.work.as_ref().and_then(|work| work.token.as_ref());
        if token.is_some() && token == wanted.token.as_ref() {
            return Ok((id_of(&stack, turn.settings), None));
        }
        if !stack.status.takes_updates() {
            return Err(not_updatable(&stack, turn.settings));
        }
        let (name, number) = (Arc::clone(&stack.name), stack.number);
        let of = For { name: &name, number, stack: Some(&stack), is_change_set: false };
        let prepared =
            prepare(self, of, wanted, reads, turn.settings).map_err(Refused::into_error)?;
        let whole = !matches!(stack.status, Status::CreateFailed | Status::UpdateFailed);
        let difference = self.difference(Some(&stack), &prepared.plan, &prepared.expanded);
        if whole && !difference.any {
            return Err(validation(NO_UPDATES));
        }
        if let Some(policy) = &wanted.policy {
            stack.policy = Some(Arc::clone(policy));
        }
        let plan = self.store(turn, prepared);
        self.begin_update(turn, &mut stack, plan, wanted.token.clone(), None);
        let (answer, key) = (id_of(&stack, turn.settings), stack.key());
        self.keep(stack, turn.out);
        Ok((answer, Some(key)))
    }

    fn execute(&mut self, turn: &mut Turn<'_>, execute: &Execute) -> Called {
        let settings = turn.settings;
        let change_set = Arc::clone(self.change_set(&execute.name, settings)?);
        let id = change_set.id(settings);
        if change_set.stage != Stage::Available {
            let status = match change_set.stage {
                Stage::Failed => change_set.stage.status(),
                _ => change_set.stage.execution(),
            };
            let message =
                format!("ChangeSet [{id}] cannot be executed in its current status of [{status}]");
            return Err(ApiError::new("InvalidChangeSetStatus", message));
        }
        let found = self.stacks.get(&change_set.stack).filter(|stack| stack.lives());
        let mut stack = Stack::clone(found.ok_or_else(|| no_stack(&change_set.stack.0))?);
        let fits = if change_set.creates {
            stack.status == Status::ReviewInProgress
        } else {
            stack.status.takes_updates()
        };
        if !fits {
            return Err(not_updatable(&stack, settings));
        }
        let mut plan = change_set.plan.clone();
        if execute.disable_rollback == Some(true) {
            (plan.disable_rollback, plan.on_failure) = (true, OnFailure::DoNothing);
        }
        if let Some(retains) = execute.retain_except_on_create {
            plan.retain_except_on_create = retains;
        }
        self.executing(turn, &change_set);
        let (token, id) = (execute.token.clone(), Some(Arc::from(id)));
        if change_set.creates {
            stack.change_set.clone_from(&id);
            self.begin_create(turn, &mut stack, plan, token, id);
        } else {
            self.begin_update(turn, &mut stack, plan, token, id);
        }
        let key = stack.key();
        self.keep(stack, turn.out);
        Ok((nothing(), Some(key)))
    }

    fn delete(
        &mut self,
        turn: &mut Turn<'_>,
        stack: &Arc<str>,
        retain: &[Arc<str>],
        force: bool,
        token: Option<&Arc<str>>,
    ) -> Called {
        let Some(found) = self.find(stack, turn.settings).filter(|stack| stack.lives()) else {
            // What is not there needs no deleting.
            return Ok((nothing(), None));
        };
        let mut stack = Stack::clone(found);
        let (name, id) = (&stack.name, stack.id(turn.settings));
        if stack.protected {
            let message =
                format!("Stack [{name}] cannot be deleted while TerminationProtection is enabled");
            return Err(validation(message));
        }
        match stack.status {
            Status::DeleteInProgress => return Ok((nothing(), None)),
            Status::CreateInProgress => {}
            status if stack.is_busy() => {
                let status = status.name();
                let message = format!("Stack [{id}] cannot be deleted while in status {status}");
                return Err(validation(message));
            }
            _ => {}
        }
        let known = |logical: &&Arc<str>| self.resource(stack.number, logical).is_none();
        if let Some(unknown) = retain.iter().find(known) {
            let message = format!("Resource [{unknown}] does not exist in stack [{name}]");
            return Err(validation(message));
        }
        if let Err(why) = self.keeps_exports(&stack, &[]) {
            // It stays as it was, so that it can be updated.
            let (status, reason) = (stack.status, format!("Delete canceled. {why}"));
            self.moves(turn, &mut stack, status, Some(reason.into()));
            self.keep(stack, turn.out);
            return Ok((nothing(), None));
        }
        let plan = match stack.work.take() {
            Some(work) => work.plan,
            None => stack.plan.clone(),
        };
        stack.operations += 1;
        stack.work = Some(Work {
            skip: retain.to_vec(),
            force,
            ..Work::new(Doing::Delete, plan, token.cloned())
        });
        self.moves(turn, &mut stack, Status::DeleteInProgress, Some(USER.into()));
        let key = stack.key();
        self.keep(stack, turn.out);
        Ok((nothing(), Some(key)))
    }

    /// Has what failed undone.
    fn undo(
        &mut self,
        turn: &mut Turn<'_>,
        stack: &Arc<str>,
        from: &[Status],
        why: &str,
        skip: &[Arc<str>],
        token: Option<&Arc<str>>,
    ) -> Called {
        let mut stack = self.live(stack, turn.settings)?;
        let Some(mut work) = stack.work.take().filter(|_| from.contains(&stack.status)) else {
            let id = stack.id(turn.settings);
            return Err(validation(format!("Stack:{id} {why}")));
        };
        let (doing, status) = match stack.status {
            Status::CreateFailed => (Doing::UndoCreate, Status::RollbackInProgress),
            _ => (Doing::UndoUpdate, Status::UpdateRollbackInProgress),
        };
        (work.doing, work.stalled, work.skip) = (doing, false, skip.to_vec());
        work.token = token.cloned();
        stack.work = Some(work);
        self.moves(turn, &mut stack, status, Some(USER.into()));
        let (answer, key) = (id_of(&stack, turn.settings), stack.key());
        self.keep(stack, turn.out);
        Ok((answer, Some(key)))
    }

    fn cancel(&mut self, turn: &mut Turn<'_>, stack: &Arc<str>) -> Called {
        let mut stack = self.live(stack, turn.settings)?;
        if stack.status != Status::UpdateInProgress {
            let message = "CancelUpdateStack cannot be called from current stack status";
            return Err(validation(message));
        }
        if let Some(work) = &mut stack.work {
            work.plan.disable_rollback = false;
        }
        self.fails(turn, &mut stack, None, USER);
        let key = stack.key();
        self.keep(stack, turn.out);
        Ok((nothing(), Some(key)))
    }
}

fn id_of(stack: &Stack, settings: &Settings) -> Json {
    Json::object([("StackId", Json::from(stack.id(settings)))])
}
