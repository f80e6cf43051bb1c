//! Simulated devices: each a real MQTT client over TLS with its own key and certificate.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{
    AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, Packet, Publish, QoS,
    TlsConfiguration, Transport,
};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use stepwire_asl::{Entropy, Json, Timestamp};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

use super::deploy::Identity;
use crate::clock::Clock;
use crate::tls;

/// Handshakes under way at a time: more would only wait for the processor, and time out.
const HANDSHAKES: usize = 32;
const KEEP_ALIVE: Duration = Duration::from_mins(1);
const CONNECT_TIMEOUT_S: u64 = 30;
/// A device takes this long to do what it is asked: shortest and longest.
const DELAY_MS: (u64, u64) = (200, 3_000);

/// How a device behaves.
pub(super) struct Behaviour {
    /// It never answers.
    pub silent: bool,
    /// Seed of its delays.
    pub seed: u64,
}

/// What a device tells of itself.
#[derive(Debug)]
pub(super) enum Told {
    /// It sends its answer.
    Answered {
        /// The operation it answers.
        operation: String,
        /// When.
        at: Timestamp,
    },
    /// It lost or did not get its connection; it tries again.
    Trouble {
        /// Its name.
        device: Arc<str>,
        /// What happened.
        why: String,
    },
}

/// The devices. Dropped, they are gone without a word.
pub(super) struct Fleet {
    _tasks: JoinSet<()>,
    cuts: Vec<Arc<Notify>>,
}

/// The identity of a device or of the server cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// Not PEM, or not what it should be.
    #[error("cannot read a certificate or key")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// Certificate and key do not fit.
    #[error("cannot use a certificate")]
    Tls(#[from] rustls::Error),
}

impl Fleet {
    /// Starts a device for each of `devices`. They connect to `broker`, whose certificate must be
    /// from the authority `ca_pem`, and tell what they do.
    pub(super) fn start(
        devices: impl IntoIterator<Item = (Identity, Behaviour)>,
        broker: SocketAddr,
        ca_pem: &str,
        clock: &Clock,
        told: &UnboundedSender<Told>,
    ) -> Result<Fleet, Error> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes())?)?;
        let roots = Arc::new(roots);
        let gate = Arc::new(Semaphore::new(HANDSHAKES));
        let (mut tasks, mut cuts) = (JoinSet::new(), Vec::new());
        for (identity, behaviour) in devices {
            let cut = Arc::new(Notify::new());
            let (client, events) =
                AsyncClient::new(options(&identity, broker, Arc::clone(&roots))?, 8);
            let device = Device {
                name: identity.name,
                silent: behaviour.silent,
                delays: Entropy::new(behaviour.seed),
                client,
                gate: Arc::clone(&gate),
                cut: Arc::clone(&cut),
                clock: clock.clone(),
                told: told.clone(),
            };
            tasks.spawn(device.run(events));
            cuts.push(cut);
        }
        Ok(Fleet { _tasks: tasks, cuts })
    }

    /// Cuts the connections of about `count` devices, chosen by `dice`. They come back.
    pub(super) fn cut(&self, count: usize, dice: &mut Entropy) {
        for _ in 0..count.min(self.cuts.len()) {
            let index = dice.next_u64() % self.cuts.len() as u64;
            self.cuts[index as usize].notify_one();
        }
    }
}

fn options(
    identity: &Identity,
    broker: SocketAddr,
    roots: Arc<RootCertStore>,
) -> Result<MqttOptions, Error> {
    // The client does not write IPv6 addresses as it should; the certificate has both names.
    let host = if broker.is_ipv4() { broker.ip().to_string() } else { "localhost".to_owned() };
    let mut options = MqttOptions::new(&*identity.name, host, broker.port());
    options.set_keep_alive(KEEP_ALIVE).set_clean_session(false);
    let config = Arc::new(tls_config(identity, roots)?);
    options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(config)));
    Ok(options)
}

fn tls_config(identity: &Identity, roots: Arc<RootCertStore>) -> Result<ClientConfig, Error> {
    let certificate = CertificateDer::from_pem_slice(identity.certificate_pem.as_bytes())?;
    let key = PrivateKeyDer::from_pem_slice(identity.private_key_pem.as_bytes())?;
    let mut config = ClientConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate], key)?;
    config.resumption = Resumption::disabled();
    Ok(config)
}

struct Device {
    name: Arc<str>,
    silent: bool,
    delays: Entropy,
    client: AsyncClient,
    gate: Arc<Semaphore>,
    cut: Arc<Notify>,
    clock: Clock,
    told: UnboundedSender<Told>,
}

impl Device {
    /// Connects, does what it is asked, connects again when the connection is lost.
    async fn run(mut self, mut events: EventLoop) {
        events.network_options.set_connection_timeout(CONNECT_TIMEOUT_S).set_tcp_nodelay(true);
        loop {
            let lost = match self.connect(&mut events).await {
                Ok(()) => self.serve(&mut events).await,
                Err(error) => Some(error),
            };
            if let Some(error) = lost {
                let why = error.to_string();
                let _ = self.told.send(Told::Trouble { device: Arc::clone(&self.name), why });
                tokio::time::sleep(Duration::from_millis(self.between(200, 1_000))).await;
            }
        }
    }

    async fn connect(&mut self, events: &mut EventLoop) -> Result<(), ConnectionError> {
        // The semaphore is never closed; without a permit we would merely be impolite.
        let _permit = self.gate.acquire().await.ok();
        while !matches!(events.poll().await?, Event::Incoming(Packet::ConnAck(_))) {}
        Ok(())
    }

    /// Serves one connection. `None`: it was cut on purpose.
    async fn serve(&mut self, events: &mut EventLoop) -> Option<ConnectionError> {
        let topic = format!("devices/{}/config_req", self.name);
        // The queue has room: nothing but this and the answers is put into it.
        let _ = self.client.try_subscribe(topic, QoS::AtLeastOnce);
        let cut = Arc::clone(&self.cut);
        loop {
            tokio::select! {
                event = events.poll() => match event {
                    Ok(Event::Incoming(Packet::Publish(request))) => self.obey(&request),
                    Ok(_) => {}
                    Err(error) => return Some(error),
                },
                () = cut.notified() => {
                    // The socket is closed without a DISCONNECT, as when the power fails.
                    events.clean();
                    return None;
                }
            }
        }
    }

    /// Does what `request` asks for, and says so after a while, unless this is a silent device.
    fn obey(&mut self, request: &Publish) {
        let operation = Json::parse_bytes(&request.payload)
            .ok()
            .and_then(|request| Some(request.member("operationId")?.as_str()?.to_owned()));
        let Some(operation) = operation.filter(|_| !self.silent) else { return };
        let delay = Duration::from_millis(self.between(DELAY_MS.0, DELAY_MS.1));
        let answer = Json::object([
            ("operationId", Json::from(operation.as_str())),
            ("name", "SET_TEMP".into()),
            ("status", "SUCCESS".into()),
        ]);
        let topic = format!("devices/{}/config_resp", self.name);
        let (client, clock, told) = (self.client.clone(), self.clock.clone(), self.told.clone());
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            let _ = told.send(Told::Answered { operation, at: clock.now() });
            let _ = client.publish(topic, QoS::AtLeastOnce, false, answer.to_text()).await;
        });
    }

    fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.delays.next_u64() % (high - low + 1)
    }
}
