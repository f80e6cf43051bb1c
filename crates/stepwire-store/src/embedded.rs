//! The engine for one machine: a folder, [`fjall`] in it, fsync before a commit returns.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};

use crate::journal::{self, Damage};
use crate::{Batch, Error, Fence, Key, Seq, Snapshot, Store};

/// What the data folder's `FORMAT` file begins with.
const MAGIC: &str = "stepwire data format ";
/// The data format this version writes, and the newest it reads.
pub const FORMAT: u32 = 1;
/// Memory for blocks read from disk.
const CACHE_BYTES: u64 = 32 << 20;
/// Memory for records not yet in a table on disk.
const MEMTABLE_BYTES: u64 = 16 << 20;
/// Most bytes of journals before tables are written for their sake.
const JOURNAL_BYTES: u64 = 128 << 20;
/// How often a folder in use is tried: a process that was killed takes a moment to be gone.
const LOCK_TRIES: u32 = 20;
/// The wait between two tries.
const LOCK_PAUSE: Duration = Duration::from_millis(50);
/// What is written to find out why the engine stopped.
const PROBE_BYTES: usize = 64 << 10;
/// Where the newest fence is kept; begins with a byte no shard number has.
const FENCE_KEY: &[u8] = &[0xff, 0xff, b'f'];
/// Where the position of the last commit is kept, as part of each.
const POSITION_KEY: &[u8] = &[0xff, 0xff, b'p'];

/// A store in a folder.
pub struct Embedded {
    database: Database,
    records: Keyspace,
    path: PathBuf,
    position: AtomicU64,
    fence: AtomicU64,
    poisoned: AtomicBool,
    dropped: u64,
    /// Held as long as the store is open: no other process may open the folder.
    _lock: File,
}

impl Embedded {
    /// Opens the store in `path`; makes it if there is none.
    ///
    /// Refuses a folder that is in use, was written by a newer version, or holds something else.
    pub fn open(path: &Path) -> Result<Embedded, Error> {
        let at = |place: &Path| {
            let place = place.to_owned();
            move |source| io_error(&place, source)
        };
        create_folder(path).map_err(at(path))?;
        let lock = lock(path)?;
        check_format(path)?;
        let folder = path.join("records");
        let engine = |error: fjall::Error| engine_error(path, error);
        let dropped = mend(&folder)?;
        let database = Database::builder(&folder)
            .cache_size(CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES)
            .manual_journal_persist(true)
            .worker_threads(2)
            .open()
            .map_err(engine)?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
        let records = database.keyspace("records", options).map_err(engine)?;
        database.persist(PersistMode::SyncAll).map_err(engine)?;
        sync_tree(&folder).map_err(at(&folder))?;
        sync_folder(path).map_err(at(path))?;
        let number = |key| -> Result<AtomicU64, Error> {
            let stored = records.get(key).map_err(engine)?;
            let bytes = stored.and_then(|bytes| bytes.as_ref().try_into().ok());
            Ok(AtomicU64::new(bytes.map_or(0, u64::from_be_bytes)))
        };
        let (fence, position) = (number(FENCE_KEY)?, number(POSITION_KEY)?);
        Ok(Embedded {
            database,
            records,
            path: path.to_owned(),
            position,
            fence,
            poisoned: AtomicBool::new(false),
            dropped,
            _lock: lock,
        })
    }

    /// Bytes the store takes on disk, about.
    pub fn disk_bytes(&self) -> u64 {
        self.database.disk_space().unwrap_or(0)
    }

    /// Bytes of a commit that a power cut had interrupted, and that were dropped on opening. Nobody
    /// was told that it succeeded.
    pub fn dropped_bytes(&self) -> u64 {
        self.dropped
    }

    fn write(&self, batch: Batch) -> Result<(), Error> {
        let mut writes = self.database.batch().durability(Some(PersistMode::SyncData));
        for (key, value) in batch.entries {
            match value {
                Some(value) => writes.insert(&self.records, key, value),
                None => writes.remove(&self.records, key),
            }
        }
        writes.commit().map_err(|error| match engine_error(&self.path, error) {
            // A background task of the engine failed first, and the engine does not say why.
            Error::Poisoned => probe(&self.path).err().unwrap_or(Error::Poisoned),
            error => error,
        })
    }
}

impl Store for Embedded {
    fn snapshot(&self) -> Box<dyn Snapshot> {
        Box::new(View {
            snapshot: self.database.snapshot(),
            records: self.records.clone(),
            path: self.path.clone(),
        })
    }

    fn position(&self) -> Seq {
        Seq(self.position.load(Ordering::Acquire))
    }

    fn commit(&self, mut batch: Batch, fence: Fence) -> Result<Seq, Error> {
        if self.poisoned.load(Ordering::Acquire) {
            return Err(Error::Poisoned);
        }
        let current = Fence(self.fence.load(Ordering::Acquire));
        if fence < current {
            return Err(Error::Fenced { given: fence, current });
        }
        if fence > current {
            batch.entries.push((FENCE_KEY.to_vec(), Some(fence.0.to_be_bytes().to_vec())));
            self.fence.store(fence.0, Ordering::Release);
        }
        let position = self.position.load(Ordering::Acquire) + 1;
        batch.entries.push((POSITION_KEY.to_vec(), Some(position.to_be_bytes().to_vec())));
        self.write(batch).inspect_err(|_| self.poisoned.store(true, Ordering::Release))?;
        self.position.store(position, Ordering::Release);
        Ok(Seq(position))
    }
}

struct View {
    snapshot: fjall::Snapshot,
    records: Keyspace,
    path: PathBuf,
}

impl Snapshot for View {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let value = self.snapshot.get(&self.records, key);
        let value = value.map_err(|error| engine_error(&self.path, error))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn range(
        &self,
        from: &[u8],
        to: &[u8],
        reverse: bool,
        limit: usize,
    ) -> Result<Vec<(Key, Vec<u8>)>, Error> {
        if from >= to {
            return Ok(Vec::new());
        }
        let run = self.snapshot.range(&self.records, from..to);
        let entry = |guard: fjall::Guard| {
            let (key, value) =
                guard.into_inner().map_err(|error| engine_error(&self.path, error))?;
            Ok((key.to_vec(), value.to_vec()))
        };
        if reverse {
            run.rev().take(limit).map(entry).collect()
        } else {
            run.take(limit).map(entry).collect()
        }
    }
}

/// Drops what a power cut left of an unfinished commit; how many bytes those were.
fn mend(folder: &Path) -> Result<u64, Error> {
    if !folder.is_dir() {
        return Ok(0);
    }
    let mended = journal::mend(folder).map_err(|source| io_error(folder, source))?;
    mended.map_err(|Damage { journal, offset }| Error::Damaged { path: journal, offset })
}

/// Whether another process has the store in `path` open.
pub fn is_in_use(path: &Path) -> bool {
    let file = OpenOptions::new().write(true).open(path.join("LOCK"));
    file.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Makes the folder and what leads to it, for its owner alone, and syncs each name.
fn create_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        create_folder(parent)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    sync_folder(parent.unwrap_or_else(|| Path::new(".")))
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Syncs a folder and all folders in it.
fn sync_tree(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        }
    }
    sync_folder(path)
}

fn lock(path: &Path) -> Result<File, Error> {
    let name = path.join("LOCK");
    let open = OpenOptions::new().create(true).truncate(false).write(true).open(&name);
    let file = open.map_err(|source| io_error(&name, source))?;
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(source)) => return Err(io_error(&name, source)),
        }
    }
    Err(Error::Locked { path: path.to_owned() })
}

/// Reads the folder's format, or writes ours into a folder that has none.
fn check_format(path: &Path) -> Result<(), Error> {
    let name = path.join("FORMAT");
    match fs::read_to_string(&name) {
        Ok(text) => {
            let found = text.strip_prefix(MAGIC).and_then(|rest| rest.trim().parse().ok());
            match found {
                Some(found) if found > FORMAT => {
                    Err(Error::NewerFormat { path: path.to_owned(), found, known: FORMAT })
                }
                Some(_) => Ok(()),
                None => Err(Error::NotOurs { path: path.to_owned() }),
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            write_format(path).map_err(|source| io_error(&name, source))
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(Error::NotOurs { path: path.to_owned() })
        }
        Err(source) => Err(io_error(&name, source)),
    }
}

/// A power cut leaves either no format or a whole one: written beside, synced, renamed.
fn write_format(path: &Path) -> io::Result<()> {
    let (beside, name) = (path.join("FORMAT.new"), path.join("FORMAT"));
    let mut file = File::create(&beside)?;
    file.write_all(format!("{MAGIC}{FORMAT}\n").as_bytes())?;
    file.sync_all()?;
    fs::rename(beside, name)?;
    sync_folder(path)
}

/// Asks the disk of `path` whether it still takes what a small commit needs.
fn probe(path: &Path) -> Result<(), Error> {
    let name = path.join("probe");
    let written = File::create(&name).and_then(|mut file| {
        file.write_all(&vec![0; PROBE_BYTES])?;
        file.sync_all()
    });
    let removed = fs::remove_file(&name);
    written.and(removed).map_err(|source| io_error(path, source))
}

fn io_error(path: &Path, source: io::Error) -> Error {
    if source.kind() == io::ErrorKind::StorageFull {
        return Error::Full { path: path.to_owned() };
    }
    Error::Io { path: path.to_owned(), source }
}

fn engine_error(path: &Path, error: fjall::Error) -> Error {
    match error {
        fjall::Error::Io(source) | fjall::Error::Storage(fjall::LsmError::Io(source)) => {
            io_error(path, source)
        }
        fjall::Error::Locked => Error::Locked { path: path.to_owned() },
        fjall::Error::Poisoned => Error::Poisoned,
        other => Error::Engine(format!("{other:?}")),
    }
}
