//! Simulated devices: each a real MQTT client over TLS with its own key and certificate.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{
    AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, Packet, Publish, QoS,
    SubscribeFilter, TlsConfiguration, Transport,
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
pub const DELAY_MS: (u64, u64) = (200, 3_000);
/// How many times as long it takes for a job.
const JOB_TAKES: u64 = 3;
/// Jobs in a hundred that a device fails to do.
const JOB_FAILURES_PERCENT: u64 = 3;

/// How a device behaves.
pub struct Behaviour {
    /// It never answers.
    pub silent: bool,
    /// How long it takes to answer: shortest and longest.
    pub delay_ms: (u64, u64),
    /// Seed of its delays.
    pub seed: u64,
}

/// What a device tells of itself.
#[derive(Debug)]
pub enum Told {
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
pub struct Fleet {
    _tasks: JoinSet<()>,
    cuts: Vec<Arc<Notify>>,
}

/// The identity of a device or of the server cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
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
    pub fn start(
        devices: impl IntoIterator<Item = (Identity, Behaviour)>,
        broker: SocketAddr,
        ca_pem: &str,
        clock: &Clock,
        told: &UnboundedSender<Told>,
    ) -> Result<Fleet, Error> {
        let roots = roots(ca_pem)?;
        let gate = Arc::new(Semaphore::new(HANDSHAKES));
        let (mut tasks, mut cuts) = (JoinSet::new(), Vec::new());
        for (identity, behaviour) in devices {
            let cut = Arc::new(Notify::new());
            let (client, events) =
                AsyncClient::new(options(&identity, broker, Arc::clone(&roots))?, 8);
            let device = Device {
                name: identity.name,
                silent: behaviour.silent,
                delay_ms: behaviour.delay_ms,
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
    pub fn cut(&self, count: usize, dice: &mut Entropy) {
        for _ in 0..count.min(self.cuts.len()) {
            let index = dice.next_u64() % self.cuts.len() as u64;
            self.cuts[index as usize].notify_one();
        }
    }
}

/// What a device trusts: the authority whose certificate this is.
pub fn roots(ca_pem: &str) -> Result<Arc<RootCertStore>, Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes())?)?;
    Ok(Arc::new(roots))
}

/// How a device of this identity connects to `broker`: with a lasting session.
pub fn options(
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
    delay_ms: (u64, u64),
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
                let why = innermost(&error);
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
        let filters = [self.jobs("notify-next"), format!("devices/{}/config_req", self.name)];
        let filters = filters.map(|filter| SubscribeFilter::new(filter, QoS::AtLeastOnce));
        // The queue has room: little but this and the answers is put into it.
        let _ = self.client.try_subscribe_many(filters);
        let cut = Arc::clone(&self.cut);
        loop {
            tokio::select! {
                event = events.poll() => match event {
                    Ok(Event::Incoming(Packet::SubAck(_))) => self.ask_for_job(),
                    Ok(Event::Incoming(Packet::Publish(told))) => self.hear(&told),
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

    /// One of its topics of jobs.
    fn jobs(&self, what: &str) -> String {
        format!("$aws/things/{}/jobs/{what}", self.name)
    }

    fn hear(&mut self, told: &Publish) {
        if told.topic == self.jobs("notify-next") {
            self.ask_for_job();
        } else if told.topic == self.jobs("start-next/accepted") {
            self.do_job(told);
        } else {
            self.obey(told);
        }
    }

    /// Asks for the next job. The answer comes without a subscription.
    fn ask_for_job(&self) {
        let _ = self.client.try_publish(self.jobs("start-next"), QoS::AtMostOnce, false, "{}");
    }

    /// Does the job that it is given, if there is one, and reports, unless this is a silent device.
    fn do_job(&mut self, given: &Publish) {
        let given = Json::parse_bytes(&given.payload).unwrap_or_default();
        let job = given.member("execution").and_then(|it| it.member("jobId")?.as_str());
        let Some(job) = job.filter(|_| !self.silent) else { return };
        let (topic, client) = (self.jobs(&format!("{job}/update")), self.client.clone());
        let took = self.between(self.delay_ms.0, self.delay_ms.1) * JOB_TAKES;
        let report = if self.delays.next_u64() % 100 < JOB_FAILURES_PERCENT {
            r#"{"status":"FAILED","statusDetails":{"reason":"checksum of the image is wrong"}}"#
        } else {
            r#"{"status":"SUCCEEDED","statusDetails":{"firmware":"1.2.3"}}"#
        };
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(took)).await;
            let _ = client.publish(topic, QoS::AtLeastOnce, false, report).await;
        });
    }

    /// Does what `request` asks for, and says so after a while, unless this is a silent device.
    fn obey(&mut self, request: &Publish) {
        let operation = Json::parse_bytes(&request.payload)
            .ok()
            .and_then(|request| Some(request.member("operationId")?.as_str()?.to_owned()));
        let Some(operation) = operation.filter(|_| !self.silent) else { return };
        let delay = Duration::from_millis(self.between(self.delay_ms.0, self.delay_ms.1));
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

/// What is at the bottom of an error, without the advice that follows in some.
fn innermost(error: &ConnectionError) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let text = cause.to_string();
    text.split(": https://").next().unwrap_or(&text).to_owned()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::server::TlsStream;

    use super::*;
    use crate::ca::{Authority, Issued, Issuer, certificate_id};

    /// Just enough of a broker: one packet at a time, each shorter than 128 bytes.
    struct Broker {
        listener: TcpListener,
        acceptor: TlsAcceptor,
    }

    struct Connection(TlsStream<TcpStream>);

    impl Broker {
        async fn new(authority: &Authority) -> Broker {
            let identity = authority.server(&[], jiff::Timestamp::now()).unwrap();
            let shown = Arc::new(tls::Shown::new(&identity).unwrap());
            let acceptor = TlsAcceptor::from(Arc::new(
                tls::server_config(shown, tls::ClientCertificate::Required).unwrap(),
            ));
            Broker { listener: TcpListener::bind("127.0.0.1:0").await.unwrap(), acceptor }
        }

        /// A client that has connected and subscribed.
        async fn accept(&self) -> Connection {
            let (socket, _) = self.listener.accept().await.unwrap();
            let mut connection = Connection(self.acceptor.accept(socket).await.unwrap());
            let connect = connection.packet().await;
            assert!(connect[0] == 0x10 && connect.ends_with(b"gw-1"));
            connection.send(&[0x20, 2, 0, 0]).await;
            let subscribe = connection.packet().await;
            assert!(subscribe[0] == 0x82 && subscribe.ends_with(b"devices/gw-1/config_req\x01"));
            connection.send(&[0x90, 4, subscribe[2], subscribe[3], 1, 1]).await;
            let asks = connection.packet().await;
            assert!(asks[0] == 0x30 && asks.ends_with(b"$aws/things/gw-1/jobs/start-next{}"));
            connection
        }
    }

    impl Connection {
        async fn packet(&mut self) -> Vec<u8> {
            let mut packet = vec![0; 2];
            self.0.read_exact(&mut packet).await.unwrap();
            packet.resize(2 + usize::from(packet[1]), 0);
            self.0.read_exact(&mut packet[2..]).await.unwrap();
            packet
        }

        async fn send(&mut self, bytes: &[u8]) {
            self.0.write_all(bytes).await.unwrap();
            self.0.flush().await.unwrap();
        }

        /// Publishes a request with QoS 1 and takes its PUBACK.
        async fn ask(&mut self, operation: &str) {
            let topic = b"devices/gw-1/config_req";
            let payload = format!(r#"{{"operationId":"{operation}"}}"#);
            let length = 2 + topic.len() + 2 + payload.len();
            let head = [0x32, u8::try_from(length).unwrap(), 0, u8::try_from(topic.len()).unwrap()];
            let packet = [&head[..], topic, &[0, 7], payload.as_bytes()].concat();
            self.send(&packet).await;
            assert_eq!(self.packet().await, [0x40, 2, 0, 7]);
        }
    }

    fn fleet(
        broker: &Broker,
        authority: &Authority,
        issued: &Issued,
    ) -> (Fleet, UnboundedReceiver<Told>) {
        let identity = Identity {
            name: "gw-1".into(),
            certificate_pem: issued.certificate_pem.clone(),
            private_key_pem: issued.private_key_pem.clone(),
        };
        let behaviour = Behaviour { silent: false, delay_ms: (0, 1), seed: 1 };
        let (teller, tales) = unbounded_channel();
        let address = broker.listener.local_addr().unwrap();
        let ca = authority.certificate_pem();
        let devices = [(identity, behaviour)];
        let fleet = Fleet::start(devices, address, ca, &Clock::system(), &teller).unwrap();
        (fleet, tales)
    }

    #[tokio::test]
    async fn a_device_shows_its_certificate_and_answers_what_it_is_asked() {
        let authority = Authority::in_memory().unwrap();
        let broker = Broker::new(&authority).await;
        let issued = authority.issue().unwrap();
        let (_fleet, mut tales) = fleet(&broker, &authority, &issued);
        let mut connection = broker.accept().await;
        let shown = connection.0.get_ref().1.peer_certificates().unwrap()[0].clone();
        assert_eq!(certificate_id(&shown), issued.id);
        connection.ask("op-1").await;
        let answer = connection.packet().await;
        let text = String::from_utf8_lossy(&answer[4..]).into_owned();
        assert!(answer[0] & 0xf6 == 0x32 && text.starts_with("devices/gw-1/config_resp"), "{text}");
        assert!(text.contains(r#""operationId":"op-1""#) && text.contains(r#""status":"SUCCESS""#));
        let told = tales.recv().await.unwrap();
        assert!(matches!(told, Told::Answered { operation, .. } if operation == "op-1"));
    }

    #[tokio::test]
    async fn a_device_that_is_cut_off_comes_back() {
        let authority = Authority::in_memory().unwrap();
        let broker = Broker::new(&authority).await;
        let (fleet, _tales) = fleet(&broker, &authority, &authority.issue().unwrap());
        let mut connection = broker.accept().await;
        fleet.cut(1, &mut Entropy::new(1));
        assert!(connection.0.read_u8().await.is_err());
        broker.accept().await;
    }

    #[tokio::test]
    async fn a_device_does_not_talk_to_a_broker_of_another_authority() {
        let (ours, other) = (Authority::in_memory().unwrap(), Authority::in_memory().unwrap());
        let broker = Broker::new(&other).await;
        let (_fleet, mut tales) = fleet(&broker, &ours, &ours.issue().unwrap());
        let (socket, _) = broker.listener.accept().await.unwrap();
        assert!(broker.acceptor.accept(socket).await.is_err());
        assert!(matches!(tales.recv().await.unwrap(), Told::Trouble { .. }));
    }
}
