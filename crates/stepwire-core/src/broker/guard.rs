//! Who is refused or cut off for taking too much, and how the operator hears of it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use stepwire_asl::Timestamp;

use super::ending::Ending;
use super::session::{Link, SessionId};
use super::topic::has_wildcard;
use super::usage::SESSION_BYTES;
use super::{Broker, ConnectionId, Identity, Rates, Turn};
use crate::message::Client;
use crate::mqtt::{Connect, Publish, ReasonCode, Version};
use crate::rate::{Bucket, Rate};

/// What a client did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// It sent what is not MQTT, or broke the protocol.
    Protocol,
    /// A packet larger than packets may be.
    PacketTooLarge,
    /// A packet with more filters or user properties than one may have.
    PacketParts,
    /// It began a packet and did not finish it in time.
    Unfinished,
    /// It did not read what was sent to it.
    TooSlow,
    /// It did not read, or did not finish its packets, and took more memory than others when there
    /// was none left.
    Memory,
    /// It published faster than it may.
    PublishRate,
    /// It subscribed or unsubscribed faster than it may.
    FilterRate,
    /// Its subscriptions made too many retained messages be looked at.
    RetainedRate,
    /// It has as many subscriptions as it may have, or all clients together have.
    Subscriptions,
    /// There is no room for more retained messages, or not for its.
    Retained,
    /// It leaves too many QoS 2 messages unreleased.
    Unreleased,
    /// It went on after many refusals.
    Refusals,
    /// Its client identifier connects too often.
    ConnectRate,
    /// Its client identifier is taken over too often: two devices share it.
    TakeOvers,
    /// Its certificate has as many sessions as it may have.
    SessionsOfCertificate,
    /// There are as many sessions as there may be, or they take as much memory as they may.
    Sessions,
}

impl Cause {
    /// What a client did that is answered with `reason`.
    pub(super) fn of(reason: ReasonCode) -> Cause {
        match reason {
            ReasonCode::PacketTooLarge => Cause::PacketTooLarge,
            ReasonCode::ReceiveMaximumExceeded => Cause::Unreleased,
            ReasonCode::KeepAliveTimeout => Cause::Unfinished,
            ReasonCode::QuotaExceeded => Cause::PacketParts,
            _ => Cause::Protocol,
        }
    }

    /// Its name in metrics: lower case, words joined by underscores.
    pub fn name(self) -> &'static str {
        match self {
            Cause::Protocol => "protocol",
            Cause::PacketTooLarge => "packet_too_large",
            Cause::PacketParts => "packet_parts",
            Cause::Unfinished => "unfinished",
            Cause::TooSlow => "too_slow",
            Cause::Memory => "memory",
            Cause::PublishRate => "publish_rate",
            Cause::FilterRate => "filter_rate",
            Cause::RetainedRate => "retained_rate",
            Cause::Subscriptions => "subscriptions",
            Cause::Retained => "retained",
            Cause::Unreleased => "unreleased",
            Cause::Refusals => "refusals",
            Cause::ConnectRate => "connect_rate",
            Cause::TakeOvers => "take_overs",
            Cause::SessionsOfCertificate => "sessions_of_certificate",
            Cause::Sessions => "sessions",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::Protocol => "it broke the protocol",
            Cause::PacketTooLarge => "it sent too large a packet",
            Cause::PacketParts => "it sent a packet with too many filters or user properties",
            Cause::Unfinished => "it did not finish a packet in time",
            Cause::TooSlow => "it did not read what was sent to it",
            Cause::Memory => "it took most of the memory that connections may take",
            Cause::PublishRate => "it published faster than it may",
            Cause::FilterRate => "it subscribed faster than it may",
            Cause::RetainedRate => "its subscriptions reached for too many retained messages",
            Cause::Subscriptions => "too many subscriptions",
            Cause::Retained => "too many retained messages",
            Cause::Unreleased => "it left too many QoS 2 messages unreleased",
            Cause::Refusals => "it went on after many refusals",
            Cause::ConnectRate => "its client identifier connected too often",
            Cause::TakeOvers => {
                "its client identifier was taken over too often: do two devices share it?"
            }
            Cause::SessionsOfCertificate => "too many sessions of its certificate",
            Cause::Sessions => "no room for more sessions",
        })
    }
}

/// A client whose connection was ended, or whose CONNECT was refused, for what it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutOff {
    /// Client identifier.
    pub client: Arc<str>,
    /// The thing it spoke for.
    pub thing: Option<Arc<str>>,
    /// Where it connected from.
    pub address: IpAddr,
    /// What it did.
    pub cause: Cause,
    /// What MQTT 5.0 clients are told.
    pub reason: ReasonCode,
}

impl Turn<'_> {
    pub(super) fn cut_off(&mut self, client: &Client, cause: Cause, reason: ReasonCode) {
        self.out.cut_offs.push(CutOff {
            client: Arc::clone(&client.id),
            thing: client.thing.clone(),
            address: client.ip,
            cause,
            reason,
        });
    }
}

/// What is left to a connection of what its client may do.
#[derive(Debug)]
pub(super) struct Allowance {
    publishes: Bucket,
    publish_bytes: Bucket,
    filters: Bucket,
    retained: Bucket,
    refusals: Bucket,
}

impl Allowance {
    pub(super) fn new(rates: &Rates, now: Timestamp) -> Allowance {
        Allowance {
            publishes: Bucket::full(rates.publishes, now),
            publish_bytes: Bucket::full(rates.publish_bytes, now),
            filters: Bucket::full(rates.filters, now),
            retained: Bucket::full(rates.retained, now),
            refusals: Bucket::full(rates.refusals, now),
        }
    }
}

/// Whether a client may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    Within,
    /// Once it may; not now.
    Over,
    /// Again and again.
    FarOver,
}

/// Counts a publish against what a client may do.
pub(super) fn pace_of(link: &mut Link, publish: &Publish, rates: &Rates, now: Timestamp) -> Pace {
    let bytes = (publish.topic.len() + publish.payload.len()) as u64;
    let Allowance { publishes, publish_bytes, .. } = &mut link.allowance;
    let messages = publishes.charge(1, rates.publishes, now);
    let bytes = publish_bytes.charge(bytes, rates.publish_bytes, now);
    let far = |missing, rate: Rate| missing > rate.at_once.max(rate.per_s);
    if messages == 0 && bytes == 0 {
        Pace::Within
    } else if far(messages, rates.publishes) || far(bytes, rates.publish_bytes) {
        Pace::FarOver
    } else {
        Pace::Over
    }
}

impl Broker {
    /// Cuts off a client that does too much.
    pub(super) fn throttle(
        &mut self,
        id: SessionId,
        cause: Cause,
        reason: ReasonCode,
        turn: &mut Turn<'_>,
    ) {
        if let Some(session) = self.sessions.get(id) {
            let client = Arc::clone(&session.record.client);
            turn.cut_off(&client, cause, reason);
            self.close(id, reason, Ending::Throttled, turn);
        }
    }

    /// Counts refusals; a client that has had too many is cut off, for `cause`.
    pub(super) fn count_refusals(
        &mut self,
        id: SessionId,
        refusals: u64,
        cause: Cause,
        turn: &mut Turn<'_>,
    ) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let Some(link) = session.link.as_mut() else { return };
        let rate = turn.limits_of(session.record.client.profile).rates.refusals;
        if link.allowance.refusals.charge(refusals, rate, turn.now) > 0 {
            self.throttle(id, cause, ReasonCode::QuotaExceeded, turn);
        }
    }

    /// Whether a client may have filters added or taken away now.
    pub(super) fn may_change_filters(
        &mut self,
        id: SessionId,
        filters: usize,
        turn: &Turn<'_>,
    ) -> bool {
        let Some(session) = self.sessions.get_mut(id) else { return false };
        let Some(link) = session.link.as_mut() else { return false };
        let own = turn.limits_of(session.record.client.profile).rates.filters;
        let all = turn.settings.budget.filters;
        let of_all = self.filters.get_or_insert_with(|| Bucket::full(all, turn.now));
        let filters = filters as u64;
        link.allowance.filters.take(filters, own, turn.now) && of_all.take(filters, all, turn.now)
    }

    /// Counts retained messages that a filter of a client was compared with; whether it may have
    /// more of that.
    pub(super) fn may_look_at(&mut self, id: SessionId, messages: usize, turn: &Turn<'_>) -> bool {
        let Some(session) = self.sessions.get_mut(id) else { return false };
        let Some(link) = session.link.as_mut() else { return false };
        let rate = turn.limits_of(session.record.client.profile).rates.retained;
        link.allowance.retained.charge(messages as u64, rate, turn.now) == 0
    }

    /// What speaks against a CONNECT that is otherwise in order, and what the client is told.
    pub(super) fn against(
        &mut self,
        known: Option<SessionId>,
        client: &Client,
        connect: &Connect,
        turn: &Turn<'_>,
    ) -> Option<(Cause, ReasonCode)> {
        if let Some(cause) = known.and_then(|id| self.connects_too_often(id, client, turn)) {
            return Some((cause, ReasonCode::ConnectionRateExceeded));
        }
        let old = known.and_then(|id| self.sessions.get(id)).map(|session| &session.record);
        let old = old.filter(|record| record.is_live());
        let (usage, budget) = (&self.usage, &turn.settings.budget);
        let is_full = |cause| Some((cause, ReasonCode::QuotaExceeded));
        if let Identity::Certificate(id) = &client.identity
            && old.is_none_or(|old| old.client.identity != client.identity)
            && usage.of_certificate(id) >= budget.sessions_per_certificate_max
        {
            return is_full(Cause::SessionsOfCertificate);
        }
        if old.is_none() && usage.sessions >= turn.limits().sessions_max {
            return is_full(Cause::Sessions);
        }
        let will = connect.will.as_ref().map_or(0, |will| will.payload.len());
        let bytes = usage.session_bytes + SESSION_BYTES + will;
        (bytes > budget.session_bytes_max).then_some((Cause::Sessions, ReasonCode::QuotaExceeded))
    }

    fn connects_too_often(
        &mut self,
        id: SessionId,
        client: &Client,
        turn: &Turn<'_>,
    ) -> Option<Cause> {
        let rates = &turn.limits_of(client.profile).rates;
        let session = self.sessions.get_mut(id)?;
        let full = |rate| Bucket::full(rate, turn.now);
        let takeovers = session.takeovers.get_or_insert_with(|| full(rates.takeovers));
        if session.link.is_some() && !takeovers.take(1, rates.takeovers, turn.now) {
            return Some(Cause::TakeOvers);
        }
        let connects = session.connects.get_or_insert_with(|| full(rates.connects));
        let in_time = connects.take(1, rates.connects, turn.now);
        (!in_time).then_some(Cause::ConnectRate)
    }

    /// Forgets client identifiers that were left alone longest, so that there is room for one more.
    pub(super) fn make_room_to_remember(&mut self, turn: &mut Turn<'_>) {
        while let Some(id) = self.usage.too_old(turn.settings.budget.remembered_max)
            && let Some(session) = self.sessions.get(id)
        {
            let client = Arc::clone(&session.record.client.id);
            self.record(super::Write::Session { client, record: None }, turn.out);
        }
    }

    /// Whether there is room for a subscription with `filter` in a session; if not, what is full.
    pub(super) fn room_for_subscription(
        &self,
        id: SessionId,
        filter: &str,
        turn: &Turn<'_>,
    ) -> Result<(), &'static str> {
        let Some(session) = self.sessions.get(id) else { return Ok(()) };
        let limits = turn.limits_of(session.record.client.profile);
        let (budget, usage) = (&turn.settings.budget, &self.usage);
        if session.subscriptions.len() >= limits.subscriptions_max {
            return Err("too many subscriptions");
        }
        if has_wildcard(filter) && session.wildcards >= limits.wildcard_subscriptions_max {
            return Err("too many subscriptions with wildcards");
        }
        if usage.subscriptions >= budget.subscriptions_max
            || usage.session_bytes + filter.len() > budget.session_bytes_max
        {
            return Err("too many subscriptions of all clients");
        }
        Ok(())
    }
}

/// The connection is refused for taking too much: the client is told, and the operator.
pub(super) fn refuse(
    connection: ConnectionId,
    version: Version,
    client: &Client,
    (cause, reason): (Cause, ReasonCode),
    turn: &mut Turn<'_>,
) {
    turn.cut_off(client, cause, reason);
    super::connect::refuse(connection, version, reason, turn);
}
