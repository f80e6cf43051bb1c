//! Whose right to be connected a change may take away.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::certificates::Status;
use super::policies::Target;
use super::{Registry, Write, certificates, groups, policies, things};
use crate::broker::Concern;

impl Registry {
    /// Who is concerned by `writes`, which have been applied; `None`: nobody.
    ///
    /// What gives rights concerns nobody: whoever lacked them is not connected.
    pub fn concern(&self, writes: &[Write]) -> Option<Concern> {
        let mut found = BTreeSet::new();
        for write in writes {
            match write {
                Write::Certificates(write) => concern_of_certificate(write, &mut found),
                Write::Policies(write) => {
                    if self.concern_of_policy(write, &mut found).is_none() {
                        return Some(Concern::Everyone);
                    }
                }
                Write::Things(things::Write::Thing(name, _)) => {
                    found.extend(self.things.principals(name).cloned());
                }
                Write::Groups(write) if self.policies.any_of_groups() => {
                    self.concern_of_group(write, &mut found);
                }
                Write::Groups(_)
                | Write::Types(_)
                | Write::Events(_)
                | Write::Tags(_)
                | Write::Search(_) => {}
                Write::Things(things::Write::Principal { certificate, .. }) => {
                    found.insert(Arc::clone(certificate));
                }
            }
        }
        (!found.is_empty()).then_some(Concern::Certificates(found))
    }

    /// Adds the certificates concerned; `None`: a thing group is.
    fn concern_of_policy(
        &self,
        write: &policies::Write,
        found: &mut BTreeSet<Arc<str>>,
    ) -> Option<()> {
        match write {
            policies::Write::Policy(name, _) => {
                for target in self.policies.targets(name) {
                    add(target, found)?;
                }
            }
            policies::Write::Attachment { policy, target, since, .. } => {
                let denies = self.policies.find(policy).is_none_or(policies::Policy::denies);
                if since.is_none() || denies {
                    add(target, found)?;
                }
            }
        }
        Some(())
    }
}

impl Registry {
    /// Adds the certificates of things that a group has gained or lost, at whatever depth: what it
    /// gives may be less than what another denies.
    fn concern_of_group(&self, write: &groups::Write, found: &mut BTreeSet<Arc<str>>) {
        match write {
            groups::Write::Member { thing, .. } => {
                found.extend(self.things.principals(thing).cloned());
            }
            groups::Write::Child { child, .. } => {
                for thing in self.groups.members_below(child) {
                    found.extend(self.things.principals(&thing).cloned());
                }
            }
            // A group goes when nothing is in it; the rest comes with one of the others.
            groups::Write::Group(..) | groups::Write::Of { .. } => {}
        }
    }
}

fn add(target: &Target, found: &mut BTreeSet<Arc<str>>) -> Option<()> {
    match target {
        Target::Certificate(id) => {
            found.insert(Arc::clone(id));
            Some(())
        }
        Target::Group(_) => None,
    }
}

fn concern_of_certificate(write: &certificates::Write, found: &mut BTreeSet<Arc<str>>) {
    match write {
        certificates::Write::Certificate(id, certificate) => {
            if certificate.as_ref().is_none_or(|known| known.status != Status::Active) {
                found.insert(Arc::clone(id));
            }
        }
        // Of an authority only what is new depends.
        certificates::Write::Text(..)
        | certificates::Write::Signed { .. }
        | certificates::Write::Authority(..)
        | certificates::Write::Code(_) => {}
    }
}
