//! From an accepted message to the sessions that get it.

use std::sync::Arc;

use stepwire_asl::Timestamp;

use super::session::{Link, Queued, SessionId, Sessions, Subscription};
use super::subscribers::Match;
use super::topic::Filter;
use super::tree::Reach;
use super::write::Write;
use super::{Action, Broker, ConnectionId, Limits, Out, Turn};
use crate::message::{Message, QoS};
use crate::mqtt::{Ack, Packet, PacketId, Publish, Version};

/// Whether a session that subscribes to `a/#` gets messages of `a`.
fn takes_parent(sessions: &Sessions, found: &Match) -> bool {
    let session = sessions.get(found.session);
    session.is_some_and(|session| session.record.client.profile.hash_includes_parent())
}

/// How one message goes to one session.
#[derive(Debug, Default)]
struct Delivery {
    qos: QoS,
    retain: bool,
    subscription_ids: Vec<u32>,
    /// The filter of the shared subscription it is for.
    shared: Option<Arc<str>>,
}

impl Delivery {
    /// All subscriptions of a session together: the highest quality of service they allow, and
    /// every identifier (MQTT 5.0, 3.3.4).
    fn of(matches: &[Match], message: &Message) -> Delivery {
        let mut delivery = Delivery::default();
        for Subscription { options, id } in matches.iter().map(|found| found.subscription) {
            delivery.qos = delivery.qos.max(options.qos.min(message.qos));
            delivery.retain |= message.retain && options.retain_as_published;
            delivery.subscription_ids.extend(id);
        }
        delivery
    }

    fn packet(&self, message: &Message, now: Timestamp) -> Option<Publish> {
        let ids = self.subscription_ids.clone();
        let expiry_s = remaining(message, now)?;
        Some(publish(message, expiry_s, self.qos, self.retain, ids))
    }
}

/// The packet that delivers `message`, which may wait for `expiry_s` seconds more.
fn publish(
    message: &Message,
    expiry_s: Option<u32>,
    qos: QoS,
    retain: bool,
    subscription_ids: Vec<u32>,
) -> Publish {
    let mut properties = message.properties.clone();
    properties.message_expiry_s = expiry_s;
    Publish {
        dup: false,
        qos,
        retain,
        topic: Arc::clone(&message.topic),
        packet_id: None,
        topic_alias: None,
        subscription_ids,
        properties,
        payload: message.payload.clone(),
    }
}

/// Seconds the message may still wait, if it bounds them; `None` when it has expired.
#[expect(clippy::option_option, reason = "expired, unbounded, bounded")]
pub(super) fn remaining(message: &Message, now: Timestamp) -> Option<Option<u32>> {
    let Some(expiry_s) = message.properties.message_expiry_s else { return Some(None) };
    let age_ms = now.since_ms(message.at).max(0);
    let left_ms = i64::from(expiry_s) * 1000 - age_ms;
    // counted up, so that a message never travels with a zero it did not start with
    (left_ms > 0 || age_ms == 0).then(|| Some(u32::try_from((left_ms + 999) / 1000).unwrap_or(0)))
}

impl Broker {
    /// Gives a message to every session with a matching subscription. Whether one got it, or will.
    pub(super) fn route(
        &mut self,
        message: &Message,
        from: Option<SessionId>,
        turn: &mut Turn<'_>,
    ) -> bool {
        let mut matches = std::mem::take(&mut self.matches);
        let chosen = self.collect(&message.topic, from, &mut matches);
        let mut shared = None;
        let mut reached = false;
        for of_session in matches.chunk_by(|a, b| a.session == b.session) {
            let Some(first) = of_session.first() else { continue };
            let delivery = Delivery::of(of_session, message);
            reached |= self.deliver(first.session, delivery, message, &mut shared, turn);
        }
        matches.clear();
        matches.shrink_to(4_096);
        self.matches = matches;
        // a copy of its own: one client may have both kinds of subscription (MQTT 5.0, 4.8.2)
        for (filter, member) in chosen {
            let delivery = Delivery { shared: Some(filter), ..Delivery::of(&[member], message) };
            reached |= self.deliver(member.session, delivery, message, &mut shared, turn);
        }
        reached
    }

    /// Gives a message of a shared subscription to another of the group, if there is one.
    pub(super) fn pass_on(
        &mut self,
        filter: &Arc<str>,
        message: &Arc<Message>,
        turn: &mut Turn<'_>,
    ) {
        self.turns = self.turns.wrapping_add(1);
        let Some(Filter { path, .. }) = Filter::parse(filter, &Limits::UNLIMITED) else { return };
        let Some(subscribers) = self.subscribers.get(path) else { return };
        let group = subscribers.groups.iter().find(|group| group.filter == *filter);
        let of_parent = path.strip_suffix("/#") == Some(&*message.topic);
        let wants = |found: &&Match| !of_parent || takes_parent(&self.sessions, found);
        let member = group.and_then(|group| group.choose(self.turns, &self.sessions, wants));
        if let Some(member) = member {
            let filter = Some(Arc::clone(filter));
            let delivery = Delivery { shared: filter, ..Delivery::of(&[member], message) };
            let shared = &mut Some(Arc::clone(message));
            self.deliver(member.session, delivery, message, shared, turn);
        }
    }

    /// Delivers a message that is shared already, for one subscription.
    pub(super) fn deliver_shared(
        &mut self,
        id: SessionId,
        Subscription { options, id: subscription_id }: Subscription,
        message: &Arc<Message>,
        retain: bool,
        turn: &mut Turn<'_>,
    ) -> bool {
        let qos = options.qos.min(message.qos);
        let subscription_ids = subscription_id.into_iter().collect();
        let delivery = Delivery { qos, retain, subscription_ids, shared: None };
        self.deliver(id, delivery, message, &mut Some(Arc::clone(message)), turn)
    }

    /// Sessions that subscribe to `topic`, in order, each with all its subscriptions; and one of
    /// each group, with the group's filter.
    fn collect(
        &mut self,
        topic: &str,
        from: Option<SessionId>,
        matches: &mut Vec<Match>,
    ) -> Vec<(Arc<str>, Match)> {
        self.turns = self.turns.wrapping_add(1);
        let Broker { subscribers, sessions, turns, .. } = self;
        let mut sources = 0;
        let mut chosen = Vec::new();
        subscribers.matches(topic, &mut |found, reach| {
            sources += 1;
            let wants = |found: &&Match| reach == Reach::Itself || takes_parent(sessions, found);
            let own =
                |found: &Match| found.subscription.options.no_local && Some(found.session) == from;
            matches.extend(found.members.iter().filter(|found| !own(found)).filter(wants));
            for group in &found.groups {
                let member = group.choose(*turns, sessions, wants);
                chosen.extend(member.map(|member| (Arc::clone(&group.filter), member)));
            }
        });
        if sources > 1 {
            matches.sort_by_key(|found| found.session);
        }
        chosen
    }

    fn deliver(
        &mut self,
        id: SessionId,
        delivery: Delivery,
        message: &Message,
        shared: &mut Option<Arc<Message>>,
        turn: &mut Turn<'_>,
    ) -> bool {
        let Some(session) = self.sessions.get_mut(id) else { return false };
        let client = &session.record.client;
        let Some(link) = session.link.as_mut() else {
            // nothing below QoS 1 waits for an absent client
            let waits = delivery.qos > QoS::AtMostOnce;
            return waits && self.enqueue(id, delivery, message, shared, turn);
        };
        if !turn.authorize.allows(client, Action::Receive, &message.topic) {
            turn.refuse(&client.id, Action::Receive, &message.topic, "not authorized");
            return false;
        }
        if delivery.qos > QoS::AtMostOnce {
            return self.enqueue(id, delivery, message, shared, turn);
        }
        match delivery.packet(message, turn.now) {
            Some(packet) if fits(link, &packet) => {
                send(link, packet, turn.out);
                true
            }
            Some(_) => {
                turn.refuse(&client.id, Action::Receive, &message.topic, TOO_LARGE);
                false
            }
            None => false,
        }
    }

    /// Queues a QoS 1 or 2 message, and sends it at once when the client's window is open.
    fn enqueue(
        &mut self,
        id: SessionId,
        delivery: Delivery,
        message: &Message,
        shared: &mut Option<Arc<Message>>,
        turn: &mut Turn<'_>,
    ) -> bool {
        let Some(session) = self.sessions.get_mut(id) else { return false };
        let (client, stored) = (Arc::clone(&session.record.client.id), session.record.stored);
        let queue = &session.queue;
        let bytes = queue.bytes() + message.bytes();
        let many = session.link.is_none() && queue.len() >= turn.limits().queued_max;
        // the more the others have, the less one may: who has little is refused last
        let free = turn.settings.budget.queued_bytes_max.saturating_sub(self.usage.queued_bytes);
        if many || bytes > turn.limits().queued_bytes_max.min(free) {
            turn.refuse(&client, Action::Receive, &message.topic, "queue is full");
            return false;
        }
        let number = queue.next_number();
        let mut now = None;
        if let Some(link) = &session.link
            && let Some(packet_id) = queue.open(link.window)
        {
            let Some(packet) = delivery.packet(message, turn.now) else { return false };
            let packet = Publish { packet_id: Some(packet_id), ..packet };
            if !fits(link, &packet) {
                turn.refuse(&client, Action::Receive, &message.topic, TOO_LARGE);
                return false;
            }
            now = Some(packet);
        }
        let message = Arc::clone(shared.get_or_insert_with(|| Arc::new(message.clone())));
        let Delivery { qos, retain, subscription_ids, shared } = delivery;
        let (sent, message) = (now.is_some(), Some(message));
        let queued = Some(Queued { qos, retain, sent, subscription_ids, shared, message });
        self.note(stored, Write::Queued { client, number, queued }, turn.out);
        if let Some(packet) = now
            && let Some(session) = self.sessions.get_mut(id)
            && let Some(link) = session.link.as_mut()
        {
            session.queue.note_sent(number);
            send(link, packet, turn.out);
        }
        true
    }

    /// Sends what is queued, as far as the client's window lets it through.
    pub(super) fn send_queued(&mut self, id: SessionId, turn: &mut Turn<'_>) {
        let Some(session) = self.sessions.get(id) else { return };
        let sent_before = session.queue.sent_up_to();
        while let Some(step) = self.next_queued(id, turn) {
            let Some(session) = self.sessions.get_mut(id) else { return };
            let Some(link) = session.link.as_mut() else { return };
            match step {
                Step::Send(number, packet) => {
                    session.queue.note_sent(number);
                    send(link, packet, turn.out);
                }
                Step::Release(number, packet_id) => {
                    session.queue.note_sent(number);
                    turn.send(link.connection, Packet::PubRel(Ack::success(packet_id)));
                }
                Step::Drop(number) => self.drop_queued(id, number, turn),
            }
        }
        self.mark_sent(id, sent_before, turn);
    }

    fn next_queued(&self, id: SessionId, turn: &mut Turn<'_>) -> Option<Step> {
        let session = self.sessions.get(id)?;
        let link = session.link.as_ref()?;
        let next = session.queue.next(link.window)?;
        let Some(message) = &next.queued.message else {
            return Some(Step::Release(next.number, next.packet_id));
        };
        let Queued { qos, retain, .. } = *next.queued;
        let ids = next.queued.subscription_ids.clone();
        let expiry_s = match remaining(message, turn.now) {
            Some(expiry_s) => expiry_s,
            // its delivery has begun and goes on (MQTT 5.0, 4.3.3)
            None if next.again => Some(0),
            None => return Some(Step::Drop(next.number)),
        };
        let packet = publish(message, expiry_s, qos, retain, ids);
        let packet = Publish { packet_id: Some(next.packet_id), dup: next.again, ..packet };
        let client = &session.record.client;
        if !turn.authorize.allows(client, Action::Receive, &message.topic) {
            turn.refuse(&client.id, Action::Receive, &message.topic, "not authorized");
            return Some(Step::Drop(next.number));
        }
        if !fits(link, &packet) {
            turn.refuse(&client.id, Action::Receive, &message.topic, TOO_LARGE);
            return Some(Step::Drop(next.number));
        }
        Some(Step::Send(next.number, packet))
    }

    /// Forgets a queued message: delivered, or not to be delivered.
    pub(super) fn drop_queued(&mut self, id: SessionId, number: u64, turn: &mut Turn<'_>) {
        let Some(session) = self.sessions.get(id) else { return };
        let (client, stored) = (Arc::clone(&session.record.client.id), session.record.stored);
        self.note(stored, Write::Queued { client, number, queued: None }, turn.out);
    }

    /// Makes durable that messages were sent that said at first that they were not.
    fn mark_sent(&mut self, id: SessionId, sent_before: u64, turn: &mut Turn<'_>) {
        let Some(session) = self.sessions.get(id) else { return };
        let up_to = session.queue.sent_up_to();
        if session.record.stored && up_to > sent_before {
            let client = Arc::clone(&session.record.client.id);
            self.record(Write::Sent { client, up_to: Some(up_to) }, turn.out);
        }
    }
}

const TOO_LARGE: &str = "larger than the client takes";

/// What to do with the next queued message.
enum Step {
    Send(u64, Publish),
    Release(u64, PacketId),
    Drop(u64),
}

fn fits(link: &Link, packet: &Publish) -> bool {
    link.packet_bytes_max == usize::MAX || packet.encoded_len(link.version) <= link.packet_bytes_max
}

/// Sends a packet, with a topic alias in place of the topic where the client takes one.
fn send(link: &mut Link, mut packet: Publish, out: &mut Out) {
    if link.version == Version::V5 && link.aliases_out_max > 0 {
        use_alias(link, &mut packet);
    }
    let connection: ConnectionId = link.connection;
    out.sends.push((connection, Packet::Publish(packet)));
}

/// Shorter topics are shorter than the property, which may lengthen the length of properties too.
const ALIASED_BYTES_MIN: usize = 4;

fn use_alias(link: &mut Link, packet: &mut Publish) {
    if packet.topic.len() < ALIASED_BYTES_MIN {
        return;
    }
    if let Some(alias) = link.aliases_out.get(&packet.topic) {
        packet.topic_alias = Some(*alias);
        packet.topic = Arc::default();
    } else if let Ok(used) = u16::try_from(link.aliases_out.len())
        && used < link.aliases_out_max
        // the alias property and a longer length
        && packet.encoded_len(link.version) + 5 <= link.packet_bytes_max
    {
        let alias = PacketId::MIN.saturating_add(used);
        link.aliases_out.insert(Arc::clone(&packet.topic), alias);
        packet.topic_alias = Some(alias);
    }
}
