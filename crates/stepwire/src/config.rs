//! What a node is told when it starts.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use reqwest::Url;
use stepwire_core::message::Profile;
use stepwire_core::{Quota, Quotas};

use crate::flight;
use crate::mqtt_limits::MqttLimits;
use crate::recorded;
use crate::runner::Confinement;

/// Everything that can be configured about a node.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where everything that must not be lost is kept. Default: the folder `./.stepwire`.
    pub storage: Storage,
    /// Where the AWS API and the console listen. Port 0 takes a free one. Off loopback every
    /// request must be signed with a key of the node. Default: `127.0.0.1:4566`.
    pub http: SocketAddr,
    /// Where the same is served over TLS, with MQTT over WebSocket, publishing by certificate, and
    /// MQTT for those who ask for it by ALPN: AWS's port 443. Off loopback requests must be signed,
    /// or come from a device that shows its certificate. Default: nowhere.
    pub https: Option<SocketAddr>,
    /// Where devices connect with MQTT over mutual TLS. Default: `127.0.0.1:8883`.
    pub mqtts: SocketAddr,
    /// Where devices connect with MQTT in plain text: loopback only. Default: nowhere.
    pub mqtt: Option<SocketAddr>,
    /// Whether MQTT clients may do everything without showing who they are, in plain text and over
    /// WebSocket: on loopback only. Default: no.
    pub allow_anonymous: bool,
    /// Whether API requests must be signed with a key of the node on loopback too. Default: no.
    pub check_signatures: bool,
    /// Which rules listeners keep to: MQTT's own, or AWS IoT Core's limits and differences. Default:
    /// MQTT's own.
    pub profiles: BTreeMap<Listener, Profile>,
    /// Longest keep-alive of an MQTT 5.0 client, in seconds, at least 1: one that asks for more, or
    /// for none, is told this. Older clients cannot be told and keep theirs. Default: 65,535.
    pub keep_alive_s_max: u16,
    /// File of test cases that answer tasks in place of services: the `MockConfigFile.json` of
    /// Step Functions Local. Read once, at the start. Default: none.
    pub mock_config: Option<PathBuf>,
    /// Folders that item readers of distributed Maps read like buckets, by name, where there is no
    /// bucket of that name. Default: none.
    pub items_folders: BTreeMap<String, PathBuf>,
    /// Folders that functions run where they are, by the name that `S3Bucket` gives, where there is no
    /// bucket of that name. Default: none.
    pub code_folders: BTreeMap<String, PathBuf>,
    /// Most processes of one function. Default: four for each core, at least eight.
    pub function_processes: Option<usize>,
    /// A folder whose `node_modules` and `python` functions find what they do not bring. Default: none.
    pub function_modules: Option<PathBuf>,
    /// What the processes of functions may not do. Default: they run as the node does.
    pub confinement: Confinement,
    /// Hosts that HTTP tasks may reach although their address is not public, or in plain text.
    pub http_allow: Vec<HostPort>,
    /// The file with connections of HTTP tasks and AWS services outside: see [`crate::secrets`].
    /// Default: none.
    pub secrets: Option<PathBuf>,
    /// Host names and addresses of the server certificate besides `localhost` and loopback.
    pub names: Vec<String>,
    /// What workflows may use. Default: AWS's quotas.
    pub quotas: Quotas,
    /// What devices may take.
    pub mqtt_limits: MqttLimits,
    /// How many messages that the rules saw are kept in memory for those who test rules. Default: the
    /// latest 1,000 within 8 MiB.
    pub recorded: recorded::Limits,
    /// How much of what happens to each device is kept in memory for the console. Default: the latest
    /// 200 of each device within 64 MiB.
    pub flight: flight::Limits,
    /// AWS region in every ARN. Default: `us-east-1`.
    pub region: String,
    /// AWS account in every ARN, twelve digits. Default: `000000000000`.
    pub account: String,
}

/// A listener that devices can connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Listener {
    /// HTTP, and MQTT over WebSocket.
    Http,
    /// The same over TLS, and MQTT by ALPN.
    Https,
    /// MQTT over mutual TLS.
    Mqtts,
    /// MQTT in plain text.
    Mqtt,
}

impl Listener {
    /// Every listener, by the name of the option that says where it listens.
    pub const ALL: [(&'static str, Listener); 4] = [
        ("http", Listener::Http),
        ("https", Listener::Https),
        ("mqtts", Listener::Mqtts),
        ("mqtt", Listener::Mqtt),
    ];
}

/// Where a node keeps its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// A folder. What is acknowledged is on stable storage.
    Folder(PathBuf),
    /// Memory: everything is gone when the process ends. The folder holds only what users and
    /// tools read (`ca.pem`, `node.json`).
    Memory(PathBuf),
}

impl Storage {
    /// The folder for files that users and tools read.
    pub fn folder(&self) -> &std::path::Path {
        match self {
            Storage::Folder(folder) | Storage::Memory(folder) => folder,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            storage: Storage::Folder(PathBuf::from(DATA_FOLDER)),
            http: loopback(HTTP_PORT),
            https: None,
            mqtts: loopback(MQTTS_PORT),
            mqtt: None,
            allow_anonymous: false,
            check_signatures: false,
            profiles: BTreeMap::new(),
            keep_alive_s_max: u16::MAX,
            mock_config: None,
            items_folders: BTreeMap::new(),
            code_folders: BTreeMap::new(),
            function_processes: None,
            function_modules: None,
            confinement: Confinement::default(),
            http_allow: Vec::new(),
            secrets: None,
            names: Vec::new(),
            quotas: Quotas::default(),
            mqtt_limits: MqttLimits::default(),
            recorded: recorded::Limits::default(),
            flight: flight::Limits::default(),
            region: "us-east-1".to_owned(),
            account: "000000000000".to_owned(),
        }
    }
}

/// The data folder unless another is named.
pub const DATA_FOLDER: &str = ".stepwire";
/// The port of the AWS API and the console.
pub const HTTP_PORT: u16 = 4566;
/// The port of MQTT over mutual TLS.
pub const MQTTS_PORT: u16 = 8883;

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// A configuration that would not be safe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct Refused {
    /// What is wrong.
    pub problem: String,
    /// What to do instead.
    pub hint: &'static str,
}

impl Config {
    /// Refuses what would let strangers in: plain text or anonymous MQTT off loopback.
    pub fn check(&self) -> Result<(), Refused> {
        if let Some(address) = self.mqtt.filter(|address| !address.ip().is_loopback()) {
            return Err(Refused {
                problem: format!("plaintext MQTT on `{address}` would be open to the network"),
                hint: "use `--mqtts` with device certificates, or a loopback address such as `--mqtt 127.0.0.1:1883`",
            });
        }
        if self.allow_anonymous && self.mqtt.is_none() && !self.http.ip().is_loopback() {
            return Err(Refused {
                problem: "`--allow-anonymous` needs a plaintext listener on loopback".to_owned(),
                hint: "add `--mqtt 127.0.0.1:1883`; clients of `--mqtts` always show a certificate",
            });
        }
        Ok(())
    }

    /// The rules that a listener keeps to.
    pub fn profile(&self, listener: Listener) -> Profile {
        self.profiles.get(&listener).copied().unwrap_or_default()
    }

    /// Whether API requests at the HTTP port must be signed with a key of this node.
    pub fn keys_required(&self) -> bool {
        self.keys_required_at(self.http)
    }

    /// The same of the port at `address`.
    pub fn keys_required_at(&self, address: SocketAddr) -> bool {
        self.check_signatures || !address.ip().is_loopback()
    }

    /// The names of the server certificate: those configured, and the addresses it listens on.
    pub fn certificate_names(&self) -> Vec<String> {
        let mut names = self.names.clone();
        let https = self.https.map(|address| address.ip());
        for address in [Some(self.mqtts.ip()), Some(self.http.ip()), https].into_iter().flatten() {
            if !address.is_unspecified() && !address.is_loopback() {
                names.push(address.to_string());
            }
        }
        names
    }
}

/// A host and a port, such as `profiles.internal:8080` or `[fd00::7]:443`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// Host name in lower case, or an address as URLs write it.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl HostPort {
    /// The host and port that `text` names.
    pub fn parse(text: &str) -> Result<HostPort, String> {
        let why = || format!("`{text}` is not HOST:PORT");
        let url = Url::parse(&format!("http://{text}/")).map_err(|_| why())?;
        let (_, port) = text.rsplit_once(':').ok_or_else(why)?;
        let plain = url.path() == "/" && url.query().is_none() && url.username().is_empty();
        match (url.host_str(), port.parse()) {
            (Some(host), Ok(port)) if plain => Ok(HostPort { host: host.to_owned(), port }),
            _ => Err(why()),
        }
    }

    /// Whether `url` leads there.
    pub fn names(&self, url: &Url) -> bool {
        url.host_str() == Some(&self.host) && url.port_or_known_default() == Some(self.port)
    }
}

/// The quota and value that `text` names: `KEY=NUMBER`.
pub fn parse_quota(text: &str) -> Result<(Quota, u64), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("`{text}` is not KEY=NUMBER"))?;
    let unknown = || {
        let keys: Vec<_> = Quotas::ALL.iter().map(|quota| quota.key).collect();
        format!("`{key}` is no quota; there are {}", keys.join(", "))
    };
    let quota = Quota::named(key).ok_or_else(unknown)?;
    let value = value.parse().map_err(|_| format!("`{value}` is not a whole number"))?;
    Ok((quota, value))
}

/// A listener and the rules it is to keep to, from `LISTENER=PROFILE`.
pub fn parse_profile(text: &str) -> Result<(Listener, Profile), String> {
    let (listener, profile) =
        text.split_once('=').ok_or_else(|| format!("`{text}` is not LISTENER=PROFILE"))?;
    let known = Listener::ALL.iter().find(|(name, _)| *name == listener);
    let (_, listener) = known.ok_or_else(|| {
        let names = Listener::ALL.map(|(name, _)| name);
        format!("`{listener}` is no listener for devices; there are {}", names.join(", "))
    })?;
    let profile = match profile {
        "standard" => Profile::Standard,
        "aws" => Profile::Aws,
        other => return Err(format!("`{other}` is no profile; there are standard, aws")),
    };
    Ok((*listener, profile))
}

/// A folder for item readers and its name, from `NAME=DIR`.
pub fn parse_items_folder(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, folder)) if !name.is_empty() && !folder.is_empty() => {
            Ok((name.to_owned(), folder.into()))
        }
        _ => Err(format!("`{text}` is not NAME=DIR")),
    }
}

/// The address that `text` names: `HOST:PORT` with an IP address or `localhost`, `:PORT`, or a
/// port alone (on loopback).
pub fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let why = || format!("`{text}` is not an address such as `127.0.0.1:4566`");
    if let Ok(port) = text.trim_start_matches(':').parse() {
        return Ok(loopback(port));
    }
    if let Some(port) = text.strip_prefix("localhost:") {
        return port.parse().map(loopback).map_err(|_| why());
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Err(format!(
            "`{text}` lacks a port, such as `{}`",
            SocketAddr::new(address, HTTP_PORT)
        ));
    }
    text.parse().map_err(|_| why())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_in_the_forms_people_write() {
        for (text, address) in [
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("4567", "127.0.0.1:4567"),
            (":4567", "127.0.0.1:4567"),
            ("localhost:0", "127.0.0.1:0"),
            ("[::1]:8883", "[::1]:8883"),
            ("0.0.0.0:8883", "0.0.0.0:8883"),
        ] {
            assert_eq!(parse_address(text), Ok(address.parse().unwrap()), "{text}");
        }
        for text in ["", "127.0.0.1", "example.org:1", "127.0.0.1:70000", "x"] {
            assert!(parse_address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_quota_is_set_by_its_key() {
        let (quota, value) = parse_quota("payload-bytes-max=1048576").unwrap();
        let mut quotas = Quotas::default();
        quota.set(&mut quotas, value);
        assert_eq!(quotas, Quotas { payload_bytes_max: 1_048_576, ..Quotas::default() });
        assert!(parse_quota("payload=1").unwrap_err().contains("payload-bytes-max"));
        for text in ["pollers-max", "pollers-max=", "pollers-max=-1", "pollers-max=1k"] {
            assert!(parse_quota(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_listener_is_given_a_profile_by_name() {
        assert_eq!(parse_profile("mqtts=aws"), Ok((Listener::Mqtts, Profile::Aws)));
        assert_eq!(parse_profile("mqtt=standard"), Ok((Listener::Mqtt, Profile::Standard)));
        assert!(parse_profile("mqttx=aws").unwrap_err().contains("https, mqtts, mqtt"));
        assert!(parse_profile("mqtts=azure").unwrap_err().contains("standard, aws"));
        assert!(parse_profile("aws").is_err());
        let config =
            Config { profiles: [(Listener::Mqtt, Profile::Aws)].into(), ..Config::default() };
        assert_eq!(config.profile(Listener::Mqtt), Profile::Aws);
        assert_eq!(config.profile(Listener::Mqtts), Profile::Standard);
    }

    #[test]
    fn plain_text_is_refused_off_loopback() {
        let mqtt = |text: &str| Config { mqtt: Some(text.parse().unwrap()), ..Config::default() };
        assert_eq!(mqtt("127.0.0.1:1883").check(), Ok(()));
        assert_eq!(mqtt("[::1]:1883").check(), Ok(()));
        for address in ["0.0.0.0:1883", "192.0.2.1:1883", "[::]:1883"] {
            assert!(mqtt(address).check().is_err(), "{address}");
        }
    }

    #[test]
    fn anonymous_clients_need_the_plaintext_listener() {
        let anonymous = Config { allow_anonymous: true, ..Config::default() };
        assert_eq!(anonymous.check(), Ok(()), "MQTT over WebSocket on loopback");
        let http = "0.0.0.0:4566".parse().unwrap();
        assert!(Config { http, ..anonymous.clone() }.check().is_err());
        let mqtt = Some("127.0.0.1:1883".parse().unwrap());
        assert_eq!(Config { http, mqtt, ..anonymous }.check(), Ok(()));
    }

    #[test]
    fn the_certificate_names_every_address_that_is_listened_on() {
        let config = Config {
            https: Some("192.0.2.3:443".parse().unwrap()),
            mqtts: "192.0.2.4:8883".parse().unwrap(),
            names: vec!["iot.example.org".to_owned()],
            ..Config::default()
        };
        assert_eq!(config.certificate_names(), ["iot.example.org", "192.0.2.4", "192.0.2.3"]);
    }

    #[test]
    fn keys_are_required_off_loopback_only() {
        assert!(!Config::default().keys_required());
        let open = Config { http: "0.0.0.0:4566".parse().unwrap(), ..Config::default() };
        assert!(open.keys_required());
        assert!(Config { check_signatures: true, ..Config::default() }.keys_required());
    }

    #[test]
    fn an_allowed_host_is_one_host_and_one_port() {
        let allowed = HostPort::parse("Profiles.Internal:80").unwrap();
        assert!(allowed.names(&"http://profiles.internal/x".parse().unwrap()));
        assert!(!allowed.names(&"https://profiles.internal/x".parse().unwrap()));
        assert!(!allowed.names(&"http://profiles.internal.evil:80/".parse().unwrap()));
        assert!(HostPort::parse("[::1]:9").unwrap().names(&"http://[::1]:9/".parse().unwrap()));
        for text in ["a", "a:", "a:b", "a/b:1", "u@a:1", ":1", "a:1/x"] {
            assert!(HostPort::parse(text).is_err(), "{text}");
        }
    }
}
