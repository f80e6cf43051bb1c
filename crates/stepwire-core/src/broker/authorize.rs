//! Who may do what: asked of the registry at every connect, publish, subscribe and delivery.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::message::{Client, Identity, Profile};

/// What the listener knows about the other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Who it has proved to be.
    pub identity: Identity,
    /// Where it connects from.
    pub ip: IpAddr,
    /// Which rules the listener keeps to.
    pub profile: Profile,
    /// Whether the listener lets in clients without any proof, and lets them do everything.
    pub anonymous_allowed: bool,
}

/// What a client wants to do. Named as in IoT policies, after `iot:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Connect as `client/<id>`.
    Connect,
    /// Publish to a topic.
    Publish,
    /// Have the message retained.
    RetainPublish,
    /// Subscribe to a topic filter.
    Subscribe,
    /// Have a message of a topic delivered.
    Receive,
}

impl Action {
    /// The action as policies spell it.
    pub fn name(self) -> &'static str {
        match self {
            Action::Connect => "iot:Connect",
            Action::Publish => "iot:Publish",
            Action::RetainPublish => "iot:RetainPublish",
            Action::Subscribe => "iot:Subscribe",
            Action::Receive => "iot:Receive",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The client may not connect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Refused {
    /// Why, in words: `certificate is not active`.
    pub why: Arc<str>,
}

/// Answered by the registry: certificate, thing and policies.
pub trait Authorize {
    /// Lets `principal` connect as `client_id`: its certificate is known and active, and a policy
    /// allows `iot:Connect` on `client/<id>`; or it signed with the node's key; or the listener
    /// lets in anybody. The thing is the one the connection speaks for.
    fn connect_as(
        &self,
        principal: &Principal,
        client_id: &str,
    ) -> Result<Option<Arc<str>>, Refused>;

    /// Whether the client's policies allow `action` on a topic (or, for
    /// [`Action::Subscribe`], on a topic filter) at this moment.
    fn allows(&self, client: &Client, action: Action, resource: &str) -> bool;
}
