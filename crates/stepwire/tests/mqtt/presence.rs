//! Presence events, and messages that were faster than the device's SUBSCRIBE.

use rumqttc::QoS;
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::client::{Client, plain, secure};
use crate::wire::{Hello, Wire};
use crate::{durable_server, open_server};

const PRESENCE: &str = "$aws/events/presence/+/+";

fn all() -> Value {
    json!([{ "Effect": "Allow", "Action": "iot:*", "Resource": "*" }])
}

#[tokio::test]
async fn a_connection_is_told_twice_with_everything_there_is_to_know() {
    let server = open_server();
    let identity = server.aws().device("gw-1", all()).await;
    let mut watcher = Client::watching(&server, "watcher", PRESENCE).await;
    let device = Client::online(secure(&server, "gw-1", &identity)).await;
    let (topic, connected) = watcher.event().await;
    assert_eq!(topic, "$aws/events/presence/connected/gw-1");
    device.goodbye().await;
    let (topic, disconnected) = watcher.event().await;
    assert_eq!(topic, "$aws/events/presence/disconnected/gw-1");

    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    for event in [&connected, &disconnected] {
        let age_ms = i64::try_from(now.as_millis()).unwrap() - event["timestamp"].as_i64().unwrap();
        assert!((0..20_000).contains(&age_ms), "{event}");
    }
    let session = connected["sessionIdentifier"].as_str().unwrap();
    assert_eq!(session.len(), 36);
    let common = |event: &Value, kind: &str| {
        json!({
            "clientId": "gw-1",
            "thingName": "gw-1",
            "timestamp": event["timestamp"],
            "eventType": kind,
            "sessionIdentifier": session,
            "principalIdentifier": identity.id,
            "versionNumber": 0,
        })
    };
    let mut expected = common(&connected, "connected");
    expected["ipAddress"] = "127.0.0.1".into();
    assert_eq!(connected, expected);
    let mut expected = common(&disconnected, "disconnected");
    expected["clientInitiatedDisconnect"] = true.into();
    expected["disconnectReason"] = "CLIENT_INITIATED_DISCONNECT".into();
    assert_eq!(disconnected, expected);
}

#[tokio::test]
async fn each_end_is_told_with_its_reason_before_the_next_begin() {
    let server = open_server();
    let mut watcher = Client::watching(&server, "watcher", PRESENCE).await;
    let hello = Hello::new(5, "device");
    let (mut first, _) = Wire::connect(&server, hello).await;
    first.send(b"\xE0\0").await;
    let (second, _) = Wire::connect(&server, hello).await;
    drop(second);
    let (mut third, _) = Wire::connect(&server, hello).await;
    let (mut fourth, _) = Wire::connect(&server, hello).await;
    assert_eq!(third.rest().await, b"\xE0\x02\x8E\0");
    fourth.send(b"\0\0").await;
    assert_eq!(fourth.rest().await, b"\xE0\x02\x81\0");
    let reasons =
        ["CLIENT_INITIATED_DISCONNECT", "CONNECTION_LOST", "DUPLICATE_CLIENTID", "CLIENT_ERROR"];
    for (number, reason) in reasons.into_iter().enumerate() {
        let (_, connected) = watcher.event().await;
        assert_eq!(connected["eventType"], "connected");
        assert_eq!(connected["versionNumber"], number);
        let (_, disconnected) = watcher.event().await;
        assert_eq!(disconnected["disconnectReason"], reason);
        let by_client = reason == "CLIENT_INITIATED_DISCONNECT";
        assert_eq!(disconnected["clientInitiatedDisconnect"], by_client);
        assert_eq!(disconnected["sessionIdentifier"], connected["sessionIdentifier"]);
    }
}

/// How a test has a connection end.
#[derive(Debug, Clone, Copy)]
enum Way {
    Goodbye,
    GoodbyeWithWill,
    SecondConnect,
    NotMqtt,
    Cut,
    Silence,
    TakeOver,
    Request,
}

#[tokio::test]
async fn each_reason_has_the_will_published_that_aws_publishes() {
    let server = open_server();
    let mut watcher =
        Client::watching(&server, "watcher", "$aws/events/presence/disconnected/+").await;
    watcher.subscribe("wills/+", QoS::AtLeastOnce).await;
    for (way, reason, published) in [
        (Way::Goodbye, "CLIENT_INITIATED_DISCONNECT", false),
        (Way::GoodbyeWithWill, "CLIENT_INITIATED_DISCONNECT", true),
        (Way::SecondConnect, "CLIENT_ERROR", true),
        (Way::NotMqtt, "CLIENT_ERROR", true),
        (Way::Cut, "CONNECTION_LOST", true),
        (Way::Silence, "MQTT_KEEP_ALIVE_TIMEOUT", true),
        (Way::TakeOver, "DUPLICATE_CLIENTID", true),
        (Way::Request, "API_INITIATED_DISCONNECT", true),
    ] {
        let id = format!("{way:?}");
        let topic = format!("wills/{id}");
        let hello = Hello { will: Some((&topic, "gone")), ..Hello::new(5, &id) };
        let silent = Hello { keep_alive_s: 1, ..hello };
        let hello = if matches!(way, Way::Silence) { silent } else { hello };
        let (mut wire, _) = Wire::connect(&server, hello).await;
        let mut newer = None;
        match way {
            Way::Goodbye => wire.send(b"\xE0\0").await,
            Way::GoodbyeWithWill => wire.send(b"\xE0\x01\x04").await,
            Way::SecondConnect => wire.send(&hello.packet()).await,
            Way::NotMqtt => wire.send(b"\0\0").await,
            Way::Cut => drop(wire),
            Way::Silence => assert_eq!(wire.rest().await, b"\xE0\x02\x8D\0"),
            Way::TakeOver => newer = Some(Wire::connect(&server, Hello::new(5, &id)).await),
            Way::Request => {
                server.aws().disconnect(&id).await;
                assert_eq!(wire.rest().await, b"\xE0\x02\x98\0");
            }
        }
        let (_, event) = watcher.event().await;
        assert_eq!(event["disconnectReason"], reason, "{way:?}");
        assert_eq!(event["clientId"], *id);
        // what comes next is the will, or what was published after it
        server.aws().publish("wills/mark", "mark").await;
        if published {
            assert_eq!(watcher.message().await, (topic.clone(), "gone".to_owned()), "{way:?}");
        }
        assert_eq!(watcher.message().await.1, "mark", "{way:?}");
        if newer.is_some() {
            drop(newer);
            assert_eq!(watcher.event().await.1["disconnectReason"], "CONNECTION_LOST");
        }
    }
}

#[tokio::test]
async fn what_a_device_may_not_do_ends_its_connection_as_an_error_of_authority() {
    let server = open_server();
    let connect = json!([{ "Effect": "Allow", "Action": "iot:Connect", "Resource": "*" }]);
    let identity = server.aws().device("gw-1", connect).await;
    let mut watcher =
        Client::watching(&server, "watcher", "$aws/events/presence/disconnected/+").await;
    let mut device = Client::online(secure(&server, "gw-1", &identity)).await;
    assert!(device.publish("not/allowed", "x").await.is_err());
    let (_, event) = watcher.event().await;
    assert_eq!(event["disconnectReason"], "AUTH_ERROR");
    assert_eq!(event["clientInitiatedDisconnect"], false);
}

#[tokio::test]
async fn who_is_connected_when_the_node_stops_is_told_to_have_been_disconnected_by_it() {
    let folder = tempdir().unwrap();
    let server = durable_server(&folder);
    let lasting = |server: &_| {
        let mut lasting = plain(server, "watcher");
        lasting.set_clean_session(false);
        lasting
    };
    let mut watcher = Client::online(lasting(&server)).await;
    watcher.subscribe("$aws/events/presence/disconnected/gw-1", QoS::AtLeastOnce).await;
    let (mut wire, _) = Wire::connect(&server, Hello::new(5, "gw-1")).await;
    assert_eq!(server.terminate(), 0);
    assert_eq!(wire.rest().await, b"\xE0\x02\x8B\0");

    let server = durable_server(&folder);
    let mut watcher = Client::online(lasting(&server)).await;
    let (_, event) = watcher.event().await;
    assert_eq!(event["disconnectReason"], "SERVER_INITIATED_DISCONNECT");
    assert_eq!(event["clientId"], "gw-1");
}

#[tokio::test]
async fn who_was_connected_when_the_node_was_killed_is_told_to_be_gone() {
    let folder = tempdir().unwrap();
    let server = durable_server(&folder);
    let mut lasting = plain(&server, "watcher");
    lasting.set_clean_session(false);
    let mut watcher = Client::online(lasting).await;
    watcher.subscribe(PRESENCE, QoS::AtLeastOnce).await;
    let mut sessions = Vec::new();
    let mut wires = Vec::new();
    for id in ["a", "b", "c"] {
        wires.push(Wire::connect(&server, Hello::new(5, id)).await);
        sessions.push(watcher.event().await.1["sessionIdentifier"].clone());
    }
    server.kill();

    let server = durable_server(&folder);
    let mut lasting = plain(&server, "watcher");
    lasting.set_clean_session(false);
    let mut watcher = Client::online(lasting).await;
    let mut gone = Vec::new();
    // its own end is among them, and then its own begin
    loop {
        let (topic, event) = watcher.event().await;
        match topic.strip_prefix("$aws/events/presence/").unwrap().split_once('/').unwrap() {
            ("connected", "watcher") => break,
            // its acknowledgement was lost with the node
            ("connected", _) => continue,
            _ => {}
        }
        assert_eq!(event["disconnectReason"], "SERVER_ERROR");
        assert_eq!(event["clientInitiatedDisconnect"], false);
        gone.push((event["clientId"].clone(), event["sessionIdentifier"].clone()));
    }
    assert_eq!(gone.len(), 4, "{gone:?}");
    for (id, session) in ["a", "b", "c"].into_iter().zip(sessions) {
        assert!(gone.contains(&(id.into(), session)), "{id} in {gone:?}");
    }
}

#[tokio::test]
async fn a_message_of_the_service_waits_for_the_first_device_that_subscribes() {
    let server = open_server();
    let aws = server.aws();
    let identity = aws.device("gw-1", all()).await;
    aws.publish("devices/gw-1/config_req", "configure").await;
    let mut device = Client::online(secure(&server, "gw-1", &identity)).await;
    device.subscribe("devices/gw-1/config_req", QoS::AtLeastOnce).await;
    assert_eq!(device.message().await.1, "configure");
    // delivered once: neither the same device again nor another one gets it
    device.subscribe("devices/gw-1/#", QoS::AtLeastOnce).await;
    let mut other = Client::watching(&server, "other", "devices/#").await;
    aws.publish("devices/gw-1/config_req", "next").await;
    assert_eq!(other.message().await.1, "next");
    assert_eq!(device.message().await.1, "next");
}

#[tokio::test]
async fn a_message_that_waits_for_its_device_survives_a_kill() {
    let folder = tempdir().unwrap();
    let server = durable_server(&folder);
    server.aws().publish("devices/gw-1/config_req", "configure").await;
    server.kill();
    let server = durable_server(&folder);
    let mut device = Client::watching(&server, "gw-1", "devices/gw-1/+").await;
    assert_eq!(device.message().await.1, "configure");
}

#[tokio::test]
async fn a_message_of_another_device_does_not_wait() {
    let server = open_server();
    let mut sender = Client::online(plain(&server, "sender")).await;
    sender.publish("devices/gw-1/x", "too early").await.unwrap();
    let mut device = Client::watching(&server, "gw-1", "devices/gw-1/+").await;
    sender.publish("devices/gw-1/x", "in time").await.unwrap();
    assert_eq!(device.message().await.1, "in time");
}
