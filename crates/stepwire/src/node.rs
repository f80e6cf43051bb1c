//! The assembled product: store, kernel, listeners. A test starts one on port 0.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};
use stepwire_core::functions::{Invoke, Invoked};
use stepwire_core::mocks::Mocks;
use stepwire_core::{ApiError, Input, Request, Settings, broker};
use stepwire_store::Store;
use stepwire_store::embedded::Embedded;
use stepwire_store::memory::Memory;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;

use crate::access_key::AccessKey;
use crate::aws_task::AwsTasks;
use crate::ca::Authority;
use crate::capture;
use crate::clock::Clock;
use crate::commits::Commits;
use crate::config::{Config, Listener, Storage};
use crate::console::live::Live;
use crate::counters::Counters;
use crate::deliver::Deliveries;
use crate::disk::DataFolder;
use crate::driver::{self, Driver, Inputs};
use crate::effects::{Caller, Replies, Workers, World};
use crate::files;
use crate::flight::Flights;
use crate::function_key;
use crate::functions::Functions;
use crate::http_task::HttpTasks;
use crate::invocations::Invocations;
use crate::items_folders::ItemsFolders;
use crate::lately::{Lately, Recent};
use crate::listen::choice::Configs;
use crate::listen::entrance::Entrance;
use crate::listen::mqtt;
use crate::listen::port::{Options, Port, Rim, Role};
use crate::node_error::{NodeError, plain};
use crate::node_file::NodeFile;
use crate::notary::Notary;
use crate::observe::{Observation, Observers, Stored};
use crate::rates::{self, Rates, Totals};
use crate::reactions::Reactions;
use crate::recorded::Recorded;
use crate::runner::{self, Runner};
use crate::secrets::Secrets;
use crate::settings_shown;
use crate::shard::{self, Shard, ShardRead};
use crate::tls::Shown;
use crate::warnings::Warnings;

/// How often it is looked whether the server's certificate has to be renewed.
const RENEWAL: std::time::Duration = std::time::Duration::from_hours(12);

/// A running node. Cheap to clone; all clones are the same node.
#[derive(Clone)]
pub struct Node(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    shard: Shard,
    settings: Settings,
    inputs: Inputs,
    replies: Arc<Replies>,
    functions: Arc<Functions>,
    observers: Arc<Observers>,
    clock: Clock,
    connections: Arc<mqtt::Connections>,
    warnings: Arc<Warnings>,
    authority: Arc<Authority>,
    notary: Arc<Notary>,
    rates: Rates,
    started: Timestamp,
    shown_settings: Vec<settings_shown::Shown>,
    server_certificate: Arc<Shown>,
    data_folder: DataFolder,
    addresses: Addresses,
    storage: Storage,
    failure: watch::Receiver<Option<Arc<stepwire_store::Error>>>,
    shutdown: watch::Sender<bool>,
    running: Mutex<Option<Running>>,
}

/// What has to be waited for when a node stops.
struct Running {
    driver: Driver,
    listeners: JoinSet<()>,
}

/// Where a node listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// AWS API and console.
    pub http: SocketAddr,
    /// The same over TLS, and MQTT over WebSocket.
    pub https: Option<SocketAddr>,
    /// MQTT over mutual TLS.
    pub mqtts: SocketAddr,
    /// MQTT in plain text.
    pub mqtt: Option<SocketAddr>,
}

/// How functions reach the node, with a key that each replaces by its own.
fn reach(
    config: &Config,
    authority: &Authority,
    addresses: Addresses,
    folder: &Path,
) -> std::io::Result<capture::Reach> {
    let here = |address: SocketAddr| {
        let local = SocketAddr::new(std::net::Ipv4Addr::LOCALHOST.into(), address.port());
        if address.ip().is_unspecified() { local } else { address }
    };
    Ok(capture::Reach {
        endpoint: format!("http://{}", here(addresses.http)),
        https: addresses.https.map(here),
        mqtts: here(addresses.mqtts),
        region: config.region.clone(),
        key: AccessKey { id: "function".to_owned(), secret: "function".to_owned() },
        installed: capture::install(folder, authority.certificate_pem(), &|_| None)?,
    })
}

/// The sockets of a node that is about to start.
struct Sockets {
    http: TcpListener,
    https: Option<TcpListener>,
    mqtts: TcpListener,
    mqtt: Option<TcpListener>,
}

impl Node {
    /// Opens the data, recovers what was going on, and listens.
    ///
    /// Nothing is listened to before recovery is durable. On an error nothing was changed.
    pub async fn start(config: Config) -> Result<Node, NodeError> {
        config.check()?;
        let mocks = mocks(&config)?;
        let items_folders = items_folders(&config)?;
        let store = open_store(&config.storage)?;
        let folder = config.storage.folder();
        files::create_folder(folder).map_err(|error| NodeError::data(folder, error))?;
        let mut settings = Settings { mocks, ..settings(&config)? };
        let secrets = secrets(&config)?;
        settings.outside = secrets.services.keys().map(|name| name.as_str().into()).collect();
        let authority = match &config.storage {
            Storage::Folder(folder) => Authority::open(folder)?,
            Storage::Memory(folder) => {
                let authority = Authority::in_memory()?;
                let path = folder.join("ca.pem");
                let written = files::write(&path, authority.certificate_pem().as_bytes());
                written.map_err(|error| NodeError::data(path, error))?;
                authority
            }
        };
        let authority = Arc::new(authority);
        let names = config.certificate_names();
        let identity = authority.server(&names, jiff::Timestamp::now())?;
        let shown = Arc::new(Shown::new(&identity)?);
        let configs = Configs::new(&shown)?;
        let keys = AccessKey::open(folder).map_err(|error| NodeError::data(folder, error))?;
        let sockets = Sockets::bind(&config).await?;
        let addresses = sockets.addresses(&config)?;
        settings.url = url(addresses.http, &config.names).into();

        let clock = Clock::system();
        let (failure, failed) = watch::channel(None);
        let http = HttpTasks::new(config.http_allow.clone(), secrets.connections);
        let http = Arc::new(http.map_err(NodeError::HttpTasks)?);
        let aws = AwsTasks { services: secrets.services, http: Arc::clone(&http) };
        // Those who check signatures want a certificate over TLS.
        let tls = addresses.https.map(|address| url(address, &config.names));
        let tls = tls.map(|url| url.replacen("http:", "https:", 1));
        let endpoint = tls.unwrap_or_else(|| settings.url.to_string());
        let notary = Arc::new(Notary::new(Arc::clone(&authority), endpoint));
        let deliveries = Deliveries::new(Arc::clone(&http), secrets.roles, Arc::clone(&notary));
        let connections = Arc::new(mqtt::Connections::new(config.mqtt_limits.room));
        let warnings = Arc::new(Warnings::default());
        let shard = Shard(0);
        let replies = Arc::new(Replies::default());
        let observers = {
            let (store, position) = (Arc::clone(&store), store.position());
            let read = move || ShardRead::new(store.as_ref(), shard);
            let stored = Stored::new(read, settings.clone());
            let (recorded, flight) = (config.recorded, config.flight);
            Arc::new(Observers::new(stored, position, recorded, flight, clock.now()))
        };
        let stored = ShardRead::new(store.as_ref(), shard);
        shard::catch(|| observers.lately().count_open(&stored)).map_err(NodeError::store)?;
        drop(stored);
        let place = runner::place::make(folder, &config.confinement);
        let place = place.map_err(NodeError::Functions)?;
        let reach = reach(&config, &authority, addresses, &place.join("env"));
        let about = runner::About {
            region: config.region.clone(),
            reach: Some(reach.map_err(NodeError::Functions)?),
            program: std::env::current_exe().map_err(NodeError::Functions)?,
            processes_max: config.function_processes.unwrap_or_else(runner::processes_max),
            confinement: config.confinement.clone(),
            code_folders: config.code_folders.clone(),
            modules: config.function_modules.clone(),
        };
        let source: runner::Source = {
            let store = Arc::clone(&store);
            Arc::new(move |code| {
                let read = ShardRead::new(store.as_ref(), shard);
                shard::catch(|| stepwire_core::functions::code(code, &read)).ok().flatten()
            })
        };
        let credentials: runner::Credentials = {
            let secret = settings.secret;
            Arc::new(move |record| function_key::of(record, &secret).variables())
        };
        let runner = Runner::start(place, folder, about, source, credentials);
        let functions = Arc::new(Functions {
            store: Arc::clone(&store),
            shard,
            settings: settings.clone(),
            replies: Arc::clone(&replies),
            runner: runner.await.map_err(NodeError::Functions)?,
            cold: std::sync::Mutex::default(),
            recent: Invocations::default(),
        });
        let world = World::new(
            Arc::clone(&connections),
            Arc::clone(&replies),
            Workers { http, aws, deliveries, functions: Arc::clone(&functions), items_folders },
            Arc::clone(&observers),
            Arc::clone(&warnings),
            clock.clone(),
            failure,
        );
        let started =
            Driver::start(Arc::clone(&store), shard, settings.clone(), clock.clone(), world);
        let driver = started.map_err(|error| match error {
            driver::Error::Store(error) => NodeError::store(error),
            driver::Error::Corrupt(corrupt) => {
                NodeError::Damaged { path: folder.to_owned(), why: corrupt.to_string() }
            }
        })?;
        let (shutdown, _) = watch::channel(false);
        let node = Node(Arc::new(Inner {
            store,
            shard,
            settings,
            inputs: driver.inputs(),
            replies,
            functions,
            observers,
            clock,
            connections,
            warnings,
            rates: Rates::default(),
            started: Timestamp(jiff::Timestamp::now().as_millisecond()),
            shown_settings: settings_shown::shown(&config),
            server_certificate: Arc::clone(&shown),
            data_folder: DataFolder::new(config.storage.folder()),
            authority,
            notary,
            addresses,
            storage: config.storage.clone(),
            failure: failed,
            shutdown,
            running: Mutex::new(None),
        }));
        node.write_file(&config)?;
        let mut listeners = node.listen(sockets, configs, &config, &keys);
        listeners.spawn(node.clone().renew(shown, names));
        listeners.spawn(node.clone().fill_lately());
        listeners.spawn(rates::watch(node.clone()));
        node.0.functions.prewarm_all();
        *node.0.running.lock().await = Some(Running { driver, listeners });
        Ok(node)
    }

    fn listen(
        &self,
        sockets: Sockets,
        configs: Configs,
        config: &Config,
        keys: &AccessKey,
    ) -> JoinSet<()> {
        let rim = Arc::new(Rim {
            node: self.clone(),
            kernel: self.0.inputs.clone(),
            connections: Arc::clone(&self.0.connections),
            configs,
            entrance: Entrance::new(config.mqtt_limits.gate, Arc::clone(&self.0.warnings)),
            warnings: Arc::clone(&self.0.warnings),
        });
        let mut listeners = JoinSet::new();
        let Sockets { http, https, mqtts, mqtt } = sockets;
        let ports = [
            (Role::Http, Listener::Http, Some(http), Some(config.http)),
            (Role::Https, Listener::Https, https, config.https),
            (Role::Mqtts, Listener::Mqtts, Some(mqtts), Some(config.mqtts)),
            (Role::Mqtt, Listener::Mqtt, mqtt, config.mqtt),
        ];
        for (role, listener, socket, address) in ports {
            let (Some(socket), Some(address)) = (socket, address) else { continue };
            let loopback = address.ip().is_loopback();
            let options = Options {
                anonymous_allowed: config.allow_anonymous && loopback,
                keys: config.keys_required_at(address).then(|| keys.clone()),
                profile: config.profile(listener),
            };
            let limits = config.mqtt_limits.of_listener(options.profile);
            listeners.spawn(Port { role, options, limits, rim: Arc::clone(&rim) }.serve(socket));
        }
        listeners
    }

    /// Reads the executions that were before, while the node works.
    async fn fill_lately(self) {
        let node = self.clone();
        let filling = tokio::task::spawn_blocking(move || {
            let stopping = node.0.shutdown.subscribe();
            let goes_on = || !*stopping.borrow();
            shard::catch(|| node.lately().fill(|| node.snapshot(), goes_on))
        });
        if let Ok(Err(error)) = filling.await {
            tracing::warn!("cannot read the executions that were before: {error}");
        }
        // Pages that were opened meanwhile know some of them only now.
        self.live().executions_known();
    }

    /// Shows a new server certificate in time.
    async fn renew(self, shown: Arc<Shown>, names: Vec<String>) {
        let stopping = self.stopping();
        tokio::pin!(stopping);
        loop {
            tokio::select! {
                () = &mut stopping => return,
                () = tokio::time::sleep(RENEWAL) => {}
            }
            match self.0.authority.server(&names, jiff::Timestamp::now()) {
                Ok(identity) => {
                    if let Err(error) = shown.replace(&identity) {
                        tracing::warn!("cannot show the renewed server certificate: {error}");
                    }
                }
                Err(error) => tracing::warn!("cannot renew the server certificate: {error}"),
            }
        }
    }

    /// Done when the node is asked to stop.
    pub(crate) fn stopping(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut shutdown = self.0.shutdown.subscribe();
        async move {
            // An error says that the node is gone altogether.
            let _ = shutdown.wait_for(|stop| *stop).await;
        }
    }

    fn write_file(&self, config: &Config) -> Result<(), NodeError> {
        let Addresses { http, https, mqtts, mqtt } = self.0.addresses;
        let file = NodeFile {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            http,
            https,
            mqtts,
            mqtt,
            region: config.region.clone(),
            account: config.account.clone(),
            outside: self.0.settings.outside.iter().map(ToString::to_string).collect(),
        };
        let folder = config.storage.folder();
        file.write(folder).map_err(|error| NodeError::data(folder, error))
    }

    /// How many functions have no process ready yet, though they are to have one.
    pub(crate) fn starting(&self) -> usize {
        self.0.functions.starting()
    }

    /// Who signs what topics send.
    pub(crate) fn notary(&self) -> Arc<Notary> {
        Arc::clone(&self.0.notary)
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.0.addresses
    }

    /// Region, account and limits.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Makes device certificates.
    pub fn authority(&self) -> &Authority {
        &self.0.authority
    }

    /// Devices connected now.
    pub fn connected(&self) -> usize {
        self.0.connections.len()
    }

    /// Messages that devices have published since it started.
    pub(crate) fn published(&self) -> u64 {
        self.0.connections.published()
    }

    /// The time on the node's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// What it has done since it started, as numbers.
    pub(crate) fn counters(&self) -> &Counters {
        self.0.observers.counters()
    }

    /// When it started.
    pub(crate) fn started(&self) -> Timestamp {
        self.0.started
    }

    /// Inputs that wait for the kernel, and at most.
    pub(crate) fn queued(&self) -> (usize, usize) {
        self.0.inputs.queued()
    }

    /// How long commits take.
    pub(crate) fn commits(&self) -> &Commits {
        self.0.observers.commits()
    }

    /// How soon executions ask a device.
    pub(crate) fn reactions(&self) -> &Reactions {
        self.0.observers.reactions()
    }

    /// What it warned of.
    pub(crate) fn warnings(&self) -> &Warnings {
        &self.0.warnings
    }

    /// How it is configured.
    pub(crate) fn shown_settings(&self) -> &[settings_shown::Shown] {
        &self.0.shown_settings
    }

    /// The certificate that it shows to clients, DER.
    pub(crate) fn server_certificate(&self) -> Option<Vec<u8>> {
        self.0.server_certificate.certificate()
    }

    /// The folder for files that users and tools read; with its records, unless they are in memory.
    pub(crate) fn folder(&self) -> &Path {
        self.0.storage.folder()
    }

    /// Room in that folder.
    pub(crate) fn data_folder(&self) -> &DataFolder {
        &self.0.data_folder
    }

    /// What has happened since it started.
    pub(crate) fn totals(&self) -> Totals {
        let (sent, started, ended) = self.counters().totals();
        let commits = self.0.observers.commits().count();
        Totals { received: self.published(), sent, started, ended, commits }
    }

    /// What happened in the last hour, second by second.
    pub(crate) fn rates(&self) -> &Rates {
        &self.0.rates
    }

    /// Answers a request. A read sees everything that was acknowledged before and nothing that is
    /// not durable; a change is answered once it is durable.
    pub async fn call(&self, request: Request) -> Result<Json, ApiError> {
        if request.is_read() {
            let read = self.snapshot();
            let answer = shard::catch(|| request.answer(&read, &self.0.settings));
            return answer
                .unwrap_or_else(|error| Err(ApiError::new("InternalFailure", error.to_string())));
        }
        let waits = request.waits();
        let mut caller = Caller::new(Arc::clone(&self.0.replies), self.0.inputs.clone());
        if !self.0.inputs.send(Input::Call { reply: caller.reply(), request }).await {
            return Err(stopped());
        }
        if !waits {
            return caller.answer().await.unwrap_or_else(|| Err(stopped()));
        }
        let mut shutdown = self.0.shutdown.subscribe();
        tokio::select! {
            answer = caller.answer() => answer.unwrap_or_else(|| Err(stopped())),
            _ = shutdown.wait_for(|stops| *stops) => Err(stopped()),
        }
    }

    /// Everything that is durable now.
    pub(crate) fn snapshot(&self) -> ShardRead {
        ShardRead::new(self.0.store.as_ref(), self.0.shard)
    }

    /// Runs a function, or has it run later, under a request id that the caller has drawn.
    pub(crate) async fn invoke_as(&self, id: &str, invoke: &Invoke) -> Result<Invoked, ApiError> {
        self.0.functions.invoke(None, invoke, id, &self.0.inputs).await
    }

    /// The latest invocations of functions.
    pub(crate) fn invocations(&self) -> &Invocations {
        &self.0.functions.recent
    }

    /// Everything that becomes durable from now on, as it does.
    pub fn observe(&self) -> mpsc::Receiver<Observation> {
        self.0.observers.add()
    }

    /// What changes, for pages that are open.
    pub(crate) fn live(&self) -> &Live {
        self.0.observers.live()
    }

    /// Executions of late.
    pub(crate) fn lately(&self) -> &Lately {
        self.0.observers.lately()
    }

    /// Executions of late as they are now, with those that came back from earlier.
    pub(crate) fn recent(&self) -> Recent {
        // What cannot be read now is asked for again by the next who looks.
        let _ = shard::catch(|| self.lately().catch_up(|| self.snapshot()));
        self.lately().recent()
    }

    /// Whether nothing outlives the process.
    pub(crate) fn in_memory(&self) -> bool {
        matches!(self.0.storage, Storage::Memory(_))
    }

    /// What happened to each device.
    pub(crate) fn flights(&self) -> &Flights {
        self.0.observers.flights()
    }

    /// Identifiers of the clients that are connected, in order.
    pub(crate) fn clients(&self) -> Vec<Arc<str>> {
        self.0.connections.clients()
    }

    /// The latest messages that the rules have seen.
    pub(crate) fn recorded(&self) -> &Recorded {
        self.0.observers.recorded()
    }

    /// Done when the node cannot go on: the store failed.
    pub async fn failed(&self) -> NodeError {
        let mut failure = self.0.failure.clone();
        let error = match failure.wait_for(Option::is_some).await {
            Ok(error) => error.clone(),
            // The driver is gone without a word: the node has stopped.
            Err(_) => None,
        };
        match error {
            Some(error) => match error.as_ref() {
                stepwire_store::Error::Full { path } => NodeError::DiskFull { path: path.clone() },
                _ => NodeError::Store(error),
            },
            None => NodeError::Panicked,
        }
    }

    /// Closes all connections, makes everything durable, and ends.
    pub async fn stop(self) {
        self.0.shutdown.send_replace(true);
        let Some(running) = self.0.running.lock().await.take() else { return };
        let Running { driver, mut listeners } = running;
        while listeners.join_next().await.is_some() {}
        self.0.functions.runner.stop();
        // Waiting for its threads must not hold up what they wait for.
        let _ = tokio::task::spawn_blocking(move || driver.stop()).await;
        let _ = NodeFile::remove(self.0.storage.folder());
    }
}

impl mqtt::Kernel for Inputs {
    fn send(&self, inputs: Vec<broker::Input>) -> impl Future<Output = ()> + Send {
        // A driver that has stopped takes nothing more; the connection learns it soon.
        let sent = self.send_of_device(inputs);
        async move {
            let _ = sent.await;
        }
    }
}

impl Sockets {
    async fn bind(config: &Config) -> Result<Sockets, NodeError> {
        let bind = async |option, address| {
            TcpListener::bind(address)
                .await
                .map_err(|error| NodeError::listen(option, address, error))
        };
        Ok(Sockets {
            http: bind("--http", config.http).await?,
            https: match config.https {
                Some(address) => Some(bind("--https", address).await?),
                None => None,
            },
            mqtts: bind("--mqtts", config.mqtts).await?,
            mqtt: match config.mqtt {
                Some(address) => Some(bind("--mqtt", address).await?),
                None => None,
            },
        })
    }

    fn addresses(&self, config: &Config) -> Result<Addresses, NodeError> {
        let of = |option, wanted, socket: &TcpListener| {
            socket.local_addr().map_err(|error| NodeError::listen(option, wanted, error))
        };
        Ok(Addresses {
            http: of("--http", config.http, &self.http)?,
            https: match (&self.https, config.https) {
                (Some(socket), Some(wanted)) => Some(of("--https", wanted, socket)?),
                _ => None,
            },
            mqtts: of("--mqtts", config.mqtts, &self.mqtts)?,
            mqtt: match (&self.mqtt, config.mqtt) {
                (Some(socket), Some(wanted)) => Some(of("--mqtt", wanted, socket)?),
                _ => None,
            },
        })
    }
}

/// Where an HTTP port can be reached: from this machine, or from others if it listens for them, by the
/// first of the names that it goes by.
fn url(http: SocketAddr, names: &[String]) -> String {
    let (ip, port) = (http.ip(), http.port());
    match names.first().filter(|_| !ip.is_loopback()) {
        Some(name) if name.parse::<std::net::Ipv6Addr>().is_ok() => {
            format!("http://[{name}]:{port}")
        }
        Some(name) => format!("http://{name}:{port}"),
        None if ip.is_unspecified() => format!("http://127.0.0.1:{port}"),
        None => format!("http://{http}"),
    }
}

fn stopped() -> ApiError {
    ApiError::new("ServiceUnavailable", "the node is stopping")
}

fn open_store(storage: &Storage) -> Result<Arc<dyn Store>, NodeError> {
    match storage {
        Storage::Folder(folder) => {
            let store = Embedded::open(folder).map_err(NodeError::store)?;
            if store.dropped_bytes() > 0 {
                let bytes = store.dropped_bytes();
                tracing::warn!(
                    bytes,
                    "dropped a commit that a power cut interrupted: it was never acknowledged"
                );
            }
            Ok(Arc::new(store))
        }
        Storage::Memory(_) => Ok(Arc::new(Memory::new())),
    }
}

fn settings(config: &Config) -> Result<Settings, NodeError> {
    Ok(Settings {
        region: config.region.as_str().into(),
        account: config.account.as_str().into(),
        secret: secret(config.storage.folder())?,
        quotas: config.quotas.clone(),
        items_folders: config.items_folders.keys().map(|name| name.as_str().into()).collect(),
        code_folders: config.code_folders.keys().map(|name| name.as_str().into()).collect(),
        mqtt: broker::Limits {
            keep_alive_s_max: config.keep_alive_s_max,
            ..config.mqtt_limits.client.clone()
        },
        budget: config.mqtt_limits.all.clone(),
        shows_messages: config.recorded.keeps_any() || config.flight.keeps_any(),
        ..Settings::default()
    })
}

/// What the node needs to be let in elsewhere.
fn secrets(config: &Config) -> Result<Secrets, NodeError> {
    let Some(path) = &config.secrets else { return Ok(Secrets::default()) };
    Secrets::read(path).map_err(|source| NodeError::Secrets { path: path.clone(), source })
}

/// The folders of item readers, found while whoever starts the node is looking.
fn items_folders(config: &Config) -> Result<ItemsFolders, NodeError> {
    let found = |(name, path): (&String, &PathBuf)| {
        let failed = |source| NodeError::ItemsFolder { path: path.clone(), source };
        let path_found = path.canonicalize().map_err(failed)?;
        std::fs::read_dir(&path_found).map_err(failed)?;
        Ok((name.clone(), path_found))
    };
    config.items_folders.iter().map(found).collect::<Result<_, _>>().map(ItemsFolders)
}

/// The test cases of the configured file.
fn mocks(config: &Config) -> Result<Arc<Mocks>, NodeError> {
    let Some(path) = &config.mock_config else { return Ok(Arc::default()) };
    let refused = |why: String| NodeError::MockConfig { path: path.clone(), why };
    let text = std::fs::read_to_string(path).map_err(|error| refused(plain(&error)))?;
    Mocks::parse(&text).map(Arc::new).map_err(|error| refused(error.to_string()))
}

/// The secret that tokens are sealed with: made once, kept with the data.
fn secret(folder: &Path) -> Result<[u8; 32], NodeError> {
    let path = folder.join("secret");
    let failed = |error| NodeError::data(&path, error);
    if let Some(kept) = files::read(&path).map_err(failed)? {
        let bytes = kept
            .trim()
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        let bytes: Option<Vec<u8>> = bytes.collect();
        return bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| NodeError::Damaged {
            path: folder.to_owned(),
            why: "`secret` is not 64 hex digits".to_owned(),
        });
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)
        .map_err(|error| failed(std::io::Error::other(error.to_string())))?;
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    files::write(&path, hex.as_bytes()).map_err(failed)?;
    Ok(secret)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_where_the_node_listens() {
        let of = |address: &str, names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            url(address.parse().unwrap(), &names)
        };
        assert_eq!(of("127.0.0.1:4566", &["node.example"]), "http://127.0.0.1:4566");
        assert_eq!(of("[::1]:1", &[]), "http://[::1]:1");
        assert_eq!(of("0.0.0.0:80", &[]), "http://127.0.0.1:80");
        assert_eq!(of("0.0.0.0:80", &["node.example", "b"]), "http://node.example:80");
        assert_eq!(of("192.0.2.1:80", &[]), "http://192.0.2.1:80");
        assert_eq!(of("192.0.2.1:80", &["2001:db8::1"]), "http://[2001:db8::1]:80");
    }
}
