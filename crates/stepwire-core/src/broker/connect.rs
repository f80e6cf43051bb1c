//! CONNECT (MQTT 5.0, 3.1).

use std::sync::Arc;

use indexmap::IndexMap;

use super::authorize::Principal;
use super::ending::Ending;
use super::guard::{self, Allowance};
use super::presence::{self, identifier};
use super::session::{Link, SessionId, SessionRecord};
use super::topic::{is_reserved, is_topic_name};
use super::write::Write;
use super::{Action, Asked, Broker, ConnectAttributes, ConnectionId, Limits, Refusal, Turn};
use crate::message::{Client, Profile, QoS};
use crate::mqtt::{ConnAck, Connect, Packet, ReasonCode, Version, Will};
use crate::rules::Ingest;

impl Broker {
    pub(super) fn connect(
        &mut self,
        connection: ConnectionId,
        principal: &Principal,
        mut connect: Connect,
        turn: &mut Turn<'_>,
    ) {
        if let Some(&id) = self.connections.get(&connection) {
            return self.fail(id, ReasonCode::ProtocolError, turn);
        }
        let assigned = match client_id(connection, &mut connect, principal.profile, turn) {
            Ok(assigned) => assigned,
            Err(reason) => return refuse(connection, connect.version, reason, turn),
        };
        let limits = turn.limits_of(principal.profile);
        let answer = answer(&connect, assigned, principal.profile, limits);
        let taken = connect.packet_bytes_max.map_or(usize::MAX, |bytes| bytes as usize);
        if answer.encoded_len(connect.version) > taken {
            // no larger packet may be sent, not even to say so (MQTT 5.0, 3.1.2.11.4)
            return turn.out.closes.push((connection, None));
        }
        if let Err(reason) = check(&mut connect, limits) {
            return refuse(connection, connect.version, reason, turn);
        }
        let mut client = Client {
            id: Arc::clone(&connect.client_id),
            identity: principal.identity.clone(),
            profile: principal.profile,
            thing: None,
            exclusive: false,
            ip: principal.ip,
            session: Arc::default(),
        };
        if let Err((action, topic, why)) = admit(&mut client, principal, &connect, turn) {
            let device = Some(Arc::clone(&client.id));
            turn.out.refusals.push(Refusal { device, action, topic, why: why.into() });
            self.connect_failed(client, connection, turn);
            return refuse(connection, connect.version, ReasonCode::NotAuthorized, turn);
        }
        let known = self.sessions.find(&connect.client_id);
        if let Some(over) = self.against(known, &client, &connect, turn) {
            return guard::refuse(connection, connect.version, &client, over, turn);
        }
        if known.is_none() {
            self.make_room_to_remember(turn);
        }
        let session_present = match known {
            Some(id) => self.settle(id, &connect, principal.profile, turn),
            None => false,
        };
        let tells = connect.version == Version::V5;
        if tells || principal.profile.changes_keep_alive_untold() {
            let limits = turn.limits_of(principal.profile);
            connect.keep_alive_s = limits.keep_alive_s(connect.keep_alive_s);
        }
        let record = self.new_record(client, &mut connect, session_present, turn);
        let answer = ConnAck { session_present, ..answer };
        self.open(connection, &record, &connect, answer, turn);
    }

    /// Makes way for a new connection of the same client: takes over its open one, ends its
    /// session if it starts anew. Whether a session is there to go on with.
    fn settle(
        &mut self,
        id: SessionId,
        connect: &Connect,
        profile: Profile,
        turn: &mut Turn<'_>,
    ) -> bool {
        self.close(id, ReasonCode::SessionTakenOver, Ending::TakenOver, turn);
        let Some(session) = self.sessions.get(id) else { return false };
        let record = &session.record;
        let resumable = record.is_resumable(turn.now) && profile.resumes(connect.version, record);
        if resumable && !connect.clean_start {
            return true;
        }
        if session.record.expiry_s > 0 {
            self.end_session(id, turn);
        }
        false
    }

    /// Records the new connection: from here on it is durable.
    fn new_record(
        &mut self,
        mut client: Client,
        connect: &mut Connect,
        resumed: bool,
        turn: &mut Turn<'_>,
    ) -> Arc<SessionRecord> {
        let known = self.sessions.find(&client.id).and_then(|id| self.sessions.get(id));
        let version_number = known.map_or(0, |session| session.record.next_version);
        client.session = identifier(
            &turn.settings.secret,
            "session",
            &client.id,
            [version_number as i64, turn.now.0],
        );
        let expiry_s_max = turn.limits_of(client.profile).session_expiry_s_max(connect.version);
        let expiry_s = connect.session_expiry_s.min(expiry_s_max);
        let id = Arc::clone(&client.id);
        let record = Arc::new(SessionRecord {
            client: Arc::new(client),
            version_number,
            next_version: version_number + 1,
            connected: true,
            since: turn.now,
            disconnect_reason: None,
            version: connect.version,
            keep_alive_s: connect.keep_alive_s,
            expiry_s,
            stored: expiry_s > 0 || resumed,
            will: connect.will.take().map(Arc::from),
            will_at: None,
        });
        let write = Write::Session { client: id, record: Some(Arc::clone(&record)) };
        self.record(write, turn.out);
        record
    }

    /// Connects the session and answers.
    fn open(
        &mut self,
        connection: ConnectionId,
        record: &SessionRecord,
        connect: &Connect,
        answer: ConnAck,
        turn: &mut Turn<'_>,
    ) {
        let Some(id) = self.sessions.find(&record.client.id) else { return };
        let Some(session) = self.sessions.get_mut(id) else { return };
        let limits = turn.limits_of(record.client.profile);
        let window = connect.receive_maximum.map_or(u16::MAX, u16::from).min(limits.in_flight_max);
        session.link = Some(Box::new(Link {
            connection,
            version: connect.version,
            silence_ms: i64::from(record.keep_alive_s) * 1_500,
            heard: turn.now,
            window: usize::from(window),
            packet_bytes_max: connect.packet_bytes_max.map_or(usize::MAX, |bytes| bytes as usize),
            aliases_in: Vec::new(),
            aliases_out: IndexMap::new(),
            aliases_out_max: connect.topic_alias_max.min(limits.topic_alias_max),
            allowance: Allowance::new(&limits.rates, turn.now),
        }));
        self.connections.insert(connection, id);
        self.note_open(id);
        self.reschedule(id);
        turn.send(connection, Packet::ConnAck(Box::new(answer)));
        self.announce(presence::connected(record), turn);
        self.send_queued(id, turn);
    }

    fn connect_failed(
        &mut self,
        mut client: Client,
        connection: ConnectionId,
        turn: &mut Turn<'_>,
    ) {
        let numbers = [connection.0 as i64, turn.now.0];
        client.session = identifier(&turn.settings.secret, "refused", &client.id, numbers);
        self.announce(presence::connect_failed(&client, turn.now), turn);
    }
}

/// Answers that the connection is refused, where the version has words for it, and closes it.
pub(super) fn refuse(
    connection: ConnectionId,
    version: Version,
    reason: ReasonCode,
    turn: &mut Turn<'_>,
) {
    if version == Version::V5 || reason.connect_return_code().is_some() {
        let answer = ConnAck { reason, ..ConnAck::default() };
        turn.send(connection, Packet::ConnAck(Box::new(answer)));
    }
    turn.out.closes.push((connection, None));
}

/// Gives the client an identifier if it sent none. Whether it did.
fn client_id(
    connection: ConnectionId,
    connect: &mut Connect,
    profile: Profile,
    turn: &Turn<'_>,
) -> Result<bool, ReasonCode> {
    if connect.client_id.is_empty() {
        let allowed = match connect.version {
            Version::V31 => false,
            Version::V311 => connect.clean_start,
            Version::V5 => true,
        };
        if !allowed {
            return Err(ReasonCode::ClientIdentifierNotValid);
        }
        let numbers = [connection.0 as i64, turn.now.0];
        connect.client_id = identifier(&turn.settings.secret, "client", "", numbers);
        return Ok(true);
    }
    let id = &connect.client_id;
    let fits = id.len() <= turn.limits_of(profile).client_id_bytes_max && !id.contains('\0');
    if !fits || !profile.allows_client_id(id) {
        return Err(ReasonCode::ClientIdentifierNotValid);
    }
    Ok(false)
}

fn check(connect: &mut Connect, limits: &Limits) -> Result<(), ReasonCode> {
    if connect.auth_method.is_some() {
        return Err(ReasonCode::BadAuthenticationMethod);
    }
    let Some(will) = &mut connect.will else { return Ok(()) };
    limits.bound(&mut will.properties);
    if !is_topic_name(&will.topic, limits) {
        return Err(ReasonCode::TopicNameInvalid);
    }
    if will.qos > limits.qos_max {
        return Err(ReasonCode::QoSNotSupported);
    }
    if will.payload.len() > limits.payload_bytes_max {
        return Err(ReasonCode::QuotaExceeded);
    }
    Ok(())
}

/// What was refused: the action, on what, and why.
type Denied = (Action, Arc<str>, String);

/// Asks whether the client may connect and publish its will; learns its thing.
fn admit(
    client: &mut Client,
    principal: &Principal,
    connect: &Connect,
    turn: &Turn<'_>,
) -> Result<(), Denied> {
    let attributes = ConnectAttributes {
        last_will: connect.will.is_some(),
        persistent: connect.session_expiry_s > 0,
    };
    let admitted = turn
        .authorize
        .connect_as(principal, Asked { client_id: &client.id, attributes })
        .map_err(|refused| (Action::Connect, Arc::clone(&client.id), refused.to_string()))?;
    client.exclusive = admitted.as_ref().is_some_and(|admitted| admitted.exclusive);
    client.thing = admitted.map(|admitted| admitted.thing);
    match &connect.will {
        Some(will) => may_publish_will(client, will, turn).map_err(|action| {
            (action, Arc::clone(&will.topic), "not authorized to publish the will".to_owned())
        }),
        None => Ok(()),
    }
}

/// Whether the client may publish its will; if not, what it lacks.
pub(super) fn may_publish_will(
    client: &Client,
    will: &Will,
    turn: &Turn<'_>,
) -> Result<(), Action> {
    let allows = |action| turn.authorize.allows(client, action, &will.topic);
    // AWS takes no wills for topics that begin with `$aws`, those of Basic Ingest among them.
    let reserved = is_reserved(&will.topic) || Ingest::of(&will.topic).is_some();
    if reserved || !allows(Action::Publish) {
        return Err(Action::Publish);
    }
    if will.retain && !allows(Action::RetainPublish) {
        return Err(Action::RetainPublish);
    }
    Ok(())
}

/// A CONNACK that tells an MQTT 5.0 client what differs from what it asked for or may assume.
fn answer(connect: &Connect, assigned: bool, profile: Profile, limits: &Limits) -> ConnAck {
    if connect.version < Version::V5 {
        return ConnAck::default();
    }
    let Connect { session_expiry_s, keep_alive_s, .. } = *connect;
    let used_s = limits.keep_alive_s(keep_alive_s);
    let tells_keep_alive = used_s != keep_alive_s || profile.always_tells_keep_alive();
    let expiry_s_max = limits.session_expiry_s_max;
    ConnAck {
        session_present: false,
        reason: ReasonCode::Success,
        session_expiry_s: (session_expiry_s > expiry_s_max).then_some(expiry_s_max),
        receive_maximum: (limits.receive_maximum < u16::MAX).then_some(limits.receive_maximum),
        packet_bytes_max: Some(limits.packet_bytes_max),
        assigned_client_id: assigned.then(|| Arc::clone(&connect.client_id)),
        topic_alias_max: (limits.topic_alias_max > 0).then_some(limits.topic_alias_max),
        server_keep_alive_s: tells_keep_alive.then_some(used_s),
        qos_max: (limits.qos_max < QoS::ExactlyOnce).then_some(limits.qos_max),
        subscription_ids_available: (!profile.has_subscription_ids()).then_some(false),
        reason_string: None,
    }
}
