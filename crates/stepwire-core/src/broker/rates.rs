//! How fast one client may go.

use crate::rate::Rate;

/// What happens to a client that publishes faster than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overrun {
    /// The listener reads on when it may: nothing is lost, and the client feels it in its socket.
    Slow,
    /// The message is not taken: PUBACK and PUBREC say so to MQTT 5.0 clients (0x97), others hear
    /// nothing. A client that goes on is cut off.
    Refuse,
}

/// How often one client may do what costs others something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rates {
    /// PUBLISH packets.
    pub publishes: Rate,
    /// Bytes of PUBLISH packets.
    pub publish_bytes: Rate,
    /// What happens beyond that.
    pub overrun: Overrun,
    /// Topic filters in SUBSCRIBE and UNSUBSCRIBE.
    pub filters: Rate,
    /// Retained messages that its filters are compared with.
    pub retained: Rate,
    /// CONNECT packets of one client identifier.
    pub connects: Rate,
    /// Take-overs of one client identifier: two devices that share it fight for the connection.
    pub takeovers: Rate,
    /// Refusals, whatever for. A client that goes on is cut off.
    pub refusals: Rate,
}

impl Rates {
    /// More than an honest device needs, less than a node can bear from a few dishonest ones.
    pub const STANDARD: Rates = Rates {
        publishes: Rate::new(20_000, 100_000),
        publish_bytes: Rate::new(32 << 20, 64 << 20),
        overrun: Overrun::Slow,
        filters: Rate::new(500, 20_000),
        retained: Rate::new(50_000, 1_000_000),
        connects: Rate::new(200, 5_000),
        takeovers: Rate::new(100, 5_000),
        refusals: Rate::new(50, 2_000),
    };

    /// AWS's: 100 messages and 512 KiB a second, one CONNECT a second.
    pub const AWS: Rates = Rates {
        publishes: Rate::new(100, 100),
        publish_bytes: Rate::new(512 << 10, 512 << 10),
        overrun: Overrun::Refuse,
        connects: Rate::new(1, 10),
        takeovers: Rate::new(1, 10),
        ..Rates::STANDARD
    };
}
