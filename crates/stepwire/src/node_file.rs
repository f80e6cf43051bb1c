//! `node.json`: where a running node can be reached, for the tools of the same user.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::files;

/// What a node says about itself in its data folder while it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFile {
    /// Version of stepwire.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// AWS API and console.
    pub http: SocketAddr,
    /// The same over TLS, and MQTT over WebSocket.
    pub https: Option<SocketAddr>,
    /// MQTT over mutual TLS.
    pub mqtts: SocketAddr,
    /// MQTT in plain text.
    pub mqtt: Option<SocketAddr>,
    /// AWS region.
    pub region: String,
    /// AWS account.
    pub account: String,
    /// AWS services outside that tasks may call.
    #[serde(default)]
    pub outside: Vec<String>,
}

impl NodeFile {
    /// Keeps it in `folder`.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        files::write(&path(folder), &serde_json::to_vec_pretty(self)?)
    }

    /// What the node of `folder` wrote, if one runs or did not stop cleanly.
    pub fn read(folder: &Path) -> io::Result<Option<NodeFile>> {
        match files::read(&path(folder))? {
            Some(text) => Ok(Some(serde_json::from_str(&text)?)),
            None => Ok(None),
        }
    }

    /// Removes it: the node of `folder` stops.
    pub fn remove(folder: &Path) -> io::Result<()> {
        files::remove(&path(folder))
    }

    /// The base URL of the AWS API for a client on this machine.
    pub fn endpoint(&self) -> String {
        format!("http://{}", reachable(self.http))
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join("node.json")
}

/// The address a client on this machine uses: a listener on every address is on loopback too.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_found_by_its_folder_until_it_stops() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(NodeFile::read(folder.path()).unwrap(), None);
        let node = NodeFile {
            version: "0.1.0".to_owned(),
            pid: 7,
            http: "0.0.0.0:4566".parse().unwrap(),
            https: Some("0.0.0.0:443".parse().unwrap()),
            mqtts: "[::1]:8883".parse().unwrap(),
            mqtt: None,
            region: "us-east-1".to_owned(),
            account: "000000000000".to_owned(),
            outside: vec!["rekognition".to_owned()],
        };
        node.write(folder.path()).unwrap();
        assert_eq!(NodeFile::read(folder.path()).unwrap(), Some(node.clone()));
        assert_eq!(node.endpoint(), "http://127.0.0.1:4566");
        NodeFile::remove(folder.path()).unwrap();
        assert_eq!(NodeFile::read(folder.path()).unwrap(), None);
    }
}
