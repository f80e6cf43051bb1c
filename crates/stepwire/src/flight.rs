//! The flight recorder: what happened to each device lately, always on, in memory alone.
//!
//! Of every device the latest entries are kept: its presence, messages from it with the rules that
//! took them, messages to it, what it was refused. A device that talks much pushes out what is its
//! own; all together push out what is oldest of anybody's once they take too much. Payloads are
//! shared with the broker and not copied.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use stepwire_asl::Timestamp;
use stepwire_core::Message;
use stepwire_core::broker::{self, DisconnectReason, SessionRecord};
use stepwire_core::effect::{Report, Seen};
use stepwire_core::message::{Origin, QoS};
use stepwire_core::mqtt::Publish;

/// What an entry takes in memory besides its texts and payload, about.
const ENTRY_BYTES: usize = 192;

/// How much is kept; 0 of either: nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most entries of one device.
    pub of_device_max: usize,
    /// Most bytes that all take in memory together.
    pub bytes_max: usize,
}

impl Limits {
    /// Whether anything is kept.
    pub fn keeps_any(self) -> bool {
        self.of_device_max > 0 && self.bytes_max > 0
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { of_device_max: 200, bytes_max: 64 << 20 }
    }
}

/// Something that happened to a device.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// Grows from entry to entry of all devices.
    pub(crate) number: u64,
    pub(crate) at: Timestamp,
    pub(crate) what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum What {
    /// It connected.
    Connected { ip: IpAddr, session: Arc<str> },
    /// Its connection ended.
    Disconnected { reason: Option<DisconnectReason> },
    /// It published, and these rules had something to do.
    Published { message: Arc<Message>, rules: Arc<[Arc<str>]> },
    /// A message was sent to it.
    Received { topic: Arc<str>, payload: Bytes, qos: QoS, retain: bool },
    /// It may not do that.
    Refused { action: &'static str, resource: Arc<str>, why: Arc<str> },
    /// It was cut off, or not let in, for what it did.
    CutOff { cause: &'static str },
}

impl Entry {
    fn bytes(&self) -> usize {
        ENTRY_BYTES
            + match &self.what {
                What::Connected { .. } | What::Disconnected { .. } | What::CutOff { .. } => 0,
                What::Published { message, rules } => {
                    message.topic.len()
                        + message.payload.len()
                        + rules.len() * size_of::<Arc<str>>()
                }
                What::Received { topic, payload, .. } => topic.len() + payload.len(),
                What::Refused { resource, why, .. } => resource.len() + why.len(),
            }
    }
}

/// Everything that is kept.
#[derive(Debug)]
pub(crate) struct Flights {
    limits: Limits,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    last: u64,
    bytes: usize,
    /// Places in `devices`, by client identifier.
    places: HashMap<Arc<str>, u32>,
    devices: Vec<Device>,
    /// Free places.
    free: Vec<u32>,
    /// Whose entry came when, oldest first: one for every entry, and for some that are gone.
    order: VecDeque<u32>,
    entries: usize,
}

/// What is kept of one device.
#[derive(Debug, Default)]
struct Device {
    client: Arc<str>,
    /// The thing that it speaks for, if that has another name.
    thing: Option<Arc<str>>,
    entries: VecDeque<Entry>,
    /// Of its places in the order, so many are of entries that are gone; those come first.
    gone: usize,
}

impl Flights {
    pub(crate) fn new(limits: Limits) -> Flights {
        Flights { limits, kept: Mutex::default() }
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// A message that the rules have seen.
    pub(crate) fn seen(&self, seen: &Seen) {
        let Origin::Client(client) = &seen.message.origin else { return };
        let message = Arc::clone(&seen.message);
        let rules = seen.rules.iter().cloned().collect();
        self.add(&client.id, message.at, What::Published { message, rules });
    }

    /// A message that leaves for the client.
    pub(crate) fn sent(&self, client: &Arc<str>, publish: &Publish, at: Timestamp) {
        let (topic, payload) = (Arc::clone(&publish.topic), publish.payload.clone());
        let (qos, retain) = (publish.qos, publish.retain);
        self.add(client, at, What::Received { topic, payload, qos, retain });
    }

    /// Something that an operator is told.
    pub(crate) fn reported(&self, report: &Report, at: Timestamp) {
        match report {
            Report::Refused { client: Some(client), action, resource, why } => {
                let (resource, why) = (Arc::clone(resource), Arc::clone(why));
                self.add(client, at, What::Refused { action, resource, why });
            }
            Report::CutOff(cut_off) => {
                self.add(&cut_off.client, at, What::CutOff { cause: cut_off.cause.name() });
            }
            _ => {}
        }
    }

    /// A change of the broker's.
    pub(crate) fn write(&self, write: &broker::Write) {
        let broker::Write::Session { client, record: Some(record) } = write else { return };
        self.session(client, record);
    }

    fn session(&self, client: &Arc<str>, record: &SessionRecord) {
        if !self.limits.keeps_any() {
            return;
        }
        let mut kept = self.kept();
        let at = kept.place(client);
        let Some(device) = kept.devices.get_mut(at as usize) else { return };
        let session = Arc::clone(&record.client.session);
        // A record is also written when only how long the session lives has changed.
        let same = |entry: &Entry| match &entry.what {
            What::Connected { session: of, .. } => record.connected && *of == session,
            What::Disconnected { .. } => !record.connected && entry.at == record.since,
            _ => false,
        };
        let known =
            device.entries.iter().rev().find(|entry| {
                matches!(entry.what, What::Connected { .. } | What::Disconnected { .. })
            });
        device.thing = record.client.thing.clone().filter(|thing| thing != client);
        if known.is_some_and(same) {
            return;
        }
        let what = if record.connected {
            What::Connected { ip: record.client.ip, session }
        } else {
            What::Disconnected { reason: record.disconnect_reason }
        };
        kept.push(at, record.since, what, self.limits);
    }

    /// The entries of a device, oldest first.
    pub(crate) fn of(&self, client: &str) -> Vec<Entry> {
        let kept = self.kept();
        let device = kept.places.get(client).and_then(|at| kept.devices.get(*at as usize));
        device.map_or_else(Vec::new, |device| device.entries.iter().cloned().collect())
    }

    /// The clients that speak for a thing of another name, by thing.
    pub(crate) fn speakers(&self) -> HashMap<Arc<str>, Arc<str>> {
        let kept = self.kept();
        let speakers = kept.devices.iter().filter_map(|device| {
            Some((Arc::clone(device.thing.as_ref()?), Arc::clone(&device.client)))
        });
        speakers.collect()
    }

    /// The last message of or to a device.
    pub(crate) fn last_message(&self, client: &str) -> Option<Entry> {
        let kept = self.kept();
        let device = kept.devices.get(*kept.places.get(client)? as usize)?;
        let is_message =
            |entry: &&Entry| matches!(entry.what, What::Published { .. } | What::Received { .. });
        device.entries.iter().rev().find(is_message).cloned()
    }

    fn add(&self, client: &Arc<str>, at: Timestamp, what: What) {
        // A client without an identifier of its own is told by the one that the broker gave it.
        if client.is_empty() || !self.limits.keeps_any() {
            return;
        }
        let mut kept = self.kept();
        let place = kept.place(client);
        kept.push(place, at, what, self.limits);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn place(&mut self, client: &Arc<str>) -> u32 {
        if let Some(place) = self.places.get(client) {
            return *place;
        }
        let device = Device { client: Arc::clone(client), ..Device::default() };
        let place = match self.free.pop() {
            Some(place) => {
                if let Some(free) = self.devices.get_mut(place as usize) {
                    *free = device;
                }
                place
            }
            None => {
                self.devices.push(device);
                self.devices.len() as u32 - 1
            }
        };
        self.places.insert(Arc::clone(client), place);
        place
    }

    fn push(&mut self, place: u32, at: Timestamp, what: What, limits: Limits) {
        self.last += 1;
        let entry = Entry { number: self.last, at, what };
        let Some(device) = self.devices.get_mut(place as usize) else { return };
        self.bytes += entry.bytes();
        device.entries.push_back(entry);
        self.entries += 1;
        self.order.push_back(place);
        if device.entries.len() > limits.of_device_max
            && let Some(oldest) = device.entries.pop_front()
        {
            device.gone += 1;
            self.bytes -= oldest.bytes();
            self.entries -= 1;
        }
        while self.bytes > limits.bytes_max && self.forget_oldest() {}
        if self.order.len() > 2 * self.entries + 1_024 {
            self.tidy();
        }
    }

    /// Lets go of the oldest entry of all. `false`: there is none.
    fn forget_oldest(&mut self) -> bool {
        let Some(place) = self.order.pop_front() else { return false };
        let Some(device) = self.devices.get_mut(place as usize) else { return true };
        if device.gone > 0 {
            device.gone -= 1;
        } else if let Some(oldest) = device.entries.pop_front() {
            self.bytes -= oldest.bytes();
            self.entries -= 1;
        }
        if device.entries.is_empty() && device.gone == 0 {
            self.places.remove(&device.client);
            *device = Device::default();
            self.free.push(place);
        }
        true
    }

    /// Drops from the order what is gone.
    fn tidy(&mut self) {
        let devices = &mut self.devices;
        self.order.retain(|place| match devices.get_mut(*place as usize) {
            Some(device) if device.gone > 0 => {
                device.gone -= 1;
                false
            }
            _ => true,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flights(of_device_max: usize, bytes_max: usize) -> Flights {
        Flights::new(Limits { of_device_max, bytes_max })
    }

    fn send(flights: &Flights, client: &str, payload: &str, at: i64) {
        let publish = Publish {
            dup: false,
            qos: QoS::AtLeastOnce,
            retain: false,
            topic: "t".into(),
            packet_id: None,
            topic_alias: None,
            subscription_ids: Vec::new(),
            properties: stepwire_core::message::Properties::default(),
            payload: Bytes::copy_from_slice(payload.as_bytes()),
        };
        flights.sent(&client.into(), &publish, Timestamp(at));
    }

    fn times(flights: &Flights, client: &str) -> Vec<i64> {
        flights.of(client).iter().map(|entry| entry.at.0).collect()
    }

    /// What is kept is what the counts say.
    fn check(flights: &Flights) {
        let kept = flights.kept();
        let entries: Vec<&Entry> = kept.devices.iter().flat_map(|it| &it.entries).collect();
        assert_eq!(kept.entries, entries.len());
        assert_eq!(kept.bytes, entries.iter().map(|entry| entry.bytes()).sum::<usize>());
        let gone: usize = kept.devices.iter().map(|it| it.gone).sum();
        assert_eq!(kept.order.len(), entries.len() + gone);
        assert_eq!(kept.places.len() + kept.free.len(), kept.devices.len());
    }

    #[test]
    fn a_device_that_talks_much_pushes_out_its_own() {
        let flights = flights(3, 1 << 20);
        send(&flights, "quiet", "x", 0);
        for at in 1..=10_000 {
            send(&flights, "loud", "x", at);
        }
        assert_eq!(times(&flights, "quiet"), [0]);
        assert_eq!(times(&flights, "loud"), [9_998, 9_999, 10_000]);
        assert!(flights.kept().order.len() < 3_000);
        check(&flights);
    }

    #[test]
    fn all_together_are_bounded_and_the_oldest_go_first() {
        let flights = flights(3, 5 * (ENTRY_BYTES + 2));
        for at in 0..4 {
            send(&flights, "a", "x", at);
        }
        for at in 4..7 {
            send(&flights, &format!("b{at}"), "x", at);
        }
        assert_eq!(times(&flights, "a"), [2, 3]);
        assert_eq!(times(&flights, "b6"), [6]);
        check(&flights);
        for at in 7..20 {
            send(&flights, &format!("c{at}"), "x", at);
        }
        assert_eq!(times(&flights, "a"), [0; 0]);
        assert_eq!(flights.kept().places.len(), 5, "who has nothing is forgotten");
        check(&flights);
    }

    #[test]
    fn what_is_too_large_for_all_is_not_kept() {
        let flights = flights(3, 1_000);
        send(&flights, "a", &"x".repeat(2_000), 1);
        assert_eq!(times(&flights, "a"), [0; 0]);
        check(&flights);
    }

    /// Prints what keeping an entry costs: `cargo test flight::tests::cost -- --nocapture`.
    #[test]
    #[expect(clippy::print_stderr, reason = "it is there to be read")]
    fn the_cost_of_an_entry_is_bounded() {
        let flights = flights(200, 64 << 20);
        let clients: Vec<Arc<str>> = (0..1_000).map(|n| format!("gw-{n:04}").into()).collect();
        let publish = Publish {
            dup: false,
            qos: QoS::AtMostOnce,
            retain: false,
            topic: "devices/all/config".into(),
            packet_id: None,
            topic_alias: None,
            subscription_ids: Vec::new(),
            properties: stepwire_core::message::Properties::default(),
            payload: Bytes::from_static(b"{\"desired\":21.4}"),
        };
        let rounds = 300;
        let started = std::time::Instant::now();
        for at in 0..rounds {
            clients.iter().for_each(|client| flights.sent(client, &publish, Timestamp(at)));
        }
        let each = started.elapsed().as_nanos() / (rounds as u128 * clients.len() as u128);
        eprintln!("{each} ns for each message to a device");
        let kept = flights.kept();
        assert_eq!(kept.entries, 200 * clients.len());
        assert!(kept.bytes <= 64 << 20);
    }
}
