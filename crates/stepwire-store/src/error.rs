//! What can go wrong with a store.

use std::io;
use std::path::PathBuf;

/// The store cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be used.
    #[error("cannot use `{}`: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The folder was written by a newer version.
    #[error("`{}` has data format {found}, newer than {known}", path.display())]
    NewerFormat {
        /// The data folder.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest this version reads.
        known: u32,
    },
    /// The folder holds something else.
    #[error("`{}` is not a stepwire data folder", path.display())]
    NotOurs {
        /// The folder.
        path: PathBuf,
    },
    /// Another process has the folder open.
    #[error("`{}` is in use by another process", path.display())]
    Locked {
        /// The data folder.
        path: PathBuf,
    },
    /// A journal is damaged, and commits follow the damage: this is no power cut.
    #[error("`{}` is damaged at byte {offset}, and commits follow it", path.display())]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// Where.
        offset: u64,
    },
    /// The storage engine failed.
    #[error("storage engine: {0}")]
    Engine(String),
    /// The disk is full.
    #[error("no space left on the disk of `{}`", path.display())]
    Full {
        /// The data folder.
        path: PathBuf,
    },
    /// An earlier commit failed.
    #[error("an earlier commit failed; nothing more is written")]
    Poisoned,
    /// Somebody else has taken over.
    #[error("fence {given:?} is older than {current:?}")]
    Fenced {
        /// The fence of the commit.
        given: crate::Fence,
        /// The newest fence seen.
        current: crate::Fence,
    },
}

impl Error {
    /// What the user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Error::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "the folder must belong to the user that runs stepwire"
            }
            Error::Io { .. } | Error::Engine(_) => {
                "check the disk and the system's log; what was acknowledged is kept"
            }
            Error::Damaged { .. } => {
                "the disk has changed what was written: check it, and restore the data folder from a copy"
            }
            Error::NewerFormat { .. } => "use the stepwire that wrote it, or a newer one",
            Error::NotOurs { .. } => "name an empty or new folder with `--data`",
            Error::Locked { .. } => "stop the other stepwire, or name another folder with `--data`",
            Error::Full { .. } => "free some space and start again; what was acknowledged is kept",
            Error::Poisoned | Error::Fenced { .. } => "start again",
        }
    }
}
