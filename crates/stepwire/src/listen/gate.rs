//! Who is let in at all: rates, numbers, and a slower pace for addresses that keep failing.
//!
//! Pure: the time is an argument, and nothing is waited for here. [`super::entrance`] does both.
//!
//! What an address is remembered for is bounded: it is forgotten once it has no connection and
//! nothing is held against it, and when there are too many of them, the one that would have been
//! forgotten first is forgotten early.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use stepwire_asl::Timestamp;
use stepwire_core::rate::{Bucket, Rate};

/// What a gate bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at the same time.
    pub connections_max: usize,
    /// Connections at the same time from one address.
    pub connections_per_address_max: usize,
    /// New connections in all.
    pub connects: Rate,
    /// New connections from one address.
    pub connects_per_address: Rate,
    /// Connections that have not yet said who they are: in the TLS handshake, or before CONNECT.
    pub strangers_max: usize,
    /// Such connections from one address.
    pub strangers_per_address_max: usize,
    /// How long a stranger may take when others wait for its place, in milliseconds.
    pub stranger_grace_ms: i64,
    /// Failures of one address: broken handshakes, no CONNECT or a wrong one, a CONNECT that is
    /// refused. When they are used up, no more connections are taken than failures flow in.
    pub failures_per_address: Rate,
    /// Addresses that are remembered without having a connection.
    pub addresses_max: usize,
    /// Whether what is said of addresses holds for loopback too, where one machine's test fleet
    /// comes from one address.
    pub is_loopback_bounded: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections_max: 100_000,
            connections_per_address_max: 20_000,
            connects: Rate::new(5_000, 20_000),
            connects_per_address: Rate::new(100, 1_000),
            strangers_max: 2_000,
            strangers_per_address_max: 500,
            stranger_grace_ms: 2_000,
            failures_per_address: Rate::new(1, 100),
            addresses_max: 50_000,
            is_loopback_bounded: false,
        }
    }
}

/// Why a connection is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refused {
    /// No more connections fit.
    Full,
    /// The address has as many as it may.
    AddressFull,
    /// Too many new connections a second.
    Rate,
    /// Too many new connections of the address a second.
    AddressRate,
    /// Too many of the address have not said who they are.
    AddressStrangers,
    /// The address has failed too often.
    AddressFailures,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refused::Full => "there are as many connections as there may be",
            Refused::AddressFull => "its address has as many connections as it may have",
            Refused::Rate => "too many new connections a second",
            Refused::AddressRate => "too many new connections a second from its address",
            Refused::AddressStrangers => {
                "too many connections from its address have not said who they are"
            }
            Refused::AddressFailures => "its address has failed to connect too often",
        })
    }
}

/// The gate's answer to a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is let in.
    Enter {
        /// Its number.
        number: u64,
        /// The stranger that has to go for it.
        instead_of: Option<u64>,
    },
    /// There are too many strangers: ask again when one has left, and at this time at the latest.
    Wait(Timestamp),
    /// It is to be closed.
    Refuse(Refused),
}

/// Counts connections and decides on new ones.
#[derive(Debug)]
pub struct Gate {
    limits: Limits,
    connects: Bucket,
    last: u64,
    open: usize,
    /// Those that have not said who they are, oldest first, and since when.
    strangers: BTreeMap<u64, (Timestamp, Address)>,
    addresses: HashMap<Address, Record>,
    /// Addresses without a connection, by when they can be forgotten.
    leaving: BTreeSet<(Timestamp, Address)>,
}

/// What is counted as one: an IPv4 address, or the network of an IPv6 address (its first 64 bits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Address(IpAddr);

impl Address {
    fn of(ip: IpAddr) -> Address {
        match ip.to_canonical() {
            IpAddr::V6(ip) => Address(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into()),
            ip @ IpAddr::V4(_) => Address(ip),
        }
    }
}

/// What is known of one address.
#[derive(Debug)]
struct Record {
    connections: usize,
    strangers: usize,
    connects: Bucket,
    failures: Bucket,
    /// Its entry in `leaving`.
    leaves: Option<Timestamp>,
}

impl Gate {
    /// A gate that nobody has passed.
    pub fn new(limits: Limits, now: Timestamp) -> Gate {
        Gate {
            connects: Bucket::full(limits.connects, now),
            limits,
            last: 0,
            open: 0,
            strangers: BTreeMap::new(),
            addresses: HashMap::new(),
            leaving: BTreeSet::new(),
        }
    }

    /// Decides on a new connection from `ip`.
    pub fn enter(&mut self, ip: IpAddr, now: Timestamp) -> Answer {
        let address = Address::of(ip);
        let is_bounded = self.limits.is_loopback_bounded || !ip.to_canonical().is_loopback();
        let answer = match self.against(address, is_bounded, now) {
            Some(refused) => Answer::Refuse(refused),
            None => self.admit(address, is_bounded, now),
        };
        self.settle(address);
        self.forget(now);
        answer
    }

    /// Lets one in against whose address nothing speaks, if there is place.
    fn admit(&mut self, address: Address, is_bounded: bool, now: Timestamp) -> Answer {
        if self.open >= self.limits.connections_max {
            return Answer::Refuse(Refused::Full);
        }
        let instead_of = match self.place_for_a_stranger(now) {
            Ok(instead_of) => instead_of,
            Err(until) => return Answer::Wait(until),
        };
        if !self.connects.take(1, self.limits.connects, now) {
            return Answer::Refuse(Refused::Rate);
        }
        if let Some(oldest) = instead_of {
            // it leaves by itself, as a failure, once it has been told
            self.no_stranger(oldest);
        }
        self.last += 1;
        let number = self.last;
        self.open += 1;
        self.strangers.insert(number, (now, address));
        let rate = self.limits.connects_per_address;
        let record = self.record(address, now);
        record.connections += 1;
        record.strangers += 1;
        if is_bounded {
            record.connects.charge(1, rate, now);
        }
        Answer::Enter { number, instead_of }
    }

    /// The connection has said who it is, whether or not that will do.
    pub fn introduced(&mut self, number: u64) {
        self.no_stranger(number);
    }

    /// Connection `number` from `ip`, which was let in, is over; `has_failed` when it never came to
    /// anything.
    pub fn leave(&mut self, number: u64, ip: IpAddr, has_failed: bool, now: Timestamp) {
        self.no_stranger(number);
        self.open -= 1;
        let address = Address::of(ip);
        let rate = self.limits.failures_per_address;
        if let Some(record) = self.addresses.get_mut(&address) {
            record.connections -= 1;
            if has_failed {
                record.failures.charge(1, rate, now);
            }
        }
        self.settle(address);
        self.forget(now);
    }

    /// Connections that are open.
    pub fn connections(&self) -> usize {
        self.open
    }

    /// What speaks against one more connection of an address.
    fn against(&mut self, address: Address, is_bounded: bool, now: Timestamp) -> Option<Refused> {
        if !is_bounded {
            return None;
        }
        let Limits { connects_per_address, failures_per_address, .. } = self.limits;
        let connections_max = self.limits.connections_per_address_max;
        let strangers_max = self.limits.strangers_per_address_max;
        let record = self.record(address, now);
        record.failures.charge(0, failures_per_address, now);
        if record.connections >= connections_max {
            Some(Refused::AddressFull)
        } else if record.strangers >= strangers_max {
            Some(Refused::AddressStrangers)
        } else if record.failures.wait_ms(failures_per_address) > 0 {
            Some(Refused::AddressFailures)
        } else {
            let in_time = record.connects.has(1, connects_per_address, now);
            (!in_time).then_some(Refused::AddressRate)
        }
    }

    /// Who has to go so that there is place; or until when nobody need go.
    fn place_for_a_stranger(&self, now: Timestamp) -> Result<Option<u64>, Timestamp> {
        if self.strangers.len() < self.limits.strangers_max {
            return Ok(None);
        }
        let Some((&oldest, &(since, _))) = self.strangers.first_key_value() else {
            return Ok(None);
        };
        let until = since.plus_ms(self.limits.stranger_grace_ms);
        if until <= now { Ok(Some(oldest)) } else { Err(until) }
    }

    fn no_stranger(&mut self, number: u64) {
        if let Some((_, address)) = self.strangers.remove(&number)
            && let Some(record) = self.addresses.get_mut(&address)
        {
            record.strangers -= 1;
        }
    }

    fn record(&mut self, address: Address, now: Timestamp) -> &mut Record {
        let limits = &self.limits;
        self.addresses.entry(address).or_insert_with(|| Record {
            connections: 0,
            strangers: 0,
            connects: Bucket::full(limits.connects_per_address, now),
            failures: Bucket::full(limits.failures_per_address, now),
            leaves: None,
        })
    }

    /// An address without a connection is to be forgotten when nothing is held against it.
    fn settle(&mut self, address: Address) {
        let limits = &self.limits;
        let Some(record) = self.addresses.get_mut(&address) else { return };
        let leaves = (record.connections == 0).then(|| {
            let connects = record.connects.full_at(limits.connects_per_address);
            connects.max(record.failures.full_at(limits.failures_per_address))
        });
        if let Some(old) = std::mem::replace(&mut record.leaves, leaves) {
            self.leaving.remove(&(old, address));
        }
        if let Some(leaves) = leaves {
            self.leaving.insert((leaves, address));
        }
    }

    /// Forgets addresses whose time has come, or for which there is no room.
    fn forget(&mut self, now: Timestamp) {
        while let Some(&(at, address)) = self.leaving.first()
            && (at <= now || self.leaving.len() > self.limits.addresses_max)
        {
            self.leaving.pop_first();
            self.addresses.remove(&address);
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;
