//! MQTT control packets as bytes: 3.1, 3.1.1 and 5.0, the server's end.
//!
//! Decoding is strict: what the specification calls malformed is an error with the reason code to
//! close with, and nothing is read beyond the packet. Encoding leaves out what the version of the
//! connection has no place for.

mod decode;
mod encode;

pub use decode::{Unsupported, decode, decode_connect};
pub use encode::{TooLong, encode};

use crate::mqtt::ReasonCode;

/// Packet types, the upper four bits of the first byte (MQTT 5.0, 2.1.2).
mod kind {
    pub(super) const CONNECT: u8 = 1;
    pub(super) const CONNACK: u8 = 2;
    pub(super) const PUBLISH: u8 = 3;
    pub(super) const PUBACK: u8 = 4;
    pub(super) const PUBREC: u8 = 5;
    pub(super) const PUBREL: u8 = 6;
    pub(super) const PUBCOMP: u8 = 7;
    pub(super) const SUBSCRIBE: u8 = 8;
    pub(super) const SUBACK: u8 = 9;
    pub(super) const UNSUBSCRIBE: u8 = 10;
    pub(super) const UNSUBACK: u8 = 11;
    pub(super) const PINGREQ: u8 = 12;
    pub(super) const PINGRESP: u8 = 13;
    pub(super) const DISCONNECT: u8 = 14;
    pub(super) const AUTH: u8 = 15;
}

/// Property identifiers (MQTT 5.0, 2.2.2.2).
mod property {
    pub(super) const PAYLOAD_FORMAT: u8 = 0x01;
    pub(super) const MESSAGE_EXPIRY: u8 = 0x02;
    pub(super) const CONTENT_TYPE: u8 = 0x03;
    pub(super) const RESPONSE_TOPIC: u8 = 0x08;
    pub(super) const CORRELATION_DATA: u8 = 0x09;
    pub(super) const SUBSCRIPTION_ID: u8 = 0x0B;
    pub(super) const SESSION_EXPIRY: u8 = 0x11;
    pub(super) const ASSIGNED_CLIENT_ID: u8 = 0x12;
    pub(super) const SERVER_KEEP_ALIVE: u8 = 0x13;
    pub(super) const AUTH_METHOD: u8 = 0x15;
    pub(super) const AUTH_DATA: u8 = 0x16;
    pub(super) const REQUEST_PROBLEM_INFO: u8 = 0x17;
    pub(super) const WILL_DELAY: u8 = 0x18;
    pub(super) const REQUEST_RESPONSE_INFO: u8 = 0x19;
    pub(super) const REASON_STRING: u8 = 0x1F;
    pub(super) const RECEIVE_MAXIMUM: u8 = 0x21;
    pub(super) const TOPIC_ALIAS_MAX: u8 = 0x22;
    pub(super) const TOPIC_ALIAS: u8 = 0x23;
    pub(super) const QOS_MAX: u8 = 0x24;
    pub(super) const USER: u8 = 0x26;
    pub(super) const PACKET_BYTES_MAX: u8 = 0x27;
    pub(super) const SUBSCRIPTION_IDS_AVAILABLE: u8 = 0x29;
}

/// Where a packet ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Type and flags.
    pub first: u8,
    /// Bytes before the body.
    pub head: usize,
    /// Bytes of the body.
    pub body: usize,
}

/// Finds the first packet in `bytes`; `None` while its length is not there yet. The body may still
/// be on its way. An error is the reason to close with.
pub fn frame(bytes: &[u8], packet_bytes_max: usize) -> Result<Option<Frame>, ReasonCode> {
    let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
    let mut body = 0;
    for (at, &byte) in rest.iter().take(4).enumerate() {
        body |= usize::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            let head = at + 2;
            if head + body > packet_bytes_max {
                return Err(ReasonCode::PacketTooLarge);
            }
            return Ok(Some(Frame { first, head, body }));
        }
    }
    if rest.len() < 4 { Ok(None) } else { Err(ReasonCode::MalformedPacket) }
}

#[cfg(test)]
mod tests;
