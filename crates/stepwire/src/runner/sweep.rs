//! Removes folders that nothing needs any more, one after the other and in nobody's way: one with
//! a function's packages takes seconds.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};

/// The thread that removes folders. What it has not removed when the node ends abruptly, the next
/// start finds and gives it again.
pub(super) struct Sweeper(Mutex<Option<Running>>);

struct Running {
    folders: mpsc::Sender<PathBuf>,
    thread: JoinHandle<()>,
}

impl Sweeper {
    pub(super) fn start() -> io::Result<Arc<Sweeper>> {
        let (folders, given) = mpsc::channel::<PathBuf>();
        let sweep = move || given.into_iter().for_each(|folder| remove(&folder));
        let thread = thread::Builder::new().name("sweep".to_owned()).spawn(sweep)?;
        Ok(Arc::new(Sweeper(Mutex::new(Some(Running { folders, thread })))))
    }

    /// Has a folder removed.
    pub(super) fn sweep(&self, folder: PathBuf) {
        let running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = match &*running {
            Some(running) => running.folders.send(folder).err().map(|unsent| unsent.0),
            None => Some(folder),
        };
        drop(running);
        if let Some(folder) = left {
            remove(&folder);
        }
    }

    /// Waits until all is removed. What is given from now on is removed at once.
    pub(super) fn finish(&self) {
        let running = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Running { folders, thread }) = running {
            drop(folders);
            // It can only have panicked; then the folders stay until the next start.
            let _ = thread.join();
        }
    }
}

fn remove(folder: &Path) {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::debug!("`{}` stays until the next start: {error}", folder.display());
        }
        _ => {}
    }
}

/// A folder that is removed when it is dropped.
pub(super) struct Swept {
    folder: PathBuf,
    sweeper: Arc<Sweeper>,
}

impl Swept {
    /// A new folder inside `parent` whose name begins with `prefix`, of its owner alone.
    pub(super) fn make(parent: &Path, prefix: &str, sweeper: &Arc<Sweeper>) -> io::Result<Swept> {
        let made = tempfile::Builder::new().prefix(prefix).tempdir_in(parent)?;
        Ok(Swept { folder: made.keep(), sweeper: Arc::clone(sweeper) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Swept {
    fn drop(&mut self) {
        self.sweeper.sweep(std::mem::take(&mut self.folder));
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_gone_when_the_sweeper_has_finished() {
        let place = tempfile::tempdir().unwrap();
        let sweeper = Sweeper::start().unwrap();
        let (first, second) =
            (Swept::make(place.path(), "a-", &sweeper), Swept::make(place.path(), "b-", &sweeper));
        let (first, second) = (first.unwrap(), second.unwrap());
        fs::create_dir_all(first.path().join("deep/er")).unwrap();
        drop(first);
        sweeper.finish();
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
        drop(second);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }
}
