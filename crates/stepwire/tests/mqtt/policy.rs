//! Certificates and policies over mutual TLS.

use reqwest::Method;
use rumqttc::v5::mqttbytes::QoS as QoS5;
use rumqttc::v5::mqttbytes::v5::{Packet, PubAckReason, SubscribeReasonCode as Reason5};
use rumqttc::v5::{self, Event};
use rumqttc::{ConnectReturnCode, ConnectionError, QoS, SubscribeReasonCode};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::client::{Client, PATIENCE, plain, secure, tls};
use crate::open_server;
use crate::server::Server;

/// What a device may do: its own client identifier, its own topics.
fn own_topics() -> Value {
    let statement = |action: &str, resource: &str| {
        let resource = format!("arn:aws:iot:us-east-1:000000000000:{resource}");
        json!({ "Effect": "Allow", "Action": action, "Resource": resource })
    };
    json!([
        statement("iot:Connect", "client/${iot:Connection.Thing.ThingName}"),
        statement("iot:Publish", "topic/up/${iot:ClientId}"),
        statement("iot:Subscribe", "topicfilter/down/${iot:ClientId}/*"),
        statement("iot:Receive", "topic/down/${iot:ClientId}/ok"),
    ])
}

fn is_refused(result: Result<(Client, bool), ConnectionError>) -> bool {
    let code = ConnectReturnCode::NotAuthorized;
    matches!(result, Err(ConnectionError::ConnectionRefused(is)) if is == code)
}

#[tokio::test]
async fn a_device_does_what_its_policy_allows() {
    let server = open_server();
    let identity = server.aws().device("gw-1", own_topics()).await;
    let mut watcher = Client::watching(&server, "watcher", "up/+").await;
    let mut device = Client::online(secure(&server, "gw-1", &identity)).await;
    let granted = device.subscribe("down/gw-1/#", QoS::AtLeastOnce).await;
    assert_eq!(granted, SubscribeReasonCode::Success(QoS::AtLeastOnce));
    device.publish("up/gw-1", "hello").await.unwrap();
    assert_eq!(watcher.message().await, ("up/gw-1".into(), "hello".into()));
    // what it subscribes to, but may not receive, does not come
    watcher.publish("down/gw-1/secret", "not for you").await.unwrap();
    watcher.publish("down/gw-1/ok", "for you").await.unwrap();
    assert_eq!(device.message().await, ("down/gw-1/ok".into(), "for you".into()));
}

#[tokio::test]
async fn before_mqtt_5_what_is_not_allowed_fails_or_closes() {
    let server = open_server();
    let identity = server.aws().device("gw-1", own_topics()).await;
    let mut watcher = Client::watching(&server, "watcher", "$aws/events/presence/+/+").await;
    let mut device = Client::online(secure(&server, "gw-1", &identity)).await;
    let refused = device.subscribe("down/gw-2/#", QoS::AtLeastOnce).await;
    assert_eq!(refused, SubscribeReasonCode::Failure);
    assert!(device.publish("up/gw-2", "I am gw-2").await.is_err());
    assert_eq!(watcher.event().await.1["eventType"], "connected");
    assert_eq!(watcher.event().await.1["disconnectReason"], "AUTH_ERROR");
}

#[tokio::test]
async fn mqtt_5_says_that_it_is_not_allowed_and_goes_on() {
    let server = open_server();
    let identity = server.aws().device("gw-1", own_topics()).await;
    let port = server.address("mqtts").port();
    let mut options = v5::MqttOptions::new("gw-1", "localhost", port);
    options.set_transport(tls(&server, Some(&identity)));
    let (device, mut events) = v5::AsyncClient::new(options, 8);
    device.publish("up/gw-2", QoS5::AtLeastOnce, false, "I am gw-2").await.unwrap();
    device.publish("$aws/things/gw-1/x", QoS5::AtLeastOnce, false, "").await.unwrap();
    device.subscribe("down/#", QoS5::AtLeastOnce).await.unwrap();
    device.publish("up/gw-1", QoS5::AtLeastOnce, false, "hello").await.unwrap();
    let (mut acks, mut subscribed) = (Vec::new(), Vec::new());
    while acks.len() < 3 || subscribed.is_empty() {
        match timeout(PATIENCE, events.poll()).await.unwrap().unwrap() {
            Event::Incoming(Packet::PubAck(ack)) => acks.push(ack.reason),
            Event::Incoming(Packet::SubAck(ack)) => subscribed = ack.return_codes,
            _ => {}
        }
    }
    let no = PubAckReason::NotAuthorized;
    assert_eq!(acks, [no, no, PubAckReason::Success]);
    assert_eq!(subscribed, [Reason5::NotAuthorized]);
}

#[tokio::test]
async fn who_may_not_connect_is_refused_and_the_service_hears_of_it() {
    let server = open_server();
    let aws = server.aws();
    let identity = aws.device("gw-1", own_topics()).await;
    let filter = "$aws/events/presence/connect_failed/+";
    let mut watcher = Client::watching(&server, "watcher", filter).await;
    assert!(is_refused(Client::connect(secure(&server, "gw-2", &identity)).await));
    let (topic, event) = watcher.event().await;
    assert_eq!(topic, "$aws/events/presence/connect_failed/gw-2");
    assert_eq!(event["connectFailureReason"], "AUTHORIZATION_FAILED");
    assert_eq!(event["principalIdentifier"], *identity.id);

    let inactive = format!("/certificates/{}?newStatus=INACTIVE", identity.id);
    aws.iot(Method::PUT, &inactive, "").await;
    assert!(is_refused(Client::connect(secure(&server, "gw-1", &identity)).await));

    // a certificate that another node made: the key is proven, and unknown here
    let other = Server::start(&["--memory"]);
    let stranger = other.aws().device("gw-1", own_topics()).await;
    assert!(is_refused(Client::connect(secure(&server, "gw-1", &stranger)).await));
}

#[tokio::test]
async fn who_shows_no_certificate_gets_no_further_than_tls() {
    let server = open_server();
    let identity = server.aws().device("gw-1", own_topics()).await;
    let mut options = secure(&server, "gw-1", &identity);
    options.set_transport(tls(&server, None));
    let refused = Client::connect(options).await.map(|_| ()).unwrap_err();
    assert!(!matches!(refused, ConnectionError::ConnectionRefused(_)), "{refused}");
}

#[tokio::test]
async fn a_certificate_that_is_revoked_ends_what_its_connection_may_do() {
    let server = open_server();
    let aws = server.aws();
    let identity = aws.device("gw-1", own_topics()).await;
    let mut device = Client::online(secure(&server, "gw-1", &identity)).await;
    device.subscribe("down/gw-1/#", QoS::AtLeastOnce).await;
    let mut watcher = Client::online(plain(&server, "watcher")).await;
    watcher.publish("down/gw-1/ok", "before").await.unwrap();
    assert_eq!(device.message().await.1, "before");
    let revoked = format!("/certificates/{}?newStatus=REVOKED", identity.id);
    aws.iot(Method::PUT, &revoked, "").await;
    watcher.publish("down/gw-1/ok", "after").await.unwrap();
    let next = device.publish("up/gw-1", "still here?").await;
    assert!(next.is_err(), "the connection is closed");
    assert!(device.try_message().await.is_err(), "nothing was delivered after the revocation");
}
