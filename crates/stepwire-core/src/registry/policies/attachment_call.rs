//! Attaching policies, and what is inherited by it.

use std::collections::BTreeSet;
use std::sync::Arc;

use stepwire_asl::Json;

use super::view::named;
use super::{Side, Target, Write};
use crate::error::ApiError;
use crate::registry::error::{invalid, missing, nothing};
use crate::registry::listing::{Page, page_of};
use crate::registry::{Registry, Turn};
use crate::settings::Settings;

/// Policies that can be attached to one target.
const ATTACHED_MAX: usize = 10;

impl Registry {
    pub(super) fn attach_policy(
        &mut self,
        policy: &Arc<str>,
        target: &Target,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        self.policy(policy)?;
        self.target(target)?;
        if let Target::Group(name) = target
            && self.groups.find(name).is_some_and(|group| group.query.is_some())
        {
            let why = "policies cannot be attached to it";
            return Err(invalid(format!("the thing group `{name}` is a dynamic one: {why}")));
        }
        let (mut count, mut there) = (0, false);
        for attached in self.policies.attached_to(target) {
            (count, there) = (count + 1, there || attached == policy);
        }
        if there {
            return Ok(nothing());
        }
        if count >= ATTACHED_MAX {
            let why = format!("at most {ATTACHED_MAX} policies can be attached to one target");
            return Err(ApiError::new("LimitExceededException", why));
        }
        self.record_attachment(policy, target, true, turn);
        Ok(nothing())
    }

    pub(super) fn detach_policy(
        &mut self,
        policy: &Arc<str>,
        target: &Target,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        self.policy(policy)?;
        self.target(target)?;
        if self.policies.attached_to(target).any(|attached| attached == policy) {
            self.record_attachment(policy, target, false, turn);
        }
        Ok(nothing())
    }

    /// Detaches every policy of `target`.
    pub(in crate::registry) fn detach_policies(&mut self, target: &Target, turn: &mut Turn<'_>) {
        let policies: Vec<_> = self.policies.attached_to(target).cloned().collect();
        for policy in policies {
            self.record_attachment(&policy, target, false, turn);
        }
    }

    fn record_attachment(
        &mut self,
        policy: &Arc<str>,
        target: &Target,
        attach: bool,
        turn: &mut Turn<'_>,
    ) {
        for side in [Side::Policy, Side::Target] {
            let (policy, target) = (Arc::clone(policy), target.clone());
            let since = attach.then_some(turn.now);
            self.record(Write::Attachment { side, policy, target, since }, turn);
        }
    }

    /// Refuses a target that is not there.
    pub(super) fn target(&self, target: &Target) -> Result<(), ApiError> {
        match target {
            Target::Certificate(id) => self.certificate(id).map(|_| ()),
            Target::Group(name) if self.groups.find(name).is_some() => Ok(()),
            Target::Group(name) => Err(missing(&format!("Thing group {name}"))),
        }
    }

    /// ListAttachedPolicies with `recursive`: with those of the groups above.
    pub(super) fn list_inherited(
        &self,
        target: &Target,
        page: &Page,
        settings: &Settings,
    ) -> Result<Json, ApiError> {
        self.target(target)?;
        let mut names: BTreeSet<&Arc<str>> = self.policies.attached_to(target).collect();
        match target {
            Target::Group(name) => {
                for group in self.groups_above(name) {
                    names.extend(self.policies.of_group(&group));
                }
            }
            Target::Certificate(id) => {
                for thing in self.things.of_certificate(id) {
                    for group in self.lineage(thing) {
                        names.extend(self.policies.of_group(&group));
                    }
                }
            }
        }
        let after = |name: &&Arc<str>| page.after.as_ref().is_none_or(|after| *name > after);
        let mut names: Vec<_> = names.into_iter().filter(after).collect();
        let next = (names.len() > page.limit).then(|| Arc::clone(names[page.limit - 1]));
        names.truncate(page.limit);
        let items = names.into_iter().map(|name| named(name, settings)).collect();
        Ok(page_of("policies", "nextMarker", (items, next)))
    }
}
