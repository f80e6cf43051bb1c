//! Why a node cannot start, or cannot go on.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::Refused;
use crate::node_file::NodeFile;
use crate::port_holder::{self, Holder};
use crate::{ca, tls};

/// A node did not start, or had to stop. Nothing acknowledged is lost.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The configuration would not be safe.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The mock configuration cannot be read or is not one.
    #[error("the mock configuration `{}` cannot be used: {why}", path.display())]
    MockConfig {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where in it.
        why: String,
    },
    /// A folder of item readers cannot be read.
    #[error("the items folder `{}` cannot be read: {}", path.display(), plain(source))]
    ItemsFolder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A listener could not be opened.
    #[error("cannot listen on {address}: {}", why_not(source, holder.as_ref()))]
    Listen {
        /// The option that names the address, such as `--http`.
        option: &'static str,
        /// The address.
        address: SocketAddr,
        /// Who has it, when that can be found out.
        holder: Option<Holder>,
        /// Why.
        source: io::Error,
    },
    /// The data folder cannot be made, read or written.
    #[error("cannot use data folder `{}`: {}", path.display(), plain(source))]
    DataFolder {
        /// The folder, or a file in it.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The data folder was written by a newer stepwire.
    #[error(
        "data folder `{}` has format {found}; stepwire {} reads up to {reads}",
        path.display(), env!("CARGO_PKG_VERSION")
    )]
    DataNewer {
        /// The folder.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format this version reads.
        reads: u32,
    },
    /// Another process uses the data folder.
    #[error("data folder `{}` is in use{}", path.display(), by(*pid))]
    DataLocked {
        /// The folder.
        path: PathBuf,
        /// The process, when it said so.
        pid: Option<u32>,
    },
    /// No room is left for what has to be stored.
    #[error("the disk of `{}` is full", path.display())]
    DiskFull {
        /// The data folder.
        path: PathBuf,
    },
    /// The store failed in another way.
    #[error(transparent)]
    Store(Arc<stepwire_store::Error>),
    /// A bug ended the thread that decides.
    #[error("the node cannot go on after the panic above")]
    Panicked,
    /// What is stored cannot be read.
    #[error("data folder `{}` is damaged: {why}", path.display())]
    Damaged {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The certificate authority cannot be opened.
    #[error("the certificate authority in the data folder cannot be used: {}", with_causes(.0))]
    Authority(#[from] ca::Error),
    /// Requests to third parties cannot be made.
    #[error("cannot set up HTTP requests: {}", with_causes(.0))]
    HttpTasks(reqwest::Error),
    /// The file of secrets cannot be used.
    #[error("cannot use `{}`: {source}", path.display())]
    Secrets {
        /// The file.
        path: PathBuf,
        /// Why.
        source: crate::secrets::Error,
    },
    /// Functions cannot be run.
    #[error("cannot set up functions: {0}")]
    Functions(std::io::Error),
    /// The server certificate cannot be used.
    #[error("{}", with_causes(.0))]
    Tls(#[from] tls::Error),
}

impl NodeError {
    /// The listener of `option` could not be opened on `address`.
    pub fn listen(option: &'static str, address: SocketAddr, source: io::Error) -> NodeError {
        let taken = source.kind() == io::ErrorKind::AddrInUse;
        let holder = if taken { port_holder::holder(address) } else { None };
        NodeError::Listen { option, address, holder, source }
    }

    /// `path` in the data folder could not be used.
    pub fn data(path: impl Into<PathBuf>, source: io::Error) -> NodeError {
        let path = path.into();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                NodeError::DiskFull { path }
            }
            _ => NodeError::DataFolder { path, source },
        }
    }

    /// The store could not be opened, or failed.
    pub fn store(error: stepwire_store::Error) -> NodeError {
        use stepwire_store::Error;
        match error {
            Error::Io { path, source } => NodeError::data(path, source),
            Error::NewerFormat { path, found, known } => {
                NodeError::DataNewer { path, found, reads: known }
            }
            Error::Locked { path } => {
                // The one that holds the lock says who it is, once it has started.
                let node = NodeFile::read(&path).ok().flatten();
                NodeError::DataLocked { path, pid: node.map(|node| node.pid) }
            }
            Error::Full { path } => NodeError::DiskFull { path },
            other => NodeError::Store(Arc::new(other)),
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            NodeError::Refused(refused) => refused.hint.to_owned(),
            NodeError::ItemsFolder { .. } => {
                "name a folder that exists and that this user may read: --items-folder NAME=DIR"
                    .into()
            }
            NodeError::MockConfig { .. } => {
                "correct the file named by `--mock-config` or `SFN_MOCK_CONFIG`, or leave both out"
                    .to_owned()
            }
            NodeError::Listen { option, address, source, .. } => {
                listen_hint(option, *address, source)
            }
            NodeError::DataFolder { .. } => {
                "choose a folder you may write with `--data DIR`".to_owned()
            }
            NodeError::DataNewer { .. } => {
                "start the newer stepwire that wrote it, or choose another folder with `--data DIR`"
                    .to_owned()
            }
            NodeError::DataLocked { .. } => {
                "stop that process, or choose another folder with `--data DIR`".to_owned()
            }
            NodeError::DiskFull { .. } => {
                "free some space and start again: everything acknowledged is kept".to_owned()
            }
            NodeError::Store(error) => error.hint().to_owned(),
            NodeError::Panicked => {
                "this is a bug: please report it; start again, everything acknowledged is kept"
                    .to_owned()
            }
            NodeError::Secrets { path, source: crate::secrets::Error::Open(_) } => {
                format!("`chmod 600 {}`", path.display())
            }
            NodeError::Damaged { .. } => "restore the folder from a backup".to_owned(),
            NodeError::Authority(ca::Error::KeyMissing { .. }) => {
                "restore the key from a backup, or remove `ca.pem` to begin with a new authority \
                 (devices must then trust the new one)"
                    .to_owned()
            }
            NodeError::Authority(_)
            | NodeError::HttpTasks(_)
            | NodeError::Functions(_)
            | NodeError::Secrets { .. }
            | NodeError::Tls(_) => return None,
        })
    }
}

fn listen_hint(option: &str, address: SocketAddr, source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            let other = SocketAddr::new(address.ip(), address.port().wrapping_add(1));
            format!("stop it, or use `{option} {other}`")
        }
        io::ErrorKind::PermissionDenied => {
            format!("ports below 1024 need a privilege; use a higher one with `{option}`")
        }
        _ => format!("use an address of this machine with `{option}`"),
    }
}

fn why_not(source: &io::Error, holder: Option<&Holder>) -> String {
    match (source.kind(), holder) {
        (io::ErrorKind::AddrInUse, Some(holder)) => format!("address in use by {holder}"),
        (io::ErrorKind::AddrInUse, None) => "address in use".to_owned(),
        _ => plain(source),
    }
}

/// An I/O error in words, without the number the system gives it.
pub(crate) fn plain(source: &io::Error) -> String {
    let text = source.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

fn by(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" by another stepwire (pid {pid})")).unwrap_or_default()
}

/// An error and its causes in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_names_who_has_it_and_another_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let source = std::net::TcpListener::bind(address).unwrap_err();
        let error = NodeError::listen("--http", address, source);
        let (text, hint) = (error.to_string(), error.hint().unwrap());
        assert!(text.starts_with(&format!("cannot listen on {address}: address in use")), "{text}");
        #[cfg(target_os = "linux")]
        assert!(text.ends_with(&format!("(pid {})", std::process::id())), "{text}");
        assert!(hint.starts_with("stop it, or use `--http 127.0.0.1:"), "{hint}");
    }

    #[test]
    fn a_full_disk_is_called_that() {
        let error = NodeError::data("/data", io::ErrorKind::StorageFull.into());
        assert_eq!(error.to_string(), "the disk of `/data` is full");
    }

    #[test]
    fn a_newer_folder_says_both_formats() {
        let error = NodeError::DataNewer { path: "/data".into(), found: 9, reads: 1 };
        assert!(error.to_string().starts_with("data folder `/data` has format 9; stepwire "));
        assert!(error.to_string().ends_with("reads up to 1"));
    }

    #[test]
    fn causes_are_part_of_the_one_line() {
        let source = io::Error::from(io::ErrorKind::PermissionDenied);
        let error = NodeError::from(ca::Error::File { path: "/d/ca.key".into(), source });
        let text = error.to_string();
        assert!(text.ends_with("cannot keep `/d/ca.key`: permission denied"), "{text}");
    }
}
