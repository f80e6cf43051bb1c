//! From an accepted message to the sessions that get it.

use std::sync::Arc;

use stepwire_asl::Timestamp;

use super::session::{Link, Queued, SessionId, Sessions, Subscription};
use super::tree::Reach;
use super::write::Write;
use super::{Action, Broker, ConnectionId, Out, Turn};
use crate::message::{Message, QoS};
use crate::mqtt::{Ack, Packet, PacketId, Publish, Version};

/// One session that subscribes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Match {
    session: SessionId,
    subscription: Subscription,
}

/// Who subscribes to one filter.
#[derive(Debug, Default)]
pub(super) struct Subscribers {
    members: Vec<Match>,
    groups: Vec<Group>,
}

/// A shared subscription (MQTT 5.0, 4.8.2).
#[derive(Debug)]
struct Group {
    name: Box<str>,
    members: Vec<Match>,
}

impl Subscribers {
    /// Adds a session or changes its subscription.
    pub(super) fn put(
        &mut self,
        group: Option<&str>,
        session: SessionId,
        subscription: Subscription,
    ) {
        let members = match group {
            None => &mut self.members,
            Some(name) => self.group(name),
        };
        let new = Match { session, subscription };
        match members.binary_search_by_key(&session, |member| member.session) {
            Ok(at) => members[at] = new,
            Err(at) => members.insert(at, new),
        }
    }

    fn group(&mut self, name: &str) -> &mut Vec<Match> {
        let at = self.groups.iter().position(|group| *group.name == *name).unwrap_or_else(|| {
            self.groups.push(Group { name: name.into(), members: Vec::new() });
            self.groups.len() - 1
        });
        &mut self.groups[at].members
    }

    /// Takes a session out.
    pub(super) fn remove(&mut self, group: Option<&str>, session: SessionId) {
        let Some(name) = group else { return remove(&mut self.members, session) };
        if let Some(group) = self.groups.iter_mut().find(|group| *group.name == *name) {
            remove(&mut group.members, session);
        }
        self.groups.retain(|group| !group.members.is_empty());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.groups.is_empty()
    }
}

fn remove(members: &mut Vec<Match>, session: SessionId) {
    if let Ok(at) = members.binary_search_by_key(&session, |member| member.session) {
        members.remove(at);
    }
}

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
        publish(message, now, self.qos, self.retain, ids)
    }
}

/// The packet that delivers `message`; `None` when it has expired.
fn publish(
    message: &Message,
    now: Timestamp,
    qos: QoS,
    retain: bool,
    subscription_ids: Vec<u32>,
) -> Option<Publish> {
    let message_expiry_s = remaining(message, now)?;
    let mut properties = message.properties.clone();
    properties.message_expiry_s = message_expiry_s;
    Some(Publish {
        dup: false,
        qos,
        retain,
        topic: Arc::clone(&message.topic),
        packet_id: None,
        topic_alias: None,
        subscription_ids,
        properties,
        payload: message.payload.clone(),
    })
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
        self.collect(&message.topic, from, &mut matches);
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
        reached
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
        let delivery = Delivery { qos, retain, subscription_ids };
        self.deliver(id, delivery, message, &mut Some(Arc::clone(message)), turn)
    }

    /// Sessions that subscribe to `topic`, in order, each with all its subscriptions.
    fn collect(&mut self, topic: &str, from: Option<SessionId>, matches: &mut Vec<Match>) {
        self.turns = self.turns.wrapping_add(1);
        let Broker { subscribers, sessions, turns, .. } = self;
        let mut sources = 0;
        subscribers.matches(topic, &mut |found, reach| {
            sources += 1 + found.groups.len();
            let wants = |found: &&Match| reach == Reach::Itself || takes_parent(sessions, found);
            let own =
                |found: &Match| found.subscription.options.no_local && Some(found.session) == from;
            matches.extend(found.members.iter().filter(|found| !own(found)).filter(wants));
            for Group { members, .. } in &found.groups {
                let start = *turns % members.len().max(1);
                let (before, after) = members.split_at(start);
                let connected = |found: &&Match| {
                    sessions.get(found.session).is_some_and(|session| session.link.is_some())
                };
                let mut in_turn = after.iter().chain(before).filter(wants);
                matches.extend(in_turn.clone().find(connected).or_else(|| in_turn.next()));
            }
        });
        if sources > 1 {
            matches.sort_by_key(|found| found.session);
        }
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
            if !fits(link, &packet) {
                turn.refuse(&client, Action::Receive, &message.topic, TOO_LARGE);
                return false;
            }
            now = Some(Publish { packet_id: Some(packet_id), ..packet });
        }
        let message = Arc::clone(shared.get_or_insert_with(|| Arc::new(message.clone())));
        let Delivery { qos, retain, subscription_ids } = delivery;
        let sent = now.is_some();
        let queued = Some(Queued { qos, retain, sent, subscription_ids, message: Some(message) });
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
        let Some(packet) = publish(message, turn.now, qos, retain, ids) else {
            return Some(Step::Drop(next.number));
        };
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

fn use_alias(link: &mut Link, packet: &mut Publish) {
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
