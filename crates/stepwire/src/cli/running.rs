//! The running node that a verb is for, found by its data folder.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::failure::{Exit, Failure};
use crate::access_key::AccessKey;
use crate::capture::{self, Reach};
use crate::config::DATA_FOLDER;
use crate::node_error::NodeError;
use crate::node_file::{NodeFile, reachable};

/// A node that answers.
pub(super) struct Running {
    /// What it says about itself.
    pub(super) node: NodeFile,
    /// Its data folder, absolute.
    pub(super) folder: PathBuf,
    /// What requests are signed with.
    pub(super) key: AccessKey,
}

impl Running {
    /// The node of `folder`; of none the one whose data is in [`DATA_FOLDER`], here or in the
    /// nearest folder above.
    pub(super) fn find(folder: Option<&Path>) -> Result<Running, Failure> {
        let folder = folder.map_or_else(nearest, Path::to_owned);
        let unreadable = |error| Failure::from(NodeError::data(&folder, error));
        let node = NodeFile::read(&folder).map_err(unreadable)?;
        let node = node.ok_or_else(|| not_running(&folder))?;
        let address = reachable(node.http);
        if TcpStream::connect_timeout(&address, Duration::from_secs(2)).is_err() {
            return Err(not_running(&folder));
        }
        let key = AccessKey::read(&folder).map_err(unreadable)?;
        let any = || AccessKey { id: "stepwire".to_owned(), secret: "stepwire".to_owned() };
        let absolute = std::path::absolute(&folder).map_err(unreadable)?;
        Ok(Running { node, folder: absolute, key: key.unwrap_or_else(any) })
    }

    /// The certificate of its authority.
    pub(super) fn authority(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// How a program reaches it that would otherwise have the variables `theirs`.
    pub(super) fn reach(&self, theirs: &dyn Fn(&str) -> Option<String>) -> Result<Reach, Failure> {
        let data = |error| Failure::from(NodeError::data(&self.folder, error));
        let authority = std::fs::read_to_string(self.authority()).map_err(data)?;
        let installed = capture::install(&self.folder.join("capture"), &authority, theirs);
        Ok(Reach {
            endpoint: self.node.endpoint(),
            https: self.node.https.map(reachable),
            mqtts: reachable(self.node.mqtts),
            region: self.node.region.clone(),
            key: self.key.clone(),
            installed: installed.map_err(data)?,
        })
    }
}

/// [`DATA_FOLDER`] here or in the nearest folder above; here, when there is none.
fn nearest() -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    let found = here.ancestors().map(|folder| folder.join(DATA_FOLDER));
    let found = found.skip(1).find(|data| data.join("node.json").exists());
    match found {
        // Names stay short where they can.
        Some(above) if !Path::new(DATA_FOLDER).join("node.json").exists() => above,
        _ => PathBuf::from(DATA_FOLDER),
    }
}

fn not_running(folder: &Path) -> Failure {
    Failure::new(
        Exit::NoServer,
        format!("no node is running on data folder `{}`", folder.display()),
    )
    .hint("start one with `stepwire serve`, or name its folder with `--data DIR`")
}
