//! Who may do what: certificate, thing, policies.

use std::sync::Arc;

use stepwire_asl::Timestamp;

use super::Registry;
use super::certificates::{Certificate, Status};
use super::policies::{Facts, Question, ThingOf, Verdict};
use super::things::Thing;
use crate::broker::{Action, Admitted, Asked, Authorize, Identity, Principal, Refused};
use crate::message::{Caller, Client};

/// The registry's word at one moment.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    registry: &'a Registry,
    now: Timestamp,
}

impl Registry {
    /// What the registry says at `now`.
    pub fn at(&self, now: Timestamp) -> At<'_> {
        At { registry: self, now }
    }

    /// The thing that a connection speaks for, and whether the certificate is that thing's alone:
    /// the one thing it belongs to exclusively, else the one it is attached to that the client id
    /// names.
    pub(super) fn thing_of(&self, certificate: &str, client_id: &str) -> Option<(&Thing, bool)> {
        if let Some(name) = self.things.exclusive_of(certificate) {
            return Some((self.things.find(name)?, true));
        }
        let thing = self.things.find(client_id)?;
        self.things.is_attached(client_id, certificate).then_some((thing, false))
    }

    /// Names of the thing groups that a thing is in, and of those above them.
    pub(super) fn lineage(&self, thing: &str) -> Vec<Arc<str>> {
        self.groups.lineage(thing)
    }

    /// Names of the thing groups above one.
    pub(super) fn groups_above(&self, group: &str) -> Vec<Arc<str>> {
        let above = self.groups.ancestors(group);
        above.into_iter().map(|group| Arc::clone(&group.name)).collect()
    }

    /// Whether who sent a request may do `action` on a topic at `now`. Without a client id it
    /// speaks for no thing.
    pub(crate) fn allows_caller(
        &self,
        now: Timestamp,
        caller: &Caller,
        action: Action,
        topic: &str,
    ) -> bool {
        let Identity::Certificate(id) = &caller.identity else { return true };
        let Ok(certificate) = self.active(id) else { return false };
        let facts = Facts {
            client_id: None,
            certificate: Some(&certificate.facts),
            ip: Some(caller.ip),
            now: Some(now),
            connect: None,
            thing: ThingOf::new(&|| None),
        };
        self.verdict(id, Question::new(action, topic), &facts) == Verdict::Allowed
    }

    /// What all policies that count say.
    fn verdict(&self, certificate: &str, question: Question<'_>, facts: &Facts<'_>) -> Verdict {
        let mut verdict = Verdict::Silent;
        for name in self.policies.of_certificate(certificate) {
            match self.policies.find(name).map(|policy| policy.verdict(question, facts)) {
                Some(Verdict::Denied) => return Verdict::Denied,
                Some(Verdict::Allowed) => verdict = Verdict::Allowed,
                Some(Verdict::Silent) | None => {}
            }
        }
        if !self.policies.any_of_groups() {
            return verdict;
        }
        let Some(thing) = facts.thing.get() else { return verdict };
        for group in self.lineage(&thing.name) {
            for name in self.policies.of_group(&group) {
                match self.policies.find(name).map(|policy| policy.verdict(question, facts)) {
                    Some(Verdict::Denied) => return Verdict::Denied,
                    Some(Verdict::Allowed) => verdict = Verdict::Allowed,
                    Some(Verdict::Silent) | None => {}
                }
            }
        }
        verdict
    }

    fn active(&self, id: &str) -> Result<&Certificate, &'static str> {
        match self.certificates.find(id) {
            None => Err("its certificate is not registered"),
            Some(certificate) => match certificate.status {
                Status::Active => Ok(certificate),
                Status::PendingActivation => Err("its certificate waits for activation"),
                Status::Inactive | Status::Revoked | Status::RegisterInactive => {
                    Err("its certificate is not active")
                }
            },
        }
    }
}

impl Authorize for At<'_> {
    fn connect_as(
        &self,
        principal: &Principal,
        asked: Asked<'_>,
    ) -> Result<Option<Admitted>, Refused> {
        let refuse = |why: &str| Refused { why: why.into() };
        let id = match &principal.identity {
            Identity::Certificate(id) => id,
            Identity::Signed(_) => return Ok(None),
            Identity::Anonymous if principal.anonymous_allowed => return Ok(None),
            Identity::Anonymous => return Err(refuse("it showed no certificate")),
        };
        let certificate = self.registry.active(id).map_err(refuse)?;
        let thing = self.registry.thing_of(id, asked.client_id);
        let find = || thing.map(|(thing, _)| thing);
        let facts = Facts {
            client_id: Some(asked.client_id),
            certificate: Some(&certificate.facts),
            ip: Some(principal.ip),
            now: Some(self.now),
            connect: Some(asked.attributes),
            thing: ThingOf::new(&find),
        };
        let question = Question::new(Action::Connect, asked.client_id);
        match self.registry.verdict(id, question, &facts) {
            Verdict::Allowed => Ok(thing
                .map(|(thing, exclusive)| Admitted { thing: Arc::clone(&thing.name), exclusive })),
            Verdict::Denied => Err(refuse("a policy denies it")),
            Verdict::Silent => Err(refuse("no policy allows it")),
        }
    }

    fn allows(&self, client: &Client, action: Action, resource: &str) -> bool {
        let id = match &client.identity {
            Identity::Certificate(id) => id,
            // Let in without proof by a listener that says so, or by the node's own key.
            Identity::Anonymous | Identity::Signed(_) => return true,
        };
        let Ok(certificate) = self.registry.active(id) else { return false };
        let find = || self.registry.thing_of(id, &client.id).map(|(thing, _)| thing);
        let facts = Facts {
            client_id: Some(&client.id),
            certificate: Some(&certificate.facts),
            ip: Some(client.ip),
            now: Some(self.now),
            connect: None,
            thing: ThingOf::new(&find),
        };
        let question = Question::new(action, resource);
        self.registry.verdict(id, question, &facts) == Verdict::Allowed
    }
}
