//! Undoing and removing: resources changed back, what is left over, whole stacks.

use std::cmp::Reverse;
use std::sync::Arc;

use super::events::Turn;
use super::make::recreation;
use super::run::Next;
use super::status::{Policy, Status};
use super::{
    Before, Body, DELETED_MAX, Deed, Doing, Resource, Stack, StackKey, Stacks, Work, Write,
};

/// Most resources that are looked at without asking anything in one turn.
const LOOKED_AT_MAX: usize = 100;

impl Stacks {
    /// The resources of a stack in the order in which they were made.
    fn in_order(&self, stack: u64) -> Vec<Arc<Resource>> {
        let mut resources: Vec<_> = self.resources_of(stack).map(Arc::clone).collect();
        resources.sort_by_key(|resource| resource.position);
        resources
    }

    /// The same, those first that were made last.
    fn in_reverse(&self, stack: u64) -> Vec<Arc<Resource>> {
        let mut resources: Vec<_> = self.resources_of(stack).map(Arc::clone).collect();
        resources.sort_by_key(|resource| Reverse(resource.position));
        resources
    }

    /// The next resource that an update has changed and that is not yet changed back.
    pub(super) fn change_back(
        &mut self,
        turn: &mut Turn<'_>,
        stack: &mut Stack,
        work: &Work,
    ) -> Next {
        let passed = (stack.operations, work.doing);
        let mut looked_at = 0;
        for resource in self.in_order(stack.number) {
            let Before::Other(before) = &resource.before else { continue };
            if resource.passed == passed {
                continue;
            }
            if looked_at >= LOOKED_AT_MAX {
                return Next::Again;
            }
            looked_at += 1;
            let (before, logical) = (Body::clone(before), Arc::clone(&resource.logical));
            let mut resource = Resource::clone(&resource);
            let replaced = before.token != resource.now.token;
            let skipped = work.skip.contains(&logical);
            if !replaced && !skipped && recreation(&resource.now, &before).is_some() {
                let now = resource.now.clone();
                self.tell_of(turn, stack, (&logical, &now), Status::UpdateInProgress, None);
                (resource.status, resource.reason) = (Status::UpdateInProgress, None);
                self.keep_resource(stack.number, resource, turn.out);
                return Next::Do(logical, Deed::Restore(before));
            }
            if replaced {
                let new = std::mem::replace(&mut resource.now, before);
                resource.leftovers.push(new);
            } else if !skipped {
                resource.now = before;
            }
            (resource.before, resource.passed) = (Before::Same, passed);
            if resource.status != Status::UpdateComplete || replaced {
                let now = resource.now.clone();
                self.tell_of(turn, stack, (&logical, &now), Status::UpdateComplete, None);
                (resource.status, resource.reason) = (Status::UpdateComplete, None);
                resource.changed = turn.now;
            }
            self.keep_resource(stack.number, resource, turn.out);
        }
        Next::Done
    }

    /// The next resource that an update, or its undoing, has left over.
    pub(super) fn clean_up(&mut self, turn: &mut Turn<'_>, stack: &mut Stack, work: &Work) -> Next {
        let mut looked_at = 0;
        for resource in self.in_reverse(stack.number) {
            let old = old_body(&resource, work.doing);
            let unwanted = match work.doing {
                Doing::UndoCleanup => resource.before == Before::Absent,
                _ => resource.passed.0 != stack.operations,
            };
            if !unwanted && old.is_none() && resource.before == Before::Same {
                continue;
            }
            if looked_at >= LOOKED_AT_MAX {
                return Next::Again;
            }
            looked_at += 1;
            let logical = Arc::clone(&resource.logical);
            if let Some(old) = old {
                if old.replacement == Policy::Delete || work.doing == Doing::UndoCleanup {
                    self.tell_of(turn, stack, (&logical, &old), Status::DeleteInProgress, None);
                    return Next::Do(logical, Deed::Remove(old));
                }
                self.tell_of(turn, stack, (&logical, &old), Status::DeleteSkipped, None);
                let mut resource = Resource::clone(&resource);
                forget(&mut resource, &old);
                self.keep_resource(stack.number, resource, turn.out);
                return Next::Again;
            }
            if unwanted {
                if resource.is_there() && !stays(&resource.now, work) {
                    return self.go(turn, stack, &resource);
                }
                if resource.is_there() {
                    let now = resource.now.clone();
                    self.tell_of(turn, stack, (&logical, &now), Status::DeleteSkipped, None);
                }
                self.record(Write::Resource(stack.number, logical, None), turn.out);
                continue;
            }
            let resource = Resource { before: Before::Same, ..Resource::clone(&resource) };
            self.keep_resource(stack.number, resource, turn.out);
        }
        Next::Done
    }

    /// The next resource of a stack that goes, those first that others do not need.
    pub(super) fn take_down(
        &mut self,
        turn: &mut Turn<'_>,
        stack: &mut Stack,
        work: &Work,
    ) -> Next {
        let passed = (stack.operations, work.doing);
        let all = self.in_reverse(stack.number);
        let mut there: Vec<_> = all.iter().filter(|one| one.is_there()).map(Arc::clone).collect();
        for resource in &all {
            if let Some(old) = old_body(resource, work.doing) {
                let logical = Arc::clone(&resource.logical);
                self.tell_of(turn, stack, (&logical, &old), Status::DeleteInProgress, None);
                return Next::Do(logical, Deed::Remove(old));
            }
            if !resource.is_there() || resource.passed == passed {
                continue;
            }
            let is_needed = there.iter().any(|other| {
                other.logical != resource.logical && other.needs.contains(&resource.logical)
            });
            if work.skip.contains(&resource.logical) || stays(&resource.now, work) {
                self.skip(turn, stack, resource);
                there.retain(|other| other.logical != resource.logical);
            } else if !is_needed {
                return self.go(turn, stack, resource);
            }
        }
        if work.force && !there.is_empty() {
            for resource in &there {
                self.skip(turn, stack, resource);
            }
        }
        Next::Done
    }

    /// A resource stays though its stack goes.
    fn skip(&mut self, turn: &mut Turn<'_>, stack: &mut Stack, resource: &Resource) {
        let of = (&resource.logical, &resource.now);
        self.tell_of(turn, stack, of, Status::DeleteSkipped, None);
        let mut resource = resource.clone();
        (resource.status, resource.reason) = (Status::DeleteSkipped, None);
        resource.changed = turn.now;
        self.keep_resource(stack.number, resource, turn.out);
    }

    /// A resource goes.
    fn go(&mut self, turn: &mut Turn<'_>, stack: &mut Stack, resource: &Resource) -> Next {
        let mut resource = resource.clone();
        let (logical, now) = (Arc::clone(&resource.logical), resource.now.clone());
        self.tell_of(turn, stack, (&logical, &now), Status::DeleteInProgress, None);
        (resource.status, resource.reason) = (Status::DeleteInProgress, None);
        resource.changed = turn.now;
        self.keep_resource(stack.number, resource, turn.out);
        Next::Do(logical, Deed::Delete)
    }

    /// What a resource was is gone, or cannot be removed: then the events tell of it.
    pub(super) fn removed(
        &mut self,
        turn: &mut Turn<'_>,
        stack: &mut Stack,
        resource: &mut Resource,
        body: &Body,
        failed: Option<Arc<str>>,
    ) {
        let logical = Arc::clone(&resource.logical);
        let status = if failed.is_some() { Status::DeleteFailed } else { Status::DeleteComplete };
        self.tell_of(turn, stack, (&logical, body), status, failed);
        forget(resource, body);
        self.keep_resource(stack.number, resource.clone(), turn.out);
    }

    /// Everything of a stack is gone, and so is the stack: it is remembered for a while.
    pub(super) fn deleted(&mut self, turn: &mut Turn<'_>, stack: &mut Stack, work: Work) {
        if work.plan.template != stack.plan.template {
            self.forget_template(work.plan.template, turn);
        }
        self.drop_change_sets(turn, stack.number, None);
        self.expanded.remove(&stack.plan.template);
        stack.outputs.clear();
        self.moves(turn, stack, Status::DeleteComplete, None);
        (stack.deleted, stack.work) = (Some(turn.now), None);
        let mut deleted: Vec<_> = (self.stacks.values())
            .filter_map(|stack| Some((stack.deleted?, stack.key())))
            .collect();
        deleted.sort();
        let surplus = (deleted.len() + 1).saturating_sub(DELETED_MAX);
        for (_, key) in deleted.into_iter().take(surplus) {
            self.forget_stack(turn, &key);
        }
    }

    /// Nothing of a stack is kept any longer.
    fn forget_stack(&mut self, turn: &mut Turn<'_>, key: &StackKey) {
        let Some(stack) = self.stacks.get(key).map(Arc::clone) else { return };
        for event in stack.events.0..stack.events.1 {
            self.record(Write::Event(stack.number, event, None), turn.out);
        }
        for resource in self.in_order(stack.number) {
            let logical = Arc::clone(&resource.logical);
            self.record(Write::Resource(stack.number, logical, None), turn.out);
        }
        self.forget_template(stack.plan.template, turn);
        self.record(Write::Stack(key.clone(), None), turn.out);
    }
}

/// What a resource was, and that is still to be removed.
fn old_body(resource: &Resource, doing: Doing) -> Option<Body> {
    let replaced = match &resource.before {
        // While changes may still be undone it is what they come back to.
        Before::Other(before) if matches!(doing, Doing::Cleanup | Doing::Delete) => {
            Some(before).filter(|before| before.token != resource.now.token)
        }
        _ => None,
    };
    let replaced = replaced.map(|before| Body::clone(before));
    replaced.or_else(|| resource.leftovers.first().cloned())
}

fn forget(resource: &mut Resource, body: &Body) {
    resource.leftovers.retain(|left| left.token != body.token);
    if matches!(&resource.before, Before::Other(before) if before.token == body.token) {
        resource.before = Before::Same;
    }
}

/// Whether a resource stays when it is no longer wanted.
fn stays(body: &Body, work: &Work) -> bool {
    let undoes = matches!(work.doing, Doing::UndoCreate | Doing::UndoCleanup);
    match body.deletion {
        Policy::Delete => false,
        Policy::Retain => !(undoes && work.plan.retain_except_on_create),
        Policy::RetainExceptOnCreate => !undoes,
    }
}
