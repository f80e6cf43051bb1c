//! The bytes of one connection, read as the listener reads them.
//!
//! Nothing may panic, no packet may end outside of what was given, and a PUBLISH that was understood
//! must come out again as it went in.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use stepwire_core::mqtt::codec::{self, Frame};
use stepwire_core::mqtt::{Packet, Version};

/// Larger than any input, so that no frame is refused for its size alone.
const PACKET_BYTES_MAX: usize = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    let Some((version, mut rest)) = greeting(bytes) else { return };
    while let Some((first, body, after)) = packet(rest) {
        let Ok(packet) = codec::decode(version, first, body) else { return };
        if let Packet::Publish(publish) = &packet {
            let length = publish.encoded_len(version);
            comes_out_again(version, &packet, length);
        }
        rest = after;
    }
});

/// The version that CONNECT asks for, and what follows it.
fn greeting(bytes: &[u8]) -> Option<(Version, &[u8])> {
    let (first, body, rest) = packet(bytes)?;
    let connect = codec::decode_connect(first, body).ok()?;
    Some((connect.version, rest))
}

/// The first packet: its first byte, its body, and what follows it.
fn packet(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let Frame { first, head, body } = codec::frame(bytes, PACKET_BYTES_MAX).ok()??;
    let rest = bytes.get(head..)?;
    (rest.len() >= body).then(|| (first, &rest[..body], &rest[body..]))
}

/// Writes the packet, which says that it takes `length` bytes, and reads it again.
fn comes_out_again(version: Version, packet: &Packet, length: usize) {
    let mut written = BytesMut::new();
    codec::encode(version, packet, &mut written).expect("it came in, so it fits");
    assert_eq!(written.len(), length);
    let Frame { first, head, body } =
        codec::frame(&written, PACKET_BYTES_MAX).expect("a frame").expect("a whole frame");
    assert_eq!(head + body, written.len());
    let read = codec::decode(version, first, &written[head..]).expect("what we write is read");
    assert_eq!(&read, packet);
}
