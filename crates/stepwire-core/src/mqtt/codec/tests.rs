//! Packets written out byte by byte, as the specification draws them.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::num::NonZeroU16;

use crate::message::{Properties, QoS};
use crate::mqtt::{Ack, ConnAck, Disconnect, Packet, PacketId, Publish, SubAck, Version};
use bytes::BytesMut;
use stepwire_asl::Entropy;

use super::*;

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

fn id(number: u16) -> PacketId {
    PacketId::new(number).unwrap()
}

fn encoded(version: Version, packet: &Packet) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    encode(version, packet, &mut bytes).unwrap();
    bytes.to_vec()
}

#[test]
fn a_packet_ends_where_its_length_says() {
    let found = |first, head, body| Ok(Some(Frame { first, head, body }));
    assert_eq!(frame(&[], 100), Ok(None));
    assert_eq!(frame(&[0x30], 100), Ok(None));
    assert_eq!(frame(&[0x30, 0x80], 100), Ok(None));
    assert_eq!(frame(&[0xC0, 0x00, 0x99], 100), found(0xC0, 2, 0));
    assert_eq!(frame(&[0x30, 0x80, 0x01], 200), found(0x30, 3, 128));
    assert_eq!(frame(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F], 1 << 30), found(0x30, 5, 268_435_455));
}

#[test]
fn a_length_that_cannot_be_or_is_too_large_is_refused_before_the_body_comes() {
    assert_eq!(frame(&[0x30, 0x63], 100), Err(ReasonCode::PacketTooLarge));
    assert_eq!(frame(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F], 100), Err(ReasonCode::PacketTooLarge));
    assert_eq!(frame(&[0x30, 0x80, 0x80, 0x80, 0x80], 100), Err(ReasonCode::MalformedPacket));
}

#[test]
fn what_breaks_the_rules_is_refused_with_the_reason_the_specification_names() {
    use ReasonCode::*;
    let cases: &[(u8, &[u8], ReasonCode)] = &[
        // PUBLISH: both QoS bits, DUP at QoS 0, packet identifier 0, text that is no UTF-8
        (0x36, b"\0\x01t\0\x01\0", MalformedPacket),
        (0x38, b"\0\x01t\0", MalformedPacket),
        (0x32, b"\0\x01t\0\0\0", ProtocolError),
        (0x30, b"\0\x02\xC3\x28\0", MalformedPacket),
        (0x30, b"\0\x05t", MalformedPacket),
        // its properties: alias 0, one twice, one of another packet, longer than the packet
        (0x30, b"\0\x01t\x03\x23\0\0", TopicAliasInvalid),
        (0x30, b"\0\x01t\x04\x01\x01\x01\x01", ProtocolError),
        (0x30, b"\0\x01t\x03\x21\0\x01", MalformedPacket),
        (0x30, b"\0\x01t\x7F", MalformedPacket),
        (0x30, b"\0\x01t\x02\x01\x02", ProtocolError),
        // a payload that says it is text and is not
        (0x30, b"\0\x01t\x02\x01\x01\xFF", PayloadFormatInvalid),
        // SUBSCRIBE: flags, QoS 3, retain handling 3, no filter, subscription identifier 0
        (0x80, b"\0\x01\0\0\x01t\0", MalformedPacket),
        (0x82, b"\0\x01\0\0\x01t\x03", MalformedPacket),
        (0x82, b"\0\x01\0\0\x01t\x30", MalformedPacket),
        (0x82, b"\0\x01\0", ProtocolError),
        (0x82, b"\0\x01\x02\x0B\0\0\x01t\0", ProtocolError),
        (0x82, b"\0\x01\0\0\0\0", MalformedPacket),
        // UNSUBSCRIBE without a filter; PINGREQ with a body; an unknown reason; a second CONNECT
        (0xA2, b"\0\x01\0", ProtocolError),
        (0xC0, b"\0", MalformedPacket),
        (0x40, b"\0\x01\x42", MalformedPacket),
        (0x10, b"", ProtocolError),
        // what only servers send; a packet type that is none
        (0xD0, b"", ProtocolError),
        (0x00, b"", MalformedPacket),
    ];
    for (first, body, reason) in cases {
        assert_eq!(decode(Version::V5, *first, body), Err(*reason), "{first:02x} {body:02x?}");
    }
}

#[test]
fn what_only_mqtt_5_has_is_malformed_before_it() {
    for version in [Version::V31, Version::V311] {
        // AUTH, a reason in PUBACK, options in SUBSCRIBE, properties in DISCONNECT
        for (first, body) in
            [(0xF0, &b""[..]), (0x40, b"\0\x01\0"), (0x82, b"\0\x01\0\x01t\x04"), (0xE0, b"\0\0")]
        {
            assert_eq!(decode(version, first, body), Err(ReasonCode::MalformedPacket));
        }
    }
}

#[test]
fn a_publish_says_all_it_has_to_say() {
    let body = b"\0\x01t\0\x07\x19\x01\x01\x02\0\0\0\x3C\x08\0\x01r\x09\0\x01c\x26\0\x01k\0\x01v\
                 \x23\0\x02hello";
    let Ok(Packet::Publish(publish)) = decode(Version::V5, 0x3B, body) else { panic!() };
    assert!(publish.dup && publish.retain);
    assert_eq!((publish.qos, publish.packet_id), (QoS::AtLeastOnce, Some(id(7))));
    assert_eq!((&*publish.topic, &*publish.payload), ("t", &b"hello"[..]));
    assert_eq!(publish.topic_alias, NonZeroU16::new(2));
    let properties = Properties {
        payload_is_utf8: Some(true),
        message_expiry_s: Some(60),
        content_type: None,
        response_topic: Some("r".into()),
        correlation_data: Some("c".into()),
        user_properties: vec![("k".into(), "v".into())],
    };
    assert_eq!(publish.properties, properties);
}

#[test]
fn a_connect_says_what_can_be_answered_to_a_wrong_one() {
    let of = |bytes: &[u8]| decode_connect(0x10, bytes).map(|_| ());
    assert_eq!(of(b"\0\x04MQTT\x04\x02\0\0\0\x01d"), Ok(()));
    assert_eq!(of(b"\0\x04MQTT\x06\x02\0\0\0\x01d"), Err(Unsupported::Level));
    assert_eq!(of(b"\0\x04HTTP\x04\x02\0\0\0\x01d"), Err(Unsupported::NotMqtt));
    // a reserved flag; a will's QoS without a will; receive maximum 0
    let invalid = |version, reason| Err(Unsupported::Invalid(version, reason));
    let malformed = ReasonCode::MalformedPacket;
    assert_eq!(of(b"\0\x04MQTT\x04\x03\0\0\0\x01d"), invalid(Version::V311, malformed));
    assert_eq!(of(b"\0\x04MQTT\x05\x0A\0\0\0\0\x01d"), invalid(Version::V5, malformed));
    let zero = of(b"\0\x04MQTT\x05\x02\0\0\x03\x21\0\0\0\x01d");
    assert_eq!(zero, invalid(Version::V5, ReasonCode::ProtocolError));
}

#[test]
fn each_version_gets_what_it_has_a_place_for() {
    let refused = Ack { packet_id: id(7), reason: ReasonCode::NotAuthorized };
    let subscribed = SubAck { packet_id: id(7), reasons: vec![ReasonCode::NotAuthorized] };
    let goodbye = Disconnect { reason: ReasonCode::SessionTakenOver, ..Disconnect::default() };
    let welcome = ConnAck { session_present: true, topic_alias_max: Some(9), ..ConnAck::default() };
    let cases: [(Packet, [&[u8]; 3]); 4] = [
        (Packet::PubAck(refused), [b"\x40\x02\0\x07", b"\x40\x02\0\x07", b"\x40\x03\0\x07\x87"]),
        (
            Packet::SubAck(subscribed),
            [b"\x90\x03\0\x07\x80", b"\x90\x03\0\x07\x80", b"\x90\x04\0\x07\0\x87"],
        ),
        (Packet::Disconnect(goodbye), [b"", b"", b"\xE0\x02\x8E\0"]),
        (
            Packet::ConnAck(Box::new(welcome)),
            [b"\x20\x02\0\0", b"\x20\x02\x01\0", b"\x20\x06\x01\0\x03\x22\0\x09"],
        ),
    ];
    for (packet, expected) in cases {
        for (version, bytes) in VERSIONS.into_iter().zip(expected) {
            assert_eq!(encoded(version, &packet), bytes, "{version:?} {packet:?}");
        }
    }
}

#[test]
fn packets_are_as_long_as_they_say_they_will_be() {
    let publish = Publish {
        qos: QoS::ExactlyOnce,
        packet_id: Some(id(1)),
        topic_alias: NonZeroU16::new(3),
        subscription_ids: vec![1, 200, 70_000],
        properties: Properties {
            payload_is_utf8: Some(true),
            message_expiry_s: Some(1),
            content_type: Some("text/plain".into()),
            response_topic: Some("r".into()),
            correlation_data: Some("c".into()),
            user_properties: vec![("name".into(), "value".into()); 20],
        },
        ..Publish::new("a/b", "x".repeat(200))
    };
    let connack = ConnAck {
        session_expiry_s: Some(1),
        receive_maximum: Some(1),
        packet_bytes_max: Some(1),
        assigned_client_id: Some("x".repeat(200).into()),
        topic_alias_max: Some(1),
        server_keep_alive_s: Some(1),
        qos_max: Some(QoS::AtLeastOnce),
        subscription_ids_available: Some(false),
        reason_string: Some("why".into()),
        ..ConnAck::default()
    };
    for version in VERSIONS {
        let length = encoded(version, &Packet::Publish(publish.clone())).len();
        assert_eq!(length, publish.encoded_len(version));
        let length = encoded(version, &Packet::ConnAck(Box::new(connack.clone()))).len();
        assert_eq!(length, connack.encoded_len(version));
    }
}

/// Valid packets with a few wrong bytes: each is read or refused, none is read beyond its end.
#[test]
fn no_bytes_are_beyond_the_decoder() {
    let seeds: &[&[u8]] = &[
        b"\x10\x1A\0\x04MQTT\x05\xEE\0\x0A\x05\x11\0\0\0\x3C\0\x01s\0\0\x01w\0\x01b\0\x01u\0\x01p",
        b"\x32\x10\0\x03f/a\0\x07\x07\x26\0\x01k\0\x01vx",
        b"\x82\x0B\0\x07\x02\x0B\x05\0\x03f/5\x2D",
        b"\xA2\x08\0\x07\0\0\x03f/#",
        b"\x40\x04\0\x07\x10\0",
        b"\xE0\x07\x04\x05\x11\0\0\0\x3C",
        b"\xF0\x02\x18\0",
    ];
    let mut dice = Entropy::new(7);
    let (mut read, mut refused) = (0, 0);
    for round in 0..50_000 {
        let mut bytes = seeds[round % seeds.len()].to_vec();
        for _ in 0..dice.next_u64() % 4 {
            let at = dice.next_u64() as usize % bytes.len();
            match dice.next_u64() % 3 {
                0 => bytes[at] = dice.next_u64() as u8,
                1 => bytes[at] ^= 1 << (dice.next_u64() % 8),
                _ => bytes.insert(at, dice.next_u64() as u8),
            }
        }
        let Ok(Some(Frame { first, head, body })) = frame(&bytes, 1_000) else { continue };
        let Some(body) = bytes.get(head..head + body) else { continue };
        let results = VERSIONS.map(|version| decode(version, first, body).is_ok());
        let ok = decode_connect(first, body).is_ok() || results.contains(&true);
        *(if ok { &mut read } else { &mut refused }) += 1;
    }
    assert!(read > 5_000 && refused > 5_000, "{read} read, {refused} refused");
}

#[test]
fn a_packet_has_only_so_many_filters_and_user_properties() {
    let over = Err(ReasonCode::QuotaExceeded);
    let filters = |count| [b"\0\x01\0".to_vec(), b"\0\x01a\0".repeat(count)].concat();
    assert!(decode(Version::V5, 0x82, &filters(4_096)).is_ok());
    assert_eq!(decode(Version::V5, 0x82, &filters(4_097)), over);
    let filters = [b"\0\x01\0".to_vec(), b"\0\x01a".repeat(4_097)].concat();
    assert_eq!(decode(Version::V5, 0xA2, &filters), over);
    let publish = |count: usize| {
        let properties = b"\x26\0\0\0\0".repeat(count);
        let length = [(properties.len() & 0x7F) as u8 | 0x80, (properties.len() >> 7) as u8];
        [b"\0\x01t".to_vec(), length.to_vec(), properties].concat()
    };
    assert!(decode(Version::V5, 0x30, &publish(1_024)).is_ok());
    assert_eq!(decode(Version::V5, 0x30, &publish(1_025)), over);
}
