//! SUBSCRIBE and UNSUBSCRIBE (MQTT 5.0, 3.8 and 3.10).

use std::sync::Arc;

use super::session::{Link, SessionId, Subscription};
use super::topic::Filter;
use super::write::Write;
use super::{Action, Broker, Cause, Limits, Turn, presence};
use crate::message::Profile;
use crate::mqtt::{
    Packet, PacketId, ReasonCode, RetainHandling, SubAck, Subscribe, SubscriptionOptions,
    Unsubscribe, Version, varint_len,
};
use crate::rules::Ingest;

impl Broker {
    pub(super) fn client_subscribe(
        &mut self,
        id: SessionId,
        subscribe: Subscribe,
        turn: &mut Turn<'_>,
    ) {
        let Some(session) = self.sessions.get(id) else { return };
        let Some(link) = &session.link else { return };
        let (connection, version) = (link.connection, link.version);
        let profile = session.record.client.profile;
        let checked = check(&subscribe, version, profile, turn.limits_of(profile))
            .and_then(|()| answer_fits(link, subscribe.filters.len()));
        if let Err(reason) = checked {
            return self.fail(id, reason, turn);
        }
        let Subscribe { packet_id, filters, subscription_id, .. } = subscribe;
        if !self.may_change_filters(id, filters.len(), turn) {
            return self.subscribe_too_fast(id, packet_id, &filters, turn);
        }
        let mut refused = 0;
        let mut reasons = Vec::with_capacity(filters.len());
        let mut granted = Vec::with_capacity(filters.len());
        for (filter, mut options) in filters {
            options.qos = options.qos.min(turn.limits_of(profile).qos_max);
            let subscription = Subscription { options, id: subscription_id };
            match self.add_subscription(id, &filter, subscription, turn) {
                Ok(is_new) => {
                    reasons.push(ReasonCode::granted(options.qos));
                    granted.push((filter, subscription, is_new));
                }
                Err(reason) => {
                    refused += 1;
                    reasons.push(reason);
                }
            }
        }
        turn.send(connection, Packet::SubAck(SubAck { packet_id, reasons }));
        for (filter, subscription, is_new) in &granted {
            self.deliver_waiting(id, filter, *subscription, *is_new, turn);
        }
        let filters: Vec<_> = granted.into_iter().map(|(filter, ..)| filter).collect();
        self.announce_filters(id, "subscribed", &filters, turn);
        if refused > 0 {
            self.count_refusals(id, refused, Cause::Refusals, turn);
        }
    }

    /// The client changes its subscriptions faster than it may: these are refused.
    fn subscribe_too_fast(
        &mut self,
        id: SessionId,
        packet_id: PacketId,
        filters: &[(Arc<str>, SubscriptionOptions)],
        turn: &mut Turn<'_>,
    ) {
        let Some(session) = self.sessions.get(id) else { return };
        let Some(link) = &session.link else { return };
        let (connection, client) = (link.connection, Arc::clone(&session.record.client.id));
        if let Some((filter, _)) = filters.first() {
            turn.refuse(&client, Action::Subscribe, filter, "faster than it may subscribe");
        }
        let reasons = vec![ReasonCode::QuotaExceeded; filters.len()];
        turn.send(connection, Packet::SubAck(SubAck { packet_id, reasons }));
        self.count_refusals(id, filters.len() as u64, Cause::FilterRate, turn);
    }

    /// Whether the subscription is new; or why it is refused.
    fn add_subscription(
        &mut self,
        id: SessionId,
        filter: &Arc<str>,
        subscription: Subscription,
        turn: &mut Turn<'_>,
    ) -> Result<bool, ReasonCode> {
        let session = self.sessions.get(id).ok_or(ReasonCode::UnspecifiedError)?;
        let client = &session.record.client;
        let limits = turn.limits_of(client.profile);
        let Some(Filter { path, .. }) = Filter::parse(filter, limits) else {
            return Err(ReasonCode::TopicFilterInvalid);
        };
        if Ingest::covers(path) {
            turn.refuse(&client.id, Action::Subscribe, filter, "Basic Ingest delivers to nobody");
            return Err(ReasonCode::NotAuthorized);
        }
        if !turn.authorize.allows(client, Action::Subscribe, filter) {
            turn.refuse(&client.id, Action::Subscribe, filter, "not authorized");
            return Err(ReasonCode::NotAuthorized);
        }
        let old = session.subscriptions.get(filter);
        let is_new = old.is_none();
        if is_new && let Err(why) = self.room_for_subscription(id, filter, turn) {
            turn.refuse(&client.id, Action::Subscribe, filter, why);
            return Err(ReasonCode::QuotaExceeded);
        }
        if old != Some(&subscription) {
            let (client, filter) = (Arc::clone(&client.id), Arc::clone(filter));
            let stored = session.record.stored;
            let subscription = Some(subscription);
            self.note(stored, Write::Subscription { client, filter, subscription }, turn.out);
        }
        Ok(is_new)
    }

    /// Sends what was published before the subscription and is still there for it.
    fn deliver_waiting(
        &mut self,
        id: SessionId,
        filter: &Arc<str>,
        subscription: Subscription,
        is_new: bool,
        turn: &mut Turn<'_>,
    ) {
        let Some(session) = self.sessions.get(id) else { return };
        let profile = session.record.client.profile;
        let Some(filter) = Filter::parse(filter, turn.limits_of(profile)) else { return };
        let retained = profile.sends_retained_to(filter)
            && match subscription.options.retain_handling {
                RetainHandling::Send => true,
                RetainHandling::SendIfNew => is_new,
                RetainHandling::DoNotSend => false,
            };
        if retained {
            self.deliver_retained(id, filter, subscription, turn);
        }
        self.deliver_held(id, filter, subscription, turn);
    }

    fn deliver_retained(
        &mut self,
        id: SessionId,
        filter: Filter<'_>,
        subscription: Subscription,
        turn: &mut Turn<'_>,
    ) {
        let (messages, looked_at) = self.retained.matching(filter);
        for message in messages {
            self.deliver_shared(id, subscription, &message, true, turn);
        }
        // looking through them costs everybody, whether or not there was something to send
        if !self.may_look_at(id, looked_at, turn) {
            self.throttle(id, Cause::RetainedRate, ReasonCode::QuotaExceeded, turn);
        }
    }

    pub(super) fn client_unsubscribe(
        &mut self,
        id: SessionId,
        unsubscribe: Unsubscribe,
        turn: &mut Turn<'_>,
    ) {
        let Some(session) = self.sessions.get(id) else { return };
        let Some(link) = &session.link else { return };
        let connection = link.connection;
        let profile = session.record.client.profile;
        let Unsubscribe { packet_id, filters, .. } = unsubscribe;
        if let Err(reason) = answer_fits(link, filters.len()) {
            return self.fail(id, reason, turn);
        }
        let limits = turn.limits_of(profile);
        let valid = |filter: &Arc<str>| Filter::parse(filter, limits).is_some();
        if filters.is_empty() || !filters.iter().all(valid) {
            return self.fail(id, ReasonCode::TopicFilterInvalid, turn);
        }
        if !self.may_change_filters(id, filters.len(), turn) {
            let reasons = vec![ReasonCode::UnspecifiedError; filters.len()];
            turn.send(connection, Packet::UnsubAck(SubAck { packet_id, reasons }));
            return self.count_refusals(id, filters.len() as u64, Cause::FilterRate, turn);
        }
        let mut reasons = Vec::with_capacity(filters.len());
        let mut gone = Vec::new();
        for filter in filters {
            if self.remove_subscription(id, &filter, turn) {
                reasons.push(ReasonCode::Success);
                gone.push(filter);
            } else if profile.tells_missing_subscriptions() {
                reasons.push(ReasonCode::NoSubscriptionExisted);
            } else {
                reasons.push(ReasonCode::Success);
            }
        }
        turn.send(connection, Packet::UnsubAck(SubAck { packet_id, reasons }));
        self.announce_filters(id, "unsubscribed", &gone, turn);
    }

    fn remove_subscription(
        &mut self,
        id: SessionId,
        filter: &Arc<str>,
        turn: &mut Turn<'_>,
    ) -> bool {
        let Some(session) = self.sessions.get(id) else { return false };
        if !session.subscriptions.contains_key(filter) {
            return false;
        }
        let (client, stored) = (Arc::clone(&session.record.client.id), session.record.stored);
        let filter = Arc::clone(filter);
        self.note(stored, Write::Subscription { client, filter, subscription: None }, turn.out);
        true
    }

    fn announce_filters(
        &mut self,
        id: SessionId,
        what: &'static str,
        filters: &[Arc<str>],
        turn: &mut Turn<'_>,
    ) {
        let Some(session) = self.sessions.get(id) else { return };
        if !filters.is_empty() {
            let event = presence::filters_changed(&session.record.client, what, filters, turn.now);
            self.announce(event, turn);
        }
    }
}

/// Whether the client takes an answer with so many reasons. It cannot be left out, and a part of it
/// would be wrong (MQTT 5.0, 3.1.2.11.4).
fn answer_fits(link: &Link, reasons: usize) -> Result<(), ReasonCode> {
    let body = 3 + reasons;
    let fits = 1 + varint_len(body) + body <= link.packet_bytes_max;
    if fits { Ok(()) } else { Err(ReasonCode::PacketTooLarge) }
}

/// Checks what no reason code of SUBACK can say.
fn check(
    subscribe: &Subscribe,
    version: Version,
    profile: Profile,
    limits: &Limits,
) -> Result<(), ReasonCode> {
    let shared_no_local = |(filter, options): &(Arc<str>, SubscriptionOptions)| {
        options.no_local && filter.starts_with("$share/")
    };
    if subscribe.filters.is_empty() || subscribe.filters.iter().any(shared_no_local) {
        return Err(ReasonCode::ProtocolError);
    }
    if subscribe.filters.len() > limits.filters_max {
        return Err(ReasonCode::QuotaExceeded);
    }
    if subscribe.subscription_id.is_some() && !profile.has_subscription_ids() {
        return Err(ReasonCode::SubscriptionIdentifiersNotSupported);
    }
    for (filter, _) in &subscribe.filters {
        let valid = Filter::parse(filter, limits).is_some();
        if !valid && version < Version::V5 {
            return Err(ReasonCode::TopicFilterInvalid);
        }
        if !valid && filter.starts_with("$share/") {
            return Err(ReasonCode::ProtocolError);
        }
    }
    match subscribe.subscription_id {
        None => Ok(()),
        Some(1..=268_435_455) if version == Version::V5 => Ok(()),
        Some(_) => Err(ReasonCode::ProtocolError),
    }
}
