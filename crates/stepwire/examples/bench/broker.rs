//! Brokers that are compared.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use stepwire::ca::Authority;
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::client::Door;
use crate::fleet::Fleet;
use crate::plan::Plan;
use crate::server::{Process, Running, Server, address_in};

/// What there is to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Node,
    Mosquitto,
    /// Runs already.
    Target,
}

impl Kind {
    /// Those that are asked for and there.
    pub(crate) fn all(plan: &Plan) -> Vec<Kind> {
        if plan.target.is_some() {
            return vec![Kind::Target];
        }
        let wanted = |kind: &Kind| plan.only.as_deref().is_none_or(|only| only == kind.name());
        let all: Vec<Kind> = [Kind::Node, Kind::Mosquitto].into_iter().filter(wanted).collect();
        if all.contains(&Kind::Mosquitto) && version_of_mosquitto().is_none() {
            println!("mosquitto is not installed (Debian: apt-get install mosquitto)");
            return vec![Kind::Node];
        }
        all
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Node => "node",
            Kind::Mosquitto => "mosquitto",
            Kind::Target => "target",
        }
    }

    /// Starts it with nothing in it. It trusts the authority in the folder `ca`, and vice versa.
    pub(crate) async fn start(self, plan: &Plan, ca: &Path) -> Broker {
        match self {
            Kind::Node => node(ca),
            Kind::Mosquitto => mosquitto(ca).await,
            Kind::Target => Broker {
                kind: self,
                plain: plan.target.filter(|_| plan.ca.is_none()),
                secure: plan.target.filter(|_| plan.ca.is_some()),
                process: plan.pid.map(Process),
                server: None,
                _running: None,
            },
        }
    }
}

fn version_of_mosquitto() -> Option<String> {
    let output = Command::new("mosquitto").arg("-h").output().ok()?;
    String::from_utf8(output.stdout).ok()?.lines().next().map(str::to_owned)
}

/// A broker with nothing in it yet.
pub(crate) struct Broker {
    pub(crate) kind: Kind,
    plain: Option<SocketAddr>,
    secure: Option<SocketAddr>,
    /// Unknown of one that was not started here.
    pub(crate) process: Option<Process>,
    server: Option<Server>,
    _running: Option<(Running, TempDir)>,
}

impl Broker {
    /// Devices that may connect.
    pub(crate) async fn fleet(&self, ca: &Path, count: usize) -> Fleet {
        match &self.server {
            Some(node) => Fleet::enrolled(node, ca, count).await,
            None => Fleet::of(ca, count),
        }
    }

    /// Where `count` clients connect: in plain text, or as devices.
    pub(crate) async fn doors(&self, plan: &Plan, ca: &Path, count: usize) -> Vec<Door> {
        if plan.tls || self.plain.is_none() {
            return self.secure_doors(&self.fleet(ca, count).await);
        }
        (0..count).map(|_| Door { address: self.plain.unwrap(), tls: None }).collect()
    }

    /// Where devices connect.
    pub(crate) fn secure_doors(&self, fleet: &Fleet) -> Vec<Door> {
        let address = self.secure.expect("a listener with TLS: give --ca");
        (0..fleet.len()).map(|at| Door { address, tls: Some(fleet.device(at)) }).collect()
    }
}

fn node(ca: &Path) -> Broker {
    let folder = tempfile::tempdir_in(".").unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    for file in ["ca.pem", "ca.key"] {
        fs::copy(ca.join(file), data.join(file)).unwrap();
    }
    let server = Server::node_in(folder);
    Broker {
        kind: Kind::Node,
        plain: address_in(&server.ready, "mqtt://"),
        secure: address_in(&server.ready, "mqtts://"),
        process: Some(server.process),
        server: Some(server),
        _running: None,
    }
}

/// Mosquitto as it comes, which keeps nothing on disk and calls no `fsync`, with queues that are not
/// bounded and as many messages in flight to a client as the node allows.
async fn mosquitto(ca: &Path) -> Broker {
    let folder = tempfile::tempdir_in(".").unwrap();
    let identity = Authority::open(ca).unwrap().server(&[], jiff::Timestamp::now()).unwrap();
    let path = |name: &str| folder.path().join(name).canonicalize().unwrap();
    fs::write(folder.path().join("server.pem"), identity.certificate_pem).unwrap();
    fs::write(folder.path().join("server.key"), identity.private_key_pem).unwrap();
    let (plain, secure) = (free_port(), free_port());
    let config = format!(
        "user root\nlog_type error\nallow_anonymous true\nset_tcp_nodelay true\n\
         max_inflight_messages 100\nmax_queued_messages 0\n\
         listener {} 127.0.0.1\n\
         listener {} 127.0.0.1\ncafile {}\ncertfile {}\nkeyfile {}\n\
         require_certificate true\nuse_identity_as_username true\n",
        plain.port(),
        secure.port(),
        ca.join("ca.pem").canonicalize().unwrap().display(),
        path("server.pem").display(),
        path("server.key").display(),
    );
    fs::write(folder.path().join("mosquitto.conf"), config).unwrap();
    let mut command = Command::new("mosquitto");
    command.arg("-c").arg(folder.path().join("mosquitto.conf"));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let running = Running::start(&mut command);
    while TcpStream::connect(secure).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Broker {
        kind: Kind::Mosquitto,
        plain: Some(plain),
        secure: Some(secure),
        process: Some(running.process()),
        server: None,
        _running: Some((running, folder)),
    }
}

/// A port that nobody listened on a moment ago.
fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
