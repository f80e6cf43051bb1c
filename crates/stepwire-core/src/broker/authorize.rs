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

/// What a CONNECT asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked<'a> {
    /// MQTT client identifier.
    pub client_id: &'a str,
    /// What policies may make conditions of.
    pub attributes: ConnectAttributes,
}

/// What a CONNECT asks for, as `iot:ConnectAttributes` of policies names it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConnectAttributes {
    /// `LastWill`: a message to publish if the connection breaks.
    pub last_will: bool,
    /// `PersistentConnect`: a session that outlives the connection.
    pub persistent: bool,
}

/// The thing that a connection speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// Its name.
    pub thing: Arc<str>,
    /// Whether the certificate belongs to this thing alone (`EXCLUSIVE_THING`).
    pub exclusive: bool,
}

/// Answered by the registry: certificate, thing and policies.
pub trait Authorize {
    /// Lets `principal` connect: its certificate is known and active, and a policy allows
    /// `iot:Connect` on `client/<id>`; or it signed with the node's key; or the listener lets in
    /// anybody. What is admitted names the thing that the connection speaks for, if there is one.
    fn connect_as(
        &self,
        principal: &Principal,
        asked: Asked<'_>,
    ) -> Result<Option<Admitted>, Refused>;

    /// Whether the client's policies allow `action` on a topic (or, for
    /// [`Action::Subscribe`], on a topic filter) at this moment.
    fn allows(&self, client: &Client, action: Action, resource: &str) -> bool;
}
