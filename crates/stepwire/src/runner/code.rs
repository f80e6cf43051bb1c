//! Code and layers in folders: unpacked once, and removed when nothing runs them any more.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stepwire_core::functions::{CodeRecord, FunctionRecord};

use super::Source;
use super::archive;
use super::sweep::{Sweeper, Swept};
use crate::files;

/// Archives by number, unpacked.
pub(super) struct CodeStore {
    folder: PathBuf,
    source: Source,
    folders: BTreeMap<String, PathBuf>,
    sweeper: Arc<Sweeper>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The newest code of each function and version.
    code: HashMap<(Arc<str>, u64), (Parts, Slot)>,
}

/// The numbers of the archives: the function's own, then its layers'.
type Parts = Vec<u64>;
/// A lock of its own: it is unpacked once, whoever comes first.
type Slot = Arc<tokio::sync::Mutex<Option<Arc<Code>>>>;

/// Unpacked code with its layers: removed when nothing runs it any more.
pub(super) struct Code {
    folder: PathBuf,
    layers: PathBuf,
    /// What is removed with it.
    own: Swept,
}

impl Code {
    /// What is `/var/task` on AWS.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What is `/opt` on AWS: the layers, one over the other.
    pub(super) fn layers(&self) -> &Path {
        &self.layers
    }
}

impl CodeStore {
    pub(super) fn new(
        folder: PathBuf,
        source: Source,
        folders: BTreeMap<String, PathBuf>,
        sweeper: Arc<Sweeper>,
    ) -> CodeStore {
        CodeStore { folder, source, folders, sweeper, state: Mutex::default() }
    }

    /// The function's code in a folder; in words why not.
    pub(super) async fn of(&self, record: &FunctionRecord) -> Result<Arc<Code>, String> {
        let layers = record.layers.iter().map(|layer| layer.code.number);
        let parts: Parts = std::iter::once(record.code.number).chain(layers).collect();
        let slot = {
            let mut state = self.state();
            let key = (Arc::clone(&record.name), record.version);
            let entry = state.code.entry(key).or_default();
            if entry.0 != parts {
                *entry = (parts.clone(), Arc::default());
            }
            Arc::clone(&entry.1)
        };
        let mut slot = slot.lock().await;
        if let Some(code) = &*slot {
            return Ok(Arc::clone(code));
        }
        // Whatever goes wrong, it is removed again.
        let own = Swept::make(&self.folder, "code-", &self.sweeper);
        let own = own.map_err(|error| format!("no folder for the code: {error}"))?;
        let (folder, layers) = (own.path().join("task"), own.path().join("opt"));
        let mut code = Code { folder, layers, own };
        if record.code.folder.is_some() {
            code.folder = self.place(record)?;
        }
        let work = {
            let (source, record) = (Arc::clone(&self.source), record.clone());
            move || {
                let taken = |code: &CodeRecord| {
                    source(code).ok_or_else(|| "the function's code was replaced".to_owned())
                };
                if record.code.folder.is_none() {
                    let archive = taken(&record.code)?;
                    archive::unpack(&archive, &code.folder).map_err(|why| why.to_string())?;
                }
                fs::create_dir_all(&code.layers).map_err(|error| error.to_string())?;
                for layer in &record.layers {
                    let archive = taken(&layer.code)?;
                    archive::unpack_over(&archive, &code.layers).map_err(|why| why.to_string())?;
                }
                open_to_all(code.own.path()).map_err(|error| error.to_string())?;
                Ok::<_, String>(Arc::new(code))
            }
        };
        let unpacked = tokio::task::spawn_blocking(work).await;
        let code = unpacked.map_err(|_| "the code could not be unpacked".to_owned())??;
        *slot = Some(Arc::clone(&code));
        Ok(code)
    }

    /// Where the code of a function is that runs where it is.
    pub(super) fn place(&self, record: &FunctionRecord) -> Result<PathBuf, String> {
        let place = record.code.folder.as_deref().unwrap_or_default();
        let (name, rest) = place.split_once('/').unwrap_or((place, ""));
        let missing = || format!("`--code-folder {name}=DIR` is not given");
        let root = self.folders.get(name).ok_or_else(missing)?;
        let cannot = |error| format!("the folder of `{place}` cannot be used: {error}");
        let root = root.canonicalize().map_err(cannot)?;
        let folder = root.join(rest).canonicalize().map_err(cannot)?;
        if !folder.starts_with(&root) {
            return Err(format!("`{place}` leads out of its folder"));
        }
        if folder.is_dir() { Ok(folder) } else { Err(format!("`{place}` is not a folder")) }
    }

    /// Lets go of what is kept for a function that is gone.
    pub(super) fn forget(&self, function: &str) {
        self.state().code.retain(|(name, _), _| **name != *function);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets a function that runs as another user read its code: the files say so, their folders follow.
fn open_to_all(folder: &Path) -> std::io::Result<()> {
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        files::readable_by_all(&folder)?;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
            }
        }
    }
    Ok(())
}
