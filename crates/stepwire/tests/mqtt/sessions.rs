//! Sessions, wills and deliveries across lost connections and lost processes.

use rumqttc::QoS;
use rumqttc::v5::mqttbytes::v5::{DisconnectReasonCode, Packet};
use rumqttc::v5::{self, ConnectionError, Event, StateError};
use tempfile::tempdir;
use tokio::time::timeout;

use crate::client::{Client, PATIENCE, plain};
use crate::server::Server;
use crate::wire::{Hello, Wire, packet, text};
use crate::{durable_server, open_server};

/// Options of a client whose session outlives its connection.
fn lasting(server: &Server, id: &str) -> rumqttc::MqttOptions {
    let mut options = plain(server, id);
    options.set_clean_session(false);
    options
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let folder = tempdir().unwrap();
    let server = durable_server(&folder);
    let (mut device, present) = Client::connect(lasting(&server, "device")).await.unwrap();
    assert!(!present);
    device.subscribe("config/#", QoS::AtLeastOnce).await;
    device.goodbye().await;
    let mut service = Client::online(plain(&server, "service")).await;
    for number in 0..20 {
        service.publish("config/device", &number.to_string()).await.unwrap();
    }
    service.retain("state", "kept").await;
    server.kill();

    let server = durable_server(&folder);
    let (mut device, present) = Client::connect(lasting(&server, "device")).await.unwrap();
    assert!(present);
    for number in 0..20 {
        assert_eq!(device.message().await, ("config/device".into(), number.to_string()));
    }
    let mut late = Client::watching(&server, "late", "state").await;
    let kept = late.try_message().await.unwrap();
    assert!(kept.retain && &kept.payload[..] == b"kept");
    // the subscription is there too
    late.publish("config/new", "live").await.unwrap();
    assert_eq!(device.message().await, ("config/new".into(), "live".into()));
}

#[tokio::test]
async fn a_clean_session_forgets_and_a_lasting_one_remembers() {
    let server = open_server();
    for (options, remembered) in [(lasting(&server, "a"), true), (plain(&server, "b"), false)] {
        let mut device = Client::online(options.clone()).await;
        device.subscribe("t", QoS::AtLeastOnce).await;
        device.goodbye().await;
        let (_, present) = Client::connect(options).await.unwrap();
        assert_eq!(present, remembered);
    }
}

#[tokio::test]
async fn who_connects_again_takes_the_older_connection_over() {
    let server = open_server();
    let address = server.address("mqtt");
    let options = || {
        let host = address.ip().to_string();
        let mut options = v5::MqttOptions::new("device", host, address.port());
        options.set_clean_start(false).set_session_expiry_interval(Some(60));
        options
    };
    let (_requests, mut old) = v5::AsyncClient::new(options(), 8);
    old.poll().await.unwrap();
    let (_requests, mut new) = v5::AsyncClient::new(options(), 8);
    match new.poll().await.unwrap() {
        Event::Incoming(Packet::ConnAck(connack)) => assert!(connack.session_present),
        other => panic!("{other:?}"),
    }
    let ended = timeout(PATIENCE, async {
        loop {
            if let Err(error) = old.poll().await {
                return error;
            }
        }
    });
    let reason = match ended.await.unwrap() {
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, .. }) => reason_code,
        other => panic!("{other}"),
    };
    assert_eq!(reason, DisconnectReasonCode::SessionTakenOver);
}

#[tokio::test]
async fn a_will_is_published_for_a_cut_connection_and_not_after_a_goodbye() {
    let server = open_server();
    let mut watcher = Client::watching(&server, "watcher", "wills/+").await;
    for level in [4, 5] {
        let topic = format!("wills/{level}");
        let hello = |will| Hello { will: Some((&topic, will)), ..Hello::new(level, "device") };
        let (mut polite, _) = Wire::connect(&server, hello("after a goodbye")).await;
        polite.send(b"\xE0\0").await;
        assert_eq!(polite.rest().await, b"");
        let (cut, _) = Wire::connect(&server, hello("cut")).await;
        drop(cut);
        assert_eq!(watcher.message().await, (topic.clone(), "cut".into()));
    }
}

#[tokio::test]
async fn a_client_that_falls_silent_is_closed_after_one_and_a_half_keep_alives() {
    let server = open_server();
    let filters = ["wills/+", "$aws/events/presence/disconnected/+"];
    let mut watcher = Client::online(plain(&server, "watcher")).await;
    for filter in filters {
        watcher.subscribe(filter, QoS::AtLeastOnce).await;
    }
    let will = Some(("wills/device", "silent"));
    let hello = Hello { keep_alive_s: 1, will, ..Hello::new(5, "device") };
    let (mut wire, _) = Wire::connect(&server, hello).await;
    let started = std::time::Instant::now();
    wire.send(b"\xC0\0").await;
    assert_eq!(wire.packet().await, b"\xD0\0");
    assert_eq!(wire.rest().await, b"\xE0\x02\x8D\0");
    let silent = started.elapsed().as_millis();
    assert!((1_500..4_000).contains(&silent), "closed after {silent} ms");
    let (_, event) = watcher.event().await;
    assert_eq!(event["disconnectReason"], "MQTT_KEEP_ALIVE_TIMEOUT");
    assert_eq!(watcher.message().await, ("wills/device".into(), "silent".into()));
}

/// QoS 2 towards the server: the sender repeats everything it has no answer to.
#[tokio::test]
async fn a_qos_2_message_of_a_client_is_taken_once_although_the_node_is_killed() {
    let folder = tempdir().unwrap();
    let server = durable_server(&folder);
    let watching = lasting(&server, "watcher");
    let mut watcher = Client::online(watching).await;
    watcher.subscribe("t", QoS::AtLeastOnce).await;
    let hello = Hello { persistent: true, ..Hello::new(5, "sender") };
    let publish = |dup: u8| packet(0x34 | dup, &[&text("t")[..], b"\0\x07\0once"].concat());
    let (mut sender, _) = Wire::connect(&server, hello).await;
    sender.send(&publish(0)).await;
    assert_eq!(sender.packet().await, b"\x50\x02\0\x07");
    server.kill();

    let server = durable_server(&folder);
    let (mut sender, connack) = Wire::connect(&server, hello).await;
    assert_eq!(connack[2], 1, "the session is there");
    sender.send(&publish(0x08)).await;
    assert_eq!(sender.packet().await, b"\x50\x02\0\x07");
    drop(sender);
    let (mut sender, _) = Wire::connect(&server, hello).await;
    for reason in [&b"\x70\x02\0\x07"[..], b"\x70\x03\0\x07\x92"] {
        // PUBREL; the second time there is nothing left to release
        sender.send(b"\x62\x02\0\x07").await;
        assert_eq!(sender.packet().await, reason);
    }
    // released, the identifier is free for another message
    sender.send(&packet(0x34, &[&text("t")[..], b"\0\x07\0twice"].concat())).await;
    assert_eq!(sender.packet().await, b"\x50\x02\0\x07");
    let mut watcher = Client::online(lasting(&server, "watcher")).await;
    assert_eq!(watcher.message().await, ("t".into(), "once".into()));
    assert_eq!(watcher.message().await, ("t".into(), "twice".into()));
}

/// QoS 2 towards the client: once it has said PUBREC the message does not come again.
#[tokio::test]
async fn a_qos_2_message_to_a_client_comes_once_although_the_node_is_killed() {
    let folder = tempdir().unwrap();
    let mut server = durable_server(&folder);
    let hello = Hello { persistent: true, ..Hello::new(4, "device") };
    let (mut device, _) = Wire::connect(&server, hello).await;
    device.send(&packet(0x82, b"\0\x01\0\x01t\x02")).await;
    assert_eq!(device.packet().await, b"\x90\x03\0\x01\x02");
    let (mut sender, _) = Wire::connect(&server, Hello::new(4, "sender")).await;
    sender.send(&packet(0x34, b"\0\x01t\0\x01x")).await;
    let first = device.packet().await;
    assert_eq!((first[0], &first[2..5], &first[7..]), (0x34, &b"\0\x01t"[..], &b"x"[..]));
    let id = [first[5], first[6]];

    // not acknowledged: it comes again, and says so
    server.kill();
    server = durable_server(&folder);
    let (mut device, _) = Wire::connect(&server, hello).await;
    assert_eq!(device.packet().await, [&[0x3C], &first[1..]].concat());
    device.send(&[&[0x50, 2], &id[..]].concat()).await;
    assert_eq!(device.packet().await, [&[0x62, 2], &id[..]].concat());

    // received and not complete: only the release comes again
    server.kill();
    server = durable_server(&folder);
    let (mut device, _) = Wire::connect(&server, hello).await;
    assert_eq!(device.packet().await, [&[0x62, 2], &id[..]].concat());
    device.send(&[&[0x70, 2], &id[..]].concat()).await;
    drop(device);
    let (mut device, _) = Wire::connect(&server, hello).await;
    device.send(b"\xC0\0").await;
    assert_eq!(device.packet().await, b"\xD0\0", "nothing is left");
}
