//! Operations that act on connections.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::super::ending::{Ending, WillFate};
use super::super::presence::identifier;
use super::super::session::{SessionId, Subscription};
use super::super::{Action, Authorize, Broker, Confirmed, Deadline, Out, Turn};
use super::{DirectMessage, Request};
use crate::error::ApiError;
use crate::message::{Message, QoS};
use crate::mqtt::{ReasonCode, SubscriptionOptions};
use crate::settings::Settings;

/// What a request came to.
#[derive(Debug)]
pub enum Answer {
    /// The operation's output, or why it was refused.
    Now(Result<Json, ApiError>),
    /// It comes with [`Out::confirmed`], under this number.
    Later(u64),
}

/// A caller that waits for a client's PUBACK.
#[derive(Debug, Clone, Copy)]
pub(in crate::broker) struct Confirmation {
    /// What its answer goes by.
    number: u64,
    /// When waiting ends.
    until: Timestamp,
}

/// Which PUBACK: a session, and the number of a message in its queue.
pub(in crate::broker) type Awaited = (SessionId, u64);

impl Broker {
    /// Carries out a request.
    pub fn call(
        &mut self,
        now: Timestamp,
        request: &Request,
        authorize: &dyn Authorize,
        settings: &Settings,
        out: &mut Out,
    ) -> Answer {
        let turn = &mut Turn { now, authorize, settings, out };
        Answer::Now(match request {
            Request::DeleteConnection { client, clean_session, will } => {
                self.delete_connection(client, *clean_session, *will, turn)
            }
            Request::SendDirectMessage(direct) => match self.send_direct(direct, turn) {
                Ok(Some(number)) => return Answer::Later(number),
                Ok(None) => Ok(sent(direct, turn)),
                Err(error) => Err(error),
            },
            Request::GetConnection { client, sockets } => self.connection(client, *sockets),
            Request::ListSubscriptions { client, page } => self.subscriptions_of(client, page),
            Request::GetRetainedMessage(topic) => self.retained_message(topic, now),
            Request::ListRetainedMessages(page) => Ok(self.retained_topics(page, now)),
        })
    }

    /// Ends a client's connection, if it has one, and its session if asked to.
    fn delete_connection(
        &mut self,
        client: &str,
        clean_session: bool,
        will: WillFate,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        let id = self.session_of(client, turn.now)?;
        self.close(id, ReasonCode::AdministrativeAction, Ending::ByRequest(will), turn);
        if will == WillFate::Dropped {
            self.forget_will(id, turn);
        }
        let persists = |broker: &Broker| {
            broker.sessions.get(id).is_some_and(|session| session.record.expiry_s > 0)
        };
        if clean_session && persists(self) {
            self.end_session(id, turn);
        }
        Ok(Json::Object(Arc::default()))
    }

    /// The session of a client that is connected, or could go on with its session.
    pub(super) fn session_of(&self, client: &str, now: Timestamp) -> Result<SessionId, ApiError> {
        let id = self.sessions.find(client);
        id.filter(|id| {
            self.sessions
                .get(*id)
                .is_some_and(|session| session.record.connected || session.record.is_resumable(now))
        })
        .ok_or_else(|| missing("The client is not connected and has no persistent session."))
    }

    /// Sends a message to one client; the number of the confirmation that is waited for.
    fn send_direct(
        &mut self,
        direct: &DirectMessage,
        turn: &mut Turn<'_>,
    ) -> Result<Option<u64>, ApiError> {
        let DirectMessage { client, publish, confirm_within_ms } = direct;
        publish.within(turn.limits())?;
        let id = self
            .sessions
            .find(client)
            .filter(|id| self.sessions.get(*id).is_some_and(|session| session.link.is_some()));
        let id = id.ok_or_else(|| missing("The client is not connected."))?;
        let Some(session) = self.sessions.get(id) else { return Ok(None) };
        let receiver = &session.record.client;
        if !turn.authorize.allows(receiver, Action::Receive, &publish.topic) {
            let why = "The client is not authorized to receive on the topic.";
            return Err(ApiError::new("ForbiddenException", why));
        }
        let message_number = session.queue.next_number();
        let message = Arc::new(Message { qos: publish.qos, ..publish.message(turn.now) });
        let options = SubscriptionOptions { qos: QoS::AtLeastOnce, ..Default::default() };
        let subscription = Subscription { options, id: None };
        if !self.deliver_shared(id, subscription, &message, false, turn) {
            return Err(not_taken());
        }
        Ok(confirm_within_ms.map(|ms| self.await_confirmation(id, message_number, ms, turn)))
    }

    fn await_confirmation(
        &mut self,
        session: SessionId,
        message: u64,
        ms: i64,
        turn: &Turn<'_>,
    ) -> u64 {
        self.confirmations_made += 1;
        let confirmation =
            Confirmation { number: self.confirmations_made, until: turn.now.plus_ms(ms) };
        let awaited = (session, message);
        self.confirmations.insert(awaited, confirmation);
        self.deadlines.insert((confirmation.until, Deadline::Confirmation(awaited)));
        confirmation.number
    }

    /// A client has acknowledged a message: whoever waits for that is told.
    pub(in crate::broker) fn confirm(&mut self, awaited: Awaited, turn: &mut Turn<'_>) {
        if let Some(confirmation) = self.confirmations.remove(&awaited) {
            let trace = trace(confirmation.number, turn);
            let answer = Ok(delivered("The client has the message.", &trace));
            self.tell(awaited, confirmation, answer, turn);
        }
    }

    /// A client has not acknowledged a message in time.
    pub(in crate::broker) fn give_up_confirmation(
        &mut self,
        awaited: Awaited,
        turn: &mut Turn<'_>,
    ) {
        if let Some(confirmation) = self.confirmations.remove(&awaited) {
            self.tell(awaited, confirmation, Err(unconfirmed()), turn);
        }
    }

    /// A session's messages are gone: none of them will be acknowledged.
    pub(in crate::broker) fn give_up_confirmations(
        &mut self,
        session: SessionId,
        turn: &mut Turn<'_>,
    ) {
        let of_session = (session, 0)..=(session, u64::MAX);
        let awaited: Vec<_> = self.confirmations.range(of_session).map(|(it, _)| *it).collect();
        awaited.into_iter().for_each(|awaited| self.give_up_confirmation(awaited, turn));
    }

    fn tell(
        &mut self,
        awaited: Awaited,
        Confirmation { number, until }: Confirmation,
        answer: Result<Json, ApiError>,
        turn: &mut Turn<'_>,
    ) {
        self.deadlines.remove(&(until, Deadline::Confirmation(awaited)));
        turn.out.confirmed.push(Confirmed { number, at: turn.now, answer });
    }
}

fn sent(direct: &DirectMessage, turn: &Turn<'_>) -> Json {
    let numbers = [turn.now.0, direct.publish.payload.len() as i64];
    let trace = identifier(&turn.settings.secret, "direct", &direct.client, numbers);
    delivered("The message was sent to the client.", &trace)
}

fn trace(number: u64, turn: &Turn<'_>) -> Arc<str> {
    identifier(&turn.settings.secret, "confirmed", "", [turn.now.0, number as i64])
}

fn delivered(message: &str, trace: &Arc<str>) -> Json {
    Json::object([("message", Json::from(message)), ("traceId", Json::string(Arc::clone(trace)))])
}

pub(super) fn missing(why: &str) -> ApiError {
    ApiError::new("ResourceNotFoundException", why)
}

fn unconfirmed() -> ApiError {
    let why = "The client has not acknowledged the message in time.";
    ApiError::new("GatewayTimeoutException", why)
}

fn not_taken() -> ApiError {
    let why = "The message is larger than the client takes, or too many wait for it.";
    ApiError::new("RequestEntityTooLargeException", why)
}
