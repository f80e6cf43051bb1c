//! The end of the engine's journal, after a power cut.
//!
//! A commit is one batch at the end of the newest journal, synced before the next one begins. A cut
//! in the middle of it leaves any of its blocks written and the others not. The engine drops such a
//! batch when its *end* is missing; when blocks before the end are missing it takes the journal for
//! damaged and opens no more. Nobody was told that this commit succeeded, so it is dropped here,
//! before the engine looks. Damage with a whole batch behind it is no power cut and is refused.
//!
//! The format is that of `fjall` 3 (`FJL` 3): a batch is a start (`1`, count of items, sequence
//! number), items (`2`, kind, compression, keyspace, lengths, key, value) or clearings (`4`,
//! keyspace), and an end (`3`, XXH3 of what is between, `FJL` 3); numbers are little-endian.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

/// What ends a batch, and what the engine's `version` file holds.
const MAGIC: [u8; 4] = *b"FJL\x03";
/// Bytes that are read at once.
const BUFFER: usize = 1 << 18;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;

/// Where whole batches end.
#[derive(Debug, PartialEq, Eq)]
enum Tail {
    /// Nothing is written behind them.
    Clean,
    /// Behind this offset is a batch that was not written to its end.
    Torn(u64),
    /// At this offset is something else, and whole batches follow it.
    Damaged(u64),
}

/// A journal that cannot be the work of a power cut.
#[derive(Debug)]
pub(crate) struct Damage {
    pub(crate) journal: PathBuf,
    pub(crate) offset: u64,
}

/// Drops the batch at the end of the newest journal in `folder` that a power cut left unfinished.
/// `Ok(Ok(bytes))`: how many bytes were dropped.
pub(crate) fn mend(folder: &Path) -> io::Result<Result<u64, Damage>> {
    if !is_known_version(folder)? {
        return Ok(Ok(0));
    }
    let Some(journal) = newest(folder)? else { return Ok(Ok(0)) };
    match tail(&mut File::open(&journal)?)? {
        Tail::Clean => Ok(Ok(0)),
        Tail::Damaged(offset) => Ok(Err(Damage { journal, offset })),
        Tail::Torn(offset) => {
            let file = OpenOptions::new().write(true).open(&journal)?;
            let dropped = file.metadata()?.len().saturating_sub(offset);
            file.set_len(offset)?;
            file.sync_all()?;
            Ok(Ok(dropped))
        }
    }
}

fn is_known_version(folder: &Path) -> io::Result<bool> {
    match fs::read(folder.join("version")) {
        Ok(version) => Ok(version == MAGIC),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The journal that is written to: older ones were synced whole before it was begun.
fn newest(folder: &Path) -> io::Result<Option<PathBuf>> {
    let mut newest: Option<(u64, PathBuf)> = None;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let number = path
            .extension()
            .filter(|extension| *extension == "jnl")
            .and_then(|_| path.file_stem().and_then(OsStr::to_str)?.parse().ok());
        if let Some(number) = number
            && newest.as_ref().is_none_or(|(known, _)| number > *known)
        {
            newest = Some((number, path));
        }
    }
    Ok(newest.map(|(_, path)| path))
}

fn tail(file: &mut File) -> io::Result<Tail> {
    let length = file.metadata()?.len();
    let mut reader = Batches::new(BufReader::with_capacity(BUFFER, &*file), length);
    let mut end = 0;
    while reader.batch()? {
        end = reader.offset;
    }
    // Behind the last batch lie the zeros the engine made room with, or a beginning.
    let Some(written) = written(file, end)? else { return Ok(Tail::Clean) };
    file.seek(SeekFrom::Start(end))?;
    let mut rest = Vec::new();
    file.take(written - end).read_to_end(&mut rest)?;
    Ok(if holds_batch(&rest)? { Tail::Damaged(end) } else { Tail::Torn(end) })
}

/// The end of what is not zero behind `from`, if there is anything.
fn written(file: &mut File, from: u64) -> io::Result<Option<u64>> {
    file.seek(SeekFrom::Start(from))?;
    let (mut piece, zeros) = (vec![0; BUFFER], vec![0; BUFFER]);
    let (mut at, mut end) = (from, None);
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok(end);
        }
        if piece[..read] != zeros[..read]
            && let Some(last) = piece[..read].iter().rposition(|byte| *byte != 0)
        {
            end = Some(at + last as u64 + 1);
        }
        at += read as u64;
    }
}

/// Whether a whole batch follows the end of another.
fn holds_batch(bytes: &[u8]) -> io::Result<bool> {
    for (at, window) in bytes.windows(MAGIC.len()).enumerate() {
        let next = &bytes[at + MAGIC.len()..];
        if window == MAGIC && Batches::new(next, next.len() as u64).batch()? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Reads batches one after another.
struct Batches<R> {
    reader: R,
    offset: u64,
    length: u64,
}

impl<R: Read> Batches<R> {
    fn new(reader: R, length: u64) -> Self {
        Batches { reader, offset: 0, length }
    }

    /// Whether a whole batch comes next; afterwards the offset is behind it.
    fn batch(&mut self) -> io::Result<bool> {
        match self.whole() {
            Ok(whole) => Ok(whole.is_some()),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads a batch; `None` as soon as it is none.
    fn whole(&mut self) -> io::Result<Option<()>> {
        let [START] = self.take()? else { return Ok(None) };
        let count = u32::from_le_bytes(self.take()?);
        let _sequence: [u8; 8] = self.take()?;
        let mut hash = Xxh3::new();
        for _ in 0..count {
            if !self.item(&mut hash)? {
                return Ok(None);
            }
        }
        let [END] = self.take()? else { return Ok(None) };
        let checksum = u64::from_le_bytes(self.take()?);
        let magic: [u8; 4] = self.take()?;
        Ok((checksum == hash.digest() && magic == MAGIC).then_some(()))
    }

    /// Reads an item or a clearing into the hash; whether it was one.
    fn item(&mut self, hash: &mut Xxh3) -> io::Result<bool> {
        let tag: [u8; 1] = self.take()?;
        hash.update(&tag);
        match tag[0] {
            CLEAR => {
                hash.update(&self.take::<8>()?);
                Ok(true)
            }
            ITEM => {
                // Kind, compression, keyspace; then the lengths of key, value and stored value.
                hash.update(&self.take::<10>()?);
                let (key, value, stored) =
                    (self.take::<2>()?, self.take::<4>()?, self.take::<4>()?);
                hash.update(&key);
                hash.update(&value);
                hash.update(&stored);
                let bytes =
                    u64::from(u16::from_le_bytes(key)) + u64::from(u32::from_le_bytes(stored));
                self.hash(bytes, hash)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes)?;
        self.offset += N as u64;
        Ok(bytes)
    }

    /// Reads `bytes` bytes into the hash.
    fn hash(&mut self, mut bytes: u64, hash: &mut Xxh3) -> io::Result<()> {
        if bytes > self.length.saturating_sub(self.offset) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.offset += bytes;
        let mut piece = [0; 4096];
        while bytes > 0 {
            let most = usize::try_from(bytes).unwrap_or(usize::MAX).min(piece.len());
            self.reader.read_exact(&mut piece[..most])?;
            hash.update(&piece[..most]);
            bytes -= most as u64;
        }
        Ok(())
    }
}
