//! A device as people write one: `rumqttc`, MQTT 3.1.1.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{
    AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, Packet, Publish, QoS,
    SubscribeReasonCode, TlsConfiguration, Transport,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

use crate::server::{Identity, Server};

/// Nothing that is waited for takes longer, unless it never comes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Options of a client without a certificate.
pub(crate) fn plain(server: &Server, id: &str) -> MqttOptions {
    let address = server.address("mqtt");
    let mut options = MqttOptions::new(id, address.ip().to_string(), address.port());
    options.set_keep_alive(Duration::from_mins(1));
    options
}

/// Options of a client that shows `identity`.
pub(crate) fn secure(server: &Server, id: &str, identity: &Identity) -> MqttOptions {
    let mut options = MqttOptions::new(id, "localhost", server.address("mqtts").port());
    options.set_keep_alive(Duration::from_mins(1)).set_transport(tls(server, Some(identity)));
    options
}

/// TLS that trusts the server's authority and shows `identity`, if there is one.
pub(crate) fn tls(server: &Server, identity: Option<&Identity>) -> Transport {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(server.ca_pem().as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(stepwire::tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match identity {
        None => config.with_no_client_auth(),
        Some(Identity { certificate_pem, key_pem, .. }) => {
            let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes()).unwrap();
            let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).unwrap();
            config.with_client_auth_cert(vec![certificate], key).unwrap()
        }
    };
    Transport::tls_with_config(TlsConfiguration::Rustls(Arc::new(config)))
}

/// A client that moves only while a test awaits it.
pub(crate) struct Client {
    requests: AsyncClient,
    events: EventLoop,
    /// Came while something else was waited for.
    early: VecDeque<Publish>,
}

impl Client {
    /// Connects; whether the server went on with an earlier session.
    pub(crate) async fn connect(options: MqttOptions) -> Result<(Client, bool), ConnectionError> {
        let (requests, events) = AsyncClient::new(options, 16);
        let mut client = Client { requests, events, early: VecDeque::new() };
        match client.packet().await? {
            Packet::ConnAck(connack) => Ok((client, connack.session_present)),
            other => panic!("{other:?}"),
        }
    }

    /// Connects a client that must be let in.
    pub(crate) async fn online(options: MqttOptions) -> Client {
        Client::connect(options).await.unwrap().0
    }

    /// Connects without a certificate and subscribes with QoS 1.
    pub(crate) async fn watching(server: &Server, id: &str, filter: &str) -> Client {
        let mut client = Client::online(plain(server, id)).await;
        client.subscribe(filter, QoS::AtLeastOnce).await;
        client
    }

    async fn packet(&mut self) -> Result<Packet, ConnectionError> {
        loop {
            let event = tokio::time::timeout(PATIENCE, self.events.poll()).await;
            if let Event::Incoming(packet) = event.expect("something happens in time")? {
                return Ok(packet);
            }
        }
    }

    /// Subscribes; what SUBACK says.
    pub(crate) async fn subscribe(&mut self, filter: &str, qos: QoS) -> SubscribeReasonCode {
        self.requests.subscribe(filter, qos).await.unwrap();
        loop {
            match self.packet().await.unwrap() {
                Packet::SubAck(suback) => return suback.return_codes[0],
                Packet::Publish(publish) => self.early.push_back(publish),
                _ => {}
            }
        }
    }

    /// Publishes with QoS 1 until PUBACK.
    pub(crate) async fn publish(
        &mut self,
        topic: &str,
        payload: &str,
    ) -> Result<(), ConnectionError> {
        self.publish_as(topic, payload, false).await
    }

    /// Publishes a retained message until PUBACK.
    pub(crate) async fn retain(&mut self, topic: &str, payload: &str) {
        self.publish_as(topic, payload, true).await.unwrap();
    }

    async fn publish_as(
        &mut self,
        topic: &str,
        payload: &str,
        retain: bool,
    ) -> Result<(), ConnectionError> {
        self.requests.publish(topic, QoS::AtLeastOnce, retain, payload).await.unwrap();
        loop {
            match self.packet().await? {
                Packet::PubAck(_) => return Ok(()),
                Packet::Publish(publish) => self.early.push_back(publish),
                _ => {}
            }
        }
    }

    /// The next message; an error if the connection ends first.
    pub(crate) async fn try_message(&mut self) -> Result<Publish, ConnectionError> {
        if let Some(publish) = self.early.pop_front() {
            return Ok(publish);
        }
        loop {
            if let Packet::Publish(publish) = self.packet().await? {
                return Ok(publish);
            }
        }
    }

    /// Topic and payload of the next message.
    pub(crate) async fn message(&mut self) -> (String, String) {
        let publish = self.try_message().await.unwrap();
        (publish.topic, String::from_utf8(publish.payload.to_vec()).unwrap())
    }

    /// The next message, which must be an event.
    pub(crate) async fn event(&mut self) -> (String, Value) {
        let (topic, payload) = self.message().await;
        (topic, serde_json::from_str(&payload).unwrap())
    }

    /// Says goodbye; done when the server has closed.
    pub(crate) async fn goodbye(mut self) {
        self.requests.disconnect().await.unwrap();
        while self.packet().await.is_ok() {}
    }
}
