//! How much room the data takes and how much is left.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a measure is good for: looking at every file costs something.
const GOOD_FOR: Duration = Duration::from_secs(15);
/// Most entries that are looked at.
const ENTRIES_MAX: usize = 100_000;

/// Room in a folder and on its disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Room {
    /// Bytes of the files in it; none when there are more files than are looked at.
    pub(crate) used: Option<u64>,
    /// Bytes of the disk that are free for this process, and all; none where that is not known.
    pub(crate) disk: Option<(u64, u64)>,
}

/// The data folder and what was measured of it last.
#[derive(Debug)]
pub(crate) struct DataFolder {
    folder: PathBuf,
    last: Mutex<Option<(Instant, Room)>>,
}

impl DataFolder {
    pub(crate) fn new(folder: &Path) -> DataFolder {
        DataFolder { folder: folder.to_owned(), last: Mutex::default() }
    }

    /// What there is room for; measured when that was a while ago. Blocks.
    pub(crate) fn room(&self) -> Room {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, room)) = *last
            && at.elapsed() < GOOD_FOR
        {
            return room;
        }
        let room = Room { used: used(&self.folder), disk: disk(&self.folder) };
        *last = Some((Instant::now(), room));
        room
    }
}

/// Bytes of all files in a folder and those in it. Links are not followed.
fn used(folder: &Path) -> Option<u64> {
    let mut bytes = 0;
    let mut entries = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        // What cannot be read, or is just being removed, does not count.
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            entries += 1;
            if entries > ENTRIES_MAX {
                return None;
            }
            match entry.metadata() {
                Ok(about) if about.is_dir() => folders.push(entry.path()),
                Ok(about) if about.is_file() => bytes += about.len(),
                _ => {}
            }
        }
    }
    Some(bytes)
}

#[cfg(unix)]
fn disk(folder: &Path) -> Option<(u64, u64)> {
    let about = rustix::fs::statvfs(folder).ok()?;
    Some((about.f_bavail * about.f_frsize, about.f_blocks * about.f_frsize))
}

#[cfg(not(unix))]
fn disk(_: &Path) -> Option<(u64, u64)> {
    None
}

/// Bytes of memory that this process takes; none where that is not known.
pub(crate) fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib * 1_024)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn files_in_folders_count() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("in")).unwrap();
        std::fs::write(folder.path().join("a"), [0; 10]).unwrap();
        std::fs::write(folder.path().join("in/b"), [0; 5]).unwrap();
        let room = DataFolder::new(folder.path()).room();
        assert_eq!(room.used, Some(15));
        assert!(cfg!(not(unix)) || room.disk.is_some_and(|(free, all)| free <= all && all > 0));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_takes_memory() {
        assert!(memory().is_some_and(|bytes| bytes > 1 << 20));
    }
}
