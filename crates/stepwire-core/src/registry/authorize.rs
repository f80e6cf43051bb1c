//! Who may do what: certificate, thing, policies.

use std::sync::Arc;

use super::Registry;
use super::certificates::Status;
use super::policies::{Facts, Target, Verdict};
use super::things::Thing;
use crate::broker::{Action, Authorize, Identity, Principal, Refused};
use crate::message::{Caller, Client};

impl Authorize for Registry {
    fn connect_as(
        &self,
        principal: &Principal,
        client_id: &str,
    ) -> Result<Option<Arc<str>>, Refused> {
        let refuse = |why: &str| Err(Refused { why: why.into() });
        let id = match &principal.identity {
            Identity::Certificate(id) => id,
            Identity::Signed(_) => return Ok(None),
            Identity::Anonymous if principal.anonymous_allowed => return Ok(None),
            Identity::Anonymous => return refuse("it showed no certificate"),
        };
        match self.certificates.find(id).map(|certificate| certificate.status) {
            None => return refuse("its certificate is not registered"),
            Some(Status::Active) => {}
            Some(_) => return refuse("its certificate is not active"),
        }
        let thing = self.thing_of(id, client_id);
        let facts = Facts { client_id, thing, ip: principal.ip };
        if !self.verdict(id, Action::Connect, "client", client_id, &facts) {
            return refuse("no policy allows it");
        }
        Ok(thing.map(|thing| Arc::clone(&thing.name)))
    }

    fn allows(&self, client: &Client, action: Action, resource: &str) -> bool {
        let id = match &client.identity {
            Identity::Certificate(id) => id,
            // Let in without proof by a listener that says so, or by the node's own key.
            Identity::Anonymous | Identity::Signed(_) => return true,
        };
        let active = self.certificates.find(id).map(|certificate| certificate.status);
        if active != Some(Status::Active) {
            return false;
        }
        let kind = match action {
            Action::Connect => "client",
            Action::Subscribe => "topicfilter",
            Action::Publish | Action::RetainPublish | Action::Receive => "topic",
        };
        let thing = self.thing_of(id, &client.id);
        let facts = Facts { client_id: &client.id, thing, ip: client.ip };
        self.verdict(id, action, kind, resource, &facts)
    }
}

impl Registry {
    /// Whether who sent a request may do `action` on a topic at this moment. Without a client id it
    /// speaks for no thing.
    pub(crate) fn allows_caller(&self, caller: &Caller, action: Action, topic: &str) -> bool {
        let Identity::Certificate(id) = &caller.identity else { return true };
        let active = self.certificates.find(id).map(|certificate| certificate.status);
        let facts = Facts { client_id: "", thing: None, ip: caller.ip };
        active == Some(Status::Active) && self.verdict(id, action, "topic", topic, &facts)
    }

    /// The thing a connection speaks for: its client id names one its certificate is attached to.
    fn thing_of(&self, certificate: &str, client_id: &str) -> Option<&Thing> {
        let thing = self.things.find(client_id)?;
        self.things.is_attached(client_id, certificate).then_some(thing)
    }

    fn verdict(
        &self,
        certificate: &Arc<str>,
        action: Action,
        kind: &str,
        name: &str,
        facts: &Facts<'_>,
    ) -> bool {
        // Resources name region and account, which are this node's own whatever they say.
        let arn = format!("arn:aws:iot:::{kind}/{name}");
        let mut allowed = false;
        let target = Target::Certificate(Arc::clone(certificate));
        for policy in self.policies.attached_to(&target) {
            let Some(policy) = self.policies.find(policy) else { continue };
            match policy.verdict(action.name(), &arn, facts) {
                Verdict::Denied => return false,
                Verdict::Allowed => allowed = true,
                Verdict::Silent => {}
            }
        }
        allowed
    }
}
