//! `stepwire serve`: a node until somebody asks it to stop.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use tokio::sync::oneshot;

use super::failure::{Exit, Failure};
use super::signals::{Signal, Signals};
use super::{demo_policies, host_port, logging, print};
use stepwire_core::message::Profile;
use stepwire_core::{Quota, Quotas};

use crate::config::{
    Config, DATA_FOLDER, HostPort, Listener, Storage, parse_address, parse_items_folder,
    parse_profile, parse_quota,
};
use crate::flight;
use crate::mqtt_limits::{self, MqttLimit, MqttLimits};
use crate::node::Node;
use crate::node_error::NodeError;
use crate::node_file::reachable;
use crate::recorded;
use crate::runner::{self, Confinement};

/// Runs a node until it is asked to stop (SIGTERM or Ctrl-C).
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stepwire serve
  stepwire serve --data /var/lib/stepwire --mqtts 0.0.0.0:8883 --name iot.example.org")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct Serve {
    /// Folder for everything that must not be lost
    #[arg(long, value_name = "DIR", default_value = DATA_FOLDER, conflicts_with = "memory")]
    data: PathBuf,
    /// Keep everything in memory: gone when the process ends
    #[arg(long)]
    memory: bool,
    /// Where the AWS API and the console listen; off loopback requests must be signed
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4566", value_parser = parse_address)]
    http: SocketAddr,
    /// Where the same is served over TLS, with MQTT over WebSocket, publishing by certificate, and
    /// MQTT by ALPN: AWS's port 443
    #[arg(long, value_name = "ADDR", value_parser = parse_address)]
    https: Option<SocketAddr>,
    /// Where devices connect with MQTT over mutual TLS
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8883", value_parser = parse_address)]
    mqtts: SocketAddr,
    /// Where devices connect with MQTT in plain text; loopback only
    #[arg(long, value_name = "ADDR", value_parser = parse_address)]
    mqtt: Option<SocketAddr>,
    /// Let clients of `--mqtt`, and of MQTT over WebSocket on loopback, do everything without showing
    /// who they are
    #[arg(long)]
    allow_anonymous: bool,
    /// Want API requests signed with the node's own key, which `stepwire env` exports, on loopback too
    #[arg(long)]
    check_signatures: bool,
    /// Answer devices of a listener (http, https, mqtts or mqtt) with AWS IoT Core's limits, as in
    /// `mqtts=aws`; repeatable
    #[arg(long, value_name = "LISTENER=PROFILE", value_parser = parse_profile)]
    profile: Vec<(Listener, Profile)>,
    /// Longest keep-alive of MQTT 5.0 clients, in seconds: how soon a lost device is noticed
    #[arg(long, value_name = "SECONDS", default_value_t = u16::MAX, value_parser = clap::value_parser!(u16).range(1..))]
    keep_alive_max: u16,
    /// Let HTTP tasks reach this host, though its address is not public or not HTTPS; repeatable
    #[arg(long, value_name = "HOST:PORT", value_parser = host_port)]
    http_allow: Vec<HostPort>,
    /// Change a quota of workflows, such as `retention-seconds=86400`; repeatable
    #[arg(long, value_name = "KEY=NUMBER", value_parser = parse_quota)]
    quota: Vec<(Quota, u64)>,
    /// Change what devices may take, such as `connections-max=20000`; repeatable
    #[arg(long, value_name = "KEY=NUMBER", value_parser = mqtt_limits::parse)]
    mqtt_limit: Vec<(MqttLimit, u64)>,
    /// Keep the latest messages that the rules saw in memory, for the rule tester: how many; 0 for none
    #[arg(long, value_name = "COUNT", default_value_t = recorded::Limits::default().messages_max)]
    recorded_messages: usize,
    /// How many bytes they may take
    #[arg(long, value_name = "BYTES", default_value_t = recorded::Limits::default().bytes_max)]
    recorded_bytes: usize,
    /// Keep what happens to each device in memory, for the console: how many messages and other
    /// events of one device; 0 for none
    #[arg(long, value_name = "COUNT", default_value_t = flight::Limits::default().of_device_max)]
    flight_events: usize,
    /// How many bytes they may take for all devices
    #[arg(long, value_name = "BYTES", default_value_t = flight::Limits::default().bytes_max)]
    flight_bytes: usize,
    /// JSON file with connections of HTTP tasks and AWS services outside, readable by you alone
    #[arg(long, value_name = "FILE")]
    secrets: Option<PathBuf>,
    /// Test cases that answer tasks in place of services, as in Step Functions Local
    #[arg(long, value_name = "FILE", env = "SFN_MOCK_CONFIG")]
    mock_config: Option<PathBuf>,
    /// Run functions' code in the folder DIR where it is, when `Code` says `S3Bucket` NAME and `S3Key` a folder
    /// in it, where there is no bucket NAME
    #[arg(long, value_name = "NAME=DIR", value_parser = parse_items_folder)]
    code_folder: Vec<(String, PathBuf)>,
    /// Most processes of one function [default: four for each core, at least eight]
    #[arg(long, value_name = "NUMBER")]
    function_processes: Option<usize>,
    /// Let functions find in this folder's `node_modules` and `python` what they and their layers do not
    /// bring, such as the AWS SDK
    #[arg(long, value_name = "FOLDER")]
    function_modules: Option<PathBuf>,
    /// User that functions run as: a name, or UID:GID (the node must be root)
    #[arg(long, value_name = "USER", value_parser = runner::user)]
    function_user: Option<(u32, u32)>,
    /// Let functions see only their code, their temporary folder and the system's files (Landlock)
    #[arg(long)]
    function_landlock: bool,
    /// Let item readers read this folder like a bucket of this name; repeatable
    #[arg(long, value_name = "NAME=DIR", value_parser = parse_items_folder)]
    items_folder: Vec<(String, PathBuf)>,
    /// Further name or address in the server certificate; repeatable
    #[arg(long, value_name = "NAME")]
    name: Vec<String>,
    /// Demo mode: make the policies `stepwire-demo` and `fullCitizen`, which let devices do everything;
    /// with listeners on loopback only
    #[arg(long)]
    demo_policies: bool,
    /// Belong to the process that started this one: end cleanly when it writes a line to standard
    /// input, and at once when it is gone
    #[arg(long, hide = true)]
    attached: bool,
}

impl Serve {
    pub(super) async fn run(self) -> Result<(), Failure> {
        logging::start()?;
        // Kept until the node has stopped: dropping it removes the folder.
        let temporary = self.memory.then(temporary_folder).transpose()?;
        let storage = match &temporary {
            Some(folder) => Storage::Memory(folder.path().to_owned()),
            None => Storage::Folder(self.data.clone()),
        };
        let folder = storage.folder().to_owned();
        let (attached, demo_policies) = (self.attached, self.demo_policies);
        let config = self.config(storage);
        config.check().map_err(NodeError::from)?;
        if demo_policies && !on_loopback(&config) {
            let why =
                "`--demo-policies` lets devices do everything: it is for listeners on loopback";
            return Err(Failure::new(Exit::Usage, why)
                .hint("make a policy of your own with `aws iot create-policy`"));
        }
        let mut signals = Signals::new()?;
        let node = Node::start(config).await?;
        if demo_policies && let Err(failure) = demo_policies::make(&node).await {
            node.stop().await;
            return Err(failure);
        }
        print(&ready(&node, &folder.display().to_string()));
        let outcome = tokio::select! {
            signal = signals.next() => match signal {
                Signal::Terminate => Ok(()),
                Signal::Interrupt => Err(Failure::new(Exit::Interrupted, "interrupted")),
            },
            () = told_to_stop(), if attached => Ok(()),
            error = node.failed() => Err(error.into()),
        };
        node.stop().await;
        outcome
    }

    fn config(self, storage: Storage) -> Config {
        let mut quotas = Quotas::default();
        self.quota.iter().for_each(|(quota, value)| quota.set(&mut quotas, *value));
        let mut limits = MqttLimits::default();
        self.mqtt_limit.iter().for_each(|(limit, value)| limit.set(&mut limits, *value));
        Config {
            storage,
            http: self.http,
            https: self.https,
            mqtts: self.mqtts,
            mqtt: self.mqtt,
            allow_anonymous: self.allow_anonymous,
            check_signatures: self.check_signatures,
            profiles: self.profile.into_iter().collect(),
            keep_alive_s_max: self.keep_alive_max,
            mock_config: self.mock_config,
            items_folders: self.items_folder.into_iter().collect(),
            code_folders: self.code_folder.into_iter().collect(),
            function_processes: self.function_processes,
            function_modules: self.function_modules,
            confinement: Confinement { user: self.function_user, landlock: self.function_landlock },
            http_allow: self.http_allow,
            secrets: self.secrets,
            names: self.name,
            quotas,
            mqtt_limits: limits.consistent(),
            recorded: recorded::Limits {
                messages_max: self.recorded_messages,
                bytes_max: self.recorded_bytes,
            },
            flight: flight::Limits {
                of_device_max: self.flight_events,
                bytes_max: self.flight_bytes,
            },
            ..Config::default()
        }
    }
}

fn on_loopback(config: &Config) -> bool {
    let listeners = [Some(config.http), config.https, Some(config.mqtts), config.mqtt];
    listeners.into_iter().flatten().all(|address| address.ip().is_loopback())
}

/// Done when the process this one belongs to asks it to stop. If that process is gone instead, this
/// one ends here, as from a power cut: what was acknowledged is on disk.
async fn told_to_stop() {
    let (sender, told) = oneshot::channel();
    // A thread of its own: nothing waits for it, and it ends with the process.
    std::thread::spawn(move || {
        let read = std::io::stdin().read_line(&mut String::new());
        if !matches!(read, Ok(1..)) {
            std::process::exit(i32::from(Exit::Failed as u8));
        }
        let _ = sender.send(());
    });
    let _ = told.await;
}

fn temporary_folder() -> Result<tempfile::TempDir, Failure> {
    tempfile::Builder::new().prefix("stepwire-").tempdir().map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot make a temporary folder: {error}"))
    })
}

fn ready(node: &Node, data: &str) -> String {
    let addresses = node.addresses();
    let (http, mqtts) = (reachable(addresses.http), reachable(addresses.mqtts));
    let https = addresses.https.map(|https| format!(" https=https://{}", reachable(https)));
    let mqtt = addresses.mqtt.map(|mqtt| format!(" mqtt=mqtt://{}", reachable(mqtt)));
    format!(
        "ready http=http://{http} mqtts=mqtts://{mqtts}{}{} data={data}",
        https.unwrap_or_default(),
        mqtt.unwrap_or_default()
    )
}
