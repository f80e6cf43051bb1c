//! What is durable about functions.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::{Json, Timestamp};

use super::{FunctionName, InvocationType, Invoke};
use crate::read::{Range, Read};
use crate::record::{Corrupt, Entry, KeyBuilder, Space, decode, encode};

const FORMAT: u8 = 1;

/// Code is stored in pieces of this many bytes.
pub(super) const CHUNK_BYTES: usize = 512 << 10;

/// A function as it is now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FunctionRecord {
    /// Unique number: another function of the same name has another.
    pub number: u64,
    /// Name.
    pub name: Arc<str>,
    /// Grows with every change: a process that runs another revision is not this function.
    pub revision: u64,
    /// Its code.
    pub code: CodeRecord,
    /// `Runtime`, such as `python3.12`.
    pub runtime: Arc<str>,
    /// `Handler`; empty where the runtime needs none.
    pub handler: Arc<str>,
    /// `Role`; stored and shown, not enforced.
    pub role: Arc<str>,
    /// `Description`
    pub description: Arc<str>,
    /// `Timeout`, 1 to 900 seconds.
    pub timeout_s: u32,
    /// `MemorySize`, 128 to 10,240 MB; told to the function, not enforced.
    pub memory_mb: u32,
    /// `Environment`
    pub environment: BTreeMap<Arc<str>, Arc<str>>,
    /// When it was changed last.
    pub modified: Timestamp,
    /// Members that are accepted without effect and shown again (`TracingConfig`, `Tags` …).
    pub shown: Json,
    /// Statements of its resource policy by `Sid`; stored and shown, not enforced.
    pub permissions: BTreeMap<Arc<str>, Json>,
}

impl FunctionRecord {
    /// What runs it.
    pub fn kind(&self) -> Runtime {
        Runtime::of(&self.runtime).unwrap_or(Runtime::Provided)
    }
}

/// An archive with a function's code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeRecord {
    /// Unique number.
    pub number: u64,
    /// Length of the archive.
    pub bytes: u64,
    /// SHA-256 of the archive.
    pub sha256: [u8; 32],
}

impl CodeRecord {
    pub(super) fn chunks(&self) -> u32 {
        self.bytes.div_ceil(CHUNK_BYTES as u64) as u32
    }
}

/// What runs a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// `python3.N`
    Python,
    /// `nodejsN.x`
    Node,
    /// `provided`, `provided.al2`, `provided.al2023`: the archive's own `bootstrap`.
    Provided,
}

impl Runtime {
    /// The runtime that `text` names; `None` for those not available.
    pub fn of(text: &str) -> Option<Runtime> {
        let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if text.strip_prefix("python3.").is_some_and(number) {
            return Some(Runtime::Python);
        }
        let node = text.strip_prefix("nodejs").and_then(|rest| rest.strip_suffix(".x"));
        if node.is_some_and(number) {
            return Some(Runtime::Node);
        }
        matches!(text, "provided" | "provided.al2" | "provided.al2023").then_some(Runtime::Provided)
    }
}

/// An invocation that nobody waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Invocation {
    /// The function's name.
    pub function: Arc<str>,
    /// JSON text.
    pub payload: Arc<str>,
    /// Attempts that have ended.
    pub attempts: u8,
    /// When the next attempt begins; `None` while one is under way.
    pub due: Option<Timestamp>,
}

impl Invocation {
    /// What its next attempt asks for.
    pub(crate) fn invoke(&self) -> Invoke {
        Invoke {
            function: FunctionName::of(&self.function),
            kind: InvocationType::Event,
            payload: Arc::clone(&self.payload),
            log_tail: false,
            client_context: None,
        }
    }
}

/// One durable change.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// A function as it now is; `None` once it is deleted.
    Function(Arc<str>, Option<Arc<FunctionRecord>>),
    /// A piece of an archive; `None` once nothing uses it.
    Code {
        /// [`CodeRecord::number`]
        number: u64,
        /// Which piece, from 0.
        chunk: u32,
        /// Its bytes.
        bytes: Option<Arc<[u8]>>,
    },
    /// An invocation that nobody waits for; `None` once it is done with.
    Invocation(u64, Option<Invocation>),
}

impl Write {
    /// The stored form.
    pub fn entry(&self) -> Entry {
        match self {
            Write::Function(name, record) => {
                (function_key(name), record.as_ref().map(|record| encode(FORMAT, record.as_ref())))
            }
            Write::Code { number, chunk, bytes } => {
                let key = KeyBuilder::new(Space::FunctionCode).number(*number);
                let key = key.number(u64::from(*chunk)).build();
                (key, bytes.as_ref().map(|bytes| [&[FORMAT], bytes.as_ref()].concat()))
            }
            Write::Invocation(number, invocation) => {
                let key = KeyBuilder::new(Space::Invocation).number(*number).build();
                (key, invocation.as_ref().map(|invocation| encode(FORMAT, invocation)))
            }
        }
    }

    /// The change that a stored entry of a recovered space is.
    pub(super) fn load(key: &[u8], value: &[u8]) -> Result<Write, Corrupt> {
        let corrupt = || Corrupt { key: key.to_vec(), why: "not a function's key".to_owned() };
        if key.first() == Some(&(Space::Function as u8)) {
            let record: FunctionRecord = decode(FORMAT, key, value)?;
            return Ok(Write::Function(Arc::clone(&record.name), Some(Arc::new(record))));
        }
        let number = key.get(1..9).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
        Ok(Write::Invocation(number.ok_or_else(corrupt)?, Some(decode(FORMAT, key, value)?)))
    }
}

fn function_key(name: &str) -> Vec<u8> {
    KeyBuilder::new(Space::Function).text(name).build()
}

/// The stored function of this name.
pub(super) fn named(name: &str, read: &dyn Read) -> Result<Option<FunctionRecord>, Corrupt> {
    let key = function_key(name);
    read.get(&key).map(|value| decode(FORMAT, &key, &value)).transpose()
}

/// All stored functions, by name.
pub(super) fn all(read: &dyn Read) -> Result<Vec<FunctionRecord>, Corrupt> {
    let range = Range::prefix(&KeyBuilder::new(Space::Function).build());
    let entries = read.range(&range).into_iter();
    entries.map(|(key, value)| decode(FORMAT, &key, &value)).collect()
}

/// The archive of a stored function; `None` when it is not (or no longer) there whole.
pub fn code(record: &CodeRecord, read: &dyn Read) -> Option<Vec<u8>> {
    let prefix = KeyBuilder::new(Space::FunctionCode).number(record.number).build();
    let mut archive = Vec::with_capacity(record.bytes as usize);
    for (_, value) in read.range(&Range::prefix(&prefix)) {
        archive.extend_from_slice(value.strip_prefix(&[FORMAT])?);
    }
    (archive.len() as u64 == record.bytes).then_some(archive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_is_known_by_its_family() {
        assert_eq!(Runtime::of("python3.12"), Some(Runtime::Python));
        assert_eq!(Runtime::of("nodejs22.x"), Some(Runtime::Node));
        assert_eq!(Runtime::of("provided.al2023"), Some(Runtime::Provided));
        for text in ["python2.7", "python3.", "nodejs", "nodejs20", "java21", "provided.al9", ""] {
            assert_eq!(Runtime::of(text), None, "{text}");
        }
    }
}
