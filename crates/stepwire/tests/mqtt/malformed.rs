//! What is not MQTT, or not in time: that connection is closed and no other.

use std::time::Duration;

use rumqttc::ConnectReturnCode;
use tokio::time::Instant;

use crate::client::{Client, plain};
use crate::open_server;
use crate::server::Server;
use crate::wire::{Hello, Wire, packet, text};

/// Bytes after a CONNECT of MQTT 5.0, and the reason of the DISCONNECT they lead to.
fn wrong() -> Vec<(&'static str, Vec<u8>, u8)> {
    vec![
        ("a packet type that is none", packet(0x00, b""), 0x81),
        ("wrong flags", packet(0x80, b"\0\x01\0\0\x01t\0"), 0x81),
        ("a length without end", b"\x30\xFF\xFF\xFF\xFF\x01".to_vec(), 0x81),
        ("more than the largest packet", b"\x30\xFF\xFF\xFF\x7F".to_vec(), 0x95),
        ("a text that is no UTF-8", packet(0x30, b"\0\x02\xC3\x28\0"), 0x81),
        ("both QoS bits", packet(0x36, b"\0\x01t\0\x01\0"), 0x81),
        ("packet identifier 0", packet(0x32, b"\0\x01t\0\0\0"), 0x82),
        ("properties longer than the packet", packet(0x30, b"\0\x01t\x70"), 0x81),
        ("a property twice", packet(0x30, b"\0\x01t\x04\x01\x01\x01\x01"), 0x82),
        (
            "a second CONNECT",
            packet(0x10, &[text("MQTT"), vec![5, 2, 0, 0, 0, 0, 0]].concat()),
            0x82,
        ),
        ("a packet of servers", packet(0xD0, b""), 0x82),
        ("a topic with a wildcard", packet(0x30, &[text("a/#"), vec![0]].concat()), 0x90),
        ("an alias nobody announced", packet(0x30, b"\0\0\x03\x23\0\x01"), 0x82),
        ("an alias above the maximum", packet(0x30, b"\0\x01t\x03\x23\xFF\xFF"), 0x94),
        ("a text payload that is none", packet(0x30, b"\0\x01t\x02\x01\x01\xFF"), 0x99),
        ("no filter", packet(0x82, b"\0\x01\0"), 0x82),
        (
            "a shared subscription without local messages",
            packet(0x82, b"\0\x01\0\0\x0A$share/g/t\x04"),
            0x82,
        ),
        ("authentication nobody began", packet(0xF0, b"\x19\0"), 0x82),
    ]
}

#[tokio::test]
async fn what_is_not_mqtt_closes_that_connection_with_the_reason_and_no_other() {
    let server = open_server();
    let mut canary = Client::watching(&server, "canary", "song").await;
    for (what, bytes, reason) in wrong() {
        let (mut wire, _) = Wire::connect(&server, Hello::new(5, "wrong")).await;
        wire.send(&bytes).await;
        assert_eq!(wire.rest().await, [0xE0, 2, reason, 0], "{what}");
        canary.publish("song", what).await.unwrap();
        assert_eq!(canary.message().await.1, what);
    }
}

#[tokio::test]
async fn before_mqtt_5_a_wrong_packet_is_answered_by_closing() {
    let server = open_server();
    for bytes in [packet(0x00, b""), packet(0x36, b"\0\x01t\0\x01"), packet(0xF0, b"")] {
        let (mut wire, connack) = Wire::connect(&server, Hello::new(4, "wrong")).await;
        assert_eq!(connack, [0x20, 2, 0, 0]);
        wire.send(&bytes).await;
        assert_eq!(wire.rest().await, b"", "{bytes:02x?}");
    }
}

#[tokio::test]
async fn a_connect_that_cannot_be_accepted_is_answered_in_its_own_words() {
    let server = open_server();
    let mqtt = |rest: &[u8]| packet(0x10, &[&text("MQTT")[..], rest].concat());
    let cases: [(&str, Vec<u8>, &[u8]); 6] = [
        ("a level from the future", mqtt(b"\x06\x02\0\0\0\0\x01d"), b"\x20\x02\0\x01"),
        ("no identifier for a lasting session", mqtt(b"\x04\0\0\0\0\0"), b"\x20\x02\0\x02"),
        ("a reserved flag", mqtt(b"\x05\x03\0\0\0\0\x01d"), b"\x20\x03\0\x81\0"),
        ("receive maximum 0", mqtt(b"\x05\x02\0\0\x03\x21\0\0\0\x01d"), b"\x20\x03\0\x82\0"),
        (
            "authentication we do not know",
            mqtt(b"\x05\x02\0\0\x04\x15\0\x01x\0\x01d"),
            b"\x20\x03\0\x8C\0",
        ),
        ("another protocol", b"GET / HTTP/1.1\r\n\r\n".to_vec(), b""),
    ];
    for (what, bytes, answer) in cases {
        let mut wire = Wire::open(&server, "mqtt").await;
        wire.send(&bytes).await;
        assert_eq!(wire.rest().await, answer, "{what}");
    }
}

#[tokio::test]
async fn who_does_not_finish_its_connect_is_closed_within_ten_seconds() {
    let server = open_server();
    let started = Instant::now();
    let mut silent = Wire::open(&server, "mqtt").await;
    let mut silent_tls = Wire::open(&server, "mqtts").await;
    let mut half = Wire::open(&server, "mqtt").await;
    half.send(b"\x10\x0D\0\x04MQTT").await;
    let (a, b, c) = tokio::join!(silent.rest(), silent_tls.rest(), half.rest());
    assert_eq!((a, b, c), (vec![], vec![], vec![]));
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
}

#[tokio::test]
async fn without_leave_for_anonymous_clients_nobody_gets_in_without_a_certificate() {
    let server = Server::start(&["--memory", "--mqtt", "0"]);
    let refused = Client::connect(plain(&server, "nobody")).await.map(|_| ()).unwrap_err();
    let code = ConnectReturnCode::NotAuthorized;
    assert!(matches!(refused, rumqttc::ConnectionError::ConnectionRefused(is) if is == code));
    let (_, connack) = Wire::connect(&server, Hello::new(5, "nobody")).await;
    assert_eq!(connack, [0x20, 3, 0, 0x87, 0]);
}
