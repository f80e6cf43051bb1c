//! PUBLISH from a client (MQTT 5.0, 3.3 and 4.3).

use std::sync::Arc;

use super::ending::Ending;
use super::guard::{self, Pace};
use super::session::{Link, SessionId};
use super::topic::{is_reserved, is_topic_name};
use super::write::Write;
use super::{Action, Broker, Cause, Limits, Overrun, Turn};
use crate::message::{Client, Message, Origin, QoS, asks_service};
use crate::mqtt::{Ack, Packet, PacketId, Publish, ReasonCode, Version};
use crate::rules::Ingest;

impl Broker {
    pub(super) fn client_publish(
        &mut self,
        id: SessionId,
        mut publish: Publish,
        turn: &mut Turn<'_>,
    ) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let Some(link) = session.link.as_mut() else { return };
        let limits = turn.limits_of(session.record.client.profile);
        if let Err(reason) = check(link, &mut publish, limits) {
            return self.fail(id, reason, turn);
        }
        let (connection, version) = (link.connection, link.version);
        let pace = match limits.rates.overrun {
            Overrun::Slow => Pace::Within,
            Overrun::Refuse => guard::pace_of(link, &publish, &limits.rates, turn.now),
        };
        if let (QoS::ExactlyOnce, Some(packet_id)) = (publish.qos, publish.packet_id) {
            if session.received.contains(&packet_id) {
                return turn.send(connection, Packet::PubRec(Ack::success(packet_id)));
            }
            let open = session.received.len();
            let max = match version {
                Version::V5 => usize::from(limits.receive_maximum),
                Version::V31 | Version::V311 => limits.unreleased_max,
            };
            if open >= max {
                return self.fail(id, ReasonCode::ReceiveMaximumExceeded, turn);
            }
        }
        if pace != Pace::Within {
            return self.publish_too_fast(id, &publish, pace, turn);
        }
        let client = Arc::clone(&session.record.client);
        let stored = session.record.stored;
        if let Err((action, why)) = permit(&client, &publish, turn) {
            turn.refuse(&client.id, action, &publish.topic, why);
            return self.refuse_publish(id, &publish, turn);
        }
        let Publish { qos, packet_id, .. } = publish;
        let message = Message {
            topic: publish.topic,
            payload: publish.payload,
            qos,
            retain: publish.retain,
            properties: publish.properties,
            origin: Origin::Client(Arc::clone(&client)),
            at: turn.now,
        };
        let kept = if message.retain { self.retained.room_for(&message, turn) } else { Ok(()) };
        if let Err(why) = kept
            && version == Version::V5
            && let Some(answer) = answer(qos, packet_id, ReasonCode::QuotaExceeded)
        {
            turn.refuse(&client.id, Action::RetainPublish, &message.topic, why);
            turn.send(connection, answer);
            return self.count_refusals(id, 1, Cause::Retained, turn);
        }
        if let (QoS::ExactlyOnce, Some(packet_id)) = (qos, packet_id) {
            let client = Arc::clone(&client.id);
            self.note(stored, Write::Received { client, packet_id, open: true }, turn.out);
        }
        // who cannot be told that it is not kept has it delivered all the same
        self.accept(&message, Some(id), turn);
        turn.out.messages.push(message);
        if let Some(ack) = answer(qos, packet_id, ReasonCode::Success) {
            turn.send(connection, ack);
        }
        if kept.is_err() {
            self.count_refusals(id, 1, Cause::Retained, turn);
        }
    }

    /// The client publishes faster than it may: this message is not taken.
    fn publish_too_fast(
        &mut self,
        id: SessionId,
        publish: &Publish,
        pace: Pace,
        turn: &mut Turn<'_>,
    ) {
        if pace == Pace::FarOver {
            return self.throttle(id, Cause::PublishRate, ReasonCode::MessageRateTooHigh, turn);
        }
        let Some(session) = self.sessions.get(id) else { return };
        let Some(link) = &session.link else { return };
        let (connection, version) = (link.connection, link.version);
        let client = Arc::clone(&session.record.client.id);
        turn.refuse(&client, Action::Publish, &publish.topic, "faster than it may publish");
        let answer = answer(publish.qos, publish.packet_id, ReasonCode::QuotaExceeded);
        if let Some(answer) = answer.filter(|_| version == Version::V5) {
            turn.send(connection, answer);
        }
    }

    /// The client may not publish this: MQTT 5.0 can say so, before that only closing can.
    fn refuse_publish(&mut self, id: SessionId, publish: &Publish, turn: &mut Turn<'_>) {
        let reason = ReasonCode::NotAuthorized;
        let link = self.sessions.get(id).and_then(|session| session.link.as_ref());
        let Some((version, connection)) = link.map(|link| (link.version, link.connection)) else {
            return;
        };
        match answer(publish.qos, publish.packet_id, reason) {
            Some(ack) if version == Version::V5 => {
                turn.send(connection, ack);
                self.count_refusals(id, 1, Cause::Refusals, turn);
            }
            _ => self.close(id, reason, Ending::AuthError, turn),
        }
    }

    /// PUBREL: the client will not send this message again.
    pub(super) fn client_release(&mut self, id: SessionId, ack: Ack, turn: &mut Turn<'_>) {
        let Some(session) = self.sessions.get(id) else { return };
        let Some(link) = &session.link else { return };
        let (connection, packet_id) = (link.connection, ack.packet_id);
        let mut reason = ReasonCode::PacketIdentifierNotFound;
        if session.received.contains(&packet_id) {
            let (client, stored) = (Arc::clone(&session.record.client.id), session.record.stored);
            self.note(stored, Write::Received { client, packet_id, open: false }, turn.out);
            reason = ReasonCode::Success;
        }
        turn.send(connection, Packet::PubComp(Ack { packet_id, reason }));
    }
}

/// The answer that `qos` asks for.
fn answer(qos: QoS, packet_id: Option<PacketId>, reason: ReasonCode) -> Option<Packet> {
    let ack = Ack { packet_id: packet_id?, reason };
    match qos {
        QoS::AtMostOnce => None,
        QoS::AtLeastOnce => Some(Packet::PubAck(ack)),
        QoS::ExactlyOnce => Some(Packet::PubRec(ack)),
    }
}

/// Checks the packet and puts the topic in place of its alias.
fn check(link: &mut Link, publish: &mut Publish, limits: &Limits) -> Result<(), ReasonCode> {
    if (publish.qos == QoS::AtMostOnce) == publish.packet_id.is_some() {
        return Err(ReasonCode::MalformedPacket);
    }
    if publish.qos > limits.qos_max {
        return Err(ReasonCode::QoSNotSupported);
    }
    if publish.payload.len() > limits.payload_bytes_max {
        return Err(ReasonCode::QuotaExceeded);
    }
    limits.bound(&mut publish.properties);
    let answer_topic = &publish.properties.response_topic;
    if !publish.subscription_ids.is_empty()
        || answer_topic.as_ref().is_some_and(|topic| topic.contains(['+', '#']))
    {
        return Err(ReasonCode::ProtocolError);
    }
    match publish.topic_alias {
        Some(alias) => resolve(link, alias.get(), &mut publish.topic, limits)?,
        None if publish.topic.is_empty() => return Err(ReasonCode::ProtocolError),
        None => {}
    }
    if !is_topic_name(&publish.topic, limits) {
        return Err(ReasonCode::TopicNameInvalid);
    }
    Ok(())
}

fn resolve(
    link: &mut Link,
    alias: u16,
    topic: &mut Arc<str>,
    limits: &Limits,
) -> Result<(), ReasonCode> {
    if alias > limits.topic_alias_max || link.version != Version::V5 {
        return Err(ReasonCode::TopicAliasInvalid);
    }
    let at = usize::from(alias) - 1;
    if topic.is_empty() {
        let known = link.aliases_in.get(at).and_then(Option::as_ref);
        *topic = Arc::clone(known.ok_or(ReasonCode::ProtocolError)?);
        return Ok(());
    }
    if link.aliases_in.len() <= at {
        link.aliases_in.resize(at + 1, None);
    }
    link.aliases_in[at] = Some(Arc::clone(topic));
    Ok(())
}

fn permit(
    client: &Client,
    publish: &Publish,
    turn: &Turn<'_>,
) -> Result<(), (Action, &'static str)> {
    let allows = |action| turn.authorize.allows(client, action, &publish.topic);
    if is_reserved(&publish.topic) {
        return Err((Action::Publish, "only the service publishes to this topic"));
    }
    if !allows(Action::Publish) {
        return Err((Action::Publish, "not authorized"));
    }
    if publish.retain && Ingest::of(&publish.topic).is_some() {
        return Err((Action::RetainPublish, "nothing is retained on topics of Basic Ingest"));
    }
    if publish.retain && asks_service(&publish.topic) {
        return Err((Action::RetainPublish, "nothing is retained on topics of shadows and jobs"));
    }
    if publish.retain && !allows(Action::RetainPublish) {
        return Err((Action::RetainPublish, "not authorized"));
    }
    Ok(())
}
