//! The MQTT broker: sessions, routing, retained and queued messages, presence.
//!
//! Packets come in as [`Input`], decisions go out as [`Out`]: what to record, what to send, which
//! messages the rules must see. What has to survive a crash is a [`Write`] in the same step as the
//! answer that promises it; the shell releases the answers after the commit. State that ends with
//! its connection (a clean session's subscriptions and queue) stays in memory.
//!
//! Read in this order: [`Broker::handle`], `connect`, `publish`, `route`, then [`Write`].

mod acks;
mod api;
mod authorize;
mod budget;
mod connect;
mod disconnect;
mod ending;
mod guard;
mod held;
mod limits;
mod presence;
mod profile;
mod publish;
mod rates;
mod recheck;
mod retained;
mod route;
mod session;
mod state;
mod subscribe;
mod subscribers;
mod topic;
mod tree;
mod usage;
mod write;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use indexmap::IndexMap;
use stepwire_asl::{Json, Timestamp};

pub use api::{Answer, DirectMessage, Page, Request};
pub use authorize::{Action, Admitted, Asked, Authorize, ConnectAttributes, Principal, Refused};
pub use budget::Budget;
pub use ending::{DisconnectReason, WillFate};
pub use guard::{Cause, CutOff};
pub use limits::Limits;
pub use rates::{Overrun, Rates};
pub use recheck::Concern;
pub use session::{Queued, SessionRecord, Subscription};
pub use topic::{Filter, is_topic_name};
pub use write::{Held, Write, stored_session};

use crate::error::ApiError;
use crate::message::{Client, Message, Origin, asks_service};
pub use crate::message::{Identity, Profile};
use crate::mqtt::{Connect, Packet, ReasonCode, SubscriptionOptions};
use crate::rate::Bucket;
use crate::record::Space;
use crate::rules::Ingest;
use crate::settings::Settings;
use api::{Awaited, Confirmation};
use ending::Ending;
use held::HeldMessages;
use retained::RetainedMessages;
use session::{SessionId, Sessions};
use subscribers::{Match, Subscribers};
use tree::FilterTree;
use usage::Usage;

/// Names a network connection while the process lives. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// What the listener tells the broker.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The first packet of a connection.
    Connect {
        /// The connection, not seen before.
        connection: ConnectionId,
        /// Who is at the other end.
        principal: Principal,
        /// What it asks for.
        connect: Box<Connect>,
    },
    /// A further packet. Ignored when the connection is closed already.
    Packet {
        /// The connection.
        connection: ConnectionId,
        /// The packet.
        packet: Packet,
    },
    /// The connection is gone. Ignored when the broker closed it.
    Closed {
        /// The connection.
        connection: ConnectionId,
        /// Why.
        cause: Closed,
    },
}

/// Why a connection is gone without the broker having closed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// The socket was cut.
    Lost,
    /// The client sent what is not MQTT, or not as it may; the listener has said so and closed.
    ProtocolError(ReasonCode),
    /// The client did not read what was sent to it.
    TooSlow,
    /// What waits for it, or what it has not finished, took more memory than there is for all.
    NoRoom,
    /// The node is stopping.
    Shutdown,
}

/// What a step of the broker asks for, in order.
#[derive(Debug, Default)]
pub struct Out {
    /// To be durable before anything below is acted on.
    pub writes: Vec<Write>,
    /// Packets to send.
    pub sends: Vec<(ConnectionId, Packet)>,
    /// Connections to close once their packets are sent; an MQTT 5.0 client gets DISCONNECT with
    /// the reason first.
    pub closes: Vec<(ConnectionId, Option<ReasonCode>)>,
    /// Messages that were accepted: the rules run on each.
    pub messages: Vec<Message>,
    /// What was refused or dropped, for the flight recorder.
    pub refusals: Vec<Refusal>,
    /// Who was cut off, or not let in, for what it did.
    pub cut_offs: Vec<CutOff>,
    /// Answers that were promised with [`Answer::Later`].
    pub confirmed: Vec<Confirmed>,
}

/// An answer that was promised with [`Answer::Later`].
#[derive(Debug)]
pub struct Confirmed {
    /// Its number.
    pub number: u64,
    /// When it came.
    pub at: Timestamp,
    /// The operation's output, or why it failed.
    pub answer: Result<Json, ApiError>,
}

/// Something a client was not given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Client identifier; `None` when no client is concerned.
    pub device: Option<Arc<str>>,
    /// What would have happened.
    pub action: Action,
    /// Topic, filter or client identifier.
    pub topic: Arc<str>,
    /// Why it did not.
    pub why: Cow<'static, str>,
}

/// The broker's state: the fold of its [`Write`]s, and what lives as long as a connection.
#[derive(Debug, Default)]
pub struct Broker {
    sessions: Sessions,
    connections: IndexMap<ConnectionId, SessionId>,
    /// Open connections by the certificate they were opened with.
    by_certificate: IndexMap<Arc<str>, BTreeSet<SessionId>>,
    subscribers: FilterTree<Subscribers>,
    retained: RetainedMessages,
    held: HeldMessages,
    deadlines: BTreeSet<(Timestamp, Deadline)>,
    /// Callers that wait for a client's PUBACK. Not durable: they are gone after a restart.
    confirmations: BTreeMap<Awaited, Confirmation>,
    confirmations_made: u64,
    /// What all of it takes.
    usage: Usage,
    /// What is left of [`Budget::filters`].
    filters: Option<Bucket>,
    /// Kept from message to message so that routing does not allocate.
    matches: Vec<Match>,
    /// Counts deliveries to groups, which take turns.
    turns: usize,
}

/// What becomes due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Deadline {
    Session(SessionId),
    Held(u64),
    Confirmation(Awaited),
}

/// What every decision of one step needs.
struct Turn<'a> {
    now: Timestamp,
    authorize: &'a dyn Authorize,
    settings: &'a Settings,
    out: &'a mut Out,
}

impl Turn<'_> {
    /// What is bounded for all clients together.
    fn limits(&self) -> &Limits {
        &self.settings.mqtt
    }

    /// What a client of this profile is held to.
    fn limits_of(&self, profile: Profile) -> &Limits {
        self.settings.limits_of(profile)
    }

    fn send(&mut self, connection: ConnectionId, packet: Packet) {
        self.out.sends.push((connection, packet));
    }

    fn refuse(&mut self, device: &Arc<str>, action: Action, topic: &Arc<str>, why: &'static str) {
        self.out.refusals.push(Refusal {
            device: Some(Arc::clone(device)),
            action,
            topic: Arc::clone(topic),
            why: Cow::Borrowed(why),
        });
    }
}

impl Broker {
    /// What [`Broker::load`] takes at recovery.
    pub const SPACES: &'static [Space] =
        &[Space::Session, Space::Retained, Space::Queued, Space::Held];

    /// One thing that happened on the network.
    pub fn handle(
        &mut self,
        now: Timestamp,
        input: Input,
        authorize: &dyn Authorize,
        settings: &Settings,
        out: &mut Out,
    ) {
        let turn = &mut Turn { now, authorize, settings, out };
        match input {
            Input::Connect { connection, principal, connect } => {
                self.connect(connection, &principal, *connect, turn);
            }
            Input::Packet { connection, packet } => {
                if let Some(&id) = self.connections.get(&connection) {
                    self.packet(id, packet, turn);
                }
            }
            Input::Closed { connection, cause } => {
                if let Some(&id) = self.connections.get(&connection) {
                    self.closed(id, cause, turn);
                }
            }
        }
    }

    /// Publishes a message of the service, or of who sent a request, at `message.at`: routed to
    /// subscribers and kept if it is retained; of the service, held for
    /// [`Settings::subscribe_grace_ms`] if nobody gets it.
    pub fn publish(
        &mut self,
        message: Message,
        authorize: &dyn Authorize,
        settings: &Settings,
        out: &mut Out,
    ) {
        let turn = &mut Turn { now: message.at, authorize, settings, out };
        let reached = self.accept(&message, None, turn);
        // what asks for a shadow or a job has been heard by the service itself
        let heard = reached || asks_service(&message.topic);
        if !heard && matches!(message.origin, Origin::Service) {
            self.hold(&message, turn);
        }
        turn.out.messages.push(message);
    }

    /// Publishes a message of the service that is only for those who subscribe to it now.
    pub fn publish_now(
        &mut self,
        message: Message,
        authorize: &dyn Authorize,
        settings: &Settings,
        out: &mut Out,
    ) {
        let turn = &mut Turn { now: message.at, authorize, settings, out };
        self.announce(Some(message), turn);
    }

    /// Sends a message to one client, if it is still connected, whatever it subscribes to.
    pub fn reply(
        &mut self,
        client: &Client,
        message: Message,
        authorize: &dyn Authorize,
        settings: &Settings,
        out: &mut Out,
    ) {
        let turn = &mut Turn { now: message.at, authorize, settings, out };
        let Some(id) = self.sessions.find(&client.id) else { return };
        let Some(session) = self.sessions.get(id) else { return };
        if session.link.is_none() || session.record.client.session != client.session {
            return;
        }
        let options = SubscriptionOptions { qos: message.qos, ..Default::default() };
        let subscription = Subscription { options, id: None };
        self.deliver_shared(id, subscription, &Arc::new(message), false, turn);
    }

    /// Does what is due: keep-alive, session expiry, will delay, end of the subscribe grace.
    pub fn tick(
        &mut self,
        now: Timestamp,
        authorize: &dyn Authorize,
        settings: &Settings,
        out: &mut Out,
    ) {
        let turn = &mut Turn { now, authorize, settings, out };
        self.expire_retained(turn);
        while let Some(&(at, deadline)) = self.deadlines.first()
            && at <= now
        {
            self.deadlines.pop_first();
            match deadline {
                Deadline::Session(id) => self.session_due(id, turn),
                Deadline::Held(number) => self.give_up_held(number, turn),
                Deadline::Confirmation(awaited) => self.give_up_confirmation(awaited, turn),
            }
        }
    }

    /// The earliest time at which [`Broker::tick`] may have something to do.
    pub fn due(&self) -> Option<Timestamp> {
        let first = self.deadlines.first().map(|(at, _)| *at);
        [first, self.retained.due()].into_iter().flatten().min()
    }

    /// Ends the connections that were open when the process died; once, after the last `load`.
    pub fn recover(
        &mut self,
        now: Timestamp,
        authorize: &dyn Authorize,
        settings: &Settings,
        out: &mut Out,
    ) {
        let turn = &mut Turn { now, authorize, settings, out };
        for id in self.sessions.ids() {
            if self.sessions.get(id).is_some_and(|session| session.record.connected) {
                self.go_offline(id, Ending::ServerError, turn);
            }
        }
    }

    /// What is known of a client identifier; `None` once it is forgotten.
    pub fn record_of(&self, client: &str) -> Option<&SessionRecord> {
        let session = self.sessions.get(self.sessions.find(client)?)?;
        Some(&session.record)
    }

    /// What is known of every client identifier.
    pub fn records(&self) -> impl Iterator<Item = &SessionRecord> {
        self.sessions.iter().map(|(_, session)| session.record.as_ref())
    }

    fn packet(&mut self, id: SessionId, packet: Packet, turn: &mut Turn<'_>) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let Some(link) = session.link.as_mut() else { return };
        link.heard = turn.now;
        let connection = link.connection;
        if !session.record.client.profile.takes(&packet) {
            return self.fail(id, ReasonCode::ProtocolError, turn);
        }
        match packet {
            Packet::Publish(publish) => self.client_publish(id, publish, turn),
            Packet::PubAck(ack) => self.publish_done(id, ack, turn),
            Packet::PubRec(ack) => self.publish_received(id, ack, turn),
            Packet::PubComp(ack) => self.publish_complete(id, ack, turn),
            Packet::PubRel(ack) => self.client_release(id, ack, turn),
            Packet::Subscribe(subscribe) => self.client_subscribe(id, subscribe, turn),
            Packet::Unsubscribe(unsubscribe) => self.client_unsubscribe(id, unsubscribe, turn),
            Packet::PingReq => turn.send(connection, Packet::PingResp),
            Packet::Disconnect(disconnect) => self.client_disconnect(id, &disconnect, turn),
            Packet::Connect(_)
            | Packet::ConnAck(_)
            | Packet::SubAck(_)
            | Packet::UnsubAck(_)
            | Packet::PingResp
            | Packet::Auth(_) => self.fail(id, ReasonCode::ProtocolError, turn),
        }
    }

    /// Takes a message in: retains it if asked to, and routes it. The caller adds it to
    /// `out.messages`. Whether somebody got it, or will; one of Basic Ingest is for its rule alone.
    fn accept(&mut self, message: &Message, from: Option<SessionId>, turn: &mut Turn<'_>) -> bool {
        if Ingest::of(&message.topic).is_some() {
            return true;
        }
        if message.retain {
            self.retain(message, turn);
        }
        self.route(message, from, turn)
    }

    /// Publishes an event of the broker itself.
    fn announce(&mut self, event: Option<Message>, turn: &mut Turn<'_>) {
        if let Some(message) = event {
            debug_assert!(matches!(message.origin, Origin::Service), "events are the service's");
            self.accept(&message, None, turn);
            turn.out.messages.push(message);
        }
    }
}
